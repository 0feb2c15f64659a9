/* SPDX-License-Identifier: MIT */
/*
 * A scenario in its one layout, from its tokens: the parser noted on them where things begin, where blocks open and
 * close, and what has no space before it. Formatting the result changes nothing more.
 *
 *   - a tab for each block; a line for each statement; at most one blank line, and none inside a block's edges
 *   - what has a block stays on one line if it was on one, and fits
 *   - a line that is too long is broken before `and`, `or` and `implies`
 *   - one-line threads, and properties, that follow each other have their braces, and expressions, in one column
 *   - comments stay where they are: on their own line, or behind what they follow
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "explore/lang/lang.h"

#define TAB 8

/* One line, before tabs are put before it. */
struct line {
	char *text;
	size_t length, room;
	size_t align;      /* bytes before what is to be aligned; 0: nothing */
	const char *group; /* lines that follow each other with the same group are aligned; NULL: none */
	size_t breaks[64]; /* bytes before a word that may begin the next line */
	size_t broken;     /* how many of these there are */
	size_t comment;    /* where a comment begins that stands behind; 0: none */
	unsigned indent;
};

struct layout {
	const struct fl_sc_own *own;
	struct line *line;
	size_t lines;
	struct line now;
	unsigned indent;
	bool failed;
};

static void put(struct layout *l, const char *text, size_t n)
{
	struct line *now = &l->now;

	if (now->length + n + 1 > now->room) {
		size_t room = 2 * now->room + n + 64;
		char *more = realloc(now->text, room);

		if (!more) {
			l->failed = true;
			return;
		}
		now->text = more;
		now->room = room;
	}
	memcpy(now->text + now->length, text, n);
	now->length += n;
	now->text[now->length] = '\0';
}

static void end_line(struct layout *l)
{
	if (!(l->lines & (l->lines - 1))) {
		struct line *more = realloc(l->line, (l->lines ? 2 * l->lines : 1) * sizeof(*more));

		if (!more) {
			l->failed = true;
			return;
		}
		l->line = more;
	}
	l->line[l->lines++] = l->now;
	memset(&l->now, 0, sizeof(l->now));
}

static void flush(struct layout *l)
{
	if (l->now.length)
		end_line(l);
	l->now.indent = l->indent;
}

static void put_token(struct layout *l, const struct fl_sc_token *t, bool separate)
{
	struct line *now = &l->now;

	if (separate && now->length && !(t->flags & FL_SC_GLUED))
		put(l, " ", 1);
	if (t->flags & FL_SC_BREAK && now->broken < sizeof(now->breaks) / sizeof(now->breaks[0]))
		now->breaks[now->broken++] = now->length;
	if (t->flags & FL_SC_ALIGN && !now->align)
		now->align = now->length;
	put(l, t->text, t->length);
}

/* A statement with blocks in one line: `;` between what they hold. */
static void put_inline(struct layout *l, size_t first, size_t last)
{
	bool begun = true;

	for (size_t i = first; i <= last; i++) {
		const struct fl_sc_token *t = &l->own->token[i];

		if (fl_sc_token_is(t, ";"))
			continue;
		if (t->flags & FL_SC_BEGIN && !begun)
			put(l, ";", 1);
		begun = t->flags & FL_SC_OPENS;
		put_token(l, t, true);
	}
}

/* Did it stand on one line, and does it fit on one? Then it is put there. */
static bool try_inline(struct layout *l, size_t first)
{
	const struct fl_sc_token *t = &l->own->token[first];
	size_t last = t->last;

	if (!last || l->own->token[last].place.line != t->place.line)
		return false;
	put_inline(l, first, last);
	if (l->indent * TAB + l->now.length <= FL_SC_COLUMNS) {
		l->now.group = fl_sc_token_is(t, "thread") ? "thread" : NULL;
		return true;
	}
	l->now.length = l->now.align = l->now.broken = 0;
	return false;
}

/* A blank line stays, but not at a block's edge, nor at the top. */
static void keep_blank(struct layout *l, size_t i, bool opened)
{
	const struct fl_sc_token *t = l->own->token;

	if (opened || !l->lines || t[i].flags & FL_SC_CLOSES)
		return;
	if (i >= 2 && t[i - 1].kind == FL_SC_T_NEWLINE && t[i - 2].kind == FL_SC_T_NEWLINE)
		end_line(l);
}

/* Alone on its line, it belongs to what follows. Otherwise it stays behind what it follows. */
static void put_comment(struct layout *l, size_t i, bool opened)
{
	const struct fl_sc_token *t = &l->own->token[i], *next = t;

	if (i && t[-1].kind != FL_SC_T_NEWLINE) {
		put(l, " ", 1);
		l->now.comment = l->now.length;
		put(l, t->text, t->length);
		flush(l);
		return;
	}
	flush(l);
	keep_blank(l, i, opened);
	while (next->kind == FL_SC_T_COMMENT || next->kind == FL_SC_T_NEWLINE)
		next++;
	l->now.indent = l->indent + !(next->flags & (FL_SC_BEGIN | FL_SC_CLOSES) || next->kind == FL_SC_T_END);
	put(l, t->text, t->length);
	l->now.comment = 1;
	flush(l);
}

