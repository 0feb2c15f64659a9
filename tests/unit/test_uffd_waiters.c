/* SPDX-License-Identifier: MIT */
/*
 * The tree of waiters against a plain list: what is in it, where a search by address leads, and that its two orders
 * hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "uffd/context.h"

#define NODES 300

static struct fl_uffd context;
static struct fl_uffd_waiter nodes[NODES];
static bool inside[NODES];
static uint32_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

/* Both orders below n; returns how many nodes there are, and the greatest depth through *depth. */
static size_t check_subtree(const struct fl_uffd_waiter *n, fl_va lo, fl_va hi, size_t level, size_t *depth)
{
	if (!n)
		return 0;
	assert_true(n->msg.arg1 >= lo && n->msg.arg1 <= hi);
	assert_true(!n->left || n->left->priority <= n->priority);
	assert_true(!n->right || n->right->priority <= n->priority);
	if (level > *depth)
		*depth = level;
	return 1 + check_subtree(n->left, lo, n->msg.arg1, level + 1, depth) +
	       check_subtree(n->right, n->msg.arg1, hi, level + 1, depth);
}

static size_t check_tree(void)
{
	size_t depth = 0, n = check_subtree(context.tree, 0, UINT64_MAX, 1, &depth);

	assert_int_equal(n, context.waiting);
	return depth;
}

/* The first at or above addr, by arrival where addresses are alike. */
static struct fl_uffd_waiter *plain_from(fl_va addr)
{
	struct fl_uffd_waiter *best = NULL;

	for (size_t i = 0; i < NODES; i++) {
		if (!inside[i] || nodes[i].msg.arg1 < addr)
			continue;
		if (!best || nodes[i].msg.arg1 < best->msg.arg1 ||
		    (nodes[i].msg.arg1 == best->msg.arg1 && nodes[i].seq < best->seq))
			best = &nodes[i];
	}
	return best;
}

static void begin(uint32_t seed)
{
	memset(&context, 0, sizeof(context));
	memset(inside, 0, sizeof(inside));
	random_state = seed;
	fl_mutex_lock(&context.mutex);
}

static void tree_of_random_waiters_agrees_with_a_list(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 4; seed++) {
		begin(seed);
		for (int step = 0; step < 4000; step++) {
			size_t i = random_below(NODES);

			if (inside[i]) {
				fl_uffd_tree_remove(&context, &nodes[i]);
			} else {
				nodes[i].msg.arg1 = random_below(64) * 4096ull;
				fl_uffd_tree_insert(&context, &nodes[i]);
			}
			inside[i] = !inside[i];
			for (int probe = 0; probe < 3; probe++) {
				fl_va addr = random_below(66) * 4096ull - random_below(2);

				assert_ptr_equal(fl_uffd_tree_from(&context, addr), plain_from(addr));
			}
			if (step % 64 == 0)
				check_tree();
		}
		fl_mutex_unlock(&context.mutex);
	}
}

static void tree_of_ascending_addresses_stays_shallow(void **state)
{
	(void)state;
	begin(1);
	for (size_t i = 0; i < NODES; i++) {
		nodes[i].msg.arg1 = i * 4096;
		fl_uffd_tree_insert(&context, &nodes[i]);
	}
	assert_true(check_tree() < 30); /* a list would be 300 deep; the expectation is about 18 */
	fl_mutex_unlock(&context.mutex);
}

static void tree_taken_from_the_front_comes_in_order(void **state)
{
	struct fl_uffd_waiter *w, *last = NULL;

	(void)state;
	begin(7);
	for (size_t i = 0; i < NODES; i++) {
		nodes[i].msg.arg1 = random_below(16);
		fl_uffd_tree_insert(&context, &nodes[i]);
	}
	while ((w = fl_uffd_tree_from(&context, 0)) != NULL) {
		assert_true(!last || last->msg.arg1 < w->msg.arg1 ||
			    (last->msg.arg1 == w->msg.arg1 && last->seq < w->seq));
		fl_uffd_tree_remove(&context, w);
		last = w;
	}
	assert_int_equal(context.waiting, 0);
	assert_null(context.tree);
	fl_mutex_unlock(&context.mutex);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_of_random_waiters_agrees_with_a_list),
		cmocka_unit_test(tree_of_ascending_addresses_stays_shallow),
		cmocka_unit_test(tree_taken_from_the_front_comes_in_order),
	};

	return cmocka_run_group_tests_name("uffd waiters " FL_PORT_NAME, tests, NULL, NULL);
}
