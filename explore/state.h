/* SPDX-License-Identifier: MIT */
/*
 * An exploration that was stopped, as a file: which scenario, with which options, and what the explorer wants to know.
 *
 * No locks: one thread.
 */
#ifndef FL_STATE_H
#define FL_STATE_H

#include "explore/lang/scenario.h"

struct fl_saved {
	char *path; /* of the scenario */
	uint64_t hash;
	struct fl_explore_options options; /* state is the explorer's text */
	struct fl_explore_report report;   /* of what was done */
	char *text;
};

/* report->state is what is still to do. Whole or not at all: another file in its place first. False: *error. */
bool fl_saved_write(const char *file, const struct fl_scenario *s, const struct fl_explore_options *o,
		    const struct fl_explore_report *report, char **error);
bool fl_saved_read(const char *file, struct fl_saved *saved, char **error);
void fl_saved_free(struct fl_saved *saved);

#endif
