/* SPDX-License-Identifier: MIT */
/*
 * The soft machine: accesses of every size at every alignment over pages, all or nothing; a TLB that forgets when it is
 * told; shoot-downs that wait for running vCPUs and for nobody else.
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

static void every_size_at_every_alignment(void **state)
{
	uint8_t in[FL_SOFT_ACCESS_MAX], out[FL_SOFT_ACCESS_MAX + 1], seed = 1;

	(void)state;
	world_map(&w, BASE, 3, RW);
	for (size_t n = 1; n <= FL_SOFT_ACCESS_MAX; n++) {
		for (fl_va va = BASE + PAGE - 17; va < BASE + PAGE + 17; va++) {
			for (size_t i = 0; i < n; i++)
				in[i] = seed++;
			memset(out, 0xee, sizeof(out));
			assert_int_equal(fl_vcpu_store(&w.cpu, va, in, n), FL_FAULT_DONE);
			assert_int_equal(fl_vcpu_load(&w.cpu, va, out, n), FL_FAULT_DONE);
			assert_memory_equal(in, out, n);
			assert_int_equal(out[n], 0xee);
			/* The bytes went where the engine finds them. */
			assert_int_equal(fl_copy_from_user(&w.task, out, va, n), 0);
			assert_memory_equal(in, out, n);
		}
	}
}

static void store_touches_nothing_else(void **state)
{
	uint8_t value[FL_SOFT_ACCESS_MAX];

	(void)state;
	world_map(&w, BASE, 2, RW);
	memset(value, 0xff, sizeof(value));
	for (size_t n = 1; n <= FL_SOFT_ACCESS_MAX; n++) {
		fl_va va = BASE + PAGE - n / 2;

		assert_int_equal(fl_madvise(&w.task, BASE, 2 * PAGE, FL_MADV_DONTNEED), 0);
		assert_int_equal(fl_vcpu_store(&w.cpu, va, value, n), FL_FAULT_DONE);
		for (fl_va at = va - 20; at < va + 40; at++)
			peek(&w.cpu, at, at >= va && at < va + n ? 0xff : 0);
	}
}

static void access_over_two_pages_is_all_or_nothing(void **state)
{
	uint64_t ones = UINT64_MAX, value = 5;

	(void)state;
	world_map(&w, BASE, 1, RW);
	world_map(&w, BASE + PAGE, 1, FL_PROT_READ);
	assert_int_equal(fl_vcpu_store(&w.cpu, BASE + PAGE - 3, &ones, 8), FL_FAULT_ACCESS_ERROR);
	assert_int_equal(w.cpu.fault.addr, BASE + PAGE);
	for (fl_va va = BASE + PAGE - 8; va < BASE + PAGE + 8; va++)
		peek(&w.cpu, va, 0);
	assert_int_equal(fl_vcpu_load(&w.cpu, BASE + PAGE - 3, &value, 8), FL_FAULT_DONE);
	assert_int_equal(value, 0);
	assert_int_equal(fl_vcpu_load(&w.cpu, BASE + 2 * PAGE - 3, &value, 8), FL_FAULT_BAD_AREA);
	assert_int_equal(w.cpu.fault.addr, BASE + 2 * PAGE);
	/* The first page is tried first. */
	assert_int_equal(fl_vcpu_store(&w.cpu, BASE - 3, &ones, 8), FL_FAULT_BAD_AREA);
	assert_int_equal(w.cpu.fault.addr, BASE - 3);
	peek(&w.cpu, BASE, 0);
}

static void access_at_the_end_of_addresses_is_refused(void **state)
{
	fl_va end = fl_arch_x86_64.task_size;
	uint64_t value;

	(void)state;
	world_map(&w, end - PAGE, 1, RW);
	assert_int_equal(fl_vcpu_load(&w.cpu, end - 8, &value, 8), FL_FAULT_DONE);
	assert_int_equal(fl_vcpu_load(&w.cpu, end - 7, &value, 8), FL_FAULT_BAD_AREA);
	assert_int_equal(w.cpu.fault.addr, end);
	assert_int_equal(fl_vcpu_load(&w.cpu, UINT64_MAX - 2, &value, 8), FL_FAULT_BAD_AREA);
	assert_int_equal(w.cpu.fault.addr, UINT64_MAX - 2);
}

