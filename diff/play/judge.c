/* SPDX-License-Identifier: MIT */
/*
 * The facts of a step, one side's beside the other's: where they differ first, and whether a rule allows it.
 *
 * No locks: one thread; the counters of the coverage are atomic.
 */
#include <limits.h>
#include <stdatomic.h>

#include "diff/play/internal.h"

struct judge {
	struct fl_play_own *o;
	const struct fl_sc_statement *st; /* the step's */
	enum fl_diff_kind kind;
	struct fl_fact *e, *h; /* those that differ; NULL: this side has none */
	bool ruled;
};

/* Whose statement it is about: an actor that was woken answers for its own. Of what is seen at the end, nobody's. */
static const struct fl_sc_statement *blamed(const struct judge *j, const struct fl_fact *f)
{
	return fl_fact_group(f) == FL_GROUP_ANSWER ? j->o->actor[f->actor].st : j->st;
}

static enum fl_diff_kind kind_blamed(const struct judge *j, const struct fl_fact *f)
{
	struct fl_play_own *o = j->o;

	if (fl_fact_group(f) == FL_GROUP_ANSWER)
		return o->actor[f->actor].kind;
	if (f->field == FL_FACT_VMFLAGS || f->field == FL_FACT_PAGE || f->field == FL_FACT_HASH)
		return fl_engine_side_kind(o->side[FL_ENGINE], f->actor, f->where, FL_DIFF_PAGE);
	return j->kind;
}

/* A difference. DIFFER, RULED if it ends the play, else AGREE. */
static enum fl_play_verdict weigh(struct judge *j)
{
	struct fl_play_own *o = j->o;
	const struct fl_fact *f = j->e ? j->e : j->h;
	const struct fl_sc_statement *st = blamed(j, f);
	enum fl_diff_kind kind = kind_blamed(j, f);
	unsigned rule = fl_rule_find(&o->p, st, kind, j->e, j->h);

	if (rule == UINT_MAX) {
		o->st = st;
		o->kind = kind;
		o->p.first[FL_ENGINE] = j->e ? (size_t)(j->e - o->p.facts[FL_ENGINE]->fact) : SIZE_MAX;
		o->p.first[FL_KERNEL] = j->h ? (size_t)(j->h - o->p.facts[FL_KERNEL]->fact) : SIZE_MAX;
		return FL_PLAY_DIFFER;
	}
	j->ruled = true;
	o->p.rule = rule;
	if (o->p.cover && rule < sizeof(o->p.cover->ruled) / sizeof(o->p.cover->ruled[0]))
		atomic_fetch_add_explicit(&o->p.cover->ruled[rule], 1, memory_order_relaxed);
	if (j->e)
		j->e->rule = rule + 1;
	if (j->h)
		j->h->rule = rule + 1;
	return o->p.rules[rule].ends ? FL_PLAY_RULED : FL_PLAY_AGREE;
}

enum fl_play_verdict fl_play_judge(struct fl_play_own *o, const struct fl_sc_statement *st, enum fl_diff_kind kind,
				   bool *ruled)
{
	struct fl_facts *e = o->p.facts[FL_ENGINE], *h = o->p.facts[FL_KERNEL];
	size_t i = o->begin[FL_ENGINE], k = o->begin[FL_KERNEL];
	struct judge j = {.o = o, .st = st, .kind = kind};
	enum fl_play_verdict verdict = FL_PLAY_AGREE;

	while (verdict == FL_PLAY_AGREE && (i < e->n || k < h->n)) {
		bool take_e = i < e->n && (k == h->n || !fl_fact_before(&h->fact[k], &e->fact[i]));
		bool take_h = k < h->n && (i == e->n || !fl_fact_before(&e->fact[i], &h->fact[k]));

		j.e = take_e ? &e->fact[i] : NULL;
		j.h = take_h ? &h->fact[k] : NULL;
		if (!j.e || !j.h || j.e->value != j.h->value)
			verdict = weigh(&j);
		i += take_e;
		k += take_h;
	}
	*ruled |= j.ruled;
	o->begin[FL_ENGINE] = e->n;
	o->begin[FL_KERNEL] = h->n;
	return verdict;
}
