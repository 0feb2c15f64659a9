/* SPDX-License-Identifier: MIT */
/*
 * vm.max_map_count is the whole machine's, so it is not touched: a process that may have only so many mappings more is filled up with
 * others until no more than these are left. They lie above all that a program maps (fl_ground.fill_lo), a page each, alternately
 * readable and not, so that none merge. Whoever looks at the process stops there; they count for no limit of the program's.
 *
 * fl_kern_fill runs where libc is not mapped (see internal.h). No locks: the actor's process does nothing else.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "diff/host/internal.h"

static void set_limit(unsigned which, uint64_t soft, uint64_t hard)
{
	struct rlimit r;

	r.rlim_cur = soft;
	r.rlim_max = hard;
	FL_RAW_CALL2(SYS_setrlimit, which, &r);
}

static long map_pages(uint64_t at, uint64_t pages)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
	long ret = FL_RAW_CALL6(SYS_mmap, at, pages * FL_DIFF_PAGE, PROT_NONE, flags, -1, 0);

	if (ret != (long)at)
		return ret;
	/* mlockall(2) may have said that all that is to come is locked. */
	FL_RAW_CALL2(SYS_munlock, at, pages * FL_DIFF_PAGE);
	for (uint64_t i = 1; i < pages; i += 2) {
		ret = FL_RAW_CALL3(SYS_mprotect, at + i * FL_DIFF_PAGE, FL_DIFF_PAGE, PROT_READ);
		if (ret)
			return ret;
	}
	return 0;
}

long fl_kern_fill(uint64_t lo, uint64_t hi, uint64_t maps, uint64_t before)
{
	struct rlimit as, locked;
	long ret = 0;

	FL_RAW_CALL2(SYS_getrlimit, RLIMIT_AS, &as);
	FL_RAW_CALL2(SYS_getrlimit, RLIMIT_MEMLOCK, &locked);
	set_limit(RLIMIT_AS, as.rlim_max, as.rlim_max);
	set_limit(RLIMIT_MEMLOCK, locked.rlim_max, locked.rlim_max);
	FL_RAW_CALL2(SYS_munmap, lo, hi - lo);
	if (maps)
		ret = map_pages(lo, maps);
	if (as.rlim_cur != RLIM_INFINITY)
		as.rlim_cur += (maps - before) * FL_DIFF_PAGE;
	set_limit(RLIMIT_AS, as.rlim_cur, as.rlim_max);
	set_limit(RLIMIT_MEMLOCK, locked.rlim_cur, locked.rlim_max);
	return ret;
}

static bool is_filling(const struct fl_ground *g, uint64_t address)
{
	return address >= g->fill_lo && address < g->fill_hi;
}

/* How many mappings of its own the process has, and how many it was filled up with. The machine's are above all user addresses. */
static bool count_maps(struct fl_kern *k, unsigned process, uint64_t *own, uint64_t *filled)
{
	int fd = fl_kern_open_file(k, process, "maps");
	char *at = fd < 0 ? NULL : fl_kern_read_all(k, fd);

	if (fd >= 0)
		close(fd);
	if (!at)
		return false;
	for (*own = *filled = 0; *at; at = strchr(at, '\n') + 1) {
		uint64_t start = strtoull(at, NULL, 16);

		*filled += is_filling(k->ground, start);
		*own += !is_filling(k->ground, start) && start < FL_KERN_ADDRESSES;
		if (!strchr(at, '\n'))
			break;
	}
	return true;
}

bool fl_kern_plan_fill(struct fl_kern *k, struct fl_call *c)
{
	const struct fl_ground *g = k->ground;
	uint64_t own, filled;

	if (!count_maps(k, k->actor[c->actor].process, &own, &filled))
		return false;
	c->value = own < g->max_maps && c->value < g->max_maps - own ? g->max_maps - own - c->value : 0;
	c->arg[0] = g->fill_lo;
	c->arg[1] = g->fill_hi;
	c->arg[2] = filled;
	k->filled |= c->value != 0;
	return true;
}
