/* SPDX-License-Identifier: MIT */
/*
 * Moving a mapping with its pages: mremap(2)'s second half. src/mm/move.c
 */
#ifndef FL_MM_MOVE_H
#define FL_MM_MOVE_H

#include "mm/mm_int.h"

/* One mremap call, on its stack. */
struct fl_remap {
	struct fl_task *task;
	struct fl_mm *mm;
	fl_va from;
	uint64_t old_len, new_len; /* whole pages */
	int flags;                 /* FL_MREMAP_* */
	fl_va to;                  /* the target, once placed */
	bool placed;
	bool populate;           /* what is new at the end is locked: fault it in */
	fl_va at;                /* where the mapping is in the end */
	struct fl_change change; /* its lock covers source and target */
};

/*
 * Move [from, from + len), part of v, to where nothing is mapped, with len grown to new_len; or, with DONTUNMAP, its
 * pages only. 0, or -FL_ENOMEM with nothing changed.
 */
FL_MUST_CHECK int fl_move(struct fl_remap *r, struct fl_vma *v, fl_va from, uint64_t len, fl_va to, uint64_t new_len);

#endif
