/* SPDX-License-Identifier: MIT */
/*
 * An address space: how it comes and goes, and what may be asked of it without changing it.
 *
 *   users   tasks and the embedder. The last one to leave unmaps everything.
 *   refs    the structure itself; all users together hold one, each userfaultfd context another.
 *
 * Both are atomic. What create sets never changes.
 */
#include "frame/frame_int.h"
#include "mm/mm_int.h"

#define DEFAULT_MAX_MAPS 65530u
#define STACK_GUARD_PAGES 256u
#define TABLES_SPARE 1024u
#define TABLES_MAX ((uint64_t)1 << 30)

/* What faultline/arch.h says of a geometry, and tables that reach all user addresses. */
static bool arch_ok(const struct fl_arch *arch)
{
	const struct fl_geometry *geo = &arch->geometry;
	unsigned bits = geo->page_shift, i;

	if (geo->levels < 2 || geo->levels > FL_MAX_LEVELS || arch->task_size & (((fl_va)1 << bits) - 1))
		return false;
	for (i = 0; i < geo->levels; i++) {
		if (bits > 63 || geo->index_bits[i] < 2 || geo->index_bits[i] > 13)
			return false;
		bits += geo->index_bits[i];
	}
	return arch->task_size && (bits > 63 || !((arch->task_size - 1) >> bits));
}

static bool config_ok(const struct fl_mm_config *c, const struct fl_arch *arch)
{
	fl_va below;

	if (!c->frames || fl_frames_page_shift(c->frames) != arch->geometry.page_shift || !arch_ok(arch))
		return false;
	below = ((fl_va)1 << arch->geometry.page_shift) - 1;
	if (((c->spare_lo | c->spare_hi) & below) || c->spare_lo > c->spare_hi || c->spare_hi > arch->task_size)
		return false;
	if ((c->brk | c->mmap_lo | c->mmap_hi | c->min_addr | c->min_hint) & below)
		return false;
	return c->mmap_lo <= c->mmap_hi && c->mmap_hi <= arch->task_size && c->brk <= arch->task_size &&
	       c->min_addr <= arch->task_size && c->min_hint <= arch->task_size && c->max_maps <= FL_INDEX_MAX / 2;
}

/* In whole pages, as Linux compares them. A word, so that it can change at any time; no counter gets past it. */
static uintptr_t limit_pages(const struct fl_mm *mm, uint64_t bytes)
{
	uint64_t pages = bytes == FL_LIMIT_ZERO ? 0 : fl_pages(mm, bytes);

	return !bytes || pages >= FL_NO_LIMIT ? FL_NO_LIMIT : (uintptr_t)pages;
}

void fl_mm_set_limits(struct fl_mm *mm, uint64_t as, uint64_t data, uint64_t memlock, uint64_t stack)
{
	fl_store(&mm->limit_as, limit_pages(mm, as));
	/* To mappings, though not to the heap, a limit of zero is none, for the sake of old programs (up to the hard one). */
	fl_store(&mm->limit_data, data == FL_LIMIT_ZERO ? FL_NO_LIMIT : limit_pages(mm, data));
	fl_store(&mm->limit_heap, limit_pages(mm, data));
	fl_store(&mm->limit_memlock, limit_pages(mm, memlock));
	fl_store(&mm->limit_no_locks, memlock == FL_LIMIT_ZERO);
	fl_store(&mm->limit_stack, limit_pages(mm, stack));
}

void fl_mm_set_max_maps(struct fl_mm *mm, uint64_t max_maps)
{
	if (!max_maps)
		max_maps = DEFAULT_MAX_MAPS;
	fl_store(&mm->max_maps, max_maps < FL_INDEX_MAX / 2 ? (uint32_t)max_maps : FL_INDEX_MAX / 2);
}

int fl_mm_locks_later(struct fl_mm *mm)
{
	uint32_t later = fl_load(&mm->lock_later);

	return (later & FL_VM_LOCKED ? FL_MCL_FUTURE : 0) | (later & FL_VM_LOCKONFAULT ? FL_MCL_ONFAULT : 0);
}

