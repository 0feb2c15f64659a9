/* SPDX-License-Identifier: MIT */
/*
 * Memory calls over ranges: munmap, mprotect, brk, madvise, mlock, mincore, msync, and those that are refused.
 *
 * A range may have parts of both kinds. The engine's are the engine's, the host's are done by the agent, in the order of
 * addresses, and the index is told of both; the call ends at the first part that fails, as Linux's does. A call over the host's
 * memory alone that changes nothing in the index runs natively.
 *
 * No locks: one OS thread. Between a look at the index and an agent's call no other fiber runs.
 */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "linux/mem.h"

#define MINCORE_CHUNK 128u

uint64_t fl_page_round(uint64_t len)
{
	return (len + FL_PAGE - 1) & FL_PAGE_MASK;
}

bool fl_range_hidden(fl_va va, uint64_t len)
{
	return va < FL_HIDDEN_END && va + len > FL_HIDDEN_CODE;
}

bool fl_part_next(struct guest_mm *gm, fl_va va, fl_va end, struct fl_part *p)
{
	struct fl_vma_info vma;

	if (va >= end || !fl_mm_next_vma(gm->mm, va, &vma) || vma.start >= end)
		return false;
	p->start = vma.start > va ? vma.start : va;
	p->foreign = (vma.vm_flags & FL_VM_FOREIGN) != 0;
	p->end = vma.end;
	while (p->end < end && fl_mm_next_vma(gm->mm, p->end, &vma) && vma.start == p->end &&
	       p->foreign == ((vma.vm_flags & FL_VM_FOREIGN) != 0))
		p->end = vma.end;
	if (p->end > end)
		p->end = end;
	return true;
}

bool fl_range_has(struct guest_mm *gm, fl_va va, fl_va end, bool foreign)
{
	struct fl_part p;

	for (; fl_part_next(gm, va, end, &p); va = p.end) {
		if (p.foreign == foreign)
			return true;
	}
	return false;
}

void fl_mem_call_begin(struct guest_thread *th, struct fl_mem_call *c)
{
	c->nr = (unsigned)fl_regs(th)->orig_rax;
	for (unsigned i = 0; i < 6; i++)
		c->args[i] = fl_arg(th, i);
	c->start_ns = th->g->obs->memory_call ? fl_now_ns() : 0;
}

void fl_mem_call_end(struct guest_thread *th, const struct fl_mem_call *c, int64_t result)
{
	struct run_observer *obs = th->g->obs;

	if (obs->memory_call)
		obs->memory_call(obs->arg, th, c->nr, c->args, result, fl_now_ns() - c->start_ns);
}

void fl_mem_answer(struct guest_thread *th, const struct fl_mem_call *c, int64_t result)
{
	fl_mem_call_end(th, c, result);
	fl_skip_syscall(th, result);
}

static void sys_munmap(struct guest_thread *th)
{
	fl_va start = fl_arg(th, 0), end = start + fl_page_round(fl_arg(th, 1)), va;
	struct guest_mm *gm = th->mm;
	struct fl_mem_call c;
	struct fl_part p;

	fl_mem_call_begin(th, &c);
	if (!(start & ~FL_PAGE_MASK) && end > start && end <= FL_TASK_SIZE) {
		if (fl_range_hidden(start, end - start)) {
			fl_mem_answer(th, &c, -FL_EINVAL);
			return;
		}
		for (va = start; fl_part_next(gm, va, end, &p); va = p.end) {
			if (p.foreign)
				fl_agent_call(gm, SYS_munmap, p.start, p.end - p.start, 0, 0, 0, 0);
		}
	}
	fl_mem_answer(th, &c, fl_munmap(&th->task, start, c.args[1]));
}

