/* SPDX-License-Identifier: MIT */
/*
 * The one fault entry: every outcome, in user and kernel mode; which kind of fault resolved what; the rules of
 * architectures other than x86-64, as far as they are data; and that a fault which finds no memory leaves nothing
 * behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
#include "fl_port_test.h"
#include "mm/mm_int.h"
#include "world_support.h"

#define RW (FL_PROT_READ | FL_PROT_WRITE)
#define USER FL_FAULTF_USER

static struct world w;

static int open_world(void **state)
{
	(void)state;
	world_open(&w, 256);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

/* The fault as user code sees it, and the same in kernel mode, where each refusal is a fixup. */
static void expect_refusal(fl_va va, enum fl_access access, unsigned flags, enum fl_outcome expected, uint8_t si_code)
{
	struct fl_fault f;

	assert_string_equal(fl_outcome_name(fault(&w.task, va, access, flags | USER, &f)), fl_outcome_name(expected));
	assert_int_equal(f.si_code, si_code);
	assert_int_equal(f.kind, FL_KIND_NONE);
	assert_int_equal(fault(&w.task, va, access, flags, &f), FL_FAULT_KERNEL_FIXUP);
	assert_int_equal(fault(&w.task, va, access, flags | USER | FL_FAULTF_AHEAD, &f), FL_FAULT_KERNEL_FIXUP);
}

static void read_of_fresh_memory_maps_the_zero_frame(void **state)
{
	(void)state;
	world_map(&w, BASE, 4, RW);
	assert_int_equal(peek(&w.cpu, BASE + 17, 0), FL_KIND_ZERO);
	assert_int_equal(peek(&w.cpu, BASE + 18, 0), FL_KIND_NONE);
	assert_int_equal(peek(&w.cpu, BASE + PAGE, 0), FL_KIND_ZERO);
	assert_int_equal(fl_frames_used(w.frames), 1);
}

static void write_to_fresh_memory_maps_a_cleared_frame(void **state)
{
	(void)state;
	world_map(&w, BASE, 4, RW);
	assert_int_equal(poke(&w.cpu, BASE + 17, 1), FL_KIND_ANON);
	assert_int_equal(peek(&w.cpu, BASE + 17, 1), FL_KIND_NONE);
	for (fl_va i = 0; i < PAGE; i++)
		peek(&w.cpu, BASE + i, i == 17);
	assert_int_equal(fl_frames_used(w.frames), 2);
}

static void write_after_read_replaces_the_zero_frame(void **state)
{
	(void)state;
	world_map(&w, BASE, 1, RW);
	peek(&w.cpu, BASE, 0);
	assert_int_equal(poke(&w.cpu, BASE, 7), FL_KIND_ANON);
	assert_int_equal(peek(&w.cpu, BASE, 7), FL_KIND_NONE);
	peek(&w.cpu, BASE + 1, 0);
}

static void fault_that_was_resolved_meanwhile_is_spurious(void **state)
{
	struct fl_fault f;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 1);
	assert_int_equal(fault(&w.task, BASE, FL_READ, USER, &f), FL_FAULT_DONE);
	assert_int_equal(f.kind, FL_KIND_SPURIOUS);
	assert_int_equal(fault(&w.task, BASE, FL_WRITE, USER | FL_FAULTF_PRESENT, &f), FL_FAULT_DONE);
	assert_int_equal(f.kind, FL_KIND_SPURIOUS);
}

static void access_where_nothing_is_mapped_is_a_bad_area(void **state)
{
	(void)state;
	world_map(&w, BASE, 1, RW);
	expect_refusal(BASE - 1, FL_READ, 0, FL_FAULT_BAD_AREA, FL_SEGV_MAPERR);
	expect_refusal(BASE + PAGE, FL_WRITE, 0, FL_FAULT_BAD_AREA, FL_SEGV_MAPERR);
	expect_refusal(0, FL_EXEC, 0, FL_FAULT_BAD_AREA, FL_SEGV_MAPERR);
	expect_refusal(fl_arch_x86_64.task_size, FL_READ, 0, FL_FAULT_BAD_AREA, FL_SEGV_MAPERR);
	expect_refusal(UINT64_MAX, FL_READ, 0, FL_FAULT_BAD_AREA, FL_SEGV_MAPERR);
	/* These would be BASE, if address bits beyond the tables were ignored. */
	expect_refusal(BASE | (fl_va)1 << 48, FL_READ, 0, FL_FAULT_BAD_AREA, FL_SEGV_MAPERR);
	assert_int_equal(try_access(&w.cpu, BASE | (fl_va)1 << 48, FL_READ), FL_FAULT_BAD_AREA);
}

