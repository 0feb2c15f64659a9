/* SPDX-License-Identifier: MIT */
/*
 * A guest thread's fiber: take its stops one after the other, until it is gone.
 *
 * No locks: one OS thread.
 */
#include "linux/host.h"

static void stop_handle(struct guest_thread *th)
{
	if (th->fresh_space && (th->event.stop == FL_STOP_TRAP || th->event.stop == FL_STOP_GROUP)) {
		fl_thread_first_stop(th);
		if (th->pushed_back)
			return;
	}
	switch (th->event.stop) {
	case FL_STOP_SECCOMP:
		fl_affinity_stop(th);
		fl_syscall_stop(th);
		break;
	case FL_STOP_SIGNAL:
		fl_signal_stop(th);
		break;
	case FL_STOP_CLONE:
		fl_clone_event(th);
		break;
	case FL_STOP_EXITING:
		fl_futex_thread_exiting(th);
		fl_leader_leaving(th);
		break;
	case FL_STOP_GROUP:
		fl_resume(th, FL_LISTEN, 0);
		break;
	case FL_STOP_EXEC:
	case FL_STOP_EXIT_OF_CALL:
	case FL_STOP_VFORK_DONE:
	case FL_STOP_TRAP:
	case FL_STOP_DEAD:
		break;
	}
	if (!th->pushed_back)
		fl_resume(th, FL_CONT, 0);
}

void fl_thread_main(void *arg)
{
	struct guest_thread *th = arg;

	while (fl_next_event(th))
		stop_handle(th);
	fl_thread_gone(th);
}
