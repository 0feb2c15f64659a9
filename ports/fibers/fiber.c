/* SPDX-License-Identifier: MIT */
/*
 * Fibers: their making, their stacks, and the list of them all. Who runs when is in schedule.c.
 *
 * A fiber is one mapping: a guard page, the stack, and on top struct fl_fiber. The mappings of
 * destroyed fibers are kept, up to POOL_MAX, and the next fiber with a stack of that size
 * takes the youngest.
 *
 * No locks: one OS thread.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fiber_int.h"

#if defined(__SANITIZE_ADDRESS__)
#define LSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LSAN 1
#endif
#endif
#ifdef LSAN
#include <sanitizer/lsan_interface.h>
#endif

#define POOL_MAX 64

struct fl_fiber fl_fiber_outside = {.id = FL_FIBER_ID_OUTSIDE, .name = "outside"};

static struct {
	struct fl_fiber *first, *last; /* of all but the port's own */
	size_t n;
	uint32_t last_id;
	struct fl_fiber *rcu;  /* the port's own */
	struct fl_fiber *pool; /* through all_next */
	size_t pooled;
} all;

struct fl_fiber *fl_fiber_ring_push(struct fl_fiber *ring, struct fl_fiber *f)
{
	if (!ring) {
		f->next = f->prev = f;
		return f;
	}
	f->next = ring;
	f->prev = ring->prev;
	f->prev->next = f;
	ring->prev = f;
	return ring;
}

struct fl_fiber *fl_fiber_ring_remove(struct fl_fiber *ring, struct fl_fiber *f)
{
	struct fl_fiber *next = f->next == f ? NULL : f->next;

	f->next->prev = f->prev;
	f->prev->next = f->next;
	f->next = f->prev = NULL;
	return ring == f ? next : ring;
}

/* What every fiber begins in. */
static void begin(void)
{
	struct fl_fiber *f = fl_fiber_now;

	fl_context_arrive(&f->context);
	f->fn(f->arg);
	if (f->held)
		fl_fiber_panic("fiber '%s' has returned while it holds %u mutex(es)", f->name, f->held);
	if (f->depth)
		fl_fiber_panic("fiber '%s' has returned inside an rcu section", f->name);
	fl_schedule_end();
}

static struct fl_fiber *take_pooled(size_t mapping_size)
{
	for (struct fl_fiber **link = &all.pool; *link; link = &(*link)->all_next) {
		struct fl_fiber *f = *link;

		if (f->mapping_size == mapping_size) {
			*link = f->all_next;
			all.pooled--;
			return f;
		}
	}
	return NULL;
}

/* A driver's stacks are its own, and are not pooled. */
static struct fl_fiber *take_driven(size_t size, size_t page)
{
	char *mapping = fl_fiber_driver->stack(fl_fiber_driver->arg, &size);
	struct fl_fiber *f;

	if (!mapping)
		return NULL;
	(void)page;
	f = (struct fl_fiber *)(void *)(mapping + size - ((sizeof(*f) + 63) & ~(size_t)63));
	f->mapping = mapping;
	f->mapping_size = size;
	return f;
}

static struct fl_fiber *map_fiber(size_t size, size_t page)
{
	char *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct fl_fiber *f;

	if (mapping == MAP_FAILED)
		return NULL;
	if (mprotect(mapping, page, PROT_NONE)) {
		munmap(mapping, size);
		return NULL;
	}
#ifdef LSAN
	__lsan_register_root_region(mapping + page, size - page);
#endif
	f = (struct fl_fiber *)(void *)(mapping + size - ((sizeof(*f) + 63) & ~(size_t)63));
	f->mapping = mapping;
	f->mapping_size = size;
	return f;
}

static void unmap_fiber(struct fl_fiber *f)
{
	void *mapping = f->mapping;
	size_t size = f->mapping_size;

#ifdef LSAN
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	__lsan_unregister_root_region((char *)mapping + page, size - page);
#endif
	munmap(mapping, size);
}

/* A fiber that is in no list yet. */
static struct fl_fiber *make(const char *name, void (*fn)(void *), void *arg, size_t stack_size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = stack_size ? stack_size : FL_FIBER_STACK;
	struct fl_fiber *f;
	void *mapping;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = ((size + sizeof(*f) + 64 + page - 1) & ~(page - 1)) + page;
	f = fl_fiber_driver ? take_driven(size, page) : take_pooled(size);
	if (!f && !fl_fiber_driver)
		f = map_fiber(size, page);
	if (!f)
		return NULL;
	mapping = f->mapping;
	size = f->mapping_size;
	memset(f, 0, sizeof(*f));
	f->mapping = mapping;
	f->mapping_size = size;
	f->fn = fn;
	f->arg = arg;
	strncpy(f->name, name ? name : "", sizeof(f->name) - 1);
	fl_context_init(&f->context, (char *)mapping + page, (size_t)((char *)f - (char *)mapping) - page, begin);
	return f;
}

