/* SPDX-License-Identifier: MIT */
/*
 * Advice that is about pages, not mappings. Guard markers, pages that are mapped and may not be touched: src/mm/guard.c.
 */
#ifndef FL_MM_ADVISE_H
#define FL_MM_ADVISE_H

#include "mm/mm_int.h"

/*
 * MADV_GUARD_INSTALL: what is in [start, end) goes, guard markers come. With a shared range lock. 0; -FL_ENOMEM, or
 * -FL_EINTR (a fatal signal), with a prefix done.
 */
FL_MUST_CHECK int fl_guard_install(struct fl_task *t, fl_va start, fl_va end);
/* MADV_GUARD_REMOVE: guard markers go, everything else stays. With a shared range lock. */
void fl_guard_remove(struct fl_mm *mm, fl_va start, fl_va end);

/* MADV_FREE and MADV_PAGEOUT: src/mm/lazy.c. With a shared range lock. */
void fl_lazy_free(struct fl_task *t, fl_va start, fl_va end);
void fl_lazy_drop(struct fl_task *t, fl_va start, fl_va end);

#endif
