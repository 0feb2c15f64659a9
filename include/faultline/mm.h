/* SPDX-License-Identifier: MIT */
/*
 * An address space and the memory calls on it. Each call is the Linux system call of the same name: same flags, errno
 * values and partial effects (man pages mmap(2), munmap(2), mprotect(2), mremap(2), brk(2), madvise(2), fork(2)),
 * except where its comment says otherwise. All may be called from any number of tasks at once; none needs a lock; all
 * may sleep.
 *
 * The task passed must be in the address space concerned (task->mm). While it waits for another call, a fatal signal
 * (FL_SIGNAL_FATAL) ends it with -FL_EINTR and nothing done.
 */
#ifndef FAULTLINE_MM_H
#define FAULTLINE_MM_H

#include "faultline/arch.h"
#include "faultline/fl_port.h"
#include "faultline/frame.h"
#include "faultline/machine.h"
#include "faultline/uapi.h"

FL_BEGIN_C

/* VMA flags: 64 bits everywhere, and no two share a bit. */
#define FL_VM_READ 0x1ull
#define FL_VM_WRITE 0x2ull
#define FL_VM_EXEC 0x4ull
#define FL_VM_SHARED 0x8ull
#define FL_VM_MAYREAD 0x10ull
#define FL_VM_MAYWRITE 0x20ull
#define FL_VM_MAYEXEC 0x40ull
#define FL_VM_GROWSDOWN 0x100ull
#define FL_VM_UFFD_MISSING 0x200ull
#define FL_VM_MAYBE_GUARD 0x800ull /* guard pages were installed once; keeps no neighbours apart */
#define FL_VM_UFFD_WP 0x1000ull
#define FL_VM_LOCKED 0x2000ull
#define FL_VM_SEQ_READ 0x8000ull
#define FL_VM_RAND_READ 0x10000ull
#define FL_VM_DONTCOPY 0x20000ull
#define FL_VM_LOCKONFAULT 0x80000ull
#define FL_VM_ACCOUNT 0x100000ull
#define FL_VM_NORESERVE 0x200000ull
#define FL_VM_SYNC 0x800000ull
#define FL_VM_WIPEONFORK 0x2000000ull
#define FL_VM_DONTDUMP 0x4000000ull
#define FL_VM_HUGEPAGE 0x20000000ull
#define FL_VM_NOHUGEPAGE 0x40000000ull
#define FL_VM_MERGEABLE 0x80000000ull
#define FL_VM_UFFD_MINOR 0x4000000000ull
/* Held in the index for its place only: the host serves it (program text, files, shared memory). */
#define FL_VM_FOREIGN 0x8000000000ull
#define FL_VM_UFFD_ANY (FL_VM_UFFD_MISSING | FL_VM_UFFD_WP | FL_VM_UFFD_MINOR)

/*
 * The kernel to be, by its release: what is known to differ between releases is as it was in that one. NULL: older than
 * 5.4, of which nothing is known here. A release that is newer than all that are known is taken for the newest.
 */
const struct fl_profile *fl_profile_find(unsigned major, unsigned minor);
/* Has the engine been held against exactly this release? If not (or p is NULL), the profile holds what is written about it, no more. */
bool fl_profile_tested(const struct fl_profile *p, unsigned major, unsigned minor);

/*
 * As a limit: 0 bytes, where 0 means that there is no limit. As on Linux, limit_data of 0 bytes binds the heap alone, and with
 * limit_memlock of 0 bytes who may not lock without limit may not lock at all (-FL_EPERM).
 */
#define FL_LIMIT_ZERO (UINT64_MAX - 1)

