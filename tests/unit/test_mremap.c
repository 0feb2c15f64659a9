/* SPDX-License-Identifier: MIT */
/* mremap: in place, moving, several mappings at once, and the frames travel: none is copied, none is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm_support.h"

#define MAYMOVE FL_MREMAP_MAYMOVE
#define FIXED (FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED)
#define DONTUNMAP (FL_MREMAP_MAYMOVE | FL_MREMAP_DONTUNMAP)

static struct world w;

static int open_world(void **state)
{
	(void)state;
	world_open(&w, 2048);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

/* Pages throughout. The address comes back in *out as a page number. */
static int remap(unsigned from, unsigned old, unsigned new, int flags, unsigned to, unsigned *out)
{
	fl_va va = 0;
	int err = fl_mremap(&w.task, page(from), old * PAGE, new *PAGE, flags, page(to), &va);

	*out = (unsigned)((va - BASE) / PAGE);
	return err;
}

static void fill(unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++)
		poke(&w.cpu, page(i), (uint8_t)(i + 1));
}

/* Pages that were filled at from are now at to, without a fault for a copy. */
static void expect_moved(unsigned from, unsigned n, unsigned to)
{
	for (unsigned i = 0; i < n; i++) {
		peek(&w.cpu, page(to + i), (uint8_t)(from + i + 1));
		assert_int_equal(poke(&w.cpu, page(to + i), (uint8_t)(from + i + 1)), FL_KIND_NONE);
	}
}

static void bad_arguments_have_linux_errors(void **state)
{
	const uint64_t top = fl_arch_x86_64.task_size;
	unsigned at;
	fl_va out;

	(void)state;
	world_map(&w, page(0), 4, RW);
	assert_int_equal(fl_mremap(&w.task, page(0) + 1, PAGE, PAGE, 0, 0, &out), -FL_EINVAL);
	assert_int_equal(fl_mremap(&w.task, page(0), PAGE, PAGE, 8, 0, &out), -FL_EINVAL);
	assert_int_equal(remap(0, 4, 0, MAYMOVE, 0, &at), -FL_EINVAL);
	assert_int_equal(fl_mremap(&w.task, page(0), PAGE, top + PAGE, MAYMOVE, 0, &out), -FL_EINVAL);
	assert_int_equal(fl_mremap(&w.task, page(0), UINT64_MAX - PAGE, PAGE, MAYMOVE, 0, &out), -FL_EINVAL);
	assert_int_equal(remap(0, 1, 1, FL_MREMAP_FIXED, 9, &at), -FL_EINVAL);
	assert_int_equal(remap(0, 2, 2, FIXED, 1, &at), -FL_EINVAL);
	assert_int_equal(fl_mremap(&w.task, page(0), PAGE, PAGE, FIXED, page(9) + 1, &out), -FL_EINVAL);
	assert_int_equal(fl_mremap(&w.task, page(0), PAGE, PAGE, FIXED, top, &out), -FL_EINVAL);
	assert_int_equal(remap(0, 1, 2, DONTUNMAP, 9, &at), -FL_EINVAL);
	assert_int_equal(remap(0, 0, 1, MAYMOVE, 0, &at), -FL_EINVAL);
	assert_int_equal(remap(9, 1, 2, MAYMOVE, 0, &at), -FL_EFAULT);
	assert_int_equal(remap(0, 5, 6, MAYMOVE, 0, &at), -FL_EFAULT);
	assert_int_equal(remap(0, 2, 3, 0, 0, &at), -FL_ENOMEM);
	assert_int_equal(fl_mremap(&w.task, top, PAGE, 2 * PAGE, MAYMOVE, 0, &out), -FL_EFAULT);
	assert_int_equal(fl_mremap(&w.task, (fl_va)1 << 63, PAGE, PAGE, 0, 0, &out), -FL_EFAULT);
	assert_int_equal(fl_mremap(&w.task, -PAGE, 2 * PAGE, PAGE, MAYMOVE, 0, &out), -FL_EFAULT);
	assert_int_equal(fl_mremap(&w.task, -PAGE, PAGE, PAGE, FIXED, page(9), &out), -FL_EFAULT);
	expect_layout(&w, "0-4 rw-");
}

