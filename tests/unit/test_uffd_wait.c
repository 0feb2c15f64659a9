/* SPDX-License-Identifier: MIT */
/*
 * Threads that wait: what they are told by, what releases them, and how a wait ends early. Each test runs under several
 * schedules.
 *
 * Bodies share the world; a body touches its own user only. Nothing here depends on time: who has sent the message that
 * was read is a waiter; where it must be asleep for good, next_asleep waits for that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "uffd_support.h"

#define RUNS SCHEDULES(40, 15)

static struct uffd_world world;
static struct uffd_user *const resolver = &world.users[0];
static struct uffd_user *const first = &world.users[1];
static fl_va m, src; /* registered pages; a page full of 8 */

static void open_world(size_t users, int flags, uint64_t features)
{
	uffd_world_open(&world, users, flags, features);
	m = uffd_map(resolver, 4);
	src = uffd_map_filled(resolver, 1, 8);
	CHECK(uffd_register(resolver, world.u, m, 4) == 0);
}

static struct fl_uffd_msg next(void)
{
	struct fl_uffd_msg msg;

	CHECK(uffd_next(resolver, world.u, true, &msg));
	return msg;
}

/* Read n messages, and wait until users 1 to n are asleep. */
static void next_asleep(size_t n)
{
	for (size_t i = 0; i < n; i++)
		next();
	for (size_t i = 1; i <= n; i++)
		uffd_until_asleep(&world.users[i]);
}

static void quiet(void)
{
	struct fl_uffd_msg msg;

	CHECK(!uffd_next(resolver, world.u, false, &msg));
	CHECK(fl_uffd_poll(world.u, true) == 0);
}

/* The other side: the user given reads the first byte of page 0, or of page 1, and expects it. */
static void load_first_page_8(void *arg)
{
	CHECK(uffd_load(arg, m) == 8);
}

static void load_second_page_zero(void *arg)
{
	CHECK(uffd_load(arg, m + PAGE) == 0);
}

static void store_second_page(void *arg)
{
	uffd_store(arg, m + PAGE, 5);
}

/* Run resolve against one body for each of the users from 1 on, in every schedule. */
static void run(size_t schedules_users, int flags, uint64_t features, void (*resolve)(void *),
		void (*const others[])(void *))
{
	void (*body[UFFD_USERS])(void *) = {resolve};
	void *arg[UFFD_USERS] = {resolver};

	open_world(schedules_users, flags, features);
	for (size_t i = 1; i < schedules_users; i++) {
		body[i] = others[i - 1];
		arg[i] = &world.users[i];
	}
	run_concurrently(body, arg, schedules_users);
	uffd_world_close(&world);
}

#define SCENARIO(name, users, flags, features, resolve, ...)                        \
	static void name##_once(size_t schedule)                                    \
	{                                                                           \
		static void (*const others[])(void *) = {__VA_ARGS__};              \
                                                                                    \
		(void)schedule;                                                     \
		_Static_assert(FL_ARRAY_LEN(others) == (users)-1, "a body a user"); \
		run(users, flags, features, resolve, others);                       \
	}                                                                           \
	static void name(void **state)                                              \
	{                                                                           \
		(void)state;                                                        \
		for_each_schedule(RUNS, name##_once);                               \
	}                                                                           \
	_Static_assert(1, "")

/* Messages. */

static void resolve_by_message(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++) {
		struct fl_uffd_msg msg = next();

		CHECK(msg.reserved1 == 0 && msg.reserved2 == 0 && msg.reserved3 == 0 && msg.arg2 == 0);
		if (msg.arg1 == m)
			CHECK(msg.arg0 == 0);
		else
			CHECK(msg.arg1 == m + PAGE && msg.arg0 == FL_UFFD_PAGEFAULT_FLAG_WRITE);
		CHECK(uffd_copy(resolver, world.u, msg.arg1, src, 1) == 0);
	}
	quiet();
}
SCENARIO(message_tells_page_and_direction, 3, 0, 0, resolve_by_message, load_first_page_8, store_second_page);

