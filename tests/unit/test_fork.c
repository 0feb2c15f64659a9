/* SPDX-License-Identifier: MIT */
/* fork's part: what the child gets and what not, pinned frames, failures; and that a child is a moment, not a smear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
#include "fl_port_test.h"
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

static struct fl_mm *fork_world(struct thread *child)
{
	struct fl_mm *mm;

	CHECK(fl_mm_fork(&w.task, &mm) == 0);
	thread_open(child, &w, mm, 2);
	return mm;
}

static void check_both(struct fl_mm *child)
{
	struct fl_mm *mms[] = {w.mm, child};
	const char *bad = fl_mm_check(w.mm);

	if (!bad)
		bad = fl_mm_check(child);
	if (!bad)
		bad = fl_frames_check(w.frames, mms, 2);
	if (bad)
		concurrent_fail(__FILE__, __LINE__, bad);
}

static void child_is_a_copy(void **state)
{
	struct thread child;
	struct fl_mm *mm;

	(void)state;
	world_map(&w, page(0), 4, RW);
	world_map(&w, page(4), 1, FL_PROT_READ);
	world_map(&w, BASE + FAR, 2, RW);
	poke(&w.cpu, page(0), 1);
	poke(&w.cpu, BASE + FAR, 2);
	peek(&w.cpu, page(1), 0);
	mm = fork_world(&child);
	check_both(mm);
	assert_string_equal(layout(mm), "0-4 rw-, 4-5 r--, 512-514 rw-");
	peek(&child.cpu, page(0), 1);
	poke(&child.cpu, page(0), 8);
	poke(&w.cpu, BASE + FAR, 9);
	poke(&child.cpu, page(1), 7);
	peek(&w.cpu, page(0), 1);
	peek(&w.cpu, page(1), 0);
	peek(&child.cpu, BASE + FAR, 2);
	check_both(mm);
	fl_mm_put(mm);
	thread_close(&child);
}

static void advice_says_what_the_child_gets(void **state)
{
	struct thread child;
	struct fl_mm *mm;
	fl_va out;

	(void)state;
	world_map(&w, page(0), 8, RW);
	for (unsigned i = 0; i < 8; i++)
		poke(&w.cpu, page(i), 5);
	assert_int_equal(fl_madvise(&w.task, page(2), 2 * PAGE, FL_MADV_DONTFORK), 0);
	assert_int_equal(fl_madvise(&w.task, page(4), 2 * PAGE, FL_MADV_WIPEONFORK), 0);
	assert_int_equal(fl_madvise(&w.task, page(7), PAGE, FL_MADV_GUARD_INSTALL), 0);
	assert_int_equal(fl_mlock(&w.task, page(0), PAGE, 0), 0);
	assert_int_equal(fl_mmap_foreign(&w.task, page(9), PAGE, RW, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 3, 0, &out),
			 0);
	mm = fork_world(&child);
	check_both(mm);
	assert_string_equal(layout(mm), "0-1 rw-, 1-2 rw-, 4-6 rw-W, 6-8 rw-, 9-10 rw-F");
	peek(&child.cpu, page(1), 5);
	peek(&child.cpu, page(4), 0);
	peek(&child.cpu, page(6), 5);
	assert_int_equal(try_access(&child.cpu, page(2), FL_READ), FL_FAULT_BAD_AREA);
	assert_int_equal(try_access(&child.cpu, page(7), FL_READ), FL_FAULT_BAD_AREA);
	assert_string_equal(layout(w.mm), "0-1 rw-L, 1-2 rw-, 2-4 rw-D, 4-6 rw-W, 6-8 rw-, 9-10 rw-F");
	fl_mm_put(mm);
	thread_close(&child);
}

static void heap_and_limits_go_along(void **state)
{
	const struct fl_mm_config config = {.brk = page(0), .limit_data = 6 * PAGE};
	struct thread child;

	(void)state;
	world_close(&w);
	world_open_as(&w, 256, &config);
	assert_int_equal(fl_brk(&w.task, page(3)), page(3));
	fl_mm_put(fork_world(&child));
	assert_int_equal(fl_brk(&child.task, 0), page(3));
	assert_int_equal(fl_brk(&child.task, page(7)), page(3));
	assert_int_equal(fl_brk(&child.task, page(5)), page(5));
	assert_int_equal(fl_brk(&w.task, 0), page(3));
	thread_close(&child);
}

static void pinned_frame_stays_the_parents(void **state)
{
	struct fl_translation t;
	struct thread child;
	struct fl_mm *mm;

	(void)state;
	world_map(&w, page(0), 2, RW);
	poke(&w.cpu, page(0), 1);
	assert_true(fl_mm_walk(w.mm, page(0), FL_WRITE, &t));
	fl_frame_pin(w.frames, t.pfn);
	mm = fork_world(&child);
	check_both(mm);
	assert_int_equal(fl_frames_used(w.frames), 2 + 1);
	/* The parent writes on without a fault, to the frame that was pinned. */
	assert_int_equal(poke(&w.cpu, page(0), 4), FL_KIND_NONE);
	assert_int_equal(*(uint8_t *)fl_frame_data(w.frames, t.pfn), 4);
	peek(&child.cpu, page(0), 1);
	fl_frame_unpin(w.frames, t.pfn);
	fl_mm_put(mm);
	thread_close(&child);
}

