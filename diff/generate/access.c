/* SPDX-License-Identifier: MIT */
/*
 * Accesses of every size at every edge; and system calls with pointers into the memory.
 *
 * No locks: one thread.
 */
#include "diff/generate/internal.h"

#define FETCH_LAST 4080

static const uint64_t sizes[] = {8, 8, 8, 8, 1, 2, 4, 16};

static enum fl_gen_want wanted(struct fl_gen *g)
{
	const unsigned weight[] = {1, 10, 1, 6, 2, fl_gen_about(g, FL_FOCUS_UFFD) ? 7 : 1};
	static const enum fl_gen_want wants[] = {FL_GEN_ANY,    FL_GEN_IS,      FL_GEN_FREE,
						 FL_GEN_FILLED, FL_GEN_SPECIAL, FL_GEN_MISSING};

	return wants[fl_gen_weighted(g, weight, 6)];
}

static unsigned value(struct fl_gen *g)
{
	return 1 + fl_gen_below(g, 0xffff);
}

static void say_size(struct fl_gen *g, uint64_t size)
{
	if (size != 8)
		fl_gen_say(g, " size=%llu", (unsigned long long)size);
}

static bool load(struct fl_gen *g)
{
	uint64_t size = FL_GEN_ONE(g, sizes);
	struct fl_gen_span s = fl_gen_place(g, fl_gen_here(g), wanted(g), (unsigned)size);

	if (!fl_gen_touch(g, &s, false, false))
		return false;
	fl_gen_say(g, "load ");
	fl_gen_say_place(g, &s);
	say_size(g, size);
	return true;
}

static bool store(struct fl_gen *g)
{
	uint64_t size = FL_GEN_ONE(g, sizes);
	struct fl_gen_span s = fl_gen_place(g, fl_gen_here(g), wanted(g), (unsigned)size);

	if (!fl_gen_touch(g, &s, true, false))
		return false;
	fl_gen_say(g, "store ");
	fl_gen_say_place(g, &s);
	fl_gen_say(g, " %#x", value(g));
	say_size(g, size);
	return true;
}

static bool add(struct fl_gen *g)
{
	unsigned size = fl_gen_percent(g, 50) ? 8 : 4;
	struct fl_gen_span s = fl_gen_place(g, fl_gen_here(g), wanted(g), size);

	s.at &= -(int64_t)size;
	if (!fl_gen_touch(g, &s, true, false))
		return false;
	fl_gen_say(g, "add ");
	fl_gen_say_place(g, &s);
	fl_gen_say(g, " %#x", value(g));
	say_size(g, size);
	return true;
}

static bool fetch(struct fl_gen *g)
{
	struct fl_gen_span s = fl_gen_place(g, fl_gen_here(g), wanted(g), 1);

	/* An instruction there must not reach into the next page: that would be another fetch. */
	if (s.at % (int64_t)FL_DIFF_PAGE > FETCH_LAST || s.at < 0)
		s.at &= -(int64_t)FL_DIFF_PAGE;
	if (!fl_gen_touch(g, &s, false, false))
		return false;
	fl_gen_say(g, "fetch ");
	fl_gen_say_place(g, &s);
	return true;
}

static const struct fl_gen_row rows[] = {
	{15, FL_FOCUS_ACCESS, load},
	{17, FL_FOCUS_ACCESS, store},
	{4, FL_FOCUS_ACCESS, add},
	{3, FL_FOCUS_ACCESS, fetch},
};
const struct fl_gen_family fl_gen_accesses = {rows, sizeof(rows) / sizeof(rows[0])};

static bool copyin(struct fl_gen *g)
{
	uint64_t size = FL_GEN_ONE(g, sizes) & 15;
	struct fl_gen_span s = fl_gen_place(g, fl_gen_here(g), wanted(g), size ? (unsigned)size : 8);

	if (!fl_gen_touch(g, &s, false, true))
		return false;
	fl_gen_say(g, "copyin ");
	fl_gen_say_place(g, &s);
	say_size(g, s.bytes);
	return true;
}

static bool copyout(struct fl_gen *g)
{
	uint64_t size = FL_GEN_ONE(g, sizes) & 15;
	struct fl_gen_span s = fl_gen_place(g, fl_gen_here(g), wanted(g), size ? (unsigned)size : 8);

	if (!fl_gen_touch(g, &s, true, true))
		return false;
	fl_gen_say(g, "copyout ");
	fl_gen_say_place(g, &s);
	fl_gen_say(g, " %#x", value(g));
	say_size(g, s.bytes);
	return true;
}

/* A buffer: across pages of different state, from and to any byte. */
static struct fl_gen_span buffer(struct fl_gen *g)
{
	static const uint64_t lengths[] = {0, 1, 8, 100, 4095, 4096, 4097, 8192, 9000, 12288, 16384, 40000};
	struct fl_gen_span s = fl_gen_place(g, fl_gen_here(g), wanted(g), 8);

	s.bytes = FL_GEN_ONE(g, lengths);
	if (fl_gen_percent(g, 30))
		s.at &= -(int64_t)FL_DIFF_PAGE;
	fl_gen_keep_within(g, &s);
	return s;
}

static bool sysread(struct fl_gen *g)
{
	struct fl_gen_span s = buffer(g);

	if (!fl_gen_touch(g, &s, true, true))
		return false;
	fl_gen_say(g, "sysread ");
	fl_gen_say_range(g, &s);
	fl_gen_say(g, " fill=%#x", value(g));
	fl_gen_say_bytes(g, &s);
	return true;
}

static bool syswrite(struct fl_gen *g)
{
	struct fl_gen_span s = buffer(g);

	if (!fl_gen_touch(g, &s, false, true))
		return false;
	fl_gen_say(g, "syswrite ");
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	return true;
}

static const struct fl_gen_row pointer_rows[] = {
	{3, FL_FOCUS_POINTER, copyin},
	{3, FL_FOCUS_POINTER, copyout},
	{4, FL_FOCUS_POINTER, sysread},
	{4, FL_FOCUS_POINTER, syswrite},
};
const struct fl_gen_family fl_gen_pointers = {pointer_rows, sizeof(pointer_rows) / sizeof(pointer_rows[0])};
