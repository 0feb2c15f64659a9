/* SPDX-License-Identifier: MIT */
/*
 * Races: what a step depends on, which of that can be reversed, and who has to go earlier for it.
 *
 * A race is a pair of events of two processes that depend on each other, with nothing between that orders them. For each, the
 * branch that reverses it must be explored from the node before the first of the two. The processes that can begin it there
 * are the initials of what does not come after the first one; if none of them is in the node's backtrack set, one is added.
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

	/* A section that begins before the call delays the callback; one that begins after it does not. */
	if (record->wide || ev->wide || (record->begins && ev->queues))
		return true;
	for (uint32_t r = ev->ranges; r < end; r++)
		for (uint32_t k = 0; k < record->count; k++)
			if (conflict(&range[r], &kept[k]))
				return true;
	return false;
}

/* Initials */

bool fl_race_add(struct fl_search *s, uint32_t node, uint32_t initials, uint32_t p)
{
	struct event *ev = &s->event[node];
	struct outside *outside = s->outside.at;

	initials &= ev->enabled;
	if (!initials || (initials & (ev->backtrack | ev->sleep)))
		return true;
	if (node >= s->root) {
		ev->backtrack |= initials & BIT(p) ? BIT(p) : initials & -initials;
		return true;
	}
	for (size_t i = 0; i < s->outside.n; i++)
		if (outside[i].depth == node && !(outside[i].initials & ~initials))
			return true;
	outside = fl_search_push(s, &s->outside, sizeof(*outside));
	if (!outside)
		return false;
	*outside = (struct outside){node, initials};
	return true;
}

/* Before event f: the section that process q is in, plus one. *ends: in this process, and after f, its end, plus one. */
static uint32_t section_at(const struct fl_search *s, uint32_t q, uint32_t f, uint32_t *ends)
{
	uint32_t e = s->shadow[WORD_LAST + q], section;

	*ends = 0;
	section = s->shadow[WORD_SECTION + q];
	while (e > f) {
		const struct event *ev = &s->event[e - 1];

		if (ev->section && !section)
			*ends = e;
		section = ev->section;
		e = ev->prev;
	}
	return section;
}

/*
 * Without f and what comes after it (f is none if there are not so many events): does a section of process q begin before
 * this call, and not end? Then it holds the callback up. Where it began, plus one.
 */
static uint32_t holds(const struct fl_search *s, uint32_t q, uint32_t call, uint32_t f)
{
	uint32_t ends, begin = section_at(s, q, call, &ends), r;

	if (!begin || f >= s->n)
		return begin && !ends ? begin : 0;
	r = s->event[f].proc;
	if ((ends && clock_of(s, ends - 1)[r] <= f) || clock_of(s, begin - 1)[r] > f)
		return 0;
	return begin;
}

static bool is_held(const struct fl_search *s, const struct event *callback, uint32_t f)
{
	for (uint32_t q = 0; callback->queued && q < s->procs; q++)
		if (holds(s, q, callback->queued - 1, f))
			return true;
	return false;
}

/* What is to go first instead of an event, and what is to come later with it. */
struct instead {
	uint32_t seen;  /* processes that have an event in it; which is their first */
	uint32_t later; /* processes whose events come later; which is the first that does */
	uint32_t first[FL_SEARCH_PROCS], from[FL_SEARCH_PROCS];
	bool queued, queued_later; /* a callback was, by an event that goes first; by one that comes later */
};

static bool comes_later(const struct instead *v, const uint32_t *clock)
{
	for (uint32_t left_d = v->later, d; next_bit(&left_d, &d);)
		if (clock[d] > v->from[d])
			return true;
	return false;
}

/* Is this event, the first one of process q, ordered after no other's? */
static bool is_initial(const struct instead *v, const uint32_t *clock, uint32_t q)
{
	for (uint32_t left_h = v->seen & ~BIT(q), h; next_bit(&left_h, &h);)
		if (clock[h] > v->first[h])
			return false;
	return true;
}

/*
 * A section that begins after a callback was queued is no initial: were it to begin first, the callback would have to wait
 * for it. If the call comes later, and e (with this clock) does not need the section, then the section comes later as well. So
 * does a callback that is held up.
 */
static bool is_put_off(const struct fl_search *s, const struct instead *v, uint32_t g, uint32_t f,
		       const uint32_t *clock)
{
	const struct event *ev = &s->event[g];

	if (ev->kind == FL_STEP_BEGIN && !ev->section)
		return v->queued_later && clock[ev->proc] <= g;
	return ev->kind == FL_STEP_CALLBACK && is_held(s, ev, f);
}

/* The next event, g, on the way from f to e with this clock. Returns whether its process can begin. */
static bool instead_add(const struct fl_search *s, struct instead *v, uint32_t g, uint32_t f, const uint32_t *clock)
{
	const struct event *ev = &s->event[g];
	const uint32_t *of_g = clock_of(s, g);
	uint32_t q = ev->proc;

	if (comes_later(v, of_g) || is_put_off(s, v, g, f, clock)) {
		v->queued_later |= ev->queues;
		if (!(v->later & BIT(q)))
			v->from[q] = g;
		v->later |= BIT(q);
		return false;
	}
	v->queued |= ev->queues;
	if (v->seen & BIT(q))
		return false;
	v->seen |= BIT(q);
	v->first[q] = g;
	if (v->queued && ev->kind == FL_STEP_BEGIN)
		return false;
	return is_initial(v, of_g, q);
}

