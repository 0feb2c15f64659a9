/* SPDX-License-Identifier: MIT */
/*
 * The scenario language: what the parser makes of good texts, and what expressions come to.
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
#include "faultline/errno.h"
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

static const char race[] =
	"# SPDX-License-Identifier: MIT\n"
	"# Who is first?\n"
	"# Or last?\n"
	"#\n"
	"# More of it.\n"
	"arch x86-64\n"
	"geometry full\n"
	"kernel 6.18\n"
	"policy none\n"
	"frames 32\n"
	"memory tso\n"
	"bound preemptions=3 schedules=100000 events=5000\n"
	"inject alloc=1\n"
	"engine only   # it says why\n"
	"allow deadlock, leak\n"
	"map A pages=2 prot=rw\n"
	"map B shmem shared at=600 prot=r noreserve locked\n"
	"map S stack\n"
	"place AB at=1 pages=8\n"
	"uffd U features=sigbus,thread_id nonblock user_only missing wp A[0:2]\n"
	"var x = -3\n"
	"var y\n"
	"s = load A\n"
	"thread one {\n"
	"  r = copy U A[1] fill=0x11 dontwake wp; e = move U A from=A[1] holes\n"
	"  m = read U nonblock\n"
	"  if m.event == PAGEFAULT and s == 0 { wake U A } else if r != 0 { yield } else { exit }\n"
	"  retry 3 { e = copy U A from=A+0 } while e == EAGAIN\n"
	"  f = fork C\n"
	"  await x > r and\n"
	"    y == 2\n"
	"}\n"
	"thread two in C may block { free A; store S-8 -1 size=4; signal one fatal; set x m2 + 1; m2 = get y }\n"
	"thread three { mremap A to B pages=3 dontunmap; writeprotect U A on; brk -2; mmap A[1] noreplace\n"
	"  register U minor missing A; mprotect A prot=none; p = poll U }\n"
	"always m.address == A[1]+8 or m.thread == two\n"
	"sometimes [A+8 size=2 in C] == 0x22\n"
	"never resident(A[0:1] in C) == tables(C) + vmas * frames & messages(U)\n";

static void check_names(const struct fl_scenario *s)
{
	assert_string_equal(s->path, "t.fl");
	assert_string_equal(s->text, race);
	assert_string_equal(s->question, "Who is first?\nOr last?");
	assert_string_equal(s->arch, "x86-64");
	assert_string_equal(s->kernel, "6.18");
	assert_string_equal(s->policy, "none");
	assert_true(s->full_tables && s->engine_only);
	assert_int_equal(s->frames, 32);
	assert_int_equal(s->memory, FL_EXPLORE_TSO);
	assert_int_equal(s->preemptions, 3);
	assert_int_equal(s->schedules, 100000);
	assert_int_equal(s->events, 5000);
	assert_int_equal(s->alloc_fails, 1);
	assert_int_equal(s->allow, 1u << FL_EXPLORE_DEADLOCK | 1u << FL_EXPLORE_LEAK);
	assert_int_equal(s->maps, 4);
	assert_int_equal(s->uffds, 1);
	assert_int_equal(s->processes, 1);
	assert_string_equal(s->process[0].name, "C");
	assert_int_equal(s->variables, 2);
	assert_int_equal(s->initial[0], -3);
	assert_int_equal(s->initial[1], 0);
	assert_int_equal(s->results, 7);
	assert_string_equal(s->result[0].name, "s");
	assert_int_equal(s->result[0].thread, FL_SC_SETUP);
	assert_string_equal(s->result[3].name, "m");
	assert_int_equal(s->result[3].type, FL_SC_MESSAGE);
	assert_int_equal(s->result[3].thread, 0);
}

/* Each has a page of its own between free ones; what at= says is kept; a stack has room below. */
static void check_maps(const struct fl_scenario *s)
{
	const struct fl_sc_map *a = &s->map[0], *b = &s->map[1], *stack = &s->map[2], *place = &s->map[3];

	assert_int_equal(place->page, 1);
	assert_true(place->hole);
	assert_true(a->page >= place->page + place->pages + 1);
	assert_int_equal(a->pages, 2);
	assert_int_equal(a->prot, FL_PROT_READ | FL_PROT_WRITE);
	assert_int_equal(b->memory, FL_SC_SHMEM);
	assert_true(b->shared && b->noreserve && b->locked && !b->stack);
	assert_int_equal(b->page, 600);
	assert_int_equal(b->prot, FL_PROT_READ);
	assert_true(stack->stack);
	assert_true(stack->page >= a->page + a->pages + 512);
}

