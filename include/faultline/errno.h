/* SPDX-License-Identifier: MIT */
/*
 * Error numbers: Linux's, for the generic table (x86, arm64, riscv, powerpc: all the
 * numbers below agree there). Functions return 0 or a count, or one of these negated.
 */
#ifndef FAULTLINE_ERRNO_H
#define FAULTLINE_ERRNO_H

#define FL_EPERM 1
#define FL_ENOENT 2
#define FL_ESRCH 3
#define FL_EINTR 4
#define FL_EIO 5
#define FL_EBADF 9
#define FL_EAGAIN 11
#define FL_ENOMEM 12
#define FL_EACCES 13
#define FL_EFAULT 14
#define FL_EBUSY 16
#define FL_EEXIST 17
#define FL_ENODEV 19
#define FL_EINVAL 22
#define FL_ENOSYS 38
#define FL_EOVERFLOW 75
#define FL_EOPNOTSUPP 95
#define FL_EHWPOISON 133
/* Inside an interruptible wait only: the call is to be restarted or to return EINTR,
 * as the signal's action says. A machine turns it into its own restart code. */
#define FL_ERESTARTSYS 512

#endif
