/* SPDX-License-Identifier: MIT */
/*
 * Copies between the engine's memory and a user's. Rule 10.
 *
 * A page is copied as a whole or not at all, so a copy that comes up short stops at the first byte of a page, or at the
 * first byte of all; or, in memory that the machine serves, where the machine stopped. Where the page is not there, the
 * fault path is asked, and the copy looks again: it may be gone by then, any number of times.
 *
 * With page faults disabled the fault path refuses at once, so nothing sleeps. The machine is asked for foreign memory
 * even then: whether that is resident is the host's business, and no fault of ours could bring it in.
 *
 * Lock: a page is held over each copy (src/uaccess/user_page.h), nothing between.
 */
#include "faultline/uaccess.h"
#include "sync/bug.h"
#include "uaccess/user_page.h"

/* Copy as much of n bytes as lies in the first page. Returns the bytes copied; less than that page's part: the access
 * ends there. */
static size_t copy_in_page(struct fl_task *t, char *dst, fl_va src, size_t n)
{
	const struct fl_machine_ops *ops = t->mm->ops;
	struct fl_user_page p;

	for (;;) {
		switch (fl_user_hold(t->mm, src, FL_READ, &p)) {
		case FL_USER_HELD:
			fl_port_copy(dst, p.data, n);
			fl_user_release(&p);
			return n;
		case FL_USER_FOREIGN:
			return ops && ops->foreign_read ? ops->foreign_read(t->mm->machine, dst, src, n) : 0;
		case FL_USER_FAULT:
			if (!fl_user_fault(t, src, FL_READ, &p))
				return 0;
		}
	}
}

static size_t copy_out_page(struct fl_task *t, fl_va dst, const char *src, size_t n)
{
	const struct fl_machine_ops *ops = t->mm->ops;
	enum fl_access access = FL_WRITE;
	struct fl_user_page p;

	for (;;) {
		switch (fl_user_hold(t->mm, dst, access, &p)) {
		case FL_USER_HELD:
			fl_port_copy(p.data, src, n);
			fl_user_release(&p);
			return n;
		case FL_USER_FOREIGN:
			return ops && ops->foreign_write ? ops->foreign_write(t->mm->machine, dst, src, n) : 0;
		case FL_USER_FAULT:
			if (!fl_user_fault(t, dst, access, &p))
				return 0;
			if (FL_BUG(dirty_cow))
				access = FL_READ;
		}
	}
}

size_t fl_copy_from_user(struct fl_task *t, void *dst, fl_va src, size_t n)
{
	size_t done = 0, limit, part, got;

	if (!t->mm)
		return n;
	limit = fl_user_limit(t->mm, src, n);
	while (done < limit) {
		part = fl_user_first_page(t->mm, src + done, limit - done);
		got = copy_in_page(t, (char *)dst + done, src + done, part);
		done += got;
		if (got < part)
			break;
	}
	return n - done;
}

size_t fl_copy_to_user(struct fl_task *t, fl_va dst, const void *src, size_t n)
{
	size_t done = 0, limit, part, got;

	if (!t->mm)
		return n;
	limit = fl_user_limit(t->mm, dst, n);
	while (done < limit) {
		part = fl_user_first_page(t->mm, dst + done, limit - done);
		got = copy_out_page(t, dst + done, (const char *)src + done, part);
		done += got;
		if (got < part)
			break;
	}
	return FL_BUG(short_lost) && done < n ? n : n - done;
}

int fl_put_user(struct fl_task *t, fl_va dst, const void *src, size_t n)
{
	/* In two pages: both are there before either is written. */
	if (fl_user_first_page(t->mm, dst, n) < n && fl_fault_in_writeable(t, dst, n))
		return -FL_EFAULT;
	return fl_copy_to_user(t, dst, src, n) ? -FL_EFAULT : 0;
}

size_t fl_copy_from_user_nofault(struct fl_task *t, void *dst, fl_va src, size_t n)
{
	size_t left;

	fl_pagefault_disable(t);
	left = fl_copy_from_user(t, dst, src, n);
	fl_pagefault_enable(t);
	return left;
}

size_t fl_copy_to_user_nofault(struct fl_task *t, fl_va dst, const void *src, size_t n)
{
	size_t left;

	fl_pagefault_disable(t);
	left = fl_copy_to_user(t, dst, src, n);
	fl_pagefault_enable(t);
	return left;
}

/* Bytes after the NUL, within the same page, may have been overwritten in dst; none beyond n. */
int64_t fl_strncpy_from_user(struct fl_task *t, char *dst, fl_va src, size_t n)
{
	size_t done = 0, limit, part, got;

	if (!t->mm)
		return -FL_EFAULT;
	limit = fl_user_limit(t->mm, src, n);
	while (done < limit) {
		part = fl_user_first_page(t->mm, src + done, limit - done);
		got = copy_in_page(t, dst + done, src + done, part);
		for (size_t end = done + got; done < end; done++) {
			if (!dst[done])
				return (int64_t)done;
		}
		if (got < part)
			return -FL_EFAULT;
	}
	return done < n ? -FL_EFAULT : (int64_t)n;
}
