/* SPDX-License-Identifier: MIT */
/*
 * System calls with pointers into engine memory: which handler each gets, the restartable ones of fixed size, and those
 * of which only the kernel knows what they touch.
 *
 * No locks: one OS thread, and fibers switch only where something waits.
 */
#include "linux/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* How often the same page is filled for one call before we believe the kernel that it will not do. */
#define SAME_GAP_MAX 8

size_t fl_io_copy_in(struct guest_thread *th, void *dst, fl_va src, size_t n)
{
	size_t left;

	fl_wait_begin(th, true);
	left = fl_copy_from_user(&th->task, dst, src, n);
	(void)fl_wait_end(th);
	return left;
}

size_t fl_io_copy_out(struct guest_thread *th, fl_va dst, const void *src, size_t n)
{
	size_t left;

	fl_wait_begin(th, true);
	left = fl_copy_to_user(&th->task, dst, src, n);
	(void)fl_wait_end(th);
	/* The pages are there now: spare the guest the fault that would only tell the host so. */
	if (!fl_io_gone(th) && left < n)
		(void)fl_make_resident(th, dst, n - left, FL_WRITE);
	return left;
}

bool fl_io_engine(fl_va va, uint64_t n)
{
	return va && n && (fl_engine_zone(va) || fl_engine_zone(va + n - 1));
}

bool fl_io_missing(struct guest_thread *th, fl_va va, uint64_t n, enum fl_access access, struct fl_io_gap *gap)
{
	fl_va end = va + n;

	if (!n || end < va || !fl_io_engine(va, n) || fl_is_resident(th, va, n, access))
		return false;
	while (va < end) {
		fl_va next = (va & FL_PAGE_MASK) + FL_PAGE;
		uint64_t len = (next < end ? next : end) - va;

		if (fl_engine_zone(va) && !fl_is_resident(th, va, len, access)) {
			*gap = (struct fl_io_gap){va, len, access};
			return true;
		}
		va += len;
	}
	return false;
}

bool fl_io_missing_string(struct guest_thread *th, fl_va va, uint64_t max, struct fl_io_gap *gap)
{
	char page[FL_PAGE];
	fl_va end = va + max;

	while (va < end) {
		size_t len = (size_t)(FL_PAGE - (va & ~FL_PAGE_MASK)), got;

		if (fl_io_missing(th, va, len, FL_READ, gap)) {
			gap->len = 1; /* the string may end anywhere on it */
			return true;
		}
		if (!fl_engine_zone(va))
			return false;
		got = len - fl_copy_from_user_nofault(&th->task, page, va, len);
		if (got < len || memchr(page, 0, len))
			return false;
		va += len;
	}
	return false;
}

void fl_io_args(struct guest_thread *th, uint64_t args[6])
{
	for (unsigned i = 0; i < 6; i++)
		args[i] = fl_arg(th, i);
}

void fl_io_restore(struct guest_thread *th, const uint64_t args[6])
{
	for (unsigned i = 0; i < 6; i++)
		if (fl_arg(th, i) != args[i])
			fl_set_arg(th, i, args[i]);
}

fl_va fl_io_bounce(struct guest_thread *th, uint64_t n)
{
	uint64_t size = (n + FL_PAGE - 1) & FL_PAGE_MASK;

	if (th->bounce && th->bounce_size >= size)
		return th->bounce;
	if (th->bounce)
		fl_bounce_unmap(th->mm, th->bounce, th->bounce_size);
	if (size < 4 * FL_PAGE)
		size = 4 * FL_PAGE;
	th->bounce = fl_bounce_map(th->mm, size);
	th->bounce_size = th->bounce ? size : 0;
	return th->bounce;
}

/* ---- Descriptors ------------------------------------------------------------------------------------ */

int fl_io_dup(struct guest_thread *th, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, th->proc->pid, 0);
	int dup;

	if (pidfd < 0)
		return -1;
	dup = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	close(pidfd);
	return dup;
}

