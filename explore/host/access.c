/* SPDX-License-Identifier: MIT */
/*
 * Accesses to memory by a thread itself, and by the kernel for it; and the signal handlers that turn a fault into a
 * value.
 *
 * fetch executes one instruction, whatever lies there. When anything but the fetch itself goes wrong the fetch has gone well.
 *
 * No locks: a struct fl_host_self belongs to its thread.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "explore/host/internal.h"

/* The coordinator runs setup on a stack of libc's. */
static struct fl_host_self *outside;

struct fl_host_self *fl_host_self_of(uint64_t sp)
{
	uint64_t first = (uint64_t)fl_host_world.stacks;
	struct fl_host_self *self;

	if (sp - first < FL_HOST_STACK * (FL_EXPLORE_THREADS + 1))
		self = (struct fl_host_self *)(sp & ~(FL_HOST_STACK - 1));
	else
		self = (struct fl_host_self *)(first + FL_HOST_STACK * FL_EXPLORE_THREADS);
	return self->magic == FL_HOST_MAGIC ? self : outside;
}

static int64_t fault_value(int signo, int code)
{
	if (signo == SIGBUS)
		return code == BUS_MCEERR_AR ? FL_SC_POISON : FL_SC_BUS;
	return code == SEGV_ACCERR ? FL_SC_ACCERR : FL_SC_MAPERR;
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	greg_t *r = u->uc_mcontext.gregs;
	struct fl_host_self *self = fl_host_self_of((uint64_t)r[REG_RSP]);
	bool at_target = self && (uint64_t)r[REG_RIP] == self->fetch.at;
	bool memory = signo == SIGSEGV || signo == SIGBUS;

	if (memory && fl_raw_in_access((uint64_t)r[REG_RIP])) {
		fl_raw_leave_access(u, (uint64_t)fault_value(signo, info->si_code));
	} else if (self && self->fetch.sp) {
		if (signo == SIGTRAP && at_target && !self->fetch.traps++)
			return;
		if (memory && at_target && (r[REG_ERR] & FL_RAW_ERR_FETCH))
			fl_raw_leave_fetch(u, &self->fetch, (uint64_t)fault_value(signo, info->si_code));
		else
			fl_raw_leave_fetch(u, &self->fetch, 0);
	} else {
		fl_host_fail("a signal that no statement explains; this is a bug of the host executor", signo);
		FL_RAW_CALL1(SYS_exit_group, FL_HOST_EXIT_ERROR);
	}
}

/* `signal T`, or the end of a run that is stuck: whatever waits comes back, and an access that waited is left. */
static void on_signal(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	greg_t *r = u->uc_mcontext.gregs;
	struct fl_host_self *self = fl_host_self_of((uint64_t)r[REG_RSP]);
	uint64_t rip = (uint64_t)r[REG_RIP];

	(void)info;
	/* A run's last signal may come late. */
	if (!self || (signo == SIGUSR2 && !atomic_load(&fl_host_world.board->abort)))
		return;
	if (fl_raw_in_access(rip) && rip % 16 == 0)
		fl_raw_leave_access(u, (uint64_t)FL_SC_INTERRUPTED);
	else if (self->fetch.sp && rip == self->fetch.at)
		fl_raw_leave_fetch(u, &self->fetch, (uint64_t)FL_SC_INTERRUPTED);
}

int fl_host_handlers(void)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGTRAP, SIGILL, SIGFPE};
	struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

	sigemptyset(&a.sa_mask);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		if (sigaction(faults[i], &a, NULL))
			return -errno;
	a.sa_sigaction = on_signal;
	if (sigaction(SIGUSR1, &a, NULL) || sigaction(SIGUSR2, &a, NULL))
		return -errno;
	a.sa_handler = SIG_IGN; /* an interrupt is the caller's: it ends us when it ends */
	a.sa_flags = 0;
	if (sigaction(SIGINT, &a, NULL) || sigaction(SIGPIPE, &a, NULL))
		return -errno;
	a.sa_handler = SIG_DFL;
	if (sigaction(SIGTERM, &a, NULL))
		return -errno;
	outside = (struct fl_host_self *)(fl_host_world.stacks + FL_HOST_STACK * FL_EXPLORE_THREADS);
	return 0;
}

static int64_t do_fetch(struct fl_host_self *self, uint64_t at)
{
	/* Instructions may look 128 bytes to either side of what a register holds. */
	return (int64_t)fl_raw_fetch(&self->fetch, at, self->scratch + sizeof self->scratch / 2);
}

int64_t fl_host_access(struct fl_host_self *self, const struct fl_sc_statement *st, uint64_t value)
{
	uint64_t at = fl_host_address(&st->range);

	switch (st->op) {
	case FL_SC_LOAD:
		switch (st->size) {
		case 1:
			return (int64_t)fl_raw_load1(at);
		case 2:
			return (int64_t)fl_raw_load2(at);
		case 4:
			return (int64_t)fl_raw_load4(at);
		default:
			return (int64_t)fl_raw_load8(at);
		}
	case FL_SC_STORE:
		switch (st->size) {
		case 1:
			return (int64_t)fl_raw_store1(at, value);
		case 2:
			return (int64_t)fl_raw_store2(at, value);
		case 4:
			return (int64_t)fl_raw_store4(at, value);
		default:
			return (int64_t)fl_raw_store8(at, value);
		}
	case FL_SC_ADD:
		return (int64_t)(st->size == 4 ? fl_raw_add4(at, value) : fl_raw_add8(at, value));
	default:
		return do_fetch(self, at);
	}
}

static void drain(struct fl_host_self *self)
{
	char rest[16];

	while (FL_RAW_CALL3(SYS_read, self->pipe[0], rest, sizeof rest) > 0)
		;
}

/* A pipe copies its writer's and its reader's memory as any system call does that has a pointer to it. */
int64_t fl_host_copies(struct fl_host_self *self, const struct fl_sc_statement *st, uint64_t value)
{
	uint64_t at = fl_host_address(&st->range);
	unsigned size = st->size ? st->size : 8;
	uint64_t word = 0;
	long n;

	drain(self);
	if (st->op == FL_SC_COPYOUT) {
		FL_RAW_CALL3(SYS_write, self->pipe[1], &value, size);
		n = FL_RAW_CALL3(SYS_read, self->pipe[0], at, size);
	} else {
		n = FL_RAW_CALL3(SYS_write, self->pipe[1], at, size);
		if (n == (long)size)
			FL_RAW_CALL3(SYS_read, self->pipe[0], &word, size);
	}
	if (n != (long)size)
		return n < 0 ? n : -EFAULT;
	return st->op == FL_SC_COPYIN ? (int64_t)word : 0;
}
