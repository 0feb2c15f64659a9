/* SPDX-License-Identifier: MIT */
/*
 * Waits in the engine, and signals.
 *
 * A thread whose fiber sleeps in the engine is in a ptrace stop, where the kernel keeps its signals back. After a
 * millisecond it is sent into a hidden pause(), which a signal interrupts as it would the real wait:
 *
 *   signal stop     the engine's wait is told, ends, and the fiber puts the true registers back; the kernel then
 *                   delivers the signal to a thread that stands where it stood
 *   engine done     PTRACE_INTERRUPT takes it out of the pause, and the true registers come back as well
 *
 * For a fault the true registers are those of the instruction, for a call those at its end with the restart code, so that the kernel
 * applies its rules. A wait in kernel mode is ended by fatal signals only, which need no pause.
 *
 * No locks: one OS thread. fl_wait_status and fl_wait_tick run outside the fibers.
 */
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "linux/host.h"

#define PARK_AFTER_NS 1000000ull

void fl_wait_begin(struct guest_thread *th, bool kernel)
{
	th->wait.in = true;
	th->wait.parked = false;
	th->wait.kernel = kernel;
	th->wait.since = fl_now_ns();
	th->g->host->timers++;
	if (th->queue_len)
		fl_wait_status(th);
}

/* A status has come for a thread that waits. */
void fl_wait_status(struct guest_thread *th)
{
	int status = th->queue[th->queue_head];

	if (!WIFSTOPPED(status) || status >> 16 == PTRACE_EVENT_EXIT)
		fl_task_signal(&th->task, FL_SIGNAL_FATAL);
	else
		fl_task_signal(&th->task, FL_SIGNAL_PENDING);
}

static void park(struct guest_thread *th)
{
	struct user_regs_struct *r = fl_regs(th);

	th->wait.regs = *r;
	th->wait.parked = true;
	r->rip = FL_HIDDEN_CODE;
	r->rax = SYS_pause;
	r->orig_rax = (unsigned long long)-1;
	th->regs_dirty = true;
	fl_resume(th, FL_CONT, 0);
}

void fl_wait_tick(struct guest *g, uint64_t now)
{
	for (struct guest_thread *th = g->threads; th; th = th->next) {
		if (th->wait.in && !th->wait.parked && !th->wait.kernel && th->stopped && !th->queue_len &&
		    now - th->wait.since >= PARK_AFTER_NS)
			park(th);
	}
}

/* Out of the pause. True: in a stop that has to be handled. */
static bool unpark(struct guest_thread *th)
{
	if (!th->queue_len)
		ptrace(PTRACE_INTERRUPT, th->tid, NULL, NULL);
	if (!fl_next_event(th))
		return true;
	if (th->event.stop == FL_STOP_EXITING) {
		fl_push_back(th);
		return true;
	}
	th->regs = th->wait.regs;
	th->regs_valid = th->regs_dirty = true;
	th->call_over = true;
	if (th->event.stop == FL_STOP_TRAP)
		return false;
	fl_push_back(th);
	return true;
}

bool fl_wait_end(struct guest_thread *th)
{
	bool pending = th->queue_len != 0;

	th->g->host->timers--;
	th->wait.in = false;
	if (th->wait.parked) {
		th->wait.parked = false;
		pending = unpark(th);
	} else if (pending && !th->dead) {
		/* Killed while stopped: what is in the queue is its end. */
		if (!fl_next_event(th) || th->event.stop == FL_STOP_EXITING)
			fl_push_back(th);
	}
	fl_task_clear_signal(&th->task, FL_SIGNAL_PENDING | FL_SIGNAL_FATAL);
	return pending;
}
