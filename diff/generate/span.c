/* SPDX-License-Identifier: MIT */
/*
 * Which memory a statement is about: pieces of mappings, whole and in part, their neighbours and edges; and, now and then,
 * what no sane program would say.
 *
 * No locks: one thread.
 */
#include "diff/generate/internal.h"

#define PAGE ((int64_t)FL_DIFF_PAGE)

static unsigned any_area(struct fl_gen *g)
{
	unsigned at;

	if (g->areas == 1)
		return 0;
	at = fl_gen_below(g, 6 + 2 * (g->areas - 1));
	return at < 6 ? 0 : 1 + (at - 6) / 2;
}

bool fl_gen_find(struct fl_gen *g, unsigned process, enum fl_gen_want want, unsigned *area, int *page)
{
	for (unsigned tries = 0; tries < 12; tries++) {
		*area = any_area(g);
		*page = (int)fl_gen_below(g, (unsigned)g->area[*area].pages);
		if (fl_gen_matches(g->process[process].page[*area][*page], want))
			return true;
	}
	/* The first of them, from somewhere on. */
	for (unsigned i = 0, from = *area; i < g->areas; i++) {
		*area = (from + i) % g->areas;
		for (*page = 0; *page < g->area[*area].pages; ++*page) {
			if (fl_gen_matches(g->process[process].page[*area][*page], want))
				return true;
		}
	}
	*area = any_area(g);
	*page = (int)fl_gen_below(g, (unsigned)g->area[*area].pages);
	return false;
}

enum fl_gen_want fl_gen_usual(struct fl_gen *g)
{
	unsigned at = fl_gen_below(g, 100);

	if (fl_gen_about(g, FL_FOCUS_UFFD) && at < 25)
		return FL_GEN_WATCHED;
	if (fl_gen_about(g, FL_FOCUS_LOCK) && at < 25)
		return FL_GEN_LOCKS;
	return at >= 90 ? FL_GEN_SPECIAL : FL_GEN_IS;
}

/* Do two pages belong to one mapping? */
static bool same(uint16_t a, uint16_t b)
{
	return !((a ^ b) & ~(FL_GEN_THERE | FL_GEN_GUARD | FL_GEN_FREED));
}

/* What around the page is of its kind: [*first, *end). */
static void run_of(const struct fl_gen *g, unsigned process, unsigned area, int page, int *first, int *end)
{
	const uint16_t *p = g->process[process].page[area];

	for (*first = page; *first > 0 && same(p[*first - 1], p[page]); --*first)
		;
	for (*end = page + 1; *end < g->area[area].pages && same(p[*end], p[page]); ++*end)
		;
}

/* Which part of a run that has this page, in pages. */
static void choose_part(struct fl_gen *g, int page, int *first, int *end)
{
	static const unsigned weight[] = {8, 5, 3, 3, 3, 3, 2, 5, 2};
	int more = 1 + (int)fl_gen_below(g, 3);

	switch (fl_gen_weighted(g, weight, sizeof(weight) / sizeof(weight[0]))) {
	case 0: /* this page */
		*first = page;
		*end = page + 1;
		break;
	case 1: /* all */
		break;
	case 2: /* the front */
		*end = page + 1;
		break;
	case 3: /* the back */
		*first = page;
		break;
	case 4: /* beyond its end */
		*first = page;
		*end += more;
		break;
	case 5: /* from before it */
		*end = page + 1;
		*first -= more;
		break;
	case 6: /* more than all of it */
		*first -= more;
		*end += more;
		break;
	case 7: /* a few, whatever there is */
		*first = page;
		*end = page + 1 + more + (int)fl_gen_below(g, 4);
		break;
	default: /* its two neighbours */
		*first = page - 1;
		*end = page + 2;
		break;
	}
	if (*end - *first > 24)
		*end = *first + 24;
}

uint64_t fl_gen_elsewhere(struct fl_gen *g)
{
	/* From null to the lowest that may be mapped; the top of user addresses; not canonical; the kernel's half. */
	static const uint64_t addresses[] = {
		0,
		0,
		FL_DIFF_PAGE,
		2 * FL_DIFF_PAGE,
		0xf000,
		0x10000,
		0x7ffffffff000,
		0x7ffffffff000,
		0x800000000000,
		0x7fffffffffff000,
		0x8000000000000000,
		0xffff800000000000,
		0xffffffff80000000,
		0xfffffffffffff000,
	};
	static const uint64_t odds[] = {1, 8, 2048, 4088, 4095};
	uint64_t at = FL_GEN_ONE(g, addresses);

	return fl_gen_percent(g, 20) ? at + FL_GEN_ONE(g, odds) : at;
}

