/* SPDX-License-Identifier: MIT */
/*
 * Settings, and what is declared without being a statement: map, place, var.
 *
 * No locks: one thread.
 */
#include "explore/lang/lang.h"
#include "faultline/uapi.h"

static void set_arch(struct fl_sc_parser *p)
{
	p->s->arch = fl_sc_parse_raw(p, "an architecture's name");
}

static void set_geometry(struct fl_sc_parser *p)
{
	static const struct fl_sc_word words[] = {{"small", 0}, {"full", 1}, {NULL, 0}};

	p->s->full_tables = fl_sc_expect_one(p, words, "small or full");
}

static void set_kernel(struct fl_sc_parser *p)
{
	p->s->kernel = fl_sc_parse_raw(p, "a kernel's version, like 6.18");
}

static void set_policy(struct fl_sc_parser *p)
{
	p->s->policy = fl_sc_parse_raw(p, "a policy's name, or none");
}

static void set_frames(struct fl_sc_parser *p)
{
	p->s->frames = (unsigned)fl_sc_expect_number(p, "a number of frames", 1, 4096);
}

static void set_memory(struct fl_sc_parser *p)
{
	static const struct fl_sc_word words[] = {{"sc", FL_EXPLORE_SC}, {"tso", FL_EXPLORE_TSO}, {NULL, 0}};

	p->s->memory = (enum fl_explore_memory)fl_sc_expect_one(p, words, "sc or tso");
}

static void set_bound(struct fl_sc_parser *p)
{
	bool any = false;

	for (;; any = true) {
		if (fl_sc_accept_key(p, "preemptions"))
			p->s->preemptions = (int)fl_sc_expect_number(p, "a number of preemptions", 0, 1000);
		else if (fl_sc_accept_key(p, "schedules"))
			p->s->schedules = fl_sc_expect_number(p, "a number of schedules", 1, UINT64_MAX);
		else if (fl_sc_accept_key(p, "events"))
			p->s->events = (uint32_t)fl_sc_expect_number(p, "a number of events", 100, 100000000);
		else if (any)
			return;
		else
			fl_sc_expected(p, "preemptions=, schedules= or events=");
	}
}

static void set_inject(struct fl_sc_parser *p)
{
	if (!fl_sc_accept_key(p, "alloc"))
		fl_sc_expected(p, "alloc=");
	p->s->alloc_fails = (unsigned)fl_sc_expect_number(p, "a number of allocations", 1, 1000);
}

static void set_engine(struct fl_sc_parser *p)
{
	fl_sc_expect(p, "only", "'only'");
	p->s->engine_only = true;
}

static void set_unprivileged(struct fl_sc_parser *p)
{
	p->s->unprivileged = true;
}

static void set_allow(struct fl_sc_parser *p)
{
	for (;;) {
		p->s->allow |=
			1u << fl_sc_expect_one(p, fl_sc_finding_words,
					       "a finding (deadlock, livelock, lost_wakeup, race, leak, checker)");
		if (!fl_sc_at(p, ","))
			return;
		fl_sc_glue(p);
		fl_sc_next(p);
	}
}

static const struct setting {
	const char *name;
	void (*parse)(struct fl_sc_parser *p);
} settings[] = {
	{"arch", set_arch},
	{"geometry", set_geometry},
	{"kernel", set_kernel},
	{"policy", set_policy},
	{"frames", set_frames},
	{"memory", set_memory},
	{"bound", set_bound},
	{"inject", set_inject},
	{"engine", set_engine},
	{"allow", set_allow},
	{"unprivileged", set_unprivileged},
	{NULL, NULL},
};

void fl_sc_guess_declarations(struct fl_sc_guess *g)
{
	static const char *const words[] = {"map",    "place",     "var",   "uffd",   "thread",
					    "always", "sometimes", "never", "oddity", NULL};

	for (const struct setting *setting = settings; setting->name; setting++)
		fl_sc_guess_word(g, setting->name);
	for (size_t i = 0; words[i]; i++)
		fl_sc_guess_word(g, words[i]);
}

/* Whatever is not a setting ends the settings. */
static bool settings_are_over(const struct fl_scenario *s)
{
	return s->maps || s->uffds || s->variables || s->setups || s->threads || s->properties;
}

bool fl_sc_parse_setting(struct fl_sc_parser *p)
{
	struct fl_sc_token *t = fl_sc_peek(p);
	const struct setting *setting = settings;

	while (setting->name && !fl_sc_token_is(t, setting->name))
		setting++;
	if (!setting->name || fl_sc_followed(p, "="))
		return false;
	if (!p->resolving && settings_are_over(p->s))
		fl_sc_fail(p, t, "`%s` is a setting; settings come first", setting->name);
	/* Each of them once; p->settings has a bit for each row. */
	if (p->settings & 1u << (setting - settings))
		fl_sc_fail(p, t, "`%s` is there twice", setting->name);
	p->settings |= 1u << (setting - settings);
	t->flags |= FL_SC_BEGIN;
	fl_sc_next(p);
	setting->parse(p);
	return true;
}