static void access_against_protection_is_an_access_error(void **state)
{
	(void)state;
	world_map(&w, BASE, 1, FL_PROT_READ);
	world_map(&w, BASE + PAGE, 1, FL_PROT_NONE);
	world_map(&w, BASE + 2 * PAGE, 1, RW);
	expect_refusal(BASE, FL_WRITE, 0, FL_FAULT_ACCESS_ERROR, FL_SEGV_ACCERR);
	for (unsigned access = FL_READ; access <= FL_EXEC; access <<= 1)
		expect_refusal(BASE + PAGE, access, 0, FL_FAULT_ACCESS_ERROR, FL_SEGV_ACCERR);
	/* A present entry refused the fetch: final, whatever the other rights are. */
	poke(&w.cpu, BASE + 2 * PAGE, 1);
	expect_refusal(BASE + 2 * PAGE, FL_EXEC, FL_FAULTF_PRESENT, FL_FAULT_ACCESS_ERROR, FL_SEGV_ACCERR);
	expect_refusal(BASE + 2 * PAGE, FL_READ, FL_FAULTF_PRESENT, FL_FAULT_ACCESS_ERROR, FL_SEGV_ACCERR);
}

static void fetch_obeys_the_right_to_execute(void **state)
{
	(void)state;
	world_map(&w, BASE, 1, RW);
	world_map(&w, BASE + PAGE, 1, FL_PROT_READ | FL_PROT_EXEC);
	world_map(&w, BASE + 2 * PAGE, 1, FL_PROT_EXEC);
	assert_int_equal(try_access(&w.cpu, BASE, FL_EXEC), FL_FAULT_ACCESS_ERROR);
	assert_int_equal(w.cpu.fault.si_code, FL_SEGV_ACCERR);
	assert_int_equal(try_access(&w.cpu, BASE + PAGE, FL_EXEC), FL_FAULT_DONE);
	assert_int_equal(try_access(&w.cpu, BASE + PAGE, FL_READ), FL_FAULT_DONE);
	/* x86-64: what may be executed may be read, and so may what may be written. */
	assert_int_equal(try_access(&w.cpu, BASE + 2 * PAGE, FL_READ), FL_FAULT_DONE);
	assert_int_equal(try_access(&w.cpu, BASE + 2 * PAGE, FL_EXEC), FL_FAULT_DONE);
	world_map(&w, BASE + 3 * PAGE, 1, FL_PROT_WRITE);
	assert_int_equal(try_access(&w.cpu, BASE + 3 * PAGE, FL_READ), FL_FAULT_DONE);
}

static void foreign_memory_is_not_ours_to_serve(void **state)
{
	fl_va out;

	(void)state;
	assert_int_equal(fl_mmap_foreign(&w.task, BASE, PAGE, RW, FL_MAP_PRIVATE | FL_MAP_FIXED, 0, 0, 1, 0, &out), 0);
	expect_refusal(BASE, FL_READ, 0, FL_FAULT_BAD_AREA, FL_SEGV_MAPERR);
}

static void task_without_memory_is_refused(void **state)
{
	struct fl_fault f;
	struct fl_task t;

	(void)state;
	fl_task_init(&t, w.frames, NULL, 2);
	assert_int_equal(fault(&t, BASE, FL_READ, USER, &f), FL_FAULT_BAD_AREA);
	assert_int_equal(f.si_code, FL_SEGV_MAPERR);
	assert_int_equal(fault(&t, BASE, FL_READ, 0, &f), FL_FAULT_KERNEL_FIXUP);
	fl_task_exit(&t);
}

static void disabled_page_faults_are_refused(void **state)
{
	struct fl_fault f;

	(void)state;
	world_map(&w, BASE, 1, RW);
	fl_pagefault_disable(&w.task);
	expect_refusal(BASE, FL_READ, 0, FL_FAULT_BAD_AREA, FL_SEGV_MAPERR);
	fl_pagefault_enable(&w.task);
	assert_int_equal(fault(&w.task, BASE, FL_READ, 0, &f), FL_FAULT_DONE);
	assert_int_equal(f.kind, FL_KIND_ZERO);
}

