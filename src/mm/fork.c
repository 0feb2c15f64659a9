/* SPDX-License-Identifier: MIT */
/*
 * fork(2)'s part: the child gets the parent's VMAs and the same frames, which from then on neither may write.
 *
 * The parent is locked as a whole. Its VMAs carry a BUSY mark while the tables are passed, so that no fault makes a
 * page between two tables: else the child could see a later write and miss an earlier one (rule 4). The child is nobody
 * else's yet; its leaf locks nest in the parent's. On failure the child is torn down; the parent has lost some rights
 * to write, which its faults restore.
 */
#include "frame/frame_int.h"
#include "mm/mm_int.h"
#include "sync/bug.h"

#define BATCH 8

struct copy {
	struct fl_mm *mm, *child;
	struct fl_task *task;
	const struct fl_vma *vma; /* the parent's, under way */
	struct fl_gather gather;
};

/* The child's VMA for v, or NULL: no memory. */
static struct fl_vma *copy_vma(struct fl_mm *child, const struct fl_vma *v)
{
	struct fl_vma copy = {
		.start = v->start,
		.end = v->end,
		.flags = v->flags &
			 ~(FL_BUG(fork_locked) ? FL_VM_UFFD_ANY : FL_VM_LOCKED | FL_VM_LOCKONFAULT | FL_VM_UFFD_ANY),
		.pgoff = v->pgoff,
		.object = v->object->ops == &fl_anon_ops ? &child->anon : v->object,
		.guarded = fl_load(&v->guarded),
	};

	/* Sequentially consistent, and after the BUSY mark: no frame is there without an identity (src/mm/change.c). */
	if (fl_load_seq(&v->anon_id) && !(v->flags & FL_VM_WIPEONFORK))
		copy.anon_id = ++child->next_anon_id | FL_ANON_FORKED;
	return fl_vma_new(&copy);
}

static void count(struct fl_mm *child, const struct fl_vma *v)
{
	uintptr_t pages = (uintptr_t)fl_pages(child, v->end - v->start);

	child->total_pages += pages;
	if (fl_flags_are_data(v->flags))
		child->data_pages += pages;
}

static int put_batch(struct fl_mm *child, struct fl_vma **v, unsigned n)
{
	struct fl_index_reserve r = {0};

	if (!n)
		return 0;
	if (fl_index_reserve(&child->index, &r, n)) {
		while (n)
			fl_vma_free(v[--n]);
		return -FL_ENOMEM;
	}
	child->maps += n;
	fl_index_commit(&child->index, &r, v[0]->start, v[n - 1]->end, v, n);
	return 0;
}

static int copy_vmas(struct fl_mm *mm, struct fl_mm *child)
{
	struct fl_vma *v, *batch[BATCH];
	unsigned n = 0;
	fl_va va;

	for (va = 0; (v = fl_index_find(&mm->index, va)) != NULL; va = v->end) {
		if (v->flags & FL_VM_DONTCOPY)
			continue;
		if (n == BATCH) {
			n = 0;
			if (put_batch(child, batch, BATCH))
				return -FL_ENOMEM;
		}
		batch[n] = copy_vma(child, v);
		if (!batch[n]) {
			while (n)
				fl_vma_free(batch[--n]);
			return -FL_ENOMEM;
		}
		count(child, batch[n++]);
	}
	return put_batch(child, batch, n);
}

/* A pinned frame stays the parent's alone: whoever pinned it reads and writes what the parent has. */
static int copy_frame(struct copy *c, fl_va va, fl_pte e, fl_pte *out)
{
	fl_pfn pfn = fl_frame_alloc(c->task);

	if (pfn == FL_PFN_NONE)
		return -FL_ENOMEM;
	fl_port_copy(fl_frame_data(c->mm->frames, pfn), fl_frame_data(c->mm->frames, fl_pte_pfn(e)),
		     (size_t)fl_mm_page(c->mm));
	fl_store(&fl_frame_meta(c->mm->frames, pfn)->maps, 1);
	fl_mm_own_frame(c->child, c->vma, va, pfn);
	*out = fl_pte_make(pfn, (e & FL_PTE_RWX) | FL_PTE_EXCL | FL_PTE_DIRTY);
	return 0;
}

/* The child's entry for the parent's present entry i. */
static int share_entry(struct copy *c, struct fl_table *t, unsigned i, fl_va va, fl_pte *out)
{
	fl_pte e = fl_entry_get(t, i), own = e & (FL_PTE_WRITE | FL_PTE_EXCL);
	struct fl_frame *m;

	*out = e & ~(FL_PTE_WRITE | FL_PTE_EXCL | FL_PTE_YOUNG | FL_PTE_UFFD_WP);
	if (e & FL_PTE_ZERO)
		return 0;
	m = fl_frame_meta(c->mm->frames, fl_pte_pfn(e));
	if (own && !FL_BUG(fork_writable))
		fl_entry_flags(t, i, own, 0);
	/*
	 * Only now: who pins, looks at the entry again afterwards (fl_frame_pin). Either it sees no WRITE, or we the
	 * pin.
	 */
	if (fl_frame_pinned(m)) {
		if (own)
			fl_entry_flags(t, i, 0, own);
		return copy_frame(c, va, e, out);
	}
	if (e & FL_PTE_WRITE)
		fl_gather_protected(&c->gather, va, fl_mm_page(c->mm));
	fl_frame_get(c->mm->frames, fl_pte_pfn(e));
	fl_add(&m->maps, 1);
	return 0;
}

