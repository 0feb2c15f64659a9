/* SPDX-License-Identifier: MIT */
/*
 * COPY and ZEROPAGE: errors in their order, result fields, partial progress, and what the page is like afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fl_port_test.h"
#include "uffd_support.h"

#define TASK_SIZE (fl_arch_x86_64.task_size)

static struct uffd_world world;
static struct uffd_user *user = &world.users[0];

static int open_world(void **state)
{
	(void)state;
	uffd_world_open(&world, 1, 0, 0);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	uffd_world_close(&world);
	return 0;
}

static fl_va map_registered(uint64_t pages)
{
	fl_va m = uffd_map(user, pages);

	assert_int_equal(uffd_register(user, world.u, m, pages), 0);
	return m;
}

/* The call's errno and its field. */
#define EXPECT_FILL(call, errno_value, field_value)                  \
	do {                                                         \
		assert_int_equal(call, errno_value);                 \
		assert_int_equal(user->field, (int64_t)field_value); \
	} while (0)

static void copy_bad_arguments_leave_the_field(void **state)
{
	fl_va m = map_registered(4), src = uffd_map_filled(user, 1, 1);

	(void)state;
	assert_int_equal(fl_uffd_ioctl(&user->thread.task, world.u, FL_UFFDIO_COPY, 8), -FL_EFAULT);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m + 1, src, PAGE, 0), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, src, 0, 0), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, src, PAGE + 8, 0), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, src, PAGE, 4), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, src, PAGE, 1ull << 63), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_copy_raw(user, world.u, TASK_SIZE, src, PAGE, 0), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, TASK_SIZE, PAGE, 0), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, TASK_SIZE - 1, PAGE, 0), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, -100ull, PAGE, 0), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, src, -PAGE, 0), -FL_EINVAL, UNTOUCHED);
}

static void copy_fills_and_the_page_is_ordinary(void **state)
{
	fl_va m = map_registered(3), src = uffd_map_filled(user, 3, 1);

	(void)state;
	uffd_store(user, src + 13, 2);
	uffd_store(user, src + 13 + 2 * PAGE - 1, 3);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, src + 13, 2 * PAGE, 0), 0, 2 * PAGE);
	assert_int_equal(uffd_load(user, m), 2);
	assert_int_equal(uffd_load(user, m + 1), 1);
	assert_int_equal(uffd_load(user, m + 2 * PAGE - 1), 3);
	uffd_store(user, m, 4);
	assert_int_equal(uffd_load(user, m), 4);
	assert_int_equal(uffd_load(user, src + 13), 2); /* a copy, not the same page */
	assert_int_equal(user->thread.cpu.fault.waits, 0);
}

static void copy_over_a_page_exists(void **state)
{
	fl_va m = map_registered(3), src = uffd_map_filled(user, 3, 1);

	(void)state;
	EXPECT_FILL(uffd_copy(user, world.u, m + 2 * PAGE, src, 1), 0, PAGE);
	EXPECT_FILL(uffd_copy(user, world.u, m + 2 * PAGE, src, 1), -FL_EEXIST, -FL_EEXIST);
	EXPECT_FILL(uffd_copy(user, world.u, m, src, 3), -FL_EAGAIN, 2 * PAGE);
	EXPECT_FILL(uffd_zero(user, world.u, m, 3), -FL_EEXIST, -FL_EEXIST);
}

/* As Linux has it: COPY takes the place of a marker, ZEROPAGE does not. */
static void copy_replaces_a_guard_and_zeropage_does_not(void **state)
{
	fl_va m = map_registered(2), src = uffd_map_filled(user, 2, 5);

	(void)state;
	assert_int_equal(fl_madvise(&user->thread.task, m, PAGE, FL_MADV_GUARD_INSTALL), 0);
	EXPECT_FILL(uffd_zero(user, world.u, m, 2), -FL_EEXIST, -FL_EEXIST);
	EXPECT_FILL(uffd_copy(user, world.u, m, src, 2), 0, 2 * PAGE);
	assert_int_equal(uffd_load(user, m), 5);
	assert_int_equal(fl_madvise(&user->thread.task, m, PAGE, FL_MADV_GUARD_REMOVE), 0);
	assert_int_equal(uffd_load(user, m), 5);
}

