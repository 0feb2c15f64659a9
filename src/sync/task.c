/* SPDX-License-Identifier: MIT */
/*
 * Tasks: what the engine keeps for each thread of a guest.
 *
 * No lock: all fields but signals belong to the task itself.
 */
#include "faultline/mm.h"
#include "frame/frame_int.h"

void fl_task_init(struct fl_task *t, struct fl_frames *frames, struct fl_mm *mm, uint32_t tid)
{
	*t = (struct fl_task){
		.mm = mm,
		.frames = frames,
		.tid = tid,
	};
	if (mm)
		fl_mm_get(mm);
}

void fl_task_switch_mm(struct fl_task *t, struct fl_mm *mm)
{
	struct fl_mm *old = t->mm;

	if (mm)
		fl_mm_get(mm);
	t->mm = mm;
	if (old)
		fl_mm_put(old);
}

void fl_task_exit(struct fl_task *t)
{
	FL_ASSERT(t->pagefault_disabled == 0);
	fl_task_switch_mm(t, NULL);
	fl_frame_cache_drain(t);
}

void fl_task_signal(struct fl_task *t, uint32_t bits)
{
	/* Before the unpark: a task that looked too early is woken, and looks again. Partner: fl_task_interrupted. */
	fl_or(&t->signals, bits);
	fl_port_unpark(&t->parker);
}

void fl_task_clear_signal(struct fl_task *t, uint32_t bits)
{
	fl_and(&t->signals, ~bits);
}

void fl_pagefault_disable(struct fl_task *t)
{
	t->pagefault_disabled++;
}

void fl_pagefault_enable(struct fl_task *t)
{
	FL_ASSERT(t->pagefault_disabled > 0);
	t->pagefault_disabled--;
}
