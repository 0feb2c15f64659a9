/* SPDX-License-Identifier: MIT */
/*
 * A program on both sides: statement by statement, call by call, the engine first. After each call all answers are taken from
 * both, and after each statement the mappings are looked at; the first difference that no rule allows ends it.
 *
 * No locks: one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff/lower/internal.h"
#include "diff/play/internal.h"
#include "faultline/errno.h"

struct fl_play *fl_play_new(struct fl_side *engine, struct fl_side *host)
{
	struct fl_play_own *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->side[FL_ENGINE] = engine;
	o->side[FL_KERNEL] = host;
	o->p.rules = fl_rules;
	o->p.rules_count = fl_rules_count;
	for (unsigned side = 0; side < FL_SIDES; side++) {
		o->p.facts[side] = calloc(1, sizeof(*o->p.facts[side]));
		if (!o->p.facts[side]) {
			fl_play_free(&o->p);
			return NULL;
		}
	}
	return &o->p;
}

void fl_play_free(struct fl_play *p)
{
	if (!p)
		return;
	for (unsigned side = 0; side < FL_SIDES; side++)
		free(p->facts[side]);
	free(p->text);
	free(fl_play_own(p)->results);
	free(p);
}

static enum fl_play_verdict broken(struct fl_play_own *o, const char *who, char *error)
{
	free(o->p.text);
	if (asprintf(&o->p.text, "%s: %s", who, error ? error : "out of memory") < 0)
		o->p.text = NULL;
	free(error);
	return FL_PLAY_BROKEN;
}

/* Room for the program's results; none is bound yet. */
static bool reset(struct fl_play_own *o, const struct fl_scenario *s)
{
	if (s->results > o->room || !o->results) {
		size_t room = s->results + 64;
		int64_t *more = realloc(o->results, room * sizeof(*more));

		if (!more)
			return false;
		o->results = more;
		o->room = room;
	}
	for (size_t i = 0; i < s->results; i++)
		o->results[i] = FL_SC_UNSET;
	o->s = s;
	o->st = NULL;
	o->kind = FL_DIFF_KIND_NOTHING;
	o->actors = (unsigned)s->threads + 1;
	for (unsigned a = 0; a < o->actors; a++) {
		struct fl_play_actor *who = &o->actor[a];

		who->st = NULL;
		who->calls = who->at = 0;
		who->kind = FL_DIFF_KIND_NOTHING;
		who->process = a < s->threads ? s->thread[a].process : 0;
		for (unsigned side = 0; side < FL_SIDES; side++) {
			who->state[side] = FL_ANSWER_NONE;
			who->slept = who->company = who->worked = who->cut = false;
			who->minor[side] = who->major[side] = 0;
			o->begin[side] = o->p.facts[side]->n = 0;
			o->p.first[side] = SIZE_MAX;
		}
	}
	o->p.step = o->p.steps = o->p.rule = o->call = 0;
	o->chances = 0;
	o->forked = o->locked = o->left = false;
	memset(o->remade, 0, sizeof(o->remade));
	o->stirred = false;
	free(o->p.text);
	o->p.text = NULL;
	return true;
}

/*
 * Faults of accesses and system calls are the program's; those of fork and its like are of whoever carries them out as well, and
 * mlockall is about all that he has mapped.
 */
static bool faults_count(const struct fl_call *c)
{
	return c->kind <= FL_CALL_FETCH && !(c->kind == FL_CALL_SYSCALL && c->nr == FL_NR_MLOCKALL);
}

static void collect(struct fl_play_own *o, unsigned side)
{
	for (unsigned a = 0; a < o->actors; a++) {
		struct fl_answer *answer = &o->answer[side][a];
		struct fl_play_actor *who = &o->actor[a];

		o->side[side]->ops->answer(o->side[side], a, answer);
		who->state[side] = answer->state;
		if (answer->state == FL_ANSWER_DONE && who->calls && faults_count(&who->call[who->at])) {
			who->minor[side] += answer->minor;
			who->major[side] += answer->major;
		}
	}
}

static bool wakes(enum fl_sc_op op)
{
	switch (op) {
	case FL_SC_WAKE:
	case FL_SC_UNREGISTER:
	case FL_SC_COPY:
	case FL_SC_ZEROPAGE:
	case FL_SC_CONTINUE:
	case FL_SC_POISONPAGE:
	case FL_SC_WRITEPROTECT:
	case FL_SC_MOVE:
	case FL_SC_IOCTL:
	case FL_SC_CLOSE:
		return true;
	default:
		return false;
	}
}

