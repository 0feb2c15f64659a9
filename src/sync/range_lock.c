/* SPDX-License-Identifier: MIT */
/*
 * Range locks.
 *
 *   list       held and waiting requests, in order of arrival
 *   grantable  no earlier request in the list conflicts with this one, whether that one is held or waits
 *
 * So overlapping requests are served first come first served, a stream of readers cannot starve a writer, and requests
 * that do not overlap never wait for each other. A request becomes grantable only when an earlier one that conflicts
 * with it leaves the list; whoever leaves looks at exactly those and wakes them.
 *
 * The mutex guards the list and the fields of every request in it. A request that was granted cannot leave (and so
 * cannot vanish from its owner's stack) before its owner has had the mutex: a waker, who holds it, may use it safely.
 */
#include "sync/range_lock.h"

static bool conflict(const struct fl_range_req *a, const struct fl_range_req *b)
{
	return a->start < b->end && b->start < a->end &&
	       (a->mode == FL_RANGE_EXCLUSIVE || b->mode == FL_RANGE_EXCLUSIVE);
}

/* Does a request that arrived before r stand in its way? Under the mutex. */
static bool blocked(const struct fl_range_req *r)
{
	for (const struct fl_range_req *e = r->prev; e; e = e->prev) {
		if (conflict(e, r)) {
			/* A task that waits for itself would wait for ever. */
			FL_ASSERT(e->task != r->task);
			return true;
		}
	}
	return false;
}

static void append(struct fl_range_lock *l, struct fl_range_req *r)
{
	r->prev = l->last;
	r->next = NULL;
	if (l->last)
		l->last->next = r;
	else
		l->first = r;
	l->last = r;
}

/* Take r out and grant those that only r was in the way of. Under the mutex. */
static void leave(struct fl_range_lock *l, struct fl_range_req *r)
{
	struct fl_range_req *w = r->next;

	if (r->prev)
		r->prev->next = r->next;
	else
		l->first = r->next;
	if (r->next)
		r->next->prev = r->prev;
	else
		l->last = r->prev;
	for (; w; w = w->next) {
		if (fl_load(&w->granted) || !conflict(r, w) || blocked(w))
			continue;
		/* Partner: the acquire in fl_range_lock. The mutex keeps w and its task until we are done with them. */
		fl_store_release(&w->granted, 1);
		fl_port_unpark(&w->task->parker);
	}
}

static void prepare(struct fl_range_req *r, struct fl_task *t, fl_va start, fl_va end, enum fl_range_mode mode)
{
	FL_ASSERT(start < end);
	r->start = start;
	r->end = end;
	r->mode = (uint8_t)mode;
	r->task = t;
	fl_store(&r->granted, 0);
}

int fl_range_lock(struct fl_range_lock *l, struct fl_range_req *r, struct fl_task *t, fl_va start, fl_va end,
		  enum fl_range_mode mode, enum fl_wait how)
{
	bool given_up;

	prepare(r, t, start, end, mode);
	fl_mutex_lock(&l->mutex);
	append(l, r);
	if (!blocked(r)) {
		fl_store(&r->granted, 1);
		fl_mutex_unlock(&l->mutex);
		return 0;
	}
	fl_mutex_unlock(&l->mutex);

	/* Partner: the release in leave(), which comes before its unpark. */
	while (!fl_load_acquire(&r->granted)) {
		if (!fl_task_interrupted(t, how)) {
			fl_port_park(&t->parker);
			continue;
		}
		fl_mutex_lock(&l->mutex);
		given_up = !fl_load(&r->granted);
		if (given_up)
			leave(l, r);
		fl_mutex_unlock(&l->mutex);
		return given_up ? -FL_EINTR : 0;
	}
	return 0;
}

bool fl_range_trylock(struct fl_range_lock *l, struct fl_range_req *r, struct fl_task *t, fl_va start, fl_va end,
		      enum fl_range_mode mode)
{
	bool free = true;

	prepare(r, t, start, end, mode);
	fl_mutex_lock(&l->mutex);
	for (const struct fl_range_req *e = l->first; e && free; e = e->next)
		free = !conflict(e, r);
	if (free) {
		append(l, r);
		fl_store(&r->granted, 1);
	}
	fl_mutex_unlock(&l->mutex);
	return free;
}

void fl_range_unlock(struct fl_range_lock *l, struct fl_range_req *r)
{
	fl_mutex_lock(&l->mutex);
	FL_ASSERT(fl_load(&r->granted));
	leave(l, r);
	fl_mutex_unlock(&l->mutex);
}
