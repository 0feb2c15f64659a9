/* SPDX-License-Identifier: MIT */
/*
 * Reading messages, and poll: how many a read returns, in which order, who gets which, and what ends a blocking read.
 * Each test with bodies runs under several schedules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "uffd/context.h"
#include "uffd_support.h"

#define RUNS SCHEDULES(40, 15)
#define LOADERS 3

static struct uffd_world world;
static struct uffd_user *const resolver = &world.users[0];
static fl_va m, src;
static uint32_t turn;        /* (a) the loader that may go now */
static uint32_t got, served; /* (a) by the readers of a test: pages seen, as bits; how many */

static void open_world(void)
{
	uffd_world_open(&world, 8, 0, 0);
	m = uffd_map(resolver, 4);
	src = uffd_map_filled(resolver, 1, 8);
	CHECK(uffd_register(resolver, world.u, m, 4) == 0);
	fl_store(&turn, 0);
	fl_store(&got, 0);
	fl_store(&served, 0);
}

static size_t index_of(const struct uffd_user *user)
{
	return (size_t)(user - world.users);
}

/* User 1 loads page 2, user 2 page 1, user 3 page 0, each when it is its turn. */
static void load_in_turn(void *arg)
{
	size_t i = index_of(arg);

	while (fl_load_acquire(&turn) < i)
		concurrent_yield();
	CHECK(uffd_load(arg, m + (LOADERS - i) * PAGE) == 8);
}

/* Let the loaders go one after the other, each when the one before has queued its message. */
static void let_them_queue_up(void)
{
	for (uint32_t i = 1; i <= LOADERS; i++) {
		fl_store_release(&turn, i);
		while (fl_load_acquire(&world.unread) < i)
			concurrent_yield();
		CHECK(uffd_pending(world.u) == i && uffd_total(world.u) == i);
	}
}

static void fill_all(void)
{
	fl_va pages = uffd_map_filled(resolver, 4, 8);

	CHECK(uffd_copy(resolver, world.u, m, pages, 4) == 0);
}

static void run_loaders(void (*resolve)(void *))
{
	void (*const body[])(void *) = {resolve, load_in_turn, load_in_turn, load_in_turn};
	void *const arg[] = {resolver, &world.users[1], &world.users[2], &world.users[3]};

	open_world();
	run_concurrently(body, arg, 4);
	uffd_world_close(&world);
}

static void read_in_pieces(void *arg)
{
	struct fl_uffd_msg msg[4];
	struct fl_task *t = &resolver->thread.task;

	(void)arg;
	CHECK(fl_uffd_poll(world.u, true) == 0);
	let_them_queue_up();
	CHECK(fl_uffd_poll(world.u, true) == FL_POLLIN && fl_uffd_poll(world.u, false) == FL_POLLERR);
	CHECK(fl_uffd_read(t, world.u, resolver->args, 31, true) == -FL_EINVAL);
	CHECK(fl_uffd_read(t, world.u, resolver->args, 0, true) == -FL_EINVAL);
	CHECK(fl_uffd_read(t, world.u, resolver->args, 95, false) == 64);
	CHECK(fl_copy_from_user(t, msg, resolver->args, 64) == 0);
	CHECK(msg[0].arg1 == m + 2 * PAGE && msg[1].arg1 == m + PAGE); /* the oldest first */
	CHECK(uffd_pending(world.u) == 1 && uffd_total(world.u) == 3);
	CHECK(fl_uffd_poll(world.u, true) == FL_POLLIN);
	CHECK(fl_uffd_read(t, world.u, resolver->args, sizeof(msg), false) == 32); /* blocks for the first only */
	CHECK(fl_copy_from_user(t, msg, resolver->args, 32) == 0);
	CHECK(msg[0].arg1 == m);
	CHECK(fl_uffd_poll(world.u, true) == 0 && fl_load(&world.unread) == 0);
	CHECK(fl_uffd_read(t, world.u, resolver->args, sizeof(msg), true) == -FL_EAGAIN);
	fill_all();
}

static void read_returns_whole_messages_once(size_t schedule)
{
	(void)schedule;
	run_loaders(read_in_pieces);
}

static void read_returns_whole_messages(void **state)
{
	(void)state;
	for_each_schedule(RUNS, read_returns_whole_messages_once);
}

