/* SPDX-License-Identifier: MIT */
/*
 * The index of VMAs: a path-copying B+tree over start addresses, with the largest gap below each node. Readers search
 * it without a lock inside an rcu section; writers publish a whole replacement at once (rule 2).
 *
 * The mutex guards root (to write), count and the reservations being spent. It is held for the length of one commit
 * only.
 */
#ifndef FL_VMA_INDEX_H
#define FL_VMA_INDEX_H

#include "vma/vma.h"

struct fl_index_node;

/* Nodes wait in a pool until a commit wants them: so a reservation that is made again and again costs nothing. */
struct fl_index {
	struct fl_mutex mutex;
	struct fl_index_node *root; /* (a; mutex to write) */
	uint32_t count;             /* (a; mutex to write) VMAs */
	uint64_t guard;             /* (i) bytes kept free below a GROWSDOWN VMA */
	struct fl_index_node *pool; /* (mutex) spare nodes, chained */
	uint32_t pooled;            /* (mutex) how many; at least promised */
	uint32_t promised;          /* (mutex) what the reservations outstanding may need */
};

/* Nodes promised to one commit. On the stack; zero is empty. */
struct fl_index_reserve {
	uint32_t nodes;
};

/* The most VMAs that an index can hold: what makes a commit's worst case known. */
#define FL_INDEX_MAX ((uint32_t)1 << 24)

void fl_index_init(struct fl_index *x, uint64_t guard);
/* Free the nodes, not the VMAs. No reader is left. */
void fl_index_destroy(struct fl_index *x);

/* The first VMA with end > va, or NULL. In an rcu section, for it may lie anywhere. */
struct fl_vma *fl_index_find(struct fl_index *x, fl_va va);
/* The first VMA that meets [lo, hi), or NULL. In an rcu section, or with a range lock on what may be found. */
struct fl_vma *fl_index_find_in(struct fl_index *x, fl_va lo, fl_va hi);
/* The last VMA with end <= va, or NULL. In an rcu section. */
struct fl_vma *fl_index_find_prev(struct fl_index *x, fl_va va);

/* Set aside what any commit of at most n new VMAs may need. 0 or -FL_ENOMEM (nothing kept). */
FL_MUST_CHECK int fl_index_reserve(struct fl_index *x, struct fl_index_reserve *r, unsigned n);
/*
 * Replace every VMA that lies in [lo, hi) (none straddles lo or hi) by v[0..n-1] (ascending, within [lo, hi), n may be
 * 0; n at most 8), in one publication. Cannot fail. Spends r. The old nodes are freed by rcu; the old VMAs are the
 * caller's.
 */
void fl_index_commit(struct fl_index *x, struct fl_index_reserve *r, fl_va lo, fl_va hi, struct fl_vma *const *v,
		     unsigned n);
void fl_index_unreserve(struct fl_index *x, struct fl_index_reserve *r);

/*
 * The highest (topdown) or lowest address of a free range of len bytes within [lo, hi), with a free gap as Linux keeps
 * below GROWSDOWN VMAs (256 pages) left alone; 0: none. align: power of two. In an rcu section or not (takes its own).
 */
fl_va fl_index_gap(struct fl_index *x, uint64_t len, fl_va lo, fl_va hi, uint64_t align, bool topdown);

/* First broken invariant (order, overlap, gap sums, fill), or NULL. Quiet index. */
const char *fl_index_check(struct fl_index *x);

#endif
