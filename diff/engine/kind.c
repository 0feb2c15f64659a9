/* SPDX-License-Identifier: MIT */
/*
 * What kind of mapping a call is about. The most special of what applies, so that coverage shows it.
 *
 * No locks: nothing runs while somebody looks.
 */
#include "diff/engine/internal.h"

static enum fl_diff_kind kind_of(const struct fl_vma_info *v)
{
	if (v->vm_flags & FL_VM_UFFD_ANY)
		return FL_DIFF_KIND_UFFD;
	if (v->vm_flags & FL_VM_LOCKED)
		return FL_DIFF_KIND_LOCKED;
	if (v->vm_flags & FL_VM_GROWSDOWN)
		return FL_DIFF_KIND_STACK;
	if (v->heap)
		return FL_DIFF_KIND_HEAP;
	if (v->vm_flags & (FL_VM_WIPEONFORK | FL_VM_DONTCOPY))
		return FL_DIFF_KIND_WIPE;
	if (!(v->vm_flags & (FL_VM_READ | FL_VM_WRITE | FL_VM_EXEC)))
		return FL_DIFF_KIND_PROT_NONE;
	return v->vm_flags & FL_VM_WRITE ? FL_DIFF_KIND_ANON : FL_DIFF_KIND_READONLY;
}

enum fl_diff_kind fl_engine_side_kind(struct fl_side *engine, unsigned process, uint64_t address, uint64_t len)
{
	struct fl_engine *e = fl_engine_of(engine);
	struct fl_mm *mm = e->process[process].mm;
	uint64_t end = address + (len ? len : 1);
	struct fl_vma_info v, first;

	if (end < address || end > fl_arch_x86_64.task_size || address < e->ground.min_addr)
		return FL_DIFF_KIND_OUTSIDE;
	if (!mm || !fl_mm_next_vma(mm, address, &first) || first.start >= end)
		return FL_DIFF_KIND_HOLE;
	if (first.start > address)
		return FL_DIFF_KIND_GAPS;
	for (v = first; v.end < end;) {
		uint64_t at = v.end;

		if (!fl_mm_next_vma(mm, at, &v) || v.start > at)
			return FL_DIFF_KIND_GAPS;
	}
	return v.start == first.start ? kind_of(&first) : FL_DIFF_KIND_MIXED;
}

bool fl_engine_side_on_ground(const struct fl_side *engine, uint64_t address, uint64_t len)
{
	const struct fl_ground *g = &((const struct fl_engine *)engine)->ground;
	uint64_t end = address + len < address ? UINT64_MAX : address + len;

	for (size_t i = 0; i < g->foreigns; i++)
		if (address < g->foreign[i].end && g->foreign[i].start < end)
			return true;
	return false;
}
