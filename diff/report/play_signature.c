/* SPDX-License-Identifier: MIT */
/*
 * What says that two divergences are the same one: operation, kind of memory, field, and what each side has there. Numbers that
 * depend on where the program put things are only classes.
 *
 * No locks: one thread.
 */
#include <string.h>

#include "diff/report/play_internal.h"

struct difference {
	const struct fl_fact *fact[FL_SIDES]; /* NULL: none */
	const struct fl_fact *any;
	struct fl_report_slice answer[FL_SIDES];
};

/* All facts of the same answer as f. */
static struct fl_report_slice answer_of(const struct fl_facts *facts, const struct fl_fact *f)
{
	struct fl_report_slice s = {NULL, 0};

	for (size_t i = 0; i < facts->n; i++) {
		const struct fl_fact *g = &facts->fact[i];

		if (g->step != f->step || g->call != f->call || g->actor != f->actor ||
		    fl_fact_group(g) != FL_GROUP_ANSWER)
			continue;
		s.fact = s.n ? s.fact : g;
		s.n++;
	}
	return s;
}

static struct difference find(const struct fl_play *p)
{
	struct difference d = {.any = NULL};

	for (unsigned side = 0; side < FL_SIDES; side++) {
		size_t first = p->first[side];

		d.fact[side] = first == SIZE_MAX ? NULL : &p->facts[side]->fact[first];
		d.any = d.any ? d.any : d.fact[side];
	}
	for (unsigned side = 0; d.any && side < FL_SIDES; side++)
		d.answer[side] = answer_of(p->facts[side], d.any);
	return d;
}

static void add_class(struct fl_report_text *t, const struct fl_report_names *names, const struct difference *d,
		      unsigned side)
{
	const struct fl_fact *f = d->fact[side], *other = d->fact[!side];

	if (!f) {
		fl_report_add(t, "none");
		return;
	}
	switch (f->field) {
	case FL_FACT_OUT:
		if ((int64_t)f->value < 0 && (int64_t)f->value > -4096)
			fl_report_error(t, (int64_t)f->value);
		else
			fl_report_add(t, f->value ? "n" : "0");
		break;
	case FL_FACT_VMFLAGS:
		if (other)
			fl_report_vm_flags(t, f->value & ~other->value);
		else
			fl_report_add(t, "some");
		break;
	case FL_FACT_MAP:
	case FL_FACT_MAPS:
	case FL_FACT_PAGES:
	case FL_FACT_MINOR:
	case FL_FACT_MAJOR:
	case FL_FACT_UNREAD:
		fl_report_add(t, !other ? "some" : f->value < other->value ? "less" : "more");
		break;
	case FL_FACT_HASH:
		fl_report_add(t, f->value ? "bytes" : "zeros");
		break;
	default:
		fl_report_fact(t, names, f);
	}
}

/* Of a statement of several calls: which one it was, if it is not the one that gives the result. */
static void add_part(struct fl_report_text *t, const struct fl_play_own *o, const struct fl_fact *f)
{
	const struct fl_play_actor *who;

	if (!o->st || fl_fact_group(f) != FL_GROUP_ANSWER)
		return;
	who = &o->actor[f->actor];
	if (who->calls && !who->call[who->at].gives)
		fl_report_add(t, " (%s)", fl_report_call_name(o->st, who->at));
}

char *fl_play_signature(const struct fl_play *p, const struct fl_scenario *s)
{
	const struct fl_play_own *o = fl_play_seen(p);
	const struct fl_report_names names = {.s = s};
	struct difference d = find(p);
	char buf[320];
	struct fl_report_text t = {.buf = buf, .size = sizeof(buf)};

	if (!d.any)
		return strdup("no difference");
	fl_report_add(&t, "%s %s ", o->st ? fl_sc_op_name(o->st->op) : "end", fl_diff_kind_name(o->kind));
	if (d.any->field == FL_FACT_OUT)
		fl_report_out_name(&t, o->st, d.any->call, d.any->where);
	else if (fl_fact_group(d.any) == FL_GROUP_ANSWER && d.any->field != FL_FACT_ADDRESS)
		fl_report_add(&t, "answer");
	else
		fl_report_add(&t, "%s", fl_report_field(d.any->field));
	add_part(&t, o, d.any);
	for (unsigned side = 0; side < FL_SIDES; side++) {
		fl_report_add(&t, side ? " kernel " : ": engine ");
		if (fl_fact_group(d.any) == FL_GROUP_ANSWER && d.any->field != FL_FACT_OUT)
			fl_report_outcome(&t, &names, o->st, &d.answer[side], false);
		else
			add_class(&t, &names, &d, side);
	}
	return strdup(buf);
}
