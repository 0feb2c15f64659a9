/* SPDX-License-Identifier: MIT */
/*
 * Statements that bring pages to who waits for them, and wake.
 *
 * No locks: one thread.
 */
#include "diff/generate/uffd.h"

#define FILL_PAGES 15u /* so many can be made of a value; more only from memory */

/* Is there anything to be filled? If not, it is tried rarely. */
static bool makes_sense(struct fl_gen *g, unsigned uffd)
{
	unsigned area;
	int page;

	return uffd < FL_GEN_UFFDS &&
	       (fl_gen_find(g, g->uffd[uffd].process, FL_GEN_WATCHED, &area, &page) || fl_gen_percent(g, 5));
}

/* Where somebody waits; or some other piece of memory. */
static struct fl_gen_span target(struct fl_gen *g, unsigned uffd)
{
	unsigned process = g->uffd[uffd].process, i = fl_gen_below(g, g->threads);
	struct fl_gen_span s;

	for (unsigned n = 0; n < g->threads && fl_gen_percent(g, 80); n++, i = (i + 1) % g->threads) {
		const struct fl_gen_thread *t = &g->thread[i];

		if (!t->asleep || t->area == FL_GEN_AREAS || t->uffd != uffd)
			continue;
		s = (struct fl_gen_span){.area = t->area, .at = t->page * (int64_t)FL_DIFF_PAGE, .bytes = FL_DIFF_PAGE};
		if (fl_gen_percent(g, 25))
			s.bytes += FL_DIFF_PAGE * fl_gen_below(g, 4);
		if (fl_gen_percent(g, 15))
			s.at -= (int64_t)FL_DIFF_PAGE;
		fl_gen_keep_within(g, &s);
		return s;
	}
	return fl_gen_span(g, process,
			   fl_gen_percent(g, 75)   ? FL_GEN_MISSING
			   : fl_gen_percent(g, 75) ? FL_GEN_WATCHED
						   : FL_GEN_ANY,
			   fl_gen_percent(g, 50) ? FL_GEN_SPOIL_ALL : FL_GEN_SPOIL_NOT);
}

/* dontwake, and bits that do not exist; one that does and has no place here (wp). Returns whether it wakes. */
static bool say_mode(struct fl_gen *g, bool copy)
{
	static const uint64_t modes[] = {4, 8, 1ull << 32, 1ull << 63};
	bool wakes = !fl_gen_percent(g, 15);

	if (!wakes)
		fl_gen_say(g, " dontwake");
	if (fl_gen_percent(g, g->edge / 8))
		fl_gen_say(g, " flags=%#llx", (unsigned long long)FL_GEN_ONE(g, modes));
	else if (copy && fl_gen_percent(g, 2))
		fl_gen_say(g, " wp");
	return wakes;
}

static void filled(struct fl_gen *g, unsigned uffd, const struct fl_gen_span *s, bool wakes)
{
	fl_gen_change(g, g->uffd[uffd].process, s, 0, FL_GEN_THERE);
	if (wakes)
		fl_gen_wake(g, g->uffd[uffd].process, s, uffd);
}

/*
 * Whoever sleeps in `fetch` there executes what comes. An operand that is addressed from where the instruction is would be written in
 * the page itself; every other address is the playground's.
 */
static unsigned harmless(unsigned word)
{
	for (unsigned shift = 0; shift < 16; shift += 8)
		if ((word >> shift & 0xc7) == 0x05)
			word ^= 2u << shift;
	return word;
}

static bool copy(struct fl_gen *g)
{
	unsigned i = fl_gen_choose_uffd(g);
	struct fl_gen_span s, from;

	if (!makes_sense(g, i))
		return false;
	s = target(g, i);
	fl_gen_say(g, "copy %s ", fl_gen_uffd_name(i));
	fl_gen_say_range(g, &s);
	if (fl_gen_percent(g, 30) ||
	    (s.bytes > FILL_PAGES * FL_DIFF_PAGE && s.bytes <= FL_DIFF_WINDOW_PAGES * FL_DIFF_PAGE)) {
		/* A source that is missing itself is waited for. */
		from = fl_gen_span(g, fl_gen_here(g),
				   fl_gen_percent(g, 30)   ? FL_GEN_MISSING
				   : fl_gen_percent(g, 80) ? FL_GEN_IS
							   : FL_GEN_ANY,
				   FL_GEN_SPOIL_ODD | FL_GEN_SPOIL_ELSE);
		from.bytes = s.bytes;
		fl_gen_keep_within(g, &from);
		if (from.bytes != s.bytes)
			from = (struct fl_gen_span){.at = from.at % (int64_t)FL_DIFF_PAGE, .bytes = s.bytes};
		if (!fl_gen_touch(g, &from, false, true))
			return false;
		from.bytes = 1;
		fl_gen_say(g, " from=");
		fl_gen_say_place(g, &from);
	} else {
		fl_gen_say(g, " fill=%#x", harmless(1 + fl_gen_below(g, 0xffff)));
	}
	fl_gen_say_bytes(g, &s);
	filled(g, i, &s, say_mode(g, true));
	return fl_gen_say_structure(g);
}

static bool zeropage(struct fl_gen *g)
{
	unsigned i = fl_gen_choose_uffd(g);
	struct fl_gen_span s;

	if (!makes_sense(g, i))
		return false;
	s = target(g, i);
	fl_gen_say(g, "zeropage %s ", fl_gen_uffd_name(i));
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	filled(g, i, &s, say_mode(g, false));
	return fl_gen_say_structure(g);
}

/* Who finds nothing there goes back to sleep, but then there is a new message. */
static bool wake(struct fl_gen *g)
{
	unsigned i = fl_gen_choose_uffd(g);
	struct fl_gen_span s;

	if (!makes_sense(g, i))
		return false;
	s = target(g, i);
	fl_gen_say(g, "wake %s ", fl_gen_uffd_name(i));
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	g->uffd[i].messages++;
	return fl_gen_say_structure(g);
}

static const struct fl_gen_row rows[] = {
	{9, FL_FOCUS_UFFD, copy},
	{4, FL_FOCUS_UFFD, zeropage},
	{2, FL_FOCUS_UFFD, wake},
};
const struct fl_gen_family fl_gen_fills = {rows, sizeof(rows) / sizeof(rows[0])};
