/* SPDX-License-Identifier: MIT */
/*
 * What runs on the kernel's side of the comparison: the zygote, the first thread of each process, and actors. No libc: see internal.h.
 *
 * A world's memory is its program's alone: the zygote drops all mappings but this code and the area. Whatever an actor needs for a call
 * it touches before, so that the faults it is charged for are the call's own.
 *
 * No locks: an actor owns its slot while a call is posted there; a family is written by the worker before its first thread
 * begins.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "diff/host/internal.h"

#define SET_THREAD_POINTER 0x1002 /* ARCH_SET_FS */

static struct fl_kern_board *board(void)
{
	return fl_kern_board(FL_DIFF_SCRATCH);
}

static void ring(void)
{
	struct fl_kern_board *b = board();

	atomic_fetch_add(&b->bell, 1);
	fl_kern_wake(&b->bell);
}

static void touch(uint64_t at)
{
	volatile char *byte = (volatile char *)at;

	*byte = *byte;
}

static void touch_pages(uint64_t at, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		touch(at + i * FL_DIFF_PAGE);
}

static void lead(uint64_t process);

static int64_t do_fork(unsigned process)
{
	const struct fl_kern_family *f = &board()->family[process];
	uint64_t stack = fl_kern_stack(f->leader) + FL_KERN_STACK;
	long pid;

	/* Whoever forks, the zygote is the parent: so nobody need be waited for. */
	pid = fl_raw_clone(CLONE_FILES | CLONE_PARENT | SIGCHLD, stack, lead, process);
	if (pid == -EAGAIN)
		atomic_store(&board()->error, -EAGAIN); /* the machine's limit, and no answer of the program's */
	return pid < 0 ? pid : 0;
}

static int64_t do_syscall(struct fl_kern_order *o)
{
	return fl_raw_call(o->nr, (long)o->arg[0], (long)o->arg[1], (long)o->arg[2], (long)o->arg[3], (long)o->arg[4],
			   (long)o->arg[5]);
}

#define POPULATE_READ 22 /* MADV_POPULATE_READ */

/*
 * A fork leaves the pages of a file to be found again. The kernel maps many at a time, but not those that it is about to move, or that
 * it has read ahead: one of them in the middle of a call would be a fault of the program's.
 */
static void populate_code(void)
{
	const struct fl_kern_board *b = board();

	FL_RAW_CALL3(SYS_madvise, b->code, b->code_end - b->code, POPULATE_READ);
}

/* mlockall(2) brings in all that is mapped: what is ours is there before. */
static void populate(void)
{
	FL_RAW_CALL3(SYS_madvise, FL_DIFF_SCRATCH, FL_KERN_AREA_SIZE, POPULATE_READ);
	populate_code();
}

static void prepare(struct fl_kern_slot *slot, unsigned actor)
{
	struct fl_kern_order *o = &slot->order;
	uint64_t heap_end;

	slot->ret = 0;
	slot->signo = 0;
	slot->code = 0;
	slot->address = 0;
	slot->interrupted = 0;
	touch_pages(fl_diff_scratch(actor), o->pages);
	if (o->kind == FL_CALL_FETCH)
		touch(fl_kern_stack(actor) + FL_KERN_PLAYGROUND);
	if (o->kind == FL_CALL_FORK)
		touch(fl_kern_stack(board()->family[o->object].leader) + FL_KERN_STACK - 1);
	if (o->kind == FL_CALL_SYSCALL && o->nr == SYS_mlockall)
		populate();
	if (!o->brk)
		return;
	heap_end = (uint64_t)FL_RAW_CALL1(SYS_brk, 0);
	for (unsigned i = 0; i < 6; i++)
		if (o->brk & 1u << i)
			o->arg[i] += heap_end;
}

/* A userfaultfd has its own number, whatever the kernel chose. */
static void move_descriptor(struct fl_kern_slot *slot)
{
	long to = FL_KERN_UFFD_FD + (long)slot->order.object;

	if (slot->ret < 0)
		return;
	/* An earlier one stays open, but can be named no more. */
	FL_RAW_CALL3(SYS_fcntl, to, F_DUPFD_CLOEXEC, FL_KERN_LOST_FD);
	FL_RAW_CALL3(SYS_dup3, slot->ret, to, O_CLOEXEC);
	FL_RAW_CALL1(SYS_close, slot->ret);
	slot->ret = 0;
}

static void perform(struct fl_kern_slot *slot, unsigned actor)
{
	struct rusage before, after;

	prepare(slot, actor);
	FL_RAW_CALL2(SYS_getrusage, RUSAGE_THREAD, &before);
	if (slot->order.kind == FL_CALL_SYSCALL)
		slot->ret = do_syscall(&slot->order);
	else if (slot->order.kind == FL_CALL_FORK)
		slot->ret = do_fork(slot->order.object);
	else if (slot->order.kind == FL_CALL_LIMIT)
		slot->ret = fl_kern_fill(slot->order.arg[0], slot->order.arg[1], slot->order.value, slot->order.arg[2]);
	else
		fl_kern_access(slot, actor);
	FL_RAW_CALL2(SYS_getrusage, RUSAGE_THREAD, &after);
	slot->minor = (uint64_t)(after.ru_minflt - before.ru_minflt);
	slot->major = (uint64_t)(after.ru_majflt - before.ru_majflt);
	if (slot->order.opens)
		move_descriptor(slot);
}

static _Noreturn void leave(struct fl_kern_slot *slot, uint32_t posted)
{
	slot->ret = 0;
	slot->signo = 0;
	slot->interrupted = 0;
	slot->minor = slot->major = 0;
	atomic_store(&slot->ended, posted);
	ring();
	for (;;)
		FL_RAW_CALL1(SYS_exit, 0);
}

