/* SPDX-License-Identifier: MIT */
/*
 * Frames: the arena, its allocator, the caches of tasks, counts and pins.
 *
 * An arena here is plain memory of the test. Every test ends by destroying it, which says how many frames were lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "concurrent.h"
#include "fl_port_test.h"
#include "frame/frame_int.h"

#define SHIFT 12
#define PAGE ((size_t)1 << SHIFT)
/* A task may keep this much. */
#define CACHE_MAX 96

static void *memory;
static struct fl_frames *frames;

static void arena_of(uint32_t pages)
{
	memory = aligned_alloc(PAGE, pages * PAGE);
	assert_non_null(memory);
	memset(memory, 0xa5, pages * PAGE);
	assert_int_equal(fl_frames_create(memory, pages * PAGE, SHIFT, &frames), 0);
	assert_int_equal(fl_frames_total(frames), pages);
	assert_int_equal(fl_frames_used(frames), 1);
}

static void end_arena(void)
{
	assert_int_equal(fl_frames_used(frames), 1);
	assert_null(fl_frames_check_free(frames));
	assert_int_equal(fl_frames_destroy(frames), 0);
	free(memory);
}

static void create_refuses_bad_arguments(void **state)
{
	static unsigned char page[20 * PAGE] __attribute__((aligned(1 << SHIFT)));
	struct fl_frames *f = NULL;

	(void)state;
	assert_int_equal(fl_frames_create(page, 16 * PAGE, 11, &f), -FL_EINVAL);
	assert_int_equal(fl_frames_create(page, 16 * PAGE, 17, &f), -FL_EINVAL);
	assert_int_equal(fl_frames_create(page + 64, 16 * PAGE, SHIFT, &f), -FL_EINVAL);
	assert_int_equal(fl_frames_create(NULL, 16 * PAGE, SHIFT, &f), -FL_EINVAL);
	assert_int_equal(fl_frames_create(page, 16 * PAGE - 1, SHIFT, &f), -FL_EINVAL);
	assert_int_equal(fl_frames_create(page, 0, SHIFT, &f), -FL_EINVAL);
	assert_int_equal(fl_frames_create(page, UINT64_MAX, SHIFT, &f), -FL_EINVAL);
	assert_int_equal(fl_frames_create(page, (uint64_t)1 << 45, SHIFT, &f), -FL_EINVAL);
	assert_null(f);
	assert_int_equal(fl_frames_create(page, 17 * PAGE - 1, SHIFT, &f), 0);
	assert_int_equal(fl_frames_total(f), 16);
	assert_int_equal(fl_frames_page_shift(f), SHIFT);
	assert_int_equal(fl_frames_destroy(f), 0);
}

static void create_without_memory_leaves_nothing(void **state)
{
	bool failed = true;
	long n = 0;

	(void)state;
	memory = aligned_alloc(PAGE, 64 * PAGE);
	assert_non_null(memory);
	for (; failed; n++) {
		int err;

		fl_port_fail_alloc_after(n);
		err = fl_frames_create(memory, 64 * PAGE, SHIFT, &frames);
		failed = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);
		assert_int_equal(err, failed ? -FL_ENOMEM : 0);
	}
	assert_true(n > 1);
	end_arena();
}

static long resident_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size, resident;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
	fclose(file);
	return resident;
}

static void create_of_a_huge_arena_touches_nearly_nothing(void **state)
{
	size_t bytes = (size_t)64 << 30;
	struct fl_task t;
	long before;

	(void)state;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		skip();
	before = resident_pages();
	assert_int_equal(fl_frames_create(memory, bytes, SHIFT, &frames), 0);
	fl_task_init(&t, frames, NULL, 1);
	assert_int_not_equal(fl_frame_alloc(&t), FL_PFN_NONE);
	assert_true(resident_pages() - before < 512);
	fl_task_exit(&t);
	assert_int_equal(fl_frames_destroy(frames), 1);
	munmap(memory, bytes);
}

