/* SPDX-License-Identifier: MIT */
/*
 * Who is blocked when nothing can go on any more: is it a dead-lock, a wake-up that was lost, or all right?
 *
 *   lost wake-up   a thread sleeps in userfaultfd, and its page is there, or the range is no longer registered; or nobody
 *                  holds it there any more; or it waits for a message, and one is unread. Also where it may block: but by
 *                  Linux's own rules a page may come or go with no wake-up (DONTWAKE, munmap, mmap, mremap, a guard, a
 *                  second userfaultfd), and where the scenario does that such a thread may sleep on
 *   dead-lock      everything else, unless the thread may block
 *
 * No locks: nothing runs.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "explore/exec/exec_int.h"
#include "explore/world/world.h"
#include "uffd/context.h"

static const struct fl_uffd_waiter *find_waiter(const struct fl_uffd_waiter *w, const struct fl_task *t)
{
	const struct fl_uffd_waiter *found;

	if (!w || w->task == t)
		return w;
	found = find_waiter(w->left, t);
	return found ? found : find_waiter(w->right, t);
}

/* Where a's task waits for a page, and in which context. Those closed are not known any more. */
static const struct fl_uffd_waiter *waits_for_page(const struct fl_exec *x, const struct fl_actor *a,
						   const struct fl_uffd **u)
{
	const struct fl_uffd_waiter *w = NULL;

	for (size_t i = 0; !w && i < x->s->uffds; i++) {
		*u = x->stage->file[i].u;
		w = *u ? find_waiter((*u)->tree, &a->task) : NULL;
	}
	return w;
}

/* Why w should sleep no more, or NULL. */
static const char *page_is_there(const struct fl_exec *x, const struct fl_actor *a, const struct fl_uffd *u,
				 const struct fl_uffd_waiter *w)
{
	bool write = (w->msg.arg0 & FL_UFFD_PAGEFAULT_FLAG_WRITE) != 0;
	struct fl_mm *mm = a->task.mm;
	const struct fl_vma *v = fl_index_find(&mm->index, w->msg.arg1);
	struct fl_translation tr;

	(void)x;
	if (fl_mm_walk(mm, w->msg.arg1, write ? FL_WRITE : FL_READ, &tr))
		return "though its page is there";
	if (fl_table_peek(&mm->tables, fl_page_down(mm, w->msg.arg1)))
		return "though something is there for it";
	if (!v || v->start > w->msg.arg1)
		return "though nothing is mapped there any more";
	if (v->uffd != u)
		return "though its page is not registered any more";
	return NULL;
}

/* Statements that may wait for a page. */
static bool may_fault(const struct fl_sc_statement *s)
{
	switch (s->op) {
	case FL_SC_LOAD:
	case FL_SC_STORE:
	case FL_SC_ADD:
	case FL_SC_FETCH:
	case FL_SC_COPYIN:
	case FL_SC_COPYOUT:
		return true;
	default:
		return false;
	}
}

static bool is_there(const struct fl_exec *x, const struct fl_actor *a)
{
	enum fl_sc_op op = a->at->op;
	bool write = op == FL_SC_STORE || op == FL_SC_ADD || op == FL_SC_COPYOUT;
	struct fl_translation tr;

	return fl_mm_walk(a->task.mm, fl_exec_address(x, &a->at->range), write ? FL_WRITE : FL_READ, &tr);
}

/* Why a should not sleep, or NULL. */
static const char *should_wake(const struct fl_exec *x, unsigned thread)
{
	const struct fl_actor *a = &x->stage->actor[thread];
	bool quiet = x->silent && x->s->thread[thread].may_block;
	const struct fl_uffd_waiter *w;
	const struct fl_uffd *u;

	if (!a->at || !a->live)
		return NULL;
	if (a->at->op == FL_SC_READ || a->at->op == FL_SC_WAIT) {
		u = x->stage->file[a->at->object].u;
		return u && u->unread ? "though a message is unread" : NULL;
	}
	w = waits_for_page(x, a, &u);
	if (w)
		return quiet ? NULL : page_is_there(x, a, u, w);
	/* Woken, and yet asleep; or it waits for something else. */
	if (may_fault(a->at) && is_there(x, a))
		return "though it has been woken and its page is there";
	return NULL;
}

FL_PRINTF(4, 5) static void add(char *text, size_t size, size_t *used, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text + *used, size - *used, format, args);
	va_end(args);
	if (n > 0)
		*used += (size_t)n < size - *used ? (size_t)n : size - *used - 1;
}

static void describe(const struct fl_exec *x, unsigned thread, const char *why, char *text, size_t size, size_t *used)
{
	const struct fl_sc_statement *at = x->stage->actor[thread].at;
	char object[160];

	add(text, size, used, "%s%s sleeps", *used ? "; " : "", x->s->thread[thread].name);
	if (at)
		add(text, size, used, " in '%s' (line %u)", at->text, at->place.line);
	add(text, size, used, " %s", why);
	add(text, size, used, " (%s: %s)", fl_explore_wait_name(thread),
	    fl_objects_describe(fl_run.point[thread].address, object, sizeof(object)));
}

enum fl_explore_kind fl_exec_judge(struct fl_exec *x, char *text, size_t size)
{
	const struct fl_scenario *s = x->s;
	enum fl_explore_kind kind = FL_EXPLORE_NONE;
	size_t used = 0;

	for (unsigned i = 0; i < s->threads; i++) {
		const char *why = fl_exec_is_blocked(x, i) ? should_wake(x, i) : NULL;

		if (!why)
			continue;
		describe(x, i, why, text, size, &used);
		kind = FL_EXPLORE_LOST_WAKEUP;
	}
	if (kind && !(s->allow & 1u << kind))
		return kind;
	kind = FL_EXPLORE_NONE;
	used = 0;
	for (unsigned i = 0; i < s->threads; i++) {
		if (!fl_exec_is_blocked(x, i) || s->thread[i].may_block)
			continue;
		describe(x, i, "for ever", text, size, &used);
		kind = FL_EXPLORE_DEADLOCK;
	}
	return kind && !(s->allow & 1u << kind) ? kind : FL_EXPLORE_NONE;
}
