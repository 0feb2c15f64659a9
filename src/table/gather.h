/* SPDX-License-Identifier: MIT */
/*
 * A gather collects what a memory call takes away (frames, access rights) until every machine has confirmed that it
 * uses none of it any more; only then do the frames' references drop. It lives on the stack and allocates nothing: when
 * its batch is full it flushes. Owned by one task; no lock.
 */
#ifndef FL_TABLE_GATHER_H
#define FL_TABLE_GATHER_H

#include "faultline/machine.h"
#include "table/table.h"

#define FL_GATHER_BATCH 128

struct fl_gather {
	struct fl_task *task; /* whose cache takes the frames; may be NULL */
	struct fl_frames *frames;
	const struct fl_machine_ops *ops; /* may be NULL */
	void *machine;
	fl_va start, end; /* what must be flushed; start >= end: nothing */
	uint8_t kind;     /* the stronger of what was asked */
	uint32_t n;
	fl_pfn pfn[FL_GATHER_BATCH];
};

/* ops may be NULL: no machine caches anything. t may be NULL: the frames go back to the arena. */
void fl_gather_begin(struct fl_gather *g, struct fl_frames *frames, const struct fl_machine_ops *ops, void *machine,
		     struct fl_task *t);
/*
 * [va, va + size) held the present entry old, which has been cleared; takes over its reference and its map count (the
 * zero frame has neither). The machine is told of one range, from the lowest to the highest address gathered since the
 * last flush: flush between two VMAs where what lies between them must stay as it is.
 */
void fl_gather_unmapped(struct fl_gather *g, fl_va va, uint64_t size, fl_pte old);
/* The rights of [va, va + size) have been reduced. */
void fl_gather_protected(struct fl_gather *g, fl_va va, uint64_t size);
/* Flush and drop what there is. May be called under a table lock. */
void fl_gather_flush(struct fl_gather *g);
#define fl_gather_end fl_gather_flush

#endif
