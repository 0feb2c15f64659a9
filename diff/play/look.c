/* SPDX-License-Identifier: MIT */
/*
 * Facts of mappings, pages, faults and unread messages. Those that are equal on both sides make no facts: there are many, and
 * only what differs is of interest. Of very many the first ones are compared, and how many there are.
 *
 * No locks: one thread.
 */
#include "diff/play/internal.h"

static unsigned processes(const struct fl_play_own *o)
{
	return (unsigned)o->s->processes + 1;
}

static bool alive(const struct fl_play_own *o, unsigned side, unsigned process)
{
	return o->side[side]->ops->alive(o->side[side], process);
}

static bool alive_on_both(const struct fl_play_own *o, unsigned process)
{
	return alive(o, FL_ENGINE, process) && alive(o, FL_KERNEL, process);
}

/* n[]: how many of all[] are compared. True: more cannot be, and the sides do not have as many. */
static bool cut(const size_t all[FL_SIDES], size_t n[FL_SIDES], size_t max)
{
	bool beyond = false;

	for (unsigned side = 0; side < FL_SIDES; side++) {
		beyond |= all[side] > max;
		n[side] = all[side] < max ? all[side] : max;
	}
	return beyond && all[FL_ENGINE] != all[FL_KERNEL];
}

static void add_counts(struct fl_play_own *o, unsigned process, enum fl_fact_field field, const size_t all[FL_SIDES])
{
	for (unsigned side = 0; side < FL_SIDES; side++)
		fl_facts_add(o, side, process, field, FL_FACT_ALL, all[side]);
}

/* As cut(), of the mappings of a process. */
static bool look(struct fl_play_own *o, unsigned process, enum fl_view what, size_t n[FL_SIDES], size_t all[FL_SIDES])
{
	for (unsigned side = 0; side < FL_SIDES; side++)
		all[side] = o->side[side]->ops->maps(o->side[side], process, what, o->map[side], FL_DIFF_MAPS);
	return cut(all, n, FL_DIFF_MAPS);
}

static uint64_t kind_of(const struct fl_seen_map *m)
{
	/* Offsets are multiples of a page. */
	return m->offset | (m->shared ? FL_MAP_IS_SHARED : 0) | (m->heap ? FL_MAP_IS_HEAP : 0) |
	       (m->stack ? FL_MAP_IS_STACK : 0);
}

static bool same_map(const struct fl_seen_map *a, const struct fl_seen_map *b)
{
	return a->end == b->end && a->prot == b->prot && kind_of(a) == kind_of(b);
}

static bool same_flags(const struct fl_seen_map *a, const struct fl_seen_map *b)
{
	return a->vm_flags == b->vm_flags;
}

static void add_map(struct fl_play_own *o, unsigned side, unsigned process, const struct fl_seen_map *m)
{
	fl_facts_add(o, side, process, FL_FACT_MAP, m->start, m->end);
	fl_facts_add(o, side, process, FL_FACT_MAP_PROT, m->start, m->prot);
	fl_facts_add(o, side, process, FL_FACT_MAP_KIND, m->start, kind_of(m));
}

static void add_flags(struct fl_play_own *o, unsigned side, unsigned process, const struct fl_seen_map *m)
{
	fl_facts_add(o, side, process, FL_FACT_VMFLAGS, m->start, m->vm_flags);
}

/* Both lists are in order of their addresses. */
static void walk_maps(struct fl_play_own *o, unsigned process, size_t engine, size_t kernel,
		      bool (*same)(const struct fl_seen_map *a, const struct fl_seen_map *b),
		      void (*add)(struct fl_play_own *o, unsigned side, unsigned process, const struct fl_seen_map *m))
{
	const struct fl_seen_map *e = o->map[FL_ENGINE], *h = o->map[FL_KERNEL];
	size_t i = 0, j = 0;

	while (i < engine || j < kernel) {
		bool take_e = i < engine && (j == kernel || e[i].start <= h[j].start);
		bool take_h = j < kernel && (i == engine || h[j].start <= e[i].start);

		if (!take_e || !take_h || !same(&e[i], &h[j])) {
			if (take_e)
				add(o, FL_ENGINE, process, &e[i]);
			if (take_h)
				add(o, FL_KERNEL, process, &h[j]);
		}
		i += take_e;
		j += take_h;
	}
}

