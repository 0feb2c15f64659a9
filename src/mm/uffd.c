/* SPDX-License-Identifier: MIT */
/*
 * Which mappings belong to which userfaultfd context: what registering, unregistering and the last close do to VMAs.
 * Checks of the whole range come before the first change; then VMA by VMA under one exclusive range lock.
 */
#include "mm/mm_int.h"
#include "sync/bug.h"
#include "uffd/uffd_int.h"

/* A context that was closed while there was no memory to unregister its mappings owns nothing any more. */
static struct fl_uffd *owner(const struct fl_vma *v)
{
	return v->uffd && !fl_uffd_released(v->uffd) ? v->uffd : NULL;
}

static int check_register(const struct fl_vma *v, const struct fl_uffd *u, uint64_t modes)
{
	if (!v->object->ops->can_uffd(modes))
		return -FL_EINVAL;
	if (!(v->flags & FL_VM_MAYWRITE))
		return -FL_EPERM;
	return owner(v) && owner(v) != u && !FL_BUG(register_steals) ? -FL_EBUSY : 0;
}

static int check_unregister(const struct fl_vma *v, const struct fl_uffd *only)
{
	if (!v->object->ops->can_uffd(0) || (owner(v) && only && owner(v) != only))
		return -FL_EINVAL;
	return 0;
}

static int check_range(struct fl_mm *mm, fl_va start, fl_va end, const struct fl_uffd *only, const struct fl_uffd *u,
		       uint64_t modes)
{
	const struct fl_vma *v = fl_index_find_in(&mm->index, start, end);
	int err = 0;

	if (!v)
		return -FL_EINVAL;
	for (; !err && v; v = fl_index_find_in(&mm->index, v->end, end))
		err = u ? check_register(v, u, modes) : check_unregister(v, only);
	return err;
}

/* v's part of [start, end) goes to u, or to nobody. */
static int set_one(struct fl_change *c, struct fl_vma *v, fl_va start, fl_va end, struct fl_uffd *u, uint64_t modes)
{
	uint64_t now = v->flags & FL_VM_UFFD_ANY;

	/* As in Linux, asking for fewer modes than there are changes nothing. */
	if (v->uffd == u && (u ? (now & modes) == modes : !now))
		return 0;
	return fl_change_flags(c, v, v->start > start ? v->start : start, v->end < end ? v->end : end,
			       (v->flags & ~FL_VM_UFFD_ANY) | modes, u);
}

int fl_mm_set_uffd(struct fl_task *t, struct fl_mm *mm, fl_va start, fl_va end, struct fl_uffd *only, struct fl_uffd *u,
		   uint64_t modes)
{
	struct fl_change c;
	struct fl_vma *v;
	fl_va va, next;
	bool had;
	int err;

	err = fl_change_lock(&c, t, mm, start, end);
	if (err)
		return err;
	err = check_range(mm, start, end, only, u, modes);
	for (va = start; !err && (v = fl_index_find_in(&mm->index, va, end)) != NULL; va = next) {
		fl_va from = v->start > start ? v->start : start;

		next = v->end;
		had = !u && owner(v) == only;
		err = set_one(&c, v, start, end, u, u ? modes : 0);
		/* They go on as ordinary faults. Who waits where nothing is registered any more waits on, as in Linux. */
		if (!err && had && !FL_BUG(unregister_silent))
			fl_uffd_wake(only, from, next < end ? next : end);
	}
	fl_change_unlock(&c);
	return err;
}

void fl_mm_drop_uffd(struct fl_task *t, struct fl_mm *mm, struct fl_uffd *u)
{
	fl_va va, next, end = mm->arch->task_size;
	struct fl_change c;
	struct fl_vma *v;

	fl_change_lock_all(&c, t, mm);
	for (va = 0; (v = fl_index_find(&mm->index, va)) != NULL; va = next) {
		next = v->end;
		if (v->uffd == u)
			(void)set_one(&c, v, 0, end, NULL, 0);
	}
	fl_change_unlock(&c);
}
