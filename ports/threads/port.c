/* SPDX-License-Identifier: MIT */
/*
 * The threads port: locks and parkers on futexes, and memory. A parallel program on
 * Linux stands on this. (Grace periods are in rcu.c.)
 *
 * fl_mutex.state          0 free, 1 held, 2 held and somebody may sleep
 * fl_parker.state         0 nothing, 1 a wake-up is due, PARKED the task sleeps
 *
 * Both follow one pattern: the sleeper says in the word that it will sleep, and the
 * kernel puts it to sleep only while the word still says so. So a wake-up that comes in
 * between makes the futex call return at once. A woken mutex or parker may be freed by
 * its owner before the waker makes the futex call; that call then wakes nobody, or
 * somebody who looks again and sleeps on.
 *
 * No locks of its own.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faultline/fl_port.h"
#include "fl_port_host.h"

#define SPINS 100
#define PARKED UINT32_MAX

static void futex_wait(uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_one(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
}

static bool take_free(struct fl_mutex *m)
{
	uint32_t expected = 0;

	return __atomic_compare_exchange_n(&m->state, &expected, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Critical sections of the engine are short: most waits end before a futex call would have begun. */
static bool spin(struct fl_mutex *m)
{
	for (int i = 0; i < SPINS; i++) {
		uint32_t state = fl_load(&m->state);

		if (state == 0 && take_free(m))
			return true;
		if (state == 2)
			return false;
		relax();
	}
	return false;
}

FL_NO_LOCK_CHECK void fl_mutex_lock(struct fl_mutex *m)
{
	if (FL_LIKELY(take_free(m)) || spin(m))
		return;
	/* Who got it with a 2 does not know whether others sleep, and so leaves the 2 for the unlock. */
	while (__atomic_exchange_n(&m->state, 2, __ATOMIC_ACQUIRE) != 0)
		futex_wait(&m->state, 2);
}

FL_NO_LOCK_CHECK bool fl_mutex_trylock(struct fl_mutex *m)
{
	return take_free(m);
}

FL_NO_LOCK_CHECK void fl_mutex_unlock(struct fl_mutex *m)
{
	/* Partner: the acquire of the next lock. */
	uint32_t state = __atomic_exchange_n(&m->state, 0, __ATOMIC_RELEASE);

	FL_ASSERT(state != 0);
	if (state == 2)
		futex_wake_one(&m->state);
}

bool fl_mutex_is_held(const struct fl_mutex *m)
{
	return fl_load(&m->state) != 0;
}

void fl_port_park(struct fl_parker *p)
{
	uint32_t due = 1;

	/* 1 becomes 0: the wake-up came first. 0 becomes PARKED. Partner: the release in fl_port_unpark. */
	if (__atomic_fetch_sub(&p->state, 1, __ATOMIC_ACQUIRE) == due)
		return;
	for (;;) {
		futex_wait(&p->state, PARKED);
		due = 1;
		if (__atomic_compare_exchange_n(&p->state, &due, 0, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return;
	}
}

void fl_port_unpark(struct fl_parker *p)
{
	if (__atomic_exchange_n(&p->state, 1, __ATOMIC_RELEASE) == PARKED)
		futex_wake_one(&p->state);
}

void *fl_port_alloc(size_t size)
{
	return host_alloc(size);
}

void fl_port_free(void *p, size_t size)
{
	host_free(p, size);
}

void fl_port_panic(const char *file, int line, const char *what)
{
	host_panic(file, line, what);
}

#ifdef FL_PORT_TSAN

/*
 * ThreadSanitizer has to see that a race on guest memory is meant: so copy with relaxed
 * atomic accesses, words where both sides are aligned and bytes elsewhere.
 */
typedef uintptr_t __attribute__((may_alias)) word;

void fl_port_copy(void *dst, const void *src, size_t n)
{
	unsigned char *d = dst;
	const unsigned char *s = src;

	if (((uintptr_t)d | (uintptr_t)s) % sizeof(word) == 0) {
		for (; n >= sizeof(word); n -= sizeof(word), d += sizeof(word), s += sizeof(word))
			fl_store((word *)(void *)d, fl_load((const word *)(const void *)s));
	}
	for (; n; n--, d++, s++)
		__atomic_store_n(d, __atomic_load_n(s, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}

void fl_port_clear(void *dst, size_t n)
{
	unsigned char *d = dst;

	for (; n && (uintptr_t)d % sizeof(word); n--, d++)
		__atomic_store_n(d, 0, __ATOMIC_RELAXED);
	for (; n >= sizeof(word); n -= sizeof(word), d += sizeof(word))
		fl_store((word *)(void *)d, 0);
	for (; n; n--, d++)
		__atomic_store_n(d, 0, __ATOMIC_RELAXED);
}

/* Orders everything before it in one thread with everything after it in the next that comes here. */
void fl_port_fence(void)
{
	static uint32_t fence;

	__atomic_fetch_add(&fence, 1, __ATOMIC_SEQ_CST);
}

#else

void fl_port_copy(void *dst, const void *src, size_t n)
{
	memcpy(dst, src, n);
}

void fl_port_clear(void *dst, size_t n)
{
	memset(dst, 0, n);
}

#endif
