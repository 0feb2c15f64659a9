/* SPDX-License-Identifier: MIT */
/*
 * Who has to go earlier, so that two events come in the other order.
 *
 * The branch that reverses them must be explored from the node before the first of the two. The processes that can begin it
 * there are the initials of what does not come after the first one; if none of them is in the node's backtrack set, one is added.
 *
 * No locks: one OS thread.
 */
#include "explore/search/internal.h"

bool fl_race_add(struct fl_search *s, uint32_t node, uint32_t initials, uint32_t p)
{
	struct event *ev = &s->event[node];
	struct outside *outside = s->outside.at;

	initials &= ev->enabled;
	if (!initials || (initials & (ev->backtrack | ev->sleep)))
		return true;
	if (node >= s->root) {
		ev->backtrack |= initials & BIT(p) ? BIT(p) : initials & -initials;
		return true;
	}
	for (size_t i = 0; i < s->outside.n; i++)
		if (outside[i].depth == node && !(outside[i].initials & ~initials))
			return true;
	outside = fl_search_push(s, &s->outside, sizeof(*outside));
	if (!outside)
		return false;
	*outside = (struct outside){node, initials};
	return true;
}

/* Before event f: the section that process q is in, plus one. *ends: in this process, and after f, its end, plus one. */
static uint32_t section_at(const struct fl_search *s, uint32_t q, uint32_t f, uint32_t *ends)
{
	uint32_t e = s->shadow[WORD_LAST + q], section;

	*ends = 0;
	section = s->shadow[WORD_SECTION + q];
	while (e > f) {
		const struct event *ev = &s->event[e - 1];

		if (ev->section && !section)
			*ends = e;
		section = ev->section;
		e = ev->prev;
	}
	return section;
}

/*
 * Without f and what comes after it (f is none if there are not so many events): does a section of process q begin before
 * this call, and not end? Then it holds the callback up. Where it began, plus one.
 */
static uint32_t holds(const struct fl_search *s, uint32_t q, uint32_t call, uint32_t f)
{
	uint32_t ends, begin = section_at(s, q, call, &ends), r;

	if (!begin || f >= s->n)
		return begin && !ends ? begin : 0;
	r = s->event[f].proc;
	if ((ends && clock_of(s, ends - 1)[r] <= f) || clock_of(s, begin - 1)[r] > f)
		return 0;
	return begin;
}

static bool is_held(const struct fl_search *s, const struct event *callback, uint32_t f)
{
	for (uint32_t q = 0; callback->queued && q < s->procs; q++)
		if (holds(s, q, callback->queued - 1, f))
			return true;
	return false;
}

/* What is to go first instead of an event, and what is to come later with it. */
struct instead {
	uint32_t seen;  /* processes that have an event in it; which is their first */
	uint32_t later; /* processes whose events come later; which is the first that does */
	uint32_t first[FL_SEARCH_PROCS], from[FL_SEARCH_PROCS];
	bool queued, queued_later; /* a callback was, by an event that goes first; by one that comes later */
	bool called, called_later; /* and the same of one that began */
};

static bool comes_later(const struct instead *v, const uint32_t *clock)
{
	for (uint32_t left_d = v->later, d; next_bit(&left_d, &d);)
		if (clock[d] > v->from[d])
			return true;
	return false;
}

/* Is this event, the first one of process q, ordered after no other's? */
static bool is_initial(const struct instead *v, const uint32_t *clock, uint32_t q)
{
	for (uint32_t left_h = v->seen & ~BIT(q), h; next_bit(&left_h, &h);)
		if (clock[h] > v->first[h])
			return false;
	return true;
}

/*
 * A section that begins after a callback was queued is no initial: were it to begin first, the callback would have to wait
 * for it. If the call comes later, and e (with this clock) does not need the section, then the section comes later as well. So
 * does a callback that is held up.
 */
static bool is_put_off(const struct fl_search *s, const struct instead *v, uint32_t g, uint32_t f,
		       const uint32_t *clock)
{
	const struct event *ev = &s->event[g];

	if (ev->kind == FL_STEP_BEGIN && !ev->section)
		return v->queued_later && clock[ev->proc] <= g;
	/* A store to a buffer and a callback: likewise. */
	if (ev->stores)
		return v->called_later && clock[ev->proc] <= g;
	return ev->kind == FL_STEP_CALLBACK && is_held(s, ev, f);
}

/* The next event, g, on the way from f to e with this clock. Returns whether its process can begin. */
static bool instead_add(const struct fl_search *s, struct instead *v, uint32_t g, uint32_t f, const uint32_t *clock)
{
	const struct event *ev = &s->event[g];
	const uint32_t *of_g = clock_of(s, g);
	uint32_t q = ev->proc;

	if (comes_later(v, of_g) || is_put_off(s, v, g, f, clock)) {
		v->queued_later |= ev->queues;
		v->called_later |= ev->kind == FL_STEP_CALLBACK;
		if (!(v->later & BIT(q)))
			v->from[q] = g;
		v->later |= BIT(q);
		return false;
	}
	v->queued |= ev->queues;
	v->called |= ev->kind == FL_STEP_CALLBACK;
	if (v->seen & BIT(q))
		return false;
	v->seen |= BIT(q);
	v->first[q] = g;
	if ((v->queued && ev->kind == FL_STEP_BEGIN) || (v->called && ev->stores))
		return false;
	return is_initial(v, of_g, q);
}

void fl_reverse(struct fl_search *s, uint32_t f, uint32_t e, uint32_t p, const uint32_t *clock)
{
	const struct event *node = &s->event[f];
	uint32_t covered = node->backtrack | node->sleep, initials = 0;
	struct instead v;

	v.seen = 0;
	v.later = BIT(node->proc);
	v.from[node->proc] = f;
	v.queued = v.called = false;
	v.called_later = node->kind == FL_STEP_CALLBACK;
	v.queued_later = node->queues;
	for (uint32_t g = f + 1; g < e; g++) {
		if (!instead_add(s, &v, g, f, clock))
			continue;
		if (covered & node->enabled & BIT(s->event[g].proc))
			return;
		initials |= BIT(s->event[g].proc);
	}
	if (!(v.seen & BIT(p)) && is_initial(&v, clock, p))
		initials |= BIT(p);
	fl_race_add(s, f, initials, p);
}

bool fl_reverse_call(struct fl_search *s, uint32_t call, uint32_t f)
{
	bool held = false;

	for (uint32_t q = 0; q < s->procs; q++) {
		uint32_t begin = holds(s, q, call, f);

		if (!begin)
			continue;
		held = true;
		if (clock_of(s, call)[q] < begin)
			fl_reverse(s, begin - 1, call, s->event[call].proc, clock_of(s, call));
	}
	return held;
}

bool fl_reverse_calls(struct fl_search *s, uint32_t f, uint32_t e, const uint32_t *clock)
{
	uint32_t c = s->callbacks - 1, k = clock[c];
	bool held = false;

	if (k == e + 1 && s->event[e].kind != FL_STEP_CALLBACK)
		k = s->event[e].prev;
	while (k > f + 1) {
		const struct event *ev = &s->event[k - 1];

		if (ev->kind == FL_STEP_CALLBACK && ev->queued && fl_reverse_call(s, ev->queued - 1, f))
			held = true;
		k = ev->prev;
	}
	return held;
}
