/* SPDX-License-Identifier: MIT */
/*
 * An address space inside the engine.
 *
 * Locks: (r) exclusive range lock over the addresses concerned; (a) atomic; (i) immutable after create; (b) exclusive
 * range lock of the page at brk_start.
 */
#ifndef FL_MM_MM_INT_H
#define FL_MM_MM_INT_H

#include "faultline/mm.h"
#include "faultline/task.h"
#include "mm/profile.h"
#include "sync/range_lock.h"
#include "table/gather.h"
#include "table/table.h"
#include "vma/index.h"

#define FL_NO_LIMIT UINTPTR_MAX

struct fl_mm {
	uint32_t users;             /* (a) references that keep the mappings: tasks and the embedder */
	uint32_t refs;              /* (a) references that keep only this structure: users as one, and uffd contexts */
	struct fl_frames *frames;   /* (i) */
	const struct fl_arch *arch; /* (i) */
	const struct fl_profile *profile; /* (i) */
	const struct fl_machine_ops *ops; /* (i) may be NULL */
	void *machine;                    /* (i) */
	struct fl_tables tables;
	struct fl_index index;
	struct fl_range_lock ranges;
	struct fl_object anon;                      /* (i) the object of its anonymous memory; not counted */
	fl_va mmap_lo, mmap_hi, min_addr, min_hint; /* (i) */
	fl_va spare_lo, spare_hi;                   /* (i) where to look when there is no room in mmap_lo to mmap_hi */
	uint64_t memory;                            /* (i) pages */
	uint32_t max_maps;                          /* (a) */
	uint32_t maps; /* (a) VMAs, and those that are about to be: never less than there are */
	uintptr_t limit_as, limit_data, limit_memlock, limit_stack; /* (a) pages; FL_NO_LIMIT */
	uintptr_t limit_heap;                                       /* (a) pages: limit_data as brk asks it */
	uint32_t limit_no_locks; /* (a) RLIMIT_MEMLOCK is 0, which forbids to lock at all */
	fl_va brk_start;         /* (i) */
	uintptr_t brk_size;      /* (a; b to write) bytes of heap */
	uintptr_t total_pages;   /* (a) of engine and foreign VMAs */
	uintptr_t data_pages;    /* (a) of private writable VMAs that are no stack */
	uintptr_t locked_pages;  /* (a) */
	uintptr_t
		locked_lost; /* (a) pages that the limit on locked memory counts though nothing of them is left: src/mm/move.c */
	uint32_t next_anon_id; /* (a) */
	uint32_t lock_later;   /* (a; r of everything to write) VMA flags that mlockall gives to what is yet to come */
	uint32_t unmerged;     /* (a) fork and DONTUNMAP leave neighbours alone that lost what told them apart */
	struct fl_rcu_head rcu;
};

/* Keep the structure (not the mappings). */
void fl_mm_ref(struct fl_mm *mm);
void fl_mm_unref(struct fl_mm *mm);
/* A users reference, unless the last one has gone: for uffd contexts. */
FL_MUST_CHECK bool fl_mm_get_not_zero(struct fl_mm *mm);

static inline unsigned fl_mm_shift(const struct fl_mm *mm)
{
	return mm->arch->geometry.page_shift;
}

static inline fl_va fl_mm_page(const struct fl_mm *mm)
{
	return (fl_va)1 << mm->arch->geometry.page_shift;
}

/* va rounded down, and up, to a page; up wraps to 0 in the last page of all. */
static inline fl_va fl_page_down(const struct fl_mm *mm, fl_va va)
{
	return va & ~(fl_mm_page(mm) - 1);
}

static inline fl_va fl_page_up(const struct fl_mm *mm, fl_va va)
{
	return fl_page_down(mm, va + fl_mm_page(mm) - 1);
}

static inline uint64_t fl_pages(const struct fl_mm *mm, uint64_t bytes)
{
	return bytes >> fl_mm_shift(mm);
}

static inline void fl_mm_gather_begin(struct fl_gather *g, struct fl_mm *mm, struct fl_task *t)
{
	fl_gather_begin(g, mm->frames, mm->ops, mm->machine, t);
}

/*
 * What the next step asks of the limit on maps (fl_change.room), beside a number: nothing; or room for all that it adds. Linux has a
 * different question in every call: so a mapping may come where there are as many as there may be already.
 */
#define FL_ROOM_ANY UINT32_MAX
#define FL_ROOM_ALL (UINT32_MAX - 1)

/* Would there be room for so many more VMAs? */
static inline bool fl_mm_has_maps(const struct fl_mm *mm, uint32_t more)
{
	return (uint64_t)fl_load(&mm->maps) + more <= fl_load(&mm->max_maps);
}