/* Character devices that give bytes for ever and lose nothing: null, zero, full, random, urandom. */
static bool endless_device(dev_t dev)
{
	unsigned minor = minor(dev);

	return major(dev) == 1 && (minor == 3 || minor == 5 || (minor >= 7 && minor <= 9));
}

void fl_io_look(struct guest_thread *th, int fd, struct fl_io_file *file)
{
	int dup = fl_io_dup(th, fd), unread = -1, type = 0, flags;
	socklen_t size = sizeof(type);
	struct stat st;

	*file = (struct fl_io_file){.consumes = true, .avail = UINT64_MAX};
	if (dup < 0)
		return;
	if (!fstat(dup, &st)) {
		file->known = true;
		flags = fcntl(dup, F_GETFL);
		file->opened[0] = flags >= 0 && (flags & O_ACCMODE) != O_WRONLY;
		file->opened[1] = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
		if (S_ISFIFO(st.st_mode))
			file->stream = true;
		else if (S_ISSOCK(st.st_mode))
			file->stream = !getsockopt(dup, SOL_SOCKET, SO_TYPE, &type, &size) && type == SOCK_STREAM;
		else
			file->regular = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode) ||
					(S_ISCHR(st.st_mode) && endless_device(st.st_rdev));
		file->consumes = !file->stream && !file->regular;
		file->on_disk = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
		if (!S_ISCHR(st.st_mode) && !ioctl(dup, FIONREAD, &unread) && unread >= 0)
			file->avail = (uint64_t)unread;
		if (S_ISREG(st.st_mode))
			file->size = (uint64_t)st.st_size;
	}
	close(dup);
}

/* ---- Restartable calls ------------------------------------------------------------------------------- */

bool fl_io_run(struct guest_thread *th, const uint64_t args[6], fl_io_gap_fn *next_gap, const void *arg,
	       int64_t *result)
{
	struct fl_io_gap gap, last = {0};
	unsigned same = 0;
	int again;

	for (;;) {
		if (fl_run_syscall(th, result))
			return false;
		if (*result != -EFAULT || !next_gap(th, arg, &gap))
			return true;
		same = gap.va == last.va && gap.access == last.access ? same + 1 : 0;
		last = gap;
		if (same >= SAME_GAP_MAX || fl_make_resident(th, gap.va, gap.len, gap.access) < gap.len)
			return !fl_io_gone(th);
		if (fl_io_gone(th))
			return false;
		again = fl_call_again(th);
		if (again < 0)
			return false;
		if (!again) {
			fl_io_restore(th, args);
			return false;
		}
	}
}

/* ioctl commands that do not say their size. */
static uint64_t ioctl_size(uint64_t cmd, enum fl_access *access)
{
	*access = FL_WRITE;
	switch (cmd) {
	case TCGETS:
		return 36;
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		*access = FL_READ;
		return 36;
	case TIOCGWINSZ:
		return 8;
	case TIOCSWINSZ:
		*access = FL_READ;
		return 8;
	case FIONREAD:
	case TIOCOUTQ:
	case TIOCGPGRP:
	case TIOCGSID:
	case TIOCMGET:
	case SIOCATMARK:
		return 4;
	case FIONBIO:
	case FIOASYNC:
	case TIOCSPGRP:
	case TIOCMSET:
	case TIOCMBIS:
	case TIOCMBIC:
		*access = FL_READ;
		return 4;
	}
	if (_IOC_DIR((uint32_t)cmd) == _IOC_NONE)
		return 0;
	if (_IOC_DIR((uint32_t)cmd) == _IOC_WRITE)
		*access = FL_READ;
	return _IOC_SIZE((uint32_t)cmd);
}

static uint64_t fcntl_size(uint64_t cmd, enum fl_access *access)
{
	*access = FL_READ;
	switch (cmd) {
	case F_GETLK:
	case F_OFD_GETLK:
		*access = FL_WRITE;
		return 32;
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return 32;
	case F_GETOWN_EX:
		*access = FL_WRITE;
		return 8;
	case F_SETOWN_EX:
		return 8;
	case F_GET_RW_HINT:
	case F_GET_FILE_RW_HINT:
		*access = FL_WRITE;
		return 8;
	case F_SET_RW_HINT:
	case F_SET_FILE_RW_HINT:
		return 8;
	}
	return 0;
}

