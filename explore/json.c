/* SPDX-License-Identifier: MIT */
/*
 * faultline explore --json: what text says, for programs; one object a file.
 *
 * No locks: one thread.
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "explore/json.h"

static void add_text(struct json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, text ? json_object_new_string(text) : NULL);
}

static void add_count(struct json_object *to, const char *key, uint64_t n)
{
	json_object_object_add(to, key, json_object_new_uint64(n));
}

static void add_run(struct json_object *to, const struct fl_verdict *v, const struct fl_cut *cut, const char *id)
{
	char *name = fl_run_name_print(v->s, v->o, cut, id);

	add_text(to, "run", name);
	free(name);
}

static struct json_object *make_property(const struct fl_verdict *v, size_t i)
{
	static const char *const states[] = {
		[FL_SEEN] = "seen", [FL_NOT_YET] = "not yet", [FL_NEVER_SEEN] = "never seen"};
	const struct fl_sc_property *p = &v->s->property[i];
	struct json_object *to = json_object_new_object();
	const struct fl_explore_seen *witness;

	add_text(to, "when", fl_sc_when_name(p->when));
	add_text(to, "text", p->text);
	add_count(to, "line", p->place.line);
	if (p->when == FL_SC_SOMETIMES) {
		add_text(to, "state", states[fl_verdict_sometimes(v, i, &witness)]);
		if (witness)
			add_run(to, v, NULL, witness->run_id);
	} else {
		add_text(to, "state", fl_verdict_property(v, i));
	}
	return to;
}

static struct json_object *make_finding(const struct fl_verdict *v, const struct fl_explore_finding *f)
{
	struct json_object *to = json_object_new_object();
	struct fl_smallest small;
	const int tired = 1;
	char *error;

	add_text(to, "kind", fl_explore_kind_name(f->kind));
	if (fl_shrink(v->s, v->o, f, v->shrink ? v->stop : &tired, &small, &error)) {
		add_text(to, "text", f->text);
		add_run(to, v, NULL, f->run_id);
		free(error);
		return to;
	}
	add_text(to, "text", small.text);
	add_count(to, "preemptions", small.preemptions);
	add_count(to, "steps", small.events);
	add_run(to, v, fl_cut_is_empty(&small.cut) ? NULL : &small.cut, small.id);
	fl_smallest_free(&small);
	return to;
}

static void add_lists(struct json_object *to, const struct fl_verdict *v)
{
	struct json_object *properties = json_object_new_array(), *outcomes = json_object_new_array();
	struct json_object *findings = json_object_new_array();

	for (size_t i = 0; i < v->s->properties; i++)
		json_object_array_add(properties, make_property(v, i));
	for (size_t i = 0; i < v->report->outcomes; i++) {
		struct json_object *one = json_object_new_object();

		add_text(one, "text", v->report->outcome[i].text);
		add_count(one, "schedules", v->report->outcome[i].runs);
		add_run(one, v, NULL, v->report->outcome[i].run_id);
		json_object_array_add(outcomes, one);
	}
	for (size_t i = 0; i < v->report->findings; i++)
		json_object_array_add(findings, make_finding(v, &v->report->finding[i]));
	json_object_object_add(to, "properties", properties);
	json_object_object_add(to, "outcomes", outcomes);
	json_object_object_add(to, "findings", findings);
}

void fl_json_print(FILE *out, const struct fl_verdict *v)
{
	static const char *const searches[] = {[FL_EXPLORE_DPOR] = "dpor",
					       [FL_EXPLORE_BOUNDED] = "bounded",
					       [FL_EXPLORE_PCT] = "pct",
					       [FL_EXPLORE_RANDOM] = "random"};
	const struct fl_explore_report *r = v->report;
	struct json_object *to = json_object_new_object();

	add_text(to, "file", v->path);
	add_text(to, "question", v->s->question);
	add_text(to, "search", searches[v->o->search]);
	add_text(to, "memory", v->o->memory == FL_EXPLORE_TSO ? "tso" : "sc");
	add_count(to, "preemptions", v->o->preemptions);
	json_object_object_add(to, "complete", json_object_new_boolean(r->complete));
	add_count(to, "schedules", r->schedules);
	add_count(to, "cut", r->cut);
	add_count(to, "over", r->over);
	add_count(to, "longest", r->longest);
	add_count(to, "steps", r->events);
	add_count(to, "steps_repeated", r->replayed);
	add_count(to, "choice_points", r->choice_points);
	add_count(to, "switches", r->switches);
	json_object_object_add(to, "seconds", json_object_new_double(r->seconds));
	add_count(to, "blocks_reached", r->blocks_reached);
	add_count(to, "blocks", r->blocks);
	add_lists(to, v);
	fprintf(out, "%s\n", json_object_to_json_string_ext(to, JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(to);
}
