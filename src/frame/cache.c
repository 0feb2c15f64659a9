/* SPDX-License-Identifier: MIT */
/*
 * What a task has taken ahead, so that a fault takes no lock and writes no cache line of another task.
 *
 *   run     [next, end): neighbouring frames that were never handed out since they left the arena
 *   free[]  single frames, descending; the lowest, which is the last, is handed out first
 *
 * Both are handed out in ascending order, so that a machine's mappings of neighbouring pages merge. Runs start at
 * multiples of a pair of metadata cache lines, as far as the arena has such, so that two tasks seldom write to one
 * line.
 * When free[] is full its upper half goes back to the arena.
 *
 * No caching when run_max is 1 (arena.h): then a task takes one frame at a time and keeps none.
 *
 * Locks: the cache belongs to its task. count is written by the task and read by fl_frames_used. The list of caches is
 * the arena's.
 */
#include "frame/arena.h"

static uint32_t free_max(uint32_t run_max)
{
	return run_max > 1 ? 2 * run_max : 0;
}

FL_STATIC_ASSERT(2 * FL_CACHE_RUN <= FL_FRAME_CACHE, "free[] holds twice a run");

static void publish_count(struct fl_task *t)
{
	fl_store(&t->cache.count, t->cache.nfree + (t->cache.end - t->cache.next));
}

void fl_arena_list_cache(struct fl_frames *f, struct fl_task *t)
{
	t->cache.prev = NULL;
	t->cache.follow = f->caches;
	if (f->caches)
		f->caches->cache.prev = t;
	f->caches = t;
	f->ncaches++;
	t->cache.listed = true;
}

void fl_arena_unlist_cache(struct fl_frames *f, struct fl_task *t)
{
	if (t->cache.prev)
		t->cache.prev->cache.follow = t->cache.follow;
	else
		f->caches = t->cache.follow;
	if (t->cache.follow)
		t->cache.follow->cache.prev = t->cache.prev;
	f->ncaches--;
	t->cache.listed = false;
}

/* Put pfn where it belongs in free[]; there is room. */
static void insert(struct fl_task *t, fl_pfn pfn)
{
	uint32_t i = t->cache.nfree++;

	for (; i > 0 && t->cache.free[i - 1] < pfn; i--)
		t->cache.free[i] = t->cache.free[i - 1];
	t->cache.free[i] = pfn;
}

/* Give the n highest of free[] back. Under the mutex. */
static void give_back(struct fl_frames *f, struct fl_task *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fl_buddy_give(&f->buddy, t->cache.free[i], 1);
	t->cache.nfree -= n;
	for (uint32_t i = 0; i < t->cache.nfree; i++)
		t->cache.free[i] = t->cache.free[i + n];
}

/* Give all of it back. Under the mutex. */
static void give_all(struct fl_frames *f, struct fl_task *t)
{
	give_back(f, t, t->cache.nfree);
	fl_buddy_give(&f->buddy, t->cache.next, t->cache.end - t->cache.next);
	t->cache.next = t->cache.end = 0;
	publish_count(t);
}

static fl_pfn pop(struct fl_task *t)
{
	return t->cache.nfree ? t->cache.free[--t->cache.nfree] : t->cache.next++;
}

/*
 * Take up to max frames from the arena, the lowest it has: as one run or, where the arena is in pieces, as single
 * frames. A large block is never begun in the middle of that, so that runs stay aligned. Under the mutex.
 */
static void take_ahead(struct fl_frames *f, struct fl_task *t, uint32_t max)
{
	fl_pfn single[FL_CACHE_RUN];
	uint32_t got = 0;

	while (got < max) {
		fl_pfn first;
		uint32_t n = fl_buddy_take_lowest(&f->buddy, max - got, got > 0, &first);

		if (n == max) {
			t->cache.next = first;
			t->cache.end = first + n;
			return;
		}
		if (!n)
			break;
		while (n--)
			single[got++] = first++;
	}
	while (got)
		t->cache.free[t->cache.nfree++] = single[--got];
}

static fl_pfn refill(struct fl_frames *f, struct fl_task *t)
{
	fl_pfn pfn = FL_PFN_NONE;
	uint32_t max;

	fl_mutex_lock(&f->mutex);
	max = fl_load(&f->run_max);
	if (max > 1) {
		if (!t->cache.listed)
			fl_arena_list_cache(f, t);
		take_ahead(f, t, max);
	} else if (fl_buddy_take_lowest(&f->buddy, 1, false, &pfn) == 0) {
		pfn = FL_PFN_NONE;
	}
	fl_arena_changed(f);
	if (max > 1) {
		if (t->cache.nfree || t->cache.next < t->cache.end)
			pfn = pop(t);
		publish_count(t);
	}
	fl_mutex_unlock(&f->mutex);
	return pfn;
}

fl_pfn fl_frame_alloc(struct fl_task *t)
{
	struct fl_frames *f = t->frames;
	fl_pfn pfn;

	if (FL_LIKELY(t->cache.nfree || t->cache.next < t->cache.end)) {
		pfn = pop(t);
		publish_count(t);
	} else {
		pfn = refill(f, t);
		if (pfn == FL_PFN_NONE)
			return FL_PFN_NONE;
	}
	FL_ASSERT(fl_load(&f->meta[pfn].refs) == 0);
	fl_store(&f->meta[pfn].refs, 1);
	return pfn;
}

void fl_cache_give(struct fl_frames *f, struct fl_task *t, fl_pfn pfn)
{
	uint32_t max = t && t->frames == f ? free_max(fl_load(&f->run_max)) : 0;

	if (max && t->cache.listed && t->cache.nfree < max) {
		insert(t, pfn);
		publish_count(t);
		return;
	}
	fl_mutex_lock(&f->mutex);
	if (max) {
		if (!t->cache.listed)
			fl_arena_list_cache(f, t);
		if (t->cache.nfree > max / 2)
			give_back(f, t, t->cache.nfree - max / 2);
		insert(t, pfn);
		publish_count(t);
	} else {
		fl_buddy_give(&f->buddy, pfn, 1);
		/* The arena is short of frames: what was kept is wanted there. */
		if (t && t->frames == f && t->cache.listed)
			give_all(f, t);
	}
	fl_arena_changed(f);
	fl_mutex_unlock(&f->mutex);
}

void fl_frame_cache_drain(struct fl_task *t)
{
	struct fl_frames *f = t->frames;

	if (!t->cache.listed)
		return;
	fl_mutex_lock(&f->mutex);
	give_all(f, t);
	fl_arena_unlist_cache(f, t);
	fl_arena_changed(f);
	fl_mutex_unlock(&f->mutex);
}
