/* SPDX-License-Identifier: MIT */
/*
 * Which seeded bug the engine has: the one that the environment names in FL_BUG. Compiled into the test build alone
 * (FL_SEEDED_BUGS); elsewhere there is nothing to choose, and the environment is not asked.
 *
 * No lock: chosen before main.
 */
#ifdef FL_SEEDED_BUGS

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faultline/compiler.h"
#include "sync/bug.h"

enum fl_bug fl_seeded_bug = FL_BUG_NONE;

#define NAME(name) #name,
static const char *const names[] = {FL_BUGS(NAME) FL_DIFF_BUGS(NAME)};

#define ONE(name) +1
#define EXPLORED (0 FL_BUGS(ONE))

__attribute__((constructor)) static void choose(void)
{
	const char *wanted = getenv("FL_BUG");

	for (unsigned i = 0; wanted && i < FL_BUG_NONE; i++) {
		if (!strcmp(names[i], wanted))
			fl_seeded_bug = (enum fl_bug)i;
	}
	if (!wanted || !*wanted || fl_seeded_bug != FL_BUG_NONE)
		return;
	/* The tests read this: what the explorer finds with two blanks before it, what the comparison finds with a tab. */
	fprintf(stderr, "FL_BUG=%s: there is no such bug; there are:\n", wanted);
	for (unsigned i = 0; i < FL_BUG_NONE; i++)
		fprintf(stderr, i < EXPLORED ? "  %s\n" : "\t%s\n", names[i]);
	exit(2);
}

#endif