static void copy_outside_one_registered_mapping_is_no_entry(void **state)
{
	fl_va m = uffd_map(user, 6), src = uffd_map_filled(user, 2, 1);

	(void)state;
	assert_int_equal(uffd_register(user, world.u, m, 2), 0);
	EXPECT_FILL(uffd_copy(user, world.u, m + 2 * PAGE, src, 1), -FL_ENOENT, -FL_ENOENT);
	EXPECT_FILL(uffd_copy(user, world.u, m + PAGE, src, 2), -FL_ENOENT, -FL_ENOENT); /* past the end */
	assert_int_equal(fl_munmap(&user->thread.task, m + 3 * PAGE, PAGE), 0);
	EXPECT_FILL(uffd_copy(user, world.u, m + 3 * PAGE, src, 1), -FL_ENOENT, -FL_ENOENT);
	assert_int_equal(fl_mprotect(&user->thread.task, m + 4 * PAGE, PAGE, FL_PROT_READ), 0);
	assert_int_equal(uffd_register(user, world.u, m + 4 * PAGE, 2), 0);
	/* Two mappings, both registered. */
	EXPECT_FILL(uffd_copy(user, world.u, m + 4 * PAGE, src, 2), -FL_ENOENT, -FL_ENOENT);
	EXPECT_FILL(uffd_copy(user, world.u, m + 4 * PAGE, src, 1), 0, PAGE);
	EXPECT_FILL(uffd_copy_raw(user, world.u, TASK_SIZE - PAGE, src, PAGE, 0), -FL_ENOENT, -FL_ENOENT);
	/* The destination comes before the source. */
	EXPECT_FILL(uffd_copy_raw(user, world.u, m + 3 * PAGE, 8192, PAGE, 0), -FL_ENOENT, -FL_ENOENT);
}

static void copy_from_a_bad_source_faults(void **state)
{
	fl_va m = map_registered(3), src = uffd_map_filled(user, 3, 1);

	(void)state;
	assert_int_equal(fl_mprotect(&user->thread.task, src + 2 * PAGE, PAGE, FL_PROT_NONE), 0);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, 0, PAGE, 0), -FL_EFAULT, -FL_EFAULT);
	EXPECT_FILL(uffd_copy(user, world.u, m, src, 3), -FL_EAGAIN, 2 * PAGE);
	EXPECT_FILL(uffd_copy(user, world.u, m + 2 * PAGE, src + 2 * PAGE, 1), -FL_EFAULT, -FL_EFAULT);
	/* The source comes before what is there already. */
	EXPECT_FILL(uffd_copy(user, world.u, m, src + 2 * PAGE, 1), -FL_EFAULT, -FL_EFAULT);
	/* All but its last byte is readable. */
	EXPECT_FILL(uffd_copy_raw(user, world.u, m + 2 * PAGE, src + PAGE + 1, PAGE, 0), -FL_EFAULT, -FL_EFAULT);
	EXPECT_FILL(uffd_copy(user, world.u, m + 2 * PAGE, src, 1), 0, PAGE);
}

static void copy_from_a_missing_page_that_may_not_wait_faults(void **state)
{
	struct fl_uffd *sigbus = uffd_open(user, 0, FL_UFFD_FEATURE_SIGBUS);
	struct fl_uffd *user_only = uffd_open(user, FL_UFFD_USER_MODE_ONLY, 0);
	fl_va m = map_registered(1), a = uffd_map(user, 1), b = uffd_map(user, 1);

	(void)state;
	assert_int_equal(uffd_register(user, sigbus, a, 1), 0);
	assert_int_equal(uffd_register(user, user_only, b, 1), 0);
	EXPECT_FILL(uffd_copy(user, world.u, m, a, 1), -FL_EFAULT, -FL_EFAULT);
	EXPECT_FILL(uffd_copy(user, world.u, m, b, 1), -FL_EFAULT, -FL_EFAULT);
	assert_int_equal(uffd_total(sigbus) + uffd_total(user_only), 0);
	fl_uffd_release(&user->thread.task, sigbus);
	fl_uffd_release(&user->thread.task, user_only);
}

