/* SPDX-License-Identifier: MIT */
/*
 * Calls that make mappings: mmap, mremap, shmat, io_setup.
 *
 * Private anonymous memory is the engine's, unless the program fixes it in a host zone (the bss of a library). Everything else is
 * the host's, but at an address that the engine's index has chosen or agreed to:
 *
 *   address open    entered in the index first, then made by the host at that address, and taken out again if the
 *                   host refuses
 *   address fixed   made by the host first, since a refusal must leave what was there; then entered
 *
 * shmat and io_setup choose by themselves; what came of it is entered afterwards.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/mem.h"

#define FIXED_ANY ((uint64_t)(MAP_FIXED | MAP_FIXED_NOREPLACE))
#define LOW_LO 0x40000000ull
#define LOW_HI 0x80000000ull

struct wanted {
	fl_va addr;
	uint64_t len, flags, fd, offset;
	int prot;
	char what[256];
	uint64_t cookie;
};

static bool is_private_anonymous(uint64_t flags)
{
	return (flags & MAP_TYPE) == MAP_PRIVATE && flags & MAP_ANONYMOUS;
}

/* Take the host's mappings in the range away; the index is about to say something else there. */
static void host_parts_unmap(struct guest_mm *gm, fl_va start, fl_va end)
{
	struct fl_part p;

	for (fl_va va = start; fl_part_next(gm, va, end, &p); va = p.end) {
		if (p.foreign)
			fl_agent_call(gm, SYS_munmap, p.start, p.end - p.start, 0, 0, 0, 0);
	}
}

static int64_t map_engine(struct guest_thread *th, const struct wanted *w)
{
	fl_va addr = w->addr, at = 0, end = addr + fl_page_round(w->len);
	int r;

	if (w->flags & MAP_HUGETLB)
		return -FL_ENOMEM;
	if (!(w->flags & FIXED_ANY) && !fl_engine_zone(addr))
		addr = 0;
	if (w->flags & MAP_FIXED && !(w->flags & MAP_FIXED_NOREPLACE) && !(addr & ~FL_PAGE_MASK) && end > addr)
		host_parts_unmap(th->mm, addr, end);
	r = fl_mmap(&th->task, addr, w->len, w->prot, (int)w->flags, &at);
	return r ? r : (int64_t)at;
}

static void describe(struct guest_thread *th, struct wanted *w)
{
	char path[64];
	struct stat st;
	ssize_t n;

	w->cookie = 0;
	if (w->flags & MAP_ANONYMOUS) {
		snprintf(w->what, sizeof(w->what), "%s anonymous",
			 (w->flags & MAP_TYPE) == MAP_PRIVATE ? "fixed private" : "shared");
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)th->tid, (int)w->fd);
	n = readlink(path, w->what, sizeof(w->what) - 1);
	w->what[n < 0 ? 0 : n] = 0;
	if (!stat(path, &st))
		w->cookie = fl_file_cookie(major(st.st_dev), minor(st.st_dev), st.st_ino);
}

/* MCL_FUTURE, for a mapping of the host's. */
static void lock_as_asked(struct guest_thread *th, const struct wanted *w, fl_va at)
{
	int later = fl_mm_locks_later(th->mm->mm);

	if (later)
		fl_agent_call(th->mm, SYS_mlock2, at, fl_page_round(w->len),
			      later & FL_MCL_ONFAULT ? FL_MLOCK_ONFAULT : 0, 0, 0, 0);
}

static void entered(struct guest_thread *th, const struct wanted *w, fl_va at)
{
	struct run_observer *obs = th->g->obs;

	lock_as_asked(th, w, at);
	if (obs->foreign_mapping)
		obs->foreign_mapping(obs->arg, th, at, fl_page_round(w->len), w->prot, w->what);
}

/* Make the call natively at this address, and put the guest's registers back. */
static int64_t host_mmap(struct guest_thread *th, const struct wanted *w, fl_va at)
{
	int64_t result;

	fl_set_arg(th, 0, at);
	fl_set_arg(th, 3, (w->flags & ~(uint64_t)(MAP_FIXED_NOREPLACE | MAP_32BIT)) | MAP_FIXED);
	if (fl_run_syscall(th, &result))
		return -FL_ESRCH;
	fl_set_arg(th, 0, w->addr);
	fl_set_arg(th, 3, w->flags);
	return result;
}

static int index_flags(const struct wanted *w)
{
	return (int)(w->flags & (MAP_TYPE | FIXED_ANY | MAP_GROWSDOWN)) | (int)(w->flags & MAP_ANONYMOUS);
}

