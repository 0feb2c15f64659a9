/* SPDX-License-Identifier: MIT */
/*
 * Grace periods of the fibers port, exact: a callback runs as soon as every section that was
 * open when it was queued has ended, so that what is used too long is found early.
 *
 * Callbacks are numbered by the order in which they were queued. Each reader notes how many were
 * queued before its outermost section began: those do not wait for it, all later ones do. Readers stand in
 * a list by age, and the oldest has the smallest number; so the callbacks that may run are those
 * below its number, or all when there is no reader.
 *
 * They run in a fiber of the port's own. Until the first fiber is created there is none, and
 * nobody who could be in a section but the outside: then fl_fiber_run and fl_rcu_barrier run them.
 *
 * No locks: one OS thread.
 */
#include <string.h>

#include "fiber_int.h"

static struct {
	struct fl_rcu_head *first; /* not taken yet */
	struct fl_rcu_head *last;
	uint64_t queued, taken, done;
	struct fl_fiber *oldest, *youngest; /* the readers */
	struct fl_fiber *waiting;           /* in fl_rcu_barrier: a ring */
	bool running;                       /* a callback is under way */
} rcu;

static bool is_due(void)
{
	return rcu.taken < (rcu.oldest ? rcu.oldest->mark : rcu.queued);
}

/* Let the port's own fiber run if it has something to do. */
static void poke(void)
{
	struct fl_fiber *f = fl_fiber_driver ? NULL : fl_fiber_rcu();

	if (f && f->state == FL_FIBER_IN_RCU && is_due())
		fl_schedule_ready(f);
}

static void run_first(void)
{
	struct fl_rcu_head *head = rcu.first;

	rcu.first = head->link;
	rcu.taken++;
	rcu.running = true;
	head->fn(head);
	rcu.running = false;
	rcu.done++;
}

static void run_due(void)
{
	while (is_due())
		run_first();
	/* Each of them counts anew. */
	while (rcu.waiting) {
		struct fl_fiber *f = rcu.waiting;

		rcu.waiting = fl_fiber_ring_remove(rcu.waiting, f);
		fl_schedule_ready(f);
	}
}

void fl_rcu_fiber(void *unused)
{
	(void)unused;
	for (;;) {
		run_due();
		fl_schedule_block(FL_FIBER_IN_RCU);
	}
}

void fl_fiber_callbacks(void *unused)
{
	(void)unused;
	for (;;) {
		FL_POINT(FL_ACCESS_CALLBACK, "callback", rcu.first);
		run_first();
	}
}

bool fl_fiber_callback_due(const struct fl_rcu_head **head)
{
	*head = rcu.first;
	return rcu.first && is_due();
}

bool fl_fiber_barrier_over(const struct fl_fiber_point *point)
{
	return rcu.done >= point->value;
}

void fl_fiber_run_callbacks(void)
{
	if (!rcu.running)
		run_due();
}

void fl_rcu_forget(void)
{
	if (!fl_fiber_driver && rcu.first)
		fl_fiber_panic("a driver is set while a callback is queued");
	memset(&rcu, 0, sizeof(rcu));
}

size_t fl_rcu_state_size(void)
{
	return (sizeof(rcu) + 15) & ~(size_t)15;
}

void fl_rcu_state_save(void *buf)
{
	memcpy(buf, &rcu, sizeof(rcu));
}

void fl_rcu_state_restore(const void *buf)
{
	memcpy(&rcu, buf, sizeof(rcu));
}

void fl_rcu_begin_run(void)
{
	if (fl_fiber_rcu())
		poke();
	else if (!rcu.running)
		run_due();
}

void fl_rcu_stop_waiting(struct fl_fiber *f)
{
	rcu.waiting = fl_fiber_ring_remove(rcu.waiting, f);
}

void fl_rcu_read_lock(void)
{
	struct fl_fiber *self = fl_fiber_now;

	if (self->depth == 0) {
		FL_POINT(FL_ACCESS_BEGIN, "fl_rcu_read_lock", NULL);
		self->mark = rcu.queued;
		self->reader_prev = rcu.youngest;
		self->reader_next = NULL;
		if (rcu.youngest)
			rcu.youngest->reader_next = self;
		else
			rcu.oldest = self;
		rcu.youngest = self;
	}
	self->depth++;
}

void fl_rcu_leave(struct fl_fiber *f)
{
	f->depth = 0;
	if (f->reader_prev)
		f->reader_prev->reader_next = f->reader_next;
	else
		rcu.oldest = f->reader_next;
	if (f->reader_next)
		f->reader_next->reader_prev = f->reader_prev;
	else
		rcu.youngest = f->reader_prev;
	poke();
}

void fl_rcu_read_unlock(void)
{
	struct fl_fiber *self = fl_fiber_now;

	if (self->depth == 0)
		fl_fiber_panic("fl_rcu_read_unlock in '%s', which is in no section", self->name);
	if (self->depth > 1) {
		self->depth--;
		return;
	}
	FL_POINT(FL_ACCESS_END, "fl_rcu_read_unlock", NULL);
	fl_rcu_leave(self);
}

void fl_rcu_call(struct fl_rcu_head *head, void (*fn)(struct fl_rcu_head *))
{
	FL_POINT(FL_ACCESS_RCU_CALL, "fl_rcu_call", head);
	head->fn = fn;
	head->link = NULL;
	if (rcu.first)
		rcu.last->link = head;
	else
		rcu.first = head;
	rcu.last = head;
	rcu.queued++;
	poke();
}

/* How many were queued is a question to what others do, so it is asked at a point of its own: value 0. */
static void wait_driven(void)
{
	static const struct fl_access_site site = {.what = "fl_rcu_barrier", .kind = FL_ACCESS_BARRIER};
	struct fl_fiber_point point = {.site = &site, .address = &rcu.done};

	fl_fiber_point(&point);
	point.value = rcu.queued;
	if (point.value)
		fl_fiber_point(&point);
}

static void wait_outside(uint64_t target)
{
	if (fl_fiber_driver) {
		fl_fiber_run_callbacks();
		if (rcu.done < target)
			fl_fiber_panic("fl_rcu_barrier outside of any fiber would wait for ever: %s",
				       rcu.oldest ? rcu.oldest->name : "a callback is under way");
		return;
	}
	while (rcu.done < target) {
		uint64_t before = rcu.done;

		if (!rcu.running)
			run_due();
		if (rcu.done < target)
			fl_fiber_run();
		if (rcu.done == before)
			fl_fiber_panic("fl_rcu_barrier would wait for ever: '%s' is in an rcu section and cannot run",
				       rcu.oldest ? rcu.oldest->name : "a callback");
	}
}

void fl_rcu_barrier(void)
{
	struct fl_fiber *self = fl_fiber_now;
	uint64_t target = rcu.queued;

	if (self->depth || self->held)
		fl_fiber_panic("fl_rcu_barrier in '%s', which %s", self->name,
			       self->depth ? "is in an rcu section" : "holds a mutex");
	if (self == fl_fiber_rcu())
		fl_fiber_panic("fl_rcu_barrier was called by a callback");
	if (self == &fl_fiber_outside) {
		wait_outside(target);
		return;
	}
	if (fl_fiber_driver) {
		wait_driven();
		return;
	}
	while (rcu.done < target) {
		rcu.waiting = fl_fiber_ring_push(rcu.waiting, self);
		fl_schedule_block(FL_FIBER_IN_RCU);
	}
}
