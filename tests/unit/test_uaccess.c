/* SPDX-License-Identifier: MIT */
/*
 * User access: copies that come up exactly as short as they must, at every boundary; nothing written beyond; page
 * faults disabled; faulting in; strings; memory that the machine serves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
#include "fl_port_test.h"
#include "mm/mm_int.h"
#include "world_support.h"

#define RW (FL_PROT_READ | FL_PROT_WRITE)

static struct world w;
static char buf[5 * 4096], back[5 * 4096];

static int open_world(void **state)
{
	(void)state;
	world_open(&w, 256);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (char)(i * 31 + 1);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static void copies_go_there_and_back_at_any_alignment(void **state)
{
	(void)state;
	world_map(&w, BASE, 4, RW);
	for (size_t at = 0; at < 24; at++) {
		for (size_t n = 0; n < 24; n++) {
			fl_va va = BASE + PAGE - 12 + at;

			memset(back, 0, sizeof(back));
			assert_int_equal(fl_copy_to_user(&w.task, va, buf + at, n), 0);
			assert_int_equal(fl_copy_from_user(&w.task, back, va, n), 0);
			assert_memory_equal(back, buf + at, n);
			assert_int_equal(back[n], 0);
		}
	}
	assert_int_equal(fl_copy_to_user(&w.task, BASE + 1, buf, 3 * PAGE), 0);
	assert_int_equal(fl_copy_from_user(&w.task, back, BASE + 1, 3 * PAGE), 0);
	assert_memory_equal(back, buf, 3 * PAGE);
}

/* Two pages at BASE, then a hole. Every start and every length round the end. */
static void expect_short_at(fl_va edge, int readable, int writable)
{
	for (fl_va va = edge - 20; va < edge + 4; va++) {
		for (size_t n = 0; n < 40; n++) {
			size_t can = va >= edge ? 0 : n < edge - va ? n : edge - va;

			memset(back, 0x55, 64);
			assert_int_equal(fl_copy_from_user(&w.task, back, va, n), readable ? n - can : n);
			for (size_t i = readable ? can : 0; i < 64; i++)
				assert_int_equal(back[i], 0x55);
			assert_int_equal(fl_copy_to_user(&w.task, va, buf, n), writable ? n - can : n);
			if (writable) {
				memset(back, 0, 64);
				assert_int_equal(fl_copy_from_user(&w.task, back, va, can), 0);
				assert_memory_equal(back, buf, can);
			}
			assert_int_equal(fl_fault_in_readable(&w.task, va, n), readable ? n - can : n);
			assert_int_equal(fl_fault_in_writeable(&w.task, va, n), writable ? n - can : n);
		}
	}
}

static void copy_stops_exactly_at_a_hole(void **state)
{
	(void)state;
	world_map(&w, BASE, 2, RW);
	expect_short_at(BASE + 2 * PAGE, 1, 1);
	/* The same when the pages were never touched before. */
	world_map(&w, BASE + FAR, 2, RW);
	assert_int_equal(fl_copy_from_user(&w.task, back, BASE + FAR + PAGE, 2 * PAGE), PAGE);
	assert_int_equal(fl_copy_to_user(&w.task, BASE + FAR + 5, buf, 3 * PAGE), PAGE + 5);
}

static void copy_stops_exactly_at_protection(void **state)
{
	(void)state;
	world_map(&w, BASE, 2, RW);
	world_map(&w, BASE + 2 * PAGE, 1, FL_PROT_NONE);
	expect_short_at(BASE + 2 * PAGE, 1, 1);
	world_map(&w, BASE + 2 * PAGE, 1, FL_PROT_READ);
	assert_int_equal(fl_copy_to_user(&w.task, BASE + 2 * PAGE - 3, buf, 10), 7);
	assert_int_equal(fl_copy_from_user(&w.task, back, BASE + 2 * PAGE - 3, 10), 0);
	assert_int_equal(fl_fault_in_writeable(&w.task, BASE + 2 * PAGE - 3, 10), 7);
	assert_int_equal(fl_fault_in_readable(&w.task, BASE + 2 * PAGE - 3, 10), 0);
	/* Not there, read-only, and now resident: no different. */
	assert_int_equal(fl_copy_to_user(&w.task, BASE + 2 * PAGE, buf, 1), 1);
}

