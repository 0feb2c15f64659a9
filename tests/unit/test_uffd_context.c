/* SPDX-License-Identifier: MIT */
/*
 * The context: creation, handshake, registration, wake, and its end; each rule of docs/userfaultfd.md that needs no
 * second thread.
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
#define SUPPORTED (FL_UFFD_FEATURE_SIGBUS | FL_UFFD_FEATURE_THREAD_ID | FL_UFFD_FEATURE_EXACT_ADDRESS)
#define MISSING FL_UFFDIO_REGISTER_MODE_MISSING

static struct uffd_world world;
static struct uffd_user *user = &world.users[0];

static int open_world(void **state)
{
	(void)state;
	uffd_world_open(&world, 2, 0, 0);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	uffd_world_close(&world);
	return 0;
}

static void create_asks_for_privilege_before_flags(void **state)
{
	static const int bad[] = {2, 4, 02000, 04010000, -1};
	struct fl_task *t = &user->thread.task;
	struct fl_uffd *u;

	(void)state;
	for (size_t i = 0; i < FL_ARRAY_LEN(bad); i++)
		assert_int_equal(fl_uffd_create(t, bad[i], true, NULL, NULL, &u), -FL_EINVAL);
	assert_int_equal(fl_uffd_create(t, 4, false, NULL, NULL, &u), -FL_EPERM);
	assert_int_equal(fl_uffd_create(t, 0, false, NULL, NULL, &u), -FL_EPERM);
	assert_int_equal(fl_uffd_create(t, 4 | FL_UFFD_USER_MODE_ONLY, false, NULL, NULL, &u), -FL_EINVAL);
	assert_int_equal(
		fl_uffd_create(t, FL_UFFD_USER_MODE_ONLY | FL_O_CLOEXEC | FL_O_NONBLOCK, false, NULL, NULL, &u), 0);
	fl_uffd_release(t, u);
	fl_port_fail_alloc_after(0);
	assert_int_equal(fl_uffd_create(t, 0, true, NULL, NULL, &u), -FL_ENOMEM);
	fl_port_fail_alloc_after(-1);
}

static void before_the_handshake_everything_is_refused(void **state)
{
	struct fl_uffd *u = uffd_open(user, 0, UINT64_MAX);
	struct fl_uffd_info info;
	fl_va m = uffd_map(user, 1);

	(void)state;
	assert_int_equal(uffd_register(user, u, m, 1), -FL_EINVAL);
	assert_int_equal(uffd_unregister(user, u, m, PAGE), -FL_EINVAL);
	assert_int_equal(uffd_wake(user, u, m, PAGE), -FL_EINVAL);
	assert_int_equal(uffd_copy(user, u, m, m, 1), -FL_EINVAL);
	assert_int_equal(user->field, UNTOUCHED);
	assert_int_equal(uffd_zero(user, u, m, 1), -FL_EINVAL);
	assert_int_equal(fl_uffd_ioctl(&user->thread.task, u, 0xaa55, m), -FL_EINVAL);
	assert_int_equal(fl_uffd_read(&user->thread.task, u, m, 64, true), -FL_EINVAL);
	assert_int_equal(fl_uffd_read(&user->thread.task, u, m, 64, false), -FL_EINVAL);
	assert_int_equal(fl_uffd_poll(u, true), FL_POLLERR);
	assert_int_equal(fl_uffd_poll(u, false), FL_POLLERR);
	fl_uffd_info(u, &info);
	assert_false(info.ready);
	fl_uffd_release(&user->thread.task, u);
}

static void handshake_offers_all_whatever_was_asked(void **state)
{
	static const uint64_t ask[] = {0, FL_UFFD_FEATURE_SIGBUS, SUPPORTED};

	(void)state;
	for (size_t i = 0; i < FL_ARRAY_LEN(ask); i++) {
		struct fl_uffdio_api io = {.api = FL_UFFD_API, .features = ask[i], .ioctls = 99};
		struct fl_uffd *u = uffd_open(user, 0, UINT64_MAX);
		struct fl_uffd_info info;

		assert_int_equal(uffd_api(user, u, &io), 0);
		assert_int_equal(io.api, FL_UFFD_API);
		assert_int_equal(io.features, SUPPORTED);
		assert_true(io.ioctls == 0x8000000000000003ull);
		fl_uffd_info(u, &info);
		assert_true(info.ready);
		assert_int_equal(info.features, ask[i]);
		assert_int_equal(fl_uffd_ioctl(&user->thread.task, u, 0xaa55, user->args), -FL_EINVAL);
		fl_uffd_release(&user->thread.task, u);
	}
}

static void expect_refused(struct fl_uffd *u, uint64_t api, uint64_t features, int err)
{
	struct fl_uffdio_api io = {.api = api, .features = features, .ioctls = 7};

	assert_int_equal(uffd_api(user, u, &io), err);
	assert_true((io.api | io.features | io.ioctls) == 0);
}

static void handshake_refused_leaves_zeros_and_may_be_tried_again(void **state)
{
	struct fl_uffd *u = uffd_open(user, 0, UINT64_MAX);
	struct fl_task *t = &user->thread.task;
	struct fl_uffdio_api io = {.api = FL_UFFD_API};

	(void)state;
	expect_refused(u, 0xAB, 0, -FL_EINVAL);
	for (int bit = 0; bit < 64; bit++) {
		if (!(SUPPORTED & 1ull << bit) && bit != 1)
			expect_refused(u, FL_UFFD_API, 1ull << bit, -FL_EINVAL);
	}
	/* EVENT_FORK needs a capability, and that is asked after the version and before the bits. */
	expect_refused(u, FL_UFFD_API, FL_UFFD_FEATURE_EVENT_FORK | 1ull << 40, -FL_EPERM);
	expect_refused(u, 1, FL_UFFD_FEATURE_EVENT_FORK, -FL_EINVAL);
	t->caps |= FL_CAP_SYS_PTRACE;
	expect_refused(u, FL_UFFD_API, FL_UFFD_FEATURE_EVENT_FORK, -FL_EINVAL);
	t->caps = 0;
	assert_int_equal(fl_uffd_ioctl(t, u, FL_UFFDIO_API, 8), -FL_EFAULT);
	assert_int_equal(uffd_api(user, u, &io), 0);
	expect_refused(u, FL_UFFD_API, 0, -FL_EINVAL); /* once */
	assert_int_equal(fl_uffd_poll(u, true), 0);    /* and the first one is still in force */
	fl_uffd_release(t, u);
}

