/* SPDX-License-Identifier: MIT */
/*
 * The line that says how a run ended. Both executors print it here, so that outcomes can be compared as text.
 *
 *   e1=0 e2=EEXIST r0=0x11 m=PAGEFAULT m.address=A+8 m.flags=WRITE x=2 [A]=0x11 resident(A)=1 blocked=reader
 *
 * Results in the order of the scenario; shared variables; then the places in memory and the counts that properties
 * speak of, each once; then who waits for ever. Where there is nothing to say: "done".
 *
 * No locks: one thread.
 */
#include <string.h>

#include "explore/exec/exec.h"
#include "faultline/uapi.h"

/* Text that may not fit: size is what there is, used what there would be. */
struct line {
	char *buf;
	size_t size, used;
};

/* By hand: a line is printed for every run. */
static void add_bytes(struct line *l, const char *text, size_t n)
{
	if (l->used < l->size) {
		size_t room = l->size - l->used - 1, part = n < room ? n : room;

		memcpy(l->buf + l->used, text, part);
		l->buf[l->used + part] = 0;
	}
	l->used += n;
}

static void add(struct line *l, const char *text)
{
	add_bytes(l, text, strlen(text));
}

static void add_unsigned(struct line *l, uint64_t n, unsigned base)
{
	char digits[24];
	size_t at = sizeof(digits);

	do
		digits[--at] = "0123456789abcdef"[n % base];
	while (n /= base);
	if (base == 16)
		add_bytes(l, "0x", 2);
	add_bytes(l, digits + at, sizeof(digits) - at);
}

static void add_number(struct line *l, int64_t n)
{
	if (n < 0)
		add_bytes(l, "-", 1);
	add_unsigned(l, n < 0 ? -(uint64_t)n : (uint64_t)n, 10);
}

static void add_value(struct line *l, int64_t value)
{
	const char *name = value < 0 ? fl_sc_value_name(value) : NULL;

	if (name)
		add(l, name);
	else if (value < 10)
		add_number(l, value);
	else
		add_unsigned(l, (uint64_t)value, 16);
}

/* before NAME after */
static void add_name(struct line *l, const char *before, const char *name, const char *after)
{
	add(l, before);
	add(l, name);
	add(l, after);
}

int fl_outcome_value(char *buf, size_t size, int64_t value)
{
	struct line l = {.buf = buf, .size = size};

	add_value(&l, value);
	return (int)l.used;
}

static void separate(struct line *l)
{
	if (l->used)
		add(l, " ");
}

/* A mapping's place, offset bytes (two's complement) from its start: A, A+8, A[1], A[1]+8, A-8; A[1:3]. */
static void add_location(struct line *l, const struct fl_sc_map *m, uint64_t offset, uint64_t length)
{
	add(l, m->name);
	if ((int64_t)offset < 0) {
		add(l, "-");
		add_unsigned(l, -offset, 10);
		return;
	}
	if (offset >> 12 || length) {
		add(l, "[");
		add_unsigned(l, offset >> 12, 10);
		if (length) {
			add(l, ":");
			add_unsigned(l, (offset + length) >> 12, 10);
		}
		add(l, "]");
	}
	if (offset & 0xfff) {
		add(l, "+");
		add_unsigned(l, offset & 0xfff, 10);
	}
}

/* An address, in bytes from the window's start, by the first mapping (or else place) that has it. */
static void add_address(struct line *l, const struct fl_scenario *s, uint64_t address)
{
	for (int holes = 0; holes < 2; holes++) {
		for (size_t i = 0; i < s->maps; i++) {
			uint64_t offset = address - (s->map[i].page << 12);

			if (s->map[i].hole == (holes != 0) && offset < s->map[i].pages << 12) {
				add_location(l, &s->map[i], offset, 0);
				return;
			}
		}
	}
	add_unsigned(l, address, 16);
}

