/* SPDX-License-Identifier: MIT */
/*
 * The generator writes programs, always the same for a seed, and of everything it is asked for; the shrinker finds the smallest; the
 * table of coverage counts.
 *
 * No locks: one thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "diff/generate.h"
#include "diff/play.h"
#include "diff/report/cover_internal.h"
#include "faultline/errno.h"
#include "faultline/uapi.h"

#define SEEDS 3000u

static struct fl_scenario *parse(uint64_t seed, const char *text)
{
	char *error = NULL;
	struct fl_scenario *s = fl_scenario_parse("generated", text, &error);

	if (!s)
		fail_msg("seed %llu: %s\n%s", (unsigned long long)seed, error ? error : "no memory", text);
	return s;
}

static void test_same_seed_same_program(void **state)
{
	const struct fl_generate_options o = {.root = true};
	unsigned different = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		char *a = fl_generate(seed, &o), *b = fl_generate(seed, &o), *c = fl_generate(seed + 1, &o);

		assert_non_null(a);
		assert_string_equal(a, b);
		different += strcmp(a, c) != 0;
		free(a);
		free(b);
		free(c);
	}
	assert_int_equal(different, 200);
}

static void lower_all(const struct fl_scenario *s)
{
	int64_t *results = calloc(s->results + 1, sizeof(*results));

	/* As if every call that gives an address had given the window's start. */
	for (size_t i = 0; i < s->turns; i++) {
		const struct fl_sc_turn *t = &s->turn[i];
		struct fl_call call[FL_CALLS_MAX];
		char *error = NULL;
		int n = fl_lower(s, &s->thread[t->thread].body[t->statement], t->thread, results, call, &error);

		if (n < 1)
			fail_msg("%s", error ? error : "nothing to do");
	}
	free(results);
}

static void test_every_program_can_be_compared(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct fl_generate_options o = {.root = seed % 8 != 0};
		struct fl_scenario *s;
		char *text, *refused;

		/* Each focus alone, and all of them. */
		if (seed % 3)
			o.focus = 1u << seed % FL_FOCUS_MAX;
		text = fl_generate(seed, &o);
		s = parse(seed, text);
		refused = fl_lower_refuse(s);
		if (refused)
			fail_msg("seed %llu: %s", (unsigned long long)seed, refused);
		lower_all(s);
		fl_scenario_free(s);
		free(text);
	}
}

/* How often each operation was written. */
static void count_ops(unsigned count[FL_SC_OPS], unsigned focus, unsigned seeds)
{
	const struct fl_generate_options o = {.root = true, .focus = focus};

	memset(count, 0, FL_SC_OPS * sizeof(*count));
	for (uint64_t seed = 0; seed < seeds; seed++) {
		char *text = fl_generate(seed, &o);
		struct fl_scenario *s = parse(seed, text);

		for (size_t i = 0; i < s->turns; i++)
			count[s->thread[s->turn[i].thread].body[s->turn[i].statement].op]++;
		fl_scenario_free(s);
		free(text);
	}
}

static void test_every_operation_appears(void **state)
{
	unsigned count[FL_SC_OPS];

	(void)state;
	count_ops(count, 0, SEEDS);
	for (unsigned op = 0; op < FL_SC_OPS; op++) {
		if (fl_cover_rows[op].has == FL_COVER_COMPARED)
			assert_true(count[op] > 20);
		else
			assert_int_equal(count[op], 0);
	}
}

static void test_focus_weighs(void **state)
{
	static const struct {
		const char *focus;
		enum fl_sc_op op;
	} cases[] = {
		{"map", FL_SC_MPROTECT}, {"remap", FL_SC_MREMAP},     {"advice", FL_SC_MADVISE}, {"fork", FL_SC_FORK},
		{"uffd", FL_SC_COPY},    {"lock", FL_SC_MLOCK},       {"limit", FL_SC_LIMIT},    {"access", FL_SC_LOAD},
		{"brk", FL_SC_BRK},      {"pointer", FL_SC_SYSWRITE},
	};
	unsigned all[FL_SC_OPS], some[FL_SC_OPS];

	(void)state;
	count_ops(all, 0, 300);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned bit = 0;

		while (strcmp(fl_focus_name(bit), cases[i].focus))
			bit++;
		count_ops(some, 1u << bit, 300);
		assert_true(some[cases[i].op] > all[cases[i].op]);
	}
	assert_null(fl_focus_name(FL_FOCUS_MAX));
}

