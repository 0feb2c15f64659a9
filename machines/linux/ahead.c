/* SPDX-License-Identifier: MIT */
/*
 * Which pages were put there ahead of the program, so that they can be taken back when the program says what only
 * matters then: that it knows the range to be untouched. UFFDIO_REGISTER says so: a page that is there already would
 * never fault, and its reader would see zeros instead of what the handler has for it.
 *
 * A note is a bit, in a block of bits for each 2 MiB. It is kept until it is asked for, also when the page has gone;
 * a page is taken back only if it still holds nothing but zeros. Whether the program has read it, or written zeros,
 * meanwhile, nobody can tell: then it faults once more than in Linux, and gets what the handler gives.
 *
 * No locks: one OS thread.
 */
#include <stdlib.h>
#include <string.h>

#include "linux/host.h"

#define BLOCK_SHIFT 21
#define WORDS (1u << (BLOCK_SHIFT - 12) >> 6)
#define HASH 1024u

struct block {
	fl_va base;
	uint64_t bits[WORDS];
	struct block *next;
};

struct fl_ahead {
	struct block *hash[HASH];
};

static struct block **link_of(struct fl_ahead *a, fl_va va)
{
	struct block **link = &a->hash[va >> BLOCK_SHIFT & (HASH - 1)];

	while (*link && (*link)->base != va >> BLOCK_SHIFT << BLOCK_SHIFT)
		link = &(*link)->next;
	return link;
}

bool fl_ahead_note(struct guest_mm *gm, fl_va va)
{
	unsigned page = (unsigned)(va >> 12) & (WORDS * 64 - 1);
	struct block **link;

	if (!gm->ahead && !(gm->ahead = calloc(1, sizeof(*gm->ahead))))
		return false;
	link = link_of(gm->ahead, va);
	if (!*link) {
		*link = calloc(1, sizeof(**link));
		if (!*link)
			return false;
		(*link)->base = va >> BLOCK_SHIFT << BLOCK_SHIFT;
	}
	(*link)->bits[page / 64] |= 1ull << page % 64;
	return true;
}

void fl_ahead_free(struct fl_ahead *a)
{
	for (unsigned i = 0; a && i < HASH; i++) {
		while (a->hash[i]) {
			struct block *next = a->hash[i]->next;

			free(a->hash[i]);
			a->hash[i] = next;
		}
	}
	free(a);
}

bool fl_ahead_copy(struct guest_mm *to, const struct guest_mm *from)
{
	if (!from->ahead)
		return true;
	to->ahead = calloc(1, sizeof(*to->ahead));
	for (unsigned i = 0; to->ahead && i < HASH; i++) {
		for (const struct block *b = from->ahead->hash[i]; b; b = b->next) {
			struct block *copy = malloc(sizeof(*copy));

			if (!copy)
				return false;
			*copy = *b;
			copy->next = to->ahead->hash[i];
			to->ahead->hash[i] = copy;
		}
	}
	return to->ahead != NULL;
}

static bool holds_zeros(struct guest_mm *gm, fl_va page)
{
	struct fl_translation t;
	const uint64_t *words;

	if (!fl_mm_walk(gm->mm, page, FL_READ, &t))
		return false;
	words = fl_frame_data(gm->g->frames, t.pfn);
	for (unsigned i = 0; i < FL_PAGE / sizeof(*words); i++)
		if (words[i])
			return false;
	return true;
}

void fl_ahead_take_back(struct guest_thread *th, fl_va start, fl_va end)
{
	struct guest_mm *gm = th->mm;

	for (fl_va va = start; gm->ahead && va < end;) {
		struct block *b = *link_of(gm->ahead, va);
		fl_va stop = (va >> BLOCK_SHIFT << BLOCK_SHIFT) + (1ull << BLOCK_SHIFT);

		for (; b && va < stop && va < end; va += FL_PAGE) {
			unsigned page = (unsigned)(va >> 12) & (WORDS * 64 - 1);

			if (!(b->bits[page / 64] & 1ull << page % 64))
				continue;
			b->bits[page / 64] &= ~(1ull << page % 64);
			if (holds_zeros(gm, va))
				(void)fl_madvise(&th->task, va, FL_PAGE, FL_MADV_DONTNEED);
			if (th->dead || th->dying)
				return;
		}
		if (!b)
			va = stop;
	}
}
