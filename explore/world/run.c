/* SPDX-License-Identifier: MIT */
/*
 * fl_explore: set the world up, and run it again and again as the search says.
 *
 * No locks: one OS thread.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "explore/search/jobs.h"
#include "layout.h"
#include "leave.h"
#include "part.h"
#include "plain.h"
#include "result.h"
#include "tso.h"
#include "world.h"

#define EVENTS 20000

struct fl_world fl_world;
struct fl_world_run fl_run;

/* A progress report and a look at the clock come every so many runs, or steps of one run. */
#define LOOK_EVERY 64

struct exploration {
	struct fl_explore_report *report;
	double start, told;
	bool stopped;       /* progress said so */
	const char *why;    /* the search could not go on */
	struct fl_job *job; /* this is a part of one; NULL: it is all */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A failure that the test did not ask for: what it then does would say nothing of it. */
FL_NORETURN static void has_no_room(int self, size_t size)
{
	fl_finding(
		FL_EXPLORE_PANIC,
		"%s wants %zu bytes, and explored memory has no room for them: setup has %zu MiB and each thread %zu MiB "
		"of a run, and what is freed is not used again",
		self < 0 ? "the outside" : fl_world_name((unsigned)self), size, FL_MEMORY_HEAPS >> 20,
		FL_MEMORY_HEAP_SIZE >> 20);
	fl_world_leave();
}

static void *driver_alloc(void *arg, size_t size)
{
	int self = fl_world_current();
	void *p;

	(void)arg;
	if (FL_UNLIKELY(self >= 0 && fl_run.allocs_failed < fl_world.options->alloc_fails) &&
	    fl_world_choose(2, "allocation")) {
		fl_run.allocs_failed++;
		return NULL;
	}
	p = fl_memory_alloc(size, true);
	if (FL_UNLIKELY(!p))
		has_no_room(self, size);
	return p;
}

static void driver_free(void *arg, void *p, size_t size)
{
	(void)arg;
	if (fl_plain_proc >= 0 && !fl_memory_is_freed(p, 1) && !fl_plain_free((unsigned)fl_plain_proc, p, size)) {
		fl_finding(FL_EXPLORE_FREED, "%s", "");
		fl_world_leave();
	}
	fl_memory_free(p, size);
	if (fl_tso_on() && fl_world_current() >= 0)
		fl_tso_forget((unsigned)fl_world_current(), p, size);
	if (fl_world_current() < 0 || fl_world.prologue)
		return;
	fl_path_touch(p, size);
}

static struct fl_fiber_driver driver = {
	.next = fl_step_next,
	.alloc = driver_alloc,
	.free = driver_free,
	.stack = fl_memory_stack,
	.panic = fl_world_panic,
};

/* Returns false if setup has failed. */
static bool set_up(void)
{
	fl_world.setting_up = true;
	if (setjmp(fl_world_outside) == 0)
		fl_world.test->setup(fl_world.test->arg);
	fl_world.setting_up = false;
	return fl_world.kind == FL_EXPLORE_NONE;
}

/* The fibers, each at its first point. */
static bool make_fibers(void)
{
	struct fl_world_thread *rcu = &fl_world.thread[fl_world.threads];

	*rcu = (struct fl_world_thread){.name = "rcu", .fn = fl_fiber_callbacks, .may_block = true};
	fl_world.fibers = fl_world.threads + 1;
	fl_world.procs = fl_world.options->memory == FL_EXPLORE_TSO ? 2 * fl_world.fibers : fl_world.fibers;
	for (unsigned i = 0; i < fl_world.fibers; i++) {
		struct fl_world_thread *t = &fl_world.thread[i];

		t->fiber = fl_fiber_create(t->name, t->fn, t->arg, 0);
		if (!t->fiber)
			return false;
	}
	return true;
}

static void run_prologue(void)
{
	fl_world.prologue = true;
	for (unsigned i = 0; i < fl_world.fibers && !fl_world.kind; i++) {
		fl_plain_proc = fl_plain_on() ? (int)i : -1;
		fl_fiber_drive(fl_world.thread[i].fiber);
		fl_plain_proc = -1;
	}
	fl_world.prologue = false;
}

/* One run, from where the world stands to its end. */
static void run(uint32_t keep)
{
	struct fl_fiber *f;

	if (setjmp(fl_world_outside))
		return;
	do {
		fl_world.saving = false;
		f = fl_step_decide(NULL);
		if (f)
			fl_fiber_drive(f);
		if (fl_world.saving)
			fl_world.snapshot_at = fl_snapshot_take() ? fl_snapshot_next(fl_run.steps, keep) : UINT32_MAX;
	} while (fl_world.saving);
	if (fl_world.kind || fl_world.cut || fl_world.stuck)
		return;
	fl_finding_deadlock();
}

static void finish(void)
{
	if (!fl_world.test->finish)
		return;
	fl_world.finishing = true;
	if (setjmp(fl_world_outside) == 0)
		fl_world.test->finish(fl_world.test->arg);
	fl_world.finishing = false;
}

static uint32_t restore(uint32_t keep)
{
	uint32_t at = fl_snapshot_restore(keep);

	fl_world.snapshot_at = fl_snapshot_next(at, keep);
	fl_world.kind = FL_EXPLORE_NONE;
	fl_world.cut = fl_world.stuck = false;
	fl_world.outcome_length = 0;
	fl_world.outcome[0] = '\0';
	fl_event_reset();
	return at;
}

/* One run. It is repeated when something came to light that should have been known. */
static void run_and_learn(uint32_t keep)
{
	run(keep);
	while (fl_plain_on() && !fl_world.cut && !fl_world.kind && fl_plain_has_learned()) {
		fl_plain_proc = -1;
		fl_path_again(true);
		restore(0);
		fl_world.snapshot_at = UINT32_MAX;
		run(0);
		fl_path_again(false);
	}
	fl_plain_proc = -1;
}

static bool note_end(struct exploration *x)
{
	struct fl_search_stats stats;

	if (fl_world.kind) {
		fl_search_stats(fl_world.search, &stats);
		return fl_report_finding(x->report, stats.preemptions);
	}
	return fl_world.stuck || !fl_world.test->finish || fl_report_outcome(x->report, fl_world.outcome);
}

static bool shall_go_on(struct exploration *x)
{
	const struct fl_explore_options *o = fl_world.options;
	struct fl_search_stats stats;
	struct fl_explore_progress progress;
	double t;

	if (fl_world.kind && !o->keep_going) {
		if (x->job)
			fl_job_stop(x->job);
		return false;
	}
	if (x->job)
		return fl_job_poll(x->job, fl_world.search);
	fl_search_stats(fl_world.search, &stats);
	if (o->schedules && stats.runs >= o->schedules)
		return false;
	if (!o->progress || (stats.runs + stats.cut) % LOOK_EVERY)
		return true;
	t = now();
	if (t - x->told < 0.1)
		return true;
	x->told = t;
	progress = (struct fl_explore_progress){.schedules = stats.runs, .cut = stats.cut, .seconds = t - x->start};
	x->stopped = !o->progress(o->arg, &progress);
	return !x->stopped;
}

static int explore_all(struct exploration *x)
{
	struct fl_search_stats stats;
	uint32_t keep, waiting;

	while (fl_search_begin(fl_world.search, &keep)) {
		fl_search_restored(fl_world.search, restore(keep));
		run_and_learn(keep);
		if (fl_world.kind && !fl_world.text[0])
			fl_plain_describe();
		waiting = fl_step_waiting();
		if (!fl_world.cut && !fl_world.kind && !fl_world.stuck)
			finish();
		if (fl_world.options->event) {
			fl_event_flush();
			fl_event_waiting(waiting);
		}
		if (!fl_world.cut && !note_end(x))
			return -FL_ENOMEM;
		if (!fl_world.cut)
			fl_search_end(fl_world.search, waiting, fl_run.pending);
		if (!shall_go_on(x))
			return 1;
	}
	fl_search_stats(fl_world.search, &stats);
	x->why = stats.error;
	return 0;
}

/* Tell the coordinator of this part. */
static void close_job(struct exploration *x)
{
	size_t n;
	char *bytes;

	if (x->why)
		return; /* that is told as an error */
	bytes = fl_part_write(x->report, &n);
	if (bytes)
		fl_job_close(x->job, fl_world.search, bytes, n);
	else
		fl_job_fail(x->job, "there is no memory for the report of a part");
	free(bytes);
}

static void fill_in(struct exploration *x)
{
	struct fl_explore_report *r = x->report;
	struct fl_search_stats stats;

	fl_search_stats(fl_world.search, &stats);
	r->schedules = stats.runs;
	r->cut = stats.cut;
	r->over = stats.over;
	r->events = stats.steps;
	r->replayed = stats.repeated;
	r->longest = stats.longest;
	r->choice_points = stats.choice_points;
	r->switches = fl_world.switches;
	fl_cover_count(&r->blocks_reached, &r->blocks);
	r->seconds = now() - x->start;
	fl_report_finish(r);
	if (x->job)
		close_job(x);
}

static struct fl_search *make_search(const char **error)
{
	static const enum fl_search_mode modes[] = {
		[FL_EXPLORE_DPOR] = FL_SEARCH_DPOR,
		[FL_EXPLORE_BOUNDED] = FL_SEARCH_BOUNDED,
		[FL_EXPLORE_PCT] = FL_SEARCH_PCT,
		[FL_EXPLORE_RANDOM] = FL_SEARCH_RANDOM,
	};
	const struct fl_explore_options *o = fl_world.options;
	struct fl_search_config config = {
		.mode = modes[o->search],
		.procs = fl_world.procs,
		.slots = fl_memory_number(),
		.buffers = fl_tso_on() ? fl_world.fibers : 0,
		.preemptions = o->preemptions,
		.runs = o->schedules,
		.seed = o->seed,
		.events = fl_world.events,
		.state = o->state,
		.lenient = o->lenient,
	};

