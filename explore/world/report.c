/* SPDX-License-Identifier: MIT */
/*
 * What is known at the end: outcomes, each with a witness, and findings, each kind and text once.
 *
 * Outcomes are found by a hash of their text, since each run has one.
 *
 * No locks: one OS thread.
 */
#include <stdlib.h>
#include <string.h>

#include "result.h"
#include "world.h"

/* Open addressing: outcome numbers plus 1. */
static struct {
	uint32_t *slot;
	size_t room; /* a power of two */
} index_of;

static uint64_t hash(const char *s)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
	return h ^ h >> 32;
}

static size_t find(const struct fl_explore_report *r, const char *text)
{
	size_t i = hash(text) & (index_of.room - 1);

	while (index_of.slot[i] && strcmp(r->outcome[index_of.slot[i] - 1].text, text))
		i = (i + 1) & (index_of.room - 1);
	return i;
}

static bool make_room(struct fl_explore_report *r)
{
	struct fl_explore_seen *grown;
	size_t room = index_of.room ? 2 * index_of.room : 64;

	if (2 * (r->outcomes + 1) < index_of.room)
		return true;
	grown = realloc(r->outcome, room * sizeof(*grown));
	if (!grown)
		return false;
	r->outcome = grown;
	free(index_of.slot);
	index_of.slot = calloc(room, sizeof(*index_of.slot));
	index_of.room = index_of.slot ? room : 0;
	if (!index_of.slot)
		return false;
	for (size_t i = 0; i < r->outcomes; i++)
		index_of.slot[find(r, r->outcome[i].text)] = (uint32_t)i + 1;
	return true;
}

char *fl_report_run_id(void)
{
	/* What fails in setup has no schedule. */
	char *schedule = fl_world.search ? fl_search_schedule(fl_world.search) : strdup(""), *id;

	if (!schedule)
		return NULL;
	id = fl_id_make(schedule);
	free(schedule);
	return id;
}

/* The shorter one; of one length, the first by its letters. So it does not matter which was there before. */
static bool is_better(const char *id, const char *than)
{
	size_t n = strlen(id), m = strlen(than);

	return n < m || (n == m && strcmp(id, than) < 0);
}

bool fl_report_add_outcome(struct fl_explore_report *r, const char *text, const char *run_id, uint64_t runs)
{
	struct fl_explore_seen *seen;
	char *id;
	size_t i;

	if (!make_room(r))
		return false;
	i = find(r, text);
	seen = &r->outcome[index_of.slot[i] ? index_of.slot[i] - 1 : r->outcomes];
	if (index_of.slot[i]) {
		seen->runs += runs;
		if (!run_id || !is_better(run_id, seen->run_id))
			return true;
		id = strdup(run_id);
		if (!id)
			return false;
		free(seen->run_id);
		seen->run_id = id;
		return true;
	}
	*seen = (struct fl_explore_seen){
		.text = strdup(text), .run_id = run_id ? strdup(run_id) : fl_report_run_id(), .runs = runs};
	if (!seen->text || !seen->run_id) {
		free(seen->text);
		free(seen->run_id);
		return false;
	}
	index_of.slot[i] = (uint32_t)++r->outcomes;
	return true;
}

bool fl_report_outcome(struct fl_explore_report *r, const char *text)
{
	return fl_report_add_outcome(r, text, NULL, 1);
}

bool fl_report_add_finding(struct fl_explore_report *r, const struct fl_explore_finding *found)
{
	struct fl_explore_finding *grown, *f;

	for (size_t i = 0; i < r->findings; i++)
		if (r->finding[i].kind == found->kind && !strcmp(r->finding[i].text, found->text))
			return true;
	grown = realloc(r->finding, (r->findings + 1) * sizeof(*grown));
	if (!grown)
		return false;
	r->finding = grown;
	f = &grown[r->findings];
	*f = *found;
	f->text = strdup(found->text);
	f->run_id = found->run_id ? strdup(found->run_id) : fl_report_run_id();
	if (!f->text || !f->run_id) {
		free(f->text);
		free(f->run_id);
		return false;
	}
	r->findings++;
	return true;
}

bool fl_report_finding(struct fl_explore_report *r, uint32_t preemptions)
{
	const struct fl_explore_finding found = {
		.kind = fl_world.kind, .text = fl_world.text, .preemptions = preemptions, .events = fl_run.steps};

	return fl_report_add_finding(r, &found);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct fl_explore_seen *)a)->text, ((const struct fl_explore_seen *)b)->text);
}

void fl_report_finish(struct fl_explore_report *r)
{
	if (r->outcomes)
		qsort(r->outcome, r->outcomes, sizeof(*r->outcome), by_text);
	free(index_of.slot);
	memset(&index_of, 0, sizeof(index_of));
}

void fl_explore_report_free(struct fl_explore_report *r)
{
	for (size_t i = 0; i < r->findings; i++) {
		free(r->finding[i].text);
		free(r->finding[i].run_id);
	}
	for (size_t i = 0; i < r->outcomes; i++) {
		free(r->outcome[i].text);
		free(r->outcome[i].run_id);
	}
	free(r->finding);
	free(r->outcome);
	free(r->state);
	memset(r, 0, sizeof(*r));
}
