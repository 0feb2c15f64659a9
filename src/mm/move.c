/* SPDX-License-Identifier: MIT */
/*
 * Moving a mapping with its pages. Under one exclusive range lock over source and target:
 *
 *   1  set aside the VMA that will be at the target                          (may fail)
 *   2  mark the source BUSY; pass its tables; for every leaf table that will be wanted at the target, make it and put a
 *      placeholder into it, so that nobody takes it for empty and frees it   (may fail: the placeholders go, the mark
 *      is cleared)
 *   3  mark the source STALE; take its entries out, and put them in at the target: one leaf lock at a time, so that no
 *   order of two
 *      leaf locks is needed. Nobody can look at either place meanwhile: the source's faults wait, the target has no
 *      VMA.
 *   4  flush the source, publish the index without it, publish the target
 *
 * Steps 3 and 4 cannot fail. Frames keep their counts: an entry moves, none is made.
 */
#include "mm/move.h"
#include "sync/bug.h"

/* Of no meaning to the fault path, which never sees it: no VMA is there. */
#define PLACEHOLDER (FL_PTE_MARKER | (fl_pte)0xf << FL_PTE_SHIFT)
#define LOCKED_MASK (FL_VM_LOCKED | FL_VM_LOCKONFAULT)
#define BATCH 64

struct seek {
	struct fl_mm *mm;
	fl_va found;
};

static int first_live(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	struct seek *s = arg;
	unsigned i = fl_leaf_index(&s->mm->tables, start);

	for (; t->live && start < end; start += fl_mm_page(s->mm), i++) {
		if (fl_entry_get(t, i)) {
			s->found = start;
			return 1;
		}
	}
	return 0;
}

/* The first address in [start, end) that has an entry; end if there is none. */
static fl_va next_live(struct fl_mm *mm, fl_va start, fl_va end)
{
	struct seek s = {.mm = mm, .found = end};

	(void)fl_tables_for_each(&mm->tables, start, end, first_live, &s);
	return s.found;
}

/* Where the pages after va stop sharing its leaf table, at the source or at the target. */
static fl_va chunk_end(struct fl_mm *mm, fl_va va, fl_va from, fl_va to)
{
	fl_va source = fl_leaf_end(&mm->tables, va), target = fl_leaf_end(&mm->tables, to + (va - from)) - to + from;

	return source < target ? source : target;
}

/* Set or take away the placeholder at va. -FL_ENOMEM: no table. */
static int place(struct fl_mm *mm, fl_va va)
{
	struct fl_table *t = NULL;
	int err;

	while (!t) {
		err = fl_table_ensure(&mm->tables, va);
		if (err)
			return err;
		fl_rcu_read_lock();
		t = fl_table_lock(&mm->tables, va);
		fl_rcu_read_unlock();
	}
	fl_entry_set(t, fl_leaf_index(&mm->tables, va), PLACEHOLDER);
	fl_table_unlock(t);
	return 0;
}

static int drop_placeholders(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	struct fl_mm *mm = arg;
	unsigned i = fl_leaf_index(&mm->tables, start);

	for (; start < end && t->live; start += fl_mm_page(mm), i++) {
		if (fl_entry_get(t, i) == PLACEHOLDER)
			(void)fl_entry_clear(t, i);
	}
	return 0;
}

static void unprepare_target(struct fl_mm *mm, fl_va to, uint64_t len)
{
	(void)fl_tables_for_each(&mm->tables, to, to + len, drop_placeholders, mm);
	fl_tables_free_empty(&mm->tables, to, to + len);
}

/* Step 2: a table at the target for every one of the source that has entries. */
static int prepare_target(struct fl_mm *mm, fl_va from, uint64_t len, fl_va to)
{
	fl_va va, end = from + len;
	int err = 0;

	for (va = next_live(mm, from, end); !err && va < end; va = next_live(mm, va, end)) {
		err = place(mm, to + (va - from));
		va = chunk_end(mm, va, from, to);
		if (va >= end)
			break;
	}
	if (err)
		unprepare_target(mm, to, len);
	return err;
}

struct batch {
	struct fl_mm *mm;
	unsigned n;
	fl_va va[BATCH];
	fl_pte e[BATCH];
};

static int take(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	struct batch *b = arg;
	unsigned i = fl_leaf_index(&b->mm->tables, start);

	for (; start < end && t->live; start += fl_mm_page(b->mm), i++) {
		if (!fl_entry_get(t, i))
			continue;
		if (b->n == BATCH)
			return 1;
		b->va[b->n] = start;
		b->e[b->n++] = fl_entry_clear(t, i);
	}
	return 0;
}

