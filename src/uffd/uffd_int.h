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
 * The last close has come. A VMA may keep such a context (there was no memory to replace the VMA); then it is as if it
 * had none: its faults are ordinary ones, and anybody may register it.
 */
bool fl_uffd_released(const struct fl_uffd *u);

/* Let every waiter whose message's address lies in [start, end) look again. A range lock may be held. */
void fl_uffd_wake(struct fl_uffd *u, fl_va start, fl_va end);

/*
 * The fault is userfaultfd's: nothing is mapped at f->addr, the VMA has MISSING and a context that is not released.
 * Called with nothing held, in no rcu section; the caller keeps a reference on u meanwhile. Queues a message, asks
 * still_missing (which may take what locks it likes), sleeps; counts the sleep in f->waits. Any signal ends the sleep
 * of a fault in user mode, a fatal one in kernel mode.
 * Returns FL_FAULT_DONE (look again, from the beginning), FL_FAULT_SIGNAL, FL_FAULT_BUS_ERROR (user mode and the SIGBUS
 * feature; f->si_code is set), or FL_FAULT_KERNEL_FIXUP (kernel mode, and SIGBUS, USER_MODE_ONLY or page faults
 * disabled).
 */
FL_MUST_CHECK enum fl_outcome fl_uffd_fault(struct fl_uffd *u, struct fl_task *t, struct fl_fault *f,
					    bool (*still_missing)(struct fl_task *t, struct fl_fault *f));

#endif
