/* SPDX-License-Identifier: MIT */
/*
 * The smallest part of a program that still shows a divergence: first whole lines are left out, in halves, quarters and
 * one by one; then what stands in them is made simple; and again, until nothing more can go.
 *
 * It knows the text only. What is no program is refused by whoever runs it, like any candidate that does not show it.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "diff/generate/shrink.h"

#define ROUNDS 3000u

bool fl_shrink_goes_on(const struct fl_shrinker *k)
{
	return !k->failed && k->rounds < ROUNDS;
}

static char *join(char *const *line, size_t lines)
{
	size_t size = 1, used = 0;
	char *text;

	for (size_t i = 0; i < lines; i++)
		size += line[i] ? strlen(line[i]) + 1 : 0;
	text = malloc(size);
	if (!text)
		return NULL;
	for (size_t i = 0; i < lines; i++) {
		size_t n = line[i] ? strlen(line[i]) : 0;

		if (!line[i])
			continue;
		memcpy(text + used, line[i], n);
		used += n;
		text[used++] = '\n';
	}
	text[used] = '\0';
	return text;
}

bool fl_shrink_still(struct fl_shrinker *k, char *const *line, size_t lines)
{
	char *text;
	bool still;

	if (!fl_shrink_goes_on(k))
		return false;
	text = join(line, lines);
	if (!text) {
		k->failed = true;
		return false;
	}
	k->rounds++;
	still = k->still(k->arg, text);
	free(text);
	return still;
}

bool fl_shrink_line(struct fl_shrinker *k, size_t i, char *text)
{
	char *was = k->line[i];

	if (!text) {
		k->failed = true;
		return false;
	}
	k->line[i] = text;
	if (fl_shrink_still(k, k->line, k->lines)) {
		free(was);
		return true;
	}
	k->line[i] = was;
	free(text);
	return false;
}

/* Leave out the lines [first, end). */
static bool cut(struct fl_shrinker *k, size_t first, size_t end)
{
	char **less = malloc((k->lines + 1) * sizeof(*less));
	bool still;

	if (!less) {
		k->failed = true;
		return false;
	}
	memcpy(less, k->line, k->lines * sizeof(*less));
	for (size_t i = first; i < end; i++)
		less[i] = NULL;
	still = fl_shrink_still(k, less, k->lines);
	free(less);
	if (!still)
		return false;
	for (size_t i = first; i < end; i++)
		free(k->line[i]);
	memmove(k->line + first, k->line + end, (k->lines - end) * sizeof(*k->line));
	k->lines -= end - first;
	return true;
}

/* From the end: what comes late is needed least. */
static bool cut_lines(struct fl_shrinker *k)
{
	bool any = false;

	for (size_t length = k->lines; length; length /= 2) {
		size_t end = k->lines;

		while (end && fl_shrink_goes_on(k)) {
			size_t first = end > length ? end - length : 0;

			any |= cut(k, first, end);
			end = first;
		}
	}
	return any;
}

/* Two lines at once, which need each other: a name's use and what declares it. */
static bool cut_pairs(struct fl_shrinker *k)
{
	for (size_t a = k->lines; a-- > 0;) {
		for (size_t b = a; b-- > 0 && fl_shrink_goes_on(k);) {
			char *first = k->line[a], *second = k->line[b];
			bool still;

			k->line[a] = k->line[b] = NULL;
			still = fl_shrink_still(k, k->line, k->lines);
			k->line[a] = first;
			k->line[b] = second;
			if (!still)
				continue;
			free(first);
			free(second);
			memmove(k->line + a, k->line + a + 1, (k->lines - a - 1) * sizeof(*k->line));
			memmove(k->line + b, k->line + b + 1, (k->lines - b - 2) * sizeof(*k->line));
			k->lines -= 2;
			return true;
		}
	}
	return false;
}

static bool simplify(struct fl_shrinker *k)
{
	bool any = false;

	for (size_t i = k->lines; i-- > 0;) {
		while (fl_shrink_goes_on(k) && fl_shrink_words(k, i))
			any = true;
	}
	while (fl_shrink_goes_on(k) && fl_shrink_places(k))
		any = true;
	return any;
}

static bool split(struct fl_shrinker *k, const char *text)
{
	size_t room = 2;

	for (const char *c = text; *c; c++)
		room += *c == '\n';
	k->line = calloc(room, sizeof(*k->line));
	if (!k->line)
		return false;
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n) {
			k->line[k->lines] = strndup(text, n);
			if (!k->line[k->lines])
				return false;
			k->lines++;
		}
		text += n + (text[n] == '\n');
	}
	return true;
}

static void free_lines(struct fl_shrinker *k)
{
	for (size_t i = 0; i < k->lines; i++)
		free(k->line[i]);
	free(k->line);
}

char *fl_shrink(char *text, bool (*still)(void *arg, const char *text), void *arg, unsigned *rounds)
{
	struct fl_shrinker k = {.still = still, .arg = arg};
	char *small = NULL;
	bool again = true;

	if (!split(&k, text))
		k.failed = true;
	while (again && fl_shrink_goes_on(&k)) {
		again = cut_lines(&k);
		again |= simplify(&k);
		/* Quadratic, so only for what is small already. */
		if (!again && k.lines <= 24)
			again = cut_pairs(&k);
	}
	if (!k.failed)
		small = join(k.line, k.lines);
	free_lines(&k);
	free(text);
	if (rounds)
		*rounds = k.rounds;
	return small;
}
