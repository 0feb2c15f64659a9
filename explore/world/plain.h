/* SPDX-License-Identifier: MIT */
/*
 * Data races: plain accesses, clocks, and what orders them; and the blocks of code that are reached. See plain.c, order.c
 * and cover.c.
 *
 * No locks: one OS thread.
 */
#ifndef FL_WORLD_PLAIN_H
#define FL_WORLD_PLAIN_H

#include "layout.h"
#include "world.h"

/* An access, for what follows: the sum of these. Neither: a plain read. */
#define FL_PLAIN_WRITE 1u
#define FL_PLAIN_ATOMIC 2u

#define FL_CLOCK 16 /* words of a clock: one for each fiber, and some to round */

struct fl_clock {
	union {
		uint32_t at[FL_CLOCK];
		uint64_t word[FL_CLOCK / 2]; /* for the log */
	};
};

/* Saved and restored with the run. */
struct fl_order {
	struct fl_clock now[FL_WORLD_FIBERS];      /* of each fiber */
	struct fl_clock acquired[FL_WORLD_FIBERS]; /* what its relaxed loads would give it at a fence */
	struct fl_clock released[FL_WORLD_FIBERS]; /* what its relaxed stores give, since its last fence */
	uint32_t ended[FL_WORLD_FIBERS];           /* how many sections each has ended */
	struct fl_clock callbacks;                 /* the callbacks that are over */
	uint32_t log;                              /* entries in the log of changes */
};
extern struct fl_order fl_order;

static inline bool fl_plain_on(void)
{
	return !fl_world.options->no_plain;
}

/* Who runs, for the hooks: its fiber; -1: nobody, or nothing is to be seen. */
extern int fl_plain_proc;

/* Memory that can be raced on is looked at in pieces of 8 bytes. For each: who came there (see plain.c). */
#define FL_SEEN_BYTES 8u
#define FL_SEEN_WHO 15u /* the number of one fiber plus one, or SEVERAL */
#define FL_SEEN_SEVERAL 15u
#define FL_SEEN_WRITE 16u
#define FL_SEEN_PLAIN 32u
#define FL_SEEN_ALL (FL_SEEN_SEVERAL | FL_SEEN_WRITE | FL_SEEN_PLAIN)
extern unsigned char *fl_plain_seen; /* of explored memory */
extern bool fl_plain_keeps_all;

/* Nothing is new about this access of fiber p, and nothing can race with it. False: that is not certain. */
static inline bool fl_plain_is_dull(unsigned p, const volatile void *at, size_t n, unsigned bits)
{
	uintptr_t offset = (uintptr_t)at - FL_MEMORY_BASE;
	unsigned seen, who;

	if (offset >= FL_MEMORY_SIZE || offset % FL_SEEN_BYTES + n > FL_SEEN_BYTES)
		return false;
	seen = fl_plain_seen[offset / FL_SEEN_BYTES];
	who = seen & FL_SEEN_WHO;
	return (seen & bits) == bits && (who == p + 1 || who == FL_SEEN_SEVERAL) && seen != FL_SEEN_ALL &&
	       !fl_plain_keeps_all;
}

/* The running fiber reads or writes n bytes at p by ordinary code at pc. */
void fl_plain_hook(const void *p, size_t n, unsigned kind, void *pc);
static inline void fl_plain_read(const void *p, size_t n, void *pc)
{
	if (fl_plain_proc >= 0 &&
	    (!fl_plain_is_dull((unsigned)fl_plain_proc, p, n, FL_SEEN_PLAIN) || fl_memory_is_freed(p, n)))
		fl_plain_hook(p, n, 0, pc);
}
static inline void fl_plain_write(const void *p, size_t n, void *pc)
{
	if (fl_plain_proc >= 0 && (!fl_plain_is_dull((unsigned)fl_plain_proc, p, n, FL_SEEN_PLAIN | FL_SEEN_WRITE) ||
				   fl_memory_is_freed(p, n)))
		fl_plain_hook(p, n, FL_PLAIN_WRITE, pc);
}

FL_MUST_CHECK bool fl_plain_open(void);
void fl_plain_close(void);
/* Fiber p begins the step of this point. False: that is a finding. */
bool fl_plain_step(unsigned p, const struct fl_fiber_point *point, bool buffered);
/* A buffered store of fiber p, made when its own time was `clock`, reaches memory. */
void fl_plain_flush(unsigned p, const volatile void *address, bool release, uint32_t clock);
/* Keep every access from now on, or (as it begins) only those that can matter. */
void fl_plain_keep_all(bool all);
/* Whether since the last call an access turned out to matter that was not kept when it was made before. */
bool fl_plain_has_learned(void);
/* Forget changes back to where the log had so many entries. */
void fl_plain_undo(uint32_t log);
/* What was found last, into fl_world.text. */
void fl_plain_describe(void);

/* plain.c to order.c: the clock of what was released at p; NULL: nothing ever was (and make is false), or no memory */
struct fl_clock *fl_plain_sync(const volatile void *p, bool make);
/* Before *c changes. */
void fl_plain_log_clock(struct fl_clock *c);
void fl_order_close(void);
/* An access of fiber p; false: a race. */
bool fl_plain_access(unsigned p, const volatile void *at, size_t n, unsigned kind, const void *where);

/* Fiber p frees n bytes at p: false: others may be using them. */
bool fl_plain_free(unsigned p, const volatile void *at, size_t n);

/* cover.c */
FL_MUST_CHECK bool fl_cover_open(void);
struct fl_cover {
	uintptr_t start;
	size_t size;
	unsigned char *reached; /* a byte for each of the text's */
};
extern struct fl_cover fl_cover;
static inline void fl_cover_block(void *pc)
{
	if (FL_LIKELY((uintptr_t)pc - fl_cover.start < fl_cover.size))
		fl_cover.reached[(uintptr_t)pc - fl_cover.start] = 1;
}
void fl_cover_count(uint32_t *reached, uint32_t *all);
/* A byte for each block: whether it was reached; and these were, too. */
void fl_cover_save(unsigned char *flags);
void fl_cover_merge(const unsigned char *flags);
void fl_cover_close(void);

/* where.c: "function, file.c:12" of code at pc, or "code" if that is not known; good until the next exploration */
const char *fl_where(const void *pc);
/* The file, or NULL, and its line. */
const char *fl_where_line(const void *pc, uint32_t *line);
void fl_where_close(void);

#endif
