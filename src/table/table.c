/* SPDX-License-Identifier: MIT */
/*
 * Page tables: making, filling and freeing them.
 *
 * A table is reached through its parent's slot, and leaves the tree when that slot is cleared:
 *
 *   appears   under the parent's lock, which must not be dead. Where several levels are missing they are put together
 *             in private first, and the store of the topmost slot shows all of them at once, seq_cst (rule 6).
 *   lives     no slot on the way to a living table changes: so who holds a table's lock and sees that it is not dead
 *             knows that the whole way to it stands.
 *   vanishes  when empty, under its parent's lock and its own: dead is set and the slot cleared; the memory goes after
 *             a grace period, for somebody who came there before may still take the lock, to read dead (rule 7).
 *
 * Locks: a table's own for its entries, live and dead; parent before child.
 */
#include "table/tree.h"
#include "sync/bug.h"

static size_t table_size(unsigned index_bits)
{
	return sizeof(struct fl_table) + (sizeof(fl_pte) << index_bits);
}

static struct fl_table *new_table(const struct fl_tables *pt, unsigned level)
{
	struct fl_table *t = fl_port_alloc(table_size(pt->geo.index_bits[level]));

	if (t) {
		t->level = (uint8_t)level;
		t->index_bits = pt->geo.index_bits[level];
	}
	return t;
}

static void free_table(struct fl_table *t)
{
	fl_port_free(t, table_size(t->index_bits));
}

static void free_after_grace(struct fl_rcu_head *head)
{
	free_table(FL_CONTAINER_OF(head, struct fl_table, rcu));
}

/* Free t and all below it, which nobody else can reach. Recursion is as deep as there are levels. */
static void free_tree(struct fl_table *t)
{
	for (unsigned i = 0; t->level > 0 && i < 1u << t->index_bits; i++) {
		struct fl_table *child = fl_slot_table(fl_load(&t->e[i]));

		if (child)
			free_tree(child);
	}
	free_table(t);
}

int fl_tables_init(struct fl_tables *pt, const struct fl_geometry *geo)
{
	unsigned bits = geo->page_shift;

	FL_ASSERT(geo->levels >= 2 && geo->levels <= FL_MAX_LEVELS);
	pt->geo = *geo;
	for (unsigned level = 0; level < geo->levels; level++) {
		pt->shift[level] = (uint8_t)bits;
		bits += geo->index_bits[level];
	}
	FL_ASSERT(pt->shift[geo->levels - 1] < 64);
	pt->va_bits = (uint8_t)bits;
	pt->root = new_table(pt, geo->levels - 1u);
	if (!pt->root)
		return -FL_ENOMEM;
	fl_store(&pt->count, 1);
	return 0;
}

void fl_tables_destroy(struct fl_tables *pt)
{
	if (pt->root)
		free_tree(pt->root);
	pt->root = NULL;
	fl_store(&pt->count, 0);
}

/* Hang child, which nobody else knows yet, below t. t's lock is held, or nobody else knows t either. */
static void hang_below(const struct fl_tables *pt, struct fl_table *t, struct fl_table *child, fl_va va)
{
	unsigned slot = fl_slot_index(pt, t->level, va);

	child->parent = t;
	child->slot = slot;
	t->live++;
	/* Partner: the loads in fl_tables_deepest, and the writer's mark (rule 6). */
	fl_store_seq(&t->e[slot], (uintptr_t)child | FL_PTE_TABLE);
}

/* Tables on the way to va, from this level down to the leaf. NULL: no memory, or too many; nothing kept. */
static struct fl_table *build_chain(const struct fl_tables *pt, fl_va va, unsigned level)
{
	struct fl_table *chain = NULL;

	/*
	 * Several tasks at once may go past it by what each is building. A table is counted after it can be seen, so it may be
	 * freed first, and the count may be below nothing for a moment.
	 */
	if (pt->limit && (int32_t)fl_load(&pt->count) + (int32_t)level >= (int32_t)pt->limit)
		return NULL;
	for (unsigned l = 0; l <= level; l++) {
		struct fl_table *t = new_table(pt, l);

		if (!t) {
			if (chain)
				free_tree(chain);
			return NULL;
		}
		if (chain)
			hang_below(pt, t, chain, va);
		chain = t;
	}
	return chain;
}

