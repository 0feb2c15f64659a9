/* SPDX-License-Identifier: MIT */
/*
 * What a test calls: in setup, in its threads, and at the end.
 *
 * No locks: one OS thread.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

int fl_world_current(void)
{
	const struct fl_fiber *f = fl_fiber_current();

	return f && fl_world.thread[0].fiber ? (int)(fl_fiber_id(f) - fl_fiber_id(fl_world.thread[0].fiber)) : -1;
}

const char *fl_world_name(unsigned p)
{
	return p < FL_WORLD_FIBERS ? fl_world.thread[p].name : "nobody";
}

static void misuse(const char *what)
{
	fl_world_panic(NULL, "explore.h", 0, what);
}

static void must_be_in_setup(const char *who)
{
	char what[96];

	if (fl_world.setting_up)
		return;
	snprintf(what, sizeof(what), "%s is for setup alone", who);
	misuse(what);
}

unsigned fl_explore_thread(const char *name, void (*fn)(void *), void *arg)
{
	struct fl_world_thread *t = &fl_world.thread[fl_world.threads];

	must_be_in_setup("fl_explore_thread");
	if (fl_world.threads == FL_EXPLORE_THREADS)
		misuse("a test has at most FL_EXPLORE_THREADS threads");
	*t = (struct fl_world_thread){.fn = fn, .arg = arg};
	snprintf(t->name, sizeof(t->name), "%s", name);
	return fl_world.threads++;
}

void fl_explore_may_block(unsigned thread)
{
	must_be_in_setup("fl_explore_may_block");
	if (thread >= fl_world.threads)
		misuse("fl_explore_may_block of a thread that there is not");
	fl_world.thread[thread].may_block = true;
}

void *fl_explore_alloc(size_t size)
{
	return fl_memory_alloc(size, false);
}

void fl_explore_keep(void *p, size_t n)
{
	must_be_in_setup("fl_explore_keep");
	if (!fl_memory_keep(p, n))
		misuse("no memory to keep a variable");
}

void fl_explore_name(const void *p, size_t n, const char *name)
{
	must_be_in_setup("fl_explore_name");
	if (!fl_objects_name(p, n, name))
		misuse("no memory for a name");
}

/* A step of the explorer's own. */
static void point(const struct fl_access_site *site, const volatile void *p, size_t n)
{
	fl_fiber_point(&(struct fl_fiber_point){.site = site, .address = p, .size = n});
}

void fl_explore_await(const uint32_t *p, bool (*ready)(void *arg), void *arg)
{
	static const struct fl_access_site site = {.what = "fl_explore_await", .kind = FL_ACCESS_OTHER, .size = 4};
	int self = fl_world_current();

	if (self < 0) {
		if (!ready(arg))
			misuse("fl_explore_await outside of any thread, and nobody could make it so");
		return;
	}
	fl_run.await[self].ready = ready;
	fl_run.await[self].arg = arg;
	point(&site, p, sizeof(*p));
	fl_run.await[self].ready = NULL;
}

unsigned fl_world_choose(unsigned n, const char *what)
{
	static const struct fl_access_site site = {.what = "fl_explore_choose", .kind = FL_ACCESS_OTHER};

	(void)what;
	point(&site, NULL, 0);
	return fl_path_choose(n);
}

unsigned fl_explore_choose(unsigned n, const char *what)
{
	if (!n)
		misuse("fl_explore_choose of none");
	if (fl_world_current() < 0)
		misuse("fl_explore_choose outside of any thread");
	return n == 1 ? 0 : fl_world_choose(n, what);
}

void fl_explore_yield(void)
{
	static const struct fl_access_site site = {.what = "fl_explore_yield", .kind = FL_ACCESS_YIELD};

	if (fl_world_current() >= 0)
		point(&site, NULL, 0);
}

void fl_explore_op(unsigned line, const char *text)
{
	int self = fl_world_current();

	if (self >= 0)
		fl_run.op[self] = (struct fl_world_op){.line = line, .text = text};
}

void fl_explore_op_end(const char *format, ...)
{
	int self = fl_world_current();
	char text[256];
	va_list args;

	if (self < 0)
		return;
	fl_run.last_ended = fl_run.steps;
	fl_run.op[self] = (struct fl_world_op){0};
	if (FL_LIKELY(!fl_world.options->event))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fl_event_result(text);
}

void fl_explore_outcome(const char *format, ...)
{
	size_t room = sizeof(fl_world.outcome) - fl_world.outcome_length;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(fl_world.outcome + fl_world.outcome_length, room, format, args);
	va_end(args);
	if (n > 0)
		fl_world.outcome_length += (size_t)n < room ? (size_t)n : room - 1;
	/* Two that differ only in what is cut off would be taken for one. */
	if (n > 0 && (size_t)n >= room)
		fl_explore_fail(FL_EXPLORE_PANIC, "an outcome is longer than %d bytes", FL_WORLD_OUTCOME - 1);
}

size_t fl_explore_allocated(void)
{
	fl_fiber_run_callbacks();
	return fl_run.allocated;
}
