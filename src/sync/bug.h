/* SPDX-License-Identifier: MIT */
/*
 * Seeded bugs: places where a test build of the engine can be told to break one of its rules, to prove that the
 * explorer, or the comparison with the kernel, finds it. docs/seeded-bugs.md tells what each does and what catches it.
 *
 * FL_BUG(name) is false, and costs nothing, in every build but that one (FL_SEEDED_BUGS); there it asks whether this is
 * the bug that was chosen. A reader of the engine may skip every line with FL_BUG in it.
 *
 * No lock: chosen before anything runs, and never changed.
 */
#ifndef FL_SYNC_BUG_H
#define FL_SYNC_BUG_H

#include <stdbool.h>

#include "faultline/compiler.h"

/* In the order of the rules of docs/architecture.md; then those that undo a fix which Linux had to make. */
#define FL_BUGS(BUG)           \
	BUG(vma_written)       \
	BUG(vma_freed_early)   \
	BUG(index_emptied)     \
	BUG(index_unordered)   \
	BUG(lock_too_short)    \
	BUG(unmarked)          \
	BUG(pass_skipped)      \
	BUG(identity_late)     \
	BUG(mark_relaxed)      \
	BUG(entry_unchecked)   \
	BUG(sleep_in_lock)     \
	BUG(slot_unchecked)    \
	BUG(table_left)        \
	BUG(table_dead)        \
	BUG(table_freed_early) \
	BUG(walk_stores)       \
	BUG(reuse_unflushed)   \
	BUG(missing_unlocked)  \
	BUG(copy_unlocked)     \
	BUG(sleep_unchecked)   \
	BUG(wake_first)        \
	BUG(unpark_first)      \
	BUG(range_lock_last)   \
	BUG(dirty_cow)         \
	BUG(stack_rot)         \
	BUG(mremap_flush_late) \
	BUG(zap_flush_late)    \
	BUG(cow_set_first)     \
	BUG(fork_unmarked)     \
	BUG(read_refile)       \
	BUG(fill_locked)       \
	BUG(fill_after_exit)   \
	BUG(fill_efault)       \
	BUG(wait_uninterrupted)

/* What one thread can show: found by holding the engine against the kernel, not by the explorer. */
#define FL_DIFF_BUGS(BUG)       \
	BUG(noreplace_replaces) \
	BUG(noreserve_lost)     \
	BUG(populate_ignored)   \
	BUG(split_unflagged)    \
	BUG(split_offset)       \
	BUG(merge_left_only)    \
	BUG(merge_unequal)      \
	BUG(merge_strangers)    \
	BUG(rights_kept)        \
	BUG(empty_refused)      \
	BUG(lock_short)         \
	BUG(hole_ends)          \
	BUG(locked_dropped)     \
	BUG(drop_short)         \
	BUG(guard_dropped)      \
	BUG(fork_locked)        \
	BUG(fork_writable)      \
	BUG(fork_unguarded)     \
	BUG(wipe_ignored)       \
	BUG(lock_leaked)        \
	BUG(locked_twice)       \
	BUG(move_unflushed)     \
	BUG(unmoved_locked)     \
	BUG(brk_rounded)        \
	BUG(gap_ignored)        \
	BUG(short_lost)         \
	BUG(dontwake_wakes)     \
	BUG(zero_over)          \
	BUG(unregister_silent)  \
	BUG(newest_first)       \
	BUG(message_read)       \
	BUG(register_steals)

#ifdef FL_SEEDED_BUGS
#define FL_BUG_ENUMERATOR(name) FL_BUG_##name,
enum fl_bug {
	FL_BUGS(FL_BUG_ENUMERATOR) FL_DIFF_BUGS(FL_BUG_ENUMERATOR) FL_BUG_NONE
};
extern enum fl_bug fl_seeded_bug; /* explore/bug.c */
#define FL_BUG(name) FL_UNLIKELY(fl_seeded_bug == FL_BUG_##name)
#else
#define FL_BUG(name) false
#endif

#endif
