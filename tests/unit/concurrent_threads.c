/* SPDX-License-Identifier: MIT */
/*
 * concurrent.h on the threads port: a pthread for each body, released together.
 *
 * No locks: a barrier starts the bodies, and joining ends them.
 */
#define _GNU_SOURCE
#include "concurrent.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "faultline/fl_port.h"

#define MAX_BODIES 64

struct run {
	pthread_t thread;
	pthread_barrier_t *start;
	void (*body)(void *);
	void *arg;
};

static void *start_body(void *arg)
{
	struct run *run = arg;

	pthread_barrier_wait(run->start);
	run->body(run->arg);
	return NULL;
}

void run_concurrently(void (*const body[])(void *), void *const arg[], size_t n)
{
	struct run runs[MAX_BODIES];
	pthread_barrier_t start;

	CHECK(n >= 1 && n <= MAX_BODIES);
	CHECK(pthread_barrier_init(&start, NULL, (unsigned int)n) == 0);
	for (size_t i = 0; i < n; i++) {
		runs[i] = (struct run){.start = &start, .body = body[i], .arg = arg ? arg[i] : NULL};
		CHECK(pthread_create(&runs[i].thread, NULL, start_body, &runs[i]) == 0);
	}
	for (size_t i = 0; i < n; i++)
		CHECK(pthread_join(runs[i].thread, NULL) == 0);
	pthread_barrier_destroy(&start);
}

void concurrent_yield(void)
{
	sched_yield();
}

void concurrent_linger(void)
{
	const struct timespec time = {.tv_nsec = 100 * 1000 * 1000};

	nanosleep(&time, NULL);
}
