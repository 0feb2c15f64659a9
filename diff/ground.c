/* SPDX-License-Identifier: MIT */
/*
 * faultline diff --check-ground: what this host allows.
 *
 * No locks: one thread.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "diff/command.h"

static void print(const struct fl_ground *g)
{
	printf("kernel       Linux %s; the engine is Linux %s\n", g->release, FL_DIFF_KERNEL);
	printf("privilege    %s\n",
	       g->root ? "root: what needs capabilities is compared as well"
		       : "not root: limits apply, and what needs capabilities is compared only as it is refused");
	printf("userfaultfd  %s\n", g->root                ? "allowed"
				    : g->unprivileged_uffd ? "allowed: vm.unprivileged_userfaultfd is 1"
							   : "for faults of user mode alone (UFFD_USER_MODE_ONLY): "
							     "vm.unprivileged_userfaultfd is 0");
	printf("addresses    chosen from 0x%" PRIx64 " down; from 0x%" PRIx64 " on they may be asked for\n", g->mmap_hi,
	       g->min_addr);
	printf("mappings     at most %" PRIu64 " (vm.max_map_count)%s\n", g->max_maps,
	       g->fill_lo == g->fill_hi ? ": too many to run out of here" : "");
}

int fl_diff_check_ground(void)
{
	char *error;
	struct fl_pair *pair = fl_pair_new(&error);

	if (!pair) {
		fl_diff_say("%s", error ? error : "out of memory");
		free(error);
		return FL_DIFF_EXIT_CANNOT;
	}
	print(&pair->ground);
	fl_diff_warn_of_release(pair->ground.release);
	fl_pair_free(pair);
	return 0;
}
