/* SPDX-License-Identifier: MIT */
/*
 * Lowering: which calls statements become, what their results are, and what is refused.
 *
 * No locks: one thread.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "diff/play.h"
#include "faultline/errno.h"
#include "faultline/uapi.h"

#define W FL_DIFF_WINDOW
#define PAGE FL_DIFF_PAGE

/* The sides are not linked: nothing here asks them. */
enum fl_diff_kind fl_engine_side_kind(struct fl_side *engine, unsigned process, uint64_t address, uint64_t len)
{
	(void)engine;
	(void)process;
	(void)address;
	(void)len;
	return FL_DIFF_KIND_ANON;
}

void fl_cover_note(struct fl_cover *c, enum fl_sc_op op, enum fl_diff_kind kind, const struct fl_answer *a)
{
	(void)c;
	(void)op;
	(void)kind;
	(void)a;
}

static struct fl_scenario *parse(const char *text)
{
	char *error;
	struct fl_scenario *s = fl_scenario_parse("t.fl", text, &error);

	if (!s)
		fail_msg("%s", error ? error : "no memory");
	return s;
}

static struct fl_call call[FL_CALLS_MAX];
static int64_t results[16];
static struct fl_scenario *program;
static const struct fl_sc_statement *last;

/* Lower the last statement of the first thread, after `place W pages=16`. */
static int lower(const char *statements)
{
	char text[1024], *error;
	int n;

	fl_scenario_free(program);
	program = NULL;
	strcpy(text, "place W pages=16 at=8\nthread main\nthread other\n");
	strcat(text, statements);
	program = parse(text);
	last = &program->thread[0].body[program->thread[0].bodies - 1];
	memset(call, 0xff, sizeof(call));
	n = fl_lower(program, last, 0, results, call, &error);
	assert_null(error);
	return n;
}

static void check_call(unsigned i, unsigned nr, uint64_t arg0, uint64_t arg1, uint64_t arg2)
{
	assert_int_equal(call[i].kind, FL_CALL_SYSCALL);
	assert_int_equal(call[i].actor, 0);
	assert_int_equal(call[i].nr, nr);
	assert_int_equal(call[i].arg[0], arg0);
	assert_int_equal(call[i].arg[1], arg1);
	assert_int_equal(call[i].arg[2], arg2);
}

static uint64_t word(const void *bytes, unsigned i)
{
	uint64_t w;

	memcpy(&w, (const uint8_t *)bytes + i * sizeof(w), sizeof(w));
	return w;
}

static void test_mmap(void **state)
{
	(void)state;
	assert_int_equal(lower("main: mmap W[1:3] prot=rw\n"), 1);
	check_call(0, 9, W + 9 * PAGE, 2 * PAGE, FL_PROT_READ | FL_PROT_WRITE);
	assert_int_equal(call[0].arg[3], FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED);
	assert_int_equal(call[0].arg[4], UINT64_MAX);
	assert_int_equal(call[0].arg[5], 0);

	assert_int_equal(lower("main: mmap W hint noreserve populate flags=0x40\n"), 1);
	assert_int_equal(call[0].arg[1], 16 * PAGE);
	assert_int_equal(call[0].arg[3],
			 FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_NORESERVE | FL_MAP_POPULATE | FL_MAP_32BIT);

	assert_int_equal(lower("main: mmap W noreplace shared\n"), 1);
	assert_int_equal(call[0].arg[3], FL_MAP_SHARED | FL_MAP_ANONYMOUS | FL_MAP_FIXED_NOREPLACE);

	assert_int_equal(lower("main: p = mmap any bytes=5000 prot=r hint=W[2]+1 stack locked\n"), 1);
	check_call(0, 9, W + 10 * PAGE + 1, 5000, FL_PROT_READ);
	assert_int_equal(call[0].arg[3],
			 FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_GROWSDOWN | FL_MAP_STACK | FL_MAP_LOCKED);
}

