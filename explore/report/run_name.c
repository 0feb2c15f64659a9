/* SPDX-License-Identifier: MIT */
/*
 * How users write a run: HASH_FIELDS_ID.
 *
 *   HASH    of the scenario, 8 digits: an id is never replayed on another scenario
 *   FIELDS  s or t: the memory model; n: plain accesses are not watched; aN: N allocations may fail; eN: the bound on
 *           events; then, if the run is one of a smaller scenario, xLIST: the statements that are left out, and pLIST:
 *           the properties. LIST: numbers and ranges, "2-5.7"
 *   ID      the explorer's
 *
 * No locks: one thread.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "explore/report/report.h"

uint32_t fl_run_hash(const struct fl_scenario *s)
{
	return (uint32_t)(s->hash ^ s->hash >> 32);
}

static void print_list(FILE *out, char letter, const bool *gone, size_t n)
{
	char before = letter;

	for (size_t i = 0; i < n; i++) {
		size_t from = i;

		if (!gone[i])
			continue;
		while (i + 1 < n && gone[i + 1])
			i++;
		fprintf(out, "%c%zu", before, from);
		if (i > from)
			fprintf(out, "-%zu", i);
		before = '.';
	}
}

char *fl_run_name_print(const struct fl_scenario *s, const struct fl_explore_options *o, const struct fl_cut *cut,
			const char *id)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "%08" PRIx32 "_%s%s", fl_run_hash(s), o->memory == FL_EXPLORE_TSO ? "t" : "s",
		o->no_plain ? "n" : "");
	if (o->alloc_fails)
		fprintf(out, "a%u", o->alloc_fails);
	if (o->events)
		fprintf(out, "e%u", o->events);
	if (cut) {
		print_list(out, 'x', cut->statement, cut->statements);
		print_list(out, 'p', cut->property, cut->properties);
	}
	fprintf(out, "_%s", id);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* A number of at most 9 digits. */
static bool take_number(const char **at, uint32_t *number)
{
	size_t digits = strspn(*at, "0123456789");

	if (!digits || digits > 9)
		return false;
	*number = (uint32_t)strtoul(*at, NULL, 10);
	*at += digits;
	return true;
}

static bool take_list(const char **at, bool *gone, size_t n)
{
	uint32_t from, to;

	do {
		++*at; /* the letter, or the dot */
		if (!take_number(at, &from))
			return false;
		to = from;
		if (**at == '-') {
			++*at;
			if (!take_number(at, &to))
				return false;
		}
		if (from > to || to >= n)
			return false;
		for (uint32_t i = from; i <= to; i++)
			gone[i] = true;
	} while (**at == '.');
	return true;
}

static bool take_fields(struct fl_run_name *name, const char **at)
{
	if (**at != 's' && **at != 't')
		return false;
	name->memory = *(*at)++ == 't' ? FL_EXPLORE_TSO : FL_EXPLORE_SC;
	if (**at == 'n') {
		name->no_plain = true;
		++*at;
	}
	if (**at == 'a') {
		++*at;
		if (!take_number(at, &name->alloc_fails))
			return false;
	}
	if (**at == 'e') {
		++*at;
		if (!take_number(at, &name->events))
			return false;
	}
	if (**at == 'x' && !take_list(at, name->cut.statement, name->cut.statements))
		return false;
	if (**at == 'p' && !take_list(at, name->cut.property, name->cut.properties))
		return false;
	return *(*at)++ == '_';
}

bool fl_run_name_parse(struct fl_run_name *name, const struct fl_scenario *s, const char *text, char **error)
{
	const char *at = text;

	*name = (struct fl_run_name){0};
	*error = NULL;
	if (strspn(text, "0123456789abcdef") != 8 || text[8] != '_') {
		*error =
			fl_error_make("'%s' is no run id; one looks like %08" PRIx32 "_s_..., as a report ends with it",
				      text, fl_run_hash(s));
		return false;
	}
	name->hash = (uint32_t)strtoul(text, NULL, 16);
	if (name->hash != fl_run_hash(s)) {
		*error = fl_error_make(
			"this run id is of another scenario, or of another version of it: it begins with %.8s, "
			"and runs of %s begin with %08" PRIx32,
			text, s->path, fl_run_hash(s));
		return false;
	}
	at += 9;
	if (!fl_cut_init(&name->cut, s))
		return false;
	if (!take_fields(name, &at) || !*at) {
		*error = fl_error_make("'%s' is no run id of %s: it cannot be read from '%s' on; was all of it copied?",
				       text, s->path, *at ? at : "its end");
		fl_run_name_free(name);
		return false;
	}
	name->id = strdup(at);
	if (!name->id)
		fl_run_name_free(name);
	return name->id;
}

void fl_run_name_free(struct fl_run_name *name)
{
	fl_cut_free(&name->cut);
	free(name->id);
	*name = (struct fl_run_name){0};
}
