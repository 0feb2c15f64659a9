/* SPDX-License-Identifier: MIT */
/*
 * Faults against each other and against every call that changes what they stand on. Each race runs under many
 * schedules; what the threads see is checked as they go, and the address space and the arena as a whole after each.
 *
 * What may never be seen: an access that succeeds after the call that forbade it has returned; a write that is lost; a
 * page of somebody else's; a fault that fails where both before and after it would have succeeded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
#include "mm/mm_int.h"
#include "world_support.h"

#define RW (FL_PROT_READ | FL_PROT_WRITE)
#define THREADS 4

static struct world w;
static struct thread threads[THREADS];
static uint32_t done; /* what a changer has done so far; the others look at it before they look at memory */

static int open_world(void **state)
{
	(void)state;
	world_open(&w, 512);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

/* Run body[i] for thread i. */
static void run(void (*const body[])(void *), unsigned n)
{
	void *arg[THREADS];

	done = 0;
	for (unsigned i = 0; i < n; i++) {
		thread_open(&threads[i], &w, w.mm, 2 + i);
		arg[i] = &threads[i];
	}
	run_concurrently(body, arg, n);
	for (unsigned i = 0; i < n; i++)
		thread_close(&threads[i]);
	world_check(&w);
}

static unsigned number(const struct thread *t)
{
	return (unsigned)(t - threads);
}

/* A read of one byte: the outcome, and the value where there is one. */
static enum fl_outcome look(struct thread *t, fl_va va, uint8_t *value)
{
	return fl_vcpu_load(&t->cpu, va, value, 1);
}

/* Fault against fault. */

static void write_own_byte(void *arg)
{
	struct thread *t = arg;
	unsigned i = number(t);

	for (fl_va page = 0; page < 3; page++) {
		fl_va va = BASE + page * PAGE;

		if ((i + page) % 2)
			peek(&t->cpu, va + 100, 0);
		poke(&t->cpu, va + i, (uint8_t)(i + 1));
		peek(&t->cpu, va + i, (uint8_t)(i + 1));
	}
}

static void fault_against_fault(size_t schedule)
{
	void (*const body[])(void *) = {write_own_byte, write_own_byte, write_own_byte, write_own_byte};

	(void)schedule;
	world_map(&w, BASE, 3, RW);
	run(body, THREADS);
	for (fl_va page = 0; page < 3; page++) {
		for (unsigned i = 0; i < THREADS; i++)
			peek(&w.cpu, BASE + page * PAGE + i, (uint8_t)(i + 1));
	}
	assert_int_equal(fl_frames_used(w.frames), 1 + 3);
	assert_int_equal(fl_munmap(&w.task, BASE, 3 * PAGE), 0);
	assert_int_equal(fl_frames_used(w.frames), 1);
}

static void faults_on_one_page_lose_no_write(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), fault_against_fault);
}

/* Fetch against fetch: a fault that finds the page of another there is no refusal. */

static void fetch_each_page(void *arg)
{
	struct thread *t = arg;
	uint8_t value;

	for (fl_va page = 0; page < 4; page++) {
		CHECK(try_access(&t->cpu, BASE + page * PAGE, number(t) % 2 ? FL_READ : FL_EXEC) == FL_FAULT_DONE);
		CHECK(look(t, BASE + page * PAGE, &value) == FL_FAULT_DONE && value == 0);
	}
}

static void fetch_against_fetch(size_t schedule)
{
	void (*const body[])(void *) = {fetch_each_page, fetch_each_page, fetch_each_page, fetch_each_page};

	(void)schedule;
	world_map(&w, BASE, 4, FL_PROT_READ | FL_PROT_EXEC);
	run(body, THREADS);
	assert_int_equal(fl_munmap(&w.task, BASE, 4 * PAGE), 0);
}

static void fetches_at_once_all_succeed(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), fetch_against_fetch);
}

/* Fault against munmap. Pages 0 to 3 lie in one table, the last ones in another. */

