/* SPDX-License-Identifier: MIT */
/*
 * What the files of the engine's executor share.
 *
 *   fl_exec    a scenario, and what can be known of it without running it. Ordinary memory; fixed once it is made
 *   fl_stage   the world of the runs: arena, address spaces, tasks, results. Explored memory, put back before each run
 *   actor      a thread of the scenario with its task and vCPU; one more, the last, does the setup
 *   cell       a result or a shared variable
 *   file       a userfaultfd as its descriptor's users see it
 *   scratch    pages of an actor outside of the window, for the structures that ioctls take and for what COPY copies.
 *              They are resident, have a leaf table of their own, and are not inherited by fork; so the executor writes and
 *              reads them straight in their frames, and what the engine does with them meets nobody else
 *
 * The executor's own words in the stage are plain. What threads tell each other by them is one atomic access each, of a
 * word beside (`changes`, `turn`): that access is the step, and what follows it up to the next step is part of it.
 *
 * No locks: one OS thread.
 */
#ifndef FL_EXEC_INT_H
#define FL_EXEC_INT_H

#include "explore/exec/exec.h"
#include "faultline/faultline.h"
#include "faultline/soft.h"

#define FL_EXEC_WINDOW_PAGES 4096u
#define FL_EXEC_LOOKS 32u  /* places and counts that properties may speak of */
#define FL_EXEC_TEXT 8200u /* bytes of an outcome; one that is too long is a finding of the explorer */
#define FL_EXEC_FIELDS (FL_SC_F_THREAD + 1u)
#define FL_EXEC_NOBODY UINT32_MAX

/* What threads wait for. Whoever changes what hangs on it counts it up: that is the step. */
struct fl_word {
	uint32_t changes; /* (a) */
	uint32_t stirred; /* threads that shall look for signals: a bit each */
};

struct fl_cell {
	struct fl_word
		*word; /* NULL: nobody else reads it. Its own, or the stage's if somebody waits for several at once */
	struct fl_word own;
	int64_t value[FL_EXEC_FIELDS]; /* by enum fl_sc_field; a number is the first */
};

struct fl_file {
	struct fl_uffd *u;   /* NULL: released, or never opened */
	uint32_t turn;       /* (a) who opens, uses or closes it takes a turn, if it is ever closed */
	uint32_t refs;       /* the descriptor, and calls under way */
	bool open;           /* the descriptor is there */
	struct fl_word word; /* of unread, if there is a wait */
	uint32_t unread;
	uint64_t reads; /* messages read so far */
};

enum fl_exec_state {
	FL_EXEC_UNBORN, /* fork has not made it */
	FL_EXEC_ALIVE,
	FL_EXEC_NEVER, /* nobody will make it any more */
};

struct fl_exec_process {
	struct fl_mm *mm;
	uint32_t state; /* (a) enum fl_exec_state */
	bool kept;      /* no thread is in it: the reference is ours */
};

struct fl_actor {
	struct fl_exec *x;
	unsigned index;
	struct fl_task task;
	struct fl_vcpu cpu;
	bool entered; /* task, vCPU and scratch have been made */
	bool live;    /* task and vCPU are still there */
	bool started; /* it has begun its statements */
	bool dead;    /* a fatal signal ended it */
	uint64_t faults, retries;
	const struct fl_sc_statement *at;
	fl_va scratch; /* its first page: structures; then what COPY copies */
	char **page;   /* where the pages of scratch are */
	bool filled;   /* the pages to copy hold `fill` */
	uint64_t fill;
};

struct fl_stage {
	void *arena;
	size_t arena_size;
	size_t allocated; /* explored memory in use before the first object of the engine */
	struct fl_frames *frames;
	struct fl_exec_process *process; /* main, then those made by fork */
	struct fl_file *file;
	struct fl_cell *result, *variable;
	struct fl_word together; /* of all cells that somebody waits for together with others */
	struct fl_actor *actor;
};

/* Of a thread, or of setup: the last. */
struct fl_exec_thread {
	unsigned scratch; /* pages; 0: it makes no call that needs one */
	fl_va at;         /* where scratch lies */
	bool signalled;   /* somebody signals it */
	bool killed;      /* fatally */
	bool awaits;      /* await or wait among its statements */
	bool accesses;    /* it needs a vCPU; one without would only have shoot-downs wait for it */
};

struct fl_exec_state_key {
	uint64_t low, high;
};

struct fl_exec {
	const struct fl_scenario *s;
	struct fl_explore_test test;
	struct fl_arch arch;
	fl_va window, heap;
	struct fl_exec_thread *thread;
	unsigned *forker; /* by process made by fork: the thread that makes it */
	bool *leaves;     /* by process: some thread of it says exit, so they all really leave */
	bool *together;   /* by variable: some await looks at this one and another */
	bool *waited;     /* by userfaultfd: there is a wait */
	bool *closed;     /* by userfaultfd: there is a close */
	bool *nonblock;   /* by userfaultfd: opened so */
	bool has_fork, has_brk;
	bool silent; /* a page may come under a sleeper with no wake-up, by Linux's own rules */
	bool *seen;  /* by property: a `sometimes` that has been */
	struct fl_stage *stage;
	/* what the end of the present run looks like */
	size_t looks;
	const struct fl_sc_expr *look[FL_EXEC_LOOKS];
	int64_t look_value[FL_EXEC_LOOKS];
	char text[FL_EXEC_TEXT];
	/* states that were checked: see known.c */
	struct fl_exec_state_key state; /* the present one */
	struct fl_exec_state_key *known;
	size_t nknown, known_room;
};