/* A semaphore's number in its set has 16 bits, its value takes 2 bytes. */
#define SEM_VALUES_MAX ((uint64_t)65536 * 2)

/*
 * GETALL and SETALL do not say how many semaphores there are. They fail at the first page that is missing before they
 * have changed anything, so the largest size will do: pages are filled only as far as the kernel comes.
 */
static uint64_t semctl_size(uint64_t cmd, enum fl_access *access)
{
	*access = cmd == IPC_SET || cmd == SETALL ? FL_READ : FL_WRITE;
	switch (cmd) {
	case IPC_SET:
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY:
		return sizeof(struct semid_ds);
	case IPC_INFO:
	case SEM_INFO:
		return sizeof(struct seminfo);
	case GETALL:
	case SETALL:
		return SEM_VALUES_MAX;
	}
	return 0;
}

/*
 * What the last argument of a call with commands points to; 0: not known. Read and write: a write makes both
 * possible.
 */
static uint64_t command_size(uint64_t nr, const uint64_t args[6], enum fl_access *access)
{
	switch (nr) {
	case SYS_ioctl:
		return ioctl_size(args[1], access);
	case SYS_fcntl:
		return fcntl_size(args[1], access);
	case SYS_shmctl: /* IPC_SET reads, all others write at most a struct shmid_ds */
		*access = args[1] == 1 ? FL_READ : FL_WRITE;
		return 112;
	case SYS_msgctl:
		*access = args[1] == 1 ? FL_READ : FL_WRITE;
		return 120;
	case SYS_semctl:
		return semctl_size(args[2], access);
	case SYS_mount:
		*access = FL_READ;
		return 1;
	}
	return 0;
}

/* The gap of one argument. */
static bool argument_gap(struct guest_thread *th, uint64_t nr, const struct fl_call_arg *arg, const uint64_t args[6],
			 struct fl_io_gap *gap)
{
	enum fl_access access = arg->dir & FL_ARG_OUT ? FL_WRITE : FL_READ;
	fl_va va = args[arg->index];
	uint64_t n = arg->bytes;
	uint32_t length;

	if (!va)
		return false;
	switch ((enum fl_arg_size)arg->size) {
	case FL_SIZE_FIXED:
		break;
	case FL_SIZE_ARG:
	case FL_SIZE_RESULT:
		if (args[arg->len] > FL_IO_TRANSFER_MAX)
			return false;
		n *= args[arg->len];
		break;
	case FL_SIZE_LENPTR:
		if (fl_io_missing(th, args[arg->len], 4, FL_WRITE, gap))
			return true;
		if (fl_io_copy_in(th, &length, args[arg->len], 4))
			return false;
		n = length;
		break;
	case FL_SIZE_STRING:
		return fl_io_missing_string(th, va, FL_PAGE, gap);
	case FL_SIZE_OPAQUE:
		n = command_size(nr, args, &access);
		break;
	default:
		return false;
	}
	return fl_io_missing(th, va, n, access, gap);
}

struct struct_call {
	uint64_t nr;
	const struct fl_call *call;
	uint64_t args[6];
};

static bool struct_gap(struct guest_thread *th, const void *arg, struct fl_io_gap *gap)
{
	const struct struct_call *c = arg;

	for (unsigned i = 0; i < FL_CALL_ARGS && c->call->args[i].size; i++)
		if (argument_gap(th, c->nr, &c->call->args[i], c->args, gap))
			return true;
	return false;
}

static void report_efault(struct guest_thread *th, const struct struct_call *c)
{
	unsigned mask = fl_call_pointers(c->call);

	for (unsigned i = 0; i < 6; i++)
		if ((mask & 1u << i) && fl_engine_zone(c->args[i])) {
			if (th->g->obs->unknown_efault)
				th->g->obs->unknown_efault(th->g->obs->arg, th, (unsigned)c->nr, c->args);
			return;
		}
}

