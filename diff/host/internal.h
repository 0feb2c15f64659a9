/* SPDX-License-Identifier: MIT */
/*
 * What the files of the kernel side share.
 *
 *   worker   the process that plays programs: the caller of fl_side_ops
 *   zygote   a process forked from it once, which then drops all memory but its code and the shared area
 *   world    for each program: a process forked from the zygote, and those that the program forks
 *   actor    a thread of a world. It waits in its slot for a call, does it, and says so
 *   area     memory that all of these share: scratch, the board with a slot for each actor, stacks. In zygote and worlds it lies at
 *            FL_DIFF_SCRATCH, and they have no other memory to write to; so a fork copies nothing of ours, and a stack costs no
 *            fault after it was touched once
 *
 * The code of child.c and access.c runs where libc is not mapped: no libc, no static data that is written. Everything runs on
 * one CPU.
 *
 * The area's words are atomic where two sides write or wait. A slot belongs to the worker while nothing is posted in it
 * (posted == ended), and else to its actor.
 */
#ifndef FL_DIFF_HOST_INTERNAL_H
#define FL_DIFF_HOST_INTERNAL_H

#include <stdatomic.h>
#include <sys/types.h>

#include "diff/diff.h"
#include "explore/raw/raw.h"
#include "faultline/compiler.h"

#define FL_KERN_UFFD_FD 100     /* userfaultfd N is moved to descriptor 100 + N, away from what EVENT_FORK gives */
#define FL_KERN_CARRIER_FD 200  /* carrier of actor N: 200 + N */
#define FL_KERN_LOST_FD 300     /* from here on: userfaultfds whose number was given to another */
#define FL_KERN_DESCRIPTORS 512 /* there must be so many numbers */
#define FL_KERN_CARRIER_SIZE FL_DIFF_SCRATCH_SIZE
#define FL_KERN_STACK 32768ul
/* An actor's stack, from its lowest address: signal stack, a page that a fetched instruction may use, stack. */
#define FL_KERN_SIGNAL_STACK (3 * FL_DIFF_PAGE)
#define FL_KERN_PLAYGROUND (FL_KERN_SIGNAL_STACK + FL_DIFF_PAGE / 2)
#define FL_KERN_DROPS 4096u /* mappings that the zygote drops */
#define FL_KERN_PAGEMAP_PRESENT (1ull << 63)
#define FL_KERN_ADDRESSES (1ull << 47) /* where a program's addresses end */
#define FL_KERN_SECONDS 2.0
#define FL_KERN_ENTRIES 4096u  /* of pagemap, that are read at once */
#define FL_KERN_READ_PAGES 64u /* of memory, likewise */

/* A call as its actor does it. */
struct fl_kern_order {
	uint32_t kind, nr;
	uint64_t arg[6];
	uint64_t value;
	uint32_t size, object;
	uint32_t brk;   /* bit N: arg N is added to the break */
	uint32_t pages; /* of scratch that it uses */
	uint64_t shift; /* FETCH: so far after arg[0] is the address that is asked about; it is in the same page */
	bool opens;
};

struct fl_kern_slot {
	_Atomic(uint32_t) posted; /* futex: calls posted */
	_Atomic(uint32_t) ended;
	_Atomic(int32_t) pid, tid; /* 0: not there yet */
	struct fl_kern_order order;
	/* what it gave */
	int64_t ret;
	uint64_t address;
	uint32_t signo;
	int32_t code;
	uint32_t interrupted;
	uint64_t minor, major;
	struct fl_raw_fetch fetch;
};

struct fl_kern_family {
	uint32_t members; /* its actors, as bits */
	uint32_t leader;  /* who is its first thread */
	_Atomic(int32_t) pid;
	_Atomic(uint32_t) unready; /* actors that have not begun to wait for calls */
};

struct fl_kern_drop {
	uint64_t start, end;
};

