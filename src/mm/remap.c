/* SPDX-License-Identifier: MIT */
/*
 * mremap(2): shrink, grow in place, move. How the pages of a move travel: src/mm/move.c.
 *
 * One exclusive range lock covers where a mapping is and where it goes, and all between: two locks taken one after the
 * other could deadlock with a third call that waits between them.
 */
#include "mm/move.h"
#include "sync/bug.h"

#define KNOWN_FLAGS (FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED | FL_MREMAP_DONTUNMAP)

static bool overlap(fl_va a, uint64_t a_len, fl_va b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/*
 * A move may split the source and add the target: Linux keeps room for that, and for what a target that is cleared
 * adds.
 */
static bool room_to_move(const struct fl_mm *mm, uint32_t more)
{
	return fl_mm_has_maps(mm, more + 4);
}

/* What can be said without looking at mappings. Lengths are whole pages. */
static int check_arguments(const struct fl_remap *r)
{
	const struct fl_mm *mm = r->mm;
	fl_va below = fl_mm_page(mm) - 1;

	if ((r->flags & ~KNOWN_FLAGS) || (r->from & below) || !r->new_len || r->new_len > mm->arch->task_size)
		return -FL_EINVAL;
	if (!(r->flags & (FL_MREMAP_FIXED | FL_MREMAP_DONTUNMAP)))
		return 0;
	if (r->to > mm->arch->task_size - r->new_len || (r->to & below) || !(r->flags & FL_MREMAP_MAYMOVE))
		return -FL_EINVAL;
	if ((r->flags & FL_MREMAP_DONTUNMAP) && r->old_len != r->new_len)
		return -FL_EINVAL;
	if (overlap(r->from, r->old_len, r->to, r->new_len))
		return -FL_EINVAL;
	return room_to_move(mm, 2) ? 0 : -FL_ENOMEM;
}

/* Lock the source, and the target if there is one. */
static int lock_both(struct fl_remap *r)
{
	fl_va lo = r->from, hi = r->from + (r->old_len > r->new_len ? r->old_len : r->new_len);

	if (r->placed && r->to < lo)
		lo = r->to;
	if (r->placed && r->to + r->new_len > hi)
		hi = r->to + r->new_len;
	if (hi < lo || hi > r->mm->arch->task_size)
		hi = r->mm->arch->task_size;
	return fl_change_lock(&r->change, r->task, r->mm, lo, hi);
}

/* More pages than before: what Linux asks before it makes room for them. */
static int check_growth(struct fl_remap *r, const struct fl_vma *v, uint64_t more)
{
	struct fl_mm *mm = r->mm;

	if ((v->flags & FL_VM_LOCKED) && !fl_mm_may_lock(mm, r->task, more))
		return -FL_EAGAIN;
	if (!fl_mm_may_expand(mm, v->flags, more))
		return -FL_ENOMEM;
	return (v->flags & FL_VM_ACCOUNT) && !fl_mm_may_commit(mm, fl_pages(mm, more)) ? -FL_ENOMEM : 0;
}

/* v, which holds the source: may it be grown or moved? */
static int check_source(struct fl_remap *r, const struct fl_vma *v)
{
	if (v->flags & FL_VM_FOREIGN)
		return -FL_EFAULT;
	if (!r->old_len)
		return -FL_EINVAL;
	/* Of a mapping that shrinks only what is left has to lie in one VMA. */
	if ((r->old_len < r->new_len ? r->old_len : r->new_len) > v->end - r->from)
		return -FL_EFAULT;
	return r->new_len > r->old_len ? check_growth(r, v, r->new_len - r->old_len) : 0;
}

/* Give back the tail [from + new_len, from + old_len). */
static int shrink(struct fl_remap *r)
{
	fl_va start = r->from + r->new_len, end = r->from + r->old_len;

	if (end < start || end > r->mm->arch->task_size)
		return -FL_EINVAL;
	if (fl_mm_hole_past_limit(r->mm, start, end))
		return -FL_ENOMEM;
	return fl_mm_unmap_locked(&r->change, start, end);
}

static bool can_extend(const struct fl_remap *r, const struct fl_vma *v)
{
	uint64_t more = r->new_len - r->old_len;

	return r->from + r->old_len == v->end && more <= r->mm->arch->task_size - v->end &&
	       !fl_mm_occupied(r->mm, v->end, v->end + more);
}

static int extend(struct fl_remap *r, const struct fl_vma *v)
{
	struct fl_vma put = {
		.start = v->end,
		.end = v->end + (r->new_len - r->old_len),
		.flags = v->flags,
		.pgoff = v->pgoff + fl_pages(r->mm, v->end - v->start),
		.object = v->object,
		.uffd = v->uffd,
		.anon_id = fl_load(&v->anon_id),
	};

	r->change.grows = true;
	fl_change_ask(&r->change, v->flags, fl_pages(r->mm, put.end - put.start));
	if (fl_change_prepare(&r->change, put.start, put.end, &put))
		return -FL_ENOMEM;
	fl_change_mark(&r->change);
	fl_change_commit(&r->change);
	return 0;
}

/* Without FIXED or DONTUNMAP. -FL_ENOMEM with *again: a place was chosen; lock it too and come back. */
static int resize(struct fl_remap *r, bool *again)
{
	struct fl_vma *v = fl_mm_vma_at(r->mm, r->from);
	int err;

	if (!v || (v->flags & FL_VM_FOREIGN))
		return -FL_EFAULT;
	if (r->new_len == r->old_len)
		return 0;
	if (r->new_len < r->old_len)
		return shrink(r);
	err = check_source(r, v);
	if (err)
		return err;
	if (v->flags & FL_VM_LOCKED)
		r->populate = true;
	if (can_extend(r, v))
		return extend(r, v);
	if (!(r->flags & FL_MREMAP_MAYMOVE))
		return -FL_ENOMEM;
	if (!room_to_move(r->mm, 0))
		return -FL_ENOMEM;
	if (!r->placed || !fl_mm_has_room(r->mm, r->to, r->new_len)) {
		r->to = fl_mm_choose(r->mm, r->new_len, 0);
		r->placed = *again = r->to != 0;
		return -FL_ENOMEM;
	}
	err = fl_move(r, v, r->from, r->old_len, r->to, r->new_len);
	if (!err)
		r->at = r->to;
	return err;
}

/* Move [from, from + len), part of one VMA, to to, over what is there; what is beyond new_len goes. */
static int move_over(struct fl_remap *r, fl_va from, uint64_t len, fl_va to, uint64_t new_len)
{
	struct fl_mm *mm = r->mm;
	struct fl_vma *v;
	int err;

	/* From here on as Linux: what was at the target is gone even if the move then fails. */
	err = fl_mm_unmap_locked(&r->change, to, to + new_len);
	if (!err && !fl_mm_vma_at(mm, from))
		err = -FL_EFAULT; /* it was the target */
	if (!err && new_len < len)
		err = shrink(r);
	if (err)
		return err;
	v = fl_mm_vma_at(mm, from);
	if ((r->flags & FL_MREMAP_DONTUNMAP) && !fl_mm_may_expand(mm, v->flags, len))
		return -FL_ENOMEM;
	if (to < mm->min_addr && !(r->task->caps & FL_CAP_SYS_RAWIO))
		return -FL_EPERM;
	if (!room_to_move(mm, 0))
		return -FL_ENOMEM;
	return fl_move(r, v, from, len < new_len ? len : new_len, to, new_len);
}

/* The source may be several VMAs when it only moves (Linux from 6.17 on). What is opposite to holes stays. */
static int move_several(struct fl_remap *r)
{
	fl_va start = r->from, end = r->from + r->old_len, stop;
	struct fl_vma *v;
	int err = 0;

	for (; !err && start < end; start = stop) {
		v = fl_index_find_in(&r->mm->index, start, end);
		if (!v)
			break;
		if (v->uffd || (v->flags & FL_VM_FOREIGN))
			return -FL_EFAULT;
		if (v->start > start)
			start = v->start;
		stop = v->end < end ? v->end : end;
		err = move_over(r, start, stop - start, r->to + (start - r->from), stop - start);
	}
	return err;
}

static int move_one(struct fl_remap *r, const struct fl_vma *v)
{
	int err = check_source(r, v);

	if (err)
		return err;
	r->populate = (v->flags & FL_VM_LOCKED) && r->new_len > r->old_len;
	return move_over(r, r->from, r->old_len, r->to, r->new_len);
}

/* FIXED, or DONTUNMAP to where there is room. */
static int remap_to(struct fl_remap *r)
{
	struct fl_vma *v = fl_mm_vma_at(r->mm, r->from);
	int err;

	if (!v || (v->flags & FL_VM_FOREIGN))
		return -FL_EFAULT;
	if (r->mm->profile->moves_several && (r->flags & FL_MREMAP_FIXED) && r->new_len == r->old_len &&
	    r->old_len > v->end - r->from)
		err = move_several(r);
	else
		err = move_one(r, v);
	if (!err)
		r->at = r->to;
	return err;
}

static int remap(struct fl_remap *r)
{
	bool fixed = (r->flags & FL_MREMAP_FIXED) != 0, again;
	fl_va hint = r->to;
	int err;

	if (r->from >= r->mm->arch->task_size)
		return -FL_EFAULT; /* nothing to look for, and no range to lock */
	r->placed = fixed;
	do {
		again = false;
		if (!fixed && (r->flags & FL_MREMAP_DONTUNMAP)) {
			r->to = fl_mm_choose(r->mm, r->new_len, hint);
			if (!r->to)
				return -FL_ENOMEM;
			r->placed = true;
		}
		err = lock_both(r);
		if (err)
			return err;
		if (!(r->flags & (FL_MREMAP_FIXED | FL_MREMAP_DONTUNMAP)))
			err = resize(r, &again);
		else if (!fixed && !fl_mm_has_room(r->mm, r->to, r->new_len))
			again = true;
		else
			err = remap_to(r);
		fl_change_unlock(&r->change);
	} while (again);
	return err;
}

int fl_mremap(struct fl_task *t, fl_va old, uint64_t old_len, uint64_t new_len, int flags, fl_va new_addr, fl_va *out)
{
	struct fl_mm *mm = t->mm;
	struct fl_remap r = {
		.task = t,
		.mm = mm,
		.from = old,
		.old_len = fl_page_up(mm, old_len),
		.new_len = fl_page_up(mm, new_len),
		.flags = flags,
		.to = new_addr,
		.at = old,
	};
	fl_va gone = old + r.new_len;
	uint64_t old_size = r.old_len;
	int err;

	err = check_arguments(&r);
	if (!err)
		err = remap(&r);
	if (FL_BUG(mremap_flush_late) && mm->ops && mm->ops->flush)
		mm->ops->flush(mm->machine, old, old + r.old_len, FL_FLUSH_PROTECT);
	if (err)
		return err;
	if (r.at != old && !(flags & FL_MREMAP_DONTUNMAP))
		gone = old;
	if (gone < old + old_size)
		fl_tables_free_empty(&mm->tables, gone, old + old_size);
	if (r.populate)
		(void)fl_mm_populate(t, r.at + r.old_len, r.at + r.new_len, true);
	*out = r.at;
	return 0;
}
