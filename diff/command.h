/* SPDX-License-Identifier: MIT */
/*
 * faultline-diff: what the command line asks for, and who does it. Exit statuses: 0 both sides agree, 1 they differ
 * somewhere, 2 it cannot be done.
 *
 * No locks: one thread.
 */
#ifndef FL_DIFF_COMMAND_H
#define FL_DIFF_COMMAND_H

#include <signal.h>
#include <stdio.h>

#include "diff/generate.h"
#include "diff/player.h"
#include "faultline/compiler.h"

#define FL_DIFF_EXIT_DIFFER 1
#define FL_DIFF_EXIT_CANNOT 2
#define FL_DIFF_KERNEL "6.18" /* what the engine is */
#define FL_DIFF_JOBS_MAX 256u

struct fl_diff_settings {
	uint64_t seconds, programs; /* how long, and how many; 0: no limit */
	uint64_t seed;
	bool seed_set;
	unsigned jobs;
	struct fl_generate_options generate;
	bool focus_set, statements_set;
	uint64_t program; /* this one of a run alone; UINT64_MAX: all */
	bool print;       /* and only its text */
	const char *save; /* the directory of what was found */
	const char *log;
	bool coverage;
	const char *coverage_file; /* NULL: the table goes to stdout */
	bool quiet, verbose, keep_going, first, no_shrink, shrink, json, check_ground;
	char **file;
	int files;
};

/* False: *status is the exit status, and what had to be said was said. */
bool fl_diff_settings_parse(struct fl_diff_settings *t, int argc, char **argv, int *status);
/* The options that make the same programs again: " --focus uffd --statements 12", or "". Into buf; returns buf. */
const char *fl_diff_settings_again(const struct fl_diff_settings *t, char *buf, size_t size);
/* Of program i of a run. */
uint64_t fl_diff_seed(uint64_t seed, uint64_t i);

/* Nonzero: a signal asked to stop. */
extern volatile sig_atomic_t fl_diff_stop_asked;

/* "faultline diff: ...", and FL_DIFF_EXIT_CANNOT. */
FL_PRINTF(1, 2) int fl_diff_say(const char *format, ...);

/* Each returns an exit status, and has said what there is to say. */
int fl_diff_random(const struct fl_diff_settings *t);
int fl_diff_files(const struct fl_diff_settings *t);
int fl_diff_one_program(const struct fl_diff_settings *t);
int fl_diff_check_ground(void);
/* On stderr, if the running kernel is not the one that the engine is. */
void fl_diff_warn_of_release(const char *release);

#endif