int fl_mm_create(const struct fl_mm_config *c, struct fl_mm **out)
{
	const struct fl_arch *arch = c->arch ? c->arch : &fl_arch_x86_64;
	struct fl_mm *mm;

	if (!config_ok(c, arch))
		return -FL_EINVAL;
	mm = fl_port_alloc(sizeof(*mm));
	if (!mm)
		return -FL_ENOMEM;
	if (fl_tables_init(&mm->tables, &arch->geometry)) {
		fl_port_free(mm, sizeof(*mm));
		return -FL_ENOMEM;
	}
	/* A guest that reads here and there needs no frames: its tables count as if each had one. */
	mm->tables.limit =
		(uint32_t)(fl_frames_total(c->frames) < TABLES_MAX ? fl_frames_total(c->frames) : TABLES_MAX) +
		TABLES_SPARE;
	mm->frames = c->frames;
	mm->arch = arch;
	mm->profile = c->profile ? c->profile : fl_profile_find(6, 18);
	mm->ops = c->ops;
	mm->machine = c->machine;
	mm->anon.ops = &fl_anon_ops;
	fl_index_init(&mm->index, (uint64_t)STACK_GUARD_PAGES << arch->geometry.page_shift);
	mm->min_addr = c->min_addr ? c->min_addr : arch->first_user;
	mm->spare_lo = c->spare_lo;
	mm->spare_hi = c->spare_hi;
	mm->min_hint = c->min_hint ? c->min_hint : mm->min_addr;
	mm->memory = c->memory ? c->memory >> arch->geometry.page_shift : fl_frames_total(c->frames);
	mm->mmap_lo = c->mmap_hi ? c->mmap_lo : arch->first_user;
	mm->mmap_hi = c->mmap_hi ? c->mmap_hi : arch->task_size;
	if (mm->mmap_lo < mm->min_addr)
		mm->mmap_lo = mm->min_addr;
	fl_mm_set_max_maps(mm, c->max_maps);
	fl_mm_set_limits(mm, c->limit_as, c->limit_data, c->limit_memlock, c->limit_stack);
	mm->brk_start = c->brk;
	fl_store(&mm->users, 1);
	fl_store(&mm->refs, 1);
	*out = mm;
	return 0;
}

void fl_mm_ref(struct fl_mm *mm)
{
	fl_count(&mm->refs, 1);
}

static void free_mm(struct fl_rcu_head *head)
{
	struct fl_mm *mm = FL_CONTAINER_OF(head, struct fl_mm, rcu);

	fl_port_free(mm, sizeof(*mm));
}

void fl_mm_unref(struct fl_mm *mm)
{
	if (!fl_add(&mm->refs, -1))
		fl_rcu_call(&mm->rcu, free_mm);
}

void fl_mm_get(struct fl_mm *mm)
{
	fl_count(&mm->users, 1);
}

bool fl_mm_get_not_zero(struct fl_mm *mm)
{
	uint32_t users = fl_load(&mm->users);

	while (users) {
		if (fl_cas(&mm->users, &users, users + 1))
			return true;
	}
	return false;
}

/* Nobody else is left: no task, no memory call, no fault. */
static void unmap_everything(struct fl_mm *mm)
{
	struct fl_vma *v, *all = NULL;
	fl_va va = 0;

	fl_mm_zap(mm, NULL, 0, mm->arch->task_size, true);
	while ((v = fl_index_find(&mm->index, va)) != NULL) {
		va = v->end;
		v->next = all;
		all = v;
	}
	fl_vma_free_rcu(all);
	fl_index_destroy(&mm->index);
	fl_tables_destroy(&mm->tables);
	if (mm->ops && mm->ops->drop)
		mm->ops->drop(mm->machine);
	fl_mm_unref(mm);
}

void fl_mm_put(struct fl_mm *mm)
{
	if (!fl_add(&mm->users, -1))
		unmap_everything(mm);
}

struct fl_frames *fl_mm_frames(struct fl_mm *mm)
{
	return mm->frames;
}

const struct fl_arch *fl_mm_arch(struct fl_mm *mm)
{
	return mm->arch;
}

void *fl_mm_machine(struct fl_mm *mm)
{
	return mm->machine;
}

void fl_mm_own_frame(struct fl_mm *mm, const struct fl_vma *v, fl_va page, fl_pfn pfn)
{
	struct fl_frame *m = fl_frame_meta(mm->frames, pfn);

	m->owner = mm;
	m->index = (uintptr_t)(v->pgoff + fl_pages(mm, page - v->start));
}

