/* SPDX-License-Identifier: MIT */
/*
 * The object behind a userfaultfd descriptor, as src/uffd alone sees it.
 *
 *   waiter   a thread that sleeps on a missing page; it lives on that thread's stack
 *   message  what a read returns; each waiter carries its own
 *   reader   a thread that sleeps in a blocking read; on its stack too
 *
 * Every waiter is in the tree, by address, so that a wake finds those of a range without a walk over all. A waiter
 * whose message is unread is in the queue of unread messages as well: the tree is what Linux shows as `total`, the
 * queue as `pending`.
 *
 * (i) immutable after create; (a) atomic; (m) the context's mutex; (a; m to write) both
 */
#ifndef FL_UFFD_CONTEXT_H
#define FL_UFFD_CONTEXT_H

#include "mm/mm_int.h"
#include "uffd/uffd_int.h"

/* What this engine serves, in the profiles that have all of it. Offered by the handshake, whatever was asked for. */
#define FL_UFFD_SUPPORTED \
	((uint32_t)(FL_UFFD_FEATURE_SIGBUS | FL_UFFD_FEATURE_THREAD_ID | FL_UFFD_FEATURE_EXACT_ADDRESS))
/* In features: the handshake has been done. Refused as a feature, as every bit that has no name. */
#define FL_UFFD_READY 0x80000000u

struct fl_uffd_waiter {
	struct fl_uffd_waiter *left, *right; /* (m) in the tree */
	struct fl_uffd_waiter *prev, *next;  /* (m) in the queue, while unread */
	struct fl_task *task;                /* (i) */
	uint64_t seq;                        /* (i) order of arrival: no two are alike */
	struct fl_uffd_msg msg;              /* (i) arg1: the address that a wake must cover */
	uint32_t priority;                   /* (i) of the tree: a node's is at least its children's */
	uint32_t woken;                      /* (a; m to write) out of tree and queue */
	bool unread;                         /* (m) */
};

struct fl_uffd_reader {
	struct fl_uffd_reader *prev, *next; /* (m) */
	struct fl_task *task;               /* (i) */
	uint32_t woken;                     /* (a; m to write) out of the list: look at the queue */
};

struct fl_uffd {
	uint32_t refs;                 /* (a) the descriptor, each VMA, each call of the fault path */
	uint32_t features;             /* (a; m to write) zero, or those asked for and FL_UFFD_READY */
	uint32_t released;             /* (a; m to write) the last close has come */
	uint32_t unread;               /* (a; m to write) length of the queue */
	uint32_t events;               /* (a) events whose thread has not gone on; fills answer EAGAIN meanwhile */
	int flags;                     /* (i) of userfaultfd(2) */
	struct fl_mm *mm;              /* (i) the structure is kept, the mappings are not */
	const struct fl_uffd_ops *ops; /* (i) may be NULL */
	void *arg;                     /* (i) */

	struct fl_mutex mutex;
	struct fl_uffd_waiter *tree;                       /* (m) */
	struct fl_uffd_waiter *oldest, *newest;            /* (m) the queue */
	struct fl_uffd_reader *first_reader, *last_reader; /* (m) */
	uint64_t seq;                                      /* (m) of the next waiter */
	uint32_t waiting;                                  /* (m) waiters in the tree */
};

/* The tree of waiters: src/uffd/waiters.c. */
void fl_uffd_tree_insert(struct fl_uffd *u, struct fl_uffd_waiter *w) FL_REQUIRES(&u->mutex);
void fl_uffd_tree_remove(struct fl_uffd *u, struct fl_uffd_waiter *w) FL_REQUIRES(&u->mutex);
/* The first waiter at or above addr, or NULL. */
struct fl_uffd_waiter *fl_uffd_tree_from(const struct fl_uffd *u, fl_va addr) FL_REQUIRES(&u->mutex);

/* The queue of unread messages and its readers: src/uffd/read.c. */
void fl_uffd_queue_add(struct fl_uffd *u, struct fl_uffd_waiter *w) FL_REQUIRES(&u->mutex);
void fl_uffd_queue_remove(struct fl_uffd *u, struct fl_uffd_waiter *w) FL_REQUIRES(&u->mutex);

/* COPY and ZEROPAGE: src/uffd/fill.c. */
int fl_uffd_copy(struct fl_task *t, struct fl_uffd *u, fl_va arg);
int fl_uffd_zeropage(struct fl_task *t, struct fl_uffd *u, fl_va arg);

/* Page-aligned, not empty, within the user's addresses of the context. */
bool fl_uffd_range_ok(const struct fl_uffd *u, uint64_t start, uint64_t len);

#endif
