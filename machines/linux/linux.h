/* SPDX-License-Identifier: MIT */
/*
 * The inside of the Linux machine: native programs under ptrace and seccomp, their private anonymous memory in the
 * engine.
 *
 *   guest         the whole run: every process and thread below the program that was started
 *   guest_mm      one host address space: the engine's mm, the shadow of what the host maps, the agent, the gate
 *   guest_proc    one thread group: signal actions, facts about its descriptors
 *   guest_thread  one traced thread and its fiber
 *   agent         a hidden task in each address space that makes the host's mapping calls
 *   stop          a ptrace stop; the thread stays in it until fl_resume
 *   host zone     addresses where the host maps: programs, libraries, files, the first stack, the hidden pages
 *   engine zone   every other address
 *
 * The supervisor is one OS thread. Each guest thread has a fiber that lives as long as the thread; it takes the thread's stops
 * one after the other (fl_next_event), and its code is straight-line. Whatever may wait (fl_next_event,
 * fl_run_syscall, fl_inject, and every call into the engine) lets other fibers run, so state of a process or an
 * address space may have changed afterwards. A thread may die at any of them: then they return -FL_ESRCH, th->dead or th->dying is
 * set, and the code returns at once without touching the thread.
 *
 * No locks: one OS thread, and fibers switch only where something waits.
 */
#ifndef FL_LINUX_H
#define FL_LINUX_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "faultline/faultline.h"
#include "fl_fiber.h"
#include "linux/run.h"

#define FL_PAGE 4096ull
#define FL_PAGE_MASK (~(FL_PAGE - 1))

/* Zones of x86-64 user addresses. The filter compares with the same numbers. */
#define FL_HOST_LOW_END 0x40000000ull
#define FL_HOST_PIE_START 0x550000000000ull
#define FL_HOST_PIE_END 0x570000000000ull
#define FL_HOST_TOP_START 0x700000000000ull
#define FL_TASK_SIZE 0x7ffffffff000ull
#define FL_ENGINE_MMAP_LO 0x100000000000ull
#define FL_ENGINE_MMAP_HI 0x500000000000ull
#define FL_ENGINE_BRK 0x0e0000000000ull

static inline bool fl_engine_zone(fl_va va)
{
	return va < FL_HOST_TOP_START && va >= FL_HOST_LOW_END && !(va >= FL_HOST_PIE_START && va < FL_HOST_PIE_END);
}

/* Hidden pages, the same in every address space: code, control, then room for bounce buffers. */
#define FL_HIDDEN_CODE FL_HOST_TOP_START
#define FL_HIDDEN_CTL (FL_HIDDEN_CODE + 0x1000)
#define FL_HIDDEN_SCRATCH (FL_HIDDEN_CTL + 3616)  /* 192 bytes behind the control block: fl_scratch */
#define FL_HIDDEN_EXCHANGE (FL_HIDDEN_CTL + 3808) /* the rest of the page: memfile.c */
#define FL_HIDDEN_BOUNCE (FL_HIDDEN_CODE + 0x10000)
#define FL_HIDDEN_END (FL_HIDDEN_CODE + 0x10000000)

/* One raw system call; result is filled in by the agent. */
struct fl_raw_call {
	int64_t nr;
	uint64_t args[6];
	int64_t result;
};
#define FL_BATCH_MAX 56

struct fl_ahead;
struct fl_shadow;
struct fl_agent;

#define FL_BOUNCE_KEPT 16

struct guest_mm {
	struct guest *g;
	uint32_t id;              /* counts up; for reports */
	uint32_t users;           /* guest threads in it, plus a fork in flight */
	struct fl_mm *mm;         /* one reference */
	struct fl_shadow *shadow; /* what the host maps; an upper bound */
	struct fl_agent *agent;   /* NULL until made */
	uint32_t made_slot;       /* of the control page that fork's child has from its parent, until it has its own */
	uint64_t agent_fd;        /* the memory file's descriptor there */
	/*
	 * Gate: while a fork is on its way to the host no host mapping is made (the child would inherit it). Waiters: fl_gate_wait.
	 */
	uint32_t gate;
	fl_va brk_start;
	fl_va host_hi;                /* where addresses for the host's mappings are chosen: below this, top down */
	fl_va stack_start, stack_end; /* the first stack as the host had it at exec */
	/* Bounce buffers that threads have left. */
	struct {
		fl_va va;
		uint64_t len;
	} bounce_free[FL_BOUNCE_KEPT];
	fl_va bounce_next; /* next free hidden address for a bounce buffer */
	fl_va evict_next;  /* where the next eviction of host mappings begins */
	fl_va vdso;
	bool broken;            /* the agent is gone: the processes are being killed */
	struct fl_ahead *ahead; /* pages that the program has not asked for: ahead.c; NULL: none */
	bool locks;             /* something has been locked here: its growth is a matter of CAP_IPC_LOCK */
	bool uffd;              /* a userfaultfd has been registered here at some time: no pages ahead in its ranges */
	struct guest_mm *next;
};

