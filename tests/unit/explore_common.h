/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the explorer share: variables that threads share, and what is expected of a report.
 *
 * No locks: one OS thread.
 */
#ifndef FL_TEST_EXPLORE_COMMON_H
#define FL_TEST_EXPLORE_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "faultline/explore.h"

FL_UNUSED static struct shared {
	uint32_t x, y;
	uint32_t r[4];
	struct fl_mutex a, b;
	struct fl_parker parker;
	struct fl_rcu_head head;
	uint32_t *memory;
} w;

FL_UNUSED static void keep_all(void)
{
	memset(&w, 0, sizeof(w));
	fl_explore_keep(&w, sizeof(w));
	fl_explore_name(&w.x, sizeof(w.x), "x");
	fl_explore_name(&w.y, sizeof(w.y), "y");
	fl_explore_name(&w.a, sizeof(w.a), "mutex a");
	fl_explore_name(&w.b, sizeof(w.b), "mutex b");
	fl_explore_name(&w.parker, sizeof(w.parker), "parker");
}

FL_UNUSED static struct fl_explore_report explore(void (*setup)(void *), void (*finish)(void *),
						  const struct fl_explore_options *options)
{
	struct fl_explore_test test = {.name = "test", .setup = setup, .finish = finish};
	struct fl_explore_report report;
	char *error = NULL;
	int err = fl_explore(&test, options, &report, &error);

	if (err)
		print_error("fl_explore: %d: %s\n", err, error ? error : "");
	free(error);
	assert_int_equal(err, 0);
	return report;
}

FL_UNUSED static bool has_outcome(const struct fl_explore_report *r, const char *text)
{
	for (size_t i = 0; i < r->outcomes; i++)
		if (!strcmp(r->outcome[i].text, text))
			return true;
	return false;
}

FL_UNUSED static void expect_finding(const struct fl_explore_report *r, enum fl_explore_kind kind, const char *part)
{
	assert_int_equal(r->findings, 1);
	if (r->finding[0].kind != kind || !strstr(r->finding[0].text, part))
		print_error("found %s: %s\n", fl_explore_kind_name(r->finding[0].kind), r->finding[0].text);
	assert_int_equal(r->finding[0].kind, kind);
	assert_non_null(strstr(r->finding[0].text, part));
}

/* The run id of the finding finds it again. */
FL_UNUSED static void expect_replay(void (*setup)(void *), void (*finish)(void *), const struct fl_explore_report *r,
				    struct fl_explore_options options)
{
	struct fl_explore_report again;

	options.replay = r->finding[0].run_id;
	again = explore(setup, finish, &options);
	expect_finding(&again, r->finding[0].kind, r->finding[0].text);
	assert_int_equal(again.finding[0].events, r->finding[0].events);
	assert_string_equal(again.finding[0].run_id, r->finding[0].run_id);
	fl_explore_report_free(&again);
}

#endif
