/* SPDX-License-Identifier: MIT */
/*
 * Memory calls under resource limits: a limit that the program sets for itself, that another process sets for it, that
 * fork and exec hand on, and that a vfork child sets for itself alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul
#define MIB (1ul << 20)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static void tell(const char *what, int failed)
{
	printf("%s: %s\n", what, failed ? strerrorname_np(errno) : "ok");
	fflush(stdout);
}

static void limit(enum __rlimit_resource what, rlim_t to)
{
	struct rlimit r;

	getrlimit(what, &r);
	r.rlim_cur = to;
	if (setrlimit(what, &r))
		tell("setrlimit", 1);
}

static void *map(size_t len, int prot, int more)
{
	return mmap(NULL, len, prot, ANON | more, -1, 0);
}

static void in_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		fn();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status)
		printf("child: %#x\n", (unsigned)status);
	fflush(stdout);
}

static void address_space(void)
{
	char *p, *q;

	limit(RLIMIT_AS, 256 * MIB);
	tell("AS: mmap", map(512 * MIB, RW, 0) == MAP_FAILED);
	tell("AS: mmap without access", map(512 * MIB, PROT_NONE, MAP_NORESERVE) == MAP_FAILED);
	tell("AS: malloc", !malloc(512 * MIB));
	p = map(64 * MIB, RW, 0);
	tell("AS: mmap of less", p == MAP_FAILED);
	q = mremap(p, 64 * MIB, 512 * MIB, MREMAP_MAYMOVE);
	tell("AS: mremap", q == MAP_FAILED);
	tell("AS: sbrk", sbrk(512 * MIB) == (void *)-1);
	memset(p, 1, 64 * MIB);
	printf("AS: touched %d\n", p[64 * MIB - 1]);
	tell("AS: and once more", map(220 * MIB, RW, 0) == MAP_FAILED);
	munmap(p, 64 * MIB);
	limit(RLIMIT_AS, RLIM_INFINITY);
	tell("AS: lifted", map(512 * MIB, RW, 0) == MAP_FAILED);
}

/* Memory that is shared, and a file's: the same limits, whoever serves it. */
static void shared(void)
{
	char *p = mmap(NULL, 4 * P, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *q;

	limit(RLIMIT_AS, 256 * MIB);
	tell("shared: mmap", mmap(NULL, 512 * MIB, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	tell("shared: mremap", mremap(p, 4 * P, 512 * MIB, MREMAP_MAYMOVE) == MAP_FAILED);
	p[3 * P] = 7;
	q = mremap(p, 0, 4 * P, MREMAP_MAYMOVE);
	tell("shared: another view", q == MAP_FAILED);
	q[0] = 8;
	printf("shared: %d %d\n", p[0], q[3 * P]);
	tell("shared: another view, in place", mremap(p, 0, 4 * P, 0) == MAP_FAILED);
	tell("shared: a view too large", mremap(p, 0, 512 * MIB, MREMAP_MAYMOVE) == MAP_FAILED);
	tell("shared: no length", mremap(p, 4 * P, 0, MREMAP_MAYMOVE) == MAP_FAILED);
	q = mremap(p, 4 * P, 8 * P, MREMAP_MAYMOVE);
	tell("shared: grown", q == MAP_FAILED);
	printf("shared: %d\n", q[3 * P]);
	fflush(stdout);
	tell("shared: unmapped", munmap(q, 8 * P));
}

static void data(void)
{
	char *p = map(64 * MIB, PROT_READ, 0);

	limit(RLIMIT_DATA, 16 * MIB);
	tell("DATA: sbrk", sbrk(32 * MIB) == (void *)-1);
	tell("DATA: sbrk of less", sbrk(MIB) == (void *)-1);
	tell("DATA: mmap", map(32 * MIB, RW, 0) == MAP_FAILED);
	tell("DATA: mmap to read", map(32 * MIB, PROT_READ, 0) == MAP_FAILED);
	tell("DATA: mprotect", mprotect(p, 64 * MIB, RW));
	tell("DATA: mprotect of less", mprotect(p, MIB, RW));
}

static void locked(void)
{
	char *p = map(64 * P, RW, 0), *q;

	if (!geteuid() && setuid(65534))
		tell("setuid", 1);
	limit(RLIMIT_MEMLOCK, 4 * P + 5);
	tell("MEMLOCK: mlock", mlock(p, 64 * P));
	tell("MEMLOCK: mlock of less", mlock(p, 3 * P));
	tell("MEMLOCK: once more", mlock(p, 3 * P));
	tell("MEMLOCK: another", mlock(p + 8 * P, 2 * P));
	tell("MEMLOCK: MAP_LOCKED", map(8 * P, RW, MAP_LOCKED) == MAP_FAILED);
	q = map(P, RW, MAP_LOCKED);
	tell("MEMLOCK: one page", q == MAP_FAILED);
	tell("MEMLOCK: mremap", mremap(q, P, 4 * P, MREMAP_MAYMOVE) == MAP_FAILED);
	limit(RLIMIT_MEMLOCK, 0);
	tell("MEMLOCK 0: mlock", mlock(p + 8 * P, P));
	tell("MEMLOCK 0: mlock2", mlock2(p + 8 * P, P, MLOCK_ONFAULT));
	tell("MEMLOCK 0: mlock2 with bad flags", mlock2(p + 8 * P, P, 6));
	tell("MEMLOCK 0: MAP_LOCKED", map(P, RW, MAP_LOCKED) == MAP_FAILED);
	tell("MEMLOCK 0: munlock", munlock(p, 64 * P));
}

static void from_outside(void)
{
	const struct rlimit r = {256 * MIB, 256 * MIB};
	pid_t parent = getpid(), pid = fork();

	if (!pid)
		_exit(prlimit(parent, RLIMIT_AS, &r, NULL) != 0);
	waitpid(pid, NULL, 0);
	tell("from outside", map(512 * MIB, RW, 0) == MAP_FAILED);
}

static void handed_on(void)
{
	limit(RLIMIT_AS, 256 * MIB);
	if (fork()) {
		wait(NULL);
		return;
	}
	tell("in fork's child", map(512 * MIB, RW, 0) == MAP_FAILED);
	fflush(stdout);
	execl("/proc/self/exe", "guest_limits", "exec", NULL);
	_exit(1);
}

static void of_vfork(void)
{
	const struct rlimit r = {256 * MIB, RLIM_INFINITY};
	pid_t pid = vfork();

	if (!pid) {
		setrlimit(RLIMIT_AS, &r);
		_exit(map(512 * MIB, RW, 0) == MAP_FAILED ? 0 : 1);
	}
	waitpid(pid, NULL, 0);
	tell("after vfork's child", map(512 * MIB, RW, 0) == MAP_FAILED);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		tell(argv[1], map(512 * MIB, RW, 0) == MAP_FAILED);
		return 0;
	}
	in_child(address_space);
	in_child(shared);
	in_child(data);
	in_child(locked);
	in_child(from_outside);
	in_child(handed_on);
	in_child(of_vfork);
	tell("nobody else", map(512 * MIB, RW, 0) == MAP_FAILED);
	return 0;
}
