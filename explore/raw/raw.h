/* SPDX-License-Identifier: MIT */
/*
 * What both executors on the running kernel stand on (explore/host and diff/host): system calls without libc, threads on
 * stacks of ours, and accesses that a signal handler can leave.
 *
 * It may run where libc is not mapped: no libc, no data.
 *
 * No locks: it has no state.
 */
#ifndef FL_EXPLORE_RAW_RAW_H
#define FL_EXPLORE_RAW_RAW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <ucontext.h>

/* A system call, without libc's errno. */
static inline long fl_raw_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#define FL_RAW_CALL0(nr) fl_raw_call(nr, 0, 0, 0, 0, 0, 0)
#define FL_RAW_CALL1(nr, a) fl_raw_call(nr, (long)(a), 0, 0, 0, 0, 0)
#define FL_RAW_CALL2(nr, a, b) fl_raw_call(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define FL_RAW_CALL3(nr, a, b, c) fl_raw_call(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define FL_RAW_CALL4(nr, a, b, c, d) fl_raw_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define FL_RAW_CALL5(nr, a, b, c, d, e) fl_raw_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define FL_RAW_CALL6(nr, a, b, c, d, e, f) \
	fl_raw_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#pragma GCC visibility push(hidden)

/* Clone with this stack; there fn(arg) is called, and the thread ends when that returns. flags: as clone(2). */
long fl_raw_clone(unsigned long flags, uint64_t stack, void (*fn)(uint64_t), uint64_t arg);

/* What is returned: what was there before; of a store 0. Or what a handler says that has left it. */
uint64_t fl_raw_load1(uint64_t at), fl_raw_load2(uint64_t at), fl_raw_load4(uint64_t at), fl_raw_load8(uint64_t at);
uint64_t fl_raw_store1(uint64_t at, uint64_t v), fl_raw_store2(uint64_t at, uint64_t v),
	fl_raw_store4(uint64_t at, uint64_t v), fl_raw_store8(uint64_t at, uint64_t v);
uint64_t fl_raw_add4(uint64_t at, uint64_t v), fl_raw_add8(uint64_t at, uint64_t v);
/* out, from: 16 bytes that can be reached. Of a load the first 8 are returned. */
uint64_t fl_raw_load16(uint64_t at, void *out);
uint64_t fl_raw_store16(uint64_t at, const void *from);

/* In one of these functions? Nothing is on its stack but the return address. */
bool fl_raw_in_access(uint64_t rip);
/* From a handler, if it was: it returns this. */
void fl_raw_leave_access(ucontext_t *u, uint64_t value);

/* A fetch that is under way; all 0: none is. */
struct fl_raw_fetch {
	uint64_t sp; /* where to go back to */
	uint64_t at;
	uint32_t traps;
};
/*
 * Execute the instruction at f->at, with the trap flag set and every register at memory that it may use, to either side. A
 * handler leaves it, and says what it returns.
 */
uint64_t fl_raw_execute(uint64_t at, void *playground, uint64_t *sp);
void fl_raw_leave_fetch(ucontext_t *u, struct fl_raw_fetch *f, uint64_t value);
#define FL_RAW_ERR_FETCH 0x10 /* the page-fault error code's bit for a fetch */

static inline uint64_t fl_raw_fetch(struct fl_raw_fetch *f, uint64_t at, void *playground)
{
	f->at = at;
	f->traps = 0;
	return fl_raw_execute(at, playground, &f->sp);
}

#pragma GCC visibility pop

#endif
