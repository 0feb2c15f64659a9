/* SPDX-License-Identifier: MIT */
/*
 * The search against brute force: over small programs, partial-order reduction reaches exactly the final states that there
 * are, by exactly one run of each set of equivalent ones.
 */
#include "search_check.h"

#define ALL (BIT_OF(OP_KINDS) - 1)
#define BIT_OF(kind) ((uint32_t)1 << (kind))

/* Operations in which equivalent runs are those with the same trace: whether one can go depends on nothing else. */
#define MEMORY (BIT_OF(OP_READ) | BIT_OF(OP_WRITE) | BIT_OF(OP_ADD) | BIT_OF(OP_COUNT))
#define MUTEX (BIT_OF(OP_LOCK) | BIT_OF(OP_UNLOCK) | BIT_OF(OP_TRY))
#define LOCKING (BIT_OF(OP_LOCK) | BIT_OF(OP_UNLOCK))
#define PARKING (BIT_OF(OP_PARK) | BIT_OF(OP_UNPARK))
#define GRACE (BIT_OF(OP_BEGIN) | BIT_OF(OP_END) | BIT_OF(OP_CALL))
#define OTHER (BIT_OF(OP_CHOOSE) | BIT_OF(OP_ALSO) | BIT_OF(OP_WIDE) | BIT_OF(OP_YIELD))

static void memory(void **state)
{
	(void)state;
	check_many(false, 500, 2, 4, MEMORY, true, "memory, 2 threads");
	check_many(false, 300, 3, 3, MEMORY, true, "memory, 3 threads");
	check_many(false, 100, 4, 2, MEMORY, true, "memory, 4 threads");
}

static void mutexes(void **state)
{
	(void)state;
	check_many(false, 500, 2, 5, MEMORY | MUTEX, true, "mutexes, 2 threads");
	check_many(false, 250, 3, 4, MEMORY | MUTEX, true, "mutexes, 3 threads");
	check_many(false, 250, 3, 4, MUTEX | BIT_OF(OP_ADD), true, "mutexes alone, 3 threads");
}

static void parking(void **state)
{
	(void)state;
	check_many(false, 500, 2, 5, MEMORY | PARKING, true, "parking, 2 threads");
	check_many(false, 250, 3, 4, MEMORY | PARKING, true, "parking, 3 threads");
	check_many(false, 250, 3, 4, PARKING | BIT_OF(OP_ADD), true, "parking alone, 3 threads");
}

static void other_steps(void **state)
{
	(void)state;
	check_many(false, 500, 2, 4, MEMORY | OTHER, true, "other steps, 2 threads");
	check_many(false, 250, 3, 3, MEMORY | OTHER, true, "other steps, 3 threads");
	check_many(false, 250, 3, 3, MEMORY | MUTEX | PARKING | OTHER, true, "all these, 3 threads");
}

static void waiting(void **state)
{
	(void)state;
	check_many(false, 500, 2, 4, MEMORY | BIT_OF(OP_AWAIT), false, "waiting, 2 threads");
	check_many(false, 250, 3, 4, MEMORY | BIT_OF(OP_AWAIT), false, "waiting, 3 threads");
	check_many(false, 250, 3, 4, BIT_OF(OP_WRITE) | BIT_OF(OP_AWAIT) | BIT_OF(OP_READ), false,
		   "waiting alone, 3 threads");
}

static void grace_periods(void **state)
{
	(void)state;
	check_many(false, 400, 2, 5, MEMORY | GRACE, true, "grace periods, 2 threads");
	check_many(false, 500, 2, 6, GRACE | BIT_OF(OP_ADD), true, "grace periods alone, 2 threads");
	check_many(false, 250, 3, 4, MEMORY | GRACE, false, "grace periods, 3 threads");
	check_many(false, 250, 3, 3, GRACE | BIT_OF(OP_ADD), true, "grace periods alone, 3 threads");
}

