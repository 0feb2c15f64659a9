/* SPDX-License-Identifier: MIT */
/*
 * What is known to differ between releases of Linux, as far as this engine serves it. Constants: no lock.
 */
#ifndef FL_MM_PROFILE_H
#define FL_MM_PROFILE_H

#include "faultline/mm.h"

/* Which anonymous mappings, with no address given, are put where huge pages could be. */
enum fl_align {
	FL_ALIGN_NONE,
	FL_ALIGN_LARGE, /* those of a huge page and more */
	FL_ALIGN_WHOLE, /* those of whole huge pages */
};

struct fl_profile {
	uint16_t major, minor; /* the first release that is like this */
	bool tested;           /* held against that kernel; otherwise only what is written about it */
	bool moves_several;    /* mremap moves several mappings at once, if their sizes stay */
	bool user_mode_only;   /* userfaultfd(2) knows that flag */
	enum fl_align align;
	int last_advice;  /* the highest number of madvise(2) below 100 */
	bool guards;      /* MADV_GUARD_INSTALL and _REMOVE */
	bool guards_mark; /* guards leave a mark on their mapping ("gu" in smaps), for which fork copies its tables */
	uint32_t uffd_features; /* of userfaultfd, among those that are served here */
};

/* Does madvise(2) know this number? Those that the engine never serves are not asked about. */
static inline bool fl_profile_knows_advice(const struct fl_profile *p, int advice)
{
	if (advice == FL_MADV_GUARD_INSTALL || advice == FL_MADV_GUARD_REMOVE)
		return p->guards;
	return advice <= p->last_advice;
}

#endif
