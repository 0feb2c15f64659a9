/* SPDX-License-Identifier: MIT */
/*
 * Faults on an entry that is present: it allows the access by now, it was left with fewer rights than its VMA gives, or
 * a write meets a frame that may be shared.
 *
 *   EXCL                      nobody else has it: writable at once
 *   zero frame                replaced by a fresh one
 *   one map, one reference    the others have gone: it is ours again
 *   otherwise                 copied
 *
 * A copy needs the old frame to stay what it is while no lock is held, so it takes a reference first. That reference
 * also keeps every other owner from finding itself alone and writing to it, and keeps the frame number from coming back
 * with other contents: the entry being unchanged afterwards is proof enough.
 *
 * Entries are written under the leaf table lock. The owner and index of a frame: under that of its only entry.
 */
#include "fault/handler.h"
#include "sync/bug.h"
#include "table/gather.h"

/* Put fresh in the place of a present entry: clear, flush, set (rule 9), so no machine sees both at once. Under t's
 * lock. */
static void replace(struct fl_fault_ctx *c, struct fl_table *t, unsigned i, fl_pte fresh)
{
	fl_pte old = FL_BUG(cow_set_first) ? fl_entry_get(t, i) : fl_entry_clear(t, i);
	struct fl_gather g;

	if (FL_BUG(cow_set_first))
		fl_entry_set(t, i, fresh);
	fl_mm_gather_begin(&g, c->mm, c->task);
	fl_gather_unmapped(&g, c->page, fl_page_size(&c->mm->tables), old);
	fl_gather_end(&g);
	fl_entry_set(t, i, fresh);
}

static enum fl_step replace_by_spare(struct fl_fault_ctx *c, fl_pte seen, enum fl_fault_kind kind)
{
	struct fl_table *t;
	enum fl_step why;
	unsigned i;

	t = fl_fault_lock(c, seen, &i, &why);
	if (!t)
		return why;
	replace(c, t, i, fl_fault_own(c->mm, c->vma, c->page, c->spare, FL_PTE_YOUNG | FL_PTE_DIRTY));
	fl_table_unlock(t);
	c->spare = FL_PFN_NONE;
	c->f.kind = (uint8_t)kind;
	return FL_STEP_DONE;
}

static enum fl_step write_zero(struct fl_fault_ctx *c, fl_pte seen)
{
	if (!fl_fault_spare(c, true))
		return FL_STEP_OOM;
	return replace_by_spare(c, seen, FL_KIND_ANON);
}

static bool sole_owner(struct fl_mm *mm, fl_pte e)
{
	struct fl_frame *m = fl_frame_meta(mm->frames, fl_pte_pfn(e));

	/*
	 * Nobody can take a reference but through our entry, whose lock we hold. Acquire; partner: the release of those
	 * who dropped theirs, whose last reads come before our first write.
	 */
	return fl_load_acquire(&m->refs) == 1 && fl_load_acquire(&m->maps) == 1;
}

/* Make the frame writable where it is, if nobody else has it; else take a reference on it, *copy. */
static enum fl_step reuse(struct fl_fault_ctx *c, fl_pte seen, bool *copy)
{
	struct fl_table *t;
	enum fl_step why;
	unsigned i;

	*copy = false;
	t = fl_fault_lock(c, seen, &i, &why);
	if (!t)
		return why;
	if ((seen & FL_PTE_EXCL) || sole_owner(c->mm, seen)) {
		if (!(seen & FL_PTE_EXCL))
			fl_mm_own_frame(c->mm, c->vma, c->page, fl_pte_pfn(seen));
		/* More rights, the same frame: nothing to flush. */
		fl_entry_flags(t, i, 0,
			       fl_pte_prot(c->mm->arch, c->vma->flags) | FL_PTE_EXCL | FL_PTE_YOUNG | FL_PTE_DIRTY);
		c->f.kind = FL_KIND_COW_REUSE;
	} else if (c->f.flags & FL_FAULTF_AHEAD) {
		fl_table_unlock(t);
		return FL_STEP_LEAVE;
	} else {
		fl_frame_get(c->mm->frames, fl_pte_pfn(seen));
		*copy = true;
	}
	fl_table_unlock(t);
	return FL_STEP_DONE;
}

