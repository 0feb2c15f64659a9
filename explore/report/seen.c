/* SPDX-License-Identifier: MIT */
/*
 * An outcome's line, read back: which values it names. So one can say of each outcome whether a property holds in it, and
 * with which run id `sometimes` was seen, also when another process explored it or it was explored before a stop.
 * The line is what fl_outcome_print writes; what it leaves out is FL_SC_UNSET.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/report/report.h"
#include "faultline/uapi.h"

#define FIELDS (FL_SC_F_THREAD + 1)

struct values {
	const struct fl_scenario *s;
	int64_t *result; /* FIELDS of each */
	int64_t *variable;
	const struct fl_sc_expr **look; /* what is looked at, each once, in the order of the line */
	int64_t *looked;
	bool *blocked;
	size_t looks;
	bool failed; /* out of memory, or not understood */
};

static int64_t *result_field(const struct values *v, unsigned index, enum fl_sc_field field)
{
	return &v->result[(size_t)index * FIELDS + field];
}

static int64_t get_result(void *arg, unsigned index, enum fl_sc_field field)
{
	const struct values *v = arg;

	/* A message's bare name is its event. */
	if (field == FL_SC_F_NONE && v->s->result[index].type == FL_SC_MESSAGE)
		field = FL_SC_F_EVENT;
	return *result_field(v, index, field);
}

static int64_t get_variable(void *arg, unsigned index)
{
	const struct values *v = arg;

	return v->variable[index];
}

static int64_t get_look(const struct values *v, const struct fl_sc_expr *e)
{
	for (size_t i = 0; i < v->looks; i++)
		if (fl_outcome_same(v->look[i], e))
			return v->looked[i];
	return FL_SC_UNSET;
}

static int64_t get_memory(void *arg, unsigned process, const struct fl_sc_range *range, unsigned size)
{
	const struct fl_sc_expr e = {.kind = FL_SC_E_MEMORY, .process = process, .range = *range, .size = size};

	return get_look(arg, &e);
}

static int64_t get_count(void *arg, enum fl_sc_count count, unsigned index, const struct fl_sc_range *range)
{
	const struct fl_sc_expr e = {.kind = FL_SC_E_COUNT, .count = count, .index = index, .range = *range};

	return get_look(arg, &e);
}

static bool get_blocked(void *arg, unsigned thread)
{
	const struct values *v = arg;

	return v->blocked[thread];
}

static void note_look(void *arg, const struct fl_sc_expr *look)
{
	struct values *v = arg;
	const struct fl_sc_expr **more;

	for (size_t i = 0; i < v->looks; i++)
		if (fl_outcome_same(v->look[i], look))
			return;
	more = realloc(v->look, (v->looks + 1) * sizeof(const struct fl_sc_expr *));
	if (!more) {
		v->failed = true;
		return;
	}
	v->look = more;
	v->look[v->looks++] = look;
}

static bool make_values(struct values *v, const struct fl_scenario *s)
{
	*v = (struct values){.s = s};
	fl_outcome_looks(s, note_look, v);
	v->result = malloc((s->results * FIELDS + 1) * sizeof(int64_t));
	v->variable = malloc((s->variables + 1) * sizeof(int64_t));
	v->looked = malloc((v->looks + 1) * sizeof(int64_t));
	v->blocked = calloc(s->threads + 1, sizeof(bool));
	if (v->failed || !v->result || !v->variable || !v->looked || !v->blocked)
		return false;
	for (size_t i = 0; i < s->results * FIELDS; i++)
		v->result[i] = FL_SC_UNSET;
	for (size_t i = 0; i < s->variables; i++)
		v->variable[i] = FL_SC_UNSET;
	for (size_t i = 0; i < v->looks; i++)
		v->looked[i] = FL_SC_UNSET;
	return true;
}

static void free_values(struct values *v)
{
	free(v->result);
	free(v->variable);
	free(v->look);
	free(v->looked);
	free(v->blocked);
}

static bool read_word(const char *word, int64_t *value)
{
	static const struct {
		const char *name;
		int64_t value;
	} names[] = {
		{"PAGEFAULT", FL_UFFD_EVENT_PAGEFAULT}, {"FORK", FL_UFFD_EVENT_FORK},
		{"REMAP", FL_UFFD_EVENT_REMAP},         {"REMOVE", FL_UFFD_EVENT_REMOVE},
		{"UNMAP", FL_UFFD_EVENT_UNMAP},         {"WRITE", FL_UFFD_PAGEFAULT_FLAG_WRITE},
		{"WP", FL_UFFD_PAGEFAULT_FLAG_WP},      {"MINOR", FL_UFFD_PAGEFAULT_FLAG_MINOR},
	};
	char *end;

	if (fl_sc_value_by_name(word, value))
		return true;
	for (size_t i = 0; i < FL_ARRAY_LEN(names); i++) {
		if (!strcmp(word, names[i].name)) {
			*value = names[i].value;
			return true;
		}
	}
	*value = *word == '-' ? strtoll(word, &end, 0) : (int64_t)strtoull(word, &end, 0);
	return *word && !*end;
}

