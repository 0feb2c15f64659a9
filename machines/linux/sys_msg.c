/* SPDX-License-Identifier: MIT */
/*
 * sendmsg, recvmsg and their plural forms: a header that points to a name, a vector and control data.
 *
 * A send that meets a missing page sends nothing (a datagram) or comes short (a stream): restartable; when it goes on
 * after a part, the control data stays behind, because the descriptors in it have been passed. A receive on a stream
 * without control data is restartable as well. Every other receive is consuming: a datagram, and descriptors that
 * have come with it, would be lost. It runs on a header, a buffer, a name and control data in the bounce buffer.
 *
 * No locks: one OS thread, and fibers switch only where something waits.
 */
#include "linux/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define NAME_MAX_BYTES 128u
/* net.core.optmem_max is far below; more than this the kernel refuses or never fills. */
#define CONTROL_MAX_BYTES ((uint64_t)64 << 10)

/* struct msghdr as the kernel reads it. */
struct header {
	fl_va name;
	uint32_t name_len, pad1;
	fl_va vector;
	uint64_t vector_len;
	fl_va control;
	uint64_t control_len;
	uint32_t flags, pad2;
};
_Static_assert(sizeof(struct header) == 56, "struct msghdr is 56 bytes");

/* struct mmsghdr: a header and what was transferred. */
#define MMSGHDR ((uint64_t)64)

struct message {
	struct fl_io_transfer x; /* its vector is the header's */
	struct header h;
	fl_va at; /* of the header */
};

/* Read a header and its vector. False: the kernel shall find what is wrong with it. */
static bool read_message(struct guest_thread *th, struct message *m, fl_va at)
{
	m->at = at;
	m->x.th = th;
	m->x.vector = true;
	if (fl_io_copy_in(th, &m->h, at, sizeof(m->h)) ||
	    fl_io_read_iovec(th, m->h.vector, m->h.vector_len, m->x.seg, &m->x.total))
		return false;
	m->x.nseg = (unsigned)m->h.vector_len;
	m->x.array = m->h.vector;
	return !fl_io_gone(th);
}

static bool touches_engine(const struct message *m)
{
	bool ours = fl_io_engine(m->at, sizeof(m->h)) || fl_io_engine(m->h.name, m->h.name_len) ||
		    fl_io_engine(m->h.control, m->h.control_len) ||
		    fl_io_engine(m->x.array, m->x.nseg * sizeof(*m->x.seg));

	for (unsigned i = 0; i < m->x.nseg && !ours; i++)
		ours = fl_io_engine(m->x.seg[i].base, m->x.seg[i].len);
	return ours;
}

/* In the kernel's order: header, name, vector, control, data. */
static bool message_gap(const struct message *m, struct fl_io_gap *gap)
{
	struct guest_thread *th = m->x.th;
	enum fl_access access = m->x.reading ? FL_WRITE : FL_READ;
	uint32_t name_len = m->h.name_len < NAME_MAX_BYTES ? m->h.name_len : NAME_MAX_BYTES;

	return fl_io_missing(th, m->at, sizeof(m->h), access, gap) ||
	       (m->h.name && fl_io_missing(th, m->h.name, name_len, access, gap)) ||
	       fl_io_missing(th, m->x.array, m->x.nseg * sizeof(*m->x.seg), FL_READ, gap) ||
	       (m->h.control && m->h.control_len <= CONTROL_MAX_BYTES &&
		fl_io_missing(th, m->h.control, m->h.control_len, access, gap)) ||
	       fl_io_segment_gap(&m->x, m->x.done, m->x.total, gap);
}

/* Point the call at a header in the bounce buffer with what is left of the vector, and no control data. */
static bool set_rest(struct message *m)
{
	struct guest_thread *th = m->x.th;
	struct fl_io_seg rest[FL_IO_SEGMENTS];
	struct header h = m->h;
	uint64_t start = 0;
	unsigned n = 0;
	fl_va bounce;

	if (!m->x.done)
		return true;
	for (unsigned i = 0; i < m->x.nseg; start += m->x.seg[i++].len) {
		uint64_t skip = m->x.done > start ? m->x.done - start : 0;

		if (skip < m->x.seg[i].len)
			rest[n++] = (struct fl_io_seg){m->x.seg[i].base + skip, m->x.seg[i].len - skip};
	}
	bounce = fl_io_bounce(th, sizeof(h) + n * sizeof(*rest));
	if (!bounce)
		return false;
	h.control = h.control_len = 0;
	h.vector = bounce + sizeof(h);
	h.vector_len = n;
	if (!fl_io_bounce_write(th, bounce, &h, sizeof(h)) ||
	    !fl_io_bounce_write(th, h.vector, rest, n * sizeof(*rest)))
		return false;
	fl_set_arg(th, 1, bounce);
	return true;
}