void fl_facts_maps(struct fl_play_own *o)
{
	for (unsigned process = 0; process < processes(o); process++) {
		bool e = alive(o, FL_ENGINE, process), h = alive(o, FL_KERNEL, process);
		size_t n[FL_SIDES], all[FL_SIDES];
		bool more;

		if (e != h) {
			fl_facts_add(o, FL_ENGINE, process, FL_FACT_ALIVE, 0, e);
			fl_facts_add(o, FL_KERNEL, process, FL_FACT_ALIVE, 0, h);
		}
		if (!e || !h)
			continue;
		more = look(o, process, FL_VIEW_MAPS, n, all);
		walk_maps(o, process, n[FL_ENGINE], n[FL_KERNEL], same_map, add_map);
		if (more)
			add_counts(o, process, FL_FACT_MAPS, all);
	}
}

static void add_page(struct fl_play_own *o, unsigned side, unsigned process, const struct fl_seen_page *p)
{
	fl_facts_add(o, side, process, FL_FACT_PAGE, p->address, p->bits);
	if (p->hash)
		fl_facts_add(o, side, process, FL_FACT_HASH, p->address, p->hash);
}

static void walk_pages(struct fl_play_own *o, unsigned process, size_t engine, size_t kernel)
{
	const struct fl_seen_page *e = o->page[FL_ENGINE], *h = o->page[FL_KERNEL];
	size_t i = 0, j = 0;

	while (i < engine || j < kernel) {
		bool take_e = i < engine && (j == kernel || e[i].address <= h[j].address);
		bool take_h = j < kernel && (i == engine || h[j].address <= e[i].address);

		if (!take_e || !take_h || e[i].bits != h[j].bits || e[i].hash != h[j].hash) {
			if (take_e)
				add_page(o, FL_ENGINE, process, &e[i]);
			if (take_h)
				add_page(o, FL_KERNEL, process, &h[j]);
		}
		i += take_e;
		j += take_h;
	}
}

static void add_pages(struct fl_play_own *o, unsigned process, const size_t *maps)
{
	size_t n[FL_SIDES], all[FL_SIDES];
	bool more;

	for (unsigned side = 0; side < FL_SIDES; side++)
		all[side] = o->side[side]->ops->pages(o->side[side], process, o->map[side], maps[side], o->page[side],
						      FL_DIFF_PAGES);
	more = cut(all, n, FL_DIFF_PAGES);
	walk_pages(o, process, n[FL_ENGINE], n[FL_KERNEL]);
	if (more)
		add_counts(o, process, FL_FACT_PAGES, all);
}

static void add_faults(struct fl_play_own *o)
{
	for (unsigned actor = 0; actor < o->actors; actor++) {
		const struct fl_play_actor *who = &o->actor[actor];

		for (unsigned side = 0; side < FL_SIDES; side++) {
			if (who->minor[FL_ENGINE] != who->minor[FL_KERNEL])
				fl_facts_add(o, side, actor, FL_FACT_MINOR, 0, who->minor[side]);
			if (who->major[FL_ENGINE] != who->major[FL_KERNEL])
				fl_facts_add(o, side, actor, FL_FACT_MAJOR, 0, who->major[side]);
		}
	}
}

void fl_facts_memory(struct fl_play_own *o)
{
	size_t maps[FL_SIDES], all[FL_SIDES];

	/* Facts of one group stand together: the flags of all processes come before their pages. */
	for (unsigned process = 0; process < processes(o); process++) {
		if (!alive_on_both(o, process))
			continue;
		look(o, process, FL_VIEW_FLAGS, maps, all);
		walk_maps(o, process, maps[FL_ENGINE], maps[FL_KERNEL], same_flags, add_flags);
	}
	for (unsigned process = 0; process < processes(o); process++) {
		if (!alive_on_both(o, process))
			continue;
		look(o, process, FL_VIEW_MAPS, maps, all);
		add_pages(o, process, maps);
	}
	add_faults(o);
}

void fl_facts_unread(struct fl_play_own *o)
{
	for (unsigned u = 0; u < o->s->uffds; u++) {
		int64_t e = o->side[FL_ENGINE]->ops->unread(o->side[FL_ENGINE], u);
		int64_t h = o->side[FL_KERNEL]->ops->unread(o->side[FL_KERNEL], u);

		if (e < 0 || h < 0 || e == h)
			continue;
		fl_facts_add(o, FL_ENGINE, u, FL_FACT_UNREAD, 0, (uint64_t)e);
		fl_facts_add(o, FL_KERNEL, u, FL_FACT_UNREAD, 0, (uint64_t)h);
	}
}
