/* SPDX-License-Identifier: MIT */
/*
 * The memory calls as a program sees them: results, errno, contents, and the signal of every refused access. Prints one line a
 * case, without addresses, so that a native run and a run under the engine can be compared line by line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static sigjmp_buf env;
static volatile int sig, code;
static volatile uintptr_t where;

static void handler(int s, siginfo_t *si, void *uc)
{
	(void)uc;
	sig = s;
	code = si->si_code;
	where = (uintptr_t)si->si_addr;
	siglongjmp(env, 1);
}

/* One access: "ok VALUE", or the signal with its code and whether si_addr is exact. */
static void access_byte(const char *name, volatile unsigned char *p, int write)
{
	if (sigsetjmp(env, 1)) {
		printf("%s: signal %d code %d addr %s\n", name, sig, code, where == (uintptr_t)p ? "exact" : "other");
		return;
	}
	if (write)
		*p = 0x5a;
	printf("%s: ok %02x\n", name, *p);
}
#define R(name, p) access_byte(name, (volatile unsigned char *)(p), 0)
#define W(name, p) access_byte(name, (volatile unsigned char *)(p), 1)

static void rc(const char *name, long r)
{
	if (r == -1)
		printf("%s: -1 %s\n", name, strerrorname_np(errno));
	else
		printf("%s: %ld\n", name, r);
}

/* A call that returns an address: shown relative to base. */
static void *at(const char *name, void *r, void *base)
{
	if (r == MAP_FAILED)
		printf("%s: -1 %s\n", name, strerrorname_np(errno));
	else if (!base)
		printf("%s: mapped\n", name);
	else
		printf("%s: base%+ld pages\n", name, ((char *)r - (char *)base) / (long)P);
	return r;
}

static char *area(size_t pages, int prot)
{
	char *p = mmap(NULL, pages * P, prot, ANON, -1, 0);

	if (p == MAP_FAILED)
		exit(99);
	return p;
}

