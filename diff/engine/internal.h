/* SPDX-License-Identifier: MIT */
/*
 * What the files of the engine side share: a little kernel around the engine.
 *
 *   actor     a thread of the program: a fiber that waits for a call, does it, and waits for the next. Fibers are kept from one
 *             program to the next; the task and the vCPU come with the first call of a program
 *   process   an address space, kept until its last actor has gone. One that has no actors stays until the end
 *   file      an open userfaultfd. All processes share the descriptors. A call keeps its file, also over a close
 *   carrier   the file that an actor's pread64 and pwrite64 are about: a plain buffer of its own
 *   scratch   memory outside of all that is compared: foreign to the engine, served from a buffer here (ground.c)
 *
 * No locks: one OS thread. What one fiber leaves here is complete before it blocks.
 */
#ifndef FL_DIFF_ENGINE_INTERNAL_H
#define FL_DIFF_ENGINE_INTERNAL_H

#include "diff/diff.h"
#include "faultline/faultline.h"
#include "faultline/soft.h"
#include "fl_fiber.h"

#define FL_ENGINE_CARRIER FL_DIFF_SCRATCH_SIZE

struct fl_engine;

struct fl_engine_file {
	struct fl_engine_file *next; /* all of a program's */
	struct fl_uffd *u;           /* NULL: released */
	unsigned refs;               /* the descriptor, and calls under way */
	bool open;                   /* the descriptor is there */
	bool nonblock;
};

struct fl_engine_process {
	struct fl_mm *mm; /* NULL: not made yet, or gone. Holds a reference */
	bool made;
	unsigned actors;                   /* of its threads: those that have not gone */
	uint64_t as, data, memlock, stack; /* limits in bytes, as fl_mm_set_limits takes them: 0 is none */
};

struct fl_engine_actor {
	struct fl_engine *e;
	unsigned index, process;
	struct fl_fiber *fiber; /* NULL: has never been needed */
	bool gone;              /* it has ended */
	bool entered;           /* task and vCPU are there */
	bool busy;              /* a call is under way */
	bool leave;             /* it ends as soon as it is not busy */
	bool said;              /* the answer has been taken */
	struct fl_task task;
	struct fl_vcpu cpu;
	struct fl_call call;
	struct fl_answer answer;
};

struct fl_engine {
	struct fl_side side;
	struct fl_ground ground;
	void *arena;
	size_t arena_size;
	struct fl_frames *frames;
	uint64_t frames_base; /* used when there is no program */
	char *scratch;        /* FL_DIFF_ACTORS * FL_DIFF_SCRATCH_SIZE */
	char *carrier;        /* FL_DIFF_ACTORS * FL_ENGINE_CARRIER */
	char *broken;         /* what made this side useless: told by the next call that can */
	/* the program */
	bool running, unprivileged;
	unsigned actors, processes; /* setup and main among them */
	struct fl_engine_actor actor[FL_DIFF_ACTORS];
	struct fl_engine_process process[FL_DIFF_PROCESSES];
	struct fl_engine_file *files;
	struct fl_engine_file *file[FL_DIFF_UFFDS]; /* what a descriptor means; NULL: nothing yet */
};

static inline struct fl_engine *fl_engine_of(struct fl_side *side)
{
	return (struct fl_engine *)(void *)side; /* its first member */
}
static inline struct fl_engine_process *fl_engine_process(struct fl_engine_actor *a)
{
	return &a->e->process[a->process];
}
static inline char *fl_engine_carrier(struct fl_engine_actor *a)
{
	return a->e->carrier + a->index * FL_ENGINE_CARRIER;
}
static inline char *fl_engine_scratch(struct fl_engine_actor *a)
{
	return a->e->scratch + a->index * FL_DIFF_SCRATCH_SIZE;
}

/* Remember why this side can be used no more. The first reason stays. */
FL_PRINTF(2, 3)
void fl_engine_break(struct fl_engine *e, const char *format, ...);

/* ground.c: a new address space like that of a process in which nothing has been done yet. 0 or -errno. */
int fl_engine_make_mm(struct fl_engine *e, struct fl_mm **out);
/* The limits that a program begins with; and let the address space go by what they are now. */
void fl_engine_first_limits(struct fl_engine_process *p, const struct fl_ground *g);
void fl_engine_apply_limits(struct fl_engine_process *p);

/* actor.c */
/* Its fiber, if it has none yet. False: no memory. */
bool fl_engine_actor_ready(struct fl_engine_actor *a);
void fl_engine_actor_start(struct fl_engine_actor *a, const struct fl_call *c);
/* End the actors of a process, whatever they do. */
void fl_engine_kill(struct fl_engine *e, unsigned process);

/* access.c: LOAD, STORE, ADD, FETCH */
void fl_engine_access(struct fl_engine_actor *a);

/* syscall.c: what the system call nr gives. */
int64_t fl_engine_syscall(struct fl_engine_actor *a, unsigned nr, const uint64_t arg[6]);
/* The bytes [va, va + n) may be user memory at all: Linux's first look at a buffer. */
static inline bool fl_engine_user_range(uint64_t va, uint64_t n)
{
	uint64_t end = fl_arch_x86_64.task_size;

	return va <= end && n <= end - va;
}

/* file.c: calls on descriptors. index: of a userfaultfd; anything else is not open. */
int64_t fl_engine_open(struct fl_engine_actor *a, unsigned index, int flags);
int64_t fl_engine_close(struct fl_engine_actor *a, uint64_t index);
int64_t fl_engine_ioctl(struct fl_engine_actor *a, uint64_t index, uint64_t cmd, uint64_t arg);
int64_t fl_engine_read(struct fl_engine_actor *a, uint64_t index, uint64_t buf, uint64_t count);
int64_t fl_engine_poll(struct fl_engine_actor *a, uint64_t fds, uint64_t n);
int64_t fl_engine_pread(struct fl_engine_actor *a, uint64_t buf, uint64_t count, uint64_t pos);
int64_t fl_engine_pwrite(struct fl_engine_actor *a, uint64_t buf, uint64_t count, uint64_t pos);
/* All of a program's. No call is under way. */
void fl_engine_close_all(struct fl_engine *e);

/* view.c */
size_t fl_engine_maps(struct fl_side *side, unsigned process, enum fl_view what, struct fl_seen_map *m, size_t max);
size_t fl_engine_pages(struct fl_side *side, unsigned process, const struct fl_seen_map *m, size_t maps,
		       struct fl_seen_page *p, size_t max);

#endif
