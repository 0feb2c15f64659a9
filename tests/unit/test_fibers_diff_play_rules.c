/* SPDX-License-Identifier: MIT */
/*
 * Plays: statements of several calls, results, rules, sides that break, programs that are very long; and how values are written.
 *
 * No locks: one thread.
 */
#include "diff/report/play_internal.h"
#include "diff_fake.h"

/* A statement of several calls: no further than it goes well. */
static void test_several_calls(void **state)
{
	(void)state;
	load("map A\nuffd U missing A\n");
	say_both(2, 0, FL_ANSWER_DONE, 3);
	say_both(3, 0, FL_ANSWER_DONE, -FL_EINVAL);
	check_run(FL_PLAY_AGREE);
	assert_int_equal(fake[FL_KERNEL].issued, 3);
	check_report("\n"
		     "                            engine  kernel\n"
		     "  1  map A                  0       0\n"
		     "  2  uffd U missing A       EINVAL  EINVAL\n");
	say(FL_KERNEL, 3, 0, FL_ANSWER_DONE, -FL_EPERM);
	check_differ(1, FL_FACT_RETURN, "uffd anon answer: engine EINVAL kernel EPERM");
}

/* A call that only brings or shows the structure is told apart from the one that matters. */
static void test_structure_after(void **state)
{
	(void)state;
	load("place W\nthread main\nmain: open U\nmain: wake U W arg=W\n");
	say_both(2, 0, FL_ANSWER_DONE, 16);
	say_both(3, 0, FL_ANSWER_DONE, -FL_EINVAL);
	say(FL_ENGINE, 4, 0, FL_ANSWER_DONE, 16);
	say(FL_KERNEL, 4, 0, FL_ANSWER_DONE, -FL_EFAULT);
	check_differ(1, FL_FACT_RETURN, "wake anon answer (structure after): engine n kernel EFAULT");
	check_report("wake U W arg=W (structure after): engine 16, kernel EFAULT\n"
		     "\n"
		     "  engine  kernel\n"
		     "  3  main: open U  0  0\n"
		     "  4  main: wake U W arg=W  EINVAL  EINVAL\n"
		     "> 4  main: wake U W arg=W (structure after)  16  EFAULT\n");
}

/* What a statement names that is an error is done on neither side. */
static void test_result_is_error(void **state)
{
	(void)state;
	load("thread main\nmain: p = mmap any pages=1\nmain: store p 1\nmain: mprotect 0x200000000000 prot=r\n");
	say_both(1, 0, FL_ANSWER_DONE, -FL_ENOMEM);
	check_run(FL_PLAY_AGREE);
	assert_int_equal(fake[FL_ENGINE].issued, 2);
	assert_int_equal(play->steps, 2);
}

static void test_result_is_place(void **state)
{
	struct fl_answer *a;

	(void)state;
	load("thread main\nmain: p = mmap any pages=1\nmain: load p+16\n");
	say_both(1, 0, FL_ANSWER_DONE, 0x7ffff7000000);
	a = say(FL_ENGINE, 2, 0, FL_ANSWER_DONE, 0);
	a->signo = 7;
	a->si_code = FL_BUS_ADRERR;
	a->sig_addr = 0x7ffff7000010;
	check_differ(1, FL_FACT_RETURN, "load anon answer: engine SIGBUS ADRERR kernel 0");
	check_report("load p+16: engine SIGBUS ADRERR p+0x10, kernel 0\n"
		     "\n"
		     "                                      engine                kernel\n"
		     "  2  main: p = mmap any pages=1       p                     p\n"
		     "> 3  main: load p+16                  SIGBUS ADRERR p+0x10  0\n");
}

