/* SPDX-License-Identifier: MIT */
/*
 * Statements become calls, and answers become results.
 *
 * No locks: one thread.
 */
#include <stdio.h>
#include <string.h>

#include "diff/lower/internal.h"
#include "faultline/errno.h"

#define INSTRUCTION 16u /* bytes, and none is longer */

struct fl_call *fl_lower_next(struct fl_lowering *l, enum fl_call_kind kind)
{
	struct fl_call *c = &l->call[l->n++];

	memset(c, 0, sizeof(*c));
	c->kind = kind;
	c->actor = l->actor;
	c->gives = true;
	return c;
}

struct fl_call *fl_lower_syscall(struct fl_lowering *l, unsigned nr, uint64_t arg0, uint64_t arg1, uint64_t arg2)
{
	struct fl_call *c = fl_lower_next(l, FL_CALL_SYSCALL);

	c->nr = nr;
	c->arg[0] = arg0;
	c->arg[1] = arg1;
	c->arg[2] = arg2;
	return c;
}

struct fl_call *fl_lower_carry(struct fl_lowering *l, unsigned nr, uint64_t at, uint64_t n)
{
	struct fl_call *c = fl_lower_syscall(l, nr, 0, at, n);

	c->how[0] = FL_ARG_CARRIER;
	return c;
}

static int64_t result_of(void *arg, unsigned index, enum fl_sc_field field)
{
	const struct fl_lowering *l = arg;

	(void)field; /* the parts of messages are refused */
	return l->results[index];
}

int64_t fl_lower_value(const struct fl_lowering *l, const struct fl_sc_expr *e)
{
	/* The evaluator hands this back to result_of, which changes nothing. */
	const struct fl_sc_context context = {.arg = (void *)(uintptr_t)l, .result = result_of};

	return e ? fl_sc_evaluate(e, &context) : 0;
}

static struct fl_call *add_access(struct fl_lowering *l, enum fl_call_kind kind)
{
	struct fl_call *c = fl_lower_next(l, kind);

	c->arg[0] = l->at;
	c->size = l->st->size;
	c->value = (uint64_t)fl_lower_value(l, l->st->value);
	return c;
}

static bool lower_access(struct fl_lowering *l)
{
	struct fl_call *c;

	switch (l->st->op) {
	case FL_SC_LOAD:
		c = add_access(l, FL_CALL_LOAD);
		c->outs = c->size > 8 ? c->size : 0;
		return true;
	case FL_SC_STORE:
		add_access(l, FL_CALL_STORE);
		return true;
	case FL_SC_ADD:
		add_access(l, FL_CALL_ADD);
		return true;
	case FL_SC_FETCH:
		c = add_access(l, FL_CALL_FETCH);
		/* A processor fetches a whole instruction, and nobody knows how long it is: all of it in this page. */
		if (c->arg[0] % FL_DIFF_PAGE > FL_DIFF_PAGE - INSTRUCTION)
			c->arg[0] = (c->arg[0] | (FL_DIFF_PAGE - 1)) - (INSTRUCTION - 1);
		return true;
	default:
		return false;
	}
}

static void fill_carrier(struct fl_lowering *l, struct fl_call *c)
{
	uint64_t pages = c->arg[2] / FL_DIFF_PAGE + (c->arg[2] % FL_DIFF_PAGE != 0);

	c->fill_pages = pages < FL_LOWER_FILL_PAGES ? (unsigned)pages : FL_LOWER_FILL_PAGES;
	c->fill = (uint64_t)fl_lower_value(l, l->st->value);
}

/* Copies by the kernel: a read or a write of the carrier, with the buffer under test. */
static bool lower_copies(struct fl_lowering *l)
{
	struct fl_call *c;

	switch (l->st->op) {
	case FL_SC_COPYIN:
		c = fl_lower_carry(l, FL_NR_PWRITE64, l->at, l->bytes);
		c->out_kind = FL_OUT_CARRIED;
		c->outs = (unsigned)l->bytes;
		return true;
	case FL_SC_SYSWRITE:
		c = fl_lower_carry(l, FL_NR_PWRITE64, l->at, l->bytes);
		c->out_kind = FL_OUT_CARRIER;
		c->outs = 8;
		return true;
	case FL_SC_COPYOUT:
	case FL_SC_SYSREAD:
		fill_carrier(l, fl_lower_carry(l, FL_NR_PREAD64, l->at, l->bytes));
		return true;
	default:
		return false;
	}
}

