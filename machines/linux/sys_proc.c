/* SPDX-License-Identifier: MIT */
/*
 * The fork family: fork, vfork, clone, clone3; and the calls that tell the kernel where to write at a thread's end.
 *
 * What the child is follows from the flags: CLONE_THREAD shares everything, CLONE_VM shares the address space (vfork,
 * posix_spawn), neither is a fork and copies it (fork.c). The child is entered in the tables at the parent's event,
 * before the parent goes on. If the parent dies between the child's making and its event, the child is found by the
 * control page that it has inherited (orphan.c).
 *
 * No locks: one OS thread.
 */
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "linux/host.h"
#include "linux/io.h"

/* The kernel's struct clone_args, as far as it is used. */
struct wanted {
	uint64_t flags;
	uint64_t exit_signal;
	fl_va child_tid, parent_tid, pidfd; /* clone: the last two are one */
};

#define CLONE3_FLAGS_SIZE 8
#define CLONE3_MIN 64

static bool read_clone3(struct guest_thread *th, struct wanted *w)
{
	struct clone_args a;
	fl_va va = fl_arg(th, 0);
	uint64_t size = fl_arg(th, 1);

	memset(&a, 0, sizeof(a));
	if (size < CLONE3_MIN)
		return false;
	if (fl_copy_from_user(&th->task, &a, va, size < sizeof(a) ? size : sizeof(a)))
		return false;
	w->flags = a.flags;
	w->exit_signal = a.exit_signal;
	w->child_tid = a.child_tid;
	w->parent_tid = a.parent_tid;
	w->pidfd = a.pidfd;
	fl_make_resident(th, va, size < FL_PAGE ? size : FL_PAGE, FL_READ);
	/* A task that nobody traces would run without the engine. */
	if (a.flags & CLONE_UNTRACED) {
		a.flags &= ~(uint64_t)CLONE_UNTRACED;
		if (fl_copy_to_user(&th->task, va, &a.flags, CLONE3_FLAGS_SIZE))
			return false;
	}
	return true;
}

/* What the call asks for. False: the kernel will refuse it. */
static bool read_call(struct guest_thread *th, struct wanted *w)
{
	*w = (struct wanted){.exit_signal = SIGCHLD};
	switch (fl_regs(th)->orig_rax) {
	case SYS_fork:
		return true;
	case SYS_vfork:
		w->flags = CLONE_VFORK | CLONE_VM;
		return true;
	case SYS_clone:
		if (fl_arg(th, 0) & CLONE_UNTRACED)
			fl_set_arg(th, 0, fl_arg(th, 0) & ~(uint64_t)CLONE_UNTRACED);
		w->flags = fl_arg(th, 0) & ~0xffull;
		w->exit_signal = fl_arg(th, 0) & 0xff;
		w->parent_tid = fl_arg(th, 2);
		w->pidfd = w->parent_tid;
		w->child_tid = fl_arg(th, 3);
		return true;
	default:
		return read_clone3(th, w);
	}
}

/* The words that the kernel writes without a way to retry. */
static void words_resident(struct guest_thread *th, const struct wanted *w)
{
	if (w->flags & CLONE_PARENT_SETTID)
		fl_make_resident(th, w->parent_tid, 4, FL_WRITE);
	if (w->flags & CLONE_PIDFD)
		fl_make_resident(th, w->pidfd, 4, FL_WRITE);
	if (w->flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID))
		fl_make_resident(th, w->child_tid, 4, FL_WRITE);
}

static struct guest_proc *child_proc(struct guest_thread *th, const struct wanted *w, pid_t pid)
{
	struct fl_sighand *s = th->proc->sighand;
	struct guest_proc *p;

	if (w->flags & CLONE_THREAD)
		return th->proc;
	if (!(w->flags & CLONE_SIGHAND)) {
		s = fl_sighand_create(s);
		if (!s)
			return NULL;
		for (unsigned i = 1; i <= 64 && (w->flags & CLONE_CLEAR_SIGHAND); i++) {
			if (s->action[i].handler > 1)
				s->action[i] = (struct fl_sigaction){0};
		}
	}
	p = fl_proc_create(th->g, pid, s);
	if (!p) {
		if (!s->users)
			free(s);
		return NULL;
	}
	fl_carrier_fork(th->proc, p);
	return p;
}

/*
 * Enter the child in the tables. gm: its address space. args: what its argument registers shall hold; NULL: what they
 * do.
 */
