/* SPDX-License-Identifier: MIT */
/*
 * Page tables under test.
 *
 *   tiny   three levels of four entries: 64 pages, so that bodies meet in few tables
 *   wide   x86-64's
 *
 * One set of tables at a time. Call tables_begin and tables_end outside bodies; the rest may be used in bodies as well.
 */
#ifndef FL_TEST_TABLES_SUPPORT_H
#define FL_TEST_TABLES_SUPPORT_H

#include "table/table.h"

#define PAGE 4096u
#define LEAF (4 * PAGE)   /* what a tiny leaf covers */
#define UPPER (16 * PAGE) /* what a tiny table of level 1 covers */
#define REACH (64 * PAGE)

extern const struct fl_geometry tables_tiny, tables_wide;
extern struct fl_tables tables_pt;

void tables_begin(const struct fl_geometry *geo);
/* Nothing is mapped by now: every table but the root goes, and then the root. */
void tables_end(void);

/* Make the table of va if need be, as often as others free it, and set the entry. */
void tables_set(fl_va va, fl_pte e);
/* Clear the entry of va, if it has a table, and return what was there. */
fl_pte tables_clear(fl_va va);

/* Group teardown: what was freed after a grace period is gone before the program looks for leaks. */
int tables_wait_for_grace(void **state);

#endif
