/* SPDX-License-Identifier: MIT */
/*
 * What the host has mapped of the engine's memory in one address space: a word for each page, in a radix tree like a page
 * table.
 *
 *   word   0, or the frame and the host's rights
 *   run    pages in a row whose frames are in a row, too, with the same rights: one mapping of the host
 *
 * It is an upper bound: a page that it shows may be gone from the host (a fork in between), but nothing is mapped that it
 * does not show. The runs are counted as words change, by what each change does to the two borders of its page.
 *
 * No locks: one OS thread.
 */
#include <stdlib.h>
#include <string.h>

#include "linux/host.h"

#define BITS 9
#define FAN (1u << BITS)
#define SHIFT 12
#define TOP_LEVEL 3 /* 4 levels of 9 bits: 48 bits of address */

struct leaf {
	uint32_t used;
	uint32_t word[FAN];
};

struct node {
	void *child[FAN];
};

struct fl_shadow {
	struct node root;
	uint64_t runs;
	struct leaf *last; /* where the last lookup ended */
	fl_va last_va;
};

static unsigned index_at(fl_va va, unsigned level)
{
	return (unsigned)(va >> (SHIFT + BITS * level)) & (FAN - 1);
}

static fl_va leaf_base(fl_va va)
{
	return va & ~((1ull << (SHIFT + BITS)) - 1);
}

struct fl_shadow *fl_shadow_create(void)
{
	return calloc(1, sizeof(struct fl_shadow));
}

static void node_free(void *p, unsigned level)
{
	if (!p)
		return;
	for (unsigned i = 0; level && i < FAN; i++)
		node_free(((struct node *)p)->child[i], level - 1);
	free(p);
}

void fl_shadow_destroy(struct fl_shadow *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < FAN; i++)
		node_free(s->root.child[i], TOP_LEVEL - 1);
	free(s);
}

static void *node_copy(const void *p, unsigned level)
{
	void *copy = malloc(level ? sizeof(struct node) : sizeof(struct leaf));

	if (!copy)
		return NULL;
	if (!level)
		return memcpy(copy, p, sizeof(struct leaf));
	memset(copy, 0, sizeof(struct node));
	for (unsigned i = 0; i < FAN; i++) {
		const void *child = ((const struct node *)p)->child[i];

		if (!child)
			continue;
		((struct node *)copy)->child[i] = node_copy(child, level - 1);
		if (!((struct node *)copy)->child[i]) {
			node_free(copy, level);
			return NULL;
		}
	}
	return copy;
}

struct fl_shadow *fl_shadow_copy(const struct fl_shadow *from)
{
	struct fl_shadow *s = fl_shadow_create();

	if (!s)
		return NULL;
	for (unsigned i = 0; i < FAN; i++) {
		if (!from->root.child[i])
			continue;
		s->root.child[i] = node_copy(from->root.child[i], TOP_LEVEL - 1);
		if (!s->root.child[i]) {
			fl_shadow_destroy(s);
			return NULL;
		}
	}
	s->runs = from->runs;
	return s;
}

static struct leaf *find(struct fl_shadow *s, fl_va va)
{
	struct node *n = &s->root;

	if (s->last && s->last_va == leaf_base(va))
		return s->last;
	for (unsigned level = TOP_LEVEL; level > 1 && n; level--)
		n = n->child[index_at(va, level)];
	if (!n || !n->child[index_at(va, 1)])
		return NULL;
	s->last = n->child[index_at(va, 1)];
	s->last_va = leaf_base(va);
	return s->last;
}

uint32_t fl_shadow_get(const struct fl_shadow *s, fl_va va)
{
	struct leaf *l = find((struct fl_shadow *)s, va); /* changes nothing but what it remembers */

	return l ? l->word[index_at(va, 0)] : 0;
}

bool fl_shadow_reserve(struct fl_shadow *s, fl_va start, fl_va end)
{
	for (fl_va va = leaf_base(start); va < end; va += 1ull << (SHIFT + BITS)) {
		struct node *n = &s->root;

		for (unsigned level = TOP_LEVEL; level; level--) {
			void **slot = &n->child[index_at(va, level)];

			if (!*slot)
				*slot = calloc(1, level > 1 ? sizeof(struct node) : sizeof(struct leaf));
			if (!*slot)
				return false;
			n = *slot;
		}
	}
	return true;
}

/* Does the host map the second page in one piece with the first? */
static bool joined(uint32_t first, uint32_t second)
{
	return first && second && (first & 7) == (second & 7) && (first >> 3) + 1 == second >> 3;
}

/* Runs that begin at the second page: 0 or 1. */
static uint64_t starts(uint32_t first, uint32_t second)
{
	return second && !joined(first, second);
}

void fl_shadow_set(struct fl_shadow *s, fl_va va, uint32_t word)
{
	uint32_t before, after, old;
	struct leaf *l;

	before = fl_shadow_get(s, va - FL_PAGE);
	after = fl_shadow_get(s, va + FL_PAGE);
	l = find(s, va);
	if (!l)
		return; /* only for word 0: the caller has reserved otherwise */
	old = l->word[index_at(va, 0)];
	s->runs -= starts(before, old) + starts(old, after);
	s->runs += starts(before, word) + starts(word, after);
	l->used = l->used - (old != 0) + (word != 0);
	l->word[index_at(va, 0)] = word;
}

bool fl_shadow_next(const struct fl_shadow *s, fl_va va, fl_va end, fl_va *found)
{
	while (va < end) {
		const struct node *n = &s->root;
		const struct leaf *l;
		unsigned level;

		for (level = TOP_LEVEL; level > 1; level--) {
			if (!n->child[index_at(va, level)])
				break;
			n = n->child[index_at(va, level)];
		}
		l = level == 1 ? n->child[index_at(va, 1)] : NULL;
		if (!l || !l->used) {
			/* Nothing below this slot: to the next one. */
			va = ((va >> (SHIFT + BITS * level)) + 1) << (SHIFT + BITS * level);
			continue;
		}
		for (fl_va stop = leaf_base(va) + (1ull << (SHIFT + BITS)); va < stop && va < end; va += FL_PAGE) {
			if (l->word[index_at(va, 0)]) {
				*found = va;
				return true;
			}
		}
	}
	return false;
}

void fl_shadow_clear(struct fl_shadow *s, fl_va start, fl_va end)
{
	fl_va va = start;

	while (fl_shadow_next(s, va, end, &va)) {
		fl_shadow_set(s, va, 0);
		va += FL_PAGE;
	}
}

uint64_t fl_shadow_runs(const struct fl_shadow *s)
{
	return s->runs;
}
