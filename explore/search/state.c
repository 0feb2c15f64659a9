/* SPDX-License-Identifier: MIT */
/*
 * What is still to do, as text: to go on later, or for another search to do a part of it.
 *
 * After its name the text is numbers in base 16. A part is the tree below one node. Races that its search finds with steps
 * above are handed to the search that gave it, which does not leave that node before it knows them.
 *
 * No locks: one OS thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore/search/internal.h"

static const char state_name[] = "faultline-search-1", races_name[] = "faultline-races-1";

/* Writing */

struct writer {
	char *at;
	size_t n, room;
	bool failed;
};

static void write_text(struct writer *w, const char *text)
{
	size_t n = strlen(text);

	if (w->failed)
		return;
	if (w->n + n + 1 > w->room) {
		size_t room = 2 * (w->room + n) + 256;
		char *at = realloc(w->at, room);

		if (!at) {
			w->failed = true;
			return;
		}
		w->at = at;
		w->room = room;
	}
	memcpy(w->at + w->n, text, n + 1);
	w->n += n;
}

static void write_number(struct writer *w, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), " %llx", (unsigned long long)n);
	write_text(w, text);
}

static char *written(struct writer *w)
{
	if (w->failed) {
		free(w->at);
		return NULL;
	}
	return w->at;
}

static void write_ranges(struct writer *w, const struct stack *stack, uint32_t from, uint32_t to)
{
	const struct fl_step_range *range = stack->at;

	write_number(w, to - from);
	for (uint32_t r = from; r < to; r++) {
		write_number(w, range[r].slot);
		write_number(w, range[r].n);
		write_number(w, range[r].touch);
	}
}

static void write_event(struct writer *w, const struct fl_search *s, uint32_t e)
{
	const struct event *ev = &s->event[e];

	write_number(w, ev->proc);
	write_number(w, ev->kind);
	write_number(w, (uint64_t)ev->wide | (uint64_t)ev->queues << 1);
	write_ranges(w, &s->ranges, ev->ranges, e + 1 < s->n ? ev[1].ranges : (uint32_t)s->ranges.n);
}

static void write_choices(struct writer *w, const struct fl_search *s, uint32_t from, uint32_t to)
{
	const struct choice *choice = s->choices.at;

	write_number(w, to - from);
	for (uint32_t c = from; c < to; c++) {
		write_number(w, choice[c].value);
		write_number(w, choice[c].n);
	}
}

/* The nodes on the way to the next branch, and what was taken on the way. */
static void write_nodes(struct writer *w, const struct fl_search *s)
{
	write_number(w, s->n);
	for (uint32_t d = 0; d <= s->n; d++) {
		const struct event *ev = &s->event[d];
		uint32_t end = d < s->n ? ev[1].choices : (uint32_t)s->choices.n;

		write_number(w, ev->enabled);
		write_number(w, ev->backtrack);
		write_number(w, ev->sleep);
		write_number(w, ev->parts);
		write_choices(w, s, ev->choices, end);
		if (d < s->n)
			write_event(w, s, d);
	}
}

static void write_records(struct writer *w, const struct fl_search *s)
{
	const struct record *record = s->records.at;

	write_number(w, s->records.n);
	for (size_t i = 0; i < s->records.n; i++) {
		write_number(w, record[i].node);
		write_number(w, record[i].proc);
		write_number(w, record[i].wide);
		write_ranges(w, &s->kept, record[i].ranges, record[i].ranges + record[i].count);
	}
}

static void write_outside(struct writer *w, const struct fl_search *s)
{
	const struct outside *outside = s->outside.at;

	write_number(w, s->outside.n);
	for (size_t i = 0; i < s->outside.n; i++) {
		write_number(w, outside[i].depth);
		write_number(w, outside[i].initials);
	}
}

static void write_stats(struct writer *w, const struct fl_search *s, bool counts)
{
	const struct fl_search_stats *stats = &s->stats;
	const uint64_t numbers[] = {stats->runs,  stats->cut,      stats->over,
				    stats->steps, stats->repeated, stats->choice_points};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		write_number(w, counts ? numbers[i] : 0);
	write_number(w, stats->longest);
}

