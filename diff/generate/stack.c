/* SPDX-License-Identifier: MIT */
/*
 * Memory that grows downwards by itself: a place for it with room below, accesses at every distance, its limit, and what is in the
 * way.
 *
 * No locks: one thread.
 */
#include <string.h>

#include "diff/generate/internal.h"

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
	int page;

	if (!find_stack(g, &s.area, &page))
		return false;
	s.at = page * PAGE - (int64_t)FL_GEN_ONE(g, distances);
	kind = g->process[fl_gen_here(g)].page[s.area][page];
	fl_gen_say(g, "%s ", word);
	fl_gen_say_place(g, &s);
	if (!strcmp(word, "store") || !strcmp(word, "copyout"))
		fl_gen_say(g, " %#x", 1 + fl_gen_below(g, 0xffff));
	grown = (struct fl_gen_span){.area = s.area, .at = s.at & -PAGE};
	grown.bytes = (uint64_t)(page * PAGE - grown.at);
	fl_gen_replace(g, fl_gen_here(g), &grown, kind & (uint16_t)~FL_GEN_THERE);
	return true;
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

static const struct fl_gen_row rows[] = {
	{2, FL_FOCUS_STACK, map_stack},
	{3, FL_FOCUS_STACK, reach_below},
	{1, FL_FOCUS_STACK, protect_all},
	{1, FL_FOCUS_STACK, stand_in_way},
};
const struct fl_gen_family fl_gen_stacks = {rows, sizeof(rows) / sizeof(rows[0])};
