/* SPDX-License-Identifier: MIT */
/*
 * How a program is written down.
 *
 * No locks: one thread.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "diff/generate/internal.h"

static bool make_room(struct fl_gen *g, size_t more)
{
	size_t room = g->room ? g->room : 4096;
	char *text;

	if (g->used + more < g->room)
		return true;
	while (g->used + more >= room)
		room *= 2;
	text = realloc(g->text, room);
	if (!text) {
		g->failed = true;
		return false;
	}
	g->text = text;
	g->room = room;
	return true;
}

#define PIECE 160 /* the longest that is said at once */

void fl_gen_say(struct fl_gen *g, const char *format, ...)
{
	va_list args;
	int n;

	if (!make_room(g, PIECE))
		return;
	va_start(args, format);
	n = vsnprintf(g->text + g->used, PIECE, format, args);
	va_end(args);
	if (n < 0 || n >= PIECE)
		g->failed = true;
	else
		g->used += (size_t)n;
}

void fl_gen_say_next(struct fl_gen *g)
{
	fl_gen_say(g, "\n%s: ", g->thread[g->self].name);
}

void fl_gen_say_turn(struct fl_gen *g, unsigned thread)
{
	g->self = thread;
	fl_gen_say_next(g);
}

/* Bytes from what the area's name means; of a number, which has no name, anything. */
static int64_t from_name(const struct fl_gen *g, const struct fl_gen_span *s)
{
	return (int64_t)((uint64_t)s->at + (uint64_t)g->area[s->area].bias);
}

/* Can these bytes be named by the area? A place cannot name what lies outside of it. */
static bool has_name(const struct fl_gen *g, const struct fl_gen_span *s, uint64_t bytes)
{
	const struct fl_gen_area *a = &g->area[s->area];
	int64_t at = from_name(g, s);

	if (s->number)
		return false;
	return a->result ||
	       (at >= 0 && (uint64_t)at < a->whole * FL_DIFF_PAGE && bytes <= a->whole * FL_DIFF_PAGE - (uint64_t)at);
}

static uint64_t address(const struct fl_gen *g, const struct fl_gen_span *s)
{
	const struct fl_gen_area *a = &g->area[s->area];

	return s->number ? (uint64_t)s->at : FL_DIFF_WINDOW + a->at * FL_DIFF_PAGE + (uint64_t)from_name(g, s);
}

void fl_gen_say_place(struct fl_gen *g, const struct fl_gen_span *s)
{
	const struct fl_gen_area *a = &g->area[s->area];
	int64_t at = from_name(g, s), page = at / (int64_t)FL_DIFF_PAGE, rest = at % (int64_t)FL_DIFF_PAGE;

	if (!has_name(g, s, s->bytes < FL_DIFF_PAGE ? s->bytes : 1)) {
		fl_gen_say(g, "%#llx", (unsigned long long)address(g, s));
	} else if (at < 0) {
		fl_gen_say(g, "%s-%lld", a->name, -(long long)at);
	} else {
		fl_gen_say(g, "%s", a->name);
		if (page || !a->result)
			fl_gen_say(g, "[%lld]", (long long)page);
		if (rest)
			fl_gen_say(g, "+%lld", (long long)rest);
	}
}

/* Whole pages, within what brackets can say. */
static bool in_pages(const struct fl_gen *g, const struct fl_gen_span *s)
{
	int64_t at = from_name(g, s);

	return s->bytes <= FL_DIFF_WINDOW_PAGES * FL_DIFF_PAGE && has_name(g, s, s->bytes) && at >= 0 &&
	       !(at % (int64_t)FL_DIFF_PAGE) && s->bytes && !(s->bytes % FL_DIFF_PAGE) &&
	       (uint64_t)at + s->bytes <= FL_DIFF_WINDOW_PAGES * FL_DIFF_PAGE;
}

void fl_gen_say_range(struct fl_gen *g, const struct fl_gen_span *s)
{
	int64_t page = from_name(g, s) / (int64_t)FL_DIFF_PAGE;

	if (!in_pages(g, s) || s->bytes == FL_DIFF_PAGE)
		fl_gen_say_place(g, s);
	else if (!g->area[s->area].result && !page && s->bytes == g->area[s->area].whole * FL_DIFF_PAGE)
		fl_gen_say(g, "%s", g->area[s->area].name);
	else
		fl_gen_say(g, "%s[%lld:%lld]", g->area[s->area].name, (long long)page,
			   (long long)page + (long long)(s->bytes / FL_DIFF_PAGE));
}

void fl_gen_say_bytes(struct fl_gen *g, const struct fl_gen_span *s)
{
	if (in_pages(g, s) || s->bytes == FL_DIFF_PAGE)
		return;
	if (s->bytes < 1ull << 32)
		fl_gen_say(g, " bytes=%llu", (unsigned long long)s->bytes);
	else
		fl_gen_say(g, " bytes=%#llx", (unsigned long long)s->bytes);
}

void fl_gen_say_prot(struct fl_gen *g, unsigned prot)
{
	static const char *const names[] = {"none", "r", "w", "rw", "x", "rx", "wx", "rwx"};

	if (prot < 8)
		fl_gen_say(g, " prot=%s", names[prot]);
	else
		fl_gen_say(g, " prot=%#x", prot);
}

bool fl_gen_say_result(struct fl_gen *g, int pages, int64_t bias)
{
	struct fl_gen_area *a;

	if (g->areas == FL_GEN_AREAS)
		return false;
	a = &g->area[g->areas++];
	*a = (struct fl_gen_area){.result = true, .bias = bias, .pages = pages < FL_GEN_PAGES ? pages : FL_GEN_PAGES};
	snprintf(a->name, sizeof(a->name), "p%u", ++g->results);
	for (unsigned i = 0; i < FL_GEN_PROCESSES; i++) {
		for (int p = 0; p < FL_GEN_PAGES; p++)
			g->process[i].page[g->areas - 1][p] = 0;
	}
	fl_gen_say(g, "%s = ", a->name);
	return true;
}