static char *write_state(const struct fl_search *s, uint32_t root, bool counts)
{
	struct writer w = {0};

	write_text(&w, state_name);
	write_number(&w, s->config.mode);
	write_number(&w, s->procs);
	write_number(&w, s->config.preemptions);
	write_number(&w, s->config.seed);
	write_number(&w, s->begun);
	write_stats(&w, s, counts);
	write_number(&w, s->fresh);
	if (searches_all(s) && !s->fresh) {
		write_number(&w, root);
		write_number(&w, (uint64_t)(s->branch + 1));
		write_number(&w, s->callbacks);
		write_nodes(&w, s);
		write_records(&w, s);
		if (root == s->root)
			write_outside(&w, s);
		else
			write_number(&w, 0);
	}
	return written(&w);
}

/* Reading */

struct reader {
	const char *at;
	bool failed;
};

static uint64_t read_number(struct reader *r, uint64_t max)
{
	char *end = NULL;
	unsigned long long n = 0;

	if (!r->failed && *r->at == ' ')
		n = strtoull(r->at + 1, &end, 16);
	if (!end || end == r->at + 1 || n > max) {
		r->failed = true;
		return 0;
	}
	r->at = end;
	return n;
}

static uint32_t read_word(struct reader *r)
{
	return (uint32_t)read_number(r, UINT32_MAX);
}

static bool read_name(struct reader *r, const char *name)
{
	size_t n = strlen(name);

	r->failed = strncmp(r->at, name, n) != 0;
	if (!r->failed)
		r->at += n;
	return !r->failed;
}

static uint32_t read_ranges(struct reader *r, struct fl_search *s, struct stack *stack)
{
	uint32_t n = read_word(r);

	for (uint32_t i = 0; i < n && !r->failed; i++) {
		struct fl_step_range *range = fl_search_push(s, stack, sizeof(*range));

		if (!range) {
			r->failed = true;
			break;
		}
		range->slot = read_word(r);
		range->n = read_word(r);
		range->touch = (uint32_t)read_number(r, FL_TOUCH_BUFFER);
	}
	return n;
}

static void read_choices(struct reader *r, struct fl_search *s)
{
	uint32_t n = read_word(r);

	for (uint32_t i = 0; i < n && !r->failed; i++) {
		struct choice *choice = fl_search_push(s, &s->choices, sizeof(*choice));

		if (!choice) {
			r->failed = true;
			break;
		}
		choice->value = read_word(r);
		choice->n = read_word(r);
	}
}

static void read_nodes(struct reader *r, struct fl_search *s)
{
	s->n = read_word(r);
	if (!r->failed && s->n <= strlen(r->at) && !fl_search_grow(s, s->n + 1))
		r->failed = true;
	for (uint32_t d = 0; d <= s->n && !r->failed; d++) {
		struct event *ev = &s->event[d];
		uint64_t flags;

		if (!fl_search_grow(s, d + 1)) {
			r->failed = true;
			break;
		}
		memset(ev, 0, sizeof(*ev));
		ev->choices = (uint32_t)s->choices.n;
		ev->ranges = (uint32_t)s->ranges.n;
		ev->enabled = read_word(r);
		ev->backtrack = read_word(r);
		ev->sleep = read_word(r);
		ev->parts = read_word(r);
		s->stats.parts += d < s->root ? 0 : ev->parts;
		read_choices(r, s);
		if (d == s->n)
			break;
		ev->proc = (uint8_t)read_number(r, s->procs - 1);
		ev->kind = (uint8_t)read_number(r, FL_STEP_YIELD);
		flags = read_number(r, 7);
		ev->wide = flags & 1;
		ev->queues = flags >> 1;
		read_ranges(r, s, &s->ranges);
	}
}

static void read_records(struct reader *r, struct fl_search *s)
{
	uint32_t n = read_word(r);

	for (uint32_t i = 0; i < n && !r->failed; i++) {
		struct record *record = fl_search_push(s, &s->records, sizeof(*record)), read;

		memset(&read, 0, sizeof(read));
		read.node = read_word(r);
		read.proc = (uint32_t)read_number(r, s->procs - 1);
		read.wide = read_number(r, 1);
		read.before = s->record[read.proc];
		read.ranges = (uint32_t)s->kept.n;
		read.count = read_ranges(r, s, &s->kept);
		if (!record)
			r->failed = true;
		else
			*record = read;
		s->record[read.proc] = (uint32_t)s->records.n;
	}
}

