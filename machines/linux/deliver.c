/* SPDX-License-Identifier: MIT */
/*
 * Signals on their way to the guest.
 *
 * SIGSEGV and SIGBUS are never blocked or ignored in the host, because the kernel's forced SIGSEGV would then reset
 * the guest's action. So each action that the host has lacks them in its mask, theirs have SA_NODEFER, and an
 * ignored one is the default; what the guest believes is in fl_sighand and virt_blocked. The virtual bits enter the
 * signal frame when a handler starts, and are taken from it when it returns (sigmask.c). One that is sent while the
 * guest blocks it is held here: it is pending for the guest, but not for the host.
 *
 * The kernel writes the frame with no way for us to fault pages in: they are made resident first.
 *
 * No locks: one OS thread.
 */
#include <string.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/host.h"

#define RED_ZONE 128
#define FRAME_EXTRA 1024
#define FRAME_DEFAULT 4096
#define FRAME_MASK_OFFSET 304 /* of uc_sigmask above rsp at a handler's first instruction */

bool fl_signal_passes(struct guest_thread *th, int sig)
{
	uint64_t handler = th->proc->sighand->action[sig].handler;

	if (handler > 1)
		return false;
	return handler == 1 || sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH;
}

static bool on_altstack(const struct guest_thread *th, fl_va sp)
{
	return sp - th->altstack.sp < th->altstack.size;
}

/* Make the pages of the frame resident. */
static void frame_resident(struct guest_thread *th, const struct fl_sigaction *act)
{
	uint64_t size = getauxval(AT_MINSIGSTKSZ);
	fl_va sp = fl_regs(th)->rsp;

	size = (size ? size : FRAME_DEFAULT) + FRAME_EXTRA;
	if (act->flags & SA_ONSTACK && th->altstack.size && !(th->altstack.flags & SS_DISABLE) &&
	    !on_altstack(th, sp)) {
		sp = th->altstack.sp + th->altstack.size;
		if (size > th->altstack.size)
			size = th->altstack.size;
	} else {
		sp -= RED_ZONE;
	}
	if (sp > size && (fl_engine_zone(sp - size) || fl_engine_zone(sp)))
		fl_make_resident(th, sp - size, size, FL_WRITE);
}

/* The handler is about to run: its first instruction. Put the virtual bits into the frame that it will return through. */
static void mark_frame(struct guest_thread *th, int sig, uint64_t bits)
{
	uint64_t mask;
	fl_va at;

	if (!th->stopped)
		return;
	if (th->regs_dirty)
		ptrace(PTRACE_SETREGS, th->tid, NULL, &th->regs);
	th->regs_valid = th->regs_dirty = false;
	th->stopped = false;
	ptrace(PTRACE_SINGLESTEP, th->tid, NULL, (long)sig);
	if (!fl_next_event(th))
		return;
	if (th->event.stop != FL_STOP_SIGNAL || th->event.sig != SIGTRAP) {
		fl_push_back(th);
		return;
	}
	at = fl_regs(th)->rsp + FRAME_MASK_OFFSET;
	if (!fl_copy_from_user(&th->task, &mask, at, sizeof(mask))) {
		mask |= bits;
		if (fl_copy_to_user(&th->task, at, &mask, sizeof(mask)))
			return;
	}
}

static void to_handler(struct guest_thread *th, int sig)
{
	struct fl_sigaction *act = &th->proc->sighand->action[sig];
	uint64_t before = th->virt_blocked;

	frame_resident(th, act);
	if (th->dead || th->dying || th->pushed_back)
		return;
	th->virt_blocked |= act->mask & FL_SIG_OURS;
	if (FL_SIG_BIT(sig) & FL_SIG_OURS && !(act->flags & SA_NODEFER))
		th->virt_blocked |= FL_SIG_BIT(sig);
	if (act->flags & SA_RESETHAND)
		act->handler = 0;
	if (before)
		mark_frame(th, sig, before);
	else
		fl_resume(th, FL_CONT, sig);
}

