/* SPDX-License-Identifier: MIT */
/*
 * madvise(2). Three kinds of advice:
 *
 *   flags     VMA by VMA under an exclusive range lock, splitting and merging as mprotect does
 *   contents  DONTNEED, guards: entries change under a shared range lock, VMAs do not
 *   populate  through the fault entry with nothing locked
 *
 * A hole in the range is ENOMEM, after the rest has been done; any other error ends the call where it is. Foreign VMAs
 * count as mapped and are left alone.
 */
#include "faultline/fault.h"
#include "mm/mm_int.h"
#include "mm/advise.h"
#include "sync/bug.h"

enum kind {
	INVALID,
	FLAGS,
	CONTENTS,
	POPULATE,
	REFUSED, /* known; and EINVAL for every anonymous VMA */
};

struct flag_advice {
	uint64_t clear, set;
};

static const struct flag_advice flag_advice[] = {
	[FL_MADV_NORMAL] = {FL_VM_RAND_READ | FL_VM_SEQ_READ, 0},
	[FL_MADV_RANDOM] = {FL_VM_SEQ_READ, FL_VM_RAND_READ},
	[FL_MADV_SEQUENTIAL] = {FL_VM_RAND_READ, FL_VM_SEQ_READ},
	[FL_MADV_DONTFORK] = {0, FL_VM_DONTCOPY},
	[FL_MADV_DOFORK] = {FL_VM_DONTCOPY, 0},
	[FL_MADV_MERGEABLE] = {0, FL_VM_MERGEABLE},
	[FL_MADV_UNMERGEABLE] = {FL_VM_MERGEABLE, 0},
	[FL_MADV_HUGEPAGE] = {FL_VM_NOHUGEPAGE, FL_VM_HUGEPAGE},
	[FL_MADV_NOHUGEPAGE] = {FL_VM_HUGEPAGE, FL_VM_NOHUGEPAGE},
	[FL_MADV_DONTDUMP] = {0, FL_VM_DONTDUMP},
	[FL_MADV_DODUMP] = {FL_VM_DONTDUMP, 0},
	[FL_MADV_WIPEONFORK] = {0, FL_VM_WIPEONFORK},
	[FL_MADV_KEEPONFORK] = {FL_VM_WIPEONFORK, 0},
};

static enum kind kind_of(int advice)
{
	switch (advice) {
	case FL_MADV_NORMAL:
	case FL_MADV_RANDOM:
	case FL_MADV_SEQUENTIAL:
	case FL_MADV_DONTFORK:
	case FL_MADV_DOFORK:
	case FL_MADV_MERGEABLE:
	case FL_MADV_UNMERGEABLE:
	case FL_MADV_HUGEPAGE:
	case FL_MADV_NOHUGEPAGE:
	case FL_MADV_DONTDUMP:
	case FL_MADV_DODUMP:
	case FL_MADV_WIPEONFORK:
	case FL_MADV_KEEPONFORK:
		return FLAGS;
	case FL_MADV_DONTNEED:
	case FL_MADV_DONTNEED_LOCKED:
	case FL_MADV_FREE:
	case FL_MADV_WILLNEED:
	case FL_MADV_COLD:
	case FL_MADV_PAGEOUT:
	case FL_MADV_GUARD_INSTALL:
	case FL_MADV_GUARD_REMOVE:
		return CONTENTS;
	case FL_MADV_POPULATE_READ:
	case FL_MADV_POPULATE_WRITE:
		return POPULATE;
	case FL_MADV_REMOVE:
	case FL_MADV_COLLAPSE:
		return REFUSED;
	default:
		return INVALID;
	}
}

/*
 * The VMA at or after *start, with *start and *stop set to its part of the range. hole: something before it is not
 * mapped.
 */
static struct fl_vma *next_part(struct fl_mm *mm, fl_va *start, fl_va end, fl_va *stop, bool *hole)
{
	struct fl_vma *v = fl_index_find_in(&mm->index, *start, end);

	if (!v) {
		*hole = true;
		return NULL;
	}
	if (v->start > *start) {
		*hole = true;
		if (FL_BUG(hole_ends))
			return NULL;
		*start = v->start;
	}
	*stop = v->end < end ? v->end : end;
	return v;
}

static int advise_flags(struct fl_task *t, fl_va start, fl_va end, const struct flag_advice *a)
{
	struct fl_change c;
	struct fl_vma *v;
	uint64_t flags;
	fl_va stop;
	bool hole = false;
	int err;

	err = fl_change_lock(&c, t, t->mm, start, end);
	if (err)
		return err;
	for (; !err && start < end; start = stop) {
		v = next_part(t->mm, &start, end, &stop, &hole);
		if (!v)
			break;
		flags = (v->flags & ~a->clear) | a->set;
		if (flags == v->flags || (v->flags & FL_VM_FOREIGN))
			continue;
		/* No memory for the VMAs is "try again" here, not ENOMEM, which means a hole. */
		if (fl_change_flags(&c, v, start, stop, flags, v->uffd))
			err = -FL_EAGAIN;
	}
	fl_change_unlock(&c);
	return err ? err : hole ? -FL_ENOMEM : 0;
}

