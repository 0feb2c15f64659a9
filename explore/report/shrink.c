/* SPDX-License-Identifier: MIT */
/*
 * Make a counterexample small: first the fewest preemptions with which a finding of the same kind shows, then the fewest
 * operations. Both are searches of their own over the scenario, with a bound on preemptions, from none up; where that takes too
 * long, the run that was found is straightened. How far they go
 * is counted in schedules and not in seconds, so the same scenario always shrinks to the same run.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/report/report.h"

#define SCHEDULES_BOUND 50000 /* of one bound on preemptions */
#define SCHEDULES_CUT 4000    /* of one attempt to leave something out */
#define SCHEDULES_PASS 100    /* to see one that is right */
#define SCHEDULES_ALL 100000  /* of all attempts together */

struct shrinker {
	const struct fl_scenario *s;
	struct fl_explore_options options;
	const volatile int *stop;
	const struct fl_explore_finding *f;
	int property;
	bool some_pass; /* there are runs in which nothing is found */
	struct fl_smallest *best;
	bool failed; /* out of memory */
};

static bool on_progress(void *arg, const struct fl_explore_progress *progress)
{
	const struct shrinker *k = arg;

	(void)progress;
	return !*k->stop;
}

static bool is_same(const struct shrinker *k, const struct fl_explore_finding *f)
{
	return f->kind == k->f->kind && (f->kind != FL_EXPLORE_PROPERTY || !strcmp(f->text, k->f->text));
}

/* Take a better one over. */
static bool take(struct shrinker *k, const struct fl_cut *cut, const struct fl_explore_finding *f)
{
	char *id = strdup(f->run_id), *text = strdup(f->text);
	struct fl_cut copy;

	if (!id || !text || !fl_cut_copy(&copy, cut)) {
		free(id);
		free(text);
		k->failed = true;
		return false;
	}
	fl_cut_free(&k->best->cut);
	free(k->best->id);
	free(k->best->text);
	k->best->cut = copy;
	k->best->id = id;
	k->best->text = text;
	k->best->preemptions = f->preemptions;
	k->best->events = f->events;
	return true;
}

/* Is there such a finding within so many preemptions and schedules? *whole: if not, that is for sure. keep: take it over. */
static bool attempt(struct shrinker *k, const struct fl_cut *cut, uint32_t preemptions, uint64_t schedules, bool *whole,
		    bool keep)
{
	struct fl_explore_options o = k->options;
	struct fl_explore_report report;
	bool found = false, other = false;
	char *error;

	*whole = false;
	o.search = FL_EXPLORE_BOUNDED;
	o.preemptions = preemptions;
	o.schedules = schedules;
	/* A finding of another kind may come first: then look on. */
	for (unsigned turn = 0; turn < 2 && !found && !*k->stop && (!turn || other); turn++) {
		o.keep_going = turn;
		if (fl_subject_explore(k->s, cut, &o, &report, &error)) {
			free(error);
			return false;
		}
		k->best->tried += report.schedules + report.cut;
		*whole = report.complete;
		for (size_t i = 0; i < report.findings && !found; i++) {
			found = is_same(k, &report.finding[i]) && (!keep || take(k, cut, &report.finding[i]));
			other = true;
		}
		fl_explore_report_free(&report);
	}
	return found;
}

static bool take_straight(void *arg, const struct fl_explore_finding *f)
{
	struct shrinker *k = arg;

	return is_same(k, f) && take(k, &k->best->cut, f);
}

static const char *best_id(void *arg)
{
	const struct shrinker *k = arg;

	return k->best->id;
}

static void straighten(struct shrinker *k)
{
	struct fl_straightener straightener = {
		.s = k->s,
		.cut = &k->best->cut,
		.options = &k->options,
		.stop = k->stop,
		.arg = k,
		.take = take_straight,
		.preemptions = k->best->preemptions,
	};

	fl_straighten(&straightener, best_id);
	k->best->tried += straightener.tried;
}

static void fewest_preemptions(struct shrinker *k)
{
	uint32_t bound = k->best->preemptions;
	bool whole = true;

	k->best->fewest = true;
	for (uint32_t n = 0; n < bound; n++) {
		if (attempt(k, &k->best->cut, n, SCHEDULES_BOUND, &whole, true))
			return;
		if (!whole) {
			k->best->fewest = false;
			straighten(k);
			return;
		}
	}
}

