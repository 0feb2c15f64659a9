/* SPDX-License-Identifier: MIT */
/*
 * Data races: two accesses to a byte, at least one of them a write, at least one plain, and nothing that orders them.
 *
 *   granule   4 bytes of explored memory, with the accesses to it that a later one may race with
 *   cell      one of these accesses: who, when (by his own clock), how, which bytes, where in the program
 *
 * An access that comes after another, and races with whatever that one races with, replaces it (as in FastTrack:
 * Flanagan and Freund, PLDI 2009, with several cells in place of one epoch). Where a granule is full, the last cell is
 * lost: then a race may be missed in this run.
 *
 * Every change is logged, so that the cells can be put back with the world.
 *
 * No locks: one OS thread.
 */
#define _GNU_SOURCE
#include "plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "layout.h"

#define CELLS 6
#define GRANULE 4u
#define PAGE_GRANULES (FL_MEMORY_PAGE / GRANULE)

struct cell {
	uint32_t clock;
	uint8_t proc, kind, mask, unused;
	const void *where; /* plain: a pc; atomic: the site */
};

struct granule {
	uint32_t n, pad[3];
	struct cell cell[CELLS];
};

struct page {
	struct granule granule[PAGE_GRANULES];
	uint32_t sync[PAGE_GRANULES]; /* the number of the clock of what was released there, or 0; never put back */
};

/* 16 bytes as they were. */
struct change {
	void *at;
	uint64_t was[2];
};

_Static_assert(sizeof(struct cell) == 16 && sizeof(struct granule) % 16 == 0, "changes are logged by 16 bytes");

int fl_plain_proc = -1;

static struct {
	struct page **page; /* of explored memory, then of what is kept */
	size_t pages;
	struct change *log;
	size_t room;
	struct fl_clock **clocks; /* in pieces of CLOCKS, so that they stay where they are */
	uint32_t nclocks;
	struct cell first, second; /* the race that was found */
	const void *address;
	bool lost; /* no memory for the log */
} d;

#define CLOCKS 256u

bool fl_plain_open(void)
{
	memset(&d, 0, sizeof(d));
	memset(&fl_order, 0, sizeof(fl_order));
	d.pages = FL_MEMORY_SIZE / FL_MEMORY_PAGE;
	for (size_t i = 0; i < fl_memory.nkept; i++)
		d.pages += fl_memory.kept[i].n / FL_MEMORY_PAGE + 2;
	d.page = calloc(d.pages, sizeof(*d.page));
	for (unsigned p = 0; p < FL_WORLD_FIBERS; p++)
		fl_order.now[p].at[p] = 1;
	return d.page != NULL;
}

void fl_plain_close(void)
{
	for (size_t i = 0; d.page && i < d.pages; i++)
		if (d.page[i])
			munmap(d.page[i], sizeof(*d.page[i]));
	for (uint32_t i = 0; i * CLOCKS < d.nclocks; i++)
		free(d.clocks[i]);
	free(d.clocks);
	free(d.page);
	free(d.log);
	memset(&d, 0, sizeof(d));
	fl_plain_proc = -1;
}

/* The log */

static void log_change(void *at)
{
	struct change *grown;

	if (fl_order.log == d.room) {
		grown = realloc(d.log, (d.room ? 2 * d.room : 4096) * sizeof(*grown));
		if (!grown) {
			fl_finding(FL_EXPLORE_PANIC, "there is no memory to watch plain accesses");
			return;
		}
		d.log = grown;
		d.room = d.room ? 2 * d.room : 4096;
	}
	d.log[fl_order.log].at = at;
	memcpy(d.log[fl_order.log].was, at, sizeof(d.log->was));
	fl_order.log++;
}

void fl_plain_undo(uint32_t log)
{
	for (uint32_t i = fl_order.log; i > log; i--)
		memcpy(d.log[i - 1].at, d.log[i - 1].was, sizeof(d.log->was));
	if (fl_order.log > log)
		fl_order.log = log;
}

