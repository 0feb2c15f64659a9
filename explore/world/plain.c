/* SPDX-License-Identifier: MIT */
/*
 * Plain accesses: of freed memory.
 *
 * No locks: one OS thread.
 */
#include "plain.h"

#include "layout.h"
#include "world.h"

static void look(const void *p, size_t n, const char *what)
{
	char object[160];
	int self;

	if (FL_LIKELY((uintptr_t)p - FL_MEMORY_BASE >= FL_MEMORY_STACKS) || !fl_world.active)
		return;
	self = fl_world_current();
	if (self < 0 || !fl_memory_is_freed(p, n))
		return;
	fl_finding(FL_EXPLORE_FREED, "%s %s freed memory: %s", fl_world_name((unsigned)self), what,
		   fl_objects_describe(p, object, sizeof(object)));
	fl_world_leave();
}

void fl_plain_read(const void *p, size_t n, void *pc)
{
	(void)pc;
	look(p, n, "reads");
}

void fl_plain_write(const void *p, size_t n, void *pc)
{
	(void)pc;
	look(p, n, "writes");
}

void fl_cover_block(void *pc)
{
	(void)pc;
}
