/* SPDX-License-Identifier: MIT */
/* The report: what was told to the observer is added up, and appears in the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "linux/linux.h"
#include "linux/report.h"

static struct guest_proc proc = {.pid = 7};
static struct guest_thread th = {.tid = 8, .proc = &proc};

static void fault(struct run_observer *o, enum fl_fault_kind kind, enum fl_outcome outcome, uint64_t ns, bool ahead)
{
	struct run_fault rf = {.f = {.addr = 0x1000 + ns, .access = FL_WRITE, .kind = (uint8_t)kind}, .ahead = ahead};

	o->fault_end(o->arg, &th, &rf, outcome, ns);
}

static char *text_of(struct fl_report *r, const struct fl_run_result *res)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	fl_report_write(r, out, "prog", res);
	fclose(out);
	return text;
}

static void must_have(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in the report:\n%s", part, text);
}

static void faults_are_added_by_kind_and_outcome(void **state)
{
	struct fl_report *r = fl_report_new(false);
	struct run_observer *o = fl_report_observer(r);
	struct fl_run_result res = {.wait_status = 3 << 8, .frames_peak = 512, .frames_total = 1024};
	char *text;

	(void)state;
	for (int i = 0; i < 3; i++)
		fault(o, FL_KIND_ANON, FL_FAULT_DONE, 2000, i == 2);
	fault(o, FL_KIND_NONE, FL_FAULT_BAD_AREA, 1000, false);
	fault(o, FL_KIND_NONE, FL_FAULT_KERNEL_FIXUP, 1000, true);
	text = text_of(r, &res);
	must_have(text, "prog ran");
	must_have(text, "exit status 3");
	must_have(text, " 85.71    0.000006          2.0         3 done            anon\n");
	must_have(text, " 14.29    0.000001          1.0         1 bad area        none\n");
	must_have(text, "         4 total\n");
	must_have(text, "3 new (12.0 KiB)");
	must_have(text, "1 ahead of the program");
	must_have(text, "512 in use (2.0 MiB) of 1024 (4.0 MiB)");
	free(text);
	fl_report_free(r);
}

static void slowest_come_first_and_are_five(void **state)
{
	struct fl_report *r = fl_report_new(false);
	struct run_observer *o = fl_report_observer(r);
	struct fl_run_result res = {.wait_status = 9};
	char *text, *first, *last;

	(void)state;
	for (uint64_t i = 1; i <= 9; i++)
		fault(o, FL_KIND_ANON, FL_FAULT_DONE, i * 7 % 10 * 1000000, false);
	text = text_of(r, &res);
	first = strstr(text, "9000.0 us");
	last = strstr(text, "5000.0 us");
	assert_non_null(first);
	assert_non_null(last);
	assert_true(first < last);
	assert_null(strstr(text, "4000.0 us"));
	must_have(text, "killed by signal 9");
	free(text);
	fl_report_free(r);
}

static void calls_and_lists_appear(void **state)
{
	struct fl_report *r = fl_report_new(false);
	struct run_observer *o = fl_report_observer(r);
	const uint64_t args[6] = {0}, copy[6] = {3, FL_UFFDIO_COPY};
	struct fl_run_result res = {.frames_leaked = 2};
	char *text;

	(void)state;
	o->memory_call(o->arg, &th, SYS_mmap, args, 0x10000, 1000);
	o->memory_call(o->arg, &th, SYS_mmap, args, -ENOMEM, 1000);
	o->memory_call(o->arg, &th, SYS_ioctl, copy, 0, 1000);
	o->memory_call(o->arg, &th, SYS_read, args, 64, 1000);
	o->foreign_mapping(o->arg, &th, 0x1000, 4096, 5, "/lib/x.so");
	o->foreign_mapping(o->arg, &th, 0x2000, 8192, 5, "/lib/x.so");
	o->unknown_efault(o->arg, &th, SYS_keyctl, args);
	o->unknown_efault(o->arg, &th, 400, args);
	o->refused(o->arg, &th, "io_uring");
	o->oom_kill(o->arg, &th, 0x5000);
	text = text_of(r, &res);
	must_have(text, "         2         1 mmap\n");
	must_have(text, "         1         0 UFFDIO_COPY\n");
	must_have(text, "userfaultfd: 2\n");
	must_have(text, "12.0 KiB      2 mappings  /lib/x.so\n");
	must_have(text, "keyctl (1 time)");
	must_have(text, "system call 400 (1 time)");
	must_have(text, "io_uring (1 time)");
	must_have(text, "process 7 at address 0x5000");
	must_have(text, "2 are still referenced");
	free(text);
	fl_report_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_are_added_by_kind_and_outcome),
		cmocka_unit_test(slowest_come_first_and_are_five),
		cmocka_unit_test(calls_and_lists_appear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
