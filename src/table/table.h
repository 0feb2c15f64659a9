/* SPDX-License-Identifier: MIT */
/*
 * Page tables: entries, tables, walks, and locks that can fail.
 *
 * An entry (fl_pte) is one machine word:
 *
 *   0                       none
 *   TABLE                   upper levels only: the address of the table below, with FL_PTE_TABLE set
 *   PRESENT | pfn | flags   a frame; R, W, X say what a machine may do (none of them: PROT_NONE); HUGE: an upper level
 *   MARKER | kind           nothing is mapped, but something is remembered (write-protect, poison, guard, swap-like)
 *
 * Low bits are flags, a pfn starts at bit FL_PTE_SHIFT, so 32-bit hosts address 2^20 frames.
 *
 * Locks: a table's mutex guards its entries, live and dead. Order: parent before child. Readers walk in an rcu section
 * without locks. Rules 5 to 8 of docs/architecture.md.
 */
#ifndef FL_TABLE_TABLE_H
#define FL_TABLE_TABLE_H

#include "faultline/arch.h"
#include "faultline/fl_port.h"
#include "faultline/machine.h"

typedef uintptr_t fl_pte;

#define FL_PTE_PRESENT ((fl_pte)1 << 0)
#define FL_PTE_TABLE ((fl_pte)1 << 1)
#define FL_PTE_MARKER ((fl_pte)1 << 2)
#define FL_PTE_READ ((fl_pte)1 << 3)
#define FL_PTE_WRITE ((fl_pte)1 << 4)
#define FL_PTE_EXEC ((fl_pte)1 << 5)
#define FL_PTE_YOUNG ((fl_pte)1 << 6)
#define FL_PTE_DIRTY ((fl_pte)1 << 7)
#define FL_PTE_UFFD_WP ((fl_pte)1 << 8)
#define FL_PTE_HUGE ((fl_pte)1 << 9)
#define FL_PTE_ZERO ((fl_pte)1 << 10) /* the shared zero frame: not counted */
#define FL_PTE_EXCL ((fl_pte)1 << 11) /* anonymous and not shared by fork: a write may reuse it */
#define FL_PTE_SHIFT 12
#define FL_PTE_RWX (FL_PTE_READ | FL_PTE_WRITE | FL_PTE_EXEC)

/* The kinds of marker: in the place of the pfn. */
#define FL_MARKER_GUARD (FL_PTE_MARKER | (fl_pte)1 << FL_PTE_SHIFT)  /* an access is a bad area */
#define FL_MARKER_POISON (FL_PTE_MARKER | (fl_pte)2 << FL_PTE_SHIFT) /* an access is a bus error */

static inline fl_pfn fl_pte_pfn(fl_pte e)
{
	return (fl_pfn)(e >> FL_PTE_SHIFT);
}

static inline fl_pte fl_pte_make(fl_pfn pfn, fl_pte flags)
{
	return ((fl_pte)pfn << FL_PTE_SHIFT) | FL_PTE_PRESENT | flags;
}

/*
 * R, W, X bits that VMA flags allow on this architecture (W is left out where copy-on-write or uffd must see the first
 * write: the caller's business).
 */
fl_pte fl_pte_prot(const struct fl_arch *arch, uint64_t vm_flags);

struct fl_table {
	struct fl_mutex lock;
	struct fl_table *parent; /* (i) NULL: the root, which is never freed before the address space */
	uint32_t slot;           /* (i) index in the parent */
	uint32_t live;           /* (lock) entries that are not none */
	uint8_t level;           /* (i) 0: leaf */
	uint8_t index_bits;      /* (i) */
	uint8_t dead;            /* (lock) out of the tree, waiting for its grace period */
	struct fl_rcu_head rcu;
	fl_pte e[]; /* (lock to write; a machine's walker may set YOUNG and DIRTY by cas) */
};

/* The page tables of one address space. */
struct fl_tables {
	struct fl_geometry geo;       /* (i) */
	uint8_t shift[FL_MAX_LEVELS]; /* (i) log2 of what one entry of a level covers */
	uint8_t va_bits;              /* (i) addresses of 2^va_bits and above have no table, ever */
	struct fl_table *root;        /* (i) */
	uint32_t count;               /* (a) tables, root included */
	uint32_t limit;               /* (i) no more than about as many, at most INT32_MAX; 0: no limit */
};

int fl_tables_init(struct fl_tables *pt, const struct fl_geometry *geo); /* 0, -FL_ENOMEM */
/* Everything is none by now, or belongs to nobody; no other user is left. */
void fl_tables_destroy(struct fl_tables *pt);

static inline uint64_t fl_page_size(const struct fl_tables *pt)
{
	return (uint64_t)1 << pt->geo.page_shift;
}

/* Index of va in a leaf table, and the first address after the leaf table that covers va (saturates). */
unsigned fl_leaf_index(const struct fl_tables *pt, fl_va va);
fl_va fl_leaf_end(const struct fl_tables *pt, fl_va va);

/*
 * The leaf table of va, locked; NULL if there is none, or if it went away under the lock. The caller is in an rcu
 * section until it has the lock (a range lock keeps no table), or nobody else knows these tables. Slots are read
 * seq_cst (rule 6).
 */
FL_MUST_CHECK struct fl_table *fl_table_lock(struct fl_tables *pt, fl_va va);
void fl_table_unlock(struct fl_table *t);
/*
 * Make sure that va has a leaf table. 0 or -FL_ENOMEM. It may be gone again when fl_table_lock is called: retry. Takes
 * upper locks only; sleeps never. Call inside or outside an rcu section.
 */
FL_MUST_CHECK int fl_table_ensure(struct fl_tables *pt, fl_va va);
/* The entry as it is at this moment, without a lock; none if there is no table. Inside or outside an rcu section. */
fl_pte fl_table_peek(struct fl_tables *pt, fl_va va);
/* The core of fl_mm_walk (faultline/machine.h): look va up as hardware does. Takes an rcu section of its own. */
FL_MUST_CHECK bool fl_tables_walk(struct fl_tables *pt, fl_va va, enum fl_access access, struct fl_translation *tr);

/* Under t->lock. set returns nothing and keeps live right; clear returns what was there, YOUNG and DIRTY included. */
static inline fl_pte fl_entry_get(struct fl_table *t, unsigned i)
{
	return fl_load_acquire(&t->e[i]);
}
void fl_entry_set(struct fl_table *t, unsigned i, fl_pte e);
fl_pte fl_entry_clear(struct fl_table *t, unsigned i);
/*
 * Change flags of a present entry where it is, losing no YOUNG or DIRTY that a walker sets meanwhile. Returns what was
 * there.
 */
fl_pte fl_entry_flags(struct fl_table *t, unsigned i, fl_pte clear, fl_pte set);

/*
 * Call fn for each existing leaf table that meets [start, end), locked, with the part of the range that lies in it. fn
 * may change entries. With an exclusive or shared range lock on [start, end), or tables may be missed. fn returns 0 to
 * go on; anything else ends the walk and is returned. fn runs in no rcu section of this walk, so it may flush a
 * machine.
 */
int fl_tables_for_each(struct fl_tables *pt, fl_va start, fl_va end,
		       int (*fn)(void *arg, struct fl_table *t, fl_va start, fl_va end), void *arg);
/*
 * Free the tables that meet [start, end) and are empty, leaf first, while others may fault beside and inside. No table
 * lock held.
 */
void fl_tables_free_empty(struct fl_tables *pt, fl_va start, fl_va end);

#endif
