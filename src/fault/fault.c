/* SPDX-License-Identifier: MIT */
/*
 * The one fault entry.
 *
 * A fault looks at the address space without a lock, decides, prepares, and installs under the leaf table lock after
 * checking that the VMA is still in force and the entry as it was (rule 5). What a look cannot do itself, because it
 * must wait or change VMAs, it names; fl_handle_fault does that with nothing held, and looks again from the beginning.
 *
 * Progress. A look that fails because a table or an entry changed was overtaken by somebody who got something done: it
 * is simply repeated. A look that meets a writer's mark would only meet it again until the writer commits; after
 * SPECULATIONS of them the fault takes the range lock of its page, shared, and so waits for the writer. With that lock
 * no mark can appear. It is taken also before a fault is refused because nothing is mapped: a call that does its work
 * in several steps (mremap over another mapping) may be between two of them.
 *
 * In kernel mode every refusal is KERNEL_FIXUP. The signal of a refusal in user mode is the architecture's.
 *
 * Locks: none of its own. The range lock is held over looks only, never over a sleep in userfaultfd or the growth of a
 * stack.
 */
#include "fault/handler.h"
#include "sync/bug.h"
#include "uffd/uffd_int.h"

#define SPECULATIONS 3

static bool access_allowed(const struct fl_arch *arch, uint64_t vm_flags, const struct fl_fault *f)
{
	bool present = (f->flags & FL_FAULTF_PRESENT) != 0;
	unsigned mask;

	if (f->access == FL_WRITE)
		mask = arch->write_mask;
	else if (f->access == FL_EXEC && arch->knows_exec)
		mask = present ? arch->exec_prot_mask : arch->exec_mask;
	else
		mask = present ? arch->read_prot_mask : arch->read_mask;
	return (vm_flags & mask) != 0;
}

/* No VMA is at the address; v is the next one above, or NULL. */
static enum fl_step no_vma(struct fl_fault_ctx *c, const struct fl_vma *v)
{
	const struct fl_fault *f = &c->f;
	uint32_t slack = c->mm->arch->stack_slack;

	if (!v || !(v->flags & FL_VM_GROWSDOWN) || (v->flags & FL_VM_FOREIGN))
		return FL_STEP_NO_VMA;
	/* Far below the stack pointer nothing of the stack can be: the access went astray. */
	if (slack != FL_NO_SP_RULE && (f->flags & FL_FAULTF_SP) && (f->flags & FL_FAULTF_USER) && f->addr < f->sp &&
	    f->sp - f->addr > slack)
		return FL_STEP_NO_VMA;
	return f->flags & FL_FAULTF_AHEAD ? FL_STEP_LEAVE : FL_STEP_GROW;
}

/*
 * Is there no entry? Somebody may sleep on the answer, so it is asked for under the table's lock: copy-on-write takes an
 * entry away for a moment, and nobody is woken when the next one is there (rule 9). In an rcu section.
 */
static bool nothing_there(struct fl_fault_ctx *c)
{
	struct fl_tables *pt = &c->mm->tables;
	struct fl_table *t;
	bool is;

	if (FL_BUG(missing_unlocked))
		return !fl_table_peek(pt, c->page);
	t = fl_table_lock(pt, c->page);
	if (!t)
		return true; /* no table, or an empty one that has just died */
	is = !fl_entry_get(t, fl_leaf_index(pt, c->page));
	fl_table_unlock(t);
	return is;
}

/* Nothing is mapped: userfaultfd's, if it is registered for that, else ours. */
static enum fl_step missing(struct fl_fault_ctx *c)
{
	struct fl_uffd *u = c->vma->uffd;

	if (!(c->vma->flags & FL_VM_UFFD_MISSING) || fl_uffd_released(u))
		return fl_fault_anon(c);
	if (c->f.flags & FL_FAULTF_AHEAD)
		return FL_STEP_LEAVE;
	/* Linux is ready to put a page of its own there before it finds out that somebody else will. */
	if (c->f.access == FL_WRITE)
		fl_vma_anon_id(c->mm, c->vma);
	if (!nothing_there(c))
		return FL_STEP_AGAIN;
	/* The VMA holds a reference, and lives as long as this rcu section. */
	fl_uffd_get(u);
	c->uffd = u;
	return FL_STEP_UFFD;
}

static enum fl_step dispatch(struct fl_fault_ctx *c)
{
	fl_pte e = fl_table_peek(&c->mm->tables, c->page);

	if (!e)
		return missing(c);
	if (e & FL_PTE_PRESENT)
		return fl_fault_present(c, e);
	if (e == FL_MARKER_POISON)
		return FL_STEP_POISONED;
	return FL_STEP_BAD_AREA; /* a guard */
}

