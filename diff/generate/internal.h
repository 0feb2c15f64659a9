/* SPDX-License-Identifier: MIT */
/*
 * What the files of the generator share: the program so far, what it has probably done, and how statements are chosen.
 *
 *   area      pages that statements can name: a place, or what a call gave whose address the kernel chose
 *   process   what the generator believes of its pages. Only a belief: a call may fail. It decides what is worth asking
 *   row       one kind of statement: a weight, what it is about, and a function that writes it
 *   family    a table of rows; one file each
 *
 * An operation that is new is one row and one function.
 *
 * No locks: one thread.
 */
#ifndef FL_DIFF_GENERATE_INTERNAL_H
#define FL_DIFF_GENERATE_INTERNAL_H

#include "diff/generate.h"
#include "faultline/compiler.h"
#include "faultline/uapi.h"

#define FL_GEN_PROCESSES 4u
#define FL_GEN_THREADS 9u
#define FL_GEN_AREAS 10u
#define FL_GEN_UFFDS 3u
#define FL_GEN_PAGES 128 /* of an area, that the generator keeps in mind */

/* What is believed of a page. The first three bits are FL_PROT_*. */
enum {
	FL_GEN_PROT = 7,
	FL_GEN_MAPPED = 1 << 3,
	FL_GEN_LOCKED = 1 << 4,
	FL_GEN_GUARD = 1 << 5,
	FL_GEN_DOWN = 1 << 6,
	FL_GEN_THERE = 1 << 7, /* a page, not only a mapping */
	FL_GEN_UFFD = 7 << 8,  /* 1 + index, shifted by FL_GEN_UFFD_SHIFT; 0: none */
	FL_GEN_NOFORK = 1 << 11,
	FL_GEN_WIPE = 1 << 12,
	FL_GEN_FREED = 1 << 13, /* advised to be free since it came; written or not */
};
#define FL_GEN_UFFD_SHIFT 8

struct fl_gen_area {
	char name[8];
	bool result;    /* a result's name, not a place's */
	int64_t bias;   /* bytes from what the name means to the first page in mind */
	uint64_t whole; /* of a place: pages that may be named */
	uint64_t at;    /* of a place: its page in the window */
	int pages;      /* in mind */
};

struct fl_gen_process {
	unsigned depth; /* of forks */
	char name[8];   /* of a forked one */
	uint16_t page[FL_GEN_AREAS][FL_GEN_PAGES];
};

struct fl_gen_thread {
	char name[8];
	unsigned process;
	bool gone;
	bool asleep;
	bool in_kernel; /* it sleeps in a system call */
	unsigned area;  /* where it sleeps; FL_GEN_AREAS: in read */
	int page;
	unsigned uffd; /* of what */
};

struct fl_gen_uffd {
	bool named, opened; /* there has been a statement with it; there has been one that opens it */
	bool open, ready, nonblock, sigbus, user_only, thread_id;
	unsigned process; /* whose memory it is about */
	unsigned messages;
};

struct fl_gen {
	uint64_t random;
	struct fl_generate_options o;
	unsigned focus; /* what this program is mostly about */
	unsigned edge;  /* of a hundred ranges, so many are spoilt */
	bool privileged;
	bool heap_used; /* the break has been moved */
	bool limited;   /* there has been a limit, so that it may not move */
	bool big;       /* there is room for what the kernel would make huge pages of */
	/* the text */
	char *text;
	size_t used, room;
	bool failed; /* no memory for it */
	/* what is believed */
	unsigned areas, processes, threads, results, messages;
	struct fl_gen_area area[FL_GEN_AREAS];
	struct fl_gen_process process[FL_GEN_PROCESSES];
	struct fl_gen_thread thread[FL_GEN_THREADS];
	struct fl_gen_uffd uffd[FL_GEN_UFFDS];
	unsigned self; /* the thread whose statement this is */
};

/* A piece of memory, as a statement will name it. */
struct fl_gen_span {
	bool number; /* an address: at; else bytes from the first page in mind */
	unsigned area;
	int64_t at;
	uint64_t bytes;
};

struct fl_gen_row {
	unsigned weight, focus; /* FL_FOCUS_*: what it is about */
	bool (*make)(
		struct fl_gen *g); /* writes a statement of g->self; false: it makes no sense now, nothing written */
};
struct fl_gen_family {
	const struct fl_gen_row *row;
	size_t rows;
};
extern const struct fl_gen_family fl_gen_maps, fl_gen_remaps, fl_gen_advice, fl_gen_accesses, fl_gen_pointers,
	fl_gen_processes, fl_gen_locks, fl_gen_limits, fl_gen_stacks, fl_gen_uffds, fl_gen_fills;

/* Chance (chance.c) */
uint64_t fl_gen_random(struct fl_gen *g);
unsigned fl_gen_below(struct fl_gen *g, unsigned n); /* 0 to n - 1 */
bool fl_gen_percent(struct fl_gen *g, unsigned percent);
uint64_t fl_gen_one(struct fl_gen *g, const uint64_t *list, unsigned n);
/* The i-th of n with these weights. */
unsigned fl_gen_weighted(struct fl_gen *g, const unsigned *weight, unsigned n);
#define FL_GEN_ONE(g, list) fl_gen_one(g, list, sizeof(list) / sizeof((list)[0]))
#define FL_GEN_WORD(g, list) ((list)[fl_gen_below(g, sizeof(list) / sizeof((list)[0]))])