void fl_plain_log_clock(struct fl_clock *c)
{
	for (size_t i = 0; i < sizeof(*c) / sizeof(d.log->was); i++)
		log_change((char *)c + i * sizeof(d.log->was));
}

/* Granules */

/* The page of a variable that is kept, and where it lies there; NULL: it is not watched. */
static struct page **kept_page(uintptr_t p, size_t *granule)
{
	size_t page = FL_MEMORY_SIZE / FL_MEMORY_PAGE;

	for (size_t i = 0; i < fl_memory.nkept; i++) {
		const struct fl_memory_kept *k = &fl_memory.kept[i];
		uintptr_t base = k->start & ~(uintptr_t)(GRANULE - 1);

		if (p - k->start < k->n) {
			*granule = (p - base) / GRANULE % PAGE_GRANULES;
			return &d.page[page + (p - base) / FL_MEMORY_PAGE];
		}
		page += k->n / FL_MEMORY_PAGE + 2;
	}
	return NULL;
}

static struct page *find_page(uintptr_t p, size_t *granule)
{
	struct page **page;
	void *fresh;

	if (FL_LIKELY(p - FL_MEMORY_BASE < FL_MEMORY_SIZE)) {
		page = &d.page[(p - FL_MEMORY_BASE) / FL_MEMORY_PAGE];
		*granule = p % FL_MEMORY_PAGE / GRANULE;
	} else {
		page = kept_page(p, granule);
		if (!page)
			return NULL;
	}
	if (FL_LIKELY(*page != NULL))
		return *page;
	fresh = mmap(NULL, sizeof(**page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fresh == MAP_FAILED)
		return NULL;
	return *page = fresh;
}

struct fl_clock *fl_plain_sync(const volatile void *p, bool make)
{
	size_t granule;
	struct page *page = find_page((uintptr_t)p, &granule);
	uint32_t n;

