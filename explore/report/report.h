/* SPDX-License-Identifier: MIT */
/*
 * What users see of an exploration.
 *
 *   subject   a scenario with the options it is explored with
 *   run name  how users write a run: which scenario it is of, what was left out of that, the options that decide
 *             what a step is, and the explorer's run id
 *   cut       what is left out of a scenario to make a counterexample small
 *   story     a run that was replayed, step by step; printed as columns
 *
 * No locks: one thread.
 */
#ifndef FL_REPORT_H
#define FL_REPORT_H

#include <stdio.h>

#include "explore/exec/exec.h"
#include "explore/lang/scenario.h"
#include "faultline/explore.h"

/* Errors are texts to free; NULL stands for "out of memory". This is what to print of one. */
const char *fl_error_text(const char *error);
FL_PRINTF(1, 2) char *fl_error_make(const char *format, ...);

/* "1,234,567", into one of a few buffers that take turns. */
const char *fl_show_count(uint64_t n);
/* "0.01 s", "2 min 5 s", likewise. */
const char *fl_show_seconds(double seconds);
/* Columns of the terminal, or what COLUMNS says: 80 to 160. */
unsigned fl_show_width(FILE *out);

/* Cuts */

/* Statements are numbered as they stand in the text: setup, then the threads, a block before its body. */
struct fl_cut {
	size_t statements, properties;
	bool *statement; /* left out */
	bool *property;  /* left out */
};
/* Nothing is left out yet. False: out of memory. */
bool fl_cut_init(struct fl_cut *cut, const struct fl_scenario *s);
void fl_cut_free(struct fl_cut *cut);
bool fl_cut_copy(struct fl_cut *to, const struct fl_cut *from);
bool fl_cut_is_empty(const struct fl_cut *cut);
/* Statement i with what is in it: [i, end). */
size_t fl_cut_end(const struct fl_scenario *s, size_t i);
/* The statement; *thread: where, or FL_SC_SETUP. NULL: there is none of that number. */
const struct fl_sc_statement *fl_cut_statement(const struct fl_scenario *s, size_t i, unsigned *thread);
/* What is left: shares all but the lists with s. NULL: out of memory. */
struct fl_scenario *fl_cut_apply(const struct fl_scenario *s, const struct fl_cut *cut);
void fl_cut_release(struct fl_scenario *left);
/* May statement i go as well, that is, does nothing that is left speak of it? */
bool fl_cut_allowed(const struct fl_scenario *s, const struct fl_cut *cut, size_t i);

/* Run names: "HASH_FIELDS_ID" */

struct fl_run_name {
	uint32_t hash;
	enum fl_explore_memory memory;
	bool no_plain;
	unsigned alloc_fails;
	uint32_t events;
	struct fl_cut cut; /* of no length: nothing is left out */
	char *id;
};
uint32_t fl_run_hash(const struct fl_scenario *s);
/* To free; NULL: out of memory. cut may be NULL. */
char *fl_run_name_print(const struct fl_scenario *s, const struct fl_explore_options *o, const struct fl_cut *cut,
			const char *id);
/* False: *error. It must be of this scenario. */
bool fl_run_name_parse(struct fl_run_name *name, const struct fl_scenario *s, const char *text, char **error);
void fl_run_name_free(struct fl_run_name *name);

/* Exploring */

/* As fl_explore, of a scenario, or of what a cut leaves of it (cut may be NULL). */
int fl_subject_explore(const struct fl_scenario *s, const struct fl_cut *cut, const struct fl_explore_options *o,
		       struct fl_explore_report *report, char **error);

/* Which property a finding speaks of; -1: none. */
int fl_finding_property(const struct fl_scenario *s, const struct fl_explore_finding *f);
/*
 * What an outcome's line says of a property, taken back from the text: 1 it holds, 0 it does not, -1: the line does not
 * say enough.
 */
int fl_outcome_holds(const struct fl_scenario *s, const struct fl_sc_expr *e, const char *outcome);
/* A witness of `sometimes` property i among the report's outcomes, or NULL. */
const struct fl_explore_seen *fl_sometimes_seen(const struct fl_scenario *s, size_t property,
						const struct fl_explore_report *report);

/* Reports put together */

/*
 * from is the leg after to: its search went on counting where to's stopped, but outcomes, findings, time and switches are its
 * own. False: out of memory; to has a part. state is left alone.
 */