static int advise_part(struct fl_task *t, fl_va start, fl_va end, uint64_t flags, int advice)
{
	bool locked = (flags & FL_VM_LOCKED) != 0;

	switch (advice) {
	case FL_MADV_DONTNEED:
		if (locked && !FL_BUG(locked_dropped))
			return -FL_EINVAL;
		/* fallthrough */
	case FL_MADV_DONTNEED_LOCKED:
		fl_mm_zap(t->mm, t, start, FL_BUG(drop_short) ? end - fl_mm_page(t->mm) : end, FL_BUG(guard_dropped));
		return 0;
	case FL_MADV_GUARD_INSTALL:
		return locked ? -FL_EINVAL : fl_guard_install(t, start, end);
	case FL_MADV_GUARD_REMOVE:
		fl_guard_remove(t->mm, start, end);
		return 0;
	case FL_MADV_WILLNEED:
		return 0; /* nothing is ever swapped out */
	case FL_MADV_FREE:
		if (locked)
			return -FL_EINVAL;
		fl_lazy_free(t, start, end);
		return 0;
	case FL_MADV_PAGEOUT:
		if (locked)
			return -FL_EINVAL;
		fl_lazy_drop(t, start, end);
		return 0;
	default:
		return locked ? -FL_EINVAL : 0; /* COLD is a hint about memory pressure, which there is none of */
	}
}

static int advise_contents(struct fl_task *t, fl_va start, fl_va end, int advice)
{
	struct fl_mm *mm = t->mm;
	struct fl_range_req lock;
	struct fl_vma *v;
	fl_va first = start, stop;
	bool hole = end > mm->arch->task_size;
	int err;

	if (start >= mm->arch->task_size)
		return -FL_ENOMEM;
	if (hole)
		end = mm->arch->task_size;
	err = fl_range_lock(&mm->ranges, &lock, t, start, end, FL_RANGE_SHARED, FL_WAIT_KILLABLE);
	if (err)
		return err;
	for (; !err && start < end; start = stop) {
		v = next_part(mm, &start, end, &stop, &hole);
		if (!v)
			break;
		if (!(v->flags & FL_VM_FOREIGN))
			err = advise_part(t, start, stop, v->flags, advice);
	}
	fl_range_unlock(&mm->ranges, &lock);
	if (advice == FL_MADV_DONTNEED || advice == FL_MADV_DONTNEED_LOCKED)
		fl_tables_free_empty(&mm->tables, first, end);
	return err ? err : hole ? -FL_ENOMEM : 0;
}

static int advise_populate(struct fl_task *t, fl_va start, fl_va end, enum fl_access access)
{
	struct fl_mm *mm = t->mm;
	struct fl_vma_info v = {0};
	uint64_t need = access == FL_WRITE ? FL_VM_WRITE : FL_VM_READ;
	int err = 0;

	while (start < end) {
		if (!fl_mm_next_vma(mm, start, &v) || v.start > start)
			return -FL_ENOMEM;
		if (v.vm_flags & FL_VM_FOREIGN) {
			start = v.end;
			continue;
		}
		if (!(v.vm_flags & need))
			return -FL_EINVAL;
		err = fl_mm_fault_in(t, start, access, err > 0 ? FL_FAULTF_RETRY : 0);
		if (err > 0)
			continue;
		/* Refused because the VMA was replaced under us: what there is now decides. */
		if (err == -FL_EFAULT && fl_mm_vma_changed(mm, start, &v))
			continue;
		if (err)
			return err;
		start += fl_mm_page(mm);
	}
	return 0;
}

/* For COLLAPSE and REMOVE: EINVAL at the first VMA of ours. */
static int advise_refused(struct fl_mm *mm, fl_va start, fl_va end)
{
	struct fl_vma_info v;
	bool hole = false;

	for (; start < end; start = v.end) {
		if (!fl_mm_next_vma(mm, start, &v) || v.start >= end)
			return -FL_ENOMEM;
		hole |= v.start > start;
		if (!(v.vm_flags & FL_VM_FOREIGN))
			return -FL_EINVAL;
	}
	return hole ? -FL_ENOMEM : 0;
}

int fl_madvise(struct fl_task *t, fl_va addr, uint64_t len, int advice)
{
	struct fl_mm *mm = t->mm;
	enum kind kind = fl_profile_knows_advice(mm->profile, advice) ? kind_of(advice) : INVALID;
	uint64_t size = fl_page_up(mm, len);
	fl_va end = addr + size;

	if (kind == INVALID || (addr & (fl_mm_page(mm) - 1)) || (len && !size) || end < addr)
		return -FL_EINVAL;
	if (end == addr)
		return 0;
	switch (kind) {
	case FLAGS:
		return advise_flags(t, addr, end, &flag_advice[advice]);
	case CONTENTS:
		return advise_contents(t, addr, end, advice);
	case POPULATE:
		return advise_populate(t, addr, end, advice == FL_MADV_POPULATE_WRITE ? FL_WRITE : FL_READ);
	default:
		return advise_refused(mm, addr, end);
	}
}
