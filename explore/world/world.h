/* SPDX-License-Identifier: MIT */
/*
 * The world in which a test is explored: what its files know about each other.
 *
 *   process   who takes steps in the search: threads 0 to n - 1, then the fiber of the grace-period callbacks, then,
 *             under TSO, the store buffers of all of these in the same order
 *   run state what a run changes outside of explored memory; one struct that is saved and restored whole
 *   root      the world as setup left it, each thread having run to its first point
 *   snapshot  the world after some steps of the run under way
 *
 * No locks: one OS thread, and one exploration at a time.
 */
#ifndef FL_WORLD_H
#define FL_WORLD_H

#include "explore/search/search.h"
#include "faultline/explore.h"
#include "fl_fiber.h"

#define FL_WORLD_FIBERS (FL_EXPLORE_THREADS + 1)
#define FL_WORLD_OUTCOME 8192 /* bytes of an outcome's text */
#define FL_WORLD_TEXT 1024    /* and of a finding's */

struct fl_world_heap {
	uint32_t used;    /* bytes */
	uint32_t objects; /* made in it */
};

/* A thread's operation, for reports. */
struct fl_world_op {
	const char *text;
	uint32_t line;
};

struct fl_world_run {
	uint32_t steps;
	uint32_t done;      /* bits of the processes that have ended */
	uint32_t choices;   /* made */
	uint32_t free;      /* bits of those that can go whatever happens, store buffers aside */
	int running;        /* who took the last step; -1 */
	uint32_t allocated; /* bytes of fl_port_alloc, live */
	uint32_t allocs_failed;
	uint32_t freed;      /* entries in use in the log of frees */
	uint32_t ops_ended;  /* fl_explore_op_end and ends of threads */
	uint32_t last_ended; /* steps when the last of them came */
	struct fl_world_heap heap[FL_WORLD_FIBERS + 2];
	struct fl_world_op op[FL_WORLD_FIBERS];
	struct fl_step pending[FL_SEARCH_PROCS];
	struct fl_fiber_point point[FL_WORLD_FIBERS]; /* what the pending step of a fiber is */
	struct fl_world_op point_op[FL_WORLD_FIBERS]; /* in which operation */
	struct {
		bool (*ready)(void *);
		void *arg;
	} await[FL_WORLD_FIBERS];
};

struct fl_world_thread {
	char name[FL_EXPLORE_NAME];
	void (*fn)(void *);
	void *arg;
	bool may_block;
	struct fl_fiber *fiber;
};

struct fl_world {
	const struct fl_explore_test *test;
	const struct fl_explore_options *options;
	struct fl_search *search;
	struct fl_world_thread thread[FL_WORLD_FIBERS]; /* the last one in use: the callbacks' */
	unsigned threads, fibers, procs;
	bool setting_up;      /* setup runs */
	bool prologue;        /* threads run to their first points */
	bool thinking;        /* accesses are no points: a condition is looked at */
	bool active;          /* there is a world */
	bool cut;             /* the search gave the run up */
	bool stuck;           /* the run was ended by us: it is too long */
	bool saving;          /* a snapshot is due, and needs the outside */
	bool finishing;       /* finish runs */
	uint32_t events;      /* the bound */
	uint32_t snapshot_at; /* steps before the next snapshot; UINT32_MAX: none is to come */
	uint64_t switches;
	/* What the run has found; kind NONE: nothing. */
	enum fl_explore_kind kind;
	char text[FL_WORLD_TEXT];
	char outcome[FL_WORLD_OUTCOME];
	size_t outcome_length;
};

extern struct fl_world fl_world;
extern struct fl_world_run fl_run;

/* The number of the process that runs: its fiber's; -1 outside. */
int fl_world_current(void);
const char *fl_world_name(unsigned proc);

