/* SPDX-License-Identifier: MIT */
/*
 * The memory calls of a scenario, on the running kernel. Numbers of flags and advice are the kernel's own already.
 *
 * No locks: each call is the kernel's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

#include "explore/host/internal.h"
#include "faultline/uapi.h"

uint64_t fl_host_address(const struct fl_sc_range *r)
{
	return FL_HOST_BASE + fl_sc_address(fl_host_world.s, r);
}

uint64_t fl_host_bytes(const struct fl_sc_range *r)
{
	if (r->length)
		return r->length;
	return r->whole ? fl_host_world.s->map[r->map].pages * FL_HOST_PAGE : FL_HOST_PAGE;
}

/* What lies behind a mapping that is not anonymous: made when it is first needed in a run. */
static long backing(unsigned index)
{
	const struct fl_sc_map *m = &fl_host_world.s->map[index];
	long fd = fl_host_world.memory_fd[index];
	long err;

	if (fd >= 0)
		return fd;
	if (m->memory == FL_SC_FILE)
		fd = FL_RAW_CALL4(SYS_openat, AT_FDCWD, "/var/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	else
		fd = FL_RAW_CALL2(SYS_memfd_create, m->name, m->memory == FL_SC_HUGETLB ? 4u : 0u);
	if (fd < 0)
		return fd;
	err = FL_RAW_CALL2(SYS_ftruncate, fd, m->pages * FL_HOST_PAGE);
	if (err)
		return err;
	fl_host_world.memory_fd[index] = (int)fd;
	return fd;
}

static int64_t do_mmap(const struct fl_sc_statement *st)
{
	const struct fl_sc_map *m = &fl_host_world.s->map[st->range.map];
	uint64_t at = fl_host_address(&st->range), bytes = fl_host_bytes(&st->range);
	long flags = m->shared ? FL_MAP_SHARED : FL_MAP_PRIVATE;
	long prot = st->op == FL_SC_MAP ? m->prot : st->prot;
	long fd = -1, got;

	flags |= st->noreplace ? FL_MAP_FIXED_NOREPLACE : FL_MAP_FIXED;
	if (st->noreserve || (st->op == FL_SC_MAP && m->noreserve))
		flags |= FL_MAP_NORESERVE;
	if (m->stack)
		flags |= FL_MAP_GROWSDOWN | FL_MAP_STACK;
	if (m->locked)
		flags |= FL_MAP_LOCKED;
	if (m->memory == FL_SC_ANON) {
		flags |= FL_MAP_ANONYMOUS;
	} else {
		fd = backing(st->range.map);
		if (fd < 0)
			return fd;
	}
	got = FL_RAW_CALL6(SYS_mmap, at, bytes, prot, flags, fd, fd < 0 ? 0 : st->range.offset);
	return got == (long)at ? 0 : got;
}

static int64_t do_mremap(const struct fl_sc_statement *st)
{
	uint64_t from = fl_host_address(&st->range), to = fl_host_address(&st->other);
	uint64_t bytes = fl_host_bytes(&st->range);
	uint64_t after = st->pages ? (uint64_t)st->pages * FL_HOST_PAGE : bytes;
	long flags = FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED | (st->dontunmap ? FL_MREMAP_DONTUNMAP : 0);
	long got;

	if (!st->has_other)
		flags = 0;
	got = FL_RAW_CALL5(SYS_mremap, from, bytes, after, flags, to);
	return got == (long)(st->has_other ? to : from) ? 0 : got;
}

/* Nothing of ours or of libc's uses brk while a scenario runs; the coordinator puts it back. */
static int64_t do_brk(const struct fl_sc_statement *st)
{
	uint64_t now = (uint64_t)FL_RAW_CALL1(SYS_brk, 0);
	uint64_t want = now + (uint64_t)st->pages * FL_HOST_PAGE;

	return (uint64_t)FL_RAW_CALL1(SYS_brk, want) == want ? 0 : -ENOMEM;
}

static int64_t do_mincore(const struct fl_sc_statement *st)
{
	unsigned char vec = 0;
	long err = FL_RAW_CALL3(SYS_mincore, fl_host_address(&st->range) & ~(FL_HOST_PAGE - 1), FL_HOST_PAGE, &vec);

	return err ? err : vec & 1;
}

int64_t fl_host_memory_call(struct fl_host_self *self, const struct fl_sc_statement *st)
{
	uint64_t at = fl_host_address(&st->range), bytes = fl_host_bytes(&st->range);

	(void)self;
	switch (st->op) {
	case FL_SC_MAP:
	case FL_SC_MMAP:
		return do_mmap(st);
	case FL_SC_MUNMAP:
		return FL_RAW_CALL2(SYS_munmap, at, bytes);
	case FL_SC_MPROTECT:
		return FL_RAW_CALL3(SYS_mprotect, at, bytes, st->prot);
	case FL_SC_MADVISE:
		return FL_RAW_CALL3(SYS_madvise, at, bytes, st->advice);
	case FL_SC_MREMAP:
		return do_mremap(st);
	case FL_SC_MLOCK:
		return FL_RAW_CALL3(SYS_mlock2, at, bytes, st->onfault ? FL_MLOCK_ONFAULT : 0);
	case FL_SC_MUNLOCK:
		return FL_RAW_CALL2(SYS_munlock, at, bytes);
	case FL_SC_MINCORE:
		return do_mincore(st);
	default:
		return do_brk(st);
	}
}
