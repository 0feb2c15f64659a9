/* SPDX-License-Identifier: MIT */
/*
 * The engine as a side of the comparison: worlds begin and end, calls are issued, answers are told.
 *
 * One arena serves all programs. It is as large as this machine's memory, so that a program finds in it what it finds there; only
 * what programs touch costs anything. When a program ends nothing of it may be left: a frame more in use than before makes the side
 * useless, and `broken` says so.
 *
 * No locks: one OS thread.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "diff/engine/internal.h"

void fl_engine_break(struct fl_engine *e, const char *format, ...)
{
	va_list args;

	if (e->broken)
		return;
	va_start(args, format);
	if (vasprintf(&e->broken, format, args) < 0)
		e->broken = NULL;
	va_end(args);
}

/* 0, or -1 with the reason why this side cannot go on. */
static int tell_broken(struct fl_engine *e, char **error)
{
	*error = NULL;
	if (!e->broken)
		return 0;
	if (asprintf(error, "engine: %s", e->broken) < 0)
		*error = NULL;
	return -1;
}

static void make_actors(struct fl_engine *e, const struct fl_scenario *s)
{
	e->actors = (unsigned)s->threads + 1;
	e->processes = (unsigned)s->processes + 1;
	memset(e->process, 0, sizeof(e->process));
	for (unsigned i = 0; i < e->actors; i++) {
		struct fl_engine_actor *a = &e->actor[i];

		a->process = i < s->threads ? s->thread[i].process : 0;
		a->gone = a->entered = a->busy = a->leave = false;
		a->said = true;
		if (i < s->threads && !a->process)
			e->process[0].actors++;
	}
}

static int begin(struct fl_side *side, const struct fl_scenario *s, char **error)
{
	struct fl_engine *e = fl_engine_of(side);
	int err;

	if (tell_broken(e, error))
		return -1;
	if (s->threads > FL_DIFF_THREADS || s->processes >= FL_DIFF_PROCESSES || s->uffds > FL_DIFF_UFFDS) {
		fl_engine_break(e, "a program may have %u threads, %u processes and %u userfaultfds at most",
				FL_DIFF_THREADS, FL_DIFF_PROCESSES, FL_DIFF_UFFDS);
		return tell_broken(e, error);
	}
	make_actors(e, s);
	e->unprivileged = s->unprivileged;
	err = fl_engine_make_mm(e, &e->process[0].mm);
	if (err) {
		fl_engine_break(e, "no address space with the mappings of the kernel's process: %s", strerror(-err));
		return tell_broken(e, error);
	}
	e->process[0].made = true;
	fl_engine_first_limits(&e->process[0], &e->ground);
	e->running = true;
	return 0;
}

/* There is such an actor, it is born, and has not ended. */
static bool is_there(const struct fl_engine *e, unsigned actor)
{
	return actor < e->actors && !e->actor[actor].gone && e->process[e->actor[actor].process].mm;
}

static int issue(struct fl_side *side, const struct fl_call *c, enum fl_answer_state expect, char **error)
{
	struct fl_engine *e = fl_engine_of(side);
	struct fl_engine_actor *a = &e->actor[c->actor];

	(void)expect;
	if (tell_broken(e, error))
		return -1;
	if (!is_there(e, c->actor))
		return 0;
	if (a->busy || !fl_engine_actor_ready(a)) {
		fl_engine_break(e, a->busy ? "actor %u is still in a call" : "no memory for the fiber of actor %u",
				c->actor);
		return tell_broken(e, error);
	}
	fl_engine_actor_start(a, c);
	fl_fiber_run();
	return tell_broken(e, error);
}

static void answer(struct fl_side *side, unsigned actor, struct fl_answer *r)
{
	struct fl_engine *e = fl_engine_of(side);
	struct fl_engine_actor *a = &e->actor[actor];

	if (is_there(e, actor) && !a->busy && !a->said) {
		*r = a->answer;
		r->state = FL_ANSWER_DONE;
		a->said = true;
		return;
	}
	memset(r, 0, sizeof(*r));
	if (!is_there(e, actor))
		r->state = FL_ANSWER_GONE;
	else if (a->busy)
		r->state = FL_ANSWER_ASLEEP;
}

