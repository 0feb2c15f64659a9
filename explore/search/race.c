/* SPDX-License-Identifier: MIT */
/*
 * Races: what a step depends on, which of that can be reversed, and who has to go earlier for it.
 *
 * A race is a pair of events of two processes that depend on each other, with nothing between that orders them.
 *
 * No locks: one OS thread.
 */
#include <string.h>

#include "explore/search/internal.h"

/* Shadow */

static void set(struct fl_search *s, size_t word, uint32_t value)
{
	struct undo *undo;

	if (s->shadow[word] == value)
		return;
	undo = fl_search_push(s, &s->undo, sizeof(*undo));
	if (!undo)
		return;
	*undo = (struct undo){(uint32_t)word, s->shadow[word]};
	s->shadow[word] = value;
}

void fl_race_undo(struct fl_search *s, uint32_t n)
{
	const struct undo *undo = s->undo.at;

	while (s->undo.n > s->event[n].undo) {
		s->undo.n--;
		s->shadow[undo[s->undo.n].word] = undo[s->undo.n].value;
	}
}

static size_t slot_at(const struct fl_search *s, uint32_t slot)
{
	return WORD_SLOTS + (size_t)slot * s->slot_words;
}

static bool conflict(const struct fl_step_range *a, const struct fl_step_range *b)
{
	if (a->slot >= b->slot + b->n || b->slot >= a->slot + a->n)
		return false;
	return a->touch != b->touch || (a->touch != FL_TOUCH_READ && a->touch != FL_TOUCH_COUNT);
}

bool fl_race_wakes(const struct fl_search *s, uint32_t p, uint32_t e)
{
	const struct record *record = (const struct record *)s->records.at + (s->record[p] - 1);
	const struct fl_step_range *kept = (const struct fl_step_range *)s->kept.at + record->ranges;
	const struct fl_step_range *range = s->ranges.at;
	const struct event *ev = &s->event[e];
	uint32_t end = e + 1 < s->n ? ev[1].ranges : (uint32_t)s->ranges.n;

	if (record->wide || ev->wide)
		return true;
	for (uint32_t r = ev->ranges; r < end; r++)
		for (uint32_t k = 0; k < record->count; k++)
			if (conflict(&range[r], &kept[k]))
				return true;
	return false;
}

/* Conflicts */

static void join(const struct fl_search *s, uint32_t *clock, const uint32_t *other)
{
	for (uint32_t i = 0; i < s->stride; i++)
		clock[i] = clock[i] > other[i] ? clock[i] : other[i];
}

static void add_conflict(struct fl_search *s, const uint32_t *clock, uint32_t f)
{
	uint32_t q = s->event[f].proc;

	if (clock[q] > f || ((s->conflicts & BIT(q)) && s->conflict[q] > f))
		return;
	if (s->quiet && clock_of(s, s->quiet - 1)[q] > f)
		return;
	s->conflicts |= BIT(q);
	s->conflict[q] = f;
}

/* The last write. A lock's unlock, a callback's call, and what a flush flushes come before, and that is no race. */
static void find_write(struct fl_search *s, uint32_t *clock, uint32_t slot, uint32_t kind)
{
	const uint32_t *word = s->shadow + slot_at(s, slot);
	uint32_t w = word[SLOT_WRITE] - 1, owner = word[SLOT_OWNER];
	const struct event *ev = &s->event[w];

	if (kind == FL_STEP_LOCK && ev->kind == FL_STEP_UNLOCK && ev->object == slot && owner) {
		add_conflict(s, clock, owner - 1);
		s->quiet = w + 1;
	} else if ((kind == FL_STEP_CALLBACK || kind == FL_STEP_FLUSH) && owner == w + 1) {
		join(s, clock, clock_of(s, w));
	} else {
		add_conflict(s, clock, w);
	}
}

