/* SPDX-License-Identifier: MIT */
/*
 * The agent: a hidden task in each host address space that makes the host's mapping calls.
 *
 * Its life: cloned from a guest thread (CLONE_VM and nothing else shared, exit signal 0), taken at its first stop, given all
 * signals blocked and the loop's registers, and never stopped again. It leaves the guest's session, closes every descriptor but the
 * memory file, and from then on sleeps on its control page. It ends when its address space has lost its last
 * guest thread, or with the supervisor (EXITKILL). If it is killed, its guest cannot go on, and is killed.
 *
 * A call is synchronous: the supervisor sleeps on the control page, and looks at least every 20 ms whether the agent still lives.
 * Nothing that the agent or the guest writes into the control page is trusted beyond being a result.
 *
 * No locks: one OS thread. Control page words: the supervisor writes request, the agent done.
 */
#include <errno.h>
#include <linux/futex.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/host.h"

#define LOOP_OFFSET 16
#define CHECK_NS 20000000

extern const uint8_t fl_blob_start[], fl_blob_end[];

FL_STATIC_ASSERT(sizeof(struct fl_ctl) <= FL_HIDDEN_SCRATCH - FL_HIDDEN_CTL, "scratch is behind the control block");
FL_STATIC_ASSERT(sizeof(struct fl_raw_call) == 64, "the blob knows the size");

static uint64_t slot_offset(const struct guest *g, uint32_t slot)
{
	return g->arena_bytes + FL_PAGE * (1 + slot);
}

