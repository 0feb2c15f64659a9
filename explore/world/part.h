/* SPDX-License-Identifier: MIT */
/*
 * Parts of an exploration, as bytes that go from a worker to the coordinator.
 *
 * No locks: one OS thread in each process.
 */
#ifndef FL_WORLD_PART_H
#define FL_WORLD_PART_H

#include "world.h"

/* What a worker has found, to free; NULL: there is no memory. */
char *fl_part_write(const struct fl_explore_report *r, size_t *n);
/* Count it in with the rest; false: there is no memory. */
FL_MUST_CHECK bool fl_part_read(struct fl_explore_report *r, const void *bytes);

/*
 * A state of several jobs, with what was counted so far before it. Reading: the counts are added to the report's, and what is
 * the jobs' own is returned.
 */
bool fl_part_is_state(const char *state);
char *fl_part_write_state(const struct fl_explore_report *r, const char *state);
const char *fl_part_read_counts(struct fl_explore_report *r, const char *state);

#endif