static void child_enter(struct guest_thread *th, const struct wanted *w, pid_t tid, struct guest_mm *gm,
			const uint64_t args[6])
{
	struct guest_proc *proc = child_proc(th, w, tid);
	struct guest_thread *child = proc ? fl_thread_create(th->g, tid, proc, gm) : NULL;

	if (!child) {
		kill(tid, SIGKILL);
		return;
	}
	child->virt_blocked = th->virt_blocked;
	fl_affinity_inherit(child, th);
	/* An alternate stack is lost by those who share the memory, but for vfork's child. */
	if (!(w->flags & CLONE_VM) || (w->flags & CLONE_VFORK)) {
		child->altstack.sp = th->altstack.sp;
		child->altstack.size = th->altstack.size;
		child->altstack.flags = th->altstack.flags;
	}
	if (w->flags & CLONE_CHILD_CLEARTID)
		child->clear_child_tid = w->child_tid;
	child->fresh_space = !(w->flags & CLONE_VM);
	child->fresh_args = args != NULL;
	if (args)
		memcpy(child->restart.args, args, sizeof(child->restart.args));
	child->child_settid = w->flags & CLONE_CHILD_SETTID ? w->child_tid : 0;
}

/*
 * Run the call up to the child's event. Returns the child's id, or 0: no child, and the thread is in the stop that came
 * instead (the end of the call, or its own end, pushed back).
 */
static pid_t run_to_child(struct guest_thread *th)
{
	fl_resume(th, FL_TO_EXIT, 0);
	if (!fl_next_event(th))
		return 0;
	if (th->event.stop == FL_STOP_CLONE)
		return (pid_t)th->event.msg;
	if (th->event.stop != FL_STOP_EXIT_OF_CALL)
		fl_push_back(th);
	return 0;
}

/*
 * While a fork is on its way nothing of the engine's is writable in the parent, so the kernel's words about the child
 * cannot go where the guest wants them: the call gets a place in the bounce buffer instead, and they are copied after
 * it.
 */
struct redirected {
	fl_va at; /* in the bounce buffer; 0: nothing is redirected */
	uint64_t args[6];
	struct {
		struct clone_args a;
		uint32_t parent_tid, pidfd;
	} image;
};

static bool redirect(struct guest_thread *th, const struct wanted *w, struct redirected *r)
{
	fl_va words;
	uint64_t size = fl_arg(th, 1);

	r->at = 0;
	fl_io_args(th, r->args);
	if (!(w->flags & (CLONE_PARENT_SETTID | CLONE_PIDFD)))
		return true;
	memset(&r->image, 0, sizeof(r->image));
	if (fl_regs(th)->orig_rax == SYS_clone3) {
		/* What the kernel knows and we do not is not copied; it judges that for itself. */
		if (size > sizeof(r->image.a))
			return true;
		if (fl_copy_from_user(&th->task, &r->image.a, fl_arg(th, 0), size))
			return false;
	}
	r->at = fl_io_bounce(th, sizeof(r->image));
	if (!r->at)
		return false;
	words = r->at + offsetof(__typeof__(r->image), parent_tid);
	if (w->flags & CLONE_PARENT_SETTID)
		r->image.a.parent_tid = words;
	if (w->flags & CLONE_PIDFD)
		r->image.a.pidfd = words + sizeof(uint32_t);
	if (!fl_io_bounce_write(th, r->at, &r->image, sizeof(r->image)))
		return false;
	if (fl_regs(th)->orig_rax == SYS_clone3)
		fl_set_arg(th, 0, r->at);
	else
		fl_set_arg(th, 2, w->flags & CLONE_PIDFD ? r->image.a.pidfd : words);
	return true;
}

/* Made or not: the guest's registers as they were, and its words if there is a child. */
static void redirect_back(struct guest_thread *th, const struct wanted *w, struct redirected *r, pid_t tid)
{
	fl_io_restore(th, r->args);
	if (!tid || !fl_io_bounce_read(th, &r->image, r->at, sizeof(r->image)))
		return;
	/* That they cannot be written does not undo the child. */
	if (w->flags & CLONE_PARENT_SETTID &&
	    fl_copy_to_user(&th->task, w->parent_tid, &r->image.parent_tid, sizeof(uint32_t)))
		return;
	if (w->flags & CLONE_PIDFD && fl_copy_to_user(&th->task, w->pidfd, &r->image.pidfd, sizeof(uint32_t)))
		return;
}

