/* SPDX-License-Identifier: MIT */
/*
 * What the driver and its workers share.
 *
 * No locks: atomics, in shared memory.
 */
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "diff/board.h"

static size_t size_of(unsigned slots)
{
	return sizeof(struct fl_board) + slots * sizeof(struct fl_slot);
}

struct fl_board *fl_board_new(unsigned slots)
{
	void *b = mmap(NULL, size_of(slots), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return b == MAP_FAILED ? NULL : b;
}

void fl_board_free(struct fl_board *b, unsigned slots)
{
	if (b)
		munmap(b, size_of(slots));
}

bool fl_board_is_new(struct fl_board *b, const char *signature)
{
	uint64_t hash = fl_diff_hash(signature, strlen(signature)) | 1;

	for (uint64_t i = 0; i < FL_BOARD_KNOWN; i++) {
		uint64_t is = 0;

		if (atomic_compare_exchange_strong(&b->known[(hash / 2 + i) % FL_BOARD_KNOWN], &is, hash))
			return true;
		if (is == hash)
			return false;
	}
	return false;
}

void fl_board_put(char *to, size_t size, const char *text)
{
	size_t n = strnlen(text, size - 1);

	memcpy(to, text, n);
	to[n] = '\0';
}
