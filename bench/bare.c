/* SPDX-License-Identifier: MIT */
/*
 * The yardstick for a fault under `faultline run`: what it costs a tracer, with nothing clever, to catch a
 * SIGSEGV, have the tracee map one page of a memory file there, and let it go on. Tracer and tracee sit on one
 * core, as the supervisor and its guest do.
 *
 *   bare PAGES    prints nanoseconds per page
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define BASE 0x100000000000ul

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pin(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0u : (unsigned)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

/* The call that the tracee makes on the tracer's order: `syscall; int3`. */
__attribute__((naked, used)) static void gadget(void)
{
	__asm__("syscall\n\tint3\n\t");
}

static void tracee(unsigned long pages)
{
	struct timespec a, b;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		die("PTRACE_TRACEME");
	raise(SIGSTOP);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned long i = 0; i < pages; i++)
		*(volatile char *)(BASE + i * PAGE) = 1;
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.1f\n", ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (double)pages);
	fflush(stdout);
	_exit(0);
}

static void serve(pid_t pid, int fd, unsigned long *served)
{
	struct user_regs_struct regs, call;
	siginfo_t si;
	int status;

	if (ptrace(PTRACE_GETSIGINFO, pid, NULL, &si) || ptrace(PTRACE_GETREGS, pid, NULL, &regs))
		die("reading the stop");
	call = regs;
	call.rip = (uintptr_t)gadget;
	call.orig_rax = (unsigned long long)-1;
	call.rax = SYS_mmap;
	call.rdi = (uintptr_t)si.si_addr & ~(PAGE - 1);
	call.rsi = PAGE;
	call.rdx = PROT_READ | PROT_WRITE;
	call.r10 = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
	call.r8 = (unsigned)fd;
	call.r9 = (*served)++ * PAGE;
	if (ptrace(PTRACE_SETREGS, pid, NULL, &call) || ptrace(PTRACE_CONT, pid, NULL, NULL))
		die("injecting");
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		die("the injected call did not end in a trap");
	if (ptrace(PTRACE_GETREGS, pid, NULL, &call) || call.rax > (unsigned long long)-4096)
		die("the injected mmap failed");
	if (ptrace(PTRACE_SETREGS, pid, NULL, &regs) || ptrace(PTRACE_CONT, pid, NULL, NULL))
		die("resuming");
}

int main(int argc, char **argv)
{
	unsigned long pages = argc > 1 ? strtoul(argv[1], NULL, 10) : 16384, served = 0;
	int fd = memfd_create("bare", 0), status;
	pid_t pid;

	if (fd < 0 || ftruncate(fd, (off_t)(pages * PAGE)))
		die("memfd");
	pin();
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		tracee(pages);
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		die("the tracee did not stop");
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	while (waitpid(pid, &status, 0) == pid) {
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSEGV)
			die("unexpected stop");
		serve(pid, fd, &served);
	}
	die("waitpid");
}
