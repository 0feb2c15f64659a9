/* SPDX-License-Identifier: MIT */
/*
 * Expressions and ranges. From loose to tight: implies; or; and; not; comparisons and `in`; &; + and -; *; unary -.
 *
 * No locks: one thread.
 */
#include "explore/lang/lang.h"

static struct fl_sc_expr *make(struct fl_sc_parser *p, enum fl_sc_expr_kind kind, const struct fl_sc_token *t)
{
	struct fl_sc_expr *e = fl_sc_get(p, sizeof(*e));

	e->kind = kind;
	e->place = t->place;
	return e;
}

/* What stands below e has been looked at: its tree must not get too high. */
static void put_below(struct fl_sc_parser *p, struct fl_sc_expr *e, const struct fl_sc_expr *below)
{
	const struct fl_sc_token t = {.place = e->place};

	if (below->height >= e->height)
		e->height = below->height + 1;
	if (e->height > FL_SC_DEPTH)
		fl_sc_fail(p, &t, "more than %d levels of an expression; split it", FL_SC_DEPTH);
}

static struct fl_sc_expr *binary(struct fl_sc_parser *p, enum fl_sc_binary kind, const struct fl_sc_token *t,
				 struct fl_sc_expr *left, struct fl_sc_expr *right)
{
	struct fl_sc_expr *e = make(p, FL_SC_E_BINARY, t);

	e->binary = kind;
	e->left = left;
	e->right = right;
	put_below(p, e, left);
	put_below(p, e, right);
	return e;
}

static struct fl_sc_expr *prefix(struct fl_sc_parser *p, enum fl_sc_expr_kind kind, const struct fl_sc_token *t,
				 struct fl_sc_expr *left)
{
	struct fl_sc_expr *e = make(p, kind, t);

	e->left = left;
	put_below(p, e, left);
	return e;
}

static void deeper(struct fl_sc_parser *p)
{
	if (++p->depth > FL_SC_DEPTH)
		fl_sc_fail(p, fl_sc_peek(p), "more than %d levels of an expression", FL_SC_DEPTH);
}

