/* SPDX-License-Identifier: MIT */
/*
 * Where the ranges of statements are, and how long.
 *
 * No locks: one thread.
 */
#include "diff/lower/internal.h"

bool fl_lower_has_range(const struct fl_sc_statement *st)
{
	switch (st->op) {
	case FL_SC_MAP:
	case FL_SC_LOAD:
	case FL_SC_STORE:
	case FL_SC_ADD:
	case FL_SC_FETCH:
	case FL_SC_COPYIN:
	case FL_SC_COPYOUT:
	case FL_SC_MMAP:
	case FL_SC_MUNMAP:
	case FL_SC_MPROTECT:
	case FL_SC_MADVISE:
	case FL_SC_MREMAP:
	case FL_SC_MLOCK:
	case FL_SC_MUNLOCK:
	case FL_SC_MINCORE:
	case FL_SC_MSYNC:
	case FL_SC_SYSWRITE:
	case FL_SC_SYSREAD:
	case FL_SC_REGISTER:
	case FL_SC_UNREGISTER:
	case FL_SC_COPY:
	case FL_SC_ZEROPAGE:
	case FL_SC_WAKE:
	case FL_SC_CONTINUE:
	case FL_SC_POISONPAGE:
	case FL_SC_WRITEPROTECT:
	case FL_SC_MOVE:
		return true;
	case FL_SC_UFFD:
		return st->modes != 0;
	default:
		return false;
	}
}

uint64_t fl_lower_bytes(const struct fl_scenario *s, const struct fl_sc_statement *st)
{
	const struct fl_sc_range *r = &st->range;

	switch (st->op) {
	case FL_SC_LOAD:
	case FL_SC_STORE:
	case FL_SC_ADD:
	case FL_SC_COPYIN:
	case FL_SC_COPYOUT:
		return st->size;
	case FL_SC_FETCH:
		return 1;
	case FL_SC_MMAP_ANY:
		return st->has_bytes ? st->bytes : (uint64_t)st->pages * FL_DIFF_PAGE;
	default:
		break;
	}
	if (st->has_bytes)
		return st->bytes;
	if (r->length)
		return r->length;
	if (r->whole && r->base == FL_SC_BASE_MAP)
		return s->map[r->map].pages * FL_DIFF_PAGE;
	return FL_DIFF_PAGE;
}

static bool is_error(int64_t result)
{
	return result < 0 && result > -4096;
}

bool fl_lower_address(const struct fl_scenario *s, const struct fl_sc_range *r, const int64_t *results,
		      uint64_t *address)
{
	switch (r->base) {
	case FL_SC_BASE_MAP:
		*address = FL_DIFF_WINDOW + fl_sc_address(s, r);
		return true;
	case FL_SC_BASE_RESULT:
		if (is_error(results[r->result]))
			return false;
		*address = FL_DIFF_WINDOW + (uint64_t)results[r->result] + r->offset;
		return true;
	case FL_SC_BASE_NUMBER:
		*address = r->offset;
		return true;
	}
	return false;
}

bool fl_lower_range(const struct fl_scenario *s, const struct fl_sc_statement *st, const int64_t *results,
		    uint64_t *address, uint64_t *len)
{
	if (!fl_lower_has_range(st))
		return false;
	*len = fl_lower_bytes(s, st);
	return fl_lower_address(s, &st->range, results, address);
}
