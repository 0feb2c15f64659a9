/* SPDX-License-Identifier: MIT */
/*
 * Statements about userfaultfds: their making and their end, registering, messages, and ioctls that do not exist.
 *
 * Modes, features, events and ioctls that the engine does not have yet are left out; the table of coverage says which.
 *
 * No locks: one thread.
 */
#include "diff/generate/internal.h"
#include "diff/generate/uffd.h"

static const char *const names[FL_GEN_UFFDS] = {"U", "V", "Q"};

const char *fl_gen_uffd_name(unsigned uffd)
{
	return names[uffd];
}

unsigned fl_gen_choose_uffd(struct fl_gen *g)
{
	unsigned i = fl_gen_below(g, FL_GEN_UFFDS);

	/* Mostly one that is open; now and then one that is closed, or was never opened. */
	for (unsigned n = 0; n < FL_GEN_UFFDS && !(g->uffd[i].open && g->uffd[i].ready); n++)
		i = (i + 1) % FL_GEN_UFFDS;
	if (!g->uffd[i].open && fl_gen_percent(g, 75))
		return FL_GEN_UFFDS;
	if (fl_gen_percent(g, 3))
		i = fl_gen_below(g, FL_GEN_UFFDS);
	g->uffd[i].named = true;
	return i;
}

/* Where the structure of an ioctl lies, if not where it does no harm. False: that would make the thread wait for ever. */
bool fl_gen_say_structure(struct fl_gen *g)
{
	struct fl_gen_span at;

	if (!fl_gen_percent(g, 6))
		return true;
	at = fl_gen_place(g, fl_gen_here(g), fl_gen_percent(g, 70) ? FL_GEN_IS : FL_GEN_ANY, 40);
	if (!fl_gen_touch(g, &at, true, true))
		return false;
	fl_gen_say(g, " arg=");
	fl_gen_say_place(g, &at);
	return true;
}

static bool open_one(struct fl_gen *g)
{
	static const uint64_t flags[] = {2, 4, 0x800, 0x80000, 0x80001, 0x1000, 0x80000000};
	unsigned i = fl_gen_below(g, fl_gen_percent(g, 80) ? 2 : FL_GEN_UFFDS);
	struct fl_gen_uffd *u = &g->uffd[i];

	if (u->open)
		return false;
	*u = (struct fl_gen_uffd){.named = true, .opened = true, .process = fl_gen_here(g)};
	fl_gen_say(g, "open %s", names[i]);
	u->nonblock = fl_gen_percent(g, 75);
	u->user_only = fl_gen_percent(g, g->privileged ? 15 : 85);
	if (u->nonblock)
		fl_gen_say(g, " nonblock");
	if (u->user_only)
		fl_gen_say(g, " user_only");
	u->open = g->privileged || u->user_only;
	if (fl_gen_percent(g, g->edge / 8)) {
		fl_gen_say(g, " flags=%#llx", (unsigned long long)FL_GEN_ONE(g, flags));
		u->open = false;
	}
	return true;
}

static bool handshake(struct fl_gen *g)
{
	static const char *const features[] = {"thread_id", "exact_address", "sigbus", "thread_id,exact_address",
					       "sigbus,exact_address"};
	/* Bits that do not exist. */
	static const uint64_t odd[] = {1ull << 17, 1ull << 20, 1ull << 31, 1ull << 32, 1ull << 63, 0x980 | 1ull << 24};
	static const uint64_t apis[] = {0, 0xa9, 0xab, 0x1aa, 1ull << 63 | 0xaa};
	unsigned i = fl_gen_below(g, FL_GEN_UFFDS);
	struct fl_gen_uffd *u;
	bool fine = true;

	/* Mostly one that has had none. */
	for (unsigned n = 0; n < FL_GEN_UFFDS && !(g->uffd[i].open && !g->uffd[i].ready); n++)
		i = (i + 1) % FL_GEN_UFFDS;
	u = &g->uffd[i];
	if ((!u->open || u->ready) && fl_gen_percent(g, 90))
		return false;
	u->named = true;
	fl_gen_say(g, "api %s", names[i]);
	if (fl_gen_percent(g, g->edge / 6)) {
		fl_gen_say(g, " features=%#llx", (unsigned long long)FL_GEN_ONE(g, odd));
		fine = false;
	} else if (fl_gen_percent(g, 60)) {
		const char *const word = FL_GEN_WORD(g, features);

		fl_gen_say(g, " features=%s", word);
		u->sigbus |= !u->ready && word[0] == 's';
		u->thread_id |= word[0] == 't';
	}
	if (fl_gen_percent(g, g->edge / 8)) {
		fl_gen_say(g, " api=%#llx", (unsigned long long)FL_GEN_ONE(g, apis));
		fine = false;
	}
	u->ready |= fine;
	return fl_gen_say_structure(g);
}

