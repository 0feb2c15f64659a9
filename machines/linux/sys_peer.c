/* SPDX-License-Identifier: MIT */
/*
 * process_vm_readv and process_vm_writev where either side lies in engine memory; pread and pwrite of /proc/PID/mem
 * there.
 *
 * The host would find only the pages that it happens to map, and could not fault in the rest. So the data moves
 * through the supervisor, a piece at a time: out of one address space by the engine's copy and into the other. While
 * the remote side is touched the caller's task is in the remote address space; a userfaultfd there is told the
 * caller's id, and the wait ends when the caller is killed, as in Linux. Whether the caller may do it at all the
 * host is asked, by a call that touches one byte.
 *
 * A peer that is no guest has no engine memory: the caller's side is made resident, and the call runs natively.
 *
 * No locks: one OS thread, and fibers switch only where something waits.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "linux/host.h"
#include "linux/io.h"

#define OFFSET_ARGS (1u << 1 | 1u << 3)
#define HANDS_NS 1000000000ull
#define CHUNK ((uint64_t)16 * FL_PAGE)

struct peer {
	struct guest_thread *th;
	struct fl_mm *mm; /* the remote address space; a reference */
	bool reading;     /* from the remote side */
	uint64_t args[6];
	struct fl_io_seg local[FL_IO_SEGMENTS], remote[FL_IO_SEGMENTS];
	unsigned nlocal, nremote;
	uint64_t total; /* of the local side */
	uint64_t done;
	uint8_t data[CHUNK];
};

/* Copy between the piece and the remote side. Returns the bytes copied. */
static uint64_t remote_copy(struct peer *p, fl_va va, uint64_t n)
{
	struct fl_task *t = &p->th->task;
	size_t left;

	fl_wait_begin(p->th, true);
	left = p->reading ? fl_copy_from_user(t, p->data, va, n) : fl_copy_to_user(t, va, p->data, n);
	(void)fl_wait_end(p->th);
	return n - left;
}

/* Copy between the piece and the local side from byte `from` on. Returns the bytes copied. */
static uint64_t local_copy(struct peer *p, uint64_t from, uint64_t n)
{
	uint64_t start = 0, copied = 0;

	for (unsigned i = 0; i < p->nlocal && copied < n; start += p->local[i++].len) {
		uint64_t skip = from + copied > start ? from + copied - start : 0, len, left;

		if (skip >= p->local[i].len)
			continue;
		len = p->local[i].len - skip < n - copied ? p->local[i].len - skip : n - copied;
		left = p->reading ? fl_io_copy_out(p->th, p->local[i].base + skip, p->data + copied, len)
				  : fl_io_copy_in(p->th, p->data + copied, p->local[i].base + skip, len);
		copied += len - left;
		if (left || fl_io_gone(p->th))
			break;
	}
	return copied;
}

/* Into the remote address space, and back. */
static void enter(struct peer *p)
{
	fl_task_switch_mm(&p->th->task, p->mm);
}

static void leave(struct peer *p)
{
	fl_task_switch_mm(&p->th->task, p->th->mm->mm);
}

/* One piece. False: it came up short. */
static bool piece(struct peer *p, fl_va va, uint64_t n)
{
	uint64_t there = n, here = n;

	if (!p->reading)
		here = local_copy(p, p->done, n);
	if (here && !fl_io_gone(p->th)) {
		enter(p);
		there = remote_copy(p, va, here);
		leave(p);
	}
	if (p->reading && !fl_io_gone(p->th))
		here = there ? local_copy(p, p->done, there) : 0;
	if (here < there)
		there = here;
	p->done += there;
	return there == n && !fl_io_gone(p->th);
}

static int64_t move(struct peer *p)
{
	bool whole = true;

	for (unsigned i = 0; i < p->nremote && whole && p->done < p->total; i++) {
		fl_va va = p->remote[i].base, end = va + p->remote[i].len;

		while (va < end && whole && p->done < p->total) {
			uint64_t n = CHUNK - (va & ~FL_PAGE_MASK);

			n = n < end - va ? n : end - va;
			n = n < p->total - p->done ? n : p->total - p->done;
			whole = piece(p, va, n);
			va += n;
		}
		if (end < va && p->done < p->total)
			whole = false;
	}
	return whole || p->done ? (int64_t)p->done : -FL_EFAULT;
}

/*
 * A new space, of fork or exec, has no agent yet, and what its host has mapped cannot be taken away: a copy on write
 * would not be seen there. So wait for the agent; it comes with the first stop of the space's thread. False: it does
 * not.
 */
static bool has_hands(struct guest_thread *th, const struct guest_mm *gm)
{
	uint64_t start = fl_now_ns();

	while (!gm->agent && gm->users && !gm->broken && !th->queue_len && fl_now_ns() - start < HANDS_NS) {
		fl_loop_drain(th->g);
		sched_yield();
		fl_fiber_yield();
	}
	return gm->agent != NULL;
}

