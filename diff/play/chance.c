/* SPDX-License-Identifier: MIT */
/*
 * Which bytes are the scheduler's choice: those that somebody wrote who was woken together with others, and copies of
 * them. Rules allow what memory holds to differ there, and nowhere else. And which translations a processor may not know yet.
 *
 * Kept by address, whoever's memory it is: a fork has them at the same place.
 *
 * No locks: one thread.
 */
#include "diff/lower/internal.h"
#include "diff/play/internal.h"

static bool is_scratch(uint64_t at)
{
	return at >= FL_DIFF_SCRATCH && at < fl_diff_scratch(FL_DIFF_ACTORS);
}

/* When there are too many to remember them, all memory is. */
static void add(struct fl_play_own *o, uint64_t at, uint64_t len)
{
	uint64_t start = at & ~(FL_DIFF_PAGE - 1), end = at + len;

	if (!len || is_scratch(at))
		return;
	end = end < at || end > -FL_DIFF_PAGE ? -FL_DIFF_PAGE : (end + FL_DIFF_PAGE - 1) & ~(FL_DIFF_PAGE - 1);
	for (unsigned i = 0; i < o->chances; i++)
		if (o->chance[i].start <= start && end <= o->chance[i].end)
			return;
	if (o->chances == FL_PLAY_CHANCES) {
		o->chance[0].start = 0;
		o->chance[0].end = UINT64_MAX;
	} else if (start < end) {
		o->chance[o->chances].start = start;
		o->chance[o->chances++].end = end;
	}
}

bool fl_chance_at(const struct fl_play_own *o, uint64_t at, uint64_t len)
{
	uint64_t end = at + len < at ? UINT64_MAX : at + len;

	for (unsigned i = 0; i < o->chances; i++)
		if (at < o->chance[i].end && o->chance[i].start < end)
			return true;
	return false;
}

bool fl_chance_data(const struct fl_call *c, uint64_t *at, uint64_t *len)
{
	const bool copies = c->kind == FL_CALL_SYSCALL &&
			    (c->nr == FL_NR_PREAD64 || c->nr == FL_NR_PWRITE64 || c->nr == FL_NR_READ);

	if (!copies && (c->kind == FL_CALL_SYSCALL || c->kind > FL_CALL_FETCH))
		return false;
	*at = c->arg[copies ? 1 : 0];
	*len = copies ? c->arg[2] : c->size;
	return true;
}

/* What a call on a userfaultfd fills. Of one that is given by number nobody knows. */
static void add_filled(struct fl_play_own *o, const struct fl_play_actor *who)
{
	uint64_t at, len;

	if (who->st->op == FL_SC_IOCTL)
		add(o, 0, UINT64_MAX);
	else if ((who->st->op == FL_SC_COPY || who->st->op == FL_SC_ZEROPAGE) &&
		 fl_lower_range(o->s, who->st, o->results, &at, &len))
		add(o, at, len);
	add(o, who->call[who->at].arg[2], FL_DIFF_OUT);
}

void fl_chance_written(struct fl_play_own *o, const struct fl_play_actor *who)
{
	const struct fl_call *c = &who->call[who->at];
	uint64_t at, len;

	switch (c->kind) {
	case FL_CALL_STORE:
	case FL_CALL_ADD:
		break;
	case FL_CALL_SYSCALL:
		if (c->nr == FL_NR_IOCTL)
			add_filled(o, who);
		else if (c->nr == FL_NR_MINCORE)
			add(o, c->arg[2], c->arg[1] / FL_DIFF_PAGE + 1);
		else if (c->nr == FL_NR_PREAD64 || c->nr == FL_NR_READ)
			break;
		return;
	default:
		return;
	}
	if (fl_chance_data(c, &at, &len))
		add(o, at, len);
}

static void add_copy(struct fl_play_own *o, uint64_t from, uint64_t len, uint64_t to)
{
	const uint64_t end = from + len < from ? UINT64_MAX : from + len;
	const unsigned known = o->chances;

	for (unsigned i = 0; i < known; i++) {
		uint64_t lo = o->chance[i].start > from ? o->chance[i].start : from;
		uint64_t hi = o->chance[i].end < end ? o->chance[i].end : end;

		if (lo < hi)
			add(o, lo - from + to, hi - lo);
	}
}

void fl_chance_follow(struct fl_play_own *o, const struct fl_play_actor *who)
{
	const struct fl_call *c = &who->call[who->at];
	uint64_t at, len, from;

	if (c->kind != FL_CALL_SYSCALL || (!o->chances && !o->stirred))
		return;
	/* Which message it was is not known either. */
	if (c->nr == FL_NR_READ && o->stirred)
		add(o, c->arg[1], c->arg[2]);
	if (!o->chances)
		return;
	if (c->nr == FL_NR_MREMAP && who->state[FL_ENGINE] == FL_ANSWER_DONE) {
		int64_t ret = o->answer[FL_ENGINE][c->actor].ret;

		/* To a fixed place some of several mappings may have moved before it failed. */
		if (ret >= 0 || (c->arg[3] & FL_MREMAP_FIXED))
			add_copy(o, c->arg[0], c->arg[1], ret >= 0 ? (uint64_t)ret : c->arg[4]);
	} else if (c->nr == FL_NR_IOCTL && who->st->op == FL_SC_IOCTL) {
		add(o, 0, UINT64_MAX);
	} else if (c->nr == FL_NR_IOCTL && who->st->op == FL_SC_COPY && who->st->has_other) {
		if (fl_lower_range(o->s, who->st, o->results, &at, &len) &&
		    fl_lower_address(o->s, &who->st->other, o->results, &from))
			add_copy(o, from, len, at);
	}
}

static bool brings_in_for_writing(const struct fl_play_actor *who, const struct fl_call *c)
{
	switch (c->nr) {
	case FL_NR_MLOCK2:
		return true;
	case FL_NR_MADVISE:
		return c->arg[2] == FL_MADV_POPULATE_WRITE;
	case FL_NR_MPROTECT: /* of what is locked and becomes writable */
		return (c->arg[2] & FL_PROT_WRITE) &&
		       (who->kind == FL_DIFF_KIND_LOCKED || who->kind == FL_DIFF_KIND_MIXED ||
			who->kind == FL_DIFF_KIND_GAPS);
	default:
		return false;
	}
}

/*
 * Bringing pages in for writing, where a fork has left them shared and everybody else has made copies since, makes them writable in
 * place. Linux tells no processor: one that knows the old translation faults once more, and finds that all is well.
 */
void fl_chance_remade(struct fl_play_own *o, const struct fl_play_actor *who)
{
	const struct fl_call *c = &who->call[who->at];
	uint64_t pages = c->arg[1] / FL_DIFF_PAGE + 2;

	if (c->kind == FL_CALL_FORK)
		o->forked = true;
	if (!o->forked || c->kind != FL_CALL_SYSCALL)
		return;
	if (c->nr == FL_NR_MLOCKALL)
		pages = FL_DIFF_PAGES;
	else if (!brings_in_for_writing(who, c))
		return;
	o->remade[who->process] += pages < FL_DIFF_PAGES ? pages : FL_DIFF_PAGES;
}
