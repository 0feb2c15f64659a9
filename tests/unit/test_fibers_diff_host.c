/* SPDX-License-Identifier: MIT */
/*
 * The running kernel as a side of the comparison, driven by calls written by hand: accesses, mappings, views, limits. What is expected is
 * what Linux does, whatever its version.
 */
#include "diff_host_common.h"

static void ground_is_fixed(void **state)
{
	bool scratch = false;

	(void)state;
	for (size_t i = 0; i < ground.foreigns; i++) {
		const struct fl_seen_map *m = &ground.foreign[i];

		assert_false(m->heap);
		assert_true(m->end <= W || m->start >= W + FL_DIFF_WINDOW_PAGES * PAGE);
		scratch = scratch ||
			  (m->start <= FL_DIFF_SCRATCH && m->end >= fl_diff_scratch(FL_DIFF_ACTORS) && m->shared);
	}
	assert_true(scratch);
	assert_true(ground.foreigns > 1 && ground.max_maps && ground.memory && ground.min_hint &&
		    ground.brk % PAGE == 0);
	assert_int_equal(sys(MAIN, SYS_mmap, 0, PAGE, RW, ANON), ground.mmap_hi - PAGE);
	assert_int_equal(sys(MAIN, SYS_mmap, 0, PAGE, RW, ANON), ground.mmap_hi - 2 * PAGE);
	assert_int_equal(sys(MAIN, SYS_mmap, PAGE, PAGE, RW, ANON), ground.min_hint);
}

static void values_go_round(void **state)
{
	static const uint64_t value = 0x1122334455667788;
	struct fl_answer a;

	(void)state;
	map(W, 2, RW);
	for (unsigned size = 1; size <= 8; size *= 2) {
		uint64_t mask = size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1;

		/* The last of the first page, and of both. */
		for (uint64_t at = W + PAGE - size; at < W + PAGE; at++) {
			a = access_at(MAIN, FL_CALL_STORE, at, size, value, FL_ANSWER_DONE);
			assert_int_equal(a.signo, 0);
			a = access_at(OTHER, FL_CALL_LOAD, at, size, 0, FL_ANSWER_DONE);
			assert_int_equal(a.ret, (int64_t)(value & mask));
		}
	}
	a = access_at(OTHER, FL_CALL_STORE, W + PAGE - 5, 16, value, FL_ANSWER_DONE);
	assert_int_equal(a.signo, 0);
	a = access_at(MAIN, FL_CALL_LOAD, W + PAGE - 5, 16, 0, FL_ANSWER_DONE);
	assert_int_equal(a.ret, (int64_t)value);
	assert_int_equal(a.outs, 16);
	assert_memory_equal(a.out, &value, 8);
	assert_memory_equal(a.out + 8, &value, 8);
	a = access_at(MAIN, FL_CALL_ADD, W + 4, 4, 0xffffffff, FL_ANSWER_DONE);
	assert_int_equal(a.ret, 0);
	a = access_at(MAIN, FL_CALL_ADD, W, 8, 1, FL_ANSWER_DONE);
	assert_int_equal(a.ret, (int64_t)0xffffffff00000000);
	assert_int_equal(load(MAIN, W), (int64_t)0xffffffff00000001);
}

static void faults_are_charged_once(void **state)
{
	struct fl_answer a;

	(void)state;
	map(W, 4, RW);
	a = access_at(OTHER, FL_CALL_STORE, W + PAGE - 1, 2, 5, FL_ANSWER_DONE);
	assert_int_equal(a.minor, 2);
	assert_int_equal(a.major, 0);
	a = access_at(OTHER, FL_CALL_STORE, W + PAGE - 1, 2, 5, FL_ANSWER_DONE);
	assert_int_equal(a.minor, 0);
	/* The zero page, and then one of its own. */
	assert_int_equal(access_at(MAIN, FL_CALL_LOAD, W + 2 * PAGE, 8, 0, FL_ANSWER_DONE).minor, 1);
	assert_int_equal(access_at(MAIN, FL_CALL_STORE, W + 2 * PAGE, 8, 0, FL_ANSWER_DONE).minor, 1);
	/* Nothing is charged for what ends in a signal. */
	a = access_at(MAIN, FL_CALL_LOAD, W + 4 * PAGE, 8, 0, FL_ANSWER_DONE);
	expect_fault(&a, SIGSEGV, FL_SEGV_MAPERR, W + 4 * PAGE);
	assert_int_equal(a.minor, 0);
}