static void find_conflicts(struct fl_search *s, uint32_t *clock, const struct fl_step_range *range, uint32_t kind)
{
	for (uint32_t slot = range->slot; slot < range->slot + range->n; slot++) {
		const uint32_t *word = s->shadow + slot_at(s, slot);

		if (word[SLOT_WRITE])
			find_write(s, clock, slot, kind);
		if (range->touch != FL_TOUCH_READ)
			for (uint32_t left_q = word[SLOT_READERS], q; next_bit(&left_q, &q);)
				add_conflict(s, clock, word[SLOT_HEAD + q] - 1);
		if (range->touch != FL_TOUCH_COUNT)
			for (uint32_t left_q = word[SLOT_COUNTERS], q; next_bit(&left_q, &q);)
				add_conflict(s, clock, word[SLOT_HEAD + s->procs + q] - 1);
	}
}

/* The conflicts found: those that nothing else of them comes after are races. Then e, process p's, comes after all. */
static void settle(struct fl_search *s, uint32_t e, uint32_t p, uint32_t *clock)
{
	uint32_t races = s->conflicts;

	for (uint32_t left_q = s->conflicts, q; next_bit(&left_q, &q);)
		for (uint32_t left_h = s->conflicts, h; next_bit(&left_h, &h);)
			if (h != q && clock_of(s, s->conflict[h])[q] > s->conflict[q])
				races &= ~BIT(q);
	for (uint32_t left_q = s->conflicts, q; next_bit(&left_q, &q);)
		join(s, clock, clock_of(s, s->conflict[q]));
	if (s->config.mode != FL_SEARCH_DPOR)
		races = 0; /* fl_bounded_event has seen to them, or nobody asks */
	for (uint32_t left_q = races, q; next_bit(&left_q, &q);)
		fl_reverse(s, s->conflict[q], e, p, clock);
	if (s->quiet)
		join(s, clock, clock_of(s, s->quiet - 1));
	s->conflicts = 0;
	s->quiet = 0;
}

bool fl_race_touched(const struct fl_search *s, uint32_t w, const struct fl_step_range *range, bool *counts)
{
	const struct fl_step_range *ranges = s->ranges.at;
	uint32_t end = w + 1 < s->n ? s->event[w + 1].ranges : (uint32_t)s->ranges.n;

	*counts = false;
	if (s->event[w].wide)
		return true;
	for (uint32_t r = s->event[w].ranges; r < end; r++) {
		if (!conflict(&ranges[r], range))
			continue;
		*counts = ranges[r].touch == FL_TOUCH_COUNT;
		return true;
	}
	return false;
}

/* A step that waited for a value: another write than the last one may have hidden it. */
static void reverse_hidden(struct fl_search *s, uint32_t e, uint32_t p, const uint32_t *clock,
			   const struct fl_step_range *range)
{
	uint32_t last = s->shadow[WORD_LAST + p], covered = BIT(p);
	bool counts;

	if (last == e + 1)
		last = s->event[e].prev;
	/* Before its buffer was empty it could not go, whatever the value was. */
	for (uint32_t q = 0; q < s->procs; q++)
		if (q != p && clock[q] > last)
			last = clock[q];
	for (uint32_t w = e; w-- > 0 && covered != UINT32_MAX >> (FL_SEARCH_PROCS - s->procs);) {
		const struct event *ev = &s->event[w];

		if (covered & BIT(ev->proc))
			continue;
		if (clock[ev->proc] > w) {
			covered |= BIT(ev->proc);
			continue;
		}
		if (!fl_race_touched(s, w, range, &counts))
			continue;
		if (last <= w && !(ev->enabled & BIT(p)) && !counts)
			continue; /* there it waited as well */
		fl_reverse(s, w, e, p, clock);
	}
}

/* Steps */

