/* SPDX-License-Identifier: MIT */
/*
 * Finding one's way through page tables: without locks in an rcu section, or to a leaf table's lock.
 *
 * Locks: a leaf table's own, taken by fl_table_lock and fl_tables_for_each.
 */
#include "table/tree.h"
#include "sync/bug.h"

struct fl_table *fl_tables_deepest(const struct fl_tables *pt, fl_va va)
{
	struct fl_table *t = pt->root;

	while (t->level > 0) {
		/* Partner: hang_below in table.c, and the writer's mark (rule 6). */
		struct fl_table *child = fl_slot_table(fl_load_seq(&t->e[fl_slot_index(pt, t->level, va)]));

		if (!child)
			break;
		t = child;
	}
	return t;
}

struct fl_table *fl_tables_next_leaf(const struct fl_tables *pt, fl_va *va, fl_va end)
{
	while (*va < end && fl_tables_reach(pt, *va)) {
		struct fl_table *t = fl_tables_deepest(pt, *va);

		if (t->level == 0)
			return t;
		*va = fl_slot_end(pt, t->level, *va);
	}
	return NULL;
}

static struct fl_table *find_leaf(const struct fl_tables *pt, fl_va va)
{
	struct fl_table *t;

	if (!fl_tables_reach(pt, va))
		return NULL;
	t = fl_tables_deepest(pt, va);
	return t->level == 0 ? t : NULL;
}

unsigned fl_leaf_index(const struct fl_tables *pt, fl_va va)
{
	return fl_slot_index(pt, 0, va);
}

fl_va fl_leaf_end(const struct fl_tables *pt, fl_va va)
{
	return fl_slot_end(pt, 1, va);
}

/* Lock t, which was found in the present rcu section. False: it is dead, and not locked. */
FL_NO_LOCK_CHECK static bool lock_alive(struct fl_table *t)
{
	fl_mutex_lock(&t->lock);
	if (FL_LIKELY(!t->dead) || FL_BUG(table_dead))
		return true;
	fl_mutex_unlock(&t->lock);
	return false;
}

FL_NO_LOCK_CHECK struct fl_table *fl_table_lock(struct fl_tables *pt, fl_va va)
{
	struct fl_table *t = find_leaf(pt, va);

	return t && lock_alive(t) ? t : NULL;
}

FL_NO_LOCK_CHECK void fl_table_unlock(struct fl_table *t)
{
	fl_mutex_unlock(&t->lock);
}

fl_pte fl_table_peek(struct fl_tables *pt, fl_va va)
{
	struct fl_table *t;
	fl_pte e = 0;

	fl_rcu_read_lock();
	t = find_leaf(pt, va);
	if (t)
		e = fl_load_acquire(&t->e[fl_slot_index(pt, 0, va)]); /* partner: fl_entry_set */
	fl_rcu_read_unlock();
	return e;
}

int fl_tables_for_each(struct fl_tables *pt, fl_va start, fl_va end,
		       int (*fn)(void *arg, struct fl_table *t, fl_va start, fl_va end), void *arg)
{
	fl_va va = start;

	while (va < end) {
		struct fl_table *t;
		bool locked;
		fl_va stop;
		int ret;

		fl_rcu_read_lock();
		t = fl_tables_next_leaf(pt, &va, end);
		locked = t && lock_alive(t);
		fl_rcu_read_unlock();
		if (!t)
			return 0;
		if (!locked)
			continue; /* its slot was cleared before we had the lock: look again from there */
		/* The lock keeps the table now: it cannot die without it. */
		stop = fl_leaf_end(pt, va);
		ret = fn(arg, t, va, stop < end ? stop : end);
		fl_table_unlock(t);
		if (ret)
			return ret;
		va = stop;
	}
	return 0;
}

static fl_pte right_for(enum fl_access access)
{
	switch (access) {
	case FL_READ:
		return FL_PTE_READ;
	case FL_WRITE:
		return FL_PTE_WRITE;
	case FL_EXEC:
		return FL_PTE_EXEC;
	}
	return 0;
}

static void translate(fl_pte e, struct fl_translation *tr)
{
	tr->pfn = fl_pte_pfn(e);
	tr->zero = (e & FL_PTE_ZERO) != 0;
	tr->allowed = 0;
	if (e & FL_PTE_READ)
		tr->allowed |= FL_READ;
	if (e & FL_PTE_WRITE)
		tr->allowed |= FL_WRITE;
	if (e & FL_PTE_EXEC)
		tr->allowed |= FL_EXEC;
}

bool fl_tables_walk(struct fl_tables *pt, fl_va va, enum fl_access access, struct fl_translation *tr)
{
	fl_pte used = FL_PTE_YOUNG | (access == FL_WRITE ? FL_PTE_DIRTY : 0);
	fl_pte need = FL_PTE_PRESENT | right_for(access);
	bool allowed = false;
	struct fl_table *t;

	fl_rcu_read_lock();
	t = find_leaf(pt, va);
	if (t) {
		fl_pte *p = &t->e[fl_slot_index(pt, 0, va)];
		fl_pte e = fl_load_acquire(p); /* partner: fl_entry_set */

		/* Marked by cas, and only while it still allows the access: so never after it was cleared (rule 8). */
		while ((allowed = (e & need) == need) && (e & used) != used) {
			if (FL_BUG(walk_stores))
				fl_store(p, e |= used);
			else if (fl_cas(p, &e, e | used))
				e |= used;
		}
		if (allowed)
			translate(e, tr);
	}
	fl_rcu_read_unlock();
	return allowed;
}
