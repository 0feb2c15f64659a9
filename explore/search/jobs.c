/* SPDX-License-Identifier: MIT */
/*
 * The coordinator of a shared search.
 *
 * A part that waits for others it gave rests here, as a state with the races that have come for it, and goes to any worker
 * when the last one is done. No locks: processes with one thread each.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "explore/search/jobs_internal.h"

#define WORKERS 256

static const char jobs_name[] = "faultline-jobs-1";

struct part {
	struct part *giver, *next;
	char *state; /* NULL: all */
	char **races;
	size_t n_races;
	unsigned out; /* parts that it gave and that are not done */
	int worker;   /* that has it, or -1 */
	unsigned number;
};

struct worker {
	pid_t pid;
	int socket;
	struct part *part; /* NULL: idle */
	bool asked;
};

struct jobs {
	const struct fl_jobs_config *config;
	struct worker worker[WORKERS];
	struct counters *counters;
	struct part *parts; /* all that are not done */
	unsigned n;         /* workers that were started */
	bool stopping;
	char *error;
	bool failed;
};

static void fail(struct jobs *j, const char *format, const char *what, int number)
{
	char text[256];

	if (j->failed)
		return;
	j->failed = true;
	snprintf(text, sizeof(text), format, what, number);
	j->error = strdup(text);
}

static struct part *add_part(struct jobs *j, struct part *giver, const char *state)
{
	struct part *part = calloc(1, sizeof(*part)), **end = &j->parts;

	if (part && state)
		part->state = strdup(state);
	if (!part || (state && !part->state)) {
		free(part);
		fail(j, "%s", "out of memory for the parts of the search", 0);
		return NULL;
	}
	while (*end)
		end = &(*end)->next;
	*end = part;
	part->worker = -1;
	part->giver = giver;
	if (giver)
		giver->out++;
	return part;
}

static bool add_races(struct jobs *j, struct part *part, char *races)
{
	char **more = realloc(part->races, (part->n_races + 1) * sizeof(*more));

	if (!more) {
		free(races);
		fail(j, "%s", "out of memory for the races of the search", 0);
		return false;
	}
	part->races = more;
	part->races[part->n_races++] = races;
	return true;
}

static void forget_races(struct part *part)
{
	while (part->n_races)
		free(part->races[--part->n_races]);
}

static void drop_part(struct jobs *j, struct part *part)
{
	struct part **at = &j->parts;

	while (*at != part)
		at = &(*at)->next;
	*at = part->next;
	forget_races(part);
	free(part->races);
	free(part->state);
	free(part);
}

static void hand_out(struct jobs *j, struct part *part, unsigned w)
{
	struct worker *worker = &j->worker[w];
	bool sent = true;

	__atomic_store_n(&j->counters[w].ask, ASK_NOTHING, __ATOMIC_RELAXED);
	for (size_t i = 0; i < part->n_races; i++)
		sent = sent && fl_frame_send(worker->socket, FRAME_RACES, part->races[i], strlen(part->races[i]));
	sent = sent && fl_frame_send(worker->socket, FRAME_PART, part->state, part->state ? strlen(part->state) : 0);
	forget_races(part);
	if (!sent)
		fail(j, "%s %d has died", "worker", (int)w);
	worker->part = part;
	worker->asked = false;
	part->worker = (int)w;
}

static struct part *ready_part(const struct jobs *j)
{
	struct part *part = j->parts;

	while (part && (part->worker >= 0 || part->out))
		part = part->next;
	return part;
}

/* Parts to idle workers; if there are too few parts, ask those that are busy for more. Returns how many are busy. */
static unsigned share_out(struct jobs *j)
{
	unsigned busy = 0, idle = 0;

	for (unsigned w = 0; w < j->n; w++) {
		struct part *part = j->worker[w].part || j->stopping ? NULL : ready_part(j);

		if (part)
			hand_out(j, part, w);
		if (j->worker[w].part)
			busy++;
		else
			idle++;
	}
	for (unsigned w = 0; w < j->n && idle && !j->stopping; w++) {
		if (!j->worker[w].part)
			continue;
		if (!j->worker[w].asked)
			__atomic_store_n(&j->counters[w].ask, ASK_SPLIT, __ATOMIC_RELAXED);
		j->worker[w].asked = true;
		idle--;
	}
	return busy;
}