static void grows_where_there_is_room(void **state)
{
	unsigned at;

	(void)state;
	world_map(&w, page(0), 4, RW);
	fill(0, 4);
	assert_int_equal(remap(2, 2, 6, 0, 0, &at), 0);
	assert_int_equal(at, 2);
	expect_layout(&w, "0-8 rw-");
	expect_moved(0, 4, 0);
	peek(&w.cpu, page(7), 0);
	world_map(&w, page(10), 1, RW);
	assert_int_equal(remap(0, 8, 11, 0, 0, &at), -FL_ENOMEM);
	assert_int_equal(remap(0, 8, 10, 0, 0, &at), 0);
	expect_layout(&w, "0-11 rw-");
}

static void shrinks_and_gives_pages_back(void **state)
{
	unsigned at;

	(void)state;
	world_map(&w, page(0), 8, RW);
	fill(0, 8);
	assert_int_equal(remap(0, 8, 3, 0, 0, &at), 0);
	assert_int_equal(at, 0);
	expect_layout(&w, "0-3 rw-");
	assert_int_equal(fl_frames_used(w.frames), 3 + 1);
	expect_moved(0, 3, 0);
}

static void moves_to_a_place_of_its_choice(void **state)
{
	const struct fl_mm_config config = {.mmap_lo = page(0), .mmap_hi = page(4000)};
	struct fl_mm_stats s;
	fl_va out;

	(void)state;
	world_close(&w);
	world_open_as(&w, 2048, &config);
	world_map(&w, page(0), 8, RW);
	world_map(&w, page(8), 1, FL_PROT_READ);
	fill(0, 8);
	assert_int_equal(fl_mremap(&w.task, page(0), 8 * PAGE, 1000 * PAGE, MAYMOVE, 0, &out), 0);
	assert_int_equal(out, page(3000));
	assert_int_equal(try_access(&w.cpu, page(0), FL_READ), FL_FAULT_BAD_AREA);
	assert_int_equal(fl_frames_used(w.frames), 8 + 1);
	expect_moved(0, 8, (unsigned)((out - BASE) / PAGE));
	assert_int_equal(fl_munmap(&w.task, out, 1000 * PAGE), 0);
	expect_layout(&w, "8-9 r--");
	fl_mm_stats(w.mm, &s);
	assert_int_equal(s.tables, 1);
}

/* Within three of the limit nothing moves, as in Linux. */
static void moves_only_where_maps_are_left(void **state)
{
	const struct fl_mm_config config = {.max_maps = 8};
	unsigned at;

	(void)state;
	world_open_as(&w, 256, &config);
	world_map(&w, page(0), 1, RW);
	world_map(&w, page(1), 1, FL_PROT_READ);
	for (unsigned i = 4; i <= 8; i += 2)
		world_map(&w, page(i), 1, RW);
	assert_int_equal(remap(0, 1, 2, MAYMOVE, 0, &at), -FL_ENOMEM);
	assert_int_equal(fl_munmap(&w.task, page(8), PAGE), 0);
	assert_int_equal(remap(0, 1, 2, MAYMOVE, 0, &at), 0);
	assert_int_equal(remap(4, 1, 1, FIXED, 20, &at), -FL_ENOMEM);
	world_close(&w);
}

static void fixed_replaces_what_is_there(void **state)
{
	unsigned at;

	(void)state;
	world_map(&w, page(0), 8, RW);
	world_map(&w, page(20), 8, FL_PROT_READ);
	fill(0, 8);
	assert_int_equal(remap(2, 4, 6, FIXED, 22, &at), 0);
	assert_int_equal(at, 22);
	expect_layout(&w, "0-2 rw-, 6-8 rw-, 20-22 r--, 22-28 rw-");
	expect_moved(2, 4, 22);
	peek(&w.cpu, page(27), 0);
	/* And back, shorter. */
	assert_int_equal(remap(22, 6, 4, FIXED, 2, &at), 0);
	expect_layout(&w, "0-8 rw-, 20-22 r--");
	expect_moved(0, 8, 0);
}

static void pages_cross_tables_at_odd_offsets(void **state)
{
	enum {
		N = 1300
	};
	unsigned at;

	(void)state;
	world_map(&w, page(0), N, RW);
	for (unsigned i = 0; i < N; i += 3)
		poke(&w.cpu, page(i), (uint8_t)(i + 1));
	assert_int_equal(remap(0, N, N, FIXED, 5000 + 77, &at), 0);
	world_check(&w);
	for (unsigned i = 0; i < N; i++)
		peek(&w.cpu, page(5077 + i), i % 3 ? 0 : (uint8_t)(i + 1));
	assert_int_equal(fl_frames_used(w.frames), (N + 2) / 3 + 1);
}