static void touch_until_gone(void *arg)
{
	struct thread *t = arg;

	for (unsigned round = 0; round < 8; round++) {
		bool gone = fl_load_acquire(&done) != 0;
		fl_va va = BASE + FAR - 2 * PAGE + (round % 4) * PAGE + number(t);
		enum fl_outcome o = try_access(&t->cpu, va, round % 3 ? FL_WRITE : FL_READ);

		CHECK(o == FL_FAULT_BAD_AREA || (o == FL_FAULT_DONE && !gone));
		if (o == FL_FAULT_BAD_AREA)
			CHECK(t->cpu.fault.addr == va && t->cpu.fault.si_code == FL_SEGV_MAPERR);
	}
}

static void unmap(void *arg)
{
	struct thread *t = arg;

	CHECK(fl_munmap(&t->task, BASE + FAR - 2 * PAGE, 4 * PAGE) == 0);
	fl_store_release(&done, 1);
}

static void fault_against_munmap(size_t schedule)
{
	void (*const body[])(void *) = {unmap, touch_until_gone, touch_until_gone};
	struct fl_mm_stats s;

	(void)schedule;
	world_map(&w, BASE + FAR - 2 * PAGE, 4, RW);
	run(body, 3);
	fl_mm_stats(w.mm, &s);
	assert_int_equal(s.resident, 0);
	assert_int_equal(s.tables, 1); /* they were given back */
	assert_int_equal(fl_frames_used(w.frames), 1);
}

static void munmap_leaves_nothing_behind(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), fault_against_munmap);
}

/* A table that comes and goes under a neighbour's faults. */

static void map_and_unmap_neighbours(void *arg)
{
	struct thread *t = arg;
	fl_va out;

	for (unsigned i = 0; i < 4; i++) {
		CHECK(fl_mmap(&t->task, BASE, 2 * PAGE, RW, FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED, &out) ==
		      0);
		poke(&t->cpu, BASE, 1);
		CHECK(fl_munmap(&t->task, BASE, 2 * PAGE) == 0);
	}
}

static void fault_and_drop(void *arg)
{
	struct thread *t = arg;
	fl_va va = BASE + 8 * PAGE + number(t) * PAGE;

	for (uint8_t i = 1; i < 5; i++) {
		poke(&t->cpu, va, i);
		peek(&t->cpu, va, i);
		CHECK(fl_madvise(&t->task, va, PAGE, FL_MADV_DONTNEED) == 0);
		fl_tables_free_empty(&w.mm->tables, va, va + PAGE);
		peek(&t->cpu, va, 0);
		CHECK(fl_madvise(&t->task, va, PAGE, FL_MADV_DONTNEED) == 0);
	}
}

static void fault_against_vanishing_tables(size_t schedule)
{
	void (*const body[])(void *) = {map_and_unmap_neighbours, fault_and_drop, fault_and_drop};

	(void)schedule;
	world_map(&w, BASE + 8 * PAGE, THREADS, RW);
	run(body, 3);
	assert_int_equal(fl_frames_used(w.frames), 1);
}

static void tables_that_vanish_are_made_again(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), fault_against_vanishing_tables);
}

/* Fault against mprotect. done counts: odd, the page is read-only. */

static void protect(void *arg)
{
	struct thread *t = arg;

	for (uint32_t i = 1; i <= 6; i++) {
		/* While it changes, both answers are right. */
		fl_store_release(&done, 100);
		CHECK(fl_mprotect(&t->task, BASE + PAGE, PAGE, i % 2 ? FL_PROT_READ : RW) == 0);
		fl_store_release(&done, i);
		concurrent_yield();
	}
}

static void write_while_allowed(void *arg)
{
	struct thread *t = arg;
	uint8_t last = 0, value;

	for (uint8_t i = 1; i < 12; i++) {
		uint32_t before = fl_load_acquire(&done);
		fl_va va = BASE + PAGE + number(t);
		enum fl_outcome o = fl_vcpu_store(&t->cpu, va, &i, 1);
		uint32_t after = fl_load_acquire(&done);

		if (before == after && before != 100)
			CHECK(o == (before % 2 ? FL_FAULT_ACCESS_ERROR : FL_FAULT_DONE));
		else
			CHECK(o == FL_FAULT_ACCESS_ERROR || o == FL_FAULT_DONE);
		if (o == FL_FAULT_DONE)
			last = i;
		CHECK(look(t, va, &value) == FL_FAULT_DONE && value == last);
		/* The neighbours were split off and merged again; nothing changed for them. */
		poke(&t->cpu, BASE + number(t), i);
		poke(&t->cpu, BASE + 2 * PAGE + number(t), i);
	}
}