static void test_memory_calls(void **state)
{
	(void)state;
	lower("main: munmap W[15] bytes=0\n");
	check_call(0, 11, W + 23 * PAGE, 0, 0);
	lower("main: mprotect W+4097 bytes=5000 prot=0x1000003\n");
	check_call(0, 10, W + 9 * PAGE + 1, 5000, 0x1000003);
	lower("main: madvise 0x7ffffffff000 77\n");
	check_call(0, 28, 0x7ffffffff000, PAGE, 77);
	lower("main: mremap W[0:2] newbytes=100 maymove\n");
	check_call(0, 25, W + 8 * PAGE, 2 * PAGE, 100);
	assert_int_equal(call[0].arg[3], FL_MREMAP_MAYMOVE);
	lower("main: mremap W[0:2] to W[4] dontunmap\n");
	check_call(0, 25, W + 8 * PAGE, 2 * PAGE, 2 * PAGE);
	assert_int_equal(call[0].arg[3], FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED | FL_MREMAP_DONTUNMAP);
	assert_int_equal(call[0].arg[4], W + 12 * PAGE);
	lower("main: mlock W onfault\n");
	check_call(0, 325, W + 8 * PAGE, 16 * PAGE, 1);
	lower("main: munlock W[1]\n");
	check_call(0, 150, W + 9 * PAGE, PAGE, 0);
	lower("main: msync W[1]\n");
	check_call(0, 26, W + 9 * PAGE, PAGE, FL_MS_SYNC);
	lower("main: msync W[1] flags=0\n");
	check_call(0, 26, W + 9 * PAGE, PAGE, 0);
	lower("main: mincore W[1]+8\n");
	check_call(0, 27, W + 9 * PAGE, PAGE, FL_DIFF_SCRATCH);
	assert_int_equal(call[0].outs, 1);
	lower("main: mincore W[1]+8 bytes=8193 into=W[3]\n");
	check_call(0, 27, W + 9 * PAGE + 8, 8193, W + 11 * PAGE);
	assert_int_equal(call[0].outs, 0);
	lower("main: brk -2\n");
	check_call(0, 12, (uint64_t)-2 * PAGE, 0, 0);
	assert_int_equal(call[0].how[0], FL_ARG_BRK);
	lower("main: mlockall flags=7\n");
	check_call(0, 151, 7, 0, 0);
	lower("main: munlockall\n");
	check_call(0, 152, 0, 0, 0);
}

static void test_accesses(void **state)
{
	(void)state;
	lower("main: load W[1]+4090 size=16\n");
	assert_int_equal(call[0].kind, FL_CALL_LOAD);
	assert_int_equal(call[0].arg[0], W + 9 * PAGE + 4090);
	assert_int_equal(call[0].size, 16);
	assert_int_equal(call[0].outs, 16);
	lower("main: store W 0x1122 size=2\n");
	assert_int_equal(call[0].kind, FL_CALL_STORE);
	assert_int_equal(call[0].value, 0x1122);
	assert_int_equal(call[0].size, 2);
	lower("main: add W -1\n");
	assert_int_equal(call[0].kind, FL_CALL_ADD);
	assert_int_equal(call[0].value, UINT64_MAX);
	lower("main: fetch W\n");
	assert_int_equal(call[0].kind, FL_CALL_FETCH);
	assert_int_equal(call[0].arg[0], W + 8 * PAGE);
	lower("main: fetch W+4080\n");
	assert_int_equal(call[0].arg[0], W + 8 * PAGE + 4080);
	lower("main: fetch W+4081\n");
	assert_int_equal(call[0].arg[0], W + 8 * PAGE + 4080);
	lower("main: copyin W size=4\n");
	check_call(0, 18, 0, W + 8 * PAGE, 4);
	assert_int_equal(call[0].how[0], FL_ARG_CARRIER);
	assert_int_equal(call[0].out_kind, FL_OUT_CARRIED);
	assert_int_equal(call[0].outs, 4);
	lower("main: copyout W 0x33\n");
	check_call(0, 17, 0, W + 8 * PAGE, 8);
	assert_int_equal(call[0].fill, 0x33);
	assert_int_equal(call[0].fill_pages, 1);
	lower("main: syswrite W+100 bytes=9000\n");
	check_call(0, 18, 0, W + 8 * PAGE + 100, 9000);
	assert_int_equal(call[0].out_kind, FL_OUT_CARRIER);
	lower("main: sysread W bytes=0x7fffffffffffffff fill=5\n");
	check_call(0, 17, 0, W + 8 * PAGE, INT64_MAX);
	assert_int_equal(call[0].fill_pages, 15);
}