static void handshake_that_cannot_answer_has_not_happened(void **state)
{
	struct fl_uffd *u = uffd_open(user, 0, UINT64_MAX);
	struct fl_uffdio_api io = {.api = FL_UFFD_API};
	fl_va m = uffd_map_filled(user, 1, 0);

	(void)state;
	assert_int_equal(fl_copy_to_user(&user->thread.task, m, &io, sizeof(io)), 0);
	assert_int_equal(fl_mprotect(&user->thread.task, m, PAGE, FL_PROT_READ), 0);
	assert_int_equal(fl_uffd_ioctl(&user->thread.task, u, FL_UFFDIO_API, m), -FL_EFAULT);
	assert_int_equal(fl_uffd_poll(u, true), FL_POLLERR);
	assert_int_equal(uffd_api(user, u, &io), 0);
	fl_uffd_release(&user->thread.task, u);
}

static void register_checks_its_arguments(void **state)
{
	fl_va m = uffd_map(user, 4);
	uint64_t mask;

	(void)state;
	assert_int_equal(fl_uffd_ioctl(&user->thread.task, world.u, FL_UFFDIO_REGISTER, 8), -FL_EFAULT);
	assert_int_equal(uffd_register_mode(user, world.u, m, PAGE, 0, &mask), -FL_EINVAL);
	assert_int_equal(mask, UNTOUCHED);
	assert_int_equal(uffd_register_mode(user, world.u, m, PAGE, 8, NULL), -FL_EINVAL);
	assert_int_equal(uffd_register_mode(user, world.u, m, PAGE, 1ull << 40 | MISSING, NULL), -FL_EINVAL);
	assert_int_equal(uffd_register_mode(user, world.u, m + 1, PAGE, MISSING, NULL), -FL_EINVAL);
	assert_int_equal(uffd_register_mode(user, world.u, m, 0, MISSING, NULL), -FL_EINVAL);
	assert_int_equal(uffd_register_mode(user, world.u, m, PAGE + 1, MISSING, NULL), -FL_EINVAL);
	assert_int_equal(uffd_register_mode(user, world.u, TASK_SIZE, PAGE, MISSING, NULL), -FL_EINVAL);
	assert_int_equal(uffd_register_mode(user, world.u, m, TASK_SIZE, MISSING, NULL), -FL_EINVAL);
	assert_int_equal(uffd_register_mode(user, world.u, m, -PAGE, MISSING, NULL), -FL_EINVAL);
	assert_int_equal(uffd_register_mode(user, world.u, m, PAGE, MISSING, &mask), 0);
	assert_int_equal(mask, 0x1c);
}

