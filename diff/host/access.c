/* SPDX-License-Identifier: MIT */
/*
 * Accesses of an actor to memory, and the signal handlers that turn a fault into an answer.
 *
 * Each access is a function of a few instructions with nothing on its stack but the return address, so a handler can leave it. What
 * it does besides the access itself cannot fault.
 *
 * fetch executes one instruction, whatever lies there, with the trap flag set and every register at memory that it may use. When
 * anything but the fetch itself goes wrong the fetch has gone well.
 *
 * Handlers run on a stack of their own, as a fetched instruction may change the stack pointer. No libc: see internal.h.
 *
 * No locks: a slot belongs to its actor here.
 */
#include <signal.h>
#include <ucontext.h>

#include "diff/host/internal.h"

#pragma GCC visibility push(hidden)
extern const char fl_kern_access_begin[], fl_kern_access_end[], fl_kern_fetch_back[], fl_kern_restore[];
/* out: 16 bytes, for what was loaded or is to be stored. */
uint64_t fl_kern_load1(uint64_t at), fl_kern_load2(uint64_t at), fl_kern_load4(uint64_t at), fl_kern_load8(uint64_t at);
uint64_t fl_kern_load16(uint64_t at, void *out);
uint64_t fl_kern_store1(uint64_t at, uint64_t v), fl_kern_store2(uint64_t at, uint64_t v),
	fl_kern_store4(uint64_t at, uint64_t v), fl_kern_store8(uint64_t at, uint64_t v);
uint64_t fl_kern_store16(uint64_t at, const void *from);
uint64_t fl_kern_add4(uint64_t at, uint64_t v), fl_kern_add8(uint64_t at, uint64_t v);
uint64_t fl_kern_fetch(uint64_t at, uint64_t playground, uint64_t *sp);
#pragma GCC visibility pop

#define ACCESS(name, text) ".balign 16\n" name ":\n " text "\n ret\n"