/* A, A+8, A[1], A[1]+8, A-8; or a number. */
static bool read_address(const struct fl_scenario *s, const char *word, int64_t *value)
{
	size_t len = strcspn(word, "[+-");
	const char *at = word + len;
	char *end;

	for (size_t i = 0; i < s->maps; i++) {
		const struct fl_sc_map *m = &s->map[i];

		if (strlen(m->name) != len || strncmp(m->name, word, len) != 0)
			continue;
		*value = (int64_t)(m->page << 12);
		if (*at == '[') {
			*value += (int64_t)(strtoull(at + 1, &end, 10) << 12);
			at = *end == ']' ? end + 1 : end;
		}
		if (*at == '+' || *at == '-') {
			*value += strtoll(at, &end, 10);
			at = end;
		}
		return !*at;
	}
	return read_word(word, value);
}

static bool read_thread(const struct fl_scenario *s, const char *word, int64_t *value)
{
	for (size_t i = 0; i < s->threads; i++) {
		if (!strcmp(s->thread[i].name, word)) {
			*value = (int64_t)i;
			return true;
		}
	}
	return read_word(word, value);
}

/* "name=word" of a result, or of a message's field. False: it is none. */
static bool read_result(struct values *v, const char *name, const char *word)
{
	static const char *const fields[FIELDS] = {
		[FL_SC_F_EVENT] = "event", [FL_SC_F_ADDRESS] = "address", [FL_SC_F_END] = "end",
		[FL_SC_F_FLAGS] = "flags", [FL_SC_F_THREAD] = "thread",
	};
	size_t len = strcspn(name, ".");
	enum fl_sc_field field = FL_SC_F_NONE;
	unsigned index = 0;
	int64_t *to;

	while (index < v->s->results &&
	       (strncmp(v->s->result[index].name, name, len) != 0 || v->s->result[index].name[len]))
		index++;
	if (index == v->s->results)
		return false;
	if (v->s->result[index].type == FL_SC_MESSAGE)
		field = FL_SC_F_EVENT;
	for (unsigned f = FL_SC_F_EVENT; name[len] && f < FIELDS; f++)
		if (!strcmp(fields[f], name + len + 1))
			field = (enum fl_sc_field)f;
	to = result_field(v, index, field);
	if (field == FL_SC_F_ADDRESS || field == FL_SC_F_END)
		v->failed |= !read_address(v->s, word, to);
	else if (field == FL_SC_F_THREAD)
		v->failed |= !read_thread(v->s, word, to);
	else
		v->failed |= !read_word(word, to);
	return true;
}

static void read_blocked(struct values *v, char *names)
{
	int64_t thread;

	for (char *save, *name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		if (read_thread(v->s, name, &thread) && thread >= 0 && (size_t)thread < v->s->threads)
			v->blocked[thread] = true;
		else
			v->failed = true;
	}
}

/* Looks come in their order, and their names are no results' or variables'. */
static void read_token(struct values *v, char *name, char *word, size_t *looks)
{
	if (!strcmp(name, "blocked")) {
		read_blocked(v, word);
		return;
	}
	for (unsigned i = 0; i < v->s->variables; i++) {
		if (!strcmp(v->s->variable[i].name, name)) {
			v->failed |= !read_word(word, &v->variable[i]);
			return;
		}
	}
	if (read_result(v, name, word))
		return;
	if (*looks == v->looks || !read_word(word, &v->looked[(*looks)++]))
		v->failed = true;
}

/* Words with '=' outside of brackets. A word without one belongs to the name after it: "vmas in C=2". */
static void read_line(struct values *v, char *line)
{
	size_t looks = 0;
	char *at = line;

	while (*at && strcmp(at, "done") != 0) {
		char *name = at, *word;
		int depth = 0;

		for (; *at && (*at != '=' || depth); at++)
			depth += *at == '[' || *at == '(' ? 1 : *at == ']' || *at == ')' ? -1 : 0;
		if (!*at) {
			v->failed = true;
			return;
		}
		*at++ = '\0';
		word = at;
		at += strcspn(at, " ");
		if (*at)
			*at++ = '\0';
		read_token(v, name, word, &looks);
	}
}

int fl_outcome_holds(const struct fl_scenario *s, const struct fl_sc_expr *e, const char *outcome)
{
	struct values v;
	struct fl_sc_context context = {
		.arg = &v,
		.result = get_result,
		.variable = get_variable,
		.memory = get_memory,
		.count = get_count,
		.blocked = get_blocked,
	};
	char *line = strdup(outcome);
	int holds = -1;

	if (make_values(&v, s) && line) {
		read_line(&v, line);
		if (!v.failed)
			holds = fl_sc_holds(e, &context);
	}
	free_values(&v);
	free(line);
	return holds;
}

const struct fl_explore_seen *fl_sometimes_seen(const struct fl_scenario *s, size_t property,
						const struct fl_explore_report *report)
{
	for (size_t i = 0; i < report->outcomes; i++)
		if (fl_outcome_holds(s, s->property[property].expr, report->outcome[i].text) == 1)
			return &report->outcome[i];
	return NULL;
}
