/* SPDX-License-Identifier: MIT */
/*
 * The scenario language: programs for the comparison with the kernel. Statements on lines of their own, places that
 * results and numbers name, options by number; and what the explorer refuses of it.
 *
 * No locks: one thread.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore/lang/scenario.h"
#include "faultline/uapi.h"

static struct fl_scenario *parse(const char *text)
{
	char *error;
	struct fl_scenario *s = fl_scenario_parse("t.fl", text, &error);

	if (!s)
		fail_msg("%s", error ? error : "no memory");
	assert_null(error);
	return s;
}

/* Statements of two threads in the order of the text; one of them has a block as well, and a thread has nothing. */
static void test_turns(void **state)
{
	struct fl_scenario *s = parse("map A pages=2\n"
				      "thread idle may block\n"
				      "thread main { a = load A; if a == 0 { b = load A[1]; yield } }\n"
				      "thread child in C\n"
				      "main: fork C; child: c = load A\n"
				      "child :if c == 0 { yield } else { exit }\n"
				      "main: d = store A 1\n"
				      "always c == 0\n");
	static const unsigned order[][2] = {{1, 0}, {1, 1}, {1, 2}, {2, 0}, {2, 1}, {1, 3}};

	(void)state;
	assert_int_equal(s->setups, 1);
	assert_int_equal(s->threads, 3);
	assert_int_equal(s->thread[0].bodies, 0);
	assert_true(s->thread[0].may_block);
	assert_int_equal(s->thread[1].bodies, 4);
	assert_int_equal(s->thread[2].bodies, 2);
	assert_int_equal(s->thread[2].process, 1);
	assert_int_equal(s->turns, 6);
	for (size_t i = 0; i < s->turns; i++) {
		assert_int_equal(s->turn[i].thread, order[i][0]);
		assert_int_equal(s->turn[i].statement, order[i][1]);
	}
	assert_int_equal(s->thread[1].body[2].op, FL_SC_FORK);
	assert_string_equal(s->thread[2].body[0].text, "c = load A");
	assert_int_equal(s->thread[2].body[0].place.line, 5);
	assert_int_equal(s->thread[2].body[0].place.column, 22);
	assert_int_equal(s->thread[2].body[1].op, FL_SC_IF);
	assert_int_equal(s->thread[2].body[1].orelses, 1);
	assert_int_equal(s->thread[1].body[3].result, 3);
	assert_int_equal(s->result[2].thread, 2);
	assert_int_equal(s->result[3].thread, 1);
	fl_scenario_free(s);
}

/* A statement for thread t, where p and q are results of another, U is open, and W has 64 pages. To free: the scenario. */
static struct fl_scenario *statement(const char *text, const struct fl_sc_statement **st)
{
	char program[512];
	struct fl_scenario *s;

	snprintf(program, sizeof(program),
		 "place W pages=64 at=3\nthread other\nthread t\nother: p = mmap any pages=3\nother: q = load W\n"
		 "other: open U\nt: %s\n",
		 text);
	s = parse(program);
	assert_int_equal(s->thread[1].bodies, 1);
	*st = &s->thread[1].body[0];
	return s;
}

