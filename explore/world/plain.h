/* SPDX-License-Identifier: MIT */
/*
 * Plain accesses, and the blocks that are reached. The hooks of the compiler come here.
 *
 * No locks: one OS thread.
 */
#ifndef FL_WORLD_PLAIN_H
#define FL_WORLD_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

/* The running fiber reads or writes n bytes at p by ordinary code at pc. */
void fl_plain_read(const void *p, size_t n, void *pc);
void fl_plain_write(const void *p, size_t n, void *pc);

/* The block that pc lies in is reached. */
void fl_cover_block(void *pc);

#endif