/* An option of a mapping. False: none of them is next. */
static bool map_option(struct fl_sc_parser *p, struct fl_sc_map *m)
{
	static const struct fl_sc_word kinds[] = {
		{"anon", FL_SC_ANON},
		{"shmem", FL_SC_SHMEM},
		{"hugetlb", FL_SC_HUGETLB},
		{"file", FL_SC_FILE},
		{NULL, 0},
	};
	const struct fl_sc_word *kind = fl_sc_word_find(kinds, fl_sc_peek(p));

	if (fl_sc_accept_key(p, "pages")) {
		m->pages = fl_sc_expect_number(p, "a number of pages", 1, FL_SC_WINDOW);
		return true;
	}
	if (fl_sc_accept_key(p, "at")) {
		m->page = fl_sc_expect_number(p, "a page's number", 0, FL_SC_WINDOW - 1);
		return true;
	}
	if (m->hole)
		return false;
	if (kind) {
		m->memory = (enum fl_sc_memory)kind->value;
		fl_sc_next(p);
		return true;
	}
	if (fl_sc_accept_key(p, "prot")) {
		m->prot = fl_sc_parse_prot(p);
		return true;
	}
	if (fl_sc_accept(p, "shared") || fl_sc_at(p, "private")) {
		m->shared = !fl_sc_accept(p, "private");
		return true;
	}
	if (fl_sc_accept(p, "noreserve"))
		return m->noreserve = true;
	if (fl_sc_accept(p, "stack"))
		return m->stack = true;
	if (fl_sc_accept(p, "locked"))
		return m->locked = true;
	return false;
}

static void no_map_option(struct fl_sc_parser *p, const struct fl_sc_map *m)
{
	static const char *const words[] = {"anon",  "shmem", "hugetlb", "file",      "private", "shared", "pages=",
					    "prot=", "at=",   "stack",   "noreserve", "locked",  NULL};
	const struct fl_sc_token *t = fl_sc_peek(p);
	struct fl_sc_guess guess;
	const char *hint;

	fl_sc_guess_begin(&guess, t);
	for (size_t i = 0; words[i]; i++)
		fl_sc_guess_word(&guess, words[i]);
	hint = fl_sc_guess_end(&guess);
	if (m->hole)
		fl_sc_expected(p, "pages=, at= or the end of the line");
	if (t->kind != FL_SC_T_WORD)
		fl_sc_expected(p, "an option of the mapping or the end of the line");
	fl_sc_fail(
		p, t,
		"expected an option of the mapping (anon, shmem, hugetlb, file, private, shared, pages=, prot=, at=, "
		"noreserve, stack, locked), found '%.*s'%s",
		fl_sc_shown(t), t->text, hint);
}

static bool at_line_end(struct fl_sc_parser *p)
{
	const struct fl_sc_token *t = fl_sc_peek(p);

	return t->kind == FL_SC_T_END || t->kind == FL_SC_T_NEWLINE || fl_sc_token_is(t, ";");
}

/* Its word has been taken; first: where it stands. */
static void parse_map(struct fl_sc_parser *p, size_t first, bool hole)
{
	struct fl_scenario *s = p->s;
	const struct fl_sc_token *t = fl_sc_expect_word(p, "a name for the memory");
	unsigned index = fl_sc_declare(p, t, FL_SC_N_MAP);
	struct fl_sc_map m = {.name = s->map[index].name,
			      .place = t->place,
			      .hole = hole,
			      .page = FL_SC_ANYWHERE,
			      .pages = 1,
			      .prot = FL_PROT_READ | FL_PROT_WRITE};
	struct fl_sc_statement *st;

	while (!at_line_end(p)) {
		if (!map_option(p, &m))
			no_map_option(p, &m);
	}
	if (!p->resolving)
		s->map[index] = m;
	else
		fl_sc_check_map(p, t, index);
	if (hole)
		return;
	fl_sc_check_order(p, &p->token[first]);
	s->setup = fl_sc_grow(p, s->setup, s->setups, sizeof(*s->setup));
	st = &s->setup[s->setups++];
	*st = (struct fl_sc_statement){.op = FL_SC_MAP,
				       .place = p->token[first].place,
				       .text = fl_sc_line(p, first, p->at),
				       .result = -1,
				       .range = {.place = t->place, .map = index, .whole = true},
				       .size = 8,
				       .prot = m.prot};
}

/* var x [= N] */
static void parse_var(struct fl_sc_parser *p)
{
	unsigned index = fl_sc_declare(p, fl_sc_expect_word(p, "a name for the variable"), FL_SC_N_VARIABLE);
	const struct fl_sc_word *word;
	bool minus;

	if (!fl_sc_accept(p, "="))
		return;
	word = fl_sc_word_find(fl_sc_value_words, fl_sc_peek(p));
	if (word) {
		p->s->initial[index] = word->value;
		fl_sc_next(p);
		return;
	}
	minus = fl_sc_accept(p, "-");
	if (minus)
		fl_sc_glue(p);
	p->s->initial[index] = (int64_t)fl_sc_expect_number(p, "a number", 0, minus ? INT64_MAX : UINT64_MAX);
	if (minus)
		p->s->initial[index] = -p->s->initial[index];
}

bool fl_sc_parse_declaration(struct fl_sc_parser *p)
{
	struct fl_sc_token *t = fl_sc_peek(p);
	size_t first = p->at;

	if (fl_sc_followed(p, "=") || !(fl_sc_at(p, "map") || fl_sc_at(p, "place") || fl_sc_at(p, "var")))
		return false;
	t->flags |= FL_SC_BEGIN;
	fl_sc_next(p);
	if (fl_sc_token_is(t, "var"))
		parse_var(p);
	else
		parse_map(p, first, fl_sc_token_is(t, "place"));
	return true;
}
