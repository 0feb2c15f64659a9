/* SPDX-License-Identifier: MIT */
/*
 * What a run finds that must not be. The first finding of a run counts, and ends it.
 *
 * No locks: one OS thread.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "leave.h"
#include "world.h"

jmp_buf fl_world_outside;

const char *fl_explore_kind_name(enum fl_explore_kind kind)
{
	static const char *const names[] = {
		[FL_EXPLORE_NONE] = "none",
		[FL_EXPLORE_CHECK] = "check",
		[FL_EXPLORE_PROPERTY] = "property",
		[FL_EXPLORE_DEADLOCK] = "dead-lock",
		[FL_EXPLORE_LOST_WAKEUP] = "lost wake-up",
		[FL_EXPLORE_LIVELOCK] = "live-lock",
		[FL_EXPLORE_RACE] = "data race",
		[FL_EXPLORE_FREED] = "use of freed memory",
		[FL_EXPLORE_LEAK] = "leak",
		[FL_EXPLORE_CHECKER] = "broken invariant",
		[FL_EXPLORE_PANIC] = "panic",
		[FL_EXPLORE_CRASH] = "crash",
	};

	return (size_t)kind < FL_ARRAY_LEN(names) ? names[kind] : "unknown";
}

static void find(enum fl_explore_kind kind, const char *format, va_list args)
{
	if (fl_world.kind)
		return;
	fl_world.kind = kind;
	vsnprintf(fl_world.text, sizeof(fl_world.text), format, args);
	if (fl_world.options->stop && fl_world.options->stop_at == UINT_MAX)
		raise(SIGTRAP);
}

void fl_finding(enum fl_explore_kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	find(kind, format, args);
	va_end(args);
}

void fl_world_leave(void)
{
	if (fl_fiber_current())
		fl_fiber_abandon();
	longjmp(fl_world_outside, 1);
}

void fl_explore_fail(enum fl_explore_kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	find(kind, format, args);
	va_end(args);
	if (fl_fiber_current())
		fl_fiber_abandon();
	if (fl_world.setting_up)
		fl_world_leave();
}

void fl_world_panic(void *arg, const char *file, int line, const char *what)
{
	int current = fl_world_current();
	const char *slash = strrchr(file, '/');
	char place[96] = "";

	(void)arg;
	if (line > 0) /* the port's own complaints have none: where they come from is the thread's business */
		snprintf(place, sizeof(place), "%s:%d: ", slash ? slash + 1 : file, line);
	fl_finding(FL_EXPLORE_PANIC, "%s%s: %s%s", current < 0 ? "" : "in ",
		   current < 0 ? (fl_world.setting_up ? "in setup" : "at the end") : fl_world_name((unsigned)current),
		   place, what);
	fl_world_leave();
}

const char *fl_explore_wait_name(unsigned p)
{
	if (p >= fl_world.fibers || fl_run.done >> p & 1)
		return "done";
	switch ((enum fl_access_kind)fl_run.point[p].site->kind) {
	case FL_ACCESS_LOCK:
		return "waits for a mutex";
	case FL_ACCESS_PARK:
		return "parked";
	case FL_ACCESS_BARRIER:
		return "waits for callbacks";
	case FL_ACCESS_CALLBACK:
		return "waits for a grace period";
	case FL_ACCESS_OTHER:
		return "waits for a condition";
	default:
		return "at a step";
	}
}

bool fl_explore_is_blocked(unsigned thread)
{
	return thread < fl_world.threads && !(fl_run.done >> thread & 1);
}

/* Whose fiber has that id. */
static const char *owner_name(uint32_t id)
{
	uint32_t first = fl_fiber_id(fl_world.thread[0].fiber);

	return id - first < fl_world.fibers ? fl_world_name(id - first) : "the outside";
}

static size_t add_waiter(char *buf, size_t size, unsigned p, bool first)
{
	const struct fl_fiber_point *point = &fl_run.point[p];
	char object[160];
	int n;

	n = snprintf(buf, size, "%s%s %s", first ? "" : ", ", fl_world_name(p), fl_explore_wait_name(p));
	if (n < 0 || (size_t)n >= size)
		return size ? size - 1 : 0;
	if (point->site->kind == FL_ACCESS_LOCK) {
		const struct fl_mutex *m = (const void *)(uintptr_t)point->address;

		n += snprintf(buf + n, size - (size_t)n, " (%s) held by %s",
			      fl_objects_describe(point->address, object, sizeof(object)), owner_name(m->owner));
	} else if (point->address && point->site->kind != FL_ACCESS_BARRIER) {
		n += snprintf(buf + n, size - (size_t)n, " (%s)",
			      fl_objects_describe(point->address, object, sizeof(object)));
	}
	return (size_t)n < size ? (size_t)n : size - 1;
}

void fl_finding_deadlock(void)
{
	char text[FL_WORLD_TEXT];
	size_t used = 0;
	bool bad = false;

	for (unsigned p = 0; p < fl_world.threads; p++) {
		if (fl_run.done >> p & 1)
			continue;
		used += add_waiter(text + used, sizeof(text) - used, p, used == 0);
		if (!fl_world.thread[p].may_block)
			bad = true;
	}
	if (bad)
		fl_finding(FL_EXPLORE_DEADLOCK, "%s", text);
}

void fl_finding_livelock(void)
{
	char text[FL_WORLD_TEXT];
	size_t used = 0;

	for (unsigned p = 0; p < fl_world.threads && used < sizeof(text) - 1; p++) {
		const struct fl_world_op *op = &fl_run.op[p];
		int n;

		if (fl_run.done >> p & 1)
			continue;
		n = snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "", fl_world_name(p));
		used += n > 0 ? (size_t)n : 0;
		if (used < sizeof(text) && op->text) {
			n = snprintf(text + used, sizeof(text) - used, " in '%s' (line %u)", op->text, op->line);
			used += n > 0 ? (size_t)n : 0;
		} else if (used < sizeof(text)) {
			n = snprintf(text + used, sizeof(text) - used, " at %s", fl_run.point[p].site->what);
			used += n > 0 ? (size_t)n : 0;
		}
	}
	fl_finding(FL_EXPLORE_LIVELOCK, "under a fair scheduler nobody gets anywhere: %s", text);
}
