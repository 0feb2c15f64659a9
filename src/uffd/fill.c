/* SPDX-License-Identifier: MIT */
/*
 * COPY and ZEROPAGE: put pages where nothing is mapped, and let those go on who wait for them.
 *
 * The life of a fill. The arguments are checked; then the destination, which must lie within one registered mapping;
 * then, page by page: a frame is filled with nothing held (the source may fault, and wait), and installed. What comes
 * between (munmap, unregister, another filler) shows as ENOENT or EEXIST at the page where it happened. The result
 * field gets the bytes done, or the error if there are none; the waiters of the bytes done are woken after it has been
 * written.
 *
 * No lock of its own; the frame belongs to this call until it is installed.
 */
#include "fault/fault_int.h"
#include "faultline/uaccess.h"
#include "frame/frame_int.h"
#include "sync/bug.h"
#include "uffd/context.h"

struct fill {
	struct fl_task *task;
	struct fl_uffd *u;
	struct fl_mm *mm;
	fl_va dst, src; /* src: COPY only */
	uint64_t len;
	bool copy; /* otherwise the zero page */
	bool wp;   /* the pages shall be write-protected */
	bool wake;
};

/* Is there one registered mapping (of any context) over all of it? */
static int check_destination(const struct fill *f)
{
	struct fl_vma *v;
	int err = 0;

	fl_rcu_read_lock();
	v = fl_index_find(&f->mm->index, f->dst);
	/* Linux prepares the anon_vma before it looks whether the mapping is registered. */
	if (v && v->start <= f->dst && !(v->flags & FL_VM_FOREIGN))
		(void)fl_vma_anon_id(f->mm, v);
	if (!v || v->start > f->dst || v->end - f->dst < f->len || !v->uffd || fl_uffd_released(v->uffd))
		err = -FL_ENOENT;
	else if (f->wp && !(v->flags & FL_VM_UFFD_WP))
		err = -FL_EINVAL;
	fl_rcu_read_unlock();
	return err;
}

/* How often a change in progress is taken for bad luck; then its end is waited for (rule 4). */
#define TRIES 3

static int install(const struct fill *f, fl_va va, fl_pfn pfn)
{
	struct fl_range_req lock;
	int err, tries = 0;

	do {
		err = fl_fault_install(f->task, f->mm, NULL, va, pfn);
	} while (err == -FL_EAGAIN && ++tries < TRIES);
	while (err == -FL_EAGAIN) {
		err = fl_range_lock(&f->mm->ranges, &lock, f->task, va, va + fl_mm_page(f->mm), FL_RANGE_SHARED,
				    FL_WAIT_KILLABLE);
		if (err)
			break;
		/* Only a table that went away, empty, under a shared lock can still send us round again. */
		err = fl_fault_install(f->task, f->mm, NULL, va, pfn);
		fl_range_unlock(&f->mm->ranges, &lock);
	}
	return err;
}

/* Where the source is not there the copy may wait for it, and so Linux then looks at the whole destination again. */
static int copy_in(const struct fill *f, void *to, fl_va src, size_t n)
{
	if (!fl_copy_from_user_nofault(f->task, to, src, n))
		return 0;
	if (fl_copy_from_user(f->task, to, src, n))
		return -FL_EFAULT;
	return check_destination(f);
}

static int fill_page(const struct fill *f, uint64_t done)
{
	struct fl_frames *frames = f->mm->frames;
	size_t page = (size_t)fl_mm_page(f->mm);
	fl_pfn pfn = FL_PFN_NONE;
	int err;

	if (f->copy) {
		pfn = fl_frame_alloc(f->task);
		if (pfn == FL_PFN_NONE)
			return -FL_ENOMEM;
		err = copy_in(f, fl_frame_data(frames, pfn), f->src + done, page);
		if (err) {
			fl_frame_put(frames, f->task, pfn);
			return err;
		}
	}
	err = install(f, f->dst + done, pfn);
	if (err && pfn != FL_PFN_NONE)
		fl_frame_put(frames, f->task, pfn);
	return err;
}

/* Bytes done, all or some, or the error that let nothing be done. */
static int64_t fill_range(const struct fill *f)
{
	uint64_t done = 0;
	int err;

	err = check_destination(f);
	while (!err && done < f->len) {
		if (fl_task_interrupted(f->task, FL_WAIT_KILLABLE))
			err = -FL_EINTR;
		else
			err = fill_page(f, done);
		if (!err)
			done += fl_mm_page(f->mm);
	}
	return done ? (int64_t)done : err;
}