static void read_stats(struct reader *r, struct fl_search *s)
{
	struct fl_search_stats *stats = &s->stats;
	uint64_t *const numbers[] = {&stats->runs,  &stats->cut,      &stats->over,
				     &stats->steps, &stats->repeated, &stats->choice_points};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i] = read_number(r, UINT64_MAX);
	stats->longest = read_word(r);
}

static void read_races(struct reader *r, struct fl_search *s)
{
	uint32_t n = read_word(r);

	for (uint32_t i = 0; i < n && !r->failed; i++) {
		uint32_t depth = read_word(r), initials = read_word(r);

		if (r->failed || depth > s->n || !fl_race_add(s, depth, initials, 0))
			r->failed = true;
	}
}

static bool read_tree(struct reader *r, struct fl_search *s)
{
	s->root = read_word(r);
	s->branch = (int)read_number(r, s->procs) - 1;
	s->callbacks = (uint32_t)read_number(r, s->procs);
	read_nodes(r, s);
	read_records(r, s);
	if (!r->failed)
		read_races(r, s);
	s->loaded = true;
	s->state = s->branch >= 0 ? RUN_READY : RUN_OVER;
	return !r->failed;
}

bool fl_state_load(struct fl_search *s, const char *text)
{
	struct reader r = {.at = text};

	if (!read_name(&r, state_name))
		return fl_search_fail(s, "the state is none: it begins with '%.20s' and not with '%s'", text,
				      state_name);
	if (read_number(&r, FL_SEARCH_REPLAY) != s->config.mode || read_number(&r, FL_SEARCH_PROCS) != s->procs ||
	    read_word(&r) != s->config.preemptions || read_number(&r, UINT64_MAX) != s->config.seed)
		return fl_search_fail(s, "the state is of another program, or of other options");
	s->begun = read_number(&r, UINT64_MAX);
	read_stats(&r, s);
	s->fresh = read_number(&r, 1);
	if (!r.failed && searches_all(s) && !s->fresh)
		read_tree(&r, s);
	if (s->stats.error)
		return false;
	if (r.failed || *r.at)
		return fl_search_fail(s, "the state cannot be read from character %zu on", (size_t)(r.at - text) + 1);
	return true;
}

/* Between two runs */

char *fl_search_save(struct fl_search *s)
{
	if (s->state == RUN_UNDER_WAY)
		return NULL;
	if (searches_all(s))
		fl_dpor_advance(s);
	return s->stats.error ? NULL : write_state(s, s->root, true);
}

char *fl_state_left(struct fl_search *s)
{
	return s->state == RUN_UNDER_WAY || s->stats.error ? NULL : write_state(s, s->root, false);
}

/* The highest node whose branch under way can be given away: others are left there, and no part is out below. */
static bool find_split(const struct fl_search *s, uint32_t *node)
{
	bool found = false;

	for (uint32_t d = s->n; d-- > s->root;) {
		const struct event *ev = &s->event[d];

		if ((ev->backtrack & ~ev->sleep & ~BIT(ev->proc)) && !fl_dpor_choice_left(s, d)) {
			*node = d;
			found = true;
		}
		if (ev->parts)
			break;
	}
	return found;
}

char *fl_search_split(struct fl_search *s)
{
	uint32_t node;
	char *text;

	if (!searches_all(s) || s->state == RUN_UNDER_WAY || s->fresh || s->stats.error || !fl_dpor_advance(s) ||
	    s->event[s->n].parts || !find_split(s, &node))
		return NULL;
	text = write_state(s, node + 1, false);
	if (!text)
		return NULL;
	s->event[node].parts++;
	s->stats.parts++;
	if (!fl_dpor_leave(s, node)) {
		free(text);
		return NULL;
	}
	return text;
}

char *fl_search_races(const struct fl_search *s)
{
	struct writer w = {0};

	write_text(&w, races_name);
	write_number(&w, s->root);
	write_outside(&w, s);
	return written(&w);
}

bool fl_search_merge(struct fl_search *s, const char *races)
{
	struct reader r = {.at = races};
	uint32_t root;

	if (!read_name(&r, races_name))
		return false;
	root = read_word(&r);
	if (r.failed || !root || root - 1 > s->n || !s->event[root - 1].parts)
		return false;
	s->event[root - 1].parts--;
	s->stats.parts--;
	read_races(&r, s);
	return !r.failed && !*r.at;
}
