/* SPDX-License-Identifier: MIT */
/*
 * Options of statements: words and key=value, after the arguments, in any order.
 *
 * No locks: one thread.
 */
#include <stdio.h>
#include <string.h>

#include "explore/lang/lang.h"
#include "faultline/uapi.h"

/* In the order of the bits FL_SC_O_*. A name that ends in '=' takes a value. */
static const char *const names[] = {
	"size=",   "prot=",     "fill=",    "from=", "pages=", "features=", "fixed", "noreplace", "noreserve",
	"onfault", "dontunmap", "dontwake", "wp",    "holes",  "nonblock",  "fatal", "user_only", "missing|wp|minor",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

bool fl_sc_accept_key(struct fl_sc_parser *p, const char *key)
{
	if (!fl_sc_at(p, key) || !fl_sc_followed(p, "="))
		return false;
	fl_sc_next(p);
	fl_sc_glue(p);
	fl_sc_next(p);
	fl_sc_glue(p);
	return true;
}

int fl_sc_parse_prot(struct fl_sc_parser *p)
{
	static const char *const expected = "a protection (r, w and x in any number, or none)";
	const struct fl_sc_token *t = fl_sc_expect_word(p, expected);
	int prot = 0;

	if (fl_sc_token_is(t, "none"))
		return FL_PROT_NONE;
	for (size_t i = 0; i < t->length; i++) {
		const char *letter = strchr("rwx", t->text[i]);
		int bit = !letter ? 0 : *letter == 'r' ? FL_PROT_READ : *letter == 'w' ? FL_PROT_WRITE : FL_PROT_EXEC;

		if (!bit || prot & bit)
			fl_sc_fail(p, t, "expected %s, found '%.*s'", expected, fl_sc_shown(t), t->text);
		prot |= bit;
	}
	return prot;
}

const char *fl_sc_parse_raw(struct fl_sc_parser *p, const char *what)
{
	const struct fl_sc_token *first = fl_sc_peek(p), *t = first;
	size_t length;

	if (first->kind != FL_SC_T_WORD && first->kind != FL_SC_T_NUMERAL)
		fl_sc_expected(p, what);
	fl_sc_next(p);
	while (length = (size_t)(t->text + t->length - first->text), t = fl_sc_peek(p),
	       t->text == first->text + length && (t->kind == FL_SC_T_WORD || t->kind == FL_SC_T_NUMERAL ||
						   fl_sc_token_is(t, "-") || fl_sc_token_is(t, "."))) {
		fl_sc_glue(p);
		fl_sc_next(p);
	}
	return fl_sc_text(p, first->text, length);
}

uint64_t fl_sc_parse_modes(struct fl_sc_parser *p)
{
	uint64_t modes = 0;

	do {
		const struct fl_sc_token *t = fl_sc_peek(p);
		uint64_t mode = (uint64_t)fl_sc_expect_one(p, fl_sc_mode_words, "a mode (missing, wp, minor)");

		if (modes & mode)
			fl_sc_fail(p, t, "'%.*s' is there twice", fl_sc_shown(t), t->text);
		modes |= mode;
	} while (fl_sc_word_find(fl_sc_mode_words, fl_sc_peek(p)));
	return modes;
}

static uint64_t parse_features(struct fl_sc_parser *p)
{
	uint64_t features = 0;

	for (;;) {
		features |= (uint64_t)fl_sc_expect_one(p, fl_sc_feature_words, "a feature of userfaultfd");
		if (!fl_sc_at(p, ","))
			return features;
		fl_sc_glue(p);
		fl_sc_next(p);
		fl_sc_glue(p);
	}
}

/* Its name, and its '=' if it has one, have been taken. */
static void take(struct fl_sc_parser *p, struct fl_sc_statement *st, unsigned option)
{
	switch (option) {
	case FL_SC_O_SIZE:
		st->size = fl_sc_parse_size(p);
		break;
	case FL_SC_O_PROT:
		st->prot = fl_sc_parse_prot(p);
		break;
	case FL_SC_O_FILL:
		st->value = fl_sc_parse_sum(p);
		break;
	case FL_SC_O_FROM:
		fl_sc_parse_range(p, &st->other, false);
		st->has_other = true;
		break;
	case FL_SC_O_PAGES:
		st->pages = (int64_t)fl_sc_expect_number(p, "a number of pages", 1, FL_SC_WINDOW);
		break;
	case FL_SC_O_FEATURES:
		st->features = parse_features(p);
		break;
	case FL_SC_O_NOREPLACE:
		st->noreplace = true;
		break;
	case FL_SC_O_NORESERVE:
		st->noreserve = true;
		break;
	case FL_SC_O_ONFAULT:
		st->onfault = true;
		break;
	case FL_SC_O_DONTUNMAP:
		st->dontunmap = true;
		break;
	case FL_SC_O_DONTWAKE:
		st->dontwake = true;
		break;
	case FL_SC_O_WP:
		st->wp = true;
		break;
	case FL_SC_O_HOLES:
		st->holes = true;
		break;
	case FL_SC_O_NONBLOCK:
		st->nonblock = true;
		break;
	case FL_SC_O_FATAL:
		st->fatal = true;
		break;
	case FL_SC_O_USER_ONLY:
		st->user_only = true;
		break;
	default: /* FL_SC_O_FIXED is what happens anyway */
		break;
	}
}

/* "size=, dontwake or the end of the statement": what may still come. */
static const char *list(struct fl_sc_parser *p, unsigned options, const char *end)
{
	char *text = fl_sc_get(p, 320);
	size_t used = 0;

	for (size_t i = 0; i < NAMES; i++) {
		if (options & 1u << i)
			used += (size_t)snprintf(text + used, 320 - used, "%s%s",
						 !used  ? ""
						 : *end ? ", "
							: " or ",
						 names[i]);
	}
	snprintf(text + used, 320 - used, "%s%s", used && *end ? " or " : "", end);
	return text;
}

/* The option that is next, and takes its name. 0: none of these. */
static unsigned which(struct fl_sc_parser *p, unsigned options)
{
	for (size_t i = 0; i < NAMES; i++) {
		size_t n = strlen(names[i]);
		char key[16];

		if (!(options & 1u << i) || n >= sizeof(key) || (1u << i) == FL_SC_O_MODES)
			continue;
		if (names[i][n - 1] != '=') {
			if (fl_sc_accept(p, names[i]))
				return 1u << i;
			continue;
		}
		memcpy(key, names[i], n - 1);
		key[n - 1] = '\0';
		if (fl_sc_accept_key(p, key))
			return 1u << i;
		if (fl_sc_at(p, key))
			fl_sc_fail(p, fl_sc_peek(p), "expected %s and a value, found '%s' without '='", names[i], key);
	}
	return 0;
}

static void guess(struct fl_sc_parser *p, unsigned options, const char *expected)
{
	const struct fl_sc_token *t = fl_sc_peek(p);
	struct fl_sc_guess g;
	const char *hint;

	fl_sc_guess_begin(&g, t);
	for (size_t i = 0; i < NAMES; i++) {
		if (options & 1u << i)
			fl_sc_guess_word(&g, names[i]);
	}
	hint = fl_sc_guess_end(&g);
	if (t->kind == FL_SC_T_WORD && *hint)
		fl_sc_fail(p, t, "expected %s, found '%.*s'%s", expected, fl_sc_shown(t), t->text, hint);
	fl_sc_expected(p, expected);
}

static bool at_end(struct fl_sc_parser *p)
{
	const struct fl_sc_token *t = fl_sc_peek(p);

	return t->kind == FL_SC_T_END || t->kind == FL_SC_T_NEWLINE || fl_sc_token_is(t, ";") || fl_sc_token_is(t, "}");
}

void fl_sc_parse_options(struct fl_sc_parser *p, struct fl_sc_statement *st)
{
	const struct fl_sc_op_row *row = &fl_sc_op_rows[st->op];
	unsigned seen = 0, one;

	while (!at_end(p)) {
		const struct fl_sc_token *t = fl_sc_peek(p);

		if (row->options & FL_SC_O_MODES && !(seen & FL_SC_O_MODES) && fl_sc_word_find(fl_sc_mode_words, t)) {
			st->modes = fl_sc_parse_modes(p);
			fl_sc_parse_range(p, &st->range, true);
			seen |= FL_SC_O_MODES;
			continue;
		}
		one = which(p, row->options);
		if (!one)
			guess(p, row->options & ~seen, list(p, row->options & ~seen, "the end of the statement"));
		if (seen & one)
			fl_sc_fail(p, t, "'%.*s' is there twice", fl_sc_shown(t), t->text);
		seen |= one;
		take(p, st, one);
	}
	if (row->needs && !(seen & row->needs))
		fl_sc_expected(p, list(p, row->needs, ""));
	if ((seen & FL_SC_O_FILL && seen & FL_SC_O_FROM) || (seen & FL_SC_O_FIXED && seen & FL_SC_O_NOREPLACE))
		fl_sc_fail(p, fl_sc_peek(p), "expected one of %s, found both",
			   seen & FL_SC_O_FILL ? "fill= and from=" : "fixed and noreplace");
}
