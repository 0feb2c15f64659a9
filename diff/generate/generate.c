/* SPDX-License-Identifier: MIT */
/*
 * Random programs: how one begins, what it is about, and which statement comes next.
 *
 * Each program is about two or three things only, so that these meet each other: a program about everything shows little
 * of each.
 *
 * No locks: one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff/generate/internal.h"

#define ROWS 128u
#define TRIES 40u /* to find a statement that makes sense */

static const char *const focus_names[FL_FOCUS_MAX] = {
	"map", "remap", "advice", "fork", "uffd", "lock", "limit", "access", "pointer", "brk", "stack",
};

const char *fl_focus_name(unsigned i)
{
	return i < FL_FOCUS_MAX ? focus_names[i] : NULL;
}

static const struct fl_gen_family *const families[] = {
	&fl_gen_maps,  &fl_gen_remaps, &fl_gen_advice, &fl_gen_accesses, &fl_gen_pointers, &fl_gen_processes,
	&fl_gen_locks, &fl_gen_limits, &fl_gen_stacks, &fl_gen_uffds,    &fl_gen_fills,
};

/* All rows, and how often each is to come. */
struct choice {
	unsigned n;
	const struct fl_gen_row *row[ROWS];
	unsigned weight[ROWS];
};

static void choose_rows(const struct fl_gen *g, struct choice *c)
{
	/* Without these focuses there is no userfaultfd, no stack and no limit at all: they would change everything. */
	const unsigned only_if = FL_FOCUS_UFFD | FL_FOCUS_STACK | FL_FOCUS_LIMIT;

	c->n = 0;
	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
		for (size_t i = 0; i < families[f]->rows && c->n < ROWS; i++) {
			const struct fl_gen_row *row = &families[f]->row[i];
			bool about = (row->focus & g->focus) != 0;

			if (row->focus && !(row->focus & ~only_if) && !about)
				continue;
			c->row[c->n] = row;
			c->weight[c->n++] = row->weight * (about ? 6 : 1);
		}
	}
}

/* What it is about: two or three things; what was asked for is always one. */
static unsigned choose_focus(struct fl_gen *g)
{
	static const unsigned weight[FL_FOCUS_MAX] = {6, 5, 4, 4, 7, 3, 2, 3, 3, 2, 2};
	unsigned focus = g->o.focus, n = 2 + fl_gen_below(g, 2);

	if (focus)
		n = fl_gen_below(g, 2);
	while (n--)
		focus |= 1u << fl_gen_weighted(g, weight, FL_FOCUS_MAX);
	return focus;
}

static void add_place(struct fl_gen *g, const char *name, unsigned at, unsigned whole, int pages)
{
	struct fl_gen_area *a = &g->area[g->areas++];

	*a = (struct fl_gen_area){.whole = whole, .at = at, .pages = pages};
	snprintf(a->name, sizeof(a->name), "%s", name);
}

/*
 * W: a few pages; or over the border of a page table (2 MiB); or so many that there are several. Only FL_GEN_PAGES of them are
 * in mind. S: for stacks, with room below.
 */
static void choose_places(struct fl_gen *g)
{
	static const uint64_t sizes[] = {16, 24, 32, 64, 64, 64, 128};
	unsigned pages = (unsigned)FL_GEN_ONE(g, sizes), at = 1 + fl_gen_below(g, 8), kind = fl_gen_below(g, 100);

	if (kind < 25)
		at = 512 - 1 - fl_gen_below(g, pages - 2);
	g->big = kind >= 92;
	if (g->big) {
		at = 512 - 4 - fl_gen_below(g, 8);
		pages = 1024 + fl_gen_below(g, 1200);
	}
	add_place(g, "W", at, pages, pages < FL_GEN_PAGES ? (int)pages : FL_GEN_PAGES);
	/* Around the last border of a page table. */
	if (g->big)
		g->area[0].bias =
			(int64_t)((at + pages - 64) / 512 * 512 - at - FL_GEN_PAGES / 2) * (int64_t)FL_DIFF_PAGE;
	if (fl_gen_about(g, FL_FOCUS_STACK)) {
		add_place(g, "S", at + pages + fl_gen_below(g, 4), 600, 64);
		g->area[1].bias = (600 - 64) * (int64_t)FL_DIFF_PAGE;
	}
}