static void stop(struct jobs *j)
{
	j->stopping = true;
	for (unsigned w = 0; w < j->n; w++)
		__atomic_store_n(&j->counters[w].ask, ASK_STOP, __ATOMIC_RELAXED);
}

static void part_done(struct jobs *j, struct part *part, char *races)
{
	struct part *giver = part->giver;

	if (giver) {
		giver->out--;
		add_races(j, giver, races);
	} else {
		free(races);
	}
	drop_part(j, part);
}

static void handle(struct jobs *j, unsigned w, const struct frame *frame, char *bytes)
{
	struct worker *worker = &j->worker[w];
	struct part *part = worker->part;

	if (frame->kind == FRAME_DONE || frame->kind == FRAME_LEFT)
		worker->part = NULL;
	switch ((enum frame_kind)frame->kind) {
	case FRAME_GAVE:
		worker->asked = false;
		if (frame->size)
			add_part(j, part, bytes);
		break;
	case FRAME_RESULT:
		if (!j->config->result(j->config->arg, bytes, frame->size))
			fail(j, "%s", "out of memory for the results of the search", 0);
		break;
	case FRAME_DONE:
		part_done(j, part, bytes);
		return;
	case FRAME_LEFT:
		part->worker = -1;
		free(part->state);
		part->state = bytes;
		return;
	case FRAME_FAILED:
		fail(j, "%s", bytes, 0);
		break;
	case FRAME_PART:
	case FRAME_RACES:
		break;
	}
	free(bytes);
}

/* What came from the workers, or nothing for a while. */
static void wait_for_frames(struct jobs *j)
{
	struct pollfd fds[WORKERS];
	struct frame frame;

	for (unsigned w = 0; w < j->n; w++)
		fds[w] = (struct pollfd){.fd = j->worker[w].socket, .events = POLLIN};
	if (poll(fds, j->n, 20) <= 0)
		return;
	for (unsigned w = 0; w < j->n && !j->failed; w++) {
		char *bytes;

		if (!fds[w].revents)
			continue;
		bytes = fl_frame_receive(j->worker[w].socket, &frame);
		if (bytes)
			handle(j, w, &frame, bytes);
		else
			fail(j, "%s %d has died", "worker", (int)w);
	}
}

static bool shall_stop(struct jobs *j, uint64_t *last)
{
	struct timespec now;
	uint64_t runs = 0, cut = 0, time;

	for (unsigned w = 0; w < j->n; w++)
		if (__atomic_load_n(&j->counters[w].stop, __ATOMIC_RELAXED))
			return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	time = (uint64_t)now.tv_sec * 10 + (uint64_t)now.tv_nsec / 100000000;
	if (!j->config->progress || time == *last)
		return false;
	*last = time;
	for (unsigned w = 0; w < j->n; w++) {
		runs += __atomic_load_n(&j->counters[w].runs, __ATOMIC_RELAXED);
		cut += __atomic_load_n(&j->counters[w].cut, __ATOMIC_RELAXED);
	}
	return !j->config->progress(j->config->arg, runs, cut);
}

/* Workers */

static bool start_worker(struct jobs *j, unsigned w)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return false;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned other = 0; other < w; other++)
			close(j->worker[other].socket);
		close(pair[0]);
		fl_worker_main(j->config, pair[1], &j->counters[w]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return false;
	}
	j->worker[w] = (struct worker){.pid = pid, .socket = pair[0]};
	j->n++;
	return true;
}

