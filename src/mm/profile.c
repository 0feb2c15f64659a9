/* SPDX-License-Identifier: MIT */
/*
 * Releases of Linux, the newest first. What differs is in manual pages and release notes (madvise(2), mremap(2),
 * userfaultfd(2)); what nobody has written down is as in 6.18, the only one that was asked. Constants: no lock.
 */
#include "mm/profile.h"

#define UFFD_4_14 (FL_UFFD_FEATURE_SIGBUS | FL_UFFD_FEATURE_THREAD_ID)
#define UFFD_5_18 (UFFD_4_14 | FL_UFFD_FEATURE_EXACT_ADDRESS)

static const struct fl_profile profiles[] = {
	{6, 18, true, true, true, FL_ALIGN_WHOLE, FL_MADV_COLLAPSE, true, true, UFFD_5_18},
	{6, 17, false, true, true, FL_ALIGN_WHOLE, FL_MADV_COLLAPSE, true, false, UFFD_5_18},
	{6, 13, false, false, true, FL_ALIGN_WHOLE, FL_MADV_COLLAPSE, true, false, UFFD_5_18},
	{6, 7, false, false, true, FL_ALIGN_LARGE, FL_MADV_COLLAPSE, false, false, UFFD_5_18},
	{6, 1, false, false, true, FL_ALIGN_NONE, FL_MADV_COLLAPSE, false, false, UFFD_5_18},
	{5, 18, false, false, true, FL_ALIGN_NONE, FL_MADV_DONTNEED_LOCKED, false, false, UFFD_5_18},
	{5, 14, false, false, true, FL_ALIGN_NONE, FL_MADV_POPULATE_WRITE, false, false, UFFD_4_14},
	{5, 11, false, false, true, FL_ALIGN_NONE, FL_MADV_PAGEOUT, false, false, UFFD_4_14},
	{5, 4, false, false, false, FL_ALIGN_NONE, FL_MADV_PAGEOUT, false, false, UFFD_4_14},
};

const struct fl_profile *fl_profile_find(unsigned major, unsigned minor)
{
	unsigned i;

	for (i = 0; i < FL_ARRAY_LEN(profiles); i++) {
		if (major > profiles[i].major || (major == profiles[i].major && minor >= profiles[i].minor))
			return &profiles[i];
	}
	return NULL;
}

bool fl_profile_tested(const struct fl_profile *p, unsigned major, unsigned minor)
{
	return p && p->tested && p->major == major && p->minor == minor;
}
