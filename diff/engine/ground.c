/* SPDX-License-Identifier: MIT */
/*
 * What is there before a program begins: an address space with everything in it that the process on the kernel has mapped,
 * as foreign memory, and the same limits. Scratch is the one part of it that calls reach: it is served from a buffer of
 * this side. A forked process has scratch of its own on the kernel; here they share it, which nobody can see: each actor
 * has its part, and what a call wants there is put there just before.
 *
 * No locks: one OS thread, and nobody else knows the address space yet.
 */
#include <stdio.h>
#include <string.h>

#include "diff/engine/internal.h"

/* As the processes on the kernel have them. */
#define LIMIT_MEMLOCK (8ull << 20)
#define LIMIT_STACK (8ull << 20)

/* How many of n bytes at va are scratch. */
static size_t in_scratch(uint64_t va, size_t n)
{
	uint64_t at = va - FL_DIFF_SCRATCH, size = FL_DIFF_ACTORS * FL_DIFF_SCRATCH_SIZE;

	if (at >= size)
		return 0;
	return n < size - at ? n : (size_t)(size - at);
}

static size_t scratch_read(void *arg, void *dst, fl_va va, size_t n)
{
	struct fl_engine *e = arg;

	n = in_scratch(va, n);
	if (n)
		memcpy(dst, e->scratch + (va - FL_DIFF_SCRATCH), n);
	return n;
}

static size_t scratch_write(void *arg, fl_va va, const void *src, size_t n)
{
	struct fl_engine *e = arg;

	n = in_scratch(va, n);
	if (n)
		memcpy(e->scratch + (va - FL_DIFF_SCRATCH), src, n);
	return n;
}

static const struct fl_machine_ops scratch_ops = {
	.foreign_read = scratch_read,
	.foreign_write = scratch_write,
};

/* The vsyscall page is in the list, too, but no user address. Each has a cookie of its own, so that none merge. */
static int enter_foreign(struct fl_engine *e, struct fl_task *t)
{
	for (size_t i = 0; i < e->ground.foreigns; i++) {
		const struct fl_seen_map *m = &e->ground.foreign[i];
		int flags = FL_MAP_FIXED | (m->shared ? FL_MAP_SHARED : FL_MAP_PRIVATE);
		fl_va at;
		int err;

		if (m->end > fl_arch_x86_64.task_size)
			continue;
		flags |= m->stack ? FL_MAP_GROWSDOWN : 0;
		err = fl_mmap_foreign(t, m->start, m->end - m->start, (int)m->prot, flags, 0, 0, i + 1, m->offset, &at);
		if (err)
			return err;
	}
	return 0;
}

/* What is known to differ between releases is as in the running one. NULL: of that nothing is known. */
static const struct fl_profile *running_profile(const struct fl_ground *g)
{
	unsigned major, minor;

	return sscanf(g->release, "%u.%u", &major, &minor) == 2 ? fl_profile_find(major, minor) : NULL;
}

int fl_engine_make_mm(struct fl_engine *e, struct fl_mm **out)
{
	const struct fl_ground *g = &e->ground;
	const fl_va top = fl_arch_x86_64.task_size;
	const struct fl_mm_config config = {
		.profile = running_profile(g),
		.frames = e->frames,
		.ops = &scratch_ops,
		.machine = e,
		.mmap_lo = g->mmap_lo,
		.mmap_hi = g->mmap_hi,
		.spare_lo = (top / 3 + FL_DIFF_PAGE - 1) & ~(FL_DIFF_PAGE - 1),
		.spare_hi = top,
		.min_addr = g->min_addr,
		.min_hint = g->min_hint,
		.memory = g->memory,
		.brk = g->brk,
		.max_maps = g->max_maps,
	};
	struct fl_task task;
	struct fl_mm *mm;
	int err;

	err = fl_soft_mm_create(&config, &mm);
	if (err)
		return err;
	fl_task_init(&task, e->frames, mm, 0);
	err = enter_foreign(e, &task);
	fl_task_exit(&task);
	if (err)
		fl_mm_put(mm);
	else
		*out = mm;
	return err;
}

static uint64_t at_most(uint64_t limit, uint64_t most)
{
	return most && limit > most ? most : limit;
}

void fl_engine_first_limits(struct fl_engine_process *p, const struct fl_ground *g)
{
	p->as = p->data = 0;
	p->memlock = at_most(LIMIT_MEMLOCK, g->most_memlock);
	p->stack = at_most(LIMIT_STACK, g->most_stack);
	fl_engine_apply_limits(p);
}

void fl_engine_apply_limits(struct fl_engine_process *p)
{
	fl_mm_set_limits(p->mm, p->as, p->data, p->memlock, p->stack);
}