static void fill_ignores_the_destinations_protection(void **state)
{
	fl_va m = map_registered(2), src = uffd_map_filled(user, 2, 5);
	int value;

	(void)state;
	assert_int_equal(fl_mprotect(&user->thread.task, m, 2 * PAGE, FL_PROT_NONE), 0);
	EXPECT_FILL(uffd_copy(user, world.u, m, src, 1), 0, PAGE);
	EXPECT_FILL(uffd_zero(user, world.u, m + PAGE, 1), 0, PAGE);
	assert_int_equal(uffd_try_load(user, m, &value), FL_FAULT_ACCESS_ERROR);
	assert_int_equal(uffd_try_load(user, m + PAGE, &value), FL_FAULT_ACCESS_ERROR);
	assert_int_equal(fl_mprotect(&user->thread.task, m, 2 * PAGE, FL_PROT_READ | FL_PROT_WRITE), 0);
	assert_int_equal(uffd_load(user, m + 1), 5);
	uffd_store(user, m + 1, 6);
	assert_int_equal(uffd_load(user, m + 1), 6);
	assert_int_equal(uffd_load(user, m + PAGE), 0);
}

static void copy_write_protected_needs_that_mode(void **state)
{
	fl_va m = map_registered(1), src = uffd_map_filled(user, 1, 5), plain = uffd_map(user, 1);

	(void)state;
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, src, PAGE, 2), -FL_EINVAL, -FL_EINVAL);
	EXPECT_FILL(uffd_copy_raw(user, world.u, m, 0, PAGE, 3), -FL_EINVAL, -FL_EINVAL);
	EXPECT_FILL(uffd_copy_raw(user, world.u, plain, src, PAGE, 2), -FL_ENOENT, -FL_ENOENT);
}

static void fill_whose_result_cannot_be_written_is_done(void **state)
{
	fl_va m = map_registered(2), src = uffd_map_filled(user, 1, 5), two = uffd_map_filled(user, 2, 0);
	struct fl_uffdio_copy c = {.dst = m, .src = src, .len = PAGE};
	struct fl_uffdio_zeropage z = {.range = {m + PAGE, PAGE}};
	fl_va arg_c = two + PAGE - offsetof(struct fl_uffdio_copy, copy);
	fl_va arg_z = two + PAGE - offsetof(struct fl_uffdio_zeropage, zeropage);
	struct fl_task *t = &user->thread.task;

	(void)state;
	assert_int_equal(fl_mprotect(t, two + PAGE, PAGE, FL_PROT_READ), 0);
	assert_int_equal(fl_copy_to_user(t, arg_c, &c, offsetof(struct fl_uffdio_copy, copy)), 0);
	assert_int_equal(fl_uffd_ioctl(t, world.u, FL_UFFDIO_COPY, arg_c), -FL_EFAULT);
	assert_int_equal(uffd_load(user, m), 5);
	assert_int_equal(fl_copy_to_user(t, arg_z, &z, offsetof(struct fl_uffdio_zeropage, zeropage)), 0);
	assert_int_equal(fl_uffd_ioctl(t, world.u, FL_UFFDIO_ZEROPAGE, arg_z), -FL_EFAULT);
	assert_int_equal(uffd_load(user, m + PAGE), 0);
	EXPECT_FILL(uffd_zero(user, world.u, m + PAGE, 1), -FL_EEXIST, -FL_EEXIST);
}

static void fill_by_another_context_of_the_address_space_works(void **state)
{
	struct fl_uffd *other = uffd_open(user, 0, 0);
	fl_va m = map_registered(2), src = uffd_map_filled(user, 1, 5);

	(void)state;
	EXPECT_FILL(uffd_copy(user, other, m, src, 1), 0, PAGE);
	EXPECT_FILL(uffd_zero(user, other, m + PAGE, 1), 0, PAGE);
	assert_int_equal(uffd_load(user, m), 5);
	fl_uffd_release(&user->thread.task, other);
}

static void zeropage_bad_arguments_leave_the_field(void **state)
{
	fl_va m = map_registered(2);

	(void)state;
	assert_int_equal(fl_uffd_ioctl(&user->thread.task, world.u, FL_UFFDIO_ZEROPAGE, 8), -FL_EFAULT);
	EXPECT_FILL(uffd_zero_raw(user, world.u, m + 8, PAGE, 0), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_zero_raw(user, world.u, m, 0, 0), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_zero_raw(user, world.u, m, PAGE, 2), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_zero_raw(user, world.u, TASK_SIZE, PAGE, 0), -FL_EINVAL, UNTOUCHED);
	EXPECT_FILL(uffd_zero(user, world.u, m + 2 * PAGE, 1), -FL_ENOENT, -FL_ENOENT);
	EXPECT_FILL(uffd_zero(user, world.u, m + PAGE, 2), -FL_ENOENT, -FL_ENOENT);
}

