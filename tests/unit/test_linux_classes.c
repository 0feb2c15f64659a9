/* SPDX-License-Identifier: MIT */
/*
 * The table of system calls: it agrees with the kernel headers' numbers, its lines make sense, and docs/syscalls.md is
 * what it prints. FL_UPDATE_DOCS=1 in the environment writes the page anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "faultline/compiler.h"
#include "linux/classes.h"

static void numbers_are_the_headers(void **state)
{
	static const struct {
		unsigned nr;
		const char *name;
	} some[] = {
		{SYS_read, "read"},
		{SYS_mmap, "mmap"},
		{SYS_wait4, "wait4"},
		{SYS_getcwd, "getcwd"},
		{SYS_futex, "futex"},
		{SYS_openat, "openat"},
		{SYS_ppoll, "ppoll"},
		{SYS_accept4, "accept4"},
		{SYS_recvmmsg, "recvmmsg"},
		{SYS_execveat, "execveat"},
		{SYS_userfaultfd, "userfaultfd"},
		{SYS_statx, "statx"},
		{SYS_rseq, "rseq"},
		{SYS_clone3, "clone3"},
		{SYS_epoll_pwait2, "epoll_pwait2"},
		{SYS_sysinfo, "sysinfo"},
		{SYS_tkill, "tkill"},
		{SYS_futex_waitv, "futex_waitv"},
		{SYS_utimes, "utimes"},
		{SYS_inotify_add_watch, "inotify_add_watch"},
	};

	(void)state;
	for (size_t i = 0; i < FL_ARRAY_LEN(some); i++)
		assert_string_equal(fl_call_find(some[i].nr)->name, some[i].name);
}

/* Numbers 335 to 423 were never given out on x86-64. */
static void every_number_has_a_line(void **state)
{
	(void)state;
	for (unsigned nr = 0; nr < fl_call_limit(); nr++)
		assert_true((fl_call_find(nr)->class == FL_CALL_UNKNOWN) == (nr > 334 && nr < 424));
	assert_int_equal(fl_call_find(1u << 30)->class, FL_CALL_UNKNOWN);
	assert_int_equal(fl_call_find(UINT64_MAX)->class, FL_CALL_UNKNOWN);
}

static void lines_make_sense(void **state)
{
	(void)state;
	for (unsigned nr = 0; nr < fl_call_limit(); nr++) {
		const struct fl_call *c = fl_call_find(nr);
		bool pointers = fl_call_pointers(c) != 0;

		if (c->class == FL_CALL_NATIVE)
			assert_false(pointers);
		if (c->class == FL_CALL_BUFFER || c->class == FL_CALL_STRUCT || c->class == FL_CALL_CONSUMING)
			assert_true(pointers);
		assert_true((c->class == FL_CALL_REFUSED) == (c->refusal != 0));
		for (unsigned i = 0; i < FL_CALL_ARGS && c->args[i].size; i++) {
			const struct fl_call_arg *a = &c->args[i];

			assert_in_range(a->dir, FL_ARG_IN, FL_ARG_INOUT);
			assert_in_range(a->index, 0, 5);
			assert_in_range(a->len, 0, 5);
			if (a->size == FL_SIZE_FIXED || a->size == FL_SIZE_ARG || a->size == FL_SIZE_RESULT)
				assert_true(a->bytes > 0);
			/* Only the kernel knows what an opaque argument is, so nothing can be bounced. */
			if (c->class == FL_CALL_CONSUMING)
				assert_int_not_equal(a->size, FL_SIZE_OPAQUE);
		}
	}
}

static void pointer_mask_has_length_pointers(void **state)
{
	(void)state;
	assert_int_equal(fl_call_pointers(fl_call_find(SYS_read)), 1u << 1);
	assert_int_equal(fl_call_pointers(fl_call_find(SYS_accept)), 1u << 1 | 1u << 2);
	assert_int_equal(fl_call_pointers(fl_call_find(SYS_getpid)), 0);
	assert_int_equal(fl_call_pointers(fl_call_find(SYS_recvfrom)), 1u << 1 | 1u << 4 | 1u << 5);
}

/* The source file's own path leads to docs/, wherever the build directory is. */
static FILE *open_doc(const char *mode)
{
	char path[4096];
	const char *end = strstr(__FILE__, "tests/unit/");

	assert_non_null(end);
	snprintf(path, sizeof(path), "%.*sdocs/syscalls.md", (int)(end - __FILE__), __FILE__);
	return fopen(path, mode);
}

static void page_is_up_to_date(void **state)
{
	char *want = NULL, *have;
	size_t want_size = 0, n;
	FILE *mem, *file;

	(void)state;
	mem = open_memstream(&want, &want_size);
	assert_non_null(mem);
	fl_call_write_doc(mem);
	fclose(mem);
	if (getenv("FL_UPDATE_DOCS")) {
		file = open_doc("w");
		assert_non_null(file);
		assert_int_equal(fwrite(want, 1, want_size, file), want_size);
		assert_int_equal(fclose(file), 0);
	}
	file = open_doc("r");
	assert_non_null(file);
	have = calloc(1, want_size + 2);
	assert_non_null(have);
	n = fread(have, 1, want_size + 1, file);
	fclose(file);
	if (n != want_size || memcmp(have, want, want_size) != 0)
		fail_msg("docs/syscalls.md is not what the table says: run this test once with FL_UPDATE_DOCS=1");
	free(have);
	free(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_the_headers), cmocka_unit_test(every_number_has_a_line),
		cmocka_unit_test(lines_make_sense),        cmocka_unit_test(pointer_mask_has_length_pointers),
		cmocka_unit_test(page_is_up_to_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
