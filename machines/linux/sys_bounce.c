/* SPDX-License-Identifier: MIT */
/*
 * Consuming calls: something is gone when their copy to user memory fails, so they never run on memory that the host
 * may lack. They run on a bounce buffer, hidden host memory of the thread's own; the engine's copy then brings the
 * bytes to the guest, faulting pages in as Linux would, and only those that Linux would write.
 *
 * A call that the kernel restarts by itself (restart_syscall: poll, nanosleep) keeps the addresses it was first
 * given, which are the bounce buffer's. So th->restart remembers the slots, and restart_syscall's end copies out as
 * the call's own would have. If a handler ran instead, the kernel forgets the restart, and so do we at the next
 * bounced call.
 *
 * No locks: one OS thread, and fibers switch only where something waits.
 */
#include "linux/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* What the kernel returns inside, for a call that a signal interrupted. */
#define ERESTART_FIRST (-512)
#define ERESTART_LAST (-516)
#define ERESTART_RESTARTBLOCK (-516)

bool fl_io_bounce_read(struct guest_thread *th, void *dst, fl_va src, uint64_t n)
{
	return fl_host_read(th->mm, dst, src, n) == n;
}

bool fl_io_bounce_write(struct guest_thread *th, fl_va dst, const void *src, uint64_t n)
{
	return fl_host_write(th->mm, dst, src, n) == n;
}

/* Segments a little larger than what fits are cut: reads may come short. */
static uint64_t bounded(uint64_t n)
{
	return n < FL_IO_BOUNCE_MAX ? n : FL_IO_BOUNCE_MAX;
}

/* A read's header in the bounce buffer: the vector, or recvfrom's address. */
struct read_header {
	struct fl_io_seg vector;
	uint32_t address_len;
	uint32_t pad;
	uint8_t address[128];
};

/* Write what recvfrom said of the sender: as much of the address as there is room for, and its true length. */
static int copy_address(struct fl_io_transfer *x, const struct read_header *before, const struct read_header *after)
{
	uint32_t n = after->address_len < before->address_len ? after->address_len : before->address_len;

	if (n > sizeof(after->address))
		n = sizeof(after->address);
	if (fl_io_copy_out(x->th, x->args[4], after->address, n) ||
	    fl_io_copy_out(x->th, x->args[5], &after->address_len, 4))
		return -EFAULT;
	return 0;
}

/*
 * After the call: data and address to the guest. Returns what the guest shall see. Nothing can be given back to the
 * file, so a page that cannot be written loses data, as in Linux; a terminal says how far it came.
 */
static int64_t deliver_read(struct fl_io_transfer *x, fl_va bounce, const struct read_header *before, int64_t result)
{
	struct read_header after;
	uint8_t *data;
	uint64_t copied;

	data = malloc((size_t)result + 1);
	if (!data)
		return -ENOMEM;
	if (!fl_io_bounce_read(x->th, &after, bounce, sizeof(after)) ||
	    !fl_io_bounce_read(x->th, data, bounce + sizeof(after), (uint64_t)result)) {
		free(data);
		return -EFAULT;
	}
	copied = fl_io_scatter(x, 0, data, (uint64_t)result < x->total ? (uint64_t)result : x->total);
	free(data);
	if (fl_io_gone(x->th))
		return result;
	if (copied < (uint64_t)result && copied < x->total && (x->nr == SYS_recvfrom || !copied))
		return -EFAULT;
	if (x->nr == SYS_recvfrom && x->args[4] && copy_address(x, before, &after))
		return -EFAULT;
	/* With MSG_TRUNC the result is the datagram's length, which may be more than there was room for. */
	return x->nr == SYS_recvfrom ? result : (int64_t)copied;
}

void fl_io_bounced_read(struct fl_io_transfer *x)
{
	struct guest_thread *th = x->th;
	struct read_header header = {0};
	uint64_t room = bounded(x->total);
	fl_va bounce = fl_io_bounce(th, sizeof(header) + room);
	int64_t result, seen;

	if (!bounce) {
		fl_skip_syscall(th, -ENOMEM);
		return;
	}
	header.vector = (struct fl_io_seg){bounce + sizeof(header), room};
	if (x->nr == SYS_recvfrom && x->args[4]) {
		if (fl_io_copy_in(th, &header.address_len, x->args[5], 4)) {
			header.address_len = 0;
			x->args[5] = 0; /* the kernel says what it thinks of that */
		}
		if (fl_io_gone(th))
			return;
		fl_set_arg(th, 4, bounce + offsetof(struct read_header, address));
		fl_set_arg(th, 5, x->args[5] ? bounce + offsetof(struct read_header, address_len) : 0);
	}
	if (header.address_len > sizeof(header.address) && header.address_len <= INT32_MAX)
		header.address_len = sizeof(header.address);
	if (!fl_io_bounce_write(th, bounce, &header, sizeof(header)))
		return;
	fl_set_arg(th, x->buf_arg, x->vector ? bounce : bounce + sizeof(header));
	fl_set_arg(th, x->len_arg, x->vector ? 1 : room);
	if (fl_run_syscall(th, &result))
		return;
	fl_io_restore(th, x->args);
	if (result < 0)
		return;
	seen = deliver_read(x, bounce, &header, result > (int64_t)room ? (int64_t)room : result);
	if (fl_io_gone(th))
		return;
	if (result > (int64_t)room && seen == (int64_t)room)
		seen = result;
	if (seen != result)
		fl_set_result(th, seen);
}

