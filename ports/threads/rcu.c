/* SPDX-License-Identifier: MIT */
/*
 * Grace periods of the threads port: liburcu, in the flavour whose readers register
 * themselves ("bp"), so that any thread of the embedder may call the engine.
 *
 * A struct fl_rcu_head is a struct rcu_head of liburcu under another name, and a
 * callback is called through liburcu's type; the layouts are asserted below.
 *
 * ThreadSanitizer does not see into liburcu, so it is told what a grace period orders:
 * the end of each section comes before each callback that runs later, a fl_rcu_call
 * before its callback, and a callback before the fl_rcu_barrier that waited for it. This
 * claims a little more than the truth (sections that began after the call are ordered
 * as well), and so may hide a race between such a section and the callback; it never
 * invents one. Readers find their objects through the engine's own atomics.
 *
 * No locks of its own.
 */
#define _GNU_SOURCE
#include <urcu/urcu-bp.h>

#include "faultline/fl_port.h"

_Static_assert(sizeof(struct fl_rcu_head) == sizeof(struct rcu_head), "fl_rcu_head is liburcu's rcu_head");
_Static_assert(offsetof(struct fl_rcu_head, link) == offsetof(struct rcu_head, next), "the link comes first");
_Static_assert(offsetof(struct fl_rcu_head, fn) == offsetof(struct rcu_head, func), "the function comes second");

#ifdef FL_PORT_TSAN

#include <stdlib.h>

void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
void __tsan_ignore_thread_begin(void);
void __tsan_ignore_thread_end(void);

static char sections;  /* stands for the ends of all sections */
static char callbacks; /* stands for the ends of all callbacks */

/* There is no room in a head for what the wrapper must know. */
struct wrapped {
	struct rcu_head head;
	struct fl_rcu_head *inner;
	void (*fn)(struct fl_rcu_head *);
};

static void run_wrapped(struct rcu_head *head)
{
	struct wrapped *w = caa_container_of(head, struct wrapped, head);

	__tsan_acquire(w);
	__tsan_acquire(&sections);
	w->fn(w->inner);
	__tsan_release(&callbacks);
	free(w);
}

void fl_rcu_read_lock(void)
{
	urcu_bp_read_lock();
}

void fl_rcu_read_unlock(void)
{
	__tsan_release(&sections);
	urcu_bp_read_unlock();
}

void fl_rcu_call(struct fl_rcu_head *head, void (*fn)(struct fl_rcu_head *))
{
	struct wrapped *w = malloc(sizeof(*w));

	if (!w)
		fl_port_panic(__FILE__, __LINE__, "fl_rcu_call: no memory for ThreadSanitizer's bookkeeping");
	w->inner = head;
	w->fn = fn;
	__tsan_release(w);
	urcu_bp_call_rcu(&w->head, run_wrapped);
}

void fl_rcu_barrier(void)
{
	/* liburcu allocates here what its worker frees, in an order that cannot be seen. */
	__tsan_ignore_thread_begin();
	urcu_bp_barrier();
	__tsan_ignore_thread_end();
	__tsan_acquire(&callbacks);
}

#else

void fl_rcu_read_lock(void)
{
	urcu_bp_read_lock();
}

void fl_rcu_read_unlock(void)
{
	urcu_bp_read_unlock();
}

void fl_rcu_call(struct fl_rcu_head *head, void (*fn)(struct fl_rcu_head *))
{
	urcu_bp_call_rcu((struct rcu_head *)(void *)head, (void (*)(struct rcu_head *))(void (*)(void))fn);
}

void fl_rcu_barrier(void)
{
	urcu_bp_barrier();
}

#endif
