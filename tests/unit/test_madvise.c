/* SPDX-License-Identifier: MIT */
/* madvise: each kind of advice, its errors and what it leaves done before a hole. */
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

static int advise(unsigned from, unsigned to, int advice)
{
	return fl_madvise(&w.task, page(from), (to - from) * PAGE, advice);
}

static uint64_t resident(void)
{
	struct fl_mm_stats s;

	fl_mm_stats(w.mm, &s);
	return s.resident;
}

static void bad_arguments_have_linux_errors(void **state)
{
	const int unknown[] = {5, 6, 7, 26, 99, 104, -1, FL_MADV_HWPOISON, FL_MADV_SOFT_OFFLINE};

	(void)state;
	world_map(&w, page(0), 2, RW);
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		assert_int_equal(advise(0, 1, unknown[i]), -FL_EINVAL);
		assert_int_equal(advise(0, 0, unknown[i]), -FL_EINVAL);
	}
	assert_int_equal(fl_madvise(&w.task, page(0) + 1, PAGE, FL_MADV_DONTNEED), -FL_EINVAL);
	assert_int_equal(fl_madvise(&w.task, page(0), UINT64_MAX, FL_MADV_DONTNEED), -FL_EINVAL);
	assert_int_equal(fl_madvise(&w.task, page(0), UINT64_MAX - PAGE, FL_MADV_DONTNEED), -FL_EINVAL);
	assert_int_equal(fl_madvise(&w.task, page(0), 0, FL_MADV_DONTNEED), 0);
	assert_int_equal(advise(4, 5, FL_MADV_DONTNEED), -FL_ENOMEM);
	assert_int_equal(advise(0, 1, FL_MADV_REMOVE), -FL_EINVAL);
	assert_int_equal(advise(0, 1, FL_MADV_COLLAPSE), -FL_EINVAL);
}

static void dontneed_drops_pages_tables_and_translations(void **state)
{
	struct fl_mm_stats s;

	(void)state;
	world_map(&w, page(0), 4, RW);
	for (unsigned i = 0; i < 4; i++)
		poke(&w.cpu, page(i), 9);
	assert_int_equal(advise(1, 3, FL_MADV_DONTNEED), 0);
	assert_int_equal(resident(), 2);
	peek(&w.cpu, page(0), 9);
	peek(&w.cpu, page(1), 0);
	expect_layout(&w, "0-4 rw-");
	assert_int_equal(advise(0, 4, FL_MADV_DONTNEED), 0);
	fl_mm_stats(w.mm, &s);
	assert_int_equal(s.tables, 1);
	assert_int_equal(fl_frames_used(w.frames), 1);
}

static void dontneed_goes_on_after_a_hole_but_not_over_locked_pages(void **state)
{
	(void)state;
	world_map(&w, page(0), 2, RW);
	world_map(&w, page(3), 2, RW);
	poke(&w.cpu, page(0), 1);
	poke(&w.cpu, page(4), 1);
	assert_int_equal(advise(0, 8, FL_MADV_DONTNEED), -FL_ENOMEM);
	assert_int_equal(resident(), 0);
	poke(&w.cpu, page(0), 1);
	assert_int_equal(fl_mlock(&w.task, page(3), 2 * PAGE, 0), 0);
	assert_int_equal(advise(0, 5, FL_MADV_DONTNEED), -FL_EINVAL);
	assert_int_equal(resident(), 2);
	assert_int_equal(advise(0, 5, FL_MADV_FREE), -FL_EINVAL);
	assert_int_equal(advise(3, 5, FL_MADV_COLD), -FL_EINVAL);
	assert_int_equal(advise(3, 5, FL_MADV_PAGEOUT), -FL_EINVAL);
	assert_int_equal(advise(3, 5, FL_MADV_WILLNEED), 0);
	assert_int_equal(advise(3, 5, FL_MADV_DONTNEED_LOCKED), 0);
	assert_int_equal(resident(), 0);
	expect_layout(&w, "0-2 rw-, 3-5 rw-L");
}

static void hints_change_no_contents(void **state)
{
	(void)state;
	world_map(&w, page(0), 1, RW);
	poke(&w.cpu, page(0), 3);
	assert_int_equal(advise(0, 1, FL_MADV_COLD), 0);
	assert_int_equal(advise(0, 1, FL_MADV_PAGEOUT), 0);
	assert_int_equal(advise(0, 1, FL_MADV_WILLNEED), 0);
	peek(&w.cpu, page(0), 3);
}

