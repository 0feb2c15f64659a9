/* SPDX-License-Identifier: MIT */
/*
 * mmap(2): where a mapping goes, and putting it there.
 *
 * An address is chosen from a snapshot; then the range is locked and looked at again, for somebody may have been
 * faster.
 */
#include "mm/mm_int.h"
#include "sync/bug.h"

/* Where MAP_32BIT mappings go: Linux's choice, in the second GiB. */
#define LOW_START 0x40000000u
#define LOW_END 0x80000000u

/* Numbers that are errors when they are negative: those below this. */
#define ERRORS 4096u

/* What a mapping that is not FIXED would like. */
struct wish {
	uint64_t len;
	fl_va hint;
	fl_va lo, hi;   /* where to look, top down */
	bool low;       /* MAP_32BIT */
	bool anonymous; /* not a file's */
};

struct mapping {
	fl_va addr; /* as asked for; then as chosen */
	uint64_t len;
	int flags;   /* FL_MAP_* */
	bool engine; /* the checks of an address that the host has made already for a foreign mapping are made here */
	fl_va lo, hi;
	uint64_t vm_flags;
	uint64_t pgoff;
	struct fl_object *object;
};

uint64_t fl_prot_flags(int prot)
{
	return (prot & FL_PROT_READ ? FL_VM_READ : 0) | (prot & FL_PROT_WRITE ? FL_VM_WRITE : 0) |
	       (prot & FL_PROT_EXEC ? FL_VM_EXEC : 0);
}

bool fl_mm_may_lock(struct fl_mm *mm, struct fl_task *t, uint64_t bytes)
{
	return (t->caps & FL_CAP_IPC_LOCK) ||
	       fl_load(&mm->locked_pages) + fl_load(&mm->locked_lost) + fl_pages(mm, bytes) <=
		       fl_load(&mm->limit_memlock);
}

bool fl_mm_may_lock_any(const struct fl_mm *mm, const struct fl_task *t)
{
	return (t->caps & FL_CAP_IPC_LOCK) || !fl_load(&mm->limit_no_locks);
}

bool fl_mm_may_commit(const struct fl_mm *mm, uint64_t pages)
{
	return pages <= mm->memory;
}

/* Where there is room for len bytes; 0: nowhere. Top down; from below where that failed, or in the low zone. */
static fl_va find_room(struct fl_mm *mm, uint64_t len, bool low, fl_va lo, fl_va hi)
{
	fl_va a;

	if (low)
		return fl_index_gap(&mm->index, len, LOW_START, LOW_END, fl_mm_page(mm), false);
	a = fl_index_gap(&mm->index, len, lo, hi, fl_mm_page(mm), true);
	return a ? a : fl_index_gap(&mm->index, len, mm->spare_lo, mm->spare_hi, fl_mm_page(mm), false);
}

/* Memory that could be huge pages is put where huge pages could be, if there is room for that. 0: there is not. */
static fl_va find_aligned(struct fl_mm *mm, uint64_t len, bool low, fl_va lo, fl_va hi)
{
	uint64_t huge = fl_mm_page(mm) << mm->arch->geometry.index_bits[0], more;
	fl_va a;

	switch (mm->profile->align) {
	case FL_ALIGN_NONE:
		return 0;
	case FL_ALIGN_LARGE:
		if (len < huge)
			return 0;
		break;
	case FL_ALIGN_WHOLE:
		if (len & (huge - 1))
			return 0;
	}
	a = find_room(mm, len + huge, low, lo, hi);
	more = -a & (huge - 1);
	/* Top down the end of the room is what is wanted, and so it is where the search was not top down. */
	return a ? a + (more ? more : huge) : 0;
}

static fl_va choose(struct fl_mm *mm, const struct wish *w)
{
	fl_va hint = fl_page_down(mm, w->hint), top = w->low ? LOW_END : mm->arch->task_size, a = 0;

	if (hint && w->len <= top && hint <= top - w->len)
		a = fl_index_gap(&mm->index, w->len, hint, hint + w->len, fl_mm_page(mm), false);
	else if (!hint && w->anonymous)
		a = find_aligned(mm, w->len, w->low, w->lo, w->hi);
	return a ? a : find_room(mm, w->len, w->low, w->lo, w->hi);
}

fl_va fl_mm_choose(struct fl_mm *mm, uint64_t len, fl_va hint)
{
	const struct wish w = {.len = len, .hint = hint, .lo = mm->mmap_lo, .hi = mm->mmap_hi, .anonymous = true};

	return choose(mm, &w);
}

