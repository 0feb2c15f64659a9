/* SPDX-License-Identifier: MIT */
/* Making an executor of a scenario. No locks: one thread. */
#include <stdlib.h>
#include <string.h>

#include "explore/exec/exec_int.h"

/* 3 levels; a leaf table has 16 entries, and the root twice as many: the lower half is the executor's own. */
static void choose_tables(struct fl_exec *x)
{
	x->arch = fl_arch_x86_64;
	if (x->s->full_tables) {
		x->window = (fl_va)1 << 28;
		x->heap = (fl_va)1 << 31;
		return;
	}
	x->arch.geometry = (struct fl_geometry){.page_shift = 12, .levels = 3, .index_bits = {4, 4, 5}};
	x->arch.task_size = (fl_va)2 * FL_EXEC_WINDOW_PAGES << 12;
	x->window = (fl_va)FL_EXEC_WINDOW_PAGES << 12;
	x->heap = x->window / 2;
}

static bool make_lists(struct fl_exec *x)
{
	const struct fl_scenario *s = x->s;

	x->thread = calloc(s->threads + 1, sizeof(*x->thread));
	x->forker = calloc(s->processes + 1, sizeof(*x->forker));
	x->leaves = calloc(s->processes + 1, sizeof(*x->leaves));
	x->together = calloc(s->variables + 1, sizeof(*x->together));
	x->waited = calloc(s->uffds + 1, sizeof(*x->waited));
	x->closed = calloc(s->uffds + 1, sizeof(*x->closed));
	x->nonblock = calloc(s->uffds + 1, sizeof(*x->nonblock));
	x->seen = calloc(s->properties + 1, sizeof(*x->seen));
	return x->thread && x->forker && x->leaves && x->together && x->waited && x->closed && x->nonblock && x->seen;
}

struct fl_exec *fl_exec_new(const struct fl_scenario *s, char **error)
{
	struct fl_exec *x;

	*error = fl_exec_refuse(s);
	if (*error)
		return NULL;
	x = calloc(1, sizeof(*x));
	if (!x)
		goto no_memory;
	x->s = s;
	x->test = (struct fl_explore_test){
		.name = "scenario", .arg = x, .setup = fl_exec_setup, .finish = fl_exec_finish};
	choose_tables(x);
	if (!make_lists(x))
		goto no_memory;
	*error = fl_exec_find_facts(x);
	if (!*error)
		return x;
	fl_exec_free(x);
	return NULL;

no_memory:
	fl_exec_free(x);
	*error = strdup("there is no memory for the executor");
	return NULL;
}

void fl_exec_free(struct fl_exec *x)
{
	if (!x)
		return;
	free(x->thread);
	free(x->forker);
	free(x->leaves);
	free(x->together);
	free(x->waited);
	free(x->closed);
	free(x->nonblock);
	free(x->seen);
	fl_exec_forget(x);
	free(x);
}

const struct fl_explore_test *fl_exec_test(struct fl_exec *x)
{
	return &x->test;
}

bool fl_exec_never_seen(const struct fl_exec *x, size_t property)
{
	return x->s->property[property].when == FL_SC_SOMETIMES && !x->seen[property];
}
