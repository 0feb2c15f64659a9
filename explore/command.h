/* SPDX-License-Identifier: MIT */
/*
 * faultline-explore: what the command line asks for, and who does it. Exit statuses: 0 nothing is wrong, 1 something
 * is, 2 it cannot be done.
 *
 * No locks: one thread.
 */
#ifndef FL_COMMAND_H
#define FL_COMMAND_H

#include <signal.h>
#include <stdio.h>

#include "explore/lang/scenario.h"
#include "faultline/explore.h"

#define FL_EXIT_FOUND 1
#define FL_EXIT_USAGE 2

enum fl_mode {
	FL_MODE_EXPLORE,
	FL_MODE_REPLAY,
	FL_MODE_GDB,
	FL_MODE_STOP, /* what gdb runs: replay, and stop at the failing step */
	FL_MODE_HOST,
	FL_MODE_FORMAT,
};

struct fl_settings {
	enum fl_mode mode;
	/* -1 or 0: as the scenario says */
	int search, memory;
	int64_t preemptions, alloc_fails;
	uint64_t schedules;
	bool schedules_set;
	uint64_t seed;
	uint32_t events;
	unsigned jobs;
	bool no_plain, keep_going, deep;
	bool outcomes, engine, json, quiet, no_shrink;
	bool check, in_place; /* --format */
	uint64_t runs;        /* --host */
	const char *replay, *state, *resume;
	unsigned step; /* of --gdb: stop before it; UINT_MAX: the finding's */
	char **file;
	int files;
	const char *self; /* argv[0] */
};

/* False: *status is the exit status, and what had to be said was said. */
bool fl_settings_parse(struct fl_settings *t, int argc, char **argv, int *status);
/* What the scenario and the command line say together. */
void fl_settings_options(const struct fl_settings *t, const struct fl_scenario *s, struct fl_explore_options *o);

/* Nonzero: a signal asked to stop. */
extern volatile sig_atomic_t fl_stop_asked;
void fl_stop_on_signals(void);

/* NULL after a message. */
struct fl_scenario *fl_read_scenario(const char *path);
/* Prints error ("out of memory" if NULL), frees it, and returns FL_EXIT_USAGE. */
int fl_say_error(const char *path, char *error);

/* task for each file, in t->jobs processes. The worst exit status. */
int fl_jobs(const struct fl_settings *t, int (*task)(const struct fl_settings *, const char *));

/* Each returns an exit status, and has said what there is to say. */
int fl_do_explore(const struct fl_settings *t, const char *path);
int fl_do_resume(const struct fl_settings *t, const char *path); /* path NULL: the one that the state names */
int fl_do_replay(const struct fl_settings *t, const char *path);
int fl_do_gdb(const struct fl_settings *t, const char *path);
int fl_do_stop(const struct fl_settings *t, const char *path);
int fl_do_host(const struct fl_settings *t, const char *path);
int fl_do_format(const struct fl_settings *t, const char *path);

#endif
