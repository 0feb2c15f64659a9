/* SPDX-License-Identifier: MIT */
/*
 * What the files of a play's report share.
 *
 * No locks: one thread.
 */
#ifndef FL_DIFF_REPORT_PLAY_INTERNAL_H
#define FL_DIFF_REPORT_PLAY_INTERNAL_H

#include "diff/play/internal.h"
#include "faultline/compiler.h"

/* Whose names addresses have. results: NULL, if only those of mappings and places. */
struct fl_report_names {
	const struct fl_scenario *s;
	const int64_t *results;
};

/* Text that grows up to its end, and is cut there. */
struct fl_report_text {
	char *buf;
	size_t size, n;
};
FL_PRINTF(2, 3) void fl_report_add(struct fl_report_text *t, const char *format, ...);

/* Values (play_value.c) */
void fl_report_address(struct fl_report_text *t, const struct fl_report_names *names, uint64_t address);
void fl_report_error(struct fl_report_text *t, int64_t error);
/* An error, a small number, an address, a large number. */
void fl_report_number(struct fl_report_text *t, const struct fl_report_names *names, uint64_t value);
void fl_report_fact(struct fl_report_text *t, const struct fl_report_names *names, const struct fl_fact *f);
void fl_report_vm_flags(struct fl_report_text *t, uint64_t flags);

/* Facts of one answer, or of one place: they stand together. */
struct fl_report_slice {
	const struct fl_fact *fact;
	size_t n;
};
const struct fl_fact *fl_report_find(const struct fl_report_slice *s, enum fl_fact_field field, uint64_t where);

/* Answers (play_answer.c). What became of a call, in a few words; exact: as it is, else as a class of its like. */
void fl_report_outcome(struct fl_report_text *t, const struct fl_report_names *names, const struct fl_sc_statement *st,
		       const struct fl_report_slice *answer, bool exact);
/* The name of 8 bytes of what the kernel wrote: "copy.copy". call: which of the statement's. */
void fl_report_out_name(struct fl_report_text *t, const struct fl_sc_statement *st, unsigned call, uint64_t where);
void fl_report_out_value(struct fl_report_text *t, const struct fl_report_names *names,
			 const struct fl_sc_statement *st, uint64_t where, uint64_t value);
/* Which of the statement's calls gives its result, if the last one done was `last`. */
unsigned fl_report_gives(const struct fl_sc_statement *st, unsigned last);
const char *fl_report_call_name(const struct fl_sc_statement *st, unsigned call);

/* Who, and which statement (play_who.c) */
const struct fl_sc_statement *fl_report_statement(const struct fl_scenario *s, unsigned step, unsigned *actor);
/* What this actor was doing in this step. */
const struct fl_sc_statement *fl_report_doing(const struct fl_play *p, const struct fl_scenario *s, unsigned actor,
					      unsigned step);
const char *fl_report_actor(const struct fl_scenario *s, unsigned actor);
const char *fl_report_process(const struct fl_scenario *s, unsigned process);
/* Its text without the name that it binds. */
const char *fl_report_bare(const struct fl_sc_statement *st);

/* Rows of the table (play_rows.c) */
struct fl_report_row {
	char mark; /* '>' they differ here, '~' they differ and a rule allows it */
	unsigned line;
	char text[160], side[FL_SIDES][120];
	const char *rule;
	const char *part; /* of the statement's calls: not the one that gives its result */
};
struct fl_report_rows {
	struct fl_report_row *row;
	size_t n, room;
	bool failed; /* no memory */
};
void fl_report_rows_make(struct fl_report_rows *rows, const struct fl_play *p, const struct fl_scenario *s);

#endif
