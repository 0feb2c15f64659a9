/* SPDX-License-Identifier: MIT */
/*
 * Several files at once: a process each, as many at a time as asked for. What they say is kept and printed in the order of
 * the command line, so that it is the same however long each takes.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explore/command.h"
#include "explore/report/report.h"

struct job {
	pid_t pid; /* 0: not begun; -1: done */
	int status;
	FILE *out, *err;
};

static int run_child(const struct fl_settings *t, int (*task)(const struct fl_settings *, const char *),
		     const char *path, const struct job *j)
{
	int status;

	if (dup2(fileno(j->out), STDOUT_FILENO) < 0 || dup2(fileno(j->err), STDERR_FILENO) < 0)
		return FL_EXIT_USAGE;
	status = task(t, path);
	if (fflush(stdout))
		status = FL_EXIT_USAGE;
	return fl_stop_asked ? 0 : status;
}

static bool begin(struct job *j, const struct fl_settings *t, int (*task)(const struct fl_settings *, const char *),
		  const char *path)
{
	j->out = tmpfile();
	j->err = tmpfile();
	j->pid = j->out && j->err ? fork() : -1;
	if (!j->pid)
		_exit(run_child(t, task, path, j));
	if (j->pid > 0)
		return true;
	j->status = fl_say_error(path, fl_error_make("cannot begin a process: %s; try --jobs 1", strerror(errno)));
	j->pid = -1;
	return false;
}

static void copy(FILE *from, FILE *to)
{
	char buf[4096];
	size_t n;

	if (!from)
		return;
	rewind(from);
	while ((n = fread(buf, 1, sizeof(buf), from)) > 0)
		fwrite(buf, 1, n, to);
	fclose(from);
	fflush(to);
}

/* Print what is done and has nothing undone before it. Returns how many have been printed. */
static int print_done(struct job *job, int files, int printed)
{
	while (printed < files && job[printed].pid < 0) {
		copy(job[printed].out, stdout);
		copy(job[printed].err, stderr);
		printed++;
	}
	return printed;
}

static void stop_all(const struct job *job, int files)
{
	for (int i = 0; i < files; i++)
		if (job[i].pid > 0)
			kill(job[i].pid, SIGTERM);
}

/* Wait for one. Told to stop, tell the others, once. */
static void reap(struct job *job, const struct fl_settings *t, bool *told)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	if (pid < 0 && fl_stop_asked && !*told) {
		*told = true;
		stop_all(job, t->files);
	}
	for (int i = 0; i < t->files && pid > 0; i++) {
		if (job[i].pid != pid)
			continue;
		job[i].pid = -1;
		job[i].status = WEXITSTATUS(status);
		if (WIFSIGNALED(status))
			job[i].status =
				fl_say_error(t->file[i], fl_error_make("its process ended by signal %d (%s)",
								       WTERMSIG(status), strsignal(WTERMSIG(status))));
	}
}

int fl_jobs(const struct fl_settings *t, int (*task)(const struct fl_settings *, const char *))
{
	struct job *job = calloc((size_t)t->files, sizeof(*job));
	int begun = 0, printed = 0, status = 0;
	unsigned running = 0;
	bool told = false;

	if (!job)
		return fl_say_error("--jobs", NULL);
	fflush(NULL);
	while ((begun < t->files && !fl_stop_asked) || running) {
		while (begun < t->files && running < t->jobs && !fl_stop_asked) {
			running += begin(&job[begun], t, task, t->file[begun]);
			begun++;
		}
		if (running)
			reap(job, t, &told);
		running = 0;
		for (int i = 0; i < begun; i++)
			running += job[i].pid > 0;
		printed = print_done(job, begun, printed);
	}
	print_done(job, begun, printed);
	for (int i = 0; i < begun; i++)
		status = job[i].status > status ? job[i].status : status;
	free(job);
	return status;
}
