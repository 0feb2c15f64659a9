/* SPDX-License-Identifier: MIT */
/*
 * Little concurrent programs, for the tests of the search: a model of what the search is told of, an interpreter, and
 * brute force over all of a program's schedules.
 *
 *   program   for each process a list of operations over shared variables, locks, parkers, sections and callbacks
 *   seen      a process's hash of all that it has read; so that the final states tell most schedules apart
 *   trace     the events of a run with what orders them; runs with the same trace are equivalent
 *
 * The last process is the callbacks'. No locks: one OS thread.
 */
#ifndef FL_TEST_SEARCH_MODEL_H
#define FL_TEST_SEARCH_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "explore/search/search.h"
#include "faultline/fl_port.h"

#define PROCS 5
#define THREADS (PROCS - 1)
#define RCU THREADS
#define OPS 16
#define VARS 4
#define LOCKS 2
#define CALLS 3

enum op_kind {
	OP_READ,   /* seen */
	OP_WRITE,  /* b */
	OP_ADD,    /* b; seen */
	OP_COUNT,  /* b */
	OP_LOCK,   /* a: a lock */
	OP_UNLOCK, /* if held */
	OP_TRY,    /* seen */
	OP_PARK,
	OP_UNPARK, /* process a */
	OP_BEGIN,
	OP_END,
	OP_CALL,   /* queues callback a: an addition to variable b and a read of it */
	OP_AWAIT,  /* variable a is b */
	OP_CHOOSE, /* one of b, stored in variable a */
	OP_ALSO,   /* reads variable a, and touches b as well: adds to it */
	OP_WIDE,   /* adds one to all variables */
	OP_YIELD,
	OP_KINDS
};

struct op {
	uint8_t kind, a, b;
};

struct program {
	struct op op[PROCS][OPS];
	unsigned n[PROCS];
};

/* Slots: variables, locks, parkers, callbacks, the queue of callbacks. */
enum {
	SLOT_LOCK = VARS,
	SLOT_PARKER = SLOT_LOCK + LOCKS,
	SLOT_CALL = SLOT_PARKER + PROCS,
	SLOT_QUEUE = SLOT_CALL + CALLS,
	SLOTS
};

#define TRACE 64
#define EVENT_RANGES 8

struct event_ranges {
	struct fl_step_range range[EVENT_RANGES];
	uint8_t n, proc, index, wide;
};

struct world {
	uint8_t pc[PROCS];
	uint8_t owner[LOCKS]; /* plus one */
	uint8_t token[PROCS];
	uint8_t nest[PROCS];
	uint8_t queued[CALLS]; /* callbacks that wait, in order */
	uint8_t blockers[CALLS];
	uint8_t calls, body, call; /* how many wait; what is left of the one that runs, and which */
	uint32_t var[VARS];
	uint64_t seen[PROCS];
};

/* The order among the events of a run. */
struct trace {
	unsigned n;
	struct event_ranges event[TRACE];
	uint8_t clock[TRACE][PROCS];
};

FL_UNUSED static uint64_t mix(uint64_t h, uint64_t v)
{
	h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
	h *= 0xff51afd7ed558ccdu;
	return h ^ (h >> 32);
}

static const struct op *next_op(const struct program *g, const struct world *w, unsigned p)
{
	return w->pc[p] < g->n[p] ? &g->op[p][w->pc[p]] : NULL;
}

/* The callbacks' program: for each process's OP_CALL, a names the callback; what it does is in the op that queued it. */
static const struct op *call_op(const struct program *g, unsigned call)
{
	for (unsigned p = 0; p < THREADS; p++)
		for (unsigned i = 0; i < g->n[p]; i++)
			if (g->op[p][i].kind == OP_CALL && g->op[p][i].a == call)
				return &g->op[p][i];
	return NULL;
}

static void one_range(struct fl_step *s, uint32_t slot, enum fl_touch touch)
{
	s->range[s->ranges++] = (struct fl_step_range){slot, 1, touch};
}

