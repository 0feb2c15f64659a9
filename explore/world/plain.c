/* SPDX-License-Identifier: MIT */
/*
 * Data races: two accesses to a byte, at least one of them a write, at least one plain, and nothing that orders them.
 *
 *   granule   8 bytes of explored memory, with the accesses to it that a later one may race with
 *   cell      one of these accesses: who, when (by his own clock), how, which bytes, where in the program
 *
 * An access that comes after another, and races with whatever that one races with, replaces it (as in FastTrack:
 * Flanagan and Freund, PLDI 2009, with several cells in place of one epoch). Where a granule is full, the last cell is
 * lost: then a race may be missed in this run.
 *
 * Most memory is one fiber's alone, or read alone, or reached by atomics alone. So for each granule it is noted, over all runs,
 * who came there and how; accesses are kept only where two came, one of them wrote, and one was plain. A run in which that is
 * learned of a granule is run again.
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

#define CELLS 8
#define GRANULE FL_SEEN_BYTES
#define PAGE_GRANULES (FL_MEMORY_PAGE / GRANULE)

/*
 * A cell is one word, so that it is cheap to compare and to log: from the lowest bit, the bytes (8), kind (2), process
 * (4), its clock (20), where (30; see place_of). 0: empty; those in use come first.
 */
#define KIND_SHIFT 8
#define PROC_SHIFT 10
#define CLOCK_SHIFT 14
#define WHERE_SHIFT 34
#define CLOCK_MAX ((1u << (WHERE_SHIFT - CLOCK_SHIFT)) - 1)
#define WHERE_MAX (UINT64_MAX >> WHERE_SHIFT)

struct granule {
	uint64_t cell[CELLS];
};

struct page {
	struct granule granule[PAGE_GRANULES];
	uint32_t sync[PAGE_GRANULES]; /* the number of the clock of what was released there, or 0; never put back */
};

/* A word as it was. */
struct change {
	uint64_t *at;
	uint64_t was;
};

int fl_plain_proc = -1;

static struct {
	struct page **page; /* of explored memory, then of what is kept */
	size_t pages;
	struct change *log;
	size_t room;
	struct fl_clock **clocks; /* in pieces of CLOCKS, so that they stay where they are */
	uint32_t nclocks;
	uint64_t first, second; /* the race that was found */
	const void *address;
	bool learned;
} d;

unsigned char *fl_plain_seen;
bool fl_plain_keeps_all;

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
	fl_plain_seen = mmap(NULL, FL_MEMORY_SIZE / GRANULE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fl_plain_seen == MAP_FAILED)
		fl_plain_seen = NULL;
	return d.page && fl_plain_seen;
}

void fl_plain_close(void)
{
	for (size_t i = 0; d.page && i < d.pages; i++)
		if (d.page[i])
			munmap(d.page[i], sizeof(*d.page[i]));
	for (uint32_t i = 0; i * CLOCKS < d.nclocks; i++)
		free(d.clocks[i]);
	fl_order_close();
	if (fl_plain_seen)
		munmap(fl_plain_seen, FL_MEMORY_SIZE / GRANULE);
	free(d.clocks);
	free(d.page);
	free(d.log);
	memset(&d, 0, sizeof(d));
	fl_plain_seen = NULL;
	fl_plain_proc = -1;
}

static unsigned proc_of(uint64_t cell)
{
	return cell >> PROC_SHIFT & 15;
}

static unsigned kind_of(uint64_t cell)
{
	return cell >> KIND_SHIFT & 3;
}

static uint32_t clock_of(uint64_t cell)
{
	return (uint32_t)(cell >> CLOCK_SHIFT) & CLOCK_MAX;
}

/* Code and sites lie in the program: at a distance from something of it that fits. */
static uint64_t place_of(const void *where)
{
	return ((uintptr_t)where - (uintptr_t)&fl_plain_proc + WHERE_MAX / 2) & WHERE_MAX;
}

