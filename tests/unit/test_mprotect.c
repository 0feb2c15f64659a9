/* SPDX-License-Identifier: MIT */
/* mprotect: splitting and merging, what is left done at an error, and that the machine obeys at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm_support.h"

static struct world w;

static int open_world(void **state)
{
	(void)state;
	world_open(&w, 256);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static int protect(unsigned from, unsigned to, int prot)
{
	return fl_mprotect(&w.task, page(from), (to - from) * PAGE, prot);
}

static void bad_arguments_have_linux_errors(void **state)
{
	(void)state;
	world_map(&w, page(0), 2, RW);
	assert_int_equal(fl_mprotect(&w.task, page(0) + 1, PAGE, RW), -FL_EINVAL);
	assert_int_equal(fl_mprotect(&w.task, page(0), 0, RW), 0);
	assert_int_equal(fl_mprotect(&w.task, page(0), 0, 0x40), 0);
	assert_int_equal(fl_mprotect(&w.task, page(0), PAGE, 0x40), -FL_EINVAL);
	assert_int_equal(fl_mprotect(&w.task, page(0), UINT64_MAX - PAGE, RW), -FL_ENOMEM);
	assert_int_equal(fl_mprotect(&w.task, page(5), PAGE, RW), -FL_ENOMEM);
	assert_int_equal(fl_mprotect(&w.task, page(0), PAGE, RW | FL_PROT_GROWSDOWN), -FL_EINVAL);
	assert_int_equal(fl_mprotect(&w.task, page(0), PAGE, RW | FL_PROT_GROWSUP), -FL_EINVAL);
	assert_int_equal(fl_mprotect(&w.task, page(0), PAGE, RW | FL_PROT_GROWSUP | FL_PROT_GROWSDOWN), -FL_EINVAL);
	expect_layout(&w, "0-2 rw-");
}

static void part_of_a_mapping_is_split_off_and_merges_back(void **state)
{
	(void)state;
	world_map(&w, page(0), 8, RW);
	assert_int_equal(protect(2, 4, FL_PROT_READ), 0);
	expect_layout(&w, "0-2 rw-, 2-4 r--, 4-8 rw-");
	assert_int_equal(protect(4, 6, FL_PROT_READ), 0);
	expect_layout(&w, "0-2 rw-, 2-6 r--, 6-8 rw-");
	assert_int_equal(protect(0, 2, FL_PROT_READ), 0);
	expect_layout(&w, "0-6 r--, 6-8 rw-");
	assert_int_equal(protect(0, 6, RW), 0);
	expect_layout(&w, "0-8 rw-");
}

static void many_mappings_change_up_to_the_hole(void **state)
{
	(void)state;
	world_map(&w, page(0), 20, RW);
	for (unsigned i = 1; i < 20; i += 2)
		assert_int_equal(protect(i, i + 1, FL_PROT_NONE), 0);
	assert_int_equal(fl_munmap(&w.task, page(14), PAGE), 0);
	assert_int_equal(protect(1, 18, FL_PROT_READ), -FL_ENOMEM);
	expect_layout(&w, "0-1 rw-, 1-14 r--, 15-16 ---, 16-17 rw-, 17-18 ---, 18-19 rw-, 19-20 ---");
	assert_int_equal(protect(14, 16, RW), -FL_ENOMEM);
}

static void rights_taken_away_are_gone_at_once_and_contents_stay(void **state)
{
	(void)state;
	world_map(&w, page(0), 4, RW);
	for (unsigned i = 0; i < 4; i++)
		poke(&w.cpu, page(i), (uint8_t)(i + 1));
	assert_int_equal(protect(1, 2, FL_PROT_READ), 0);
	assert_int_equal(try_access(&w.cpu, page(1), FL_WRITE), FL_FAULT_ACCESS_ERROR);
	peek(&w.cpu, page(1), 2);
	assert_int_equal(protect(0, 4, FL_PROT_NONE), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(try_access(&w.cpu, page(i), FL_READ), FL_FAULT_ACCESS_ERROR);
	assert_int_equal(fl_frames_used(w.frames), 4 + 1);
	assert_int_equal(protect(0, 4, RW), 0);
	for (unsigned i = 0; i < 4; i++)
		peek(&w.cpu, page(i), (uint8_t)(i + 1));
	/* The frames are nobody else's, so they are writable again without a fault. */
	assert_int_equal(poke(&w.cpu, page(2), 9), FL_KIND_NONE);
	assert_int_equal(try_access(&w.cpu, page(0), FL_EXEC), FL_FAULT_ACCESS_ERROR);
	assert_int_equal(protect(0, 1, RW | FL_PROT_EXEC), 0);
	assert_int_equal(try_access(&w.cpu, page(0), FL_EXEC), FL_FAULT_DONE);
}

static void zero_page_never_becomes_writable(void **state)
{
	(void)state;
	world_map(&w, page(0), 2, FL_PROT_READ);
	assert_int_equal(peek(&w.cpu, page(0), 0), FL_KIND_ZERO);
	assert_int_equal(protect(0, 2, RW), 0);
	assert_int_equal(poke(&w.cpu, page(0), 5), FL_KIND_ANON);
	peek(&w.cpu, page(1), 0);
	assert_int_equal(fl_frames_used(w.frames), 1 + 1);
}

static void growsdown_reaches_to_the_start(void **state)
{
	fl_va out;

	(void)state;
	assert_int_equal(fl_mmap(&w.task, page(0), 8 * PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_GROWSDOWN, &out), 0);
	assert_int_equal(protect(5, 6, FL_PROT_READ | FL_PROT_GROWSDOWN), 0);
	expect_layout(&w, "0-6 r--G, 6-8 rw-G");
}

static void locked_memory_made_writable_is_copied_ahead(void **state)
{
	fl_va out;

	(void)state;
	assert_int_equal(fl_mmap(&w.task, page(0), 2 * PAGE, FL_PROT_READ, ANON | FL_MAP_FIXED | FL_MAP_LOCKED, &out),
			 0);
	assert_int_equal(protect(0, 2, RW), 0);
	assert_int_equal(poke(&w.cpu, page(1), 1), FL_KIND_NONE);
}

static void setup(struct world *world)
{
	world_map(world, page(0), 8, RW);
	poke(&world->cpu, page(3), 1);
}

static int middle_read_only(struct world *world)
{
	return fl_mprotect(&world->task, page(2), 4 * PAGE, FL_PROT_READ);
}

static void failed_allocation_changes_nothing(void **state)
{
	(void)state;
	fail_every_allocation(setup, middle_read_only, -FL_ENOMEM);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_arguments_have_linux_errors),
		TEST(part_of_a_mapping_is_split_off_and_merges_back),
		TEST(many_mappings_change_up_to_the_hole),
		TEST(rights_taken_away_are_gone_at_once_and_contents_stay),
		TEST(zero_page_never_becomes_writable),
		TEST(growsdown_reaches_to_the_start),
		TEST(locked_memory_made_writable_is_copied_ahead),
		cmocka_unit_test(failed_allocation_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
