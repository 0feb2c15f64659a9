/* SPDX-License-Identifier: MIT */
/*
 * The search's other modes, against brute force and against each other; and a search that is saved and resumed, split and
 * merged, at random places.
 */
#include "search_check.h"

/* Saving */

/* The last run ended; the search goes on in a new one. */
static void resume(struct driver *d, struct fl_search_config config)
{
	char *state = fl_search_save(d->s);

	assert_non_null(state);
	fl_search_free(d->s);
	config.state = state;
	d->s = search_of(d->g, config);
	free(state);
}

static void check_resumed(uint64_t seed, struct fl_search_config config)
{
	struct fl_search_stats once, often;
	struct driver *a, *b;
	struct program g;
	uint64_t dice = seed;

	draw_program(&g, seed, seed % 2 ? 2 : 3, 4, ALL);
	g.tso = seed % 2;
	a = driver_new(&g, config);
	b = driver_new(&g, config);
	a->traces = b->traces = true;
	drive_all(a);
	do {
		if (!draw(&dice, 4))
			resume(b, config);
	} while (drive_run(b));
	resume(b, config);
	assert_false(drive_run(b));
	fl_search_stats(a->s, &once);
	fl_search_stats(b->s, &often);
	assert_true(set_same(&a->finals, &b->finals));
	assert_true(set_same(&a->ends, &b->ends));
	assert_int_equal(a->runs, b->runs);
	assert_int_equal(once.runs, often.runs);
	assert_int_equal(once.cut, often.cut);
	assert_int_equal(once.longest, often.longest);
	assert_int_equal(once.choice_points, often.choice_points);
	driver_free(a);
	driver_free(b);
}

static void resumed_search_is_the_same(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 60; seed++)
		check_resumed(seed, (struct fl_search_config){.mode = FL_SEARCH_DPOR});
	for (uint64_t seed = 0; seed < 20; seed++)
		check_resumed(seed, (struct fl_search_config){.mode = FL_SEARCH_BOUNDED, .preemptions = 1});
	check_resumed(1, (struct fl_search_config){.mode = FL_SEARCH_RANDOM, .runs = 100, .seed = 5});
	check_resumed(1, (struct fl_search_config){.mode = FL_SEARCH_PCT, .runs = 100, .preemptions = 2});
}

/* Splitting: a handful of searches, each of a part, that give parts of theirs to free places and merge what comes back. */

#define PLACES 5

struct place {
	struct driver *d; /* NULL: free */
	int giver;
};

static void give(struct place *places, int from, const struct program *g, struct fl_search_config config)
{
	for (int i = 0; i < PLACES; i++) {
		char *part;

		if (places[i].d)
			continue;
		part = fl_search_split(places[from].d->s);
		if (!part)
			return;
		config.state = part;
		places[i].d = driver_new(g, config);
		places[i].d->traces = true;
		places[i].giver = from;
		free(part);
		return;
	}
}

static void gather(struct set *into, const struct set *from, uint64_t *twice)
{
	for (size_t i = 0; i < from->room; i++)
		if (from->at[i] && !set_add(into, from->at[i]))
			++*twice;
}

static void check_split(uint64_t seed, uint32_t kinds, struct fl_search_config config, unsigned *parts)
{
	struct place places[PLACES] = {0};
	struct set finals = {0}, ends = {0};
	uint64_t runs = 0, twice = 0, ignored = 0, dice = seed;
	struct driver *whole;
	struct program g;
	unsigned busy = 1;

	draw_program(&g, seed, seed % 3 ? 3 : 2, 4, kinds);
	g.tso = seed % 3 == 0;
	whole = driver_new(&g, config);
	whole->traces = true;
	drive_all(whole);
	places[0].d = driver_new(&g, config);
	places[0].d->traces = true;
	while (busy) {
		int i = (int)draw(&dice, PLACES);
		struct driver *d = places[i].d;
		struct fl_search_stats stats;
		char *races;

		if (!d)
			continue;
		if (!draw(&dice, 3))
			give(places, i, &g, config);
		if (drive_run(d))
			continue;
		fl_search_stats(d->s, &stats);
		assert_null(stats.error);
		if (stats.parts) {
			resume(d, config); /* that must not lose them */
			continue;
		}
		gather(&finals, &d->finals, &ignored);
		gather(&ends, &d->ends, &twice);
		runs += d->runs;
		twice += d->twice;
		places[i].d = NULL;
		if (i) {
			races = fl_search_races(d->s);
			assert_non_null(races);
			assert_true(fl_search_merge(places[places[i].giver].d->s, races));
			free(races);
			++*parts;
		}
		driver_free(d);
		busy = 0;
		for (int k = 0; k < PLACES; k++)
			busy += places[k].d != NULL;
	}
	assert_true(set_same(&finals, &whole->finals));
	assert_true(set_same(&ends, &whole->ends));
	assert_int_equal(runs, whole->runs);
	if (config.mode == FL_SEARCH_DPOR)
		assert_int_equal(twice, 0);
	set_free(&finals);
	set_free(&ends);
	driver_free(whole);
}

