/* SPDX-License-Identifier: MIT */
/*
 * userfaultfd against everything else at once: crowds of faults and resolvers, and registering, unmapping, moving,
 * dropping, forking and exiting while pages are missed and filled. What is checked: each access gets an answer that
 * some order of the calls allows, nobody sleeps for ever, and in the end no invariant is broken and no frame is lost
 * (world_close).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fl_port_test.h"
#include "uffd_support.h"

#define RUNS SCHEDULES(300, 40)
#define PAGES 6

static struct uffd_world world;
static struct uffd_user *const users = world.users;
static fl_va m, src;
static uint32_t working; /* (a) bodies that may still miss a page */

static void open_world(size_t n, uint32_t workers)
{
	uffd_world_open(&world, n, 0, 0);
	m = uffd_map(users, PAGES);
	src = uffd_map_filled(users, PAGES, 8);
	CHECK(uffd_register(users, world.u, m, PAGES) == 0);
	fl_store(&working, workers);
}

/*
 * A fill met the world as it may be at this moment. EAGAIN tells of progress only: the engine's own races are its own
 * business.
 */
static bool fair(const struct uffd_user *user, int err)
{
	return err == 0 || err == -FL_EEXIST || err == -FL_ENOENT || (err == -FL_EAGAIN && user->field > 0);
}

/* Answer messages until the last worker is done and calls this one off. */
static void serve(void *arg)
{
	struct uffd_user *user = arg;
	struct fl_uffd_msg msg;

	while (uffd_next(user, world.u, true, &msg)) {
		fl_va page = msg.arg1 & ~(PAGE - 1);
		int err = msg.arg1 & PAGE ? uffd_copy(user, world.u, page, src, 1) : uffd_zero(user, world.u, page, 1);

		CHECK(fair(user, err));
		if (err)
			CHECK(uffd_wake(user, world.u, page, PAGE) == 0);
	}
	fl_task_clear_signal(&user->thread.task, FL_SIGNAL_PENDING);
}

/* A worker is done. servers: users 0 to servers - 1. */
static void done(size_t servers)
{
	if (fl_add(&working, -1))
		return;
	for (size_t i = 0; i < servers; i++)
		fl_task_signal(&users[i].thread.task, FL_SIGNAL_PENDING);
}

/* Each byte is what was filled in, or zero, or what was stored. */
static void touch_pages(struct uffd_user *user, bool may_be_gone)
{
	size_t own = (size_t)(user - users);
	unsigned char byte;
	enum fl_outcome o;

	for (size_t i = 0; i < PAGES; i++) {
		fl_va va = m + (i + own) % PAGES * PAGE + own;

		if (own & 1) {
			byte = 8;
			o = fl_vcpu_store(&user->thread.cpu, va, &byte, 1);
		} else {
			o = fl_vcpu_load(&user->thread.cpu, va, &byte, 1);
			CHECK(o != FL_FAULT_DONE || byte == 8 || byte == 0);
		}
		CHECK(o == FL_FAULT_DONE || (may_be_gone && o == FL_FAULT_BAD_AREA));
	}
}

static void work(void *arg)
{
	touch_pages(arg, false);
	done(2);
}

static void work_on_sand(void *arg)
{
	touch_pages(arg, true);
	done(2);
}

/* The kernel's accesses are in it, too. */
static void work_in_kernel_mode(void *arg)
{
	struct uffd_user *user = arg;
	char bytes[16];
	size_t left;

	for (uint64_t i = 0; i + 1 < PAGES; i++) {
		left = fl_copy_from_user(&user->thread.task, bytes, m + (i + 1) * PAGE - 8, 16);
		CHECK(left == 0 || left == 8 || left == 16);
		left = fl_copy_to_user(&user->thread.task, m + (i + 1) * PAGE - 8, "\b\b\b\b\b\b\b\b\b\b\b\b\b\b\b\b",
				       16);
		CHECK(left == 0 || left == 8 || left == 16);
	}
	done(2);
}

static void run(void (*const body[])(void *), size_t n, uint32_t workers)
{
	void *arg[UFFD_USERS];

	open_world(n, workers);
	for (size_t i = 0; i < n; i++)
		arg[i] = &users[i];
	run_concurrently(body, arg, n);
	/* Called off twice, a server may have a signal left. */
	for (size_t i = 0; i < n; i++)
		fl_task_clear_signal(&users[i].thread.task, FL_SIGNAL_PENDING);
	uffd_world_close(&world);
}

