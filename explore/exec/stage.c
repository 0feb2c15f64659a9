/* SPDX-License-Identifier: MIT */
/*
 * The world of the runs: made once by setup, in explored memory.
 *
 * No locks: outside of threads, but for fl_actor_enter and fl_actor_leave, whose caller owns the actor.
 */
#include <stdio.h>
#include <string.h>

#include "explore/exec/exec_int.h"
#include "faultline/uaccess.h"
#include "mm/mm_int.h"
#include "uffd/context.h"

static size_t page_size(const struct fl_exec *x)
{
	return (size_t)1 << x->arch.geometry.page_shift;
}

static int make_scratch(struct fl_actor *a)
{
	const struct fl_exec *x = a->x;
	const struct fl_exec_thread *t = &x->thread[a->index];
	size_t page = page_size(x), len = t->scratch * page;
	struct fl_translation tr;
	fl_va at;
	int err;

	if (!len)
		return 0;
	err = fl_mmap(&a->task, t->at, len, FL_PROT_READ | FL_PROT_WRITE,
		      FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED, &at);
	if (!err && x->has_fork)
		err = fl_madvise(&a->task, at, len, FL_MADV_DONTFORK);
	if (err)
		return err;
	if (fl_fault_in_writeable(&a->task, at, len))
		return -FL_ENOMEM;
	for (unsigned i = 0; i < t->scratch; i++) {
		if (!fl_mm_walk(a->task.mm, at + i * page, FL_WRITE, &tr))
			return -FL_ENOMEM;
		a->page[i] = fl_frame_data(a->x->stage->frames, tr.pfn);
	}
	a->scratch = at;
	a->filled = false;
	return 0;
}

int fl_actor_enter(struct fl_actor *a, struct fl_mm *mm)
{
	int err;

	fl_task_init(&a->task, a->x->stage->frames, mm, a->index + 1);
	if (a->x->thread[a->index].accesses)
		fl_vcpu_init(&a->cpu, &a->task);
	a->entered = a->live = true;
	err = make_scratch(a);
	if (err) {
		fl_actor_leave(a);
		a->entered = false;
	}
	return err;
}

void fl_actor_leave(struct fl_actor *a)
{
	a->live = false;
	if (a->x->thread[a->index].accesses)
		fl_vcpu_exit(&a->cpu);
	fl_task_exit(&a->task);
}

static unsigned threads_in_main(const struct fl_scenario *s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->threads; i++)
		n += s->thread[i].process == 0;
	return n;
}

static bool make_cells(struct fl_exec *x, struct fl_stage *st)
{
	const struct fl_scenario *s = x->s;
	char name[FL_EXPLORE_NAME * 2];

	st->result = fl_explore_alloc((s->results + 1) * sizeof(*st->result));
	st->variable = fl_explore_alloc((s->variables + 1) * sizeof(*st->variable));
	if (!st->result || !st->variable)
		return false;
	for (size_t i = 0; i < s->results; i++) {
		struct fl_cell *c = &st->result[i];

		for (unsigned k = 0; k < FL_EXEC_FIELDS; k++)
			c->value[k] = FL_SC_UNSET;
		fl_explore_name(c, sizeof(*c), s->result[i].name);
	}
	for (size_t i = 0; i < s->variables; i++) {
		struct fl_cell *c = &st->variable[i];

		c->word = x->together[i] ? &st->together : &c->own;
		c->value[0] = s->initial ? s->initial[i] : 0;
		fl_explore_name(c, sizeof(*c), s->variable[i].name);
	}
	fl_explore_name(&st->together, sizeof(st->together), "variables");
	for (size_t i = 0; i < s->uffds; i++) {
		snprintf(name, sizeof(name), "%s's descriptor", s->uffd[i].name);
		fl_explore_name(&st->file[i], sizeof(st->file[i]), name);
	}
	return true;
}

static bool make_actors(struct fl_exec *x, struct fl_stage *st)
{
	char name[FL_EXPLORE_NAME * 2];

	for (unsigned i = 0; i <= x->s->threads; i++) {
		struct fl_actor *a = &st->actor[i];

		a->x = x;
		a->index = i;
		a->page = fl_explore_alloc((x->thread[i].scratch + 1) * sizeof(*a->page));
		if (!a->page)
			return false;
		snprintf(name, sizeof(name), "%s's task", fl_exec_actor_name(a));
		fl_explore_name(&a->task, sizeof(a->task), name);
		snprintf(name, sizeof(name), "%s's CPU", fl_exec_actor_name(a));
		fl_explore_name(&a->cpu, sizeof(a->cpu), name);
	}
	return true;
}

