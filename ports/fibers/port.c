/* SPDX-License-Identifier: MIT */
/*
 * The fibers port: locks, parkers, memory. (Accesses are in schedule.c, grace periods in rcu.c.)
 *
 * fl_mutex.state     0 free, 1 held
 * fl_mutex.owner     the id of the fiber that holds it
 * fl_mutex.queue     a ring of the fibers that wait, first come first
 * fl_parker.state    1 if a wake-up is due
 * fl_parker.who      the fiber that sleeps
 *
 * An unlock hands the mutex to the first who waits. No outcome is lost to that: a fiber that
 * waits has done nothing yet, so if another one shall get there first, some schedule lets it come first.
 *
 * What a program may not do (wait while it holds a lock, sleep in a section, unlock what another one
 * holds, wait outside of fibers) ends in a panic that names the fiber.
 *
 * No locks: one OS thread.
 */
#define _GNU_SOURCE
#include <stdarg.h>

#include "fiber_int.h"
#include "fl_port_host.h"

/* What freed memory is filled with, so that whoever reads it fails in the same way each time. */
#define FREED 0x6b

void fl_port_panic(const char *file, int line, const char *what)
{
	char report[4096];

	if (fl_fiber_driver)
		fl_fiber_driver->panic(fl_fiber_driver->arg, file, line, what);
	fl_fiber_report(report, sizeof(report));
	fprintf(stderr, "faultline: in '%s', after %llu points\n%s", fl_fiber_now->name,
		(unsigned long long)fl_fiber_points(), report);
	host_panic(file, line, what);
}

void fl_fiber_panic(const char *format, ...)
{
	char what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	fl_port_panic("fibers", 0, what);
}

static const char *owner_name(const struct fl_mutex *m)
{
	const struct fl_fiber *owner = fl_fiber_by_id(m->owner);

	return owner ? owner->name : "a fiber that is gone";
}

static void own(struct fl_mutex *m, struct fl_fiber *f)
{
	m->state = 1;
	m->owner = f->id;
	f->held++;
}

FL_NO_LOCK_CHECK void fl_mutex_lock(struct fl_mutex *m)
{
	struct fl_fiber *self = fl_fiber_now;

	if (m->state && m->owner == self->id)
		fl_fiber_panic("'%s' locks a mutex that it holds", self->name);
	FL_POINT(FL_ACCESS_LOCK, "fl_mutex_lock", m);
	if (!m->state) {
		own(m, self);
		return;
	}
	if (self == &fl_fiber_outside)
		fl_fiber_panic("a mutex is locked outside of any fiber while '%s' holds it", owner_name(m));
	self->mutex = m;
	m->queue = fl_fiber_ring_push(m->queue, self);
	fl_schedule_block(FL_FIBER_IN_MUTEX);
	self->mutex = NULL;
}

FL_NO_LOCK_CHECK bool fl_mutex_trylock(struct fl_mutex *m)
{
	FL_POINT(FL_ACCESS_TRYLOCK, "fl_mutex_trylock", m);
	if (m->state)
		return false;
	own(m, fl_fiber_now);
	return true;
}

FL_NO_LOCK_CHECK void fl_mutex_unlock(struct fl_mutex *m)
{
	struct fl_fiber *self = fl_fiber_now;
	struct fl_fiber *heir;

	FL_POINT(FL_ACCESS_UNLOCK, "fl_mutex_unlock", m);
	if (!m->state)
		fl_fiber_panic("'%s' unlocks a mutex that is free", self->name);
	if (m->owner != self->id)
		fl_fiber_panic("'%s' unlocks a mutex that '%s' holds", self->name, owner_name(m));
	self->held--;
	m->state = 0;
	m->owner = 0;
	heir = m->queue;
	if (heir) {
		m->queue = fl_fiber_ring_remove(heir, heir);
		own(m, heir);
		fl_schedule_ready(heir);
	}
}

bool fl_mutex_is_held(const struct fl_mutex *m)
{
	return m->state && m->owner == fl_fiber_now->id;
}

void fl_port_park(struct fl_parker *p)
{
	struct fl_fiber *self = fl_fiber_now;

	FL_POINT(FL_ACCESS_PARK, "fl_port_park", p);
	if (self->held || self->depth)
		fl_fiber_panic("'%s' parks while it %s", self->name,
			       self->held ? "holds a mutex" : "is in an rcu section");
	if (p->who)
		fl_fiber_panic("'%s' parks where '%s' sleeps", self->name, ((struct fl_fiber *)p->who)->name);
	if (!p->state) {
		if (self == &fl_fiber_outside)
			fl_fiber_panic("fl_port_park outside of any fiber: nobody could wake us");
		p->who = self;
		self->parker = p;
		fl_schedule_block(FL_FIBER_IN_PARK);
		self->parker = NULL;
	}
	p->state = 0;
}

void fl_port_unpark(struct fl_parker *p)
{
	struct fl_fiber *sleeper;

	FL_POINT(FL_ACCESS_UNPARK, "fl_port_unpark", p);
	p->state = 1;
	sleeper = p->who;
	if (sleeper) {
		p->who = NULL;
		fl_schedule_ready(sleeper);
	}
}

void *fl_port_alloc(size_t size)
{
	if (fl_fiber_driver)
		return fl_fiber_driver->alloc(fl_fiber_driver->arg, size);
	return host_alloc(size);
}

void fl_port_free(void *p, size_t size)
{
	if (fl_fiber_driver) {
		if (p)
			fl_fiber_driver->free(fl_fiber_driver->arg, p, size);
		return;
	}
	if (p && size < LARGE)
		memset(p, FREED, size);
	host_free(p, size);
}

void fl_port_copy(void *dst, const void *src, size_t n)
{
	FL_POINT_COPY(FL_ACCESS_COPY, "fl_port_copy", dst, src, n);
	memcpy(dst, src, n);
}

void fl_port_clear(void *dst, size_t n)
{
	FL_POINT_COPY(FL_ACCESS_COPY, "fl_port_clear", dst, NULL, n);
	memset(dst, 0, n);
}
