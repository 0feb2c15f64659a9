/* SPDX-License-Identifier: MIT */
/* The `faultline` command: finds the subcommand and leaves the rest to it. */
#include <stdio.h>
#include <string.h>

#include "faultline/compiler.h"
#include "tools/tools.h"

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *what;
} commands[] = {
	{"run", fl_tool_run, "run an unmodified Linux program with its memory in the engine, and report its faults"},
	{"explore", fl_tool_explore, "run a scenario under every schedule that can matter, and say what can happen"},
	{"diff", fl_tool_diff, "hold the engine against the running kernel: the same programs, every answer compared"},
};

static void print_commands(FILE *out)
{
	fputs("Commands:\n", out);
	for (size_t i = 0; i < FL_ARRAY_LEN(commands); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].what);
}

static void print_help(FILE *out)
{
	fputs("Usage: faultline COMMAND [ARGUMENT...]\n"
	      "A virtual-memory subsystem in user space, and what can be done with it.\n\n",
	      out);
	print_commands(out);
	fputs("\n  --help     this text; `faultline COMMAND --help` tells more\n"
	      "  --version  the version\n",
	      out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return FL_EXIT_OWN_FAILURE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("faultline " FL_VERSION);
		return 0;
	}
	for (size_t i = 0; i < FL_ARRAY_LEN(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].fn(argc - 1, argv + 1);
	fprintf(stderr, "faultline: there is no command '%s'\n", argv[1]);
	print_commands(stderr);
	return FL_EXIT_OWN_FAILURE;
}