/* The first page of the area after scratch. */
struct fl_kern_board {
	_Atomic(uint32_t) bell;      /* futex: changes when an actor has ended a call, or is ready */
	_Atomic(uint32_t) requested; /* futex: worlds that the worker wants */
	_Atomic(uint32_t) zygote;    /* futex: set when the zygote is ready */
	_Atomic(int32_t) error;      /* -errno of a fork, or of a thread's beginning, that the machine did not allow */
	int32_t zygote_pid;
	uint32_t unprivileged;
	/* what the zygote found out: start of the heap, end of where the kernel chooses, where a low hint is raised to */
	uint64_t heap, top, low;
	uint64_t code, code_end; /* the zygote's */
	/* of a process that ended by a signal that no statement explains */
	_Atomic(uint32_t) death;
	uint64_t death_at, death_address;
	struct fl_kern_family family[FL_DIFF_PROCESSES];
};

#define FL_KERN_AREA_BOARD (FL_DIFF_ACTORS * FL_DIFF_SCRATCH_SIZE)
#define FL_KERN_AREA_SLOTS (FL_KERN_AREA_BOARD + 1024)
#define FL_KERN_AREA_THREAD_POINTER (FL_KERN_AREA_BOARD + FL_DIFF_PAGE * 2 - 512)
#define FL_KERN_AREA_STACKS (FL_KERN_AREA_BOARD + FL_DIFF_PAGE * 2)
#define FL_KERN_ZYGOTE FL_DIFF_ACTORS /* its place among the stacks */
#define FL_KERN_AREA_SIZE (FL_KERN_AREA_STACKS + (FL_DIFF_ACTORS + 1) * FL_KERN_STACK)

_Static_assert(sizeof(struct fl_kern_board) <= 1024, "the board has 1024 bytes");
_Static_assert(1024 + FL_DIFF_ACTORS * sizeof(struct fl_kern_slot) <= FL_DIFF_PAGE * 2 - 512,
	       "slots fit into their pages");

/* Where the area is for whoever asks: FL_DIFF_SCRATCH, or where the worker has it. */
static inline struct fl_kern_board *fl_kern_board(uint64_t area)
{
	return (struct fl_kern_board *)(area + FL_KERN_AREA_BOARD);
}
static inline struct fl_kern_slot *fl_kern_slot(uint64_t area, unsigned actor)
{
	return (struct fl_kern_slot *)(area + FL_KERN_AREA_SLOTS) + actor;
}
static inline uint64_t fl_kern_stack(unsigned actor)
{
	return FL_DIFF_SCRATCH + FL_KERN_AREA_STACKS + actor * FL_KERN_STACK;
}

/* Waits while *word is seen; nanoseconds 0: for ever. */
static inline long fl_kern_wait(_Atomic(uint32_t) *word, uint32_t seen, int64_t nanoseconds)
{
	int64_t t[2] = {nanoseconds / 1000000000, nanoseconds % 1000000000};

	return FL_RAW_CALL4(SYS_futex, word, 0, seen, nanoseconds ? t : NULL);
}
static inline void fl_kern_wake(_Atomic(uint32_t) *word)
{
	FL_RAW_CALL3(SYS_futex, word, 1, INT32_MAX);
}

#pragma GCC visibility push(hidden)

/* child.c. What the zygote does to the end of its days, on its own stack. */
_Noreturn void fl_kern_zygote(const struct fl_kern_drop *drop, uint64_t drops, uint64_t heap);

/* access.c. Calls of an actor that are no system calls; and what turns the signals they end in into answers. */
void fl_kern_access(struct fl_kern_slot *slot, unsigned actor);
long fl_kern_handlers(void);
long fl_kern_signal_stack(unsigned actor);
/* fill.c: as many mappings in [lo, hi) as wanted, where there are so many now. 0 or -errno */
long fl_kern_fill(uint64_t lo, uint64_t hi, uint64_t maps, uint64_t before);
/* Go on with fl_kern_zygote on this stack. */
_Noreturn void fl_kern_enter(const struct fl_kern_drop *drop, uint64_t drops, uint64_t heap, uint64_t stack);

#pragma GCC visibility pop