static unsigned count_few_maps(unsigned focus, uint64_t seeds)
{
	const struct fl_generate_options o = {.root = true, .focus = focus};
	unsigned n = 0;

	for (uint64_t seed = 0; seed < seeds; seed++) {
		char *text = fl_generate(seed, &o);

		n += strstr(text, "limit maps +") != NULL;
		free(text);
	}
	return n;
}

/* It takes long to fill a process up with mappings. */
static void test_mappings_are_limited_rarely(void **state)
{
	(void)state;
	assert_in_range(count_few_maps(0, 12000), 1, 10);
	assert_in_range(count_few_maps(FL_FOCUS_LIMIT, 2000), 10, 40);
}

static void test_length_is_about_what_was_asked(void **state)
{
	const struct fl_generate_options o = {.root = true, .statements = 100};
	size_t turns = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		char *text = fl_generate(seed, &o);
		struct fl_scenario *s = parse(seed, text);

		turns += s->turns;
		fl_scenario_free(s);
		free(text);
	}
	assert_in_range(turns / 200, 80, 120);
}

/* Nothing may be said that takes memory of the machine away. */
static void test_harmful_advice_is_never_given(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		const struct fl_generate_options o = {.root = true, .focus = FL_FOCUS_ADVICE};
		char *text = fl_generate(seed, &o);
		struct fl_scenario *s = parse(seed, text);

		for (size_t i = 0; i < s->turns; i++) {
			const struct fl_sc_statement *st = &s->thread[s->turn[i].thread].body[s->turn[i].statement];

			if (st->op == FL_SC_MADVISE) {
				assert_int_not_equal(st->advice, FL_MADV_HWPOISON);
				assert_int_not_equal(st->advice, FL_MADV_SOFT_OFFLINE);
			}
		}
		fl_scenario_free(s);
		free(text);
	}
}

/*
 * What the kernel has placed may lie beside memory of the process that executes programs: no statement reaches beyond the result's
 * own pages, or it is refused for its length.
 */
static void test_nothing_reaches_beyond_what_the_kernel_placed(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		const struct fl_generate_options o = {.root = true};
		char *text = fl_generate(seed, &o);
		struct fl_scenario *s = parse(seed, text);
		uint64_t *size = calloc(s->results + 1, sizeof(*size));
		int64_t *results = calloc(s->results + 1, sizeof(*results));

		for (size_t i = 0; i < s->turns; i++) {
			const struct fl_sc_statement *st = &s->thread[s->turn[i].thread].body[s->turn[i].statement];
			uint64_t at, bytes, end;

			if (fl_lower_range(s, st, results, &at, &bytes) && st->range.base == FL_SC_BASE_RESULT) {
				end = st->range.offset + bytes;
				if (size[st->range.result] && bytes < 1ull << 48 && end > size[st->range.result])
					fail_msg("seed %llu, `%s` reaches beyond", (unsigned long long)seed, st->text);
			}
			if (st->has_other && st->other.base == FL_SC_BASE_RESULT && size[st->other.result])
				assert_in_range(st->other.offset, 0, size[st->other.result]);
			if (st->result < 0 || st->op == FL_SC_READ || st->op == FL_SC_BRK)
				continue;
			bytes = st->op == FL_SC_MREMAP ? (st->has_newbytes ? st->newbytes : (uint64_t)st->pages * 4096)
				: st->has_bytes        ? st->bytes
				: st->op == FL_SC_MMAP ? bytes
						       : (uint64_t)st->pages * 4096;
			size[st->result] = (bytes + 4095) & ~4095ull;
		}
		free(size);
		free(results);
		fl_scenario_free(s);
		free(text);
	}
}