/*
 * Those who are woken together go on in an order that is the scheduler's. It shows in their answers, and in memory; also if they
 * go to sleep again a page further on.
 */
static void note_woken(struct fl_play_own *o, const struct fl_sc_statement *st)
{
	unsigned slept = 0, again = 0, woken = 0;

	o->together = false;
	for (unsigned a = 0; a < o->actors; a++) {
		const struct fl_play_actor *who = &o->actor[a];

		if (!who->slept)
			continue;
		slept++;
		again += who->state[FL_ENGINE] == FL_ANSWER_ASLEEP;
		woken += o->answer[FL_ENGINE][a].state == FL_ANSWER_DONE ||
			 o->answer[FL_KERNEL][a].state == FL_ANSWER_DONE;
	}
	if (slept < 2 || (woken < 2 && !wakes(st->op)))
		return;
	o->together = true;
	o->stirred |= again > 1 && wakes(st->op);
	for (unsigned a = 0; a < o->actors; a++) {
		if (!o->actor[a].slept)
			continue;
		o->actor[a].company = true;
		fl_chance_written(o, &o->actor[a]);
	}
}

/* Results are bound by the engine's answers, for the calls that come to both sides. */
static void bind(struct fl_play_own *o)
{
	for (unsigned a = 0; a < o->actors; a++) {
		struct fl_play_actor *who = &o->actor[a];
		const struct fl_answer *answer = &o->answer[FL_ENGINE][a];
		const struct fl_call *c = &who->call[who->at];

		if (answer->state != FL_ANSWER_DONE || !who->calls || !c->gives)
			continue;
		who->worked = o->answer[FL_KERNEL][a].ret >= 0;
		who->cut = o->answer[FL_KERNEL][a].ret == -FL_EFAULT;
		if (who->st->result >= 0)
			o->results[who->st->result] = fl_lower_result(o->s, who->st, c, answer);
	}
}

static void note(struct fl_play_own *o, unsigned issuer)
{
	if (!o->p.cover)
		return;
	for (unsigned a = 0; a < o->actors; a++) {
		const struct fl_play_actor *who = &o->actor[a];
		const struct fl_answer *answer = &o->answer[FL_KERNEL][a];

		if (!who->calls || !who->call[who->at].gives)
			continue;
		if (a == issuer || answer->state == FL_ANSWER_DONE)
			fl_cover_note(o->p.cover, who->st->op, who->kind, answer);
	}
}

/* Who sleeps before a call. */
static void note_sleepers(struct fl_play_own *o)
{
	bool any = false;

	for (unsigned a = 0; a < o->actors; a++) {
		o->actor[a].slept = o->actor[a].state[FL_ENGINE] == FL_ANSWER_ASLEEP;
		any |= o->actor[a].slept;
	}
	o->stirred &= any; /* with them go their messages */
}

static enum fl_play_verdict do_call(struct fl_play_own *o, unsigned actor, bool *ruled)
{
	struct fl_play_actor *who = &o->actor[actor];
	const struct fl_call *c = &who->call[who->at];
	enum fl_answer_state expect = FL_ANSWER_NONE;
	char *error = NULL;

	note_sleepers(o);
	for (unsigned side = 0; side < FL_SIDES; side++) {
		struct fl_side *x = o->side[side];

		if (x->ops->issue(x, c, expect, &error))
			return broken(o, x->ops->name, error);
		collect(o, side);
		expect = who->state[side];
	}
	note_woken(o, who->st);
	fl_chance_follow(o, who);
	fl_chance_remade(o, who);
	bind(o);
	note(o, actor);
	fl_facts_answers(o, actor);
	return fl_play_judge(o, who->st, who->kind, ruled);
}

/* Did the last call end as it should, on both sides? */
static bool went_well(const struct fl_play_own *o, unsigned actor)
{
	const struct fl_answer *a = &o->answer[FL_ENGINE][actor];

	return !a->signo && !a->interrupted && a->ret >= 0;
}

static bool is_idle(const struct fl_play_actor *who)
{
	for (unsigned side = 0; side < FL_SIDES; side++)
		if (who->state[side] == FL_ANSWER_ASLEEP || who->state[side] == FL_ANSWER_GONE)
			return false;
	return true;
}

