/* SPDX-License-Identifier: MIT */
/*
 * System calls made in a guest thread on the supervisor's order.
 *
 * The thread is sent to the hidden `syscall; int3`, with all signals blocked that can be (not SIGTRAP, which a blocked
 * int3 would reset), and comes back through the trap. Then registers, mask, and the signal that was about to be delivered
 * are put back; if the thread was before a call, it is sent to that call again and stopped there, still with
 * signals blocked, so that nothing comes in between. SIGSTOP alone cannot be held off: it is sent again afterwards.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/host.h"

#define INT3_RIP (FL_HIDDEN_CODE + 3)
#define ALL_BUT_SYNCHRONOUS                                                                                           \
	(~(FL_SIG_BIT(SIGTRAP) | FL_SIG_BIT(SIGSEGV) | FL_SIG_BIT(SIGBUS) | FL_SIG_BIT(SIGILL) | FL_SIG_BIT(SIGFPE) | \
	   FL_SIG_BIT(SIGSYS)))

struct saved {
	struct user_regs_struct regs;
	struct fl_event event;
	siginfo_t si;
	uint64_t mask;
	bool stop_again;
};

static void mask_set(struct guest_thread *th, uint64_t mask)
{
	ptrace(PTRACE_SETSIGMASK, th->tid, (void *)sizeof(mask), &mask);
}

static void save(struct guest_thread *th, struct saved *s)
{
	s->regs = *fl_regs(th);
	s->event = th->event;
	s->stop_again = false;
	s->mask = 0;
	if (th->event.stop == FL_STOP_SIGNAL)
		ptrace(PTRACE_GETSIGINFO, th->tid, NULL, &s->si);
	ptrace(PTRACE_GETSIGMASK, th->tid, (void *)sizeof(s->mask), &s->mask);
	mask_set(th, ALL_BUT_SYNCHRONOUS);
}

/* Go on until the wanted stop. *child: filled in when a clone reports. False: the thread is gone or dying. */
static bool go(struct guest_thread *th, struct saved *s, enum fl_stop wanted, pid_t *child)
{
	for (;;) {
		fl_resume(th, FL_CONT, 0);
		if (!fl_next_event(th))
			return false;
		if (th->event.stop == FL_STOP_EXITING) {
			fl_push_back(th);
			return false;
		}
		if (th->event.stop == FL_STOP_CLONE && child) {
			*child = (pid_t)th->event.msg;
			continue;
		}
		if (th->event.stop == FL_STOP_SIGNAL && (th->event.sig == SIGSTOP)) {
			s->stop_again = true;
			continue;
		}
		if (th->event.stop == FL_STOP_GROUP) {
			s->stop_again = true;
			continue;
		}
		if (th->event.stop == wanted && (wanted != FL_STOP_SIGNAL || th->event.sig == SIGTRAP))
			return true;
		if (th->event.stop == FL_STOP_TRAP)
			continue;
		return false; /* not possible: the code page was written over */
	}
}

static void restore(struct guest_thread *th, struct saved *s)
{
	th->regs = s->regs;
	if (s->event.stop == FL_STOP_SECCOMP) {
		th->regs.rip -= 2;
		th->regs.rax = th->regs.orig_rax;
		th->regs_valid = th->regs_dirty = true;
		if (!go(th, s, FL_STOP_SECCOMP, NULL))
			return;
		th->regs = s->regs;
	}
	th->regs_valid = th->regs_dirty = true;
	if (s->event.stop == FL_STOP_SIGNAL)
		ptrace(PTRACE_SETSIGINFO, th->tid, NULL, &s->si);
	th->event = s->event;
	mask_set(th, s->mask);
	if (s->stop_again)
		syscall(SYS_tgkill, th->proc->pid, th->tid, SIGSTOP);
}

static int64_t inject(struct guest_thread *th, long nr, const uint64_t a[6], pid_t *child)
{
	struct saved s;
	int64_t result;

	if (th->dead || th->dying || !th->stopped)
		return -FL_ESRCH;
	save(th, &s);
	th->regs.rip = FL_HIDDEN_CODE;
	th->regs.orig_rax = (unsigned long long)-1;
	th->regs.rax = (unsigned long long)nr;
	for (unsigned i = 0; i < 6; i++)
		fl_set_arg(th, i, a[i]);
	th->regs_dirty = true;
	if (!go(th, &s, FL_STOP_SIGNAL, child))
		return -FL_ESRCH;
	result = (int64_t)fl_regs(th)->rax;
	restore(th, &s);
	return th->dead || th->dying ? -FL_ESRCH : result;
}

int64_t fl_inject(struct guest_thread *th, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
		  uint64_t a5)
{
	return inject(th, nr, (const uint64_t[6]){a0, a1, a2, a3, a4, a5}, NULL);
}

int64_t fl_inject_clone(struct guest_thread *th, uint64_t flags, pid_t *child)
{
	*child = 0;
	return inject(th, SYS_clone, (const uint64_t[6]){flags}, child);
}

int64_t fl_inject_early(struct guest_thread *th, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
			uint64_t a4, uint64_t a5)
{
	const uint64_t a[6] = {a0, a1, a2, a3, a4, a5};
	struct saved s;
	int64_t result;

	save(th, &s);
	th->regs.rip = th->mm->vdso + th->g->host->vdso_syscall;
	th->regs.orig_rax = (unsigned long long)-1;
	th->regs.rax = (unsigned long long)nr;
	for (unsigned i = 0; i < 6; i++)
		fl_set_arg(th, i, a[i]);
	th->regs_dirty = true;
	/* Whether the filter stops the call or not: to its beginning, and to its end. */
	for (;;) {
		fl_resume(th, FL_TO_EXIT, 0);
		if (!fl_next_event(th))
			return -FL_ESRCH;
		if (th->event.stop == FL_STOP_EXITING) {
			fl_push_back(th);
			return -FL_ESRCH;
		}
		if (th->event.stop == FL_STOP_GROUP || th->event.stop == FL_STOP_SIGNAL)
			s.stop_again = true;
		if (th->event.stop == FL_STOP_EXIT_OF_CALL && (int64_t)fl_regs(th)->rax != -FL_ENOSYS)
			break;
	}
	result = (int64_t)fl_regs(th)->rax;
	restore(th, &s);
	return result;
}
