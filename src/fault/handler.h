/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the fault path share. One context a fault, on the stack of whoever took it; no lock.
 *
 *   step    what one look at the address space came to. A look never sleeps: what must wait is named by its step, and
 *           done by fl_handle_fault with nothing held
 *   spare   a frame taken for this fault and not installed yet. It is kept while the fault looks again, so that a retry
 *           neither allocates nor clears twice
 */
#ifndef FL_FAULT_HANDLER_H
#define FL_FAULT_HANDLER_H

#include "fault/fault_int.h"
#include "frame/frame_int.h"
#include "mm/mm_int.h"

enum fl_step {
	FL_STEP_DONE,
	FL_STEP_AGAIN,    /* the table or the entry has changed: look again */
	FL_STEP_STALE,    /* a writer is about to replace the VMA: look again, soon with the range lock */
	FL_STEP_UFFD,     /* ctx.uffd has been referenced: ask it, then look again */
	FL_STEP_GROW,     /* a stack may grow to here: grow it, then look again */
	FL_STEP_NO_VMA,   /* nothing is mapped: look again with the range lock, and then believe it */
	FL_STEP_BAD_AREA, /* from here on: final refusals */
	FL_STEP_ACCESS,
	FL_STEP_POISONED,
	FL_STEP_OOM,
	FL_STEP_LEAVE, /* more than a fault ahead may do */
};

struct fl_fault_ctx {
	struct fl_fault f; /* a copy: what fl_uffd_fault sees, and so finds this context by */
	struct fl_task *task;
	struct fl_mm *mm;
	struct fl_vma *vma;    /* valid within one look */
	struct fl_uffd *uffd;  /* referenced, from FL_STEP_UFFD on */
	fl_va page;            /* f.addr, rounded down */
	fl_pfn spare;          /* FL_PFN_NONE: none */
	bool spare_clear;      /* it holds zeros */
	bool resolved_by_uffd; /* at least once */
	bool tried;            /* a wait has ended, and Linux would call the next try a retry */
	bool grown;            /* a stack has grown for this fault */
	bool locked;           /* range is held, shared */
	struct fl_range_req range;
};

/* A handler: called in an rcu section, with the entry as it was peeked at. */
enum fl_step fl_fault_anon(struct fl_fault_ctx *c);
enum fl_step fl_fault_present(struct fl_fault_ctx *c, fl_pte seen);

/*
 * Lock the leaf table of c->page and check that the VMA is in force and the entry as it was seen (YOUNG and DIRTY
 * aside, which a machine may set at any moment). Makes the table where there is none. Returns the locked table and *i;
 * or NULL, and *why says which step to take. In an rcu section.
 */
FL_MUST_CHECK struct fl_table *fl_fault_lock(struct fl_fault_ctx *c, fl_pte seen, unsigned *i, enum fl_step *why);

/* See to it that c->spare is a frame, of zeros if clear says so. False: there is none. */
FL_MUST_CHECK bool fl_fault_spare(struct fl_fault_ctx *c, bool clear);

/* The rights that v's flags give an entry, but never the one to write. */
static inline fl_pte fl_fault_rights(const struct fl_mm *mm, const struct fl_vma *v)
{
	return fl_pte_prot(mm->arch, v->flags) & ~FL_PTE_WRITE;
}

/*
 * The entry for a frame that only mm maps, at page in v; makes it findable for the reverse map. The caller's frame has
 * one reference, which the entry takes over.
 */
fl_pte fl_fault_own(struct fl_mm *mm, struct fl_vma *v, fl_va page, fl_pfn pfn, fl_pte flags);

/* What a machine needs of an entry for an access. */
static inline fl_pte fl_access_right(enum fl_access access)
{
	return access == FL_WRITE ? FL_PTE_WRITE : access == FL_EXEC ? FL_PTE_EXEC : FL_PTE_READ;
}

#endif
