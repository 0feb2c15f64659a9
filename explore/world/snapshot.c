/* SPDX-License-Identifier: MIT */
/*
 * The world, put back: to the root, or to a snapshot of the run under way.
 *
 *   hot page   a page of setup's that has ever changed since setup. All are write-protected at the root; the first
 *              write to each faults, and from then on it is copied with every snapshot. Most are never written
 *   image      what a snapshot holds: run state, fibers, the used parts of their heaps, kept variables, hot pages. A page
 *              that became hot later was at that time as it is in the root
 *
 * No locks: one OS thread.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "layout.h"
#include "plain.h"
#include "tso.h"
#include "world.h"

/* So few steps are sooner repeated than saved. */
#define NEAR 6

/* AddressSanitizer knows the frames on a stack as they are, not as they were: the root alone is safe. */
#if defined(__SANITIZE_ADDRESS__)
#define FL_SNAPSHOTS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FL_SNAPSHOTS false
#endif
#endif
#ifndef FL_SNAPSHOTS
#define FL_SNAPSHOTS true
#endif

struct image {
	char *data;
	size_t room, used;
	uint32_t steps;
	uint32_t hot; /* so many hot pages are in it */
};

struct hot {
	uintptr_t page;
	char *root; /* as it is at the root */
};

static struct {
	struct image *image; /* the first is the root */
	size_t n, room;
	struct hot *hot;
	size_t nhot, hot_room;
	unsigned char *is_hot; /* a byte a page of setup's heaps */
	char *roots;
	size_t fibers; /* bytes that the state of fibers took at most */
} s;

/* Make room for n more bytes in an image; where they are, or NULL. */
static char *more(struct image *i, size_t n)
{
	size_t want = i->used + ((n + 15) & ~(size_t)15);
	char *grown;

	if (want > i->room) {
		grown = realloc(i->data, 2 * want);
		if (!grown)
			return NULL;
		i->data = grown;
		i->room = 2 * want;
	}
	i->used = want;
	return i->data + want - ((n + 15) & ~(size_t)15);
}

static bool put(struct image *i, const void *p, size_t n)
{
	char *to = more(i, n);

	if (to)
		memcpy(to, p, n);
	return to != NULL;
}

static const char *get(const char *from, void *p, size_t n)
{
	memcpy(p, from, n);
	return from + ((n + 15) & ~(size_t)15);
}

static bool save_fibers(struct image *i)
{
	size_t room, need = s.fibers, at = i->used;
	char *to;

	/* Mostly they need as much as before. */
	do {
		i->used = at;
		room = need + 64;
		to = more(i, room);
		if (!to)
			return false;
		need = fl_fiber_state_save(to, room);
	} while (need > room);
	s.fibers = need > s.fibers ? need : s.fibers;
	return true;
}

static bool save(struct image *i)
{
	i->used = 0;
	i->steps = fl_run.steps;
	i->hot = (uint32_t)s.nhot;
	if (!put(i, &fl_run, sizeof(fl_run)))
		return false;
	if (fl_tso_on() && !put(i, &fl_tso, sizeof(fl_tso)))
		return false;
	if (fl_plain_on() && !put(i, &fl_order, sizeof(fl_order)))
		return false;
	for (unsigned f = 0; f < fl_world.fibers; f++) {
		unsigned heap = FL_HEAP_FIBERS + f;

		if (!put(i, (const void *)fl_memory_heap_start(heap), fl_run.heap[heap].used))
			return false;
	}
	for (size_t k = 0; k < fl_memory.nkept; k++)
		if (!put(i, (const void *)fl_memory.kept[k].start, fl_memory.kept[k].n))
			return false;
	for (size_t k = 0; k < s.nhot; k++)
		if (!put(i, (const void *)s.hot[k].page, FL_MEMORY_PAGE))
			return false;
	return save_fibers(i);
}

static void load(const struct image *i)
{
	uint32_t freed = ((const struct fl_world_run *)(const void *)i->data)->freed;
	const char *from = i->data;

	fl_memory_unfree(freed < fl_run.freed ? freed : fl_run.freed);
	from = get(from, &fl_run, sizeof(fl_run));
	if (fl_tso_on())
		from = get(from, &fl_tso, sizeof(fl_tso));
	if (fl_plain_on()) {
		fl_plain_undo(((const struct fl_order *)(const void *)from)->log);
		from = get(from, &fl_order, sizeof(fl_order));
	}
	for (unsigned f = 0; f < fl_world.fibers; f++) {
		unsigned heap = FL_HEAP_FIBERS + f;

		from = get(from, (void *)fl_memory_heap_start(heap), fl_run.heap[heap].used);
	}
	for (size_t k = 0; k < fl_memory.nkept; k++)
		from = get(from, (void *)fl_memory.kept[k].start, fl_memory.kept[k].n);
	for (size_t k = 0; k < s.nhot; k++) {
		if (k < i->hot)
			from = get(from, (void *)s.hot[k].page, FL_MEMORY_PAGE);
		else
			memcpy((void *)s.hot[k].page, s.hot[k].root, FL_MEMORY_PAGE);
	}
	fl_fiber_state_restore(from);
}

