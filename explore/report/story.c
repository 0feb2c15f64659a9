/* SPDX-License-Identifier: MIT */
/*
 * A run, replayed and written down step by step: the explorer's strings are good only while it tells.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/report/report.h"

static void free_step(struct fl_story_step *st)
{
	free(st->file);
	free(st->what);
	free(st->object);
	free(st->op);
	free(st->result);
}

void fl_story_free(struct fl_story *story)
{
	for (size_t i = 0; i < story->steps; i++)
		free_step(&story->step[i]);
	for (unsigned t = 0; t < FL_EXPLORE_THREADS; t++)
		free_step(&story->waits[t]);
	free(story->step);
	for (unsigned t = 0; t <= FL_EXPLORE_RCU; t++)
		free(story->name[t]);
	*story = (struct fl_story){0};
}

/* NULL stays NULL. */
static char *keep(struct fl_story *story, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		story->failed = true;
	return copy;
}

static struct fl_story_step *next_step(struct fl_story *story)
{
	if (story->steps == story->room) {
		size_t room = story->room ? 2 * story->room : 256;
		struct fl_story_step *more = realloc(story->step, room * sizeof(*more));

		if (!more)
			return NULL;
		story->step = more;
		story->room = room;
	}
	return &story->step[story->steps++];
}

static void on_event(void *arg, const struct fl_explore_event *e)
{
	struct fl_story *story = arg;
	struct fl_story_step *st;

	if (story->failed || e->thread > FL_EXPLORE_RCU)
		return;
	/* The explorer may do a run again to learn more of it. */
	while (!e->waits && story->steps && story->step[story->steps - 1].index >= e->index)
		free_step(&story->step[--story->steps]);
	if (e->waits)
		free_step(&story->waits[e->thread]);
	st = e->waits ? &story->waits[e->thread] : next_step(story);
	if (!st) {
		story->failed = true;
		return;
	}
	*st = (struct fl_story_step){
		.index = e->index,
		.thread = e->thread,
		.op_line = e->op_line,
		.flush = e->flush,
		.switched = e->switched,
		.preempted = e->preempted,
		.object = keep(story, e->object),
		.op = keep(story, e->op),
		.result = keep(story, e->result),
	};
	if (e->site) {
		st->kind = e->site->kind;
		st->order = e->site->order;
		st->size = e->site->size;
		st->line = e->site->line;
		st->file = keep(story, e->site->file);
		st->what = keep(story, e->site->what);
	}
	if (!story->name[e->thread])
		story->name[e->thread] = keep(story, e->name ? e->name : "?");
}

int fl_story_replay(const struct fl_scenario *s, const struct fl_cut *cut, const struct fl_explore_options *o,
		    const char *id, struct fl_story *story, struct fl_explore_report *report, char **error)
{
	struct fl_explore_options replay = *o;
	int ret;

	*story = (struct fl_story){0};
	replay.replay = id;
	replay.state = NULL;
	replay.jobs = 1;
	replay.progress = NULL;
	replay.event = on_event;
	replay.arg = story;
	ret = fl_subject_explore(s, cut, &replay, report, error);
	if (!ret && story->failed) {
		fl_explore_report_free(report);
		*error = NULL;
		ret = -1;
	}
	if (ret)
		fl_story_free(story);
	return ret;
}

const char *fl_story_last(enum fl_explore_kind kind)
{
	bool matters = kind == FL_EXPLORE_RACE || kind == FL_EXPLORE_FREED || kind == FL_EXPLORE_PANIC ||
		       kind == FL_EXPLORE_CRASH || kind == FL_EXPLORE_CHECK;

	return matters ? fl_explore_kind_name(kind) : NULL;
}
