/* SPDX-License-Identifier: MIT */
/*
 * Memory of a scenario: chunks that are freed together.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/lang/lang.h"

#define CHUNK 16384

struct fl_sc_chunk {
	struct fl_sc_chunk *before;
	size_t used, size;
	_Alignas(16) unsigned char bytes[];
};

void *fl_sc_arena_get(struct fl_sc_arena *a, size_t size)
{
	struct fl_sc_chunk *c = a->last;
	void *got;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + 15) & ~(size_t)15;
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK ? size : CHUNK;

		c = calloc(1, sizeof(*c) + room);
		if (!c)
			return NULL;
		c->size = room;
		c->before = a->last;
		a->last = c;
	}
	got = c->bytes + c->used;
	c->used += size;
	return got;
}

void fl_sc_arena_free(struct fl_sc_arena *a)
{
	while (a->last) {
		struct fl_sc_chunk *before = a->last->before;

		free(a->last);
		a->last = before;
	}
}

void *fl_sc_get(struct fl_sc_parser *p, size_t size)
{
	void *got = fl_sc_arena_get(&p->own->arena, size);

	if (!got)
		fl_sc_no_memory(p);
	return got;
}

char *fl_sc_text(struct fl_sc_parser *p, const char *text, size_t length)
{
	char *copy = fl_sc_get(p, length + 1);

	memcpy(copy, text, length);
	return copy;
}

/* Doubles at each power of two, so the array's own length says how much room it has. */
void *fl_sc_grow(struct fl_sc_parser *p, const void *array, size_t n, size_t size)
{
	void *more;

	if (n & (n - 1))
		return (void *)(uintptr_t)array;
	more = fl_sc_get(p, (n ? 2 * n : 1) * size);
	if (n)
		memcpy(more, array, n * size);
	return more;
}