static bool make_rcu_fiber(void)
{
	if (all.rcu)
		return true;
	all.rcu = make("rcu", fl_rcu_fiber, NULL, 0);
	if (!all.rcu)
		return false;
	all.rcu->id = FL_FIBER_ID_RCU;
	all.rcu->state = FL_FIBER_IN_RCU; /* so that it never is runnable without cause, the first time included */
	return true;
}

struct fl_fiber *fl_fiber_create(const char *name, void (*fn)(void *), void *arg, size_t stack_size)
{
	struct fl_fiber *f;

	if (!fl_fiber_driver && (!fl_schedule_reserve(all.n + 2) || !make_rcu_fiber()))
		return NULL;
	f = make(name, fn, arg, stack_size);
	if (!f)
		return NULL;
	f->id = ++all.last_id;
	f->all_prev = all.last;
	if (all.last)
		all.last->all_next = f;
	else
		all.first = f;
	all.last = f;
	all.n++;
	fl_schedule_ready(f);
	return f;
}

/* A fiber that waits must not be found by whoever would wake it. */
static void stop_waiting(struct fl_fiber *f)
{
	if (f->state == FL_FIBER_IN_MUTEX)
		f->mutex->queue = fl_fiber_ring_remove(f->mutex->queue, f);
	else if (f->state == FL_FIBER_IN_PARK)
		f->parker->who = NULL;
	else if (f->state == FL_FIBER_IN_RCU)
		fl_rcu_stop_waiting(f);
	if (f->depth)
		fl_rcu_leave(f);
}

void fl_fiber_destroy(struct fl_fiber *f)
{
	if (f == fl_fiber_now)
		fl_fiber_panic("fiber '%s' cannot destroy itself", f->name);
	stop_waiting(f);
	fl_schedule_forget(f);
	if (f->all_prev)
		f->all_prev->all_next = f->all_next;
	else
		all.first = f->all_next;
	if (f->all_next)
		f->all_next->all_prev = f->all_prev;
	else
		all.last = f->all_prev;
	all.n--;
	fl_context_fini(&f->context);
	if (fl_fiber_driver)
		return;
	if (all.pooled == POOL_MAX) {
		unmap_fiber(f);
		return;
	}
	f->all_next = all.pool;
	all.pool = f;
	all.pooled++;
}

/* What a saved fiber looks like: this, then its stack from sp up. */
struct saved {
	struct fl_fiber fiber;
	size_t used;
};

size_t fl_fiber_state_save(void *buf, size_t n)
{
	char *at = buf, *end = at + n;
	size_t need = fl_rcu_state_size();

	if (need <= n)
		fl_rcu_state_save(at);
	for (struct fl_fiber *f = all.first; f; f = f->all_next) {
		struct saved saved = {.fiber = *f};
		void *live = fl_context_live(&f->context, &saved.used);

		if (f->state == FL_FIBER_DONE)
			saved.used = 0;
		if (need + sizeof(saved) + saved.used <= (size_t)(end - at)) {
			memcpy(at + need, &saved, sizeof(saved));
			fl_context_open(&f->context);
			memcpy(at + need + sizeof(saved), live, saved.used);
		}
		need += sizeof(saved) + ((saved.used + 15) & ~(size_t)15);
	}
	return need;
}

void fl_fiber_state_restore(const void *buf)
{
	const char *at = (const char *)buf + fl_rcu_state_size();

	fl_rcu_state_restore(buf);
	for (struct fl_fiber *f = all.first; f; f = f->all_next) {
		const struct saved *saved = (const void *)at;
		size_t n;

		*f = saved->fiber;
		fl_context_open(&f->context);
		if (saved->used)
			memcpy(fl_context_live(&f->context, &n), saved + 1, saved->used);
		at += sizeof(*saved) + ((saved->used + 15) & ~(size_t)15);
	}
}

void fl_fiber_trim(void)
{
	while (all.pool) {
		struct fl_fiber *f = all.pool;

		all.pool = f->all_next;
		unmap_fiber(f);
	}
	all.pooled = 0;
}

struct fl_fiber *fl_fiber_current(void)
{
	return fl_fiber_now == &fl_fiber_outside ? NULL : fl_fiber_now;
}

struct fl_fiber *fl_fiber_rcu(void)
{
	return all.rcu;
}

struct fl_fiber *fl_fiber_next(const struct fl_fiber *f)
{
	return f ? f->all_next : all.first;
}

struct fl_fiber *fl_fiber_next_all(const struct fl_fiber *f)
{
	struct fl_fiber *next;

	if (f && f == all.rcu)
		return NULL;
	next = fl_fiber_next(f);
	return next ? next : all.rcu;
}

struct fl_fiber *fl_fiber_by_id(uint32_t id)
{
	if (id == FL_FIBER_ID_OUTSIDE)
		return &fl_fiber_outside;
	for (struct fl_fiber *f = fl_fiber_next_all(NULL); f; f = fl_fiber_next_all(f)) {
		if (f->id == id)
			return f;
	}
	return NULL;
}
