/* SPDX-License-Identifier: MIT */
/*
 * The search against brute force where stores wait in buffers (TSO), and the steps that wait for a buffer to be empty.
 */
#include "search_check.h"

#define PLAIN (BIT_OF(OP_READ) | BIT_OF(OP_WRITE))
#define DRAINING (BIT_OF(OP_ADD) | BIT_OF(OP_SEQ) | BIT_OF(OP_FENCE) | BIT_OF(OP_PAIR))
#define MUTEX (BIT_OF(OP_LOCK) | BIT_OF(OP_UNLOCK) | BIT_OF(OP_TRY))
#define PARKING (BIT_OF(OP_PARK) | BIT_OF(OP_UNPARK))
#define GRACE (BIT_OF(OP_BEGIN) | BIT_OF(OP_END) | BIT_OF(OP_CALL))
#define OTHER (BIT_OF(OP_CHOOSE) | BIT_OF(OP_ALSO) | BIT_OF(OP_WIDE) | BIT_OF(OP_YIELD) | BIT_OF(OP_COUNT))

static void buffers(void **state)
{
	(void)state;
	check_many(true, 500, 2, 4, PLAIN, true, "loads and stores, 2 threads");
	check_many(true, 150, 3, 3, PLAIN, true, "loads and stores, 3 threads");
	check_many(true, 400, 2, 4, PLAIN | DRAINING, true, "draining, 2 threads");
	check_many(true, 200, 3, 3, PLAIN | DRAINING, true, "draining, 3 threads");
}

static void locks(void **state)
{
	(void)state;
	check_many(true, 400, 2, 5, PLAIN | DRAINING | MUTEX, true, "mutexes, 2 threads");
	check_many(true, 200, 3, 3, PLAIN | MUTEX, true, "mutexes, 3 threads");
	check_many(true, 400, 2, 5, PLAIN | DRAINING | PARKING, true, "parking, 2 threads");
	check_many(true, 200, 3, 3, PLAIN | PARKING, true, "parking, 3 threads");
}

static void other_steps(void **state)
{
	(void)state;
	check_many(true, 400, 2, 4, PLAIN | DRAINING | OTHER, true, "other steps, 2 threads");
	check_many(true, 150, 3, 3, PLAIN | DRAINING | OTHER, true, "other steps, 3 threads");
	check_many(true, 500, 2, 5, PLAIN | BIT_OF(OP_AWAIT), false, "waiting, 2 threads");
	check_many(true, 500, 3, 3, PLAIN | BIT_OF(OP_AWAIT), false, "waiting, 3 threads");
}

static void grace_periods(void **state)
{
	(void)state;
	check_many(true, 400, 2, 5, PLAIN | GRACE, true, "grace periods, 2 threads");
	check_many(true, 200, 3, 3, PLAIN | GRACE, true, "grace periods, 3 threads");
	check_many(true, 300, 2, 5, PLAIN | GRACE, false, "grace periods' states, 2 threads");
	check_many(true, 200, 3, 2, PLAIN | BIT_OF(OP_CALL), false, "callbacks, 3 threads");
	check_many(true, 300, 2, 3, BIT_OF(OP_WRITE) | BIT_OF(OP_CALL), false, "callbacks and stores, 2 threads");
}

static void everything(void **state)
{
	(void)state;
	check_many(true, 300, 2, 6, ALL, false, "everything, 2 threads");
	check_many(true, 200, 3, 4, ALL, false, "everything, 3 threads");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers),       cmocka_unit_test(locks),      cmocka_unit_test(other_steps),
		cmocka_unit_test(grace_periods), cmocka_unit_test(everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
