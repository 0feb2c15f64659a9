/* SPDX-License-Identifier: MIT */
/*
 * Explore one file, and print what came of it. An exploration may have several legs: it stops and goes on with more
 * processes if it takes long; and, so that not much is lost if the machine goes down, with --state it stops each minute
 * to write its state.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore/command.h"
#include "explore/json.h"
#include "explore/report/report.h"
#include "explore/state.h"

#define SAVE_SECONDS 60
#define ALONE_SECONDS 2 /* a scenario that is done by then is not worth more processes */

struct watch {
	bool terminal;
	bool keeps;    /* stop now and then to write the state */
	bool alone;    /* stop when more processes are worth it */
	bool leg_ends; /* stopped for one of these alone */
	double before; /* seconds of the legs before this one */
};

static bool on_progress(void *arg, const struct fl_explore_progress *p)
{
	struct watch *w = arg;

	if (w->terminal && p->seconds > 0.5)
		fprintf(stderr, "\r\033[K  %s schedules, %s cut as equivalent, %s", fl_show_count(p->schedules),
			fl_show_count(p->cut), fl_show_seconds(w->before + p->seconds));
	if (fl_stop_asked)
		return false;
	w->leg_ends = (w->keeps && p->seconds > SAVE_SECONDS) || (w->alone && p->seconds > ALONE_SECONDS);
	return !w->leg_ends;
}

struct fl_scenario *fl_read_scenario(const char *path)
{
	char *error;
	struct fl_scenario *s = fl_scenario_read(path, &error);

	if (!s) {
		fprintf(stderr, error ? "%s\n" : "%s: out of memory\n", error ? error : path);
		free(error);
	}
	return s;
}

int fl_say_error(const char *path, char *error)
{
	fprintf(stderr, "faultline explore: %s: %s\n", path, fl_error_text(error));
	free(error);
	return FL_EXIT_USAGE;
}

/* One leg. */
static int explore_leg(const struct fl_scenario *s, const struct fl_explore_options *o, const char *state,
		       struct watch *w, struct fl_explore_report *leg, char **error)
{
	struct fl_explore_options now = *o;

	now.state = state;
	now.progress = on_progress;
	now.arg = w;
	now.jobs = w->alone ? 1 : o->jobs;
	w->leg_ends = false;
	return fl_subject_explore(s, NULL, &now, leg, error);
}

/* All legs; *report has what was done before, and then everything. */
static int explore(const struct fl_settings *t, const struct fl_scenario *s, const struct fl_explore_options *o,
		   struct fl_explore_report *report, char **error)
{
	struct watch w = {.terminal = isatty(STDERR_FILENO), .keeps = t->state, .alone = o->jobs > 1};
	int ret = 0;

	do {
		struct fl_explore_report leg;
		char *state = report->state;

		report->state = NULL;
		w.before = report->seconds;
		ret = explore_leg(s, o, state, &w, &leg, error);
		free(state);
		if (ret)
			break;
		if (!fl_ledger_add(report, &leg))
			ret = -1;
		report->state = leg.state;
		leg.state = NULL;
		fl_explore_report_free(&leg);
		w.alone = false;
		if (!ret && w.leg_ends && t->state && report->state && !fl_saved_write(t->state, s, o, report, error))
			ret = -1;
	} while (!ret && w.leg_ends && report->state);
	if (w.terminal)
		fputs("\r\033[K", stderr);
	return ret;
}

/* Keep what is still to do, and say how to go on. */
static int keep(const struct fl_settings *t, const struct fl_scenario *s, const struct fl_explore_options *o,
		const struct fl_explore_report *report)
{
	const char *base = strrchr(s->path, '/');
	char *error, *file = t->state ? strdup(t->state) : fl_error_make("%s.explore", base ? base + 1 : s->path);

	if (!file || !fl_saved_write(file, s, o, report, &error)) {
		free(file);
		return fl_say_error(s->path, file ? error : NULL);
	}
	fprintf(stderr, "faultline explore: stopped; go on with: faultline explore --resume %s\n", file);
	free(file);
	return 0;
}

static int say_findings(const struct fl_verdict *v)
{
	char *error;

	for (size_t i = 0; i < v->report->findings; i++)
		if (fl_finding_print(stdout, v, &v->report->finding[i], &error))
			return fl_say_error(v->path, error);
	return 0;
}

static int say(const struct fl_settings *t, const struct fl_scenario *s, const struct fl_explore_options *o,
	       const struct fl_explore_report *report)
{
	struct fl_verdict v = {
		.path = s->path,
		.s = s,
		.o = o,
		.report = report,
		.interrupted = fl_stop_asked && report->state,
		.outcomes = t->outcomes,
		.engine = t->engine,
		.shrink = !t->no_shrink && !fl_stop_asked,
		.stop = &fl_stop_asked,
	};
	bool bad = fl_verdict_is_bad(&v);
	int status = bad ? FL_EXIT_FOUND : 0, failed = 0;

	if (t->quiet && !bad)
		return 0;
	if (t->json) {
		fl_json_print(stdout, &v);
		return status;
	}
	fl_verdict_print(stdout, &v);
	fflush(stdout);
	failed = say_findings(&v);
	fputc('\n', stdout);
	fflush(stdout);
	return failed ? failed : status;
}

/* *report: what was done before, or zeros; freed. */
static int explore_scenario(const struct fl_settings *t, const struct fl_scenario *s,
			    const struct fl_explore_options *o, struct fl_explore_report *report)
{
	char *error = NULL;
	int status;

	if (explore(t, s, o, report, &error)) {
		status = fl_say_error(s->path, error);
	} else {
		status = say(t, s, o, report);
		if (fl_stop_asked && report->state && keep(t, s, o, report))
			status = FL_EXIT_USAGE;
	}
	fl_explore_report_free(report);
	return status;
}

int fl_do_explore(const struct fl_settings *t, const char *path)
{
	struct fl_scenario *s = fl_read_scenario(path);
	struct fl_explore_report report = {0};
	struct fl_explore_options o;
	int status;

	if (!s)
		return FL_EXIT_USAGE;
	fl_settings_options(t, s, &o);
	status = explore_scenario(t, s, &o, &report);
	fl_scenario_free(s);
	return status;
}

int fl_do_resume(const struct fl_settings *t, const char *path)
{
	struct fl_settings now = *t;
	struct fl_saved saved;
	struct fl_scenario *s;
	char *error;
	int status = FL_EXIT_USAGE;

	if (!fl_saved_read(t->resume, &saved, &error))
		return fl_say_error(t->resume, error);
	s = fl_read_scenario(path ? path : saved.path);
	if (s && s->hash != saved.hash) {
		fl_say_error(s->path,
			     fl_error_make("'%s' is of another version of this scenario; explore it anew", t->resume));
	} else if (s) {
		saved.report.state = saved.text;
		saved.text = NULL;
		saved.options.jobs = t->jobs;
		if (!now.state)
			now.state = t->resume;
		status = explore_scenario(&now, s, &saved.options, &saved.report);
	}
	fl_scenario_free(s);
	fl_saved_free(&saved);
	return status;
}
