/* SPDX-License-Identifier: MIT */
/*
 * uffd_support.h. No locks: a world is opened and closed by one thread, and each user belongs to one thread at a time.
 */
#include "uffd_support.h"

#include <string.h>

static void note_unread(void *arg, uint32_t n)
{
	struct uffd_world *w = arg;

	fl_store(&w->unread, n);
}

static const struct fl_uffd_ops ops = {.unread = note_unread};

void uffd_user_open(struct uffd_user *user, struct uffd_world *w, struct fl_mm *mm, uint32_t tid)
{
	thread_open(&user->thread, &w->w, mm, tid);
	user->args = uffd_map_filled(user, 1, 0);
}

void uffd_user_close(struct uffd_user *user)
{
	thread_close(&user->thread);
}

struct fl_uffd *uffd_open(struct uffd_user *user, int flags, uint64_t features)
{
	struct fl_uffdio_api io = {.api = FL_UFFD_API, .features = features};
	struct fl_uffd *u;

	CHECK(fl_uffd_create(&user->thread.task, flags, true, NULL, NULL, &u) == 0);
	CHECK(features == UINT64_MAX || uffd_api(user, u, &io) == 0);
	return u;
}

void uffd_world_open_small(struct uffd_world *w, size_t users, int flags, uint64_t features, unsigned frames)
{
	struct fl_mm_config config = {.mmap_lo = BASE, .mmap_hi = BASE << 4};
	struct fl_uffdio_api io = {.api = FL_UFFD_API, .features = features};

	CHECK(users >= 1 && users <= UFFD_USERS);
	w->unread = 0;
	world_open_as(&w->w, frames, &config);
	for (w->n = 0; w->n < users; w->n++)
		uffd_user_open(&w->users[w->n], w, w->w.mm, (uint32_t)(100 + w->n));
	CHECK(fl_uffd_create(&w->w.task, flags, true, &ops, w, &w->u) == 0);
	CHECK(uffd_api(&w->users[0], w->u, &io) == 0);
}

void uffd_world_open(struct uffd_world *w, size_t users, int flags, uint64_t features)
{
	uffd_world_open_small(w, users, flags, features, 2048);
}

void uffd_world_release(struct uffd_world *w)
{
	struct fl_uffd *u = w->u;

	w->u = NULL;
	fl_uffd_release(&w->w.task, u);
}

void uffd_world_close(struct uffd_world *w)
{
	if (w->u) {
		CHECK(uffd_total(w->u) == 0);
		CHECK(uffd_pending(w->u) == fl_load(&w->unread));
		world_check(&w->w);
		uffd_world_release(w);
	}
	for (size_t i = 0; i < w->n; i++)
		uffd_user_close(&w->users[i]);
	world_close(&w->w);
	fl_rcu_barrier(); /* a VMA's end was a context's end, and that an address space's */
}

fl_va uffd_map(struct uffd_user *user, uint64_t pages)
{
	fl_va va;

	CHECK(fl_mmap(&user->thread.task, 0, pages * PAGE, FL_PROT_READ | FL_PROT_WRITE,
		      FL_MAP_PRIVATE | FL_MAP_ANONYMOUS, &va) == 0);
	return va;
}

fl_va uffd_map_filled(struct uffd_user *user, uint64_t pages, int c)
{
	fl_va va = uffd_map(user, pages);
	char bytes[256];

	memset(bytes, c, sizeof(bytes));
	for (uint64_t i = 0; i < pages * PAGE; i += sizeof(bytes))
		CHECK(fl_copy_to_user(&user->thread.task, va + i, bytes, sizeof(bytes)) == 0);
	return va;
}

/* An ioctl with its structure of n bytes at the beginning of the user's own page. */
static int call(struct uffd_user *user, struct fl_uffd *u, uint32_t cmd, void *io, size_t n)
{
	int err;

	CHECK(fl_copy_to_user(&user->thread.task, user->args, io, n) == 0);
	err = fl_uffd_ioctl(&user->thread.task, u, cmd, user->args);
	/* Nofault, since a task that is being killed gets no more faults: the page is there. */
	CHECK(fl_copy_from_user_nofault(&user->thread.task, io, user->args, n) == 0);
	return err;
}

