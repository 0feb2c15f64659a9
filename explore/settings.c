/* SPDX-License-Identifier: MIT */
/*
 * The options of faultline-explore.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "explore/command.h"

#define HOST_RUNS 20000
#define JOBS_MAX 256

static void print_help(FILE *out)
{
	fputs("Usage: faultline explore [OPTION...] FILE...\n"
	      "Run each scenario under every schedule that can matter, and say what can happen. With no option: all of it,\n"
	      "within the bounds that the scenario itself states.\n\n"
	      "How to search\n"
	      "  --search WHAT       dpor: every schedule, one of each set of equivalent ones; bounded: every schedule with at\n"
	      "                      most --preemptions; pct: random priorities; random\n"
	      "  --preemptions N     for bounded (default 2), and the changes of priority of pct\n"
	      "  --schedules N       stop after N (pct and random: default 100,000)\n"
	      "  --seed N            of pct and random\n"
	      "  --memory sc|tso     sequential consistency, or stores may wait in a store buffer\n"
	      "  --inject-alloc N    up to N allocations of a run fail, each in turn\n"
	      "  --events N          a run longer than this goes on under a fair scheduler (default 20,000)\n"
	      "  --no-plain          do not watch plain accesses: faster, but no data races are found\n"
	      "  --deep              beyond the bounds that the scenario states\n"
	      "  --keep-going        do not stop at the first finding\n"
	      "  --no-shrink         print the first counterexample as it was found\n"
	      "  --jobs N            use N processes (default: one for each processor)\n\n"
	      "What to print\n"
	      "  --outcomes          every distinct end, with how many schedules led there and a run id of one\n"
	      "  --engine            in columns, every step of the engine as well\n"
	      "  --json              one JSON object for each file\n"
	      "  --quiet             nothing about scenarios in which nothing is wrong\n\n"
	      "To go on\n"
	      "  --state FILE        where to keep what is still to do when SIGINT or SIGTERM stops an exploration, and every\n"
	      "                      minute (default, when stopped: NAME.explore in the current directory)\n"
	      "  --resume FILE       go on from there, with the scenario and the search of the first time; what is left when it\n"
	      "                      is stopped again goes into FILE, too\n\n"
	      "Instead of exploring\n"
	      "  --replay RUN-ID     do that one run, and print it as columns\n"
	      "  --gdb               with --replay: under gdb, and stop at the failing step; --step N: before step N\n"
	      "  --host              run it on the running kernel, too; what only the kernel shows is an error\n"
	      "  --runs N            of --host (default 20,000)\n"
	      "  --format            print the file in its one layout; -i: write it back; --check: only say whether it is\n"
	      "  --list-ops          the operations of the language\n"
	      "  --help, --version\n\n"
	      "Exit status: 0 nothing is wrong, 1 a finding or a `sometimes` that was never seen, 2 it cannot be done.\n",
	      out);
}

enum {
	OPT_SEARCH = 256,
	OPT_PREEMPTIONS,
	OPT_SCHEDULES,
	OPT_SEED,
	OPT_MEMORY,
	OPT_ALLOC,
	OPT_EVENTS,
	OPT_PLAIN,
	OPT_DEEP,
	OPT_KEEP_GOING,
	OPT_NO_SHRINK,
	OPT_JOBS,
	OPT_OUTCOMES,
	OPT_ENGINE,
	OPT_JSON,
	OPT_QUIET,
	OPT_STATE,
	OPT_RESUME,
	OPT_REPLAY,
	OPT_GDB,
	OPT_STOP,
	OPT_STEP,
	OPT_HOST,
	OPT_RUNS,
	OPT_FORMAT,
	OPT_CHECK,
	OPT_LIST_OPS,
};

static const struct option options[] = {
	{"search", required_argument, NULL, OPT_SEARCH},
	{"preemptions", required_argument, NULL, OPT_PREEMPTIONS},
	{"schedules", required_argument, NULL, OPT_SCHEDULES},
	{"seed", required_argument, NULL, OPT_SEED},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"inject-alloc", required_argument, NULL, OPT_ALLOC},
	{"events", required_argument, NULL, OPT_EVENTS},
	{"no-plain", no_argument, NULL, OPT_PLAIN},
	{"deep", no_argument, NULL, OPT_DEEP},
	{"keep-going", no_argument, NULL, OPT_KEEP_GOING},
	{"no-shrink", no_argument, NULL, OPT_NO_SHRINK},
	{"jobs", required_argument, NULL, OPT_JOBS},
	{"outcomes", no_argument, NULL, OPT_OUTCOMES},
	{"engine", no_argument, NULL, OPT_ENGINE},
	{"json", no_argument, NULL, OPT_JSON},
	{"quiet", no_argument, NULL, OPT_QUIET},
	{"state", required_argument, NULL, OPT_STATE},
	{"resume", required_argument, NULL, OPT_RESUME},
	{"replay", required_argument, NULL, OPT_REPLAY},
	{"gdb", no_argument, NULL, OPT_GDB},
	{"stop", no_argument, NULL, OPT_STOP},
	{"step", required_argument, NULL, OPT_STEP},
	{"host", no_argument, NULL, OPT_HOST},
	{"runs", required_argument, NULL, OPT_RUNS},
	{"format", no_argument, NULL, OPT_FORMAT},
	{"check", no_argument, NULL, OPT_CHECK},
	{"list-ops", no_argument, NULL, OPT_LIST_OPS},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

FL_PRINTF(1, 2) static int usage(const char *format, ...)
{
	va_list ap;

	fputs("faultline explore: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputs("; see faultline explore --help\n", stderr);
	return FL_EXIT_USAGE;
}

/* -1 to go on, or the exit status. */
static int take_number(const char *option, uint64_t min, uint64_t max, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(optarg, &end, 0);
	if (optarg[0] >= '0' && optarg[0] <= '9' && !*end && !errno && *n >= min && *n <= max)
		return -1;
	if (max == UINT64_MAX)
		return usage("%s '%s' is not a number from %llu up", option, optarg, (unsigned long long)min);
	return usage("%s '%s' is not a number from %llu to %llu", option, optarg, (unsigned long long)min,
		     (unsigned long long)max);
}