static void test_processes(void **state)
{
	(void)state;
	lower("main: fork C\n");
	assert_int_equal(call[0].kind, FL_CALL_FORK);
	assert_int_equal(call[0].object, 1);
	lower("main: exit\n");
	assert_int_equal(call[0].kind, FL_CALL_EXIT);
	lower("main: signal other fatal\n");
	assert_int_equal(call[0].kind, FL_CALL_SIGNAL);
	assert_int_equal(call[0].object, 1);
	assert_true(call[0].fatal);
	lower("main: limit as +16\n");
	assert_int_equal(call[0].kind, FL_CALL_LIMIT);
	assert_int_equal(call[0].object, 9);
	assert_int_equal(call[0].value, 16);
	lower("main: limit stack off\n");
	assert_int_equal(call[0].object, 3);
	assert_int_equal(call[0].value, UINT64_MAX);
}

static void test_userfaultfd(void **state)
{
	(void)state;
	lower("main: open U nonblock user_only\n");
	check_call(0, 323, FL_O_CLOEXEC | FL_O_NONBLOCK | FL_UFFD_USER_MODE_ONLY, 0, 0);
	assert_true(call[0].opens);
	assert_int_equal(lower("main: open U\nmain: api U features=thread_id api=0xab\n"), 1);
	check_call(0, 16, 0, FL_UFFDIO_API, FL_DIFF_SCRATCH);
	assert_int_equal(call[0].how[0], FL_ARG_UFFD);
	assert_int_equal(call[0].ins, 24);
	assert_int_equal(call[0].outs, 24);
	assert_int_equal(word(call[0].in, 0), 0xab);
	assert_int_equal(word(call[0].in, 1), FL_UFFD_FEATURE_THREAD_ID);
	lower("main: open U\nmain: register U missing wp W[1]\n");
	check_call(0, 16, 0, FL_UFFDIO_REGISTER, FL_DIFF_SCRATCH);
	assert_int_equal(word(call[0].in, 0), W + 9 * PAGE);
	assert_int_equal(word(call[0].in, 1), PAGE);
	assert_int_equal(word(call[0].in, 2), 3);
	assert_int_equal(call[0].outs, 32);
	lower("main: open U\nmain: copy U W[1:3] fill=0x77 dontwake\n");
	check_call(0, 16, 0, FL_UFFDIO_COPY, FL_DIFF_SCRATCH);
	assert_int_equal(word(call[0].in, 1), FL_DIFF_SCRATCH + PAGE);
	assert_int_equal(word(call[0].in, 3), 1);
	assert_int_equal(call[0].fill_pages, 2);
	assert_int_equal(call[0].fill, 0x77);
	assert_int_equal(call[0].outs, 40);
	lower("main: open U\nmain: move U W[1] from=W[4]+8 holes\n");
	check_call(0, 16, 0, FL_UFFDIO_MOVE, FL_DIFF_SCRATCH);
	assert_int_equal(word(call[0].in, 1), W + 12 * PAGE + 8);
	assert_int_equal(word(call[0].in, 3), 2);
	lower("main: open U\nmain: writeprotect U W[1] on dontwake\n");
	check_call(0, 16, 0, FL_UFFDIO_WRITEPROTECT, FL_DIFF_SCRATCH);
	assert_int_equal(word(call[0].in, 2), 3);
	lower("main: open U\nmain: read U\n");
	check_call(0, 0, 0, FL_DIFF_SCRATCH, 32);
	assert_int_equal(call[0].out_kind, FL_OUT_MESSAGES);
	assert_int_equal(call[0].outs, 32);
	lower("main: open U\nmain: poll U\n");
	check_call(0, 7, FL_DIFF_SCRATCH, 1, 0);
	assert_int_equal(word(call[0].in, 0), 1ull << 32);
	lower("main: open U\nmain: close U\n");
	check_call(0, 3, 0, 0, 0);
}

