/* SPDX-License-Identifier: MIT */
/*
 * The running kernel as a side of the comparison, driven by calls written by hand. What is expected is what Linux does, whatever its
 * version.
 *
 * A build with sanitizers skips it: their shadow memory lies where a program's memory is to be, and the code that runs in a program's
 * process has no libc.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "diff/diff.h"
#include "faultline/mm.h"

#define PAGE FL_DIFF_PAGE
#define W FL_DIFF_WINDOW
#define RW (FL_PROT_READ | FL_PROT_WRITE)
#define RWX (RW | FL_PROT_EXEC)
#define ANON (FL_MAP_PRIVATE | FL_MAP_ANONYMOUS)
#define FIXED (ANON | FL_MAP_FIXED)
#define MAIN 0u
#define OTHER 1u
#define CHILD 2u
#define CHILD2 3u
#define SETUP 4u

/* main and other in main; two in C. */
static struct fl_sc_thread threads[] = {
	{.name = "main"}, {.name = "other"}, {.name = "child", .process = 1}, {.name = "child2", .process = 1}};
static struct fl_sc_name children[] = {{.name = "C"}};
static struct fl_sc_name uffds[] = {{.name = "U"}, {.name = "V"}};
static struct fl_sc_statement something;
static struct fl_scenario program = {
	.thread = threads,
	.threads = 4,
	.process = children,
	.processes = 1,
	.uffd = uffds,
	.uffds = 2,
	.setup = &something,
};

static struct fl_ground ground;
static struct fl_side *side;

static void begin(size_t setups, bool unprivileged)
{
	char *error = NULL;

	program.setups = setups;
	program.unprivileged = unprivileged;
	if (side->ops->begin(side, &program, &error))
		fail_msg("%s", error);
}

static int begin_plain(void **state)
{
	(void)state;
	begin(0, false);
	return 0;
}

static int begin_setup(void **state)
{
	(void)state;
	begin(1, false);
	return 0;
}

static int begin_unprivileged(void **state)
{
	(void)state;
	begin(0, true);
	return 0;
}

static int end(void **state)
{
	(void)state;
	side->ops->end(side);
	return 0;
}

static struct fl_answer answer_of(unsigned actor)
{
	struct fl_answer a;

	side->ops->answer(side, actor, &a);
	return a;
}

static struct fl_answer issue(const struct fl_call *c, enum fl_answer_state expect)
{
	char *error = NULL;

	if (side->ops->issue(side, c, expect, &error))
		fail_msg("%s", error);
	return answer_of(c->actor);
}

static int64_t sys(unsigned actor, unsigned nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct fl_call call = {.kind = FL_CALL_SYSCALL, .actor = actor, .nr = nr, .arg = {a, b, c, d, UINT64_MAX}};
	struct fl_answer r = issue(&call, FL_ANSWER_DONE);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	return r.ret;
}

static void map(uint64_t at, uint64_t pages, int prot)
{
	assert_int_equal(sys(MAIN, SYS_mmap, at, pages * PAGE, (uint64_t)prot, FIXED), at);
}

static struct fl_answer access_at(unsigned actor, enum fl_call_kind kind, uint64_t at, unsigned size, uint64_t value,
				  enum fl_answer_state expect)
{
	struct fl_call c = {
		.kind = kind, .actor = actor, .arg = {at}, .size = size, .value = value, .outs = size == 16 ? 16 : 0};

	return issue(&c, expect);
}

static int64_t load(unsigned actor, uint64_t at)
{
	struct fl_answer a = access_at(actor, FL_CALL_LOAD, at, 8, 0, FL_ANSWER_DONE);

	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.signo, 0);
	return a.ret;
}

static void store(unsigned actor, uint64_t at, uint64_t value)
{
	struct fl_answer a = access_at(actor, FL_CALL_STORE, at, 8, value, FL_ANSWER_DONE);

	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.signo, 0);
}

static void expect_fault(const struct fl_answer *a, unsigned signo, int code, uint64_t address)
{
	assert_int_equal(a->state, FL_ANSWER_DONE);
	assert_int_equal(a->signo, signo);
	assert_int_equal(a->si_code, code);
	assert_int_equal(a->sig_addr, address);
	assert_int_equal(a->ret, 0);
}

