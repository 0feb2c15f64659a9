/* SPDX-License-Identifier: MIT */
/*
 * Physical memory: an arena that the embedder hands in, cut into frames.
 *
 * The engine never maps host memory by itself. It keeps 32 bytes of metadata a frame (allocated through the
 * port, lazily touched), one shared zero frame taken from the arena, and hands frames out in address order as far
 * as it can, so that a machine's mappings of neighbouring pages merge.
 */
#ifndef FAULTLINE_FRAME_H
#define FAULTLINE_FRAME_H

#include "faultline/types.h"

FL_BEGIN_C

/* Orders that can be allocated: 2^0 to 2^FL_FRAME_MAX_ORDER frames. */
#define FL_FRAME_MAX_ORDER 10

/*
 * Cut an arena into frames. base: aligned to the page size; owned by the caller, who keeps it
 * until fl_frames_destroy. bytes: at least 16 pages; a rest smaller than a page is not used.
 * page_shift: 12 to 16. The arena need not be zeroed.
 * Returns: 0, or -FL_EINVAL (shift, alignment, size), or -FL_ENOMEM.
 */
int fl_frames_create(void *base, uint64_t bytes, unsigned page_shift, struct fl_frames **out);
/*
 * The arena is all zero at this moment, as memory fresh from a host is: a frame is not cleared before its first use. To
 * be called right after fl_frames_create.
 */
void fl_frames_assume_zero(struct fl_frames *f);
/* Every task and address space on it must be gone. Reports frames that are still referenced: 0 means no leak. */
uint64_t fl_frames_destroy(struct fl_frames *f);

/* Where frame pfn lies in the arena. Any thread. */
void *fl_frame_data(const struct fl_frames *f, fl_pfn pfn);
fl_pfn fl_frames_zero_pfn(const struct fl_frames *f);
unsigned fl_frames_page_shift(const struct fl_frames *f);
uint64_t fl_frames_total(const struct fl_frames *f);
/*
 * Frames not free, the zero frame among them; those in per-task caches count as free. peak: the most there ever were
 * (approximate by a cache).
 */
uint64_t fl_frames_used(const struct fl_frames *f);
uint64_t fl_frames_peak(const struct fl_frames *f);

/*
 * A frame may still be read or written by something outside the engine (vmsplice, O_DIRECT, an async request).
 * A pinned frame is copied at once by fork and not reused until unpinned. Any thread.
 *
 * Pin what fl_mm_walk has just found for a write, while no flush can be missed; then walk again. Only if the answer is
 * the same does a fork that is under way know of the pin; if not, unpin and begin again.
 */
void fl_frame_pin(struct fl_frames *f, fl_pfn pfn);
void fl_frame_unpin(struct fl_frames *f, fl_pfn pfn);

FL_END_C

#endif
