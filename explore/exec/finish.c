/* SPDX-License-Identifier: MIT */
/*
 * The end of a run: what is wrong with it, and its outcome.
 *
 * In this order, and the first finding ends it: who is blocked; the outcome, which is said in any case from here on;
 * properties; the engine's own checks; and then everything is torn down, and nothing may be left. While somebody is blocked
 * nothing can be torn down, so there leaks are not looked for. A state that was checked and torn down before is not again.
 *
 * No locks: nothing runs.
 */
#include <stdio.h>

#include "explore/exec/exec_int.h"

static bool is_allowed(const struct fl_exec *x, enum fl_explore_kind kind)
{
	return (x->s->allow & 1u << kind) != 0;
}

static bool check_engine(struct fl_exec *x)
{
	struct fl_mm *mms[FL_EXPLORE_THREADS + 1];
	const char *bad;
	size_t n = 0;

	for (unsigned i = 0; i <= x->s->processes && n < FL_ARRAY_LEN(mms); i++) {
		if (x->stage->process[i].mm && fl_exec_is_alive(x, i))
			mms[n++] = x->stage->process[i].mm;
	}
	bad = fl_frames_check(x->stage->frames, mms, n); /* which checks each of them */
	if (!bad || is_allowed(x, FL_EXPLORE_CHECKER))
		return true;
	fl_explore_fail(FL_EXPLORE_CHECKER, "%s", bad);
	return false;
}

static bool check_properties(struct fl_exec *x, const struct fl_sc_context *context)
{
	char values[512];

	for (size_t i = 0; i < x->s->properties; i++) {
		const struct fl_sc_property *p = &x->s->property[i];
		bool holds = fl_sc_holds(p->expr, context);

		if (p->when == FL_SC_SOMETIMES)
			x->seen[i] |= holds;
		if (p->when == FL_SC_SOMETIMES || holds == (p->when == FL_SC_ALWAYS))
			continue;
		fl_outcome_values(values, sizeof(values), x->s, p->expr, context);
		fl_explore_fail(FL_EXPLORE_PROPERTY, "%s:%u:%u: %s %s: %s", x->s->path, p->place.line, p->place.column,
				fl_sc_when_name(p->when), p->text, values);
		return false;
	}
	return true;
}

static bool anybody_blocked(const struct fl_exec *x)
{
	for (unsigned i = 0; i < x->s->threads; i++) {
		if (fl_explore_is_blocked(i))
			return true;
	}
	return false;
}

/* True if nothing is left. */
static bool check_leaks(struct fl_exec *x)
{
	uint64_t frames = fl_frames_used(x->stage->frames) - 1;
	uint64_t lost = fl_frames_destroy(x->stage->frames);
	size_t bytes = fl_explore_allocated() - x->stage->allocated;

	if (is_allowed(x, FL_EXPLORE_LEAK) || !(frames || lost || bytes))
		return true;
	if (frames || lost)
		fl_explore_fail(FL_EXPLORE_LEAK, "%llu frames are left when everything has ended",
				(unsigned long long)(frames ? frames : lost));
	else
		fl_explore_fail(FL_EXPLORE_LEAK, "%zu bytes are left when everything has ended", bytes);
	return false;
}

static bool tear_down(struct fl_exec *x)
{
	struct fl_stage *st = x->stage;
	struct fl_task observer;

	for (unsigned i = 0; i < x->s->threads; i++) {
		if (st->actor[i].live)
			fl_actor_leave(&st->actor[i]);
	}
	for (unsigned i = 0; i <= x->s->processes; i++) {
		if (st->process[i].kept)
			fl_mm_put(st->process[i].mm);
	}
	fl_task_init(&observer, st->frames, NULL, 0);
	for (unsigned i = 0; i < x->s->uffds; i++) {
		if (st->file[i].u)
			fl_uffd_release(&observer, st->file[i].u);
	}
	fl_task_exit(&observer);
	fl_rcu_barrier();
	return check_leaks(x);
}

void fl_exec_finish(void *exec)
{
	struct fl_exec *x = exec;
	struct fl_sc_context context = fl_exec_end_context(x);
	bool blocked = anybody_blocked(x);
	char text[512];
	enum fl_explore_kind kind = blocked ? fl_exec_judge(x, text, sizeof(text)) : FL_EXPLORE_NONE;

	if (kind) {
		fl_explore_fail(kind, "%s", text);
		return;
	}
	fl_exec_look(x);
	(void)fl_outcome_print(x->text, sizeof(x->text), x->s, &context);
	fl_explore_outcome("%s", x->text);
	if (check_properties(x, &context) && !fl_exec_is_known(x, blocked) && check_engine(x) &&
	    (blocked || tear_down(x)))
		fl_exec_is_good(x);
}