/* A predicate over texts, and how often it was asked. */
struct asked {
	const char *needs[4];
	unsigned n;
};

static bool has_all(void *arg, const char *text)
{
	struct asked *a = arg;

	a->n++;
	for (unsigned i = 0; i < 4 && a->needs[i]; i++) {
		if (!strstr(text, a->needs[i]))
			return false;
	}
	return true;
}

/* Only programs count. */
static bool parses_and_has_all(void *arg, const char *text)
{
	char *error = NULL;
	struct fl_scenario *s = fl_scenario_parse("candidate", text, &error);
	bool still = s && has_all(arg, text);

	fl_scenario_free(s);
	free(error);
	return still;
}

static void test_shrinks_to_the_lines_that_matter(void **state)
{
	struct asked a = {.needs = {"seven\n", "thirty\n"}};
	char *text = calloc(1, 8192), *small;
	unsigned rounds = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		sprintf(text + strlen(text), "%s\n", i == 7 ? "seven" : i == 30 ? "thirty" : "noise");
	small = fl_shrink(text, has_all, &a, &rounds);
	assert_string_equal(small, "seven\nthirty\n");
	assert_int_equal(rounds, a.n);
	assert_in_range(rounds, 1, 200);
	free(small);
}

static void test_shrinks_what_stands_in_lines(void **state)
{
	static const char program[] = "place W pages=64 at=16\n"
				      "thread main\n"
				      "thread other\n"
				      "thread child in C\n"
				      "main: mmap W[20:40] prot=rw noreserve populate\n"
				      "other: p1 = mmap any pages=3 prot=rw\n"
				      "main: fork C\n"
				      "child: load W[21]+8 size=4\n"
				      "other: e = mprotect W[22:30] prot=r\n"
				      "other: store W[23]+4090 0x1234 size=2\n";
	struct asked a = {.needs = {"mprotect W[", "store W["}};
	char *small = fl_shrink(strdup(program), parses_and_has_all, &a, NULL);

	(void)state;
	/* `mprotect` needs its prot=, and a store its value; what is in two pages stays in two. */
	assert_string_equal(small, "place W pages=2\nthread main\nmain: mprotect W[0] prot=r\nmain: store W[1] 0\n");
	free(small);
}

static void test_shrinking_ends(void **state)
{
	const struct fl_generate_options o = {.root = true, .statements = 60};

	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct asked a = {.needs = {"mprotect"}};
		char *text = fl_generate(seed, &o), *small;
		unsigned rounds;

		if (!strstr(text, "mprotect")) {
			free(text);
			continue;
		}
		small = fl_shrink(text, parses_and_has_all, &a, &rounds);
		assert_in_range(rounds, 1, 3000);
		assert_non_null(strstr(small, "mprotect"));
		assert_in_range(strlen(small), 1, 160);
		free(small);
	}
}

