/* SPDX-License-Identifier: MIT */
/*
 * What the two sides of a shared search have in common: counters and frames.
 *
 *   down   PART: a state to explore. RACES: come before the part that must know them
 *   up     GAVE: a part of mine, or nothing, as I was asked. RESULT. DONE: with races for the giver. LEFT: a state: I was
 *          stopped, or wait for parts that I gave. FAILED: why
 *
 * No locks: processes with one thread each. `ask` is the coordinator's to set, and the worker's to clear.
 */
#ifndef FL_SEARCH_JOBS_INTERNAL_H
#define FL_SEARCH_JOBS_INTERNAL_H

#include "explore/search/jobs.h"

enum {
	ASK_NOTHING,
	ASK_SPLIT,
	ASK_STOP
};
/* In the page that all share, one of each worker. */
struct counters {
	uint32_t ask, stop;
	uint64_t runs, cut;
};

enum frame_kind {
	FRAME_PART,
	FRAME_RACES,
	FRAME_GAVE,
	FRAME_RESULT,
	FRAME_DONE,
	FRAME_LEFT,
	FRAME_FAILED
};
struct frame {
	uint32_t kind, pad;
	uint64_t size;
};

bool fl_frame_send(int socket, enum frame_kind kind, const void *bytes, size_t n);
/* The bytes, with a zero after them; NULL: the other end is gone, or there is no memory. */
char *fl_frame_receive(int socket, struct frame *frame);

/* The worker. */
void fl_worker_main(const struct fl_jobs_config *config, int socket, struct counters *counters)
	__attribute__((noreturn));

#endif