static void rcu_pending(const struct program *g, const struct world *w, struct fl_step *s)
{
	if (w->body) {
		one_range(s, call_op(g, w->call)->b, w->body == 2 ? FL_TOUCH_WRITE : FL_TOUCH_READ);
	} else {
		s->kind = FL_STEP_CALLBACK;
		s->object = SLOT_CALL + w->queued[0];
	}
}

static void pending_of(const struct program *g, const struct world *w, unsigned p, struct fl_step *s)
{
	const struct op *o = next_op(g, w, p);

	memset(s, 0, sizeof(*s));
	s->kind = FL_STEP_LOCAL;
	if (p == RCU) {
		rcu_pending(g, w, s);
		return;
	}
	if (!o)
		return;
	switch ((enum op_kind)o->kind) {
	case OP_READ:
	case OP_AWAIT:
	case OP_ALSO:
		one_range(s, o->a, FL_TOUCH_READ);
		break;
	case OP_WRITE:
	case OP_ADD:
	case OP_CHOOSE:
		one_range(s, o->a, FL_TOUCH_WRITE);
		break;
	case OP_COUNT:
		one_range(s, o->a, FL_TOUCH_COUNT);
		break;
	case OP_LOCK:
		s->kind = FL_STEP_LOCK;
		s->object = SLOT_LOCK + o->a;
		break;
	case OP_UNLOCK:
		if (w->owner[o->a] != p + 1)
			break;
		s->kind = FL_STEP_UNLOCK;
		s->object = SLOT_LOCK + o->a;
		break;
	case OP_TRY:
		s->kind = FL_STEP_TRYLOCK;
		s->object = SLOT_LOCK + o->a;
		s->result = !w->owner[o->a];
		break;
	case OP_PARK:
		s->kind = FL_STEP_PARK;
		s->object = SLOT_PARKER + p;
		break;
	case OP_UNPARK:
		s->kind = FL_STEP_UNPARK;
		s->object = SLOT_PARKER + o->a;
		break;
	case OP_BEGIN:
		s->kind = FL_STEP_BEGIN;
		break;
	case OP_END:
		s->kind = FL_STEP_END;
		break;
	case OP_CALL:
		one_range(s, SLOT_QUEUE, FL_TOUCH_WRITE);
		one_range(s, SLOT_CALL + o->a, FL_TOUCH_QUEUE);
		break;
	case OP_WIDE:
		s->wide = true;
		break;
	case OP_YIELD:
		s->kind = FL_STEP_YIELD;
		break;
	case OP_KINDS:
		break;
	}
}

/* Who can go; *waiting: who cannot, and is not done. */
static uint32_t enabled_of(const struct program *g, const struct world *w, uint32_t *waiting)
{
	uint32_t enabled = 0, left = 0;

	for (unsigned p = 0; p < THREADS; p++) {
		const struct op *o = next_op(g, w, p);
		bool can = true;

		if (!o)
			continue;
		left |= 1u << p;
		if (o->kind == OP_LOCK)
			can = !w->owner[o->a];
		else if (o->kind == OP_PARK)
			can = w->token[p];
		else if (o->kind == OP_AWAIT)
			can = w->var[o->a] == o->b;
		enabled |= (uint32_t)can << p;
	}
	if (w->body || w->calls) {
		left |= 1u << RCU;
		if (w->body || !w->blockers[0])
			enabled |= 1u << RCU;
	}
	*waiting = left & ~enabled;
	return enabled;
}

static void see(struct world *w, unsigned p, uint64_t v)
{
	w->seen[p] = mix(w->seen[p], v + 1);
}

static void rcu_step(const struct program *g, struct world *w)
{
	if (w->body) {
		uint32_t *v = &w->var[call_op(g, w->call)->b];

		if (w->body-- == 2)
			*v += 100;
		else
			see(w, RCU, *v);
		return;
	}
	w->call = w->queued[0];
	w->body = 2;
	w->calls--;
	memmove(w->queued, w->queued + 1, CALLS - 1);
	memmove(w->blockers, w->blockers + 1, CALLS - 1);
	w->queued[CALLS - 1] = w->blockers[CALLS - 1] = 0;
}

