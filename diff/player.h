/* SPDX-License-Identifier: MIT */
/*
 * Who plays programs.
 *
 *   pair     both sides and a play, in this process. What breaks the engine ends the process
 *   player   a process with a pair of its own, which plays what it is given, and may be lost
 *
 * No locks: each process is one thread.
 */
#ifndef FL_DIFF_PLAYER_H
#define FL_DIFF_PLAYER_H

#include <stdio.h>
#include <sys/types.h>

#include "diff/play.h"

struct fl_pair {
	struct fl_ground ground;
	struct fl_side *engine, *host;
	struct fl_play *play;
};
/* NULL and *error (to free; NULL: out of memory). The process should be small: worlds are forked from it. */
struct fl_pair *fl_pair_new(char **error);
void fl_pair_free(struct fl_pair *pair);

enum fl_outcome_kind {
	FL_OUTCOME_AGREE,
	FL_OUTCOME_RULED,
	FL_OUTCOME_DIFFER,
	FL_OUTCOME_BROKEN,  /* a side broke down, or its process did */
	FL_OUTCOME_REFUSED, /* it is no program that can be compared */
	FL_OUTCOME_CANNOT,  /* nothing can be played here: text says why */
};
struct fl_outcome {
	enum fl_outcome_kind kind;
	unsigned steps, rule;
	/* DIFFER, BROKEN, REFUSED: what says that two are the same one. NULL: out of memory */
	char *signature;
	/* Of a pair: BROKEN, REFUSED, CANNOT: how. Of a player: that, or, if it was asked for, the report */
	char *text;
	struct fl_scenario *s; /* of a pair */
};
void fl_outcome_free(struct fl_outcome *o);
/* Is it something to report? */
static inline bool fl_outcome_is_bad(const struct fl_outcome *o)
{
	return o->kind == FL_OUTCOME_DIFFER || o->kind == FL_OUTCOME_BROKEN || o->kind == FL_OUTCOME_REFUSED;
}

/* path: for messages. After BROKEN and CANNOT the pair is of no more use. */
void fl_pair_play(struct fl_pair *pair, const char *path, const char *text, bool every_step, struct fl_outcome *o);
/* What is to be read about it. */
void fl_pair_report(const struct fl_pair *pair, const struct fl_outcome *o, FILE *f);

struct fl_player;
#define FL_PLAYER_STEPS 1u   /* every_step */
#define FL_PLAYER_REPORT 2u  /* text: the report */
#define FL_PLAYER_ANSWERS 4u /* likewise, also if they agree */
/* slot: which processor; seconds: how long a program may take. NULL: out of memory. */
struct fl_player *fl_player_new(unsigned slot, double seconds);
void fl_player_free(struct fl_player *p);
void fl_player_play(struct fl_player *p, const char *path, const char *text, unsigned flags, struct fl_outcome *o);

/*
 * A process of our own for sides: a group of processes with what it forks, gone when its parent is; on one processor; what it
 * says on stderr goes to the file. Returns as fork does.
 */
pid_t fl_child_fork(unsigned slot, FILE *err);
/* The end of all of them. Returns the status, as of waitpid. */
int fl_child_kill(pid_t pid);
/* A process ended with this status, and this is what it had said: how the outcome reads. Frees nothing of it. */
void fl_child_outcome(int status, FILE *err, struct fl_outcome *o);
/* How many processors there are for us, at least 1. */
unsigned fl_child_processors(void);
/* What a file has, to free. NULL: out of memory. */
char *fl_child_said(FILE *f);

#endif
