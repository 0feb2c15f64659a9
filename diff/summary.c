/* SPDX-License-Identifier: MIT */
/*
 * What is said of a run of random programs: a line while it goes on, and the end.
 *
 * No locks: the board's counters are atomics.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "diff/board.h"

#define EVERY_TERMINAL 0.5
#define EVERY_FILE 10.0

struct totals {
	uint64_t programs, statements, ruled, bad;
};

static struct totals add_up(const struct fl_run *r)
{
	struct totals t = {0};

	for (unsigned i = 0; i < r->settings->jobs; i++) {
		t.programs += atomic_load(&r->board->slot[i].programs);
		t.statements += atomic_load(&r->board->slot[i].statements);
		t.ruled += atomic_load(&r->board->slot[i].ruled);
		t.bad += atomic_load(&r->board->slot[i].bad);
	}
	return t;
}

uint64_t fl_run_programs(const struct fl_run *r)
{
	return add_up(r).programs;
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? 100 * (double)part / (double)whole : 0;
}

static double rate(uint64_t n, double seconds)
{
	return seconds > 0 ? (double)n / seconds : 0;
}

void fl_run_progress(const struct fl_run *r, bool last)
{
	static double said;
	static int terminal = -1;
	struct totals t;

	if (terminal < 0)
		terminal = isatty(STDERR_FILENO);
	if (last) {
		if (terminal && said > 0)
			fputs("\r\033[K", stderr);
		return;
	}
	if (r->seconds - said < (terminal ? EVERY_TERMINAL : EVERY_FILE))
		return;
	said = r->seconds;
	t = add_up(r);
	fprintf(stderr,
		"%s%.0f s: %" PRIu64 " programs, %.0f a second; %u divergences, %" PRIu64
		" programs with one; %.2f%% ruled; "
		"%zu cells%s",
		terminal ? "\r\033[K" : "", r->seconds, t.programs, rate(t.programs, r->seconds), r->divergences, t.bad,
		share(t.ruled, t.programs), fl_cover_cells(&r->board->cover), terminal ? "" : "\n");
	fflush(stderr);
}

static void print_rules(const struct fl_run *r, const struct totals *t)
{
	printf("  %" PRIu64 " programs differ as a rule allows, %.3f%%\n", t->ruled, share(t->ruled, t->programs));
	for (size_t i = 0; i < fl_rules_count; i++) {
		uint64_t hits = atomic_load(&r->board->cover.ruled[i]);

		if (hits || !r->settings->quiet)
			printf("    %-24s %10" PRIu64 "  %s\n", fl_rules[i].name, hits, fl_rules[i].reason);
	}
}

/* Names are words: nothing needs to be escaped. */
static void print_json(const struct fl_run *r, const struct totals *t)
{
	printf("{\"seed\":%" PRIu64 ",\"programs\":%" PRIu64 ",\"statements\":%" PRIu64 ",\"seconds\":%.3f,"
	       "\"jobs\":%u,\"divergences\":%u,\"divergent_programs\":%" PRIu64 ",\"ruled_programs\":%" PRIu64
	       ",\"cells\":%zu,\"rules\":{",
	       r->settings->seed, t->programs, t->statements, r->seconds, r->settings->jobs, r->divergences, t->bad,
	       t->ruled, fl_cover_cells(&r->board->cover));
	for (size_t i = 0; i < fl_rules_count; i++)
		printf("%s\"%s\":%" PRIu64, i ? "," : "", fl_rules[i].name, atomic_load(&r->board->cover.ruled[i]));
	puts("}}");
}

static void print_coverage(const struct fl_run *r)
{
	const char *path = r->settings->coverage_file;
	FILE *f = path ? fopen(path, "we") : stdout;

	if (!f) {
		fl_diff_say("cannot write '%s': %s", path, strerror(errno));
		return;
	}
	fl_cover_print(&r->board->cover, path, f);
	if (path && fclose(f))
		fl_diff_say("cannot write '%s': %s", path, strerror(errno));
}

static void print_text(const struct fl_run *r, const struct totals *t)
{
	const struct fl_diff_settings *s = r->settings;
	char options[256];

	printf("%" PRIu64 " programs, %" PRIu64 " statements, in %.1f s: %.0f programs a second\n", t->programs,
	       t->statements, r->seconds, rate(t->programs, r->seconds));
	print_rules(r, t);
	printf("  %zu cells of operation, mapping and result were met\n", fl_cover_cells(&r->board->cover));
	if (t->bad)
		printf("  %u divergences, in %" PRIu64 " programs, the first after %" PRIu64 "%s\n", r->divergences,
		       t->bad, r->before,
		       r->stopped && !s->first && !fl_diff_stop_asked ? "; that is enough, --keep-going looks for more"
								      : "");
	else
		puts("  no divergence");
	printf("  again: faultline diff --seed %" PRIu64 " --programs %" PRIu64 "%s\n", s->seed, t->programs,
	       fl_diff_settings_again(s, options, sizeof(options)));
}

void fl_run_summary(const struct fl_run *r)
{
	struct totals t = add_up(r);

	if (r->settings->coverage)
		print_coverage(r);
	if (r->settings->json)
		print_json(r, &t);
	else
		print_text(r, &t);
}
