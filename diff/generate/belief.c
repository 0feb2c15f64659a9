/* SPDX-License-Identifier: MIT */
/*
 * What the generator believes of memory and of threads.
 *
 * It is kept simple, and may be wrong: that a call fails, for a reason that is not thought of here, is what the
 * comparison is for. A wrong belief makes a statement less interesting, never a wrong program.
 *
 * No locks: one thread.
 */
#include <stdio.h>

#include "diff/generate/internal.h"

bool fl_gen_matches(uint16_t page, enum fl_gen_want want)
{
	const uint16_t odd = FL_GEN_LOCKED | FL_GEN_GUARD | FL_GEN_DOWN | FL_GEN_UFFD | FL_GEN_NOFORK | FL_GEN_WIPE;
	bool mapped = (page & FL_GEN_MAPPED) != 0;

	switch (want) {
	case FL_GEN_IS:
		return mapped;
	case FL_GEN_FREE:
		return !mapped;
	case FL_GEN_FILLED:
		return mapped && page & FL_GEN_THERE;
	case FL_GEN_WATCHED:
		return mapped && page & FL_GEN_UFFD;
	case FL_GEN_MISSING:
		return mapped && page & FL_GEN_UFFD && !(page & FL_GEN_THERE);
	case FL_GEN_LOCKS:
		return mapped && page & FL_GEN_LOCKED;
	case FL_GEN_GIVEN:
		return mapped && page & FL_GEN_FREED;
	case FL_GEN_SPECIAL:
		return mapped && (page & odd || (page & FL_GEN_PROT) != (FL_PROT_READ | FL_PROT_WRITE));
	default:
		return true;
	}
}

/* Pages of the area that the span touches: [*first, *end). */
static bool pages_of(const struct fl_gen *g, const struct fl_gen_span *s, int *first, int *end)
{
	int64_t last = FL_GEN_PAGES * (int64_t)FL_DIFF_PAGE, to = s->at;
	int pages = g->area[s->area].pages;

	if (s->number || !s->bytes || s->at >= last)
		return false;
	to = s->bytes > (uint64_t)last * 2 ? last : s->at + (int64_t)s->bytes;
	if (to <= 0)
		return false;
	*first = s->at < 0 ? 0 : (int)(s->at / (int64_t)FL_DIFF_PAGE);
	*end = (int)((to + (int64_t)FL_DIFF_PAGE - 1) / (int64_t)FL_DIFF_PAGE);
	if (*end > pages)
		*end = pages;
	return *first < *end;
}

void fl_gen_change(struct fl_gen *g, unsigned process, const struct fl_gen_span *s, unsigned clear, unsigned set)
{
	int first, end;

	if (!pages_of(g, s, &first, &end))
		return;
	for (uint16_t *p = &g->process[process].page[s->area][first]; first < end; first++, p++) {
		if (*p & FL_GEN_MAPPED)
			*p = (uint16_t)((*p & ~clear) | set);
	}
}

void fl_gen_replace(struct fl_gen *g, unsigned process, const struct fl_gen_span *s, uint16_t page)
{
	int first, end;

	if (!pages_of(g, s, &first, &end))
		return;
	for (; first < end; first++)
		g->process[process].page[s->area][first] = page;
}

void fl_gen_wake(struct fl_gen *g, unsigned process, const struct fl_gen_span *s, unsigned uffd)
{
	int first, end;

	if (!pages_of(g, s, &first, &end))
		return;
	for (unsigned i = 0; i < g->threads; i++) {
		struct fl_gen_thread *t = &g->thread[i];

		if (t->asleep && t->process == process && t->area == s->area && t->page >= first && t->page < end &&
		    (uffd == FL_GEN_UFFDS || t->uffd == uffd))
			t->asleep = false;
	}
}

unsigned fl_gen_awake(const struct fl_gen *g)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->threads; i++)
		n += !g->thread[i].gone && !g->thread[i].asleep;
	return n;
}

unsigned fl_gen_other(const struct fl_gen *g, unsigned process)
{
	for (unsigned i = 0; i < g->threads; i++) {
		const struct fl_gen_thread *t = &g->thread[i];

		if (i != g->self && t->process == process && !t->gone && !t->asleep)
			return i;
	}
	return FL_GEN_THREADS;
}

/* Whoever reads this userfaultfd, or will, has something to read. */
static void tell_reader(struct fl_gen *g, unsigned uffd)
{
	for (unsigned i = 0; i < g->threads; i++) {
		struct fl_gen_thread *t = &g->thread[i];

		if (t->asleep && t->area == FL_GEN_AREAS && t->uffd == uffd) {
			t->asleep = false;
			return;
		}
	}
	g->uffd[uffd].messages++;
}

/* The first page that the thread would fall asleep in. False: none. */
static bool would_sleep(const struct fl_gen *g, const struct fl_gen_span *s, bool write, bool kernel, int *page,
			unsigned *uffd)
{
	const unsigned need = write ? FL_PROT_WRITE : FL_PROT_READ | FL_PROT_EXEC;
	const struct fl_gen_uffd *u;
	int first, end;

	if (!pages_of(g, s, &first, &end))
		return false;
	for (; first < end; first++) {
		uint16_t p = g->process[fl_gen_here(g)].page[s->area][first];

		if (!(p & FL_GEN_MAPPED) || p & FL_GEN_GUARD || !(p & need))
			return false; /* the access ends here */
		if (p & FL_GEN_THERE || !(p & FL_GEN_UFFD))
			continue;
		*uffd = (unsigned)((p & FL_GEN_UFFD) >> FL_GEN_UFFD_SHIFT) - 1;
		*page = first;
		u = &g->uffd[*uffd];
		return u->open && !u->sigbus && !(kernel && u->user_only);
	}
	return false;
}

bool fl_gen_touch(struct fl_gen *g, const struct fl_gen_span *s, bool write, bool kernel)
{
	struct fl_gen_thread *t = &g->thread[g->self];
	unsigned uffd;
	int page;

	if (!would_sleep(g, s, write, kernel, &page, &uffd)) {
		fl_gen_change(g, t->process, s, 0, FL_GEN_THERE);
		return true;
	}
	if (fl_gen_awake(g) < 2)
		return false;
	t->asleep = true;
	t->in_kernel = kernel;
	t->area = s->area;
	t->page = page;
	t->uffd = uffd;
	tell_reader(g, uffd);
	return true;
}

unsigned fl_gen_add_thread(struct fl_gen *g, const char *name, unsigned process)
{
	struct fl_gen_thread *t = &g->thread[g->threads];

	*t = (struct fl_gen_thread){.process = process};
	snprintf(t->name, sizeof(t->name), "%s", name);
	return g->threads++;
}