static enum fl_step write_shared(struct fl_fault_ctx *c, fl_pte seen)
{
	struct fl_frames *frames = c->mm->frames;
	enum fl_step step;
	bool copy;

	step = reuse(c, seen, &copy);
	if (!copy)
		return step;
	step = FL_STEP_OOM;
	if (fl_fault_spare(c, false)) {
		c->spare_clear = false;
		fl_port_copy(fl_frame_data(frames, c->spare), fl_frame_data(frames, fl_pte_pfn(seen)),
			     (size_t)fl_page_size(&c->mm->tables));
		step = replace_by_spare(c, seen, FL_KIND_COW_COPY);
	}
	fl_frame_put(frames, c->task, fl_pte_pfn(seen));
	return step;
}

/* Give an entry the rights that its VMA has and it lacks, but for the one to write. */
static enum fl_step widen(struct fl_fault_ctx *c, fl_pte seen)
{
	struct fl_table *t;
	enum fl_step why;
	unsigned i;

	t = fl_fault_lock(c, seen, &i, &why);
	if (!t)
		return why;
	fl_entry_flags(t, i, 0, fl_fault_rights(c->mm, c->vma) | FL_PTE_YOUNG);
	fl_table_unlock(t);
	c->f.kind = FL_KIND_SPURIOUS;
	return FL_STEP_DONE;
}

/* The entry allows what populating wants, and nobody is going to access the page: to write it is to mark it. */
static enum fl_step mark_written(struct fl_fault_ctx *c, fl_pte seen)
{
	struct fl_table *t;
	enum fl_step why;
	unsigned i;

	t = fl_fault_lock(c, seen, &i, &why);
	if (!t)
		return why;
	fl_entry_flags(t, i, 0, FL_PTE_YOUNG | FL_PTE_DIRTY);
	fl_table_unlock(t);
	c->f.kind = FL_KIND_SPURIOUS;
	return FL_STEP_DONE;
}

enum fl_step fl_fault_present(struct fl_fault_ctx *c, fl_pte seen)
{
	fl_pte right = fl_access_right((enum fl_access)c->f.access);

	if ((seen & right & FL_PTE_WRITE) && !(seen & FL_PTE_DIRTY) && (c->f.flags & FL_FAULTF_POPULATE))
		return mark_written(c, seen);
	if (seen & right) {
		c->f.kind = FL_KIND_SPURIOUS;
		return FL_STEP_DONE;
	}
	/*
	 * The masks let the access through although the entry of such a VMA never allows it (x86: a fetch that came
	 * before the page was there). Repeating it would end in a refusal, so refuse; unless the VMA is about to be
	 * replaced.
	 */
	if (!(fl_pte_prot(c->mm->arch, c->vma->flags) & right) && c->resolved_by_uffd) {
		/* It did come before the page was there, and the page has come: that is one fault, the refusal another. */
		c->f.kind = FL_KIND_SPURIOUS;
		return FL_STEP_DONE;
	}
	if (!(fl_pte_prot(c->mm->arch, c->vma->flags) & right))
		return fl_load_seq(&c->vma->mark) ? FL_STEP_STALE : FL_STEP_ACCESS;
	if (c->f.access != FL_WRITE)
		return widen(c, seen);
	if (!(seen & FL_PTE_ZERO)) {
		fl_vma_anon_id(c->mm, c->vma);
		return write_shared(c, seen);
	}
	if (c->f.flags & FL_FAULTF_AHEAD)
		return FL_STEP_LEAVE;
	fl_vma_anon_id(c->mm, c->vma);
	return write_zero(c, seen);
}
