/* SPDX-License-Identifier: MIT */
/*
 * The index of VMAs, held against a sorted array: searches, free ranges, replacement of any range by up to eight VMAs,
 * reservations that fail; and readers beside a writer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
#include "fl_port_test.h"
#include "vma/index.h"

#define UNIT 0x1000u
#define GUARD 0x4000u
#define MAX 4096u

static struct fl_object object;
static struct fl_index index_;
static struct fl_vma *model[MAX];
static unsigned count;
static uint64_t seed;

static unsigned below(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static int open_index(void **state)
{
	(void)state;
	object.ops = &fl_anon_ops;
	fl_index_init(&index_, GUARD);
	count = 0;
	seed = 1;
	return 0;
}

static int close_index(void **state)
{
	(void)state;
	for (unsigned i = 0; i < count; i++)
		fl_vma_free(model[i]);
	fl_index_destroy(&index_);
	fl_rcu_barrier();
	return 0;
}

static struct fl_vma *vma(fl_va start, fl_va end, uint64_t flags)
{
	struct fl_vma like = {.start = start, .end = end, .flags = flags, .object = &object};
	struct fl_vma *v = fl_vma_new(&like);

	CHECK(v);
	return v;
}

static void commit(fl_va lo, fl_va hi, struct fl_vma **v, unsigned n)
{
	struct fl_index_reserve r = {0};

	CHECK(fl_index_reserve(&index_, &r, n) == 0);
	fl_index_commit(&index_, &r, lo, hi, v, n);
}

/* The same replacement in the array. */
static void model_replace(fl_va lo, fl_va hi, struct fl_vma **v, unsigned n)
{
	unsigned from = 0, to;

	while (from < count && model[from]->end <= lo)
		from++;
	for (to = from; to < count && model[to]->start < hi; to++)
		fl_vma_free_rcu(model[to]);
	assert_true(count - (to - from) + n <= MAX);
	memmove(model + from + n, model + to, (count - to) * sizeof(*model));
	if (n)
		memcpy(model + from, v, n * sizeof(*v));
	count = count - (to - from) + n;
}

static struct fl_vma *model_find(fl_va va)
{
	for (unsigned i = 0; i < count; i++) {
		if (model[i]->end > va)
			return model[i];
	}
	return NULL;
}

static struct fl_vma *model_find_prev(fl_va va)
{
	for (unsigned i = count; i > 0; i--) {
		if (model[i - 1]->end <= va)
			return model[i - 1];
	}
	return NULL;
}

/* A range that replacements may have: its ends are not inside a VMA. */
static void random_range(unsigned space, fl_va *lo, fl_va *hi)
{
	struct fl_vma *v;

	*lo = (fl_va)below(space) * UNIT;
	*hi = *lo + (fl_va)(1 + below(below(4) ? 12 : space)) * UNIT;
	v = model_find(*lo);
	if (v && v->start < *lo)
		*lo = v->start;
	v = model_find(*hi - 1);
	if (v && v->start < *hi)
		*hi = v->end;
}

/* Up to eight VMAs within [lo, hi). */
static unsigned random_vmas(fl_va lo, fl_va hi, struct fl_vma **v)
{
	unsigned n = 0, max = below(9);

	while (n < max && lo < hi) {
		fl_va start = lo + (fl_va)below(2) * UNIT, end = start + (fl_va)(1 + below(2)) * UNIT;

		if (end > hi)
			break;
		v[n++] = vma(start, end, below(10) ? 0 : FL_VM_GROWSDOWN);
		lo = end;
	}
	return n;
}

static void compare(unsigned space)
{
	fl_va va = (fl_va)below(space + 4) * UNIT;

	assert_null(fl_index_check(&index_));
	assert_int_equal(index_.count, count);
	assert_ptr_equal(fl_index_find(&index_, va), model_find(va));
	assert_ptr_equal(fl_index_find_prev(&index_, va), model_find_prev(va));
}

