/* SPDX-License-Identifier: MIT */
/*
 * Random programs for the comparison, and the smallest part of one that still shows a divergence.
 *
 * A program is text in the language of scenarios, one statement a line; so what is saved is what ran. It depends on seed and
 * options alone.
 *
 * No locks: one thread.
 */
#ifndef FL_DIFF_GENERATE_H
#define FL_DIFF_GENERATE_H

#include "diff/diff.h"

/* What a program is mostly about. Bits; 0: all, by weight. */
#define FL_FOCUS_MAP 1u /* mmap, munmap, mprotect, addresses the kernel chooses */
#define FL_FOCUS_REMAP 2u
#define FL_FOCUS_ADVICE 4u
#define FL_FOCUS_FORK 8u
#define FL_FOCUS_UFFD 16u
#define FL_FOCUS_LOCK 32u
#define FL_FOCUS_LIMIT 64u
#define FL_FOCUS_ACCESS 128u  /* accesses of every size at every edge */
#define FL_FOCUS_POINTER 256u /* system calls with pointers into the memory */
#define FL_FOCUS_BRK 512u
#define FL_FOCUS_STACK 1024u
#define FL_FOCUS_MAX 11u
/* By name ("uffd"); NULL for the i-th from FL_FOCUS_MAX on. */
const char *fl_focus_name(unsigned i);

struct fl_generate_options {
	unsigned focus;      /* FL_FOCUS_*; 0: all */
	unsigned statements; /* about how many; 0: 30 */
	bool root;           /* what only root may do may be done */
};
/* The text, to free; NULL: no memory. */
char *fl_generate(uint64_t seed, const struct fl_generate_options *o);

/*
 * Make a program small. still: does this text show the same? (It parses, runs and compares it.) Takes and returns text to free;
 * NULL: no memory. rounds: how many candidates were tried.
 */
char *fl_shrink(char *text, bool (*still)(void *arg, const char *text), void *arg, unsigned *rounds);

#endif
