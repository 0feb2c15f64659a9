/* SPDX-License-Identifier: MIT */
/*
 * What only `faultline diff` runs: the explorer and its comparison with the kernel refuse it, in the same words.
 *
 * No locks: one thread.
 */
#include "explore/lang/lang.h"
#include "faultline/uapi.h"

#define PROT_ALL (FL_PROT_READ | FL_PROT_WRITE | FL_PROT_EXEC)
#define MODES_ALL \
	((uint64_t)(FL_UFFDIO_REGISTER_MODE_MISSING | FL_UFFDIO_REGISTER_MODE_WP | FL_UFFDIO_REGISTER_MODE_MINOR))

static const char *odd_base(const struct fl_sc_range *range)
{
	return range->base == FL_SC_BASE_RESULT   ? "a place that a result names"
	       : range->base == FL_SC_BASE_NUMBER ? "a place that is a number"
						  : NULL;
}

static bool is_advice(int advice)
{
	const struct fl_sc_word *w = fl_sc_advice_words;

	while (w->name && w->value != advice)
		w++;
	return w->name;
}

static const char *odd_access(const struct fl_sc_statement *st)
{
	if (!(fl_sc_op_rows[st->op].options & FL_SC_O(SIZE)))
		return NULL;
	if (st->size > 8)
		return "`size=16`";
	return st->range.offset % FL_SC_PAGE + st->size > FL_SC_PAGE ? "an access that lies in two pages" : NULL;
}

static const char *odd_number(const struct fl_sc_statement *st)
{
	if (st->prot & ~PROT_ALL)
		return "a `prot=` with other bits than r, w and x";
	if (st->op == FL_SC_MADVISE && !is_advice(st->advice))
		return "advice without a name";
	if (st->op == FL_SC_REGISTER && (!st->modes || st->modes & ~MODES_ALL))
		return "a `modes=` with other bits than missing, wp and minor";
	return odd_access(st);
}

static const char *odd_option(const struct fl_sc_statement *st)
{
	const struct {
		bool is;
		const char *name;
	} options[] = {
		{st->has_bytes, "`bytes=`"}, {st->has_newbytes, "`newbytes=`"}, {st->has_flags, "`flags=`"},
		{st->hint, "`hint`"},        {st->maymove, "`maymove`"},        {st->populate, "`populate`"},
		{st->stack, "`stack`"},      {st->locked, "`locked`"},          {st->shared, "`shared`"},
	};

	if (st->has_into)
		return fl_sc_op_rows[st->op].options & FL_SC_O(ARG) ? "`arg=`" : "`into=`";
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (options[i].is)
			return options[i].name;
	}
	return NULL;
}

static const char *odd_op(enum fl_sc_op op)
{
	static const char *const names[FL_SC_OPS] = {
		[FL_SC_MMAP_ANY] = "`mmap any`",     [FL_SC_MSYNC] = "`msync`",       [FL_SC_MLOCKALL] = "`mlockall`",
		[FL_SC_MUNLOCKALL] = "`munlockall`", [FL_SC_SYSWRITE] = "`syswrite`", [FL_SC_SYSREAD] = "`sysread`",
		[FL_SC_LIMIT] = "`limit`",           [FL_SC_OPEN] = "`open`",         [FL_SC_API] = "`api`",
		[FL_SC_IOCTL] = "`ioctl`",
	};

	return names[op];
}

static const char *odd_statement(const struct fl_sc_statement *st, struct fl_place *place)
{
	const char *what = odd_op(st->op);

	*place = st->place;
	if (!what)
		what = odd_option(st);
	if (!what)
		what = odd_number(st);
	if (what)
		return what;
	what = odd_base(&st->range);
	*place = st->range.place;
	if (!what) {
		what = odd_base(&st->other);
		*place = st->other.place;
	}
	return what;
}

static const char *odd_list(const struct fl_sc_statement *st, size_t n, struct fl_place *place)
{
	for (size_t i = 0; i < n; i++) {
		const char *what = odd_statement(&st[i], place);

		if (!what)
			what = odd_list(st[i].body, st[i].bodies, place);
		if (!what)
			what = odd_list(st[i].orelse, st[i].orelses, place);
		if (what)
			return what;
	}
	return NULL;
}

const char *fl_sc_only_diff(const struct fl_scenario *s, struct fl_place *place)
{
	const char *what;

	*place = (struct fl_place){0, 0};
	if (s->unprivileged)
		return "`unprivileged`";
	what = odd_list(s->setup, s->setups, place);
	for (size_t i = 0; !what && i < s->threads; i++)
		what = odd_list(s->thread[i].body, s->thread[i].bodies, place);
	return what;
}
