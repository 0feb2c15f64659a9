/* SPDX-License-Identifier: MIT */
/*
 * The buddy allocator over bitmaps. Lock: the arena's mutex, held by every caller.
 */
#include "frame/buddy.h"

#define WORD_BITS 32u

static uint32_t words_for(uint32_t bits)
{
	return bits / WORD_BITS + (bits % WORD_BITS != 0);
}

static bool bit_get(const struct fl_bitmap *m, uint32_t i)
{
	return (m->level[0][i / WORD_BITS] >> i % WORD_BITS & 1) != 0;
}

/* Set a bit; each level is told when the word below it stops being zero. */
static void bit_set(struct fl_bitmap *m, uint32_t i)
{
	FL_ASSERT(i < m->bits && !bit_get(m, i));
	m->set++;
	for (unsigned l = 0; l < m->levels; l++, i /= WORD_BITS) {
		uint32_t *word = &m->level[l][i / WORD_BITS];
		uint32_t old = *word;

		*word = old | (uint32_t)1 << i % WORD_BITS;
		if (old)
			return;
	}
}

static void bit_clear(struct fl_bitmap *m, uint32_t i)
{
	FL_ASSERT(i < m->bits && bit_get(m, i));
	m->set--;
	for (unsigned l = 0; l < m->levels; l++, i /= WORD_BITS) {
		uint32_t *word = &m->level[l][i / WORD_BITS];

		*word &= ~((uint32_t)1 << i % WORD_BITS);
		if (*word)
			return;
	}
}

/* The lowest set bit; there is one. */
static uint32_t bit_first(const struct fl_bitmap *m)
{
	uint32_t i = 0;

	FL_ASSERT(m->set > 0);
	for (unsigned l = m->levels; l-- > 0;)
		i = i * WORD_BITS + FL_LOWEST_BIT(m->level[l][i]);
	return i;
}

/* Lay a bitmap of so many bits out at memory; with memory NULL only measure it. Returns the words it takes. */
static size_t lay_out(struct fl_bitmap *m, uint32_t bits, uint32_t *memory)
{
	size_t used = 0;

	m->bits = bits;
	m->levels = 0;
	while (bits) {
		uint32_t words = words_for(bits);

		FL_ASSERT(m->levels < FL_BITMAP_LEVELS);
		m->level[m->levels++] = memory ? memory + used : NULL;
		used += words;
		bits = words > 1 ? words : 0;
	}
	return used;
}

/* Split [first, first + n) into the largest aligned blocks and mark each free; whole in one piece, so no joining. */
static void mark_free(struct fl_buddy *b, fl_pfn first, uint32_t n)
{
	b->nfree += n;
	while (n) {
		unsigned order = first ? FL_LOWEST_BIT(first) : FL_FRAME_MAX_ORDER;

		if (order > FL_FRAME_MAX_ORDER)
			order = FL_FRAME_MAX_ORDER;
		while ((uint32_t)1 << order > n)
			order--;
		bit_set(&b->free[order], first >> order);
		first += (fl_pfn)1 << order;
		n -= (uint32_t)1 << order;
	}
}

int fl_buddy_init(struct fl_buddy *b, uint32_t total)
{
	size_t words = 0;

	for (unsigned order = 0; order <= FL_FRAME_MAX_ORDER; order++)
		words += lay_out(&b->free[order], total >> order, NULL);
	b->memory_size = words * sizeof(uint32_t);
	b->memory = fl_port_alloc(b->memory_size);
	if (!b->memory)
		return -FL_ENOMEM;
	words = 0;
	for (unsigned order = 0; order <= FL_FRAME_MAX_ORDER; order++) {
		b->free[order].set = 0;
		words += lay_out(&b->free[order], total >> order, (uint32_t *)b->memory + words);
	}
	b->total = total;
	b->nfree = 0;
	mark_free(b, 0, total);
	return 0;
}

void fl_buddy_destroy(struct fl_buddy *b)
{
	fl_port_free(b->memory, b->memory_size);
	b->memory = NULL;
}

/* Take the first n frames of the free block of this order at first; the rest stays free. */
static void carve(struct fl_buddy *b, fl_pfn first, unsigned order, uint32_t n)
{
	uint32_t size = (uint32_t)1 << order;

	bit_clear(&b->free[order], first >> order);
	b->nfree -= size;
	mark_free(b, first + n, size - n);
}