/* ---- Calls with structures --------------------------------------------------------------------------- */

static struct fl_io_slot *add_slot(struct fl_io_bounced *c, const struct fl_call_arg *arg, fl_va va, uint64_t size)
{
	struct fl_io_slot *s = &c->slots[c->nslots++];

	*s = (struct fl_io_slot){.arg = arg, .va = va, .size = size, .offset = c->bytes};
	c->bytes += (size + 15) & ~(uint64_t)15;
	return s;
}

/* Bytes of one argument; false: more than we bounce, or senseless, which the kernel shall judge. */
static bool argument_bytes(struct fl_io_bounced *c, const struct fl_call_arg *arg, uint64_t *bytes)
{
	uint64_t n = c->args[arg->len];
	uint32_t length;

	switch ((enum fl_arg_size)arg->size) {
	case FL_SIZE_FIXED:
		*bytes = arg->bytes;
		return true;
	case FL_SIZE_ARG:
	case FL_SIZE_RESULT:
		if (n > FL_IO_BOUNCE_MAX)
			return false;
		*bytes = n * arg->bytes;
		if (c->nr == SYS_msgrcv) /* the message's type stands before its text */
			*bytes += 8;
		return true;
	case FL_SIZE_FDSET:
		if (c->args[0] > FL_IO_BOUNCE_MAX)
			return false;
		*bytes = (c->args[0] + 63) / 64 * 8;
		return true;
	case FL_SIZE_LENPTR:
		if (fl_io_copy_in(c->th, &length, c->args[arg->len], 4) || length > FL_IO_BOUNCE_MAX)
			return false;
		*bytes = length;
		return true;
	default:
		return false;
	}
}

/* Lay the slots out, and read what the kernel will read. False: run the call as it is. */
static bool plan(struct fl_io_bounced *c)
{
	for (unsigned i = 0; i < FL_CALL_ARGS && c->call->args[i].size; i++) {
		const struct fl_call_arg *arg = &c->call->args[i];
		uint64_t bytes;

		if (!c->args[arg->index])
			continue;
		if (!c->prepare && !fl_engine_zone(c->args[arg->index]) &&
		    !(arg->size == FL_SIZE_LENPTR && fl_engine_zone(c->args[arg->len])))
			continue;
		if (!argument_bytes(c, arg, &bytes) || fl_io_gone(c->th))
			return false;
		add_slot(c, arg, c->args[arg->index], bytes);
		if (arg->size == FL_SIZE_LENPTR)
			add_slot(c, arg, c->args[arg->len], 4)->is_length = true;
	}
	return c->nslots > 0;
}

static bool fill_slots(struct fl_io_bounced *c)
{
	c->extra = c->bytes;
	c->bytes += FL_IO_EXTRA;
	c->before = calloc(1, c->bytes);
	if (!c->before)
		return false;
	for (unsigned i = 0; i < c->nslots; i++) {
		struct fl_io_slot *s = &c->slots[i];

		if (!(s->arg->dir & FL_ARG_IN) && !s->is_length)
			continue;
		if (fl_io_copy_in(c->th, c->before + s->offset, s->va, s->size) || fl_io_gone(c->th))
			return false;
	}
	c->bounce = fl_io_bounce(c->th, c->bytes);
	if (c->bounce && c->prepare)
		c->prepare(c);
	return c->bounce && !fl_io_gone(c->th) && fl_io_bounce_write(c->th, c->bounce, c->before, c->bytes);
}

/* How much of a slot the kernel may have written, result being what it returned. */
static uint64_t written(const struct fl_io_bounced *c, const struct fl_io_slot *s, const uint8_t *after, int64_t result)
{
	bool interrupted = result == -EINTR || (result <= ERESTART_FIRST && result >= ERESTART_LAST);
	uint32_t length;

	if (!(s->arg->dir & FL_ARG_OUT))
		return 0;
	if (result < 0 && !((c->call->flags & FL_CALLF_ALWAYS_OUT) && interrupted))
		return 0;
	if (s->is_length)
		return 4;
	if (s->arg->size == FL_SIZE_RESULT) {
		uint64_t n = (uint64_t)result * s->arg->bytes + (c->nr == SYS_msgrcv ? 8 : 0);

		return n < s->size ? n : s->size;
	}
	if (s->arg->size == FL_SIZE_LENPTR) {
		memcpy(&length, after + s[1].offset, 4);
		return length < s->size ? length : s->size;
	}
	/* Without a child to tell of nothing is written. */
	if (c->nr == SYS_wait4 && result == 0)
		return 0;
	/* Time that is left, written on interruption only. */
	if ((c->nr == SYS_nanosleep || c->nr == SYS_clock_nanosleep) && result == 0)
		return 0;
	return s->size;
}