/* A range with parts of the host's: part by part, up to the first failure or gap. */
static int64_t protect_mixed(struct guest_thread *th, fl_va start, fl_va end, int prot)
{
	struct guest_mm *gm = th->mm;
	struct fl_part p;
	fl_va va = start;
	int64_t r = 0;

	while (!r && va < end) {
		if (!fl_part_next(gm, va, end, &p) || p.start > va)
			return -FL_ENOMEM;
		if (p.foreign)
			r = fl_agent_call(gm, SYS_mprotect, p.start, p.end - p.start, (uint64_t)prot, 0, 0, 0);
		if (!r)
			r = fl_mprotect(&th->task, p.start, p.end - p.start,
					p.foreign ? prot & ~(FL_PROT_GROWSDOWN | FL_PROT_GROWSUP) : prot);
		va = p.end;
	}
	return r;
}

static void sys_mprotect(struct guest_thread *th)
{
	fl_va start = fl_arg(th, 0), end = start + fl_page_round(fl_arg(th, 1));
	int prot = (int)fl_arg(th, 2);
	struct fl_mem_call c;
	int64_t r;

	fl_mem_call_begin(th, &c);
	if (prot & FL_PROT_WRITE)
		fl_limits_apply(th);
	if (c.nr == SYS_pkey_mprotect && (int)c.args[3] != -1)
		r = -FL_EINVAL;
	else if (!(start & ~FL_PAGE_MASK) && end > start && fl_range_hidden(start, end - start))
		r = -FL_EACCES;
	else if (!(start & ~FL_PAGE_MASK) && end > start && fl_range_has(th->mm, start, end, true))
		r = protect_mixed(th, start, end, prot);
	else
		r = fl_mprotect(&th->task, start, c.args[1], prot);
	fl_mem_answer(th, &c, r);
}

static void sys_brk(struct guest_thread *th)
{
	struct fl_mem_call c;

	fl_mem_call_begin(th, &c);
	fl_limits_apply(th);
	fl_mem_answer(th, &c, (int64_t)fl_brk(&th->task, fl_arg(th, 0)));
}

/* The same call for each part of the host's in the range; the first failure. */
static int64_t host_parts(struct guest_mm *gm, long nr, fl_va start, fl_va end, uint64_t a2)
{
	struct fl_part p;
	int64_t r = 0;

	for (fl_va va = start; !r && fl_part_next(gm, va, end, &p); va = p.end) {
		if (p.foreign)
			r = fl_agent_call(gm, nr, p.start, p.end - p.start, a2, 0, 0, 0);
	}
	return r;
}

static int64_t engine_call(struct guest_thread *th, unsigned nr, const uint64_t a[6])
{
	switch (nr) {
	case SYS_madvise:
		return fl_madvise(&th->task, a[0], a[1], (int)a[2]);
	case SYS_mlock:
		return fl_mlock(&th->task, a[0], a[1], 0);
	case SYS_mlock2:
		return fl_mlock(&th->task, a[0], a[1], (int)a[2]);
	case SYS_munlock:
		return fl_munlock(&th->task, a[0], a[1]);
	default:
		return fl_msync(&th->task, a[0], a[1], (int)a[2]);
	}
}

/* Where a mixed range's call starts from: these round their address down, the others want it aligned. */
static bool rounds_down(unsigned nr)
{
	return nr == SYS_mlock || nr == SYS_mlock2 || nr == SYS_munlock;
}

/* A call that locks, and whose flags are right: before those Linux looks at nothing else. */
static bool is_lock(const struct fl_mem_call *c)
{
	return c->nr == SYS_mlock || (c->nr == SYS_mlock2 && !(c->args[2] & ~(uint64_t)FL_MLOCK_ONFAULT));
}

