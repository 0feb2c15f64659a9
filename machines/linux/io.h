/* SPDX-License-Identifier: MIT */
/*
 * System calls that touch engine memory: what sys_io.c, sys_transfer.c, sys_bounce.c, sys_msg.c, sys_poll.c and
 * carrier.c share.
 *
 *   gap      the first page of what a call touches that the host does not map yet
 *   bounce   host memory of the thread's own, hidden from the guest, in which a call runs when the guest's is missing
 *   segment  a piece of guest memory that a transfer fills or empties
 *
 * No locks: one OS thread, and fibers switch only where something waits. All copies below may wait (killable);
 * afterwards the thread may be gone, which fl_io_gone tells.
 */
#ifndef FAULTLINE_LINUX_IO_H
#define FAULTLINE_LINUX_IO_H

#include "linux/classes.h"
#include "linux/linux.h"

/* What the largest bounce buffer holds besides its headers. No datagram is larger. */
#define FL_IO_BOUNCE_MAX ((uint64_t)1 << 20)
/* UIO_MAXIOV */
#define FL_IO_SEGMENTS 1024
/* No transfer is longer: Linux's MAX_RW_COUNT. */
#define FL_IO_TRANSFER_MAX ((uint64_t)0x7ffff000)

struct fl_io_seg {
	fl_va base;
	uint64_t len;
};

struct fl_io_gap {
	fl_va va;     /* the first missing byte */
	uint64_t len; /* bytes of the range on that page */
	enum fl_access access;
};

static inline bool fl_io_gone(const struct guest_thread *th)
{
	return th->dead || th->dying;
}

/* Copies with the engine's calls, on behalf of a system call. Return the bytes not copied. */
size_t fl_io_copy_in(struct guest_thread *th, void *dst, fl_va src, size_t n);
size_t fl_io_copy_out(struct guest_thread *th, fl_va dst, const void *src, size_t n);

/* Is any byte of [va, va + n) where engine memory can be? */
bool fl_io_engine(fl_va va, uint64_t n);
/* The first page of [va, va + n) that the host lacks for access. False: none. Nothing is faulted in. */
bool fl_io_missing(struct guest_thread *th, fl_va va, uint64_t n, enum fl_access access, struct fl_io_gap *gap);
/* The same for a string of at most max bytes. */
bool fl_io_missing_string(struct guest_thread *th, fl_va va, uint64_t max, struct fl_io_gap *gap);
/* No other thread can change the address space while a call of this one runs. */
static inline bool fl_io_alone(const struct guest_thread *th)
{
	return th->mm->users == 1;
}

/* Put the arguments back to what the guest had set. */
void fl_io_restore(struct guest_thread *th, const uint64_t args[6]);
void fl_io_args(struct guest_thread *th, uint64_t args[6]);

/*
 * A bounce buffer of at least n bytes, zeroed or not; 0: none can be had. It is the same until the thread ends or
 * asks for more.
 */
fl_va fl_io_bounce(struct guest_thread *th, uint64_t n);

/* What lies behind a descriptor of the thread. */
struct fl_io_file {
	bool known;     /* it could be looked at */
	bool stream;    /* pipe or stream socket: an unread byte stays */
	bool consumes;  /* a read that fails to copy has lost data */
	bool regular;   /* a regular file, or one that gives bytes at once */
	bool on_disk;   /* a write to it reads what it is given, from the start on */
	bool opened[2]; /* for reading, for writing */
	uint64_t avail; /* what a read would find now; UINT64_MAX: not known */
	uint64_t size;  /* of a regular file */
};
void fl_io_look(struct guest_thread *th, int fd, struct fl_io_file *file);
/* A duplicate of descriptor fd of the thread in the supervisor, or -1. The caller closes it. */
int fl_io_dup(struct guest_thread *th, int fd);

/*
 * A transfer: data that lies in segments of guest memory, moved by one call or by several that follow each other. The
 * arguments before it has begun are kept, so that a call which has done nothing can be made afresh.
 */
struct fl_io_transfer {
	struct guest_thread *th;
	uint64_t nr;
	uint64_t args[6];
	bool reading;             /* the kernel writes to the segments */
	bool vector;              /* argument 1 points to struct iovec; otherwise to the data */
	uint8_t buf_arg, len_arg; /* not vector: where pointer and length stand; vector: iovec and count */
	int8_t offset_arg;        /* file offset; -1: none */
	fl_va array;              /* vector: where the guest's iovec lies */
	struct fl_io_gap extra;   /* something else that the call reads first: an address; len 0: none */
	struct fl_io_seg *seg;
	unsigned nseg;
	uint64_t total, done;
};

