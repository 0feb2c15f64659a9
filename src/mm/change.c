/* SPDX-License-Identifier: MIT */
/*
 * A change of VMAs: lock, and steps of prepare, mark, pass and commit (rules 3 and 4).
 *
 * Only whoever holds the range lock exclusively may mark VMAs that lie in it, so between the look-up and the commit
 * they stay.
 */
#include "mm/mm_int.h"
#include "sync/bug.h"

/* Pages to ask a limit for that it is not asked for. */
#define NO_QUESTION UINT64_MAX

/*
 * How far a change of [start, end) may reach: to the ends of the VMAs that overlap or touch it; and a page to either
 * side where there is none, lest a neighbour be put there by somebody else after we have looked.
 */
static void extent(struct fl_mm *mm, fl_va start, fl_va end, fl_va *lo, fl_va *hi)
{
	fl_va page = fl_mm_page(mm);
	struct fl_vma *v;

	*lo = start > page ? start - page : 0;
	*hi = end + page > end ? end + page : end;
	if (FL_BUG(lock_too_short)) {
		*lo = start;
		*hi = end;
		return;
	}
	fl_rcu_read_lock();
	v = fl_index_find(&mm->index, start ? start - 1 : 0);
	if (v && v->start < *lo)
		*lo = v->start;
	v = fl_index_find(&mm->index, end);
	if (v && v->start <= end && v->end > *hi)
		*hi = v->end;
	fl_rcu_read_unlock();
}

static void init(struct fl_change *c, struct fl_task *t, struct fl_mm *mm)
{
	c->mm = mm;
	c->task = t;
	c->n = 0;
	c->old = NULL;
	c->keeps = c->apart = c->alone = c->grows = false;
	c->ask_total = c->ask_data = NO_QUESTION;
	c->room = FL_ROOM_ANY;
	c->stock = NULL;
	c->reserve.nodes = 0;
}

int fl_change_lock(struct fl_change *c, struct fl_task *t, struct fl_mm *mm, fl_va start, fl_va end)
{
	fl_va lo, hi;
	int err;

	init(c, t, mm);
	extent(mm, start, end, &c->lo, &c->hi);
	for (;;) {
		err = fl_range_lock(&mm->ranges, &c->lock, t, c->lo, c->hi, FL_RANGE_EXCLUSIVE, FL_WAIT_KILLABLE);
		if (err)
			return err;
		/* A neighbour may have grown while we waited. */
		extent(mm, start, end, &lo, &hi);
		if (lo >= c->lo && hi <= c->hi)
			return 0;
		fl_range_unlock(&mm->ranges, &c->lock);
		c->lo = lo;
		c->hi = hi;
	}
}

void fl_change_lock_all(struct fl_change *c, struct fl_task *t, struct fl_mm *mm)
{
	init(c, t, mm);
	c->lo = 0;
	c->hi = mm->arch->task_size;
	if (fl_range_lock(&mm->ranges, &c->lock, t, c->lo, c->hi, FL_RANGE_EXCLUSIVE, FL_WAIT_UNINTERRUPTIBLE))
		fl_port_panic(__FILE__, __LINE__, "range lock: an uninterruptible wait was interrupted");
}

void fl_change_unlock(struct fl_change *c)
{
	fl_range_unlock(&c->mm->ranges, &c->lock);
}

/* Add v to the step's account, or (sign -1) take it off. */
static void count(struct fl_change *c, const struct fl_vma *v, uint64_t sign)
{
	uint64_t pages = fl_pages(c->mm, v->end - v->start) * sign;

	c->total += pages;
	if (fl_flags_are_data(v->flags))
		c->data += pages;
	if ((v->flags & FL_VM_LOCKED) && !(FL_BUG(lock_leaked) && sign != 1))
		c->locked += pages;
}

/*
 * Add pages (modulo 2^64) to a counter, unless it has no room for those that are asked for, below a limit in pages that
 * is never more than the counter can hold. Never for a moment either: somebody else's pages may fit.
 */
static bool charge(uintptr_t *counter, uint64_t pages, uint64_t ask, uintptr_t limit)
{
	uintptr_t now;

	if (ask == NO_QUESTION) {
		if (pages)
			fl_count(counter, (uintptr_t)pages);
		return true;
	}
	now = fl_load(counter);
	do {
		if (now > limit || ask > limit - now)
			return false;
	} while (pages && !fl_cas(counter, &now, (uintptr_t)(now + pages)));
	return true;
}

