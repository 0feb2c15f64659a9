/* SPDX-License-Identifier: MIT */
/*
 * A task whose maker died before its event told us of it. It has inherited, or shares, the maker's control page; so /proc says
 * whose child it is.
 *
 * No locks: one OS thread.
 */
#include <stdio.h>
#include <time.h>

#include "linux/host.h"

#define TRIES 10
#define TRY_NS 1000000

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

static pid_t look(struct guest *g, struct guest_mm *gm)
{
	for (struct fl_orphan *o = g->host->orphans; o; o = o->next) {
		uint64_t offset;

		if (gm->agent && control_offset(o->pid, &offset) &&
		    offset == g->arena_bytes + FL_PAGE * (1 + gm->agent->slot))
			return o->pid;
	}
	return 0;
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
	return found;
}