static int64_t copy_slots(struct fl_io_bounced *c, int64_t result)
{
	uint8_t *after = malloc(c->bytes);
	int64_t seen;

	if (!after || !fl_io_bounce_read(c->th, after, c->bounce, c->bytes)) {
		free(after);
		return result < 0 ? result : -EFAULT;
	}
	if (c->finish)
		result = c->finish(c, after, result);
	seen = result;
	for (unsigned i = 0; i < c->nslots && !fl_io_gone(c->th); i++) {
		const struct fl_io_slot *s = &c->slots[i];
		uint64_t n = written(c, s, after, result);

		if (!n)
			continue;
		/* What was read and has not changed need not be written, and a page that is only read stays so. */
		if (s->arg->dir == FL_ARG_INOUT && !memcmp(c->before + s->offset, after + s->offset, n))
			continue;
		if (fl_io_copy_out(c->th, s->va, after + s->offset, n) && result >= 0)
			seen = -EFAULT;
	}
	free(after);
	return seen;
}

/* Keep the slots for restart_syscall. */
static void remember(struct fl_io_bounced *c)
{
	c->th->restart.nr = (uint32_t)c->nr;
	memcpy(c->th->restart.args, c->args, sizeof(c->args));
}

static void run_bounced(struct fl_io_bounced *c)
{
	struct guest_thread *th = c->th;
	int64_t result, seen;

	for (unsigned i = 0; i < c->nslots; i++) {
		const struct fl_io_slot *s = &c->slots[i];

		fl_set_arg(th, s->is_length ? s->arg->len : s->arg->index, c->bounce + s->offset);
	}
	if (fl_run_syscall(th, &result))
		return;
	fl_io_restore(th, c->args);
	seen = copy_slots(c, result);
	if (fl_io_gone(th))
		return;
	if (result == ERESTART_RESTARTBLOCK)
		remember(c);
	if (seen != result)
		fl_set_result(th, seen);
}

/* Everything the call touches is there, and nobody can take it away. */
static bool all_there(struct fl_io_bounced *c)
{
	struct fl_io_gap gap;

	if (!fl_io_alone(c->th))
		return false;
	for (unsigned i = 0; i < c->nslots; i++) {
		const struct fl_io_slot *s = &c->slots[i];
		bool out = (s->arg->dir & FL_ARG_OUT) || s->is_length;

		if (fl_io_missing(c->th, s->va, s->size, out ? FL_WRITE : FL_READ, &gap))
			return false;
	}
	return true;
}

void fl_io_run_bounced(struct fl_io_bounced *c)
{
	struct guest_thread *th = c->th;

	th->restart.nr = 0;
	c->nr = fl_regs(th)->orig_rax;
	c->call = fl_call_find(c->nr);
	fl_io_args(th, c->args);
	if (!plan(c) || (!c->prepare && all_there(c)) || fl_io_gone(th))
		return;
	if (fill_slots(c))
		run_bounced(c);
	else if (!fl_io_gone(th))
		fl_skip_syscall(th, c->before ? -EFAULT : -ENOMEM);
	free(c->before);
}

void fl_io_consuming(struct guest_thread *th)
{
	struct fl_io_bounced c = {.th = th};

	fl_io_run_bounced(&c);
}

/*
 * The kernel goes on with an interrupted call by itself. If it was one of ours its addresses are in the bounce
 * buffer, which is as it was: a handler that could have changed it would have ended the restart.
 */
void fl_io_restart(struct guest_thread *th)
{
	struct fl_io_bounced c = {.th = th, .nr = th->restart.nr, .bounce = th->bounce};
	int64_t result, seen;

	if (!c.nr)
		return;
	memcpy(c.args, th->restart.args, sizeof(c.args));
	c.call = fl_call_find(c.nr);
	if (!plan(&c) || !(c.before = calloc(1, c.bytes)))
		return;
	if (!fl_run_syscall(th, &result)) {
		seen = copy_slots(&c, result);
		if (!fl_io_gone(th) && result != ERESTART_RESTARTBLOCK)
			th->restart.nr = 0;
		if (!fl_io_gone(th) && seen != result)
			fl_set_result(th, seen);
	}
	free(c.before);
}