/* Between the lower and the upper half of all addresses there is nothing that could be looked up. */
static void access_between_the_halves_traps_without_an_address(void **state)
{
	const fl_va low = (fl_va)1 << 47, high = -low;
	const fl_va bad[] = {low, low - 1, low - 7, low + 5, high - 8, high - 1},
		    good[] = {low - 8, high, UINT64_MAX - 7};
	uint64_t value = 0;

	(void)state;
	for (size_t i = 0; i < FL_ARRAY_LEN(bad); i++) {
		assert_int_equal(fl_vcpu_load(&w.cpu, bad[i], &value, 8), FL_FAULT_BAD_AREA);
		assert_int_equal(fl_vcpu_store(&w.cpu, bad[i], &value, 8), FL_FAULT_BAD_AREA);
		assert_int_equal(w.cpu.fault.si_code, FL_SI_KERNEL);
		assert_int_equal(w.cpu.fault.addr, 0);
	}
	for (size_t i = 0; i < FL_ARRAY_LEN(good); i++) {
		assert_int_equal(fl_vcpu_load(&w.cpu, good[i], &value, 8), FL_FAULT_BAD_AREA);
		assert_int_equal(w.cpu.fault.si_code, FL_SEGV_MAPERR);
		assert_int_equal(w.cpu.fault.addr, good[i]);
	}
	assert_int_equal(fl_vcpu_fetch(&w.cpu, low - 1, &value, 1), FL_FAULT_BAD_AREA);
	assert_int_equal(w.cpu.fault.si_code, FL_SEGV_MAPERR);
}

static void tlb_forgets_what_is_taken_away(void **state)
{
	(void)state;
	world_map(&w, BASE, 2, RW);
	poke(&w.cpu, BASE, 1);
	poke(&w.cpu, BASE + PAGE, 2);
	assert_int_equal(fl_madvise(&w.task, BASE, PAGE, FL_MADV_DONTNEED), 0);
	assert_int_equal(peek(&w.cpu, BASE, 0), FL_KIND_ZERO);
	assert_int_equal(peek(&w.cpu, BASE + PAGE, 2), FL_KIND_NONE);
	assert_int_equal(fl_mprotect(&w.task, BASE + PAGE, PAGE, FL_PROT_READ), 0);
	assert_int_equal(try_access(&w.cpu, BASE + PAGE, FL_WRITE), FL_FAULT_ACCESS_ERROR);
	peek(&w.cpu, BASE + PAGE, 2);
	assert_int_equal(fl_mprotect(&w.task, BASE + PAGE, PAGE, FL_PROT_NONE), 0);
	assert_int_equal(try_access(&w.cpu, BASE + PAGE, FL_READ), FL_FAULT_ACCESS_ERROR);
	assert_int_equal(fl_munmap(&w.task, BASE, 2 * PAGE), 0);
	assert_int_equal(try_access(&w.cpu, BASE, FL_READ), FL_FAULT_BAD_AREA);
}

static void pages_that_share_a_tlb_entry_are_told_apart(void **state)
{
	(void)state;
	world_map(&w, BASE, FL_SOFT_TLB + 1, RW);
	poke(&w.cpu, BASE, 1);
	poke(&w.cpu, BASE + FL_SOFT_TLB * PAGE, 2);
	peek(&w.cpu, BASE, 1);
	peek(&w.cpu, BASE + FL_SOFT_TLB * PAGE, 2);
}

static bool dirty(fl_va va)
{
	return (fl_table_peek(&w.mm->tables, va) & FL_PTE_DIRTY) != 0;
}

static void first_write_marks_the_page_dirty(void **state)
{
	struct fl_table *t;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 1);
	t = fl_table_lock(&w.mm->tables, BASE);
	assert_non_null(t);
	fl_entry_flags(t, fl_leaf_index(&w.mm->tables, BASE), FL_PTE_DIRTY | FL_PTE_YOUNG, 0);
	fl_table_unlock(t);
	w.mm->ops->flush(w.mm->machine, BASE, BASE + PAGE, FL_FLUSH_PROTECT);
	peek(&w.cpu, BASE, 1);
	assert_false(dirty(BASE));
	assert_true(fl_table_peek(&w.mm->tables, BASE) & FL_PTE_YOUNG);
	poke(&w.cpu, BASE, 2);
	assert_true(dirty(BASE));
}

static void fetch_needs_the_right_to_execute(void **state)
{
	uint32_t insn;

	(void)state;
	world_map(&w, BASE, 1, RW);
	poke(&w.cpu, BASE, 0x90);
	/* The page is in the TLB by now, but not for fetches. */
	assert_int_equal(fl_vcpu_fetch(&w.cpu, BASE, &insn, 4), FL_FAULT_ACCESS_ERROR);
	assert_int_equal(fl_mprotect(&w.task, BASE, PAGE, FL_PROT_READ | FL_PROT_EXEC), 0);
	assert_int_equal(fl_vcpu_fetch(&w.cpu, BASE, &insn, 4), FL_FAULT_DONE);
	assert_int_equal(try_access(&w.cpu, BASE, FL_WRITE), FL_FAULT_ACCESS_ERROR);
}