static void faults_at(unsigned actor, enum fl_call_kind kind, uint64_t at, unsigned size, int code, uint64_t address)
{
	struct fl_answer a = access_at(actor, kind, at, size, 1, FL_ANSWER_DONE);

	expect_fault(&a, SIGSEGV, code, address);
}

static void short_call(enum fl_call_kind kind, unsigned actor, unsigned object, bool fatal, enum fl_answer_state state)
{
	struct fl_call c = {.kind = kind, .actor = actor, .object = object, .fatal = fatal};
	struct fl_answer a = issue(&c, FL_ANSWER_DONE);

	assert_int_equal(a.state, state);
	assert_int_equal(a.ret, 0);
}

static size_t maps_of(unsigned process, struct fl_seen_map *m, size_t max)
{
	return side->ops->maps(side, process, FL_VIEW_FLAGS, m, max);
}

static size_t pages_of(unsigned process, uint64_t start, uint64_t pages, struct fl_seen_page *p, size_t max)
{
	struct fl_seen_map m = {.start = start, .end = start + pages * PAGE};

	return side->ops->pages(side, process, &m, 1, p, max);
}

/* The ioctl's structure lies in scratch. */
static int64_t control(unsigned actor, unsigned uffd, uint64_t cmd, void *io, unsigned size)
{
	struct fl_call c = {
		.kind = FL_CALL_SYSCALL,
		.actor = actor,
		.nr = SYS_ioctl,
		.arg = {uffd, cmd, fl_diff_scratch(actor)},
		.how = {FL_ARG_UFFD},
		.ins = size,
		.outs = size,
		.fill_pages = 1,
		.fill = 0x77,
	};
	struct fl_answer a;

	memcpy(c.in, io, size);
	a = issue(&c, FL_ANSWER_DONE);
	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.outs, size);
	memcpy(io, a.out, size);
	return a.ret;
}

static int64_t open_uffd(unsigned actor, unsigned uffd, uint64_t flags)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL,
			    .actor = actor,
			    .nr = SYS_userfaultfd,
			    .arg = {flags},
			    .opens = true,
			    .object = uffd};

	return issue(&c, FL_ANSWER_DONE).ret;
}

static int64_t register_range(unsigned uffd, uint64_t at, uint64_t pages, uint64_t modes)
{
	struct fl_uffdio_register r = {.range = {at, pages * PAGE}, .mode = modes};

	return control(MAIN, uffd, FL_UFFDIO_REGISTER, &r, sizeof r);
}

/* U over W[0:4], which is mapped for it. */
static void watch(uint64_t features, uint64_t modes)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API, .features = features};

	map(W, 4, RW);
	assert_int_equal(open_uffd(MAIN, 0, FL_O_CLOEXEC | FL_O_NONBLOCK | FL_UFFD_USER_MODE_ONLY), 0);
	assert_int_equal(control(MAIN, 0, FL_UFFDIO_API, &api, sizeof api), 0);
	assert_int_equal(register_range(0, W, 4, modes), 0);
}

static int64_t fill_page(unsigned actor, uint64_t at)
{
	struct fl_uffdio_copy u = {.dst = at, .src = fl_diff_scratch(actor) + PAGE, .len = PAGE};

	return control(actor, 0, FL_UFFDIO_COPY, &u, sizeof u);
}

static struct fl_answer read_message(unsigned actor, struct fl_uffd_msg *m, enum fl_answer_state expect)
{
	struct fl_call c = {
		.kind = FL_CALL_SYSCALL,
		.actor = actor,
		.nr = SYS_read,
		.arg = {0, fl_diff_scratch(actor), sizeof *m},
		.how = {FL_ARG_UFFD},
		.outs = sizeof *m,
		.out_kind = FL_OUT_MESSAGES,
	};
	struct fl_answer a = issue(&c, expect);

	memcpy(m, a.out, sizeof *m);
	return a;
}

static bool may_watch_kernel_faults(void)
{
	return ground.root || ground.unprivileged_uffd;
}

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

