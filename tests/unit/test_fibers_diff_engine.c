/* SPDX-License-Identifier: MIT */
/*
 * The engine as a side of the comparison, driven by calls written by hand: what it answers must be what Linux answers. No kernel is
 * asked.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "diff/diff.h"
#include "fl_fiber.h"
#include "faultline/mm.h"

#define PAGE FL_DIFF_PAGE
#define W FL_DIFF_WINDOW
#define RW (FL_PROT_READ | FL_PROT_WRITE)
#define ANON (FL_MAP_PRIVATE | FL_MAP_ANONYMOUS)
#define FIXED (ANON | FL_MAP_FIXED)
#define SETUP 4u

/* What the tests' programs have: main, other and third in main, one in C. */
static struct fl_sc_thread threads[] = {{.name = "main"}, {.name = "other"}, {.name = "third"}, {.name = "child"}};
static struct fl_sc_name children[] = {{.name = "C"}};
static struct fl_sc_name uffds[] = {{.name = "U"}, {.name = "V"}};
static struct fl_scenario program;

static struct fl_side *side;

static void open_side(bool root)
{
	struct fl_ground *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->foreigns = 4;
	g->foreign[0] = (struct fl_seen_map){.start = 0x555555554000, .end = 0x555555560000, .prot = 5};
	g->foreign[1] = (struct fl_seen_map){
		.start = FL_DIFF_SCRATCH,
		.end = FL_DIFF_SCRATCH + FL_DIFF_ACTORS * FL_DIFF_SCRATCH_SIZE,
		.prot = RW,
		.shared = true,
	};
	g->foreign[2] = (struct fl_seen_map){.start = 0x7ffffffde000, .end = 0x7ffffffff000, .prot = RW, .stack = true};
	g->foreign[3] = (struct fl_seen_map){.start = 0xffffffffff600000, .end = 0xffffffffff601000, .prot = 4};
	g->mmap_lo = PAGE;
	g->mmap_hi = 0x7ffff7fff000;
	g->brk = 0x555555600000;
	g->max_maps = 65530;
	g->min_addr = PAGE;
	g->min_hint = 16 * PAGE;
	g->memory = 1ull << 30;
	g->root = root;
	side = fl_engine_side_new(g);
	assert_non_null(side);
	free(g);
}

static void begin(bool unprivileged)
{
	char *error = NULL;

	threads[3].process = 1;
	program = (struct fl_scenario){
		.thread = threads,
		.threads = 4,
		.process = children,
		.processes = 1,
		.uffd = uffds,
		.uffds = 2,
		.unprivileged = unprivileged,
	};
	if (side->ops->begin(side, &program, &error))
		fail_msg("%s", error);
}

static int setup(void **state)
{
	(void)state;
	open_side(true);
	begin(false);
	return 0;
}

static int teardown(void **state)
{
	char *error = NULL;

	(void)state;
	side->ops->end(side);
	/* Nothing is left of it, or this says what. */
	if (side->ops->begin(side, &program, &error))
		fail_msg("%s", error);
	side->ops->end(side);
	side->ops->free(side);
	fl_fiber_trim();
	return 0;
}

static struct fl_answer issue(const struct fl_call *c)
{
	struct fl_answer r;
	char *error = NULL;

	if (side->ops->issue(side, c, FL_ANSWER_DONE, &error))
		fail_msg("%s", error);
	side->ops->answer(side, c->actor, &r);
	return r;
}

static struct fl_answer answer_of(unsigned actor)
{
	struct fl_answer r;

	side->ops->answer(side, actor, &r);
	return r;
}

static int64_t sys(unsigned actor, unsigned nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct fl_call call = {.kind = FL_CALL_SYSCALL, .actor = actor, .nr = nr, .arg = {a, b, c, d, UINT64_MAX}};
	struct fl_answer r = issue(&call);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	return r.ret;
}

static int64_t map(uint64_t at, uint64_t pages, int prot)
{
	return sys(0, SYS_mmap, at, pages * PAGE, (unsigned)prot, FIXED);
}

static struct fl_answer access_at(unsigned actor, enum fl_call_kind kind, uint64_t at, unsigned size, uint64_t value)
{
	struct fl_call c = {.kind = kind, .actor = actor, .arg = {at}, .size = size, .value = value, .outs = 16};

	return issue(&c);
}

static uint64_t load(uint64_t at, unsigned size)
{
	struct fl_answer r = access_at(0, FL_CALL_LOAD, at, size, 0);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_int_equal(r.signo, 0);
	return (uint64_t)r.ret;
}

