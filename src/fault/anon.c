/* SPDX-License-Identifier: MIT */
/*
 * Anonymous memory where nothing is mapped yet: a read gets the shared zero frame, a write a frame of its own. Rules 5
 * and 6.
 *
 * Entries are written under the leaf table lock; the frame's metadata is this task's until the entry is there.
 */
#include "fault/handler.h"
#include "sync/bug.h"

bool fl_fault_spare(struct fl_fault_ctx *c, bool clear)
{
	if (c->spare == FL_PFN_NONE) {
		c->spare = fl_frame_alloc(c->task);
		if (c->spare == FL_PFN_NONE)
			return false;
		c->spare_clear = fl_frame_is_clear(c->mm->frames, c->spare);
	}
	if (clear && !c->spare_clear) {
		fl_port_clear(fl_frame_data(c->mm->frames, c->spare), (size_t)fl_page_size(&c->mm->tables));
		c->spare_clear = true;
	}
	return true;
}

fl_pte fl_fault_own(struct fl_mm *mm, struct fl_vma *v, fl_va page, fl_pfn pfn, fl_pte flags)
{
	fl_store(&fl_frame_meta(mm->frames, pfn)->maps, 1);
	fl_mm_own_frame(mm, v, page, pfn);
	return fl_pte_make(pfn, fl_pte_prot(mm->arch, v->flags) | FL_PTE_EXCL | flags);
}

struct fl_table *fl_fault_lock(struct fl_fault_ctx *c, fl_pte seen, unsigned *i, enum fl_step *why)
{
	const fl_pte touched = FL_PTE_YOUNG | FL_PTE_DIRTY;
	struct fl_tables *pt = &c->mm->tables;
	struct fl_table *t = fl_table_lock(pt, c->page);
	bool made = !t;

	if (made) {
		if (fl_table_ensure(pt, c->page)) {
			*why = FL_STEP_OOM;
			return NULL;
		}
		t = fl_table_lock(pt, c->page);
		if (!t) {
			*why = FL_STEP_AGAIN;
			return NULL;
		}
	}
	*i = fl_leaf_index(pt, c->page);
	/*
	 * Partner: the writer's store of the mark, before it passes this table's lock. Had the writer passed already,
	 * its mark is visible through the lock; if not, it will find what is installed here. A table that was made just
	 * now it either meets on its walk, or its mark came before the slot in the one order of both (rule 6).
	 */
	if (fl_load_seq(&c->vma->mark) && !(FL_BUG(slot_unchecked) && made)) {
		*why = FL_STEP_STALE;
		if (FL_BUG(range_lock_last) && !c->locked)
			c->locked = !fl_range_lock(&c->mm->ranges, &c->range, c->task, c->page,
						   c->page + fl_mm_page(c->mm), FL_RANGE_SHARED, FL_WAIT_KILLABLE);
	} else if (((fl_entry_get(t, *i) ^ seen) & ~touched) != 0 && !FL_BUG(entry_unchecked)) {
		*why = FL_STEP_AGAIN;
	} else {
		return t;
	}
	fl_table_unlock(t);
	/* The writer may be past freeing tables, and whoever looks again may find no VMA: leave no empty table behind.
	 */
	if (made && !FL_BUG(table_left))
		fl_tables_free_empty(pt, c->page, c->page + fl_mm_page(c->mm));
	return NULL;
}

static enum fl_step map_zero(struct fl_fault_ctx *c)
{
	struct fl_table *t;
	enum fl_step why;
	unsigned i;

	t = fl_fault_lock(c, 0, &i, &why);
	if (!t)
		return why;
	fl_entry_set(t, i,
		     fl_pte_make(fl_frames_zero_pfn(c->mm->frames),
				 fl_fault_rights(c->mm, c->vma) | FL_PTE_ZERO | FL_PTE_YOUNG));
	fl_table_unlock(t);
	c->f.kind = FL_KIND_ZERO;
	return FL_STEP_DONE;
}

static enum fl_step map_fresh(struct fl_fault_ctx *c)
{
	struct fl_table *t;
	enum fl_step why;
	unsigned i;

	if (!fl_fault_spare(c, true))
		return FL_STEP_OOM;
	if (!FL_BUG(identity_late))
		fl_vma_anon_id(c->mm, c->vma);
	t = fl_fault_lock(c, 0, &i, &why);
	if (!t)
		return why;
	if (FL_BUG(identity_late))
		fl_vma_anon_id(c->mm, c->vma);
	fl_entry_set(t, i, fl_fault_own(c->mm, c->vma, c->page, c->spare, FL_PTE_YOUNG | FL_PTE_DIRTY));
	fl_table_unlock(t);
	c->spare = FL_PFN_NONE;
	c->f.kind = FL_KIND_ANON;
	return FL_STEP_DONE;
}

enum fl_step fl_fault_anon(struct fl_fault_ctx *c)
{
	return c->f.access == FL_WRITE ? map_fresh(c) : map_zero(c);
}