/* The kernel may list what the engine does not have yet; not the other way round. */
static void test_lacks(void **state)
{
	struct fl_answer *e, *h;

	(void)state;
	load("thread main\nmain: open U\nmain: api U\n");
	e = say(FL_ENGINE, 2, 0, FL_ANSWER_DONE, 0);
	h = say(FL_KERNEL, 2, 0, FL_ANSWER_DONE, 0);
	put_word(e, 1, FL_UFFD_FEATURE_SIGBUS);
	put_word(h, 1, FL_UFFD_FEATURE_SIGBUS | FL_UFFD_FEATURE_MOVE);
	check_run(FL_PLAY_AGREE);
	put_word(h, 1, FL_UFFD_FEATURE_MOVE);
	check_differ(1, FL_FACT_OUT, "api nothing api.features: engine n kernel 0");
	/* A call that failed lists nothing; but one that could not write all of its answer may have begun. */
	e->ret = h->ret = -FL_EINVAL;
	put_word(h, 1, FL_UFFD_FEATURE_SIGBUS | FL_UFFD_FEATURE_MOVE);
	check_differ(1, FL_FACT_OUT, "api nothing api.features: engine n kernel n");
	e->ret = h->ret = -FL_EFAULT;
	check_run(FL_PLAY_AGREE);
	e->ret = h->ret = 0;
	put_word(h, 1, FL_UFFD_FEATURE_MOVE);
	put_word(e, 1, FL_UFFD_FEATURE_MOVE);
	check_differ(1, FL_FACT_OUT, "api nothing api.features: engine n kernel 0");
}

static bool pretends_seven(const struct fl_play *p, const struct fl_sc_statement *st, const struct fl_fact *e,
			   const struct fl_fact *h)
{
	return p && st && e && h && e->value == 7;
}

static void test_rules(void **state)
{
	const struct fl_rule rule[] = {
		{"other-op", FL_SC_MUNMAP, FL_DIFF_KINDS, FL_FACT_FIELDS, NULL, false, "no"},
		{"other-kind", FL_SC_OPS, FL_DIFF_KIND_STACK, FL_FACT_FIELDS, NULL, false, "no"},
		{"other-field", FL_SC_OPS, FL_DIFF_KINDS, FL_FACT_HASH, NULL, false, "no"},
		{"seven", FL_SC_MPROTECT, FL_DIFF_KIND_ANON, FL_FACT_RETURN, pretends_seven, false, "yes"},
	};

	(void)state;
	play->rules = rule;
	play->rules_count = 4;
	play->cover = &cover;
	say(FL_ENGINE, 5, MAIN, FL_ANSWER_DONE, 7);
	check_run(FL_PLAY_RULED);
	assert_int_equal(play->rule, 3);
	assert_int_equal(cover.ruled[3], 1);
	assert_int_equal(cover.ruled[0] + cover.ruled[1] + cover.ruled[2], 0);
	check_report("\n"
		     "                                          engine  kernel\n"
		     "  4  main: e1 = mmap W[0:4] prot=rw       0       0\n"
		     "  5  main: e2 = open U nonblock           0       0\n"
		     "  6  other: r1 = load W[1]+8              0       0\n"
		     "  7  main: e3 = copy U W[1] fill=0x77     0       0\n"
		     "~ 8  main: e4 = mprotect W[1] prot=0x3    7       0  (rule seven)\n");

	fake[FL_ENGINE].said[0].answer.ret = 8;
	check_differ(4, FL_FACT_RETURN, "mprotect anon answer: engine n kernel 0");
}

/* What a rule allows hides nothing else, unless it ends the program. */
static void test_rule_and_difference(void **state)
{
	struct fl_rule rule = {"first", FL_SC_MMAP, FL_DIFF_KINDS, FL_FACT_RETURN, NULL, false, "because"};

	(void)state;
	play->rules = &rule;
	play->rules_count = 1;
	say(FL_ENGINE, 1, MAIN, FL_ANSWER_DONE, 1);
	say(FL_ENGINE, 5, MAIN, FL_ANSWER_DONE, 1);
	check_differ(4, FL_FACT_RETURN, "mprotect anon answer: engine 1 kernel 0");

	rule.ends = true;
	check_run(FL_PLAY_RULED);
	assert_int_equal(fake[FL_KERNEL].issued, 1);
}

static void test_broken(void **state)
{
	(void)state;
	fake[FL_KERNEL].refuses = true;
	check_run(FL_PLAY_BROKEN);
	assert_string_equal(play->text, "kernel: it has no room");
	fake[FL_KERNEL].refuses = false;
	fake[FL_ENGINE].fails_at = 2;
	check_run(FL_PLAY_BROKEN);
	assert_string_equal(play->text, "engine: it fell over");
	assert_int_equal(play->step, 1);
	fake[FL_ENGINE].fails_at = 0;
	fake[FL_ENGINE].broken = "a frame is lost";
	check_run(FL_PLAY_BROKEN);
	assert_string_equal(play->text, "engine: a frame is lost");
	check_report("engine: a frame is lost\n"
		     "\n"
		     "                                          engine  kernel\n"
		     "  4  main: e1 = mmap W[0:4] prot=rw       0       0\n"
		     "  5  main: e2 = open U nonblock           0       0\n"
		     "  6  other: r1 = load W[1]+8              0       0\n"
		     "  7  main: e3 = copy U W[1] fill=0x77     0       0\n"
		     "  8  main: e4 = mprotect W[1] prot=0x3    0       0\n");
}

