/* SPDX-License-Identifier: MIT */
/*
 * The waiters of a context by address: a treap, that is a binary tree in order of (address, arrival) and at the same
 * time a heap by priority. Priorities are the arrival number, mixed, so the expected depth is logarithmic whatever the
 * addresses are, and the shape is the same in every replay of a schedule. The nodes belong to the waiters: nothing here
 * allocates, and nothing recurses.
 *
 * The context's mutex guards everything.
 */
#include "uffd/context.h"

/* Is a before b? */
static bool before(const struct fl_uffd_waiter *a, const struct fl_uffd_waiter *b)
{
	if (a->msg.arg1 != b->msg.arg1)
		return a->msg.arg1 < b->msg.arg1;
	return a->seq < b->seq;
}

void fl_uffd_tree_insert(struct fl_uffd *u, struct fl_uffd_waiter *w)
{
	struct fl_uffd_waiter **link = &u->tree, **less, **more, *rest;

	w->seq = u->seq++;
	/* Any odd multiplier does; this one is 2^32 by the golden ratio. */
	w->priority = (uint32_t)w->seq * 0x9E3779B1u;
	w->priority ^= w->priority >> 15;
	while (*link && (*link)->priority >= w->priority)
		link = before(w, *link) ? &(*link)->left : &(*link)->right;

	/* w takes this place; what hangs here is cut along w's key into the two sides of it. */
	rest = *link;
	*link = w;
	less = &w->left;
	more = &w->right;
	while (rest) {
		if (before(rest, w)) {
			*less = rest;
			less = &rest->right;
			rest = rest->right;
		} else {
			*more = rest;
			more = &rest->left;
			rest = rest->left;
		}
	}
	*less = NULL;
	*more = NULL;
	u->waiting++;
}

void fl_uffd_tree_remove(struct fl_uffd *u, struct fl_uffd_waiter *w)
{
	struct fl_uffd_waiter **link = &u->tree, *less = w->left, *more = w->right;

	while (*link != w)
		link = before(w, *link) ? &(*link)->left : &(*link)->right;

	/* Everything in less is before everything in more: join them, the higher priority on top. */
	while (less && more) {
		if (less->priority >= more->priority) {
			*link = less;
			link = &less->right;
			less = less->right;
		} else {
			*link = more;
			link = &more->left;
			more = more->left;
		}
	}
	*link = less ? less : more;
	u->waiting--;
}

struct fl_uffd_waiter *fl_uffd_tree_from(const struct fl_uffd *u, fl_va addr)
{
	struct fl_uffd_waiter *w = u->tree, *found = NULL;

	while (w) {
		if (w->msg.arg1 >= addr) {
			found = w;
			w = w->left;
		} else {
			w = w->right;
		}
	}
	return found;
}
