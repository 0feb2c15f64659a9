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
 * Install a prepared entry at va if nothing is there (userfaultfd fills). want: the VMA must be this one's uffd context when not NULL.
 * pfn: a frame with one reference, taken over on success; FL_PFN_NONE: the zero frame.
 * Returns 0; -FL_EEXIST: something is mapped there; -FL_EAGAIN: the table vanished or the VMA changed: look again; -FL_ENOENT: no VMA, or
 * not registered; -FL_ENOMEM: no table.
 */
FL_MUST_CHECK int fl_fault_install(struct fl_task *t, struct fl_mm *mm, fl_va va, fl_pfn pfn);

#endif