/* A program with more facts than are kept: the last ones are, and a difference is among them. */
static void test_long_program(void **state)
{
	size_t n = 6000, room = n * 16 + 100;
	char *of = malloc(room);
	size_t at;

	(void)state;
	assert_non_null(of);
	at = (size_t)snprintf(of, room, "place W pages=16\nthread main\n");
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(of + at, room - at, "main: munmap W\n");
	load(of);
	free(of);
	say(FL_ENGINE, 5990, 0, FL_ANSWER_DONE, -FL_EINVAL);
	check_differ(5989, FL_FACT_RETURN, "munmap anon answer: engine EINVAL kernel 0");
	assert_true(play->facts[FL_ENGINE]->n <= FL_FACTS_MAX);
}

static void test_values(void **state)
{
	static const struct {
		enum fl_fact_field field;
		uint64_t value;
		const char *text;
	} known[] = {
		{FL_FACT_RETURN, 0, "0"},
		{FL_FACT_RETURN, (uint64_t)-FL_EINVAL, "EINVAL"},
		{FL_FACT_RETURN, (uint64_t)-25, "ENOTTY"},
		{FL_FACT_RETURN, 9000, "9000"},
		{FL_FACT_RETURN, W + 3 * PAGE + 16, "W[3]+0x10"},
		{FL_FACT_RETURN, W + 16 * PAGE, "W[16]"},
		{FL_FACT_RETURN, W + 17 * PAGE, "0x200000019000"},
		{FL_FACT_SIGNAL, 11, "SIGSEGV"},
		{FL_FACT_STATE, FL_ANSWER_ASLEEP, "asleep"},
		{FL_FACT_MAP_PROT, FL_PROT_READ | FL_PROT_EXEC, "r-x"},
		{FL_FACT_MAP_KIND, FL_MAP_IS_SHARED | 8192, "shared offset 0x2000"},
		{FL_FACT_MAP_KIND, FL_MAP_IS_STACK, "private [stack]"},
		{FL_FACT_PAGE, FL_PAGE_SWAPPED | FL_PAGE_UFFD_WP, "swapped uffd-wp"},
		{FL_FACT_PAGE, FL_PAGE_GUARD | 64, "guard 0x40"},
		{FL_FACT_VMFLAGS, FL_VM_READ | FL_VM_WIPEONFORK, "rd wf"},
		{FL_FACT_HASH, 0, "zeros"},
		{FL_FACT_ALIVE, 0, "gone"},
	};
	const struct fl_report_names names = {.s = program};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct fl_fact f = {.field = known[i].field, .value = known[i].value};

		struct fl_report_text t = {.buf = buf, .size = sizeof(buf)};

		fl_report_fact(&t, &names, &f);
		assert_int_equal(t.n, strlen(known[i].text));
		assert_string_equal(buf, known[i].text);
	}
	for (unsigned f = 0; f < FL_FACT_FIELDS; f++)
		assert_non_null(fl_report_field((enum fl_fact_field)f));
	for (unsigned k = 0; k < FL_DIFF_KINDS; k++)
		assert_non_null(fl_diff_kind_name((enum fl_diff_kind)k));
}

static void play_by_true_rules(const char *of)
{
	play->rules = fl_rules;
	play->rules_count = fl_rules_count;
	load(of);
}

static const char two_sleepers[] = "place W pages=16 at=8\nthread main\nthread other\nthread third\n"
				   "main: store W 1\n"     /* 1 */
				   "other: load W\n"       /* 2 */
				   "third: munmap W\n"     /* 3: both are woken */
				   "third: munmap W[1]\n"; /* 4 */

