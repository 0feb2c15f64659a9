/* SPDX-License-Identifier: MIT */
/*
 * One mapped range: how it comes and goes, and when two may be one. A VMA is immutable once published (rule 1); before
 * that it belongs to whoever made it. No lock.
 */
#include "vma/vma.h"
#include "sync/bug.h"

static bool anon_can_uffd(uint64_t modes)
{
	return !(modes & ~(FL_VM_UFFD_MISSING | FL_VM_UFFD_WP));
}

static bool foreign_can_uffd(uint64_t modes)
{
	(void)modes;
	return false;
}

static void foreign_release(struct fl_object *o)
{
	fl_port_free(o, sizeof(*o));
}

const struct fl_object_ops fl_anon_ops = {
	.name = "anonymous",
	.engine = true,
	.can_uffd = anon_can_uffd,
};

const struct fl_object_ops fl_foreign_ops = {
	.name = "foreign",
	.can_uffd = foreign_can_uffd,
	.release = foreign_release,
};

struct fl_object *fl_object_foreign(uint64_t cookie)
{
	struct fl_object *o = fl_port_alloc(sizeof(*o));

	if (!o)
		return NULL;
	o->ops = &fl_foreign_ops;
	o->cookie = cookie;
	fl_store(&o->refs, 1);
	return o;
}

void fl_object_get(struct fl_object *o)
{
	if (o->ops->release)
		fl_count(&o->refs, 1);
}

void fl_object_put(struct fl_object *o)
{
	if (o->ops->release && !fl_add(&o->refs, -1))
		o->ops->release(o);
}

void fl_vma_init(struct fl_vma *v, const struct fl_vma *like)
{
	v->start = like->start;
	v->end = like->end;
	v->flags = like->flags;
	v->pgoff = like->pgoff;
	v->object = like->object;
	v->uffd = like->uffd;
	v->anon_id = like->anon_id;
	v->guarded = like->guarded;
	v->counted = v->object->ops->release != NULL;
	fl_object_get(v->object);
	fl_uffd_get(v->uffd);
}

struct fl_vma *fl_vma_new(const struct fl_vma *like)
{
	struct fl_vma *v = fl_port_alloc(sizeof(*v));

	if (v)
		fl_vma_init(v, like);
	return v;
}

void fl_vma_free(struct fl_vma *v)
{
	if (!v)
		return;
	/* An object that is not counted lives in the address space, which may be gone by now. */
	if (v->counted)
		fl_object_put(v->object);
	fl_uffd_put(v->uffd);
	fl_port_free(v, sizeof(*v));
}

static void free_after_grace(struct fl_rcu_head *head)
{
	struct fl_vma *v = FL_CONTAINER_OF(head, struct fl_vma, rcu), *next;

	for (; v; v = next) {
		next = v->next;
		fl_vma_free(v);
	}
}

void fl_vma_free_rcu(struct fl_vma *v)
{
	if (v && FL_BUG(vma_freed_early))
		free_after_grace(&v->rcu);
	else if (v)
		fl_rcu_call(&v->rcu, free_after_grace);
}

static bool same_object(const struct fl_object *a, const struct fl_object *b)
{
	return a == b || (a->ops == b->ops && a->ops == &fl_foreign_ops && a->cookie == b->cookie);
}

bool fl_vma_can_merge(const struct fl_vma *a, const struct fl_vma *b, unsigned page_shift)
{
	const uint64_t same = FL_BUG(merge_unequal) ? ~(uint64_t)(FL_VM_DONTCOPY | FL_VM_WIPEONFORK) : ~(uint64_t)0;

	return a->end == b->start && !((a->flags ^ b->flags) & same) && a->uffd == b->uffd &&
	       a->pgoff + ((a->end - a->start) >> page_shift) == b->pgoff && same_object(a->object, b->object) &&
	       (FL_BUG(merge_strangers) || fl_anon_ids_merge(fl_load(&a->anon_id), fl_load(&b->anon_id)));
}
