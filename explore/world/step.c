/* SPDX-License-Identifier: MIT */
/*
 * From points to steps: what each fiber would do next, whether it can, and who goes.
 *
 * A fiber that comes to a point notes its pending step; the search then says who goes on. All this runs on the stack
 * of whoever came to the point, or outside, where a run begins.
 *
 * No locks: one OS thread.
 */
#include <string.h>

#include "layout.h"
#include "plain.h"
#include "tso.h"
#include "world.h"

static struct fl_step_range *add_range(struct fl_step *st)
{
	return &st->range[st->ranges++];
}

/* The step touches n bytes at p. */
static void touch(struct fl_step *st, const volatile void *p, size_t n, enum fl_touch how)
{
	struct fl_step_range *r = add_range(st);

	fl_memory_slots(p, n, &r->slot, &r->n);
	r->touch = how;
}

static void touch_slot(struct fl_step *st, uint32_t slot, enum fl_touch how)
{
	*add_range(st) = (struct fl_step_range){.slot = slot, .n = 1, .touch = how};
}

static void set_object(struct fl_step *st, enum fl_step_kind kind, const volatile void *p)
{
	uint32_t n;

	st->kind = (uint8_t)kind;
	fl_memory_slots(p, 1, &st->object, &n);
}

/* What a point means to the search. */
static void describe(struct fl_step *st, const struct fl_fiber_point *p)
{
	st->kind = FL_STEP_LOCAL;
	st->ranges = 0;
	st->result = false;
	st->wide = false;
	st->object = 0;
	st->after = 0;
	switch ((enum fl_access_kind)p->site->kind) {
	case FL_ACCESS_LOAD:
		touch(st, p->address, p->size, FL_TOUCH_READ);
		break;
	case FL_ACCESS_STORE:
	case FL_ACCESS_RMW:
		touch(st, p->address, p->size, FL_TOUCH_WRITE);
		break;
	case FL_ACCESS_COUNT:
		touch(st, p->address, p->size, FL_TOUCH_COUNT);
		break;
	case FL_ACCESS_COPY:
		if (p->source)
			touch(st, p->source, p->size, FL_TOUCH_READ);
		touch(st, p->address, p->size, FL_TOUCH_WRITE);
		break;
	case FL_ACCESS_RCU_CALL:
		touch_slot(st, FL_SLOT_CALLS, FL_TOUCH_WRITE);
		touch(st, p->address, 1, FL_TOUCH_QUEUE);
		break;
	case FL_ACCESS_LOCK:
		set_object(st, FL_STEP_LOCK, p->address);
		break;
	case FL_ACCESS_TRYLOCK:
		set_object(st, FL_STEP_TRYLOCK, p->address);
		break;
	case FL_ACCESS_UNLOCK:
		set_object(st, FL_STEP_UNLOCK, p->address);
		break;
	case FL_ACCESS_PARK:
		set_object(st, FL_STEP_PARK, p->address);
		break;
	case FL_ACCESS_UNPARK:
		set_object(st, FL_STEP_UNPARK, p->address);
		break;
	case FL_ACCESS_BEGIN:
		st->kind = FL_STEP_BEGIN;
		break;
	case FL_ACCESS_END:
		st->kind = FL_STEP_END;
		break;
	case FL_ACCESS_CALLBACK:
		if (p->address)
			set_object(st, FL_STEP_CALLBACK, p->address);
		else
			st->kind = FL_STEP_CALLBACK;
		break;
	case FL_ACCESS_BARRIER:
		touch_slot(st, p->value ? FL_SLOT_DONE : FL_SLOT_CALLS, FL_TOUCH_READ);
		break;
	case FL_ACCESS_OTHER:
		if (p->address)
			touch(st, p->address, p->size, FL_TOUCH_READ);
		break;
	case FL_ACCESS_YIELD:
		st->kind = FL_STEP_YIELD;
		break;
	case FL_ACCESS_FENCE:
		break;
	}
}

static void describe_fiber(unsigned p)
{
	describe(&fl_run.pending[p], &fl_run.point[p]);
	if (fl_tso_on())
		fl_tso_describe(p, &fl_run.point[p], &fl_run.pending[p]);
}

static bool is_due(unsigned p)
{
	struct fl_fiber_point *point = &fl_run.point[p];
	const struct fl_rcu_head *head;
	bool due = fl_fiber_callback_due(&head);

	/* Which callback is first may not have been known when the fiber came here. */
	if (head != point->address) {
		point->address = head;
		describe_fiber(p);
	}
	return head && fl_search_may_call(fl_world.search, fl_run.pending[p].object, due);
}

