/* SPDX-License-Identifier: MIT */
/*
 * Guest memory from the supervisor's side: what the host maps, by process_vm_readv and its partner; pages made resident for the
 * kernel's sake; hidden ranges for bounce buffers.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "linux/host.h"

/* Any task that is in the address space. */
static pid_t task_in(struct guest_mm *gm)
{
	if (gm->agent)
		return gm->agent->pid;
	for (struct guest_thread *th = gm->g->threads; th; th = th->next) {
		if (th->mm == gm && th->tid > 0)
			return th->tid;
	}
	return 0;
}

size_t fl_host_read(struct guest_mm *gm, void *dst, fl_va va, size_t n)
{
	struct iovec local = {dst, n}, remote = {(void *)(uintptr_t)va, n};
	ssize_t r = process_vm_readv(task_in(gm), &local, 1, &remote, 1, 0);

	return r < 0 ? 0 : (size_t)r;
}

size_t fl_host_write(struct guest_mm *gm, fl_va va, const void *src, size_t n)
{
	struct iovec local = {(void *)(uintptr_t)src, n}, remote = {(void *)(uintptr_t)va, n};
	ssize_t r = process_vm_writev(task_in(gm), &local, 1, &remote, 1, 0);

	return r < 0 ? 0 : (size_t)r;
}

/* Of an engine VMA? Then where it ends. */
static bool engine_at(struct guest_mm *gm, fl_va va, fl_va *end)
{
	struct fl_vma_info vma;

	if (!fl_mm_next_vma(gm->mm, va, &vma))
		*end = FL_TASK_SIZE;
	else if (vma.start > va)
		*end = vma.start;
	else
		*end = vma.end;
	return *end > va && fl_mm_next_vma(gm->mm, va, &vma) && vma.start <= va && !(vma.vm_flags & FL_VM_FOREIGN);
}

static bool page_ready(struct guest_mm *gm, fl_va page, enum fl_access access)
{
	return (fl_shadow_get(gm->shadow, page) & access) != 0;
}

bool fl_is_resident(struct guest_thread *th, fl_va va, size_t n, enum fl_access access)
{
	fl_va end = va + n, vma_end;

	for (fl_va page = va & FL_PAGE_MASK; n && page < end; page += FL_PAGE) {
		if (!page_ready(th->mm, page, access) && engine_at(th->mm, page, &vma_end))
			return false;
	}
	return true;
}

/* Fault one page in as the kernel would. [*lo, *hi): what can be mapped now. */
static bool page_in(struct guest_thread *th, fl_va at, enum fl_access access, fl_va *lo, fl_va *hi)
{
	struct run_fault rf = {
		.f = {.addr = at, .access = (uint8_t)access},
		.kernel = true,
	};
	struct fl_translation t;

	*lo = at & FL_PAGE_MASK;
	*hi = *lo + FL_PAGE;
	if (fl_mm_walk(th->mm->mm, at, access, &t))
		return true;
	if (fl_fault_resolve(th, &rf) != FL_FAULT_DONE || th->dead || th->dying)
		return false;
	fl_fault_ahead(th, &rf.f, lo, hi);
	return true;
}

#define STRETCH (64 * FL_PAGE)

/*
 * Make pages from at on resident, as many as one trip to the agent serves. Returns the address up to which they were faulted in; at:
 * not one. That they are mapped by then is for the caller to see.
 */
static fl_va stretch_in(struct guest_thread *th, fl_va at, fl_va end, enum fl_access access)
{
	fl_va from = at & FL_PAGE_MASK, to = from, reached = at, lo, hi, vma_end;

	while (reached < end && reached - at < STRETCH && !page_ready(th->mm, reached & FL_PAGE_MASK, access) &&
	       engine_at(th->mm, reached & FL_PAGE_MASK, &vma_end) && page_in(th, reached, access, &lo, &hi)) {
		from = lo < from ? lo : from;
		to = hi;
		reached = hi;
	}
	if (th->dead || th->dying || reached == at)
		return at;
	fl_gate_wait(th);
	if (th->dead || th->dying ||
	    fl_hostmap_install(th->mm, from, to, from == (at & FL_PAGE_MASK) ? access : FL_WRITE))
		return at;
	return reached < end ? reached : end;
}

size_t fl_make_resident(struct guest_thread *th, fl_va va, size_t n, enum fl_access access)
{
	fl_va end = va + n, at = va, vma_end;

	if (end < va)
		return 0;
	while (at < end) {
		fl_va page = at & FL_PAGE_MASK;

		if (page_ready(th->mm, page, access) || !engine_at(th->mm, page, &vma_end))
			at = page + FL_PAGE;
		else if (stretch_in(th, at, end, access) == at)
			return at - va;
	}
	return n;
}

/* What a buffer held before stays in it: the calls of one process alone use it. */
fl_va fl_bounce_map(struct guest_mm *gm, size_t n)
{
	uint64_t len = (n + FL_PAGE - 1) & FL_PAGE_MASK;
	int64_t r;

	for (unsigned i = 0; i < FL_BOUNCE_KEPT; i++) {
		if (gm->bounce_free[i].len == len) {
			gm->bounce_free[i].len = 0;
			return gm->bounce_free[i].va;
		}
	}
	if (gm->bounce_next + len > FL_HIDDEN_END)
		return 0;
	r = fl_agent_call(gm, SYS_mmap, gm->bounce_next, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, (uint64_t)-1, 0);
	if (r < 0)
		return 0;
	gm->bounce_next += len;
	return (fl_va)r;
}

void fl_bounce_unmap(struct guest_mm *gm, fl_va va, size_t n)
{
	uint64_t len = (n + FL_PAGE - 1) & FL_PAGE_MASK;

	for (unsigned i = 0; i < FL_BOUNCE_KEPT; i++) {
		if (!gm->bounce_free[i].len) {
			gm->bounce_free[i].va = va;
			gm->bounce_free[i].len = len;
			return;
		}
	}
	fl_agent_call(gm, SYS_munmap, va, len, 0, 0, 0, 0);
	if (va + len == gm->bounce_next)
		gm->bounce_next = va;
}
