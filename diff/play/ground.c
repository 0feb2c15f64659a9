/* SPDX-License-Identifier: MIT */
/*
 * Calls that come to the ground: what the process that executes a program on the kernel stands on is not the program's. Calls that
 * would change it, or have it brought in again, are made on neither side.
 *
 * No locks: one thread.
 */
#include "diff/lower/internal.h"
#include "diff/play/internal.h"

#define NEAR (FL_DIFF_WINDOW_PAGES * FL_DIFF_PAGE)
#define USER_END 0x7ffffffff000ull

static bool on_ground(const struct fl_play_own *o, uint64_t at, uint64_t len)
{
	return fl_engine_side_on_ground(o->side[FL_ENGINE], at, len);
}

/* All of a range is meant, behind holes too. What is refused for its arguments does not come so far. */
static bool all_on_ground(const struct fl_play_own *o, uint64_t at, uint64_t len, uint64_t top)
{
	uint64_t whole = (len + FL_DIFF_PAGE - 1) & ~(FL_DIFF_PAGE - 1);

	if (at % FL_DIFF_PAGE || whole < len || at > top || whole > top - at)
		return false;
	return on_ground(o, at, whole);
}

/* It stops at the first hole, so only from near by is it a question. */
static bool next_on_ground(const struct fl_play_own *o, uint64_t at, uint64_t len)
{
	return on_ground(o, at, len < NEAR ? len : NEAR);
}

static bool means_ground(const struct fl_play_own *o, const struct fl_call *c)
{
	switch (c->nr) {
	case FL_NR_MMAP:
		return (c->arg[3] & FL_MAP_FIXED) && all_on_ground(o, c->arg[0], c->arg[1], USER_END);
	case FL_NR_MUNMAP:
		return all_on_ground(o, c->arg[0], c->arg[1], USER_END);
	case FL_NR_MADVISE:
		return all_on_ground(o, c->arg[0], c->arg[1], UINT64_MAX);
	case FL_NR_MREMAP:
		if ((c->arg[3] & FL_MREMAP_FIXED) && all_on_ground(o, c->arg[4], c->arg[2], USER_END))
			return true;
		return next_on_ground(o, c->arg[0], c->arg[1]);
	case FL_NR_MPROTECT:
	case FL_NR_MLOCK2:
	case FL_NR_MUNLOCK:
		return next_on_ground(o, c->arg[0], c->arg[1]);
	default:
		return false;
	}
}

bool fl_ground_is_meant(const struct fl_play_own *o, const struct fl_play_actor *who)
{
	uint64_t at, len;

	for (unsigned i = 0; i < who->calls; i++)
		if (who->call[i].kind == FL_CALL_SYSCALL && means_ground(o, &who->call[i]))
			return true;
	return (who->st->op == FL_SC_REGISTER || who->st->op == FL_SC_UNREGISTER) &&
	       fl_lower_range(o->s, who->st, o->results, &at, &len) && all_on_ground(o, at, len, USER_END);
}

/*
 * A structure in the memory under test says the range, and it may be any: whether it could be written there before, and what lay
 * there, is known only now.
 */
bool fl_ground_comes(const struct fl_play_own *o, const struct fl_play_actor *who)
{
	const struct fl_call *c = &who->call[who->at];
	struct fl_uffdio_range r;

	if (c->kind != FL_CALL_SYSCALL || c->nr != FL_NR_IOCTL ||
	    (c->arg[1] != FL_UFFDIO_REGISTER && c->arg[1] != FL_UFFDIO_UNREGISTER) || on_ground(o, c->arg[2], 1))
		return false;
	fl_engine_side_peek(o->side[FL_ENGINE], who->process, c->arg[2], &r, sizeof(r));
	return all_on_ground(o, r.start, r.len, USER_END);
}