/* Is the next token right behind the one before, with no space? */
static bool adjacent(struct fl_sc_parser *p)
{
	const struct fl_sc_token *t = fl_sc_peek(p);

	return p->at && t[-1].text + t[-1].length == t->text;
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* The first and last page of a range must be the mapping's. t: what to blame. */
static void check_range(struct fl_sc_parser *p, const struct fl_sc_range *range, const struct fl_sc_token *t)
{
	const struct fl_sc_map *m;
	uint64_t bytes;

	if (!p->resolving || range->base != FL_SC_BASE_MAP)
		return;
	m = &p->s->map[range->map];
	bytes = m->pages * FL_SC_PAGE;
	if (range->offset > UINT64_MAX / 2) {
		if (!m->stack)
			fl_sc_fail(p, t, "below '%s' is none of it; only a stack may be named there", m->name);
		if (-range->offset > m->page * FL_SC_PAGE)
			fl_sc_fail(p, t, "this is below the first of all pages: '%s' is at page %llu", m->name,
				   (unsigned long long)m->page);
		return;
	}
	if (range->offset >= bytes || range->length > bytes - range->offset)
		fl_sc_fail(p, t, "'%s' has %llu page%s (%llu bytes); this is outside of it", m->name,
			   (unsigned long long)m->pages, plural(m->pages), (unsigned long long)bytes);
}

/* [first] or [first:end], in pages. */
static void pages(struct fl_sc_parser *p, struct fl_sc_range *range, bool length)
{
	const struct fl_sc_token *t;
	uint64_t first, end;

	p->nest++;
	t = fl_sc_peek(p);
	fl_sc_glue(p);
	first = fl_sc_expect_number(p, "a page's number", 0, FL_SC_WINDOW);
	range->offset = first * FL_SC_PAGE;
	if (fl_sc_at(p, ":")) {
		if (!length)
			fl_sc_fail(p, fl_sc_peek(p), "expected ']', found ':': this takes one place, not a range");
		fl_sc_glue(p);
		fl_sc_next(p);
		fl_sc_glue(p);
		end = fl_sc_expect_number(p, "the page after the last", 0, FL_SC_WINDOW);
		if (end <= first)
			fl_sc_fail(p, t, "expected the page after the last, found %llu:%llu, which is empty",
				   (unsigned long long)first, (unsigned long long)end);
		range->length = (end - first) * FL_SC_PAGE;
	}
	fl_sc_glue(p);
	p->nest--;
	fl_sc_expect(p, "]", length ? "':' or ']'" : "']'");
	check_range(p, range, t);
}

/* A statement's result that is an address. The order of statements is fixed where this is used: any thread may. */
static void name_result(struct fl_sc_parser *p, struct fl_sc_range *range, const struct fl_sc_token *t, unsigned index)
{
	const struct fl_sc_result *r = &p->s->result[index];

	if (r->type != FL_SC_NUMBER)
		fl_sc_fail(p, t,
			   "'%s' is a message, of line %u; a place is a mapping, or a number that a statement gave",
			   r->name, r->place.line);
	range->base = FL_SC_BASE_RESULT;
	range->result = index;
	range->whole = false;
}

/* The mapping's name and the pages in brackets, if any; or a result, likewise; or an address. */
static void parse_base(struct fl_sc_parser *p, struct fl_sc_range *range, bool length)
{
	const struct fl_sc_token *t = fl_sc_peek(p);
	const struct fl_sc_known *k;

	*range = (struct fl_sc_range){.place = t->place, .whole = true};
	if (t->kind == FL_SC_T_NUMERAL && p->where != FL_SC_IN_PROPERTY) {
		range->base = FL_SC_BASE_NUMBER;
		range->offset = t->number;
		range->whole = false;
		fl_sc_next(p);
		return;
	}
	fl_sc_expect_word(p, "a mapping's name");
	k = p->resolving && p->where != FL_SC_IN_PROPERTY ? fl_sc_known_as(p, t, FL_SC_N_RESULT) : NULL;
	if (k)
		name_result(p, range, t, k->index);
	else if ((k = fl_sc_lookup(p, t, FL_SC_N_MAP)))
		range->map = k->index;
	if (fl_sc_at(p, "[") && adjacent(p)) {
		fl_sc_glue(p);
		fl_sc_next(p);
		range->whole = false;
		pages(p, range, length);
	}
}

void fl_sc_parse_range(struct fl_sc_parser *p, struct fl_sc_range *range, bool length)
{
	const struct fl_sc_token *t;
	bool minus;
	uint64_t n;

	parse_base(p, range, length);
	/* `store S -8` stores -8 at S; `store S-8 1` stores below it. */
	minus = fl_sc_at(p, "-") && adjacent(p);
	if (range->length || (!minus && !fl_sc_at(p, "+")))
		return;
	fl_sc_glue(p);
	fl_sc_next(p);
	fl_sc_glue(p);
	t = fl_sc_peek(p);
	n = fl_sc_expect_number(p, "a number of bytes", 0, FL_SC_WINDOW * FL_SC_PAGE);
	range->offset = minus ? range->offset - n : range->offset + n;
	range->whole = false;
	check_range(p, range, t);
}

unsigned fl_sc_parse_size(struct fl_sc_parser *p, unsigned most)
{
	const char *what = most == 16 ? "a size of 1, 2, 4, 8 or 16" : "a size of 1, 2, 4 or 8";
	const struct fl_sc_token *t = fl_sc_peek(p);
	uint64_t size = fl_sc_expect_number(p, what, 1, most);

	if (size & (size - 1))
		fl_sc_fail(p, t, "expected %s, found %llu", what, (unsigned long long)size);
	return (unsigned)size;
}

void fl_sc_check_access(struct fl_sc_parser *p, const struct fl_sc_range *range, unsigned size, bool may_cross)
{
	const struct fl_sc_token t = {.place = range->place};
	const struct fl_sc_map *m;

	if (may_cross && p->resolving && range->base == FL_SC_BASE_MAP && range->offset <= UINT64_MAX / 2) {
		m = &p->s->map[range->map];
		if (range->offset + size > m->pages * FL_SC_PAGE)
			fl_sc_fail(p, &t, "'%s' has %llu page%s (%llu bytes); %u bytes from here reach beyond its end",
				   m->name, (unsigned long long)m->pages, plural(m->pages),
				   (unsigned long long)(m->pages * FL_SC_PAGE), size);
	}
	if (!may_cross && range->offset % FL_SC_PAGE + size > FL_SC_PAGE)
		fl_sc_fail(p, &t, "%u bytes from here lie in two pages; an access has one", size);
}

uint64_t fl_sc_address(const struct fl_scenario *s, const struct fl_sc_range *range)
{
	return s->map[range->map].page * FL_SC_PAGE + range->offset;
}

static unsigned parse_process(struct fl_sc_parser *p)
{
	const struct fl_sc_known *k = fl_sc_lookup(p, fl_sc_expect_word(p, "a process"), FL_SC_N_PROCESS);

	return k ? k->index + 1 : 0;
}

static void only_at_end(struct fl_sc_parser *p, const struct fl_sc_token *t, const char *what)
{
	if (p->where != FL_SC_IN_PROPERTY)
		fl_sc_fail(p, t, "%s can only be asked for by always, sometimes and never", what);
}

/* [A+8 size=4 in C]; the bracket is next. */
static struct fl_sc_expr *memory(struct fl_sc_parser *p)
{
	const struct fl_sc_token *t = fl_sc_next(p);
	struct fl_sc_expr *e = make(p, FL_SC_E_MEMORY, t);

	only_at_end(p, t, "memory");
	p->nest++;
	fl_sc_glue(p);
	fl_sc_parse_range(p, &e->range, false);
	e->size = 8;
	if (fl_sc_accept_key(p, "size"))
		e->size = fl_sc_parse_size(p, 8);
	fl_sc_check_access(p, &e->range, e->size, false);
	if (fl_sc_accept(p, "in"))
		e->process = parse_process(p);
	fl_sc_glue(p);
	p->nest--;
	fl_sc_expect(p, "]", "']'");
	return e;
}

/* faults(T), ...; the name is next. */
static struct fl_sc_expr *function(struct fl_sc_parser *p, const struct fl_sc_function *f)
{
	const struct fl_sc_token *t = fl_sc_next(p);
	struct fl_sc_expr *e = make(p, f->kind, t);
	const struct fl_sc_known *k = NULL;

	only_at_end(p, t, f->name);
	e->count = f->count;
	if (!f->argument || (f->argument == 'C' && !fl_sc_at(p, "(")))
		return e;
	fl_sc_glue(p);
	fl_sc_expect(p, "(", "'('");
	p->nest++;
	fl_sc_glue(p);
	if (f->argument == 'T')
		k = fl_sc_lookup(p, fl_sc_expect_word(p, "a thread"), FL_SC_N_THREAD);
	else if (f->argument == 'U')
		k = fl_sc_lookup(p, fl_sc_expect_word(p, "a userfaultfd"), FL_SC_N_UFFD);
	else if (f->argument == 'C')
		e->index = parse_process(p);
	else
		fl_sc_parse_range(p, &e->range, true);
	if (k)
		e->index = k->index;
	if (f->argument == 'R' && fl_sc_accept(p, "in"))
		e->index = parse_process(p);
	fl_sc_glue(p);
	p->nest--;
	fl_sc_expect(p, ")", "')'");
	return e;
}

/* r0, m.address; t has been taken. */
static void result(struct fl_sc_parser *p, struct fl_sc_expr *e, const struct fl_sc_token *t)
{
	const struct fl_sc_result *r = p->resolving ? &p->s->result[e->index] : NULL;
	const struct fl_sc_token *field;

	if (r && p->where != FL_SC_IN_PROPERTY && r->thread != p->thread && r->thread != FL_SC_SETUP)
		fl_sc_fail(p, t, "'%s' is a result of another thread; threads share values by `var`", r->name);
	if (!fl_sc_at(p, ".")) {
		e->field = r && r->type == FL_SC_MESSAGE ? FL_SC_F_EVENT : FL_SC_F_NONE;
		return;
	}
	fl_sc_glue(p);
	field = fl_sc_next(p);
	if (r && r->type != FL_SC_MESSAGE)
		fl_sc_fail(p, field, "'%s' is a number and has no parts; messages have: m = read U", r->name);
	fl_sc_glue(p);
	e->field = (enum fl_sc_field)fl_sc_expect_one(p, fl_sc_field_words,
						      "a part of a message (event, address, end, flags, thread)");
}

/* A name that stands for something of the scenario. */
static struct fl_sc_expr *name(struct fl_sc_parser *p)
{
	const struct fl_sc_token *t = fl_sc_peek(p);
	struct fl_sc_expr *e = make(p, FL_SC_E_RESULT, t);
	const struct fl_sc_known *k =
		fl_sc_lookup(p, t, FL_SC_N_RESULT | FL_SC_N_VARIABLE | FL_SC_N_MAP | FL_SC_N_THREAD);

	if (k && k->kind == FL_SC_N_MAP) {
		e->kind = FL_SC_E_ADDRESS;
		parse_base(p, &e->range, false);
		e->number = (int64_t)fl_sc_address(p->s, &e->range);
		return e;
	}
	fl_sc_next(p);
	if (!k) {
		/* Names are still being learnt: any of them may follow. */
		if (fl_sc_at(p, "[") && adjacent(p)) {
			fl_sc_glue(p);
			fl_sc_next(p);
			pages(p, &e->range, false);
			return e;
		}
		result(p, e, t);
	} else if (k->kind == FL_SC_N_RESULT) {
		e->index = k->index;
		result(p, e, t);
	} else {
		e->kind = k->kind == FL_SC_N_VARIABLE ? FL_SC_E_VAR : FL_SC_E_NUMBER;
		e->symbol = k->kind == FL_SC_N_THREAD;
		e->number = k->kind == FL_SC_N_THREAD ? (int64_t)k->index : 0;
		e->index = k->index;
	}
	return e;
}

static struct fl_sc_expr *primary(struct fl_sc_parser *p)
{
	const struct fl_sc_token *t = fl_sc_peek(p);
	const struct fl_sc_word *value = fl_sc_word_find(fl_sc_value_words, t);
	const struct fl_sc_function *f = fl_sc_function_find(t);
	struct fl_sc_expr *e;

	if (t->kind == FL_SC_T_NUMERAL || value) {
		e = make(p, FL_SC_E_NUMBER, t);
		e->number = value ? value->value : (int64_t)t->number;
		e->symbol = value != NULL;
		fl_sc_next(p);
		return e;
	}
	if (f)
		return function(p, f);
	if (fl_sc_at(p, "["))
		return memory(p);
	if (t->kind == FL_SC_T_WORD)
		return name(p);
	if (!fl_sc_accept(p, "("))
		fl_sc_expected(p, "a value (a number, a name, [memory] or an expression in parentheses)");
	p->nest++;
	fl_sc_glue(p);
	e = fl_sc_parse_expr(p);
	fl_sc_glue(p);
	p->nest--;
	fl_sc_expect(p, ")", "an operator or ')'");
	return e;
}

static struct fl_sc_expr *unary(struct fl_sc_parser *p)
{
	const struct fl_sc_token *t = fl_sc_peek(p);
	struct fl_sc_expr *e;

	if (!fl_sc_accept(p, "-"))
		return primary(p);
	deeper(p);
	fl_sc_glue(p);
	e = prefix(p, FL_SC_E_NEG, t, unary(p));
	p->depth--;
	return e;
}

static struct fl_sc_expr *product(struct fl_sc_parser *p)
{
	struct fl_sc_expr *e = unary(p);
	const struct fl_sc_token *t;

	while (t = fl_sc_peek(p), fl_sc_accept(p, "*")) {
		fl_sc_skip_lines(p);
		e = binary(p, FL_SC_TIMES, t, e, unary(p));
	}
	return e;
}

/* A+8: an address with an offset is an address, and written without spaces. */
static bool fold(struct fl_sc_parser *p, struct fl_sc_token *sign, struct fl_sc_token *number, struct fl_sc_expr *left,
		 const struct fl_sc_expr *right)
{
	if (left->kind != FL_SC_E_ADDRESS || right->kind != FL_SC_E_NUMBER || number->kind != FL_SC_T_NUMERAL)
		return false;
	sign->flags |= FL_SC_GLUED;
	number->flags |= FL_SC_GLUED;
	left->range.offset += (uint64_t)right->number;
	left->range.whole = false;
	check_range(p, &left->range, number);
	left->number = (int64_t)fl_sc_address(p->s, &left->range);
	return true;
}

struct fl_sc_expr *fl_sc_parse_sum(struct fl_sc_parser *p)
{
	struct fl_sc_expr *e = product(p), *right;
	struct fl_sc_token *sign, *number;

	while (sign = fl_sc_peek(p), fl_sc_at(p, "+") || fl_sc_at(p, "-")) {
		bool plus = fl_sc_at(p, "+");

		fl_sc_next(p);
		fl_sc_skip_lines(p);
		number = fl_sc_peek(p);
		right = product(p);
		if (!plus || !fold(p, sign, number, e, right))
			e = binary(p, plus ? FL_SC_PLUS : FL_SC_MINUS, sign, e, right);
	}
	return e;
}

static struct fl_sc_expr *bits(struct fl_sc_parser *p)
{
	struct fl_sc_expr *e = fl_sc_parse_sum(p);
	const struct fl_sc_token *t;

	while (t = fl_sc_peek(p), fl_sc_accept(p, "&")) {
		fl_sc_skip_lines(p);
		e = binary(p, FL_SC_BITAND, t, e, fl_sc_parse_sum(p));
	}
	return e;
}

/* in { a, b }; the brace is next. */
static struct fl_sc_expr *set(struct fl_sc_parser *p, const struct fl_sc_token *t, struct fl_sc_expr *left)
{
	struct fl_sc_expr *e = prefix(p, FL_SC_E_IN, t, left);

	fl_sc_expect(p, "{", "'{' and the values that it may have");
	p->nest++;
	do {
		e->member = fl_sc_grow(p, e->member, e->members, sizeof(*e->member));
		e->member[e->members] = bits(p);
		put_below(p, e, e->member[e->members++]);
		if (fl_sc_at(p, ","))
			fl_sc_glue(p);
	} while (fl_sc_accept(p, ","));
	p->nest--;
	fl_sc_expect(p, "}", "',' or '}'");
	return e;
}

static const struct {
	const char *sign;
	enum fl_sc_binary binary;
} comparisons[] = {
	{"==", FL_SC_EQ}, {"!=", FL_SC_NE}, {"<=", FL_SC_LE}, {"<", FL_SC_LT}, {">=", FL_SC_GE}, {">", FL_SC_GT},
};
#define COMPARISONS (sizeof(comparisons) / sizeof(comparisons[0]))

static size_t which_comparison(const struct fl_sc_token *t)
{
	size_t i;

	for (i = 0; i < COMPARISONS && !fl_sc_token_is(t, comparisons[i].sign); i++)
		;
	return i;
}

static struct fl_sc_expr *comparison(struct fl_sc_parser *p)
{
	struct fl_sc_expr *e = bits(p);
	const struct fl_sc_token *t = fl_sc_peek(p);
	size_t which = which_comparison(t);

	if (which < COMPARISONS) {
		fl_sc_next(p);
		fl_sc_skip_lines(p);
		e = binary(p, comparisons[which].binary, t, e, bits(p));
		if (which_comparison(fl_sc_peek(p)) < COMPARISONS)
			fl_sc_fail(p, fl_sc_peek(p), "comparisons do not chain: write `a < b and b < c`");
	} else if (fl_sc_accept(p, "in")) {
		e = set(p, t, e);
	} else if (fl_sc_at(p, "not") && p->token[p->at + 1].kind == FL_SC_T_WORD) {
		fl_sc_next(p);
		fl_sc_expect(p, "in", "'in'");
		e = prefix(p, FL_SC_E_NOT, t, set(p, t, e));
	} else if (fl_sc_token_is(t, "=")) {
		fl_sc_fail(p, t, "expected an operator or the end of the expression, found '=' (here one writes '==')");
	}
	return e;
}

static struct fl_sc_expr *negation(struct fl_sc_parser *p)
{
	const struct fl_sc_token *t = fl_sc_peek(p);
	struct fl_sc_expr *e;

	if (!fl_sc_accept(p, "not"))
		return comparison(p);
	deeper(p);
	e = prefix(p, FL_SC_E_NOT, t, negation(p));
	p->depth--;
	return e;
}

/* A line may end before one of these words as well as after. NULL: it is not next. */
static const struct fl_sc_token *accept_operator(struct fl_sc_parser *p, const char *word)
{
	size_t at = p->at;
	struct fl_sc_token *t;

	fl_sc_skip_lines(p);
	if (!fl_sc_at(p, word)) {
		p->at = at;
		return NULL;
	}
	t = fl_sc_next(p);
	t->flags |= FL_SC_BREAK;
	fl_sc_skip_lines(p);
	return t;
}

static struct fl_sc_expr *conjunction(struct fl_sc_parser *p)
{
	struct fl_sc_expr *e = negation(p);
	const struct fl_sc_token *t;

	while ((t = accept_operator(p, "and")))
		e = binary(p, FL_SC_AND, t, e, negation(p));
	return e;
}

static struct fl_sc_expr *disjunction(struct fl_sc_parser *p)
{
	struct fl_sc_expr *e = conjunction(p);
	const struct fl_sc_token *t;

	while ((t = accept_operator(p, "or")))
		e = binary(p, FL_SC_OR, t, e, conjunction(p));
	return e;
}

struct fl_sc_expr *fl_sc_parse_expr(struct fl_sc_parser *p)
{
	struct fl_sc_expr *e;
	const struct fl_sc_token *t;

	deeper(p);
	e = disjunction(p);
	if ((t = accept_operator(p, "implies")))
		e = binary(p, FL_SC_IMPLIES, t, e, fl_sc_parse_expr(p));
	p->depth--;
	return e;
}
