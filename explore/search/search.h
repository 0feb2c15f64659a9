/* SPDX-License-Identifier: MIT */
/*
 * The search: which process takes the next step, so that every schedule that can matter is run once.
 *
 * It knows nothing of fibers or of the engine. It is told what each process would do next, says who goes, and is told
 * what the step did. So it can be tested on little models, against brute force.
 *
 *   process   a thread; the fiber of the grace-period callbacks; under TSO, for each thread, the buffer that drains
 *   slot      a piece of memory, lock or parker: a small number that the driver gives. Two steps can depend on each
 *             other only by a slot
 *   step      what a process does when it goes once: a kind, and the slots it touches
 *   run       steps from the start to an end
 *
 * The algorithm is source-set dynamic partial-order reduction with sleep sets (Abdulla, Aronis, Jonsson, Sagonas:
 * "Optimal dynamic partial order reduction", POPL 2014, algorithm 1), with locks, parkers and grace periods as follows.
 *
 *   lock      enabled while the lock is free. The last lock step of another process races with it, whatever lies between
 *             unlock and lock; the unlock does not (the lock could not go before it).
 *   park      enabled while a wake-up is due. Unparks do not depend on each other; each races with the park.
 *   callback  waits for the sections whose begin comes before its call, and for nobody else: that is, comes before it in every
 *             equivalent run. In a run where a begin merely went earlier the callback does not wait for that section, for in
 *             another one that is equivalent the call went first. So begin and call do not depend on each other, and whether a
 *             callback may go is the search's to say (fl_search_may_call). Likewise it waits for the stores that come before
 *             its call to leave their buffers. Callbacks run in the order of their calls, which so depend on each other
 *   section   it may wait, for a lock say, but not for what a callback brings about: not by way of a lock either, that somebody
 *             holds who waits for the callback. Such a dead-lock may be missed. Where a section waits for ever for another
 *             reason, the callbacks that wait for it may be found to have gone; what the others have come to is the same
 *   flush     a buffer's step, enabled by the store that filled the entry: that orders the two, and is no race. A step that
 *             waits for its own buffer to be empty comes after all its steps so far (`after`), and that is no race either
 *   waiting   a LOCAL step, too, may be enabled only at times (it waits for a value): what it reads decides.
 *
 * No locks: one OS thread.
 */
#ifndef FL_SEARCH_H
#define FL_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FL_SEARCH_PROCS 32
#define FL_STEP_RANGES 4

enum fl_step_kind {
	FL_STEP_LOCAL,   /* touches nothing but its ranges */
	FL_STEP_LOCK,    /* object: the lock's slot */
	FL_STEP_TRYLOCK, /* always enabled; result says whether it got the lock */
	FL_STEP_UNLOCK,
	FL_STEP_PARK, /* object: the parker's slot */
	FL_STEP_UNPARK,
	FL_STEP_BEGIN,    /* of a read-side section */
	FL_STEP_END,      /* of it */
	FL_STEP_CALLBACK, /* the callbacks' process begins one; object: its slot (see FL_TOUCH_QUEUE) */
	FL_STEP_FLUSH,    /* a store leaves a buffer; object: the entry's slot (see FL_TOUCH_BUFFER) */
	FL_STEP_YIELD,    /* nothing; for fairness */
};

enum fl_touch {
	FL_TOUCH_READ,
	FL_TOUCH_WRITE,
	FL_TOUCH_COUNT,  /* adds to it and does not look: depends on reads and writes, not on other counts */
	FL_TOUCH_QUEUE,  /* a write to a callback's slot, by the step that queues it */
	FL_TOUCH_BUFFER, /* a write to an entry's slot, by the store that waits in it */
};

struct fl_step_range {
	uint32_t slot, n;
	uint32_t touch; /* enum fl_touch */
};

/* More ranges than there is room for: `wide`, and the step depends on every other. */
struct fl_step {
	uint8_t kind; /* enum fl_step_kind */
	uint8_t ranges;
	bool result;
	bool wide;
	uint32_t object; /* a slot */
	uint32_t after;  /* processes (bits): the step can be taken only when all that they have to do so far is done */
	struct fl_step_range range[FL_STEP_RANGES];
};

enum fl_search_mode {
	FL_SEARCH_DPOR,
	FL_SEARCH_BOUNDED,
	FL_SEARCH_PCT,
	FL_SEARCH_RANDOM,
	FL_SEARCH_REPLAY
};

