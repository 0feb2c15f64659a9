/* SPDX-License-Identifier: MIT */
/*
 * What the engine does not have yet, as far as the kernel's structures list it.
 *
 * No locks: constants.
 */
#include "diff/lower/internal.h"

#define FEATURES                                                                                            \
	(FL_UFFD_FEATURE_PAGEFAULT_FLAG_WP | FL_UFFD_FEATURE_EVENT_FORK | FL_UFFD_FEATURE_EVENT_REMAP |     \
	 FL_UFFD_FEATURE_EVENT_REMOVE | FL_UFFD_FEATURE_MISSING_HUGETLBFS | FL_UFFD_FEATURE_MISSING_SHMEM | \
	 FL_UFFD_FEATURE_EVENT_UNMAP | FL_UFFD_FEATURE_MINOR_HUGETLBFS | FL_UFFD_FEATURE_MINOR_SHMEM |      \
	 FL_UFFD_FEATURE_WP_HUGETLBFS_SHMEM | FL_UFFD_FEATURE_WP_UNPOPULATED | FL_UFFD_FEATURE_POISON |     \
	 FL_UFFD_FEATURE_WP_ASYNC | FL_UFFD_FEATURE_MOVE)
#define IOCTLS (1u << 5 | 1u << 6 | 1u << 7 | 1u << 8) /* move, writeprotect, continue, poison */

const struct fl_lack fl_lacks[] = {
	{"features", FL_UFFDIO_API, 8, FEATURES,
	 "UFFDIO_API lists what a kernel has; the engine has missing pages, sigbus, thread_id and exact_address"},
	{"ioctls", FL_UFFDIO_REGISTER, 24, IOCTLS,
	 "UFFDIO_REGISTER lists the calls on the range; the engine has wake, copy and zeropage"},
};
const size_t fl_lacks_count = sizeof(fl_lacks) / sizeof(fl_lacks[0]);