/* Put what was taken where it goes: delta further on, modulo 2^64. */
static void put(struct batch *b, fl_va delta)
{
	struct fl_tables *pt = &b->mm->tables;
	struct fl_table *t;
	unsigned i = 0;
	fl_va end;

	while (i < b->n) {
		fl_rcu_read_lock();
		t = fl_table_lock(pt, b->va[i] + delta);
		fl_rcu_read_unlock();
		if (!t)
			fl_port_panic(__FILE__, __LINE__, "mremap: a table that holds a placeholder has gone");
		end = fl_leaf_end(pt, b->va[i] + delta);
		for (; i < b->n && b->va[i] + delta < end; i++)
			fl_entry_set(t, fl_leaf_index(pt, b->va[i] + delta), b->e[i]);
		fl_table_unlock(t);
	}
}

/* Step 3, and the flush. */
static void move_entries(struct fl_remap *r, fl_va from, uint64_t len, fl_va to, bool wp)
{
	struct batch b = {.mm = r->mm};
	struct fl_gather g;
	fl_va va = from;
	unsigned i;
	int full;

	fl_mm_gather_begin(&g, r->mm, r->task);
	do {
		b.n = 0;
		full = fl_tables_for_each(&r->mm->tables, va, from + len, take, &b);
		for (i = 0; i < b.n; i++) {
			if ((b.e[i] & FL_PTE_PRESENT) && !FL_BUG(move_unflushed))
				fl_gather_protected(&g, b.va[i], fl_mm_page(r->mm));
			if (!wp)
				b.e[i] &= ~FL_PTE_UFFD_WP;
		}
		put(&b, to - from);
		if (b.n)
			va = b.va[b.n - 1] + fl_mm_page(r->mm);
	} while (full);
	if (FL_BUG(mremap_flush_late))
		fl_mm_gather_begin(&g, r->mm, r->task);
	fl_gather_end(&g);
}

/*
 * What the source becomes: nothing, or with DONTUNMAP a mapping without pages. Linux then unlocks all of the VMA, not
 * just what has moved.
 */
static int prepare_source(struct fl_remap *r, const struct fl_vma *v, fl_va from, uint64_t len)
{
	/* Not *v: a fault may set the anon_id at this moment. */
	struct fl_vma rest = {
		.start = v->start,
		.end = v->end,
		.flags = v->flags,
		.pgoff = v->pgoff,
		.object = v->object,
		.uffd = v->uffd,
		.anon_id = fl_load(&v->anon_id),
		.guarded = fl_load(&v->guarded), /* stays although the guards go */
	};

	if (!(r->flags & FL_MREMAP_DONTUNMAP))
		return fl_change_prepare(&r->change, from, from + len, NULL);
	rest.flags &= FL_BUG(unmoved_locked) ? ~(uint64_t)0 : ~(FL_VM_LOCKED | FL_VM_LOCKONFAULT);
	r->change.keeps = len < v->end - v->start;
	if (!r->change.keeps)
		rest.anon_id = 0;
	/* As Linux, which only takes the pages out: nothing is merged. */
	r->change.apart = r->change.alone = true;
	fl_store(&r->mm->unmerged, 1);
	return fl_change_prepare(&r->change, v->start, v->end, &rest);
}

/* Mark the source, and set all aside that the move will need. On an error nothing has changed. */
static int prepare_both(struct fl_remap *r, struct fl_vma *v, fl_va from, uint64_t len, fl_va to)
{
	int err;

	fl_store_seq(&v->mark, FL_VMA_BUSY); /* partner: a fault's load under a leaf lock */
	err = prepare_target(r->mm, from, len, to);
	if (!err) {
		err = prepare_source(r, v, from, len);
		if (err)
			unprepare_target(r->mm, to, len);
	}
	if (err)
		fl_store_seq(&v->mark, 0);
	return err;
}

/*
 * What the kernel does to a target besides moving. Linux puts the target in its place, where it becomes one with
 * neighbours (with what is left of its source, too, if nobody has touched that), before it takes flags away: from a
 * registered mapping its registration, and with DONTUNMAP from the source its lock. So its new neighbours lose what it
 * loses; and as only flags change, nothing becomes one with something else. The place where the source was goes last,
 * so what is left around it has the identity of what it was one with.
 */
struct after {
	fl_va start, end;          /* what the target is one with, as it was before the source went */
	uint64_t lose;             /* flags */
	uint32_t anon_id, guarded; /* what all of it then has */
	bool spreads; /* to what is left of the source, too; if not, and nothing is lost, nothing happens */
};

static void join(struct after *a, const struct fl_vma *v)
{
	if (v->start < a->start)
		a->start = v->start;
	if (v->end > a->end)
		a->end = v->end;
	if (!a->anon_id)
		a->anon_id = fl_load(&v->anon_id);
	a->guarded |= fl_load(&v->guarded);
}

/* like: the target with all the flags that the source has. */
static struct after foresee(const struct fl_remap *r, const struct fl_vma *source, const struct fl_vma *like)
{
	struct fl_vma *left = like->start ? fl_mm_vma_at(r->mm, like->start - 1) : NULL;
	struct fl_vma *right = fl_mm_vma_at(r->mm, like->end);
	struct after a = {.start = like->start, .end = like->end, .lose = like->flags & FL_VM_UFFD_ANY};
	unsigned shift = fl_mm_shift(r->mm);

