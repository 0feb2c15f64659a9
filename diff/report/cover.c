/* SPDX-License-Identifier: MIT */
/*
 * Coverage: which operation, about which kind of memory, has ended how on the running kernel.
 *
 * No locks: the counters are atomics, which several processes add to; whoever prints them sees some state of each.
 */
#include <stdatomic.h>

#include "diff/report/cover_internal.h"
#include "faultline/errno.h"
#include "faultline/uapi.h"

#define ENOTTY_NUMBER 25
#define SI_KERNEL_NUMBER 0x80
#define SIGBUS_NUMBER 7

static const struct {
	int64_t number; /* of an error; 0: it is none */
	const char *name;
} codes[FL_COVER_CODES_USED] = {
	[FL_COVER_FINE] = {0, "0"},
	[FL_COVER_EPERM] = {FL_EPERM, "EPERM"},
	[FL_COVER_ENOENT] = {FL_ENOENT, "ENOENT"},
	[FL_COVER_ESRCH] = {FL_ESRCH, "ESRCH"},
	[FL_COVER_EINTR] = {FL_EINTR, "EINTR"},
	[FL_COVER_EIO] = {FL_EIO, "EIO"},
	[FL_COVER_EBADF] = {FL_EBADF, "EBADF"},
	[FL_COVER_EAGAIN] = {FL_EAGAIN, "EAGAIN"},
	[FL_COVER_ENOMEM] = {FL_ENOMEM, "ENOMEM"},
	[FL_COVER_EACCES] = {FL_EACCES, "EACCES"},
	[FL_COVER_EFAULT] = {FL_EFAULT, "EFAULT"},
	[FL_COVER_EBUSY] = {FL_EBUSY, "EBUSY"},
	[FL_COVER_EEXIST] = {FL_EEXIST, "EEXIST"},
	[FL_COVER_ENODEV] = {FL_ENODEV, "ENODEV"},
	[FL_COVER_EINVAL] = {FL_EINVAL, "EINVAL"},
	[FL_COVER_ENOTTY] = {ENOTTY_NUMBER, "ENOTTY"},
	[FL_COVER_ENOSYS] = {FL_ENOSYS, "ENOSYS"},
	[FL_COVER_EOVERFLOW] = {FL_EOVERFLOW, "EOVERFLOW"},
	[FL_COVER_EOPNOTSUPP] = {FL_EOPNOTSUPP, "EOPNOTSUPP"},
	[FL_COVER_EHWPOISON] = {FL_EHWPOISON, "EHWPOISON"},
	[FL_COVER_OTHER] = {0, "other errors"},
	[FL_COVER_MAPERR] = {0, "MAPERR"},
	[FL_COVER_ACCERR] = {0, "ACCERR"},
	[FL_COVER_KERNEL] = {0, "SI_KERNEL"},
	[FL_COVER_BUS] = {0, "BUS"},
	[FL_COVER_POISON] = {0, "POISON"},
	[FL_COVER_INTERRUPTED] = {0, "INTERRUPTED"},
	[FL_COVER_ASLEEP] = {0, "asleep"},
	[FL_COVER_GONE] = {0, "killed"},
};

const char *fl_cover_code_name(enum fl_cover_code code)
{
	return codes[code].name;
}

static enum fl_cover_code signal_code(const struct fl_answer *a)
{
	if (a->signo == SIGBUS_NUMBER)
		return a->si_code == FL_BUS_MCEERR_AR ? FL_COVER_POISON : FL_COVER_BUS;
	if (a->si_code == SI_KERNEL_NUMBER)
		return FL_COVER_KERNEL;
	return a->si_code == FL_SEGV_ACCERR ? FL_COVER_ACCERR : FL_COVER_MAPERR;
}

enum fl_cover_code fl_cover_code_of(enum fl_sc_op op, const struct fl_answer *a)
{
	if (a->state == FL_ANSWER_ASLEEP)
		return FL_COVER_ASLEEP;
	if (a->state == FL_ANSWER_GONE)
		return op == FL_SC_EXIT ? FL_COVER_FINE : FL_COVER_GONE;
	if (a->interrupted || (op == FL_SC_READ && a->ret == -FL_EINTR))
		return FL_COVER_INTERRUPTED;
	if (a->signo)
		return signal_code(a);
	/* What memory holds may look like an error. */
	if (op == FL_SC_LOAD || op == FL_SC_ADD || a->ret >= 0 || a->ret <= -4096)
		return FL_COVER_FINE;
	for (unsigned i = 0; i < FL_COVER_CODES_USED; i++) {
		if (codes[i].number && codes[i].number == -a->ret)
			return (enum fl_cover_code)i;
	}
	return FL_COVER_OTHER;
}

void fl_cover_note(struct fl_cover *c, enum fl_sc_op op, enum fl_diff_kind kind, const struct fl_answer *a)
{
	if (a->state != FL_ANSWER_NONE)
		atomic_fetch_add_explicit(&c->seen[op][kind][fl_cover_code_of(op, a)], 1, memory_order_relaxed);
}

size_t fl_cover_cells(const struct fl_cover *c)
{
	size_t n = 0;

	for (unsigned op = 0; op < FL_SC_OPS; op++) {
		for (unsigned kind = 0; kind < FL_DIFF_KINDS; kind++) {
			for (unsigned code = 0; code < FL_COVER_CODES_USED; code++)
				n += atomic_load_explicit(&c->seen[op][kind][code], memory_order_relaxed) != 0;
		}
	}
	return n;
}
