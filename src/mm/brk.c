/* SPDX-License-Identifier: MIT */
/*
 * brk(2) and the growth of stacks: mappings that get longer.
 *
 * brk_size changes under the exclusive range lock of the page at brk_start, which every brk call takes with the rest of
 * the heap.
 */
#include "mm/mm_int.h"
#include "sync/bug.h"

#define HEAP_FLAGS (FL_VM_READ | FL_VM_WRITE | FL_VM_MAYREAD | FL_VM_MAYWRITE | FL_VM_MAYEXEC | FL_VM_ACCOUNT)

/* Is there room for the heap up to end, with the page that Linux leaves between it and what follows? */
static bool room_for_heap(struct fl_mm *mm, fl_va old, fl_va end)
{
	const struct fl_vma *v;
	uint64_t guard;
	bool room;

	fl_rcu_read_lock();
	v = fl_index_find(&mm->index, old);
	guard = v && (v->flags & FL_VM_GROWSDOWN) ? mm->index.guard : 0;
	room = !v || (v->start > guard && end + fl_mm_page(mm) <= v->start - guard);
	fl_rcu_read_unlock();
	return room;
}

static int grow_heap(struct fl_change *c, fl_va old, fl_va end)
{
	struct fl_mm *mm = c->mm;
	struct fl_vma put = {
		.start = old,
		.end = end,
		.flags = HEAP_FLAGS | fl_load(&mm->lock_later),
		.pgoff = fl_pages(mm, old),
		.object = &mm->anon,
	};

	if (end > mm->arch->task_size || !room_for_heap(mm, old, end))
		return -FL_ENOMEM;
	if ((put.flags & FL_VM_LOCKED) && !fl_mm_may_lock(mm, c->task, end - old))
		return -FL_EAGAIN;
	if (!fl_mm_has_maps(mm, 0) || !fl_mm_may_commit(mm, fl_pages(mm, end - old)))
		return -FL_ENOMEM;
	c->room = 0;
	fl_change_ask(c, put.flags, fl_pages(mm, end - old));
	if (fl_change_prepare(c, old, end, &put))
		return -FL_ENOMEM;
	fl_change_mark(c);
	fl_change_commit(c);
	return 0;
}

static int shrink_heap(struct fl_change *c, fl_va end, fl_va old)
{
	/* Linux refuses when nothing of the heap is left there. */
	if (!fl_mm_occupied(c->mm, end, old) || fl_mm_hole_past_limit(c->mm, end, old))
		return -FL_ENOMEM;
	return fl_mm_unmap_locked(c, end, old);
}

/* Under the lock of [brk_start, max of both ends). */
static int set_brk(struct fl_change *c, fl_va old, fl_va brk)
{
	struct fl_mm *mm = c->mm;
	fl_va old_end = fl_page_up(mm, old), end = fl_page_up(mm, brk);
	int err = 0;

	if (fl_pages(mm, end - mm->brk_start) > fl_load(&mm->limit_heap))
		return -FL_ENOMEM;
	if (end > old_end)
		err = grow_heap(c, old_end, end);
	else if (end < old_end)
		err = shrink_heap(c, end, old_end);
	if (!err)
		fl_store(&mm->brk_size, (uintptr_t)((FL_BUG(brk_rounded) ? end : brk) - mm->brk_start));
	return err;
}

fl_va fl_brk(struct fl_task *t, fl_va addr)
{
	struct fl_mm *mm = t->mm;
	fl_va old, end = 0;
	struct fl_change c;
	int err;

	for (;;) {
		old = mm->brk_start + fl_load(&mm->brk_size);
		if (!mm->brk_start || addr < mm->brk_start || addr > mm->arch->task_size ||
		    addr - mm->brk_start > UINTPTR_MAX)
			return old;
		end = fl_page_up(mm, addr > old ? addr : old);
		if (fl_change_lock(&c, t, mm, mm->brk_start, end > mm->brk_start ? end : end + fl_mm_page(mm)))
			return old;
		if (mm->brk_start + fl_load(&mm->brk_size) == old)
			break;
		fl_change_unlock(&c);
	}
	err = set_brk(&c, old, addr);
	fl_change_unlock(&c);
	if (!err && addr < old)
		fl_tables_free_empty(&mm->tables, fl_page_up(mm, addr), fl_page_up(mm, old));
	if (!err && addr > old && fl_load(&mm->lock_later))
		(void)fl_mm_populate(t, fl_page_up(mm, old), fl_page_up(mm, addr), true);
	return err ? old : addr;
}

