/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: the engine's mm with what belongs to it on the host's side, the machine ops, and the gate of fork.
 *
 * Users are the guest threads in it and a fork on its way. When the last one leaves, the agent ends first; from then on
 * nobody can touch a frame, and the engine's mm gives its frames back.
 *
 * Gate: between the engine's fork and the host's, nothing new may be mapped in the parent: the child would inherit what its
 * tables do not know. What is unmapped meanwhile does no harm: the child's shadow, copied before, is an upper bound.
 *
 * No locks: one OS thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "linux/mem.h"

#define BRK_RANDOM_PAGES 0x2000u
#define NO_RANDOM 0x0040000

static void op_flush(void *machine, fl_va start, fl_va end, enum fl_flush_kind kind)
{
	struct guest_mm *gm = machine;

	if (kind == FL_FLUSH_UNMAP)
		fl_hostmap_drop(gm, start, end);
	else
		fl_hostmap_reduce(gm, start, end);
}

static size_t op_read(void *machine, void *dst, fl_va va, size_t n)
{
	return fl_host_read(machine, dst, va, n);
}

static size_t op_write(void *machine, fl_va va, const void *src, size_t n)
{
	return fl_host_write(machine, va, src, n);
}

static struct guest_mm *alloc(struct guest *g)
{
	struct guest_mm *gm = calloc(1, sizeof(*gm));

	if (!gm)
		return NULL;
	gm->g = g;
	gm->users = 1;
	gm->id = ++g->host->next_mm_id;
	gm->bounce_next = FL_HIDDEN_BOUNCE;
	gm->next = g->mms;
	g->mms = gm;
	return gm;
}

static void unlink_space(struct guest_mm *gm)
{
	struct guest_mm **p = &gm->g->mms;

	while (*p != gm)
		p = &(*p)->next;
	*p = gm->next;
	fl_shadow_destroy(gm->shadow);
	fl_ahead_free(gm->ahead);
	free(gm);
}

/* The child's context. Its shadow is the parent's of this moment: rights have been taken away already, or will be. */
static void *op_fork(void *machine, struct fl_mm *child)
{
	struct guest_mm *parent = machine, *gm = alloc(parent->g);

	if (!gm)
		return NULL;
	gm->mm = child;
	gm->brk_start = parent->brk_start;
	gm->host_hi = parent->host_hi;
	gm->stack_start = parent->stack_start;
	gm->stack_end = parent->stack_end;
	gm->vdso = parent->vdso;
	gm->made_slot = parent->agent ? parent->agent->slot : 0;
	return gm;
}

/* The engine's mm is gone, so is the rest. */
static void op_drop(void *machine)
{
	unlink_space(machine);
}

const struct fl_machine_ops fl_linux_ops = {
	.flush = op_flush,
	.foreign_read = op_read,
	.foreign_write = op_write,
	.fork = op_fork,
	.drop = op_drop,
};

/* How far the heap starts above its fixed place, as the host would randomize it. */
static uint64_t brk_offset(pid_t pid)
{
	char path[64];
	unsigned long personality = 0;
	uint32_t random = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/personality", (int)pid);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%lx", &personality) != 1)
			personality = 0;
		fclose(f);
	}
	if (personality & NO_RANDOM || getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		return 0;
	return random % BRK_RANDOM_PAGES * FL_PAGE;
}

struct guest_mm *fl_space_create(struct guest_thread *th)
{
	struct guest *g = th->g;
	struct guest_mm *gm = alloc(g);
	struct fl_mm_config c = {
		.arch = &fl_arch_x86_64,
		.frames = g->frames,
		.ops = &fl_linux_ops,
		.machine = gm,
		.mmap_lo = FL_ENGINE_MMAP_LO,
		.mmap_hi = FL_ENGINE_MMAP_HI,
		.min_addr = 0x10000,
	};
	struct fl_limits l;

