/* SPDX-License-Identifier: MIT */
/*
 * The names of a scenario. There is one space of names for mappings, userfaultfds, processes, variables, threads
 * and results. The first time over the tokens declares, the second looks up.
 *
 * No locks: one thread.
 */
#include <string.h>

#include "explore/lang/lang.h"

static const char *kind_name(unsigned kinds)
{
	switch (kinds) {
	case FL_SC_N_MAP:
		return "mapping";
	case FL_SC_N_UFFD:
		return "userfaultfd";
	case FL_SC_N_PROCESS:
		return "process";
	case FL_SC_N_VARIABLE:
		return "variable";
	case FL_SC_N_RESULT:
		return "result";
	case FL_SC_N_THREAD:
		return "thread";
	default:
		return "name";
	}
}

static struct fl_sc_known *find(struct fl_sc_parser *p, const struct fl_sc_token *t)
{
	for (size_t i = 0; i < p->knowns; i++) {
		if (fl_sc_token_is(t, p->known[i].name))
			return &p->known[i];
	}
	return NULL;
}

/* Words that an expression or a list of arguments could not tell from a name. */
static void refuse_reserved(struct fl_sc_parser *p, const struct fl_sc_token *t)
{
	static const char *const words[] = {"and",  "or",    "not", "in",  "implies", "if",
					    "else", "while", "may", "any", NULL};
	bool taken = fl_sc_word_find(fl_sc_mode_words, t) || fl_sc_function_find(t);

	if (fl_sc_word_find(fl_sc_value_words, t))
		fl_sc_fail(p, t, "expected a name, found '%.*s', which is the name of a value", (int)t->length,
			   t->text);
	for (size_t i = 0; words[i]; i++)
		taken = taken || fl_sc_token_is(t, words[i]);
	if (taken)
		fl_sc_fail(p, t, "expected a name, found '%.*s', which is a word of the language", (int)t->length,
			   t->text);
	if (t->length >= FL_EXPLORE_NAME)
		fl_sc_fail(p, t, "expected a name of at most %d letters, found one of %zu", FL_EXPLORE_NAME - 1,
			   t->length);
}

static unsigned new_name(struct fl_sc_parser *p, const struct fl_sc_token *t, enum fl_sc_name_kind kind, size_t index)
{
	struct fl_sc_known *k;

	refuse_reserved(p, t);
	k = find(p, t);
	if (k)
		fl_sc_fail(p, t, "'%s' is already a %s, of line %u", k->name, kind_name(k->kind), k->place.line);
	p->known = fl_sc_grow(p, p->known, p->knowns, sizeof(*p->known));
	k = &p->known[p->knowns++];
	k->name = fl_sc_text(p, t->text, t->length);
	k->kind = kind;
	k->index = (unsigned)index;
	k->place = t->place;
	return k->index;
}

/* One more of an array of the scenario's. */
static void add_name(struct fl_sc_parser *p, const struct fl_sc_token *t, struct fl_sc_name **array, size_t *n)
{
	*array = fl_sc_grow(p, *array, *n, sizeof(**array));
	(*array)[(*n)++] = (struct fl_sc_name){.name = fl_sc_text(p, t->text, t->length), .place = t->place};
}

unsigned fl_sc_declare(struct fl_sc_parser *p, const struct fl_sc_token *t, enum fl_sc_name_kind kind)
{
	struct fl_scenario *s = p->s;
	unsigned index;

	if (p->resolving)
		return find(p, t)->index;
	switch (kind) {
	case FL_SC_N_UFFD:
		index = new_name(p, t, kind, s->uffds);
		add_name(p, t, &s->uffd, &s->uffds);
		break;
	case FL_SC_N_PROCESS:
		index = new_name(p, t, kind, s->processes);
		p->parent = fl_sc_grow(p, p->parent, s->processes, sizeof(*p->parent));
		add_name(p, t, &s->process, &s->processes);
		break;
	case FL_SC_N_VARIABLE:
		index = new_name(p, t, kind, s->variables);
		s->initial = fl_sc_grow(p, s->initial, s->variables, sizeof(*s->initial));
		s->initial[index] = 0;
		add_name(p, t, &s->variable, &s->variables);
		break;
	case FL_SC_N_MAP:
		index = new_name(p, t, kind, s->maps);
		s->map = fl_sc_grow(p, s->map, s->maps, sizeof(*s->map));
		s->map[s->maps++] = (struct fl_sc_map){.name = fl_sc_text(p, t->text, t->length), .place = t->place};
		break;
	default:
		index = new_name(p, t, kind, s->threads);
		break;
	}
	return index;
}

/* A result may be bound in several places of one thread. */
unsigned fl_sc_bind(struct fl_sc_parser *p, const struct fl_sc_token *t, enum fl_sc_result_type type)
{
	struct fl_scenario *s = p->s;
	const struct fl_sc_known *k = find(p, t);
	unsigned index;

	if (!k || k->kind != FL_SC_N_RESULT) {
		index = new_name(p, t, FL_SC_N_RESULT, s->results);
		s->result = fl_sc_grow(p, s->result, s->results, sizeof(*s->result));
		s->result[s->results++] = (struct fl_sc_result){.name = fl_sc_text(p, t->text, t->length),
								.place = t->place,
								.type = type,
								.thread = p->thread};
		return index;
	}
	if (s->result[k->index].thread != p->thread)
		fl_sc_fail(p, t, "'%s' is already a result of another thread, of line %u; a result has one thread",
			   k->name, k->place.line);
	if (s->result[k->index].type != type)
		fl_sc_fail(p, t, "'%s' is a message in one place and a number in the other, of line %u", k->name,
			   k->place.line);
	return k->index;
}

