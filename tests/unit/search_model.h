/* SPDX-License-Identifier: MIT */
/*
 * Little concurrent programs, for the tests of the search: a model of what the search is told of, and an interpreter.
 *
 *   program   for each process a list of operations over shared variables, locks, parkers, sections and callbacks
 *   seen      a process's hash of all that it has read; so that the final states tell most schedules apart
 *   trace     the events of a run with what orders them; runs with the same trace are equivalent
 *   buffer    under TSO, a process for each of the others: it writes the oldest store that waits in it
 *
 * After the threads comes the callbacks' process; after that come the buffers'. No locks: one OS thread.
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
#define WITH_BUFFERS (2 * PROCS)
#define ENTRIES 2 /* of a buffer: few, so that it is full at times */
#define OPS 16
#define VARS 4
#define LOCKS 2
#define CALLS 3

enum op_kind {
	OP_READ,   /* seen */
	OP_WRITE,  /* b; under TSO, into the buffer */
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
	OP_SEQ, /* b; waits for the buffer to be empty, as do all that follow but OP_PAIR at times, and most of the others */
	OP_FENCE, /* nothing */
	OP_PAIR,  /* reads variables 0 and 1; waits for the buffer if one is in it */
	OP_KINDS
};

struct op {
	uint8_t kind, a, b;
};

struct program {
	struct op op[PROCS][OPS];
	unsigned n[PROCS];
	bool tso;
};

/* Slots: variables, locks, parkers, callbacks, the queue of callbacks, entries of buffers. */
enum {
	SLOT_LOCK = VARS,
	SLOT_PARKER = SLOT_LOCK + LOCKS,
	SLOT_CALL = SLOT_PARKER + PROCS,
	SLOT_QUEUE = SLOT_CALL + CALLS,
	SLOT_ENTRY,
	SLOTS = SLOT_ENTRY + PROCS * ENTRIES
};

#define TRACE 64
#define EVENT_RANGES 4

struct event_ranges {
	struct fl_step_range range[EVENT_RANGES];
	uint8_t n, proc, wide;
};

struct world {
	uint8_t pc[PROCS];
	uint8_t owner[LOCKS]; /* plus one */
	uint8_t token[PROCS];
	uint8_t nest[PROCS];
	uint8_t queued[CALLS];   /* callbacks that wait, in order */
	uint8_t blockers[CALLS]; /* the sections that each waits for; and how many stores of each process */
	uint8_t awaited[CALLS][PROCS];
	uint8_t calls, body, call; /* how many wait; what is left of the one that runs, and which */
	uint8_t stores[PROCS];     /* in the buffer; which are: */
	uint8_t entry_var[PROCS][ENTRIES], entry_value[PROCS][ENTRIES];
	uint8_t first[PROCS];  /* the number of the oldest, modulo ENTRIES */
	uint8_t drains[PROCS]; /* the next step waits until the buffer is empty */
	uint8_t unused[4];     /* all is hashed, so there is no padding */
	uint32_t var[VARS];
	uint64_t seen[PROCS];
};
FL_STATIC_ASSERT(offsetof(struct world, var) % 8 == 0, "a struct world has no padding");
FL_STATIC_ASSERT(offsetof(struct world, var) == offsetof(struct world, unused) + 4, "a struct world has no padding");

/* The order among the events of a run. Those of a prefix are a prefix of them. */
struct trace {
	unsigned n;
	struct event_ranges event[TRACE];
	uint8_t clock[TRACE][WITH_BUFFERS];
	uint64_t sum[TRACE + 1]; /* of hashes, before each event */
};

FL_UNUSED static uint64_t mix(uint64_t h, uint64_t v)
{
	h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
	h *= 0xff51afd7ed558ccdu;
	return h ^ (h >> 32);
}

