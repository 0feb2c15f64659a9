/* SPDX-License-Identifier: MIT */
/*
 * Memory that grows downwards by itself: a place for it with room below, accesses at every distance, its limit, and what is in the
 * way.
 *
 * No locks: one thread.
 */
#include <string.h>

#include "diff/generate/internal.h"
#include "diff/generate/uffd.h"

#define PAGE ((int64_t)FL_DIFF_PAGE)

static bool map_stack(struct fl_gen *g)
{
	unsigned area = g->areas > 1 && !g->area[1].result ? 1 : 0;
	int pages = 1 + (int)fl_gen_below(g, 4), at;
	struct fl_gen_span s = {.area = area};
	unsigned prot = fl_gen_percent(g, 85) ? 3 : 1;

	at = g->area[area].pages - pages - (int)fl_gen_below(g, 6);
	if (at < 0)
		return false;
	s.at = at * PAGE;
	s.bytes = fl_gen_bytes(pages);
	fl_gen_say(g, "mmap ");
	fl_gen_say_range(g, &s);
	fl_gen_say_prot(g, prot);
	fl_gen_say(g, " stack");
	if (fl_gen_percent(g, 10))
		fl_gen_say(g, " locked");
	fl_gen_replace(g, fl_gen_here(g), &s, (uint16_t)(FL_GEN_MAPPED | FL_GEN_DOWN | prot));
	return true;
}

/* The lowest page of some stack. */
static bool find_stack(struct fl_gen *g, unsigned *area, int *page)
{
	unsigned from = fl_gen_below(g, g->areas);

	for (unsigned i = 0; i < g->areas; i++) {
		*area = (from + i) % g->areas;
		if (g->area[*area].result)
			continue;
		for (*page = 0; *page < g->area[*area].pages; ++*page) {
			if (g->process[fl_gen_here(g)].page[*area][*page] & FL_GEN_DOWN)
				return true;
		}
	}
	return false;
}

/* An access below it. */
static bool reach_below(struct fl_gen *g)
{
	static const uint64_t distances[] = {1,    4,     8,     16,     100,    4088,    4096,   4104,
					     8192, 20000, 65536, 131072, 300000, 1048576, 1500000};
	static const char *const words[] = {"load", "load", "store", "store", "store", "copyin", "copyout"};
	const char *word = FL_GEN_WORD(g, words);
	struct fl_gen_span s = {.bytes = 8}, grown;
	uint16_t kind;
	bool write;
	int page;

	if (!find_stack(g, &s.area, &page))
		return false;
	s.at = page * PAGE - (int64_t)FL_GEN_ONE(g, distances);
	kind = g->process[fl_gen_here(g)].page[s.area][page];
	write = !strcmp(word, "store") || !strcmp(word, "copyout");
	fl_gen_say(g, "%s ", word);
	fl_gen_say_place(g, &s);
	if (write)
		fl_gen_say(g, " %#x", 1 + fl_gen_below(g, 0xffff));
	grown = (struct fl_gen_span){.area = s.area, .at = s.at & -PAGE};
	grown.bytes = (uint64_t)(page * PAGE - grown.at);
	fl_gen_replace(g, fl_gen_here(g), &grown, kind & (uint16_t)~FL_GEN_THERE);
	return fl_gen_touch(g, &s, write, word[0] == 'c');
}

/* The protection of all of it, from a page inside. */
static bool protect_all(struct fl_gen *g)
{
	static const uint64_t prots[] = {0x1000001, 0x1000003, 0x1000000, 0x2000003, 0x3000001, 0x1000007};
	struct fl_gen_span s = fl_gen_span(g, fl_gen_here(g), FL_GEN_SPECIAL, FL_GEN_SPOIL_ODD);
	unsigned prot = (unsigned)FL_GEN_ONE(g, prots);

	fl_gen_say(g, "mprotect ");
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	fl_gen_say_prot(g, prot);
	return true;
}

/* Something below it, near or not so near: in the way. */
static bool stand_in_way(struct fl_gen *g)
{
	static const uint64_t distances[] = {1, 2, 3, 8, 40, 100, 255, 256, 257, 300};
	struct fl_gen_span s = {.bytes = FL_DIFF_PAGE};
	unsigned prot = fl_gen_percent(g, 60) ? 3 : 0;
	int page;

	if (!find_stack(g, &s.area, &page))
		return false;
	s.at = (page - 1 - (int64_t)FL_GEN_ONE(g, distances)) * PAGE;
	fl_gen_say(g, "mmap ");
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	fl_gen_say_prot(g, prot);
	if (fl_gen_percent(g, 15))
		fl_gen_say(g, " stack");
	fl_gen_replace(g, fl_gen_here(g), &s, (uint16_t)(FL_GEN_MAPPED | prot));
	return true;
}

