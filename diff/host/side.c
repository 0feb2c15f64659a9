/* SPDX-License-Identifier: MIT */
/*
 * The kernel as a side of the comparison: made once for each worker. And the ground: what there is in a process before a
 * program begins.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "diff/host/internal.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

#define LOW 0x1000000u       /* a hint that is raised ends up below this */
#define FILL_AWAY 0x1000000u /* from what is chosen, and from where addresses end */
#define TEXT_SIZE 65536u

static unsigned long read_number(const char *path, unsigned long otherwise)
{
	unsigned long n = otherwise;
	FILE *f = fopen(path, "re");

	if (!f)
		return otherwise;
	if (fscanf(f, "%lu", &n) != 1)
		n = otherwise;
	fclose(f);
	return n;
}

static bool has_capability(unsigned which)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	return !syscall(SYS_capget, &h, d) && (d[which / 32].effective & 1u << which % 32);
}

/* The hard limit of all programs; 0: there is none. */
static uint64_t most_of(const struct fl_kern *k, unsigned which)
{
	struct rlimit r;

	return prlimit(k->zygote, which, NULL, &r) || r.rlim_max == RLIM_INFINITY ? 0 : r.rlim_max;
}

/* Nothing on the engine's side is like it. */
static int no_limit_of(const struct fl_kern *k, unsigned which, const char *what, char option, char **error)
{
	uint64_t most = most_of(k, which);

	if (!most)
		return 0;
	return fl_kern_error(
		error,
		"the hard limit of %s is %llu KiB, and programs need one that is unlimited: run this where "
		"'ulimit -H%c' says so",
		what, (unsigned long long)most / 1024, option);
}

static int look_at_ground(struct fl_kern *k, char **error)
{
	struct fl_ground *g = k->ground;
	struct utsname name;
	struct sysinfo info;
	char path[64], *text;
	int fd;

	memset(g, 0, sizeof *g);
	if (no_limit_of(k, RLIMIT_AS, "address space", 'v', error) || no_limit_of(k, RLIMIT_DATA, "data", 'd', error))
		return -1;
	snprintf(path, sizeof path, "/proc/%d/maps", (int)k->zygote);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	text = fd < 0 ? NULL : fl_kern_read_all(k, fd);
	if (fd >= 0)
		close(fd);
	if (!text)
		return fl_kern_error(error, "cannot read %s: %s", path, strerror(errno));
	g->foreigns = fl_kern_parse_maps(text, g->foreign, FL_DIFF_MAPS, NULL);
	if (g->foreigns > FL_DIFF_MAPS)
		return fl_kern_error(error, "%zu mappings before a program begins, and there is room for %u",
				     g->foreigns, FL_DIFF_MAPS);
	g->mmap_lo = FL_DIFF_PAGE;
	g->mmap_hi = fl_kern_board(k->area)->top;
	g->brk = fl_kern_board(k->area)->heap;
	g->min_addr = read_number("/proc/sys/vm/mmap_min_addr", 65536);
	g->min_hint = fl_kern_board(k->area)->low < LOW ? fl_kern_board(k->area)->low : g->min_addr;
	if (!sysinfo(&info))
		g->memory = (info.totalram + info.totalswap) * info.mem_unit;
	g->most_memlock = most_of(k, RLIMIT_MEMLOCK);
	g->most_stack = most_of(k, RLIMIT_STACK);
	g->max_maps = read_number("/proc/sys/vm/max_map_count", 65530);
	if (g->mmap_hi < FL_KERN_ADDRESSES - 2 * FILL_AWAY &&
	    g->max_maps < (FL_KERN_ADDRESSES - 2 * FILL_AWAY - g->mmap_hi) / FL_DIFF_PAGE) {
		g->fill_lo = g->mmap_hi + FILL_AWAY;
		g->fill_hi = FL_KERN_ADDRESSES - FILL_AWAY;
	}
	g->unprivileged_uffd = (unsigned)read_number("/proc/sys/vm/unprivileged_userfaultfd", 1);
	g->root = has_capability(CAP_SYS_PTRACE) && has_capability(CAP_IPC_LOCK);
	if (!uname(&name))
		snprintf(g->release, sizeof g->release, "%.63s", name.release);
	return 0;
}