/* The first gap in bytes [from, to) of the segments. */
bool fl_io_segment_gap(const struct fl_io_transfer *x, uint64_t from, uint64_t to, struct fl_io_gap *gap);
/* Copy n bytes at data to the segments, from byte `from` on. Returns how many were copied. */
uint64_t fl_io_scatter(const struct fl_io_transfer *x, uint64_t from, const uint8_t *data, uint64_t n);
/* Read n struct iovec at va into seg, cut at FL_IO_TRANSFER_MAX in all. 0, or -FL_EFAULT or -FL_EINVAL. */
int fl_io_read_iovec(struct guest_thread *th, fl_va va, uint64_t n, struct fl_io_seg *seg, uint64_t *total);
/* Host memory between the supervisor and the bounce buffer. False: it is gone. */
bool fl_io_bounce_read(struct guest_thread *th, void *dst, fl_va src, uint64_t n);
bool fl_io_bounce_write(struct guest_thread *th, fl_va dst, const void *src, uint64_t n);
/* Run a read on a bounce buffer (sys_bounce.c). */
void fl_io_bounced_read(struct fl_io_transfer *x);

/*
 * The userfaultfd behind a descriptor of the thread (carrier.c), or NULL. Fast for processes that cannot have one.
 * nonblock: how it was opened, or what fcntl has made of that.
 */
struct fl_uffd *fl_carrier_of(struct guest_thread *th, int fd, bool *nonblock);
/* Is it one that polls POLLERR: before its handshake, or in blocking mode? */
bool fl_carrier_polls_error(struct guest_thread *th, int fd);
/* The same for a pipe by its inode, as epoll's fdinfo names it; fd: the descriptor that was registered. */
bool fl_carrier_is_inode(struct guest *g, uint64_t ino);
/*
 * The process gets descriptors from another, among which one may be: watch it from now on. At the stop before the
 * call; and, if the guest had none then, at its end.
 */
void fl_carrier_received(struct guest_thread *th);
/* Any in the guest that this process may have? */
static inline bool fl_carrier_any(const struct guest_thread *th)
{
	return th->g->carriers && th->proc->may_have_uffd;
}

/* The place in the bounce buffer of what one argument points to. */
struct fl_io_slot {
	const struct fl_call_arg *arg;
	fl_va va;        /* the guest's pointer */
	uint64_t size;   /* bytes in the bounce buffer */
	uint64_t offset; /* where */
	bool is_length;  /* the length of a LENPTR argument, 4 bytes in and out */
};

#define FL_IO_SLOTS (2 * FL_CALL_ARGS)
#define FL_IO_EXTRA 32u

/* A call on a bounce buffer. The caller sets th, and prepare and finish if he changes what goes in or comes out. */
struct fl_io_bounced {
	struct guest_thread *th;
	/*
	 * The slots are filled; `before` may be changed, and arguments that are no pointers be set. With it all
	 * pointers are bounced.
	 */
	void (*prepare)(struct fl_io_bounced *b);
	/* The call has returned result; `after` may be changed. Returns what the guest shall see. */
	int64_t (*finish)(struct fl_io_bounced *b, uint8_t *after, int64_t result);
	const void *data; /* theirs */
	uint64_t nr;
	const struct fl_call *call;
	uint64_t args[6]; /* as the guest gave them */
	struct fl_io_slot slots[FL_IO_SLOTS];
	unsigned nslots;
	uint64_t bytes, extra; /* extra: offset of FL_IO_EXTRA bytes for prepare */
	uint8_t *before;       /* what was put into the buffer */
	fl_va bounce;
};
void fl_io_run_bounced(struct fl_io_bounced *b);

/* Handlers by class. */
void fl_io_struct(struct guest_thread *th);    /* sys_io.c */
void fl_io_opaque(struct guest_thread *th);    /* sys_io.c */
void fl_io_consuming(struct guest_thread *th); /* sys_bounce.c */
void fl_io_buffer(struct guest_thread *th);    /* sys_transfer.c */
void fl_io_restart(struct guest_thread *th);   /* sys_bounce.c: restart_syscall(2) */
void fl_io_sendmsg(struct guest_thread *th);   /* sys_msg.c */
void fl_io_recvmsg(struct guest_thread *th);   /* sys_msg.c */
void fl_io_sendmmsg(struct guest_thread *th);  /* sys_msg.c */
void fl_io_recvmmsg(struct guest_thread *th);  /* sys_msg.c */

/*
 * A call that fails with EFAULT before it has done anything: run it, fill the gap that next_gap finds, run it again.
 * Leaves the thread at the call's end with its last result in *result; returns false when the handler has nothing
 * left to do.
 */
typedef bool fl_io_gap_fn(struct guest_thread *th, const void *arg, struct fl_io_gap *gap);
bool fl_io_run(struct guest_thread *th, const uint64_t args[6], fl_io_gap_fn *next_gap, const void *arg,
	       int64_t *result);

#endif
