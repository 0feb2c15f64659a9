/* SPDX-License-Identifier: MIT */
/*
 * What the files of the scenario language share: memory, tokens, the parser's state, the tables of words.
 *
 * The text is cut into tokens, once. The parser goes over them twice with the same code: the first time it only
 * learns which names there are, the second time it looks them up; so a name may be used above its declaration. While it
 * parses it notes on each token what the formatter and the hash want to know: whether a space stands before it, whether
 * it begins a statement, opens or closes a block.
 *
 * An error leaves the parser by longjmp: everything it made is in one arena.
 *
 * No locks: one thread.
 */
#ifndef FL_LANG_H
#define FL_LANG_H

#include <setjmp.h>

#include "explore/lang/scenario.h"
#include "faultline/compiler.h"

#define FL_SC_PAGE 4096
#define FL_SC_WINDOW 4096         /* pages */
#define FL_SC_ANYWHERE UINT64_MAX /* a mapping's page, until it is placed */
#define FL_SC_DEPTH 60            /* of blocks and of parentheses, each */
#define FL_SC_TEXT (1u << 20)     /* bytes of a scenario, at most */
#define FL_SC_COLUMNS 100         /* of a formatted line */

struct fl_sc_chunk;
struct fl_sc_arena {
	struct fl_sc_chunk *last;
};
/* Zeroed memory, or NULL. */
void *fl_sc_arena_get(struct fl_sc_arena *a, size_t size);
void fl_sc_arena_free(struct fl_sc_arena *a);

enum fl_sc_token_kind {
	FL_SC_T_END,
	FL_SC_T_NEWLINE,
	FL_SC_T_COMMENT,
	FL_SC_T_WORD,
	FL_SC_T_NUMERAL,
	FL_SC_T_SIGN, /* one or two characters that are neither */
};
#define FL_SC_GLUED 1u /* no space before it */
#define FL_SC_BEGIN 2u /* the first of a statement, setting, declaration or property */
#define FL_SC_OPENS 4u /* the brace that opens a block */
#define FL_SC_CLOSES 8u
#define FL_SC_BREAK 16u /* a long line may be broken before it */
#define FL_SC_ALIGN 32u /* it stands in a column with its like on the lines above and below */

struct fl_sc_token {
	enum fl_sc_token_kind kind;
	unsigned flags;
	const char *text;
	size_t length;
	struct fl_place place;
	uint64_t number;
	size_t last; /* BEGIN of something with a block: its last token; else 0 */
};

/* The kinds of names; bits, so that one may ask for either of several. */
enum fl_sc_name_kind {
	FL_SC_N_MAP = 1,
	FL_SC_N_UFFD = 2,
	FL_SC_N_PROCESS = 4,
	FL_SC_N_VARIABLE = 8,
	FL_SC_N_RESULT = 16,
	FL_SC_N_THREAD = 32,
	FL_SC_N_ANY = 63
};
struct fl_sc_known {
	const char *name;
	enum fl_sc_name_kind kind;
	unsigned index;
	struct fl_place place;
};

enum fl_sc_where {
	FL_SC_IN_SETUP,
	FL_SC_IN_THREAD,
	FL_SC_IN_AWAIT,
	FL_SC_IN_PROPERTY
};

/* What a scenario owns besides what the header shows. */
struct fl_sc_own {
	struct fl_scenario s; /* first */
	struct fl_sc_arena arena;
	struct fl_sc_token *token;
	size_t tokens;
};

struct fl_sc_parser {
	struct fl_sc_own *own;
	struct fl_scenario *s;
	struct fl_sc_token *token;
	size_t at;
	bool resolving; /* the second time */
	unsigned nest;  /* of brackets: in them a line's end means nothing */
	unsigned depth, blocks, loops;
	unsigned settings;   /* which there have been */
	unsigned first_turn; /* line of the first `T: statement`; 0: none yet */
	enum fl_sc_where where;
	unsigned thread, process; /* whose statements these are */
	struct fl_sc_known *known;
	size_t knowns;
	unsigned *parent; /* of each process made by fork: the process that forks it */
	jmp_buf out;
	char *error;
};

/* How many bytes of a token a message shows: it may be very long. */
static inline int fl_sc_shown(const struct fl_sc_token *t)
{
	return t->length < 40 ? (int)t->length : 40;
}

/* Errors (error.c). Neither returns. */
FL_PRINTF(3, 4)
FL_NORETURN void fl_sc_fail(struct fl_sc_parser *p, const struct fl_sc_token *t, const char *format, ...);
FL_NORETURN void fl_sc_expected(struct fl_sc_parser *p, const char *what);
FL_NORETURN void fl_sc_no_memory(struct fl_sc_parser *p);

