/* SPDX-License-Identifier: MIT */
/*
 * mmap and munmap: errno order, choice of addresses, splitting and merging, limits, foreign mappings; every frame and
 * table comes back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

static int map(fl_va va, uint64_t len, int prot, int flags, fl_va *out)
{
	return fl_mmap(&w.task, va, len, prot, flags, out);
}

static void bad_arguments_have_linux_errors(void **state)
{
	const fl_va top = fl_arch_x86_64.task_size;
	fl_va out;

	(void)state;
	assert_int_equal(map(0, 0, RW, ANON, &out), -FL_EINVAL);
	assert_int_equal(map(0, UINT64_MAX, RW, ANON, &out), -FL_ENOMEM);
	assert_int_equal(map(0, top + PAGE, RW, ANON, &out), -FL_ENOMEM);
	assert_int_equal(map(page(0) + 1, PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_EINVAL);
	assert_int_equal(map(top, PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_ENOMEM);
	assert_int_equal(map(page(0), PAGE, RW, FL_MAP_ANONYMOUS, &out), -FL_EINVAL);
	assert_int_equal(map(page(0), PAGE, RW, FL_MAP_ANONYMOUS | FL_MAP_SHARED, &out), -FL_ENODEV);
	assert_int_equal(map(page(0), PAGE, RW, FL_MAP_PRIVATE, &out), -FL_ENODEV);
	expect_layout(&w, "");
	assert_int_equal(fl_munmap(&w.task, page(0) + 1, PAGE), -FL_EINVAL);
	assert_int_equal(fl_munmap(&w.task, page(0), 0), -FL_EINVAL);
	assert_int_equal(fl_munmap(&w.task, top, PAGE), -FL_EINVAL);
	assert_int_equal(fl_munmap(&w.task, page(0), UINT64_MAX), -FL_EINVAL);
	assert_int_equal(fl_munmap(&w.task, page(0), PAGE), 0);
}

static void fixed_noreplace_refuses_what_is_taken(void **state)
{
	fl_va out;

	(void)state;
	world_map(&w, page(4), 4, RW);
	assert_int_equal(map(page(0), 5 * PAGE, RW, ANON | FL_MAP_FIXED_NOREPLACE, &out), -FL_EEXIST);
	assert_int_equal(map(page(7), PAGE, RW, ANON | FL_MAP_FIXED_NOREPLACE, &out), -FL_EEXIST);
	assert_int_equal(map(page(0), 4 * PAGE, RW, ANON | FL_MAP_FIXED_NOREPLACE, &out), 0);
	expect_layout(&w, "0-8 rw-");
}

static void address_is_chosen_top_down_and_a_hint_is_honoured_where_free(void **state)
{
	const struct fl_mm_config config = {.mmap_lo = page(0), .mmap_hi = page(100), .min_addr = page(0) - PAGE};
	fl_va out;

	(void)state;
	world_close(&w);
	world_open_as(&w, 256, &config);
	assert_int_equal(map(0, 2 * PAGE, RW, ANON, &out), 0);
	assert_int_equal(out, page(98));
	assert_int_equal(map(page(10) + 5, PAGE, RW, ANON, &out), 0);
	assert_int_equal(out, page(10));
	assert_int_equal(map(page(98), PAGE, FL_PROT_READ, ANON, &out), 0);
	assert_int_equal(out, page(97));
	/* Below the lowest address a hint is raised, and FIXED is refused. */
	assert_int_equal(map(PAGE, PAGE, RW, ANON, &out), 0);
	assert_int_equal(out, page(0) - PAGE);
	assert_int_equal(map(PAGE, PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_EPERM);
	assert_int_equal(map(0, 87 * PAGE, RW, ANON, &out), -FL_ENOMEM);
	assert_int_equal(map(0, 86 * PAGE, RW, ANON, &out), 0);
	assert_int_equal(out, page(11));
	expect_layout(&w, "-1-0 rw-, 10-97 rw-, 97-98 r--, 98-100 rw-");
}

static void low_mappings_lie_in_the_second_gigabyte(void **state)
{
	fl_va out;

	(void)state;
	assert_int_equal(map(0, PAGE, RW, ANON | FL_MAP_32BIT, &out), 0);
	assert_int_equal(out, 0x40000000);
	assert_int_equal(map((fl_va)1 << 40, PAGE, RW, ANON | FL_MAP_32BIT, &out), 0);
	assert_int_equal(out, 0x40001000);
}

