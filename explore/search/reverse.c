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

/* What is to go first instead of an event, and what is to come later with it. */
struct instead {
	uint32_t seen;  /* processes that have an event in it; which is their first */
	uint32_t later; /* processes whose events come later; which is the first that does */
	uint32_t first[FL_SEARCH_PROCS], from[FL_SEARCH_PROCS];
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

/* The next event, g, on the way from f to e. Returns whether its process can begin. */
static bool instead_add(const struct fl_search *s, struct instead *v, uint32_t g)
{
	const struct event *ev = &s->event[g];
	const uint32_t *of_g = clock_of(s, g);
	uint32_t q = ev->proc;

	if (comes_later(v, of_g)) {
		if (!(v->later & BIT(q)))
			v->from[q] = g;
		v->later |= BIT(q);
		return false;
	}
	if (v->seen & BIT(q))
		return false;
	v->seen |= BIT(q);
	v->first[q] = g;
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
	for (uint32_t g = f + 1; g < e; g++) {
		if (!instead_add(s, &v, g))
			continue;
		if (covered & node->enabled & BIT(s->event[g].proc))
			return;
		initials |= BIT(s->event[g].proc);
	}
	if (!(v.seen & BIT(p)) && is_initial(&v, clock, p))
		initials |= BIT(p);
	fl_race_add(s, f, initials, p);
}
