/* SPDX-License-Identifier: MIT */
/*
 * Frames inside the engine: the 32 bytes of metadata, reference counts, the allocator.
 *
 *   refs   who keeps the frame alive: one for each entry that maps it, one for each pin or transient user
 *   maps   how many entries map it; maps <= refs. The zero frame is not counted at all.
 *   pins   long-term users outside the engine: fork copies such a frame at once
 *   owner  whose it is for the reverse map (an fl_mm for anonymous memory until objects have their own)
 *   index  the page there; of a frame that is free: whether it was ever used
 *
 * A frame is free when refs is 0; it then sits in the allocator or in a task's cache.
 */
#ifndef FL_FRAME_FRAME_INT_H
#define FL_FRAME_FRAME_INT_H

#include "faultline/frame.h"
#include "faultline/task.h"

struct fl_frame {
	uint32_t refs;   /* (a) */
	uint32_t maps;   /* (a) */
	uint32_t pins;   /* (a) the low 24 bits; above them the order of the block that this frame heads */
	uint32_t tags;   /* handle of its tag storage; 0: none */
	void *owner;     /* (leaf lock of the entry that maps it, while there is just one) */
	uintptr_t index; /* likewise */
};
FL_STATIC_ASSERT(sizeof(struct fl_frame) <= 32, "at most 32 bytes of metadata a frame");

#define FL_FRAME_ORDER_SHIFT 24

struct fl_frame *fl_frame_meta(const struct fl_frames *f, fl_pfn pfn);

/* Somebody outside the engine may still use it: fork copies it at once. */
static inline bool fl_frame_pinned(const struct fl_frame *m)
{
	/*
	 * Sequentially consistent, after the right to write has gone from the entry. Partner: the fence in
	 * fl_frame_pin.
	 */
	return (fl_load_seq(&m->pins) & (((uint32_t)1 << FL_FRAME_ORDER_SHIFT) - 1)) != 0;
}

static inline unsigned fl_frame_order(const struct fl_frame *m)
{
	return fl_load(&m->pins) >> FL_FRAME_ORDER_SHIFT;
}

/*
 * A frame with refs = 1, maps = 0, contents undefined, from the task's cache or the arena. FL_PFN_NONE: none left. Does
 * not sleep. Consecutive calls of one task return ascending neighbours as far as the arena has them.
 */
FL_MUST_CHECK fl_pfn fl_frame_alloc(struct fl_task *t);
/* Just allocated, and all zero: it has never been used, in an arena that was zero. */
bool fl_frame_is_clear(const struct fl_frames *f, fl_pfn pfn);
/* 2^order neighbouring frames, aligned to their size, each with refs = 1. */
FL_MUST_CHECK fl_pfn fl_frame_alloc_order(struct fl_frames *f, unsigned order);
void fl_frame_get(struct fl_frames *f, fl_pfn pfn);
/* Drop a reference; the last one frees. t: whose cache may take it, or NULL. */
void fl_frame_put(struct fl_frames *f, struct fl_task *t, fl_pfn pfn);
/* Give everything in t's cache back. */
void fl_frame_cache_drain(struct fl_task *t);
/*
 * First broken invariant of the allocator (buddies not joined, a free frame with references, a count), or NULL. Quiet
 * arena.
 */
const char *fl_frames_check_free(struct fl_frames *f);

#endif
