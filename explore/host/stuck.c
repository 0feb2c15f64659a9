/* SPDX-License-Identifier: MIT */
/*
 * Can no thread of a run go on? Every one is asleep, and stays so: looked at twice, with nothing done and no switch between.
 * Each was asleep from its first look to its second, so there was a moment when all were, and nobody else wakes
 * them.
 *
 * No locks: the coordinator.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explore/host/internal.h"

struct look {
	uint32_t state, steps;
	unsigned long switches;
	bool uninterruptible;
};

static unsigned long number_after(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

static ssize_t read_file(const struct fl_host_slot *slot, const char *file, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)atomic_load(&slot->pid), (int)atomic_load(&slot->tid),
		 file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, size - 1);
	close(fd);
	text[n < 0 ? 0 : n] = 0;
	return n;
}

/* A fault of the kernel's own, or a call that waits for the reader of an event. Nothing of the machine's ends that. */
static bool waits_for_userfaultfd(const struct fl_host_slot *slot)
{
	char text[64];

	return read_file(slot, "wchan", text, sizeof text) > 0 && strstr(text, "userf");
}

/* False: it runs, or is in a delay of ours. */
static bool look_at(const struct fl_host_slot *slot, struct look *l)
{
	char text[4096], *state;

	*l = (struct look){.state = atomic_load(&slot->state)};
	if (l->state != FL_HOST_RUNS)
		return true;
	l->steps = atomic_load(&slot->steps);
	if (atomic_load(&slot->sleeping))
		return false;
	if (read_file(slot, "status", text, sizeof text) <= 0)
		return false;
	state = strstr(text, "State:\t");
	l->switches =
		number_after(text, "\nvoluntary_ctxt_switches:") + number_after(text, "nonvoluntary_ctxt_switches:");
	l->uninterruptible = state && state[7] == 'D' && !waits_for_userfaultfd(slot);
	return state && (state[7] == 'S' || state[7] == 'D');
}

/* A process whose last thread said `exit` may still be going. */
static bool all_gone(void)
{
	for (unsigned p = 0; p < fl_host_world.s->processes; p++) {
		int32_t pid = atomic_load(&fl_host_world.process[p].pid);
		siginfo_t info = {0};

		if (!pid || !fl_host_process_gone(p + 1))
			continue;
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
			return false;
	}
	return true;
}

/* Threads of a process whose parent waits in fork(2) have not begun, and are not about to. */
static uint32_t held_by_forks(void)
{
	uint32_t n = 0;

	for (unsigned p = 0; p < fl_host_world.s->processes; p++)
		if (atomic_load(&fl_host_world.process[p].forking))
			n += atomic_load(&fl_host_world.process[p].threads);
	return n;
}

/* False as well where a wait that cannot be interrupted is too young to be called one for ever. */
bool fl_host_all_wait(unsigned long settle_us)
{
	const struct fl_host_board *b = fl_host_world.board;
	struct look first[FL_EXPLORE_THREADS], second;
	uint32_t runs = 0;
	bool deep = false;

	for (size_t t = 0; t < fl_host_world.s->threads; t++) {
		if (!look_at(&b->slot[t], &first[t]))
			return false;
		runs += first[t].state == FL_HOST_RUNS;
		deep = deep || first[t].uninterruptible;
	}
	if (runs + held_by_forks() < atomic_load(&b->running) || !all_gone())
		return false;
	usleep((useconds_t)(deep && settle_us < 5000 ? 5000 : settle_us));
	for (size_t t = 0; t < fl_host_world.s->threads; t++) {
		if (!look_at(&b->slot[t], &second))
			return false;
		if (second.state != first[t].state || second.steps != first[t].steps ||
		    second.switches != first[t].switches || second.uninterruptible != first[t].uninterruptible)
			return false;
	}
	return true;
}
