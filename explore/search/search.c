/* SPDX-License-Identifier: MIT */
/*
 * The search as its driver sees it: a run from its beginning to its end, and who decides in each mode.
 *
 * No locks: one OS thread.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore/search/internal.h"

bool fl_search_fail(struct fl_search *s, const char *format, ...)
{
	va_list args;

	if (s->stats.error)
		return false; /* the first one is the cause */
	va_start(args, format);
	vsnprintf(s->error, sizeof(s->error), format, args);
	va_end(args);
	s->stats.error = s->error;
	return false;
}

bool fl_search_more(struct fl_search *s, struct stack *stack, size_t size)
{
	size_t room = stack->room ? 2 * stack->room : 256;
	void *at = realloc(stack->at, room * size);

	if (!at)
		return fl_search_fail(s, "out of memory for the search");
	stack->at = at;
	stack->room = room;
	return true;
}

bool fl_search_grow(struct fl_search *s, uint32_t n)
{
	uint32_t room = s->room ? s->room : 256;
	struct event *event;
	uint32_t *clock;

	if (n < s->room)
		return true;
	while (room <= n)
		room *= 2;
	event = realloc(s->event, room * sizeof(*event));
	if (event)
		s->event = event;
	clock = realloc(s->clock, (size_t)room * s->stride * sizeof(*clock));
	if (clock)
		s->clock = clock;
	if (!event || !clock)
		return fl_search_fail(s, "out of memory for the search");
	s->room = room;
	return true;
}

/* New and free */

static bool set_up(struct fl_search *s, const struct fl_search_config *config)
{
	size_t words;

	s->config = *config;
	s->config.replay = s->config.state = NULL; /* the caller's, and read here */
	s->procs = config->procs;
	s->stride = (config->procs + 3) & ~3u;
	s->slot_words = SLOT_HEAD + 2 * config->procs;
	s->branch = -1;
	s->fresh = true;
	if (!config->procs || config->procs > FL_SEARCH_PROCS)
		return fl_search_fail(s, "%u processes: there may be 1 to %d", config->procs, FL_SEARCH_PROCS);
	words = WORD_SLOTS + ((size_t)config->slots + 1) * s->slot_words;
	if (words > UINT32_MAX)
		return fl_search_fail(s, "%u slots are too many", config->slots);
	s->shadow = calloc(words, sizeof(*s->shadow));
	s->change = calloc((size_t)config->preemptions + 1, sizeof(*s->change));
	if (!s->shadow || !s->change)
		return fl_search_fail(s, "out of memory for the search");
	/* None of these is NULL from here on. */
	if (!fl_search_grow(s, 0) || !fl_search_push(s, &s->ranges, sizeof(struct fl_step_range)) ||
	    !fl_search_push(s, &s->kept, sizeof(struct fl_step_range)) ||
	    !fl_search_push(s, &s->records, sizeof(struct record)) ||
	    !fl_search_push(s, &s->choices, sizeof(struct choice)))
		return false;
	s->ranges.n = s->kept.n = s->records.n = s->choices.n = 0;
	if (config->mode == FL_SEARCH_REPLAY && !fl_text_schedule(s, config->replay ? config->replay : ""))
		return false;
	return !config->state || fl_state_load(s, config->state);
}

struct fl_search *fl_search_new(const struct fl_search_config *config, const char **error)
{
	static char text[160];
	struct fl_search *s = calloc(1, sizeof(*s));

	if (s && set_up(s, config))
		return s;
	snprintf(text, sizeof(text), "%s", s ? s->error : "out of memory for the search");
	if (error)
		*error = text;
	fl_search_free(s);
	return NULL;
}

void fl_search_free(struct fl_search *s)
{
	if (!s)
		return;
	free(s->event);
	free(s->clock);
	free(s->ranges.at);
	free(s->choices.at);
	free(s->undo.at);
	free(s->records.at);
	free(s->kept.at);
	free(s->outside.at);
	free(s->stretches.at);
	free(s->shadow);
	free(s->change);
	free(s);
}

/* A run */

bool fl_search_begin(struct fl_search *s, uint32_t *keep)
{
	*keep = 0;
	if (s->state == RUN_UNDER_WAY)
		fl_search_end(s, 0, NULL);
	if (s->stats.error)
		return false;
	if (!searches_all(s) && s->undo.n) {
		fl_race_undo(s, 0);
		s->ranges.n = 0;
	}
	if (searches_all(s) ? !fl_dpor_advance(s) : !fl_pick_begin(s))
		return false;
	if (s->loaded) {
		/* The world has not been there yet. */
		s->forced = s->n;
		s->n = s->keep = 0;
		s->ranges.n = 0;
	}
	s->state = RUN_UNDER_WAY;
	s->fresh = false;
	s->fair = false;
	s->pos = 0;
	s->cursor = 0;
	s->begun++;
	*keep = s->keep;
	return true;
}

void fl_search_restored(struct fl_search *s, uint32_t steps)
{
	if (steps > s->keep) {
		fl_search_fail(s, "the world was put back to step %u, which is after step %u", steps, s->keep);
		return;
	}
	s->pos = steps;
}

/* Node n of a run that is not searched in full: only what the schedule's text and the counts need. */
static void note_node(struct fl_search *s, uint32_t enabled)
{
	struct event *ev = &s->event[s->n];

	memset(ev, 0, sizeof(*ev));
	ev->enabled = enabled;
	ev->choices = (uint32_t)s->choices.n;
	ev->undo = (uint32_t)s->undo.n;
	ev->ranges = (uint32_t)s->ranges.n;
}