static void copy_begins_after_a_hole(void **state)
{
	(void)state;
	world_map(&w, BASE + PAGE, 1, RW);
	assert_int_equal(fl_copy_from_user(&w.task, back, BASE + PAGE - 1, 10), 10);
	assert_int_equal(fl_copy_to_user(&w.task, BASE + PAGE - 1, buf, 10), 10);
	assert_int_equal(fl_fault_in_readable(&w.task, BASE, 2 * PAGE), 2 * PAGE);
}

static void copy_stops_at_the_end_of_user_addresses(void **state)
{
	fl_va end = fl_arch_x86_64.task_size;

	(void)state;
	world_map(&w, end - PAGE, 1, RW);
	expect_short_at(end, 1, 1);
	assert_int_equal(fl_copy_from_user(&w.task, back, UINT64_MAX, 4), 4);
	assert_int_equal(fl_copy_from_user(&w.task, back, end - 4, SIZE_MAX), SIZE_MAX - 4);
	assert_int_equal(fl_copy_from_user(&w.task, back, UINT64_MAX - 1, SIZE_MAX), SIZE_MAX);
}

static void task_without_memory_copies_nothing(void **state)
{
	struct fl_task t;

	(void)state;
	fl_task_init(&t, w.frames, NULL, 2);
	assert_int_equal(fl_copy_from_user(&t, back, BASE, 3), 3);
	assert_int_equal(fl_copy_to_user(&t, BASE, buf, 3), 3);
	assert_int_equal(fl_fault_in_writeable(&t, BASE, 3), 3);
	assert_int_equal(fl_strncpy_from_user(&t, back, BASE, 3), -FL_EFAULT);
	fl_task_exit(&t);
}

static void nofault_copies_what_is_there(void **state)
{
	struct fl_mm_stats before, after;

	(void)state;
	world_map(&w, BASE, 4, RW);
	poke(&w.cpu, BASE + PAGE, 1);
	peek(&w.cpu, BASE + 2 * PAGE, 0);
	fl_mm_stats(w.mm, &before);
	assert_int_equal(fl_copy_from_user_nofault(&w.task, back, BASE, 1), 1);
	assert_int_equal(fl_copy_from_user_nofault(&w.task, back, BASE + PAGE, 3 * PAGE), PAGE);
	assert_int_equal(fl_copy_to_user_nofault(&w.task, BASE + PAGE + 7, buf, PAGE), 7); /* the zero frame */
	fl_mm_stats(w.mm, &after);
	assert_int_equal(before.resident, after.resident);
	/* The loop of buffered I/O: short, fault in, again. */
	assert_int_equal(fl_fault_in_writeable(&w.task, BASE + 2 * PAGE, 7), 0);
	assert_int_equal(fl_copy_to_user_nofault(&w.task, BASE + PAGE + 7, buf, PAGE), 0);
	assert_int_equal(w.task.pagefault_disabled, 0);
}

