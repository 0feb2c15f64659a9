/* SPDX-License-Identifier: MIT */
/*
 * A scenario with some of its statements and properties left out. The tree itself is never changed: what is left is a new
 * set of lists over the same statements. A thread that loses all stays, with nothing to do, so that numbers do not shift.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/report/report.h"

static size_t count(const struct fl_sc_statement *list, size_t n)
{
	size_t sum = n;

	for (size_t i = 0; i < n; i++)
		sum += count(list[i].body, list[i].bodies) + count(list[i].orelse, list[i].orelses);
	return sum;
}

static size_t count_all(const struct fl_scenario *s)
{
	size_t sum = count(s->setup, s->setups);

	for (size_t i = 0; i < s->threads; i++)
		sum += count(s->thread[i].body, s->thread[i].bodies);
	return sum;
}

bool fl_cut_init(struct fl_cut *cut, const struct fl_scenario *s)
{
	*cut = (struct fl_cut){.statements = count_all(s), .properties = s->properties};
	cut->statement = calloc(cut->statements + 1, sizeof(bool));
	cut->property = calloc(cut->properties + 1, sizeof(bool));
	if (cut->statement && cut->property)
		return true;
	fl_cut_free(cut);
	return false;
}

void fl_cut_free(struct fl_cut *cut)
{
	free(cut->statement);
	free(cut->property);
	*cut = (struct fl_cut){0};
}

bool fl_cut_copy(struct fl_cut *to, const struct fl_cut *from)
{
	struct fl_cut c = *from;

	c.statement = malloc(c.statements + 1);
	c.property = malloc(c.properties + 1);
	if (!c.statement || !c.property) {
		fl_cut_free(&c);
		return false;
	}
	memcpy(c.statement, from->statement, c.statements);
	memcpy(c.property, from->property, c.properties);
	*to = c;
	return true;
}

bool fl_cut_is_empty(const struct fl_cut *cut)
{
	for (size_t i = 0; i < cut->statements; i++)
		if (cut->statement[i])
			return false;
	for (size_t i = 0; i < cut->properties; i++)
		if (cut->property[i])
			return false;
	return true;
}

/* The statement of number *i, counted down; NULL: it is not in this list. */
static const struct fl_sc_statement *find(const struct fl_sc_statement *list, size_t n, size_t *i)
{
	const struct fl_sc_statement *st = NULL;

	for (size_t k = 0; k < n && !st; k++) {
		if (!(*i)--)
			return &list[k];
		st = find(list[k].body, list[k].bodies, i);
		if (!st)
			st = find(list[k].orelse, list[k].orelses, i);
	}
	return st;
}

const struct fl_sc_statement *fl_cut_statement(const struct fl_scenario *s, size_t i, unsigned *thread)
{
	const struct fl_sc_statement *st = find(s->setup, s->setups, &i);

	*thread = FL_SC_SETUP;
	for (unsigned t = 0; t < s->threads && !st; t++) {
		*thread = t;
		st = find(s->thread[t].body, s->thread[t].bodies, &i);
	}
	return st;
}

size_t fl_cut_end(const struct fl_scenario *s, size_t i)
{
	unsigned thread;
	const struct fl_sc_statement *st = fl_cut_statement(s, i, &thread);

	return st ? i + count(st, 1) : i;
}

static void release(struct fl_sc_statement *list, size_t n)
{
	for (size_t i = 0; list && i < n; i++) {
		release(list[i].body, list[i].bodies);
		release(list[i].orelse, list[i].orelses);
	}
	free(list);
}

/* A list without what is left out; *at is the number of its first statement. False: out of memory, and *to can be released. */
static bool apply(const struct fl_sc_statement *list, size_t n, const bool *gone, size_t *at,
		  struct fl_sc_statement **to, size_t *left)
{
	struct fl_sc_statement *out = calloc(n + 1, sizeof(*out));
	bool fine = true;

	*to = out;
	*left = 0;
	for (size_t i = 0; out && fine && i < n; i++) {
		size_t all = count(&list[i], 1);

		if (gone[*at]) {
			*at += all;
			continue;
		}
		++*at;
		out[*left] = list[i];
		out[*left].body = out[*left].orelse = NULL;
		fine = apply(list[i].body, list[i].bodies, gone, at, &out[*left].body, &out[*left].bodies) &&
		       apply(list[i].orelse, list[i].orelses, gone, at, &out[*left].orelse, &out[*left].orelses);
		++*left;
	}
	return out && fine;
}

struct fl_scenario *fl_cut_apply(const struct fl_scenario *s, const struct fl_cut *cut)
{
	struct fl_scenario *left = malloc(sizeof(*left));
	size_t at = 0;
	bool fine;

