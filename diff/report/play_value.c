/* SPDX-License-Identifier: MIT */
/*
 * Values as people read them: ENOMEM, W[3]+0x10, rw-p, SIGSEGV.
 *
 * No locks: one thread.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "diff/report/play_internal.h"
#include "faultline/mm.h"

void fl_report_add(struct fl_report_text *t, const char *format, ...)
{
	va_list args;
	int n;

	if (t->n >= t->size)
		return;
	va_start(args, format);
	n = vsnprintf(t->buf + t->n, t->size - t->n, format, args);
	va_end(args);
	if (n > 0)
		t->n += (size_t)n;
}

static void add_place(struct fl_report_text *t, const char *name, uint64_t offset, bool one_page)
{
	uint64_t page = offset / FL_DIFF_PAGE, byte = offset % FL_DIFF_PAGE;

	fl_report_add(t, "%s", name);
	if (page || !one_page)
		fl_report_add(t, "[%llu]", (unsigned long long)page);
	if (byte)
		fl_report_add(t, "+0x%llx", (unsigned long long)byte);
}

/* The smallest mapping or place that it lies in; or that ends there. */
static const struct fl_sc_map *map_at(const struct fl_scenario *s, uint64_t offset)
{
	const struct fl_sc_map *best = NULL;
	bool inside = false;

	for (size_t i = 0; i < s->maps; i++) {
		const struct fl_sc_map *m = &s->map[i];
		uint64_t first = m->page * FL_DIFF_PAGE, bytes = m->pages * FL_DIFF_PAGE;
		bool in = offset >= first && offset - first < bytes;

		if (!in && (inside || offset < first || offset - first != bytes))
			continue;
		if (!best || (in && !inside) || m->pages < best->pages)
			best = m;
		inside |= in;
	}
	return best;
}

/* The nearest result at or below it that is an address, if it is near. */
static unsigned result_at(const struct fl_report_names *names, uint64_t address)
{
	uint64_t best = 64 * FL_DIFF_PAGE;
	unsigned found = UINT32_MAX;

	for (unsigned i = 0; names->results && i < names->s->results; i++) {
		uint64_t at = FL_DIFF_WINDOW + (uint64_t)names->results[i];

		if (names->results[i] > -4096 && names->results[i] < (int64_t)(FL_DIFF_WINDOW_PAGES * FL_DIFF_PAGE))
			continue;
		if (at % FL_DIFF_PAGE == 0 && address >= at && address - at < best) {
			best = address - at;
			found = i;
		}
	}
	return found;
}

void fl_report_address(struct fl_report_text *t, const struct fl_report_names *names, uint64_t address)
{
	const struct fl_sc_map *m = map_at(names->s, address - FL_DIFF_WINDOW);
	unsigned result = m ? UINT32_MAX : result_at(names, address);

	if (m)
		add_place(t, m->name, address - FL_DIFF_WINDOW - m->page * FL_DIFF_PAGE, m->pages == 1);
	else if (result != UINT32_MAX)
		add_place(t, names->s->result[result].name, address - FL_DIFF_WINDOW - (uint64_t)names->results[result],
			  true);
	else
		fl_report_add(t, "0x%llx", (unsigned long long)address);
}

void fl_report_error(struct fl_report_text *t, int64_t error)
{
	const char *name = fl_sc_value_name(error);

	if (!name && error > -4096)
		name = strerrorname_np((int)-error);
	if (name)
		fl_report_add(t, "%s", name);
	else
		fl_report_add(t, "%lld", (long long)error);
}

static bool is_error(uint64_t value)
{
	return (int64_t)value < 0 && (int64_t)value > -4096;
}

void fl_report_number(struct fl_report_text *t, const struct fl_report_names *names, uint64_t value)
{
	if (is_error(value))
		fl_report_error(t, (int64_t)value);
	else if (value < 1u << 20)
		fl_report_add(t, "%llu", (unsigned long long)value);
	else
		fl_report_address(t, names, value);
}

struct bit {
	uint64_t bit;
	const char *name;
};

static void add_bits(struct fl_report_text *t, const struct bit *bit, size_t n, uint64_t value, const char *none)
{
	const char *gap = "";

	for (size_t i = 0; i < n; i++) {
		if (!(value & bit[i].bit))
			continue;
		fl_report_add(t, "%s%s", gap, bit[i].name);
		gap = " ";
		value &= ~bit[i].bit;
	}
	if (value)
		fl_report_add(t, "%s0x%llx", gap, (unsigned long long)value);
	else if (!*gap)
		fl_report_add(t, "%s", none);
}

