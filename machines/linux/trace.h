/* SPDX-License-Identifier: MIT */
/*
 * The trace of a run: one JSON object a line, as things happen. docs/man/faultline.1 describes the fields. The
 * supervisor's one thread; no lock.
 */
#ifndef FAULTLINE_LINUX_TRACE_H
#define FAULTLINE_LINUX_TRACE_H

#include <stdio.h>

#include "linux/run.h"

struct fl_trace;

/* Write to a stream, which the trace closes. NULL: no memory. */
struct fl_trace *fl_trace_new(FILE *out);
struct run_observer *fl_trace_observer(struct fl_trace *t);
/* Flush and close. 0, or -errno if a line could not be written at any time. */
int fl_trace_end(struct fl_trace *t);

/* A JSON string, quotes included. Bytes that are no UTF-8 become U+FFFD. */
void fl_trace_string(FILE *out, const char *s);

#endif
