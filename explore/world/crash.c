/* SPDX-License-Identifier: MIT */
/*
 * Signals that the program under test causes: on a stack of their own, since the fiber's may be full.
 *
 * The first write to a page of explored memory is one too, and is nobody's fault (snapshot.c).
 *
 * No locks: one OS thread.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "layout.h"
#include "world.h"

#define STACK ((size_t)64 << 10)

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static struct {
	void *stack;
	stack_t old_stack;
	struct sigaction old[FL_ARRAY_LEN(signals)];
	bool open;
} c;

static const char *name_of(int sig)
{
	switch (sig) {
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGFPE:
		return "SIGFPE";
	case SIGABRT:
		return "abort, or an assertion that failed";
	default:
		return "SIGILL";
	}
}

static void restore_default(int sig)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};

	sigaction(sig, &dfl, NULL);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	int current = fl_world_current();
	char what[160];
	size_t below;
	bool sent;

	(void)context;
	if (sig == SIGSEGV && info->si_code == SEGV_ACCERR && fl_snapshot_fault(address))
		return;
	/* Somebody else's kill, or a fault in the explorer: as ever. What abort sends is code that the program calls. */
	sent = info->si_code <= 0 && !(sig == SIGABRT && info->si_code == SI_TKILL && info->si_pid == getpid());
	if (!fl_world.active || sent || (current < 0 && !fl_world.setting_up && !fl_world.finishing)) {
		restore_default(sig);
		if (sent)
			raise(sig); /* a fault comes again by itself */
		return;
	}
	if (sig == SIGSEGV && fl_memory_stack_of(address, &below) >= 0 && below > FL_MEMORY_STACK_SIZE - FL_MEMORY_PAGE)
		fl_finding(FL_EXPLORE_CRASH, "%s: its stack overflows",
			   current < 0 ? "outside" : fl_world_name((unsigned)current));
	else if (sig == SIGSEGV || sig == SIGBUS)
		fl_finding(FL_EXPLORE_CRASH, "%s: %s at %s%s",
			   current < 0 ? "outside" : fl_world_name((unsigned)current), name_of(sig),
			   address < 4096 ? "the null pointer's page; " : "",
			   fl_objects_describe(info->si_addr, what, sizeof(what)));
	else
		fl_finding(FL_EXPLORE_CRASH, "%s: %s", current < 0 ? "outside" : fl_world_name((unsigned)current),
			   name_of(sig));
	fl_world_leave();
}

bool fl_crash_open(void)
{
	struct sigaction act = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	stack_t stack = {.ss_size = STACK};

	c.stack = malloc(STACK);
	if (!c.stack)
		return false;
	stack.ss_sp = c.stack;
	sigemptyset(&act.sa_mask);
	if (sigaltstack(&stack, &c.old_stack)) {
		free(c.stack);
		c.stack = NULL;
		return false;
	}
	for (size_t i = 0; i < FL_ARRAY_LEN(signals); i++)
		sigaction(signals[i], &act, &c.old[i]);
	c.open = true;
	return true;
}

void fl_crash_close(void)
{
	if (!c.open)
		return;
	for (size_t i = 0; i < FL_ARRAY_LEN(signals); i++)
		sigaction(signals[i], &c.old[i], NULL);
	sigaltstack(&c.old_stack, NULL);
	free(c.stack);
	memset(&c, 0, sizeof(c));
}
