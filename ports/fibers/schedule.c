/* SPDX-License-Identifier: MIT */
/*
 * Who runs next: the ready ring, policies, points, and hooks on accesses.
 *
 * A fiber that stops chooses its successor itself and switches to it; control comes back outside
 * only when there is none, or when the policy says stop. The fiber that runs is in no ring, except
 * at a point, where it lines up at the end before the choice is made, and may be chosen.
 *
 * No locks: one OS thread.
 */
#include <stdlib.h>
#include <string.h>

#include "fiber_int.h"

uint32_t fl_port_watched;
struct fl_fiber *fl_fiber_now = &fl_fiber_outside;

static struct {
	struct fl_fiber *ready;     /* a ring */
	size_t blocked;             /* how many are neither runnable nor done, but for the port's own */
	struct fl_fiber **runnable; /* room for a list of all fibers, for pick */
	size_t room;
	fl_fiber_pick *pick;
	void *pick_arg;
	bool preempt;
	bool choosing; /* pick runs */
	bool stopped;  /* pick has said stop */
	uint64_t points;
	const struct fl_access_hooks *hooks;
	uint64_t random;     /* the state of the random policy */
	uint32_t stickiness; /* it stays with a fiber unless a number below this is 0 */
} s;

bool fl_schedule_reserve(size_t fibers)
{
	size_t room = s.room ? s.room : 16;
	struct fl_fiber **grown;

	if (fibers <= s.room)
		return true;
	while (room < fibers)
		room *= 2;
	grown = realloc(s.runnable, room * sizeof(struct fl_fiber *));
	if (!grown)
		return false;
	s.runnable = grown;
	s.room = room;
	return true;
}

static bool is_blocked(const struct fl_fiber *f)
{
	return f->state != FL_FIBER_RUNNABLE && f->state != FL_FIBER_DONE && f != fl_fiber_rcu();
}

void fl_schedule_ready(struct fl_fiber *f)
{
	if (is_blocked(f))
		s.blocked--;
	f->state = FL_FIBER_RUNNABLE;
	s.ready = fl_fiber_ring_push(s.ready, f);
}

void fl_schedule_forget(struct fl_fiber *f)
{
	if (is_blocked(f))
		s.blocked--;
	if (f->state == FL_FIBER_RUNNABLE)
		s.ready = fl_fiber_ring_remove(s.ready, f);
}

/* The policy's choice among the runnable. */
static struct fl_fiber *ask(void)
{
	struct fl_fiber *chosen;
	size_t n = 0;

	for (struct fl_fiber *f = fl_fiber_next_all(NULL); f; f = fl_fiber_next_all(f)) {
		if (f->state == FL_FIBER_RUNNABLE)
			s.runnable[n++] = f;
	}
	s.choosing = true;
	chosen = s.pick(s.pick_arg, s.runnable, n);
	s.choosing = false;
	if (!chosen)
		s.stopped = true;
	else if (chosen->state != FL_FIBER_RUNNABLE)
		fl_fiber_panic("the policy chose fiber '%s', which is not runnable: %s", chosen->name,
			       fl_fiber_state_name(chosen->state));
	return chosen;
}

/* Take the next fiber out of the ready ring. NULL: nobody, or stop. */
static struct fl_fiber *choose(void)
{
	struct fl_fiber *f = s.ready;

	if (f && s.pick)
		f = ask();
	if (f)
		s.ready = fl_fiber_ring_remove(s.ready, f);
	return f;
}

static void go_to(struct fl_fiber *to, bool ends)
{
	struct fl_fiber *from = fl_fiber_now;

	if (!to)
		to = &fl_fiber_outside;
	fl_fiber_now = to;
	fl_context_switch(&from->context, &to->context, ends);
}

void fl_schedule_block(enum fl_fiber_state state)
{
	struct fl_fiber *self = fl_fiber_now;

	self->state = state;
	if (is_blocked(self))
		s.blocked++;
	go_to(choose(), false);
}

void fl_schedule_end(void)
{
	fl_fiber_now->state = FL_FIBER_DONE;
	go_to(choose(), true);
	fl_fiber_panic("a fiber that was done has been run");
}

/* Line up, let the policy choose, and go on when it chose us. */
static void give_way(void)
{
	struct fl_fiber *self = fl_fiber_now;
	struct fl_fiber *next;

	s.ready = fl_fiber_ring_push(s.ready, self);
	next = choose();
	if (next != self)
		go_to(next, false);
}

