/* SPDX-License-Identifier: MIT */
/*
 * The statements about userfaultfds as system calls.
 *
 * The structure of an ioctl lies in scratch, and all of it is shown afterwards. With arg=L it lies in the memory under test: a
 * read(2) from the carrier puts it there, and a write(2) to the carrier shows what the kernel made of it.
 *
 * No locks: one thread.
 */
#include <string.h>

#include "diff/lower/internal.h"

#define CONTINUE_DONTWAKE 1u
#define CONTINUE_WP 2u
#define POISON_DONTWAKE 1u
#define WRITEPROTECT_WP 1u
#define WRITEPROTECT_DONTWAKE 2u
#define MOVE_DONTWAKE 1u
#define MOVE_ALLOW_SRC_HOLES 2u

/* Of an ioctl that names no structure. */
#define ANY_STRUCTURE 64u

static unsigned structure_size(uint64_t cmd)
{
	unsigned n = cmd >> 16 & 0x3fff;

	return n && n < ANY_STRUCTURE ? n : ANY_STRUCTURE;
}

static struct fl_call *add_ioctl(struct fl_lowering *l, uint64_t cmd, uint64_t arg)
{
	struct fl_call *c = fl_lower_syscall(l, FL_NR_IOCTL, l->st->object, cmd, arg);

	c->how[0] = FL_ARG_UFFD;
	return c;
}

static const struct fl_lack *lack_of(uint64_t cmd)
{
	for (size_t i = 0; i < fl_lacks_count; i++)
		if (fl_lacks[i].cmd == cmd)
			return &fl_lacks[i];
	return NULL;
}

/* The call shows the structure of this ioctl. */
static void leave_out(struct fl_call *c, uint64_t cmd)
{
	const struct fl_lack *lack = lack_of(cmd);

	if (!lack)
		return;
	c->lacks = lack->bits;
	c->lacks_at = lack->at;
}

static void put(struct fl_lowering *l, uint64_t at, const void *io, unsigned n)
{
	struct fl_call *c = fl_lower_carry(l, FL_NR_PREAD64, at, n);

	c->gives = false;
	c->carried = true;
	c->ins = n;
	if (io)
		memcpy(c->in, io, n);
}

/*
 * What the kernel made of a structure in the memory under test. Where it lists what the engine does not have, it is
 * overwritten afterwards, by io or zeros: or else that would stay, and differ in whatever is made of it later.
 */
static void show(struct fl_lowering *l, uint64_t cmd, uint64_t at, const void *io, unsigned n)
{
	struct fl_call *c = fl_lower_carry(l, FL_NR_PWRITE64, at, n);

	c->out_kind = FL_OUT_CARRIED;
	c->outs = n;
	c->gives = false;
	leave_out(c, cmd);
	if (lack_of(cmd))
		put(l, at, io, n);
}

static struct fl_call *add_structure(struct fl_lowering *l, uint64_t cmd, const void *io, unsigned n)
{
	uint64_t at = fl_diff_scratch(l->actor);
	struct fl_call *c;

	if (l->st->has_into) {
		fl_lower_address(l->s, &l->st->into, l->results, &at);
		put(l, at, io, n);
		c = add_ioctl(l, cmd, at);
		show(l, cmd, at, io, n);
		return c;
	}
	c = add_ioctl(l, cmd, at);
	c->ins = c->outs = n;
	memcpy(c->in, io, n);
	leave_out(c, cmd);
	return c;
}

static void lower_open(struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;
	uint64_t flags = FL_O_CLOEXEC | st->flags;
	struct fl_call *c;

	flags |= st->nonblock ? FL_O_NONBLOCK : 0;
	flags |= st->user_only ? FL_UFFD_USER_MODE_ONLY : 0;
	c = fl_lower_syscall(l, FL_NR_USERFAULTFD, flags, 0, 0);
	c->opens = true;
	c->object = st->object;
}

static struct fl_call *add_api(struct fl_lowering *l, uint64_t api)
{
	struct fl_uffdio_api a = {.api = api, .features = l->st->features};

	return add_structure(l, FL_UFFDIO_API, &a, sizeof(a));
}

static struct fl_call *add_register(struct fl_lowering *l)
{
	struct fl_uffdio_register r = {.range = {l->at, l->bytes}, .mode = l->st->modes | l->st->flags};

	return add_structure(l, FL_UFFDIO_REGISTER, &r, sizeof(r));
}

/* Open, handshake, register; no further than it goes well, and the last that was done gives the result. */
static void lower_create(struct fl_lowering *l)
{
	lower_open(l);
	add_api(l, FL_UFFD_API)->needs = true;
	if (l->st->modes)
		add_register(l)->needs = true;
}

static void lower_copy(struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;
	struct fl_uffdio_copy u = {.dst = l->at, .len = l->bytes, .mode = st->flags};
	uint64_t pages = l->bytes / FL_DIFF_PAGE + (l->bytes % FL_DIFF_PAGE != 0);
	struct fl_call *c;

	u.mode |= (st->dontwake ? FL_UFFDIO_COPY_MODE_DONTWAKE : 0u) | (st->wp ? FL_UFFDIO_COPY_MODE_WP : 0u);
	if (st->has_other)
		fl_lower_address(l->s, &st->other, l->results, &u.src);
	else
		u.src = fl_diff_scratch(l->actor) + FL_DIFF_PAGE;
	c = add_structure(l, FL_UFFDIO_COPY, &u, sizeof(u));
	if (!st->has_other) {
		c->fill_pages = pages < FL_LOWER_FILL_PAGES ? (unsigned)pages : FL_LOWER_FILL_PAGES;
		c->fill = (uint64_t)fl_lower_value(l, st->value);
	}
}

