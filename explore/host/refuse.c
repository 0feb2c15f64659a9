/* SPDX-License-Identifier: MIT */
/*
 * What the running kernel cannot be asked, and the way out.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "explore/exec/exec.h"
#include "explore/host/internal.h"

char *fl_host_text(const char *format, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	return n < 0 ? NULL : text;
}

#define WAY_OUT "add `engine only` to leave it out of comparisons"

/* The first of n statements, and of those inside, that answers; NULL: none. */
static const struct fl_sc_statement *first(const struct fl_sc_statement *st, size_t n,
					   bool (*is)(const struct fl_sc_statement *st))
{
	for (size_t i = 0; i < n; i++) {
		const struct fl_sc_statement *found = is(&st[i]) ? &st[i] : first(st[i].body, st[i].bodies, is);

		if (!found)
			found = first(st[i].orelse, st[i].orelses, is);
		if (found)
			return found;
	}
	return NULL;
}

static const struct fl_sc_statement *first_of_all(const struct fl_scenario *s,
						  bool (*is)(const struct fl_sc_statement *st))
{
	const struct fl_sc_statement *found = first(s->setup, s->setups, is);

	for (size_t t = 0; !found && t < s->threads; t++)
		found = first(s->thread[t].body, s->thread[t].bodies, is);
	return found;
}

static bool is_exit(const struct fl_sc_statement *st)
{
	return st->op == FL_SC_EXIT;
}

static bool is_fatal(const struct fl_sc_statement *st)
{
	return st->op == FL_SC_SIGNAL && st->fatal;
}

/* Where a thread says `exit`, all threads of its process leave the address space when they end. */
bool fl_host_leaves(const struct fl_scenario *s, unsigned process)
{
	for (size_t t = 0; t < s->threads; t++)
		if (s->thread[t].process == process && first(s->thread[t].body, s->thread[t].bodies, is_exit))
			return true;
	return false;
}

static bool is_await(const struct fl_sc_statement *st)
{
	return st->op == FL_SC_AWAIT;
}

bool fl_host_awaits(const struct fl_scenario *s)
{
	return first_of_all(s, is_await) != NULL;
}

static bool kernel_matches(const char *profile)
{
	struct utsname u;
	size_t n = strlen(profile);

	/* The profile that nobody chose stands for whatever runs. */
	if (!strcmp(profile, "6.18") || uname(&u))
		return true;
	return !strncmp(u.release, profile, n) && (u.release[n] < '0' || u.release[n] > '9');
}

static char *refuse_setting(const struct fl_scenario *s)
{
	if (s->threads > FL_EXPLORE_THREADS)
		return fl_host_text("%s:%u:%u: there can be %d threads at most", s->path,
				    s->thread[FL_EXPLORE_THREADS].place.line,
				    s->thread[FL_EXPLORE_THREADS].place.column, FL_EXPLORE_THREADS);
	if (s->engine_only)
		return fl_host_text("%s: it says `engine only`: the running kernel cannot be asked", s->path);
	if (strcmp(s->arch, "x86-64"))
		return fl_host_text("%s: `arch %s`: the running kernel is x86-64; " WAY_OUT, s->path, s->arch);
	if (!kernel_matches(s->kernel))
		return fl_host_text("%s: `kernel %s`: another one runs; " WAY_OUT, s->path, s->kernel);
	if (strcmp(s->policy, "none"))
		return fl_host_text("%s: `policy %s`: the running kernel has its own; " WAY_OUT, s->path, s->policy);
	if (s->alloc_fails)
		return fl_host_text(
			"%s: `inject alloc=%u`: the running kernel's allocations do not fail when asked to; " WAY_OUT,
			s->path, s->alloc_fails);
	return NULL;
}

struct unseen {
	const struct fl_scenario *s;
	char *error;
};

/* Counts of the engine's that user space cannot see. */
static void refuse_look(void *arg, const struct fl_sc_expr *look)
{
	static const char *const names[] = {"faults", "retries", "messages", NULL, NULL, "tables", "frames"};
	struct unseen *u = arg;

	if (u->error || look->kind != FL_SC_E_COUNT || !names[look->count])
		return;
	u->error = fl_host_text("%s:%u:%u: `%s`: the running kernel does not tell; " WAY_OUT, u->s->path,
				look->place.line, look->place.column, names[look->count]);
}

static char *refuse_maps(const struct fl_scenario *s)
{
	for (size_t i = 0; i < s->maps; i++) {
		const struct fl_sc_map *m = &s->map[i];

		if (m->memory == FL_SC_HUGETLB && (m->page % 512 || m->pages % 512))
			return fl_host_text(
				"%s:%u:%u: hugetlb: pages= and at= must be multiples of 512 on the running kernel",
				s->path, m->place.line, m->place.column);
	}
	return NULL;
}

static char *refuse_only_diff(const struct fl_scenario *s)
{
	struct fl_place place;
	const char *what = fl_sc_only_diff(s, &place);

	if (!what)
		return NULL;
	if (!place.line)
		return fl_host_text("%s: %s: only `faultline diff` runs this", s->path, what);
	return fl_host_text("%s:%u:%u: %s: only `faultline diff` runs this", s->path, place.line, place.column, what);
}

char *fl_host_refuse(const struct fl_scenario *s)
{
	struct unseen unseen = {.s = s};
	const struct fl_sc_statement *st;
	char *error = refuse_setting(s);

	if (!error)
		error = refuse_only_diff(s);
	if (!error)
		error = refuse_maps(s);
	if (error)
		return error;
	fl_outcome_looks(s, refuse_look, &unseen);
	if (unseen.error)
		return unseen.error;
	st = first_of_all(s, is_fatal);
	if (st)
		return fl_host_text("%s:%u:%u: `%s`: a fatal signal ends all threads of a process here; " WAY_OUT,
				    s->path, st->place.line, st->place.column, st->text);
	return NULL;
}
