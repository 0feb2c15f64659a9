/* SPDX-License-Identifier: MIT */
/*
 * What the cases of uffd_contract*.c are written with: one process a case, expectations that print what they got, and short forms of the
 * userfaultfd calls. Everything is plain Linux; nothing here knows what serves the memory.
 */
#ifndef LIB_UFFD_H
#define LIB_UFFD_H

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFD_FEATURE_EXACT_ADDRESS
#define UFFD_FEATURE_EXACT_ADDRESS (1 << 11)
#endif
#ifndef UFFDIO_REGISTER_MODE_MINOR
#define UFFDIO_REGISTER_MODE_MINOR ((__u64)1 << 2)
#endif
#define FEATURE_POISON (1ull << 14)
#define FEATURE_MOVE (1ull << 16)

#define PAGE ((size_t)4096)
/* The first address that is not the user's, four-level x86-64. */
#define TASK_SIZE 0x7ffffffff000ull
#define UNTOUCHED 777

struct test_case {
	const char *name;
	void (*fn)(void);
};
#define CASE(fn)        \
	{               \
#fn, fn \
	}

static const char *case_name;
static int case_failures;

static inline void expect_at(int line, const char *what, long got, long want)
{
	if (got == want)
		return;
	printf("FAIL %s line %d: %s: got %ld (%#lx) want %ld (%#lx)\n", case_name, line, what, got, (unsigned long)got,
	       want, (unsigned long)want);
	case_failures++;
}

/* A case goes on after a failed expectation. */
#define EXPECT(got, want) expect_at(__LINE__, #got, (long)(got), (long)(want))

/* A call's result, or -errno. */
static inline long rc(long result)
{
	return result < 0 ? -errno : result;
}

static inline int open_raw(int flags)
{
	return (int)rc(syscall(SYS_userfaultfd, flags));
}

static inline long handshake(int fd, uint64_t features, struct uffdio_api *out)
{
	struct uffdio_api a = {.api = UFFD_API, .features = features};
	long err = rc(ioctl(fd, UFFDIO_API, &a));

	if (out)
		*out = a;
	return err;
}

static inline int open_uffd(int flags, uint64_t features)
{
	int fd = open_raw(flags);

	if (fd < 0 || handshake(fd, features, NULL)) {
		printf("FAIL %s: userfaultfd cannot be opened: %s\n", case_name, strerror(errno));
		exit(1);
	}
	return fd;
}

/* What is offered here: the true contract where write-protection is, the reduced one where it is not. */
static inline uint64_t offered(void)
{
	struct uffdio_api a;
	int fd = open_raw(0);

	handshake(fd, 0, &a);
	close(fd);
	return a.features;
}

/* What REGISTER answers for MISSING: WAKE, COPY, ZEROPAGE, and MOVE and POISON where they exist. */
static inline long missing_mask(void)
{
	uint64_t f = offered();

	return 0x1c | (f & FEATURE_MOVE ? 0x20 : 0) | (f & FEATURE_POISON ? 0x100 : 0);
}

static inline char *map_pages(size_t n)
{
	char *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		printf("FAIL %s: mmap: %s\n", case_name, strerror(errno));
		exit(1);
	}
	return p;
}

/* n pages filled with c. */
static inline char *filled(size_t n, int c)
{
	return memset(map_pages(n), c, n * PAGE);
}

