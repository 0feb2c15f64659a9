/* SPDX-License-Identifier: MIT */
/*
 * What is said of a whole exploration: how much was run, how the properties stand, what the ends are.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/report/report.h"

/* Has a run ended before its threads had? Other findings are made at the end of a run. */
static bool ends_early(const struct fl_explore_report *r)
{
	for (size_t i = 0; i < r->findings; i++) {
		switch (r->finding[i].kind) {
		case FL_EXPLORE_CHECK:
		case FL_EXPLORE_RACE:
		case FL_EXPLORE_FREED:
		case FL_EXPLORE_PANIC:
		case FL_EXPLORE_CRASH:
			return true;
		default:
			break;
		}
	}
	return false;
}

/* Was all looked at, or all within the bounds that the scenario itself states? What the user left out is no promise. */
static bool is_whole(const struct fl_verdict *v)
{
	const struct fl_explore_options *o = v->o;
	const struct fl_explore_report *r = v->report;
	bool stopped = v->interrupted || (r->findings && !o->keep_going);

	if (o->search == FL_EXPLORE_PCT || o->search == FL_EXPLORE_RANDOM)
		return false;
	if (o->search == FL_EXPLORE_BOUNDED && (v->s->preemptions < 0 || o->preemptions < (unsigned)v->s->preemptions))
		return false;
	return r->complete || (!stopped && v->s->schedules && o->schedules >= v->s->schedules &&
			       r->schedules + r->cut >= o->schedules);
}

enum fl_sometimes fl_verdict_sometimes(const struct fl_verdict *v, size_t i, const struct fl_explore_seen **witness)
{
	bool all_told = true;

	*witness = fl_sometimes_seen(v->s, i, v->report);
	for (size_t k = 0; k < v->report->outcomes && !*witness && all_told; k++)
		all_told = fl_outcome_holds(v->s, v->s->property[i].expr, v->report->outcome[k].text) >= 0;
	return *witness ? FL_SEEN : is_whole(v) && all_told ? FL_NEVER_SEEN : FL_NOT_YET;
}

bool fl_verdict_is_bad(const struct fl_verdict *v)
{
	const struct fl_explore_seen *witness;

	if (v->report->findings)
		return true;
	for (size_t i = 0; i < v->s->properties; i++)
		if (v->s->property[i].when == FL_SC_SOMETIMES && fl_verdict_sometimes(v, i, &witness) == FL_NEVER_SEEN)
			return true;
	return false;
}

void fl_verdict_extent(FILE *out, const struct fl_verdict *v)
{
	const struct fl_explore_options *o = v->o;

	if (v->interrupted)
		fputs("interrupted", out);
	else if (v->report->findings && !o->keep_going)
		fputs("stopped at the finding", out);
	else if (o->search == FL_EXPLORE_PCT)
		fprintf(out, "random priorities, %u changes, seed %llu", o->preemptions, (unsigned long long)o->seed);
	else if (o->search == FL_EXPLORE_RANDOM)
		fprintf(out, "random, seed %llu", (unsigned long long)o->seed);
	else if (!v->report->complete)
		fprintf(out, "NOT complete: stopped after %s", fl_show_count(o->schedules));
	else if (o->search == FL_EXPLORE_BOUNDED)
		fprintf(out, "complete with at most %u preemption%s", o->preemptions, o->preemptions == 1 ? "" : "s");
	else
		fputs("complete", out);
	if (v->report->complete && ends_early(v->report))
		fputs(", but for what comes after a finding", out);
	if (o->memory == FL_EXPLORE_TSO)
		fputs("; with store buffers (tso)", out);
	if (o->alloc_fails)
		fprintf(out, "; up to %u failed allocation%s", o->alloc_fails, o->alloc_fails == 1 ? "" : "s");
	if (v->report->over)
		fprintf(out, "; %s ran past the bound on events", fl_show_count(v->report->over));
}

/* The first line of the question alone. */
static void print_head(FILE *out, const struct fl_verdict *v)
{
	const char *question = v->s->question ? v->s->question : "";
	size_t len = strcspn(question, "\n");

	fprintf(out, "%s%s%.*s\n", v->path, len ? ": " : "", (int)len, question);
}

static void print_extent(FILE *out, const struct fl_verdict *v)
{
	const struct fl_explore_report *r = v->report;

	fprintf(out, "  %s schedule%s", fl_show_count(r->schedules), r->schedules == 1 ? "" : "s");
	if (r->cut)
		fprintf(out, " (%s cut as equivalent)", fl_show_count(r->cut));
	fprintf(out, ", longest %s steps, %s; ", fl_show_count(r->longest), fl_show_seconds(r->seconds));
	fl_verdict_extent(out, v);
	fputc('\n', out);
	if (r->blocks)
		fprintf(out, "  %s of %s blocks of the engine reached\n", fl_show_count(r->blocks_reached),
			fl_show_count(r->blocks));
}

static void print_run(FILE *out, const struct fl_verdict *v, const struct fl_cut *cut, const char *id)
{
	char *name = fl_run_name_print(v->s, v->o, cut, id);

	fputs(name ? name : "(out of memory)", out);
	free(name);
}

static bool is_broken(const struct fl_verdict *v, size_t property)
{
	for (size_t i = 0; i < v->report->findings; i++)
		if (fl_finding_property(v->s, &v->report->finding[i]) == (int)property)
			return true;
	return false;
}

