/* SPDX-License-Identifier: MIT */
/*
 * What the language can say and the engine does not have yet: refused by name, with its place.
 *
 * No locks: one thread.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore/exec/exec_int.h"
#include "faultline/uapi.h"
#include "uffd/context.h"

char *fl_exec_error(const struct fl_scenario *s, const struct fl_place *place, const char *format, ...)
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

/* Settings have no place in the tree: the line that begins with the word. */
static struct fl_place place_of(const struct fl_scenario *s, const char *setting)
{
	struct fl_place place = {1, 1};
	size_t n = strlen(setting);

	for (const char *line = s->text; line && *line; place.line++) {
		size_t blank = strspn(line, " \t");

		if (!strncmp(line + blank, setting, n) && (!line[blank + n] || strspn(line + blank + n, " \t\r\n;#"))) {
			place.column = (unsigned)blank + 1;
			return place;
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return (struct fl_place){1, 1};
}

static char *refuse_setting(const struct fl_scenario *s, const char *setting, const char *is, const char *has)
{
	struct fl_place place;

	if (!is || !strcmp(is, has))
		return NULL;
	place = place_of(s, setting);
	return fl_exec_error(s, &place, "the engine has no %s %s yet; it has %s", setting, is, has);
}

static char *refuse_settings(const struct fl_scenario *s)
{
	char *error = refuse_setting(s, "arch", s->arch, fl_arch_x86_64.name);

	if (!error)
		error = refuse_setting(s, "kernel", s->kernel, "6.18");
	if (!error)
		error = refuse_setting(s, "policy", s->policy, "none");
	if (!error && s->threads > FL_EXPLORE_THREADS)
		error = fl_exec_error(s, &s->thread[FL_EXPLORE_THREADS].place, "there can be %d threads at most",
				      FL_EXPLORE_THREADS);
	return error;
}

static char *refuse_map(const struct fl_scenario *s, const struct fl_sc_map *m)
{
	static const char *const names[] = {"anon", "shmem", "hugetlb", "file"};

	if (m->hole)
		return NULL;
	if (m->memory != FL_SC_ANON)
		return fl_exec_error(s, &m->place, "the engine has no %s memory yet; it has anon private",
				     names[m->memory]);
	if (m->shared)
		return fl_exec_error(s, &m->place, "the engine has no shared memory yet; it has anon private");
	return NULL;
}

static char *refuse_registration(const struct fl_scenario *s, const struct fl_sc_statement *st)
{
	if (st->modes & ~(uint64_t)FL_UFFDIO_REGISTER_MODE_MISSING)
		return fl_exec_error(s, &st->place, "the engine has no userfaultfd mode %s yet; it has missing",
				     st->modes & FL_UFFDIO_REGISTER_MODE_WP ? "wp" : "minor");
	if (st->features & ~(uint64_t)FL_UFFD_SUPPORTED)
		return fl_exec_error(
			s, &st->place,
			"the engine has no such userfaultfd features yet (0x%llx); it has sigbus, thread_id and exact_address",
			(unsigned long long)(st->features & ~(uint64_t)FL_UFFD_SUPPORTED));
	return NULL;
}

static char *refuse_in_setup(const struct fl_scenario *s, const struct fl_sc_statement *st)
{
	switch (st->op) {
	case FL_SC_READ:
		if (st->nonblock)
			return NULL;
		break;
	case FL_SC_WAIT:
	case FL_SC_AWAIT:
	case FL_SC_YIELD:
		break;
	case FL_SC_EXIT:
	case FL_SC_SIGNAL:
		return fl_exec_error(s, &st->place, "%s needs a thread; setup has none", fl_sc_op_name(st->op));
	default:
		return NULL;
	}
	return fl_exec_error(s, &st->place, "%s may wait, and setup cannot; put it into a thread",
			     fl_sc_op_name(st->op));
}

static char *refuse_statements(const struct fl_scenario *s, const struct fl_sc_statement *st, size_t n, bool setup)
{
	char *error = NULL;

	for (; !error && n; n--, st++) {
		switch (st->op) {
		case FL_SC_CONTINUE:
		case FL_SC_POISONPAGE:
		case FL_SC_WRITEPROTECT:
		case FL_SC_MOVE:
			error = fl_exec_error(
				s, &st->place,
				"the engine has no userfaultfd call %s yet; it has copy, zeropage and wake",
				fl_sc_op_name(st->op));
			break;
		case FL_SC_UFFD:
		case FL_SC_REGISTER:
			error = refuse_registration(s, st);
			break;
		default:
			if (setup)
				error = refuse_in_setup(s, st);
		}
		if (!error)
			error = refuse_statements(s, st->body, st->bodies, setup);
		if (!error)
			error = refuse_statements(s, st->orelse, st->orelses, setup);
	}
	return error;
}

static char *refuse_only_diff(const struct fl_scenario *s)
{
	struct fl_place place;
	const char *what = fl_sc_only_diff(s, &place);

	if (what && !place.line)
		place = place_of(s, "unprivileged");
	return what ? fl_exec_error(s, &place, "%s: only `faultline diff` runs this", what) : NULL;
}

char *fl_exec_refuse(const struct fl_scenario *s)
{
	char *error = refuse_settings(s);

	if (!error)
		error = refuse_only_diff(s);
	for (size_t i = 0; !error && i < s->maps; i++)
		error = refuse_map(s, &s->map[i]);
	if (!error)
		error = refuse_statements(s, s->setup, s->setups, true);
	for (size_t i = 0; !error && i < s->threads; i++)
		error = refuse_statements(s, s->thread[i].body, s->thread[i].bodies, false);
	return error;
}