	if (!page || (!page->sync[granule] && !make))
		return NULL;
	n = page->sync[granule];
	if (!n) {
		if (d.nclocks % CLOCKS == 0) {
			struct fl_clock **grown = realloc(d.clocks, (d.nclocks / CLOCKS + 1) * sizeof(*grown));

			if (!grown)
				return NULL;
			d.clocks = grown;
			grown[d.nclocks / CLOCKS] = calloc(CLOCKS, sizeof(**grown));
			if (!grown[d.nclocks / CLOCKS])
				return NULL;
		}
		n = page->sync[granule] = ++d.nclocks;
	}
	return &d.clocks[(n - 1) / CLOCKS][(n - 1) % CLOCKS];
}

/* Whatever races with an access of kind `old` races with one of kind `kind`, too. */
static bool covers(unsigned kind, unsigned old)
{
	static const uint8_t covered[] = {[0] = 1 << 0 | 1 << 2, [1] = 15, [2] = 1 << 2, [3] = 1 << 3 | 1 << 2};

	return covered[kind] >> old & 1;
}

static bool races(const struct cell *c, unsigned kind, unsigned mask, const struct fl_clock *now)
{
	return (c->mask & mask) && ((c->kind | kind) & FL_PLAIN_WRITE) && !(c->kind & kind & FL_PLAIN_ATOMIC) &&
	       c->clock > now->at[c->proc];
}

static void keep(struct granule *g, const struct cell *fresh, const struct fl_clock *now)
{
	uint32_t i;

	for (i = 0; i < g->n; i++) {
		const struct cell *c = &g->cell[i];

		if (covers(fresh->kind, c->kind) && !(c->mask & ~fresh->mask) && c->clock <= now->at[c->proc])
			break;
	}
	if (i == CELLS) {
		i = CELLS - 1;
	} else if (i == g->n) {
		log_change(g);
		g->n++;
	}
	log_change(&g->cell[i]);
	g->cell[i] = *fresh;
}

/* False: a race, which is noted. */
static bool look(struct granule *g, unsigned p, unsigned kind, unsigned mask, const void *where, uintptr_t at)
{
	const struct fl_clock *now = &fl_order.now[p];
	struct cell fresh = {
		.clock = now->at[p], .proc = (uint8_t)p, .kind = (uint8_t)kind, .mask = (uint8_t)mask, .where = where};

	for (uint32_t i = 0; i < g->n; i++) {
		const struct cell *c = &g->cell[i];

		if (c->proc == p) {
			if (c->clock == fresh.clock && covers(c->kind, kind) && !(mask & ~(unsigned)c->mask))
				return true;
		} else if (FL_UNLIKELY(races(c, kind, mask, now))) {
			d.first = *c;
			d.second = fresh;
			d.address = (const void *)at;
			return false;
		}
	}
	keep(g, &fresh, now);
	return true;
}

bool fl_plain_access(unsigned p, const volatile void *address, size_t n, unsigned kind, const void *where)
{
	uintptr_t at = (uintptr_t)address, end = at + n;
	struct page *page = NULL;
	size_t granule = PAGE_GRANULES;

	while (at < end) {
		uintptr_t next = (at & ~(uintptr_t)(GRANULE - 1)) + GRANULE, stop = next < end ? next : end;
		unsigned mask = ((1u << (stop - at)) - 1) << at % GRANULE;

		if (++granule >= PAGE_GRANULES) {
			page = find_page(at, &granule);
			if (!page)
				return true;
		}
		if (!look(&page->granule[granule], p, kind, mask, where, at))
			return false;
		at = next;
	}
	return true;
}

/* Hooks */

static void freed(const void *p, const char *what, void *pc)
{
	char object[160];

	fl_finding(FL_EXPLORE_FREED, "%s %s freed memory: %s, in %s", fl_world_name((unsigned)fl_plain_proc), what,
		   fl_objects_describe(p, object, sizeof(object)), fl_where(pc));
	fl_world_leave();
}

static void watch(const void *p, size_t n, unsigned kind, void *pc)
{
	if (FL_UNLIKELY(fl_memory_is_freed(p, n)))
		freed(p, kind ? "writes" : "reads", pc);
	if (FL_UNLIKELY(!fl_plain_access((unsigned)fl_plain_proc, p, n, kind, pc))) {
		fl_finding(FL_EXPLORE_RACE, "%s", "");
		fl_world_leave();
	}
}

void fl_plain_read(const void *p, size_t n, void *pc)
{
	if (fl_plain_proc >= 0)
		watch(p, n, 0, pc);
}

void fl_plain_write(const void *p, size_t n, void *pc)
{
	if (fl_plain_proc >= 0)
		watch(p, n, FL_PLAIN_WRITE, pc);
}

/* Texts */

static void describe(const struct cell *c, char *buf, size_t size)
{
	const char *how = c->kind & FL_PLAIN_WRITE ? "write" : "read";
	const struct fl_access_site *site = c->where;
	const char *slash;

	if (!(c->kind & FL_PLAIN_ATOMIC)) {
		snprintf(buf, size, "plain %s by %s in %s", how, fl_world_name(c->proc), fl_where(c->where));
		return;
	}
	slash = site->file ? strrchr(site->file, '/') : NULL;
	snprintf(buf, size, "atomic %s by %s of %s (%s:%u)", how, fl_world_name(c->proc), site->what,
		 slash        ? slash + 1
		 : site->file ? site->file
			      : "port",
		 site->line);
}

void fl_plain_describe(void)
{
	char first[320], second[320], object[160];

	describe(&d.first, first, sizeof(first));
	describe(&d.second, second, sizeof(second));
	snprintf(fl_world.text, sizeof(fl_world.text), "%s: %s, and %s",
		 fl_objects_describe(d.address, object, sizeof(object)), first, second);
}