static const struct {
	const char *text;
	enum fl_sc_base base;
	unsigned index; /* of the mapping or the result */
	uint64_t offset, length;
	bool whole;
} places[] = {
	{"munmap W", FL_SC_BASE_MAP, 0, 0, 0, true},
	{"munmap W[3]+5", FL_SC_BASE_MAP, 0, 3 * 4096 + 5, 0, false},
	{"munmap W[3:5]", FL_SC_BASE_MAP, 0, 3 * 4096, 2 * 4096, false},
	{"munmap p", FL_SC_BASE_RESULT, 0, 0, 0, false},
	{"munmap q+8", FL_SC_BASE_RESULT, 1, 8, 0, false},
	{"munmap p-1", FL_SC_BASE_RESULT, 0, UINT64_MAX, 0, false},
	{"munmap p[1:3]", FL_SC_BASE_RESULT, 0, 4096, 2 * 4096, false},
	{"munmap p[4000]+1", FL_SC_BASE_RESULT, 0, 4000 * 4096 + 1, 0, false},
	{"munmap 0x7ffffffff000", FL_SC_BASE_NUMBER, 0, 0x7ffffffff000, 0, false},
	{"munmap 4096", FL_SC_BASE_NUMBER, 0, 4096, 0, false},
	{"munmap 0xffffffffffffffff", FL_SC_BASE_NUMBER, 0, UINT64_MAX, 0, false},
	{"munmap 0x1000-1", FL_SC_BASE_NUMBER, 0, 0xfff, 0, false},
	{"store p-8 -8", FL_SC_BASE_RESULT, 0, (uint64_t)-8, 0, false},
	{"store p -8", FL_SC_BASE_RESULT, 0, 0, 0, false},
	{"load W[3]+4090", FL_SC_BASE_MAP, 0, 3 * 4096 + 4090, 0, false},
	{"load 0x1fff size=16", FL_SC_BASE_NUMBER, 0, 0x1fff, 0, false},
};

static void test_places(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct fl_sc_statement *st;
		struct fl_scenario *s = statement(places[i].text, &st);
		const struct fl_sc_range *r = &st->range;
		unsigned index = r->base == FL_SC_BASE_RESULT ? r->result : r->map;

		if (r->base != places[i].base || index != places[i].index || r->offset != places[i].offset ||
		    r->length != places[i].length || r->whole != places[i].whole)
			fail_msg("%s: base %d of %u, offset 0x%llx, length 0x%llx", places[i].text, r->base, index,
				 (unsigned long long)r->offset, (unsigned long long)r->length);
		assert_string_equal(st->text, places[i].text);
		fl_scenario_free(s);
	}
}

/* What stands on a statement by number. */
static void test_numbers(void **state)
{
	const struct fl_sc_statement *st;
	struct fl_scenario *s =
		statement("e = mremap W[1] bytes=0xffffffffffffffff newbytes=5 maymove flags=0x40", &st);

	(void)state;
	assert_int_equal(st->op, FL_SC_MREMAP);
	assert_true(st->has_bytes && st->bytes == UINT64_MAX && st->has_newbytes && st->newbytes == 5);
	assert_true(st->maymove && st->has_flags && st->flags == 0x40 && !st->has_other && !st->pages);
	fl_scenario_free(s);
	s = statement("mprotect p bytes=0 prot=0xffffffff", &st);
	assert_true(st->has_bytes && !st->bytes && st->prot == -1);
	fl_scenario_free(s);
	s = statement("madvise W 4294967295", &st);
	assert_int_equal(st->advice, -1);
	fl_scenario_free(s);
	s = statement("r = register U modes=0x9 p[1] bytes=1 arg=q+8", &st);
	assert_true(st->modes == 9 && st->range.base == FL_SC_BASE_RESULT && st->bytes == 1 && st->has_into);
	assert_true(st->into.base == FL_SC_BASE_RESULT && st->into.result == 1 && st->into.offset == 8);
	fl_scenario_free(s);
	s = statement("r = writeprotect U W flags=3", &st);
	assert_true(!st->modes && st->has_flags && st->flags == 3);
	fl_scenario_free(s);
	s = statement("r = copy U W arg=0x1000", &st);
	assert_true(!st->value && !st->has_other && st->has_into && st->into.base == FL_SC_BASE_NUMBER);
	fl_scenario_free(s);
	s = statement("n = mincore W[1] bytes=9000 into=W", &st);
	assert_true(st->has_into && st->into.whole && st->bytes == 9000);
	fl_scenario_free(s);
	s = statement("m = read U into=p bytes=64 nonblock", &st);
	assert_true(st->has_into && st->bytes == 64 && st->nonblock);
	assert_int_equal(s->result[st->result].type, FL_SC_MESSAGE);
	fl_scenario_free(s);
	s = statement("r = store W[3]+4095 5 size=16", &st);
	assert_int_equal(st->size, 16);
	fl_scenario_free(s);
}

