/* SPDX-License-Identifier: MIT */
/*
 * Memory that the program fills up to the edge of a range which it registers later: the range is untouched, and every page of it
 * must still be reported, whatever was put there ahead of the program.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 64ul

static int uffd;
static char *area;
static int served;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *handler(void *arg)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		uint64_t at = msg.arg.pagefault.address & ~(PAGE - 1);
		struct uffdio_copy copy = {.dst = at, .src = (uintptr_t)page, .len = PAGE};

		memset(page, (int)(1 + (at - (uintptr_t)area) / PAGE), PAGE);
		__atomic_fetch_add(&served, 1, __ATOMIC_SEQ_CST); /* before its reader can go on */
		if (ioctl(uffd, UFFDIO_COPY, &copy))
			die("UFFDIO_COPY");
	}
	return arg;
}

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

/* By the system call, or with an argument by the device. */
static int open_uffd(const char *device)
{
	int dev, fd;

	if (!device)
		return (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	dev = open(device, O_RDONLY | O_CLOEXEC);
	if (dev < 0)
		die(device);
	fd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC);
	close(dev);
	return fd;
}

int main(int argc, char **argv)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	pthread_t t;
	char *all = mmap(NULL, 3 * PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED)
		die("mmap");
	(void)madvise(all, 3 * PAGES * PAGE, MADV_NOHUGEPAGE);
	area = all + PAGES * PAGE;
	/* Upwards to its lower edge, downwards to its upper edge. */
	for (size_t i = 0; i < PAGES; i++)
		all[i * PAGE] = 'x';
	for (size_t i = 3 * PAGES; i-- > 2 * PAGES;)
		all[i * PAGE] = 'y';
	uffd = open_uffd(argc > 1 ? argv[1] : NULL);
	if (uffd < 0)
		die("userfaultfd");
	reg.range.start = (uintptr_t)area;
	reg.range.len = PAGES * PAGE;
	if (ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg) ||
	    pthread_create(&t, NULL, handler, NULL))
		die("register");
	for (size_t i = 0; i < PAGES; i++)
		if (area[i * PAGE + 7] != (char)(i + 1))
			printf("page %zu has %d\n", i, area[i * PAGE + 7]);
	printf("served %d, edges %c%c\n", served, area[-(long)PAGE], area[PAGES * PAGE]);
	return 0;
}