/* The program fixes the address. */
static void map_host_fixed(struct guest_thread *th, const struct wanted *w, const struct fl_mem_call *c)
{
	uint64_t len = fl_page_round(w->len);
	fl_va at;
	int64_t r;

	if (!len || w->addr & ~FL_PAGE_MASK || w->addr + len > FL_TASK_SIZE)
		return; /* the host says what is wrong */
	if (fl_range_hidden(w->addr, len)) {
		fl_mem_answer(th, c, -FL_ENOMEM);
		return;
	}
	if (w->flags & MAP_FIXED_NOREPLACE && (fl_range_has(th->mm, w->addr, w->addr + len, true) ||
					       fl_range_has(th->mm, w->addr, w->addr + len, false))) {
		fl_mem_answer(th, c, -FL_EEXIST);
		return;
	}
	fl_hostmap_drop(th->mm, w->addr, w->addr + len);
	r = host_mmap(th, w, w->addr);
	if (r == (int64_t)w->addr) {
		/* What the engine had there is replaced in the host; its flush must not take the new mapping away. */
		fl_shadow_clear(th->mm->shadow, w->addr, w->addr + len);
		r = fl_mmap_foreign(&th->task, w->addr, len, w->prot, index_flags(w) | MAP_FIXED, 0, 0, w->cookie,
				    w->offset, &at);
		if (r)
			fl_agent_call(th->mm, SYS_munmap, w->addr, len, 0, 0, 0, 0);
		else
			entered(th, w, w->addr);
		r = r ? r : (int64_t)w->addr;
		fl_set_result(th, r);
	}
	if (!th->dead && !th->dying)
		fl_mem_call_end(th, c, r);
}

/* The index chooses. */
static void map_host(struct guest_thread *th, const struct wanted *w, const struct fl_mem_call *c)
{
	bool low = w->flags & MAP_32BIT;
	int64_t r;
	fl_va at;

	if (!w->len)
		return;
	r = fl_mmap_foreign(&th->task, w->addr, w->len, w->prot, index_flags(w), low ? LOW_LO : FL_HIDDEN_END,
			    low ? LOW_HI : th->mm->host_hi, w->cookie, w->offset, &at);
	if (r) {
		fl_mem_answer(th, c, r);
		return;
	}
	r = host_mmap(th, w, at);
	if (th->dead || th->dying)
		return;
	if (r != (int64_t)at)
		fl_munmap(&th->task, at, fl_page_round(w->len));
	else
		entered(th, w, at);
	fl_mem_call_end(th, c, r);
}

static void sys_mmap(struct guest_thread *th)
{
	struct fl_mem_call c;
	struct wanted w;
	bool fixed;

	fl_mem_call_begin(th, &c);
	w = (struct wanted){
		.addr = c.args[0],
		.len = c.args[1],
		.prot = (int)c.args[2],
		.flags = c.args[3],
		.fd = c.args[4],
		.offset = c.args[5],
	};
	fixed = (w.flags & FIXED_ANY) != 0;
	if (!(w.flags & MAP_LOCKED) || !w.len) {
		fl_limits_apply(th);
	} else if (fl_limits_lock(th)) {
		fl_mem_answer(th, &c, -FL_EPERM);
		return;
	}
	if (is_private_anonymous(w.flags) && !(fixed && !fl_engine_zone(w.addr))) {
		fl_mem_answer(th, &c, map_engine(th, &w));
		return;
	}
	describe(th, &w);
	if (fixed)
		map_host_fixed(th, &w, &c);
	else
		map_host(th, &w, &c);
}

static int index_type(const struct fl_vma_info *vma)
{
	return vma->vm_flags & FL_VM_SHARED ? MAP_SHARED : MAP_PRIVATE;
}

/* Do the limits allow so much more of this? The agent is not held to them, and afterwards it would be too late to ask. */
static int64_t may_grow(struct guest_thread *th, const struct fl_vma_info *vma, uint64_t more)
{
	fl_va at;
	int r;

	r = fl_mmap_foreign(&th->task, 0, more, (int)(vma->vm_flags & 7), index_type(vma), FL_HIDDEN_END,
			    th->mm->host_hi, 0, 0, &at);
	return r ? r : fl_munmap(&th->task, at, more);
}

