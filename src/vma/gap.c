/* SPDX-License-Identifier: MIT */
/*
 * Free ranges of the index, and the check of the whole index. Readers: an rcu section, no lock.
 */
#include "vma/node.h"

struct search {
	uint64_t len, align;
	fl_va lo, hi; /* lo is not 0, which would mean "none" */
	bool topdown;
	fl_va found;
};

/* Does the free range [from, to) have room? */
static bool fits(struct search *s, fl_va from, fl_va to)
{
	fl_va a;

	if (from < s->lo)
		from = s->lo;
	if (to > s->hi)
		to = s->hi;
	if (to <= from || to - from < s->len)
		return false;
	if (s->topdown) {
		a = (to - s->len) & ~(s->align - 1);
		if (a < from)
			return false;
	} else {
		a = (from + s->align - 1) & ~(s->align - 1);
		if (a < from || a > to - s->len)
			return false;
	}
	s->found = a;
	return true;
}

static bool inside(struct search *s, const struct fl_index_node *node);

/* Slot i, and the free range between it and the slot before. */
static bool slot_inside(struct search *s, const struct fl_index_node *node, uint32_t i)
{
	return node->level && node->gap[i] >= s->len && node->end[i] > s->lo && node->start[i] < s->hi &&
	       inside(s, node->slot[i]);
}

/* The free ranges between the first slot of a node and its last one. As deep as the tree is high. */
static bool inside(struct search *s, const struct fl_index_node *node)
{
	uint32_t i;

	for (i = node->n; s->topdown && i-- > 0;) {
		if (slot_inside(s, node, i) || (i && fits(s, node->end[i - 1], node->start[i])))
			return true;
	}
	for (i = 0; !s->topdown && i < node->n; i++) {
		if ((i && fits(s, node->end[i - 1], node->start[i])) || slot_inside(s, node, i))
			return true;
	}
	return false;
}

/* A free range, whatever is above it. In an rcu section. */
static bool search(struct fl_index *x, struct search *s)
{
	const struct fl_index_node *root = fl_load_acquire(&x->root);
	fl_va first, last;

	if (s->hi <= s->lo)
		return false;
	if (!root)
		return fits(s, s->lo, s->hi);
	first = root->start[0];
	last = root->end[root->n - 1];
	if (s->topdown)
		return fits(s, last, s->hi) || inside(s, root) || fits(s, s->lo, first);
	return fits(s, s->lo, first) || inside(s, root) || fits(s, last, s->hi);
}

/*
 * Does a stack above what was found want it free? Then the search goes on where Linux goes on: top down below all that
 * the stack wants, whatever lies there; else above the stack.
 */
static bool guarded(struct fl_index *x, struct search *s)
{
	const struct fl_vma *v = fl_index_find(x, s->found);
	fl_va free;

	if (!v || !(v->flags & FL_VM_GROWSDOWN))
		return false;
	free = v->start > x->guard ? v->start - x->guard : 0;
	if (free >= s->found + s->len)
		return false;
	if (s->topdown)
		s->hi = free;
	else
		s->lo = v->end;
	return true;
}

fl_va fl_index_gap(struct fl_index *x, uint64_t len, fl_va lo, fl_va hi, uint64_t align, bool topdown)
{
	struct search s = {.len = len, .align = align, .lo = lo ? lo : 1, .hi = hi, .topdown = topdown};
	bool found;

	if (!len)
		return 0;
	fl_rcu_read_lock();
	do {
		found = search(x, &s);
	} while (found && guarded(x, &s));
	fl_rcu_read_unlock();
	return found ? s.found : 0;
}

struct check {
	struct fl_index *x;
	fl_va end; /* of the last VMA seen */
	uint32_t count;
};

static const char *check_vma(struct check *c, const struct fl_index_node *node, uint32_t i)
{
	const struct fl_vma *v = node->slot[i];

	if (v->start >= v->end)
		return "index: an empty VMA";
	if (v->start < c->end)
		return "index: VMAs overlap or are out of order";
	if (node->end[i] != v->end || node->start[i] != v->start || node->gap[i])
		return "index: a leaf's slot differs from its VMA";
	c->end = v->end;
	c->count++;
	return NULL;
}

static const char *check_node(struct check *c, const struct fl_index_node *node, bool root)
{
	const struct fl_index_node *child;
	const char *bad = NULL;
	uint32_t i;

	if (node->n > FANOUT || node->n < (root ? (node->level ? 2u : 1u) : MIN))
		return "index: a node is too full or too empty";
	for (i = 0; !bad && i < node->n; i++) {
		if (!node->level) {
			bad = check_vma(c, node, i);
			continue;
		}
		child = node->slot[i];
		if (child->level + 1 != node->level)
			return "index: leaves are not at one depth";
		bad = check_node(c, child, false);
		if (!bad && (node->start[i] != child->start[0] || node->end[i] != child->end[child->n - 1] ||
			     node->gap[i] != fl_index_node_gap(child)))
			bad = "index: a slot differs from the node below it";
	}
	return bad;
}

const char *fl_index_check(struct fl_index *x)
{
	struct check c = {.x = x};
	struct fl_index_node *root = fl_load_acquire(&x->root);
	const char *bad = root ? check_node(&c, root, true) : NULL;

	if (!bad && c.count != fl_load(&x->count))
		bad = "index: the count of VMAs is wrong";
	if (!bad && x->pooled < x->promised)
		bad = "index: more nodes promised than pooled";
	return bad;
}
