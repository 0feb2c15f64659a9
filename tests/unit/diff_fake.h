/* SPDX-License-Identifier: MIT */
/*
 * Two sides for plays that say what a test tells them, and checks of what a play makes of it. Includes what the tests include.
 *
 * No locks: one thread.
 */
#ifndef FL_TEST_DIFF_FAKE_H
#define FL_TEST_DIFF_FAKE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff/play/internal.h"
#include "faultline/compiler.h"
#include "faultline/errno.h"
#include "faultline/mm.h"
#include "faultline/uapi.h"

#define W (FL_DIFF_WINDOW + 8 * FL_DIFF_PAGE)
#define PAGE FL_DIFF_PAGE
#define MAIN 0u
#define OTHER 1u
#define SETUP 2u

/* A side that says DONE and 0 to everything, but for what it was told. */
struct fake {
	struct fl_side side; /* first */
	struct {
		unsigned issue, actor; /* after the how manieth call; 0: before the first */
		struct fl_answer answer;
	} said[8];
	unsigned saids;
	unsigned issued, fails_at;
	bool answered[FL_DIFF_ACTORS];
	unsigned issuer;
	enum fl_answer_state state[FL_DIFF_ACTORS];
	enum fl_answer_state expected;
	bool refuses, dead[FL_DIFF_PROCESSES];
	struct fl_seen_map map[4];
	size_t maps;
	unsigned maps_from; /* before this call there are none */
	struct fl_seen_page page[4];
	const struct fl_seen_page *many_pages; /* instead of those */
	size_t pages;
	int64_t unread;
	const char *broken;
	bool begun;
};

static struct fake fake[FL_SIDES];

static int fake_begin(struct fl_side *side, const struct fl_scenario *s, char **error)
{
	struct fake *f = (struct fake *)side;

	(void)s;
	assert_false(f->begun);
	f->begun = !f->refuses;
	f->issued = 0;
	memset(f->state, 0, sizeof(f->state));
	memset(f->answered, 0, sizeof(f->answered));
	if (f->refuses)
		*error = strdup("it has no room");
	return f->refuses ? -1 : 0;
}

static int fake_issue(struct fl_side *side, const struct fl_call *c, enum fl_answer_state expect, char **error)
{
	struct fake *f = (struct fake *)side;

	f->issued++;
	f->issuer = c->actor;
	f->expected = expect;
	memset(f->answered, 0, sizeof(f->answered));
	if (f->issued == f->fails_at)
		*error = strdup("it fell over");
	return f->issued == f->fails_at ? -1 : 0;
}

static void fake_answer(struct fl_side *side, unsigned actor, struct fl_answer *a)
{
	struct fake *f = (struct fake *)side;

	*a = (struct fl_answer){.state = f->state[actor]};
	if (f->answered[actor])
		return;
	f->answered[actor] = true;
	if (f->issued && actor == f->issuer)
		a->state = FL_ANSWER_DONE;
	for (unsigned i = 0; i < f->saids; i++)
		if (f->said[i].issue == f->issued && f->said[i].actor == actor)
			*a = f->said[i].answer;
	f->state[actor] = a->state == FL_ANSWER_DONE ? FL_ANSWER_NONE : a->state;
}

static bool fake_alive(struct fl_side *side, unsigned process)
{
	return !((struct fake *)side)->dead[process];
}

static size_t fake_maps(struct fl_side *side, unsigned process, enum fl_view what, struct fl_seen_map *m, size_t max)
{
	const struct fake *f = (struct fake *)side;

	(void)process;
	(void)what;
	assert_true(max >= f->maps);
	if (f->issued < f->maps_from)
		return 0;
	memcpy(m, f->map, f->maps * sizeof(*m));
	return f->maps;
}

static size_t fake_pages(struct fl_side *side, unsigned process, const struct fl_seen_map *m, size_t maps,
			 struct fl_seen_page *p, size_t max)
{
	const struct fake *f = (struct fake *)side;

