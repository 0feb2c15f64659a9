/* SPDX-License-Identifier: MIT */
/*
 * poll, select and epoll, as far as the machine must do more than bounce their memory:
 *
 *   masks     SIGSEGV and SIGBUS are never blocked in the host, so they are taken out of the mask for the call
 *   POLLERR   a userfaultfd polls POLLERR before its handshake and in blocking mode, always and at once. The pipe
 *             that carries it does not, so such a call runs with a timeout of zero, and its answer is corrected
 *
 * No locks: one OS thread, and fibers switch only where something waits.
 */
#include "linux/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGSET_BYTES 8

/*
 * Registrations of one epoll instance that we correct. More than these are as rare as descriptors that are of no use.
 */
#define EPOLL_ERRORS_MAX 16

/* What is special about one call. */
struct poll_case {
	bool errors;   /* some descriptor polls POLLERR: do not wait */
	bool has_mask; /* a mask that names signals of ours */
	uint64_t mask; /* as the guest gave it */
	struct epoll_event events[EPOLL_ERRORS_MAX];
	unsigned nevents;
};

static struct fl_io_slot *slot_of(struct fl_io_bounced *b, unsigned index)
{
	for (unsigned i = 0; i < b->nslots; i++)
		if (b->slots[i].arg->index == index && !b->slots[i].is_length)
			return &b->slots[i];
	return NULL;
}

/* ---- Masks ------------------------------------------------------------------------------------------- */

/* The guest's mask, if the call has one that must be changed, or that lies where the host may not find it. */
static void look_at_mask(struct guest_thread *th, struct poll_case *p, unsigned mask_arg, bool wrapped)
{
	struct {
		fl_va mask;
		uint64_t size;
	} arg = {fl_arg(th, mask_arg), SIGSET_BYTES};

	if (!arg.mask)
		return;
	if (wrapped && fl_io_copy_in(th, &arg, fl_arg(th, mask_arg), sizeof(arg)))
		return;
	if (!wrapped)
		arg.size = fl_arg(th, mask_arg + 1);
	if (!arg.mask || arg.size != SIGSET_BYTES || fl_io_copy_in(th, &p->mask, arg.mask, SIGSET_BYTES))
		return;
	p->has_mask = (p->mask & FL_SIG_OURS) || (wrapped && fl_engine_zone(arg.mask));
}

static void put_mask(struct fl_io_bounced *b, unsigned mask_arg, bool wrapped)
{
	const struct poll_case *p = b->data;
	struct fl_io_slot *s = slot_of(b, mask_arg);
	uint64_t host = p->mask & ~FL_SIG_OURS;
	fl_va at = b->bounce + b->extra;

	if (!p->has_mask || !s)
		return;
	if (!wrapped) {
		memcpy(b->before + s->offset, &host, SIGSET_BYTES);
		return;
	}
	memcpy(b->before + b->extra, &host, SIGSET_BYTES);
	memcpy(b->before + s->offset, &at, sizeof(at));
}

/* ---- poll -------------------------------------------------------------------------------------------- */

static bool any_error(struct guest_thread *th, const struct pollfd *fds, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (fl_carrier_polls_error(th, fds[i].fd))
			return true;
	return false;
}

static void look_at_fds(struct guest_thread *th, struct poll_case *p)
{
	uint64_t n = fl_arg(th, 1);
	struct pollfd *fds;

	if (!fl_carrier_any(th) || !n || n > FL_IO_BOUNCE_MAX / sizeof(*fds))
		return;
	fds = malloc(n * sizeof(*fds));
	if (fds && !fl_io_copy_in(th, fds, fl_arg(th, 0), n * sizeof(*fds)))
		p->errors = any_error(th, fds, n);
	free(fds);
}

