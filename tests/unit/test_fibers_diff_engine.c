/* SPDX-License-Identifier: MIT */
/*
 * The engine as a side of the comparison: memory, accesses, system calls, processes, limits, and what an observer sees. What it
 * answers must be what Linux answers.
 */
#include <sys/resource.h>

#include "diff_engine_common.h"

static void values_go_round(void **state)
{
	struct fl_answer r;

	(void)state;
	assert_int_equal(map(W, 2, RW), W);
	store(W + PAGE - 3, 8, 0x1122334455667788);
	assert_int_equal(load(W + PAGE - 3, 8), 0x1122334455667788);
	assert_int_equal(load(W + PAGE - 3, 1), 0x88);
	assert_int_equal(load(W + PAGE - 1, 4), 0x33445566);
	store(W + PAGE - 8, 16, 5);
	r = access_at(0, FL_CALL_LOAD, W + PAGE - 8, 16, 0);
	assert_int_equal(r.outs, 16);
	assert_int_equal(r.out[0], 5);
	assert_int_equal(r.out[8], 5);
	r = access_at(0, FL_CALL_ADD, W + 16, 4, 0xffffffff);
	assert_int_equal(r.ret, 0);
	r = access_at(0, FL_CALL_ADD, W + 16, 4, 2);
	assert_int_equal(r.ret, 0xffffffff);
	assert_int_equal(load(W + 16, 8), 1);
}

static void accesses_end_in_the_right_signal(void **state)
{
	(void)state;
	assert_int_equal(map(W, 4, RW), W);
	assert_int_equal(sys(0, SYS_mprotect, W + PAGE, PAGE, FL_PROT_NONE, 0), 0);
	assert_int_equal(sys(0, SYS_munmap, W + 2 * PAGE, PAGE, 0, 0), 0);
	expect_signal(FL_CALL_LOAD, W + PAGE - 4, 8, 11, FL_SEGV_ACCERR, W + PAGE);
	expect_signal(FL_CALL_STORE, W + PAGE - 8, 16, 11, FL_SEGV_ACCERR, W + PAGE);
	expect_signal(FL_CALL_LOAD, W + 3 * PAGE - 4, 8, 11, FL_SEGV_MAPERR, W + 3 * PAGE - 4);
	expect_signal(FL_CALL_FETCH, W, 0, 11, FL_SEGV_ACCERR, W);
	assert_int_equal(sys(0, SYS_madvise, W, PAGE, FL_MADV_GUARD_INSTALL, 0), 0);
	expect_signal(FL_CALL_STORE, W + 5, 1, 11, FL_SEGV_MAPERR, W + 5);
	/* Where addresses end. */
	expect_signal(FL_CALL_LOAD, 0x7ffffffffff8, 8, 11, FL_SEGV_MAPERR, 0x7ffffffffff8);
	expect_signal(FL_CALL_LOAD, 0x7ffffffffff8, 16, 11, 0x80, 0);
	expect_signal(FL_CALL_FETCH, 0x7fffffffffff, 8, 11, FL_SEGV_MAPERR, 0x7fffffffffff);
	expect_signal(FL_CALL_STORE, 0x800000000000, 1, 11, 0x80, 0);
	expect_signal(FL_CALL_LOAD, 0xffff7ffffffffffc, 8, 11, 0x80, 0);
	expect_signal(FL_CALL_ADD, 0xffff800000000000, 8, 11, FL_SEGV_MAPERR, 0xffff800000000000);
	expect_signal(FL_CALL_LOAD, UINT64_MAX, 8, 11, FL_SEGV_MAPERR, UINT64_MAX);
}

static void mappings_are_shown(void **state)
{
	struct fl_seen_map m[8];

	(void)state;
	assert_int_equal(maps_of(0, m, 8), 0);
	assert_int_equal(map(W, 4, RW), W);
	assert_int_equal(sys(0, SYS_mprotect, W + PAGE, PAGE, FL_PROT_READ, 0), 0);
	assert_int_equal(maps_of(0, m, 8), 3);
	assert_int_equal(m[1].start, W + PAGE);
	assert_int_equal(m[1].end, W + 2 * PAGE);
	assert_int_equal(m[1].prot, FL_PROT_READ);
	assert_false(m[1].shared || m[1].heap || m[1].stack || m[1].offset);
	assert_int_equal(m[2].vm_flags,
			 FL_VM_READ | FL_VM_WRITE | FL_VM_MAYREAD | FL_VM_MAYWRITE | FL_VM_MAYEXEC | FL_VM_ACCOUNT);
	assert_int_equal(maps_of(0, m, 1), 3);
}

