/* SPDX-License-Identifier: MIT */
/*
 * What of the Linux machine depends on the host and concerns no other part: the event loop's tables, agents, the control
 * pages. For the files that make stops, agents and address spaces; the others see linux.h.
 *
 *   orphan   a status of a task whose maker's event has not come yet
 *   slot     one control page of the memory file; each agent has one
 *
 * No locks: one OS thread.
 */
#ifndef FL_LINUX_HOST_H
#define FL_LINUX_HOST_H

#include <sys/socket.h>
#include <sys/un.h>

#include "linux/linux.h"

#define FL_TID_HASH 1024u
#define FL_SLOTS 4096u
#define FL_PID_MAX 4194304u /* the kernel's own limit */

struct fl_orphan {
	pid_t pid;
	int status;
	uint64_t since; /* ns */
	bool abandoned; /* being killed: orphan.c */
	struct fl_orphan *next;
};

/* The control page, as agent_blob.S knows it. */
struct fl_ctl {
	uint32_t request; /* futex: counts up, by the supervisor */
	uint32_t done;    /* futex: becomes request when the batch is through, by the agent */
	uint32_t n;
	uint32_t pad;
	struct fl_raw_call calls[FL_BATCH_MAX];
};

struct fl_agent {
	pid_t pid;
	struct guest_mm *gm;
	struct fl_ctl *ctl;
	uint32_t slot;
	int core; /* it is kept to, or -1 */
	bool gone;
	struct fl_agent *next;
};

struct fl_host {
	struct guest_thread *by_tid[FL_TID_HASH];
	struct fl_orphan *orphans;
	struct fl_lost *lost;
	struct fl_agent *agents;
	uint64_t *
		ended; /* bitmap by pid: tasks whose end we have seen; their parent's or our own reaping may show it again */
	uint64_t *was_agent;            /* bitmap by pid: ids that agents have or had, until a guest task gets one */
	bool reapers;                   /* a guest process has asked to be given orphans */
	struct guest_thread *graveyard; /* fibers that are done, to be freed outside them */
	struct fl_mutex exchange;       /* memfile.c: the place in an inherited control page */
	int giver;                      /* memfile.c: the socket, or 0 */
	struct sockaddr_un giver_name;
	uint32_t giver_size;
	uint8_t *control; /* code page and control pages, mapped */
	uint64_t slot_used[FL_SLOTS / 64];
	uint64_t vdso_syscall; /* offset of a syscall instruction in the vdso */
	uint64_t vdso_size;
	uint64_t max_runs; /* of host mappings in one address space before whole tables are dropped */
	int core;          /* to which the supervisor keeps while threads are pulled to it */
	unsigned pulled;   /* how many are */
	bool never_pull;
	uint64_t affinity[FL_AFFINITY_WORDS]; /* the supervisor's own */
	bool uffd_denied;                     /* a filter above ours forbids userfaultfd: denied.c */
	unsigned timers;                      /* how many want the tick */
	bool ticking;
	unsigned idle_ticks; /* since somebody wanted them */
	uint64_t last_tick_ns, last_observer_tick_ns;
	uint64_t start_ns;
	uint32_t next_mm_id;
};

/* loop.c */
int fl_loop_run(struct guest *g);
/* Take what statuses there are. From a fiber as well. */
void fl_loop_drain(struct guest *g);
/* Take the status of an orphan. False: it has none yet. */
bool fl_orphan_take(struct guest *g, pid_t pid, int *status);
/* The end of this task has been seen; if it is reported once more, that is nothing new. */
void fl_ended_note(struct guest *g, pid_t pid);
/* Does or did an agent have this id? Guests must not see it. children.c */
bool fl_agent_was(const struct guest *g, pid_t pid);
void fl_agent_id(struct guest *g, pid_t pid, bool agent);
/* prctl.c: the thread is in strict mode, which forbids this call: SIGKILL is on its way. */
bool fl_strict_kills(struct guest_thread *th, uint64_t nr);
/* rlimit.c: a new agent is not to be held to the guest's limits. */
void fl_limits_lift(pid_t agent);
/* The tick is wanted (nests). */
void fl_timer_want(struct guest *g, bool on);
/* A status for a thread, from wherever it was found. */
void fl_thread_push(struct guest_thread *th, int status);

