/* SPDX-License-Identifier: MIT */
/*
 * Where mmap and mremap put what has no address, and what they answer to calls that are wrong in odd ways. All of it
 * was asked of Linux 6.18.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "concurrent.h"
#include "mm_support.h"

#define HUGE ((uint64_t)2 << 20)
#define TOP (BASE + 64 * HUGE)
#define STACK_GUARD (256 * PAGE)

static struct world w;

static int open_world(void **state)
{
	const struct fl_mm_config config = {
		.mmap_lo = BASE,
		.mmap_hi = TOP,
		.min_addr = 4096,
		.min_hint = 65536,
		.memory = (uint64_t)1 << 30,
	};

	(void)state;
	world_open_as(&w, 256, &config);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static int map(fl_va va, uint64_t len, int prot, int flags, fl_va *out)
{
	return fl_mmap(&w.task, va, len, prot, flags, out);
}

static fl_va chosen(uint64_t len, int flags)
{
	fl_va out = 0;

	assert_int_equal(map(0, len, FL_PROT_NONE, ANON | flags, &out), 0);
	return out;
}

static void whole_huge_pages_are_aligned(void **state)
{
	fl_va out;

	(void)state;
	assert_int_equal(chosen(PAGE, 0), TOP - PAGE);
	assert_int_equal(chosen(2 * HUGE, 0), TOP - 3 * HUGE);
	/* Not a multiple: no reason to. */
	assert_int_equal(chosen(HUGE + PAGE, 0), TOP - 4 * HUGE - PAGE);
	/* A hint that is taken already is not aligned either. */
	assert_int_equal(map(TOP - PAGE, HUGE, FL_PROT_NONE, ANON, &out), 0);
	assert_int_equal(out, TOP - 5 * HUGE - PAGE);
	/* From below, aligned as it is, the search loses one. */
	assert_int_equal(chosen(HUGE, FL_MAP_32BIT), 0x40000000 + HUGE);
}

static void aligned_memory_takes_what_room_there_is(void **state)
{
	(void)state;
	assert_int_equal(chosen(63 * HUGE - PAGE, 0), TOP - 63 * HUGE + PAGE);
	assert_int_equal(chosen(HUGE, 0), BASE + PAGE);
}

static void mremap_chooses_as_mmap_does(void **state)
{
	fl_va out;

	(void)state;
	world_map(&w, BASE, 2, RW);
	world_map(&w, BASE + 2 * PAGE, 1, FL_PROT_READ);
	assert_int_equal(fl_mremap(&w.task, BASE, 2 * PAGE, HUGE, FL_MREMAP_MAYMOVE, BASE + 40 * HUGE, &out), 0);
	assert_int_equal(out, TOP - HUGE);
	/* Without FIXED, DONTUNMAP takes its address for a hint. */
	assert_int_equal(fl_mremap(&w.task, out, 2 * PAGE, 2 * PAGE, FL_MREMAP_MAYMOVE | FL_MREMAP_DONTUNMAP,
				   BASE + 40 * HUGE, &out),
			 0);
	assert_int_equal(out, BASE + 40 * HUGE);
}

/* Top down, what a stack wants below it hides what lies there: Linux goes on below, though there is room above. */
static void search_goes_on_below_a_stacks_guard(void **state)
{
	fl_va out;

	(void)state;
	assert_int_equal(map(TOP - PAGE, PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_GROWSDOWN, &out), 0);
	assert_int_equal(map(TOP - 20 * PAGE, PAGE, RW, ANON | FL_MAP_FIXED, &out), 0);
	assert_int_equal(chosen(PAGE, 0), TOP - PAGE - STACK_GUARD - PAGE);
	/* As a hint the place below the other mapping is good enough. */
	assert_int_equal(map(TOP - 30 * PAGE, PAGE, FL_PROT_READ, ANON, &out), 0);
	assert_int_equal(out, TOP - 30 * PAGE);
	/* One in the guard itself is not. */
	assert_int_equal(map(TOP - 10 * PAGE, PAGE, FL_PROT_READ, ANON, &out), 0);
	assert_true(out < TOP - STACK_GUARD);
}

static void where_there_is_no_room_another_place_is_tried_from_below(void **state)
{
	const struct fl_mm_config config = {
		.mmap_lo = BASE,
		.mmap_hi = BASE + 4 * PAGE,
		.spare_lo = BASE - 100 * PAGE,
		.spare_hi = BASE + 100 * PAGE,
	};
	fl_va out;

	(void)state;
	world_close(&w);
	world_open_as(&w, 256, &config);
	assert_int_equal(chosen(4 * PAGE, 0), BASE);
	assert_int_equal(chosen(PAGE, 0), BASE - 100 * PAGE);
	assert_int_equal(chosen(99 * PAGE, 0), BASE - 99 * PAGE);
	assert_int_equal(map(0, 97 * PAGE, FL_PROT_NONE, ANON, &out), -FL_ENOMEM);
}

