/* SPDX-License-Identifier: MIT */
/*
 * Transfers into and out of memory that nobody has touched: files, pipes and sockets, at all alignments, with exact
 * counts; no byte is lost or written twice, also where memory ends in mid-transfer or a signal comes between.
 */
#include "io_lib.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#define FILE_BYTES 50000

static int file;
static char data[FILE_BYTES];
static const size_t offsets[] = {0, 1, 100, 2048, 4095};
#define NOFFSETS (sizeof(offsets) / sizeof(offsets[0]))

static void make_file(void)
{
	char name[] = "/tmp/io-transfers-XXXXXX";

	file = mkstemp(name);
	CHECK(file >= 0);
	unlink(name);
	fill(data, sizeof(data), 1);
	CHECK(write(file, data, sizeof(data)) == sizeof(data));
}

static void file_reads(void)
{
	static const size_t lengths[] = {0, 1, 100, 4096, 4097, 20000};

	for (size_t o = 0; o < NOFFSETS; o++)
		for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
			char *p = fresh();
			ssize_t n;

			CHECK(lseek(file, 7, SEEK_SET) == 7);
			n = read(file, p + offsets[o], lengths[l]);
			tell("read file", n, p);
			CHECK(n < 0 || !memcmp(p + offsets[o], data + 7, (size_t)n));
			CHECK(lseek(file, 0, SEEK_CUR) == 7 + n);
			drop(p);
		}
}

/* The buffer is larger than what is left: only what is filled is touched. */
static void file_end(void)
{
	for (size_t o = 0; o < NOFFSETS; o++) {
		char *p = fresh();
		ssize_t n = pread(file, p + offsets[o], 40000, FILE_BYTES - 5000);

		tell("pread at end", n, p);
		CHECK(n == 5000 && !memcmp(p + offsets[o], data + FILE_BYTES - 5000, 5000));
		tell("pread past end", pread(file, p + 8 * PAGE, 100, FILE_BYTES), p);
		drop(p);
	}
}

static void file_writes(void)
{
	char name[] = "/tmp/io-transfers-XXXXXX";
	int out = mkstemp(name);
	struct stat st;
	char *p = fresh(), *back = malloc(4 * PAGE);

	CHECK(out >= 0 && back);
	unlink(name);
	tell("write untouched", write(out, p + 10, 3 * PAGE), p);
	p[5 * PAGE] = 'x';
	tell("write mixed", write(out, p + 4 * PAGE + 1, 2 * PAGE), p);
	tell("pwrite", pwrite(out, p + 9 * PAGE - 5, 10, 1), p);
	CHECK(!fstat(out, &st));
	printf("size %ld\n", (long)st.st_size);
	CHECK(pread(out, back, 4 * PAGE, 3 * PAGE) == 2 * PAGE);
	printf("sum %08x\n", sum(back, 2 * PAGE));
	free(back);
	close(out);
	drop(p);
}

static int signalled;

static void on_size_limit(int sig)
{
	(void)sig;
	signalled++;
}

/* Only what is taken is touched: up to a limit of the file's size, to a full pipe, or not at all. */
static void short_writes(void)
{
	char name[] = "/tmp/io-transfers-XXXXXX";
	int out = mkstemp(name), null = open("/dev/null", O_WRONLY), full = open("/dev/full", O_WRONLY), fd[2], sv[2];
	struct rlimit old, limit;
	char *p = fresh(), *q = fresh(), *r = fresh();
	struct iovec iov[2] = {{r + PAGE, 3 * PAGE}, {r + 6 * PAGE, 8 * PAGE}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	CHECK(out >= 0 && null >= 0 && full >= 0);
	unlink(name);
	CHECK(signal(SIGXFSZ, on_size_limit) != SIG_ERR && !getrlimit(RLIMIT_FSIZE, &old));
	limit = old;
	limit.rlim_cur = 2 * PAGE;
	CHECK(!setrlimit(RLIMIT_FSIZE, &limit));
	tell("write to limit", write(out, p + PAGE, 4 * PAGE), p);
	printf("signals %d\n", signalled);
	tell("write at limit", write(out, p + 8 * PAGE, PAGE), p);
	printf("signals %d\n", signalled);
	tell("pwrite to limit", pwrite(out, p + 10 * PAGE + 1, 3 * PAGE, PAGE), p);
	printf("signals %d\n", signalled);
	CHECK(!setrlimit(RLIMIT_FSIZE, &old) && signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
	CHECK(!pipe2(fd, O_NONBLOCK) && fcntl(fd[1], F_SETPIPE_SZ, 4 * PAGE) == 4 * PAGE);
	tell("write to full pipe", write(fd[1], q, 7 * PAGE), q);
	tell("write to a full pipe", write(fd[1], q + 9 * PAGE, PAGE), q);
	tell("write null", write(null, q + 10 * PAGE, 2 * PAGE), q);
	tell("writev null", writev(null, iov, 2), r);
	tell("write full", write(full, q + 13 * PAGE, PAGE), q);
	tell("write closed", write(-1, q + 14 * PAGE, PAGE), q);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv));
	while (send(sv[0], data, sizeof(data), 0) > 0)
		;
	tell("sendmsg to a full socket", sendmsg(sv[0], &m, 0), r);
	for (int i = 0; i < 2; i++) {
		close(fd[i]);
		close(sv[i]);
	}
	close(out);
	close(null);
	close(full);
	drop(p);
	drop(q);
	drop(r);
}