static const struct op *next_op(const struct program *g, const struct world *w, unsigned p)
{
	return p < RCU && w->pc[p] < g->n[p] ? &g->op[p][w->pc[p]] : NULL;
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

static uint32_t entry_slot(const struct world *w, unsigned p, unsigned i)
{
	return SLOT_ENTRY + p * ENTRIES + (w->first[p] + i) % ENTRIES;
}

static void flush_pending(const struct world *w, unsigned p, struct fl_step *s)
{
	if (!w->stores[p])
		return;
	s->kind = FL_STEP_FLUSH;
	s->object = entry_slot(w, p, 0);
	one_range(s, w->entry_var[p][0], FL_TOUCH_WRITE);
}

static void rcu_pending(const struct program *g, const struct world *w, struct fl_step *s)
{
	if (w->body == 2 && g->tso) {
		one_range(s, entry_slot(w, RCU, w->stores[RCU]), FL_TOUCH_BUFFER);
	} else if (w->body) {
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
	if (p >= PROCS)
		flush_pending(w, p - PROCS, s);
	if (p == RCU)
		rcu_pending(g, w, s);
	if (!o)
		return;
	if (w->drains[p])
		s->after = 1u << (PROCS + p);
	switch ((enum op_kind)o->kind) {
	case OP_READ:
	case OP_AWAIT:
	case OP_ALSO:
		one_range(s, o->a, FL_TOUCH_READ);
		break;
	case OP_WRITE:
		if (g->tso)
			one_range(s, entry_slot(w, p, w->stores[p]), FL_TOUCH_BUFFER);
		else
			one_range(s, o->a, FL_TOUCH_WRITE);
		break;
	case OP_PAIR:
		s->range[s->ranges++] = (struct fl_step_range){0, 2, FL_TOUCH_READ};
		break;
	case OP_SEQ:
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
		one_range(s, SLOT_CALL + o->a, FL_TOUCH_QUEUE);
		break;
	case OP_WIDE:
		s->wide = true;
		break;
	case OP_YIELD:
		s->kind = FL_STEP_YIELD;
		break;
	case OP_FENCE:
	case OP_KINDS:
		break;
	}
}

static bool can_go(const struct program *g, const struct world *w, unsigned p, const struct op *o)
{
	if (w->drains[p] && w->stores[p])
		return false;
	switch ((enum op_kind)o->kind) {
	case OP_LOCK:
		return !w->owner[o->a];
	case OP_PARK:
		return w->token[p];
	case OP_AWAIT:
		return w->var[o->a] == o->b;
	case OP_WRITE:
		return !g->tso || w->stores[p] < ENTRIES;
	default:
		return true;
	}
}

static bool rcu_can_go(const struct program *g, const struct world *w)
{
	if (w->body)
		return !g->tso || w->body != 2 || w->stores[RCU] < ENTRIES;
	for (unsigned p = 0; p < PROCS; p++)
		if (w->awaited[0][p])
			return false;
	return !w->blockers[0];
}

/* Who can go; *waiting: who cannot, and is not done. */
static uint32_t enabled_of(const struct program *g, const struct world *w, uint32_t *waiting)
{
	uint32_t enabled = 0, left = 0;

	for (unsigned p = 0; p < THREADS; p++) {
		const struct op *o = next_op(g, w, p);

		if (!o)
			continue;
		left |= 1u << p;
		enabled |= (uint32_t)can_go(g, w, p, o) << p;
	}
	if (w->body || w->calls) {
		left |= 1u << RCU;
		enabled |= (uint32_t)rcu_can_go(g, w) << RCU;
	}
	*waiting = left & ~enabled;
	for (unsigned p = 0; p < PROCS; p++)
		enabled |= (uint32_t)(w->stores[p] != 0) << (PROCS + p);
	return enabled;
}

static void see(struct world *w, unsigned p, uint64_t v)
{
	w->seen[p] = mix(w->seen[p], v + 1);
}

/* The newest entry of p's buffer for this variable, plus one. */
static unsigned find_entry(const struct world *w, unsigned p, unsigned var)
{
	unsigned i = w->stores[p];

	while (i && w->entry_var[p][i - 1] != var)
		i--;
	return i;
}

static uint32_t load(const struct world *w, unsigned p, unsigned var)
{
	unsigned i = find_entry(w, p, var);

	return i ? w->entry_value[p][i - 1] : w->var[var];
}

static void store(const struct program *g, struct world *w, unsigned p, unsigned var, uint8_t value)
{
	if (!g->tso) {
		w->var[var] = value;
		return;
	}
	w->entry_var[p][w->stores[p]] = (uint8_t)var;
	w->entry_value[p][w->stores[p]++] = value;
}

static void flush_step(struct world *w, unsigned p)
{
	w->var[w->entry_var[p][0]] = w->entry_value[p][0];
	memmove(w->entry_var[p], w->entry_var[p] + 1, ENTRIES - 1);
	memmove(w->entry_value[p], w->entry_value[p] + 1, ENTRIES - 1);
	w->entry_var[p][ENTRIES - 1] = w->entry_value[p][ENTRIES - 1] = 0;
	w->first[p] = (uint8_t)((w->first[p] + 1) % ENTRIES);
	w->stores[p]--;
	for (unsigned i = 0; i < w->calls; i++)
		w->awaited[i][p] = (uint8_t)(w->awaited[i][p] - (w->awaited[i][p] != 0));
}

/* Under TSO: does p's next step, to which it comes now, wait for its buffer? */
static bool is_draining(const struct world *w, unsigned p, const struct op *o)
{
	switch ((enum op_kind)o->kind) {
	case OP_READ:
	case OP_WRITE:
	case OP_BEGIN:
	case OP_END:
	case OP_CHOOSE:
	case OP_YIELD:
		return false;
	case OP_PAIR:
		return find_entry(w, p, 0) || find_entry(w, p, 1);
	default:
		return true;
	}
}

static void rcu_step(const struct program *g, struct world *w)
{
	if (w->body) {
		unsigned var = call_op(g, w->call)->b;

		if (w->body-- == 1)
			see(w, RCU, load(w, RCU, var));
		else if (g->tso)
			store(g, w, RCU, var, 100);
		else
			w->var[var] += 100;
		return;
	}
	w->call = w->queued[0];
	w->body = 2;
	w->calls--;
	memmove(w->queued, w->queued + 1, CALLS - 1);
	memmove(w->blockers, w->blockers + 1, CALLS - 1);
	memmove(w->awaited, w->awaited + 1, sizeof(w->awaited) - sizeof(w->awaited[0]));
	w->queued[CALLS - 1] = w->blockers[CALLS - 1] = 0;
	memset(w->awaited[CALLS - 1], 0, sizeof(w->awaited[0]));
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
	memcpy(w->awaited[w->calls], w->stores, sizeof(w->stores));
	w->blockers[w->calls++] = (uint8_t)open;
}

static void thread_step(const struct program *g, struct world *w, unsigned p, const struct op *o, unsigned chosen)
{
	w->pc[p]++;
	switch ((enum op_kind)o->kind) {
	case OP_READ:
		see(w, p, load(w, p, o->a));
		break;
	case OP_PAIR:
		see(w, p, w->var[0]);
		see(w, p, w->var[1]);
		break;
	case OP_WRITE:
		store(g, w, p, o->a, o->b);
		break;
	case OP_SEQ:
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
	case OP_FENCE:
	case OP_KINDS:
		break;
	}
	o = next_op(g, w, p);
	w->drains[p] = g->tso && o && is_draining(w, p, o);
}

/* p takes its step. chosen: of OP_CHOOSE. */
static void world_step(const struct program *g, struct world *w, unsigned p, unsigned chosen)
{
	const struct op *o = next_op(g, w, p);

	if (p >= PROCS)
		flush_step(w, p - PROCS);
	else if (p == RCU)
		rcu_step(g, w);
	else
		thread_step(g, w, p, o, chosen);
}

static uint64_t world_hash(const struct world *w)
{
	uint64_t h = 1, word;

	for (size_t i = 0; i < sizeof(*w); i += sizeof(word)) {
		memcpy(&word, (const char *)w + i, sizeof(word));
		h = mix(h, word);
	}
	return h;
}

/* Of a final state: equivalent runs need not agree on which sections a callback waits for. */
static uint64_t final_hash(const struct world *w)
{
	struct world final = *w;

	memset(final.blockers, 0, sizeof(final.blockers));
	memset(final.awaited, 0, sizeof(final.awaited));
	return world_hash(&final);
}

/* At the end: a callback waits, for a section that never ends. */
static bool is_held(const struct world *w)
{
	return w->calls && !w->body;
}

/* What the threads have come to. */
static uint64_t threads_hash(const struct world *w)
{
	struct world final = {0};

	memcpy(final.pc, w->pc, sizeof(w->pc));
	memcpy(final.owner, w->owner, sizeof(w->owner));
	memcpy(final.seen, w->seen, THREADS * sizeof(w->seen[0]));
	return world_hash(&final);
}

#endif