static void check_setup(const struct fl_scenario *s)
{
	assert_int_equal(s->setups, 5);
	assert_int_equal(s->setup[0].op, FL_SC_MAP);
	assert_int_equal(s->setup[1].range.map, 1);
	assert_string_equal(s->setup[1].text, "map B shmem shared at=600 prot=r noreserve locked");
	assert_int_equal(s->setup[3].op, FL_SC_UFFD);
	assert_int_equal(s->setup[3].modes, FL_UFFDIO_REGISTER_MODE_MISSING | FL_UFFDIO_REGISTER_MODE_WP);
	assert_int_equal(s->setup[3].features, FL_UFFD_FEATURE_SIGBUS | FL_UFFD_FEATURE_THREAD_ID);
	assert_true(s->setup[3].nonblock && s->setup[3].user_only);
	assert_int_equal(s->setup[3].range.length, 2 * 4096);
	assert_int_equal(s->setup[4].op, FL_SC_LOAD);
	assert_int_equal(s->setup[4].result, 0);
	assert_true(s->setup[4].range.whole);
	assert_int_equal(s->setup[4].place.line, 23);
}

static void check_first_thread(const struct fl_scenario *s)
{
	const struct fl_sc_statement *st = s->thread[0].body;

	assert_int_equal(s->thread[0].bodies, 7);
	assert_int_equal(st[0].op, FL_SC_COPY);
	assert_true(st[0].dontwake && st[0].wp && !st[0].has_other);
	assert_int_equal(st[0].value->number, 0x11);
	assert_int_equal(st[0].range.offset, 4096);
	assert_string_equal(st[0].text, "r = copy U A[1] fill=0x11 dontwake wp");
	assert_int_equal(st[1].op, FL_SC_MOVE);
	assert_true(st[1].has_other && st[1].holes);
	assert_int_equal(st[1].other.offset, 4096);
	assert_int_equal(st[1].place.line, 25);
	assert_int_equal(st[1].place.column, 42);
	assert_true(st[2].nonblock);
	assert_int_equal(st[3].op, FL_SC_IF);
	assert_string_equal(st[3].text, "if m.event == PAGEFAULT and s == 0");
	assert_int_equal(st[3].bodies, 1);
	assert_int_equal(st[3].orelses, 1);
	assert_int_equal(st[3].orelse[0].op, FL_SC_IF);
	assert_int_equal(st[3].orelse[0].orelse[0].op, FL_SC_EXIT);
	assert_int_equal(st[4].op, FL_SC_RETRY);
	assert_int_equal(st[4].times, 3);
	assert_non_null(st[4].condition);
	assert_int_equal(st[4].body[0].result, st[1].result);
	assert_int_equal(st[5].op, FL_SC_FORK);
	assert_int_equal(st[5].object, 0);
	assert_string_equal(st[6].text, "await x > r and y == 2");
}

static void check_other_threads(const struct fl_scenario *s)
{
	const struct fl_sc_statement *two = s->thread[1].body, *three = s->thread[2].body;

	assert_int_equal(s->threads, 3);
	assert_int_equal(s->thread[0].process, 0);
	assert_int_equal(s->thread[1].process, 1);
	assert_true(s->thread[1].may_block && !s->thread[0].may_block);
	assert_int_equal(two[0].op, FL_SC_MADVISE);
	assert_int_equal(two[0].advice, FL_MADV_FREE);
	assert_true(two[1].range.offset == (uint64_t)-8);
	assert_int_equal(two[1].size, 4);
	assert_int_equal(two[1].value->kind, FL_SC_E_NEG);
	assert_true(two[2].fatal);
	assert_int_equal(two[2].object, 0);
	assert_int_equal(two[3].op, FL_SC_SET);
	assert_int_equal(two[3].object, 0);
	assert_int_equal(three[0].pages, 3);
	assert_true(three[0].dontunmap && three[0].has_other);
	assert_int_equal(three[0].other.map, 1);
	assert_int_equal(three[1].modes, 1);
	assert_int_equal(three[2].pages, -2);
	assert_true(three[3].noreplace);
	assert_int_equal(three[4].modes, FL_UFFDIO_REGISTER_MODE_MINOR | FL_UFFDIO_REGISTER_MODE_MISSING);
	assert_int_equal(three[5].prot, FL_PROT_NONE);
}

