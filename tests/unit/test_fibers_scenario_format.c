/* SPDX-License-Identifier: MIT */
/*
 * The scenario language: the formatter, on texts with every kind of layout and on the scenarios that are shipped; and
 * the parser on texts that are cut off or garbled.
 *
 * No locks: one thread.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore/lang/scenario.h"

static struct fl_scenario *parse(const char *text)
{
	char *error;
	struct fl_scenario *s = fl_scenario_parse("t.fl", text, &error);

	if (!s)
		fail_msg("%s", error ? error : "no memory");
	return s;
}

/* Its layout, which must mean the same, and stay as it is when it is laid out again. To free. */
static char *format(const struct fl_scenario *s)
{
	char *once = fl_scenario_format(s), *twice;
	struct fl_scenario *again;

	assert_non_null(once);
	again = parse(once);
	twice = fl_scenario_format(again);
	assert_non_null(twice);
	if (strcmp(once, twice))
		fail_msg("laid out twice, it differs:\n%s\nand\n%s", once, twice);
	if (again->hash != s->hash)
		fail_msg("laid out, it means something else:\n%s\nis\n%s", s->text, once);
	assert_string_equal(s->question, again->question);
	assert_int_equal(s->properties, again->properties);
	for (size_t i = 0; i < s->properties; i++)
		assert_string_equal(s->property[i].text, again->property[i].text);
	fl_scenario_free(again);
	free(twice);
	return once;
}

#define LONG "m.address == A[1]+8 and faults(reader) > 3"