int uffd_api(struct uffd_user *user, struct fl_uffd *u, struct fl_uffdio_api *io)
{
	return call(user, u, FL_UFFDIO_API, io, sizeof(*io));
}

int uffd_register_mode(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t len, uint64_t mode,
		       uint64_t *mask)
{
	struct fl_uffdio_register r = {.range = {start, len}, .mode = mode, .ioctls = UNTOUCHED};
	int err = call(user, u, FL_UFFDIO_REGISTER, &r, sizeof(r));

	if (mask)
		*mask = r.ioctls;
	return err;
}

int uffd_register(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t pages)
{
	return uffd_register_mode(user, u, start, pages * PAGE, FL_UFFDIO_REGISTER_MODE_MISSING, NULL);
}

int uffd_unregister(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t len)
{
	struct fl_uffdio_range r = {start, len};

	return call(user, u, FL_UFFDIO_UNREGISTER, &r, sizeof(r));
}

int uffd_wake(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t len)
{
	struct fl_uffdio_range r = {start, len};

	return call(user, u, FL_UFFDIO_WAKE, &r, sizeof(r));
}

int uffd_copy_raw(struct uffd_user *user, struct fl_uffd *u, fl_va dst, fl_va src, uint64_t len, uint64_t mode)
{
	struct fl_uffdio_copy c = {.dst = dst, .src = src, .len = len, .mode = mode, .copy = UNTOUCHED};
	int err = call(user, u, FL_UFFDIO_COPY, &c, sizeof(c));

	user->field = c.copy;
	return err;
}

int uffd_copy(struct uffd_user *user, struct fl_uffd *u, fl_va dst, fl_va src, uint64_t pages)
{
	return uffd_copy_raw(user, u, dst, src, pages * PAGE, 0);
}

int uffd_zero_raw(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t len, uint64_t mode)
{
	struct fl_uffdio_zeropage z = {.range = {start, len}, .mode = mode, .zeropage = UNTOUCHED};
	int err = call(user, u, FL_UFFDIO_ZEROPAGE, &z, sizeof(z));

	user->field = z.zeropage;
	return err;
}

int uffd_zero(struct uffd_user *user, struct fl_uffd *u, fl_va start, uint64_t pages)
{
	return uffd_zero_raw(user, u, start, pages * PAGE, 0);
}

bool uffd_next(struct uffd_user *user, struct fl_uffd *u, bool blocking, struct fl_uffd_msg *m)
{
	int64_t n = fl_uffd_read(&user->thread.task, u, user->args + 512, sizeof(*m), !blocking);

	if (n < 0) {
		CHECK(n == (blocking ? -FL_ERESTARTSYS : -FL_EAGAIN));
		return false;
	}
	CHECK(n == sizeof(*m));
	CHECK(fl_copy_from_user(&user->thread.task, m, user->args + 512, sizeof(*m)) == 0);
	CHECK(m->event == FL_UFFD_EVENT_PAGEFAULT);
	return true;
}

uint32_t uffd_pending(struct fl_uffd *u)
{
	struct fl_uffd_info info;

	fl_uffd_info(u, &info);
	return info.pending;
}

uint32_t uffd_total(struct fl_uffd *u)
{
	struct fl_uffd_info info;

	fl_uffd_info(u, &info);
	return info.total;
}

void uffd_until_asleep(struct uffd_user *user)
{
	struct fl_parker *p = &user->thread.task.parker;

	/* The words are the port's. Threads: a state that is neither 0 nor 1. Fibers: who sleeps. */
	while (fl_load(&p->state) <= 1 && !fl_load(&p->who))
		concurrent_yield();
}

enum fl_outcome uffd_try_load(struct uffd_user *user, fl_va va, int *value)
{
	unsigned char byte = 0;
	enum fl_outcome o = fl_vcpu_load(&user->thread.cpu, va, &byte, 1);

	*value = byte;
	return o;
}

int uffd_load(struct uffd_user *user, fl_va va)
{
	int value;

	CHECK(uffd_try_load(user, va, &value) == FL_FAULT_DONE);
	return value;
}

void uffd_store(struct uffd_user *user, fl_va va, int value)
{
	unsigned char byte = (unsigned char)value;

	CHECK(fl_vcpu_store(&user->thread.cpu, va, &byte, 1) == FL_FAULT_DONE);
}
