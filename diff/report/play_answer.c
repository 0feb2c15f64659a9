/* SPDX-License-Identifier: MIT */
/*
 * What became of a call, in a few words; and the names of what the kernel wrote to its caller's structures.
 *
 * No locks: one thread.
 */
#include <stdio.h>

#include "diff/lower/internal.h"
#include "diff/report/play_internal.h"

const struct fl_fact *fl_report_find(const struct fl_report_slice *s, enum fl_fact_field field, uint64_t where)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->fact[i].field == field && s->fact[i].where == where)
			return &s->fact[i];
	return NULL;
}

static uint64_t value_of(const struct fl_report_slice *s, enum fl_fact_field field, uint64_t where)
{
	const struct fl_fact *f = fl_report_find(s, field, where);

	return f ? f->value : 0;
}

static void add_code(struct fl_report_text *t, uint64_t signo, uint64_t code)
{
	static const char *const segv[] = {[1] = "MAPERR", [2] = "ACCERR"};
	static const char *const bus[] = {[1] = "ADRALN", [2] = "ADRERR", [3] = "OBJERR", [4] = "MCEERR_AR"};
	const char *name = NULL;

	if (signo == 11 && code < FL_ARRAY_LEN(segv))
		name = segv[code];
	else if (signo == 7 && code < FL_ARRAY_LEN(bus))
		name = bus[code];
	if (name)
		fl_report_add(t, " %s", name);
	else
		fl_report_add(t, " si_code %lld", (long long)code);
}

static const char *event_name(uint64_t event)
{
	static const char *const names[] = {"PAGEFAULT", "FORK", "REMAP", "REMOVE", "UNMAP"};
	uint64_t i = event - FL_UFFD_EVENT_PAGEFAULT;

	return i < FL_ARRAY_LEN(names) ? names[i] : NULL;
}

static void add_pagefault(struct fl_report_text *t, const struct fl_report_names *names, uint64_t flags, uint64_t at,
			  uint64_t thread)
{
	fl_report_add(t, "PAGEFAULT ");
	fl_report_address(t, names, at);
	fl_report_add(t, "%s%s%s", flags & FL_UFFD_PAGEFAULT_FLAG_WRITE ? " write" : " read",
		      flags & FL_UFFD_PAGEFAULT_FLAG_WP ? " wp" : "",
		      flags & FL_UFFD_PAGEFAULT_FLAG_MINOR ? " minor" : "");
	if (thread)
		fl_report_add(t, " by %s", fl_report_actor(names->s, (unsigned)thread - 1));
}

static void add_message(struct fl_report_text *t, const struct fl_report_names *names, const struct fl_report_slice *a)
{
	uint64_t event = value_of(a, FL_FACT_OUT, 0) & 0xff, arg0 = value_of(a, FL_FACT_OUT, 8);
	uint64_t arg1 = value_of(a, FL_FACT_OUT, 16), arg2 = value_of(a, FL_FACT_OUT, 24);

	switch (event) {
	case FL_UFFD_EVENT_PAGEFAULT:
		add_pagefault(t, names, arg0, arg1, arg2);
		return;
	case FL_UFFD_EVENT_REMAP:
	case FL_UFFD_EVENT_REMOVE:
	case FL_UFFD_EVENT_UNMAP:
		fl_report_add(t, "%s ", event_name(event));
		fl_report_address(t, names, arg0);
		fl_report_add(t, " ");
		fl_report_address(t, names, arg1);
		return;
	default:
		fl_report_add(t, "%s", event_name(event) ? event_name(event) : "message");
	}
}

static void add_poll(struct fl_report_text *t, const struct fl_report_slice *a)
{
	uint64_t got = value_of(a, FL_FACT_OUT, 0) >> 48;

	if (!got)
		fl_report_add(t, "0");
	if (got & FL_POLLIN)
		fl_report_add(t, "POLLIN");
	if (got & FL_POLLERR)
		fl_report_add(t, "%sPOLLERR", got & FL_POLLIN ? "|" : "");
	if (got & ~(uint64_t)(FL_POLLIN | FL_POLLERR))
		fl_report_add(t, " 0x%llx", (unsigned long long)got);
}

