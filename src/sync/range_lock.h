/* SPDX-License-Identifier: MIT */
/*
 * Range locks: exclusive or shared locks on intervals of addresses, first come first served where they overlap.
 *
 * A request lives on the stack of whoever holds it. The mutex guards the list and every request's fields. Nothing is
 * allocated, so locking fails only by a signal.
 */
#ifndef FL_SYNC_RANGE_LOCK_H
#define FL_SYNC_RANGE_LOCK_H

#include "faultline/task.h"

struct fl_range_lock {
	struct fl_mutex mutex;
	struct fl_range_req *first, *last; /* (mutex) held and waiting, in order of arrival */
};

enum fl_range_mode {
	FL_RANGE_SHARED,
	FL_RANGE_EXCLUSIVE,
};

struct fl_range_req {
	struct fl_range_req *prev, *next; /* (mutex) */
	fl_va start, end;                 /* (i) */
	uint8_t mode;                     /* (i) */
	uint32_t granted;                 /* (a) set under the mutex, read by the owner */
	struct fl_task *task;             /* (i) whom to wake */
};

/*
 * Lock [start, end), which is not empty. Waits as how says. 0, or -FL_EINTR with nothing held. A task may hold several
 * that do not overlap; not even a second shared one over the same addresses, for a writer may have come to wait between
 * the two.
 */
FL_MUST_CHECK int fl_range_lock(struct fl_range_lock *l, struct fl_range_req *r, struct fl_task *t, fl_va start,
				fl_va end, enum fl_range_mode mode, enum fl_wait how);
/* Lock without waiting: false if anything held or waiting conflicts. */
FL_MUST_CHECK bool fl_range_trylock(struct fl_range_lock *l, struct fl_range_req *r, struct fl_task *t, fl_va start,
				    fl_va end, enum fl_range_mode mode);
void fl_range_unlock(struct fl_range_lock *l, struct fl_range_req *r);

/* A wait that mode describes must end now. */
static inline bool fl_task_interrupted(struct fl_task *t, enum fl_wait how)
{
	uint32_t s;

	if (how == FL_WAIT_UNINTERRUPTIBLE)
		return false;
	s = fl_load_seq(&t->signals); /* partner: fl_task_signal sets, then unparks */
	return how == FL_WAIT_KILLABLE ? (s & FL_SIGNAL_FATAL) != 0 : s != 0;
}

#endif
