/* SPDX-License-Identifier: MIT */
/*
 * The userfaultfd statements, on the running kernel.
 *
 * A userfaultfd is non-blocking where somebody polls it or waits for it: poll(2) says POLLERR of a blocking one. A read that
 * blocks is then a loop of read and poll.
 *
 * Shared: the table of descriptors; set in setup, and by `close`. A descriptor's number is not used again in the same run.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "explore/host/internal.h"
#include "faultline/uapi.h"

/* Layouts that only later kernels' headers have. */
struct uffdio_move_call {
	uint64_t dst, src, len, mode;
	int64_t move;
};
struct uffdio_writeprotect_call {
	struct fl_uffdio_range range;
	uint64_t mode;
};
#define MOVE_DONTWAKE 1
#define MOVE_ALLOW_SRC_HOLES 2
#define CONTINUE_DONTWAKE 1
#define CONTINUE_WP 2
#define POISON_DONTWAKE 1
#define WRITEPROTECT_WP 1
#define WRITEPROTECT_DONTWAKE 2

static long fd_of(const struct fl_sc_statement *st)
{
	return atomic_load(&fl_host_world.uffd[st->object]);
}

static struct fl_uffdio_range range_of(const struct fl_sc_range *r)
{
	return (struct fl_uffdio_range){fl_host_address(r), fl_host_bytes(r)};
}

static long do_register(long fd, const struct fl_sc_statement *st)
{
	struct fl_uffdio_register r = {.range = range_of(&st->range), .mode = st->modes};

	return FL_RAW_CALL3(SYS_ioctl, fd, FL_UFFDIO_REGISTER, &r);
}

/* Does any statement poll this one, or wait for it, or read it without waiting? */
static bool is_polled(const struct fl_sc_statement *st, size_t n, unsigned uffd)
{
	for (size_t i = 0; i < n; i++) {
		bool asks =
			st[i].op == FL_SC_POLL || st[i].op == FL_SC_WAIT || (st[i].op == FL_SC_READ && st[i].nonblock);

		if (asks && st[i].object == uffd)
			return true;
		if (is_polled(st[i].body, st[i].bodies, uffd) || is_polled(st[i].orelse, st[i].orelses, uffd))
			return true;
	}
	return false;
}

static bool wants_nonblock(const struct fl_sc_statement *st)
{
	const struct fl_scenario *s = fl_host_world.s;

	for (size_t i = 0; i < s->threads; i++)
		if (is_polled(s->thread[i].body, s->thread[i].bodies, st->object))
			return true;
	return st->nonblock || is_polled(s->setup, s->setups, st->object);
}

static int64_t do_create(const struct fl_sc_statement *st)
{
	struct fl_uffdio_api api = {.api = FL_UFFD_API, .features = st->features};
	long flags =
		FL_O_CLOEXEC | (wants_nonblock(st) ? FL_O_NONBLOCK : 0) | (st->user_only ? FL_UFFD_USER_MODE_ONLY : 0);
	long low = FL_RAW_CALL1(SYS_userfaultfd, flags);
	long fd, err;

	if (low < 0)
		return low;
	fd = FL_RAW_CALL3(SYS_fcntl, low, F_DUPFD_CLOEXEC, FL_HOST_UFFD_FD);
	FL_RAW_CALL1(SYS_close, low);
	if (fd < 0)
		return fd;
	err = FL_RAW_CALL3(SYS_ioctl, fd, FL_UFFDIO_API, &api);
	if (!err && st->modes)
		err = do_register(fd, st);
	atomic_store(&fl_host_world.nonblock[st->object], st->nonblock);
	atomic_store(&fl_host_world.uffd[st->object], (int)fd);
	return err;
}

static int64_t do_copy(struct fl_host_self *self, long fd, const struct fl_sc_statement *st)
{
	struct fl_uffdio_copy c = {.dst = fl_host_address(&st->range), .len = fl_host_bytes(&st->range)};
	uint64_t word;

	c.mode = (st->dontwake ? FL_UFFDIO_COPY_MODE_DONTWAKE : 0u) | (st->wp ? FL_UFFDIO_COPY_MODE_WP : 0u);
	if (st->has_other) {
		c.src = fl_host_address(&st->other);
	} else {
		word = (uint64_t)fl_host_evaluate(st->value);
		for (size_t i = 0; i < c.len / sizeof word; i++)
			self->fill[i] = word;
		c.src = (uint64_t)self->fill;
	}
	return FL_RAW_CALL3(SYS_ioctl, fd, FL_UFFDIO_COPY, &c);
}