/* Lock the place that the caller names. */
static int place_fixed(struct fl_change *c, struct fl_task *t, struct mapping *m)
{
	struct fl_mm *mm = t->mm;
	int err;

	/* Linux takes an address this high for an error when it looks at what was chosen, and says just that. */
	if (m->engine && m->addr > -(fl_va)ERRORS)
		return (int)(int64_t)m->addr;
	if (m->addr > mm->arch->task_size - m->len)
		return -FL_ENOMEM;
	if (m->addr & (fl_mm_page(mm) - 1))
		return -FL_EINVAL;
	if (m->engine && m->addr < mm->min_addr && !(t->caps & FL_CAP_SYS_RAWIO))
		return -FL_EPERM;
	err = fl_change_lock(c, t, mm, m->addr, m->addr + m->len);
	if (err || !(m->flags & FL_MAP_FIXED_NOREPLACE) || FL_BUG(noreplace_replaces) ||
	    !fl_mm_occupied(mm, m->addr, m->addr + m->len))
		return err;
	fl_change_unlock(c);
	return -FL_EEXIST;
}

/* Choose a place and lock it. */
static int place_free(struct fl_change *c, struct fl_task *t, struct mapping *m)
{
	struct wish w = {.len = m->len, .hint = fl_page_down(t->mm, m->addr), .lo = m->lo, .hi = m->hi};
	fl_va a;
	int err;

	w.low = (m->flags & FL_MAP_32BIT) != 0;
	w.anonymous = m->engine;
	if (w.hint && w.hint < t->mm->min_hint)
		w.hint = t->mm->min_hint;
	for (;;) {
		a = choose(t->mm, &w);
		if (!a)
			return -FL_ENOMEM;
		err = fl_change_lock(c, t, t->mm, a, a + m->len);
		if (err)
			return err;
		if (fl_mm_has_room(t->mm, a, m->len))
			break;
		fl_change_unlock(c);
	}
	m->addr = a;
	return 0;
}

/* Pages of [start, end) that are mapped with these flags. */
static uint64_t pages_within(struct fl_mm *mm, fl_va start, fl_va end, uint64_t flags)
{
	struct fl_vma *v;
	uint64_t bytes = 0;

	for (v = fl_index_find_in(&mm->index, start, end); v; v = fl_index_find_in(&mm->index, v->end, end)) {
		if ((v->flags & flags) == flags)
			bytes += (v->end < end ? v->end : end) - (v->start > start ? v->start : start);
	}
	return fl_pages(mm, bytes);
}

/* What is there, so many pages, has room to become m, as far as limits and memory go. */
static bool room_for(struct fl_mm *mm, const struct mapping *m, uint64_t there)
{
	if (!fl_mm_may_expand(mm, m->vm_flags, m->len - (there << fl_mm_shift(mm))))
		return false;
	if (!(m->vm_flags & FL_VM_ACCOUNT))
		return true;
	if (there)
		there = pages_within(mm, m->addr, m->addr + m->len, FL_VM_ACCOUNT);
	return fl_mm_may_commit(mm, fl_pages(mm, m->len) - there);
}

/* Put the mapping where it has been placed, over what may be there. */
static int put_mapping(struct fl_change *c, struct mapping *m)
{
	fl_va end = m->addr + m->len;
	const uint64_t there = pages_within(c->mm, m->addr, end, 0);
	const bool hole = there && fl_mm_is_hole(c->mm, m->addr, end);
	struct fl_vma put = {
		.start = m->addr,
		.end = end,
		.flags = m->vm_flags,
		.pgoff = m->engine ? fl_pages(c->mm, m->addr) : m->pgoff,
		.object = m->object,
	};

	if (m->engine) {
		if ((m->flags & FL_MAP_LOCKED) && !fl_mm_may_lock_any(c->mm, c->task))
			return -FL_EPERM;
		put.flags = m->vm_flags |= fl_load(&c->mm->lock_later);
	}
	if ((m->vm_flags & FL_VM_LOCKED) && !fl_mm_may_lock(c->mm, c->task, m->len))
		return -FL_EAGAIN;
	if (m->engine && (m->flags & FL_MAP_TYPE) != FL_MAP_PRIVATE)
		return -FL_EINVAL;
	if (hole && !fl_mm_has_maps(c->mm, 1))
		return -FL_ENOMEM;
	if (!room_for(c->mm, m, there)) {
		/* By now Linux has cut what is there, and leaves it in pieces. */
		fl_change_split(c, m->addr);
		fl_change_split(c, end);
		return -FL_ENOMEM;
	}
	c->room = hole ? 1 : 0;
	fl_change_ask(c, m->vm_flags, fl_pages(c->mm, m->len) - there);
	if (fl_change_prepare(c, m->addr, end, &put))
		return (put.flags & FL_VM_LOCKED) && !fl_mm_may_lock(c->mm, c->task, m->len) ? -FL_EAGAIN : -FL_ENOMEM;
	fl_change_mark(c);
	if (there)
		fl_mm_zap(c->mm, c->task, m->addr, end, true);
	fl_change_commit(c);
	return 0;
}

