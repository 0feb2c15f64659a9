/* SPDX-License-Identifier: MIT */
/*
 * End states that were checked and torn down before, with nothing to find.
 *
 * Many schedules end in the same state. What the checker and the tear-down do is determined by explored memory, frames'
 * contents apart, which neither reads; so it is enough to do it once for each state. States are known by a digest of 128
 * bits over every byte of it.
 *
 * The digest is four sums beside each other, each over words of 8 bytes: multiply to 128 bits, and fold.
 *
 * No locks: nothing runs.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/exec/exec_int.h"
#include "explore/world/layout.h"
#include "explore/world/world.h"

#define MOST (1u << 20) /* states; later ones are checked each time */

__extension__ typedef unsigned __int128 wide;

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	wide product = (wide)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

struct digest {
	uint64_t lane[4];
};

static inline uint64_t word(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* n: a multiple of 64, as all heaps are used up in granules. */
static void add(struct digest *d, const void *p, size_t n)
{
	uint64_t a = d->lane[0], b = d->lane[1], c = d->lane[2], e = d->lane[3];

	for (const char *at = p, *end = at + n; at < end; at += FL_MEMORY_GRANULE) {
		a = fold(a ^ word(at), word(at + 8) ^ 0x9e3779b97f4a7c15);
		b = fold(b ^ word(at + 16), word(at + 24) ^ 0xbf58476d1ce4e5b9);
		c = fold(c ^ word(at + 32), word(at + 40) ^ 0x94d049bb133111eb);
		e = fold(e ^ word(at + 48), word(at + 56) ^ 0xd6e8feb86659fd93);
	}
	*d = (struct digest){{a, b, c, e}};
}

static void add_number(struct digest *d, uint64_t number)
{
	d->lane[0] = fold(d->lane[0] ^ number, 0x2545f4914f6cdd1d);
	d->lane[1] = fold(d->lane[1] ^ number, 0x9fb21c651e98df25);
}

static void add_heap(struct digest *d, unsigned heap)
{
	add(d, (const void *)fl_memory_heap_start(heap), fl_run.heap[heap].used);
	add_number(d, fl_run.heap[heap].used);
}

/* Large pieces but for the arena: what describes the frames, if there are many. */
static void add_large(struct digest *d, const struct fl_stage *st)
{
	uintptr_t start = fl_memory_heap_start(FL_HEAP_LARGE), end = start + fl_run.heap[FL_HEAP_LARGE].used;
	uintptr_t arena = (uintptr_t)st->arena, after = arena + st->arena_size;

	if (arena < start || arena >= end) {
		add_heap(d, FL_HEAP_LARGE);
		return;
	}
	add(d, (const void *)start, arena - start);
	add(d, (const void *)after, end - after);
}

static struct fl_exec_state_key state_now(const struct fl_exec *x, bool blocked)
{
	struct digest d = {{1, 2, 3, 4}};

	add_heap(&d, FL_HEAP_SETUP);
	add_large(&d, x->stage);
	for (unsigned i = 0; i < fl_world.fibers; i++)
		add_heap(&d, FL_HEAP_FIBERS + i);
	add_number(&d, (uint64_t)fl_run.allocated << 32 | fl_run.freed);
	add_number(&d, blocked);
	return (struct fl_exec_state_key){fold(d.lane[0] ^ d.lane[2], d.lane[1] | 1) ^ d.lane[3],
					  fold(d.lane[1] ^ d.lane[3], d.lane[2] | 1) ^ d.lane[0]};
}

static struct fl_exec_state_key *find(const struct fl_exec *x, struct fl_exec_state_key key)
{
	size_t i = key.low & (x->known_room - 1);

	while (x->known[i].low && (x->known[i].low != key.low || x->known[i].high != key.high))
		i = (i + 1) & (x->known_room - 1);
	return &x->known[i];
}

static bool grow(struct fl_exec *x)
{
	struct fl_exec_state_key *old = x->known;
	size_t room = x->known_room;
	struct fl_exec_state_key *new = calloc(room ? 2 * room : 1024, sizeof(*new));

	if (!new)
		return false;
	x->known = new;
	x->known_room = room ? 2 * room : 1024;
	for (size_t i = 0; i < room; i++) {
		if (old[i].low)
			*find(x, old[i]) = old[i];
	}
	free(old);
	return true;
}

bool fl_exec_is_known(struct fl_exec *x, bool blocked)
{
	x->state = state_now(x, blocked);
	x->state.low |= 1; /* 0 is an empty place */
	return x->known_room && find(x, x->state)->low;
}

void fl_exec_is_good(struct fl_exec *x)
{
	if (2 * x->nknown >= x->known_room && (x->nknown >= MOST || !grow(x)))
		return;
	*find(x, x->state) = x->state;
	x->nknown++;
}

void fl_exec_forget(struct fl_exec *x)
{
	free(x->known);
	x->known = NULL;
	x->known_room = x->nknown = 0;
}