/* Put a marker where nothing is. */
static void plant(fl_va va, fl_pte marker)
{
	struct fl_table *t;

	assert_int_equal(fl_table_ensure(&w.mm->tables, va), 0);
	t = fl_table_lock(&w.mm->tables, va);
	assert_non_null(t);
	if (marker)
		fl_entry_set(t, fl_leaf_index(&w.mm->tables, va), marker);
	else
		fl_entry_clear(t, fl_leaf_index(&w.mm->tables, va));
	fl_table_unlock(t);
}

static void guard_is_a_bad_area_and_poison_a_bus_error(void **state)
{
	struct fl_fault f;

	(void)state;
	world_map(&w, BASE, 2, RW);
	plant(BASE, FL_MARKER_GUARD);
	plant(BASE + PAGE, FL_MARKER_POISON);
	expect_refusal(BASE, FL_READ, 0, FL_FAULT_BAD_AREA, FL_SEGV_MAPERR);
	expect_refusal(BASE + PAGE, FL_WRITE, 0, FL_FAULT_POISONED, FL_BUS_MCEERR_AR);
	assert_int_equal(fault(&w.task, BASE + PAGE, FL_READ, USER, &f), FL_FAULT_POISONED);
	assert_int_equal(f.lsb, 12);
	plant(BASE, 0);
	plant(BASE + PAGE, 0);
}

static void rights_of_an_entry_catch_up_with_its_mapping(void **state)
{
	struct fl_table *t;
	struct fl_fault f;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 9);
	/* As a lazy mprotect would leave it. */
	t = fl_table_lock(&w.mm->tables, BASE);
	assert_non_null(t);
	fl_entry_flags(t, fl_leaf_index(&w.mm->tables, BASE), FL_PTE_RWX, 0);
	fl_table_unlock(t);
	assert_int_equal(fault(&w.task, BASE, FL_READ, USER, &f), FL_FAULT_DONE);
	assert_int_equal(f.kind, FL_KIND_SPURIOUS);
	peek(&w.cpu, BASE, 9);
	assert_int_equal(fault(&w.task, BASE, FL_WRITE, USER, &f), FL_FAULT_DONE);
	assert_int_equal(f.kind, FL_KIND_COW_REUSE);
}

static void fault_ahead_serves_what_costs_nothing(void **state)
{
	struct fl_fault f;
	struct fl_mm *child;

	(void)state;
	world_map(&w, BASE, 4, RW);
	assert_int_equal(fault(&w.task, BASE, FL_WRITE, USER | FL_FAULTF_AHEAD, &f), FL_FAULT_DONE);
	assert_int_equal(f.kind, FL_KIND_ANON);
	assert_int_equal(fault(&w.task, BASE, FL_WRITE, USER | FL_FAULTF_AHEAD, &f), FL_FAULT_DONE);
	assert_int_equal(f.kind, FL_KIND_SPURIOUS);
	assert_int_equal(fault(&w.task, BASE + PAGE, FL_READ, USER | FL_FAULTF_AHEAD, &f), FL_FAULT_DONE);
	assert_int_equal(f.kind, FL_KIND_ZERO);
	/* Replacing the zero frame needs a shoot-down, and breaking a share a copy. */
	assert_int_equal(fault(&w.task, BASE + PAGE, FL_WRITE, USER | FL_FAULTF_AHEAD, &f), FL_FAULT_KERNEL_FIXUP);
	assert_int_equal(fl_mm_fork(&w.task, &child), 0);
	assert_int_equal(fault(&w.task, BASE, FL_WRITE, USER | FL_FAULTF_AHEAD, &f), FL_FAULT_KERNEL_FIXUP);
	fl_mm_put(child);
	assert_int_equal(fault(&w.task, BASE, FL_WRITE, USER | FL_FAULTF_AHEAD, &f), FL_FAULT_DONE);
	assert_int_equal(f.kind, FL_KIND_COW_REUSE);
}

