/* SPDX-License-Identifier: MIT */
/*
 * A story as columns, a thread each. Time goes down, and one thread acts at a time, so each row has one cell filled:
 *
 *   stretch   steps of one thread in one operation of the scenario with nobody else between; a row
 *
 * A cell says which line of the scenario and what, and at its end the result; or why it stops there: somebody preempted the
 * thread, or it waits. Steps that belong to no operation (a thread begins or ends, callbacks after a grace period) are
 * shown only with the engine's steps.
 *
 * No locks: one thread.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "explore/report/report.h"

#define CELL 512
#define GAP 2
#define ROWS 400  /* of a run that is longer only the ends are shown; with the engine's steps all is */
#define NARROW 16 /* of a column; with less there are no columns, but names */
#define STEPS 11  /* room for "1234-5678" and a gap */
#define STEP_ROOM 66

struct stretch {
	unsigned thread;
	size_t first, last; /* steps */
	bool begins, ends;  /* of the operation */
};

struct page {
	FILE *out;
	const struct fl_story *story;
	const struct fl_columns *how;
	unsigned column[FL_EXPLORE_RCU + 1]; /* where each thread's begins */
	unsigned width, shown;               /* of a column, and how many */
	bool show[FL_EXPLORE_RCU + 1];
	bool named;    /* too many threads: one column, and names in it */
	bool *fresh;   /* of each step: an operation begins with it */
	unsigned *op;  /* of each step: the how manieth operation of its thread */
	size_t *store; /* of each flush that came late: the step that stored; else SIZE_MAX */
};

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* Number the operations of each thread. */
static void number_ops(struct page *p)
{
	const struct fl_story_step *before[FL_EXPLORE_RCU + 1] = {NULL};
	unsigned at[FL_EXPLORE_RCU + 1] = {0};

	for (size_t i = 0; i < p->story->steps; i++) {
		const struct fl_story_step *st = &p->story->step[i], *b = before[st->thread];

		p->fresh[i] = !b || b->result || b->op_line != st->op_line || !same_text(b->op, st->op);
		at[st->thread] += p->fresh[i] && !st->flush;
		/* What leaves a store buffer late belongs to no operation any more. */
		if (!st->flush)
			before[st->thread] = st;
		p->op[i] = at[st->thread];
	}
}

/*
 * A store that leaves its buffer before anybody else takes a step might as well have had no buffer: only those are of
 * interest that others ran past.
 */
static void find_late(struct page *p, size_t i)
{
	const struct fl_story_step *step = p->story->step;
	bool late = false;

	p->store[i] = SIZE_MAX;
	for (size_t k = i; step[i].flush && k-- > 0;) {
		if (step[k].thread != step[i].thread) {
			late |= !step[k].flush;
		} else if (!step[k].flush && same_text(step[k].object, step[i].object)) {
			p->store[i] = late ? k : SIZE_MAX;
			return;
		}
	}
}

static bool is_shown(const struct page *p, size_t i)
{
	const struct fl_story_step *st = &p->story->step[i];

	if (st->flush)
		return p->how->engine || p->store[i] != SIZE_MAX;
	return p->how->engine || st->op || (p->how->last && i + 1 == p->story->steps);
}

static bool goes_on(const struct page *p, size_t i, size_t j)
{
	const struct fl_story_step *a = &p->story->step[i], *b = &p->story->step[j];

	return a->thread == b->thread && p->op[i] == p->op[j] && a->flush == b->flush && !a->flush;
}

/* The stretch that begins at step i. *next: the first step after it that is shown, or the end. */
static struct stretch take_stretch(const struct page *p, size_t i, size_t *next)
{
	struct stretch s = {.thread = p->story->step[i].thread, .first = i, .last = i, .begins = p->fresh[i]};
	size_t j;

	for (j = i + 1; j < p->story->steps; j++) {
		if (!is_shown(p, j))
			continue;
		if (!goes_on(p, i, j))
			break;
		s.last = j;
	}
	*next = j;
	s.ends = p->story->step[s.last].result;
	return s;
}