static int map(struct fl_task *t, struct mapping *m, fl_va *out)
{
	struct fl_mm *mm = t->mm;
	uint64_t len = fl_page_up(mm, m->len);
	struct fl_change c;
	int err;

	if (!m->len)
		return -FL_EINVAL;
	if (!len || len > mm->arch->task_size)
		return -FL_ENOMEM;
	m->len = len;
	if (!fl_mm_has_maps(mm, 0))
		return -FL_ENOMEM;
	if (m->flags & (FL_MAP_FIXED | FL_MAP_FIXED_NOREPLACE))
		err = place_fixed(&c, t, m);
	else
		err = place_free(&c, t, m);
	if (err)
		return err;
	err = put_mapping(&c, m);
	fl_change_unlock(&c);
	*out = m->addr;
	return err;
}

static uint64_t map_flags(int prot, int flags)
{
	uint64_t f = fl_prot_flags(prot) | FL_VM_MAYREAD | FL_VM_MAYWRITE | FL_VM_MAYEXEC;

	if (flags & FL_MAP_GROWSDOWN)
		f |= FL_VM_GROWSDOWN;
	if (flags & FL_MAP_LOCKED)
		f |= FL_VM_LOCKED;
	if (flags & FL_MAP_SYNC)
		f |= FL_VM_SYNC; /* of no meaning here, but mappings without it are others */
	return f;
}

int fl_mmap(struct fl_task *t, fl_va addr, uint64_t len, int prot, int flags, fl_va *out)
{
	struct mapping m = {
		.addr = addr,
		.len = len,
		.flags = flags,
		.engine = true,
		.lo = t->mm->mmap_lo,
		.hi = t->mm->mmap_hi,
		.vm_flags = map_flags(prot, flags),
		.object = &t->mm->anon,
	};
	int type = flags & FL_MAP_TYPE, err;

	if (!(flags & FL_MAP_ANONYMOUS) || (flags & FL_MAP_HUGETLB) || type == FL_MAP_SHARED ||
	    type == FL_MAP_DROPPABLE)
		return -FL_ENODEV;
	if (flags & FL_MAP_STACK)
		m.vm_flags |= FL_VM_NOHUGEPAGE;
	if ((flags & FL_MAP_NORESERVE) && !FL_BUG(noreserve_lost))
		m.vm_flags |= FL_VM_NORESERVE;
	else if (prot & FL_PROT_WRITE)
		m.vm_flags |= FL_VM_ACCOUNT;
	err = map(t, &m, out);
	if (err)
		return err;
	/* As in Linux, what cannot be populated is left to faults. */
	if (FL_BUG(populate_ignored))
		return 0;
	if ((m.vm_flags & FL_VM_LOCKED) || (flags & (FL_MAP_POPULATE | FL_MAP_NONBLOCK)) == FL_MAP_POPULATE)
		(void)fl_mm_populate(t, m.addr, m.addr + m.len, true);
	return 0;
}

int fl_mmap_foreign(struct fl_task *t, fl_va addr, uint64_t len, int prot, int flags, fl_va lo, fl_va hi,
		    uint64_t cookie, uint64_t offset, fl_va *out)
{
	struct mapping m = {
		.addr = addr,
		.len = len,
		.flags = flags,
		.lo = hi ? lo : t->mm->mmap_lo,
		.hi = hi ? hi : t->mm->mmap_hi,
		.vm_flags = map_flags(prot, flags & ~FL_MAP_LOCKED) | FL_VM_FOREIGN,
		.pgoff = fl_pages(t->mm, offset),
	};
	int err;

	if ((flags & FL_MAP_TYPE) == FL_MAP_SHARED || (flags & FL_MAP_TYPE) == FL_MAP_SHARED_VALIDATE)
		m.vm_flags |= FL_VM_SHARED;
	m.object = fl_object_foreign(cookie);
	if (!m.object)
		return -FL_ENOMEM;
	err = map(t, &m, out);
	fl_object_put(m.object);
	return err;
}
