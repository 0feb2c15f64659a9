/* SPDX-License-Identifier: MIT */
/*
 * process_vm_readv and process_vm_writev, and /proc/PID/mem: the caller's own memory and a child's, pages never
 * touched, pages shared after fork, partial transfers, errors; a userfaultfd on the remote side that a thread
 * resolves, and one that nobody does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul

static unsigned char *area(size_t pages)
{
	return mmap(NULL, pages * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void tell(const char *what, ssize_t r)
{
	printf("%s: %zd %d\n", what, r, r < 0 ? errno : 0);
}

static ssize_t get(pid_t pid, void *to, const void *from, size_t n)
{
	struct iovec l = {to, n}, r = {(void *)from, n};

	return process_vm_readv(pid, &l, 1, &r, 1, 0);
}

static ssize_t put(pid_t pid, const void *from, void *to, size_t n)
{
	struct iovec l = {(void *)from, n}, r = {to, n};

	return process_vm_writev(pid, &l, 1, &r, 1, 0);
}

static void own(void)
{
	unsigned char *a = area(40), *b = area(40);
	char small[16];

	memset(a, 7, 20 * P);
	tell("own", get(getpid(), b, a, 40 * P));
	printf("%d %d\n", b[20 * P - 1], b[20 * P]);
	tell("own back", put(getpid(), a + 3, b + 9, 33 * P));
	printf("%d %d %d\n", b[8], b[9], b[25 * P]);
	tell("to the stack", get(getpid(), small, a, sizeof(small)));
	printf("%d\n", small[15]);
	small[3] = 5;
	tell("from the stack", put(getpid(), small, b + 39 * P, sizeof(small)));
	printf("%d\n", b[39 * P + 3]);
	mprotect(b + 4 * P, P, PROT_READ);
	munmap(a + 30 * P, P);
	tell("remote hole", get(getpid(), b + 5 * P, a + 28 * P + 5, 6 * P));
	tell("local read only", get(getpid(), b + 2 * P + 1, a, 6 * P));
	tell("remote read only", put(getpid(), a, b + 2 * P + 1, 6 * P));
	tell("remote nothing", get(getpid(), b, a + 30 * P, 10));
	tell("local nothing", put(getpid(), a + 30 * P, b, 10));
	munmap(a, 40 * P);
	munmap(b, 40 * P);
}

static void vectors(void)
{
	unsigned char *a = area(8), *b = area(8);
	struct iovec l[3] = {{b + 1, 10}, {b + P - 3, 2 * P}, {b + 5 * P, 0}},
		     r[3] = {{a + 9, 5000}, {a, 0}, {a + P, 3000}};
	struct iovec *many = calloc(2000, sizeof(*many));

	for (size_t i = 0; i < 8 * P; i++)
		a[i] = (unsigned char)(i * 7 >> 3);
	tell("vectors", process_vm_readv(getpid(), l, 3, r, 3, 0));
	printf("%d %d\n", !memcmp(b + 1, a + 9, 10), !memcmp(b + P - 3, a + 19, 4990));
	tell("flags", process_vm_readv(getpid(), l, 3, r, 3, 1));
	tell("many local", process_vm_readv(getpid(), many, 1025, r, 3, 0));
	tell("many remote", process_vm_readv(getpid(), l, 3, many, 1025, 0));
	tell("as many as may be", process_vm_readv(getpid(), l, 3, many, 1024, 0));
	tell("nothing local", process_vm_readv(getpid(), l + 2, 1, r, 3, 0));
	tell("no vector", process_vm_readv(getpid(), (void *)(a + 64 * P * P), 1, r, 3, 0));
	tell("no remote vector", process_vm_readv(getpid(), l, 3, (void *)8, 1, 0));
	l[1].iov_len = (size_t)-1;
	tell("length", process_vm_readv(getpid(), l, 3, r, 3, 0));
	l[1].iov_len = 3;
	r[0].iov_len = (size_t)-1;
	tell("remote length", process_vm_readv(getpid(), l, 3, r, 3, 0));
	tell("no such process", get(0x3ffffe, b, a, 10));
	tell("process 0", get(0, b, a, 10));
	free(many);
}

static void child(void)
{
	unsigned char *a = area(16), *b = area(16), *fresh;
	int up[2], down[2], status;
	pid_t pid;
	char c;

	memset(a, 1, 16 * P);
	if (pipe(up) || pipe(down))
		return;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(down[1]);
		memset(a + P, 9, P);
		fresh = area(16);
		if (write(up[1], &fresh, sizeof(fresh)) < 0 || read(down[0], &c, 1) < 0)
			_exit(9);
		printf("child sees %d %d %d %d\n", fresh[0], fresh[16 * P - 1], a[0], a[2 * P]);
		fflush(stdout);
		_exit(0);
	}
	close(down[0]);
	if (read(up[0], &fresh, sizeof(fresh)) < 0)
		return;
	tell("child", get(pid, b, a, 16 * P));
	printf("%d %d %d\n", b[0], b[P], b[2 * P]);
	tell("child untouched", get(pid, b, fresh, 16 * P));
	memset(b, 4, 16 * P);
	tell("child written", put(pid, b, fresh, 16 * P));
	tell("child's copy", put(pid, b, a + 2 * P, P));
	printf("own %d\n", a[2 * P]);
	if (write(down[1], "x", 1) < 0)
		return;
	waitpid(pid, &status, 0);
	printf("%x\n", status);
	tell("gone", get(pid, b, a, P));
	close(up[0]);
	close(up[1]);
	close(down[1]);
}

/* One that has made itself undumpable may be looked into by root alone; a zombie by nobody. */
static void ended(void)
{
	unsigned char *a = area(1), *b = area(1);
	siginfo_t si;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(0);
	waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	tell("zombie", get(pid, b, a, P));
	waitpid(pid, NULL, 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			puts("cannot");
		tell("not allowed", get(getppid(), b, a, P));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void *writer(void *arg)
{
	unsigned char **ab = arg;

	for (int i = 0; i < 300; i++) {
		for (size_t k = 0; k < 16; k++)
			ab[0][k * P]++;
		madvise(ab[1], 16 * P, MADV_DONTNEED);
	}
	return NULL;
}

/* Beside a thread that writes, and throws away. */
static void beside(void)
{
	unsigned char *ab[2] = {area(16), area(16)};
	pthread_t t;
	int good = 0;

	pthread_create(&t, NULL, writer, ab);
	for (int i = 0; i < 300; i++)
		good += get(getpid(), ab[1], ab[0], 16 * P) == (ssize_t)(16 * P);
	pthread_join(t, NULL);
	printf("beside: %d, %d\n", good, ab[0][15 * P]);
}

static void *resolver(void *arg)
{
	int fd = *(int *)arg;
	struct uffd_msg m;
	unsigned char page[P];

	memset(page, 3, P);
	for (int i = 0; i < 4 && read(fd, &m, sizeof(m)) == sizeof(m); i++) {
		struct uffdio_copy c = {.dst = m.arg.pagefault.address & ~(P - 1), .src = (uintptr_t)page, .len = P};

		ioctl(fd, UFFDIO_COPY, &c);
	}
	return NULL;
}

/* Where userfaultfd is forbidden, the memory is simply written: what is printed is the same. */
static void awaited(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	unsigned char *a = area(8), *b = area(8);
	struct uffdio_register r = {.range = {(uintptr_t)a, 8 * P}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC), status;
	struct uffd_msg m;
	pthread_t t;
	pid_t pid;

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &r)) {
		memset(a, 3, 4 * P);
		fd = -1;
	} else {
		pthread_create(&t, NULL, resolver, &fd);
	}
	tell("awaited", get(getpid(), b, a, 4 * P));
	printf("%d %d\n", b[0], b[4 * P - 1]);
	if (fd >= 0)
		pthread_join(t, NULL);
	if (fd >= 0) {
		int mem = open("/proc/self/mem", O_RDWR);

		tell("mem awaited", pread(mem, b, 5 * P, (off_t)(uintptr_t)(a + 2 * P)));
		tell("mem awaited", pread(mem, b, P, (off_t)(uintptr_t)(a + 4 * P)));
		tell("mem awaited", pwrite(mem, b, P, (off_t)(uintptr_t)(a + 4 * P)));
		close(mem);
	} else {
		printf("mem awaited: %zd 0\nmem awaited: -1 %d\nmem awaited: -1 %d\n", 2 * P, EIO, EIO);
	}
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (fd < 0)
			pause();
		_exit(get(getppid(), b, a + 5 * P, P) > 0);
	}
	if (fd >= 0 && read(fd, &m, sizeof(m)) == sizeof(m))
		printf("%d\n", m.arg.pagefault.address == (uintptr_t)(a + 5 * P));
	else
		puts("1");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	printf("killed while it waits: %x\n", status);
	close(fd);
}

