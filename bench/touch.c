/* SPDX-License-Identifier: MIT */
/*
 * Touch fresh anonymous memory and say what a page cost. Run natively and under `faultline run`.
 *
 *   touch PAGES    prints nanoseconds per page
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

int main(int argc, char **argv)
{
	unsigned long pages = argc > 1 ? strtoul(argv[1], NULL, 10) : 16384;
	struct timespec a, b;
	char *p = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("touch: mmap");
		return 1;
	}
	madvise(p, pages * 4096, MADV_NOHUGEPAGE);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned long i = 0; i < pages; i++)
		*(volatile char *)(p + i * 4096) = 1;
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.1f\n", ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (double)pages);
	return 0;
}
