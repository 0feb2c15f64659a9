/* SPDX-License-Identifier: MIT */
/*
 * A fault of the guest: from the host's SIGSEGV to fl_handle_fault, and what its outcome makes of the thread.
 *
 * A fault in no engine VMA is the guest's own and is passed on as it came. One in sequence is followed by pages ahead, each
 * through fl_handle_fault, so that a program that walks new memory stops once for many pages; the window grows from
 * one page to AHEAD_MAX while the sequence lasts. Never in userfaultfd ranges, never with --exact.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <stdio.h>

#include "linux/host.h"

#define AHEAD_MAX 16u

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

/* How far to go beyond this page: the end of the window. */
static fl_va window_end(struct guest_thread *th, const struct run_fault *rf, const struct fl_vma_info *vma)
{
	fl_va page = rf->f.addr & FL_PAGE_MASK, end;

	/*
	 * A program with a userfaultfd registers ranges that it knows to be untouched; a page that we put there before would
	 * be EEXIST to it.
	 */
	if (th->g->opt->exact || th->mm->uffd || vma->vm_flags & FL_VM_UFFD_ANY)
		return page + FL_PAGE;
	if (page == th->ahead_next && th->ahead_pages)
		th->ahead_pages = th->ahead_pages * 2 < AHEAD_MAX ? th->ahead_pages * 2 : AHEAD_MAX;
	else
		th->ahead_pages = 1;
	end = page + th->ahead_pages * FL_PAGE;
	if (end > vma->end)
		end = vma->end;
	th->ahead_next = end;
	return end;
}

/* New pages after the one that faulted. Returns where it ended. */
static fl_va go_ahead(struct guest_thread *th, const struct run_fault *rf, fl_va end)
{
	fl_va va = (rf->f.addr & FL_PAGE_MASK) + FL_PAGE;

	if (rf->f.access != FL_WRITE || (rf->f.kind != FL_KIND_ANON && rf->f.kind != FL_KIND_STACK))
		return end;
	for (; va < end; va += FL_PAGE) {
		struct run_fault next = {
			.f = {.addr = va, .access = FL_WRITE, .flags = FL_FAULTF_USER | FL_FAULTF_AHEAD},
			.rip = 0,
			.ahead = true,
		};
		struct run_observer *obs = th->g->obs;
		struct fl_translation t;
		enum fl_outcome outcome;

		if (fl_mm_walk(th->mm->mm, va, FL_READ, &t))
			continue;
		next.start_ns = obs->fault_end ? fl_now_ns() : 0;
		outcome = fl_handle_fault(&th->task, &next.f);
		if (outcome != FL_FAULT_DONE)
			break;
		if (obs->fault_end)
			obs->fault_end(obs->arg, th, &next, outcome, fl_now_ns() - next.start_ns);
	}
	return va;
}

static void map_now(struct guest_thread *th, const struct run_fault *rf, fl_va end)
{
	fl_va page = rf->f.addr & FL_PAGE_MASK;
	int r;

	fl_gate_wait(th);
	if (th->dead || th->dying)
		return;
	r = fl_hostmap_install(th->mm, page, end, rf->f.access);
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

static void outcome_apply(struct guest_thread *th, struct run_fault *rf, enum fl_outcome outcome, fl_va end)
{
	switch (outcome) {
	case FL_FAULT_DONE:
		map_now(th, rf, go_ahead(th, rf, end));
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
	fl_va end;

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
	end = window_end(th, &rf, &vma);
	fl_affinity_fault(th);
	outcome = fl_fault_resolve(th, &rf);
	if (!th->dead && !th->dying)
		outcome_apply(th, &rf, outcome, end);
	return true;
}