static const struct {
	const char *text, *layout;
} layouts[] = {
	{"", ""},
	{"\n\n  \n", ""},
	{"map A;map   B  pages = 3", "map A\nmap B pages=3\n"},
	{"# c  \n\n\n\n#  d\n\nvar x=-1 # e\nvar y # f\n\n", "# c\n\n#  d\n\nvar x = -1 # e\nvar y # f\n"},
	{"allow deadlock,leak\r\nbound events=100\r\n", "allow deadlock, leak\nbound events=100\n"},
	{"map A\nuffd U features = sigbus , thread_id missing A [ 0 : 1 ]", NULL},
	{"map A\nuffd U features = sigbus , thread_id missing A",
	 "map A\nuffd U features=sigbus,thread_id missing A\n"},
	/* threads */
	{"thread t { }", "thread t { }\n"},
	{"thread t {}", "thread t { }\n"},
	{"thread t {\n}", "thread t {\n}\n"},
	{"thread t {\n\n yield\n\n\n yield;yield\n\n}", "thread t {\n\tyield\n\n\tyield\n\tyield\n}\n"},
	{"thread t{yield;;yield;}", "thread t { yield; yield }\n"},
	{"thread t { yield; yield\n }", "thread t {\n\tyield\n\tyield\n}\n"},
	{"thread t {yield}\nthread longer may  block {yield}\n\nthread u {yield}",
	 "thread t                { yield }\nthread longer may block { yield }\n\nthread u { yield }\n"},
	{"thread t { # why\nyield # because\n# so\n}", "thread t { # why\n\tyield # because\n\t# so\n}\n"},
	{"thread t {\n# so\n\n# and so\n\n}", "thread t {\n\t# so\n\n\t# and so\n}\n"},
	/* statements on lines of their own */
	{"thread t in  C\nthread main may block;main  :fork C # now\n\n\nt:yield;t:  yield",
	 "thread t in C\nthread main may block\nmain: fork C # now\n\nt: yield\nt: yield\n"},
	{"thread t\nt:if 1 {yield;yield}else{}\nt: repeat 2 {\nyield}",
	 "thread t\nt: if 1 { yield; yield } else { }\nt: repeat 2 {\n\tyield\n}\n"},
	{"thread t\nthread longer { yield }\nthread u { yield }",
	 "thread t\nthread longer { yield }\nthread u      { yield }\n"},
	{"place W pages=9\nthread t\nt: p = mmap  any pages = 3 hint = W [ 2 ]", NULL},
	{"place W pages=9\nthread t\nt: p = mmap  any pages = 3 hint = W[ 2 ]+ 0x10\nt: munmap p [1]", NULL},
	{"place W pages=9\nthread t\nt: p = mmap  any pages = 3 hint = W[ 2 ]+ 0x10\nt:e=munmap p[ 1 : 2 ]   bytes = 0xFF\n"
	 "t: store p - 8 1",
	 NULL},
	{"place W pages=9\nthread t\nt: p = mmap  any pages = 3 hint = W[ 2 ]+ 0x10\nt:e=munmap p[ 1 : 2 ]   bytes = 0xFF\n"
	 "t: store p-8 - 8;t: store 0x1000 + 8 5 size = 16\nt: limit as + 3\nt: open U\nt: api U features = sigbus , poison",
	 "place W pages=9\nthread t\nt: p = mmap any pages=3 hint=W[2]+0x10\nt: e = munmap p[1:2] bytes=0xFF\n"
	 "t: store p-8 -8\nt: store 0x1000+8 5 size=16\nt: limit as +3\nt: open U\nt: api U features=sigbus,poison\n"},
	/* blocks */
	{"thread t {\nretry 3 {yield} while 1\n}", "thread t {\n\tretry 3 { yield } while 1\n}\n"},
	{"thread t {\nretry 3 {\nyield }\n\n while 1\n}", "thread t {\n\tretry 3 {\n\t\tyield\n\t} while 1\n}\n"},
	{"thread t {\nif 1 {yield} else if 2 {yield;yield}\nelse {yield}\n}",
	 "thread t {\n\tif 1 {\n\t\tyield\n\t} else if 2 {\n\t\tyield\n\t\tyield\n\t} else {\n\t\tyield\n\t}\n}\n"},
	{"thread t {\nif 1 {yield} else if 2 {yield;yield} else {}\n}",
	 "thread t {\n\tif 1 { yield } else if 2 { yield; yield } else { }\n}\n"},
	{"thread t { repeat 2 {\n repeat 3 { yield } } }",
	 "thread t {\n\trepeat 2 {\n\t\trepeat 3 { yield }\n\t}\n}\n"},
	/* too long for one line */
	{"thread t { yield; yield; yield; yield; yield; yield; yield; yield; yield; yield; yield; yield; yield; yield }",
	 "thread t {\n\tyield\n\tyield\n\tyield\n\tyield\n\tyield\n\tyield\n\tyield\n\tyield\n\tyield\n\tyield\n\tyield\n"
	 "\tyield\n\tyield\n\tyield\n}\n"},
	/* expressions */
	{"var x\nalways((x+1)*2==-x)and not x in{1,2 , 3}or x not in {4}",
	 "var x\nalways ((x + 1) * 2 == -x) and not x in { 1, 2, 3 } or x not in { 4 }\n"},
	{"map A pages=2\nalways A [1] + 8 == 1", NULL},
	{"map A pages=2\nalways A[ 1 ] + 8 == A+ 3", "map A pages=2\nalways A[1]+8 == A+3\n"},
	{"map A\nthread t { fork C }\nalways [ A +8 size = 4 in C ]==0\nnever resident( A in C ) > vmas( C)",
	 "map A\nthread t { fork C }\nalways [A+8 size=4 in C] == 0\nnever  resident(A in C) > vmas(C)\n"},
	{"map S stack\nstore S-8 - 1\nstore S -1", "map S stack\nstore S-8 -1\nstore S -1\n"},
	{"var x\nalways x == 1 or\n\n x == 2\n and x == 3\nsometimes x",
	 "var x\nalways    x == 1 or x == 2 and x == 3\nsometimes x\n"},
	{"var x\nalways x == 1 # one\n or x == 2 # two\n # three\n or x == 3\nnever x",
	 "var x\nalways x == 1 # one\n\tor x == 2 # two\n\t# three\n\tor x == 3\nnever x\n"},
	{"map A pages=2\nuffd U missing A\nthread reader { m = read U }\nalways " LONG " or " LONG " or " LONG,
	 "map A pages=2\nuffd U missing A\nthread reader { m = read U }\n"
	 "always " LONG " or " LONG "\n\tor " LONG "\n"},
};

