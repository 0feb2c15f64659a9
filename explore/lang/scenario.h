/* SPDX-License-Identifier: MIT */
/*
 * A scenario as a tree: what the parser makes, and what the executors (on the engine, on the running kernel) and the
 * formatter read. docs/scenarios.md is the manual of the language.
 *
 *   question   the comment that opens the file
 *   setting    arch, frames, memory model, ...: before everything else
 *   setup      statements outside of threads: done in order, before the threads begin
 *   thread     a name, the process it lives in, and statements
 *   property   always, sometimes, never: an expression over what is there at the end
 *
 *   turn       `T: statement` outside of threads: the next statement of thread T. The order of all statements of threads
 *              in the text is kept, for `faultline diff`, which does them in that order
 *
 * Every node knows its place in the text. All of it is owned by the scenario and immutable after parsing.
 * Kinds of statements are rows of a table (op.c): the parser, --help and both executors' messages use it.
 *
 * No locks: one thread.
 */
#ifndef FL_SCENARIO_H
#define FL_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faultline/explore.h"

struct fl_place {
	unsigned line, column; /* from 1 */
};

/* Kinds of mappings; what the engine does not have yet is refused by the executor by name, not by the parser. */
enum fl_sc_memory {
	FL_SC_ANON,
	FL_SC_SHMEM,
	FL_SC_HUGETLB,
	FL_SC_FILE
};

/*
 * map NAME [anon|shmem|hugetlb|file] [private|shared] [pages=N] [prot=rwx|none] [at=PAGE] [noreserve] [stack] [locked]
 * place NAME [pages=N] [at=PAGE]: a name for addresses; nothing is mapped there by it, and it may lie over mappings.
 * Mappings are placed by the scenario, page numbers within a window of 4096 pages; without at=, each at a page of its own
 * with a free page to both sides, all near enough to share a page table; a stack has 512 free pages below.
 * at= lets mappings touch (and merge), and puts them far (another page table: at=512).
 */
struct fl_sc_map {
	char *name;
	struct fl_place place;
	enum fl_sc_memory memory;
	bool shared, noreserve, stack, locked;
	bool hole;      /* made by `place` */
	int prot;       /* FL_PROT_* */
	uint64_t page;  /* where, in pages from the window's start */
	uint64_t pages; /* how long */
};

/* Userfaultfds, processes and shared variables are known by name; `uffd U` and `fork C` and `var x` declare. */
struct fl_sc_name {
	char *name;
	struct fl_place place;
};

/* Names that statements bind: `r0 = load A`. A binding in a loop keeps the last. Messages have NAME.event, ... */
enum fl_sc_result_type {
	FL_SC_NUMBER,
	FL_SC_MESSAGE
};
struct fl_sc_result {
	char *name;
	struct fl_place place;
	enum fl_sc_result_type type;
	unsigned thread; /* who binds it; FL_SC_SETUP: setup */
};
#define FL_SC_SETUP UINT32_MAX

/*
 * A value is a number of 64 bits. Errors are negative: -errno. What else can happen to an access or a wait has a number
 * here, outside of both. In the text: EEXIST, MAPERR, ...
 */
enum fl_sc_value {
	FL_SC_MAPERR = -1001,      /* SIGSEGV, SEGV_MAPERR */
	FL_SC_ACCERR = -1002,      /* SIGSEGV, SEGV_ACCERR */
	FL_SC_BUS = -1003,         /* SIGBUS, BUS_ADRERR */
	FL_SC_POISON = -1004,      /* SIGBUS, BUS_MCEERR_AR */
	FL_SC_TAG = -1005,         /* SIGSEGV, a tag mismatch */
	FL_SC_INTERRUPTED = -1006, /* a signal ended the wait */
	FL_SC_NOMEM = -1007,       /* the OOM killer's moment */
	FL_SC_UNSET = -1100,       /* the statement was not reached, or has not ended */
};
/* The name of a negative value ("EEXIST", "MAPERR"), or NULL. And back: false if there is no such name. */
const char *fl_sc_value_name(int64_t value);
bool fl_sc_value_by_name(const char *name, int64_t *value);

