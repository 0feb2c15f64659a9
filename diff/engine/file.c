/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: userfaultfds as their users see them, and the carrier.
 *
 * As in Linux a call keeps the file: close ends the descriptor, and the object is released when the last call under way has
 * left it.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "diff/engine/internal.h"

/* What one read or write moves at most. */
#define TRANSFER_MAX 0x7ffff000ull
#define POLLHUP_BIT 0x010u
#define POLLNVAL_BIT 0x020u

/* As poll(2) has it. */
struct pollfd_words {
	int32_t fd;
	uint16_t events, revents;
};

/* The open file, kept for a call; or NULL. */
static struct fl_engine_file *get(struct fl_engine_actor *a, uint64_t index)
{
	struct fl_engine_file *f = index < FL_DIFF_UFFDS ? a->e->file[index] : NULL;

	if (!f || !f->open)
		return NULL;
	f->refs++;
	return f;
}

static void put(struct fl_task *t, struct fl_engine_file *f)
{
	struct fl_uffd *u = f->u;

	if (--f->refs)
		return;
	f->u = NULL;
	fl_uffd_release(t, u);
}

static bool may_open(const struct fl_engine *e)
{
	return e->ground.unprivileged_uffd || (e->ground.root && !e->unprivileged);
}

int64_t fl_engine_open(struct fl_engine_actor *a, unsigned index, int flags)
{
	struct fl_engine *e = a->e;
	struct fl_engine_file *f;
	int err;

	if (index >= FL_DIFF_UFFDS)
		return -FL_EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -FL_ENOMEM;
	err = fl_uffd_create(&a->task, flags, may_open(e), NULL, NULL, &f->u);
	if (err) {
		free(f);
		return err;
	}
	f->refs = 1;
	f->open = true;
	f->nonblock = (flags & FL_O_NONBLOCK) != 0;
	f->next = e->files;
	e->files = f;
	e->file[index] = f;
	return 0;
}

int64_t fl_engine_close(struct fl_engine_actor *a, uint64_t index)
{
	struct fl_engine_file *f = get(a, index);

	if (!f)
		return -FL_EBADF;
	f->open = false;
	f->refs--;
	put(&a->task, f);
	return 0;
}

void fl_engine_close_all(struct fl_engine *e)
{
	struct fl_task task;

	fl_task_init(&task, e->frames, NULL, 0);
	while (e->files) {
		struct fl_engine_file *f = e->files;

		e->files = f->next;
		if (f->u)
			fl_uffd_release(&task, f->u);
		free(f);
	}
	fl_task_exit(&task);
	memset(e->file, 0, sizeof(e->file));
}

static int64_t set_nonblock(struct fl_engine_actor *a, struct fl_engine_file *f, uint64_t arg)
{
	int on;

	if (fl_copy_from_user(&a->task, &on, arg, sizeof(on)))
		return -FL_EFAULT;
	f->nonblock = on != 0;
	return 0;
}

/* Off is what it is; it cannot be on. */
static int64_t set_async(struct fl_engine_actor *a, uint64_t arg)
{
	int on;

	if (fl_copy_from_user(&a->task, &on, arg, sizeof(on)))
		return -FL_EFAULT;
	return on ? -ENOTTY : 0;
}

int64_t fl_engine_ioctl(struct fl_engine_actor *a, uint64_t index, uint64_t cmd, uint64_t arg)
{
	static const int block = FL_DIFF_PAGE;
	struct fl_engine_file *f = get(a, index);
	int64_t ret;

	if (!f)
		return -FL_EBADF;
	switch (cmd) {
	case FIOCLEX: /* these are every descriptor's */
	case FIONCLEX:
		ret = 0;
		break;
	case FIONBIO:
		ret = set_nonblock(a, f, arg);
		break;
	case FIOASYNC:
		ret = set_async(a, arg);
		break;
	case FIGETBSZ:
		ret = fl_copy_to_user(&a->task, arg, &block, sizeof(block)) ? -FL_EFAULT : 0;
		break;
	case FIOQSIZE:
		ret = -ENOTTY;
		break;
	default:
		ret = fl_uffd_ioctl(&a->task, f->u, (uint32_t)cmd, arg);
	}
	put(&a->task, f);
	return ret;
}