static void register_write_protect_or_minor_is_refused(void **state)
{
	fl_va m = uffd_map(user, 1);

	(void)state;
	for (uint64_t mode = 2; mode < 8; mode++)
		assert_int_equal(uffd_register_mode(user, world.u, m, PAGE, mode, NULL), -FL_EINVAL);
	assert_int_equal(uffd_zero(user, world.u, m, 1), -FL_ENOENT);
}

static void register_needs_a_mapping_but_tolerates_holes(void **state)
{
	fl_va m = uffd_map(user, 4);

	(void)state;
	assert_int_equal(fl_munmap(&user->thread.task, m, PAGE), 0);
	assert_int_equal(fl_munmap(&user->thread.task, m + 2 * PAGE, PAGE), 0);
	assert_int_equal(uffd_register(user, world.u, m, 1), -FL_EINVAL);
	assert_int_equal(uffd_unregister(user, world.u, m, PAGE), -FL_EINVAL);
	assert_int_equal(uffd_register(user, world.u, m, 4), 0);
	assert_int_equal(uffd_zero(user, world.u, m, 1), -FL_ENOENT);
	assert_int_equal(uffd_zero(user, world.u, m + PAGE, 1), 0);
	assert_int_equal(uffd_zero(user, world.u, m + 3 * PAGE, 1), 0);
	assert_int_equal(uffd_unregister(user, world.u, m, 4 * PAGE), 0);
	assert_int_equal(uffd_register(user, world.u, 0, TASK_SIZE >> 12), 0); /* all there is */
}

static void register_foreign_memory_is_refused_whole(void **state)
{
	fl_va m = uffd_map(user, 3), out;

	(void)state;
	assert_int_equal(fl_mmap_foreign(&user->thread.task, m + PAGE, PAGE, FL_PROT_READ,
					 FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 7, 0, &out),
			 0);
	assert_int_equal(uffd_register(user, world.u, m + PAGE, 1), -FL_EINVAL);
	assert_int_equal(uffd_register(user, world.u, m, 3), -FL_EINVAL);
	assert_int_equal(uffd_zero(user, world.u, m, 1), -FL_ENOENT);
	assert_int_equal(uffd_unregister(user, world.u, m + PAGE, PAGE), -FL_EINVAL);
}

static void register_that_cannot_answer_has_happened(void **state)
{
	fl_va m = uffd_map(user, 1), two = uffd_map_filled(user, 2, 0);
	struct fl_uffdio_register r = {.range = {m, PAGE}, .mode = MISSING};
	fl_va arg = two + PAGE - offsetof(struct fl_uffdio_register, ioctls);

	(void)state;
	assert_int_equal(fl_copy_to_user(&user->thread.task, arg, &r, sizeof(r)), 0);
	assert_int_equal(fl_mprotect(&user->thread.task, two + PAGE, PAGE, FL_PROT_READ), 0);
	assert_int_equal(fl_uffd_ioctl(&user->thread.task, world.u, FL_UFFDIO_REGISTER, arg), -FL_EFAULT);
	assert_int_equal(uffd_zero(user, world.u, m, 1), 0);
}

static void register_splits_and_unregister_merges(void **state)
{
	fl_va m = uffd_map(user, 3);
	struct fl_mm_stats before, after;

	(void)state;
	fl_mm_stats(world.w.mm, &before);
	assert_int_equal(uffd_register(user, world.u, m + PAGE, 1), 0);
	fl_mm_stats(world.w.mm, &after);
	assert_int_equal(after.vmas, before.vmas + 2);
	assert_int_equal(uffd_register(user, world.u, m, 2), 0); /* what is registered already stays so */
	fl_mm_stats(world.w.mm, &after);
	assert_int_equal(after.vmas, before.vmas + 1);
	assert_int_equal(uffd_zero(user, world.u, m, 2), 0);
	assert_int_equal(uffd_unregister(user, world.u, m, 3 * PAGE), 0);
	fl_mm_stats(world.w.mm, &after);
	assert_int_equal(after.vmas, before.vmas);
	assert_int_equal(uffd_zero(user, world.u, m, 1), -FL_ENOENT);
}

