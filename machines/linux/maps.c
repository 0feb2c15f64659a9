/* SPDX-License-Identifier: MIT */
/*
 * After exec: what the host has mapped goes into the engine's index as foreign.
 *
 * The first stack is entered with all the room that it may grow into, so that no address is chosen there and copies reach it. Addresses
 * for later mappings of the host are chosen below the highest mapping under the stack, as the host would.
 *
 * No locks: one OS thread.
 */
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "linux/mem.h"

#define STACK_ROOM_DEFAULT (8ull << 20)
#define STACK_ROOM_MAX (1ull << 30)
#define STACK_GAP (1ull << 20)

struct line {
	uint64_t start, end, offset;
	unsigned major, minor;
	unsigned long inode;
	int prot;
	bool shared;
	char name[256];
};

static bool parse(const char *text, struct line *l)
{
	char perms[8];
	unsigned long start, end, offset;
	int at = 0;

	l->name[0] = 0;
	if (sscanf(text, "%lx-%lx %7s %lx %x:%x %lu %n", &start, &end, perms, &offset, &l->major, &l->minor, &l->inode,
		   &at) < 7)
		return false;
	l->start = start;
	l->end = end;
	l->offset = offset;
	l->prot = (perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0) |
		  (perms[2] == 'x' ? PROT_EXEC : 0);
	l->shared = perms[3] == 's';
	if (at)
		snprintf(l->name, sizeof(l->name), "%.255s", text + at);
	l->name[strcspn(l->name, "\n")] = 0;
	return true;
}

/* The same for mappings of one file, never for others: what may merge in the index. */
uint64_t fl_file_cookie(uint64_t major, uint64_t minor, uint64_t inode)
{
	return inode ? (major << 52 ^ minor << 40 ^ inode) << 1 | 1 : 0;
}

static int enter_line(struct guest_thread *th, struct line *l)
{
	struct guest_mm *gm = th->mm;
	int flags = MAP_PRIVATE | MAP_FIXED;
	uint64_t start = l->start;
	struct rlimit64 r;
	fl_va at;

	if (!strcmp(l->name, "[stack]")) {
		uint64_t room = STACK_ROOM_DEFAULT;

		gm->stack_start = l->start;
		gm->stack_end = l->end;
		if (!prlimit64(th->tid, RLIMIT_STACK, NULL, &r) && r.rlim_cur > room)
			room = r.rlim_cur > STACK_ROOM_MAX ? STACK_ROOM_MAX : r.rlim_cur & FL_PAGE_MASK;
		if (start > l->end - room)
			start = l->end - room;
	} else if (!strcmp(l->name, "[vdso]")) {
		gm->vdso = l->start;
	}
	if (th->g->obs->foreign_mapping)
		th->g->obs->foreign_mapping(th->g->obs->arg, th, l->start, l->end - l->start, l->prot,
					    l->name[0] ? l->name : "bss");
	return fl_mmap_foreign(&th->task, start, l->end - start, l->prot, flags, 0, 0,
			       fl_file_cookie(l->major, l->minor, l->inode), l->offset, &at);
}

int fl_space_enter_maps(struct guest_thread *th)
{
	struct guest_mm *gm = th->mm;
	char path[64], text[1024];
	struct line l;
	int r = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)th->tid);
	f = fopen(path, "re");
	if (!f)
		return -FL_ESRCH;
	gm->host_hi = 0;
	while (!r && fgets(text, sizeof(text), f)) {
		if (!parse(text, &l) || l.start >= FL_TASK_SIZE)
			continue;
		if (strcmp(l.name, "[stack]") && l.start >= FL_HOST_TOP_START && !gm->stack_start &&
		    l.end > gm->host_hi)
			gm->host_hi = l.end;
		r = enter_line(th, &l);
	}
	fclose(f);
	if (!gm->host_hi)
		gm->host_hi = (gm->stack_end - STACK_ROOM_MAX - STACK_GAP) & FL_PAGE_MASK;
	if (!r && !gm->vdso)
		return -FL_ENODEV;
	return r;
}

int fl_space_enter_at(struct guest_thread *th, fl_va va, const char *what)
{
	char path[64], text[1024];
	int r = -FL_ENOMEM;
	struct line l;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)th->tid);
	f = fopen(path, "re");
	if (!f)
		return -FL_ESRCH;
	while (fgets(text, sizeof(text), f)) {
		if (!parse(text, &l) || va < l.start || va >= l.end)
			continue;
		snprintf(l.name, sizeof(l.name), "%s", what);
		r = enter_line(th, &l);
		break;
	}
	fclose(f);
	return r;
}
