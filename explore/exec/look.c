/* SPDX-License-Identifier: MIT */
/*
 * What there is at the end of a run: results, memory, counts, who waits for ever.
 *
 * Memory is read in its frames, through the tables as they are: no fault, no right asked for. A page that nobody has
 * touched reads as zero, a poisoned one as POISON, a guard and what is not mapped as MAPERR.
 *
 * No locks: nothing runs, and who is blocked may hold some.
 */
#include <string.h>

#include "explore/exec/exec_int.h"
#include "uffd/context.h"

bool fl_exec_is_alive(const struct fl_exec *x, unsigned process)
{
	const struct fl_stage *st = x->stage;

	if (st->process[process].kept)
		return true;
	for (unsigned i = 0; i < x->s->threads; i++) {
		if (x->s->thread[i].process == process && st->actor[i].live)
			return true;
	}
	return false;
}

/* One in a process that nobody has made has not begun to wait. */
bool fl_exec_is_blocked(const struct fl_exec *x, unsigned thread)
{
	return x->stage->actor[thread].started && fl_explore_is_blocked(thread);
}

static int64_t read_page(struct fl_exec *x, struct fl_mm *mm, fl_va va, char *to, size_t n)
{
	fl_va within = fl_mm_page(mm) - 1;
	fl_pte e = fl_table_peek(&mm->tables, va & ~within);
	const struct fl_vma *v = fl_index_find(&mm->index, va);

	if (!v || v->start > va || e == FL_MARKER_GUARD)
		return FL_SC_MAPERR;
	if (e == FL_MARKER_POISON)
		return FL_SC_POISON;
	if (e & FL_PTE_PRESENT)
		memcpy(to, (const char *)fl_frame_data(x->stage->frames, fl_pte_pfn(e)) + (va & within), n);
	else
		memset(to, 0, n);
	return 0;
}

static int64_t read_memory(struct fl_exec *x, unsigned process, const struct fl_sc_range *r, unsigned size)
{
	fl_va va = fl_exec_address(x, r);
	struct fl_mm *mm = x->stage->process[process].mm;
	char bytes[8] = {0};
	uint64_t value;
	int64_t err = 0;
	size_t n;

	if (!fl_exec_is_alive(x, process))
		return FL_SC_MAPERR;
	for (size_t done = 0; !err && done < size; done += n) {
		n = (size_t)(fl_mm_page(mm) - ((va + done) & (fl_mm_page(mm) - 1)));
		if (n > size - done)
			n = size - done;
		err = read_page(x, mm, va + done, bytes + done, n);
	}
	memcpy(&value, bytes, sizeof(value)); /* little-endian, as all who can run this */
	return err ? err : (int64_t)value;
}

static int64_t count_resident(const struct fl_exec *x, struct fl_mm *mm, const struct fl_sc_range *r)
{
	fl_va va = fl_page_down(mm, fl_exec_address(x, r)), end = va + fl_page_up(mm, fl_exec_bytes(x, r));
	int64_t n = 0;

	for (; va < end; va += fl_mm_page(mm))
		n += (fl_table_peek(&mm->tables, va) & FL_PTE_PRESENT) != 0;
	return n;
}

static bool in_window(const struct fl_exec *x, fl_va va)
{
	return va - x->window < (fl_va)FL_EXEC_WINDOW_PAGES << x->arch.geometry.page_shift;
}

static int64_t count_vmas(const struct fl_exec *x, struct fl_mm *mm)
{
	const struct fl_vma *v;
	int64_t n = 0;

	for (fl_va va = x->window; (v = fl_index_find(&mm->index, va)) != NULL && in_window(x, v->start); va = v->end)
		n++;
	return n;
}