/* One access of the kernel's: both pages, or nothing. */
static void word_is_put_whole_or_not_at_all(void **state)
{
	const uint64_t ones = UINT64_MAX;
	uint64_t word = 0;

	(void)state;
	world_map(&w, BASE, 2, FL_PROT_READ | FL_PROT_WRITE);
	assert_int_equal(fl_put_user(&w.task, BASE + PAGE - 3, &ones, sizeof(ones)), 0);
	assert_int_equal(fl_copy_from_user(&w.task, &word, BASE + PAGE - 3, sizeof(word)), 0);
	assert_true(word == ones);
	assert_int_equal(fl_put_user(&w.task, BASE + 2 * PAGE - 3, &ones, sizeof(ones)), -FL_EFAULT);
	assert_int_equal(fl_copy_from_user(&w.task, &word, BASE + 2 * PAGE - 8, sizeof(word)), 0);
	assert_true(word == 0);
	assert_int_equal(fl_mprotect(&w.task, BASE + PAGE, PAGE, FL_PROT_READ), 0);
	assert_int_equal(fl_put_user(&w.task, BASE + PAGE - 8, &ones, sizeof(ones)), 0);
	assert_int_equal(fl_put_user(&w.task, BASE + PAGE - 4, &word, sizeof(word)), -FL_EFAULT);
	assert_int_equal(fl_copy_from_user(&w.task, &word, BASE + PAGE - 8, sizeof(word)), 0);
	assert_true(word == ones);
}

static void disabled_faults_nest(void **state)
{
	(void)state;
	world_map(&w, BASE, 1, RW);
	fl_pagefault_disable(&w.task);
	assert_int_equal(fl_copy_to_user_nofault(&w.task, BASE, buf, 3), 3);
	assert_int_equal(fl_copy_to_user(&w.task, BASE, buf, 3), 3);
	fl_pagefault_enable(&w.task);
	assert_int_equal(fl_copy_to_user(&w.task, BASE, buf, 3), 0);
}

static void faulting_in_changes_no_byte(void **state)
{
	(void)state;
	world_map(&w, BASE, 3, RW);
	assert_int_equal(fl_copy_to_user(&w.task, BASE, buf, 2 * PAGE), 0);
	assert_int_equal(fl_fault_in_writeable(&w.task, BASE + 9, 3 * PAGE - 9), 0);
	assert_int_equal(fl_copy_from_user(&w.task, back, BASE, 3 * PAGE), 0);
	assert_memory_equal(back, buf, 2 * PAGE);
	assert_int_equal(poke(&w.cpu, BASE + 2 * PAGE, 1), FL_KIND_NONE); /* writable at once */
}

static void faulting_in_touches_only_the_range(void **state)
{
	struct fl_mm_stats s;

	(void)state;
	world_map(&w, BASE, 8, RW);
	assert_int_equal(fl_fault_in_readable(&w.task, BASE + 2 * PAGE - 1, 2), 0);
	fl_mm_stats(w.mm, &s);
	assert_int_equal(fl_fault_in_readable(&w.task, BASE + 2 * PAGE - 1, 0), 0);
	assert_int_equal(fl_copy_to_user(&w.task, BASE + 4 * PAGE, buf, 0), 0);
	for (unsigned i = 0; i < 8; i++) {
		char c;

		assert_int_equal(fl_copy_from_user_nofault(&w.task, &c, BASE + i * PAGE, 1), i == 1 || i == 2 ? 0 : 1);
	}
}

static void copy_marks_the_page_as_an_access_does(void **state)
{
	const fl_pte marks = FL_PTE_YOUNG | FL_PTE_DIRTY;
	struct fl_table *t;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 1);
	t = fl_table_lock(&w.mm->tables, BASE);
	assert_non_null(t);
	fl_entry_flags(t, fl_leaf_index(&w.mm->tables, BASE), marks, 0);
	fl_table_unlock(t);
	assert_int_equal(fl_copy_from_user(&w.task, back, BASE, 1), 0);
	assert_int_equal(fl_table_peek(&w.mm->tables, BASE) & marks, FL_PTE_YOUNG);
	assert_int_equal(fl_copy_to_user(&w.task, BASE, buf, 1), 0);
	assert_int_equal(fl_table_peek(&w.mm->tables, BASE) & marks, marks);
}