static void restartable(struct message *m)
{
	struct guest_thread *th = m->x.th;
	struct fl_io_file file;
	struct fl_io_gap gap;
	unsigned rounds = 0;
	int64_t result;
	int again;

	for (;;) {
		if (fl_run_syscall(th, &result))
			return;
		rounds = result > 0 ? 0 : rounds + 1;
		if (result > 0)
			m->x.done += (uint64_t)result;
		if (result == 0 || (result < 0 && result != -EFAULT) || m->x.done >= m->x.total || rounds > 4096 ||
		    !message_gap(m, &gap))
			break;
		if (m->x.reading && result > 0) {
			fl_io_look(th, (int)m->x.args[0], &file);
			if (!file.avail)
				break;
		}
		/* A send that came short may have met no gap at all: EFAULT says so (sys_transfer.c). */
		if ((m->x.reading || result < 0) && fl_make_resident(th, gap.va, gap.len, gap.access) < gap.len)
			break;
		if (fl_io_gone(th) || !set_rest(m))
			break;
		again = fl_call_again(th);
		if (again < 0)
			return;
		if (!again) {
			fl_io_restore(th, m->x.args);
			if (m->x.done)
				fl_finish_call(th, (int64_t)m->x.done, m->x.args);
			return;
		}
	}
	if (fl_io_gone(th))
		return;
	fl_io_restore(th, m->x.args);
	if (m->x.done && result != (int64_t)m->x.done)
		fl_set_result(th, (int64_t)m->x.done);
}

/* ---- Receiving on a bounce buffer -------------------------------------------------------------------- */

struct area {
	struct header h;
	struct fl_io_seg vector;
	uint8_t name[NAME_MAX_BYTES];
};

/* Control data, then the data, follow the area. */
static fl_va make_area(struct message *m, uint64_t room, uint64_t control)
{
	fl_va bounce = fl_io_bounce(m->x.th, sizeof(struct area) + control + room);
	struct area a = {.h = m->h};

	if (!bounce)
		return 0;
	if (m->h.name)
		a.h.name = bounce + offsetof(struct area, name);
	if (m->h.name && a.h.name_len > NAME_MAX_BYTES && a.h.name_len <= INT32_MAX)
		a.h.name_len = NAME_MAX_BYTES;
	a.h.vector = bounce + offsetof(struct area, vector);
	a.h.vector_len = 1;
	if (m->h.control && m->h.control_len) {
		a.h.control = bounce + sizeof(a);
		a.h.control_len = control;
	}
	a.vector = (struct fl_io_seg){bounce + sizeof(a) + control, room};
	return fl_io_bounce_write(m->x.th, bounce, &a, sizeof(a)) ? bounce : 0;
}

/* Everything that came, to the guest; nothing is asked of the socket again. */
static int64_t deliver(struct message *m, fl_va bounce, uint64_t room, uint64_t control, int64_t result)
{
	uint64_t size = sizeof(struct area) + control + room;
	uint64_t n = (uint64_t)result < room ? (uint64_t)result : room;
	struct guest_thread *th = m->x.th;
	uint8_t *copy = malloc(size);
	int64_t seen = result;
	struct area *a = (struct area *)(void *)copy;
	uint32_t name_len;

	if (!copy || !fl_io_bounce_read(th, copy, bounce, size)) {
		free(copy);
		return -ENOMEM;
	}
	name_len = a->h.name_len < m->h.name_len ? a->h.name_len : m->h.name_len;
	if (name_len > NAME_MAX_BYTES)
		name_len = NAME_MAX_BYTES;
	if (fl_io_scatter(&m->x, 0, copy + sizeof(*a) + control, n) < n)
		seen = -EFAULT;
	else if (m->h.name && name_len && fl_io_copy_out(th, m->h.name, a->name, name_len))
		seen = -EFAULT;
	else if (m->h.name && fl_io_copy_out(th, m->at + offsetof(struct header, name_len), &a->h.name_len, 4))
		seen = -EFAULT;
	else if (fl_io_copy_out(th, m->at + offsetof(struct header, flags), &a->h.flags, 4) ||
		 fl_io_copy_out(th, m->at + offsetof(struct header, control_len), &a->h.control_len, 8))
		seen = -EFAULT;
	else if (a->h.control_len && m->h.control && a->h.control_len <= control &&
		 fl_io_copy_out(th, m->h.control, copy + sizeof(*a), a->h.control_len))
		seen = -EFAULT;
	free(copy);
	return seen;
}