static void parts_make_the_whole(void **state)
{
	unsigned parts = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 150; seed++) {
		check_split(seed, ALL, (struct fl_search_config){.mode = FL_SEARCH_DPOR}, &parts);
		check_split(seed, ALL & ~BIT_OF(OP_CALL), (struct fl_search_config){.mode = FL_SEARCH_DPOR}, &parts);
	}
	for (uint64_t seed = 0; seed < 20; seed++)
		check_split(seed, ALL & ~BIT_OF(OP_CALL),
			    (struct fl_search_config){.mode = FL_SEARCH_BOUNDED, .preemptions = 1}, &parts);
	assert_true(parts > 500);
}

/* Bounds */

/* Without callbacks: where one waits for a section by the order of the run alone, the search counts another preemption. */
static void bounded_search_is_brute_force(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 150; seed++) {
		uint32_t bound = (uint32_t)(seed % 4);
		struct brute b = {.preemptions = bound, .limit = 100000};
		struct program g;
		struct driver *d;

		draw_program(&g, seed, bound < 2 ? 3 : 2, 4, ALL & ~BIT_OF(OP_CALL));
		d = driver_new(&g, (struct fl_search_config){.mode = FL_SEARCH_BOUNDED, .preemptions = bound});
		d->seed = seed + 1;
		assert_true(brute_run(&b, &g));
		drive_all(d);
		if (!set_same(&b.finals, &d->finals)) {
			print_message("seed %llu: %zu and %zu final states\n", (unsigned long long)seed, b.finals.n,
				      d->finals.n);
			print_program(&g);
		}
		assert_true(set_same(&b.finals, &d->finals));
		assert_true(d->most <= bound);
		brute_free(&b);
		driver_free(d);
	}
}

static void large_bound_is_no_bound(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 60; seed++) {
		struct driver *bounded, *full;
		struct program g;

		draw_program(&g, seed, 2, 4, ALL);
		g.tso = seed % 2;
		bounded = driver_new(&g, (struct fl_search_config){.mode = FL_SEARCH_BOUNDED, .preemptions = 100});
		full = driver_new(&g, (struct fl_search_config){.mode = FL_SEARCH_DPOR});
		drive_all(bounded);
		drive_all(full);
		assert_true(set_same(&bounded->finals, &full->finals));
		driver_free(bounded);
		driver_free(full);
	}
}

/* Random runs */

static void check_random(uint64_t seed, struct fl_search_config config)
{
	struct driver *full, *some, *again;
	struct program g;

	draw_program(&g, seed, 2, 3, ALL);
	full = driver_new(&g, (struct fl_search_config){.mode = FL_SEARCH_DPOR});
	some = driver_new(&g, config);
	again = driver_new(&g, config);
	some->traces = again->traces = true;
	drive_all(full);
	drive_all(some);
	drive_all(again);
	assert_int_equal(some->runs, config.runs);
	assert_true(set_is_within(&some->finals, &full->finals));
	assert_true(set_same(&some->ends, &again->ends));
	if (config.mode == FL_SEARCH_RANDOM)
		assert_int_equal(some->finals.n, full->finals.n); /* there are few, and many runs */
	driver_free(full);
	driver_free(some);
	driver_free(again);
}

static void random_runs_are_runs(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 40; seed++) {
		check_random(seed, (struct fl_search_config){.mode = FL_SEARCH_RANDOM, .runs = 2000, .seed = seed});
		check_random(seed, (struct fl_search_config){
					   .mode = FL_SEARCH_PCT, .runs = 200, .seed = seed, .preemptions = 2});
	}
}

/* A bug that needs two preemptions at the right places among many steps: b reads in the middle of a, and a in the middle of b. */
static void pct_finds_what_is_deep(void **state)
{
	struct program g = {0};
	struct driver *d;

	(void)state;
	for (unsigned p = 0; p < 3; p++)
		for (unsigned i = 0; i < 10; i++)
			g.op[p][g.n[p]++] = (struct op){OP_COUNT, 3, 1};
	g.op[0][4] = (struct op){OP_WRITE, 0, 1};
	g.op[0][5] = (struct op){OP_WRITE, 0, 2};
	g.op[1][5] = (struct op){OP_AWAIT, 0, 1};
	d = driver_new(&g, (struct fl_search_config){.mode = FL_SEARCH_PCT, .runs = 2000, .seed = 1, .preemptions = 1});
	drive_all(d);
	assert_true(d->finals.n >= 2);
	driver_free(d);
}

