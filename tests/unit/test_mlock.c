/* SPDX-License-Identifier: MIT */
/* mlock, munlock, mincore, msync. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
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

static int lock(unsigned from, unsigned to, int flags)
{
	return fl_mlock(&w.task, page(from), (to - from) * PAGE, flags);
}

static uint64_t locked(void)
{
	struct fl_mm_stats s;

	fl_mm_stats(w.mm, &s);
	return s.locked_pages;
}

static void locking_brings_pages_in_and_splits(void **state)
{
	(void)state;
	world_map(&w, page(0), 8, RW);
	/* Any byte of a page stands for the page. */
	assert_int_equal(fl_mlock(&w.task, page(2) + 5, PAGE, 0), 0);
	expect_layout(&w, "0-2 rw-, 2-4 rw-L, 4-8 rw-");
	assert_int_equal(poke(&w.cpu, page(3), 1), FL_KIND_NONE);
	assert_int_equal(lock(3, 5, FL_MLOCK_ONFAULT), 0);
	expect_layout(&w, "0-2 rw-, 2-3 rw-L, 3-5 rw-LO, 5-8 rw-");
	assert_int_equal(locked(), 3);
	assert_int_equal(fl_munlock(&w.task, page(0), 8 * PAGE), 0);
	expect_layout(&w, "0-8 rw-");
	assert_int_equal(locked(), 0);
}

static void errors_are_those_of_linux(void **state)
{
	(void)state;
	world_map(&w, page(0), 2, RW);
	world_map(&w, page(3), 1, RW);
	world_map(&w, page(4), 1, FL_PROT_NONE);
	assert_int_equal(lock(0, 1, 2), -FL_EINVAL);
	assert_int_equal(fl_mlock(&w.task, page(0), UINT64_MAX - 2 * PAGE, 0), -FL_EINVAL);
	assert_int_equal(lock(0, 0, 0), 0);
	/* Up to the hole. */
	assert_int_equal(lock(1, 4, 0), -FL_ENOMEM);
	expect_layout(&w, "0-1 rw-, 1-2 rw-L, 3-4 rw-, 4-5 ---");
	/* What cannot be there is locked all the same, and said. */
	assert_int_equal(lock(4, 5, 0), -FL_ENOMEM);
	expect_layout(&w, "0-1 rw-, 1-2 rw-L, 3-4 rw-, 4-5 ---L");
}

static void limit_counts_a_page_once(void **state)
{
	const struct fl_mm_config config = {.limit_memlock = 4 * PAGE};

	(void)state;
	world_close(&w);
	world_open_as(&w, 256, &config);
	world_map(&w, page(0), 8, RW);
	assert_int_equal(lock(0, 5, 0), -FL_ENOMEM);
	assert_int_equal(lock(0, 3, 0), 0);
	assert_int_equal(lock(1, 4, 0), 0);
	assert_int_equal(lock(3, 5, 0), -FL_ENOMEM);
	assert_int_equal(locked(), 4);
	w.task.caps |= FL_CAP_IPC_LOCK;
	assert_int_equal(lock(0, 8, 0), 0);
}

/* Of nothing, and of a range that wraps, too. */
static void limit_is_asked_before_the_range(void **state)
{
	const struct fl_mm_config config = {.limit_memlock = 4 * PAGE};

	(void)state;
	world_close(&w);
	world_open_as(&w, 256, &config);
	world_map(&w, page(0), 8, RW);
	assert_int_equal(lock(0, 4, 0), 0);
	assert_int_equal(fl_mlock(&w.task, page(0), UINT64_MAX - 2 * PAGE, 0), -FL_ENOMEM);
	assert_int_equal(lock(0, 0, 0), 0);
	fl_mm_set_limits(w.mm, 0, 0, 2 * PAGE, 0);
	assert_int_equal(lock(0, 0, 0), -FL_ENOMEM);
	assert_int_equal(lock(0, 2, 0), -FL_ENOMEM); /* what is locked elsewhere is too much already */
	assert_int_equal(fl_munlock(&w.task, page(0), 0), 0);
}

static void all_of_it_and_what_is_to_come(void **state)
{
	const struct fl_mm_config config = {.brk = page(20), .limit_memlock = 12 * PAGE};
	fl_va out;

	(void)state;
	world_close(&w);
	world_open_as(&w, 256, &config);
	world_map(&w, page(0), 8, RW);
	assert_int_equal(fl_mlockall(&w.task, 0), -FL_EINVAL);
	assert_int_equal(fl_mlockall(&w.task, 8 | FL_MCL_CURRENT), -FL_EINVAL);
	assert_int_equal(fl_mlockall(&w.task, FL_MCL_ONFAULT), -FL_EINVAL);
	assert_int_equal(fl_mlockall(&w.task, FL_MCL_CURRENT), 0);
	assert_int_equal(fl_mm_locks_later(w.mm), 0);
	assert_int_equal(locked(), 8);
	assert_int_equal(fl_munlockall(&w.task), 0);
	assert_int_equal(locked(), 0);
	assert_int_equal(fl_mlockall(&w.task, FL_MCL_FUTURE | FL_MCL_ONFAULT), 0);
	assert_int_equal(fl_mm_locks_later(w.mm), FL_MCL_FUTURE | FL_MCL_ONFAULT);
	world_map(&w, page(10), 2, RW);
	assert_int_equal(fl_mlockall(&w.task, FL_MCL_FUTURE), 0);
	assert_int_equal(fl_brk(&w.task, page(22)), page(22));
	assert_int_equal(fl_brk(&w.task, page(31)), page(22));
	assert_int_equal(fl_mmap_foreign(&w.task, page(40), PAGE, RW, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 1, 0, &out),
			 0);
	expect_layout(&w, "0-8 rw-, 10-12 rw-LO, 20-22 rw-L, 40-41 rw-F");
	assert_int_equal(
		fl_mmap(&w.task, page(50), 9 * PAGE, RW, FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED, &out),
		-FL_EAGAIN);
	/* Thirteen pages, foreign ones among them. */
	assert_int_equal(fl_mlockall(&w.task, FL_MCL_CURRENT), -FL_ENOMEM);
	assert_int_equal(fl_mm_locks_later(w.mm), FL_MCL_FUTURE);
	assert_int_equal(fl_munlockall(&w.task), 0);
	assert_int_equal(fl_mm_locks_later(w.mm), 0);
	assert_int_equal(locked(), 0);
}

