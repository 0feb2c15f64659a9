/* SPDX-License-Identifier: MIT */
/*
 * Copy-on-write: what fork shares is copied once by whoever writes first, and the last owner writes in place. Frames
 * are counted at every step, contents compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
#include "fl_port_test.h"
#include "world_support.h"

#define RW (FL_PROT_READ | FL_PROT_WRITE)

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

static uint64_t used(void)
{
	return fl_frames_used(w.frames);
}

/* A child of the world's task, with a thread in it. Its address space dies with the thread. */
static struct fl_mm *fork_into(struct thread *t, struct fl_task *parent)
{
	struct fl_mm *mm;

	assert_int_equal(fl_mm_fork(parent, &mm), 0);
	thread_open(t, &w, mm, 2);
	fl_mm_put(mm);
	return mm;
}

static void check_both(struct fl_mm *child)
{
	struct fl_mm *mms[] = {w.mm, child};

	assert_null(fl_mm_check(w.mm));
	assert_null(fl_mm_check(child));
	assert_null(fl_frames_check(w.frames, mms, 2));
}

static void write_after_fork_copies_once(void **state)
{
	struct thread child;
	struct fl_mm *mm;

	(void)state;
	world_map(&w, BASE, 4, RW);
	poke(&w.cpu, BASE, 1);
	mm = fork_into(&child, &w.task);
	assert_int_equal(used(), 2);
	peek(&child.cpu, BASE, 1);
	assert_int_equal(used(), 2);
	assert_int_equal(poke(&child.cpu, BASE, 2), FL_KIND_COW_COPY);
	assert_int_equal(used(), 3);
	assert_int_equal(poke(&child.cpu, BASE + 1, 2), FL_KIND_NONE);
	peek(&w.cpu, BASE, 1);
	check_both(mm);
	/* The parent is the last owner of the old frame. */
	assert_int_equal(poke(&w.cpu, BASE, 3), FL_KIND_COW_REUSE);
	assert_int_equal(used(), 3);
	peek(&child.cpu, BASE, 2);
	check_both(mm);
	thread_close(&child);
	assert_int_equal(used(), 2);
}

static void parent_writes_first(void **state)
{
	struct thread child;
	struct fl_mm *mm;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE + 5, 1);
	mm = fork_into(&child, &w.task);
	/* The parent's TLB must have forgotten that it could write. */
	assert_int_equal(poke(&w.cpu, BASE + 5, 2), FL_KIND_COW_COPY);
	peek(&child.cpu, BASE + 5, 1);
	assert_int_equal(poke(&child.cpu, BASE + 5, 3), FL_KIND_COW_REUSE);
	peek(&w.cpu, BASE + 5, 2);
	check_both(mm);
	thread_close(&child);
}

static void last_owner_after_exit_reuses(void **state)
{
	struct thread child;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 1);
	fork_into(&child, &w.task);
	thread_close(&child);
	assert_int_equal(poke(&w.cpu, BASE, 2), FL_KIND_COW_REUSE);
	assert_int_equal(used(), 2);
}

static void last_owner_after_dontneed_reuses(void **state)
{
	struct thread child;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 1);
	fork_into(&child, &w.task);
	assert_int_equal(fl_madvise(&child.task, BASE, PAGE, FL_MADV_DONTNEED), 0);
	peek(&child.cpu, BASE, 0);
	assert_int_equal(poke(&w.cpu, BASE, 2), FL_KIND_COW_REUSE);
	peek(&child.cpu, BASE, 0);
	assert_int_equal(poke(&child.cpu, BASE, 4), FL_KIND_ANON);
	thread_close(&child);
}

static void three_generations_share_and_part(void **state)
{
	struct thread child, grandchild;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 1);
	fork_into(&child, &w.task);
	fork_into(&grandchild, &child.task);
	assert_int_equal(used(), 2);
	assert_int_equal(poke(&child.cpu, BASE, 2), FL_KIND_COW_COPY);
	assert_int_equal(poke(&grandchild.cpu, BASE, 3), FL_KIND_COW_COPY);
	assert_int_equal(poke(&w.cpu, BASE, 4), FL_KIND_COW_REUSE);
	assert_int_equal(used(), 4);
	peek(&child.cpu, BASE, 2);
	peek(&grandchild.cpu, BASE, 3);
	thread_close(&child);
	thread_close(&grandchild);
}

static void shared_zero_frame_becomes_a_fresh_one(void **state)
{
	struct thread child;

	(void)state;
	world_map(&w, BASE, 1, RW);
	peek(&w.cpu, BASE, 0);
	fork_into(&child, &w.task);
	assert_int_equal(used(), 1);
	assert_int_equal(poke(&child.cpu, BASE, 1), FL_KIND_ANON);
	peek(&w.cpu, BASE, 0);
	assert_int_equal(poke(&w.cpu, BASE, 2), FL_KIND_ANON);
	peek(&child.cpu, BASE, 1);
	thread_close(&child);
}

static void write_right_that_comes_back_reuses(void **state)
{
	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 1);
	assert_int_equal(fl_mprotect(&w.task, BASE, PAGE, FL_PROT_READ), 0);
	assert_int_equal(try_access(&w.cpu, BASE, FL_WRITE), FL_FAULT_ACCESS_ERROR);
	assert_int_equal(fl_mprotect(&w.task, BASE, PAGE, RW), 0);
	poke(&w.cpu, BASE, 2);
	assert_int_equal(used(), 2);
}