static void frame_of_a_zero_arena_is_clear_until_it_is_used(void **state)
{
	struct fl_task t;
	fl_pfn pfn, again;

	(void)state;
	arena_of(64);
	fl_task_init(&t, frames, NULL, 1);
	pfn = fl_frame_alloc(&t);
	assert_false(fl_frame_is_clear(frames, pfn)); /* nobody said that the arena was zero */
	fl_frame_put(frames, &t, pfn);
	fl_frames_assume_zero(frames);
	again = fl_frame_alloc(&t);
	assert_int_equal(again, pfn); /* used before, so not clear */
	assert_false(fl_frame_is_clear(frames, again));
	pfn = fl_frame_alloc(&t);
	assert_true(fl_frame_is_clear(frames, pfn));
	fl_frame_put(frames, &t, pfn);
	fl_frame_put(frames, &t, again);
	fl_task_exit(&t);
	end_arena();
}

static void zero_frame_is_zero_and_not_counted(void **state)
{
	unsigned char zero[PAGE] = {0};
	fl_pfn pfn;

	(void)state;
	arena_of(16);
	pfn = fl_frames_zero_pfn(frames);
	assert_memory_equal(fl_frame_data(frames, pfn), zero, PAGE);
	assert_ptr_equal(fl_frame_data(frames, pfn), (char *)memory + pfn * PAGE);
	fl_frame_get(frames, pfn);
	fl_frame_put(frames, NULL, pfn);
	fl_frame_put(frames, NULL, pfn);
	fl_frame_unpin(frames, pfn);
	fl_frame_pin(frames, pfn);
	assert_false(fl_frame_pinned(fl_frame_meta(frames, pfn)));
	assert_int_equal(fl_frames_used(frames), 1);
	end_arena();
}

static void alloc_hands_out_ascending_neighbours(void **state)
{
	struct fl_task t;
	fl_pfn first, pfn;

	(void)state;
	arena_of(8192);
	fl_task_init(&t, frames, NULL, 1);
	first = fl_frame_alloc(&t);
	for (fl_pfn i = 1; i < 1000; i++) {
		pfn = fl_frame_alloc(&t);
		assert_int_equal(pfn, first + i);
		assert_int_equal(fl_load(&fl_frame_meta(frames, pfn)->refs), 1);
		assert_int_equal(fl_load(&fl_frame_meta(frames, pfn)->maps), 0);
		/* The odd ones beside the zero frame come singly, and the runs after them are aligned. */
		assert_int_equal(t.cache.end, pfn < 32 ? 0 : (pfn / 32 + 1) * 32);
	}
	assert_int_equal(fl_frames_used(frames), 1001);
	for (fl_pfn i = 0; i < 1000; i++)
		fl_frame_put(frames, &t, first + i);
	assert_int_equal(fl_frames_used(frames), 1);
	fl_task_exit(&t);
	end_arena();
}

static void runs_of_two_tasks_share_no_pair_of_cache_lines(void **state)
{
	struct fl_task t[2];
	fl_pfn mine[2][256];

	(void)state;
	arena_of(8192);
	/* The odd ones beside the zero frame go to nobody. */
	for (fl_pfn pfn = 1; pfn < 32; pfn++)
		assert_int_equal(fl_frame_alloc_order(frames, 0), pfn);
	for (uint32_t k = 0; k < 2; k++)
		fl_task_init(&t[k], frames, NULL, k + 1);
	for (int i = 0; i < 256; i++)
		for (int k = 0; k < 2; k++)
			mine[k][i] = fl_frame_alloc(&t[k]);
	for (int i = 0; i < 256; i++)
		for (int j = 0; j < 256; j++)
			assert_int_not_equal((uintptr_t)fl_frame_meta(frames, mine[0][i]) / 128,
					     (uintptr_t)fl_frame_meta(frames, mine[1][j]) / 128);
	for (int i = 0; i < 256; i++)
		for (int k = 0; k < 2; k++)
			fl_frame_put(frames, &t[k], mine[k][i]);
	for (fl_pfn pfn = 1; pfn < 32; pfn++)
		fl_frame_put(frames, NULL, pfn);
	fl_task_exit(&t[0]);
	fl_task_exit(&t[1]);
	end_arena();
}

