/* SPDX-License-Identifier: MIT */
/*
 * The comparison of the engine with the running kernel: what all of its rooms share.
 *
 *   program   a scenario whose statements are done one after the other, in the order of the text. Each is done by one
 *             thread; the next one begins when every thread has ended what it does or sleeps in it
 *   call      what a statement is for a kernel: system calls with numbers and addresses, accesses, a fork. A statement
 *             becomes one call or a few (lower/)
 *   side      who executes calls: the engine (engine/), or the running kernel (host/). Both use the same addresses
 *   answer    what a call gave: the value, the signal, every byte that the kernel wrote to its caller's structures
 *   view      what an observer sees: mappings, pages
 *   play      a program on both sides: answers are compared after every call, mappings after every statement (play/)
 *
 * Addresses are the same on both sides, so they are compared by value: the process that executes calls on the kernel has no
 * address randomisation, and the engine is told of everything that is mapped in it (foreign mappings), and of where the
 * kernel begins to look for room.
 *
 * No locks: each process of the comparison is one thread, but for the threads that execute calls on the kernel.
 */
#ifndef FL_DIFF_H
#define FL_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "explore/lang/scenario.h"

#define FL_DIFF_PAGE 4096ull
/* The window of the scenario: 4096 pages, on both sides. Nothing else is near. */
#define FL_DIFF_WINDOW 0x200000000000ull
#define FL_DIFF_WINDOW_PAGES 4096ull
/*
 * Scratch: memory of an actor outside of all that is compared, for structures that calls point to. The first page is for
 * structures, the others for what COPY copies or sysread brings. Mapped on the host; foreign memory to the engine. FL_DIFF_ACTORS of them, one
 * after the other, FL_DIFF_SCRATCH_SIZE each.
 */
#define FL_DIFF_SCRATCH 0x100000000000ull
#define FL_DIFF_SCRATCH_SIZE (64ull * 1024)
#define FL_DIFF_THREADS 12u
#define FL_DIFF_ACTORS (FL_DIFF_THREADS + 1) /* the last: setup */
#define FL_DIFF_PROCESSES 6u                 /* main, and those made by fork */
#define FL_DIFF_UFFDS 6u
#define FL_DIFF_OUT 512u /* bytes of scratch that an answer has */
#define FL_DIFF_MAPS 512u
#define FL_DIFF_PAGES 4096u

/* Where the scratch of an actor is. */
static inline uint64_t fl_diff_scratch(unsigned actor)
{
	return FL_DIFF_SCRATCH + actor * FL_DIFF_SCRATCH_SIZE;
}

enum fl_call_kind {
	FL_CALL_SYSCALL, /* nr, arg */
	FL_CALL_LOAD, /* arg[0] address, size: 1, 2, 4, 8, 16 at any address; ret: the first 8 bytes; of 16 `out` has all */
	FL_CALL_STORE,  /* arg[0] address, size, value (16 bytes: the word twice) */
	FL_CALL_ADD,    /* arg[0] address, size 4 or 8, aligned; value */
	FL_CALL_FETCH,  /* arg[0] address */
	FL_CALL_FORK,   /* object: the process to be. Descriptors are shared with it, as by CLONE_FILES */
	FL_CALL_EXIT,   /* the actor ends; with the last one of a process goes its memory */
	FL_CALL_SIGNAL, /* object: the actor; fatal */
	FL_CALL_LIMIT,  /* object: RLIMIT_*, value: pages; or FL_SC_LIMIT_MAPS, mappings. UINT64_MAX: no limit */
	FL_CALL_KINDS
};

/* How an argument of a system call is to be understood. */
enum fl_arg_kind {
	FL_ARG_PLAIN,   /* as it is; addresses too */
	FL_ARG_UFFD,    /* index of a userfaultfd; one that is not open: a descriptor that is not open (EBADF) */
	FL_ARG_CARRIER, /* a memory file that system calls read from (sysread) and write to (syswrite) */
	FL_ARG_BRK,     /* value is added to the break's present end: brk(2) */
};

