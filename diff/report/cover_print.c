/* SPDX-License-Identifier: MIT */
/*
 * The table of coverage: how many ways each operation has ended on each kind of memory; then, for each operation, the ways themselves
 * and how often; what could have been and was never reached; and what the engine does not have yet.
 *
 * No locks: see cover.c.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "diff/report/cover_internal.h"

static uint64_t seen(const struct fl_cover *c, unsigned op, unsigned kind, unsigned code)
{
	return atomic_load_explicit(&c->seen[op][kind][code], memory_order_relaxed);
}

static uint64_t seen_anywhere(const struct fl_cover *c, unsigned op, unsigned code)
{
	uint64_t n = 0;

	for (unsigned kind = 0; kind < FL_DIFF_KINDS; kind++)
		n += seen(c, op, kind, code);
	return n;
}

/* In how many ways it ended there. */
static unsigned ways(const struct fl_cover *c, unsigned op, unsigned kind)
{
	unsigned n = 0;

	for (unsigned code = 0; code < FL_COVER_CODES_USED; code++)
		n += seen(c, op, kind, code) != 0;
	return n;
}

static unsigned width(unsigned kind)
{
	return (unsigned)strlen(fl_diff_kind_name((enum fl_diff_kind)kind)) + 2;
}

static void print_head(bool markdown, FILE *f)
{
	fprintf(f, markdown ? "| |" : "%-12s", "");
	for (unsigned kind = 0; kind < FL_COVER_KINDS; kind++)
		fprintf(f, markdown ? " %*s |" : "%*s", markdown ? 0 : (int)width(kind),
			fl_diff_kind_name((enum fl_diff_kind)kind));
	fputc('\n', f);
	for (unsigned kind = 0; markdown && kind <= FL_COVER_KINDS; kind++)
		fputs(kind ? " ---: |" : "| --- |", f);
	if (markdown)
		fputc('\n', f);
}

static void print_row(const struct fl_cover *c, unsigned op, bool markdown, FILE *f)
{
	const char *name = fl_sc_op_name((enum fl_sc_op)op);

	if (markdown)
		fprintf(f, "| `%s` |", name);
	else
		fprintf(f, "%-12s", name);
	for (unsigned kind = 0; kind < FL_COVER_KINDS; kind++) {
		unsigned n = ways(c, op, kind);
		char text[12] = "";

		if (n)
			snprintf(text, sizeof(text), "%u", n);
		else
			snprintf(text, sizeof(text), markdown ? " " : ".");
		fprintf(f, markdown ? " %*s |" : "%*s", markdown ? 0 : (int)width(kind), text);
	}
	fputc('\n', f);
}

static void print_table(const struct fl_cover *c, bool markdown, FILE *f)
{
	fprintf(f, "%sIn how many ways each operation has ended on this kernel, by the memory that it was about\n\n",
		markdown ? "" : "  ");
	print_head(markdown, f);
	for (unsigned op = 0; op < FL_SC_OPS; op++) {
		if (fl_cover_rows[op].has == FL_COVER_COMPARED)
			print_row(c, op, markdown, f);
	}
	fputc('\n', f);
}

/* "EINVAL, ENOMEM": codes of this set, from the first. Returns how many. */
static unsigned print_codes(uint64_t set, FILE *f)
{
	unsigned n = 0;

	for (unsigned code = 0; code < FL_COVER_CODES_USED; code++) {
		if (set & UINT64_C(1) << code)
			fprintf(f, "%s%s", n++ ? ", " : "", fl_cover_code_name((enum fl_cover_code)code));
	}
	return n;
}

static void print_ends(const struct fl_cover *c, unsigned op, bool markdown, FILE *f)
{
	const struct fl_cover_row *row = &fl_cover_rows[op];
	uint64_t never = row->can, unforeseen = 0;
	unsigned n = 0;

	fprintf(f, markdown ? "| `%s` | " : "%-12s", fl_sc_op_name((enum fl_sc_op)op));
	for (unsigned code = 0; code < FL_COVER_CODES_USED; code++) {
		uint64_t times = seen_anywhere(c, op, code);

		if (!times)
			continue;
		never &= ~(UINT64_C(1) << code);
		if (!((row->can | row->later) & UINT64_C(1) << code))
			unforeseen |= UINT64_C(1) << code;
		fprintf(f, "%s%s %" PRIu64, n++ ? ", " : "", fl_cover_code_name((enum fl_cover_code)code), times);
	}
	fputs(markdown ? " | " : n && never ? "; never reached: " : never ? "never reached: " : "", f);
	print_codes(never, f);
	fputs(markdown ? " | " : row->later ? "; not yet there: " : "", f);
	print_codes(row->later, f);
	if (!markdown && unforeseen)
		fputs("; not foreseen: ", f);
	fputs(markdown ? " | " : "", f);
	print_codes(unforeseen, f);
	fprintf(f, markdown ? " | %s |\n" : "\n", row->source);
}

static void print_all_ends(const struct fl_cover *c, bool markdown, FILE *f)
{
	fprintf(f, "%sHow they have ended, how often, and what was never reached\n\n", markdown ? "" : "  ");
	if (markdown)
		fputs("| | seen | never reached | not yet there | not foreseen | source |\n"
		      "| --- | --- | --- | --- | --- | --- |\n",
		      f);
	for (unsigned op = 0; op < FL_SC_OPS; op++) {
		if (fl_cover_rows[op].has == FL_COVER_COMPARED)
			print_ends(c, op, markdown, f);
	}
	fputc('\n', f);
}

static void print_lines(const char *const *line, const char *begin, FILE *f)
{
	for (; *line; line++)
		fprintf(f, "%s%s\n", begin, *line);
}

static void print_missing(bool markdown, FILE *f)
{
	const char *begin = markdown ? "- " : "    ";

	fprintf(f, "%sNot yet there: the engine lacks it\n\n", markdown ? "" : "  ");
	for (unsigned op = 0; op < FL_SC_OPS; op++) {
		const struct fl_cover_row *row = &fl_cover_rows[op];

		if (row->has == FL_COVER_NOT_YET)
			fprintf(f, markdown ? "%s`%s`: %s\n" : "%s%s: %s\n", begin, fl_sc_op_name((enum fl_sc_op)op),
				row->source);
	}
	for (unsigned kind = FL_COVER_KINDS; kind < FL_DIFF_KINDS; kind++)
		fprintf(f, "%smemory of kind %s\n", begin, fl_diff_kind_name((enum fl_diff_kind)kind));
	print_lines(fl_cover_missing, begin, f);
	for (size_t i = 0; i < fl_lacks_count; i++)
		fprintf(f, "%sin the kernel's answers, some %s: %s\n", begin, fl_lacks[i].name, fl_lacks[i].reason);
	fprintf(f, "\n%sLeft out on purpose\n\n", markdown ? "" : "  ");
	print_lines(fl_cover_left_out, begin, f);
}

void fl_cover_print(const struct fl_cover *c, bool markdown, void *file)
{
	FILE *f = file;

	print_table(c, markdown, f);
	print_all_ends(c, markdown, f);
	print_missing(markdown, f);
}