/* Text (say.c) */
/* The statement ends; the same thread's next one begins. */
void fl_gen_say_next(struct fl_gen *g);
/* The same, and the next one is this thread's: it is g->self from now on. */
void fl_gen_say_turn(struct fl_gen *g, unsigned thread);
FL_PRINTF(2, 3) void fl_gen_say(struct fl_gen *g, const char *format, ...);
/* The span as a location; as a range, with what the brackets cannot say left to fl_gen_say_bytes, after the arguments. */
void fl_gen_say_place(struct fl_gen *g, const struct fl_gen_span *s);
void fl_gen_say_range(struct fl_gen *g, const struct fl_gen_span *s);
void fl_gen_say_bytes(struct fl_gen *g, const struct fl_gen_span *s);
void fl_gen_say_prot(struct fl_gen *g, unsigned prot);
/* A new result, written as `p1 = `: pages of memory that the kernel placed. False: there are enough. */
bool fl_gen_say_result(struct fl_gen *g, int pages, int64_t bias);

/* Spans (span.c). process: whose pages. */
enum fl_gen_want {
	FL_GEN_ANY,
	FL_GEN_IS,      /* mapped */
	FL_GEN_FREE,    /* not mapped */
	FL_GEN_FILLED,  /* with a page */
	FL_GEN_WATCHED, /* registered with a userfaultfd */
	FL_GEN_MISSING, /* the same, and no page there */
	FL_GEN_LOCKS,   /* locked */
	FL_GEN_GIVEN,   /* given up: free to be taken away, unless it is written */
	FL_GEN_SPECIAL, /* locked, guarded, a stack, registered, not inherited, or with odd protection */
};
/* What may be done to it to make it a hard case. */
enum fl_gen_spoil {
	FL_GEN_SPOIL_NOT = 0,
	FL_GEN_SPOIL_ODD = 1,  /* addresses and lengths that are no multiple of a page */
	FL_GEN_SPOIL_ELSE = 2, /* addresses far from all memory */
	FL_GEN_SPOIL_WRAP = 4, /* lengths with which the end wraps around */
	FL_GEN_SPOIL_HUGE = 8, /* lengths beyond the top of user addresses */
	FL_GEN_SPOIL_FAR = 16, /* lengths far beyond the window, with nothing there */
	FL_GEN_SPOIL_LENGTH = FL_GEN_SPOIL_ODD | FL_GEN_SPOIL_ELSE | FL_GEN_SPOIL_WRAP,
	FL_GEN_SPOIL_ALL = FL_GEN_SPOIL_LENGTH | FL_GEN_SPOIL_HUGE | FL_GEN_SPOIL_FAR,
};
struct fl_gen_span fl_gen_span(struct fl_gen *g, unsigned process, enum fl_gen_want want, unsigned spoil);
/* Mapped memory, and such as the program is about. */
enum fl_gen_want fl_gen_usual(struct fl_gen *g);
/* A page of it; is there one? page, area: where. */
bool fl_gen_find(struct fl_gen *g, unsigned process, enum fl_gen_want want, unsigned *area, int *page);
/* Some place in a page, or at its edge, where an access of size bytes may begin. */
struct fl_gen_span fl_gen_place(struct fl_gen *g, unsigned process, enum fl_gen_want want, unsigned size);
/*
 * Around what the kernel has placed there may be memory of the process that executes programs on it, so nothing there
 * may reach beyond what is known to be ours.
 */
void fl_gen_keep_within(const struct fl_gen *g, struct fl_gen_span *s);
/* An address far from all memory, on a page's border or not. */
uint64_t fl_gen_elsewhere(struct fl_gen *g);

/* Belief (belief.c). Pages of the span that are in mind. */
bool fl_gen_matches(uint16_t page, enum fl_gen_want want);
void fl_gen_change(struct fl_gen *g, unsigned process, const struct fl_gen_span *s, unsigned clear, unsigned set);
void fl_gen_replace(struct fl_gen *g, unsigned process, const struct fl_gen_span *s, uint16_t page);
/* Threads of the process sleep no more in the span, but for those who wait for others' userfaultfds (FL_GEN_UFFDS: all). */
void fl_gen_wake(struct fl_gen *g, unsigned process, const struct fl_gen_span *s, unsigned uffd);
/*
 * g->self touches these bytes: pages come, or it falls asleep. False: it would, and there would be nobody left to wake it, so do not.
 * write, kernel: how it is touched.
 */
bool fl_gen_touch(struct fl_gen *g, const struct fl_gen_span *s, bool write, bool kernel);
/* A thread of the process that is awake, and not g->self. FL_GEN_THREADS: none. */
unsigned fl_gen_other(const struct fl_gen *g, unsigned process);
unsigned fl_gen_awake(const struct fl_gen *g);
/* A process or a thread that is new. */
unsigned fl_gen_add_thread(struct fl_gen *g, const char *name, unsigned process);
/* Whether the program is about any of these. */
static inline bool fl_gen_about(const struct fl_gen *g, unsigned focus)
{
	return (g->focus & focus) != 0;
}
static inline uint64_t fl_gen_bytes(int64_t pages)
{
	return (uint64_t)pages * FL_DIFF_PAGE;
}
/* The process of the thread whose statement this is. */
static inline unsigned fl_gen_here(const struct fl_gen *g)
{
	return g->thread[g->self].process;
}

#endif
