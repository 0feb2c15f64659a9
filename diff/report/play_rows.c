/* SPDX-License-Identifier: MIT */
/*
 * The rows of a play's report: a statement each, with what became of it on both sides; below it who was woken, and whatever
 * differs in structures, mappings and pages.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "diff/report/play_internal.h"

struct maker {
	struct fl_report_rows *rows;
	const struct fl_play *p;
	struct fl_report_names names;
	/* the statement under way */
	const struct fl_sc_statement *st;
	unsigned step, issuer, last; /* its last call that has facts */
	unsigned call;               /* the one under way */
	size_t head;                 /* its first row */
	unsigned places, untold;     /* rows of its mappings, pages and the like; those that were left out */
	struct fl_report_slice part[FL_SIDES];
};

static struct fl_report_row *add_row(struct maker *m)
{
	struct fl_report_rows *rows = m->rows;

	if (rows->n == rows->room) {
		size_t room = rows->room ? rows->room * 2 : 64;
		struct fl_report_row *more = realloc(rows->row, room * sizeof(*more));

		if (!more) {
			rows->failed = true;
			return NULL;
		}
		rows->row = more;
		rows->room = room;
	}
	memset(&rows->row[rows->n], 0, sizeof(rows->row[0]));
	rows->row[rows->n].mark = ' ';
	return &rows->row[rows->n++];
}

static struct fl_report_text text_of(struct fl_report_row *row)
{
	return (struct fl_report_text){.buf = row->text, .size = sizeof(row->text)};
}

static struct fl_report_text side_of(struct fl_report_row *row, unsigned side)
{
	return (struct fl_report_text){.buf = row->side[side], .size = sizeof(row->side[side])};
}

/* Is a fact of this slice the one in which the sides differ? Or one that a rule has let pass? */
static void mark(const struct maker *m, struct fl_report_row *row, const struct fl_report_slice slice[FL_SIDES])
{
	for (unsigned side = 0; side < FL_SIDES; side++) {
		const struct fl_report_slice *s = &slice[side];
		size_t first = m->p->first[side];
		const struct fl_fact *differs = first == SIZE_MAX ? NULL : &m->p->facts[side]->fact[first];

		for (size_t i = 0; i < s->n; i++) {
			if (s->fact[i].rule && row->mark == ' ') {
				row->mark = '~';
				row->rule = m->p->rules[s->fact[i].rule - 1].name;
			}
			if (&s->fact[i] == differs)
				row->mark = '>';
		}
	}
}

/* A row of an answer: the statement's own, of one of its calls, or of somebody who was woken. */
static void add_answer(struct maker *m, unsigned actor, unsigned call, const struct fl_sc_statement *st, bool own)
{
	struct fl_report_row *row = add_row(m);
	struct fl_report_slice main[FL_SIDES];
	struct fl_report_text t;

	if (!row)
		return;
	t = text_of(row);
	if (!st) {
		fl_report_add(&t, "  %s", fl_report_actor(m->names.s, actor));
	} else if (actor != m->issuer) {
		fl_report_add(&t, "  and %s: %s", fl_report_actor(m->names.s, actor), st->text);
	} else {
		row->line = st->place.line;
		fl_report_add(&t, "%s%s%s", actor < m->names.s->threads ? fl_report_actor(m->names.s, actor) : "",
			      actor < m->names.s->threads ? ": " : "", st->text);
		row->part = own ? NULL : fl_report_call_name(st, call);
		if (!own)
			fl_report_add(&t, " (%s)", row->part);
	}
	for (unsigned side = 0; side < FL_SIDES; side++) {
		t = side_of(row, side);
		fl_report_outcome(&t, &m->names, st, &m->part[side], true);
		/* Structures have rows of their own. */
		main[side] = m->part[side];
		for (size_t i = 0; i < main[side].n; i++)
			if (main[side].fact[i].field == FL_FACT_OUT)
				main[side].n = i;
	}
	mark(m, row, main);
}

static bool differs(const struct fl_fact *e, const struct fl_fact *h)
{
	return !e || !h || e->value != h->value;
}