static void end_section(struct world *w, unsigned p)
{
	if (!w->nest[p] || --w->nest[p])
		return;
	for (unsigned i = 0; i < w->calls; i++)
		w->blockers[i] &= (uint8_t) ~(1u << p);
}

static void queue_call(struct world *w, const struct op *o)
{
	unsigned open = 0;

	for (unsigned q = 0; q < THREADS; q++)
		open |= (unsigned)(w->nest[q] != 0) << q;
	w->queued[w->calls] = o->a;
	w->blockers[w->calls++] = (uint8_t)open;
}

/* p takes its step. chosen: of OP_CHOOSE. */
static void world_step(const struct program *g, struct world *w, unsigned p, unsigned chosen)
{
	const struct op *o = next_op(g, w, p);

	if (p == RCU) {
		rcu_step(g, w);
		return;
	}
	w->pc[p]++;
	switch ((enum op_kind)o->kind) {
	case OP_READ:
		see(w, p, w->var[o->a]);
		break;
	case OP_WRITE:
		w->var[o->a] = o->b;
		break;
	case OP_ADD:
		see(w, p, w->var[o->a]);
		w->var[o->a] += o->b;
		break;
	case OP_COUNT:
		w->var[o->a] += o->b;
		break;
	case OP_LOCK:
		w->owner[o->a] = (uint8_t)(p + 1);
		break;
	case OP_UNLOCK:
		if (w->owner[o->a] == p + 1)
			w->owner[o->a] = 0;
		break;
	case OP_TRY:
		see(w, p, !w->owner[o->a]);
		if (!w->owner[o->a])
			w->owner[o->a] = (uint8_t)(p + 1);
		break;
	case OP_PARK:
		w->token[p] = 0;
		break;
	case OP_UNPARK:
		w->token[o->a] = 1;
		break;
	case OP_BEGIN:
		w->nest[p]++;
		break;
	case OP_END:
		end_section(w, p);
		break;
	case OP_CALL:
		queue_call(w, o);
		break;
	case OP_CHOOSE:
		w->var[o->a] = chosen;
		break;
	case OP_ALSO:
		see(w, p, w->var[o->a]);
		w->var[o->b] += 7;
		break;
	case OP_WIDE:
		for (unsigned v = 0; v < VARS; v++)
			w->var[v]++;
		break;
	case OP_AWAIT:
	case OP_YIELD:
	case OP_KINDS:
		break;
	}
}

static uint64_t world_hash(const struct world *w)
{
	const uint8_t *bytes = (const uint8_t *)w;
	uint64_t h = 1;

	for (size_t i = 0; i < offsetof(struct world, var); i++)
		h = mix(h, bytes[i]);
	for (unsigned v = 0; v < VARS; v++)
		h = mix(h, w->var[v]);
	for (unsigned p = 0; p < PROCS; p++)
		h = mix(h, w->seen[p]);
	return h;
}

/* Traces */

static void object_touch(const struct fl_step *s, struct event_ranges *e)
{
	static const uint8_t touch[] = {
		[FL_STEP_LOCK] = FL_TOUCH_WRITE + 1,
		[FL_STEP_UNLOCK] = FL_TOUCH_WRITE + 1,
		[FL_STEP_TRYLOCK] = FL_TOUCH_WRITE + 1,
		[FL_STEP_PARK] = FL_TOUCH_WRITE + 1,
		[FL_STEP_UNPARK] = FL_TOUCH_COUNT + 1,
		[FL_STEP_CALLBACK] = FL_TOUCH_WRITE + 1,
		[FL_STEP_YIELD] = 0,
	};
	uint32_t t = touch[s->kind];

	if (s->kind == FL_STEP_TRYLOCK && !s->result)
		t = FL_TOUCH_READ + 1;
	if (t)
		e->range[e->n++] = (struct fl_step_range){s->object, 1, t - 1};
}

