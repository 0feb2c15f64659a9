/* SPDX-License-Identifier: MIT */
/*
 * The scenario language: what the parser says of bad texts.
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

/* Each text has one error: where, and words that its message must have. */
static const struct {
	const char *text, *place, *words[3];
} bad[] = {
	/* letters and numbers */
	{"map A @", "1:7", {"'@' means nothing"}},
	{"map \xc3\xa4", "1:5", {"byte 0xc3", "comment"}},
	{"map A pages=0x", "1:13", {"hexadecimal digits"}},
	{"map A pages=12ab", "1:13", {"found '12a'"}},
	{"map A pages=99999999999999999999", "1:13", {"64 bits"}},
	/* what may begin a line */
	{"mpa A", "1:1", {"expected a statement, a thread or a property", "did you mean 'map'?"}},
	{"map A\nthraed t { }", "2:1", {"found 'thraed'", "'thread'"}},
	{"thread t { lode A }", "1:12", {"expected a statement", "'load'"}},
	{"} ", "1:1", {"expected a statement, a thread or a property, found '}'"}},
	{"map A }", "1:7", {"expected an option", "found '}'"}},
	{"var x = 1 }", "1:11", {"expected the end of the line, found '}'"}},
	{"map", "1:4", {"expected a name for the memory", "the end of the file"}},
	{"thread t\n{ }", "1:9", {"expected 'in PROCESS', 'may block' or '{'", "the end of the line"}},
	{"thread t may wait { }", "1:14", {"expected 'block', found 'wait'"}},
	{"thread t { yield\n", "2:1", {"the end of the file", "'{' of line 1"}},
	{"thread t { yield } yield", "1:20", {"expected the end of the line"}},
	{"thread t { map A }", "1:12", {"`map` belongs to the setup"}},
	{"map A\nexit", "2:1", {"`exit` belongs into a thread"}},
	/* settings */
	{"map A\nframes 3", "2:1", {"`frames` is a setting", "first"}},
	{"frames 3\nframes 4", "2:1", {"`frames` is there twice"}},
	{"frames lots", "1:8", {"expected a number of frames, found 'lots'"}},
	{"frames 0", "1:8", {"1 to 4096"}},
	{"memory pso", "1:8", {"expected sc or tso, found 'pso'"}},
	{"geometry smal", "1:10", {"expected small or full", "did you mean 'small'?"}},
	{"bound 3", "1:7", {"expected preemptions=, schedules= or events=, found '3'"}},
	{"inject alloc 1", "1:8", {"expected alloc="}},
	{"engine first", "1:8", {"expected 'only'"}},
	{"allow deadlok", "1:7", {"expected a finding", "'deadlock'"}},
	/* declarations */
	{"map A anno", "1:7", {"found 'anno'", "did you mean 'anon'?"}},
	{"map A prot=rq", "1:12", {"expected a protection", "'rq'"}},
	{"map A prot=rr", "1:12", {"expected a protection"}},
	{"map A pages=5000", "1:13", {"1 to 4096"}},
	{"map A at=4095 pages=2", "1:5", {"'A' would end at page 4097"}},
	{"map A at=3 pages=2\nmap B at=4", "2:5", {"'B' (pages 4 to 4) lies over 'A' (pages 3 to 4) of line 1"}},
	{"place A prot=r", "1:9", {"expected pages=, at= or the end of the line"}},
	{"map A\nmap A", "2:5", {"'A' is already a mapping, of line 1"}},
	{"map A\nuffd A", "2:6", {"'A' is already a mapping"}},
	{"map EEXIST", "1:5", {"expected a name", "name of a value"}},
	{"map faults", "1:5", {"expected a name", "word of the language"}},
	{"map a_name_of_thirty_letters_or_so", "1:5", {"at most 23 letters"}},
	{"var x = y", "1:9", {"expected a number, found 'y'"}},
	/* names */
	{"map A1\nload A2", "2:6", {"there is no mapping 'A2'; did you mean 'A1'?"}},
	{"map A\nthread t { wake A A }", "2:17", {"expected a userfaultfd, found 'A', which is a mapping, of line 1"}},
	{"load A\nmap A", "1:6", {"setup is done in order", "line 2"}},
	{"map A\nthread t in C { load A }", "2:13", {"nobody forks 'C'"}},
	{"thread t in C { fork C }", "1:22", {"'C' would have to fork itself"}},
	{"thread t in C { fork D }\nthread u in D { fork C }", "1:22", {"fork itself"}},
	{"thread t { repeat 2 { fork C } }", "1:28", {"in a loop"}},
	{"thread t { fork C; fork C }", "1:25", {"'C' is already a process"}},
	{"thread t { fork t }", "1:17", {"'t' is already a thread"}},
	{"map A\nthread t { r = load A }\nalways s == 1", "3:8", {"nobody binds or declares 's'"}},
	{"map A\nthread t { reader = load A }\nalways raeder == 1", "3:8", {"did you mean 'reader'?"}},
	{"map A\nthread t { r = load A }\nalways r == EXIST", "3:13", {"did you mean 'EEXIST'?"}},
	{"map A\nthread t { r = load A }\nthread u { r = load A }", "3:12", {"result of another thread", "line 2"}},
	{"map A\nthread t { r = load A }\nthread u { if r == 1 { yield } }", "3:15", {"another thread", "`var`"}},
	{"map A\nuffd U missing A\nthread t { m = load A; m = read U }", "3:24", {"a message in one place"}},
	{"thread t { r = yield }", "1:12", {"`yield` has no result"}},
	{"uffd U\nalways U == 1", "2:8", {"'U' is a userfaultfd", "no value"}},
	{"map A\nthread t { r = load A }\nalways r.event == 1", "3:9", {"'r' is a number and has no parts"}},
	{"map A\nuffd U missing A\nthread t { m = read U }\nalways m.adress == A",
	 "4:10",
	 {"found 'adress'", "'address'"}},
	{"thread t { signal u }", "1:19", {"there is no thread 'u'"}},
	/* ranges */
	{"map A\nload A[1]", "2:8", {"'A' has 1 page (4096 bytes); this is outside of it"}},
	{"map A pages=2\nmunmap A[1:3]", "2:10", {"'A' has 2 pages", "outside"}},
	{"map A pages=2\nmunmap A[1:1]", "2:10", {"1:1, which is empty"}},
	{"map A pages=2\nload A[0:1]", "2:9", {"expected ']', found ':'", "one place"}},
	{"map A\nload A+4096", "2:8", {"outside of it"}},
	{"map A\nload A-8", "2:8", {"only a stack"}},
	{"map A pages=2\nload A+8188", "2:6", {"'A' has 2 pages (8192 bytes)", "8 bytes from here reach beyond"}},
	{"map A pages=2\nadd A+4092 1", "2:5", {"8 bytes from here lie in two pages"}},
	{"map A\nalways A+4096 == 1", "2:10", {"outside of it"}},
	{"map A\nalways [A[1]] == 0", "2:11", {"outside of it"}},
	/* statements */
	{"map A\nload", "2:5", {"expected a mapping's name, found the end of the file"}},
	{"map A\nstore A", "2:8", {"expected a value"}},
	{"map A\nstore A 1 size=3", "2:16", {"1, 2, 4, 8 or 16, found 3"}},
	{"map A\nstore A 1 size 4", "2:11", {"'size' without '='"}},
	{"map A\nstore A 1 szie=4", "2:11", {"did you mean 'size='?"}},
	{"map A\nadd A 1 size=2", "2:1", {"4 or 8"}},
	{"map A\nmprotect A", "2:11", {"expected prot=, found the end of the file"}},
	{"map A\nmprotect A r", "2:12", {"prot=", "'r'"}},
	{"map A\nmadvise A dontned", "2:11", {"did you mean 'dontneed'?"}},
	{"map A\nmremap A B", "2:10", {"expected 'to' and a place, or pages=, found 'B'"}},
	{"map A\nuffd U missing A\ncopy U A", "3:9", {"expected fill= or from="}},
	{"map A\nuffd U missing A\ncopy U A fill=1 from=A", "3:23", {"one of fill= and from="}},
	{"map A\nuffd U missing A\ncopy U A fill=1 dontwake dontwake", "3:26", {"'dontwake' is there twice"}},
	{"map A\nuffd U missing A\ncopy U A fill=1 quick",
	 "3:17",
	 {"from=, dontwake, wp, bytes=, flags=, arg= or the end of the statement"}},
	{"map A\nuffd U mising A", "2:8", {"expected features=", "'mising'"}},
	{"map A\nuffd U missing missing A", "2:16", {"'missing' is there twice"}},
	{"map A\nuffd U features=sigbuss", "2:17", {"did you mean 'sigbus'?"}},
	{"brk 3", "1:5", {"+N or -N"}},
	{"thread t { repeat x { } }", "1:19", {"expected a number of times"}},
	{"thread t { retry 3 { yield } }", "1:30", {"expected 'while' and a condition"}},
	{"retry 3 { yield } while 1", "1:1", {"belongs into a thread"}},
	{"thread t { set x 1 }", "1:16", {"there is no variable 'x'"}},
	/* statements on lines of their own */
	{"main: load A", "1:1", {"there is no thread 'main'"}},
	{"thread main\nmian: yield", "2:1", {"there is no thread 'mian'; did you mean 'main'?"}},
	{"map A\nA: yield", "2:1", {"expected a thread, found 'A', which is a mapping"}},
	{"thread t\nt: yeild", "2:4", {"expected a statement, found 'yeild'; did you mean 'yield'?"}},
	{"thread t\nt:\nyield", "2:3", {"expected a statement, found the end of the line"}},
	{"thread t\nt: map A", "2:4", {"`map` belongs to the setup"}},
	{"thread t\nt: yield yield", "2:10", {"'yield'"}},
	{"thread t\nt: yield\nmap A", "3:1", {"setup is done first", "of line 2", "`THREAD: map ...`"}},
	{"map A\nthread t\nt: yield\nr = load A", "4:1", {"setup is done first", "of line 3"}},
	{"map A\nthread t\nt: r = load A\nr = load A", "4:1", {"result of another thread"}},
	{"thread t\n{ yield }", "1:9", {"'{'", "the end of the line"}},
	{"unprivileged yes", "1:14", {"the end of the line"}},
	/* programs that are compared */
	{"uffd U\nm = read U\nload m", "3:6", {"'m' is a message, of line 2"}},
	{"thread t\nt: p = mmap any pages=1\nalways [p] == 0",
	 "3:9",
	 {"expected a mapping, found 'p', which is a result"}},
	{"always [0x1000] == 0", "1:9", {"expected a mapping's name, found '0x1000'"}},
	{"mmap any", "1:9", {"expected pages= or bytes="}},
	{"mmap any pages=1 bytes=1", "1:25", {"one of pages= and bytes="}},
	{"mmap any pages=1 stak", "1:18", {"did you mean 'stack'?"}},
	{"map any", "1:5", {"'any'", "word of the language"}},
	{"map A\nmmap A hint fixed", "2:18", {"one of hint and fixed"}},
	{"map A\nmmap A hint noreplace", "2:22", {"one of hint and noreplace"}},
	{"map A\nmremap A pages=1 newbytes=1", "2:28", {"one of pages= and newbytes="}},
	{"map A\nmremap A dontunmap", "2:10", {"expected 'to' and a place"}},
	{"map A\nmunmap A bytes", "2:10", {"expected bytes= and a value", "without '='"}},
	{"map A\nmunmap A bytes=x", "2:16", {"expected a number, found 'x'"}},
	{"map A\nmunmap A[0:1]+1", "2:14", {"bytes= or the end of the statement", "'+'"}},
	{"map A\nadd A 1 size=16", "2:14", {"1, 2, 4 or 8", "1 to 8"}},
	{"map A\nalways [A size=16] == 0", "2:16", {"1, 2, 4 or 8"}},
	{"map A\nstore A 1 size=12", "2:16", {"1, 2, 4, 8 or 16, found 12"}},
	{"map A\nmprotect A prot=0x100000000", "2:17", {"expected a protection"}},
	{"limit", "1:6", {"expected a limit (as, data, stack, memlock, maps)"}},
	{"limit memlok 3", "1:7", {"did you mean 'memlock'?"}},
	{"limit as 3", "1:10", {"expected +N pages more than now, or off, found '3'"}},
	{"limit maps 3", "1:12", {"expected +N mappings more than now, or off, found '3'"}},
	{"limit stack +3", "1:13", {"expected a number of pages, or off, found '+'"}},
	{"limit as of", "1:10", {"or off, found 'of'"}},
	{"mlockall", "1:9", {"expected flags="}},
	{"uffd U\nioctl U", "2:8", {"expected cmd="}},
	{"map A\nsysread A", "2:10", {"expected fill="}},
	{"api U\nopen U", "1:5", {"setup is done in order"}},
	{"thread t { api U }", "1:16", {"there is no userfaultfd 'U'"}},
	{"map A\nopen A", "2:6", {"'A' is already a mapping"}},
	{"uffd U\napi U features=sigbuss", "2:16", {"did you mean 'sigbus'?"}},
	{"map A\nuffd U\nregister U mode=3 A", "3:12", {"expected a mode", "'mode'"}},
	/* expressions */
	{"always", "1:7", {"expected a value"}},
	{"var x\nalways x = 1", "2:10", {"found '='", "'=='"}},
	{"var x\nalways x == 1 && x == 2", "2:15", {"found '&&'", "'and'"}},
	{"var x\nalways !x", "2:8", {"expected a value", "'not'"}},
	{"var x\nalways 0 < x < 2", "2:14", {"do not chain"}},
	{"var x\nalways x in 1", "2:13", {"expected '{'"}},
	{"var x\nalways x in { 1 2 }", "2:17", {"expected ',' or '}', found '2'"}},
	{"var x\nalways (x == 1", "2:15", {"expected an operator or ')'", "end of the file"}},
	{"map A\nthread t { check [A] == 1 }", "2:18", {"memory can only be asked for by always"}},
	{"thread t { check faults(t) == 1 }", "1:18", {"faults can only be asked for"}},
	{"always faults(u) == 1", "1:15", {"there is no thread 'u'"}},
	{"always faults", "1:14", {"expected '('"}},
};