/* No waiting: a timeout that is a pointer is put into the extra bytes if the guest gave none. */
static void no_wait(struct fl_io_bounced *b, unsigned timeout_arg, bool is_pointer)
{
	struct fl_io_slot *s = slot_of(b, timeout_arg);

	if (!is_pointer)
		fl_set_arg(b->th, timeout_arg, 0);
	else if (s)
		memset(b->before + s->offset, 0, s->size);
	else
		fl_set_arg(b->th, timeout_arg, b->bounce + b->extra + SIGSET_BYTES); /* zeros */
}

static void prepare_poll(struct fl_io_bounced *b)
{
	const struct poll_case *p = b->data;

	if (b->nr == SYS_ppoll)
		put_mask(b, 3, false);
	if (p->errors)
		no_wait(b, 2, b->nr == SYS_ppoll);
}

static int64_t finish_poll(struct fl_io_bounced *b, uint8_t *after, int64_t result)
{
	const struct poll_case *p = b->data;
	struct fl_io_slot *s = slot_of(b, 0);
	struct pollfd *fds;
	int64_t ready = 0;

	if (!p->errors || !s || (result < 0 && result > -512 && result != -EINTR))
		return result;
	fds = (struct pollfd *)(void *)(after + s->offset);
	for (uint64_t i = 0; i < b->args[1]; i++) {
		if (fl_carrier_polls_error(b->th, fds[i].fd))
			fds[i].revents = POLLERR;
		ready += fds[i].revents != 0;
	}
	return ready;
}

static void run_case(struct guest_thread *th, struct poll_case *p, void (*prepare)(struct fl_io_bounced *),
		     int64_t (*finish)(struct fl_io_bounced *, uint8_t *, int64_t))
{
	struct fl_io_bounced b = {.th = th, .data = p};

	if (fl_io_gone(th))
		return;
	if (p->errors || p->has_mask) {
		b.prepare = prepare;
		b.finish = finish;
	}
	fl_io_run_bounced(&b);
}

static void sys_poll(struct guest_thread *th)
{
	struct poll_case p = {0};

	look_at_fds(th, &p);
	if (fl_regs(th)->orig_rax == SYS_ppoll)
		look_at_mask(th, &p, 3, false);
	run_case(th, &p, prepare_poll, finish_poll);
}

/* ---- select ------------------------------------------------------------------------------------------ */

/* Does the set of argument n hold a descriptor that polls POLLERR? Those are readable and writable. */
static void look_at_set(struct guest_thread *th, struct poll_case *p, unsigned n)
{
	uint64_t words[FD_SETSIZE / 64], nfds = fl_arg(th, 0);
	fl_va va = fl_arg(th, n);

	if (!va || p->errors || !fl_carrier_any(th) || nfds > FD_SETSIZE ||
	    fl_io_copy_in(th, words, va, (nfds + 63) / 64 * 8))
		return;
	for (unsigned fd = 0; fd < nfds && !p->errors; fd++)
		if (words[fd / 64] & 1ull << fd % 64)
			p->errors = fl_carrier_polls_error(th, (int)fd);
}

static void prepare_select(struct fl_io_bounced *b)
{
	const struct poll_case *p = b->data;

	if (b->nr == SYS_pselect6)
		put_mask(b, 5, true);
	if (p->errors)
		no_wait(b, 4, true);
}

static int64_t finish_select(struct fl_io_bounced *b, uint8_t *after, int64_t result)
{
	const struct poll_case *p = b->data;
	int64_t ready = 0;

	if (!p->errors || (result < 0 && result > -512 && result != -EINTR))
		return result;
	for (unsigned n = 1; n <= 3; n++) {
		struct fl_io_slot *s = slot_of(b, n);
		uint64_t *now = s ? (uint64_t *)(void *)(after + s->offset) : NULL;
		const uint64_t *asked = s ? (const uint64_t *)(const void *)(b->before + s->offset) : NULL;

		if (s && result < 0)
			memset(now, 0, s->size);
		for (unsigned fd = 0; s && fd < b->args[0]; fd++) {
			uint64_t bit = 1ull << fd % 64;

			if (n < 3 && (asked[fd / 64] & bit) && fl_carrier_polls_error(b->th, (int)fd))
				now[fd / 64] |= bit;
			ready += (now[fd / 64] & bit) != 0;
		}
	}
	return ready;
}

