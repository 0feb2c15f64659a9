/* SPDX-License-Identifier: MIT */
/*
 * A node of the index. Immutable once published; before that it belongs to the commit that makes it, or waits in the
 * pool.
 *
 * A node has up to FANOUT slots in order of address. Slot i covers [start[i], end[i]): of a VMA in a leaf, of a whole
 * subtree above. Searches go by end alone: the first slot that ends above va is the only one that can hold va or what
 * follows it.
 * start[i] is where slot i begins; gap[i] is the largest free range inside slot i. Every node but the root has at least MIN slots.
 */
#ifndef FL_VMA_NODE_H
#define FL_VMA_NODE_H

#include "vma/index.h"

#define FANOUT 16u
#define MIN 8u
#define MAX_HEIGHT 8u

FL_STATIC_ASSERT(FL_INDEX_MAX <= 1u << (3 * MAX_HEIGHT),
		 "a tree of minimal nodes holds FL_INDEX_MAX within MAX_HEIGHT");

struct fl_index_node {
	fl_va end[FANOUT];
	void *slot[FANOUT]; /* struct fl_vma or struct fl_index_node */
	uint32_t n;
	uint32_t level; /* 0: slots are VMAs */
	fl_va start[FANOUT];
	uint64_t gap[FANOUT];
	struct fl_index_node *link; /* in the pool, or among what a commit frees */
	struct fl_rcu_head rcu;
};

/* The largest free range between the slots of a node, and inside them. */
static inline uint64_t fl_index_node_gap(const struct fl_index_node *node)
{
	uint64_t gap = 0;
	uint32_t i;

	for (i = 0; i < node->n; i++) {
		if (node->gap[i] > gap)
			gap = node->gap[i];
		if (i && node->start[i] > node->end[i - 1] && node->start[i] - node->end[i - 1] > gap)
			gap = node->start[i] - node->end[i - 1];
	}
	return gap;
}

#endif