static void test_layouts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		char *error, *text;
		struct fl_scenario *s;

		if (!layouts[i].layout) {
			/* A space may not stand there. */
			assert_null(fl_scenario_parse("t.fl", layouts[i].text, &error));
			free(error);
			continue;
		}
		s = parse(layouts[i].text);
		text = format(s);
		if (strcmp(text, layouts[i].layout))
			fail_msg("expected\n%s\nfound\n%s", layouts[i].layout, text);
		free(text);
		fl_scenario_free(s);
	}
}

/* Comments and layout do not change what a text means; everything else does. */
static void test_hash(void **state)
{
	static const char *const same[] = {
		"map A\nthread t { r = load A; yield }\nalways r == 16\n",
		"# first\nmap A # second\n\nthread t {\n  r = load A\n  yield\n}\nalways r==0x10",
		"map A; thread t { r = load A\n;yield; }; always (r) == 16",
	};
	static const char *const other[] = {
		"map A\nthread t { r = load A; yield }\nalways r == 17\n",
		"map A\nthread t { r = load A; yield }\nnever r == 16\n",
		"map A\nthread t { r = load A }\nalways r == 16\n",
		"map A\nthread u { r = load A; yield }\nalways r == 16\n",
		"frames 63\nmap A\nthread t { r = load A; yield }\nalways r == 16\n",
	};
	struct fl_scenario *first = parse(same[0]), *s = parse(same[1]);

	(void)state;
	assert_true(first->hash == s->hash);
	fl_scenario_free(s);
	s = parse(same[2]);
	assert_true(first->hash != s->hash); /* parentheses are more than layout */
	fl_scenario_free(s);
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		s = parse(other[i]);
		assert_true(first->hash != s->hash);
		fl_scenario_free(s);
	}
	fl_scenario_free(first);
}

/* Everything the language has, or nearly. */
static const char rich[] =
	"# Who is first?\n#\n# More of it: \xc3\xa4.\narch x86-64\ngeometry full\nkernel 6.18\nmemory tso\n"
	"bound preemptions=3 schedules=100000\ninject alloc=1\nengine only   # why\nallow deadlock, leak\n"
	"map A pages=2 prot=rw\nmap B shmem shared at=600 prot=r noreserve locked\nmap S stack\nplace AB at=1 pages=8\n"
	"uffd U features=sigbus,thread_id nonblock user_only missing wp A[0:2]\nvar x = -3\nvar y\ns = load A\n"
	"thread one {\n  r = copy U A[1] fill=0x11 dontwake wp; e = move U A from=A[1] holes\n"
	"  m = read U nonblock\n  if m.event == PAGEFAULT and s == 0 { wake U A } else if r != 0 { yield } else { exit }\n"
	"  retry 3 { e = copy U A from=A+0 } while e == EAGAIN\n  f = fork C\n  await x > r and # so\n    y == 2\n}\n"
	"thread two in C may block { free A; store S-8 -1 size=4; signal one fatal; set x m2 + 1; m2 = get y }\n"
	"thread three { mremap A to B pages=3 dontunmap; writeprotect U A on; brk -2; mmap A[1] noreplace\n"
	"  register U minor missing A; mprotect A prot=none; p = poll U }\n"
	"always m.address == A[1]+8 or m.thread == two and m2 not in { 1, EEXIST, 3 } and not blocked(two) implies r == 1\n"
	"sometimes [A+8 size=2 in C] == 0x22\nnever resident(A[0:1] in C) == tables(C) + vmas * frames & messages(U)\n";

/* The same of programs that are compared with the kernel. */
static const char compared[] =
	"# Do they agree?\nunprivileged\nplace W pages=64\nthread main\nthread other may block\nthread child in C\n"
	"main: e1 = mmap W[2:6] prot=rw hint\nmain: store W[3]+4090 0x1122 size=16 # crosses\nmain: open U flags=1\n"
	"main: e2 = api U features=thread_id,sigbus\nmain: e3 = register U modes=1 W[4] bytes=8192\n\n"
	"other: r1 = load W[5]+8\nmain: m1 = read U into=W[2]\nmain: p = mmap any pages=3 prot=0x3 hint=W[1] locked\n"
	"other: if r1 == 0 { munmap p[1] } else { yield }\nmain: mremap p-1 bytes=5 newbytes=0x4000 maymove\n"
	"main: fork C\nchild: r3 = load 0x7ffffffff000-8\nmain: limit as +16; main: limit memlock off\n"
	"main: ioctl U cmd=0xc018aa3f arg=p+8\nmain: sysread W fill=3 bytes=9\nmain: madvise W 77\nalways e1 == 0\n";