int64_t fl_engine_read(struct fl_engine_actor *a, uint64_t index, uint64_t buf, uint64_t count)
{
	struct fl_engine_file *f = get(a, index);
	int64_t ret;

	if (!f)
		return -FL_EBADF;
	if (!fl_engine_user_range(buf, count))
		ret = -FL_EFAULT;
	else
		ret = fl_uffd_read(&a->task, f->u, buf, count < TRANSFER_MAX ? count : TRANSFER_MAX, f->nonblock);
	put(&a->task, f);
	return ret;
}

/* The descriptor that the call is about; programs name no other. */
static uint16_t poll_one(struct fl_engine_actor *a, uint16_t events)
{
	struct fl_engine_file *f = get(a, a->call.object);
	uint32_t ready;

	if (!f)
		return POLLNVAL_BIT;
	ready = fl_uffd_poll(f->u, f->nonblock);
	put(&a->task, f);
	return (uint16_t)(ready & (events | FL_POLLERR | POLLHUP_BIT));
}

/* It does not wait: programs give no time. */
int64_t fl_engine_poll(struct fl_engine_actor *a, uint64_t fds, uint64_t n)
{
	struct pollfd_words p;

	if (n != 1)
		return n ? -FL_EINVAL : 0;
	if (fl_copy_from_user(&a->task, &p, fds, sizeof(p)))
		return -FL_EFAULT;
	p.revents = poll_one(a, p.events);
	if (fl_copy_to_user(&a->task, fds + offsetof(struct pollfd_words, revents), &p.revents, sizeof(p.revents)))
		return -FL_EFAULT;
	return p.revents != 0;
}

/* Linux's looks at the place and the buffer, and how many bytes there are to move. Negative: an error. */
static int64_t transfer(uint64_t buf, uint64_t count, uint64_t pos)
{
	if ((int64_t)pos < 0)
		return -FL_EINVAL;
	if (!fl_engine_user_range(buf, count))
		return -FL_EFAULT;
	return (int64_t)(count < TRANSFER_MAX ? count : TRANSFER_MAX);
}

int64_t fl_engine_pread(struct fl_engine_actor *a, uint64_t buf, uint64_t count, uint64_t pos)
{
	int64_t n = transfer(buf, count, pos);
	size_t left;

	if (n <= 0 || pos >= FL_ENGINE_CARRIER)
		return n < 0 ? n : 0;
	if ((uint64_t)n > FL_ENGINE_CARRIER - pos)
		n = (int64_t)(FL_ENGINE_CARRIER - pos);
	left = fl_copy_to_user(&a->task, buf, fl_engine_carrier(a) + pos, (size_t)n);
	return left == (size_t)n ? -FL_EFAULT : n - (int64_t)left;
}

/*
 * As Linux writes into its page cache: page by page of the file, without faults; where that brings nothing, what is left of the page's
 * part is faulted in, and it goes on. The carrier does not grow.
 */
int64_t fl_engine_pwrite(struct fl_engine_actor *a, uint64_t buf, uint64_t count, uint64_t pos)
{
	int64_t n = transfer(buf, count, pos), done = 0;
	size_t part, got;

	if (n < 0)
		return n;
	while (done < n) {
		if (fl_load_acquire(&a->task.signals) & FL_SIGNAL_FATAL)
			return done ? done : -FL_EINTR;
		part = (size_t)(FL_DIFF_PAGE - pos % FL_DIFF_PAGE);
		part = (uint64_t)(n - done) < part ? (size_t)(n - done) : part;
		if (pos + part > FL_ENGINE_CARRIER)
			return done ? done : -FL_EPERM;
		got = part - fl_copy_from_user_nofault(&a->task, fl_engine_carrier(a) + pos, buf, part);
		/* Linux cannot fault in what begins at address 0. */
		if (!got && (!buf || fl_fault_in_readable(&a->task, buf, part) == part))
			return done ? done : -FL_EFAULT;
		buf += got;
		pos += got;
		done += (int64_t)got;
	}
	return done;
}
