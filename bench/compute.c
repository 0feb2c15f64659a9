/* SPDX-License-Identifier: MIT */
/*
 * A program that does not fault once it runs: a fixed number of integer steps. Prints the milliseconds of user CPU time that they took; the
 * result goes to standard error, so that it is not optimized away.
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

int main(void)
{
	uint64_t x = 88172645463325252ull, sum = 0;
	struct rusage r;

	for (uint32_t i = 0; i < 300000000u; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum += x;
	}
	fprintf(stderr, "%016llx\n", (unsigned long long)sum);
	if (getrusage(RUSAGE_SELF, &r))
		return 1;
	printf("%.3f\n", (double)r.ru_utime.tv_sec * 1e3 + (double)r.ru_utime.tv_usec / 1e3);
	return 0;
}