static bool watch(struct fl_gen *g)
{
	static const uint64_t modes[] = {0, 8, 9, 0x11, 1ull << 32, 1ull << 63 | 1};
	unsigned i = fl_gen_choose_uffd(g), process;
	struct fl_gen_span s;
	bool odd = fl_gen_percent(g, g->edge / 8);

	if (i == FL_GEN_UFFDS)
		return false;
	process = g->uffd[i].process;
	s = fl_gen_span(g, process, fl_gen_percent(g, 90) ? FL_GEN_IS : FL_GEN_ANY,
			fl_gen_percent(g, 60) ? FL_GEN_SPOIL_ALL : FL_GEN_SPOIL_NOT);
	fl_gen_say(g, "register %s ", names[i]);
	if (odd)
		fl_gen_say(g, "modes=%#llx ", (unsigned long long)FL_GEN_ONE(g, modes));
	else
		fl_gen_say(g, "missing ");
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	if (!odd && g->uffd[i].ready)
		fl_gen_change(g, process, &s, FL_GEN_UFFD, (i + 1) << FL_GEN_UFFD_SHIFT);
	return fl_gen_say_structure(g);
}

static bool unwatch(struct fl_gen *g)
{
	unsigned i = fl_gen_choose_uffd(g), process;
	struct fl_gen_span s;

	if (i == FL_GEN_UFFDS)
		return false;
	process = g->uffd[i].process;
	s = fl_gen_span(g, process, fl_gen_percent(g, 75) ? FL_GEN_WATCHED : FL_GEN_ANY, FL_GEN_SPOIL_ALL);
	fl_gen_say(g, "unregister %s ", names[i]);
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	fl_gen_change(g, process, &s, FL_GEN_UFFD, 0);
	fl_gen_wake(g, process, &s, i);
	return fl_gen_say_structure(g);
}

/* A reader of one that blocks sleeps until there is a message. */
static bool read_one(struct fl_gen *g)
{
	/* A message has 32 bytes. */
	static const uint64_t lengths[] = {0, 1, 31, 33, 63, 64, 96, 100, 320, 512};
	unsigned i = fl_gen_choose_uffd(g);
	struct fl_gen_thread *t = &g->thread[g->self];
	struct fl_gen_span into;
	struct fl_gen_uffd *u;

	if (i == FL_GEN_UFFDS)
		return false;
	u = &g->uffd[i];
	if (u->open && u->ready && !u->nonblock && !u->messages) {
		if (fl_gen_awake(g) < 2 || fl_gen_percent(g, 70))
			return false;
		t->asleep = true;
		t->in_kernel = false; /* a signal wakes it */
		t->area = FL_GEN_AREAS;
		t->uffd = i;
	}
	u->messages -= u->messages != 0;
	fl_gen_say(g, "m%u = read %s", ++g->messages, names[i]);
	if (fl_gen_percent(g, 30))
		fl_gen_say(g, " bytes=%llu", (unsigned long long)FL_GEN_ONE(g, lengths));
	/* Whose fault it was is a number of each side's own: it must not lie in the memory. */
	if (!fl_gen_percent(g, 12) || t->asleep || u->thread_id)
		return true;
	into = fl_gen_place(g, fl_gen_here(g), FL_GEN_ANY, FL_DIFF_OUT);
	if (!fl_gen_touch(g, &into, true, true))
		return false;
	fl_gen_say(g, " into=");
	fl_gen_say_place(g, &into);
	return true;
}

static bool poll_one(struct fl_gen *g)
{
	unsigned i = fl_gen_below(g, FL_GEN_UFFDS);

	if (!g->uffd[i].named)
		return false;
	fl_gen_say(g, "poll %s", names[i]);
	return true;
}

