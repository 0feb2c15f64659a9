/* SPDX-License-Identifier: MIT */
/*
 * Store buffers: under TSO a store that is not seq_cst waits in its fiber's buffer, first in, first out, and may leave it
 * whenever the search says so. A buffer is a process of the search; its step is that the oldest entry reaches memory.
 *
 *   forward   a load sees its own fiber's newest entry for that word. Where it meets a part of one it waits until the
 *             buffer is empty
 *   drain     read-modify-writes, fences, seq_cst stores, copies, locks, unlocks, wake-ups and fl_rcu_call wait until the
 *             buffer of their fiber is empty. The begin and the end of a section do not: in liburcu, too, they are plain
 *             accesses. A callback waits for the stores that come before its call to leave their buffers
 *
 * Each entry has a slot of its own, so that the search knows that a store comes before its flush, and that nothing else of
 * its fiber needs to.
 *
 * No locks: one OS thread.
 */
#include "tso.h"

#include <string.h>

#include "layout.h"
#include "plain.h"

struct fl_tso fl_tso;

static struct fl_tso_entry *entry_at(struct fl_tso_buffer *b, unsigned i)
{
	return &b->entry[(b->popped + i) % FL_TSO_ENTRIES];
}

static unsigned count(const struct fl_tso_buffer *b)
{
	return b->pushed - b->popped;
}

static uint32_t slot_of(unsigned fiber, uint32_t number)
{
	return FL_SLOT_BUFFERS + fiber * FL_TSO_ENTRIES + number % FL_TSO_ENTRIES;
}

/* The newest entry that has a byte of n at p: *whole if it is just these. */
static struct fl_tso_entry *find(unsigned fiber, const volatile void *p, size_t n, bool *whole)
{
	struct fl_tso_buffer *b = &fl_tso.buffer[fiber];

	for (unsigned i = count(b); i-- > 0;) {
		struct fl_tso_entry *e = entry_at(b, i);

		if (e->address < (uintptr_t)p + n && (uintptr_t)p < e->address + e->size) {
			*whole = e->address == (uintptr_t)p && e->size == n;
			return e;
		}
	}
	return NULL;
}

static bool drains(const struct fl_fiber_point *point)
{
	switch ((enum fl_access_kind)point->site->kind) {
	case FL_ACCESS_STORE:
		return point->site->order == FL_ORDER_SEQ;
	case FL_ACCESS_LOAD:
	case FL_ACCESS_BEGIN:
	case FL_ACCESS_END:
	case FL_ACCESS_YIELD:
	case FL_ACCESS_CALLBACK:
		return false;
	case FL_ACCESS_OTHER:
		return point->address != NULL;
	default:
		return true;
	}
}

bool fl_tso_is_buffered(const struct fl_fiber_point *point)
{
	return point->site->kind == FL_ACCESS_STORE && point->site->order != FL_ORDER_SEQ;
}

bool fl_tso_is_enabled(unsigned fiber, const struct fl_fiber_point *point)
{
	struct fl_tso_buffer *b = &fl_tso.buffer[fiber];
	bool whole;

	if (!count(b))
		return true;
	if (drains(point))
		return false;
	if (point->site->kind == FL_ACCESS_STORE)
		return count(b) < FL_TSO_ENTRIES;
	return point->site->kind != FL_ACCESS_LOAD || !find(fiber, point->address, point->size, &whole) || whole;
}

/* The step of a fiber, as far as buffers matter. */
void fl_tso_describe(unsigned fiber, const struct fl_fiber_point *point, struct fl_step *st)
{
	bool whole;

	st->after = 0;
	if (fl_tso_is_buffered(point)) {
		st->ranges = 1;
		st->range[0] = (struct fl_step_range){slot_of(fiber, fl_tso.buffer[fiber].pushed), 1, FL_TOUCH_BUFFER};
	} else if (drains(point) || (point->site->kind == FL_ACCESS_LOAD &&
				     find(fiber, point->address, point->size, &whole) && !whole)) {
		st->after = 1u << (fl_world.fibers + fiber);
	}
}

const struct fl_tso_entry *fl_tso_oldest(unsigned fiber)
{
	struct fl_tso_buffer *b = &fl_tso.buffer[fiber];

	return count(b) ? entry_at(b, 0) : NULL;
}

void fl_tso_describe_flush(unsigned fiber, struct fl_step *st)
{
	const struct fl_tso_entry *e = fl_tso_oldest(fiber);

	memset(st, 0, sizeof(*st));
	st->kind = FL_STEP_FLUSH;
	st->object = slot_of(fiber, fl_tso.buffer[fiber].popped);
	if (!e->size)
		return;
	st->ranges = 1;
	fl_memory_slots((const void *)e->address, e->size, &st->range[0].slot, &st->range[0].n);
	st->range[0].touch = FL_TOUCH_WRITE;
}

void fl_tso_flush(unsigned fiber)
{
	struct fl_tso_buffer *b = &fl_tso.buffer[fiber];
	const struct fl_tso_entry *e = entry_at(b, 0);

	memcpy((void *)e->address, &e->value, e->size);
	b->popped++;
}

void fl_tso_forget(unsigned fiber, const void *p, size_t n)
{
	struct fl_tso_buffer *b = &fl_tso.buffer[fiber];

	for (unsigned i = 0; i < count(b); i++) {
		struct fl_tso_entry *e = entry_at(b, i);

		if (e->address - (uintptr_t)p < n)
			e->size = 0;
	}
}

static void on_load(void *arg, const volatile void *p, void *value, const struct fl_access_site *site)
{
	const struct fl_tso_entry *e;
	bool whole;

	(void)arg;
	e = fl_world.thinking ? NULL : find((unsigned)fl_world_current(), p, site->size, &whole);
	memcpy(value, e ? (const void *)&e->value : (const void *)(uintptr_t)p, site->size);
}

static void on_store(void *arg, volatile void *p, const void *value, const struct fl_access_site *site)
{
	struct fl_tso_buffer *b;
	struct fl_tso_entry *e;

	(void)arg;
	if (site->order == FL_ORDER_SEQ || fl_world.prologue) {
		memcpy((void *)(uintptr_t)p, value, site->size);
		return;
	}
	b = &fl_tso.buffer[fl_world_current()];
	e = entry_at(b, count(b));
	*e = (struct fl_tso_entry){.address = (uintptr_t)p, .site = site, .size = site->size};
	e->op_line = fl_run.op[fl_world_current()].line;
	e->op = fl_run.op[fl_world_current()].text;
	memcpy(&e->value, value, site->size);
	b->pushed++;
	if (fl_plain_on() && site->order != FL_ORDER_RELAXED)
		e->clock = fl_order.now[fl_world_current()].at[fl_world_current()]++;
}

const struct fl_access_hooks fl_tso_hooks = {.load = on_load, .store = on_store};
