/* SPDX-License-Identifier: MIT */
/*
 * What a machine (a software MMU, a native process under ptrace) does for the engine. A machine caches translations;
 * the engine tells it which to forget. One table of ops for each kind, one context for each address space.
 */
#ifndef FAULTLINE_MACHINE_H
#define FAULTLINE_MACHINE_H

#include "faultline/types.h"

FL_BEGIN_C

enum fl_flush_kind {
	FL_FLUSH_UNMAP = 1,   /* forget translations altogether */
	FL_FLUSH_PROTECT = 2, /* forget, or reduce to what the tables allow now */
};

struct fl_machine_ops {
	/*
	 * Forget translations of [start, end) in this address space, and return only when none is in use any more:
	 * after the return nobody reads or writes the old frames through them, and they may be reused. May be called
	 * with page-table locks held and in an rcu section, so it must not call into the engine (fl_mm_walk aside,
	 * which takes no lock) nor wait for a grace period; a thread that waits inside the engine uses no translation.
	 * The range is page-aligned and may cover pages that were never cached. Cannot fail.
	 */
	void (*flush)(void *machine, fl_va start, fl_va end, enum fl_flush_kind kind);
	/*
	 * Read or write user memory that the engine does not own (a foreign VMA): up to n bytes at va, not
	 * crossing a page. Returns the bytes copied, which is less than n at the first byte that cannot be accessed.
	 * Called with no lock held. NULL: foreign memory cannot be reached, every access comes up short.
	 */
	size_t (*foreign_read)(void *machine, void *dst, fl_va va, size_t n);
	size_t (*foreign_write)(void *machine, fl_va va, const void *src, size_t n);
	/*
	 * An address space made by fork needs a machine of its own: the context for child, or NULL (fork fails with
	 * ENOMEM). Called before the child has any mapping. No op: the child has no machine. drop: the address space is
	 * gone; may be NULL.
	 */
	void *(*fork)(void *machine, struct fl_mm *child);
	void (*drop)(void *machine);
	/* After a flush the first write to a page comes by fl_mm_walk, be it writable or not; so the engine knows of it. */
	bool marks_writes;
};

/* What a machine may do with a page. */
struct fl_translation {
	fl_pfn pfn;
	uint8_t allowed; /* FL_READ | FL_WRITE | FL_EXEC */
	bool zero;       /* the shared zero frame */
};

/*
 * Look a page up as a hardware walker does: without locks, marking the entry young, and dirty for a write.
 * access: what is about to be done (one FL_READ, FL_WRITE or FL_EXEC). Returns true and fills *t if the
 * access is allowed now. The answer stays valid until the next flush of that page: the caller must not be able to miss
 * one (a machine calls this between two of its safe points). No lock needed; takes an rcu section of its own.
 */
bool fl_mm_walk(struct fl_mm *mm, fl_va va, enum fl_access access, struct fl_translation *t);

FL_END_C

#endif
