/* SPDX-License-Identifier: MIT */
/*
 * What the files of the search share.
 *
 *   event     a step of the run under way, and the node of the tree of schedules that it was taken at
 *   clock     of an event: for each process the number of its last event that comes before (or is) this one, plus one
 *   shadow    who touched each slot last, as an array of words. A change of a word is noted, so that events can be taken
 *             back exactly
 *   record    a step that was taken at a node, and all that follows it explored: it sleeps there for the node's later branches
 *
 * Numbers of events that may be missing are stored plus one; 0 is none. No locks: one OS thread.
 */
#ifndef FL_SEARCH_INTERNAL_H
#define FL_SEARCH_INTERNAL_H

#include "explore/search/search.h"

#define BIT(p) ((uint32_t)1 << (p))

/* Go through the bits of a mask, lowest first: the next one. */
static inline bool next_bit(uint32_t *mask, uint32_t *bit)
{
	if (!*mask)
		return false;
	*bit = (uint32_t)__builtin_ctz(*mask);
	*mask &= *mask - 1;
	return true;
}

struct event {
	/* The node: what could go, what has been or must be explored, what need not, who could not go since its last step. */
	uint32_t enabled, backtrack, sleep, awaited;
	uint32_t parts; /* given away below this node, and not yet merged */
	/* Before the event: how much there was of each stack, and what the run had so far. */
	uint32_t undo, ranges, choices;
	uint32_t preemptions, choice_points;
	/* The event */
	uint32_t prev;    /* the process's event before this one, plus one */
	uint32_t section; /* where the section began that the process was in before the event, plus one */
	uint32_t queued;  /* of a callback: by which event, plus one */
	uint32_t object;
	uint64_t touched; /* bounded.c */
	uint8_t proc, kind;
	bool wide, queues;
	uint32_t nth;      /* of the process's events: 0, 1, ... */
	uint32_t sections; /* that the process has begun, this event included */
	uint32_t stores;   /* that it has put into its buffer, likewise */
};

struct record {
	uint32_t node, proc;
	uint32_t before; /* the process's record before this one, plus one */
	uint32_t ranges, count;
	bool wide;
};

struct choice {
	uint32_t value, n;
};

struct undo {
	uint32_t word, value;
};

/* A race with a step above the part that this search explores. */
struct outside {
	uint32_t depth, initials;
};

/* An array that grows. */
struct stack {
	void *at;
	size_t n, room;
};

/* A stretch of a schedule that is replayed. */
struct stretch {
	uint32_t proc, steps;
};

enum run_state {
	RUN_NONE,
	RUN_UNDER_WAY,
	RUN_ENDED,
	RUN_READY, /* the next one is: up to node n as it was, and then `branch` */
	RUN_OVER,  /* there is no next one: unless there is by now at node n, or above */
};

struct fl_search {
	struct fl_search_config config;
	struct fl_search_stats stats;
	unsigned procs;
	uint32_t stride; /* words of a clock */

	/* The run */
	enum run_state state;
	uint32_t n;      /* events */
	uint32_t room;   /* for so many */
	uint32_t pos;    /* of them the world has come so far */
	uint32_t keep;   /* and those before this are as in the run before */
	uint32_t forced; /* those before this are as a saved state has them */
	uint32_t root;   /* what is above this node is another search's */
	int branch;      /* who goes at node `keep`, or -1 */
	bool told;       /* the event under way has been given to fl_search_step */
	bool fresh;      /* nothing was run yet */
	bool loaded;     /* this run begins as a saved state has it */
	struct event *event;
	uint32_t *clock;

	struct stack ranges, choices, undo, records, kept, outside; /* kept: the records' ranges */
	uint32_t record[FL_SEARCH_PROCS];                           /* the last one of each process, plus one */
	uint32_t cursor;                                            /* the next choice */

	uint32_t *shadow;
	uint32_t slot_words; /* of each slot */
	uint32_t callbacks;  /* which process runs them, plus one */

	/* The event under way: conflicting events, at most one of each process, and one that orders but does not race. */
	uint32_t conflicts;
	uint32_t conflict[FL_SEARCH_PROCS];
	uint32_t quiet;
	bool open; /* it goes on */

	/* RANDOM and PCT */
	uint64_t random;
	uint64_t begun;
	uint32_t changes; /* priorities changed in this run */
	uint32_t *change; /* at which steps */
	uint32_t priority[FL_SEARCH_PROCS];

	/* The fair end of a long run: whom each process that has yielded waits for. */
	bool fair;
	uint32_t fair_last;
	uint32_t fair_waits[FL_SEARCH_PROCS];

	/* REPLAY */
	struct stack stretches;
	uint32_t stretch, taken;
	bool replay_fair;

	char error[160];
};