static const void *at_place(uint64_t place)
{
	return (const void *)((uintptr_t)&fl_plain_proc + (uintptr_t)place - WHERE_MAX / 2);
}

/* The log */

static void log_change(uint64_t *at)
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
	d.log[fl_order.log++] = (struct change){.at = at, .was = *at};
}

void fl_plain_undo(uint32_t log)
{
	for (uint32_t i = fl_order.log; i > log; i--)
		*d.log[i - 1].at = d.log[i - 1].was;
	if (fl_order.log > log)
		fl_order.log = log;
}

void fl_plain_log_clock(struct fl_clock *c)
{
	for (size_t i = 0; i < FL_ARRAY_LEN(c->word); i++)
		log_change(&c->word[i]);
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

static bool races(uint64_t cell, uint64_t fresh, const struct fl_clock *now)
{
	return (cell & fresh & 255) && ((cell | fresh) & (uint64_t)FL_PLAIN_WRITE << KIND_SHIFT) &&
	       !(cell & fresh & (uint64_t)FL_PLAIN_ATOMIC << KIND_SHIFT) && clock_of(cell) > now->at[proc_of(cell)];
}

static void keep(struct granule *g, uint64_t fresh, const struct fl_clock *now)
{
	unsigned kind = kind_of(fresh), i;

	for (i = 0; i < CELLS - 1 && g->cell[i]; i++) {
		uint64_t cell = g->cell[i];

		if (covers(kind, kind_of(cell)) && !(cell & ~fresh & 255) && clock_of(cell) <= now->at[proc_of(cell)])
			break;
	}
	log_change(&g->cell[i]);
	g->cell[i] = fresh;
}

/* False: a race, which is noted. */
static bool look(struct granule *g, uint64_t fresh, const struct fl_clock *now, uintptr_t at)
{
	const uint64_t who = ~(uint64_t)0 >> (64 - WHERE_SHIFT) << PROC_SHIFT; /* process and clock */

	for (unsigned i = 0; i < CELLS && g->cell[i]; i++) {
		uint64_t cell = g->cell[i];

		if (!((cell ^ fresh) & who)) {
			if (!(fresh & ~cell & 255) && covers(kind_of(cell), kind_of(fresh)))
				return true;
		} else if (FL_UNLIKELY(races(cell, fresh, now)) && proc_of(cell) != proc_of(fresh)) {
			d.first = cell;
			d.second = fresh;
			d.address = (const void *)at;
			return false;
		}
	}
	keep(g, fresh, now);
	return true;
}

void fl_plain_keep_all(bool all)
{
	fl_plain_keeps_all = all;
}

bool fl_plain_has_learned(void)
{
	bool learned = d.learned;

	d.learned = false;
	return learned;
}

/* p comes to granules first to last. Returns whether one of them is of those that matter. */
static bool see(unsigned p, size_t first, size_t last, unsigned kind)
{
	unsigned bits = (kind & FL_PLAIN_WRITE ? FL_SEEN_WRITE : 0) | (kind & FL_PLAIN_ATOMIC ? 0 : FL_SEEN_PLAIN);
	bool matters = fl_plain_keeps_all;

	for (size_t i = first; i <= last; i++) {
		unsigned seen = fl_plain_seen[i], who = seen & FL_SEEN_WHO, now;

		who = !who || who == p + 1 ? p + 1 : FL_SEEN_SEVERAL;
		now = (seen & ~FL_SEEN_WHO) | bits | who;
		if (FL_UNLIKELY(now != seen)) {
			fl_plain_seen[i] = (unsigned char)now;
			d.learned |= now == FL_SEEN_ALL;
		}
		matters |= now == FL_SEEN_ALL;
	}
	return matters;
}

static bool matters(uintptr_t at)
{
	at -= FL_MEMORY_BASE;
	return fl_plain_keeps_all || at >= FL_MEMORY_SIZE || fl_plain_seen[at / GRANULE] == FL_SEEN_ALL;
}

static bool keep_access(unsigned p, uintptr_t at, size_t n, unsigned kind, const void *where);

bool fl_plain_access(unsigned p, const volatile void *address, size_t n, unsigned kind, const void *where)
{
	uintptr_t at = (uintptr_t)address - FL_MEMORY_BASE;
	unsigned bits = (kind & FL_PLAIN_WRITE ? FL_SEEN_WRITE : 0) | (kind & FL_PLAIN_ATOMIC ? 0 : FL_SEEN_PLAIN);

	if (fl_plain_is_dull(p, address, n, bits))
		return true;
	if (FL_LIKELY(at < FL_MEMORY_SIZE) && FL_LIKELY(!see(p, at / GRANULE, (at + n - 1) / GRANULE, kind)))
		return true;
	return keep_access(p, (uintptr_t)address, n, kind, where);
}

static bool keep_access(unsigned p, uintptr_t at, size_t n, unsigned kind, const void *where)
{
	uintptr_t end = at + n;
	const struct fl_clock *now = &fl_order.now[p];
	uint64_t fresh = place_of(where) << WHERE_SHIFT | (uint64_t)(now->at[p] & CLOCK_MAX) << CLOCK_SHIFT |
			 (uint64_t)p << PROC_SHIFT | (uint64_t)kind << KIND_SHIFT;
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
		if (matters(at) && !look(&page->granule[granule], fresh | mask, now, at))
			return false;
		at = next;
	}
	return true;
}

