/* SPDX-License-Identifier: MIT */
/*
 * What the files of the host executor share.
 *
 *   driver   the caller's process. It starts a worker, watches it, and begins another one when it asks for that
 *   worker   a child process. Its main thread, the coordinator, makes the world of each run, lets the threads go, waits
 *            until all have ended or none can go on, notes the outcome and clears up
 *   thread   a thread of the scenario. Those of the scenario's main process are kept from run to run (pooled); a scenario
 *            in which that process ends gets a process of its own for each run (fresh)
 *   board    memory that all of these share: results, variables, who is where
 *
 * Threads are made by clone(2) itself, on stacks of ours, and a forked process shares its parent's descriptors, so
 * that `close U` is the last close. So a thread uses no part of libc that has state: system calls go by fl_host_call.
 *
 * The board's words are atomic. Each thread writes its own slot; results have one writer at a time, by the language.
 */
#ifndef FL_HOST_INTERNAL_H
#define FL_HOST_INTERNAL_H

#include <sched.h>
#include <stdatomic.h>

#include "explore/host/host.h"
#include "explore/raw/raw.h"

#define FL_HOST_PAGE 4096ul
#define FL_HOST_WINDOW_PAGES 4096ul
/* Where the window lies, far from all that libc and the kernel choose. */
#define FL_HOST_BASE 0x200000000000ul
#define FL_HOST_STACK 65536ul /* a thread's stack, aligned to its size; struct fl_host_self lies at its foot */
#define FL_HOST_FDS 16        /* forked processes' userfaultfds that one run may be told of */
#define FL_HOST_UFFD_FD 100   /* userfaultfds are moved here, away from what EVENT_FORK gives */
#define FL_HOST_TEXT 8184     /* bytes of an outcome */
#define FL_HOST_SEEN 4096     /* distinct outcomes */

enum fl_host_state {
	FL_HOST_UNBORN, /* not begun: its process is not there */
	FL_HOST_RUNS,
	FL_HOST_DONE,
};

struct fl_host_slot {
	_Atomic(uint32_t) state;
	_Atomic(uint32_t) steps;    /* changes with each statement */
	_Atomic(uint32_t) sleeping; /* in a delay of ours */
	_Atomic(int32_t) pid, tid;
	_Atomic(uint32_t) line;
	_Atomic(int32_t) cpu; /* where it shall run, or: */
#define FL_HOST_ANYWHERE (-1)
};

struct fl_host_value {
	_Atomic(uint32_t) set;
	_Atomic(int64_t) field[FL_SC_F_THREAD + 1]; /* by enum fl_sc_field; a number is in field 0 */
};

/* A process made by fork. */
struct fl_host_process {
	_Atomic(int32_t) pid;      /* 0: none */
	_Atomic(uint32_t) threads; /* that have not ended */
	_Atomic(uint32_t) forking; /* its parent is in the call */
};

struct fl_host_seen {
	_Atomic(uint64_t) runs;
	char text[FL_HOST_TEXT];
};

/* How a run is disturbed. */
enum fl_host_delay {
	FL_HOST_PLAIN,
	FL_HOST_SHORT,
	FL_HOST_LONG,
	FL_HOST_YIELDS,
	FL_HOST_STALL,
	FL_HOST_DELAYS,
};

struct fl_host_board {
	/* the whole exploration */
	_Atomic(uint64_t) runs;
	_Atomic(uint64_t) beat; /* changes as long as the coordinator goes on */
	_Atomic(uint32_t) stop; /* the driver has enough */
	_Atomic(int32_t) worker_pid;
	_Atomic(uint32_t) failed;
	char error[512];
	/* this run */
	_Atomic(uint32_t) generation; /* futex: threads wait for the next */
	_Atomic(uint32_t) open;       /* futex: set when setup is done */
	_Atomic(uint32_t) running;    /* futex: threads that have begun and not ended */
	_Atomic(uint32_t) arrived;
	_Atomic(uint64_t) moment; /* by the time stamp counter, at which threads begin */
	_Atomic(uint32_t) abort;
	_Atomic(uint32_t) changes; /* futex: of variables */
	_Atomic(uint32_t) awaiting;
	_Atomic(uint32_t) check_line; /* of the first check that failed */
	_Atomic(uint32_t) main_left;  /* the same of the main process */
	_Atomic(uint32_t) delay, together;
	_Atomic(uint32_t) fds;
	_Atomic(int32_t) fd[FL_HOST_FDS];
	_Atomic(int32_t) main_pid;
	struct fl_host_slot slot[FL_EXPLORE_THREADS];
	struct fl_host_seen seen[FL_HOST_SEEN];
};

