/* SPDX-License-Identifier: MIT */
/*
 * Is everything as it should be? Every count is computed again from the tables and the index. Nothing else runs
 * meanwhile, so there are no locks.
 */
#include "frame/frame_int.h"
#include "mm/mm_int.h"

struct check {
	struct fl_mm *mm;
	uint32_t tables;
	const char *bad;
};

static bool fail(struct check *c, const char *what)
{
	c->bad = what;
	return false;
}

static bool check_vma(struct check *c, const struct fl_vma *v)
{
	fl_va below = fl_mm_page(c->mm) - 1;

	if (((v->start | v->end) & below) || v->end > c->mm->arch->task_size)
		return fail(c, "vma: not whole pages of user addresses");
	if (v->mark)
		return fail(c, "vma: a mark was left");
	if ((v->uffd != NULL) != ((v->flags & FL_VM_UFFD_ANY) != 0))
		return fail(c, "vma: a userfaultfd context without a mode, or a mode without a context");
	if (((v->flags & FL_VM_FOREIGN) != 0) != !v->object->ops->engine)
		return fail(c, "vma: FOREIGN does not say what the object is");
	if ((v->flags & FL_VM_FOREIGN) && v->uffd)
		return fail(c, "vma: a foreign mapping is registered");
	return true;
}

static bool check_vmas(struct check *c)
{
	struct fl_mm *mm = c->mm;
	uintptr_t total = 0, data = 0, locked = 0, pages;
	struct fl_vma *v, *prev = NULL;
	fl_va va;

	for (va = 0; (v = fl_index_find(&mm->index, va)) != NULL; va = v->end) {
		if (!check_vma(c, v))
			return false;
		/* Fork, DONTUNMAP and the growth of stacks merge nothing. */
		if (prev && !fl_load(&mm->unmerged) && !(v->flags & FL_VM_GROWSDOWN) &&
		    fl_vma_can_merge(prev, v, fl_mm_shift(mm)))
			return fail(c, "vma: two neighbours should be one");
		pages = (uintptr_t)fl_pages(mm, v->end - v->start);
		total += pages;
		data += fl_flags_are_data(v->flags) ? pages : 0;
		locked += v->flags & FL_VM_LOCKED ? pages : 0;
		prev = v;
	}
	if (total != mm->total_pages)
		return fail(c, "mm: total_pages is wrong");
	if (data != mm->data_pages)
		return fail(c, "mm: data_pages is wrong");
	if (locked != mm->locked_pages)
		return fail(c, "mm: locked_pages is wrong");
	if (mm->maps != mm->index.count)
		return fail(c, "mm: maps is wrong");
	return true;
}

static bool check_entry(struct check *c, fl_va va, fl_pte e)
{
	struct fl_mm *mm = c->mm;
	const struct fl_vma *v = fl_mm_vma_at(mm, va);
	const struct fl_frame *m;

	if (!v)
		return fail(c, "entry: no VMA is there");
	if (v->flags & FL_VM_FOREIGN)
		return fail(c, "entry: in a foreign VMA");
	if (!(e & FL_PTE_PRESENT))
		return e & FL_PTE_MARKER ? true : fail(c, "entry: neither present nor a marker");
	if (e & FL_PTE_RWX & ~fl_pte_prot(mm->arch, v->flags))
		return fail(c, "entry: more rights than its VMA");
	if (((e & FL_PTE_ZERO) != 0) != (fl_pte_pfn(e) == fl_frames_zero_pfn(mm->frames)))
		return fail(c, "entry: ZERO does not say whether it is the zero frame");
	if (e & FL_PTE_ZERO)
		return e & (FL_PTE_WRITE | FL_PTE_EXCL) ? fail(c, "entry: the zero frame may be written") : true;
	if (fl_pte_pfn(e) >= fl_frames_total(mm->frames))
		return fail(c, "entry: no such frame");
	if (!v->anon_id)
		return fail(c, "entry: a frame in a VMA without an identity");
	m = fl_frame_meta(mm->frames, fl_pte_pfn(e));
	if ((e & FL_PTE_EXCL) && fl_load(&m->maps) != 1)
		return fail(c, "entry: EXCL, and not the only map");
	if ((e & FL_PTE_WRITE) && !(e & FL_PTE_EXCL))
		return fail(c, "entry: writable and not EXCL");
	return true;
}

