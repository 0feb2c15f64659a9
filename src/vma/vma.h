/* SPDX-License-Identifier: MIT */
/*
 * One mapped range. Immutable once published (rule 1) but for mark, anon_id and guarded.
 */
#ifndef FL_VMA_VMA_H
#define FL_VMA_VMA_H

#include "faultline/fl_port.h"
#include "faultline/mm.h"

struct fl_fault_ctx;

/* What kind of memory it is: anonymous and foreign now; file, shmem and hugetlb later. */
struct fl_object;
struct fl_object_ops {
	const char *name;
	bool engine; /* the engine's tables serve it */
	/* May VMAs of this object take a userfaultfd registration of these FL_VM_UFFD_* modes? */
	bool (*can_uffd)(uint64_t modes);
	void (*release)(struct fl_object *o); /* the last reference has gone; NULL: static */
};
struct fl_object {
	const struct fl_object_ops *ops; /* (i) */
	uint32_t refs;                   /* (a) */
	uint64_t cookie;                 /* (i) foreign: the embedder's */
};
/* The static object of anonymous memory is per address space (fl_mm.anon): src/ has no mutable globals. */
extern const struct fl_object_ops fl_anon_ops, fl_foreign_ops;

/* The object of a foreign mapping, with one reference. NULL: no memory. */
FL_MUST_CHECK struct fl_object *fl_object_foreign(uint64_t cookie);
/* No-ops on an object that is not counted (no release). */
void fl_object_get(struct fl_object *o);
void fl_object_put(struct fl_object *o);

#define FL_VMA_STALE 1u /* replaced or going: look again */
#define FL_VMA_BUSY 2u  /* a writer passes over its tables (fork): wait for the range lock */

struct fl_vma {
	fl_va start, end;         /* (i) */
	uint64_t flags;           /* (i) FL_VM_* */
	uint64_t pgoff;           /* (i) pages; anonymous: that of its first address at creation */
	struct fl_object *object; /* (i) one reference */
	struct fl_uffd *uffd;     /* (i) one reference; set exactly when flags has a FL_VM_UFFD_ mode */
	uint32_t mark;            /* (a) FL_VMA_*; rules 4 to 6 */
	uint32_t anon_id;         /* (a) identity for merging of faulted anonymous memory; 0: never faulted; set once */
	uint32_t guarded;    /* (a; range lock of any mode to write) guards were installed here once; never cleared */
	bool counted;        /* (i) the object counts its references */
	struct fl_vma *next; /* (range lock) chains what a change replaces until it is freed */
	struct fl_rcu_head rcu;
};
FL_STATIC_ASSERT(sizeof(struct fl_vma) <= 128, "at most 128 bytes a VMA");

/* A VMA not yet published, with what like has (mark aside); takes references on object and uffd. NULL: no memory. */
FL_MUST_CHECK struct fl_vma *fl_vma_new(const struct fl_vma *like);
/* The same in memory that is there, sizeof(struct fl_vma) of zeros from fl_port_alloc. */
void fl_vma_init(struct fl_vma *v, const struct fl_vma *like);
/* Drop one that was never published, or whose grace period is over. */
void fl_vma_free(struct fl_vma *v);
/* Free v, and what next chains behind it, after a grace period. NULL: nothing. */
void fl_vma_free_rcu(struct fl_vma *v);

/*
 * In an anon_id: made by fork, which ties the pages to those of the parent. Linux merges no unfaulted neighbour into
 * such a VMA.
 */
#define FL_ANON_FORKED 0x80000000u

/* VMAs of these two identities may become one (Linux: compatible anon_vma). */
static inline bool fl_anon_ids_merge(uint32_t a, uint32_t b)
{
	return a == b || (!a && !(b & FL_ANON_FORKED)) || (!b && !(a & FL_ANON_FORKED));
}

/*
 * May b follow a in one VMA? Same flags, context and kind, b begins where a ends, in addresses and in offset, and the
 * identities agree.
 * What the addresses are is the caller's business only as far as a->end == b->start.
 */
bool fl_vma_can_merge(const struct fl_vma *a, const struct fl_vma *b, unsigned page_shift);

/*
 * The identity of v's anonymous memory, given on first use: that of a neighbour which differs only in protection (as
 * Linux reuses a neighbour's anon_vma), or a new one. In an rcu section; any lock may be held. src/mm/mm.c
 */
uint32_t fl_vma_anon_id(struct fl_mm *mm, struct fl_vma *v);

/* Provided by src/uffd (no-ops on NULL). put may come from a grace period's end: it does not sleep. */
void fl_uffd_get(struct fl_uffd *u);
void fl_uffd_put(struct fl_uffd *u);

#endif