/*
 * A thread that waits for a page in a system call that copies from or to it, and gets a signal that is not fatal, does not
 * sleep any more on Linux: it tries again and again until the page is there, and is in the queue of messages or not by
 * chance. What comes after that cannot be compared, so such a signal is sent on neither side.
 */
static bool would_spin(const struct fl_play_own *o, const struct fl_sc_statement *st)
{
	const struct fl_play_actor *to;
	const struct fl_call *c;

	if (st->op != FL_SC_SIGNAL || st->fatal)
		return false;
	to = &o->actor[st->object];
	c = &to->call[to->at];
	if (to->state[FL_ENGINE] != FL_ANSWER_ASLEEP || !to->calls || c->kind != FL_CALL_SYSCALL)
		return false;
	switch (c->nr) {
	case FL_NR_READ:
		return to->st->has_into;
	case FL_NR_IOCTL:
	case FL_NR_PREAD64:
	case FL_NR_PWRITE64:
	case FL_NR_MINCORE:
		return true;
	default:
		return false;
	}
}

/*
 * Thread ids are each side's own. In an answer they are told by whose they are, but in the memory under test they would differ for
 * good: a userfaultfd that may tell them is read into scratch, or on neither side.
 */
static bool would_spill_ids(const struct fl_scenario *s, const struct fl_sc_statement *st)
{
	bool may = false;

	if (st->op != FL_SC_READ || !st->has_into)
		return false;
	for (size_t i = 0; !may && i < s->turns; i++) {
		const struct fl_sc_turn *t = &s->turn[i];
		const struct fl_sc_statement *by = &s->thread[t->thread].body[t->statement];

		may = by->object == st->object &&
		      (by->op == FL_SC_IOCTL || (by->op == FL_SC_API && (by->features & FL_UFFD_FEATURE_THREAD_ID)));
	}
	for (size_t i = 0; !may && i < s->setups; i++)
		may = s->setup[i].op == FL_SC_UFFD && s->setup[i].object == st->object &&
		      (s->setup[i].features & FL_UFFD_FEATURE_THREAD_ID);
	return may;
}

/*
 * What DONTUNMAP leaves behind is unlocked, but not its neighbours' pages: Linux goes on to believe that they are locked, until they
 * are unmapped, and so reclaims none of them. And pages that a parent has locked are its child's too, whose `free` does nothing to
 * them. Nothing shows either but pageout, which is done on neither side from then on.
 */
static bool would_reclaim_left(struct fl_play_own *o, const struct fl_play_actor *who)
{
	const struct fl_call *c = &who->call[0];

	if (c->kind == FL_CALL_FORK)
		o->left |= o->locked;
	if (c->kind != FL_CALL_SYSCALL)
		return false;
	o->locked |= c->nr == FL_NR_MLOCK2 || c->nr == FL_NR_MLOCKALL ||
		     (c->nr == FL_NR_MMAP && (c->arg[3] & FL_MAP_LOCKED));
	o->left |= o->locked && c->nr == FL_NR_MREMAP && (c->arg[3] & FL_MREMAP_DONTUNMAP);
	return o->left && c->nr == FL_NR_MADVISE && c->arg[2] == FL_MADV_PAGEOUT;
}

static enum fl_diff_kind kind_of(struct fl_play_own *o, const struct fl_play_actor *who,
				 const struct fl_sc_statement *st)
{
	uint64_t at, len;

	if (!fl_lower_range(o->s, st, o->results, &at, &len))
		return FL_DIFF_KIND_NOTHING;
	return fl_engine_side_kind(o->side[FL_ENGINE], who->process, at, len);
}

static enum fl_play_verdict look(struct fl_play_own *o, const struct fl_sc_statement *st, enum fl_diff_kind kind,
				 bool everything, bool *ruled)
{
	fl_facts_maps(o);
	if (everything) {
		fl_facts_memory(o);
		fl_facts_unread(o);
	}
	return fl_play_judge(o, st, kind, ruled);
}