static void instructions_are_fetched(void **state)
{
	/* nop; movl $0, %esp, after which no signal can be taken on this stack; hlt; leave */
	static const uint64_t code[] = {0x90, 0x00000000bc, 0xf4, 0xc9};
	struct fl_answer a;

	(void)state;
	map(W, 2, RWX);
	for (size_t i = 0; i < sizeof code / sizeof *code; i++) {
		store(MAIN, W, code[i]);
		for (unsigned actor = MAIN; actor <= OTHER; actor++) {
			a = access_at(actor, FL_CALL_FETCH, W, 0, 0, FL_ANSWER_DONE);
			assert_int_equal(a.state, FL_ANSWER_DONE);
			assert_int_equal(a.signo, 0);
			assert_int_equal(a.minor, 0);
		}
	}
	faults_at(MAIN, FL_CALL_FETCH, W + 2 * PAGE, 0, FL_SEGV_MAPERR, W + 2 * PAGE);
	/* Five bytes, of which the last four are not there. */
	store(MAIN, W + 2 * PAGE - 8, 0xbcull << 56);
	faults_at(MAIN, FL_CALL_FETCH, W + 2 * PAGE - 1, 0, FL_SEGV_MAPERR, W + 2 * PAGE);
	assert_int_equal(sys(MAIN, SYS_mprotect, W, PAGE, RW, 0), 0);
	faults_at(OTHER, FL_CALL_FETCH, W, 0, FL_SEGV_ACCERR, W);
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

static void sleepers_are_seen_and_wake(void **state)
{
	struct fl_uffd_msg m;
	struct fl_answer a;

	(void)state;
	watch(FL_UFFD_FEATURE_THREAD_ID, FL_UFFDIO_REGISTER_MODE_MISSING);
	assert_int_equal(side->ops->unread(side, 0), 0);
	a = access_at(OTHER, FL_CALL_LOAD, W + PAGE + 8, 8, 0, FL_ANSWER_ASLEEP);
	assert_int_equal(a.state, FL_ANSWER_ASLEEP);
	assert_int_equal(side->ops->unread(side, 0), 1);
	a = read_message(MAIN, &m, FL_ANSWER_DONE);
	assert_int_equal(a.ret, sizeof m);
	assert_int_equal(m.event, FL_UFFD_EVENT_PAGEFAULT);
	assert_int_equal(m.arg1, W + PAGE);
	assert_int_equal(m.arg2, OTHER + 1);
	assert_int_equal(side->ops->unread(side, 0), 0);
	assert_int_equal(read_message(MAIN, &m, FL_ANSWER_DONE).ret, -EAGAIN);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_ASLEEP);
	assert_int_equal(fill_page(MAIN, W + PAGE), 0);
	a = answer_of(OTHER);
	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.ret, 0x77);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_NONE);
}

static void unexpected_sleep_is_seen(void **state)
{
	struct fl_answer a;

	(void)state;
	watch(0, FL_UFFDIO_REGISTER_MODE_MISSING);
	a = access_at(OTHER, FL_CALL_STORE, W, 8, 5, FL_ANSWER_DONE);
	assert_int_equal(a.state, FL_ANSWER_ASLEEP);
	/* And one that is expected and does not come. */
	a = access_at(MAIN, FL_CALL_LOAD, W + 8 * PAGE, 8, 0, FL_ANSWER_ASLEEP);
	expect_fault(&a, SIGSEGV, FL_SEGV_MAPERR, W + 8 * PAGE);
	assert_int_equal(fill_page(MAIN, W), 0);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_DONE);
	assert_int_equal(load(MAIN, W), 5);
}

static void waits_in_calls_are_seen(void **state)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL,
			    .actor = OTHER,
			    .nr = SYS_pread64,
			    .arg = {0, W + PAGE - 4, 8, 0},
			    .how = {FL_ARG_CARRIER},
			    .fill_pages = 1,
			    .fill = 1};
	struct fl_uffdio_api api = {.api = FL_UFFD_API};

	(void)state;
	if (!may_watch_kernel_faults())
		skip();
	map(W, 4, RW);
	assert_int_equal(open_uffd(MAIN, 0, FL_O_CLOEXEC), 0);
	assert_int_equal(control(MAIN, 0, FL_UFFDIO_API, &api, sizeof api), 0);
	assert_int_equal(register_range(0, W + PAGE, 1, FL_UFFDIO_REGISTER_MODE_MISSING), 0);
	assert_int_equal(issue(&c, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	/* Such a wait is ended by no signal that is not fatal. */
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, false, FL_ANSWER_DONE);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_ASLEEP);
	assert_int_equal(fill_page(MAIN, W + PAGE), 0);
	assert_int_equal(answer_of(OTHER).ret, 8);
}

