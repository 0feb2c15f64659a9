/* SPDX-License-Identifier: MIT */
/*
 * A worker: one random program after the other. What it plays stands on the board before it is played, and, if asked for, on
 * the disk: it may be the last thing that this worker, or this kernel, does.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "diff/board.h"

#define LOG_HEAD 80

/* Where this worker's log is; -1: none is wanted; -2: it was said why not. */
static int open_log(const struct fl_diff_settings *t, unsigned slot)
{
	char *path = NULL;
	int fd;

	if (!t->log)
		return -1;
	if (asprintf(&path, "%s.%u", t->log, slot) < 0)
		return -2;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0) {
		fl_diff_say("--log: cannot write '%s': %s", path, strerror(errno));
		fd = -2;
	}
	free(path);
	return fd;
}

static bool write_log(int fd, const struct fl_diff_settings *t, uint64_t program, const char *text)
{
	char head[LOG_HEAD];
	int n = snprintf(head, sizeof(head), "# seed %" PRIu64 ", program %" PRIu64 "\n", t->seed, program);
	size_t len = strlen(text);

	if (fd < 0)
		return true;
	if (pwrite(fd, head, (size_t)n, 0) == n && pwrite(fd, text, len, n) == (ssize_t)len &&
	    !ftruncate(fd, n + (off_t)len) && !fdatasync(fd))
		return true;
	fl_diff_say("--log: cannot write: %s", strerror(errno));
	return false;
}

/* Hand it to the driver, and wait until that has it. */
static void tell(struct fl_slot *slot, const struct fl_pair *pair, const struct fl_outcome *o)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	char *report = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&report, &size);

	if (f) {
		fl_pair_report(pair, o, f);
		fclose(f);
	}
	slot->found.kind = (uint32_t)o->kind;
	fl_board_put(slot->found.signature, sizeof(slot->found.signature), o->signature);
	fl_board_put(slot->found.report, sizeof(slot->found.report), report ? report : "out of memory\n");
	free(report);
	atomic_store(&slot->state, FL_SLOT_FOUND);
	while (atomic_load(&slot->state) == FL_SLOT_FOUND)
		nanosleep(&moment, NULL);
}

/* One program. 0, or how the worker ends: FL_DIFF_EXIT_DIFFER: it has to begin anew. */
static int play(struct fl_board *b, struct fl_slot *slot, struct fl_pair *pair)
{
	struct fl_outcome o;
	int status;

	fl_pair_play(pair, "program", slot->found.text, false, &o);
	if (o.kind == FL_OUTCOME_CANNOT) {
		status = fl_diff_say("%s", o.text ? o.text : "out of memory");
		fl_outcome_free(&o);
		return status;
	}
	atomic_fetch_add(&slot->programs, 1);
	atomic_fetch_add(&slot->statements, o.steps);
	if (o.kind == FL_OUTCOME_RULED)
		atomic_fetch_add(&slot->ruled, 1);
	if (fl_outcome_is_bad(&o)) {
		atomic_fetch_add(&slot->bad, 1);
		if (!o.signature)
			o.signature = strdup("out of memory");
		if (o.signature && fl_board_is_new(b, o.signature))
			tell(slot, pair, &o);
	}
	status = o.kind == FL_OUTCOME_BROKEN ? FL_DIFF_EXIT_DIFFER : 0;
	fl_outcome_free(&o);
	return status;
}

/* The next number, and its text on the board. False: there is no other; or *status says that there is no memory for it. */
static bool next(const struct fl_diff_settings *t, struct fl_board *b, struct fl_slot *slot, const struct fl_pair *pair,
		 int *status)
{
	struct fl_generate_options options = t->generate;
	uint64_t i;
	char *text;

	if (atomic_load(&b->stop))
		return false;
	i = atomic_fetch_add(&b->next, 1);
	if (t->programs && i >= t->programs)
		return false;
	options.root = pair->ground.root;
	text = fl_generate(fl_diff_seed(t->seed, i), &options);
	if (!text) {
		*status = fl_diff_say("out of memory");
		return false;
	}
	slot->found.program = i;
	fl_board_put(slot->found.text, sizeof(slot->found.text), text);
	free(text);
	return true;
}

int fl_worker_run(const struct fl_diff_settings *t, struct fl_board *b, unsigned n)
{
	struct fl_slot *slot = &b->slot[n];
	struct fl_pair *pair;
	char *error;
	int log = open_log(t, n), status = 0;

	if (log == -2)
		return FL_DIFF_EXIT_CANNOT;
	pair = fl_pair_new(&error);
	if (!pair)
		return fl_diff_say("%s", error ? error : "out of memory");
	pair->play->cover = &b->cover;
	while (next(t, b, slot, pair, &status)) {
		atomic_store(&slot->began, true);
		if (!write_log(log, t, slot->found.program, slot->found.text)) {
			status = FL_DIFF_EXIT_CANNOT;
			break;
		}
		status = play(b, slot, pair);
		if (status)
			break;
	}
	fl_pair_free(pair);
	return status;
}