/* As smaps has them. */
void fl_report_vm_flags(struct fl_report_text *t, uint64_t flags)
{
	static const struct bit bits[] = {
		{FL_VM_READ, "rd"},         {FL_VM_WRITE, "wr"},    {FL_VM_EXEC, "ex"},       {FL_VM_SHARED, "sh"},
		{FL_VM_MAYREAD, "mr"},      {FL_VM_MAYWRITE, "mw"}, {FL_VM_MAYEXEC, "me"},    {FL_VM_GROWSDOWN, "gd"},
		{FL_VM_LOCKED, "lo"},       {FL_VM_SEQ_READ, "sr"}, {FL_VM_RAND_READ, "rr"},  {FL_VM_DONTCOPY, "dc"},
		{FL_VM_LOCKONFAULT, "lf"},  {FL_VM_ACCOUNT, "ac"},  {FL_VM_NORESERVE, "nr"},  {FL_VM_WIPEONFORK, "wf"},
		{FL_VM_DONTDUMP, "dd"},     {FL_VM_HUGEPAGE, "hg"}, {FL_VM_NOHUGEPAGE, "nh"}, {FL_VM_MERGEABLE, "mg"},
		{FL_VM_UFFD_MISSING, "um"}, {FL_VM_UFFD_WP, "uw"},  {FL_VM_UFFD_MINOR, "ui"}, {FL_VM_MAYBE_GUARD, "gu"},
	};

	add_bits(t, bits, FL_ARRAY_LEN(bits), flags, "none");
}

static void add_page(struct fl_report_text *t, uint64_t value)
{
	static const struct bit bits[] = {
		{FL_PAGE_PRESENT, "present"}, {FL_PAGE_SWAPPED, "swapped"}, {FL_PAGE_GUARD, "guard"},
		{FL_PAGE_UFFD_WP, "uffd-wp"}, {FL_PAGE_FILE, "file"},       {FL_PAGE_EXCLUSIVE, "exclusive"},
	};

	add_bits(t, bits, FL_ARRAY_LEN(bits), value, "nothing");
}

static void add_kind(struct fl_report_text *t, uint64_t value)
{
	uint64_t offset = value & ~(FL_DIFF_PAGE - 1);

	fl_report_add(t, "%s", value & FL_MAP_IS_SHARED ? "shared" : "private");
	if (value & FL_MAP_IS_HEAP)
		fl_report_add(t, " [heap]");
	if (value & FL_MAP_IS_STACK)
		fl_report_add(t, " [stack]");
	if (offset)
		fl_report_add(t, " offset 0x%llx", (unsigned long long)offset);
}

static void add_state(struct fl_report_text *t, uint64_t value)
{
	static const char *const names[] = {"nothing", "done", "asleep", "gone"};

	fl_report_add(t, "%s", value < FL_ARRAY_LEN(names) ? names[value] : "?");
}

static void add_signal(struct fl_report_text *t, uint64_t value)
{
	const char *name = value < 65 ? sigabbrev_np((int)value) : NULL;

	if (name)
		fl_report_add(t, "SIG%s", name);
	else
		fl_report_add(t, "signal %llu", (unsigned long long)value);
}

void fl_report_fact(struct fl_report_text *t, const struct fl_report_names *names, const struct fl_fact *f)
{
	uint64_t v = f->value;

	switch (f->field) {
	case FL_FACT_STATE:
		add_state(t, v);
		break;
	case FL_FACT_SIGNAL:
		add_signal(t, v);
		break;
	case FL_FACT_ADDRESS:
	case FL_FACT_MAP:
		fl_report_address(t, names, v);
		break;
	case FL_FACT_MAP_PROT:
		fl_report_add(t, "%c%c%c", v & FL_PROT_READ ? 'r' : '-', v & FL_PROT_WRITE ? 'w' : '-',
			      v & FL_PROT_EXEC ? 'x' : '-');
		break;
	case FL_FACT_MAP_KIND:
		add_kind(t, v);
		break;
	case FL_FACT_ALIVE:
		fl_report_add(t, "%s", v ? "there" : "gone");
		break;
	case FL_FACT_INTERRUPTED:
		fl_report_add(t, "%s", v ? "yes" : "no");
		break;
	case FL_FACT_VMFLAGS:
		fl_report_vm_flags(t, v);
		break;
	case FL_FACT_PAGE:
		add_page(t, v);
		break;
	case FL_FACT_HASH:
		fl_report_add(t, v ? "bytes %08x" : "zeros", (unsigned)(v ^ v >> 32));
		break;
	default:
		fl_report_number(t, names, v);
	}
}

const char *fl_report_field(enum fl_fact_field f)
{
	static const char *const names[FL_FACT_FIELDS] = {
		[FL_FACT_STATE] = "state",
		[FL_FACT_RETURN] = "return",
		[FL_FACT_SIGNAL] = "signal",
		[FL_FACT_CODE] = "si_code",
		[FL_FACT_ADDRESS] = "si_addr",
		[FL_FACT_INTERRUPTED] = "interrupted",
		[FL_FACT_OUT] = "result field",
		[FL_FACT_MAP] = "mapping",
		[FL_FACT_MAP_PROT] = "protection",
		[FL_FACT_MAP_KIND] = "kind of mapping",
		[FL_FACT_MAPS] = "mappings in all",
		[FL_FACT_ALIVE] = "process",
		[FL_FACT_VMFLAGS] = "VmFlags",
		[FL_FACT_PAGE] = "page",
		[FL_FACT_HASH] = "contents",
		[FL_FACT_PAGES] = "pages in all",
		[FL_FACT_MINOR] = "minor faults",
		[FL_FACT_MAJOR] = "major faults",
		[FL_FACT_UNREAD] = "unread messages",
	};

	return names[f];
}
