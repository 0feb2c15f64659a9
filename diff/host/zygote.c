/* SPDX-License-Identifier: MIT */
/*
 * From a copy of the worker to the zygote: everything about the process that a program could see or use up gets a fixed value.
 * And what there is then: the ground.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#define HAVE_RSEQ 1
#endif

#include "diff/host/internal.h"

#define STACK_LIMIT (8ul << 20)
#define ABOVE (576ul << 20) /* so much is above what is chosen: pages for 131,072 mappings, and room around them */
#define MEMLOCK_LIMIT (8ul << 20)
#define START_SECONDS 10

int fl_kern_error(char **error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vasprintf(error, format, args) < 0)
		*error = NULL;
	va_end(args);
	return -1;
}

double fl_kern_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Where the kernel begins to choose addresses depends on the limit of the stack as it is when a program is executed: above is the
 * stack, or in worlds what they are filled up with (fl_ground.fill_lo). What cannot be had is done without: then the ground is
 * another one each time.
 */
void fl_host_side_settle(char **argv)
{
	int now = personality(0xffffffff);
	struct rlimit stack;
	rlim_t above;
	bool settled = now >= 0 && (now & ADDR_NO_RANDOMIZE);

	if (getrlimit(RLIMIT_STACK, &stack))
		return;
	above = stack.rlim_max < ABOVE ? STACK_LIMIT : ABOVE;
	if (stack.rlim_cur != above && stack.rlim_max >= above) {
		stack.rlim_cur = above;
		settled = setrlimit(RLIMIT_STACK, &stack) && settled;
	}
	if (!settled && (now < 0 || personality((unsigned long)now | ADDR_NO_RANDOMIZE) < 0))
		return;
	if (!settled)
		execv("/proc/self/exe", argv);
}

/* The hard limit as high as can be, or `to`: programs take the soft one up and down. */
static void limit(unsigned which, rlim_t to)
{
	struct rlimit r;

	if (getrlimit(which, &r))
		return;
	if (r.rlim_max != RLIM_INFINITY && !setrlimit(which, &(struct rlimit){r.rlim_cur, RLIM_INFINITY}))
		r.rlim_max = RLIM_INFINITY;
	r.rlim_cur = to < r.rlim_max ? to : r.rlim_max;
	setrlimit(which, &r);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0) {
		/* It is an advice to the machine, no more. */
	}
	close(fd);
}

/* What libc registered with the kernel lies in memory that is about to go. */
static void unregister_libc(void)
{
#ifdef HAVE_RSEQ
	if (__rseq_size) {
		char *at = (char *)__builtin_thread_pointer() + __rseq_offset;

		for (unsigned len = 32; len <= 1024; len += 32)
			if (!syscall(SYS_rseq, at, len, RSEQ_FLAG_UNREGISTER, RSEQ_SIG))
				break;
	}
#endif
	syscall(SYS_set_robust_list, NULL, 24);
	syscall(SYS_set_tid_address, NULL);
}

static int keep_descriptors(const struct fl_kern *k)
{
	int high[FL_DIFF_ACTORS];

	for (int i = 0; i < (int)FL_DIFF_ACTORS; i++) {
		high[i] = fcntl(k->carrier[i], F_DUPFD, FL_KERN_CARRIER_FD + 2 * (int)FL_DIFF_ACTORS);
		if (high[i] < 0)
			return -errno;
	}
	for (int i = 0; i < (int)FL_DIFF_ACTORS; i++)
		if (dup3(high[i], FL_KERN_CARRIER_FD + i, O_CLOEXEC) < 0)
			return -errno;
	if (close_range(0, FL_KERN_CARRIER_FD - 1, 0) || close_range(FL_KERN_CARRIER_FD + FL_DIFF_ACTORS, ~0u, 0))
		return -errno;
	return 0;
}

static bool within(uint64_t start, uint64_t end, const void *at)
{
	return start <= (uint64_t)at && (uint64_t)at < end;
}

extern const char _DYNAMIC[] __attribute__((visibility("hidden")));
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

