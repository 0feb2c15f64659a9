/* SPDX-License-Identifier: MIT */
/*
 * What may differ: truly unspecified by Linux, or chosen by the running kernel for reasons of its own. Each rule names operation,
 * kind of mapping and field as narrowly as it can, and says why.
 *
 * No locks: constants.
 */
#include <limits.h>

#include "diff/play/internal.h"

const struct fl_rule fl_rules[] = {
	{.name = NULL, .op = FL_SC_OPS, .kind = FL_DIFF_KINDS, .field = FL_FACT_FIELDS}, /* the end */
};
const size_t fl_rules_count = sizeof(fl_rules) / sizeof(fl_rules[0]) - 1;

static bool applies(const struct fl_rule *rule, const struct fl_scenario *s, const struct fl_sc_statement *st,
		    enum fl_diff_kind kind, const struct fl_fact *e, const struct fl_fact *h)
{
	enum fl_fact_field field = e ? e->field : h->field;

	return (rule->op == FL_SC_OPS || (st && rule->op == st->op)) &&
	       (rule->kind == FL_DIFF_KINDS || rule->kind == kind) &&
	       (rule->field == FL_FACT_FIELDS || rule->field == field) &&
	       (!rule->applies || rule->applies(s, st, e, h));
}

unsigned fl_rule_find(const struct fl_rule *rule, size_t n, const struct fl_scenario *s,
		      const struct fl_sc_statement *st, enum fl_diff_kind kind, const struct fl_fact *e,
		      const struct fl_fact *h)
{
	for (unsigned i = 0; i < n; i++)
		if (applies(&rule[i], s, st, kind, e, h))
			return i;
	return UINT_MAX;
}