/* The entries below slot i of a table at this level are each so large. */
static unsigned slot_shift(const struct fl_geometry *geo, unsigned level)
{
	unsigned shift = geo->page_shift, i;

	for (i = 0; i < level; i++)
		shift += geo->index_bits[i];
	return shift;
}

/* Call fn for each entry that is not none below t, in order of address. As deep as there are levels. */
static bool each_entry(struct check *c, struct fl_table *t, fl_va base, bool (*fn)(struct check *, fl_va, fl_pte))
{
	unsigned shift = slot_shift(&c->mm->tables.geo, t->level);
	uint32_t i, live = 0;
	bool ok = true;
	fl_pte e;

	c->tables++;
	if (t->dead)
		return fail(c, "table: dead and in the tree");
	for (i = 0; ok && i < 1u << t->index_bits; i++) {
		fl_va va = base + ((fl_va)i << shift);

		e = t->e[i];
		if (!e)
			continue;
		live++;
		if (!t->level) {
			ok = fn(c, va, e);
		} else {
			struct fl_table *child = (struct fl_table *)(e & ~FL_PTE_TABLE);

			if (!child || child->parent != t || child->slot != i || child->level + 1 != t->level)
				return fail(c, "table: parent and child disagree");
			ok = each_entry(c, child, va, fn);
		}
	}
	if (ok && live != t->live)
		return fail(c, "table: live is wrong");
	return ok;
}

const char *fl_mm_check(struct fl_mm *mm)
{
	struct check c = {.mm = mm};

	c.bad = fl_index_check(&mm->index);
	if (!c.bad && check_vmas(&c) && each_entry(&c, mm->tables.root, 0, check_entry) &&
	    c.tables != fl_load(&mm->tables.count))
		c.bad = "tables: the count is wrong";
	return c.bad;
}

static bool add_map(struct check *c, fl_va va, fl_pte e)
{
	(void)va;
	if ((e & FL_PTE_PRESENT) && !(e & FL_PTE_ZERO))
		fl_add(&fl_frame_meta(c->mm->frames, fl_pte_pfn(e))->maps, 1);
	return true;
}

static bool sub_map(struct check *c, fl_va va, fl_pte e)
{
	(void)va;
	if ((e & FL_PTE_PRESENT) && !(e & FL_PTE_ZERO))
		fl_add(&fl_frame_meta(c->mm->frames, fl_pte_pfn(e))->maps, -1);
	return true;
}

/* With the maps that the tables account for taken off, none may be left. */
static const char *check_maps(struct fl_frames *f)
{
	uint64_t pfn, total = fl_frames_total(f);

	for (pfn = 0; pfn < total; pfn++) {
		if (pfn != fl_frames_zero_pfn(f) && fl_load(&fl_frame_meta(f, (fl_pfn)pfn)->maps))
			return "frame: maps differs from the entries that map it";
	}
	return NULL;
}

static const char *check_refs(struct fl_frames *f)
{
	uint64_t pfn, total = fl_frames_total(f);
	const struct fl_frame *m;

	for (pfn = 0; pfn < total; pfn++) {
		m = fl_frame_meta(f, (fl_pfn)pfn);
		if (pfn != fl_frames_zero_pfn(f) && fl_load(&m->refs) < fl_load(&m->maps))
			return "frame: fewer references than maps";
	}
	return NULL;
}

const char *fl_frames_check(struct fl_frames *f, struct fl_mm *const *mms, size_t n)
{
	struct check c = {0};
	const char *bad = NULL;
	size_t i;

	for (i = 0; !bad && i < n; i++)
		bad = mms[i]->frames == f ? fl_mm_check(mms[i]) : "mm: on another arena";
	if (bad)
		return bad;
	bad = check_refs(f);
	for (i = 0; i < n; i++) {
		c.mm = mms[i];
		(void)each_entry(&c, c.mm->tables.root, 0, sub_map);
	}
	if (!bad)
		bad = check_maps(f);
	for (i = 0; i < n; i++) {
		c.mm = mms[i];
		(void)each_entry(&c, c.mm->tables.root, 0, add_map);
	}
	return bad;
}