static void lower_move(struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;
	struct fl_uffdio_copy u = {.dst = l->at, .len = l->bytes, .mode = st->flags};

	u.mode |= (st->dontwake ? MOVE_DONTWAKE : 0u) | (st->holes ? MOVE_ALLOW_SRC_HOLES : 0u);
	fl_lower_address(l->s, &st->other, l->results, &u.src);
	add_structure(l, FL_UFFDIO_MOVE, &u, sizeof(u));
}

/* zeropage, continue, poison: a range, a mode, and a word that the kernel writes. */
static void lower_fill(struct fl_lowering *l, uint64_t cmd, uint64_t mode)
{
	struct fl_uffdio_zeropage z = {.range = {l->at, l->bytes}, .mode = mode | l->st->flags};

	add_structure(l, cmd, &z, sizeof(z));
}

static void lower_writeprotect(struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;
	struct {
		struct fl_uffdio_range range;
		uint64_t mode;
	} w = {{l->at, l->bytes}, st->flags};

	w.mode |= (st->modes ? WRITEPROTECT_WP : 0u) | (st->dontwake ? WRITEPROTECT_DONTWAKE : 0u);
	add_structure(l, FL_UFFDIO_WRITEPROTECT, &w, sizeof(w));
}

static void lower_range(struct fl_lowering *l, uint64_t cmd)
{
	struct fl_uffdio_range r = {l->at, l->bytes};

	add_structure(l, cmd, &r, sizeof(r));
}

/* Any number; the structure is what the program has put at arg=, or zeros. */
static void lower_any(struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;
	uint64_t at = fl_diff_scratch(l->actor);
	unsigned n = structure_size(st->cmd);
	struct fl_call *c;

	if (st->has_into)
		fl_lower_address(l->s, &st->into, l->results, &at);
	c = add_ioctl(l, st->cmd, at);
	if (st->has_into) {
		show(l, st->cmd, at, NULL, n);
	} else {
		c->outs = n;
		leave_out(c, st->cmd);
	}
}

static void lower_read(struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;
	uint64_t at = fl_diff_scratch(l->actor), n = st->has_bytes ? st->bytes : sizeof(struct fl_uffd_msg);
	struct fl_call *c;

	if (st->has_into)
		fl_lower_address(l->s, &st->into, l->results, &at);
	c = fl_lower_syscall(l, FL_NR_READ, st->object, at, n);
	c->how[0] = FL_ARG_UFFD;
	if (!st->has_into) {
		c->out_kind = FL_OUT_MESSAGES;
		c->outs = n < FL_DIFF_OUT ? (unsigned)(n & ~(sizeof(struct fl_uffd_msg) - 1)) : FL_DIFF_OUT;
	}
}

static void lower_poll(struct fl_lowering *l)
{
	struct fl_call *c = fl_lower_syscall(l, FL_NR_POLL, fl_diff_scratch(l->actor), 1, 0);

	c->object = l->st->object;
	c->out_kind = FL_OUT_POLL;
	c->ins = c->outs = 8;
	c->in[4] = FL_POLLIN;
}

static void lower_close(struct fl_lowering *l)
{
	struct fl_call *c = fl_lower_syscall(l, FL_NR_CLOSE, l->st->object, 0, 0);

	c->how[0] = FL_ARG_UFFD;
}

/* Those whose structure begins with a range. */
static bool lower_ranges(struct fl_lowering *l)
{
	const struct fl_sc_statement *st = l->st;

	switch (st->op) {
	case FL_SC_REGISTER:
		add_register(l);
		return true;
	case FL_SC_UNREGISTER:
		lower_range(l, FL_UFFDIO_UNREGISTER);
		return true;
	case FL_SC_WAKE:
		lower_range(l, FL_UFFDIO_WAKE);
		return true;
	case FL_SC_COPY:
		lower_copy(l);
		return true;
	case FL_SC_ZEROPAGE:
		lower_fill(l, FL_UFFDIO_ZEROPAGE, st->dontwake ? FL_UFFDIO_ZEROPAGE_MODE_DONTWAKE : 0);
		return true;
	case FL_SC_CONTINUE:
		lower_fill(l, FL_UFFDIO_CONTINUE,
			   (st->dontwake ? CONTINUE_DONTWAKE : 0u) | (st->wp ? CONTINUE_WP : 0u));
		return true;
	case FL_SC_POISONPAGE:
		lower_fill(l, FL_UFFDIO_POISON, st->dontwake ? POISON_DONTWAKE : 0);
		return true;
	case FL_SC_WRITEPROTECT:
		lower_writeprotect(l);
		return true;
	case FL_SC_MOVE:
		lower_move(l);
		return true;
	default:
		return false;
	}
}

bool fl_lower_uffd(struct fl_lowering *l)
{
	switch (l->st->op) {
	case FL_SC_UFFD:
		lower_create(l);
		return true;
	case FL_SC_OPEN:
		lower_open(l);
		return true;
	case FL_SC_API:
		add_api(l, l->st->api);
		return true;
	case FL_SC_IOCTL:
		lower_any(l);
		return true;
	case FL_SC_READ:
		lower_read(l);
		return true;
	case FL_SC_POLL:
		lower_poll(l);
		return true;
	case FL_SC_CLOSE:
		lower_close(l);
		return true;
	default:
		return lower_ranges(l);
	}
}
