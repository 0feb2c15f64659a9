/* SPDX-License-Identifier: MIT */
/*
 * The guest's userfaultfd descriptor: the read end of a pipe, and the supervisor has the only write end.
 *
 *      guest's tables                    the pipe                      supervisor
 *      fd 5 ─┐                      one byte for each                 write end
 *      fd 7 ─┴──> read end   <────  unread message    <────  unread(n) ──┘
 *
 * The kernel keeps the descriptor's life: dup, fork, exec, SCM_RIGHTS and the last close, which shows as POLLERR on
 * the write end (SIGIO tells us to look). The bytes carry readiness alone, so that poll, select and epoll work
 * natively, the edge-triggered too; a message that became stale takes its byte with it. Data goes by read(2), which
 * is served here. Which descriptor is one is told by the pipe's inode.
 *
 * Programs without a userfaultfd shall not pay for it: read, readv, poll and their relatives are stopped by a second
 * filter, which a process gets with its first userfaultfd and hands down to its children.
 *
 * No locks: one OS thread. `unread` is called under a lock of the engine, and calls only the host.
 */
#include "linux/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* On an open /dev/userfaultfd: as userfaultfd(2), with the flags as argument. */
#define USERFAULTFD_IOC_NEW 0xaa00u
#define MESSAGE_BYTES 32u

struct fl_carrier {
	struct guest *g;
	struct fl_uffd *uffd;
	int write_end;
	dev_t dev;
	ino_t ino;
	uint32_t bytes;         /* in the pipe */
	struct fl_task task;    /* for the release */
	struct fl_fiber *fiber; /* which releases it after the last close */
	struct fl_carrier *next;
};

/* ---- Readiness --------------------------------------------------------------------------------------- */

/* Take bytes out. A read end of ours exists for this moment only: with one for ever there would be no last close. */
static void drain(struct fl_carrier *c, uint32_t n)
{
	char path[40], sink[256];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", c->write_end);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	while (n) {
		ssize_t r = read(fd, sink, n < sizeof(sink) ? n : sizeof(sink));

		if (r <= 0)
			break;
		n -= (uint32_t)r;
		c->bytes -= (uint32_t)r;
	}
	close(fd);
}

static void unread(void *arg, uint32_t n)
{
	struct fl_carrier *c = arg;

	/* A full pipe is as ready as it can be; the rest follows when it drains. */
	while (c->bytes < n && write(c->write_end, "", 1) == 1)
		c->bytes++;
	if (c->bytes > n)
		drain(c, c->bytes - n);
}

static const struct fl_uffd_ops uffd_ops = {.unread = unread};

/* ---- Which descriptor is one ------------------------------------------------------------------------- */

static struct fl_carrier *carrier_find(struct guest_thread *th, int fd)
{
	struct fl_carrier *c;
	struct stat st;
	char path[48];

	if (!fl_carrier_any(th) || fd < 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)th->tid, fd);
	if (stat(path, &st) || !S_ISFIFO(st.st_mode))
		return NULL;
	for (c = th->g->carriers; c; c = c->next)
		if (c->ino == st.st_ino && c->dev == st.st_dev && !c->fiber)
			break;
	return c;
}

static bool is_nonblock(struct guest_thread *th, int fd)
{
	int dup = fl_io_dup(th, fd), flags;

	if (dup < 0)
		return false;
	flags = fcntl(dup, F_GETFL);
	close(dup);
	return flags >= 0 && (flags & O_NONBLOCK);
}

struct fl_uffd *fl_carrier_of(struct guest_thread *th, int fd, bool *nonblock)
{
	struct fl_carrier *c = carrier_find(th, fd);

	if (!c)
		return NULL;
	*nonblock = is_nonblock(th, fd);
	return c->uffd;
}

bool fl_carrier_polls_error(struct guest_thread *th, int fd)
{
	bool nonblock;
	struct fl_uffd *uffd = fl_carrier_of(th, fd, &nonblock);

	return uffd && (fl_uffd_poll(uffd, nonblock) & FL_POLLERR);
}

bool fl_carrier_is_inode(struct guest *g, uint64_t ino)
{
	for (struct fl_carrier *c = g->carriers; c; c = c->next)
		if (c->ino == ino && !c->fiber)
			return true;
	return false;
}

/* ---- The second filter ------------------------------------------------------------------------------- */

/* Calls that must be seen once a descriptor of ours can be among theirs, wherever their pointers lie. */
static const uint32_t watched[] = {
	SYS_read,  SYS_readv,    SYS_preadv2,    SYS_poll,        SYS_select,
	SYS_ppoll, SYS_pselect6, SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2,
};
#define NWATCHED (sizeof(watched) / sizeof(watched[0]))
#define FILTER_MAX (NWATCHED + 16)