static void neighbours_merge_when_they_are_alike(void **state)
{
	(void)state;
	world_map(&w, page(0), 2, RW);
	world_map(&w, page(4), 2, RW);
	expect_layout(&w, "0-2 rw-, 4-6 rw-");
	world_map(&w, page(2), 2, RW);
	expect_layout(&w, "0-6 rw-");
	world_map(&w, page(2), 1, FL_PROT_READ);
	expect_layout(&w, "0-2 rw-, 2-3 r--, 3-6 rw-");
	world_map(&w, page(2), 1, RW);
	expect_layout(&w, "0-6 rw-");
}

static void faulted_pieces_merge_again_strangers_do_not(void **state)
{
	(void)state;
	world_map(&w, page(0), 6, RW);
	poke(&w.cpu, page(0), 1);
	assert_int_equal(fl_munmap(&w.task, page(2), 2 * PAGE), 0);
	poke(&w.cpu, page(5), 1);
	/* Both ends have the identity of the whole; what comes between has none yet. */
	world_map(&w, page(2), 2, RW);
	expect_layout(&w, "0-6 rw-");
	assert_int_equal(fl_munmap(&w.task, page(0), 6 * PAGE), 0);
	world_map(&w, page(0), 2, RW);
	world_map(&w, page(4), 2, RW);
	poke(&w.cpu, page(0), 1);
	poke(&w.cpu, page(4), 1);
	world_map(&w, page(2), 2, RW);
	expect_layout(&w, "0-4 rw-, 4-6 rw-");
}

static void unmapping_splits_and_returns_frames_and_tables(void **state)
{
	struct fl_mm_stats s;

	(void)state;
	world_map(&w, page(0), 8, RW);
	for (unsigned i = 0; i < 8; i++)
		poke(&w.cpu, page(i), (uint8_t)i);
	fl_mm_stats(w.mm, &s);
	assert_int_equal(s.resident, 8);
	assert_int_equal(s.total_pages, 8);
	assert_int_equal(s.tables, 4);
	assert_int_equal(fl_munmap(&w.task, page(2), 3 * PAGE - 5), 0);
	expect_layout(&w, "0-2 rw-, 5-8 rw-");
	peek(&w.cpu, page(1), 1);
	peek(&w.cpu, page(5), 5);
	assert_int_equal(try_access(&w.cpu, page(2), FL_READ), FL_FAULT_BAD_AREA);
	assert_int_equal(fl_frames_used(w.frames), 5 + 1);
	assert_int_equal(fl_munmap(&w.task, 0, fl_arch_x86_64.task_size), 0);
	fl_mm_stats(w.mm, &s);
	assert_int_equal(s.tables, 1);
	assert_int_equal(s.total_pages, 0);
	expect_layout(&w, "");
}

static void mapping_over_pages_gives_fresh_ones(void **state)
{
	(void)state;
	world_map(&w, page(0), 4, RW);
	poke(&w.cpu, page(1), 7);
	world_map(&w, page(1), 1, RW);
	expect_layout(&w, "0-4 rw-");
	peek(&w.cpu, page(1), 0);
}

static void populate_and_locked_bring_pages_in(void **state)
{
	struct fl_mm_stats s;
	fl_va out;

	(void)state;
	assert_int_equal(map(page(0), 4 * PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_POPULATE, &out), 0);
	assert_int_equal(map(page(4), 2 * PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_LOCKED, &out), 0);
	assert_int_equal(map(page(6), 2 * PAGE, FL_PROT_NONE, ANON | FL_MAP_FIXED | FL_MAP_POPULATE, &out), 0);
	fl_mm_stats(w.mm, &s);
	assert_int_equal(s.resident, 6);
	assert_int_equal(s.locked_pages, 2);
	assert_int_equal(poke(&w.cpu, page(3), 1), FL_KIND_NONE);
	expect_layout(&w, "0-4 rw-, 4-6 rw-L, 6-8 ---");
}