static void struct_call_init(struct guest_thread *th, struct struct_call *c)
{
	c->nr = fl_regs(th)->orig_rax;
	c->call = fl_call_find(c->nr);
	fl_io_args(th, c->args);
}

void fl_io_struct(struct guest_thread *th)
{
	struct struct_call c;
	struct fl_io_gap gap;
	bool sized = true;
	int64_t result;

	struct_call_init(th, &c);
	if (fl_io_alone(th) && !struct_gap(th, &c, &gap)) {
		for (unsigned i = 0; i < FL_CALL_ARGS && c.call->args[i].size; i++)
			sized = sized && c.call->args[i].size != FL_SIZE_OPAQUE;
		if (sized)
			return;
	}
	/* Drivers may have done their work before they copy out, so what an ioctl is known to touch is there first. */
	if (c.nr == SYS_ioctl) {
		while (struct_gap(th, &c, &gap))
			if (fl_make_resident(th, gap.va, gap.len, gap.access) < gap.len)
				break;
		if (fl_io_gone(th))
			return;
	}
	if (!fl_io_run(th, c.args, struct_gap, &c, &result))
		return;
	if (result == -EFAULT && c.call->args[0].size == FL_SIZE_OPAQUE) {
		enum fl_access access;

		if (!command_size(c.nr, c.args, &access))
			report_efault(th, &c);
	}
}

void fl_io_opaque(struct guest_thread *th)
{
	struct struct_call c;
	int64_t result;

	struct_call_init(th, &c);
	if (fl_run_syscall(th, &result))
		return;
	if (result == -EFAULT)
		report_efault(th, &c);
}

/* ---- Registration ------------------------------------------------------------------------------------ */

/* io_uring would touch engine memory from the kernel's own threads, where nobody can fault it in. */
static void refuse_io_uring(struct guest_thread *th)
{
	if (th->g->obs->refused)
		th->g->obs->refused(th->g->obs->arg, th, "io_uring");
	fl_skip_syscall(th, -ENOSYS);
}

static fl_sys_fn *handler_of(const struct fl_call *call)
{
	switch ((enum fl_call_class)call->class) {
	case FL_CALL_STRUCT:
		return fl_io_struct;
	case FL_CALL_BUFFER:
		return fl_io_buffer;
	case FL_CALL_CONSUMING:
		return fl_io_consuming;
	case FL_CALL_OPAQUE:
	case FL_CALL_UNKNOWN:
		return fl_io_opaque;
	default:
		return NULL;
	}
}

void fl_classes_register(void)
{
	for (unsigned nr = 0; nr < FL_SYS_MAX; nr++) {
		const struct fl_call *call = fl_call_find(nr);
		fl_sys_fn *fn = handler_of(call);

		/* Holes in the table are numbers that Linux never gave out; numbers above it are newer than it. */
		if (call->class == FL_CALL_REFUSED)
			fl_sys_register(nr, FL_SYS_ENOSYS, 0, NULL);
		else if (fn && (call->class != FL_CALL_UNKNOWN || nr >= fl_call_limit()))
			fl_sys_register(nr, call->flags & FL_CALLF_NESTED ? FL_SYS_ALWAYS : FL_SYS_POINTER,
					(uint8_t)(call->class == FL_CALL_UNKNOWN ? 0x3f : fl_call_pointers(call)), fn);
	}
}

void fl_io_register(void)
{
	fl_sys_register(SYS_sendmsg, FL_SYS_ALWAYS, 0, fl_io_sendmsg);
	fl_sys_register(SYS_recvmsg, FL_SYS_ALWAYS, 0, fl_io_recvmsg);
	fl_sys_register(SYS_sendmmsg, FL_SYS_ALWAYS, 0, fl_io_sendmmsg);
	fl_sys_register(SYS_recvmmsg, FL_SYS_ALWAYS, 0, fl_io_recvmmsg);
	fl_sys_register(SYS_restart_syscall, FL_SYS_ALWAYS, 0, fl_io_restart);
	fl_sys_register(SYS_io_uring_setup, FL_SYS_ALWAYS, 0, refuse_io_uring);
}