static void test_woken_together(void **state)
{
	struct fl_answer *h;

	(void)state;
	play_by_true_rules(two_sleepers);
	say_both(1, 0, FL_ANSWER_ASLEEP, 0);
	say_both(2, 1, FL_ANSWER_ASLEEP, 0);
	say_both(3, 0, FL_ANSWER_DONE, 0);
	say(FL_ENGINE, 3, 1, FL_ANSWER_DONE, 0);
	h = say(FL_KERNEL, 3, 1, FL_ANSWER_DONE, 1);
	check_run(FL_PLAY_RULED);
	assert_string_equal(fl_rules[play->rule].name, "woken-together");
	assert_int_equal(fake[FL_KERNEL].issued, 3);
	check_report("\n"
		     "  engine  kernel\n"
		     "  5  main: store W 1  asleep  asleep\n"
		     "  6  other: load W  asleep  asleep\n"
		     "  7  third: munmap W  0  0\n"
		     "  and main: store W 1  0  0\n"
		     "~  and other: load W  0  1  (rule woken-together)\n");
	/* The same answer, and whose fault it was. */
	h->ret = 0;
	h->minor = 1;
	check_run(FL_PLAY_RULED);
	assert_string_equal(fl_rules[play->rule].name, "minor-together");
	assert_int_equal(fake[FL_KERNEL].issued, 4);
	/* What was written last. */
	h->minor = 0;
	page(FL_ENGINE, 0, FL_PAGE_PRESENT, 7);
	page(FL_KERNEL, 0, FL_PAGE_PRESENT, 8);
	check_run(FL_PLAY_RULED);
	assert_string_equal(fl_rules[play->rule].name, "written-together");
	/* Of a page that none of them wrote there is no such question. */
	fake[FL_ENGINE].page[0].address += PAGE;
	fake[FL_KERNEL].page[0].address += PAGE;
	check_run(FL_PLAY_DIFFER);
	assert_int_equal(play->facts[FL_ENGINE]->fact[play->first[FL_ENGINE]].field, FL_FACT_HASH);
	fake[FL_ENGINE].pages = fake[FL_KERNEL].pages = 0;
	/* A signal is no matter of who was first. */
	h->signo = 11;
	check_differ(2, FL_FACT_RETURN, "load anon answer: engine 0 kernel SIGSEGV si_code 0");
}

/* What they wrote may be loaded, or moved, later; what others wrote may not differ. */
static void test_seen_later(void **state)
{
	static const char of[] = "place W pages=16 at=8\nthread main\nthread other\nthread third\n"
				 "main: store W 1\nother: store W 2\nthird: munmap W\nthird: mremap W[0:2] to W[5]\n"
				 "third: load W[5]\nthird: load W[6]\n";

	(void)state;
	play_by_true_rules(of);
	say_both(1, 0, FL_ANSWER_ASLEEP, 0);
	say_both(2, 1, FL_ANSWER_ASLEEP, 0);
	say_both(3, 0, FL_ANSWER_DONE, 0);
	say_both(3, 1, FL_ANSWER_DONE, 0);
	say_both(4, 2, FL_ANSWER_DONE, (int64_t)(W + 5 * PAGE));
	say(FL_ENGINE, 5, 2, FL_ANSWER_DONE, 1);
	say(FL_KERNEL, 5, 2, FL_ANSWER_DONE, 2);
	check_run(FL_PLAY_RULED);
	assert_string_equal(fl_rules[play->rule].name, "loaded-after");
	fake[FL_ENGINE].said[5].issue = fake[FL_KERNEL].said[5].issue = 6;
	check_run(FL_PLAY_DIFFER);
}

/* One who was woken alone has no excuse. */
static void test_woken_alone(void **state)
{
	(void)state;
	play_by_true_rules(two_sleepers);
	say_both(2, 1, FL_ANSWER_ASLEEP, 0);
	say(FL_ENGINE, 3, 1, FL_ANSWER_DONE, 0);
	say(FL_KERNEL, 3, 1, FL_ANSWER_DONE, 1)->minor = 1;
	check_differ(2, FL_FACT_RETURN, "load anon answer: engine 0 kernel 1");
}