static void map_cases(void)
{
	char *a = area(16, RW);

	at("map len 0", mmap(NULL, 0, RW, ANON, -1, 0), NULL);
	at("map no type", mmap(NULL, P, RW, MAP_ANONYMOUS, -1, 0), NULL);
	at("map wraps", mmap(NULL, (size_t)-1, RW, ANON, -1, 0), NULL);
	at("map too large", mmap(NULL, 1ul << 47, RW, ANON | MAP_NORESERVE, -1, 0), NULL);
	at("fixed misaligned", mmap(a + 1, P, RW, ANON | MAP_FIXED, -1, 0), NULL);
	at("fixed beyond the end", mmap((void *)(1ul << 47), P, RW, ANON | MAP_FIXED, -1, 0), NULL);
	at("fixed low", mmap((void *)P, P, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), (void *)P);
	a[3 * P] = 7;
	at("noreplace on a mapping", mmap(a + 3 * P, P, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), a);
	R("still there", a + 3 * P);
	at("fixed replaces", mmap(a + 3 * P, P, RW, ANON | MAP_FIXED, -1, 0), a);
	R("replaced by zeros", a + 3 * P);
	rc("unmap hole", munmap(a + 4 * P, 2 * P));
	at("hint in the hole", mmap(a + 4 * P, 2 * P, RW, ANON, -1, 0), a);
	rc("unmap misaligned", munmap(a + 1, P));
	rc("unmap len 0", munmap(a, 0));
	rc("unmap odd len", munmap(a + 15 * P, 17));
	R("unmapped page", a + 15 * P);
	rc("unmap again", munmap(a + 15 * P, P));
	rc("unmap all", munmap(a, 16 * P));
	R("all gone", a);
	a = mmap(NULL, 4 * P, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	R("PROT_NONE read", a + 17);
	W("PROT_NONE write", a + 18);
	munmap(a, 4 * P);
	a = mmap(NULL, 4 * P, PROT_WRITE, ANON, -1, 0);
	R("PROT_WRITE reads", a);
	munmap(a, 4 * P);
	a = mmap(NULL, 4 * P, RW, ANON | MAP_POPULATE, -1, 0);
	unsigned char vec[4] = {0};
	rc("mincore populated", mincore(a, 4 * P, vec));
	printf("resident: %d%d%d%d\n", vec[0] & 1, vec[1] & 1, vec[2] & 1, vec[3] & 1);
	munmap(a, 4 * P);
}

static void protect_cases(void)
{
	char *a = area(8, RW);

	memset(a, 1, 8 * P);
	rc("protect misaligned", mprotect(a + 1, P, PROT_READ));
	rc("protect len 0", mprotect(a, 0, PROT_READ));
	rc("protect bad bits", mprotect(a, P, 0x1000));
	rc("protect middle", mprotect(a + 2 * P, 2 * P, PROT_READ));
	R("read of read-only", a + 2 * P + 5);
	W("write of read-only", a + 3 * P + 9);
	W("write before", a + P);
	W("write after", a + 4 * P);
	rc("protect back", mprotect(a + 2 * P, 2 * P, RW));
	W("write again", a + 3 * P + 9);
	R("content kept", a + 2 * P);
	rc("none", mprotect(a, 8 * P, PROT_NONE));
	R("none read", a + 6 * P);
	rc("back", mprotect(a, 8 * P, RW));
	R("content kept under none", a + 6 * P);
	munmap(a + 4 * P, P);
	rc("protect over a hole", mprotect(a, 8 * P, PROT_READ));
	W("before the hole was done", a + P);
	W("after the hole was not", a + 6 * P);
	rc("protect nothing", mprotect(a + 4 * P, P, PROT_READ));
	munmap(a, 8 * P);
	a = area(2, RW);
	a[0] = (char)0xc3;
	void (*fn)(void) = (void (*)(void))(uintptr_t)a;
	if (sigsetjmp(env, 1))
		printf("exec of data: signal %d code %d addr %s\n", sig, code,
		       where == (uintptr_t)a ? "exact" : "other");
	else {
		fn();
		printf("exec of data: ran\n");
	}
	rc("make it code", mprotect(a, P, PROT_READ | PROT_EXEC));
	if (sigsetjmp(env, 1))
		printf("exec of code: signal %d code %d\n", sig, code);
	else {
		fn();
		printf("exec of code: ran\n");
	}
	munmap(a, 2 * P);
}

static void remap_cases(void)
{
	char *a = area(16, RW), *b, *c;

	for (int i = 0; i < 16; i++)
		a[(unsigned)i * P] = (char)('a' + i);
	at("remap misaligned", mremap(a + 1, P, P, 0), NULL);
	at("remap to 0", mremap(a, P, 0, 0), NULL);
	at("remap bad flags", mremap(a, P, P, 0x100), NULL);
	at("remap fixed alone", mremap(a, P, P, MREMAP_FIXED, a + 8 * P), NULL);
	at("remap from 0", mremap(a, 0, P, MREMAP_MAYMOVE), NULL);
	at("shrink", mremap(a, 16 * P, 8 * P, 0), a);
	R("tail gone", a + 8 * P);
	R("head kept", a + 7 * P);
	at("grow in place", mremap(a, 8 * P, 12 * P, 0), a);
	R("new tail zero", a + 11 * P);
	c = mmap(a + 12 * P, P, RW, ANON | MAP_FIXED, -1, 0);
	c[0] = 'z';
	at("cannot grow", mremap(a, 12 * P, 16 * P, 0), a);
	at("across two kinds", mremap(a + 10 * P, 4 * P, 4 * P, MREMAP_MAYMOVE), NULL);
	b = mremap(a, 12 * P, 20 * P, MREMAP_MAYMOVE);
	printf("moved: %d\n", b != a && b != MAP_FAILED);
	R("moved content", b + 5 * P);
	R("moved tail", b + 19 * P);
	R("old place gone", a + 5 * P);
	R("neighbour kept", c);
	at("fixed overlap", mremap(b, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED, b + 2 * P), NULL);
	at("fixed misaligned", mremap(b, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED, b + 1), NULL);
	at("fixed over itself later", mremap(b, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED, b + 8 * P), b);
	R("moved 4 pages", b + 9 * P);
	R("source gone", b);
	R("beyond the move", b + 12 * P);
	at("unmapped source", mremap(b, P, P, MREMAP_MAYMOVE), NULL);
	at("dontunmap", mremap(b + 8 * P, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), NULL);
	R("source empty", b + 8 * P);
	munmap(b, 20 * P);
	munmap(c, P);
}

static void brk_cases(void)
{
	char *b = sbrk(0);

	rc("sbrk up", sbrk((intptr_t)(4 * P)) == b ? 0 : 1);
	W("heap", b + 2 * P);
	rc("sbrk down", sbrk(-(intptr_t)(2 * P)) == b + 4 * P ? 0 : 1);
	rc("end", (char *)sbrk(0) - b);
	R("beyond the heap's page", (char *)(((uintptr_t)b + 3 * P) & ~(P - 1)) + P);
	rc("brk to 0", brk(NULL));
	rc("end kept", (char *)sbrk(0) - b);
	brk(b);
}

static void advise_cases(void)
{
	char *a = area(8, RW);
	unsigned char vec[8];

	memset(a, 3, 8 * P);
	rc("dontneed", madvise(a + 2 * P, 2 * P, MADV_DONTNEED));
	mincore(a, 8 * P, vec);
	printf("resident: ");
	for (int i = 0; i < 8; i++)
		printf("%d", vec[i] & 1);
	printf("\n");
	R("dropped", a + 2 * P);
	R("kept", a + 4 * P);
	rc("misaligned", madvise(a + 1, P, MADV_DONTNEED));
	rc("odd len", madvise(a + 6 * P, 5, MADV_DONTNEED));
	R("odd len dropped", a + 6 * P + 100);
	rc("len 0", madvise(a, 0, MADV_DONTNEED));
	rc("bad advice", madvise(a, P, 77));
	rc("bad advice, len 0", madvise(a, 0, 77));
	munmap(a + 4 * P, P);
	rc("over a hole", madvise(a, 8 * P, MADV_DONTNEED));
	R("before the hole", a + P);
	R("after the hole", a + 7 * P);
	rc("normal over a hole", madvise(a, 8 * P, MADV_NORMAL));
	rc("sequential", madvise(a, 2 * P, MADV_SEQUENTIAL));
	rc("random", madvise(a, 2 * P, MADV_RANDOM));
	rc("willneed", madvise(a, 2 * P, MADV_WILLNEED));
	rc("remove anonymous", madvise(a, P, MADV_REMOVE));
	rc("free", madvise(a, 2 * P, MADV_FREE));
	rc("cold", madvise(a, 2 * P, MADV_COLD));
	rc("dontfork", madvise(a, P, MADV_DONTFORK));
	rc("wipeonfork", madvise(a + P, P, MADV_WIPEONFORK));
	rc("dontdump", madvise(a, P, MADV_DONTDUMP));
	rc("dodump", madvise(a, P, MADV_DODUMP));
	rc("populate write", madvise(a + 5 * P, 3 * P, MADV_POPULATE_WRITE));
	rc("populate read", madvise(a + 2 * P, 2 * P, MADV_POPULATE_READ));
	rc("populate a hole", madvise(a + 4 * P, P, MADV_POPULATE_WRITE));
	mprotect(a + 5 * P, P, PROT_READ);
	rc("populate write of read-only", madvise(a + 5 * P, P, MADV_POPULATE_WRITE));
	a[P] = 9;
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		R("child: dontfork", a);
		R("child: wipeonfork", a + P);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	R("parent: wipeonfork", a + P);
	rc("mlock", mlock(a, 2 * P));
	rc("dontneed of locked", madvise(a, P, MADV_DONTNEED));
	rc("munlock", munlock(a, 2 * P));
	rc("mlock over a hole", mlock(a, 8 * P));
	rc("munlock over a hole", munlock(a, 8 * P));
	rc("msync", msync(a, 2 * P, MS_SYNC));
	rc("msync both", msync(a, P, MS_SYNC | MS_ASYNC));
	rc("msync misaligned", msync(a + 1, P, MS_SYNC));
	rc("msync over a hole", msync(a, 8 * P, MS_ASYNC));
	rc("mincore misaligned", mincore(a + 1, P, vec));
	rc("mincore over a hole", mincore(a, 8 * P, vec));
	rc("mincore bad vector", mincore(a, P, (unsigned char *)8));
	munmap(a, 8 * P);
}

static void fork_cases(void)
{
	char *a = area(64, RW);

	for (unsigned i = 0; i < 64; i++)
		a[i * P] = (char)i;
	fflush(stdout);
	for (int k = 0; k < 3; k++) {
		pid_t pid = fork();

		if (pid) {
			a[(unsigned)(k * 5) * P] = 99;
			int st = 0;

			waitpid(pid, &st, 0);
			printf("child %d said %d\n", k, WEXITSTATUS(st));
			continue;
		}
		unsigned bad = 0;
		for (unsigned i = 0; i < 64; i++)
			bad += a[i * P] != (char)i && a[i * P] != 99;
		memset(a, k, 64 * P);
		for (unsigned i = 0; i < 64 * P; i++)
			bad += a[i] != k;
		_exit(bad ? 1 : 0);
	}
	unsigned sum = 0;
	for (unsigned i = 0; i < 64; i++)
		sum += (unsigned)(unsigned char)a[i * P];
	printf("parent's sum: %u\n", sum);
	munmap(a, 64 * P);
}

static void io_cases(void)
{
	char *a = area(4, RW);
	int p[2];

	if (pipe2(p, O_NONBLOCK))
		exit(98);
	munmap(a + 2 * P, P);
	rc("write from a hole", write(p[1], a + 2 * P, 10));
	rc("write up to a hole", write(p[1], a + 2 * P - 10, 20));
	rc("read it", read(p[0], a + 3 * P, 100));
	rc("write for reading", write(p[1], "0123456789", 10));
	rc("read up to a hole", read(p[0], a + 2 * P - 4, 10));
	printf("read: %.4s\n", a + 2 * P - 4);
	mprotect(a + 3 * P, P, PROT_READ);
	rc("write more", write(p[1], "abcdef", 6));
	rc("read into read-only", read(p[0], a + 3 * P, 6));
	close(p[0]);
	close(p[1]);
	munmap(a, 4 * P);
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	map_cases();
	protect_cases();
	remap_cases();
	brk_cases();
	advise_cases();
	fork_cases();
	io_cases();
	return 0;
}
