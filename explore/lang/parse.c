/* SPDX-License-Identifier: MIT */
/*
 * A scenario from its text: what stands outside of statements, and the two times over it.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore/lang/lang.h"

static void add_turn(struct fl_sc_parser *p, unsigned thread, size_t statement)
{
	struct fl_scenario *s = p->s;

	s->turn = fl_sc_grow(p, s->turn, s->turns, sizeof(*s->turn));
	s->turn[s->turns++] = (struct fl_sc_turn){.thread = thread, .statement = (unsigned)statement};
}

static void enter_thread(struct fl_sc_parser *p, unsigned index)
{
	p->where = FL_SC_IN_THREAD;
	p->thread = index;
	p->process = p->s->thread[index].process;
}

static void leave_thread(struct fl_sc_parser *p)
{
	p->where = FL_SC_IN_SETUP;
	p->thread = FL_SC_SETUP;
	p->process = 0;
}

/* A thread without a block: its statements stand on lines of their own. */
static bool ends_without_block(struct fl_sc_parser *p)
{
	size_t at = p->at;
	bool brace;

	if (!fl_sc_at_end(p) || fl_sc_at(p, "}"))
		return false;
	fl_sc_skip_lines(p);
	brace = fl_sc_at(p, "{"); /* it belongs onto the line above */
	p->at = at;
	return !brace;
}

/* Its word has been taken. */
static void parse_thread(struct fl_sc_parser *p)
{
	struct fl_scenario *s = p->s;
	const struct fl_sc_token *t = fl_sc_expect_word(p, "a name for the thread");
	struct fl_sc_thread *thread;
	const struct fl_sc_known *k;

	if (s->threads == FL_EXPLORE_THREADS)
		fl_sc_fail(p, t, "more than %d threads", FL_EXPLORE_THREADS);
	fl_sc_declare(p, t, FL_SC_N_THREAD);
	s->thread = fl_sc_grow(p, s->thread, s->threads, sizeof(*s->thread));
	thread = &s->thread[s->threads];
	*thread = (struct fl_sc_thread){.name = fl_sc_text(p, t->text, t->length), .place = t->place};
	enter_thread(p, (unsigned)s->threads++);
	if (fl_sc_accept(p, "in")) {
		k = fl_sc_lookup(p, fl_sc_expect_word(p, "a process that is forked"), FL_SC_N_PROCESS);
		thread->process = k ? k->index + 1 : 0;
	}
	if (fl_sc_accept(p, "may")) {
		fl_sc_expect(p, "block", "'block'");
		thread->may_block = true;
	}
	p->process = thread->process;
	if (ends_without_block(p)) {
		leave_thread(p);
		return;
	}
	fl_sc_peek(p)->flags |= FL_SC_ALIGN;
	if (!fl_sc_at(p, "{"))
		fl_sc_expected(p, thread->may_block ? "'{'"
				  : thread->process ? "'may block' or '{'"
						    : "'in PROCESS', 'may block' or '{'");
	thread->body = fl_sc_parse_block(p, &thread->bodies);
	for (size_t i = 0; i < thread->bodies; i++)
		add_turn(p, p->thread, i);
	leave_thread(p);
}

/* T: statement */
static void parse_turn(struct fl_sc_parser *p)
{
	size_t first = p->at, statement;
	struct fl_sc_token *t = fl_sc_next(p);
	unsigned index = fl_sc_lookup_above(p, t, FL_SC_N_THREAD)->index;
	struct fl_sc_thread *thread;
	struct fl_sc_statement st;

	t->flags |= FL_SC_BEGIN;
	fl_sc_glue(p);
	fl_sc_next(p);
	if (!p->first_turn)
		p->first_turn = t->place.line;
	enter_thread(p, index);
	fl_sc_peek(p);
	statement = p->at;
	fl_sc_parse_statement(p, &st);
	leave_thread(p);
	/* It stays behind its thread's name. */
	p->token[statement].flags &= ~FL_SC_BEGIN;
	p->token[first].last = p->token[statement].last;
	thread = &p->s->thread[index];
	add_turn(p, index, thread->bodies);
	thread->body = fl_sc_grow(p, thread->body, thread->bodies, sizeof(*thread->body));
	thread->body[thread->bodies++] = st;
}