static int64_t do_move(long fd, const struct fl_sc_statement *st)
{
	struct uffdio_move_call m = {.dst = fl_host_address(&st->range), .src = fl_host_address(&st->other)};

	m.len = fl_host_bytes(&st->range);
	m.mode = (st->dontwake ? MOVE_DONTWAKE : 0u) | (st->holes ? MOVE_ALLOW_SRC_HOLES : 0u);
	return FL_RAW_CALL3(SYS_ioctl, fd, FL_UFFDIO_MOVE, &m);
}

/* zeropage, continue, poison: a range, a mode and a word that the kernel writes. */
static int64_t do_fill(long fd, const struct fl_sc_statement *st, uint32_t request, uint64_t mode)
{
	struct fl_uffdio_zeropage z = {.range = range_of(&st->range), .mode = mode};

	return FL_RAW_CALL3(SYS_ioctl, fd, request, &z);
}

static int64_t do_writeprotect(long fd, const struct fl_sc_statement *st)
{
	struct uffdio_writeprotect_call w = {.range = range_of(&st->range)};

	w.mode = (st->modes ? WRITEPROTECT_WP : 0u) | (st->dontwake ? WRITEPROTECT_DONTWAKE : 0u);
	return FL_RAW_CALL3(SYS_ioctl, fd, FL_UFFDIO_WRITEPROTECT, &w);
}

static int64_t do_range(long fd, const struct fl_sc_statement *st, uint32_t request)
{
	struct fl_uffdio_range r = range_of(&st->range);

	return FL_RAW_CALL3(SYS_ioctl, fd, request, &r);
}

/* Remember a forked process's userfaultfd, so that it is closed after the run. */
static void keep_fd(int fd)
{
	struct fl_host_board *b = fl_host_world.board;
	uint32_t i = atomic_fetch_add(&b->fds, 1);

	if (i < FL_HOST_FDS)
		atomic_store(&b->fd[i], fd);
	else
		fl_host_fail("a run reads more fork events than the host executor can hold", FL_HOST_FDS);
}

/* Which thread a message names. */
static int64_t thread_of(uint32_t tid)
{
	const struct fl_host_board *b = fl_host_world.board;

	for (unsigned t = 0; tid && t < fl_host_world.s->threads; t++)
		if ((uint32_t)atomic_load(&b->slot[t].tid) == tid)
			return t;
	return FL_SC_UNSET;
}

static void bind_message(int result, const struct fl_uffd_msg *m)
{
	switch (m->event) {
	case FL_UFFD_EVENT_PAGEFAULT:
		fl_host_bind(result, FL_SC_F_ADDRESS, (int64_t)(m->arg1 - FL_HOST_BASE));
		fl_host_bind(result, FL_SC_F_FLAGS, (int64_t)m->arg0);
		fl_host_bind(result, FL_SC_F_THREAD, thread_of((uint32_t)m->arg2));
		break;
	case FL_UFFD_EVENT_FORK:
		keep_fd((int)(uint32_t)m->arg0);
		break;
	default:
		fl_host_bind(result, FL_SC_F_ADDRESS, (int64_t)(m->arg0 - FL_HOST_BASE));
		fl_host_bind(result, FL_SC_F_END, (int64_t)(m->arg1 - FL_HOST_BASE));
		break;
	}
	fl_host_bind(result, FL_SC_F_EVENT, m->event);
}

static int64_t poll_for(long fd, int timeout, short *got)
{
	struct pollfd p = {.fd = (int)fd, .events = POLLIN};
	long n;

	if (fd < 0)
		return -EBADF;
	n = FL_RAW_CALL3(SYS_poll, &p, 1, timeout);
	*got = p.revents;
	if (n < 0)
		return n == -EINTR ? FL_SC_INTERRUPTED : n;
	return p.revents & POLLNVAL ? -EBADF : 0;
}

