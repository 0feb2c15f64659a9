/* SPDX-License-Identifier: MIT */
/*
 * A search by several processes finds what one alone finds; stopped and resumed, too. And what goes wrong in a worker is
 * told.
 */
#include <signal.h>
#include <unistd.h>

#include "search_driver.h"

#include "explore/search/jobs.h"

#define ALL (((uint32_t)1 << OP_KINDS) - 1)
#define NO_CALLS (ALL & ~((uint32_t)1 << OP_CALL))

struct explored {
	struct program g;
	struct set finals, ends;
	uint64_t runs, twice;
	unsigned parts;
	uint64_t stop_after; /* runs of a worker; 0: never */
	bool crash;
};

/* A worker's result: how many runs, and then the final states and traces. */
static void close_part(struct fl_job *job, struct driver *d)
{
	uint64_t *result = calloc(d->finals.n + d->ends.n + 2, sizeof(*result));
	size_t n = 0;

	assert_non_null(result);
	result[n++] = d->runs;
	result[n++] = d->finals.n;
	for (size_t i = 0; i < d->finals.room; i++)
		if (d->finals.at[i])
			result[n++] = d->finals.at[i];
	for (size_t i = 0; i < d->ends.room; i++)
		if (d->ends.at[i])
			result[n++] = d->ends.at[i];
	fl_job_close(job, d->s, result, n * sizeof(*result));
	free(result);
}

static void work(void *arg, struct fl_job *job, const char *state)
{
	struct explored *x = arg;
	struct driver *d = driver_new(&x->g, (struct fl_search_config){.mode = FL_SEARCH_DPOR, .state = state});

	d->traces = true;
	if (!fl_job_open(job, d->s)) {
		fl_job_fail(job, "no memory");
		return;
	}
	if (x->crash)
		raise(SIGKILL);
	while (drive_run(d)) {
		if (x->stop_after && d->runs >= x->stop_after) {
			fl_job_stop(job);
			break;
		}
		if (!fl_job_poll(job, d->s))
			break;
	}
	close_part(job, d);
	driver_free(d);
}

static bool result(void *arg, const void *bytes, size_t n)
{
	struct explored *x = arg;
	const uint64_t *r = bytes;

	x->parts++;
	x->runs += r[0];
	for (size_t i = 2; i < n / sizeof(*r); i++)
		if (!set_add(i < 2 + r[1] ? &x->finals : &x->ends, r[i]) && i >= 2 + r[1])
			x->twice++;
	return true;
}

static int run(struct explored *x, unsigned workers, const char *from, char **state, char **error)
{
	struct fl_jobs_config config = {.workers = workers, .state = from, .arg = x, .work = work, .result = result};

	return fl_jobs_run(&config, state, error);
}

static struct driver *alone(const struct program *g)
{
	struct driver *d = driver_new(g, (struct fl_search_config){.mode = FL_SEARCH_DPOR});

	d->traces = true;
	drive_all(d);
	return d;
}

static void check_same(struct explored *x, struct driver *d)
{
	assert_true(set_same(&x->finals, &d->finals));
	assert_true(set_same(&x->ends, &d->ends));
	assert_int_equal(x->runs, d->runs);
	assert_int_equal(x->twice, 0);
	set_free(&x->finals);
	set_free(&x->ends);
	driver_free(d);
}

static void workers_find_what_one_finds(void **state)
{
	unsigned parts = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 12; seed++) {
		struct explored x = {0};
		char *left, *error;

		draw_program(&x.g, seed, 3, 5, NO_CALLS);
		assert_int_equal(run(&x, 1 + (unsigned)(seed % 4), NULL, &left, &error), 1);
		assert_null(left);
		assert_null(error);
		parts += x.parts;
		check_same(&x, alone(&x.g));
	}
	assert_true(parts > 24);
}

static void stopped_search_is_resumed(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 6; seed++) {
		struct explored x = {.stop_after = 150};
		char *left = NULL, *next, *error;
		int done;

		draw_program(&x.g, seed, 3, 5, NO_CALLS);
		do {
			done = run(&x, 3, left, &next, &error);
			assert_null(error);
			assert_true(done >= 0);
			free(left);
			left = next;
		} while (!done);
		check_same(&x, alone(&x.g));
	}
}

static void dead_worker_is_told(void **state)
{
	struct explored x = {.crash = true};
	char *left, *error;

	(void)state;
	draw_program(&x.g, 2, 3, 5, NO_CALLS);
	assert_int_equal(run(&x, 2, NULL, &left, &error), -1);
	assert_non_null(error);
	assert_non_null(strstr(error, "has died"));
	free(error);
	set_free(&x.finals);
	set_free(&x.ends);
}

static void wrong_state_is_told(void **state)
{
	static const char *const wrong[] = {"faultline-jobs-1 2", "faultline-jobs-1 1 0 9 abc", "faultline-jobs-1"};
	struct explored x = {0};

	(void)state;
	for (size_t i = 0; i < FL_ARRAY_LEN(wrong); i++) {
		char *left, *error;

		assert_int_equal(run(&x, 2, wrong[i], &left, &error), -1);
		assert_non_null(error);
		free(error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_find_what_one_finds),
		cmocka_unit_test(stopped_search_is_resumed),
		cmocka_unit_test(dead_worker_is_told),
		cmocka_unit_test(wrong_state_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