static void stack_grows_down_to_the_access(void **state)
{
	struct fl_vma_info info;
	fl_va top = BASE + 1024 * PAGE, out;
	struct fl_fault f;

	(void)state;
	assert_int_equal(fl_mmap(&w.task, top - PAGE, PAGE, RW,
				 FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED | FL_MAP_GROWSDOWN, &out),
			 0);
	assert_int_equal(fault(&w.task, top - 5 * PAGE + 8, FL_WRITE, USER | FL_FAULTF_AHEAD, &f),
			 FL_FAULT_KERNEL_FIXUP);
	assert_int_equal(poke(&w.cpu, top - 5 * PAGE + 8, 3), FL_KIND_STACK);
	assert_true(fl_mm_next_vma(w.mm, 0, &info));
	assert_int_equal(info.start, top - 5 * PAGE);
	assert_int_equal(info.end, top);
	assert_int_equal(poke(&w.cpu, top - 4 * PAGE, 3), FL_KIND_ANON);
	/* In kernel mode as well (x86). */
	assert_int_equal(fault(&w.task, top - 7 * PAGE, FL_READ, 0, &f), FL_FAULT_DONE);
	assert_int_equal(f.kind, FL_KIND_STACK);
	world_check(&w);
	/* Not into another mapping's neighbourhood. */
	world_map(&w, top - 300 * PAGE, 1, RW);
	expect_refusal(top - 299 * PAGE, FL_WRITE, 0, FL_FAULT_BAD_AREA, FL_SEGV_MAPERR);
}

/* Architectures are data: their rules hold without a line of code for them. */

static void open_with_arch(const struct fl_arch *arch)
{
	struct fl_mm_config config = {.arch = arch};

	world_close(&w);
	world_open_as(&w, 256, &config);
}

static void stack_slack_below_the_stack_pointer_is_obeyed(void **state)
{
	struct fl_arch m68k_like = fl_arch_x86_64;
	fl_va top = BASE + 64 * PAGE, out;
	struct fl_fault f = {.access = FL_WRITE, .flags = USER | FL_FAULTF_SP, .sp = BASE + 32 * PAGE};

	(void)state;
	m68k_like.stack_slack = 256;
	open_with_arch(&m68k_like);
	assert_int_equal(fl_mmap(&w.task, top - PAGE, PAGE, RW,
				 FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED | FL_MAP_GROWSDOWN, &out),
			 0);
	f.addr = f.sp - 257;
	assert_int_equal(fl_handle_fault(&w.task, &f), FL_FAULT_BAD_AREA);
	f.addr = f.sp - 256;
	assert_int_equal(fl_handle_fault(&w.task, &f), FL_FAULT_DONE);
	assert_int_equal(f.kind, FL_KIND_STACK);
	/* The rule is for user mode. */
	f.flags = FL_FAULTF_SP;
	f.addr = f.sp - 4 * PAGE;
	assert_int_equal(fl_handle_fault(&w.task, &f), FL_FAULT_DONE);
	world_close(&w);
	world_open(&w, 256);
}

static void masks_and_codes_come_from_the_architecture(void **state)
{
	struct fl_arch arch = fl_arch_x86_64;

	(void)state;
	/* sparc-like: what may only be written may not be read, and a fetch is not told from a read. */
	arch.read_mask = arch.read_prot_mask = FL_VM_READ | FL_VM_EXEC;
	arch.exec_mask = arch.exec_prot_mask = FL_VM_READ | FL_VM_EXEC;
	arch.knows_exec = false;
	arch.accerr_code = 77;
	arch.maperr_code = 78;
	open_with_arch(&arch);
	world_map(&w, BASE, 1, FL_PROT_WRITE);
	world_map(&w, BASE + PAGE, 1, FL_PROT_READ);
	expect_refusal(BASE, FL_READ, 0, FL_FAULT_ACCESS_ERROR, 77);
	assert_int_equal(try_access(&w.cpu, BASE, FL_WRITE), FL_FAULT_DONE);
	assert_int_equal(try_access(&w.cpu, BASE + PAGE, FL_EXEC), FL_FAULT_DONE);
	expect_refusal(BASE + 9 * PAGE, FL_READ, 0, FL_FAULT_BAD_AREA, 78);
	world_close(&w);
	world_open(&w, 256);
}

static void access_that_the_masks_allow_but_no_entry_can_does_not_loop(void **state)
{
	(void)state;
	/* x86: a fetch from a page that is not there is let through by the masks; the page comes, and then refuses. */
	world_map(&w, BASE, 2, FL_PROT_READ);
	assert_int_equal(try_access(&w.cpu, BASE, FL_EXEC), FL_FAULT_ACCESS_ERROR);
	/* A machine that cannot tell that the entry was present asks again without saying so. */
	expect_refusal(BASE, FL_EXEC, 0, FL_FAULT_ACCESS_ERROR, FL_SEGV_ACCERR);
}

/* Memory that runs out. */