static void unknown(struct fl_sc_parser *p, const struct fl_sc_token *t, unsigned kinds)
{
	struct fl_sc_guess guess;
	const char *hint;

	fl_sc_guess_begin(&guess, t);
	for (size_t i = 0; i < p->knowns; i++) {
		if (p->known[i].kind & kinds)
			fl_sc_guess_word(&guess, p->known[i].name);
	}
	if (kinds & FL_SC_N_RESULT) {
		for (const struct fl_sc_word *w = fl_sc_value_words; w->name; w++)
			fl_sc_guess_word(&guess, w->name);
		for (const struct fl_sc_function *f = fl_sc_functions; f->name; f++)
			fl_sc_guess_word(&guess, f->name);
	}
	hint = fl_sc_guess_end(&guess);
	if (kinds == FL_SC_N_PROCESS)
		fl_sc_fail(p, t, "nobody forks '%.*s'%s", fl_sc_shown(t), t->text, hint);
	if (kinds & FL_SC_N_RESULT)
		fl_sc_fail(p, t, "nobody binds or declares '%.*s'%s", fl_sc_shown(t), t->text, hint);
	fl_sc_fail(p, t, "there is no %s '%.*s'%s", kind_name(kinds), fl_sc_shown(t), t->text, hint);
}

const struct fl_sc_known *fl_sc_known_as(struct fl_sc_parser *p, const struct fl_sc_token *t, unsigned kinds)
{
	const struct fl_sc_known *k = find(p, t);

	return k && k->kind & kinds ? k : NULL;
}

/* NULL while names are still being learnt. */
const struct fl_sc_known *fl_sc_lookup(struct fl_sc_parser *p, const struct fl_sc_token *t, unsigned kinds)
{
	return p->resolving ? fl_sc_lookup_above(p, t, kinds) : NULL;
}

const struct fl_sc_known *fl_sc_lookup_above(struct fl_sc_parser *p, const struct fl_sc_token *t, unsigned kinds)
{
	const struct fl_sc_known *k = find(p, t);

	if (!k)
		unknown(p, t, kinds);
	if (!(k->kind & kinds) && kinds & FL_SC_N_RESULT)
		fl_sc_fail(p, t, "'%s' is a %s, of line %u; it has no value here", k->name, kind_name(k->kind),
			   k->place.line);
	if (!(k->kind & kinds))
		fl_sc_fail(p, t, "expected a %s, found '%s', which is a %s, of line %u", kind_name(kinds), k->name,
			   kind_name(k->kind), k->place.line);
	if (p->where == FL_SC_IN_SETUP && k->kind != FL_SC_N_THREAD && k->kind != FL_SC_N_RESULT &&
	    t->place.line < k->place.line)
		fl_sc_fail(p, t, "setup is done in order, and '%s' comes later, at line %u", k->name, k->place.line);
	return k;
}

/* A stack has room to grow, and to keep Linux's distance of 256 pages from what lies below. */
static uint64_t room_below(const struct fl_sc_map *m)
{
	return m->stack ? 512 : 1;
}

/* The lowest page with a free page to both sides. */
static void find_place(const struct fl_scenario *s, struct fl_sc_map *m, const bool *placed)
{
	bool moved = true;

	m->page = room_below(m);
	while (moved) {
		moved = false;
		for (size_t i = 0; i < s->maps; i++) {
			const struct fl_sc_map *o = &s->map[i];

			if (!placed[i] || m->page >= o->page + o->pages + room_below(m) ||
			    o->page >= m->page + m->pages + room_below(o))
				continue;
			m->page = o->page + o->pages + room_below(m);
			moved = true;
		}
	}
}

void fl_sc_place_maps(struct fl_sc_parser *p)
{
	struct fl_scenario *s = p->s;
	bool *placed = fl_sc_get(p, s->maps + 1);

	for (size_t i = 0; i < s->maps; i++)
		placed[i] = s->map[i].page != FL_SC_ANYWHERE;
	for (size_t i = 0; i < s->maps; i++) {
		if (!placed[i])
			find_place(s, &s->map[i], placed);
		placed[i] = true;
	}
}

/* Known only when all are placed, so this is for the second time. */
void fl_sc_check_map(struct fl_sc_parser *p, const struct fl_sc_token *t, unsigned index)
{
	const struct fl_scenario *s = p->s;
	const struct fl_sc_map *m = &s->map[index];

	if (m->page + m->pages > FL_SC_WINDOW)
		fl_sc_fail(p, t, "'%s' would end at page %llu; there are %d pages for all mappings", m->name,
			   (unsigned long long)(m->page + m->pages), FL_SC_WINDOW);
	for (size_t i = 0; i < index; i++) {
		const struct fl_sc_map *o = &s->map[i];

		if (!m->hole && !o->hole && m->page < o->page + o->pages && o->page < m->page + m->pages)
			fl_sc_fail(p, t, "'%s' (pages %llu to %llu) lies over '%s' (pages %llu to %llu) of line %u",
				   m->name, (unsigned long long)m->page, (unsigned long long)(m->page + m->pages - 1),
				   o->name, (unsigned long long)o->page, (unsigned long long)(o->page + o->pages - 1),
				   o->place.line);
	}
}

/* Whoever forks a process must not come from it. */
void fl_sc_check_processes(struct fl_sc_parser *p)
{
	for (size_t i = 0; i < p->s->processes; i++) {
		const struct fl_sc_token t = {.place = p->s->process[i].place};
		unsigned process = p->parent[i];

		for (size_t steps = 0; process && steps <= p->s->processes; steps++) {
			if (process == i + 1)
				fl_sc_fail(p, &t,
					   "'%s' would have to fork itself; the threads that live in it never begin",
					   p->s->process[i].name);
			process = p->parent[process - 1];
		}
	}
}