/* The vector itself lies in fresh memory as well. */
static void vectors(void)
{
	for (size_t o = 0; o < NOFFSETS; o++) {
		char *p = fresh(), *v = fresh();
		struct iovec *iov = (struct iovec *)(void *)(v + PAGE - 24);
		ssize_t n;

		iov[0] = (struct iovec){p + offsets[o], 5000};
		iov[1] = (struct iovec){p + 3 * PAGE, 0};
		iov[2] = (struct iovec){p + 5 * PAGE - 3, 6};
		iov[3] = (struct iovec){p + 7 * PAGE, 9000};
		n = preadv(file, iov, 4, 11);
		tell("preadv", n, p);
		CHECK(n == 14006 && !memcmp(p + offsets[o], data + 11, 5000));
		CHECK(!memcmp(p + 5 * PAGE - 3, data + 5011, 6) && !memcmp(p + 7 * PAGE, data + 5017, 9000));
		iov[3].iov_base = p + 12 * PAGE + 50;
		CHECK(lseek(file, FILE_BYTES - 6000, SEEK_SET) >= 0);
		n = readv(file, iov, 4);
		tell("readv", n, p);
		CHECK(n == 6000 && !memcmp(p + 12 * PAGE + 50, data + FILE_BYTES - 994, 994));
		drop(p);
		drop(v);
	}
}

static void pipes(void)
{
	for (size_t o = 0; o < NOFFSETS; o++) {
		char *p = fresh(), *q = fresh();
		int fd[2];
		ssize_t n;

		CHECK(!pipe(fd));
		CHECK(write(fd[1], data, 10000) == 10000);
		n = read(fd[0], p + offsets[o], 20000);
		tell("read pipe", n, p);
		CHECK(n == 10000 && !memcmp(p + offsets[o], data, 10000));
		tell("write pipe untouched", write(fd[1], q + offsets[o], 9000), q);
		n = read(fd[0], p + 8 * PAGE + offsets[o], 9000);
		tell("read zeros", n, p);
		CHECK(n == 9000 && !memcmp(p + 8 * PAGE + offsets[o], q + offsets[o], 9000));
		close(fd[1]);
		tell("read end", read(fd[0], p + 15 * PAGE, 10), p);
		close(fd[0]);
		drop(p);
		drop(q);
	}
}

static void *slow_writer(void *arg)
{
	int fd = *(int *)arg;

	for (size_t at = 0; at < 40000; at += 1000) {
		CHECK(write(fd, data + at, 1000) == 1000);
		if (at % 10000 == 0)
			usleep(2000);
	}
	close(fd);
	return NULL;
}

/* Everything that goes in comes out once, however it is cut. */
static void pipe_stream(void)
{
	char *p = fresh();
	size_t at = 0;
	pthread_t t;
	ssize_t n;
	int fd[2];

	CHECK(!pipe(fd));
	CHECK(!pthread_create(&t, NULL, slow_writer, &fd[1]));
	while ((n = read(fd[0], p + at, 7777)) > 0)
		at += (size_t)n;
	CHECK(!pthread_join(t, NULL));
	printf("pipe stream: %zu, sum %08x\n", at, sum(p, at));
	CHECK(!memcmp(p, data, at));
	close(fd[0]);
	drop(p);
}