static void accesses_end_in_the_right_signal(void **state)
{
	(void)state;
	map(W, 3, RW);
	assert_int_equal(sys(MAIN, SYS_mprotect, W + PAGE, PAGE, FL_PROT_READ, 0), 0);
	faults_at(MAIN, FL_CALL_STORE, W + PAGE - 4, 8, FL_SEGV_ACCERR, W + PAGE);
	faults_at(OTHER, FL_CALL_STORE, W + PAGE - 8, 16, FL_SEGV_ACCERR, W + PAGE);
	faults_at(OTHER, FL_CALL_ADD, W + PAGE, 4, FL_SEGV_ACCERR, W + PAGE);
	faults_at(MAIN, FL_CALL_LOAD, W + 3 * PAGE - 8, 16, FL_SEGV_MAPERR, W + 3 * PAGE);
	faults_at(MAIN, FL_CALL_LOAD, 0, 1, FL_SEGV_MAPERR, 0);
	/* No address at all: a protection fault, of which no address is told. */
	faults_at(MAIN, FL_CALL_LOAD, 0x800000000000, 8, 0x80, 0);
	faults_at(MAIN, FL_CALL_STORE, 0x800000000000, 2, 0x80, 0);
}

/* Through a system call: nothing is fetched there that is not this. */
static void fill_page_with(uint64_t at, uint8_t byte)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL,
			    .nr = SYS_pread64,
			    .arg = {0, at, PAGE, 0},
			    .how = {FL_ARG_CARRIER},
			    .fill_pages = 1,
			    .fill = byte * 0x0101010101010101ull};

	assert_int_equal(issue(&c, FL_ANSWER_DONE).ret, PAGE);
}

static void instructions_are_fetched(void **state)
{
	/*
	 * All of a page: nop; leave; xchg %eax,%esp, after which no signal can be taken on the stack; hlt; addl $0x05050505,
	 * %eax.
	 */
	static const uint8_t code[] = {0x90, 0xc9, 0x94, 0xf4, 0x05};
	struct fl_answer a;

	(void)state;
	map(W, 2, RWX);
	for (size_t i = 0; i < sizeof code; i++) {
		fill_page_with(W, code[i]);
		for (unsigned actor = MAIN; actor <= OTHER; actor++) {
			a = access_at(actor, FL_CALL_FETCH, W, 0, 0, FL_ANSWER_DONE);
			assert_int_equal(a.state, FL_ANSWER_DONE);
			assert_int_equal(a.signo, 0);
			assert_int_equal(a.minor, 0);
		}
	}
	faults_at(MAIN, FL_CALL_FETCH, W + 2 * PAGE, 0, FL_SEGV_MAPERR, W + 2 * PAGE);
	/* Of an instruction that goes on in the next page its own page is asked about. */
	store(MAIN, W + 2 * PAGE - 8, 0xbcull << 56);
	a = access_at(MAIN, FL_CALL_FETCH, W + 2 * PAGE - 1, 0, 0, FL_ANSWER_DONE);
	assert_int_equal(a.signo, 0);
	/* What was stored is not executed: adcl $0, 0(%rip), which would change what follows. */
	store(MAIN, W, 0x1583);
	store(MAIN, W + 8, 5);
	assert_int_equal(access_at(MAIN, FL_CALL_FETCH, W + 1, 0, 0, FL_ANSWER_DONE).signo, 0);
	assert_int_equal(load(MAIN, W), 0x1583);
	assert_int_equal(load(MAIN, W + 8), 5);
	assert_int_equal(sys(MAIN, SYS_mprotect, W, PAGE, RW, 0), 0);
	faults_at(OTHER, FL_CALL_FETCH, W + 1, 0, FL_SEGV_ACCERR, W + 1);
	faults_at(OTHER, FL_CALL_FETCH, 0x800000000000, 0, 0x80, 0);
}