/* Do it, write the result to its field, and wake. */
static int fill(struct fill *f, fl_va result)
{
	struct fl_range_req held;
	int64_t done;

	FL_ASSERT(f->task->frames == f->u->mm->frames);
	if (!FL_BUG(fill_after_exit) && !fl_mm_get_not_zero(f->u->mm))
		return -FL_ESRCH;
	f->mm = f->u->mm;
	if (FL_BUG(wake_first) && f->wake)
		fl_uffd_wake(f->u, f->dst, f->dst + f->len);
	if (FL_BUG(fill_locked) && fl_range_lock(&f->mm->ranges, &held, f->task, f->dst, f->dst + f->len,
						 FL_RANGE_SHARED, FL_WAIT_UNINTERRUPTIBLE))
		return -FL_EINTR;
	done = fill_range(f);
	if (FL_BUG(fill_locked))
		fl_range_unlock(&f->mm->ranges, &held);
	if (!FL_BUG(fill_after_exit))
		fl_mm_put(f->mm);

	if (fl_put_user(f->task, result, &done, sizeof(done)))
		return -FL_EFAULT; /* the pages are there; who waits is not woken */
	if (done < 0)
		return (int)done;
	if (f->wake && !FL_BUG(wake_first))
		fl_uffd_wake(f->u, f->dst, f->dst + (uint64_t)done);
	return (uint64_t)done == f->len ? 0 : -FL_EAGAIN;
}

/* While a thread of the other side waits for its event to be read, no fill may come between. */
static int refuse_during_event(struct fl_task *t, const struct fl_uffd *u, fl_va result)
{
	int64_t again = -FL_EAGAIN;

	if (!fl_load_acquire(&u->events))
		return 0;
	return fl_put_user(t, result, &again, sizeof(again)) ? -FL_EFAULT : -FL_EAGAIN;
}

int fl_uffd_copy(struct fl_task *t, struct fl_uffd *u, fl_va arg)
{
	fl_va result = arg + offsetof(struct fl_uffdio_copy, copy);
	struct fl_uffdio_copy c;
	struct fill f;
	int err;

	err = refuse_during_event(t, u, result);
	if (err)
		return err;
	if (fl_copy_from_user(t, &c, arg, offsetof(struct fl_uffdio_copy, copy)))
		return -FL_EFAULT;
	if (!fl_uffd_range_ok(u, c.dst, c.len) || c.src >= u->mm->arch->task_size ||
	    c.len > u->mm->arch->task_size - c.src)
		return -FL_EINVAL;
	if (c.mode & ~(uint64_t)(FL_UFFDIO_COPY_MODE_DONTWAKE | FL_UFFDIO_COPY_MODE_WP))
		return -FL_EINVAL;
	f = (struct fill){.task = t, .u = u, .dst = c.dst, .src = c.src, .len = c.len, .copy = true};
	f.wp = (c.mode & FL_UFFDIO_COPY_MODE_WP) != 0;
	f.wake = !(c.mode & FL_UFFDIO_COPY_MODE_DONTWAKE) || FL_BUG(dontwake_wakes);
	return fill(&f, result);
}

int fl_uffd_zeropage(struct fl_task *t, struct fl_uffd *u, fl_va arg)
{
	fl_va result = arg + offsetof(struct fl_uffdio_zeropage, zeropage);
	struct fl_uffdio_zeropage z;
	struct fill f;
	int err;

	err = refuse_during_event(t, u, result);
	if (err)
		return err;
	if (fl_copy_from_user(t, &z, arg, offsetof(struct fl_uffdio_zeropage, zeropage)))
		return -FL_EFAULT;
	if (!fl_uffd_range_ok(u, z.range.start, z.range.len))
		return -FL_EINVAL;
	if (z.mode & ~(uint64_t)FL_UFFDIO_ZEROPAGE_MODE_DONTWAKE)
		return -FL_EINVAL;
	f = (struct fill){.task = t, .u = u, .dst = z.range.start, .len = z.range.len};
	f.wake = !(z.mode & FL_UFFDIO_ZEROPAGE_MODE_DONTWAKE);
	return fill(&f, result);
}