static void consuming(struct message *m)
{
	struct guest_thread *th = m->x.th;
	uint64_t room = m->x.total < FL_IO_BOUNCE_MAX ? m->x.total : FL_IO_BOUNCE_MAX;
	uint64_t control = m->h.control_len < CONTROL_MAX_BYTES ? m->h.control_len : CONTROL_MAX_BYTES;
	int64_t result, seen;
	fl_va bounce;

	if (!m->h.control)
		control = 0;
	bounce = make_area(m, room, control);
	if (!bounce) {
		fl_skip_syscall(th, -ENOMEM);
		return;
	}
	fl_set_arg(th, 1, bounce);
	if (fl_run_syscall(th, &result))
		return;
	fl_io_restore(th, m->x.args);
	if (result < 0)
		return;
	seen = deliver(m, bounce, room, control, result);
	if (!fl_io_gone(th) && seen != result)
		fl_set_result(th, seen);
}

/* ---- Handlers ---------------------------------------------------------------------------------------- */

static void one_message(struct guest_thread *th, bool reading)
{
	struct fl_io_seg seg[FL_IO_SEGMENTS];
	struct message m = {.x = {.seg = seg, .reading = reading, .nr = fl_regs(th)->orig_rax}};
	struct fl_io_file file;
	struct fl_io_gap gap;

	fl_io_args(th, m.x.args);
	if (!read_message(th, &m, m.x.args[1]) || !touches_engine(&m))
		return;
	if (!message_gap(&m, &gap) && fl_io_alone(th))
		return;
	if (reading) {
		fl_io_look(th, (int)m.x.args[0], &file);
		if (!file.stream || (m.h.control && m.h.control_len) || m.h.name) {
			consuming(&m);
			return;
		}
	}
	restartable(&m);
}

void fl_io_sendmsg(struct guest_thread *th)
{
	one_message(th, false);
}

/*
 * A receive that may bring descriptors. The first userfaultfd of all may be made while it waits, so if there is none yet
 * the call is taken to its end, to look again.
 */
static void receive(struct guest_thread *th, void (*handler)(struct guest_thread *th, bool reading), bool control)
{
	bool late = control && !th->g->carriers;
	int64_t result;

	fl_carrier_received(th);
	handler(th, true);
	if (!late || fl_io_gone(th) || th->pushed_back || (int64_t)fl_regs(th)->orig_rax == -1)
		return;
	if (th->event.stop == FL_STOP_SECCOMP && fl_run_syscall(th, &result))
		return;
	if (th->event.stop == FL_STOP_EXIT_OF_CALL && (int64_t)fl_regs(th)->rax >= 0)
		fl_carrier_received(th);
}

/* Is there room for descriptors behind the header at va? */
static bool asks_for_control(struct guest_thread *th, fl_va va)
{
	struct header h;

	return !fl_io_copy_in(th, &h, va, sizeof(h)) && h.control && h.control_len;
}

void fl_io_recvmsg(struct guest_thread *th)
{
	bool control = asks_for_control(th, fl_arg(th, 1));

	if (!fl_io_gone(th))
		receive(th, one_message, control);
}

/* Make all that message m names resident. False: the kernel must be asked, or the thread has gone. */
static bool make_message_resident(struct message *m)
{
	struct fl_io_gap gap;

	while (message_gap(m, &gap)) {
		if (fl_make_resident(m->x.th, gap.va, gap.len, gap.access) < gap.len || fl_io_gone(m->x.th))
			return false;
	}
	/* The kernel writes how much was transferred. */
	if (fl_io_missing(m->x.th, m->at + sizeof(m->h), 4, FL_WRITE, &gap))
		return fl_make_resident(m->x.th, gap.va, gap.len, FL_WRITE) == gap.len && !fl_io_gone(m->x.th);
	return true;
}

/*
 * The plural forms: each message is there before the call. A send stops at the first message that cannot be sent, so
 * no message goes twice; a receive may find pages there that Linux would have faulted in only for a
 * message that had come (docs/syscalls.md says so).
 */
static void many_messages(struct guest_thread *th, bool reading)
{
	struct fl_io_seg seg[FL_IO_SEGMENTS];
	uint64_t at = fl_arg(th, 1), n = fl_arg(th, 2);

	if (n > FL_IO_SEGMENTS)
		n = FL_IO_SEGMENTS;
	for (uint64_t i = 0; i < n; i++) {
		struct message m = {.x = {.seg = seg, .reading = reading}};

		if (!read_message(th, &m, at + i * MMSGHDR) || (touches_engine(&m) && !make_message_resident(&m)))
			return;
	}
}

void fl_io_sendmmsg(struct guest_thread *th)
{
	many_messages(th, false);
}

void fl_io_recvmmsg(struct guest_thread *th)
{
	receive(th, many_messages, true);
}