static void chosen_addresses_keep_off_the_ground(void **state)
{
	(void)state;
	/* Top down from where the kernel begins. */
	assert_int_equal(sys(0, SYS_mmap, 0, PAGE, RW, ANON), 0x7ffff7fff000 - PAGE);
	assert_int_equal(sys(0, SYS_mmap, 0x555555554000, PAGE, RW, ANON | FL_MAP_FIXED_NOREPLACE), -FL_EEXIST);
	assert_int_equal(sys(0, SYS_mmap, 0, PAGE, RW, FL_MAP_PRIVATE), -FL_EBADF);
	assert_int_equal(sys(0, SYS_mremap, W, PAGE, PAGE, 1ull << 40), -FL_EINVAL);
	assert_int_equal(sys(0, SYS_mmap, PAGE, PAGE, RW, ANON), 16 * PAGE);
	/* Flags are as wide as a register, but nothing of no length has any. */
	assert_int_equal(map(W, 1, RW), W);
	assert_int_equal(sys(0, SYS_mprotect, W, PAGE, 1ull << 40, 0), -FL_EINVAL);
	assert_int_equal(sys(0, SYS_mprotect, W, 0, 1ull << 40, 0), 0);
	/* Nobody has so much. */
	assert_int_equal(sys(0, SYS_mmap, 0, (1ull << 30) + 1, RW, ANON), -FL_ENOMEM);
}

static void the_heap_grows(void **state)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL, .nr = SYS_brk, .arg = {2 * PAGE}, .how = {FL_ARG_BRK}};
	struct fl_seen_map m[2];

	(void)state;
	assert_int_equal(issue(&c).ret, 0x555555600000 + 2 * PAGE);
	assert_int_equal(issue(&c).ret, 0x555555600000 + 4 * PAGE);
	assert_int_equal(maps_of(0, m, 2), 1);
	assert_true(m[0].heap);
}

static void pages_are_shown(void **state)
{
	struct fl_seen_map m[2];
	struct fl_seen_page p[8];

	(void)state;
	assert_int_equal(map(W, 600, RW), W);
	store(W + PAGE, 8, 1);
	load(W + 2 * PAGE, 8);
	store(W + 3 * PAGE, 8, 0);
	assert_int_equal(sys(0, SYS_madvise, W + 599 * PAGE, PAGE, FL_MADV_GUARD_INSTALL, 0), 0);
	assert_int_equal(maps_of(0, m, 2), 1);
	assert_int_equal(side->ops->pages(side, 0, m, 1, p, 8), 4);
	assert_int_equal(p[0].address, W + PAGE);
	assert_int_equal(p[0].bits, FL_PAGE_PRESENT | FL_PAGE_EXCLUSIVE);
	assert_true(p[0].hash != 0);
	assert_int_equal(p[1].bits, FL_PAGE_PRESENT); /* the zero page */
	assert_int_equal(p[2].bits, FL_PAGE_PRESENT | FL_PAGE_EXCLUSIVE);
	assert_true(p[1].hash == 0 && p[2].hash == 0);
	assert_int_equal(p[3].address, W + 599 * PAGE);
	assert_int_equal(p[3].bits, FL_PAGE_SWAPPED | FL_PAGE_GUARD);
	special(0, FL_CALL_FORK, 1, false, FL_ANSWER_DONE, 0);
	assert_int_equal(side->ops->pages(side, 1, m, 1, p, 8), 4);
	assert_int_equal(p[0].bits, FL_PAGE_PRESENT);
}

static void faults_are_counted(void **state)
{
	struct fl_answer r;

	(void)state;
	assert_int_equal(map(W, 2, RW), W);
	r = access_at(0, FL_CALL_STORE, W + PAGE - 4, 8, 1);
	assert_int_equal(r.minor, 2);
	r = access_at(0, FL_CALL_STORE, W + PAGE - 4, 8, 1);
	assert_int_equal(r.minor, 0);
}

