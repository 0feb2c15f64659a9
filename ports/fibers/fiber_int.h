/* SPDX-License-Identifier: MIT */
/*
 * What the files of the fibers port know about each other.
 *
 *   ring      a circle of fibers through next and prev, named by its first; NULL is the empty one. A fiber
 *             is in one ring at most: of those ready to run, of a mutex, or of an rcu barrier
 *   context   where a fiber goes on: a stack pointer, and what the sanitizers must know
 *
 * No locks: one OS thread.
 */
#ifndef FL_FIBER_INT_H
#define FL_FIBER_INT_H

#include "fl_fiber.h"

#if !defined(FL_FIBER_UCONTEXT) && !(defined(__x86_64__) && !defined(__ILP32__))
#define FL_FIBER_UCONTEXT 1
#endif
#ifdef FL_FIBER_UCONTEXT
#include <ucontext.h>
#endif

struct fl_context {
#ifdef FL_FIBER_UCONTEXT
	ucontext_t uc;
#else
	void *sp;
#endif
	const void *stack; /* its lowest byte; NULL for the outside until it is known */
	size_t size;
	void *fake_stack; /* AddressSanitizer's */
	void *tsan;       /* ThreadSanitizer's */
};

/* Make c begin in entry, which never returns, on the given stack. */
void fl_context_init(struct fl_context *c, void *stack, size_t size, void (*entry)(void));
/* c is about to be used no more, or its stack anew. Not the running one. */
void fl_context_fini(struct fl_context *c);
/* The lowest byte that c's stack uses, and how many there are; c does not run. */
void *fl_context_live(const struct fl_context *c, size_t *n);
/* c's stack is about to be read or written as a whole. */
void fl_context_open(const struct fl_context *c);
/* Leave from, go on in to. Returns when somebody goes on in from; never if it ends. */
void fl_context_switch(struct fl_context *from, struct fl_context *to, bool ends);
/* The first thing that entry calls. */
void fl_context_arrive(struct fl_context *c);

struct fl_fiber {
	struct fl_context context;
	struct fl_fiber *next, *prev;         /* the ring */
	struct fl_fiber *all_next, *all_prev; /* all fibers, in order of creation; all_next alone in the pool */
	void (*fn)(void *);
	void *arg;
	enum fl_fiber_state state;
	uint32_t id;
	bool wake_due;  /* fl_fiber_wake came */
	uint32_t held;  /* mutexes */
	uint32_t depth; /* of rcu sections */
	uint64_t mark;  /* with depth > 0: how many callbacks were queued before the outermost section began */
	struct fl_fiber *reader_next, *reader_prev; /* with depth > 0: the readers, oldest first */
	struct fl_mutex *mutex;                     /* IN_MUTEX: which */
	struct fl_parker *parker;                   /* IN_PARK: which */
	const struct fl_access_site *site;          /* at a point: which */
	const volatile void *address;
	void *mapping; /* guard page, stack, this struct */
	size_t mapping_size;
	char name[FL_FIBER_NAME_MAX];
};

#define FL_FIBER_ID_OUTSIDE UINT32_MAX
#define FL_FIBER_ID_RCU (UINT32_MAX - 1)

/* fiber.c */
extern struct fl_fiber fl_fiber_outside;
struct fl_fiber *fl_fiber_rcu(void); /* the port's own; NULL before the first fiber is created */
struct fl_fiber *fl_fiber_by_id(uint32_t id);
struct fl_fiber *fl_fiber_ring_push(struct fl_fiber *ring, struct fl_fiber *f); /* at the end; returns the ring */
struct fl_fiber *fl_fiber_ring_remove(struct fl_fiber *ring, struct fl_fiber *f);
/* Every fiber, the port's own last. */
struct fl_fiber *fl_fiber_next_all(const struct fl_fiber *f);

/* schedule.c */
extern struct fl_fiber *fl_fiber_now; /* who runs; &fl_fiber_outside outside */
FL_MUST_CHECK bool fl_schedule_reserve(size_t fibers);
void fl_schedule_ready(struct fl_fiber *f);        /* f becomes runnable */
void fl_schedule_forget(struct fl_fiber *f);       /* f is destroyed */
void fl_schedule_block(enum fl_fiber_state state); /* the current fiber is no longer runnable */
FL_NORETURN void fl_schedule_end(void);            /* the current fiber is done */
/* caller: where the port was called from; source and n: of a copy. */
void fl_schedule_point(const struct fl_access_site *, const volatile void *address, const void *caller,
		       const volatile void *source, size_t n);
extern const struct fl_fiber_driver *fl_fiber_driver; /* NULL: none */

#define FL_POINT_COPY(kind_, what_, address, source, n)                                                \
	do {                                                                                           \
		static const struct fl_access_site fl_site_ = {.what = (what_), .kind = (kind_)};      \
		if (FL_UNLIKELY(fl_port_watched))                                                      \
			fl_schedule_point(&fl_site_, address, __builtin_return_address(0), source, n); \
	} while (0)
#define FL_POINT(kind_, what_, address) FL_POINT_COPY(kind_, what_, address, NULL, 0)

/* rcu.c */
void fl_rcu_fiber(void *unused);              /* what the port's own fiber runs */
void fl_rcu_begin_run(void);                  /* fl_fiber_run begins: see to what is due */
void fl_rcu_leave(struct fl_fiber *f);        /* f's outermost section ends */
void fl_rcu_stop_waiting(struct fl_fiber *f); /* f is IN_RCU and is destroyed */
void fl_rcu_forget(void);                     /* a driver comes or goes */
size_t fl_rcu_state_size(void);
void fl_rcu_state_save(void *buf);
void fl_rcu_state_restore(const void *buf);

/* port.c: a panic with a fiber's name in it. */
FL_NORETURN FL_PRINTF(1, 2) void fl_fiber_panic(const char *format, ...);

#endif