static void note_touch(struct fl_search *s, uint32_t e, uint32_t p, const struct fl_step_range *range)
{
	for (uint32_t slot = range->slot; slot < range->slot + range->n; slot++) {
		size_t at = slot_at(s, slot);

		if (range->touch == FL_TOUCH_READ) {
			set(s, at + SLOT_READERS, s->shadow[at + SLOT_READERS] | BIT(p));
			set(s, at + SLOT_HEAD + p, e + 1);
		} else if (range->touch == FL_TOUCH_COUNT) {
			set(s, at + SLOT_COUNTERS, s->shadow[at + SLOT_COUNTERS] | BIT(p));
			set(s, at + SLOT_HEAD + s->procs + p, e + 1);
		} else {
			set(s, at + SLOT_READERS, 0);
			set(s, at + SLOT_COUNTERS, 0);
			set(s, at + SLOT_WRITE, e + 1);
			if (range->touch == FL_TOUCH_QUEUE || range->touch == FL_TOUCH_BUFFER)
				set(s, at + SLOT_OWNER, e + 1);
		}
	}
}

/* What a step does to its object, as a range; false: nothing. */
static bool object_range(const struct fl_step *step, struct fl_step_range *range)
{
	*range = (struct fl_step_range){step->object, 1, FL_TOUCH_WRITE};
	switch ((enum fl_step_kind)step->kind) {
	case FL_STEP_LOCK:
	case FL_STEP_UNLOCK:
	case FL_STEP_PARK:
	case FL_STEP_CALLBACK:
	case FL_STEP_FLUSH:
		return true;
	case FL_STEP_TRYLOCK:
		range->touch = step->result ? FL_TOUCH_WRITE : FL_TOUCH_READ;
		return true;
	case FL_STEP_UNPARK:
		range->touch = FL_TOUCH_COUNT;
		return true;
	case FL_STEP_LOCAL:
	case FL_STEP_BEGIN:
	case FL_STEP_END:
	case FL_STEP_YIELD:
		break;
	}
	return false;
}

static bool keep_range(struct fl_search *s, const struct fl_step_range *range)
{
	struct fl_step_range *copy;

	if (range->slot > s->config.slots || range->n > s->config.slots + 1 - range->slot)
		return fl_search_fail(s, "slots %u to %u: there are %u", range->slot, range->slot + range->n,
				      s->config.slots);
	copy = fl_search_push(s, &s->ranges, sizeof(*copy));
	if (!copy)
		return false;
	*copy = *range;
	return true;
}

static void find_wide(struct fl_search *s, const struct fl_step *step, const uint32_t *clock)
{
	if (s->shadow[WORD_WIDE])
		add_conflict(s, clock, s->shadow[WORD_WIDE] - 1);
	for (uint32_t q = 0; step->wide && q < s->procs; q++)
		if (s->shadow[WORD_LAST + q])
			add_conflict(s, clock, s->shadow[WORD_LAST + q] - 1);
}

static void note_section(struct fl_search *s, struct event *ev, uint32_t e, unsigned p, const struct fl_step *step)
{
	uint32_t nest = s->shadow[WORD_NEST + p];

	ev->section = s->shadow[WORD_SECTION + p];
	if (step->kind == FL_STEP_BEGIN) {
		set(s, WORD_NEST + p, nest + 1);
		if (!nest) {
			set(s, WORD_SECTION + p, e + 1);
			ev->sections++;
		}
	} else if (step->kind == FL_STEP_END) {
		set(s, WORD_NEST + p, nest ? nest - 1 : 0);
		if (nest <= 1)
			set(s, WORD_SECTION + p, 0);
	}
}

/* Numbers that go on from the process's event before this one. */
static void number(const struct fl_search *s, struct event *ev)
{
	const struct event *prev = ev->prev ? &s->event[ev->prev - 1] : NULL;

	ev->nth = prev ? prev->nth + 1 : 0;
	ev->sections = prev ? prev->sections : 0;
	ev->stores = prev ? prev->stores : 0;
}

static void join_last(const struct fl_search *s, uint32_t *clock, uint32_t procs)
{
	for (uint32_t left_q = procs, q; next_bit(&left_q, &q);)
		if (s->shadow[WORD_LAST + q])
			join(s, clock, clock_of(s, s->shadow[WORD_LAST + q] - 1));
}

