/* SPDX-License-Identifier: MIT */
/*
 * The driver: what a scenario needs in memory, the workers, and the report.
 *
 * No locks: the caller's thread; what it shares with a worker is the board.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "explore/host/internal.h"

#define PATIENCE 10.0     /* seconds without the end of a run */
#define STOP_PATIENCE 1.0 /* when it has been asked to stop */
#define LOOK_MS 10

struct fl_host_world fl_host_world;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The most pages that one copy fills. */
static uint64_t fill_pages(const struct fl_sc_statement *st, size_t n)
{
	uint64_t most = 1;

	for (size_t i = 0; i < n; i++) {
		uint64_t inside = fill_pages(st[i].body, st[i].bodies), other = fill_pages(st[i].orelse, st[i].orelses);

		if (st[i].op == FL_SC_COPY && (fl_host_bytes(&st[i].range) + FL_HOST_PAGE - 1) / FL_HOST_PAGE > most)
			most = (fl_host_bytes(&st[i].range) + FL_HOST_PAGE - 1) / FL_HOST_PAGE;
		most = inside > most ? inside : most;
		most = other > most ? other : most;
	}
	return most;
}

static void *map_anonymous(size_t size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Stacks that are aligned to their size. */
static char *map_stacks(void)
{
	size_t size = FL_HOST_STACK * (FL_EXPLORE_THREADS + 1);
	char *p = map_anonymous(size + FL_HOST_STACK, MAP_PRIVATE), *stacks;

	if (!p)
		return NULL;
	stacks = (char *)(((uintptr_t)p + FL_HOST_STACK - 1) & ~(FL_HOST_STACK - 1));
	if (stacks > p)
		munmap(p, (size_t)(stacks - p));
	munmap(stacks + size, (size_t)(p + FL_HOST_STACK - stacks));
	return stacks;
}

static bool make_world(const struct fl_scenario *s, const struct fl_host_options *options)
{
	struct fl_host_world *w = &fl_host_world;
	size_t board = (sizeof *w->board + 63) & ~63ul;
	char *shared;
	size_t most = 1;

	*w = (struct fl_host_world){
		.s = s, .options = options, .fresh = fl_host_leaves(s, 0), .awaits = fl_host_awaits(s)};
	for (size_t t = 0; t < s->threads; t++) {
		uint64_t pages = fill_pages(s->thread[t].body, s->thread[t].bodies);

		w->main_threads += !s->thread[t].process;
		most = pages > most ? pages : most;
	}
	w->fill_pages = fill_pages(s->setup, s->setups) > most ? fill_pages(s->setup, s->setups) : most;
	w->shared_size = board + s->results * sizeof *w->result + s->variables * sizeof *w->variable +
			 s->processes * sizeof *w->process + s->uffds * (sizeof *w->uffd + sizeof *w->nonblock);
	shared = map_anonymous(w->shared_size, MAP_SHARED);
	w->stacks = map_stacks();
	w->fill = map_anonymous((FL_EXPLORE_THREADS + 1) * w->fill_pages * FL_HOST_PAGE, MAP_PRIVATE);
	w->memory_fd = malloc((s->maps + 1) * sizeof *w->memory_fd);
	if (!shared || !w->stacks || !w->fill || !w->memory_fd)
		return false;
	w->board = (struct fl_host_board *)shared;
	w->result = (struct fl_host_value *)(shared + board);
	w->variable = (_Atomic(int64_t) *)(w->result + s->results);
	w->process = (struct fl_host_process *)(w->variable + s->variables);
	w->uffd = (_Atomic(int32_t) *)(w->process + s->processes);
	w->nonblock = (_Atomic(uint32_t) *)(w->uffd + s->uffds);
	for (size_t i = 0; i < s->maps; i++)
		w->memory_fd[i] = -1;
	return true;
}

static void drop_world(void)
{
	struct fl_host_world *w = &fl_host_world;

	if (w->board)
		munmap(w->board, w->shared_size);
	if (w->stacks)
		munmap(w->stacks, FL_HOST_STACK * (FL_EXPLORE_THREADS + 1));
	if (w->fill)
		munmap(w->fill, (FL_EXPLORE_THREADS + 1) * w->fill_pages * FL_HOST_PAGE);
	free(w->memory_fd);
	*w = (struct fl_host_world){0};
}

/* Where a run stands that does not end. */
static char *stuck_text(void)
{
	const struct fl_host_board *b = fl_host_world.board;
	const struct fl_scenario *s = fl_host_world.s;
	char where[512] = "";
	size_t used = 0;

	for (size_t t = 0; t < s->threads && used < sizeof where; t++)
		if (atomic_load(&b->slot[t].state) == FL_HOST_RUNS)
			used += (size_t)snprintf(where + used, sizeof where - used, "; %s is at line %u",
						 s->thread[t].name, atomic_load(&b->slot[t].line));
	return fl_host_text("%s: run %llu does not end on the running kernel%s", s->path,
			    (unsigned long long)atomic_load(&b->runs), used ? where : ": setup waits");
}

/* One worker to its end: true if another is needed. An error goes into *error. */
static bool watch(pid_t pid, double begun, char **error)
{
	struct fl_host_board *b = fl_host_world.board;
	const struct fl_host_options *o = fl_host_world.options;
	uint64_t runs = atomic_load(&b->runs);
	double moved = now(), asked = 0;
	bool killed = false;
	int status;

	for (;;) {
		struct timespec pause = {0, LOOK_MS * 1000000l};
		pid_t ended = waitpid(pid, &status, WNOHANG);

		if (ended == pid)
			break;
		if (nanosleep(&pause, NULL) && errno == EINTR)
			atomic_store(&b->stop, 1); /* by a signal that the caller handles */
		if (o->seconds > 0 && now() - begun > o->seconds)
			atomic_store(&b->stop, 1);
		if (atomic_load(&b->stop) && asked == 0)
			asked = now();
		if (asked > 0 && now() - asked > STOP_PATIENCE)
			killed = !kill(pid, SIGKILL);
		if (atomic_load(&b->runs) != runs) {
			runs = atomic_load(&b->runs);
			moved = now();
		} else if (now() - moved > PATIENCE && !killed) {
			*error = stuck_text();
			killed = true;
			kill(pid, SIGKILL);
		}
	}
	if (killed || (WIFEXITED(status) && WEXITSTATUS(status) == FL_HOST_EXIT_DONE))
		return false;
	if (WIFEXITED(status) && WEXITSTATUS(status) == FL_HOST_EXIT_AGAIN) {
		atomic_fetch_add(&b->runs, 1);
		return true;
	}
	if (atomic_load(&b->failed))
		*error = fl_host_text("%s: %s", fl_host_world.s->path, b->error);
	else
		*error = fl_host_text("%s: the process that ran the scenario died (status %#x)", fl_host_world.s->path,
				      (unsigned)status);
	return false;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct fl_host_outcome *)a)->text, ((const struct fl_host_outcome *)b)->text);
}