static void flags_split_and_merge(void **state)
{
	(void)state;
	world_map(&w, page(0), 8, RW);
	assert_int_equal(advise(2, 4, FL_MADV_DONTFORK), 0);
	expect_layout(&w, "0-2 rw-, 2-4 rw-D, 4-8 rw-");
	assert_int_equal(advise(3, 6, FL_MADV_WIPEONFORK), 0);
	expect_layout(&w, "0-2 rw-, 2-3 rw-D, 3-4 rw-DW, 4-6 rw-W, 6-8 rw-");
	assert_int_equal(advise(0, 8, FL_MADV_KEEPONFORK), 0);
	assert_int_equal(advise(0, 8, FL_MADV_DOFORK), 0);
	expect_layout(&w, "0-8 rw-");
	assert_int_equal(advise(0, 4, FL_MADV_SEQUENTIAL), 0);
	assert_int_equal(advise(3, 4, FL_MADV_RANDOM), 0);
	expect_layout(&w, "0-3 rw-S, 3-4 rw-R, 4-8 rw-");
	assert_int_equal(advise(0, 8, FL_MADV_NORMAL), 0);
	expect_layout(&w, "0-8 rw-");
	assert_int_equal(advise(0, 9, FL_MADV_SEQUENTIAL), -FL_ENOMEM);
	expect_layout(&w, "0-8 rw-S");
}

static void populate_faults_pages_in_up_to_a_hole(void **state)
{
	(void)state;
	world_map(&w, page(0), 2, RW);
	world_map(&w, page(2), 2, FL_PROT_READ);
	world_map(&w, page(5), 1, RW);
	assert_int_equal(advise(0, 4, FL_MADV_POPULATE_READ), 0);
	assert_int_equal(resident(), 4);
	assert_int_equal(fl_frames_used(w.frames), 1);
	assert_int_equal(advise(0, 2, FL_MADV_POPULATE_WRITE), 0);
	assert_int_equal(poke(&w.cpu, page(1), 1), FL_KIND_NONE);
	assert_int_equal(advise(2, 4, FL_MADV_POPULATE_WRITE), -FL_EINVAL);
	assert_int_equal(advise(3, 6, FL_MADV_POPULATE_READ), -FL_ENOMEM);
	assert_int_equal(resident(), 4);
}

static void guards_refuse_every_access_until_removed(void **state)
{
	(void)state;
	world_map(&w, page(0), 4, RW);
	poke(&w.cpu, page(1), 1);
	assert_int_equal(advise(1, 3, FL_MADV_GUARD_INSTALL), 0);
	expect_layout(&w, "0-4 rw-");
	assert_int_equal(resident(), 0);
	assert_int_equal(try_access(&w.cpu, page(1), FL_READ), FL_FAULT_BAD_AREA);
	assert_int_equal(try_access(&w.cpu, page(2), FL_WRITE), FL_FAULT_BAD_AREA);
	poke(&w.cpu, page(3), 1);
	/* Dropping pages leaves guards; so does protection. */
	assert_int_equal(advise(0, 4, FL_MADV_DONTNEED), 0);
	assert_int_equal(fl_mprotect(&w.task, page(0), 4 * PAGE, FL_PROT_READ), 0);
	assert_int_equal(try_access(&w.cpu, page(1), FL_READ), FL_FAULT_BAD_AREA);
	assert_int_equal(fl_mprotect(&w.task, page(0), 4 * PAGE, RW), 0);
	assert_int_equal(advise(0, 4, FL_MADV_GUARD_REMOVE), 0);
	peek(&w.cpu, page(1), 0);
	poke(&w.cpu, page(2), 1);
	assert_int_equal(advise(1, 2, FL_MADV_GUARD_INSTALL), 0);
	world_map(&w, page(1), 1, RW);
	peek(&w.cpu, page(1), 0);
}

static void foreign_mappings_are_skipped(void **state)
{
	fl_va out;

	(void)state;
	world_map(&w, page(0), 1, RW);
	assert_int_equal(fl_mmap_foreign(&w.task, page(1), PAGE, RW, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 1, 0, &out),
			 0);
	world_map(&w, page(2), 1, RW);
	poke(&w.cpu, page(2), 1);
	assert_int_equal(advise(0, 3, FL_MADV_DONTNEED), 0);
	assert_int_equal(resident(), 0);
	assert_int_equal(advise(0, 3, FL_MADV_DONTFORK), 0);
	expect_layout(&w, "0-1 rw-D, 1-2 rw-F, 2-3 rw-D");
	assert_int_equal(advise(1, 2, FL_MADV_GUARD_INSTALL), 0);
}

