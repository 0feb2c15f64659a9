/* SPDX-License-Identifier: MIT */
/*
 * How each operation can end, and where that is written. Codes that are here and were never seen are printed as never reached.
 *
 * A new operation of the engine changes its row from LATER to NOW; a new kind of memory moves codes from the second list to the
 * first.
 *
 * No locks: constants.
 */
#include "diff/report/cover_internal.h"

#define B(code) (UINT64_C(1) << FL_COVER_##code)
#define NOW(can, later, source)                                 \
	{                                                       \
		FL_COVER_COMPARED, B(FINE) | can, later, source \
	}
#define LATER(can, source)                                 \
	{                                                  \
		FL_COVER_NOT_YET, B(FINE) | can, 0, source \
	}

/* Of an access by the program itself; POISON needs memory that fails, or the ioctl. */
#define ACCESS (B(MAPERR) | B(ACCERR) | B(KERNEL) | B(BUS) | B(ASLEEP) | B(INTERRUPTED))
/* Of a copy by the kernel, which waits for pages. */
#define KERNEL_COPY (B(EFAULT) | B(ASLEEP))
/* Of each ioctl: the descriptor, the handshake, the structure, which may lie in memory that is waited for. */
#define IOCTL (B(EBADF) | B(EINVAL) | B(EFAULT) | B(ASLEEP))

