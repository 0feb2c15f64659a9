/* SPDX-License-Identifier: MIT */
/*
 * Signal calls: actions, masks, alternate stacks, and the return from a handler.
 *
 * What the guest believes is kept; what the host gets is the same without SEGV and BUS (deliver.c says why). A call
 * whose sets lack both runs natively. What is held of the two is shown as pending, and can be waited for.
 *
 * Scratch: a few words of the control page carry changed arguments; each thread has a slot by its id, and a kernel that
 * has stopped reading it before the thread's next stop.
 *
 * No locks: one OS thread.
 */
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

#include "linux/host.h"
#include "linux/io.h"

#define SET_BYTES 8
#define FRAME_UC_STACK 16
#define FRAME_UC_MASK 296
#define FRAME_BYTES 440
#define FRAME_FPSTATE 224 /* pointer to the floating-point state, in the frame */
#define NSLOTS 16u        /* of 8 bytes; then one struct fl_sigaction */

struct stack {
	uint64_t sp;
	int32_t flags, pad;
	uint64_t size;
};

fl_va fl_sigset_host(struct guest_thread *th, fl_va va)
{
	unsigned slot = (unsigned)th->tid % NSLOTS;
	uint64_t set;

	if (!va || va == FL_HIDDEN_SCRATCH + slot * SET_BYTES)
		return va;
	if (fl_copy_from_user(&th->task, &set, va, sizeof(set)))
		return va;
	if (!(set & FL_SIG_OURS)) {
		fl_make_resident(th, va, sizeof(set), FL_READ);
		return va;
	}
	set &= ~FL_SIG_OURS;
	memcpy((uint8_t *)fl_scratch(th) + slot * SET_BYTES, &set, sizeof(set));
	return FL_HIDDEN_SCRATCH + slot * SET_BYTES;
}

static uint64_t mask_get(struct guest_thread *th)
{
	uint64_t mask = 0;

	ptrace(PTRACE_GETSIGMASK, th->tid, (void *)sizeof(mask), &mask);
	return mask | th->virt_blocked;
}

static void mask_set(struct guest_thread *th, uint64_t mask)
{
	uint64_t was = th->virt_blocked, host;

	mask &= ~(FL_SIG_BIT(SIGKILL) | FL_SIG_BIT(SIGSTOP));
	host = mask & ~FL_SIG_OURS;
	ptrace(PTRACE_SETSIGMASK, th->tid, (void *)sizeof(host), &host);
	th->virt_blocked = mask & FL_SIG_OURS;
	fl_mask_unblocked(th, was);
}

static int64_t sigprocmask_serve(struct guest_thread *th, int how, fl_va setp, fl_va oldp)
{
	uint64_t old = mask_get(th), set = 0;

	if (setp) {
		if (fl_copy_from_user(&th->task, &set, setp, sizeof(set)))
			return -FL_EFAULT;
		switch (how) {
		case SIG_BLOCK:
			set |= old;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -FL_EINVAL;
		}
		mask_set(th, set);
	}
	/* The new mask stays when the old one cannot be told, as in Linux. */
	if (oldp && fl_copy_to_user(&th->task, oldp, &old, sizeof(old)))
		return -FL_EFAULT;
	return 0;
}

static void sys_rt_sigprocmask(struct guest_thread *th)
{
	fl_va setp = fl_arg(th, 1), oldp = fl_arg(th, 2);
	uint64_t set = 0;
	bool plain;

	if (fl_arg(th, 3) != SET_BYTES)
		return;
	plain = !th->virt_blocked && !fl_engine_zone(oldp);
	if (plain && setp)
		plain = !fl_engine_zone(setp) && !fl_copy_from_user(&th->task, &set, setp, sizeof(set)) &&
			!(set & FL_SIG_OURS);
	if (!plain)
		fl_skip_syscall(th, sigprocmask_serve(th, (int)fl_arg(th, 0), setp, oldp));
}

/* What the host is given for an action of the guest's. */
static struct fl_sigaction host_action(int sig, const struct fl_sigaction *act)
{
	struct fl_sigaction host = *act;

