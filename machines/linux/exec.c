/* SPDX-License-Identifier: MIT */
/*
 * execve and execveat.
 *
 * The call runs natively. If it fails with EFAULT the strings may only not be there yet: they are faulted in and the
 * call is made again, which is safe because it fails with nothing changed. When it succeeds the thread has a new address
 * space, alone, and perhaps a new id: the old space is left, a new engine mm is filled with what the host has mapped, hidden pages and
 * agent are made, before the program's first instruction.
 *
 * No locks: one OS thread.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/host.h"

#define STRING_MAX (128u << 10)
#define STRINGS_MAX 100000u

/* Make a string resident up to its NUL. */
static bool string_resident(struct guest_thread *th, fl_va va)
{
	char buf[FL_PAGE];

	for (uint64_t done = 0; done < STRING_MAX;) {
		uint64_t n = FL_PAGE - ((va + done) & (FL_PAGE - 1));

		if (fl_make_resident(th, va + done, n, FL_READ) != n)
			return false;
		if (fl_copy_from_user(&th->task, buf, va + done, n))
			return false;
		if (memchr(buf, 0, n))
			return true;
		done += n;
	}
	return true;
}

static bool array_resident(struct guest_thread *th, fl_va va)
{
	uint64_t pointer;

	for (unsigned i = 0; va && i < STRINGS_MAX; i++, va += sizeof(pointer)) {
		if (fl_make_resident(th, va, sizeof(pointer), FL_READ) != sizeof(pointer) ||
		    fl_copy_from_user(&th->task, &pointer, va, sizeof(pointer)))
			return false;
		if (!pointer)
			break;
		if (!string_resident(th, pointer))
			return false;
	}
	return true;
}

static bool strings_resident(struct guest_thread *th, unsigned path, unsigned argv, unsigned envp)
{
	return string_resident(th, fl_arg(th, path)) && array_resident(th, fl_arg(th, argv)) &&
	       array_resident(th, fl_arg(th, envp));
}

static void refuse(struct guest_thread *th, const char *path, const char *why)
{
	fprintf(stderr, "faultline: %s: %s\n", path, why);
	fl_proc_kill(th->proc);
}

/* Are all others in this address space threads of the same process, and so gone by the exec? */
static bool alone_in(struct guest_thread *th, struct guest_mm *gm)
{
	for (struct guest_thread *t = th->g->threads; t; t = t->next) {
		if (t->mm == gm && t->proc != th->proc)
			return false;
	}
	return true;
}

/* Leave the old address space. The id of its agent, a child of this process, if it has ended; else 0. */
static pid_t leave(struct guest_thread *th)
{
	struct guest_mm *old = th->mm;
	pid_t agent = 0;

	fl_task_switch_mm(&th->task, NULL);
	th->mm = NULL;
	if (!old)
		return 0;
	if (alone_in(th, old)) {
		agent = old->agent ? old->agent->pid : 0;
		fl_agent_end(old, NULL);
	}
	fl_space_put(old);
	return agent;
}

static bool program_ok(struct guest_thread *th, char *path)
{
	char link[64], status[64];
	const char *why;
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)th->tid);
	snprintf(status, sizeof(status), "/proc/%d", (int)th->tid);
	n = readlink(link, path, PATH_MAX - 1);
	path[n < 0 ? 0 : n] = 0;
	why = fl_program_refusal(link, stat(status, &st) ? 0 : st.st_uid);
	if (why)
		refuse(th, path, why);
	return !why;
}

static void thread_facts_reset(struct guest_thread *th)
{
	th->clear_child_tid = 0;
	th->child_settid = 0;
	th->robust_list = 0;
	th->robust_len = 0;
	th->bounce = 0;
	th->bounce_size = 0;
	th->altstack.sp = 0;
	th->altstack.size = 0;
	th->altstack.flags = 2; /* SS_DISABLE */
	th->proc->exec_seen = true;
}

/* At PTRACE_EVENT_EXEC. Leaves the thread at the end of execve, ready for its program's first instruction. */
static void exec_done(struct guest_thread *th)
{
	char path[PATH_MAX];
	pid_t old_agent = leave(th);
	int r = 0;

	thread_facts_reset(th);
	th->task.tid = (uint32_t)th->tid;
	if (!program_ok(th, path))
		return;
	th->mm = fl_space_create(th);
	if (!th->mm || fl_sighand_exec(th->proc)) {
		refuse(th, path, "no memory for a new address space");
		return;
	}
	fl_task_switch_mm(&th->task, th->mm->mm);
	fl_resume(th, FL_TO_EXIT, 0);
	if (!fl_next_event(th))
		return;
	if (th->event.stop != FL_STOP_EXIT_OF_CALL) {
		fl_push_back(th);
		return;
	}
	if (th->g->obs->exec)
		th->g->obs->exec(th->g->obs->arg, th, path);
	r = fl_space_enter_maps(th);
	if (!r)
		r = fl_agent_boot(th);
	if (r && !th->dead && !th->dying) {
		char why[128];

		snprintf(why, sizeof(why), "the hidden pages cannot be made: %s", strerror(-r));
		refuse(th, path, why);
		return;
	}
	if (old_agent)
		fl_inject(th, SYS_wait4, (uint64_t)old_agent, 0, 0x40000000 /* __WALL */ | 1, 0, 0, 0);
	fl_carrier_exec(th->proc);
}

static void exec_with(struct guest_thread *th, unsigned path, unsigned argv, unsigned envp)
{
	bool tried = false;

	for (;;) {
		fl_resume(th, FL_TO_EXIT, 0);
		if (!fl_next_event(th))
			return;
		if (th->event.stop == FL_STOP_EXEC) {
			exec_done(th);
			return;
		}
		if (th->event.stop != FL_STOP_EXIT_OF_CALL) {
			fl_push_back(th);
			return;
		}
		if ((int64_t)fl_regs(th)->rax != -FL_EFAULT || tried || !th->mm)
			return;
		tried = true;
		if (!strings_resident(th, path, argv, envp) || fl_call_again(th) != 1)
			return;
	}
}

static void sys_execve(struct guest_thread *th)
{
	exec_with(th, 0, 1, 2);
}

static void sys_execveat(struct guest_thread *th)
{
	exec_with(th, 1, 2, 3);
}

void fl_exec_register(void)
{
	fl_sys_register(SYS_execve, FL_SYS_ALWAYS, 0, sys_execve);
	fl_sys_register(SYS_execveat, FL_SYS_ALWAYS, 0, sys_execveat);
}