static void low_addresses_need_a_privilege_and_hints_are_raised(void **state)
{
	fl_va out;

	(void)state;
	assert_int_equal(map(0, PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_EPERM);
	assert_int_equal(map(4096, PAGE, RW, ANON | FL_MAP_FIXED, &out), 0);
	w.task.caps |= FL_CAP_SYS_RAWIO;
	assert_int_equal(map(0, PAGE, RW, ANON | FL_MAP_FIXED, &out), 0);
	/* Whoever it is. */
	assert_int_equal(map(8192, PAGE, RW, ANON, &out), 0);
	assert_int_equal(out, 65536);
	w.task.caps &= ~FL_CAP_SYS_RAWIO;
	assert_int_equal(fl_munmap(&w.task, 0, PAGE), 0);
	assert_int_equal(fl_mremap(&w.task, 65536, PAGE, PAGE, FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED, 0, &out),
			 -FL_EPERM);
	assert_int_equal(fl_munmap(&w.task, 4096, PAGE), 0);
}

static void odd_calls_have_odd_answers(void **state)
{
	fl_va out;

	(void)state;
	assert_int_equal(map(BASE, PAGE, RW, FL_MAP_ANONYMOUS | FL_MAP_FIXED, &out), -FL_EINVAL);
	assert_int_equal(map(BASE, PAGE, RW, FL_MAP_ANONYMOUS | FL_MAP_SHARED_VALIDATE, &out), -FL_EINVAL);
	assert_int_equal(map(BASE, PAGE, RW, FL_MAP_ANONYMOUS | 7, &out), -FL_EINVAL);
	/* Rights and flags that do not exist are none. */
	assert_int_equal(map(BASE, PAGE, 0x110 | FL_PROT_READ, ANON | FL_MAP_FIXED | 1 << 30, &out), 0);
	expect_layout(&w, "0-1 r--");
	/* An address in the last page of all is taken for an error. */
	assert_int_equal(map(UINT64_MAX - 99, PAGE, RW, ANON | FL_MAP_FIXED, &out), -100);
	assert_int_equal(map(UINT64_MAX - 4095, PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_ENOMEM);
	/* SYNC means nothing, but it is a flag of the mapping. */
	assert_int_equal(map(BASE + PAGE, PAGE, FL_PROT_READ, ANON | FL_MAP_FIXED | FL_MAP_SYNC, &out), 0);
	expect_layout(&w, "0-1 r--, 1-2 r--");
}

/* The limits are asked for all pages less those that are replaced, whatever these were. */
static void limits_ask_for_more_or_less_than_what_is_counted(void **state)
{
	fl_va out;

	(void)state;
	world_map(&w, BASE, 8, RW);
	world_map(&w, BASE + 8 * PAGE, 4, FL_PROT_READ);
	fl_mm_set_limits(w.mm, 0, 8 * PAGE, 0, 0);
	assert_int_equal(map(BASE + 8 * PAGE, 2 * PAGE, RW, ANON | FL_MAP_FIXED, &out), 0);
	/* Past the limit by now, so not even what adds nothing. */
	assert_int_equal(map(BASE + 2 * PAGE, PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_ENOMEM);
	assert_int_equal(fl_mprotect(&w.task, BASE + 10 * PAGE, PAGE, RW), -FL_ENOMEM);
	/* mprotect asks only where the address space itself has room. */
	fl_mm_set_limits(w.mm, PAGE, 8 * PAGE, 0, 0);
	assert_int_equal(fl_mprotect(&w.task, BASE + 10 * PAGE, PAGE, RW), 0);
}

static void refused_mapping_leaves_pieces(void **state)
{
	fl_va out;

	(void)state;
	world_map(&w, BASE, 8, FL_PROT_READ);
	fl_mm_set_limits(w.mm, 4 * PAGE, 0, 0, 0);
	assert_int_equal(map(BASE + 2 * PAGE, 2 * PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_ENOMEM);
	expect_layout(&w, "0-2 r--, 2-4 r--, 4-8 r--");
}

/* mremap clears its target first, and may fail after that. */
static void refused_move_has_cleared_its_target(void **state)
{
	fl_va out;

	(void)state;
	world_map(&w, BASE, 2, RW);
	world_map(&w, BASE + 4 * PAGE, 1, RW);
	fl_mm_set_limits(w.mm, 3 * PAGE, 0, 0, 0);
	assert_int_equal(fl_mremap(&w.task, BASE, 2 * PAGE, 2 * PAGE,
				   FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED | FL_MREMAP_DONTUNMAP, BASE + 4 * PAGE, &out),
			 -FL_ENOMEM);
	expect_layout(&w, "0-2 rw-");
}

static void nothing_may_be_locked_with_a_limit_of_zero(void **state)
{
	fl_va out;

	(void)state;
	world_map(&w, BASE, 2, RW);
	fl_mm_set_limits(w.mm, 0, 0, FL_LIMIT_ZERO, 0);
	assert_int_equal(fl_mlock(&w.task, BASE, PAGE, 0), -FL_EPERM);
	assert_int_equal(fl_mlock(&w.task, BASE, 0, 0), -FL_EPERM);
	assert_int_equal(fl_mlockall(&w.task, FL_MCL_FUTURE), -FL_EPERM);
	assert_int_equal(map(0, PAGE, RW, ANON | FL_MAP_LOCKED, &out), -FL_EPERM);
	assert_int_equal(fl_munlock(&w.task, BASE, PAGE), 0);
	w.task.caps |= FL_CAP_IPC_LOCK;
	assert_int_equal(fl_mlock(&w.task, BASE, PAGE, 0), 0);
	expect_layout(&w, "0-1 rw-L, 1-2 rw-");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_huge_pages_are_aligned),
		TEST(aligned_memory_takes_what_room_there_is),
		TEST(mremap_chooses_as_mmap_does),
		TEST(search_goes_on_below_a_stacks_guard),
		TEST(where_there_is_no_room_another_place_is_tried_from_below),
		TEST(low_addresses_need_a_privilege_and_hints_are_raised),
		TEST(odd_calls_have_odd_answers),
		TEST(limits_ask_for_more_or_less_than_what_is_counted),
		TEST(refused_mapping_leaves_pieces),
		TEST(refused_move_has_cleared_its_target),
		TEST(nothing_may_be_locked_with_a_limit_of_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
