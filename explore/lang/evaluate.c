/* SPDX-License-Identifier: MIT */
/*
 * What an expression comes to.
 *
 * No locks: one thread.
 */
#include "explore/lang/lang.h"

static bool truth(int64_t value)
{
	return value && value != FL_SC_UNSET;
}

/* Neither less nor greater than anything if it is unset; and sums of it are unset. Numbers wrap as the machine's do. */
static int64_t calculate(enum fl_sc_binary binary, int64_t a, int64_t b)
{
	bool unset = a == FL_SC_UNSET || b == FL_SC_UNSET;
	uint64_t x = (uint64_t)a, y = (uint64_t)b;

	switch (binary) {
	case FL_SC_EQ:
		return a == b;
	case FL_SC_NE:
		return a != b;
	case FL_SC_LT:
		return !unset && a < b;
	case FL_SC_LE:
		return !unset && a <= b;
	case FL_SC_GT:
		return !unset && a > b;
	case FL_SC_GE:
		return !unset && a >= b;
	default:
		break;
	}
	if (unset)
		return FL_SC_UNSET;
	switch (binary) {
	case FL_SC_PLUS:
		return (int64_t)(x + y);
	case FL_SC_MINUS:
		return (int64_t)(x - y);
	case FL_SC_TIMES:
		return (int64_t)(x * y);
	default:
		return a & b;
	}
}

static int64_t evaluate_binary(const struct fl_sc_expr *e, const struct fl_sc_context *context)
{
	int64_t left = fl_sc_evaluate(e->left, context);

	switch (e->binary) {
	case FL_SC_OR:
		return truth(left) || truth(fl_sc_evaluate(e->right, context));
	case FL_SC_AND:
		return truth(left) && truth(fl_sc_evaluate(e->right, context));
	case FL_SC_IMPLIES:
		return !truth(left) || truth(fl_sc_evaluate(e->right, context));
	default:
		return calculate(e->binary, left, fl_sc_evaluate(e->right, context));
	}
}

static int64_t evaluate_in(const struct fl_sc_expr *e, const struct fl_sc_context *context)
{
	int64_t value = fl_sc_evaluate(e->left, context);

	for (size_t i = 0; i < e->members; i++) {
		if (fl_sc_evaluate(e->member[i], context) == value)
			return 1;
	}
	return 0;
}

int64_t fl_sc_evaluate(const struct fl_sc_expr *e, const struct fl_sc_context *context)
{
	int64_t value;

	switch (e->kind) {
	case FL_SC_E_RESULT:
		return context->result(context->arg, e->index, e->field);
	case FL_SC_E_VAR:
		return context->variable(context->arg, e->index);
	case FL_SC_E_MEMORY:
		return context->memory(context->arg, e->process, &e->range, e->size);
	case FL_SC_E_COUNT:
		return context->count(context->arg, e->count, e->index, &e->range);
	case FL_SC_E_BLOCKED:
		return context->blocked(context->arg, e->index);
	case FL_SC_E_NOT:
		return !truth(fl_sc_evaluate(e->left, context));
	case FL_SC_E_NEG:
		value = fl_sc_evaluate(e->left, context);
		return value == FL_SC_UNSET ? value : (int64_t)(0 - (uint64_t)value);
	case FL_SC_E_BINARY:
		return evaluate_binary(e, context);
	case FL_SC_E_IN:
		return evaluate_in(e, context);
	default:
		return e->number;
	}
}
