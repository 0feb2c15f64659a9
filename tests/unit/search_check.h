/* SPDX-License-Identifier: MIT */
/*
 * The search, held against brute force on pseudo-random programs.
 *
 * Where a section waits for ever (for a lock that nobody gives back, say), a callback that waits for the section may be taken to have
 * been queued before it: the search finds a run in which all threads come to the same end, and the callback goes. So runs that
 * end with a callback waiting are compared by what the threads come to; all others by all there is.
 *
 * No locks: one OS thread.
 */
#ifndef FL_TEST_SEARCH_CHECK_H
#define FL_TEST_SEARCH_CHECK_H

#include "search_driver.h"

#define BIT_OF(kind) ((uint32_t)1 << (kind))
#define ALL (BIT_OF(OP_KINDS) - 1)

/* Sanitizers make a check five times as slow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FEWER 2
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define FEWER 2
#endif
#endif
#ifndef FEWER
#define FEWER 1
#endif

static bool is_right(const struct brute *b, const struct driver *d, bool exact)
{
	return set_same(&b->finals, &d->finals) && set_same(&b->threads, &d->threads) &&
	       set_is_within(&d->held, &b->held) && !d->twice && (!exact || set_same(&b->ends, &d->ends));
}

/* exact: there is one run of each set of equivalent ones. false: the program is too large for brute force. */
static bool check_program(const struct program *g, bool exact, const char *what, uint64_t seed)
{
	struct brute b = {.preemptions = UINT32_MAX, .limit = exact ? 2500 : 12000, .traces = exact};
	struct driver *d;
	bool right;

	if (!brute_run(&b, g)) {
		brute_free(&b);
		return false;
	}
	d = driver_new(g, (struct fl_search_config){.mode = FL_SEARCH_DPOR});
	d->traces = exact;
	d->seed = seed + 1;
	drive_all(d);
	right = is_right(&b, d, exact);
	if (!right) {
		print_message(
			"%s, seed %llu: %zu final states and %zu were found; %zu of the threads and %zu were found; "
			"%zu traces and %zu were found in %llu runs\n",
			what, (unsigned long long)seed, b.finals.n, d->finals.n, b.threads.n, d->threads.n, b.ends.n,
			d->ends.n, (unsigned long long)d->runs);
		print_program(g);
	}
	assert_true(right);
	brute_free(&b);
	driver_free(d);
	return true;
}

FL_UNUSED static void check_many(bool tso, uint64_t seeds, unsigned threads, unsigned ops, uint32_t kinds, bool exact,
				 const char *what)
{
	uint64_t checked = 0;

	seeds /= FEWER;
	for (uint64_t seed = 0; seed < seeds; seed++) {
		struct program g;

		draw_program(&g, seed, threads, ops, kinds);
		g.tso = tso;
		checked += check_program(&g, exact, what, seed);
	}
	assert_true(checked >= 10 && checked >= seeds / 10);
}

#endif
