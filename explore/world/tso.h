/* SPDX-License-Identifier: MIT */
/*
 * Store buffers, for the rest of the world. See tso.c.
 *
 * No locks: one OS thread.
 */
#ifndef FL_WORLD_TSO_H
#define FL_WORLD_TSO_H

#include "world.h"

#define FL_TSO_ENTRIES 16

struct fl_tso_entry {
	uintptr_t address;
	uint64_t value;
	const struct fl_access_site *site;
	uint32_t size;  /* 0: the object was freed by its own thread; nobody can see the store */
	uint32_t clock; /* its fiber's, when the store was made: for data races */
	uint32_t op_line;
	const char *op;
};

struct fl_tso_buffer {
	uint32_t pushed, popped;
	struct fl_tso_entry entry[FL_TSO_ENTRIES];
};

/* Saved and restored with the run. */
struct fl_tso {
	struct fl_tso_buffer buffer[FL_WORLD_FIBERS];
};
extern struct fl_tso fl_tso;
extern const struct fl_access_hooks fl_tso_hooks;

static inline bool fl_tso_on(void)
{
	return fl_world.procs > fl_world.fibers;
}

bool fl_tso_is_enabled(unsigned fiber, const struct fl_fiber_point *point);
bool fl_tso_is_buffered(const struct fl_fiber_point *point);
void fl_tso_describe(unsigned fiber, const struct fl_fiber_point *point, struct fl_step *st);
/* NULL: the buffer is empty. */
const struct fl_tso_entry *fl_tso_oldest(unsigned fiber);
void fl_tso_describe_flush(unsigned fiber, struct fl_step *st);
void fl_tso_flush(unsigned fiber);
/* The fiber has freed n bytes at p. */
void fl_tso_forget(unsigned fiber, const void *p, size_t n);

#endif
