/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with a scenario, and where: "path:line:column: ...", the line, and a caret below.
 *
 * No locks: one thread.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore/lang/lang.h"

/* Of a character of several bytes, not the first one. */
static bool continues(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

#define BEFORE \
	60 /* bytes of a line that are shown before the place, and from there on: a line may be a megabyte long */
#define AFTER 40

/* The line of the text, and a caret under the place: as many tabs as there are before it, so that it lines up. */
static void show(FILE *f, const char *text, struct fl_place place)
{
	size_t at = place.column - 1, from = 0, length, to;

	for (unsigned line = 1; line < place.line; text++)
		line += *text == '\n';
	length = to = strcspn(text, "\r\n");
	if (at > BEFORE)
		from = at - BEFORE;
	while (from && continues(text[from]))
		from--;
	if (length > at + AFTER)
		to = at + AFTER;
	while (to < length && continues(text[to]))
		to++;
	fprintf(f, "  %s%.*s%s\n  %s", from ? "..." : "", (int)(to - from), text + from, to < length ? "..." : "",
		from ? "   " : "");
	for (size_t i = from; i < at; i++) {
		if (!continues(text[i]))
			fputc(text[i] == '\t' ? '\t' : ' ', f);
	}
	fputs("^\n", f);
}

void fl_sc_fail(struct fl_sc_parser *p, const struct fl_sc_token *t, const char *format, ...)
{
	size_t size;
	va_list args;
	FILE *f = open_memstream(&p->error, &size);

	if (!f)
		fl_sc_no_memory(p);
	fprintf(f, "%s:%u:%u: ", p->s->path, t->place.line, t->place.column);
	va_start(args, format);
	vfprintf(f, format, args);
	va_end(args);
	fputc('\n', f);
	show(f, p->s->text, t->place);
	if (fclose(f)) {
		free(p->error);
		p->error = NULL;
	}
	longjmp(p->out, 1);
}

void fl_sc_no_memory(struct fl_sc_parser *p)
{
	p->error = NULL;
	longjmp(p->out, 1);
}

/* What people write who have just written C. */
static const char *hint(const struct fl_sc_token *t)
{
	static const char *const pairs[][2] = {
		{"&&", "and"}, {"||", "or"}, {"!", "not"}, {"->", "implies"}, {"=>", "implies"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (fl_sc_token_is(t, pairs[i][0]))
			return pairs[i][1];
	}
	return NULL;
}

void fl_sc_expected(struct fl_sc_parser *p, const char *what)
{
	const struct fl_sc_token *t = fl_sc_peek(p);
	const char *instead = t->kind == FL_SC_T_SIGN ? hint(t) : NULL;

	if (t->kind == FL_SC_T_END)
		fl_sc_fail(p, t, "expected %s, found the end of the file", what);
	if (t->kind == FL_SC_T_NEWLINE)
		fl_sc_fail(p, t, "expected %s, found the end of the line", what);
	if (instead)
		fl_sc_fail(p, t, "expected %s, found '%.*s' (here one writes '%s')", what, fl_sc_shown(t), t->text,
			   instead);
	fl_sc_fail(p, t, "expected %s, found '%.*s'", what, fl_sc_shown(t), t->text);
}

#define GUESS 32

/* How many characters to change, insert, drop or swap with the next (Damerau and Levenshtein). */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned row[3][GUESS + 1];

	if (n > GUESS || m > GUESS)
		return GUESS;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *now = row[i % 3], *up = row[(i - 1) % 3], *upper = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned best = up[j - 1] + (a[i - 1] != b[j - 1]);

			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && upper[j - 2] + 1 < best)
				best = upper[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[n % 3][m];
}

void fl_sc_guess_begin(struct fl_sc_guess *g, const struct fl_sc_token *t)
{
	*g = (struct fl_sc_guess){.word = t->text, .length = t->length, .distance = GUESS};
}

void fl_sc_guess_word(struct fl_sc_guess *g, const char *candidate)
{
	unsigned d = distance(g->word, g->length, candidate, strlen(candidate));

	if (d < g->distance) {
		g->distance = d;
		g->best = candidate;
	}
}

/* A guess must keep most of the word. */
const char *fl_sc_guess_end(struct fl_sc_guess *g)
{
	unsigned most = g->length < 3 ? 1 : g->length < 6 ? 2 : 3;

	if (g->best && g->distance <= most && g->distance < g->length)
		snprintf(g->text, sizeof(g->text), "; did you mean '%s'?", g->best);
	return g->text;
}