/* A signal action as the guest set it (the kernel's layout of struct sigaction on x86-64). */
struct fl_sigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

struct guest_proc {
	struct guest *g;
	pid_t pid; /* thread group id */
	uint32_t nthreads;
	/*
	 * Signal actions, of all signals, as the guest believes them; index is the number. Shared by CLONE_SIGHAND
	 * without CLONE_THREAD as well, therefore counted.
	 */
	struct fl_sighand *sighand;
	/* Carrier: it has, inherited, or may have been passed a userfaultfd descriptor. Set by carrier.c, kept by fork and exec. */
	bool may_have_uffd;
	int exit_status;
	bool exec_seen;
	struct guest_proc *next;
};

struct fl_sighand {
	uint32_t users;
	struct fl_sigaction action[65];
	bool host_handler[65]; /* SEGV, BUS: the host's action is the guest's at the moment */
};

enum fl_stop {
	FL_STOP_SECCOMP,      /* before a system call that the filter stops; registers loaded */
	FL_STOP_EXIT_OF_CALL, /* after one, after fl_resume(FL_TO_EXIT) */
	FL_STOP_SIGNAL,       /* a signal is about to be delivered: sig */
	FL_STOP_CLONE,        /* msg: the new tid. Also fork and vfork */
	FL_STOP_VFORK_DONE,
	FL_STOP_EXEC,    /* msg: the former tid */
	FL_STOP_EXITING, /* msg: the wait status; registers and memory are still there */
	FL_STOP_GROUP,   /* job control: sig */
	FL_STOP_TRAP,    /* PTRACE_INTERRUPT, or a new thread's first stop */
	FL_STOP_DEAD,    /* gone: status */
};

struct fl_event {
	enum fl_stop stop;
	int sig;
	int status;
	uint64_t msg;
};

enum fl_resume {
	FL_CONT,    /* to the next stop of the filter or a signal */
	FL_TO_EXIT, /* to the end of the system call (PTRACE_SYSCALL) */
	FL_LISTEN,  /* stay stopped, as job control wants it */
};

#define FL_EVENT_QUEUE 8
#define FL_AFFINITY_WORDS 16 /* of 64 cores */

struct guest_thread {
	struct guest *g;
	pid_t tid;
	struct guest_proc *proc;
	struct guest_mm *mm;
	struct fl_fiber *fiber;
	struct fl_task task; /* task.tid is tid */

	/* Where it is. */
	bool stopped;              /* in a ptrace stop that we know of */
	bool dying;                /* EXITING has been seen, or SIGKILL is on its way */
	bool dead;                 /* nothing is left but the status */
	struct fl_event event;     /* the stop it is in */
	int queue[FL_EVENT_QUEUE]; /* wait statuses not taken yet */
	unsigned queue_head, queue_len;
	bool pushed_back; /* fl_next_event returns `event` again */

	/* On hosts that forbid userfaultfd (denied.c): the end of the present call is wanted; the next stop is for a userfaultfd. */
	bool to_exit, stands_in;

	/* Registers of the stop. Change them with fl_regs(th)->x = y and regs_dirty = true; written back by fl_resume. */
	struct user_regs_struct regs;
	bool regs_valid, regs_dirty;

	/* Signals. */
	uint64_t held;          /* SEGV, BUS sent by somebody while the guest blocks them: pending, for the guest */
	uint64_t resent;        /* of those that were held: on their way again, with our siginfo */
	siginfo_t held_info[2]; /* FL_HELD_INDEX: the true siginfo of what is held or resent */
	uint64_t virt_blocked;  /* the guest blocks SEGV, BUS (bits sig - 1); never so in the host */
	struct {
		uint64_t sp, size;
		int32_t flags;
	} altstack; /* as the guest set it */