/* "; did you mean 'x'?" */
struct fl_sc_guess {
	const char *word;
	size_t length;
	const char *best;
	unsigned distance;
	char text[80];
};
void fl_sc_guess_begin(struct fl_sc_guess *g, const struct fl_sc_token *t);
void fl_sc_guess_word(struct fl_sc_guess *g, const char *candidate);
const char *fl_sc_guess_end(struct fl_sc_guess *g);

/* Memory (arena.c) */
void *fl_sc_get(struct fl_sc_parser *p, size_t size);
char *fl_sc_text(struct fl_sc_parser *p, const char *text, size_t length);
/* Room for one more at the end of an array of n elements; what it returns replaces the array. */
void *fl_sc_grow(struct fl_sc_parser *p, const void *array, size_t n, size_t size);

/* Tokens (lex.c) */
void fl_sc_lex(struct fl_sc_parser *p);
struct fl_sc_token *fl_sc_peek(struct fl_sc_parser *p);
struct fl_sc_token *fl_sc_next(struct fl_sc_parser *p);
bool fl_sc_token_equals(const struct fl_sc_token *t, const char *text);
/* Most words that a token is held against differ in the first letter. */
static inline bool fl_sc_token_is(const struct fl_sc_token *t, const char *text)
{
	return *t->text == *text && fl_sc_token_equals(t, text);
}
bool fl_sc_at(struct fl_sc_parser *p, const char *text);
bool fl_sc_accept(struct fl_sc_parser *p, const char *text);
struct fl_sc_token *fl_sc_expect(struct fl_sc_parser *p, const char *text, const char *what);
struct fl_sc_token *fl_sc_expect_word(struct fl_sc_parser *p, const char *what);
uint64_t fl_sc_expect_number(struct fl_sc_parser *p, const char *what, uint64_t least, uint64_t most);
/* The next token has no space before it. */
void fl_sc_glue(struct fl_sc_parser *p);
/* Is this word followed by this sign? */
bool fl_sc_followed(struct fl_sc_parser *p, const char *text);
void fl_sc_skip_lines(struct fl_sc_parser *p);
/* The text of tokens first to before end, in one line. */
char *fl_sc_line(struct fl_sc_parser *p, size_t first, size_t end);

/* Names (name.c) */
unsigned fl_sc_declare(struct fl_sc_parser *p, const struct fl_sc_token *t, enum fl_sc_name_kind kind);
const struct fl_sc_known *fl_sc_lookup(struct fl_sc_parser *p, const struct fl_sc_token *t, unsigned kinds);
/* The same for a name that must have been declared above: it is known the first time, too. */
const struct fl_sc_known *fl_sc_lookup_above(struct fl_sc_parser *p, const struct fl_sc_token *t, unsigned kinds);
/* Is it known so far as one of these? NULL: no. */
const struct fl_sc_known *fl_sc_known_as(struct fl_sc_parser *p, const struct fl_sc_token *t, unsigned kinds);
unsigned fl_sc_bind(struct fl_sc_parser *p, const struct fl_sc_token *t, enum fl_sc_result_type type);
void fl_sc_place_maps(struct fl_sc_parser *p);
void fl_sc_check_map(struct fl_sc_parser *p, const struct fl_sc_token *t, unsigned index);
void fl_sc_check_processes(struct fl_sc_parser *p);

/* Expressions and ranges (expr.c) */
struct fl_sc_expr *fl_sc_parse_expr(struct fl_sc_parser *p);
struct fl_sc_expr *fl_sc_parse_sum(struct fl_sc_parser *p);
/* After `size=`. */
unsigned fl_sc_parse_size(struct fl_sc_parser *p, unsigned most);
/* An access must lie in its mapping; and in one page, unless it may cross. */
void fl_sc_check_access(struct fl_sc_parser *p, const struct fl_sc_range *range, unsigned size, bool may_cross);
void fl_sc_parse_range(struct fl_sc_parser *p, struct fl_sc_range *range, bool length);

/* Statements (statement.c) and their options (option.c) */
void fl_sc_parse_statement(struct fl_sc_parser *p, struct fl_sc_statement *st);
/* What stands in braces. */
struct fl_sc_statement *fl_sc_parse_block(struct fl_sc_parser *p, size_t *n);
/* Setup comes before the first turn. t: what begins a statement of the setup. */
void fl_sc_check_order(struct fl_sc_parser *p, const struct fl_sc_token *t);
/* After a statement: the end of the line, a semicolon, a brace that closes, or the end. */
void fl_sc_parse_end(struct fl_sc_parser *p, const char *or_else);
int fl_sc_parse_prot(struct fl_sc_parser *p);
/* `key=`, if that is next: consumes both. */
bool fl_sc_accept_key(struct fl_sc_parser *p, const char *key);
/* Words like x86-64 and 6.18. */
const char *fl_sc_parse_raw(struct fl_sc_parser *p, const char *what);
uint64_t fl_sc_parse_modes(struct fl_sc_parser *p);
/* Is the next token where a statement ends? */
bool fl_sc_at_end(struct fl_sc_parser *p);