static void load_exact(void *arg)
{
	struct uffd_user *user = arg;
	uint64_t value;

	/* Two pages, one after the other. */
	CHECK(fl_vcpu_load(&user->thread.cpu, m + PAGE - 4, &value, 8) == FL_FAULT_DONE);
	CHECK(value == 0x0808080808080808ull);
}

static void resolve_exact(void *arg)
{
	struct fl_uffd_msg msg = next();
	uint32_t tid;

	(void)arg;
	CHECK(msg.arg1 == m + PAGE - 4);
	memcpy(&tid, (char *)&msg + 24, 4);
	CHECK(tid == 101);
	/* A wake must cover the byte, not just the page's beginning; this one covers the page. */
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
	msg = next();
	CHECK(msg.arg1 == m + PAGE);
	CHECK(uffd_copy(resolver, world.u, m + PAGE, src, 1) == 0);
}
SCENARIO(message_with_features_tells_thread_and_byte, 2, 0, FL_UFFD_FEATURE_THREAD_ID | FL_UFFD_FEATURE_EXACT_ADDRESS,
	 resolve_exact, load_exact);

static void refused_then_fetched(void *arg)
{
	struct uffd_user *user = arg;
	struct fl_vcpu *cpu = &user->thread.cpu;
	uint8_t byte;

	CHECK(fl_mprotect(&user->thread.task, m, PAGE, FL_PROT_READ | FL_PROT_EXEC) == 0);
	CHECK(fl_vcpu_store(cpu, m, &byte, 1) == FL_FAULT_ACCESS_ERROR); /* protection comes first */
	CHECK(uffd_total(world.u) == 0);
	CHECK(fl_vcpu_fetch(cpu, m, &byte, 1) == FL_FAULT_DONE && byte == 8);
	CHECK(cpu->fault.kind == FL_KIND_MISSING && cpu->fault.waits <= 1);
	/* x86 cannot tell before the page is there that it must not be executed. */
	CHECK(fl_vcpu_fetch(cpu, m + PAGE, &byte, 1) == FL_FAULT_ACCESS_ERROR);
}

static void resolve_fetches(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < 2; i++) {
		struct fl_uffd_msg msg = next();

		CHECK(msg.arg0 == 0 && msg.arg1 == m + i * PAGE);
		CHECK(uffd_copy(resolver, world.u, msg.arg1, src, 1) == 0);
	}
	quiet();
}
SCENARIO(fetch_sends_a_message_and_a_refused_store_none, 2, 0, 0, resolve_fetches, refused_then_fetched);

/* Waking. */

static void resolve_three(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		CHECK(next().arg1 == m); /* one for each thread */
	CHECK(uffd_total(world.u) == 3 && uffd_pending(world.u) == 0);
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
	CHECK(uffd_total(world.u) == 0);
	quiet();
}
SCENARIO(one_fill_releases_all_who_wait_for_the_page, 4, 0, 0, resolve_three, load_first_page_8, load_first_page_8,
	 load_first_page_8);

static void resolve_dontwake(void *arg)
{
	(void)arg;
	next_asleep(2);
	CHECK(uffd_copy_raw(resolver, world.u, m, src, PAGE, FL_UFFDIO_COPY_MODE_DONTWAKE) == 0);
	CHECK(uffd_zero_raw(resolver, world.u, m + PAGE, PAGE, FL_UFFDIO_ZEROPAGE_MODE_DONTWAKE) == 0);
	CHECK(uffd_load(resolver, m) == 8); /* another thread does not wait */
	CHECK(uffd_total(world.u) == 2);
	CHECK(uffd_wake(resolver, world.u, m, PAGE) == 0);
	CHECK(uffd_total(world.u) == 1);
	CHECK(uffd_wake(resolver, world.u, m, 4 * PAGE) == 0);
	CHECK(uffd_total(world.u) == 0);
}
SCENARIO(dontwake_leaves_threads_asleep, 3, 0, 0, resolve_dontwake, load_first_page_8, load_second_page_zero);