	/* Wait in the engine (wait.c). */
	struct {
		bool in;                      /* the fiber is inside an engine call that may sleep */
		bool parked;                  /* the thread has been put into the hidden pause */
		bool kernel;                  /* only a fatal signal ends it */
		uint64_t since;               /* ns */
		struct user_regs_struct regs; /* the true ones while parked */
		uint64_t mask;                /* the host's signal mask to restore */
	} wait;

	/* The kernel's words in guest memory. */
	fl_va clear_child_tid;
	fl_va child_settid; /* written by the kernel when the thread first runs; 0: none */
	bool fresh_space;   /* its first stop is to come, and the address space is a new copy without an agent */
	bool fresh_args;    /* at that stop its argument registers are to be set to restart.args */
	bool leaving;       /* the leader has left before its threads: the kernel reports it only after them */
	bool told_gone;     /* its joiner has been woken */
	fl_va robust_list;
	uint64_t robust_len;

	/* Bounce buffer (sys_io.c). */
	fl_va bounce;
	uint64_t bounce_size;
	/* A bounced call that the kernel will restart by restart_syscall(2), as the guest made it; nr 0: none (sys_bounce.c). */
	struct {
		uint32_t nr;
		uint64_t args[6];
	} restart;

	/* What the guest has set as its affinity, while pulled. */
	uint64_t affinity[FL_AFFINITY_WORDS];

	uint64_t faults;

	/* affinity.c */
	bool pulled;           /* on the supervisor's core for now */
	uint32_t stops;        /* in quick succession */
	uint64_t last_stop_ns; /* when the last one was */
	bool strict;           /* seccomp's strict mode: prctl.c */
	bool at_gate;          /* the fiber waits for a fork of its address space to reach the host */
	bool unwatched;        /* in a call that nobody will see the end of: see fl_call_unwatched */
	bool call_over; /* the call of a SECCOMP stop has been skipped on the way into a wait: see fl_skip_syscall */
	struct guest_thread *next;      /* in guest.threads */
	struct guest_thread *hash_next; /* by tid */
};

struct guest {
	const struct fl_run_options *opt;
	struct run_observer *obs; /* never NULL */
	struct fl_run_result *res;
	struct fl_frames *frames;
	int memfd; /* frames, then the code page, then control pages */
	uint64_t arena_bytes;
	uint8_t *arena;
	struct guest_thread *threads;
	struct guest_proc *procs;
	struct guest_mm *mms;
	uint32_t nthreads;
	pid_t first_pid;
	int first_status;
	bool first_done;
	struct fl_carrier *carriers; /* userfaultfd descriptors in the guest: carrier.c */
	struct fl_host *host;        /* what depends on the host: filter, timers, agents, orphan stops; host.h */
};

/* ---- Stops and system calls: thread.c ---------------------------------------------------------------- */

/* Registers of the stop, loaded on first use. */
struct user_regs_struct *fl_regs(struct guest_thread *th);
/* Argument n (0 to 5) of the stopped call; change it with fl_set_arg. */
uint64_t fl_arg(struct guest_thread *th, unsigned n);
void fl_set_arg(struct guest_thread *th, unsigned n, uint64_t value);

/* Let the thread go on. sig: delivered with it (0: none); from FL_STOP_SIGNAL only. */
void fl_resume(struct guest_thread *th, enum fl_resume how, int sig);
/* Wait for the next stop of this thread. Returns false (and th->dead) when it is gone: then event.status. */
bool fl_next_event(struct guest_thread *th);
/* The next fl_next_event returns the present event again. */
void fl_push_back(struct guest_thread *th);

/*
 * In a handler of a stopped call, exactly one of three ways out:
 *   nothing              the call goes on natively and is not seen again
 *   fl_skip_syscall      the call is not made; the guest sees result
 *   fl_run_syscall       the call is made natively; the thread is then at the call's end, and *result is what it returned
 *                        (fl_set_result changes what the guest sees)
 * After fl_run_syscall, fl_call_again makes it once more with the registers as they are now (fl_set_arg).
 */