/* A statement of some thread that is awake. False: nobody is. */
static bool make_statement(struct fl_gen *g, const struct choice *c)
{
	struct fl_gen_thread thread[FL_GEN_THREADS];
	struct fl_gen_uffd uffd[FL_GEN_UFFDS];
	unsigned awake = fl_gen_awake(g), which;

	if (!awake)
		return false;
	memcpy(thread, g->thread, sizeof(thread));
	memcpy(uffd, g->uffd, sizeof(uffd));
	for (unsigned tries = 0; tries < TRIES; tries++) {
		unsigned threads = g->threads, areas = g->areas, results = g->results;
		size_t used = g->used;

		which = fl_gen_below(g, awake);
		for (g->self = 0; g->thread[g->self].gone || g->thread[g->self].asleep || which--; g->self++)
			;
		fl_gen_say(g, "%s: ", g->thread[g->self].name);
		if (c->row[fl_gen_weighted(g, c->weight, c->n)]->make(g)) {
			fl_gen_say(g, "\n");
			return true;
		}
		/* As if nobody had tried. */
		g->used = used;
		memcpy(g->thread, thread, sizeof(thread));
		memcpy(g->uffd, uffd, sizeof(uffd));
		g->threads = threads;
		g->areas = areas;
		g->results = results;
	}
	return true;
}

/* Something to begin with. */
static void map_first(struct fl_gen *g)
{
	unsigned n = 1 + fl_gen_below(g, 3);

	for (unsigned i = 0; i < n; i++) {
		unsigned pages = (unsigned)g->area[0].pages, first = fl_gen_below(g, pages - 4);
		unsigned more = 1 + fl_gen_below(g, pages - first < 17 ? pages - first : 16);
		struct fl_gen_span s = {.at = first * (int64_t)FL_DIFF_PAGE, .bytes = more * FL_DIFF_PAGE};
		unsigned prot = fl_gen_percent(g, 85) ? 3 : 1;

		if (g->big && fl_gen_percent(g, 50))
			s = (struct fl_gen_span){.at = -g->area[0].bias, .bytes = g->area[0].whole * FL_DIFF_PAGE};
		fl_gen_say(g, "main: mmap ");
		fl_gen_say_range(g, &s);
		fl_gen_say_bytes(g, &s);
		fl_gen_say_prot(g, prot);
		fl_gen_say(g, "\n");
		fl_gen_replace(g, 0, &s, (uint16_t)(FL_GEN_MAPPED | prot));
	}
}

static void watch_first(struct fl_gen *g)
{
	bool nonblock = fl_gen_percent(g, 75), user_only = !g->privileged, sigbus = fl_gen_percent(g, 8);
	bool thread_id = !sigbus && fl_gen_percent(g, 50);
	struct fl_gen_span s;

	g->uffd[0] = (struct fl_gen_uffd){.named = true,
					  .opened = true,
					  .open = true,
					  .ready = true,
					  .nonblock = nonblock,
					  .user_only = user_only,
					  .sigbus = sigbus,
					  .thread_id = thread_id};
	fl_gen_say(g, "main: open U%s%s\nmain: api U%s\n", nonblock ? " nonblock" : "", user_only ? " user_only" : "",
		   sigbus      ? " features=sigbus"
		   : thread_id ? " features=thread_id"
			       : "");
	for (unsigned n = 1 + fl_gen_below(g, 2); n; n--) {
		s = fl_gen_span(g, 0, FL_GEN_IS, FL_GEN_SPOIL_NOT);
		fl_gen_say(g, "main: register U missing ");
		fl_gen_say_range(g, &s);
		fl_gen_say_bytes(g, &s);
		fl_gen_say(g, "\n");
		fl_gen_change(g, 0, &s, FL_GEN_UFFD, 1 << FL_GEN_UFFD_SHIFT);
	}
}

/*
 * Only so many mappings more: rarely, for filling a process up costs as much as a hundred programs. By the seed, so that all other
 * programs are what they would be without.
 */
static bool wants_few_maps(const struct fl_gen *g)
{
	return (g->random * 0x9e3779b97f4a7c15 >> 32) % (g->o.focus & FL_FOCUS_LIMIT ? 100 : 3000) == 0;
}