static enum fl_play_verdict do_statement(struct fl_play_own *o, unsigned actor, const struct fl_sc_statement *st,
					 bool *ruled)
{
	struct fl_play_actor *who = &o->actor[actor];
	enum fl_play_verdict verdict;
	char *error;
	int n;

	if (!is_idle(who) || would_spin(o, st) || would_spill_ids(o->s, st))
		return FL_PLAY_AGREE;
	n = fl_lower(o->s, st, actor, o->results, who->call, &error);
	if (n < 0)
		return broken(o, "this program cannot be compared", error);
	who->calls = (unsigned)n;
	if (!n)
		return FL_PLAY_AGREE;
	who->st = st;
	if (fl_ground_is_meant(o, who) || would_reclaim_left(o, who)) {
		who->calls = 0;
		return FL_PLAY_AGREE;
	}
	who->kind = kind_of(o, who, st);
	fl_facts_begin(o);
	for (unsigned side = 0; side < FL_SIDES; side++)
		o->begin[side] = o->p.facts[side]->n;
	for (who->at = o->call = 0; !fl_ground_comes(o, who); who->at = ++o->call) {
		verdict = do_call(o, actor, ruled);
		if (verdict != FL_PLAY_AGREE)
			return verdict;
		if (!is_idle(who) || who->at + 1 == who->calls)
			break;
		if (who->call[who->at + 1].needs && !went_well(o, actor))
			break;
	}
	o->p.steps++;
	return look(o, st, who->kind, o->p.options.every_step, ruled);
}

static enum fl_play_verdict do_all(struct fl_play_own *o, bool *ruled)
{
	const struct fl_scenario *s = o->s;
	enum fl_play_verdict verdict = FL_PLAY_AGREE;

	for (size_t i = 0; verdict == FL_PLAY_AGREE && i < s->setups; i++, o->p.step++)
		verdict = do_statement(o, (unsigned)s->threads, &s->setup[i], ruled);
	for (size_t i = 0; verdict == FL_PLAY_AGREE && i < s->turns; i++, o->p.step++) {
		const struct fl_sc_turn *t = &s->turn[i];

		verdict = do_statement(o, t->thread, &s->thread[t->thread].body[t->statement], ruled);
	}
	if (verdict != FL_PLAY_AGREE) {
		o->p.step -= o->p.step > 0; /* the loop has gone past it */
		return verdict;
	}
	fl_facts_begin(o);
	for (unsigned side = 0; side < FL_SIDES; side++)
		o->begin[side] = o->p.facts[side]->n;
	o->call = 0;
	return look(o, NULL, FL_DIFF_KIND_NOTHING, true, ruled);
}

/* What the sides say of actors before the first statement: some are not born yet. */
static enum fl_play_verdict settle(struct fl_play_own *o, bool *ruled)
{
	for (unsigned side = 0; side < FL_SIDES; side++)
		collect(o, side);
	fl_facts_answers(o, UINT32_MAX);
	return look(o, NULL, FL_DIFF_KIND_NOTHING, false, ruled);
}

static enum fl_play_verdict begin(struct fl_play_own *o, unsigned *begun)
{
	char *error = NULL;

	for (*begun = 0; *begun < FL_SIDES; ++*begun) {
		struct fl_side *x = o->side[*begun];

		o->p.unbegun = x->ops->begin(x, o->s, &error) != 0;
		if (o->p.unbegun)
			return broken(o, x->ops->name, error);
	}
	return FL_PLAY_AGREE;
}

/* What the program has broken on a side for good shows when it has ended. */
static enum fl_play_verdict look_for_damage(struct fl_play_own *o, unsigned sides, enum fl_play_verdict verdict)
{
	for (unsigned side = 0; side < sides; side++) {
		struct fl_side *x = o->side[side];
		const char *what = x->ops->broken ? x->ops->broken(x) : NULL;

		if (what)
			return broken(o, x->ops->name, strdup(what));
	}
	return verdict;
}

enum fl_play_verdict fl_play_run(struct fl_play *p, const struct fl_scenario *s)
{
	struct fl_play_own *o = fl_play_own(p);
	enum fl_play_verdict verdict;
	bool ruled = false;
	unsigned begun;

	if (!reset(o, s))
		return broken(o, "play", NULL);
	verdict = begin(o, &begun);
	if (verdict == FL_PLAY_AGREE)
		verdict = settle(o, &ruled);
	if (verdict == FL_PLAY_AGREE)
		verdict = do_all(o, &ruled);
	for (unsigned side = 0; side < begun; side++)
		o->side[side]->ops->end(o->side[side]);
	if (verdict != FL_PLAY_BROKEN)
		verdict = look_for_damage(o, begun, verdict);
	return verdict == FL_PLAY_AGREE && ruled ? FL_PLAY_RULED : verdict;
}
