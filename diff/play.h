/* SPDX-License-Identifier: MIT */
/*
 * A program on both sides, and where they differ.
 *
 *   fact      one thing that was seen: in which step, of whom, which field, its value. Both sides' facts are made by the same code
 *   rule      what is truly unspecified, or known and not ours: rules.c
 *
 * No locks: one thread.
 */
#ifndef FL_DIFF_PLAY_H
#define FL_DIFF_PLAY_H

#include "diff/diff.h"

enum fl_fact_field {
	FL_FACT_STATE,   /* enum fl_answer_state */
	FL_FACT_RETURN,  /* the value or -errno */
	FL_FACT_SIGNAL,  /* signo */
	FL_FACT_CODE,    /* si_code */
	FL_FACT_ADDRESS, /* si_addr */
	FL_FACT_INTERRUPTED,
	FL_FACT_OUT, /* where: offset in the structure; 8 bytes of it */
	FL_FACT_MAP, /* where: its start; value: its end */
	FL_FACT_MAP_PROT,
	FL_FACT_MAP_KIND, /* shared, heap, stack, offset */
	FL_FACT_MAPS,     /* where: FL_FACT_ALL; how many mappings there are, if one side has more than are compared */
	FL_FACT_ALIVE,
	FL_FACT_VMFLAGS, /* where: start */
	FL_FACT_PAGE,    /* where: address; value: bits */
	FL_FACT_HASH,    /* where: address */
	FL_FACT_PAGES,   /* as MAPS, of pages of which there is something to be told */
	FL_FACT_MINOR,   /* faults charged */
	FL_FACT_MAJOR,
	FL_FACT_UNREAD,
	FL_FACT_FIELDS
};

/* Where facts about all mappings or pages are: after each of them. */
#define FL_FACT_ALL UINT64_MAX

/* Of MAP_KIND: these, and the offset, which is a multiple of a page. */
#define FL_MAP_IS_SHARED 1u
#define FL_MAP_IS_HEAP 2u
#define FL_MAP_IS_STACK 4u

struct fl_fact {
	unsigned step;  /* which statement: those of setup, then the turns; the last + 1: the end */
	unsigned call;  /* which of its calls */
	unsigned actor; /* whose answer; of mappings and pages: the process */
	enum fl_fact_field field;
	uint64_t where, value;
	unsigned rule; /* 1 + the rule by which it may differ from the other side's; 0: none */
};

enum fl_play_verdict {
	FL_PLAY_AGREE,
	FL_PLAY_RULED, /* they differ, and rules allow it; the play ended there, or went on if the rule says so */
	FL_PLAY_DIFFER,
	FL_PLAY_BROKEN, /* a side broke down: text says how */
};

#define FL_FACTS_MAX 4096
struct fl_facts {
	size_t n;
	struct fl_fact fact[FL_FACTS_MAX];
};

struct fl_play_options {
	bool every_step; /* pages, VmFlags and fault counts after every statement, not only at the end */
};

struct fl_cover;

struct fl_play {
	struct fl_play_options options;
	struct fl_cover *cover;      /* NULL: nobody counts */
	const struct fl_rule *rules; /* fl_rules, unless the caller has others */
	size_t rules_count;
	/*
	 * out: the facts of all steps, as far as it went: of the engine [0], of the kernel [1]. All answers; mappings,
	 * pages and the like only as far as they differ. Of a very long program the first ones are dropped.
	 */
	struct fl_facts *facts[2];
	size_t first
		[2]; /* the first fact in which they differ, if DIFFER; SIZE_MAX: this side has none like the other's */
	unsigned step;  /* the statement after which they differ, as in facts */
	unsigned steps; /* statements that were done */
	unsigned rule;  /* the last rule that applied */
	char *text;     /* BROKEN: how. To free */
	bool unbegun;   /* BROKEN: a side could not even begin, which is not the program's fault */
};
/* NULL: no memory. The sides stay the caller's. */
struct fl_play *fl_play_new(struct fl_side *engine, struct fl_side *host);
void fl_play_free(struct fl_play *p);
enum fl_play_verdict fl_play_run(struct fl_play *p, const struct fl_scenario *s);
/*
 * What says that two divergences are the same one, for shrinking and for counting: operation, kind of mapping, field, and both
 * values (an error is itself, other values are classes). The same for each run of the same program. To free; NULL: no memory.
 */
char *fl_play_signature(const struct fl_play *p, const struct fl_scenario *s);

/* Rules (play/rules.c). */
struct fl_rule {
	const char *name;
	enum fl_sc_op op;         /* FL_SC_OPS: any */
	enum fl_diff_kind kind;   /* FL_DIFF_KINDS: any */
	enum fl_fact_field field; /* FL_FACT_FIELDS: any */
	/* NULL: always. e and h: the facts that differ; NULL where a side has none */
	bool (*applies)(const struct fl_play *p, const struct fl_sc_statement *st, const struct fl_fact *e,
			const struct fl_fact *h);
	bool ends; /* what comes after cannot be compared: the program ends here */
	const char *reason;
};
extern const struct fl_rule fl_rules[];
extern const size_t fl_rules_count;

/* Printing (report/): both answers side by side, the scenario's lines, what differs marked. */
void fl_report_play(const struct fl_play *p, const struct fl_scenario *s, void *file);
const char *fl_report_field(enum fl_fact_field f);

/* Coverage (report/cover.c): which operation x kind x result has been seen on the running kernel. In shared memory: atomics. */
#define FL_COVER_CODES 64
struct fl_cover {
	_Atomic(uint64_t) seen[FL_SC_OPS][FL_DIFF_KINDS][FL_COVER_CODES];
	_Atomic(uint64_t) ruled[32]; /* by rule */
};
/* code: 0 fine; -errno; FL_SC_MAPERR and its like; asleep */
void fl_cover_note(struct fl_cover *c, enum fl_sc_op op, enum fl_diff_kind kind, const struct fl_answer *a);
/* The table: a row an operation, a column a kind; what was never reached; what the engine does not have yet. markdown: for docs/fidelity.md */
void fl_cover_print(const struct fl_cover *c, bool markdown, void *file);
size_t fl_cover_cells(const struct fl_cover *c); /* distinct cells seen */

#endif