static void alloc_takes_every_frame_of_a_small_arena(void **state)
{
	uint8_t seen[64] = {0};
	struct fl_task t[2];
	uint32_t n = 0;

	(void)state;
	arena_of(64);
	for (uint32_t k = 0; k < 2; k++)
		fl_task_init(&t[k], frames, NULL, k + 1);
	for (;; n++) {
		fl_pfn pfn = fl_frame_alloc(&t[n % 2]);

		if (pfn == FL_PFN_NONE)
			break;
		assert_true(pfn < 64 && pfn != fl_frames_zero_pfn(frames) && !seen[pfn]);
		seen[pfn] = 1;
	}
	assert_int_equal(n, 63);
	assert_int_equal(fl_frames_used(frames), 64);
	assert_int_equal(fl_frames_peak(frames), 64);
	assert_int_equal(fl_frame_alloc(&t[0]), FL_PFN_NONE);
	assert_int_equal(fl_frame_alloc_order(frames, 0), FL_PFN_NONE);
	/* One comes back, and whoever wants it gets it. */
	fl_frame_put(frames, &t[0], 17);
	assert_int_equal(fl_frame_alloc(&t[1]), 17);
	for (fl_pfn pfn = 1; pfn < 64; pfn++)
		fl_frame_put(frames, &t[0], pfn);
	for (uint32_t k = 0; k < 2; k++)
		fl_task_exit(&t[k]);
	end_arena();
}

static void idle_caches_hold_less_than_a_tenth(void **state)
{
	enum {
		PAGES = 4096,
		TASKS = 32
	};
	static fl_pfn got[PAGES];
	struct fl_task t[TASKS];
	uint32_t n = 0;

	(void)state;
	arena_of(PAGES);
	for (uint32_t k = 0; k < TASKS; k++) {
		fl_pfn some[128];

		fl_task_init(&t[k], frames, NULL, k + 1);
		for (int i = 0; i < 128; i++)
			some[i] = fl_frame_alloc(&t[k]);
		for (int i = 0; i < 128; i++)
			fl_frame_put(frames, &t[k], some[i]);
	}
	assert_int_equal(fl_frames_used(frames), 1);
	while ((got[n] = fl_frame_alloc(&t[0])) != FL_PFN_NONE)
		n++;
	assert_true(n >= PAGES - 1 - PAGES / 10);
	assert_int_equal(fl_frames_used(frames), n + 1);
	for (uint32_t k = 1; k < TASKS; k++)
		fl_task_exit(&t[k]);
	while ((got[n] = fl_frame_alloc(&t[0])) != FL_PFN_NONE)
		n++;
	assert_int_equal(n, PAGES - 1);
	/* Nearly empty: what a task frees is not kept by it. */
	fl_frame_put(frames, &t[0], got[--n]);
	assert_int_equal(t[0].cache.nfree, 0);
	while (n)
		fl_frame_put(frames, &t[0], got[--n]);
	fl_task_exit(&t[0]);
	end_arena();
}

static void cached_frames_count_as_free_and_overflow_goes_back(void **state)
{
	enum {
		N = 500
	};
	struct fl_task t;
	fl_pfn got[N];

	(void)state;
	arena_of(8192);
	fl_task_init(&t, frames, NULL, 1);
	for (int i = 0; i < N; i++) {
		got[i] = fl_frame_alloc(&t);
		assert_int_equal(fl_frames_used(frames), i + 2);
	}
	assert_in_range(fl_frames_peak(frames), N + 1, N + 1 + CACHE_MAX);
	for (int i = 0; i < N; i++) {
		fl_frame_put(frames, &t, got[(i * 37) % N]);
		assert_int_equal(fl_frames_used(frames), N - i);
		assert_in_range(t.cache.nfree, 0, FL_FRAME_CACHE);
	}
	/* The lowest first, as they were before. */
	for (int i = 0; i < 20; i++)
		got[i] = fl_frame_alloc(&t);
	for (int i = 1; i < 20; i++)
		assert_true(got[i] > got[i - 1]);
	for (int i = 0; i < 20; i++)
		fl_frame_put(frames, NULL, got[i]);
	fl_task_exit(&t);
	end_arena();
}

