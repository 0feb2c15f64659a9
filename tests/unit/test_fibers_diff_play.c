/* SPDX-License-Identifier: MIT */
/*
 * Plays: each kind of difference is found, named and printed.
 *
 * No locks: one thread.
 */
#include "diff_fake.h"

static void test_agree(void **state)
{
	(void)state;
	play->cover = &cover;
	say_both(3, OTHER, FL_ANSWER_ASLEEP, 0);
	say_both(4, OTHER, FL_ANSWER_DONE, 0x77);
	check_run(FL_PLAY_AGREE);
	assert_int_equal(play->steps, 5);
	assert_int_equal(fake[FL_KERNEL].issued, 5);
	assert_int_equal(fake[FL_KERNEL].expected, FL_ANSWER_DONE);
	/* Five calls, and one who went on. */
	assert_int_equal(noted.n, 6);
	assert_int_equal(noted.op, FL_SC_MPROTECT);
	check_signature("no difference");
	check_report("\n"
		     "                                          engine  kernel\n"
		     "  4  main: e1 = mmap W[0:4] prot=rw       0       0\n"
		     "  5  main: e2 = open U nonblock           0       0\n"
		     "  6  other: r1 = load W[1]+8              asleep  asleep\n"
		     "  7  main: e3 = copy U W[1] fill=0x77     0       0\n"
		     "       and other: r1 = load W[1]+8        0x77    0x77\n"
		     "  8  main: e4 = mprotect W[1] prot=0x3    0       0\n");
}

static void test_return(void **state)
{
	(void)state;
	say(FL_ENGINE, 5, MAIN, FL_ANSWER_DONE, -FL_ENOMEM);
	check_differ(4, FL_FACT_RETURN, "mprotect anon answer: engine ENOMEM kernel 0");
	check_layout("mprotect W[1] prot=0x3: engine ENOMEM, kernel 0\n"
		     "\n"
		     "                                        engine  kernel\n"
		     "  4  main: e1 = mmap W[0:4] prot=rw     0       0\n"
		     "  5  main: e2 = open U nonblock         0       0\n"
		     "  6  other: r1 = load W[1]+8            0       0\n"
		     "  7  main: e3 = copy U W[1] fill=0x77   0       0\n"
		     "> 8  main: e4 = mprotect W[1] prot=0x3  ENOMEM  0\n");
}

/* Descriptors and process ids are each side's own. */
static void test_numbers_of_their_own(void **state)
{
	(void)state;
	say(FL_ENGINE, 2, MAIN, FL_ANSWER_DONE, 3);
	say(FL_KERNEL, 2, MAIN, FL_ANSWER_DONE, 900);
	check_run(FL_PLAY_AGREE);
}

static void test_signal(void **state)
{
	struct fl_answer *a = say(FL_ENGINE, 3, OTHER, FL_ANSWER_DONE, 0);

	(void)state;
	a->signo = 11;
	a->si_code = FL_SEGV_ACCERR;
	a->sig_addr = W + PAGE + 8;
	*say(FL_KERNEL, 3, OTHER, FL_ANSWER_DONE, 0) = *a;
	check_run(FL_PLAY_AGREE);

	fake[FL_KERNEL].said[0].answer.si_code = FL_SEGV_MAPERR;
	check_differ(2, FL_FACT_CODE, "load anon answer: engine SIGSEGV ACCERR kernel SIGSEGV MAPERR");

	fake[FL_KERNEL].said[0].answer = *a;
	fake[FL_KERNEL].said[0].answer.sig_addr++;
	check_differ(2, FL_FACT_ADDRESS, "load anon si_addr: engine SIGSEGV ACCERR kernel SIGSEGV ACCERR");
	check_report("load W[1]+8: engine SIGSEGV ACCERR W[1]+0x8, kernel SIGSEGV ACCERR W[1]+0x9\n"
		     "\n"
		     "                                       engine                      kernel\n"
		     "  4  main: e1 = mmap W[0:4] prot=rw    0                           0\n"
		     "  5  main: e2 = open U nonblock        0                           0\n"
		     "> 6  other: r1 = load W[1]+8           SIGSEGV ACCERR W[1]+0x8     SIGSEGV ACCERR W[1]+0x9\n");

	fake[FL_KERNEL].said[0].answer = (struct fl_answer){.state = FL_ANSWER_DONE, .interrupted = true};
	check_differ(2, FL_FACT_SIGNAL, "load anon answer: engine SIGSEGV ACCERR kernel interrupted");
}