static void mappings_are_shown(void **state)
{
	struct fl_seen_map m[8];

	(void)state;
	assert_int_equal(maps_of(0, m, 8), 0);
	map(W, 4, RW);
	assert_int_equal(sys(MAIN, SYS_mprotect, W + PAGE, PAGE, FL_PROT_READ, 0), 0);
	assert_int_equal(sys(MAIN, SYS_madvise, W + 3 * PAGE, PAGE, FL_MADV_DONTDUMP, 0), 0);
	assert_int_equal(maps_of(0, m, 8), 4);
	assert_int_equal(m[1].start, W + PAGE);
	assert_int_equal(m[1].end, W + 2 * PAGE);
	assert_int_equal(m[1].prot, FL_PROT_READ);
	assert_false(m[1].shared || m[1].heap || m[1].stack || m[1].offset);
	assert_int_equal(m[2].vm_flags,
			 FL_VM_READ | FL_VM_WRITE | FL_VM_MAYREAD | FL_VM_MAYWRITE | FL_VM_MAYEXEC | FL_VM_ACCOUNT);
	assert_int_equal(m[3].vm_flags & FL_VM_DONTDUMP, FL_VM_DONTDUMP);
	assert_int_equal(maps_of(0, m, 1), 4);
	assert_int_equal(side->ops->maps(side, 0, FL_VIEW_MAPS, m, 8), 4);
	assert_int_equal(m[3].vm_flags, 0);
	assert_int_equal(side->ops->maps(side, 1, FL_VIEW_MAPS, m, 8), 0);
}

static void heap_begins_where_it_is_said(void **state)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL, .nr = SYS_brk, .arg = {2 * PAGE}, .how = {FL_ARG_BRK}};
	struct fl_seen_map m[2];

	(void)state;
	assert_int_equal(sys(MAIN, SYS_brk, 0, 0, 0, 0), ground.brk);
	assert_int_equal(issue(&c, FL_ANSWER_DONE).ret, ground.brk + 2 * PAGE);
	assert_int_equal(issue(&c, FL_ANSWER_DONE).ret, ground.brk + 4 * PAGE);
	c.arg[0] = (uint64_t)-PAGE;
	assert_int_equal(issue(&c, FL_ANSWER_DONE).ret, ground.brk + 3 * PAGE);
	assert_int_equal(maps_of(0, m, 2), 1);
	assert_true(m[0].heap && m[0].start == ground.brk && m[0].end == ground.brk + 3 * PAGE);
}

static void pages_are_shown_untouched(void **state)
{
	struct fl_seen_page p[8];
	uint64_t hash;
	unsigned own;

	(void)state;
	map(W, 8, RW);
	store(MAIN, W, 7);
	store(MAIN, W + 2 * PAGE, 7);
	assert_int_equal(load(MAIN, W + 3 * PAGE), 0);
	assert_int_equal(sys(MAIN, SYS_mprotect, W + 2 * PAGE, PAGE, FL_PROT_NONE, 0), 0);
	for (int times = 0; times < 2; times++) {
		assert_int_equal(pages_of(0, W, 8, p, 8), 3);
		assert_int_equal(p[0].address, W);
		assert_int_equal(p[0].bits, FL_PAGE_PRESENT | FL_PAGE_EXCLUSIVE);
		assert_int_equal(p[1].address, W + 2 * PAGE);
		assert_int_equal(p[1].hash, p[0].hash);
		assert_int_not_equal(p[0].hash, 0);
		assert_true(p[2].bits & FL_PAGE_PRESENT);
		assert_int_equal(p[2].hash, 0);
	}
	hash = p[0].hash;
	/* After a fork a page belongs to two, and looking at it does not give it to one of them. */
	short_call(FL_CALL_FORK, MAIN, 1, false, FL_ANSWER_DONE);
	for (unsigned process = 0; process < 2; process++) {
		assert_int_equal(pages_of(process, W, 1, p, 8), 1);
		assert_int_equal(p[0].bits, FL_PAGE_PRESENT);
		assert_int_equal(p[0].hash, hash);
	}
	assert_int_equal(pages_of(0, W, 1, p, 8), 1);
	own = p[0].bits;
	assert_int_equal(own, FL_PAGE_PRESENT);
	store(MAIN, W, 8);
	assert_int_equal(pages_of(0, W, 1, p, 8), 1);
	assert_int_equal(p[0].bits, FL_PAGE_PRESENT | FL_PAGE_EXCLUSIVE);
	assert_int_not_equal(p[0].hash, hash);
	assert_int_equal(load(CHILD, W), 7);
}