static void check_properties(const struct fl_scenario *s)
{
	const struct fl_sc_expr *e;

	assert_int_equal(s->properties, 3);
	assert_int_equal(s->property[0].when, FL_SC_ALWAYS);
	assert_string_equal(s->property[0].text, "m.address == A[1]+8 or m.thread == two");
	e = s->property[0].expr->left;
	assert_int_equal(e->left->kind, FL_SC_E_RESULT);
	assert_int_equal(e->left->field, FL_SC_F_ADDRESS);
	assert_int_equal(e->right->kind, FL_SC_E_ADDRESS);
	assert_int_equal(e->right->number, (int64_t)(s->map[0].page * 4096 + 4096 + 8));
	assert_int_equal(fl_sc_address(s, &e->right->range), (uint64_t)e->right->number);
	e = s->property[0].expr->right;
	assert_int_equal(e->right->number, 1);
	e = s->property[1].expr->left;
	assert_int_equal(s->property[1].when, FL_SC_SOMETIMES);
	assert_int_equal(e->kind, FL_SC_E_MEMORY);
	assert_int_equal(e->size, 2);
	assert_int_equal(e->process, 1);
	assert_int_equal(e->range.offset, 8);
	e = s->property[2].expr;
	assert_int_equal(s->property[2].when, FL_SC_NEVER);
	assert_int_equal(e->left->count, FL_SC_C_RESIDENT);
	assert_int_equal(e->left->index, 1);
	assert_int_equal(e->left->range.length, 4096);
	assert_int_equal(e->right->binary, FL_SC_BITAND);
	assert_int_equal(e->right->left->binary, FL_SC_PLUS);
	assert_int_equal(e->right->left->right->binary, FL_SC_TIMES);
}

static void test_tree(void **state)
{
	struct fl_scenario *s = parse(race);

	(void)state;
	check_names(s);
	check_maps(s);
	check_setup(s);
	check_first_thread(s);
	check_other_threads(s);
	check_properties(s);
	fl_scenario_free(s);
	fl_scenario_free(NULL);
}

static void test_defaults(void **state)
{
	struct fl_scenario *s = parse("");

	(void)state;
	assert_string_equal(s->question, "");
	assert_string_equal(s->arch, "x86-64");
	assert_int_equal(s->frames, 64);
	assert_int_equal(s->preemptions, -1);
	assert_false(s->full_tables);
	assert_int_equal(s->threads, 0);
	fl_scenario_free(s);
}

/* A context: results are 10 and up by their index, fields add 100 each; variables 20; what is odd stays unset. */
struct seen {
	unsigned calls;
};

static int64_t see_result(void *arg, unsigned index, enum fl_sc_field field)
{
	((struct seen *)arg)->calls++;
	return index == 1 ? FL_SC_UNSET : index == 2 ? -FL_EEXIST : 10 + index + 100 * (int64_t)field;
}

static int64_t see_variable(void *arg, unsigned index)
{
	((struct seen *)arg)->calls++;
	return 20 + index;
}

static int64_t see_memory(void *arg, unsigned process, const struct fl_sc_range *range, unsigned size)
{
	(void)arg;
	return (int64_t)(1000 * process + range->offset + size);
}

static int64_t see_count(void *arg, enum fl_sc_count count, unsigned index, const struct fl_sc_range *range)
{
	(void)arg;
	return (int64_t)(100 * (unsigned)count + 10 * index + range->offset / 4096);
}

static bool see_blocked(void *arg, unsigned thread)
{
	(void)arg;
	return thread == 1;
}

