/* SPDX-License-Identifier: MIT */
/*
 * Statements: what the rows of op.c say, and the four that have blocks.
 *
 * No locks: one thread.
 */
#include "explore/lang/lang.h"
#include "faultline/uapi.h"

bool fl_sc_at_end(struct fl_sc_parser *p)
{
	const struct fl_sc_token *t = fl_sc_peek(p);

	return t->kind == FL_SC_T_END || t->kind == FL_SC_T_NEWLINE || fl_sc_token_is(t, ";") || fl_sc_token_is(t, "}");
}

void fl_sc_parse_end(struct fl_sc_parser *p, const char *expected)
{
	if (!fl_sc_at_end(p))
		fl_sc_expected(p, expected);
}

static void skip_ends(struct fl_sc_parser *p)
{
	do
		fl_sc_skip_lines(p);
	while (fl_sc_accept(p, ";"));
}

struct fl_sc_statement *fl_sc_parse_block(struct fl_sc_parser *p, size_t *n)
{
	struct fl_sc_statement *body = NULL;
	struct fl_sc_token *brace = fl_sc_expect(p, "{", "'{'");

	if (++p->blocks > FL_SC_DEPTH)
		fl_sc_fail(p, brace, "more than %d blocks in each other", FL_SC_DEPTH);
	brace->flags |= FL_SC_OPENS;
	*n = 0;
	for (skip_ends(p); !fl_sc_at(p, "}"); skip_ends(p)) {
		struct fl_sc_statement st = {.op = FL_SC_OPS};

		if (fl_sc_peek(p)->kind == FL_SC_T_END)
			fl_sc_fail(p, fl_sc_peek(p),
				   "expected '}', found the end of the file: the '{' of line %u is open",
				   brace->place.line);
		fl_sc_parse_statement(p, &st);
		fl_sc_parse_end(p, "the end of the statement");
		body = fl_sc_grow(p, body, *n, sizeof(*body));
		body[(*n)++] = st;
	}
	fl_sc_next(p)->flags |= FL_SC_CLOSES;
	p->blocks--;
	return body;
}

/* `else` and `while` may stand on the line after the brace. */
static bool accept_after_brace(struct fl_sc_parser *p, const char *word)
{
	size_t at = p->at;

	fl_sc_skip_lines(p);
	if (fl_sc_accept(p, word))
		return true;
	p->at = at;
	return false;
}

static void parse_else(struct fl_sc_parser *p, struct fl_sc_statement *st)
{
	if (!accept_after_brace(p, "else"))
		return;
	if (fl_sc_at(p, "if")) {
		size_t first = p->at;

		if (++p->blocks > FL_SC_DEPTH)
			fl_sc_fail(p, fl_sc_peek(p), "more than %d `else if`", FL_SC_DEPTH);
		st->orelse = fl_sc_get(p, sizeof(*st->orelse));
		st->orelses = 1;
		fl_sc_parse_statement(p, st->orelse);
		p->token[first].flags &= ~FL_SC_BEGIN; /* it stays behind its else */
		p->blocks--;
		return;
	}
	st->orelse = fl_sc_parse_block(p, &st->orelses);
}

/* Its word has been taken. Sets the text to its head. */
static void parse_blocks(struct fl_sc_parser *p, struct fl_sc_statement *st, size_t first)
{
	if (st->op == FL_SC_IF) {
		st->condition = fl_sc_parse_expr(p);
		fl_sc_peek(p);
		st->text = fl_sc_line(p, first, p->at);
		st->body = fl_sc_parse_block(p, &st->bodies);
		parse_else(p, st);
		return;
	}
	st->times = (unsigned)fl_sc_expect_number(p, "a number of times", 1, 1000);
	fl_sc_peek(p);
	st->text = fl_sc_line(p, first, p->at);
	p->loops++;
	st->body = fl_sc_parse_block(p, &st->bodies);
	p->loops--;
	if (st->op == FL_SC_RETRY) {
		if (!accept_after_brace(p, "while"))
			fl_sc_expected(p, "'while' and a condition");
		st->condition = fl_sc_parse_expr(p);
	}
}