static void limits_are_kept(void **state)
{
	const struct fl_mm_config config = {
		.max_maps = 4,
		.limit_as = 40 * PAGE,
		.limit_data = 20 * PAGE,
		.limit_memlock = 2 * PAGE,
	};
	fl_va out;

	(void)state;
	world_close(&w);
	world_open_as(&w, 256, &config);
	assert_int_equal(map(page(0), 21 * PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_ENOMEM);
	assert_int_equal(map(page(0), 41 * PAGE, FL_PROT_READ, ANON | FL_MAP_FIXED, &out), -FL_ENOMEM);
	assert_int_equal(map(page(0), 3 * PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_LOCKED, &out), -FL_EAGAIN);
	w.task.caps |= FL_CAP_IPC_LOCK;
	assert_int_equal(map(page(0), 3 * PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_LOCKED, &out), 0);
	/* What is replaced does not count. */
	assert_int_equal(map(page(0), 20 * PAGE, RW, ANON | FL_MAP_FIXED, &out), 0);
	assert_int_equal(fl_mprotect(&w.task, page(2), PAGE, FL_PROT_READ), 0);
	assert_int_equal(fl_mprotect(&w.task, page(6), PAGE, FL_PROT_READ), -FL_ENOMEM);
	/* There was room for one of the two cuts. */
	expect_layout(&w, "0-2 rw-, 2-3 r--, 3-6 rw-, 6-20 rw-");
	/* At the limit a hole cannot be cut any more, an end can, and one more mapping is let pass. */
	assert_int_equal(fl_munmap(&w.task, page(10), PAGE), -FL_ENOMEM);
	assert_int_equal(fl_munmap(&w.task, page(19), PAGE), 0);
	world_map(&w, page(32), 1, FL_PROT_READ);
	/* Then not even one that would become one with another. */
	assert_int_equal(map(page(33), PAGE, FL_PROT_READ, ANON | FL_MAP_FIXED, &out), -FL_ENOMEM);
	expect_layout(&w, "0-2 rw-, 2-3 r--, 3-6 rw-, 6-19 rw-, 32-33 r--");
}

static void number_of_mappings_changes_at_any_time(void **state)
{
	fl_va out;

	(void)state;
	world_map(&w, page(0), 8, RW);
	fl_mm_set_max_maps(w.mm, 2);
	assert_int_equal(fl_munmap(&w.task, page(2), PAGE), 0);
	assert_int_equal(fl_munmap(&w.task, page(5), PAGE), -FL_ENOMEM);
	/* What is there already stays. */
	fl_mm_set_max_maps(w.mm, 1);
	assert_int_equal(map(page(10), PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_ENOMEM);
	assert_int_equal(fl_munmap(&w.task, page(0), 2 * PAGE), 0);
	assert_int_equal(map(page(10), PAGE, RW, ANON | FL_MAP_FIXED, &out), 0);
	/* What changes as a whole, or becomes one with its neighbour, adds none. */
	assert_int_equal(fl_mprotect(&w.task, page(10), PAGE, FL_PROT_READ), 0);
	assert_int_equal(fl_mprotect(&w.task, page(3), PAGE, FL_PROT_READ), -FL_ENOMEM);
	expect_layout(&w, "3-8 rw-, 10-11 r--");
	fl_mm_set_max_maps(w.mm, 0);
	assert_int_equal(fl_munmap(&w.task, page(5), PAGE), 0);
	expect_layout(&w, "3-5 rw-, 6-8 rw-, 10-11 r--");
}

static void limits_change_at_any_time(void **state)
{
	fl_va out;

	(void)state;
	world_map(&w, page(0), 8, RW);
	/* What is there stays; less than a page is a limit as well. */
	fl_mm_set_limits(w.mm, 8 * PAGE, 0, 1, 0);
	assert_int_equal(map(page(10), PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_ENOMEM);
	assert_int_equal(fl_mlock(&w.task, page(0), PAGE, 0), -FL_ENOMEM);
	fl_mm_set_limits(w.mm, 0, 8 * PAGE, PAGE, 0);
	assert_int_equal(map(page(10), PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_ENOMEM);
	assert_int_equal(map(page(10), PAGE, FL_PROT_READ, ANON | FL_MAP_FIXED, &out), 0);
	assert_int_equal(fl_mlock(&w.task, page(0), PAGE, 0), 0);
	fl_mm_set_limits(w.mm, UINT64_MAX, 0, 0, 0);
	assert_int_equal(map(page(12), PAGE, RW, ANON | FL_MAP_FIXED, &out), 0);
	expect_layout(&w, "0-1 rw-L, 1-8 rw-, 10-11 r--, 12-13 rw-");
}

static void more_than_all_memory_is_refused_unless_noreserve(void **state)
{
	fl_va out;

	(void)state;
	assert_int_equal(map(page(0), 300 * PAGE, RW, ANON | FL_MAP_FIXED, &out), -FL_ENOMEM);
	assert_int_equal(map(page(0), 300 * PAGE, FL_PROT_READ, ANON | FL_MAP_FIXED, &out), 0);
	assert_int_equal(fl_mprotect(&w.task, page(0), 300 * PAGE, RW), -FL_ENOMEM);
	assert_int_equal(map(page(0), 300 * PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_NORESERVE, &out), 0);
	expect_layout(&w, "0-300 rw-N");
}

static void foreign_mappings_hold_their_place(void **state)
{
	fl_va out;

	(void)state;
	assert_int_equal(fl_mmap_foreign(&w.task, page(0), 2 * PAGE, FL_PROT_READ, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0,
					 7, 0, &out),
			 0);
	/* The same file, further on; then another one. */
	assert_int_equal(fl_mmap_foreign(&w.task, page(2), PAGE, FL_PROT_READ, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 7,
					 2 * PAGE, &out),
			 0);
	expect_layout(&w, "0-3 r--F");
	assert_int_equal(fl_mmap_foreign(&w.task, page(3), PAGE, FL_PROT_READ, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 8,
					 3 * PAGE, &out),
			 0);
	expect_layout(&w, "0-3 r--F, 3-4 r--F");
	assert_int_equal(fl_mmap_foreign(&w.task, 0, PAGE, RW, FL_MAP_SHARED, page(50), page(60), 9, 0, &out), 0);
	assert_int_equal(out, page(59));
	assert_int_equal(map(page(0), PAGE, RW, ANON | FL_MAP_FIXED_NOREPLACE, &out), -FL_EEXIST);
	assert_int_equal(fl_munmap(&w.task, page(1), PAGE), 0);
	world_map(&w, page(59), 1, RW);
	expect_layout(&w, "0-1 r--F, 2-3 r--F, 3-4 r--F, 59-60 rw-");
}

static void stacks_grow_down_to_the_guard(void **state)
{
	const struct fl_mm_config config = {.limit_stack = 1000 * PAGE};
	fl_va out;

	(void)state;
	world_close(&w);
	world_open_as(&w, 2048, &config);
	world_map(&w, page(0), 1, RW);
	assert_int_equal(map(page(1000), 2 * PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_GROWSDOWN, &out), 0);
	assert_int_equal(poke(&w.cpu, page(300), 1), FL_KIND_STACK);
	expect_layout(&w, "0-1 rw-, 300-1002 rw-G");
	assert_int_equal(try_access(&w.cpu, page(256), FL_WRITE), FL_FAULT_BAD_AREA);
	assert_int_equal(poke(&w.cpu, page(257), 1), FL_KIND_STACK);
	assert_int_equal(fl_munmap(&w.task, page(0), PAGE), 0);
	assert_int_equal(try_access(&w.cpu, page(1), FL_WRITE), FL_FAULT_BAD_AREA); /* 1001 pages */
	assert_int_equal(poke(&w.cpu, page(2), 1), FL_KIND_STACK);
	/* No address is chosen within the guard. */
	assert_int_equal(map(page(2) - PAGE, PAGE, RW, ANON, &out), 0);
	assert_true(out > page(1002));
}

static void alloc_setup(struct world *world)
{
	world_map(world, page(0), 8, RW);
	world_map(world, page(20), 4, FL_PROT_READ);
	poke(&world->cpu, page(3), 1);
}

static int alloc_map(struct world *world)
{
	fl_va out;

	return fl_mmap(&world->task, page(2), 20 * PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_NORESERVE, &out);
}

static int alloc_unmap(struct world *world)
{
	return fl_munmap(&world->task, page(2), 2 * PAGE);
}

static int alloc_foreign(struct world *world)
{
	fl_va out;

	return fl_mmap_foreign(&world->task, page(2), PAGE, RW, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 1, 0, &out);
}

static void failed_allocation_changes_nothing(void **state)
{
	(void)state;
	fail_every_allocation(alloc_setup, alloc_map, -FL_ENOMEM);
	fail_every_allocation(alloc_setup, alloc_unmap, -FL_ENOMEM);
	fail_every_allocation(alloc_setup, alloc_foreign, -FL_ENOMEM);
}

/* What a machine is told to forget: pages counted from BASE, as "0-1 4-5 ". */
static char flushes[256];

static void note_flush(void *machine, fl_va start, fl_va end, enum fl_flush_kind kind)
{
	size_t n = strlen(flushes);

	(void)machine;
	(void)kind;
	snprintf(flushes + n, sizeof(flushes) - n, "%u-%u ", (unsigned)((start - BASE) / PAGE),
		 (unsigned)((end - BASE) / PAGE));
}

/* What lies between two mappings, or belongs to the host, is none of the engine's to forget. */
static void unmapping_flushes_what_was_mapped_and_nothing_between(void **state)
{
	static const struct fl_machine_ops ops = {.flush = note_flush};
	struct fl_mm_config config = {.frames = w.frames, .ops = &ops};
	struct fl_task t;
	struct fl_mm *mm;
	fl_va out;

	(void)state;
	assert_int_equal(fl_mm_create(&config, &mm), 0);
	fl_task_init(&t, w.frames, mm, 2);
	for (unsigned i = 0; i < 8; i += 2) {
		assert_int_equal(fl_mmap(&t, page(i), PAGE, RW, ANON | FL_MAP_FIXED, &out), 0);
		assert_int_equal(fl_copy_to_user(&t, page(i), "x", 1), 0);
	}
	assert_int_equal(fl_mmap_foreign(&t, page(3), PAGE, RW, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 1, 0, &out), 0);
	flushes[0] = 0;
	assert_int_equal(fl_munmap(&t, page(0), 5 * PAGE), 0);
	assert_string_equal(flushes, "0-1 2-3 4-5 ");
	assert_int_equal(fl_mmap(&t, page(5), 3 * PAGE, RW, ANON | FL_MAP_FIXED, &out), 0);
	assert_string_equal(flushes, "0-1 2-3 4-5 6-7 ");
	fl_mm_put(mm);
	fl_task_exit(&t);
}

static int create(const struct fl_arch *arch)
{
	const struct fl_mm_config config = {.arch = arch, .frames = w.frames};
	struct fl_mm *mm = NULL;
	int err = fl_mm_create(&config, &mm);

	if (!err)
		fl_mm_put(mm);
	return err;
}

static void architecture_whose_tables_cannot_serve_it_is_refused(void **state)
{
	struct fl_arch arch = fl_arch_x86_64;

	(void)state;
	assert_int_equal(create(&arch), 0);
	arch.geometry.levels = 1;
	assert_int_equal(create(&arch), -FL_EINVAL);
	arch.geometry.levels = 3; /* 39 bits of address, and user addresses of 47 */
	assert_int_equal(create(&arch), -FL_EINVAL);
	arch.task_size = (fl_va)1 << 39;
	assert_int_equal(create(&arch), 0);
	arch.task_size += 1;
	assert_int_equal(create(&arch), -FL_EINVAL);
	arch = fl_arch_x86_64;
	arch.geometry.index_bits[2] = 14;
	assert_int_equal(create(&arch), -FL_EINVAL);
	arch.geometry.index_bits[2] = 0;
	assert_int_equal(create(&arch), -FL_EINVAL);
	arch = fl_arch_x86_64;
	arch.geometry.page_shift = 13;
	assert_int_equal(create(&arch), -FL_EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_arguments_have_linux_errors),
		TEST(architecture_whose_tables_cannot_serve_it_is_refused),
		TEST(fixed_noreplace_refuses_what_is_taken),
		TEST(address_is_chosen_top_down_and_a_hint_is_honoured_where_free),
		TEST(low_mappings_lie_in_the_second_gigabyte),
		TEST(neighbours_merge_when_they_are_alike),
		TEST(faulted_pieces_merge_again_strangers_do_not),
		TEST(unmapping_splits_and_returns_frames_and_tables),
		TEST(unmapping_flushes_what_was_mapped_and_nothing_between),
		TEST(mapping_over_pages_gives_fresh_ones),
		TEST(populate_and_locked_bring_pages_in),
		TEST(limits_are_kept),
		TEST(limits_change_at_any_time),
		TEST(number_of_mappings_changes_at_any_time),
		TEST(more_than_all_memory_is_refused_unless_noreserve),
		TEST(foreign_mappings_hold_their_place),
		TEST(stacks_grow_down_to_the_guard),
		cmocka_unit_test(failed_allocation_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