/*
 * A change of VMAs (rules 3 and 4): what every memory call that splits, merges or replaces does, once. A lock, and
 * under it any number of steps; each step replaces the VMAs of one range by at most one other, and is published as a
 * whole. src/mm/change.c
 *
 *   fl_change_lock          range-lock [start, end), extended to whole VMAs, those that touch it, and a page at least
 *       ...check...
 *       fl_change_prepare   name what shall be at [start, end); nothing has changed when it fails
 *       fl_change_mark      from here nothing fails
 *       ...pass every table of the range whose rights change or end: fl_tables_for_each...
 *       fl_change_commit    publish; the old VMAs are freed by rcu
 *   fl_change_unlock
 */
struct fl_change {
	struct fl_mm *mm;
	struct fl_task *task;
	struct fl_range_req lock;
	fl_va lo, hi;          /* locked */
	fl_va start, end;      /* the step: the range that its caller names */
	bool keeps;            /* the pages there stay what they are */
	bool apart;            /* it does not become one with what is to the left, */
	bool alone;            /* nor with what is to the right */
	bool grows;            /* a mapping gets longer */
	fl_va from, to;        /* whole VMAs in [from, to) are replaced... */
	struct fl_vma *add[3]; /* ...by these: what is left on either side, and the new one */
	unsigned n;
	uint32_t gone;                /* how many those are that it replaces */
	uint32_t room;                /* for so many VMAs there must be room, if not FL_ROOM_ANY */
	bool full;                    /* there was none: why the last prepare failed */
	struct fl_vma *old;           /* they, chained, from the mark on */
	uint64_t total, data, locked; /* what the step adds to the counts, modulo 2^64 */
	/* Pages for which limit_as, and limit_data, must have room: Linux asks for others than it counts. See fl_change_ask */
	uint64_t ask_total, ask_data;
	struct fl_vma *stock; /* set aside by fl_change_stock */
	struct fl_index_reserve reserve;
};

/* 0, or -FL_EINTR (a fatal signal) with nothing held. start <= end; for start == end only what touches is locked. */
FL_MUST_CHECK int fl_change_lock(struct fl_change *c, struct fl_task *t, struct fl_mm *mm, fl_va start, fl_va end);
/* Lock the whole address space; not interrupted. */
void fl_change_lock_all(struct fl_change *c, struct fl_task *t, struct fl_mm *mm);
void fl_change_unlock(struct fl_change *c);

/*
 * Within [start, end) there shall be put (with exactly these bounds; not published itself, taken as a template), or
 * nothing if NULL.
 * What VMAs have outside stays; put becomes one with neighbours where Linux merges. -FL_ENOMEM: no memory, or past
 * limit_memlock, or past limit_as or limit_data where fl_change_ask was called, or past max_maps where room says so.
 */
FL_MUST_CHECK int fl_change_prepare(struct fl_change *c, fl_va start, fl_va end, const struct fl_vma *put);
/* The next step needs room for so many pages of a VMA with these flags, in limit_as and limit_data; it may count others. */
void fl_change_ask(struct fl_change *c, uint64_t vm_flags, uint64_t pages);
void fl_change_mark(struct fl_change *c);
void fl_change_commit(struct fl_change *c);

/* A step by itself: the VMA over va becomes two there, as alike as they are. Without memory for it nothing happens. */
void fl_change_split(struct fl_change *c, fl_va va);

/*
 * A second change under the lock of another, whose one prepare, of a place where nothing is mapped, cannot fail: its
 * memory is set aside here, and the limits are the caller's to check. 0 or -FL_ENOMEM.
 */
FL_MUST_CHECK int fl_change_stock(struct fl_change *c, const struct fl_change *locked);
void fl_change_unstock(struct fl_change *c);

/*
 * One existing VMA gets other flags and another context within [start, end), which lies inside it: prepare, mark, pass
 * the tables (entries are given the rights of the new flags), commit. -FL_ENOMEM also when splitting goes past the
 * limit on maps.
 */
FL_MUST_CHECK int fl_change_flags(struct fl_change *c, const struct fl_vma *v, fl_va start, fl_va end, uint64_t flags,
				  struct fl_uffd *uffd);

/* What RLIMIT_DATA counts. */
static inline bool fl_flags_are_data(uint64_t flags)
{
	return (flags & (FL_VM_WRITE | FL_VM_SHARED | FL_VM_GROWSDOWN)) == FL_VM_WRITE;
}

/* The VMA that covers va, or NULL. Under a lock that keeps it, or in an rcu section. */
static inline struct fl_vma *fl_mm_vma_at(struct fl_mm *mm, fl_va va)
{
	return fl_index_find_in(&mm->index, va, va + 1);
}

/*
 * Frame pfn is mm's alone, at page of v: what a reverse map goes by. Under the leaf lock of its only entry, or before.
 */
void fl_mm_own_frame(struct fl_mm *mm, const struct fl_vma *v, fl_va page, fl_pfn pfn);

/* Is any VMA in [start, end)? */
static inline bool fl_mm_occupied(struct fl_mm *mm, fl_va start, fl_va end)
{
	return fl_index_find_in(&mm->index, start, end) != NULL;
}

/*
 * Could a mapping still be put at start by choice, with what stacks above want free below them? Asked again under the
 * lock, which keeps the answer: a stack that grows locks as far as its gap (fl_mm_grow_stack).
 */