	if (left && !fl_vma_can_merge(left, like, shift))
		left = NULL;
	if (right && (!fl_vma_can_merge(like, right, shift) ||
		      (left && !fl_anon_ids_merge(fl_load(&left->anon_id), fl_load(&right->anon_id)))))
		right = NULL;
	join(&a, like);
	if (left)
		join(&a, left);
	if (right)
		join(&a, right);
	/* What never faulted, and so has no identity of its own, may become one with what it comes from. */
	a.spreads = (left == source || right == source) &&
		    (a.anon_id != fl_load(&source->anon_id) || a.guarded != like->guarded);
	if ((r->flags & FL_MREMAP_DONTUNMAP) && (left == source || right == source))
		a.lose |= like->flags & LOCKED_MASK;
	return a;
}

/* Who took the old flags for true has let this table go by now. */
static int pass(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	(void)arg;
	(void)t;
	(void)start;
	(void)end;
	return 0;
}

/* Without memory for it, things stay as they are. Returns how many locked pages there are more, modulo 2^64. */
static uint64_t make_alike(struct fl_remap *r, const struct after *a)
{
	struct fl_vma *v, *next, put;
	uint64_t locked = 0;
	fl_va va;

	fl_store(&r->mm->unmerged, 1);
	for (va = a->start; (v = fl_index_find_in(&r->mm->index, va, a->end)) != NULL; va = put.end) {
		put = (struct fl_vma){.start = v->start, .pgoff = v->pgoff, .object = v->object};
		put.flags = v->flags & ~a->lose;
		put.uffd = put.flags & FL_VM_UFFD_ANY ? v->uffd : NULL;
		put.end = v->end;
		put.anon_id = fl_load(&v->anon_id);
		put.guarded = fl_load(&v->guarded) | a->guarded;
		/* What touches is one with it, and may know who they are. */
		while (put.end < a->end && (next = fl_mm_vma_at(r->mm, put.end)) != NULL) {
			put.end = next->end;
			if (!put.anon_id)
				put.anon_id = fl_load(&next->anon_id);
		}
		if (!put.anon_id)
			put.anon_id = a->anon_id;
		r->change.keeps = r->change.apart = r->change.alone = true;
		if (!fl_change_prepare(&r->change, put.start, put.end, &put)) {
			locked += r->change.locked;
			fl_change_mark(&r->change);
			(void)fl_tables_for_each(&r->mm->tables, put.start, put.end, pass, NULL);
			fl_change_commit(&r->change);
		}
		r->change.keeps = r->change.apart = r->change.alone = false;
	}
	return locked;
}

int fl_move(struct fl_remap *r, struct fl_vma *v, fl_va from, uint64_t len, fl_va to, uint64_t new_len)
{
	struct fl_mm *mm = r->mm;
	struct fl_change target;
	struct fl_vma moved = {
		.start = to,
		.end = to + new_len,
		.flags = v->flags & ~FL_VM_UFFD_ANY, /* without EVENT_REMAP the new place is not registered */
		.pgoff = v->pgoff + fl_pages(mm, from - v->start),
		.object = v->object,
		.guarded = fl_load(&v->guarded),
	};
	const bool unlocks = (r->flags & FL_MREMAP_DONTUNMAP) && (v->flags & FL_VM_LOCKED);
	uint64_t locked; /* pages more than before, modulo 2^64 */
	struct fl_vma like;
	struct after after;
	int err;

	err = fl_change_stock(&target, &r->change);
	if (err)
		return err;
	err = prepare_both(r, v, from, len, to);
	if (err) {
		fl_change_unstock(&target);
		return err;
	}
	moved.anon_id = fl_load_seq(&v->anon_id); /* as in fl_change_commit */
	if (!moved.anon_id)
		moved.pgoff = fl_pages(mm, to); /* nothing depends on it yet, and so it merges better */
	like = moved;
	like.flags = v->flags;
	like.uffd = v->uffd;
	after = foresee(r, v, &like);
	fl_change_mark(&r->change);
	move_entries(r, from, len, to, false);
	locked = r->change.locked;
	fl_change_commit(&r->change);
	target.apart = target.alone = after.lose || after.spreads;
	if (fl_change_prepare(&target, moved.start, moved.end, &moved))
		fl_port_panic(__FILE__, __LINE__, "mremap: what had been set aside was not enough");
	locked += target.locked;
	fl_change_mark(&target);
	fl_change_commit(&target);
	if (after.lose || after.spreads)
		locked += make_alike(r, &after);
	/* Linux counts the target, and goes on counting the source, which it has unlocked. */
	if (unlocks)
		fl_count(&mm->locked_lost, (uintptr_t)(fl_pages(mm, new_len) - locked));
	return 0;
}