/* Those words of what the kernel wrote that differ. */
static void add_out(struct maker *m, unsigned call, const struct fl_sc_statement *st)
{
	for (uint64_t where = 0; where < FL_DIFF_OUT; where += 8) {
		const struct fl_fact *f[FL_SIDES];
		struct fl_report_slice slice[FL_SIDES];
		struct fl_report_row *row;
		struct fl_report_text t;

		for (unsigned side = 0; side < FL_SIDES; side++) {
			f[side] = fl_report_find(&m->part[side], FL_FACT_OUT, where);
			slice[side] = (struct fl_report_slice){f[side], f[side] != NULL};
		}
		if ((!f[FL_ENGINE] && !f[FL_KERNEL]) || !differs(f[FL_ENGINE], f[FL_KERNEL]))
			continue;
		row = add_row(m);
		if (!row)
			return;
		t = text_of(row);
		fl_report_add(&t, "    ");
		fl_report_out_name(&t, st, call, where);
		for (unsigned side = 0; side < FL_SIDES; side++) {
			t = side_of(row, side);
			if (f[side])
				fl_report_out_value(&t, &m->names, st, where, f[side]->value);
			else
				fl_report_add(&t, "-");
		}
		mark(m, row, slice);
	}
}

static bool answers_differ(const struct maker *m)
{
	const struct fl_report_slice *e = &m->part[FL_ENGINE], *h = &m->part[FL_KERNEL];

	if (e->n != h->n)
		return true;
	for (size_t i = 0; i < e->n; i++)
		if (fl_fact_before(&e->fact[i], &h->fact[i]) || fl_fact_before(&h->fact[i], &e->fact[i]) ||
		    e->fact[i].value != h->fact[i].value)
			return true;
	return false;
}

/* The rows from `at` on go before those of the call so far: whose statement it is stands above whom it woke. */
static void move_up(struct maker *m, size_t at)
{
	struct fl_report_row *row = m->rows->row;

	for (size_t to = m->head; at < m->rows->n; at++, to++) {
		struct fl_report_row one = row[at];

		memmove(&row[to + 1], &row[to], (at - to) * sizeof(one));
		row[to] = one;
	}
}

static void add_answers(struct maker *m, const struct fl_fact *first)
{
	size_t at = m->rows->n;
	bool issued = m->st && first->actor == m->issuer;
	bool own = issued && first->call == fl_report_gives(m->st, m->last);
	const struct fl_sc_statement *st =
		issued ? m->st : fl_report_doing(m->p, m->names.s, first->actor, first->step);

	if (first->call != m->call) {
		m->call = first->call;
		m->head = at;
	}
	if (issued && !own && !answers_differ(m))
		return;
	add_answer(m, first->actor, first->call, st, own);
	add_out(m, first->call, st);
	if (issued)
		move_up(m, at);
}

static void add_map(struct fl_report_text *t, const struct fl_report_names *names, const struct fl_report_slice *part)
{
	const struct fl_fact *end = part->n ? &part->fact[0] : NULL;

	if (!end) {
		fl_report_add(t, "none");
		return;
	}
	fl_report_add(t, "to ");
	fl_report_fact(t, names, end);
	for (size_t i = 1; i < part->n; i++) {
		fl_report_add(t, " ");
		fl_report_fact(t, names, &part->fact[i]);
	}
}

/* Of VmFlags only those that the other side does not have. */
static void add_flags(struct fl_report_text *t, const struct fl_report_slice part[FL_SIDES], unsigned side)
{
	uint64_t mine = part[side].n ? part[side].fact[0].value : 0;
	uint64_t other = part[!side].n ? part[!side].fact[0].value : 0;

	fl_report_vm_flags(t, mine & ~other);
}

static void add_what(struct fl_report_text *t, const struct maker *m, const struct fl_fact *f)
{
	const struct fl_scenario *s = m->names.s;
	enum fl_fact_group group = fl_fact_group(f);

	fl_report_add(t, "    %s", group == FL_GROUP_FLAGS ? "VmFlags that differ" : fl_report_field(f->field));
	switch (group) {
	case FL_GROUP_MAPS:
	case FL_GROUP_FLAGS:
	case FL_GROUP_PAGES:
		if (f->where != FL_FACT_ALL) {
			fl_report_add(t, group == FL_GROUP_FLAGS || f->field == FL_FACT_HASH ? " of " : " ");
			fl_report_address(t, &m->names, f->where);
		}
		if (s->processes)
			fl_report_add(t, " in %s", fl_report_process(s, f->actor));
		break;
	case FL_GROUP_ALIVE:
		fl_report_add(t, " %s", fl_report_process(s, f->actor));
		break;
	case FL_GROUP_UNREAD:
		fl_report_add(t, " of %s", f->actor < s->uffds ? s->uffd[f->actor].name : "?");
		break;
	default:
		fl_report_add(t, " of %s", fl_report_actor(s, f->actor));
	}
}

