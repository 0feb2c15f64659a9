/* SPDX-License-Identifier: MIT */
/*
 * The first process: fork, attach, filter, exec.
 *
 * The child waits on a pipe until it is attached, installs the filter, and executes; if a step fails it says which through
 * another pipe that exec closes. From its exec on it is a guest thread like any other.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/host.h"

#define OPTIONS                                                                                     \
	(PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE | \
	 PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)

enum step {
	STEP_FILTER = 1,
	STEP_EXEC,
};

struct trouble {
	int step, error;
};

static FL_NORETURN void child(const char *path, char *const *argv, int go, int report)
{
	struct trouble t = {.step = STEP_FILTER};
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(125);
	t.error = -fl_filter_install();
	if (!t.error) {
		execv(path, argv);
		t = (struct trouble){STEP_EXEC, errno};
		if (errno == ENOEXEC) { /* a script without #!, as shells and execvp do it */
			char *args[1024] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t)path};

			for (int i = 1; i < 1020 && argv[i]; i++)
				args[i + 1] = argv[i];
			execv("/bin/sh", args);
			t.error = errno;
		}
	}
	if (write(report, &t, sizeof(t)) != sizeof(t))
		_exit(125);
	_exit(126);
}

static int fail(struct guest *g, int code, const char *format, const char *name, int error)
{
	char text[400];

	snprintf(text, sizeof(text), format, strerror(error));
	g->res->exit_code = code;
	snprintf(g->res->error, sizeof(g->res->error), "%.100s: %s", name, text);
	return -1;
}

static int yama_scope(void)
{
	int scope = -1;
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");

	if (f) {
		if (fscanf(f, "%d", &scope) != 1)
			scope = -1;
		fclose(f);
	}
	return scope;
}

static int fail_attach(struct guest *g, int error)
{
	int scope = yama_scope();

	if (scope >= 2)
		return fail(g, 125,
			    scope == 2 ? "ptrace is not permitted (%s): /proc/sys/kernel/yama/ptrace_scope is 2, which "
					 "needs CAP_SYS_PTRACE; set it to 0 or 1"
				       : "ptrace is not permitted (%s): /proc/sys/kernel/yama/ptrace_scope is 3, which "
					 "forbids it until the next boot",
			    g->opt->argv[0], error);
	return fail(g, 125,
		    "ptrace is not permitted (%s): a seccomp profile or security module forbids it; in a "
		    "container, run it with --cap-add=SYS_PTRACE or --security-opt seccomp=unconfined",
		    g->opt->argv[0], error);
}

static void kill_and_reap(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

static int enter(struct guest *g, pid_t pid)
{
	struct fl_sighand *s = fl_sighand_create(NULL);
	struct guest_proc *proc;
	struct sigaction sa;

	if (!s)
		return -1;
	for (int i = 1; i <= 64; i++) {
		if (!sigaction(i, NULL, &sa) && sa.sa_handler == SIG_IGN)
			s->action[i].handler = 1;
	}
	proc = fl_proc_create(g, pid, s);
	if (!proc) {
		fl_sighand_put(s);
		return -1;
	}
	g->first_pid = pid;
	return fl_thread_create(g, pid, proc, NULL) ? 0 : -1;
}

/* What the child had to say after the run has ended, if its exec failed. */
int fl_launch_trouble(struct guest *g, int report)
{
	const char *name = g->opt->argv[0];
	struct trouble t;

	if (read(report, &t, sizeof(t)) != sizeof(t))
		return 0;
	if (t.step == STEP_FILTER)
		return fail(
			g, 125,
			"seccomp is not permitted (%s): the kernel lacks CONFIG_SECCOMP_FILTER, or a seccomp profile "
			"forbids filters; in a container, run it with --security-opt seccomp=unconfined",
			name, t.error);
	return fail(g, t.error == ENOENT ? 127 : 126, "%s", name, t.error);
}

int fl_launch(struct guest *g, const char *path, int *report)
{
	int go[2], said[2];
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) || pipe2(said, O_CLOEXEC))
		return fail(g, 125, "no pipe: %s", g->opt->argv[0], errno);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return fail(g, 125, "cannot fork: %s", g->opt->argv[0], errno);
	if (!pid)
		child(path, g->opt->argv, go[0], said[1]);
	close(go[0]);
	close(said[1]);
	*report = said[0];
	if (ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS)) {
		int error = errno;

		kill_and_reap(pid);
		close(go[1]);
		return fail_attach(g, error);
	}
	if (enter(g, pid) || write(go[1], "", 1) != 1) {
		kill_and_reap(pid);
		close(go[1]);
		return fail(g, 125, "cannot start: %s", g->opt->argv[0], ENOMEM);
	}
	close(go[1]);
	return 0;
}