bool fl_snapshot_take(void)
{
	struct image *grown;

	if (s.n == s.room) {
		size_t room = s.room ? 2 * s.room : 16;

		grown = realloc(s.image, room * sizeof(*grown));
		if (!grown)
			return false;
		memset(grown + s.room, 0, (room - s.room) * sizeof(*grown));
		s.image = grown;
		s.room = room;
	}
	if (!save(&s.image[s.n]))
		return false;
	s.n++;
	return true;
}

static size_t used_pages(unsigned heap)
{
	return (fl_run.heap[heap].used + FL_MEMORY_PAGE - 1) / FL_MEMORY_PAGE;
}

static size_t page_number(uintptr_t page)
{
	return (page - FL_MEMORY_BASE) / FL_MEMORY_PAGE;
}

bool fl_snapshot_root(void)
{
	size_t pages = FL_MEMORY_HEAPS / FL_MEMORY_PAGE;
	size_t used = used_pages(FL_HEAP_SETUP) + used_pages(FL_HEAP_LARGE);

	s.is_hot = calloc(pages, 1);
	s.hot = calloc(used + 1, sizeof(*s.hot));
	/* Address space for all; memory only for what becomes hot. */
	s.hot_room = used;
	s.roots = mmap(NULL, (used + 1) * FL_MEMORY_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s.roots == MAP_FAILED)
		s.roots = NULL;
	if (!s.is_hot || !s.hot || !s.roots)
		return false;
	for (unsigned heap = FL_HEAP_SETUP; heap <= FL_HEAP_LARGE; heap++)
		if (mprotect((void *)fl_memory_heap_start(heap), used_pages(heap) * FL_MEMORY_PAGE, PROT_READ))
			return false;
	return fl_snapshot_take();
}

bool fl_snapshot_fault(uintptr_t address)
{
	uintptr_t page = address & ~(uintptr_t)(FL_MEMORY_PAGE - 1);
	struct hot *h;

	if (!s.is_hot || address - FL_MEMORY_BASE >= FL_MEMORY_HEAPS || s.is_hot[page_number(page)] ||
	    s.nhot == s.hot_room)
		return false;
	if (page_number(page) >= used_pages(FL_HEAP_SETUP) &&
	    page - fl_memory_heap_start(FL_HEAP_LARGE) >= used_pages(FL_HEAP_LARGE) * FL_MEMORY_PAGE)
		return false;
	h = &s.hot[s.nhot];
	h->page = page;
	h->root = s.roots + s.nhot * FL_MEMORY_PAGE;
	memcpy(h->root, (const void *)page, FL_MEMORY_PAGE);
	s.nhot++;
	s.is_hot[page_number(page)] = 1;
	return mprotect((void *)page, FL_MEMORY_PAGE, PROT_READ | PROT_WRITE) == 0;
}

static void drop(uint32_t keep)
{
	while (s.n > 1 && s.image[s.n - 1].steps > keep)
		s.n--;
}

uint32_t fl_snapshot_restore(uint32_t keep)
{
	drop(keep);
	load(&s.image[s.n - 1]);
	return s.image[s.n - 1].steps;
}

/*
 * Where the search goes back to it mostly stays for a while, and then goes back a little further. So a snapshot is
 * taken at the end of what is repeated, and others before it at distances that double.
 */
uint32_t fl_snapshot_next(uint32_t steps, uint32_t keep)
{
	uint32_t distance = 0;

	if (!FL_SNAPSHOTS || keep < steps + NEAR)
		return UINT32_MAX;
	for (uint32_t further = NEAR; keep - steps > further + NEAR; further *= 2)
		distance = further;
	return keep - distance;
}

void fl_snapshot_close(void)
{
	for (size_t i = 0; i < s.room; i++)
		free(s.image[i].data);
	free(s.image);
	free(s.hot);
	free(s.is_hot);
	if (s.roots)
		munmap(s.roots, (s.hot_room + 1) * FL_MEMORY_PAGE);
	memset(&s, 0, sizeof(s));
}