/* The worker's view of an actor and of a process. */
struct fl_kern_actor {
	unsigned process;
	bool busy;     /* a call is under way in the kernel */
	bool asleep;   /* it was seen to sleep in it */
	bool sure;     /* in a userfaultfd: nobody but an actor ends that */
	bool spins;    /* it got a signal in a call that waits for a page: see settle.c */
	bool exits;    /* it is about to end, or has */
	bool gone;     /* it has ended, or was killed */
	bool absent;   /* setup, where it has nothing to do: no thread */
	int stat;      /* its /proc/.../stat, -1: not open */
	uint64_t spun; /* if it spins: how long it had run when this call began */
	double since;  /* when it was first seen to sleep */
	struct fl_call call;
	struct fl_answer answer; /* taken by fl_side_ops.answer */
};

struct fl_kern_process {
	bool made; /* fork said so */
	bool born; /* its actors wait for calls */
	bool dies; /* on purpose */
	bool gone;
	pid_t pid;
	int pidfd, maps, smaps, pagemap, mem; /* -1: not open */
};

struct fl_kern {
	struct fl_side side;
	struct fl_ground *ground; /* its foreign mappings are skipped in views */
	uint64_t area;            /* where the worker has it */
	pid_t zygote;             /* 0: none */
	int carrier[FL_DIFF_ACTORS];
	char *carried; /* all carriers, mapped */
	bool running;  /* between begin and end */
	bool stray;    /* somebody who forked was killed: a process may be there that nobody knows */
	bool filled;   /* a process is filled up with mappings: looking ends where these begin */
	unsigned actors, processes;
	struct fl_kern_actor actor[FL_DIFF_ACTORS];
	struct fl_kern_process process[FL_DIFF_PROCESSES];
	char *text; /* of /proc files */
	size_t text_size;
	uint64_t *entries; /* of pagemap: FL_KERN_ENTRIES */
	char *bytes;       /* of memory: FL_KERN_READ_PAGES */
};

static inline struct fl_kern *fl_kern_of(struct fl_side *side)
{
	return (struct fl_kern *)(void *)side; /* its first member */
}

FL_PRINTF(2, 3) int fl_kern_error(char **error, const char *format, ...);
double fl_kern_now(void);

/* zygote.c */
int fl_kern_zygote_start(struct fl_kern *k, char **error);
void fl_kern_zygote_stop(struct fl_kern *k);
bool fl_kern_zygote_lives(struct fl_kern *k);

/* world.c */
int fl_kern_begin(struct fl_side *side, const struct fl_scenario *s, char **error);
void fl_kern_end(struct fl_side *side);
/* All actors of it wait for calls: look at it from now on. */
int fl_kern_process_born(struct fl_kern *k, unsigned process, char **error);
bool fl_kern_process_died(struct fl_kern *k, unsigned process);

/* A process or thread could not be made. -1 */
int fl_kern_cannot_fork(struct fl_kern *k, char **error);

/* issue.c */
int fl_kern_issue(struct fl_side *side, const struct fl_call *c, enum fl_answer_state expect, char **error);
/* Let its actor begin. */
void fl_kern_post(struct fl_kern *k, const struct fl_call *c);
void fl_kern_answer(struct fl_side *side, unsigned actor, struct fl_answer *a);

/* fill.c: c limits mappings: from how many there shall be to how many must come for that. False: nobody is there. */
bool fl_kern_plan_fill(struct fl_kern *k, struct fl_call *c);

/* settle.c */
void fl_kern_let_spin(struct fl_kern *k, unsigned index, bool spin);
/* Until every actor has ended what it does, or sleeps. current: whose call was just begun. */
int fl_kern_settle(struct fl_kern *k, unsigned current, enum fl_answer_state expect, char **error);

/* view.c */
size_t fl_kern_parse_maps(char *text, struct fl_seen_map *m, size_t max, const struct fl_ground *ground);
int fl_kern_open_file(struct fl_kern *k, unsigned process, const char *name);
char *fl_kern_read_all(struct fl_kern *k, int fd);
size_t fl_kern_maps(struct fl_side *side, unsigned process, enum fl_view what, struct fl_seen_map *m, size_t max);
size_t fl_kern_pages(struct fl_side *side, unsigned process, const struct fl_seen_map *m, size_t maps,
		     struct fl_seen_page *p, size_t max);
int64_t fl_kern_unread(struct fl_side *side, unsigned uffd);

#endif