static void large_mappings_are_looked_through(void **state)
{
	static const uint64_t size = 1ull << 38;
	struct fl_seen_page p[4];
	int64_t at;

	(void)state;
	at = sys(MAIN, SYS_mmap, 0, size, RW, ANON | FL_MAP_NORESERVE);
	assert_true(at > 0);
	store(MAIN, (uint64_t)at + 5 * PAGE, 1);
	store(MAIN, (uint64_t)at + size - PAGE, 2);
	assert_int_equal(pages_of(0, (uint64_t)at, size / PAGE, p, 4), 2);
	assert_int_equal(p[0].address, (uint64_t)at + 5 * PAGE);
	assert_int_equal(p[1].address, (uint64_t)at + size - PAGE);
}

static void carriers_bring_and_show_bytes(void **state)
{
	struct fl_call in = {.kind = FL_CALL_SYSCALL,
			     .nr = SYS_pread64,
			     .arg = {0, W + 100, 9000, 0},
			     .how = {FL_ARG_CARRIER},
			     .fill_pages = 3,
			     .fill = 0x0102030405060708};
	struct fl_call out = {.kind = FL_CALL_SYSCALL,
			      .actor = OTHER,
			      .nr = SYS_pwrite64,
			      .arg = {0, W + 100, 16, 0},
			      .how = {FL_ARG_CARRIER},
			      .outs = 32,
			      .out_kind = FL_OUT_CARRIED};
	uint64_t words[2] = {in.fill, in.fill}, hash = fl_diff_hash(words, sizeof words), shown;
	struct fl_answer a;

	(void)state;
	map(W, 4, RW);
	assert_int_equal(issue(&in, FL_ANSWER_DONE).ret, 9000);
	assert_int_equal(load(MAIN, W + 100 + 8992), (int64_t)in.fill);
	a = issue(&out, FL_ANSWER_DONE);
	assert_int_equal(a.ret, 16);
	assert_memory_equal(a.out, words, sizeof words);
	assert_true(!a.out[16] && !a.out[31]);
	out.outs = 8;
	out.out_kind = FL_OUT_CARRIER;
	a = issue(&out, FL_ANSWER_DONE);
	memcpy(&shown, a.out, sizeof shown);
	assert_int_equal(shown, hash);
	/* As long as it is, and no longer. */
	out.arg[3] = FL_DIFF_SCRATCH_SIZE;
	assert_int_equal(issue(&out, FL_ANSWER_DONE).ret, -EPERM);
	in.arg[3] = FL_DIFF_SCRATCH_SIZE - 5;
	assert_int_equal(issue(&in, FL_ANSWER_DONE).ret, 5);
	in.arg[1] = W + 4 * PAGE;
	assert_int_equal(issue(&in, FL_ANSWER_DONE).ret, -EFAULT);
}

static void limits_count_from_now(void **state)
{
	(void)state;
	map(W, 3, RW);
	for (unsigned i = 0; i < 2; i++) {
		unsigned which = i ? RLIMIT_AS : RLIMIT_DATA;

		limit(MAIN, which, 2);
		assert_int_equal(sys(MAIN, SYS_mmap, W + 8 * PAGE, 3 * PAGE, RW, FIXED), -ENOMEM);
		assert_int_equal(sys(MAIN, SYS_mmap, W + 8 * PAGE, 2 * PAGE, RW, FIXED), W + 8 * PAGE);
		assert_int_equal(sys(MAIN, SYS_mmap, W + 16 * PAGE, PAGE, RW, FIXED), -ENOMEM);
		limit(MAIN, which, UINT64_MAX);
		assert_int_equal(sys(MAIN, SYS_mmap, W + 16 * PAGE, PAGE, RW, FIXED), W + 16 * PAGE);
		assert_int_equal(sys(MAIN, SYS_munmap, W + 8 * PAGE, 16 * PAGE, 0, 0), 0);
	}
	limit(MAIN, RLIMIT_DATA, 1);
	assert_int_equal(sys(MAIN, SYS_brk, ground.brk + 2 * PAGE, 0, 0, 0), ground.brk);
	assert_int_equal(sys(MAIN, SYS_brk, ground.brk + PAGE, 0, 0, 0), ground.brk + PAGE);
}