/* Nobody waits for a walk over 2^33 pages that are none of ours, nor for markers in as many. */
static void huge_ranges_take_no_time_to_speak_of(void **state)
{
	const fl_va huge = (fl_va)1 << 45;
	fl_va out;

	(void)state;
	assert_int_equal(fl_mmap_foreign(&w.task, huge, huge, RW, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 1, 0, &out), 0);
	assert_int_equal(fl_madvise(&w.task, huge, huge, FL_MADV_POPULATE_READ), 0);
	assert_int_equal(fl_munmap(&w.task, huge, huge), 0);
	assert_int_equal(fl_mmap(&w.task, huge, huge, RW, ANON | FL_MAP_FIXED | FL_MAP_NORESERVE, &out), 0);
	fl_task_signal(&w.task, FL_SIGNAL_FATAL);
	assert_int_equal(fl_madvise(&w.task, huge, huge, FL_MADV_GUARD_INSTALL), -FL_EINTR);
	fl_task_clear_signal(&w.task, FL_SIGNAL_FATAL);
	assert_int_equal(fl_munmap(&w.task, huge, huge), 0);
}

static void setup(struct world *world)
{
	world_map(world, page(0), 8, RW);
	poke(&world->cpu, page(3), 1);
}

static int dont_fork(struct world *world)
{
	return fl_madvise(&world->task, page(2), 2 * PAGE, FL_MADV_DONTFORK);
}

static int guard(struct world *world)
{
	return fl_madvise(&world->task, page(2), 2 * PAGE, FL_MADV_GUARD_INSTALL);
}

static void failed_allocation_changes_nothing(void **state)
{
	(void)state;
	fail_every_allocation(setup, dont_fork, -FL_EAGAIN);
	fail_every_allocation(setup, guard, -FL_ENOMEM);
}

/* PAGEOUT takes away what FREE gave up, if nobody has written it since. */
static void free_pages_go_when_they_are_paged_out(void **state)
{
	struct fl_mm *mm;

	(void)state;
	world_map(&w, page(0), 6, RW);
	for (unsigned i = 0; i < 5; i++)
		poke(&w.cpu, page(i), 7);
	peek(&w.cpu, page(5), 0);
	assert_int_equal(fl_madvise(&w.task, page(0), 6 * PAGE, FL_MADV_PAGEOUT), 0);
	peek(&w.cpu, page(0), 7); /* there is no swap */
	assert_int_equal(fl_madvise(&w.task, page(0), 4 * PAGE, FL_MADV_FREE), 0);
	peek(&w.cpu, page(0), 7);
	poke(&w.cpu, page(1), 8); /* with the right it has, but not past the engine */
	assert_int_equal(fl_mm_fork(&w.task, &mm), 0);
	poke(&w.cpu, page(2), 9);
	assert_int_equal(fl_madvise(&w.task, page(0), 6 * PAGE, FL_MADV_PAGEOUT), 0);
	peek(&w.cpu, page(0), 7); /* shared: not ours alone to give */
	fl_mm_put(mm);
	assert_int_equal(fl_madvise(&w.task, page(0), 6 * PAGE, FL_MADV_PAGEOUT), 0);
	assert_int_equal(peek(&w.cpu, page(0), 0), FL_KIND_ZERO);
	peek(&w.cpu, page(1), 8);
	peek(&w.cpu, page(2), 9);
	assert_int_equal(peek(&w.cpu, page(3), 0), FL_KIND_ZERO);
	peek(&w.cpu, page(4), 7);
	/* To populate for writing is to write. */
	assert_int_equal(fl_madvise(&w.task, page(1), 2 * PAGE, FL_MADV_FREE), 0);
	assert_int_equal(fl_madvise(&w.task, page(1), PAGE, FL_MADV_POPULATE_WRITE), 0);
	assert_int_equal(fl_madvise(&w.task, page(2), PAGE, FL_MADV_POPULATE_READ), 0);
	assert_int_equal(fl_madvise(&w.task, page(1), 2 * PAGE, FL_MADV_PAGEOUT), 0);
	peek(&w.cpu, page(1), 8);
	assert_int_equal(peek(&w.cpu, page(2), 0), FL_KIND_ZERO);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(free_pages_go_when_they_are_paged_out),
		TEST(bad_arguments_have_linux_errors),
		TEST(dontneed_drops_pages_tables_and_translations),
		TEST(dontneed_goes_on_after_a_hole_but_not_over_locked_pages),
		TEST(hints_change_no_contents),
		TEST(flags_split_and_merge),
		TEST(populate_faults_pages_in_up_to_a_hole),
		TEST(guards_refuse_every_access_until_removed),
		TEST(foreign_mappings_are_skipped),
		TEST(huge_ranges_take_no_time_to_speak_of),
		cmocka_unit_test(failed_allocation_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
