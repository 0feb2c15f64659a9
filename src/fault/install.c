/* SPDX-License-Identifier: MIT */
/*
 * Put a page where nothing is, for userfaultfd: the fault path's install without a fault. The same checks under the
 * leaf table lock (rules 5 and 6), and one more: the registration.
 */
#include "fault/handler.h"
#include "sync/bug.h"
#include "uffd/uffd_int.h"

/* Linux's rule: a copy takes the place of any marker, guards and poison included; the zero frame that of nothing. */
static bool vacant(fl_pte e, fl_pfn pfn)
{
	return pfn == FL_PFN_NONE ? !e : !(e & FL_PTE_PRESENT);
}

static int install(struct fl_fault_ctx *c, fl_pfn pfn)
{
	struct fl_table *t;
	enum fl_step why;
	fl_pte seen, e;
	unsigned i;

	seen = fl_table_peek(&c->mm->tables, c->page);
	/* Whose page is it? After an unregister it may be an ordinary fault's, and the registration is what is missing. */
	if (FL_BUG(zero_over) && pfn == FL_PFN_NONE && !vacant(seen, pfn))
		return 0;
	if (!vacant(seen, pfn))
		return fl_load(&c->vma->mark) || fl_uffd_released(c->vma->uffd) ? -FL_EAGAIN : -FL_EEXIST;
	if (pfn != FL_PFN_NONE)
		fl_vma_anon_id(c->mm, c->vma);
	t = fl_fault_lock(c, seen, &i, &why);
	if (!t)
		return why == FL_STEP_OOM ? -FL_ENOMEM : FL_BUG(fill_efault) ? -FL_EFAULT : -FL_EAGAIN;
	if (pfn == FL_PFN_NONE)
		e = fl_pte_make(fl_frames_zero_pfn(c->mm->frames), fl_fault_rights(c->mm, c->vma) | FL_PTE_ZERO);
	else
		e = fl_fault_own(c->mm, c->vma, c->page, pfn, FL_PTE_DIRTY);
	fl_entry_set(t, i, e);
	fl_table_unlock(t);
	return 0;
}

int fl_fault_install(struct fl_task *t, struct fl_mm *mm, struct fl_uffd *want, fl_va va, fl_pfn pfn)
{
	struct fl_fault_ctx c = {.task = t, .mm = mm, .page = va, .spare = FL_PFN_NONE};
	int err;

	fl_rcu_read_lock();
	c.vma = fl_index_find(&mm->index, va);
	if (!c.vma || c.vma->start > va || !c.vma->uffd || (want && c.vma->uffd != want) ||
	    fl_uffd_released(c.vma->uffd))
		err = -FL_ENOENT;
	else
		err = install(&c, pfn);
	fl_rcu_read_unlock();
	return err;
}
