/* SPDX-License-Identifier: MIT */
/*
 * Threads and processes of a scenario on the running kernel.
 *
 * A process made by fork has a leader, which only makes its threads and sleeps, so that the address space stays until
 * all have said `exit`. It shares descriptors with its parent. The coordinator kills it after the run.
 *
 * Shared: the board, see internal.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explore/host/internal.h"

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static struct fl_host_self *self_at(unsigned slot)
{
	return (struct fl_host_self *)(fl_host_world.stacks + slot * FL_HOST_STACK);
}

static long start_thread(unsigned thread, void (*fn)(uint64_t self))
{
	uint64_t self = (uint64_t)self_at(thread);

	return fl_raw_clone(THREAD_FLAGS, self + FL_HOST_STACK, fn, self);
}

static void init_self(unsigned slot, unsigned thread, unsigned process)
{
	struct fl_host_self *self = self_at(slot);

	*self = (struct fl_host_self){
		.magic = FL_HOST_MAGIC, .thread = thread, .process = process, .cpu = FL_HOST_ANYWHERE};
	self->fill = fl_host_world.fill + slot * fl_host_world.fill_pages * FL_HOST_PAGE / sizeof *self->fill;
	if (pipe2(self->pipe, O_NONBLOCK | O_CLOEXEC))
		fl_host_fail("pipe", -errno);
}

#define IDLE_CYCLES 100000u /* a thread looks so long for the next run before it sleeps */

static void pooled(uint64_t arg)
{
	struct fl_host_self *self = (struct fl_host_self *)arg;
	struct fl_host_board *b = fl_host_world.board;

	for (;;) {
		uint64_t start = fl_host_tsc();

		while (atomic_load(&b->generation) == self->seen) {
			if (fl_host_tsc() - start < IDLE_CYCLES)
				__builtin_ia32_pause();
			else
				fl_host_futex_wait(&b->generation, self->seen, 0);
		}
		self->seen = atomic_load(&b->generation);
		fl_host_thread(self);
	}
}

/* Each thread's place; and those of the main process that are kept, unless each run has a process of its own. */
int fl_host_pool_start(void)
{
	const struct fl_scenario *s = fl_host_world.s;
	struct fl_host_board *b = fl_host_world.board;

	init_self(FL_EXPLORE_THREADS, FL_SC_SETUP, 0);
	for (unsigned t = 0; t < s->threads; t++) {
		long tid;

		init_self(t, t, s->thread[t].process);
		self_at(t)->seen = atomic_load(&b->generation);
		if (s->thread[t].process || fl_host_world.fresh)
			continue;
		tid = start_thread(t, pooled);
		if (tid < 0)
			return (int)tid;
		atomic_store(&b->slot[t].tid, (int32_t)tid);
		atomic_store(&b->slot[t].pid, (int32_t)getpid());
	}
	return 0;
}

void fl_host_setup(void)
{
	const struct fl_scenario *s = fl_host_world.s;

	fl_host_body(self_at(FL_EXPLORE_THREADS), s->setup, s->setups);
}

/* A thread that lives for one run. */
static void once(uint64_t arg)
{
	struct fl_host_self *self = (struct fl_host_self *)arg;
	struct fl_host_board *b = fl_host_world.board;
	_Atomic(uint32_t) *left = self->process ? &fl_host_world.process[self->process - 1].threads : &b->main_left;

	fl_host_thread(self);
	/* Where a thread says `exit`, the last to end takes the address space with it. */
	if (fl_host_leaves(fl_host_world.s, self->process) && atomic_fetch_sub(left, 1) == 1)
		FL_RAW_CALL1(SYS_exit_group, 0);
}

static void start_threads(unsigned process)
{
	const struct fl_scenario *s = fl_host_world.s;

	for (unsigned t = 0; t < s->threads; t++) {
		if (s->thread[t].process != process)
			continue;
		atomic_store(&fl_host_world.board->slot[t].pid, (int32_t)FL_RAW_CALL0(SYS_getpid));
		if (start_thread(t, once) < 0)
			fl_host_fail("clone cannot make a thread", 0);
	}
}

/* The leader of a process: die with the worker; when the setup is done, let the threads go. */
_Noreturn static void lead(unsigned process)
{
	struct fl_host_board *b = fl_host_world.board;
	_Atomic(uint32_t) never = 0;

	FL_RAW_CALL2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
	if (FL_RAW_CALL0(SYS_getppid) != atomic_load(&b->worker_pid))
		FL_RAW_CALL1(SYS_exit_group, 0);
	if (!process)
		fl_host_setup();
	if (!process) {
		atomic_store(&b->open, 1);
		fl_host_futex_wake(&b->open);
	} else {
		/* The parent may be killed before it can note this. */
		atomic_store(&fl_host_world.process[process - 1].pid, (int32_t)FL_RAW_CALL0(SYS_getpid));
		while (!atomic_load(&b->open))
			fl_host_futex_wait(&b->open, 0, 0);
	}
	start_threads(process);
	for (;;)
		fl_host_futex_wait(&never, 0, 0);
}

