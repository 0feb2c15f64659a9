/* SPDX-License-Identifier: MIT */
/*
 * faultline explore --format: the one layout of a scenario.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "explore/command.h"
#include "explore/report/report.h"

static int write_back(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	bool fine = f && fputs(text, f) >= 0;

	if (f && fclose(f))
		fine = false;
	return fine ? 0 : fl_say_error(path, fl_error_make("cannot be written: %s", strerror(errno)));
}

int fl_do_format(const struct fl_settings *t, const char *path)
{
	struct fl_scenario *s = fl_read_scenario(path);
	char *text = s ? fl_scenario_format(s) : NULL;
	int status = 0;

	if (!s)
		return FL_EXIT_USAGE;
	if (!text) {
		status = fl_say_error(path, NULL);
	} else if (!t->check && !t->in_place) {
		fputs(text, stdout);
	} else if (strcmp(text, s->text) != 0) {
		if (t->in_place) {
			status = write_back(path, text);
		} else {
			printf("%s: not in its layout; faultline explore --format -i %s puts it there\n", path, path);
			status = FL_EXIT_FOUND;
		}
	}
	free(text);
	fl_scenario_free(s);
	return status;
}
