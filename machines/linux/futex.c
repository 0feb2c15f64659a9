/* SPDX-License-Identifier: MIT */
/*
 * Futexes on engine memory.
 *
 * In the host the frames are a shared mapping, so a futex that the guest does not call private would be keyed by the
 * frame, and copy-on-write, fork and a frame that is dropped would move it away from its waiters. Private anonymous
 * memory has no sharers but the threads of one address space; so every futex on engine memory is made private, which
 * keys it by address space and address. Wakes that the kernel makes by itself when a thread ends (the child's tid
 * word, robust locks) are not private: those are made again through the agent.
 *
 * A private wait reads its word, and fails with EFAULT if the host does not map it: restartable.
 *
 * No locks: one OS thread, and fibers switch only where something waits.
 */
#include "linux/io.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#define ROBUST_HEAD_BYTES 24
/* As many entries as the kernel follows. */
#define ROBUST_MAX 2048

struct futex_call {
	fl_va word, word2, timeout;
	enum fl_access access, access2;
};

/* Which arguments of this operation are pointers, and what is done to the words. A wake does not look at its word. */
static void describe(const uint64_t args[6], struct futex_call *f)
{
	*f = (struct futex_call){.word = args[0], .access = FL_READ, .access2 = FL_READ};
	switch ((uint32_t)args[1] & (uint32_t)FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		f->timeout = args[3];
		break;
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		f->timeout = args[3];
		f->access = FL_WRITE;
		break;
	case FUTEX_UNLOCK_PI:
	case FUTEX_TRYLOCK_PI:
		f->access = FL_WRITE;
		break;
	case FUTEX_WAKE_OP:
		f->word = 0;
		f->word2 = args[4];
		f->access2 = FL_WRITE;
		break;
	case FUTEX_CMP_REQUEUE:
		break;
	case FUTEX_WAIT_REQUEUE_PI:
		f->timeout = args[3];
		f->word2 = args[4];
		f->access2 = FL_WRITE;
		break;
	case FUTEX_CMP_REQUEUE_PI:
		f->word2 = args[4];
		f->access2 = FL_WRITE;
		break;
	default:
		f->word = 0;
		break;
	}
}

static bool futex_gap(struct guest_thread *th, const void *arg, struct fl_io_gap *gap)
{
	const struct futex_call *f = arg;

	return (f->timeout && fl_io_missing(th, f->timeout, 16, FL_READ, gap)) ||
	       (f->word && fl_io_missing(th, f->word, 4, f->access, gap)) ||
	       (f->word2 && fl_io_missing(th, f->word2, 4, f->access2, gap));
}

/* In memory that the engine serves, and not in something that the host has put between. */
static bool in_engine(struct guest_mm *gm, fl_va va)
{
	struct fl_vma_info vma;

	return fl_engine_zone(va) && fl_mm_next_vma(gm->mm, va, &vma) && vma.start <= va &&
	       !(vma.vm_flags & FL_VM_FOREIGN);
}

static bool has_second(const uint64_t args[6])
{
	uint32_t op = (uint32_t)args[1] & (uint32_t)FUTEX_CMD_MASK;

	return op == FUTEX_REQUEUE || op == FUTEX_CMP_REQUEUE || op == FUTEX_WAKE_OP || op == FUTEX_WAIT_REQUEUE_PI ||
	       op == FUTEX_CMP_REQUEUE_PI;
}

/* A call that is not private looks for the page behind the word, as for a write, and be it only to wake. */
static bool touch(struct guest_thread *th, fl_va word)
{
	return fl_make_resident(th, word, 4, FL_WRITE) == 4 || fl_make_resident(th, word, 4, FL_READ) == 4;
}

static void futex(struct guest_thread *th)
{
	struct futex_call f;
	uint64_t args[6];
	int64_t result;

	fl_io_args(th, args);
	describe(args, &f);
	if (!(args[1] & FUTEX_PRIVATE_FLAG) && in_engine(th->mm, args[0])) {
		if (!touch(th, args[0]) || (has_second(args) && !touch(th, args[4]))) {
			if (!fl_io_gone(th))
				fl_skip_syscall(th, -EFAULT);
			return;
		}
		fl_set_arg(th, 1, args[1] | FUTEX_PRIVATE_FLAG);
	}
	if (!f.word && !f.word2 && !f.timeout) {
		/* Nothing is touched, so nothing can be missing; but the guest's register is to be as it was. */
		if (fl_arg(th, 1) != args[1] && !fl_run_syscall(th, &result))
			fl_io_restore(th, args);
		return;
	}
	if (fl_io_run(th, args, futex_gap, &f, &result))
		fl_io_restore(th, args);
}

