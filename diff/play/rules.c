/* SPDX-License-Identifier: MIT */
/*
 * What may differ: truly unspecified by Linux, or chosen by the running kernel for reasons of its own. Each rule names operation,
 * kind of mapping and field as narrowly as it can, and says why.
 *
 * No locks: constants.
 */
#include <limits.h>

#include "diff/lower/internal.h"
#include "diff/play/internal.h"

static const struct fl_fact *either(const struct fl_fact *e, const struct fl_fact *h)
{
	return e ? e : h;
}

/* Does it tell what memory holds, where that is the scheduler's choice? */
static bool is_chance(const struct fl_play_own *o, const struct fl_fact *f)
{
	const struct fl_play_actor *who = &o->actor[f->actor];
	const struct fl_call *c = &who->call[who->at];
	uint64_t at, len;

	if (!who->calls || !fl_chance_data(c, &at, &len) || !fl_chance_at(o, at, len))
		return false;
	/* Of a system call that copies the value is how much. */
	return f->field == FL_FACT_OUT || c->kind != FL_CALL_SYSCALL;
}

/* Calls on userfaultfds answer by what others among them have done. */
static bool asks_userfaultfd(const struct fl_play_own *o, const struct fl_fact *f)
{
	const struct fl_play_actor *who = &o->actor[f->actor];
	const struct fl_call *c = &who->call[who->at];

	return who->calls && c->kind == FL_CALL_SYSCALL && (c->nr == FL_NR_IOCTL || c->nr == FL_NR_READ);
}

/* The answers of one who was woken together with others; a signal on one side is no matter of order. */
static bool woken_together(const struct fl_play *p, const struct fl_sc_statement *st, const struct fl_fact *e,
			   const struct fl_fact *h)
{
	const struct fl_play_own *o = fl_play_seen(p);

	(void)st;
	return e && h && o->together && o->actor[e->actor].slept && (is_chance(o, e) || asks_userfaultfd(o, e));
}

/* The same where one of them fills a page, so that another finds it there or has to wait for it. */
static bool filled_together(const struct fl_play *p, const struct fl_sc_statement *st, const struct fl_fact *e,
			    const struct fl_fact *h)
{
	const struct fl_play_own *o = fl_play_seen(p);

	(void)st;
	if (!e || !h || !o->together || !o->actor[e->actor].slept)
		return false;
	for (unsigned a = 0; a < o->actors; a++) {
		const struct fl_play_actor *who = &o->actor[a];

		if (a != e->actor && who->slept && (who->st->op == FL_SC_COPY || who->st->op == FL_SC_IOCTL))
			return true;
	}
	return false;
}

static bool faults_together(const struct fl_play *p, const struct fl_sc_statement *st, const struct fl_fact *e,
			    const struct fl_fact *h)
{
	const struct fl_fact *f = either(e, h);

	(void)st;
	return fl_fact_group(f) == FL_GROUP_FAULTS && fl_play_seen(p)->actor[f->actor].company;
}

/* A processor that knows an old translation: the kernel has faults more, and no more than there are such pages. */
static bool remade_in_place(const struct fl_play *p, const struct fl_sc_statement *st, const struct fl_fact *e,
			    const struct fl_fact *h)
{
	const struct fl_play_own *o = fl_play_seen(p);

	(void)st;
	return e && h && h->value > e->value && h->value - e->value <= o->remade[o->actor[h->actor].process];
}

static bool written_together(const struct fl_play *p, const struct fl_sc_statement *st, const struct fl_fact *e,
			     const struct fl_fact *h)
{
	(void)st;
	return fl_chance_at(fl_play_seen(p), either(e, h)->where, 1);
}

/* What memory holds, seen by a statement that looks at it. */
static bool seen_after(const struct fl_play *p, const struct fl_sc_statement *st, const struct fl_fact *e,
		       const struct fl_fact *h)
{
	return st && e && h && is_chance(fl_play_seen(p), e);
}

/* Somebody else slept in a read of the same userfaultfd. */
static bool reads_together(const struct fl_play *p, const struct fl_sc_statement *st, const struct fl_fact *e,
			   const struct fl_fact *h)
{
	const struct fl_play_own *o = fl_play_seen(p);
	const struct fl_fact *f = either(e, h);

	if (fl_fact_group(f) != FL_GROUP_ANSWER || !o->actor[f->actor].slept)
		return false;
	for (unsigned a = 0; a < o->actors; a++) {
		const struct fl_play_actor *who = &o->actor[a];

		if (a != f->actor && who->slept && who->st->op == FL_SC_READ && who->st->object == st->object)
			return true;
	}
	return false;
}

