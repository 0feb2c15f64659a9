/* SPDX-License-Identifier: MIT */
/*
 * faultline explore --replay: one run again, as columns; or in the debugger, up to the step that matters.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore/command.h"
#include "explore/report/report.h"

/* The scenario, and the run with its options. NULL: it was said why. */
static struct fl_scenario *read_run(const struct fl_settings *t, const char *path, struct fl_run_name *run,
				    struct fl_explore_options *o)
{
	struct fl_scenario *s = fl_read_scenario(path);
	char *error;

	if (!s)
		return NULL;
	if (!fl_run_name_parse(run, s, t->replay, &error)) {
		fl_say_error(path, error);
		fl_scenario_free(s);
		return NULL;
	}
	fl_settings_options(t, s, o);
	o->memory = run->memory;
	o->no_plain = run->no_plain;
	o->alloc_fails = run->alloc_fails;
	o->events = run->events;
	return s;
}

/* An outcome that breaks nothing is worth a line, too. */
static int say_end(const struct fl_explore_report *report)
{
	for (size_t i = 0; i < report->outcomes; i++)
		printf("\n  ends with %s\n", report->outcome[i].text);
	for (size_t i = 0; i < report->findings; i++)
		printf("\n  FOUND %s: %s\n", fl_explore_kind_name(report->finding[i].kind), report->finding[i].text);
	return report->findings ? FL_EXIT_FOUND : 0;
}

int fl_do_replay(const struct fl_settings *t, const char *path)
{
	struct fl_columns columns = {.width = fl_show_width(stdout), .engine = t->engine, .indent = "  "};
	struct fl_explore_options o;
	struct fl_explore_report report;
	struct fl_run_name run;
	struct fl_story story;
	struct fl_scenario *s = read_run(t, path, &run, &o);
	char *error;
	int status;

	if (!s)
		return FL_EXIT_USAGE;
	if (fl_story_replay(s, &run.cut, &o, run.id, &story, &report, &error)) {
		status = fl_say_error(path, error);
	} else {
		printf("%s: run %s\n\n", path, t->replay);
		columns.last = report.findings ? fl_story_last(report.finding[0].kind) : NULL;
		fl_story_print(stdout, &story, &columns);
		status = say_end(&report);
		fl_story_free(&story);
		fl_explore_report_free(&report);
	}
	fl_run_name_free(&run);
	fl_scenario_free(s);
	return status;
}

/* In gdb: the same run, and SIGTRAP before the step. */
int fl_do_stop(const struct fl_settings *t, const char *path)
{
	struct fl_explore_options o;
	struct fl_explore_report report;
	struct fl_run_name run;
	struct fl_scenario *s = read_run(t, path, &run, &o);
	char *error;
	int status;

	if (!s)
		return FL_EXIT_USAGE;
	o.replay = run.id;
	o.stop = true;
	o.stop_at = t->step;
	if (fl_subject_explore(s, &run.cut, &o, &report, &error)) {
		status = fl_say_error(path, error);
	} else {
		status = say_end(&report);
		fl_explore_report_free(&report);
	}
	fl_run_name_free(&run);
	fl_scenario_free(s);
	return status;
}

int fl_do_gdb(const struct fl_settings *t, const char *path)
{
	char self[PATH_MAX], step[16];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct fl_explore_options o;
	struct fl_run_name run;
	struct fl_scenario *s = read_run(t, path, &run, &o);
	char *const argv[] = {"gdb", "-q", "-iex", "set confirm off",
			      /* Snapshots are kept by write protection. */
			      "-ex", "handle SIGSEGV nostop noprint pass", "-ex", "handle SIGTRAP stop nopass", "-ex",
			      "run", "-ex", "backtrace", "--args", self, "--replay", (char *)t->replay, "--stop",
			      (char *)path, t->step == UINT_MAX ? NULL : "--step", step, NULL};

	if (!s)
		return FL_EXIT_USAGE;
	fl_run_name_free(&run);
	fl_scenario_free(s);
	if (n < 0)
		return fl_say_error(path, fl_error_make("cannot find this program: %s", strerror(errno)));
	self[n] = '\0';
	snprintf(step, sizeof(step), "%u", t->step);
	execvp("gdb", argv);
	return fl_say_error(
		path, errno == ENOENT
			      ? fl_error_make("--gdb needs gdb, and it is not here; on Debian: apt-get install gdb")
			      : fl_error_make("cannot start gdb: %s", strerror(errno)));
}