/* Who waits goes on, and nothing is watched any more. */
static bool close_one(struct fl_gen *g)
{
	unsigned i = fl_gen_choose_uffd(g);

	if (i == FL_GEN_UFFDS)
		return false;
	fl_gen_say(g, "close %s", names[i]);
	if (!g->uffd[i].open)
		return true;
	g->uffd[i].open = g->uffd[i].ready = false;
	for (unsigned a = 0; a < g->areas; a++) {
		for (int p = 0; p < g->area[a].pages; p++) {
			uint16_t *page = &g->process[g->uffd[i].process].page[a][p];

			if ((*page & FL_GEN_UFFD) >> FL_GEN_UFFD_SHIFT == i + 1)
				*page &= (uint16_t)~FL_GEN_UFFD;
		}
	}
	for (unsigned t = 0; t < g->threads; t++)
		g->thread[t].asleep &= g->thread[t].uffd != i || g->thread[t].area == FL_GEN_AREAS;
	return true;
}

/* Numbers next to those that there are; the right ones with whatever lies in the memory. */
static bool control(struct fl_gen *g)
{
	static const uint64_t numbers[] = {0,          0xaa,       0xaa3f,     0xc018aa3e, 0xc018aa40,  0xc020aa3f,
					   0x8010aa00, 0xc028aa09, 0xc010aa03, 0xffffffff, 0x1c018aa3f, 0x4010aa02,
					   0xc018aa3f, 0xc020aa00, 0x8010aa01, 0x8010aa02, 0xc028aa03,  0xc020aa04};
	unsigned i = fl_gen_choose_uffd(g);

	if (i == FL_GEN_UFFDS)
		return false;
	fl_gen_say(g, "ioctl %s cmd=%#llx", names[i], (unsigned long long)FL_GEN_ONE(g, numbers));
	return fl_gen_say_structure(g);
}

/* The right number, with a structure that the program has made itself. */
static bool control_made(struct fl_gen *g)
{
	static const uint64_t numbers[] = {0x8010aa01, 0x8010aa02, 0xc020aa00, 0xc020aa04};
	struct fl_gen_span at = {.bytes = 8}, s;
	unsigned i = fl_gen_choose_uffd(g), here = fl_gen_here(g);
	uint64_t number = FL_GEN_ONE(g, numbers);
	int page;

	if (i == FL_GEN_UFFDS || !fl_gen_find(g, here, FL_GEN_FILLED, &at.area, &page) || g->area[at.area].result)
		return false;
	s = fl_gen_span(g, g->uffd[i].process, FL_GEN_WATCHED, FL_GEN_SPOIL_NOT);
	if (g->area[s.area].result)
		return false;
	at.at = page * (int64_t)FL_DIFF_PAGE;
	/* start, length, mode */
	for (unsigned word = 0; word < 3; word++, at.at += 8) {
		const struct fl_gen_area *a = &g->area[s.area];
		uint64_t values[] = {FL_DIFF_WINDOW + a->at * FL_DIFF_PAGE + (uint64_t)(a->bias + s.at), s.bytes,
				     number == 0xc020aa00 ? 1 : fl_gen_below(g, 2)};

		fl_gen_say(g, "store ");
		fl_gen_say_place(g, &at);
		fl_gen_say(g, " %#llx", (unsigned long long)values[word]);
		fl_gen_say_next(g);
	}
	at.at -= 24;
	fl_gen_say(g, "ioctl %s cmd=%#llx arg=", names[i], (unsigned long long)number);
	fl_gen_say_place(g, &at);
	return true;
}

