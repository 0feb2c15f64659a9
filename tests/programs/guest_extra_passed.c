/* SPDX-License-Identifier: MIT */
/*
 * The first userfaultfd of all is made while another process already waits in recvmsg for it: that process serves it.
 * Prints the same natively and under run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul
#define PAGES 64ul

static void pass(int socket, int fd)
{
	char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	sendmsg(socket, &m, 0);
}

static int take(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	int fd = -1;

	if (recvmsg(socket, &m, 0) > 0)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	return fd;
}

static void child(int socket)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register r = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	unsigned char *p = mmap(NULL, PAGES * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long sum = 0;
	int fd;

	usleep(100000); /* the other waits in recvmsg by now */
	fd = (int)syscall(SYS_userfaultfd, O_NONBLOCK | O_CLOEXEC | UFFD_USER_MODE_ONLY);
	r.range.start = (uintptr_t)p;
	r.range.len = PAGES * P;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &r))
		_exit(9);
	pass(socket, fd);
	close(fd);
	for (size_t i = 0; i < PAGES; i++)
		sum += p[i * P];
	printf("sum %lu\n", sum);
	fflush(stdout);
	_exit(sum == 7 * PAGES ? 3 : 4);
}

int main(void)
{
	static unsigned char page[P] __attribute__((aligned(4096)));
	struct pollfd pf = {.events = POLLIN};
	int sockets[2], st = 0, served = 0;
	struct uffd_msg m;
	pid_t pid;

	memset(page, 7, sizeof(page));
	socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
	pid = fork();
	if (!pid)
		child(sockets[1]);
	close(sockets[1]);
	pf.fd = take(sockets[0]);
	while (served < (int)PAGES && poll(&pf, 1, 5000) == 1) {
		struct uffdio_copy c = {.src = (uintptr_t)page, .len = P};

		if (read(pf.fd, &m, sizeof(m)) != sizeof(m)) {
			printf("read: errno %d\n", errno);
			break;
		}
		c.dst = m.arg.pagefault.address & ~(P - 1);
		served += !ioctl(pf.fd, UFFDIO_COPY, &c);
	}
	if (served < (int)PAGES)
		kill(pid, SIGKILL);
	waitpid(pid, &st, 0);
	printf("served %d, child %x\n", served, (unsigned)st);
	return 0;
}