static void test_two_readers(void **state)
{
	(void)state;
	play_by_true_rules("place W\nthread main\nthread other\nthread third\n"
			   "main: open U\nmain: read U\nother: read U\nthird: load W\n");
	say_both(2, 0, FL_ANSWER_ASLEEP, 0);
	say_both(3, 1, FL_ANSWER_ASLEEP, 0);
	say(FL_ENGINE, 4, 0, FL_ANSWER_DONE, 32);
	say(FL_KERNEL, 4, 1, FL_ANSWER_DONE, 32);
	check_run(FL_PLAY_RULED);
	assert_string_equal(fl_rules[play->rule].name, "two-readers");
	fake[FL_ENGINE].said[1].actor = fake[FL_KERNEL].said[1].actor = fake[FL_KERNEL].said[2].actor = 9;
	check_differ(3, FL_FACT_STATE, "read nothing answer: engine n kernel asleep");
}

/* Two who were woken for nothing: whose message is first? But if only one was, there is no question. */
static void test_asleep_again(void **state)
{
	static const char of[] = "place W\nthread main\nthread other\nthread third\n"
				 "third: open U\nmain: load W\nother: load W\nthird: wake U W\nthird: read U\n";

	(void)state;
	play_by_true_rules(of);
	for (unsigned side = 0; side < FL_SIDES; side++) {
		put_word(say(side, 5, 2, FL_ANSWER_DONE, 32), 3, 1 + side);
		say(side, 2, 0, FL_ANSWER_ASLEEP, 0);
		say(side, 3, 1, FL_ANSWER_ASLEEP, 0);
	}
	check_run(FL_PLAY_RULED);
	assert_string_equal(fl_rules[play->rule].name, "asleep-again");
	fake[FL_ENGINE].said[2].actor = fake[FL_KERNEL].said[2].actor = 9;
	check_differ(4, FL_FACT_OUT, "read nothing message 0 arg2: engine n kernel n");
}

/* A signal to one who waits for a page in a system call is sent on neither side; a fatal one is. */
static void test_signal_in_system_call(void **state)
{
	(void)state;
	load("place W\nthread main\nthread other\n"
	     "other: syswrite W\nmain: signal other\nmain: munmap W\nmain: signal other fatal\n");
	say_both(1, 1, FL_ANSWER_ASLEEP, 0);
	check_run(FL_PLAY_AGREE);
	assert_int_equal(fake[FL_KERNEL].issued, 3);
	load("place W\nthread main\nthread other\n"
	     "other: load W\nmain: signal other\nmain: munmap W\nmain: signal other fatal\n");
	check_run(FL_PLAY_AGREE);
	assert_int_equal(fake[FL_KERNEL].issued, 4);
}

/* What would change the memory that the kernel's process stands on is done on neither side; what is refused before it comes there is. */
static void test_ground(void **state)
{
	(void)state;
	load("place W\nthread main\nmain: munmap 0x100000000000\nmain: munmap 0 bytes=0x7ffffffff000\n"
	     "main: dontneed 0 bytes=0x1ffffffff000\nmain: mprotect 0x100000000000 prot=r\n"
	     "main: mmap 0x100000001000 prot=rw\nmain: mremap W to 0x100000001000\n"
	     "main: mlock 0x0ffffffff000 bytes=8192\nmain: munmap W\n");
	check_run(FL_PLAY_AGREE);
	assert_int_equal(fake[FL_ENGINE].issued, 1);
	assert_int_equal(fake[FL_KERNEL].issued, 1);
	assert_int_equal(play->steps, 1);
	load("place W\nthread main\nmain: munmap 0 bytes=0x800000000000\nmain: dontneed 1 bytes=0x1ffffffff000\n"
	     "main: dontneed 0 bytes=0xffffffffffffffff\nmain: mprotect W bytes=0x1ffffffff000 prot=r\n"
	     "main: mmap 0 bytes=0x7ffffffff000 prot=rw hint\nmain: msync 0 bytes=0x7ffffffff000\n");
	check_run(FL_PLAY_AGREE);
	assert_int_equal(fake[FL_KERNEL].issued, 6);
}

/* What a structure in memory says is known only when the call comes. */
static void test_ground_by_memory(void **state)
{
	(void)state;
	load("place W\nthread main\nmain: open U\nmain: ioctl U cmd=0x8010aa01 arg=W\nmain: unregister U W arg=W\n"
	     "main: ioctl U cmd=0x8010aa02 arg=W\n");
	check_run(FL_PLAY_AGREE);
	assert_int_equal(fake[FL_KERNEL].issued, 8);
	lies_there[1] = 0x7ffffffff000;
	load("place W\nthread main\nmain: open U\nmain: ioctl U cmd=0x8010aa01 arg=W\nmain: unregister U W arg=W\n"
	     "main: ioctl U cmd=0x8010aa02 arg=W\n");
	check_run(FL_PLAY_AGREE);
	lies_there[1] = 0;
	assert_int_equal(fake[FL_ENGINE].issued, 4);
	assert_int_equal(fake[FL_KERNEL].issued, 4);
}

