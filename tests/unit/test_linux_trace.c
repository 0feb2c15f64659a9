/* SPDX-License-Identifier: MIT */
/* The trace: every line is one JSON object with the fields that the manual promises, whatever bytes a path has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "linux/linux.h"
#include "linux/trace.h"

struct sink {
	char *text;
	size_t size;
	struct fl_trace *trace;
	struct run_observer *obs;
	struct guest_proc proc;
	struct guest_thread th; /* with no address space, as before its first exec */
};

static int setup(void **state)
{
	struct sink *s = calloc(1, sizeof(*s));
	FILE *out;

	assert_non_null(s);
	out = open_memstream(&s->text, &s->size);
	assert_non_null(out);
	s->trace = fl_trace_new(out);
	assert_non_null(s->trace);
	s->obs = fl_trace_observer(s->trace);
	s->proc.pid = 41;
	s->th.tid = 42;
	s->th.proc = &s->proc;
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct sink *s = *state;

	free(s->text);
	free(s);
	return 0;
}

/* End the trace and parse its only line. */
static struct json_object *only_line(struct sink *s)
{
	struct json_object *o;

	assert_int_equal(fl_trace_end(s->trace), 0);
	assert_ptr_equal(strchr(s->text, '\n'), s->text + s->size - 1);
	o = json_tokener_parse(s->text);
	assert_non_null(o);
	return o;
}

static const char *field(struct json_object *o, const char *name)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, name, &v))
		fail_msg("no field %s in %s", name, json_object_get_string(o));
	return json_object_get_string(v);
}

static void fault_line_has_its_fields(void **state)
{
	struct sink *s = *state;
	struct run_fault rf = {.f = {.addr = 0x12345678, .access = FL_WRITE, .kind = FL_KIND_ANON, .waits = 2}};
	struct json_object *o;

	rf.ahead = true;
	s->obs->fault_end(s->obs->arg, &s->th, &rf, FL_FAULT_DONE, 1500);
	o = only_line(s);
	assert_string_equal(field(o, "type"), "fault");
	assert_string_equal(field(o, "thread"), "42");
	assert_string_equal(field(o, "pid"), "41");
	assert_string_equal(field(o, "address"), "0x12345678");
	assert_string_equal(field(o, "access"), "write");
	assert_string_equal(field(o, "kind"), "anon");
	assert_string_equal(field(o, "resolved"), "new page");
	assert_string_equal(field(o, "mapping"), "none");
	assert_string_equal(field(o, "ns"), "1500");
	assert_string_equal(field(o, "waits"), "2");
	assert_string_equal(field(o, "ahead"), "true");
	field(o, "time");
	json_object_put(o);
}

static void page_ahead_that_was_not_to_be_had_is_no_line(void **state)
{
	struct sink *s = *state;
	struct run_fault rf = {.f = {.addr = 0x1000, .access = FL_WRITE}, .ahead = true};

	s->obs->fault_end(s->obs->arg, &s->th, &rf, FL_FAULT_KERNEL_FIXUP, 10);
	assert_int_equal(fl_trace_end(s->trace), 0);
	assert_int_equal(s->size, 0);
}

static void failed_call_names_its_error(void **state)
{
	struct sink *s = *state;
	const uint64_t args[6] = {0, 4096};
	struct json_object *o;

	s->obs->memory_call(s->obs->arg, &s->th, SYS_mmap, args, -ENOMEM, 10);
	o = only_line(s);
	assert_string_equal(field(o, "call"), "mmap");
	assert_string_equal(field(o, "error"), "ENOMEM");
	json_object_put(o);
}

static void addresses_are_no_errors(void **state)
{
	struct sink *s = *state;
	const uint64_t args[6] = {0};
	struct json_object *o;

	s->obs->memory_call(s->obs->arg, &s->th, SYS_mmap, args, 0x4ffffffff000, 10);
	o = only_line(s);
	assert_string_equal(field(o, "result"), "0x4ffffffff000");
	json_object_put(o);
}

static void hostile_paths_stay_in_their_string(void **state)
{
	struct sink *s = *state;
	struct json_object *o;

	s->obs->exec(s->obs->arg, &s->th, "/tmp/\"x\\\n\x01\x7f\xff\xc3\xa9\xed\xa0\x80\xf0\x9f\x98\x80\xc3");
	o = only_line(s);
	assert_string_equal(
		field(o, "path"),
		"/tmp/\"x\\\n\x01\x7f\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80"
		"\xef\xbf\xbd");
	json_object_put(o);
}

static void full_disk_is_told(void **state)
{
	struct sink *s = *state;
	FILE *full = fopen("/dev/full", "w");
	const uint64_t args[6] = {0};
	struct fl_trace *t;

	if (!full)
		skip();
	t = fl_trace_new(full);
	assert_non_null(t);
	fl_trace_observer(t)->memory_call(fl_trace_observer(t)->arg, &s->th, SYS_brk, args, 0, 1);
	assert_int_equal(fl_trace_end(t), -ENOSPC);
	assert_int_equal(fl_trace_end(s->trace), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fault_line_has_its_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(page_ahead_that_was_not_to_be_had_is_no_line, setup, teardown),
		cmocka_unit_test_setup_teardown(failed_call_names_its_error, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses_are_no_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_paths_stay_in_their_string, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk_is_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
