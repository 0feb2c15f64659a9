/* SPDX-License-Identifier: MIT */
/*
 * The subcommands of the `faultline` command. Each takes its own argv (argv[0] is its name) and
 * returns the exit status.
 */
#ifndef FL_TOOLS_H
#define FL_TOOLS_H

/* Our own failures, as env(1) and timeout(1) have it, so that they differ from the program's. */
#define FL_EXIT_OWN_FAILURE 125

int fl_tool_run(int argc, char **argv);
int fl_tool_explore(int argc, char **argv);
int fl_tool_diff(int argc, char **argv);

#endif
