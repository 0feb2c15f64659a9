/* SPDX-License-Identifier: MIT */
/*
 * prctl, and the guest's own seccomp filters.
 *
 * A filter of the guest's would also judge the calls that are injected into its threads, and those of the agents that
 * are made after it. So each gets a few instructions in front that let calls from the hidden code page pass; no other
 * code can make calls from there.
 *
 * No locks: one OS thread, and fibers switch only where something waits.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faultline/compiler.h"
#include "linux/host.h"
#include "linux/io.h"

#define NAME_BYTES 16

/* The kernel's struct sock_fprog. */
struct program {
	uint16_t len;
	uint16_t pad[3];
	uint64_t insns;
};

static const struct sock_filter prologue[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(FL_HIDDEN_CODE >> 32), 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer)),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)(FL_HIDDEN_CODE + FL_PAGE), 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	/* As a filter finds it. */
	BPF_STMT(BPF_LD | BPF_IMM, 0),
};

/* The four calls of strict mode; the rest comes to fl_strict_kills. */
static const struct sock_filter strict_rules[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 6),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 3, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
};

/* The guest's program at va, with ours in front, in the bounce buffer. 0: the kernel shall judge what is there. */
static fl_va prefixed(struct guest_thread *th, fl_va va)
{
	const size_t head = sizeof(struct program), ours = sizeof(prologue);
	struct program p;
	fl_va bounce = 0;
	uint8_t *image;
	size_t theirs;

	if (fl_io_copy_in(th, &p, va, sizeof(p)) || !p.len || p.len + FL_ARRAY_LEN(prologue) > BPF_MAXINSNS)
		return 0;
	theirs = p.len * sizeof(struct sock_filter);
	image = malloc(head + ours + theirs);
	if (!image)
		return 0;
	if (!fl_io_copy_in(th, image + head + ours, p.insns, theirs))
		bounce = fl_io_bounce(th, head + ours + theirs);
	if (bounce) {
		p.len = (uint16_t)(p.len + FL_ARRAY_LEN(prologue));
		p.insns = bounce + head;
		memcpy(image, &p, head);
		memcpy(image + head, prologue, ours);
		if (!fl_io_bounce_write(th, bounce, image, head + ours + theirs))
			bounce = 0;
	}
	free(image);
	return bounce;
}

/* A filter is installed; argument n points to the program. */
static void set_filter(struct guest_thread *th, unsigned n)
{
	fl_va theirs = fl_arg(th, n), ours = prefixed(th, theirs);
	int64_t result;

	if (fl_io_gone(th))
		return;
	if (!ours) {
		fl_io_opaque(th);
		return;
	}
	fl_set_arg(th, n, ours);
	if (!fl_run_syscall(th, &result))
		fl_set_arg(th, n, theirs);
}

/*
 * Strict mode: the kernel refuses it to a thread that has a filter, as every guest has. So it is a filter too; what it forbids
 * ends the thread as the kernel would.
 */
static void set_strict(struct guest_thread *th)
{
	uint8_t image[sizeof(struct program) + sizeof(prologue) + sizeof(strict_rules)];
	struct program p = {.len = FL_ARRAY_LEN(prologue) + FL_ARRAY_LEN(strict_rules)};
	fl_va bounce = fl_io_bounce(th, sizeof(image));
	int64_t r;

	if (fl_io_gone(th))
		return;
	p.insns = bounce + sizeof(p);
	memcpy(image, &p, sizeof(p));
	memcpy(image + sizeof(p), prologue, sizeof(prologue));
	memcpy(image + sizeof(p) + sizeof(prologue), strict_rules, sizeof(strict_rules));
	if (!bounce || !fl_io_bounce_write(th, bounce, image, sizeof(image))) {
		fl_skip_syscall(th, -FL_ENOMEM);
		return;
	}
	r = fl_inject(th, SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, bounce, 0, 0, 0);
	if (fl_io_gone(th))
		return;
	th->strict = !r;
	fl_skip_syscall(th, r);
}

bool fl_strict_kills(struct guest_thread *th, uint64_t nr)
{
	if (!th->strict || nr == SYS_read || nr == SYS_write || nr == SYS_exit || nr == SYS_rt_sigreturn)
		return false;
	syscall(SYS_tgkill, th->proc->pid, th->tid, SIGKILL);
	return true;
}

static void sys_seccomp(struct guest_thread *th)
{
	if (fl_arg(th, 0) == SECCOMP_SET_MODE_FILTER)
		set_filter(th, 2);
	else if (fl_arg(th, 0) == SECCOMP_SET_MODE_STRICT && !(uint32_t)fl_arg(th, 1) && !fl_arg(th, 2))
		set_strict(th);
	else if (fl_engine_zone(fl_arg(th, 2)))
		fl_io_opaque(th);
}

/* Make what the kernel will touch resident: a name is read up to its NUL. */
static void name_resident(struct guest_thread *th, fl_va va)
{
	uint64_t first = FL_PAGE - (va & (FL_PAGE - 1));
	char name[NAME_BYTES];

	if (first > NAME_BYTES)
		first = NAME_BYTES;
	if (fl_make_resident(th, va, first, FL_READ) == first && first < NAME_BYTES && !fl_io_gone(th) &&
	    !fl_io_copy_in(th, name, va, first) && !memchr(name, 0, first))
		fl_make_resident(th, va + first, NAME_BYTES - first, FL_READ);
}

static void sys_prctl(struct guest_thread *th)
{
	fl_va va = fl_arg(th, 1);

	switch ((int)fl_arg(th, 0)) {
	case PR_SET_CHILD_SUBREAPER:
		th->g->host->reapers |= va != 0;
		break;
	case PR_SET_SECCOMP:
		if (va == SECCOMP_MODE_FILTER)
			set_filter(th, 2);
		else if (va == SECCOMP_MODE_STRICT)
			set_strict(th);
		break;
	case PR_SET_NAME:
		name_resident(th, va);
		break;
	case PR_GET_NAME:
		fl_make_resident(th, va, NAME_BYTES, FL_WRITE);
		break;
	case PR_GET_PDEATHSIG:
	case PR_GET_TSC:
	case PR_GET_CHILD_SUBREAPER:
		fl_make_resident(th, va, sizeof(int32_t), FL_WRITE);
		break;
	case PR_GET_TID_ADDRESS:
		fl_make_resident(th, va, sizeof(uint64_t), FL_WRITE);
		break;
	default:
		if (fl_engine_zone(va) || fl_engine_zone(fl_arg(th, 2)) || fl_engine_zone(fl_arg(th, 4)))
			fl_io_opaque(th);
		break;
	}
}

void fl_prctl_register(void)
{
	fl_sys_register(SYS_prctl, FL_SYS_ALWAYS, 0, sys_prctl);
	fl_sys_register(SYS_seccomp, FL_SYS_ALWAYS, 0, sys_seccomp);
}
