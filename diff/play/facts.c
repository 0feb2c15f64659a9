/* SPDX-License-Identifier: MIT */
/*
 * Facts of answers. Both sides' are made by the same code, in the same order.
 *
 * No locks: one thread.
 */
#include <string.h>

#include "diff/play/internal.h"

/* Of a long program only the later half of the facts is kept. */
void fl_facts_begin(struct fl_play_own *o)
{
	const struct fl_facts *e = o->p.facts[FL_ENGINE];
	unsigned old;

	if (e->n < FL_FACTS_MAX / 2 && o->p.facts[FL_KERNEL]->n < FL_FACTS_MAX / 2)
		return;
	old = e->n ? e->fact[e->n / 2].step : UINT32_MAX;
	for (unsigned side = 0; side < FL_SIDES; side++) {
		struct fl_facts *f = o->p.facts[side];
		size_t i = 0;

		while (i < f->n && f->fact[i].step <= old)
			i++;
		memmove(f->fact, f->fact + i, (f->n - i) * sizeof(*f->fact));
		f->n -= i;
	}
}

void fl_facts_add(struct fl_play_own *o, unsigned side, unsigned actor, enum fl_fact_field field, uint64_t where,
		  uint64_t value)
{
	struct fl_facts *f = o->p.facts[side];

	if (f->n == FL_FACTS_MAX)
		return;
	f->fact[f->n++] = (struct fl_fact){
		.step = o->p.step, .call = o->call, .actor = actor, .field = field, .where = where, .value = value};
}

/* Numbers of descriptors and processes are each side's own. */
static uint64_t value_of(const struct fl_call *c, const struct fl_answer *a)
{
	if ((c->opens || c->kind == FL_CALL_FORK) && a->ret > 0)
		return 0;
	return (uint64_t)a->ret;
}

static uint64_t out_word(const struct fl_answer *a, unsigned at, unsigned outs)
{
	uint64_t word = 0;
	unsigned n = a->outs < outs ? a->outs : outs;

	if (at < n)
		memcpy(&word, a->out + at, n - at < 8 ? n - at : 8);
	return word;
}

static bool has_value(const struct fl_answer *a)
{
	return a->state == FL_ANSWER_DONE && !a->signo && !a->interrupted;
}

/* What was written to the caller's structures; words that are zero on both sides tell nothing. */
static void add_out(struct fl_play_own *o, unsigned actor)
{
	const struct fl_play_actor *who = &o->actor[actor];
	unsigned outs = who->calls ? who->call[who->at].outs : 0;

	for (unsigned at = 0; at < outs; at += 8) {
		uint64_t word[FL_SIDES];

		for (unsigned side = 0; side < FL_SIDES; side++) {
			const struct fl_answer *a = &o->answer[side][actor];

			word[side] = has_value(a) ? out_word(a, at, outs) : 0;
		}
		if ((who->worked || who->cut) && who->call[who->at].lacks_at == at)
			word[FL_KERNEL] &= ~who->call[who->at].lacks;
		/* Nobody knows whether this is an answer, or what was there before: in both these bits may be anything. */
		if (who->cut && who->call[who->at].lacks_at == at)
			word[FL_ENGINE] &= ~who->call[who->at].lacks;
		if (!word[FL_ENGINE] && !word[FL_KERNEL])
			continue;
		for (unsigned side = 0; side < FL_SIDES; side++)
			if (has_value(&o->answer[side][actor]))
				fl_facts_add(o, side, actor, FL_FACT_OUT, at, word[side]);
	}
}

static void add_answer(struct fl_play_own *o, unsigned side, unsigned actor)
{
	const struct fl_play_actor *who = &o->actor[actor];
	const struct fl_answer *a = &o->answer[side][actor];

	fl_facts_add(o, side, actor, FL_FACT_STATE, 0, a->state);
	if (a->state != FL_ANSWER_DONE)
		return;
	if (has_value(a) && who->calls)
		fl_facts_add(o, side, actor, FL_FACT_RETURN, 0, value_of(&who->call[who->at], a));
	if (a->signo) {
		fl_facts_add(o, side, actor, FL_FACT_SIGNAL, 0, a->signo);
		fl_facts_add(o, side, actor, FL_FACT_CODE, 0, (uint64_t)(int64_t)a->si_code);
		fl_facts_add(o, side, actor, FL_FACT_ADDRESS, 0, a->sig_addr);
	}
	if (a->interrupted)
		fl_facts_add(o, side, actor, FL_FACT_INTERRUPTED, 0, 1);
}

void fl_facts_answers(struct fl_play_own *o, unsigned issuer)
{
	for (unsigned actor = 0; actor < o->actors; actor++) {
		const struct fl_answer *e = &o->answer[FL_ENGINE][actor], *h = &o->answer[FL_KERNEL][actor];

		/* Those who sleep on, or are not there, on both sides are no news. */
		if (actor != issuer && e->state == h->state && e->state != FL_ANSWER_DONE)
			continue;
		for (unsigned side = 0; side < FL_SIDES; side++)
			add_answer(o, side, actor);
		add_out(o, actor);
	}
}

enum fl_fact_group fl_fact_group(const struct fl_fact *f)
{
	switch (f->field) {
	case FL_FACT_ALIVE:
		return FL_GROUP_ALIVE;
	case FL_FACT_MAP:
	case FL_FACT_MAP_PROT:
	case FL_FACT_MAP_KIND:
	case FL_FACT_MAPS:
		return FL_GROUP_MAPS;
	case FL_FACT_VMFLAGS:
		return FL_GROUP_FLAGS;
	case FL_FACT_PAGE:
	case FL_FACT_HASH:
	case FL_FACT_PAGES:
		return FL_GROUP_PAGES;
	case FL_FACT_MINOR:
	case FL_FACT_MAJOR:
		return FL_GROUP_FAULTS;
	case FL_FACT_UNREAD:
		return FL_GROUP_UNREAD;
	default:
		return FL_GROUP_ANSWER;
	}
}

bool fl_fact_before(const struct fl_fact *a, const struct fl_fact *b)
{
	enum fl_fact_group group_a = fl_fact_group(a), group_b = fl_fact_group(b);

	if (a->call != b->call)
		return a->call < b->call;
	if (group_a != group_b)
		return group_a < group_b;
	if (a->actor != b->actor)
		return a->actor < b->actor;
	/* Of an answer field by field; of memory address by address. */
	if (group_a == FL_GROUP_ANSWER && a->field != b->field)
		return a->field < b->field;
	if (a->where != b->where)
		return a->where < b->where;
	return a->field < b->field;
}
