/* SPDX-License-Identifier: MIT */
/*
 * A fault of the guest: from the host's SIGSEGV to fl_handle_fault, and what its outcome makes of the thread.
 *
 * A fault in no engine VMA is the guest's own and is passed on as it came. A write next to pages that are there already is served with
 * pages ahead, each through fl_handle_fault, so that a program that walks new memory stops once for many pages. Never
 * in userfaultfd ranges, never with --exact.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <stdio.h>

#include "linux/host.h"

#define AHEAD_MAX 32u

enum fl_outcome fl_fault_resolve(struct guest_thread *th, struct run_fault *rf)
{
	struct run_observer *obs = th->g->obs;
	enum fl_outcome outcome;

	rf->start_ns = obs->fault_begin || obs->fault_end ? fl_now_ns() : 0;
	if (obs->fault_begin)
		obs->fault_begin(obs->arg, th, rf);
	fl_wait_begin(th, rf->kernel);
	outcome = fl_handle_fault(&th->task, &rf->f);
	fl_wait_end(th);
	if (obs->fault_end)
		obs->fault_end(obs->arg, th, rf, outcome, fl_now_ns() - rf->start_ns);
	th->faults++;
	return outcome;
}

/* Is a fault here the engine's business? */
static bool is_ours(struct guest_mm *gm, fl_va addr, struct fl_vma_info *vma)
{
	if (!fl_mm_next_vma(gm->mm, addr, vma) || vma->vm_flags & FL_VM_FOREIGN)
		return false;
	return vma->start <= addr || vma->vm_flags & FL_VM_GROWSDOWN;
}

/* How many pages in a row next to this one, in direction step, are there already; no more than of use. */
static unsigned neighbours(struct guest_mm *gm, fl_va page, int64_t step, const struct fl_vma_info *vma)
{
	struct fl_translation t;
	unsigned n = 0;

	for (fl_va va = page + (fl_va)step; n < AHEAD_MAX / 2 && va >= vma->start && va < vma->end; va += (fl_va)step) {
		if (!fl_mm_walk(gm->mm, va, FL_READ, &t))
			break;
		n++;
	}
	return n;
}

/*
 * The pages that are worth serving with this one, [*start, *end): as many again as twice those that the program has touched in a row, on
 * the far side of them. So both a buffer that fills upwards and a stack that grows downwards are followed, several at a
 * time, and memory that is touched at random is served page by page.
 */
static void window(struct guest_thread *th, fl_va page, const struct fl_vma_info *vma, fl_va *start, fl_va *end)
{
	unsigned n;

	*start = page;
	*end = page + FL_PAGE;
	/* Beside a userfaultfd no page is put where the program has not been: it knows what it has left untouched. */
	if (th->g->opt->exact || th->mm->uffd || vma->vm_flags & FL_VM_UFFD_ANY || vma->start > page)
		return;
	n = neighbours(th->mm, page, -(int64_t)FL_PAGE, vma);
	if (n) {
		*end += 2 * n * FL_PAGE;
		if (*end > vma->end)
			*end = vma->end;
		return;
	}
	n = neighbours(th->mm, page, FL_PAGE, vma);
	if (n)
		*start = page - vma->start > 2 * n * FL_PAGE ? page - 2 * n * FL_PAGE : vma->start;
}

/* One page ahead. False: it, and so what is beyond, is better left. */
static bool ahead(struct guest_thread *th, fl_va va)
{
	struct run_fault rf = {
		.f = {.addr = va, .access = FL_WRITE, .flags = FL_FAULTF_USER | FL_FAULTF_AHEAD},
		.ahead = true,
	};
	struct run_observer *obs = th->g->obs;
	struct fl_translation t;
	enum fl_outcome outcome;

	if (fl_mm_walk(th->mm->mm, va, FL_READ, &t) || !fl_ahead_note(th->mm, va))
		return false;
	rf.start_ns = obs->fault_end ? fl_now_ns() : 0;
	outcome = fl_handle_fault(&th->task, &rf.f);
	if (outcome == FL_FAULT_DONE && obs->fault_end)
		obs->fault_end(obs->arg, th, &rf, outcome, fl_now_ns() - rf.start_ns);
	return outcome == FL_FAULT_DONE;
}

