/* SPDX-License-Identifier: MIT */
/* mlockall and munlockall: what is there, what comes later (mmap, brk, mremap, files), on fault only, limits, fork. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul
#define N 64ul
#define RW (PROT_READ | PROT_WRITE)

static void tell(const char *what, int failed)
{
	printf("%s: %s\n", what, failed ? strerrorname_np(errno) : "ok");
	fflush(stdout);
}

static char *map(size_t pages, int prot)
{
	return mmap(NULL, pages * P, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void resident(const char *what, void *p)
{
	unsigned char vec[N];
	unsigned n = 0;

	memset(vec, 0, sizeof(vec));
	if (p == MAP_FAILED || mincore(p, N * P, vec)) {
		tell(what, 1);
		return;
	}
	for (unsigned i = 0; i < N; i++)
		n += vec[i] & 1;
	printf("%s: %u of %lu there, %s\n", what, n, N, msync(p, P, MS_INVALIDATE) ? "locked" : "not locked");
	fflush(stdout);
}

static char *heap(void)
{
	char *p = sbrk(0);

	p = (char *)(((unsigned long)p + P - 1) & ~(P - 1));
	return brk(p + N * P) ? MAP_FAILED : p;
}

static void kinds(const char *name)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	char *p;

	printf("-- %s\n", name);
	resident("to write", map(N, RW));
	resident("to read", map(N, PROT_READ));
	resident("without access", map(N, PROT_NONE));
	resident("heap", heap());
	p = mremap(map(2, RW), 2 * P, N * P, MREMAP_MAYMOVE);
	resident("grown", p);
	p = map(N, PROT_READ);
	munmap(p + 4 * P, P);
	resident("fixed", mmap(p + 3 * P, N * P, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	p = mmap(NULL, P, PROT_READ, MAP_PRIVATE, fd, 0);
	printf("file: %s\n", msync(p, P, MS_INVALIDATE) ? "locked" : "not locked");
	p = mmap(NULL, P, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	printf("shared: %s\n", msync(p, P, MS_INVALIDATE) ? "locked" : "not locked");
	fflush(stdout);
	close(fd);
}

static void in_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		fn();
		exit(0);
	}
	waitpid(pid, &status, 0);
	printf("status %#x\n", (unsigned)status);
	fflush(stdout);
}

static void in_fork(void)
{
	kinds("child of a locked process");
}

static void everything(void)
{
	char *p = map(N, RW), *q = map(N, PROT_READ), *none = map(N, PROT_NONE);

	p[5 * P] = 1;
	tell("no flags", mlockall(0));
	tell("bad flags", mlockall(8 | MCL_CURRENT));
	tell("on fault alone", mlockall(MCL_ONFAULT));
	tell("current", mlockall(MCL_CURRENT));
	resident("to write", p);
	resident("to read", q);
	resident("without access", none);
	mprotect(none, N * P, RW);
	resident("with access", none);
	kinds("after current");
	tell("munlockall", munlockall());
	resident("unlocked", p);
	tell("future", mlockall(MCL_FUTURE));
	resident("as before", p);
	kinds("after future");
	in_child(in_fork);
	tell("future, on fault", mlockall(MCL_FUTURE | MCL_ONFAULT));
	kinds("after future, on fault");
	tell("current, on fault", mlockall(MCL_CURRENT | MCL_ONFAULT));
	resident("to write", p);
	kinds("future is over");
	tell("munlockall", munlockall());
	kinds("nothing");
}

static void limited(void)
{
	struct rlimit r = {1024 * P, 1024 * P};
	char *p;

	if (!geteuid() && setuid(65534))
		tell("setuid", 1);
	p = map(2048, RW);
	setrlimit(RLIMIT_MEMLOCK, &r);
	tell("limited: current", mlockall(MCL_CURRENT));
	tell("limited: future", mlockall(MCL_FUTURE));
	tell("limited: too much", map(2000, RW) == MAP_FAILED);
	resident("limited: less", map(N, RW));
	tell("limited: heap", sbrk(1024 * P) == (void *)-1);
	tell("limited: mlock", mlock(p, 1000 * P));
	r.rlim_cur = 0;
	setrlimit(RLIMIT_MEMLOCK, &r);
	tell("none: flags", mlockall(0));
	tell("none: future", mlockall(MCL_FUTURE));
	tell("none: mmap", map(N, RW) == MAP_FAILED);
	tell("none: munlockall", munlockall());
	tell("none: mmap", map(N, RW) == MAP_FAILED);
}

int main(void)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};

	(void)setrlimit(RLIMIT_MEMLOCK, &none);
	in_child(everything);
	in_child(limited);
	return 0;
}
