/* SPDX-License-Identifier: MIT */
/*
 * More system calls on untouched memory: several messages at once, terminals, addresses of senders, waits that other
 * threads disturb by fork and by giving memory back, and data that goes on while descriptors do not block.
 */
#include "io_lib.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

static char data[70000];

static void many_messages(void)
{
	char *p = fresh(), *q = fresh();
	struct mmsghdr *out = (struct mmsghdr *)(void *)(p + PAGE - 32),
		       *in = (struct mmsghdr *)(void *)(q + PAGE - 32);
	struct iovec *iov = (struct iovec *)(void *)(p + 3 * PAGE), *to = (struct iovec *)(void *)(q + 3 * PAGE);
	int sv[2], n;

	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	for (int i = 0; i < 3; i++) {
		iov[i] = (struct iovec){p + (5 + 2 * i) * (int)PAGE + 10, 4090};
		out[i].msg_hdr.msg_iov = &iov[i];
		out[i].msg_hdr.msg_iovlen = 1;
		to[i] = (struct iovec){q + (5 + 2 * i) * (int)PAGE + 10, 5000};
		in[i].msg_hdr.msg_iov = &to[i];
		in[i].msg_hdr.msg_iovlen = 1;
	}
	p[7 * PAGE + 100] = 'm';
	n = sendmmsg(sv[1], out, 3, 0);
	printf("sendmmsg %d: %u %u %u\n", n, out[0].msg_len, out[1].msg_len, out[2].msg_len);
	n = recvmmsg(sv[0], in, 3, MSG_DONTWAIT, NULL);
	printf("recvmmsg %d: %u %u %u, byte %c\n", n, in[0].msg_len, in[1].msg_len, in[2].msg_len, q[7 * PAGE + 100]);
	tell("nothing left", recvmmsg(sv[0], in, 3, MSG_DONTWAIT, NULL), NULL);
	close(sv[0]);
	close(sv[1]);
	drop(p);
	drop(q);
}

static void sender_address(void)
{
	char *p = fresh();
	struct sockaddr_un me = {.sun_family = AF_UNIX}, *from = (struct sockaddr_un *)(void *)(p + 3 * PAGE - 5);
	socklen_t *len = (socklen_t *)(void *)(p + 5 * PAGE - 2);
	struct msghdr *m = (struct msghdr *)(void *)(p + 7 * PAGE - 20);
	struct iovec *iov = (struct iovec *)(void *)(p + 9 * PAGE);
	int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 12);

	/* Abstract names: nothing is left behind. */
	snprintf(me.sun_path + 1, 20, "fl-%07da", (int)getpid() % 10000000);
	CHECK(a >= 0 && b >= 0 && !bind(a, (struct sockaddr *)&me, size));
	memcpy(from, &me, sizeof(me));
	me.sun_path[11] = 'b';
	CHECK(!bind(b, (struct sockaddr *)&me, size));
	tell("sendto", sendto(b, data, 3000, 0, (struct sockaddr *)from, size), NULL);
	memset(from, 0, sizeof(*from));
	*len = sizeof(*from);
	tell("recvfrom", recvfrom(a, p + 10, 4000, 0, (struct sockaddr *)from, len), p);
	printf("length %u, same %d\n", (unsigned)*len, !memcmp(from, &me, size));
	CHECK(!memcmp(p + 10, data, 3000));
	me.sun_path[11] = 'a';
	CHECK(sendto(b, data, 500, 0, (struct sockaddr *)&me, size) == 500);
	m->msg_name = p + 11 * PAGE - 4;
	m->msg_namelen = sizeof(struct sockaddr_un);
	m->msg_iov = iov;
	m->msg_iovlen = 1;
	*iov = (struct iovec){p + 13 * PAGE - 100, 200};
	tell("recvmsg", recvmsg(a, m, 0), p);
	printf("name %u, flags %x\n", (unsigned)m->msg_namelen, (unsigned)m->msg_flags);
	close(a);
	close(b);
	drop(p);
}

static void terminals(void)
{
	char *p = fresh();
	struct termios *t = (struct termios *)(void *)(p + PAGE - 10);
	struct winsize *w = (struct winsize *)(void *)(p + 3 * PAGE - 4);
	int m = posix_openpt(O_RDWR | O_NOCTTY), s;

	if (m < 0 || grantpt(m) || unlockpt(m) || (s = open(ptsname(m), O_RDWR | O_NOCTTY)) < 0) {
		printf("no terminals\n");
		return;
	}
	tell("TCGETS", ioctl(s, TCGETS, t), p);
	w->ws_row = 33;
	tell("TIOCSWINSZ", ioctl(m, TIOCSWINSZ, w), p);
	tell("TIOCGWINSZ", ioctl(s, TIOCGWINSZ, p + 5 * PAGE - 4), p);
	CHECK(write(m, "one line\nand another\n", 21) == 21);
	tell("read line", read(s, p + 7 * PAGE - 4, 5000), p);
	CHECK(!memcmp(p + 7 * PAGE - 4, "one line\n", 9));
	tell("read few", read(s, p + 9 * PAGE - 2, 4), p);
	CHECK(!memcmp(p + 9 * PAGE - 2, "and ", 4));
	tell("read rest", read(s, p + 10 * PAGE, 5000), p);
	close(s);
	close(m);
	drop(p);
}