/* The structure in the memory under test: it is put there, used, and looked at. */
static void test_structure_in_memory(void **state)
{
	(void)state;
	assert_int_equal(lower("main: open U\nmain: wake U W[1] arg=W[2]+8\n"), 3);
	check_call(0, 17, 0, W + 10 * PAGE + 8, 16);
	assert_true(call[0].carried && !call[0].gives);
	assert_int_equal(call[0].ins, 16);
	assert_int_equal(word(call[0].in, 0), W + 9 * PAGE);
	check_call(1, 16, 0, FL_UFFDIO_WAKE, W + 10 * PAGE + 8);
	assert_true(call[1].gives);
	assert_int_equal(call[1].outs, 0);
	check_call(2, 18, 0, W + 10 * PAGE + 8, 16);
	assert_false(call[2].gives);
	assert_int_equal(call[2].outs, 16);
	assert_int_equal(call[2].out_kind, FL_OUT_CARRIED);

	assert_int_equal(call[2].lacks, 0);

	/* What the engine does not have is left out of the answer, and does not stay in memory. */
	assert_int_equal(lower("main: open U\nmain: api U arg=W[2]\n"), 4);
	assert_int_equal(call[2].lacks_at, 8);
	assert_int_equal(call[2].lacks & FL_UFFD_FEATURE_MOVE, FL_UFFD_FEATURE_MOVE);
	assert_int_equal(call[2].lacks & FL_UFFD_FEATURE_SIGBUS, 0);
	check_call(3, 17, 0, W + 10 * PAGE, 24);
	assert_true(call[3].carried && !call[3].gives);
	assert_int_equal(word(call[3].in, 0), FL_UFFD_API);

	assert_int_equal(lower("main: open U\nmain: ioctl U cmd=0xc028aa03 arg=W[2]\n"), 2);
	check_call(0, 16, 0, 0xc028aa03, W + 10 * PAGE);
	assert_int_equal(call[1].outs, 40);
	assert_int_equal(lower("main: open U\nmain: ioctl U cmd=1\n"), 1);
	assert_int_equal(call[0].ins, 0);
	assert_int_equal(call[0].outs, 64);
}

static void test_setup(void **state)
{
	struct fl_scenario *s = parse("map A pages=3 prot=r noreserve\nuffd U features=sigbus missing A[1]\n");
	char *error;

	(void)state;
	assert_int_equal(fl_lower(s, &s->setup[0], 0, results, call, &error), 1);
	assert_int_equal(call[0].arg[1], 3 * PAGE);
	assert_int_equal(call[0].arg[2], FL_PROT_READ);
	assert_int_equal(call[0].arg[3], FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED | FL_MAP_NORESERVE);
	assert_int_equal(fl_lower(s, &s->setup[1], 0, results, call, &error), 3);
	assert_true(call[0].opens && !call[0].needs);
	assert_int_equal(word(call[1].in, 1), FL_UFFD_FEATURE_SIGBUS);
	assert_true(call[1].needs && call[2].needs && call[2].gives);
	assert_int_equal(word(call[2].in, 1), PAGE);
	fl_scenario_free(s);
}