static int collect(struct fl_host_report *report)
{
	const struct fl_host_board *b = fl_host_world.board;
	size_t n = 0;

	for (size_t i = 0; i < FL_HOST_SEEN; i++)
		n += b->seen[i].text[0] != 0;
	report->runs = atomic_load(&b->runs);
	report->outcome = calloc(n + 1, sizeof *report->outcome);
	if (!report->outcome)
		return -1;
	for (size_t i = 0; i < FL_HOST_SEEN; i++) {
		if (!b->seen[i].text[0])
			continue;
		report->outcome[report->outcomes] =
			(struct fl_host_outcome){strdup(b->seen[i].text), atomic_load(&b->seen[i].runs)};
		if (!report->outcome[report->outcomes++].text)
			return -1;
	}
	qsort(report->outcome, report->outcomes, sizeof *report->outcome, by_text);
	return 0;
}

static char *run_all(struct fl_host_report *report)
{
	const struct fl_host_options *o = fl_host_world.options;
	struct fl_host_board *b = fl_host_world.board;
	double begun = now();
	char *error = NULL;
	bool again = true;

	while (again && !atomic_load(&b->stop) && atomic_load(&b->runs) < o->runs) {
		pid_t pid;

		fflush(NULL);
		pid = fork();
		if (pid < 0)
			return fl_host_text("%s: fork: %s", fl_host_world.s->path, strerror(errno));
		if (!pid)
			fl_host_worker();
		again = watch(pid, begun, &error);
	}
	report->seconds = now() - begun;
	if (!error && collect(report))
		error = fl_host_text("out of memory");
	return error;
}

int fl_host_run(const struct fl_scenario *s, const struct fl_host_options *options, struct fl_host_report *report,
		char **error)
{
	*report = (struct fl_host_report){0};
	*error = fl_host_refuse(s);
	if (*error)
		return -1;
	if (!make_world(s, options))
		*error = fl_host_text("%s: out of memory", s->path);
	else
		*error = run_all(report);
	drop_world();
	if (*error)
		fl_host_report_free(report);
	return *error ? -1 : 0;
}

void fl_host_report_free(struct fl_host_report *report)
{
	for (size_t i = 0; i < report->outcomes; i++)
		free(report->outcome[i].text);
	free(report->outcome);
	*report = (struct fl_host_report){0};
}