static unsigned build_filter(struct sock_filter *f)
{
	const struct sock_filter head[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(FL_HIDDEN_CODE >> 32), 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)(FL_HIDDEN_CODE + FL_PAGE), 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	const struct sock_filter tail[] = {
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
	};
	unsigned n = 0;

	for (size_t i = 0; i < FL_ARRAY_LEN(head); i++)
		f[n++] = head[i];
	for (size_t i = 0; i < NWATCHED; i++)
		f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, watched[i],
						      (uint8_t)(NWATCHED - i - 1 + FL_ARRAY_LEN(tail) - 1), 0);
	for (size_t i = 0; i < FL_ARRAY_LEN(tail); i++)
		f[n++] = tail[i];
	return n;
}

/* All threads of the process get it, or this one if another has filters that this one has not. */
static int install_filter(struct guest_thread *th)
{
	struct {
		struct sock_fprog prog;
		struct sock_filter f[FILTER_MAX];
	} image;
	fl_va bounce = fl_io_bounce(th, sizeof(image));
	int64_t r;

	if (!bounce)
		return -ENOMEM;
	image.prog.len = (unsigned short)build_filter(image.f);
	image.prog.filter = (struct sock_filter *)(uintptr_t)(bounce + offsetof(__typeof__(image), f));
	if (!fl_io_bounce_write(th, bounce, &image, sizeof(image)))
		return -EFAULT;
	r = fl_inject(th, SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, bounce, 0, 0, 0);
	if (r > 0)
		r = fl_inject(th, SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, bounce, 0, 0, 0);
	return (int)r;
}

/* Watch this process from now on. If that cannot be, its reads of a userfaultfd give the pipe's bytes. */
static void watch(struct guest_thread *th)
{
	if (!th->proc->may_have_uffd && !install_filter(th))
		th->proc->may_have_uffd = true;
}

void fl_carrier_received(struct guest_thread *th)
{
	if (th->g->carriers)
		watch(th);
}

/* Either may make a userfaultfd that the other finds among its descriptors. Few programs do such a thing. */
void fl_carrier_share(struct guest_thread *th)
{
	watch(th);
}

/* ---- Making one -------------------------------------------------------------------------------------- */

/* Asynchronous-signal-safe. */
static void on_sigio(int sig)
{
	(void)sig;
	fl_loop_poke();
}

/* The pipe: the read end in the guest, as *fd, and the write end here. 0 or -errno; then nothing is left of it. */
static int make_pipe(struct guest_thread *th, int flags, struct fl_carrier *c, int *fd)
{
	fl_va bounce = fl_io_bounce(th, 8);
	struct sigaction sa = {.sa_handler = on_sigio};
	int ends[2];
	struct stat st;
	int64_t r;

	if (!bounce)
		return -ENOMEM;
	r = fl_inject(th, SYS_pipe2, bounce, (uint64_t)(flags & (O_CLOEXEC | O_NONBLOCK)), 0, 0, 0, 0);
	if (r < 0)
		return (int)r;
	if (!fl_io_bounce_read(th, ends, bounce, sizeof(ends)))
		return -ENOMEM;
	c->write_end = fl_io_dup(th, ends[1]);
	r = fl_inject(th, SYS_close, (uint64_t)ends[1], 0, 0, 0, 0, 0);
	if (c->write_end < 0 || fstat(c->write_end, &st) || r < 0) {
		if (c->write_end >= 0)
			close(c->write_end);
		(void)fl_inject(th, SYS_close, (uint64_t)ends[0], 0, 0, 0, 0, 0);
		return -ENOMEM;
	}
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	sigaction(SIGIO, &sa, NULL);
	fcntl(c->write_end, F_SETOWN, getpid());
	fcntl(c->write_end, F_SETFL, O_NONBLOCK | O_ASYNC);
	*fd = ends[0];
	return 0;
}

static void tell(struct guest_thread *th, unsigned nr, const uint64_t args[6], int64_t result, uint64_t since)
{
	struct run_observer *obs = th->g->obs;

	if (obs->memory_call)
		obs->memory_call(obs->arg, th, nr, args, result, fl_now_ns() - since);
}

/*
 * Whoever may run a program under us owns its memory, kernel-mode faults included: as with
 * vm.unprivileged_userfaultfd.
 */
