/* SPDX-License-Identifier: MIT */
/*
 * The arena of frames: making and unmaking it, reference counts, pins.
 *
 * Locks: the arena's mutex for what is free; the counts of a frame are atomic. See arena.h.
 */
#include "frame/arena.h"

#define MIN_FRAMES 16
/* A frame number must fit into an entry beside its flags (table/table.h), and must not be FL_PFN_NONE. */
#define PFN_SHIFT_IN_ENTRY 12
/* Caching stops when less than 1/LOW of the arena is free, and begins again at twice that. */
#define LOW 16
/* All runs together take at most 1/SHARE of the arena; freed frames kept are at most twice as many. */
#define SHARE 64
/* The index of a frame that has no owner: 0 before its first use, USED afterwards. */
#define USED 1

/* How many frames a task may take ahead when so many tasks do: a power of two, and whole pairs of cache lines. */
static uint32_t run_max(const struct fl_frames *f)
{
	uint32_t share = f->total / SHARE / (f->ncaches ? f->ncaches : 1);
	uint32_t n = FL_CACHE_RUN;
	uint32_t pair = 2 * FL_CACHELINE / (uint32_t)sizeof(struct fl_frame);

	if (f->low)
		return 1;
	while (n > share)
		n /= 2;
	return n >= pair ? n : 1;
}

void fl_arena_changed(struct fl_frames *f)
{
	uint32_t used = f->total - f->buddy.nfree;
	uint32_t n;

	if (used > f->peak)
		f->peak = used;
	if (f->buddy.nfree < f->total / LOW)
		f->low = true;
	else if (f->buddy.nfree >= f->total / LOW * 2)
		f->low = false;
	n = run_max(f);
	if (n != fl_load(&f->run_max))
		fl_store(&f->run_max, n);
}

int fl_frames_create(void *base, uint64_t bytes, unsigned page_shift, struct fl_frames **out)
{
	uint64_t total, most = (uint64_t)(UINTPTR_MAX >> PFN_SHIFT_IN_ENTRY) + 1;
	struct fl_frames *f;
	uint32_t taken;
	int err;

	if (page_shift < 12 || page_shift > 16 || !base || (uintptr_t)base & (((uintptr_t)1 << page_shift) - 1))
		return -FL_EINVAL;
	total = bytes >> page_shift;
	if (most > FL_PFN_NONE)
		most = FL_PFN_NONE;
	if (total < MIN_FRAMES || total > most || bytes > (uint64_t)UINTPTR_MAX - (uintptr_t)base ||
	    total > SIZE_MAX / sizeof(struct fl_frame))
		return -FL_EINVAL;

	f = fl_port_alloc(sizeof(*f));
	if (!f)
		return -FL_ENOMEM;
	f->base = base;
	f->page_shift = page_shift;
	f->total = (uint32_t)total;
	f->meta_size = (size_t)total * sizeof(struct fl_frame);
	f->meta = fl_port_alloc(f->meta_size);
	if (!f->meta) {
		err = -FL_ENOMEM;
		goto free_arena;
	}
	err = fl_buddy_init(&f->buddy, f->total);
	if (err)
		goto free_meta;
	taken = fl_buddy_take_lowest(&f->buddy, 1, false, &f->zero);
	FL_ASSERT(taken == 1);
	fl_port_clear(fl_frame_data(f, f->zero), (size_t)1 << page_shift);
	fl_arena_changed(f);
	*out = f;
	return 0;

free_meta:
	fl_port_free(f->meta, f->meta_size);
free_arena:
	fl_port_free(f, sizeof(*f));
	return err;
}

void fl_frames_assume_zero(struct fl_frames *f)
{
	f->zeroed = true;
}

bool fl_frame_is_clear(const struct fl_frames *f, fl_pfn pfn)
{
	return f->zeroed && fl_frame_meta(f, pfn)->index != USED;
}

uint64_t fl_frames_destroy(struct fl_frames *f)
{
	/* The zero frame is still there. */
	uint64_t lost = fl_frames_used(f) - 1;

	fl_buddy_destroy(&f->buddy);
	fl_port_free(f->meta, f->meta_size);
	fl_port_free(f, sizeof(*f));
	return lost;
}

struct fl_frame *fl_frame_meta(const struct fl_frames *f, fl_pfn pfn)
{
	FL_ASSERT(pfn < f->total);
	return &f->meta[pfn];
}

void *fl_frame_data(const struct fl_frames *f, fl_pfn pfn)
{
	FL_ASSERT(pfn < f->total);
	return f->base + ((size_t)pfn << f->page_shift);
}

