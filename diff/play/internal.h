/* SPDX-License-Identifier: MIT */
/*
 * What the files of the play share.
 *
 * No locks: one thread.
 */
#ifndef FL_DIFF_PLAY_INTERNAL_H
#define FL_DIFF_PLAY_INTERNAL_H

#include "diff/play.h"

#define FL_SIDES 2u
#define FL_ENGINE 0u
#define FL_KERNEL 1u
#define FL_PLAY_CHANCES 32u

/* Who does statements: threads, and setup. */
struct fl_play_actor {
	const struct fl_sc_statement *st; /* its last */
	unsigned process, calls, at;      /* call[at] is the one that was issued last */
	enum fl_diff_kind kind;           /* of the memory that st is about, before it */
	enum fl_answer_state state[FL_SIDES];
	bool slept;   /* before the call that was issued last */
	bool company; /* it was woken by a call that woke others, too */
	bool worked;  /* the last of its calls that gives a result went well on the kernel */
	bool cut;     /* or was EFAULT: it may have written a part of its structure */
	uint64_t minor[FL_SIDES], major[FL_SIDES];
	struct fl_call call[FL_CALLS_MAX];
};

struct fl_play_own {
	struct fl_play p; /* first */
	struct fl_side *side[FL_SIDES];
	const struct fl_scenario *s;
	int64_t *results;
	size_t room; /* of results */
	unsigned actors;
	struct fl_play_actor actor[FL_DIFF_ACTORS];
	struct fl_answer answer[FL_SIDES][FL_DIFF_ACTORS]; /* after the last call */
	struct fl_seen_map map[FL_SIDES][FL_DIFF_MAPS];
	struct fl_seen_page page[FL_SIDES][FL_DIFF_PAGES];
	/* the step under way: its facts begin here, and calls are numbered */
	size_t begin[FL_SIDES];
	unsigned call;
	bool stirred;  /* some call of a userfaultfd may have woken several who went to sleep again */
	bool together; /* the last call may have woken several */
	/* pages whose bytes are the scheduler's choice (chance.c) */
	unsigned chances;
	struct {
		uint64_t start, end;
	} chance[FL_PLAY_CHANCES];
	/*
	 * pages that a call of a process may have made writable in place, after a fork: how often its processor may still know them as
	 * they were (chance.c)
	 */
	bool forked;
	/* something was locked; and then something moved with DONTUNMAP, or a process forked */
	bool locked, left;
	uint64_t remade[FL_DIFF_PROCESSES];
	/* of the difference: the statement to blame (NULL: none), and the kind of memory */
	const struct fl_sc_statement *st;
	enum fl_diff_kind kind;
};

static inline struct fl_play_own *fl_play_own(struct fl_play *p)
{
	return (struct fl_play_own *)p;
}
static inline const struct fl_play_own *fl_play_seen(const struct fl_play *p)
{
	return (const struct fl_play_own *)p;
}

/* Facts (facts.c, look.c). Room for those of a step; what does not fit is left out. */
void fl_facts_begin(struct fl_play_own *o);
void fl_facts_add(struct fl_play_own *o, unsigned side, unsigned actor, enum fl_fact_field field, uint64_t where,
		  uint64_t value);
/* Of all answers, issued by whom. */
void fl_facts_answers(struct fl_play_own *o, unsigned issuer);
/* Which processes live, and what is mapped in them. */
void fl_facts_maps(struct fl_play_own *o);
/* VmFlags, pages and faults. */
void fl_facts_memory(struct fl_play_own *o);
void fl_facts_unread(struct fl_play_own *o);
/* Facts of one group stand together. */
enum fl_fact_group {
	FL_GROUP_ANSWER,
	FL_GROUP_ALIVE,
	FL_GROUP_MAPS,
	FL_GROUP_FLAGS,
	FL_GROUP_PAGES,
	FL_GROUP_FAULTS,
	FL_GROUP_UNREAD,
};
enum fl_fact_group fl_fact_group(const struct fl_fact *f);
/* In which order facts of a step are made. */
bool fl_fact_before(const struct fl_fact *a, const struct fl_fact *b);

/* What may have been written in another order on the other side (chance.c). By one who sleeps, or did: his last call. */
void fl_chance_written(struct fl_play_own *o, const struct fl_play_actor *who);
/* A call ended, or sleeps: did it move or copy such bytes? */
void fl_chance_follow(struct fl_play_own *o, const struct fl_play_actor *who);
/* A call ended, or sleeps: may it have made pages writable in place? */
void fl_chance_remade(struct fl_play_own *o, const struct fl_play_actor *who);
/* Would the statement that is to be done next change what the kernel's process stands on (ground.c)? */
bool fl_ground_is_meant(const struct fl_play_own *o, const struct fl_play_actor *who);
/* The same of its next call, as far as memory says what that means. */
bool fl_ground_comes(const struct fl_play_own *o, const struct fl_play_actor *who);
/* Are there any within? */
bool fl_chance_at(const struct fl_play_own *o, uint64_t at, uint64_t len);
/* The memory that an access or a system call copies from or to. False: none, or not just that. */
bool fl_chance_data(const struct fl_call *c, uint64_t *at, uint64_t *len);

/* Compare the facts of the step under way (judge.c). AGREE, RULED (a rule ends the play) or DIFFER; *ruled: by any. */
enum fl_play_verdict fl_play_judge(struct fl_play_own *o, const struct fl_sc_statement *st, enum fl_diff_kind kind,
				   bool *ruled);
/* The first rule that allows it, or UINT_MAX. */
unsigned fl_rule_find(const struct fl_play *p, const struct fl_sc_statement *st, enum fl_diff_kind kind,
		      const struct fl_fact *e, const struct fl_fact *h);

#endif