/* What is in the scratch that a call writes, so that a side can make it comparable. */
enum fl_out_kind {
	FL_OUT_PLAIN,    /* as it is */
	FL_OUT_MESSAGES, /* struct fl_uffd_msg: thread ids become the actor's index + 1 */
	FL_OUT_CARRIER,  /* what syswrite wrote to the carrier: `ret` bytes of it, hashed into the first 8 bytes */
	FL_OUT_CARRIED, /* the first bytes of the carrier themselves: as many as `ret` says, at most outs; then zeros */
	FL_OUT_POLL,    /* struct pollfd: the descriptor of userfaultfd `object` is put into it before, and 0 after */
};

struct fl_call {
	enum fl_call_kind kind;
	unsigned actor;
	unsigned nr; /* as on x86-64 */
	uint64_t arg[6];
	enum fl_arg_kind how[6];
	uint64_t value;
	unsigned size;
	unsigned object;
	bool fatal;
	bool opens; /* SYSCALL: makes userfaultfd `object` */
	/* Before: these bytes are put at the start of the actor's scratch; the rest of what the answer shows is 0 */
	unsigned ins;
	bool carried; /* or at the start of the carrier instead */
	uint8_t in[FL_DIFF_OUT];
	/* Before: every word of so many pages from scratch + 1 page on, and of the carrier's first bytes, is `fill` */
	unsigned fill_pages;
	uint64_t fill;
	/* After: so many bytes from the start of scratch are the answer's out */
	unsigned outs;
	enum fl_out_kind out_kind;
	/* For who plays a statement of several calls: */
	uint64_t lacks; /* bits of the 8 bytes at lacks_at that tell of what the engine does not have yet (fl_lacks) */
	unsigned lacks_at;
	bool gives; /* the statement's result is made of this call's answer */
	bool needs; /* it is not done if the call before did not end well */
};

enum fl_answer_state {
	FL_ANSWER_NONE,   /* no call, or its answer has been taken already */
	FL_ANSWER_DONE,   /* it ended */
	FL_ANSWER_ASLEEP, /* it sleeps */
	FL_ANSWER_GONE,   /* the actor is not there: not born, has ended, or was killed in it */
};

struct fl_answer {
	enum fl_answer_state state;
	int64_t ret; /* of a system call: as the kernel returns it, -errno for an error; of LOAD and ADD: the value */
	unsigned signo; /* the access ended in a signal; 0: none */
	int si_code;
	uint64_t sig_addr;     /* si_addr, which is a macro of signal.h */
	bool interrupted;      /* a signal sent by SIGNAL ended an access that waited */
	uint64_t minor, major; /* faults that the thread was charged for during the call */
	unsigned outs;
	uint8_t out[FL_DIFF_OUT];
};

/* One line of /proc/PID/maps. */
struct fl_seen_map {
	uint64_t start, end;
	unsigned prot; /* FL_PROT_* */
	bool shared;
	uint64_t offset;  /* bytes, as shown there: 0 of what is anonymous */
	bool heap, stack; /* it is called [heap] or [stack] */
	/* with what == FL_VIEW_FLAGS: those of smaps' VmFlags that both sides know, as FL_VM_* */
	uint64_t vm_flags;
};

enum fl_view {
	FL_VIEW_MAPS,  /* the mappings, as in /proc/PID/maps */
	FL_VIEW_FLAGS, /* with VmFlags, as in /proc/PID/smaps */
};

/* Of /proc/PID/pagemap. Only pages of which something is to be told are listed. */
#define FL_PAGE_PRESENT 1u
#define FL_PAGE_SWAPPED 2u /* or a marker */
#define FL_PAGE_GUARD 4u
#define FL_PAGE_UFFD_WP 8u
#define FL_PAGE_FILE 16u
#define FL_PAGE_EXCLUSIVE 32u
struct fl_seen_page {
	uint64_t address;
	unsigned bits;
	uint64_t hash; /* of a present page's bytes (fl_diff_hash), 0 if it is all zero; else 0 */
};
uint64_t fl_diff_hash(const void *bytes, size_t n); /* 0 for zeros; lower/hash.c */

