/* SPDX-License-Identifier: MIT */
/*
 * The report of a run, in the spirit of strace -c: it watches as an observer, and is written when the run is over. The
 * supervisor's one thread; no lock.
 */
#ifndef FAULTLINE_LINUX_REPORT_H
#define FAULTLINE_LINUX_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "linux/run.h"

struct fl_report;

/* progress: show a line on standard error while the run is long. NULL: no memory. */
struct fl_report *fl_report_new(bool progress);
void fl_report_free(struct fl_report *r);
/* The observer that feeds it. Valid until fl_report_free. */
struct run_observer *fl_report_observer(struct fl_report *r);
/* Take the progress line away. */
void fl_report_quiet(struct fl_report *r);
void fl_report_write(struct fl_report *r, FILE *out, const char *program, const struct fl_run_result *res);

/*
 * What a program's reader calls the mapping at va: "heap", "stack", "anonymous", "foreign", "none"; start and end of
 * it.
 */
const char *fl_report_mapping(struct guest_thread *th, fl_va va, fl_va *start, fl_va *end);

#endif
