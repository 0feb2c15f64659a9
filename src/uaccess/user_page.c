/* SPDX-License-Identifier: MIT */
/*
 * Hold a page of user memory still. Lock: the leaf table's, from a successful hold to the release.
 */
#include "fault/handler.h"
#include "sync/bug.h"
#include "uaccess/user_page.h"

/* Do what a machine's walker does on an access. */
static void touch(struct fl_table *t, unsigned i, fl_pte e, fl_pte bits)
{
	if ((e & bits) != bits)
		fl_entry_flags(t, i, 0, bits);
}

static enum fl_user_state why_not(struct fl_mm *mm, fl_va va, struct fl_user_page *p)
{
	struct fl_vma *v = fl_index_find(&mm->index, va);

	if (!v || v->start > va || !(v->flags & FL_VM_FOREIGN))
		return FL_USER_FAULT;
	p->vm_flags = v->flags;
	return FL_USER_FOREIGN;
}

enum fl_user_state fl_user_hold(struct fl_mm *mm, fl_va va, enum fl_access access, struct fl_user_page *p)
{
	fl_pte e = 0, page = (fl_pte)fl_page_size(&mm->tables);
	enum fl_user_state state;
	unsigned i;

	p->present = false;
	fl_rcu_read_lock();
	p->table = fl_table_lock(&mm->tables, va);
	if (p->table) {
		i = fl_leaf_index(&mm->tables, va);
		e = fl_entry_get(p->table, i);
		if ((e & FL_PTE_PRESENT) && (e & fl_access_right(access))) {
			touch(p->table, i, e, FL_PTE_YOUNG | (access == FL_WRITE ? FL_PTE_DIRTY : 0));
			p->data = (char *)fl_frame_data(mm->frames, fl_pte_pfn(e)) + (va & (page - 1));
			if (FL_BUG(copy_unlocked))
				fl_table_unlock(p->table);
			return FL_USER_HELD;
		}
		fl_table_unlock(p->table);
	}
	p->present = (e & FL_PTE_PRESENT) && (e & FL_PTE_RWX);
	state = why_not(mm, va, p);
	fl_rcu_read_unlock();
	return state;
}

void fl_user_release(struct fl_user_page *p)
{
	if (!FL_BUG(copy_unlocked))
		fl_table_unlock(p->table);
	fl_rcu_read_unlock();
}

bool fl_user_fault(struct fl_task *t, fl_va va, enum fl_access access, const struct fl_user_page *p)
{
	struct fl_fault f = {.addr = va, .access = (uint8_t)access, .flags = p->present ? FL_FAULTF_PRESENT : 0};

	return fl_handle_fault(t, &f) == FL_FAULT_DONE;
}