static void locks_in_sections(void **state)
{
	(void)state;
	check_many(false, 300, 2, 6, GRACE | MUTEX | BIT_OF(OP_ADD), true, "locks in sections, 2 threads");
	check_many(false, 250, 3, 4, GRACE | MUTEX | BIT_OF(OP_ADD), true, "locks in sections, 3 threads");
	check_many(false, 300, 3, 4, GRACE | LOCKING | BIT_OF(OP_WRITE), true,
		   "locks in sections and writes, 3 threads");
}

static void waiting_in_sections(void **state)
{
	(void)state;
	check_many(false, 200, 2, 6, GRACE | PARKING | BIT_OF(OP_ADD), true, "parking in sections, 2 threads");
	check_many(false, 150, 3, 4, GRACE | PARKING | BIT_OF(OP_ADD), true, "parking in sections, 3 threads");
	check_many(false, 150, 3, 4, GRACE | MEMORY | BIT_OF(OP_AWAIT), false, "waiting in sections, 3 threads");
}

static void everything(void **state)
{
	(void)state;
	check_many(false, 500, 2, 6, ALL, false, "everything, 2 threads");
	check_many(false, 250, 3, 4, ALL, false, "everything, 3 threads");
	check_many(false, 100, 4, 3, ALL, false, "everything, 4 threads");
}

/* Programs of the paper, with how many traces they have. */

/* One writes a variable, n read it, each after a step of its own: each reader is before or after the writer. */
static void readers(void **state)
{
	struct program g = {0};
	struct driver *d;

	(void)state;
	g.op[0][g.n[0]++] = (struct op){OP_WRITE, 0, 1};
	for (unsigned p = 1; p < THREADS; p++) {
		g.op[p][g.n[p]++] = (struct op){OP_YIELD, 0, 0};
		g.op[p][g.n[p]++] = (struct op){OP_READ, 0, 0};
	}
	d = driver_new(&g, (struct fl_search_config){.mode = FL_SEARCH_DPOR});
	drive_all(d);
	assert_int_equal(d->runs, 1 << (THREADS - 1));
	driver_free(d);
}

/* n critical sections of one lock: in each order. */
static void critical_sections(void **state)
{
	struct program g = {0};
	struct driver *d;

	(void)state;
	for (unsigned p = 0; p < THREADS; p++) {
		g.op[p][g.n[p]++] = (struct op){OP_LOCK, 0, 0};
		g.op[p][g.n[p]++] = (struct op){OP_ADD, 0, 1};
		g.op[p][g.n[p]++] = (struct op){OP_ADD, 1, 1};
		g.op[p][g.n[p]++] = (struct op){OP_UNLOCK, 0, 0};
	}
	d = driver_new(&g, (struct fl_search_config){.mode = FL_SEARCH_DPOR});
	drive_all(d);
	assert_int_equal(d->runs, 24);
	driver_free(d);
}

/* Threads that share nothing: one run. */
static void independent_threads(void **state)
{
	struct program g = {0};
	struct driver *d;
	struct fl_search_stats stats;

	(void)state;
	for (unsigned p = 0; p < THREADS; p++)
		for (unsigned i = 0; i < 10; i++)
			g.op[p][g.n[p]++] = (struct op){i % 2 ? OP_ADD : OP_WRITE, (uint8_t)p, 1};
	d = driver_new(&g, (struct fl_search_config){.mode = FL_SEARCH_DPOR});
	drive_all(d);
	fl_search_stats(d->s, &stats);
	assert_int_equal(d->runs, 1);
	assert_int_equal(stats.cut, 0);
	assert_int_equal(stats.steps, 40);
	driver_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory),
		cmocka_unit_test(mutexes),
		cmocka_unit_test(parking),
		cmocka_unit_test(other_steps),
		cmocka_unit_test(waiting),
		cmocka_unit_test(grace_periods),
		cmocka_unit_test(locks_in_sections),
		cmocka_unit_test(waiting_in_sections),
		cmocka_unit_test(everything),
		cmocka_unit_test(readers),
		cmocka_unit_test(critical_sections),
		cmocka_unit_test(independent_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
