/* SPDX-License-Identifier: MIT */
/*
 * What is counted while a program runs. The text is made by report_text.c.
 *
 * The supervisor's one thread; no lock. Counting must be cheap: it is part of every fault.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "linux/linux.h"
#include "linux/report_int.h"

#define PROGRESS_AFTER_NS 1000000000u
#define PROGRESS_EVERY_NS 500000000u

const char *fl_report_mapping(struct guest_thread *th, fl_va va, fl_va *start, fl_va *end)
{
	struct fl_vma_info vma;

	*start = *end = 0;
	if (!th->mm || !fl_mm_next_vma(th->mm->mm, va, &vma) || vma.start > va)
		return "none";
	*start = vma.start;
	*end = vma.end;
	if (vma.vm_flags & FL_VM_FOREIGN)
		return "foreign";
	if (vma.heap)
		return "heap";
	return vma.vm_flags & FL_VM_GROWSDOWN ? "stack" : "anonymous";
}

/* The n slowest, slowest first. */
static void note_slow(struct fl_report *r, struct guest_thread *th, const struct run_fault *rf, uint64_t ns)
{
	unsigned at = r->nslow < SLOW_MAX ? r->nslow++ : SLOW_MAX;
	struct slow_fault *s;

	if (at == SLOW_MAX && r->slow[--at].ns >= ns)
		return;
	for (; at && r->slow[at - 1].ns < ns; at--)
		r->slow[at] = r->slow[at - 1];
	s = &r->slow[at];
	*s = (struct slow_fault){
		.ns = ns, .addr = rf->f.addr, .tid = th->tid, .kind = rf->f.kind, .waits = rf->f.waits};
	s->mapping = fl_report_mapping(th, rf->f.addr, &s->start, &s->end);
}

static void on_fault_end(void *arg, struct guest_thread *th, const struct run_fault *rf, enum fl_outcome outcome,
			 uint64_t ns)
{
	struct fl_report *r = arg;
	struct fault_count *c = &r->faults[outcome < OUTCOMES ? outcome : 0][rf->f.kind < KINDS ? rf->f.kind : 0];

	/* Pages ahead that were not to be had are no faults. */
	if (rf->ahead && outcome != FL_FAULT_DONE)
		return;
	c->n++;
	c->ns += ns;
	r->nfaults++;
	r->fault_ns += ns;
	r->ahead += rf->ahead;
	r->kernel += rf->kernel;
	r->writes += rf->f.access == FL_WRITE;
	r->waits += rf->f.waits != 0;
	r->retries += rf->f.retries;
	if (r->nslow < SLOW_MAX || ns > r->slow[SLOW_MAX - 1].ns)
		note_slow(r, th, rf, ns);
	if (rf->rip && th->mm)
		fl_symbols_count(r->symbols, th->mm->id, th->tid, rf->rip);
}

/* The commands of a userfaultfd differ in their low four bits, but for that of the device. */
static unsigned uffd_slot(uint64_t cmd)
{
	return cmd == 0xaa00 ? UFFD_IOCTLS - 2 : (unsigned)cmd & (UFFD_IOCTLS - 1);
}

static void on_memory_call(void *arg, struct guest_thread *th, unsigned nr, const uint64_t args[6], int64_t result,
			   uint64_t ns)
{
	struct fl_report *r = arg;
	struct call_count *c = &r->calls[nr < FL_SYS_MAX ? nr : FL_SYS_MAX - 1];

	(void)th;
	if (nr == SYS_ioctl) {
		struct ioctl_count *u = &r->uffd[uffd_slot(args[1])];

		u->cmd = (uint32_t)args[1];
		u->n++;
		u->errors += result < 0;
		u->ns += ns;
		return;
	}
	if (nr == SYS_read || nr == SYS_readv) {
		if (result > 0)
			r->messages += (uint64_t)result / sizeof(struct fl_uffd_msg);
		return;
	}
	c->n++;
	c->errors += result < 0 && result >= -4095;
	c->ns += ns;
}

/* One more of what is named; the list keeps the order in which names came. */
static struct named *note(struct named **list, const char *name)
{
	struct named **link = list;

	while (*link && strcmp((*link)->name, name))
		link = &(*link)->next;
	if (!*link) {
		*link = calloc(1, sizeof(**link));
		if (!*link)
			return NULL;
		(*link)->name = strdup(name);
		if (!(*link)->name) {
			free(*link);
			*link = NULL;
			return NULL;
		}
	}
	(*link)->n++;
	return *link;
}

