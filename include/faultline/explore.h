/* SPDX-License-Identifier: MIT */
/*
 * Explore a small concurrent program: run it under every schedule that can matter, and say what can happen.
 *
 *   test      setup builds a world and names its threads; finish looks at the end of each run
 *   run       one execution of the threads from the world that setup built, to an end: every thread is done, or none
 *             can go on
 *   schedule  who went when in a run. A run id is a schedule in text; it replays the run exactly, on any machine
 *   event     one step of a thread: what a shared access, lock, wait or section does, and the thread's own code up to its
 *             next one
 *   finding   something that must not be: a check that fails, a dead-lock, a data race, ...
 *   outcome   what finish says of an end in one line
 *
 * The program under test is C code over fl_port.h: the engine, or an embedder's own. It is linked with
 * libfaultline-explore.a, which has the engine, the soft machine, the fibers port and the explorer. Code compiled
 * with -fsanitize=thread (and linked without) has its plain accesses watched as well, so that a data race is a finding;
 * but for what memcpy, memset and memmove do.
 *
 * What the threads share lies in explored memory: what setup and the threads get from fl_port_alloc or fl_explore_alloc,
 * and what fl_explore_keep names. It is put back before each run; nothing else is. A thread must do the same whenever it
 * sees the same: no clock, no random numbers, no input.
 *
 * fl_rcu_barrier is for setup and finish. In a thread it works, but not every order of it and of calls is explored.
 *
 * One exploration at a time in a process; everything here is called on one OS thread.
 */
#ifndef FAULTLINE_EXPLORE_H
#define FAULTLINE_EXPLORE_H

#include "faultline/fl_port.h"

FL_BEGIN_C

#define FL_EXPLORE_THREADS 12 /* at most */
#define FL_EXPLORE_NAME 24    /* bytes of a thread's name, with its end */

struct fl_explore_test {
	const char *name;
	void *arg;
	/* Outside of any thread, once for each exploration. It may use the engine, as long as it need not wait. */
	void (*setup)(void *arg);
	/*
	 * Outside of any thread, at the end of each run; may be NULL. It may look at everything and change
	 * everything, but it cannot wait. It says what it found by fl_explore_fail and fl_explore_outcome.
	 */
	void (*finish)(void *arg);
};

/* In setup */

/* A thread that will run fn(arg), and where; returns its number, 0, 1, ... More than FL_EXPLORE_THREADS: a panic. */
unsigned fl_explore_thread(const char *name, void (*fn)(void *), void *arg);
/* It is no dead-lock if this thread waits for ever. */
void fl_explore_may_block(unsigned thread);
/* Explored memory that is never freed; zeroed. Also in a thread. NULL if there is none left. */
FL_MUST_CHECK void *fl_explore_alloc(size_t size);
/* Put these bytes (a variable of the test's) back before each run, too. */
void fl_explore_keep(void *p, size_t n);
/* How dumps name an object at p of n bytes, in place of creator and number. The text is copied. */
void fl_explore_name(const void *p, size_t n, const char *name);

/* In a thread */

/*
 * Wait until ready(arg), which reads nothing shared but *p (with fl_load) and has no effects. Never spins. Not for what a
 * callback does while in a section, or while holding a lock that a section takes: such a dead-lock may not be found.
 */
void fl_explore_await(const uint32_t *p, bool (*ready)(void *arg), void *arg);
/* One of 0 to n - 1: each is explored. n >= 1. */
unsigned fl_explore_choose(unsigned n, const char *what);
/* A step that does nothing. A loop that retries says so here: a fair scheduler then lets the others go first. */
void fl_explore_yield(void);
/*
 * For reports: the thread begins an operation of the test's source, at a line of it; text is kept, not copied.
 * fl_explore_op_end: it has ended, with this result. Neither is a step.
 */
void fl_explore_op(unsigned line, const char *text);
FL_PRINTF(1, 2) void fl_explore_op_end(const char *format, ...);

/* Anywhere in a run */

enum fl_explore_kind {
	FL_EXPLORE_NONE,
	FL_EXPLORE_CHECK,       /* an assertion of the test */
	FL_EXPLORE_PROPERTY,    /* always or never of a scenario */
	FL_EXPLORE_DEADLOCK,    /* threads wait, and nobody can wake them */
	FL_EXPLORE_LOST_WAKEUP, /* a thread sleeps though what it waits for is there */
	FL_EXPLORE_LIVELOCK,    /* under a fair scheduler nobody gets anywhere */
	FL_EXPLORE_RACE,        /* two plain accesses, or one and an atomic one, and nothing orders them */
	FL_EXPLORE_FREED,       /* freed memory is used */
	FL_EXPLORE_LEAK,        /* memory or frames are left */
	FL_EXPLORE_CHECKER,     /* an invariant of the engine is broken */
	FL_EXPLORE_PANIC,       /* an assertion of the engine, or of the port */
	FL_EXPLORE_CRASH,       /* a SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT in the program under test */
};
const char *fl_explore_kind_name(enum fl_explore_kind kind);

/* The run ends here with a finding. In a thread it does not return; in finish it returns, and the first one counts. */
FL_PRINTF(2, 3) void fl_explore_fail(enum fl_explore_kind kind, const char *format, ...);
#define FL_EXPLORE_CHECK(e) ((e) ? (void)0 : fl_explore_fail(FL_EXPLORE_CHECK, "%s:%d: %s", __FILE__, __LINE__, #e))

/* In finish */