struct blocked {
	int fd;
	char *at;
	size_t want;
	ssize_t got;
};

static void *blocked_read(void *arg)
{
	struct blocked *b = arg;

	b->got = read(b->fd, b->at, b->want);
	return NULL;
}

/* Forks and MADV_DONTNEED take the pages away in the host while a thread is in its read; nothing may be lost. */
static void disturbed(int fd, int other, const void *what, size_t size)
{
	char *p = fresh();
	struct blocked b = {.fd = fd, .at = p + PAGE - 3, .want = size};
	pthread_t t;

	memset(p, 1, 3 * PAGE);
	CHECK(!pthread_create(&t, NULL, blocked_read, &b));
	for (int i = 0; i < 5; i++) {
		pid_t child;

		usleep(3000);
		child = fork();
		CHECK(child >= 0);
		if (!child)
			_exit(0);
		CHECK(waitpid(child, NULL, 0) == child);
		CHECK(!madvise(p, 2 * PAGE, MADV_DONTNEED));
	}
	CHECK(write(other, what, size) == (ssize_t)size);
	CHECK(!pthread_join(t, NULL));
	printf("disturbed: %zd, same %d\n", b.got, !memcmp(b.at, what, size));
	drop(p);
}

static void disturbances(void)
{
	uint64_t one = 1;
	int e = eventfd(0, 0), fd[2], sv[2];

	CHECK(e >= 0 && !pipe(fd) && !socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	disturbed(e, e, &one, sizeof(one));
	disturbed(fd[0], fd[1], data, 6000);
	disturbed(sv[0], sv[1], data, 6000);
	close(e);
	for (int i = 0; i < 2; i++) {
		close(fd[i]);
		close(sv[i]);
	}
}

/* A descriptor that does not block takes a part; the count is exact, and the parts join. */
static void parts(void)
{
	char *p = fresh(), *back = malloc(sizeof(data));
	size_t sent = 0, got = 0;
	int sv[2];

	CHECK(back && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv));
	memcpy(p + 100, data, 60000);
	CHECK(!madvise(p + 8 * PAGE, 2 * PAGE, MADV_DONTNEED)); /* a hole of zeros in the middle */
	while (got < 60000) {
		ssize_t n = sent < 60000 ? write(sv[1], p + 100 + sent, 60000 - sent) : 0;

		CHECK(n >= 0 || errno == EAGAIN);
		sent += n > 0 ? (size_t)n : 0;
		n = read(sv[0], back + got, 1 + got % 5000);
		CHECK(n > 0 || errno == EAGAIN);
		got += n > 0 ? (size_t)n : 0;
	}
	printf("parts: %zu, same %d\n", got, !memcmp(back, p + 100, 60000));
	free(back);
	close(sv[0]);
	close(sv[1]);
	drop(p);
}

static void devices(void)
{
	char *p = fresh();
	int zero = open("/dev/zero", O_RDONLY), random = open("/dev/urandom", O_RDONLY),
	    null = open("/dev/null", O_WRONLY);
	int proc = open("/proc/self/stat", O_RDONLY), self = open("/proc/self/maps", O_RDONLY);

	CHECK(zero >= 0 && random >= 0 && null >= 0 && proc >= 0 && self >= 0);
	tell("read zero", read(zero, p + 1, 3 * PAGE), p);
	tell("read random", read(random, p + 5 * PAGE - 1, PAGE), p);
	tell("write null", write(null, p + 7 * PAGE, 3 * PAGE), p);
	tell("read proc", read(proc, p + 10 * PAGE - 5, 5000) > 20 ? 0 : -1, NULL);
	printf("a stat line %d\n", p[10 * PAGE - 5] >= '0' && p[10 * PAGE - 5] <= '9');
	tell("read maps", read(self, p + 12 * PAGE, 3 * PAGE) > 100 ? 0 : -1, NULL);
	close(zero);
	close(random);
	close(null);
	close(proc);
	close(self);
	drop(p);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	fill(data, sizeof(data), 9);
	many_messages();
	sender_address();
	terminals();
	disturbances();
	parts();
	devices();
	printf("done\n");
	return 0;
}