	if (o->replay) {
		config.mode = FL_SEARCH_REPLAY;
		config.replay = fl_id_read(o->replay, error);
		if (!config.replay)
			return NULL;
	}
	return fl_search_new(&config, error);
}

static int fail(char **error, int err, const char *text)
{
	if (error)
		*error = strdup(text);
	return err;
}

/* The world is set up; explore it. */
static int explore_world(struct exploration *x, char **error)
{
	const char *why = "there is no memory for the search";
	int err;

	fl_world.search = make_search(&why);
	if (!fl_world.search)
		return fail(error, fl_world.options->replay || fl_world.options->state ? -FL_EINVAL : -FL_ENOMEM, why);
	if (x->job && !fl_job_open(x->job, fl_world.search))
		return fail(error, -FL_ENOMEM, "there is no memory for a part of the search");
	if (fl_plain_on() && !fl_plain_open())
		return fail(error, -FL_ENOMEM, "there is no memory to watch plain accesses");
	fl_plain_keep_all(true);
	run_prologue();
	fl_plain_keep_all(fl_world.options->replay != NULL);
	if (fl_world.kind) {
		if (!fl_world.text[0])
			fl_plain_describe();
		err = fl_report_finding(x->report, 0) ? 0 : -FL_ENOMEM;
		fill_in(x);
		return err;
	}
	if (!fl_snapshot_root())
		return fail(error, -FL_ENOMEM, "there is no memory for the first snapshot");
	err = explore_all(x);
	if (err < 0)
		return fail(error, err, "there is no memory for the report");
	x->report->complete = err == 0 && fl_world.options->search <= FL_EXPLORE_BOUNDED && !fl_world.options->replay;
	if (err > 0 && x->stopped && !x->job)
		x->report->state = fl_search_save(fl_world.search);
	if (x->why)
		err = fail(error, -FL_EINVAL, x->why);
	fill_in(x);
	return err < 0 ? err : 0;
}

static void tear_down(void)
{
	while (fl_fiber_next(NULL))
		fl_fiber_destroy(fl_fiber_next(NULL));
	fl_search_free(fl_world.search);
	fl_snapshot_close();
	fl_crash_close();
	fl_fiber_set_driver(NULL);
	fl_plain_close();
	fl_path_close();
	fl_cover_close();
	fl_where_close();
	fl_memory_close();
	fl_objects_close();
	memset(&fl_world, 0, sizeof(fl_world));
}

/* In this process. job: a part of it alone. */
static int explore_here(const struct fl_explore_test *test, const struct fl_explore_options *options,
			struct fl_explore_report *report, char **error, struct fl_job *job)
{
	struct exploration x = {.report = report, .start = now(), .job = job};
	const char *why;
	int err;