const struct fl_cover_row fl_cover_rows[FL_SC_OPS] = {
	[FL_SC_LOAD] = NOW(ACCESS, B(POISON), "sigaction(2): SIGSEGV, SIGBUS; userfaultfd(2)"),
	[FL_SC_STORE] = NOW(ACCESS, B(POISON), "sigaction(2): SIGSEGV, SIGBUS; userfaultfd(2)"),
	[FL_SC_ADD] = NOW(ACCESS, B(POISON), "sigaction(2): SIGSEGV, SIGBUS; userfaultfd(2)"),
	[FL_SC_FETCH] = NOW(ACCESS, B(POISON), "sigaction(2): SIGSEGV, SIGBUS; userfaultfd(2)"),
	[FL_SC_COPYIN] = NOW(KERNEL_COPY, 0, "write(2); userfaultfd(2)"),
	[FL_SC_COPYOUT] = NOW(KERNEL_COPY, 0, "read(2); userfaultfd(2)"),
	[FL_SC_SYSWRITE] = NOW(KERNEL_COPY, 0, "write(2); userfaultfd(2)"),
	[FL_SC_SYSREAD] = NOW(KERNEL_COPY, 0, "read(2); userfaultfd(2)"),

	/* OTHER: an address that is no multiple of a page, within the last page of all, is given back, and so is an error. */
	[FL_SC_MMAP] = NOW(B(EEXIST) | B(ENOMEM) | B(EINVAL) | B(EPERM) | B(EAGAIN) | B(OTHER),
			   B(EACCES) | B(ENODEV) | B(EOVERFLOW) | B(EBADF) | B(EOPNOTSUPP), "mmap(2)"),
	[FL_SC_MMAP_ANY] = NOW(B(ENOMEM) | B(EINVAL) | B(EPERM) | B(EAGAIN) | B(EEXIST),
			       B(EACCES) | B(ENODEV) | B(EOVERFLOW) | B(EBADF) | B(EOPNOTSUPP), "mmap(2)"),
	[FL_SC_MUNMAP] = NOW(B(EINVAL) | B(ENOMEM), 0, "munmap(2)"),
	[FL_SC_MPROTECT] = NOW(B(EINVAL) | B(ENOMEM), B(EACCES), "mprotect(2)"),
	[FL_SC_MADVISE] = NOW(B(EINVAL) | B(ENOMEM) | B(EFAULT) | B(EAGAIN) | B(ASLEEP),
			      B(EACCES) | B(EBADF) | B(EIO) | B(EHWPOISON) | B(EBUSY), "madvise(2)"),
	[FL_SC_MREMAP] = NOW(B(EINVAL) | B(EFAULT) | B(ENOMEM) | B(EAGAIN) | B(EPERM) | B(ASLEEP), 0,
			     "mremap(2); asleep: it brings pages of what is locked"),
	[FL_SC_MLOCK] =
		NOW(B(EINVAL) | B(ENOMEM) | B(EPERM) | B(ASLEEP), 0, "mlock(2); EAGAIN needs a machine without memory"),
	[FL_SC_MUNLOCK] = NOW(B(EINVAL) | B(ENOMEM), 0, "mlock(2)"),
	[FL_SC_MLOCKALL] = NOW(B(EINVAL) | B(ENOMEM) | B(EPERM) | B(ASLEEP), 0, "mlockall(2)"),
	[FL_SC_MUNLOCKALL] = NOW(0, 0, "mlockall(2)"),
	[FL_SC_MINCORE] = NOW(B(EINVAL) | B(ENOMEM) | B(EFAULT) | B(ASLEEP), 0, "mincore(2)"),
	[FL_SC_MSYNC] = NOW(B(EINVAL) | B(ENOMEM) | B(EBUSY), B(EIO), "msync(2)"),
	/* The system call gives the break, and no error. */
	[FL_SC_BRK] = NOW(0, 0, "brk(2), on Linux"),

	[FL_SC_FORK] = NOW(0, 0, "fork(2); its errors need a machine without memory or room for a process"),
	[FL_SC_EXIT] = NOW(0, 0, "exit(2)"),
	[FL_SC_SIGNAL] = NOW(B(GONE) | B(ESRCH), 0, "tgkill(2), kill(2); killed: its own process"),
	[FL_SC_LIMIT] =
		NOW(0, B(EPERM) | B(EOPNOTSUPP),
		    "setrlimit(2); EPERM: above the hard limit, which is not lowered; EOPNOTSUPP: no room for so many "
		    "mappings"),

	[FL_SC_OPEN] = NOW(B(EINVAL) | B(EPERM), 0, "userfaultfd(2)"),
	[FL_SC_API] = NOW(IOCTL, B(EPERM), "ioctl_userfaultfd(2): UFFDIO_API; EPERM: EVENT_FORK"),
	[FL_SC_REGISTER] = NOW(IOCTL | B(EBUSY) | B(ENOMEM), B(EPERM),
			       "ioctl_userfaultfd(2): UFFDIO_REGISTER; ENOMEM: the owner is gone"),
	[FL_SC_UNREGISTER] =
		NOW(IOCTL | B(ENOMEM), 0, "ioctl_userfaultfd(2): UFFDIO_UNREGISTER; ENOMEM: the owner is gone"),
	[FL_SC_WAKE] = NOW(IOCTL, 0, "ioctl_userfaultfd(2): UFFDIO_WAKE"),
	[FL_SC_COPY] = NOW(IOCTL | B(ENOENT) | B(EEXIST) | B(EAGAIN) | B(ESRCH), 0,
			   "ioctl_userfaultfd(2): UFFDIO_COPY; ESRCH: the owner is gone"),
	[FL_SC_ZEROPAGE] = NOW(IOCTL | B(ENOENT) | B(EEXIST) | B(EAGAIN) | B(ESRCH), 0,
			       "ioctl_userfaultfd(2): UFFDIO_ZEROPAGE; ESRCH: the owner is gone"),
	[FL_SC_READ] = NOW(B(EAGAIN) | B(EINVAL) | B(EFAULT) | B(EBADF) | B(ASLEEP) | B(INTERRUPTED), 0,
			   "userfaultfd(2): read"),
	[FL_SC_POLL] = NOW(0, 0, "poll(2): what is wrong shows in revents"),
	[FL_SC_CLOSE] = NOW(B(EBADF), 0, "close(2)"),
	[FL_SC_IOCTL] = NOW(IOCTL | B(ENOENT) | B(EEXIST) | B(EAGAIN) | B(ENOMEM) | B(ESRCH) | B(EBUSY), 0,
			    "ioctl_userfaultfd(2)"),
	/* Of hand-written programs: made of the calls above. */
	[FL_SC_MAP] = {FL_COVER_SETUP, B(FINE), 0, "mmap(2)"},
	[FL_SC_UFFD] = {FL_COVER_SETUP, B(FINE), 0, "userfaultfd(2)"},

	[FL_SC_CONTINUE] = LATER(IOCTL | B(EEXIST) | B(EAGAIN) | B(ESRCH), "ioctl_userfaultfd(2): UFFDIO_CONTINUE"),
	[FL_SC_POISONPAGE] = LATER(IOCTL | B(EEXIST) | B(EAGAIN) | B(ESRCH), "ioctl_userfaultfd(2): UFFDIO_POISON"),
	[FL_SC_WRITEPROTECT] = LATER(IOCTL | B(ENOENT) | B(EAGAIN), "ioctl_userfaultfd(2): UFFDIO_WRITEPROTECT"),
	[FL_SC_MOVE] = LATER(IOCTL | B(ENOENT) | B(EEXIST) | B(EBUSY) | B(EAGAIN) | B(ESRCH),
			     "ioctl_userfaultfd(2): UFFDIO_MOVE"),

	[FL_SC_WAIT] = {FL_COVER_NOT_COMPARED, 0, 0, "a poll that waits"},
	[FL_SC_SET] = {FL_COVER_NOT_COMPARED, 0, 0, "between threads"},
	[FL_SC_GET] = {FL_COVER_NOT_COMPARED, 0, 0, "between threads"},
	[FL_SC_AWAIT] = {FL_COVER_NOT_COMPARED, 0, 0, "between threads"},
	[FL_SC_YIELD] = {FL_COVER_NOT_COMPARED, 0, 0, "between threads"},
	[FL_SC_IF] = {FL_COVER_NOT_COMPARED, 0, 0, "control"},
	[FL_SC_REPEAT] = {FL_COVER_NOT_COMPARED, 0, 0, "control"},
	[FL_SC_RETRY] = {FL_COVER_NOT_COMPARED, 0, 0, "control"},
	[FL_SC_CHECK] = {FL_COVER_NOT_COMPARED, 0, 0, "control"},
};

const char *const fl_cover_missing[] = {
	"shared mappings; files, memfds, shmem and hugetlb, with truncate and punch",
	"huge pages: no `hugepage` and no `collapse` where there is room for one",
	"userfaultfd: modes WP and MINOR; events of fork, remap, remove and unmap; the features that belong to them",
	"memory that fails, and pages that are poisoned",
	NULL,
};
const char *const fl_cover_left_out[] = {
	"madvise hwpoison and soft_offline: they take memory of this machine away for good",
	"mlockall of what there is, without privileges: it counts what the process that executes programs has itself",
	NULL,
};
