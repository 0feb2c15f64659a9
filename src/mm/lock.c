/* SPDX-License-Identifier: MIT */
/*
 * mlock(2), mlockall(2), munlock(2), mincore(2), msync(2).
 *
 * Nothing is ever paged out here, so to lock is to set the flag, to count, and to fault in.
 */
#include "mm/mm_int.h"
#include "sync/bug.h"

#define LOCKED_MASK (FL_VM_LOCKED | FL_VM_LOCKONFAULT)

/* Bytes of [start, end) that are locked already. With the range lock, or in an rcu section: then it is a snapshot. */
static uint64_t locked_within(struct fl_mm *mm, fl_va start, fl_va end)
{
	struct fl_vma *v;
	uint64_t bytes = 0;

	for (v = fl_index_find_in(&mm->index, start, end); v; v = fl_index_find_in(&mm->index, v->end, end)) {
		if (v->flags & FL_VM_LOCKED)
			bytes += (v->end < end ? v->end : end) - (v->start > start ? v->start : start);
	}
	return bytes;
}

/* From left to right, up to the first hole. */
static int set_locked(struct fl_change *c, fl_va start, fl_va end, uint64_t flags)
{
	struct fl_vma *v;
	uint64_t now;
	fl_va stop;
	int err = 0;

	for (; !err && start < end; start = stop) {
		v = fl_mm_vma_at(c->mm, start);
		if (!v)
			return -FL_ENOMEM;
		stop = v->end < end ? v->end : end;
		now = (v->flags & ~LOCKED_MASK) | flags;
		if (now != v->flags && !(v->flags & FL_VM_FOREIGN))
			err = fl_change_flags(c, v, start, stop, now, v->uffd);
	}
	return err;
}

/* Whole pages around [addr, addr + len). False: it wraps. An empty range is not an error. */
static bool whole_pages(const struct fl_mm *mm, fl_va addr, uint64_t len, fl_va *start, fl_va *end)
{
	*start = fl_page_down(mm, addr);
	*end = *start + fl_page_up(mm, len + (FL_BUG(lock_short) ? 0 : addr - *start));
	return *end >= *start;
}

/* Change the flags of [start, end), if the limit allows. */
static int apply(struct fl_task *t, fl_va start, fl_va end, uint64_t flags)
{
	struct fl_change c;
	int err;

	if (start == end)
		return 0;
	err = fl_change_lock(&c, t, t->mm, start, end);
	if (err)
		return err;
	if (flags &&
	    !fl_mm_may_lock(t->mm, t, end - start - (FL_BUG(locked_twice) ? 0 : locked_within(t->mm, start, end))))
		err = -FL_ENOMEM;
	else
		err = set_locked(&c, start, end, flags);
	fl_change_unlock(&c);
	return err;
}

/* Is there room within the limit? Nobody holds the range. */
static bool has_room(struct fl_task *t, fl_va start, fl_va end, uint64_t bytes)
{
	uint64_t locked;

	fl_rcu_read_lock();
	locked = locked_within(t->mm, start, end);
	fl_rcu_read_unlock();
	return fl_mm_may_lock(t->mm, t, bytes - locked);
}

int fl_mlock(struct fl_task *t, fl_va addr, uint64_t len, int flags)
{
	fl_va start, end;
	bool wraps;
	int err;

	if (flags & ~FL_MLOCK_ONFAULT)
		return -FL_EINVAL;
	if (!fl_mm_may_lock_any(t->mm, t))
		return -FL_EPERM;
	wraps = !whole_pages(t->mm, addr, len, &start, &end);
	/* The limit is asked first, be there something to lock or not. */
	if ((wraps || start == end) && !has_room(t, start, wraps ? UINT64_MAX : end, end - start))
		return -FL_ENOMEM;
	if (wraps)
		return -FL_EINVAL;
	err = apply(t, start, end, flags ? LOCKED_MASK : FL_VM_LOCKED);
	if (!err)
		err = fl_mm_populate(t, start, end, false);
	/* POSIX wants this name for pages that cannot be there. */
	return err == -FL_EFAULT ? -FL_ENOMEM : err;
}

int fl_munlock(struct fl_task *t, fl_va addr, uint64_t len)
{
	fl_va start, end;

	if (!whole_pages(t->mm, addr, len, &start, &end))
		return -FL_EINVAL;
	return apply(t, start, end, 0);
}

