/* SPDX-License-Identifier: MIT */
/*
 * Accesses to memory by a thread itself, and by the kernel for it; and the signal handlers that turn a fault into a
 * value.
 *
 * Each access is a function of a few instructions in 16 bytes; the access is its second instruction, at byte 2. Nothing is
 * on its stack but the return address, so a handler can leave it.
 *
 * fetch executes one instruction, whatever lies there, with the trap flag set and every register at scratch memory. When
 * anything but the fetch itself goes wrong the fetch has gone well.
 *
 * No locks: a struct fl_host_self belongs to its thread.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "explore/host/internal.h"

struct access {
	uint64_t value, fault;
};

extern const char fl_host_access_begin[], fl_host_access_end[], fl_host_fetch_back[];
struct access fl_host_load1(uint64_t at), fl_host_load2(uint64_t at), fl_host_load4(uint64_t at),
	fl_host_load8(uint64_t at);
struct access fl_host_store1(uint64_t at, uint64_t v), fl_host_store2(uint64_t at, uint64_t v),
	fl_host_store4(uint64_t at, uint64_t v), fl_host_store8(uint64_t at, uint64_t v);
struct access fl_host_add4(uint64_t at, uint64_t v), fl_host_add8(uint64_t at, uint64_t v);
int64_t fl_host_fetch(uint64_t at, void *scratch, uint64_t *sp);

#define ACCESS(name, text) ".balign 16\n" name ":\n xorl %edx,%edx\n " text "\n ret\n"

__asm__(".pushsection .text\n"
	".balign 16\n"
	"fl_host_access_begin:\n"                                         /* */
	ACCESS("fl_host_load1", "movzbl (%rdi),%eax")                     /* */
	ACCESS("fl_host_load2", "movzwl (%rdi),%eax")                     /* */
	ACCESS("fl_host_load4", "movl (%rdi),%eax")                       /* */
	ACCESS("fl_host_load8", "movq (%rdi),%rax")                       /* */
	ACCESS("fl_host_store1", "movb %sil,(%rdi)\n xorl %eax,%eax")     /* */
	ACCESS("fl_host_store2", "movw %si,(%rdi)\n xorl %eax,%eax")      /* */
	ACCESS("fl_host_store4", "movl %esi,(%rdi)\n xorl %eax,%eax")     /* */
	ACCESS("fl_host_store8", "movq %rsi,(%rdi)\n xorl %eax,%eax")     /* */
	ACCESS("fl_host_add4", "lock xaddl %esi,(%rdi)\n movl %esi,%eax") /* */
	ACCESS("fl_host_add8", "lock xaddq %rsi,(%rdi)\n movq %rsi,%rax") /* */
	".balign 16\n"
	"fl_host_access_end:\n"
	"fl_host_fetch:\n"
	" pushq %rbx\n pushq %rbp\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
	" movq %rsp,(%rdx)\n"
	" pushq %rdi\n"
	" pushfq\n"
	" orl $0x100,(%rsp)\n"
	" movq %rsi,%rax\n movq %rsi,%rbx\n movq %rsi,%rcx\n movq %rsi,%rdx\n movq %rsi,%rdi\n movq %rsi,%rbp\n"
	" movq %rsi,%r8\n movq %rsi,%r9\n movq %rsi,%r10\n movq %rsi,%r11\n"
	" movq %rsi,%r12\n movq %rsi,%r13\n movq %rsi,%r14\n movq %rsi,%r15\n"
	" popfq\n"
	" ret\n" /* to what is fetched; the first trap comes before it */
	"fl_host_fetch_back:\n"
	" popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbp\n popq %rbx\n"
	" ret\n"
	".popsection\n");

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

static bool in_access(uint64_t rip)
{
	return rip >= (uint64_t)fl_host_access_begin && rip < (uint64_t)fl_host_access_end;
}

