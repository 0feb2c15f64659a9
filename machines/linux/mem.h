/* SPDX-License-Identifier: MIT */
/*
 * What the files of memory calls share.
 *
 * No locks: one OS thread.
 */
#ifndef FL_LINUX_MEM_H
#define FL_LINUX_MEM_H

#include "linux/host.h"

/* A part of a range: of one kind, and without a gap. */
struct fl_part {
	fl_va start, end;
	bool foreign;
};

/* The first part of [va, end) that is mapped. False: nothing more. Hidden pages are not there. */
bool fl_part_next(struct guest_mm *gm, fl_va va, fl_va end, struct fl_part *p);
bool fl_range_has(struct guest_mm *gm, fl_va va, fl_va end, bool foreign);
bool fl_range_hidden(fl_va va, uint64_t len);
/* A page-aligned length, 0 when it overflows. */
uint64_t fl_page_round(uint64_t len);

/* A memory call as the observer wants it: fill in before, report after. */
struct fl_mem_call {
	unsigned nr;
	uint64_t args[6];
	uint64_t start_ns;
};
void fl_mem_call_begin(struct guest_thread *th, struct fl_mem_call *c);
void fl_mem_call_end(struct guest_thread *th, const struct fl_mem_call *c, int64_t result);
/* The call is answered with result: skipped, and told. */
void fl_mem_answer(struct guest_thread *th, const struct fl_mem_call *c, int64_t result);

/* Enter the host's mapping that covers va as foreign, from /proc. 0 or -errno. */
int fl_space_enter_at(struct guest_thread *th, fl_va va, const char *what);
uint64_t fl_file_cookie(uint64_t major, uint64_t minor, uint64_t inode);

/* Limits of a process, as fl_mm_config has them: rlimit.c */
struct fl_limits {
	uint64_t as, data, memlock, stack;
	bool no_locks; /* RLIMIT_MEMLOCK is 0: to lock is not even permitted */
};
void fl_limits_get(pid_t pid, struct fl_limits *l);
/* Before a memory call that makes something larger: the engine shall know the limits of the thread's process. */
void fl_limits_apply(struct guest_thread *th);
/* The same before a call that locks. 0 or -FL_EPERM. */
int fl_limits_lock(struct guest_thread *th);

void fl_mmap_register(void);

#endif