static void test_asleep(void **state)
{
	(void)state;
	say(FL_ENGINE, 3, OTHER, FL_ANSWER_ASLEEP, 0);
	say(FL_KERNEL, 3, OTHER, FL_ANSWER_DONE, 0x1234);
	check_differ(2, FL_FACT_STATE, "load anon answer: engine asleep kernel n");
	assert_int_equal(fake[FL_KERNEL].expected, FL_ANSWER_ASLEEP);
}

/* Who was woken answers for its own statement, not for the one that woke it. */
static void test_woken(void **state)
{
	(void)state;
	say_both(3, OTHER, FL_ANSWER_ASLEEP, 0);
	say(FL_ENGINE, 4, OTHER, FL_ANSWER_DONE, 0x77);
	say(FL_KERNEL, 4, OTHER, FL_ANSWER_DONE, 0x7700);
	check_differ(3, FL_FACT_RETURN, "load anon answer: engine n kernel n");
	check_report("copy U W[1] fill=0x77, and other: r1 = load W[1]+8: engine 0x77, kernel 0x7700\n"
		     "\n"
		     "                                         engine  kernel\n"
		     "  4  main: e1 = mmap W[0:4] prot=rw      0       0\n"
		     "  5  main: e2 = open U nonblock          0       0\n"
		     "  6  other: r1 = load W[1]+8             asleep  asleep\n"
		     "  7  main: e3 = copy U W[1] fill=0x77    0       0\n"
		     ">      and other: r1 = load W[1]+8       0x77    0x7700\n");
}

static void test_not_woken(void **state)
{
	(void)state;
	say_both(3, OTHER, FL_ANSWER_ASLEEP, 0);
	say(FL_KERNEL, 4, OTHER, FL_ANSWER_DONE, 0x77);
	check_differ(3, FL_FACT_STATE, "load anon answer: engine asleep kernel n");
}

static void test_sleepers_are_skipped(void **state)
{
	(void)state;
	load("place W pages=16\nthread main\nthread other\nthread child in C\n"
	     "other: r1 = load W\n"   /* 1: sleeps */
	     "other: r2 = load W\n"   /* skipped */
	     "child: r3 = load W\n"   /* not born: skipped */
	     "main: fork C\n"         /* 2: child is born, other wakes */
	     "child: r4 = load W\n"   /* 3 */
	     "other: r5 = load W\n"   /* 4 */
	     "main: signal other\n"); /* 5 */
	say_both(0, 2, FL_ANSWER_GONE, 0);
	say_both(1, 1, FL_ANSWER_ASLEEP, 0);
	say_both(2, 1, FL_ANSWER_DONE, 1);
	say_both(2, 2, FL_ANSWER_NONE, 0);
	fake[FL_ENGINE].dead[1] = fake[FL_KERNEL].dead[1] = false;
	check_run(FL_PLAY_AGREE);
	assert_int_equal(fake[FL_ENGINE].issued, 5);
	assert_int_equal(fake[FL_KERNEL].issued, 5);
	assert_int_equal(play->steps, 5);
}

static void test_structure(void **state)
{
	struct fl_answer *e = say(FL_ENGINE, 4, MAIN, FL_ANSWER_DONE, 0);
	struct fl_answer *h = say(FL_KERNEL, 4, MAIN, FL_ANSWER_DONE, 0);

	(void)state;
	put_word(e, 0, W + PAGE);
	put_word(h, 0, W + PAGE);
	put_word(e, 4, PAGE);
	put_word(h, 4, (uint64_t)-FL_EEXIST);
	check_differ(3, FL_FACT_OUT, "copy anon copy.copy: engine n kernel EEXIST");
	check_report("copy U W[1] fill=0x77, copy.copy: engine 4096, kernel EEXIST\n"
		     "\n"
		     "                                         engine  kernel\n"
		     "  4  main: e1 = mmap W[0:4] prot=rw      0       0\n"
		     "  5  main: e2 = open U nonblock          0       0\n"
		     "  6  other: r1 = load W[1]+8             0       0\n"
		     "  7  main: e3 = copy U W[1] fill=0x77    0       0\n"
		     ">        copy.copy                       4096    EEXIST\n");
}

/* Only so much of an answer counts as the call shows. */
static void test_beyond_structure(void **state)
{
	(void)state;
	put_word(say(FL_ENGINE, 4, MAIN, FL_ANSWER_DONE, 0), 5, 1);
	check_run(FL_PLAY_AGREE);
}

