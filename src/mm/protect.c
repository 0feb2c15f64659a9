/* SPDX-License-Identifier: MIT */
/*
 * mprotect(2): VMA by VMA from left to right under one range lock, so that an error leaves those before it changed, as
 * in Linux.
 */
#include "mm/mm_int.h"
#include "sync/bug.h"

#define RWX (FL_VM_READ | FL_VM_WRITE | FL_VM_EXEC)

/* Locked memory that becomes writable is to be copied at once, so that the first write to it need not fault. */
struct copy_ahead {
	fl_va start, end;
	struct copy_ahead *next;
};

static bool wants_copy(uint64_t before, uint64_t after)
{
	return (before & (FL_VM_WRITE | FL_VM_SHARED | FL_VM_LOCKED)) == FL_VM_LOCKED && (after & FL_VM_WRITE);
}

/* Remember [start, end). Without memory for it, its writes fault. */
static void note_copy(struct copy_ahead **list, fl_va start, fl_va end)
{
	struct copy_ahead *c = fl_port_alloc(sizeof(*c));

	if (!c)
		return;
	c->start = start;
	c->end = end;
	c->next = *list;
	*list = c;
}

static void copy_all(struct fl_task *t, struct copy_ahead *list)
{
	struct copy_ahead *next;

	for (; list; list = next) {
		next = list->next;
		fl_mm_populate_locked(t, list->start, list->end);
		fl_port_free(list, sizeof(*list));
	}
}

/* One VMA's part [start, end). */
static int protect(struct fl_change *c, const struct fl_vma *v, fl_va start, fl_va end, uint64_t prot,
		   struct copy_ahead **copy)
{
	uint64_t flags = (v->flags & ~RWX) | prot, before = v->flags;
	int err;

	/* MAYREAD, MAYWRITE and MAYEXEC are the same bits, four further up. */
	if (flags & ~(flags >> 4) & RWX)
		return -FL_EACCES;
	if (flags == v->flags)
		return 0;
	if (flags & FL_VM_WRITE) {
		/* Room for data is asked for where memory becomes data, and only where the address space has room. */
		if (!fl_mm_may_expand(c->mm, flags, end - start) && fl_mm_may_expand(c->mm, v->flags, end - start))
			return -FL_ENOMEM;
		if (!(v->flags & (FL_VM_ACCOUNT | FL_VM_WRITE | FL_VM_SHARED | FL_VM_NORESERVE | FL_VM_FOREIGN))) {
			if (!fl_mm_may_commit(c->mm, fl_pages(c->mm, end - start)))
				return -FL_ENOMEM;
			flags |= FL_VM_ACCOUNT;
		}
	} else if (!fl_load(&v->anon_id)) {
		flags &= ~FL_VM_ACCOUNT;
	}
	err = fl_change_flags(c, v, start, end, flags, v->uffd);
	if (!err && wants_copy(before, flags)) {
		note_copy(copy, start, end);
		/* Linux copies now, so what comes next finds a neighbour that has been written to. */
		fl_rcu_read_lock();
		if (!(flags & FL_VM_LOCKONFAULT))
			(void)fl_vma_anon_id(c->mm, fl_mm_vma_at(c->mm, start));
		fl_rcu_read_unlock();
	}
	return err;
}

/* Where PROT_GROWSDOWN makes the range begin. Returns 0 or -errno. */
static int grow_start(struct fl_mm *mm, fl_va *start, fl_va end)
{
	struct fl_vma *v;
	int err = 0;

	fl_rcu_read_lock();
	v = fl_index_find(&mm->index, *start);
	if (!v || v->start >= end)
		err = -FL_ENOMEM;
	else if (!(v->flags & FL_VM_GROWSDOWN))
		err = -FL_EINVAL;
	else
		*start = v->start;
	fl_rcu_read_unlock();
	return err;
}

static int protect_range(struct fl_change *c, fl_va start, fl_va end, uint64_t prot, struct copy_ahead **copy)
{
	struct fl_vma *v;
	fl_va stop;
	int err = 0;

	for (; !err && start < end; start = stop) {
		v = fl_mm_vma_at(c->mm, start);
		if (!v)
			return -FL_ENOMEM;
		stop = v->end < end ? v->end : end;
		err = protect(c, v, start, stop, prot, copy);
	}
	return err;
}

/*
 * Lock what shall change, from *start on. With PROT_GROWSDOWN that is the beginning of the VMA, which may move
 * meanwhile.
 */
static int lock_range(struct fl_change *c, struct fl_task *t, fl_va *start, fl_va end, bool grows_down)
{
	fl_va addr = *start, again;
	int err;

	for (;;) {
		*start = again = addr;
		err = grows_down ? grow_start(t->mm, start, end) : 0;
		if (!err)
			err = fl_change_lock(c, t, t->mm, *start, end);
		if (err || !grows_down || (!grow_start(t->mm, &again, end) && again == *start))
			return err;
		fl_change_unlock(c);
	}
}

int fl_mprotect(struct fl_task *t, fl_va addr, uint64_t len, int prot)
{
	int grows = prot & (FL_PROT_GROWSDOWN | FL_PROT_GROWSUP), err;
	struct fl_mm *mm = t->mm;
	struct copy_ahead *copy = NULL;
	struct fl_change c;
	fl_va end;

	prot &= ~grows;
	if (grows == (FL_PROT_GROWSDOWN | FL_PROT_GROWSUP) || (addr & (fl_mm_page(mm) - 1)))
		return -FL_EINVAL;
	if (!len && !FL_BUG(empty_refused))
		return 0;
	end = addr + fl_page_up(mm, len);
	if (end <= addr)
		return -FL_ENOMEM;
	if (prot & ~(FL_PROT_READ | FL_PROT_WRITE | FL_PROT_EXEC | FL_PROT_SEM))
		return -FL_EINVAL;
	if (addr >= mm->arch->task_size)
		return -FL_ENOMEM;
	err = lock_range(&c, t, &addr, end, (grows & FL_PROT_GROWSDOWN) != 0);
	if (err)
		return err;
	if (grows & FL_PROT_GROWSUP)
		err = fl_mm_vma_at(mm, addr) ? -FL_EINVAL : -FL_ENOMEM;
	else
		err = protect_range(&c, addr, end, fl_prot_flags(prot), &copy);
	fl_change_unlock(&c);
	copy_all(t, copy);
	return err;
}