static int take_word(const char *option, const char *const *words, int *which)
{
	for (int i = 0; words[i]; i++) {
		if (!strcmp(optarg, words[i])) {
			*which = i;
			return -1;
		}
	}
	return usage("%s '%s' is not one of %s, %s%s%s%s%s", option, optarg, words[0], words[1], words[2] ? ", " : "",
		     words[2] ? words[2] : "", words[2] && words[3] ? ", " : "", words[2] && words[3] ? words[3] : "");
}

/* Instead of exploring: one thing only. */
static int take_mode(struct fl_settings *t, enum fl_mode mode, const char *option)
{
	bool together = t->mode == FL_MODE_REPLAY && (mode == FL_MODE_GDB || mode == FL_MODE_STOP);

	if (t->mode != FL_MODE_EXPLORE && t->mode != mode && !together) {
		if ((t->mode == FL_MODE_GDB || t->mode == FL_MODE_STOP) && mode == FL_MODE_REPLAY)
			return -1;
		return usage("one of --replay, --host and --format: %s does not go with another", option);
	}
	t->mode = mode;
	return -1;
}

static int parse_search(struct fl_settings *t, int c)
{
	static const char *const searches[] = {"dpor", "bounded", "pct", "random", NULL};
	static const char *const memories[] = {"sc", "tso", NULL};
	uint64_t n = 0;
	int status;

	switch (c) {
	case OPT_SEARCH:
		return take_word("--search", searches, &t->search);
	case OPT_MEMORY:
		return take_word("--memory", memories, &t->memory);
	case OPT_PREEMPTIONS:
		status = take_number("--preemptions", 0, 1000, &n);
		t->preemptions = (int64_t)n;
		return status;
	case OPT_SCHEDULES:
		t->schedules_set = true;
		return take_number("--schedules", 1, UINT64_MAX, &t->schedules);
	case OPT_SEED:
		return take_number("--seed", 0, UINT64_MAX, &t->seed);
	case OPT_ALLOC:
		status = take_number("--inject-alloc", 0, 1000, &n);
		t->alloc_fails = (int64_t)n;
		return status;
	case OPT_EVENTS:
		status = take_number("--events", 100, 10000000, &n);
		t->events = (uint32_t)n;
		return status;
	default:
		status = take_number("--jobs", 1, JOBS_MAX, &n);
		t->jobs = (unsigned)n;
		return status;
	}
}

static int parse_mode(struct fl_settings *t, int c)
{
	uint64_t n = 0;
	int status;

	switch (c) {
	case OPT_STATE:
		t->state = optarg;
		return -1;
	case OPT_RESUME:
		t->resume = optarg;
		return -1;
	case OPT_REPLAY:
		t->replay = optarg;
		return take_mode(t, FL_MODE_REPLAY, "--replay");
	case OPT_GDB:
		return take_mode(t, FL_MODE_GDB, "--gdb");
	case OPT_STOP:
		return take_mode(t, FL_MODE_STOP, "--stop");
	case OPT_STEP:
		status = take_number("--step", 0, UINT_MAX - 1, &n);
		t->step = (unsigned)n;
		return status;
	case OPT_HOST:
		return take_mode(t, FL_MODE_HOST, "--host");
	case OPT_RUNS:
		return take_number("--runs", 1, UINT64_MAX, &t->runs);
	case OPT_FORMAT:
		return take_mode(t, FL_MODE_FORMAT, "--format");
	case OPT_LIST_OPS:
		for (int op = 0; op < FL_SC_OPS; op++)
			printf("%s\n\t%s\n", fl_sc_op_usage((enum fl_sc_op)op), fl_sc_op_help((enum fl_sc_op)op));
		return 0;
	case 'h':
		print_help(stdout);
		return 0;
	case 'V':
		puts("faultline-explore " FL_VERSION);
		return 0;
	default:
		return parse_search(t, c);
	}
}

