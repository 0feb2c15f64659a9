/* SPDX-License-Identifier: MIT */
/*
 * Stops of a guest thread, and what can be done in one: read and change registers, go on, skip the stopped call, make it, make
 * it again.
 *
 * A seccomp stop is before the call; PTRACE_SYSCALL from there stops next at the call's end. Going back to before the call means
 * moving rip over the two bytes of the syscall instruction, which the filter stops again.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "linux/host.h"

#define SYSCALL_BYTES 2

struct user_regs_struct *fl_regs(struct guest_thread *th)
{
	if (!th->regs_valid) {
		if (ptrace(PTRACE_GETREGS, th->tid, NULL, &th->regs))
			th->regs = (struct user_regs_struct){0}; /* killed: what is done with them does not matter */
		th->regs_valid = true;
		th->regs_dirty = false;
	}
	return &th->regs;
}

static unsigned long long *arg_place(struct user_regs_struct *r, unsigned n)
{
	switch (n) {
	case 0:
		return &r->rdi;
	case 1:
		return &r->rsi;
	case 2:
		return &r->rdx;
	case 3:
		return &r->r10;
	case 4:
		return &r->r8;
	default:
		return &r->r9;
	}
}

uint64_t fl_arg(struct guest_thread *th, unsigned n)
{
	return *arg_place(fl_regs(th), n);
}

void fl_set_arg(struct guest_thread *th, unsigned n, uint64_t value)
{
	*arg_place(fl_regs(th), n) = value;
	th->regs_dirty = true;
}

void fl_resume(struct guest_thread *th, enum fl_resume how, int sig)
{
	static const int request[] = {
		[FL_CONT] = PTRACE_CONT,
		[FL_TO_EXIT] = PTRACE_SYSCALL,
		[FL_LISTEN] = PTRACE_LISTEN,
	};

	if (th->dead || !th->stopped)
		return;
	if (th->regs_valid && th->regs_dirty)
		ptrace(PTRACE_SETREGS, th->tid, NULL, &th->regs);
	th->regs_valid = false;
	th->regs_dirty = false;
	th->stopped = false;
	th->pushed_back = false;
	th->call_over = false;
	/* ESRCH: SIGKILL has taken it out of the stop; its end will be reported. */
	th->to_exit = how == FL_TO_EXIT;
	if (how == FL_CONT && th->g->host->uffd_denied)
		how = FL_TO_EXIT;
	ptrace((enum __ptrace_request)request[how], th->tid, NULL, (long)sig);
}

static enum fl_stop stop_of_event(int event, int sig)
{
	switch (event) {
	case 0:
		return sig == (SIGTRAP | 0x80) ? FL_STOP_EXIT_OF_CALL : FL_STOP_SIGNAL;
	case PTRACE_EVENT_SECCOMP:
		return FL_STOP_SECCOMP;
	case PTRACE_EVENT_CLONE:
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		return FL_STOP_CLONE;
	case PTRACE_EVENT_VFORK_DONE:
		return FL_STOP_VFORK_DONE;
	case PTRACE_EVENT_EXEC:
		return FL_STOP_EXEC;
	case PTRACE_EVENT_EXIT:
		return FL_STOP_EXITING;
	default:
		return sig == SIGTRAP ? FL_STOP_TRAP : FL_STOP_GROUP;
	}
}

void fl_event_decode(struct guest_thread *th, int status)
{
	struct fl_event *e = &th->event;
	unsigned long msg = 0;

	*e = (struct fl_event){.status = status};
	th->regs_valid = false;
	th->regs_dirty = false;
	if (th->unwatched)
		fl_call_seen(th);
	if (!WIFSTOPPED(status)) {
		e->stop = FL_STOP_DEAD;
		th->dead = true;
		th->stopped = false;
		return;
	}
	th->stopped = true;
	e->sig = WSTOPSIG(status);
	e->stop = stop_of_event(status >> 16, e->sig);
	if (e->stop == FL_STOP_SECCOMP && th->stands_in) {
		th->stands_in = false;
		fl_regs(th)->orig_rax = SYS_userfaultfd;
	}
	switch (e->stop) {
	case FL_STOP_CLONE:
	case FL_STOP_EXEC:
	case FL_STOP_EXITING:
		ptrace(PTRACE_GETEVENTMSG, th->tid, NULL, &msg);
		e->msg = msg;
		break;
	default:
		break;
	}
	if (e->stop == FL_STOP_EXITING)
		th->dying = true;
}

bool fl_next_event(struct guest_thread *th)
{
	int status;

	if (th->pushed_back) {
		th->pushed_back = false;
		return !th->dead;
	}
	while (!th->queue_len && !th->dead) {
		if (th->told_gone)
			fl_leader_left(th);
		fl_fiber_block();
	}
	if (th->dead)
		return false;
	status = th->queue[th->queue_head];
	th->queue_head = (th->queue_head + 1) % FL_EVENT_QUEUE;
	th->queue_len--;
	fl_event_decode(th, status);
	return !th->dead;
}

void fl_push_back(struct guest_thread *th)
{
	if (!th->dead)
		th->pushed_back = true;
}

/* Results that the kernel turns into a restart or EINTR when a signal is taken. */
static bool is_restart(int64_t result)
{
	return result <= -512 && result >= -516;
}

void fl_skip_syscall(struct guest_thread *th, int64_t result)
{
	struct user_regs_struct *r = fl_regs(th);

	if (th->dead)
		return;
	/* Past the call already (it waited): at a signal stop, where the kernel looks at orig_rax for the restart. */
	if (!th->call_over || !is_restart(result))
		r->orig_rax = (unsigned long long)-1;
	r->rax = (unsigned long long)result;
	th->regs_dirty = true;
}

void fl_set_result(struct guest_thread *th, int64_t result)
{
	fl_regs(th)->rax = (unsigned long long)result;
	th->regs_dirty = true;
}

int fl_run_syscall(struct guest_thread *th, int64_t *result)
{
	fl_resume(th, FL_TO_EXIT, 0);
	if (!fl_next_event(th))
		return -FL_ESRCH;
	if (th->event.stop != FL_STOP_EXIT_OF_CALL) {
		fl_push_back(th);
		return -FL_ESRCH;
	}
	*result = (int64_t)fl_regs(th)->rax;
	return 0;
}

int fl_call_again(struct guest_thread *th)
{
	struct user_regs_struct *r = fl_regs(th);
	int sig = 0;

	r->rip -= SYSCALL_BYTES;
	r->rax = r->orig_rax;
	th->regs_dirty = true;
	for (;;) {
		fl_resume(th, FL_CONT, sig);
		if (!fl_next_event(th))
			return -FL_ESRCH;
		switch (th->event.stop) {
		case FL_STOP_SECCOMP:
			fl_regs(th);
			return 1;
		case FL_STOP_EXITING:
			fl_push_back(th);
			return -FL_ESRCH;
		case FL_STOP_SIGNAL:
			if (!fl_signal_passes(th, th->event.sig)) {
				fl_regs(th);
				fl_push_back(th);
				return 0;
			}
			sig = th->event.sig;
			break;
		default:
			fl_regs(th);
			fl_push_back(th);
			return 0;
		}
	}
}

void fl_finish_call(struct guest_thread *th, int64_t result, const uint64_t args[6])
{
	struct user_regs_struct *r = fl_regs(th);

	for (unsigned i = 0; i < 6; i++)
		fl_set_arg(th, i, args[i]);
	r->rip += SYSCALL_BYTES;
	r->rax = (unsigned long long)result;
	r->orig_rax = (unsigned long long)-1;
	th->regs_dirty = true;
}