/* To free is to write: this stands for where. */
static const char freeing;

bool fl_plain_free(unsigned p, const volatile void *at, size_t n)
{
	return fl_plain_access(p, at, n, FL_PLAIN_WRITE, &freeing);
}

/* Hooks */

static void freed(const void *p, const char *what, void *pc)
{
	char object[160];

	fl_finding(FL_EXPLORE_FREED, "%s %s freed memory: %s, in %s", fl_world_name((unsigned)fl_plain_proc), what,
		   fl_objects_describe(p, object, sizeof(object)), fl_where(pc));
	fl_world_leave();
}

void fl_plain_hook(const void *p, size_t n, unsigned kind, void *pc)
{
	if (FL_UNLIKELY(fl_memory_is_freed(p, n)))
		freed(p, kind ? "writes" : "reads", pc);
	if (FL_UNLIKELY(!fl_plain_access((unsigned)fl_plain_proc, p, n, kind, pc))) {
		fl_finding(FL_EXPLORE_RACE, "%s", "");
		fl_world_leave();
	}
}

/* Texts */

static void describe(uint64_t cell, char *buf, size_t size)
{
	const char *how = kind_of(cell) & FL_PLAIN_WRITE ? "write" : "read";
	const struct fl_access_site *site = at_place(cell >> WHERE_SHIFT);
	const char *slash;

	if ((const void *)site == &freeing) {
		snprintf(buf, size, "freed by %s, and nothing orders that", fl_world_name(proc_of(cell)));
		return;
	}
	if (!(kind_of(cell) & FL_PLAIN_ATOMIC)) {
		snprintf(buf, size, "plain %s by %s in %s", how, fl_world_name(proc_of(cell)), fl_where(site));
		return;
	}
	slash = site->file ? strrchr(site->file, '/') : NULL;
	snprintf(buf, size, "atomic %s by %s of %s (%s:%u)", how, fl_world_name(proc_of(cell)), site->what,
		 slash        ? slash + 1
		 : site->file ? site->file
			      : "port",
		 site->line);
}

void fl_plain_describe(void)
{
	char first[320], second[320], object[160];

	describe(d.first, first, sizeof(first));
	describe(d.second, second, sizeof(second));
	snprintf(fl_world.text, sizeof(fl_world.text), "%s: %s, and %s",
		 fl_objects_describe(d.address, object, sizeof(object)), first, second);
}
