/* SPDX-License-Identifier: MIT */
/*
 * The way of a run: who went, and which alternatives were taken. The search says so, and it is kept, so that the run can be
 * repeated without it.
 *
 * No locks: one OS thread.
 */
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "world.h"

static struct {
	uint8_t *proc;
	uint32_t room;
	uint32_t *choice;
	uint32_t choice_room;
	bool again;
} w;

static bool make_room(void)
{
	uint32_t room = w.room ? 2 * w.room : 1024;
	uint8_t *grown;

	if (fl_run.steps < w.room)
		return true;
	grown = realloc(w.proc, room);
	if (!grown)
		return false;
	w.proc = grown;
	w.room = room;
	return true;
}

int fl_path_next(uint32_t enabled)
{
	int p;

	if (FL_UNLIKELY(w.again))
		return w.proc[fl_run.steps];
	p = fl_search_next(fl_world.search, enabled, fl_run.pending, fl_run.running);
	if (p >= 0 && FL_UNLIKELY(!make_room()))
		fl_finding(FL_EXPLORE_PANIC, "there is no memory to keep a run of %u steps", fl_run.steps);
	else if (p >= 0)
		w.proc[fl_run.steps] = (uint8_t)p;
	return p;
}

void fl_path_step(unsigned p, const struct fl_step *st)
{
	if (FL_LIKELY(!w.again))
		fl_search_step(fl_world.search, p, st);
}

void fl_path_touch_slots(uint32_t slot, uint32_t n)
{
	if (FL_LIKELY(!w.again))
		fl_search_touch(fl_world.search, slot, n, FL_TOUCH_WRITE);
}

void fl_path_touch(const volatile void *p, size_t n)
{
	uint32_t slot, count;

	fl_memory_slots(p, n, &slot, &count);
	fl_path_touch_slots(slot, count);
}

unsigned fl_path_choose(unsigned n)
{
	uint32_t *grown, room = w.choice_room ? 2 * w.choice_room : 64;

	if (w.again)
		return w.choice[fl_run.choices++];
	if (fl_run.choices >= w.choice_room) {
		grown = realloc(w.choice, room * sizeof(*grown));
		if (!grown)
			fl_world_panic(NULL, __FILE__, __LINE__, "no memory to keep a choice");
		w.choice = grown;
		w.choice_room = room;
	}
	return w.choice[fl_run.choices++] = fl_search_choose(fl_world.search, n);
}

void fl_path_again(bool again)
{
	w.again = again;
}

void fl_path_close(void)
{
	free(w.proc);
	free(w.choice);
	memset(&w, 0, sizeof(w));
}