static void store(uint64_t at, unsigned size, uint64_t value)
{
	struct fl_answer r = access_at(0, FL_CALL_STORE, at, size, value);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_int_equal(r.signo, 0);
}

static void expect_signal(enum fl_call_kind kind, uint64_t at, unsigned size, unsigned signo, int code, uint64_t addr)
{
	struct fl_answer r = access_at(0, kind, at, size, 0);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_int_equal(r.signo, signo);
	assert_int_equal(r.si_code, code);
	assert_int_equal(r.sig_addr, addr);
}

static void special(unsigned actor, enum fl_call_kind kind, unsigned object, bool fatal, enum fl_answer_state state,
		    int64_t ret)
{
	struct fl_call c = {.kind = kind, .actor = actor, .object = object, .fatal = fatal};
	struct fl_answer r = issue(&c);

	assert_int_equal(r.state, state);
	assert_int_equal(r.ret, ret);
}

static void limit(unsigned which, uint64_t pages)
{
	struct fl_call c = {.kind = FL_CALL_LIMIT, .object = which, .value = pages};
	struct fl_answer r = issue(&c);

	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_int_equal(r.ret, 0);
}

static int64_t open_uffd(unsigned actor, unsigned object, unsigned flags)
{
	struct fl_call c = {
		.kind = FL_CALL_SYSCALL,
		.actor = actor,
		.nr = SYS_userfaultfd,
		.arg = {flags},
		.opens = true,
		.object = object,
	};

	return issue(&c).ret;
}

static struct fl_answer on_uffd(unsigned actor, unsigned nr, unsigned object, uint64_t b, uint64_t c, const void *in,
				unsigned ins)
{
	struct fl_call call = {
		.kind = FL_CALL_SYSCALL,
		.actor = actor,
		.nr = nr,
		.arg = {object, b, c},
		.how = {FL_ARG_UFFD},
		.ins = ins,
		.outs = ins ? ins : 32,
		.fill_pages = 1,
		.fill = 0x77,
		.out_kind = nr == SYS_read ? FL_OUT_MESSAGES : FL_OUT_PLAIN,
	};

	if (ins)
		memcpy(call.in, in, ins);
	return issue(&call);
}

static struct fl_answer control(unsigned actor, unsigned object, uint32_t cmd, const void *in, unsigned ins)
{
	return on_uffd(actor, SYS_ioctl, object, cmd, fl_diff_scratch(actor), in, ins);
}

/* An open userfaultfd U with thread ids, and W[0:pages] registered. */
static void watch(uint64_t pages)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API, .features = FL_UFFD_FEATURE_THREAD_ID};
	struct fl_uffdio_register r = {{W, pages * PAGE}, FL_UFFDIO_REGISTER_MODE_MISSING, 0};

	assert_int_equal(map(W, pages, RW), W);
	assert_int_equal(open_uffd(0, 0, FL_O_CLOEXEC | FL_O_NONBLOCK), 0);
	assert_int_equal(control(0, 0, FL_UFFDIO_API, &api, sizeof(api)).ret, 0);
	assert_int_equal(control(0, 0, FL_UFFDIO_REGISTER, &r, sizeof(r)).ret, 0);
}

static struct fl_answer read_message(unsigned actor)
{
	return on_uffd(actor, SYS_read, 0, fl_diff_scratch(actor), 32, NULL, 0);
}

static size_t maps_of(unsigned process, struct fl_seen_map *m, size_t max)
{
	return side->ops->maps(side, process, FL_VIEW_FLAGS, m, max);
}

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

static struct fl_answer carry(unsigned nr, uint64_t at, uint64_t n)
{
	struct fl_call c = {
		.kind = FL_CALL_SYSCALL,
		.nr = nr,
		.arg = {0, at, n},
		.how = {FL_ARG_CARRIER},
		.fill_pages = nr == SYS_pread64 ? 3 : 0,
		.fill = 0x0101010101010101,
		.outs = nr == SYS_pread64 ? 0 : 8,
		.out_kind = FL_OUT_CARRIED,
	};