/* All but the area and this program's code with its constants. Returns how many. */
static uint64_t list_drops(struct fl_kern_drop *drop, uint64_t *heap)
{
	struct fl_kern_board *b = fl_kern_board(FL_DIFF_SCRATCH);
	char line[1024], path[512], code[512] = "", perms[8];
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long start, end;
	uint64_t n = 0;

	if (!f)
		return 0;
	*heap = ((uint64_t)syscall(SYS_brk, 0) + FL_DIFF_PAGE - 1) & ~(FL_DIFF_PAGE - 1);
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && within(start, end, (void *)(uintptr_t)fl_kern_enter))
			sscanf(line, "%*s %*s %*s %*s %*s %511[^\n]", code);
	}
	rewind(f);
	while (fgets(line, sizeof line, f)) {
		*path = 0;
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %511[^\n]", &start, &end, perms, path) < 3)
			continue;
		if (start == FL_DIFF_SCRATCH || start >= 1ul << 47)
			continue;
		if (*code && !strcmp(path, code) && perms[1] != 'w' && !within(start, end, _DYNAMIC) &&
		    !within(start, end, __ehdr_start)) {
			b->code = b->code ? b->code : start;
			b->code_end = end;
			continue;
		}
		if (!strcmp(path, "[heap]"))
			*heap = start;
		if (n < FL_KERN_DROPS)
			drop[n++] = (struct fl_kern_drop){start, end};
	}
	fclose(f);
	return n;
}

/* In the copy of the worker. Never returns. */
static _Noreturn void become_zygote(const struct fl_kern *k, pid_t worker)
{
	struct fl_kern_board *b = fl_kern_board(FL_DIFF_SCRATCH);
	struct fl_kern_drop *drop = (struct fl_kern_drop *)FL_DIFF_SCRATCH;
	uint64_t drops, heap;
	int err = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != worker)
		_exit(0);
	if (mremap((void *)k->area, FL_KERN_AREA_SIZE, FL_KERN_AREA_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   FL_DIFF_SCRATCH) == MAP_FAILED)
		_exit(1);
	setsid();
	write_text("/proc/self/oom_score_adj", "1000");
	write_text("/proc/self/coredump_filter", "0");
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_AS, RLIM_INFINITY);
	limit(RLIMIT_DATA, RLIM_INFINITY);
	limit(RLIMIT_STACK, STACK_LIMIT);
	limit(RLIMIT_MEMLOCK, MEMLOCK_LIMIT);
	signal(SIGCHLD, SIG_IGN); /* nobody waits for worlds: they just go */
	signal(SIGPIPE, SIG_IGN);
	err = keep_descriptors(k);
	if (err) {
		atomic_store(&b->error, err);
		_exit(1);
	}
	unregister_libc();
	drops = list_drops(drop, &heap);
	fl_kern_enter(drop, drops, heap, fl_kern_stack(FL_KERN_ZYGOTE) + FL_KERN_STACK);
}

bool fl_kern_zygote_lives(struct fl_kern *k)
{
	if (!k->zygote)
		return false;
	if (waitpid(k->zygote, NULL, WNOHANG) == 0)
		return true;
	k->zygote = 0;
	return false;
}

void fl_kern_zygote_stop(struct fl_kern *k)
{
	if (k->zygote > 0 && !kill(k->zygote, SIGKILL))
		while (waitpid(k->zygote, NULL, 0) < 0 && errno == EINTR)
			;
	k->zygote = 0;
	if (k->area)
		munmap((void *)k->area, FL_KERN_AREA_SIZE);
	k->area = 0;
}

/* A new area each time: whoever may be left of an earlier zygote's worlds writes into the old one. */
int fl_kern_zygote_start(struct fl_kern *k, char **error)
{
	pid_t worker = getpid();
	struct fl_kern_board *b;
	double start = fl_kern_now();
	void *area;

	fl_kern_zygote_stop(k);
	area = mmap(NULL, FL_KERN_AREA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		return fl_kern_error(error, "cannot map %lu bytes of shared memory: %s",
				     (unsigned long)FL_KERN_AREA_SIZE, strerror(errno));
	k->area = (uint64_t)area;
	b = fl_kern_board(k->area);
	fflush(NULL);
	k->zygote = fork();
	if (!k->zygote)
		become_zygote(k, worker);
	if (k->zygote < 0) {
		k->zygote = 0;
		return fl_kern_error(error, "cannot fork: %s", strerror(errno));
	}
	while (!atomic_load(&b->zygote)) {
		fl_kern_wait(&b->zygote, 0, 10000000);
		if (!atomic_load(&b->zygote) && !fl_kern_zygote_lives(k))
			return fl_kern_error(error, "the process that programs are forked from ended at once (%s)",
					     strerror(-atomic_load(&b->error)));
		if (fl_kern_now() - start > START_SECONDS)
			return fl_kern_error(error,
					     "the process that programs are forked from did not begin within %d s",
					     START_SECONDS);
	}
	if (atomic_load(&b->error))
		return fl_kern_error(error, "the process that programs are forked from: %s",
				     strerror(-atomic_load(&b->error)));
	return 0;
}
