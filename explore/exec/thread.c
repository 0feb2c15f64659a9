/* SPDX-License-Identifier: MIT */
/*
 * A thread of a scenario: its statements, one after the other.
 *
 * Signals are taken after each statement, before its result is bound: who is killed binds nothing more.
 */
#include "explore/exec/exec_int.h"

bool fl_exec_is_setup(const struct fl_actor *a)
{
	return a->index == a->x->s->threads;
}

const char *fl_exec_actor_name(const struct fl_actor *a)
{
	return fl_exec_is_setup(a) ? "setup" : a->x->s->thread[a->index].name;
}

static void say(const struct fl_actor *a, const struct fl_sc_statement *s, int64_t value)
{
	const char *known = value < 0 ? fl_sc_value_name(value) : NULL;
	const char *name = s->result >= 0 ? a->x->s->result[s->result].name : "";
	const char *is = s->result >= 0 ? " = " : "";

	if (fl_exec_is_setup(a))
		return;
	if (known)
		fl_explore_op_end("%s%s%s", name, is, known);
	else
		fl_explore_op_end(value < 10 ? "%s%s%lld" : "%s%s0x%llx", name, is, (long long)value);
}

static enum fl_flow check(struct fl_actor *a, const struct fl_sc_statement *s)
{
	char why[256];

	if (fl_exec_holds(a, s->condition)) {
		say(a, s, 1);
		return FL_FLOW_ON;
	}
	fl_exec_explain(a, s->condition, why, sizeof(why));
	fl_explore_fail(FL_EXPLORE_CHECK, "%s:%u:%u: %s in %s does not hold: %s", a->x->s->path, s->place.line,
			s->place.column, s->text, fl_exec_actor_name(a), why);
	return FL_FLOW_END;
}

static enum fl_flow repeat(struct fl_actor *a, const struct fl_sc_statement *s)
{
	enum fl_flow flow = FL_FLOW_ON;

	for (unsigned i = 0; flow == FL_FLOW_ON && i < s->times; i++)
		flow = fl_exec_body(a, s->body, s->bodies);
	return flow;
}

static enum fl_flow retry(struct fl_actor *a, const struct fl_sc_statement *s)
{
	for (unsigned i = 0; i < s->times; i++) {
		if (i) {
			fl_exec_leave_cpu(a);
			fl_explore_yield();
		}
		if (fl_exec_body(a, s->body, s->bodies) == FL_FLOW_END)
			return FL_FLOW_END;
		if (!fl_exec_holds(a, s->condition))
			break;
	}
	return FL_FLOW_ON;
}

/* Statements that only direct what comes next. *done: it was one. */
static enum fl_flow control(struct fl_actor *a, const struct fl_sc_statement *s, bool *done)
{
	*done = true;
	switch (s->op) {
	case FL_SC_IF:
		return fl_exec_holds(a, s->condition) ? fl_exec_body(a, s->body, s->bodies)
						      : fl_exec_body(a, s->orelse, s->orelses);
	case FL_SC_REPEAT:
		return repeat(a, s);
	case FL_SC_RETRY:
		return retry(a, s);
	case FL_SC_CHECK:
		return check(a, s);
	case FL_SC_EXIT:
		return FL_FLOW_END;
	default:
		*done = false;
		return FL_FLOW_ON;
	}
}

/* field: of a message. */
static int64_t perform(struct fl_actor *a, const struct fl_sc_statement *s, int64_t *field)
{
	struct fl_stage *st = a->x->stage;
	int64_t value;

	switch (s->op) {
	case FL_SC_LOAD:
	case FL_SC_STORE:
	case FL_SC_ADD:
	case FL_SC_FETCH:
	case FL_SC_COPYIN:
	case FL_SC_COPYOUT:
		return fl_exec_access(a, s);
	case FL_SC_SET:
		value = fl_exec_value(a, s->value);
		fl_exec_stay(a);
		fl_cell_write(&st->variable[s->object], &value, 1);
		return 0;
	case FL_SC_GET:
		fl_exec_stay(a);
		return fl_cell_read(&st->variable[s->object], 0);
	default:
		break;
	}
	fl_exec_leave_cpu(a);
	switch (s->op) {
	case FL_SC_FORK:
		return fl_exec_fork(a, s);
	case FL_SC_SIGNAL:
		return fl_exec_signal(a, s);
	case FL_SC_AWAIT:
		return fl_exec_await(a, s->condition) ? 0 : FL_SC_UNSET;
	case FL_SC_YIELD:
		fl_explore_yield();
		return 0;
	case FL_SC_MAP:
	case FL_SC_MMAP:
	case FL_SC_MUNMAP:
	case FL_SC_MPROTECT:
	case FL_SC_MADVISE:
	case FL_SC_MREMAP:
	case FL_SC_MLOCK:
	case FL_SC_MUNLOCK:
	case FL_SC_MINCORE:
	case FL_SC_BRK:
		return fl_exec_memory_call(a, s);
	default:
		return fl_exec_uffd_call(a, s, field);
	}
}

static void bind(struct fl_actor *a, const struct fl_sc_statement *s, int64_t value, int64_t *field)
{
	if (s->result < 0)
		return;
	field[0] = field[FL_SC_F_EVENT] = value;
	fl_cell_write(&a->x->stage->result[s->result], field, s->op == FL_SC_READ ? FL_EXEC_FIELDS : 1);
}

/* In setup what fails must have been meant to, that is, its result is bound. */
static void must_have_worked(struct fl_actor *a, const struct fl_sc_statement *s, int64_t value)
{
	char text[32];

	fl_outcome_value(text, sizeof(text), value);
	if (value == FL_SC_UNSET)
		fl_explore_fail(FL_EXPLORE_CHECK, "%s:%u:%u: setup would wait in '%s': fill the page first",
				a->x->s->path, s->place.line, s->place.column, s->text);
	else if (value < 0 && s->result < 0)
		fl_explore_fail(FL_EXPLORE_CHECK, "%s:%u:%u: setup: '%s' fails: %s; bind its result if it is meant to",
				a->x->s->path, s->place.line, s->place.column, s->text, text);
}

enum fl_flow fl_exec_statement(struct fl_actor *a, const struct fl_sc_statement *s)
{
	int64_t field[FL_EXEC_FIELDS], value;
	enum fl_flow flow;
	bool done;

	a->at = s;
	if (!fl_exec_is_setup(a))
		fl_explore_op(s->place.line, s->text);
	flow = control(a, s, &done);
	if (done)
		return flow;
	for (unsigned i = 0; i < FL_EXEC_FIELDS; i++)
		field[i] = FL_SC_UNSET;
	value = perform(a, s, field);
	if (fl_exec_is_setup(a))
		must_have_worked(a, s, value);
	else if (fl_exec_take_signals(a))
		return FL_FLOW_END;
	bind(a, s, value, field);
	say(a, s, value);
	return FL_FLOW_ON;
}

enum fl_flow fl_exec_body(struct fl_actor *a, const struct fl_sc_statement *s, size_t n)
{
	for (; n; n--, s++) {
		if (fl_exec_statement(a, s) == FL_FLOW_END)
			return FL_FLOW_END;
	}
	return FL_FLOW_ON;
}

void fl_exec_run(void *actor)
{
	struct fl_actor *a = actor;
	const struct fl_sc_thread *t = &a->x->s->thread[a->index];

	if (fl_exec_begin(a)) {
		a->started = true;
		if (!fl_exec_take_signals(a))
			(void)fl_exec_body(a, t->body, t->bodies);
	}
	fl_exec_leave_cpu(a);
	a->at = NULL;
	fl_exec_end(a);
}
