/* SPDX-License-Identifier: MIT */
/*
 * Hosts that forbid userfaultfd by a seccomp filter above ours, as container engines do. Of several filters' answers
 * the kernel takes the strictest, so such a call fails without a stop for us. What comes before all filters is the
 * stop of PTRACE_SYSCALL: there, and only on such hosts, every call of the guest is stopped, and userfaultfd is
 * turned into a call that our own filter always stops and no other forbids. All other stops of that kind are passed
 * over at once, so that nobody else learns of them.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/host.h"

/* Always stopped by our filter; a filter that forbids it lets no program start. */
#define STAND_IN SYS_brk

/* A flag that no kernel knows: EINVAL, if the call is let through to the kernel. */
#define UNKNOWN_FLAG 0x40000000

/* What the kernel keeps to itself: a call that is restarted or fails with EINTR. */
#define ERESTART_FIRST 512
#define ERESTART_LAST 516

static bool filtered(void)
{
	char line[128];
	int mode = 0;
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Seccomp: %d", &mode) == 1)
			break;
	fclose(f);
	return mode != 0;
}

/* In a child: the filter may kill for the attempt. */
bool fl_denied_look(void)
{
	int status;
	pid_t pid;

	if (!filtered())
		return false;
	pid = fork();
	if (!pid)
		_exit(syscall(SYS_userfaultfd, FL_UFFD_USER_MODE_ONLY | UNKNOWN_FLAG) == -1 && errno == EINVAL ? 0 : 1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	return !WIFEXITED(status) || WEXITSTATUS(status);
}

bool fl_denied_pass(struct guest_thread *th, int status)
{
	struct __ptrace_syscall_info info = {0};

	if (!WIFSTOPPED(status) || status >> 8 != (SIGTRAP | 0x80))
		return false;
	/* Gone: its end will be reported. */
	if (ptrace(PTRACE_GET_SYSCALL_INFO, th->tid, (void *)sizeof(info), &info) <= 0)
		return true;
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && th->to_exit)
		return false;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_userfaultfd &&
	    !ptrace(PTRACE_POKEUSER, th->tid, (void *)offsetof(struct user_regs_struct, orig_rax), (void *)STAND_IN))
		th->stands_in = true;
	/*
	 * The hidden pause has been interrupted. Any stop, this one too, takes PTRACE_INTERRUPT's away: ask for it
	 * again.
	 */
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && info.instruction_pointer - FL_HIDDEN_CODE < FL_PAGE &&
	    info.exit.rval <= -ERESTART_FIRST && info.exit.rval >= -ERESTART_LAST)
		ptrace(PTRACE_INTERRUPT, th->tid, NULL, NULL);
	ptrace(PTRACE_SYSCALL, th->tid, NULL, NULL);
	return true;
}
