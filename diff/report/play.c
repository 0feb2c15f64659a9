/* SPDX-License-Identifier: MIT */
/*
 * A play as people read it: one sentence that says what differs, then all statements with both sides' answers beside each other.
 *
 * No locks: one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff/report/play_internal.h"

#define TEXT_WIDTH 60u
#define SIDE_WIDTH 36u

/* The row that is marked as the difference, or NULL. */
static const struct fl_report_row *marked(const struct fl_report_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		if (rows->row[i].mark == '>')
			return &rows->row[i];
	return NULL;
}

static void print_headline(const struct fl_play *p, const struct fl_scenario *s, const struct fl_report_row *row,
			   FILE *out)
{
	unsigned issuer;
	const struct fl_sc_statement *st = fl_report_statement(s, p->step, &issuer);
	const char *what = row->text + strspn(row->text, " ");

	if (!st)
		fprintf(out, "at the end, %s", what);
	else if (row->line)
		fprintf(out, "%s%s%s%s", fl_report_bare(st), row->part ? " (" : "", row->part ? row->part : "",
			row->part ? ")" : "");
	else
		fprintf(out, "%s, %s", fl_report_bare(st), what);
	fprintf(out, ": engine %s, kernel %s\n", row->side[FL_ENGINE], row->side[FL_KERNEL]);
}

static unsigned width_of(const struct fl_report_rows *rows, bool text, unsigned most)
{
	size_t width = text ? strlen("at the end") : strlen("engine");

	for (size_t i = 0; i < rows->n; i++) {
		size_t n = strlen(text ? rows->row[i].text : rows->row[i].side[FL_ENGINE]);

		if (n > width && n <= most)
			width = n;
	}
	return (unsigned)width;
}

static void print_row(const struct fl_report_row *row, unsigned lines, unsigned text, unsigned side, FILE *out)
{
	int pad = (int)text;

	if (row->line)
		fprintf(out, "%c %*u  ", row->mark, (int)lines, row->line);
	else
		fprintf(out, "%c %*s  ", row->mark, (int)lines, "");
	if (!*row->side[FL_ENGINE]) {
		fprintf(out, "%s\n", row->text);
		return;
	}
	/* Too long for its column: the answers stand on a line of their own. */
	if (strlen(row->text) > text)
		fprintf(out, "%s\n%c %*s  %*s", row->text, row->mark, (int)lines, "", pad, "");
	else
		fprintf(out, "%-*s", pad, row->text);
	fprintf(out, "  %-*s  %s%s%s%s\n", (int)side, row->side[FL_ENGINE], row->side[FL_KERNEL],
		row->rule ? "  (rule " : "", row->rule ? row->rule : "", row->rule ? ")" : "");
}

static unsigned digits(const struct fl_report_rows *rows)
{
	unsigned most = 0, n = 1;

	for (size_t i = 0; i < rows->n; i++)
		if (rows->row[i].line > most)
			most = rows->row[i].line;
	for (; most > 9; most /= 10)
		n++;
	return n;
}

static void print_rows(const struct fl_report_rows *rows, FILE *out)
{
	unsigned lines = digits(rows), text = width_of(rows, true, TEXT_WIDTH);
	unsigned side = width_of(rows, false, SIDE_WIDTH);

	fprintf(out, "\n  %*s  %-*s  %-*s  %s\n", (int)lines, "", (int)text, "", (int)side, "engine", "kernel");
	for (size_t i = 0; i < rows->n; i++)
		print_row(&rows->row[i], lines, text, side, out);
}

void fl_report_play(const struct fl_play *p, const struct fl_scenario *s, void *file)
{
	struct fl_report_rows rows = {0};
	const struct fl_report_row *row;

	if (p->text)
		fprintf(file, "%s\n", p->text);
	fl_report_rows_make(&rows, p, s);
	row = marked(&rows);
	if (row)
		print_headline(p, s, row, file);
	if (rows.failed)
		fprintf(file, "there is no memory for the rest of the report\n");
	else if (rows.n)
		print_rows(&rows, file);
	free(rows.row);
}