/* A statement went well, or the thread ends here. */
enum fl_flow {
	FL_FLOW_ON,
	FL_FLOW_END
};

/* facts.c: what can be known beforehand. NULL, or a text to free: why it cannot be run. */
char *fl_exec_find_facts(struct fl_exec *x);
/* refuse.c: the same: what the engine does not have. */
char *fl_exec_refuse(const struct fl_scenario *s);
FL_PRINTF(3, 4)
char *fl_exec_error(const struct fl_scenario *s, const struct fl_place *place, const char *format, ...);

/* stage.c */
void fl_exec_setup(void *exec);
/* Make an actor's task and vCPU in mm, and its scratch. 0 or -errno with nothing made. Any thread may do that. */
int fl_actor_enter(struct fl_actor *a, struct fl_mm *mm);
void fl_actor_leave(struct fl_actor *a);

/* thread.c */
void fl_exec_run(void *actor);
enum fl_flow fl_exec_body(struct fl_actor *a, const struct fl_sc_statement *s, size_t n);
enum fl_flow fl_exec_statement(struct fl_actor *a, const struct fl_sc_statement *s);
bool fl_exec_is_setup(const struct fl_actor *a);
const char *fl_exec_actor_name(const struct fl_actor *a);

/* cell.c */
void fl_cell_write(struct fl_cell *c, const int64_t *value, unsigned n);
int64_t fl_cell_read(struct fl_cell *c, unsigned field);
int64_t fl_exec_value(struct fl_actor *a, const struct fl_sc_expr *e);
bool fl_exec_holds(struct fl_actor *a, const struct fl_sc_expr *e);
/* "e1=0 x=2": what e looks at, in a thread. */
void fl_exec_explain(struct fl_actor *a, const struct fl_sc_expr *e, char *buf, size_t size);
/* Wait until e holds. False: the thread is to die. */
bool fl_exec_await(struct fl_actor *a, const struct fl_sc_expr *e);
/* Wait at w until ready(arg), which looks at what hangs on w alone, or until a is stirred. */
void fl_word_await(struct fl_word *w, const struct fl_actor *a, bool (*ready)(void *arg), void *arg);
bool fl_word_stirred(struct fl_word *w, const struct fl_actor *a);
/* Let t look for signals, whatever it waits for. */
void fl_exec_stir(struct fl_exec *x, unsigned t);

/* access.c: accesses and copies. Values as the scenario has them. */
int64_t fl_exec_access(struct fl_actor *a, const struct fl_sc_statement *s);
/* Between accesses of one block: let shoot-downs go on. And: the block ends, because something else comes. */
void fl_exec_stay(struct fl_actor *a);
void fl_exec_leave_cpu(struct fl_actor *a);
fl_va fl_exec_address(const struct fl_exec *x, const struct fl_sc_range *r);
uint64_t fl_exec_bytes(const struct fl_exec *x, const struct fl_sc_range *r);

/* memory.c: memory calls */
int64_t fl_exec_memory_call(struct fl_actor *a, const struct fl_sc_statement *s);

/* uffd.c. field: of a message, all UNSET before; the event is what is returned. */
int64_t fl_exec_uffd_call(struct fl_actor *a, const struct fl_sc_statement *s, int64_t *field);

/* process.c */
int64_t fl_exec_fork(struct fl_actor *a, const struct fl_sc_statement *s);
int64_t fl_exec_signal(struct fl_actor *a, const struct fl_sc_statement *s);
/* Take the signals that have come. True: it is to die. */
bool fl_exec_take_signals(struct fl_actor *a);
/* Wait for the thread's process. False: there will be none. */
bool fl_exec_begin(struct fl_actor *a);
void fl_exec_end(struct fl_actor *a);

/* look.c: what there is at the end. In finish only. */
struct fl_sc_context fl_exec_end_context(struct fl_exec *x);
void fl_exec_look(struct fl_exec *x);
bool fl_exec_is_alive(const struct fl_exec *x, unsigned process);
bool fl_exec_is_blocked(const struct fl_exec *x, unsigned thread);

/* asleep.c: what is to be said of threads that are blocked. FL_EXPLORE_NONE: nothing. */
enum fl_explore_kind fl_exec_judge(struct fl_exec *x, char *text, size_t size);

/* known.c */
bool fl_exec_is_known(struct fl_exec *x, bool blocked);
/* What fl_exec_is_known was asked about. */
void fl_exec_is_good(struct fl_exec *x);
void fl_exec_forget(struct fl_exec *x);

/* finish.c */
void fl_exec_finish(void *exec);

#endif