static void copy_to_shared_memory_breaks_the_share(void **state)
{
	struct thread child;
	struct fl_mm *mm;

	(void)state;
	world_map(&w, BASE, 1, RW);
	assert_int_equal(fl_copy_to_user(&w.task, BASE, "parent", 7), 0);
	assert_int_equal(fl_mm_fork(&w.task, &mm), 0);
	thread_open(&child, &w, mm, 2);
	fl_mm_put(mm);
	assert_int_equal(fl_copy_to_user_nofault(&child.task, BASE, "child!", 7), 7);
	assert_int_equal(fl_copy_to_user(&child.task, BASE, "child!", 7), 0);
	assert_int_equal(fl_copy_from_user(&w.task, back, BASE, 7), 0);
	assert_string_equal(back, "parent");
	assert_int_equal(fl_copy_from_user(&child.task, back, BASE, 7), 0);
	assert_string_equal(back, "child!");
	thread_close(&child);
}

static void string_ends_at_nul_at_n_or_at_a_hole(void **state)
{
	(void)state;
	world_map(&w, BASE, 2, RW);
	/* Ends right before the hole: what lies behind is never touched. */
	assert_int_equal(fl_copy_to_user(&w.task, BASE + 2 * PAGE - 6, "hello", 6), 0);
	assert_int_equal(fl_strncpy_from_user(&w.task, back, BASE + 2 * PAGE - 6, 100), 5);
	assert_string_equal(back, "hello");
	/* Over a page boundary. */
	assert_int_equal(fl_copy_to_user(&w.task, BASE + PAGE - 3, "hello", 6), 0);
	for (int64_t n = 0; n <= 5; n++) {
		memset(back, 'x', 16);
		assert_int_equal(fl_strncpy_from_user(&w.task, back, BASE + PAGE - 3, (size_t)n), n);
		assert_memory_equal(back, "hello", (size_t)n);
		assert_int_equal(back[n], 'x');
	}
	assert_int_equal(fl_strncpy_from_user(&w.task, back, BASE + PAGE - 3, 6), 5);
	/* No NUL before the hole. */
	assert_int_equal(fl_copy_to_user(&w.task, BASE + 2 * PAGE - 2, "ab", 2), 0);
	assert_int_equal(fl_strncpy_from_user(&w.task, back, BASE + 2 * PAGE - 2, 3), -FL_EFAULT);
	assert_int_equal(fl_strncpy_from_user(&w.task, back, BASE + 2 * PAGE - 2, 2), 2);
	assert_int_equal(fl_strncpy_from_user(&w.task, back, BASE + 2 * PAGE, 2), -FL_EFAULT);
	assert_int_equal(fl_strncpy_from_user(&w.task, back, UINT64_MAX, 2), -FL_EFAULT);
}

/* A machine with memory of its own, of which it serves no more than `served` bytes. */
static struct {
	char bytes[2 * 4096];
	fl_va base;
	size_t served;
} host;

static size_t host_part(fl_va va, size_t n)
{
	size_t at = (size_t)(va - host.base);

	return at >= host.served ? 0 : n < host.served - at ? n : host.served - at;
}

static size_t host_read(void *machine, void *dst, fl_va va, size_t n)
{
	assert_ptr_equal(machine, &host);
	assert_true((va & (PAGE - 1)) + n <= PAGE);
	n = host_part(va, n);
	memcpy(dst, host.bytes + (va - host.base), n);
	return n;
}

static size_t host_write(void *machine, fl_va va, const void *src, size_t n)
{
	assert_ptr_equal(machine, &host);
	assert_true((va & (PAGE - 1)) + n <= PAGE);
	n = host_part(va, n);
	memcpy(host.bytes + (va - host.base), src, n);
	return n;
}