static void test_mmap(void **state)
{
	const struct fl_sc_statement *st;
	struct fl_scenario *s = statement("r = mmap any bytes=5000 hint=p+1 prot=7 noreserve populate", &st);

	(void)state;
	assert_int_equal(st->op, FL_SC_MMAP_ANY);
	assert_true(st->has_other && st->other.base == FL_SC_BASE_RESULT && st->other.offset == 1);
	assert_true(st->bytes == 5000 && st->prot == 7 && st->noreserve && st->populate && !st->hint);
	fl_scenario_free(s);
	s = statement("r = mmap any pages=3 stack locked shared flags=0x20", &st);
	assert_true(st->pages == 3 && st->stack && st->locked && st->shared && st->flags == 0x20 && !st->has_other);
	assert_int_equal(st->prot, FL_PROT_READ | FL_PROT_WRITE);
	fl_scenario_free(s);
	s = statement("r = mmap p hint shared bytes=1 prot=none", &st);
	assert_int_equal(st->op, FL_SC_MMAP);
	assert_true(st->hint && st->shared && !st->prot);
	fl_scenario_free(s);
	assert_string_equal(fl_sc_op_name(FL_SC_MMAP_ANY), "mmap any");
}

static void test_calls(void **state)
{
	static const struct {
		const char *text;
		enum fl_sc_op op;
		unsigned limit;
		int64_t pages;
		uint64_t flags;
	} calls[] = {
		{"limit as +16", FL_SC_LIMIT, 9, 16, 0},
		{"limit data +0", FL_SC_LIMIT, 2, 0, 0},
		{"limit stack 5", FL_SC_LIMIT, 3, 5, 0},
		{"limit memlock 0", FL_SC_LIMIT, 8, 0, 0},
		{"limit memlock off", FL_SC_LIMIT, 8, -1, 0},
		{"limit as off", FL_SC_LIMIT, 9, -1, 0},
		{"limit maps +3", FL_SC_LIMIT, FL_SC_LIMIT_MAPS, 3, 0},
		{"limit maps off", FL_SC_LIMIT, FL_SC_LIMIT_MAPS, -1, 0},
		{"msync W flags=4", FL_SC_MSYNC, 0, 0, 4},
		{"mlockall flags=3", FL_SC_MLOCKALL, 0, 0, 3},
		{"munlockall", FL_SC_MUNLOCKALL, 0, 0, 0},
		{"syswrite W bytes=7", FL_SC_SYSWRITE, 0, 0, 0},
		{"sysread W fill=7", FL_SC_SYSREAD, 0, 0, 0},
		{"open V user_only flags=1", FL_SC_OPEN, 0, 0, 1},
		{"open U", FL_SC_OPEN, 0, 0, 0},
	};
	const struct fl_sc_statement *st;
	struct fl_scenario *s;

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		s = statement(calls[i].text, &st);
		if (st->op != calls[i].op || st->limit != calls[i].limit || st->pages != calls[i].pages ||
		    st->flags != calls[i].flags)
			fail_msg("%s: %s of %u, %lld pages, flags 0x%llx", calls[i].text, fl_sc_op_name(st->op),
				 st->limit, (long long)st->pages, (unsigned long long)st->flags);
		fl_scenario_free(s);
	}
	s = statement("api U features=thread_id,sigbus", &st);
	assert_true(st->api == FL_UFFD_API && st->features == (FL_UFFD_FEATURE_THREAD_ID | FL_UFFD_FEATURE_SIGBUS));
	fl_scenario_free(s);
	s = statement("api U features=0x8000000000000000 api=0", &st);
	assert_true(!st->api && st->features == 1ull << 63);
	fl_scenario_free(s);
	s = statement("e = ioctl U cmd=0xc018aa3f arg=W+8", &st);
	assert_true(st->cmd == 0xc018aa3f && st->has_into && st->into.offset == 8);
	fl_scenario_free(s);
}

/* It may be opened again, also by another thread, and after `uffd`. */
static void test_open_again(void **state)
{
	struct fl_scenario *s =
		parse("uffd V\nthread a\nthread b { open U; open V }\na: open U nonblock\na: close U\n");

	(void)state;
	assert_int_equal(s->uffds, 2);
	assert_int_equal(s->thread[1].body[0].object, 1);
	assert_int_equal(s->thread[1].body[1].object, 0);
	assert_int_equal(s->thread[0].body[0].object, 1);
	assert_int_equal(s->thread[0].body[1].object, 1);
	fl_scenario_free(s);
}