static const char *access_name(const struct fl_story_step *st)
{
	static const char *const orders[] = {"", " acquire", " release", " acq-rel", " seq"};
	static const char *const kinds[] = {
		[FL_ACCESS_LOAD] = "load",         [FL_ACCESS_STORE] = "store",
		[FL_ACCESS_RMW] = "change",        [FL_ACCESS_FENCE] = "fence",
		[FL_ACCESS_LOCK] = "lock",         [FL_ACCESS_TRYLOCK] = "try to lock",
		[FL_ACCESS_UNLOCK] = "unlock",     [FL_ACCESS_PARK] = "sleep",
		[FL_ACCESS_UNPARK] = "wake",       [FL_ACCESS_BEGIN] = "section begins",
		[FL_ACCESS_END] = "section ends",  [FL_ACCESS_RCU_CALL] = "call after grace",
		[FL_ACCESS_CALLBACK] = "callback", [FL_ACCESS_BARRIER] = "barrier",
		[FL_ACCESS_COPY] = "copy",         [FL_ACCESS_YIELD] = "yield",
		[FL_ACCESS_COUNT] = "count",
	};
	static char name[48];
	bool ordered = st->kind == FL_ACCESS_LOAD || st->kind == FL_ACCESS_STORE || st->kind == FL_ACCESS_RMW;

	snprintf(name, sizeof(name), "%s%s",
		 st->kind < FL_ARRAY_LEN(kinds) && kinds[st->kind] ? kinds[st->kind] : "access",
		 ordered && st->order < FL_ARRAY_LEN(orders) ? orders[st->order] : "");
	return name;
}

FL_PRINTF(3, 4) static void add(char *cell, size_t *at, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(cell + *at, CELL - *at, format, ap);
	va_end(ap);
	if (n > 0)
		*at += (size_t)n < CELL - *at ? (size_t)n : CELL - *at - 1;
}

/* What the thread does at the end of the run, if that is worth a word. */
static void add_end(const struct page *p, unsigned thread, char *cell, size_t *at)
{
	const struct fl_story_step *waits = thread < FL_EXPLORE_THREADS ? &p->story->waits[thread] : NULL;

	if (waits && waits->op)
		add(cell, at, "\n. %s%s",
		    waits->kind == FL_ACCESS_PARK   ? "sleeps"
		    : waits->kind == FL_ACCESS_LOCK ? "waits for a lock"
						    : "waits",
		    p->how->last ? "" : ", for ever");
}

/* Why the thread stops here; lines of their own. next: the step that is shown after it, or the end. */
static void add_stop(const struct page *p, const struct stretch *s, size_t next, char *cell, size_t *at)
{
	const struct fl_story *story = p->story;
	const struct fl_story_step *n = next < story->steps ? &story->step[next] : NULL;
	size_t own = next;

	/* After a flush anybody may go, and nobody was made to wait. */
	if (story->step[s->last].flush || (n && n->flush))
		return;
	if (n && n->switched && n->preempted && n->thread != s->thread) {
		add(cell, at, "\n! preempted by %s", story->name[n->thread]);
		return;
	}
	if ((s->ends || !story->step[s->last].op || (n && n->thread == s->thread)) && (n || !p->how->last))
		return;
	while (own < story->steps && (story->step[own].thread != s->thread || story->step[own].flush))
		own++;
	if (own == story->steps && !n && p->how->last)
		add(cell, at, "\n* %s", p->how->last);
	else if (own == story->steps)
		add_end(p, s->thread, cell, at);
	else if (story->step[own].kind == FL_ACCESS_LOCK)
		add(cell, at, "\n. waits for a lock");
	else if (story->step[own].kind == FL_ACCESS_PARK)
		add(cell, at, "\n. sleeps");
	else if (story->step[own].kind == FL_ACCESS_OTHER || story->step[own].kind == FL_ACCESS_BARRIER)
		add(cell, at, "\n. waits");
}

/* The name that the operation binds is not said twice in one cell. */
static const char *result_text(const struct fl_story_step *st, bool after_op)
{
	const char *equals = strstr(st->result, " = ");
	size_t name = equals ? (size_t)(equals - st->result) + 3 : 0;

	return after_op && name && st->op && !strncmp(st->op, st->result, name) ? st->result + name : st->result;
}