/* Expressions */
enum fl_sc_expr_kind {
	FL_SC_E_NUMBER,  /* 12, 0x12, EEXIST, PAGEFAULT; a thread's name: its number, as m.thread has it */
	FL_SC_E_ADDRESS, /* A, A[1], A+8: number is the address, in bytes from the window's start, as m.address has it */
	FL_SC_E_RESULT,  /* r0, m.address (field); a message's bare name is its event */
	FL_SC_E_VAR,     /* a shared variable */
	FL_SC_E_MEMORY,  /* [A+8], [A[1]]: what is in memory at the end (properties only), as `process` sees it */
	FL_SC_E_COUNT,   /* faults(T), retries(T), messages(U), resident(A), vmas, tables, frames: properties only */
	FL_SC_E_BLOCKED, /* blocked(T): properties only */
	FL_SC_E_NOT,
	FL_SC_E_NEG,
	FL_SC_E_BINARY,
	FL_SC_E_IN, /* a in { b, c, ... } */
};
enum fl_sc_binary {
	FL_SC_OR,
	FL_SC_AND,
	FL_SC_EQ,
	FL_SC_NE,
	FL_SC_LT,
	FL_SC_LE,
	FL_SC_GT,
	FL_SC_GE,
	FL_SC_PLUS,
	FL_SC_MINUS,
	FL_SC_TIMES,
	FL_SC_BITAND,
	FL_SC_IMPLIES, /* "implies", binds loosest */
};
/* Of a message. Addresses are in bytes from the window's start, so that they mean the same wherever the window lies. */
enum fl_sc_field {
	FL_SC_F_NONE,
	FL_SC_F_EVENT,   /* PAGEFAULT, ...; or the error that read gave, and then all others are UNSET */
	FL_SC_F_ADDRESS, /* of the fault; where what is remapped, removed or unmapped begins */
	FL_SC_F_END,     /* REMOVE, UNMAP: where it ends; REMAP: where it is now */
	FL_SC_F_FLAGS,   /* PAGEFAULT: WRITE, WP, MINOR */
	FL_SC_F_THREAD   /* PAGEFAULT with feature thread_id: the thread's index in `thread` */
};
enum fl_sc_count {
	FL_SC_C_FAULTS,
	FL_SC_C_RETRIES,
	FL_SC_C_MESSAGES,
	FL_SC_C_RESIDENT,
	FL_SC_C_VMAS,
	FL_SC_C_TABLES,
	FL_SC_C_FRAMES,
};

/* A piece of a mapping: A, A+8, A[1], A[1]+8, A[1:3] (pages 1 and 2). Without a length the statement decides. */
enum fl_sc_base {
	FL_SC_BASE_MAP,    /* a mapping or place */
	FL_SC_BASE_RESULT, /* p, p+8, p[1:2]: what a statement gave that chose an address (diff only) */
	FL_SC_BASE_NUMBER, /* 0x7ffffffff000: an address itself; offset (diff only) */
};
struct fl_sc_range {
	struct fl_place place;
	enum fl_sc_base base;
	unsigned map;    /* BASE_MAP */
	unsigned result; /* BASE_RESULT: index into results */
	uint64_t
		offset; /* bytes from the mapping's start; negative (two's complement) for A-8, which a `stack` may say */
	/* bytes; 0: none was said: one page for page operations, or the whole mapping if only its name was said */
	uint64_t length;
	bool whole; /* only the mapping's name was said */
};

struct fl_sc_expr {
	enum fl_sc_expr_kind kind;
	struct fl_place place;
	int64_t number;
	bool symbol; /* a NUMBER that was written as a name */
	unsigned
		index; /* of the result, variable, thread, userfaultfd; resident, vmas, tables: the process, as below */
	enum fl_sc_field field;
	enum fl_sc_count count;
	enum fl_sc_binary binary;
	unsigned process;         /* MEMORY: 0 main, else 1 + index of the forked one */
	struct fl_sc_range range; /* MEMORY, COUNT of a mapping */
	unsigned size;            /* MEMORY: bytes */
	struct fl_sc_expr *left, *right;
	struct fl_sc_expr **member; /* IN */
	size_t members;
	unsigned height; /* levels below, at most 60: who walks the tree needs little stack */
};

/*
 * Values are written as words of 8 bytes: `fill=0x11` makes every word of the page 0x11, so that load gives it back.
 *
 * Statements. Args in brackets may be left out. L is a location (a range without length), R a range, U a userfaultfd.
 * fl_sc_op_usage has this text for messages.
 */