static void mincore_tells_what_is_there(void **state)
{
	uint8_t vec[6];
	fl_va out;

	(void)state;
	world_map(&w, page(0), 4, RW);
	assert_int_equal(fl_mmap_foreign(&w.task, page(4), PAGE, RW, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 1, 0, &out),
			 0);
	poke(&w.cpu, page(1), 1);
	peek(&w.cpu, page(2), 0);
	memset(vec, 7, sizeof(vec));
	assert_int_equal(fl_mincore(&w.task, page(0), 5 * PAGE - 9, vec), 0);
	assert_memory_equal(vec, ((uint8_t[]){0, 1, 1, 0, 7, 7}), 6);
	assert_int_equal(fl_mincore(&w.task, page(0) + 1, PAGE, vec), -FL_EINVAL);
	assert_int_equal(fl_mincore(&w.task, page(3), 3 * PAGE, vec), -FL_ENOMEM);
	assert_int_equal(fl_mincore(&w.task, page(0), UINT64_MAX, vec), -FL_ENOMEM);
	assert_int_equal(fl_mincore(&w.task, page(0), 0, vec), 0);
}

static void msync_only_checks(void **state)
{
	(void)state;
	world_map(&w, page(0), 2, RW);
	world_map(&w, page(3), 1, RW);
	assert_int_equal(fl_msync(&w.task, page(0), 2 * PAGE, FL_MS_SYNC), 0);
	assert_int_equal(fl_msync(&w.task, page(0), 2 * PAGE, 0), 0);
	assert_int_equal(fl_msync(&w.task, page(0), PAGE, FL_MS_SYNC | FL_MS_ASYNC), -FL_EINVAL);
	assert_int_equal(fl_msync(&w.task, page(0), PAGE, 8), -FL_EINVAL);
	assert_int_equal(fl_msync(&w.task, page(0) + 1, PAGE, FL_MS_SYNC), -FL_EINVAL);
	assert_int_equal(fl_msync(&w.task, page(0), 4 * PAGE, FL_MS_SYNC), -FL_ENOMEM);
	assert_int_equal(fl_msync(&w.task, page(8), 0, FL_MS_SYNC), 0);
	assert_int_equal(lock(0, 1, 0), 0);
	assert_int_equal(fl_msync(&w.task, page(0), PAGE, FL_MS_INVALIDATE), -FL_EBUSY);
}

static void setup(struct world *world)
{
	world_map(world, page(0), 8, RW);
}

static int lock_middle(struct world *world)
{
	return fl_mlock(&world->task, page(2), 2 * PAGE, FL_MLOCK_ONFAULT);
}

static void failed_allocation_changes_nothing(void **state)
{
	(void)state;
	fail_every_allocation(setup, lock_middle, -FL_ENOMEM);
}

static int at_once[2];

static void lock_two(void *arg)
{
	struct thread *t = arg;
	unsigned i = t->task.tid - 2;

	at_once[i] = fl_mlock(&t->task, page(4 * i), 2 * PAGE, 0);
}

static void lock_at_once(size_t schedule)
{
	void (*const body[])(void *) = {lock_two, lock_two};
	const struct fl_mm_config config = {.limit_memlock = 3 * PAGE};
	struct thread threads[2];
	void *arg[] = {&threads[0], &threads[1]};

	(void)schedule;
	world_open_as(&w, 64, &config);
	world_map(&w, page(0), 2, RW);
	world_map(&w, page(4), 2, RW);
	for (unsigned i = 0; i < 2; i++)
		thread_open(&threads[i], &w, w.mm, 2 + i);
	run_concurrently(body, arg, 2);
	for (unsigned i = 0; i < 2; i++)
		thread_close(&threads[i]);
	assert_int_equal(at_once[0] + at_once[1], -FL_ENOMEM);
	assert_int_equal(locked(), 2);
	world_close(&w);
}

static void limit_holds_for_those_who_lock_at_once(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(500, 200), lock_at_once);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(locking_brings_pages_in_and_splits),
		TEST(errors_are_those_of_linux),
		TEST(limit_counts_a_page_once),
		TEST(limit_is_asked_before_the_range),
		TEST(all_of_it_and_what_is_to_come),
		TEST(mincore_tells_what_is_there),
		TEST(msync_only_checks),
		cmocka_unit_test(failed_allocation_changes_nothing),
		cmocka_unit_test(limit_holds_for_those_who_lock_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
