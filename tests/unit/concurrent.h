/* SPDX-License-Identifier: MIT */
/*
 * Bodies that run at the same time, whichever port the test is built for.
 *
 *   body       a function that runs as one thread (threads port) or one fiber (fibers port)
 *   schedule   one way in which the bodies interleave: a number. Under fibers it is the seed
 *              of a pseudo-random picker that is asked at every shared access, so a schedule
 *              that failed can be run again: FL_SCHEDULE=<number> in the environment makes
 *              for_each_schedule run that one alone. Under threads it is a repetition.
 *
 * cmocka's assertions jump, and so may be used only outside bodies. In a body say CHECK.
 *
 * No locks: the state is set before the bodies start.
 */
#ifndef FL_TEST_CONCURRENT_H
#define FL_TEST_CONCURRENT_H

#include <stddef.h>

/* The schedule under way: 0 outside for_each_schedule. */
extern size_t concurrent_schedule;
/* How many calls of run_concurrently this schedule has seen. */
extern size_t concurrent_runs;

/* Run body[i](arg[i]) for all i at the same time; return when all have returned. arg may be NULL. */
void run_concurrently(void (*const body[])(void *), void *const arg[], size_t n);

/* Call fn once for each of the schedules 0 .. count - 1. */
void for_each_schedule(size_t count, void (*fn)(size_t schedule));

/* Let others run. Where the schedule is random this only adds one more point to it. */
void concurrent_yield(void);

/* Let others run for long: long enough under threads for a grace period that nobody holds up. */
void concurrent_linger(void);

/* Say where, in which schedule, and stop the program: a body cannot fail alone. */
_Noreturn void concurrent_fail(const char *file, int line, const char *what);

#define CHECK(e) ((e) ? (void)0 : concurrent_fail(__FILE__, __LINE__, #e))

#endif
