/* SPDX-License-Identifier: MIT */
/*
 * Options of statements: words and key=value, after the arguments, in any order.
 *
 * No locks: one thread.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "explore/lang/lang.h"
#include "faultline/uapi.h"

enum kind {
	WORD,    /* alone */
	NUMBER,  /* of 64 bits */
	PLACE,   /* a location */
	SPECIAL, /* by hand */
};

/* In the order of enum fl_sc_option. A name that ends in '=' takes a value. field, has: of the statement; 0: none. */
static const struct option {
	const char *name;
	enum kind kind;
	size_t field, has;
} all[FL_SC_OPTIONS] = {
#define FIELD(name) offsetof(struct fl_sc_statement, name)
	[FL_SC_X_SIZE] = {"size=", SPECIAL, 0, 0},
	[FL_SC_X_PROT] = {"prot=", SPECIAL, 0, 0},
	[FL_SC_X_FILL] = {"fill=", SPECIAL, 0, 0},
	[FL_SC_X_FROM] = {"from=", PLACE, FIELD(other), FIELD(has_other)},
	[FL_SC_X_PAGES] = {"pages=", SPECIAL, 0, 0},
	[FL_SC_X_FEATURES] = {"features=", SPECIAL, 0, 0},
	[FL_SC_X_FIXED] = {"fixed", WORD, 0, 0}, /* what happens anyway */
	[FL_SC_X_NOREPLACE] = {"noreplace", WORD, FIELD(noreplace), 0},
	[FL_SC_X_NORESERVE] = {"noreserve", WORD, FIELD(noreserve), 0},
	[FL_SC_X_ONFAULT] = {"onfault", WORD, FIELD(onfault), 0},
	[FL_SC_X_DONTUNMAP] = {"dontunmap", WORD, FIELD(dontunmap), 0},
	[FL_SC_X_DONTWAKE] = {"dontwake", WORD, FIELD(dontwake), 0},
	[FL_SC_X_WP] = {"wp", WORD, FIELD(wp), 0},
	[FL_SC_X_HOLES] = {"holes", WORD, FIELD(holes), 0},
	[FL_SC_X_NONBLOCK] = {"nonblock", WORD, FIELD(nonblock), 0},
	[FL_SC_X_FATAL] = {"fatal", WORD, FIELD(fatal), 0},
	[FL_SC_X_USER_ONLY] = {"user_only", WORD, FIELD(user_only), 0},
	[FL_SC_X_REGISTER] = {"missing|wp|minor", SPECIAL, 0, 0},
	[FL_SC_X_BYTES] = {"bytes=", NUMBER, FIELD(bytes), FIELD(has_bytes)},
	[FL_SC_X_NEWBYTES] = {"newbytes=", NUMBER, FIELD(newbytes), FIELD(has_newbytes)},
	[FL_SC_X_FLAGS] = {"flags=", NUMBER, FIELD(flags), FIELD(has_flags)},
	[FL_SC_X_API] = {"api=", NUMBER, FIELD(api), 0},
	[FL_SC_X_CMD] = {"cmd=", NUMBER, FIELD(cmd), 0},
	[FL_SC_X_INTO] = {"into=", PLACE, FIELD(into), FIELD(has_into)},
	[FL_SC_X_ARG] = {"arg=", PLACE, FIELD(into), FIELD(has_into)},
	[FL_SC_X_HINT_AT] = {"hint=", PLACE, FIELD(other), FIELD(has_other)},
	[FL_SC_X_HINT] = {"hint", WORD, FIELD(hint), 0},
	[FL_SC_X_MAYMOVE] = {"maymove", WORD, FIELD(maymove), 0},
	[FL_SC_X_POPULATE] = {"populate", WORD, FIELD(populate), 0},
	[FL_SC_X_STACK] = {"stack", WORD, FIELD(stack), 0},
	[FL_SC_X_LOCKED] = {"locked", WORD, FIELD(locked), 0},
	[FL_SC_X_SHARED] = {"shared", WORD, FIELD(shared), 0},
#undef FIELD
};
#define BIT(option) (UINT64_C(1) << (option))

/* Of these there can be one. */
static const struct {
	uint64_t options;
	const char *names;
} either[] = {
	{FL_SC_O(FILL) | FL_SC_O(FROM), "fill= and from="},
	{FL_SC_O(FIXED) | FL_SC_O(NOREPLACE), "fixed and noreplace"},
	{FL_SC_O(HINT) | FL_SC_O(NOREPLACE), "hint and noreplace"},
	{FL_SC_O(HINT) | FL_SC_O(FIXED), "hint and fixed"},
	{FL_SC_O(PAGES) | FL_SC_O(NEWBYTES), "pages= and newbytes="},
};

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

static void take_special(struct fl_sc_parser *p, struct fl_sc_statement *st, enum fl_sc_option option)
{
	switch (option) {
	case FL_SC_X_SIZE:
		st->size = fl_sc_parse_size(p, st->op == FL_SC_LOAD || st->op == FL_SC_STORE ? 16 : 8);
		break;
	case FL_SC_X_PROT:
		if (fl_sc_peek(p)->kind == FL_SC_T_NUMERAL)
			st->prot = (int)(uint32_t)fl_sc_expect_number(p, "a protection", 0, UINT32_MAX);
		else
			st->prot = fl_sc_parse_prot(p);
		break;
	case FL_SC_X_FILL:
		st->value = fl_sc_parse_sum(p);
		break;
	case FL_SC_X_PAGES:
		st->pages = (int64_t)fl_sc_expect_number(p, "a number of pages", 1, FL_SC_WINDOW);
		break;
	default:
		if (fl_sc_peek(p)->kind == FL_SC_T_NUMERAL)
			st->features = fl_sc_expect_number(p, "features", 0, UINT64_MAX);
		else
			st->features = parse_features(p);
		break;
	}
}