static void limit_maps(struct fl_gen *g)
{
	static const uint64_t more[] = {0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 8, 12, 20};

	g->limited = true;
	fl_gen_say(g, "main: limit maps +%llu\n", (unsigned long long)FL_GEN_ONE(g, more));
}

static void begin(struct fl_gen *g)
{
	static const char *const names[] = {"main", "other", "third"};
	bool few_maps = wants_few_maps(g);
	unsigned threads = 1;

	g->edge = 20 + fl_gen_below(g, 30);
	g->focus = choose_focus(g);
	/* Locking more than the limit is for those without privileges. */
	g->privileged = g->o.root && !fl_gen_percent(g, fl_gen_about(g, FL_FOCUS_LOCK | FL_FOCUS_LIMIT) ? 25 : 3);
	g->processes = 1;
	if (fl_gen_about(g, FL_FOCUS_UFFD))
		threads = 2 + fl_gen_below(g, 2);
	else if (fl_gen_percent(g, 15))
		threads = 2;
	for (unsigned i = 0; i < threads; i++)
		fl_gen_add_thread(g, names[i], 0);
	choose_places(g);
	map_first(g);
	/* So little that it matters how much is locked already. */
	if (!g->privileged && fl_gen_about(g, FL_FOCUS_LOCK | FL_FOCUS_LIMIT) && fl_gen_percent(g, 60))
		fl_gen_say(g, "main: limit memlock %u\n", 2 + fl_gen_below(g, 24));
	if (fl_gen_about(g, FL_FOCUS_UFFD) && fl_gen_percent(g, 80))
		watch_first(g);
	if (few_maps)
		limit_maps(g);
}

/* What stands above the statements. */
static char *declarations(const struct fl_gen *g, size_t *n)
{
	char *text = malloc(1024);
	size_t used = 0;

	if (!text)
		return NULL;
#define PUT(...) used += (size_t)snprintf(text + used, 1024 - used, __VA_ARGS__)
	if (g->o.root && !g->privileged)
		PUT("unprivileged\n");
	for (unsigned i = 0; i < g->areas; i++) {
		const struct fl_gen_area *a = &g->area[i];

		if (!a->result)
			PUT("place %s pages=%llu at=%llu\n", a->name, (unsigned long long)a->whole,
			    (unsigned long long)a->at);
	}
	for (unsigned i = 0; i < g->threads; i++) {
		const struct fl_gen_thread *t = &g->thread[i];

		if (t->process)
			PUT("thread %s in %s\n", t->name, g->process[t->process].name);
		else
			PUT("thread %s\n", t->name);
	}
#undef PUT
	*n = used;
	return text;
}

static char *finish(struct fl_gen *g)
{
	static const char *const names[FL_GEN_UFFDS] = {"U", "V", "Q"};
	char *above, *text = NULL;
	size_t n = 0;

	/* A name that was never opened must be opened somewhere, for the program to be one. */
	for (unsigned i = 0; i < FL_GEN_UFFDS; i++) {
		if (g->uffd[i].named && !g->uffd[i].opened)
			fl_gen_say(g, "main: open %s\n", names[i]);
	}
	above = declarations(g, &n);
	if (above && !g->failed)
		text = realloc(above, n + g->used + 1);
	if (text) {
		memcpy(text + n, g->text, g->used);
		text[n + g->used] = '\0';
	} else {
		free(above);
	}
	return text;
}

char *fl_generate(uint64_t seed, const struct fl_generate_options *o)
{
	struct fl_gen *g = calloc(1, sizeof(*g));
	struct choice c;
	unsigned statements;
	char *text;

	if (!g)
		return NULL;
	g->o = *o;
	g->random = seed;
	fl_gen_random(g);
	statements = o->statements ? o->statements : 30;
	begin(g);
	choose_rows(g, &c);
	/* From half as many to half as many more. */
	statements = statements / 2 + fl_gen_below(g, statements + 1);
	for (unsigned i = 0; i < statements && !g->failed; i++) {
		if (!make_statement(g, &c))
			break;
	}
	text = finish(g);
	free(g->text);
	free(g);
	return text;
}