/* Do the ids that this thread uses mean the same to the supervisor? */
static bool same_ids(struct guest_thread *th)
{
	struct stat own, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)th->tid);
	return !stat("/proc/self/ns/pid", &own) && !stat(path, &theirs) && own.st_ino == theirs.st_ino;
}

/* What the host says to the caller's wish to look into this task: 0 or an error. */
static int64_t may(struct guest_thread *th, pid_t pid)
{
	struct {
		struct fl_io_seg local, remote;
		uint64_t byte;
	} probe = {.remote = {0, 1}};
	fl_va at = fl_io_bounce(th, sizeof(probe));
	int64_t r;

	if (!at)
		return -FL_ENOMEM;
	probe.local = (struct fl_io_seg){at + sizeof(probe.local) + sizeof(probe.remote), 1};
	if (!fl_io_bounce_write(th, at, &probe, sizeof(probe)))
		return -FL_ENOMEM;
	r = fl_inject(th, SYS_process_vm_readv, (uint64_t)pid, at, 1, at + sizeof(probe.local), 1, 0);
	/* Nothing is at address 0; but it was asked only after the right to. */
	return r < 0 && r != -FL_EFAULT ? r : 0;
}

/* Read both vectors. 1: go on; else what the call returns. */
static int64_t vectors(struct peer *p)
{
	uint64_t remote_total;
	int r;

	if (p->args[5])
		return -FL_EINVAL;
	r = fl_io_read_iovec(p->th, p->args[1], p->args[2], p->local, &p->total);
	if (r)
		return r;
	p->nlocal = (unsigned)p->args[2];
	for (unsigned i = 0; i < p->nlocal; i++) {
		if (p->local[i].base > FL_TASK_SIZE || p->local[i].len > FL_TASK_SIZE - p->local[i].base)
			return -FL_EFAULT;
	}
	if (!p->total || fl_io_gone(p->th))
		return 0;
	r = fl_io_read_iovec(p->th, p->args[3], p->args[4], p->remote, &remote_total);
	if (r)
		return r;
	p->nremote = (unsigned)p->args[4];
	return remote_total ? 1 : 0;
}

static bool touches_engine(const struct peer *p)
{
	bool ours = false;

	for (unsigned i = 0; i < p->nlocal && !ours; i++)
		ours = fl_io_engine(p->local[i].base, p->local[i].len);
	for (unsigned i = 0; i < p->nremote && !ours; i++)
		ours = fl_io_engine(p->remote[i].base, p->remote[i].len);
	return ours || fl_io_engine(p->args[1], p->nlocal * sizeof(p->local[0])) ||
	       fl_io_engine(p->args[3], p->nremote * sizeof(p->remote[0]));
}

/* The host makes the call; what is ours of it is there. */
static void natively(struct peer *p)
{
	struct guest_thread *th = p->th;
	int64_t result;

	fl_make_resident(th, p->args[1], p->nlocal * sizeof(p->local[0]), FL_READ);
	fl_make_resident(th, p->args[3], p->nremote * sizeof(p->remote[0]), FL_READ);
	for (unsigned i = 0; i < p->nlocal && !fl_io_gone(th); i++)
		fl_make_resident(th, p->local[i].base, p->local[i].len, p->reading ? FL_WRITE : FL_READ);
	if (fl_io_gone(th) || fl_run_syscall(th, &result))
		return;
	if (result == -FL_EFAULT && th->g->obs->unknown_efault)
		th->g->obs->unknown_efault(th->g->obs->arg, th, (unsigned)fl_regs(th)->orig_rax, p->args);
}

static void serve(struct peer *p)
{
	struct guest_thread *th = p->th, *peer;
	pid_t pid = (pid_t)p->args[0];
	int64_t r = vectors(p);

	if (fl_io_gone(th))
		return;
	if (r != 1) {
		fl_skip_syscall(th, r);
		return;
	}
	if (!touches_engine(p))
		return;
	if (pid <= 0 || !same_ids(th)) {
		natively(p);
		return;
	}
	r = may(th, pid);
	if (fl_io_gone(th))
		return;
	peer = fl_thread_find(th->g, pid);
	if (!r && peer && peer->mm && !peer->dead) {
		p->mm = peer->mm->mm;
		fl_mm_get(p->mm);
		r = has_hands(th, peer->mm) ? move(p) : -FL_ESRCH;
		fl_mm_put(p->mm);
	} else if (!r && !peer && !((unsigned)pid < FL_PID_MAX && fl_agent_was(th->g, pid))) {
		natively(p);
		return;
	} else if (!r) {
		r = -FL_ESRCH;
	}
	if (!fl_io_gone(th))
		fl_skip_syscall(th, r);
}

/* ---- /proc/PID/mem ------------------------------------------------------------------------------------ */

/*
 * The peer whose memory is behind descriptor fd, if it is a guest's: by the link, which is /proc/PID/mem or
 * /proc/PID/task/TID/mem wherever /proc is mounted. *mode: how it was opened.
 */