/* What `limit maps` limits; the others are RLIMIT_*. */
#define FL_SC_LIMIT_MAPS 0x100u

enum fl_sc_op {
	FL_SC_MAP, /* map NAME ...: range.map, all of it. Setup only. (place and var are no statements: they only declare) */
	/* accesses by the program itself, within a page; size 8 unless said; results: the value (add: the old one), 0, or why not */
	FL_SC_LOAD,  /* load L [size=N] */
	FL_SC_STORE, /* store L VALUE [size=N] */
	FL_SC_ADD,   /* add L VALUE [size=4|8] */
	FL_SC_FETCH, /* fetch L: execute there */
	/* copies on the program's behalf by the kernel (a system call's argument) */
	FL_SC_COPYIN,  /* copyin L [size=N]: the value, or EFAULT */
	FL_SC_COPYOUT, /* copyout L VALUE [size=N]: 0 or EFAULT */
	/* memory calls: 0 or an error */
	FL_SC_MMAP,     /* mmap R [prot=] [fixed|noreplace] [noreserve]: map (again) where R is; fixed unless said */
	FL_SC_MUNMAP,   /* munmap R */
	FL_SC_MPROTECT, /* mprotect R prot= */
	FL_SC_MADVISE,  /* madvise R ADVICE, or `ADVICE R`: dontneed, free, populate_read, ... as in madvise(2) */
	FL_SC_MREMAP, /* mremap R [to L] [pages=N] [dontunmap]: one of to and pages= (or newbytes=, bytes=, maymove, flags=) */
	FL_SC_MLOCK,   /* mlock R [onfault] */
	FL_SC_MUNLOCK, /* munlock R */
	FL_SC_MINCORE, /* mincore L: 1 if the page is there, else 0 */
	FL_SC_BRK,     /* brk +N|-N pages: 0 or ENOMEM */
	FL_SC_FORK,    /* fork C: 0 or an error; threads `in C` begin */
	FL_SC_EXIT,    /* exit: this thread ends here; the last one of a process takes the address space with it */
	/* userfaultfd */
	/* uffd U [features=a,b] [nonblock] [user_only] [missing|wp|minor... R]: create, handshake, register. Setup only */
	FL_SC_UFFD,
	FL_SC_REGISTER,     /* register U missing|wp|minor... R */
	FL_SC_UNREGISTER,   /* unregister U R */
	FL_SC_COPY,         /* copy U R fill=VALUE|from=L [dontwake] [wp]: 0 or an error (EAGAIN after some progress) */
	FL_SC_ZEROPAGE,     /* zeropage U R [dontwake] */
	FL_SC_WAKE,         /* wake U R */
	FL_SC_CONTINUE,     /* continue U R [dontwake] [wp] */
	FL_SC_POISONPAGE,   /* poison U R [dontwake] */
	FL_SC_WRITEPROTECT, /* writeprotect U R on|off [dontwake] */
	FL_SC_MOVE,         /* move U R from=L [dontwake] [holes] */
	FL_SC_READ,         /* m = read U [nonblock]: a message, or an error in m.event */
	FL_SC_POLL,         /* poll U: POLLIN, POLLERR or 0 */
	FL_SC_WAIT,         /* wait U: until poll would say POLLIN; takes nothing */
	FL_SC_CLOSE,        /* close U */
	/* between threads */
	FL_SC_SIGNAL, /* signal T [fatal] */
	FL_SC_SET,    /* set x EXPR: a shared variable (seq_cst) */
	FL_SC_GET,    /* get x */
	FL_SC_AWAIT,  /* await EXPR over variables: until it holds */
	FL_SC_YIELD,  /* yield */
	/*
	 * For programs that `faultline diff` compares; the explorer and --host refuse them by name. As the system calls of the same
	 * name: what they give is an error, 0, a count, or an address (in bytes from the window's start).
	 * bytes=N gives a range any length, also one that is no multiple of a page, 0, or near 2^64; flags=N are
	 * more flags, by number; prot=N, modes=N, features=N, advice N too.
	 */
	FL_SC_MMAP_ANY, /* p = mmap any pages=N|bytes=N [prot=] [hint=L] [noreserve] [stack] [locked] [populate] [shared] [flags=N] */
	FL_SC_MSYNC,      /* msync R [flags=N] */
	FL_SC_MLOCKALL,   /* mlockall flags=N */
	FL_SC_MUNLOCKALL, /* munlockall */
	FL_SC_SYSWRITE, /* n = syswrite R: a write(2) whose buffer is R, to a memory file: bytes that were copied, or EFAULT */
	FL_SC_SYSREAD, /* n = sysread R fill=VALUE: a read(2) into R */
	/* limit as|data +N; limit memlock|stack N: in pages; as and data: more than now. limit maps +N: more mappings than now. off */
	FL_SC_LIMIT,
	FL_SC_OPEN,  /* e = open U [nonblock] [user_only] [flags=N]: userfaultfd(2) alone, no handshake */
	FL_SC_API,   /* e = api U [features=a,b|N] [api=N]: UFFDIO_API */
	FL_SC_IOCTL, /* e = ioctl U cmd=N [arg=L]: any number; arg: the structure lies there, zeros else */
	/* control */
	FL_SC_IF,     /* if EXPR { ... } [else { ... }] */
	FL_SC_REPEAT, /* repeat N { ... } */
	FL_SC_RETRY,  /* retry N { ... } while EXPR: at most N times, yielding between */
	FL_SC_CHECK,  /* check EXPR: must hold here */
	FL_SC_OPS,
};

