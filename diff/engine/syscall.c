/* SPDX-License-Identifier: MIT */
/*
 * The table of system calls: from numbers and words to the engine's functions, and what Linux looks at before the
 * function proper begins.
 *
 * No locks: one OS thread.
 */
#include <sys/syscall.h>

#include "diff/engine/internal.h"

/* Flags that are a long in Linux and an int here: bits that would be lost become one that is no flag either. */
static int narrow(uint64_t flags)
{
	return (int)(uint32_t)(flags | (flags >> 32 ? 0x40000000u : 0));
}

static int64_t sys_mmap(struct fl_engine_actor *a, const uint64_t *arg)
{
	int flags = (int)(uint32_t)arg[3];
	fl_va at;
	int err;

	if (arg[5] & (FL_DIFF_PAGE - 1))
		return -FL_EINVAL;
	if (!(flags & FL_MAP_ANONYMOUS) && arg[4] == UINT64_MAX)
		return -FL_EBADF;
	err = fl_mmap(&a->task, arg[0], arg[1], (int)(uint32_t)arg[2], flags, &at);
	return err ? err : (int64_t)at;
}

static int64_t sys_munmap(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_munmap(&a->task, arg[0], arg[1]);
}

static int64_t sys_mprotect(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_mprotect(&a->task, arg[0], arg[1], narrow(arg[2]));
}

static int64_t sys_mremap(struct fl_engine_actor *a, const uint64_t *arg)
{
	fl_va at;
	int err = fl_mremap(&a->task, arg[0], arg[1], arg[2], narrow(arg[3]), arg[4], &at);

	return err ? err : (int64_t)at;
}

static int64_t sys_brk(struct fl_engine_actor *a, const uint64_t *arg)
{
	uint64_t to = arg[0];

	if (a->call.how[0] == FL_ARG_BRK)
		to += fl_brk(&a->task, 0);
	return (int64_t)fl_brk(&a->task, to);
}

static int64_t sys_madvise(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_madvise(&a->task, arg[0], arg[1], (int)(uint32_t)arg[2]);
}

static int64_t sys_mlock(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_mlock(&a->task, arg[0], arg[1], 0);
}

static int64_t sys_mlock2(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_mlock(&a->task, arg[0], arg[1], (int)(uint32_t)arg[2]);
}

static int64_t sys_munlock(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_munlock(&a->task, arg[0], arg[1]);
}

static int64_t sys_mlockall(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_mlockall(&a->task, (int)(uint32_t)arg[0]);
}

static int64_t sys_munlockall(struct fl_engine_actor *a, const uint64_t *arg)
{
	(void)arg;
	return fl_munlockall(&a->task);
}

static int64_t sys_msync(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_msync(&a->task, arg[0], arg[1], (int)(uint32_t)arg[2]);
}

/* Linux answers mapping by mapping, a page of bytes at most at a time: so what lies before a hole has been told. */
static int64_t sys_mincore(struct fl_engine_actor *a, const uint64_t *arg)
{
	uint64_t start = arg[0], pages = arg[1] / FL_DIFF_PAGE + (arg[1] % FL_DIFF_PAGE != 0), vec = arg[2], n;
	uint8_t bytes[FL_DIFF_PAGE];
	struct fl_vma_info v;
	int err;

	if (start % FL_DIFF_PAGE)
		return -FL_EINVAL;
	if (!fl_engine_user_range(start, arg[1]))
		return -FL_ENOMEM;
	if (!fl_engine_user_range(vec, pages))
		return -FL_EFAULT;
	for (; pages; pages -= n, start += n * FL_DIFF_PAGE, vec += n) {
		if (!fl_mm_next_vma(a->task.mm, start, &v) || v.start > start)
			return -FL_ENOMEM;
		n = (v.end - start) / FL_DIFF_PAGE;
		n = n < pages ? n : pages;
		n = n < sizeof(bytes) ? n : sizeof(bytes);
		err = fl_mincore(&a->task, start, n * FL_DIFF_PAGE, bytes);
		if (err)
			return err;
		if (fl_copy_to_user(&a->task, vec, bytes, n))
			return -FL_EFAULT;
	}
	return 0;
}

static int64_t sys_userfaultfd(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_engine_open(a, a->call.object, (int)(uint32_t)arg[0]);
}

/* Which userfaultfd an argument is; UINT64_MAX: none that is open. */
static uint64_t descriptor(const struct fl_engine_actor *a, const uint64_t *arg)
{
	return a->call.how[0] == FL_ARG_UFFD ? arg[0] : UINT64_MAX;
}

static int64_t sys_close(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_engine_close(a, descriptor(a, arg));
}

static int64_t sys_ioctl(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_engine_ioctl(a, descriptor(a, arg), (uint32_t)arg[1], arg[2]);
}

static int64_t sys_read(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_engine_read(a, descriptor(a, arg), arg[1], arg[2]);
}

static int64_t sys_poll(struct fl_engine_actor *a, const uint64_t *arg)
{
	return fl_engine_poll(a, arg[0], arg[1]);
}

static int64_t sys_pread64(struct fl_engine_actor *a, const uint64_t *arg)
{
	return a->call.how[0] == FL_ARG_CARRIER ? fl_engine_pread(a, arg[1], arg[2], arg[3]) : -FL_EBADF;
}

static int64_t sys_pwrite64(struct fl_engine_actor *a, const uint64_t *arg)
{
	return a->call.how[0] == FL_ARG_CARRIER ? fl_engine_pwrite(a, arg[1], arg[2], arg[3]) : -FL_EBADF;
}

static const struct {
	unsigned nr;
	int64_t (*fn)(struct fl_engine_actor *a, const uint64_t *arg);
} table[] = {
	{SYS_mmap, sys_mmap},
	{SYS_munmap, sys_munmap},
	{SYS_mprotect, sys_mprotect},
	{SYS_mremap, sys_mremap},
	{SYS_madvise, sys_madvise},
	{SYS_brk, sys_brk},
	{SYS_mlock, sys_mlock},
	{SYS_mlock2, sys_mlock2},
	{SYS_munlock, sys_munlock},
	{SYS_mlockall, sys_mlockall},
	{SYS_munlockall, sys_munlockall},
	{SYS_mincore, sys_mincore},
	{SYS_msync, sys_msync},
	{SYS_userfaultfd, sys_userfaultfd},
	{SYS_close, sys_close},
	{SYS_ioctl, sys_ioctl},
	{SYS_read, sys_read},
	{SYS_poll, sys_poll},
	{SYS_pread64, sys_pread64},
	{SYS_pwrite64, sys_pwrite64},
};

int64_t fl_engine_syscall(struct fl_engine_actor *a, unsigned nr, const uint64_t arg[6])
{
	for (unsigned i = 0; i < FL_ARRAY_LEN(table); i++) {
		if (table[i].nr == nr)
			return table[i].fn(a, arg);
	}
	fl_engine_break(a->e, "system call %u is not in the engine side's table (diff/engine/syscall.c)", nr);
	return -FL_ENOSYS;
}