static void readers_sleep_until_there_is_a_message(void **state)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API};
	struct fl_uffd_msg m;
	struct fl_answer a;

	(void)state;
	map(W, 4, RW);
	assert_int_equal(open_uffd(MAIN, 0, FL_O_CLOEXEC | FL_UFFD_USER_MODE_ONLY), 0);
	assert_int_equal(control(MAIN, 0, FL_UFFDIO_API, &api, sizeof api), 0);
	assert_int_equal(register_range(0, W, 4, FL_UFFDIO_REGISTER_MODE_MISSING), 0);
	assert_int_equal(read_message(OTHER, &m, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, false, FL_ANSWER_DONE);
	assert_int_equal(answer_of(OTHER).ret, -EINTR);
	assert_int_equal(read_message(OTHER, &m, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	/* Main sleeps, other wakes: both are seen in one call. */
	assert_int_equal(access_at(MAIN, FL_CALL_LOAD, W, 8, 0, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	a = answer_of(OTHER);
	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.ret, sizeof m);
	assert_int_equal(a.out[0], FL_UFFD_EVENT_PAGEFAULT);
}

static void signals_end_waits(void **state)
{
	struct fl_answer a;

	(void)state;
	watch(0, FL_UFFDIO_REGISTER_MODE_MISSING);
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, false, FL_ANSWER_DONE); /* it does nothing */
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_NONE);
	for (enum fl_call_kind kind = FL_CALL_LOAD; kind <= FL_CALL_ADD; kind++) {
		assert_int_equal(access_at(OTHER, kind, W, 8, 0, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
		short_call(FL_CALL_SIGNAL, MAIN, OTHER, false, FL_ANSWER_DONE);
		a = answer_of(OTHER);
		assert_int_equal(a.state, FL_ANSWER_DONE);
		assert_true(a.interrupted);
		assert_int_equal(a.signo, 0);
	}
	assert_int_equal(sys(MAIN, SYS_mprotect, W, PAGE, RWX, 0), 0);
	assert_int_equal(access_at(OTHER, FL_CALL_FETCH, W, 0, 0, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, false, FL_ANSWER_DONE);
	assert_true(answer_of(OTHER).interrupted);
	/* A fatal one ends the process, and who waits in it. */
	assert_int_equal(access_at(OTHER, FL_CALL_LOAD, W, 8, 0, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, true, FL_ANSWER_GONE);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 0));
}

static void forked_processes_live_on_their_own(void **state)
{
	struct fl_seen_map m[4];

	(void)state;
	map(W, 2, RW);
	store(MAIN, W, 1);
	assert_int_equal(answer_of(CHILD).state, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 1));
	short_call(FL_CALL_FORK, OTHER, 1, false, FL_ANSWER_DONE);
	assert_true(side->ops->alive(side, 1));
	assert_int_equal(answer_of(CHILD).state, FL_ANSWER_NONE);
	store(MAIN, W, 2);
	assert_int_equal(load(CHILD, W), 1);
	assert_int_equal(sys(CHILD2, SYS_munmap, W + PAGE, PAGE, 0, 0), 0);
	assert_int_equal(maps_of(0, m, 4), 1);
	assert_int_equal(m[0].end, W + 2 * PAGE);
	assert_int_equal(maps_of(1, m, 4), 1);
	assert_int_equal(m[0].end, W + PAGE);
	/* Its first thread ends, and what it is can be seen still; with the last its memory goes. */
	short_call(FL_CALL_EXIT, CHILD, 0, false, FL_ANSWER_GONE);
	assert_true(side->ops->alive(side, 1));
	assert_int_equal(maps_of(1, m, 4), 1);
	assert_int_equal(load(CHILD2, W), 1);
	short_call(FL_CALL_EXIT, CHILD2, 0, false, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 1));
	/* Descriptors are shared: what one opens another one uses. */
	assert_int_equal(load(MAIN, W), 2);
}

static void descriptors_are_shared_after_fork(void **state)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API};
	struct fl_call c = {.kind = FL_CALL_SYSCALL, .actor = MAIN, .nr = SYS_close, .arg = {1}, .how = {FL_ARG_UFFD}};

	(void)state;
	short_call(FL_CALL_FORK, MAIN, 1, false, FL_ANSWER_DONE);
	assert_int_equal(issue(&c, FL_ANSWER_DONE).ret, -EBADF);
	assert_int_equal(open_uffd(CHILD, 1, FL_O_CLOEXEC | FL_UFFD_USER_MODE_ONLY), 0);
	assert_int_equal(control(MAIN, 1, FL_UFFDIO_API, &api, sizeof api), 0);
	assert_int_equal(issue(&c, FL_ANSWER_DONE).ret, 0);
	assert_int_equal(control(CHILD2, 1, FL_UFFDIO_API, &api, sizeof api), -EBADF);
}

