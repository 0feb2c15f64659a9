/* SPDX-License-Identifier: MIT */
/*
 * Faulting pages in on behalf of a memory call: MAP_POPULATE, mlock, MADV_POPULATE_*. Through the one fault entry, in
 * kernel mode and with nothing locked, so that userfaultfd applies.
 */
#include "faultline/fault.h"
#include "mm/mm_int.h"

int fl_mm_fault_in(struct fl_task *t, fl_va va, enum fl_access access, unsigned how)
{
	struct fl_fault f = {.addr = va, .access = (uint8_t)access, .flags = (uint8_t)(FL_FAULTF_POPULATE | how)};

	if (fl_task_interrupted(t, FL_WAIT_KILLABLE))
		return -FL_EINTR;
	if (fl_handle_fault(t, &f) == FL_FAULT_DONE)
		return f.kind == FL_KIND_NONE;
	return fl_task_interrupted(t, FL_WAIT_KILLABLE) ? -FL_EINTR : -FL_EFAULT;
}

bool fl_mm_vma_changed(struct fl_mm *mm, fl_va va, const struct fl_vma_info *seen)
{
	struct fl_vma_info now = {0};

	return !fl_mm_next_vma(mm, va, &now) || now.start > va || now.vm_flags != seen->vm_flags;
}

/* Fault one VMA's part in, from *start on, as Linux populates: for writing where that is allowed. */
static int populate_part(struct fl_task *t, fl_va *start, fl_va end, uint64_t flags, unsigned how)
{
	enum fl_access access = flags & FL_VM_WRITE ? FL_WRITE : flags & FL_VM_READ ? FL_READ : FL_EXEC;
	int err;

	if (flags & (FL_VM_FOREIGN | FL_VM_LOCKONFAULT))
		return 0;
	if (!(flags & (FL_VM_READ | FL_VM_WRITE | FL_VM_EXEC)))
		return -FL_EFAULT;
	for (; *start < end; *start += fl_mm_page(t->mm)) {
		err = fl_mm_fault_in(t, *start, access, how);
		if (err)
			return err;
	}
	return 0;
}

static int populate(struct fl_task *t, fl_va start, fl_va end, uint64_t need, bool go_on, unsigned how)
{
	struct fl_vma_info v;
	int err;

	while (start < end && fl_mm_next_vma(t->mm, start, &v) && v.start < end) {
		if (v.start > start)
			start = v.start;
		err = 0;
		if ((v.vm_flags & need) == need)
			err = populate_part(t, &start, v.end < end ? v.end : end, v.vm_flags, how);
		/* The VMA was, or may have been, replaced under us: ask what is there now. */
		if (err > 0)
			continue;
		if (err == -FL_EFAULT && fl_mm_vma_changed(t->mm, start, &v))
			continue;
		if (err == -FL_EINTR || (err && !go_on))
			return err;
		start = v.end;
	}
	return 0;
}

int fl_mm_populate(struct fl_task *t, fl_va start, fl_va end, bool go_on)
{
	return populate(t, start, end, 0, go_on, 0);
}

void fl_mm_populate_locked(struct fl_task *t, fl_va start, fl_va end)
{
	(void)populate(t, start, end, FL_VM_LOCKED | FL_VM_WRITE, false, FL_FAULTF_NOWAIT);
}