static inline char *map_at(char *addr, size_t n)
{
	return mmap(addr, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* The result word of the last range ioctl. */
static int64_t field;

static inline long reg_mode(int fd, void *start, size_t len, uint64_t mode, uint64_t *mask)
{
	struct uffdio_register r = {.range = {(uintptr_t)start, len}, .mode = mode, .ioctls = UNTOUCHED};
	long err = rc(ioctl(fd, UFFDIO_REGISTER, &r));

	if (mask)
		*mask = r.ioctls;
	return err;
}

static inline long reg(int fd, void *start, size_t pages)
{
	return reg_mode(fd, start, pages * PAGE, UFFDIO_REGISTER_MODE_MISSING, NULL);
}

static inline long unreg(int fd, void *start, size_t len)
{
	struct uffdio_range r = {(uintptr_t)start, len};

	return rc(ioctl(fd, UFFDIO_UNREGISTER, &r));
}

static inline long wake(int fd, void *start, size_t len)
{
	struct uffdio_range r = {(uintptr_t)start, len};

	return rc(ioctl(fd, UFFDIO_WAKE, &r));
}

static inline long copy_raw(int fd, uint64_t dst, uint64_t src, uint64_t len, uint64_t mode)
{
	struct uffdio_copy c = {.dst = dst, .src = src, .len = len, .mode = mode, .copy = UNTOUCHED};
	long err = rc(ioctl(fd, UFFDIO_COPY, &c));

	field = c.copy;
	return err;
}

static inline long copy(int fd, void *dst, const void *src, size_t pages)
{
	return copy_raw(fd, (uintptr_t)dst, (uintptr_t)src, pages * PAGE, 0);
}

static inline long zero_raw(int fd, uint64_t start, uint64_t len, uint64_t mode)
{
	struct uffdio_zeropage z = {.range = {start, len}, .mode = mode, .zeropage = UNTOUCHED};
	long err = rc(ioctl(fd, UFFDIO_ZEROPAGE, &z));

	field = z.zeropage;
	return err;
}

static inline long zero(int fd, void *start, size_t pages)
{
	return zero_raw(fd, (uintptr_t)start, pages * PAGE, 0);
}

static inline int poll_now(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms) < 0 ? -errno : p.revents;
}

/* The next message of a descriptor in non-blocking mode. False: none within two seconds. */
static inline bool next_message(int fd, struct uffd_msg *m)
{
	memset(m, 0xee, sizeof(*m));
	for (int i = 0; i < 200; i++) {
		if (read(fd, m, sizeof(*m)) == sizeof(*m))
			return true;
		if (errno != EAGAIN)
			return false;
		poll_now(fd, 10);
	}
	return false;
}

static inline void sleep_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* One access by another thread. */
struct access {
	pthread_t thread;
	volatile char *addr;
	bool write;
	char value; /* written, or what was read */
	volatile int tid, done;
};

static void *access_main(void *arg)
{
	struct access *a = arg;

	a->tid = (int)syscall(SYS_gettid);
	if (a->write)
		*a->addr = a->value;
	else
		a->value = *a->addr;
	__atomic_store_n(&a->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static inline void start_read(struct access *a, void *addr)
{
	*a = (struct access){.addr = addr};
	pthread_create(&a->thread, NULL, access_main, a);
}

static inline void start_write(struct access *a, void *addr, char value)
{
	*a = (struct access){.addr = addr, .write = true, .value = value};
	pthread_create(&a->thread, NULL, access_main, a);
}

static inline bool is_done(struct access *a)
{
	return __atomic_load_n(&a->done, __ATOMIC_ACQUIRE);
}

/* What was read, as soon as the access is through. */
static inline int finish(struct access *a)
{
	pthread_join(a->thread, NULL);
	return (unsigned char)a->value;
}

/* Still asleep after a while? */
static inline bool stays_asleep(struct access *a)
{
	sleep_ms(30);
	return !is_done(a);
}

/* Wait for a child: its exit status, or minus the signal that ended it. */
static inline int wait_child(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int run_case(const struct test_case *c)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		printf("FAIL %s: fork: %s\n", c->name, strerror(errno));
		return 1;
	}
	if (!pid) {
		case_name = c->name;
		alarm(20);
		c->fn();
		fflush(stdout);
		_exit(case_failures != 0);
	}
	status = wait_child(pid);
	if (!status)
		printf("ok %s\n", c->name);
	else if (status < 0)
		printf("FAIL %s: got signal %d (%s) want a normal end\n", c->name, -status, strsignal(-status));
	return status != 0;
}

/* Run all cases, or those named. 0: every one passed. */
static inline int run_cases(const struct test_case *cases, size_t n, int argc, char **argv)
{
	int failed = 0, ran = 0;

	for (size_t i = 0; i < n; i++) {
		bool wanted = argc < 2;

		for (int a = 1; a < argc; a++)
			wanted |= !strcmp(argv[a], cases[i].name);
		if (!wanted)
			continue;
		ran++;
		failed += run_case(&cases[i]);
	}
	printf("%d cases, %d failed\n", ran, failed);
	fflush(stdout);
	return failed || !ran;
}

#endif