/* The shadow's words: for each process, then for all, then for each slot. */
enum {
	WORD_LAST,                                  /* its last event, plus one */
	WORD_SECTION = WORD_LAST + FL_SEARCH_PROCS, /* the BEGIN of the section it is in, plus one */
	WORD_NEST = WORD_SECTION + FL_SEARCH_PROCS, /* how deep */
	WORD_WIDE = WORD_NEST + FL_SEARCH_PROCS,    /* the last wide event, plus one */
	WORD_SLOTS,
};
/* Of a slot; then the last read and the last count of each process, good if its bit is set. */
enum {
	SLOT_WRITE,
	SLOT_OWNER,
	SLOT_READERS,
	SLOT_COUNTERS,
	SLOT_HEAD
};

static inline uint32_t *clock_of(const struct fl_search *s, uint32_t e)
{
	return s->clock + (size_t)e * s->stride;
}

static inline bool searches_all(const struct fl_search *s)
{
	return s->config.mode == FL_SEARCH_DPOR || s->config.mode == FL_SEARCH_BOUNDED;
}

/* search.c */
bool fl_search_fail(struct fl_search *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool fl_search_more(struct fl_search *s, struct stack *stack, size_t size);
/* Room for one more of `size` bytes: where it goes (counted), or NULL after fl_search_fail. */
static inline void *fl_search_push(struct fl_search *s, struct stack *stack, size_t size)
{
	if (stack->n == stack->room && !fl_search_more(s, stack, size))
		return NULL;
	return (char *)stack->at + size * stack->n++;
}
/* Room for event n and its clock. */
bool fl_search_grow(struct fl_search *s, uint32_t n);

/* dpor.c */
int fl_dpor_next(struct fl_search *s, uint32_t enabled, const struct fl_step pending[], int running);
/* Make the next run ready; false: there is none now. */
bool fl_dpor_advance(struct fl_search *s);
/* What is below the branch under way at this node is done, or another search's: go on at the node with its next one. */
bool fl_dpor_leave(struct fl_search *s, uint32_t node);
/* The choices of an event are those before this one. */
uint32_t fl_dpor_choices_end(const struct fl_search *s, uint32_t e);
/* The last choice of an event that has an alternative left, plus one. */
uint32_t fl_dpor_choice_left(const struct fl_search *s, uint32_t e);

/* A slot of the search's own, written by whoever queues a callback: they run in the order of their calls. */
static inline uint32_t calls_slot(const struct fl_search *s)
{
	return s->config.slots;
}

/* race.c */
void fl_race_step(struct fl_search *s, unsigned p, const struct fl_step *step);
void fl_race_touch(struct fl_search *s, uint32_t slot, uint32_t n, enum fl_touch touch);
/* The event under way is over: all that it touched is known, and so its races. */
void fl_race_finish(struct fl_search *s);
/* Has all that comes before this call, and that its callback waits for, been done? */
bool fl_race_may_call(const struct fl_search *s, uint32_t call);
/* The call of the callback at this slot, plus one; 0: none. */
uint32_t fl_race_call_of(const struct fl_search *s, uint32_t slot);
void fl_race_waiting(struct fl_search *s, unsigned p, const struct fl_step *step);
/* Does what process p does where it sleeps depend on event e? */
bool fl_race_wakes(const struct fl_search *s, uint32_t p, uint32_t e);
/* Take the events from n on out of the shadow. */
void fl_race_undo(struct fl_search *s, uint32_t n);
/* Does event w conflict with this? *counts: by a count, which need not have come in this order. */
bool fl_race_touched(const struct fl_search *s, uint32_t w, const struct fl_step_range *range, bool *counts);

/* reverse.c */
/* Events f and e race; e is process p's, with this clock. Let what does not come after f go first. */
void fl_reverse(struct fl_search *s, uint32_t f, uint32_t e, uint32_t p, const uint32_t *clock);
/* One of these processes must go at this node; process p if there is a choice. */
bool fl_race_add(struct fl_search *s, uint32_t node, uint32_t initials, uint32_t p);

/* bounded.c */
/* Who may go at this node without a preemption too many. */
uint32_t fl_bounded_may(const struct fl_search *s, uint32_t node, uint32_t enabled);
/* Event e is over; with this clock, before what it conflicts with is joined. */
void fl_bounded_event(struct fl_search *s, uint32_t e, const uint32_t *clock);
/* The same for process p, which waits at the end of the run to touch these, as event e. */
void fl_bounded_waiting(struct fl_search *s, uint32_t e, uint32_t p, const uint32_t *clock,
			const struct fl_step_range *range, size_t n);

/* pick.c */
int fl_pick_fair(struct fl_search *s, uint32_t enabled);
int fl_pick_random(struct fl_search *s, uint32_t enabled);
int fl_pick_replay(struct fl_search *s, uint32_t enabled, int running);
bool fl_pick_begin(struct fl_search *s);
/* A replay must have been followed to its end. */
void fl_pick_end(struct fl_search *s);
unsigned fl_pick_choice(struct fl_search *s, unsigned n);

/* text.c */
bool fl_text_schedule(struct fl_search *s, const char *text);
/* state.c */
/* What is left of a part: as fl_search_save, but what it has counted stays here. */
char *fl_state_left(struct fl_search *s);
bool fl_state_load(struct fl_search *s, const char *text);

#endif
