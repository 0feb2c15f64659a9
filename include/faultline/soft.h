/* SPDX-License-Identifier: MIT */
/*
 * A machine in software: an MMU with one TLB for each virtual CPU, for emulators and tests.
 *
 *   soft machine   the machine side of one address space; it comes and goes with the address space
 *   vCPU           one CPU of it: a task, and a TLB of what that task has touched
 *   running        a vCPU is running between two of its safe points. A shoot-down waits until each vCPU has passed one;
 * meanwhile the vCPU may use what its TLB says
 *
 * An access on its own runs just for its own length. An emulator may run for longer, over a block of guest code:
 *
 *   fl_vcpu_enter(v);
 *   while (...) {
 *           ...accesses, which are cheaper now...
 *           fl_vcpu_safe_point(v);
 *   }
 *   fl_vcpu_leave(v);
 *
 * Between enter and leave the thread calls nothing else of the engine and does not sleep: a shoot-down would wait for
 * it, perhaps with a lock that it wants. (An access that faults leaves for as long as the fault lasts, and enters
 * again.)
 *
 * Memory order: accesses of 1, 2, 4 and 8 bytes that are aligned are single, relaxed ones of the host; others may be
 * seen in parts. fl_vcpu_add32 and fl_vcpu_add64 acquire and release. Values are in the host's byte order.
 */
#ifndef FAULTLINE_SOFT_H
#define FAULTLINE_SOFT_H

#include "faultline/fault.h"
#include "faultline/mm.h"
#include "faultline/task.h"

FL_BEGIN_C

#define FL_SOFT_TLB 64         /* entries of a TLB; a power of two */
#define FL_SOFT_ACCESS_MAX 16u /* bytes */

struct fl_soft;

struct fl_tlb_entry {
	fl_va page;
	char *data;      /* of its first byte */
	uint32_t rights; /* enum fl_access; 0: the entry is empty */
};

/* Lives where the embedder puts it; he reads fault and writes sp. (i) set at init; (o) the vCPU's thread only; (r) run;
 * (m) the machine's mutex */
struct fl_vcpu {
	struct fl_task *task;        /* (i) */
	struct fl_mm *mm;            /* (i) */
	struct fl_soft *soft;        /* (i) */
	struct fl_vcpu *prev, *next; /* (m) */
	struct fl_fault fault;       /* (o) the last fault it took: address, si_code, kind */
	fl_va sp;        /* (o) the guest's stack pointer, for architectures with a rule on it; 0: not known */
	uint64_t faults; /* (o) how many it took */
	bool entered;    /* (o) */
	uint32_t wanted; /* (a) a shoot-down waits for run */
	FL_ALIGNED(FL_CACHELINE) struct fl_mutex run; /* held while running */
	struct fl_tlb_entry tlb[FL_SOFT_TLB];         /* (r) */
};

/*
 * As fl_mm_create, on a soft machine. config's ops may be NULL; of them only foreign_read and foreign_write are looked at, and are
 * called with config's machine, also for what fork makes of the address space.
 */
int fl_soft_mm_create(const struct fl_mm_config *c, struct fl_mm **out);

/*
 * A vCPU for task, in the address space that the task is in now, which must be on a soft machine. Exit it before the
 * task leaves that address space.
 */
void fl_vcpu_init(struct fl_vcpu *v, struct fl_task *task);
void fl_vcpu_exit(struct fl_vcpu *v);

void fl_vcpu_enter(struct fl_vcpu *v);
void fl_vcpu_leave(struct fl_vcpu *v);
/* Between enter and leave: let shoot-downs that wait for this vCPU go on. */
void fl_vcpu_safe_point(struct fl_vcpu *v);

/*
 * Access n bytes (1 to FL_SOFT_ACCESS_MAX) at any address, in user mode. Faults are handled on the way and may sleep.
 * Returns FL_FAULT_DONE when it is done, else why it cannot be, and then nothing has been stored; v->fault has the
 * rest. After FL_FAULT_SIGNAL the guest takes the signal and repeats the access.
 */
FL_MUST_CHECK enum fl_outcome fl_vcpu_load(struct fl_vcpu *v, fl_va va, void *value, size_t n);
FL_MUST_CHECK enum fl_outcome fl_vcpu_store(struct fl_vcpu *v, fl_va va, const void *value, size_t n);
FL_MUST_CHECK enum fl_outcome fl_vcpu_fetch(struct fl_vcpu *v, fl_va va, void *value, size_t n);
/* Add n to the word at va, atomically, modulo its size; *old: what was there. An address that is not aligned:
 * FL_FAULT_BUS_ERROR, si_code BUS_ADRALN. */
FL_MUST_CHECK enum fl_outcome fl_vcpu_add32(struct fl_vcpu *v, fl_va va, uint32_t n, uint32_t *old);
FL_MUST_CHECK enum fl_outcome fl_vcpu_add64(struct fl_vcpu *v, fl_va va, uint64_t n, uint64_t *old);

FL_END_C

#endif