static void expect_foreign_access(struct fl_task *t)
{
	fl_va foreign = BASE + PAGE;

	/* From ours into the machine's, and over its end. */
	host.served = sizeof(host.bytes) - 10;
	assert_int_equal(fl_copy_to_user(t, foreign - 4, buf, PAGE), 0);
	assert_memory_equal(host.bytes, buf + 4, PAGE - 4);
	assert_int_equal(fl_copy_from_user(t, back, foreign - 4, PAGE), 0);
	assert_memory_equal(back, buf, PAGE);
	assert_int_equal(fl_copy_from_user(t, back, foreign + PAGE - 5, PAGE + 5), 10);
	assert_int_equal(fl_copy_to_user(t, foreign + 2 * PAGE - 12, buf, 12), 10);
	/* Faults disabled: the loop of buffered I/O makes progress here too. */
	assert_int_equal(fl_copy_from_user_nofault(t, back, foreign, 8), 0);
	assert_int_equal(fl_fault_in_readable(t, foreign - 1, PAGE), 0);
	assert_int_equal(fl_fault_in_writeable(t, foreign - 1, PAGE), 0);
	host.served = PAGE;
	assert_int_equal(fl_fault_in_readable(t, foreign + 9, 2 * PAGE - 9), PAGE);
	memcpy(host.bytes + PAGE - 3, "abc", 3);
	assert_int_equal(fl_strncpy_from_user(t, back, foreign + PAGE - 3, 3), 3);
	assert_int_equal(fl_strncpy_from_user(t, back, foreign + PAGE - 3, 4), -FL_EFAULT);
}

static void foreign_memory_goes_through_the_machine(void **state)
{
	static const struct fl_machine_ops ops = {.foreign_read = host_read, .foreign_write = host_write}, none;
	struct fl_mm_config config = {.frames = w.frames, .ops = &ops, .machine = &host};
	struct fl_task t;
	struct fl_mm *mm;
	fl_va out;

	(void)state;
	for (int served = 1; served >= 0; served--) {
		config.ops = served ? &ops : &none;
		assert_int_equal(fl_mm_create(&config, &mm), 0);
		fl_task_init(&t, w.frames, mm, 3);
		fl_mm_put(mm);
		assert_int_equal(fl_mmap(&t, BASE, PAGE, RW, FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED, &out),
				 0);
		host.base = BASE + PAGE;
		assert_int_equal(
			fl_mmap_foreign(&t, host.base, 2 * PAGE, RW, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 1, 0, &out),
			0);
		if (served) {
			expect_foreign_access(&t);
		} else {
			assert_int_equal(fl_copy_to_user(&t, host.base - 4, buf, 10), 6);
			assert_int_equal(fl_copy_from_user(&t, back, host.base - 4, 10), 6);
			assert_int_equal(fl_fault_in_readable(&t, host.base, 1), 1);
		}
		fl_task_exit(&t);
	}
}

static void copy_survives_every_failing_allocation(void **state)
{
	bool failed = true;
	size_t left = 0;

	(void)state;
	world_map(&w, BASE + FAR - 2 * PAGE, 4, RW);
	for (long n = 0; failed; n++) {
		fl_port_fail_alloc_after(n);
		left = fl_copy_to_user(&w.task, BASE + FAR - PAGE, buf, 2 * PAGE);
		failed = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);
		assert_true(left == 0 || (failed && (left == PAGE || left == 2 * PAGE)));
		assert_int_equal(fl_copy_from_user(&w.task, back, BASE + FAR - PAGE, 2 * PAGE - left), 0);
		assert_memory_equal(back, buf, 2 * PAGE - left);
		world_check(&w);
	}
	assert_int_equal(left, 0);
}

static void copy_without_a_frame_comes_up_short(void **state)
{
	size_t left;

	(void)state;
	world_close(&w);
	world_open(&w, 16);
	world_map(&w, BASE, 16, RW);
	world_map(&w, BASE + 16 * PAGE, 16, RW);
	for (unsigned i = 0; i < 12; i++)
		poke(&w.cpu, BASE + (10 + i) * PAGE, 1);
	left = fl_copy_to_user(&w.task, BASE + 1, buf, 5 * PAGE - 1);
	assert_true(left > 0 && left % PAGE == 0);
	assert_int_equal(fl_copy_from_user(&w.task, back, BASE + 1, 5 * PAGE - 1 - left), 0);
	assert_memory_equal(back, buf, 5 * PAGE - 1 - left);
}