static void big_pipe_write(void)
{
	char *p = fresh(), *q = malloc(60000);
	size_t at = 0;
	int fd[2];
	pid_t child;
	ssize_t n;

	CHECK(q && !pipe(fd));
	p[40000] = 'y';
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		close(fd[0]);
		_exit(write(fd[1], p + 3, 60000) == 60000 && write(fd[1], p, 60000) == 60000 ? 0 : 1);
	}
	close(fd[1]);
	while ((n = read(fd[0], q, 60000)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			size_t in = (at + (size_t)i) % 60000 + ((at + (size_t)i) < 60000 ? 3 : 0);

			CHECK(q[i] == (in == 40000 ? 'y' : 0));
		}
		at += (size_t)n;
	}
	printf("big pipe write: %zu\n", at);
	CHECK(waitpid(child, NULL, 0) == child);
	close(fd[0]);
	free(q);
	drop(p);
}

static void streams(void)
{
	char *p = fresh();
	int sv[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	CHECK(send(sv[1], data, 9000, 0) == 9000);
	tell("peek", recv(sv[0], p + 5, 6000, MSG_PEEK), p);
	CHECK(!memcmp(p + 5, data, 6000));
	tell("recv", recv(sv[0], p + 4 * PAGE + 5, 4000, 0), p);
	CHECK(!memcmp(p + 4 * PAGE + 5, data, 4000));
	tell("recv all", recv(sv[0], p + 6 * PAGE + 100, 5000, MSG_WAITALL), p);
	CHECK(!memcmp(p + 6 * PAGE + 100, data + 4000, 5000));
	tell("recv none", recv(sv[0], p + 10 * PAGE, 5000, MSG_DONTWAIT), p);
	tell("send untouched", send(sv[1], p + 12 * PAGE, 2 * PAGE, 0), p);
	tell("read socket", read(sv[0], p + 9 * PAGE + 4000, 20000), p);
	close(sv[1]);
	tell("recv end", recv(sv[0], p + 15 * PAGE, 10, 0), p);
	close(sv[0]);
	drop(p);
}

static void datagrams(void)
{
	char *p = fresh(), *q = fresh();
	struct sockaddr_un *from = (struct sockaddr_un *)(void *)(q + PAGE - 8);
	socklen_t *len = (socklen_t *)(void *)(q + 3 * PAGE);
	int sv[2];

	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
	for (int i = 0; i < 5; i++)
		CHECK(send(sv[1], data + i * 3000, 3000 + (size_t)i, 0) == 3000 + i);
	tell("read datagram", read(sv[0], p + 4000, 8000), p);
	CHECK(!memcmp(p + 4000, data, 3000));
	tell("short datagram", recv(sv[0], p + 3 * PAGE, 10, 0), p);
	tell("truncated", recv(sv[0], p + 4 * PAGE, 10, MSG_TRUNC), p);
	*len = sizeof(*from);
	tell("recvfrom", recvfrom(sv[0], p + 7 * PAGE - 1, 8000, 0, (struct sockaddr *)from, len), p);
	printf("address length %u\n", (unsigned)*len);
	CHECK(!memcmp(p + 7 * PAGE - 1, data + 9000, 3003));
	tell("into nothing", recv(sv[0], p + FRESH_PAGES * PAGE, 8000, 0), p);
	tell("lost", recv(sv[0], p + 10 * PAGE, 8000, MSG_DONTWAIT), p);
	tell("send datagram", send(sv[1], p + 12 * PAGE - 100, 5000, 0), p);
	tell("its size", recv(sv[0], q + 8 * PAGE, 8000, 0), q);
	close(sv[0]);
	close(sv[1]);
	drop(p);
	drop(q);
}

static int count_fds(void)
{
	int n = 0;

	for (int i = 0; i < 200; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

/* A descriptor passed in control data arrives once: header, vector, data and control all in fresh memory. */
static void passed_descriptor(int type)
{
	char *p = fresh(), *q = fresh();
	struct msghdr *m = (struct msghdr *)(void *)(p + PAGE - 16);
	struct iovec *iov = (struct iovec *)(void *)(p + 3 * PAGE - 8);
	struct cmsghdr *c;
	int sv[2], before, got, pass = dup(file);
	char byte;

	CHECK(!socketpair(AF_UNIX, type, 0, sv));
	m->msg_iov = iov;
	m->msg_iovlen = 1;
	iov->iov_base = p + 5 * PAGE - 2;
	iov->iov_len = 6000;
	m->msg_control = p + 8 * PAGE;
	m->msg_controllen = CMSG_SPACE(sizeof(int));
	c = CMSG_FIRSTHDR(m);
	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &pass, sizeof(int));
	tell("sendmsg", sendmsg(sv[1], m, 0), p);
	close(pass);
	before = count_fds();
	m = (struct msghdr *)(void *)(q + PAGE - 16);
	iov = (struct iovec *)(void *)(q + 3 * PAGE - 8);
	m->msg_iov = iov;
	m->msg_iovlen = 2;
	iov[0] = (struct iovec){q + 5 * PAGE - 2, 1000};
	iov[1] = (struct iovec){q + 8 * PAGE, 7000};
	m->msg_control = q + 11 * PAGE;
	m->msg_controllen = PAGE;
	tell("recvmsg", recvmsg(sv[0], m, 0), q);
	printf("control %zu, flags %x, descriptors +%d\n", (size_t)m->msg_controllen, (unsigned)m->msg_flags,
	       count_fds() - before);
	memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(m)), sizeof(int));
	CHECK(pread(got, &byte, 1, 100) == 1 && byte == data[100]);
	close(got);
	close(sv[0]);
	close(sv[1]);
	drop(p);
	drop(q);
}