static void test_results_as_places(void **state)
{
	uint64_t at, len;

	(void)state;
	results[0] = 0x5fff00000000;
	assert_int_equal(lower("main: p = mmap any pages=3\nmain: munmap p[1:2]\n"), 1);
	check_call(0, 11, W + 0x5fff00001000, PAGE, 0);
	assert_true(fl_lower_range(program, last, results, &at, &len));
	assert_int_equal(at, W + 0x5fff00001000);
	assert_int_equal(len, PAGE);
	assert_int_equal(lower("main: p = mmap any pages=3\nmain: store p-8 7\n"), 1);
	assert_int_equal(call[0].arg[0], W + 0x5ffefffffff8);
	results[0] = -FL_ENOMEM;
	assert_int_equal(lower("main: p = mmap any pages=3\nmain: store p+8 7\n"), 0);
	assert_false(fl_lower_range(program, last, results, &at, &len));
	assert_int_equal(lower("main: p = mmap any pages=3\nmain: mremap W[1] to p\n"), 0);
	/* As a value it is a number. */
	assert_int_equal(lower("main: p = mmap any pages=3\nmain: store W p\n"), 1);
	assert_int_equal(call[0].value, (uint64_t)-FL_ENOMEM);
}

static int64_t result_of(const char *statements, const struct fl_answer *a)
{
	int n = lower(statements);

	assert_true(n > 0);
	return fl_lower_result(program, last, &call[n - 1], a);
}

static void test_results(void **state)
{
	struct fl_answer a = {.state = FL_ANSWER_DONE};

	(void)state;
	a.ret = (int64_t)(W + 5 * PAGE);
	assert_int_equal(result_of("main: mmap W\n", &a), 0);
	assert_int_equal(result_of("main: mmap W hint\n", &a), 5 * PAGE);
	assert_int_equal(result_of("main: p = mmap any pages=1\n", &a), 5 * PAGE);
	assert_int_equal(result_of("main: mremap W pages=3\n", &a), 0);
	assert_int_equal(result_of("main: mremap W to W[3]\n", &a), 0);
	assert_int_equal(result_of("main: mremap W pages=3 maymove\n", &a), 5 * PAGE);
	assert_int_equal(result_of("main: brk +1\n", &a), 5 * PAGE);
	a.ret = -FL_EBUSY;
	assert_int_equal(result_of("main: munmap W\n", &a), -FL_EBUSY);
	assert_int_equal(result_of("main: load W\n", &a), -FL_EBUSY);
	a.ret = 3;
	assert_int_equal(result_of("main: open U\n", &a), 0);
	assert_int_equal(result_of("main: syswrite W bytes=5\n", &a), 3);
	assert_int_equal(result_of("main: copyout W 1\n", &a), -FL_EFAULT);
	assert_int_equal(result_of("main: copyin W size=4\n", &a), -FL_EFAULT);
	a.ret = 8;
	memcpy(a.out, "\x11\x22\0\0\0\0\0\0", 8);
	assert_int_equal(result_of("main: copyin W\n", &a), 0x2211);
	assert_int_equal(result_of("main: copyout W 1\n", &a), 0);
	a.ret = 1;
	memcpy(a.out, "\0\0\0\0\1\0\x08\0", 8);
	assert_int_equal(result_of("main: open U\nmain: poll U\n", &a), FL_POLLERR);
	a.out[6] = 0x20;
	assert_int_equal(result_of("main: open U\nmain: poll U\n", &a), -FL_EBADF);
	a.signo = 11;
	a.si_code = FL_SEGV_ACCERR;
	assert_int_equal(result_of("main: load W\n", &a), FL_SC_ACCERR);
	a.si_code = FL_SEGV_MAPERR;
	assert_int_equal(result_of("main: load W\n", &a), FL_SC_MAPERR);
	a.signo = 7;
	a.si_code = FL_BUS_ADRERR;
	assert_int_equal(result_of("main: load W\n", &a), FL_SC_BUS);
	a.interrupted = true;
	assert_int_equal(result_of("main: load W\n", &a), FL_SC_INTERRUPTED);
	a.state = FL_ANSWER_GONE;
	assert_int_equal(result_of("main: load W\n", &a), FL_SC_UNSET);
}

static void check_refused(const char *text, const char *why)
{
	struct fl_scenario *s = parse(text);
	char *error = fl_lower_refuse(s);

	if (!why) {
		if (error)
			fail_msg("%s", error);
	} else if (!error || strcmp(error, why)) {
		fail_msg("expected %s, found %s", why, error ? error : "no refusal");
	}
	free(error);
	fl_scenario_free(s);
}

