/* SPDX-License-Identifier: MIT */
/*
 * The one fault entry. A machine's decoder fills a struct fl_fault; fl_handle_fault does everything else and says what
 * to do.
 */
#ifndef FAULTLINE_FAULT_H
#define FAULTLINE_FAULT_H

#include "faultline/types.h"

FL_BEGIN_C

/* What a machine does with a fault: a final answer, never "retry", never a bitmask, and no lock is left held. */
enum fl_outcome {
	FL_FAULT_DONE,         /* repeat the access */
	FL_FAULT_BAD_AREA,     /* SIGSEGV, si_code from the arch (MAPERR) */
	FL_FAULT_ACCESS_ERROR, /* SIGSEGV, ACCERR */
	FL_FAULT_KERNEL_FIXUP, /* kernel mode: any error; the copy ends here */
	FL_FAULT_BUS_ERROR,    /* SIGBUS BUS_ADRERR */
	FL_FAULT_POISONED,     /* SIGBUS; size in lsb */
	FL_FAULT_TAG_MISMATCH, /* SIGSEGV, the arch's tag code */
	FL_FAULT_SIGNAL,       /* take the signal, then repeat the access */
	FL_FAULT_OOM,          /* the OOM killer's moment */
};

#define FL_FAULTF_USER 1u    /* user mode; otherwise a copy on the user's behalf */
#define FL_FAULTF_PRESENT 2u /* the machine found an entry that refused the access */
/*
 * Nobody asked yet: resolve the page if that needs no wait, no copy and no userfaultfd, else leave
 * it (FL_FAULT_KERNEL_FIXUP). Never an error for the guest.
 */
#define FL_FAULTF_AHEAD 4u
#define FL_FAULTF_SP 8u /* sp is valid */
/*
 * Kernel mode: the page shall be there, and nobody looks at what it holds (mlock, MAP_POPULATE). A page that has come
 * meanwhile is no fault of this task. When userfaultfd let it wait, the fault is done with the wait (kind: none), and
 * whether the page shall still be there is the caller's to ask.
 */
#define FL_FAULTF_POPULATE 16u
#define FL_FAULTF_RETRY 32u  /* and it has waited before: charged as a retry */
#define FL_FAULTF_NOWAIT 64u /* and it does not wait for userfaultfd: there it ends */
/* Kernel mode: only a fatal signal ends the wait (Linux's default there). User mode waits end by any signal. */

/* What resolved a fault, for reports. */
enum fl_fault_kind {
	FL_KIND_NONE,
	FL_KIND_SPURIOUS,  /* the entry already allowed it */
	FL_KIND_ZERO,      /* read: the zero frame */
	FL_KIND_ANON,      /* a fresh zeroed frame */
	FL_KIND_COW_COPY,  /* the frame was shared: copied */
	FL_KIND_COW_REUSE, /* the last owner reused it */
	FL_KIND_MISSING,   /* userfaultfd resolved it */
	FL_KIND_STACK,     /* a stack grew, then as ANON */
};

/* In: what happened. Out: what was done. Lives on the caller's stack. */
struct fl_fault {
	fl_va addr;      /* in: exact address */
	uint8_t access;  /* in: one enum fl_access */
	uint8_t flags;   /* in: FL_FAULTF_* */
	uint8_t tag;     /* in: tag of the pointer, where the arch has tags */
	uint8_t nesting; /* in: how deep in nested exceptions; 0 */
	fl_va sp;        /* in: user stack pointer, with FL_FAULTF_SP */
	uint8_t kind;    /* out: enum fl_fault_kind */
	uint8_t si_code; /* out: for BAD_AREA, ACCESS_ERROR, BUS_ERROR, POISONED */
	uint8_t lsb;     /* out: for POISONED: log2 of what is lost */
	uint8_t waits;   /* out: how often userfaultfd put the task to sleep */
	uint8_t retries; /* out: how often the world had changed */
};

/*
 * Resolve a fault of task in its address space. Locks: none held, none left. May sleep unless page faults are disabled.
 * A task with no address space, or with page faults disabled, gets KERNEL_FIXUP (kernel mode) or BAD_AREA (user mode).
 * Source: the rules of Linux's per-architecture handlers, as one function with final results (seed "generic fault
 * handler").
 */
FL_MUST_CHECK enum fl_outcome fl_handle_fault(struct fl_task *task, struct fl_fault *fault);

const char *fl_outcome_name(enum fl_outcome o);
const char *fl_fault_kind_name(enum fl_fault_kind k);

FL_END_C

#endif