	memset(report, 0, sizeof(*report));
	memset(&fl_world, 0, sizeof(fl_world));
	memset(&fl_run, 0, sizeof(fl_run));
	fl_run.running = -1;
	fl_world.test = test;
	fl_world.options = options;
	fl_world.events = options->events ? options->events : EVENTS;
	why = fl_memory_open();
	if (why)
		return fail(error, -FL_ENOMEM, why);
	fl_world.active = true;
	driver.hooks = options->memory == FL_EXPLORE_TSO ? &fl_tso_hooks : NULL;
	memset(&fl_tso, 0, sizeof(fl_tso));
	fl_fiber_set_driver(&driver);
	if (!fl_crash_open() || !fl_cover_open())
		err = fail(error, -FL_ENOMEM, "there is no memory for a signal stack, or to count blocks");
	else if (!set_up())
		err = fl_report_finding(report, 0) ? 0 : -FL_ENOMEM;
	else if (!make_fibers())
		err = fail(error, -FL_ENOMEM, "there is no memory for the threads' stacks");
	else
		err = explore_world(&x, error);
	tear_down();
	if (err)
		fl_explore_report_free(report);
	return err;
}

struct jobs {
	const struct fl_explore_test *test;
	const struct fl_explore_options *options;
	struct fl_explore_report *report;
	double start;
};

/* In a worker. */
static void work(void *arg, struct fl_job *job, const char *state)
{
	const struct jobs *j = arg;
	struct fl_explore_options options = *j->options;
	struct fl_explore_report report;
	char *error = NULL;

	options.state = state;
	if (explore_here(j->test, &options, &report, &error, job))
		fl_job_fail(job, error ? error : "there is no memory");
	else
		fl_explore_report_free(&report);
	free(error);
}

static bool gather(void *arg, const void *bytes, size_t n)
{
	const struct jobs *j = arg;

	(void)n;
	return fl_part_read(j->report, bytes);
}

static bool tell_progress(void *arg, uint64_t runs, uint64_t cut)
{
	const struct jobs *j = arg;
	const struct fl_explore_progress progress = {.schedules = runs, .cut = cut, .seconds = now() - j->start};

	return !j->options->progress || j->options->progress(j->options->arg, &progress);
}

static int explore_by_jobs(const struct fl_explore_test *test, const struct fl_explore_options *options,
			   struct fl_explore_report *report, char **error)
{
	struct jobs j = {.test = test, .options = options, .report = report, .start = now()};
	struct fl_jobs_config config = {
		.workers = options->jobs ? options->jobs : 1,
		.state = options->state,
		.arg = &j,
		.work = work,
		.result = gather,
		.progress = tell_progress,
	};
	char *state = NULL;
	int done;