/* Whatever it is: an error with a place, or a scenario that can be laid out. How many were scenarios is counted. */
static void try_text(const char *text, unsigned *good)
{
	char *error, *layout;
	struct fl_scenario *s = fl_scenario_parse("t.fl", text, &error);

	if (!s) {
		assert_non_null(error);
		assert_int_equal(strncmp(error, "t.fl:", 5), 0);
		assert_int_equal(error[strlen(error) - 2], '^');
		free(error);
		return;
	}
	(*good)++;
	layout = format(s);
	free(layout);
	fl_scenario_free(s);
}

static void cut(const char *whole, unsigned least)
{
	char text[sizeof(rich)];
	unsigned good = 0;

	assert_true(strlen(whole) < sizeof(text));
	for (size_t n = 0; n <= strlen(whole); n++) {
		memcpy(text, whole, n);
		text[n] = '\0';
		try_text(text, &good);
	}
	/* Ends of lines, mostly: not all of them, and not none. */
	assert_in_range(good, least, strlen(whole) / 2);
}

static void test_cut(void **state)
{
	(void)state;
	cut(rich, 50);
	cut(compared, 50);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Bytes of the text are replaced, dropped, doubled and swapped, and some pieces moved. */
static void garble(char *text, uint64_t *seed)
{
	static const char bytes[] = "{}[]()=+-*&,:;.# \n\t\"09azAU_x\x01\xff";
	unsigned times = 1 + (unsigned)(next_random(seed) % 3);

	while (times--) {
		size_t n = strlen(text), at = next_random(seed) % n, to = next_random(seed) % n;

		switch (next_random(seed) % 5) {
		case 0:
			text[at] = bytes[next_random(seed) % (sizeof(bytes) - 1)];
			break;
		case 1:
			memmove(text + at, text + at + 1, n - at);
			break;
		case 2:
			memmove(text + at + 1, text + at, n - at + 1);
			break;
		case 3:
			text[at] = text[to];
			break;
		default:
			/* An end of a line becomes a space, or a space an end. */
			at += strcspn(text + at, " \n");
			if (text[at])
				text[at] = text[at] == ' ' ? '\n' : ' ';
			break;
		}
	}
}

static void garbled(const char *whole, uint64_t seed)
{
	char text[sizeof(rich) + 16];
	unsigned good = 0;

	assert_true(strlen(whole) < sizeof(rich));
	for (unsigned i = 0; i < 20000; i++) {
		strcpy(text, whole);
		garble(text, &seed);
		try_text(text, &good);
	}
	assert_in_range(good, 1000, 19000);
}

static void test_garbled(void **state)
{
	(void)state;
	garbled(rich, 20);
	garbled(compared, 21);
}

/* All that is shipped can be read, asks a question, and stands in its layout. */
static void test_shipped(void **state)
{
	char pattern[512];
	glob_t found;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%.*s/../../scenarios/*.fl", (int)(strrchr(__FILE__, '/') - __FILE__),
		 __FILE__);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 20);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *error, *layout;
		struct fl_scenario *s = fl_scenario_read(found.gl_pathv[i], &error);

		if (!s)
			fail_msg("%s", error ? error : "no memory");
		if (!strchr(s->question, '?'))
			fail_msg("%s asks no question: '%s'", s->path, s->question);
		layout = format(s);
		if (strcmp(layout, s->text))
			fail_msg("%s is not in its layout: faultline explore --format -i %s", s->path, s->path);
		free(layout);
		fl_scenario_free(s);
	}
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts), cmocka_unit_test(test_hash),    cmocka_unit_test(test_cut),
		cmocka_unit_test(test_garbled), cmocka_unit_test(test_shipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
