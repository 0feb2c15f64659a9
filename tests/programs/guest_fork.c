/* SPDX-License-Identifier: MIT */
/*
 * Processes: trees of forks with copy-on-write both ways, vfork, posix_spawn, forks from threads that fault meanwhile, children killed at any
 * moment, deep recursion, DONTFORK and WIPEONFORK, exec with strings in fresh memory, and orphans.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul
#define PAGES 300

extern char **environ;

static unsigned char *fresh(size_t pages)
{
	return mmap(NULL, pages * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static unsigned long sum(const unsigned char *p, size_t pages)
{
	unsigned long s = 0;

	for (size_t i = 0; i < pages; i++)
		s = s * 31 + p[i * P];
	return s;
}

static int status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int tree(unsigned char *p, int depth)
{
	unsigned long before;
	int r = 0;

	if (!depth)
		return (int)(sum(p, PAGES) % 61);
	before = sum(p, PAGES);
	for (int k = 0; k < 2; k++) {
		pid_t pid = fork();

		if (!pid) {
			for (size_t i = (size_t)k; i < PAGES; i += 3)
				p[i * P] = (unsigned char)(p[i * P] + depth + k);
			_exit(tree(p, depth - 1));
		}
		p[(size_t)(depth * 10 + k) * P]++;
		r += status_of(pid);
		p[(size_t)(depth * 10 + k) * P]--;
	}
	return sum(p, PAGES) == before ? r % 100 : 200;
}

static void trees(void)
{
	unsigned char *p = fresh(PAGES);

	for (size_t i = 0; i < PAGES; i++)
		p[i * P] = (unsigned char)i;
	printf("tree: %d\n", tree(p, 4));
}

static void vforks(void)
{
	unsigned char *p = fresh(2);
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)"exit 5", NULL};
	volatile int r = 0; /* not in a register that vfork may lose */
	pid_t pid;

	for (volatile int i = 0; i < 10; i++) {
		pid = vfork();
		if (!pid) {
			p[P] = (unsigned char)(i + 1); /* seen by the parent */
			_exit(i);
		}
		r += status_of(pid) + p[P];
	}
	printf("vfork: %d\n", r);
	for (int i = 0; i < 5; i++) {
		if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ))
			puts("spawn failed");
		r += status_of(pid);
	}
	printf("spawn: %d, missing: %d\n", r, posix_spawn(&pid, "/no/such/file", NULL, NULL, argv, environ));
}

static volatile int stop;

static void *faulter(void *arg)
{
	unsigned long rounds = 0;

	(void)arg;
	while (!stop) {
		unsigned char *p = fresh(16);

		for (int i = 0; i < 16; i++)
			p[(size_t)i * P] = (unsigned char)i;
		for (int i = 0; i < 16; i++) {
			if (p[(size_t)i * P] != i)
				_exit(99);
		}
		munmap(p, 16 * P);
		rounds++;
	}
	return (void *)rounds;
}

/* Threads fault while another forks; each child sees what it should. */
static void busy_forks(void)
{
	unsigned char *p = fresh(64);
	pthread_t t[2];
	int r = 0;

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, faulter, NULL);
	for (int i = 0; i < 40; i++) {
		pid_t pid;

		memset(p, i, 64 * P);
		pid = fork();
		if (!pid) {
			for (size_t k = 0; k < 64; k++) {
				if (p[k * P] != i)
					_exit(1);
				p[k * P] = 0xff;
			}
			_exit(0);
		}
		memset(p, 0xee, 32 * P);
		r += status_of(pid);
		for (size_t k = 0; k < 64; k++) {
			if (p[k * P] != (k < 32 ? 0xee : i))
				r += 1000;
		}
	}
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	printf("busy forks: %d\n", r);
}

static void killed(void)
{
	int r = 0;

	for (int i = 0; i < 30; i++) {
		pid_t pid = fork();

		if (!pid) {
			for (;;) {
				unsigned char *p = fresh(64);

				memset(p, 1, 64 * P);
				if (!fork())
					_exit(0);
				munmap(p, 32 * P);
				waitpid(-1, NULL, WNOHANG);
			}
		}
		usleep((useconds_t)(i * 300));
		kill(pid, SIGKILL);
		r += status_of(pid) == 1000 + SIGKILL;
	}
	printf("killed: %d\n", r);
}

static void advice(void)
{
	unsigned char *p = fresh(3);
	pid_t pid;

	memset(p, 7, 3 * P);
	madvise(p, P, MADV_WIPEONFORK);
	madvise(p + P, P, MADV_DONTFORK);
	pid = fork();
	if (!pid) {
		int r = p[0] * 10 + p[2 * P];

		printf("child: %d\n", r);
		fflush(stdout);
		signal(SIGSEGV, SIG_DFL);
		r = *(volatile unsigned char *)(p + P);
		_exit(r);
	}
	printf("gone in the child: %d; parent has %d %d %d\n", status_of(pid), p[0], p[P], p[2 * P]);
}

static void exec_strings(void)
{
	unsigned char *p = fresh(8);
	char **argv = (char **)(void *)(p + P - 16);
	char *text = (char *)p + 4 * P - 5;
	pid_t pid;

	strcpy(text, "argument across two pages");
	argv[0] = text;
	argv[1] = text;
	argv[2] = NULL; /* on the next page */
	argv[3] = NULL;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execv("/bin/echo", argv);
		_exit(9);
	}
	printf("exec: %d\n", status_of(pid));
}

static void orphans(void)
{
	int fds[2], n = 0;
	char c;
	pid_t pid;

	if (pipe(fds))
		exit(4);
	pid = fork();
	if (!pid) {
		for (int i = 0; i < 4; i++) {
			if (!fork()) {
				unsigned char *p = fresh(10);

				usleep(20000);
				memset(p, 3, 10 * P);
				_exit(write(fds[1], p + 9 * P, 1) != 1);
			}
		}
		_exit(0);
	}
	close(fds[1]);
	status_of(pid);
	while (read(fds[0], &c, 1) == 1)
		n += c;
	printf("orphans wrote: %d\n", n);
}

static int recurse(int n)
{
	volatile char frame[2000];

	frame[0] = (char)n;
	return n ? recurse(n - 1) + frame[0] : 0;
}

static void *deep(void *arg)
{
	(void)arg;
	return (void *)(long)recurse(2000);
}

int main(void)
{
	pthread_t t;
	void *v;

	setvbuf(stdout, NULL, _IOLBF, 0);
	trees();
	vforks();
	busy_forks();
	killed();
	advice();
	exec_strings();
	orphans();
	pthread_create(&t, NULL, deep, NULL);
	pthread_join(t, &v);
	printf("deep: %ld %d\n", (long)v, recurse(2000));
	errno = 0;
	printf("no children: %d\n", wait(NULL) == -1 && errno == ECHILD);
	return 42;
}