/* Before event f: the section that process q is in, plus one; and its end after f, plus one, or 0. */
static uint32_t section_at(const struct fl_search *s, uint32_t q, uint32_t f, uint32_t *ends)
{
	uint32_t e = s->shadow[WORD_LAST + q], section = s->shadow[WORD_SECTION + q];

	*ends = 0;
	while (e > f) {
		const struct event *ev = &s->event[e - 1];

		if (ev->section && !section)
			*ends = e;
		section = ev->section;
		e = ev->prev;
	}
	return section;
}

/* The last event of process q that is, or comes before, event e; plus one. */
static uint32_t last_before(const struct fl_search *s, uint32_t e, uint32_t q)
{
	return clock_of(s, e)[q];
}

uint32_t fl_race_call_of(const struct fl_search *s, uint32_t slot)
{
	return s->shadow[slot_at(s, slot) + SLOT_OWNER];
}

bool fl_race_may_call(const struct fl_search *s, uint32_t call)
{
	for (uint32_t q = 0; q < s->procs; q++) {
		uint32_t f = last_before(s, call, q), section = s->shadow[WORD_SECTION + q], flushed;

		if (!f)
			continue;
		if (section && section <= f)
			return false;
		if (!s->event[f - 1].stores)
			continue;
		flushed = s->shadow[WORD_LAST + q + s->config.buffers];
		if (!flushed || s->event[flushed - 1].nth + 1 < s->event[f - 1].stores)
			return false;
	}
	return true;
}

/* What the callback of this call has waited for comes before it. */
static void join_awaited(const struct fl_search *s, uint32_t *clock, uint32_t call)
{
	for (uint32_t q = 0; q < s->procs; q++) {
		uint32_t f = last_before(s, call, q), e;

		if (!f)
			continue;
		if (section_at(s, q, f, &e) && e)
			join(s, clock, clock_of(s, e - 1));
		if (!s->event[f - 1].stores)
			continue;
		e = s->shadow[WORD_LAST + q + s->config.buffers];
		while (e && s->event[e - 1].nth + 1 > s->event[f - 1].stores)
			e = s->event[e - 1].prev;
		if (e)
			join(s, clock, clock_of(s, e - 1));
	}
}

static void start_clock(struct fl_search *s, uint32_t e, unsigned p, uint32_t after)
{
	uint32_t last = s->shadow[WORD_LAST + p];

	if (last)
		memcpy(clock_of(s, e), clock_of(s, last - 1), s->stride * sizeof(*s->clock));
	else
		memset(clock_of(s, e), 0, s->stride * sizeof(*s->clock));
	join_last(s, clock_of(s, e), after);
}

void fl_race_step(struct fl_search *s, unsigned p, const struct fl_step *step)
{
	uint32_t e = s->n - 1, *clock = clock_of(s, e);
	struct event *ev = &s->event[e];
	const struct fl_step_range *range;
	struct fl_step_range object;

	start_clock(s, e, p, step->after);
	s->open = true;
	ev->prev = s->shadow[WORD_LAST + p];
	set(s, WORD_LAST + p, e + 1);
	clock[p] = e + 1;
	ev->object = step->object;
	ev->wide = step->wide;
	ev->queues = false;
	number(s, ev);
	note_section(s, ev, e, p, step);
	if (step->kind == FL_STEP_CALLBACK)
		s->callbacks = p + 1;
	if (object_range(step, &object) && !keep_range(s, &object))
		return;
	for (uint32_t r = 0; r < step->ranges; r++) {
		if (!keep_range(s, &step->range[r]))
			return;
		ev->queues |= step->range[r].touch == FL_TOUCH_QUEUE;
		ev->stores += step->range[r].touch == FL_TOUCH_BUFFER;
	}
	if (ev->queues && !keep_range(s, &(struct fl_step_range){calls_slot(s), 1, FL_TOUCH_WRITE}))
		return;
	if (step->kind == FL_STEP_CALLBACK) {
		ev->queued = s->shadow[slot_at(s, object.slot) + SLOT_OWNER];
		if (ev->queued)
			join_awaited(s, clock, ev->queued - 1);
	}
	range = s->ranges.at;
	for (uint32_t r = ev->ranges; r < s->ranges.n; r++)
		find_conflicts(s, clock, &range[r], r == ev->ranges ? step->kind : FL_STEP_LOCAL);
	if (step->wide || s->shadow[WORD_WIDE])
		find_wide(s, step, clock);
	for (uint32_t r = ev->ranges; r < s->ranges.n; r++)
		note_touch(s, e, p, &range[r]);
	if (step->wide)
		set(s, WORD_WIDE, e + 1);
	if (step->kind == FL_STEP_LOCK || (step->kind == FL_STEP_TRYLOCK && step->result))
		set(s, slot_at(s, step->object) + SLOT_OWNER, e + 1);
}