/* Death by a signal that the guest has blocked or ignored or whose handler must not run: only the default action will do it. */
static void to_death(struct guest_thread *th, int sig)
{
	siginfo_t si;

	if (th->proc->sighand->action[sig].handler > 1) {
		ptrace(PTRACE_GETSIGINFO, th->tid, NULL, &si);
		memset(fl_scratch(th), 0, sizeof(struct fl_sigaction));
		fl_inject(th, SYS_rt_sigaction, (uint64_t)sig, FL_HIDDEN_SCRATCH, 0, 8, 0, 0);
		if (th->dead || th->dying)
			return;
		ptrace(PTRACE_SETSIGINFO, th->tid, NULL, &si);
		th->proc->sighand->action[sig].handler = 0;
	}
	fl_resume(th, FL_CONT, sig);
}

void fl_signal_force(struct guest_thread *th, int sig, int code, fl_va addr)
{
	const struct fl_sigaction *act = &th->proc->sighand->action[sig];
	siginfo_t si;

	memset(&si, 0, sizeof(si));
	si.si_signo = sig;
	si.si_code = code;
	si.si_addr = (void *)(uintptr_t)addr;
	/* Another signal is here first, or it has waited and is in no signal stop: the access is repeated, and comes here again. */
	if (th->pushed_back || th->event.stop != FL_STOP_SIGNAL)
		return;
	ptrace(PTRACE_SETSIGINFO, th->tid, NULL, &si);
	th->event.sig = sig;
	if (act->handler <= 1 || th->virt_blocked & FL_SIG_BIT(sig))
		to_death(th, sig);
	else
		to_handler(th, sig);
}

/*
 * SIGSEGV or SIGBUS that somebody has sent: subject to the guest's mask and action. One that was held before has been sent
 * again by us; it gets the siginfo back that it had. While one is held, further ones are lost, as they are in Linux.
 */
static void sent(struct guest_thread *th, int sig, const siginfo_t *si)
{
	uint64_t handler = th->proc->sighand->action[sig].handler, bit = FL_SIG_BIT(sig);
	siginfo_t *kept = &th->held_info[FL_HELD_INDEX(sig)];
	bool ours = th->resent & bit && si->si_code == SI_TKILL;

	if (ours)
		th->resent &= ~bit;
	if (th->virt_blocked & bit) {
		if (!ours && !((th->held | th->resent) & bit))
			*kept = *si;
		th->held |= bit;
		return;
	}
	if (ours)
		ptrace(PTRACE_SETSIGINFO, th->tid, NULL, kept);
	if (handler > 1)
		to_handler(th, sig);
	else if (!handler)
		fl_resume(th, FL_CONT, sig);
}

void fl_mask_unblocked(struct guest_thread *th, uint64_t was_blocked)
{
	uint64_t due = th->held & was_blocked & ~th->virt_blocked;

	for (int sig = 1; due && sig <= 64; sig++) {
		if (due & FL_SIG_BIT(sig)) {
			th->held &= ~FL_SIG_BIT(sig);
			th->resent |= FL_SIG_BIT(sig);
			due &= ~FL_SIG_BIT(sig);
			syscall(SYS_tgkill, th->proc->pid, th->tid, sig);
		}
	}
}

static void synchronous(struct guest_thread *th, int sig)
{
	const struct fl_sigaction *act = &th->proc->sighand->action[sig];
	siginfo_t si;

	if (ptrace(PTRACE_GETSIGINFO, th->tid, NULL, &si))
		return;
	if (si.si_code <= 0 || !th->mm) {
		sent(th, sig, &si);
		return;
	}
	if (fl_fault_stop(th, &si))
		return;
	if (act->handler <= 1 || th->virt_blocked & FL_SIG_BIT(sig))
		to_death(th, sig);
	else
		to_handler(th, sig);
}

void fl_signal_stop(struct guest_thread *th)
{
	int sig = th->event.sig;

	if (sig == SIGSEGV || sig == SIGBUS)
		synchronous(th, sig);
	else if (sig < 1 || sig > 64)
		return;
	else if (th->proc->sighand->action[sig].handler > 1)
		to_handler(th, sig);
	else
		fl_resume(th, FL_CONT, sig);
}
