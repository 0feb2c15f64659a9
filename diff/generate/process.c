/* SPDX-License-Identifier: MIT */
/*
 * Processes: forks two deep, threads that end, and signals.
 *
 * No locks: one thread.
 */
#include <stdio.h>
#include <string.h>

#include "diff/generate/internal.h"

/* What a child begins with: its parent's pages, but for what is not inherited. */
static void inherit(struct fl_gen *g, unsigned parent, unsigned child)
{
	for (unsigned a = 0; a < g->areas; a++) {
		for (int i = 0; i < g->area[a].pages; i++) {
			uint16_t p = g->process[parent].page[a][i];

			p &= (uint16_t) ~(FL_GEN_UFFD | FL_GEN_LOCKED);
			if (p & FL_GEN_NOFORK)
				p = 0;
			if (p & FL_GEN_WIPE)
				p &= (uint16_t)~FL_GEN_THERE;
			g->process[child].page[a][i] = p;
		}
	}
}

static bool fork(struct fl_gen *g)
{
	static const char *const names[] = {"", "C", "D", "E"};
	static const char *const threads[][2] = {{"", ""}, {"child", "child2"}, {"son", "son2"}, {"kid", "kid2"}};
	unsigned parent = fl_gen_here(g), child = g->processes;
	struct fl_gen_process *p = &g->process[child];

	if (child == FL_GEN_PROCESSES || g->process[parent].depth == 2 || g->threads + 2 > FL_GEN_THREADS)
		return false;
	g->processes++;
	p->depth = g->process[parent].depth + 1;
	snprintf(p->name, sizeof(p->name), "%s", names[child]);
	inherit(g, parent, child);
	fl_gen_say(g, "fork %s", p->name);
	fl_gen_add_thread(g, threads[child][0], child);
	if (fl_gen_percent(g, 15))
		fl_gen_add_thread(g, threads[child][1], child);
	return true;
}

static bool leave(struct fl_gen *g)
{
	if (fl_gen_awake(g) < 2)
		return false;
	fl_gen_say(g, "exit");
	g->thread[g->self].gone = true;
	return true;
}

/* To one that sleeps, where it matters. */
static bool signal(struct fl_gen *g)
{
	unsigned target = fl_gen_below(g, g->threads);
	struct fl_gen_thread *t;

	for (unsigned i = 0; i < g->threads && !g->thread[target].asleep; i++)
		target = (target + 1) % g->threads;
	t = &g->thread[target];
	if (t->gone || target == g->self || (!t->asleep && fl_gen_percent(g, 80)))
		return false;
	fl_gen_say(g, "signal %s", t->name);
	if (!fl_gen_percent(g, t->process ? 25 : 3)) {
		t->asleep &= t->in_kernel;
		return true;
	}
	/* That ends its process. */
	fl_gen_say(g, " fatal");
	for (unsigned i = 0; i < g->threads; i++)
		g->thread[i].gone |= g->thread[i].process == t->process;
	return true;
}

static const struct fl_gen_row rows[] = {
	{4, FL_FOCUS_FORK, fork},
	{1, FL_FOCUS_FORK, leave},
	{4, FL_FOCUS_UFFD, signal},
};
const struct fl_gen_family fl_gen_processes = {rows, sizeof(rows) / sizeof(rows[0])};
