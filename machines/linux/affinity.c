/* SPDX-License-Identifier: MIT */
/*
 * On which core the guest's threads run. Across cores a stop is several times dearer than on one.
 *
 *   pulled   a thread that stops often (PULL_STOPS, each within CLOSE_NS of the one before) shares the supervisor's core, as does its agent; it is
 *            let go when it has not stopped for HOLD_NS
 *   core     the supervisor keeps to one core while any thread is pulled to it, and is free otherwise
 *
 * What the guest has set is kept while a thread is pulled, and put back before the guest asks for it or changes it, so
 * those calls run natively. A thread whose set lacks the core is never pulled. A new process inherits its maker's pull.
 *
 * No locks: one OS thread.
 */
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/host.h"

#define HOLD_NS 3000000ull
#define CLOSE_NS 300000ull
#define PULL_STOPS 8u

static long mask_get(pid_t tid, uint64_t *mask, size_t size)
{
	return syscall(SYS_sched_getaffinity, tid, size, mask);
}

static long mask_set(pid_t tid, const uint64_t *mask, size_t size)
{
	return syscall(SYS_sched_setaffinity, tid, size, mask);
}

/* Only to this core. */
static bool pin(pid_t tid, int core)
{
	uint64_t mask[FL_AFFINITY_WORDS] = {0};

	mask[core / 64] = 1ull << (core % 64);
	return !mask_set(tid, mask, sizeof(mask));
}

void fl_affinity_start(struct guest *g)
{
	g->host->core = -1;
	if (mask_get(0, g->host->affinity, sizeof(g->host->affinity)) <= 0)
		g->host->never_pull = true;
}

static void supervisor_hold(struct fl_host *h)
{
	int core = sched_getcpu();

	if (core < 0 || core >= FL_AFFINITY_WORDS * 64 || !pin(0, core)) {
		h->never_pull = true;
		return;
	}
	h->core = core;
}

static void supervisor_free(struct fl_host *h)
{
	mask_set(0, h->affinity, sizeof(h->affinity));
	h->core = -1;
}

static void pulled_count(struct guest *g, bool more)
{
	struct fl_host *h = g->host;

	fl_timer_want(g, more);
	h->pulled = more ? h->pulled + 1 : h->pulled - 1;
	if (!h->pulled)
		supervisor_free(h);
}

static void pull(struct guest_thread *th)
{
	struct fl_host *h = th->g->host;

	memset(th->affinity, 0, sizeof(th->affinity));
	if (mask_get(th->tid, th->affinity, sizeof(th->affinity)) <= 0)
		return;
	if (!h->pulled)
		supervisor_hold(h);
	if (h->never_pull)
		return;
	if (!(th->affinity[h->core / 64] & 1ull << (h->core % 64)) || !pin(th->tid, h->core)) {
		if (!h->pulled)
			supervisor_free(h);
		return;
	}
	th->pulled = true;
	pulled_count(th->g, true);
}

static void let_go(struct guest_thread *th)
{
	if (!th->pulled)
		return;
	th->pulled = false;
	th->stops = 0;
	mask_set(th->tid, th->affinity, sizeof(th->affinity));
	pulled_count(th->g, false);
}

void fl_affinity_inherit(struct guest_thread *child, const struct guest_thread *maker)
{
	if (!maker->pulled)
		return;
	if (child->proc == maker->proc) {
		/* It is there to run beside its maker. */
		mask_set(child->tid, maker->affinity, sizeof(maker->affinity));
		return;
	}
	memcpy(child->affinity, maker->affinity, sizeof(child->affinity));
	child->pulled = true;
	child->last_stop_ns = fl_now_ns();
	pulled_count(child->g, true);
}

void fl_affinity_gone(struct guest_thread *th)
{
	if (!th->pulled)
		return;
	th->pulled = false;
	pulled_count(th->g, false);
}

/* The agent works only while the supervisor waits for it. */
static void agent_along(struct guest_mm *gm, int core)
{
	struct fl_agent *a = gm ? gm->agent : NULL;

	if (a && a->core != core && pin(a->pid, core))
		a->core = core;
}

void fl_affinity_stop(struct guest_thread *th)
{
	struct fl_host *h = th->g->host;
	uint64_t now;

	if (h->never_pull)
		return;
	now = fl_now_ns();
	if (now - th->last_stop_ns > CLOSE_NS)
		th->stops = 0;
	th->last_stop_ns = now;
	if (!th->pulled && ++th->stops >= PULL_STOPS)
		pull(th);
	if (th->pulled)
		agent_along(th->mm, h->core);
}

void fl_affinity_tick(struct guest *g, uint64_t now)
{
	if (!g->host->pulled)
		return;
	for (struct guest_thread *th = g->threads; th; th = th->next) {
		if (th->pulled && now - th->last_stop_ns > HOLD_NS)
			let_go(th);
	}
}

/* The thread that the call is about has what the guest has set; then the call is the host's. */
static void sys_affinity(struct guest_thread *th)
{
	pid_t tid = (pid_t)fl_arg(th, 0);
	struct guest_thread *target = tid ? fl_thread_find(th->g, tid) : th;

	if (target) {
		let_go(target);
		target->last_stop_ns = 0;
	}
	fl_make_resident(th, fl_arg(th, 2), fl_arg(th, 1) < FL_PAGE ? fl_arg(th, 1) : FL_PAGE,
			 fl_regs(th)->orig_rax == SYS_sched_getaffinity ? FL_WRITE : FL_READ);
}

void fl_affinity_register(void)
{
	fl_sys_register(SYS_sched_setaffinity, FL_SYS_ALWAYS, 0, sys_affinity);
	fl_sys_register(SYS_sched_getaffinity, FL_SYS_ALWAYS, 0, sys_affinity);
}