static void forks_wait_for_their_event(void **state)
{
	struct fl_call c = {.kind = FL_CALL_FORK, .actor = OTHER, .object = 1};
	struct fl_uffd_msg m;

	(void)state;
	if (!ground.root)
		skip();
	watch(FL_UFFD_FEATURE_EVENT_FORK, FL_UFFDIO_REGISTER_MODE_MISSING);
	assert_int_equal(issue(&c, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	assert_false(side->ops->alive(side, 1));
	assert_int_equal(side->ops->unread(side, 0), -1);
	assert_int_equal(read_message(MAIN, &m, FL_ANSWER_DONE).ret, sizeof m);
	assert_int_equal(m.event, FL_UFFD_EVENT_FORK);
	assert_int_equal(m.arg0, 0);
	assert_int_equal(answer_of(OTHER).state, FL_ANSWER_DONE);
	assert_true(side->ops->alive(side, 1));
	faults_at(CHILD, FL_CALL_LOAD, W + 5 * PAGE, 8, FL_SEGV_MAPERR, W + 5 * PAGE);
}

static void killed_forks_leave_nothing(void **state)
{
	struct fl_call c = {.kind = FL_CALL_FORK, .actor = OTHER, .object = 1};

	(void)state;
	if (!ground.root)
		skip();
	watch(FL_UFFD_FEATURE_EVENT_FORK, FL_UFFDIO_REGISTER_MODE_MISSING);
	assert_int_equal(issue(&c, FL_ANSWER_ASLEEP).state, FL_ANSWER_ASLEEP);
	short_call(FL_CALL_SIGNAL, MAIN, OTHER, true, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 0));
	assert_false(side->ops->alive(side, 1));
	side->ops->end(side);
	begin(0, false);
	map(W, 1, RW);
}

static void setup_ends_with_the_last_thread(void **state)
{
	(void)state;
	assert_int_equal(sys(SETUP, SYS_mmap, W, PAGE, RW, FIXED), W);
	store(MAIN, W, 4);
	assert_int_equal(load(SETUP, W), 4);
	short_call(FL_CALL_EXIT, MAIN, 0, false, FL_ANSWER_GONE);
	assert_true(side->ops->alive(side, 0));
	assert_int_equal(load(SETUP, W), 4);
	short_call(FL_CALL_EXIT, OTHER, 0, false, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 0));
	assert_int_equal(answer_of(SETUP).state, FL_ANSWER_GONE);
}

static void limit(unsigned actor, unsigned which, uint64_t pages)
{
	struct fl_call c = {.kind = FL_CALL_LIMIT, .actor = actor, .object = which, .value = pages};
	struct fl_answer a = issue(&c, FL_ANSWER_DONE);

	assert_int_equal(a.state, FL_ANSWER_DONE);
	assert_int_equal(a.ret, 0);
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

static void poll_is_asked_by_index(void **state)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL,
			    .nr = SYS_poll,
			    .arg = {fl_diff_scratch(MAIN), 1, 0},
			    .out_kind = FL_OUT_POLL,
			    .ins = 8,
			    .outs = 8,
			    .in = {[4] = FL_POLLIN}};
	struct fl_answer a;

	(void)state;
	watch(0, FL_UFFDIO_REGISTER_MODE_MISSING);
	assert_int_equal(issue(&c, FL_ANSWER_DONE).ret, 0);
	access_at(OTHER, FL_CALL_LOAD, W, 8, 0, FL_ANSWER_ASLEEP);
	a = issue(&c, FL_ANSWER_DONE);
	assert_int_equal(a.ret, 1);
	assert_true(!a.out[0] && a.out[6] == FL_POLLIN);
	c.object = 1;
	a = issue(&c, FL_ANSWER_DONE);
	assert_int_equal(a.out[6], 0x20); /* POLLNVAL */
}