static void resolve_wake_first(void *arg)
{
	(void)arg;
	for (int i = 0; i < 4; i++) {
		CHECK(next().arg1 == m);
		quiet(); /* not told twice */
		CHECK(uffd_wake(resolver, world.u, m + PAGE, PAGE) == 0);
		CHECK(uffd_total(world.u) == 1); /* that was another page */
		CHECK(uffd_wake(resolver, world.u, m, PAGE) == 0);
	}
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
	CHECK(uffd_wake(resolver, world.u, m, PAGE) == 0);
}
SCENARIO(wake_without_a_page_brings_a_new_message, 2, 0, 0, resolve_wake_first, load_first_page_8);

static void resolve_exist(void *arg)
{
	struct fl_uffd *other = uffd_open(resolver, 0, 0);

	(void)arg;
	next_asleep(1);
	/* Another context fills, and wakes its own waiters, which are none. */
	CHECK(uffd_copy(resolver, other, m, src, 1) == 0);
	CHECK(uffd_wake(resolver, other, m, PAGE) == 0);
	CHECK(uffd_total(world.u) == 1);
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == -FL_EEXIST);
	CHECK(uffd_total(world.u) == 1);
	CHECK(uffd_wake(resolver, world.u, m, PAGE) == 0);
	fl_uffd_release(&resolver->thread.task, other);
}
SCENARIO(failed_fill_wakes_nobody, 2, 0, 0, resolve_exist, load_first_page_8);

static void resolve_prefix(void *arg)
{
	fl_va two = uffd_map_filled(resolver, 2, 8);

	(void)arg;
	next_asleep(2);
	CHECK(uffd_zero_raw(resolver, world.u, m + PAGE, PAGE, FL_UFFDIO_ZEROPAGE_MODE_DONTWAKE) == 0);
	CHECK(uffd_copy(resolver, world.u, m, two, 2) == -FL_EAGAIN);
	CHECK(resolver->field == PAGE);
	CHECK(uffd_total(world.u) == 1);
	CHECK(uffd_wake(resolver, world.u, m + PAGE, PAGE) == 0);
}
SCENARIO(partial_fill_wakes_its_prefix, 3, 0, 0, resolve_prefix, load_first_page_8, load_second_page_zero);

static void resolve_lost_result(void *arg)
{
	fl_va two = uffd_map_filled(resolver, 2, 0);
	struct fl_uffdio_copy c = {.dst = m, .src = src, .len = PAGE};
	fl_va at = two + PAGE - offsetof(struct fl_uffdio_copy, copy);
	struct fl_task *t = &resolver->thread.task;

	(void)arg;
	next_asleep(1);
	CHECK(fl_mprotect(t, two + PAGE, PAGE, FL_PROT_READ) == 0);
	CHECK(fl_copy_to_user(t, at, &c, offsetof(struct fl_uffdio_copy, copy)) == 0);
	CHECK(fl_uffd_ioctl(t, world.u, FL_UFFDIO_COPY, at) == -FL_EFAULT);
	CHECK(uffd_total(world.u) == 1);
	CHECK(uffd_wake(resolver, world.u, m, PAGE) == 0);
}
SCENARIO(fill_whose_result_is_lost_wakes_nobody, 2, 0, 0, resolve_lost_result, load_first_page_8);

static void resolve_unregister(void *arg)
{
	(void)arg;
	next();
	next();
	CHECK(uffd_unregister(resolver, world.u, m + PAGE, PAGE) == 0);
	CHECK(uffd_total(world.u) == 1);
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
}
SCENARIO(unregister_lets_waiters_go_on, 3, 0, 0, resolve_unregister, load_first_page_8, store_second_page);

static void load_any(void *arg)
{
	CHECK(uffd_load(arg, m + 2 * PAGE) == 0);
}

static void release_with_waiters(void *arg)
{
	(void)arg;
	next(); /* one has been read, the other perhaps not even sent */
	uffd_world_release(&world);
}
SCENARIO(last_close_lets_waiters_go_on, 4, 0, 0, release_with_waiters, load_any, store_second_page, load_any);