void fl_skip_syscall(struct guest_thread *th, int64_t result);
FL_MUST_CHECK int fl_run_syscall(struct guest_thread *th, int64_t *result); /* 0 or -FL_ESRCH */
void fl_set_result(struct guest_thread *th, int64_t result);
/*
 * From the end of a call: go back before its system call instruction, with the arguments now set. Signals that the guest ignores or whose
 * default is nothing pass. Returns 1: stopped before the call again (then fl_run_syscall). 0: a signal came
 * first; the thread is in that stop (pushed back), before the call: set the sum so far with fl_finish_call and return,
 * or, if nothing was done yet, return as it is and the call will be made afresh. -FL_ESRCH: gone.
 */
FL_MUST_CHECK int fl_call_again(struct guest_thread *th);
/* In the 0 case of fl_call_again: pretend that the call has ended with result. args: the six the guest had set. */
void fl_finish_call(struct guest_thread *th, int64_t result, const uint64_t args[6]);

/*
 * May the stopped call, which only reads [va, va + n), run without being seen again, though other threads are there? fd: a descriptor
 * whose writes never wait (a regular file, /dev/null). Then nothing of ours takes the pages away before its end: fork waits for
 * it, eviction leaves them. The caller returns at once when it may.
 */
bool fl_call_unwatched(struct guest_thread *th, int fd, fl_va va, size_t n);

/*
 * Make a system call in the guest thread (its descriptors, credentials, directories) and come back to the very stop it is in: registers
 * and signal mask are as before. Not from FL_STOP_EXITING or FL_STOP_CLONE. Returns the result, or -FL_ESRCH with th->dead or dying set.
 */
int64_t fl_inject(struct guest_thread *th, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
		  uint64_t a5);

/* ---- Agent: agent.c ---------------------------------------------------------------------------------- */

/*
 * Make a system call in the address space's agent (memory calls; not descriptors: it has only the memory file, fd
 * fl_agent_memfd). The supervisor waits for it; no fiber runs meanwhile. Returns the result; -FL_ESRCH: the agent is gone.
 */
int64_t fl_agent_call(struct guest_mm *gm, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
		      uint64_t a5);
/* n (up to FL_BATCH_MAX) calls in order, none skipped; 0 or -FL_ESRCH. */
int fl_agent_batch(struct guest_mm *gm, struct fl_raw_call *calls, unsigned n);

/* ---- Guest memory: memory.c -------------------------------------------------------------------------- */

/* Memory that the host maps (foreign VMAs, hidden pages): bytes copied. The engine's memory: fl_copy_from_user, fl_copy_to_user. */
size_t fl_host_read(struct guest_mm *gm, void *dst, fl_va va, size_t n);
size_t fl_host_write(struct guest_mm *gm, fl_va va, const void *src, size_t n);
/*
 * Fault in [va, va + n) for the thread as a system call would, and map it in the host so that the kernel finds it. Waits are
 * killable. Parts outside the engine's VMAs count as there. Returns the number of bytes, from the first, that are there
 * now; n: all.
 */
size_t fl_make_resident(struct guest_thread *th, fl_va va, size_t n, enum fl_access access);
/* Whether all of [va, va + n) is in the host's mappings with these rights now, without faulting anything in. */
bool fl_is_resident(struct guest_thread *th, fl_va va, size_t n, enum fl_access access);
/*
 * One fault through fl_handle_fault, with the observer told and the thread kept where it takes signals. Nothing is mapped in the host. In
 * kernel mode (rf->kernel) only fatal signals end it. After it the thread may be gone, or a stop be pushed back.
 */
enum fl_outcome fl_fault_resolve(struct guest_thread *th, struct run_fault *rf);
/* A hidden range of n bytes of host memory (private, not zeroed), for bounce buffers; 0: none. Not inherited by fork's child. */
fl_va fl_bounce_map(struct guest_mm *gm, size_t n);
void fl_bounce_unmap(struct guest_mm *gm, fl_va va, size_t n);

/* ---- Pages ahead: ahead.c ----------------------------------------------------------------------------- */

/* This page is there although nobody has touched it. False: no memory for the note. */
bool fl_ahead_note(struct guest_mm *gm, fl_va va);
/* Take those pages of [start, end) back that nobody has written to. */
void fl_ahead_take_back(struct guest_thread *th, fl_va start, fl_va end);
/* At fork. False: no memory. */
bool fl_ahead_copy(struct guest_mm *to, const struct guest_mm *from);
void fl_ahead_free(struct fl_ahead *a);

/* ---- Waits in the engine: wait.c --------------------------------------------------------------------- */