static void death_is_told(void **state)
{
	struct fl_call c = {.kind = FL_CALL_SYSCALL, .nr = SYS_exit_group};
	struct fl_call drop = {.kind = FL_CALL_SYSCALL, .nr = SYS_munmap, .arg = {FL_DIFF_SCRATCH, 1ull << 44}};
	char *error = NULL;

	(void)state;
	assert_int_equal(side->ops->issue(side, &c, FL_ANSWER_DONE, &error), -1);
	assert_non_null(strstr(error, "killed"));
	free(error);
	side->ops->end(side);
	begin(0, false);
	assert_int_equal(side->ops->issue(side, &drop, FL_ANSWER_DONE, &error), -1);
	assert_non_null(error);
	free(error);
	side->ops->end(side);
	begin(0, false);
	map(W, 1, RW);
}

/* Its children die with it, and with the next program there is another. */
static void zygote_is_made_again(void **state)
{
	char line[64];
	FILE *f;
	long pid = 0;

	(void)state;
	side->ops->end(side);
	snprintf(line, sizeof line, "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
	f = fopen(line, "r");
	if (!f)
		skip();
	assert_int_equal(fscanf(f, "%ld", &pid), 1);
	fclose(f);
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
	begin(0, false);
	map(W, 1, RW);
	assert_int_equal(sys(MAIN, SYS_mmap, 0, PAGE, RW, ANON), ground.mmap_hi - PAGE);
}

static void first_thread_leaves_its_process_to_others(void **state)
{
	struct fl_seen_map m[2];

	(void)state;
	watch(0, FL_UFFDIO_REGISTER_MODE_MISSING);
	short_call(FL_CALL_EXIT, MAIN, 0, false, FL_ANSWER_GONE);
	assert_int_equal(maps_of(0, m, 2), 1);
	assert_int_equal(m[0].vm_flags & FL_VM_UFFD_MISSING, FL_VM_UFFD_MISSING);
	assert_int_equal(side->ops->unread(side, 0), 0);
	limit(OTHER, RLIMIT_AS, 1);
	assert_int_equal(sys(OTHER, SYS_mmap, 0, 2 * PAGE, RW, ANON), -ENOMEM);
	assert_int_equal(sys(OTHER, SYS_mmap, 0, PAGE, RW, ANON), ground.mmap_hi - PAGE);
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

/* Nothing of a program is left for the next one. */
static void programs_begin_alike(void **state)
{
	struct fl_seen_map m[4];

	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(maps_of(0, m, 4), 0);
		watch(0, FL_UFFDIO_REGISTER_MODE_MISSING);
		access_at(OTHER, FL_CALL_LOAD, W, 8, 0, FL_ANSWER_ASLEEP);
		if (i % 2)
			short_call(FL_CALL_FORK, MAIN, 1, false, FL_ANSWER_DONE);
		limit(MAIN, RLIMIT_AS, 1);
		side->ops->end(side);
		begin(i % 3 == 0, false);
	}
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, begin_plain, end)

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
		PLAIN(sleepers_are_seen_and_wake),
		PLAIN(unexpected_sleep_is_seen),
		PLAIN(waits_in_calls_are_seen),
		PLAIN(readers_sleep_until_there_is_a_message),
		PLAIN(signals_end_waits),
		PLAIN(forked_processes_live_on_their_own),
		PLAIN(descriptors_are_shared_after_fork),
		PLAIN(forks_wait_for_their_event),
		PLAIN(killed_forks_leave_nothing),
		cmocka_unit_test_setup_teardown(setup_ends_with_the_last_thread, begin_setup, end),
		PLAIN(limits_count_from_now),
		cmocka_unit_test_setup_teardown(capabilities_can_be_had_without, begin_unprivileged, end),
		PLAIN(poll_is_asked_by_index),
		PLAIN(death_is_told),
		PLAIN(zygote_is_made_again),
		PLAIN(first_thread_leaves_its_process_to_others),
		PLAIN(all_is_locked_without_the_ground),
		PLAIN(programs_begin_alike),
	};
	char *error = NULL;
	int failed;

	(void)argc;
	fl_host_side_settle(argv);
	side = fl_host_side_new(&ground, &error);
	if (!side && error && strstr(error, "sanitizers")) {
		printf("skipped: %s\n", error);
		free(error);
		return 0;
	}
	if (!side) {
		fprintf(stderr, "%s\n", error ? error : "out of memory");
		return 1;
	}
	failed = cmocka_run_group_tests_name("the kernel as a side", tests, NULL, NULL);
	side->ops->free(side);
	return failed;
}
