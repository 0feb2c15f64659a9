/* SPDX-License-Identifier: MIT */
/*
 * What can be said before anything runs: is there such a program, may it be executed, is it one that we can run.
 *
 * No locks: no state.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "linux/host.h"

#define NOT_FOUND 127
#define NOT_EXECUTABLE 126

/* A script has no machine of its own; its interpreter is looked at when it is executed. */
static const char *refuse_elf(int fd)
{
	Elf64_Ehdr e;

	if (pread(fd, &e, sizeof(e), 0) < (ssize_t)sizeof(e) || memcmp(e.e_ident, ELFMAG, SELFMAG))
		return NULL;
	if (e.e_ident[EI_CLASS] != ELFCLASS64)
		return "is a 32-bit program; faultline runs x86-64 programs";
	if (e.e_machine != EM_X86_64)
		return "is a program for another architecture; faultline runs x86-64 programs";
	return NULL;
}

const char *fl_program_refusal(const char *path, uid_t euid)
{
	const char *why = NULL;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) /* executable but not readable: the host will say */
		return NULL;
	if (!fstat(fd, &st)) {
		if ((st.st_mode & S_ISUID) && st.st_uid != euid)
			why = "is setuid; it would run without that privilege here, so run it without faultline";
		else if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getegid())
			why = "is setgid; it would run without that privilege here, so run it without faultline";
		else if (euid && fgetxattr(fd, "security.capability", NULL, 0) > 0)
			why = "has file capabilities; it would run without them here, so run it without faultline";
		else
			why = refuse_elf(fd);
	}
	close(fd);
	return why;
}

/* As execvp searches: 0, or the errno that a shell would report. */
static int search(const char *name, char *path)
{
	const char *dirs = getenv("PATH"), *end;
	int found = ENOENT;

	if (strchr(name, '/')) {
		if (snprintf(path, PATH_MAX, "%s", name) >= PATH_MAX)
			return ENAMETOOLONG;
		return access(path, F_OK) ? errno : 0;
	}
	if (!dirs)
		dirs = "/usr/local/bin:/bin:/usr/bin";
	for (;; dirs = end + 1) {
		struct stat st;

		end = strchrnul(dirs, ':');
		if (snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end - dirs), dirs, end > dirs ? "/" : "", name) <
			    PATH_MAX &&
		    !stat(path, &st) && S_ISREG(st.st_mode)) {
			if (!access(path, X_OK))
				return 0;
			found = EACCES;
		}
		if (!*end)
			return found;
	}
}

static int fail(struct fl_run_result *res, int code, const char *name, const char *why)
{
	res->exit_code = code;
	snprintf(res->error, sizeof(res->error), "%s: %s", name, why);
	return -1;
}

int fl_preflight(const struct fl_run_options *o, char *path, struct fl_run_result *res)
{
	const char *name = o->argv ? o->argv[0] : NULL, *why;
	struct stat st;
	int e;

	if (!name || !*name)
		return fail(res, NOT_FOUND, "''", "no program is named");
	e = search(name, path);
	if (e == ENOENT && !strchr(name, '/'))
		return fail(res, NOT_FOUND, name, "command not found");
	if (e == EACCES)
		return fail(res, NOT_EXECUTABLE, name, "Permission denied");
	if (e)
		return fail(res, NOT_FOUND, name, strerror(e));
	if (stat(path, &st))
		return fail(res, NOT_FOUND, name, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return fail(res, NOT_EXECUTABLE, name, "Is a directory");
	if (!S_ISREG(st.st_mode) || access(path, X_OK))
		return fail(res, NOT_EXECUTABLE, name, "Permission denied");
	why = fl_program_refusal(path, geteuid());
	if (why)
		return fail(res, NOT_EXECUTABLE, name, why);
	return 0;
}
