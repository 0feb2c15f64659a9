/* SPDX-License-Identifier: MIT */
/*
 * The arena: what frame.c, cache.c and buddy.c share. Nobody else includes this.
 *
 * The mutex guards the buddy allocator and the list of caches. It is a leaf (rule 12), and taken once for up to
 * FL_CACHE_RUN frames.
 *
 *   run_max   how many frames a task may take ahead: FL_CACHE_RUN where there is plenty; less where many tasks share a
 *             small arena, so that all caches together never hold a tenth of it; 1, which means no caching at all, when
 *             the arena is nearly empty. Read by everybody without the mutex, and hardly ever written.
 */
#ifndef FL_FRAME_ARENA_H
#define FL_FRAME_ARENA_H

#include "frame/buddy.h"
#include "frame/frame_int.h"

#define FL_CACHE_RUN 32u

struct fl_frames {
	unsigned char *base;   /* (i) */
	struct fl_frame *meta; /* (i) one a frame */
	size_t meta_size;      /* (i) */
	unsigned page_shift;   /* (i) */
	uint32_t total;        /* (i) frames */
	fl_pfn zero;           /* (i) */
	bool zeroed;           /* (i) the arena was all zero at first */
	uint32_t run_max;      /* (a; mutex to write) */

	struct fl_mutex mutex FL_ALIGNED(FL_CACHELINE);
	struct fl_task *caches; /* (mutex) tasks that have a cache */
	uint32_t ncaches;       /* (mutex) */
	bool low;               /* (mutex) nearly empty: no caching until there is plenty again */
	uint32_t peak;          /* (mutex) most frames that were not in the buddy allocator */
	struct fl_buddy buddy;  /* (mutex) */
};

/* After frames have left or come back: bring peak, low and run_max up to date. Under the mutex. */
void fl_arena_changed(struct fl_frames *f);
/* Take a task's cache off the list or put it on. Under the mutex. */
void fl_arena_list_cache(struct fl_frames *f, struct fl_task *t);
void fl_arena_unlist_cache(struct fl_frames *f, struct fl_task *t);

/* A frame whose last reference has gone: into t's cache, if it may take it, or back to the arena. t may be NULL. */
void fl_cache_give(struct fl_frames *f, struct fl_task *t, fl_pfn pfn);

#endif