static void add_event(struct line *l, int64_t event)
{
	static const struct {
		int64_t number;
		const char *name;
	} names[] = {
		{FL_UFFD_EVENT_PAGEFAULT, "PAGEFAULT"}, {FL_UFFD_EVENT_FORK, "FORK"},   {FL_UFFD_EVENT_REMAP, "REMAP"},
		{FL_UFFD_EVENT_REMOVE, "REMOVE"},       {FL_UFFD_EVENT_UNMAP, "UNMAP"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (names[i].number == event) {
			add(l, names[i].name);
			return;
		}
	}
	add_value(l, event);
}

static void add_flags(struct line *l, int64_t flags)
{
	if (flags == FL_UFFD_PAGEFAULT_FLAG_WRITE)
		add(l, "WRITE");
	else if (flags == FL_UFFD_PAGEFAULT_FLAG_WP)
		add(l, "WP");
	else if (flags == FL_UFFD_PAGEFAULT_FLAG_MINOR)
		add(l, "MINOR");
	else
		add_value(l, flags);
}

static void add_message(struct line *l, const struct fl_scenario *s, unsigned index, const struct fl_sc_context *c)
{
	const char *name = s->result[index].name;
	int64_t event = c->result(c->arg, index, FL_SC_F_EVENT), value;

	add_name(l, "", name, "=");
	add_event(l, event);
	if (event < 0)
		return;
	value = c->result(c->arg, index, FL_SC_F_ADDRESS);
	if (value != FL_SC_UNSET) {
		add_name(l, " ", name, ".address=");
		add_address(l, s, (uint64_t)value);
	}
	value = c->result(c->arg, index, FL_SC_F_END);
	if (value != FL_SC_UNSET) {
		add_name(l, " ", name, ".end=");
		add_address(l, s, (uint64_t)value);
	}
	value = c->result(c->arg, index, FL_SC_F_FLAGS);
	if (value != FL_SC_UNSET) {
		add_name(l, " ", name, ".flags=");
		add_flags(l, value);
	}
	value = c->result(c->arg, index, FL_SC_F_THREAD);
	if (value == FL_SC_UNSET)
		return;
	add_name(l, " ", name, ".thread=");
	if (value >= 0 && (uint64_t)value < s->threads)
		add(l, s->thread[value].name);
	else
		add_number(l, value);
}

static void add_result(struct line *l, const struct fl_scenario *s, unsigned index, const struct fl_sc_context *c)
{
	if (s->result[index].type == FL_SC_MESSAGE) {
		add_message(l, s, index, c);
		return;
	}
	add_name(l, "", s->result[index].name, "=");
	add_value(l, c->result(c->arg, index, FL_SC_F_NONE));
}

static bool same_range(const struct fl_sc_range *a, const struct fl_sc_range *b)
{
	return a->map == b->map && a->offset == b->offset && a->length == b->length && a->whole == b->whole;
}

/* Do two expressions look at the same place, or count the same? */
bool fl_outcome_same(const struct fl_sc_expr *a, const struct fl_sc_expr *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == FL_SC_E_MEMORY)
		return a->process == b->process && a->size == b->size && same_range(&a->range, &b->range);
	return a->count == b->count && a->index == b->index &&
	       (a->count != FL_SC_C_RESIDENT || same_range(&a->range, &b->range));
}

/* Call fn for each place and each count in e, in the order of the text. */
static void each_look(const struct fl_sc_expr *e, void (*fn)(void *arg, const struct fl_sc_expr *look), void *arg)
{
	if (!e)
		return;
	if (e->kind == FL_SC_E_MEMORY || e->kind == FL_SC_E_COUNT)
		fn(arg, e);
	each_look(e->left, fn, arg);
	each_look(e->right, fn, arg);
	for (size_t i = 0; i < e->members; i++)
		each_look(e->member[i], fn, arg);
}

void fl_outcome_looks(const struct fl_scenario *s, void (*fn)(void *arg, const struct fl_sc_expr *look), void *arg)
{
	for (size_t i = 0; i < s->properties; i++)
		each_look(s->property[i].expr, fn, arg);
}

struct first {
	const struct fl_sc_expr *look, *first;
};

static void find_first(void *arg, const struct fl_sc_expr *look)
{
	struct first *f = arg;

	if (!f->first && fl_outcome_same(look, f->look))
		f->first = look;
}

static bool is_first(const struct fl_scenario *s, const struct fl_sc_expr *look)
{
	struct first f = {.look = look};

	fl_outcome_looks(s, find_first, &f);
	return f.first == look;
}

struct looks {
	struct line *line;
	const struct fl_scenario *s;
	const struct fl_sc_context *c;
};

static void add_memory(const struct looks *o, const struct fl_sc_expr *e)
{
	struct line *l = o->line;

	add(l, "[");
	add_location(l, &o->s->map[e->range.map], e->range.offset, 0);
	if (e->size != 8) {
		add(l, " size=");
		add_unsigned(l, e->size, 10);
	}
	if (e->process)
		add_name(l, " in ", o->s->process[e->process - 1].name, "");
	add(l, "]=");
	add_value(l, o->c->memory(o->c->arg, e->process, &e->range, e->size));
}

/* "name(of)", or name alone. */
static void add_function(struct line *l, const char *name, const char *of)
{
	add(l, name);
	if (of)
		add_name(l, "(", of, ")");
}