static void protection_gives_no_way_round_a_share(void **state)
{
	struct thread child;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 1);
	fork_into(&child, &w.task);
	assert_int_equal(fl_mprotect(&child.task, BASE, PAGE, FL_PROT_NONE), 0);
	assert_int_equal(fl_mprotect(&child.task, BASE, PAGE, RW), 0);
	assert_int_equal(poke(&child.cpu, BASE, 2), FL_KIND_COW_COPY);
	peek(&w.cpu, BASE, 1);
	thread_close(&child);
}

static void pinned_frame_stays_with_its_owner(void **state)
{
	struct fl_translation tr;
	struct thread child;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 1);
	assert_true(fl_mm_walk(w.mm, BASE, FL_READ, &tr));
	fl_frame_pin(w.frames, tr.pfn);
	fork_into(&child, &w.task);
	assert_int_equal(used(), 3); /* copied at once */
	poke(&w.cpu, BASE, 2);
	assert_int_equal(*(uint8_t *)fl_frame_data(w.frames, tr.pfn), 2);
	peek(&child.cpu, BASE, 1);
	thread_close(&child);
	fl_frame_unpin(w.frames, tr.pfn);
}

static void whole_page_is_copied(void **state)
{
	struct thread child;

	(void)state;
	world_map(&w, BASE, 1, RW);
	for (fl_va i = 0; i < PAGE; i++)
		poke(&w.cpu, BASE + i, (uint8_t)(i * 7));
	fork_into(&child, &w.task);
	poke(&child.cpu, BASE + 100, 255);
	for (fl_va i = 0; i < PAGE; i++) {
		peek(&child.cpu, BASE + i, i == 100 ? 255 : (uint8_t)(i * 7));
		peek(&w.cpu, BASE + i, (uint8_t)(i * 7));
	}
	thread_close(&child);
}

static void copy_without_a_frame_is_out_of_memory(void **state)
{
	struct thread child;
	struct fl_mm *mm;
	unsigned n = 1;

	(void)state;
	world_close(&w);
	world_open(&w, 32);
	world_map(&w, BASE, 32, RW);
	world_map(&w, BASE + 32 * PAGE, 32, RW);
	poke(&w.cpu, BASE, 1);
	mm = fork_into(&child, &w.task);
	while (try_access(&w.cpu, BASE + n * PAGE, FL_WRITE) == FL_FAULT_DONE)
		n++;
	assert_int_equal(try_access(&child.cpu, BASE, FL_WRITE), FL_FAULT_OOM);
	check_both(mm);
	peek(&child.cpu, BASE, 1);
	assert_int_equal(fl_madvise(&w.task, BASE + PAGE, 8 * PAGE, FL_MADV_DONTNEED), 0);
	assert_int_equal(poke(&child.cpu, BASE, 3), FL_KIND_COW_COPY);
	thread_close(&child);
	assert_int_equal(poke(&w.cpu, BASE, 2), FL_KIND_COW_REUSE);
}

/* Both sides of a fork write, and the parent's threads do, at the same time: everyone sees his own. */

#define WRITERS 3

static struct {
	struct thread t[WRITERS];
	uint32_t kinds[FL_KIND_STACK + 1];
} race;

static void write_own(void *arg)
{
	struct thread *t = arg;
	uint8_t mine = (uint8_t)t->task.tid;

	fl_add(&race.kinds[poke(&t->cpu, BASE + t->task.tid, mine)], 1);
	peek(&t->cpu, BASE + t->task.tid, mine);
	peek(&t->cpu, BASE, 100);
}

static void write_on_both_sides(size_t schedule)
{
	void (*const body[])(void *) = {write_own, write_own, write_own};
	void *arg[WRITERS];
	struct fl_mm *mm;

	(void)schedule;
	memset(&race, 0, sizeof(race));
	poke(&w.cpu, BASE, 100);
	for (unsigned i = 0; i < WRITERS; i++)
		poke(&w.cpu, BASE + 2 + i, 0);
	assert_int_equal(fl_mm_fork(&w.task, &mm), 0);
	/* Two in the parent, one in the child. */
	for (unsigned i = 0; i < WRITERS; i++) {
		thread_open(&race.t[i], &w, i < 2 ? w.mm : mm, 2 + i);
		arg[i] = &race.t[i];
	}
	run_concurrently(body, arg, WRITERS);
	check_both(mm);
	peek(&w.cpu, BASE + 2, 2);
	peek(&w.cpu, BASE + 3, 3);
	peek(&w.cpu, BASE + 4, 0);
	peek(&race.t[2].cpu, BASE + 2, 0);
	peek(&race.t[2].cpu, BASE + 4, 4);
	/* The frame is copied for one side at least, and for both only while both copied at once. */
	assert_in_range(race.kinds[FL_KIND_COW_COPY], 1, 2);
	assert_in_range(used(), 3, 3);
	for (unsigned i = 0; i < WRITERS; i++)
		thread_close(&race.t[i]);
	fl_mm_put(mm);
	assert_int_equal(fl_madvise(&w.task, BASE, PAGE, FL_MADV_DONTNEED), 0);
	assert_int_equal(used(), 1);
}

static void writes_on_both_sides_at_once_stay_apart(void **state)
{
	(void)state;
	world_map(&w, BASE, 1, RW);
	for_each_schedule(500, write_on_both_sides);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(write_after_fork_copies_once),          TEST(parent_writes_first),
		TEST(last_owner_after_exit_reuses),          TEST(last_owner_after_dontneed_reuses),
		TEST(three_generations_share_and_part),      TEST(shared_zero_frame_becomes_a_fresh_one),
		TEST(write_right_that_comes_back_reuses),    TEST(protection_gives_no_way_round_a_share),
		TEST(pinned_frame_stays_with_its_owner),     TEST(whole_page_is_copied),
		TEST(copy_without_a_frame_is_out_of_memory), TEST(writes_on_both_sides_at_once_stay_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