/* Copies against a mapping that comes and goes: every short count says the truth. */

static struct thread copier;
static uint32_t stop;

static void copy_repeatedly(void *unused)
{
	char local[64];

	(void)unused;
	for (int i = 0; i < 6; i++) {
		size_t left;

		memset(local, 0x66, sizeof(local));
		left = fl_copy_from_user(&copier.task, local, BASE + PAGE - 32, 64);
		CHECK(left == 0 || left == 32 || left == 64);
		for (size_t k = 0; k < 64; k++)
			CHECK(k < 64 - left ? local[k] == 0 || local[k] == 0x11 : local[k] == 0x66);
		memset(local, 0x11, sizeof(local));
		left = fl_copy_to_user(&copier.task, BASE + PAGE - 32, local, 64);
		CHECK(left == 0 || left == 32 || left == 64);
	}
	fl_store_release(&stop, 1);
}

/* Where the copier would write if this were a page of its own. */
static void expect_zeros(fl_va page)
{
	for (fl_va at = 0; at < 32; at += 8) {
		peek(&w.cpu, page + at, 0);
		peek(&w.cpu, page + PAGE - 32 + at, 0);
	}
}

static void remap_repeatedly(void *unused)
{
	(void)unused;
	for (int i = 0; i < 6 && !fl_load_acquire(&stop); i++) {
		world_map(&w, BASE, 2, RW);
		CHECK(fl_munmap(&w.task, BASE + PAGE, PAGE) == 0);
		CHECK(fl_mprotect(&w.task, BASE, PAGE, FL_PROT_NONE) == 0);
		CHECK(fl_munmap(&w.task, BASE, PAGE) == 0);
		/* Whoever gets the frames next gets no byte of the copier's. */
		poke(&w.cpu, BASE + FAR, 0);
		poke(&w.cpu, BASE + FAR + PAGE, 0);
		concurrent_yield();
		expect_zeros(BASE + FAR);
		expect_zeros(BASE + FAR + PAGE);
		CHECK(fl_madvise(&w.task, BASE + FAR, 2 * PAGE, FL_MADV_DONTNEED) == 0);
	}
}

static void copy_against_remap(size_t schedule)
{
	void (*const body[])(void *) = {copy_repeatedly, remap_repeatedly};

	(void)schedule;
	stop = 0;
	world_map(&w, BASE, 2, RW);
	thread_open(&copier, &w, w.mm, 2);
	run_concurrently(body, NULL, FL_ARRAY_LEN(body));
	thread_close(&copier);
	world_check(&w);
}

static void copy_against_changing_mappings_tells_the_truth(void **state)
{
	(void)state;
	world_map(&w, BASE + FAR, 2, RW);
	for_each_schedule(SCHEDULES(3000, 300), copy_against_remap);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copies_go_there_and_back_at_any_alignment),
		TEST(copy_stops_exactly_at_a_hole),
		TEST(copy_stops_exactly_at_protection),
		TEST(copy_begins_after_a_hole),
		TEST(copy_stops_at_the_end_of_user_addresses),
		TEST(task_without_memory_copies_nothing),
		TEST(nofault_copies_what_is_there),
		TEST(word_is_put_whole_or_not_at_all),
		TEST(disabled_faults_nest),
		TEST(faulting_in_changes_no_byte),
		TEST(faulting_in_touches_only_the_range),
		TEST(copy_marks_the_page_as_an_access_does),
		TEST(copy_to_shared_memory_breaks_the_share),
		TEST(string_ends_at_nul_at_n_or_at_a_hole),
		TEST(foreign_memory_goes_through_the_machine),
		TEST(copy_survives_every_failing_allocation),
		TEST(copy_without_a_frame_comes_up_short),
		TEST(copy_against_changing_mappings_tells_the_truth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