static struct guest_thread *behind_mem(struct guest_thread *th, int fd, int *mode)
{
	char path[64], link[PATH_MAX], *end, *at;
	struct statfs fs;
	ssize_t n;
	int dup;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)th->tid, fd);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return NULL;
	link[n] = 0;
	end = strrchr(link, '/');
	if (!end || strcmp(end, "/mem"))
		return NULL;
	for (at = end; at > link && at[-1] >= '0' && at[-1] <= '9';)
		at--;
	if (at == end || at == link || at[-1] != '/' || (dup = fl_io_dup(th, fd)) < 0)
		return NULL;
	*mode = fcntl(dup, F_GETFL) & O_ACCMODE;
	n = fstatfs(dup, &fs);
	close(dup);
	if (n || fs.f_type != PROC_SUPER_MAGIC || !same_ids(th))
		return NULL;
	return fl_thread_find(th->g, (pid_t)strtol(at, NULL, 10));
}

/* Would the access wait for a userfaultfd? This file's reads and writes cannot, and fail instead. */
static bool would_wait(struct peer *p, fl_va va)
{
	struct fl_vma_info vma;
	struct fl_translation t;

	if (!fl_mm_next_vma(p->mm, va, &vma) || vma.start > va || !(vma.vm_flags & FL_VM_UFFD_ANY))
		return false;
	if (fl_mm_walk(p->mm, va, p->reading ? FL_READ : FL_WRITE, &t))
		return false;
	return p->reading || vma.vm_flags & FL_VM_UFFD_WP || !fl_mm_walk(p->mm, va, FL_READ, &t);
}

/* Copy between the piece and the remote side, up to the end of a page. Returns the bytes copied. */
static uint64_t mem_page(struct peer *p, fl_va va, uint64_t n)
{
	uint64_t rest = FL_PAGE - (va & ~FL_PAGE_MASK), copied;

	if (would_wait(p, va))
		return 0;
	enter(p);
	copied = remote_copy(p, va, n < rest ? n : rest);
	leave(p);
	return copied;
}

/* As Linux does it: EIO if nothing can be had there, EFAULT whenever the caller's side fails. */
static int64_t mem_move(struct peer *p, fl_va buf, uint64_t count, fl_va va)
{
	struct guest_thread *th = p->th;
	uint64_t done = 0, n = 1;

	if (count > FL_IO_TRANSFER_MAX)
		count = FL_IO_TRANSFER_MAX;
	while (done < count && n && !fl_io_gone(th)) {
		n = FL_PAGE - ((va + done) & ~FL_PAGE_MASK);
		n = n < count - done ? n : count - done;
		if (!p->reading && fl_io_copy_in(th, p->data, buf + done, n))
			return -FL_EFAULT;
		n = fl_io_gone(th) ? 0 : mem_page(p, va + done, n);
		if (p->reading && n && !fl_io_gone(th) && fl_io_copy_out(th, buf + done, p->data, n))
			return -FL_EFAULT;
		done += n;
	}
	return done || !count ? (int64_t)done : -FL_EIO;
}

/* True: answered, or the thread is gone. */
static bool mem_serve(struct guest_thread *th, bool reading)
{
	int mode = 0;
	struct guest_thread *peer = behind_mem(th, (int)fl_arg(th, 0), &mode);
	struct peer *p;
	int64_t r;

	if (!peer || !peer->mm || peer->dead || mode == (reading ? O_WRONLY : O_RDONLY))
		return false;
	p = malloc(sizeof(*p));
	if (!p)
		return false;
	*p = (struct peer){.th = th, .mm = peer->mm->mm, .reading = reading};
	fl_mm_get(p->mm);
	r = has_hands(th, peer->mm) ? mem_move(p, fl_arg(th, 1), fl_arg(th, 2), fl_arg(th, 3)) : 0;
	fl_mm_put(p->mm);
	free(p);
	if (!fl_io_gone(th))
		fl_skip_syscall(th, r);
	return true;
}

/* The place in such a file is an address. So the filter takes the offset for a pointer. */
static void sys_at_offset(struct guest_thread *th)
{
	if (!fl_engine_zone(fl_arg(th, 3)) || !mem_serve(th, fl_regs(th)->orig_rax == SYS_pread64))
		fl_io_buffer(th);
}

static void sys_process_vm(struct guest_thread *th)
{
	struct peer *p = malloc(sizeof(*p));

	if (!p) {
		fl_skip_syscall(th, -FL_ENOMEM);
		return;
	}
	*p = (struct peer){.th = th, .reading = fl_regs(th)->orig_rax == SYS_process_vm_readv};
	fl_io_args(th, p->args);
	serve(p);
	free(p);
}

void fl_peer_register(void)
{
	fl_sys_register(SYS_process_vm_readv, FL_SYS_ALWAYS, 0, sys_process_vm);
	fl_sys_register(SYS_process_vm_writev, FL_SYS_ALWAYS, 0, sys_process_vm);
	fl_sys_register(SYS_pread64, FL_SYS_POINTER, OFFSET_ARGS, sys_at_offset);
	fl_sys_register(SYS_pwrite64, FL_SYS_POINTER, OFFSET_ARGS, sys_at_offset);
}