/*
 * Around every engine call that may sleep for long (userfaultfd reads, faults): while it sleeps the host thread is put where it
 * takes signals. kernel: only fatal ones end it. end: the thread is again in a stop with its true registers; returns true
 * if a signal stop is pending (pushed back; the engine's call has ended with SIGNAL or -ERESTARTSYS, or is done anyway).
 *
 * A call that ended with -FL_ERESTARTSYS: fl_skip_syscall(th, -512) is right: the kernel restarts it or returns EINTR, as the signal's action says.
 */
void fl_wait_begin(struct guest_thread *th, bool kernel);
bool fl_wait_end(struct guest_thread *th);

/* ---- System calls: syscalls.c ------------------------------------------------------------------------ */

typedef void fl_sys_fn(struct guest_thread *th);

enum fl_sys_when {
	FL_SYS_NEVER,   /* runs natively (the default of every number) */
	FL_SYS_POINTER, /* stops when an argument of ptr_mask points into an engine zone */
	FL_SYS_IOCTL,   /* the same, and always if argument 1 is a command of userfaultfd's */
	FL_SYS_ALWAYS,
	FL_SYS_ENOSYS, /* answered by the filter itself */
	FL_SYS_EPERM,
};

/*
 * Say how call nr is handled. ptr_mask: bit n for argument n. A later registration replaces an earlier one, so order in
 * fl_syscalls_init is: classes (all calls with pointers), then those with files of their own.
 */
void fl_sys_register(unsigned nr, enum fl_sys_when when, uint8_t ptr_mask, fl_sys_fn *fn);
#define FL_SYS_MAX 512
/* The type of userfaultfd's ioctl commands. */
#define FL_UFFD_IOCTL_TYPE 0xaau

/* Registrars, called once by fl_syscalls_init in this order. */
void fl_classes_register(void);  /* classes.c */
void fl_io_register(void);       /* sys_io.c */
void fl_poll_register(void);     /* sys_poll.c */
void fl_futex_register(void);    /* futex.c */
void fl_carrier_register(void);  /* carrier.c: userfaultfd, its ioctls and reads */
void fl_mem_register(void);      /* sys_mem.c */
void fl_proc_register(void);     /* sys_proc.c: fork family, exec, exit, ids */
void fl_signals_register(void);  /* sigmask.c, sigsegv.c */
void fl_affinity_register(void); /* affinity.c */
void fl_peer_register(void);     /* sys_peer.c: other processes' memory */

/* ---- Hooks that other files implement ---------------------------------------------------------------- */

/* futex.c: the thread is about to end; its memory is still there. Makes clear_child_tid and robust words resident. */
void fl_futex_thread_exiting(struct guest_thread *th);
/* futex.c: it has ended (the kernel has cleared the words); wakes the private futexes through the agent. */
void fl_futex_thread_gone(struct guest_thread *th, struct guest_mm *gm, fl_va clear_child_tid);
/* carrier.c: a process was made by fork or clone (child shares nothing yet), has exec'd, or has ended. */
void fl_carrier_fork(struct guest_proc *parent, struct guest_proc *child);
/* carrier.c: at the stop before a clone whose child is another process with the same descriptors. */
void fl_carrier_share(struct guest_thread *th);
void fl_carrier_exec(struct guest_proc *proc);
void fl_carrier_exit(struct guest_proc *proc);
/* carrier.c: look for last closes; called from the event loop when a write end may have been hung up, outside fibers or in one. */
void fl_carrier_poll(struct guest *g);
/* carrier.c: everything is over; free what is left. */
void fl_carrier_fini(struct guest *g);

/*
 * sigmask.c: an address from which the kernel may read the guest's signal set at va: va itself, or, if the set has SEGV or BUS, a
 * hidden place with a copy that lacks them. The caller puts the argument register back at the call's end.
 */
fl_va fl_sigset_host(struct guest_thread *th, fl_va va);
#define FL_SIG_BIT(sig) (1ull << ((sig)-1))
/* Where guest_thread.held_info has the siginfo of SEGV or BUS. */
#define FL_HELD_INDEX(sig) ((sig) == SIGBUS)
#define FL_SIG_OURS (FL_SIG_BIT(SIGSEGV) | FL_SIG_BIT(SIGBUS))

/* Time, ns, CLOCK_MONOTONIC. */
uint64_t fl_now_ns(void);
/* The event loop shall call fl_carrier_poll and timers soon (async-signal-safe). */
void fl_loop_poke(void);

#endif