static inline bool fl_mm_has_room(struct fl_mm *mm, fl_va start, uint64_t len)
{
	return fl_index_gap(&mm->index, len, start, start + len, fl_mm_page(mm), false) == start;
}

/*
 * Clear the entries of [start, end) and give back what they held, flushed. The VMAs are still in the index. With a
 * range lock of any mode. guards: guard markers go as well.
 */
void fl_mm_zap(struct fl_mm *mm, struct fl_task *t, fl_va start, fl_va end, bool guards);
/* Remove what is mapped in [start, end), as one step of c, whose lock covers it. -FL_ENOMEM with nothing changed. */
FL_MUST_CHECK int fl_mm_unmap_locked(struct fl_change *c, fl_va start, fl_va end);

/* Does [start, end) lie within one VMA, with something left on both sides? */
FL_MUST_CHECK bool fl_mm_is_hole(struct fl_mm *mm, fl_va start, fl_va end);
/*
 * Cutting a hole into one VMA makes two of it: the only unmapping that the limit on maps refuses. Under a lock that
 * keeps it.
 */
FL_MUST_CHECK bool fl_mm_hole_past_limit(struct fl_mm *mm, fl_va start, fl_va end);

/* An address for len bytes of anonymous memory, as mmap would choose it; at hint if there is room (0: no hint). 0: none. */
fl_va fl_mm_choose(struct fl_mm *mm, uint64_t len, fl_va hint);

/* The VMA flags of prot; and RLIMIT checks that are made before a change. src/mm/map.c */
uint64_t fl_prot_flags(int prot);
FL_MUST_CHECK bool fl_mm_may_lock(struct fl_mm *mm, struct fl_task *t, uint64_t bytes);
/* May it lock at all? */
FL_MUST_CHECK bool fl_mm_may_lock_any(const struct fl_mm *mm, const struct fl_task *t);
/* Would so many bytes more, of a VMA with these flags, stay within limit_as and limit_data? */
FL_MUST_CHECK bool fl_mm_may_expand(const struct fl_mm *mm, uint64_t vm_flags, uint64_t bytes);
/* Heuristic overcommit: false if so many pages could never be there. */
FL_MUST_CHECK bool fl_mm_may_commit(const struct fl_mm *mm, uint64_t pages);
/*
 * Resolve a fault at va that nobody took. how: FL_FAULTF_RETRY, FL_FAULTF_NOWAIT or 0. Nothing held. 0, -FL_EFAULT or
 * -FL_EINTR (a fatal signal); or 1: it has waited, and what is there now may be something else.
 */
FL_MUST_CHECK int fl_mm_fault_in(struct fl_task *t, fl_va va, enum fl_access access, unsigned how);
/* Is va not in a VMA of seen's flags any more? Then a refusal by fl_mm_fault_in may speak of what came after seen. */
FL_MUST_CHECK bool fl_mm_vma_changed(struct fl_mm *mm, fl_va va, const struct fl_vma_info *seen);
/*
 * Fault what is mapped in [start, end) in, for writing where that is allowed. go_on: after a failure with the next VMA.
 * Nothing held.
 * Returns 0, -FL_EFAULT, or -FL_EINTR.
 */
int fl_mm_populate(struct fl_task *t, fl_va start, fl_va end, bool go_on);
/*
 * The same for what is locked and writable only, up to what would have to wait for userfaultfd or fails: that is left to
 * faults.
 */
void fl_mm_populate_locked(struct fl_task *t, fl_va start, fl_va end);

/*
 * Let a GROWSDOWN mapping above va grow down to the page of va. 0; -FL_ENOMEM: no such mapping, too near to what is
 * below, or past a limit; -FL_EINTR. Nothing held.
 */
FL_MUST_CHECK int fl_mm_grow_stack(struct fl_task *t, fl_va va);

/*
 * UFFDIO_REGISTER's part: everything in [start, end) is registered with u for modes, or the modes of its registration
 * are replaced if they lack one of these. UFFDIO_UNREGISTER's: u is NULL, and only is who asks; whoever waits in what
 * only loses is woken. t: any task, perhaps of another address space; the caller keeps mm's mappings by a users
 * reference. Page-aligned.
 * Returns 0; -FL_EINVAL: nothing is mapped there, something cannot be registered, or (unregister) belongs to another
 * context than only; -FL_EPERM: something may never be written; -FL_EBUSY: something belongs to another context;
 * -FL_EINTR; nothing has changed then.
 * -FL_ENOMEM: memory, or the limit on maps; mappings before may be done, as Linux leaves them.
 */
FL_MUST_CHECK int fl_mm_set_uffd(struct fl_task *t, struct fl_mm *mm, fl_va start, fl_va end, struct fl_uffd *only,
				 struct fl_uffd *u, uint64_t modes);
/*
 * The last close: unregister all that belongs to u. Not interrupted. Where there is no memory for it, a mapping keeps
 * u.
 */
void fl_mm_drop_uffd(struct fl_task *t, struct fl_mm *mm, struct fl_uffd *u);

#endif
