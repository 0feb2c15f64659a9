/* SPDX-License-Identifier: MIT */
/*
 * The whole run: the arena, the launch, the loop, and what is left at the end.
 *
 * No locks: one OS thread.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "linux/host.h"

#define MIN_MEMORY (1ull << 20)
#define MAX_RUNS_DEFAULT 65530
#define VDSO_SCAN 0x2000

static int fail(struct fl_run_result *res, const char *what, int error)
{
	res->exit_code = 125;
	snprintf(res->error, sizeof(res->error), "%s: %s", what, strerror(error));
	return -1;
}

/* Half of the machine's, and not more than half of what `ulimit -v` leaves us to map it. */
static uint64_t default_memory(void)
{
	struct rlimit64 as = {.rlim_cur = RLIM64_INFINITY};
	uint64_t bytes = 1ull << 30;
	struct sysinfo si;

	if (!sysinfo(&si))
		bytes = (uint64_t)si.totalram * si.mem_unit / 2;
	getrlimit64(RLIMIT_AS, &as);
	return bytes < as.rlim_cur / 2 ? bytes : as.rlim_cur / 2;
}

/* Where the vdso has a syscall instruction: for the calls made before an address space has its hidden page. */
static bool vdso_scan(struct fl_host *h)
{
	const uint8_t *p = (const uint8_t *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);

	for (unsigned i = 0; p && i + 1 < VDSO_SCAN; i++) {
		if (p[i] == 0x0f && p[i + 1] == 0x05) {
			h->vdso_syscall = i;
			return true;
		}
	}
	return false;
}

static uint64_t max_runs(void)
{
	unsigned long n = MAX_RUNS_DEFAULT;
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");

	if (f) {
		if (fscanf(f, "%lu", &n) != 1)
			n = MAX_RUNS_DEFAULT;
		fclose(f);
	}
	return n / 2;
}

static int prepare(struct guest *g)
{
	int r;

	g->arena_bytes = (g->opt->memory ? g->opt->memory : default_memory()) & FL_PAGE_MASK;
	if (g->arena_bytes < MIN_MEMORY)
		g->arena_bytes = MIN_MEMORY;
	r = fl_hidden_init(g);
	if (r)
		return fail(g->res, "no memory file", -r);
	r = fl_frames_create(g->arena, g->arena_bytes, 12, &g->frames);
	if (r)
		return fail(g->res, "no memory for the engine's frames", -r);
	fl_frames_assume_zero(g->frames);
	g->host->max_runs = max_runs();
	g->host->uffd_denied = fl_denied_look();
	if (!vdso_scan(g->host))
		return fail(g->res, "this host's vdso has no syscall instruction (booted with vdso=0?)", ENOTSUP);
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* the agents of processes that have ended are reaped here */
	fl_syscalls_init();
	if (fl_filter_build())
		return fail(g->res, "the seccomp filter is too long", E2BIG);
	return 0;
}

static int run(struct guest *g, const char *path)
{
	int report = -1, r;

	r = prepare(g);
	if (!r)
		r = fl_launch(g, path, &report);
	if (!r) {
		fl_affinity_start(g);
		if (fl_loop_run(g))
			r = fail(g->res, "the guest's processes were lost", ECHILD);
		else
			r = fl_launch_trouble(g, report);
	}
	if (report >= 0)
		close(report);
	g->res->wait_status = g->first_status;
	fl_guest_fini(g);
	if (g->frames) {
		fl_fiber_run(); /* what grace periods have left to do */
		g->res->frames_total = fl_frames_total(g->frames);
		g->res->frames_peak = fl_frames_peak(g->frames);
		g->res->frames_leaked = fl_frames_destroy(g->frames);
	}
	fl_hidden_fini(g);
	return r;
}

int fl_linux_run(const struct fl_run_options *o, struct run_observer *obs, struct fl_run_result *res)
{
	static struct run_observer silent;
	struct guest *g = calloc(1, sizeof(*g));
	struct fl_host *h = calloc(1, sizeof(*h));
	char path[PATH_MAX];
	int r;

	memset(res, 0, sizeof(*res));
	if (h)
		h->ended = calloc(FL_PID_MAX / 64, sizeof(*h->ended));
	if (h)
		h->was_agent = calloc(FL_PID_MAX / 64, sizeof(*h->was_agent));
	if (g && h && h->ended && h->was_agent) {
		g->opt = o;
		g->obs = obs ? obs : &silent;
		g->res = res;
		g->host = h;
		g->memfd = -1;
		h->start_ns = fl_now_ns();
		r = fl_preflight(o, path, res);
		if (!r)
			r = run(g, path);
		res->wall_ns = fl_now_ns() - h->start_ns;
	} else {
		r = fail(res, "cannot start", ENOMEM);
	}
	if (h) {
		free(h->ended);
		free(h->was_agent);
	}
	free(h);
	free(g);
	return r;
}
