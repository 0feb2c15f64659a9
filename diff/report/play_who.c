/* SPDX-License-Identifier: MIT */
/*
 * Which statement a step is, and whose.
 *
 * No locks: one thread.
 */
#include <string.h>

#include "diff/report/play_internal.h"

const struct fl_sc_statement *fl_report_statement(const struct fl_scenario *s, unsigned step, unsigned *actor)
{
	const struct fl_sc_turn *turn;

	*actor = (unsigned)s->threads;
	if (step < s->setups)
		return &s->setup[step];
	if (step >= s->setups + s->turns)
		return NULL;
	turn = &s->turn[step - s->setups];
	*actor = turn->thread;
	return &s->thread[turn->thread].body[turn->statement];
}

const struct fl_sc_statement *fl_report_doing(const struct fl_play *p, const struct fl_scenario *s, unsigned actor,
					      unsigned step)
{
	const struct fl_facts *f = p->facts[FL_ENGINE];

	/* Turns of one who sleeps are skipped: so the last that has facts is the one it sleeps in. */
	for (size_t i = f->n; i-- > 0;) {
		const struct fl_sc_statement *st;
		unsigned issuer;

		if (f->fact[i].step > step || f->fact[i].actor != actor ||
		    fl_fact_group(&f->fact[i]) != FL_GROUP_ANSWER)
			continue;
		st = fl_report_statement(s, f->fact[i].step, &issuer);
		if (st && issuer == actor)
			return st;
	}
	return NULL;
}

const char *fl_report_actor(const struct fl_scenario *s, unsigned actor)
{
	if (actor < s->threads)
		return s->thread[actor].name;
	return actor == s->threads ? "setup" : "nobody";
}

const char *fl_report_process(const struct fl_scenario *s, unsigned process)
{
	return process && process <= s->processes ? s->process[process - 1].name : "the first process";
}

const char *fl_report_bare(const struct fl_sc_statement *st)
{
	const char *bare = st->result >= 0 ? strchr(st->text, '=') : NULL;

	if (!bare)
		return st->text;
	bare++;
	return bare + strspn(bare, " ");
}