void fl_race_touch(struct fl_search *s, uint32_t slot, uint32_t n, enum fl_touch touch)
{
	struct fl_step_range range = {slot, n, touch};
	uint32_t e = s->n - 1, *clock = clock_of(s, e);
	struct event *ev = &s->event[e];

	if (!keep_range(s, &range))
		return;
	find_conflicts(s, clock, &range, FL_STEP_LOCAL);
	note_touch(s, e, ev->proc, &range);
	if (touch == FL_TOUCH_QUEUE && !ev->queues) {
		ev->queues = true;
		fl_race_touch(s, calls_slot(s), 1, FL_TOUCH_WRITE);
	}
}

void fl_race_finish(struct fl_search *s)
{
	uint32_t e = s->n - 1, *clock;
	struct event *ev;

	if (!s->open)
		return;
	s->open = false;
	ev = &s->event[e];
	clock = clock_of(s, e);
	if (s->config.mode == FL_SEARCH_BOUNDED)
		fl_bounded_event(s, e, clock);
	else if (s->config.mode == FL_SEARCH_DPOR && (ev->awaited & BIT(ev->proc)) && ev->kind == FL_STEP_LOCAL)
		for (uint32_t r = ev->ranges; r < s->ranges.n; r++)
			reverse_hidden(s, e, ev->proc, clock, (struct fl_step_range *)s->ranges.at + r);
	if (s->conflicts || s->quiet)
		settle(s, e, ev->proc, clock);
}

static void waiting_bounded(struct fl_search *s, uint32_t e, uint32_t p, const struct fl_step *step,
			    const uint32_t *clock)
{
	struct fl_step_range object;

	s->event[e].proc = (uint8_t)p;
	s->event[e].object = step->object;
	s->event[e].wide = step->wide;
	s->event[e].queues = false;
	s->event[e].queued = 0;
	if (object_range(step, &object))
		fl_bounded_waiting(s, e, p, clock, &object, 1);
	fl_bounded_waiting(s, e, p, clock, step->range, step->ranges);
}

/* At the end: p waits to do this, and never did. As if it were the run's next event. */
void fl_race_waiting(struct fl_search *s, unsigned p, const struct fl_step *step)
{
	uint32_t e = s->n, *clock = clock_of(s, e), owner;

	start_clock(s, e, p, step->after);
	clock[p] = e + 1;
	s->event[e].kind = step->kind;
	s->event[e].prev = s->shadow[WORD_LAST + p];
	if (s->config.mode == FL_SEARCH_BOUNDED) {
		waiting_bounded(s, e, p, step, clock);
		return;
	}
	switch ((enum fl_step_kind)step->kind) {
	case FL_STEP_LOCK:
		owner = s->shadow[slot_at(s, step->object) + SLOT_OWNER];
		if (owner)
			add_conflict(s, clock, owner - 1);
		settle(s, e, p, clock);
		break;
	case FL_STEP_LOCAL:
		for (uint32_t r = 0; r < step->ranges; r++)
			reverse_hidden(s, e, p, clock, &step->range[r]);
		break;
	case FL_STEP_CALLBACK: /* what it waits for comes before its call */
	case FL_STEP_TRYLOCK:
	case FL_STEP_UNLOCK:
	case FL_STEP_PARK:
	case FL_STEP_UNPARK:
	case FL_STEP_BEGIN:
	case FL_STEP_END:
	case FL_STEP_FLUSH:
	case FL_STEP_YIELD:
		break;
	}
}