	if (!left)
		return NULL;
	*left = *s;
	left->setup = NULL;
	left->thread = calloc(s->threads + 1, sizeof(*left->thread));
	left->property = calloc(s->properties + 1, sizeof(*left->property));
	left->properties = 0;
	fine = left->thread && left->property &&
	       apply(s->setup, s->setups, cut->statement, &at, &left->setup, &left->setups);
	for (size_t t = 0; fine && t < s->threads; t++) {
		left->thread[t] = s->thread[t];
		fine = apply(s->thread[t].body, s->thread[t].bodies, cut->statement, &at, &left->thread[t].body,
			     &left->thread[t].bodies);
	}
	for (size_t i = 0; fine && i < s->properties; i++)
		if (!cut->property[i])
			left->property[left->properties++] = s->property[i];
	if (fine)
		return left;
	fl_cut_release(left);
	return NULL;
}

void fl_cut_release(struct fl_scenario *left)
{
	if (!left)
		return;
	release(left->setup, left->setups);
	for (size_t t = 0; left->thread && t < left->threads; t++)
		release(left->thread[t].body, left->thread[t].bodies);
	free(left->thread);
	free(left->property);
	free(left);
}

/* What somebody speaks of. */
struct names {
	int result; /* -1: none */
	bool map, uffd, process;
	unsigned index; /* of the mapping, userfaultfd or process that is declared */
};

static bool expr_speaks(const struct fl_sc_expr *e, const struct names *n)
{
	if (!e)
		return false;
	if (e->kind == FL_SC_E_RESULT && n->result >= 0 && e->index == (unsigned)n->result)
		return true;
	if ((e->kind == FL_SC_E_MEMORY || (e->kind == FL_SC_E_COUNT && e->count == FL_SC_C_RESIDENT)) &&
	    ((n->map && e->range.map == n->index) || (n->process && e->process == n->index + 1)))
		return true;
	if (e->kind == FL_SC_E_COUNT && e->count == FL_SC_C_MESSAGES && n->uffd && e->index == n->index)
		return true;
	if (e->kind == FL_SC_E_COUNT && (e->count == FL_SC_C_VMAS || e->count == FL_SC_C_TABLES) && n->process)
		return true;
	for (size_t i = 0; i < e->members; i++)
		if (expr_speaks(e->member[i], n))
			return true;
	return expr_speaks(e->left, n) || expr_speaks(e->right, n);
}

static bool has_range(enum fl_sc_op op)
{
	return op <= FL_SC_MINCORE || (op >= FL_SC_UFFD && op <= FL_SC_MOVE);
}

static bool list_speaks(const struct fl_sc_statement *list, size_t n, const struct names *names,
			const struct fl_sc_statement *but)
{
	for (size_t i = 0; i < n; i++) {
		const struct fl_sc_statement *st = &list[i];

		if (st->place.line == but->place.line && st->place.column == but->place.column)
			continue;
		if (names->map && has_range(st->op) &&
		    (st->range.map == names->index || (st->has_other && st->other.map == names->index)))
			return true;
		if (names->uffd && st->op >= FL_SC_UFFD && st->op <= FL_SC_CLOSE && st->object == names->index)
			return true;
		if (expr_speaks(st->value, names) || expr_speaks(st->condition, names) ||
		    list_speaks(st->body, st->bodies, names, but) || list_speaks(st->orelse, st->orelses, names, but))
			return true;
	}
	return false;
}

static bool speaks(const struct fl_scenario *s, const struct names *names, const struct fl_sc_statement *but)
{
	if (list_speaks(s->setup, s->setups, names, but))
		return true;
	for (size_t t = 0; t < s->threads; t++)
		if (list_speaks(s->thread[t].body, s->thread[t].bodies, names, but) ||
		    (names->process && s->thread[t].bodies && s->thread[t].process == names->index + 1))
			return true;
	for (size_t i = 0; i < s->properties; i++)
		if (expr_speaks(s->property[i].expr, names))
			return true;
	return false;
}

/* Results that are bound inside of a block count, too: nothing may speak of them. */
static bool block_allowed(const struct fl_scenario *left, const struct fl_sc_statement *st,
			  const struct fl_sc_statement *whole)
{
	struct names names = {.result = st->result};

	names.map = st->op == FL_SC_MAP;
	names.uffd = st->op == FL_SC_UFFD;
	names.process = st->op == FL_SC_FORK;
	names.index = names.map ? st->range.map : st->object;
	if (speaks(left, &names, whole))
		return false;
	for (size_t i = 0; i < st->bodies; i++)
		if (!block_allowed(left, &st->body[i], whole))
			return false;
	for (size_t i = 0; i < st->orelses; i++)
		if (!block_allowed(left, &st->orelse[i], whole))
			return false;
	return true;
}

bool fl_cut_allowed(const struct fl_scenario *s, const struct fl_cut *cut, size_t i)
{
	unsigned thread;
	const struct fl_sc_statement *st = fl_cut_statement(s, i, &thread);
	struct fl_scenario *left = st ? fl_cut_apply(s, cut) : NULL;
	bool allowed = left && block_allowed(left, st, st);

	fl_cut_release(left);
	return allowed;
}
