/* SPDX-License-Identifier: MIT */
/*
 * Where the time of `faultline diff` goes: random programs, played in this process, with a clock around each call of a side.
 *
 *   fiber_diff [PROGRAMS [SEED]]    prints one line: programs per second, then microseconds per program in generating,
 *                                   reading, the engine, the kernel, and comparing
 *
 * No locks: one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "diff/generate.h"
#include "diff/player.h"

enum part {
	GENERATE,
	READ,
	ENGINE,
	KERNEL,
	PARTS
};

static double spent[PARTS];
static const struct fl_side_ops *real[PARTS];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* The same operations of either side, with a clock around them. */
#define TIMED(PART, name)                                                                                            \
	static int name##_begin(struct fl_side *side, const struct fl_scenario *s, char **error)                     \
	{                                                                                                            \
		double start = now();                                                                                \
		int err = real[PART]->begin(side, s, error);                                                         \
                                                                                                                     \
		spent[PART] += now() - start;                                                                        \
		return err;                                                                                          \
	}                                                                                                            \
	static int name##_issue(struct fl_side *side, const struct fl_call *c, enum fl_answer_state expect,          \
				char **error)                                                                        \
	{                                                                                                            \
		double start = now();                                                                                \
		int err = real[PART]->issue(side, c, expect, error);                                                 \
                                                                                                                     \
		spent[PART] += now() - start;                                                                        \
		return err;                                                                                          \
	}                                                                                                            \
	static size_t name##_maps(struct fl_side *side, unsigned process, enum fl_view what, struct fl_seen_map *m,  \
				  size_t max)                                                                        \
	{                                                                                                            \
		double start = now();                                                                                \
		size_t n = real[PART]->maps(side, process, what, m, max);                                            \
                                                                                                                     \
		spent[PART] += now() - start;                                                                        \
		return n;                                                                                            \
	}                                                                                                            \
	static size_t name##_pages(struct fl_side *side, unsigned process, const struct fl_seen_map *m, size_t maps, \
				   struct fl_seen_page *p, size_t max)                                               \
	{                                                                                                            \
		double start = now();                                                                                \
		size_t n = real[PART]->pages(side, process, m, maps, p, max);                                        \
                                                                                                                     \
		spent[PART] += now() - start;                                                                        \
		return n;                                                                                            \
	}                                                                                                            \
	static void name##_end(struct fl_side *side)                                                                 \
	{                                                                                                            \
		double start = now();                                                                                \
                                                                                                                     \
		real[PART]->end(side);                                                                               \
		spent[PART] += now() - start;                                                                        \
	}                                                                                                            \
	static void name##_watch(struct fl_side *side)                                                               \
	{                                                                                                            \
		static struct fl_side_ops ops;                                                                       \
                                                                                                                     \
		real[PART] = side->ops;                                                                              \
		ops = *side->ops;                                                                                    \
		ops.begin = name##_begin;                                                                            \
		ops.issue = name##_issue;                                                                            \
		ops.maps = name##_maps;                                                                              \
		ops.pages = name##_pages;                                                                            \
		ops.end = name##_end;                                                                                \
		side->ops = &ops;                                                                                    \
	}
TIMED(ENGINE, engine)
TIMED(KERNEL, kernel)

static int cannot(const char *why)
{
	fprintf(stderr, "fiber_diff: %s\n", why ? why : "out of memory");
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long programs = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000,
		      seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	struct fl_generate_options options = {0};
	struct fl_scenario *s;
	struct fl_pair *pair;
	double begin, start, all, rest;
	char *error = NULL, *text;

	fl_host_side_settle(argv);
	pair = fl_pair_new(&error);
	if (!pair)
		return cannot(error);
	options.root = pair->ground.root;
	engine_watch(pair->engine);
	kernel_watch(pair->host);
	begin = now();
	for (unsigned long i = 0; i < programs; i++) {
		start = now();
		text = fl_generate(seed + i, &options);
		if (!text)
			return cannot(NULL);
		spent[GENERATE] += now() - start;
		start = now();
		s = fl_scenario_parse("program", text, &error);
		if (!s)
			return cannot(error);
		spent[READ] += now() - start;
		if (fl_play_run(pair->play, s) == FL_PLAY_BROKEN)
			return cannot(pair->play->text);
		fl_scenario_free(s);
		free(text);
	}
	all = now() - begin;
	rest = all;
	printf("%.0f", (double)programs / all * 1e6);
	for (unsigned i = 0; i < PARTS; i++) {
		printf(" %.1f", spent[i] / (double)programs);
		rest -= spent[i];
	}
	printf(" %.1f\n", rest / (double)programs);
	fl_pair_free(pair);
	return 0;
}
