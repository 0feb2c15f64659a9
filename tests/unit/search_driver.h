/* SPDX-License-Identifier: MIT */
/*
 * A driver for the search over the programs of search_model.h: it runs each schedule, and collects how they end.
 *
 * No locks: one OS thread.
 */
#ifndef FL_TEST_SEARCH_DRIVER_H
#define FL_TEST_SEARCH_DRIVER_H

#include "search_brute.h"

#define DEPTH 256

struct driver {
	const struct program *g;
	struct fl_search *s;
	bool traces;
	uint64_t seed; /* to put the world back to some place at or before `keep`; 0: to the start */
	struct set finals, ends, threads, held, held_ends; /* as in struct brute */
	uint64_t runs, twice;                              /* runs that ended; those whose trace had been seen */
	uint32_t most;                                     /* preemptions */
	struct world at[DEPTH + 1];
	struct trace trace;
	uint32_t n;
};

static struct fl_search *search_of(const struct program *g, struct fl_search_config config)
{
	const char *error = "";
	struct fl_search *s;

	config.procs = g->tso ? WITH_BUFFERS : PROCS;
	config.slots = SLOTS;
	config.buffers = g->tso ? PROCS : 0;
	if (!config.events)
		config.events = 1000;
	s = fl_search_new(&config, &error);
	if (!s)
		print_message("%s\n", error);
	assert_non_null(s);
	return s;
}

static void drive_step(struct driver *d, unsigned p, const struct fl_step *pending)
{
	struct world *w = &d->at[d->n];
	const struct op *o = next_op(d->g, w, p);
	unsigned chosen = 0;

	fl_search_step(d->s, p, pending);
	if (o && o->kind == OP_ALSO)
		fl_search_touch(d->s, o->b, 1, FL_TOUCH_WRITE);
	if (o && o->kind == OP_CHOOSE)
		chosen = fl_search_choose(d->s, o->b);
	if (d->traces && d->n < TRACE) {
		d->trace.n = d->n;
		trace_add(&d->trace, d->g, w, p, chosen);
	}
	d->at[d->n + 1] = *w;
	world_step(d->g, &d->at[++d->n], p, chosen);
}

/* Whether a callback may go is the search's to say. */
static uint32_t driven_enabled(struct driver *d, uint32_t *waiting)
{
	const struct world *w = &d->at[d->n];
	uint32_t enabled = enabled_of(d->g, w, waiting), bit = 1u << RCU;

	if (w->body || !w->calls)
		return enabled;
	if (fl_search_may_call(d->s, SLOT_CALL + w->queued[0], enabled & bit)) {
		*waiting &= ~bit;
		return enabled | bit;
	}
	*waiting |= bit;
	return enabled & ~bit;
}

/* One run; false: there is none left. */
static bool drive_run(struct driver *d)
{
	struct fl_step pending[WITH_BUFFERS];
	struct fl_search_stats stats;
	uint32_t keep, waiting, enabled;
	int running = -1;

	if (!fl_search_begin(d->s, &keep))
		return false;
	d->n = d->seed ? draw(&d->seed, keep + 1) : 0;
	if (d->n)
		fl_search_restored(d->s, d->n);
	if (d->n) /* who ran last */
		for (unsigned p = 0; p < PROCS; p++)
			if (d->at[d->n].pc[p] != d->at[d->n - 1].pc[p])
				running = (int)p;
	for (;;) {
		int p;

		enabled = driven_enabled(d, &waiting);
		for (unsigned q = 0; q < WITH_BUFFERS; q++)
			pending_of(d->g, &d->at[d->n], q, &pending[q]);
		if (!enabled)
			break;
		p = fl_search_next(d->s, enabled, pending, running);
		if (p < 0)
			return true;
		assert_true((enabled >> p & 1) || (p == RCU && d->n < keep));
		assert_true(d->n < DEPTH);
		drive_step(d, (unsigned)p, &pending[p]);
		running = p;
	}
	fl_search_stats(d->s, &stats);
	if (stats.preemptions > d->most)
		d->most = stats.preemptions;
	fl_search_end(d->s, waiting, pending);
	d->runs++;
	set_add(&d->threads, threads_hash(&d->at[d->n]));
	if (is_held(&d->at[d->n]))
		set_add(&d->held, threads_hash(&d->at[d->n]));
	else
		set_add(&d->finals, final_hash(&d->at[d->n]));
	if (d->traces && !set_add(is_held(&d->at[d->n]) ? &d->held_ends : &d->ends, trace_hash(&d->trace)))
		d->twice++;
	return true;
}

FL_UNUSED static void drive_all(struct driver *d)
{
	struct fl_search_stats stats;

	while (drive_run(d))
		;
	fl_search_stats(d->s, &stats);
	if (stats.error)
		print_message("%s\n", stats.error);
	assert_null(stats.error);
}

FL_UNUSED static void driver_free(struct driver *d)
{
	fl_search_free(d->s);
	set_free(&d->finals);
	set_free(&d->ends);
	set_free(&d->threads);
	set_free(&d->held);
	set_free(&d->held_ends);
	free(d);
}

FL_UNUSED static struct driver *driver_new(const struct program *g, struct fl_search_config config)
{
	struct driver *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	d->g = g;
	d->s = search_of(g, config);
	return d;
}

#endif