__asm__(".pushsection .text\n"
	".balign 16\n"
	"fl_kern_access_begin:\n"                                                               /* */
	ACCESS("fl_kern_load1", "movzbl (%rdi),%eax")                                           /* */
	ACCESS("fl_kern_load2", "movzwl (%rdi),%eax")                                           /* */
	ACCESS("fl_kern_load4", "movl (%rdi),%eax")                                             /* */
	ACCESS("fl_kern_load8", "movq (%rdi),%rax")                                             /* */
	ACCESS("fl_kern_load16", "movdqu (%rdi),%xmm0\n movdqu %xmm0,(%rsi)\n movq %xmm0,%rax") /* */
	ACCESS("fl_kern_store1", "movb %sil,(%rdi)\n xorl %eax,%eax")                           /* */
	ACCESS("fl_kern_store2", "movw %si,(%rdi)\n xorl %eax,%eax")                            /* */
	ACCESS("fl_kern_store4", "movl %esi,(%rdi)\n xorl %eax,%eax")                           /* */
	ACCESS("fl_kern_store8", "movq %rsi,(%rdi)\n xorl %eax,%eax")                           /* */
	ACCESS("fl_kern_store16", "movdqu (%rsi),%xmm0\n movdqu %xmm0,(%rdi)\n xorl %eax,%eax") /* */
	ACCESS("fl_kern_add4", "lock xaddl %esi,(%rdi)\n movl %esi,%eax")                       /* */
	ACCESS("fl_kern_add8", "lock xaddq %rsi,(%rdi)\n movq %rsi,%rax")                       /* */
	".balign 16\n"
	"fl_kern_access_end:\n"
	"fl_kern_fetch:\n"
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
	"fl_kern_fetch_back:\n"
	" popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbp\n popq %rbx\n"
	" ret\n"
	"fl_kern_restore:\n"
	" movl $15,%eax\n" /* rt_sigreturn */
	" syscall\n"
	".globl fl_kern_clone, fl_kern_enter\n"
	".hidden fl_kern_clone, fl_kern_enter\n"
	"fl_kern_clone:\n"
	" subq $16,%rsi\n"
	" movq %rdx,(%rsi)\n"
	" movq %rcx,8(%rsi)\n"
	" movl $56,%eax\n" /* clone */
	" xorl %edx,%edx\n"
	" xorl %r10d,%r10d\n"
	" xorl %r8d,%r8d\n"
	" syscall\n"
	" testq %rax,%rax\n"
	" jnz 1f\n"
	" xorl %ebp,%ebp\n"
	" popq %rax\n"
	" popq %rdi\n"
	" call *%rax\n"
	" ud2\n"
	"1: ret\n"
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

static bool in_access(uint64_t rip)
{
	return rip >= (uint64_t)fl_kern_access_begin && rip < (uint64_t)fl_kern_access_end;
}

static void leave_access(ucontext_t *u)
{
	greg_t *r = u->uc_mcontext.gregs;

	r[REG_RAX] = 0;
	r[REG_RIP] = *(greg_t *)r[REG_RSP];
	r[REG_RSP] += 8;
}

static void leave_fetch(struct fl_kern_slot *slot, ucontext_t *u)
{
	greg_t *r = u->uc_mcontext.gregs;

	r[REG_RIP] = (greg_t)(uint64_t)fl_kern_fetch_back;
	r[REG_RSP] = (greg_t)slot->fetch_sp;
	r[REG_EFL] = 0x202;
	slot->fetch_sp = 0;
}

static void note_signal(struct fl_kern_slot *slot, int signo, const siginfo_t *info)
{
	slot->signo = (uint32_t)signo;
	slot->code = info->si_code;
	slot->address = (uint64_t)info->si_addr;
}

#define ERR_FETCH 0x10 /* the page-fault error code's bit for a fetch */
#define TRAP_PAGE_FAULT 14

static _Noreturn void die(int signo, const siginfo_t *info, uint64_t rip)
{
	struct fl_kern_board *b = fl_kern_board(FL_DIFF_SCRATCH);

	b->death_at = rip;
	b->death_address = (uint64_t)info->si_addr;
	atomic_store(&b->death, (uint32_t)signo);
	for (;;)
		FL_KERN_CALL1(SYS_exit_group, 1);
}

/*
 * Did fetching itself fail? An address that is none to the processor is a protection fault; some tell it where the jump is, some at
 * its target. What an instruction has in the next page is not asked about.
 */
static bool fetch_failed(const struct fl_kern_slot *slot, int signo, const siginfo_t *info, const greg_t *r)
{
	if (signo != SIGSEGV && signo != SIGBUS)
		return false;
	if (!slot->fetch_traps)
		return true;
	return (uint64_t)r[REG_RIP] == slot->fetch_at && (uint64_t)info->si_addr == slot->fetch_at &&
	       r[REG_TRAPNO] == TRAP_PAGE_FAULT && (r[REG_ERR] & ERR_FETCH);
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
	if ((signo == SIGSEGV || signo == SIGBUS) && in_access(rip)) {
		note_signal(slot, signo, info);
		leave_access(u);
	} else if (slot->fetch_sp) {
		if (signo == SIGTRAP && rip == slot->fetch_at && !slot->fetch_traps++)
			return;
		if (fetch_failed(slot, signo, info, r)) {
			note_signal(slot, signo, info);
			slot->address += slot->fetch_traps ? slot->order.shift : 0;
		}
		leave_fetch(slot, u);
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
	if (in_access(rip)) {
		slot->interrupted = 1;
		leave_access(u);
	} else if (slot->fetch_sp && rip == slot->fetch_at) {
		slot->interrupted = 1;
		leave_fetch(slot, u);
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
	return FL_KERN_CALL4(SYS_rt_sigaction, signo, &a, 0, sizeof a.mask);
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
	return err ? err : FL_KERN_CALL4(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
}

long fl_kern_signal_stack(unsigned actor)
{
	stack_t s;

	s.ss_sp = (void *)fl_kern_stack(actor);
	s.ss_flags = 0;
	s.ss_size = FL_KERN_SIGNAL_STACK;
	return FL_KERN_CALL2(SYS_sigaltstack, &s, 0);
}

static uint64_t load(const struct fl_kern_order *o, void *out)
{
	uint64_t at = o->arg[0];

	if (o->size == 1)
		return fl_kern_load1(at);
	if (o->size == 2)
		return fl_kern_load2(at);
	if (o->size == 4)
		return fl_kern_load4(at);
	return o->size == 16 ? fl_kern_load16(at, out) : fl_kern_load8(at);
}

static void store(const struct fl_kern_order *o)
{
	uint64_t at = o->arg[0], v = o->value;
	uint64_t twice[2];

	if (o->size == 1) {
		fl_kern_store1(at, v);
	} else if (o->size == 2) {
		fl_kern_store2(at, v);
	} else if (o->size == 4) {
		fl_kern_store4(at, v);
	} else if (o->size == 8) {
		fl_kern_store8(at, v);
	} else {
		twice[0] = twice[1] = v;
		fl_kern_store16(at, twice);
	}
}

static void fetch(struct fl_kern_slot *slot, unsigned actor)
{
	slot->fetch_at = slot->order.arg[0];
	slot->fetch_traps = 0;
	fl_kern_fetch(slot->fetch_at, fl_kern_stack(actor) + FL_KERN_PLAYGROUND, &slot->fetch_sp);
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
		value = o->size == 4 ? fl_kern_add4(o->arg[0], o->value) : fl_kern_add8(o->arg[0], o->value);
	} else {
		fetch(slot, actor);
	}
	slot->ret = (int64_t)value;
}
