/* SPDX-License-Identifier: MIT */
/*
 * What the machine knows about each x86-64 system call: its class, and which of its arguments point to user memory.
 * One table, from which come the seccomp filter's pointer rules, the restarts, the bounce buffers and docs/syscalls.md.
 *
 *   class     how a call is treated when a page that it touches is missing in the host
 *   restart   run it again after the page is there; only for calls that fail before they have done anything
 *   bounce    run it on host memory, then copy with the engine's own copy; for calls that have done their work when
 *             the copy fails
 *
 * Arguments stand in the order in which the kernel touches them: pages are faulted in in that order, and
 * so none is that Linux would not fault in. Constant; no lock.
 */
#ifndef FAULTLINE_LINUX_CLASSES_H
#define FAULTLINE_LINUX_CLASSES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum fl_call_class {
	FL_CALL_UNKNOWN,   /* a number without a line in the table: as OPAQUE, with any argument a pointer */
	FL_CALL_NATIVE,    /* no pointer to user memory */
	FL_CALL_BUFFER,    /* restartable: a transfer that can be continued after the bytes already done */
	FL_CALL_STRUCT,    /* restartable: fails with EFAULT before it has changed anything */
	FL_CALL_CONSUMING, /* through a bounce buffer */
	FL_CALL_SERVED,    /* the supervisor answers it, or looks at it always */
	FL_CALL_OPAQUE,    /* runs natively; EFAULT with a pointer into engine memory is reported by name */
	FL_CALL_REFUSED,   /* always answered with the error in `refusal` */
};

enum fl_arg_dir {
	FL_ARG_IN = 1,  /* the kernel reads it */
	FL_ARG_OUT = 2, /* the kernel writes it */
	FL_ARG_INOUT = 3,
};

/* How large what an argument points to is. */
enum fl_arg_size {
	FL_SIZE_NONE,   /* no further argument */
	FL_SIZE_FIXED,  /* `bytes` */
	FL_SIZE_ARG,    /* argument `len` times `bytes` */
	FL_SIZE_RESULT, /* at most argument `len` times `bytes`; what is written is the result times `bytes` */
	FL_SIZE_LENPTR, /* argument `len` points to a 32-bit length, in and out */
	FL_SIZE_FDSET,  /* a bit for each descriptor below argument 0, in whole 8-byte words */
	FL_SIZE_STRING, /* up to a NUL */
	FL_SIZE_VECTOR, /* pointers to strings, up to a NULL */
	FL_SIZE_IOVEC,  /* `len` says how many struct iovec, which point to the data */
	FL_SIZE_MSGHDR, /* a struct msghdr, which points to name, iovec and control */
	FL_SIZE_OPAQUE, /* the kernel alone knows */
};

struct fl_call_arg {
	uint8_t index; /* 0 to 5 */
	uint8_t dir;   /* enum fl_arg_dir */
	uint8_t size;  /* enum fl_arg_size */
	uint8_t len;   /* the argument that holds the length */
	uint16_t bytes;
};

#define FL_CALL_ARGS 5

/*
 * Must be looked at wherever the pointers lie: what they point to holds pointers in turn, or signals that must not be
 * blocked.
 */
#define FL_CALLF_NESTED 1u
/* What is in the arguments is written back also when the call fails. */
#define FL_CALLF_ALWAYS_OUT 2u

struct fl_call {
	const char *name; /* NULL: no such call */
	uint8_t class;    /* enum fl_call_class */
	uint8_t flags;    /* FL_CALLF_* */
	uint8_t refusal;  /* errno of a REFUSED call */
	struct fl_call_arg args[FL_CALL_ARGS];
};

/* One above the largest number in the table. */
unsigned fl_call_limit(void);
/* The entry of number nr; for a number without one, an entry of class UNKNOWN with the name "unknown". Never NULL. */
const struct fl_call *fl_call_find(uint64_t nr);
/* Which arguments are pointers to user memory: bit n for argument n. */
unsigned fl_call_pointers(const struct fl_call *call);
const char *fl_call_class_name(enum fl_call_class class);
/* docs/syscalls.md. */
void fl_call_write_doc(FILE *out);

#endif