static void register_leaves_present_pages_alone(void **state)
{
	fl_va m = uffd_map_filled(user, 1, 9);

	(void)state;
	assert_int_equal(uffd_register(user, world.u, m, 1), 0);
	assert_int_equal(uffd_load(user, m + 5), 9);
	uffd_store(user, m + 5, 10);
	assert_int_equal(uffd_load(user, m + 5), 10);
	assert_int_equal(uffd_zero(user, world.u, m, 1), -FL_EEXIST);
}

static void register_others_memory_is_busy_without_effect(void **state)
{
	struct fl_uffd *other = uffd_open(user, 0, 0);
	fl_va m = uffd_map(user, 3);

	(void)state;
	assert_int_equal(uffd_register(user, world.u, m + PAGE, 1), 0);
	assert_int_equal(uffd_register(user, other, m, 3), -FL_EBUSY);
	assert_int_equal(uffd_zero(user, other, m, 1), -FL_ENOENT);
	assert_int_equal(uffd_unregister(user, other, m, 3 * PAGE), -FL_EINVAL);
	assert_int_equal(uffd_unregister(user, world.u, m + PAGE, PAGE), 0);
	assert_int_equal(uffd_register(user, other, m, 3), 0);
	fl_uffd_release(&user->thread.task, other);
}

static void unregister_checks_its_arguments(void **state)
{
	fl_va m = uffd_map(user, 2);

	(void)state;
	assert_int_equal(fl_uffd_ioctl(&user->thread.task, world.u, FL_UFFDIO_UNREGISTER, 8), -FL_EFAULT);
	assert_int_equal(uffd_unregister(user, world.u, m + 1, PAGE), -FL_EINVAL);
	assert_int_equal(uffd_unregister(user, world.u, m, 0), -FL_EINVAL);
	assert_int_equal(uffd_unregister(user, world.u, TASK_SIZE, PAGE), -FL_EINVAL);
	assert_int_equal(uffd_unregister(user, world.u, m, 2 * PAGE), 0); /* never registered: nothing to do */
}

static void wake_looks_at_the_range_only(void **state)
{
	fl_va m = uffd_map(user, 1);

	(void)state;
	assert_int_equal(fl_uffd_ioctl(&user->thread.task, world.u, FL_UFFDIO_WAKE, 8), -FL_EFAULT);
	assert_int_equal(uffd_wake(user, world.u, m + 1, PAGE), -FL_EINVAL);
	assert_int_equal(uffd_wake(user, world.u, m, 0), -FL_EINVAL);
	assert_int_equal(uffd_wake(user, world.u, TASK_SIZE, PAGE), -FL_EINVAL);
	assert_int_equal(uffd_wake(user, world.u, m, PAGE), 0);
	assert_int_equal(uffd_wake(user, world.u, TASK_SIZE - PAGE, PAGE), 0);
}

/* exec or exit of the creator, while somebody else (a child) keeps the descriptor. */
static void context_outlives_its_address_space(void **state)
{
	struct fl_mm_config config = {.frames = world.w.frames};
	fl_va m = uffd_map(user, 1);
	struct fl_uffd *u;
	struct fl_task t;
	struct fl_mm *mm;
	fl_va there;

	(void)state;
	assert_int_equal(fl_soft_mm_create(&config, &mm), 0);
	fl_task_init(&t, world.w.frames, mm, 9);
	assert_int_equal(fl_mmap(&t, m, PAGE, FL_PROT_READ | FL_PROT_WRITE,
				 FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED, &there),
			 0);
	assert_int_equal(fl_uffd_create(&t, 0, true, NULL, NULL, &u), 0);
	{
		struct fl_uffdio_api io = {.api = FL_UFFD_API};

		assert_int_equal(uffd_api(user, u, &io), 0);
	}
	assert_int_equal(uffd_register(user, u, m, 1), 0); /* through another address space: the creator's is meant */
	fl_mm_put(mm);
	fl_task_exit(&t);

	assert_int_equal(uffd_copy(user, u, m, user->args, 1), -FL_ESRCH);
	assert_int_equal(user->field, UNTOUCHED);
	assert_int_equal(uffd_zero(user, u, m, 1), -FL_ESRCH);
	assert_int_equal(user->field, UNTOUCHED);
	assert_int_equal(uffd_copy_raw(user, u, m + 1, m, PAGE, 0), -FL_EINVAL);
	assert_int_equal(uffd_register(user, u, m, 1), -FL_ENOMEM);
	assert_int_equal(uffd_unregister(user, u, m, PAGE), -FL_ENOMEM);
	assert_int_equal(uffd_wake(user, u, m, PAGE), 0);
	assert_int_equal(fl_uffd_read(&user->thread.task, u, user->args, 32, true), -FL_EAGAIN);
	assert_int_equal(fl_uffd_poll(u, true), 0);
	fl_uffd_release(&user->thread.task, u);
}

