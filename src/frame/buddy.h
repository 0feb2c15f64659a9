/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator: which frames are free, as bits.
 *
 *   block   2^order frames, aligned to their number
 *   buddy   the other half of the block of the next order
 *
 * Each order has a bitmap with one bit a block: set when the block is free as a whole and its buddy is not. Above the
 * bits stand summaries, 32 to 1, up to a single word: so the lowest free block of an order is found in a few
 * steps, and allocation prefers low addresses exactly. Nothing is written into frames or their metadata, so frames that
 * were never handed out cost nothing but a bit for every 2^FL_FRAME_MAX_ORDER of them.
 *
 * No lock of its own: the arena's mutex.
 */
#ifndef FL_FRAME_BUDDY_H
#define FL_FRAME_BUDDY_H

#include "faultline/fl_port.h"
#include "faultline/frame.h"

/* 32^7 > 2^32 */
#define FL_BITMAP_LEVELS 7

struct fl_bitmap {
	uint32_t *level[FL_BITMAP_LEVELS]; /* 0: the bits; each next: one bit for each word that is not zero */
	unsigned levels;                   /* 0: no block of this order fits into the arena */
	uint32_t bits;                     /* how many there are */
	uint32_t set;                      /* how many are set */
};

struct fl_buddy {
	struct fl_bitmap free[FL_FRAME_MAX_ORDER + 1];
	uint32_t total; /* frames */
	uint32_t nfree; /* frames */
	void *memory;   /* of all bitmaps */
	size_t memory_size;
};

/* Over total frames, all of them free. 0 or -FL_ENOMEM. */
FL_MUST_CHECK int fl_buddy_init(struct fl_buddy *b, uint32_t total);
void fl_buddy_destroy(struct fl_buddy *b);
/* The lowest free block among those of the smallest order that will do. FL_PFN_NONE: there is none. */
FL_MUST_CHECK fl_pfn fl_buddy_take(struct fl_buddy *b, unsigned order);
/*
 * The lowest free block of any order: all of it, or its first max frames where it is larger; with whole not even
 * those. Returns how many frames; 0: nothing taken.
 */
FL_MUST_CHECK uint32_t fl_buddy_take_lowest(struct fl_buddy *b, uint32_t max, bool whole, fl_pfn *first);
/* Give n neighbouring frames back, and join them with what is free around them. */
void fl_buddy_give(struct fl_buddy *b, fl_pfn first, uint32_t n);
/* First broken invariant, or NULL. */
const char *fl_buddy_check(const struct fl_buddy *b);
/* Is this frame free? For checks. */
bool fl_buddy_is_free(const struct fl_buddy *b, fl_pfn pfn);

#endif