/* One exploration, as the driver set it up; never written by a thread. A forked process has its copy. */
struct fl_host_world {
	const struct fl_scenario *s;
	const struct fl_host_options *options;
	struct fl_host_board *board;
	struct fl_host_value *result;    /* shared */
	_Atomic(int64_t) *variable;      /* shared */
	struct fl_host_process *process; /* shared */
	_Atomic(int32_t) *uffd;          /* shared: descriptors, -1 closed */
	_Atomic(uint32_t) *nonblock;     /* shared: of each userfaultfd, as the scenario says */
	int *memory_fd;                  /* of shmem and file mappings, in this run; -1 */
	uint64_t *fill;                  /* what copy reads; shared by all of a process, each slot its own part */
	size_t fill_pages;               /* of one slot */
	char *stacks;                    /* FL_EXPLORE_THREADS + 1, the last for setup */
	size_t shared_size;
	bool fresh;
	bool awaits; /* some thread says `await` */
	uint64_t brk;
	cpu_set_t cpus; /* that the worker may use */
	size_t main_threads;
};
extern struct fl_host_world fl_host_world;

/* Who runs. Found from the stack pointer, also in a signal handler. */
struct fl_host_self {
	uint32_t magic;
	unsigned thread; /* FL_SC_SETUP: the coordinator */
	unsigned process;
	uint64_t random;
	uint32_t steps; /* statements begun, in all runs */
	uint32_t stall; /* statements until the one long delay of a run */
	int pipe[2];
	uint64_t *fill;
	uint32_t seen; /* the last generation */
	int32_t cpu;   /* where it runs */
	struct fl_raw_fetch fetch;
	char scratch[512];
};
#define FL_HOST_MAGIC 0x5e1fu

/* access.c */
struct fl_host_self *fl_host_self_of(uint64_t sp);
int fl_host_handlers(void);
int64_t fl_host_access(struct fl_host_self *self, const struct fl_sc_statement *st, uint64_t value);
int64_t fl_host_copies(struct fl_host_self *self, const struct fl_sc_statement *st, uint64_t value);

/* calls.c */
int64_t fl_host_memory_call(struct fl_host_self *self, const struct fl_sc_statement *st);
uint64_t fl_host_address(const struct fl_sc_range *r);
uint64_t fl_host_bytes(const struct fl_sc_range *r);

/* uffd.c */
int64_t fl_host_uffd_call(struct fl_host_self *self, const struct fl_sc_statement *st);
void fl_host_uffds_close(void);
void fl_host_uffds_unregister(void);

/* process.c */
int fl_host_pool_start(void);
int64_t fl_host_fork(struct fl_host_self *self, const struct fl_sc_statement *st);
int64_t fl_host_signal(const struct fl_sc_statement *st);
int fl_host_leader_start(void);
void fl_host_kill_processes(bool asleep);
bool fl_host_process_gone(unsigned process);
void fl_host_setup(void);

/* thread.c */
void fl_host_thread(struct fl_host_self *self);
bool fl_host_body(struct fl_host_self *self, const struct fl_sc_statement *st, size_t n);
int64_t fl_host_evaluate(const struct fl_sc_expr *e);
int64_t fl_host_see_result(void *arg, unsigned index, enum fl_sc_field field);
int64_t fl_host_see_variable(void *arg, unsigned index);
void fl_host_bind(int result, enum fl_sc_field field, int64_t value);
void fl_host_unbind(int result);
uint64_t fl_host_random(uint64_t *state);
void fl_host_fail(const char *what, long err);

/* look.c */
int fl_host_outcome(char *buf, size_t size);

/* stuck.c */
bool fl_host_all_wait(unsigned long settle_us);

/* worker.c */
_Noreturn void fl_host_worker(void);
enum {
	FL_HOST_EXIT_DONE = 0,
	FL_HOST_EXIT_AGAIN = 40,
	FL_HOST_EXIT_ERROR = 41,
};

/* refuse.c */
char *fl_host_refuse(const struct fl_scenario *s);
bool fl_host_leaves(const struct fl_scenario *s, unsigned process);
bool fl_host_awaits(const struct fl_scenario *s);
FL_PRINTF(1, 2) char *fl_host_text(const char *format, ...);

#define FL_HOST_FUTEX_WAIT 0
#define FL_HOST_FUTEX_WAKE 1

/* Waits while *word is seen; microseconds 0: for ever. */
static inline long fl_host_futex_wait(_Atomic(uint32_t) *word, uint32_t seen, unsigned long microseconds)
{
	int64_t t[2] = {(int64_t)(microseconds / 1000000), (int64_t)(microseconds % 1000000) * 1000};

	return FL_RAW_CALL4(SYS_futex, word, FL_HOST_FUTEX_WAIT, seen, microseconds ? t : NULL);
}

static inline void fl_host_futex_wake(_Atomic(uint32_t) *word)
{
	FL_RAW_CALL3(SYS_futex, word, FL_HOST_FUTEX_WAKE, INT32_MAX);
}

static inline uint64_t fl_host_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

#endif
