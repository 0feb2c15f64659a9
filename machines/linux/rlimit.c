/* SPDX-License-Identifier: MIT */
/*
 * Resource limits of guests, as far as they are about memory.
 *
 * A limit belongs to a process, and anybody who may can change it from outside (prlimit64); an address space may be shared
 * by processes with different limits (vfork). So nothing is remembered: before each memory call that a limit can refuse,
 * the limits of the calling process are read from the host and set in the engine. The growth of stacks uses what the
 * last such call has found.
 *
 * Agents are tasks with limits of their own, which they have from the thread that they were cloned from; they map what the engine
 * has allowed already.
 *
 * No locks: one OS thread.
 */
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/mem.h"

#define INITIAL_USER_NS "user:[4026531837]"

/* As the engine wants it: 0 is no limit. */
static uint64_t engine_limit(uint64_t limit)
{
	if (limit == RLIM64_INFINITY)
		return 0;
	return limit ? limit : 1;
}

static rlim64_t parsed(const char *word)
{
	return strcmp(word, "unlimited") ? strtoull(word, NULL, 10) : RLIM64_INFINITY;
}

/* From /proc, where anybody may read them: prlimit64 refuses when the guest has changed its user. */
static bool read_limit(pid_t pid, enum __rlimit_resource what, struct rlimit64 *r)
{
	const char *name = what == RLIMIT_AS        ? "Max address space"
			   : what == RLIMIT_DATA    ? "Max data size"
			   : what == RLIMIT_MEMLOCK ? "Max locked memory"
						    : "Max stack size";
	char path[64], line[256], soft[32], hard[32];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = !strncmp(line, name, strlen(name)) &&
			sscanf(line + strlen(name), " %31s %31s", soft, hard) == 2;
	fclose(f);
	if (!found)
		return false;
	r->rlim_cur = parsed(soft);
	r->rlim_max = parsed(hard);
	return true;
}

static struct rlimit64 limit_of(pid_t pid, enum __rlimit_resource what)
{
	struct rlimit64 r = {RLIM64_INFINITY, RLIM64_INFINITY};

	if (prlimit64(pid, what, NULL, &r) && !read_limit(pid, what, &r))
		r.rlim_cur = r.rlim_max = RLIM64_INFINITY;
	return r;
}

void fl_limits_get(pid_t pid, struct fl_limits *l)
{
	struct rlimit64 data = limit_of(pid, RLIMIT_DATA), memlock = limit_of(pid, RLIMIT_MEMLOCK);

	l->as = engine_limit(limit_of(pid, RLIMIT_AS).rlim_cur);
	/* Linux lets a soft limit of 0 pass up to the hard one, for the sake of old programs. */
	l->data = engine_limit(data.rlim_cur ? data.rlim_cur : data.rlim_max);
	l->memlock = engine_limit(memlock.rlim_cur);
	l->no_locks = !memlock.rlim_cur;
	l->stack = engine_limit(limit_of(pid, RLIMIT_STACK).rlim_cur);
}

/* Has the thread CAP_IPC_LOCK where it counts? A user namespace of its own gives none that does. */
static bool may_lock_all(pid_t tid)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = tid};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	char path[64], ns[64];
	ssize_t n;

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &head, data) || !(data[0].effective & 1u << CAP_IPC_LOCK))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)tid);
	n = readlink(path, ns, sizeof(ns) - 1);
	if (n < 0)
		return true; /* a kernel without namespaces */
	ns[n] = 0;
	return !strcmp(ns, INITIAL_USER_NS);
}

static bool apply(struct guest_thread *th, bool locks)
{
	struct fl_limits l;

	fl_limits_get(th->tid, &l);
	fl_mm_set_limits(th->mm->mm, l.as, l.data, l.memlock, l.stack);
	th->mm->locks |= locks;
	if (!l.memlock)
		return true;
	th->task.caps &= ~FL_CAP_IPC_LOCK;
	if (th->mm->locks && may_lock_all(th->tid))
		th->task.caps |= FL_CAP_IPC_LOCK;
	return !l.no_locks || th->task.caps & FL_CAP_IPC_LOCK;
}

void fl_limits_apply(struct guest_thread *th)
{
	(void)apply(th, false);
}

int fl_limits_lock(struct guest_thread *th)
{
	return apply(th, true) ? 0 : -FL_EPERM;
}

/* As far as the supervisor may: without privilege, up to the hard limit. */
void fl_limits_lift(pid_t agent)
{
	static const enum __rlimit_resource which[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_CPU};
	const struct rlimit64 none = {RLIM64_INFINITY, RLIM64_INFINITY};
	struct rlimit64 r;

	for (unsigned i = 0; i < FL_ARRAY_LEN(which); i++) {
		if (!prlimit64(agent, which[i], &none, NULL) || prlimit64(agent, which[i], NULL, &r))
			continue;
		r.rlim_cur = r.rlim_max;
		prlimit64(agent, which[i], &r, NULL);
	}
}