/* Its name, and its '=' if it has one, have been taken. */
static void take(struct fl_sc_parser *p, struct fl_sc_statement *st, enum fl_sc_option option)
{
	const struct option *o = &all[option];
	char *base = (char *)st;

	if (o->kind == SPECIAL)
		take_special(p, st, option);
	else if (o->kind == PLACE)
		fl_sc_parse_range(p, (struct fl_sc_range *)(void *)(base + o->field), false);
	else if (o->kind == NUMBER)
		*(uint64_t *)(void *)(base + o->field) = fl_sc_expect_number(p, "a number", 0, UINT64_MAX);
	else if (o->field)
		*(bool *)(base + o->field) = true;
	if (o->has)
		*(bool *)(base + o->has) = true;
}

/* "size=, dontwake or the end of the statement": what may still come. */
static const char *list(struct fl_sc_parser *p, uint64_t options, const char *end)
{
	const size_t room = 480;
	char *text = fl_sc_get(p, room);
	size_t used = 0;

	for (size_t i = 0; i < FL_SC_OPTIONS; i++) {
		if (options & BIT(i))
			used += (size_t)snprintf(text + used, room - used, "%s%s",
						 !used  ? ""
						 : *end ? ", "
							: " or ",
						 all[i].name);
	}
	snprintf(text + used, room - used, "%s%s", used && *end ? " or " : "", end);
	return text;
}

/* Is this option next? Takes its name then, and its '='. */
static bool accept_option(struct fl_sc_parser *p, const struct option *o)
{
	const struct fl_sc_token *t = fl_sc_peek(p);
	size_t n;
	char key[16];

	if (t->text[0] != o->name[0])
		return false;
	n = strlen(o->name);
	if (o->name[n - 1] != '=')
		return fl_sc_accept(p, o->name);
	if (t->length != n - 1 || memcmp(t->text, o->name, n - 1))
		return false;
	memcpy(key, o->name, n - 1);
	key[n - 1] = '\0';
	if (!fl_sc_accept_key(p, key))
		fl_sc_fail(p, t, "expected %s and a value, found '%s' without '='", o->name, key);
	return true;
}

/* The option that is next, and takes its name. FL_SC_OPTIONS: none of these. */
static enum fl_sc_option which(struct fl_sc_parser *p, uint64_t options)
{
	for (unsigned i = 0; i < FL_SC_OPTIONS; i++) {
		if (options & BIT(i) && i != FL_SC_X_REGISTER && accept_option(p, &all[i]))
			return (enum fl_sc_option)i;
	}
	return FL_SC_OPTIONS;
}

static void guess(struct fl_sc_parser *p, uint64_t options, const char *expected)
{
	const struct fl_sc_token *t = fl_sc_peek(p);
	struct fl_sc_guess g;
	const char *hint;

	fl_sc_guess_begin(&g, t);
	for (size_t i = 0; i < FL_SC_OPTIONS; i++) {
		if (options & BIT(i))
			fl_sc_guess_word(&g, all[i].name);
	}
	hint = fl_sc_guess_end(&g);
	if (t->kind == FL_SC_T_WORD && *hint)
		fl_sc_fail(p, t, "expected %s, found '%.*s'%s", expected, fl_sc_shown(t), t->text, hint);
	fl_sc_expected(p, expected);
}

static void refuse_both(struct fl_sc_parser *p, const struct fl_sc_statement *st, uint64_t seen)
{
	const uint64_t lengths = FL_SC_O(PAGES) | FL_SC_O(BYTES);
	const char *names = NULL;

	for (size_t i = 0; i < sizeof(either) / sizeof(either[0]); i++) {
		if ((seen & either[i].options) == either[i].options)
			names = either[i].names;
	}
	/* Of mremap they are the old length and the new one. */
	if (st->op == FL_SC_MMAP_ANY && (seen & lengths) == lengths)
		names = "pages= and bytes=";
	if (names)
		fl_sc_fail(p, fl_sc_peek(p), "expected one of %s, found both", names);
}

void fl_sc_parse_options(struct fl_sc_parser *p, struct fl_sc_statement *st)
{
	const struct fl_sc_op_row *row = &fl_sc_op_rows[st->op];
	uint64_t seen = 0;

	while (!fl_sc_at_end(p)) {
		const struct fl_sc_token *t = fl_sc_peek(p);
		enum fl_sc_option one;

		if (row->options & FL_SC_O(REGISTER) && !(seen & FL_SC_O(REGISTER)) &&
		    fl_sc_word_find(fl_sc_mode_words, t)) {
			st->modes = fl_sc_parse_modes(p);
			fl_sc_parse_range(p, &st->range, true);
			seen |= FL_SC_O(REGISTER);
			continue;
		}
		one = which(p, row->options);
		if (one == FL_SC_OPTIONS)
			guess(p, row->options & ~seen, list(p, row->options & ~seen, "the end of the statement"));
		if (seen & BIT(one))
			fl_sc_fail(p, t, "'%.*s' is there twice", fl_sc_shown(t), t->text);
		seen |= BIT(one);
		take(p, st, one);
	}
	if (row->needs && !(seen & row->needs))
		fl_sc_expected(p, list(p, row->needs, ""));
	refuse_both(p, st, seen);
}