/* Is a fact of the row under way the one in which the sides differ? */
static bool is_difference(const struct maker *m)
{
	for (unsigned side = 0; side < FL_SIDES; side++) {
		const struct fl_fact *first;

		if (m->p->first[side] == SIZE_MAX)
			continue;
		first = m->p->facts[side]->fact + m->p->first[side];
		if (first >= m->part[side].fact && first < m->part[side].fact + m->part[side].n)
			return true;
	}
	return false;
}

/* Of very many places the first ones tell enough. */
#define PLACES 12u

static void add_untold(struct maker *m)
{
	struct fl_report_row *row = m->untold ? add_row(m) : NULL;
	struct fl_report_text t;

	if (row) {
		t = text_of(row);
		fl_report_add(&t, "    and %u more", m->untold);
	}
	m->untold = m->places = 0;
}

static void add_place(struct maker *m, const struct fl_fact *first)
{
	struct fl_report_row *row;
	struct fl_report_text t;

	if (m->places++ >= PLACES && !is_difference(m)) {
		m->untold++;
		return;
	}
	row = add_row(m);
	if (!row)
		return;
	t = text_of(row);
	add_what(&t, m, first);
	for (unsigned side = 0; side < FL_SIDES; side++) {
		t = side_of(row, side);
		if (first->field == FL_FACT_MAP)
			add_map(&t, &m->names, &m->part[side]);
		else if (first->field == FL_FACT_VMFLAGS && m->part[FL_ENGINE].n && m->part[FL_KERNEL].n)
			add_flags(&t, m->part, side);
		else if (m->part[side].n)
			fl_report_fact(&t, &m->names, &m->part[side].fact[0]);
		else
			fl_report_add(&t, "none");
	}
	mark(m, row, m->part);
}

/* Do they belong in one row? All of an answer; all of a mapping; else each for itself. */
static bool same_row(const struct fl_fact *a, const struct fl_fact *b)
{
	enum fl_fact_group group = fl_fact_group(a);

	if (a->step != b->step || a->call != b->call || a->actor != b->actor || group != fl_fact_group(b))
		return false;
	if (group == FL_GROUP_ANSWER)
		return true;
	return a->where == b->where && (group == FL_GROUP_MAPS || a->field == b->field);
}

static bool before(const struct fl_fact *a, const struct fl_fact *b)
{
	return a->step != b->step ? a->step < b->step : fl_fact_before(a, b);
}

static unsigned last_call(const struct fl_facts *f, unsigned step)
{
	unsigned last = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->fact[i].step == step && f->fact[i].call > last)
			last = f->fact[i].call;
	return last;
}

static void enter_step(struct maker *m, unsigned step)
{
	unsigned k = last_call(m->p->facts[FL_KERNEL], step);
	struct fl_report_row *row;

	add_untold(m);
	m->step = step;
	m->call = 0;
	m->head = m->rows->n;
	m->last = last_call(m->p->facts[FL_ENGINE], step);
	m->last = k > m->last ? k : m->last;
	m->st = fl_report_statement(m->names.s, step, &m->issuer);
	if (m->st)
		return;
	row = add_row(m);
	if (row)
		strcpy(row->text, "at the end");
}

void fl_report_rows_make(struct fl_report_rows *rows, const struct fl_play *p, const struct fl_scenario *s)
{
	struct maker m = {.rows = rows, .p = p, .names = {s, fl_play_seen(p)->results}, .step = UINT32_MAX};
	const struct fl_fact *at[FL_SIDES], *end[FL_SIDES];

	for (unsigned side = 0; side < FL_SIDES; side++) {
		at[side] = p->facts[side]->fact;
		end[side] = at[side] + p->facts[side]->n;
	}
	while (!rows->failed && (at[FL_ENGINE] < end[FL_ENGINE] || at[FL_KERNEL] < end[FL_KERNEL])) {
		const struct fl_fact *e = at[FL_ENGINE] < end[FL_ENGINE] ? at[FL_ENGINE] : NULL;
		const struct fl_fact *h = at[FL_KERNEL] < end[FL_KERNEL] ? at[FL_KERNEL] : NULL;
		const struct fl_fact *first = !e || (h && before(h, e)) ? h : e;

		for (unsigned side = 0; side < FL_SIDES; side++) {
			m.part[side] = (struct fl_report_slice){at[side], 0};
			while (at[side] < end[side] && same_row(first, at[side])) {
				at[side]++;
				m.part[side].n++;
			}
		}
		if (first->step != m.step)
			enter_step(&m, first->step);
		if (fl_fact_group(first) == FL_GROUP_ANSWER)
			add_answers(&m, first);
		else
			add_place(&m, first);
	}
	add_untold(&m);
}