static bool stirred(const struct fl_play *p, const struct fl_sc_statement *st, const struct fl_fact *e,
		    const struct fl_fact *h)
{
	(void)st;
	(void)e;
	(void)h;
	return fl_play_seen(p)->stirred;
}

const struct fl_rule fl_rules[] = {
	{
		.name = "woken-together",
		.op = FL_SC_OPS,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_RETURN,
		.applies = woken_together,
		.ends = true,
		.reason = "threads that one call has woken go on in an order that is the scheduler's choice; here one "
			  "has seen what another wrote",
	},
	{
		.name = "filled-together",
		.op = FL_SC_OPS,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_STATE,
		.applies = filled_together,
		.ends = true,
		.reason =
			"of threads that one call has woken one fills the page that another comes to next: whether that "
			"one has to wait is the scheduler's choice",
	},
	{
		.name = "copied-together",
		.op = FL_SC_OPS,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_OUT,
		.applies = woken_together,
		.ends = true,
		.reason = "as woken-together, of bytes that a system call copied",
	},
	{
		.name = "written-together",
		.op = FL_SC_OPS,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_HASH,
		.applies = written_together,
		.reason =
			"a page that threads wrote to which one call has woken: who is last is the scheduler's choice",
	},
	{
		.name = "loaded-after",
		.op = FL_SC_OPS,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_RETURN,
		.applies = seen_after,
		.ends = true,
		.reason = "as written-together, loaded by a later statement",
	},
	{
		.name = "copied-after",
		.op = FL_SC_OPS,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_OUT,
		.applies = seen_after,
		.ends = true,
		.reason = "as written-together, copied by a later statement",
	},
	{
		.name = "minor-together",
		.op = FL_SC_OPS,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_MINOR,
		.applies = faults_together,
		.reason = "threads that one call has woken: whose fault makes the page is the scheduler's choice",
	},
	{
		.name = "major-together",
		.op = FL_SC_OPS,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_MAJOR,
		.applies = faults_together,
		.reason = "threads that one call has woken: whose fault makes the page is the scheduler's choice",
	},
	{
		.name = "remade-in-place",
		.op = FL_SC_OPS,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_MINOR,
		.applies = remade_in_place,
		.reason =
			"populate_write and mlock make a page writable in place that a fork had left shared, and tell no "
			"processor: one that still knows the old translation faults once more, others do not",
	},
	{
		.name = "two-readers",
		.op = FL_SC_READ,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_FIELDS,
		.applies = reads_together,
		.ends = true,
		.reason = "of several threads that sleep in read(2) of one userfaultfd any may get the message",
	},
	{
		.name = "asleep-again",
		.op = FL_SC_READ,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_FIELDS,
		.applies = stirred,
		.ends = true,
		.reason =
			"threads that one call has woken and whose pages are still missing go to sleep again, and whose "
			"message comes first is the scheduler's choice",
	},
	{
		.name = "unread-again",
		.op = FL_SC_OPS,
		.kind = FL_DIFF_KINDS,
		.field = FL_FACT_UNREAD,
		.applies = stirred,
		.reason = "as asleep-again: one message was read, and one of the threads has gone",
	},
	{.name = NULL, .op = FL_SC_OPS, .kind = FL_DIFF_KINDS, .field = FL_FACT_FIELDS}, /* the end */
};
const size_t fl_rules_count = sizeof(fl_rules) / sizeof(fl_rules[0]) - 1;

static bool applies(const struct fl_rule *rule, const struct fl_play *p, const struct fl_sc_statement *st,
		    enum fl_diff_kind kind, const struct fl_fact *e, const struct fl_fact *h)
{
	return (rule->op == FL_SC_OPS || (st && rule->op == st->op)) &&
	       (rule->kind == FL_DIFF_KINDS || rule->kind == kind) &&
	       (rule->field == FL_FACT_FIELDS || rule->field == either(e, h)->field) &&
	       (!rule->applies || rule->applies(p, st, e, h));
}

unsigned fl_rule_find(const struct fl_play *p, const struct fl_sc_statement *st, enum fl_diff_kind kind,
		      const struct fl_fact *e, const struct fl_fact *h)
{
	for (unsigned i = 0; i < p->rules_count; i++)
		if (applies(&p->rules[i], p, st, kind, e, h))
			return i;
	return UINT_MAX;
}
