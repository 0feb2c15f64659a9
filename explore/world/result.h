/* SPDX-License-Identifier: MIT */
/*
 * Filling in a report. Each returns false when there is no memory.
 *
 * No locks: one OS thread.
 */
#ifndef FL_WORLD_RESULT_H
#define FL_WORLD_RESULT_H

#include "world.h"

/* The run under way has ended so. */
FL_MUST_CHECK bool fl_report_outcome(struct fl_explore_report *r, const char *text);
/* fl_world.kind and .text. */
FL_MUST_CHECK bool fl_report_finding(struct fl_explore_report *r, uint32_t preemptions);
/* The same of other runs, run_id given: here they are counted together. */
FL_MUST_CHECK bool fl_report_add_outcome(struct fl_explore_report *r, const char *text, const char *run_id,
					 uint64_t runs);
FL_MUST_CHECK bool fl_report_add_finding(struct fl_explore_report *r, const struct fl_explore_finding *found);
/* The run under way; to free. */
char *fl_report_run_id(void);
/* No more is to come. */
void fl_report_finish(struct fl_explore_report *r);

#endif
