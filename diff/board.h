/* SPDX-License-Identifier: MIT */
/*
 * A run of random programs: what the driver and its workers share, and the parts of a run.
 *
 * No locks: the board is in shared memory, of atomics. Texts of a slot are written by its worker while the state is
 * FL_SLOT_PLAYING, and read by the driver while it is FL_SLOT_FOUND, or when the worker is dead.
 */
#ifndef FL_DIFF_BOARD_H
#define FL_DIFF_BOARD_H

#include <sys/types.h>

#include "diff/command.h"

#define FL_BOARD_TEXT (64u * 1024)
#define FL_BOARD_KNOWN 4096u /* a power of two */

enum fl_slot_state {
	FL_SLOT_PLAYING,
	FL_SLOT_FOUND, /* it waits to be heard */
};

/* What a worker has found. */
struct fl_found {
	const char *path; /* the file that it is of; NULL: it is random */
	uint64_t program;
	uint32_t kind; /* enum fl_outcome_kind */
	char signature[512];
	char text[FL_BOARD_TEXT];
	char report[FL_BOARD_TEXT];
};

struct fl_slot {
	_Atomic(uint32_t) state;
	_Atomic(bool) began; /* it has both sides, and a program */
	_Atomic(uint64_t) programs, statements, ruled, bad;
	struct fl_found found; /* program and text: of what is being played */
};

struct fl_board {
	struct fl_cover cover;
	_Atomic(uint64_t) next; /* the number of the next program */
	_Atomic(bool) stop;
	_Atomic(uint64_t) known[FL_BOARD_KNOWN]; /* hashes of signatures; 0: free */
	struct fl_slot slot[];
};

struct fl_board *fl_board_new(unsigned slots); /* NULL: out of memory */
void fl_board_free(struct fl_board *b, unsigned slots);
/* Is it the first time? A board that is full says no. */
bool fl_board_is_new(struct fl_board *b, const char *signature);
/* Text into one of a found's arrays; what is too long is cut. */
void fl_board_put(char *to, size_t size, const char *text);

/* The life of a worker, in a process of its own; its exit status. */
int fl_worker_run(const struct fl_diff_settings *t, struct fl_board *b, unsigned slot);

/*
 * Make small what was found, print and save it; in a process of its own. False: when each step was looked at it proved to be
 * one that is known.
 */
bool fl_found_tell(const struct fl_diff_settings *t, struct fl_board *b, const struct fl_found *f, unsigned slot);

/* What came of a run. */
struct fl_run {
	const struct fl_diff_settings *settings;
	struct fl_board *board;
	double seconds;
	unsigned divergences;
	uint64_t before; /* programs that were played when the first was found */
	bool stopped;    /* by a signal, or at too many divergences */
};
uint64_t fl_run_programs(const struct fl_run *r);
void fl_run_progress(const struct fl_run *r, bool last);
void fl_run_summary(const struct fl_run *r);

#endif
