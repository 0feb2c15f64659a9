/* SPDX-License-Identifier: MIT */
/*
 * Both sides in this process, and programs on them.
 *
 * No locks: one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "diff/player.h"

struct fl_pair *fl_pair_new(char **error)
{
	struct fl_pair *pair = calloc(1, sizeof(*pair));

	*error = NULL;
	if (!pair)
		return NULL;
	pair->host = fl_host_side_new(&pair->ground, error);
	if (pair->host) {
		pair->engine = fl_engine_side_new(&pair->ground);
		pair->play = pair->engine ? fl_play_new(pair->engine, pair->host) : NULL;
	}
	if (pair->play)
		return pair;
	fl_pair_free(pair);
	return NULL;
}

void fl_pair_free(struct fl_pair *pair)
{
	if (!pair)
		return;
	fl_play_free(pair->play);
	if (pair->engine)
		pair->engine->ops->free(pair->engine);
	if (pair->host)
		pair->host->ops->free(pair->host);
	free(pair);
}

void fl_outcome_free(struct fl_outcome *o)
{
	free(o->signature);
	free(o->text);
	fl_scenario_free(o->s);
	*o = (struct fl_outcome){0};
}

/* "what: first line of text". */
static char *signature_of(const char *what, const char *text)
{
	char *signature = NULL;

	if (asprintf(&signature, "%s: %.*s", what, (int)strcspn(text, "\n"), text) < 0)
		return NULL;
	return signature;
}

static void refuse(struct fl_outcome *o, char *error)
{
	o->kind = FL_OUTCOME_REFUSED;
	o->text = error;
	o->signature = signature_of("refused", error ? error : "out of memory");
}

void fl_pair_play(struct fl_pair *pair, const char *path, const char *text, bool every_step, struct fl_outcome *o)
{
	char *error = NULL;

	*o = (struct fl_outcome){0};
	o->s = fl_scenario_parse(path, text, &error);
	if (!o->s) {
		refuse(o, error);
		return;
	}
	error = fl_lower_refuse(o->s);
	if (error) {
		refuse(o, error);
		return;
	}
	pair->play->options.every_step = every_step;
	switch (fl_play_run(pair->play, o->s)) {
	case FL_PLAY_AGREE:
		o->kind = FL_OUTCOME_AGREE;
		break;
	case FL_PLAY_RULED:
		o->kind = FL_OUTCOME_RULED;
		break;
	case FL_PLAY_DIFFER:
		o->kind = FL_OUTCOME_DIFFER;
		o->signature = fl_play_signature(pair->play, o->s);
		break;
	case FL_PLAY_BROKEN:
		o->kind = pair->play->unbegun ? FL_OUTCOME_CANNOT : FL_OUTCOME_BROKEN;
		o->text = pair->play->text;
		pair->play->text = NULL;
		o->signature = signature_of("broke down", o->text ? o->text : "out of memory");
		break;
	}
	o->steps = pair->play->steps;
	o->rule = pair->play->rule;
}

void fl_pair_report(const struct fl_pair *pair, const struct fl_outcome *o, FILE *f)
{
	if (o->kind == FL_OUTCOME_BROKEN || o->kind == FL_OUTCOME_REFUSED || o->kind == FL_OUTCOME_CANNOT)
		fprintf(f, "%s\n", o->text ? o->text : "out of memory");
	else
		fl_report_play(pair->play, o->s, f);
}