/* Written to before it has run: it sees it all the same. */
static void newborn(void)
{
	unsigned char *a = area(2), *b = area(2), c;
	int good = 0, status, go[2];

	memset(a, 1, 2 * P);
	memset(b, 2, 2 * P);
	for (int i = 0; i < 50 && !pipe(go); i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(read(go[0], &c, 1) == 1 && a[0] == 2 && a[P] == 2 ? 5 : 6);
		good += put(pid, b, a, 2 * P) == (ssize_t)(2 * P);
		good += write(go[1], "x", 1) == 1;
		waitpid(pid, &status, 0);
		good += WEXITSTATUS(status) == 5;
		close(go[0]);
		close(go[1]);
	}
	printf("newborn: %d, own %d\n", good, a[0]);
}

/* pread and pwrite of /proc/PID/mem: pages that were touched or not, of the own and another process. */
static void mem_file(void)
{
	unsigned char *a = area(8), *b = area(8), stack[16];
	char path[32];
	int fd = open("/proc/self/mem", O_RDWR), ro = open("/proc/self/mem", O_RDONLY), go[2];
	pid_t pid;

	memset(b, 6, 8 * P);
	tell("mem untouched", pread(fd, b, 3 * P, (off_t)(uintptr_t)a));
	printf("%d %d\n", b[3 * P - 1], b[3 * P]);
	tell("mem write", pwrite(fd, b + 2 * P, 3 * P + 7, (off_t)(uintptr_t)a + 5));
	printf("%d %d %d\n", a[P + 4], a[P + 5], a[2 * P]);
	tell("mem to the stack", pread(fd, stack, sizeof(stack), (off_t)(uintptr_t)(a + P)));
	printf("%d %d\n", stack[4], stack[5]);
	tell("mem not for writing", pwrite(ro, b, 10, (off_t)(uintptr_t)a));
	munmap(a + 4 * P, P);
	tell("mem hole", pread(fd, b, 4 * P, (off_t)(uintptr_t)(a + 2 * P) + 1));
	tell("mem nothing", pread(fd, b, 10, (off_t)(uintptr_t)(a + 4 * P)));
	tell("mem no buffer", pread(fd, a + 4 * P, 10, (off_t)(uintptr_t)a));
	tell("mem zero", pread(fd, b, 0, (off_t)(uintptr_t)a));
	if (pipe(go))
		return;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (read(go[0], stack, 1) < 0)
			_exit(9);
		printf("child: %d %d\n", a[0], a[7 * P]);
		fflush(stdout);
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	close(fd);
	fd = open(path, O_RDWR);
	tell("mem of the child", pwrite(fd, "ab", 2, (off_t)(uintptr_t)a));
	tell("mem of the child", pwrite(fd, "cd", 2, (off_t)(uintptr_t)(a + 7 * P)));
	tell("mem of the child", pread(fd, b, P, (off_t)(uintptr_t)a));
	printf("%d %d\n", b[0], a[0]);
	if (write(go[1], "x", 1) < 0)
		return;
	waitpid(pid, NULL, 0);
	close(fd);
	close(ro);
}

int main(void)
{
	own();
	vectors();
	child();
	ended();
	beside();
	newborn();
	mem_file();
	awaited();
	return 0;
}
