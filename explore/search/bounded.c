/* SPDX-License-Identifier: MIT */
/*
 * Partial-order reduction under a bound on preemptions.
 *
 * After Coons, Musuvathi, McKinley, "Bounded partial-order reduction" (OOPSLA 2013), over the persistent sets of Flanagan and
 * Godefroid (POPL 2005). A run that is equivalent to one within the bound may itself need more preemptions. So nobody sleeps, and where
 * two events are to be reversed, the later one's process also goes where the earlier one's process was switched to: there, to
 * go instead costs no preemption more.
 *
 * No locks: one OS thread.
 */
#include "explore/search/internal.h"

uint32_t fl_bounded_may(const struct fl_search *s, uint32_t node, uint32_t enabled)
{
	const struct event *last = node ? &s->event[node - 1] : NULL;

	if (!last || last->preemptions < s->config.preemptions || last->kind == FL_STEP_YIELD ||
	    !(enabled & BIT(last->proc)))
		return enabled;
	return BIT(last->proc);
}

/* p is to go at this node; if it cannot, whoever can might let it. */
static void add_at(struct fl_search *s, uint32_t node, uint32_t p)
{
	uint32_t enabled = s->event[node].enabled, may = fl_bounded_may(s, node, enabled);

	if (enabled & BIT(p))
		may &= BIT(p);
	for (uint32_t left_q = may, q; next_bit(&left_q, &q);)
		fl_race_add(s, node, BIT(q), q);
}

/*
 * Callbacks: whether there is one to run, and whether it may, decides what a switch to another process costs. A begin changes
 * neither: a callback waits only for sections that come before its call (fl_race_may_call).
 */
static bool callbacks_conflict(const struct fl_search *s, const struct event *a, const struct event *b)
{
	if (a->queues)
		return b->proc + 1u == s->callbacks;
	return a->kind == FL_STEP_END && b->kind == FL_STEP_CALLBACK;
}

/* Does event w conflict with event e, which touches these? An unlock does with a lock: before it, a switch may cost nothing. */
static bool conflicts(const struct fl_search *s, uint32_t w, uint32_t e, const struct fl_step_range *range, size_t n)
{
	const struct event *a = &s->event[w], *b = &s->event[e];
	bool counts;

	if (a->wide || b->wide || callbacks_conflict(s, a, b) || callbacks_conflict(s, b, a))
		return true;
	if (b->kind == FL_STEP_CALLBACK && b->queued == w + 1)
		return false;
	for (size_t r = 0; r < n; r++)
		if (fl_race_touched(s, w, &range[r], &counts))
			return true;
	return false;
}

/* A bit for each slot, more than one slot to a bit, and one for all to do with callbacks. Without a common bit there is no conflict. */
#define CALLBACKS_BIT 63

static uint64_t bits_of(const struct fl_search *s, const struct event *ev, const struct fl_step_range *range, size_t n)
{
	uint64_t bits = 0;

	if (ev->wide)
		return UINT64_MAX;
	if (ev->queues || ev->kind == FL_STEP_END || ev->proc + 1u == s->callbacks)
		bits = (uint64_t)1 << CALLBACKS_BIT;
	for (size_t r = 0; r < n; r++)
		for (uint32_t slot = 0; slot < range[r].n && slot < CALLBACKS_BIT; slot++)
			bits |= (uint64_t)1 << ((range[r].slot + slot) % CALLBACKS_BIT);
	return bits;
}

void fl_bounded_waiting(struct fl_search *s, uint32_t e, uint32_t p, const uint32_t *clock,
			const struct fl_step_range *range, size_t n)
{
	uint32_t all = UINT32_MAX >> (FL_SEARCH_PROCS - s->procs), ordered = BIT(p);
	uint64_t bits = bits_of(s, &s->event[e], range, n);

	for (uint32_t w = e; w-- > 0 && ordered != all;) {
		const struct event *ev = &s->event[w];
		uint32_t q = ev->proc, block = w;

		if ((ordered & BIT(q)) || (!(ev->touched & bits) && !ev->wide && bits != UINT64_MAX))
			continue;
		if (clock[q] > w) {
			ordered |= BIT(q);
			continue;
		}
		if (!conflicts(s, w, e, range, n))
			continue;
		while (block && s->event[block - 1].proc == q)
			block--;
		add_at(s, w, p);
		if (block != w)
			add_at(s, block, p);
	}
}

void fl_bounded_event(struct fl_search *s, uint32_t e, const uint32_t *clock)
{
	struct event *ev = &s->event[e];
	const struct fl_step_range *range = (const struct fl_step_range *)s->ranges.at + ev->ranges;
	size_t n = s->ranges.n - ev->ranges;

	ev->touched = bits_of(s, ev, range, n);
	/* If the shadow knows of no conflict there is none. */
	if (s->conflicts || s->quiet || ev->touched >> CALLBACKS_BIT)
		fl_bounded_waiting(s, e, ev->proc, clock, range, n);
}