void fl_fault_ahead(struct guest_thread *th, const struct fl_fault *f, fl_va *start, fl_va *end)
{
	fl_va page = f->addr & FL_PAGE_MASK, lo = page, hi = page + FL_PAGE, from, to;
	struct fl_vma_info vma;

	if (f->access == FL_WRITE && (f->kind == FL_KIND_ANON || f->kind == FL_KIND_STACK) &&
	    is_ours(th->mm, page, &vma)) {
		window(th, page, &vma, &from, &to);
		while (hi < to && ahead(th, hi))
			hi += FL_PAGE;
		while (lo > from && ahead(th, lo - FL_PAGE))
			lo -= FL_PAGE;
	}
	*start = lo;
	*end = hi;
}

static void map_now(struct guest_thread *th, const struct run_fault *rf)
{
	fl_va page = rf->f.addr & FL_PAGE_MASK, start, end;
	int r;

	fl_gate_wait(th);
	if (th->dead || th->dying)
		return;
	fl_fault_ahead(th, &rf->f, &start, &end);
	r = fl_hostmap_install(th->mm, start, end, start == page ? rf->f.access : FL_WRITE);
	if (r == -FL_ENOMEM) {
		/* Too many mappings for the host, or its limit of address space: start with none. */
		fl_hostmap_drop(th->mm, 0, FL_TASK_SIZE);
		r = fl_hostmap_install(th->mm, page, page + FL_PAGE, rf->f.access);
	}
	if (r && r != -FL_ESRCH) {
		fprintf(stderr, "faultline: process %d is killed: the host cannot map a page at %#llx: error %d\n",
			(int)th->proc->pid, (unsigned long long)page, -r);
		fl_proc_kill(th->proc);
	}
}

static void oom(struct guest_thread *th, fl_va addr)
{
	struct run_observer *obs = th->g->obs;

	if (obs->oom_kill)
		obs->oom_kill(obs->arg, th, addr);
	fl_proc_kill(th->proc);
}

static void outcome_apply(struct guest_thread *th, struct run_fault *rf, enum fl_outcome outcome)
{
	switch (outcome) {
	case FL_FAULT_DONE:
		map_now(th, rf);
		break;
	case FL_FAULT_SIGNAL:
		break;
	case FL_FAULT_BAD_AREA:
	case FL_FAULT_ACCESS_ERROR:
	case FL_FAULT_TAG_MISMATCH:
		fl_signal_force(th, SIGSEGV, rf->f.si_code, rf->f.addr);
		break;
	case FL_FAULT_BUS_ERROR:
	case FL_FAULT_POISONED:
	case FL_FAULT_KERNEL_FIXUP:
		fl_signal_force(th, SIGBUS, rf->f.si_code ? rf->f.si_code : FL_BUS_ADRERR, rf->f.addr);
		break;
	case FL_FAULT_OOM:
		oom(th, rf->f.addr);
		break;
	}
}

bool fl_fault_stop(struct guest_thread *th, const siginfo_t *si)
{
	fl_va addr = (fl_va)(uintptr_t)si->si_addr;
	struct fl_vma_info vma;
	struct run_fault rf = {.f = {.addr = addr, .flags = FL_FAULTF_USER | FL_FAULTF_SP}};
	struct fl_translation t;
	enum fl_outcome outcome;

	if (si->si_signo != SIGSEGV || (si->si_code != SEGV_MAPERR && si->si_code != SEGV_ACCERR))
		return false;
	if (!th->mm || !is_ours(th->mm, addr, &vma))
		return false;
	rf.rip = fl_regs(th)->rip;
	rf.f.sp = fl_regs(th)->rsp;
	rf.f.access = (uint8_t)fl_decode_access(th, addr);
	/* Only the engine's entry can refuse. What the host has may just lag behind it, as a TLB does after rights were added. */
	if (fl_shadow_get(th->mm->shadow, addr & FL_PAGE_MASK) &&
	    !fl_mm_walk(th->mm->mm, addr, (enum fl_access)rf.f.access, &t))
		rf.f.flags |= FL_FAULTF_PRESENT;
	fl_affinity_stop(th);
	outcome = fl_fault_resolve(th, &rf);
	if (!th->dead && !th->dying)
		outcome_apply(th, &rf, outcome);
	return true;
}
