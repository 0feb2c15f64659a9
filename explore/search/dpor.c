/* SPDX-License-Identifier: MIT */
/*
 * The tree of schedules: a new node and who goes first there, the next branch, and who sleeps.
 *
 * A node's `sleep` holds whom it inherited and whose branches are done; the branch under way is its event's process; what
 * is in `backtrack` beyond these is still to do. No locks: one OS thread.
 */
#include <string.h>

#include "explore/search/internal.h"

/* Nodes */

static uint32_t inherited_sleep(const struct fl_search *s, uint32_t n)
{
	uint32_t asleep = n ? s->event[n - 1].sleep & ~BIT(s->event[n - 1].proc) : 0;

	for (uint32_t left_p = asleep, p; next_bit(&left_p, &p);)
		if (fl_race_wakes(s, p, n - 1))
			asleep &= ~BIT(p);
	return asleep;
}

static void fill_in(struct fl_search *s, uint32_t enabled)
{
	struct event *ev = &s->event[s->n];

	ev->enabled = enabled;
	ev->awaited = ~enabled;
	if (s->n)
		ev->awaited |= ev[-1].awaited & ~BIT(ev[-1].proc);
	ev->undo = (uint32_t)s->undo.n;
	ev->ranges = (uint32_t)s->ranges.n;
}

static bool repeats(struct fl_search *s, uint32_t expected, uint32_t enabled)
{
	if (expected == enabled)
		return true;
	return fl_search_fail(s, "the program does not repeat itself: at step %u processes %#x could go, and now %#x",
			      s->n, expected, enabled);
}

/* A node that a saved state had. */
static int loaded_next(struct fl_search *s, uint32_t enabled)
{
	struct event *ev = &s->event[s->n];
	uint32_t p = ev->proc;

	if (!repeats(s, ev->enabled, enabled))
		return -1;
	if (s->n == s->forced) {
		p = (uint32_t)s->branch;
		s->branch = -1;
		s->loaded = false;
	}
	fill_in(s, enabled);
	return (int)p;
}

/* The process that went last goes on, unless it yielded; then the next one after it. */
static uint32_t first_choice(const struct fl_search *s, uint32_t may, int running)
{
	uint32_t later;

	if (running < 0)
		return (uint32_t)__builtin_ctz(may);
	if ((may & BIT(running)) && !(s->n && s->event[s->n - 1].kind == FL_STEP_YIELD))
		return (uint32_t)running;
	later = may & ~(BIT(running) | (BIT(running) - 1));
	return (uint32_t)__builtin_ctz(later ? later : may);
}

/*
 * Everyone who could go sleeps: what follows is known. But whoever waits for a value might have had it on the way here, and
 * with the sleepers' steps not have it.
 */
static int cut(struct fl_search *s, const struct fl_step pending[])
{
	uint32_t waiting = ~s->event[s->n].enabled & (BIT(s->procs - 1) | (BIT(s->procs - 1) - 1));

	s->state = RUN_ENDED;
	s->stats.cut++;
	for (uint32_t left_p = waiting, p; next_bit(&left_p, &p);)
		fl_race_waiting(s, p, &pending[p]);
	return -1;
}

int fl_dpor_next(struct fl_search *s, uint32_t enabled, const struct fl_step pending[], int running)
{
	struct event *ev = &s->event[s->n];
	uint32_t may, p;

	if (s->loaded)
		return loaded_next(s, enabled);
	if (s->branch >= 0) {
		p = (uint32_t)s->branch;
		s->branch = -1;
		return repeats(s, ev->enabled, enabled) ? (int)p : -1;
	}
	memset(ev, 0, sizeof(*ev));
	ev->choices = (uint32_t)s->choices.n;
	fill_in(s, enabled);
	if (s->config.mode == FL_SEARCH_BOUNDED) {
		p = first_choice(s, fl_bounded_may(s, s->n, enabled), running);
		ev->backtrack = BIT(p);
		return (int)p;
	}
	ev->sleep = inherited_sleep(s, s->n);
	may = enabled & ~ev->sleep;
	if (!may)
		return cut(s, pending);
	p = first_choice(s, may, running);
	ev->backtrack = BIT(p);
	return (int)p;
}

/* Branches */

uint32_t fl_dpor_choices_end(const struct fl_search *s, uint32_t e)
{
	bool node = e + 1 < s->n || s->fair || s->state == RUN_READY || s->state == RUN_OVER;

	return node ? s->event[e + 1].choices : (uint32_t)s->choices.n;
}