static void mincore_tells_what_lies_before_a_hole(void **state)
{
	struct fl_call c = {
		.kind = FL_CALL_SYSCALL,
		.nr = SYS_mincore,
		.arg = {W, 4 * PAGE - 1, fl_diff_scratch(0)},
		.outs = 4,
	};
	struct fl_answer r;

	(void)state;
	assert_int_equal(map(W, 2, RW), W);
	store(W + PAGE, 8, 1);
	r = issue(&c);
	assert_int_equal(r.ret, -FL_ENOMEM);
	assert_memory_equal(r.out, "\0\1\0\0", 4);
	assert_int_equal(sys(0, SYS_mincore, W + 1, PAGE, 0, 0), -FL_EINVAL);
	assert_int_equal(sys(0, SYS_mincore, W, UINT64_MAX, fl_diff_scratch(0), 0), -FL_ENOMEM);
	assert_int_equal(sys(0, SYS_mincore, W, PAGE, 0x7ffffffff000, 0), -FL_EFAULT);
	assert_int_equal(sys(0, SYS_mincore, W, PAGE, W + 2 * PAGE, 0), -FL_EFAULT);
	/* The vector may lie in the memory that is asked about. */
	assert_int_equal(sys(0, SYS_mincore, W, 2 * PAGE, W + PAGE, 0), 0);
	assert_int_equal(load(W + PAGE, 2), 0x0100);
}

static void transfers_count_every_byte(void **state)
{
	struct fl_answer r;

	(void)state;
	assert_int_equal(map(W, 2, RW), W);
	assert_int_equal(carry(SYS_pread64, W + 100, 2 * PAGE).ret, 2 * PAGE - 100);
	assert_int_equal(load(W + 99, 2), 0x0100);
	r = carry(SYS_pwrite64, W + PAGE + 4095, 100);
	assert_int_equal(r.ret, 1);
	assert_memory_equal(r.out, "\1\0\0\0\0\0\0\0", 8);
	assert_int_equal(carry(SYS_pwrite64, W + 2 * PAGE, 100).ret, -FL_EFAULT);
	assert_int_equal(carry(SYS_pwrite64, W + 2 * PAGE, 0).ret, 0);
	assert_int_equal(carry(SYS_pread64, W - 1, 2).ret, -FL_EFAULT);
	assert_int_equal(carry(SYS_pread64, 0x7fffffffe000, PAGE + 1).ret, -FL_EFAULT);
	assert_int_equal(carry(SYS_pwrite64, W, 1ull << 63).ret, -FL_EFAULT);
	/* A buffer at address 0 must be there already. */
	assert_int_equal(map(0, 2, RW), 0);
	assert_int_equal(carry(SYS_pwrite64, 0, 8).ret, -FL_EFAULT);
	assert_int_equal(carry(SYS_pwrite64, 1, 8).ret, 8);
	assert_int_equal(carry(SYS_pwrite64, 0, 8).ret, 8);
	/* The carrier does not grow. */
	assert_int_equal(map(W, 20, RW), W);
	assert_int_equal(carry(SYS_pwrite64, W, 20 * PAGE).ret, FL_DIFF_SCRATCH_SIZE);
}

static void a_fork_is_a_process(void **state)
{
	struct fl_seen_map m[2];

	(void)state;
	assert_int_equal(map(W, 1, RW), W);
	store(W, 8, 1);
	assert_false(side->ops->alive(side, 1));
	assert_int_equal(access_at(3, FL_CALL_LOAD, W, 8, 0).state, FL_ANSWER_GONE);
	special(0, FL_CALL_FORK, 1, false, FL_ANSWER_DONE, 0);
	assert_true(side->ops->alive(side, 1));
	store(W, 8, 2);
	assert_int_equal(access_at(3, FL_CALL_LOAD, W, 8, 0).ret, 1);
	assert_int_equal(sys(3, SYS_munmap, W, PAGE, 0, 0), 0);
	assert_int_equal(maps_of(1, m, 2), 0);
	assert_int_equal(maps_of(0, m, 2), 1);
	special(3, FL_CALL_EXIT, 0, false, FL_ANSWER_GONE, 0);
	assert_false(side->ops->alive(side, 1));
	assert_int_equal(answer_of(3).state, FL_ANSWER_GONE);
}

