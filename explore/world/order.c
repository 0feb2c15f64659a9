/* SPDX-License-Identifier: MIT */
/*
 * What orders accesses of different fibers, as C11 and fl_port.h have it: vector clocks.
 *
 *   mutex      unlock before the next lock
 *   atomics    a release store, or a read-modify-write, before an acquire load or read-modify-write that sees it or what a
 *              read-modify-write made of it. A relaxed store ends that. Relaxed accesses order nothing, fences aside
 *   parker     unpark before the park that it ends
 *   sections   their ends before callbacks that wait for them (see explore/search/search.h); fl_rcu_call before its callback;
 *              callbacks before the end of an fl_rcu_barrier. A section that happens to begin later is not ordered by that
 *   setup      before everything: what it does is not looked at
 *
 * No locks: one OS thread.
 */
#include <stdlib.h>
#include <string.h>

#include "plain.h"

struct fl_order fl_order;

static void join(struct fl_clock *to, const struct fl_clock *from)
{
	for (unsigned i = 0; i < FL_CLOCK; i++)
		to->at[i] = to->at[i] > from->at[i] ? to->at[i] : from->at[i];
}

static void acquire(unsigned p, const volatile void *address)
{
	const struct fl_clock *c = fl_plain_sync(address, false);

	if (c)
		join(&fl_order.now[p], c);
}

/* What `with` says is given at this place, to whoever acquires; add: and what was given before stays. */
static void give(const volatile void *address, const struct fl_clock *with, bool add)
{
	struct fl_clock *c = fl_plain_sync(address, true);

	if (!c)
		return;
	fl_plain_log_clock(c);
	if (add)
		join(c, with);
	else
		*c = *with;
}

static void tick(unsigned p)
{
	fl_order.now[p].at[p]++;
}

static void release(unsigned p, const volatile void *address, bool add)
{
	give(address, &fl_order.now[p], add);
	tick(p);
}

static void load(unsigned p, const struct fl_fiber_point *point)
{
	const struct fl_clock *c = fl_plain_sync(point->address, false);

	if (!c)
		return;
	join(point->site->order == FL_ORDER_RELAXED ? &fl_order.acquired[p] : &fl_order.now[p], c);
}

static bool is_nothing(const struct fl_clock *c)
{
	for (unsigned i = 0; i < FL_CLOCK; i++)
		if (c->at[i])
			return false;
	return true;
}

static void relaxed_store(unsigned p, const volatile void *address)
{
	if (!is_nothing(&fl_order.released[p]) || fl_plain_sync(address, false))
		give(address, &fl_order.released[p], false);
}

static void store(unsigned p, const struct fl_fiber_point *point)
{
	if (point->site->order == FL_ORDER_RELAXED)
		relaxed_store(p, point->address);
	else
		release(p, point->address, false);
}

static void fence(unsigned p)
{
	join(&fl_order.now[p], &fl_order.acquired[p]);
	fl_order.released[p] = fl_order.now[p];
	tick(p);
}

/*
 * The ends of each fiber's sections. Not in snapshots: what a run has of them so far, which fl_order.ended tells, is what runs
 * that begin like it have.
 */
static struct {
	struct fl_clock *at;
	uint32_t room;
} ends[FL_WORLD_FIBERS];

static void end_section(unsigned p)
{
	uint32_t n = fl_order.ended[p], room = ends[p].room ? 2 * ends[p].room : 64;
	struct fl_clock *grown;

	if (n == ends[p].room) {
		grown = realloc(ends[p].at, room * sizeof(*grown));
		if (!grown)
			fl_world_panic(NULL, __FILE__, __LINE__, "no memory to keep the ends of sections");
		ends[p].at = grown;
		ends[p].room = room;
	}
	ends[p].at[n] = fl_order.now[p];
	fl_order.ended[p]++;
	tick(p);
}

void fl_order_close(void)
{
	for (unsigned p = 0; p < FL_WORLD_FIBERS; p++)
		free(ends[p].at);
	memset(ends, 0, sizeof(ends));
}