static void zeropage_costs_no_frame_until_it_is_written(void **state)
{
	fl_va m = map_registered(8);
	uint64_t used;

	(void)state;
	EXPECT_FILL(uffd_zero(user, world.u, m, 1), 0, PAGE);
	used = fl_frames_used(world.w.frames);
	EXPECT_FILL(uffd_zero(user, world.u, m + PAGE, 7), 0, 7 * PAGE);
	assert_int_equal(fl_frames_used(world.w.frames), used);
	assert_int_equal(uffd_load(user, m + 100), 0);
	uffd_store(user, m + 100, 4); /* silently */
	assert_int_equal(uffd_load(user, m + 100), 4);
	assert_int_equal(uffd_load(user, m + PAGE + 100), 0);
	assert_int_equal(uffd_total(world.u), 0);
}

static void copy_without_frames_says_so_and_keeps_what_is_done(void **state)
{
	const uint64_t pages = 200;
	fl_va m, more, src;
	int err = 0;

	(void)state;
	uffd_world_close(&world);
	uffd_world_open_small(&world, 1, 0, 0, 256);
	m = map_registered(pages);
	more = map_registered(pages);
	src = uffd_map_filled(user, 1, 5);
	for (uint64_t i = 0; !err && i < pages; i++)
		err = uffd_copy(user, world.u, m + i * PAGE, src, 1);
	for (uint64_t i = 0; !err && i < pages; i++)
		err = uffd_copy(user, world.u, more + i * PAGE, src, 1);
	EXPECT_FILL(err, -FL_ENOMEM, -FL_ENOMEM);
	assert_int_equal(fl_madvise(&user->thread.task, m, 2 * PAGE, FL_MADV_DONTNEED), 0);
	EXPECT_FILL(uffd_copy(user, world.u, m, src, 1), 0, PAGE);
	world_check(&world.w);
}

static void fill_without_memory_for_tables_leaves_nothing_behind(void **state)
{
	bool hit;

	(void)state;
	for (long n = 0;; n++) {
		fl_va m, src = uffd_map_filled(user, 1, 5);
		uint64_t used;
		int err;

		/* A page under page tables that are not there yet. */
		m = (1ull << 40) + ((uint64_t)n << 31);
		assert_int_equal(fl_mmap(&user->thread.task, m, PAGE, FL_PROT_READ,
					 FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED, &m),
				 0);
		assert_int_equal(uffd_register(user, world.u, m, 1), 0);
		used = fl_frames_used(world.w.frames);
		fl_port_fail_alloc_after(n);
		err = uffd_copy(user, world.u, m, src, 1);
		hit = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);
		EXPECT_FILL(err, hit ? -FL_ENOMEM : 0, hit ? -FL_ENOMEM : (int64_t)PAGE);
		world_check(&world.w);
		if (!hit)
			break;
		assert_true(fl_frames_used(world.w.frames) <= used + 1); /* one may lie in a cache */
		assert_int_equal(uffd_copy(user, world.u, m, src, 1), 0);
	}
}

static void fill_by_a_task_that_must_die_is_interrupted(void **state)
{
	fl_va m = map_registered(1), src = uffd_map_filled(user, 1, 5);

	(void)state;
	fl_task_signal(&user->thread.task, FL_SIGNAL_PENDING); /* one that it will survive does not matter */
	EXPECT_FILL(uffd_copy(user, world.u, m, src, 1), 0, PAGE);
	fl_task_signal(&user->thread.task, FL_SIGNAL_FATAL);
	EXPECT_FILL(uffd_copy(user, world.u, m, src, 1), -FL_EINTR, -FL_EINTR);
	fl_task_clear_signal(&user->thread.task, FL_SIGNAL_PENDING | FL_SIGNAL_FATAL);
}