/* Events f and e race; e is process p's, with this clock. Let what does not come after f go first. */
static void reverse(struct fl_search *s, uint32_t f, uint32_t e, uint32_t p, const uint32_t *clock)
{
	const struct event *node = &s->event[f];
	uint32_t covered = node->backtrack | node->sleep, initials = 0;
	struct instead v;

	v.seen = 0;
	v.later = BIT(node->proc);
	v.from[node->proc] = f;
	v.queued = false;
	v.queued_later = node->queues;
	for (uint32_t g = f + 1; g < e; g++) {
		if (!instead_add(s, &v, g, f, clock))
			continue;
		if (covered & node->enabled & BIT(s->event[g].proc))
			return;
		initials |= BIT(s->event[g].proc);
	}
	if (!(v.seen & BIT(p)) && is_initial(&v, clock, p))
		initials |= BIT(p);
	fl_race_add(s, f, initials, p);
}

/*
 * A callback that was queued by `call` is to go before f. For each section that holds it up: reverse begin and call. Returns
 * whether there was one.
 */
static bool free_callback(struct fl_search *s, uint32_t call, uint32_t f)
{
	bool held = false;

	for (uint32_t q = 0; q < s->procs; q++) {
		uint32_t begin = holds(s, q, call, f);

		if (!begin)
			continue;
		held = true;
		if (clock_of(s, call)[q] < begin)
			reverse(s, begin - 1, call, s->event[call].proc, clock_of(s, call));
	}
	return held;
}

/* Of the callbacks that e comes after, those that began after f. */
static bool callbacks_held(struct fl_search *s, uint32_t f, uint32_t e, const uint32_t *clock)
{
	uint32_t c = s->callbacks - 1, k = clock[c];
	bool held = false;

	if (k == e + 1 && s->event[e].kind != FL_STEP_CALLBACK)
		k = s->event[e].prev;
	while (k > f + 1) {
		const struct event *ev = &s->event[k - 1];

		if (ev->kind == FL_STEP_CALLBACK && ev->queued && free_callback(s, ev->queued - 1, f))
			held = true;
		k = ev->prev;
	}
	return held;
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
	if (s->config.mode == FL_SEARCH_BOUNDED)
		races = 0; /* fl_bounded_reverse has seen to them */
	for (uint32_t left_q = races, q; next_bit(&left_q, &q);) {
		uint32_t f = s->conflict[q];

		if (s->callbacks && clock[s->callbacks - 1] > f + 1 && callbacks_held(s, f, e, clock))
			continue;
		reverse(s, f, e, p, clock);
	}
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
		if (!s->callbacks || clock[s->callbacks - 1] <= w + 1 || !callbacks_held(s, w, e, clock))
			reverse(s, w, e, p, clock);
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

	if (range->slot >= s->config.slots || range->n > s->config.slots - range->slot)
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
		if (!nest)
			set(s, WORD_SECTION + p, e + 1);
	} else if (step->kind == FL_STEP_END) {
		set(s, WORD_NEST + p, nest ? nest - 1 : 0);
		if (nest <= 1)
			set(s, WORD_SECTION + p, 0);
	}
}

static void start_clock(struct fl_search *s, uint32_t e, unsigned p, uint32_t after)
{
	uint32_t last = s->shadow[WORD_LAST + p];

	if (last)
		memcpy(clock_of(s, e), clock_of(s, last - 1), s->stride * sizeof(*s->clock));
	else
		memset(clock_of(s, e), 0, s->stride * sizeof(*s->clock));
	for (uint32_t left_q = after, q; next_bit(&left_q, &q);)
		if (s->shadow[WORD_LAST + q])
			join(s, clock_of(s, e), clock_of(s, s->shadow[WORD_LAST + q] - 1));
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
	note_section(s, ev, e, p, step);
	if (step->kind == FL_STEP_CALLBACK)
		s->callbacks = p + 1;
	if (object_range(step, &object) && !keep_range(s, &object))
		return;
	for (uint32_t r = 0; r < step->ranges; r++) {
		if (!keep_range(s, &step->range[r]))
			return;
		ev->queues |= step->range[r].touch == FL_TOUCH_QUEUE;
	}
	if (step->kind == FL_STEP_CALLBACK)
		ev->queued = s->shadow[slot_at(s, object.slot) + SLOT_OWNER];
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
	ev->queues |= touch == FL_TOUCH_QUEUE;
	find_conflicts(s, clock, &range, FL_STEP_LOCAL);
	note_touch(s, e, ev->proc, &range);
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
	else if ((ev->awaited & BIT(ev->proc)) && ev->kind == FL_STEP_LOCAL)
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
	case FL_STEP_CALLBACK:
		owner = s->shadow[slot_at(s, step->object) + SLOT_OWNER];
		if (owner)
			free_callback(s, owner - 1, e);
		break;
	case FL_STEP_LOCAL:
		for (uint32_t r = 0; r < step->ranges; r++)
			reverse_hidden(s, e, p, clock, &step->range[r]);
		break;
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