/* Frames: what the scenario says, the zero frame, and those of scratch. */
static bool make_arena(struct fl_exec *x, struct fl_stage *st)
{
	size_t page = page_size(x), frames = x->s->frames + 1;

	for (size_t i = 0; i <= x->s->threads; i++)
		frames += x->thread[i].scratch;
	st->arena = fl_explore_alloc((frames + 1) * page);
	if (!st->arena)
		return false;
	st->arena = (void *)(((uintptr_t)st->arena + page - 1) & ~(uintptr_t)(page - 1));
	st->arena_size = frames * page;
	memset(st->arena, 0xa5, st->arena_size); /* nothing may rely on zeros */
	fl_explore_name(st->arena, st->arena_size, "frames");
	return fl_frames_create(st->arena, st->arena_size, x->arch.geometry.page_shift, &st->frames) == 0;
}

static bool make_stage(struct fl_exec *x)
{
	const struct fl_scenario *s = x->s;
	struct fl_stage *st = fl_explore_alloc(sizeof(*st));

	x->stage = st;
	if (!st)
		return false;
	st->allocated = fl_explore_allocated();
	st->process = fl_explore_alloc((1 + s->processes) * sizeof(*st->process));
	st->file = fl_explore_alloc((s->uffds + 1) * sizeof(*st->file));
	st->actor = fl_explore_alloc((s->threads + 1) * sizeof(*st->actor));
	if (!st->process || !st->file || !st->actor)
		return false;
	fl_explore_name(st->process, (1 + s->processes) * sizeof(*st->process), "processes");
	return make_cells(x, st) && make_actors(x, st) && make_arena(x, st);
}

/* The main process, with its threads and the one that does the setup. */
static bool make_main(struct fl_exec *x, struct fl_stage *st)
{
	struct fl_mm_config config = {.arch = &x->arch, .frames = st->frames, .brk = x->has_brk ? x->heap : 0};

	if (fl_soft_mm_create(&config, &st->process[0].mm))
		return false;
	st->process[0].state = FL_EXEC_ALIVE;
	fl_explore_name(st->process[0].mm, sizeof(struct fl_mm), "address space");
	for (unsigned i = 0; i <= x->s->threads; i++) {
		if ((i == x->s->threads || x->s->thread[i].process == 0) &&
		    fl_actor_enter(&st->actor[i], st->process[0].mm))
			return false;
	}
	return true;
}

/* The one that did the setup leaves: a flush has one CPU less to ask. Its scratch stays, so that as many frames are taken. */
static void end_setup(struct fl_exec *x, struct fl_stage *st)
{
	struct fl_actor *a = &st->actor[x->s->threads];
	bool alone = threads_in_main(x->s) == 0;

	fl_actor_leave(a);
	st->process[0].kept = alone;
	if (!alone)
		fl_mm_put(st->process[0].mm);
	for (size_t i = 0; i < x->s->uffds; i++) {
		if (st->file[i].u)
			fl_explore_name(st->file[i].u, sizeof(struct fl_uffd), x->s->uffd[i].name);
	}
	for (size_t i = 0; i < x->s->processes; i++) {
		if ((x->forker[i] == FL_EXEC_NOBODY || x->forker[i] == a->index) &&
		    st->process[1 + i].state == FL_EXEC_UNBORN)
			st->process[1 + i].state = FL_EXEC_NEVER;
	}
	fl_rcu_barrier();
}

static void do_nothing(void *unused)
{
	(void)unused;
}

void fl_exec_setup(void *exec)
{
	struct fl_exec *x = exec;
	const struct fl_scenario *s = x->s;

	fl_exec_forget(x);
	if (!make_stage(x) || !make_main(x, x->stage))
		fl_explore_fail(FL_EXPLORE_CHECK,
				"%s: there is not enough memory for %u frames and the rest of the setup", s->path,
				s->frames);
	(void)fl_exec_body(&x->stage->actor[s->threads], s->setup, s->setups);
	end_setup(x, x->stage);
	for (unsigned i = 0; i < s->threads; i++) {
		(void)fl_explore_thread(s->thread[i].name, fl_exec_run, &x->stage->actor[i]);
		fl_explore_may_block(i); /* whether it may is said at the end, where more can be said of it */
	}
	if (!s->threads)
		(void)fl_explore_thread("nobody", do_nothing, NULL);
}
