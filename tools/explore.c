/* SPDX-License-Identifier: MIT */
/*
 * faultline explore: starts faultline-explore, which is a program of its own because its engine is compiled with hooks
 * that nothing else wants. It lies beside this program (a build directory), or in libexec (installed).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "faultline/compiler.h"
#include "tools/tools.h"

#define EXIT_CANNOT 2 /* as faultline-explore has it */

int fl_tool_explore(int argc, char **argv)
{
	static const char *const places[] = {"faultline-explore", FL_LIBEXEC_FROM_BIN "/faultline-explore"};
	char dir[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	char *slash;

	(void)argc;
	if (n < 0) {
		fprintf(stderr, "faultline explore: cannot find out where this program lies: %s\n", strerror(errno));
		return EXIT_CANNOT;
	}
	dir[n] = '\0';
	slash = strrchr(dir, '/');
	*slash = '\0';
	for (size_t i = 0; i < FL_ARRAY_LEN(places); i++) {
		if (snprintf(path, sizeof(path), "%s/%s", dir, places[i]) >= (int)sizeof(path) || access(path, F_OK))
			continue;
		execv(path, argv);
		fprintf(stderr, "faultline explore: cannot start '%s': %s\n", path, strerror(errno));
		return EXIT_CANNOT;
	}
	fprintf(stderr,
		"faultline explore: faultline-explore is neither in '%s' nor in '%s/%s'; build it (ninja explore-command) or "
		"install faultline again\n",
		dir, dir, FL_LIBEXEC_FROM_BIN);
	return EXIT_CANNOT;
}