bool fl_explore_is_blocked(unsigned thread);
/* What the thread waits in, for messages: "parked", "waits for a mutex", ... */
const char *fl_explore_wait_name(unsigned thread);
/* The run's outcome, appended to what was said so far in this run. */
FL_PRINTF(1, 2) void fl_explore_outcome(const char *format, ...);
/* Bytes of explored memory that were allocated by fl_port_alloc and not freed; callbacks that are due are run first. */
size_t fl_explore_allocated(void);

/* Exploring */

enum fl_explore_search {
	FL_EXPLORE_DPOR,    /* every schedule, one of each set of equivalent ones */
	FL_EXPLORE_BOUNDED, /* every schedule with at most `preemptions` preemptions */
	FL_EXPLORE_PCT,     /* random priorities, `preemptions` + 1 changes; `schedules` runs */
	FL_EXPLORE_RANDOM,  /* `schedules` runs */
};

enum fl_explore_memory {
	FL_EXPLORE_SC, /* sequential consistency */
	FL_EXPLORE_TSO, /* a store that is not seq_cst waits in its thread's store buffer, and may leave it at any point */
};

/*
 * One step of the run that is replayed, as it is taken; and, after the last one, for each thread that waits then, what it
 * waits in. Strings are good during the call.
 */
struct fl_explore_event {
	uint32_t index;                    /* in the run: 0, 1, ... */
	unsigned thread;                   /* its number; FL_EXPLORE_RCU: the grace-period callbacks' */
	const char *name;                  /* the thread's */
	bool waits;                        /* at the end: this step is one that it cannot take */
	bool flush;                        /* a store leaves the thread's store buffer */
	bool switched;                     /* another thread took the step before */
	bool preempted;                    /* and could have gone on */
	const struct fl_access_site *site; /* where in the program under test, and what */
	const char *object;                /* what it touches, by its name */
	unsigned op_line;                  /* what fl_explore_op said last; 0: nothing */
	const char *op;
	const char *result; /* set in the thread's last event of an operation: what fl_explore_op_end said */
};
#define FL_EXPLORE_RCU FL_EXPLORE_THREADS

struct fl_explore_progress {
	uint64_t schedules, cut;
	double seconds;
};

struct fl_explore_options {
	enum fl_explore_search search;
	enum fl_explore_memory memory;
	uint64_t schedules;   /* stop after so many runs; 0: when all are done */
	uint32_t preemptions; /* see enum fl_explore_search */
	uint64_t seed;
	/*
	 * A run longer than this goes on under a fair scheduler, and is a live-lock if there nobody ends an operation in as
	 * many steps again, or 1000. 0: 20,000.
	 */
	uint32_t events;
	uint32_t alloc_fails; /* at most so many allocations of a run fail, each in turn; 0: none */
	bool no_plain;        /* do not watch plain accesses */
	bool keep_going;      /* do not stop at the first finding; the first of each kind and text is kept */
	const char *
		replay; /* run this one run id only, with `event`; lenient: where it cannot be followed, go on as it can */
	bool lenient;
	bool stop;        /* with replay: raise SIGTRAP for a debugger */
	unsigned stop_at; /* where: before this event; UINT_MAX: at the finding's */
	/*
	 * Go on from here: what report.state was when a run of the same test was stopped. The report goes on counting
	 * runs and steps from there; its outcomes, findings, switches and seconds are of this part alone.
	 */
	const char *state;
	unsigned
		jobs; /* explore in so many processes; 0, 1: in this one. DPOR and BOUNDED with no bound on schedules */
	/* Any may be NULL. progress is called about ten times a second; false: stop, and leave report.state. */
	void *arg;
	void (*event)(void *arg, const struct fl_explore_event *event);
	bool (*progress)(void *arg, const struct fl_explore_progress *progress);
};

struct fl_explore_finding {
	enum fl_explore_kind kind;
	char *text;
	char *run_id;
	uint32_t preemptions, events; /* of that run */
};
struct fl_explore_seen {
	char *text;   /* the outcome */
	char *run_id; /* a witness: the first run that ended so */
	uint64_t runs;
};

struct fl_explore_report {
	/*
	 * Every schedule within the options was run. A run ends at its finding, though, and a schedule that only shows
	 * by what would have come after it is not known: with keep_going, outcomes may be missing beside a finding.
	 */
	bool complete;
	uint64_t schedules; /* complete, inequivalent runs */
	uint64_t cut;       /* begun, and given up as equivalent to one that was run */
	uint64_t over;      /* of `schedules`: longer than the bound on events, and ended under the fair scheduler */
	uint64_t events;    /* steps taken, replayed ones not counted */
	uint64_t replayed;  /* and replayed */
	uint32_t longest;   /* events of the longest run */
	uint64_t choice_points; /* of all runs: steps at which more than one thread could have gone on */
	uint64_t switches;      /* from a fiber to another */
	double seconds;
	uint32_t blocks_reached, blocks; /* of the code that was compiled to be counted; 0 of 0: none was */
	size_t findings, outcomes;
	struct fl_explore_finding *finding;
	struct fl_explore_seen *outcome; /* in the order of their text */
	char *state; /* to go on from, if progress (or, with jobs, a finding) has stopped it; or NULL */
};

/*
 * Explore. 0 with *report filled in (also when there are findings), or -FL_EINVAL (options that make no sense, a run id or
 * state that is not this test's, a test that does not repeat itself), or -FL_ENOMEM: then the report is empty, and
 * *error, if error is not NULL, a text to free.
 */
int fl_explore(const struct fl_explore_test *test, const struct fl_explore_options *options,
	       struct fl_explore_report *report, char **error);
void fl_explore_report_free(struct fl_explore_report *report);

FL_END_C

#endif