fl_pfn fl_buddy_take(struct fl_buddy *b, unsigned order)
{
	for (unsigned o = order; o <= FL_FRAME_MAX_ORDER; o++) {
		fl_pfn first;

		if (!b->free[o].set)
			continue;
		first = bit_first(&b->free[o]) << o;
		carve(b, first, o, (uint32_t)1 << order);
		return first;
	}
	return FL_PFN_NONE;
}

uint32_t fl_buddy_take_lowest(struct fl_buddy *b, uint32_t max, bool whole, fl_pfn *first)
{
	fl_pfn lowest = FL_PFN_NONE;
	unsigned order = 0;
	uint32_t n;

	for (unsigned o = 0; o <= FL_FRAME_MAX_ORDER; o++) {
		fl_pfn pfn;

		if (!b->free[o].set)
			continue;
		pfn = bit_first(&b->free[o]) << o;
		if (pfn < lowest) {
			lowest = pfn;
			order = o;
		}
	}
	if (lowest == FL_PFN_NONE)
		return 0;
	n = (uint32_t)1 << order;
	if (n > max && whole)
		return 0;
	if (n > max)
		n = max;
	carve(b, lowest, order, n);
	*first = lowest;
	return n;
}

/* Free one block, joining it with its buddy as often as that is free. */
static void give_block(struct fl_buddy *b, fl_pfn first, unsigned order)
{
	uint32_t n = (uint32_t)1 << order;

	while (order < FL_FRAME_MAX_ORDER) {
		uint32_t buddy = first >> order ^ 1;

		if (buddy >= b->free[order].bits || !bit_get(&b->free[order], buddy))
			break;
		bit_clear(&b->free[order], buddy);
		order++;
		first &= ~(((fl_pfn)1 << order) - 1);
	}
	bit_set(&b->free[order], first >> order);
	b->nfree += n;
}

void fl_buddy_give(struct fl_buddy *b, fl_pfn first, uint32_t n)
{
	FL_ASSERT(n <= b->total && first <= b->total - n);
	for (; n; n--, first++)
		give_block(b, first, 0);
}

bool fl_buddy_is_free(const struct fl_buddy *b, fl_pfn pfn)
{
	for (unsigned order = 0; order <= FL_FRAME_MAX_ORDER; order++) {
		if (pfn >> order < b->free[order].bits && bit_get(&b->free[order], pfn >> order))
			return true;
	}
	return false;
}

/* The summaries say of each word below whether it is zero. */
static bool summaries_agree(const struct fl_bitmap *m)
{
	uint32_t bits = m->bits;

	for (unsigned l = 0; l + 1 < m->levels; l++) {
		uint32_t words = words_for(bits);

		for (uint32_t i = 0; i < words; i++) {
			bool above = (m->level[l + 1][i / WORD_BITS] >> i % WORD_BITS & 1) != 0;

			if (above != (m->level[l][i] != 0))
				return false;
		}
		bits = words;
	}
	return true;
}

const char *fl_buddy_check(const struct fl_buddy *b)
{
	uint32_t nfree = 0;

	for (unsigned order = 0; order <= FL_FRAME_MAX_ORDER; order++) {
		const struct fl_bitmap *m = &b->free[order];
		uint32_t set = 0;

		if (!summaries_agree(m))
			return "a summary of free blocks is wrong";
		for (uint32_t i = 0; i < m->bits; i++) {
			if (!bit_get(m, i))
				continue;
			set++;
			if (order < FL_FRAME_MAX_ORDER && (i ^ 1) < m->bits && bit_get(m, i ^ 1))
				return "two free buddies were not joined";
			for (unsigned o = order + 1; o <= FL_FRAME_MAX_ORDER; o++) {
				uint32_t above = i >> (o - order);

				if (above < b->free[o].bits && bit_get(&b->free[o], above))
					return "a frame is free twice";
			}
		}
		if (set != m->set)
			return "a count of free blocks is wrong";
		nfree += set << order;
	}
	return nfree == b->nfree ? NULL : "the count of free frames is wrong";
}
