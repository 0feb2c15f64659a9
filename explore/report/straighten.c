/* SPDX-License-Identifier: MIT */
/*
 * Where a search with few preemptions is too long, take preemptions out of the run that was found, one by one: stretches
 * of one thread are joined, by bringing a later one forward or by putting an earlier one off, and the result is replayed
 * leniently. What still shows the finding, with fewer preemptions, is the run to go on with.
 *
 *   stretch   so many steps of one process in a row; a letter and a number in a run id
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/report/report.h"

#define STRETCHES 1000
#define REPLAYS 3000 /* of one run, at most */
#define NEAR 8       /* stretches that may lie between two that are joined */

struct stretch {
	char letter;
	unsigned long steps;
};

struct schedule {
	char *before, *after; /* what stands around the stretches in the id */
	struct stretch at[STRETCHES];
	size_t n;
};

/* The id's last part, behind the dot before the first letter of a schedule: VERSION.MEMORY.FAILS.HASH.SCHEDULE */
static bool parse(struct schedule *s, const char *id)
{
	const char *at = id;
	char *end;

	*s = (struct schedule){0};
	for (unsigned dots = 0; dots < 4; dots++) {
		at = strchr(at, '.');
		if (!at)
			return false;
		at++;
	}
	s->before = strndup(id, (size_t)(at - id));
	while ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z')) {
		if (s->n == STRETCHES)
			return false;
		s->at[s->n].letter = *at++;
		s->at[s->n].steps = strtoul(at, &end, 10);
		if (end == at)
			s->at[s->n].steps = 1;
		at = end;
		s->n++;
	}
	s->after = strdup(at);
	return s->before && s->after;
}

static void release(struct schedule *s)
{
	free(s->before);
	free(s->after);
}

static char *print(const struct schedule *s)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs(s->before, out);
	for (size_t i = 0; i < s->n; i++) {
		struct stretch st = s->at[i];

		while (i + 1 < s->n && s->at[i + 1].letter == st.letter)
			st.steps += s->at[++i].steps;
		fprintf(out, st.steps == 1 ? "%c" : "%c%lu", st.letter, st.steps);
	}
	fputs(s->after, out);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

/* Stretches i and j become neighbours: j comes forward, or i is put off. */
static char *join(const struct schedule *s, size_t i, size_t j, bool forward)
{
	struct schedule *t = malloc(sizeof(*t));
	char *text;

	if (!t)
		return NULL;
	*t = *s;
	if (forward) {
		memmove(&t->at[i + 2], &s->at[i + 1], (j - i - 1) * sizeof(*s->at));
		t->at[i + 1] = s->at[j];
	} else {
		memmove(&t->at[i], &s->at[i + 1], (j - i - 1) * sizeof(*s->at));
		t->at[j - 1] = s->at[i];
	}
	text = print(t);
	free(t);
	return text;
}

/* Replay it; take it if it is better. */
static bool try_id(struct fl_straightener *k, const char *id)
{
	struct fl_explore_options o = *k->options;
	struct fl_explore_report report;
	bool better = false;
	char *error;

	o.replay = id;
	o.lenient = true;
	o.keep_going = false;
	if (fl_subject_explore(k->s, k->cut, &o, &report, &error)) {
		free(error);
		return false;
	}
	k->tried++;
	if (report.findings && report.finding[0].preemptions < k->preemptions)
		better = k->take(k->arg, &report.finding[0]);
	if (better)
		k->preemptions = report.finding[0].preemptions;
	fl_explore_report_free(&report);
	return better;
}

static bool try_join(struct fl_straightener *k, const struct schedule *s, size_t i, size_t j)
{
	bool better = false;

	for (unsigned forward = 0; forward < 2 && !better; forward++) {
		char *id = join(s, i, j, forward);

		better = id && try_id(k, id);
		free(id);
	}
	return better;
}

/* One pass, up to the first run that is better. */
static bool pass(struct fl_straightener *k, const struct schedule *s)
{
	for (size_t i = 0; i < s->n; i++) {
		for (size_t j = i + 2; j < s->n && j <= i + NEAR; j++) {
			if (k->tried >= REPLAYS || *k->stop)
				return false;
			if (s->at[j].letter == s->at[i].letter && try_join(k, s, i, j))
				return true;
		}
	}
	return false;
}

void fl_straighten(struct fl_straightener *k, const char *(*id)(void *arg))
{
	struct schedule *s = malloc(sizeof(*s));
	bool better = s;

	while (better && k->preemptions) {
		better = parse(s, id(k->arg)) && pass(k, s);
		release(s);
	}
	free(s);
}