static void test_errors(void **state)
{
	char *error, prefix[32];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fl_scenario *s = fl_scenario_parse("t.fl", bad[i].text, &error);
		const char *second, *third;

		if (s)
			fail_msg("this has no error:\n%s", bad[i].text);
		assert_non_null(error);
		snprintf(prefix, sizeof(prefix), "t.fl:%s: ", bad[i].place);
		if (strncmp(error, prefix, strlen(prefix)))
			fail_msg("expected an error at %s:\n%s\n%s", bad[i].place, bad[i].text, error);
		for (size_t w = 0; w < 3 && bad[i].words[w]; w++) {
			if (!strstr(error, bad[i].words[w]))
				fail_msg("expected '%s':\n%s", bad[i].words[w], error);
		}
		/* The message, the line, the caret. */
		second = strchr(error, '\n');
		assert_non_null(second);
		third = strchr(second + 1, '\n');
		assert_non_null(third);
		assert_int_equal(error[strlen(error) - 2], '^');
		free(error);
	}
}

static void test_caret(void **state)
{
	static char text[8000];
	char *error;

	(void)state;
	assert_null(fl_scenario_parse("dir/x.fl", "map A\nthread t {\n\tr = laod A\n}\n", &error));
	assert_string_equal(error, "dir/x.fl:3:6: expected a statement, found 'laod'; did you mean 'load'?\n"
				   "  \tr = laod A\n"
				   "  \t    ^\n");
	free(error);
	assert_null(fl_scenario_read("/nowhere/x.fl", &error));
	assert_string_equal(error, "/nowhere/x.fl: No such file or directory\n");
	free(error);

	/* What is shown of a long line is short. */
	memset(text, ' ', sizeof(text));
	memcpy(text, "map", 3);
	snprintf(text + 5000, sizeof(text) - 5000, "A %02000d", 7);
	assert_null(fl_scenario_parse("long.fl", text, &error));
	assert_true(strlen(error) < 400 && strstr(error, "long.fl:1:5003: ") && strstr(error, "\n  ... "));
	assert_true(strstr(error, "A 0000") && strstr(error, "000...\n"));
	free(error);
}

static void test_depth(void **state)
{
	static const char *const parts[][2] = {
		{"always ", "("},
		{"always ", "- "},
		{"always ", "not "},
		{"thread t { ", "repeat 1 { "},
		{"thread t { ", "if 1 { } else "},
		{"always ", "1 implies "},
		{"always 1", " + 1"},
		{"always 1", " and 1"},
	};
	char text[4096], *error;

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		strcpy(text, parts[i][0]);
		for (unsigned n = 0; n < 200; n++)
			strcat(text, parts[i][1]);
		assert_null(fl_scenario_parse("t.fl", text, &error));
		assert_non_null(strstr(error, "more than 60"));
		free(error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_caret),
		cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
