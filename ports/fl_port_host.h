/* SPDX-License-Identifier: MIT */
/*
 * What the two ports that come with the library have in common on a POSIX host:
 * memory, the failure of allocations on request, and the last words of a panic.
 * Included once, by the port.c of each.
 *
 *   small   below LARGE bytes: from malloc, so that AddressSanitizer guards it
 *   large   mapped, so that pages which nobody touches cost nothing
 *
 * No locks: the counters are atomic.
 */
#ifndef FL_PORT_HOST_H
#define FL_PORT_HOST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "faultline/types.h"
#include "fl_port_test.h"

#define LARGE ((size_t)128 << 10)

static struct {
	long at;    /* which allocation shall fail; -1: none */
	long count; /* allocations tried since at was set */
	uint32_t hit;
} failing = {.at = -1};

void fl_port_fail_alloc_after(long n)
{
	__atomic_store_n(&failing.at, -1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&failing.count, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&failing.hit, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&failing.at, n, __ATOMIC_SEQ_CST);
}

bool fl_port_fail_alloc_hit(void)
{
	return __atomic_load_n(&failing.hit, __ATOMIC_SEQ_CST) != 0;
}

long fl_port_alloc_count(void)
{
	return __atomic_load_n(&failing.count, __ATOMIC_SEQ_CST);
}

static bool shall_fail(void)
{
	long at = __atomic_load_n(&failing.at, __ATOMIC_RELAXED);

	if (FL_LIKELY(at < 0))
		return false;
	if (__atomic_fetch_add(&failing.count, 1, __ATOMIC_SEQ_CST) != at)
		return false;
	__atomic_store_n(&failing.hit, 1, __ATOMIC_SEQ_CST);
	return true;
}

static void *host_alloc(size_t size)
{
	void *p;

	if (FL_UNLIKELY(shall_fail()))
		return NULL;
	if (size >= LARGE) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return p == MAP_FAILED ? NULL : p;
	}
	if (posix_memalign(&p, FL_CACHELINE, size ? size : 1))
		return NULL;
	return memset(p, 0, size);
}

static void host_free(void *p, size_t size)
{
	if (size < LARGE)
		free(p);
	else if (p && munmap(p, size))
		fl_port_panic(__FILE__, __LINE__, "fl_port_free: munmap refused; was the size the allocation's?");
}

FL_NORETURN static void host_panic(const char *file, int line, const char *what)
{
	fprintf(stderr, "faultline: %s:%d: %s\n", file, line, what);
	abort();
}

#endif
