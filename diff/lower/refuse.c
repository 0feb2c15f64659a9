/* SPDX-License-Identifier: MIT */
/*
 * What cannot be compared: refused by name, with its place, before anything runs.
 *
 * No locks: one thread.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff/lower/internal.h"
#include "faultline/compiler.h"

FL_PRINTF(3, 4)
static char *refuse(const struct fl_scenario *s, const struct fl_place *place, const char *format, ...)
{
	char *text = NULL, *whole = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (text && asprintf(&whole, "%s:%u:%u: %s", s->path, place->line, place->column, text) < 0)
		whole = NULL;
	free(text);
	return whole ? whole : strdup("out of memory");
}

static char *refuse_setting(const struct fl_scenario *s)
{
	char *text = NULL;
	int n = 0;

	if (s->engine_only)
		n = asprintf(&text, "%s: it says `engine only`: the running kernel cannot be asked", s->path);
	else if (strcmp(s->arch, "x86-64"))
		n = asprintf(&text, "%s: `arch %s`: the running kernel is x86-64; leave the setting out", s->path,
			     s->arch);
	else if (strcmp(s->policy, "none"))
		n = asprintf(&text, "%s: `policy %s`: the running kernel has its own; leave the setting out", s->path,
			     s->policy);
	else if (s->alloc_fails)
		n = asprintf(&text,
			     "%s: `inject alloc=%u`: the running kernel's allocations do not fail when asked to; "
			     "leave the setting out",
			     s->path, s->alloc_fails);
	return n < 0 ? strdup("out of memory") : text;
}

static char *refuse_counts(const struct fl_scenario *s)
{
	if (s->threads > FL_DIFF_THREADS)
		return refuse(s, &s->thread[FL_DIFF_THREADS].place, "there can be %u threads at most", FL_DIFF_THREADS);
	if (s->processes + 1 > FL_DIFF_PROCESSES)
		return refuse(s, &s->process[FL_DIFF_PROCESSES - 1].place, "there can be %u forks at most",
			      FL_DIFF_PROCESSES - 1);
	if (s->uffds > FL_DIFF_UFFDS)
		return refuse(s, &s->uffd[FL_DIFF_UFFDS].place, "there can be %u userfaultfds at most", FL_DIFF_UFFDS);
	return NULL;
}

/* On the running kernel a process is its threads. */
static char *refuse_empty_process(const struct fl_scenario *s)
{
	for (size_t i = 0; i < s->processes; i++) {
		size_t t = 0;

		while (t < s->threads && s->thread[t].process != i + 1)
			t++;
		if (t == s->threads)
			return refuse(
				s, &s->process[i].place,
				"nobody would be in process %s, and nothing could be compared there; say `thread NAME in %s`",
				s->process[i].name, s->process[i].name);
	}
	return NULL;
}

static char *refuse_map(const struct fl_scenario *s, const struct fl_sc_map *m)
{
	static const char *const names[] = {"anon", "shmem", "hugetlb", "file"};

	if (m->hole || m->memory == FL_SC_ANON)
		return NULL;
	return refuse(s, &m->place, "%s memory is not compared yet; anon is", names[m->memory]);
}

static char *refuse_expr(const struct fl_scenario *s, const struct fl_sc_expr *e)
{
	char *error = NULL;

	if (!e)
		return NULL;
	if (e->kind == FL_SC_E_VAR)
		return refuse(s, &e->place, "a shared variable has no part in what is compared; write its value");
	if (e->kind == FL_SC_E_RESULT && e->field != FL_SC_F_NONE && e->field != FL_SC_F_EVENT)
		return refuse(s, &e->place,
			      "parts of messages are compared, but no value for a statement here; "
			      "write the number");
	error = refuse_expr(s, e->left);
	if (!error)
		error = refuse_expr(s, e->right);
	for (size_t i = 0; !error && i < e->members; i++)
		error = refuse_expr(s, e->member[i]);
	return error;
}

static char *refuse_copy(const struct fl_scenario *s, const struct fl_sc_statement *st)
{
	uint64_t bytes = fl_lower_bytes(s, st);

	/* Longer ones than the window are refused by both sides before they copy. */
	if (st->has_other || bytes <= FL_LOWER_FILL_PAGES * FL_DIFF_PAGE || bytes > FL_DIFF_WINDOW_PAGES * FL_DIFF_PAGE)
		return NULL;
	return refuse(s, &st->place,
		      "`copy` with fill= has %u pages at most; split it, or copy from=", FL_LOWER_FILL_PAGES);
}

static char *refuse_statement(const struct fl_scenario *s, const struct fl_sc_statement *st, bool setup)
{
	switch (st->op) {
	case FL_SC_WAIT:
	case FL_SC_IF:
	case FL_SC_REPEAT:
	case FL_SC_RETRY:
	case FL_SC_AWAIT:
	case FL_SC_SET:
	case FL_SC_GET:
	case FL_SC_CHECK:
	case FL_SC_YIELD:
		return refuse(s, &st->place,
			      "`%s`: a program that is compared is a straight line of calls and accesses",
			      fl_sc_op_name(st->op));
	case FL_SC_EXIT:
		return setup ? refuse(s, &st->place, "`exit` needs a thread; setup has none") : NULL;
	case FL_SC_READ:
		return st->nonblock ? refuse(s, &st->place,
					     "`read` has no `nonblock` here; say it when the "
					     "userfaultfd is opened")
				    : NULL;
	case FL_SC_COPY:
		return refuse_copy(s, st);
	default:
		return NULL;
	}
}

static char *refuse_statements(const struct fl_scenario *s, const struct fl_sc_statement *st, size_t n, bool setup)
{
	char *error = NULL;

	for (; !error && n; n--, st++) {
		error = refuse_statement(s, st, setup);
		if (!error)
			error = refuse_expr(s, st->value);
	}
	return error;
}

char *fl_lower_refuse(const struct fl_scenario *s)
{
	char *error = refuse_setting(s);

	if (!error)
		error = refuse_counts(s);
	if (!error)
		error = refuse_empty_process(s);
	for (size_t i = 0; !error && i < s->maps; i++)
		error = refuse_map(s, &s->map[i]);
	if (!error)
		error = refuse_statements(s, s->setup, s->setups, true);
	for (size_t t = 0; !error && t < s->threads; t++)
		error = refuse_statements(s, s->thread[t].body, s->thread[t].bodies, false);
	return error;
}