static void add_head(const struct page *p, const struct stretch *s, char *cell, size_t *at)
{
	const struct fl_story_step *st = &p->story->step[s->first];

	if (p->named)
		add(cell, at, "%s: ", p->story->name[s->thread]);
	if (st->flush && p->store[s->first] == SIZE_MAX)
		add(cell, at, "~ a store leaves the buffer");
	else if (st->flush)
		add(cell, at, "~ what step %u stored leaves the buffer: %s", p->story->step[p->store[s->first]].index,
		    st->object ? st->object : "");
	else if (st->op && s->begins)
		add(cell, at, "%u: %s", st->op_line, st->op);
	else if (st->op)
		add(cell, at, "%u: ...", st->op_line);
	else
		add(cell, at, s->thread == FL_EXPLORE_RCU ? "after a grace period" : "between operations");
}

static void add_tail(const struct page *p, const struct stretch *s, size_t next, char *cell, size_t *at)
{
	if (s->ends)
		add(cell, at, " => %s", result_text(&p->story->step[s->last], s->begins));
	add_stop(p, s, next, cell, at);
}

/* One cell, wrapped at spaces: what comes after the first line is set in. */
static void print_cell(const struct page *p, unsigned thread, const char *steps, const char *cell)
{
	unsigned left = p->column[thread], width = p->width;
	bool first = true;

	while (*cell) {
		size_t line = strcspn(cell, "\n"), room = first ? width : width - 3, n = line;

		if (n > room) {
			for (n = room; n > 0 && cell[n] != ' '; n--)
				;
			if (!n)
				n = room;
		}
		fprintf(p->out, "%s%-*s%*s%.*s\n", p->how->indent, STEPS, first ? steps : "",
			(int)(left + (first ? 0 : 3)), "", (int)n, cell);
		cell += n;
		cell += strspn(cell, n < line ? " " : "\n");
		first = false;
	}
}

/* A source's name from the top of the tree on, as far as it is of the tree that this file is of. */
static const char *in_tree(const char *file)
{
	static const char own[] = __FILE__, inner[] = "explore/report/columns.c";
	size_t top = sizeof(own) - sizeof(inner);

	return sizeof(own) >= sizeof(inner) && !strncmp(file, own, top) ? file + top : file;
}

static void print_step(const struct page *p, const struct fl_story_step *st)
{
	unsigned left = p->column[st->thread] + 2, most;
	char what[CELL] = "";
	size_t at = 0;

	most = p->how->width > STEP_ROOM + STEPS ? p->how->width - STEP_ROOM - STEPS : 0;
	add(what, &at, "%s%s", st->flush ? "flush " : "", access_name(st));
	if (st->object && strcmp(st->object, "nothing") != 0)
		add(what, &at, "  %s", st->object);
	if (st->file && st->what && *st->what)
		add(what, &at, "  %s", st->what);
	if (st->file)
		add(what, &at, "  %s:%u", in_tree(st->file), st->line);
	fprintf(p->out, "%s%*u%*s%*s%s\n", p->how->indent, STEPS - GAP, st->index, GAP, "",
		(int)(left < most ? left : most), "", what);
}

static void lay_out(struct page *p)
{
	unsigned room = p->how->width - STEPS - (unsigned)strlen(p->how->indent), at = 0;

	for (size_t i = 0; i < p->story->steps; i++)
		if (is_shown(p, i))
			p->show[p->story->step[i].thread] = true;
	for (unsigned t = 0; t < FL_EXPLORE_THREADS; t++)
		p->show[t] |= p->story->waits[t].op && !p->how->last;
	for (unsigned t = 0; t <= FL_EXPLORE_RCU; t++)
		p->shown += p->show[t];
	p->width = p->shown ? room / p->shown - GAP : room;
	if (p->shown && (room / p->shown < NARROW + GAP)) {
		p->named = true;
		p->width = room;
		return;
	}
	for (unsigned t = 0; t <= FL_EXPLORE_RCU; t++) {
		p->column[t] = at;
		at += p->show[t] ? p->width + GAP : 0;
	}
}

