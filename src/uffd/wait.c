/* SPDX-License-Identifier: MIT */
/*
 * A fault that userfaultfd owns: queue a message, look once more, sleep; and the wake-ups.
 *
 * Why no wake-up is lost (rule 11). A resolver installs the page and then takes the mutex to wake. A waiter enters the
 * tree under the mutex and then looks whether the page is still missing. If the resolver's turn with the mutex comes
 * second, it finds the waiter; if it came first, its page was installed before the waiter looked.
 *
 * A waiter lives on the stack of its thread. Whoever wakes it sets `woken` and unparks with the mutex held, and the
 * thread takes the mutex once more before it goes away: so nobody touches a stack that is gone.
 *
 * In user mode any signal ends the wait, in kernel mode a fatal one. (Another one keeps Linux from sleeping there: the
 * thread looks, queues its message and looks again, round and round, until the page is there. Here it sleeps on.)
 *
 * The context's mutex guards the tree, the queue and `woken`; nothing is held while a thread sleeps.
 */
#include "sync/range_lock.h"
#include "sync/bug.h"
#include "uffd/context.h"

/* Take w out of the tree and, if nobody has read its message, out of the queue. */
static void forget(struct fl_uffd *u, struct fl_uffd_waiter *w) FL_REQUIRES(&u->mutex)
{
	fl_uffd_tree_remove(u, w);
	if (w->unread)
		fl_uffd_queue_remove(u, w);
}

void fl_uffd_wake(struct fl_uffd *u, fl_va start, fl_va end)
{
	struct fl_uffd_waiter *w;

	fl_mutex_lock(&u->mutex);
	while ((w = fl_uffd_tree_from(u, start)) && w->msg.arg1 < end) {
		forget(u, w);
		if (FL_BUG(unpark_first))
			fl_port_unpark(&w->task->parker);
		/* Partner: the load in sleep_on. w may go away as soon as the mutex is free. */
		fl_store_release(&w->woken, 1);
		if (!FL_BUG(unpark_first))
			fl_port_unpark(&w->task->parker);
	}
	fl_mutex_unlock(&u->mutex);
}

static struct fl_uffd_msg make_message(const struct fl_uffd *u, uint32_t features, const struct fl_task *t,
				       const struct fl_fault *f)
{
	fl_va page = fl_mm_page(u->mm);
	struct fl_uffd_msg msg = {.event = FL_UFFD_EVENT_PAGEFAULT};
	union {
		uint32_t word[2];
		uint64_t arg;
	} tid = {.word = {t->tid, 0}}; /* the word at offset 24, in either byte order */

	if (f->access == FL_WRITE && !FL_BUG(message_read))
		msg.arg0 = FL_UFFD_PAGEFAULT_FLAG_WRITE;
	msg.arg1 = features & FL_UFFD_FEATURE_EXACT_ADDRESS ? f->addr : f->addr & ~(page - 1);
	if (features & FL_UFFD_FEATURE_THREAD_ID)
		msg.arg2 = tid.arg;
	return msg;
}

/* Sleep until somebody wakes w, or until a signal that the access may end by. */
static void sleep_on(struct fl_uffd_waiter *w, enum fl_wait how)
{
	/*
	 * Partners: the store in fl_uffd_wake, and fl_task_signal; both unpark afterwards, so neither is slept through.
	 */
	while (!fl_load_acquire(&w->woken) && !fl_task_interrupted(w->task, how))
		fl_port_park(&w->task->parker);
}

enum fl_outcome fl_uffd_fault(struct fl_uffd *u, struct fl_task *t, struct fl_fault *f,
			      bool (*still_missing)(struct fl_task *t, struct fl_fault *f))
{
	bool user = (f->flags & FL_FAULTF_USER) != 0, woken;
	uint32_t features = fl_load_acquire(&u->features);
	struct fl_uffd_waiter w = {.task = t};

	if (fl_load_acquire(&u->released))
		return FL_FAULT_DONE; /* an ordinary fault by now: look again */
	if (features & FL_UFFD_FEATURE_SIGBUS) {
		f->si_code = FL_BUS_ADRERR;
		return user ? FL_FAULT_BUS_ERROR : FL_FAULT_KERNEL_FIXUP;
	}
	if (!user && ((u->flags & FL_UFFD_USER_MODE_ONLY) || (f->flags & FL_FAULTF_NOWAIT) || t->pagefault_disabled))
		return FL_FAULT_KERNEL_FIXUP;

	w.msg = make_message(u, features, t, f);
	fl_mutex_lock(&u->mutex);
	if (u->released) {
		fl_mutex_unlock(&u->mutex);
		return FL_FAULT_DONE;
	}
	fl_uffd_tree_insert(u, &w);
	fl_uffd_queue_add(u, &w);
	fl_mutex_unlock(&u->mutex);

	if (FL_BUG(sleep_unchecked) || still_missing(t, f)) {
		if (f->waits < UINT8_MAX)
			f->waits++;
		sleep_on(&w, user && !FL_BUG(wait_uninterrupted) ? FL_WAIT_INTERRUPTIBLE : FL_WAIT_KILLABLE);
		woken = false;
	} else {
		woken = true; /* there is nothing to wait for: as good as a wake-up */
	}

	fl_mutex_lock(&u->mutex);
	if (w.woken)
		woken = true;
	else
		forget(u, &w);
	fl_mutex_unlock(&u->mutex);
	return woken ? FL_FAULT_DONE : FL_FAULT_SIGNAL;
}
