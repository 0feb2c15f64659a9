/* SPDX-License-Identifier: MIT */
/*
 * Statements that map, unmap and protect; and those that look.
 *
 * No locks: one thread.
 */
#include "diff/generate/internal.h"

static const uint64_t usual_prots[] = {3, 3, 3, 3, 1, 0, 5, 7, 2, 4};
/* Bits that mean nothing for these mappings; that there are, and the ones without a name. */
static const uint64_t odd_prots[] = {0x8, 0xb, 0x10, 0x1000, 0x40000003, 0x80000000, 0x1000000, 0x2000000, 0x3000003};
/*
 * Flags that change nothing, that conflict, and that do not exist: type 8 beside private, shared beside private, fixed and
 * noreplace, deny write, executable, nonblock, stack, sync, uninitialized, the second GiB, unknown.
 */
static const uint64_t odd_flags[] = {0x8,     0x1,  0x10,      0x100000,   0x100010,   0x800, 0x1000,  0x10000, 0x20000,
				     0x80000, 0x40, 0x4000000, 0x10000000, 0x80000000, 0xc,   0x18000, 0x80,    0x200};

static unsigned choose_prot(struct fl_gen *g)
{
	if (fl_gen_percent(g, 4))
		return (unsigned)FL_GEN_ONE(g, odd_prots);
	return (unsigned)FL_GEN_ONE(g, usual_prots);
}

/* Options of a mapping. Returns what its pages will be. */
static uint16_t say_options(struct fl_gen *g, bool over)
{
	unsigned prot = choose_prot(g), page = FL_GEN_MAPPED | (prot & FL_GEN_PROT);
	bool about_locks = fl_gen_about(g, FL_FOCUS_LOCK), about_stacks = fl_gen_about(g, FL_FOCUS_STACK);

	fl_gen_say_prot(g, prot);
	if (fl_gen_percent(g, 12))
		fl_gen_say(g, " noreserve");
	if (fl_gen_percent(g, 10)) {
		fl_gen_say(g, " populate");
		page |= FL_GEN_THERE;
	}
	if (fl_gen_percent(g, about_stacks ? 20 : 4)) {
		fl_gen_say(g, " stack");
		page |= FL_GEN_DOWN;
	}
	if (fl_gen_percent(g, about_locks ? 15 : 3)) {
		fl_gen_say(g, " locked");
		page |= FL_GEN_LOCKED | FL_GEN_THERE;
	}
	if (fl_gen_percent(g, g->edge / 6))
		fl_gen_say(g, " flags=%#llx", (unsigned long long)FL_GEN_ONE(g, odd_flags));
	if (!over && page & FL_GEN_THERE)
		page &= ~(unsigned)FL_GEN_THERE; /* it may go elsewhere */
	return (uint16_t)page;
}

static bool map_fixed(struct fl_gen *g)
{
	static const unsigned weight[] = {6, 2, 2};
	enum fl_gen_want want = fl_gen_weighted(g, weight, 2) ? FL_GEN_IS : FL_GEN_FREE;
	struct fl_gen_span s = fl_gen_span(g, fl_gen_here(g), want, FL_GEN_SPOIL_LENGTH | FL_GEN_SPOIL_HUGE);
	uint16_t page;

	if (!s.number && !g->area[s.area].result && s.bytes < 1ull << 32 &&
	    !fl_gen_below(g, 3)) /* beside what is there, so that they may merge */
		s.at += (int64_t)s.bytes;
	fl_gen_say(g, "mmap ");
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	page = say_options(g, true);
	fl_gen_replace(g, fl_gen_here(g), &s, page);
	return true;
}

static bool map_noreplace(struct fl_gen *g)
{
	struct fl_gen_span s = fl_gen_span(g, fl_gen_here(g), fl_gen_percent(g, 70) ? FL_GEN_FREE : FL_GEN_IS,
					   FL_GEN_SPOIL_LENGTH | FL_GEN_SPOIL_HUGE);
	unsigned prot = choose_prot(g);

	fl_gen_say(g, "mmap ");
	fl_gen_say_range(g, &s);
	fl_gen_say(g, " noreplace");
	fl_gen_say_bytes(g, &s);
	fl_gen_say_prot(g, prot);
	fl_gen_replace(g, fl_gen_here(g), &s, (uint16_t)(FL_GEN_MAPPED | (prot & FL_GEN_PROT)));
	return true;
}

/* Where it would be nice: the kernel may choose. */
static bool map_hint(struct fl_gen *g)
{
	struct fl_gen_span s =
		fl_gen_span(g, fl_gen_here(g), fl_gen_percent(g, 60) ? FL_GEN_FREE : FL_GEN_IS, FL_GEN_SPOIL_ODD);
	int pages = (int)(s.bytes / FL_DIFF_PAGE);

	if (!pages || !fl_gen_say_result(g, pages, 0))
		return false;
	fl_gen_say(g, "mmap ");
	fl_gen_say_range(g, &s);
	fl_gen_say(g, " hint");
	fl_gen_say_bytes(g, &s);
	s = (struct fl_gen_span){.area = g->areas - 1, .bytes = s.bytes};
	fl_gen_replace(g, fl_gen_here(g), &s, say_options(g, false));
	return true;
}

