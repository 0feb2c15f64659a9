/* SPDX-License-Identifier: MIT */
/*
 * Programs from files, or one of a run: every step looked at, and what differs printed.
 *
 * No locks: one thread.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diff/board.h"

#define PLAY_SECONDS 20.0

static int say_outcome(const struct fl_diff_settings *t, const char *path, const struct fl_outcome *o)
{
	switch (o->kind) {
	case FL_OUTCOME_AGREE:
	case FL_OUTCOME_RULED:
		if (t->quiet)
			return 0;
		printf("%s: both sides agree, %u statements\n", path, o->steps);
		if (o->kind == FL_OUTCOME_RULED)
			printf("  but for rule %s: %s\n", fl_rules[o->rule].name, fl_rules[o->rule].reason);
		if (t->verbose && o->text)
			printf("\n%s\n", o->text);
		return 0;
	case FL_OUTCOME_DIFFER:
	case FL_OUTCOME_BROKEN:
		printf("%s: DIVERGENCE %s\n\n%s\n", path, o->signature ? o->signature : "",
		       o->text ? o->text : "out of memory\n");
		return FL_DIFF_EXIT_DIFFER;
	case FL_OUTCOME_REFUSED:
		/* It names the place itself. */
		fprintf(stderr, "%s\n", o->text ? o->text : "out of memory");
		return FL_DIFF_EXIT_CANNOT;
	case FL_OUTCOME_CANNOT:
		break;
	}
	return fl_diff_say("%s", o->text ? o->text : "out of memory");
}

/* --shrink */
static int make_small(const struct fl_diff_settings *t, const char *path, const char *text)
{
	struct fl_board *board = fl_board_new(1);

	if (!board)
		return fl_diff_say("out of memory");
	board->slot[0].found.path = path;
	fl_board_put(board->slot[0].found.text, FL_BOARD_TEXT, text);
	fl_found_tell(t, board, &board->slot[0].found, 0);
	fl_board_free(board, 1);
	return FL_DIFF_EXIT_DIFFER;
}

static int play(const struct fl_diff_settings *t, struct fl_player *player, const char *path, const char *text)
{
	struct fl_outcome o;
	int status;

	fl_player_play(player, path, text, FL_PLAYER_STEPS | (t->verbose ? FL_PLAYER_ANSWERS : FL_PLAYER_REPORT), &o);
	if (t->shrink && (o.kind == FL_OUTCOME_DIFFER || o.kind == FL_OUTCOME_BROKEN))
		status = make_small(t, path, text);
	else
		status = say_outcome(t, path, &o);
	fl_outcome_free(&o);
	return status;
}

static int play_file(const struct fl_diff_settings *t, struct fl_player *player, const char *path)
{
	char *error = NULL;
	struct fl_scenario *s = fl_scenario_read(path, &error);
	int status;

	if (!s) {
		fprintf(stderr, error ? "%s\n" : "%s: out of memory\n", error ? error : path);
		free(error);
		return FL_DIFF_EXIT_CANNOT;
	}
	status = play(t, player, path, s->text);
	fl_scenario_free(s);
	return status;
}

int fl_diff_files(const struct fl_diff_settings *t)
{
	struct fl_player *player = fl_player_new(0, PLAY_SECONDS);
	int status = 0;

	if (!player)
		return fl_diff_say("out of memory");
	for (int i = 0; i < t->files && !fl_diff_stop_asked; i++) {
		int one = play_file(t, player, t->file[i]);

		status = one > status ? one : status;
	}
	fl_player_free(player);
	return status;
}

/* What this host lets programs do decides what they do. */
static char *generate(const struct fl_diff_settings *t)
{
	struct fl_generate_options options = t->generate;
	char *error, *text;
	struct fl_pair *pair = fl_pair_new(&error);

	if (!pair) {
		fl_diff_say("%s", error ? error : "out of memory");
		free(error);
		return NULL;
	}
	options.root = pair->ground.root;
	fl_pair_free(pair);
	text = fl_generate(fl_diff_seed(t->seed, t->program), &options);
	if (!text)
		fl_diff_say("out of memory");
	return text;
}

int fl_diff_one_program(const struct fl_diff_settings *t)
{
	struct fl_player *player = fl_player_new(0, PLAY_SECONDS);
	char name[64], *text = player ? generate(t) : NULL;
	int status = FL_DIFF_EXIT_CANNOT;

	snprintf(name, sizeof(name), "program %" PRIu64 " of seed %" PRIu64, t->program, t->seed);
	if (text && t->print)
		status = fputs(text, stdout) < 0 ? FL_DIFF_EXIT_CANNOT : 0;
	else if (text)
		status = play(t, player, name, text);
	free(text);
	fl_player_free(player);
	return status;
}