static void copy_from_missing(void *arg)
{
	struct uffd_user *user = arg;

	CHECK(uffd_copy(user, world.u, m + PAGE, m, 1) == 0);
	CHECK(uffd_load(user, m + PAGE) == 8);
}

static void resolve_source(void *arg)
{
	struct fl_uffd_msg msg = next();

	(void)arg;
	CHECK(msg.arg0 == 0 && msg.arg1 == m);
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
}
SCENARIO(copy_from_a_missing_page_waits_for_it, 2, 0, 0, resolve_source, copy_from_missing);

static void copy_to_what_goes(void *arg)
{
	CHECK(uffd_copy(arg, world.u, m + PAGE, m, 2) == -FL_ENOENT);
}

static void unregister_destination(void *arg)
{
	(void)arg;
	next();
	CHECK(uffd_unregister(resolver, world.u, m + 2 * PAGE, PAGE) == 0);
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
}
SCENARIO(copy_looks_at_all_of_its_destination_after_a_wait, 2, 0, 0, unregister_destination, copy_to_what_goes);

static void lock_two_pages(void *arg)
{
	struct fl_task *t = &((struct uffd_user *)arg)->thread.task;
	uint64_t minor = t->min_flt, major = t->maj_flt;

	CHECK(fl_mlock(t, m, 2 * PAGE, 0) == 0);
	CHECK(t->min_flt == minor && t->maj_flt == major); /* the page that came was no fault of his */
}

static void lock_the_second_on_fault(void *arg)
{
	(void)arg;
	next();
	CHECK(fl_mlock(&resolver->thread.task, m + PAGE, PAGE, FL_MLOCK_ONFAULT) == 0);
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
}
SCENARIO(mlock_looks_at_the_mapping_after_a_wait, 2, 0, 0, lock_the_second_on_fault, lock_two_pages);

/* The kernel's side. */

static void copies_in_kernel_mode(void *arg)
{
	struct uffd_user *user = arg;
	char bytes[4] = "abcd";

	CHECK(fl_copy_to_user(&user->thread.task, m + 8, bytes, 4) == 0);
	CHECK(fl_copy_from_user(&user->thread.task, bytes, m + PAGE, 4) == 0);
	CHECK(!memcmp(bytes, "\b\b\b\b", 4));
	CHECK(fl_madvise(&user->thread.task, m + 2 * PAGE, PAGE, FL_MADV_POPULATE_READ) == 0);
	CHECK(fl_madvise(&user->thread.task, m + 3 * PAGE, PAGE, FL_MADV_POPULATE_WRITE) == 0);
}

static void resolve_kernel_mode(void *arg)
{
	static const uint64_t flags[] = {1, 0, 0, 1};

	(void)arg;
	for (uint64_t i = 0; i < 4; i++) {
		struct fl_uffd_msg msg = next();

		CHECK(msg.arg1 == m + i * PAGE && msg.arg0 == flags[i]);
		CHECK(uffd_copy(resolver, world.u, msg.arg1, src, 1) == 0);
	}
	CHECK(uffd_load(resolver, m + 7) == 8 && uffd_load(resolver, m + 8) == 'a' && uffd_load(resolver, m + 12) == 8);
}
SCENARIO(kernel_copies_wait_for_the_page, 2, 0, 0, resolve_kernel_mode, copies_in_kernel_mode);

static void refused_in_kernel_mode(struct uffd_user *user)
{
	struct fl_task *t = &user->thread.task;
	char bytes[8];

	CHECK(fl_copy_from_user(t, bytes, m - 4, 8) >= 4);
	CHECK(fl_copy_from_user(t, bytes, m, 8) == 8);
	CHECK(fl_copy_to_user(t, m, bytes, 8) == 8);
	CHECK(fl_fault_in_readable(t, m, 8) == 8);
	CHECK(fl_madvise(t, m, PAGE, FL_MADV_POPULATE_READ) == -FL_EFAULT);
	CHECK(uffd_total(world.u) == 0);
}

static void user_mode_only(void *arg)
{
	refused_in_kernel_mode(arg);
	CHECK(uffd_load(arg, m) == 8); /* this one waits */
}
SCENARIO(user_mode_only_refuses_kernel_copies, 2, FL_UFFD_USER_MODE_ONLY, 0, resolve_source, user_mode_only);

