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

static void frame_that_is_pinned_is_not_written_in_place(void **state)
{
	struct fl_translation tr;
	struct thread child;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 1);
	fork_into(&child, &w.task);
	assert_true(fl_mm_walk(w.mm, BASE, FL_READ, &tr));
	fl_frame_pin(w.frames, tr.pfn);
	thread_close(&child);
	/* Mapped once, but whoever pinned it while it was shared reads what it was. */
	assert_int_equal(poke(&w.cpu, BASE, 2), FL_KIND_COW_COPY);
	assert_int_equal(*(uint8_t *)fl_frame_data(w.frames, tr.pfn), 1);
	fl_frame_unpin(w.frames, tr.pfn);
	assert_int_equal(used(), 2);
}

static void other_cpus_see_the_new_frame(void **state)
{
	struct thread other, child;

	(void)state;
	world_map(&w, BASE, 2, RW);
	thread_open(&other, &w, w.mm, 3);
	/* It has the zero frame in its TLB, and then a shared one. */
	peek(&other.cpu, BASE, 0);
	assert_int_equal(poke(&w.cpu, BASE, 1), FL_KIND_ANON);
	peek(&other.cpu, BASE, 1);
	fork_into(&child, &w.task);
	peek(&other.cpu, BASE, 1);
	assert_int_equal(poke(&w.cpu, BASE, 2), FL_KIND_COW_COPY);
	peek(&other.cpu, BASE, 2);
	thread_close(&child);
	thread_close(&other);
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
	for_each_schedule(SCHEDULES(2000, 300), write_on_both_sides);
}

/*
 * While a frame is replaced, no CPU may use the new one as long as another still sees the old one: who has been told of
 * a write must see it. (Two writers: the second finds the new frame without a fault.)
 */
static struct thread group[4];
static uint32_t told;

static void write_once(void *arg)
{
	poke(&((struct thread *)arg)->cpu, BASE, 1);
}

static void read_and_tell(void *arg)
{
	uint8_t value;

	for (int i = 0; i < 8; i++) {
		CHECK(fl_vcpu_load(&((struct thread *)arg)->cpu, BASE, &value, 1) == FL_FAULT_DONE);
		if (value == 1)
			fl_store_release(&told, 1);
	}
}

static void read_when_told(void *arg)
{
	uint8_t value;

	for (int i = 0; i < 8; i++) {
		bool expect = fl_load_acquire(&told) != 0;

		CHECK(fl_vcpu_load(&((struct thread *)arg)->cpu, BASE, &value, 1) == FL_FAULT_DONE);
		CHECK(value == 1 || !expect);
	}
}

static void replace_under_readers(size_t schedule)
{
	/* The last to come is the first to be shot down. */
	void (*const body[])(void *) = {read_when_told, read_and_tell, write_once, write_once};
	void *const arg[] = {&group[0], &group[1], &group[2], &group[3]};

	(void)schedule;
	told = 0;
	for (unsigned i = 0; i < 4; i++) {
		thread_open(&group[i], &w, w.mm, 2 + i);
		peek(&group[i].cpu, BASE, 0);
	}
	run_concurrently(body, arg, 4);
	for (unsigned i = 0; i < 4; i++)
		thread_close(&group[i]);
	assert_int_equal(fl_madvise(&w.task, BASE, PAGE, FL_MADV_DONTNEED), 0);
}

static void readers_never_go_back_to_the_old_frame(void **state)
{
	(void)state;
	world_map(&w, BASE, 1, RW);
	for_each_schedule(SCHEDULES(10000, 300), replace_under_readers);
}

/* A frame prepared as a copy must not become the fresh page of one that was dropped meanwhile. */

static void drop_once(void *arg)
{
	CHECK(fl_madvise(&((struct thread *)arg)->task, BASE, PAGE, FL_MADV_DONTNEED) == 0);
}

static void copy_against_drop(size_t schedule)
{
	void (*const body[])(void *) = {write_once, drop_once};
	void *const arg[] = {&group[0], &group[1]};
	struct thread child;
	uint8_t first;

	(void)schedule;
	poke(&w.cpu, BASE + 9, 7);
	fork_into(&child, &w.task);
	for (unsigned i = 0; i < 2; i++)
		thread_open(&group[i], &w, w.mm, 2 + i);
	run_concurrently(body, arg, 2);
	for (unsigned i = 0; i < 2; i++)
		thread_close(&group[i]);
	/* Written before the drop, it is gone; after it, the rest of the page is. */
	assert_int_equal(fl_vcpu_load(&w.cpu, BASE, &first, 1), FL_FAULT_DONE);
	assert_in_range(first, 0, 1);
	peek(&w.cpu, BASE + 9, 0);
	peek(&child.cpu, BASE + 9, 7);
	thread_close(&child);
	assert_int_equal(fl_madvise(&w.task, BASE, PAGE, FL_MADV_DONTNEED), 0);
	assert_int_equal(used(), 1);
}

static void copy_of_a_dropped_page_is_thrown_away(void **state)
{
	(void)state;
	world_map(&w, BASE, 1, RW);
	for_each_schedule(SCHEDULES(2000, 300), copy_against_drop);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(write_after_fork_copies_once),
		TEST(parent_writes_first),
		TEST(last_owner_after_exit_reuses),
		TEST(last_owner_after_dontneed_reuses),
		TEST(three_generations_share_and_part),
		TEST(shared_zero_frame_becomes_a_fresh_one),
		TEST(write_right_that_comes_back_reuses),
		TEST(protection_gives_no_way_round_a_share),
		TEST(pinned_frame_stays_with_its_owner),
		TEST(whole_page_is_copied),
		TEST(frame_that_is_pinned_is_not_written_in_place),
		TEST(other_cpus_see_the_new_frame),
		TEST(readers_never_go_back_to_the_old_frame),
		TEST(copy_of_a_dropped_page_is_thrown_away),
		TEST(copy_without_a_frame_is_out_of_memory),
		TEST(writes_on_both_sides_at_once_stay_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