	(void)process;
	(void)m;
	(void)maps;
	memcpy(p, f->many_pages ? f->many_pages : f->page, (f->pages < max ? f->pages : max) * sizeof(*p));
	return f->pages;
}

static int64_t fake_unread(struct fl_side *side, unsigned uffd)
{
	(void)uffd;
	return ((struct fake *)side)->unread;
}

static void fake_end(struct fl_side *side)
{
	struct fake *f = (struct fake *)side;

	assert_true(f->begun);
	f->begun = false;
}

static const char *fake_broken(struct fl_side *side)
{
	return ((struct fake *)side)->broken;
}

static const struct fl_side_ops ops[FL_SIDES] = {
	{"engine", fake_begin, fake_issue, fake_answer, fake_alive, fake_maps, fake_pages, fake_unread, fake_end,
	 fake_broken, NULL},
	{"kernel", fake_begin, fake_issue, fake_answer, fake_alive, fake_maps, fake_pages, fake_unread, fake_end,
	 fake_broken, NULL},
};

/* What is not linked: the engine's side, and the coverage. */
static enum fl_diff_kind kind_now = FL_DIFF_KIND_ANON;

enum fl_diff_kind fl_engine_side_kind(struct fl_side *engine, unsigned process, uint64_t address, uint64_t len)
{
	(void)process;
	assert_ptr_equal(engine, &fake[FL_ENGINE]);
	assert_true((address >= FL_DIFF_WINDOW || address < FL_DIFF_PAGE) && len);
	return kind_now;
}

/* Scratch is what the fake stands on. */
bool fl_engine_side_on_ground(const struct fl_side *engine, uint64_t address, uint64_t len)
{
	assert_ptr_equal(engine, &fake[FL_ENGINE]);
	return address < fl_diff_scratch(FL_DIFF_ACTORS) &&
	       (address + len < address || address + len > FL_DIFF_SCRATCH);
}

/* All of memory holds this. */
static uint64_t lies_there[2];

void fl_engine_side_peek(const struct fl_side *engine, unsigned process, uint64_t address, void *to, size_t n)
{
	(void)process;
	(void)address;
	assert_ptr_equal(engine, &fake[FL_ENGINE]);
	assert_int_equal(n, sizeof(lies_there));
	memcpy(to, lies_there, n);
}

static struct {
	unsigned n;
	enum fl_sc_op op;
	enum fl_answer_state state;
} noted;

void fl_cover_note(struct fl_cover *c, enum fl_sc_op op, enum fl_diff_kind kind, const struct fl_answer *a)
{
	assert_non_null(c);
	assert_true(kind < FL_DIFF_KINDS);
	noted.n++;
	noted.op = op;
	noted.state = a->state;
}

static const char text[] = "place W pages=16 at=8\n"
			   "thread main\n"
			   "thread other\n"
			   "main: e1 = mmap W[0:4] prot=rw\n"     /* call 1 */
			   "main: e2 = open U nonblock\n"         /* 2 */
			   "other: r1 = load W[1]+8\n"            /* 3 */
			   "main: e3 = copy U W[1] fill=0x77\n"   /* 4 */
			   "main: e4 = mprotect W[1] prot=0x3\n"; /* 5 */

static struct fl_play *play;
static struct fl_scenario *program;
static struct fl_cover cover;

FL_UNUSED static void load(const char *of)
{
	char *error;

	fl_scenario_free(program);
	program = fl_scenario_parse("t.fl", of, &error);
	if (!program)
		fail_msg("%s", error ? error : "no memory");
}

FL_UNUSED static int setup(void **state)
{
	(void)state;
	memset(fake, 0, sizeof(fake));
	memset(&cover, 0, sizeof(cover));
	memset(&noted, 0, sizeof(noted));
	kind_now = FL_DIFF_KIND_ANON;
	for (unsigned side = 0; side < FL_SIDES; side++)
		fake[side].side.ops = &ops[side];
	play = fl_play_new(&fake[FL_ENGINE].side, &fake[FL_KERNEL].side);
	assert_non_null(play);
	play->rules_count = 0;
	load(text);
	return 0;
}