	return issue(&c);
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

static void a_sleeper_wakes(void **state)
{
	struct fl_uffdio_copy c = {.dst = W + PAGE, .src = fl_diff_scratch(0) + PAGE, .len = PAGE};
	struct fl_answer r;

	(void)state;
	watch(4);
	assert_int_equal(access_at(1, FL_CALL_LOAD, W + PAGE + 8, 8, 0).state, FL_ANSWER_ASLEEP);
	assert_int_equal(side->ops->unread(side, 0), 1);
	r = read_message(0);
	assert_int_equal(r.ret, 32);
	assert_int_equal(r.out[0], FL_UFFD_EVENT_PAGEFAULT);
	assert_int_equal(r.out[24], 2); /* the second actor */
	assert_int_equal(side->ops->unread(side, 0), 0);
	r = control(0, 0, FL_UFFDIO_COPY, &c, sizeof(c));
	assert_int_equal(r.ret, 0);
	memcpy(&c, r.out, sizeof(c));
	assert_int_equal(c.copy, PAGE);
	r = answer_of(1);
	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_int_equal(r.ret, 0x77);
	assert_int_equal(answer_of(1).state, FL_ANSWER_NONE);
}

static struct fl_answer poll_uffd(unsigned object)
{
	struct fl_call c = {
		.kind = FL_CALL_SYSCALL,
		.nr = SYS_poll,
		.arg = {fl_diff_scratch(0), 1, 0},
		.object = object,
		.ins = 8,
		.in = {0, 0, 0, 0, FL_POLLIN},
		.outs = 8,
		.out_kind = FL_OUT_POLL,
	};

	return issue(&c);
}

static void descriptors_say_when(void **state)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API};
	struct fl_answer r;

	(void)state;
	watch(2);
	assert_int_equal(poll_uffd(0).ret, 0);
	access_at(1, FL_CALL_STORE, W, 8, 0);
	r = poll_uffd(0);
	assert_int_equal(r.ret, 1);
	assert_memory_equal(r.out, "\0\0\0\0\1\0\1\0", 8);
	/* Before the handshake, and where reads may wait, poll sees an error. */
	assert_int_equal(open_uffd(0, 1, 0), 0);
	assert_int_equal(poll_uffd(1).out[6], FL_POLLERR);
	assert_int_equal(control(0, 1, FL_UFFDIO_API, &api, sizeof(api)).ret, 0);
	assert_int_equal(poll_uffd(1).out[6], FL_POLLERR);
	assert_int_equal(on_uffd(0, SYS_close, 1, 0, 0, NULL, 0).ret, 0);
	assert_int_equal(poll_uffd(1).out[6], 0x20);
	assert_int_equal(on_uffd(0, SYS_close, 1, 0, 0, NULL, 0).ret, -FL_EBADF);
	assert_int_equal(read_message(0).ret, 32);
	assert_int_equal(read_message(0).ret, -FL_EAGAIN);
	/* What every descriptor has. */
	assert_int_equal(control(0, 0, FIONBIO, "\0\0\0", 4).ret, 0);
	assert_int_equal(poll_uffd(0).out[6], FL_POLLERR);
	assert_int_equal(control(0, 0, FIONBIO, "\1\0\0", 4).ret, 0);
	assert_int_equal(read_message(0).ret, -FL_EAGAIN);
	assert_int_equal(control(0, 0, FIOASYNC, "\0\0\0", 4).ret, 0);
	assert_int_equal(control(0, 0, FIOASYNC, "\1\0\0", 4).ret, -ENOTTY);
	assert_int_equal(on_uffd(0, SYS_read, 0, 0x7fffffffefff, PAGE, NULL, 0).ret, -FL_EFAULT);
}

/* The last close lets sleepers go; a read that sleeps keeps the file meanwhile. */
static void a_close_comes_while_calls_are_under_way(void **state)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API};
	struct fl_uffdio_register r = {{W, 2 * PAGE}, FL_UFFDIO_REGISTER_MODE_MISSING, 0};

	(void)state;
	assert_int_equal(map(W, 2, RW), W);
	assert_int_equal(open_uffd(0, 1, 0), 0);
	assert_int_equal(control(0, 1, FL_UFFDIO_API, &api, sizeof(api)).ret, 0);
	assert_int_equal(control(0, 1, FL_UFFDIO_REGISTER, &r, sizeof(r)).ret, 0);
	assert_int_equal(on_uffd(1, SYS_read, 1, fl_diff_scratch(1), 32, NULL, 0).state, FL_ANSWER_ASLEEP);
	assert_int_equal(on_uffd(0, SYS_close, 1, 0, 0, NULL, 0).ret, 0);
	assert_int_equal(answer_of(1).state, FL_ANSWER_ASLEEP);
	/* It is still there: the fault is told to the reader, and its thread sleeps until he has left. */
	assert_int_equal(access_at(2, FL_CALL_LOAD, W, 8, 0).state, FL_ANSWER_DONE);
	assert_int_equal(answer_of(1).ret, 32);
}

