/* SPDX-License-Identifier: MIT */
/*
 * One search by several processes. The first one coordinates: it forks the workers, gives each a part of what is to do, has
 * one that is busy split its part when another has nothing, brings races to the search that must know them, and gathers
 * the results.
 *
 *   part     a state, as fl_search_split or fl_search_save make it
 *   result   bytes: what a worker found in a part; what they mean is its and the gatherer's affair
 *
 * Who explores a part changes neither the runs nor their number, but their order: results come in any.
 *
 * In a worker:
 *
 *	void work(void *arg, struct fl_job *job, const char *state)
 *	{
 *		config.state = state;
 *		s = fl_search_new(&config, &error);
 *		if (!s || !fl_job_open(job, s))
 *			return fl_job_fail(job, error);
 *		while (fl_search_begin(s, &keep)) {
 *			... one run ...
 *			if (!fl_job_poll(job, s))
 *				break;
 *		}
 *		fl_job_close(job, s, result, size);
 *	}
 *
 * No locks: processes with one thread each, and between them pipes and a page of counters.
 */
#ifndef FL_SEARCH_JOBS_H
#define FL_SEARCH_JOBS_H

#include "explore/search/search.h"

struct fl_job;

struct fl_jobs_config {
	unsigned workers;  /* 1 to 256 */
	const char *state; /* to go on from: what fl_jobs_run or fl_search_save gave; or NULL */
	void *arg;
	/* In a worker, for each part that it is given, one after the other. state NULL: all there is to do. */
	void (*work)(void *arg, struct fl_job *job, const char *state);
	/* In the coordinator, for each part that was worked on. false: there is no memory; everything stops. */
	bool (*result)(void *arg, const void *bytes, size_t n);
	/* In the coordinator, about ten times a second; may be NULL. runs, cut: so far. false: stop, and leave the state. */
	bool (*progress)(void *arg, uint64_t runs, uint64_t cut);
};

/*
 * Search. 1: all is done. 0: stopped by a worker (fl_job_stop) or by progress; *state: what is left, to free. -1: it failed, and *error
 * says why: a text, to free (NULL if there is no memory).
 */
int fl_jobs_run(const struct fl_jobs_config *config, char **state, char **error);

/* In a worker */

/* The search of this part begins. false: there is no memory (fl_job_fail then). */
bool fl_job_open(struct fl_job *job, struct fl_search *s);
/* Between two runs. Costs next to nothing. false: stop here; call fl_job_close. */
bool fl_job_poll(struct fl_job *job, struct fl_search *s);
/* Everybody is to stop: this worker has found what was looked for. Then call fl_job_close. */
void fl_job_stop(struct fl_job *job);
/* The part is done, as far as it goes: fl_search_begin returned false, or fl_job_poll did, or fl_job_stop was called. */
void fl_job_close(struct fl_job *job, struct fl_search *s, const void *result, size_t n);
/* It cannot be done. */
void fl_job_fail(struct fl_job *job, const char *error);

#endif
