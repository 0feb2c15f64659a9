/* SPDX-License-Identifier: MIT */
/*
 * Processes that play: how they begin and how they end.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "diff/player.h"
#include "faultline/compiler.h"

#define SAID_MAX (256u * 1024)

unsigned fl_child_processors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);

	return n < 1 ? 1 : (unsigned)n;
}

/*
 * A worker and the world that it forks wake each other all the time: on one processor that costs a twentieth of what it does
 * on two.
 */
static void pin(unsigned slot)
{
	cpu_set_t set, one;
	unsigned nth;

	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	nth = slot % (unsigned)CPU_COUNT(&set);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set) || nth--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

extern const char __executable_start;

/*
 * Last words: where, so that two crashes can be told apart; addr2line knows the place. The signal itself is for whoever waits for
 * us.
 */
static void on_crash(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *c = context;

	(void)info;
	dprintf(STDERR_FILENO, "signal %d (%s) at faultline-diff+0x%llx\n", sig, sigabbrev_np(sig),
		(unsigned long long)c->uc_mcontext.gregs[REG_RIP] - (unsigned long long)(uintptr_t)&__executable_start);
	raise(sig);
}

static void tell_of_crashes(void)
{
	static char stack[64 * 1024];
	const stack_t alternative = {.ss_sp = stack, .ss_size = sizeof(stack)};
	const struct sigaction action = {.sa_sigaction = on_crash,
					 .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

	sigaltstack(&alternative, NULL);
	for (size_t i = 0; i < FL_ARRAY_LEN(signals); i++)
		sigaction(signals[i], &action, NULL);
}

pid_t fl_child_fork(unsigned slot, FILE *err)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	if (pid > 0)
		setpgid(pid, pid); /* as the child does: whoever is first */
	if (pid)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	dup2(fileno(err), STDERR_FILENO);
	tell_of_crashes();
	pin(slot);
	return 0;
}

int fl_child_kill(pid_t pid)
{
	int status = 0;

	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

char *fl_child_said(FILE *f)
{
	char *text = calloc(1, SAID_MAX + 1);

	/* The offset is one with the child's, which has ended or waits. */
	if (text && pread(fileno(f), text, SAID_MAX, 0) < 0)
		*text = '\0';
	return text;
}

/* The last line that says something: a panic ends with what is wrong. */
static char *last_line(const char *text)
{
	size_t n = strlen(text);

	while (n && text[n - 1] == '\n')
		n--;
	for (size_t i = n; i > 0; i--)
		if (text[i - 1] == '\n')
			return strndup(text + i, n - i);
	return strndup(text, n);
}

void fl_child_outcome(int status, FILE *err, struct fl_outcome *o)
{
	char *said = fl_child_said(err), *last = last_line(said ? said : "");
	char how[80];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "ended with status %d", WEXITSTATUS(status));
	o->kind = FL_OUTCOME_BROKEN;
	if (asprintf(&o->signature, "the engine's process broke down: %s", last && *last ? last : how) < 0)
		o->signature = NULL;
	if (asprintf(&o->text, "the engine's process was %s\n%s", how, said ? said : "") < 0)
		o->text = NULL;
	free(said);
	free(last);
}