static void atomic_add_needs_alignment(void **state)
{
	uint32_t old32;
	uint64_t old64;

	(void)state;
	world_map(&w, BASE, 1, RW);
	assert_int_equal(fl_vcpu_add32(&w.cpu, BASE + 4, 7, &old32), FL_FAULT_DONE);
	assert_int_equal(old32, 0);
	assert_int_equal(fl_vcpu_add32(&w.cpu, BASE + 4, UINT32_MAX, &old32), FL_FAULT_DONE);
	assert_int_equal(old32, 7);
	assert_int_equal(fl_vcpu_add64(&w.cpu, BASE + 8, UINT64_MAX, &old64), FL_FAULT_DONE);
	assert_int_equal(fl_vcpu_add64(&w.cpu, BASE + 8, 2, &old64), FL_FAULT_DONE);
	assert_true(old64 == UINT64_MAX);
	assert_int_equal(fl_vcpu_load(&w.cpu, BASE + 8, &old64, 8), FL_FAULT_DONE);
	assert_int_equal(old64, 1);
	assert_int_equal(fl_vcpu_add32(&w.cpu, BASE + 2, 1, &old32), FL_FAULT_BUS_ERROR);
	assert_int_equal(w.cpu.fault.si_code, FL_BUS_ADRALN);
	assert_int_equal(fl_vcpu_add64(&w.cpu, BASE + 4, 1, &old64), FL_FAULT_BUS_ERROR);
	assert_int_equal(fl_mprotect(&w.task, BASE, PAGE, FL_PROT_READ), 0);
	assert_int_equal(fl_vcpu_add32(&w.cpu, BASE, 1, &old32), FL_FAULT_ACCESS_ERROR);
}

static void machine_survives_every_failing_allocation(void **state)
{
	struct fl_mm_config config = {.frames = w.frames};
	struct fl_mm *mm;
	bool failed = true;

	(void)state;
	for (long n = 0; failed; n++) {
		int err;

		fl_port_fail_alloc_after(n);
		err = fl_soft_mm_create(&config, &mm);
		failed = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);
		assert_int_equal(err, failed ? -FL_ENOMEM : 0);
	}
	fl_mm_put(mm);
	config.mmap_lo = 1; /* not aligned */
	assert_int_equal(fl_soft_mm_create(&config, &mm), -FL_EINVAL);
}

/* Threads of one address space. */

#define THREADS 3
#define ROUNDS 20

static struct thread threads[THREADS];

static void open_threads(void)
{
	for (unsigned i = 0; i < THREADS; i++)
		thread_open(&threads[i], &w, w.mm, 2 + i);
}

static void close_threads(void)
{
	for (unsigned i = 0; i < THREADS; i++)
		thread_close(&threads[i]);
}

static void add_often(void *arg)
{
	struct thread *t = arg;
	uint32_t old32;
	uint64_t old64;

	for (int i = 0; i < ROUNDS; i++) {
		CHECK(fl_vcpu_add32(&t->cpu, BASE + 4, 1, &old32) == FL_FAULT_DONE);
		CHECK(fl_vcpu_add64(&t->cpu, BASE + 8, (uint64_t)1 << 32, &old64) == FL_FAULT_DONE);
	}
}

/* Write rights go and come: what was added must not get lost with a stale translation. */
static void protect_often(void *arg)
{
	struct thread *t = arg;

	for (int i = 0; i < ROUNDS / 4; i++) {
		struct fl_mm *child;

		CHECK(fl_mm_fork(&t->task, &child) == 0);
		fl_mm_put(child);
	}
}

static void add_against_forks(size_t schedule)
{
	void (*const body[])(void *) = {add_often, add_often, protect_often};
	void *const arg[] = {&threads[0], &threads[1], &threads[2]};
	uint64_t sum;

	(void)schedule;
	open_threads();
	run_concurrently(body, arg, THREADS);
	close_threads();
	assert_int_equal(fl_vcpu_load(&w.cpu, BASE, &sum, 8), FL_FAULT_DONE);
	assert_int_equal(sum >> 32, 2 * ROUNDS);
	assert_int_equal(fl_vcpu_load(&w.cpu, BASE + 8, &sum, 8), FL_FAULT_DONE);
	assert_int_equal(sum >> 32, 2 * ROUNDS);
	assert_int_equal(fl_madvise(&w.task, BASE, PAGE, FL_MADV_DONTNEED), 0);
	world_check(&w);
}