static bool depends(const struct event_ranges *a, const struct event_ranges *b)
{
	if (a->proc == b->proc || a->wide || b->wide)
		return true;
	for (unsigned i = 0; i < a->n; i++)
		for (unsigned k = 0; k < b->n; k++) {
			if (a->range[i].slot != b->range[k].slot)
				continue;
			if (a->range[i].touch != b->range[k].touch || a->range[i].touch == FL_TOUCH_WRITE)
				return true;
		}
	return false;
}

static void trace_add(struct trace *t, const struct program *g, const struct world *w, unsigned p, unsigned chosen)
{
	struct event_ranges *e = &t->event[t->n];
	const struct op *o = p == RCU ? NULL : next_op(g, w, p);
	uint8_t *clock = t->clock[t->n], index = 0;
	struct fl_step s;

	pending_of(g, w, p, &s);
	memset(e, 0, sizeof(*e));
	memset(clock, 0, PROCS);
	memcpy(e->range, s.range, s.ranges * sizeof(s.range[0]));
	e->n = s.ranges;
	e->wide = s.wide;
	e->proc = (uint8_t)p;
	object_touch(&s, e);
	if (o && o->kind == OP_ALSO)
		e->range[e->n++] = (struct fl_step_range){o->b, 1, FL_TOUCH_WRITE};
	for (unsigned i = 0; i < t->n; i++) {
		index = (uint8_t)(index + (t->event[i].proc == p));
		if (!depends(&t->event[i], e))
			continue;
		for (unsigned q = 0; q < PROCS; q++)
			if (clock[q] < t->clock[i][q])
				clock[q] = t->clock[i][q];
	}
	clock[p] = (uint8_t)(index + 1);
	e->index = (uint8_t)(index * 8 + chosen);
	t->n++;
}

/* The same for equivalent runs. */
static uint64_t trace_hash(const struct trace *t)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < t->n; i++) {
		uint64_t h = mix(t->event[i].proc, t->event[i].index);

		for (unsigned q = 0; q < PROCS; q++)
			h = mix(h, t->clock[i][q]);
		sum += h;
	}
	return sum;
}

/* Sets of numbers */

struct set {
	uint64_t *at;
	size_t n, room;
};

/* false: it was there. 0 is no number. */
static bool set_add(struct set *set, uint64_t v)
{
	v += !v;
	if (2 * (set->n + 1) > set->room) {
		struct set larger = {.room = set->room ? 2 * set->room : 64};

		larger.at = calloc(larger.room, sizeof(*larger.at));
		assert_non_null(larger.at);
		for (size_t i = 0; i < set->room; i++)
			if (set->at[i])
				set_add(&larger, set->at[i]);
		free(set->at);
		*set = larger;
	}
	for (size_t i = v & (set->room - 1);; i = (i + 1) & (set->room - 1)) {
		if (set->at[i] == v)
			return false;
		if (!set->at[i]) {
			set->at[i] = v;
			set->n++;
			return true;
		}
	}
}

static bool set_has(const struct set *set, uint64_t v)
{
	v += !v;
	for (size_t i = v & (set->room - 1); set->room; i = (i + 1) & (set->room - 1)) {
		if (set->at[i] == v)
			return true;
		if (!set->at[i])
			return false;
	}
	return false;
}

static bool set_same(const struct set *a, const struct set *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->room; i++)
		if (a->at[i] && !set_has(b, a->at[i]))
			return false;
	return true;
}

static void set_free(struct set *set)
{
	free(set->at);
	memset(set, 0, sizeof(*set));
}

/* Brute force */

struct brute {
	const struct program *g;
	bool traces;          /* count them, too */
	uint32_t preemptions; /* at most */
	struct set been, finals, ends;
	size_t limit; /* gives up after so many states */
};