static void fork_space(struct guest_thread *th, const struct wanted *w)
{
	struct guest_mm *parent = th->mm, *gm;
	struct redirected words;
	pid_t tid;

	if (!redirect(th, w, &words)) {
		if (!th->dead && !th->dying)
			fl_skip_syscall(th, -FL_ENOMEM);
		return;
	}
	gm = fl_space_fork(th);
	if (!gm) {
		if (!th->dead && !th->dying) {
			fl_io_restore(th, words.args);
			fl_skip_syscall(th, -FL_ENOMEM);
		}
		return;
	}
	tid = run_to_child(th);
	if (!tid && (th->dead || th->dying))
		tid = fl_orphan_of(th->g, parent);
	if (tid)
		child_enter(th, w, tid, gm, words.at ? words.args : NULL);
	fl_gate_drop(parent);
	fl_space_put(gm);
	if (words.at && !th->dead && !th->dying && !th->pushed_back)
		redirect_back(th, w, &words, tid);
}

static void sys_fork(struct guest_thread *th)
{
	struct wanted w;
	pid_t tid;

	if (!read_call(th, &w))
		return;
	words_resident(th, &w);
	if ((w.flags & CLONE_FILES) && !(w.flags & CLONE_THREAD))
		fl_carrier_share(th);
	if (th->dead || th->dying)
		return;
	if (!(w.flags & CLONE_VM)) {
		fork_space(th, &w);
		return;
	}
	tid = run_to_child(th);
	if (!tid && (th->dead || th->dying))
		tid = fl_orphan_of(th->g, th->mm);
	if (tid)
		child_enter(th, &w, tid, th->mm, NULL);
}

void fl_thread_first_stop(struct guest_thread *th)
{
	uint32_t tid = (uint32_t)th->tid;
	int r;

	th->fresh_space = false;
	r = fl_agent_fork(th);
	if (th->dead || th->dying)
		return;
	if (r) {
		fprintf(stderr, "faultline: process %d is killed: its hidden pages cannot be made: %s\n", (int)th->tid,
			strerror(-r));
		fl_proc_kill(th->proc);
		return;
	}
	if (th->fresh_args)
		fl_io_restore(th, th->restart.args);
	th->fresh_args = false;
	/* The parent's bounce buffers are of no use here. */
	fl_agent_call(th->mm, SYS_munmap, FL_HIDDEN_BOUNCE, FL_HIDDEN_END - FL_HIDDEN_BOUNCE, 0, 0, 0, 0);
	/* The kernel has tried to write its id before the page could be there. */
	if (th->child_settid && fl_copy_to_user(&th->task, th->child_settid, &tid, sizeof(tid)))
		th->child_settid = 0;
}

void fl_clone_event(struct guest_thread *th)
{
	/* Every way to make a task is stopped before; this one has slipped through. */
	kill((pid_t)th->event.msg, SIGKILL);
}

static void sys_set_tid_address(struct guest_thread *th)
{
	th->clear_child_tid = fl_arg(th, 0);
}

static void sys_set_robust_list(struct guest_thread *th)
{
	int64_t result;
	fl_va head = fl_arg(th, 0);
	uint64_t len = fl_arg(th, 1);

	if (fl_run_syscall(th, &result) || result)
		return;
	th->robust_list = head;
	th->robust_len = len;
}

static void sys_ptrace(struct guest_thread *th)
{
	if (th->g->obs->refused)
		th->g->obs->refused(th->g->obs->arg, th, "ptrace");
	fl_skip_syscall(th, -FL_EPERM);
}

void fl_proc_register(void)
{
	fl_sys_register(SYS_fork, FL_SYS_ALWAYS, 0, sys_fork);
	fl_sys_register(SYS_vfork, FL_SYS_ALWAYS, 0, sys_fork);
	fl_sys_register(SYS_clone, FL_SYS_ALWAYS, 0, sys_fork);
	fl_sys_register(SYS_clone3, FL_SYS_ALWAYS, 0, sys_fork);
	fl_sys_register(SYS_set_tid_address, FL_SYS_ALWAYS, 0, sys_set_tid_address);
	fl_sys_register(SYS_set_robust_list, FL_SYS_ALWAYS, 0, sys_set_robust_list);
	fl_sys_register(SYS_rseq, FL_SYS_ENOSYS, 0, NULL);
	fl_sys_register(SYS_ptrace, FL_SYS_ALWAYS, 0, sys_ptrace);
	fl_exec_register();
	fl_children_register();
	fl_prctl_register();
}