static void uncharge(uintptr_t *counter, uint64_t pages)
{
	if (pages)
		fl_count(counter, -(uintptr_t)pages);
}

bool fl_mm_may_expand(const struct fl_mm *mm, uint64_t vm_flags, uint64_t bytes)
{
	uint64_t pages = fl_pages(mm, bytes);

	if (fl_load(&mm->total_pages) + pages > fl_load(&mm->limit_as))
		return false;
	return !fl_flags_are_data(vm_flags) || fl_load(&mm->data_pages) + pages <= fl_load(&mm->limit_data);
}

void fl_change_ask(struct fl_change *c, uint64_t vm_flags, uint64_t pages)
{
	c->ask_total = pages;
	c->ask_data = fl_flags_are_data(vm_flags) ? pages : NO_QUESTION;
}

static uint32_t more_maps(const struct fl_change *c)
{
	return c->n > c->gone ? c->n - c->gone : 0;
}

/*
 * VMAs that come count from now on, those that go when they have gone: so there are never too many, not for a moment, however many
 * calls there are at once.
 */
static bool charge_maps(struct fl_change *c)
{
	uint32_t more = more_maps(c), room = c->room == FL_ROOM_ALL ? more : c->room, now;

	/* What adds nothing goes on where there are too many already. */
	if (c->room == FL_ROOM_ANY || (c->room == FL_ROOM_ALL && !more)) {
		if (more)
			fl_count(&c->mm->maps, more);
		return true;
	}
	now = fl_load(&c->mm->maps);
	do {
		c->full = (uint64_t)now + room > fl_load(&c->mm->max_maps);
		if (c->full)
			return false;
	} while (more && !fl_cas(&c->mm->maps, &now, now + more));
	return true;
}

static bool charge_pages(struct fl_change *c)
{
	struct fl_mm *mm = c->mm;
	bool may_lock = c->stock || (c->task->caps & FL_CAP_IPC_LOCK) || (int64_t)c->locked <= 0;

	if (!charge(&mm->total_pages, c->total, c->ask_total, fl_load(&mm->limit_as)))
		return false;
	if (!charge(&mm->data_pages, c->data, c->ask_data, fl_load(&mm->limit_data))) {
		uncharge(&mm->total_pages, c->total);
		return false;
	}
	/* The caller has asked whether it may lock; but so may others have, at the same time. */
	if (!charge(&mm->locked_pages, c->locked, may_lock ? NO_QUESTION : c->locked, fl_load(&mm->limit_memlock))) {
		uncharge(&mm->total_pages, c->total);
		uncharge(&mm->data_pages, c->data);
		return false;
	}
	return true;
}

static bool charge_step(struct fl_change *c)
{
	if (!charge_maps(c))
		return false;
	if (charge_pages(c))
		return true;
	fl_count(&c->mm->maps, -more_maps(c));
	return false;
}

static void discard(struct fl_change *c)
{
	while (c->n)
		fl_vma_free(c->add[--c->n]);
}

/* Part [start, end) of v, with all that v has. */
static struct fl_vma part_of(const struct fl_mm *mm, const struct fl_vma *v, fl_va start, fl_va end)
{
	return (struct fl_vma){
		.start = start,
		.end = end,
		.flags = FL_BUG(split_unflagged) && end < v->end ? v->flags & ~FL_VM_DONTDUMP : v->flags,
		.pgoff = FL_BUG(split_offset) ? v->pgoff : v->pgoff + fl_pages(mm, start - v->start),
		.object = v->object,
		.uffd = v->uffd,
		.anon_id = fl_load(&v->anon_id),
		.guarded = fl_load(&v->guarded),
	};
}

static bool add(struct fl_change *c, const struct fl_vma *v)
{
	struct fl_vma *fresh = c->stock;

	FL_ASSERT(!c->stock || !c->n);
	if (!fresh)
		fresh = fl_port_alloc(sizeof(*fresh));
	if (!fresh)
		return false;
	fl_vma_init(fresh, v);
	c->add[c->n++] = fresh;
	count(c, fresh, 1);
	return true;
}

/* Make a and b, which is the later one, one VMA in a. */
static void merge(struct fl_vma *a, const struct fl_vma *b)
{
	a->end = b->end;
	if (!a->anon_id)
		a->anon_id = b->anon_id;
	a->guarded |= b->guarded; /* this keeps nobody apart, and all have it afterwards */
}

