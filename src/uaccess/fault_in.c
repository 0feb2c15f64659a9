/* SPDX-License-Identifier: MIT */
/*
 * Bring user pages in, without copying: for callers that copy with page faults disabled and try again.
 *
 * Each page is probed at its first byte within the range: held once for the access, and let go. Nothing is written, so
 * a probe for writing loses no store of the user's. Of foreign memory a byte is read; that it may be written its flags
 * must say.
 *
 * Lock: a page is held over its probe (src/uaccess/user_page.h), nothing between.
 */
#include "faultline/uaccess.h"
#include "uaccess/user_page.h"

static bool probe_foreign(struct fl_mm *mm, fl_va va, enum fl_access access, const struct fl_user_page *p)
{
	char byte;

	if (access == FL_WRITE && !(p->vm_flags & FL_VM_WRITE))
		return false;
	return mm->ops && mm->ops->foreign_read && mm->ops->foreign_read(mm->machine, &byte, va, 1) == 1;
}

static bool probe(struct fl_task *t, fl_va va, enum fl_access access)
{
	struct fl_user_page p;

	for (;;) {
		switch (fl_user_hold(t->mm, va, access, &p)) {
		case FL_USER_HELD:
			fl_user_release(&p);
			return true;
		case FL_USER_FOREIGN:
			return probe_foreign(t->mm, va, access, &p);
		case FL_USER_FAULT:
			if (!fl_user_fault(t, va, access, &p))
				return false;
		}
	}
}

static size_t fault_in(struct fl_task *t, fl_va va, size_t n, enum fl_access access)
{
	size_t done = 0, limit;

	if (!t->mm)
		return n;
	limit = fl_user_limit(t->mm, va, n);
	while (done < limit && probe(t, va + done, access))
		done += fl_user_first_page(t->mm, va + done, limit - done);
	return n - done;
}

size_t fl_fault_in_readable(struct fl_task *t, fl_va va, size_t n)
{
	return fault_in(t, va, n, FL_READ);
}

size_t fl_fault_in_writeable(struct fl_task *t, fl_va va, size_t n)
{
	return fault_in(t, va, n, FL_WRITE);
}