/* guest.c */
struct guest_thread *fl_thread_find(struct guest *g, pid_t tid);
/* A new thread with its fiber; takes references on proc and gm (may be NULL). NULL: no memory. */
struct guest_thread *fl_thread_create(struct guest *g, pid_t tid, struct guest_proc *proc, struct guest_mm *gm);
/* Its tid has changed (exec). */
void fl_thread_rename(struct guest_thread *th, pid_t tid);
struct guest_proc *fl_proc_create(struct guest *g, pid_t pid, struct fl_sighand *sighand);
struct fl_sighand *fl_sighand_create(const struct fl_sighand *from);
void fl_sighand_put(struct fl_sighand *s);
/* The present thread's proc gets actions of its own, with the handlers gone, as exec leaves them. */
int fl_sighand_exec(struct guest_proc *proc);
/* Leave proc and mm. In the thread's fiber, at its end. */
void fl_thread_gone(struct guest_thread *th);
void fl_graveyard_empty(struct guest *g);
/* Everything that is left, after the loop. */
void fl_guest_fini(struct guest *g);

/* main.c: a thread's fiber. */
void fl_thread_main(void *arg);
/* Kill the whole process of a thread. */
void fl_proc_kill(struct guest_proc *proc);
/* Kill every process in an address space, with a message on standard error. */
void fl_mm_kill(struct guest_mm *gm, const char *why);

/* thread.c */
/* Decode a wait status into th->event. */
void fl_event_decode(struct guest_thread *th, int status);
int64_t fl_inject_regs(struct guest_thread *th, const struct user_regs_struct *call);
/*
 * Inject a clone: the new task, which is attached and waits in its first stop, through *child; 0 or -errno.
 */
int64_t fl_inject_clone(struct guest_thread *th, uint64_t flags, pid_t *child);
/* In an address space that has no hidden pages yet, through the vdso's instruction; from FL_STOP_EXIT_OF_CALL. */
int64_t fl_inject_early(struct guest_thread *th, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
			uint64_t a4, uint64_t a5);

/* filter.c: in the child before exec: install the filter. 0 or -errno. */
int fl_filter_install(void);
int fl_filter_build(void);

/* syscalls.c */
void fl_syscalls_init(void);
void fl_syscall_stop(struct guest_thread *th);
enum fl_sys_when fl_sys_when(unsigned nr, uint8_t *ptr_mask);

/* launch.c */
int fl_launch(struct guest *g, const char *path, int *report);
int fl_launch_trouble(struct guest *g, int report);

/* preflight.c: what can be known before. 0, or -1 with res->error and res->exit_code. path: PATH_MAX bytes. */
int fl_preflight(const struct fl_run_options *o, char *path, struct fl_run_result *res);
/* Why the program of a process cannot be run, or NULL. */
const char *fl_program_refusal(const char *path, uid_t euid);

/* memfile.c: open the memory file in the guest; early: before it has hidden pages. The descriptor or -errno. */
int64_t fl_memfile_open(struct guest_thread *th, bool early);

/* agent.c */
int fl_hidden_init(struct guest *g);
void fl_hidden_fini(struct guest *g);
void fl_slot_give(struct guest *g, uint32_t slot);
/* 192 bytes that guest and supervisor share, for arguments of injected calls; FL_HIDDEN_SCRATCH there. */
void *fl_scratch(struct guest_thread *th);
/* Make the hidden pages after exec and the agent; from the end of execve. 0 or -errno. */
int fl_agent_boot(struct guest_thread *th);
/* In fork's child, at its first stop: a control page of its own and an agent. */
int fl_agent_fork(struct guest_thread *th);
/* End it. reap: inject the wait4 for it into this thread, whose process is its parent; NULL: nobody need. */
void fl_agent_end(struct guest_mm *gm, struct guest_thread *reap);
/* A status of a task that is an agent: true. */
bool fl_agent_status(struct guest *g, pid_t pid, int status);

/* space.c: address spaces */
struct guest_mm *fl_space_create(struct guest_thread *th);
void fl_space_get(struct guest_mm *gm);
void fl_space_put(struct guest_mm *gm);
extern const struct fl_machine_ops fl_linux_ops;
/* At fork: an address space for the child, or NULL. Takes the gate, which the caller drops with fl_gate_drop. */
struct guest_mm *fl_space_fork(struct guest_thread *th);
void fl_gate_wait(struct guest_thread *th);
/* An unwatched call is over: the thread has stopped or ended. */
void fl_call_seen(struct guest_thread *th);
/* Is a thread in a call that reads this memory unwatched? */
bool fl_unwatched_in(struct guest_mm *gm);
void fl_gate_drop(struct guest_mm *gm);
/* After exec: enter what /proc says is mapped. */
int fl_space_enter_maps(struct guest_thread *th);

