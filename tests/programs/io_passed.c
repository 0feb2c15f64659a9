/* SPDX-License-Identifier: MIT */
/*
 * A process waits to be given a descriptor, and only then does another make the userfaultfd that it will get: the
 * receiver reads the messages and fills the pages all the same. The argument says how it gets it; a run tests one way,
 * because nobody may have had a userfaultfd before. Without argument: is there one here? Exit status 77: no.
 */
#include "io_lib.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGES 8
#define PIDFD_OPEN 434
#define PIDFD_GETFD 438
#define TAKEN 100

enum way {
	RECVMSG,
	RECVMMSG,
	PIDFD
};

static int new_userfaultfd(void)
{
	return (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1 /* UFFD_USER_MODE_ONLY */);
}

/* Room for one message with one descriptor. */
struct passing {
	struct mmsghdr m;
	struct iovec iov;
	char byte;
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
};

static void prepare(struct passing *p)
{
	p->byte = 'x';
	p->iov = (struct iovec){&p->byte, 1};
	p->m.msg_hdr.msg_iov = &p->iov;
	p->m.msg_hdr.msg_iovlen = 1;
	p->m.msg_hdr.msg_control = p->control.room;
	p->m.msg_hdr.msg_controllen = sizeof(p->control.room);
}

static void give(int sock, int fd)
{
	struct passing p = {0};
	struct cmsghdr *c;

	prepare(&p);
	c = CMSG_FIRSTHDR(&p.m.msg_hdr);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	CHECK(sendmsg(sock, &p.m.msg_hdr, 0) == 1);
}

static int take(int sock, struct passing *p, bool many)
{
	int fd;

	prepare(p);
	if (many)
		CHECK(recvmmsg(sock, &p->m, 1, 0, NULL) == 1);
	else
		CHECK(recvmsg(sock, &p->m.msg_hdr, 0) == 1);
	CHECK(p->m.msg_hdr.msg_controllen == sizeof(p->control.room) && p->byte == 'x');
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&p->m.msg_hdr)), sizeof(fd));
	return fd;
}

/* Make a userfaultfd, give it away (or let it be taken, as descriptor TAKEN) and touch what it serves. */
static void child(int sock, enum way way)
{
	char *p;
	int u, sum = 0;
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};

	usleep(50000); /* the other waits by now */
	u = new_userfaultfd();
	CHECK(u >= 0 && !ioctl(u, UFFDIO_API, &api));
	p = fresh();
	reg.range = (struct uffdio_range){(uintptr_t)p, PAGES * PAGE};
	CHECK(!ioctl(u, UFFDIO_REGISTER, &reg));
	CHECK(dup2(u, TAKEN) == TAKEN);
	if (way == PIDFD)
		CHECK(write(sock, "x", 1) == 1);
	else
		give(sock, u);
	for (unsigned i = 0; i < PAGES; i++)
		sum += p[i * PAGE];
	printf("child: %d\n", sum);
	fflush(stdout);
	_exit(0);
}

static bool serve(int u)
{
	struct pollfd pf = {.fd = u, .events = POLLIN};
	static char page[PAGE];
	struct uffd_msg msg;

	for (int i = 0; i < PAGES; i++) {
		struct uffdio_copy copy = {.src = (uintptr_t)page, .len = PAGE};
		ssize_t n;

		CHECK(poll(&pf, 1, 5000) == 1);
		n = read(u, &msg, sizeof(msg));
		if (n != sizeof(msg)) {
			tell("a short message", n, NULL);
			return false;
		}
		page[0] = (char)(i + 1);
		copy.dst = msg.arg.pagefault.address & ~(PAGE - 1);
		CHECK(!ioctl(u, UFFDIO_COPY, &copy));
	}
	printf("served\n");
	return true;
}

static int receive(int sock, pid_t from, enum way way, bool in_fresh)
{
	struct passing local, *p = &local;
	int pidfd, u;
	char byte;

	if (in_fresh)
		p = (struct passing *)(void *)(fresh() + PAGE - 64);
	memset(p, 0, sizeof(*p));
	if (way != PIDFD)
		return take(sock, p, way == RECVMMSG);
	CHECK(read(sock, &byte, 1) == 1);
	pidfd = (int)syscall(PIDFD_OPEN, from, 0);
	CHECK(pidfd >= 0);
	u = (int)syscall(PIDFD_GETFD, pidfd, TAKEN, 0);
	CHECK(u >= 0);
	close(pidfd);
	return u;
}

static void receive_and_serve(enum way way, bool in_fresh)
{
	int sv[2], status, u;
	pid_t other;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	other = fork();
	CHECK(other >= 0);
	if (!other)
		child(sv[1], way);
	u = receive(sv[0], other, way, in_fresh);
	if (!serve(u))
		kill(other, SIGKILL);
	CHECK(waitpid(other, &status, 0) == other);
	printf("status %x\n", (unsigned)status);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum way way;
		bool in_fresh;
	} cases[] = {
		{"recvmsg", RECVMSG, false},        {"recvmsg-fresh", RECVMSG, true}, {"recvmmsg", RECVMMSG, false},
		{"recvmmsg-fresh", RECVMMSG, true}, {"pidfd_getfd", PIDFD, false},
	};

	begin(argc, argv);
	if (argc < 2)
		return new_userfaultfd() < 0 ? 77 : 0;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(argv[1], cases[i].name) != 0)
			continue;
		receive_and_serve(cases[i].way, cases[i].in_fresh);
		return 0;
	}
	printf("no case %s\n", argv[1]);
	return 2;
}