	host.mask &= ~FL_SIG_OURS;
	if (FL_SIG_BIT(sig) & FL_SIG_OURS) {
		host.flags |= SA_NODEFER;
		if (host.handler == 1)
			host.handler = 0;
	}
	return host;
}

/* A signal that is ignored from now on is pending no more. */
static void forget_held(struct guest_proc *proc, int sig)
{
	for (struct guest_thread *t = proc->g->threads; t; t = t->next) {
		if (t->proc == proc)
			t->held &= ~FL_SIG_BIT(sig);
	}
}

static void sys_rt_sigaction(struct guest_thread *th)
{
	int sig = (int)fl_arg(th, 0);
	fl_va actp = fl_arg(th, 1), oldp = fl_arg(th, 2);
	struct fl_sigaction old, act, host;
	int64_t result;

	if (sig < 1 || sig > 64 || fl_arg(th, 3) != SET_BYTES)
		return;
	old = th->proc->sighand->action[sig];
	if (actp) {
		if (fl_copy_from_user(&th->task, &act, actp, sizeof(act))) {
			fl_skip_syscall(th, -FL_EFAULT);
			return;
		}
		act.mask &= ~(FL_SIG_BIT(SIGKILL) | FL_SIG_BIT(SIGSTOP));
		host = host_action(sig, &act);
		memcpy((uint8_t *)fl_scratch(th) + NSLOTS * SET_BYTES, &host, sizeof(host));
		fl_set_arg(th, 1, FL_HIDDEN_SCRATCH + NSLOTS * SET_BYTES);
		fl_set_arg(th, 2, 0);
		if (fl_run_syscall(th, &result))
			return;
		fl_set_arg(th, 1, actp);
		fl_set_arg(th, 2, oldp);
		if (result)
			return;
		th->proc->sighand->action[sig] = act;
		if (act.handler == 1)
			forget_held(th->proc, sig);
	} else {
		result = 0;
		fl_skip_syscall(th, 0);
	}
	if (oldp && fl_copy_to_user(&th->task, oldp, &old, sizeof(old)))
		result = -FL_EFAULT;
	if (result)
		fl_set_result(th, result);
}

/* The mask in the frame is the guest's: what is ours of it becomes virtual again. */
static void sys_rt_sigreturn(struct guest_thread *th)
{
	fl_va frame = fl_regs(th)->rsp, fp = 0;
	uint64_t mask = 0, was = th->virt_blocked;
	struct stack ss;

	if (fl_engine_zone(frame)) {
		fl_make_resident(th, frame, FRAME_BYTES, FL_READ);
		if (!fl_copy_from_user(&th->task, &fp, frame + FRAME_FPSTATE, sizeof(fp)) && fp && fl_engine_zone(fp))
			fl_make_resident(th, fp, FL_PAGE, FL_READ);
	}
	if (fl_copy_from_user(&th->task, &mask, frame + FRAME_UC_MASK, sizeof(mask)))
		return;
	if (mask & FL_SIG_OURS) {
		uint64_t host = mask & ~FL_SIG_OURS;

		if (fl_copy_to_user(&th->task, frame + FRAME_UC_MASK, &host, sizeof(host)))
			return;
		fl_make_resident(th, frame + FRAME_UC_MASK, sizeof(host), FL_READ);
	}
	th->virt_blocked = mask & FL_SIG_OURS;
	if (!fl_copy_from_user(&th->task, &ss, frame + FRAME_UC_STACK, sizeof(ss))) {
		th->altstack.sp = ss.sp;
		th->altstack.size = ss.size;
		th->altstack.flags = ss.flags;
	}
	fl_mask_unblocked(th, was);
}

static void sys_sigaltstack(struct guest_thread *th)
{
	fl_va newp = fl_arg(th, 0), oldp = fl_arg(th, 1);
	struct stack ss;
	int64_t result;

	if (newp && fl_copy_from_user(&th->task, &ss, newp, sizeof(ss))) {
		fl_skip_syscall(th, -FL_EFAULT);
		return;
	}
	if (newp)
		fl_make_resident(th, newp, sizeof(ss), FL_READ);
	if (oldp)
		fl_make_resident(th, oldp, sizeof(ss), FL_WRITE);
	if (!newp || fl_run_syscall(th, &result) || result)
		return;
	th->altstack.sp = ss.flags & SS_DISABLE ? 0 : ss.sp;
	th->altstack.size = ss.flags & SS_DISABLE ? 0 : ss.size;
	th->altstack.flags = ss.flags;
}