/* The memory file: frames, then code, then control pages. */
int fl_hidden_init(struct guest *g)
{
	struct fl_host *h = g->host;
	uint64_t tail = FL_PAGE * (1 + FL_SLOTS);
	void *p;

	g->memfd = memfd_create("faultline", MFD_CLOEXEC);
	if (g->memfd < 0 || ftruncate(g->memfd, (off_t)(g->arena_bytes + tail)))
		return -errno;
	p = mmap(NULL, g->arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, g->memfd, 0);
	if (p == MAP_FAILED)
		return -errno;
	g->arena = p;
	p = mmap(NULL, tail, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, g->memfd, (off_t)g->arena_bytes);
	if (p == MAP_FAILED)
		return -errno;
	h->control = p;
	memcpy(h->control, fl_blob_start, (size_t)(fl_blob_end - fl_blob_start));
	prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

void fl_hidden_fini(struct guest *g)
{
	if (g->arena)
		munmap(g->arena, g->arena_bytes);
	if (g->host->control)
		munmap(g->host->control, FL_PAGE * (1 + FL_SLOTS));
	if (g->memfd >= 0)
		close(g->memfd);
	if (g->host->giver > 0)
		close(g->host->giver);
}

static bool slot_take(struct fl_host *h, uint32_t *slot)
{
	for (uint32_t i = 0; i < FL_SLOTS / 64; i++) {
		if (~h->slot_used[i]) {
			uint32_t bit = (uint32_t)__builtin_ctzll(~h->slot_used[i]);

			h->slot_used[i] |= 1ull << bit;
			*slot = i * 64 + bit;
			return true;
		}
	}
	return false;
}

void fl_slot_give(struct guest *g, uint32_t slot)
{
	g->host->slot_used[slot / 64] &= ~(1ull << (slot % 64));
}

static struct fl_agent *agent_alloc(struct guest_mm *gm)
{
	struct fl_host *h = gm->g->host;
	struct fl_agent *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	if (!slot_take(h, &a->slot)) {
		free(a);
		return NULL;
	}
	a->gm = gm;
	a->ctl = (struct fl_ctl *)(void *)(h->control + FL_PAGE * (1 + a->slot));
	memset(a->ctl, 0, 16);
	return a;
}

static void agent_free(struct guest *g, struct fl_agent *a)
{
	struct fl_agent **p = &g->host->agents;

	while (*p && *p != a)
		p = &(*p)->next;
	if (*p)
		*p = a->next;
	if (!fl_orphan_keeps_slot(g, a))
		fl_slot_give(g, a->slot);
	free(a);
}

static long futex(uint32_t *word, int op, uint32_t value, const struct timespec *t)
{
	return syscall(SYS_futex, word, op, value, t, NULL, 0);
}

static void agent_lost(struct fl_agent *a)
{
	a->gone = true;
	fl_mm_kill(a->gm, "its hidden helper task has been killed");
}

/* What has become of it while we waited. False: it is gone. */
static bool agent_alive(struct fl_agent *a)
{
	int status;
	pid_t pid = waitpid(a->pid, &status, __WALL | WNOHANG);

	if (pid == a->pid && WIFSTOPPED(status))
		ptrace(PTRACE_CONT, a->pid, NULL, NULL); /* SIGSTOP, which nobody can block */
	else if (pid == a->pid || (pid < 0 && errno == ECHILD))
		agent_lost(a);
	return !a->gone;
}

static int agent_run(struct fl_agent *a, uint32_t n)
{
	static const struct timespec check = {.tv_nsec = CHECK_NS};
	struct fl_ctl *ctl = a->ctl;
	uint32_t request = ctl->request + 1;

	ctl->n = n;
	__atomic_store_n(&ctl->request, request, __ATOMIC_SEQ_CST); /* its partner: the loop's load of request */
	futex(&ctl->request, FUTEX_WAKE, 1, NULL);
	for (;;) {
		uint32_t done = __atomic_load_n(&ctl->done, __ATOMIC_SEQ_CST);

		if (done == request)
			return 0;
		/* The event loop's timer interrupts the wait before it times out, if it runs. */
		if (futex(&ctl->done, FUTEX_WAIT, done, &check) && errno != EAGAIN && !agent_alive(a))
			return -FL_ESRCH;
	}
}

int fl_agent_batch(struct guest_mm *gm, struct fl_raw_call *calls, unsigned n)
{
	struct fl_agent *a = gm->agent;

	if (!a || a->gone || gm->broken)
		return -FL_ESRCH;
	memcpy(a->ctl->calls, calls, n * sizeof(*calls));
	if (agent_run(a, n))
		return -FL_ESRCH;
	for (unsigned i = 0; i < n; i++)
		calls[i].result = a->ctl->calls[i].result;
	return 0;
}

int64_t fl_agent_call(struct guest_mm *gm, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
		      uint64_t a5)
{
	struct fl_raw_call c = {.nr = nr, .args = {a0, a1, a2, a3, a4, a5}};

	return fl_agent_batch(gm, &c, 1) ? -FL_ESRCH : c.result;
}

void *fl_scratch(struct guest_thread *th)
{
	return (uint8_t *)th->mm->agent->ctl + (FL_HIDDEN_SCRATCH - FL_HIDDEN_CTL);
}

bool fl_agent_status(struct guest *g, pid_t pid, int status)
{
	struct fl_agent *a = g->host->agents;

	while (a && a->pid != pid)
		a = a->next;
	if (!a)
		return false;
	if (WIFSTOPPED(status))
		ptrace(PTRACE_CONT, pid, NULL, NULL);
	else
		agent_lost(a);
	return true;
}

/* The new task's first stop, wherever its status is. */
static bool first_stop(struct guest *g, pid_t pid)
{
	int status;

	if (fl_orphan_take(g, pid, &status))
		return WIFSTOPPED(status);
	while (waitpid(pid, &status, __WALL) != pid) {
		if (errno != EINTR)
			return false;
	}
	return WIFSTOPPED(status);
}

/* Make the task, from a thread in which the code page and the control page are mapped. fd: of the memory file, in the guest. */
static int agent_start(struct guest_thread *th, struct fl_agent *a, uint64_t fd)
{
	struct user_regs_struct regs;
	uint64_t all = ~0ull;
	int64_t r;

	r = fl_inject_clone(th, CLONE_VM, &a->pid);
	if (r < 0 || !a->pid)
		return r < 0 ? (int)r : -FL_ESRCH;
	if (!first_stop(th->g, a->pid))
		return -FL_ESRCH;
	a->core = -1;
	fl_agent_id(th->g, a->pid, true);
	ptrace(PTRACE_GETREGS, a->pid, NULL, &regs);
	regs.rip = FL_HIDDEN_CODE + LOOP_OFFSET;
	regs.r15 = FL_HIDDEN_CTL;
	regs.r14 = 0;
	regs.rsp = 0;
	regs.orig_rax = (unsigned long long)-1;
	ptrace(PTRACE_SETREGS, a->pid, NULL, &regs);
	ptrace(PTRACE_SETSIGMASK, a->pid, (void *)sizeof(all), &all);
	ptrace(PTRACE_SETOPTIONS, a->pid, NULL, PTRACE_O_EXITKILL);
	fl_limits_lift(a->pid);
	a->next = th->g->host->agents;
	th->g->host->agents = a;
	th->mm->agent = a;
	ptrace(PTRACE_CONT, a->pid, NULL, NULL);

	struct fl_raw_call leave[] = {
		{.nr = SYS_setsid},
		{.nr = SYS_close_range, .args = {fd + 1, UINT32_MAX, 0}},
		{.nr = SYS_close_range, .args = {0, fd - 1, 0}},
	};
	th->mm->agent_fd = fd;
	return fl_agent_batch(th->mm, leave, fd ? 3 : 2);
}

static int agent_make(struct guest_thread *th, uint64_t fd, struct fl_agent *a)
{
	int64_t r = agent_start(th, a, fd);

	if (r && th->mm->agent != a) {
		fl_slot_give(th->g, a->slot);
		free(a);
	}
	return (int)r;
}

/* The control page and the agent, from the memory file that the guest has as fd for the moment. */
static int agent_join(struct guest_thread *th, uint64_t fd)
{
	struct guest *g = th->g;
	struct fl_agent *a = agent_alloc(th->mm);
	int64_t r;

	if (!a)
		return -FL_ENOMEM;
	r = fl_inject(th, SYS_mmap, FL_HIDDEN_CTL, FL_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		      slot_offset(g, a->slot));
	if (r < 0) {
		agent_free(g, a);
		return (int)r;
	}
	r = agent_make(th, fd, a);
	fl_inject(th, SYS_close, fd, 0, 0, 0, 0, 0);
	return (int)r;
}

int fl_agent_boot(struct guest_thread *th)
{
	int64_t fd, r;

	fd = fl_memfile_open(th, true);
	if (fd < 0)
		return (int)fd;
	r = fl_inject_early(th, SYS_mmap, FL_HIDDEN_CODE, FL_PAGE, PROT_READ | PROT_EXEC,
			    MAP_SHARED | MAP_FIXED_NOREPLACE, (uint64_t)fd, th->g->arena_bytes);
	if (r < 0)
		return (int)r;
	return agent_join(th, (uint64_t)fd);
}

int fl_agent_fork(struct guest_thread *th)
{
	int64_t fd = fl_memfile_open(th, false);

	if (fd < 0)
		return (int)fd;
	return agent_join(th, (uint64_t)fd);
}

void fl_agent_end(struct guest_mm *gm, struct guest_thread *reap)
{
	struct fl_agent *a = gm->agent;
	int status;

	if (!a)
		return;
	gm->agent = NULL;
	fl_ended_note(gm->g, a->pid);
	if (!a->gone) {
		kill(a->pid, SIGKILL);
		while (waitpid(a->pid, &status, __WALL) == a->pid ? WIFSTOPPED(status) : errno == EINTR)
			ptrace(PTRACE_CONT, a->pid, NULL, NULL);
	}
	if (reap)
		fl_inject(reap, SYS_wait4, (uint64_t)a->pid, 0, __WALL | WNOHANG, 0, 0, 0);
	agent_free(gm->g, a);
}
