/* SPDX-License-Identifier: MIT */
/*
 * wait4 and waitid, where they could see an agent.
 *
 * An agent is a child of the guest process from whose thread it was made, with no exit signal. So a wait with __WALL or
 * __WCLONE would count it among the children, and never end with ECHILD. And when its maker dies before it, the kernel
 * gives it to a guest process that has made itself a reaper of orphans, with SIGCHLD as its exit signal: then any wait
 * finds it.
 *
 * In these two cases we look first, without taking anything: a dead agent is reaped on the spot, a wait that only an
 * agent could end fails with ECHILD, and everything else is left to the kernel.
 *
 * No locks: one OS thread, and fibers switch only where something waits.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "linux/host.h"
#include "linux/io.h"

#define SIGINFO_BYTES 128
#define PID_OFFSET offsetof(siginfo_t, si_pid)

bool fl_agent_was(const struct guest *g, pid_t pid)
{
	return (uint32_t)pid < FL_PID_MAX && g->host->was_agent[pid / 64] & 1ull << (pid % 64);
}

void fl_agent_id(struct guest *g, pid_t pid, bool agent)
{
	uint64_t bit = 1ull << (pid % 64);

	if ((uint32_t)pid >= FL_PID_MAX)
		return;
	if (agent)
		g->host->was_agent[pid / 64] |= bit;
	else
		g->host->was_agent[pid / 64] &= ~bit;
}

/* A wait, in waitid's terms. */
struct wait_call {
	idtype_t type;
	uint64_t id;
	uint32_t options;
};

static bool read_call(struct guest_thread *th, struct wait_call *w)
{
	int32_t pid = (int32_t)fl_arg(th, 0);

	if (fl_regs(th)->orig_rax == SYS_waitid) {
		*w = (struct wait_call){(idtype_t)fl_arg(th, 0), fl_arg(th, 1), (uint32_t)fl_arg(th, 3)};
		return w->type == P_ALL || w->type == P_PGID;
	}
	*w = (struct wait_call){.options = (uint32_t)fl_arg(th, 2) | WEXITED};
	if (pid == -1) {
		w->type = P_ALL;
	} else {
		w->type = P_PGID;
		w->id = (uint64_t)(pid < 0 ? -(int64_t)pid : 0);
	}
	/* Who names a process does not mean an agent. */
	return pid <= 0 && pid != INT32_MIN;
}

/* Parent, process group and exit signal, from /proc. */
static bool look_at(pid_t pid, int *parent, int *group, int *signal)
{
	char path[32], line[1024], *p;
	bool known = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fgets(line, sizeof(line), f) && (p = strrchr(line, ')')) && sscanf(p, ") %*c %d %d", parent, group) == 2) {
		/* The exit signal is field 38; the state behind the name is field 3. */
		for (int field = 2; p && field < 38; field++)
			p = strchr(p + 1, ' ');
		known = p && sscanf(p, " %d", signal) == 1;
	}
	fclose(f);
	return known;
}

/* Is there a living child of the guest's that could end this wait? */
static bool any_child(struct guest_thread *th, const struct wait_call *w)
{
	int self, parent, group, own = 0, signal;

	if (!look_at(th->proc->pid, &self, &own, &signal))
		return true;
	for (struct guest_proc *p = th->g->procs; p; p = p->next) {
		if (!look_at(p->pid, &parent, &group, &signal) || parent != th->proc->pid)
			continue;
		if (w->type == P_PGID && group != (w->id ? (int)w->id : own))
			continue;
		if (w->options & __WALL || !(w->options & __WCLONE) == (signal == SIGCHLD))
			return true;
	}
	return false;
}

/* What the kernel has for this wait now: a child's id, 0 for none yet, or -errno. Nothing is taken. */
static int64_t peek(struct guest_thread *th, const struct wait_call *w)
{
	fl_va bounce = fl_io_bounce(th, SIGINFO_BYTES);
	uint8_t si[SIGINFO_BYTES] = {0};
	int32_t pid;
	int64_t r;

	if (!bounce || !fl_io_bounce_write(th, bounce, si, sizeof(si)))
		return -ENOMEM;
	r = fl_inject(th, SYS_waitid, w->type, w->id, bounce, w->options | WNOHANG | WNOWAIT, 0, 0);
	if (r < 0 || !fl_io_bounce_read(th, si, bounce, sizeof(si)))
		return r < 0 ? r : -EFAULT;
	memcpy(&pid, si + PID_OFFSET, sizeof(pid));
	return pid;
}

/* As peek, with agents out of the way. */
static int64_t peek_past_agents(struct guest_thread *th, const struct wait_call *w)
{
	int64_t found;

	while ((found = peek(th, w)) > 0 && fl_agent_was(th->g, (pid_t)found)) {
		if (fl_inject(th, SYS_wait4, (uint64_t)found, 0, __WALL | WNOHANG, 0, 0, 0) <= 0)
			break;
	}
	return found;
}

/* True: the kernel may answer. False: the call has been answered, or the thread is gone. */
static bool clear_way(struct guest_thread *th, const struct wait_call *w)
{
	int64_t found = peek_past_agents(th, w);

	/* A child that has died since we peeked is not among the living any more, but the kernel has it for us now. */
	if (!found && !fl_io_gone(th) && !any_child(th, w))
		found = peek_past_agents(th, w);
	else if (!found)
		found = 1;
	if (fl_io_gone(th))
		return false;
	if (found)
		return true;
	fl_skip_syscall(th, -ECHILD);
	return false;
}

/* At the call's end: has it found an agent all the same, which died while it waited? */
static bool took_agent(struct guest_thread *th)
{
	int64_t result = (int64_t)fl_regs(th)->rax;
	int32_t pid;

	if (th->event.stop != FL_STOP_EXIT_OF_CALL || result < 0)
		return false;
	if (fl_regs(th)->orig_rax == SYS_wait4)
		return result > 0 && fl_agent_was(th->g, (pid_t)result);
	return fl_arg(th, 2) && !fl_copy_from_user(&th->task, &pid, fl_arg(th, 2) + PID_OFFSET, sizeof(pid)) &&
	       pid > 0 && fl_agent_was(th->g, pid);
}

static bool points_to_engine(struct guest_thread *th)
{
	unsigned pointers = fl_call_pointers(fl_call_find(fl_regs(th)->orig_rax));

	for (unsigned i = 0; i < 6; i++) {
		if (pointers & 1u << i && fl_engine_zone(fl_arg(th, i)))
			return true;
	}
	return false;
}

static void sys_wait(struct guest_thread *th)
{
	struct wait_call w;
	bool odd = read_call(th, &w) && (th->g->host->reapers || w.options & (__WALL | __WCLONE));
	int64_t result;

	for (;;) {
		if (odd && !clear_way(th, &w))
			return;
		if (points_to_engine(th))
			fl_io_consuming(th);
		if (!odd || !th->g->host->reapers || fl_io_gone(th) || th->pushed_back ||
		    (int64_t)fl_regs(th)->orig_rax == -1)
			return;
		if (th->event.stop == FL_STOP_SECCOMP && fl_run_syscall(th, &result))
			return;
		if (!took_agent(th) || fl_call_again(th) != 1)
			return;
	}
}

void fl_children_register(void)
{
	fl_sys_register(SYS_wait4, FL_SYS_ALWAYS, 0, sys_wait);
	fl_sys_register(SYS_waitid, FL_SYS_ALWAYS, 0, sys_wait);
}
