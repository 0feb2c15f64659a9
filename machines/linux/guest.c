/* SPDX-License-Identifier: MIT */
/*
 * Guest threads, processes and signal actions: made, found by tid, and taken apart.
 *
 * A thread's fiber ends with fl_thread_gone and leaves the thread in the graveyard, because it cannot free the stack it runs on.
 * The last thread of an address space ends the agent first: only then is nobody left who could touch a frame, and the
 * engine may take the frames back.
 *
 * No locks: one OS thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/host.h"

static struct guest_thread **bucket(struct guest *g, pid_t tid)
{
	return &g->host->by_tid[(unsigned)tid % FL_TID_HASH];
}

struct guest_thread *fl_thread_find(struct guest *g, pid_t tid)
{
	struct guest_thread *th = *bucket(g, tid);

	while (th && th->tid != tid)
		th = th->hash_next;
	return th;
}

static void unhash(struct guest_thread *th)
{
	struct guest_thread **p = bucket(th->g, th->tid);

	while (*p && *p != th)
		p = &(*p)->hash_next;
	if (*p)
		*p = th->hash_next;
	th->hash_next = NULL;
}

static void hash(struct guest_thread *th)
{
	struct guest_thread **p = bucket(th->g, th->tid);

	th->hash_next = *p;
	*p = th;
}

void fl_thread_rename(struct guest_thread *th, pid_t tid)
{
	unhash(th);
	th->tid = tid;
	hash(th);
}

struct guest_thread *fl_thread_create(struct guest *g, pid_t tid, struct guest_proc *proc, struct guest_mm *gm)
{
	struct guest_thread *th = calloc(1, sizeof(*th));
	char name[FL_FIBER_NAME_MAX];
	int status;

	if (!th)
		return NULL;
	snprintf(name, sizeof(name), "tid %d", (int)tid);
	th->fiber = fl_fiber_create(name, fl_thread_main, th, 0);
	if (!th->fiber) {
		free(th);
		return NULL;
	}
	th->g = g;
	th->tid = tid;
	th->proc = proc;
	th->mm = gm;
	if (gm)
		fl_space_get(gm);
	fl_task_init(&th->task, g->frames, gm ? gm->mm : NULL, (uint32_t)tid);
	proc->nthreads++;
	g->nthreads++;
	th->next = g->threads;
	g->threads = th;
	g->host->ended[tid / 64] &= ~(1ull << (tid % 64));
	fl_agent_id(g, tid, false);
	hash(th);
	while (fl_orphan_take(g, tid, &status))
		fl_thread_push(th, status);
	return th;
}

struct fl_sighand *fl_sighand_create(const struct fl_sighand *from)
{
	struct fl_sighand *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (from)
		*s = *from;
	s->users = 0;
	return s;
}

void fl_sighand_put(struct fl_sighand *s)
{
	if (s && --s->users == 0)
		free(s);
}

/* Handlers go, ignored signals stay ignored. */
int fl_sighand_exec(struct guest_proc *proc)
{
	struct fl_sighand *s = fl_sighand_create(proc->sighand);

	if (!s)
		return -FL_ENOMEM;
	for (unsigned i = 1; i <= 64; i++) {
		uint64_t handler = s->action[i].handler;

		s->action[i] = (struct fl_sigaction){.handler = handler == 1 ? 1 : 0};
		s->host_handler[i] = false;
	}
	fl_sighand_put(proc->sighand);
	proc->sighand = s;
	s->users = 1;
	return 0;
}

struct guest_proc *fl_proc_create(struct guest *g, pid_t pid, struct fl_sighand *sighand)
{
	struct guest_proc *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->g = g;
	p->pid = pid;
	p->sighand = sighand;
	sighand->users++;
	p->next = g->procs;
	g->procs = p;
	return p;
}

static void proc_gone(struct guest_proc *proc)
{
	struct guest *g = proc->g;
	struct guest_proc **p = &g->procs;

	fl_carrier_exit(proc);
	if (proc->pid == g->first_pid) {
		g->first_status = proc->exit_status;
		g->first_done = true;
	}
	if (g->obs->process_exit)
		g->obs->process_exit(g->obs->arg, proc->pid, proc->exit_status);
	while (*p != proc)
		p = &(*p)->next;
	*p = proc->next;
	fl_sighand_put(proc->sighand);
	free(proc);
}

void fl_thread_gone(struct guest_thread *th)
{
	struct guest *g = th->g;
	struct guest_mm *gm = th->mm;
	struct guest_proc *proc = th->proc;
	struct guest_thread **p = &g->threads;

	if (th->leaving)
		fl_timer_want(g, false);
	fl_affinity_gone(th);
	if (gm)
		fl_futex_thread_gone(th, gm, th->clear_child_tid);
	if (gm && th->bounce && gm->users > 1)
		fl_bounce_unmap(gm, th->bounce, th->bounce_size);
	if (th->tid == proc->pid)
		fl_ended_note(g, th->tid);
	if (th->tid == proc->pid)
		proc->exit_status = th->event.status;
	fl_task_switch_mm(&th->task, NULL);
	th->mm = NULL;
	if (gm)
		fl_space_put(gm);
	fl_task_exit(&th->task);
	if (--proc->nthreads == 0)
		proc_gone(proc);
	unhash(th);
	while (*p != th)
		p = &(*p)->next;
	*p = th->next;
	g->nthreads--;
	th->next = g->host->graveyard;
	g->host->graveyard = th;
}

void fl_graveyard_empty(struct guest *g)
{
	struct guest_thread *th = g->host->graveyard, *next;

	g->host->graveyard = NULL;
	for (; th; th = next) {
		next = th->next;
		if (fl_fiber_state(th->fiber) != FL_FIBER_DONE) { /* still on its last steps */
			th->next = g->host->graveyard;
			g->host->graveyard = th;
			continue;
		}
		fl_fiber_destroy(th->fiber);
		free(th);
	}
}

void fl_proc_kill(struct guest_proc *proc)
{
	kill(proc->pid, SIGKILL);
}

void fl_mm_kill(struct guest_mm *gm, const char *why)
{
	if (gm->broken)
		return;
	gm->broken = true;
	for (struct guest_thread *th = gm->g->threads; th; th = th->next) {
		/* One that is at its end already has taken its agent along: the first process of a pid namespace. */
		if (th->mm == gm && th->tid == th->proc->pid && !th->dying)
			fprintf(stderr, "faultline: process %d is killed: %s\n", (int)th->tid, why);
		if (th->mm == gm)
			kill(th->proc->pid, SIGKILL);
	}
}

void fl_guest_fini(struct guest *g)
{
	fl_graveyard_empty(g);
	fl_carrier_fini(g);
	fl_orphan_fini(g);
}
