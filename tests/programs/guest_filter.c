/* SPDX-License-Identifier: MIT */
/*
 * Seccomp filters of the program's own, under which it still touches memory, makes threads and forks: filters that deny what the
 * machine needs itself, stacked ones, too long ones; and strict mode.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul

static void tell(const char *what, long r)
{
	printf("%s: %s\n", what, r < 0 ? strerrorname_np(errno) : "ok");
	fflush(stdout);
}

/* Deny these calls with an errno. */
static long deny(const unsigned *nr, unsigned n, unsigned flags, int err)
{
	struct sock_filter f[64];
	struct sock_fprog prog = {.filter = f};
	unsigned k = 0;

	f[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < n; i++) {
		f[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr[i], 0, 1);
		f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err);
	}
	f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = (unsigned short)k;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static void in_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		fn();
		exit(0);
	}
	waitpid(pid, &status, 0);
	printf("status %#x\n", (unsigned)status);
	fflush(stdout);
}

static void *touch(void *arg)
{
	char *p = arg;

	for (unsigned i = 0; i < 64; i++)
		p[i * P] = (char)i;
	return arg;
}

static void touch_all(char *p)
{
	touch(p);
	if (!fork()) {
		touch(p + 64 * P);
		printf("in the child %d\n", p[3 * P] + p[67 * P]);
		exit(0);
	}
	wait(NULL);
	printf("in the parent %d %d\n", p[3 * P], p[67 * P]);
}

/* What the machine makes itself, denied to the program. */
static void hard(void)
{
	static const unsigned nr[] = {SYS_mmap,   SYS_munmap,      SYS_open,  SYS_openat,         SYS_futex,
				      SYS_setsid, SYS_close_range, SYS_pause, SYS_rt_sigprocmask, SYS_mprotect};
	char *p = mmap(NULL, 128 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	tell("filter", deny(nr, sizeof(nr) / sizeof(*nr), 0, EACCES));
	tell("mmap", mmap(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	tell("munmap", munmap(p, P));
	touch_all(p);
}

static void with_threads(void)
{
	static const unsigned nr[] = {SYS_getppid, SYS_dup2}, more[] = {SYS_getppid};
	char *p = mmap(NULL, 128 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t t;

	tell("filter for all threads", deny(nr, 2, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG, EXFULL));
	tell("on top", deny(more, 1, 0, EBADE));
	tell("getppid", syscall(SYS_getppid));
	tell("dup2", syscall(SYS_dup2, 1, 1));
	pthread_create(&t, NULL, touch, p);
	pthread_join(t, NULL);
	touch_all(p);
	fflush(stdout);
	execl("/proc/self/exe", "guest_filter", "exec", NULL);
}

static void through_prctl(void)
{
	static struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {4, f};

	tell("prctl", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	touch_all(mmap(NULL, 128 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	syscall(SYS_getppid);
	printf("not reached\n");
}

static void refused(void)
{
	struct sock_filter *f = calloc(BPF_MAXINSNS + 1, sizeof(*f)), bad = BPF_STMT(BPF_RET | BPF_A, 0);
	struct sock_fprog prog = {0, f};

	tell("empty", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
	prog.len = BPF_MAXINSNS + 1;
	tell("too long", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
	bad.code = 0xffff;
	prog = (struct sock_fprog){1, &bad};
	tell("no instruction", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
	prog = (struct sock_fprog){4, NULL};
	tell("no program", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
	tell("nothing", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL));
	tell("bad flags", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0x8000, &prog));
	for (unsigned i = 0; i < 4000; i++)
		f[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog = (struct sock_fprog){4000, f};
	tell("long", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
}

static void strict(void)
{
	char *p = mmap(NULL, 128 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	tell("strict", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	touch(p);
	p[0] = (char)('0' + p[3 * P]);
	syscall(SYS_write, 1, p, 1);
	syscall(SYS_exit, 7);
}

static void strict_and_forbidden(void)
{
	syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL);
	syscall(SYS_getppid);
	syscall(SYS_write, 1, "not reached\n", 12);
	syscall(SYS_exit, 8);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		touch_all(mmap(NULL, 128 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		printf("%s\n", argv[1]);
		return 3;
	}
	in_child(hard);
	in_child(with_threads);
	in_child(through_prctl);
	in_child(refused);
	in_child(strict);
	in_child(strict_and_forbidden);
	return 0;
}
