/* SPDX-License-Identifier: MIT */
/*
 * A scenario, or what a cut leaves of it, handed to the explorer; and what findings and outcomes say of its properties.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/report/report.h"

static int explore(const struct fl_scenario *s, const struct fl_explore_options *o, struct fl_explore_report *report,
		   char **error)
{
	struct fl_exec *x = fl_exec_new(s, error);
	int ret;

	if (!x)
		return -1;
	ret = fl_explore(fl_exec_test(x), o, report, error);
	fl_exec_free(x);
	return ret;
}

int fl_subject_explore(const struct fl_scenario *s, const struct fl_cut *cut, const struct fl_explore_options *o,
		       struct fl_explore_report *report, char **error)
{
	struct fl_scenario *left;
	int ret;

	*report = (struct fl_explore_report){0};
	*error = NULL;
	if (!cut || fl_cut_is_empty(cut))
		return explore(s, o, report, error);
	left = fl_cut_apply(s, cut);
	if (!left)
		return -1;
	ret = explore(left, o, report, error);
	fl_cut_release(left);
	return ret;
}

int fl_finding_property(const struct fl_scenario *s, const struct fl_explore_finding *f)
{
	size_t best = 0;
	int found = -1;

	if (f->kind != FL_EXPLORE_PROPERTY)
		return -1;
	/* The longest: one property's text may be a part of another's. */
	for (size_t i = 0; i < s->properties; i++) {
		size_t len = strlen(s->property[i].text);

		if (len > best && strstr(f->text, s->property[i].text)) {
			best = len;
			found = (int)i;
		}
	}
	return found;
}