/* p takes the step at node n; what the node has is filled in. */
static void take(struct fl_search *s, uint32_t p)
{
	struct event *ev = &s->event[s->n], *before = ev - 1;

	ev->proc = (uint8_t)p;
	ev->kind = FL_STEP_LOCAL;
	ev[0].preemptions = ev[0].choice_points = 0;
	if (s->n) {
		ev->preemptions = before->preemptions;
		ev->choice_points = before->choice_points;
		if (before->proc != p && (ev->enabled & BIT(before->proc)) && before->kind != FL_STEP_YIELD)
			ev->preemptions++;
	}
	if (ev->enabled & (ev->enabled - 1))
		ev->choice_points++;
	s->stats.preemptions = ev->preemptions;
	s->stats.steps++;
	s->told = false;
	if (s->config.mode != FL_SEARCH_REPLAY)
		s->cursor = ev->choices;
	s->n++;
	s->pos++;
}

static int next_new(struct fl_search *s, uint32_t enabled, const struct fl_step pending[], int running)
{
	if (s->config.mode == FL_SEARCH_REPLAY)
		return fl_pick_replay(s, enabled, running);
	if (s->fair || (s->config.events && s->n >= s->config.events))
		return fl_pick_fair(s, enabled);
	if (searches_all(s))
		return fl_dpor_next(s, enabled, pending, running);
	return fl_pick_random(s, enabled);
}

int fl_search_next(struct fl_search *s, uint32_t enabled, const struct fl_step pending[], int running)
{
	int p;

	if (s->stats.error || s->state != RUN_UNDER_WAY)
		return -1;
	if (s->pos < s->keep) {
		struct event *ev = &s->event[s->pos++];

		s->stats.repeated++;
		s->stats.preemptions = ev->preemptions;
		s->cursor = ev->choices;
		return ev->proc;
	}
	fl_race_finish(s);
	if (!enabled) {
		fl_search_fail(s, "nobody can go at step %u: the run has ended", s->pos);
		return -1;
	}
	if (!fl_search_grow(s, s->n + 1))
		return -1;
	if (!searches_all(s))
		note_node(s, enabled);
	p = next_new(s, enabled, pending, running);
	if (p < 0 || s->fair)
		return p;
	take(s, (uint32_t)p);
	return p;
}

void fl_search_step(struct fl_search *s, unsigned p, const struct fl_step *step)
{
	if (s->pos <= s->keep || s->stats.error)
		return;
	if (s->fair) {
		if (step->kind == FL_STEP_YIELD)
			s->fair_waits[p] = ~BIT(p);
		return;
	}
	if (s->told || s->event[s->n - 1].proc != p) {
		fl_search_fail(s, "process %u took step %u, and it was not its turn", p, s->n - 1);
		return;
	}
	s->told = true;
	s->event[s->n - 1].kind = step->kind;
	fl_race_step(s, p, step);
}

void fl_search_touch(struct fl_search *s, uint32_t slot, uint32_t n, enum fl_touch touch)
{
	if (s->pos <= s->keep || s->fair || !s->told || s->stats.error)
		return;
	fl_race_touch(s, slot, n, touch);
}

bool fl_search_may_call(struct fl_search *s, uint32_t slot, bool due)
{
	uint32_t call;

	if (s->pos < s->keep || s->fair || s->stats.error)
		return due;
	fl_race_finish(s);
	call = fl_race_call_of(s, slot);
	return call ? fl_race_may_call(s, call - 1) : due;
}

uint32_t fl_search_sections(const struct fl_search *s, uint32_t slot, unsigned p)
{
	uint32_t call = fl_race_call_of(s, slot), f = call ? clock_of(s, call - 1)[p] : 0;

	return f ? s->event[f - 1].sections : 0;
}

unsigned fl_search_choose(struct fl_search *s, unsigned n)
{
	struct choice *choice;

	if (s->cursor < s->choices.n) {
		choice = (struct choice *)s->choices.at + s->cursor++;
		if (choice->n && choice->n != n && !s->config.lenient)
			fl_search_fail(s, "step %u chooses one of %u, and before it was one of %u", s->pos, n,
				       choice->n);
		choice->n = n;
		return choice->value < n ? choice->value : n - 1;
	}
	choice = fl_search_push(s, &s->choices, sizeof(*choice));
	if (!choice)
		return 0;
	s->cursor++;
	*choice = (struct choice){.value = 0, .n = n};
	if (!s->fair && (s->config.mode == FL_SEARCH_RANDOM || s->config.mode == FL_SEARCH_PCT))
		choice->value = fl_pick_choice(s, n);
	return choice->value;
}

void fl_search_end(struct fl_search *s, uint32_t waiting, const struct fl_step pending[])
{
	const struct event *last = s->n ? &s->event[s->n - 1] : NULL;
	uint32_t length = s->fair ? s->pos : s->n;

	if (s->state != RUN_UNDER_WAY)
		return;
	s->state = RUN_ENDED;
	fl_race_finish(s);
	fl_pick_end(s);
	if (s->stats.error)
		return;
	s->stats.runs++;
	s->stats.over += s->fair;
	if (last)
		s->stats.choice_points += last->choice_points;
	if (length > s->stats.longest)
		s->stats.longest = length;
	if (!searches_all(s) || s->fair || !pending || !fl_search_grow(s, s->n + 1))
		return;
	for (uint32_t left_p = waiting, p; next_bit(&left_p, &p);)
		fl_race_waiting(s, p, &pending[p]);
}

void fl_search_stats(const struct fl_search *s, struct fl_search_stats *stats)
{
	*stats = s->stats;
}