/* shadow.c: what the host has mapped of the engine's memory, page by page. */
struct fl_shadow *fl_shadow_create(void);
void fl_shadow_destroy(struct fl_shadow *s);
struct fl_shadow *fl_shadow_copy(const struct fl_shadow *s);
/* The word of a page: 0, or pfn << 3 | FL_READ | FL_WRITE | FL_EXEC. */
uint32_t fl_shadow_get(const struct fl_shadow *s, fl_va va);
/* Make room for [start, end), so that fl_shadow_set cannot fail. False: no memory. */
bool fl_shadow_reserve(struct fl_shadow *s, fl_va start, fl_va end);
void fl_shadow_set(struct fl_shadow *s, fl_va va, uint32_t word);
void fl_shadow_clear(struct fl_shadow *s, fl_va start, fl_va end);
/* The first mapped page at or above va and below end. False: none. */
bool fl_shadow_next(const struct fl_shadow *s, fl_va va, fl_va end, fl_va *found);
/* How many mappings the host needs for it. */
uint64_t fl_shadow_runs(const struct fl_shadow *s);
#define FL_SHADOW_WORD(pfn, allowed) ((uint32_t)(pfn) << 3 | (allowed))

/* hostmap.c: the host's mappings of the engine's memory. */
/* Map what the engine's tables allow for [start, end), a page range in engine VMAs. access: what the first page is for. */
int fl_hostmap_install(struct guest_mm *gm, fl_va start, fl_va end, enum fl_access access);
/* Unmap [start, end) of the engine's memory in the host. */
void fl_hostmap_drop(struct guest_mm *gm, fl_va start, fl_va end);
/* Take away what the tables do not allow any more. */
void fl_hostmap_reduce(struct guest_mm *gm, fl_va start, fl_va end);

/* leader.c: a thread group's leader that ends before its threads. */
void fl_leader_leaving(struct guest_thread *th);
void fl_leader_tick(struct guest *g);
/* In the thread's fiber, while it waits for its end. */
void fl_leader_left(struct guest_thread *th);

/* wait.c */
void fl_wait_status(struct guest_thread *th);
void fl_wait_tick(struct guest *g, uint64_t now);

/* deliver.c */
void fl_signal_stop(struct guest_thread *th);
bool fl_signal_passes(struct guest_thread *th, int sig);
/* A fault that is the guest's own: SIGSEGV or SIGBUS, which nobody can hold off. */
void fl_signal_force(struct guest_thread *th, int sig, int code, fl_va addr);
/* A set the guest has asked for: the part that is ours becomes virtual, the rest is the host's. */
void fl_mask_unblocked(struct guest_thread *th, uint64_t was_blocked);

/* fault.c: a SIGSEGV or SIGBUS of the host's making. True: it was ours, and is dealt with (resume, or pushed back). */
bool fl_fault_stop(struct guest_thread *th, const siginfo_t *si);
/* decode.c: what the instruction that faulted at addr wanted: FL_READ, FL_WRITE or FL_EXEC. */
/*
 * After a fault that was resolved: serve pages ahead of it where that is worth while. [*start, *end): the page with those.
 */
void fl_fault_ahead(struct guest_thread *th, const struct fl_fault *f, fl_va *start, fl_va *end);
enum fl_access fl_decode_access(struct guest_thread *th, fl_va addr);

/* sys_proc.c, exec.c, orphan.c */
void fl_clone_event(struct guest_thread *th);
void fl_exec_register(void);
void fl_children_register(void); /* children.c */
void fl_prctl_register(void);    /* prctl.c */
/* An orphan that runs in a copy of this address space, or in it: its id, or 0. */
pid_t fl_orphan_of(struct guest *g, struct guest_mm *gm);
/* Kill those that turn up when it is too late. */
void fl_orphan_sweep(struct guest *g, uint64_t now);
/* A status of such a one: true, and dealt with. */
bool fl_orphan_abandoned(struct guest *g, pid_t pid, int status);
/* May the agent's slot not be used again yet? Then fl_slot_give follows. */
bool fl_orphan_keeps_slot(struct guest *g, const struct fl_agent *a);
void fl_orphan_fini(struct guest *g);
/* The first stop of a new thread: its agent and its words, if it has memory of its own. */
void fl_thread_first_stop(struct guest_thread *th);

/* denied.c */
/* Before the guest runs: is userfaultfd forbidden by a filter that is there already? */
bool fl_denied_look(void);
/* A status of a thread, when it is: true, if it was one that only denied.c has to know, and the thread goes on. */
bool fl_denied_pass(struct guest_thread *th, int status);

/* affinity.c */
void fl_affinity_start(struct guest *g);
/* A new thread has inherited its maker's core. */
void fl_affinity_inherit(struct guest_thread *child, const struct guest_thread *maker);
void fl_affinity_gone(struct guest_thread *th);
/* The thread has stopped, and the supervisor is about to work for it. */
void fl_affinity_stop(struct guest_thread *th);
void fl_affinity_tick(struct guest *g, uint64_t now);

#endif
