/* SPDX-License-Identifier: MIT */
/* brk: the heap's end, its growth into one mapping, and when it stays where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fl_port_test.h"
#include "mm_support.h"

static struct world w;

static void open_with(uint64_t limit_data)
{
	const struct fl_mm_config config = {.brk = page(0), .limit_data = limit_data};

	world_open_as(&w, 256, &config);
}

static int open_world(void **state)
{
	(void)state;
	open_with(0);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static void heap_grows_byte_by_byte_in_one_mapping(void **state)
{
	(void)state;
	assert_int_equal(fl_brk(&w.task, 0), page(0));
	assert_int_equal(fl_brk(&w.task, page(0) + 1), page(0) + 1);
	expect_layout(&w, "0-1 rw-");
	assert_int_equal(fl_brk(&w.task, page(1)), page(1));
	expect_layout(&w, "0-1 rw-");
	poke(&w.cpu, page(0), 1);
	assert_int_equal(fl_brk(&w.task, page(5) - 7), page(5) - 7);
	expect_layout(&w, "0-5 rw-");
	assert_int_equal(fl_brk(&w.task, page(0) - 1), page(5) - 7);
}

static void heap_shrinks_and_gives_pages_back(void **state)
{
	(void)state;
	assert_int_equal(fl_brk(&w.task, page(4)), page(4));
	for (unsigned i = 0; i < 4; i++)
		poke(&w.cpu, page(i), 1);
	assert_int_equal(fl_brk(&w.task, page(1) + 5), page(1) + 5);
	expect_layout(&w, "0-2 rw-");
	assert_int_equal(fl_frames_used(w.frames), 2 + 1);
	assert_int_equal(fl_brk(&w.task, page(0)), page(0));
	expect_layout(&w, "");
	assert_int_equal(fl_brk(&w.task, page(2)), page(2));
	peek(&w.cpu, page(0), 0);
}

static void heap_stops_a_page_before_another_mapping(void **state)
{
	fl_va out;

	(void)state;
	world_map(&w, page(8), 1, FL_PROT_READ);
	assert_int_equal(fl_brk(&w.task, page(8)), page(0));
	assert_int_equal(fl_brk(&w.task, page(7)), page(7));
	expect_layout(&w, "0-7 rw-, 8-9 r--");
	assert_int_equal(fl_munmap(&w.task, page(8), PAGE), 0);
	assert_int_equal(fl_mmap(&w.task, page(300), PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_GROWSDOWN, &out), 0);
	assert_int_equal(fl_brk(&w.task, page(44)), page(7));
	assert_int_equal(fl_brk(&w.task, page(43)), page(43));
}

static void heap_with_a_hole_does_not_shrink_over_it(void **state)
{
	(void)state;
	assert_int_equal(fl_brk(&w.task, page(8)), page(8));
	assert_int_equal(fl_munmap(&w.task, page(4), 4 * PAGE), 0);
	assert_int_equal(fl_brk(&w.task, page(6)), page(8));
	assert_int_equal(fl_brk(&w.task, page(2)), page(2));
	expect_layout(&w, "0-2 rw-");
}

static void limits_keep_the_heap_where_it_is(void **state)
{
	(void)state;
	assert_int_equal(fl_brk(&w.task, page(257)), page(0));
	assert_int_equal(fl_brk(&w.task, UINT64_MAX), page(0));
	world_close(&w);
	open_with(4 * PAGE);
	assert_int_equal(fl_brk(&w.task, page(4) + 1), page(0));
	assert_int_equal(fl_brk(&w.task, page(4)), page(4));
}

static void heap_is_told_apart_in_listings(void **state)
{
	struct fl_vma_info v;

	(void)state;
	assert_int_equal(fl_brk(&w.task, page(2)), page(2));
	world_map(&w, page(4), 1, RW);
	assert_true(fl_mm_next_vma(w.mm, 0, &v) && v.heap);
	assert_true(fl_mm_next_vma(w.mm, v.end, &v) && !v.heap);
}

static void address_space_without_a_heap_says_zero(void **state)
{
	static const struct fl_mm_config config;

	(void)state;
	world_close(&w);
	world_open_as(&w, 256, &config);
	assert_int_equal(fl_brk(&w.task, 0), 0);
	assert_int_equal(fl_brk(&w.task, page(4)), 0);
	expect_layout(&w, "");
}

static void failed_allocation_leaves_the_heap(void **state)
{
	bool hit = true;

	(void)state;
	for (long n = 0; hit; n++) {
		fl_port_fail_alloc_after(n);
		if (fl_brk(&w.task, page(3)) == page(0))
			expect_layout(&w, "");
		else
			expect_layout(&w, "0-3 rw-");
		hit = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);
		assert_int_equal(fl_brk(&w.task, page(0)), page(0));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(heap_grows_byte_by_byte_in_one_mapping),   TEST(heap_shrinks_and_gives_pages_back),
		TEST(heap_stops_a_page_before_another_mapping), TEST(heap_with_a_hole_does_not_shrink_over_it),
		TEST(limits_keep_the_heap_where_it_is),         TEST(heap_is_told_apart_in_listings),
		TEST(address_space_without_a_heap_says_zero),   TEST(failed_allocation_leaves_the_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