static void low_addresses_are_used_first(void **state)
{
	struct fl_task t, other;
	fl_pfn got[3000];

	(void)state;
	arena_of(8192);
	fl_task_init(&t, frames, NULL, 1);
	for (int i = 0; i < 3000; i++)
		got[i] = fl_frame_alloc(&t);
	/* Every fourth one comes back: single frames, all over the place. */
	for (int i = 0; i < 3000; i += 4)
		fl_frame_put(frames, NULL, got[i]);
	assert_null(fl_frames_check_free(frames));
	fl_task_init(&other, frames, NULL, 2);
	for (int i = 0; i < 3000; i += 4) {
		fl_pfn pfn = fl_frame_alloc(&other);

		assert_int_equal(pfn, got[i]);
	}
	for (int i = 0; i < 3000; i++)
		fl_frame_put(frames, NULL, got[i]);
	fl_task_exit(&t);
	fl_task_exit(&other);
	end_arena();
}

static void blocks_are_aligned_and_joined_again(void **state)
{
	fl_pfn first[FL_FRAME_MAX_ORDER + 1];

	(void)state;
	arena_of(8192);
	for (int round = 0; round < 2; round++) {
		for (unsigned order = 0; order <= FL_FRAME_MAX_ORDER; order++) {
			fl_pfn pfn = first[order] = fl_frame_alloc_order(frames, order);

			assert_int_not_equal(pfn, FL_PFN_NONE);
			assert_int_equal(pfn & ((1u << order) - 1), 0);
			assert_int_equal(fl_frame_order(fl_frame_meta(frames, pfn)), order);
			for (fl_pfn i = 0; i < 1u << order; i++)
				assert_int_equal(fl_load(&fl_frame_meta(frames, pfn + i)->refs), 1);
		}
		assert_int_equal(fl_frames_used(frames), 1 + 2047);
		assert_null(fl_frames_check_free(frames));
		for (unsigned order = 0; order <= FL_FRAME_MAX_ORDER; order++) {
			/* Some from below, some from above. */
			for (fl_pfn i = 0; i < 1u << order; i++)
				fl_frame_put(frames, NULL, first[order] + (order & 1 ? i : (1u << order) - 1 - i));
		}
		assert_null(fl_frames_check_free(frames));
	}
	assert_int_equal(fl_frame_alloc_order(frames, FL_FRAME_MAX_ORDER + 1), FL_PFN_NONE);
	/* All but the first block of the highest order, which holds the zero frame. */
	for (int i = 0; i < 7; i++)
		assert_int_equal(fl_frame_alloc_order(frames, FL_FRAME_MAX_ORDER), (i + 1) * 1024);
	assert_int_equal(fl_frame_alloc_order(frames, FL_FRAME_MAX_ORDER), FL_PFN_NONE);
	assert_int_equal(fl_frame_alloc_order(frames, FL_FRAME_MAX_ORDER - 1), 512);
	for (fl_pfn pfn = 512; pfn < 8192; pfn++)
		fl_frame_put(frames, NULL, pfn);
	end_arena();
}

static void arena_of_an_odd_size_uses_all_of_it(void **state)
{
	struct fl_task t;
	uint32_t n = 0;

	(void)state;
	arena_of(1037);
	fl_task_init(&t, frames, NULL, 1);
	while (fl_frame_alloc(&t) != FL_PFN_NONE)
		n++;
	assert_int_equal(n, 1036);
	for (fl_pfn pfn = 1; pfn < 1037; pfn++)
		fl_frame_put(frames, &t, pfn);
	fl_task_exit(&t);
	end_arena();
}