static void no_atomic_addition_is_lost(void **state)
{
	(void)state;
	world_map(&w, BASE, 1, RW);
	for_each_schedule(SCHEDULES(500, 100), add_against_forks);
}

/*
 * A vCPU that has entered and does not reach a safe point: munmap must not return before it does. The vCPU writes
 * through its translation until then; nobody else may have the frame.
 */
static struct {
	uint32_t started, unmapped, left;
} block;

static void run_a_block(void *arg)
{
	struct fl_vcpu *v = &((struct thread *)arg)->cpu;

	poke(v, BASE, 1);
	fl_vcpu_enter(v);
	poke(v, BASE, 2);
	fl_store_release(&block.started, 1);
	for (uint8_t i = 0; i < 8; i++) {
		CHECK(!fl_load_acquire(&block.unmapped));
		poke(v, BASE, i);
		concurrent_yield();
	}
	CHECK(!fl_load_acquire(&block.unmapped));
	while (!fl_load_acquire(&block.unmapped)) {
		fl_vcpu_safe_point(v);
		concurrent_yield();
	}
	fl_vcpu_leave(v);
	CHECK(try_access(v, BASE, FL_WRITE) == FL_FAULT_BAD_AREA);
}

static void unmap_it(void *arg)
{
	struct fl_task *t = &((struct thread *)arg)->task;

	while (!fl_load_acquire(&block.started))
		concurrent_yield();
	CHECK(fl_munmap(t, BASE, PAGE) == 0);
	fl_store_release(&block.unmapped, 1);
}

static void shoot_down_a_block(size_t schedule)
{
	void (*const body[])(void *) = {run_a_block, unmap_it};
	void *const arg[] = {&threads[0], &threads[1]};

	(void)schedule;
	memset(&block, 0, sizeof(block));
	world_map(&w, BASE, 1, RW);
	open_threads();
	run_concurrently(body, arg, FL_ARRAY_LEN(body));
	close_threads();
	world_check(&w);
}

static void shoot_down_waits_for_a_safe_point(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(500, 100), shoot_down_a_block);
}

/* Blocks that fault on the way, while others take the pages away: nobody waits for himself or in a circle. */
static void run_blocks(void *arg)
{
	struct fl_vcpu *v = &((struct thread *)arg)->cpu;

	for (int i = 0; i < 4; i++) {
		fl_vcpu_enter(v);
		for (uint64_t k = 0; k < 4; k++) {
			CHECK(fl_vcpu_store(v, BASE + PAGE - 4 + k * PAGE, &k, 8) == FL_FAULT_DONE);
			fl_vcpu_safe_point(v);
		}
		fl_vcpu_leave(v);
	}
}

static void drop_pages(void *arg)
{
	struct fl_task *t = &((struct thread *)arg)->task;

	for (fl_va i = 0; i < 6; i++)
		CHECK(fl_madvise(t, BASE + i % 5 * PAGE, PAGE, FL_MADV_DONTNEED) == 0);
}

static void fault_within_blocks(size_t schedule)
{
	void (*const body[])(void *) = {run_blocks, run_blocks, drop_pages};
	void *const arg[] = {&threads[0], &threads[1], &threads[2]};

	(void)schedule;
	open_threads();
	run_concurrently(body, arg, THREADS);
	close_threads();
	world_check(&w);
}

static void blocks_that_fault_do_not_deadlock(void **state)
{
	(void)state;
	world_map(&w, BASE, 5, RW);
	for_each_schedule(SCHEDULES(1000, 200), fault_within_blocks);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_size_at_every_alignment),
		TEST(store_touches_nothing_else),
		TEST(access_over_two_pages_is_all_or_nothing),
		TEST(access_at_the_end_of_addresses_is_refused),
		TEST(access_between_the_halves_traps_without_an_address),
		TEST(tlb_forgets_what_is_taken_away),
		TEST(pages_that_share_a_tlb_entry_are_told_apart),
		TEST(first_write_marks_the_page_dirty),
		TEST(fetch_needs_the_right_to_execute),
		TEST(atomic_add_needs_alignment),
		TEST(machine_survives_every_failing_allocation),
		TEST(no_atomic_addition_is_lost),
		TEST(shoot_down_waits_for_a_safe_point),
		TEST(blocks_that_fault_do_not_deadlock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
