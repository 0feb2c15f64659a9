/* SPDX-License-Identifier: MIT */
/*
 * What other rooms may ask of the fault path.
 */
#ifndef FL_FAULT_FAULT_INT_H
#define FL_FAULT_FAULT_INT_H

#include "faultline/fault.h"
#include "table/table.h"
#include "vma/vma.h"

/*
 * Install a prepared entry at va if nothing is there (userfaultfd fills); a frame takes the place of a marker too. va:
 * page-aligned. want: the VMA must be registered with this context, which is checked under the table lock, so that a
 * fill cannot slip into a mapping that left it meanwhile. NULL: with any context (COPY and ZEROPAGE: Linux does not ask
 * whose the mapping is; docs/userfaultfd.md). A released context (fl_uffd_released) is none. pfn: a frame with one
 * reference, taken over on success only; FL_PFN_NONE: the zero frame. The VMA's protection decides the entry's rights.
 * Returns 0; -FL_EEXIST: something is there; -FL_EAGAIN: the table vanished or the VMA is changing: look again;
 * -FL_ENOENT: no VMA, or not registered (so); -FL_ENOMEM: no table. Locks: none held; never sleeps.
 */
FL_MUST_CHECK int fl_fault_install(struct fl_task *t, struct fl_mm *mm, struct fl_uffd *want, fl_va va, fl_pfn pfn);

#endif