/* mincore's vector: a digit a page. */
static void add_vector(struct fl_report_text *t, const struct fl_report_names *names, const struct fl_sc_statement *st,
		       const struct fl_report_slice *a)
{
	uint64_t pages = fl_lower_bytes(names->s, st) / FL_DIFF_PAGE, shown = pages < 32 ? pages : 32;

	for (uint64_t i = 0; i < shown; i++)
		fl_report_add(t, "%llu", (unsigned long long)(value_of(a, FL_FACT_OUT, i & ~7ull) >> i % 8 * 8 & 0xff));
	fl_report_add(t, pages > shown ? "..." : "");
}

/* What it returned, of calls that went well. */
static void add_value(struct fl_report_text *t, const struct fl_report_names *names, const struct fl_sc_statement *st,
		      const struct fl_report_slice *a, uint64_t value)
{
	enum fl_sc_op op = st ? st->op : FL_SC_OPS;

	if (op == FL_SC_READ && value >= sizeof(struct fl_uffd_msg) && !st->has_into) {
		add_message(t, names, a);
		if (value / sizeof(struct fl_uffd_msg) > 1)
			fl_report_add(t, " (first of %llu)", (unsigned long long)(value / sizeof(struct fl_uffd_msg)));
	} else if (op == FL_SC_POLL) {
		add_poll(t, a);
	} else if (op == FL_SC_MINCORE && !st->has_into) {
		add_vector(t, names, st, a);
	} else if (op == FL_SC_COPYIN) {
		fl_report_add(t, "%llu byte%s 0x%llx", (unsigned long long)value, value == 1 ? "" : "s",
			      (unsigned long long)value_of(a, FL_FACT_OUT, 0));
	} else if ((op == FL_SC_LOAD || op == FL_SC_ADD) && value > 9) {
		fl_report_add(t, "0x%llx", (unsigned long long)value);
	} else {
		fl_report_number(t, names, value);
	}
}

static void add_class(struct fl_report_text *t, uint64_t value)
{
	if (value < 2)
		fl_report_add(t, "%llu", (unsigned long long)value);
	else
		fl_report_add(t, value < 1u << 20 ? "n" : "address");
}

void fl_report_outcome(struct fl_report_text *t, const struct fl_report_names *names, const struct fl_sc_statement *st,
		       const struct fl_report_slice *answer, bool exact)
{
	const struct fl_fact *state = fl_report_find(answer, FL_FACT_STATE, 0);
	const struct fl_fact *ret = fl_report_find(answer, FL_FACT_RETURN, 0);
	const struct fl_fact *signal = fl_report_find(answer, FL_FACT_SIGNAL, 0);
	bool plain = st && (st->op == FL_SC_LOAD || st->op == FL_SC_ADD);

	if (!state || state->value != FL_ANSWER_DONE) {
		fl_report_add(t, "%s", state ? "" : "nothing");
		if (state)
			fl_report_fact(t, names, state);
	} else if (signal) {
		fl_report_fact(t, names, signal);
		add_code(t, signal->value, value_of(answer, FL_FACT_CODE, 0));
		fl_report_add(t, exact ? " " : "");
		if (exact)
			fl_report_address(t, names, value_of(answer, FL_FACT_ADDRESS, 0));
	} else if (fl_report_find(answer, FL_FACT_INTERRUPTED, 0)) {
		fl_report_add(t, "interrupted");
	} else if (!ret) {
		fl_report_add(t, "done");
	} else if (!plain && (int64_t)ret->value < 0 && (int64_t)ret->value > -4096) {
		fl_report_error(t, (int64_t)ret->value);
	} else if (exact) {
		add_value(t, names, st, answer, ret->value);
	} else {
		add_class(t, ret->value);
	}
}

