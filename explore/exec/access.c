/* SPDX-License-Identifier: MIT */
/*
 * Accesses by a thread through its vCPU, and copies that the kernel makes for it.
 *
 * Accesses one after the other are one block of the vCPU, with a safe point before each: as on hardware, nothing of the
 * machine's own is between them that would order them.
 *
 * A signal that comes while an access is on its way, or is about to begin, leaves it: INTERRUPTED, as for a program whose
 * handler does not return to the access. In setup an access that userfaultfd would have to wait for is refused.
 */
#include "explore/exec/exec_int.h"
#include "faultline/uaccess.h"

fl_va fl_exec_address(const struct fl_exec *x, const struct fl_sc_range *r)
{
	return x->window + fl_sc_address(x->s, r);
}

uint64_t fl_exec_bytes(const struct fl_exec *x, const struct fl_sc_range *r)
{
	uint64_t pages = r->whole ? x->s->map[r->map].pages : 1;

	return r->length ? r->length : pages << x->arch.geometry.page_shift;
}

static int64_t why_not(const struct fl_actor *a, enum fl_outcome o)
{
	switch (o) {
	case FL_FAULT_DONE:
		return 0;
	case FL_FAULT_BAD_AREA:
	case FL_FAULT_ACCESS_ERROR:
		return a->cpu.fault.si_code == FL_SEGV_ACCERR ? FL_SC_ACCERR : FL_SC_MAPERR;
	case FL_FAULT_BUS_ERROR:
		return FL_SC_BUS;
	case FL_FAULT_POISONED:
		return FL_SC_POISON;
	case FL_FAULT_TAG_MISMATCH:
		return FL_SC_TAG;
	case FL_FAULT_SIGNAL:
		return FL_SC_INTERRUPTED;
	case FL_FAULT_OOM:
		return FL_SC_NOMEM;
	case FL_FAULT_KERNEL_FIXUP:
		break;
	}
	return -FL_EFAULT;
}

/* Values are 64 bits; memory is in the host's order, whatever the size. */
static uint64_t widen(const void *p, unsigned size)
{
	switch (size) {
	case 1:
		return *(const uint8_t *)p;
	case 2:
		return *(const uint16_t *)p;
	case 4:
		return *(const uint32_t *)p;
	default:
		return *(const uint64_t *)p;
	}
}

static void narrow(void *p, uint64_t value, unsigned size)
{
	switch (size) {
	case 1:
		*(uint8_t *)p = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)p = (uint16_t)value;
		break;
	case 4:
		*(uint32_t *)p = (uint32_t)value;
		break;
	default:
		*(uint64_t *)p = value;
	}
}

static int64_t add(struct fl_actor *a, fl_va va, uint64_t n, unsigned size)
{
	enum fl_outcome o;
	uint32_t old32;
	uint64_t old = 0;

	if (size == 4) {
		o = fl_vcpu_add32(&a->cpu, va, (uint32_t)n, &old32);
		old = o == FL_FAULT_DONE ? old32 : 0;
	} else {
		o = fl_vcpu_add64(&a->cpu, va, n, &old);
	}
	return o == FL_FAULT_DONE ? (int64_t)old : why_not(a, o);
}

static int64_t by_vcpu(struct fl_actor *a, const struct fl_sc_statement *s, fl_va va, unsigned size, uint64_t value)
{
	uint64_t word = 0;
	enum fl_outcome o;

	switch (s->op) {
	case FL_SC_LOAD:
		o = fl_vcpu_load(&a->cpu, va, &word, size);
		return o == FL_FAULT_DONE ? (int64_t)widen(&word, size) : why_not(a, o);
	case FL_SC_STORE:
		narrow(&word, value, size);
		return why_not(a, fl_vcpu_store(&a->cpu, va, &word, size));
	case FL_SC_ADD:
		return add(a, va, value, size);
	default:
		return why_not(a, fl_vcpu_fetch(&a->cpu, va, &word, 1));
	}
}

static int64_t by_kernel(struct fl_actor *a, const struct fl_sc_statement *s, fl_va va, unsigned size, uint64_t value)
{
	uint64_t word = 0;

	if (s->op == FL_SC_COPYIN)
		return fl_copy_from_user(&a->task, &word, va, size) ? -FL_EFAULT : (int64_t)widen(&word, size);
	narrow(&word, value, size);
	return fl_copy_to_user(&a->task, va, &word, size) ? -FL_EFAULT : 0;
}

/* In setup there is nobody to fill a page. */
static bool would_wait(struct fl_actor *a, fl_va va)
{
	struct fl_vma_info v;
	struct fl_translation t;

	return fl_exec_is_setup(a) && fl_mm_next_vma(a->task.mm, va, &v) && v.start <= va &&
	       (v.vm_flags & FL_VM_UFFD_ANY) && !fl_mm_walk(a->task.mm, va, FL_READ, &t);
}

void fl_exec_stay(struct fl_actor *a)
{
	if (a->cpu.entered)
		fl_vcpu_safe_point(&a->cpu);
}

void fl_exec_leave_cpu(struct fl_actor *a)
{
	if (a->live && a->cpu.entered)
		fl_vcpu_leave(&a->cpu);
}

int64_t fl_exec_access(struct fl_actor *a, const struct fl_sc_statement *s)
{
	fl_va va = fl_exec_address(a->x, &s->range);
	unsigned size = s->size ? s->size : 8;
	uint64_t value = (uint64_t)fl_exec_value(a, s->value);
	uint64_t faults = a->cpu.faults;
	int64_t result;

	if (would_wait(a, va))
		return FL_SC_UNSET;
	if (s->op == FL_SC_COPYIN || s->op == FL_SC_COPYOUT) {
		fl_exec_leave_cpu(a);
		return by_kernel(a, s, va, size, value);
	}
	if (a->x->thread[a->index].signalled && fl_load_acquire(&a->task.signals))
		return FL_SC_INTERRUPTED;
	if (a->cpu.entered)
		fl_vcpu_safe_point(&a->cpu);
	else if (!fl_exec_is_setup(a))
		fl_vcpu_enter(&a->cpu);
	result = by_vcpu(a, s, va, size, value);
	if (a->cpu.faults != faults) {
		a->faults += a->cpu.faults - faults;
		a->retries += a->cpu.fault.retries;
	}
	return result;
}
