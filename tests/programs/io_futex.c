/* SPDX-License-Identifier: MIT */
/*
 * Futexes in engine memory: locks of all kinds, also in words that nobody has touched; robust locks whose owner dies
 * while others wait; waits across fork; the wake when a thread ends; and process-shared locks, which stay with the
 * host.
 */
#include "io_lib.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define THREADS 4
#define ROUNDS 2000

static pthread_mutex_t *lock;
static long counter;

static void *count(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(!pthread_mutex_lock(lock));
		counter++;
		CHECK(!pthread_mutex_unlock(lock));
	}
	return arg;
}

static void contended(const char *name, int protocol, int shared, int robust)
{
	pthread_mutexattr_t attr;
	pthread_t t[THREADS];

	CHECK(!pthread_mutexattr_init(&attr));
	CHECK(!pthread_mutexattr_setprotocol(&attr, protocol));
	CHECK(!pthread_mutexattr_setpshared(&attr, shared));
	CHECK(!pthread_mutexattr_setrobust(&attr, robust));
	lock = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_ANONYMOUS | (shared == PTHREAD_PROCESS_SHARED ? MAP_SHARED : MAP_PRIVATE), -1, 0);
	CHECK(lock != MAP_FAILED && !pthread_mutex_init(lock, &attr));
	counter = 0;
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&t[i], NULL, count, NULL));
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(t[i], NULL));
	printf("%s: %ld\n", name, counter);
	CHECK(!pthread_mutex_destroy(lock));
	CHECK(!munmap(lock, PAGE));
}

static void *die_with_lock(void *arg)
{
	CHECK(!pthread_mutex_lock(lock));
	usleep(50000);
	return arg;
}

static void *wait_for_dead(void *arg)
{
	int r = pthread_mutex_lock(lock);

	if (r == EOWNERDEAD)
		CHECK(!pthread_mutex_consistent(lock));
	CHECK(!pthread_mutex_unlock(lock));
	return (void *)(intptr_t)(r == EOWNERDEAD ? 1 : r ? 100 : 0) ?: arg;
}

/* One who waits is told of the death, the other gets the lock after him. */
static void owner_dies(int protocol)
{
	pthread_mutexattr_t attr;
	pthread_t owner, waiter[2];
	intptr_t told = 0;
	void *r;

	CHECK(!pthread_mutexattr_init(&attr));
	CHECK(!pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
	CHECK(!pthread_mutexattr_setprotocol(&attr, protocol));
	lock = calloc(1, sizeof(*lock));
	CHECK(lock && !pthread_mutex_init(lock, &attr));
	CHECK(!pthread_create(&owner, NULL, die_with_lock, NULL));
	usleep(20000);
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_create(&waiter[i], NULL, wait_for_dead, NULL));
	CHECK(!pthread_join(owner, NULL));
	for (int i = 0; i < 2; i++) {
		CHECK(!pthread_join(waiter[i], &r));
		told += (intptr_t)r;
	}
	printf("told of the death: %ld\n", (long)told);
	free(lock);
}

static long futex(uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

/* Words and timeouts that nobody has touched, in both ways to call. */
static void untouched(void)
{
	char *p = fresh();
	uint32_t *word = (uint32_t *)(void *)(p + 2 * PAGE);
	struct timespec *ts = (struct timespec *)(void *)(p + PAGE - 8);

	tell("wait for another value", futex(word, FUTEX_WAIT, 7, NULL), p);
	tell("wake nobody", futex(word + PAGE, FUTEX_WAKE, 1, NULL), p);
	ts->tv_nsec = 1000000;
	tell("wait for a time", futex(word, FUTEX_WAIT, 0, ts), p);
	tell("private", futex(word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, ts), p);
	tell("in nothing", futex((uint32_t *)(void *)(p + FRESH_PAGES * PAGE), FUTEX_WAIT, 0, NULL), p);
	drop(p);
}

static void *wake_later(void *arg)
{
	uint32_t *word = arg;
	pid_t child;

	usleep(20000);
	/* Copy-on-write gives the word another frame while somebody waits on it. */
	child = fork();
	CHECK(child >= 0);
	if (!child)
		_exit(0);
	CHECK(waitpid(child, NULL, 0) == child);
	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	CHECK(futex(word, FUTEX_WAKE, 1, NULL) == 1);
	return NULL;
}

static void across_fork(void)
{
	char *p = fresh();
	uint32_t *word = (uint32_t *)(void *)(p + 8);
	pthread_t t;

	*word = 0;
	CHECK(!pthread_create(&t, NULL, wake_later, word));
	while (!__atomic_load_n(word, __ATOMIC_SEQ_CST))
		CHECK(!futex(word, FUTEX_WAIT, 0, NULL) || errno == EAGAIN || errno == EINTR);
	CHECK(!pthread_join(t, NULL));
	printf("woken after a fork\n");
	drop(p);
}

/* A lock that two processes share lies in shared memory. */
static void between_processes(void)
{
	uint32_t *word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	CHECK(word != MAP_FAILED);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		usleep(20000);
		__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
		_exit(futex(word, FUTEX_WAKE, 1, NULL) == 1 ? 0 : 1);
	}
	while (!__atomic_load_n(word, __ATOMIC_SEQ_CST))
		CHECK(!futex(word, FUTEX_WAIT, 0, NULL) || errno == EAGAIN || errno == EINTR);
	CHECK(waitpid(child, NULL, 0) == child);
	printf("woken by another process\n");
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	contended("mutex", PTHREAD_PRIO_NONE, PTHREAD_PROCESS_PRIVATE, PTHREAD_MUTEX_STALLED);
	contended("robust", PTHREAD_PRIO_NONE, PTHREAD_PROCESS_PRIVATE, PTHREAD_MUTEX_ROBUST);
	contended("inheriting", PTHREAD_PRIO_INHERIT, PTHREAD_PROCESS_PRIVATE, PTHREAD_MUTEX_STALLED);
	contended("shared", PTHREAD_PRIO_NONE, PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_STALLED);
	owner_dies(PTHREAD_PRIO_NONE);
	owner_dies(PTHREAD_PRIO_INHERIT);
	untouched();
	across_fork();
	between_processes();
	printf("done\n");
	return 0;
}