static void sigbus_feature_refuses_everybody(void **state)
{
	struct uffd_user *user;
	int value;

	(void)state;
	open_world(2, 0, FL_UFFD_FEATURE_SIGBUS);
	user = first;
	refused_in_kernel_mode(user);
	assert_int_equal(uffd_try_load(user, m + 77, &value), FL_FAULT_BUS_ERROR);
	assert_int_equal(user->thread.cpu.fault.si_code, FL_BUS_ADRERR);
	assert_int_equal(user->thread.cpu.fault.addr, m + 77);
	assert_int_equal(uffd_total(world.u), 0);
	assert_int_equal(uffd_copy(resolver, world.u, m, src, 1), 0);
	assert_int_equal(uffd_load(user, m + 77), 8);
	uffd_world_close(&world);
}

static void faults_disabled_send_no_message(void **state)
{
	struct fl_task *t = &first->thread.task;
	char byte;

	(void)state;
	open_world(2, 0, 0);
	assert_int_equal(fl_copy_from_user_nofault(t, &byte, m, 1), 1);
	assert_int_equal(fl_copy_to_user_nofault(t, m, &byte, 1), 1);
	assert_int_equal(uffd_total(world.u), 0);
	uffd_world_close(&world);
}

/* Signals. */

static void load_with_handler(void *arg)
{
	struct uffd_user *user = arg;
	enum fl_outcome o;
	int value, handled = 0;

	while ((o = uffd_try_load(user, m, &value)) == FL_FAULT_SIGNAL) {
		fl_task_clear_signal(&user->thread.task, FL_SIGNAL_PENDING);
		handled++;
	}
	CHECK(o == FL_FAULT_DONE && value == 8 && handled == 1);
}

static void resolve_after_signal(void *arg)
{
	(void)arg;
	next();
	fl_task_signal(&first->thread.task, FL_SIGNAL_PENDING);
	next(); /* handled, then the access again: a new message */
	CHECK(uffd_total(world.u) == 1);
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
}
SCENARIO(signal_ends_a_wait_in_user_mode, 2, 0, 0, resolve_after_signal, load_with_handler);

static void copy_with_signal(void *arg)
{
	struct uffd_user *user = arg;
	char byte;

	CHECK(fl_copy_from_user(&user->thread.task, &byte, m, 1) == 0 && byte == 8);
	fl_task_clear_signal(&user->thread.task, FL_SIGNAL_PENDING);
}

static void resolve_despite_signal(void *arg)
{
	(void)arg;
	next();
	fl_task_signal(&first->thread.task, FL_SIGNAL_PENDING);
	for (int i = 0; i < 10; i++)
		concurrent_yield();
	CHECK(uffd_total(world.u) == 1);
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
}
SCENARIO(signal_does_not_end_a_wait_in_kernel_mode, 2, 0, 0, resolve_despite_signal, copy_with_signal);

static void killed_in_either_mode(void *arg)
{
	struct uffd_user *user = arg;
	char byte;
	int value;

	CHECK(fl_copy_from_user(&user->thread.task, &byte, m, 1) == 1);
	CHECK(uffd_try_load(user, m + PAGE, &value) == FL_FAULT_SIGNAL);
	fl_task_clear_signal(&user->thread.task, FL_SIGNAL_FATAL);
}

static void kill_first(void *arg)
{
	(void)arg;
	next();
	fl_task_signal(&first->thread.task, FL_SIGNAL_FATAL);
}

static void fatal_signal_ends_every_wait_once(size_t schedule)
{
	static void (*const others[])(void *) = {killed_in_either_mode};

	(void)schedule;
	run(2, 0, 0, kill_first, others);
}

static void fatal_signal_ends_every_wait(void **state)
{
	(void)state;
	for_each_schedule(RUNS, fatal_signal_ends_every_wait_once);
}

/* Changes of the mapping under a waiter: it is not woken, and finds out when it is. */

