/* SPDX-License-Identifier: MIT */
/*
 * Run a native program on the engine: the one entry, and what it tells its observer. The tools (report, trace,
 * command line) see nothing else of the machine but the fields of struct guest_thread that linux.h shows.
 *
 * No locks: everything runs on the supervisor's one OS thread.
 */
#ifndef FL_LINUX_RUN_H
#define FL_LINUX_RUN_H

#include <stdint.h>
#include <sys/types.h>

#include "faultline/faultline.h"

struct guest;
struct guest_thread;

struct fl_run_options {
	char *const *argv; /* the program, searched for in PATH as execvp does, and its arguments; NULL at the end */
	uint64_t memory;   /* bound of the engine's memory in bytes; 0: half of the host's memory */
	bool exact;        /* no pages ahead: one fault, one page */
};

/* Why a run did not begin or was ended by the supervisor. Exit statuses are those of a shell. */
struct fl_run_result {
	int wait_status; /* of the program, as waitpid(2) gives it; valid when error is empty */
	int exit_code;   /* what the supervisor shall exit with when error is set: 127, 126 or 125 */
	char error[512]; /* one line without newline, naming the value and the way out; empty: none */
	uint64_t frames_total, frames_peak;
	uint64_t frames_leaked; /* referenced after the last thread has gone: a bug of ours */
	uint64_t wall_ns;
};

/* What a fault was, for the observer. */
struct run_fault {
	struct fl_fault f; /* in and out */
	uint64_t rip;      /* 0: none of its own (a system call's access, or ahead) */
	bool ahead;        /* nobody touched it yet */
	bool kernel;       /* on behalf of a system call */
	uint64_t start_ns; /* CLOCK_MONOTONIC */
};

/* Any member may be NULL. Called in the thread's fiber; must not call into the engine and must not wait. */
struct run_observer {
	void *arg;
	void (*fault_begin)(void *arg, struct guest_thread *th, const struct run_fault *rf);
	void (*fault_end)(void *arg, struct guest_thread *th, const struct run_fault *rf, enum fl_outcome outcome,
			  uint64_t ns);
	/* A memory call that the engine served, or that was looked at: number, arguments as the guest gave them. */
	void (*memory_call)(void *arg, struct guest_thread *th, unsigned nr, const uint64_t args[6], int64_t result,
			    uint64_t ns);
	/* A call of no class failed with EFAULT on engine memory, and the guest has seen that. */
	void (*unknown_efault)(void *arg, struct guest_thread *th, unsigned nr, const uint64_t args[6]);
	/* A mapping stays with the host. what: path, or [stack], [vdso], "shared anonymous", "fixed anonymous" ... */
	void (*foreign_mapping)(void *arg, struct guest_thread *th, fl_va start, uint64_t len, int prot,
				const char *what);
	/* The guest asked for something that is refused or only noted (io_uring, rseq, ptrace, seccomp ...). */
	void (*refused)(void *arg, struct guest_thread *th, const char *feature);
	/* The engine is out of frames and the process is killed, as the OOM killer would. */
	void (*oom_kill)(void *arg, struct guest_thread *th, fl_va addr);
	void (*exec)(void *arg, struct guest_thread *th, const char *path);
	/* A process has ended; status as waitpid(2) gives it. */
	void (*process_exit)(void *arg, pid_t pid, int status);
	/* About ten times a second while the guest runs, outside any fiber; wanted only if non-NULL. */
	void (*tick)(void *arg, struct guest *g);
};

/*
 * Run a program to its end. Returns 0 if it ran (res->wait_status), or -1 with res->error and res->exit_code set. The
 * supervisor must have no other children. obs may be NULL.
 */
int fl_linux_run(const struct fl_run_options *o, struct run_observer *obs, struct fl_run_result *res);

#endif