/*
 * Does the guard gap below a stack that begins at start stay free? What may not be accessed, or is itself a stack, may
 * be nearer.
 */
static bool guard_free(struct fl_mm *mm, const struct fl_vma *v, fl_va start)
{
	const uint64_t access = FL_VM_READ | FL_VM_WRITE | FL_VM_EXEC;
	const struct fl_vma *below;
	uint64_t guard = 0;
	bool free = true;

	if (start < mm->min_hint || fl_pages(mm, v->start - start) > v->pgoff)
		return false;
	fl_rcu_read_lock(); /* what is below may lie farther down than the lock reaches */
	below = fl_index_find_prev(&mm->index, v->start);
	if (below && !(below->flags & FL_VM_GROWSDOWN) && (below->flags & access) && !FL_BUG(gap_ignored))
		guard = mm->index.guard;
	if (below)
		free = below->end <= start && start - below->end >= guard;
	fl_rcu_read_unlock();
	return free;
}

static bool within_limits(struct fl_change *c, const struct fl_vma *v, fl_va start)
{
	struct fl_mm *mm = c->mm;

	if (fl_pages(mm, v->end - start) > fl_load(&mm->limit_stack))
		return false;
	if ((v->flags & FL_VM_LOCKED) && !fl_mm_may_lock(mm, c->task, v->start - start))
		return false;
	return fl_mm_may_commit(mm, fl_pages(mm, v->start - start));
}

static int grow_to(struct fl_change *c, struct fl_vma *v, fl_va start)
{
	/* Not *v: a fault may set the anon_id at this moment. */
	struct fl_vma put = {.flags = v->flags, .object = v->object, .uffd = v->uffd};

	if (!guard_free(c->mm, v, start))
		return -FL_ENOMEM;
	fl_rcu_read_lock();
	put.anon_id = fl_vma_anon_id(c->mm, v); /* here Linux prepares the anon_vma, even if the limits then refuse */
	fl_rcu_read_unlock();
	put.start = start;
	put.end = v->start;
	put.pgoff = v->pgoff - fl_pages(c->mm, v->start - start);
	c->apart = true; /* two stacks that meet stay two */
	fl_change_ask(c, v->flags, fl_pages(c->mm, v->start - start));
	if (!within_limits(c, v, start) || fl_change_prepare(c, start, v->start, &put))
		return -FL_ENOMEM;
	fl_change_mark(c);
	fl_change_commit(c);
	return 0;
}

int fl_mm_grow_stack(struct fl_task *t, fl_va va)
{
	struct fl_mm *mm = t->mm;
	fl_va start = fl_page_down(mm, va), gap = start > mm->index.guard ? start - mm->index.guard : 0, above;
	struct fl_vma_info info;
	struct fl_change c;
	struct fl_vma *v;
	int err;

	for (;;) {
		if (!fl_mm_next_vma(mm, va, &info))
			return -FL_ENOMEM;
		if (info.start <= va)
			return 0; /* somebody else was faster */
		if ((info.vm_flags & (FL_VM_GROWSDOWN | FL_VM_FOREIGN)) != FL_VM_GROWSDOWN)
			return -FL_ENOMEM;
		above = info.start;
		/* The gap as well: what is put below meanwhile must see where the stack begins. */
		err = fl_change_lock(&c, t, mm, gap, above);
		if (err)
			return err;
		v = fl_index_find_in(&mm->index, start, above + 1);
		if (v && v->start == above)
			break;
		fl_change_unlock(&c);
	}
	err = v->flags & FL_VM_GROWSDOWN ? grow_to(&c, v, start) : -FL_ENOMEM;
	fl_change_unlock(&c);
	return err;
}