static void test_coverage_counts(void **state)
{
	struct fl_cover *c = calloc(1, sizeof(*c));
	struct fl_answer a = {.state = FL_ANSWER_DONE};

	(void)state;
	assert_int_equal(fl_cover_cells(c), 0);
	a.state = FL_ANSWER_NONE;
	fl_cover_note(c, FL_SC_LOAD, FL_DIFF_KIND_ANON, &a);
	assert_int_equal(fl_cover_cells(c), 0);
	a.state = FL_ANSWER_DONE;
	fl_cover_note(c, FL_SC_MUNMAP, FL_DIFF_KIND_ANON, &a);
	fl_cover_note(c, FL_SC_MUNMAP, FL_DIFF_KIND_ANON, &a);
	assert_int_equal(fl_cover_cells(c), 1);
	a.ret = -FL_EINVAL;
	fl_cover_note(c, FL_SC_MUNMAP, FL_DIFF_KIND_ANON, &a);
	fl_cover_note(c, FL_SC_LOAD, FL_DIFF_KIND_ANON, &a); /* a value that looks like an error */
	assert_int_equal(c->seen[FL_SC_MUNMAP][FL_DIFF_KIND_ANON][FL_COVER_FINE], 2);
	assert_int_equal(c->seen[FL_SC_MUNMAP][FL_DIFF_KIND_ANON][FL_COVER_EINVAL], 1);
	assert_int_equal(c->seen[FL_SC_LOAD][FL_DIFF_KIND_ANON][FL_COVER_FINE], 1);
	a.ret = 0;
	a.signo = 11;
	a.si_code = FL_SEGV_ACCERR;
	fl_cover_note(c, FL_SC_LOAD, FL_DIFF_KIND_READONLY, &a);
	a.si_code = FL_SEGV_MAPERR;
	fl_cover_note(c, FL_SC_LOAD, FL_DIFF_KIND_HOLE, &a);
	a.signo = 7;
	a.si_code = FL_BUS_ADRERR;
	fl_cover_note(c, FL_SC_LOAD, FL_DIFF_KIND_UFFD, &a);
	a = (struct fl_answer){.state = FL_ANSWER_ASLEEP};
	fl_cover_note(c, FL_SC_LOAD, FL_DIFF_KIND_UFFD, &a);
	assert_int_equal(c->seen[FL_SC_LOAD][FL_DIFF_KIND_READONLY][FL_COVER_ACCERR], 1);
	assert_int_equal(c->seen[FL_SC_LOAD][FL_DIFF_KIND_HOLE][FL_COVER_MAPERR], 1);
	assert_int_equal(c->seen[FL_SC_LOAD][FL_DIFF_KIND_UFFD][FL_COVER_BUS], 1);
	assert_int_equal(c->seen[FL_SC_LOAD][FL_DIFF_KIND_UFFD][FL_COVER_ASLEEP], 1);
	assert_int_equal(fl_cover_cells(c), 7);
	free(c);
}

/* Each operation of the language has its row, so none is forgotten in the table. */
static void test_every_operation_has_a_row(void **state)
{
	(void)state;
	for (unsigned op = 0; op < FL_SC_OPS; op++) {
		const struct fl_cover_row *row = &fl_cover_rows[op];

		assert_non_null(row->source);
		assert_int_equal(row->can & row->later, 0);
		assert_true((row->can != 0) == (row->has != FL_COVER_NOT_COMPARED));
	}
	for (unsigned code = 0; code < FL_COVER_CODES_USED; code++)
		assert_non_null(fl_cover_code_name((enum fl_cover_code)code));
}

static void test_coverage_is_printed(void **state)
{
	struct fl_cover *c = calloc(1, sizeof(*c));
	struct fl_answer a = {.state = FL_ANSWER_DONE, .ret = -FL_EBUSY};

	(void)state;
	fl_cover_note(c, FL_SC_MSYNC, FL_DIFF_KIND_LOCKED, &a);
	for (unsigned markdown = 0; markdown < 2; markdown++) {
		size_t n;
		char *text = NULL;
		FILE *f = open_memstream(&text, &n);

		fl_cover_print(c, markdown, f);
		fclose(f);
		assert_non_null(strstr(text, "EBUSY 1"));
		assert_non_null(strstr(text, "never reached"));
		assert_non_null(strstr(text, "UFFDIO_MOVE"));
		assert_non_null(strstr(text, "hugetlb"));
		assert_int_equal(strstr(text, "| `msync` |") != NULL, markdown);
		free(text);
	}
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_seed_same_program),
		cmocka_unit_test(test_every_program_can_be_compared),
		cmocka_unit_test(test_every_operation_appears),
		cmocka_unit_test(test_focus_weighs),
		cmocka_unit_test(test_mappings_are_limited_rarely),
		cmocka_unit_test(test_length_is_about_what_was_asked),
		cmocka_unit_test(test_harmful_advice_is_never_given),
		cmocka_unit_test(test_nothing_reaches_beyond_what_the_kernel_placed),
		cmocka_unit_test(test_shrinks_to_the_lines_that_matter),
		cmocka_unit_test(test_shrinks_what_stands_in_lines),
		cmocka_unit_test(test_shrinking_ends),
		cmocka_unit_test(test_coverage_counts),
		cmocka_unit_test(test_every_operation_has_a_row),
		cmocka_unit_test(test_coverage_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