	if (!gm)
		return NULL;
	fl_limits_get(th->tid, &l);
	c.limit_as = l.as;
	c.limit_data = l.data;
	c.limit_memlock = l.memlock;
	c.limit_stack = l.stack;
	gm->brk_start = FL_ENGINE_BRK + brk_offset(th->tid);
	c.brk = gm->brk_start;
	gm->shadow = fl_shadow_create();
	if (!gm->shadow || fl_mm_create(&c, &gm->mm)) {
		unlink_space(gm);
		return NULL;
	}
	return gm;
}

void fl_space_get(struct guest_mm *gm)
{
	gm->users++;
}

void fl_space_put(struct guest_mm *gm)
{
	if (--gm->users)
		return;
	fl_agent_end(gm, NULL);
	fl_mm_put(gm->mm); /* op_drop frees gm, when tasks on their way out have let go as well */
}

void fl_gate_wait(struct guest_thread *th)
{
	th->at_gate = true;
	while (th->mm->gate)
		fl_fiber_block();
	th->at_gate = false;
}

void fl_gate_drop(struct guest_mm *gm)
{
	if (--gm->gate)
		return;
	for (struct guest_thread *th = gm->g->threads; th; th = th->next) {
		if (th->mm == gm && th->at_gate)
			fl_fiber_wake(th->fiber);
	}
}

bool fl_unwatched_in(struct guest_mm *gm)
{
	for (struct guest_thread *th = gm->g->threads; th; th = th->next) {
		if (th->mm == gm && th->unwatched)
			return true;
	}
	return false;
}

/* Such calls never wait: an interrupt shows soon that they are over. The gate keeps new ones from beginning unwatched. */
static void see_unwatched(struct guest_thread *th)
{
	for (struct guest_thread *t = th->g->threads; t; t = t->next) {
		if (t->mm == th->mm && t->unwatched)
			ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL);
	}
	th->at_gate = true;
	while (fl_unwatched_in(th->mm) && !th->queue_len)
		fl_fiber_block();
	th->at_gate = false;
}

void fl_call_seen(struct guest_thread *th)
{
	th->unwatched = false;
	for (struct guest_thread *t = th->g->threads; t; t = t->next) {
		if (t->mm == th->mm && t->at_gate)
			fl_fiber_wake(t->fiber);
	}
}

/* Pages that may be written are the program's alone: only a fork or an eviction could take them away. */
bool fl_call_unwatched(struct guest_thread *th, int fd, fl_va va, size_t n)
{
	char path[64];
	struct stat st;

	if (th->mm->gate || !fl_is_resident(th, va, n, FL_WRITE))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)th->tid, fd);
	if (stat(path, &st) || !(S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))))
		return false;
	th->unwatched = true;
	return true;
}

struct guest_mm *fl_space_fork(struct guest_thread *th)
{
	struct guest_mm *parent = th->mm, *gm;
	struct fl_vma_info vma;
	struct fl_mm *child;

	while (parent->gate)
		fl_gate_wait(th);
	parent->gate++;
	see_unwatched(th);
	/* The child must not inherit the mappings of what its tables leave out or begin afresh. */
	for (fl_va va = 0; fl_mm_next_vma(parent->mm, va, &vma); va = vma.end) {
		if (vma.vm_flags & (FL_VM_DONTCOPY | FL_VM_WIPEONFORK) && !(vma.vm_flags & FL_VM_FOREIGN))
			fl_hostmap_drop(parent, vma.start, vma.end);
	}
	if (th->dead || th->dying || fl_mm_fork(&th->task, &child)) {
		fl_gate_drop(parent);
		return NULL;
	}
	gm = fl_mm_machine(child);
	gm->shadow = fl_shadow_copy(parent->shadow);
	if (!gm->shadow || !fl_ahead_copy(gm, parent)) {
		fl_gate_drop(parent);
		fl_mm_put(child);
		return NULL;
	}
	return gm;
}
