/* SPDX-License-Identifier: MIT */
/*
 * Reports put together, of the legs of an exploration that was stopped. As text, for the file between two legs:
 *
 *   counts N N ...
 *   finding KIND PREEMPTIONS EVENTS BYTES RUN-ID, and on the lines after it BYTES of text
 *   outcome RUNS BYTES RUN-ID, likewise
 *   end
 *
 * No locks: one thread.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "explore/report/report.h"

#define COUNTS 12

static void get_counts(const struct fl_explore_report *r, uint64_t n[COUNTS])
{
	const uint64_t all[COUNTS] = {
		r->complete,       r->schedules, r->cut,           r->over,     r->events,
		r->replayed,       r->longest,   r->choice_points, r->switches, (uint64_t)(r->seconds * 1e6),
		r->blocks_reached, r->blocks,
	};

	memcpy(n, all, sizeof(all));
}

static void set_counts(struct fl_explore_report *r, const uint64_t n[COUNTS])
{
	r->complete = n[0];
	r->schedules = n[1];
	r->cut = n[2];
	r->over = n[3];
	r->events = n[4];
	r->replayed = n[5];
	r->longest = (uint32_t)n[6];
	r->choice_points = n[7];
	r->switches = n[8];
	r->seconds = (double)n[9] / 1e6;
	r->blocks_reached = (uint32_t)n[10];
	r->blocks = (uint32_t)n[11];
}

void fl_ledger_write(FILE *out, const struct fl_explore_report *r)
{
	uint64_t n[COUNTS];

	get_counts(r, n);
	fputs("counts", out);
	for (unsigned i = 0; i < COUNTS; i++)
		fprintf(out, " %" PRIu64, n[i]);
	fputc('\n', out);
	for (size_t i = 0; i < r->findings; i++) {
		const struct fl_explore_finding *f = &r->finding[i];

		fprintf(out, "finding %d %" PRIu32 " %" PRIu32 " %zu %s\n%s\n", (int)f->kind, f->preemptions, f->events,
			strlen(f->text), f->run_id, f->text);
	}
	for (size_t i = 0; i < r->outcomes; i++)
		fprintf(out, "outcome %" PRIu64 " %zu %s\n%s\n", r->outcome[i].runs, strlen(r->outcome[i].text),
			r->outcome[i].run_id, r->outcome[i].text);
	fputs("end\n", out);
}

static bool add_finding(struct fl_explore_report *r, const struct fl_explore_finding *f)
{
	struct fl_explore_finding *more, copy = *f;

	for (size_t i = 0; i < r->findings; i++)
		if (r->finding[i].kind == f->kind && !strcmp(r->finding[i].text, f->text))
			return true;
	more = realloc(r->finding, (r->findings + 1) * sizeof(*more));
	if (!more)
		return false;
	r->finding = more;
	copy.text = strdup(f->text);
	copy.run_id = strdup(f->run_id);
	if (copy.text && copy.run_id) {
		r->finding[r->findings++] = copy;
		return true;
	}
	free(copy.text);
	free(copy.run_id);
	return false;
}

/* Outcomes are in the order of their text. */
static bool add_outcome(struct fl_explore_report *r, const struct fl_explore_seen *seen)
{
	struct fl_explore_seen *more, copy = *seen;
	size_t at = 0, end = r->outcomes;

	while (at < end) {
		size_t mid = at + (end - at) / 2;
		int order = strcmp(r->outcome[mid].text, seen->text);

		if (!order) {
			r->outcome[mid].runs += seen->runs;
			return true;
		}
		if (order < 0)
			at = mid + 1;
		else
			end = mid;
	}
	more = realloc(r->outcome, (r->outcomes + 1) * sizeof(*more));
	if (!more)
		return false;
	r->outcome = more;
	copy.text = strdup(seen->text);
	copy.run_id = strdup(seen->run_id);
	if (!copy.text || !copy.run_id) {
		free(copy.text);
		free(copy.run_id);
		return false;
	}
	memmove(&more[at + 1], &more[at], (r->outcomes - at) * sizeof(*more));
	more[at] = copy;
	r->outcomes++;
	return true;
}

bool fl_ledger_add(struct fl_explore_report *to, const struct fl_explore_report *from)
{
	bool fine = true;

	to->complete = from->complete;
	to->schedules = from->schedules;
	to->cut = from->cut;
	to->over = from->over;
	to->events = from->events;
	to->replayed = from->replayed;
	to->choice_points = from->choice_points;
	to->longest = from->longest;
	to->switches += from->switches;
	to->seconds += from->seconds;
	to->blocks = from->blocks;
	if (to->blocks_reached < from->blocks_reached)
		to->blocks_reached = from->blocks_reached;
	for (size_t i = 0; i < from->findings && fine; i++)
		fine = add_finding(to, &from->finding[i]);
	for (size_t i = 0; i < from->outcomes && fine; i++)
		fine = add_outcome(to, &from->outcome[i]);
	return fine;
}

static bool take_number(char **at, uint64_t *n)
{
	char *end;

	if (**at != ' ')
		return false;
	*n = strtoull(*at + 1, &end, 10);
	if (end == *at + 1)
		return false;
	*at = end;
	return true;
}

/* " ID\nTEXT\n", of so many bytes of text. Both are cut out of the text that is read. */
static bool take_text(char **at, uint64_t bytes, char **id, char **text)
{
	char *end = strchr(*at, '\n');

	if (**at != ' ' || !end || strlen(end + 1) <= bytes || end[1 + bytes] != '\n')
		return false;
	*id = *at + 1;
	*end = '\0';
	*text = end + 1;
	(*text)[bytes] = '\0';
	*at = *text + bytes + 1;
	return true;
}

static bool take_line(char **at, struct fl_explore_report *r)
{
	struct fl_explore_finding f = {0};
	struct fl_explore_seen seen = {0};
	uint64_t kind, preemptions, events, bytes;

	if (!strncmp(*at, "finding ", 8)) {
		*at += 7;
		if (!take_number(at, &kind) || !take_number(at, &preemptions) || !take_number(at, &events) ||
		    !take_number(at, &bytes) || !take_text(at, bytes, &f.run_id, &f.text) || kind > FL_EXPLORE_CRASH)
			return false;
		f.kind = (enum fl_explore_kind)kind;
		f.preemptions = (uint32_t)preemptions;
		f.events = (uint32_t)events;
		return add_finding(r, &f);
	}
	if (strncmp(*at, "outcome ", 8) != 0)
		return false;
	*at += 7;
	return take_number(at, &seen.runs) && take_number(at, &bytes) &&
	       take_text(at, bytes, &seen.run_id, &seen.text) && add_outcome(r, &seen);
}

bool fl_ledger_read(char **at, struct fl_explore_report *r)
{
	uint64_t n[COUNTS];
	bool fine = !strncmp(*at, "counts ", 7);

	*r = (struct fl_explore_report){0};
	*at += fine ? 6 : 0;
	for (unsigned i = 0; i < COUNTS && fine; i++)
		fine = take_number(at, &n[i]);
	if (!fine || *(*at)++ != '\n')
		return false;
	set_counts(r, n);
	while (fine && strncmp(*at, "end\n", 4) != 0)
		fine = take_line(at, r);
	if (fine)
		*at += 4;
	else
		fl_explore_report_free(r);
	return fine;
}