/* What each comes to, and how many names had to be looked at (-1: it does not matter). */
static const struct {
	const char *expr;
	int64_t value;
	int calls;
} sums[] = {
	{"12", 12, 0},
	{"0x10 + 2 * 3 - 1", 21, 0},
	{"7 & 2 + 1", 3, 0},
	{"2 * (3 + 4)", 14, 0},
	{"10 - 3 - 2", 5, 0},
	{"-3 - -4", 1, 0},
	{"0xffffffffffffffff", -1, 0},
	{"0x7fffffffffffffff + 1", INT64_MIN, 0},
	{"a", 10, 1},
	{"e == EEXIST", 1, 1},
	{"e == -17", 1, 1},
	{"e < 0 and e >= EEXIST and e <= EEXIST and not e > EEXIST", 1, 4},
	{"x + y", 41, 2},
	{"m", 113, 1},
	{"m.event", 113, 1},
	{"m.flags & WRITE", 1, 1},
	{"m.address - m", 100, 2},
	{"PAGEFAULT", FL_UFFD_EVENT_PAGEFAULT, 0},
	{"POLLIN + POLLERR", 9, 0},
	{"one + two * 10", 10, 0},
	{"B - A == 0x2000", 1, 0},
	{"B+8 - A", 0x2008, 0},
	{"[A+8]", 16, 0},
	{"[A size=4 in C]", 1004, 0},
	{"retries(two)", 110, 0},
	{"resident(A) + resident(A in C)", 610 + 0, 0},
	{"vmas(C)", 410, 0},
	{"frames", 600, 0},
	{"blocked(two) and not blocked(one)", 1, 0},
	/* no further than it must */
	{"a == 10 or a == x", 1, 1},
	{"a == 11 and a == x", 0, 1},
	{"a == 11 implies a == x", 1, 1},
	{"a == 10 implies a == 11", 0, 2},
	{"a in { 1, 10, x }", 1, 1},
	{"a not in { 1, x }", 1, 2},
	{"a not in { 1, 10 }", 0, 1},
	{"1 implies 0 implies 0", 1, 0},
	{"0 and 0 or 1", 1, 0},
	{"not 0 and 0", 0, 0},
	{"not 1 == 2", 1, 0},
	/* unset */
	{"u", FL_SC_UNSET, 1},
	{"u == UNSET", 1, 1},
	{"u != UNSET", 0, 1},
	{"a == UNSET", 0, 1},
	{"u == 5", 0, 1},
	{"u != 5", 1, 1},
	{"u < 5 or u > 5 or u <= 5 or u >= 5", 0, 4},
	{"u < UNSET or u <= UNSET", 0, 2},
	{"u + 1", FL_SC_UNSET, 1},
	{"1 - u", FL_SC_UNSET, 1},
	{"u * 0", FL_SC_UNSET, 1},
	{"u & 0", FL_SC_UNSET, 1},
	{"-u", FL_SC_UNSET, 1},
	{"u and 1", 0, 1},
	{"not u", 1, 1},
	{"u implies 0", 1, 1},
	{"u in { 1, UNSET }", 1, 1},
	{"u in { 1, 2 }", 0, 1},
};

static void test_evaluate(void **state)
{
	struct seen seen;
	struct fl_sc_context context = {&seen, see_result, see_variable, see_memory, see_count, see_blocked};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
		struct fl_scenario *s;
		int64_t value;

		snprintf(text, sizeof(text),
			 "map A\nmap B\nuffd U missing A\nvar x\nvar y\n"
			 "thread one { a = load A; u = load A; e = load A; m = read U; fork C }\n"
			 "thread two { }\nalways %s\n",
			 sums[i].expr);
		s = parse(text);
		seen.calls = 0;
		value = fl_sc_evaluate(s->property[0].expr, &context);
		if (value != sums[i].value)
			fail_msg("%s: expected %lld, found %lld", sums[i].expr, (long long)sums[i].value,
				 (long long)value);
		if ((int)seen.calls != sums[i].calls)
			fail_msg("%s: looked at %u names, not %d", sums[i].expr, seen.calls, sums[i].calls);
		assert_int_equal(fl_sc_holds(s->property[0].expr, &context), value != 0 && value != FL_SC_UNSET);
		assert_string_equal(s->property[0].text, sums[i].expr);
		fl_scenario_free(s);
	}
}

static void test_values(void **state)
{
	int64_t value;
	unsigned names = 0;

	(void)state;
	for (int64_t v = -1200; v < 0; v++) {
		const char *name = fl_sc_value_name(v);

		if (!name)
			continue;
		names++;
		assert_true(fl_sc_value_by_name(name, &value));
		assert_int_equal(value, v);
	}
	assert_int_equal(names, 27);
	assert_string_equal(fl_sc_value_name(-FL_EEXIST), "EEXIST");
	assert_string_equal(fl_sc_value_name(FL_SC_UNSET), "UNSET");
	assert_null(fl_sc_value_name(FL_UFFD_EVENT_FORK));
	assert_null(fl_sc_value_name(-7));
	assert_true(fl_sc_value_by_name("REMOVE", &value));
	assert_int_equal(value, FL_UFFD_EVENT_REMOVE);
	assert_false(fl_sc_value_by_name("EGREGIOUS", &value));
}

/* Each row says how it is written, and begins with its own name. */
static void test_rows(void **state)
{
	(void)state;
	for (unsigned op = 0; op < FL_SC_OPS; op++) {
		const char *name = fl_sc_op_name((enum fl_sc_op)op);

		assert_non_null(name);
		assert_int_equal(strncmp(fl_sc_op_usage((enum fl_sc_op)op), name, strlen(name)), 0);
		assert_true(strlen(fl_sc_op_help((enum fl_sc_op)op)) > 5);
		for (unsigned other = 0; other < op; other++)
			assert_string_not_equal(name, fl_sc_op_name((enum fl_sc_op)other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),   cmocka_unit_test(test_defaults), cmocka_unit_test(test_evaluate),
		cmocka_unit_test(test_values), cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
