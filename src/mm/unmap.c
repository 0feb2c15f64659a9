/* SPDX-License-Identifier: MIT */
/*
 * munmap(2), and the clearing of entries that every call uses which takes memory away.
 *
 * Entries change under the leaf lock; VMAs under the exclusive range lock.
 */
#include "mm/mm_int.h"
#include "sync/bug.h"

struct zap {
	struct fl_mm *mm;
	struct fl_gather gather;
	bool guards;
};

static int zap_table(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	struct zap *z = arg;
	fl_va page = fl_mm_page(z->mm);
	unsigned i = fl_leaf_index(&z->mm->tables, start);
	fl_pte e;

	for (; start < end && t->live; start += page, i++) {
		e = fl_entry_get(t, i);
		if (!e || (e == FL_MARKER_GUARD && !z->guards))
			continue;
		e = fl_entry_clear(t, i);
		if (e & FL_PTE_PRESENT)
			fl_gather_unmapped(&z->gather, start, page, e);
	}
	/* Who comes after us under this lock takes what is clear for flushed, too (rule 9). */
	if (!FL_BUG(zap_flush_late))
		fl_gather_flush(&z->gather);
	return 0;
}

void fl_mm_zap(struct fl_mm *mm, struct fl_task *t, fl_va start, fl_va end, bool guards)
{
	const struct fl_vma *v;
	struct zap z;

	z.mm = mm;
	z.guards = guards;
	fl_mm_gather_begin(&z.gather, mm, t);
	for (; (v = fl_index_find_in(&mm->index, start, end)) != NULL; start = v->end) {
		if (v->flags & FL_VM_FOREIGN)
			continue;
		if (v->start > start)
			start = v->start;
		(void)fl_tables_for_each(&mm->tables, start, v->end < end ? v->end : end, zap_table, &z);
	}
	fl_gather_end(&z.gather);
}

bool fl_mm_is_hole(struct fl_mm *mm, fl_va start, fl_va end)
{
	const struct fl_vma *v = fl_index_find_in(&mm->index, start, end);

	return v && v->start < start && v->end > end;
}

bool fl_mm_hole_past_limit(struct fl_mm *mm, fl_va start, fl_va end)
{
	return !fl_mm_has_maps(mm, 1) && fl_mm_is_hole(mm, start, end);
}

int fl_mm_unmap_locked(struct fl_change *c, fl_va start, fl_va end)
{
	if (!fl_mm_occupied(c->mm, start, end))
		return 0;
	c->room = fl_mm_is_hole(c->mm, start, end) ? 1 : FL_ROOM_ANY;
	if (fl_change_prepare(c, start, end, NULL))
		return -FL_ENOMEM;
	fl_change_mark(c);
	if (!FL_BUG(pass_skipped) || fl_table_peek(&c->mm->tables, start))
		fl_mm_zap(c->mm, c->task, start, end, true);
	fl_change_commit(c);
	return 0;
}

int fl_munmap(struct fl_task *t, fl_va addr, uint64_t len)
{
	struct fl_mm *mm = t->mm;
	struct fl_change c;
	fl_va end;
	int err;

	if ((addr & (fl_mm_page(mm) - 1)) || addr > mm->arch->task_size || len > mm->arch->task_size - addr)
		return -FL_EINVAL;
	end = addr + fl_page_up(mm, len);
	if (end == addr)
		return -FL_EINVAL;
	err = fl_change_lock(&c, t, mm, addr, end);
	if (err)
		return err;
	if (fl_mm_hole_past_limit(mm, addr, end))
		err = -FL_ENOMEM;
	else
		err = fl_mm_unmap_locked(&c, addr, end);
	fl_change_unlock(&c);
	if (!err)
		fl_tables_free_empty(&mm->tables, addr, end);
	return err;
}