static bool lower_process(struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;
	struct fl_call *c;

	switch (st->op) {
	case FL_SC_FORK:
		fl_lower_next(l, FL_CALL_FORK)->object = st->object + 1;
		return true;
	case FL_SC_EXIT:
		fl_lower_next(l, FL_CALL_EXIT);
		return true;
	case FL_SC_SIGNAL:
		c = fl_lower_next(l, FL_CALL_SIGNAL);
		c->object = st->object;
		c->fatal = st->fatal;
		return true;
	case FL_SC_LIMIT:
		c = fl_lower_next(l, FL_CALL_LIMIT);
		c->object = st->limit;
		c->value = st->pages < 0 ? UINT64_MAX : (uint64_t)st->pages;
		return true;
	default:
		return false;
	}
}

/* Does it name a result that is an error? Then there is no such memory, and nothing to do. */
static bool names_error(const struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;
	uint64_t at;

	return (fl_lower_has_range(st) && !fl_lower_address(l->s, &st->range, l->results, &at)) ||
	       (st->has_other && !fl_lower_address(l->s, &st->other, l->results, &at)) ||
	       (st->has_into && !fl_lower_address(l->s, &st->into, l->results, &at));
}

int fl_lower(const struct fl_scenario *s, const struct fl_sc_statement *st, unsigned actor, const int64_t *results,
	     struct fl_call call[FL_CALLS_MAX], char **error)
{
	struct fl_lowering l = {.s = s, .st = st, .actor = actor, .results = results, .call = call};

	*error = NULL;
	if (names_error(&l))
		return 0;
	l.bytes = fl_lower_bytes(s, st);
	if (fl_lower_has_range(st))
		fl_lower_address(s, &st->range, results, &l.at);
	if (lower_access(&l) || lower_copies(&l) || lower_process(&l) || fl_lower_memory(&l) || fl_lower_uffd(&l))
		return (int)l.n;
	if (asprintf(error, "%s:%u:%u: `%s` is no call that can be compared", s->path, st->place.line, st->place.column,
		     fl_sc_op_name(st->op)) < 0)
		*error = NULL;
	return -1;
}

static int64_t signal_result(const struct fl_answer *a)
{
	if (a->signo == 7)
		return a->si_code == FL_BUS_MCEERR_AR ? FL_SC_POISON : FL_SC_BUS;
	return a->si_code == FL_SEGV_ACCERR ? FL_SC_ACCERR : FL_SC_MAPERR;
}

static int64_t poll_result(const struct fl_answer *a)
{
	unsigned got = a->out[6] | (unsigned)a->out[7] << 8;

	return got & 0x20 ? -FL_EBADF : (int64_t)got;
}

static int64_t copyin_result(const struct fl_sc_statement *st, const struct fl_answer *a)
{
	uint64_t word = 0;

	if (a->ret != (int64_t)st->size)
		return -FL_EFAULT;
	memcpy(&word, a->out, st->size < 8 ? st->size : 8);
	return (int64_t)word;
}

/* Of calls that went well. */
static int64_t value_result(const struct fl_sc_statement *st, const struct fl_call *c, const struct fl_answer *a)
{
	int64_t from_window = (int64_t)((uint64_t)a->ret - FL_DIFF_WINDOW);

	switch (st->op) {
	case FL_SC_MAP:
	case FL_SC_MMAP:
	case FL_SC_MMAP_ANY:
		return c->arg[3] & (FL_MAP_FIXED | FL_MAP_FIXED_NOREPLACE) ? 0 : from_window;
	case FL_SC_MREMAP:
		return c->arg[3] & FL_MREMAP_MAYMOVE && !(c->arg[3] & FL_MREMAP_FIXED) ? from_window : 0;
	case FL_SC_BRK:
		return from_window;
	case FL_SC_MINCORE:
		return c->outs ? a->out[0] & 1 : 0;
	case FL_SC_COPYOUT:
		return a->ret == (int64_t)st->size ? 0 : -FL_EFAULT;
	case FL_SC_POLL:
		return poll_result(a);
	case FL_SC_READ:
		return c->outs ? a->out[0] : a->ret;
	case FL_SC_UFFD:
	case FL_SC_OPEN:
	case FL_SC_FORK:
		return 0;
	default:
		return a->ret;
	}
}

int64_t fl_lower_result(const struct fl_scenario *s, const struct fl_sc_statement *st, const struct fl_call *c,
			const struct fl_answer *a)
{
	(void)s;
	if (a->state != FL_ANSWER_DONE)
		return FL_SC_UNSET;
	if (a->interrupted)
		return FL_SC_INTERRUPTED;
	if (a->signo)
		return signal_result(a);
	if (c->kind == FL_CALL_LOAD || c->kind == FL_CALL_ADD)
		return a->ret;
	if (st->op == FL_SC_COPYIN)
		return copyin_result(st, a);
	if (a->ret < 0 && a->ret > -4096)
		return a->ret;
	return value_result(st, c, a);
}