fl_pfn fl_frames_zero_pfn(const struct fl_frames *f)
{
	return f->zero;
}

unsigned fl_frames_page_shift(const struct fl_frames *f)
{
	return f->page_shift;
}

uint64_t fl_frames_total(const struct fl_frames *f)
{
	return f->total;
}

uint64_t fl_frames_used(const struct fl_frames *cf)
{
	struct fl_frames *f = (struct fl_frames *)(uintptr_t)cf; /* the mutex is not part of what const promises */
	uint32_t used, cached = 0;

	fl_mutex_lock(&f->mutex);
	used = f->total - f->buddy.nfree;
	for (struct fl_task *t = f->caches; t; t = t->cache.follow)
		cached += fl_load(&t->cache.count);
	fl_mutex_unlock(&f->mutex);
	/* Counts of tasks at work may be a moment old. */
	return cached < used ? used - cached : 1;
}

uint64_t fl_frames_peak(const struct fl_frames *cf)
{
	struct fl_frames *f = (struct fl_frames *)(uintptr_t)cf;
	uint32_t peak;

	fl_mutex_lock(&f->mutex);
	peak = f->peak;
	fl_mutex_unlock(&f->mutex);
	return peak;
}

fl_pfn fl_frame_alloc_order(struct fl_frames *f, unsigned order)
{
	fl_pfn first;

	if (order > FL_FRAME_MAX_ORDER)
		return FL_PFN_NONE;
	fl_mutex_lock(&f->mutex);
	first = fl_buddy_take(&f->buddy, order);
	if (first != FL_PFN_NONE)
		fl_arena_changed(f);
	fl_mutex_unlock(&f->mutex);
	if (first == FL_PFN_NONE)
		return FL_PFN_NONE;
	for (uint32_t i = 0; i < (uint32_t)1 << order; i++)
		fl_store(&f->meta[first + i].refs, 1);
	fl_store(&f->meta[first].pins, (uint32_t)order << FL_FRAME_ORDER_SHIFT);
	return first;
}

void fl_frame_get(struct fl_frames *f, fl_pfn pfn)
{
	uint32_t refs;

	if (pfn == f->zero)
		return;
	refs = fl_add(&fl_frame_meta(f, pfn)->refs, 1);
	FL_ASSERT(refs > 1); /* who takes a reference knows of another one that stays meanwhile */
}

void fl_frame_put(struct fl_frames *f, struct fl_task *t, fl_pfn pfn)
{
	struct fl_frame *m = fl_frame_meta(f, pfn);
	uint32_t refs;

	if (pfn == f->zero)
		return;
	/*
	 * The last one must see what all others did to the frame, before anybody uses it anew. Partner: itself,
	 * elsewhere.
	 */
	refs = fl_add(&m->refs, -1);
	FL_ASSERT(refs != UINT32_MAX);
	if (refs)
		return;
	FL_ASSERT(fl_load(&m->maps) == 0 && !fl_frame_pinned(m));
	fl_store(&m->pins, 0); /* and the order */
	m->owner = NULL;
	m->index = USED;
	fl_cache_give(f, t, pfn);
}

void fl_frame_pin(struct fl_frames *f, fl_pfn pfn)
{
	if (pfn == f->zero)
		return;
	fl_frame_get(f, pfn);
	fl_add(&fl_frame_meta(f, pfn)->pins, 1);
	fl_fence(); /* before the caller's second look at the entry; partner: fl_frame_pinned, after its change */
}

void fl_frame_unpin(struct fl_frames *f, fl_pfn pfn)
{
	if (pfn == f->zero)
		return;
	FL_ASSERT(fl_frame_pinned(fl_frame_meta(f, pfn)));
	fl_add(&fl_frame_meta(f, pfn)->pins, -1);
	fl_frame_put(f, NULL, pfn);
}

const char *fl_frames_check_free(struct fl_frames *f)
{
	const char *broken;

	fl_mutex_lock(&f->mutex);
	broken = fl_buddy_check(&f->buddy);
	for (fl_pfn pfn = 0; pfn < f->total && !broken; pfn++) {
		const struct fl_frame *m = &f->meta[pfn];

		if ((fl_load(&m->refs) || fl_load(&m->maps) || fl_load(&m->pins)) && fl_buddy_is_free(&f->buddy, pfn))
			broken = "a free frame has references";
	}
	fl_mutex_unlock(&f->mutex);
	return broken;
}
