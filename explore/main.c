/* SPDX-License-Identifier: MIT */
/*
 * faultline-explore: each file of the command line in turn; the worst exit status is the command's.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <time.h>

#include "explore/command.h"

volatile sig_atomic_t fl_stop_asked;

/* One asks. Another half a second later does not wait for an answer; before that it is the same one, sent to all. */
static void on_stop(int sig)
{
	static struct timespec first;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!fl_stop_asked) {
		first = now;
		fl_stop_asked = sig;
	} else if ((now.tv_sec - first.tv_sec) * 1000 + (now.tv_nsec - first.tv_nsec) / 1000000 > 500) {
		signal(sig, SIG_DFL);
		raise(sig);
	}
}

void fl_stop_on_signals(void)
{
	const struct sigaction action = {.sa_handler = on_stop};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int each(const struct fl_settings *t, int (*task)(const struct fl_settings *, const char *))
{
	int status = 0;

	for (int i = 0; i < t->files && !fl_stop_asked; i++) {
		int one = task(t, t->file[i]);

		status = one > status ? one : status;
	}
	return status;
}

int main(int argc, char **argv)
{
	static int (*const modes[])(const struct fl_settings *, const char *) = {
		[FL_MODE_EXPLORE] = fl_do_explore, [FL_MODE_REPLAY] = fl_do_replay, [FL_MODE_GDB] = fl_do_gdb,
		[FL_MODE_STOP] = fl_do_stop,       [FL_MODE_HOST] = fl_do_host,     [FL_MODE_FORMAT] = fl_do_format,
	};
	struct fl_settings t = {0};
	int status = 0;

	if (!fl_settings_parse(&t, argc, argv, &status))
		return status;
	if (t.mode == FL_MODE_EXPLORE)
		fl_stop_on_signals();
	if (t.resume)
		status = fl_do_resume(&t, t.files ? t.file[0] : NULL);
	else if (t.mode == FL_MODE_EXPLORE && t.files > 1 && t.jobs > 1)
		status = fl_jobs(&t, modes[t.mode]);
	else
		status = each(&t, modes[t.mode]);
	if (fflush(stdout) || ferror(stdout)) {
		fputs("faultline explore: standard output could not be written whole\n", stderr);
		status = FL_EXIT_USAGE;
	}
	if (fl_stop_asked) {
		/* End as the signal would have it: a shell's loop must stop, too. */
		signal(fl_stop_asked, SIG_DFL);
		raise(fl_stop_asked);
	}
	return status;
}