static void release_makes_the_memory_ordinary(void **state)
{
	fl_va m = uffd_map(user, 3);
	struct fl_mm_stats before, after;
	struct fl_uffd *other;

	(void)state;
	fl_mm_stats(world.w.mm, &before);
	assert_int_equal(uffd_register(user, world.u, m + PAGE, 1), 0);
	uffd_world_release(&world);
	fl_mm_stats(world.w.mm, &after);
	assert_int_equal(after.vmas, before.vmas);
	assert_int_equal(uffd_load(user, m + PAGE), 0);
	other = uffd_open(user, 0, 0);
	assert_int_equal(uffd_zero(user, other, m, 1), -FL_ENOENT);
	assert_int_equal(uffd_register(user, other, m, 3), 0);
	fl_uffd_release(&user->thread.task, other);
}

static void release_without_memory_makes_the_memory_ordinary_too(void **state)
{
	bool hit;

	(void)state;
	uffd_world_release(&world);
	for (long n = 0;; n++) {
		fl_va m = uffd_map(user, 3);
		struct fl_uffd *u = uffd_open(user, 0, 0), *other = uffd_open(user, 0, 0);

		assert_int_equal(uffd_register(user, u, m + PAGE, 1), 0);
		fl_port_fail_alloc_after(n);
		fl_uffd_release(&user->thread.task, u);
		hit = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);

		assert_int_equal(uffd_zero(user, other, m + PAGE, 1), -FL_ENOENT); /* not registered any more */
		assert_int_equal(uffd_copy_raw(user, other, m + PAGE, 8192, PAGE, 0), -FL_ENOENT);
		assert_int_equal(uffd_load(user, m + PAGE), 0);
		assert_int_equal(uffd_unregister(user, other, m, 3 * PAGE), 0);
		assert_int_equal(uffd_register(user, other, m, 3), 0);
		assert_int_equal(uffd_zero(user, other, m, 1), 0);
		fl_uffd_release(&user->thread.task, other);
		world_check(&world.w);
		if (!hit)
			break;
	}
}

static void register_without_memory_changes_nothing(void **state)
{
	bool hit;

	(void)state;
	for (long n = 0;; n++) {
		fl_va m = uffd_map(user, 3);
		int err;

		fl_port_fail_alloc_after(n);
		err = uffd_register(user, world.u, m + PAGE, 1);
		hit = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);
		assert_int_equal(err, hit ? -FL_ENOMEM : 0);
		assert_int_equal(uffd_zero(user, world.u, m + PAGE, 1), hit ? -FL_ENOENT : 0);
		world_check(&world.w);
		if (!hit)
			break;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(create_asks_for_privilege_before_flags),
		TEST(before_the_handshake_everything_is_refused),
		TEST(handshake_offers_all_whatever_was_asked),
		TEST(handshake_refused_leaves_zeros_and_may_be_tried_again),
		TEST(handshake_that_cannot_answer_has_not_happened),
		TEST(register_checks_its_arguments),
		TEST(register_write_protect_or_minor_is_refused),
		TEST(register_needs_a_mapping_but_tolerates_holes),
		TEST(register_foreign_memory_is_refused_whole),
		TEST(register_that_cannot_answer_has_happened),
		TEST(register_splits_and_unregister_merges),
		TEST(register_leaves_present_pages_alone),
		TEST(register_others_memory_is_busy_without_effect),
		TEST(unregister_checks_its_arguments),
		TEST(wake_looks_at_the_range_only),
		TEST(context_outlives_its_address_space),
		TEST(release_makes_the_memory_ordinary),
		TEST(release_without_memory_makes_the_memory_ordinary_too),
		TEST(register_without_memory_changes_nothing),
	};

	return cmocka_run_group_tests_name("uffd context " FL_PORT_NAME, tests, NULL, NULL);
}
