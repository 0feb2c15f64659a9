/* SPDX-License-Identifier: MIT */
/*
 * A program with seccomp filters of its own: they judge its calls, and not those that serve its memory. And prctl on
 * memory that nobody has touched. Prints the same natively and under run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul

static void *fresh(size_t n)
{
	return mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int touch(unsigned char *p, size_t pages)
{
	int sum = 0;

	for (size_t i = 0; i < pages; i++) {
		p[i * P + 5] = 1;
		sum += p[i * P + 5];
	}
	return sum;
}

/* No mmap, munmap, open, socket or getppid: errno 77. */
static void filtered(int by_prctl)
{
	struct sock_filter deny[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
	};
	struct sock_fprog *prog = fresh(P);
	unsigned char *p = fresh(64 * P), *q;
	int st = 0;
	long r;

	prog->len = sizeof(deny) / sizeof(deny[0]);
	prog->filter = fresh(P);
	memcpy(prog->filter, deny, sizeof(deny));
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	r = by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, prog)
		     : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, prog);
	printf("filter %ld, its program has %d instructions\n", r, prog->len);
	errno = 0;
	r = syscall(SYS_getppid);
	printf("getppid %ld, errno %d\n", r, errno);
	q = fresh(P);
	printf("mmap %d, errno %d\n", q == MAP_FAILED, errno);
	printf("touched %d\n", touch(p, 32));
	fflush(stdout);
	if (!fork()) {
		printf("child touched %d\n", touch(p, 64));
		fflush(stdout);
		_exit(4);
	}
	wait(&st);
	printf("child %x, parent touched %d\n", (unsigned)st, touch(p, 64));
	fflush(stdout);
	_exit(0);
}

static void names(void)
{
	char *set = (char *)fresh(2 * P) + P - 3, *get = (char *)fresh(2 * P) + P - 3;
	int *value = fresh(P);

	set[0] = 'f';
	set[1] = 'l';
	set[2] = 't';
	printf("set %d", prctl(PR_SET_NAME, set));
	printf(", get %d %s\n", prctl(PR_GET_NAME, get), get);
	prctl(PR_SET_PDEATHSIG, 9);
	printf("signal %d", prctl(PR_GET_PDEATHSIG, value));
	printf(" %d\n", *value);
	errno = 0;
	printf("nowhere %d", prctl(PR_GET_NAME, 16));
	printf(", errno %d\n", errno);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	names();
	for (int i = 0; i < 2; i++) {
		int st = 0;

		fflush(stdout);
		if (!fork())
			filtered(i);
		wait(&st);
		printf("end %x\n", (unsigned)st);
	}
	return 0;
}
