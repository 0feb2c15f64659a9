/* SPDX-License-Identifier: MIT */
/*
 * Explored memory: at a fixed place, so that an address is the same in every run and on every machine.
 *
 *   heap      setup's, one for large pieces of setup's, and one for each fiber: so an address depends on who asks and
 *             how often, never on who went when. Memory is handed out upwards and not used again within a run
 *   granule   64 bytes: the state of each is known: never made, live, freed
 *   slot      the number by which the search knows a piece: 4 bytes of a heap or stack; 64 of large pieces and of
 *             what lies far up in a fiber's heap
 *
 * No locks: one OS thread.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "layout.h"
#include "world.h"

#define BASE ((uintptr_t)FL_MEMORY_BASE)
#define FREED 0x6b
#define SLOT ((size_t)1 << FL_MEMORY_SLOT_SHIFT)

struct slots {
	uint32_t first;
	uint32_t shift;
};

struct fl_memory fl_memory;

static struct {
	struct slots *slots; /* of each page */
	uint32_t stacks;     /* given out */
	uint32_t *freed;     /* the log: granule numbers of objects that were freed, and how many granules */
	size_t freed_room;   /* entries of two */
} m;

static uintptr_t heap_start(unsigned heap)
{
	if (heap == FL_HEAP_SETUP)
		return BASE;
	if (heap == FL_HEAP_LARGE)
		return BASE + FL_MEMORY_LARGE;
	return BASE + FL_MEMORY_HEAPS + (uintptr_t)(heap - FL_HEAP_FIBERS) * FL_MEMORY_HEAP_SIZE;
}

static size_t heap_size(unsigned heap)
{
	if (heap == FL_HEAP_SETUP)
		return FL_MEMORY_LARGE;
	if (heap == FL_HEAP_LARGE)
		return FL_MEMORY_HEAPS - FL_MEMORY_LARGE;
	return FL_MEMORY_HEAP_SIZE;
}

uintptr_t fl_memory_heap_start(unsigned heap)
{
	return heap_start(heap);
}

