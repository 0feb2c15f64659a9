/* SPDX-License-Identifier: MIT */
/*
 * The kinds of statements: one row each. A new operation of the engine is a row here, a case in each executor, and a
 * row in docs/scenarios.md.
 *
 * No locks: constants.
 */
#include "explore/lang/lang.h"

#define O(option) (UINT64_C(1) << FL_SC_X_##option)
#define CONTENTS (O(FILL) | O(FROM))
/* What a call on a userfaultfd may have for diff */
#define RAW (O(BYTES) | O(FLAGS) | O(ARG))
#define NUMBER FL_SC_GIVES_NUMBER, 0
#define NOTHING FL_SC_GIVES_NOTHING, 0

const struct fl_sc_op_row fl_sc_op_rows[FL_SC_OPS] = {
	[FL_SC_MAP] = {"map", "", 0, 0, FL_SC_GIVES_NOTHING, FL_SC_ROW_SETUP,
		       "map NAME [anon|shmem|hugetlb|file] [private|shared] [pages=N] [prot=rwx] [at=PAGE] [noreserve] "
		       "[stack] [locked]",
		       "map memory, and name it"},
	/* accesses */
	[FL_SC_LOAD] = {"load", "L", O(SIZE), 0, NUMBER, "load L [size=N]", "read memory: the value, or the signal"},
	[FL_SC_STORE] = {"store", "LV", O(SIZE), 0, NUMBER, "store L VALUE [size=N]", "write memory: 0, or the signal"},
	[FL_SC_ADD] = {"add", "LV", O(SIZE), 0, NUMBER, "add L VALUE [size=4|8]",
		       "add atomically: what was there, or the signal"},
	[FL_SC_FETCH] = {"fetch", "L", 0, 0, NUMBER, "fetch L", "fetch an instruction there: 0, or the signal"},
	[FL_SC_COPYIN] = {"copyin", "L", O(SIZE), 0, NUMBER, "copyin L [size=N]",
			  "a system call reads there: the value, or EFAULT"},
	[FL_SC_COPYOUT] = {"copyout", "LV", O(SIZE), 0, NUMBER, "copyout L VALUE [size=N]",
			   "a system call writes there: 0, or EFAULT"},
	/* memory calls */
	[FL_SC_MMAP] = {"mmap", "R",
			O(PROT) | O(FIXED) | O(NOREPLACE) | O(NORESERVE) | O(HINT) | O(POPULATE) | O(STACK) |
				O(LOCKED) | O(SHARED) | O(BYTES) | O(FLAGS),
			0, NUMBER,
			"mmap R [prot=rwx] [fixed|noreplace|hint] [noreserve] [populate] [stack] [locked] [shared] "
			"[bytes=N] [flags=N]",
			"map there: 0 or an error"},
	[FL_SC_MUNMAP] = {"munmap", "R", O(BYTES), 0, NUMBER, "munmap R [bytes=N]", "unmap: 0 or an error"},
	[FL_SC_MPROTECT] = {"mprotect", "R", O(PROT) | O(BYTES), O(PROT), NUMBER, "mprotect R prot=rwx [bytes=N]",
			    "change the protection: 0 or an error"},
	[FL_SC_MADVISE] = {"madvise", "RA", O(BYTES), 0, NUMBER, "madvise R ADVICE [bytes=N]",
			   "or `ADVICE R`: 0 or an error"},
	[FL_SC_MREMAP] = {"mremap", "R>", O(PAGES) | O(DONTUNMAP) | O(MAYMOVE) | O(BYTES) | O(NEWBYTES) | O(FLAGS), 0,
			  NUMBER, "mremap R [to L] [pages=N|newbytes=N] [dontunmap] [maymove] [bytes=N] [flags=N]",
			  "move a mapping, resize it, or both: 0 or an error"},
	[FL_SC_MLOCK] = {"mlock", "R", O(ONFAULT) | O(BYTES) | O(FLAGS), 0, NUMBER,
			 "mlock R [onfault] [bytes=N] [flags=N]", "0 or an error"},
	[FL_SC_MUNLOCK] = {"munlock", "R", O(BYTES), 0, NUMBER, "munlock R [bytes=N]", "0 or an error"},
	[FL_SC_MINCORE] = {"mincore", "L", O(BYTES) | O(INTO), 0, NUMBER, "mincore L [bytes=N] [into=L]",
			   "1 if the page is there, 0 if not, or an error"},
	[FL_SC_BRK] = {"brk", "N", O(BYTES), 0, NUMBER, "brk +N|-N [bytes=N]",
		       "move the break by N pages, and so many bytes more: 0 or ENOMEM"},
	[FL_SC_FORK] = {"fork", "C", 0, 0, NUMBER, "fork C", "0 or an error; threads `in C` begin"},
	[FL_SC_EXIT] = {"exit", "", 0, 0, FL_SC_GIVES_NOTHING, FL_SC_ROW_THREAD, "exit",
			"the thread ends; with a process's last thread goes its memory"},
	/* userfaultfd */
	[FL_SC_UFFD] = {"uffd", "D", O(FEATURES) | O(NONBLOCK) | O(USER_ONLY) | O(REGISTER), 0, FL_SC_GIVES_NOTHING,
			FL_SC_ROW_SETUP, "uffd U [features=a,b] [nonblock] [user_only] [missing|wp|minor... R]",
			"open a userfaultfd, name it, and register"},
	[FL_SC_REGISTER] = {"register", "UMR", O(BYTES) | O(ARG), 0, NUMBER,
			    "register U missing|wp|minor...|modes=N R [bytes=N] [arg=L]", "0 or an error"},
	[FL_SC_UNREGISTER] = {"unregister", "UR", O(BYTES) | O(ARG), 0, NUMBER, "unregister U R [bytes=N] [arg=L]",
			      "0 or an error"},
	[FL_SC_COPY] = {"copy", "UR", CONTENTS | O(DONTWAKE) | O(WP) | RAW, CONTENTS | O(ARG), NUMBER,
			"copy U R fill=VALUE|from=L [dontwake] [wp] [bytes=N] [flags=N] [arg=L]",
			"fill pages: 0 or an error"},
	[FL_SC_ZEROPAGE] = {"zeropage", "UR", O(DONTWAKE) | RAW, 0, NUMBER,
			    "zeropage U R [dontwake] [bytes=N] [flags=N] [arg=L]",
			    "fill pages with zeros: 0 or an error"},
	[FL_SC_WAKE] = {"wake", "UR", O(BYTES) | O(ARG), 0, NUMBER, "wake U R [bytes=N] [arg=L]", "0 or an error"},
	[FL_SC_CONTINUE] = {"continue", "UR", O(DONTWAKE) | O(WP) | RAW, 0, NUMBER,
			    "continue U R [dontwake] [wp] [bytes=N] [flags=N] [arg=L]",
			    "map what the file has: 0 or an error"},
	[FL_SC_POISONPAGE] = {"poison", "UR", O(DONTWAKE) | RAW, 0, NUMBER,
			      "poison U R [dontwake] [bytes=N] [flags=N] [arg=L]",
			      "accesses end in SIGBUS from now on: 0 or an error"},
	[FL_SC_WRITEPROTECT] = {"writeprotect", "URO", O(DONTWAKE) | RAW, 0, NUMBER,
				"writeprotect U R on|off [dontwake] [bytes=N] [flags=N] [arg=L]", "0 or an error"},
	[FL_SC_MOVE] = {"move", "UR", O(FROM) | O(DONTWAKE) | O(HOLES) | RAW, O(FROM) | O(ARG), NUMBER,
			"move U R from=L [dontwake] [holes] [bytes=N] [flags=N] [arg=L]", "move pages: 0 or an error"},
	[FL_SC_READ] = {"read", "U", O(NONBLOCK) | O(BYTES) | O(INTO), 0, FL_SC_GIVES_MESSAGE, 0,
			"read U [nonblock] [bytes=N] [into=L]", "take a message; m.event is an error if there is none"},
	[FL_SC_POLL] = {"poll", "U", 0, 0, NUMBER, "poll U", "POLLIN, POLLERR or 0"},
	[FL_SC_WAIT] = {"wait", "U", 0, 0, FL_SC_GIVES_NUMBER, FL_SC_ROW_THREAD, "wait U",
			"sleep until there is a message, and take nothing: 0, INTERRUPTED or EBADF"},
	[FL_SC_CLOSE] = {"close", "U", 0, 0, NUMBER, "close U", "close it: 0, or EBADF"},
	/* between threads */
	[FL_SC_SIGNAL] = {"signal", "T", O(FATAL), 0, FL_SC_GIVES_NOTHING, FL_SC_ROW_THREAD, "signal T [fatal]",
			  "send a thread a signal"},
	[FL_SC_SET] = {"set", "XV", 0, 0, NOTHING, "set x VALUE", "a shared variable becomes VALUE"},
	[FL_SC_GET] = {"get", "X", 0, 0, NUMBER, "get x", "what is in a shared variable"},
	[FL_SC_AWAIT] = {"await", "E", 0, 0, FL_SC_GIVES_NOTHING, FL_SC_ROW_THREAD, "await EXPR",
			 "until it holds, over shared variables"},
	[FL_SC_YIELD] = {"yield", "", 0, 0, FL_SC_GIVES_NOTHING, FL_SC_ROW_THREAD, "yield", "let others go first"},
	/* programs for diff */
	[FL_SC_MMAP_ANY] = {"mmap any", "",
			    O(PAGES) | O(BYTES) | O(PROT) | O(HINT_AT) | O(NORESERVE) | O(STACK) | O(LOCKED) |
				    O(POPULATE) | O(SHARED) | O(FLAGS),
			    O(PAGES) | O(BYTES), NUMBER,
			    "mmap any pages=N|bytes=N [prot=rwx] [hint=L] [noreserve] [populate] [stack] [locked] "
			    "[shared] [flags=N]",
			    "map where the kernel chooses: the address, or an error"},
	[FL_SC_MSYNC] = {"msync", "R", O(BYTES) | O(FLAGS), 0, NUMBER, "msync R [bytes=N] [flags=N]", "0 or an error"},
	[FL_SC_MLOCKALL] = {"mlockall", "", O(FLAGS), O(FLAGS), NUMBER, "mlockall flags=N", "0 or an error"},
	[FL_SC_MUNLOCKALL] = {"munlockall", "", 0, 0, NUMBER, "munlockall", "0 or an error"},
	[FL_SC_SYSWRITE] = {"syswrite", "R", O(BYTES), 0, NUMBER, "syswrite R [bytes=N]",
			    "a write(2) from there: bytes, or EFAULT"},
	[FL_SC_SYSREAD] = {"sysread", "R", O(FILL) | O(BYTES), O(FILL), NUMBER, "sysread R fill=VALUE [bytes=N]",
			   "a read(2) to there: bytes, or EFAULT"},
	[FL_SC_LIMIT] = {"limit", "W", 0, 0, NUMBER, "limit as|data|maps +N, limit stack|memlock N, limit WHICH off",
			 "setrlimit(2), in pages; or vm.max_map_count, in mappings: 0 or an error"},
	[FL_SC_OPEN] = {"open", "P", O(NONBLOCK) | O(USER_ONLY) | O(FLAGS), 0, NUMBER,
			"open U [nonblock] [user_only] [flags=N]", "userfaultfd(2) alone: 0 or an error"},
	[FL_SC_API] = {"api", "U", O(FEATURES) | O(API) | O(ARG), 0, NUMBER, "api U [features=a,b|N] [api=N] [arg=L]",
		       "UFFDIO_API: 0 or an error"},
	[FL_SC_IOCTL] = {"ioctl", "U", O(CMD) | O(ARG), O(CMD), NUMBER, "ioctl U cmd=N [arg=L]",
			 "any ioctl(2) on it: 0 or an error"},
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