void fl_sc_check_order(struct fl_sc_parser *p, const struct fl_sc_token *t)
{
	if (p->first_turn)
		fl_sc_fail(p, t,
			   "setup is done first: it stands above the first statement of a thread, of line %u; or write "
			   "`THREAD: %.*s ...`",
			   p->first_turn, fl_sc_shown(t), t->text);
}

/* Its word has been taken. */
static void parse_property(struct fl_sc_parser *p, enum fl_sc_when when)
{
	struct fl_scenario *s = p->s;
	const struct fl_sc_token *t = fl_sc_peek(p);
	size_t first = p->at;
	struct fl_sc_property property = {.when = when, .place = t->place};

	p->token[first].flags |= FL_SC_ALIGN;
	p->where = FL_SC_IN_PROPERTY;
	property.expr = fl_sc_parse_expr(p);
	p->where = FL_SC_IN_SETUP;
	fl_sc_peek(p);
	property.text = fl_sc_line(p, first, p->at);
	s->property = fl_sc_grow(p, s->property, s->properties, sizeof(*s->property));
	s->property[s->properties++] = property;
}

/* One line outside of threads, or a thread. */
static void parse_item(struct fl_sc_parser *p)
{
	struct fl_scenario *s = p->s;
	struct fl_sc_token *t = fl_sc_peek(p);
	size_t first = p->at;
	const struct fl_sc_word *when = fl_sc_word_find(fl_sc_whens, t);

	if (t->kind == FL_SC_T_WORD && fl_sc_followed(p, ":")) {
		parse_turn(p);
		return;
	}
	if (fl_sc_parse_setting(p) || fl_sc_parse_declaration(p))
		return;
	if (fl_sc_at(p, "thread") && !fl_sc_followed(p, "=")) {
		t->flags |= FL_SC_BEGIN;
		fl_sc_next(p);
		parse_thread(p);
		p->token[first].last = p->at - 1;
	} else if (when && !fl_sc_followed(p, "=")) {
		t->flags |= FL_SC_BEGIN;
		fl_sc_next(p);
		parse_property(p, (enum fl_sc_when)when->value);
	} else {
		struct fl_sc_statement st;

		fl_sc_parse_statement(p, &st);
		fl_sc_check_order(p, t);
		s->setup = fl_sc_grow(p, s->setup, s->setups, sizeof(*s->setup));
		s->setup[s->setups++] = st;
	}
}

static void parse_all(struct fl_sc_parser *p)
{
	struct fl_scenario *s = p->s;

	p->at = 0;
	p->nest = p->depth = p->blocks = p->loops = 0;
	p->settings = p->first_turn = 0;
	p->where = FL_SC_IN_SETUP;
	p->thread = FL_SC_SETUP;
	p->process = 0;
	s->setup = NULL;
	s->thread = NULL;
	s->property = NULL;
	s->turn = NULL;
	s->setups = s->threads = s->properties = s->turns = 0;
	s->allow = 0;
	for (;;) {
		do
			fl_sc_skip_lines(p);
		while (fl_sc_accept(p, ";"));
		if (fl_sc_peek(p)->kind == FL_SC_T_END)
			return;
		parse_item(p);
		fl_sc_parse_end(p, "the end of the line");
		if (fl_sc_at(p, "}"))
			fl_sc_expected(p, "the end of the line");
	}
}

/* The first paragraph of comments at the top, without the line of the license. */
static void find_question(struct fl_sc_parser *p)
{
	char *to = fl_sc_get(p, strlen(p->s->text) + 1);

	p->s->question = to;
	for (size_t i = 0; p->token[i].kind == FL_SC_T_COMMENT || p->token[i].kind == FL_SC_T_NEWLINE; i++) {
		const struct fl_sc_token *t = &p->token[i];
		const char *c = t->text + 1;
		size_t n = t->length - 1;

		if (t->kind == FL_SC_T_NEWLINE) {
			/* A blank line ends it, once it has begun. */
			if (to != p->s->question && i && p->token[i - 1].kind == FL_SC_T_NEWLINE)
				return;
			continue;
		}
		for (; n && (*c == ' ' || *c == '\t' || *c == '#'); c++)
			n--;
		if (n > 4 && !memcmp(c, "SPDX", 4))
			continue;
		if (!n && to != p->s->question)
			return;
		if (n && to != p->s->question)
			*to++ = '\n';
		memcpy(to, c, n);
		to += n;
	}
}

