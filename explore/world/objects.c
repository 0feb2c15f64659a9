/* SPDX-License-Identifier: MIT */
/*
 * What is where in explored memory, for reports: each object that was made, and the names that the test gave.
 *
 * The objects of a heap lie in the order in which they were made. Those of a run before are overwritten.
 *
 * No locks: one OS thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "world.h"

struct object {
	uintptr_t at;
	size_t size;
};

struct named {
	uintptr_t at;
	size_t n;
	char *name;
};

static struct {
	struct object *object[FL_WORLD_FIBERS + FL_HEAP_FIBERS];
	uint32_t room[FL_WORLD_FIBERS + FL_HEAP_FIBERS];
	struct named *named;
	size_t nnamed;
} o;

void fl_objects_close(void)
{
	for (size_t i = 0; i < FL_ARRAY_LEN(o.object); i++)
		free(o.object[i]);
	for (size_t i = 0; i < o.nnamed; i++)
		free(o.named[i].name);
	free(o.named);
	memset(&o, 0, sizeof(o));
}

bool fl_objects_add(unsigned heap, uint32_t index, uintptr_t at, size_t size)
{
	struct object *grown;
	uint32_t room;

	if (index >= o.room[heap]) {
		room = o.room[heap] ? 2 * o.room[heap] : 64;
		grown = realloc(o.object[heap], room * sizeof(*grown));
		if (!grown)
			return false;
		o.object[heap] = grown;
		o.room[heap] = room;
	}
	o.object[heap][index] = (struct object){.at = at, .size = size};
	return true;
}

/* The number of the last object of the heap that begins at or before p; -1: none. */
static long find(unsigned heap, uint32_t objects, uintptr_t p)
{
	long lo = 0, hi = (long)objects;

	while (lo < hi) {
		long mid = (lo + hi) / 2;

		if (o.object[heap][mid].at <= p)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - 1;
}

bool fl_objects_find(unsigned heap, uint32_t objects, uintptr_t p, size_t *size)
{
	long i = find(heap, objects, p);

	if (i < 0 || o.object[heap][i].at != p)
		return false;
	*size = o.object[heap][i].size;
	return true;
}

bool fl_objects_name(const void *p, size_t n, const char *name)
{
	struct named *grown = realloc(o.named, (o.nnamed + 1) * sizeof(*grown));
	char *copy = strdup(name);

	if (grown)
		o.named = grown;
	if (!grown || !copy) {
		free(copy);
		return false;
	}
	o.named[o.nnamed++] = (struct named){.at = (uintptr_t)p, .n = n, .name = copy};
	return true;
}

static void with_offset(char *buf, size_t size, const char *what, size_t offset)
{
	if (offset)
		snprintf(buf, size, "%s +0x%zx", what, offset);
	else
		snprintf(buf, size, "%s", what);
}

/* The smallest named range that p lies in. */
static const struct named *find_name(uintptr_t p)
{
	const struct named *best = NULL;

	for (size_t i = 0; i < o.nnamed; i++)
		if (p - o.named[i].at < o.named[i].n && (!best || o.named[i].n < best->n))
			best = &o.named[i];
	return best;
}

const char *fl_objects_describe(const volatile void *p, char *buf, size_t size)
{
	uintptr_t at = (uintptr_t)p;
	const struct named *n = find_name(at);
	size_t below;
	char what[96];
	int i;

	if (!p) {
		snprintf(buf, size, "nothing");
	} else if (n) {
		with_offset(buf, size, n->name, at - n->at);
	} else if ((i = fl_memory_heap(at)) >= 0) {
		long k = find((unsigned)i, fl_run.heap[i].objects, at);

		snprintf(what, sizeof(what), "%s made by %s #%ld", i == FL_HEAP_LARGE ? "large piece" : "object",
			 fl_memory_heap_owner((unsigned)i), k + 1);
		with_offset(buf, size, what, k < 0 ? 0 : at - o.object[i][k].at);
	} else if ((i = fl_memory_stack_of(at, &below)) >= 0) {
		snprintf(buf, size, "stack of %s -0x%zx", fl_world_name((unsigned)i), below);
	} else {
		for (size_t k = 0; k < fl_memory.nkept; k++) {
			if (at - fl_memory.kept[k].start < fl_memory.kept[k].n) {
				snprintf(what, sizeof(what), "kept variable #%zu", k + 1);
				with_offset(buf, size, what, at - fl_memory.kept[k].start);
				return buf;
			}
		}
		snprintf(buf, size, "memory that is not explored");
	}
	return buf;
}