/* Does the property hold in a run at all, does a thread that waits ever go on? A few random runs tell. */
static bool passes(struct shrinker *k, const struct fl_cut *cut)
{
	struct fl_explore_options o = k->options;
	struct fl_explore_report report;
	bool pass;
	char *error;

	o.search = FL_EXPLORE_RANDOM;
	o.schedules = SCHEDULES_PASS;
	o.keep_going = true;
	if (fl_subject_explore(k->s, cut, &o, &report, &error)) {
		free(error);
		return false;
	}
	k->best->tried += report.schedules;
	pass = report.outcomes;
	fl_explore_report_free(&report);
	return pass;
}

/*
 * Leave one more thing out. What is left must not be trivial: if it always went wrong, or went wrong with fewer preemptions
 * than before, it would be because something that was needed is missing, and another matter.
 */
static bool try_cut(struct shrinker *k, const struct fl_cut *cut)
{
	uint32_t n = k->best->preemptions;
	bool whole;

	if (k->failed || *k->stop || k->best->tried > SCHEDULES_ALL || (k->some_pass && !passes(k, cut)))
		return false;
	if (n && k->best->fewest && (attempt(k, cut, n - 1, SCHEDULES_CUT, &whole, false) || !whole))
		return false;
	return attempt(k, cut, n, SCHEDULES_CUT, &whole, true);
}

/* The properties that the finding does not speak of. Always possible, so nothing needs to be tried by itself. */
static void cut_properties(const struct shrinker *k, struct fl_cut *cut)
{
	for (size_t i = 0; i < cut->properties; i++)
		cut->property[i] = (int)i != k->property;
}

static bool mark(const struct fl_scenario *s, struct fl_cut *cut, size_t i)
{
	bool news = false;

	if (!fl_cut_allowed(s, cut, i))
		return false;
	for (size_t end = fl_cut_end(s, i); i < end; i++) {
		news |= !cut->statement[i];
		cut->statement[i] = true;
	}
	return news;
}

/* All of a thread: its statements go from the last to the first, for the later ones speak of the earlier. */
static bool mark_thread(const struct fl_scenario *s, struct fl_cut *cut, unsigned thread)
{
	unsigned at;
	bool news = false;

	for (size_t i = cut->statements; i-- > 0;) {
		fl_cut_statement(s, i, &at);
		if (at == thread && !cut->statement[i] && !mark(s, cut, i) && !cut->statement[i])
			return false;
		news |= at == thread;
	}
	return news;
}

static void fewest_operations(struct shrinker *k)
{
	struct fl_cut cut;
	bool smaller = true;

	for (unsigned t = 0; t < k->s->threads; t++) {
		if (!fl_cut_copy(&cut, &k->best->cut))
			return;
		cut_properties(k, &cut);
		if (mark_thread(k->s, &cut, t))
			try_cut(k, &cut);
		fl_cut_free(&cut);
	}
	while (smaller) {
		smaller = false;
		for (size_t i = k->best->cut.statements; i-- > 0;) {
			if (k->best->cut.statement[i])
				continue;
			if (!fl_cut_copy(&cut, &k->best->cut))
				return;
			cut_properties(k, &cut);
			smaller |= mark(k->s, &cut, i) && try_cut(k, &cut);
			fl_cut_free(&cut);
		}
	}
}

int fl_shrink(const struct fl_scenario *s, const struct fl_explore_options *o, const struct fl_explore_finding *f,
	      const volatile int *stop, struct fl_smallest *smallest, char **error)
{
	struct shrinker k = {
		.s = s,
		.options = *o,
		.stop = stop,
		.f = f,
		.property = fl_finding_property(s, f),
		.best = smallest,
	};

	*error = NULL;
	*smallest = (struct fl_smallest){.preemptions = f->preemptions, .events = f->events};
	k.options.state = NULL;
	k.options.jobs = 1;
	k.options.event = NULL;
	k.options.progress = on_progress;
	k.options.arg = &k;
	smallest->id = strdup(f->run_id);
	smallest->text = strdup(f->text);
	if (!smallest->id || !smallest->text || !fl_cut_init(&smallest->cut, s))
		k.failed = true;
	if (!k.failed)
		fewest_preemptions(&k);
	if (!k.failed && !*stop) {
		k.some_pass = passes(&k, &smallest->cut);
		fewest_operations(&k);
	}
	if (!k.failed)
		return 0;
	fl_smallest_free(smallest);
	return -1;
}

void fl_smallest_free(struct fl_smallest *smallest)
{
	fl_cut_free(&smallest->cut);
	free(smallest->id);
	free(smallest->text);
	*smallest = (struct fl_smallest){0};
}
