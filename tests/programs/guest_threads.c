/* SPDX-License-Identifier: MIT */
/*
 * Threads on untouched memory: create and join in loops, mutexes, condition variables, private and shared futexes, thread-specific data,
 * detached threads, signals between threads, cancellation, and a leader that leaves first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 6
#define ROUNDS 40

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static unsigned long total;
static int turn;

static void *worker(void *arg)
{
	size_t n = 20000 + 1000 * (size_t)arg;
	unsigned long *a = malloc(n * sizeof(*a)), sum = 0;

	for (size_t i = 0; i < n; i++)
		a[i] = i;
	for (size_t i = 0; i < n; i++)
		sum += a[i];
	free(a);
	pthread_mutex_lock(&mutex);
	total += sum;
	pthread_mutex_unlock(&mutex);
	return (void *)(sum & 0xffff);
}

static void create_and_join(void)
{
	pthread_t t[THREADS];
	unsigned long x = 0;

	for (int r = 0; r < ROUNDS; r++) {
		for (size_t i = 0; i < THREADS; i++) {
			if (pthread_create(&t[i], NULL, worker, (void *)i))
				exit(3);
		}
		for (int i = 0; i < THREADS; i++) {
			void *v;

			pthread_join(t[i], &v);
			x += (unsigned long)v;
		}
	}
	printf("joined: total %lu, values %lu\n", total, x);
}

static void *taker(void *arg)
{
	int me = (int)(long)arg;

	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % 3 != me)
			pthread_cond_wait(&cond, &mutex);
		turn++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void turns(void)
{
	pthread_t t[3];

	for (long i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, taker, (void *)i);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	printf("turns: %d\n", turn);
}

static int *word;

static void *waker(void *arg)
{
	int op = (int)(long)arg;

	usleep(20000);
	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	while (syscall(SYS_futex, word, FUTEX_WAKE | op, 1, NULL, NULL, 0) != 1)
		usleep(1000);
	return NULL;
}

static void futexes(const char *what, int op)
{
	pthread_t t;
	long r;

	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_create(&t, NULL, waker, (void *)(long)op);
	r = syscall(SYS_futex, word, FUTEX_WAIT | op, 0, NULL, NULL, 0);
	pthread_join(t, NULL);
	printf("%s futex: %ld, word %d\n", what, r, *word);
}

static sem_t sem;
static volatile int got;

static void on_usr(int s)
{
	(void)s;
	got++;
	sem_post(&sem);
}

static void *sleeper(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void signals_and_cancel(void)
{
	pthread_t t;
	void *v;

	sem_init(&sem, 0, 0);
	signal(SIGUSR1, on_usr);
	pthread_create(&t, NULL, sleeper, NULL);
	for (int i = 0; i < 50; i++) {
		pthread_kill(t, SIGUSR1);
		while (sem_wait(&sem))
			;
	}
	pthread_cancel(t);
	pthread_join(t, &v);
	printf("signals %d, cancelled %d\n", got, v == PTHREAD_CANCELED);
}

static pthread_mutex_t *robust;

static void *dies_holding(void *arg)
{
	pthread_mutex_lock(robust);
	return arg;
}

static void robust_mutex(void)
{
	pthread_mutexattr_t a;
	pthread_t t;
	int r;

	robust = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(robust, &a);
	pthread_create(&t, NULL, dies_holding, NULL);
	pthread_join(t, NULL);
	r = pthread_mutex_lock(robust);
	printf("robust: %s\n", r == EOWNERDEAD ? "EOWNERDEAD" : strerror(r));
}

static pthread_t main_thread;

static void *outlives(void *arg)
{
	(void)arg;
	pthread_join(main_thread, NULL);
	puts("the leader has left");
	fflush(stdout);
	exit(7);
}

static void leader_leaves(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		pthread_t t;

		main_thread = pthread_self();
		pthread_create(&t, NULL, outlives, NULL);
		pthread_exit(NULL);
	}
	waitpid(pid, &status, 0);
	printf("status %d\n", WEXITSTATUS(status));
}

static void *execs(void *arg)
{
	char *argv[] = {(char *)"echo", (char *)"executed by a thread", NULL};

	execv("/bin/echo", argv);
	return arg;
}

static void exec_by_thread(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		pthread_t t[4];

		for (int i = 0; i < 3; i++)
			pthread_create(&t[i], NULL, sleeper, NULL);
		pthread_create(&t[3], NULL, execs, NULL);
		for (;;)
			pause();
	}
	waitpid(pid, &status, 0);
	printf("status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

int main(void)
{
	create_and_join();
	turns();
	futexes("private", FUTEX_PRIVATE_FLAG);
	futexes("shared", 0);
	signals_and_cancel();
	robust_mutex();
	leader_leaves();
	exec_by_thread();
	return 0;
}