static void read_badly(void *arg)
{
	struct fl_task *t = &resolver->thread.task;
	fl_va two = uffd_map_filled(resolver, 2, 0);

	(void)arg;
	CHECK(fl_mprotect(t, two + PAGE, PAGE, FL_PROT_READ) == 0);
	let_them_queue_up();
	CHECK(fl_uffd_read(t, world.u, 8, 32, true) == -FL_EFAULT);
	CHECK(uffd_pending(world.u) == 2 && uffd_total(world.u) == 3);    /* lost, but its thread still waits */
	CHECK(fl_uffd_read(t, world.u, two + PAGE - 32, 96, true) == 32); /* the count so far */
	CHECK(uffd_pending(world.u) == 0);                                /* the third is lost, too */
	CHECK(uffd_wake(resolver, world.u, m, 4 * PAGE) == 0);            /* they look again, and say so */
	for (int i = 0; i < LOADERS; i++) {
		struct fl_uffd_msg msg;

		CHECK(uffd_next(resolver, world.u, true, &msg));
	}
	fill_all();
}

static void read_into_a_bad_buffer_loses_messages_once(size_t schedule)
{
	(void)schedule;
	run_loaders(read_badly);
}

static void read_into_a_bad_buffer_loses_messages(void **state)
{
	(void)state;
	for_each_schedule(RUNS, read_into_a_bad_buffer_loses_messages_once);
}

static void resolve_unread(void *arg)
{
	(void)arg;
	let_them_queue_up();
	CHECK(uffd_copy(resolver, world.u, m + PAGE, src, 1) == 0);
	CHECK(fl_load(&world.unread) == 2 && uffd_total(world.u) == 2);
	CHECK(uffd_copy(resolver, world.u, m, src, 1) == 0);
	CHECK(uffd_copy(resolver, world.u, m + 2 * PAGE, src, 1) == 0);
	CHECK(fl_load(&world.unread) == 0 && fl_uffd_poll(world.u, true) == 0);
}

static void message_of_a_resolved_fault_vanishes_once(size_t schedule)
{
	(void)schedule;
	run_loaders(resolve_unread);
}

static void message_of_a_resolved_fault_vanishes(void **state)
{
	(void)state;
	for_each_schedule(RUNS, message_of_a_resolved_fault_vanishes_once);
}

/* Blocking readers. */

static void read_one_and_fill(void *arg)
{
	struct uffd_user *user = arg;
	struct fl_uffd_msg msg;

	CHECK(uffd_next(user, world.u, true, &msg));
	/* Nobody else has been told of this page. */
	CHECK(!(fl_or(&got, 1u << ((msg.arg1 - m) / PAGE)) & 1u << ((msg.arg1 - m) / PAGE)));
	CHECK(uffd_copy(user, world.u, msg.arg1, src, 1) == 0);
}

static void load_own_page(void *arg)
{
	CHECK(uffd_load(arg, m + (index_of(arg) - 4) * PAGE) == 8);
}

static void each_message_goes_to_one_reader_once(size_t schedule)
{
	void (*const body[])(void *) = {read_one_and_fill, read_one_and_fill, read_one_and_fill, read_one_and_fill,
					load_own_page,     load_own_page,     load_own_page,     load_own_page};
	void *arg[8];

	(void)schedule;
	open_world();
	for (size_t i = 0; i < 8; i++)
		arg[i] = &world.users[i];
	run_concurrently(body, arg, 8);
	CHECK(fl_load(&got) == 15);
	uffd_world_close(&world);
}

static void each_message_goes_to_one_reader(void **state)
{
	(void)state;
	for_each_schedule(4 * RUNS, each_message_goes_to_one_reader_once);
}

/* Serve until a signal comes. */
static void serve_until_signal(void *arg)
{
	struct uffd_user *user = arg;
	struct fl_uffd_msg msg;

	while (uffd_next(user, world.u, true, &msg)) {
		int err = uffd_copy(user, world.u, msg.arg1, src, 1);

		CHECK(err == 0 || err == -FL_EEXIST);
		if (err)
			CHECK(uffd_wake(user, world.u, msg.arg1, PAGE) == 0);
	}
	CHECK(fl_load(&user->thread.task.signals) == FL_SIGNAL_PENDING);
	fl_task_clear_signal(&user->thread.task, FL_SIGNAL_PENDING);
}

