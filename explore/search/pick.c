/* SPDX-License-Identifier: MIT */
/*
 * Who goes next where not all is searched: the fair end of a long run, random runs, PCT, and replay.
 *
 * PCT is of Burckhardt, Kothari, Musuvathi, Nagarakatti: "A randomized scheduler with probabilistic guarantees of finding
 * bugs" (ASPLOS 2010): random priorities, the highest goes, and at some random steps the one that goes becomes the lowest.
 *
 * No locks: one OS thread.
 */
#include <string.h>

#include "explore/search/internal.h"

/* Random numbers: splitmix64 */

static uint64_t random_next(struct fl_search *s)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Below n. */
static uint32_t random_below(struct fl_search *s, uint32_t n)
{
	return (uint32_t)(((random_next(s) >> 32) * n) >> 32);
}

unsigned fl_pick_choice(struct fl_search *s, unsigned n)
{
	return random_below(s, n);
}

/* Runs */

static void draw_priorities(struct fl_search *s)
{
	uint32_t depth = s->config.preemptions, length = s->stats.longest ? s->stats.longest : 64;

	/* Those that were lowered have 1 to depth, the last one the lowest. */
	for (uint32_t p = 0; p < s->procs; p++) {
		uint32_t other = random_below(s, p + 1);

		s->priority[p] = s->priority[other];
		s->priority[other] = depth + 1 + p;
	}
	for (uint32_t i = 0; i < depth; i++)
		s->change[i] = random_below(s, length);
	s->changes = 0;
}

bool fl_pick_begin(struct fl_search *s)
{
	bool replay = s->config.mode == FL_SEARCH_REPLAY;

	if (s->begun >= (replay ? 1 : s->config.runs))
		return false;
	s->n = s->keep = 0;
	s->stretch = s->taken = 0;
	if (replay)
		return true; /* its choices were read with it */
	s->choices.n = 0;
	s->random = s->config.seed;
	s->random = random_next(s) ^ (s->begun * 0xd1342543de82ef95u);
	if (s->config.mode == FL_SEARCH_PCT)
		draw_priorities(s);
	return true;
}

static uint32_t highest(const struct fl_search *s, uint32_t enabled)
{
	uint32_t best = (uint32_t)__builtin_ctz(enabled);

	for (uint32_t left_p = enabled, p; next_bit(&left_p, &p);)
		if (s->priority[p] > s->priority[best])
			best = p;
	return best;
}

static uint32_t pick_pct(struct fl_search *s, uint32_t enabled)
{
	uint32_t p = highest(s, enabled);

	for (uint32_t i = 0; i < s->config.preemptions; i++) {
		if (s->change[i] != s->n)
			continue;
		s->priority[p] = s->config.preemptions - s->changes++;
		p = highest(s, enabled);
	}
	/* Who yields waits for another: let one go. */
	if (s->n && s->event[s->n - 1].kind == FL_STEP_YIELD && s->event[s->n - 1].proc == p && (enabled & ~BIT(p)))
		p = highest(s, enabled & ~BIT(p));
	return p;
}

int fl_pick_random(struct fl_search *s, uint32_t enabled)
{
	uint32_t n;

	if (s->config.mode == FL_SEARCH_PCT)
		return (int)pick_pct(s, enabled);
	n = random_below(s, (uint32_t)__builtin_popcount(enabled));
	while (n--)
		enabled &= enabled - 1;
	return __builtin_ctz(enabled);
}

/* The fair end: in turn, and who has yielded waits until every other process that can go has gone. */

static void begin_fair(struct fl_search *s)
{
	s->fair = true;
	s->fair_last = s->n ? s->event[s->n - 1].proc : s->procs - 1;
	memset(s->fair_waits, 0, sizeof(s->fair_waits));
	memset(&s->event[s->n], 0, sizeof(s->event[s->n]));
	s->event[s->n].choices = (uint32_t)s->choices.n;
}

int fl_pick_fair(struct fl_search *s, uint32_t enabled)
{
	uint32_t may = 0, p, later;

	if (!s->fair)
		begin_fair(s);
	for (uint32_t left_q = enabled, q; next_bit(&left_q, &q);) {
		s->fair_waits[q] &= enabled;
		if (!s->fair_waits[q])
			may |= BIT(q);
	}
	if (!may)
		may = enabled;
	later = may & ~(BIT(s->fair_last) | (BIT(s->fair_last) - 1));
	p = (uint32_t)__builtin_ctz(later ? later : may);
	for (uint32_t q = 0; q < s->procs; q++)
		s->fair_waits[q] &= ~BIT(p);
	s->fair_last = p;
	s->stats.steps++;
	s->pos++;
	return (int)p;
}

/* Replay */

static int without_preemption(const struct fl_search *s, uint32_t enabled, int running)
{
	(void)s;
	if (running >= 0 && (enabled & BIT(running)))
		return running;
	return __builtin_ctz(enabled);
}

int fl_pick_replay(struct fl_search *s, uint32_t enabled, int running)
{
	const struct stretch *stretch = s->stretches.at;

	if (s->fair)
		return fl_pick_fair(s, enabled);
	for (; s->stretch < s->stretches.n; s->stretch++, s->taken = 0) {
		uint32_t p = stretch[s->stretch].proc;

		if (s->taken == stretch[s->stretch].steps)
			continue;
		if (enabled & BIT(p)) {
			s->taken++;
			return (int)p;
		}
		if (!s->config.lenient) {
			fl_search_fail(s, "the run cannot be followed: at step %u process %u cannot go", s->n, p);
			return -1;
		}
	}
	if (s->replay_fair)
		return fl_pick_fair(s, enabled);
	if (!s->config.lenient) {
		fl_search_fail(s, "the run cannot be followed: it has %u steps, and there are more", s->n);
		return -1;
	}
	if (s->config.events && s->n >= s->config.events)
		return fl_pick_fair(s, enabled);
	return without_preemption(s, enabled, running);
}

void fl_pick_end(struct fl_search *s)
{
	const struct stretch *stretch = s->stretches.at;
	size_t left = s->stretches.n - s->stretch;

	if (s->config.mode != FL_SEARCH_REPLAY || s->config.lenient || !left)
		return;
	if (left > 1 || s->taken < stretch[s->stretch].steps)
		fl_search_fail(s, "the run cannot be followed: it ended after %u steps, and the run id goes on", s->n);
}
