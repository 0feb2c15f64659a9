/* SPDX-License-Identifier: MIT */
/*
 * faultline explore and faultline diff: programs of their own. The engine of the one is compiled with hooks that nothing
 * else wants, the other forks worlds and wants to be small. Each lies beside this program (a build directory), or in
 * libexec (installed).
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/tools.h"

#define EXIT_CANNOT 2 /* as both have it */

/* Become faultline-NAME. Returns if it cannot. */
static int start(const char *name, char **argv)
{
	static const char *const places[] = {"", FL_LIBEXEC_FROM_BIN "/", NULL};
	char dir[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	char *slash;

	if (n < 0) {
		fprintf(stderr, "faultline %s: cannot find out where this program lies: %s\n", name, strerror(errno));
		return EXIT_CANNOT;
	}
	dir[n] = '\0';
	slash = strrchr(dir, '/');
	*slash = '\0';
	for (const char *const *place = places; *place; place++) {
		if (snprintf(path, sizeof(path), "%s/%sfaultline-%s", dir, *place, name) >= (int)sizeof(path) ||
		    access(path, F_OK))
			continue;
		execv(path, argv);
		fprintf(stderr, "faultline %s: cannot start '%s': %s\n", name, path, strerror(errno));
		return EXIT_CANNOT;
	}
	fprintf(stderr,
		"faultline %s: faultline-%s is neither in '%s' nor in '%s/%s'; build it (ninja %s-command) or "
		"install faultline again\n",
		name, name, dir, dir, FL_LIBEXEC_FROM_BIN, name);
	return EXIT_CANNOT;
}

int fl_tool_explore(int argc, char **argv)
{
	(void)argc;
	return start("explore", argv);
}

int fl_tool_diff(int argc, char **argv)
{
	(void)argc;
	return start("diff", argv);
}