struct fl_sc_statement {
	enum fl_sc_op op;
	struct fl_place place;
	char *text; /* as written, in one line; of a block: its head */
	int result; /* index into results, or -1 */
	struct fl_sc_range range;
	struct fl_sc_range other; /* from=, to */
	bool has_other;
	unsigned object;          /* userfaultfd, process (FORK: index), thread (SIGNAL), variable (SET, GET) */
	struct fl_sc_expr *value; /* what to store, add, fill with; SET's */
	unsigned size;            /* bytes of an access */
	int prot;                 /* FL_PROT_* */
	int advice;               /* FL_MADV_* */
	uint64_t modes;           /* FL_UFFDIO_REGISTER_MODE_*; WRITEPROTECT: 1 on */
	uint64_t features;        /* UFFD */
	int64_t pages;            /* MREMAP: new length, 0: the old; BRK */
	bool nonblock, dontwake, wp, fatal, noreplace, noreserve, onfault, dontunmap, holes, user_only;
	/* programs for diff */
	uint64_t bytes;          /* of range, if has_bytes */
	uint64_t newbytes;       /* MREMAP: the new length, if has_newbytes */
	uint64_t flags;          /* more flags, or the mode of an ioctl */
	uint64_t api;            /* API: FL_UFFD_API unless said */
	uint64_t cmd;            /* IOCTL */
	unsigned limit;          /* LIMIT: RLIMIT_* or FL_SC_LIMIT_MAPS; pages: N, or -1: off */
	struct fl_sc_range into; /* mincore, read: where the kernel writes; arg= of ioctls: where the structure lies */
	bool has_bytes, has_newbytes, has_flags, has_into, hint, maymove, populate, stack, locked, shared;
	/* `hint`: of MMAP: the range is where it would be nice; of MMAP_ANY: `hint=L` is in `other` */
	unsigned times; /* REPEAT, RETRY */
	struct fl_sc_expr *condition;
	struct fl_sc_statement *body, *orelse; /* arrays */
	size_t bodies, orelses;
};

struct fl_sc_thread {
	char *name;
	struct fl_place place;
	unsigned process; /* 0: main; else 1 + index into processes */
	bool may_block;   /* `thread T may block { ... }` */
	struct fl_sc_statement *body;
	size_t bodies;
};

struct fl_sc_turn {
	unsigned thread, statement; /* thread[].body[] */
};

enum fl_sc_when {
	FL_SC_ALWAYS,
	FL_SC_SOMETIMES,
	FL_SC_NEVER,
	FL_SC_ODDITY, /* the running kernel may end so, and the engine never */
};
/* As written: "always". */
const char *fl_sc_when_name(enum fl_sc_when when);
struct fl_sc_property {
	enum fl_sc_when when;
	struct fl_place place;
	char *text; /* the expression as written */
	struct fl_sc_expr *expr;
};