const char *fl_verdict_property(const struct fl_verdict *v, size_t i)
{
	bool odd = v->s->property[i].when == FL_SC_ODDITY;

	return is_broken(v, i) ? "broken" : !is_whole(v) ? "so far" : odd ? "absent" : "holds";
}

static void print_sometimes(FILE *out, const struct fl_verdict *v, size_t i)
{
	const struct fl_explore_seen *witness;

	switch (fl_verdict_sometimes(v, i, &witness)) {
	case FL_SEEN:
		fprintf(out, "  seen        sometimes %s  ", v->s->property[i].text);
		print_run(out, v, NULL, witness->run_id);
		fputc('\n', out);
		break;
	case FL_NOT_YET:
		fprintf(out, "  not yet     sometimes %s\n", v->s->property[i].text);
		break;
	case FL_NEVER_SEEN:
		fprintf(out, "  NEVER SEEN  sometimes %s  (%s:%u)\n", v->s->property[i].text, v->path,
			v->s->property[i].place.line);
		break;
	}
}

static void print_properties(FILE *out, const struct fl_verdict *v)
{
	for (size_t i = 0; i < v->s->properties; i++) {
		const struct fl_sc_property *p = &v->s->property[i];

		if (p->when == FL_SC_SOMETIMES)
			print_sometimes(out, v, i);
		else
			fprintf(out, "  %-10s  %s %s\n", is_broken(v, i) ? "BROKEN" : fl_verdict_property(v, i),
				fl_sc_when_name(p->when), p->text);
	}
}

static void print_outcomes(FILE *out, const struct fl_verdict *v)
{
	const struct fl_explore_report *r = v->report;

	fprintf(out, "  %zu outcome%s\n", r->outcomes, r->outcomes == 1 ? "" : "s");
	for (size_t i = 0; i < r->outcomes; i++) {
		fprintf(out, "    %s\n      %s schedule%s, one of them ", r->outcome[i].text,
			fl_show_count(r->outcome[i].runs), r->outcome[i].runs == 1 ? "" : "s");
		print_run(out, v, NULL, r->outcome[i].run_id);
		fputc('\n', out);
	}
}

void fl_verdict_print(FILE *out, const struct fl_verdict *v)
{
	print_head(out, v);
	print_extent(out, v);
	print_properties(out, v);
	if (v->outcomes)
		print_outcomes(out, v);
}

/* What the cut leaves out, by line. */
static void print_cut(FILE *out, const struct fl_verdict *v, const struct fl_cut *cut)
{
	const char *before = "    Left out, and it is found all the same: ";
	unsigned thread;

	for (size_t i = 0; i < cut->statements; i++) {
		const struct fl_sc_statement *st;

		if (!cut->statement[i])
			continue;
		st = fl_cut_statement(v->s, i, &thread);
		fprintf(out, "%s%u: %s", before, st->place.line, st->text);
		before = "; ";
		/* What is in a block goes with it. */
		i = fl_cut_end(v->s, i) - 1;
	}
	if (*before == ';')
		fputc('\n', out);
}

static int print_columns(FILE *out, const struct fl_verdict *v, const struct fl_smallest *small,
			 enum fl_explore_kind kind, char **error)
{
	const struct fl_columns columns = {
		.width = fl_show_width(out), .engine = v->engine, .last = fl_story_last(kind), .indent = "    "};
	struct fl_explore_report report;
	struct fl_story story;

	if (fl_story_replay(v->s, &small->cut, v->o, small->id, &story, &report, error))
		return -1;
	fputc('\n', out);
	fl_story_print(out, &story, &columns);
	if (!report.findings || report.finding[0].kind != kind)
		fputs("    (replayed, it was not found again: is the scenario's outcome a matter of something unseen?)\n",
		      out);
	fl_story_free(&story);
	fl_explore_report_free(&report);
	return 0;
}

static void print_smallest(FILE *out, const struct fl_smallest *small)
{
	if (small->preemptions)
		fprintf(out, "    %u preemption%s%s", small->preemptions, small->preemptions == 1 ? "" : "s",
			small->fewest ? ", with fewer it is not found" : "");
	else
		fputs("    no preemption", out);
	fprintf(out, "; %s steps\n", fl_show_count(small->events));
}

int fl_finding_print(FILE *out, const struct fl_verdict *v, const struct fl_explore_finding *f, char **error)
{
	struct fl_explore_options o = *v->o;
	struct fl_smallest small;
	const int tired = 1;
	char *name;
	int ret;

	if (fl_shrink(v->s, &o, f, v->shrink ? v->stop : &tired, &small, error))
		return -1;
	fprintf(out, "\n  FOUND %s: %s\n", fl_explore_kind_name(f->kind), small.text);
	print_smallest(out, &small);
	print_cut(out, v, &small.cut);
	ret = print_columns(out, v, &small, f->kind, error);
	if (!ret) {
		name = fl_run_name_print(v->s, v->o, fl_cut_is_empty(&small.cut) ? NULL : &small.cut, small.id);
		fprintf(out, "\n    run %s\n", fl_error_text(name));
		fprintf(out, "    again:      faultline explore --replay %s %s\n", fl_error_text(name), v->path);
		fprintf(out, "    its engine: add --engine; in the debugger: add --gdb\n");
		free(name);
	}
	fl_smallest_free(&small);
	return ret;
}