const char *fl_memory_open(void)
{
	static char text[160];
	void *want = (void *)BASE;
	void *got = mmap(want, FL_MEMORY_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (got != want) {
		if (got != MAP_FAILED)
			munmap(got, FL_MEMORY_SIZE);
		snprintf(text, sizeof(text),
			 "explored memory must lie at %p, and %s there: explore in a process that keeps it free", want,
			 got == MAP_FAILED ? "it could not be mapped" : "another mapping is");
		return text;
	}
	memset(&m, 0, sizeof(m));
	memset(&fl_memory, 0, sizeof(fl_memory));
	fl_memory.granule = calloc(FL_MEMORY_SIZE / FL_MEMORY_GRANULE, 1);
	m.slots = calloc(FL_MEMORY_SIZE / FL_MEMORY_PAGE, sizeof(*m.slots));
	if (!fl_memory.granule || !m.slots) {
		fl_memory_close();
		return "there is no memory for the explorer's tables";
	}
	return NULL;
}

void fl_memory_close(void)
{
	munmap((void *)BASE, FL_MEMORY_SIZE);
	free(fl_memory.granule);
	free(m.slots);
	free(m.freed);
	free(fl_memory.kept);
	memset(&fl_memory, 0, sizeof(fl_memory));
	memset(&m, 0, sizeof(m));
}

bool fl_memory_is_explored(const volatile void *p)
{
	return (uintptr_t)p - BASE < FL_MEMORY_SIZE;
}

int fl_memory_heap(uintptr_t p)
{
	uintptr_t at = p - BASE;

	if (at >= FL_MEMORY_STACKS)
		return -1;
	if (at < FL_MEMORY_LARGE)
		return FL_HEAP_SETUP;
	if (at < FL_MEMORY_HEAPS)
		return FL_HEAP_LARGE;
	return (int)(FL_HEAP_FIBERS + (at - FL_MEMORY_HEAPS) / FL_MEMORY_HEAP_SIZE);
}

const char *fl_memory_heap_owner(unsigned heap)
{
	return heap < FL_HEAP_FIBERS ? "setup" : fl_world_name(heap - FL_HEAP_FIBERS);
}

int fl_memory_stack_of(uintptr_t p, size_t *below)
{
	uintptr_t at = p - BASE - FL_MEMORY_STACKS;

	if (p - BASE >= FL_MEMORY_SIZE || p - BASE < FL_MEMORY_STACKS)
		return -1;
	*below = FL_MEMORY_STACK_SIZE - at % FL_MEMORY_STACK_SIZE;
	return (int)(at / FL_MEMORY_STACK_SIZE);
}

/* Whose heap the one who runs takes from. */
static unsigned current_heap(size_t size)
{
	int current = fl_world_current();

	if (current >= 0)
		return FL_HEAP_FIBERS + (unsigned)current;
	return size >= FL_MEMORY_LARGE_PIECE ? FL_HEAP_LARGE : FL_HEAP_SETUP;
}

void *fl_memory_alloc(size_t size, bool counted)
{
	unsigned heap = current_heap(size);
	struct fl_world_heap *h = &fl_run.heap[heap];
	size_t align = heap == FL_HEAP_LARGE ? FL_MEMORY_PAGE : FL_MEMORY_GRANULE;
	size_t take = (size + align - 1) & ~(align - 1);
	uintptr_t at = heap_start(heap) + h->used;

	if (take < size || take > heap_size(heap) - h->used)
		return NULL;
	if (!take)
		take = align;
	if (!fl_objects_add(heap, h->objects, at, size))
		return NULL;
	h->objects++;
	h->used += (uint32_t)take;
	if (counted)
		fl_run.allocated += (uint32_t)size;
	memset(&fl_memory.granule[(at - BASE) / FL_MEMORY_GRANULE], FL_GRANULE_LIVE, take / FL_MEMORY_GRANULE);
	return memset((void *)at, 0, take);
}

static bool log_free(uintptr_t at, size_t granules)
{
	uint32_t *grown;

	if (fl_run.freed == m.freed_room) {
		m.freed_room = m.freed_room ? 2 * m.freed_room : 256;
		grown = realloc(m.freed, m.freed_room * 2 * sizeof(*grown));
		if (!grown)
			return false;
		m.freed = grown;
	}
	m.freed[2 * (size_t)fl_run.freed] = (uint32_t)((at - BASE) / FL_MEMORY_GRANULE);
	m.freed[2 * (size_t)fl_run.freed + 1] = (uint32_t)granules;
	fl_run.freed++;
	return true;
}

void fl_memory_unfree(uint32_t keep)
{
	while (fl_run.freed > keep) {
		const uint32_t *entry = &m.freed[2 * (size_t)--fl_run.freed];

		memset(&fl_memory.granule[entry[0]], FL_GRANULE_LIVE, entry[1]);
	}
}

void fl_memory_free(void *p, size_t size)
{
	uintptr_t at = (uintptr_t)p;
	int heap = fl_memory_heap(at);
	size_t made, granules = (size + FL_MEMORY_GRANULE - 1) / FL_MEMORY_GRANULE;
	char what[160];

	fl_objects_describe(p, what, sizeof(what));
	if (heap < 0 || !fl_objects_find((unsigned)heap, fl_run.heap[heap].objects, at, &made)) {
		fl_finding(FL_EXPLORE_PANIC, "fl_port_free of %s, which fl_port_alloc did not make", what);
		fl_world_leave();
	}
	if (fl_memory_is_freed(p, 1)) {
		fl_finding(FL_EXPLORE_FREED, "%s is freed twice", what);
		fl_world_leave();
	}
	if (made != size) {
		fl_finding(FL_EXPLORE_PANIC, "%s is freed as %zu bytes, and was made with %zu", what, size, made);
		fl_world_leave();
	}
	if (!granules)
		granules = 1;
	if (!log_free(at, granules))
		fl_world_panic(NULL, __FILE__, __LINE__, "no memory for the log of frees");
	fl_run.allocated -= (uint32_t)size;
	memset(&fl_memory.granule[(at - BASE) / FL_MEMORY_GRANULE], FL_GRANULE_FREED, granules);
	memset(p, FREED, size);
}

void *fl_memory_stack(void *arg, size_t *size)
{
	uintptr_t at = BASE + FL_MEMORY_STACKS + (uintptr_t)m.stacks * FL_MEMORY_STACK_SIZE;

	(void)arg;
	if (m.stacks == FL_WORLD_FIBERS || *size > FL_MEMORY_STACK_SIZE)
		return NULL;
	m.stacks++;
	if (mprotect((void *)at, FL_MEMORY_PAGE, PROT_NONE))
		return NULL;
	*size = FL_MEMORY_STACK_SIZE;
	return (void *)at;
}

bool fl_memory_keep(void *p, size_t n)
{
	struct fl_memory_kept *grown;

	if (fl_memory_is_explored(p) || !n)
		return true;
	grown = realloc(fl_memory.kept, (fl_memory.nkept + 1) * sizeof(*grown));
	if (!grown)
		return false;
	fl_memory.kept = grown;
	grown[fl_memory.nkept++] = (struct fl_memory_kept){.start = (uintptr_t)p, .n = n};
	return true;
}

/* Give the pages of [start, start + n) their numbers; returns the next free one. */
static uint32_t number(uintptr_t start, size_t n, uint32_t shift, uint32_t next)
{
	size_t page = (start - BASE) / FL_MEMORY_PAGE;

	for (size_t i = 0; i * FL_MEMORY_PAGE < n; i++) {
		m.slots[page + i] = (struct slots){.first = next, .shift = shift};
		next += (uint32_t)(FL_MEMORY_PAGE >> shift);
	}
	return next;
}

/* What lies deep down in a stack is hardly ever shared. */
static uint32_t number_stack(uintptr_t stack, uint32_t next)
{
	size_t deep = FL_MEMORY_STACK_SIZE - FL_MEMORY_STACK_FINE;

	next = number(stack, deep, 12, next);
	return number(stack + deep, FL_MEMORY_STACK_FINE, FL_MEMORY_SLOT_SHIFT, next);
}

uint32_t fl_memory_number(void)
{
	uint32_t next = FL_SLOT_FIRST;

	next = number(heap_start(FL_HEAP_SETUP), fl_run.heap[FL_HEAP_SETUP].used, FL_MEMORY_SLOT_SHIFT, next);
	next = number(heap_start(FL_HEAP_LARGE), fl_run.heap[FL_HEAP_LARGE].used, 6, next);
	for (size_t i = 0; i < fl_memory.nkept; i++) {
		fl_memory.kept[i].slot = next;
		next += (uint32_t)((fl_memory.kept[i].start % SLOT + fl_memory.kept[i].n + SLOT - 1) / SLOT);
	}
	for (unsigned i = 0; i < fl_world.fibers; i++) {
		uintptr_t heap = heap_start(FL_HEAP_FIBERS + i);

		next = number(heap, FL_MEMORY_FINE, FL_MEMORY_SLOT_SHIFT, next);
		next = number(heap + FL_MEMORY_FINE, FL_MEMORY_MEDIUM, 6, next);
		next = number(heap + FL_MEMORY_FINE + FL_MEMORY_MEDIUM,
			      FL_MEMORY_HEAP_SIZE - FL_MEMORY_FINE - FL_MEMORY_MEDIUM, 12, next);
		next = number_stack(BASE + FL_MEMORY_STACKS + (uintptr_t)i * FL_MEMORY_STACK_SIZE, next);
	}
	return next;
}

static bool kept_slots(uintptr_t at, size_t n, uint32_t *slot, uint32_t *count)
{
	for (size_t i = 0; i < fl_memory.nkept; i++) {
		const struct fl_memory_kept *k = &fl_memory.kept[i];
		uintptr_t base = k->start & ~(uintptr_t)(SLOT - 1);

		if (at - k->start < k->n) {
			*slot = k->slot + (uint32_t)((at - base) / SLOT);
			*count = k->slot + (uint32_t)((at + n - 1 - base) / SLOT) - *slot + 1;
			return true;
		}
	}
	*slot = FL_SLOT_ELSEWHERE;
	*count = 1;
	return false;
}

bool fl_memory_slots(const volatile void *p, size_t n, uint32_t *slot, uint32_t *count)
{
	uintptr_t at = (uintptr_t)p - BASE, last;
	const struct slots *first, *end;

	if (!n)
		n = 1;
	if (FL_UNLIKELY(at >= FL_MEMORY_SIZE))
		return kept_slots((uintptr_t)p, n, slot, count);
	first = &m.slots[at / FL_MEMORY_PAGE];
	last = at + n - 1;
	end = &m.slots[last / FL_MEMORY_PAGE];
	*slot = first->first + (uint32_t)((at % FL_MEMORY_PAGE) >> first->shift);
	*count = end->first + (uint32_t)((last % FL_MEMORY_PAGE) >> end->shift) - *slot + 1;
	return true;
}
