/* SPDX-License-Identifier: MIT */
/*
 * Where things lie in explored memory. Offsets are from FL_MEMORY_BASE.
 *
 * No locks: one OS thread.
 */
#ifndef FL_WORLD_LAYOUT_H
#define FL_WORLD_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FL_MEMORY_BASE 0x6fa000000000
#define FL_MEMORY_PAGE ((size_t)4096)
#define FL_MEMORY_GRANULE ((size_t)64)

/* setup's heap; its large pieces; the fibers' heaps; the fibers' stacks */
#define FL_MEMORY_LARGE ((size_t)64 << 20)
#define FL_MEMORY_HEAPS ((size_t)512 << 20)
#define FL_MEMORY_HEAP_SIZE ((size_t)16 << 20)
#define FL_MEMORY_STACKS ((size_t)768 << 20)
#define FL_MEMORY_STACK_SIZE ((size_t)512 << 10)
#define FL_MEMORY_SIZE ((size_t)776 << 20)

/* What setup allocates in one piece of at least so many bytes is large: an arena, mostly. */
#define FL_MEMORY_LARGE_PIECE ((size_t)16 << 10)
/* A fiber's heap: fine slots below this, then coarse ones, then a page each. */
#define FL_MEMORY_FINE ((size_t)128 << 10)
#define FL_MEMORY_MEDIUM ((size_t)1 << 20)
/* A stack: fine slots in so many bytes at its top, a page each below. */
#define FL_MEMORY_STACK_FINE ((size_t)64 << 10)

/* A slot is 4 bytes: neighbours in a struct are different things. */
#define FL_MEMORY_SLOT_SHIFT 2
/* All that lies outside of explored memory is one slot. 0 is none. */
#define FL_SLOT_ELSEWHERE 1u
#define FL_SLOT_BUFFERS 2u                        /* entries of store buffers: 16 for each of 13 fibers */
#define FL_SLOT_CALLS (FL_SLOT_BUFFERS + 16 * 13) /* how many calls for callbacks there were */
#define FL_SLOT_DONE (FL_SLOT_CALLS + 1)          /* and how many callbacks are over: what fl_rcu_barrier asks */
#define FL_SLOT_FIRST (FL_SLOT_DONE + 1)

enum {
	FL_HEAP_SETUP,
	FL_HEAP_LARGE,
	FL_HEAP_FIBERS /* the first fiber's */
};

struct fl_memory_kept {
	uintptr_t start;
	size_t n;
	uint32_t slot;
};

enum {
	FL_GRANULE_NONE,
	FL_GRANULE_LIVE,
	FL_GRANULE_FREED
};

struct fl_memory {
	unsigned char *granule; /* the state of each */
	struct fl_memory_kept *kept;
	size_t nkept;
};
extern struct fl_memory fl_memory;

/* Whether one of n bytes at p was freed. */
static inline bool fl_memory_is_freed(const volatile void *p, size_t n)
{
	uintptr_t at = (uintptr_t)p - FL_MEMORY_BASE;

	if (at >= FL_MEMORY_STACKS)
		return false;
	for (size_t g = at / FL_MEMORY_GRANULE; g <= (at + (n ? n - 1 : 0)) / FL_MEMORY_GRANULE; g++)
		if (fl_memory.granule[g] == FL_GRANULE_FREED)
			return true;
	return false;
}

uintptr_t fl_memory_heap_start(unsigned heap);
/* Objects that were freed after the log had so many entries are live again. */
void fl_memory_unfree(uint32_t keep);

#endif
