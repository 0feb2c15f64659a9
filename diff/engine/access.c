/* SPDX-License-Identifier: MIT */
/*
 * Accesses by an actor itself, and the signal that one which cannot be done ends in.
 *
 * No locks: one OS thread.
 */
#include <string.h>

#include "diff/engine/internal.h"

#define SIGNAL_BUS 7
#define SIGNAL_SEGV 11

static void set_signal(struct fl_answer *r, unsigned signo, int code, uint64_t address)
{
	r->signo = signo;
	r->si_code = code;
	r->sig_addr = address;
}

static void tell_outcome(struct fl_engine_actor *a, enum fl_outcome o)
{
	const struct fl_fault *f = &a->cpu.fault;

	switch (o) {
	case FL_FAULT_DONE:
		break;
	case FL_FAULT_BAD_AREA:
	case FL_FAULT_ACCESS_ERROR:
	case FL_FAULT_TAG_MISMATCH:
		set_signal(&a->answer, SIGNAL_SEGV, f->si_code, f->addr);
		break;
	case FL_FAULT_BUS_ERROR:
	case FL_FAULT_POISONED:
		set_signal(&a->answer, SIGNAL_BUS, f->si_code, f->addr);
		break;
	case FL_FAULT_SIGNAL:
		a->answer.interrupted = true;
		break;
	case FL_FAULT_KERNEL_FIXUP:
	case FL_FAULT_OOM:
		fl_engine_break(a->e, "an access to 0x%llx ended with %s", (unsigned long long)f->addr,
				fl_outcome_name(o));
		break;
	}
}

static enum fl_outcome add(struct fl_engine_actor *a, uint64_t va, uint64_t n, unsigned size, uint64_t *old)
{
	enum fl_outcome o;
	uint32_t old32 = 0;

	if (size == sizeof(*old))
		return fl_vcpu_add64(&a->cpu, va, n, old);
	o = fl_vcpu_add32(&a->cpu, va, (uint32_t)n, &old32);
	*old = old32;
	return o;
}

void fl_engine_access(struct fl_engine_actor *a)
{
	const struct fl_call *c = &a->call;
	uint64_t words[2] = {c->value, c->value}, loaded[2] = {0};
	enum fl_outcome o;

	switch (c->kind) {
	case FL_CALL_LOAD:
		o = fl_vcpu_load(&a->cpu, c->arg[0], loaded, c->size);
		break;
	case FL_CALL_STORE:
		o = fl_vcpu_store(&a->cpu, c->arg[0], words, c->size);
		break;
	case FL_CALL_ADD:
		o = add(a, c->arg[0], c->value, c->size, loaded);
		break;
	default:
		o = fl_vcpu_fetch(&a->cpu, c->arg[0], words, 1);
	}
	tell_outcome(a, o);
	if (o != FL_FAULT_DONE)
		return;
	a->answer.ret = (int64_t)loaded[0];
	if (c->kind == FL_CALL_LOAD)
		memcpy(a->answer.out, loaded, c->size < c->outs ? c->size : c->outs);
}
