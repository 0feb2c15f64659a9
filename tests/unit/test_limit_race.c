/* SPDX-License-Identifier: MIT */
/*
 * Calls at once that reach the limit on the number of mappings: there is room for one of them, and one of them gets it, whatever the
 * schedule. Each is asked for as much room as Linux asks for in it.
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
#define THREADS 3

static struct world w;
static struct thread threads[THREADS];
static uint32_t done, refused;

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

/* Far from each other, so that no lock keeps them apart. */
static fl_va own(const struct thread *t)
{
	return BASE + (fl_va)(t - threads) * 64 * PAGE;
}

static void note(int err)
{
	CHECK(err == 0 || err == -FL_ENOMEM);
	fl_add(err ? &refused : &done, 1);
}

static void map_one(void *arg)
{
	struct thread *t = arg;
	fl_va out;

	note(fl_mmap(&t->task, own(t) + 32 * PAGE, PAGE, RW, FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED, &out));
}

static void map_over(void *arg)
{
	struct thread *t = arg;
	fl_va out;

	note(fl_mmap(&t->task, own(t) + PAGE, PAGE, FL_PROT_READ, FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED,
		     &out));
}

static void cut_hole(void *arg)
{
	struct thread *t = arg;

	note(fl_munmap(&t->task, own(t) + PAGE, PAGE));
}

static void protect_middle(void *arg)
{
	struct thread *t = arg;

	note(fl_mprotect(&t->task, own(t) + PAGE, PAGE, FL_PROT_READ));
}

/* One mapping for each thread, room for so many more, and all of them do it. */
static void run(void (*body)(void *), unsigned room)
{
	void (*const bodies[THREADS])(void *) = {body, body, body};
	void *arg[THREADS];
	struct fl_mm_stats s;

	done = refused = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		thread_open(&threads[i], &w, w.mm, 2 + i);
		arg[i] = &threads[i];
		world_map(&w, own(&threads[i]), 4, RW);
	}
	fl_mm_stats(w.mm, &s);
	fl_mm_set_max_maps(w.mm, s.vmas + room);
	run_concurrently(bodies, arg, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		thread_close(&threads[i]);
	world_check(&w);
}

static void finish(unsigned most)
{
	struct fl_mm_stats s;

	fl_mm_stats(w.mm, &s);
	assert_int_equal(s.vmas, most);
	assert_int_equal(done, 1);
	assert_int_equal(refused, THREADS - 1);
	fl_mm_set_max_maps(w.mm, 0);
	assert_int_equal(fl_munmap(&w.task, BASE, THREADS * 64 * PAGE), 0);
}

/* mmap: one more than the limit says. */
static void maps_at_once(size_t schedule)
{
	(void)schedule;
	run(map_one, 0);
	finish(THREADS + 1);
}

/* Over the middle of another: room for the cut is asked for, and what comes there is one more again. */
static void maps_over_at_once(size_t schedule)
{
	(void)schedule;
	run(map_over, 1);
	finish(THREADS + 2);
}

static void holes_at_once(size_t schedule)
{
	(void)schedule;
	run(cut_hole, 1);
	finish(THREADS + 1);
}

static void protections_at_once(size_t schedule)
{
	(void)schedule;
	run(protect_middle, 2);
	finish(THREADS + 2);
}

static void one_mapping_too_many_comes(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(600, 200), maps_at_once);
	for_each_schedule(SCHEDULES(600, 200), maps_over_at_once);
}

static void one_hole_is_cut(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(600, 200), holes_at_once);
}

static void one_range_is_protected(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(600, 200), protections_at_once);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_mapping_too_many_comes),
		TEST(one_hole_is_cut),
		TEST(one_range_is_protected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