struct fl_mm_config {
	const struct fl_arch *arch;       /* NULL: x86-64 */
	const struct fl_profile *profile; /* which kernel to be; NULL: 6.18 */
	struct fl_frames *frames;         /* outlives the address space */
	const struct fl_machine_ops *ops; /* NULL: no machine caches anything */
	void *machine;                    /* first argument of the ops */
	fl_va mmap_lo, mmap_hi;           /* where addresses are chosen, top down; 0, 0: first_user to task_size */
	fl_va spare_lo, spare_hi;         /* where there is no room: from below in here (Linux: a third of the
					   * addresses, to task_size); 0, 0: nowhere */
	fl_va min_addr;    /* sysctl vm.mmap_min_addr: a fixed mapping below needs FL_CAP_SYS_RAWIO, or is
					   * EPERM; 0: the arch's first_user */
	fl_va min_hint;    /* where hints are raised to, and no stack grows below, for everybody; 0: min_addr.
					   * Linux has it apart: built in as CONFIG_LSM_MMAP_MIN_ADDR */
	fl_va brk;         /* where the heap starts, page-aligned; 0: no heap */
	uint64_t max_maps; /* sysctl vm.max_map_count; 0: 65530 */
	uint64_t memory;   /* bytes that the kernel thinks it has, with swap: one call that wants more is
					   * ENOMEM (heuristic overcommit); 0: the arena's */
	uint64_t limit_as, limit_data, limit_memlock, limit_stack; /* bytes, RLIMIT_*; 0: none */
};

/* A new, empty address space with one reference. 0, -FL_EINVAL or -FL_ENOMEM. */
int fl_mm_create(const struct fl_mm_config *c, struct fl_mm **out);
void fl_mm_get(struct fl_mm *mm);
/* Drop a reference; the last one unmaps everything and returns every frame and table. May sleep. */
void fl_mm_put(struct fl_mm *mm);
/*
 * setrlimit(2)'s part: other limits (as in the config) from the next call on; what is there already stays. Any thread,
 * at any time.
 */
void fl_mm_set_limits(struct fl_mm *mm, uint64_t as, uint64_t data, uint64_t memlock, uint64_t stack);
/*
 * sysctl(8)'s part, for this address space alone: at most so many mappings from the next call on; 0: 65530. As above. mmap and brk
 * let one mapping more come, as on Linux.
 */
void fl_mm_set_max_maps(struct fl_mm *mm, uint64_t max_maps);
struct fl_frames *fl_mm_frames(struct fl_mm *mm);
const struct fl_arch *fl_mm_arch(struct fl_mm *mm);
void *fl_mm_machine(struct fl_mm *mm);

/*
 * mmap(2) for private anonymous memory. flags: FL_MAP_*; must contain PRIVATE and ANONYMOUS. Chosen addresses lie in
 * [mmap_lo, mmap_hi), top down; a hint is honoured when free, and raised to min_hint. *out: the address.
 * More than there is memory, without NORESERVE: -FL_ENOMEM (Linux's heuristic overcommit).
 * Shared, huge or file mappings: -FL_ENODEV, until they are served; see fl_mmap_foreign.
 */
int fl_mmap(struct fl_task *t, fl_va addr, uint64_t len, int prot, int flags, fl_va *out);

/*
 * Put a mapping that the host serves into the index. As mmap(2) for address choice (within [lo, hi) when it may
 * choose; lo = hi = 0: the address space's own range), FIXED and FIXED_NOREPLACE; prot and flags: as the host has them.
 * cookie: the embedder's, compared when VMAs merge (same cookie, contiguous offset).
 */
int fl_mmap_foreign(struct fl_task *t, fl_va addr, uint64_t len, int prot, int flags, fl_va lo, fl_va hi,
		    uint64_t cookie, uint64_t offset, fl_va *out);

int fl_munmap(struct fl_task *t, fl_va addr, uint64_t len);
int fl_mprotect(struct fl_task *t, fl_va addr, uint64_t len, int prot);
/* mremap(2). A range with a foreign VMA: -FL_EFAULT (the machine asks first: fl_mm_next_vma). */
int fl_mremap(struct fl_task *t, fl_va old, uint64_t old_len, uint64_t new_len, int flags, fl_va new_addr, fl_va *out);
/* brk(2): returns the heap's end after the call, as the system call does; it is unchanged when the call fails. */
fl_va fl_brk(struct fl_task *t, fl_va addr);
/* madvise(2). Foreign VMAs in the range count as mapped and are skipped. */
int fl_madvise(struct fl_task *t, fl_va addr, uint64_t len, int advice);
/*
 * mlock2(2) (flags: FL_MLOCK_ONFAULT), munlock(2), mincore(2) (vec: one byte a page, in the engine's memory; the bytes
 * of foreign pages are left as they were, for the machine to fill in), msync(2). Foreign VMAs count as mapped and are
 * skipped.
 */