/* Settings, and map, place and var (declare.c). False: none of them is next. */
bool fl_sc_parse_setting(struct fl_sc_parser *p);
bool fl_sc_parse_declaration(struct fl_sc_parser *p);
/* Candidates for a guess: the words that begin a line outside of threads. */
void fl_sc_guess_declarations(struct fl_sc_guess *g);

/* Tables of words (word.c): ended by a name of NULL. */
struct fl_sc_word {
	const char *name;
	int64_t value;
};
extern const struct fl_sc_word fl_sc_value_words[], fl_sc_whens[], fl_sc_advice_words[], fl_sc_feature_words[],
	fl_sc_mode_words[], fl_sc_field_words[], fl_sc_finding_words[];
const struct fl_sc_word *fl_sc_word_find(const struct fl_sc_word *table, const struct fl_sc_token *t);
/* One of the table's words must be next; what: for the message. */
int64_t fl_sc_expect_one(struct fl_sc_parser *p, const struct fl_sc_word *table, const char *what);

/* Functions of the end: faults(T), ... */
struct fl_sc_function {
	const char *name;
	enum fl_sc_expr_kind kind; /* COUNT or BLOCKED */
	enum fl_sc_count count;
	char argument; /* T thread, U userfaultfd, R range, C process or nothing, 0 nothing */
};
extern const struct fl_sc_function fl_sc_functions[];
const struct fl_sc_function *fl_sc_function_find(const struct fl_sc_token *t);

/* Options of statements, in the order of the table in option.c; a row of op.c has a bit for each. */
enum fl_sc_option {
	FL_SC_X_SIZE,
	FL_SC_X_PROT,
	FL_SC_X_FILL,
	FL_SC_X_FROM,
	FL_SC_X_PAGES,
	FL_SC_X_FEATURES,
	FL_SC_X_FIXED,
	FL_SC_X_NOREPLACE,
	FL_SC_X_NORESERVE,
	FL_SC_X_ONFAULT,
	FL_SC_X_DONTUNMAP,
	FL_SC_X_DONTWAKE,
	FL_SC_X_WP,
	FL_SC_X_HOLES,
	FL_SC_X_NONBLOCK,
	FL_SC_X_FATAL,
	FL_SC_X_USER_ONLY,
	FL_SC_X_REGISTER, /* modes and a range */
	/* from here on: only for programs that diff compares */
	FL_SC_X_BYTES,
	FL_SC_X_NEWBYTES,
	FL_SC_X_FLAGS,
	FL_SC_X_API,
	FL_SC_X_CMD,
	FL_SC_X_INTO,
	FL_SC_X_ARG,
	FL_SC_X_HINT_AT,
	FL_SC_X_HINT,
	FL_SC_X_MAYMOVE,
	FL_SC_X_POPULATE,
	FL_SC_X_STACK,
	FL_SC_X_LOCKED,
	FL_SC_X_SHARED,
	FL_SC_OPTIONS
};
#define FL_SC_O(option) (UINT64_C(1) << FL_SC_X_##option)
/* After the arguments: those options of which the row has some, in any order. */
void fl_sc_parse_options(struct fl_sc_parser *p, struct fl_sc_statement *st);

enum fl_sc_gives {
	FL_SC_GIVES_NOTHING,
	FL_SC_GIVES_NUMBER,
	FL_SC_GIVES_MESSAGE
};
#define FL_SC_ROW_SETUP 1u  /* in setup only */
#define FL_SC_ROW_THREAD 2u /* in threads only */
/*
 * One row for each op. What its arguments are, in their order:
 *   L location  R range  U userfaultfd  V value  T thread  C process, declared here  X variable  E condition
 *   A advice    M modes  O on or off    N +N or -N pages   > `to` or pages=    D userfaultfd, declared here   B a block, by hand
 *   P userfaultfd, declared here unless it has been    W which limit, and what it becomes
 */
struct fl_sc_op_row {
	const char *name, *arguments;
	uint64_t options, needs; /* needs: one of them must be there */
	enum fl_sc_gives gives;
	unsigned flags;
	const char *usage, *help;
};
extern const struct fl_sc_op_row fl_sc_op_rows[FL_SC_OPS];

#endif