/* Calls that change nothing in the index but the engine's own: natively when nothing of the engine's is in the range. */
static void sys_range(struct guest_thread *th)
{
	fl_va start = fl_arg(th, 0), from = start, end;
	struct fl_mem_call c;
	int64_t r;

	fl_mem_call_begin(th, &c);
	if (rounds_down(c.nr))
		from &= FL_PAGE_MASK;
	end = from + fl_page_round(c.args[1] + (start - from));
	if (end > from && !fl_range_has(th->mm, from, end, false) && fl_range_has(th->mm, from, end, true)) {
		if (c.nr == SYS_madvise && fl_range_hidden(from, end - from))
			fl_skip_syscall(th, -FL_EINVAL);
		return;
	}
	r = is_lock(&c) ? fl_limits_lock(th) : 0;
	r = r ? r : engine_call(th, c.nr, c.args);
	if ((!r || r == -FL_ENOMEM) && end > from && fl_range_has(th->mm, from, end, true)) {
		int64_t host = host_parts(th->mm, (long)c.nr, from, end, c.args[2]);

		r = r ? r : host;
	}
	fl_mem_answer(th, &c, r);
}

/* The host's part of mlockall: like the engine's, as far as it goes. */
static void lock_host_parts(struct guest_thread *th, long nr, int onfault)
{
	struct fl_part p;

	for (fl_va va = 0; fl_part_next(th->mm, va, FL_TASK_SIZE, &p); va = p.end) {
		if (p.foreign)
			fl_agent_call(th->mm, nr, p.start, p.end - p.start, (uint64_t)onfault, 0, 0, 0);
	}
}

static void sys_mlockall(struct guest_thread *th)
{
	int flags = (int)fl_arg(th, 0), onfault = flags & FL_MCL_ONFAULT ? FL_MLOCK_ONFAULT : 0;
	struct fl_mem_call c;
	int64_t r;

	fl_mem_call_begin(th, &c);
	r = fl_limits_lock(th);
	if (r && (!flags || flags & ~(FL_MCL_CURRENT | FL_MCL_FUTURE | FL_MCL_ONFAULT) || flags == FL_MCL_ONFAULT))
		r = -FL_EINVAL; /* which Linux sees first */
	r = r ? r : fl_mlockall(&th->task, flags);
	if (!r && flags & FL_MCL_CURRENT)
		lock_host_parts(th, SYS_mlock2, onfault);
	fl_mem_answer(th, &c, r);
}

static void sys_munlockall(struct guest_thread *th)
{
	struct fl_mem_call c;
	int64_t r;

	fl_mem_call_begin(th, &c);
	r = fl_munlockall(&th->task);
	if (!r)
		lock_host_parts(th, SYS_munlock, 0);
	fl_mem_answer(th, &c, r);
}

/* One part of mincore. */
static int64_t mincore_part(struct guest_thread *th, const struct fl_part *p, fl_va vec)
{
	uint8_t buf[MINCORE_CHUNK];

	for (fl_va va = p->start; va < p->end; va += MINCORE_CHUNK * FL_PAGE, vec += MINCORE_CHUNK) {
		uint64_t len = p->end - va < MINCORE_CHUNK * FL_PAGE ? p->end - va : MINCORE_CHUNK * FL_PAGE;
		int64_t r;

		if (p->foreign) {
			r = fl_agent_call(th->mm, SYS_mincore, va, len, FL_HIDDEN_SCRATCH, 0, 0, 0);
			memcpy(buf, fl_scratch(th), len / FL_PAGE);
		} else {
			r = fl_mincore(&th->task, va, len, buf);
		}
		if (r)
			return r;
		if (fl_copy_to_user(&th->task, vec, buf, len / FL_PAGE))
			return -FL_EFAULT;
	}
	return 0;
}

static void sys_mincore(struct guest_thread *th)
{
	fl_va start = fl_arg(th, 0), end = start + fl_page_round(fl_arg(th, 1)), vec = fl_arg(th, 2), va = start;
	struct fl_mem_call c;
	struct fl_part p;
	int64_t r = 0;

	if (start & ~FL_PAGE_MASK || end < start || end > FL_TASK_SIZE || !fl_range_has(th->mm, start, end, false)) {
		fl_make_resident(th, vec, (end - start) / FL_PAGE, FL_WRITE);
		return;
	}
	fl_mem_call_begin(th, &c);
	while (!r && va < end) {
		if (!fl_part_next(th->mm, va, end, &p) || p.start > va) {
			r = -FL_ENOMEM;
			break;
		}
		r = mincore_part(th, &p, vec + (p.start - start) / FL_PAGE);
		va = p.end;
	}
	fl_mem_answer(th, &c, r);
}

