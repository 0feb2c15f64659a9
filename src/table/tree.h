/* SPDX-License-Identifier: MIT */
/*
 * How the tables of one address space hang together: what table.c and walk.c share. Nobody else includes this.
 *
 *   [ root, level n ] --slot--> [ level n-1 ] --slot--> ... --slot--> [ leaf, level 0 ]
 *
 * The slot of va in a table of level l is bits shift[l] to shift[l] + index_bits[l] of va.
 *
 * Locks: none here; a slot may be read in an rcu section.
 */
#ifndef FL_TABLE_TREE_H
#define FL_TABLE_TREE_H

#include "table/table.h"

/* The table that a slot leads to, or NULL. */
static inline struct fl_table *fl_slot_table(fl_pte e)
{
	return e & FL_PTE_TABLE ? (struct fl_table *)(e & ~FL_PTE_TABLE) : NULL;
}

static inline unsigned fl_slot_index(const struct fl_tables *pt, unsigned level, fl_va va)
{
	return (unsigned)(va >> pt->shift[level]) & ((1u << pt->geo.index_bits[level]) - 1);
}

/* The first address after the entry of this level that covers va; the last address there is, if that is the last. */
static inline fl_va fl_slot_end(const struct fl_tables *pt, unsigned level, fl_va va)
{
	fl_va last = va | (((fl_va)1 << pt->shift[level]) - 1);

	return last == UINT64_MAX ? last : last + 1;
}

/* Have the tables room for va at all? */
static inline bool fl_tables_reach(const struct fl_tables *pt, fl_va va)
{
	return pt->va_bits >= 64 || va >> pt->va_bits == 0;
}

/* The deepest table there is on the way to va, which is in reach; level 0: its leaf. In an rcu section. */
struct fl_table *fl_tables_deepest(const struct fl_tables *pt, fl_va va);

/* The first leaf table at or above *va and below end; *va moves up to it. NULL: none. In an rcu section. */
struct fl_table *fl_tables_next_leaf(const struct fl_tables *pt, fl_va *va, fl_va end);

#endif