static void references_and_pins_keep_a_frame(void **state)
{
	struct fl_frame *m;
	struct fl_task t;
	fl_pfn pfn;

	(void)state;
	arena_of(64);
	fl_task_init(&t, frames, NULL, 1);
	pfn = fl_frame_alloc(&t);
	m = fl_frame_meta(frames, pfn);
	m->owner = &t;
	m->index = 5;
	fl_frame_get(frames, pfn);
	fl_frame_put(frames, &t, pfn);
	assert_int_equal(fl_frames_used(frames), 2);
	assert_false(fl_frame_pinned(m));
	fl_frame_pin(frames, pfn);
	fl_frame_pin(frames, pfn);
	assert_true(fl_frame_pinned(m));
	assert_int_equal(fl_frame_order(m), 0);
	fl_frame_put(frames, &t, pfn);
	fl_frame_unpin(frames, pfn);
	assert_true(fl_frame_pinned(m));
	assert_int_equal(fl_frames_used(frames), 2);
	fl_frame_unpin(frames, pfn);
	assert_int_equal(fl_frames_used(frames), 1);
	/* It comes back as new. */
	assert_int_equal(fl_frame_alloc(&t), pfn);
	assert_false(fl_frame_pinned(m));
	assert_null(m->owner);
	fl_frame_put(frames, &t, pfn);
	fl_task_exit(&t);
	end_arena();
}

static void destroy_tells_how_many_frames_were_lost(void **state)
{
	struct fl_task t;

	(void)state;
	arena_of(4096);
	fl_task_init(&t, frames, NULL, 1);
	for (int i = 0; i < 3; i++)
		assert_int_not_equal(fl_frame_alloc(&t), FL_PFN_NONE);
	fl_task_exit(&t);
	assert_int_equal(fl_frames_destroy(frames), 3);
	free(memory);
}

static void check_finds_a_free_frame_with_references(void **state)
{
	(void)state;
	arena_of(64);
	assert_null(fl_frames_check_free(frames));
	fl_store(&fl_frame_meta(frames, 40)->refs, 1);
	assert_non_null(fl_frames_check_free(frames));
	fl_store(&fl_frame_meta(frames, 40)->refs, 0);
	end_arena();
}

/* Bodies allocate and free; what is in a frame tells whose it is. */
struct worker {
	struct fl_task task;
	uint32_t rounds;
	uint32_t failures;
};

static struct worker worker[4];

static void work(void *arg)
{
	struct worker *w = arg;
	fl_pfn held[24];
	uint32_t n = 0, random = w->task.tid * 7919 + (uint32_t)concurrent_schedule * 104729;

	for (uint32_t i = 0; i < w->rounds; i++) {
		random = random * 1664525 + 1013904223;
		if (n < FL_ARRAY_LEN(held) && random >> 16 & 3) {
			fl_pfn pfn = fl_frame_alloc(&w->task);

			if (pfn == FL_PFN_NONE) {
				w->failures++;
				continue;
			}
			*(uint32_t *)fl_frame_data(frames, pfn) = w->task.tid;
			held[n++] = pfn;
		} else if (n) {
			uint32_t k = (random >> 8) % n;

			CHECK(*(uint32_t *)fl_frame_data(frames, held[k]) == w->task.tid);
			CHECK(fl_load(&fl_frame_meta(frames, held[k])->refs) == 1);
			fl_frame_put(frames, random >> 20 & 7 ? &w->task : NULL, held[k]);
			held[k] = held[--n];
		}
		/* Never wildly wrong, whatever others do. */
		CHECK(fl_frames_used(frames) <= fl_frames_total(frames));
	}
	while (n) {
		CHECK(*(uint32_t *)fl_frame_data(frames, held[--n]) == w->task.tid);
		fl_frame_put(frames, &w->task, held[n]);
	}
	fl_task_exit(&w->task);
}

