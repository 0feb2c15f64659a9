/* SPDX-License-Identifier: MIT */
/*
 * The search against brute force: over small programs, partial-order reduction reaches exactly the final states that there
 * are, by exactly one run of each set of equivalent ones.
 */
#include "search_driver.h"

#define ALL (BIT_OF(OP_KINDS) - 1)
#define BIT_OF(kind) ((uint32_t)1 << (kind))

/* Operations in which equivalent runs are those with the same trace: whether one can go depends on nothing else. */
#define MEMORY (BIT_OF(OP_READ) | BIT_OF(OP_WRITE) | BIT_OF(OP_ADD) | BIT_OF(OP_COUNT))
#define MUTEX (BIT_OF(OP_LOCK) | BIT_OF(OP_UNLOCK) | BIT_OF(OP_TRY))
#define PARKING (BIT_OF(OP_PARK) | BIT_OF(OP_UNPARK))
#define GRACE (BIT_OF(OP_BEGIN) | BIT_OF(OP_END) | BIT_OF(OP_CALL))
#define OTHER (BIT_OF(OP_CHOOSE) | BIT_OF(OP_ALSO) | BIT_OF(OP_WIDE) | BIT_OF(OP_YIELD))

static void check_program(const struct program *g, bool exact, const char *what, uint64_t seed)
{
	struct brute b = {.preemptions = UINT32_MAX, .limit = 2500, .traces = exact};
	struct driver *d = driver_new(g, (struct fl_search_config){.mode = FL_SEARCH_DPOR});
	bool right;

	if (!brute_run(&b, g)) {
		brute_free(&b);
		driver_free(d);
		return;
	}
	d->traces = exact;
	d->seed = seed + 1;
	drive_all(d);
	right = set_same(&b.finals, &d->finals) && !d->twice && (!exact || set_same(&b.ends, &d->ends));
	if (!right) {
		print_message(
			"%s, seed %llu: %zu final states and %zu were found; %zu traces and %zu were found in %llu runs\n",
			what, (unsigned long long)seed, b.finals.n, d->finals.n, b.ends.n, d->ends.n,
			(unsigned long long)d->runs);
		print_program(g);
	}
	assert_true(right);
	brute_free(&b);
	driver_free(d);
}

static void check_many(uint64_t seeds, unsigned threads, unsigned ops, uint32_t kinds, bool exact, const char *what)
{
	for (uint64_t seed = 0; seed < seeds; seed++) {
		struct program g;

		draw_program(&g, seed, threads, ops, kinds);
		check_program(&g, exact, what, seed);
	}
}

static void memory(void **state)
{
	(void)state;
	check_many(500, 2, 4, MEMORY, true, "memory, 2 threads");
	check_many(300, 3, 3, MEMORY, true, "memory, 3 threads");
	check_many(100, 4, 2, MEMORY, true, "memory, 4 threads");
}

static void mutexes(void **state)
{
	(void)state;
	check_many(500, 2, 5, MEMORY | MUTEX, true, "mutexes, 2 threads");
	check_many(250, 3, 4, MEMORY | MUTEX, true, "mutexes, 3 threads");
	check_many(250, 3, 4, MUTEX | BIT_OF(OP_ADD), true, "mutexes alone, 3 threads");
}

static void parking(void **state)
{
	(void)state;
	check_many(500, 2, 5, MEMORY | PARKING, true, "parking, 2 threads");
	check_many(250, 3, 4, MEMORY | PARKING, true, "parking, 3 threads");
	check_many(250, 3, 4, PARKING | BIT_OF(OP_ADD), true, "parking alone, 3 threads");
}

static void other_steps(void **state)
{
	(void)state;
	check_many(500, 2, 4, MEMORY | OTHER, true, "other steps, 2 threads");
	check_many(250, 3, 3, MEMORY | OTHER, true, "other steps, 3 threads");
	check_many(250, 3, 3, MEMORY | MUTEX | PARKING | OTHER, true, "all these, 3 threads");
}

static void waiting(void **state)
{
	(void)state;
	check_many(500, 2, 4, MEMORY | BIT_OF(OP_AWAIT), false, "waiting, 2 threads");
	check_many(250, 3, 4, MEMORY | BIT_OF(OP_AWAIT), false, "waiting, 3 threads");
	check_many(250, 3, 4, BIT_OF(OP_WRITE) | BIT_OF(OP_AWAIT) | BIT_OF(OP_READ), false, "waiting alone, 3 threads");
}

static void grace_periods(void **state)
{
	(void)state;
	check_many(500, 2, 5, MEMORY | GRACE, false, "grace periods, 2 threads");
	check_many(500, 2, 6, GRACE | BIT_OF(OP_ADD), false, "grace periods alone, 2 threads");
	check_many(250, 3, 4, MEMORY | GRACE, false, "grace periods, 3 threads");
	check_many(250, 3, 4, GRACE | BIT_OF(OP_ADD), false, "grace periods alone, 3 threads");
}

static void everything(void **state)
{
	(void)state;
	check_many(500, 2, 6, ALL, false, "everything, 2 threads");
	check_many(250, 3, 4, ALL, false, "everything, 3 threads");
	check_many(100, 4, 3, ALL, false, "everything, 4 threads");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory),      cmocka_unit_test(mutexes), cmocka_unit_test(parking),
		cmocka_unit_test(other_steps), cmocka_unit_test(waiting), cmocka_unit_test(grace_periods),
		cmocka_unit_test(everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
