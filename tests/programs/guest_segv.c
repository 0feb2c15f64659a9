/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV and SIGBUS as a program sees them: codes and addresses, nested handlers, jumps out of handlers, alternate stacks in
 * memory that nobody has touched, blocked and ignored signals, and what a handler may do to make the access succeed.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096L

static sigjmp_buf env;
static volatile int last_sig, last_code, depth;
static volatile uintptr_t last_addr;
static char *volatile nested_at;
static char *grow_base;

static void jump(int s, siginfo_t *si, void *uc)
{
	(void)uc;
	last_sig = s;
	last_code = si->si_code;
	last_addr = (uintptr_t)si->si_addr;
	siglongjmp(env, 1);
}

static void set(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = fn;
	sa.sa_flags = SA_SIGINFO | flags;
	sigaction(sig, &sa, NULL);
}

static void touch(const char *what, volatile char *p, int write)
{
	if (sigsetjmp(env, 1)) {
		printf("%s: signal %d code %d %s\n", what, last_sig, last_code,
		       last_addr == (uintptr_t)p ? "exact" : "other");
		return;
	}
	if (write)
		*p = 1;
	else
		(void)*p;
	printf("%s: fine\n", what);
}

static void codes(void)
{
	char *p = mmap(NULL, 8 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	set(SIGSEGV, jump, 0);
	set(SIGBUS, jump, 0);
	touch("write fresh", p + 5, 1);
	mprotect(p + P, P, PROT_READ);
	touch("read of read-only", p + P + 7, 0);
	touch("write to read-only", p + P + 9, 1);
	mprotect(p + 2 * P, P, PROT_NONE);
	touch("read of none", p + 2 * P + 1, 0);
	munmap(p + 3 * P, P);
	touch("read of unmapped", p + 3 * P + 123, 0);
	touch("write of unmapped", p + 3 * P + 321, 1);
	touch("null", (char *)8, 0);
	mprotect(p + 2 * P, P, PROT_READ | PROT_WRITE);
	touch("write after mprotect", p + 2 * P + 1, 1);
}

/* The handler makes the page writable and returns; the access is repeated. */
static void cure(int s, siginfo_t *si, void *uc)
{
	(void)s;
	(void)uc;
	depth++;
	mprotect((void *)((uintptr_t)si->si_addr & ~(uintptr_t)(P - 1)), P, PROT_READ | PROT_WRITE);
}

static void curing(void)
{
	char *p = mmap(NULL, 64 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long sum = 0;

	set(SIGSEGV, cure, 0);
	depth = 0;
	for (int i = 0; i < 64; i++)
		p[i * P + 17] = (char)i;
	for (int i = 0; i < 64; i++)
		sum += (unsigned char)p[i * P + 17];
	printf("cured %d times, sum %lu\n", depth, sum);
}

/* A fault in the handler of a fault, with SA_NODEFER. */
static void nested(int s, siginfo_t *si, void *uc)
{
	(void)s;
	(void)uc;
	depth++;
	if (depth == 1)
		nested_at[P] = 1;
	mprotect((void *)((uintptr_t)si->si_addr & ~(uintptr_t)(P - 1)), P, PROT_READ | PROT_WRITE);
}

static void nesting(void)
{
	nested_at = mmap(NULL, 2 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	depth = 0;
	set(SIGSEGV, nested, SA_NODEFER);
	nested_at[0] = 1;
	printf("nested depth %d, values %d %d\n", depth, nested_at[0], nested_at[P]);
}

static void usr(int s, siginfo_t *si, void *uc)
{
	sigset_t now;

	(void)s;
	(void)si;
	(void)uc;
	sigprocmask(SIG_SETMASK, NULL, &now);
	printf("in SIGUSR1: segv blocked %d, usr1 blocked %d, usr2 blocked %d\n", sigismember(&now, SIGSEGV),
	       sigismember(&now, SIGUSR1), sigismember(&now, SIGUSR2));
}

static void raising(int s, siginfo_t *si, void *uc)
{
	ucontext_t *u = uc;
	sigset_t now;

	(void)s;
	sigprocmask(SIG_SETMASK, NULL, &now);
	printf("in SIGSEGV: segv blocked %d, interrupted context had segv blocked %d\n", sigismember(&now, SIGSEGV),
	       sigismember(&u->uc_sigmask, SIGSEGV));
	raise(SIGUSR1);
	mprotect((void *)((uintptr_t)si->si_addr & ~(uintptr_t)(P - 1)), P, PROT_READ | PROT_WRITE);
}

static void masks(void)
{
	char *p = mmap(NULL, P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigset_t all, old;

	set(SIGSEGV, raising, 0);
	set(SIGUSR1, usr, 0);
	p[0] = 1;
	sigprocmask(SIG_SETMASK, NULL, &old);
	printf("afterwards: segv blocked %d\n", sigismember(&old, SIGSEGV));
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	sigprocmask(SIG_SETMASK, NULL, &all);
	printf("all blocked: segv %d bus %d usr1 %d kill %d\n", sigismember(&all, SIGSEGV), sigismember(&all, SIGBUS),
	       sigismember(&all, SIGUSR1), sigismember(&all, SIGKILL));
	p = mmap(NULL, 40 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 40; i++)
		p[i * P] = 1;
	puts("faults with all signals blocked: fine");
	raise(SIGSEGV);
	puts("a sent SIGSEGV waits while blocked");
	set(SIGSEGV, usr, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	puts("and comes when it is not");
}

static void on_alt(int s, siginfo_t *si, void *uc)
{
	char here;
	stack_t ss;

	(void)uc;
	sigaltstack(NULL, &ss);
	last_sig = s;
	last_addr = (uintptr_t)si->si_addr;
	depth = &here >= (char *)ss.ss_sp && &here < (char *)ss.ss_sp + ss.ss_size;
	mprotect((void *)((uintptr_t)si->si_addr & ~(uintptr_t)(P - 1)), P, PROT_READ | PROT_WRITE);
}

static void alternate(void)
{
	stack_t ss = {.ss_size = 64 * 1024}, none = {.ss_flags = SS_DISABLE};
	char *p = mmap(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ss.ss_sp = malloc(ss.ss_size + (1 << 20));
	sigaltstack(&ss, NULL);
	set(SIGSEGV, on_alt, SA_ONSTACK);
	p[100] = 1;
	printf("on the alternate stack: %d, signal %d\n", depth, last_sig);
	sigaltstack(&none, NULL);
	free(ss.ss_sp);
}

/* What a child dies of. */
static void dies(const char *what, void (*fn)(void))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		fn();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("%s: exited %d (%d), signal %d\n", what, WIFEXITED(status), WIFEXITED(status) ? WEXITSTATUS(status) : 0,
	       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void bad(void)
{
	*(volatile char *)(grow_base + P) = 1;
}

static void by_default(void)
{
	signal(SIGSEGV, SIG_DFL);
	bad();
}

static void ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	raise(SIGSEGV);
	bad();
}

static void blocked(void)
{
	sigset_t all;

	set(SIGSEGV, jump, 0);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	bad();
}

static void in_handler(int s, siginfo_t *si, void *uc)
{
	(void)s;
	(void)si;
	(void)uc;
	bad();
}

static void without_nodefer(void)
{
	set(SIGSEGV, in_handler, 0);
	bad();
}

static void resethand_fn(int s, siginfo_t *si, void *uc)
{
	(void)s;
	(void)si;
	(void)uc;
}

static void resethand(void)
{
	set(SIGSEGV, resethand_fn, (int)SA_RESETHAND);
	bad();
}

static void sent(void)
{
	signal(SIGSEGV, SIG_DFL);
	kill(getpid(), SIGSEGV);
}

static void sent_bus(void)
{
	signal(SIGBUS, SIG_DFL);
	kill(getpid(), SIGBUS);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	grow_base = mmap(NULL, 2 * P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	codes();
	curing();
	nesting();
	masks();
	alternate();
	dies("default", by_default);
	dies("ignored", ignored);
	dies("blocked", blocked);
	dies("in its own handler", without_nodefer);
	dies("SA_RESETHAND", resethand);
	dies("sent SIGSEGV", sent);
	dies("sent SIGBUS", sent_bus);
	dies("abort", abort);
	return 0;
}
