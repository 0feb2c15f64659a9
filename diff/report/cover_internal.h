/* SPDX-License-Identifier: MIT */
/*
 * What the files of coverage share: the codes, and which of them an operation can give.
 *
 * No locks: constants.
 */
#ifndef FL_DIFF_REPORT_COVER_INTERNAL_H
#define FL_DIFF_REPORT_COVER_INTERNAL_H

#include "diff/play.h"

/* How an operation can end, as a column of struct fl_cover. */
enum fl_cover_code {
	FL_COVER_FINE,
	FL_COVER_EPERM,
	FL_COVER_ENOENT,
	FL_COVER_ESRCH,
	FL_COVER_EINTR,
	FL_COVER_EIO,
	FL_COVER_EBADF,
	FL_COVER_EAGAIN,
	FL_COVER_ENOMEM,
	FL_COVER_EACCES,
	FL_COVER_EFAULT,
	FL_COVER_EBUSY,
	FL_COVER_EEXIST,
	FL_COVER_ENODEV,
	FL_COVER_EINVAL,
	FL_COVER_ENOTTY,
	FL_COVER_ENOSYS,
	FL_COVER_EOVERFLOW,
	FL_COVER_EOPNOTSUPP,
	FL_COVER_EHWPOISON,
	FL_COVER_OTHER, /* any other error */
	FL_COVER_MAPERR,
	FL_COVER_ACCERR,
	FL_COVER_KERNEL, /* SIGSEGV, SI_KERNEL: no canonical address */
	FL_COVER_BUS,
	FL_COVER_POISON,
	FL_COVER_INTERRUPTED,
	FL_COVER_ASLEEP,
	FL_COVER_GONE, /* killed meanwhile */
	FL_COVER_CODES_USED
};
_Static_assert(FL_COVER_CODES_USED <= FL_COVER_CODES, "each code has its column");

/* "EINVAL"; of FINE "0". */
const char *fl_cover_code_name(enum fl_cover_code code);
enum fl_cover_code fl_cover_code_of(enum fl_sc_op op, const struct fl_answer *a);

/* One row for each operation (cover_codes.c). */
enum fl_cover_has {
	FL_COVER_COMPARED,    /* the engine has it */
	FL_COVER_SETUP,       /* of hand-written programs alone; the same calls as of others */
	FL_COVER_NOT_YET,     /* it does not */
	FL_COVER_NOT_COMPARED /* it is no call: control, and what belongs to the explorer */
};
struct fl_cover_row {
	enum fl_cover_has has;
	uint64_t can,
		later; /* bits 1 << code: what it can give; what only memory or modes can give that are not there yet */
	const char *source; /* where that is written */
};
extern const struct fl_cover_row fl_cover_rows[FL_SC_OPS];
/* Kinds of memory from this one on are not there yet. */
#define FL_COVER_KINDS FL_DIFF_KIND_SHMEM
/* What else the engine does not have yet, and what is left out on purpose: a line each; NULL ends them. */
extern const char *const fl_cover_missing[], *const fl_cover_left_out[];

#endif