static void test_message(void **state)
{
	struct fl_answer *a[FL_SIDES];

	(void)state;
	load("place W pages=16 at=8\nthread main\nthread other\nmain: open U nonblock\nmain: m = read U\n");
	for (unsigned side = 0; side < FL_SIDES; side++) {
		a[side] = say(side, 2, MAIN, FL_ANSWER_DONE, 32);
		put_word(a[side], 0, FL_UFFD_EVENT_PAGEFAULT);
		put_word(a[side], 1, FL_UFFD_PAGEFAULT_FLAG_WRITE);
		put_word(a[side], 2, W + 5 * PAGE);
		put_word(a[side], 3, OTHER + 1);
	}
	check_run(FL_PLAY_AGREE);
	check_report("\n"
		     "                                engine                          kernel\n"
		     "  4  main: open U nonblock      0                               0\n"
		     "  5  main: m = read U           PAGEFAULT W[5] write by other   "
		     "PAGEFAULT W[5] write by other\n");
	put_word(a[FL_KERNEL], 1, 0);
	check_differ(1, FL_FACT_OUT, "read nothing message 0 arg0: engine n kernel 0");
}

static void test_maps(void **state)
{
	(void)state;
	for (unsigned side = 0; side < FL_SIDES; side++) {
		fake[side].maps_from = 5;
		map(side, 0, 1, FL_PROT_READ);
	}
	map(FL_ENGINE, 1, 2, FL_PROT_READ | FL_PROT_WRITE);
	map(FL_ENGINE, 2, 4, FL_PROT_READ);
	map(FL_KERNEL, 1, 4, FL_PROT_READ);
	check_differ(4, FL_FACT_MAP, "mprotect anon mapping: engine less kernel more");
	check_report("mprotect W[1] prot=0x3, mapping W[1]: engine to W[2] rw- private, kernel to W[4] r-- private\n"
		     "\n"
		     "                                          engine               kernel\n"
		     "  4  main: e1 = mmap W[0:4] prot=rw       0                    0\n"
		     "  5  main: e2 = open U nonblock           0                    0\n"
		     "  6  other: r1 = load W[1]+8              0                    0\n"
		     "  7  main: e3 = copy U W[1] fill=0x77     0                    0\n"
		     "  8  main: e4 = mprotect W[1] prot=0x3    0                    0\n"
		     ">        mapping W[1]                     to W[2] rw- private  to W[4] r-- private\n"
		     "         mapping W[2]                     to W[4] r-- private  none\n");
}

static void test_kind_of_map(void **state)
{
	(void)state;
	map(FL_ENGINE, 0, 1, FL_PROT_READ);
	map(FL_KERNEL, 0, 1, FL_PROT_READ);
	fake[FL_ENGINE].maps_from = fake[FL_KERNEL].maps_from = 1;
	fake[FL_KERNEL].map[0].heap = true;
	check_differ(0, FL_FACT_MAP_KIND, "mmap anon kind of mapping: engine private kernel private [heap]");
	fake[FL_KERNEL].map[0].heap = false;
	fake[FL_KERNEL].map[0].prot = 0;
	check_differ(0, FL_FACT_MAP_PROT, "mmap anon protection: engine r-- kernel ---");
}

static void test_alive(void **state)
{
	(void)state;
	load("thread main\nthread child in C\nmain: fork C\n");
	fake[FL_KERNEL].dead[1] = true;
	check_differ(0, FL_FACT_ALIVE, "end nothing process: engine there kernel gone");
}

static void test_vm_flags(void **state)
{
	(void)state;
	map(FL_ENGINE, 0, 1, FL_PROT_READ);
	map(FL_KERNEL, 0, 1, FL_PROT_READ);
	fake[FL_ENGINE].map[0].vm_flags = FL_VM_READ | FL_VM_ACCOUNT;
	fake[FL_KERNEL].map[0].vm_flags = FL_VM_READ | FL_VM_LOCKED | FL_VM_DONTCOPY;
	kind_now = FL_DIFF_KIND_LOCKED;
	check_differ(5, FL_FACT_VMFLAGS, "end locked VmFlags: engine ac kernel lo dc");
	/* Told at once if every step is looked at. */
	play->options.every_step = true;
	check_differ(0, FL_FACT_VMFLAGS, "mmap locked VmFlags: engine ac kernel lo dc");
}

static void test_pages(void **state)
{
	(void)state;
	page(FL_ENGINE, 0, FL_PAGE_PRESENT, 7);
	page(FL_KERNEL, 0, FL_PAGE_PRESENT, 7);
	page(FL_KERNEL, 2, FL_PAGE_PRESENT | FL_PAGE_EXCLUSIVE, 0);
	check_differ(5, FL_FACT_PAGE, "end anon page: engine none kernel present exclusive");
	assert_int_equal(play->first[FL_ENGINE], SIZE_MAX);
	check_report("at the end, page W[2]: engine none, kernel present exclusive\n"
		     "\n"
		     "                                          engine  kernel\n"
		     "  4  main: e1 = mmap W[0:4] prot=rw       0       0\n"
		     "  5  main: e2 = open U nonblock           0       0\n"
		     "  6  other: r1 = load W[1]+8              0       0\n"
		     "  7  main: e3 = copy U W[1] fill=0x77     0       0\n"
		     "  8  main: e4 = mprotect W[1] prot=0x3    0       0\n"
		     "     at the end\n"
		     ">        page W[2]                        none    present exclusive\n");
}