static unsigned parse_object(struct fl_sc_parser *p, enum fl_sc_name_kind kind, const char *what)
{
	const struct fl_sc_known *k = fl_sc_lookup(p, fl_sc_expect_word(p, what), kind);

	return k ? k->index : 0;
}

static unsigned parse_new(struct fl_sc_parser *p, enum fl_sc_name_kind kind, const char *what)
{
	const struct fl_sc_token *t = fl_sc_expect_word(p, what);
	unsigned index;

	if (kind == FL_SC_N_PROCESS && p->loops)
		fl_sc_fail(p, t, "a process is forked once: `fork` cannot stand in a loop");
	index = fl_sc_declare(p, t, kind);
	if (kind == FL_SC_N_PROCESS)
		p->parent[index] = p->process;
	return index;
}

static int64_t parse_signed(struct fl_sc_parser *p)
{
	bool minus = fl_sc_at(p, "-");

	if (!minus && !fl_sc_at(p, "+"))
		fl_sc_expected(p, "+N or -N pages");
	fl_sc_next(p);
	fl_sc_glue(p);
	return (minus ? -1 : 1) * (int64_t)fl_sc_expect_number(p, "a number of pages", 0, FL_SC_WINDOW);
}

static void parse_condition(struct fl_sc_parser *p, struct fl_sc_statement *st)
{
	enum fl_sc_where where = p->where;

	if (st->op == FL_SC_AWAIT)
		p->where = FL_SC_IN_AWAIT;
	st->condition = fl_sc_parse_expr(p);
	p->where = where;
}

/* `to L`; or one of the options that say what else is to be done. */
static void parse_destination(struct fl_sc_parser *p, struct fl_sc_statement *st)
{
	static const char *const instead[] = {"pages", "newbytes", "bytes", "flags", "maymove"};

	st->has_other = fl_sc_accept(p, "to");
	if (st->has_other) {
		fl_sc_parse_range(p, &st->other, false);
		return;
	}
	for (size_t i = 0; i < sizeof(instead) / sizeof(instead[0]); i++) {
		if (fl_sc_at(p, instead[i]))
			return;
	}
	fl_sc_expected(p, "'to' and a place, or pages=");
}

/* What a mapping's registration is for: words, or any number. */
static uint64_t parse_modes_or_number(struct fl_sc_parser *p)
{
	if (fl_sc_accept_key(p, "modes"))
		return fl_sc_expect_number(p, "a number", 0, UINT64_MAX);
	return fl_sc_parse_modes(p);
}

/* as +N, memlock N, maps +N, as off */
static void parse_limit(struct fl_sc_parser *p, struct fl_sc_statement *st)
{
	static const struct fl_sc_word which[] = {
		{"as", 9}, {"data", 2}, {"stack", 3}, {"memlock", 8}, {"maps", FL_SC_LIMIT_MAPS},
		{NULL, 0}}; /* RLIMIT_* */
	bool more;

	st->limit = (unsigned)fl_sc_expect_one(p, which, "a limit (as, data, stack, memlock, maps)");
	st->pages = -1;
	if (fl_sc_accept(p, "off"))
		return;
	more = st->limit == 9 || st->limit == 2 || st->limit == FL_SC_LIMIT_MAPS;
	if (more && !fl_sc_at(p, "+"))
		fl_sc_expected(p, st->limit == FL_SC_LIMIT_MAPS ? "+N mappings more than now, or off"
								: "+N pages more than now, or off");
	if (more) {
		fl_sc_next(p);
		fl_sc_glue(p);
	} else if (fl_sc_peek(p)->kind != FL_SC_T_NUMERAL) {
		fl_sc_expected(p, "a number of pages, or off");
	}
	st->pages = (int64_t)fl_sc_expect_number(p, "a number of pages", 0, INT64_MAX / FL_SC_PAGE);
}

