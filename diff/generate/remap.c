/* SPDX-License-Identifier: MIT */
/*
 * mremap in all its forms: in place, to where the kernel chooses, to a place, leaving the old mapping.
 *
 * No locks: one thread.
 */
#include "diff/generate/internal.h"

static struct fl_gen_span old_span(struct fl_gen *g)
{
	unsigned how = FL_GEN_SPOIL_LENGTH | FL_GEN_SPOIL_HUGE;
	enum fl_gen_want want = fl_gen_percent(g, 95) ? fl_gen_usual(g) : FL_GEN_ANY;
	struct fl_gen_span s = fl_gen_span(g, fl_gen_here(g), want, how);

	/* Most that reach beyond one mapping are refused. */
	if (s.bytes > FL_DIFF_PAGE && s.bytes < 1ull << 32 && fl_gen_percent(g, 50))
		s.bytes = FL_DIFF_PAGE * (1 + fl_gen_below(g, 2));
	fl_gen_keep_within(g, &s);
	return s;
}

static uint64_t new_length(struct fl_gen *g, uint64_t old)
{
	static const uint64_t odd[] = {0, 1, 4095, 4097, 0x7ffffffff000, 1ull << 63, UINT64_MAX, UINT64_MAX - 4095};
	uint64_t pages = old / FL_DIFF_PAGE;

	if (fl_gen_percent(g, g->edge / 4))
		return FL_GEN_ONE(g, odd);
	if (pages > 64)
		return FL_DIFF_PAGE;
	switch (fl_gen_below(g, 5)) {
	case 0:
		return old;
	case 1: /* shorter */
		return pages > 1 ? (1 + fl_gen_below(g, (unsigned)pages - 1)) * FL_DIFF_PAGE : FL_DIFF_PAGE;
	case 2:
		return old + FL_DIFF_PAGE;
	default:
		return old + FL_DIFF_PAGE * (1 + fl_gen_below(g, 6));
	}
}

static void say_length(struct fl_gen *g, uint64_t bytes)
{
	if (bytes && !(bytes % FL_DIFF_PAGE) && bytes / FL_DIFF_PAGE <= 4096)
		fl_gen_say(g, " pages=%llu", (unsigned long long)(bytes / FL_DIFF_PAGE));
	else
		fl_gen_say(g, bytes >> 32 ? " newbytes=%#llx" : " newbytes=%llu", (unsigned long long)bytes);
}

static void say_odd_flags(struct fl_gen *g)
{
	static const uint64_t flags[] = {2, 4, 8, 16, 0x80000000, 1ull << 32};

	if (fl_gen_percent(g, g->edge / 8))
		fl_gen_say(g, " flags=%#llx", (unsigned long long)FL_GEN_ONE(g, flags));
}

static void forget_tail(struct fl_gen *g, struct fl_gen_span s, uint64_t bytes)
{
	if (bytes >= s.bytes || s.bytes >> 32)
		return;
	s.at += (int64_t)bytes;
	s.bytes -= bytes;
	fl_gen_replace(g, fl_gen_here(g), &s, 0);
}

static bool resize(struct fl_gen *g)
{
	struct fl_gen_span s = old_span(g), more;
	uint64_t bytes = new_length(g, s.bytes);
	uint16_t last = 0;
	int64_t page;

	fl_gen_say(g, "mremap ");
	fl_gen_say_range(g, &s);
	say_length(g, bytes);
	fl_gen_say_bytes(g, &s);
	say_odd_flags(g);
	forget_tail(g, s, bytes);
	if (s.number || s.bytes >> 32 || bytes >> 32)
		return true;
	page = (s.at + (int64_t)s.bytes) / (int64_t)FL_DIFF_PAGE;
	if (page <= 0 || page >= g->area[s.area].pages)
		return true;
	/* It grows only into what is free. */
	last = g->process[fl_gen_here(g)].page[s.area][page - 1];
	if (bytes > s.bytes && last & FL_GEN_MAPPED &&
	    !(g->process[fl_gen_here(g)].page[s.area][page] & FL_GEN_MAPPED)) {
		more = (struct fl_gen_span){.area = s.area, .at = s.at + (int64_t)s.bytes, .bytes = bytes - s.bytes};
		fl_gen_replace(g, fl_gen_here(g), &more, last & (uint16_t) ~(FL_GEN_THERE | FL_GEN_GUARD));
	}
	return true;
}

