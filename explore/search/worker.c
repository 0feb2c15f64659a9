/* SPDX-License-Identifier: MIT */
/*
 * A worker of a shared search: it explores the parts that it is given. Asked to split or to stop, it answers between two runs;
 * it sees so in memory that is shared, so a run costs no call of the host.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "explore/search/internal.h"
#include "explore/search/jobs_internal.h"

struct fl_job {
	int socket;
	struct counters *counters;
	struct fl_search *search;
	uint64_t runs, cut; /* of the parts before */
	char **races;       /* that have come for the next part */
	size_t n_races;
	bool closed;
};

/* Frames */

static bool send_all(int socket, const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n) {
		ssize_t sent = send(socket, at, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		at += sent;
		n -= (size_t)sent;
	}
	return true;
}

bool fl_frame_send(int socket, enum frame_kind kind, const void *bytes, size_t n)
{
	struct frame frame = {.kind = (uint32_t)kind, .size = n};

	return send_all(socket, &frame, sizeof(frame)) && send_all(socket, bytes, n);
}

static bool receive_all(int socket, void *bytes, size_t n)
{
	char *at = bytes;

	while (n) {
		ssize_t got = recv(socket, at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

char *fl_frame_receive(int socket, struct frame *frame)
{
	char *bytes;

	if (!receive_all(socket, frame, sizeof(*frame)))
		return NULL;
	bytes = malloc(frame->size + 1);
	if (!bytes || !receive_all(socket, bytes, frame->size)) {
		free(bytes);
		return NULL;
	}
	bytes[frame->size] = '\0';
	return bytes;
}

/* In a worker */

/* Nobody is there to tell: the coordinator is gone. */
static void send_or_leave(struct fl_job *job, enum frame_kind kind, const void *bytes, size_t n)
{
	if (!fl_frame_send(job->socket, kind, bytes, n))
		_exit(1);
}

static void send_text(struct fl_job *job, enum frame_kind kind, char *text)
{
	if (!text) {
		fl_job_fail(job, "out of memory for a part of the search");
		return;
	}
	send_or_leave(job, kind, text, strlen(text));
	free(text);
}

bool fl_job_open(struct fl_job *job, struct fl_search *s)
{
	bool right = true;

	for (size_t i = 0; i < job->n_races; i++)
		right = fl_search_merge(s, job->races[i]) && right;
	return right;
}

static void count(struct fl_job *job, struct fl_search *s)
{
	struct fl_search_stats stats;

	fl_search_stats(s, &stats);
	__atomic_store_n(&job->counters->runs, job->runs + stats.runs, __ATOMIC_RELAXED);
	__atomic_store_n(&job->counters->cut, job->cut + stats.cut, __ATOMIC_RELAXED);
}

bool fl_job_poll(struct fl_job *job, struct fl_search *s)
{
	uint32_t ask = __atomic_load_n(&job->counters->ask, __ATOMIC_RELAXED);
	char *part;

	count(job, s);
	if (ask == ASK_NOTHING)
		return true;
	if (ask == ASK_STOP)
		return false;
	__atomic_compare_exchange_n(&job->counters->ask, &ask, ASK_NOTHING, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	part = fl_search_split(s);
	send_or_leave(job, FRAME_GAVE, part ? part : "", part ? strlen(part) : 0);
	free(part);
	return true;
}

void fl_job_stop(struct fl_job *job)
{
	__atomic_store_n(&job->counters->stop, 1, __ATOMIC_RELAXED);
}

void fl_job_close(struct fl_job *job, struct fl_search *s, const void *result, size_t n)
{
	struct fl_search_stats stats;
	bool more;

	count(job, s);
	fl_search_stats(s, &stats);
	job->runs += stats.runs;
	job->cut += stats.cut;
	job->closed = true;
	if (stats.error) {
		fl_job_fail(job, stats.error);
		return;
	}
	send_or_leave(job, FRAME_RESULT, result, n);
	more = searches_all(s) ? fl_dpor_advance(s) : s->begun < s->config.runs;
	if (more || stats.parts)
		send_text(job, FRAME_LEFT, fl_state_left(s));
	else
		send_text(job, FRAME_DONE, fl_search_races(s));
}

void fl_job_fail(struct fl_job *job, const char *error)
{
	job->closed = true;
	send_or_leave(job, FRAME_FAILED, error, strlen(error));
}

static bool keep_races(struct fl_job *job, char *text)
{
	char **races = realloc(job->races, (job->n_races + 1) * sizeof(*races));

	if (!races)
		return false;
	job->races = races;
	job->races[job->n_races++] = text;
	return true;
}

void fl_worker_main(const struct fl_jobs_config *config, int socket, struct counters *counters)
{
	struct fl_job job = {.socket = socket, .counters = counters};
	struct frame frame;
	char *bytes;

	while ((bytes = fl_frame_receive(socket, &frame))) {
		if (frame.kind == FRAME_RACES) {
			if (!keep_races(&job, bytes))
				_exit(1);
			continue;
		}
		job.closed = false;
		config->work(config->arg, &job, frame.size ? bytes : NULL);
		if (!job.closed)
			fl_job_fail(&job, "a part was left without an end");
		free(bytes);
		while (job.n_races)
			free(job.races[--job.n_races]);
	}
	_exit(0);
}
