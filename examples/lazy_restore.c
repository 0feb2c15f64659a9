/* SPDX-License-Identifier: MIT */
/*
 * Restore a snapshot lazily, each page when it is first touched, with userfaultfd(2).
 *
 *   lazy_restore --make FILE [MIB]   write a snapshot (64 MiB) of pseudo-random words
 *   lazy_restore FILE                restore it: two threads walk it in different orders, and checksum it
 *
 * An ordinary Linux program. It prints the same natively and under `faultline run`. No locks: the threads share what
 * main() set before it started them, and the kernel orders a fault and its page.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static size_t page_size, pages;
static char *region, *buffer; /* buffer: the handler's, and outside the region, or the handler would wait for itself */
static int snapshot, uffd;

static void check(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

/* Fill the page at addr. Both workers may have touched it: then its message comes twice, and it may be there already. */
static void fill(unsigned long addr)
{
	struct uffdio_copy copy = {.dst = addr, .src = (unsigned long)buffer, .len = page_size};
	struct uffdio_range range = {.start = addr, .len = page_size};
	size_t have = 0;
	ssize_t n = 1;

	for (; n > 0 && have < page_size; have += (size_t)n) {
		n = pread(snapshot, buffer + have, page_size - have, (off_t)(addr - (unsigned long)region + have));
		check(n >= 0, "pread");
	}
	memset(buffer + have, 0, page_size - have); /* the snapshot may end within its last page */

	/* The copy puts the whole page in place at once and wakes whoever waits for it: nobody sees half a page. */
	while (ioctl(uffd, UFFDIO_COPY, &copy) != 0) {
		if (errno == EAGAIN) /* the address space is changing under us; of this page nothing is done yet */
			continue;
		/* EEXIST: it is there already. A failed copy wakes nobody, so do it here, or a thread may sleep for ever. */
		check(errno == EEXIST && ioctl(uffd, UFFDIO_WAKE, &range) == 0, "UFFDIO_COPY");
		return;
	}
}

/* The handler lives as long as the process. */
static void *handle_faults(void *unused)
{
	struct pollfd pollfd = {.fd = uffd, .events = POLLIN};
	struct uffd_msg msgs[16];

	for (;;) {
		check(poll(&pollfd, 1, -1) >= 0 || errno == EINTR, "poll");
		/* What poll saw may be gone again: EAGAIN, as uffd is O_NONBLOCK. A read gives whole messages only. */
		ssize_t n = read(uffd, msgs, sizeof(msgs));
		check(n >= 0 || errno == EAGAIN || errno == EINTR, "read");
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(msgs[0]); i++)
			if (msgs[i].event == UFFD_EVENT_PAGEFAULT)
				fill(msgs[i].arg.pagefault.address & ~(page_size - 1));
	}
	return unused;
}

/* Touch every page once, in an order of this worker's own. *arg: its seed, then its checksum, which no order changes. */
static void *walk(void *arg)
{
	unsigned long *seed = arg, page = 0, sum = 0, round = 1;

	while (round < pages)
		round *= 2;
	for (unsigned long i = 0; i < round; i++) {
		page = (page * 5 + (*seed | 1)) %
		       round; /* a generator of full period: every number below round, once */
		if (page >= pages)
			continue;
		const unsigned long *word = (const void *)(region + page * page_size);
		unsigned long hash = page;
		for (size_t n = page_size / sizeof(*word); n > 0; n--)
			hash = (hash ^ *word++) * 0x9e3779b97f4a7c15;
		sum += hash ^ hash >> 32;
	}
	*seed = sum;
	return NULL;
}

static void make(const char *path, unsigned long mib)
{
	FILE *file = fopen(path, "wb");
	unsigned long word = 88172645463325252;

	check(file != NULL, path);
	for (unsigned long n = (mib << 20) / sizeof(word); n > 0; n--) {
		word ^= word << 13, word ^= word >> 7, word ^= word << 17; /* xorshift64 */
		check(fwrite(&word, sizeof(word), 1, file) == 1, path);
	}
	check(fclose(file) == 0, path);
	exit(0);
}

int main(int argc, char **argv)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	unsigned long result[2] = {12345, 67890};
	pthread_t handler, worker[2];
	struct stat st;

	if (argc >= 3 && strcmp(argv[1], "--make") == 0)
		make(argv[2], argc > 3 ? strtoul(argv[3], NULL, 0) : 64);
	if (argc != 2)
		return fprintf(stderr, "usage: lazy_restore FILE | lazy_restore --make FILE [MIB]\n"), 2;
	snapshot = open(argv[1], O_RDONLY | O_CLOEXEC);
	check(snapshot >= 0 && fstat(snapshot, &st) == 0, argv[1]);
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	pages = ((size_t)st.st_size + page_size - 1) / page_size;
	region = mmap(NULL, pages * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	buffer = malloc(page_size);
	check(region != MAP_FAILED && buffer, "memory for the snapshot");

	/* USER_MODE_ONLY needs no privilege: the program's own accesses to the region may fault, system calls may not. */
	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	check(uffd >= 0 && ioctl(uffd, UFFDIO_API, &api) == 0, "userfaultfd");
	reg.range = (struct uffdio_range){.start = (unsigned long)region, .len = pages * page_size};
	check(ioctl(uffd, UFFDIO_REGISTER, &reg) == 0, "UFFDIO_REGISTER");

	check((errno = pthread_create(&handler, NULL, handle_faults, NULL)) == 0, "pthread_create");
	for (int i = 0; i < 2; i++)
		check((errno = pthread_create(&worker[i], NULL, walk, &result[i])) == 0, "pthread_create");
	for (int i = 0; i < 2; i++)
		pthread_join(worker[i], NULL);

	printf("%zu pages, checksums %016lx %016lx\n", pages, result[0], result[1]);
	return result[0] == result[1] ? 0 : 1;
}