static void forked_child_fills_its_parent_from_its_own_memory(void **state)
{
	fl_va m = map_registered(2), src = uffd_map_filled(user, 1, 'p'), src_args = user->args;
	struct uffd_user child;
	struct fl_mm *mm;

	(void)state;
	assert_int_equal(fl_mm_fork(&user->thread.task, &mm), 0);
	uffd_user_open(&child, &world, mm, 300);
	fl_mm_put(mm);
	child.args = src_args;
	uffd_store(&child, src, 'c');
	assert_int_equal(uffd_load(&child, m), 0); /* the child's own memory is plain */
	assert_int_equal(uffd_copy(&child, world.u, m, src, 1), 0);
	assert_int_equal(child.field, PAGE);
	assert_int_equal(uffd_load(user, m), 'c');
	assert_int_equal(uffd_load(user, m + 1), 'p');
	assert_int_equal(uffd_load(&child, m), 0);
	/* The parent's layout counts. */
	assert_int_equal(fl_munmap(&child.thread.task, m, 2 * PAGE), 0);
	assert_int_equal(uffd_unregister(&child, world.u, m + PAGE, PAGE), 0);
	assert_int_equal(uffd_zero(&child, world.u, m + PAGE, 1), -FL_ENOENT);
	assert_int_equal(uffd_register(&child, world.u, m + PAGE, 1), 0);
	assert_int_equal(uffd_zero(&child, world.u, m + PAGE, 1), 0);
	uffd_user_close(&child);
}

static void mapping_that_changes_keeps_or_loses_its_registration(void **state)
{
	fl_va m = map_registered(4), out;
	struct fl_task *t = &user->thread.task;

	(void)state;
	assert_int_equal(fl_mprotect(t, m, PAGE, FL_PROT_READ), 0);
	EXPECT_FILL(uffd_zero(user, world.u, m, 1), 0, PAGE);
	assert_int_equal(fl_mprotect(t, m, PAGE, FL_PROT_READ | FL_PROT_WRITE), 0);
	assert_int_equal(fl_madvise(t, m, PAGE, FL_MADV_DONTNEED), 0);
	EXPECT_FILL(uffd_zero(user, world.u, m, 2), 0, 2 * PAGE); /* one mapping again */
	/* Unmapped and mapped again: plain. */
	assert_int_equal(fl_munmap(t, m + 3 * PAGE, PAGE), 0);
	EXPECT_FILL(uffd_zero(user, world.u, m + 3 * PAGE, 1), -FL_ENOENT, -FL_ENOENT);
	/* Grown in place: registered. */
	assert_int_equal(fl_mremap(t, m, 3 * PAGE, 4 * PAGE, 0, 0, &out), 0);
	EXPECT_FILL(uffd_zero(user, world.u, m + 3 * PAGE, 1), 0, PAGE);
	/* Moved: plain, as nobody asked for events. */
	out = uffd_map(user, 8);
	assert_int_equal(fl_mremap(t, m, 4 * PAGE, 4 * PAGE, FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED, out + 2 * PAGE, &m),
			 0);
	EXPECT_FILL(uffd_zero(user, world.u, m + 2 * PAGE, 1), -FL_ENOENT, -FL_ENOENT);
	assert_int_equal(uffd_load(user, m + 2 * PAGE), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copy_bad_arguments_leave_the_field),
		TEST(copy_fills_and_the_page_is_ordinary),
		TEST(copy_over_a_page_exists),
		TEST(copy_replaces_a_guard_and_zeropage_does_not),
		TEST(copy_outside_one_registered_mapping_is_no_entry),
		TEST(copy_from_a_bad_source_faults),
		TEST(copy_from_a_missing_page_that_may_not_wait_faults),
		TEST(fill_ignores_the_destinations_protection),
		TEST(copy_write_protected_needs_that_mode),
		TEST(fill_whose_result_cannot_be_written_is_done),
		TEST(fill_by_another_context_of_the_address_space_works),
		TEST(zeropage_bad_arguments_leave_the_field),
		TEST(zeropage_costs_no_frame_until_it_is_written),
		TEST(copy_without_frames_says_so_and_keeps_what_is_done),
		TEST(fill_without_memory_for_tables_leaves_nothing_behind),
		TEST(fill_by_a_task_that_must_die_is_interrupted),
		TEST(forked_child_fills_its_parent_from_its_own_memory),
		TEST(mapping_that_changes_keeps_or_loses_its_registration),
	};

	return cmocka_run_group_tests_name("uffd fill " FL_PORT_NAME, tests, NULL, NULL);
}