#define PRIME UINT64_C(0x100000001b3)

static uint64_t mix(uint64_t hash, const void *bytes, size_t n)
{
	const unsigned char *c = bytes;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ c[i]) * PRIME;
	return hash;
}

/* Its bytes, lowest first. Most tokens are no number: eight zeros. */
static uint64_t mix_number(uint64_t hash, uint64_t number)
{
	const uint64_t squared = PRIME * PRIME, fourth = squared * squared;

	if (!number)
		return hash * (fourth * fourth);
	for (unsigned b = 0; b < 8; b++)
		hash = (hash ^ (unsigned char)(number >> 8 * b)) * PRIME;
	return hash;
}

/* FNV-1a over the tokens, with a mark where something begins; a number counts by its value. */
static uint64_t hash_tokens(const struct fl_sc_own *own)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < own->tokens; i++) {
		const struct fl_sc_token *t = &own->token[i];
		unsigned char kind = (unsigned char)t->kind;

		if (t->kind == FL_SC_T_COMMENT || t->kind == FL_SC_T_NEWLINE || fl_sc_token_is(t, ";"))
			continue;
		if (t->flags & FL_SC_BEGIN)
			kind |= 0x80;
		hash = mix_number(mix(hash, &kind, 1), t->number);
		if (t->kind != FL_SC_T_NUMERAL)
			hash = mix(hash, t->text, t->length);
	}
	return hash;
}

static void parse(struct fl_sc_parser *p, const char *path, const char *text)
{
	struct fl_scenario *s = p->s;

	s->path = fl_sc_text(p, path, strlen(path));
	s->text = fl_sc_text(p, text, strlen(text));
	s->arch = "x86-64";
	s->kernel = "6.18";
	s->policy = "none";
	s->frames = 64;
	s->preemptions = -1;
	fl_sc_lex(p);
	parse_all(p);
	fl_sc_place_maps(p);
	p->resolving = true;
	parse_all(p);
	fl_sc_check_processes(p);
	find_question(p);
	s->hash = hash_tokens(p->own);
}

static bool try_to_parse(struct fl_sc_parser *p, const char *path, const char *text)
{
	if (setjmp(p->out))
		return false;
	parse(p, path, text);
	return true;
}

struct fl_scenario *fl_scenario_parse(const char *path, const char *text, char **error)
{
	struct fl_sc_own *own = calloc(1, sizeof(*own));
	struct fl_sc_parser *p = calloc(1, sizeof(*p));
	struct fl_scenario *s = NULL;

	*error = NULL;
	if (own && p) {
		p->own = own;
		p->s = &own->s;
		if (try_to_parse(p, path, text))
			s = &own->s;
		*error = p->error;
	}
	if (!s && own) {
		fl_sc_arena_free(&own->arena);
		free(own);
	}
	free(p);
	return s;
}

void fl_scenario_free(struct fl_scenario *s)
{
	struct fl_sc_own *own = (struct fl_sc_own *)s;

	if (!s)
		return;
	fl_sc_arena_free(&own->arena);
	free(own);
}

/* The whole file; NULL with errno, or with *why. */
static char *read_text(FILE *f, const char **why)
{
	char *text = malloc(FL_SC_TEXT + 1);
	size_t n;

	if (!text)
		return NULL;
	n = fread(text, 1, FL_SC_TEXT + 1, f);
	if (ferror(f)) {
		free(text);
		return NULL;
	}
	if (n > FL_SC_TEXT)
		*why = "larger than a megabyte: no scenario";
	else if (memchr(text, 0, n))
		*why = "a byte of zero in it: no text";
	if (*why) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

struct fl_scenario *fl_scenario_read(const char *path, char **error)
{
	FILE *f = fopen(path, "re");
	const char *why = NULL;
	char *text = f ? read_text(f, &why) : NULL;
	struct fl_scenario *s = NULL;

	*error = NULL;
	if (!text && !why)
		why = strerror(errno);
	if (text)
		s = fl_scenario_parse(path, text, error);
	else if (asprintf(error, "%s: %s\n", path, why) < 0)
		*error = NULL;
	free(text);
	if (f)
		fclose(f);
	return s;
}