void fl_schedule_point(const struct fl_access_site *site, const volatile void *address)
{
	struct fl_fiber *self = fl_fiber_now;

	if (!s.preempt || s.choosing || self == &fl_fiber_outside)
		return;
	s.points++;
	self->site = site;
	self->address = address;
	give_way();
	self->site = NULL;
	self->address = NULL;
}

void fl_fiber_yield(void)
{
	if (s.preempt)
		FL_POINT(FL_ACCESS_YIELD, "fl_fiber_yield", NULL);
	else if (fl_fiber_current())
		give_way();
}

size_t fl_fiber_run(void)
{
	struct fl_fiber *f;

	if (fl_fiber_current())
		fl_fiber_panic("fl_fiber_run was called in fiber '%s'; it is for the outside", fl_fiber_now->name);
	s.stopped = false;
	fl_rcu_begin_run();
	while (!s.stopped && (f = choose()))
		go_to(f, false);
	return s.blocked;
}

void fl_fiber_block(void)
{
	struct fl_fiber *self = fl_fiber_now;

	if (self == &fl_fiber_outside)
		fl_fiber_panic("fl_fiber_block was called outside of any fiber");
	FL_POINT(FL_ACCESS_PARK, "fl_fiber_block", self);
	if (!self->wake_due)
		fl_schedule_block(FL_FIBER_IN_BLOCK);
	self->wake_due = false;
}

void fl_fiber_wake(struct fl_fiber *f)
{
	FL_POINT(FL_ACCESS_UNPARK, "fl_fiber_wake", f);
	f->wake_due = true;
	if (f->state == FL_FIBER_IN_BLOCK)
		fl_schedule_ready(f);
}

static void watch(void)
{
	fl_port_watched = s.preempt || s.hooks;
}

void fl_fiber_set_policy(fl_fiber_pick *pick, void *arg, bool preempt)
{
	s.pick = pick;
	s.pick_arg = arg;
	s.preempt = preempt;
	watch();
}

/* xorshift64*: enough to shuffle with, and the same everywhere. */
static uint32_t next_random(void)
{
	s.random ^= s.random >> 12;
	s.random ^= s.random << 25;
	s.random ^= s.random >> 27;
	return (uint32_t)((s.random * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

static struct fl_fiber *pick_random(void *arg, struct fl_fiber *const *runnable, size_t n)
{
	struct fl_fiber *self = fl_fiber_now;

	(void)arg;
	if (self->state == FL_FIBER_RUNNABLE && self != &fl_fiber_outside && next_random() % s.stickiness != 0)
		return self;
	return runnable[next_random() % n];
}

void fl_fiber_random_policy(uint64_t seed)
{
	static const uint32_t stickiness[] = {4, 16, 1, 64, 2};

	/* Seeds that follow one another must not begin alike; and the state must not be 0. */
	s.random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	s.random ^= s.random >> 29;
	if (!s.random)
		s.random = 1;
	s.stickiness = stickiness[seed % FL_ARRAY_LEN(stickiness)];
	fl_fiber_set_policy(pick_random, NULL, true);
}

void fl_fiber_set_hooks(const struct fl_access_hooks *hooks)
{
	s.hooks = hooks;
	watch();
}

uint64_t fl_fiber_points(void)
{
	return s.points;
}

void fl_port_on_load(const volatile void *p, void *value, const struct fl_access_site *site)
{
	fl_schedule_point(site, p);
	if (s.hooks && s.hooks->load && !s.choosing)
		s.hooks->load(s.hooks->arg, p, value, site);
	else
		memcpy(value, (const void *)(uintptr_t)p, site->size);
}

void fl_port_on_store(volatile void *p, const void *value, const struct fl_access_site *site)
{
	fl_schedule_point(site, p);
	if (s.hooks && s.hooks->store && !s.choosing)
		s.hooks->store(s.hooks->arg, p, value, site);
	else
		memcpy((void *)(uintptr_t)p, value, site->size);
}

void fl_port_on_rmw(volatile void *p, const struct fl_access_site *site)
{
	fl_schedule_point(site, p);
	if (s.hooks && s.hooks->rmw && !s.choosing)
		s.hooks->rmw(s.hooks->arg, p, site);
}
