/* SPDX-License-Identifier: MIT */
/*
 * What the engine stands on. Everything under src/ reaches locks, waits, atomics,
 * grace periods and memory through this header and nothing else.
 *
 * The port is chosen at compile time by the include path: fl_port_impl.h is found in
 * ports/threads (inline atomics; pthreads, futexes and liburcu behind the functions)
 * or in ports/fibers (every shared access is a call, and so a scheduling point). An
 * embedder may write a third. No port header includes a host header.
 *
 * Standing assumptions
 *   - fl_mutex is not recursive and is never held across fl_port_park, or across any
 *     machine op other than flush.
 *   - A parker belongs to one task; only that task parks on it; anyone may unpark.
 *   - A read-side critical section (rcu) never sleeps: no park and no mutex that may
 *     be held by a sleeper. Engine mutexes are never held by a sleeper.
 *   - fl_port_alloc may return NULL at any time, and then nothing has happened.
 *
 * Atomics. They are macros over objects of the natural C type of 4 bytes or of the
 * size of a pointer. The plain names are relaxed. Each non-relaxed use in the engine names its
 * partner in a comment.
 *
 *   fl_load(p)  fl_load_acquire(p)  fl_load_seq(p)
 *   fl_store(p, v)  fl_store_release(p, v)  fl_store_seq(p, v)
 *   fl_xchg(p, v)            sequentially consistent; returns the old value
 *   fl_cas(p, expected, v)   sequentially consistent; expected is a pointer, updated on failure
 *   fl_add(p, n)             acquire-release; returns the NEW value; n may be negative
 *   fl_or(p, bits)  fl_and(p, bits)   acquire-release; return the OLD value
 *   fl_count(p, n)           relaxed, and no value: a statistic. Two of them in either order are the same
 *   fl_fence()               a sequentially consistent fence
 *
 * Guest memory is reached by machines in other sizes, too: 1, 2, 4 or 8 bytes, as far as the host has such accesses.
 *
 *   fl_guest_load(p)  fl_guest_store(p, v)   relaxed
 *   fl_guest_add(p, n)       acquire-release; returns the NEW value
 */
#ifndef FAULTLINE_FL_PORT_H
#define FAULTLINE_FL_PORT_H

#include "faultline/types.h"

FL_BEGIN_C

struct fl_rcu_head {
	void *link;                       /* the port's */
	void (*fn)(struct fl_rcu_head *); /* the port's */
};

/* A mutual exclusion lock: 16 bytes at most, all zero when unlocked. The words belong to the port. */
struct FL_CAPABILITY fl_mutex {
	uint32_t state;
	uint32_t owner;
	void *queue;
};

/* One bit, "a wake-up is due", and who waits for it. All zero when fresh. */
struct fl_parker {
	uint32_t state;
	uint32_t pad;
	void *who;
};

/* Locks. A zeroed fl_mutex is ready. */
void fl_mutex_lock(struct fl_mutex *m) FL_ACQUIRES(m);
bool fl_mutex_trylock(struct fl_mutex *m) FL_TRY_ACQUIRES(true, m);
void fl_mutex_unlock(struct fl_mutex *m) FL_RELEASES(m);
/* True if somebody holds m (threads) or if the caller holds it (fibers): for assertions. */
bool fl_mutex_is_held(const struct fl_mutex *m);

/*
 * Sleep until the parker's bit is set, then clear it and return. May return early
 * without cause: callers loop over their condition. The caller holds nothing.
 */
void fl_port_park(struct fl_parker *p);
/* Set the bit and wake the sleeper. A wake-up before the park is not lost. Any thread; any lock held. */
void fl_port_unpark(struct fl_parker *p);

/* Grace periods. Sections nest. */
void fl_rcu_read_lock(void);
void fl_rcu_read_unlock(void);
/* Call fn(head) after every section that is open now has ended. fn may call fl_port_free. */
void fl_rcu_call(struct fl_rcu_head *head, void (*fn)(struct fl_rcu_head *));
/* Return after every call queued before has run. The caller is in no section and holds nothing. For tear-down. */
void fl_rcu_barrier(void);

/*
 * Memory for the engine's own structures: zeroed, aligned to 64 bytes, or NULL. Freed with the
 * size it was allocated with.
 */
FL_MUST_CHECK void *fl_port_alloc(size_t size);
void fl_port_free(void *p, size_t size);

/*
 * Guest memory may be read and written by a machine at the same moment. These copy n bytes between
 * a frame and the engine's own memory, or between frames, without undefined behaviour: each byte
 * is some value that was stored there.
 */
void fl_port_copy(void *dst, const void *src, size_t n);
void fl_port_clear(void *dst, size_t n);

#include "fl_port_impl.h"

FL_END_C

#endif