/* A userfaultfd that is opened, maybe again. */
static unsigned parse_opened(struct fl_sc_parser *p)
{
	const struct fl_sc_token *t = fl_sc_expect_word(p, "a name for the userfaultfd");
	const struct fl_sc_known *k = fl_sc_known_as(p, t, FL_SC_N_UFFD);

	return k ? k->index : fl_sc_declare(p, t, FL_SC_N_UFFD);
}

static void parse_advice(struct fl_sc_parser *p, struct fl_sc_statement *st)
{
	if (fl_sc_peek(p)->kind == FL_SC_T_NUMERAL)
		st->advice = (int)(uint32_t)fl_sc_expect_number(p, "advice", 0, UINT32_MAX);
	else
		st->advice = (int)fl_sc_expect_one(p, fl_sc_advice_words, "a kind of advice, as in madvise(2)");
}

static void parse_argument(struct fl_sc_parser *p, struct fl_sc_statement *st, char argument)
{
	static const struct fl_sc_word on_off[] = {{"on", 1}, {"off", 0}, {NULL, 0}};

	switch (argument) {
	case 'L':
	case 'R':
		fl_sc_parse_range(p, &st->range, argument == 'R');
		break;
	case '>':
		parse_destination(p, st);
		break;
	case 'U':
		st->object = parse_object(p, FL_SC_N_UFFD, "a userfaultfd");
		break;
	case 'T':
		st->object = parse_object(p, FL_SC_N_THREAD, "a thread");
		break;
	case 'X':
		st->object = parse_object(p, FL_SC_N_VARIABLE, "a variable");
		break;
	case 'D':
		st->object = parse_new(p, FL_SC_N_UFFD, "a name for the userfaultfd");
		break;
	case 'C':
		st->object = parse_new(p, FL_SC_N_PROCESS, "a name for the new process");
		break;
	case 'V':
		st->value = fl_sc_parse_expr(p);
		break;
	case 'E':
		parse_condition(p, st);
		break;
	case 'A':
		parse_advice(p, st);
		break;
	case 'M':
		st->modes = parse_modes_or_number(p);
		break;
	case 'O':
		/* flags= has all that there is to say. */
		if (!fl_sc_at(p, "flags"))
			st->modes = (uint64_t)fl_sc_expect_one(p, on_off, "on or off");
		break;
	case 'P':
		st->object = parse_opened(p);
		break;
	case 'W':
		parse_limit(p, st);
		break;
	case 'N':
		st->pages = parse_signed(p);
		break;
	}
}

/* Neither a statement nor anything else that may begin a line here. */
static void unknown(struct fl_sc_parser *p, const struct fl_sc_token *t)
{
	struct fl_sc_guess guess;
	bool inside = p->blocks || p->where != FL_SC_IN_SETUP;
	const char *hint;

	fl_sc_guess_begin(&guess, t);
	for (unsigned op = 0; op < FL_SC_OPS; op++)
		fl_sc_guess_word(&guess, fl_sc_op_rows[op].name);
	for (const struct fl_sc_word *w = fl_sc_advice_words; w->name; w++)
		fl_sc_guess_word(&guess, w->name);
	if (!inside)
		fl_sc_guess_declarations(&guess);
	hint = fl_sc_guess_end(&guess);
	if (t->kind != FL_SC_T_WORD)
		fl_sc_expected(p, p->blocks ? "a statement or '}'"
				  : inside  ? "a statement"
					    : "a statement, a thread or a property");
	fl_sc_fail(p, t, "expected %s, found '%.*s'%s", inside ? "a statement" : "a statement, a thread or a property",
		   fl_sc_shown(t), t->text, hint);
}

