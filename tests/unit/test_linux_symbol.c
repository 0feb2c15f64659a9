/* SPDX-License-Identifier: MIT */
/* Counts of faults by instruction: this program's own functions are found again, with file and line, and added up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "linux/symbol.h"

__attribute__((noinline)) static int a_function_to_find(int x)
{
	__asm__ volatile("" ::: "memory");
	return x + 1;
}

static char *top(struct fl_symbols *s, unsigned n)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	fl_symbols_write_top(s, out, n);
	fclose(out);
	return text;
}

static void own_function_is_named(void **state)
{
	struct fl_symbols *s = fl_symbols_new();
	uint64_t here = (uint64_t)(uintptr_t)a_function_to_find;
	char *text;

	(void)state;
	assert_non_null(s);
	for (int i = 0; i < 3; i++)
		fl_symbols_count(s, 1, getpid(), here);
	/* The same file in another program: added to the first. */
	fl_symbols_count(s, 2, getpid(), here);
	text = top(s, 5);
	assert_non_null(strstr(text, "a_function_to_find"));
	assert_non_null(strstr(text, "test_linux_symbol.c:"));
	assert_non_null(strstr(text, "         4  100.0%"));
	free(text);
	fl_symbols_free(s);
}

static void code_without_file_is_one_line(void **state)
{
	struct fl_symbols *s = fl_symbols_new();
	char *text;

	(void)state;
	assert_non_null(s);
	for (uint64_t i = 0; i < 10000; i++)
		fl_symbols_count(s, 1, getpid(), 0x10 + i);
	text = top(s, 5);
	assert_string_equal(text, "     10000  100.0%  [code without a file]\n");
	free(text);
	fl_symbols_free(s);
}

static void top_is_cut_and_ordered(void **state)
{
	struct fl_symbols *s = fl_symbols_new();
	char *text;

	(void)state;
	assert_non_null(s);
	for (int i = 0; i < 9; i++)
		fl_symbols_count(s, 1, getpid(), (uint64_t)(uintptr_t)a_function_to_find);
	fl_symbols_count(s, 1, getpid(), (uint64_t)(uintptr_t)top);
	text = top(s, 1);
	assert_non_null(strstr(text, "a_function_to_find"));
	assert_null(strstr(text, "top"));
	assert_non_null(strstr(text, " 90.0%"));
	free(text);
	fl_symbols_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_function_is_named),
		cmocka_unit_test(code_without_file_is_one_line),
		cmocka_unit_test(top_is_cut_and_ordered),
	};

	(void)a_function_to_find(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
