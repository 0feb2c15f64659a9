/* SPDX-License-Identifier: MIT */
/*
 * faultline-diff: random programs, or those of files, on the engine and on the running kernel.
 *
 * No locks: one thread.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <time.h>

#include "diff/command.h"
#include "faultline/mm.h"

volatile sig_atomic_t fl_diff_stop_asked;

/* One asks. Another half a second later does not wait for an answer; before that it is the same one, sent to all. */
static void on_stop(int sig)
{
	static struct timespec first;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!fl_diff_stop_asked) {
		first = now;
		fl_diff_stop_asked = sig;
	} else if ((now.tv_sec - first.tv_sec) * 1000 + (now.tv_nsec - first.tv_nsec) / 1000000 > 500) {
		signal(sig, SIG_DFL);
		raise(sig);
	}
}

int fl_diff_say(const char *format, ...)
{
	va_list ap;

	fputs("faultline diff: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return FL_DIFF_EXIT_CANNOT;
}

void fl_diff_warn_of_release(const char *release)
{
	unsigned major, minor;
	struct utsname self;

	if (!release && !uname(&self))
		release = self.release;
	if (!release)
		return;
	if (sscanf(release, "%u.%u", &major, &minor) != 2 ||
	    !fl_profile_tested(fl_profile_find(major, minor), major, minor))
		fl_diff_say("this kernel is Linux %s, and the engine is Linux %s: what differs may be the kernel's",
			    release, FL_DIFF_KERNEL);
}

static int do_what_is_asked(const struct fl_diff_settings *t)
{
	const struct sigaction action = {.sa_handler = on_stop};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (t->check_ground)
		return fl_diff_check_ground();
	if (!t->print)
		fl_diff_warn_of_release(NULL);
	if (t->program != UINT64_MAX)
		return fl_diff_one_program(t);
	return t->files ? fl_diff_files(t) : fl_diff_random(t);
}

int main(int argc, char **argv)
{
	struct fl_diff_settings t;
	int status;

	fl_host_side_settle(argv);
	if (fl_diff_settings_parse(&t, argc, argv, &status))
		status = do_what_is_asked(&t);
	if (fflush(stdout) || ferror(stdout))
		status = fl_diff_say("standard output could not be written whole");
	if (fl_diff_stop_asked) {
		/* End as the signal would have it: a shell's loop must stop, too. */
		signal(fl_diff_stop_asked, SIG_DFL);
		raise(fl_diff_stop_asked);
	}
	return status;
}