static void sys_select(struct guest_thread *th)
{
	struct poll_case p = {0};

	look_at_set(th, &p, 1);
	look_at_set(th, &p, 2);
	if (fl_regs(th)->orig_rax == SYS_pselect6)
		look_at_mask(th, &p, 5, true);
	run_case(th, &p, prepare_select, finish_select);
}

/* ---- epoll ------------------------------------------------------------------------------------------- */

/* An epoll instance tells what is registered: "tfd: 5 events: 19 data: 5 pos:0 ino:9c40 sdev:d". */
static void look_at_epoll(struct guest_thread *th, struct poll_case *p)
{
	char path[56], line[256];
	FILE *info;

	if (!fl_carrier_any(th))
		return;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)th->tid, (int)fl_arg(th, 0));
	info = fopen(path, "re");
	if (!info)
		return;
	while (p->nevents < EPOLL_ERRORS_MAX && fgets(line, sizeof(line), info)) {
		unsigned long long data, ino;
		unsigned events;
		int fd;

		if (sscanf(line, "tfd: %d events: %x data: %llx pos:%*s ino:%llx", &fd, &events, &data, &ino) != 4 ||
		    !fl_carrier_is_inode(th->g, ino) || !fl_carrier_polls_error(th, fd))
			continue;
		p->events[p->nevents].events = EPOLLERR;
		p->events[p->nevents++].data.u64 = data;
	}
	fclose(info);
	p->errors = p->nevents > 0;
}

static void prepare_epoll(struct fl_io_bounced *b)
{
	const struct poll_case *p = b->data;

	if (b->nr != SYS_epoll_wait)
		put_mask(b, 4, false);
	if (p->errors)
		no_wait(b, 3, b->nr == SYS_epoll_pwait2);
}

static int64_t finish_epoll(struct fl_io_bounced *b, uint8_t *after, int64_t result)
{
	const struct poll_case *p = b->data;
	struct fl_io_slot *s = slot_of(b, 1);
	struct epoll_event *events;

	if (!p->errors || !s || result < 0)
		return result;
	events = (struct epoll_event *)(void *)(after + s->offset);
	for (unsigned i = 0; i < p->nevents; i++) {
		int64_t at = 0;

		while (at < result && memcmp(&events[at].data, &p->events[i].data, 8))
			at++;
		if ((uint64_t)at >= b->args[2])
			break;
		events[at] = p->events[i];
		if (at == result)
			result++;
	}
	return result;
}

static void sys_epoll(struct guest_thread *th)
{
	struct poll_case p = {0};

	look_at_epoll(th, &p);
	if (fl_regs(th)->orig_rax != SYS_epoll_wait)
		look_at_mask(th, &p, 4, false);
	run_case(th, &p, prepare_epoll, finish_epoll);
}

void fl_poll_register(void)
{
	fl_sys_register(SYS_poll, FL_SYS_POINTER, 1u << 0, sys_poll);
	fl_sys_register(SYS_select, FL_SYS_POINTER, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4, sys_select);
	fl_sys_register(SYS_epoll_wait, FL_SYS_POINTER, 1u << 1, sys_epoll);
	/* With a mask they are always seen: it may name signals that must not be blocked. */
	fl_sys_register(SYS_ppoll, FL_SYS_ALWAYS, 0, sys_poll);
	fl_sys_register(SYS_pselect6, FL_SYS_ALWAYS, 0, sys_select);
	fl_sys_register(SYS_epoll_pwait, FL_SYS_ALWAYS, 0, sys_epoll);
	fl_sys_register(SYS_epoll_pwait2, FL_SYS_ALWAYS, 0, sys_epoll);
}
