/* SPDX-License-Identifier: MIT */
/*
 * One mapped range. Immutable once published (rule 1) but for mark and anon_id.
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
	struct fl_rcu_head rcu;
};
FL_STATIC_ASSERT(sizeof(struct fl_vma) <= 128, "at most 128 bytes a VMA");

/* A VMA not yet published; takes references on object and uffd. NULL: no memory. */
FL_MUST_CHECK struct fl_vma *fl_vma_new(fl_va start, fl_va end, uint64_t flags, uint64_t pgoff, struct fl_object *object,
					struct fl_uffd *uffd, uint32_t anon_id);
/* Drop one that was never published, or whose grace period is over. */
void fl_vma_free(struct fl_vma *v);
/* Free after a grace period. */
void fl_vma_free_rcu(struct fl_vma *v);

/* Provided by src/uffd (no-ops on NULL). */
void fl_uffd_get(struct fl_uffd *u);
void fl_uffd_put(struct fl_uffd *u);

#endif
