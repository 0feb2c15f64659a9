/* SPDX-License-Identifier: MIT */
/*
 * The options of faultline-diff.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "diff/command.h"

#define SECONDS_DEFAULT 60 /* when nothing says how long */
#define STATEMENTS_MAX 400

static void print_help(FILE *out)
{
	fputs("Usage: faultline diff [OPTION...]            random programs\n"
	      "       faultline diff [OPTION...] FILE...    these programs\n"
	      "Run the same programs on the engine and on the running kernel, and compare every answer.\n\n"
	      "Random programs\n"
	      "  --time SECONDS      how long (default 60, unless --programs says how many)\n"
	      "  --programs N        how many\n"
	      "  --seed S            the same seed gives the same programs (default: a new one, which is printed)\n"
	      "  --jobs J            use J processes (default: one for each processor)\n"
	      "  --focus WHAT,...    what they are mostly about; see --list-focus\n"
	      "  --statements N      about how long they are (default 30)\n"
	      "  --program I         play program I of a run with this --seed alone; --print: only print it\n"
	      "  --keep-going        do not stop at 20 different divergences\n"
	      "  --first             stop at the first one, and do not make it small\n"
	      "  --no-shrink         print divergences as they were found\n"
	      "  --save DIR          where programs that show a divergence are kept (default: faultline-diff.found)\n"
	      "  --log FILE          write each program to FILE.J, on the disk, before job J plays it: what a kernel that\n"
	      "                      goes down leaves behind\n"
	      "  --json              the summary as one JSON object, on the last line\n"
	      "  --coverage[=FILE]   print which operations, mappings and results were met; to FILE: as Markdown\n\n"
	      "Files: every step is looked at as the end of a program is, and what differs is printed side by side\n"
	      "  -v, --verbose       print all answers, also of programs on which both sides agree\n"
	      "  --shrink            make a program that shows a divergence small, and save what is left\n\n"
	      "  --quiet             nothing on the way, and nothing about programs on which both sides agree\n"
	      "  --check-ground      what this host allows, in words\n"
	      "  --list-rules        what may differ, and why\n"
	      "  --list-focus        what --focus knows\n"
	      "  --help, --version\n\n"
	      "Exit status: 0 both sides agree, 1 they differ somewhere, 2 it cannot be done.\n",
	      out);
}

enum {
	OPT_TIME = 256,
	OPT_PROGRAMS,
	OPT_SEED,
	OPT_JOBS,
	OPT_FOCUS,
	OPT_STATEMENTS,
	OPT_PROGRAM,
	OPT_PRINT,
	OPT_KEEP_GOING,
	OPT_FIRST,
	OPT_JSON,
	OPT_NO_SHRINK,
	OPT_SHRINK,
	OPT_SAVE,
	OPT_LOG,
	OPT_COVERAGE,
	OPT_CHECK_GROUND,
	OPT_LIST_RULES,
	OPT_LIST_FOCUS,
};