static void on_unknown_efault(void *arg, struct guest_thread *th, unsigned nr, const uint64_t args[6])
{
	struct fl_report *r = arg;
	const struct fl_call *call = fl_call_find(nr);
	char name[64];

	(void)th;
	if (call->class == FL_CALL_UNKNOWN)
		snprintf(name, sizeof(name), "system call %u", nr);
	else if (nr == SYS_ioctl || nr == SYS_fcntl || nr == SYS_prctl)
		snprintf(name, sizeof(name), "%s 0x%" PRIx64, call->name, nr == SYS_prctl ? args[0] : args[1]);
	else
		snprintf(name, sizeof(name), "%s", call->name);
	note(&r->efault, name);
}

static void on_foreign(void *arg, struct guest_thread *th, fl_va start, uint64_t len, int prot, const char *what)
{
	struct fl_report *r = arg;
	struct named *n = note(&r->foreign, what ? what : "?");

	(void)th;
	(void)start;
	(void)prot;
	if (n)
		n->bytes += len;
}

static void on_refused(void *arg, struct guest_thread *th, const char *feature)
{
	struct fl_report *r = arg;

	(void)th;
	note(&r->refused, feature);
}

static void on_oom(void *arg, struct guest_thread *th, fl_va addr)
{
	struct fl_report *r = arg;
	char text[96];

	snprintf(text, sizeof(text), "process %d at address 0x%" PRIx64, (int)th->proc->pid, addr);
	note(&r->oom, text);
}

static void on_exec(void *arg, struct guest_thread *th, const char *path)
{
	struct fl_report *r = arg;

	(void)th;
	(void)path;
	r->execs++;
}

static void on_process_exit(void *arg, pid_t pid, int status)
{
	struct fl_report *r = arg;

	(void)pid;
	(void)status;
	r->processes++;
}

/*
 * A shell or an editor that draws on the terminal itself has taken it out of line mode, or given it to another process
 * group; to write then would spoil its picture, and might even stop us.
 */
static bool terminal_is_free(void)
{
	struct termios t;

	return tcgetpgrp(STDERR_FILENO) == getpgrp() && !tcgetattr(STDERR_FILENO, &t) && t.c_lflag & ICANON;
}

static void on_tick(void *arg, struct guest *g)
{
	struct fl_report *r = arg;
	uint64_t now = fl_now_ns();

	if (!r->start_ns)
		r->start_ns = now;
	if (now - r->start_ns < PROGRESS_AFTER_NS || now - r->progress_ns < PROGRESS_EVERY_NS)
		return;
	if (!terminal_is_free())
		return;
	fprintf(stderr, "\r\033[Kfaultline: %.1f s, %" PRIu64 " faults, %.1f MiB in use, %u thread%s",
		(double)(now - r->start_ns) / 1e9, r->nfaults,
		(double)(fl_frames_used(g->frames) << fl_frames_page_shift(g->frames)) / 1048576.0, g->nthreads,
		g->nthreads == 1 ? "" : "s");
	fflush(stderr);
	r->progress_ns = now;
	r->progress_shown = true;
}

struct fl_report *fl_report_new(bool progress)
{
	struct fl_report *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->symbols = fl_symbols_new();
	if (!r->symbols) {
		free(r);
		return NULL;
	}
	r->observer = (struct run_observer){
		.arg = r,
		.fault_end = on_fault_end,
		.memory_call = on_memory_call,
		.unknown_efault = on_unknown_efault,
		.foreign_mapping = on_foreign,
		.refused = on_refused,
		.oom_kill = on_oom,
		.exec = on_exec,
		.process_exit = on_process_exit,
		.tick = progress ? on_tick : NULL,
	};
	return r;
}

struct run_observer *fl_report_observer(struct fl_report *r)
{
	return &r->observer;
}

static void free_list(struct named *n)
{
	while (n) {
		struct named *next = n->next;

		free(n->name);
		free(n);
		n = next;
	}
}

void fl_report_free(struct fl_report *r)
{
	if (!r)
		return;
	free_list(r->foreign);
	free_list(r->efault);
	free_list(r->refused);
	free_list(r->oom);
	fl_symbols_free(r->symbols);
	free(r);
}

void fl_report_quiet(struct fl_report *r)
{
	if (r->progress_shown)
		fputs("\r\033[K", stderr);
	r->progress_shown = false;
}