static void fault_against_mprotect(size_t schedule)
{
	void (*const body[])(void *) = {protect, write_while_allowed, write_while_allowed};

	(void)schedule;
	world_map(&w, BASE, 3, RW);
	run(body, 3);
	assert_int_equal(fl_munmap(&w.task, BASE, 3 * PAGE), 0);
}

static void mprotect_is_obeyed_once_it_returns(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), fault_against_mprotect);
}

/* DONTNEED against DONTNEED: what is dropped is gone when the call returns, whoever dropped it. */

static void drop_again(void *arg)
{
	struct thread *t = arg;

	for (int i = 0; i < 8; i++)
		CHECK(fl_madvise(&t->task, BASE, 2 * PAGE, i % 2 ? FL_MADV_DONTNEED : FL_MADV_GUARD_INSTALL) == 0 &&
		      fl_madvise(&t->task, BASE, 2 * PAGE, FL_MADV_GUARD_REMOVE) == 0);
}

static void drop_and_look(void *arg)
{
	struct thread *t = arg;
	fl_va va = BASE + number(t) % 2 * PAGE;
	uint8_t value = 1;
	enum fl_outcome o;

	for (int i = 0; i < 6; i++) {
		o = fl_vcpu_store(&t->cpu, va, &value, 1);
		CHECK(fl_madvise(&t->task, va, PAGE, FL_MADV_DONTNEED) == 0);
		if (o == FL_FAULT_DONE && look(t, va, &value) == FL_FAULT_DONE)
			CHECK(value == 0);
		value = 1;
	}
}

static void drop_against_drop(size_t schedule)
{
	void (*const body[])(void *) = {drop_again, drop_and_look, drop_and_look};

	(void)schedule;
	world_map(&w, BASE, 2, RW);
	run(body, 3);
	assert_int_equal(fl_munmap(&w.task, BASE, 2 * PAGE), 0);
	assert_int_equal(fl_frames_used(w.frames), 1);
}

static void dropped_page_is_gone_for_every_dropper(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), drop_against_drop);
}

/* Fault against DONTNEED: a byte is what was written last, or zero if the page was dropped since. */

static void drop(void *arg)
{
	struct thread *t = arg;

	for (uint32_t i = 1; i <= 5; i++) {
		CHECK(fl_madvise(&t->task, BASE, 2 * PAGE, FL_MADV_DONTNEED) == 0);
		fl_store_release(&done, i);
	}
}

static void write_and_look(void *arg)
{
	struct thread *t = arg;
	uint8_t value;

	for (uint8_t i = 1; i < 10; i++) {
		fl_va va = BASE + (i % 2) * PAGE + number(t);

		poke(&t->cpu, va, i);
		CHECK(look(t, va, &value) == FL_FAULT_DONE);
		CHECK(value == i || value == 0);
	}
}

static void fault_against_dontneed(size_t schedule)
{
	void (*const body[])(void *) = {drop, write_and_look, write_and_look, write_and_look};

	(void)schedule;
	world_map(&w, BASE, 2, RW);
	run(body, 4);
	assert_int_equal(fl_madvise(&w.task, BASE, 2 * PAGE, FL_MADV_DONTNEED), 0);
	assert_int_equal(fl_frames_used(w.frames), 1);
}

static void dontneed_gives_zeros_or_the_last_write(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), fault_against_dontneed);
}

/*
 * Fault against fork: the child is a snapshot. Each writer counts in page A and then in page B, which lies in another
 * table; a child that has the later count without the earlier one was no snapshot.
 */
#define PAGE_A BASE
#define PAGE_B (BASE + FAR)

