/* SPDX-License-Identifier: MIT */
/*
 * The gather: frames wait here until no machine uses them any more (rule 9). Owned by one task; no lock.
 */
#include "table/gather.h"
#include "frame/frame_int.h"
#include "sync/bug.h"

static void start_batch(struct fl_gather *g)
{
	g->start = UINT64_MAX;
	g->end = 0;
	g->kind = 0;
	g->n = 0;
}

void fl_gather_begin(struct fl_gather *g, struct fl_frames *frames, const struct fl_machine_ops *ops, void *machine,
		     struct fl_task *t)
{
	g->task = t;
	g->frames = frames;
	g->ops = ops;
	g->machine = machine;
	start_batch(g);
}

static void extend(struct fl_gather *g, fl_va va, uint64_t size)
{
	if (va < g->start)
		g->start = va;
	if (va + size > g->end)
		g->end = va + size;
}

void fl_gather_unmapped(struct fl_gather *g, fl_va va, uint64_t size, fl_pte old)
{
	FL_ASSERT(old & FL_PTE_PRESENT);
	extend(g, va, size);
	g->kind = FL_FLUSH_UNMAP;
	if (old & FL_PTE_ZERO)
		return;
	g->pfn[g->n++] = fl_pte_pfn(old);
	if (g->n == FL_GATHER_BATCH)
		fl_gather_flush(g);
}

void fl_gather_protected(struct fl_gather *g, fl_va va, uint64_t size)
{
	extend(g, va, size);
	if (g->kind != FL_FLUSH_UNMAP)
		g->kind = FL_FLUSH_PROTECT;
}

static void tell_machine(const struct fl_gather *g)
{
	if (g->start < g->end && g->ops && g->ops->flush)
		g->ops->flush(g->machine, g->start, g->end, (enum fl_flush_kind)g->kind);
}

void fl_gather_flush(struct fl_gather *g)
{
	if (!FL_BUG(reuse_unflushed))
		tell_machine(g);
	for (uint32_t i = 0; i < g->n; i++) {
		fl_add(&fl_frame_meta(g->frames, g->pfn[i])->maps, -1);
		fl_frame_put(g->frames, g->task, g->pfn[i]);
	}
	if (FL_BUG(reuse_unflushed))
		tell_machine(g);
	start_batch(g);
}
