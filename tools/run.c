/* SPDX-License-Identifier: MIT */
/*
 * faultline run: options, the run, the report, and an exit as the program's own. Standard output belongs to the
 * program; everything of ours goes to standard error or into files.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/report.h"
#include "linux/run.h"
#include "linux/trace.h"
#include "tools/observe.h"
#include "tools/tools.h"

/* The engine wants 16 pages; below this no real program starts. */
#define MEMORY_MIN ((uint64_t)1 << 20)
#define MEMORY_MAX ((uint64_t)1 << 43)

struct settings {
	struct fl_run_options run;
	const char *report_path, *trace_path;
	bool quiet;
};

static void print_help(FILE *out)
{
	fputs("Usage: faultline run [OPTION...] [--] PROGRAM [ARGUMENT...]\n"
	      "Run a program with its private anonymous memory in the engine. Output, exit status and signals are the\n"
	      "program's; the report of its faults goes to standard error when it ends.\n\n"
	      "  --report FILE   write the report to FILE\n"
	      "  --trace FILE    write one line of JSON for each fault and each memory call, as they happen\n"
	      "  --memory SIZE   bound the memory of the program and its children: bytes, or with K, M, G or T (default:\n"
	      "                  half of this machine's). Past it, calls fail with ENOMEM and faults end as by the OOM killer\n"
	      "  --exact         serve one page a fault: no pages ahead of it\n"
	      "  --quiet         no report on standard error, and no progress line\n"
	      "  --help          this text\n\n"
	      "Exit status: the program's; 125 if faultline itself fails, 126 if PROGRAM cannot be run, 127 if it is not found.\n",
	      out);
}

/* A size with an optional suffix. False: not a size, or out of range. */
static bool parse_size(const char *text, uint64_t *size)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	char *end;
	unsigned shift = 0;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*size = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		suffix = strchr(suffixes, *end >= 'a' && *end <= 'z' ? *end - 'a' + 'A' : *end);
		if (!suffix)
			return false;
		shift = 10 * (unsigned)(suffix - suffixes + 1);
		end++;
		if (!strcmp(end, "iB") || !strcmp(end, "B"))
			end += strlen(end);
		if (*end || *size > UINT64_MAX >> shift)
			return false;
		*size <<= shift;
	}
	return *size >= MEMORY_MIN && *size <= MEMORY_MAX;
}

/* Returns -1 to go on, or the exit status. */
static int parse(int argc, char **argv, struct settings *s)
{
	static const struct option options[] = {
		{"exact", no_argument, NULL, 'e'},
		{"memory", required_argument, NULL, 'm'},
		{"report", required_argument, NULL, 'r'},
		{"trace", required_argument, NULL, 't'},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:hqm:", options, NULL)) != -1) {
		switch (c) {
		case 'e':
			s->run.exact = true;
			break;
		case 'm':
			if (parse_size(optarg, &s->run.memory))
				break;
			fprintf(stderr,
				"faultline run: --memory '%s' is not a size from 1M to 8T; write for example 512M or 2G\n",
				optarg);
			return FL_EXIT_OWN_FAILURE;
		case 'r':
			s->report_path = optarg;
			break;
		case 't':
			s->trace_path = optarg;
			break;
		case 'q':
			s->quiet = true;
			break;
		case 'h':
			print_help(stdout);
			return 0;
		case ':':
			fprintf(stderr, "faultline run: option '%s' needs a value; see faultline run --help\n",
				argv[optind - 1]);
			return FL_EXIT_OWN_FAILURE;
		default:
			fprintf(stderr,
				"faultline run: unknown option '%s'; options of the program go after its name: faultline run -- "
				"PROGRAM OPTION; see faultline run --help\n",
				argv[optind - 1]);
			return FL_EXIT_OWN_FAILURE;
		}
	}
	if (optind >= argc) {
		fputs("faultline run: no program was named; usage: faultline run [OPTION...] [--] PROGRAM [ARGUMENT...]\n",
		      stderr);
		return FL_EXIT_OWN_FAILURE;
	}
	s->run.argv = argv + optind;
	return -1;
}

/* End as the program did. A signal's core dump would be ours, not the program's: none. */
static int exit_as(int wait_status)
{
	if (WIFSIGNALED(wait_status)) {
		int sig = WTERMSIG(wait_status);
		const struct rlimit none = {0, 0};
		sigset_t only;

		fflush(NULL);
		setrlimit(RLIMIT_CORE, &none);
		signal(sig, SIG_DFL);
		sigemptyset(&only);
		sigaddset(&only, sig);
		sigprocmask(SIG_UNBLOCK, &only, NULL);
		raise(sig);
		return 128 + sig;
	}
	return WEXITSTATUS(wait_status);
}

/* Open a file of ours; the program must not inherit it. NULL after a message. */
static FILE *open_output(const char *option, const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		fprintf(stderr, "faultline run: %s '%s': %s; name a file that can be written\n", option, path,
			strerror(errno));
	return f;
}

/* Everything that watches the run. */
struct watch {
	struct fl_report *report;
	struct fl_trace *trace;
	FILE *report_file; /* NULL: standard error */
	struct observer_pair both;
};

static bool watch_begin(struct watch *w, const struct settings *s)
{
	FILE *trace_file;

	if (s->report_path && !(w->report_file = open_output("--report", s->report_path)))
		return false;
	if (s->trace_path) {
		trace_file = open_output("--trace", s->trace_path);
		if (!trace_file)
			return false;
		w->trace = fl_trace_new(trace_file);
	}
	w->report = fl_report_new(!s->quiet && isatty(STDERR_FILENO));
	if (!w->report || (s->trace_path && !w->trace)) {
		fputs("faultline run: out of memory\n", stderr);
		return false;
	}
	observer_pair_init(&w->both, fl_report_observer(w->report), w->trace ? fl_trace_observer(w->trace) : NULL);
	return true;
}

/* Files that could not be written are told, but do not change the exit status, which is the program's. */
static void watch_end(struct watch *w, const struct settings *s, const struct fl_run_result *res)
{
	FILE *out = w->report_file ? w->report_file : stderr;
	int err;

	if (w->report)
		fl_report_quiet(w->report);
	if (w->report && res && (w->report_file || !s->quiet)) {
		fl_report_write(w->report, out, s->run.argv[0], res);
		fflush(out);
		if (ferror(out))
			fprintf(stderr, "faultline run: the report could not be written whole\n");
	}
	if (w->report_file)
		fclose(w->report_file);
	err = w->trace ? fl_trace_end(w->trace) : 0;
	if (err)
		fprintf(stderr, "faultline run: --trace '%s': %s; lines are missing\n", s->trace_path, strerror(-err));
	fl_report_free(w->report);
}

int fl_tool_run(int argc, char **argv)
{
	struct settings s = {0};
	struct watch w = {0};
	struct fl_run_result res = {0};
	int status = parse(argc, argv, &s);

	if (status >= 0)
		return status;
	if (!watch_begin(&w, &s)) {
		watch_end(&w, &s, NULL);
		return FL_EXIT_OWN_FAILURE;
	}
	if (fl_linux_run(&s.run, &w.both.observer, &res)) {
		watch_end(&w, &s, NULL);
		fprintf(stderr, "faultline: %s\n", res.error);
		return res.exit_code;
	}
	watch_end(&w, &s, &res);
	return exit_as(res.wait_status);
}
