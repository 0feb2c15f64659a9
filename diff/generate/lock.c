/* SPDX-License-Identifier: MIT */
/*
 * Locked memory, limits, and the break.
 *
 * No locks: one thread.
 */
#include "diff/generate/internal.h"

static bool lock(struct fl_gen *g)
{
	static const uint64_t flags[] = {2, 3, 0x100, 1ull << 31};
	struct fl_gen_span s =
		fl_gen_span(g, fl_gen_here(g), fl_gen_percent(g, 85) ? fl_gen_usual(g) : FL_GEN_ANY, FL_GEN_SPOIL_ALL);
	bool onfault = fl_gen_percent(g, 30);

	if (!onfault && !fl_gen_touch(g, &s, false, true))
		return false;
	fl_gen_say(g, "mlock ");
	fl_gen_say_range(g, &s);
	if (onfault)
		fl_gen_say(g, " onfault");
	fl_gen_say_bytes(g, &s);
	if (fl_gen_percent(g, g->edge / 8))
		fl_gen_say(g, " flags=%#llx", (unsigned long long)FL_GEN_ONE(g, flags));
	fl_gen_change(g, fl_gen_here(g), &s, 0, FL_GEN_LOCKED);
	return true;
}

static bool unlock(struct fl_gen *g)
{
	struct fl_gen_span s =
		fl_gen_span(g, fl_gen_here(g), fl_gen_percent(g, 60) ? FL_GEN_LOCKS : FL_GEN_IS, FL_GEN_SPOIL_ALL);

	fl_gen_say(g, "munlock ");
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	fl_gen_change(g, fl_gen_here(g), &s, FL_GEN_LOCKED, 0);
	return true;
}

/* All that is in mind of a process. */
static void change_all(struct fl_gen *g, unsigned clear, unsigned set)
{
	for (unsigned a = 0; a < g->areas; a++) {
		struct fl_gen_span s = {.area = a, .bytes = fl_gen_bytes(g->area[a].pages)};

		fl_gen_change(g, fl_gen_here(g), &s, clear, set);
	}
}

static bool lock_all(struct fl_gen *g)
{
	static const uint64_t flags[] = {1, 1, 2, 3, 5, 6, 7, 4, 0, 8, 0x100};
	uint64_t how = FL_GEN_ONE(g, flags);
	bool waits = false;

	/*
	 * Whoever may lock only so much locks with all there is what the process that executes programs needs for itself, and then
	 * nobody knows how much is left.
	 */
	if (!g->privileged)
		how &= ~UINT64_C(1);

	/* Would it wait for a page? Then there must be somebody to bring it. */
	for (unsigned a = 0; a < g->areas; a++) {
		for (int i = 0; i < g->area[a].pages; i++)
			waits |= fl_gen_matches(g->process[fl_gen_here(g)].page[a][i], FL_GEN_MISSING);
	}
	if (waits && how & 1 && !(how & 4))
		return false;
	fl_gen_say(g, "mlockall flags=%llu", (unsigned long long)how);
	if (how == 1 || how == 3 || how == 5 || how == 7)
		change_all(g, 0, FL_GEN_LOCKED);
	return true;
}

static bool unlock_all(struct fl_gen *g)
{
	fl_gen_say(g, "munlockall");
	change_all(g, FL_GEN_LOCKED, 0);
	return true;
}

/* What DONTUNMAP leaves behind is not locked any more, but how much counts as locked? Only a limit that is near shows it. */
static bool lock_behind(struct fl_gen *g)
{
	const int old = 1 + (int)fl_gen_below(g, 4), new = 1 + (int)fl_gen_below(g, 4);
	unsigned here = fl_gen_here(g), limit;
	struct fl_gen_span from = {.bytes = fl_gen_bytes(old)}, to = from, last = {.bytes = fl_gen_bytes(new)};
	int64_t room = g->area[0].pages - 2 * old - new;

	if (g->privileged || room < 3)
		return false;
	from.at = (int64_t)fl_gen_bytes(fl_gen_below(g, (unsigned)room - 1));
	to.at = from.at + (int64_t)from.bytes + (int64_t)FL_DIFF_PAGE;
	last.at = to.at + (int64_t)to.bytes + (int64_t)FL_DIFF_PAGE;
	limit = (unsigned)(fl_gen_percent(g, 75) ? 2 * old + new : old + new) + fl_gen_below(g, 3) - 1;
	fl_gen_say(g, "munlockall");
	change_all(g, FL_GEN_LOCKED, 0);
	fl_gen_say_next(g);
	fl_gen_say(g, "limit memlock %u", limit);
	fl_gen_say_next(g);
	fl_gen_say(g, "mmap ");
	fl_gen_say_range(g, &from);
	fl_gen_say(g, " prot=rw locked");
	fl_gen_replace(g, here, &from, FL_GEN_MAPPED | FL_PROT_READ | FL_PROT_WRITE);
	fl_gen_say_next(g);
	fl_gen_say(g, "mremap ");
	fl_gen_say_range(g, &from);
	fl_gen_say(g, " to ");
	fl_gen_say_place(g, &to);
	fl_gen_say(g, " dontunmap");
	fl_gen_replace(g, here, &to, FL_GEN_MAPPED | FL_PROT_READ | FL_PROT_WRITE | FL_GEN_LOCKED | FL_GEN_THERE);
	fl_gen_say_next(g);
	fl_gen_say(g, "mmap ");
	fl_gen_say_range(g, &last);
	fl_gen_say(g, " prot=rw");
	fl_gen_replace(g, here, &last, FL_GEN_MAPPED | FL_PROT_READ | FL_PROT_WRITE);
	fl_gen_say_next(g);
	fl_gen_say(g, "mlock ");
	fl_gen_say_range(g, &last);
	fl_gen_change(g, here, &last, 0, FL_GEN_LOCKED | FL_GEN_THERE);
	return true;
}