static void load_gone(void *arg)
{
	int value;

	CHECK(uffd_try_load(arg, m, &value) == FL_FAULT_BAD_AREA);
}

static void unmap_under_waiter(void *arg)
{
	(void)arg;
	next_asleep(1);
	CHECK(fl_munmap(&resolver->thread.task, m, PAGE) == 0);
	CHECK(uffd_unregister(resolver, world.u, m, 4 * PAGE) == 0); /* what he waits in is not registered any more */
	CHECK(uffd_total(world.u) == 1);
	CHECK(uffd_wake(resolver, world.u, m, PAGE) == 0);
}
SCENARIO(unmap_under_a_waiter_shows_when_it_wakes, 2, 0, 0, unmap_under_waiter, load_gone);

static void load_forbidden(void *arg)
{
	int value;

	CHECK(uffd_try_load(arg, m, &value) == FL_FAULT_ACCESS_ERROR);
}

static void protect_under_waiter(void *arg)
{
	(void)arg;
	next_asleep(1);
	CHECK(fl_mprotect(&resolver->thread.task, m, PAGE, FL_PROT_NONE) == 0);
	CHECK(uffd_total(world.u) == 1);
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
}
SCENARIO(protect_under_a_waiter_shows_when_it_wakes, 2, 0, 0, protect_under_waiter, load_forbidden);

static void load_moved(void *arg)
{
	CHECK(uffd_load(arg, m + PAGE) == 3);
}

static void move_under_waiter(void *arg)
{
	fl_va other = uffd_map_filled(resolver, 1, 3), out;

	(void)arg;
	next_asleep(1);
	CHECK(fl_mremap(&resolver->thread.task, other, PAGE, PAGE, FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED, m + PAGE,
			&out) == 0);
	CHECK(uffd_total(world.u) == 1);
	CHECK(uffd_zero(resolver, world.u, m + PAGE, 1) == -FL_ENOENT); /* ordinary memory has moved there */
	CHECK(uffd_wake(resolver, world.u, m, 4 * PAGE) == 0);
}
SCENARIO(move_over_a_waiter_shows_when_it_wakes, 2, 0, 0, move_under_waiter, load_moved);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_tells_page_and_direction),
		cmocka_unit_test(message_with_features_tells_thread_and_byte),
		cmocka_unit_test(fetch_sends_a_message_and_a_refused_store_none),
		cmocka_unit_test(one_fill_releases_all_who_wait_for_the_page),
		cmocka_unit_test(dontwake_leaves_threads_asleep),
		cmocka_unit_test(wake_without_a_page_brings_a_new_message),
		cmocka_unit_test(failed_fill_wakes_nobody),
		cmocka_unit_test(partial_fill_wakes_its_prefix),
		cmocka_unit_test(fill_whose_result_is_lost_wakes_nobody),
		cmocka_unit_test(unregister_lets_waiters_go_on),
		cmocka_unit_test(last_close_lets_waiters_go_on),
		cmocka_unit_test(copy_from_a_missing_page_waits_for_it),
		cmocka_unit_test(copy_looks_at_all_of_its_destination_after_a_wait),
		cmocka_unit_test(mlock_looks_at_the_mapping_after_a_wait),
		cmocka_unit_test(kernel_copies_wait_for_the_page),
		cmocka_unit_test(user_mode_only_refuses_kernel_copies),
		cmocka_unit_test(sigbus_feature_refuses_everybody),
		cmocka_unit_test(faults_disabled_send_no_message),
		cmocka_unit_test(signal_ends_a_wait_in_user_mode),
		cmocka_unit_test(signal_does_not_end_a_wait_in_kernel_mode),
		cmocka_unit_test(fatal_signal_ends_every_wait),
		cmocka_unit_test(unmap_under_a_waiter_shows_when_it_wakes),
		cmocka_unit_test(protect_under_a_waiter_shows_when_it_wakes),
		cmocka_unit_test(move_over_a_waiter_shows_when_it_wakes),
	};

	return cmocka_run_group_tests_name("uffd wait " FL_PORT_NAME, tests, NULL, NULL);
}