static void fault_without_a_frame_is_out_of_memory(void **state)
{
	struct fl_fault f;
	unsigned n = 0;

	(void)state;
	world_close(&w);
	world_open(&w, 16);
	/* More than there are frames, but not in one call. */
	world_map(&w, BASE, 16, RW);
	world_map(&w, BASE + 16 * PAGE, 16, RW);
	while (try_access(&w.cpu, BASE + n * PAGE, FL_WRITE) == FL_FAULT_DONE)
		n++;
	assert_in_range(n, 12, 15);
	world_check(&w);
	expect_refusal(BASE + n * PAGE, FL_WRITE, 0, FL_FAULT_OOM, 0);
	assert_int_equal(peek(&w.cpu, BASE + n * PAGE, 0), FL_KIND_ZERO); /* needs none */
	assert_int_equal(fault(&w.task, BASE + n * PAGE, FL_WRITE, USER, &f), FL_FAULT_OOM);
	peek(&w.cpu, BASE + n * PAGE, 0);
	assert_int_equal(fl_munmap(&w.task, BASE, PAGE), 0);
	assert_int_equal(poke(&w.cpu, BASE + n * PAGE, 5), FL_KIND_ANON);
}

static void reads_all_over_a_huge_mapping_end_when_tables_are_as_many_as_frames(void **state)
{
	struct fl_mm_config config = {0};
	struct fl_mm_stats stats;
	struct fl_fault f;
	unsigned n = 0;
	fl_va va;

	(void)state;
	world_open_as(&w, 64, &config);
	assert_int_equal(fl_mmap(&w.task, BASE, (uint64_t)16384 * FAR, FL_PROT_READ,
				 FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED | FL_MAP_NORESERVE, &va),
			 0);
	while (n < 16384 && fault(&w.task, va + n * FAR, FL_READ, USER, &f) == FL_FAULT_DONE)
		n++;
	assert_in_range(n, 64, 2048);
	assert_int_equal(fault(&w.task, va + n * FAR, FL_READ, USER, &f), FL_FAULT_OOM);
	fl_mm_stats(w.mm, &stats);
	assert_in_range(stats.tables, 64, 2048);
	/* What is given back can be used again. */
	assert_int_equal(fl_madvise(&w.task, va, 8 * FAR, FL_MADV_DONTNEED), 0);
	assert_int_equal(fault(&w.task, va + n * FAR, FL_READ, USER, &f), FL_FAULT_DONE);
	world_close(&w);
}

static void fault_survives_every_failing_allocation(void **state)
{
	struct fl_mm_stats before, after;
	enum fl_outcome o;
	struct fl_fault f;
	bool failed = true;
	long n;

	(void)state;
	world_map(&w, BASE, 4, RW);
	fl_mm_stats(w.mm, &before);
	for (n = 0; failed; n++) {
		fl_port_fail_alloc_after(n);
		o = fault(&w.task, BASE + PAGE, FL_WRITE, USER, &f);
		failed = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);
		world_check(&w);
		fl_mm_stats(w.mm, &after);
		if (!failed)
			break;
		assert_int_equal(o, FL_FAULT_OOM);
		assert_int_equal(after.resident, before.resident);
		assert_int_equal(after.tables, before.tables);
	}
	assert_int_equal(o, FL_FAULT_DONE);
	assert_true(n >= 1); /* it does need tables */
	peek(&w.cpu, BASE + PAGE, 0);
}

static void growth_survives_every_failing_allocation(void **state)
{
	fl_va top = BASE + 512 * PAGE, out;
	enum fl_outcome o;
	struct fl_fault f;
	bool failed = true;

	(void)state;
	assert_int_equal(fl_mmap(&w.task, top - PAGE, PAGE, RW,
				 FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED | FL_MAP_GROWSDOWN, &out),
			 0);
	for (long n = 0; failed; n++) {
		fl_port_fail_alloc_after(n);
		o = fault(&w.task, top - 3 * PAGE, FL_WRITE, USER, &f);
		failed = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);
		world_check(&w);
		assert_true(failed ? o == FL_FAULT_OOM || o == FL_FAULT_BAD_AREA || o == FL_FAULT_DONE
				   : o == FL_FAULT_DONE);
	}
	poke(&w.cpu, top - 3 * PAGE, 1);
}

/* A signal ends the wait for a writer. */

static struct {
	struct fl_task task;
	enum fl_outcome outcome;
	unsigned flags, retries;
	uint32_t ended;
} waiter;

