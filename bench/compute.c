/* SPDX-License-Identifier: MIT */
/* A program that does not fault once it runs: a fixed number of integer steps. Its result is printed, so that it is not optimized away. */
#include <stdint.h>
#include <stdio.h>

int main(void)
{
	uint64_t x = 88172645463325252ull, sum = 0;

	for (uint32_t i = 0; i < 300000000u; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum += x;
	}
	printf("%016llx\n", (unsigned long long)sum);
	return 0;
}
