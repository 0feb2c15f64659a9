/* SPDX-License-Identifier: MIT */
/*
 * Signals in storms: timers while memory is touched, handlers that fault, system calls that are interrupted and restarted, stop and
 * continue, sigsuspend and sigwait, queued values, and death by each way.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul

static volatile int ticks, sum;

static void on_tick(int s)
{
	unsigned char *p = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)s;
	p[P] = 1;
	sum += p[P];
	ticks++;
	munmap(p, 4 * P);
}

static void storm(void)
{
	struct itimerval it = {{0, 500}, {0, 500}}, off = {{0, 0}, {0, 0}};
	unsigned long good = 0;
	int rounds = 0;

	signal(SIGALRM, on_tick);
	setitimer(ITIMER_REAL, &it, NULL);
	while (ticks < 300) {
		unsigned char *p = mmap(NULL, 32 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (size_t i = 0; i < 32; i++)
			p[i * P + 1] = (unsigned char)i;
		for (size_t i = 0; i < 32; i++)
			good += p[i * P + 1] == i;
		munmap(p, 32 * P);
		rounds++;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	printf("storm: %d, handlers %d\n", good == 32ul * (unsigned long)rounds, sum == ticks);
}

static void on_usr(int s)
{
	(void)s;
	sum++;
}

static void action(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = fn;
	sa.sa_flags = flags;
	sigfillset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

/* A child sends a signal, then a byte. */
static void interrupted(const char *what, int flags)
{
	char *buf = malloc(1 << 20);
	int fds[2];
	ssize_t n;
	pid_t pid;

	if (pipe(fds))
		exit(3);
	action(SIGUSR1, on_usr, flags);
	sum = 0;
	pid = fork();
	if (!pid) {
		usleep(20000);
		kill(getppid(), SIGUSR1);
		usleep(20000);
		_exit(write(fds[1], "x", 1) != 1);
	}
	errno = 0;
	n = read(fds[0], buf + 300000, 100);
	printf("%s: read %zd, errno %d, handler %d\n", what, n, errno, sum);
	waitpid(pid, NULL, 0);
	free(buf);
	close(fds[0]);
	close(fds[1]);
}

static void suspend(void)
{
	sigset_t all, old, but;
	pid_t pid;
	int r;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	action(SIGUSR1, on_tick, 0);
	ticks = sum = 0;
	pid = fork();
	if (!pid) {
		for (int i = 0; i < 3; i++) {
			usleep(5000);
			kill(getppid(), SIGUSR1);
		}
		_exit(0);
	}
	but = all;
	sigdelset(&but, SIGUSR1);
	r = sigsuspend(&but);
	printf("sigsuspend: %d, errno %d, ticks %d\n", r, errno == EINTR, ticks);
	sigaddset(&but, SIGUSR1);
	sigemptyset(&but);
	sigaddset(&but, SIGUSR1);
	sigwait(&but, &r);
	printf("sigwait: %d\n", r == SIGUSR1);
	waitpid(pid, NULL, 0);
	signal(SIGUSR1, SIG_IGN);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void stop_and_continue(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		for (;;) {
			unsigned char *p =
				mmap(NULL, 8 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			memset(p, 1, 8 * P);
			munmap(p, 8 * P);
		}
	}
	for (int i = 0; i < 5; i++) {
		usleep(3000);
		kill(pid, SIGSTOP);
		waitpid(pid, &status, WUNTRACED);
		printf("stopped %d", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
		kill(pid, SIGCONT);
		waitpid(pid, &status, WCONTINUED);
		printf(" continued %d\n", WIFCONTINUED(status) != 0);
	}
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	printf("terminated %d\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static siginfo_t queued;

static void on_queue(int s, siginfo_t *si, void *uc)
{
	(void)s;
	(void)uc;
	queued = *si;
}

static void values(void)
{
	struct sigaction sa;
	union sigval v = {.sival_int = 4711};

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_queue;
	sa.sa_flags = SA_SIGINFO;
	sigaction(SIGRTMIN + 3, &sa, NULL);
	sigqueue(getpid(), SIGRTMIN + 3, v);
	printf("queued: code %d value %d from me %d\n", queued.si_code, queued.si_value.sival_int,
	       queued.si_pid == getpid());
}

static void waits(void)
{
	struct timespec t = {0, 30000000};
	struct pollfd *pfd = malloc(1 << 16);
	sigset_t all;
	int r;

	sigfillset(&all);
	pfd[100].fd = -1;
	r = ppoll(pfd + 100, 1, &t, &all);
	printf("ppoll: %d\n", r);
	free(pfd);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	storm();
	interrupted("with restart", SA_RESTART);
	interrupted("without", 0);
	suspend();
	stop_and_continue();
	values();
	waits();
	raise(SIGTERM);
	return 1;
}
