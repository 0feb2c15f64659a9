/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's accesses: look in the TLB, else in the tables, else fault; and begin again, until it can be done or the
 * fault has a final answer. An access over two pages has both translations before it touches either.
 *
 * A translation is used only while the vCPU runs (soft.c), so it is good until the access is over.
 */
#include <string.h>

#include "soft_int.h"

/* Guest memory has no type of its own. */
typedef uint16_t __attribute__((may_alias)) guest16;
typedef uint32_t __attribute__((may_alias)) guest32;
typedef uint64_t __attribute__((may_alias)) guest64;
typedef uintptr_t __attribute__((may_alias)) guest_word;

/* Where the bytes are: two pieces if they lie in two pages. */
struct place {
	char *data[2];
	size_t first; /* bytes in the first piece */
};

static fl_va page_mask(const struct fl_vcpu *v)
{
	return ((fl_va)1 << fl_mm_arch(v->mm)->geometry.page_shift) - 1;
}

/* Running. The byte at va, or NULL if the tables do not allow the access. */
static char *translate(struct fl_vcpu *v, fl_va va, enum fl_access access)
{
	const struct fl_arch *arch = fl_mm_arch(v->mm);
	fl_va mask = page_mask(v), page = va & ~mask;
	struct fl_tlb_entry *e = &v->tlb[(va >> arch->geometry.page_shift) % FL_SOFT_TLB];
	struct fl_translation t;
	uint32_t rights;
	char *data;

	if (e->page != page || !(e->rights & access)) {
		if (va >= arch->task_size || !fl_mm_walk(v->mm, va, access, &t))
			return NULL;
		data = fl_frame_data(fl_mm_frames(v->mm), t.pfn);
		/* A right to write that no write has used yet must come by here again, to mark the entry dirty. */
		rights = t.allowed & (access == FL_WRITE ? UINT32_MAX : ~(uint32_t)FL_WRITE);
		if (e->page == page && e->data == data)
			rights |= e->rights;
		*e = (struct fl_tlb_entry){.page = page, .data = data, .rights = rights};
	}
	return e->data + (va & mask);
}

/*
 * An entry is there, and refused the access. Writes have one rule for both cases, so nothing needs to be known of them.
 * Sets *retry if the access is allowed by now.
 */
static bool refused(struct fl_vcpu *v, fl_va va, enum fl_access access, bool *retry)
{
	enum fl_access other = access == FL_READ ? FL_EXEC : FL_READ;
	struct fl_translation t;

	*retry = false;
	if (access == FL_WRITE || va >= fl_mm_arch(v->mm)->task_size || !fl_mm_walk(v->mm, va, other, &t))
		return false;
	*retry = (t.allowed & access) != 0;
	return true;
}

/* The vCPU runs when this is called, and when it returns DONE; else only if it has entered. */
static enum fl_outcome take_fault(struct fl_vcpu *v, fl_va va, enum fl_access access)
{
	enum fl_outcome o;
	bool retry;

	v->fault = (struct fl_fault){.addr = va, .access = (uint8_t)access, .flags = FL_FAULTF_USER};
	if (refused(v, va, access, &retry))
		v->fault.flags |= FL_FAULTF_PRESENT;
	if (retry)
		return FL_FAULT_DONE;
	if (v->sp) {
		v->fault.sp = v->sp;
		v->fault.flags |= FL_FAULTF_SP;
	}
	fl_vcpu_drop_run(v);
	v->faults++;
	o = fl_handle_fault(v->task, &v->fault);
	if (o == FL_FAULT_DONE || v->entered)
		fl_vcpu_take_run(v);
	return o;
}

static bool canonical(fl_va va, unsigned bits)
{
	fl_va upper = va >> (bits - 1);

	return !upper || upper == UINT64_MAX >> (bits - 1);
}

/* Does it trap for what the address is? Of such an address no translation is ever known, so only who has none asks. */
static bool impossible(struct fl_vcpu *v, fl_va va, size_t n, enum fl_access access)
{
	unsigned bits = fl_mm_arch(v->mm)->canonical_bits;

	if (!bits || (canonical(va, bits) && canonical(va + n - 1, bits)))
		return false;
	v->fault = (struct fl_fault){.access = (uint8_t)access, .flags = FL_FAULTF_USER, .si_code = FL_SI_KERNEL};
	return true;
}

static void end(struct fl_vcpu *v)
{
	if (!v->entered)
		fl_vcpu_drop_run(v);
}

/* Find n bytes for access. DONE: the vCPU runs, and p is good until end(). */
static enum fl_outcome begin(struct fl_vcpu *v, fl_va va, size_t n, enum fl_access access, struct place *p)
{
	size_t rest = (size_t)(page_mask(v) + 1 - (va & page_mask(v)));
	enum fl_outcome o;
	fl_va missing;

