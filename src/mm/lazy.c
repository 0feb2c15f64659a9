/* SPDX-License-Identifier: MIT */
/*
 * Pages that nobody needs any more: MADV_FREE, and MADV_PAGEOUT, which takes them away at once where they have not been
 * written since. There is no swap, so it takes nothing else.
 *
 * A page was not written since if its entry is not DIRTY: whatever makes an entry makes it DIRTY. That tells something
 * only where the machine marks every first write; elsewhere a page that is free stays.
 *
 * Entries change under the leaf lock, with a shared range lock.
 */
#include "frame/frame_int.h"
#include "mm/advise.h"

struct lazy {
	struct fl_mm *mm;
	struct fl_gather gather;
};

static int free_table(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	struct lazy *z = arg;
	fl_va page = fl_mm_page(z->mm);
	unsigned i = fl_leaf_index(&z->mm->tables, start);
	fl_pte e;

	for (; start < end && t->live; start += page, i++) {
		e = fl_entry_get(t, i);
		if (!(e & FL_PTE_PRESENT) || (e & FL_PTE_ZERO))
			continue;
		e = fl_entry_flags(t, i, FL_PTE_DIRTY | FL_PTE_YOUNG, 0);
		/* Who may write it by now must come by here again. */
		if (e & FL_PTE_DIRTY)
			fl_gather_protected(&z->gather, start, page);
	}
	fl_gather_flush(&z->gather);
	return 0;
}

static int drop_table(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	struct lazy *z = arg;
	fl_va page = fl_mm_page(z->mm);
	unsigned i = fl_leaf_index(&z->mm->tables, start);
	fl_pte e;

	for (; start < end && t->live; start += page, i++) {
		e = fl_entry_get(t, i);
		if ((e & (FL_PTE_PRESENT | FL_PTE_ZERO | FL_PTE_DIRTY)) != FL_PTE_PRESENT ||
		    fl_load(&fl_frame_meta(z->mm->frames, fl_pte_pfn(e))->maps) != 1)
			continue;
		e = fl_entry_clear(t, i);
		if (e & FL_PTE_DIRTY)
			fl_entry_set(t, i, e); /* somebody wrote it just now */
		else
			fl_gather_unmapped(&z->gather, start, page, e);
	}
	fl_gather_flush(&z->gather);
	return 0;
}

static void each_table(struct fl_task *t, fl_va start, fl_va end,
		       int (*fn)(void *arg, struct fl_table *t, fl_va start, fl_va end))
{
	struct lazy z = {.mm = t->mm};

	if (!z.mm->ops || !z.mm->ops->marks_writes)
		return;
	fl_mm_gather_begin(&z.gather, z.mm, t);
	(void)fl_tables_for_each(&z.mm->tables, start, end, fn, &z);
	fl_gather_end(&z.gather);
}

void fl_lazy_free(struct fl_task *t, fl_va start, fl_va end)
{
	each_table(t, start, end, free_table);
}

void fl_lazy_drop(struct fl_task *t, fl_va start, fl_va end)
{
	each_table(t, start, end, drop_table);
}
