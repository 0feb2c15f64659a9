/* SPDX-License-Identifier: MIT */
/*
 * A schedule as text: who took how many steps in a row ('a' is process 0, 'b' process 1, ...; after 'z' come capitals; the number
 * is left out if it is 1), '-' if the run went on fairly from there, and each data choice after a '.'.
 *
 *   a12b3a2.0.1
 *
 * No locks: one OS thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore/search/internal.h"

static char letter_of(uint32_t p)
{
	return (char)(p < 26 ? 'a' + (int)p : 'A' + (int)p - 26);
}

static int process_of(char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	return c >= 'A' && c <= 'Z' ? c - 'A' + 26 : -1;
}

char *fl_search_schedule(const struct fl_search *s)
{
	const struct choice *choice = s->choices.at;
	/* A letter and up to ten digits for each step at worst; a dot and ten for each choice. */
	size_t size = 12 * ((size_t)s->n + s->choices.n) + 2, at = 0;
	size_t choices = s->config.mode == FL_SEARCH_REPLAY ? s->cursor : s->choices.n;
	char *text = malloc(size);
	uint32_t e = 0;

	if (!text)
		return NULL;
	while (e < s->n) {
		uint32_t from = e, p = s->event[e].proc;

		while (e < s->n && s->event[e].proc == p)
			e++;
		text[at++] = letter_of(p);
		if (e - from > 1)
			at += (size_t)snprintf(text + at, size - at, "%u", e - from);
	}
	if (s->fair)
		text[at++] = '-';
	for (size_t c = 0; c < choices; c++)
		at += (size_t)snprintf(text + at, size - at, ".%u", choice[c].value);
	text[at] = '\0';
	return text;
}

static bool number(const char **text, uint32_t *value)
{
	uint64_t n = 0;

	if (**text < '0' || **text > '9')
		return false;
	while (**text >= '0' && **text <= '9') {
		n = 10 * n + (uint64_t)(*(*text)++ - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*value = (uint32_t)n;
	return true;
}

static bool unreadable(struct fl_search *s, const char *text, const char *at)
{
	return fl_search_fail(s, "the run id cannot be read from character %zu on: '%.20s'", (size_t)(at - text) + 1,
			      at);
}

bool fl_text_schedule(struct fl_search *s, const char *text)
{
	const char *at = text;
	struct stretch *stretch;
	struct choice *choice;

	while (*at && *at != '-' && *at != '.') {
		int p = process_of(*at);

		if (p < 0)
			return unreadable(s, text, at);
		if ((unsigned)p >= s->procs)
			return fl_search_fail(s,
					      "the run id is of another program: it has process %c, and there are %u",
					      *at, s->procs);
		stretch = fl_search_push(s, &s->stretches, sizeof(*stretch));
		if (!stretch)
			return false;
		*stretch = (struct stretch){(uint32_t)p, 1};
		at++;
		if (*at >= '0' && *at <= '9' && !number(&at, &stretch->steps))
			return unreadable(s, text, at);
	}
	s->replay_fair = *at == '-';
	at += s->replay_fair;
	while (*at) {
		choice = *at == '.' ? fl_search_push(s, &s->choices, sizeof(*choice)) : NULL;
		if (!choice)
			return s->stats.error ? false : unreadable(s, text, at);
		*choice = (struct choice){0, 0};
		at++;
		if (!number(&at, &choice->value))
			return unreadable(s, text, at);
	}
	return true;
}