/* Memory ends in the middle: the count is exact, and what was not taken is still there where Linux leaves it. */
static void ends(void)
{
	char *p = fresh(), *end = p + FRESH_PAGES * PAGE;
	int fd[2];

	tell("file into end", pread(file, end - 5000, 9000, 0), p);
	tell("file into nothing", pread(file, end, 9000, 0), p);
	CHECK(!memcmp(end - 5000, data, 5000));
	tell("write from nothing", write(file, end, 10), p);
	CHECK(!pipe(fd));
	CHECK(write(fd[1], data, 3000) == 3000);
	tell("pipe into nothing", read(fd[0], end, 3000), p);
	tell("pipe again", read(fd[0], p, 3000), p);
	CHECK(!memcmp(p, data, 3000));
	tell("pipe from nothing", write(fd[1], end, 1), p);
	CHECK(!mprotect(p + 5 * PAGE, PAGE, PROT_READ));
	CHECK(!mprotect(p + 7 * PAGE, PAGE, PROT_NONE));
	tell("read into read-only", pread(file, p + 5 * PAGE, 10, 0), p);
	tell("write from read-only", write(fd[1], p + 5 * PAGE, 10), p);
	tell("read up to read-only", pread(file, p + 4 * PAGE + 96, 9000, 0), p);
	tell("write from none", write(fd[1], p + 7 * PAGE, 10), p);
	close(fd[0]);
	close(fd[1]);
	drop(p);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static void *later_writer(void *arg)
{
	usleep(60000);
	CHECK(write(*(int *)arg, data, 5000) == 5000);
	return NULL;
}

/* A signal interrupts a blocked read: without SA_RESTART it fails, with it it goes on, and takes the data once. */
static void interrupted(int flags)
{
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = flags};
	struct itimerval it = {.it_value = {0, 20000}};
	char *p = fresh();
	pthread_t t;
	sigset_t set;
	ssize_t n;
	int fd[2];

	alarms = 0;
	CHECK(!sigaction(SIGALRM, &sa, NULL));
	CHECK(!pipe(fd));
	/* The writer must not take the signal. */
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK(!pthread_sigmask(SIG_BLOCK, &set, NULL));
	CHECK(!pthread_create(&t, NULL, later_writer, &fd[1]));
	CHECK(!pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	CHECK(!setitimer(ITIMER_REAL, &it, NULL));
	n = read(fd[0], p + 100, 5000);
	tell(flags ? "read with restart" : "read without restart", n, p);
	if (n < 0)
		tell("read again", read(fd[0], p + 100, 5000), p);
	CHECK(!memcmp(p + 100, data, 5000));
	CHECK(!pthread_join(t, NULL));
	printf("alarms %d\n", (int)alarms);
	close(fd[0]);
	close(fd[1]);
	drop(p);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	make_file();
	file_reads();
	file_end();
	file_writes();
	short_writes();
	vectors();
	pipes();
	pipe_stream();
	big_pipe_write();
	streams();
	datagrams();
	passed_descriptor(SOCK_STREAM);
	passed_descriptor(SOCK_DGRAM);
	ends();
	interrupted(SA_RESTART);
	interrupted(0);
	printf("done\n");
	return 0;
}