static int make_carriers(struct fl_kern *k, char **error)
{
	k->carried = mmap(NULL, FL_DIFF_ACTORS * FL_KERN_CARRIER_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (k->carried == MAP_FAILED) {
		k->carried = NULL;
		return fl_kern_error(error, "cannot map memory: %s", strerror(errno));
	}
	for (unsigned i = 0; i < FL_DIFF_ACTORS; i++) {
		char *at = k->carried + i * FL_KERN_CARRIER_SIZE;
		int fd = memfd_create("carrier", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		k->carrier[i] = fd;
		/* As the engine's, it is so long and no longer. */
		if (fd < 0 || ftruncate(fd, (off_t)FL_KERN_CARRIER_SIZE) ||
		    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) ||
		    mmap(at, FL_KERN_CARRIER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			return fl_kern_error(error, "cannot make a memory file for system calls: %s", strerror(errno));
		memset(at, 0, FL_KERN_CARRIER_SIZE);
	}
	return 0;
}

/* Elsewhere a switch between worker and world costs twenty times as much. */
static void stay_on_one_cpu(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	if (cpu < 0 || sched_getaffinity(0, sizeof set, &set) || CPU_COUNT(&set) < 2)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
}

/* Of this process too: it has files of all processes of a program open. */
static int have_descriptors(char **error)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= FL_KERN_DESCRIPTORS)
		return 0;
	if (r.rlim_max >= FL_KERN_DESCRIPTORS) {
		r.rlim_cur = FL_KERN_DESCRIPTORS;
		if (!setrlimit(RLIMIT_NOFILE, &r))
			return 0;
	}
	return fl_kern_error(error,
			     "the hard limit of open files is %llu, and programs need %d: run this where 'ulimit -Hn' "
			     "says at least that",
			     (unsigned long long)r.rlim_max, FL_KERN_DESCRIPTORS);
}

static bool is_alive(struct fl_side *side, unsigned process)
{
	const struct fl_kern *k = fl_kern_of(side);

	return process < k->processes && k->process[process].born && !k->process[process].gone;
}

static void free_side(struct fl_side *side)
{
	struct fl_kern *k = fl_kern_of(side);

	fl_kern_end(side);
	fl_kern_zygote_stop(k);
	for (unsigned i = 0; i < FL_DIFF_ACTORS; i++)
		if (k->carrier[i] >= 0)
			close(k->carrier[i]);
	if (k->carried)
		munmap(k->carried, FL_DIFF_ACTORS * FL_KERN_CARRIER_SIZE);
	free(k->text);
	free(k->entries);
	free(k->bytes);
	free(k->ground);
	free(k);
}

static const struct fl_side_ops ops = {
	.name = "kernel",
	.begin = fl_kern_begin,
	.issue = fl_kern_issue,
	.answer = fl_kern_answer,
	.alive = is_alive,
	.maps = fl_kern_maps,
	.pages = fl_kern_pages,
	.unread = fl_kern_unread,
	.end = fl_kern_end,
	.free = free_side,
};

static struct fl_kern *new_side(void)
{
	struct fl_kern *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->side.ops = &ops;
	for (unsigned i = 0; i < FL_DIFF_ACTORS; i++)
		k->carrier[i] = -1;
	k->text_size = TEXT_SIZE;
	k->ground = calloc(1, sizeof *k->ground);
	k->text = malloc(k->text_size);
	k->entries = malloc(FL_KERN_ENTRIES * sizeof *k->entries);
	k->bytes = malloc(FL_KERN_READ_PAGES * FL_DIFF_PAGE);
	if (k->ground && k->text && k->entries && k->bytes)
		return k;
	free_side(&k->side);
	return NULL;
}

struct fl_side *fl_host_side_new(struct fl_ground *ground, char **error)
{
	struct fl_kern *k;

	*error = NULL;
	if (SANITIZED) {
		fl_kern_error(error, "programs cannot be executed by a build with sanitizers: their memory lies where "
				     "the programs' is");
		return NULL;
	}
	k = new_side();
	if (!k)
		return NULL;
	stay_on_one_cpu();
	if (have_descriptors(error) || make_carriers(k, error) || fl_kern_zygote_start(k, error) ||
	    look_at_ground(k, error)) {
		free_side(&k->side);
		return NULL;
	}
	*ground = *k->ground;
	return &k->side;
}
