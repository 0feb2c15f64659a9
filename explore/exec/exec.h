/* SPDX-License-Identifier: MIT */
/*
 * A scenario as a test of the explorer: its setup, threads and properties, run by the engine.
 *
 *   struct fl_scenario --fl_exec_new--> struct fl_exec --fl_exec_test--> struct fl_explore_test
 *
 * An outcome is one line: "e1=0 e2=EEXIST r0=0x11 blocked=reader" - every result in the order of the text, then shared variables, then what
 * properties say of memory and counters, then who waits for ever.
 * The running kernel's executor prints the same line (fl_outcome_print).
 */
#ifndef FL_EXEC_H
#define FL_EXEC_H

#include "explore/lang/scenario.h"

struct fl_exec;

/* NULL and *error (to free): the scenario wants what the engine does not have; it names the place and the way out. */
struct fl_exec *fl_exec_new(const struct fl_scenario *s, char **error);
void fl_exec_free(struct fl_exec *x);
const struct fl_explore_test *fl_exec_test(struct fl_exec *x);

/* Over a whole exploration: which `sometimes` was never seen. The i-th property; false also for always and never. */
bool fl_exec_never_seen(const struct fl_exec *x, size_t property);

/* The line. context answers for names. Returns what snprintf would. */
int fl_outcome_print(char *buf, size_t size, const struct fl_scenario *s, const struct fl_sc_context *context);
/* One value of it: "0", "0x11", "EEXIST". */
int fl_outcome_value(char *buf, size_t size, int64_t value);
/* The values of the names in e: "e1=0 [A]=0x11". size is not 0. */
int fl_outcome_values(char *buf, size_t size, const struct fl_scenario *s, const struct fl_sc_expr *e,
		      const struct fl_sc_context *context);
/* fn for each place in memory and each count that properties speak of, in the order of the text; and: are two the same? */
void fl_outcome_looks(const struct fl_scenario *s, void (*fn)(void *arg, const struct fl_sc_expr *look), void *arg);
bool fl_outcome_same(const struct fl_sc_expr *a, const struct fl_sc_expr *b);

#endif
