/* SPDX-License-Identifier: MIT */
/*
 * What can be known of a scenario without running it. It decides which steps the executor's own words need: a
 * userfaultfd that is never closed, or that nobody waits for, costs none.
 *
 * No locks: one thread.
 */
#include <inttypes.h>

#include "explore/exec/exec_int.h"
#include "faultline/uapi.h"

/* Whose statement is looked at. */
struct finder {
	struct fl_exec *x;
	unsigned thread; /* s->threads: setup */
	bool again;      /* in a repeat */
	char *error;
};

static unsigned count_variables(const struct fl_sc_expr *e)
{
	unsigned n;

	if (!e)
		return 0;
	n = e->kind == FL_SC_E_VAR;
	n += count_variables(e->left) + count_variables(e->right);
	for (size_t i = 0; i < e->members; i++)
		n += count_variables(e->member[i]);
	return n;
}

static void mark_together(struct fl_exec *x, const struct fl_sc_expr *e)
{
	if (!e)
		return;
	if (e->kind == FL_SC_E_VAR)
		x->together[e->index] = true;
	mark_together(x, e->left);
	mark_together(x, e->right);
	for (size_t i = 0; i < e->members; i++)
		mark_together(x, e->member[i]);
}

/* Pages of scratch that a call needs: one for its structure, and what COPY copies. */
static unsigned scratch_pages(const struct fl_exec *x, const struct fl_sc_statement *st)
{
	if (st->op == FL_SC_COPY && !st->has_other)
		return 1 + (unsigned)(fl_exec_bytes(x, &st->range) >> x->arch.geometry.page_shift);
	switch (st->op) {
	case FL_SC_UFFD:
	case FL_SC_REGISTER:
	case FL_SC_UNREGISTER:
	case FL_SC_COPY:
	case FL_SC_ZEROPAGE:
	case FL_SC_WAKE:
		return 1;
	default:
		return 0;
	}
}

static void find_fork(struct finder *f, const struct fl_sc_statement *st)
{
	struct fl_exec *x = f->x;

	x->has_fork = true;
	if (x->forker[st->object] != FL_EXEC_NOBODY)
		f->error = fl_exec_error(x->s, &st->place, "%s is made by a fork somewhere else already",
					 x->s->process[st->object].name);
	else if (f->again)
		f->error = fl_exec_error(x->s, &st->place, "%s would be made more than once; take fork out of repeat",
					 x->s->process[st->object].name);
	x->forker[st->object] = f->thread;
}

/* May it bring or take the page that somebody waits for, and wake nobody? */
static bool is_silent(const struct fl_sc_statement *st)
{
	switch (st->op) {
	case FL_SC_MMAP:
	case FL_SC_MUNMAP:
	case FL_SC_MREMAP:
		return true;
	case FL_SC_MADVISE:
		return st->advice == FL_MADV_GUARD_INSTALL;
	default:
		return st->dontwake;
	}
}

static void find_in_statement(struct finder *f, const struct fl_sc_statement *st)
{
	struct fl_exec *x = f->x;
	struct fl_exec_thread *t = &x->thread[f->thread];
	unsigned pages = scratch_pages(x, st);

	if (pages > t->scratch)
		t->scratch = pages;
	if (f->thread < x->s->threads && is_silent(st))
		x->silent = true;
	switch (st->op) {
	case FL_SC_LOAD:
	case FL_SC_STORE:
	case FL_SC_ADD:
	case FL_SC_FETCH:
		t->accesses = true;
		break;
	case FL_SC_FORK:
		find_fork(f, st);
		break;
	case FL_SC_EXIT:
		x->leaves[x->s->thread[f->thread].process] = true;
		break;
	case FL_SC_BRK:
		x->has_brk = true;
		break;
	case FL_SC_SIGNAL:
		x->thread[st->object].signalled = true;
		x->thread[st->object].killed |= st->fatal;
		break;
	case FL_SC_AWAIT:
		t->awaits = true;
		break;
	case FL_SC_WAIT:
		t->awaits = true;
		x->waited[st->object] = true;
		break;
	case FL_SC_CLOSE:
		x->closed[st->object] = true;
		break;
	case FL_SC_UFFD:
		x->nonblock[st->object] = st->nonblock;
		break;
	default:
		break;
	}
}

static void find_in_body(struct finder *f, const struct fl_sc_statement *st, size_t n)
{
	bool again = f->again;

	for (; !f->error && n; n--, st++) {
		find_in_statement(f, st);
		if (st->op == FL_SC_AWAIT && count_variables(st->condition) > 1)
			mark_together(f->x, st->condition);
		f->again = again || st->op == FL_SC_REPEAT;
		find_in_body(f, st->body, st->bodies);
		find_in_body(f, st->orelse, st->orelses);
		f->again = again;
	}
}

/* An arena has 16 frames at least. Those that the scenario has not are setup's. */
static void fill_arena(struct fl_exec *x)
{
	unsigned frames = x->s->frames + 1;

	for (size_t i = 0; i <= x->s->threads; i++)
		frames += x->thread[i].scratch;
	if (frames < 16)
		x->thread[x->s->threads].scratch += 16 - frames;
}

/* Each actor's scratch begins with a leaf table of its own. */
static char *place_scratch(struct fl_exec *x)
{
	const struct fl_geometry *geo = &x->arch.geometry;
	fl_va leaf = (fl_va)1 << (geo->page_shift + geo->index_bits[0]), at = x->s->full_tables ? x->window << 2 : leaf;

	for (size_t i = 0; i <= x->s->threads; i++) {
		struct fl_exec_thread *t = &x->thread[i];

		t->at = at;
		at += ((((fl_va)t->scratch << geo->page_shift) + leaf - 1) & ~(leaf - 1));
	}
	if (at > x->heap)
		return fl_exec_error(x->s, &(struct fl_place){1, 1},
				     "the copies of all threads are %" PRIu64 " pages too long together",
				     (at - x->heap) >> geo->page_shift);
	return NULL;
}

static void find_look(void *arg, const struct fl_sc_expr *look)
{
	struct fl_exec *x = arg;

	for (size_t i = 0; i < x->looks && i < FL_EXEC_LOOKS; i++) {
		if (fl_outcome_same(look, x->look[i]))
			return;
	}
	if (x->looks < FL_EXEC_LOOKS)
		x->look[x->looks] = look;
	x->looks++;
}

char *fl_exec_find_facts(struct fl_exec *x)
{
	const struct fl_scenario *s = x->s;
	struct finder f = {.x = x};

	x->silent = s->uffds > 1;
	for (size_t i = 0; i < s->processes; i++)
		x->forker[i] = FL_EXEC_NOBODY;
	for (f.thread = 0; !f.error && f.thread <= s->threads; f.thread++) {
		if (f.thread < s->threads)
			find_in_body(&f, s->thread[f.thread].body, s->thread[f.thread].bodies);
		else
			find_in_body(&f, s->setup, s->setups);
	}
	if (f.error)
		return f.error;
	fl_outcome_looks(s, find_look, x);
	if (x->looks > FL_EXEC_LOOKS)
		return fl_exec_error(s, &s->property[0].place,
				     "properties look at %zu places in memory and counts; %u at most can be kept",
				     x->looks, FL_EXEC_LOOKS);
	fill_arena(x);
	return place_scratch(x);
}
