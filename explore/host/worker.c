/* SPDX-License-Identifier: MIT */
/*
 * The coordinator: run after run, in a process of its own.
 *
 * Before a run nothing is in the window. After it, threads that wait for ever are called back: by a signal, and where that is
 * not enough by the end of the userfaultfds. If even then one does not come, the driver makes a new worker.
 *
 * Shared: the board, see internal.h.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "explore/host/internal.h"

#define WINDOW_BELOW 256u /* pages under the window into which a stack may have grown */
#define QUIET_US 300u     /* nothing ended for so long: look whether all wait */
#define SETTLE_US 200u
#define CONFIRM_US 20000u /* before an outcome with waiting threads is believed for the first time */
#define CALL_BACK_ROUNDS 500u
#define PLACE_RUNS 32u

_Noreturn static void leave(int status)
{
	fl_host_kill_processes(false);
	_exit(status);
}

static void check_failed(void)
{
	if (atomic_load(&fl_host_world.board->failed))
		leave(FL_HOST_EXIT_ERROR);
}

/* Where threads run: anywhere, all on one processor, or each on one. */
static void place_threads(uint64_t *random)
{
	struct fl_host_board *b = fl_host_world.board;
	size_t cpu[CPU_SETSIZE], n = 0;
	uint64_t r = fl_host_random(random);
	unsigned plan = (unsigned)(r % 4);

	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &fl_host_world.cpus))
			cpu[n++] = i;
	for (unsigned t = 0; n && t < fl_host_world.s->threads; t++) {
		size_t at = plan == 1 ? r >> 8 : (r >> 8) + t;

		atomic_store(&b->slot[t].cpu, plan ? (int32_t)cpu[at % n] : FL_HOST_ANYWHERE);
	}
	/* Threads on one processor cannot begin together. */
	atomic_store(&b->together, plan == 1 || n < 2 ? 0 : (uint32_t)fl_host_world.main_threads);
}

static void clear(void)
{
	for (size_t i = 0; i < fl_host_world.s->maps; i++) {
		if (fl_host_world.memory_fd[i] >= 0)
			close(fl_host_world.memory_fd[i]);
		fl_host_world.memory_fd[i] = -1;
	}
	munmap((void *)(FL_HOST_BASE - WINDOW_BELOW * FL_HOST_PAGE),
	       (FL_HOST_WINDOW_PAGES + WINDOW_BELOW) * FL_HOST_PAGE);
	FL_RAW_CALL1(SYS_brk, fl_host_world.brk);
}

static void prepare(uint64_t *random)
{
	struct fl_host_board *b = fl_host_world.board;
	const struct fl_scenario *s = fl_host_world.s;
	uint32_t delay;

	atomic_store(&b->abort, 0);
	atomic_store(&b->open, 0);
	atomic_store(&b->check_line, 0);
	atomic_store(&b->arrived, 0);
	atomic_store(&b->moment, 0);
	atomic_store(&b->awaiting, 0);
	/* Twice as often with none: what store buffers show is over in some hundred cycles. */
	delay = (uint32_t)(fl_host_random(random) % (FL_HOST_DELAYS + 1));
	atomic_store(&b->delay, delay % FL_HOST_DELAYS);
	atomic_store(&b->main_left, (uint32_t)fl_host_world.main_threads);
	for (size_t i = 0; i < s->results; i++)
		atomic_store(&fl_host_world.result[i].set, 0);
	for (size_t i = 0; i < s->variables; i++)
		atomic_store(&fl_host_world.variable[i], s->initial[i]);
	for (size_t i = 0; i < s->uffds; i++)
		atomic_store(&fl_host_world.uffd[i], -1);
	for (size_t i = 0; i < s->processes; i++) {
		atomic_store(&fl_host_world.process[i].pid, 0);
		atomic_store(&fl_host_world.process[i].threads, 0);
		atomic_store(&fl_host_world.process[i].forking, 0);
	}
	for (size_t t = 0; t < s->threads; t++)
		atomic_store(&b->slot[t].state, FL_HOST_UNBORN);
	atomic_store(&b->running, (uint32_t)fl_host_world.main_threads);
}

static void go(void)
{
	struct fl_host_board *b = fl_host_world.board;
	const struct fl_scenario *s = fl_host_world.s;
	int err;

	if (fl_host_world.fresh) {
		err = fl_host_leader_start();
		if (err)
			fl_host_fail("no process for a run", err);
		return;
	}
	fl_host_setup();
	check_failed();
	for (size_t t = 0; t < s->threads; t++)
		if (!s->thread[t].process)
			atomic_store(&b->slot[t].state, FL_HOST_RUNS);
	atomic_store(&b->open, 1);
	if (s->processes)
		fl_host_futex_wake(&b->open);
	atomic_fetch_add(&b->generation, 1);
	fl_host_futex_wake(&b->generation);
}

