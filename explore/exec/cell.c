/* SPDX-License-Identifier: MIT */
/*
 * Results and shared variables, and how threads wait for them.
 *
 * Only its own thread reads a result, so it is plain and costs no step. A variable is reached by one sequentially
 * consistent access of its word, and the value is read or written before the next step begins; so it is as if the value
 * itself were atomic, whatever its size.
 */
#include "explore/exec/exec_int.h"

void fl_cell_write(struct fl_cell *c, const int64_t *value, unsigned n)
{
	if (c->word)
		fl_add(&c->word->changes, 1);
	for (unsigned i = 0; i < n; i++)
		c->value[i] = value[i];
}

int64_t fl_cell_read(struct fl_cell *c, unsigned field)
{
	if (c->word)
		(void)fl_load_seq(&c->word->changes);
	return c->value[field];
}

static unsigned field_of(enum fl_sc_field field)
{
	return field == FL_SC_F_NONE ? 0 : (unsigned)field;
}

static int64_t read_result(void *arg, unsigned index, enum fl_sc_field field)
{
	struct fl_actor *a = arg;

	return fl_cell_read(&a->x->stage->result[index], field_of(field));
}

static int64_t read_variable(void *arg, unsigned index)
{
	struct fl_actor *a = arg;

	return fl_cell_read(&a->x->stage->variable[index], 0);
}

int64_t fl_exec_value(struct fl_actor *a, const struct fl_sc_expr *e)
{
	struct fl_sc_context c = {.arg = a, .result = read_result, .variable = read_variable};

	return e ? fl_sc_evaluate(e, &c) : 0;
}

bool fl_exec_holds(struct fl_actor *a, const struct fl_sc_expr *e)
{
	int64_t value = fl_exec_value(a, e);

	return value && value != FL_SC_UNSET; /* as fl_sc_holds */
}

static bool not_blocked(void *arg, unsigned thread)
{
	(void)arg;
	(void)thread;
	return false;
}

void fl_exec_explain(struct fl_actor *a, const struct fl_sc_expr *e, char *buf, size_t size)
{
	struct fl_sc_context c = {.arg = a, .result = read_result, .variable = read_variable, .blocked = not_blocked};

	fl_outcome_values(buf, size, a->x->s, e, &c);
}

/* The same without steps, for conditions that hang on a word that has been read already. */
static int64_t peek_result(void *arg, unsigned index, enum fl_sc_field field)
{
	struct fl_actor *a = arg;

	return a->x->stage->result[index].value[field_of(field)];
}

static int64_t peek_variable(void *arg, unsigned index)
{
	struct fl_actor *a = arg;

	return a->x->stage->variable[index].value[0];
}

struct condition {
	struct fl_actor *actor;
	const struct fl_sc_expr *e;
};

static bool condition_holds(void *arg)
{
	struct condition *c = arg;
	struct fl_sc_context context = {.arg = c->actor, .result = peek_result, .variable = peek_variable};

	return fl_sc_holds(c->e, &context);
}

struct waiter {
	struct fl_word *word;
	uint32_t bit;
	bool (*ready)(void *arg);
	void *arg;
};

static bool waiter_ready(void *arg)
{
	struct waiter *w = arg;

	(void)fl_load(&w->word->changes);
	return (w->word->stirred & w->bit) || w->ready(w->arg);
}

void fl_word_await(struct fl_word *w, const struct fl_actor *a, bool (*ready)(void *arg), void *arg)
{
	struct waiter waiter = {.word = w, .bit = 1u << a->index, .ready = ready, .arg = arg};

	fl_explore_await(&w->changes, waiter_ready, &waiter);
}

bool fl_word_stirred(struct fl_word *w, const struct fl_actor *a)
{
	bool is = (w->stirred & 1u << a->index) != 0;

	w->stirred &= ~(1u << a->index);
	return is;
}

/* The word that all of e hangs on; NULL: it hangs on nothing that others change. */
static struct fl_word *word_of(const struct fl_stage *st, const struct fl_sc_expr *e)
{
	struct fl_word *w = NULL;

	if (!e)
		return NULL;
	if (e->kind == FL_SC_E_VAR)
		return st->variable[e->index].word;
	w = word_of(st, e->left);
	if (!w)
		w = word_of(st, e->right);
	for (size_t i = 0; !w && i < e->members; i++)
		w = word_of(st, e->member[i]);
	return w;
}

bool fl_exec_await(struct fl_actor *a, const struct fl_sc_expr *e)
{
	struct condition c = {.actor = a, .e = e};
	struct fl_word *w = word_of(a->x->stage, e);

	if (!w)
		w = &a->x->stage->together;
	for (;;) {
		fl_word_await(w, a, condition_holds, &c);
		if (!fl_word_stirred(w, a))
			return true;
		if (fl_exec_take_signals(a))
			return false;
	}
}

static void stir(struct fl_word *w, unsigned t)
{
	fl_add(&w->changes, 1);
	w->stirred |= 1u << t;
}

void fl_exec_stir(struct fl_exec *x, unsigned t)
{
	struct fl_stage *st = x->stage;

	if (!x->thread[t].awaits)
		return;
	stir(&st->together, t);
	for (size_t i = 0; i < x->s->variables; i++) {
		if (st->variable[i].word == &st->variable[i].own)
			stir(&st->variable[i].own, t);
	}
	for (size_t i = 0; i < x->s->uffds; i++) {
		if (x->waited[i])
			stir(&st->file[i].word, t);
	}
}
