/* SPDX-License-Identifier: MIT */
/*
 * Fibers: the tasks of the fibers port. One OS thread runs them all, one at a time, and
 * which one runs next is decided by a policy alone. So a run can be repeated exactly.
 *
 *   fiber     a function with a stack of its own
 *   outside   the program's own stack, from which fl_fiber_run is called. Code outside may
 *             use the engine, too, as long as it need not wait
 *   policy    who runs next. The first one: the fiber that has been runnable longest, and
 *             it runs until it blocks
 *   point     a place where a policy that pre-empts may let another fiber run: before each
 *             shared access, lock, unlock, park, unpark, section, and copy of guest memory
 *
 * A fiber blocks on a mutex, in fl_port_park, in fl_rcu_barrier, or in fl_fiber_block. It
 * never spins. A callback of fl_rcu_call runs in a fiber of the port's own.
 *
 * No locks. Everything here is called on the one OS thread; nothing from a signal handler.
 */
#ifndef FL_FIBER_H
#define FL_FIBER_H

#include "faultline/fl_port.h"

FL_BEGIN_C

struct fl_fiber;

enum fl_fiber_state {
	FL_FIBER_RUNNABLE, /* or running */
	FL_FIBER_IN_MUTEX, /* waits for a mutex */
	FL_FIBER_IN_PARK,  /* sleeps in fl_port_park */
	FL_FIBER_IN_BLOCK, /* waits in fl_fiber_block for fl_fiber_wake */
	FL_FIBER_IN_RCU,   /* waits in fl_rcu_barrier, or is the port's own fiber and has no callback to run */
	FL_FIBER_DONE,     /* its function has returned */
};

/* The stack of a fiber that asks for 0 bytes. Pages that are not touched cost nothing. */
#define FL_FIBER_STACK ((size_t)256 << 10)
#define FL_FIBER_NAME_MAX 24

/*
 * A new runnable fiber that will call fn(arg). The stack has a guard page below it; stacks are
 * kept for reuse. The name is copied, and cut at FL_FIBER_NAME_MAX - 1 bytes.
 * Returns NULL if there is no memory.
 */
FL_MUST_CHECK struct fl_fiber *fl_fiber_create(const char *name, void (*fn)(void *), void *arg, size_t stack_size);

/*
 * Forget a fiber and keep its stack for the next one. Not the current fiber.
 * One that is not done is dropped where it stands: what it waits for must still exist, what its
 * stack owns is lost, a mutex that it holds stays locked for ever, an open rcu section of it ends.
 */
void fl_fiber_destroy(struct fl_fiber *f);

/* Give all stacks kept for reuse back to the host. */
void fl_fiber_trim(void);

/* Where we are: NULL outside. */
struct fl_fiber *fl_fiber_current(void);

/*
 * Outside: run fibers until none is runnable (or the policy says stop). Returns how many are blocked;
 * the port's own is not counted, nor those that are done.
 */
size_t fl_fiber_run(void);

/* Let another runnable fiber go first. Outside: nothing. */
void fl_fiber_yield(void);

/*
 * For machines: sleep until fl_fiber_wake(self). A wake-up that came before is not lost, and is used up.
 * Locks may be held, and a section be open; others then wait for them. Only in a fiber.
 */
void fl_fiber_block(void);
/* From anywhere. A fiber that waits for something else notices at its next fl_fiber_block. */
void fl_fiber_wake(struct fl_fiber *f);

enum fl_fiber_state fl_fiber_state(const struct fl_fiber *f);
const char *fl_fiber_state_name(enum fl_fiber_state state);
const char *fl_fiber_name(const struct fl_fiber *f);
/* 1, 2, ... in the order of creation. */
uint32_t fl_fiber_id(const struct fl_fiber *f);
/* The fiber after f in the order of creation; the first for NULL; NULL after the last. The port's own is skipped. */
struct fl_fiber *fl_fiber_next(const struct fl_fiber *f);

/*
 * Fibers that wait for each other's mutexes: fills in up to max of one such circle, and returns its
 * length, or 0 if there is none. A single fiber in park for ever is no circle: see what fl_fiber_run returned.
 */
size_t fl_fiber_deadlock(struct fl_fiber **circle, size_t max);
/* One line for each fiber that is not done: its name, state and what it waits for. Cut at size - 1 bytes. */
void fl_fiber_report(char *buf, size_t size);

/*
 * Choose one of the n runnable fibers (n >= 1, in order of creation; at a point the current one is among
 * them), or return NULL to make fl_fiber_run return now. It must not touch the engine; accesses in
 * it are no points. It runs on the stack of the fiber that stops, or outside.
 */
typedef struct fl_fiber *fl_fiber_pick(void *arg, struct fl_fiber *const *runnable, size_t n);

