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
const struct fl_fiber_driver *fl_fiber_driver;
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
	if (fl_fiber_driver)
		return;
	s.ready = fl_fiber_ring_push(s.ready, f);
}

void fl_schedule_forget(struct fl_fiber *f)
{
	if (is_blocked(f))
		s.blocked--;
	if (f->state == FL_FIBER_RUNNABLE && !fl_fiber_driver)
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

	if (fl_fiber_driver)
		fl_fiber_panic("'%s' waits in a way that a driver does not know: %s", self->name,
			       fl_fiber_state_name(state));
	self->state = state;
	if (is_blocked(self))
		s.blocked++;
	go_to(choose(), false);
}

void fl_schedule_end(void)
{
	struct fl_fiber *self = fl_fiber_now;

	self->state = FL_FIBER_DONE;
	go_to(fl_fiber_driver ? fl_fiber_driver->next(fl_fiber_driver->arg, self, NULL) : choose(), true);
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

static void drive_point(const struct fl_fiber_point *point)
{
	struct fl_fiber *self = fl_fiber_now, *next;

	if (self == &fl_fiber_outside)
		return;
	s.points++;
	self->site = point->site;
	self->address = point->address;
	next = fl_fiber_driver->next(fl_fiber_driver->arg, self, point);
	if (next != self)
		go_to(next, false);
	self->site = NULL;
	self->address = NULL;
}

void fl_fiber_point(const struct fl_fiber_point *point)
{
	drive_point(point);
}

void fl_schedule_point(const struct fl_access_site *site, const volatile void *address, const void *caller,
		       const volatile void *source, size_t n)
{
	struct fl_fiber *self = fl_fiber_now;

	if (fl_fiber_driver) {
		drive_point(&(struct fl_fiber_point){
			.site = site, .address = address, .source = source, .size = n, .caller = caller});
		return;
	}
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
	fl_port_watched = s.preempt || s.hooks || fl_fiber_driver;
}

void fl_fiber_set_driver(const struct fl_fiber_driver *driver)
{
	if (fl_fiber_next(NULL))
		fl_fiber_panic("a driver is set while fiber '%s' exists", fl_fiber_next(NULL)->name);
	fl_rcu_forget();
	fl_fiber_driver = driver;
	watch();
}

void fl_fiber_drive(struct fl_fiber *f)
{
	if (fl_fiber_current())
		fl_fiber_panic("fl_fiber_drive was called in fiber '%s'; it is for the outside", fl_fiber_now->name);
	go_to(f, false);
}

void fl_fiber_abandon(void)
{
	go_to(NULL, true);
	fl_fiber_panic("a fiber that was abandoned has been run");
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

/* The point of an access, and who does it: NULL, we. */
static const struct fl_access_hooks *at_access(const struct fl_access_site *site, const volatile void *p)
{
	if (!fl_fiber_driver) {
		fl_schedule_point(site, p, NULL, NULL, site->size);
		return s.hooks;
	}
	drive_point(&(struct fl_fiber_point){.site = site, .address = p, .size = site->size});
	return fl_fiber_now == &fl_fiber_outside ? NULL : fl_fiber_driver->hooks;
}

/* One access of the host for each size that there is. */
static void copy_word(void *to, const void *from, size_t size)
{
	switch (size) {
	case 4:
		memcpy(to, from, 4);
		break;
	case 8:
		memcpy(to, from, 8);
		break;
	default:
		memcpy(to, from, size);
	}
}

void fl_port_on_load(const volatile void *p, void *value, const struct fl_access_site *site)
{
	const struct fl_access_hooks *hooks = at_access(site, p);

	if (hooks && hooks->load && !s.choosing)
		hooks->load(hooks->arg, p, value, site);
	else
		copy_word(value, (const void *)(uintptr_t)p, site->size);
}

void fl_port_on_store(volatile void *p, const void *value, const struct fl_access_site *site)
{
	const struct fl_access_hooks *hooks = at_access(site, p);

	if (hooks && hooks->store && !s.choosing)
		hooks->store(hooks->arg, p, value, site);
	else
		copy_word((void *)(uintptr_t)p, value, site->size);
}

void fl_port_on_rmw(volatile void *p, const struct fl_access_site *site)
{
	const struct fl_access_hooks *hooks = at_access(site, p);

	if (hooks && hooks->rmw && !s.choosing)
		hooks->rmw(hooks->arg, p, site);
}