static int parse_option(struct fl_settings *t, int c)
{
	switch (c) {
	case OPT_PLAIN:
		t->no_plain = true;
		return -1;
	case OPT_DEEP:
		t->deep = true;
		return -1;
	case OPT_KEEP_GOING:
		t->keep_going = true;
		return -1;
	case OPT_NO_SHRINK:
		t->no_shrink = true;
		return -1;
	case OPT_OUTCOMES:
		t->outcomes = true;
		return -1;
	case OPT_ENGINE:
		t->engine = true;
		return -1;
	case OPT_JSON:
		t->json = true;
		return -1;
	case OPT_QUIET:
	case 'q':
		t->quiet = true;
		return -1;
	case OPT_CHECK:
		t->check = true;
		return -1;
	case 'i':
		t->in_place = true;
		return -1;
	default:
		return parse_mode(t, c);
	}
}

/* Options that need each other. */
static int check(const struct fl_settings *t)
{
	if ((t->mode == FL_MODE_GDB || t->mode == FL_MODE_STOP) && !t->replay)
		return usage("--gdb needs the run: --replay RUN-ID");
	if (t->step != UINT_MAX && t->mode != FL_MODE_GDB && t->mode != FL_MODE_STOP)
		return usage("--step is for --gdb");
	if ((t->check || t->in_place) && t->mode != FL_MODE_FORMAT)
		return usage("%s is for --format", t->check ? "--check" : "-i");
	if (t->check && t->in_place)
		return usage("--check only looks and -i writes: one of them");
	if (t->runs && t->mode != FL_MODE_HOST)
		return usage("--runs is for --host");
	if (t->engine && t->mode != FL_MODE_REPLAY && t->mode != FL_MODE_EXPLORE)
		return usage("--engine is for exploring and --replay");
	if (t->mode != FL_MODE_EXPLORE && (t->state || t->resume))
		return usage("%s is for exploring", t->state ? "--state" : "--resume");
	if (t->resume && t->files > 1)
		return usage("--resume goes on with one file, not with %d", t->files);
	if (t->state && t->files > 1)
		return usage("--state keeps one file's exploration, not %d", t->files);
	if (!t->files && !t->resume)
		return usage("no scenario was named; usage: faultline explore [OPTION...] FILE...");
	if (t->replay && t->files > 1)
		return usage("a run id is of one scenario, and %d files were named", t->files);
	if (t->mode == FL_MODE_REPLAY && t->json)
		return usage("--json is for exploring and --host");
	return -1;
}

static unsigned processors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);

	return n < 1 ? 1 : n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
}

bool fl_settings_parse(struct fl_settings *t, int argc, char **argv, int *status)
{
	int c;

	*t = (struct fl_settings){
		.search = -1, .memory = -1, .preemptions = -1, .alloc_fails = -1, .step = UINT_MAX, .self = argv[0]};
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":hqiV", options, NULL)) != -1) {
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
	if (!t->runs)
		t->runs = HOST_RUNS;
	if (!t->jobs)
		t->jobs = processors();
	return true;
}

#define RANDOM_SCHEDULES 100000
#define PREEMPTIONS_DEFAULT 2

void fl_settings_options(const struct fl_settings *t, const struct fl_scenario *s, struct fl_explore_options *o)
{
	*o = (struct fl_explore_options){
		.memory = t->memory >= 0 ? (enum fl_explore_memory)t->memory : s->memory,
		.seed = t->seed,
		.events = t->events ? t->events : s->events,
		.alloc_fails = t->alloc_fails >= 0 ? (uint32_t)t->alloc_fails : s->alloc_fails,
		.no_plain = t->no_plain,
		.keep_going = t->keep_going,
		/* Several files have their processes already. */
	};
	if (t->search >= 0) {
		o->search = (enum fl_explore_search)t->search;
		o->preemptions = PREEMPTIONS_DEFAULT;
		if (o->search == FL_EXPLORE_PCT || o->search == FL_EXPLORE_RANDOM)
			o->schedules = RANDOM_SCHEDULES;
	} else if (t->preemptions >= 0) {
		o->search = FL_EXPLORE_BOUNDED;
	} else if (!t->deep) {
		o->search = s->preemptions >= 0 ? FL_EXPLORE_BOUNDED : FL_EXPLORE_DPOR;
		o->preemptions = s->preemptions >= 0 ? (uint32_t)s->preemptions : 0;
		o->schedules = s->schedules;
	}
	if (t->preemptions >= 0)
		o->preemptions = (uint32_t)t->preemptions;
	if (t->schedules_set)
		o->schedules = t->schedules;
}
