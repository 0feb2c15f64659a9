/* SPDX-License-Identifier: MIT */
/*
 * Frames inside the engine: the 32 bytes of metadata, reference counts, the allocator.
 *
 *   refs   who keeps the frame alive: one for each entry that maps it, one for each pin or transient user
 *   maps   how many entries map it; maps <= refs. The zero frame is not counted at all.
 *   pins   long-term users outside the engine: fork copies such a frame at once
 *   owner  whose it is for the reverse map (an fl_mm for anonymous memory until objects have their own), index the page there
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
	uint16_t pins;   /* (a) through a cas on the 4-byte word it shares with order and state: src/frame/frame.c */
	uint8_t order;   /* (allocator) of the block this frame heads */
	uint8_t state;   /* (allocator) enum in frame.c: free head, free tail, in use, cached */
	uint32_t tags;   /* handle of its tag storage; 0: none */
	void *owner;     /* (leaf lock of the entry that maps it, while there is just one) */
	uintptr_t index; /* likewise */
};
FL_STATIC_ASSERT(sizeof(struct fl_frame) <= 32, "at most 32 bytes of metadata a frame");

struct fl_frame *fl_frame_meta(const struct fl_frames *f, fl_pfn pfn);

/*
 * A frame with refs = 1, maps = 0, contents undefined, from the task's cache or the arena. FL_PFN_NONE: none left. Does not
 * sleep. Consecutive calls of one task return ascending neighbours as far as the arena has them.
 */
FL_MUST_CHECK fl_pfn fl_frame_alloc(struct fl_task *t);
/* 2^order neighbouring frames, aligned to their size, each with refs = 1. */
FL_MUST_CHECK fl_pfn fl_frame_alloc_order(struct fl_frames *f, unsigned order);
void fl_frame_get(struct fl_frames *f, fl_pfn pfn);
/* Drop a reference; the last one frees. t: whose cache may take it, or NULL. */
void fl_frame_put(struct fl_frames *f, struct fl_task *t, fl_pfn pfn);
/* Give everything in t's cache back. */
void fl_frame_cache_drain(struct fl_task *t);

#endif