struct fl_search_config {
	enum fl_search_mode mode;
	unsigned procs;
	uint32_t slots;       /* numbers below this */
	unsigned buffers;     /* TSO: process p's buffer is process p + buffers; 0: there are none */
	uint32_t preemptions; /* BOUNDED: at most; PCT: the depth less one */
	uint64_t runs;        /* PCT, RANDOM: how many */
	uint64_t seed;
	uint32_t events;    /* a run longer than this goes on fairly: round-robin, with yields obeyed */
	const char *replay; /* REPLAY: a schedule as fl_search_schedule gave it */
	bool lenient;       /* REPLAY: where it cannot be followed go on without preemption, lowest process first */
	const char *state;  /* what fl_search_save gave, or NULL */
};

struct fl_search;

/* NULL: out of memory, or replay or state cannot be read (*error: a text, not to be freed). */
struct fl_search *fl_search_new(const struct fl_search_config *config, const char **error);
void fl_search_free(struct fl_search *s);

/*
 * Begin the next run; false: there is none. *keep: the first so many steps are those of the run before, and the world may be put back to
 * the state after them (or after any shorter prefix, which fl_search_restored then tells) rather than to the start.
 */
bool fl_search_begin(struct fl_search *s, uint32_t *keep);
/* The world stands after this many steps (at most keep); steps up to keep will be repeated by fl_search_next. */
void fl_search_restored(struct fl_search *s, uint32_t steps);

/*
 * Who goes next: one of `enabled` (bits). pending[p]: what p would do as far as is known before it does it; all zero
 * for one that is done. running: who took the last step, or -1. -1: the run is given up as equivalent to others.
 */
int fl_search_next(struct fl_search *s, uint32_t enabled, const struct fl_step pending[], int running);
/* p has begun its step. During a repeated prefix only fl_search_next is needed; calls of these are ignored there. */
void fl_search_step(struct fl_search *s, unsigned p, const struct fl_step *step);
/* The step under way also touches these (it frees them, say). */
void fl_search_touch(struct fl_search *s, uint32_t slot, uint32_t n, enum fl_touch touch);
/*
 * May the callback at this slot go? due: what a grace period that looks at the order in which things went would say; it is the
 * answer where the search keeps no order (in the fair part of a run).
 */
bool fl_search_may_call(struct fl_search *s, uint32_t slot, bool due);
/* How many sections of process p the callback at this slot comes after: its first so many. */
uint32_t fl_search_sections(const struct fl_search *s, uint32_t slot, unsigned p);
/* The step under way is one of n alternatives: which one. Each is run. */
unsigned fl_search_choose(struct fl_search *s, unsigned n);
/*
 * The run has ended, as it may. waiting (bits): who is not done and cannot go on; pending: what each of them waits to do.
 */
void fl_search_end(struct fl_search *s, uint32_t waiting, const struct fl_step pending[]);

/* The schedule of the run as text: letters, digits, '-', '.'; to free. */
char *fl_search_schedule(const struct fl_search *s);
/* All that is still to do, as text to go on from; to free. Between two runs; the schedule of the last one is gone then. */
char *fl_search_save(struct fl_search *s);
/*
 * Give away a part of what is still to do, for another search to do (config.state), as text to free; NULL: nothing worth it.
 * Races that the other finds with steps above its part come back by fl_search_merge, between two runs of the giver; before they
 * do, the giver is not done: fl_search_begin may return false, and stats.parts says how many parts are out.
 * Between two runs.
 */
char *fl_search_split(struct fl_search *s);
char *fl_search_races(const struct fl_search *s); /* of a part that is done: what its giver must know */
bool fl_search_merge(struct fl_search *s, const char *races);

struct fl_search_stats {
	uint64_t runs, cut, over, steps, repeated, choice_points;
	uint32_t longest;
	uint32_t parts;       /* given away, and not merged */
	uint32_t preemptions; /* of the run under way */
	/*
	 * NULL, or why there is no going on: no memory, a replay that cannot be followed, a world that does not repeat
	 * itself. fl_search_next then returns -1, and fl_search_begin false. Good as long as the search.
	 */
	const char *error;
};
void fl_search_stats(const struct fl_search *s, struct fl_search_stats *stats);

#endif