static void spoil_odd(struct fl_gen *g, struct fl_gen_span *s)
{
	static const uint64_t shifts[] = {1, 7, 8, 100, 2048, 4088, 4095};
	static const uint64_t lengths[] = {0, 0, 1, 8, 4095, 4097, 8191, 12289};

	switch (fl_gen_below(g, 5)) {
	case 0:
		s->at += (int64_t)FL_GEN_ONE(g, shifts);
		break;
	case 1:
		s->at -= (int64_t)FL_GEN_ONE(g, shifts);
		break;
	case 2:
		s->bytes = FL_GEN_ONE(g, lengths);
		break;
	case 3:
		s->bytes -= 1 + fl_gen_below(g, 4095);
		break;
	default:
		s->bytes += 1 + fl_gen_below(g, 4095);
		break;
	}
}

static void spoil(struct fl_gen *g, struct fl_gen_span *s, unsigned how)
{
	static const uint64_t wraps[] = {UINT64_MAX, UINT64_MAX - 4094, UINT64_MAX - 4095, UINT64_MAX - 4096,
					 UINT64_MAX - 8191};
	static const uint64_t huge[] = {1ull << 63, (1ull << 63) - 4096, 0x7ffffffff000, 0x800000000000, 1ull << 48};
	static const uint64_t far[] = {1ull << 32, 1ull << 30, 1ull << 44};
	const unsigned weight[] = {
		how & FL_GEN_SPOIL_ODD ? 8 : 0,  how & FL_GEN_SPOIL_ELSE ? 3 : 0, how & FL_GEN_SPOIL_WRAP ? 2 : 0,
		how & FL_GEN_SPOIL_HUGE ? 2 : 0, how & FL_GEN_SPOIL_FAR ? 1 : 0,
	};

	switch (fl_gen_weighted(g, weight, sizeof(weight) / sizeof(weight[0]))) {
	case 0:
		spoil_odd(g, s);
		break;
	case 1:
		s->number = true;
		s->at = (int64_t)fl_gen_elsewhere(g);
		s->bytes = (1 + fl_gen_below(g, 3)) * FL_DIFF_PAGE;
		break;
	case 2:
		s->bytes = FL_GEN_ONE(g, wraps);
		break;
	case 3:
		s->bytes = FL_GEN_ONE(g, huge);
		break;
	default:
		s->bytes = FL_GEN_ONE(g, far);
		break;
	}
}

void fl_gen_keep_within(const struct fl_gen *g, struct fl_gen_span *s)
{
	int64_t end = g->area[s->area].pages * PAGE;

	if (s->number || !g->area[s->area].result)
		return;
	if (s->at < 0)
		s->at = 0;
	if (s->at > end)
		s->at = end;
	/* Lengths that wrap around are refused before anything is done. */
	if (s->bytes < 1ull << 48 && s->bytes > (uint64_t)(end - s->at))
		s->bytes = (uint64_t)(end - s->at);
}

struct fl_gen_span fl_gen_span(struct fl_gen *g, unsigned process, enum fl_gen_want want, unsigned how)
{
	struct fl_gen_span s = {0};
	int page, first, end;

	fl_gen_find(g, process, want, &s.area, &page);
	run_of(g, process, s.area, page, &first, &end);
	choose_part(g, page, &first, &end);
	s.at = first * PAGE;
	s.bytes = fl_gen_bytes(end - first);
	if (g->area[s.area].result)
		how &= ~(unsigned)(FL_GEN_SPOIL_HUGE | FL_GEN_SPOIL_FAR);
	if (how && fl_gen_percent(g, g->edge))
		spoil(g, &s, how);
	fl_gen_keep_within(g, &s);
	return s;
}

struct fl_gen_span fl_gen_place(struct fl_gen *g, unsigned process, enum fl_gen_want want, unsigned size)
{
	static const uint64_t within[] = {0, 0, 0, 8, 16, 100, 2048, 4080};
	struct fl_gen_span s = {.bytes = size};
	int page, first, end;

	if (fl_gen_percent(g, g->edge / 4)) {
		s.number = true;
		s.at = (int64_t)fl_gen_elsewhere(g);
		return s;
	}
	fl_gen_find(g, process, want, &s.area, &page);
	run_of(g, process, s.area, page, &first, &end);
	switch (fl_gen_below(g, 8)) {
	case 0: /* the last that lie in the page */
		s.at = (page + 1) * PAGE - (int64_t)size;
		break;
	case 1: /* in two pages */
		s.at = (page + 1) * PAGE - 1 - (int64_t)fl_gen_below(g, size);
		break;
	case 2: /* at the mapping's end, within it or partly */
		s.at = end * PAGE - 1 - (int64_t)fl_gen_below(g, size);
		break;
	case 3: /* at its beginning, partly before it */
		s.at = first * PAGE - (int64_t)fl_gen_below(g, size + 1);
		break;
	default:
		s.at = page * PAGE + (int64_t)FL_GEN_ONE(g, within);
		break;
	}
	end = g->area[s.area].pages;
	if (g->area[s.area].result && s.at > end * PAGE - (int64_t)size)
		s.at = end * PAGE - (int64_t)size;
	fl_gen_keep_within(g, &s);
	return s;
}
