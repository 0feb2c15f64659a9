/* SPDX-License-Identifier: MIT */
/*
 * Brute force over all schedules of the programs of search_model.h, and pseudo-random programs.
 *
 * No locks: one OS thread.
 */
#ifndef FL_TEST_SEARCH_BRUTE_H
#define FL_TEST_SEARCH_BRUTE_H

#include "search_model.h"

/* Traces */

static void object_touch(const struct fl_step *s, struct event_ranges *e)
{
	static const uint8_t touch[] = {
		[FL_STEP_LOCK] = FL_TOUCH_WRITE + 1,    [FL_STEP_UNLOCK] = FL_TOUCH_WRITE + 1,
		[FL_STEP_TRYLOCK] = FL_TOUCH_WRITE + 1, [FL_STEP_PARK] = FL_TOUCH_WRITE + 1,
		[FL_STEP_UNPARK] = FL_TOUCH_COUNT + 1,  [FL_STEP_CALLBACK] = FL_TOUCH_WRITE + 1,
		[FL_STEP_FLUSH] = FL_TOUCH_WRITE + 1,   [FL_STEP_YIELD] = 0,
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
			if (a->range[i].slot >= b->range[k].slot + b->range[k].n ||
			    b->range[k].slot >= a->range[i].slot + a->range[i].n)
				continue;
			if (a->range[i].touch != b->range[k].touch || a->range[i].touch == FL_TOUCH_WRITE)
				return true;
		}
	return false;
}

static void trace_add(struct trace *t, const struct program *g, const struct world *w, unsigned p, unsigned chosen)
{
	struct event_ranges *e = &t->event[t->n];
	const struct op *o = next_op(g, w, p);
	uint8_t *clock = t->clock[t->n], index;
	struct fl_step s;
	uint64_t h;

	pending_of(g, w, p, &s);
	memset(e, 0, sizeof(*e));
	memset(clock, 0, WITH_BUFFERS);
	memcpy(e->range, s.range, s.ranges * sizeof(s.range[0]));
	e->n = s.ranges;
	e->wide = s.wide;
	e->proc = (uint8_t)p;
	object_touch(&s, e);
	if (o && o->kind == OP_CALL)
		e->range[e->n++] = (struct fl_step_range){SLOT_QUEUE, 1, FL_TOUCH_WRITE};
	if (o && o->kind == OP_ALSO)
		e->range[e->n++] = (struct fl_step_range){o->b, 1, FL_TOUCH_WRITE};
	for (unsigned i = t->n; i-- > 0;) {
		unsigned of = t->event[i].proc;

		if (clock[of] >= t->clock[i][of] || !depends(&t->event[i], e))
			continue;
		for (unsigned q = 0; q < WITH_BUFFERS; q++)
			if (clock[q] < t->clock[i][q])
				clock[q] = t->clock[i][q];
	}
	index = clock[p]++;
	h = mix(p, index * 8 + chosen);
	for (unsigned q = 0; q < WITH_BUFFERS; q++)
		h = mix(h, clock[q]);
	t->sum[t->n + 1] = t->sum[t->n] + h;
	t->n++;
}

/* The same for equivalent runs. */
static uint64_t trace_hash(const struct trace *t)
{
	return t->sum[t->n];
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

static bool set_is_within(const struct set *part, const struct set *whole)
{
	for (size_t i = 0; i < part->room; i++)
		if (part->at[i] && !set_has(whole, part->at[i]))
			return false;
	return true;
}

static bool set_same(const struct set *a, const struct set *b)
{
	return a->n == b->n && set_is_within(a, b);
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
	struct trace trace;   /* of the run so far */
	struct set been, finals, ends;
	struct set threads, held; /* what the threads came to; and if a callback waits for ever */
	size_t limit;             /* gives up after so many states */
};

static void brute_from(struct brute *b, const struct world *w, int last, uint32_t preemptions, bool yielded)
{
	uint32_t waiting, enabled = enabled_of(b->g, w, &waiting);
	uint64_t h = mix(b->traces ? trace_hash(&b->trace) : 0, world_hash(w));

	if (b->preemptions != UINT32_MAX)
		h = mix(h, (uint64_t)(last + 1) * 1000 + preemptions * 2 + yielded);
	if (b->been.n > b->limit || !set_add(&b->been, h))
		return;
	if (!enabled) {
		set_add(&b->threads, threads_hash(w));
		if (is_held(w)) {
			set_add(&b->held, threads_hash(w));
			return;
		}
		set_add(&b->finals, final_hash(w));
		if (b->traces)
			set_add(&b->ends, trace_hash(&b->trace));
		return;
	}
	for (unsigned p = 0; p < WITH_BUFFERS; p++) {
		const struct op *o = next_op(b->g, w, p);
		uint32_t spent = preemptions;

		if (!(enabled >> p & 1))
			continue;
		if (last >= 0 && last != (int)p && (enabled >> last & 1) && !yielded)
			spent++;
		if (spent > b->preemptions)
			continue;
		for (unsigned c = 0; c < (o && o->kind == OP_CHOOSE ? o->b : 1u); c++) {
			struct world next = *w;

			if (b->traces)
				trace_add(&b->trace, b->g, w, p, c);
			world_step(b->g, &next, p, c);
			brute_from(b, &next, (int)p, spent, o && o->kind == OP_YIELD);
			b->trace.n -= b->traces;
		}
	}
}

/* false: too large. */
FL_UNUSED static bool brute_run(struct brute *b, const struct program *g)
{
	struct world w = {0};

	b->g = g;
	brute_from(b, &w, -1, 0, false);
	return b->been.n <= b->limit;
}

FL_UNUSED static void brute_free(struct brute *b)
{
	set_free(&b->been);
	set_free(&b->finals);
	set_free(&b->ends);
	set_free(&b->threads);
	set_free(&b->held);
}

/* Random programs */

FL_UNUSED static uint32_t draw(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*seed >> 33) % n);
}

/* A section ends, unless something in it waits for ever. */
static void end_sections(struct program *g, unsigned p)
{
	unsigned nest = 0;

	for (unsigned i = 0; i < g->n[p]; i++) {
		struct op *o = &g->op[p][i];

		if (o->kind == OP_END && !nest)
			o->kind = OP_READ;
		nest += o->kind == OP_BEGIN;
		nest -= o->kind == OP_END;
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
	static const char *const name[] = {"read", "write",  "add",   "count", "lock",  "unlock", "try",
					   "park", "unpark", "begin", "end",   "call",  "await",  "choose",
					   "also", "wide",   "yield", "seq",   "fence", "pair"};

	for (unsigned p = 0; p < THREADS; p++) {
		print_message("  %c:", 'a' + (char)p);
		for (unsigned i = 0; i < g->n[p]; i++)
			print_message(" %s %u %u;", name[g->op[p][i].kind], g->op[p][i].a, g->op[p][i].b);
		print_message("\n");
	}
}

#endif