static const struct option options[] = {
	{"time", required_argument, NULL, OPT_TIME},
	{"programs", required_argument, NULL, OPT_PROGRAMS},
	{"seed", required_argument, NULL, OPT_SEED},
	{"jobs", required_argument, NULL, OPT_JOBS},
	{"focus", required_argument, NULL, OPT_FOCUS},
	{"statements", required_argument, NULL, OPT_STATEMENTS},
	{"program", required_argument, NULL, OPT_PROGRAM},
	{"print", no_argument, NULL, OPT_PRINT},
	{"keep-going", no_argument, NULL, OPT_KEEP_GOING},
	{"first", no_argument, NULL, OPT_FIRST},
	{"json", no_argument, NULL, OPT_JSON},
	{"no-shrink", no_argument, NULL, OPT_NO_SHRINK},
	{"shrink", no_argument, NULL, OPT_SHRINK},
	{"save", required_argument, NULL, OPT_SAVE},
	{"log", required_argument, NULL, OPT_LOG},
	{"coverage", optional_argument, NULL, OPT_COVERAGE},
	{"verbose", no_argument, NULL, 'v'},
	{"quiet", no_argument, NULL, 'q'},
	{"check-ground", no_argument, NULL, OPT_CHECK_GROUND},
	{"list-rules", no_argument, NULL, OPT_LIST_RULES},
	{"list-focus", no_argument, NULL, OPT_LIST_FOCUS},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

FL_PRINTF(1, 2) static int usage(const char *format, ...)
{
	va_list ap;

	fputs("faultline diff: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputs("; see faultline diff --help\n", stderr);
	return FL_DIFF_EXIT_CANNOT;
}

/* -1 to go on, or the exit status. */
static int take_number(const char *option, uint64_t min, uint64_t max, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(optarg, &end, 0);
	if (optarg[0] >= '0' && optarg[0] <= '9' && !*end && !errno && *n >= min && *n <= max)
		return -1;
	if (max >= UINT64_MAX - 1)
		return usage("%s '%s' is not a number from %" PRIu64 " up", option, optarg, min);
	return usage("%s '%s' is not a number from %" PRIu64 " to %" PRIu64, option, optarg, min, max);
}

/* A list with commas. */
static int take_focus(struct fl_diff_settings *t)
{
	const char *at = optarg;

	t->focus_set = true;
	for (;;) {
		size_t n = strcspn(at, ",");
		unsigned i = 0;

		while (i < FL_FOCUS_MAX && (strlen(fl_focus_name(i)) != n || strncmp(fl_focus_name(i), at, n) != 0))
			i++;
		if (i == FL_FOCUS_MAX)
			return usage("--focus '%.*s' is not known; faultline diff --list-focus has what is", (int)n,
				     at);
		t->generate.focus |= 1u << i;
		if (!at[n])
			return -1;
		at += n + 1;
	}
}

/* A table of Markdown; docs/fidelity.md has it. */
static int list_rules(void)
{
	puts("| rule | operation | mapping | what | why |\n| --- | --- | --- | --- | --- |");
	for (size_t i = 0; i < fl_rules_count; i++) {
		const struct fl_rule *r = &fl_rules[i];

		printf("| %s | %s | %s | %s | %s%s |\n", r->name, r->op == FL_SC_OPS ? "any" : fl_sc_op_name(r->op),
		       r->kind == FL_DIFF_KINDS ? "any" : fl_diff_kind_name(r->kind),
		       r->field == FL_FACT_FIELDS ? "any" : fl_report_field(r->field), r->reason,
		       r->ends ? "; the program ends there" : "");
	}
	return 0;
}

static int list_focus(void)
{
	for (unsigned i = 0; i < FL_FOCUS_MAX; i++)
		puts(fl_focus_name(i));
	return 0;
}

static int parse_list(struct fl_diff_settings *t, int c)
{
	switch (c) {
	case OPT_LIST_RULES:
		return list_rules();
	case OPT_LIST_FOCUS:
		return list_focus();
	case 'h':
		print_help(stdout);
		return 0;
	case 'V':
		puts("faultline-diff " FL_VERSION);
		return 0;
	case OPT_CHECK_GROUND:
		t->check_ground = true;
		return -1;
	case OPT_SAVE:
		t->save = optarg;
		return -1;
	case OPT_LOG:
		t->log = optarg;
		return -1;
	default:
		t->coverage = true;
		t->coverage_file = optarg;
		return -1;
	}
}

static int parse_number(struct fl_diff_settings *t, int c)
{
	uint64_t n = 0;
	int status;

	switch (c) {
	case OPT_TIME:
		return take_number("--time", 1, UINT32_MAX, &t->seconds);
	case OPT_PROGRAMS:
		return take_number("--programs", 1, UINT64_MAX, &t->programs);
	case OPT_SEED:
		t->seed_set = true;
		return take_number("--seed", 0, UINT64_MAX, &t->seed);
	case OPT_PROGRAM:
		return take_number("--program", 0, UINT64_MAX - 1, &t->program);
	case OPT_JOBS:
		status = take_number("--jobs", 1, FL_DIFF_JOBS_MAX, &n);
		t->jobs = (unsigned)n;
		return status;
	case OPT_STATEMENTS:
		t->statements_set = true;
		status = take_number("--statements", 1, STATEMENTS_MAX, &n);
		t->generate.statements = (unsigned)n;
		return status;
	default:
		return parse_list(t, c);
	}
}

static int parse_option(struct fl_diff_settings *t, int c)
{
	switch (c) {
	case OPT_FOCUS:
		return take_focus(t);
	case OPT_PRINT:
		t->print = true;
		return -1;
	case OPT_KEEP_GOING:
		t->keep_going = true;
		return -1;
	case OPT_FIRST:
		t->first = t->no_shrink = true;
		return -1;
	case OPT_JSON:
		t->json = true;
		return -1;
	case OPT_SHRINK:
		t->shrink = true;
		return -1;
	case OPT_NO_SHRINK:
		t->no_shrink = true;
		return -1;
	case 'v':
		t->verbose = true;
		return -1;
	case 'q':
		t->quiet = true;
		return -1;
	default:
		return parse_number(t, c);
	}
}

/* Options that need each other. */
static int check(const struct fl_diff_settings *t)
{
	bool one = t->program != UINT64_MAX;
	const char *random = t->seconds              ? "--time"
			     : t->programs           ? "--programs"
			     : t->jobs               ? "--jobs"
			     : t->log                ? "--log"
			     : t->coverage           ? "--coverage"
			     : t->keep_going         ? "--keep-going"
			     : t->first              ? "--first"
			     : t->json               ? "--json"
			     : t->no_shrink          ? "--no-shrink"
			     : t->save && !t->shrink ? "--save"
						     : NULL;

	if (t->first && t->keep_going)
		return usage("--first stops and --keep-going does not: one of them");
	if (t->verbose && t->quiet)
		return usage("--verbose prints more and --quiet less: one of them");
	if (one && !t->seed_set)
		return usage("--program needs the seed of its run: --seed S");
	if (one && t->files)
		return usage("--program plays one of a run: '%s' does not go with it", t->file[0]);
	if (t->print && !one)
		return usage("--print is for --program");
	if ((one || t->files) && random)
		return usage("%s is for random programs, and does not go with %s", random, one ? "--program" : "files");
	if (t->files && (t->seed_set || t->focus_set || t->statements_set))
		return usage("--seed, --focus and --statements make random programs, and do not go with files");
	if ((t->verbose || t->shrink) && !one && !t->files)
		return usage("%s is for files and --program", t->verbose ? "--verbose" : "--shrink");
	return -1;
}

bool fl_diff_settings_parse(struct fl_diff_settings *t, int argc, char **argv, int *status)
{
	int c;

	*t = (struct fl_diff_settings){.program = UINT64_MAX};
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":hqvV", options, NULL)) != -1) {
		if (c == ':')
			*status = usage("option '%s' needs a value", argv[optind - 1]);
		else if (c == '?')
			*status = usage("unknown option '%s'", argv[optind - 1]);
		else
			*status = parse_option(t, c);
		if (*status >= 0)
			return false;
	}
	t->file = argv + optind;
	t->files = argc - optind;
	*status = check(t);
	if (*status >= 0)
		return false;
	*status = 0;
	if (!t->seconds && !t->programs)
		t->seconds = SECONDS_DEFAULT;
	if (!t->jobs)
		t->jobs = fl_child_processors();
	if (!t->save)
		t->save = "faultline-diff.found";
	/* Short enough to be copied by hand. */
	if (!t->seed_set && getrandom(&t->seed, sizeof(t->seed), 0) == (ssize_t)sizeof(t->seed))
		t->seed &= UINT32_MAX;
	return true;
}

const char *fl_diff_settings_again(const struct fl_diff_settings *t, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < FL_FOCUS_MAX && n < size; i++)
		if (t->generate.focus & 1u << i)
			n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "," : " --focus ", fl_focus_name(i));
	if (t->generate.statements && n < size)
		snprintf(buf + n, size - n, " --statements %u", t->generate.statements);
	return buf;
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

uint64_t fl_diff_seed(uint64_t seed, uint64_t i)
{
	return mix(mix(seed) + i);
}