/* What the engine must know of the process that executes calls on the kernel. Filled in by host/, read by engine/. */
struct fl_ground {
	size_t foreigns;
	struct fl_seen_map foreign[FL_DIFF_MAPS]; /* all that is mapped before a program begins; scratch among it */
	uint64_t mmap_lo, mmap_hi;                /* where the kernel chooses, top down */
	uint64_t min_addr; /* vm.mmap_min_addr: below only who has CAP_SYS_RAWIO may fix a mapping */
	uint64_t min_hint; /* where a lower hint without FIXED is raised to, for everybody */
	uint64_t memory;   /* bytes that there are, with swap: what heuristic overcommit goes by */
	uint64_t brk;      /* where the heap would begin: nothing is there yet */
	uint64_t max_maps;
	/*
	 * Where a process is filled up with mappings, for LIMIT of FL_SC_LIMIT_MAPS: above all that anybody maps, with room for max_maps of a
	 * page each. What is there is nobody's to see. Both 0: there is no room, and such a limit is EOPNOTSUPP.
	 */
	uint64_t fill_lo, fill_hi;
	/* RLIMIT_MEMLOCK and RLIMIT_STACK in bytes, at most: more is not to be had here. 0: any */
	uint64_t most_memlock, most_stack;
	bool root;                  /* may do what needs CAP_SYS_PTRACE, CAP_IPC_LOCK, CAP_SYS_RAWIO, ... */
	unsigned unprivileged_uffd; /* vm.unprivileged_userfaultfd */
	char release[64];           /* uname -r */
};

struct fl_side;
struct fl_side_ops {
	const char *name; /* "engine", "kernel" */
	/*
	 * A world for one program: main process, its actors, setup. 0, or -1 with *error (to free).
	 * unprivileged: without capabilities.
	 */
	int (*begin)(struct fl_side *side, const struct fl_scenario *s, char **error);
	/*
	 * Start a call of an actor that does nothing, and go on until every actor has ended what it does, or sleeps. expect: what
	 * the other side says of this call; only a hint for how long to look. 0; -1 with *error: this side is broken.
	 */
	int (*issue)(struct fl_side *side, const struct fl_call *c, enum fl_answer_state expect, char **error);
	/* What became of the actor's last call. DONE is said once, then NONE until the next call. */
	void (*answer)(struct fl_side *side, unsigned actor, struct fl_answer *a);
	/* Is there an address space of this process? */
	bool (*alive)(struct fl_side *side, unsigned process);
	/* All mappings but the ground's, in order. How many there are; at most max are written. */
	size_t (*maps)(struct fl_side *side, unsigned process, enum fl_view what, struct fl_seen_map *m, size_t max);
	/* Pages of these mappings. Nothing of the state is changed by looking. */
	size_t (*pages)(struct fl_side *side, unsigned process, const struct fl_seen_map *m, size_t maps,
			struct fl_seen_page *p, size_t max);
	/* How many messages of a userfaultfd are unread; -1: this side cannot know. */
	int64_t (*unread)(struct fl_side *side, unsigned uffd);
	/* End the world. Sleepers and all. */
	void (*end)(struct fl_side *side);
	/*
	 * After end: what the program has broken on this side for good, for example memory that is not given back. NULL: nothing.
	 * No op: nobody looks.
	 */
	const char *(*broken)(struct fl_side *side);
	void (*free)(struct fl_side *side);
};
struct fl_side {
	const struct fl_side_ops *ops;
};

/* host/: fork the process that all worlds are forked from, and look at it. Before the caller grows. NULL and *error. */
struct fl_side *fl_host_side_new(struct fl_ground *ground, char **error);
/*
 * Once in main, before anything: address randomisation off (executes the program again, with argv), as the ground must
 * be the same each time. Returns if that is so.
 */
