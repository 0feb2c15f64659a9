/* SPDX-License-Identifier: MIT */
/*
 * A task: one thread of a guest, as the engine sees it. It is the engine's "current": whoever calls into the engine
 * passes the task on whose behalf he calls, and no two threads use one task at once (fl_task_signal alone may come from
 * anywhere).
 * The embedder allocates it; its size is public, its fields are the engine's.
 */
#ifndef FAULTLINE_TASK_H
#define FAULTLINE_TASK_H

#include "faultline/fl_port.h"

FL_BEGIN_C

/* How a wait may end early. */
enum fl_wait {
	FL_WAIT_UNINTERRUPTIBLE, /* by nothing */
	FL_WAIT_KILLABLE,        /* by a fatal signal */
	FL_WAIT_INTERRUPTIBLE,   /* by any signal */
};

#define FL_SIGNAL_PENDING 1u /* a signal that a handler will take */
#define FL_SIGNAL_FATAL 2u   /* the task is going to die */

#define FL_CAP_SYS_PTRACE 1u
#define FL_CAP_IPC_LOCK 2u
#define FL_CAP_SYS_RAWIO 4u

#define FL_FRAME_CACHE 64

/* (o) only the task itself; (a) atomic; (i) set at init */
struct fl_task {
	struct fl_mm *mm;         /* (o) holds a reference; NULL: no user memory */
	struct fl_frames *frames; /* (i) */
	struct fl_parker parker;
	uint32_t signals;            /* (a) FL_SIGNAL_* */
	uint32_t tid;                /* (i) what THREAD_ID messages carry */
	uint32_t caps;               /* (o) FL_CAP_* */
	uint32_t pagefault_disabled; /* (o) depth */
	/*
	 * (o) Faults that have been resolved, as getrusage(2) counts them: each one once. Major: it had to be tried
	 * again. Refusals count nowhere, nor do faults that nobody took (FL_FAULTF_AHEAD).
	 */
	uint64_t min_flt, maj_flt;
	/* Frames taken ahead from the arena: a run in address order, and single ones given back. src/frame/cache.c */
	struct {
		fl_pfn next, end;              /* (o) the run: next to hand out, and its end */
		uint32_t nfree;                /* (o) */
		uint32_t count;                /* (a) both together; the task writes, fl_frames_used reads */
		struct fl_task *prev, *follow; /* (the arena's mutex) tasks with a cache */
		bool listed;                   /* (o; the arena's mutex to write) */
		fl_pfn free[FL_FRAME_CACHE];   /* (o) descending, so that the lowest is handed out first */
	} cache;
};

/* A task in mm (may be NULL); takes a reference on it. */
void fl_task_init(struct fl_task *t, struct fl_frames *frames, struct fl_mm *mm, uint32_t tid);
/* Give back its cached frames and its reference on the address space. The last one tears the address space down. */
void fl_task_exit(struct fl_task *t);
/* Leave the present address space for another (exec); takes a reference on mm, which may be NULL. */
void fl_task_switch_mm(struct fl_task *t, struct fl_mm *mm);

/* Signals have come: end the task's waits that they may end. bits: FL_SIGNAL_*. From any thread, with any lock held. */
void fl_task_signal(struct fl_task *t, uint32_t bits);
/* They have been taken. By the task. */
void fl_task_clear_signal(struct fl_task *t, uint32_t bits);

/* Page faults are errors, not waits, until the matching enable. Nests. */
void fl_pagefault_disable(struct fl_task *t);
void fl_pagefault_enable(struct fl_task *t);

FL_END_C

#endif