static void make_uffd(struct guest_thread *th, int flags)
{
	int fd = -1, err;
	struct fl_carrier *c = calloc(1, sizeof(*c));
	uint64_t args[6], since = fl_now_ns();

	fl_io_args(th, args);
	if (!c) {
		fl_skip_syscall(th, -ENOMEM);
		return;
	}
	c->g = th->g;
	err = fl_uffd_create(&th->task, flags, true, &uffd_ops, c, &c->uffd);
	if (!err && !th->proc->may_have_uffd)
		err = install_filter(th);
	if (!err) {
		th->proc->may_have_uffd = true;
		err = make_pipe(th, flags, c, &fd);
	}
	if (err) {
		if (c->uffd)
			fl_uffd_release(&th->task, c->uffd);
		free(c);
		tell(th, (unsigned)fl_regs(th)->orig_rax, args, err, since);
		fl_skip_syscall(th, err);
		return;
	}
	tell(th, (unsigned)fl_regs(th)->orig_rax, args, fd, since);
	th->mm->uffd = true;
	c->next = th->g->carriers;
	th->g->carriers = c;
	fl_skip_syscall(th, fd);
}

static void sys_userfaultfd(struct guest_thread *th)
{
	make_uffd(th, (int)fl_arg(th, 0));
}

/* Is it an open /dev/userfaultfd? */
static bool is_device(struct guest_thread *th, int fd)
{
	static const char name[] = "/dev/userfaultfd";
	char path[48], target[sizeof(name)];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)th->tid, fd);
	return readlink(path, target, sizeof(target)) == sizeof(name) - 1 && !memcmp(target, name, sizeof(name) - 1);
}

/* ---- Using one --------------------------------------------------------------------------------------- */

static int64_t read_once(struct guest_thread *th, struct fl_uffd *u, fl_va buf, uint64_t count, bool nonblock)
{
	const uint64_t args[6] = {fl_arg(th, 0), buf, count};
	uint64_t since = fl_now_ns();
	int64_t r;

	fl_wait_begin(th, false);
	r = fl_uffd_read(&th->task, u, buf, count, nonblock);
	(void)fl_wait_end(th);
	tell(th, SYS_read, args, r, since);
	return r;
}

static void sys_read(struct guest_thread *th)
{
	bool nonblock;
	struct fl_uffd *u = fl_carrier_of(th, (int)fl_arg(th, 0), &nonblock);
	int64_t r;

	if (!u) {
		fl_io_buffer(th);
		return;
	}
	r = read_once(th, u, fl_arg(th, 1), fl_arg(th, 2), nonblock);
	if (!fl_io_gone(th))
		fl_skip_syscall(th, r);
}

/* One message, to the segments from byte `done` on. What cannot be written is lost, as by read. */
static int64_t read_message(struct fl_io_transfer *x, struct fl_uffd *u, bool nonblock)
{
	struct fl_uffd_msg msg;
	int err;

	fl_wait_begin(x->th, false);
	err = fl_uffd_read_message(&x->th->task, u, nonblock, &msg);
	(void)fl_wait_end(x->th);
	if (err || fl_io_gone(x->th))
		return err;
	return fl_io_scatter(x, x->done, (const uint8_t *)&msg, sizeof(msg)) < sizeof(msg) ? -EFAULT : (int)sizeof(msg);
}

/* A message may be split across segments in any way; only the first may wait. */
static void sys_readv(struct guest_thread *th)
{
	struct fl_io_seg seg[FL_IO_SEGMENTS];
	struct fl_io_transfer x = {.th = th, .reading = true, .vector = true, .seg = seg};
	uint64_t since = fl_now_ns();
	bool nonblock;
	struct fl_uffd *u = fl_carrier_of(th, (int)fl_arg(th, 0), &nonblock);
	int64_t r;

	if (!u) {
		fl_io_buffer(th);
		return;
	}
	fl_io_args(th, x.args);
	x.nseg = x.args[2] <= FL_IO_SEGMENTS ? (unsigned)x.args[2] : 0;
	r = fl_io_read_iovec(th, x.args[1], x.args[2], seg, &x.total);
	if (!r && x.total < MESSAGE_BYTES)
		r = x.total ? -EINVAL : 0;
	while (!r && x.total - x.done >= MESSAGE_BYTES) {
		r = read_message(&x, u, nonblock || x.done);
		if (fl_io_gone(th))
			return;
		if (r > 0) {
			x.done += (uint64_t)r;
			r = 0;
		}
	}
	if (fl_io_gone(th))
		return;
	r = x.done ? (int64_t)x.done : r;
	tell(th, SYS_readv, x.args, r, since);
	fl_skip_syscall(th, r);
}