static uint32_t pages_for_work, rounds_of_work, failures_of_work;

static void work_together(size_t schedule)
{
	void (*const body[])(void *) = {work, work, work, work};
	void *const arg[] = {&worker[0], &worker[1], &worker[2], &worker[3]};

	(void)schedule;
	arena_of(pages_for_work);
	for (uint32_t i = 0; i < 4; i++) {
		worker[i] = (struct worker){.rounds = rounds_of_work};
		fl_task_init(&worker[i].task, frames, NULL, i + 1);
	}
	run_concurrently(body, arg, 4);
	for (int i = 0; i < 4; i++)
		failures_of_work += worker[i].failures;
	end_arena();
}

static void tasks_together_never_share_a_frame(void **state)
{
	(void)state;
	failures_of_work = 0;
	pages_for_work = 1024;
	rounds_of_work = 200;
	for_each_schedule(60, work_together);
	assert_int_equal(failures_of_work, 0);
}

static void tasks_together_in_a_full_arena_lose_nothing(void **state)
{
	(void)state;
	failures_of_work = 0;
	pages_for_work = 20; /* fewer than one body alone may hold */
	rounds_of_work = 150;
	for_each_schedule(60, work_together);
	assert_true(failures_of_work > 0);
}

/* Two bodies drop the last two references of the same frames; each frame is freed once. */
static fl_pfn both[32];

static void put_all(void *arg)
{
	for (size_t i = 0; i < FL_ARRAY_LEN(both); i++)
		fl_frame_put(frames, arg, both[i]);
	fl_task_exit(arg);
}

static void put_together(size_t schedule)
{
	void (*const body[])(void *) = {put_all, put_all};
	struct fl_task t[2];
	void *const arg[] = {&t[0], &t[1]};

	(void)schedule;
	arena_of(1024);
	fl_task_init(&t[0], frames, NULL, 1);
	fl_task_init(&t[1], frames, NULL, 2);
	for (size_t i = 0; i < FL_ARRAY_LEN(both); i++) {
		both[i] = fl_frame_alloc(&t[0]);
		fl_frame_get(frames, both[i]);
	}
	run_concurrently(body, arg, 2);
	end_arena();
}

static void last_reference_frees_once_whoever_drops_it(void **state)
{
	(void)state;
	for_each_schedule(100, put_together);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_refuses_bad_arguments),
		cmocka_unit_test(create_without_memory_leaves_nothing),
		cmocka_unit_test(create_of_a_huge_arena_touches_nearly_nothing),
		cmocka_unit_test(frame_of_a_zero_arena_is_clear_until_it_is_used),
		cmocka_unit_test(zero_frame_is_zero_and_not_counted),
		cmocka_unit_test(alloc_hands_out_ascending_neighbours),
		cmocka_unit_test(runs_of_two_tasks_share_no_pair_of_cache_lines),
		cmocka_unit_test(alloc_takes_every_frame_of_a_small_arena),
		cmocka_unit_test(idle_caches_hold_less_than_a_tenth),
		cmocka_unit_test(cached_frames_count_as_free_and_overflow_goes_back),
		cmocka_unit_test(low_addresses_are_used_first),
		cmocka_unit_test(blocks_are_aligned_and_joined_again),
		cmocka_unit_test(arena_of_an_odd_size_uses_all_of_it),
		cmocka_unit_test(references_and_pins_keep_a_frame),
		cmocka_unit_test(destroy_tells_how_many_frames_were_lost),
		cmocka_unit_test(check_finds_a_free_frame_with_references),
		cmocka_unit_test(tasks_together_never_share_a_frame),
		cmocka_unit_test(tasks_together_in_a_full_arena_lose_nothing),
		cmocka_unit_test(last_reference_frees_once_whoever_drops_it),
	};

	return cmocka_run_group_tests_name("frame " FL_PORT_NAME, tests, NULL, NULL);
}