static void count_in_two_pages(void *arg)
{
	struct thread *t = arg;
	unsigned n = number(t);

	for (uint8_t i = 1; i <= 8; i++) {
		poke(&t->cpu, PAGE_A + n, i);
		poke(&t->cpu, PAGE_B + n, i);
	}
	peek(&t->cpu, PAGE_A + n, 8);
	peek(&t->cpu, PAGE_B + n, 8);
}

static void fork_and_compare(void *arg)
{
	struct thread *t = arg, child;
	struct fl_mm *mm;
	uint8_t a, b, again;

	for (int i = 0; i < 3; i++) {
		CHECK(fl_mm_fork(&t->task, &mm) == 0);
		thread_open(&child, &w, mm, 9);
		fl_mm_put(mm);
		for (unsigned n = 1; n < 3; n++) {
			CHECK(look(&child, PAGE_A + n, &a) == FL_FAULT_DONE);
			CHECK(look(&child, PAGE_B + n, &b) == FL_FAULT_DONE);
			CHECK(b <= a && a - b <= 1);
			/* What the parent writes now never shows here. */
			poke(&child.cpu, PAGE_A + 50, 1);
			CHECK(look(&child, PAGE_A + n, &again) == FL_FAULT_DONE && again == a);
			CHECK(look(&child, PAGE_B + n, &again) == FL_FAULT_DONE && again == b);
		}
		thread_close(&child);
	}
	peek(&t->cpu, PAGE_A + 50, 0);
}

static void fault_against_fork(size_t schedule)
{
	void (*const body[])(void *) = {fork_and_compare, count_in_two_pages, count_in_two_pages};

	(void)schedule;
	world_map(&w, PAGE_A, 1, RW);
	world_map(&w, PAGE_B, 1, RW);
	run(body, 3);
	assert_int_equal(fl_munmap(&w.task, PAGE_A, PAGE), 0);
	assert_int_equal(fl_munmap(&w.task, PAGE_B, PAGE), 0);
	assert_int_equal(fl_frames_used(w.frames), 1);
}

static void fork_is_a_snapshot_and_loses_no_write(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), fault_against_fork);
}

/* Writers of the child and of the parent, and the child's exit, on frames that they share. */

static struct thread heir;

static void write_as_child_and_exit(void *arg)
{
	(void)arg;
	for (fl_va page = 0; page < 3; page++) {
		peek(&heir.cpu, BASE + page * PAGE, 7);
		poke(&heir.cpu, BASE + page * PAGE, 8);
		peek(&heir.cpu, BASE + page * PAGE, 8);
	}
	thread_close(&heir);
}

static void write_as_parent(void *arg)
{
	struct thread *t = arg;

	for (fl_va page = 0; page < 3; page++) {
		fl_va va = BASE + page * PAGE;

		peek(&t->cpu, va, 7);
		poke(&t->cpu, va + 1 + number(t), 9);
		peek(&t->cpu, va + 1 + number(t), 9);
		peek(&t->cpu, va, 7);
	}
}

static void fault_against_exit(size_t schedule)
{
	void (*const body[])(void *) = {write_as_child_and_exit, write_as_parent, write_as_parent};
	struct fl_mm *mm;

	(void)schedule;
	world_map(&w, BASE, 3, RW);
	for (fl_va page = 0; page < 3; page++)
		poke(&w.cpu, BASE + page * PAGE, 7);
	assert_int_equal(fl_mm_fork(&w.task, &mm), 0);
	thread_open(&heir, &w, mm, 9);
	fl_mm_put(mm);
	run(body, 3);
	for (fl_va page = 0; page < 3; page++) {
		peek(&w.cpu, BASE + page * PAGE, 7);
		peek(&w.cpu, BASE + page * PAGE + 2, 9);
		peek(&w.cpu, BASE + page * PAGE + 3, 9);
	}
	assert_int_equal(fl_frames_used(w.frames), 1 + 3);
	assert_int_equal(fl_munmap(&w.task, BASE, 3 * PAGE), 0);
}

static void exit_of_a_sharer_returns_every_frame(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), fault_against_exit);
}