/* At the end they are idle, and leave; after a failure some are not. */
static void end_workers(struct jobs *j)
{
	for (unsigned w = 0; w < j->n; w++) {
		close(j->worker[w].socket);
		if (j->failed)
			kill(j->worker[w].pid, SIGKILL);
	}
	for (unsigned w = 0; w < j->n; w++)
		while (waitpid(j->worker[w].pid, NULL, 0) < 0 && errno == EINTR)
			;
}

/* What is left, as text: how many parts; of each its giver (plus one), its state and races, each with its length before it. */

static void print_text(FILE *out, const char *text)
{
	fprintf(out, " %zx %s", text ? strlen(text) : 0, text ? text : "");
}

static char *print_parts(struct jobs *j)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	unsigned n = 0;

	if (!out)
		return NULL;
	for (struct part *part = j->parts; part; part = part->next)
		part->number = ++n;
	fprintf(out, "%s %x", jobs_name, n);
	for (const struct part *part = j->parts; part; part = part->next) {
		fprintf(out, " %x", part->giver ? part->giver->number : 0);
		print_text(out, part->state);
		fprintf(out, " %zx", part->n_races);
		for (size_t i = 0; i < part->n_races; i++)
			print_text(out, part->races[i]);
	}
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static bool read_size(const char **at, size_t *n)
{
	char *end;

	*n = strtoul(*at, &end, 16);
	if (**at != ' ' || end == *at)
		return false;
	*at = end;
	return true;
}

/* A copy; NULL: it cannot be read. */
static char *read_text(const char **at)
{
	size_t n;
	char *text;

	if (!read_size(at, &n) || **at != ' ' || strlen(*at + 1) < n)
		return NULL;
	text = strndup(*at + 1, n);
	*at += 1 + n;
	return text;
}

static bool read_part(struct jobs *j, const char **at)
{
	struct part *giver = j->parts, *part;
	size_t number, races;
	char *text, *race;

	if (!read_size(at, &number))
		return false;
	for (size_t i = 1; i < number && giver; i++)
		giver = giver->next;
	text = read_text(at);
	part = text ? add_part(j, number ? giver : NULL, *text ? text : NULL) : NULL;
	free(text);
	if (!part || (number && !giver) || !read_size(at, &races))
		return false;
	for (; races; races--) {
		race = read_text(at);
		if (!race || !add_races(j, part, race))
			return false;
	}
	return true;
}

static bool read_parts(struct jobs *j, const char *state)
{
	const char *at = state;
	size_t n;

	if (!state || strncmp(state, jobs_name, sizeof(jobs_name) - 1))
		return add_part(j, NULL, state) != NULL;
	at += sizeof(jobs_name) - 1;
	if (!read_size(&at, &n))
		return false;
	for (; n; n--)
		if (!read_part(j, &at))
			return false;
	return true;
}

static void coordinate(struct jobs *j)
{
	uint64_t last = 0;

	while (!j->failed && share_out(j)) {
		wait_for_frames(j);
		if (!j->stopping && shall_stop(j, &last))
			stop(j);
	}
}

int fl_jobs_run(const struct fl_jobs_config *config, char **state, char **error)
{
	struct jobs *j = calloc(1, sizeof(*j));
	size_t size = WORKERS * sizeof(struct counters);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int result = -1;

	*state = *error = NULL;
	if (!j || page == MAP_FAILED)
		goto out;
	j->config = config;
	j->counters = page;
	if (!read_parts(j, config->state))
		fail(j, "%s", "the state of the search cannot be read", 0);
	for (unsigned w = 0; w < config->workers && w < WORKERS && !j->failed; w++)
		if (!start_worker(j, w))
			fail(j, "a %s cannot be started: error %d", "worker", errno);
	coordinate(j);
	end_workers(j);
	*error = j->error;
	if (!j->failed)
		result = j->parts ? 0 : 1;
	if (result == 0) {
		*state = print_parts(j);
		result = *state ? 0 : -1;
	}
	while (j->parts)
		drop_part(j, j->parts);
out:
	if (page != MAP_FAILED)
		munmap(page, size);
	free(j);
	return result;
}