static void test_refusals(void **state)
{
	(void)state;
	check_refused("map A\nthread t { r = load A }\nalways r == 0\n", NULL);
	check_refused("var x\nthread t { set x 1 }\n",
		      "t.fl:2:12: `set`: a program that is compared is a straight line of calls and accesses");
	check_refused("map A\nthread t { repeat 2 { load A } }\n",
		      "t.fl:2:12: `repeat`: a program that is compared is a straight line of calls and accesses");
	check_refused("map A\nuffd U missing A\nthread t { wait U }\n",
		      "t.fl:3:12: `wait`: a program that is compared is a straight line of calls and accesses");
	check_refused("map A hugetlb pages=512 at=512\n", "t.fl:1:5: hugetlb memory is not compared yet; anon is");
	check_refused("map A\nthread t { fork C }\nthread c in C { load A }\n", NULL);
	check_refused(
		"map A\nthread t { fork C }\n",
		"t.fl:2:17: nobody would be in process C, and nothing could be compared there; say `thread NAME in C`");
	check_refused("engine only\nmap A\n", "t.fl: it says `engine only`: the running kernel cannot be asked");
	check_refused("inject alloc=2\nmap A\n",
		      "t.fl: `inject alloc=2`: the running kernel's allocations do not fail when asked to; "
		      "leave the setting out");
	check_refused("map A pages=16\nuffd U missing A\nthread t { copy U A fill=1 }\n",
		      "t.fl:3:12: `copy` with fill= has 15 pages at most; split it, or copy from=");
	check_refused("map A pages=16\nuffd U missing A\nthread t { copy U A fill=1 bytes=0xfffffffffffff000 }\n",
		      NULL);
	check_refused("map A\nuffd U missing A\nthread t { m = read U; store A m.address }\n",
		      "t.fl:3:32: parts of messages are compared, but no value for a statement here; write the number");
}

static void test_hash(void **state)
{
	static uint8_t page[PAGE + 16];
	uint64_t seen[64];

	(void)state;
	assert_int_equal(fl_diff_hash(page, PAGE), 0);
	assert_int_equal(fl_diff_hash(page, 3), 0);
	assert_int_equal(fl_diff_hash(page, 0), 0);
	for (unsigned i = 0; i < 64; i++) {
		page[i * 64 + i] = 1;
		seen[i] = fl_diff_hash(page, PAGE);
		assert_int_equal(seen[i], fl_diff_hash(page, PAGE));
		page[i * 64 + i] = 0;
		assert_int_not_equal(seen[i], 0);
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(seen[i], seen[k]);
	}
	/* Every byte counts, at any length and wherever it lies; words that change places as well. */
	for (unsigned n = 1; n < 40; n++) {
		for (unsigned i = 0; i < n; i++) {
			memset(page, 0x55, n);
			seen[0] = fl_diff_hash(page, n);
			memmove(page + 1, page, n);
			assert_int_equal(fl_diff_hash(page + 1, n), seen[0]);
			page[1 + i] ^= 4;
			assert_int_not_equal(fl_diff_hash(page + 1, n), seen[0]);
		}
	}
	memset(page, 0, sizeof(page));
	page[0] = 1;
	page[8] = 2;
	seen[0] = fl_diff_hash(page, 16);
	page[0] = 2;
	page[8] = 1;
	assert_int_not_equal(fl_diff_hash(page, 16), seen[0]);
}

static int teardown(void **state)
{
	(void)state;
	fl_scenario_free(program);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mmap),        cmocka_unit_test(test_memory_calls),
		cmocka_unit_test(test_accesses),    cmocka_unit_test(test_processes),
		cmocka_unit_test(test_userfaultfd), cmocka_unit_test(test_structure_in_memory),
		cmocka_unit_test(test_setup),       cmocka_unit_test(test_results_as_places),
		cmocka_unit_test(test_results),     cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