/* mremap of the host's memory: in place if the index has room behind, else to an address of the index's choice. */
static int64_t remap_host(struct guest_thread *th, fl_va old, uint64_t old_len, uint64_t new_len, uint64_t flags,
			  fl_va new_addr)
{
	struct guest_mm *gm = th->mm;
	struct fl_vma_info vma;
	fl_va at = old, lo, hi;
	int64_t r;

	if (!fl_mm_next_vma(gm->mm, old, &vma) || vma.start > old || old + old_len > vma.end)
		return -FL_EFAULT;
	if (!old_len && !(vma.vm_flags & FL_VM_SHARED))
		return -FL_EINVAL;
	if (new_len > old_len) {
		r = may_grow(th, &vma, new_len - old_len);
		if (r)
			return r;
		if (!fl_mm_next_vma(gm->mm, old, &vma) || vma.start > old || old + old_len > vma.end)
			return -FL_EFAULT; /* another thread's doing meanwhile */
	}
	if (flags & MREMAP_FIXED) {
		at = new_addr;
		if (at & ~FL_PAGE_MASK || at + new_len > FL_TASK_SIZE || fl_range_hidden(at, new_len))
			return -FL_EINVAL;
		fl_hostmap_drop(gm, at, at + new_len);
	} else if (new_len > old_len || flags & MREMAP_DONTUNMAP) {
		struct fl_part next;
		bool room = !(flags & MREMAP_DONTUNMAP) && old + old_len == vma.end && old + new_len <= FL_TASK_SIZE &&
			    !fl_part_next(gm, vma.end, old + new_len, &next);

		lo = FL_HIDDEN_END;
		hi = gm->host_hi;
		if (!room) {
			if (!(flags & MREMAP_MAYMOVE))
				return -FL_ENOMEM;
			at = fl_mm_find_gap(gm->mm, new_len, lo, hi);
			if (!at)
				return -FL_ENOMEM;
		}
	}
	if (at != old || flags & MREMAP_FIXED)
		r = fl_agent_call(gm, SYS_mremap, old, old_len, new_len, flags | MREMAP_FIXED | MREMAP_MAYMOVE, at, 0);
	else
		r = fl_agent_call(gm, SYS_mremap, old, old_len, new_len, 0, 0, 0);
	if (r != (int64_t)at)
		return r;
	/* No fiber has run since the look: now the index. */
	if (at != old)
		fl_shadow_clear(gm->shadow, at, at + new_len);
	if (at == old && new_len < old_len) {
		r = fl_munmap(&th->task, old + new_len, old_len - new_len);
		return r ? r : (int64_t)at;
	}
	r = fl_mmap_foreign(&th->task, at, new_len, (int)(vma.vm_flags & 7), index_type(&vma) | MAP_FIXED, 0, 0,
			    vma.cookie, (vma.pgoff << 12) + (old - vma.start), &new_addr);
	/* Of no length: another view of shared memory; the first one stays. */
	if (!r && at != old && old_len && !(flags & MREMAP_DONTUNMAP))
		r = fl_munmap(&th->task, old, old_len);
	return r ? r : (int64_t)at;
}

static void sys_mremap(struct guest_thread *th)
{
	struct fl_mem_call c;
	struct fl_vma_info vma;
	fl_va old, at = 0;
	int64_t r;

	fl_mem_call_begin(th, &c);
	fl_limits_apply(th);
	old = c.args[0];
	if (!(old & ~FL_PAGE_MASK) && c.args[2] && fl_mm_next_vma(th->mm->mm, old, &vma) && vma.start <= old &&
	    vma.vm_flags & FL_VM_FOREIGN) {
		r = fl_range_hidden(old, c.args[1]) ? -FL_EFAULT
						    : remap_host(th, old, fl_page_round(c.args[1]),
								 fl_page_round(c.args[2]), c.args[3], c.args[4]);
	} else {
		if (c.args[3] & MREMAP_FIXED && !(c.args[4] & ~FL_PAGE_MASK)) {
			fl_va end = c.args[4] + fl_page_round(c.args[2]);

			if (fl_range_hidden(c.args[4], end - c.args[4])) {
				fl_mem_answer(th, &c, -FL_EINVAL);
				return;
			}
			if (end > c.args[4])
				host_parts_unmap(th->mm, c.args[4], end);
		}
		r = fl_mremap(&th->task, old, c.args[1], c.args[2], (int)c.args[3], c.args[4], &at);
		r = r ? r : (int64_t)at;
	}
	fl_mem_answer(th, &c, r);
}

static void sys_shmat(struct guest_thread *th)
{
	struct fl_mem_call c;
	int64_t r;

	fl_mem_call_begin(th, &c);
	if (fl_run_syscall(th, &r))
		return;
	if (r > 0)
		fl_space_enter_at(th, (fl_va)r, "System V shared memory");
	fl_mem_call_end(th, &c, r);
}

static void sys_shmdt(struct guest_thread *th)
{
	struct fl_vma_info vma;
	struct fl_mem_call c;
	bool found;
	int64_t r;

	fl_mem_call_begin(th, &c);
	found = fl_mm_next_vma(th->mm->mm, c.args[0], &vma) && vma.start == c.args[0];
	if (fl_run_syscall(th, &r))
		return;
	if (!r && found)
		fl_munmap(&th->task, vma.start, vma.end - vma.start);
	fl_mem_call_end(th, &c, r);
}

static void sys_io_setup(struct guest_thread *th)
{
	fl_va idp = fl_arg(th, 1), ring;
	int64_t r;

	fl_make_resident(th, idp, sizeof(ring), FL_WRITE);
	if (fl_run_syscall(th, &r) || r)
		return;
	if (!fl_copy_from_user(&th->task, &ring, idp, sizeof(ring)))
		fl_space_enter_at(th, ring, "[aio]");
}

void fl_mmap_register(void)
{
	fl_sys_register(SYS_mmap, FL_SYS_ALWAYS, 0, sys_mmap);
	fl_sys_register(SYS_mremap, FL_SYS_ALWAYS, 0, sys_mremap);
	fl_sys_register(SYS_shmat, FL_SYS_ALWAYS, 0, sys_shmat);
	fl_sys_register(SYS_shmdt, FL_SYS_ALWAYS, 0, sys_shmdt);
	fl_sys_register(SYS_io_setup, FL_SYS_ALWAYS, 0, sys_io_setup);
}
