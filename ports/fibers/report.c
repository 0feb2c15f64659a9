/* SPDX-License-Identifier: MIT */
/*
 * What can be asked about fibers: names, states, who waits for whom.
 *
 * No locks: one OS thread.
 */
#include <stdio.h>

#include "fiber_int.h"

enum fl_fiber_state fl_fiber_state(const struct fl_fiber *f)
{
	return f->state;
}

const char *fl_fiber_state_name(enum fl_fiber_state state)
{
	switch (state) {
	case FL_FIBER_RUNNABLE:
		return "runnable";
	case FL_FIBER_IN_MUTEX:
		return "waits for a mutex";
	case FL_FIBER_IN_PARK:
		return "parked";
	case FL_FIBER_IN_BLOCK:
		return "blocked";
	case FL_FIBER_IN_RCU:
		return "waits for callbacks";
	case FL_FIBER_DONE:
		return "done";
	}
	return "in no known state";
}

const char *fl_fiber_name(const struct fl_fiber *f)
{
	return f->name;
}

uint32_t fl_fiber_id(const struct fl_fiber *f)
{
	return f->id;
}

const struct fl_access_site *fl_fiber_pending(const struct fl_fiber *f, const volatile void **address)
{
	*address = f->address;
	return f->site;
}

/* Whom f waits for: the holder of its mutex. NULL if it waits for something else. */
static struct fl_fiber *holder(const struct fl_fiber *f)
{
	return f->state == FL_FIBER_IN_MUTEX ? fl_fiber_by_id(f->mutex->owner) : NULL;
}

/* How many steps from f to f along holders; 0 if that never comes back. */
static size_t circle_length(const struct fl_fiber *f)
{
	const struct fl_fiber *at = f;
	size_t fibers = 1; /* the outside holds mutexes as well */

	for (const struct fl_fiber *each = fl_fiber_next_all(NULL); each; each = fl_fiber_next_all(each))
		fibers++;
	for (size_t steps = 1; steps <= fibers; steps++) {
		at = holder(at);
		if (!at)
			return 0;
		if (at == f)
			return steps;
	}
	return 0;
}

size_t fl_fiber_deadlock(struct fl_fiber **circle, size_t max)
{
	for (struct fl_fiber *f = fl_fiber_next(NULL); f; f = fl_fiber_next(f)) {
		size_t n = circle_length(f);
		struct fl_fiber *at = f;

		if (n == 0)
			continue;
		for (size_t i = 0; i < n && i < max; i++) {
			circle[i] = at;
			at = holder(at);
		}
		return n;
	}
	return 0;
}

void fl_fiber_report(char *buf, size_t size)
{
	size_t used = 0;

	if (size)
		buf[0] = '\0';
	for (struct fl_fiber *f = fl_fiber_next_all(NULL); f && used < size; f = fl_fiber_next_all(f)) {
		const struct fl_fiber *other = holder(f);
		int n;

		if (f->state == FL_FIBER_DONE || (f == fl_fiber_rcu() && f->state == FL_FIBER_IN_RCU))
			continue;
		n = snprintf(buf + used, size - used, "  %s (%u): %s%s%s%s%s\n", f->name, f->id,
			     f->site ? f->site->what : fl_fiber_state_name(f->state), other ? " held by " : "",
			     other ? other->name : "", f->held ? ", holds a mutex" : "",
			     f->depth ? ", in an rcu section" : "");
		if (n < 0)
			return;
		used += (size_t)n;
	}
}
