/* SPDX-License-Identifier: MIT */
/*
 * Guard markers: entries that say "mapped, and an access is an error". They live in the tables, so VMAs are not split
 * by them; fork copies them, mremap moves them, DONTNEED leaves them. Entries change under the leaf lock.
 */
#include "mm/advise.h"
#include "sync/bug.h"

/* Under t's lock: [start, end), which lies in t, becomes guarded. */
static void guard_table(struct fl_mm *mm, struct fl_gather *g, struct fl_table *t, fl_va start, fl_va end)
{
	unsigned i = fl_leaf_index(&mm->tables, start);
	fl_va page = fl_mm_page(mm);
	fl_pte e;

	for (; start < end; start += page, i++) {
		e = fl_entry_get(t, i);
		if (e == FL_MARKER_GUARD)
			continue;
		if (e) {
			e = fl_entry_clear(t, i);
			if (e & FL_PTE_PRESENT)
				fl_gather_unmapped(g, start, page, e);
		}
		fl_entry_set(t, i, FL_MARKER_GUARD);
	}
	if (!FL_BUG(zap_flush_late))
		fl_gather_flush(g); /* before somebody else takes these pages for dropped */
}

int fl_guard_install(struct fl_task *t, fl_va start, fl_va end)
{
	struct fl_mm *mm = t->mm;
	struct fl_gather g;
	struct fl_table *table;
	struct fl_vma *v;
	fl_va stop;
	int err = 0;

	fl_rcu_read_lock();
	v = fl_index_find(&mm->index, start);
	/* So that fork copies the markers. Who replaces a VMA locks all of it, and so not while we have locked a part. */
	if (mm->profile->guards_mark)
		fl_store(&v->guarded, 1);
	/* Linux gives the VMA an anon_vma as well. */
	(void)fl_vma_anon_id(mm, v);
	fl_rcu_read_unlock();
	fl_mm_gather_begin(&g, mm, t);
	while (!err && start < end) {
		err = fl_task_interrupted(t, FL_WAIT_KILLABLE) ? -FL_EINTR : fl_table_ensure(&mm->tables, start);
		if (err)
			break;
		fl_rcu_read_lock();
		table = fl_table_lock(&mm->tables, start);
		fl_rcu_read_unlock();
		if (!table)
			continue; /* it was empty, and somebody freed it */
		stop = fl_leaf_end(&mm->tables, start);
		if (stop > end)
			stop = end;
		guard_table(mm, &g, table, start, stop);
		fl_table_unlock(table);
		start = stop;
	}
	fl_gather_end(&g);
	return err;
}

static int unguard_table(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	struct fl_mm *mm = arg;
	unsigned i = fl_leaf_index(&mm->tables, start);

	for (; start < end && t->live; start += fl_mm_page(mm), i++) {
		if (fl_entry_get(t, i) == FL_MARKER_GUARD)
			(void)fl_entry_clear(t, i);
	}
	return 0;
}

void fl_guard_remove(struct fl_mm *mm, fl_va start, fl_va end)
{
	(void)fl_tables_for_each(&mm->tables, start, end, unguard_table, mm);
}