/* Show chain below t. False: t is dead, or something hangs there by now. In the rcu section in which t was found. */
static bool publish(struct fl_tables *pt, struct fl_table *t, struct fl_table *chain, fl_va va)
{
	bool free;

	fl_mutex_lock(&t->lock);
	free = !t->dead && !fl_load(&t->e[fl_slot_index(pt, t->level, va)]);
	if (free)
		hang_below(pt, t, chain, va);
	fl_mutex_unlock(&t->lock);
	return free;
}

int fl_table_ensure(struct fl_tables *pt, fl_va va)
{
	struct fl_table *t, *chain = NULL;
	unsigned level;

	FL_ASSERT(fl_tables_reach(pt, va));
	for (;;) {
		fl_rcu_read_lock();
		t = fl_tables_deepest(pt, va);
		level = t->level;
		if (chain && chain->level + 1u == level && publish(pt, t, chain, va)) {
			fl_count(&pt->count, level);
			chain = NULL;
			level = 0;
		}
		fl_rcu_read_unlock();
		if (level == 0)
			break;
		/* The first time; or by now more is missing than what was built, or less. */
		if (chain)
			free_tree(chain);
		chain = build_chain(pt, va, level - 1);
		if (!chain)
			return -FL_ENOMEM;
	}
	if (chain)
		free_tree(chain);
	return 0;
}

/*
 * Take t out of the tree if it is empty. Returns its parent if that has become empty too, else NULL. In an rcu section,
 * which keeps both in memory.
 */
static struct fl_table *free_if_empty(struct fl_tables *pt, struct fl_table *t)
{
	struct fl_table *parent = t->parent;
	bool gone, parent_empty;

	fl_mutex_lock(&parent->lock);
	fl_mutex_lock(&t->lock);
	/* Not dead: so it hangs in its parent, which cannot be dead either. */
	gone = !t->dead && t->live == 0;
	if (gone) {
		t->dead = true;
		fl_store_seq(&parent->e[t->slot], 0);
		parent->live--;
	}
	parent_empty = gone && parent->live == 0;
	fl_mutex_unlock(&t->lock);
	fl_mutex_unlock(&parent->lock);
	if (gone) {
		fl_count(&pt->count, -1);
		if (FL_BUG(table_freed_early))
			free_table(t);
		else
			fl_rcu_call(&t->rcu, free_after_grace);
	}
	return parent_empty ? parent : NULL;
}

static bool is_empty(struct fl_table *t)
{
	bool empty;

	fl_mutex_lock(&t->lock);
	empty = !t->dead && t->live == 0;
	fl_mutex_unlock(&t->lock);
	return empty;
}

/*
 * An upper table becomes empty only here, by whoever takes its last child out; and he goes on to free it unless
 * something new hangs there by then. So none stays behind empty.
 */
void fl_tables_free_empty(struct fl_tables *pt, fl_va start, fl_va end)
{
	for (fl_va va = start; va < end; va = fl_leaf_end(pt, va)) {
		struct fl_table *t;

		fl_rcu_read_lock();
		t = fl_tables_next_leaf(pt, &va, end);
		if (t && is_empty(t)) {
			/* The root has no parent, and stays. */
			for (struct fl_table *e = t; e && e->parent;)
				e = free_if_empty(pt, e);
		}
		fl_rcu_read_unlock();
		if (!t)
			break;
	}
}

void fl_entry_set(struct fl_table *t, unsigned i, fl_pte e)
{
	fl_pte old = fl_load(&t->e[i]);

	FL_ASSERT(fl_mutex_is_held(&t->lock) && !t->dead && i < 1u << t->index_bits);
	if (!old && e)
		t->live++;
	else if (old && !e)
		t->live--;
	/* The frame's contents first. Partner: fl_entry_get, fl_table_peek and fl_tables_walk. */
	fl_store_release(&t->e[i], e);
}

fl_pte fl_entry_clear(struct fl_table *t, unsigned i)
{
	fl_pte old;

	FL_ASSERT(fl_mutex_is_held(&t->lock) && !t->dead && i < 1u << t->index_bits);
	old = fl_xchg(&t->e[i], 0); /* partner: the walker's cas (rule 8) */
	if (old)
		t->live--;
	return old;
}

fl_pte fl_entry_flags(struct fl_table *t, unsigned i, fl_pte clear, fl_pte set)
{
	fl_pte old = fl_load(&t->e[i]);

	FL_ASSERT(fl_mutex_is_held(&t->lock) && (old & FL_PTE_PRESENT));
	/* Fails only when a walker has set YOUNG or DIRTY meanwhile. */
	while (!fl_cas(&t->e[i], &old, (old & ~clear) | set)) {
	}
	return old;
}