static struct fl_host_seen *find(const char *text)
{
	struct fl_host_board *b = fl_host_world.board;
	uint64_t hash = 0xcbf29ce484222325ul; /* FNV-1a */

	for (const char *p = text; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 0x100000001b3ul;
	for (size_t i = 0; i < FL_HOST_SEEN; i++) {
		struct fl_host_seen *e = &b->seen[(hash + i) % FL_HOST_SEEN];

		if (!e->text[0] || !strcmp(e->text, text))
			return e;
	}
	fl_host_fail("more distinct outcomes than the host executor can hold: bind fewer results", FL_HOST_SEEN);
	leave(FL_HOST_EXIT_ERROR);
}

/* The outcome's entry; false: it was not the end yet. */
static bool note(bool stuck)
{
	char text[FL_HOST_TEXT];
	struct fl_host_seen *e;
	int n = fl_host_outcome(text, sizeof text);

	if (n < 0 || (size_t)n >= sizeof text) {
		fl_host_fail("an outcome is longer than the host executor can hold: bind fewer results", n);
		leave(FL_HOST_EXIT_ERROR);
	}
	e = find(text);
	if (stuck && !e->text[0] && !fl_host_all_wait(CONFIRM_US))
		return false;
	if (!e->text[0])
		memcpy(e->text, text, (size_t)n + 1);
	atomic_fetch_add(&e->runs, 1);
	return true;
}

/* To the end of the run: true if it is that all wait for ever. */
static bool finish(void)
{
	struct fl_host_board *b = fl_host_world.board;

	for (;;) {
		uint32_t running = atomic_load(&b->running);

		check_failed();
		if (!running) {
			note(false);
			return false;
		}
		if (fl_host_futex_wait(&b->running, running, QUIET_US) == -ETIMEDOUT && fl_host_all_wait(SETTLE_US) &&
		    note(true))
			return true;
	}
}

static bool main_done(void)
{
	const struct fl_scenario *s = fl_host_world.s;

	for (size_t t = 0; t < s->threads; t++)
		if (!s->thread[t].process && atomic_load(&fl_host_world.board->slot[t].state) == FL_HOST_RUNS)
			return false;
	return true;
}

/* Get back the threads of a pooled main process that wait. */
static void call_back(void)
{
	struct fl_host_board *b = fl_host_world.board;
	const struct fl_scenario *s = fl_host_world.s;

	atomic_store(&b->abort, 1);
	for (unsigned round = 0; !main_done(); round++) {
		if (round == CALL_BACK_ROUNDS)
			leave(FL_HOST_EXIT_AGAIN);
		if (round == 1) { /* it waits where only a page, a reader or the end helps */
			fl_host_uffds_unregister();
			fl_host_uffds_close();
		}
		for (size_t t = 0; t < s->threads; t++)
			if (!s->thread[t].process && atomic_load(&b->slot[t].state) == FL_HOST_RUNS)
				FL_RAW_CALL3(SYS_tgkill, getpid(), atomic_load(&b->slot[t].tid), SIGUSR2);
		for (unsigned i = 0; i < 8 && !main_done(); i++)
			usleep(25);
	}
}

static void one_run(uint64_t *random)
{
	struct fl_host_board *b = fl_host_world.board;
	bool asleep;

	prepare(random);
	if (atomic_load(&b->runs) % PLACE_RUNS == 0)
		place_threads(random);
	go();
	asleep = finish();
	if (!fl_host_world.fresh)
		call_back();
	fl_host_kill_processes(asleep);
	fl_host_uffds_close();
	if (!fl_host_world.fresh)
		clear();
	check_failed();
}

_Noreturn void fl_host_worker(void)
{
	struct fl_host_board *b = fl_host_world.board;
	uint64_t random;
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* resident(A) counts small pages */
	prctl(PR_SET_TIMERSLACK, 1);
	atomic_store(&b->worker_pid, (int32_t)getpid());
	atomic_store(&b->main_pid, fl_host_world.fresh ? 0 : (int32_t)getpid());
	fl_host_world.brk = (uint64_t)FL_RAW_CALL1(SYS_brk, 0);
	CPU_ZERO(&fl_host_world.cpus);
	sched_getaffinity(0, sizeof fl_host_world.cpus, &fl_host_world.cpus);
	err = fl_host_handlers();
	if (!err)
		err = fl_host_pool_start();
	if (err)
		fl_host_fail("the worker cannot begin", err);
	check_failed();
	random = fl_host_world.options->seed ^ atomic_load(&b->runs);
	while (!atomic_load(&b->stop) && atomic_load(&b->runs) < fl_host_world.options->runs) {
		one_run(&random);
		atomic_fetch_add(&b->runs, 1);
	}
	leave(FL_HOST_EXIT_DONE);
}