/* One look. In an rcu section. */
static enum fl_step look(struct fl_fault_ctx *c)
{
	struct fl_vma *v = fl_index_find(&c->mm->index, c->f.addr);

	if (!v || v->start > c->f.addr)
		return no_vma(c, v);
	if (v->flags & FL_VM_FOREIGN)
		return FL_STEP_BAD_AREA;
	if (!access_allowed(c->mm->arch, v->flags, &c->f))
		return FL_STEP_ACCESS;
	/* Not for correctness: what is marked now would be found marked under the table lock. */
	if (fl_load(&v->mark))
		return FL_STEP_STALE;
	c->vma = v;
	return dispatch(c);
}

/* fl_uffd_fault's question, asked once its waiter can be found: is there still something to wait for, of this context?
 */
static bool still_missing(struct fl_task *t, struct fl_fault *f)
{
	struct fl_fault_ctx *c = FL_CONTAINER_OF(f, struct fl_fault_ctx, f);
	struct fl_vma *v;
	bool is;

	(void)t;
	fl_rcu_read_lock();
	v = fl_index_find(&c->mm->index, f->addr);
	is = v && v->start <= f->addr && v->uffd == c->uffd && (v->flags & FL_VM_UFFD_MISSING) &&
	     !fl_load_seq(&v->mark) && nothing_there(c);
	fl_rcu_read_unlock();
	return is;
}

static void drop_range(struct fl_fault_ctx *c)
{
	if (c->locked)
		fl_range_unlock(&c->mm->ranges, &c->range);
	c->locked = false;
}

/* The outcome of a refusal, or of a wait that a signal ended. */
static enum fl_outcome refuse(struct fl_fault_ctx *c, enum fl_outcome o, uint8_t si_code)
{
	if (!(c->f.flags & FL_FAULTF_USER) || (c->f.flags & FL_FAULTF_AHEAD))
		return FL_FAULT_KERNEL_FIXUP;
	c->f.si_code = si_code;
	return o;
}

/* Wait for the writer whose mark we met, or who may be about to map something. DONE: look again. */
static enum fl_outcome wait_for_writer(struct fl_fault_ctx *c)
{
	fl_va end = c->page + fl_mm_page(c->mm);

	FL_ASSERT(!c->locked);
	if (fl_range_lock(&c->mm->ranges, &c->range, c->task, c->page, end, FL_RANGE_SHARED, FL_WAIT_KILLABLE))
		return refuse(c, FL_FAULT_SIGNAL, 0);
	c->locked = true;
	return FL_FAULT_DONE;
}

static enum fl_outcome ask_uffd(struct fl_fault_ctx *c)
{
	enum fl_outcome o;

	if (!FL_BUG(sleep_in_lock))
		drop_range(c);
	o = fl_uffd_fault(c->uffd, c->task, &c->f, still_missing);
	fl_uffd_put(c->uffd);
	c->uffd = NULL;
	if (o != FL_FAULT_DONE)
		return refuse(c, o, c->f.si_code);
	/*
	 * What user mode tries first, without the lock of the address space, is no try to Linux: only what waits a
	 * second time, or has had to take that lock before it waited, counts as a retry.
	 */
	c->tried = c->resolved_by_uffd || c->grown || !(c->f.flags & FL_FAULTF_USER);
	c->resolved_by_uffd = true;
	return FL_FAULT_DONE;
}

static enum fl_outcome grow(struct fl_fault_ctx *c)
{
	int err;

	drop_range(c);
	err = fl_mm_grow_stack(c->task, c->f.addr);
	if (err == -FL_EINTR)
		return refuse(c, FL_FAULT_SIGNAL, 0);
	if (err)
		return refuse(c, FL_FAULT_BAD_AREA, c->mm->arch->maperr_code);
	c->grown = true;
	return FL_FAULT_DONE;
}

/* Do what the look could not. DONE: look again. */
static enum fl_outcome follow(struct fl_fault_ctx *c, enum fl_step step, unsigned *stale)
{
	const struct fl_arch *arch = c->mm->arch;

	switch (step) {
	case FL_STEP_STALE:
	case FL_STEP_AGAIN:
		if (c->f.retries < UINT8_MAX)
			c->f.retries++;
		if (c->f.flags & FL_FAULTF_AHEAD)
			return FL_FAULT_KERNEL_FIXUP;
		if (step == FL_STEP_STALE && !c->locked && ++*stale >= SPECULATIONS)
			return wait_for_writer(c);
		return FL_FAULT_DONE;
	case FL_STEP_NO_VMA:
		if (c->f.flags & FL_FAULTF_AHEAD)
			return FL_FAULT_KERNEL_FIXUP;
		if (!c->locked)
			return wait_for_writer(c);
		break;
	case FL_STEP_UFFD:
		return ask_uffd(c);
	case FL_STEP_GROW:
		return grow(c);
	case FL_STEP_ACCESS:
		return refuse(c, FL_FAULT_ACCESS_ERROR, arch->accerr_code);
	case FL_STEP_POISONED:
		c->f.lsb = arch->geometry.page_shift;
		return refuse(c, FL_FAULT_POISONED, FL_BUS_MCEERR_AR);
	case FL_STEP_OOM:
		return refuse(c, FL_FAULT_OOM, 0);
	case FL_STEP_LEAVE:
		return FL_FAULT_KERNEL_FIXUP;
	case FL_STEP_BAD_AREA:
	case FL_STEP_DONE:
		break;
	}
	return refuse(c, FL_FAULT_BAD_AREA, arch->maperr_code);
}