static const struct fl_gen_row rows[] = {
	{5, FL_FOCUS_LOCK, lock},        {3, FL_FOCUS_LOCK, unlock},     {1, FL_FOCUS_LOCK, lock_all},
	{1, FL_FOCUS_LOCK, lock_behind}, {1, FL_FOCUS_LOCK, unlock_all},
};
const struct fl_gen_family fl_gen_locks = {rows, sizeof(rows) / sizeof(rows[0])};

/* More than there is now: so few that it matters soon. */
static bool limit_more(struct fl_gen *g)
{
	static const uint64_t pages[] = {0, 1, 2, 4, 8, 16, 40};
	const char *which = fl_gen_percent(g, 60) ? "as" : "data";

	g->limited = true;
	if (fl_gen_percent(g, 25))
		fl_gen_say(g, "limit %s off", which);
	else
		fl_gen_say(g, "limit %s +%llu", which, (unsigned long long)FL_GEN_ONE(g, pages));
	return true;
}

static bool limit_locked(struct fl_gen *g)
{
	static const uint64_t pages[] = {0, 1, 2, 4, 8, 16, 64};

	/* Whoever has the capability may lock what he likes. */
	if (g->privileged && fl_gen_percent(g, 70))
		return false;
	if (fl_gen_percent(g, 15))
		fl_gen_say(g, "limit memlock off");
	else
		fl_gen_say(g, "limit memlock %llu", (unsigned long long)FL_GEN_ONE(g, pages));
	return true;
}

static bool limit_stack(struct fl_gen *g)
{
	static const uint64_t pages[] = {0, 1, 2, 4, 8, 16, 64, 2048};

	if (fl_gen_percent(g, 15))
		fl_gen_say(g, "limit stack off");
	else
		fl_gen_say(g, "limit stack %llu", (unsigned long long)FL_GEN_ONE(g, pages));
	return true;
}

/*
 * The first time the result is bound: what is in mind lies below it. Later the break may not move, and then what lies below its
 * end is not ours.
 */
static bool grow_heap(struct fl_gen *g)
{
	static const uint64_t lengths[] = {1, 2, 4, 8, 8, 16, 60};
	int pages = (int)FL_GEN_ONE(g, lengths);
	bool first = !g->heap_used && !g->limited && g->privileged;
	struct fl_gen_span s = {.bytes = fl_gen_bytes(pages)};

	g->heap_used = true;
	if (first && fl_gen_say_result(g, pages, -pages * (int64_t)FL_DIFF_PAGE)) {
		s.area = g->areas - 1;
		fl_gen_replace(g, fl_gen_here(g), &s, FL_GEN_MAPPED | FL_PROT_READ | FL_PROT_WRITE);
	}
	fl_gen_say(g, "brk +%d", pages);
	return true;
}

static bool shrink_heap(struct fl_gen *g)
{
	static const uint64_t lengths[] = {0, 1, 1, 2, 3, 8, 64};

	g->heap_used = true;
	fl_gen_say(g, "brk -%llu", (unsigned long long)FL_GEN_ONE(g, lengths));
	return true;
}

/* An end within a page; what the call gives is not rounded. */
static bool move_oddly(struct fl_gen *g)
{
	static const uint64_t bytes[] = {
		1, 8, 100, 2048, 4095, 4096, 5000, UINT64_MAX, UINT64_MAX - 99, UINT64_MAX - 4095};

	g->heap_used = true;
	fl_gen_say(g, "brk +%u bytes=%#llx", fl_gen_below(g, 3), (unsigned long long)FL_GEN_ONE(g, bytes));
	return true;
}

/* Below where it began: the break stays where it is. */
static bool sink_heap(struct fl_gen *g)
{
	fl_gen_say(g, "brk -%u", 1000 + fl_gen_below(g, 3000));
	return true;
}

static const struct fl_gen_row limit_rows[] = {
	{2, FL_FOCUS_LIMIT, limit_more},  {2, FL_FOCUS_LIMIT | FL_FOCUS_LOCK, limit_locked},
	{1, FL_FOCUS_STACK, limit_stack}, {3, FL_FOCUS_BRK, grow_heap},
	{1, FL_FOCUS_BRK, move_oddly},    {1, FL_FOCUS_BRK, shrink_heap},
	{1, FL_FOCUS_BRK, sink_heap},
};
const struct fl_gen_family fl_gen_limits = {limit_rows, sizeof(limit_rows) / sizeof(limit_rows[0])};