static void print_head(const struct page *p)
{
	fprintf(p->out, "%s%-*s", p->how->indent, STEPS, "step");
	if (p->named)
		fputs("thread: operation", p->out);
	for (unsigned t = 0, left = p->shown; t <= FL_EXPLORE_RCU && !p->named; t++)
		if (p->show[t])
			fprintf(p->out, "%-*.*s", --left ? (int)(p->width + GAP) : 0, (int)p->width, p->story->name[t]);
	fputc('\n', p->out);
}

/* With the engine's steps, what became of it comes after them. */
static void print_stretch(const struct page *p, const struct stretch *s, size_t next)
{
	const struct fl_story_step *step = p->story->step;
	char cell[CELL] = "", steps[2 * STEPS];
	size_t at = 0;

	snprintf(steps, sizeof(steps), s->first == s->last ? "%u" : "%u-%u", step[s->first].index, step[s->last].index);
	add_head(p, s, cell, &at);
	if (p->how->engine) {
		print_cell(p, s->thread, steps, cell);
		for (size_t k = s->first; k <= s->last; k++)
			print_step(p, &step[k]);
		at = 0;
		cell[0] = steps[0] = '\0';
	}
	add_tail(p, s, next, cell, &at);
	print_cell(p, s->thread, steps, cell + strspn(cell, " \n"));
}

/* Those that wait at the end in an operation of which they could not take one step: nothing above tells of it. */
static void print_ends(const struct page *p)
{
	for (unsigned t = 0; t < FL_EXPLORE_THREADS && !p->how->last; t++) {
		const struct fl_story_step *waits = &p->story->waits[t], *last = NULL;
		char cell[CELL] = "";
		size_t at = 0;

		for (size_t i = 0; i < p->story->steps; i++)
			if (p->story->step[i].thread == t && !p->story->step[i].flush)
				last = &p->story->step[i];
		if (!waits->op ||
		    (last && !last->result && last->op_line == waits->op_line && same_text(last->op, waits->op)))
			continue;
		if (p->named)
			add(cell, &at, "%s: ", p->story->name[t]);
		add(cell, &at, "%u: %s", waits->op_line, waits->op);
		add_end(p, t, cell, &at);
		print_cell(p, t, "end", cell);
	}
}

/* Rows from `from` to before `to`, of all that there are; returns their number. */
static size_t print_rows(const struct page *p, size_t from, size_t to)
{
	size_t next, rows = 0;

	for (size_t i = 0; i < p->story->steps; i = next) {
		struct stretch s;

		if (!is_shown(p, i)) {
			next = i + 1;
			continue;
		}
		s = take_stretch(p, i, &next);
		if (rows >= from && rows < to)
			print_stretch(p, &s, next);
		rows++;
	}
	return rows;
}

void fl_story_print(FILE *out, const struct fl_story *story, const struct fl_columns *columns)
{
	struct page p = {.out = out, .story = story, .how = columns};
	size_t rows;

	p.op = calloc(story->steps + 1, sizeof(*p.op));
	p.fresh = calloc(story->steps + 1, sizeof(*p.fresh));
	p.store = calloc(story->steps + 1, sizeof(*p.store));
	if (!p.op || !p.store || !p.fresh) {
		free(p.op);
		free(p.fresh);
		free(p.store);
		fprintf(out, "%s(out of memory: the run cannot be shown)\n", columns->indent);
		return;
	}
	number_ops(&p);
	for (size_t i = 0; i < story->steps; i++)
		find_late(&p, i);
	lay_out(&p);
	print_head(&p);
	rows = print_rows(&p, 0, 0);
	if (rows <= ROWS || columns->engine) {
		print_rows(&p, 0, rows);
	} else {
		print_rows(&p, 0, ROWS / 2);
		fprintf(out, "%s... (%s rows left out; --engine shows all)\n", columns->indent,
			fl_show_count(rows - ROWS));
		print_rows(&p, rows - ROWS / 2, rows);
	}
	print_ends(&p);
	free(p.op);
	free(p.fresh);
	free(p.store);
}