int fl_mlock(struct fl_task *t, fl_va addr, uint64_t len, int flags);
int fl_munlock(struct fl_task *t, fl_va addr, uint64_t len);
/*
 * mlockall(2) and munlockall(2), flags: FL_MCL_*. Of foreign VMAs, now and later, only the pages count, for
 * RLIMIT_MEMLOCK; fl_mm_locks_later: what the machine shall do with those to come (FL_MCL_FUTURE, FL_MCL_ONFAULT, or 0).
 */
int fl_mlockall(struct fl_task *t, int flags);
int fl_munlockall(struct fl_task *t);
int fl_mm_locks_later(struct fl_mm *mm);
int fl_mincore(struct fl_task *t, fl_va addr, uint64_t len, uint8_t *vec);
int fl_msync(struct fl_task *t, fl_va addr, uint64_t len, int flags);

/*
 * fork(2)'s part: a copy of the task's address space under copy-on-write, with the same limits. Foreign VMAs are copied
 * as they are.
 * On return every machine of the parent has given up its write access to what is shared now.
 * Returns 0 and *out with one reference; -FL_ENOMEM with nothing changed but protections, which cure themselves; or
 * -FL_EINTR (a fatal signal). *out is NULL then.
 */
int fl_mm_fork(struct fl_task *t, struct fl_mm **out);

/* What /proc/PID/maps shows of one VMA. */
struct fl_vma_info {
	fl_va start, end;
	uint64_t vm_flags;
	uint64_t pgoff;  /* in pages; of anonymous memory, which has an offset too, Linux shows 0 */
	uint64_t cookie; /* of a foreign VMA */
	bool heap;       /* [heap]: anonymous, and any byte of it is in the brk range */
};
/* The first VMA that ends above va. False: there is none. No lock needed; a snapshot. */
bool fl_mm_next_vma(struct fl_mm *mm, fl_va va, struct fl_vma_info *info);

/* What /proc/PID/pagemap shows of one page, and where its frame is. */
struct fl_page_info {
	fl_pfn pfn;     /* FL_PFN_NONE: no frame is there */
	bool present;   /* bit 63: a frame is mapped, be it the zero frame */
	bool swapped;   /* bit 62: a marker stands there instead */
	bool guard;     /* bit 58: that of a guard page */
	bool uffd_wp;   /* bit 57: write-protected by userfaultfd */
	bool exclusive; /* bit 56: no other entry maps the frame; never so of the zero frame */
	bool zero;      /* it is the zero frame: no bit says so */
};
/* Of the page that va lies in. No lock needed; a snapshot. */
void fl_mm_pagemap(struct fl_mm *mm, fl_va va, struct fl_page_info *info);
/* A free range of len bytes (page multiple), top down in [lo, hi), as mmap would choose; 0: none. A snapshot. */
fl_va fl_mm_find_gap(struct fl_mm *mm, uint64_t len, fl_va lo, fl_va hi);

struct fl_mm_stats {
	uint64_t vmas, total_pages, locked_pages, tables;
	uint64_t resident; /* counted by a walk */
};
void fl_mm_stats(struct fl_mm *mm, struct fl_mm_stats *s);

/*
 * Walk the address space and check every invariant (VMAs in order and apart, merged where Linux merges, index and
 * tables agree, counts add up, a uffd context exactly where a mode is). Returns NULL, or the name of the first that is
 * broken. The caller sees to it that nothing changes meanwhile.
 */
const char *fl_mm_check(struct fl_mm *mm);
/* The same over an arena and all address spaces on it: every frame's counts are recomputed and compared. */
const char *fl_frames_check(struct fl_frames *f, struct fl_mm *const *mms, size_t n);

FL_END_C

#endif