static void replacements_agree_with_an_array(void **state)
{
	struct fl_vma *v[8];
	fl_va lo, hi;

	(void)state;
	for (unsigned space = 8; space <= 2048; space *= 4) {
		for (unsigned i = 0; i < 4000; i++) {
			unsigned n;

			random_range(space, &lo, &hi);
			n = random_vmas(lo, hi, v);
			commit(lo, hi, v, n);
			model_replace(lo, hi, v, n);
			compare(space);
		}
	}
}

static bool is_free(fl_va a, uint64_t len)
{
	for (unsigned i = 0; i < count; i++) {
		if (model[i]->start < a + len && a < model[i]->end)
			return false;
	}
	return true;
}

/* The stack that wants some of the free range [a, a + len) for its guard, or NULL. */
static const struct fl_vma *whose_guard(fl_va a, uint64_t len)
{
	for (unsigned i = 0; i < count; i++) {
		fl_va start = model[i]->start;

		if (start < a)
			continue;
		start = start > GUARD ? start - GUARD : 0;
		return (model[i]->flags & FL_VM_GROWSDOWN) && start < a + len ? model[i] : NULL;
	}
	return NULL;
}

/* Linux's way: what a guard is in is given up with all up to the stack, or down to where the guard begins. */
static fl_va model_gap(uint64_t len, fl_va lo, fl_va hi, bool topdown)
{
	const struct fl_vma *stack;
	fl_va a;

	for (a = topdown ? hi - len : lo; hi >= lo + len && a >= lo && a <= hi - len;
	     a = topdown ? a - UNIT : a + UNIT) {
		if (!a || !is_free(a, len))
			continue;
		stack = whose_guard(a, len);
		if (!stack)
			return a;
		if (topdown)
			return stack->start > GUARD ? model_gap(len, lo, stack->start - GUARD, true) : 0;
		return model_gap(len, stack->end, hi, false);
	}
	return 0;
}

static void gaps_agree_with_an_array(void **state)
{
	struct fl_vma *v[8];
	fl_va lo, hi;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		unsigned space = 200, n;
		uint64_t len = (uint64_t)(1 + below(12)) * UNIT;

		random_range(space, &lo, &hi);
		n = random_vmas(lo, hi, v);
		commit(lo, hi, v, n);
		model_replace(lo, hi, v, n);
		lo = (fl_va)below(space) * UNIT;
		hi = lo + (fl_va)below(space) * UNIT;
		assert_int_equal(fl_index_gap(&index_, len, lo, hi, UNIT, true), model_gap(len, lo, hi, true));
		assert_int_equal(fl_index_gap(&index_, len, lo, hi, UNIT, false), model_gap(len, lo, hi, false));
	}
}

static void gap_is_aligned(void **state)
{
	struct fl_vma *v = vma(0x205000, 0x206000, 0);

	(void)state;
	commit(v->start, v->end, &v, 1);
	model_replace(v->start, v->end, &v, 1);
	assert_int_equal(fl_index_gap(&index_, 0x1000, 0x1000, 0x210000, 0x100000, true), 0x200000);
	assert_int_equal(fl_index_gap(&index_, 0x1000, 0x1000, 0x300000, 0x4000, true), 0x2fc000);
	assert_int_equal(fl_index_gap(&index_, 0x1000, 0x204000, 0x300000, 0x8000, false), 0x208000);
	assert_int_equal(fl_index_gap(&index_, 0, 0, 0x300000, UNIT, true), 0);
	assert_int_equal(fl_index_gap(&index_, UNIT, 0x300000, 0x300000, UNIT, true), 0);
}

static void thousands_come_and_go(void **state)
{
	enum {
		N = 30000
	};
	static struct fl_vma *all[N];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		/* 7919 is prime: every place once, in no order. */
		fl_va start = (fl_va)(i * 7919u % N) * 2 * UNIT;

		all[i] = vma(start, start + UNIT, 0);
		commit(start, start + UNIT, &all[i], 1);
	}
	assert_null(fl_index_check(&index_));
	assert_int_equal(index_.count, N);
	for (unsigned i = 0; i < N; i++)
		assert_ptr_equal(fl_index_find(&index_, all[i]->start), all[i]);
	for (unsigned i = 0; i < N; i++) {
		commit(all[i]->start, all[i]->end, NULL, 0);
		if (i % 1000 == 0)
			assert_null(fl_index_check(&index_));
		fl_vma_free_rcu(all[i]);
	}
	assert_int_equal(index_.count, 0);
	assert_null(fl_index_find(&index_, 0));
	assert_null(fl_index_check(&index_));
}