/* Who populates looks at the mapping anew after a wait. */
static bool ends_with_wait(const struct fl_fault_ctx *c)
{
	return c->resolved_by_uffd && (c->f.flags & FL_FAULTF_POPULATE);
}

static enum fl_outcome resolve(struct fl_fault_ctx *c)
{
	enum fl_outcome o;
	enum fl_step step;
	unsigned stale = 0;

	do {
		fl_rcu_read_lock();
		step = look(c);
		fl_rcu_read_unlock();
		if (step == FL_STEP_DONE)
			return FL_FAULT_DONE;
		o = follow(c, step, &stale);
	} while (o == FL_FAULT_DONE && !ends_with_wait(c));
	return o;
}

/* Charge the task, as Linux does. */
static void account(const struct fl_fault_ctx *c)
{
	const unsigned none = FL_FAULTF_AHEAD | (c->f.kind == FL_KIND_SPURIOUS ? FL_FAULTF_POPULATE : 0);

	if ((c->f.flags & none) || ends_with_wait(c))
		return;
	if (c->tried || (c->f.flags & FL_FAULTF_RETRY))
		c->task->maj_flt++;
	else
		c->task->min_flt++;
}

/* The kind of the last look is not the whole story if userfaultfd or a stack's growth came before it. */
static void name_kind(struct fl_fault_ctx *c)
{
	if (c->resolved_by_uffd && c->f.kind == FL_KIND_SPURIOUS)
		c->f.kind = FL_KIND_MISSING;
	else if (c->grown)
		c->f.kind = FL_KIND_STACK;
}

enum fl_outcome fl_handle_fault(struct fl_task *task, struct fl_fault *fault)
{
	struct fl_fault_ctx c = {.f = *fault, .task = task, .mm = task->mm, .spare = FL_PFN_NONE};
	enum fl_outcome o;

	c.f.kind = FL_KIND_NONE;
	c.f.si_code = c.f.lsb = c.f.waits = c.f.retries = 0;
	if (!c.mm) {
		o = refuse(&c, FL_FAULT_BAD_AREA, FL_SEGV_MAPERR);
	} else if (task->pagefault_disabled || fault->addr >= c.mm->arch->task_size) {
		o = refuse(&c, FL_FAULT_BAD_AREA, c.mm->arch->maperr_code);
	} else {
		c.page = fl_page_down(c.mm, fault->addr);
		o = resolve(&c);
		drop_range(&c);
		if (c.spare != FL_PFN_NONE)
			fl_frame_put(c.mm->frames, task, c.spare);
		if (o == FL_FAULT_DONE) {
			account(&c);
			name_kind(&c);
		}
	}
	*fault = c.f;
	return o;
}

const char *fl_outcome_name(enum fl_outcome o)
{
	static const char *const names[] = {
		[FL_FAULT_DONE] = "done",
		[FL_FAULT_BAD_AREA] = "bad area",
		[FL_FAULT_ACCESS_ERROR] = "access error",
		[FL_FAULT_KERNEL_FIXUP] = "kernel fixup",
		[FL_FAULT_BUS_ERROR] = "bus error",
		[FL_FAULT_POISONED] = "poisoned",
		[FL_FAULT_TAG_MISMATCH] = "tag mismatch",
		[FL_FAULT_SIGNAL] = "signal",
		[FL_FAULT_OOM] = "out of memory",
	};

	return (unsigned)o < FL_ARRAY_LEN(names) ? names[o] : "unknown";
}

const char *fl_fault_kind_name(enum fl_fault_kind k)
{
	static const char *const names[] = {
		[FL_KIND_NONE] = "none",       [FL_KIND_SPURIOUS] = "spurious", [FL_KIND_ZERO] = "zero",
		[FL_KIND_ANON] = "anon",       [FL_KIND_COW_COPY] = "cow-copy", [FL_KIND_COW_REUSE] = "cow-reuse",
		[FL_KIND_MISSING] = "missing", [FL_KIND_STACK] = "stack",
	};

	return (unsigned)k < FL_ARRAY_LEN(names) ? names[k] : "unknown";
}