/* User 0 is called off at some moment; what it leaves behind, user 1 must get, until it is called off at the end. */
static void load_all_and_call_off(void *arg)
{
	struct uffd_user *user = arg;

	CHECK(uffd_load(user, m) == 8);
	fl_task_signal(&world.users[0].thread.task, FL_SIGNAL_PENDING);
	for (uint64_t i = 1; i < 4; i++)
		CHECK(uffd_load(user, m + i * PAGE) == 8);
	if (fl_add(&served, 1) == 2)
		fl_task_signal(&world.users[1].thread.task, FL_SIGNAL_PENDING);
}

static void reader_called_off_leaves_its_messages_to_the_next_once(size_t schedule)
{
	void (*const body[])(void *) = {serve_until_signal, serve_until_signal, load_all_and_call_off,
					load_all_and_call_off};
	void *const arg[] = {&world.users[0], &world.users[1], &world.users[2], &world.users[3]};

	(void)schedule;
	open_world();
	run_concurrently(body, arg, 4);
	fl_task_clear_signal(&world.users[0].thread.task, FL_SIGNAL_PENDING); /* it may have come a second time */
	uffd_world_close(&world);
}

static void reader_called_off_leaves_its_messages_to_the_next(void **state)
{
	(void)state;
	for_each_schedule(4 * RUNS, reader_called_off_leaves_its_messages_to_the_next_once);
}

static void read_till_signal(void *arg)
{
	struct uffd_user *user = arg;
	struct fl_uffd *u = world.u;

	CHECK(fl_uffd_read(&user->thread.task, u, user->args, 32, false) == -FL_ERESTARTSYS);
	fl_task_clear_signal(&user->thread.task, FL_SIGNAL_PENDING);
}

static bool somebody_reads(struct fl_uffd *u)
{
	bool yes;

	fl_mutex_lock(&u->mutex);
	yes = u->first_reader != NULL;
	fl_mutex_unlock(&u->mutex);
	return yes;
}

static void release_and_signal(void *arg)
{
	(void)arg;
	while (!somebody_reads(world.u))
		concurrent_yield();
	uffd_world_release(&world);
	for (int i = 0; i < 5; i++)
		concurrent_yield();
	fl_task_signal(&world.users[1].thread.task, FL_SIGNAL_PENDING);
}

/* The last close does not end a read in progress; the object stays until it is over. */
static void last_close_under_a_reader_leaves_it_asleep_once(size_t schedule)
{
	void (*const body[])(void *) = {release_and_signal, read_till_signal};
	void *const arg[] = {&world.users[0], &world.users[1]};

	(void)schedule;
	open_world();
	run_concurrently(body, arg, 2);
	uffd_world_close(&world);
}

static void last_close_under_a_reader_leaves_it_asleep(void **state)
{
	(void)state;
	for_each_schedule(RUNS, last_close_under_a_reader_leaves_it_asleep_once);
}

static void read_with_a_signal_pending_restarts(void **state)
{
	struct fl_task *t = &resolver->thread.task;

	(void)state;
	open_world();
	fl_task_signal(t, FL_SIGNAL_PENDING);
	assert_int_equal(fl_uffd_read(t, world.u, resolver->args, 32, false), -FL_ERESTARTSYS);
	assert_int_equal(fl_uffd_read(t, world.u, resolver->args, 32, true), -FL_EAGAIN);
	fl_task_clear_signal(t, FL_SIGNAL_PENDING);
	uffd_world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_returns_whole_messages),
		cmocka_unit_test(read_into_a_bad_buffer_loses_messages),
		cmocka_unit_test(message_of_a_resolved_fault_vanishes),
		cmocka_unit_test(each_message_goes_to_one_reader),
		cmocka_unit_test(reader_called_off_leaves_its_messages_to_the_next),
		cmocka_unit_test(last_close_under_a_reader_leaves_it_asleep),
		cmocka_unit_test(read_with_a_signal_pending_restarts),
	};

	return cmocka_run_group_tests_name("uffd read " FL_PORT_NAME, tests, NULL, NULL);
}