static bool alive(struct fl_side *side, unsigned process)
{
	struct fl_engine *e = fl_engine_of(side);

	return process < e->processes && e->process[process].mm;
}

static int64_t unread(struct fl_side *side, unsigned uffd)
{
	const struct fl_engine_file *f = uffd < FL_DIFF_UFFDS ? fl_engine_of(side)->file[uffd] : NULL;
	struct fl_uffd_info info;

	if (!f || !f->open)
		return -1;
	fl_uffd_info(f->u, &info);
	return info.pending;
}

/* Whoever sleeps is killed, so that calls end as they do in a process that dies. */
static void stop_actors(struct fl_engine *e)
{
	for (unsigned i = 0; i < e->processes; i++) {
		const char *wrong = e->process[i].mm ? fl_mm_check(e->process[i].mm) : NULL;

		if (wrong)
			fl_engine_break(e, "process %u ends with a broken invariant: %s", i, wrong);
		if (e->process[i].mm)
			fl_engine_kill(e, i);
	}
	fl_fiber_run();
	for (unsigned i = 0; i < e->actors; i++) {
		if (e->actor[i].busy)
			fl_engine_break(e, "actor %u does not die: it is in %s", i,
					fl_fiber_state_name(fl_fiber_state(e->actor[i].fiber)));
	}
}

/* Of the program; calls that never end keep what they use. */
static void end(struct fl_side *side)
{
	struct fl_engine *e = fl_engine_of(side);
	uint64_t used;

	if (!e->running)
		return;
	e->running = false;
	stop_actors(e);
	if (e->broken)
		return;
	fl_engine_close_all(e);
	for (unsigned i = 0; i < e->processes; i++) {
		if (e->process[i].mm)
			fl_mm_put(e->process[i].mm);
		e->process[i].mm = NULL;
	}
	fl_fiber_run(); /* callbacks of grace periods */
	used = fl_frames_used(e->frames);
	if (used != e->frames_base)
		fl_engine_break(e, "%lld frames are left over from a program", (long long)(used - e->frames_base));
}

static const char *broken(struct fl_side *side)
{
	return fl_engine_of(side)->broken;
}

static void free_side(struct fl_side *side)
{
	struct fl_engine *e = fl_engine_of(side);

	end(side);
	for (unsigned i = 0; i < FL_DIFF_ACTORS; i++) {
		if (e->actor[i].fiber && !e->actor[i].busy)
			fl_fiber_destroy(e->actor[i].fiber);
	}
	/* What is broken may still be in use by somebody who sleeps for ever. */
	if (!e->broken) {
		(void)fl_frames_destroy(e->frames);
		munmap(e->arena, e->arena_size);
	}
	free(e->scratch);
	free(e->carrier);
	free(e->broken);
	free(e);
}

static const struct fl_side_ops ops = {
	.name = "engine",
	.begin = begin,
	.issue = issue,
	.answer = answer,
	.alive = alive,
	.maps = fl_engine_maps,
	.pages = fl_engine_pages,
	.unread = unread,
	.end = end,
	.broken = broken,
	.free = free_side,
};

static bool make_arena(struct fl_engine *e)
{
	int err;

	e->arena_size = e->ground.memory & ~(FL_DIFF_PAGE - 1);
	e->arena =
		mmap(NULL, e->arena_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (e->arena == MAP_FAILED)
		return false;
	err = fl_frames_create(e->arena, e->arena_size, 12, &e->frames);
	if (err) {
		munmap(e->arena, e->arena_size);
		return false;
	}
	fl_frames_assume_zero(e->frames);
	e->frames_base = fl_frames_used(e->frames);
	return true;
}

struct fl_side *fl_engine_side_new(const struct fl_ground *ground)
{
	struct fl_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->side.ops = &ops;
	e->ground = *ground;
	e->scratch = calloc(FL_DIFF_ACTORS, FL_DIFF_SCRATCH_SIZE);
	e->carrier = calloc(FL_DIFF_ACTORS, FL_ENGINE_CARRIER);
	for (unsigned i = 0; i < FL_DIFF_ACTORS; i++) {
		e->actor[i].e = e;
		e->actor[i].index = i;
	}
	if (e->scratch && e->carrier && make_arena(e))
		return &e->side;
	free(e->scratch);
	free(e->carrier);
	free(e);
	return NULL;
}
