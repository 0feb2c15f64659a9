/* SPDX-License-Identifier: MIT */
/*
 * Accesses of an actor to memory, and the signal handlers that turn a fault into an answer.
 *
 * fetch executes one instruction, whatever lies there. When anything but the fetch itself goes wrong the fetch has gone well.
 *
 * Handlers run on a stack of their own, as a fetched instruction may change the stack pointer. No libc: see internal.h.
 *
 * No locks: a slot belongs to its actor here.
 */
#include <signal.h>

#include "diff/host/internal.h"

#pragma GCC visibility push(hidden)
extern const char fl_kern_restore[];
#pragma GCC visibility pop

__asm__(".pushsection .text\n"
	"fl_kern_restore:\n"
	" movl $15,%eax\n" /* rt_sigreturn */
	" syscall\n"
	".globl fl_kern_enter\n.hidden fl_kern_enter\n"
	"fl_kern_enter:\n"
	" movq %rcx,%rsp\n"
	" xorl %ebp,%ebp\n"
	" call fl_kern_zygote\n"
	" ud2\n"
	".popsection\n");

static unsigned actor_here(void)
{
	return (unsigned)(((uint64_t)__builtin_frame_address(0) - fl_kern_stack(0)) / FL_KERN_STACK);
}

static void note_signal(struct fl_kern_slot *slot, int signo, const siginfo_t *info)
{
	slot->signo = (uint32_t)signo;
	slot->code = info->si_code;
	slot->address = (uint64_t)info->si_addr;
}

#define TRAP_PAGE_FAULT 14

static _Noreturn void die(int signo, const siginfo_t *info, uint64_t rip)
{
	struct fl_kern_board *b = fl_kern_board(FL_DIFF_SCRATCH);

	b->death_at = rip;
	b->death_address = (uint64_t)info->si_addr;
	atomic_store(&b->death, (uint32_t)signo);
	for (;;)
		FL_RAW_CALL1(SYS_exit_group, 1);
}

/*
 * Did fetching itself fail? An address that is none to the processor is a protection fault; some tell it where the jump is, some at
 * its target. What an instruction has in the next page is not asked about.
 */
static bool fetch_failed(const struct fl_kern_slot *slot, int signo, const siginfo_t *info, const greg_t *r)
{
	if (signo != SIGSEGV && signo != SIGBUS)
		return false;
	if (!slot->fetch.traps)
		return true;
	return (uint64_t)r[REG_RIP] == slot->fetch.at && (uint64_t)info->si_addr == slot->fetch.at &&
	       r[REG_TRAPNO] == TRAP_PAGE_FAULT && (r[REG_ERR] & FL_RAW_ERR_FETCH);
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	greg_t *r = u->uc_mcontext.gregs;
	unsigned actor = actor_here();
	struct fl_kern_slot *slot = fl_kern_slot(FL_DIFF_SCRATCH, actor);
	uint64_t rip = (uint64_t)r[REG_RIP];

	if (actor >= FL_DIFF_ACTORS)
		die(signo, info, rip);
	if ((signo == SIGSEGV || signo == SIGBUS) && fl_raw_in_access(rip)) {
		note_signal(slot, signo, info);
		fl_raw_leave_access(u, 0);
	} else if (slot->fetch.sp) {
		if (signo == SIGTRAP && rip == slot->fetch.at && !slot->fetch.traps++)
			return;
		if (fetch_failed(slot, signo, info, r)) {
			note_signal(slot, signo, info);
			slot->address += slot->fetch.traps ? slot->order.shift : 0;
		}
		fl_raw_leave_fetch(u, &slot->fetch, 0);
	} else {
		die(signo, info, rip);
	}
}

/* SIGNAL: a call that waits comes back by itself, and an access that waits is left. */
static void on_signal(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	uint64_t rip = (uint64_t)u->uc_mcontext.gregs[REG_RIP];
	unsigned actor = actor_here();
	struct fl_kern_slot *slot = fl_kern_slot(FL_DIFF_SCRATCH, actor);

	(void)signo;
	(void)info;
	if (actor >= FL_DIFF_ACTORS)
		return;
	if (fl_raw_in_access(rip)) {
		slot->interrupted = 1;
		fl_raw_leave_access(u, 0);
	} else if (slot->fetch.sp && rip == slot->fetch.at) {
		slot->interrupted = 1;
		fl_raw_leave_fetch(u, &slot->fetch, 0);
	}
}

/* As the kernel takes it, which is not as libc does. */
struct action {
	void (*handler)(int, siginfo_t *, void *);
	uint64_t flags;
	const void *restorer;
	uint64_t mask;
};
#define ACTION_FLAGS (SA_SIGINFO | SA_NODEFER | SA_ONSTACK | 0x04000000u) /* the last: restorer is given */

static long handle(int signo, void (*handler)(int, siginfo_t *, void *))
{
	struct action a;

	a.handler = handler;
	a.flags = ACTION_FLAGS;
	a.restorer = fl_kern_restore;
	a.mask = 0;
	return FL_RAW_CALL4(SYS_rt_sigaction, signo, &a, 0, sizeof a.mask);
}

long fl_kern_handlers(void)
{
	uint64_t none = 0;
	long err;

	err = handle(SIGSEGV, on_fault);
	err = err ? err : handle(SIGBUS, on_fault);
	err = err ? err : handle(SIGTRAP, on_fault);
	err = err ? err : handle(SIGILL, on_fault);
	err = err ? err : handle(SIGFPE, on_fault);
	err = err ? err : handle(SIGUSR1, on_signal);
	return err ? err : FL_RAW_CALL4(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
}

long fl_kern_signal_stack(unsigned actor)
{
	stack_t s;

	s.ss_sp = (void *)fl_kern_stack(actor);
	s.ss_flags = 0;
	s.ss_size = FL_KERN_SIGNAL_STACK;
	return FL_RAW_CALL2(SYS_sigaltstack, &s, 0);
}

static uint64_t load(const struct fl_kern_order *o, void *out)
{
	uint64_t at = o->arg[0];

	if (o->size == 1)
		return fl_raw_load1(at);
	if (o->size == 2)
		return fl_raw_load2(at);
	if (o->size == 4)
		return fl_raw_load4(at);
	return o->size == 16 ? fl_raw_load16(at, out) : fl_raw_load8(at);
}

static void store(const struct fl_kern_order *o)
{
	uint64_t at = o->arg[0], v = o->value;
	uint64_t twice[2];

	if (o->size == 1) {
		fl_raw_store1(at, v);
	} else if (o->size == 2) {
		fl_raw_store2(at, v);
	} else if (o->size == 4) {
		fl_raw_store4(at, v);
	} else if (o->size == 8) {
		fl_raw_store8(at, v);
	} else {
		twice[0] = twice[1] = v;
		fl_raw_store16(at, twice);
	}
}

void fl_kern_access(struct fl_kern_slot *slot, unsigned actor)
{
	const struct fl_kern_order *o = &slot->order;
	uint64_t *scratch = (uint64_t *)fl_diff_scratch(actor);
	uint64_t value = 0;

	if (o->kind == FL_CALL_LOAD) {
		value = load(o, scratch);
		*scratch = value;
	} else if (o->kind == FL_CALL_STORE) {
		store(o);
	} else if (o->kind == FL_CALL_ADD) {
		value = o->size == 4 ? fl_raw_add4(o->arg[0], o->value) : fl_raw_add8(o->arg[0], o->value);
	} else {
		fl_raw_fetch(&slot->fetch, o->arg[0], (void *)(fl_kern_stack(actor) + FL_KERN_PLAYGROUND));
	}
	slot->ret = (int64_t)value;
}