static void signals_end_waits(void **state)
{
	struct fl_answer r;

	(void)state;
	watch(2);
	access_at(1, FL_CALL_LOAD, W, 8, 0);
	special(0, FL_CALL_SIGNAL, 1, false, FL_ANSWER_DONE, 0);
	r = answer_of(1);
	assert_int_equal(r.state, FL_ANSWER_DONE);
	assert_true(r.interrupted);
	/* To one who does nothing, and to oneself: nothing. */
	special(0, FL_CALL_SIGNAL, 2, false, FL_ANSWER_DONE, 0);
	special(0, FL_CALL_SIGNAL, 0, false, FL_ANSWER_DONE, 0);
	assert_int_equal(access_at(2, FL_CALL_LOAD, W, 8, 0).state, FL_ANSWER_ASLEEP);
	/* One that is not born, or has ended. */
	special(0, FL_CALL_SIGNAL, 3, false, FL_ANSWER_DONE, -FL_ESRCH);
	special(1, FL_CALL_EXIT, 0, false, FL_ANSWER_GONE, 0);
	special(0, FL_CALL_SIGNAL, 1, true, FL_ANSWER_DONE, -FL_ESRCH);
}

/* A copy for a call waits as well, but only death ends it. */
static void a_call_may_sleep(void **state)
{
	struct fl_uffdio_range w = {W, 2 * PAGE};
	struct fl_answer r;

	(void)state;
	watch(2);
	assert_int_equal(sys(0, SYS_mmap, W + 2 * PAGE, PAGE, RW, FIXED), W + 2 * PAGE);
	{
		struct fl_call c = {
			.kind = FL_CALL_SYSCALL,
			.actor = 1,
			.nr = SYS_pread64,
			.arg = {0, W + PAGE - 1, 3},
			.how = {FL_ARG_CARRIER},
			.fill_pages = 1,
			.fill = 0x0102030405060708,
		};

		assert_int_equal(issue(&c).state, FL_ANSWER_ASLEEP);
	}
	special(0, FL_CALL_SIGNAL, 1, false, FL_ANSWER_DONE, 0);
	assert_int_equal(answer_of(1).state, FL_ANSWER_ASLEEP);
	/* Without the registration it goes on. */
	r = control(0, 0, FL_UFFDIO_UNREGISTER, &w, sizeof(w));
	assert_int_equal(r.ret, 0);
	assert_int_equal(answer_of(1).ret, 3);
	assert_int_equal(load(W + PAGE - 1, 4), 0x060708);
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

static void death_takes_the_process(void **state)
{
	struct fl_seen_map m[1];

	(void)state;
	watch(2);
	special(0, FL_CALL_FORK, 1, false, FL_ANSWER_DONE, 0);
	assert_int_equal(access_at(1, FL_CALL_LOAD, W, 8, 0).state, FL_ANSWER_ASLEEP);
	special(3, FL_CALL_SIGNAL, 2, true, FL_ANSWER_DONE, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(answer_of(i).state, FL_ANSWER_GONE);
	assert_false(side->ops->alive(side, 0));
	assert_int_equal(maps_of(0, m, 1), 0);
	/* Descriptors are the child's, too. */
	assert_int_equal(side->ops->unread(side, 0), 0);
	assert_int_equal(sys(3, SYS_munmap, W, PAGE, 0, 0), 0);
	special(3, FL_CALL_SIGNAL, 3, true, FL_ANSWER_GONE, 0);
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
	assert_int_equal(fl_engine_side_kind(side, 0, 0x7fffffffe000, 2 * PAGE), FL_DIFF_KIND_OUTSIDE);
}

/* Sleepers of every sort are left over at the end of each. */
static void programs_follow_each_other(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		watch(8);
		special(0, FL_CALL_FORK, 1, false, FL_ANSWER_DONE, 0);
		access_at(1, FL_CALL_LOAD, W, 8, 0);
		carry(SYS_pwrite64, W + PAGE, PAGE);
		access_at(3, FL_CALL_STORE, W, 8, 0);
		assert_int_equal(answer_of(0).state, FL_ANSWER_ASLEEP);
		side->ops->end(side);
		begin(false);
	}
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
		cmocka_unit_test_setup_teardown(a_sleeper_wakes, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_say_when, setup, teardown),
		cmocka_unit_test_setup_teardown(a_close_comes_while_calls_are_under_way, setup, teardown),
		cmocka_unit_test_setup_teardown(signals_end_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(a_call_may_sleep, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fork_is_a_process, setup, teardown),
		cmocka_unit_test_setup_teardown(death_takes_the_process, setup, teardown),
		cmocka_unit_test_setup_teardown(setup_does_not_keep_main, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(locks_need_an_allowance, setup, teardown),
		cmocka_unit_test_setup_teardown(kinds_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(programs_follow_each_other, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
