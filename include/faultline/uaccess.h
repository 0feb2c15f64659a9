/* SPDX-License-Identifier: MIT */
/*
 * The kernel side's way to user memory: copies with fixups. Every page goes through the tables as the user's own access
 * would, so protection, copy-on-write and userfaultfd apply. Return values are Linux's: bytes NOT done, 0 for all.
 */
#ifndef FAULTLINE_UACCESS_H
#define FAULTLINE_UACCESS_H

#include "faultline/types.h"

FL_BEGIN_C

/*
 * Copy n bytes. Faults pages in as needed and may sleep (killable); with page faults disabled it does neither.
 * Returns the number of bytes not copied: the first missing byte is exactly the first that could not be accessed.
 * Bytes of dst beyond those copied are left as they were. Locks: none held.
 */
FL_MUST_CHECK size_t fl_copy_from_user(struct fl_task *t, void *dst, fl_va src, size_t n);
FL_MUST_CHECK size_t fl_copy_to_user(struct fl_task *t, fl_va dst, const void *src, size_t n);
/*
 * A word of n bytes (at most 16), by one access: all of it or nothing. 0 or -FL_EFAULT.
 */
FL_MUST_CHECK int fl_put_user(struct fl_task *t, fl_va dst, const void *src, size_t n);
/* The same with page faults disabled: never sleeps, never faults anything in. */
FL_MUST_CHECK size_t fl_copy_from_user_nofault(struct fl_task *t, void *dst, fl_va src, size_t n);
FL_MUST_CHECK size_t fl_copy_to_user_nofault(struct fl_task *t, fl_va dst, const void *src, size_t n);
/*
 * Fault in every page of [va, va + n) for reading, or for writing, without changing a byte. Returns the bytes that
 * could not be faulted in, counted from the first that failed (0: all).
 */
size_t fl_fault_in_readable(struct fl_task *t, fl_va va, size_t n);
size_t fl_fault_in_writeable(struct fl_task *t, fl_va va, size_t n);
/* A NUL-terminated string of at most n bytes, NUL included. Returns its length without NUL, n if there is no NUL
 * within n bytes, or -FL_EFAULT. */
FL_MUST_CHECK int64_t fl_strncpy_from_user(struct fl_task *t, char *dst, fl_va src, size_t n);

FL_END_C

#endif