FL_UNUSED static int teardown(void **state)
{
	(void)state;
	fl_play_free(play);
	fl_scenario_free(program);
	program = NULL;
	return 0;
}

FL_UNUSED static struct fl_answer *say(unsigned side, unsigned issue, unsigned actor, enum fl_answer_state state,
				       int64_t ret)
{
	struct fake *f = &fake[side];

	assert_true(f->saids < 8);
	f->said[f->saids].issue = issue;
	f->said[f->saids].actor = actor;
	f->said[f->saids].answer = (struct fl_answer){.state = state, .ret = ret, .outs = FL_DIFF_OUT};
	return &f->said[f->saids++].answer;
}

FL_UNUSED static void say_both(unsigned issue, unsigned actor, enum fl_answer_state state, int64_t ret)
{
	say(FL_ENGINE, issue, actor, state, ret);
	say(FL_KERNEL, issue, actor, state, ret);
}

FL_UNUSED static void put_word(struct fl_answer *a, unsigned i, uint64_t word)
{
	memcpy(a->out + i * sizeof(word), &word, sizeof(word));
}

FL_UNUSED static void check_run(enum fl_play_verdict verdict)
{
	enum fl_play_verdict found = fl_play_run(play, program);

	assert_int_equal(found, verdict);
	for (unsigned side = 0; side < FL_SIDES; side++)
		assert_false(fake[side].begun);
}

FL_UNUSED static void check_signature(const char *expected)
{
	char *found = fl_play_signature(play, program);

	assert_non_null(found);
	assert_string_equal(found, expected);
	free(found);
}

/* Columns are as wide as what stands in them: two spaces for any number of them. */
FL_UNUSED static void squeeze(char *of)
{
	char *to = of;

	for (const char *from = of; *from; from++)
		if (*from != ' ' || from[1] != ' ' || from[2] != ' ')
			*to++ = *from;
	*to = 0;
}

static char *report(void)
{
	char *found = NULL;
	size_t size;
	FILE *f = open_memstream(&found, &size);

	assert_non_null(f);
	fl_report_play(play, program, f);
	fclose(f);
	return found;
}

FL_UNUSED static void check_layout(const char *expected)
{
	char *found = report();

	assert_string_equal(found, expected);
	free(found);
}

FL_UNUSED static void check_report(const char *expected)
{
	char *wanted = strdup(expected), *found = report();

	assert_non_null(wanted);
	squeeze(found);
	squeeze(wanted);
	assert_string_equal(found, wanted);
	free(wanted);
	free(found);
}

FL_UNUSED static void check_differ(unsigned step, enum fl_fact_field field, const char *signature)
{
	unsigned some = 0;

	check_run(FL_PLAY_DIFFER);
	assert_int_equal(play->step, step);
	for (unsigned side = 0; side < FL_SIDES; side++) {
		if (play->first[side] == SIZE_MAX)
			continue;
		some++;
		assert_int_equal(play->facts[side]->fact[play->first[side]].field, field);
		assert_int_equal(play->facts[side]->fact[play->first[side]].step, step);
	}
	assert_true(some > 0);
	check_signature(signature);
}

FL_UNUSED static void map(unsigned side, uint64_t first, uint64_t end, unsigned prot)
{
	struct fake *f = &fake[side];

	f->map[f->maps++] =
		(struct fl_seen_map){.start = W + first * PAGE, .end = W + end * PAGE, .prot = prot, .vm_flags = prot};
}

FL_UNUSED static void page(unsigned side, uint64_t at, unsigned bits, uint64_t hash)
{
	fake[side].page[fake[side].pages++] =
		(struct fl_seen_page){.address = W + at * PAGE, .bits = bits, .hash = hash};
}

#define PLAY_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
