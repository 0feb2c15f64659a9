/* SPDX-License-Identifier: MIT */
/* The memory calls of a scenario. No locks: each call is the engine's. */
#include "explore/exec/exec_int.h"

static int64_t do_mmap(struct fl_actor *a, const struct fl_sc_statement *s, fl_va at, uint64_t bytes)
{
	const struct fl_sc_map *m = &a->x->s->map[s->range.map];
	int flags = FL_MAP_PRIVATE | FL_MAP_ANONYMOUS, err;
	fl_va out;

	flags |= s->noreplace ? FL_MAP_FIXED_NOREPLACE : FL_MAP_FIXED;
	if (s->noreserve || (s->op == FL_SC_MAP && m->noreserve))
		flags |= FL_MAP_NORESERVE;
	if (m->stack)
		flags |= FL_MAP_GROWSDOWN | FL_MAP_STACK;
	if (m->locked)
		flags |= FL_MAP_LOCKED;
	err = fl_mmap(&a->task, at, bytes, s->op == FL_SC_MAP ? m->prot : s->prot, flags, &out);
	return err;
}

static int64_t do_mremap(struct fl_actor *a, const struct fl_sc_statement *s, fl_va at, uint64_t bytes)
{
	uint64_t after = s->pages ? (uint64_t)s->pages << a->x->arch.geometry.page_shift : bytes;
	int flags = FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED | (s->dontunmap ? FL_MREMAP_DONTUNMAP : 0);
	fl_va to = at, out;

	if (s->has_other)
		to = fl_exec_address(a->x, &s->other);
	else
		flags = 0;
	return fl_mremap(&a->task, at, bytes, after, flags, to, &out);
}

static int64_t do_brk(struct fl_actor *a, const struct fl_sc_statement *s)
{
	fl_va now = fl_brk(&a->task, 0);
	fl_va want = now + ((uint64_t)s->pages << a->x->arch.geometry.page_shift);

	return fl_brk(&a->task, want) == want ? 0 : -FL_ENOMEM;
}

static int64_t do_mincore(struct fl_actor *a, fl_va at)
{
	fl_va page = (fl_va)1 << a->x->arch.geometry.page_shift;
	uint8_t there = 0;
	int err = fl_mincore(&a->task, at & ~(page - 1), page, &there);

	return err ? err : there & 1;
}

int64_t fl_exec_memory_call(struct fl_actor *a, const struct fl_sc_statement *s)
{
	fl_va at;
	uint64_t bytes;

	if (s->op == FL_SC_BRK)
		return do_brk(a, s);
	at = fl_exec_address(a->x, &s->range);
	bytes = fl_exec_bytes(a->x, &s->range);
	switch (s->op) {
	case FL_SC_MAP:
	case FL_SC_MMAP:
		return do_mmap(a, s, at, bytes);
	case FL_SC_MUNMAP:
		return fl_munmap(&a->task, at, bytes);
	case FL_SC_MPROTECT:
		return fl_mprotect(&a->task, at, bytes, s->prot);
	case FL_SC_MADVISE:
		return fl_madvise(&a->task, at, bytes, s->advice);
	case FL_SC_MREMAP:
		return do_mremap(a, s, at, bytes);
	case FL_SC_MLOCK:
		return fl_mlock(&a->task, at, bytes, s->onfault ? FL_MLOCK_ONFAULT : 0);
	case FL_SC_MUNLOCK:
		return fl_munlock(&a->task, at, bytes);
	default:
		return do_mincore(a, at);
	}
}