int fl_change_prepare(struct fl_change *c, fl_va start, fl_va end, const struct fl_vma *put)
{
	unsigned shift = fl_mm_shift(c->mm), i, n = 0;
	struct fl_vma *l, *r, *v, piece[3];
	fl_va va;

	FL_ASSERT(start < end && start >= c->lo && end <= c->hi && (!put || (put->start == start && put->end == end)));
	c->start = c->from = start;
	c->end = c->to = end;
	c->total = c->data = c->locked = c->gone = 0;
	c->full = false;
	l = start ? fl_mm_vma_at(c->mm, start - 1) : NULL;
	if (l) {
		piece[n++] = part_of(c->mm, l, l->start, start);
		if (l->end > start || (put && !c->apart && fl_vma_can_merge(&piece[0], put, shift)))
			c->from = l->start;
		else
			n = 0;
	}
	if (put) {
		if (n && !c->apart && fl_vma_can_merge(&piece[n - 1], put, shift))
			merge(&piece[n - 1], put);
		else
			piece[n++] = *put;
	}
	r = fl_mm_vma_at(c->mm, end);
	if (r) {
		struct fl_vma rest = part_of(c->mm, r, end, r->end);

		/* Linux keeps what never faulted from what fork made, but not where mremap only makes a mapping longer. */
		if (put && c->grows && !rest.anon_id)
			rest.anon_id = put->anon_id;
		if (put && !c->alone && !FL_BUG(merge_left_only) && fl_vma_can_merge(&piece[n - 1], &rest, shift)) {
			merge(&piece[n - 1], &rest);
			c->to = r->end;
		} else if (r->start < end) {
			piece[n++] = rest;
			c->to = r->end;
		}
	}
	for (i = 0; i < n; i++) {
		if (!add(c, &piece[i]))
			goto fail;
	}
	for (va = c->from; va < c->to; va = v->end) {
		v = fl_index_find_in(&c->mm->index, va, c->to);
		if (!v)
			break;
		count(c, v, (uint64_t)-1);
		c->gone++;
	}
	if (!c->stock && fl_index_reserve(&c->mm->index, &c->reserve, c->n))
		goto fail;
	if (charge_step(c)) {
		c->ask_total = c->ask_data = NO_QUESTION;
		c->room = FL_ROOM_ANY;
		return 0;
	}
	fl_index_unreserve(&c->mm->index, &c->reserve);
fail:
	discard(c);
	c->room = FL_ROOM_ANY;
	return -FL_ENOMEM;
}

void fl_change_mark(struct fl_change *c)
{
	struct fl_vma *v;
	fl_va va;

	c->old = NULL;
	for (va = c->from; va < c->to; va = v->end) {
		v = fl_index_find_in(&c->mm->index, va, c->to);
		if (!v)
			break;
		/* Partners: a fault's load of the mark under a leaf lock, which we pass afterwards; and rule 6. */
		if (FL_BUG(mark_relaxed))
			fl_store(&v->mark, FL_VMA_STALE);
		else if (!FL_BUG(unmarked))
			fl_store_seq(&v->mark, FL_VMA_STALE);
		v->next = c->old;
		c->old = v;
	}
}

static bool overlap(const struct fl_vma *v, fl_va start, fl_va end)
{
	return start < end && v->start < end && start < v->end;
}

/* Is anything of old in fresh? What was in the replaced range is so only if the step keeps its pages. */
static bool goes_on(const struct fl_change *c, const struct fl_vma *old, const struct fl_vma *fresh)
{
	fl_va left = old->end < c->start ? old->end : c->start, right = old->start > c->end ? old->start : c->end;

	if (old->object != fresh->object)
		return false;
	if (c->keeps)
		return overlap(fresh, old->start, old->end);
	return overlap(fresh, old->start, left) || overlap(fresh, right, old->end);
}

/*
 * Faults may have given a VMA its identity since prepare. A fault does so before it looks at the mark and installs a
 * frame, so if a frame was installed in spite of our mark, the identity is seen here: both sides are seq_cst. No frame
 * without an identity.
 */
static void inherit_anon_id(struct fl_change *c)
{
	const struct fl_vma *v;
	unsigned i;

	for (v = c->old; v; v = v->next) {
		uint32_t id = fl_load_seq(&v->anon_id);

		for (i = 0; id && i < c->n; i++) {
			if (!c->add[i]->anon_id && goes_on(c, v, c->add[i]))
				c->add[i]->anon_id = id;
		}
	}
}

