/* SPDX-License-Identifier: MIT */
/*
 * What an observer sees: mappings as in /proc/PID/maps and smaps, pages as in /proc/PID/pagemap. Looking changes nothing.
 *
 * No locks: nothing runs while somebody looks. (A leaf table is locked while its entries are read.)
 */
#include "diff/engine/internal.h"
#include "mm/mm_int.h"

/* VmFlags that both sides know. */
#define SEEN_FLAGS                                                                                                  \
	(FL_VM_READ | FL_VM_WRITE | FL_VM_EXEC | FL_VM_SHARED | FL_VM_MAYREAD | FL_VM_MAYWRITE | FL_VM_MAYEXEC |    \
	 FL_VM_GROWSDOWN | FL_VM_UFFD_ANY | FL_VM_LOCKED | FL_VM_SEQ_READ | FL_VM_RAND_READ | FL_VM_DONTCOPY |      \
	 FL_VM_LOCKONFAULT | FL_VM_ACCOUNT | FL_VM_NORESERVE | FL_VM_WIPEONFORK | FL_VM_DONTDUMP | FL_VM_HUGEPAGE | \
	 FL_VM_NOHUGEPAGE | FL_VM_MERGEABLE | FL_VM_MAYBE_GUARD)

static unsigned prot_of(uint64_t flags)
{
	return (flags & FL_VM_READ ? FL_PROT_READ : 0u) | (flags & FL_VM_WRITE ? FL_PROT_WRITE : 0u) |
	       (flags & FL_VM_EXEC ? FL_PROT_EXEC : 0u);
}

/* All that is not foreign is private and anonymous: of that the kernel shows no offset, and [stack] is the ground's alone. */
size_t fl_engine_maps(struct fl_side *side, unsigned process, enum fl_view what, struct fl_seen_map *m, size_t max)
{
	struct fl_mm *mm = fl_engine_of(side)->process[process].mm;
	struct fl_vma_info v;
	size_t n = 0;

	for (fl_va va = 0; mm && fl_mm_next_vma(mm, va, &v); va = v.end) {
		if (v.vm_flags & FL_VM_FOREIGN)
			continue;
		if (n++ >= max)
			continue;
		m[n - 1] = (struct fl_seen_map){
			.start = v.start,
			.end = v.end,
			.prot = prot_of(v.vm_flags),
			.shared = (v.vm_flags & FL_VM_SHARED) != 0,
			.heap = v.heap,
			.vm_flags = what == FL_VIEW_FLAGS ? v.vm_flags & SEEN_FLAGS : 0,
		};
	}
	return n;
}

struct look {
	struct fl_mm *mm;
	struct fl_seen_page *p;
	size_t n, max;
};

static void note_page(struct look *l, fl_va va)
{
	struct fl_page_info i;
	struct fl_seen_page *p;

	fl_mm_pagemap(l->mm, va, &i);
	if (!i.present && !i.swapped)
		return;
	if (l->n++ >= l->max)
		return;
	p = &l->p[l->n - 1];
	*p = (struct fl_seen_page){.address = va};
	p->bits = (i.present ? FL_PAGE_PRESENT : 0u) | (i.swapped ? FL_PAGE_SWAPPED : 0u) |
		  (i.guard ? FL_PAGE_GUARD : 0u) | (i.uffd_wp ? FL_PAGE_UFFD_WP : 0u) |
		  (i.exclusive ? FL_PAGE_EXCLUSIVE : 0u);
	if (i.present && !i.zero)
		p->hash = fl_diff_hash(fl_frame_data(l->mm->frames, i.pfn), FL_DIFF_PAGE);
}

static int note_table(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	(void)t;
	for (; start < end; start += FL_DIFF_PAGE)
		note_page(arg, start);
	return 0;
}

size_t fl_engine_pages(struct fl_side *side, unsigned process, const struct fl_seen_map *m, size_t maps,
		       struct fl_seen_page *p, size_t max)
{
	struct look l = {.mm = fl_engine_of(side)->process[process].mm, .p = p, .max = max};

	for (size_t i = 0; l.mm && i < maps; i++)
		(void)fl_tables_for_each(&l.mm->tables, m[i].start, m[i].end, note_table, &l);
	return l.n;
}

void fl_engine_side_peek(const struct fl_side *engine, unsigned process, uint64_t address, void *to, size_t n)
{
	struct fl_mm *mm = ((const struct fl_engine *)engine)->process[process].mm;
	struct fl_page_info i = {0};
	char *bytes = to;

	for (size_t done = 0; done < n; done++) {
		uint64_t within = (address + done) % FL_DIFF_PAGE;

		if (mm && (!done || !within))
			fl_mm_pagemap(mm, address + done - within, &i);
		bytes[done] = i.present && !i.zero ? ((const char *)fl_frame_data(mm->frames, i.pfn))[within] : 0;
	}
}
