/* SPDX-License-Identifier: MIT */
/*
 * For the io_*.c guests: fresh anonymous memory, and lines of output that are the same on every kernel and run. With
 * the argument "resident" they also print which pages of the memory are there (mincore), which is the same only where
 * one page is faulted in at a time.
 */
#ifndef IO_LIB_H
#define IO_LIB_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul
#define FRESH_PAGES 16ul

static bool show_resident;

#define CHECK(e)                                                                    \
	do {                                                                        \
		if (!(e)) {                                                         \
			printf("line %d: %s: %s\n", __LINE__, #e, strerror(errno)); \
			exit(1);                                                    \
		}                                                                   \
	} while (0)

/* FRESH_PAGES pages that nobody has touched, with nothing mapped next to them. */
static inline char *fresh(void)
{
	char *p = mmap(NULL, (FRESH_PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK(!mprotect(p + PAGE, FRESH_PAGES * PAGE, PROT_READ | PROT_WRITE));
	CHECK(!madvise(p + PAGE, FRESH_PAGES * PAGE, MADV_NOHUGEPAGE) || errno == EINVAL);
	return p + PAGE;
}

static inline uint32_t sum(const void *data, size_t n)
{
	const unsigned char *p = data;
	uint32_t h = 2166136261u;

	while (n--)
		h = (h ^ *p++) * 16777619u;
	return h;
}

static inline void fill(void *data, size_t n, unsigned seed)
{
	unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)((i * 131 + i / 251 + seed) & 0xff);
}

static inline void resident(const char *fresh_memory)
{
	unsigned char vec[FRESH_PAGES];

	if (!show_resident)
		return;
	CHECK(!mincore((void *)(uintptr_t)fresh_memory, FRESH_PAGES * PAGE, vec));
	printf("  pages ");
	for (size_t i = 0; i < FRESH_PAGES; i++)
		putchar(vec[i] & 1 ? '#' : '.');
	putchar('\n');
}

/* One line for a call: its result or error, then the pages. Residency first: printing must not be able to change it. */
static inline void tell(const char *what, long result, const char *fresh_memory)
{
	int err = errno;

	if (result < 0)
		printf("%s: %s\n", what, strerror(err));
	else
		printf("%s: %ld\n", what, result);
	if (fresh_memory)
		resident(fresh_memory);
	errno = err;
}

static inline void drop(char *fresh_memory)
{
	CHECK(!munmap(fresh_memory - PAGE, (FRESH_PAGES + 2) * PAGE));
}

static inline void begin(int argc, char **argv)
{
	show_resident = argc > 1 && !strcmp(argv[1], "resident");
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
}

#endif