/* What has no access keeps it away from nothing, at whatever distance; what has, does. */
static bool grow_towards(struct fl_gen *g)
{
	static const uint64_t distances[] = {3, 4, 6, 10, 40, 100, 200, 255, 256, 257};
	int64_t distance = (int64_t)FL_GEN_ONE(g, distances), above;
	struct fl_gen_span s = {.bytes = FL_DIFF_PAGE};
	unsigned here = fl_gen_here(g), kind;
	int page;

	if (!find_stack(g, &s.area, &page))
		return false;
	kind = g->process[here].page[s.area][page];
	s.at = (page - distance) * PAGE;
	fl_gen_say(g, "mmap ");
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	fl_gen_say_prot(g, fl_gen_percent(g, 75) ? 0 : 1);
	fl_gen_replace(g, here, &s, FL_GEN_MAPPED);
	fl_gen_say_next(g);
	/* One of the pages between the two: the nearest to it, the nearest to the stack, or any. */
	above = fl_gen_percent(g, 35) ? 1 : 1 + (int64_t)fl_gen_below(g, (unsigned)distance - 1);
	if (fl_gen_percent(g, 20))
		above = distance - 1;
	s.at += above * PAGE;
	s.bytes = (uint64_t)((distance - above) * PAGE);
	fl_gen_replace(g, here, &s, (uint16_t)(kind & ~(unsigned)FL_GEN_THERE));
	s.bytes = 8;
	if (!fl_gen_touch(g, &s, true, false))
		return false;
	fl_gen_say(g, "store ");
	fl_gen_say_place(g, &s);
	fl_gen_say(g, " %#x", 1 + fl_gen_below(g, 0xffff));
	return true;
}

/* The userfaultfd that watches this process, and makes it wait. FL_GEN_UFFDS: none. */
static unsigned watcher(const struct fl_gen *g)
{
	for (unsigned i = 0; i < FL_GEN_UFFDS; i++) {
		const struct fl_gen_uffd *u = &g->uffd[i];

		if (u->open && u->ready && !u->sigbus && u->process == fl_gen_here(g))
			return i;
	}
	return FL_GEN_UFFDS;
}

/* It is watched, and becomes longer: what is new of it is watched as well. */
static bool grow_watched(struct fl_gen *g)
{
	static const uint64_t distances[] = {1, 8, 16, 4088, 4096, 4097, 8192, 20000, 65536};
	struct fl_gen_span s = {.bytes = FL_DIFF_PAGE};
	unsigned here = fl_gen_here(g), i = watcher(g), other = fl_gen_other(g, here);
	bool write = fl_gen_percent(g, 50);
	int page;

	if (i == FL_GEN_UFFDS || other == FL_GEN_THREADS)
		return false;
	if (!find_stack(g, &s.area, &page)) {
		if (!fl_gen_about(g, FL_FOCUS_STACK) && fl_gen_percent(g, 70))
			return false;
		if (!map_stack(g) || !find_stack(g, &s.area, &page))
			return false;
		fl_gen_say_next(g);
	}
	s.at = page * PAGE;
	fl_gen_say(g, "register %s missing ", fl_gen_uffd_name(i));
	fl_gen_say_range(g, &s);
	fl_gen_change(g, here, &s, FL_GEN_UFFD, (i + 1) << FL_GEN_UFFD_SHIFT);
	fl_gen_say_turn(g, other);
	s.at -= (int64_t)FL_GEN_ONE(g, distances);
	s.bytes = (uint64_t)(page * PAGE - (s.at & -PAGE));
	fl_gen_replace(g, here, &s, (uint16_t)(FL_GEN_MAPPED | FL_GEN_DOWN | 3 | (i + 1) << FL_GEN_UFFD_SHIFT));
	s.bytes = 1;
	if (!fl_gen_touch(g, &s, write, false))
		return false;
	fl_gen_say(g, write ? "store " : "load ");
	fl_gen_say_place(g, &s);
	fl_gen_say(g, write ? " 0x5a size=1" : " size=1");
	return true;
}

static const struct fl_gen_row rows[] = {
	{2, FL_FOCUS_STACK, map_stack},    {3, FL_FOCUS_STACK, reach_below},
	{1, FL_FOCUS_STACK, protect_all},  {1, FL_FOCUS_STACK, stand_in_way},
	{1, FL_FOCUS_STACK, grow_towards}, {1, FL_FOCUS_STACK | FL_FOCUS_UFFD, grow_watched},
};
const struct fl_gen_family fl_gen_stacks = {rows, sizeof(rows) / sizeof(rows[0])};