static void unfaulted_mapping_merges_where_it_goes(void **state)
{
	unsigned at;

	(void)state;
	world_map(&w, page(0), 4, RW);
	world_map(&w, page(10), 4, RW);
	assert_int_equal(remap(0, 2, 2, FIXED, 14, &at), 0);
	expect_layout(&w, "2-4 rw-, 10-16 rw-");
	/* With pages it keeps the offset that it was made with, and does not fit any more. */
	poke(&w.cpu, page(2), 1);
	assert_int_equal(remap(2, 2, 2, FIXED, 16, &at), 0);
	expect_layout(&w, "10-16 rw-, 16-18 rw-");
	assert_int_equal(fl_munmap(&w.task, page(10), 6 * PAGE), 0);
	assert_int_equal(remap(16, 2, 2, FIXED, 2, &at), 0);
	world_map(&w, page(0), 2, RW);
	expect_layout(&w, "0-4 rw-");
}

static void several_mappings_move_together(void **state)
{
	unsigned at;

	(void)state;
	world_map(&w, page(0), 2, RW);
	world_map(&w, page(2), 2, FL_PROT_READ);
	world_map(&w, page(5), 2, RW);
	fill(0, 2);
	world_map(&w, page(20), 8, FL_PROT_NONE);
	assert_int_equal(remap(0, 7, 7, FIXED, 20, &at), 0);
	/* What was opposite to the hole is still there. */
	expect_layout(&w, "20-22 rw-, 22-24 r--, 24-25 ---, 25-27 rw-, 27-28 ---");
	expect_moved(0, 2, 20);
}

static void dontunmap_leaves_an_empty_mapping(void **state)
{
	unsigned at;

	(void)state;
	world_map(&w, page(0), 4, RW);
	fill(0, 4);
	assert_int_equal(remap(0, 4, 4, DONTUNMAP | FL_MREMAP_FIXED, 10, &at), 0);
	expect_layout(&w, "0-4 rw-, 10-14 rw-");
	expect_moved(0, 4, 10);
	peek(&w.cpu, page(0), 0);
}

/*
 * Two mappings that only their pages' identities keep apart: without its pages the first could be merged, and is not.
 */
/* Nobody has touched it, so the target is one with its source before the kernel takes the lock from that. */
static void dontunmap_unlocks_what_the_target_joins(void **state)
{
	unsigned at;

	(void)state;
	w.task.caps |= FL_CAP_IPC_LOCK;
	world_map(&w, page(0), 12, RW);
	assert_int_equal(fl_mlock(&w.task, page(2), 8 * PAGE, FL_MLOCK_ONFAULT), 0);
	expect_layout(&w, "0-2 rw-, 2-10 rw-LO, 10-12 rw-");
	assert_int_equal(remap(8, 1, 1, DONTUNMAP | FL_MREMAP_FIXED, 4, &at), 0);
	expect_layout(&w, "0-2 rw-, 2-10 rw-, 10-12 rw-");
	/* What has been touched has another place in its offsets. */
	assert_int_equal(fl_mlock(&w.task, page(2), 8 * PAGE, FL_MLOCK_ONFAULT), 0);
	poke(&w.cpu, page(8), 1);
	assert_int_equal(remap(8, 1, 1, DONTUNMAP | FL_MREMAP_FIXED, 4, &at), 0);
	expect_layout(&w, "0-2 rw-, 2-4 rw-LO, 4-5 rw-LO, 5-10 rw-, 10-12 rw-");
}

static void dontunmap_goes_on_counting_what_it_unlocks(void **state)
{
	const struct fl_mm_config config = {.limit_memlock = 4 * PAGE};
	unsigned at;

	(void)state;
	world_close(&w);
	world_open_as(&w, 64, &config);
	world_map(&w, page(0), 4, RW);
	assert_int_equal(fl_mlock(&w.task, page(0), 4 * PAGE, 0), 0);
	assert_int_equal(remap(3, 1, 1, DONTUNMAP | FL_MREMAP_FIXED, 10, &at), 0);
	expect_layout(&w, "0-4 rw-, 10-11 rw-L");
	assert_int_equal(fl_mlock(&w.task, page(0), PAGE, 0), -FL_ENOMEM);
}