	memset(report, 0, sizeof(*report));
	if (config.state && fl_part_is_state(config.state))
		config.state = fl_part_read_counts(report, config.state);
	if (!fl_cover_open())
		return fail(error, -FL_ENOMEM, "there is no memory to count blocks");
	done = fl_jobs_run(&config, &state, error);
	report->complete = done > 0;
	if (state)
		report->state = fl_part_write_state(report, state);
	free(state);
	if (!done && !report->state)
		done = -1;
	fl_cover_count(&report->blocks_reached, &report->blocks);
	fl_cover_close();
	fl_report_finish(report);
	report->seconds = now() - j.start;
	if (done >= 0)
		return 0;
	fl_explore_report_free(report);
	return options->state ? -FL_EINVAL : -FL_ENOMEM;
}

/* One run, to see whether the test works at all: what fails in setup is not in any part. */
static int try_first(const struct fl_explore_test *test, const struct fl_explore_options *options,
		     struct fl_explore_report *report, char **error)
{
	struct fl_explore_options once = *options;

	once.schedules = 1;
	once.state = NULL;
	once.progress = NULL;
	return explore_here(test, &once, report, error, NULL);
}

/* What was stopped with several jobs has a state for several, though it may be one now. */
static bool is_for_jobs(const struct fl_explore_options *o)
{
	if (o->search > FL_EXPLORE_BOUNDED || o->replay || o->schedules)
		return false;
	return o->jobs > 1 || (o->state && fl_part_is_state(o->state));
}

/* More would only be slow: no run has so many steps. */
#define CHANGES_MAX 100000

/* NULL, or what is wrong. */
static const char *check(const struct fl_explore_options *o)
{
	if (o->search > FL_EXPLORE_RANDOM)
		return "no such search";
	if (o->memory > FL_EXPLORE_TSO)
		return "no such memory model";
	if (o->search == FL_EXPLORE_PCT && o->preemptions > CHANGES_MAX)
		return "PCT changes priorities at most 100,000 times";
	return NULL;
}

int fl_explore(const struct fl_explore_test *test, const struct fl_explore_options *options,
	       struct fl_explore_report *report, char **error)
{
	const char *wrong;
	char *unwanted = NULL;
	int err;

	memset(report, 0, sizeof(*report));
	if (!error)
		error = &unwanted;
	*error = NULL;
	wrong = fl_world.active ? "an exploration is under way" : check(options);
	if (wrong)
		return fail(error, -FL_EINVAL, wrong);
	if (is_for_jobs(options)) {
		err = try_first(test, options, report, error);
		if (!err && !report->complete && report->schedules && (!report->findings || options->keep_going)) {
			fl_explore_report_free(report);
			err = explore_by_jobs(test, options, report, error);
		}
	} else {
		err = explore_here(test, options, report, error, NULL);
	}
	free(unwanted);
	return err;
}