static unsigned threads_of(unsigned process)
{
	const struct fl_scenario *s = fl_host_world.s;
	unsigned n = 0;

	for (size_t t = 0; t < s->threads; t++)
		n += s->thread[t].process == process;
	return n;
}

int64_t fl_host_fork(struct fl_host_self *self, const struct fl_sc_statement *st)
{
	struct fl_host_board *b = fl_host_world.board;
	struct fl_host_process *p = &fl_host_world.process[st->object];
	unsigned n = threads_of(st->object + 1);
	bool again = atomic_load(&p->pid) != 0;
	/* Whoever forks, the coordinator is the parent: it reaps. */
	long flags =
		CLONE_FILES | SIGCHLD | (FL_RAW_CALL0(SYS_getpid) == atomic_load(&b->worker_pid) ? 0 : CLONE_PARENT);
	long pid;

	(void)self;
	if (again) {
		fl_host_fail("a process is forked twice in a run; the host executor needs a name for each fork", 0);
		return -EAGAIN;
	}
	atomic_store(&p->threads, n);
	atomic_store(&p->forking, 1);
	atomic_fetch_add(&b->running, n);
	pid = FL_RAW_CALL5(SYS_clone, flags, 0, 0, 0, 0);
	if (!pid)
		lead(st->object + 1);
	if (pid < 0) {
		atomic_fetch_sub(&b->running, n);
		atomic_store(&p->forking, 0);
		return pid;
	}
	atomic_store(&p->pid, (int32_t)pid);
	atomic_store(&p->forking, 0);
	return 0;
}

int64_t fl_host_signal(const struct fl_sc_statement *st)
{
	const struct fl_host_slot *slot = &fl_host_world.board->slot[st->object];

	unsigned process = fl_host_world.s->thread[st->object].process;

	if (process && !atomic_load(&fl_host_world.process[process - 1].pid))
		return -ESRCH;
	while (atomic_load(&slot->state) == FL_HOST_UNBORN && !atomic_load(&fl_host_world.board->abort))
		FL_RAW_CALL0(SYS_sched_yield);
	if (atomic_load(&slot->state) != FL_HOST_RUNS)
		return 0;
	FL_RAW_CALL3(SYS_tgkill, atomic_load(&slot->pid), atomic_load(&slot->tid), SIGUSR1);
	return 0;
}

/* Is there no address space of it any more (or not yet)? */
bool fl_host_process_gone(unsigned process)
{
	const struct fl_scenario *s = fl_host_world.s;

	if (process && !atomic_load(&fl_host_world.process[process - 1].pid))
		return true;
	if (!fl_host_leaves(s, process))
		return false;
	for (size_t t = 0; t < s->threads; t++)
		if (s->thread[t].process == process && atomic_load(&fl_host_world.board->slot[t].state) != FL_HOST_DONE)
			return false;
	return true;
}

/* A fresh process for the scenario's own; the coordinator is its parent. */
int fl_host_leader_start(void)
{
	long pid = FL_RAW_CALL5(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		lead(0);
	if (pid > 0)
		atomic_store(&fl_host_world.board->main_pid, (int32_t)pid);
	return pid < 0 ? (int)pid : 0;
}

/* Killed, and not yet reaped. */
static unsigned dying;

#define DYING 64u

static void end_process(_Atomic(int32_t) *which)
{
	int32_t pid = atomic_exchange(which, 0);

	if (pid && !kill(pid, SIGKILL))
		dying++;
}

/*
 * Threads that are asleep do nothing more that could be seen, so their processes may take their time to go, which is many
 * milliseconds where one waits in a userfaultfd. Others must be gone before the next run begins.
 */
void fl_host_kill_processes(bool asleep)
{
	for (size_t i = 0; i < fl_host_world.s->processes; i++)
		end_process(&fl_host_world.process[i].pid);
	if (fl_host_world.fresh)
		end_process(&fl_host_world.board->main_pid);
	while (dying) {
		pid_t pid = waitpid(-1, NULL, asleep && dying < DYING ? WNOHANG : 0);

		if (!pid || (pid < 0 && errno != EINTR))
			break;
		dying -= pid > 0;
	}
}
