/* SPDX-License-Identifier: MIT */
/*
 * A scenario on the running kernel: threads are threads, processes are processes, userfaultfds are the kernel's own.
 * It runs many times with random delays, and collects the outcomes it sees.
 */
#ifndef FL_HOST_H
#define FL_HOST_H

#include "explore/lang/scenario.h"

struct fl_host_options {
	uint64_t runs; /* how many */
	uint64_t seed;
	double seconds; /* and at most so long; 0: no limit */
};

struct fl_host_outcome {
	char *text; /* as fl_outcome_print writes it */
	uint64_t runs;
};

struct fl_host_report {
	uint64_t runs;
	size_t outcomes;
	struct fl_host_outcome *outcome; /* in the order of their text */
	double seconds;
};

/* 0, or -1 with *error (to free): the scenario or this kernel cannot do it, and why. */
int fl_host_run(const struct fl_scenario *s, const struct fl_host_options *options, struct fl_host_report *report,
		char **error);
void fl_host_report_free(struct fl_host_report *report);

#endif