static void fault_against_a_writer(void *unused)
{
	struct fl_fault f;

	(void)unused;
	waiter.outcome = fault(&waiter.task, BASE, FL_WRITE, waiter.flags, &f);
	waiter.retries = f.retries;
	fl_store_release(&waiter.ended, 1);
}

/* Holds the range, with the VMA marked, until the fault has ended. */
static void write_for_ever(void *unused)
{
	struct fl_range_req req;
	struct fl_vma *v;

	(void)unused;
	CHECK(fl_range_lock(&w.mm->ranges, &req, &w.task, BASE, BASE + PAGE, FL_RANGE_EXCLUSIVE,
			    FL_WAIT_UNINTERRUPTIBLE) == 0);
	v = fl_mm_vma_at(w.mm, BASE);
	CHECK(v);
	fl_store_seq(&v->mark, FL_VMA_BUSY);
	fl_task_signal(&waiter.task, FL_SIGNAL_FATAL);
	while (!fl_load_acquire(&waiter.ended))
		concurrent_yield();
	fl_store_seq(&v->mark, 0);
	fl_range_unlock(&w.mm->ranges, &req);
}

static void wait_ended_by_a_signal(size_t schedule)
{
	void (*const body[])(void *) = {write_for_ever, fault_against_a_writer};

	memset(&waiter, 0, sizeof(waiter));
	fl_task_init(&waiter.task, w.frames, w.mm, 2);
	waiter.flags = schedule % 2 ? USER : 0;
	run_concurrently(body, NULL, FL_ARRAY_LEN(body));
	/* Or the fault came first. */
	assert_true(waiter.outcome == FL_FAULT_DONE ||
		    waiter.outcome == (waiter.flags ? FL_FAULT_SIGNAL : FL_FAULT_KERNEL_FIXUP));
	assert_in_range(waiter.retries, 0, 3); /* after that it sleeps */
	fl_task_exit(&waiter.task);
	assert_int_equal(fl_madvise(&w.task, BASE, PAGE, FL_MADV_DONTNEED), 0);
	world_check(&w);
}

static void fatal_signal_ends_the_wait_for_a_writer(void **state)
{
	(void)state;
	world_map(&w, BASE, 1, RW);
	for_each_schedule(SCHEDULES(1000, 100), wait_ended_by_a_signal);
}

static void every_outcome_and_kind_has_a_name(void **state)
{
	(void)state;
	for (unsigned o = FL_FAULT_DONE; o <= FL_FAULT_OOM; o++)
		assert_string_not_equal(fl_outcome_name(o), "unknown");
	assert_string_equal(fl_outcome_name(FL_FAULT_OOM + 1), "unknown");
	for (unsigned k = FL_KIND_NONE; k <= FL_KIND_STACK; k++)
		assert_string_not_equal(fl_fault_kind_name(k), "unknown");
	assert_string_equal(fl_fault_kind_name(FL_KIND_STACK + 1), "unknown");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(read_of_fresh_memory_maps_the_zero_frame),
		TEST(write_to_fresh_memory_maps_a_cleared_frame),
		TEST(write_after_read_replaces_the_zero_frame),
		TEST(fault_that_was_resolved_meanwhile_is_spurious),
		TEST(access_where_nothing_is_mapped_is_a_bad_area),
		TEST(access_against_protection_is_an_access_error),
		TEST(fetch_obeys_the_right_to_execute),
		TEST(foreign_memory_is_not_ours_to_serve),
		TEST(task_without_memory_is_refused),
		TEST(disabled_page_faults_are_refused),
		TEST(guard_is_a_bad_area_and_poison_a_bus_error),
		TEST(rights_of_an_entry_catch_up_with_its_mapping),
		TEST(fault_ahead_serves_what_costs_nothing),
		TEST(stack_grows_down_to_the_access),
		TEST(stack_slack_below_the_stack_pointer_is_obeyed),
		TEST(masks_and_codes_come_from_the_architecture),
		TEST(access_that_the_masks_allow_but_no_entry_can_does_not_loop),
		TEST(fault_without_a_frame_is_out_of_memory),
		TEST(fault_survives_every_failing_allocation),
		TEST(growth_survives_every_failing_allocation),
		TEST(fatal_signal_ends_the_wait_for_a_writer),
		cmocka_unit_test(reads_all_over_a_huge_mapping_end_when_tables_are_as_many_as_frames),
		cmocka_unit_test(every_outcome_and_kind_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