bool fl_ledger_add(struct fl_explore_report *to, const struct fl_explore_report *from);
void fl_ledger_write(FILE *out, const struct fl_explore_report *r);
/* What was written, from a text that is changed. *at: behind it. False: it is not such a text, or out of memory. */
bool fl_ledger_read(char **at, struct fl_explore_report *r);

/* Stories */

struct fl_story_step {
	uint32_t index;
	unsigned thread, op_line;
	bool flush, switched, preempted;
	uint8_t kind, order, size; /* of the access */
	uint32_t line;
	char *file, *what, *object; /* file: NULL if it is the port's own step */
	char *op, *result;
};
struct fl_story {
	size_t steps, room;
	struct fl_story_step *step;
	char *name[FL_EXPLORE_RCU + 1];                 /* of the threads that take part */
	struct fl_story_step waits[FL_EXPLORE_THREADS]; /* what they wait in at the end; op is NULL: in nothing */
	bool failed;                                    /* out of memory: it is not whole */
};
void fl_story_free(struct fl_story *story);
/* Replay into story; the report tells what came of it. As fl_subject_explore. */
int fl_story_replay(const struct fl_scenario *s, const struct fl_cut *cut, const struct fl_explore_options *o,
		    const char *id, struct fl_story *story, struct fl_explore_report *report, char **error);
struct fl_columns {
	unsigned width;
	bool engine;      /* every step of the engine, too */
	const char *last; /* what was found in the last step; NULL: nothing, or at the end of the run */
	const char *indent;
};
/* For fl_columns.last: the kind's name, if a finding of it is one of the step in which it shows. */
const char *fl_story_last(enum fl_explore_kind kind);
void fl_story_print(FILE *out, const struct fl_story *story, const struct fl_columns *columns);

/* Shrinking */

struct fl_smallest {
	struct fl_cut cut;
	char *id; /* the explorer's own */
	char *text;
	uint32_t preemptions, events;
	bool fewest;    /* there is none with fewer preemptions */
	uint64_t tried; /* schedules it took */
};
/* Make a counterexample as small as can be. 0, or -1 with *error. *stop becomes nonzero when the user is tired of it. */
int fl_shrink(const struct fl_scenario *s, const struct fl_explore_options *o, const struct fl_explore_finding *f,
	      const volatile int *stop, struct fl_smallest *smallest, char **error);
void fl_smallest_free(struct fl_smallest *smallest);

/* Take preemptions out of one run. See straighten.c. */
struct fl_straightener {
	const struct fl_scenario *s;
	const struct fl_cut *cut;
	const struct fl_explore_options *options;
	const volatile int *stop;
	void *arg;
	bool (*take)(void *arg, const struct fl_explore_finding *f); /* false: it is another finding */
	uint32_t preemptions;                                        /* of the run to begin with */
	uint64_t tried;
};
/* id: of the run that was taken last. */
void fl_straighten(struct fl_straightener *k, const char *(*id)(void *arg));

/* Verdicts */

struct fl_verdict {
	const char *path;
	const struct fl_scenario *s;
	const struct fl_explore_options *o;
	const struct fl_explore_report *report;
	bool interrupted; /* by the user: not all was looked at */
	bool outcomes;    /* print them */
	bool engine;      /* print the engine's steps in columns */
	bool shrink;
	const volatile int *stop; /* see fl_shrink */
};
/* How `sometimes` property i stands: */
enum fl_sometimes {
	FL_SEEN,
	FL_NOT_YET,   /* but not all was looked at */
	FL_NEVER_SEEN /* which is as bad as a finding */
};
enum fl_sometimes fl_verdict_sometimes(const struct fl_verdict *v, size_t i, const struct fl_explore_seen **witness);
/* And always or never property i: "broken", "holds", or "so far" if not all was looked at. */
const char *fl_verdict_property(const struct fl_verdict *v, size_t i);
bool fl_verdict_is_bad(const struct fl_verdict *v);
/* "complete", "complete with at most 2 preemptions", "stopped at the first finding", ... */
void fl_verdict_extent(FILE *out, const struct fl_verdict *v);
/* Why a run that was found is worth a look: the smallest one like it, as columns. 0, or -1 with *error. */
int fl_finding_print(FILE *out, const struct fl_verdict *v, const struct fl_explore_finding *f, char **error);
/* The scenario, how much was explored, its properties, its outcomes. The findings are printed after it. */
void fl_verdict_print(FILE *out, const struct fl_verdict *v);

#endif