void fl_change_commit(struct fl_change *c)
{
	inherit_anon_id(c);
	c->stock = NULL;
	fl_index_commit(&c->mm->index, &c->reserve, c->from, c->to, c->add, c->n);
	if (c->gone > c->n)
		fl_count(&c->mm->maps, c->n - c->gone);
	c->n = 0;
	fl_vma_free_rcu(c->old);
	c->old = NULL;
	c->keeps = c->apart = c->alone = c->grows = false;
}

void fl_change_split(struct fl_change *c, fl_va va)
{
	const struct fl_vma *v = fl_mm_vma_at(c->mm, va);
	struct fl_vma rest;

	if (!v || v->start == va)
		return;
	rest = part_of(c->mm, v, va, v->end);
	c->keeps = c->apart = c->alone = true;
	if (!fl_change_prepare(c, va, v->end, &rest)) {
		fl_store(&c->mm->unmerged, 1);
		fl_change_mark(c);
		fl_change_commit(c);
	}
	c->keeps = c->apart = c->alone = false;
}

int fl_change_stock(struct fl_change *c, const struct fl_change *locked)
{
	init(c, locked->task, locked->mm);
	c->lo = locked->lo;
	c->hi = locked->hi;
	c->stock = fl_port_alloc(sizeof(*c->stock));
	if (!c->stock)
		return -FL_ENOMEM;
	if (!fl_index_reserve(&c->mm->index, &c->reserve, 1))
		return 0;
	fl_port_free(c->stock, sizeof(*c->stock));
	return -FL_ENOMEM;
}

void fl_change_unstock(struct fl_change *c)
{
	fl_index_unreserve(&c->mm->index, &c->reserve);
	fl_port_free(c->stock, sizeof(*c->stock));
}

struct rights {
	struct fl_mm *mm;
	struct fl_gather *gather;
	fl_pte prot;
	bool keep_wp;
};

/* Give the entries of [start, end) the rights of their VMA; the one to write only to frames that nobody shares. */
static int set_rights(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	struct rights *r = arg;
	fl_va page = fl_mm_page(r->mm);
	unsigned i = fl_leaf_index(&r->mm->tables, start);
	fl_pte e, old, prot;

	for (; start < end; start += page, i++) {
		e = fl_entry_get(t, i);
		if (!(e & FL_PTE_PRESENT))
			continue;
		prot = r->prot;
		if ((e & (FL_PTE_ZERO | FL_PTE_UFFD_WP)) || !(e & FL_PTE_EXCL))
			prot &= ~FL_PTE_WRITE;
		if ((e & FL_PTE_RWX) == prot)
			continue;
		old = fl_entry_flags(t, i, FL_PTE_RWX & ~prot, prot);
		if (old & FL_PTE_RWX & ~prot)
			fl_gather_protected(r->gather, start, page);
	}
	return 0;
}

int fl_change_flags(struct fl_change *c, const struct fl_vma *v, fl_va start, fl_va end, uint64_t flags,
		    struct fl_uffd *uffd)
{
	struct rights r = {.mm = c->mm, .prot = fl_pte_prot(c->mm->arch, flags)};
	struct fl_vma put = part_of(c->mm, v, start, end);
	struct fl_gather g;

	put.flags = flags;
	put.uffd = uffd;
	c->keeps = true;
	c->room = FL_ROOM_ALL;
	if (fl_change_prepare(c, start, end, &put)) {
		/* Linux cuts at the start, then finds no room for the other cut, and leaves the pieces. */
		c->room = FL_ROOM_ALL;
		if (c->full && v->start < start && v->end > end)
			fl_change_split(c, start);
		return -FL_ENOMEM;
	}
	fl_change_mark(c);
	if (FL_BUG(vma_written))
		c->old->flags = flags;
	/* The pass is due even where no right changes: it ends the faults that took the old flags for true. */
	fl_mm_gather_begin(&g, c->mm, c->task);
	r.gather = &g;
	if (!(flags & FL_VM_FOREIGN) && !FL_BUG(rights_kept))
		(void)fl_tables_for_each(&c->mm->tables, start, end, set_rights, &r);
	fl_gather_end(&g);
	fl_change_commit(c);
	return 0;
}
