/* SPDX-License-Identifier: MIT */
/*
 * What the files of the shrinker share: the program as lines.
 *
 * No locks: one thread.
 */
#ifndef FL_DIFF_GENERATE_SHRINK_H
#define FL_DIFF_GENERATE_SHRINK_H

#include "diff/generate.h"

struct fl_shrinker {
	char **line; /* all that is left */
	size_t lines;
	bool (*still)(void *arg, const char *text);
	void *arg;
	unsigned rounds;
	bool failed; /* no memory: stop */
};

/* May another candidate be tried? */
bool fl_shrink_goes_on(const struct fl_shrinker *k);
/* Do these lines still show it? NULL ones are left out. */
bool fl_shrink_still(struct fl_shrinker *k, char *const *line, size_t lines);
/* Try another text for a line. Takes over the text if that still shows it; else frees it. NULL: no memory for it. */
bool fl_shrink_line(struct fl_shrinker *k, size_t i, char *text);
/* Simplify what stands in line i, once (simplify.c). False: nothing could be. */
bool fl_shrink_words(struct fl_shrinker *k, size_t i);
/* Move what is in places towards their beginning, and make them as small as that allows. False: nothing could be. */
bool fl_shrink_places(struct fl_shrinker *k);

#endif
