/* SPDX-License-Identifier: MIT */
/*
 * A run of random programs: keeps workers at work, hears what they find, and gives up on none: one that dies or hangs
 * has found something.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "diff/board.h"

#define DIVERGENCES_MAX 20u
#define HANGS_SECONDS 20.0
#define LEAVE_SECONDS 5.0 /* what a worker has to end its program */
#define LOOK_NSEC 20000000
#define SHRINKERS 2u

struct worker {
	pid_t pid; /* 0: none, and none wanted any more */
	FILE *err;
	uint64_t programs; /* as last seen */
	double changed;    /* when that changed */
};

struct shrinker {
	pid_t pid; /* 0: free */
	FILE *out, *err;
	struct fl_found found; /* a copy: the worker goes on */
};

struct driver {
	const struct fl_diff_settings *t;
	struct fl_board *board;
	struct worker *worker;
	struct shrinker shrinker[SHRINKERS];
	struct fl_run run;
	double began;
	int status; /* FL_DIFF_EXIT_CANNOT: nothing can be played */
};

static double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void begin_worker(struct driver *d, unsigned i)
{
	struct worker *w = &d->worker[i];
	struct fl_slot *slot = &d->board->slot[i];

	if (!w->err)
		w->err = tmpfile();
	atomic_store(&slot->began, false);
	atomic_store(&slot->state, FL_SLOT_PLAYING);
	w->programs = atomic_load(&slot->programs);
	w->changed = clock_now();
	w->pid = -1;
	if (w->err && !ftruncate(fileno(w->err), 0) && !lseek(fileno(w->err), 0, SEEK_SET))
		w->pid = fl_child_fork(i, w->err);
	if (!w->pid)
		_exit(fl_worker_run(d->t, d->board, i));
	if (w->pid > 0)
		return;
	w->pid = 0;
	d->status = fl_diff_say("cannot begin a process: %s; try --jobs 1", strerror(errno));
}

static void copy(FILE *from, FILE *to)
{
	char *said = fl_child_said(from);

	fputs(said ? said : "out of memory\n", to);
	fflush(to);
	free(said);
}

/* Somebody has to make it small. False: all are at it. */
static bool hand_on(struct driver *d, const struct fl_found *f)
{
	struct shrinker *s = d->shrinker;

	while (s < d->shrinker + SHRINKERS && s->pid)
		s++;
	if (s == d->shrinker + SHRINKERS)
		return false;
	if (!d->run.before)
		d->run.before = fl_run_programs(&d->run);
	s->found = *f;
	s->out = tmpfile();
	s->err = tmpfile();
	s->pid = s->out && s->err ? fl_child_fork((unsigned)(s - d->shrinker), s->err) : -1;
	if (!s->pid) {
		bool fresh = dup2(fileno(s->out), STDOUT_FILENO) >= 0 &&
			     fl_found_tell(d->t, d->board, &s->found, (unsigned)(s - d->shrinker));

		fflush(stdout);
		_exit(fresh ? 0 : 1);
	}
	if (s->pid > 0)
		return true;
	s->pid = 0;
	fl_diff_say("cannot begin a process to make a program small: %s", strerror(errno));
	printf("DIVERGENCE %s\n\n%s\n%s\n", f->signature, f->text, f->report);
	d->run.divergences++;
	return true;
}

static void end_shrinker(struct driver *d, struct shrinker *s, int status)
{
	s->pid = 0;
	if (!WIFEXITED(status))
		fl_diff_say("the process that made a program small ended by signal %d", WTERMSIG(status));
	if (!WIFEXITED(status) || !WEXITSTATUS(status)) {
		fl_run_progress(NULL, true);
		copy(s->out, stdout);
		d->run.divergences++;
	}
	copy(s->err, stderr);
	fclose(s->out);
	fclose(s->err);
}

static bool reap(pid_t pid, int *status)
{
	return pid > 0 && waitpid(pid, status, WNOHANG) == pid;
}

static bool look_at_shrinkers(struct driver *d)
{
	bool busy = false;
	int status;

	for (unsigned i = 0; i < SHRINKERS; i++) {
		if (reap(d->shrinker[i].pid, &status))
			end_shrinker(d, &d->shrinker[i], status);
		busy |= d->shrinker[i].pid != 0;
	}
	return busy;
}

/* The worker is dead, or was killed because it hangs (then how says so): what it played has done that. */
static void died(struct driver *d, unsigned i, int status, const char *how)
{
	const struct timespec moment = {.tv_nsec = LOOK_NSEC};
	struct fl_slot *slot = &d->board->slot[i];
	struct fl_outcome o = {0};

	if (how) {
		o.kind = FL_OUTCOME_BROKEN;
		o.signature = strdup("no end");
		o.text = strdup(how);
	} else {
		fl_child_outcome(status, d->worker[i].err, &o);
	}
	atomic_fetch_add(&slot->programs, 1);
	atomic_fetch_add(&slot->bad, 1);
	if (o.signature && fl_board_is_new(d->board, o.signature)) {
		slot->found.kind = (uint32_t)o.kind;
		fl_board_put(slot->found.signature, sizeof(slot->found.signature), o.signature);
		fl_board_put(slot->found.report, sizeof(slot->found.report), o.text ? o.text : "");
		while (!hand_on(d, &slot->found) && !fl_diff_stop_asked) {
			nanosleep(&moment, NULL);
			look_at_shrinkers(d);
		}
	}
	fl_outcome_free(&o);
}