static void add_count(const struct looks *o, const struct fl_sc_expr *e)
{
	const struct fl_scenario *s = o->s;
	const char *process = NULL;
	struct line *l = o->line;

	if (e->count >= FL_SC_C_RESIDENT && e->count <= FL_SC_C_TABLES && e->index)
		process = s->process[e->index - 1].name;
	switch (e->count) {
	case FL_SC_C_FAULTS:
		add_function(l, "faults", s->thread[e->index].name);
		break;
	case FL_SC_C_RETRIES:
		add_function(l, "retries", s->thread[e->index].name);
		break;
	case FL_SC_C_MESSAGES:
		add_function(l, "messages", s->uffd[e->index].name);
		break;
	case FL_SC_C_RESIDENT:
		add(l, "resident(");
		add_location(l, &s->map[e->range.map], e->range.offset, e->range.length);
		if (process)
			add_name(l, " in ", process, "");
		add(l, ")");
		break;
	case FL_SC_C_VMAS:
		add_function(l, "vmas", process);
		break;
	case FL_SC_C_TABLES:
		add_function(l, "tables", process);
		break;
	case FL_SC_C_FRAMES:
		add(l, "frames");
		break;
	}
	add(l, "=");
	add_number(l, o->c->count(o->c->arg, e->count, e->index, &e->range));
}

/* The values of names in e, as far as they are not said yet. */
static void add_names(const struct looks *o, const struct fl_sc_expr *e)
{
	const struct fl_scenario *s = o->s;
	struct line *l = o->line;

	if (!e)
		return;
	switch (e->kind) {
	case FL_SC_E_RESULT:
		separate(l);
		add_result(l, s, e->index, o->c);
		break;
	case FL_SC_E_VAR:
		separate(l);
		add_name(l, "", s->variable[e->index].name, "=");
		add_value(l, o->c->variable(o->c->arg, e->index));
		break;
	case FL_SC_E_MEMORY:
		separate(l);
		add_memory(o, e);
		break;
	case FL_SC_E_COUNT:
		separate(l);
		add_count(o, e);
		break;
	case FL_SC_E_BLOCKED:
		separate(l);
		add_name(l, "blocked(", s->thread[e->index].name, ")=");
		add_number(l, o->c->blocked(o->c->arg, e->index));
		break;
	default:
		break;
	}
	add_names(o, e->left);
	add_names(o, e->right);
	for (size_t i = 0; i < e->members; i++)
		add_names(o, e->member[i]);
}

/* Say each word once. */
static void drop_repeated(char *text)
{
	char *to = text, *next;

	for (char *word = text; word; word = next) {
		size_t len = strcspn(word, " ");
		bool again = false;

		next = word[len] ? word + len + 1 : NULL;
		for (const char *said = text; said < to && !again; said += strcspn(said, " ") + 1)
			again = !strncmp(said, word, len) && (said[len] == ' ' || said + len == to - 1);
		if (again)
			continue;
		memmove(to, word, len);
		to += len;
		*to++ = ' ';
	}
	*(to == text ? to : to - 1) = 0;
}

int fl_outcome_values(char *buf, size_t size, const struct fl_scenario *s, const struct fl_sc_expr *e,
		      const struct fl_sc_context *context)
{
	struct line l = {.buf = buf, .size = size};
	struct looks o = {.line = &l, .s = s, .c = context};

	buf[0] = 0;
	add_names(&o, e);
	drop_repeated(buf);
	return (int)strlen(buf);
}

static void add_look(void *arg, const struct fl_sc_expr *look)
{
	struct looks *o = arg;

	if (!is_first(o->s, look))
		return;
	separate(o->line);
	if (look->kind == FL_SC_E_MEMORY)
		add_memory(o, look);
	else
		add_count(o, look);
}

int fl_outcome_print(char *buf, size_t size, const struct fl_scenario *s, const struct fl_sc_context *context)
{
	struct line l = {.buf = buf, .size = size};
	struct looks looks = {.line = &l, .s = s, .c = context};
	bool none = true;

	if (size)
		buf[0] = 0;
	for (unsigned i = 0; i < s->results; i++) {
		separate(&l);
		add_result(&l, s, i, context);
	}
	for (unsigned i = 0; i < s->variables; i++) {
		separate(&l);
		add_name(&l, "", s->variable[i].name, "=");
		add_value(&l, context->variable(context->arg, i));
	}
	fl_outcome_looks(s, add_look, &looks);
	for (unsigned i = 0; i < s->threads; i++) {
		if (!context->blocked(context->arg, i))
			continue;
		if (none)
			separate(&l);
		add_name(&l, none ? "blocked=" : ",", s->thread[i].name, "");
		none = false;
	}
	if (!l.used)
		add(&l, "done");
	return (int)l.used;
}