/* The word of a statement, which is taken. Advice is a statement's word, too. */
static void parse_op(struct fl_sc_parser *p, struct fl_sc_statement *st)
{
	const struct fl_sc_token *t = fl_sc_peek(p);
	const struct fl_sc_word *advice = NULL;
	const struct fl_sc_op_row *row;
	unsigned op = 0;

	while (op < FL_SC_OPS && !fl_sc_token_is(t, fl_sc_op_rows[op].name))
		op++;
	if (op == FL_SC_OPS && (advice = fl_sc_word_find(fl_sc_advice_words, t))) {
		op = FL_SC_MADVISE;
		st->advice = (int)advice->value;
	}
	if (op == FL_SC_OPS)
		unknown(p, t);
	if (op == FL_SC_MMAP && fl_sc_followed(p, "any")) {
		op = FL_SC_MMAP_ANY;
		fl_sc_next(p);
	}
	st->op = (enum fl_sc_op)op;
	row = &fl_sc_op_rows[op];
	if (row->flags & FL_SC_ROW_SETUP && (p->where != FL_SC_IN_SETUP || p->blocks))
		fl_sc_fail(p, t, "`%s` belongs to the setup, outside of threads and blocks", row->name);
	if (row->flags & FL_SC_ROW_THREAD && p->where == FL_SC_IN_SETUP)
		fl_sc_fail(p, t, "`%s` belongs into a thread: before the threads begin, nobody can wait", row->name);
	fl_sc_next(p);
	if (row->arguments[0] == 'B')
		return;
	for (const char *a = row->arguments; *a; a++) {
		if (*a != 'A' || !advice)
			parse_argument(p, st, *a);
	}
}

/* r0 = ...: the name that is bound, or NULL. */
static const struct fl_sc_token *parse_binding(struct fl_sc_parser *p)
{
	const struct fl_sc_token *t = fl_sc_peek(p);

	if (t->kind != FL_SC_T_WORD || !fl_sc_followed(p, "="))
		return NULL;
	fl_sc_next(p);
	fl_sc_next(p);
	return t;
}

static void bind(struct fl_sc_parser *p, struct fl_sc_statement *st, const struct fl_sc_token *name)
{
	const struct fl_sc_op_row *row = &fl_sc_op_rows[st->op];

	if (row->gives == FL_SC_GIVES_NOTHING)
		fl_sc_fail(p, name, "`%s` has no result that '%.*s' could have", row->name, (int)name->length,
			   name->text);
	st->result = (int)fl_sc_bind(p, name, row->gives == FL_SC_GIVES_MESSAGE ? FL_SC_MESSAGE : FL_SC_NUMBER);
}

void fl_sc_parse_statement(struct fl_sc_parser *p, struct fl_sc_statement *st)
{
	struct fl_sc_token *t = fl_sc_peek(p);
	size_t first = p->at;
	const struct fl_sc_token *name = parse_binding(p);

	*st = (struct fl_sc_statement){
		.place = t->place, .result = -1, .size = 8, .prot = FL_PROT_READ | FL_PROT_WRITE};
	parse_op(p, st);
	if (st->op == FL_SC_API)
		st->api = FL_UFFD_API;
	if (name)
		bind(p, st, name);
	t->flags |= FL_SC_BEGIN;
	if (fl_sc_op_rows[st->op].arguments[0] == 'B') {
		parse_blocks(p, st, first);
		p->token[first].last = p->at - 1;
		return;
	}
	fl_sc_parse_options(p, st);
	if (fl_sc_op_rows[st->op].options & FL_SC_O(SIZE))
		fl_sc_check_access(p, &st->range, st->size, st->op != FL_SC_ADD);
	if (st->op == FL_SC_ADD && st->size < 4)
		fl_sc_fail(p, t, "`add` has a size of 4 or 8");
	fl_sc_peek(p);
	st->text = fl_sc_line(p, first, p->at);
}