static int copy_table(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	struct copy *c = arg;
	fl_va page = fl_mm_page(c->mm);
	unsigned i = fl_leaf_index(&c->mm->tables, start);
	struct fl_table *to = NULL;
	fl_pte e;
	int err = 0;

	if (!t->live)
		return 0;
	while (!to) {
		if (fl_table_ensure(&c->child->tables, start))
			return -FL_ENOMEM;
		to = fl_table_lock(&c->child->tables, start);
	}
	for (; !err && start < end; start += page, i++) {
		e = fl_entry_get(t, i);
		if (e & FL_PTE_PRESENT)
			err = share_entry(c, t, i, start, &e);
		else if ((e != FL_MARKER_GUARD || FL_BUG(fork_unguarded)) && e != FL_MARKER_POISON)
			continue; /* a write-protect marker goes with its registration */
		if (!err)
			fl_entry_set(to, i, e);
	}
	fl_table_unlock(to);
	return err;
}

static void mark_all(struct fl_mm *mm, uint32_t mark)
{
	struct fl_vma *v;
	fl_va va;

	for (va = 0; (v = fl_index_find(&mm->index, va)) != NULL; va = v->end) {
		if (!(v->flags & FL_VM_FOREIGN))
			fl_store_seq(&v->mark, mark); /* partner: a fault's load under a leaf lock */
	}
}

static int copy_tables(struct copy *c)
{
	const uint64_t no = FL_VM_DONTCOPY | FL_VM_FOREIGN | (FL_BUG(wipe_ignored) ? 0 : FL_VM_WIPEONFORK);
	struct fl_vma *v;
	fl_va va, last = 0;
	int err = 0;

	fl_mm_gather_begin(&c->gather, c->mm, c->task);
	for (va = 0; !err && (v = fl_index_find(&c->mm->index, va)) != NULL; va = v->end) {
		/*
		 * Where nothing was ever written there are zero pages at most, which the child can fault in. Linux copies
		 * them all the same where guards may be.
		 */
		if ((v->flags & no) || (!fl_load_seq(&v->anon_id) && !fl_load(&v->guarded)))
			continue;
		/* A gather is one range: what lies between may be the host's. */
		if (v->start != last)
			fl_gather_flush(&c->gather);
		last = v->end;
		c->vma = v;
		err = fl_tables_for_each(&c->mm->tables, v->start, v->end, copy_table, c);
	}
	fl_gather_end(&c->gather);
	return err;
}

static int make_child(struct fl_mm *mm, struct fl_mm **out)
{
	struct fl_mm_config config = {
		.arch = mm->arch,
		.profile = mm->profile,
		.frames = mm->frames,
		.mmap_lo = mm->mmap_lo,
		.mmap_hi = mm->mmap_hi,
		.min_addr = mm->min_addr,
		.min_hint = mm->min_hint,
		.spare_lo = mm->spare_lo,
		.spare_hi = mm->spare_hi,
		.memory = mm->memory << fl_mm_shift(mm),
		.brk = mm->brk_start,
		.max_maps = fl_load(&mm->max_maps),
	};
	struct fl_mm *child;
	void *machine = NULL;
	int err;

	err = fl_mm_create(&config, &child);
	if (err)
		return err;
	fl_store(&child->limit_as, fl_load(&mm->limit_as));
	fl_store(&child->limit_data, fl_load(&mm->limit_data));
	fl_store(&child->limit_memlock, fl_load(&mm->limit_memlock));
	fl_store(&child->limit_heap, fl_load(&mm->limit_heap));
	fl_store(&child->limit_no_locks, fl_load(&mm->limit_no_locks));
	fl_store(&child->limit_stack, fl_load(&mm->limit_stack));
	fl_store(&child->unmerged, 1);
	fl_store(&child->brk_size, fl_load(&mm->brk_size));
	if (mm->ops && mm->ops->fork) {
		machine = mm->ops->fork(mm->machine, child);
		if (!machine) {
			fl_mm_put(child);
			return -FL_ENOMEM;
		}
		child->ops = mm->ops;
		child->machine = machine;
	}
	*out = child;
	return 0;
}

int fl_mm_fork(struct fl_task *t, struct fl_mm **out)
{
	struct copy c = {.mm = t->mm, .task = t};
	struct fl_range_req lock;
	int err;

	err = fl_range_lock(&c.mm->ranges, &lock, t, 0, c.mm->arch->task_size, FL_RANGE_EXCLUSIVE, FL_WAIT_KILLABLE);
	if (err)
		return err;
	err = make_child(c.mm, &c.child);
	if (!err) {
		if (!FL_BUG(fork_unmarked))
			mark_all(c.mm, FL_VMA_BUSY);
		err = copy_vmas(c.mm, c.child);
		if (!err)
			err = copy_tables(&c);
		mark_all(c.mm, 0);
		if (err)
			fl_mm_put(c.child);
	}
	fl_range_unlock(&c.mm->ranges, &lock);
	*out = err ? NULL : c.child;
	return err;
}