uint32_t fl_dpor_choice_left(const struct fl_search *s, uint32_t e)
{
	const struct choice *choice = s->choices.at;
	uint32_t c = fl_dpor_choices_end(s, e);

	for (; c > s->event[e].choices; c--)
		if (choice[c - 1].value + 1 < choice[c - 1].n)
			return c;
	return 0;
}

static void drop_records(struct fl_search *s, uint32_t node)
{
	struct record *record = s->records.at;

	while (s->records.n && record[s->records.n - 1].node > node) {
		struct record *last = &record[--s->records.n];

		s->record[last->proc] = last->before;
		s->kept.n = last->ranges;
	}
}

/* Keep what the event of this node did, for when its process sleeps there. */
static bool record_event(struct fl_search *s, uint32_t node)
{
	const struct event *ev = &s->event[node];
	uint32_t end = node + 1 < s->n ? ev[1].ranges : (uint32_t)s->ranges.n;
	struct record *record;

	drop_records(s, node);
	if (s->config.mode == FL_SEARCH_BOUNDED)
		return true;
	/* One with several choices has a single record. */
	record = s->records.n ? (struct record *)s->records.at + (s->records.n - 1) : NULL;
	if (!record || record->node != node || record->proc != ev->proc) {
		record = fl_search_push(s, &s->records, sizeof(*record));
		if (!record)
			return false;
		*record = (struct record){.node = node, .proc = ev->proc, .before = s->record[ev->proc]};
		record->ranges = (uint32_t)s->kept.n;
		s->record[ev->proc] = (uint32_t)s->records.n;
	}
	record->wide |= ev->wide;
	for (uint32_t r = ev->ranges; r < end; r++) {
		struct fl_step_range *range = fl_search_push(s, &s->kept, sizeof(*range));

		if (!range)
			return false;
		*range = ((struct fl_step_range *)s->ranges.at)[r];
		record->count++;
	}
	return true;
}

/* The run goes back to this node. */
static void take_back(struct fl_search *s, uint32_t node)
{
	struct event *ev = &s->event[node];

	fl_race_undo(s, node);
	s->ranges.n = ev->ranges;
	s->n = s->keep = node;
	ev->wide = ev->queues = false;
}

/* The next alternative of the event's last choice that has one. */
static bool next_choice(struct fl_search *s, uint32_t node, uint32_t choice)
{
	uint32_t p = s->event[node].proc;

	if (!record_event(s, node))
		return false;
	((struct choice *)s->choices.at)[choice - 1].value++;
	s->choices.n = choice;
	take_back(s, node);
	s->branch = (int)p;
	s->state = RUN_READY;
	return true;
}

/* The next branch at node n, where no event is now. */
static bool next_branch(struct fl_search *s)
{
	const struct event *ev = &s->event[s->n];
	uint32_t left = ev->backtrack & ~ev->sleep;

	if (!left)
		return false;
	s->branch = __builtin_ctz(left);
	s->state = RUN_READY;
	return true;
}

bool fl_dpor_leave(struct fl_search *s, uint32_t node)
{
	struct event *ev = &s->event[node];

	if (!record_event(s, node))
		return false;
	ev->sleep |= BIT(ev->proc);
	s->choices.n = ev->choices;
	take_back(s, node);
	s->branch = -1;
	s->state = RUN_OVER;
	return next_branch(s);
}

bool fl_dpor_advance(struct fl_search *s)
{
	uint32_t choice;

	if (s->fresh || s->state == RUN_READY)
		return true;
	if (s->state == RUN_OVER) {
		if (next_branch(s))
			return true;
		if (s->event[s->n].parts)
			return false;
	}
	for (uint32_t d = s->n; d-- > s->root;) {
		const struct event *ev = &s->event[d];

		choice = fl_dpor_choice_left(s, d);
		if (choice)
			return next_choice(s, d, choice);
		if (ev->backtrack & ~ev->sleep & ~BIT(ev->proc) || ev->parts)
			return fl_dpor_leave(s, d);
	}
	if (s->root < s->n) {
		s->event[s->root].sleep |= BIT(s->event[s->root].proc);
		s->choices.n = s->event[s->root].choices;
		take_back(s, s->root);
	}
	s->state = RUN_OVER;
	return false;
}
