/* SPDX-License-Identifier: MIT */
/* What differs between releases of Linux: each kind of difference, on both sides of the release that brought it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm_support.h"

#define HUGE ((uint64_t)2 << 20)
#define TOP (BASE + 64 * HUGE)

static struct world w;

static void open_as(unsigned major, unsigned minor)
{
	const struct fl_mm_config config = {
		.profile = fl_profile_find(major, minor),
		.mmap_lo = BASE,
		.mmap_hi = TOP,
	};

	assert_non_null(config.profile);
	world_open_as(&w, 64, &config);
}

static void releases_are_found_by_the_last_one_that_is_known(void **state)
{
	(void)state;
	assert_null(fl_profile_find(5, 3));
	assert_null(fl_profile_find(4, 19));
	assert_ptr_equal(fl_profile_find(6, 16), fl_profile_find(6, 13));
	assert_ptr_not_equal(fl_profile_find(6, 17), fl_profile_find(6, 16));
	assert_ptr_equal(fl_profile_find(7, 0), fl_profile_find(6, 18));
	assert_true(fl_profile_tested(fl_profile_find(6, 18), 6, 18));
	assert_false(fl_profile_tested(fl_profile_find(6, 19), 6, 19));
	assert_false(fl_profile_tested(fl_profile_find(6, 1), 6, 1));
}

static int move_two(void)
{
	fl_va out;

	world_map(&w, page(0), 1, RW);
	world_map(&w, page(1), 1, FL_PROT_READ);
	return fl_mremap(&w.task, page(0), 2 * PAGE, 2 * PAGE, FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED, page(10), &out);
}

static void several_mappings_move_since_6_17(void **state)
{
	(void)state;
	open_as(6, 16);
	assert_int_equal(move_two(), -FL_EFAULT);
	world_close(&w);
	open_as(6, 17);
	assert_int_equal(move_two(), 0);
	world_close(&w);
}

static fl_va place(uint64_t len)
{
	fl_va out = 0;

	assert_int_equal(fl_mmap(&w.task, 0, len, FL_PROT_NONE, ANON, &out), 0);
	return out;
}

static void large_memory_is_aligned_since_6_7_whole_huge_pages_since_6_13(void **state)
{
	static const struct {
		unsigned minor;
		fl_va whole, more;
	} is[] = {
		{6, TOP - PAGE - HUGE, TOP - 2 * PAGE - 2 * HUGE},
		{7, TOP - 2 * HUGE, TOP - 4 * HUGE},
		{13, TOP - 2 * HUGE, TOP - 3 * HUGE - PAGE},
	};

	(void)state;
	for (unsigned i = 0; i < FL_ARRAY_LEN(is); i++) {
		open_as(6, is[i].minor);
		place(PAGE);
		assert_int_equal(place(HUGE), is[i].whole);
		assert_int_equal(place(HUGE + PAGE), is[i].more);
		world_close(&w);
	}
}

static int advise(unsigned major, unsigned minor, int advice)
{
	int err;

	open_as(major, minor);
	world_map(&w, page(0), 1, RW);
	err = fl_madvise(&w.task, page(0), PAGE, advice);
	world_close(&w);
	return err;
}

/* The mark outlives the guards, and goes to what their mapping becomes one with. */
static bool guard_leaves_mark(unsigned major, unsigned minor)
{
	struct fl_vma_info info;
	bool marked;

	open_as(major, minor);
	world_map(&w, page(0), 2, RW);
	assert_int_equal(fl_madvise(&w.task, page(1), PAGE, FL_MADV_GUARD_INSTALL), 0);
	assert_int_equal(fl_madvise(&w.task, page(1), PAGE, FL_MADV_GUARD_REMOVE), 0);
	world_map(&w, page(2), 1, RW);
	assert_true(fl_mm_next_vma(w.task.mm, page(2), &info));
	assert_int_equal(info.start, page(0));
	marked = (info.vm_flags & FL_VM_MAYBE_GUARD) != 0;
	world_close(&w);
	return marked;
}

static void guards_mark_their_mapping_since_6_18(void **state)
{
	(void)state;
	assert_false(guard_leaves_mark(6, 17));
	assert_true(guard_leaves_mark(6, 18));
}

static void advice_came_with_its_release(void **state)
{
	(void)state;
	assert_int_equal(advise(6, 12, FL_MADV_GUARD_INSTALL), -FL_EINVAL);
	assert_int_equal(advise(6, 13, FL_MADV_GUARD_INSTALL), 0);
	assert_int_equal(advise(5, 17, FL_MADV_DONTNEED_LOCKED), -FL_EINVAL);
	assert_int_equal(advise(5, 18, FL_MADV_DONTNEED_LOCKED), 0);
	assert_int_equal(advise(5, 13, FL_MADV_POPULATE_READ), -FL_EINVAL);
	assert_int_equal(advise(5, 14, FL_MADV_POPULATE_READ), 0);
	assert_int_equal(advise(5, 4, FL_MADV_COLD), 0);
}

static void userfaultfd_came_in_pieces(void **state)
{
	struct fl_uffdio_api io = {.api = FL_UFFD_API};
	struct fl_uffd *u;

	(void)state;
	open_as(5, 10);
	assert_int_equal(fl_uffd_create(&w.task, FL_UFFD_USER_MODE_ONLY, true, NULL, NULL, &u), -FL_EINVAL);
	assert_int_equal(fl_uffd_create(&w.task, 0, true, NULL, NULL, &u), 0);
	world_map(&w, page(0), 1, RW);
	assert_int_equal(fl_copy_to_user(&w.task, page(0), &io, sizeof(io)), 0);
	assert_int_equal(fl_uffd_ioctl(&w.task, u, FL_UFFDIO_API, page(0)), 0);
	assert_int_equal(fl_copy_from_user(&w.task, &io, page(0), sizeof(io)), 0);
	assert_int_equal(io.features, FL_UFFD_FEATURE_SIGBUS | FL_UFFD_FEATURE_THREAD_ID);
	fl_uffd_release(&w.task, u);
	world_close(&w);
	open_as(5, 11);
	assert_int_equal(fl_uffd_create(&w.task, FL_UFFD_USER_MODE_ONLY, true, NULL, NULL, &u), 0);
	fl_uffd_release(&w.task, u);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(releases_are_found_by_the_last_one_that_is_known),
		cmocka_unit_test(several_mappings_move_since_6_17),
		cmocka_unit_test(large_memory_is_aligned_since_6_7_whole_huge_pages_since_6_13),
		cmocka_unit_test(advice_came_with_its_release),
		cmocka_unit_test(guards_mark_their_mapping_since_6_18),
		cmocka_unit_test(userfaultfd_came_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