/* Replay */

static void check_replay(const struct program *g, struct driver *d)
{
	char *id = fl_search_schedule(d->s), *again;
	struct driver *r = driver_new(g, (struct fl_search_config){.mode = FL_SEARCH_REPLAY, .replay = id});
	struct fl_search_stats stats;

	assert_true(drive_run(r));
	fl_search_stats(r->s, &stats);
	assert_null(stats.error);
	assert_int_equal(world_hash(&r->at[r->n]), world_hash(&d->at[d->n]));
	again = fl_search_schedule(r->s);
	assert_string_equal(id, again);
	assert_false(drive_run(r));
	driver_free(r);
	free(id);
	free(again);
}

static void replay_repeats_a_run(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct program g;
		struct driver *d;
		uint64_t runs = 0;

		draw_program(&g, seed, 3, 4, ALL);
		d = driver_new(&g, (struct fl_search_config){.mode = FL_SEARCH_DPOR});
		while (drive_run(d))
			if (d->runs > runs) {
				runs = d->runs;
				check_replay(&g, d);
			}
		driver_free(d);
		d = driver_new(&g, (struct fl_search_config){.mode = FL_SEARCH_RANDOM, .runs = 20, .events = 5});
		while (drive_run(d))
			check_replay(&g, d); /* with a fair end */
		driver_free(d);
	}
}

static void replay_says_where_it_cannot_go(void **state)
{
	static const char *const wrong[] = {"b", "a2b9", "a2", "a2.", "a2.x", "z", "a?", "a99999999999"};
	struct program g = {.n = {2, 1}, .op = {{{OP_WRITE, 0, 1}, {OP_WRITE, 0, 2}}, {{OP_AWAIT, 0, 1}}}};

	(void)state;
	for (size_t i = 0; i < FL_ARRAY_LEN(wrong); i++) {
		struct fl_search_config config = {
			.mode = FL_SEARCH_REPLAY, .procs = PROCS, .slots = SLOTS, .replay = wrong[i]};
		const char *error = NULL;
		struct fl_search_stats stats = {0};
		struct driver *d = calloc(1, sizeof(*d));

		assert_non_null(d);
		d->g = &g;
		d->s = fl_search_new(&config, &error);
		if (d->s) {
			drive_run(d);
			fl_search_stats(d->s, &stats);
			error = stats.error;
		}
		if (i == 2) /* b waits for ever then: that is all of it */
			assert_null(error);
		else
			assert_non_null(error);
		driver_free(d);
	}
}

static void lenient_replay_goes_on(void **state)
{
	struct program g = {.n = {2, 1}, .op = {{{OP_WRITE, 0, 1}, {OP_WRITE, 0, 2}}, {{OP_AWAIT, 0, 1}}}};
	struct driver *d = driver_new(
		&g, (struct fl_search_config){.mode = FL_SEARCH_REPLAY, .replay = "b7cab3", .lenient = true});
	char *id;

	(void)state;
	assert_true(drive_run(d));
	id = fl_search_schedule(d->s);
	assert_string_equal(id, "aba");
	free(id);
	driver_free(d);
}

/* Long runs */

static void long_run_ends_fairly(void **state)
{
	struct program g = {0};
	struct driver *d;
	struct fl_search_stats stats;

	(void)state;
	for (unsigned p = 0; p < 2; p++)
		for (unsigned i = 0; i < 12; i++)
			g.op[p][g.n[p]++] = (struct op){OP_YIELD, 0, 0};
	d = driver_new(&g, (struct fl_search_config){.mode = FL_SEARCH_DPOR, .events = 4});
	assert_true(drive_run(d));
	fl_search_stats(d->s, &stats);
	assert_int_equal(stats.over, 1);
	assert_int_equal(stats.longest, 24);
	driver_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resumed_search_is_the_same),    cmocka_unit_test(parts_make_the_whole),
		cmocka_unit_test(bounded_search_is_brute_force), cmocka_unit_test(large_bound_is_no_bound),
		cmocka_unit_test(random_runs_are_runs),          cmocka_unit_test(pct_finds_what_is_deep),
		cmocka_unit_test(replay_repeats_a_run),          cmocka_unit_test(replay_says_where_it_cannot_go),
		cmocka_unit_test(lenient_replay_goes_on),        cmocka_unit_test(long_run_ends_fairly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
