/* SPDX-License-Identifier: MIT */
/*
 * A thread group's leader that ends before its threads: pthread_exit in main.
 *
 * It becomes a zombie, of which the kernel says nothing to its tracer until the last of its threads has ended. But another thread may
 * be joining it, and we wake joiners. So while such a leader leaves, the tick looks for its zombie in /proc.
 *
 *   leaving     the tick is wanted for it
 *   told_gone   the zombie has been seen; its fiber wakes the joiner
 *
 * No locks: one OS thread. fl_leader_tick runs outside the fibers.
 */
#include <stdio.h>
#include <string.h>

#include "linux/host.h"

void fl_leader_leaving(struct guest_thread *th)
{
	if (th->tid != th->proc->pid || th->proc->nthreads < 2 || th->leaving || !th->clear_child_tid)
		return;
	th->leaving = true;
	fl_timer_want(th->g, true);
}

static bool is_zombie(pid_t pid)
{
	char path[64], text[512], *end;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return true;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	end = strrchr(text, ')');
	return end && end[1] == ' ' && (end[2] == 'Z' || end[2] == 'X');
}

void fl_leader_tick(struct guest *g)
{
	for (struct guest_thread *th = g->threads; th; th = th->next) {
		if (!th->leaving || th->stopped || !is_zombie(th->tid))
			continue;
		th->leaving = false;
		th->told_gone = true;
		fl_timer_want(g, false);
		fl_fiber_wake(th->fiber);
	}
}

void fl_leader_left(struct guest_thread *th)
{
	th->told_gone = false;
	if (th->mm)
		fl_futex_thread_gone(th, th->mm, th->clear_child_tid);
	th->clear_child_tid = 0;
}