/* The last of several threads to exit takes the address space with it, whoever it is. */

static struct fl_mm *orphan;
static struct thread orphans[3];

static void fault_and_exit(void *arg)
{
	struct thread *t = arg;

	poke(&t->cpu, BASE + (fl_va)(t - orphans) * PAGE, 1);
	poke(&t->cpu, BASE + 3 * PAGE, 1);
	thread_close(t);
}

static void exit_against_exit(size_t schedule)
{
	void (*const body[])(void *) = {fault_and_exit, fault_and_exit, fault_and_exit};
	void *const arg[] = {&orphans[0], &orphans[1], &orphans[2]};

	(void)schedule;
	assert_int_equal(fl_mm_fork(&w.task, &orphan), 0);
	for (unsigned i = 0; i < 3; i++)
		thread_open(&orphans[i], &w, orphan, 2 + i);
	fl_mm_put(orphan);
	run_concurrently(body, arg, 3);
	world_check(&w);
	assert_int_equal(fl_frames_used(w.frames), 1);
}

static void last_thread_takes_everything_with_it(void **state)
{
	(void)state;
	world_map(&w, BASE, 4, RW);
	for_each_schedule(SCHEDULES(1500, 300), exit_against_exit);
}

/* Fault against mremap: a page that moves to and fro keeps every count that was added to it, wherever it was just then.
 */

static uint32_t added;

static void move_to_and_fro(void *arg)
{
	struct thread *t = arg;
	fl_va from = PAGE_A, to = PAGE_B, out;

	for (int i = 0; i < 6; i++) {
		CHECK(fl_mremap(&t->task, from, 2 * PAGE, 2 * PAGE, FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED, to, &out) ==
		      0);
		CHECK(out == to);
		to = from;
		from = out;
	}
}

static void add_wherever_it_is(void *arg)
{
	struct thread *t = arg;
	uint32_t old, n = 0;

	for (int i = 0; i < 12; i++) {
		fl_va va = (i % 2 ? PAGE_A : PAGE_B) + (i % 3 == 0 ? PAGE : 0);
		enum fl_outcome o = fl_vcpu_add32(&t->cpu, va, 1, &old);

		CHECK(o == FL_FAULT_DONE || o == FL_FAULT_BAD_AREA);
		n += o == FL_FAULT_DONE;
	}
	fl_add(&added, n);
}

static void fault_against_mremap(size_t schedule)
{
	void (*const body[])(void *) = {move_to_and_fro, add_wherever_it_is, add_wherever_it_is};
	uint32_t first, second;

	(void)schedule;
	added = 0;
	world_map(&w, PAGE_A, 2, RW);
	run(body, 3);
	assert_int_equal(fl_vcpu_load(&w.cpu, PAGE_A, &first, 4), FL_FAULT_DONE);
	assert_int_equal(fl_vcpu_load(&w.cpu, PAGE_A + PAGE, &second, 4), FL_FAULT_DONE);
	assert_int_equal(first + second, added);
	assert_int_equal(fl_munmap(&w.task, PAGE_A, 2 * PAGE), 0);
	assert_int_equal(fl_frames_used(w.frames), 1);
}

static void page_that_moves_loses_no_write(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), fault_against_mremap);
}

/* Fault against a mapping that mremap puts in the place of another: something is there at every moment. */

static void move_over(void *arg)
{
	struct thread *t = arg;
	fl_va out;

	for (int i = 0; i < 4; i++) {
		CHECK(fl_mmap(&t->task, BASE + FAR, 2 * PAGE, RW, FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED,
			      &out) == 0);
		CHECK(fl_mremap(&t->task, BASE + FAR, 2 * PAGE, 2 * PAGE, FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED, BASE,
				&out) == 0);
	}
}

static void touch_what_is_there(void *arg)
{
	struct thread *t = arg;
	uint8_t byte = 1, value;

	for (int i = 0; i < 12; i++) {
		fl_va va = BASE + (i % 2 ? PAGE : 0) + number(t);

		CHECK(fl_copy_to_user(&t->task, va, &byte, 1) == 0);
		CHECK(look(t, va, &value) == FL_FAULT_DONE && value <= 1);
	}
}

