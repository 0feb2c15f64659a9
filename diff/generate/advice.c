/* SPDX-License-Identifier: MIT */
/*
 * madvise: every kind that the engine has, and numbers that are none.
 *
 * Two are never said, though they are known: hwpoison and soft_offline take memory of this machine away for ever.
 *
 * No locks: one thread.
 */
#include "diff/generate/internal.h"

/* Lengths may reach beyond the top only so that they wrap around: this call goes on behind holes. */
#define HOW FL_GEN_SPOIL_LENGTH

struct word {
	const char *name;
	unsigned clear, set; /* what becomes of pages, as is believed */
};

static bool advise(struct fl_gen *g, const struct word *w, enum fl_gen_want want)
{
	struct fl_gen_span s = fl_gen_span(g, fl_gen_here(g), want, HOW);

	fl_gen_say(g, "%s ", w->name);
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	fl_gen_change(g, fl_gen_here(g), &s, w->clear, w->set);
	return true;
}

static bool drop(struct fl_gen *g)
{
	static const struct word words[] = {
		{"dontneed", FL_GEN_THERE | FL_GEN_FREED, 0},
		{"dontneed", FL_GEN_THERE | FL_GEN_FREED, 0},
		{"dontneed_locked", FL_GEN_THERE | FL_GEN_FREED, 0},
	};

	return advise(g, &FL_GEN_WORD(g, words), fl_gen_percent(g, 50) ? FL_GEN_FILLED : fl_gen_usual(g));
}

static bool age(struct fl_gen *g)
{
	static const struct word words[] = {
		{"free", 0, FL_GEN_FREED}, {"cold", 0, 0}, {"pageout", FL_GEN_FREED, 0}, {"willneed", 0, 0}};

	return advise(g, &FL_GEN_WORD(g, words), fl_gen_percent(g, 50) ? FL_GEN_FILLED : fl_gen_usual(g));
}

/* A way to write the page, in some place. */
static void say_write(struct fl_gen *g, struct fl_gen_span s)
{
	static const char *const words[] = {"store", "store", "add", "copyout", "sysread", "populate_write"};
	static const uint64_t within[] = {0, 8, 2048, 4080};
	unsigned i = fl_gen_below(g, sizeof(words) / sizeof(words[0]));

	fl_gen_say(g, "%s ", words[i]);
	if (i == 5) {
		fl_gen_say_range(g, &s);
		return;
	}
	s.at += (int64_t)FL_GEN_ONE(g, within);
	s.bytes = 8;
	fl_gen_say_place(g, &s);
	fl_gen_say(g, i == 4 ? " fill=%#x bytes=8" : " %#x", 1 + fl_gen_below(g, 0xffff));
}

/* A page that was given up is written, or not, and then it shows whether it would be taken away. */
static bool write_given(struct fl_gen *g)
{
	struct fl_gen_span s = {.bytes = FL_DIFF_PAGE};
	unsigned here = fl_gen_here(g);
	int page;

	if (!fl_gen_find(g, here, FL_GEN_GIVEN, &s.area, &page) || fl_gen_percent(g, 40)) {
		if (!fl_gen_find(g, here, FL_GEN_FILLED, &s.area, &page))
			return false;
		s.at = page * (int64_t)FL_DIFF_PAGE;
		fl_gen_say(g, "free ");
		fl_gen_say_range(g, &s);
		fl_gen_say_next(g);
	}
	s.at = page * (int64_t)FL_DIFF_PAGE;
	if (!fl_gen_percent(g, 15)) {
		say_write(g, s);
		if (!fl_gen_touch(g, &s, true, true))
			return false;
		if (g->thread[g->self].asleep)
			return true;
		fl_gen_say_next(g);
	}
	fl_gen_say(g, "pageout ");
	fl_gen_say_range(g, &s);
	fl_gen_change(g, here, &s, FL_GEN_FREED, 0);
	return true;
}

static bool guard(struct fl_gen *g)
{
	static const struct word words[] = {
		{"guard_install", FL_GEN_THERE | FL_GEN_FREED, FL_GEN_GUARD},
		{"guard_install", FL_GEN_THERE | FL_GEN_FREED, FL_GEN_GUARD},
		{"guard_remove", FL_GEN_GUARD, 0},
	};

	return advise(g, &FL_GEN_WORD(g, words), fl_gen_usual(g));
}

/* A page that is watched makes this call wait. */
static bool populate(struct fl_gen *g)
{
	struct fl_gen_span s =
		fl_gen_span(g, fl_gen_here(g), fl_gen_percent(g, 80) ? fl_gen_usual(g) : FL_GEN_ANY, HOW);
	bool write = fl_gen_percent(g, 50);

	if (!fl_gen_touch(g, &s, write, true))
		return false;
	fl_gen_say(g, "populate_%s ", write ? "write" : "read");
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	return true;
}

static bool inherit(struct fl_gen *g)
{
	static const struct word words[] = {
		{"dontfork", 0, FL_GEN_NOFORK},
		{"dofork", FL_GEN_NOFORK, 0},
		{"wipeonfork", 0, FL_GEN_WIPE},
		{"keeponfork", FL_GEN_WIPE, 0},
	};

	return advise(g, &FL_GEN_WORD(g, words), FL_GEN_IS);
}

static bool mark(struct fl_gen *g)
{
	static const struct word words[] = {
		{"normal", 0, 0},    {"random", 0, 0},      {"sequential", 0, 0}, {"dontdump", 0, 0}, {"dodump", 0, 0},
		{"mergeable", 0, 0}, {"unmergeable", 0, 0}, {"nohugepage", 0, 0}, {"hugepage", 0, 0},
	};
	unsigned n = sizeof(words) / sizeof(words[0]);

	/* Where there is room for a huge page the kernel would make one, which the engine does not have yet. */
	return advise(g, &words[fl_gen_below(g, g->big ? n - 1 : n)], FL_GEN_IS);
}

/* Refused for this memory; of room for a huge page collapse would make one. */
static bool refused(struct fl_gen *g)
{
	static const struct word words[] = {{"remove", 0, 0}, {"collapse", 0, 0}};

	return advise(g, &words[g->big ? 0 : fl_gen_below(g, 2)], FL_GEN_IS);
}

static bool unknown(struct fl_gen *g)
{
	/* Holes in the list of those that there are; other systems' and other architectures'; -1 */
	static const uint64_t numbers[] = {5,  6,  7,   26,  27,  28,  29,         30,         31,        63,
					   64, 65, 104, 105, 128, 255, 0x7fffffff, 0x80000000, 0xffffffff};
	struct fl_gen_span s = fl_gen_span(g, fl_gen_here(g), FL_GEN_ANY, HOW);

	fl_gen_say(g, "madvise ");
	fl_gen_say_range(g, &s);
	fl_gen_say(g, " %llu", (unsigned long long)FL_GEN_ONE(g, numbers));
	fl_gen_say_bytes(g, &s);
	return true;
}

static const struct fl_gen_row rows[] = {
	{5, FL_FOCUS_ADVICE, drop},  {3, FL_FOCUS_ADVICE, age},      {1, FL_FOCUS_ADVICE, write_given},
	{4, FL_FOCUS_ADVICE, guard}, {4, FL_FOCUS_ADVICE, populate}, {3, FL_FOCUS_ADVICE | FL_FOCUS_FORK, inherit},
	{3, FL_FOCUS_ADVICE, mark},  {1, FL_FOCUS_ADVICE, refused},  {1, FL_FOCUS_ADVICE, unknown},
};
const struct fl_gen_family fl_gen_advice = {rows, sizeof(rows) / sizeof(rows[0])};