/* Where very much differs the report does not drown in it. */
static void test_many_pages(void **state)
{
	static struct fl_seen_page pages[30];

	(void)state;
	for (uint64_t i = 0; i < 30; i++)
		pages[i] = (struct fl_seen_page){.address = FL_DIFF_WINDOW + i * PAGE, .bits = FL_PAGE_PRESENT};
	fake[FL_KERNEL].many_pages = pages;
	fake[FL_KERNEL].pages = 30;
	load("place V pages=32 at=0\n");
	check_differ(0, FL_FACT_PAGE, "end anon page: engine none kernel present");
	check_report("at the end, page V[0]: engine none, kernel present\n"
		     "\n"
		     "  engine  kernel\n"
		     "  at the end\n"
		     ">  page V[0]  none  present\n"
		     "  page V[1]  none  present\n"
		     "  page V[2]  none  present\n"
		     "  page V[3]  none  present\n"
		     "  page V[4]  none  present\n"
		     "  page V[5]  none  present\n"
		     "  page V[6]  none  present\n"
		     "  page V[7]  none  present\n"
		     "  page V[8]  none  present\n"
		     "  page V[9]  none  present\n"
		     "  page V[10]  none  present\n"
		     "  page V[11]  none  present\n"
		     "  and 18 more\n");
}

/* Beyond what is compared one by one they are counted. */
static void test_too_many_pages(void **state)
{
	static struct fl_seen_page pages[FL_DIFF_PAGES];

	(void)state;
	for (uint64_t i = 0; i < FL_DIFF_PAGES; i++)
		pages[i] = (struct fl_seen_page){.address = FL_DIFF_WINDOW + i * PAGE, .bits = FL_PAGE_PRESENT};
	fake[FL_ENGINE].many_pages = fake[FL_KERNEL].many_pages = pages;
	fake[FL_ENGINE].pages = fake[FL_KERNEL].pages = FL_DIFF_PAGES + 2;
	load("place V pages=32 at=0\n");
	check_run(FL_PLAY_AGREE);
	fake[FL_ENGINE].pages--;
	check_differ(0, FL_FACT_PAGES, "end nothing pages in all: engine less kernel more");
	check_report("at the end, pages in all: engine 4097, kernel 4098\n"
		     "\n"
		     "  engine  kernel\n"
		     "  at the end\n"
		     ">  pages in all  4097  4098\n");
}

static void test_contents(void **state)
{
	(void)state;
	page(FL_ENGINE, 1, FL_PAGE_PRESENT, 7);
	page(FL_KERNEL, 1, FL_PAGE_PRESENT, 8);
	check_differ(5, FL_FACT_HASH, "end anon contents: engine bytes kernel bytes");
}

static void test_faults(void **state)
{
	(void)state;
	say(FL_ENGINE, 3, OTHER, FL_ANSWER_DONE, 0)->minor = 1;
	say(FL_KERNEL, 3, OTHER, FL_ANSWER_DONE, 0)->minor = 2;
	check_differ(5, FL_FACT_MINOR, "end nothing minor faults: engine less kernel more");
}

static void test_unread(void **state)
{
	(void)state;
	fake[FL_ENGINE].unread = -1;
	fake[FL_KERNEL].unread = 2;
	check_run(FL_PLAY_AGREE);
	fake[FL_ENGINE].unread = 1;
	check_differ(5, FL_FACT_UNREAD, "end nothing unread messages: engine less kernel more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY_TEST(test_agree),
		PLAY_TEST(test_return),
		PLAY_TEST(test_numbers_of_their_own),
		PLAY_TEST(test_signal),
		PLAY_TEST(test_asleep),
		PLAY_TEST(test_woken),
		PLAY_TEST(test_not_woken),
		PLAY_TEST(test_sleepers_are_skipped),
		PLAY_TEST(test_structure),
		PLAY_TEST(test_beyond_structure),
		PLAY_TEST(test_message),
		PLAY_TEST(test_maps),
		PLAY_TEST(test_kind_of_map),
		PLAY_TEST(test_alive),
		PLAY_TEST(test_vm_flags),
		PLAY_TEST(test_pages),
		PLAY_TEST(test_many_pages),
		PLAY_TEST(test_too_many_pages),
		PLAY_TEST(test_contents),
		PLAY_TEST(test_faults),
		PLAY_TEST(test_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