/* Which sections of q the callback comes after is the search's to say: all of those, and no other, had to end. */
static void join_ends(unsigned p, unsigned q, const volatile void *head)
{
	uint32_t slot, n, sections;

	fl_memory_slots((const void *)(uintptr_t)head, 1, &slot, &n);
	sections = fl_search_sections(fl_world.search, slot, q);
	if (sections > fl_order.ended[q])
		sections = fl_order.ended[q];
	if (sections)
		join(&fl_order.now[p], &ends[q].at[sections - 1]);
}

static void callback(unsigned p, const struct fl_fiber_point *point)
{
	const struct fl_clock *called = fl_plain_sync(point->address, false);

	join(&fl_order.callbacks, &fl_order.now[p]); /* of those before */
	tick(p);
	for (unsigned q = 0; q < fl_world.fibers; q++)
		join_ends(p, q, point->address);
	if (called)
		join(&fl_order.now[p], called);
}

/* Who comes to the end of a callback has not begun the next one. */
static void barrier(unsigned p)
{
	join(&fl_order.now[p], &fl_order.callbacks);
	join(&fl_order.now[p], &fl_order.now[fl_world.threads]);
	tick(fl_world.threads);
}

static void synchronize(unsigned p, const struct fl_fiber_point *point, bool buffered)
{
	switch ((enum fl_access_kind)point->site->kind) {
	case FL_ACCESS_STORE:
		if (!buffered)
			store(p, point);
		break;
	case FL_ACCESS_FENCE:
		fence(p);
		break;
	case FL_ACCESS_LOCK:
	case FL_ACCESS_TRYLOCK:
	case FL_ACCESS_PARK:
		acquire(p, point->address);
		break;
	case FL_ACCESS_RMW:
	case FL_ACCESS_UNLOCK:
	case FL_ACCESS_UNPARK:
	case FL_ACCESS_RCU_CALL:
		release(p, point->address, true);
		break;
	case FL_ACCESS_END:
		end_section(p);
		break;
	case FL_ACCESS_CALLBACK:
		callback(p, point);
		break;
	case FL_ACCESS_BARRIER:
		if (point->value)
			barrier(p);
		break;
	case FL_ACCESS_LOAD:
	case FL_ACCESS_BEGIN:
	case FL_ACCESS_OTHER:
	case FL_ACCESS_COUNT:
	case FL_ACCESS_COPY:
	case FL_ACCESS_YIELD:
		break;
	}
}

/* Copies of this length at most are looked at as accesses: longer ones are of frames, which have no plain ones. */
#define COPY_MAX 64

static bool access(unsigned p, const struct fl_fiber_point *point)
{
	unsigned kind = FL_PLAIN_ATOMIC | FL_PLAIN_WRITE;

	switch ((enum fl_access_kind)point->site->kind) {
	case FL_ACCESS_LOAD:
		return fl_plain_access(p, point->address, point->size, FL_PLAIN_ATOMIC, point->site);
	case FL_ACCESS_STORE:
	case FL_ACCESS_RMW:
	case FL_ACCESS_COUNT:
		return fl_plain_access(p, point->address, point->size, kind, point->site);
	case FL_ACCESS_COPY:
		if (point->size > COPY_MAX)
			return true;
		return (!point->source ||
			fl_plain_access(p, point->source, point->size, FL_PLAIN_ATOMIC, point->site)) &&
		       fl_plain_access(p, point->address, point->size, kind, point->site);
	default:
		return true;
	}
}

bool fl_plain_step(unsigned p, const struct fl_fiber_point *point, bool buffered)
{
	/* An access that sees what was released has come after it. */
	if (point->site->kind == FL_ACCESS_LOAD)
		load(p, point);
	else if (point->site->kind == FL_ACCESS_RMW || (point->site->kind == FL_ACCESS_OTHER && point->address))
		acquire(p, point->address);
	if (!access(p, point)) {
		fl_finding(FL_EXPLORE_RACE, "%s", "");
		return false;
	}
	synchronize(p, point, buffered);
	return true;
}

void fl_plain_flush(unsigned p, const volatile void *address, bool releases, uint32_t clock)
{
	struct fl_clock with = fl_order.now[p];

	if (!releases) {
		relaxed_store(p, address);
		return;
	}
	/* As it was when the store was made, as far as its own accesses go. */
	with.at[p] = clock;
	give(address, &with, false);
}