static void process_is_filled_up_with_mappings(void **state)
{
	struct fl_seen_map m[4];

	(void)state;
	if (ground.fill_lo == ground.fill_hi)
		skip(); /* vm.max_map_count is too large, or the stack's hard limit too small */
	assert_true(ground.fill_lo > ground.mmap_hi);
	map(W, 4, RW);
	limit(MAIN, RLIMIT_AS, 4);
	limit(MAIN, FL_SC_LIMIT_MAPS, 1);
	assert_int_equal(sys(MAIN, SYS_munmap, W + PAGE, PAGE, 0, 0), 0);
	short_call(FL_CALL_FORK, MAIN, 1, false, FL_ANSWER_DONE);
	assert_int_equal(sys(MAIN, SYS_mprotect, W + 2 * PAGE, PAGE, FL_PROT_READ, 0), -ENOMEM);
	assert_int_equal(sys(CHILD, SYS_mprotect, W + 2 * PAGE, PAGE, FL_PROT_READ, 0), -ENOMEM);
	/* What is there is not seen, whoever looks, and counts for nothing else. */
	assert_int_equal(maps_of(0, m, 4), 2);
	assert_int_equal(side->ops->maps(side, 1, FL_VIEW_MAPS, m, 4), 2);
	assert_int_equal(m[1].end, W + 4 * PAGE);
	assert_int_equal(sys(MAIN, SYS_mmap, W + 8 * PAGE, 6 * PAGE, RW, FIXED), -ENOMEM);
	assert_int_equal(sys(MAIN, SYS_mmap, 0, 5 * PAGE, RW, ANON), ground.mmap_hi - 5 * PAGE);
	limit(MAIN, RLIMIT_AS, UINT64_MAX);
	assert_int_equal(sys(MAIN, SYS_mmap, W + 8 * PAGE, PAGE, RW, FIXED), -ENOMEM);
	/* Again, from now on; and not at all. */
	assert_int_equal(sys(MAIN, SYS_mlockall, 2, 0, 0, 0), 0);
	limit(MAIN, FL_SC_LIMIT_MAPS, 0);
	map(W + 8 * PAGE, 1, RW);
	assert_int_equal(sys(MAIN, SYS_mmap, W + 12 * PAGE, PAGE, RW, FIXED), -ENOMEM);
	limit(MAIN, FL_SC_LIMIT_MAPS, UINT64_MAX);
	map(W + 12 * PAGE, 1, RW);
}

static void capabilities_can_be_had_without(void **state)
{
	(void)state;
	map(W, 4, RW);
	limit(MAIN, RLIMIT_MEMLOCK, 2);
	assert_int_equal(sys(MAIN, SYS_mlock, W, 3 * PAGE, 0, 0), -ENOMEM);
	assert_int_equal(sys(OTHER, SYS_mlock, W, 2 * PAGE, 0, 0), 0);
	assert_int_equal(open_uffd(MAIN, 0, 0), ground.unprivileged_uffd ? 0 : -EPERM);
	assert_int_equal(open_uffd(MAIN, 0, FL_UFFD_USER_MODE_ONLY), 0);
	if (ground.min_addr)
		assert_int_equal(sys(MAIN, SYS_mmap, 0, PAGE, RW, FIXED), -EPERM);
}

/* Only the program's own pages are charged to it. */
static void all_is_locked_without_the_ground(void **state)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL, .nr = SYS_mlockall, .arg = {FL_MCL_CURRENT}};
	struct fl_answer a;

	(void)state;
	map(W, 3, RW);
	store(MAIN, W, 1);
	a = issue(&c, FL_ANSWER_DONE);
	assert_int_equal(a.ret, 0);
	assert_int_equal(a.minor, 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		PLAIN(ground_is_fixed),
		PLAIN(values_go_round),
		PLAIN(faults_are_charged_once),
		PLAIN(accesses_end_in_the_right_signal),
		PLAIN(instructions_are_fetched),
		PLAIN(mappings_are_shown),
		PLAIN(heap_begins_where_it_is_said),
		PLAIN(pages_are_shown_untouched),
		PLAIN(large_mappings_are_looked_through),
		PLAIN(carriers_bring_and_show_bytes),
		PLAIN(limits_count_from_now),
		PLAIN(process_is_filled_up_with_mappings),
		cmocka_unit_test_setup_teardown(capabilities_can_be_had_without, begin_unprivileged, end),
		PLAIN(all_is_locked_without_the_ground),
	};

	(void)argc;
	return run_on_kernel(argv, "the kernel as a side: what one thread does", tests, sizeof tests / sizeof *tests);
}
