/* SPDX-License-Identifier: MIT */
/*
 * What an observer sees from outside: faults that getrusage(2) counts, and pages as /proc/PID/pagemap shows them. Every
 * number here is what Linux 6.18 gives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mm_support.h"
#include "uffd_support.h"

#define RUNS SCHEDULES(20, 5)

static struct world w;
static uint64_t minor, major; /* when counting began */

static int open_world(void **state)
{
	const struct fl_mm_config config = {.brk = page(100)};

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

/* Minor faults since the last call; there were no major ones. */
static uint64_t minors(void)
{
	uint64_t n = w.task.min_flt - minor;

	assert_int_equal(w.task.maj_flt, major);
	minor = w.task.min_flt;
	return n;
}

static void begin(void)
{
	minor = w.task.min_flt;
	major = w.task.maj_flt;
}

static void accesses_count_once_for_each_fault(void **state)
{
	(void)state;
	world_map(&w, page(0), 8, RW);
	begin();
	peek(&w.cpu, page(0), 0);
	assert_int_equal(minors(), 1);
	poke(&w.cpu, page(0), 1); /* the zero frame is replaced */
	assert_int_equal(minors(), 1);
	poke(&w.cpu, page(0), 2);
	assert_int_equal(minors(), 0);
	poke(&w.cpu, page(1), 1);
	assert_int_equal(minors(), 1);
	/* Rights that come back with mprotect need no fault. */
	assert_int_equal(fl_mprotect(&w.task, page(0), PAGE, FL_PROT_READ), 0);
	assert_int_equal(fl_mprotect(&w.task, page(0), PAGE, RW), 0);
	poke(&w.cpu, page(0), 3);
	assert_int_equal(minors(), 0);
}

static void refusals_count_nowhere(void **state)
{
	(void)state;
	world_map(&w, page(0), 2, FL_PROT_READ);
	assert_int_equal(fl_madvise(&w.task, page(1), PAGE, FL_MADV_GUARD_INSTALL), 0);
	begin();
	assert_int_equal(try_access(&w.cpu, page(0), FL_WRITE), FL_FAULT_ACCESS_ERROR);
	assert_int_equal(try_access(&w.cpu, page(1), FL_READ), FL_FAULT_BAD_AREA);
	assert_int_equal(try_access(&w.cpu, page(3), FL_READ), FL_FAULT_BAD_AREA);
	assert_int_equal(fl_madvise(&w.task, page(1), PAGE, FL_MADV_POPULATE_READ), -FL_EFAULT);
	assert_int_equal(minors(), 0);
}

static void copies_count_as_accesses(void **state)
{
	char bytes[16] = {0};

	(void)state;
	world_map(&w, page(0), 8, RW);
	begin();
	assert_int_equal(fl_copy_from_user(&w.task, bytes, page(0), sizeof(bytes)), 0);
	assert_int_equal(minors(), 1);
	assert_int_equal(fl_copy_to_user(&w.task, page(2) - 8, bytes, sizeof(bytes)), 0);
	assert_int_equal(minors(), 2);
	assert_int_equal(fl_fault_in_writeable(&w.task, page(1), 2 * PAGE), 0);
	assert_int_equal(minors(), 0);
}

static void populating_counts_pages_that_were_not_there(void **state)
{
	fl_va out;

	(void)state;
	world_map(&w, page(0), 8, RW);
	begin();
	assert_int_equal(fl_madvise(&w.task, page(0), 8 * PAGE, FL_MADV_POPULATE_READ), 0);
	assert_int_equal(minors(), 8);
	assert_int_equal(fl_madvise(&w.task, page(0), 8 * PAGE, FL_MADV_POPULATE_READ), 0);
	assert_int_equal(minors(), 0);
	assert_int_equal(fl_madvise(&w.task, page(0), 8 * PAGE, FL_MADV_POPULATE_WRITE), 0);
	assert_int_equal(minors(), 8);
	assert_int_equal(fl_mlock(&w.task, page(0), 8 * PAGE, 0), 0);
	assert_int_equal(minors(), 0);
	assert_int_equal(fl_mmap(&w.task, page(20), 4 * PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_POPULATE, &out), 0);
	assert_int_equal(minors(), 4);
	w.task.caps |= FL_CAP_IPC_LOCK;
	assert_int_equal(fl_mlockall(&w.task, FL_MCL_FUTURE), 0);
	assert_int_equal(minors(), 0);
	assert_int_equal(fl_brk(&w.task, page(103)), page(103));
	assert_int_equal(minors(), 3);
}

static void growth_of_a_stack_is_one_fault(void **state)
{
	fl_va out;

	(void)state;
	assert_int_equal(fl_mmap(&w.task, page(1000), 2 * PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_GROWSDOWN, &out), 0);
	begin();
	poke(&w.cpu, page(996), 1);
	assert_int_equal(minors(), 1);
	poke(&w.cpu, page(998), 1);
	assert_int_equal(minors(), 1);
}

static void fork_counts_nothing_and_its_copies_do(void **state)
{
	struct thread child;
	struct fl_mm *mm;

	(void)state;
	world_map(&w, page(0), 4, RW);
	poke(&w.cpu, page(0), 1);
	poke(&w.cpu, page(1), 1);
	begin();
	assert_int_equal(fl_mm_fork(&w.task, &mm), 0);
	assert_int_equal(minors(), 0);
	thread_open(&child, &w, mm, 2);
	peek(&child.cpu, page(0), 1); /* the entries have been copied */
	assert_int_equal(child.task.min_flt, 0);
	poke(&child.cpu, page(0), 2);
	assert_int_equal(child.task.min_flt, 1);
	poke(&w.cpu, page(0), 3);
	assert_int_equal(minors(), 1);
	thread_close(&child);
	fl_mm_put(mm);
}

/* userfaultfd: the first wait of user mode is no retry, any other is. */

static struct uffd_world world;
static struct uffd_user *const resolver = &world.users[0];
static struct uffd_user *const first = &world.users[1];
static fl_va m, src;
static unsigned early; /* wakes without a page */

static void resolve(void *arg)
{
	struct fl_uffd_msg msg;

	(void)arg;
	for (unsigned i = 0; i < early; i++) {
		CHECK(uffd_next(resolver, world.u, true, &msg));
		uffd_until_asleep(first);
		CHECK(uffd_wake(resolver, world.u, m, PAGE) == 0);
	}
	CHECK(uffd_next(resolver, world.u, true, &msg));
	uffd_until_asleep(first);
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
}

static void load(void *arg)
{
	CHECK(uffd_load(arg, m) == 8);
}

static void copy_in(void *arg)
{
	char byte = 0;

	CHECK(fl_copy_from_user(&((struct uffd_user *)arg)->thread.task, &byte, m, 1) == 0 && byte == 8);
}

static void lock_page(void *arg)
{
	struct fl_task *t = &((struct uffd_user *)arg)->thread.task;

	CHECK(fl_mlock(t, m, PAGE, 0) == 0);
}

static void wait_for_page(unsigned wakes, void (*access)(void *), uint64_t min, uint64_t maj)
{
	void (*const body[])(void *) = {resolve, access};
	void *const arg[] = {resolver, first};
	const struct fl_task *t = &first->thread.task;

	uffd_world_open(&world, 2, 0, 0);
	m = uffd_map(resolver, 4);
	src = uffd_map_filled(resolver, 1, 8);
	CHECK(uffd_register(resolver, world.u, m, 4) == 0);
	early = wakes;
	min += t->min_flt;
	maj += t->maj_flt;
	run_concurrently(body, arg, 2);
	CHECK(t->min_flt == min && t->maj_flt == maj);
	uffd_world_close(&world);
}

static void waits_once(size_t schedule)
{
	(void)schedule;
	wait_for_page(0, load, 1, 0);
	wait_for_page(1, load, 0, 1);
	wait_for_page(0, copy_in, 0, 1);
	wait_for_page(0, lock_page, 0, 0); /* looked for again, and there */
}

static void waits_are_major_faults_where_they_are_retried(void **state)
{
	(void)state;
	for_each_schedule(RUNS, waits_once);
}

static void refusal_by_userfaultfd_counts_nowhere(void **state)
{
	uint64_t before;
	int value;

	(void)state;
	uffd_world_open(&world, 1, 0, FL_UFFD_FEATURE_SIGBUS);
	m = uffd_map(resolver, 4);
	assert_int_equal(uffd_register(resolver, world.u, m, 4), 0);
	before = resolver->thread.task.min_flt;
	assert_int_equal(uffd_try_load(resolver, m, &value), FL_FAULT_BUS_ERROR);
	assert_int_equal(resolver->thread.task.min_flt, before);
	assert_int_equal(resolver->thread.task.maj_flt, 0);
	uffd_world_close(&world);
}

/* Pages. */

static struct fl_page_info look(fl_va va)
{
	struct fl_page_info i;

	fl_mm_pagemap(w.mm, va, &i);
	return i;
}

static void pages_are_shown_as_they_are(void **state)
{
	struct fl_page_info i;
	struct fl_mm *mm;

	(void)state;
	world_map(&w, page(0), 4, RW);
	i = look(page(0));
	assert_false(i.present || i.swapped || i.exclusive || i.pfn != FL_PFN_NONE);
	assert_false(look(page(7)).present); /* nothing is mapped */
	assert_false(look(UINT64_MAX).present);
	peek(&w.cpu, page(0), 0);
	i = look(page(0) + 5);
	assert_true(i.present && i.zero && !i.exclusive);
	poke(&w.cpu, page(0), 7);
	i = look(page(0));
	assert_true(i.present && !i.zero && i.exclusive);
	assert_int_equal(*(const char *)fl_frame_data(w.frames, i.pfn), 7);
	assert_int_equal(fl_madvise(&w.task, page(1), PAGE, FL_MADV_GUARD_INSTALL), 0);
	i = look(page(1));
	assert_true(!i.present && i.swapped && i.guard && !i.uffd_wp);

	assert_int_equal(fl_mm_fork(&w.task, &mm), 0);
	assert_false(look(page(0)).exclusive);
	fl_mm_put(mm);
	assert_true(look(page(0)).exclusive); /* nobody else maps it, though a write still faults */
}

/* Linux's question: is any byte of it below the heap's end, and any above where it began? */
static void heap_is_known_by_where_it_lies(void **state)
{
	struct fl_vma_info v;

	(void)state;
	assert_int_equal(fl_brk(&w.task, page(102) + 5), page(102) + 5);
	world_map(&w, page(98), 2, RW);
	assert_true(fl_mm_next_vma(w.mm, page(98), &v));
	assert_true(v.heap && v.start == page(98)); /* one mapping with the heap */
	assert_int_equal(fl_mprotect(&w.task, page(98), PAGE, FL_PROT_READ), 0);
	assert_true(fl_mm_next_vma(w.mm, page(98), &v));
	assert_false(v.heap);
	world_map(&w, page(103), 1, RW);
	assert_true(fl_mm_next_vma(w.mm, page(103), &v));
	assert_true(v.heap && v.start == page(99) && v.end == page(104));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(accesses_count_once_for_each_fault),
		TEST(refusals_count_nowhere),
		TEST(copies_count_as_accesses),
		TEST(populating_counts_pages_that_were_not_there),
		TEST(growth_of_a_stack_is_one_fault),
		TEST(fork_counts_nothing_and_its_copies_do),
		cmocka_unit_test(waits_are_major_faults_where_they_are_retried),
		cmocka_unit_test(refusal_by_userfaultfd_counts_nowhere),
		TEST(pages_are_shown_as_they_are),
		TEST(heap_is_known_by_where_it_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
