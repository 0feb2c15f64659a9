/* SPDX-License-Identifier: MIT */
/*
 * Children as their parent sees them: waits that take all kinds of children, a reaper of orphans, and what clone tells
 * the parent in memory that nobody has touched. Prints the same natively and under run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK 65536ul

static void *fresh(size_t n)
{
	return mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int leaves_five(void *arg)
{
	(void)arg;
	return 5;
}

/* Exit signal 0. */
static pid_t silent_child(void)
{
	char *stack = fresh(STACK);

	return clone(leaves_five, stack + STACK, 0, NULL);
}

static pid_t plain_child(int status, unsigned us)
{
	pid_t pid = fork();

	if (!pid) {
		usleep(us);
		_exit(status);
	}
	return pid;
}

static void said(const char *what, pid_t pid, pid_t wanted, const int *status)
{
	printf("%s: %s, errno %d, status %x\n", what, pid == wanted ? "right" : "wrong", pid < 0 ? errno : 0,
	       pid > 0 ? (unsigned)*status : 0);
}

static void all_kinds(void)
{
	siginfo_t si;
	int st = 0;
	pid_t pid, silent;

	said("none, clone", waitpid(-1, &st, (int)__WCLONE), -1, &st);
	said("none, all", waitpid(-1, &st, __WALL), -1, &st);
	said("none, at once", waitpid(-1, &st, __WALL | WNOHANG), -1, &st);
	said("none, waitid", waitid(P_ALL, 0, &si, WEXITED | __WALL), -1, &st);
	said("none, group", waitpid(0, &st, __WALL), -1, &st);

	pid = plain_child(3, 0);
	said("fork, all", waitpid(-1, &st, __WALL), pid, &st);
	silent = silent_child();
	said("clone, clone", waitpid(-1, &st, (int)__WCLONE), silent, &st);
	silent = silent_child();
	said("clone, plain", waitpid(-1, &st, 0), -1, &st);
	said("clone, all", waitpid(-1, &st, __WALL), silent, &st);
	pid = plain_child(1, 30000);
	said("fork, clone", waitpid(-1, &st, (int)__WCLONE), -1, &st);
	said("fork, group", waitpid(0, &st, __WALL), pid, &st);
	said("none again", waitpid(-1, &st, __WALL), -1, &st);
}

/* Twenty children leave two orphans each. */
static void reaper(void)
{
	siginfo_t *si = fresh(4096);
	int *st = fresh(4096), n = 0, sum = 0, killed = 0;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int i = 0; i < 20; i++) {
		if (fork())
			continue;
		for (unsigned k = 1; k <= 2; k++) {
			if (!fork()) {
				usleep(5000 * k);
				memset(fresh(8192), 1, 8192);
				_exit(2);
			}
		}
		_exit(1);
	}
	for (;; n++) {
		if (n & 1) {
			if (waitid(P_ALL, 0, si, WEXITED))
				break;
			sum += si->si_status;
		} else {
			if (wait(st) < 0)
				break;
			killed += WIFSIGNALED(*st);
			sum += WEXITSTATUS(*st);
		}
	}
	printf("reaped %d, sum %d, killed %d, errno %d\n", n, sum, killed, errno);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void told(uint64_t flags)
{
	struct clone_args *a = fresh(4096);
	pid_t *parent = fresh(4096), *child = fresh(4096);
	int *pidfd = fresh(4096), st = 0;
	long pid;

	a->flags = flags;
	a->exit_signal = SIGCHLD;
	a->parent_tid = (uintptr_t)parent;
	a->child_tid = (uintptr_t)child;
	a->pidfd = (uintptr_t)pidfd;
	fflush(stdout);
	pid = syscall(SYS_clone3, a, sizeof(*a));
	if (!pid)
		_exit(!!(flags & CLONE_CHILD_SETTID) == (*child == (pid_t)syscall(SYS_gettid)) ? 6 : 7);
	if (pid > 0)
		waitpid((pid_t)pid, &st, 0);
	printf("clone3 %llx: %s, parent %d, pidfd %d, child %x, flags %d\n", (unsigned long long)flags,
	       pid > 0 ? "made" : strerror(errno), *parent == pid, *pidfd > 2, (unsigned)st, a->flags == flags);
	if (*pidfd > 2)
		close(*pidfd);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	all_kinds();
	reaper();
	told(0);
	told(CLONE_PARENT_SETTID);
	told(CLONE_CHILD_SETTID);
	told(CLONE_PIDFD);
	told(CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID);
	return 0;
}
