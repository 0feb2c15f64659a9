/* SPDX-License-Identifier: MIT */
/*
 * userfaultfd: the object behind the descriptor. Calls are Linux's ioctls, read and poll, with the errno values, result
 * fields and orders of checks that user space sees (man pages userfaultfd(2), ioctl_userfaultfd(2);
 * docs/userfaultfd.md).
 *
 * The embedder owns the descriptor. He tells the engine of the last close, and is told when readiness changes.
 */
#ifndef FAULTLINE_UFFD_H
#define FAULTLINE_UFFD_H

#include "faultline/mm.h"

FL_BEGIN_C

struct fl_uffd_ops {
	/*
	 * The number of unread messages is now n. Called under the object's lock: must not call into the engine and
	 * must not sleep. May be NULL.
	 */
	void (*unread)(void *arg, uint32_t n);
};

/*
 * userfaultfd(2): flags O_CLOEXEC, O_NONBLOCK, USER_MODE_ONLY; anything else -FL_EINVAL. Bound for life to the task's
 * address space.
 * The caller has checked the privilege (privileged: may see kernel-mode faults; without it flags must have
 * USER_MODE_ONLY or the call is -FL_EPERM, tested before the flags). One reference, dropped by fl_uffd_release.
 */
int fl_uffd_create(struct fl_task *t, int flags, bool privileged, const struct fl_uffd_ops *ops, void *arg,
		   struct fl_uffd **out);

/*
 * ioctl(2) as the caller t sees it: cmd is FL_UFFDIO_*, arg the user address of its structure, in t's own memory (which
 * after a fork may not be the object's). Returns 0 or -errno; unknown commands -FL_EINVAL. May sleep.
 */
int fl_uffd_ioctl(struct fl_task *t, struct fl_uffd *u, uint32_t cmd, fl_va arg);

/*
 * read(2) into t's memory. nonblock: as O_NONBLOCK is at this moment. Returns bytes, or -FL_EINVAL (before the
 * handshake, count < 32), -FL_EAGAIN, -FL_ERESTARTSYS (a signal), -FL_EFAULT.
 */
int64_t fl_uffd_read(struct fl_task *t, struct fl_uffd *u, fl_va buf, size_t count, bool nonblock);

/*
 * One message into the embedder's own memory, for a readv(2) that may split it across segments. Returns 0, or
 * -FL_EINVAL (before the handshake), -FL_EAGAIN, -FL_ERESTARTSYS.
 */
int fl_uffd_read_message(struct fl_task *t, struct fl_uffd *u, bool nonblock, struct fl_uffd_msg *msg);

/* poll(2): FL_POLLIN, FL_POLLERR or 0. nonblock as above: a blocking descriptor always polls POLLERR. */
uint32_t fl_uffd_poll(struct fl_uffd *u, bool nonblock);

/*
 * The last close: every range is unregistered and every waiter goes on as if it had never been. Drops the caller's
 * reference; calls that are in progress keep the object until they end. t: any task on the same arena.
 */
void fl_uffd_release(struct fl_task *t, struct fl_uffd *u);

struct fl_uffd_info {
	uint32_t pending, total; /* unread; unread and read but unresolved */
	uint64_t features;
	bool ready; /* the handshake has been done */
};
void fl_uffd_info(struct fl_uffd *u, struct fl_uffd_info *info);

FL_END_C

#endif