/* All lines. opened: nothing has stood in the block yet. */
static void lay_out(struct layout *l)
{
	const struct fl_sc_token *token = l->own->token;
	bool opened = false;

	for (size_t i = 0; i < l->own->tokens && token[i].kind != FL_SC_T_END; i++) {
		const struct fl_sc_token *t = &token[i];

		if (t->kind == FL_SC_T_NEWLINE || fl_sc_token_is(t, ";"))
			continue;
		if (t->kind == FL_SC_T_COMMENT) {
			put_comment(l, i, opened);
			opened = opened && i && token[i - 1].kind != FL_SC_T_NEWLINE;
			continue;
		}
		if (t->flags & (FL_SC_BEGIN | FL_SC_CLOSES)) {
			flush(l);
			l->indent -= !!(t->flags & FL_SC_CLOSES);
			keep_blank(l, i, opened);
			l->now.indent = l->indent;
		} else if (!l->now.length) {
			l->now.indent = l->indent + 1; /* after a comment in the middle */
		}
		opened = t->flags & FL_SC_OPENS;
		if (t->flags & FL_SC_BEGIN && try_inline(l, i)) {
			i = t->last;
			continue;
		}
		put_token(l, t, true);
		l->indent += opened;
		if (t->flags & FL_SC_BEGIN && fl_sc_word_find(fl_sc_whens, t))
			l->now.group = "property";
	}
	flush(l);
}

/* Bytes of a line that count for its width. */
static size_t width(const struct line *line)
{
	return line->indent * TAB + (line->comment > 1 ? line->comment - 1 : line->length);
}

/* Lines first to before end get spaces, so that what is to be aligned begins in one column; not if one got too long. */
static void align(struct layout *l, size_t first, size_t end)
{
	size_t column = 0;

	for (size_t i = first; i < end; i++) {
		if (l->line[i].align > column)
			column = l->line[i].align;
	}
	for (size_t i = first; i < end; i++) {
		if (width(&l->line[i]) + column - l->line[i].align > FL_SC_COLUMNS)
			return;
	}
	for (size_t i = first; i < end; i++) {
		struct line *line = &l->line[i];
		size_t more = column - line->align;
		char *text = realloc(line->text, line->length + more + 1);

		if (!text) {
			l->failed = true;
			return;
		}
		memmove(text + column, text + line->align, line->length - line->align + 1);
		memset(text + line->align, ' ', more);
		line->text = text;
		line->length += more;
	}
}

/* A line that will be broken takes no part. */
static bool aligns(const struct line *line)
{
	return line->group && line->align && width(line) <= FL_SC_COLUMNS;
}

static void align_groups(struct layout *l)
{
	for (size_t first = 0, end; first < l->lines; first = end) {
		end = first + 1;
		if (!aligns(&l->line[first]))
			continue;
		while (end < l->lines && aligns(&l->line[end]) && l->line[end].group == l->line[first].group)
			end++;
		align(l, first, end);
	}
}

struct text {
	char *text;
	size_t length;
};

/* The line from byte `from` on, with its tabs. */
static void emit(struct text *out, unsigned indent, const char *text, size_t n)
{
	while (n && text[n - 1] == ' ')
		n--;
	for (unsigned i = 0; n && i < indent; i++)
		out->text[out->length++] = '\t';
	memcpy(out->text + out->length, text, n);
	out->length += n;
	out->text[out->length++] = '\n';
}

/* As much as fits, up to a place where it may be broken; the rest a tab further in. */
static void emit_line(struct text *out, const struct line *line)
{
	size_t from = 0, next = 0;
	unsigned indent = line->indent;
	size_t end = line->comment > 1 ? line->comment - 1 : line->length;

	while (indent * TAB + end - from > FL_SC_COLUMNS) {
		size_t at = 0;

		while (next < line->broken && (!at || indent * TAB + line->breaks[next] - from <= FL_SC_COLUMNS + 1))
			at = line->breaks[next++];
		if (!at)
			break;
		emit(out, indent, line->text + from, at - from);
		from = at;
		indent = line->indent + 1;
	}
	emit(out, indent, line->text ? line->text + from : "", line->length - from);
}

static char *emit_all(const struct layout *l)
{
	struct text out = {NULL, 0};
	size_t room = 1;

	for (size_t i = 0; i < l->lines; i++)
		room += l->line[i].length + (l->line[i].broken + 1) * (l->line[i].indent + 2);
	out.text = malloc(room);
	if (!out.text)
		return NULL;
	for (size_t i = 0; i < l->lines; i++)
		emit_line(&out, &l->line[i]);
	out.text[out.length] = '\0';
	return out.text;
}

char *fl_scenario_format(const struct fl_scenario *s)
{
	struct layout l = {.own = (const struct fl_sc_own *)s};
	char *text = NULL;

	lay_out(&l);
	if (!l.failed)
		align_groups(&l);
	if (!l.failed)
		text = emit_all(&l);
	for (size_t i = 0; i < l.lines; i++)
		free(l.line[i].text);
	free(l.line);
	free(l.now.text);
	return text;
}