void fl_futex_register(void)
{
	fl_sys_register(SYS_futex, FL_SYS_POINTER, 1u << 0 | 1u << 3 | 1u << 4, futex);
}

/* ---- The end of a thread ----------------------------------------------------------------------------- */

static void wake(struct guest_mm *gm, fl_va word)
{
	(void)fl_agent_call(gm, SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0);
}

/* The word in its frame, if it is there and may be written; NULL: not. Valid until something waits or flushes. */
static uint32_t *word_in_frame(struct guest_mm *gm, fl_va va)
{
	struct fl_translation t;

	if ((va & 3) || !fl_mm_walk(gm->mm, va, FL_WRITE, &t))
		return NULL;
	return (uint32_t *)(void *)((uint8_t *)fl_frame_data(gm->g->frames, t.pfn) + (va & ~FL_PAGE_MASK));
}

/*
 * The same, after copying the page if it is shared. A thread that ends waits for nobody: a page that is not there
 * holds no word worth a wait.
 */
static uint32_t *writable_word(struct guest_thread *th, fl_va va)
{
	struct fl_translation t;

	if (!word_in_frame(th->mm, va) && fl_mm_walk(th->mm->mm, va, FL_READ, &t))
		(void)fl_fault_in_writeable(&th->task, va, 4);
	return word_in_frame(th->mm, va);
}

/*
 * A lock that the dying thread holds: say that its owner has died, as the kernel would, and wake one who waits. The
 * kernel comes to it later, and finds that it is not this thread's any more.
 */
static void release_robust(struct guest_thread *th, fl_va va)
{
	uint32_t *word, seen;

	if (!in_engine(th->mm, va))
		return;
	word = writable_word(th, va);
	if (!word)
		return;
	seen = __atomic_load_n(word, __ATOMIC_SEQ_CST);
	do {
		if ((seen & FUTEX_TID_MASK) != (uint32_t)th->tid)
			return;
	} while (!__atomic_compare_exchange_n(word, &seen, (seen & FUTEX_WAITERS) | FUTEX_OWNER_DIED, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	if (seen & FUTEX_WAITERS)
		wake(th->mm, va);
}

/* Bit 0 of an entry marks a priority-inheritance lock, which the kernel itself hands over. */
static void walk_robust(struct guest_thread *th)
{
	struct {
		uint64_t next, offset, pending;
	} head;
	uint64_t entry, next;

	_Static_assert(sizeof(head) == ROBUST_HEAD_BYTES, "struct robust_list_head is 24 bytes");
	if (fl_copy_from_user_nofault(&th->task, &head, th->robust_list, sizeof(head)))
		return;
	entry = head.next;
	for (unsigned i = 0; i < ROBUST_MAX && (entry & ~1ull) != th->robust_list; i++) {
		if (fl_copy_from_user_nofault(&th->task, &next, entry & ~1ull, sizeof(next)))
			return;
		if (!(entry & 1) && entry != head.pending)
			release_robust(th, entry + head.offset);
		entry = next;
	}
	if (head.pending && !(head.pending & 1))
		release_robust(th, head.pending + head.offset);
}

void fl_futex_thread_exiting(struct guest_thread *th)
{
	if (th->robust_list)
		walk_robust(th);
	if (th->clear_child_tid && in_engine(th->mm, th->clear_child_tid))
		(void)writable_word(th, th->clear_child_tid);
}

/*
 * The kernel has cleared the word if it was still in the host's mappings; else we do. If somebody has used it for
 * another thread meanwhile it does not hold this tid any more.
 */
void fl_futex_thread_gone(struct guest_thread *th, struct guest_mm *gm, fl_va clear_child_tid)
{
	uint32_t *word, tid = (uint32_t)th->tid;

	if (gm->users <= 1 || !clear_child_tid || !in_engine(gm, clear_child_tid))
		return;
	word = word_in_frame(gm, clear_child_tid);
	if (word)
		(void)__atomic_compare_exchange_n(word, &tid, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	wake(gm, clear_child_tid);
}