static void note(struct guest_thread *th, const char *what)
{
	if (th->g->obs->refused)
		th->g->obs->refused(th->g->obs->arg, th, what);
}

/* Calls that the engine has no answer for yet: told by name when they touch its memory, else the host's. */
static void sys_unserved(struct guest_thread *th)
{
	fl_va start = fl_arg(th, 0), end = start + fl_page_round(fl_arg(th, 1));
	static const struct {
		unsigned nr;
		const char *name;
	} names[] = {
		{SYS_mbind, "mbind"},
		{SYS_remap_file_pages, "remap_file_pages"},
		{450, "set_mempolicy_home_node"},
		{462, "mseal"},
	};
	struct fl_mem_call c;

	fl_mem_call_begin(th, &c);
	if (end <= start || !fl_range_has(th->mm, start, end, false))
		return;
	for (unsigned i = 0; i < FL_ARRAY_LEN(names); i++) {
		if (names[i].nr == c.nr)
			note(th, names[i].name);
	}
	fl_mem_answer(th, &c, c.nr == SYS_remap_file_pages ? -FL_EINVAL : -FL_ENOSYS);
}

static void sys_process_madvise(struct guest_thread *th)
{
	note(th, "process_madvise");
	fl_skip_syscall(th, -FL_ENOSYS);
}

/* Keys would have to be known to the host's mappings: as on a machine without them. */
static void sys_pkey_alloc(struct guest_thread *th)
{
	fl_skip_syscall(th, -28 /* ENOSPC */);
}

void fl_mem_register(void)
{
	fl_sys_register(SYS_munmap, FL_SYS_ALWAYS, 0, sys_munmap);
	fl_sys_register(SYS_mprotect, FL_SYS_ALWAYS, 0, sys_mprotect);
	fl_sys_register(SYS_pkey_mprotect, FL_SYS_ALWAYS, 0, sys_mprotect);
	fl_sys_register(SYS_pkey_alloc, FL_SYS_ALWAYS, 0, sys_pkey_alloc);
	fl_sys_register(SYS_brk, FL_SYS_ALWAYS, 0, sys_brk);
	fl_sys_register(SYS_madvise, FL_SYS_ALWAYS, 0, sys_range);
	fl_sys_register(SYS_mlock, FL_SYS_ALWAYS, 0, sys_range);
	fl_sys_register(SYS_mlock2, FL_SYS_ALWAYS, 0, sys_range);
	fl_sys_register(SYS_munlock, FL_SYS_ALWAYS, 0, sys_range);
	fl_sys_register(SYS_msync, FL_SYS_ALWAYS, 0, sys_range);
	fl_sys_register(SYS_mincore, FL_SYS_ALWAYS, 0, sys_mincore);
	fl_sys_register(SYS_mbind, FL_SYS_ALWAYS, 0, sys_unserved);
	fl_sys_register(SYS_remap_file_pages, FL_SYS_ALWAYS, 0, sys_unserved);
	fl_sys_register(450, FL_SYS_ALWAYS, 0, sys_unserved);
	fl_sys_register(462, FL_SYS_ALWAYS, 0, sys_unserved);
	fl_sys_register(SYS_process_madvise, FL_SYS_ALWAYS, 0, sys_process_madvise);
	fl_sys_register(SYS_mlockall, FL_SYS_ALWAYS, 0, sys_mlockall);
	fl_sys_register(SYS_munlockall, FL_SYS_ALWAYS, 0, sys_munlockall);
	fl_mmap_register();
}