static int64_t do_read(long fd, const struct fl_sc_statement *st)
{
	struct fl_uffd_msg m;
	short got;
	int64_t n;

	fl_host_unbind(st->result);
	for (;;) {
		n = FL_RAW_CALL3(SYS_read, fd, &m, sizeof m);
		if (n != -EAGAIN || st->nonblock || atomic_load(&fl_host_world.nonblock[st->object]))
			break;
		if (FL_RAW_CALL3(SYS_fcntl, fd, F_GETFL, 0) < 0)
			return -EBADF;
		n = poll_for(fd, -1, &got);
		if (n)
			break;
	}
	if (n == (int64_t)sizeof m) {
		bind_message(st->result, &m);
		return 0;
	}
	n = n == -EINTR ? FL_SC_INTERRUPTED : n;
	fl_host_bind(st->result, FL_SC_F_EVENT, n);
	return n;
}

static int64_t do_poll(long fd)
{
	short got = 0;
	int64_t err = poll_for(fd, 0, &got);

	return err ? err : got;
}

static int64_t do_wait(long fd)
{
	short got = 0;

	return poll_for(fd, -1, &got);
}

static int64_t do_close(const struct fl_sc_statement *st)
{
	int fd = atomic_exchange(&fl_host_world.uffd[st->object], -1);

	return fd < 0 ? -EBADF : FL_RAW_CALL1(SYS_close, fd);
}

int64_t fl_host_uffd_call(struct fl_host_self *self, const struct fl_sc_statement *st)
{
	long fd = fd_of(st);

	switch (st->op) {
	case FL_SC_UFFD:
		return do_create(st);
	case FL_SC_REGISTER:
		return do_register(fd, st);
	case FL_SC_UNREGISTER:
		return do_range(fd, st, FL_UFFDIO_UNREGISTER);
	case FL_SC_COPY:
		return do_copy(self, fd, st);
	case FL_SC_ZEROPAGE:
		return do_fill(fd, st, FL_UFFDIO_ZEROPAGE, st->dontwake ? FL_UFFDIO_ZEROPAGE_MODE_DONTWAKE : 0);
	case FL_SC_WAKE:
		return do_range(fd, st, FL_UFFDIO_WAKE);
	case FL_SC_CONTINUE:
		return do_fill(fd, st, FL_UFFDIO_CONTINUE,
			       (st->dontwake ? CONTINUE_DONTWAKE : 0u) | (st->wp ? CONTINUE_WP : 0u));
	case FL_SC_POISONPAGE:
		return do_fill(fd, st, FL_UFFDIO_POISON, st->dontwake ? POISON_DONTWAKE : 0);
	case FL_SC_WRITEPROTECT:
		return do_writeprotect(fd, st);
	case FL_SC_MOVE:
		return do_move(fd, st);
	case FL_SC_READ:
		return do_read(fd, st);
	case FL_SC_POLL:
		return do_poll(fd);
	case FL_SC_WAIT:
		return do_wait(fd);
	default:
		return do_close(st);
	}
}

static long unregister(int fd, uint64_t page, uint64_t pages)
{
	struct fl_uffdio_range r = {FL_HOST_BASE + page * FL_HOST_PAGE, pages * FL_HOST_PAGE};

	return FL_RAW_CALL3(SYS_ioctl, fd, FL_UFFDIO_UNREGISTER, &r);
}

/* Whoever waits for a page is woken. Where a mapping has been cut up, page by page. */
void fl_host_uffds_unregister(void)
{
	const struct fl_scenario *s = fl_host_world.s;

	for (size_t u = 0; u < s->uffds; u++)
		for (size_t m = 0; m < s->maps; m++) {
			const struct fl_sc_map *map = &s->map[m];
			int fd = atomic_load(&fl_host_world.uffd[u]);

			if (unregister(fd, map->page, map->pages))
				for (uint64_t p = 0; p < map->pages; p++)
					unregister(fd, map->page + p, 1);
		}
}

void fl_host_uffds_close(void)
{
	struct fl_host_board *b = fl_host_world.board;
	uint32_t n = atomic_exchange(&b->fds, 0);

	for (size_t u = 0; u < fl_host_world.s->uffds; u++) {
		int fd = atomic_exchange(&fl_host_world.uffd[u], -1);

		if (fd >= 0)
			FL_RAW_CALL1(SYS_close, fd);
	}
	for (uint32_t i = 0; i < n && i < FL_HOST_FDS; i++)
		FL_RAW_CALL1(SYS_close, atomic_load(&b->fd[i]));
}
