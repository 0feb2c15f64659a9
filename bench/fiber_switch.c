/* SPDX-License-Identifier: MIT */
/*
 * What the explorer's ground costs: a point that changes fibers, and one that does not. A driver decides at each, as
 * the explorer does, but without thinking.
 *
 *   fiber_switch [POINTS]    prints "nanoseconds per switch" and "nanoseconds per point", one line each
 *
 * No locks: one OS thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fl_fiber.h"

static struct fl_fiber *fibers[2];
static unsigned long points, left;
static bool alternate;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Both fibers run for ever; the driver stops them. */
static void body(void *variable)
{
	for (;;)
		(void)fl_load((const uint32_t *)variable);
}

static struct fl_fiber *next(void *arg, struct fl_fiber *f, const struct fl_fiber_point *point)
{
	(void)arg;
	(void)point;
	if (!left--)
		return NULL;
	return alternate ? fibers[f == fibers[0]] : f;
}

static void *stack(void *arg, size_t *size)
{
	(void)arg;
	*size = FL_FIBER_STACK;
	return aligned_alloc(4096, *size);
}

static void panic(void *arg, const char *file, int line, const char *what)
{
	(void)arg;
	fprintf(stderr, "fiber_switch: %s:%d: %s\n", file, line, what);
	exit(1);
}

static double run(bool change)
{
	double start;

	alternate = change;
	left = points;
	start = now();
	fl_fiber_drive(fibers[0]);
	return (now() - start) / (double)points;
}

int main(int argc, char **argv)
{
	static uint32_t variable[2];
	const struct fl_fiber_driver driver = {.next = next, .stack = stack, .panic = panic};
	double with, without;

	points = argc > 1 ? strtoul(argv[1], NULL, 0) : 10000000;
	if (!points) {
		fprintf(stderr, "usage: fiber_switch [POINTS]\n");
		return 2;
	}
	fl_fiber_set_driver(&driver);
	for (int i = 0; i < 2; i++) {
		fibers[i] = fl_fiber_create(i ? "one" : "other", body, &variable[i], 0);
		if (!fibers[i]) {
			fprintf(stderr, "fiber_switch: no memory for a fiber\n");
			return 1;
		}
	}
	/* To their first points. */
	left = 2;
	alternate = true;
	fl_fiber_drive(fibers[0]);
	with = run(true);
	without = run(false);
	printf("%.1f\n%.1f\n", with - without, without);
	return 0;
}
