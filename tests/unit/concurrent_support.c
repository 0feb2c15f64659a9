/* SPDX-License-Identifier: MIT */
/*
 * The part of concurrent.h that is the same for both ports.
 *
 * No locks: these change only while no body runs.
 */
#include "concurrent.h"

#include <stdio.h>
#include <stdlib.h>

#include "faultline/fl_port.h"

size_t concurrent_schedule;
size_t concurrent_runs;

void for_each_schedule(size_t count, void (*fn)(size_t schedule))
{
	const char *only = getenv("FL_SCHEDULE");
	size_t first = 0;

	if (only) {
		char *end;

		first = strtoul(only, &end, 0);
		if (*end || end == only) {
			fprintf(stderr, "FL_SCHEDULE=%s: not a number\n", only);
			abort();
		}
		count = first + 1;
	}
	for (size_t i = first; i < count; i++) {
		concurrent_schedule = i;
		concurrent_runs = 0;
		fn(i);
	}
	concurrent_schedule = 0;
}

void concurrent_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: failed in schedule %zu of port %s: %s\n", file, line, concurrent_schedule, FL_PORT_NAME,
		what);
	fprintf(stderr, "to run this schedule alone, set FL_SCHEDULE=%zu\n", concurrent_schedule);
	abort();
}
