/* SPDX-License-Identifier: MIT */
/*
 * Random choices: the same for the same seed on every machine.
 *
 * No locks: one thread.
 */
#include "diff/generate/internal.h"

/* splitmix64 */
uint64_t fl_gen_random(struct fl_gen *g)
{
	uint64_t z = g->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

unsigned fl_gen_below(struct fl_gen *g, unsigned n)
{
	return (unsigned)((fl_gen_random(g) >> 32) * n >> 32);
}

bool fl_gen_percent(struct fl_gen *g, unsigned percent)
{
	return fl_gen_below(g, 100) < percent;
}

uint64_t fl_gen_one(struct fl_gen *g, const uint64_t *list, unsigned n)
{
	return list[fl_gen_below(g, n)];
}

unsigned fl_gen_weighted(struct fl_gen *g, const unsigned *weight, unsigned n)
{
	unsigned total = 0, i = 0, at;

	for (unsigned j = 0; j < n; j++)
		total += weight[j];
	at = fl_gen_below(g, total);
	while (at >= weight[i])
		at -= weight[i++];
	return i;
}
