/* SPDX-License-Identifier: MIT */
/*
 * What to do with a program that shows a divergence: play it again with every step looked at, leave out what is not needed, save
 * it, and print both sides.
 *
 * No locks: a process of its own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>

#include "diff/board.h"

#define SHRINK_SECONDS 20 /* after so long what is there must do */
#define PLAY_SECONDS 5.0
#define TRIES 5
#define ORIGIN 512

struct shrink {
	struct fl_player *player;
	const char *signature;
	unsigned flags;
	time_t end;
};

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static bool still(void *arg, const char *text)
{
	const struct shrink *s = arg;
	struct fl_outcome o;
	bool same;

	if (now() > s->end)
		return false;
	fl_player_play(s->player, "candidate", text, s->flags, &o);
	same = fl_outcome_is_bad(&o) && o.signature && !strcmp(o.signature, s->signature);
	fl_outcome_free(&o);
	return same;
}

/* Is it shown again? With every step looked at if that shows it. NULL: no. Else the signature, to free. */
static char *again(struct fl_player *player, const char *text, unsigned *flags)
{
	for (unsigned try = 0; try < TRIES; try++) {
		struct fl_outcome o;
		char *signature = NULL;

		*flags = try % 2 ? 0 : FL_PLAYER_STEPS;
		fl_player_play(player, "program", text, *flags, &o);
		if (fl_outcome_is_bad(&o)) {
			signature = o.signature;
			o.signature = NULL;
		}
		fl_outcome_free(&o);
		if (signature)
			return signature;
	}
	return NULL;
}

static unsigned lines_of(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* Where it is from: "seed 1, program 2", or the file. Into buf; returns buf. */
static const char *origin(const struct fl_diff_settings *t, const struct fl_found *f, char *buf, size_t size)
{
	char options[256];

	if (f->path)
		snprintf(buf, size, "from %s", f->path);
	else
		snprintf(buf, size, "seed %" PRIu64 ", program %" PRIu64 "%s", t->seed, f->program,
			 fl_diff_settings_again(t, options, sizeof(options)));
	return buf;
}

/* The program with a comment on top that says where it is from, in the one layout. To free. */
static char *dressed(const struct fl_diff_settings *t, const struct fl_found *f, const char *signature,
		     const char *text)
{
	struct utsname self;
	struct fl_scenario *s;
	char from[ORIGIN], *whole = NULL, *error = NULL, *formatted;

	if (uname(&self))
		strcpy(self.release, "?");
	if (asprintf(&whole, "# faultline diff: %s\n# %s, Linux %s\n%s", signature, origin(t, f, from, sizeof(from)),
		     self.release, text) < 0)
		return NULL;
	s = fl_scenario_parse("program", whole, &error);
	formatted = s ? fl_scenario_format(s) : NULL;
	fl_scenario_free(s);
	free(error);
	if (!formatted)
		return whole;
	free(whole);
	return formatted;
}

/* The file's name, to free; NULL: it was said why not. */
static char *save(const struct fl_diff_settings *t, const char *signature, const char *text)
{
	char *path = NULL;
	FILE *f;
	bool fine;

	mkdir(t->save, 0777);
	if (asprintf(&path, "%s/%016" PRIx64 ".fl", t->save, fl_diff_hash(signature, strlen(signature))) < 0)
		return NULL;
	f = fopen(path, "we");
	fine = f && fputs(text, f) >= 0;
	if (f && fclose(f))
		fine = false;
	if (fine)
		return path;
	fl_diff_say("cannot save '%s': %s", path, strerror(errno));
	free(path);
	return NULL;
}

static void print(const struct fl_diff_settings *t, const struct fl_found *f, const char *signature, const char *text,
		  const char *report, const char *how)
{
	char from[ORIGIN], *whole = dressed(t, f, signature, text), *path = whole ? save(t, signature, whole) : NULL;

	printf("DIVERGENCE %s\n  %s; %s\n\n%s%s%s\n", signature, origin(t, f, from, sizeof(from)), how,
	       path ? "" : text, path ? "" : "\n", report);
	if (!f->path)
		printf("  again: faultline diff --seed %" PRIu64 " --program %" PRIu64 "%s\n", t->seed, f->program,
		       fl_diff_settings_again(t, from, sizeof(from)));
	if (path)
		printf("  small: faultline diff %s\n", path);
	putchar('\n');
	free(whole);
	free(path);
}

/* It is shown again: as small as it gets. Takes text. */
static void tell_small(const struct fl_diff_settings *t, const struct fl_found *f, struct shrink *s, char *text)
{
	unsigned rounds = 0, lines = lines_of(text);
	struct fl_outcome o;
	char *small = t->no_shrink ? text : fl_shrink(text, still, s, &rounds), *how = NULL;

	if (!small) {
		fl_diff_say("out of memory");
		return;
	}
	fl_player_play(s->player, "program", small, s->flags | FL_PLAYER_REPORT, &o);
	if (asprintf(&how, "%u of %u lines, after %u tries", lines_of(small), lines, rounds) >= 0)
		print(t, f, s->signature, small, o.text ? o.text : f->report, how);
	free(how);
	fl_outcome_free(&o);
	free(small);
}

bool fl_found_tell(const struct fl_diff_settings *t, struct fl_board *b, const struct fl_found *f, unsigned slot)
{
	struct shrink s = {.player = fl_player_new(slot, PLAY_SECONDS), .end = now() + SHRINK_SECONDS};
	char *signature, *text = strdup(f->text);
	bool fresh = true;

	if (!s.player || !text) {
		fl_diff_say("out of memory");
		return true;
	}
	signature = again(s.player, text, &s.flags);
	if (!signature) {
		print(t, f, f->signature, text, f->report, "it was NOT shown again when it was played again");
		free(text);
	} else if (strcmp(signature, f->signature) != 0 && !fl_board_is_new(b, signature)) {
		fresh = false;
		free(text);
	} else {
		s.signature = signature;
		tell_small(t, f, &s, text);
	}
	free(signature);
	fl_player_free(s.player);
	return fresh;
}