static void grandchildren_share_and_part(void **state)
{
	struct thread child, grandchild;
	struct fl_mm *mm, *mm2;

	(void)state;
	world_map(&w, page(0), 1, RW);
	poke(&w.cpu, page(0), 1);
	mm = fork_world(&child);
	assert_int_equal(fl_mm_fork(&child.task, &mm2), 0);
	thread_open(&grandchild, &w, mm2, 3);
	assert_int_equal(fl_frames_used(w.frames), 1 + 1);
	fl_mm_put(mm);
	thread_close(&child);
	assert_int_equal(poke(&grandchild.cpu, page(0), 2), FL_KIND_COW_COPY);
	assert_int_equal(poke(&w.cpu, page(0), 3), FL_KIND_COW_REUSE);
	peek(&grandchild.cpu, page(0), 2);
	fl_mm_put(mm2);
	thread_close(&grandchild);
}

static void setup(struct world *world)
{
	world_map(world, page(0), 4, RW);
	world_map(world, page(6), 1, FL_PROT_READ);
	world_map(world, BASE + FAR, 2, RW);
	poke(&world->cpu, page(0), 1);
	poke(&world->cpu, BASE + FAR, 2);
}

static int fork_and_drop(struct world *world)
{
	struct fl_mm *mm;
	int err = fl_mm_fork(&world->task, &mm);

	if (!err)
		fl_mm_put(mm);
	else
		CHECK(!mm);
	poke(&world->cpu, page(0), 1);
	peek(&world->cpu, BASE + FAR, 2);
	return err;
}

static void failed_allocation_leaves_the_parent(void **state)
{
	(void)state;
	fail_every_allocation(setup, fork_and_drop, -FL_ENOMEM);
}

static void no_frame_for_a_pinned_page_is_enomem(void **state)
{
	struct fl_translation t;
	struct fl_mm *mm;
	unsigned n = 0;

	(void)state;
	world_close(&w);
	world_open(&w, 32);
	world_map(&w, page(0), 32, RW);
	while (try_access(&w.cpu, page(n), FL_WRITE) == FL_FAULT_DONE)
		n++;
	assert_in_range(n, 8, 32);
	assert_true(fl_mm_walk(w.mm, page(n - 1), FL_WRITE, &t));
	fl_frame_pin(w.frames, t.pfn);
	assert_int_equal(fl_mm_fork(&w.task, &mm), -FL_ENOMEM);
	world_check(&w);
	fl_frame_unpin(w.frames, t.pfn);
	poke(&w.cpu, page(0), 1);
}

/* Pin against fork, by the rule of faultline/frame.h. A pin that is confirmed is one that fork knows of. */
static fl_pfn pinned;
static struct fl_mm *forked;