/* Leaf tables below t that serve the window; va: what t begins with. */
static int64_t count_leaves(const struct fl_exec *x, const struct fl_tables *pt, const struct fl_table *t, fl_va va)
{
	int64_t n = 0;

	if (!t->level)
		return in_window(x, va);
	for (unsigned i = 0; i < 1u << t->index_bits; i++) {
		if (t->e[i] & FL_PTE_TABLE)
			n += count_leaves(x, pt, (const struct fl_table *)(t->e[i] & ~FL_PTE_TABLE),
					  va + ((fl_va)i << pt->shift[t->level]));
	}
	return n;
}

/* Less the zero frame, and scratch as far as it is still there. */
static int64_t count_frames(const struct fl_exec *x)
{
	int64_t n = (int64_t)fl_frames_used(x->stage->frames) - 1;

	for (unsigned i = 0; i <= x->s->threads; i++) {
		unsigned process = i < x->s->threads ? x->s->thread[i].process : 0;

		if (x->stage->actor[i].entered && fl_exec_is_alive(x, process))
			n -= x->thread[i].scratch;
	}
	return n;
}

static int64_t count(struct fl_exec *x, const struct fl_sc_expr *e)
{
	const struct fl_stage *st = x->stage;
	unsigned process = e->index;

	switch (e->count) {
	case FL_SC_C_FAULTS:
		return (int64_t)st->actor[e->index].faults;
	case FL_SC_C_RETRIES:
		return (int64_t)st->actor[e->index].retries;
	case FL_SC_C_MESSAGES:
		return (int64_t)st->file[e->index].reads + (st->file[e->index].u ? st->file[e->index].u->unread : 0);
	case FL_SC_C_FRAMES:
		return count_frames(x);
	case FL_SC_C_RESIDENT:
	case FL_SC_C_VMAS:
	case FL_SC_C_TABLES:
		break;
	}
	if (!fl_exec_is_alive(x, process))
		return 0;
	if (e->count == FL_SC_C_RESIDENT)
		return count_resident(x, st->process[process].mm, &e->range);
	if (e->count == FL_SC_C_VMAS)
		return count_vmas(x, st->process[process].mm);
	return count_leaves(x, &st->process[process].mm->tables, st->process[process].mm->tables.root, 0);
}

void fl_exec_look(struct fl_exec *x)
{
	for (size_t i = 0; i < x->looks; i++) {
		const struct fl_sc_expr *e = x->look[i];

		x->look_value[i] =
			e->kind == FL_SC_E_COUNT ? count(x, e) : read_memory(x, e->process, &e->range, e->size);
	}
}

static int64_t seen(const struct fl_exec *x, const struct fl_sc_expr *e)
{
	for (size_t i = 0; i < x->looks; i++) {
		if (fl_outcome_same(x->look[i], e))
			return x->look_value[i];
	}
	return FL_SC_UNSET;
}

static int64_t end_result(void *arg, unsigned index, enum fl_sc_field field)
{
	struct fl_exec *x = arg;

	return x->stage->result[index].value[field == FL_SC_F_NONE ? 0 : field];
}

static int64_t end_variable(void *arg, unsigned index)
{
	struct fl_exec *x = arg;

	return x->stage->variable[index].value[0];
}

static int64_t end_memory(void *arg, unsigned process, const struct fl_sc_range *range, unsigned size)
{
	struct fl_sc_expr e = {.kind = FL_SC_E_MEMORY, .process = process, .range = *range, .size = size};

	return seen(arg, &e);
}

static int64_t end_count(void *arg, enum fl_sc_count c, unsigned index, const struct fl_sc_range *range)
{
	struct fl_sc_expr e = {.kind = FL_SC_E_COUNT, .count = c, .index = index, .range = *range};

	return seen(arg, &e);
}

static bool end_blocked(void *arg, unsigned thread)
{
	return fl_exec_is_blocked(arg, thread);
}

struct fl_sc_context fl_exec_end_context(struct fl_exec *x)
{
	return (struct fl_sc_context){
		.arg = x,
		.result = end_result,
		.variable = end_variable,
		.memory = end_memory,
		.count = end_count,
		.blocked = end_blocked,
	};
}