/* What is at the first page of the span. */
static uint16_t first_page(const struct fl_gen *g, const struct fl_gen_span *s)
{
	int64_t page = s->at / (int64_t)FL_DIFF_PAGE;

	return s->number || page < 0 || page >= g->area[s->area].pages ? 0
								       : g->process[fl_gen_here(g)].page[s->area][page];
}

/* The kernel may move it, and gives the address. */
static bool resize_anywhere(struct fl_gen *g)
{
	struct fl_gen_span s = old_span(g), now;
	uint64_t bytes = new_length(g, s.bytes);
	uint16_t kind = first_page(g, &s);

	if (!bytes || bytes >> 32) {
		fl_gen_say(g, "mremap ");
	} else {
		if (!fl_gen_say_result(g, (int)((bytes + FL_DIFF_PAGE - 1) / FL_DIFF_PAGE), 0))
			return false;
		fl_gen_say(g, "mremap ");
	}
	fl_gen_say_range(g, &s);
	say_length(g, bytes);
	fl_gen_say(g, " maymove");
	fl_gen_say_bytes(g, &s);
	if (fl_gen_percent(g, 12))
		fl_gen_say(g, " dontunmap");
	say_odd_flags(g);
	if (!bytes || bytes >> 32)
		return true;
	now = (struct fl_gen_span){.area = g->areas - 1, .bytes = bytes};
	if (bytes > s.bytes && !(s.bytes >> 32))
		fl_gen_replace(g, fl_gen_here(g), &s, 0);
	else
		forget_tail(g, s, bytes);
	if (kind & FL_GEN_MAPPED)
		fl_gen_replace(g, fl_gen_here(g), &now, kind & (uint16_t)~FL_GEN_UFFD);
	return true;
}

/* To a place; leave: the old mapping stays, empty. */
static bool move(struct fl_gen *g, bool leave)
{
	struct fl_gen_span s = old_span(g), to;
	uint64_t bytes = fl_gen_percent(g, 75) ? s.bytes : new_length(g, s.bytes);
	uint16_t kind = first_page(g, &s);
	unsigned here = fl_gen_here(g);

	to = fl_gen_span(g, here, fl_gen_percent(g, 60) ? FL_GEN_FREE : FL_GEN_ANY,
			 FL_GEN_SPOIL_ODD | FL_GEN_SPOIL_ELSE);
	to.bytes = bytes;
	fl_gen_keep_within(g, &to);
	if (to.bytes != bytes) /* not enough room there */
		to = (struct fl_gen_span){.at = to.at % (int64_t)FL_DIFF_PAGE, .bytes = bytes};
	fl_gen_say(g, "mremap ");
	fl_gen_say_range(g, &s);
	fl_gen_say(g, " to ");
	fl_gen_say_place(g, &to);
	if (bytes != s.bytes)
		say_length(g, bytes);
	if (leave)
		fl_gen_say(g, " dontunmap");
	fl_gen_say_bytes(g, &s);
	say_odd_flags(g);
	if (bytes >> 32 || s.bytes >> 32 || !(kind & FL_GEN_MAPPED))
		return true;
	if (leave)
		fl_gen_change(g, here, &s, FL_GEN_THERE | FL_GEN_LOCKED, 0);
	else
		fl_gen_replace(g, here, &s, 0);
	fl_gen_replace(g, here, &to, kind & (uint16_t)~FL_GEN_UFFD);
	return true;
}

static bool move_to(struct fl_gen *g)
{
	return move(g, false);
}

static bool move_leaving(struct fl_gen *g)
{
	return move(g, true);
}

static const struct fl_gen_row rows[] = {
	{4, FL_FOCUS_REMAP, resize},
	{4, FL_FOCUS_REMAP, resize_anywhere},
	{4, FL_FOCUS_REMAP, move_to},
	{2, FL_FOCUS_REMAP, move_leaving},
};
const struct fl_gen_family fl_gen_remaps = {rows, sizeof(rows) / sizeof(rows[0])};