static void sys_rt_sigsuspend(struct guest_thread *th)
{
	fl_va va = fl_arg(th, 0), host = fl_sigset_host(th, va);
	int64_t result;

	if (host == va)
		return;
	fl_set_arg(th, 0, host);
	if (!fl_run_syscall(th, &result))
		fl_set_arg(th, 0, va);
}

/* ---- What is pending ---------------------------------------------------------------------------------- */

static int64_t finish_pending(struct fl_io_bounced *b, uint8_t *after, int64_t result)
{
	const struct fl_io_slot *s = &b->slots[0];
	uint64_t set = 0, n = s->size < sizeof(set) ? s->size : sizeof(set);

	if (!result) {
		memcpy(&set, after + s->offset, n);
		set |= b->th->held & b->th->virt_blocked;
		memcpy(after + s->offset, &set, n);
	}
	return result;
}

/* Nothing has to be changed before the call; but with a function here the set is bounced wherever it lies. */
static void prepare_pending(struct fl_io_bounced *b)
{
	(void)b;
}

static void sys_rt_sigpending(struct guest_thread *th)
{
	struct fl_io_bounced b = {.th = th, .prepare = prepare_pending, .finish = finish_pending};

	if (th->held || fl_engine_zone(fl_arg(th, 0)))
		fl_io_run_bounced(&b);
}

/* The signal of this set that a wait for it shall take from those that are held, or 0. Its other arguments are good. */
static int held_wanted(struct guest_thread *th)
{
	struct timespec ts = {0};
	uint64_t set;

	if (!th->held || fl_arg(th, 3) != SET_BYTES || fl_io_copy_in(th, &set, fl_arg(th, 0), sizeof(set)))
		return 0;
	if (fl_arg(th, 2) && fl_io_copy_in(th, &ts, fl_arg(th, 2), sizeof(ts)))
		return 0;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= 1000000000)
		return 0;
	set &= th->held;
	return set & FL_SIG_BIT(SIGBUS) ? SIGBUS : set & FL_SIG_BIT(SIGSEGV) ? SIGSEGV : 0;
}

/* What the host has pending of the set it takes itself; Linux, too, looks for SEGV and BUS before all others. */
static void sys_rt_sigtimedwait(struct guest_thread *th)
{
	int sig = held_wanted(th);
	int64_t result = sig;
	fl_va to = fl_arg(th, 1);
	siginfo_t si;

	if (fl_io_gone(th))
		return;
	if (!sig) {
		fl_io_consuming(th);
		return;
	}
	th->held &= ~FL_SIG_BIT(sig);
	si = th->held_info[FL_HELD_INDEX(sig)];
	if (to && fl_io_copy_out(th, to, &si, sizeof(si)))
		result = -FL_EFAULT;
	if (!fl_io_gone(th))
		fl_skip_syscall(th, result);
}

void fl_signals_register(void)
{
	fl_sys_register(SYS_rt_sigpending, FL_SYS_ALWAYS, 0, sys_rt_sigpending);
	fl_sys_register(SYS_rt_sigtimedwait, FL_SYS_ALWAYS, 0, sys_rt_sigtimedwait);
	fl_sys_register(SYS_rt_sigprocmask, FL_SYS_ALWAYS, 0, sys_rt_sigprocmask);
	fl_sys_register(SYS_rt_sigaction, FL_SYS_ALWAYS, 0, sys_rt_sigaction);
	fl_sys_register(SYS_rt_sigreturn, FL_SYS_ALWAYS, 0, sys_rt_sigreturn);
	fl_sys_register(SYS_sigaltstack, FL_SYS_ALWAYS, 0, sys_sigaltstack);
	fl_sys_register(SYS_rt_sigsuspend, FL_SYS_ALWAYS, 0, sys_rt_sigsuspend);
}