static void fault_against_replacement(size_t schedule)
{
	void (*const body[])(void *) = {move_over, touch_what_is_there, touch_what_is_there};

	(void)schedule;
	world_map(&w, BASE, 2, RW);
	run(body, 3);
	assert_int_equal(fl_munmap(&w.task, BASE, 2 * PAGE), 0);
	assert_int_equal(fl_frames_used(w.frames), 1);
}

static void mapping_that_is_replaced_is_never_missing(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), fault_against_replacement);
}

/* Stacks: two threads grow one at once, to different depths. */

static void push(void *arg)
{
	struct thread *t = arg;
	fl_va top = BASE + 600 * PAGE;

	for (unsigned i = 1; i < 5; i++) {
		poke(&t->cpu, top - i * (1 + number(t)) * PAGE + number(t), 3);
		peek(&t->cpu, top - i * (1 + number(t)) * PAGE + number(t), 3);
	}
}

static void growth_against_growth(size_t schedule)
{
	void (*const body[])(void *) = {push, push, push};
	fl_va top = BASE + 600 * PAGE, out;
	struct fl_vma_info info;

	(void)schedule;
	assert_int_equal(fl_mmap(&w.task, top - PAGE, PAGE, RW,
				 FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED | FL_MAP_GROWSDOWN, &out),
			 0);
	run(body, 3);
	assert_true(fl_mm_next_vma(w.mm, 0, &info));
	assert_int_equal(info.start, top - 12 * PAGE);
	assert_int_equal(info.end, top);
	assert_int_equal(fl_munmap(&w.task, info.start, info.end - info.start), 0);
}

static void stack_grown_by_several_is_one_mapping(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), growth_against_growth);
}

/* Growth against a mapping that may be put anywhere: the gap below the stack stays free. */

#define TOP (BASE + 2000 * PAGE)
static fl_va placed;
static bool grown;

static void push_far(void *arg)
{
	struct thread *t = arg;
	uint8_t byte = 1;

	grown = fl_vcpu_store(&t->cpu, TOP - 5 * PAGE, &byte, 1) == FL_FAULT_DONE;
}

static void map_anywhere(void *arg)
{
	struct thread *t = arg;

	CHECK(fl_mmap(&t->task, 0, PAGE, RW, FL_MAP_PRIVATE | FL_MAP_ANONYMOUS, &placed) == 0);
}

static void growth_against_mmap(size_t schedule)
{
	void (*const body[])(void *) = {push_far, map_anywhere};
	struct fl_mm_config config = {.mmap_lo = BASE, .mmap_hi = TOP};
	fl_va out;

	(void)schedule;
	world_open_as(&w, 512, &config);
	assert_int_equal(fl_mmap(&w.task, TOP - PAGE, PAGE, RW,
				 FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED | FL_MAP_GROWSDOWN, &out),
			 0);
	run(body, 2);
	/* Whoever came second gave way: the growth was refused, or the mapping went below. */
	if (grown)
		assert_true(placed + PAGE + 256 * PAGE <= TOP - 5 * PAGE);
	world_close(&w);
}

static void gap_below_a_stack_stays_free(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(1500, 300), growth_against_mmap);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(faults_on_one_page_lose_no_write),
		TEST(munmap_leaves_nothing_behind),
		TEST(fetches_at_once_all_succeed),
		TEST(tables_that_vanish_are_made_again),
		TEST(mprotect_is_obeyed_once_it_returns),
		TEST(dontneed_gives_zeros_or_the_last_write),
		TEST(dropped_page_is_gone_for_every_dropper),
		TEST(fork_is_a_snapshot_and_loses_no_write),
		TEST(exit_of_a_sharer_returns_every_frame),
		TEST(last_thread_takes_everything_with_it),
		TEST(page_that_moves_loses_no_write),
		TEST(mapping_that_is_replaced_is_never_missing),
		TEST(stack_grown_by_several_is_one_mapping),
		cmocka_unit_test(gap_below_a_stack_stays_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