/* An actor, to its end. */
static void live(uint64_t actor)
{
	struct fl_kern_slot *slot = fl_kern_slot(FL_DIFF_SCRATCH, (unsigned)actor);
	uint64_t stack = fl_kern_stack((unsigned)actor);
	struct fl_kern_family *f;
	unsigned process = 0;
	uint32_t seen = 0;

	while (!(board()->family[process].members & 1u << actor))
		process++;
	f = &board()->family[process];
	touch_pages(stack, FL_KERN_SIGNAL_STACK / FL_DIFF_PAGE);
	touch_pages(stack + FL_KERN_STACK - 2 * FL_DIFF_PAGE, 2);
	touch(fl_diff_scratch((unsigned)actor));
	fl_kern_signal_stack((unsigned)actor);
	atomic_store(&slot->pid, atomic_load(&f->pid));
	atomic_store(&slot->tid, (int32_t)FL_RAW_CALL0(SYS_gettid));
	if (atomic_fetch_sub(&f->unready, 1) == 1)
		ring();
	for (;;) {
		while (atomic_load(&slot->posted) == seen)
			fl_kern_wait(&slot->posted, seen, 0);
		seen = atomic_load(&slot->posted);
		if (slot->order.kind == FL_CALL_EXIT)
			leave(slot, seen);
		perform(slot, (unsigned)actor);
		atomic_store(&slot->ended, seen);
		ring();
	}
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct h;
	struct __user_cap_data_struct d[2];

	h.version = _LINUX_CAPABILITY_VERSION_3;
	h.pid = 0;
	d[0].effective = d[0].permitted = d[0].inheritable = 0;
	d[1].effective = d[1].permitted = d[1].inheritable = 0;
	FL_RAW_CALL5(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	FL_RAW_CALL2(SYS_capset, &h, d);
}

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/* The first thread of a process. */
static void lead(uint64_t process)
{
	struct fl_kern_family *f = &board()->family[process];
	long tid;

	populate_code();
	if (!process && board()->unprivileged)
		drop_capabilities();
	FL_RAW_CALL2(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
	if (FL_RAW_CALL0(SYS_getppid) != board()->zygote_pid)
		FL_RAW_CALL1(SYS_exit_group, 0);
	atomic_store(&f->pid, (int32_t)FL_RAW_CALL0(SYS_getpid));
	for (unsigned a = 0; a < FL_DIFF_ACTORS; a++) {
		if (a == f->leader || !(f->members & 1u << a))
			continue;
		/* One that is missing is not ready for ever: the worker is told. */
		tid = fl_raw_clone(THREAD_FLAGS, fl_kern_stack(a) + FL_KERN_STACK, live, a);
		if (tid < 0) {
			atomic_store(&board()->error, (int32_t)tid);
			ring();
		}
	}
	live(f->leader);
}

/*
 * The heap begins at `heap` and is empty, and no data segment is counted for RLIMIT_DATA. (Without checkpoint/restore the kernel does not
 * have this call; then the data segment counts.)
 */
static void clear_layout(uint64_t heap)
{
	struct prctl_mm_map m;

	m.start_code = FL_DIFF_SCRATCH;
	m.end_code = FL_DIFF_SCRATCH + FL_DIFF_PAGE;
	m.start_data = m.end_data = FL_DIFF_SCRATCH;
	m.start_brk = m.brk = heap;
	m.start_stack = FL_DIFF_SCRATCH;
	m.arg_start = m.arg_end = m.env_start = m.env_end = FL_DIFF_SCRATCH;
	m.auxv = 0;
	m.auxv_size = 0;
	m.exe_fd = UINT32_MAX;
	FL_RAW_CALL5(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, &m, sizeof m, 0);
}

/* Where the kernel puts a page that may lie anywhere, or near hint. 0: nowhere. */
static uint64_t place_page(uint64_t hint)
{
	long at = FL_RAW_CALL6(SYS_mmap, hint, FL_DIFF_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at < 0 && at > -4096)
		return 0;
	FL_RAW_CALL2(SYS_munmap, at, FL_DIFF_PAGE);
	return (uint64_t)at;
}

_Noreturn static void serve(void)
{
	struct fl_kern_board *b = board();
	uint32_t done = 0;

	for (;;) {
		long pid;

		while (atomic_load(&b->requested) == done)
			fl_kern_wait(&b->requested, done, 0);
		done = atomic_load(&b->requested);
		pid = fl_raw_clone(SIGCHLD, fl_kern_stack(b->family[0].leader) + FL_KERN_STACK, lead, 0);
		if (pid < 0) {
			atomic_store(&b->error, (int32_t)pid);
			ring();
		}
	}
}

_Noreturn void fl_kern_zygote(const struct fl_kern_drop *drop, uint64_t drops, uint64_t heap)
{
	struct fl_kern_board *b = board();

	FL_RAW_CALL1(SYS_brk, heap);
	for (uint64_t i = 0; i < drops; i++)
		FL_RAW_CALL2(SYS_munmap, drop[i].start, drop[i].end - drop[i].start);
	/* A compiler's stack protector reads here. */
	FL_RAW_CALL2(SYS_arch_prctl, SET_THREAD_POINTER, FL_DIFF_SCRATCH + FL_KERN_AREA_THREAD_POINTER);
	clear_layout(heap);
	b->heap = (uint64_t)FL_RAW_CALL1(SYS_brk, 0);
	b->top = place_page(0) + FL_DIFF_PAGE;
	b->low = place_page(FL_DIFF_PAGE);
	b->zygote_pid = (int32_t)FL_RAW_CALL0(SYS_getpid);
	atomic_store(&b->error, (int32_t)fl_kern_handlers());
	atomic_store(&b->zygote, 1);
	fl_kern_wake(&b->zygote);
	serve();
}