static void pin_and_confirm(void *arg)
{
	struct thread *t = arg;
	struct fl_translation first, again;

	pinned = FL_PFN_NONE;
	if (!fl_mm_walk(t->task.mm, page(0), FL_WRITE, &first))
		return;
	fl_frame_pin(w.frames, first.pfn);
	if (fl_mm_walk(t->task.mm, page(0), FL_WRITE, &again) && again.pfn == first.pfn)
		pinned = first.pfn;
	else
		fl_frame_unpin(w.frames, first.pfn);
}

static void fork_once(void *arg)
{
	struct thread *t = arg;

	CHECK(fl_mm_fork(&t->task, &forked) == 0);
}

static void pin_against_fork(size_t schedule)
{
	void (*const body[])(void *) = {pin_and_confirm, fork_once};
	struct fl_translation of_child;
	struct thread t[2];
	void *const arg[] = {&t[0], &t[1]};

	(void)schedule;
	open_world(NULL);
	world_map(&w, page(0), 1, RW);
	poke(&w.cpu, page(0), 1);
	thread_open(&t[0], &w, w.mm, 1);
	thread_open(&t[1], &w, w.mm, 2);
	run_concurrently(body, arg, 2);
	CHECK(fl_mm_walk(forked, page(0), FL_READ, &of_child));
	CHECK(pinned == FL_PFN_NONE || of_child.pfn != pinned);
	if (pinned != FL_PFN_NONE) {
		CHECK(poke(&w.cpu, page(0), 2) == FL_KIND_NONE);
		fl_frame_unpin(w.frames, pinned);
	}
	fl_mm_put(forked);
	thread_close(&t[0]);
	thread_close(&t[1]);
	close_world(NULL);
}

static void pin_that_is_confirmed_stays_the_parents(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(400, 1500), pin_against_fork);
}

/* Two pages in different tables; the writer is always at x before it is at y. */
static fl_va const x = BASE, y = BASE + FAR;
static uint32_t stop;

static void write_x_then_y(void *arg)
{
	struct thread *t = arg;

	for (uint8_t i = 1; i < 200 && !fl_load_acquire(&stop); i++) {
		poke(&t->cpu, x, i);
		poke(&t->cpu, y, i);
		concurrent_yield();
	}
}

static void fork_and_compare(void *arg)
{
	struct thread *t = arg, child;
	uint8_t at_x, at_y;
	struct fl_mm *mm;

	for (unsigned i = 0; i < 4; i++) {
		concurrent_yield();
		CHECK(fl_mm_fork(&t->task, &mm) == 0);
		thread_open(&child, &w, mm, 10);
		fl_mm_put(mm);
		CHECK(fl_vcpu_load(&child.cpu, x, &at_x, 1) == FL_FAULT_DONE);
		CHECK(fl_vcpu_load(&child.cpu, y, &at_y, 1) == FL_FAULT_DONE);
		CHECK(at_x == at_y || at_x == at_y + 1);
		thread_close(&child);
	}
	fl_store_release(&stop, 1);
}

static void one_schedule(size_t schedule)
{
	void (*const body[])(void *) = {write_x_then_y, fork_and_compare};
	struct thread t[2];
	void *const arg[] = {&t[0], &t[1]};

	(void)schedule;
	open_world(NULL);
	fl_store(&stop, 0);
	world_map(&w, x, 1, RW);
	world_map(&w, y, 1, RW);
	thread_open(&t[0], &w, w.mm, 1);
	thread_open(&t[1], &w, w.mm, 2);
	run_concurrently(body, arg, 2);
	thread_close(&t[0]);
	thread_close(&t[1]);
	close_world(NULL);
}

static void child_sees_no_write_without_those_before_it(void **state)
{
	(void)state;
	for_each_schedule(150, one_schedule);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(child_is_a_copy),
		TEST(advice_says_what_the_child_gets),
		TEST(heap_and_limits_go_along),
		TEST(pinned_frame_stays_the_parents),
		TEST(grandchildren_share_and_part),
		cmocka_unit_test(failed_allocation_leaves_the_parent),
		TEST(no_frame_for_a_pinned_page_is_enomem),
		cmocka_unit_test(pin_that_is_confirmed_stays_the_parents),
		cmocka_unit_test(child_sees_no_write_without_those_before_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