/* Every VMA gets these flags. Where there is no memory to split or merge, or no room, it stays as it is: as in Linux. */
static void set_locked_all(struct fl_change *c, uint64_t flags)
{
	struct fl_vma *v;
	uint64_t now;
	fl_va va = 0;

	while ((v = fl_index_find_in(&c->mm->index, va, c->mm->arch->task_size)) != NULL) {
		va = v->end;
		now = (v->flags & ~LOCKED_MASK) | flags;
		if (now != v->flags && !(v->flags & FL_VM_FOREIGN) &&
		    fl_change_flags(c, v, v->start, v->end, now, v->uffd))
			continue;
	}
}

static int apply_all(struct fl_task *t, int flags)
{
	const uint64_t how = flags & FL_MCL_ONFAULT ? LOCKED_MASK : FL_VM_LOCKED;
	struct fl_mm *mm = t->mm;
	struct fl_change c;
	int err;

	err = fl_change_lock(&c, t, mm, 0, mm->arch->task_size);
	if (err)
		return err;
	if ((flags & FL_MCL_CURRENT) && !(t->caps & FL_CAP_IPC_LOCK) &&
	    fl_load(&mm->total_pages) > fl_load(&mm->limit_memlock)) {
		err = -FL_ENOMEM;
	} else {
		fl_store(&mm->lock_later, flags & FL_MCL_FUTURE ? (uint32_t)how : 0);
		if ((flags & FL_MCL_CURRENT) || !flags)
			set_locked_all(&c, flags ? how : 0);
	}
	fl_change_unlock(&c);
	return err;
}

int fl_mlockall(struct fl_task *t, int flags)
{
	int err;

	if (!flags || (flags & ~(FL_MCL_CURRENT | FL_MCL_FUTURE | FL_MCL_ONFAULT)) || flags == FL_MCL_ONFAULT)
		return -FL_EINVAL;
	if (!fl_mm_may_lock_any(t->mm, t))
		return -FL_EPERM;
	err = apply_all(t, flags);
	if (!err && (flags & FL_MCL_CURRENT))
		(void)fl_mm_populate(t, 0, t->mm->arch->task_size, true);
	return err;
}

int fl_munlockall(struct fl_task *t)
{
	return apply_all(t, 0);
}

struct residence {
	struct fl_mm *mm;
	fl_va start; /* of what vec tells of */
	uint8_t *vec;
};

/* Under the table's lock: copy-on-write takes an entry away for a moment. */
static int note_residence(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	struct residence *r = arg;
	unsigned i = fl_leaf_index(&r->mm->tables, start);

	for (; start < end; start += fl_mm_page(r->mm), i++)
		r->vec[fl_pages(r->mm, start - r->start)] = (fl_entry_get(t, i) & FL_PTE_PRESENT) != 0;
	return 0;
}

int fl_mincore(struct fl_task *t, fl_va addr, uint64_t len, uint8_t *vec)
{
	struct fl_mm *mm = t->mm;
	struct residence r = {.mm = mm, .start = addr, .vec = vec};
	fl_va va = addr, end, stop;
	struct fl_vma_info v;

	if (addr & (fl_mm_page(mm) - 1))
		return -FL_EINVAL;
	if (addr > mm->arch->task_size || len > mm->arch->task_size - addr)
		return -FL_ENOMEM;
	end = addr + fl_page_up(mm, len);
	for (; va < end; va = stop) {
		if (!fl_mm_next_vma(mm, va, &v) || v.start > va)
			return -FL_ENOMEM;
		stop = v.end < end ? v.end : end;
		if (v.vm_flags & FL_VM_FOREIGN)
			continue;
		for (fl_va page = va; page < stop; page += fl_mm_page(mm))
			vec[fl_pages(mm, page - addr)] = 0;
		(void)fl_tables_for_each(&mm->tables, va, stop, note_residence, &r);
	}
	return 0;
}

int fl_msync(struct fl_task *t, fl_va addr, uint64_t len, int flags)
{
	struct fl_mm *mm = t->mm;
	fl_va va = addr, end = addr + fl_page_up(mm, len);
	struct fl_vma_info v;
	bool hole = false;

	if ((flags & ~(FL_MS_ASYNC | FL_MS_INVALIDATE | FL_MS_SYNC)) || (addr & (fl_mm_page(mm) - 1)) ||
	    ((flags & FL_MS_ASYNC) && (flags & FL_MS_SYNC)))
		return -FL_EINVAL;
	if (end < addr)
		return -FL_ENOMEM;
	for (; va < end; va = v.end) {
		if (!fl_mm_next_vma(mm, va, &v) || v.start >= end || (v.start > va && flags == FL_MS_ASYNC))
			return -FL_ENOMEM;
		hole |= v.start > va;
		if ((flags & FL_MS_INVALIDATE) && (v.vm_flags & FL_VM_LOCKED))
			return -FL_EBUSY;
	}
	return hole ? -FL_ENOMEM : 0;
}