static void reservation_that_fails_keeps_nothing(void **state)
{
	struct fl_index_reserve r = {0}, r2 = {0};
	bool hit = true;

	(void)state;
	for (long n = 0; hit; n++) {
		fl_port_fail_alloc_after(n);
		if (fl_index_reserve(&index_, &r, 1))
			assert_int_equal(index_.promised, 0);
		hit = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);
		assert_null(fl_index_check(&index_));
	}
	assert_int_equal(fl_index_reserve(&index_, &r2, 8), 0);
	assert_true(index_.pooled >= index_.promised);
	fl_index_unreserve(&index_, &r);
	fl_index_unreserve(&index_, &r2);
	assert_int_equal(index_.promised, 0);
	assert_null(fl_index_check(&index_));
}

#define ROUNDS 30

/* [0x10000, 0x20000) is always covered: by one VMA or by several. */
static void replacing_writer(void *arg)
{
	struct fl_vma *old[4] = {arg}, *fresh[4];
	unsigned n, had = 1;

	for (unsigned round = 0; round < ROUNDS; round++) {
		n = 1 + round % 4;
		for (unsigned i = 0; i < n; i++)
			fresh[i] = vma(0x10000 + i * 0x10000 / n / UNIT * UNIT,
				       i + 1 == n ? 0x20000 : 0x10000 + (i + 1) * 0x10000 / n / UNIT * UNIT, 0);
		commit(0x10000, 0x20000, fresh, n);
		for (unsigned i = 0; i < had; i++)
			fl_vma_free_rcu(old[i]);
		memcpy(old, fresh, sizeof(old));
		had = n;
	}
	for (unsigned i = 0; i < had; i++)
		model[count++] = old[i];
}

/* Makes the tree high and low again beside it. */
static void crowding_writer(void *arg)
{
	static struct fl_vma *crowd[64];

	(void)arg;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 64; i++) {
			crowd[i] = vma(0x100000 + i * 2 * UNIT, 0x100000 + i * 2 * UNIT + UNIT, 0);
			commit(crowd[i]->start, crowd[i]->end, &crowd[i], 1);
		}
		commit(0x100000, 0x200000, NULL, 0);
		for (unsigned i = 0; i < 64; i++)
			fl_vma_free_rcu(crowd[i]);
	}
}

static void reader(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS * 4; i++) {
		fl_va va = 0x10000 + (i * 0x1700u & 0xffff);
		struct fl_vma *v;

		fl_rcu_read_lock();
		v = fl_index_find(&index_, va);
		CHECK(v && v->start <= va && va < v->end);
		CHECK(v->start >= 0x10000 && v->end <= 0x20000);
		fl_rcu_read_unlock();
	}
}

static void one_schedule(size_t schedule)
{
	void (*const body[])(void *) = {replacing_writer, crowding_writer, reader, reader};
	struct fl_vma *first;
	void *arg[4] = {NULL};

	(void)schedule;
	open_index(NULL);
	first = vma(0x10000, 0x20000, 0);
	commit(first->start, first->end, &first, 1);
	arg[0] = first;
	run_concurrently(body, arg, 4);
	CHECK(fl_index_check(&index_) == NULL);
	close_index(NULL);
}

static void readers_see_all_or_nothing_of_a_replacement(void **state)
{
	(void)state;
	for_each_schedule(40, one_schedule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(replacements_agree_with_an_array, open_index, close_index),
		cmocka_unit_test_setup_teardown(gaps_agree_with_an_array, open_index, close_index),
		cmocka_unit_test_setup_teardown(gap_is_aligned, open_index, close_index),
		cmocka_unit_test_setup_teardown(thousands_come_and_go, open_index, close_index),
		cmocka_unit_test_setup_teardown(reservation_that_fails_keeps_nothing, open_index, close_index),
		cmocka_unit_test(readers_see_all_or_nothing_of_a_replacement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