/* What only the comparison runs, in the words and at the place of the message; NULL: the explorer runs it. */
static const struct {
	const char *text, *what;
	unsigned line, column;
} only[] = {
	{"map A\nthread t\nt: load A\nt: mprotect A prot=3\nt: madvise A 4", NULL, 0, 0},
	{"map A pages=2\nstack = load A\nthread t { mremap A to A[1]; mincore A[1] }", NULL, 0, 0},
	{"unprivileged\nmap A", "`unprivileged`", 0, 0},
	{"map A\nmunmap A bytes=1", "`bytes=`", 2, 1},
	{"map A\nthread t { yield; if 1 { mremap A newbytes=1 } }", "`newbytes=`", 2, 26},
	{"map A\nthread t { if 1 { } else { mlock A flags=0 } }", "`flags=`", 2, 28},
	{"map A\nmmap A hint", "`hint`", 2, 1},
	{"map A\nmremap A maymove", "`maymove`", 2, 1},
	{"map A\nmmap A populate", "`populate`", 2, 1},
	{"map A\nmmap A stack", "`stack`", 2, 1},
	{"map A\nmmap A locked", "`locked`", 2, 1},
	{"map A\nmmap A shared", "`shared`", 2, 1},
	{"map A\nmincore A into=A", "`into=`", 2, 1},
	{"map A\nuffd U\nwake U A arg=A", "`arg=`", 3, 1},
	{"map A\nmprotect A prot=8", "`prot=`", 2, 1},
	{"map A\nmadvise A 5", "advice", 2, 1},
	{"map A\nuffd U\nregister U modes=0 A", "`modes=`", 3, 1},
	{"map A\nuffd U\nregister U modes=9 A", "`modes=`", 3, 1},
	{"map A\nthread t\nt: load A size=16", "`size=16`", 3, 4},
	{"map A pages=2\nthread t\nt: store A+4089 1", "two pages", 3, 4},
	{"map A pages=2\ncopyin A+4095 size=2", "two pages", 2, 1},
	{"thread t\nt: load 0x1000", "is a number", 2, 9},
	{"map A\nthread t\nt: r = load A\nt: load r+8", "result names", 4, 9},
	{"map A pages=2\nr = load A\nmremap A to r", "result names", 3, 13},
	{"map A\nuffd U\ncopy U A from=0x1000", "is a number", 3, 15},
	{"thread t\nt: mmap any pages=1", "`mmap any`", 2, 4},
	{"map A\nmsync A", "`msync`", 2, 1},
	{"mlockall flags=1", "`mlockall`", 1, 1},
	{"munlockall", "`munlockall`", 1, 1},
	{"map A\nsyswrite A", "`syswrite`", 2, 1},
	{"map A\nsysread A fill=1", "`sysread`", 2, 1},
	{"limit as off", "`limit`", 1, 1},
	{"thread t { e = open U }", "`open`", 1, 12},
	{"uffd U\napi U", "`api`", 2, 1},
	{"uffd U\nioctl U cmd=1", "`ioctl`", 2, 1},
};

static void test_only_diff(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(only) / sizeof(only[0]); i++) {
		struct fl_scenario *s = parse(only[i].text);
		struct fl_place place;
		const char *what = fl_sc_only_diff(s, &place);

		if (!what != !only[i].what || (what && !strstr(what, only[i].what)))
			fail_msg("%s\nsays: %s", only[i].text, what ? what : "nothing");
		if (what && (place.line != only[i].line || place.column != only[i].column))
			fail_msg("%s\nsays %s at %u:%u", only[i].text, what, place.line, place.column);
		fl_scenario_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns),     cmocka_unit_test(test_places), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_mmap),      cmocka_unit_test(test_calls),  cmocka_unit_test(test_open_again),
		cmocka_unit_test(test_only_diff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
