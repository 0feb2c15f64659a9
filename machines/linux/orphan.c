/* SPDX-License-Identifier: MIT */
/*
 * A task whose maker died before its event told us of it. It has inherited, or shares, the maker's control page; so /proc says
 * whose child it is.
 *
 *   lost        a maker that died in its call when no such task had stopped yet; remembered by its control page
 *   abandoned   a task that turned up after that: its maker's process has been killed, and it is killed, too
 *
 *
 * No locks: one OS thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "linux/host.h"

#define TRIES 10
#define TRY_NS 1000000
#define LOST_NS 3000000000ull
#define UNCLAIMED_NS 300000000ull

struct fl_lost {
	uint64_t offset, until;
	bool keeps_slot; /* the agent has gone; its slot must not mean another until this is over */
	struct fl_lost *next;
};

/* The offset of the control page that a task has mapped, from /proc; false: none. */
static bool control_offset(pid_t pid, uint64_t *offset)
{
	char path[64], line[512];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		unsigned long start, end, off;

		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &off) == 3 && start == FL_HIDDEN_CTL) {
			*offset = off;
			found = true;
		}
	}
	fclose(f);
	return found;
}

static uint64_t offset_of(const struct guest *g, const struct fl_agent *a)
{
	return g->arena_bytes + FL_PAGE * (1 + a->slot);
}

static pid_t look(struct guest *g, struct guest_mm *gm)
{
	for (struct fl_orphan *o = g->host->orphans; o; o = o->next) {
		uint64_t offset;

		if (gm->agent && !o->abandoned && control_offset(o->pid, &offset) && offset == offset_of(g, gm->agent))
			return o->pid;
	}
	return 0;
}

static void remember(struct guest *g, struct guest_mm *gm)
{
	struct fl_lost *l = gm->agent ? malloc(sizeof(*l)) : NULL;

	if (!l)
		return;
	*l = (struct fl_lost){.offset = offset_of(g, gm->agent), .until = fl_now_ns() + LOST_NS, .next = g->host->lost};
	g->host->lost = l;
}

/* The task may be made and not have stopped yet. */
pid_t fl_orphan_of(struct guest *g, struct guest_mm *gm)
{
	pid_t found = look(g, gm);

	for (int i = 0; !found && i < TRIES; i++) {
		static const struct timespec pause = {.tv_nsec = TRY_NS};

		nanosleep(&pause, NULL);
		fl_loop_drain(g);
		found = look(g, gm);
	}
	if (!found)
		remember(g, gm);
	return found;
}

static bool is_lost(struct guest *g, pid_t pid)
{
	uint64_t offset;

	if (!control_offset(pid, &offset))
		return false;
	for (struct fl_lost *l = g->host->lost; l; l = l->next) {
		if (l->offset == offset)
			return true;
	}
	return false;
}

static void expire(struct guest *g, uint64_t now)
{
	struct fl_lost **p = &g->host->lost, *l;

	while ((l = *p)) {
		if (now < l->until) {
			p = &l->next;
			continue;
		}
		*p = l->next;
		if (l->keeps_slot)
			fl_slot_give(g, (uint32_t)((l->offset - g->arena_bytes) / FL_PAGE - 1));
		free(l);
	}
}

bool fl_orphan_keeps_slot(struct guest *g, const struct fl_agent *a)
{
	for (struct fl_lost *l = g->host->lost; l; l = l->next) {
		if (l->offset == offset_of(g, a)) {
			l->keeps_slot = true;
			return true;
		}
	}
	return false;
}

void fl_orphan_sweep(struct guest *g, uint64_t now)
{
	expire(g, now);
	if (!g->host->lost)
		return;
	for (struct fl_orphan *o = g->host->orphans; o; o = o->next) {
		if (o->abandoned || !WIFSTOPPED(o->status) || now - o->since < UNCLAIMED_NS || !is_lost(g, o->pid))
			continue;
		o->abandoned = true;
		kill(o->pid, SIGKILL);
		ptrace(PTRACE_CONT, o->pid, NULL, NULL);
	}
}

bool fl_orphan_abandoned(struct guest *g, pid_t pid, int status)
{
	struct fl_orphan **p = &g->host->orphans, *o;

	while ((o = *p) && (o->pid != pid || !o->abandoned))
		p = &o->next;
	if (!o)
		return false;
	if (WIFSTOPPED(status)) {
		ptrace(PTRACE_CONT, pid, NULL, NULL);
	} else {
		*p = o->next;
		free(o);
	}
	return true;
}

void fl_orphan_fini(struct guest *g)
{
	struct fl_orphan *o;

	while ((o = g->host->orphans)) {
		g->host->orphans = o->next;
		free(o);
	}
	expire(g, UINT64_MAX);
}