void fl_host_side_settle(char **argv);
/* engine/: NULL: no memory. The ground is copied. */
struct fl_side *fl_engine_side_new(const struct fl_ground *ground);
/*
 * engine/: what kind of mapping a call is about, for coverage and rules: of len bytes at address in this process, before
 * the call. (An address space must be alive.)
 */
enum fl_diff_kind {
	FL_DIFF_KIND_NOTHING,   /* the statement names no memory */
	FL_DIFF_KIND_HOLE,      /* nothing is mapped there at all */
	FL_DIFF_KIND_ANON,      /* private anonymous, nothing special */
	FL_DIFF_KIND_READONLY,  /* the same without write permission */
	FL_DIFF_KIND_PROT_NONE, /* the same without any */
	FL_DIFF_KIND_LOCKED,
	FL_DIFF_KIND_STACK,   /* grows down */
	FL_DIFF_KIND_HEAP,    /* brk */
	FL_DIFF_KIND_WIPE,    /* wipe on fork, or not inherited at all */
	FL_DIFF_KIND_UFFD,    /* registered with a userfaultfd */
	FL_DIFF_KIND_MIXED,   /* several mappings that touch */
	FL_DIFF_KIND_GAPS,    /* mappings, and holes between or beyond */
	FL_DIFF_KIND_OUTSIDE, /* not within user addresses, or below what may be mapped, or it wraps around */
	FL_DIFF_KIND_SHMEM,   /* from here on: not yet there */
	FL_DIFF_KIND_FILE,
	FL_DIFF_KIND_HUGETLB,
	FL_DIFF_KINDS
};
enum fl_diff_kind fl_engine_side_kind(struct fl_side *engine, unsigned process, uint64_t address, uint64_t len);
const char *fl_diff_kind_name(enum fl_diff_kind kind);
/* engine/: is any of these bytes on the ground: mapped before the program begins? */
bool fl_engine_side_on_ground(const struct fl_side *engine, uint64_t address, uint64_t len);
/* engine/: what is in memory there: zeros where no page is. Nothing is changed by looking. */
void fl_engine_side_peek(const struct fl_side *engine, unsigned process, uint64_t address, void *to, size_t n);

/*
 * lower/: statement st of actor (its thread's index, or s->threads for setup) becomes calls. results: what the statements so far
 * have bound, by result index, as the engine answered (addresses are from the window's start). Returns how many calls; 0:
 * it names a result that is an error, so there is nothing to do. -1 and *error: this statement cannot be compared (it names the place).
 */
#define FL_CALLS_MAX 4u
int fl_lower(const struct fl_scenario *s, const struct fl_sc_statement *st, unsigned actor, const int64_t *results,
	     struct fl_call call[FL_CALLS_MAX], char **error);
/* What the statement's result is, from the answer of the call that gives it: an error, an address from the window's start, ... */
int64_t fl_lower_result(const struct fl_scenario *s, const struct fl_sc_statement *st, const struct fl_call *c,
			const struct fl_answer *a);
/*
 * What the engine does not have yet and a structure lists: these bits are left out of the kernel's answer when it is compared, and
 * of no other. As the engine grows, lines go.
 */
struct fl_lack {
	const char *name;
	uint64_t cmd; /* of the ioctl */
	unsigned at;  /* where in its structure */
	uint64_t bits;
	const char *reason;
};
extern const struct fl_lack fl_lacks[];
extern const size_t fl_lacks_count;
/* The memory that a statement is about. False: none. */
bool fl_lower_range(const struct fl_scenario *s, const struct fl_sc_statement *st, const int64_t *results,
		    uint64_t *address, uint64_t *len);
/* Could any statement of it not be lowered, or is there no fixed order? NULL, or why not (to free). Before begin. */
char *fl_lower_refuse(const struct fl_scenario *s);

#endif