#define RACE(name, workers, ...)                                     \
	static void name##_once(size_t schedule)                     \
	{                                                            \
		static void (*const body[])(void *) = {__VA_ARGS__}; \
                                                                     \
		(void)schedule;                                      \
		run(body, FL_ARRAY_LEN(body), workers);              \
	}                                                            \
	static void name(void **state)                               \
	{                                                            \
		(void)state;                                         \
		for_each_schedule(RUNS, name##_once);                \
	}                                                            \
	_Static_assert(1, "")

RACE(crowd_of_faults_and_resolvers_comes_through, 5, serve, serve, work, work, work, work, work_in_kernel_mode);

static void register_and_unregister(void *arg)
{
	struct uffd_user *user = arg;

	for (int i = 0; i < 4; i++) {
		fl_va part = m + (uint64_t)i % 3 * PAGE;

		CHECK(uffd_unregister(user, world.u, part, 2 * PAGE) == 0);
		CHECK(uffd_register(user, world.u, part, 2) == 0);
	}
	done(2);
}
RACE(registering_while_pages_are_missed_loses_nobody, 4, serve, serve, register_and_unregister, work, work,
     work_in_kernel_mode);

static void unmap_and_map(void *arg)
{
	struct uffd_user *user = arg;
	struct fl_task *t = &user->thread.task;
	fl_va out;

	for (int i = 0; i < 4; i++) {
		fl_va part = m + (uint64_t)i % 3 * 2 * PAGE;

		CHECK(fl_munmap(t, part, 2 * PAGE) == 0);
		/* Who waited there is not woken by it. */
		CHECK(uffd_wake(user, world.u, part, 2 * PAGE) == 0);
		CHECK(fl_mmap(t, part, 2 * PAGE, FL_PROT_READ | FL_PROT_WRITE,
			      FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED, &out) == 0);
		CHECK(uffd_register(user, world.u, part, 2) == 0);
	}
	done(2);
}
RACE(unmapping_while_pages_are_missed_loses_nobody, 4, serve, serve, unmap_and_map, work_on_sand, work_on_sand,
     work_in_kernel_mode);

static void move_away_and_back(void *arg)
{
	struct uffd_user *user = arg;
	struct fl_task *t = &user->thread.task;
	fl_va away = uffd_map(user, 2), out;

	for (int i = 0; i < 3; i++) {
		CHECK(fl_mremap(t, m, 2 * PAGE, 2 * PAGE, FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED, away, &out) == 0);
		CHECK(uffd_wake(user, world.u, m, 2 * PAGE) == 0);
		CHECK(fl_mremap(t, away, 2 * PAGE, 2 * PAGE, FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED, m, &out) == 0);
		CHECK(uffd_register(user, world.u, m, 2) == 0);
	}
	done(2);
}
RACE(moving_while_pages_are_missed_loses_nobody, 4, serve, serve, move_away_and_back, work_on_sand, work_on_sand,
     work_in_kernel_mode);

static void drop_and_protect(void *arg)
{
	struct uffd_user *user = arg;
	struct fl_task *t = &user->thread.task;

	for (int i = 0; i < 3; i++) {
		CHECK(fl_madvise(t, m, PAGES * PAGE, FL_MADV_DONTNEED) == 0); /* gives the page table back as well */
		CHECK(fl_mprotect(t, m + PAGE, 2 * PAGE, FL_PROT_READ | FL_PROT_WRITE | FL_PROT_EXEC) == 0);
		CHECK(fl_mprotect(t, m, 4 * PAGE, FL_PROT_READ | FL_PROT_WRITE) == 0);
	}
	done(2);
}
RACE(dropping_while_pages_are_missed_loses_nobody, 4, serve, serve, drop_and_protect, work, work, work_in_kernel_mode);

static void fork_and_look(void *arg)
{
	struct uffd_user *user = arg, child;
	struct fl_mm *mm;

	for (int i = 0; i < 2; i++) {
		CHECK(fl_mm_fork(&user->thread.task, &mm) == 0);
		thread_open(&child.thread, &world.w, mm, 300);
		fl_mm_put(mm);
		child.args = user->args;
		for (uint64_t p = 0; p < PAGES; p++) {
			int value = uffd_load(&child, m + p * PAGE); /* plain memory here */

			CHECK(value == 0 || value == 8);
		}
		/* Through the parent's descriptor it fills the parent. */
		CHECK(fair(&child, uffd_copy(&child, world.u, m, src, 2)));
		uffd_user_close(&child);
	}
	done(2);
}
RACE(forking_while_pages_are_missed_loses_nobody, 4, serve, serve, fork_and_look, work, work, work_in_kernel_mode);

static void fill_everything(void *arg)
{
	struct uffd_user *user = arg;

	for (uint64_t done_pages = 0; done_pages < PAGES;) {
		int err = uffd_copy(user, world.u, m + done_pages * PAGE, src, PAGES - done_pages);

		CHECK(err != -FL_ENOENT && fair(user, err));
		done_pages += err == -FL_EEXIST ? 1 : (uint64_t)user->field / PAGE;
	}
	CHECK(uffd_wake(user, world.u, m, PAGES * PAGE) == 0);
}
RACE(resolvers_that_meet_share_the_work, 0, fill_everything, fill_everything, work, work, fill_everything);

/* Two bodies and one page, so that many schedules put the one into the few steps of the other that matter. */

static void load_one(void *arg)
{
	int value = uffd_load(arg, m);

	CHECK(value == 0 || value == 8);
}

static void fill_one(void *arg)
{
	CHECK(uffd_copy(arg, world.u, m, src, 1) == 0);
}
/* After the fault has looked, before it is a waiter. */
RACE(fill_just_before_the_wait_is_seen, 0, fill_one, load_one);

static void unregister_one(void *arg)
{
	CHECK(uffd_unregister(arg, world.u, m, PAGE) == 0);
}
RACE(unregister_just_before_the_wait_is_seen, 0, unregister_one, load_one);

static void close_one(void *arg)
{
	(void)arg;
	uffd_world_release(&world);
}
RACE(last_close_just_before_the_wait_is_seen, 0, close_one, load_one);

static void close_one_without_memory(void *arg)
{
	(void)arg;
	fl_port_fail_alloc_after(0);
	uffd_world_release(&world);
	CHECK(fl_port_fail_alloc_hit());
	fl_port_fail_alloc_after(-1);
}
RACE(last_close_without_memory_just_before_the_wait_is_seen, 0, close_one_without_memory, load_one);

static void close_soon(void *arg)
{
	struct uffd_user *user = arg;

	CHECK(fair(user, uffd_copy(user, world.u, m, src, 1)));
	concurrent_yield();
	uffd_world_release(&world);
}
/* (The workers do not touch the descriptor, and nobody serves them.) */
RACE(last_close_while_pages_are_missed_loses_nobody, 0, close_soon, work, work, work, work_in_kernel_mode);

static void close_without_memory(void *arg)
{
	struct uffd_user *user = arg;

	close_one_without_memory(user);
	CHECK(uffd_load(user, m) == 0 || uffd_load(user, m) == 8);
}
/* The page tables are there already, so that it is the close that meets the failure; its mapping keeps the context. */
RACE(last_close_without_memory_loses_nobody_either, 0, close_without_memory, work, work, work, work_in_kernel_mode);

/* A child fills an address space whose tasks exit. */

static struct fl_mm *dying;
static struct fl_uffd *dying_u;
static struct uffd_user victim;

static void exit_soon(void *arg)
{
	(void)arg;
	concurrent_yield();
	uffd_user_close(&victim);
	fl_mm_put(dying);
}

static void fill_the_dying(void *arg)
{
	struct uffd_user *user = arg;
	int err;

	for (uint64_t i = 0; i < PAGES; i++) {
		err = uffd_copy(user, dying_u, m + i * PAGE, src, 1);
		CHECK(err == 0 || err == -FL_ESRCH);
	}
	err = uffd_unregister(user, dying_u, m, PAGE);
	CHECK(err == 0 || err == -FL_ENOMEM);
	CHECK(uffd_wake(user, dying_u, m, PAGE) == 0);
}

static void exit_while_a_child_fills_is_clean_once(size_t schedule)
{
	static void (*const body[])(void *) = {exit_soon, fill_the_dying};
	struct fl_mm_config config;
	fl_va out;

	(void)schedule;
	open_world(2, 0);
	config = world.w.config;
	CHECK(fl_soft_mm_create(&config, &dying) == 0);
	uffd_user_open(&victim, &world, dying, 400);
	CHECK(fl_mmap(&victim.thread.task, m, PAGES * PAGE, FL_PROT_READ | FL_PROT_WRITE,
		      FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED, &out) == 0);
	dying_u = uffd_open(&victim, 0, 0);
	CHECK(uffd_register(&victim, dying_u, m, PAGES) == 0);
	run_concurrently(body, (void *const[]){NULL, &users[1]}, 2);
	fl_uffd_release(&world.w.task, dying_u);
	uffd_world_close(&world);
}

static void exit_while_a_child_fills_is_clean(void **state)
{
	(void)state;
	for_each_schedule(RUNS, exit_while_a_child_fills_is_clean_once);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crowd_of_faults_and_resolvers_comes_through),
		cmocka_unit_test(registering_while_pages_are_missed_loses_nobody),
		cmocka_unit_test(unmapping_while_pages_are_missed_loses_nobody),
		cmocka_unit_test(moving_while_pages_are_missed_loses_nobody),
		cmocka_unit_test(dropping_while_pages_are_missed_loses_nobody),
		cmocka_unit_test(forking_while_pages_are_missed_loses_nobody),
		cmocka_unit_test(resolvers_that_meet_share_the_work),
		cmocka_unit_test(fill_just_before_the_wait_is_seen),
		cmocka_unit_test(unregister_just_before_the_wait_is_seen),
		cmocka_unit_test(last_close_just_before_the_wait_is_seen),
		cmocka_unit_test(last_close_without_memory_just_before_the_wait_is_seen),
		cmocka_unit_test(last_close_while_pages_are_missed_loses_nobody),
		cmocka_unit_test(last_close_without_memory_loses_nobody_either),
		cmocka_unit_test(exit_while_a_child_fills_is_clean),
	};

	return cmocka_run_group_tests_name("uffd races " FL_PORT_NAME, tests, NULL, NULL);
}
