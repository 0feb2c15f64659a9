/* SPDX-License-Identifier: MIT */
/*
 * The event loop: wait for a status, hand it to its thread's fiber, run fibers until all block.
 *
 * Every status has an owner: a guest thread, an agent, or, while the event of the one who made the task is still to come,
 * the list of orphans. When a program is replaced by a thread that is not the leader, the kernel gives that thread the leader's
 * id and never reports the leader's end; the loop does both in the tables.
 *
 * The loop sleeps in waitpid. Whatever else may be due interrupts it: a periodic timer, armed only while somebody
 * wants it, so that no wake-up can fall between the look and the sleep.
 *
 * No locks: one OS thread. Signal handlers touch only `poked` and the interval timer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "linux/host.h"

#define TICK_US 1000
#define SLOW_TICK_US 100000
#define IDLE_TICKS 30
#define OBSERVER_TICK_NS 100000000ull

static volatile sig_atomic_t poked, alarmed;

uint64_t fl_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void timer_set(long us)
{
	struct itimerval it = {{0, us}, {0, us}};

	setitimer(ITIMER_REAL, &it, NULL);
}

/* The next waitpid may already be past the look at `poked`: the timer interrupts it all the same. */
void fl_loop_poke(void)
{
	int saved = errno;

	poked = 1;
	timer_set(TICK_US);
	errno = saved;
}

static void on_alarm(int sig)
{
	(void)sig;
	alarmed = 1;
}

bool fl_orphan_take(struct guest *g, pid_t pid, int *status)
{
	struct fl_orphan **p = &g->host->orphans, *o;

	while (*p && (*p)->pid != pid)
		p = &(*p)->next;
	o = *p;
	if (!o)
		return false;
	*p = o->next;
	*status = o->status;
	free(o);
	return true;
}

static void orphan_add(struct guest *g, pid_t pid, int status)
{
	struct fl_orphan **p = &g->host->orphans;
	struct fl_orphan *o = malloc(sizeof(*o));

	if (!o) {
		kill(pid, SIGKILL);
		return;
	}
	*o = (struct fl_orphan){.pid = pid, .status = status, .since = fl_now_ns()};
	while (*p)
		p = &(*p)->next;
	*p = o;
}

void fl_thread_push(struct guest_thread *th, int status)
{
	if (th->g->host->uffd_denied && fl_denied_pass(th, status))
		return;
	if (th->queue_len == FL_EVENT_QUEUE)
		fl_port_panic(__FILE__, __LINE__, "more stops of one thread than can be");
	th->queue[(th->queue_head + th->queue_len++) % FL_EVENT_QUEUE] = status;
	if (th->wait.in)
		fl_wait_status(th);
	fl_fiber_wake(th->fiber);
}

/* Status 0 stands for an end that the kernel does not report. */
static void end_unreported(struct guest_thread *th)
{
	th->queue_len = 0;
	fl_thread_push(th, 0);
}

static void rename_for_exec(struct guest *g, pid_t pid)
{
	struct guest_thread *leader = fl_thread_find(g, pid), *th;
	unsigned long former = 0;

	if (ptrace(PTRACE_GETEVENTMSG, pid, NULL, &former) || (pid_t)former == pid)
		return;
	th = fl_thread_find(g, (pid_t)former);
	if (!th)
		return;
	if (leader) {
		fl_thread_rename(leader, -pid); /* a tid that no task has */
		end_unreported(leader);
	}
	fl_thread_rename(th, pid);
}

/*
 * A task is reported ended to its tracer first, and once more to whom it is a child of. Those whose parent has died become
 * children of ours (subreaper), so that second report may come to us, too.
 */
void fl_ended_note(struct guest *g, pid_t pid)
{
	if (pid > 0 && (uint32_t)pid < FL_PID_MAX)
		g->host->ended[pid / 64] |= 1ull << (pid % 64);
}

static bool ended_take(struct guest *g, pid_t pid)
{
	uint64_t bit = 1ull << (pid % 64);
	bool noted;

	if ((uint32_t)pid >= FL_PID_MAX)
		return false;
	noted = g->host->ended[pid / 64] & bit;
	g->host->ended[pid / 64] &= ~bit;
	return noted;
}

static void route(struct guest *g, pid_t pid, int status)
{
	struct guest_thread *th;

	if (WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_EXEC)
		rename_for_exec(g, pid);
	th = fl_thread_find(g, pid);
	if (th)
		fl_thread_push(th, status);
	else if (!fl_agent_status(g, pid, status) && !fl_orphan_abandoned(g, pid, status) &&
		 (!ended_take(g, pid) || WIFSTOPPED(status)))
		orphan_add(g, pid, status);
}

void fl_loop_drain(struct guest *g)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
		route(g, pid, status);
}

static void tick(struct guest *g)
{
	struct fl_host *h = g->host;
	uint64_t now = fl_now_ns();

	alarmed = 0;
	h->idle_ticks++;
	if (poked) {
		poked = 0;
		h->ticking = true; /* fl_loop_poke has armed it */
		fl_carrier_poll(g);
	}
	fl_wait_tick(g, now);
	fl_leader_tick(g);
	fl_orphan_sweep(g, now);
	fl_affinity_tick(g, now);
	if (g->obs->tick && now - h->last_observer_tick_ns >= OBSERVER_TICK_NS) {
		h->last_observer_tick_ns = now;
		g->obs->tick(g->obs->arg, g);
	}
}

/*
 * Before sleeping: the fast timer when somebody wants it. It goes on for a while when nobody does any more, since waits come
 * in rows and setting a timer costs as much as a short one.
 */
static void arm(struct guest *g)
{
	struct fl_host *h = g->host;

	if (h->timers || poked)
		h->idle_ticks = 0;
	if (h->ticking ? h->idle_ticks < IDLE_TICKS : !h->timers && !poked)
		return;
	h->ticking = !h->ticking;
	timer_set(h->ticking ? TICK_US : SLOW_TICK_US);
}

void fl_timer_want(struct guest *g, bool on)
{
	if (on)
		g->host->timers++;
	else
		g->host->timers--;
}

static void handlers_set(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGQUIT, &sa, NULL);
	sigaction(SIGPIPE, &sa, NULL);
}

int fl_loop_run(struct guest *g)
{
	int status;
	pid_t pid;

	handlers_set();
	timer_set(SLOW_TICK_US);
	for (;;) {
		fl_fiber_run();
		if (g->host->graveyard)
			fl_graveyard_empty(g);
		if (!g->nthreads)
			break;
		arm(g);
		pid = waitpid(-1, &status, __WALL);
		if (pid > 0)
			route(g, pid, status);
		else if (errno == ECHILD)
			break;
		if (pid < 0 || poked || alarmed)
			tick(g);
	}
	timer_set(0);
	fl_fiber_run();
	return g->nthreads ? -1 : 0;
}