static bool is_ready(unsigned p)
{
	bool ready;

	if (!fl_run.await[p].ready)
		return true;
	fl_world.thinking = true; /* and its plain reads are nobody's */
	ready = fl_run.await[p].ready(fl_run.await[p].arg);
	fl_world.thinking = false;
	return ready;
}

/* Can p take its pending step now? What lies in freed memory can: that is a finding then. */
static bool is_enabled(unsigned p)
{
	const struct fl_fiber_point *point = &fl_run.point[p];

	switch ((enum fl_access_kind)point->site->kind) {
	case FL_ACCESS_LOCK:
		return !((const struct fl_mutex *)(uintptr_t)point->address)->state ||
		       fl_memory_is_freed(point->address, 1);
	case FL_ACCESS_PARK:
		return ((const struct fl_parker *)(uintptr_t)point->address)->state ||
		       fl_memory_is_freed(point->address, 1);
	case FL_ACCESS_CALLBACK:
		return is_due(p);
	case FL_ACCESS_BARRIER:
		return fl_fiber_barrier_over(point);
	case FL_ACCESS_OTHER:
		return is_ready(p);
	default:
		return true;
	}
}

static bool may_wait(const struct fl_fiber_point *point)
{
	return (1u << point->site->kind) & (1u << FL_ACCESS_LOCK | 1u << FL_ACCESS_PARK | 1u << FL_ACCESS_CALLBACK |
					    1u << FL_ACCESS_BARRIER | 1u << FL_ACCESS_OTHER);
}

/* Of these fibers, those that need not wait for a buffer; and the buffers. */
static uint32_t with_buffers(uint32_t enabled)
{
	for (unsigned p = 0; p < fl_world.fibers; p++) {
		if ((enabled >> p & 1) && !fl_tso_is_enabled(p, &fl_run.point[p]))
			enabled &= ~(1u << p);
		if (fl_tso_oldest(p)) {
			enabled |= 1u << (p + fl_world.fibers);
			fl_tso_describe_flush(p, &fl_run.pending[p + fl_world.fibers]);
		}
	}
	return enabled;
}

static uint32_t find_enabled(void)
{
	uint32_t enabled = fl_run.free;
	uint32_t left = ((1u << fl_world.fibers) - 1) & ~fl_run.done & ~enabled;

	for (; left; left &= left - 1) {
		unsigned p = FL_LOWEST_BIT(left);

		if (is_enabled(p))
			enabled |= 1u << p;
	}
	return fl_tso_on() ? with_buffers(enabled) : enabled;
}

uint32_t fl_step_waiting(void)
{
	uint32_t waiting = ((1u << fl_world.fibers) - 1) & ~fl_run.done & ~find_enabled();

	/* Nobody waits for a callback that was never asked for. */
	if (!fl_run.point[fl_world.threads].address)
		waiting &= ~(1u << fl_world.threads);
	return waiting;
}

/* However short the runs that are searched: who is to get anywhere in fewer steps than this? */
#define PATIENCE_MIN 1000u

/* A run that is too long went on fairly. Has it gone far enough? */
static bool is_too_long(void)
{
	uint32_t patience = fl_world.events > PATIENCE_MIN ? fl_world.events : PATIENCE_MIN;

	if (FL_LIKELY(fl_run.steps < fl_world.events))
		return false;
	if (fl_run.steps - fl_world.events >= patience && fl_run.steps - fl_run.last_ended >= patience) {
		fl_finding_livelock();
		return true;
	}
	if (fl_run.steps >= 16 * (uint64_t)patience) {
		fl_world.stuck = true;
		return true;
	}
	return false;
}

/* A store that waits in a buffer touches memory later. */
static bool touches_elsewhere(const struct fl_step *st)
{
	return st->object == FL_SLOT_ELSEWHERE || (st->ranges && st->range[st->ranges - 1].slot == FL_SLOT_ELSEWHERE);
}

/* The step that p is about to take: NONE, or what is wrong with it, and then it has been said. */
static enum fl_explore_kind examine(unsigned p)
{
	const struct fl_fiber_point *point = &fl_run.point[p];
	char what[160];
	bool writes;

