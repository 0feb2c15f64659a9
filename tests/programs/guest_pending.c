/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV and SIGBUS that are sent while they are blocked: pending until somebody takes them, with their value; delivered
 * at the unblocking; gone when they are ignored; not the child's, but the next program's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define P 4096ul

static sigset_t both;

static void pending(const char *what)
{
	sigset_t *s = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), stack;
	int r = sigpending(s);

	sigpending(&stack);
	printf("%s: %d segv %d bus %d usr1 %d, %d\n", what, r, sigismember(s, SIGSEGV), sigismember(s, SIGBUS),
	       sigismember(s, SIGUSR1), sigismember(&stack, SIGSEGV));
	munmap(s, P);
}

static void queue(int sig, int value)
{
	union sigval v = {.sival_int = value};

	sigqueue(getpid(), sig, v);
}

static void take(const char *what, long sec)
{
	siginfo_t *si = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct timespec ts = {sec, 0};
	int r = sigtimedwait(&both, si, &ts);

	if (r < 0)
		printf("%s: %d\n", what, errno);
	else
		printf("%s: %d signo %d code %d value %d from me %d\n", what, r, si->si_signo, si->si_code,
		       si->si_code == SI_QUEUE ? si->si_value.sival_int : 0, si->si_pid == getpid());
	munmap(si, P);
}

static void handler(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	printf("handler: %d code %d value %d from me %d\n", sig, si->si_code,
	       si->si_code == SI_QUEUE ? si->si_value.sival_int : 0, si->si_pid == getpid());
}

static void program(void)
{
	pending("after exec");
	sigemptyset(&both);
	sigaddset(&both, SIGBUS);
	take("after exec", 0);
}

static void child(char *self)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		pending("child");
		queue(SIGBUS, 77);
		fflush(stdout);
		execl(self, self, "again", NULL);
		_exit(9);
	}
	waitpid(pid, &status, 0);
	printf("%x\n", status);
	pid = fork();
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
		sigprocmask(SIG_UNBLOCK, &both, NULL);
		_exit(9);
	}
	waitpid(pid, &status, 0);
	printf("default: %x\n", status & 0x7f);
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_flags = SA_SIGINFO};
	siginfo_t si;
	struct timespec bad = {0, -1};

	if (argc > 1) {
		program();
		return 0;
	}
	sa.sa_sigaction = handler;
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&both);
	sigaddset(&both, SIGSEGV);
	sigaddset(&both, SIGBUS);
	sigaddset(&both, SIGUSR1);
	sigprocmask(SIG_BLOCK, &both, NULL);
	pending("nothing");
	take("nothing", 0);
	raise(SIGSEGV);
	pending("raised");
	take("raised", 0);
	take("taken", 0);
	queue(SIGUSR1, 1);
	queue(SIGSEGV, 2);
	queue(SIGSEGV, 3);
	queue(SIGBUS, 4);
	pending("queued");
	printf("bad time %d", sigtimedwait(&both, &si, &bad));
	printf(" %d\n", errno);
	printf("bad size %ld", syscall(SYS_rt_sigtimedwait, &both, &si, NULL, 4));
	printf(" %d\n", errno);
	printf("pending size %ld", syscall(SYS_rt_sigpending, &both, 16));
	printf(" %d\n", errno);
	printf("pending nowhere %ld", syscall(SYS_rt_sigpending, (void *)8, 8));
	printf(" %d\n", errno);
	take("first", 10);
	take("second", 10);
	take("third", 10);
	take("none", 0);
	raise(SIGSEGV);
	printf("bad info %ld", syscall(SYS_rt_sigtimedwait, &both, (void *)8, NULL, 8));
	printf(" %d\n", errno);
	pending("lost");
	queue(SIGSEGV, 5);
	queue(SIGBUS, 6);
	sigprocmask(SIG_UNBLOCK, &both, NULL);
	pending("delivered");
	sigprocmask(SIG_BLOCK, &both, NULL);
	queue(SIGSEGV, 7);
	signal(SIGSEGV, SIG_IGN);
	pending("ignored");
	raise(SIGSEGV);
	pending("ignored and sent");
	take("ignored", 0);
	sigaction(SIGSEGV, &sa, NULL);
	raise(SIGSEGV);
	child(argv[0]);
	pending("mine");
	sigprocmask(SIG_UNBLOCK, &both, NULL);
	return 0;
}
