/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the fibers share: a trace of letters that the fibers leave, things to wait for, and
 * fibers that wait for them.
 *
 * No locks: one OS thread.
 */
#ifndef FL_TEST_FIBERS_COMMON_H
#define FL_TEST_FIBERS_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
#include "fl_fiber.h"

FL_UNUSED static uint32_t word;
FL_UNUSED static struct fl_parker parker;
FL_UNUSED static struct fl_mutex lock_a, lock_b;
FL_UNUSED static struct fl_rcu_head heads[2];

FL_UNUSED static char trace[4096];
FL_UNUSED static size_t traced;

FL_UNUSED static void note(char c)
{
	CHECK(traced + 1 < sizeof(trace));
	trace[traced++] = c;
	trace[traced] = '\0';
}

/* arg, if any, is a string, and names the fiber. */
FL_UNUSED static struct fl_fiber *create(void (*fn)(void *), void *arg)
{
	struct fl_fiber *f = fl_fiber_create(arg ? arg : "fiber", fn, arg, 0);

	CHECK(f);
	return f;
}

FL_UNUSED static int reset(void **state)
{
	(void)state;
	fl_fiber_set_policy(NULL, NULL, false);
	fl_fiber_set_hooks(NULL);
	traced = 0;
	trace[0] = '\0';
	return 0;
}

FL_UNUSED static int destroy_all(void **state)
{
	(void)state;
	fl_fiber_set_policy(NULL, NULL, false);
	fl_fiber_set_hooks(NULL);
	while (fl_fiber_next(NULL))
		fl_fiber_destroy(fl_fiber_next(NULL));
	return 0;
}

FL_UNUSED static void hold_for_a_block(void *arg)
{
	fl_mutex_lock(&lock_a);
	note(*(const char *)arg);
	fl_fiber_block();
	fl_mutex_unlock(&lock_a);
}

FL_UNUSED static void read_until_woken(void *arg)
{
	fl_rcu_read_lock();
	fl_rcu_read_lock();
	fl_fiber_block();
	fl_rcu_read_unlock();
	note(*(const char *)arg);
	fl_rcu_read_unlock();
}

FL_UNUSED static void note_callback(struct fl_rcu_head *head)
{
	note(head == &heads[0] ? '0' : '1');
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, reset, destroy_all)

#endif
