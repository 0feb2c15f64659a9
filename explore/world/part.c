/* SPDX-License-Identifier: MIT */
/*
 * An exploration by several processes (search/jobs.h): what a worker tells of a part, and how it is put together.
 *
 * A part's result, in this order: struct totals; each finding: struct fl_explore_finding, its text, its run id; each outcome:
 * how many runs, text, run id; a byte for each block of code. Strings have their zero at the end. Worker and coordinator are
 * one program.
 *
 * No locks: one OS thread in each process.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "part.h"
#include "plain.h"
#include "result.h"

struct totals {
	uint64_t schedules, cut, over, events, replayed, choice_points, switches;
	uint64_t findings, outcomes;
	uint32_t longest, blocks;
};

struct buffer {
	char *data;
	size_t n, room;
	bool failed;
};

static void add(struct buffer *b, const void *p, size_t n)
{
	char *grown;

	if (b->n + n > b->room) {
		grown = realloc(b->data, 2 * (b->n + n));
		if (!grown) {
			b->failed = true;
			return;
		}
		b->data = grown;
		b->room = 2 * (b->n + n);
	}
	memcpy(b->data + b->n, p, n);
	b->n += n;
}

static void add_string(struct buffer *b, const char *s)
{
	add(b, s, strlen(s) + 1);
}

static void add_blocks(struct buffer *b, uint32_t n)
{
	unsigned char *flags = calloc(n + 1, 1);

	if (flags) {
		fl_cover_save(flags);
		add(b, flags, n);
	}
	b->failed |= !flags;
	free(flags);
}

char *fl_part_write(const struct fl_explore_report *r, size_t *n)
{
	struct totals t = {
		.schedules = r->schedules,
		.cut = r->cut,
		.over = r->over,
		.events = r->events,
		.replayed = r->replayed,
		.choice_points = r->choice_points,
		.switches = r->switches,
		.findings = r->findings,
		.outcomes = r->outcomes,
		.longest = r->longest,
		.blocks = r->blocks,
	};
	struct buffer b = {0};

	add(&b, &t, sizeof(t));
	for (size_t i = 0; i < r->findings; i++) {
		add(&b, &r->finding[i], sizeof(r->finding[i]));
		add_string(&b, r->finding[i].text);
		add_string(&b, r->finding[i].run_id);
	}
	for (size_t i = 0; i < r->outcomes; i++) {
		add(&b, &r->outcome[i].runs, sizeof(r->outcome[i].runs));
		add_string(&b, r->outcome[i].text);
		add_string(&b, r->outcome[i].run_id);
	}
	add_blocks(&b, r->blocks);
	if (b.failed) {
		free(b.data);
		return NULL;
	}
	*n = b.n;
	return b.data;
}

static const char *take(const char *from, void *p, size_t n)
{
	memcpy(p, from, n);
	return from + n;
}

static const char *take_string(const char *from, char **s)
{
	*s = (char *)(uintptr_t)from;
	return from + strlen(from) + 1;
}

static void sum(struct fl_explore_report *r, const struct totals *t)
{
	r->schedules += t->schedules;
	r->cut += t->cut;
	r->over += t->over;
	r->events += t->events;
	r->replayed += t->replayed;
	r->choice_points += t->choice_points;
	r->switches += t->switches;
	if (t->longest > r->longest)
		r->longest = t->longest;
}

bool fl_part_read(struct fl_explore_report *r, const void *bytes)
{
	const char *at = bytes;
	struct fl_explore_finding finding;
	struct fl_explore_seen seen;
	struct totals t;

	at = take(at, &t, sizeof(t));
	sum(r, &t);
	for (size_t i = 0; i < t.findings; i++) {
		at = take(at, &finding, sizeof(finding));
		at = take_string(at, &finding.text);
		at = take_string(at, &finding.run_id);
		if (!fl_report_add_finding(r, &finding))
			return false;
	}
	for (size_t i = 0; i < t.outcomes; i++) {
		at = take(at, &seen.runs, sizeof(seen.runs));
		at = take_string(at, &seen.text);
		at = take_string(at, &seen.run_id);
		if (!fl_report_add_outcome(r, seen.text, seen.run_id, seen.runs))
			return false;
	}
	fl_cover_merge((const unsigned char *)at);
	return true;
}

static const char state_name[] = "faultline-parts-1 ";

bool fl_part_is_state(const char *state)
{
	return !strncmp(state, state_name, sizeof(state_name) - 1);
}

char *fl_part_write_state(const struct fl_explore_report *r, const char *state)
{
	size_t room = strlen(state) + 256;
	char *text = malloc(room);

	if (text)
		snprintf(text, room,
			 "%s%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu32 "\n%s",
			 state_name, r->schedules, r->cut, r->over, r->events, r->replayed, r->choice_points,
			 r->longest, state);
	return text;
}

const char *fl_part_read_counts(struct fl_explore_report *r, const char *state)
{
	struct totals t = {0};
	int n = 0;

	if (sscanf(state + sizeof(state_name) - 1,
		   "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu32 "%n",
		   &t.schedules, &t.cut, &t.over, &t.events, &t.replayed, &t.choice_points, &t.longest, &n) != 7)
		return state; /* no state of the search, and it will say so */
	sum(r, &t);
	state += sizeof(state_name) - 1 + (size_t)n;
	return *state == '\n' ? state + 1 : state;
}