static void brute_from(struct brute *b, const struct world *w, const struct trace *t, int last, uint32_t preemptions,
		       bool yielded)
{
	uint32_t waiting, enabled = enabled_of(b->g, w, &waiting);
	uint64_t h = b->traces ? trace_hash(t) : world_hash(w);

	if (b->preemptions != UINT32_MAX)
		h = mix(h, (uint64_t)(last + 1) * 1000 + preemptions * 2 + yielded);
	if (b->been.n > b->limit || !set_add(&b->been, h))
		return;
	if (!enabled) {
		set_add(&b->finals, world_hash(w));
		if (b->traces)
			set_add(&b->ends, trace_hash(t));
		return;
	}
	for (unsigned p = 0; p < PROCS; p++) {
		const struct op *o = p == RCU ? NULL : next_op(b->g, w, p);
		uint32_t spent = preemptions;

		if (!(enabled >> p & 1))
			continue;
		if (last >= 0 && last != (int)p && (enabled >> last & 1) && !yielded)
			spent++;
		if (spent > b->preemptions)
			continue;
		for (unsigned c = 0; c < (o && o->kind == OP_CHOOSE ? o->b : 1u); c++) {
			struct world next = *w;
			struct trace trace;

			if (b->traces) {
				trace = *t;
				trace_add(&trace, b->g, w, p, c);
			}
			world_step(b->g, &next, p, c);
			brute_from(b, &next, &trace, (int)p, spent, o && o->kind == OP_YIELD);
		}
	}
}

/* false: too large. */
FL_UNUSED static bool brute_run(struct brute *b, const struct program *g)
{
	struct world w = {0};
	struct trace t = {0};

	b->g = g;
	brute_from(b, &w, &t, -1, 0, false);
	return b->been.n <= b->limit;
}

FL_UNUSED static void brute_free(struct brute *b)
{
	set_free(&b->been);
	set_free(&b->finals);
	set_free(&b->ends);
}

/* Random programs */

FL_UNUSED static uint32_t draw(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*seed >> 33) % n);
}

/* A section ends, and nothing waits in it: that is the rule, and the search relies on it. */
static void end_sections(struct program *g, unsigned p)
{
	unsigned nest = 0;

	for (unsigned i = 0; i < g->n[p]; i++) {
		struct op *o = &g->op[p][i];

		if (o->kind == OP_END && !nest)
			o->kind = OP_READ;
		nest += o->kind == OP_BEGIN;
		nest -= o->kind == OP_END;
		if (nest && (o->kind == OP_LOCK || o->kind == OP_PARK || o->kind == OP_AWAIT))
			*o = (struct op){OP_COUNT, 1, 1};
	}
	for (; nest; nest--)
		g->op[p][g->n[p]++].kind = OP_END;
}

/* kinds: a bit for each kind of operation that may be in it. */
FL_UNUSED static void draw_program(struct program *g, uint64_t seed, unsigned threads, unsigned ops, uint32_t kinds)
{
	unsigned calls = 0;

	memset(g, 0, sizeof(*g));
	for (unsigned p = 0; p < threads; p++) {
		while (g->n[p] < ops) {
			struct op *o = &g->op[p][g->n[p]];

			o->kind = (uint8_t)draw(&seed, OP_KINDS);
			if (!(kinds >> o->kind & 1) || (o->kind == OP_CALL && calls == CALLS))
				continue;
			o->a = (uint8_t)draw(&seed, 2);
			o->b = (uint8_t)(1 + draw(&seed, 2));
			if (o->kind == OP_UNPARK)
				o->a = (uint8_t)draw(&seed, threads);
			if (o->kind == OP_CALL) {
				o->a = (uint8_t)calls++;
				o->b = (uint8_t)draw(&seed, 2);
			}
			g->n[p]++;
		}
		end_sections(g, p);
	}
}

FL_UNUSED static void print_program(const struct program *g)
{
	static const char *const name[] = {"read",  "write",  "add",    "count", "lock", "unlock",
					   "try",   "park",   "unpark", "begin", "end",  "call",
					   "await", "choose", "also",   "wide",  "yield"};

	for (unsigned p = 0; p < THREADS; p++) {
		print_message("  %c:", 'a' + (char)p);
		for (unsigned i = 0; i < g->n[p]; i++)
			print_message(" %s %u %u;", name[g->op[p][i].kind], g->op[p][i].a, g->op[p][i].b);
		print_message("\n");
	}
}

#endif