static void ended(struct driver *d, unsigned i, int status)
{
	struct worker *w = &d->worker[i];
	bool began = atomic_load(&d->board->slot[i].began);

	/* What it forked goes with it. */
	kill(-w->pid, SIGKILL);
	w->pid = 0;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == FL_DIFF_EXIT_CANNOT) {
		copy(w->err, stderr);
		d->status = FL_DIFF_EXIT_CANNOT;
		return;
	}
	if (!began) {
		copy(w->err, stderr);
		d->status = fl_diff_say("a worker broke down before its first program");
		return;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != FL_DIFF_EXIT_DIFFER)
		died(d, i, status, NULL);
	if (!atomic_load(&d->board->stop))
		begin_worker(d, i);
}

/* Has it anything to say, and is it still alive? */
static void look_at_worker(struct driver *d, unsigned i)
{
	struct fl_slot *slot = &d->board->slot[i];
	struct worker *w = &d->worker[i];
	uint64_t programs = atomic_load(&slot->programs);
	int status;

	if (!w->pid)
		return;
	if (atomic_load(&slot->state) == FL_SLOT_FOUND) {
		w->changed = clock_now();
		if (hand_on(d, &slot->found))
			atomic_store(&slot->state, FL_SLOT_PLAYING);
		return;
	}
	if (reap(w->pid, &status)) {
		ended(d, i, status);
	} else if (programs != w->programs) {
		w->programs = programs;
		w->changed = clock_now();
	} else if (clock_now() - w->changed > HANGS_SECONDS && atomic_load(&slot->began)) {
		fl_child_kill(w->pid);
		w->pid = 0;
		died(d, i, 0, "it did not end within 20 s");
		if (!atomic_load(&d->board->stop))
			begin_worker(d, i);
	}
}

static void stop_if_it_is_time(struct driver *d)
{
	bool many = d->run.divergences >= (d->t->first ? 1 : DIVERGENCES_MAX) && !d->t->keep_going;

	if (fl_diff_stop_asked || many)
		d->run.stopped = true;
	if (d->run.stopped || d->status || (d->t->seconds && d->run.seconds >= (double)d->t->seconds))
		atomic_store(&d->board->stop, true);
}

/* Until no worker is left: all programs are done, or it is time to stop. */
static void work(struct driver *d)
{
	const struct timespec moment = {.tv_nsec = LOOK_NSEC};
	double stop_at = 0;
	bool busy = true;

	while (busy) {
		nanosleep(&moment, NULL);
		d->run.seconds = clock_now() - d->began;
		stop_if_it_is_time(d);
		if (atomic_load(&d->board->stop) && stop_at == 0)
			stop_at = clock_now();
		busy = look_at_shrinkers(d);
		for (unsigned i = 0; i < d->t->jobs; i++) {
			look_at_worker(d, i);
			if (d->worker[i].pid && stop_at > 0 && clock_now() - stop_at > LEAVE_SECONDS) {
				fl_child_kill(d->worker[i].pid);
				d->worker[i].pid = 0;
			}
			busy |= d->worker[i].pid != 0;
		}
		if (fl_diff_stop_asked && stop_at > 0 && clock_now() - stop_at > LEAVE_SECONDS)
			break;
		if (!d->t->quiet)
			fl_run_progress(&d->run, false);
	}
}

/* Who is still there when a signal does not want to wait. */
static void end_all(struct driver *d)
{
	for (unsigned i = 0; i < SHRINKERS; i++) {
		if (d->shrinker[i].pid)
			end_shrinker(d, &d->shrinker[i], fl_child_kill(d->shrinker[i].pid));
	}
	for (unsigned i = 0; i < d->t->jobs; i++) {
		if (d->worker[i].err)
			fclose(d->worker[i].err);
	}
}

static void free_driver(struct driver *d)
{
	if (d)
		free(d->worker);
	if (d)
		fl_board_free(d->board, d->t->jobs);
	free(d);
}

static struct driver *new_driver(const struct fl_diff_settings *t)
{
	struct driver *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->t = t;
	d->board = fl_board_new(t->jobs);
	d->worker = calloc(t->jobs, sizeof(*d->worker));
	d->run = (struct fl_run){.settings = t, .board = d->board};
	d->began = clock_now();
	if (d->board && d->worker)
		return d;
	free_driver(d);
	return NULL;
}

int fl_diff_random(const struct fl_diff_settings *t)
{
	struct driver *d = new_driver(t);
	uint64_t bad = 0;
	int status;

	if (!d)
		return fl_diff_say("out of memory");
	for (unsigned i = 0; i < t->jobs && !d->status; i++)
		begin_worker(d, i);
	work(d);
	end_all(d);
	fl_run_progress(NULL, true);
	if (!d->status)
		fl_run_summary(&d->run);
	for (unsigned i = 0; i < t->jobs; i++)
		bad += atomic_load(&d->board->slot[i].bad);
	status = d->status ? d->status : bad ? FL_DIFF_EXIT_DIFFER : 0;
	free_driver(d);
	return status;
}