/* memory.c */
FL_MUST_CHECK const char *fl_memory_open(void); /* NULL, or why there is none */
void fl_memory_close(void);
void *fl_memory_alloc(size_t size, bool counted);
void fl_memory_free(void *p, size_t size);
void *fl_memory_stack(void *arg, size_t *size);
bool fl_memory_keep(void *p, size_t n);
bool fl_memory_is_explored(const volatile void *p);
/* After setup: the numbers of slots are given out. Returns how many there are. */
uint32_t fl_memory_number(void);
/* The slots of n bytes at p. False: p is not in explored memory, and *slot is the one of all such memory. */
bool fl_memory_slots(const volatile void *p, size_t n, uint32_t *slot, uint32_t *count);

/* objects.c */
void fl_objects_close(void);
FL_MUST_CHECK bool fl_objects_add(unsigned heap, uint32_t index, uintptr_t at, size_t size);
/* The size that the object at p was made with; false: there is none at p. */
bool fl_objects_find(unsigned heap, uint32_t objects, uintptr_t p, size_t *size);
FL_MUST_CHECK bool fl_objects_name(const void *p, size_t n, const char *name);
/* "table made by reader #2 +0x10"; returns buf. */
const char *fl_objects_describe(const volatile void *p, char *buf, size_t size);
/* memory.c tells objects.c: the heap that p lies in, -1: none; and whose it is. */
int fl_memory_heap(uintptr_t p);
const char *fl_memory_heap_owner(unsigned heap);
/* The thread whose stack p lies in, or -1, and how far below its top. */
int fl_memory_stack_of(uintptr_t p, size_t *below);

/* snapshot.c */
FL_MUST_CHECK bool fl_snapshot_root(void);
FL_MUST_CHECK bool fl_snapshot_take(void);   /* after fl_run.steps steps */
uint32_t fl_snapshot_restore(uint32_t keep); /* to the latest of at most keep steps; which */
/* Of a run that repeats so many steps: when to take the next snapshot, after so many; UINT32_MAX: no more. */
uint32_t fl_snapshot_next(uint32_t steps, uint32_t keep);
bool fl_snapshot_fault(uintptr_t address); /* a write to a page that had never changed: go on; false: no such page */
void fl_snapshot_close(void);

/* step.c */
struct fl_fiber *fl_step_next(void *arg, struct fl_fiber *f, const struct fl_fiber_point *point);
struct fl_fiber *fl_step_decide(struct fl_fiber *self);
uint32_t fl_step_waiting(void); /* who is not done and cannot go on (bits) */
/* path.c: who goes, and which alternative: as the search says, or (again) as in the run before. */
int fl_path_next(uint32_t enabled);
unsigned fl_path_choose(unsigned n);
void fl_path_step(unsigned p, const struct fl_step *st);
void fl_path_touch_slots(uint32_t slot, uint32_t n); /* the step under way also writes these */
void fl_path_touch(const volatile void *p, size_t n);
void fl_path_again(bool again);
void fl_path_close(void);

/* finding.c */
FL_PRINTF(2, 3) void fl_finding(enum fl_explore_kind kind, const char *format, ...);
void fl_finding_deadlock(void);
void fl_finding_livelock(void);
void fl_world_panic(void *arg, const char *file, int line, const char *what);
/* The run ends here. In a fiber, or outside in setup or finish. */
FL_NORETURN void fl_world_leave(void);

/* crash.c */
FL_MUST_CHECK bool fl_crash_open(void);
void fl_crash_close(void);

/* event.c */
void fl_event_begin(unsigned proc, uint32_t enabled); /* proc takes a step */
void fl_event_flush(void);                            /* it is over */
void fl_event_result(const char *text);
void fl_event_waiting(uint32_t fibers); /* the run has ended, and these wait */
void fl_event_reset(void);

/* id.c */
char *fl_id_make(const char *schedule);
/* The schedule in a run id of this test, or NULL and *error. */
const char *fl_id_read(const char *id, const char **error);

/* api.c: a step of the current fiber with n alternatives: which one */
unsigned fl_world_choose(unsigned n, const char *what);

#endif