static void setup_does_not_keep_main(void **state)
{
	(void)state;
	assert_int_equal(sys(SETUP, SYS_mmap, W, PAGE, RW, FIXED), W);
	assert_int_equal(access_at(0, FL_CALL_LOAD, W, 1, 0).ret, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(side->ops->alive(side, 0));
		special(i, FL_CALL_EXIT, 0, false, FL_ANSWER_GONE, 0);
	}
	assert_false(side->ops->alive(side, 0));
}

static void limits_hold(void **state)
{
	(void)state;
	assert_int_equal(map(W, 4, RW), W);
	limit(RLIMIT_AS, 2);
	assert_int_equal(map(W + 8 * PAGE, 3, RW), -FL_ENOMEM);
	assert_int_equal(map(W + 8 * PAGE, 2, RW), W + 8 * PAGE);
	limit(RLIMIT_AS, UINT64_MAX);
	limit(RLIMIT_DATA, 0);
	assert_int_equal(map(W + 16 * PAGE, 1, RW), -FL_ENOMEM);
	assert_int_equal(map(W + 16 * PAGE, 1, FL_PROT_READ), W + 16 * PAGE);
}

static void mappings_are_limited(void **state)
{
	struct fl_seen_map m[4];

	(void)state;
	assert_int_equal(map(W, 4, RW), W);
	limit(RLIMIT_AS, 4);
	limit(FL_SC_LIMIT_MAPS, 1);
	assert_int_equal(sys(0, SYS_munmap, W + PAGE, PAGE, 0, 0), 0);
	special(0, FL_CALL_FORK, 1, false, FL_ANSWER_DONE, 0);
	for (unsigned actor = 0; actor <= 3; actor += 3)
		assert_int_equal(sys(actor, SYS_mprotect, W + 2 * PAGE, PAGE, FL_PROT_READ, 0), -FL_ENOMEM);
	/* What the process is filled up with is not seen, and counts for nothing else. */
	assert_int_equal(maps_of(0, m, 4), 2);
	assert_int_equal(map(W + 8 * PAGE, 6, RW), -FL_ENOMEM);
	assert_int_equal(sys(0, SYS_mmap, 0, 5 * PAGE, RW, ANON), 0x7ffff7fff000 - 5 * PAGE);
	assert_int_equal(map(W + 16 * PAGE, 1, RW), -FL_ENOMEM);
	limit(RLIMIT_AS, UINT64_MAX);
	assert_int_equal(map(W + 16 * PAGE, 1, RW), -FL_ENOMEM);
	/* Again, from now on; and not at all. */
	limit(FL_SC_LIMIT_MAPS, 0);
	assert_int_equal(map(W + 16 * PAGE, 1, RW), W + 16 * PAGE);
	assert_int_equal(map(W + 20 * PAGE, 1, RW), -FL_ENOMEM);
	limit(FL_SC_LIMIT_MAPS, UINT64_MAX);
	assert_int_equal(map(W + 20 * PAGE, 1, RW), W + 20 * PAGE);
}