/* The words of the structures, in order. */
static const char *structure_word(const struct fl_sc_statement *st, unsigned call, uint64_t word)
{
	static const char *const api[] = {"api", "features", "ioctls"};
	static const char *const reg[] = {"range.start", "range.len", "mode", "ioctls"};
	static const char *const copy[] = {"dst", "src", "len", "mode", "copy"};
	static const char *const zeropage[] = {"range.start", "range.len", "mode", "zeropage"};
	static const char *const cont[] = {"range.start", "range.len", "mode", "mapped"};
	static const char *const poison[] = {"range.start", "range.len", "mode", "updated"};
	static const char *const move[] = {"dst", "src", "len", "mode", "move"};
	const char *const *names = reg;
	size_t n = FL_ARRAY_LEN(reg);

#define TAKE(table) (names = (table), n = FL_ARRAY_LEN(table))
	if (st->op == FL_SC_API || (st->op == FL_SC_UFFD && call == 1))
		TAKE(api);
	else if (st->op == FL_SC_COPY)
		TAKE(copy);
	else if (st->op == FL_SC_ZEROPAGE)
		TAKE(zeropage);
	else if (st->op == FL_SC_CONTINUE)
		TAKE(cont);
	else if (st->op == FL_SC_POISONPAGE)
		TAKE(poison);
	else if (st->op == FL_SC_MOVE)
		TAKE(move);
#undef TAKE
	return word < n ? names[word] : NULL;
}

static bool is_structure(enum fl_sc_op op)
{
	switch (op) {
	case FL_SC_UFFD:
	case FL_SC_API:
	case FL_SC_REGISTER:
	case FL_SC_UNREGISTER:
	case FL_SC_COPY:
	case FL_SC_ZEROPAGE:
	case FL_SC_WAKE:
	case FL_SC_CONTINUE:
	case FL_SC_POISONPAGE:
	case FL_SC_WRITEPROTECT:
	case FL_SC_MOVE:
		return true;
	default:
		return false;
	}
}

void fl_report_out_name(struct fl_report_text *t, const struct fl_sc_statement *st, unsigned call, uint64_t where)
{
	static const char *const message[] = {"event", "arg0", "arg1", "arg2"};
	const char *name = st && is_structure(st->op) ? structure_word(st, call, where / 8) : NULL;
	unsigned long long at = where;

	if (name)
		fl_report_add(t, "%s.%s", fl_sc_op_name(st->op), name);
	else if (st && st->op == FL_SC_READ)
		fl_report_add(t, "message %llu %s", at / 32, message[at % 32 / 8]);
	else if (st && st->op == FL_SC_MINCORE)
		fl_report_add(t, "pages %llu to %llu", at, at + 7);
	else if (st && st->op == FL_SC_SYSWRITE)
		fl_report_add(t, "what was written");
	else if (st && st->op == FL_SC_POLL)
		fl_report_add(t, "revents");
	else
		fl_report_add(t, "bytes %llu to %llu", at, at + 7);
}

void fl_report_out_value(struct fl_report_text *t, const struct fl_report_names *names,
			 const struct fl_sc_statement *st, uint64_t where, uint64_t value)
{
	if (st && st->op == FL_SC_READ && where % 32 == 0 && event_name(value))
		fl_report_add(t, "%s", event_name(value));
	else if (st && st->op == FL_SC_MINCORE)
		for (unsigned i = 0; i < 8; i++)
			fl_report_add(t, "%llu", (unsigned long long)(value >> i * 8 & 0xff));
	else if (st && st->op == FL_SC_SYSWRITE)
		fl_report_add(t, value ? "bytes %08x" : "zeros", (unsigned)(value ^ value >> 32));
	else if (st && st->op == FL_SC_POLL)
		fl_report_add(t, "0x%llx", (unsigned long long)(value >> 48));
	else if (st && is_structure(st->op))
		fl_report_number(t, names, value);
	else
		fl_report_add(t, "0x%llx", (unsigned long long)value);
}

static bool in_memory(const struct fl_sc_statement *st)
{
	return st->has_into && (is_structure(st->op) || st->op == FL_SC_IOCTL);
}

unsigned fl_report_gives(const struct fl_sc_statement *st, unsigned last)
{
	if (!in_memory(st))
		return last;
	return st->op == FL_SC_IOCTL ? 0 : 1;
}

const char *fl_report_call_name(const struct fl_sc_statement *st, unsigned call)
{
	static const char *const create[] = {"open", "handshake", "register"};
	static const char *const structure[] = {"structure before", "call", "structure after", "overwritten"};
	unsigned in = call + (st->op == FL_SC_IOCTL);

	if (st->op == FL_SC_UFFD)
		return create[call < 3 ? call : 2];
	if (in_memory(st))
		return structure[in < 4 ? in : 3];
	return "call";
}