	FL_ASSERT(n >= 1 && n <= FL_SOFT_ACCESS_MAX);
	p->first = n < rest ? n : rest;
	if (!v->entered)
		fl_vcpu_take_run(v);
	do {
		missing = va;
		p->data[0] = translate(v, va, access);
		if (p->data[0] && p->first < n) {
			missing = va + p->first;
			p->data[1] = translate(v, missing, access);
			if (p->data[1])
				return FL_FAULT_DONE;
		} else if (p->data[0]) {
			return FL_FAULT_DONE;
		}
		if (impossible(v, va, n, access)) {
			end(v);
			return FL_FAULT_BAD_AREA;
		}
		o = take_fault(v, missing, access);
	} while (o == FL_FAULT_DONE);
	return o;
}

/* How wide one access of the host can do it all: n, or 0 if it takes several. */
static size_t single(const char *data, size_t n)
{
	return (uintptr_t)data % n == 0 && (n < 8 || (n == 8 && sizeof(uintptr_t) == 8)) ? n : 0;
}

/* Other vCPUs may be at the same bytes. */
static void get(void *value, const void *data, size_t n)
{
	uintptr_t word;
	uint32_t u32;
	uint16_t u16;

	switch (single(data, n)) {
	case 1:
		*(unsigned char *)value = fl_guest_load((const unsigned char *)data);
		break;
	case 2:
		u16 = fl_guest_load((const guest16 *)data);
		memcpy(value, &u16, n);
		break;
	case 4:
		u32 = fl_guest_load((const guest32 *)data);
		memcpy(value, &u32, n);
		break;
	case 8:
		word = fl_guest_load((const guest_word *)data);
		memcpy(value, &word, n);
		break;
	default:
		fl_port_copy(value, data, n);
	}
}

static void put(void *data, const void *value, size_t n)
{
	uintptr_t word;
	uint32_t u32;
	uint16_t u16;

	switch (single(data, n)) {
	case 1:
		fl_guest_store((unsigned char *)data, *(const unsigned char *)value);
		break;
	case 2:
		memcpy(&u16, value, n);
		fl_guest_store((guest16 *)data, u16);
		break;
	case 4:
		memcpy(&u32, value, n);
		fl_guest_store((guest32 *)data, u32);
		break;
	case 8:
		memcpy(&word, value, n);
		fl_guest_store((guest_word *)data, word);
		break;
	default:
		fl_port_copy(data, value, n);
	}
}

static enum fl_outcome load(struct fl_vcpu *v, fl_va va, void *value, size_t n, enum fl_access access)
{
	struct place p;
	enum fl_outcome o = begin(v, va, n, access, &p);

	if (o != FL_FAULT_DONE)
		return o;
	get(value, p.data[0], p.first);
	if (p.first < n)
		get((char *)value + p.first, p.data[1], n - p.first);
	end(v);
	return FL_FAULT_DONE;
}

enum fl_outcome fl_vcpu_load(struct fl_vcpu *v, fl_va va, void *value, size_t n)
{
	return load(v, va, value, n, FL_READ);
}

enum fl_outcome fl_vcpu_fetch(struct fl_vcpu *v, fl_va va, void *value, size_t n)
{
	return load(v, va, value, n, FL_EXEC);
}

enum fl_outcome fl_vcpu_store(struct fl_vcpu *v, fl_va va, const void *value, size_t n)
{
	struct place p;
	enum fl_outcome o = begin(v, va, n, FL_WRITE, &p);

	if (o != FL_FAULT_DONE)
		return o;
	put(p.data[0], value, p.first);
	if (p.first < n)
		put(p.data[1], (const char *)value + p.first, n - p.first);
	end(v);
	return FL_FAULT_DONE;
}

/* Find an aligned word of n bytes to change. DONE: as begin. */
static enum fl_outcome begin_atomic(struct fl_vcpu *v, fl_va va, size_t n, struct place *p)
{
	if (va % n) {
		v->fault = (struct fl_fault){.addr = va, .access = FL_WRITE, .flags = FL_FAULTF_USER};
		v->fault.si_code = FL_BUS_ADRALN;
		return FL_FAULT_BUS_ERROR;
	}
	return begin(v, va, n, FL_WRITE, p);
}

enum fl_outcome fl_vcpu_add32(struct fl_vcpu *v, fl_va va, uint32_t n, uint32_t *old)
{
	struct place p;
	enum fl_outcome o = begin_atomic(v, va, sizeof(n), &p);

	if (o != FL_FAULT_DONE)
		return o;
	*old = fl_guest_add((guest32 *)(void *)p.data[0], n) - n;
	end(v);
	return FL_FAULT_DONE;
}

enum fl_outcome fl_vcpu_add64(struct fl_vcpu *v, fl_va va, uint64_t n, uint64_t *old)
{
	struct place p;
	enum fl_outcome o = begin_atomic(v, va, sizeof(n), &p);

	if (o != FL_FAULT_DONE)
		return o;
	*old = fl_guest_add((guest64 *)(void *)p.data[0], n) - n;
	end(v);
	return FL_FAULT_DONE;
}