/*
 * Set the policy: pick is asked whenever a fiber blocks or ends, and, with preempt, at every point as well.
 * With pick NULL the longest runnable is next. (NULL, NULL, false) is the first policy.
 */
void fl_fiber_set_policy(fl_fiber_pick *pick, void *arg, bool preempt);
/*
 * A policy that pre-empts, and chooses by a pseudo-random sequence that the seed determines: how often it
 * changes fibers (always, or on average every 2nd, 4th, 16th or 64th point) and to which.
 */
void fl_fiber_random_policy(uint64_t seed);

/*
 * What the fiber will do when it runs again, if a point stopped it: the site, and the object through
 * *address. NULL if it is not at a point. For pick functions.
 */
const struct fl_access_site *fl_fiber_pending(const struct fl_fiber *f, const volatile void **address);
/* How many points have been passed since the program began. */
uint64_t fl_fiber_points(void);

/*
 * Take accesses over. load and store, if set, do the access: they put the value read through `value`, or
 * store the value found there, as they like. rmw is told before a read-modify-write or a fence is done on
 * memory itself. Each is called after its point. NULL: no hooks.
 */
struct fl_access_hooks {
	void *arg;
	void (*load)(void *arg, const volatile void *p, void *value, const struct fl_access_site *site);
	void (*store)(void *arg, volatile void *p, const void *value, const struct fl_access_site *site);
	void (*rmw)(void *arg, volatile void *p, const struct fl_access_site *site);
};
void fl_fiber_set_hooks(const struct fl_access_hooks *hooks);

/*
 * A driver: who decides everything, step by step, in place of a policy. It is told of each point before what lies there
 * is done, and says who goes on; nothing is queued anywhere. It must see to it that a fiber at a LOCK goes on only
 * while the mutex is free, at a PARK only while a wake-up is due, at a CALLBACK and a BARRIER only when
 * fl_fiber_callback_due and fl_fiber_barrier_over say so.
 */
struct fl_fiber_point {
	const struct fl_access_site *site;
	const volatile void *address; /* the object; NULL: none */
	const volatile void *source;  /* FL_ACCESS_COPY: what is read; NULL when memory is cleared */
	size_t size;                  /* bytes of it; 0: the object is a lock, a parker or a head */
	const void *caller;           /* of the port's function, when the site is the port's */
	uint64_t value;               /* the driver's own, and fl_rcu_barrier's */
};

struct fl_fiber_driver {
	void *arg;
	/*
	 * f is at a point, or is done (point: NULL). Who goes on: f itself, another fiber, or NULL: fl_fiber_drive
	 * returns. It runs on f's stack.
	 */
	struct fl_fiber *(*next)(void *arg, struct fl_fiber *f, const struct fl_fiber_point *point);
	/* If set: the accesses themselves, after their points, as in struct fl_access_hooks. */
	const struct fl_access_hooks *hooks;
	/* Memory, in place of malloc; zeroed, aligned to 64 bytes. free: NULL is not given. */
	void *(*alloc)(void *arg, size_t size);
	void (*free)(void *arg, void *p, size_t size);
	/* A stack of at least *size bytes, page-aligned, that is kept for ever; or NULL. Sets *size to what it is. */
	void *(*stack)(void *arg, size_t *size);
	/* Does not return. In a fiber, or outside. */
	void (*panic)(void *arg, const char *file, int line, const char *what);
};

/*
 * Outside, when no fiber exists, and no callback is queued but under the driver before, whose are forgotten. NULL: none. Fibers made under a driver are for it
 * alone: they are destroyed before it goes. The one that runs callbacks is the driver's to make, on fl_fiber_callbacks.
 */
void fl_fiber_set_driver(const struct fl_fiber_driver *driver);
/* Outside: let f go on. Returns when next has said NULL. */
void fl_fiber_drive(struct fl_fiber *f);
/* A point of the driver's own, in a fiber. */
void fl_fiber_point(const struct fl_fiber_point *point);
/* Leave the current fiber as it is, for ever or until a state is restored, and go on outside. From a signal handler, too. */
FL_NORETURN void fl_fiber_abandon(void);

/* What a fiber runs that runs callbacks: it never ends. */
void fl_fiber_callbacks(void *unused);
/* Whether the first callback queued may run now; *head: which, or NULL. */
bool fl_fiber_callback_due(const struct fl_rcu_head **head);
/* Whether an fl_rcu_barrier at a point may go on. */
bool fl_fiber_barrier_over(const struct fl_fiber_point *point);
/* Outside: run the callbacks that may run, unless one is under way. */
void fl_fiber_run_callbacks(void);

/*
 * Outside: the state of all fibers (where they stand, the used part of their stacks) and of grace periods, in n bytes
 * at buf. Returns how many bytes it takes; if that is more than n, nothing useful is in buf.
 */
size_t fl_fiber_state_save(void *buf, size_t n);
void fl_fiber_state_restore(const void *buf);

FL_END_C

#endif
