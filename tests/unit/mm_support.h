/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the memory calls share: a world as text, and failing allocations.
 *
 * A layout is a string such as "0-4 rw, 4-8 r--L": pages counted from BASE, then the rights (r, w, x or -), then
 * letters:
 *   L locked   O lock on fault   D not for fork   W wiped by fork   G grows down   N no reserve   S sequential   R
 *   random M registered with userfaultfd   F foreign
 */
#ifndef FL_TEST_MM_SUPPORT_H
#define FL_TEST_MM_SUPPORT_H

#include "world_support.h"

#define RW (FL_PROT_READ | FL_PROT_WRITE)
#define ANON (FL_MAP_PRIVATE | FL_MAP_ANONYMOUS)

/* Page n, counted from BASE. */
static inline fl_va page(unsigned n)
{
	return BASE + n * PAGE;
}

/* The layout of an address space. The string is good until the next call. */
const char *layout(struct fl_mm *mm);
/* Compare, and check every invariant. */
void expect_layout(struct world *w, const char *expected);

/*
 * Run op, in a new world after setup, once for every allocation in it, each time with that one failing. A failing op
 * must return want (an errno, negated) and leave the layout as it was; a run in which no allocation fails must succeed
 * and ends the loop.
 */
void fail_every_allocation(void (*setup)(struct world *w), int (*op)(struct world *w), int want);

#endif
