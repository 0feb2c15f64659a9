/* SPDX-License-Identifier: MIT */
/*
 * The hash by which pages are compared: fast, as every page of every program is hashed twice. Not against malice.
 *
 * No locks: it has no state.
 */
#include <string.h>

#include "diff/diff.h"

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9fb21c651e98df25ull;
	return h ^ (h >> 32);
}

static uint64_t word_at(const unsigned char *p, size_t n)
{
	uint64_t word = 0;

	memcpy(&word, p, n);
	return word;
}

static bool all_zero(const unsigned char *p, size_t n)
{
	uint64_t some = 0;

	for (; n >= 64; n -= 64, p += 64) {
		for (size_t i = 0; i < 64; i += 8)
			some |= word_at(p + i, 8);
		if (some)
			return false;
	}
	for (; n; n--)
		some |= *p++;
	return !some;
}

uint64_t fl_diff_hash(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint64_t a = 0x243f6a8885a308d3ull ^ n, b = 0x13198a2e03707344ull;

	if (all_zero(p, n))
		return 0;
	/* Two lanes, so that one multiplication need not wait for the other. */
	for (; n >= 16; n -= 16, p += 16) {
		a = mix(a, word_at(p, 8));
		b = mix(b, word_at(p + 8, 8));
	}
	if (n >= 8) {
		a = mix(a, word_at(p, 8));
		n -= 8;
		p += 8;
	}
	if (n)
		b = mix(b, word_at(p, n));
	a = mix(a, b);
	return a ? a : 1;
}
