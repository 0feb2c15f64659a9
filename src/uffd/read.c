/* SPDX-License-Identifier: MIT */
/*
 * Messages: the queue of those that nobody has read, read(2) and poll(2).
 *
 * A message goes to one reader. When one is queued, the reader that has slept longest is woken. He takes the oldest
 * message there is, even if a signal has come as well; if another reader, who never slept, came by first and left none,
 * he sleeps again, last in line. So while anybody sleeps there are never more messages than readers who have been woken
 * and not looked yet: none lies unread beside a sleeper.
 *
 * The context's mutex guards the queue and the readers. Nothing is held while a reader sleeps or user memory is
 * written.
 */
#include "faultline/uaccess.h"
#include "sync/range_lock.h"
#include "sync/bug.h"
#include "uffd/context.h"

static void count_changed(struct fl_uffd *u, uint32_t unread) FL_REQUIRES(&u->mutex)
{
	/* Partner: poll and info, which look without the mutex. */
	fl_store_release(&u->unread, unread);
	if (u->ops && u->ops->unread)
		u->ops->unread(u->arg, unread);
}

static void reader_unlink(struct fl_uffd *u, struct fl_uffd_reader *r) FL_REQUIRES(&u->mutex)
{
	if (r->prev)
		r->prev->next = r->next;
	else
		u->first_reader = r->next;
	if (r->next)
		r->next->prev = r->prev;
	else
		u->last_reader = r->prev;
}

/* There is one more message: the reader who has slept longest shall look. */
static void wake_reader(struct fl_uffd *u) FL_REQUIRES(&u->mutex)
{
	struct fl_uffd_reader *r = u->first_reader;

	if (!r)
		return;
	reader_unlink(u, r);
	/* Partner: the load in wait_message. r may go away as soon as the mutex is free. */
	fl_store_release(&r->woken, 1);
	fl_port_unpark(&r->task->parker);
}

void fl_uffd_queue_add(struct fl_uffd *u, struct fl_uffd_waiter *w)
{
	w->prev = u->newest;
	w->next = NULL;
	if (u->newest)
		u->newest->next = w;
	else
		u->oldest = w;
	u->newest = w;
	w->unread = true;
	count_changed(u, u->unread + 1);
	wake_reader(u);
}

void fl_uffd_queue_remove(struct fl_uffd *u, struct fl_uffd_waiter *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		u->oldest = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		u->newest = w->prev;
	w->unread = false;
	count_changed(u, u->unread - 1);
}

/* Wait until there is a message. 0, or -FL_ERESTARTSYS. The mutex is dropped for the sleep. */
static int wait_message(struct fl_task *t, struct fl_uffd *u) FL_REQUIRES(&u->mutex)
{
	while (!u->oldest) {
		struct fl_uffd_reader r = {.prev = u->last_reader, .task = t};

		if (fl_task_interrupted(t, FL_WAIT_INTERRUPTIBLE))
			return -FL_ERESTARTSYS;
		if (u->last_reader)
			u->last_reader->next = &r;
		else
			u->first_reader = &r;
		u->last_reader = &r;
		fl_mutex_unlock(&u->mutex);

		/* Partners: the store in wake_reader, and fl_task_signal; both unpark afterwards. */
		while (!fl_load_acquire(&r.woken) && !fl_task_interrupted(t, FL_WAIT_INTERRUPTIBLE))
			fl_port_park(&t->parker);

		fl_mutex_lock(&u->mutex);
		if (!r.woken)
			reader_unlink(u, &r);
	}
	return 0;
}

/* The oldest unread message becomes delivered: its thread waits on, but nobody will be told again. */
static int take_message(struct fl_task *t, struct fl_uffd *u, bool may_wait, struct fl_uffd_msg *msg)
{
	struct fl_uffd_waiter *w;
	int err = 0;

	fl_mutex_lock(&u->mutex);
	if (!u->oldest)
		err = may_wait ? wait_message(t, u) : -FL_EAGAIN;
	if (!err) {
		w = FL_BUG(newest_first) ? u->newest : u->oldest;
		*msg = w->msg;
		fl_uffd_queue_remove(u, w);
		if (FL_BUG(read_refile)) {
			fl_uffd_tree_remove(u, w);
			fl_mutex_unlock(&u->mutex);
			fl_mutex_lock(&u->mutex);
			fl_uffd_tree_insert(u, w);
		}
	}
	fl_mutex_unlock(&u->mutex);
	return err;
}

int fl_uffd_read_message(struct fl_task *t, struct fl_uffd *u, bool nonblock, struct fl_uffd_msg *msg)
{
	int err;

	if (!(fl_load_acquire(&u->features) & FL_UFFD_READY))
		return -FL_EINVAL;
	fl_uffd_get(u); /* the last close may come while this call sleeps */
	err = take_message(t, u, !nonblock, msg);
	fl_uffd_put(u);
	return err;
}

int64_t fl_uffd_read(struct fl_task *t, struct fl_uffd *u, fl_va buf, size_t count, bool nonblock)
{
	struct fl_uffd_msg msg;
	size_t done = 0;
	int err = 0;

	if (!(fl_load_acquire(&u->features) & FL_UFFD_READY) || count < sizeof(msg))
		return -FL_EINVAL;
	/* Never more than what fits into the result, which is also Linux's limit on one read. */
	if (count > INT32_MAX)
		count = INT32_MAX;
	fl_uffd_get(u); /* the last close may come while this call sleeps */
	while (count - done >= sizeof(msg)) {
		err = take_message(t, u, !nonblock && !done, &msg);
		if (err)
			break;
		/* A buffer that cannot be written loses the message, as in Linux: its thread waits for a wake. */
		if (fl_copy_to_user(t, buf + done, &msg, sizeof(msg))) {
			err = -FL_EFAULT;
			break;
		}
		done += sizeof(msg);
	}
	fl_uffd_put(u);
	return done ? (int64_t)done : err;
}

uint32_t fl_uffd_poll(struct fl_uffd *u, bool nonblock)
{
	/*
	 * Linux polls a blocking descriptor as an error, since a message seen by poll may be gone by the time of the
	 * read.
	 */
	if (!(fl_load_acquire(&u->features) & FL_UFFD_READY) || !nonblock)
		return FL_POLLERR;
	return fl_load_acquire(&u->unread) ? FL_POLLIN : 0;
}