/* The access ends here, and this is what it returns. */
static void leave_access(ucontext_t *u, int64_t value)
{
	greg_t *r = u->uc_mcontext.gregs;

	r[REG_RAX] = value;
	r[REG_RDX] = 1;
	r[REG_RIP] = *(greg_t *)r[REG_RSP];
	r[REG_RSP] += 8;
}

static void leave_fetch(struct fl_host_self *self, ucontext_t *u, int64_t value)
{
	greg_t *r = u->uc_mcontext.gregs;

	r[REG_RAX] = value;
	r[REG_RIP] = (greg_t)(uint64_t)fl_host_fetch_back;
	r[REG_RSP] = (greg_t)self->fetch_sp;
	r[REG_EFL] = 0x202;
	self->fetch_sp = 0;
}

#define ERR_FETCH 0x10 /* the page-fault error code's bit for a fetch */

static void on_fault(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	greg_t *r = u->uc_mcontext.gregs;
	struct fl_host_self *self = fl_host_self_of((uint64_t)r[REG_RSP]);
	bool at_target = self && (uint64_t)r[REG_RIP] == self->fetch_at;
	bool memory = signo == SIGSEGV || signo == SIGBUS;

	if (memory && in_access((uint64_t)r[REG_RIP])) {
		leave_access(u, fault_value(signo, info->si_code));
	} else if (self && self->fetch_sp) {
		if (signo == SIGTRAP && at_target && !self->fetch_traps++)
			return;
		if (memory && at_target && (r[REG_ERR] & ERR_FETCH))
			leave_fetch(self, u, fault_value(signo, info->si_code));
		else
			leave_fetch(self, u, 0);
	} else {
		fl_host_fail("a signal that no statement explains; this is a bug of the host executor", signo);
		FL_HOST_CALL1(SYS_exit_group, FL_HOST_EXIT_ERROR);
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
	if (in_access(rip) && rip % 16 == 2)
		leave_access(u, FL_SC_INTERRUPTED);
	else if (self->fetch_sp && rip == self->fetch_at)
		leave_fetch(self, u, FL_SC_INTERRUPTED);
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
	self->fetch_at = at;
	self->fetch_traps = 0;
	/* Instructions may look 128 bytes to either side of what a register holds. */
	return fl_host_fetch(at, self->scratch + sizeof self->scratch / 2, &self->fetch_sp);
}

int64_t fl_host_access(struct fl_host_self *self, const struct fl_sc_statement *st, uint64_t value)
{
	uint64_t at = fl_host_address(&st->range);

	switch (st->op) {
	case FL_SC_LOAD:
		switch (st->size) {
		case 1:
			return (int64_t)fl_host_load1(at).value;
		case 2:
			return (int64_t)fl_host_load2(at).value;
		case 4:
			return (int64_t)fl_host_load4(at).value;
		default:
			return (int64_t)fl_host_load8(at).value;
		}
	case FL_SC_STORE:
		switch (st->size) {
		case 1:
			return (int64_t)fl_host_store1(at, value).value;
		case 2:
			return (int64_t)fl_host_store2(at, value).value;
		case 4:
			return (int64_t)fl_host_store4(at, value).value;
		default:
			return (int64_t)fl_host_store8(at, value).value;
		}
	case FL_SC_ADD:
		return (int64_t)(st->size == 4 ? fl_host_add4(at, value) : fl_host_add8(at, value)).value;
	default:
		return do_fetch(self, at);
	}
}

static void drain(struct fl_host_self *self)
{
	char rest[16];

	while (FL_HOST_CALL3(SYS_read, self->pipe[0], rest, sizeof rest) > 0)
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
		FL_HOST_CALL3(SYS_write, self->pipe[1], &value, size);
		n = FL_HOST_CALL3(SYS_read, self->pipe[0], at, size);
	} else {
		n = FL_HOST_CALL3(SYS_write, self->pipe[1], at, size);
		if (n == (long)size)
			FL_HOST_CALL3(SYS_read, self->pipe[0], &word, size);
	}
	if (n != (long)size)
		return n < 0 ? n : -EFAULT;
	return st->op == FL_SC_COPYIN ? (int64_t)word : 0;
}