/* A userfaultfd that tells thread ids is not read into the memory under test; another may be. */
static void test_thread_ids(void **state)
{
	(void)state;
	load("place W\nthread main\nmain: open U\nmain: api U features=thread_id\nmain: open V\nmain: api V\n"
	     "main: read U into=W\nmain: read U\nmain: read V into=W\n");
	check_run(FL_PLAY_AGREE);
	assert_int_equal(play->steps, 6);
}

/* Where DONTUNMAP may have left pages that Linux believes to be locked, nobody asks for them to be reclaimed. */
static void test_left_locked(void **state)
{
	(void)state;
	load("place W pages=16\nthread main\nmain: pageout W\nmain: mremap W to W[8] dontunmap\nmain: pageout W\n"
	     "main: mlock W\nmain: pageout W\nmain: mremap W to W[8] dontunmap\nmain: pageout W\n");
	check_run(FL_PLAY_AGREE);
	assert_int_equal(play->steps, 6);
}

/* Only after a fork may a page be made writable in place; and only the kernel has a fault more for it, one for each page. */
static void test_remade_in_place(void **state)
{
	static const char forked[] = "place W pages=16 at=8\nthread main\nthread child in C\n"
				     "main: fork C\nmain: mlock W\nmain: store W 1\n";
	struct fl_answer *h;

	(void)state;
	play_by_true_rules(forked);
	h = say(FL_KERNEL, 3, 0, FL_ANSWER_DONE, 0);
	h->minor = 1;
	check_run(FL_PLAY_RULED);
	assert_string_equal(fl_rules[play->rule].name, "remade-in-place");
	h->minor = 20;
	check_run(FL_PLAY_DIFFER);
	h->minor = 0;
	say(FL_ENGINE, 3, 0, FL_ANSWER_DONE, 0)->minor = 1;
	check_run(FL_PLAY_DIFFER);
	load("place W pages=16 at=8\nthread main\nmain: mlock W\nmain: munlock W\nmain: store W 1\n");
	say(FL_ENGINE, 3, 0, FL_ANSWER_DONE, 0)->minor = 0;
	say(FL_KERNEL, 3, 0, FL_ANSWER_DONE, 0)->minor = 1;
	check_run(FL_PLAY_DIFFER);
}

/* The true rules: each has a name of its own and a reason. */
static void test_table(void **state)
{
	(void)state;
	assert_true(fl_rules_count <= sizeof(cover.ruled) / sizeof(cover.ruled[0]));
	for (size_t i = 0; i < fl_rules_count; i++) {
		assert_non_null(fl_rules[i].name);
		assert_true(fl_rules[i].reason && strlen(fl_rules[i].reason) > 20);
		assert_true(fl_rules[i].op != FL_SC_OPS || fl_rules[i].field != FL_FACT_FIELDS);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(fl_rules[i].name, fl_rules[k].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY_TEST(test_several_calls),
		PLAY_TEST(test_structure_after),
		PLAY_TEST(test_result_is_error),
		PLAY_TEST(test_result_is_place),
		PLAY_TEST(test_lacks),
		PLAY_TEST(test_rules),
		PLAY_TEST(test_rule_and_difference),
		PLAY_TEST(test_woken_together),
		PLAY_TEST(test_seen_later),
		PLAY_TEST(test_woken_alone),
		PLAY_TEST(test_ground_by_memory),
		PLAY_TEST(test_two_readers),
		PLAY_TEST(test_asleep_again),
		PLAY_TEST(test_signal_in_system_call),
		PLAY_TEST(test_ground),
		PLAY_TEST(test_left_locked),
		PLAY_TEST(test_thread_ids),
		PLAY_TEST(test_remade_in_place),
		PLAY_TEST(test_broken),
		PLAY_TEST(test_long_program),
		PLAY_TEST(test_values),
		PLAY_TEST(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