struct fl_scenario {
	char *path; /* for messages */
	char *text; /* the whole file */
	char *question;
	uint64_t hash; /* of what it means: of the tree as formatted without comments */
	/* settings */
	const char *arch; /* "x86-64" unless said */
	bool full_tables; /* `geometry full`: the architecture's own page tables; else small ones of 16 entries and 3 levels */
	const char *kernel;            /* profile; "6.18" */
	const char *policy;            /* of sub-page faults; "none" */
	unsigned frames;               /* 64 unless said */
	enum fl_explore_memory memory; /* `memory tso`: explore it so unless told otherwise */
	int preemptions;               /* `bound preemptions=N`: what CI explores it to; -1: all */
	uint64_t schedules;            /* `bound schedules=N`; 0: all */
	uint32_t events;      /* `bound events=N`: a longer run goes on under a fair scheduler; 0: the default */
	uint32_t allow;       /* `allow deadlock,leak`: bits 1 << enum fl_explore_kind; these are no findings */
	unsigned alloc_fails; /* `inject alloc=N`: so many allocations of a run fail, each in turn */
	bool unprivileged;    /* `unprivileged`: without root's capabilities (diff only) */
	bool engine_only;     /* `engine only`: the running kernel cannot be asked (why: a comment) */
	/* names */
	struct fl_sc_map *map;
	struct fl_sc_name *uffd, *process, *variable; /* processes: those made by fork */
	struct fl_sc_result *result;
	size_t maps, uffds, processes, variables, results;
	int64_t *initial; /* of the variables: `var x = 0` */
	/* what happens: in order */
	struct fl_sc_statement *setup;
	struct fl_sc_thread *thread;
	struct fl_sc_property *property;
	size_t setups, threads, properties;
	/* all outermost statements of threads in the order of the text */
	struct fl_sc_turn *turn;
	size_t turns;
};

/*
 * Parse text (path is for messages). NULL: an error, and *error is "path:line:column: expected ..., found ..." with the
 * line and a caret below, to free; or *error NULL: out of memory.
 */
struct fl_scenario *fl_scenario_parse(const char *path, const char *text, char **error);
struct fl_scenario *fl_scenario_read(const char *path, char **error);
void fl_scenario_free(struct fl_scenario *s);
/* The text in its one layout, comments kept; to free. Formatting twice changes nothing more. NULL: out of memory. */
char *fl_scenario_format(const struct fl_scenario *s);
/*
 * What in it only `faultline diff` runs, in words ("`mmap any`", "`bytes=`", "a place that a result names"), and where: the
 * first there is; line 0 if it is a setting. NULL: nothing.
 */
const char *fl_sc_only_diff(const struct fl_scenario *s, struct fl_place *place);
/* Names of ops as written: "load"; for messages. How they are written, and what they do: a line each, for help. */
const char *fl_sc_op_name(enum fl_sc_op op);
const char *fl_sc_op_usage(enum fl_sc_op op);
const char *fl_sc_op_help(enum fl_sc_op op);
/* Where a location is, in bytes from the window's start. Its base is a mapping. */
uint64_t fl_sc_address(const struct fl_scenario *s, const struct fl_sc_range *range);

/*
 * Evaluate. The context answers for names. and, or, implies and in look no further than they must. Logic has two
 * values: 0 and FL_SC_UNSET are false. FL_SC_UNSET equals nothing but itself, is not less or greater than anything, and
 * makes arithmetic FL_SC_UNSET.
 */
struct fl_sc_context {
	void *arg;
	int64_t (*result)(void *arg, unsigned index, enum fl_sc_field field);
	int64_t (*variable)(void *arg, unsigned index);
	int64_t (*memory)(void *arg, unsigned process, const struct fl_sc_range *range, unsigned size);
	int64_t (*count)(void *arg, enum fl_sc_count count, unsigned index, const struct fl_sc_range *range);
	bool (*blocked)(void *arg, unsigned thread);
};
int64_t fl_sc_evaluate(const struct fl_sc_expr *e, const struct fl_sc_context *context);
static inline bool fl_sc_holds(const struct fl_sc_expr *e, const struct fl_sc_context *context)
{
	int64_t value = fl_sc_evaluate(e, context);

	return value && value != FL_SC_UNSET;
}

#endif
