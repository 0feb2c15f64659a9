/* SPDX-License-Identifier: MIT */
/*
 * The memory calls of a program as system calls.
 *
 * No locks: one thread.
 */
#include "diff/lower/internal.h"

static const struct fl_sc_map *map_of(const struct fl_lowering *l)
{
	const struct fl_sc_range *r = &l->st->range;

	return l->st->op != FL_SC_MMAP_ANY && r->base == FL_SC_BASE_MAP ? &l->s->map[r->map] : NULL;
}

static uint64_t map_flags(const struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;
	const struct fl_sc_map *m = map_of(l);
	uint64_t flags = FL_MAP_ANONYMOUS | st->flags;

	flags |= st->shared || (m && m->shared) ? FL_MAP_SHARED : FL_MAP_PRIVATE;
	if (st->stack || (m && m->stack))
		flags |= FL_MAP_GROWSDOWN | FL_MAP_STACK;
	if (st->locked || (m && m->locked))
		flags |= FL_MAP_LOCKED;
	if (st->noreserve || (st->op == FL_SC_MAP && m->noreserve))
		flags |= FL_MAP_NORESERVE;
	if (st->populate)
		flags |= FL_MAP_POPULATE;
	return flags;
}

static void add_mmap(struct fl_lowering *l, uint64_t at, uint64_t flags)
{
	int prot = l->st->op == FL_SC_MAP ? l->s->map[l->st->range.map].prot : l->st->prot;
	struct fl_call *c = fl_lower_syscall(l, FL_NR_MMAP, at, l->bytes, (unsigned)prot);

	c->arg[3] = flags;
	c->arg[4] = UINT64_MAX;
}

static void lower_mmap(struct fl_lowering *l)
{
	uint64_t flags = map_flags(l);

	if (l->st->noreplace)
		flags |= FL_MAP_FIXED_NOREPLACE;
	else if (!l->st->hint)
		flags |= FL_MAP_FIXED;
	add_mmap(l, l->at, flags);
}

static void lower_mmap_any(struct fl_lowering *l)
{
	uint64_t hint = 0;

	if (l->st->has_other)
		fl_lower_address(l->s, &l->st->other, l->results, &hint);
	add_mmap(l, hint, map_flags(l));
}

static void lower_mremap(struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;
	uint64_t after = st->pages ? (uint64_t)st->pages * FL_DIFF_PAGE : l->bytes;
	struct fl_call *c;

	if (st->has_newbytes)
		after = st->newbytes;
	c = fl_lower_syscall(l, FL_NR_MREMAP, l->at, l->bytes, after);
	c->arg[3] = st->flags;
	if (st->maymove)
		c->arg[3] |= FL_MREMAP_MAYMOVE;
	if (st->has_other) {
		c->arg[3] |= FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED;
		fl_lower_address(l->s, &st->other, l->results, &c->arg[4]);
	}
	if (st->dontunmap)
		c->arg[3] |= FL_MREMAP_DONTUNMAP;
}

static void lower_mincore(struct fl_lowering *l)
{
	uint64_t vector = fl_diff_scratch(l->actor), pages = l->bytes / FL_DIFF_PAGE + (l->bytes % FL_DIFF_PAGE != 0);
	/* `mincore L` asks of L's page. Who says how many bytes means the address as it is. */
	uint64_t at = l->st->has_bytes ? l->at : l->at & ~(FL_DIFF_PAGE - 1);
	struct fl_call *c;

	if (l->st->has_into)
		fl_lower_address(l->s, &l->st->into, l->results, &vector);
	c = fl_lower_syscall(l, FL_NR_MINCORE, at, l->bytes, vector);
	if (!l->st->has_into)
		c->outs = pages < FL_DIFF_OUT ? (unsigned)pages : FL_DIFF_OUT;
}

static void lower_brk(struct fl_lowering *l)
{
	uint64_t more = (uint64_t)l->st->pages * FL_DIFF_PAGE + (l->st->has_bytes ? l->st->bytes : 0);
	struct fl_call *c = fl_lower_syscall(l, FL_NR_BRK, more, 0, 0);

	c->how[0] = FL_ARG_BRK;
}

bool fl_lower_memory(struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;

	switch (st->op) {
	case FL_SC_MAP:
	case FL_SC_MMAP:
		lower_mmap(l);
		return true;
	case FL_SC_MMAP_ANY:
		lower_mmap_any(l);
		return true;
	case FL_SC_MUNMAP:
		fl_lower_syscall(l, FL_NR_MUNMAP, l->at, l->bytes, 0);
		return true;
	case FL_SC_MPROTECT:
		fl_lower_syscall(l, FL_NR_MPROTECT, l->at, l->bytes, (unsigned)st->prot);
		return true;
	case FL_SC_MADVISE:
		fl_lower_syscall(l, FL_NR_MADVISE, l->at, l->bytes, (unsigned)st->advice);
		return true;
	case FL_SC_MREMAP:
		lower_mremap(l);
		return true;
	case FL_SC_MLOCK:
		fl_lower_syscall(l, FL_NR_MLOCK2, l->at, l->bytes, st->flags | (st->onfault ? FL_MLOCK_ONFAULT : 0));
		return true;
	case FL_SC_MUNLOCK:
		fl_lower_syscall(l, FL_NR_MUNLOCK, l->at, l->bytes, 0);
		return true;
	case FL_SC_MINCORE:
		lower_mincore(l);
		return true;
	case FL_SC_MSYNC:
		fl_lower_syscall(l, FL_NR_MSYNC, l->at, l->bytes, st->has_flags ? st->flags : FL_MS_SYNC);
		return true;
	case FL_SC_BRK:
		lower_brk(l);
		return true;
	case FL_SC_MLOCKALL:
		fl_lower_syscall(l, FL_NR_MLOCKALL, st->flags, 0, 0);
		return true;
	case FL_SC_MUNLOCKALL:
		fl_lower_syscall(l, FL_NR_MUNLOCKALL, 0, 0, 0);
		return true;
	default:
		return false;
	}
}
