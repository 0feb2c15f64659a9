/* SPDX-License-Identifier: MIT */
/*
 * userfaultfd inside the engine: what the fault path and the memory calls need of it.
 */
#ifndef FL_UFFD_UFFD_INT_H
#define FL_UFFD_UFFD_INT_H

#include "faultline/fault.h"
#include "faultline/uffd.h"
#include "vma/vma.h"

/*
 * The fault at addr is userfaultfd's (nothing mapped, the VMA has MISSING). Called in no rcu section with nothing held, with a reference on u taken by
 * the caller, who drops it. Enqueues a message, re-checks through still_missing (which takes what locks it needs), sleeps. Returns DONE
 * (look again), SIGNAL, BUS_ERROR (SIGBUS feature), or KERNEL_FIXUP (kernel mode and USER_MODE_ONLY or SIGBUS or faults disabled).
 */
FL_MUST_CHECK enum fl_outcome fl_uffd_fault(struct fl_uffd *u, struct fl_task *t, struct fl_fault *f,
					    bool (*still_missing)(struct fl_task *t, struct fl_fault *f));

#endif