/* A range that is about to be registered is untouched as far as the program knows; so it shall be. */
static void before_register(struct guest_thread *th, fl_va arg)
{
	struct fl_uffdio_range range;

	if (!fl_io_copy_in(th, &range, arg, sizeof(range)) && !(range.start & ~FL_PAGE_MASK) &&
	    range.start < FL_TASK_SIZE && range.len <= FL_TASK_SIZE - range.start && !fl_io_gone(th))
		fl_ahead_take_back(th, range.start, range.start + range.len);
}

static void sys_ioctl(struct guest_thread *th)
{
	uint32_t cmd = (uint32_t)fl_arg(th, 1);
	bool nonblock;
	struct fl_uffd *u = NULL;
	uint64_t args[6], since = fl_now_ns();
	int r;

	if ((cmd >> 8 & 0xff) == FL_UFFD_IOCTL_TYPE)
		u = fl_carrier_of(th, (int)fl_arg(th, 0), &nonblock);
	if (!u && cmd == USERFAULTFD_IOC_NEW && is_device(th, (int)fl_arg(th, 0))) {
		make_uffd(th, (int)fl_arg(th, 2));
		return;
	}
	if (!u) {
		if (fl_engine_zone(fl_arg(th, 2)))
			fl_io_struct(th);
		return;
	}
	fl_io_args(th, args);
	if (cmd == FL_UFFDIO_REGISTER)
		before_register(th, args[2]);
	if (fl_io_gone(th))
		return;
	fl_wait_begin(th, true);
	r = fl_uffd_ioctl(&th->task, u, cmd, args[2]);
	(void)fl_wait_end(th);
	tell(th, SYS_ioctl, args, r, since);
	if (!fl_io_gone(th))
		fl_skip_syscall(th, r);
}

/* A descriptor taken from another process, which may make a userfaultfd of it as late as after our look. */
static void sys_pidfd_getfd(struct guest_thread *th)
{
	int64_t result;

	fl_carrier_received(th);
	if (!th->proc->may_have_uffd && !fl_io_gone(th) && !fl_run_syscall(th, &result) && result >= 0)
		fl_carrier_received(th);
}

void fl_carrier_register(void)
{
	fl_sys_register(SYS_userfaultfd, FL_SYS_ALWAYS, 0, sys_userfaultfd);
	fl_sys_register(SYS_read, FL_SYS_POINTER, 1u << 1, sys_read);
	fl_sys_register(SYS_readv, FL_SYS_ALWAYS, 0, sys_readv);
	fl_sys_register(SYS_ioctl, FL_SYS_IOCTL, 1u << 2, sys_ioctl);
	fl_sys_register(SYS_pidfd_getfd, FL_SYS_ALWAYS, 0, sys_pidfd_getfd);
}

/* ---- Processes and the last close -------------------------------------------------------------------- */

void fl_carrier_fork(struct guest_proc *parent, struct guest_proc *child)
{
	child->may_have_uffd = parent->may_have_uffd;
}

/* Descriptors that exec closes are gone natively; we only look. */
void fl_carrier_exec(struct guest_proc *proc)
{
	if (proc->may_have_uffd)
		fl_loop_poke();
}

void fl_carrier_exit(struct guest_proc *proc)
{
	if (proc->may_have_uffd)
		fl_loop_poke();
}

/* Unregistering takes locks that fibers may hold, so it has one of its own. */
static void release(void *arg)
{
	struct fl_carrier *c = arg;

	fl_task_init(&c->task, c->g->frames, NULL, 0);
	fl_uffd_release(&c->task, c->uffd);
	c->uffd = NULL;
	fl_task_exit(&c->task);
}

static bool last_closed(const struct fl_carrier *c)
{
	struct pollfd p = {.fd = c->write_end};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

void fl_carrier_poll(struct guest *g)
{
	struct fl_carrier **link = &g->carriers, *c;

	while ((c = *link)) {
		if (!c->fiber && last_closed(c))
			c->fiber = fl_fiber_create("uffd close", release, c, 0);
		if (c->fiber && fl_fiber_state(c->fiber) == FL_FIBER_DONE && fl_fiber_current() != c->fiber) {
			fl_fiber_destroy(c->fiber);
			*link = c->next;
			close(c->write_end);
			free(c);
			continue;
		}
		link = &c->next;
	}
}

void fl_carrier_fini(struct guest *g)
{
	fl_carrier_poll(g);
	(void)fl_fiber_run();
	fl_carrier_poll(g);
	while (g->carriers) {
		struct fl_carrier *c = g->carriers;

		g->carriers = c->next;
		close(c->write_end);
		free(c);
	}
}