bool fl_mm_next_vma(struct fl_mm *mm, fl_va va, struct fl_vma_info *info)
{
	const struct fl_vma *v;
	bool found;

	fl_rcu_read_lock();
	v = fl_index_find(&mm->index, va);
	found = v != NULL;
	if (found) {
		info->start = v->start;
		info->end = v->end;
		info->vm_flags = v->flags | (fl_load(&v->guarded) ? FL_VM_MAYBE_GUARD : 0);
		info->pgoff = v->pgoff;
		info->cookie = v->object->cookie;
		info->heap = v->object->ops == &fl_anon_ops && v->end > mm->brk_start &&
			     v->start < mm->brk_start + fl_load(&mm->brk_size);
	}
	fl_rcu_read_unlock();
	return found;
}

void fl_mm_pagemap(struct fl_mm *mm, fl_va va, struct fl_page_info *info)
{
	fl_pte e = fl_table_peek(&mm->tables, va);

	*info = (struct fl_page_info){.pfn = FL_PFN_NONE};
	if (e & FL_PTE_PRESENT) {
		info->pfn = fl_pte_pfn(e);
		info->present = true;
		info->uffd_wp = (e & FL_PTE_UFFD_WP) != 0;
		info->zero = (e & FL_PTE_ZERO) != 0;
		/* The frame's metadata stays readable, whoever has the frame by now. */
		info->exclusive = !info->zero && fl_load(&fl_frame_meta(mm->frames, info->pfn)->maps) == 1;
	} else if (e & FL_PTE_MARKER) {
		info->swapped = true;
		info->guard = e == FL_MARKER_GUARD;
	}
}

fl_va fl_mm_find_gap(struct fl_mm *mm, uint64_t len, fl_va lo, fl_va hi)
{
	return fl_index_gap(&mm->index, len, lo, hi, fl_mm_page(mm), true);
}

bool fl_mm_walk(struct fl_mm *mm, fl_va va, enum fl_access access, struct fl_translation *t)
{
	return fl_tables_walk(&mm->tables, va, access, t);
}

/* Two VMAs one after the other, whose faulted pages Linux would let share an anon_vma: alike but for protection. */
static bool may_share_id(const struct fl_mm *mm, const struct fl_vma *a, const struct fl_vma *b)
{
	const uint64_t prot = FL_VM_READ | FL_VM_WRITE | FL_VM_EXEC;

	return a->end == b->start && !((a->flags ^ b->flags) & ~prot) && a->object == b->object &&
	       a->pgoff + fl_pages(mm, a->end - a->start) == b->pgoff;
}

/* The id of neighbour that v may take over; 0: none. */
static uint32_t shared_id(const struct fl_mm *mm, const struct fl_vma *v, const struct fl_vma *neighbour, bool after)
{
	uint32_t id;

	if (!neighbour || !(after ? may_share_id(mm, v, neighbour) : may_share_id(mm, neighbour, v)))
		return 0;
	id = fl_load(&neighbour->anon_id);
	return id & FL_ANON_FORKED ? 0 : id;
}

uint32_t fl_vma_anon_id(struct fl_mm *mm, struct fl_vma *v)
{
	/* Also where somebody else gave it: before our load of the mark. Partner: inherit_anon_id in change.c. */
	uint32_t id = fl_load_seq(&v->anon_id), none = 0;

	if (FL_LIKELY(id != 0))
		return id;
	id = shared_id(mm, v, fl_index_find(&mm->index, v->end), true);
	if (!id)
		id = shared_id(mm, v, fl_index_find_prev(&mm->index, v->start), false);
	while (!id)
		id = fl_add(&mm->next_anon_id, 1) & ~FL_ANON_FORKED;
	return fl_cas(&v->anon_id, &none, id) ? id : none;
}

static int count_present(void *arg, struct fl_table *t, fl_va start, fl_va end)
{
	uint64_t *n = arg;
	unsigned i;

	(void)start;
	(void)end;
	for (i = 0; i < 1u << t->index_bits; i++)
		*n += (fl_entry_get(t, i) & FL_PTE_PRESENT) != 0;
	return 0;
}

void fl_mm_stats(struct fl_mm *mm, struct fl_mm_stats *s)
{
	s->vmas = fl_load(&mm->index.count);
	s->total_pages = fl_load(&mm->total_pages);
	s->locked_pages = fl_load(&mm->locked_pages);
	s->tables = fl_load(&mm->tables.count);
	s->resident = 0;
	(void)fl_tables_for_each(&mm->tables, 0, mm->arch->task_size, count_present, &s->resident);
}