	if (!point->address)
		return FL_EXPLORE_NONE;
	if (fl_memory_is_freed(point->address, point->size) ||
	    (point->source && fl_memory_is_freed(point->source, point->size))) {
		bool source = !fl_memory_is_freed(point->address, point->size);

		fl_objects_describe(source ? point->source : point->address, what, sizeof(what));
		fl_finding(FL_EXPLORE_FREED, "%s uses freed memory: %s of %s", fl_world_name(p), point->site->what,
			   what);
		return FL_EXPLORE_FREED;
	}
	writes = point->site->kind != FL_ACCESS_LOAD && point->site->kind != FL_ACCESS_OTHER &&
		 point->site->kind != FL_ACCESS_BARRIER;
	if (FL_UNLIKELY(writes && touches_elsewhere(&fl_run.pending[p]))) {
		fl_finding(
			FL_EXPLORE_PANIC,
			"%s changes memory that is not explored, so it cannot be put back (%s); see fl_explore_alloc "
			"and fl_explore_keep",
			fl_world_name(p), point->site->what);
		return FL_EXPLORE_PANIC;
	}
	return FL_EXPLORE_NONE;
}

/* p takes its pending step now. */
static void begin_step(unsigned p, uint32_t enabled)
{
	struct fl_step *st = &fl_run.pending[p];

	if (st->kind == FL_STEP_TRYLOCK)
		st->result = !((const struct fl_mutex *)(uintptr_t)fl_run.point[p].address)->state;
	fl_path_step(p, st);
	if (FL_UNLIKELY(fl_world.options->event || fl_world.options->stop))
		fl_event_begin(p, enabled);
	fl_run.steps++;
	fl_run.running = (int)p;
}

/* A store leaves a buffer: nobody's code runs. Returns false if that is a finding. */
static bool flush(unsigned p)
{
	unsigned fiber = p - fl_world.fibers;
	const struct fl_tso_entry *e = fl_tso_oldest(fiber);
	char what[160];

	if (e->size && fl_memory_is_freed((const void *)e->address, e->size)) {
		fl_finding(FL_EXPLORE_FREED, "a store of %s leaves its buffer, to freed memory: %s of %s",
			   fl_world_name(fiber), e->site->what,
			   fl_objects_describe((const void *)e->address, what, sizeof(what)));
		return false;
	}
	fl_tso_flush(fiber);
	if (e->size && fl_plain_on())
		fl_plain_flush(fiber, (const void *)e->address, e->site->order != FL_ORDER_RELAXED, e->clock);
	return true;
}

/* What p's step means to data races. Returns false if that is a finding. */
static bool watch(unsigned p)
{
	const struct fl_fiber_point *point = &fl_run.point[p];

	if (!fl_plain_on())
		return true;
	fl_plain_proc = (int)p;
	return fl_plain_step(p, point, fl_tso_on() && fl_tso_is_buffered(point));
}

/* Somebody's next step is begun: whose; -1: none, and why is known. */
static int decide(void)
{
	uint32_t enabled;
	int p;

	if (FL_UNLIKELY(fl_run.steps == fl_world.snapshot_at)) {
		fl_world.saving = true;
		return -1;
	}
	if (is_too_long())
		return -1;
	enabled = find_enabled();
	if (!enabled)
		return -1;
	p = fl_path_next(enabled);
	if (p < 0) {
		fl_world.cut = true;
		return -1;
	}
	begin_step((unsigned)p, enabled);
	return p;
}

struct fl_fiber *fl_step_decide(struct fl_fiber *self)
{
	int p;

	for (;;) {
		p = decide();
		if (p < 0)
			return NULL;
		if (p < (int)fl_world.fibers)
			break;
		if (!flush((unsigned)p))
			return NULL;
	}
	if (FL_UNLIKELY(examine((unsigned)p)) || !watch((unsigned)p))
		return NULL;
	if (fl_world.thread[p].fiber != self)
		fl_world.switches++;
	return fl_world.thread[p].fiber;
}

struct fl_fiber *fl_step_next(void *arg, struct fl_fiber *f, const struct fl_fiber_point *point)
{
	unsigned p;

	(void)arg;
	if (FL_UNLIKELY(fl_world.thinking))
		return f;
	fl_plain_proc = -1;
	p = fl_fiber_id(f) - fl_fiber_id(fl_world.thread[0].fiber);
	/* The step by which a callback ends. */
	if (p == fl_world.threads && point && point->site->kind == FL_ACCESS_CALLBACK && !fl_world.prologue)
		fl_path_touch_slots(FL_SLOT_DONE, 1);
	if (point) {
		fl_run.point[p] = *point;
		fl_run.point_op[p] = fl_run.op[p];
		describe_fiber(p);
		if (may_wait(point))
			fl_run.free &= ~(1u << p);
		else
			fl_run.free |= 1u << p;
	} else {
		fl_run.done |= 1u << p;
		fl_run.free &= ~(1u << p);
		fl_run.last_ended = fl_run.steps;
		memset(&fl_run.pending[p], 0, sizeof(fl_run.pending[p]));
	}
	if (FL_UNLIKELY(fl_world.prologue))
		return NULL;
	return fl_step_decide(f);
}