static bool map_any(struct fl_gen *g)
{
	static const uint64_t lengths[] = {1, 1, 2, 3, 4, 4, 8, 16, 33, 64};
	int pages = (int)FL_GEN_ONE(g, lengths);
	struct fl_gen_span s = {.bytes = fl_gen_bytes(pages)}, hint;

	if (!fl_gen_say_result(g, pages, 0))
		return false;
	fl_gen_say(g, "mmap any");
	if (fl_gen_percent(g, 15))
		fl_gen_say(g, " bytes=%llu", (unsigned long long)(s.bytes - fl_gen_below(g, 4096)));
	else
		fl_gen_say(g, " pages=%d", pages);
	if (fl_gen_percent(g, 15)) {
		hint = fl_gen_span(g, fl_gen_here(g), FL_GEN_ANY, FL_GEN_SPOIL_ODD | FL_GEN_SPOIL_ELSE);
		fl_gen_say(g, " hint=");
		fl_gen_say_place(g, &hint);
	}
	s.area = g->areas - 1;
	fl_gen_replace(g, fl_gen_here(g), &s, say_options(g, false));
	return true;
}

/* More than there are addresses, or nothing. */
static bool map_impossible(struct fl_gen *g)
{
	static const uint64_t lengths[] = {0,          0x7ffffffff000, 0x800000000000,
					   1ull << 63, UINT64_MAX,     UINT64_MAX - 4095};

	fl_gen_say(g, "mmap any bytes=%#llx", (unsigned long long)FL_GEN_ONE(g, lengths));
	if (fl_gen_percent(g, 50))
		fl_gen_say(g, " noreserve");
	return true;
}

static bool unmap(struct fl_gen *g)
{
	struct fl_gen_span s =
		fl_gen_span(g, fl_gen_here(g), fl_gen_percent(g, 85) ? fl_gen_usual(g) : FL_GEN_ANY, FL_GEN_SPOIL_ALL);

	fl_gen_say(g, "munmap ");
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	fl_gen_replace(g, fl_gen_here(g), &s, 0);
	return true;
}

static bool protect(struct fl_gen *g)
{
	struct fl_gen_span s =
		fl_gen_span(g, fl_gen_here(g), fl_gen_percent(g, 85) ? fl_gen_usual(g) : FL_GEN_ANY, FL_GEN_SPOIL_ALL);
	unsigned prot = choose_prot(g);

	fl_gen_say(g, "mprotect ");
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	fl_gen_say_prot(g, prot);
	fl_gen_change(g, fl_gen_here(g), &s, FL_GEN_PROT, prot & FL_GEN_PROT);
	return true;
}

static bool look(struct fl_gen *g)
{
	struct fl_gen_span s = fl_gen_span(g, fl_gen_here(g), FL_GEN_IS, FL_GEN_SPOIL_LENGTH | FL_GEN_SPOIL_HUGE), into;

	if (!s.number && s.bytes && fl_gen_percent(g, 40))
		s.bytes = FL_DIFF_PAGE;
	fl_gen_keep_within(g, &s);
	fl_gen_say(g, "mincore ");
	fl_gen_say_place(g, &s);
	if (s.bytes < FL_DIFF_PAGE || s.bytes > FL_DIFF_PAGE || s.at % (int64_t)FL_DIFF_PAGE)
		fl_gen_say(g, s.bytes >> 32 ? " bytes=%#llx" : " bytes=%llu", (unsigned long long)s.bytes);
	if (fl_gen_percent(g, 15)) {
		into = fl_gen_place(g, fl_gen_here(g), FL_GEN_ANY, FL_DIFF_OUT);
		into.bytes = s.bytes / FL_DIFF_PAGE + 1;
		if (!fl_gen_touch(g, &into, true, true))
			return false;
		into.bytes = 1;
		fl_gen_say(g, " into=");
		fl_gen_say_place(g, &into);
	}
	return true;
}

static bool synchronize(struct fl_gen *g)
{
	static const uint64_t flags[] = {0, 1, 2, 4, 3, 6, 5, 7, 8, 0x100};
	struct fl_gen_span s = fl_gen_span(g, fl_gen_here(g), fl_gen_percent(g, 85) ? fl_gen_usual(g) : FL_GEN_ANY,
					   FL_GEN_SPOIL_LENGTH | FL_GEN_SPOIL_FAR);

	fl_gen_say(g, "msync ");
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	if (fl_gen_percent(g, 70))
		fl_gen_say(g, " flags=%llu", (unsigned long long)FL_GEN_ONE(g, flags));
	return true;
}

static const struct fl_gen_row rows[] = {
	{14, FL_FOCUS_MAP, map_fixed},     {3, FL_FOCUS_MAP, map_noreplace},
	{3, FL_FOCUS_MAP, map_hint},       {7, FL_FOCUS_MAP, map_any},
	{1, FL_FOCUS_MAP, map_impossible}, {9, FL_FOCUS_MAP, unmap},
	{13, FL_FOCUS_MAP, protect},       {4, 0, look},
	{2, FL_FOCUS_LOCK, synchronize},
};
const struct fl_gen_family fl_gen_maps = {rows, sizeof(rows) / sizeof(rows[0])};
