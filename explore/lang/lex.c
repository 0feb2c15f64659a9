/* SPDX-License-Identifier: MIT */
/*
 * From text to tokens, and how the parser takes them.
 *
 * No locks: one thread.
 */
#include <string.h>

#include "explore/lang/lang.h"

static bool letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static unsigned hex(char c)
{
	if (digit(c))
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 99;
}

/* t->text is at a digit. */
static void number(struct fl_sc_parser *p, struct fl_sc_token *t)
{
	const char *c = t->text;
	unsigned base = 10;

	if (c[0] == '0' && (c[1] == 'x' || c[1] == 'X')) {
		base = 16;
		c += 2;
		if (hex(*c) >= 16)
			fl_sc_fail(p, t, "expected hexadecimal digits after 0x");
	}
	for (; hex(*c) < base; c++) {
		if (t->number > (UINT64_MAX - hex(*c)) / base)
			fl_sc_fail(p, t, "this number does not fit into 64 bits");
		t->number = t->number * base + hex(*c);
	}
	if (letter(*c) || digit(*c))
		fl_sc_fail(p, t, "expected a number, found '%.*s': numbers are decimal, or hexadecimal after 0x",
			   (int)(c + 1 - t->text), t->text);
	t->kind = FL_SC_T_NUMERAL;
	t->length = (size_t)(c - t->text);
}

static void sign(struct fl_sc_parser *p, struct fl_sc_token *t)
{
	static const char *const doubles[] = {"==", "!=", "<=", ">=", "&&", "||", "->", "=>"};
	unsigned char c = (unsigned char)*t->text;

	t->kind = FL_SC_T_SIGN;
	t->length = 1;
	for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
		if (!strncmp(t->text, doubles[i], 2)) {
			t->length = 2;
			return;
		}
	}
	if (strchr("=<>+-*&()[]{},:;.!", c))
		return;
	if (c < 0x20 || c >= 0x7f)
		fl_sc_fail(p, t, "byte 0x%02x can only stand in a comment", c);
	fl_sc_fail(p, t, "'%c' means nothing here; a comment begins with #", c);
}

/* The token at c. */
static void cut(struct fl_sc_parser *p, struct fl_sc_token *t)
{
	const char *c = t->text;

	if (!*c) {
		t->kind = FL_SC_T_END;
	} else if (*c == '\n') {
		t->kind = FL_SC_T_NEWLINE;
		t->length = 1;
	} else if (*c == '#') {
		t->kind = FL_SC_T_COMMENT;
		t->length = strcspn(c, "\n");
		while (strchr(" \t\r", c[t->length - 1]))
			t->length--;
	} else if (letter(*c)) {
		t->kind = FL_SC_T_WORD;
		while (letter(c[t->length]) || digit(c[t->length]))
			t->length++;
	} else if (digit(*c)) {
		number(p, t);
	} else {
		sign(p, t);
	}
}

void fl_sc_lex(struct fl_sc_parser *p)
{
	struct fl_sc_own *own = p->own;
	const char *c = p->s->text, *line = c;
	struct fl_place place = {.line = 1};

	for (;;) {
		struct fl_sc_token *t;

		while (*c == ' ' || *c == '\t' || *c == '\r')
			c++;
		own->token = fl_sc_grow(p, own->token, own->tokens, sizeof(*own->token));
		p->token = own->token;
		t = &own->token[own->tokens++];
		place.column = (unsigned)(c - line) + 1;
		*t = (struct fl_sc_token){.text = c, .place = place};
		cut(p, t);
		c += t->length;
		if (t->kind == FL_SC_T_END)
			return;
		if (t->kind == FL_SC_T_NEWLINE) {
			place.line++;
			line = c;
		}
	}
}

struct fl_sc_token *fl_sc_peek(struct fl_sc_parser *p)
{
	for (;; p->at++) {
		enum fl_sc_token_kind kind = p->token[p->at].kind;

		if (kind != FL_SC_T_COMMENT && (kind != FL_SC_T_NEWLINE || !p->nest))
			return &p->token[p->at];
	}
}

struct fl_sc_token *fl_sc_next(struct fl_sc_parser *p)
{
	struct fl_sc_token *t = fl_sc_peek(p);

	if (t->kind != FL_SC_T_END)
		p->at++;
	return t;
}

bool fl_sc_token_equals(const struct fl_sc_token *t, const char *text)
{
	size_t i = 0;

	while (i < t->length && t->text[i] == text[i])
		i++;
	return i == t->length && !text[i] && (t->kind == FL_SC_T_WORD || t->kind == FL_SC_T_SIGN);
}

bool fl_sc_at(struct fl_sc_parser *p, const char *text)
{
	return fl_sc_token_is(fl_sc_peek(p), text);
}

bool fl_sc_accept(struct fl_sc_parser *p, const char *text)
{
	if (!fl_sc_at(p, text))
		return false;
	p->at++;
	return true;
}

struct fl_sc_token *fl_sc_expect(struct fl_sc_parser *p, const char *text, const char *what)
{
	if (!fl_sc_at(p, text))
		fl_sc_expected(p, what);
	return fl_sc_next(p);
}

struct fl_sc_token *fl_sc_expect_word(struct fl_sc_parser *p, const char *what)
{
	if (fl_sc_peek(p)->kind != FL_SC_T_WORD)
		fl_sc_expected(p, what);
	return fl_sc_next(p);
}

uint64_t fl_sc_expect_number(struct fl_sc_parser *p, const char *what, uint64_t least, uint64_t most)
{
	const struct fl_sc_token *t = fl_sc_peek(p);

	if (t->kind != FL_SC_T_NUMERAL)
		fl_sc_expected(p, what);
	if (t->number < least || t->number > most)
		fl_sc_fail(p, t, "expected %s, found %llu: it may be %llu to %llu", what, (unsigned long long)t->number,
			   (unsigned long long)least, (unsigned long long)most);
	fl_sc_next(p);
	return t->number;
}

void fl_sc_glue(struct fl_sc_parser *p)
{
	fl_sc_peek(p)->flags |= FL_SC_GLUED;
}

bool fl_sc_followed(struct fl_sc_parser *p, const char *text)
{
	fl_sc_peek(p);
	return p->token[p->at].kind != FL_SC_T_END && fl_sc_token_is(&p->token[p->at + 1], text);
}

void fl_sc_skip_lines(struct fl_sc_parser *p)
{
	while (fl_sc_peek(p)->kind == FL_SC_T_NEWLINE)
		p->at++;
}

char *fl_sc_line(struct fl_sc_parser *p, size_t first, size_t end)
{
	size_t length = 0;
	char *line, *to;

	if (!p->resolving)
		return NULL; /* nobody reads it the first time */
	for (size_t i = first; i < end; i++)
		length += p->token[i].length + 1;
	line = to = fl_sc_get(p, length + 1);
	for (size_t i = first; i < end; i++) {
		const struct fl_sc_token *t = &p->token[i];

		if (t->kind == FL_SC_T_COMMENT || t->kind == FL_SC_T_NEWLINE)
			continue;
		if (to != line && !(t->flags & FL_SC_GLUED))
			*to++ = ' ';
		memcpy(to, t->text, t->length);
		to += t->length;
	}
	return line;
}