static void locks_need_an_allowance(void **state)
{
	(void)state;
	side->ops->end(side);
	begin(true);
	assert_int_equal(map(W, 4, RW), W);
	limit(RLIMIT_MEMLOCK, 1);
	assert_int_equal(sys(0, SYS_mlock2, W, 2 * PAGE, 0, 0), -FL_ENOMEM);
	assert_int_equal(sys(0, SYS_mlock2, W, PAGE, 0, 0), 0);
	limit(RLIMIT_MEMLOCK, 0);
	assert_int_equal(sys(0, SYS_mlock2, W, PAGE, 0, 0), -FL_EPERM);
	assert_int_equal(sys(0, SYS_mlock2, W, PAGE, 2, 0), -FL_EINVAL);
	assert_int_equal(sys(0, SYS_mlockall, FL_MCL_CURRENT, 0, 0, 0), -FL_EPERM);
	assert_int_equal(sys(0, SYS_mlockall, 0, 0, 0, 0), -FL_EINVAL);
	assert_int_equal(sys(0, SYS_mmap, 0, PAGE, RW, ANON | FL_MAP_LOCKED), -FL_EPERM);
	/* No limit is no more than the host has. */
	limit(RLIMIT_MEMLOCK, UINT64_MAX);
	assert_int_equal(sys(0, SYS_mlockall, FL_MCL_FUTURE, 0, 0, 0), 0);
	assert_int_equal(map(W + 8 * PAGE, 65, RW), -FL_EAGAIN);
	assert_int_equal(sys(0, SYS_munlockall, 0, 0, 0, 0), 0);
	/* A descriptor that sees faults of the kernel's needs a right. */
	assert_int_equal(open_uffd(0, 0, FL_O_CLOEXEC), -FL_EPERM);
	assert_int_equal(open_uffd(0, 0, FL_O_CLOEXEC | FL_UFFD_USER_MODE_ONLY), 0);
	/* And so does page 0. */
	assert_int_equal(map(0, 1, RW), -FL_EPERM);
}

static void kinds_are_told(void **state)
{
	(void)state;
	watch(2);
	assert_int_equal(map(W + 4 * PAGE, 4, RW), W + 4 * PAGE);
	assert_int_equal(sys(0, SYS_mprotect, W + 5 * PAGE, PAGE, FL_PROT_READ, 0), 0);
	assert_int_equal(sys(0, SYS_mprotect, W + 6 * PAGE, PAGE, FL_PROT_NONE, 0), 0);
	assert_int_equal(fl_engine_side_kind(side, 0, W, PAGE), FL_DIFF_KIND_UFFD);
	assert_int_equal(fl_engine_side_kind(side, 0, W + 2 * PAGE, 2 * PAGE), FL_DIFF_KIND_HOLE);
	assert_int_equal(fl_engine_side_kind(side, 0, W + 2 * PAGE, 3 * PAGE), FL_DIFF_KIND_GAPS);
	assert_int_equal(fl_engine_side_kind(side, 0, W + 7 * PAGE, 2 * PAGE), FL_DIFF_KIND_GAPS);
	assert_int_equal(fl_engine_side_kind(side, 0, W + 4 * PAGE, 1), FL_DIFF_KIND_ANON);
	assert_int_equal(fl_engine_side_kind(side, 0, W + 5 * PAGE, PAGE), FL_DIFF_KIND_READONLY);
	assert_int_equal(fl_engine_side_kind(side, 0, W + 6 * PAGE, PAGE), FL_DIFF_KIND_PROT_NONE);
	assert_int_equal(fl_engine_side_kind(side, 0, W + 4 * PAGE, 2 * PAGE), FL_DIFF_KIND_MIXED);
	assert_int_equal(fl_engine_side_kind(side, 0, UINT64_MAX, 2), FL_DIFF_KIND_OUTSIDE);
	assert_false(fl_engine_side_on_ground(side, W, PAGE));
	assert_true(fl_engine_side_on_ground(side, FL_DIFF_SCRATCH - 1, 2));
	assert_false(fl_engine_side_on_ground(side, FL_DIFF_SCRATCH - 2, 2));
	assert_true(fl_engine_side_on_ground(side, W, UINT64_MAX));
	assert_int_equal(fl_engine_side_kind(side, 0, 0x7fffffffe000, 2 * PAGE), FL_DIFF_KIND_OUTSIDE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(values_go_round, setup, teardown),
		cmocka_unit_test_setup_teardown(accesses_end_in_the_right_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(mappings_are_shown, setup, teardown),
		cmocka_unit_test_setup_teardown(chosen_addresses_keep_off_the_ground, setup, teardown),
		cmocka_unit_test_setup_teardown(the_heap_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_are_shown, setup, teardown),
		cmocka_unit_test_setup_teardown(faults_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(mincore_tells_what_lies_before_a_hole, setup, teardown),
		cmocka_unit_test_setup_teardown(transfers_count_every_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fork_is_a_process, setup, teardown),
		cmocka_unit_test_setup_teardown(setup_does_not_keep_main, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(mappings_are_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(locks_need_an_allowance, setup, teardown),
		cmocka_unit_test_setup_teardown(kinds_are_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
