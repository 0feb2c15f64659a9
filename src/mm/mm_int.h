/* SPDX-License-Identifier: MIT */
/*
 * An address space inside the engine.
 *
 * Locks: (r) exclusive range lock over the addresses concerned; (a) atomic; (i) immutable after create; (b) brk_mutex-free: the brk
 * words change only under an exclusive range lock of [brk_start, brk_max).
 */
#ifndef FL_MM_MM_INT_H
#define FL_MM_MM_INT_H

#include "faultline/mm.h"
#include "faultline/task.h"
#include "sync/range_lock.h"
#include "table/gather.h"
#include "table/table.h"
#include "vma/index.h"

struct fl_mm {
	uint32_t users;               /* (a) references that keep the mappings: tasks and the embedder */
	uint32_t refs;                /* (a) references that keep only this structure: users as one, and uffd contexts */
	struct fl_frames *frames;     /* (i) */
	const struct fl_arch *arch;   /* (i) */
	const struct fl_profile *profile; /* (i) */
	const struct fl_machine_ops *ops; /* (i) may be NULL */
	void *machine;                /* (i) */
	struct fl_tables tables;
	struct fl_index index;
	struct fl_range_lock ranges;
	struct fl_object anon;        /* (i) the object of its anonymous memory */
	fl_va mmap_lo, mmap_hi, min_addr; /* (i) */
	uint64_t max_maps, limit_as, limit_data, limit_memlock, limit_stack; /* (i) */
	fl_va brk_start, brk_end;     /* brk_start (i); brk_end (a) written under the range lock of the page at brk_start */
	uintptr_t total_pages;        /* (a) of engine and foreign VMAs */
	uintptr_t locked_pages;       /* (a) */
	uint32_t next_anon_id;        /* (a) */
	uint32_t dead;                /* (a) the mappings are gone: a uffd context that comes now answers ESRCH */
	struct fl_rcu_head rcu;
};

/* Keep the structure (not the mappings). */
void fl_mm_ref(struct fl_mm *mm);
void fl_mm_unref(struct fl_mm *mm);
/* A users reference, unless the last one has gone: for uffd contexts. */
FL_MUST_CHECK bool fl_mm_get_not_zero(struct fl_mm *mm);

/*
 * A change of VMAs in progress (rules 3 and 4): what every memory call that splits, merges or replaces does, once. src/mm/change.c
 *
 *   fl_change_lock    range-lock [start, end) extended to whole VMAs and to neighbours that touch it
 *   ...check, and name the new VMAs with fl_change_add, ascending, covering what shall be there within [lo, hi)...
 *   fl_change_reserve merge neighbours that may merge, allocate nodes; -FL_ENOMEM also at the limit on the number of maps
 *   fl_change_mark    from here nothing fails
 *   ...pass every table of the range: fl_tables_for_each...
 *   fl_change_commit  publish; drop the range lock; free old VMAs by rcu
 *   fl_change_abort   instead of mark: drop the lock and everything added
 */
struct fl_change {
	struct fl_mm *mm;
	struct fl_task *task;
	struct fl_range_req lock;
	fl_va lo, hi;                 /* locked: whole VMAs, touching neighbours included */
	struct fl_vma *add[8];
	unsigned n;
	struct fl_index_reserve reserve;
};

#endif