static void dontunmap_merges_nothing(void **state)
{
	unsigned at;

	(void)state;
	world_map(&w, page(0), 4, RW);
	assert_int_equal(fl_madvise(&w.task, page(0), 2 * PAGE, FL_MADV_DONTFORK), 0);
	fill(0, 4);
	assert_int_equal(fl_madvise(&w.task, page(0), 2 * PAGE, FL_MADV_DOFORK), 0);
	expect_layout(&w, "0-2 rw-, 2-4 rw-");
	assert_int_equal(remap(0, 2, 2, DONTUNMAP | FL_MREMAP_FIXED, 10, &at), 0);
	expect_layout(&w, "0-2 rw-, 2-4 rw-, 10-12 rw-");
	expect_moved(0, 2, 10);
}

static void locked_mapping_is_filled_where_it_grows(void **state)
{
	const struct fl_mm_config config = {.limit_memlock = 6 * PAGE};
	unsigned at;
	fl_va out;

	(void)state;
	world_close(&w);
	world_open_as(&w, 256, &config);
	assert_int_equal(fl_mmap(&w.task, page(0), 4 * PAGE, RW, ANON | FL_MAP_FIXED | FL_MAP_LOCKED, &out), 0);
	assert_int_equal(remap(0, 4, 7, 0, 0, &at), -FL_EAGAIN);
	assert_int_equal(remap(0, 4, 6, 0, 0, &at), 0);
	expect_layout(&w, "0-6 rw-L");
	assert_int_equal(poke(&w.cpu, page(5), 1), FL_KIND_NONE);
}

static void foreign_mapping_is_left_alone(void **state)
{
	unsigned at;
	fl_va out;

	(void)state;
	assert_int_equal(
		fl_mmap_foreign(&w.task, page(0), 2 * PAGE, RW, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 1, 0, &out), 0);
	assert_int_equal(remap(0, 2, 4, MAYMOVE, 0, &at), -FL_EFAULT);
	assert_int_equal(remap(0, 2, 1, 0, 0, &at), -FL_EFAULT);
	assert_int_equal(remap(0, 2, 2, FIXED, 8, &at), -FL_EFAULT);
	expect_layout(&w, "0-2 rw-F");
}

static void setup(struct world *world)
{
	world_map(world, page(0), 8, RW);
	for (unsigned i = 0; i < 8; i++)
		poke(&world->cpu, page(i), 1);
}

static int move_middle(struct world *world)
{
	fl_va out;

	return fl_mremap(&world->task, page(2), 2 * PAGE, 4 * PAGE, FIXED, page(900), &out);
}

static int grow(struct world *world)
{
	fl_va out;

	return fl_mremap(&world->task, page(0), 8 * PAGE, 16 * PAGE, 0, 0, &out);
}

static int shrink(struct world *world)
{
	fl_va out;

	return fl_mremap(&world->task, page(1), 6 * PAGE, PAGE, 0, 0, &out);
}

static void failed_allocation_changes_nothing(void **state)
{
	(void)state;
	fail_every_allocation(setup, move_middle, -FL_ENOMEM);
	fail_every_allocation(setup, grow, -FL_ENOMEM);
	fail_every_allocation(setup, shrink, -FL_ENOMEM);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_arguments_have_linux_errors),
		TEST(grows_where_there_is_room),
		TEST(shrinks_and_gives_pages_back),
		TEST(moves_to_a_place_of_its_choice),
		cmocka_unit_test(moves_only_where_maps_are_left),
		TEST(fixed_replaces_what_is_there),
		TEST(pages_cross_tables_at_odd_offsets),
		TEST(unfaulted_mapping_merges_where_it_goes),
		TEST(several_mappings_move_together),
		TEST(dontunmap_leaves_an_empty_mapping),
		TEST(dontunmap_unlocks_what_the_target_joins),
		TEST(dontunmap_goes_on_counting_what_it_unlocks),
		TEST(dontunmap_merges_nothing),
		TEST(locked_mapping_is_filled_where_it_grows),
		TEST(foreign_mapping_is_left_alone),
		cmocka_unit_test(failed_allocation_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
