/* SPDX-License-Identifier: MIT */
/*
 * See state.h. Lines of "name value", what was done so far, and the explorer's text to the end of the file.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore/report/report.h"
#include "explore/state.h"

#define MAGIC "faultline-explore state 1"

static void print_options(FILE *f, const struct fl_explore_options *o)
{
	fprintf(f, "search %d\nmemory %d\nschedules %" PRIu64 "\npreemptions %" PRIu32 "\nseed %" PRIu64 "\n",
		(int)o->search, (int)o->memory, o->schedules, o->preemptions, o->seed);
	fprintf(f, "events %" PRIu32 "\nalloc-fails %" PRIu32 "\nno-plain %d\nkeep-going %d\n", o->events,
		o->alloc_fails, o->no_plain, o->keep_going);
}

bool fl_saved_write(const char *file, const struct fl_scenario *s, const struct fl_explore_options *o,
		    const struct fl_explore_report *report, char **error)
{
	char *fresh = fl_error_make("%s.new", file), *path = realpath(s->path, NULL);
	FILE *f = fresh ? fopen(fresh, "we") : NULL;
	bool fine = f && path;

	*error = NULL;
	if (fine) {
		fprintf(f, "%s\nfile %s\nhash %016" PRIx64 "\n", MAGIC, path, s->hash);
		print_options(f, o);
		fl_ledger_write(f, report);
		fputs(report->state, f);
	}
	if (f && (fflush(f) || ferror(f)))
		fine = false;
	if (f && fclose(f))
		fine = false;
	if (!fine || rename(fresh, file)) {
		*error = fl_error_make("cannot write '%s': %s; name another file with --state", file, strerror(errno));
		if (f)
			unlink(fresh);
		fine = false;
	}
	free(fresh);
	free(path);
	return fine;
}

static char *read_all(const char *file)
{
	FILE *f = fopen(file, "re");
	char *text = NULL;
	size_t room = 0;
	ssize_t n;

	if (!f)
		return NULL;
	errno = 0;
	n = getdelim(&text, &room, '\0', f);
	if (n < 0 && feof(f) && text)
		*text = '\0';
	else if (n < 0) {
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

/* "name NUMBER\n". False: it is not there, or out of range. */
static bool take(char **at, const char *name, uint64_t max, uint64_t *value)
{
	size_t len = strlen(name);
	char *end;

	if (strncmp(*at, name, len) != 0 || (*at)[len] != ' ')
		return false;
	errno = 0;
	*value = strtoull(*at + len + 1, &end, strcmp(name, "hash") ? 10 : 16);
	if (errno || *end != '\n' || *value > max)
		return false;
	*at = end + 1;
	return true;
}

static bool parse(struct fl_saved *saved, char *at)
{
	struct fl_explore_options *o = &saved->options;
	uint64_t search, memory, preemptions, events, alloc_fails, no_plain, keep_going;
	char *end;

	if (strncmp(at, MAGIC "\nfile ", sizeof(MAGIC "\nfile ") - 1) != 0)
		return false;
	at += sizeof(MAGIC "\nfile ") - 1;
	end = strchr(at, '\n');
	if (!end)
		return false;
	saved->path = strndup(at, (size_t)(end - at));
	at = end + 1;
	if (!saved->path || !take(&at, "hash", UINT64_MAX, &saved->hash) ||
	    !take(&at, "search", FL_EXPLORE_RANDOM, &search) || !take(&at, "memory", FL_EXPLORE_TSO, &memory) ||
	    !take(&at, "schedules", UINT64_MAX, &o->schedules) || !take(&at, "preemptions", UINT32_MAX, &preemptions) ||
	    !take(&at, "seed", UINT64_MAX, &o->seed) || !take(&at, "events", UINT32_MAX, &events) ||
	    !take(&at, "alloc-fails", UINT32_MAX, &alloc_fails) || !take(&at, "no-plain", 1, &no_plain) ||
	    !take(&at, "keep-going", 1, &keep_going) || !fl_ledger_read(&at, &saved->report))
		return false;
	o->search = (enum fl_explore_search)search;
	o->memory = (enum fl_explore_memory)memory;
	o->preemptions = (uint32_t)preemptions;
	o->events = (uint32_t)events;
	o->alloc_fails = (uint32_t)alloc_fails;
	o->no_plain = no_plain;
	o->keep_going = keep_going;
	saved->text = strdup(at);
	return saved->text;
}

bool fl_saved_read(const char *file, struct fl_saved *saved, char **error)
{
	char *text = read_all(file);
	bool fine;

	*saved = (struct fl_saved){0};
	*error = NULL;
	if (!text) {
		*error = fl_error_make("cannot read '%s': %s; --resume wants the file that a stopped exploration left",
				       file, strerror(errno));
		return false;
	}
	fine = parse(saved, text);
	free(text);
	if (!fine) {
		*error = fl_error_make("'%s' is not what a stopped exploration of this version leaves", file);
		fl_saved_free(saved);
	}
	return fine;
}

void fl_saved_free(struct fl_saved *saved)
{
	free(saved->path);
	free(saved->text);
	fl_explore_report_free(&saved->report);
	*saved = (struct fl_saved){0};
}
