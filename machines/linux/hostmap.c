/* SPDX-License-Identifier: MIT */
/*
 * The host's mappings of the engine's memory: made after a fault, taken away when the engine says so, dropped at will.
 *
 * They are a TLB. A resident page is a shared mapping of its frame in the memory file. Walk, map and note in the shadow happen
 * without a switch of fibers in between, so no flush can be missed. The number of host mappings is kept below half of what the
 * host allows: past that whole tables of the shadow are unmapped, round robin, and fault again.
 *
 * No locks: one OS thread.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "linux/host.h"

#define EVICT_STEP (2ull << 20)

static uint64_t host_prot(unsigned allowed)
{
	return (allowed & FL_READ ? PROT_READ : 0u) | (allowed & FL_WRITE ? PROT_WRITE : 0u) |
	       (allowed & FL_EXEC ? PROT_EXEC : 0u);
}

/* A batch of calls on its way to the agent. */
struct batch {
	struct guest_mm *gm;
	unsigned n;
	int error;
	struct fl_raw_call calls[FL_BATCH_MAX];
};

static void batch_flush(struct batch *b)
{
	if (!b->n)
		return;
	if (fl_agent_batch(b->gm, b->calls, b->n)) {
		b->error = -FL_ESRCH;
	} else {
		for (unsigned i = 0; i < b->n; i++) {
			if (b->calls[i].result < 0 && b->calls[i].result > -4096)
				b->error = (int)b->calls[i].result;
		}
	}
	b->n = 0;
}

static struct fl_raw_call *batch_add(struct batch *b)
{
	struct fl_raw_call *c;

	if (b->n == FL_BATCH_MAX)
		batch_flush(b);
	c = &b->calls[b->n++];
	*c = (struct fl_raw_call){0};
	return c;
}

static void add_unmap(struct batch *b, fl_va start, fl_va end)
{
	struct fl_raw_call *c = batch_add(b);

	c->nr = SYS_munmap;
	c->args[0] = start;
	c->args[1] = end - start;
}

void fl_hostmap_drop(struct guest_mm *gm, fl_va start, fl_va end)
{
	struct batch b = {.gm = gm};
	fl_va va = start, first;

	while (fl_shadow_next(gm->shadow, va, end, &first)) {
		for (va = first; va < end && fl_shadow_get(gm->shadow, va); va += FL_PAGE)
			fl_shadow_set(gm->shadow, va, 0);
		add_unmap(&b, first, va);
	}
	batch_flush(&b);
}

/* Drop tables until there is room again. keep: a place that is about to be used. */
static void evict(struct guest_mm *gm, fl_va keep)
{
	uint64_t target = gm->g->host->max_runs / 4 * 3;
	bool wrapped = false;

	if (fl_unwatched_in(gm))
		return; /* the next fault will do */
	while (fl_shadow_runs(gm->shadow) > target) {
		fl_va va, base;

		if (!fl_shadow_next(gm->shadow, gm->evict_next, FL_TASK_SIZE, &va)) {
			if (wrapped)
				return;
			wrapped = true;
			gm->evict_next = 0;
			continue;
		}
		base = va & ~(EVICT_STEP - 1);
		gm->evict_next = base + EVICT_STEP;
		if (keep - base >= EVICT_STEP)
			fl_hostmap_drop(gm, base, base + EVICT_STEP);
	}
}

/* How many pages from va have frames in a row and the same rights. */
static unsigned run_length(struct guest_mm *gm, fl_va va, fl_va end, struct fl_translation *first)
{
	struct fl_translation t;
	unsigned n = 1;

	while (va + n * FL_PAGE < end && fl_mm_walk(gm->mm, va + n * FL_PAGE, FL_READ, &t)) {
		if (t.pfn != first->pfn + n || t.allowed != first->allowed || t.zero || first->zero)
			break;
		n++;
	}
	return n;
}

int fl_hostmap_install(struct guest_mm *gm, fl_va start, fl_va end, enum fl_access access)
{
	struct batch b = {.gm = gm};

	if (fl_shadow_runs(gm->shadow) > gm->g->host->max_runs)
		evict(gm, start);
	if (!fl_shadow_reserve(gm->shadow, start, end))
		return -FL_ENOMEM;
	for (fl_va va = start; va < end;) {
		struct fl_translation t;
		struct fl_raw_call *c;
		unsigned n;

		if (!fl_mm_walk(gm->mm, va, va == start ? access : FL_READ, &t)) {
			va += FL_PAGE;
			continue;
		}
		n = run_length(gm, va, end, &t);
		c = batch_add(&b);
		c->nr = SYS_mmap;
		c->args[0] = va;
		c->args[1] = n * FL_PAGE;
		c->args[2] = host_prot(t.allowed);
		c->args[3] = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
		c->args[4] = gm->agent_fd;
		c->args[5] = (uint64_t)t.pfn * FL_PAGE;
		for (unsigned i = 0; i < n; i++)
			fl_shadow_set(gm->shadow, va + i * FL_PAGE, FL_SHADOW_WORD(t.pfn + i, t.allowed));
		va += n * FL_PAGE;
	}
	batch_flush(&b);
	return b.error;
}

/* What the tables leave of a page's rights in the host: 0: unmap it. */
static uint32_t reduced(struct guest_mm *gm, fl_va va, uint32_t word)
{
	struct fl_translation t;

	if (!fl_mm_walk(gm->mm, va, FL_READ, &t) || t.pfn != word >> 3)
		return 0;
	return FL_SHADOW_WORD(t.pfn, word & 7 & t.allowed);
}

void fl_hostmap_reduce(struct guest_mm *gm, fl_va start, fl_va end)
{
	struct batch b = {.gm = gm};
	fl_va va = start, first;

	while (fl_shadow_next(gm->shadow, va, end, &first)) {
		uint32_t word = fl_shadow_get(gm->shadow, first), now = reduced(gm, first, word);

		/* As far as the same is to be done with neighbours. */
		for (va = first; va < end; va += FL_PAGE) {
			uint32_t w = fl_shadow_get(gm->shadow, va), to;

			if (!w)
				break;
			to = reduced(gm, va, w);
			if ((to == w) != (now == word) || (to & 7) != (now & 7))
				break;
			fl_shadow_set(gm->shadow, va, to & 7 ? to : 0);
		}
		if (now == word)
			continue;
		if (!(now & 7)) {
			add_unmap(&b, first, va);
		} else {
			struct fl_raw_call *c = batch_add(&b);

			c->nr = SYS_mprotect;
			c->args[0] = first;
			c->args[1] = va - first;
			c->args[2] = host_prot(now & 7);
		}
	}
	batch_flush(&b);
}
