/* SPDX-License-Identifier: MIT */
/*
 * concurrent.h on the fibers port: a fiber for each body, under a random policy whose seed is the
 * schedule. A second run_concurrently in one schedule continues with another seed.
 *
 * No locks: one OS thread.
 */
#include "concurrent.h"

#include <stdio.h>

#include "fl_fiber.h"

#define MAX_BODIES 64

void run_concurrently(void (*const body[])(void *), void *const arg[], size_t n)
{
	struct fl_fiber *fibers[MAX_BODIES];

	CHECK(n >= 1 && n <= MAX_BODIES);
	for (size_t i = 0; i < n; i++) {
		char name[FL_FIBER_NAME_MAX];

		snprintf(name, sizeof(name), "body %zu", i);
		fibers[i] = fl_fiber_create(name, body[i], arg ? arg[i] : NULL, 0);
		CHECK(fibers[i]);
	}
	fl_fiber_random_policy(concurrent_schedule + (uint64_t)concurrent_runs++ * 1000003);
	if (fl_fiber_run() != 0) {
		char report[4096];

		fl_fiber_report(report, sizeof(report));
		fprintf(stderr, "these bodies wait for ever:\n%s", report);
		concurrent_fail(__FILE__, __LINE__, "every body returns");
	}
	fl_fiber_set_policy(NULL, NULL, false);
	for (size_t i = 0; i < n; i++)
		fl_fiber_destroy(fibers[i]);
}

void concurrent_yield(void)
{
	fl_fiber_yield();
}

void concurrent_linger(void)
{
	for (int i = 0; i < 100; i++)
		fl_fiber_yield();
}
