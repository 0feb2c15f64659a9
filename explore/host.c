/* SPDX-License-Identifier: MIT */
/*
 * faultline explore --host: the same scenario on the running kernel. What only the kernel shows is an error in the engine; what
 * only the engine shows may be too rare to be seen here.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/command.h"
#include "explore/host/host.h"
#include "explore/report/report.h"

static bool is_explored(const struct fl_explore_report *r, const char *outcome)
{
	for (size_t i = 0; i < r->outcomes; i++)
		if (!strcmp(r->outcome[i].text, outcome))
			return true;
	return false;
}

static uint64_t host_runs(const struct fl_host_report *h, const char *outcome)
{
	for (size_t i = 0; i < h->outcomes; i++)
		if (!strcmp(h->outcome[i].text, outcome))
			return h->outcome[i].runs;
	return 0;
}

/* The oddity of the scenario that the outcome is, or NULL. */
static const struct fl_sc_property *oddity(const struct fl_scenario *s, const char *outcome)
{
	for (size_t i = 0; i < s->properties; i++)
		if (s->property[i].when == FL_SC_ODDITY && fl_outcome_holds(s, s->property[i].expr, outcome) == 1)
			return &s->property[i];
	return NULL;
}

/* Do the always and never of the scenario hold for what the kernel did? */
static size_t say_broken(const struct fl_scenario *s, const char *outcome)
{
	size_t broken = 0;

	for (size_t i = 0; i < s->properties; i++) {
		const struct fl_sc_property *p = &s->property[i];
		int holds = fl_outcome_holds(s, p->expr, outcome);

		if ((p->when != FL_SC_ALWAYS || holds) && (p->when != FL_SC_NEVER || holds != 1))
			continue;
		printf("        breaks %s %s\n", fl_sc_when_name(p->when), p->text);
		broken++;
	}
	return broken;
}

static int compare(const struct fl_scenario *s, const struct fl_explore_options *o, const struct fl_explore_report *r,
		   const struct fl_host_report *h)
{
	size_t strange = 0, unseen = 0, broken = 0;

	for (size_t i = 0; i < r->outcomes; i++)
		unseen += !host_runs(h, r->outcome[i].text);
	for (size_t i = 0; i < h->outcomes; i++)
		strange += !is_explored(r, h->outcome[i].text) && !oddity(s, h->outcome[i].text);
	printf("  explored: %s schedules, %zu outcomes, %zu of them not seen below%s\n", fl_show_count(r->schedules),
	       r->outcomes, unseen, r->complete ? "" : "; NOT complete: the set may lack some");
	printf("  kernel:   %s runs in %s, %zu outcomes\n", fl_show_count(h->runs), fl_show_seconds(h->seconds),
	       h->outcomes);
	for (size_t i = 0; i < h->outcomes; i++) {
		const struct fl_sc_property *odd = oddity(s, h->outcome[i].text);
		bool both = is_explored(r, h->outcome[i].text);

		printf("    %-13s %s  (%s runs)\n",
		       both  ? "both"
		       : odd ? "oddity"
			     : "ONLY KERNEL",
		       h->outcome[i].text, fl_show_count(h->outcome[i].runs));
		if (!odd)
			broken += say_broken(s, h->outcome[i].text);
	}
	for (size_t i = 0; i < r->outcomes; i++) {
		char *name;

		if (host_runs(h, r->outcome[i].text))
			continue;
		name = fl_run_name_print(s, o, NULL, r->outcome[i].run_id);
		printf("    %-13s %s\n", "only explored", r->outcome[i].text);
		if (strange)
			printf("                  %s\n", fl_error_text(name));
		free(name);
	}
	if (strange)
		printf("  %zu outcome%s of this kernel %s not in the explored set%s\n", strange,
		       strange == 1 ? "" : "s", strange == 1 ? "is" : "are",
		       r->complete ? ": the engine does not do what the kernel does"
				   : ", which is not complete: try --deep");
	return strange || broken || r->findings ? FL_EXIT_FOUND : 0;
}

static int on_host(const struct fl_settings *t, const struct fl_scenario *s)
{
	const struct fl_host_options host = {.runs = t->runs, .seed = t->seed};
	struct fl_explore_options o;
	struct fl_explore_report r;
	struct fl_host_report h;
	char *error;
	int status;

	fl_settings_options(t, s, &o);
	/* A finding must not hide what else can happen. */
	o.keep_going = true;
	if (fl_subject_explore(s, NULL, &o, &r, &error))
		return fl_say_error(s->path, error);
	if (fl_host_run(s, &host, &h, &error)) {
		fl_explore_report_free(&r);
		return fl_say_error(s->path, error);
	}
	printf("%s\n", s->path);
	for (size_t i = 0; i < r.findings; i++)
		printf("  FOUND in the engine: %s: %s\n", fl_explore_kind_name(r.finding[i].kind), r.finding[i].text);
	status = compare(s, &o, &r, &h);
	fl_host_report_free(&h);
	fl_explore_report_free(&r);
	return status;
}

int fl_do_host(const struct fl_settings *t, const char *path)
{
	struct fl_scenario *s = fl_read_scenario(path);
	int status = 0;

	if (!s)
		return FL_EXIT_USAGE;
	if (s->engine_only)
		printf("%s: engine only: the kernel is not asked\n", path);
	else
		status = on_host(t, s);
	fl_scenario_free(s);
	return status;
}
