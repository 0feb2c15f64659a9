/* SPDX-License-Identifier: MIT */
/*
 * What the files of lowering share: a statement on its way to calls.
 *
 * No locks: one thread.
 */
#ifndef FL_DIFF_LOWER_INTERNAL_H
#define FL_DIFF_LOWER_INTERNAL_H

#include "diff/diff.h"
#include "faultline/uapi.h"

/* System calls, as x86-64 numbers them. */
enum {
	FL_NR_READ = 0,
	FL_NR_CLOSE = 3,
	FL_NR_POLL = 7,
	FL_NR_MMAP = 9,
	FL_NR_MPROTECT = 10,
	FL_NR_MUNMAP = 11,
	FL_NR_BRK = 12,
	FL_NR_IOCTL = 16,
	FL_NR_PREAD64 = 17,
	FL_NR_PWRITE64 = 18,
	FL_NR_MREMAP = 25,
	FL_NR_MSYNC = 26,
	FL_NR_MINCORE = 27,
	FL_NR_MADVISE = 28,
	FL_NR_MUNLOCK = 150,
	FL_NR_MLOCKALL = 151,
	FL_NR_MUNLOCKALL = 152,
	FL_NR_USERFAULTFD = 323,
	FL_NR_MLOCK2 = 325,
};

/* So much of scratch lies behind the page for structures. */
#define FL_LOWER_FILL_PAGES 15u

struct fl_lowering {
	const struct fl_scenario *s;
	const struct fl_sc_statement *st;
	const int64_t *results;
	unsigned actor;
	struct fl_call *call;
	unsigned n;
	uint64_t at, bytes; /* of the statement's range, if it has one */
};

/* The next call, all zero but kind and actor. There is always room: a statement becomes FL_CALLS_MAX at most. */
struct fl_call *fl_lower_next(struct fl_lowering *l, enum fl_call_kind kind);
struct fl_call *fl_lower_syscall(struct fl_lowering *l, unsigned nr, uint64_t arg0, uint64_t arg1, uint64_t arg2);
/* pread64 or pwrite64 of n bytes between the carrier's start and memory. */
struct fl_call *fl_lower_carry(struct fl_lowering *l, unsigned nr, uint64_t at, uint64_t n);
int64_t fl_lower_value(const struct fl_lowering *l, const struct fl_sc_expr *e);

/* Ranges (range.c). Does the statement have one? */
bool fl_lower_has_range(const struct fl_sc_statement *st);
/* How long it is: the same whatever the results are. */
uint64_t fl_lower_bytes(const struct fl_scenario *s, const struct fl_sc_statement *st);
/* False: it names a result that is an error. */
bool fl_lower_address(const struct fl_scenario *s, const struct fl_sc_range *r, const int64_t *results,
		      uint64_t *address);

/* Memory calls (memory.c) and those of userfaultfds (uffd.c). False: the statement is none of them. */
bool fl_lower_memory(struct fl_lowering *l);
bool fl_lower_uffd(struct fl_lowering *l);

#endif
