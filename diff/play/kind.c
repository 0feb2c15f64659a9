/* SPDX-License-Identifier: MIT */
/*
 * The names of the kinds of memory that statements are about.
 *
 * No locks: constants.
 */
#include "diff/diff.h"

static const char *const names[FL_DIFF_KINDS] = {
	[FL_DIFF_KIND_NOTHING] = "nothing",   [FL_DIFF_KIND_HOLE] = "hole",           [FL_DIFF_KIND_ANON] = "anon",
	[FL_DIFF_KIND_READONLY] = "readonly", [FL_DIFF_KIND_PROT_NONE] = "prot_none", [FL_DIFF_KIND_LOCKED] = "locked",
	[FL_DIFF_KIND_STACK] = "stack",       [FL_DIFF_KIND_HEAP] = "heap",           [FL_DIFF_KIND_WIPE] = "wipe",
	[FL_DIFF_KIND_UFFD] = "uffd",         [FL_DIFF_KIND_MIXED] = "mixed",         [FL_DIFF_KIND_GAPS] = "gaps",
	[FL_DIFF_KIND_OUTSIDE] = "outside",   [FL_DIFF_KIND_SHMEM] = "shmem",         [FL_DIFF_KIND_FILE] = "file",
	[FL_DIFF_KIND_HUGETLB] = "hugetlb",
};

const char *fl_diff_kind_name(enum fl_diff_kind kind)
{
	return names[kind];
}