/* A process makes one of its own and goes; others keep the descriptor. */
static bool orphan(struct fl_gen *g)
{
	unsigned i = fl_gen_below(g, FL_GEN_UFFDS), here = fl_gen_here(g);
	struct fl_gen_span s;

	if (!here || g->uffd[i].open || fl_gen_awake(g) < 2)
		return false;
	s = fl_gen_span(g, here, FL_GEN_IS, FL_GEN_SPOIL_NOT);
	g->uffd[i] = (struct fl_gen_uffd){.named = true,
					  .opened = true,
					  .open = true,
					  .ready = true,
					  .nonblock = true,
					  .user_only = !g->privileged,
					  .process = here};
	fl_gen_say(g, "open %s nonblock%s", names[i], g->privileged ? "" : " user_only");
	fl_gen_say_next(g);
	fl_gen_say(g, "api %s", names[i]);
	fl_gen_say_next(g);
	fl_gen_say(g, "register %s missing ", names[i]);
	fl_gen_say_range(g, &s);
	fl_gen_say_bytes(g, &s);
	fl_gen_change(g, here, &s, FL_GEN_UFFD, (i + 1) << FL_GEN_UFFD_SHIFT);
	if (fl_gen_percent(g, 40))
		return true;
	fl_gen_say_next(g);
	fl_gen_say(g, "exit");
	g->thread[g->self].gone = true;
	return true;
}

/* One sleeps in what is unmapped then, another beside it; then nothing around them is watched any more. */
static bool unwatch_holes(struct fl_gen *g)
{
	const int pages = 3 + (int)fl_gen_below(g, 5);
	unsigned i = fl_gen_choose_uffd(g), self = g->self, here = fl_gen_here(g), other;
	struct fl_gen_span all = {.bytes = fl_gen_bytes(pages)}, hole = {.bytes = FL_DIFF_PAGE}, at;

	if (i == FL_GEN_UFFDS || !g->uffd[i].open || !g->uffd[i].ready || g->uffd[i].sigbus ||
	    g->uffd[i].process != here || fl_gen_other(g, here) == FL_GEN_THREADS)
		return false;
	all.at = (int64_t)fl_gen_bytes(fl_gen_below(g, (unsigned)(g->area[0].pages - pages)));
	hole.at = all.at + (int64_t)fl_gen_bytes(fl_gen_below(g, (unsigned)pages));
	fl_gen_say(g, "mmap ");
	fl_gen_say_range(g, &all);
	fl_gen_say(g, " prot=rw");
	fl_gen_say_next(g);
	fl_gen_say(g, "register %s missing ", names[i]);
	fl_gen_say_range(g, &all);
	fl_gen_replace(g, here, &all, (uint16_t)(FL_GEN_MAPPED | 3 | (i + 1) << FL_GEN_UFFD_SHIFT));
	at = hole;
	for (unsigned n = 0; n < 2; n++) {
		g->self = self;
		other = fl_gen_other(g, here);
		if (other == FL_GEN_THREADS)
			break;
		fl_gen_say_turn(g, other);
		at.bytes = 8;
		if (!fl_gen_touch(g, &at, false, false))
			return false;
		fl_gen_say(g, "load ");
		fl_gen_say_place(g, &at);
		at.at = all.at + (int64_t)fl_gen_bytes(fl_gen_below(g, (unsigned)pages));
	}
	g->self = self;
	fl_gen_say_next(g);
	fl_gen_say(g, "munmap ");
	fl_gen_say_range(g, &hole);
	fl_gen_replace(g, here, &hole, 0);
	fl_gen_say_next(g);
	fl_gen_say(g, "unregister %s ", names[i]);
	fl_gen_say_range(g, &all);
	fl_gen_change(g, here, &all, FL_GEN_UFFD, 0);
	for (at = all; at.at < all.at + (int64_t)all.bytes; at.at += (int64_t)FL_DIFF_PAGE) {
		at.bytes = FL_DIFF_PAGE;
		if (at.at != hole.at)
			fl_gen_wake(g, here, &at, i);
	}
	return true;
}

static const struct fl_gen_row rows[] = {
	{4, FL_FOCUS_UFFD, open_one},  {5, FL_FOCUS_UFFD, handshake},     {6, FL_FOCUS_UFFD, watch},
	{2, FL_FOCUS_UFFD, unwatch},   {4, FL_FOCUS_UFFD, read_one},      {2, FL_FOCUS_UFFD, poll_one},
	{1, FL_FOCUS_UFFD, close_one}, {1, FL_FOCUS_UFFD, control},       {1, FL_FOCUS_UFFD, control_made},
	{2, FL_FOCUS_UFFD, orphan},    {1, FL_FOCUS_UFFD, unwatch_holes},
};
const struct fl_gen_family fl_gen_uffds = {rows, sizeof(rows) / sizeof(rows[0])};
