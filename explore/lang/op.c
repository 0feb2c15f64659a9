/* SPDX-License-Identifier: MIT */
/*
 * The kinds of statements: one row each. A new operation of the engine is a row here, a case in each executor, and a
 * row in docs/scenarios.md.
 *
 * No locks: constants.
 */
#include "explore/lang/lang.h"

#define FILL (FL_SC_O_FILL | FL_SC_O_FROM)
#define NUMBER FL_SC_GIVES_NUMBER, 0
#define NOTHING FL_SC_GIVES_NOTHING, 0

const struct fl_sc_op_row fl_sc_op_rows[FL_SC_OPS] = {
	[FL_SC_MAP] = {"map", "", 0, 0, FL_SC_GIVES_NOTHING, FL_SC_ROW_SETUP,
		       "map NAME [anon|shmem|hugetlb|file] [private|shared] [pages=N] [prot=rwx] [at=PAGE] [noreserve] "
		       "[stack] [locked]",
		       "map memory, and name it"},
	/* accesses */
	[FL_SC_LOAD] = {"load", "L", FL_SC_O_SIZE, 0, NUMBER, "load L [size=N]",
			"read memory: the value, or the signal"},
	[FL_SC_STORE] = {"store", "LV", FL_SC_O_SIZE, 0, NUMBER, "store L VALUE [size=N]",
			 "write memory: 0, or the signal"},
	[FL_SC_ADD] = {"add", "LV", FL_SC_O_SIZE, 0, NUMBER, "add L VALUE [size=4|8]",
		       "add atomically: what was there, or the signal"},
	[FL_SC_FETCH] = {"fetch", "L", 0, 0, NUMBER, "fetch L", "fetch an instruction there: 0, or the signal"},
	[FL_SC_COPYIN] = {"copyin", "L", FL_SC_O_SIZE, 0, NUMBER, "copyin L [size=N]",
			  "a system call reads there: the value, or EFAULT"},
	[FL_SC_COPYOUT] = {"copyout", "LV", FL_SC_O_SIZE, 0, NUMBER, "copyout L VALUE [size=N]",
			   "a system call writes there: 0, or EFAULT"},
	/* memory calls */
	[FL_SC_MMAP] = {"mmap", "R", FL_SC_O_PROT | FL_SC_O_FIXED | FL_SC_O_NOREPLACE | FL_SC_O_NORESERVE, 0, NUMBER,
			"mmap R [prot=rwx] [fixed|noreplace] [noreserve]", "map there: 0 or an error"},
	[FL_SC_MUNMAP] = {"munmap", "R", 0, 0, NUMBER, "munmap R", "unmap: 0 or an error"},
	[FL_SC_MPROTECT] = {"mprotect", "R", FL_SC_O_PROT, FL_SC_O_PROT, NUMBER, "mprotect R prot=rwx",
			    "change the protection: 0 or an error"},
	[FL_SC_MADVISE] = {"madvise", "RA", 0, 0, NUMBER, "madvise R ADVICE", "or `ADVICE R`: 0 or an error"},
	[FL_SC_MREMAP] = {"mremap", "R>", FL_SC_O_PAGES | FL_SC_O_DONTUNMAP, 0, NUMBER,
			  "mremap R [to L] [pages=N] [dontunmap]", "move a mapping, resize it, or both: 0 or an error"},
	[FL_SC_MLOCK] = {"mlock", "R", FL_SC_O_ONFAULT, 0, NUMBER, "mlock R [onfault]", "0 or an error"},
	[FL_SC_MUNLOCK] = {"munlock", "R", 0, 0, NUMBER, "munlock R", "0 or an error"},
	[FL_SC_MINCORE] = {"mincore", "L", 0, 0, NUMBER, "mincore L", "1 if the page is there, 0 if not, or an error"},
	[FL_SC_BRK] = {"brk", "N", 0, 0, NUMBER, "brk +N|-N", "move the break by N pages: 0 or ENOMEM"},
	[FL_SC_FORK] = {"fork", "C", 0, 0, NUMBER, "fork C", "0 or an error; threads `in C` begin"},
	[FL_SC_EXIT] = {"exit", "", 0, 0, FL_SC_GIVES_NOTHING, FL_SC_ROW_THREAD, "exit",
			"the thread ends; with a process's last thread goes its memory"},
	/* userfaultfd */
	[FL_SC_UFFD] = {"uffd", "D", FL_SC_O_FEATURES | FL_SC_O_NONBLOCK | FL_SC_O_USER_ONLY | FL_SC_O_MODES, 0,
			FL_SC_GIVES_NOTHING, FL_SC_ROW_SETUP,
			"uffd U [features=a,b] [nonblock] [user_only] [missing|wp|minor... R]",
			"open a userfaultfd, name it, and register"},
	[FL_SC_REGISTER] = {"register", "UMR", 0, 0, NUMBER, "register U missing|wp|minor... R", "0 or an error"},
	[FL_SC_UNREGISTER] = {"unregister", "UR", 0, 0, NUMBER, "unregister U R", "0 or an error"},
	[FL_SC_COPY] = {"copy", "UR", FILL | FL_SC_O_DONTWAKE | FL_SC_O_WP, FILL, NUMBER,
			"copy U R fill=VALUE|from=L [dontwake] [wp]", "fill pages: 0 or an error"},
	[FL_SC_ZEROPAGE] = {"zeropage", "UR", FL_SC_O_DONTWAKE, 0, NUMBER, "zeropage U R [dontwake]",
			    "fill pages with zeros: 0 or an error"},
	[FL_SC_WAKE] = {"wake", "UR", 0, 0, NUMBER, "wake U R", "0 or an error"},
	[FL_SC_CONTINUE] = {"continue", "UR", FL_SC_O_DONTWAKE | FL_SC_O_WP, 0, NUMBER, "continue U R [dontwake] [wp]",
			    "map what the file has: 0 or an error"},
	[FL_SC_POISONPAGE] = {"poison", "UR", FL_SC_O_DONTWAKE, 0, NUMBER, "poison U R [dontwake]",
			      "accesses end in SIGBUS from now on: 0 or an error"},
	[FL_SC_WRITEPROTECT] = {"writeprotect", "URO", FL_SC_O_DONTWAKE, 0, NUMBER,
				"writeprotect U R on|off [dontwake]", "0 or an error"},
	[FL_SC_MOVE] = {"move", "UR", FL_SC_O_FROM | FL_SC_O_DONTWAKE | FL_SC_O_HOLES, FL_SC_O_FROM, NUMBER,
			"move U R from=L [dontwake] [holes]", "move pages: 0 or an error"},
	[FL_SC_READ] = {"read", "U", FL_SC_O_NONBLOCK, 0, FL_SC_GIVES_MESSAGE, 0, "read U [nonblock]",
			"take a message; m.event is an error if there is none"},
	[FL_SC_POLL] = {"poll", "U", 0, 0, NUMBER, "poll U", "POLLIN, POLLERR or 0"},
	[FL_SC_WAIT] = {"wait", "U", 0, 0, FL_SC_GIVES_NUMBER, FL_SC_ROW_THREAD, "wait U",
			"sleep until there is a message, and take nothing: 0, INTERRUPTED or EBADF"},
	[FL_SC_CLOSE] = {"close", "U", 0, 0, NUMBER, "close U", "close it: 0, or EBADF"},
	/* between threads */
	[FL_SC_SIGNAL] = {"signal", "T", FL_SC_O_FATAL, 0, FL_SC_GIVES_NOTHING, FL_SC_ROW_THREAD, "signal T [fatal]",
			  "send a thread a signal"},
	[FL_SC_SET] = {"set", "XV", 0, 0, NOTHING, "set x VALUE", "a shared variable becomes VALUE"},
	[FL_SC_GET] = {"get", "X", 0, 0, NUMBER, "get x", "what is in a shared variable"},
	[FL_SC_AWAIT] = {"await", "E", 0, 0, FL_SC_GIVES_NOTHING, FL_SC_ROW_THREAD, "await EXPR",
			 "until it holds, over shared variables"},
	[FL_SC_YIELD] = {"yield", "", 0, 0, FL_SC_GIVES_NOTHING, FL_SC_ROW_THREAD, "yield", "let others go first"},
	/* programs for diff */
	[FL_SC_MMAP_ANY] = {"mmap_any", "", 0, 0, NUMBER,
			    "p = mmap any pages=N|bytes=N [prot=rwx] [hint=L] [flags=N] ...",
			    "map where the kernel chooses: the address, or an error"},
	[FL_SC_MSYNC] = {"msync", "R", 0, 0, NUMBER, "msync R [flags=N]", "0 or an error"},
	[FL_SC_MLOCKALL] = {"mlockall", "", 0, 0, NUMBER, "mlockall flags=N", "0 or an error"},
	[FL_SC_MUNLOCKALL] = {"munlockall", "", 0, 0, NUMBER, "munlockall", "0 or an error"},
	[FL_SC_SYSWRITE] = {"syswrite", "R", 0, 0, NUMBER, "syswrite R", "a write(2) from there: bytes, or EFAULT"},
	[FL_SC_SYSREAD] = {"sysread", "R", FL_SC_O_FILL, FL_SC_O_FILL, NUMBER, "sysread R fill=VALUE",
			   "a read(2) to there: bytes, or EFAULT"},
	[FL_SC_LIMIT] = {"limit", "", 0, 0, NUMBER, "limit as|data +N | memlock|stack N | WHICH off",
			 "setrlimit(2), in pages: 0 or an error"},
	[FL_SC_OPEN] = {"open", "D", FL_SC_O_NONBLOCK | FL_SC_O_USER_ONLY, 0, NUMBER,
			"open U [nonblock] [user_only] [flags=N]", "userfaultfd(2) alone: 0 or an error"},
	[FL_SC_API] = {"api", "U", FL_SC_O_FEATURES, 0, NUMBER, "api U [features=a,b] [api=N]",
		       "UFFDIO_API: 0 or an error"},
	[FL_SC_IOCTL] = {"ioctl", "U", 0, 0, NUMBER, "ioctl U cmd=N [arg=L]", "0 or an error"},
	/* control */
	[FL_SC_IF] = {"if", "B", 0, 0, NOTHING, "if EXPR { ... } [else { ... }]", "one or the other"},
	[FL_SC_REPEAT] = {"repeat", "B", 0, 0, NOTHING, "repeat N { ... }", "N times"},
	[FL_SC_RETRY] = {"retry", "B", 0, 0, FL_SC_GIVES_NOTHING, FL_SC_ROW_THREAD, "retry N { ... } while EXPR",
			 "again as long as EXPR holds, N times at most; others go first between"},
	[FL_SC_CHECK] = {"check", "E", 0, 0, NOTHING, "check EXPR", "it must hold here"},
};

const char *fl_sc_op_name(enum fl_sc_op op)
{
	return fl_sc_op_rows[op].name;
}

const char *fl_sc_op_usage(enum fl_sc_op op)
{
	return fl_sc_op_rows[op].usage;
}

const char *fl_sc_op_help(enum fl_sc_op op)
{
	return fl_sc_op_rows[op].help;
}
