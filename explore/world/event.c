/* SPDX-License-Identifier: MIT */
/*
 * The steps of a replayed run, one by one. A step is told when it is over, since its result is known only then.
 *
 * No locks: one OS thread.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "plain.h"
#include "tso.h"
#include "world.h"

static struct {
	bool held; /* event is to be told */
	struct fl_explore_event event;
	struct fl_access_site site;
	char object[160], result[256];
	uint32_t could; /* who could have gone on at the step before */
} e;

void fl_event_reset(void)
{
	memset(&e, 0, sizeof(e));
}

void fl_event_flush(void)
{
	if (!e.held)
		return;
	e.held = false;
	if (!fl_world.options->event)
		return;
	fl_world.options->event(fl_world.options->arg, &e.event);
}

void fl_event_result(const char *text)
{
	if (!e.held || e.event.result)
		return;
	snprintf(e.result, sizeof(e.result), "%s", text);
	e.event.result = e.result;
}

/* The port's own functions say where they were called. */
static void set_site(const struct fl_fiber_point *point)
{
	e.site = *point->site;
	if (!e.site.file && point->caller)
		e.site.file = fl_where_line(point->caller, &e.site.line);
}

void fl_event_waiting(uint32_t fibers)
{
	for (unsigned f = 0; f < fl_world.threads; f++) {
		const struct fl_fiber_point *point = &fl_run.point[f];

		if (!(fibers >> f & 1))
			continue;
		set_site(point);
		e.event = (struct fl_explore_event){
			.index = fl_run.steps,
			.thread = f,
			.name = fl_world_name(f),
			.waits = true,
			.site = &e.site,
			.object = fl_objects_describe(point->address, e.object, sizeof(e.object)),
			.op_line = fl_run.point_op[f].line,
			.op = fl_run.point_op[f].text,
		};
		fl_world.options->event(fl_world.options->arg, &e.event);
	}
}

void fl_event_begin(unsigned p, uint32_t enabled)
{
	unsigned fiber = p < fl_world.fibers ? p : p - fl_world.fibers;
	const struct fl_tso_entry *entry = p == fiber ? NULL : fl_tso_oldest(fiber);
	const struct fl_fiber_point *point = &fl_run.point[fiber];
	const volatile void *object = entry ? (const void *)entry->address : point->address;
	int before = fl_run.running;

	fl_event_flush();
	if (fl_world.options->stop && fl_run.steps == fl_world.options->stop_at)
		raise(SIGTRAP);
	if (entry)
		e.site = *entry->site;
	else
		set_site(point);
	e.event = (struct fl_explore_event){
		.index = fl_run.steps,
		.thread = fiber == fl_world.threads ? FL_EXPLORE_RCU : fiber,
		.name = fl_world_name(fiber),
		.flush = p != fiber,
		.switched = before >= 0 && before != (int)p,
		.preempted = before >= 0 && before != (int)p && (enabled >> before & 1),
		.site = &e.site,
		.object = fl_objects_describe(object, e.object, sizeof(e.object)),
		.op_line = entry ? entry->op_line : fl_run.point_op[fiber].line,
		.op = entry ? entry->op : fl_run.point_op[fiber].text,
	};
	e.held = true;
}
