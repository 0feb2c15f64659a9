/* SPDX-License-Identifier: MIT */
/*
 * The soft machine: which vCPUs an address space has, and the shoot-down.
 *
 * Each vCPU holds its mutex `run` while it runs. A shoot-down takes it, clears the TLB, and gives it back: so it has
 * waited for a safe point, and what the vCPU looks up afterwards comes from the tables as they are now. A vCPU that
 * does not run, above all one that is inside the engine, is not waited for. Everybody waits in mutexes, so nothing
 * spins, and no thread needs to be told of a shoot-down except to be fair: `wanted` makes a vCPU that takes `run` again
 * and again let the other have its turn.
 *
 * Shoot-downs of one address space come one after the other, under fl_soft.mutex.
 */
#include "soft_int.h"

FL_NO_LOCK_CHECK void fl_vcpu_take_run(struct fl_vcpu *v)
{
	if (fl_load(&v->wanted)) {
		/* Whoever wants it holds this until he has had it. */
		fl_mutex_lock(&v->soft->mutex);
		fl_mutex_unlock(&v->soft->mutex);
	}
	fl_mutex_lock(&v->run);
}

FL_NO_LOCK_CHECK void fl_vcpu_drop_run(struct fl_vcpu *v)
{
	fl_mutex_unlock(&v->run);
}

void fl_vcpu_enter(struct fl_vcpu *v)
{
	FL_ASSERT(!v->entered);
	fl_vcpu_take_run(v);
	v->entered = true;
}

void fl_vcpu_leave(struct fl_vcpu *v)
{
	FL_ASSERT(v->entered);
	v->entered = false;
	fl_vcpu_drop_run(v);
}

void fl_vcpu_safe_point(struct fl_vcpu *v)
{
	FL_ASSERT(v->entered);
	if (fl_load(&v->wanted)) {
		fl_vcpu_drop_run(v);
		fl_vcpu_take_run(v);
	}
}

/* Under v's run. */
static void forget(struct fl_vcpu *v, fl_va start, fl_va end)
{
	for (unsigned i = 0; i < FL_SOFT_TLB; i++) {
		if (v->tlb[i].page >= start && v->tlb[i].page < end)
			v->tlb[i].rights = 0;
	}
}

static void soft_flush(void *machine, fl_va start, fl_va end, enum fl_flush_kind kind)
{
	struct fl_soft *s = machine;

	(void)kind; /* what is forgotten is looked up again, with whatever rights are left */
	fl_mutex_lock(&s->mutex);
	for (struct fl_vcpu *v = s->vcpus; v; v = v->next) {
		fl_store(&v->wanted, 1);
		fl_mutex_lock(&v->run);
		forget(v, start, end);
		fl_store(&v->wanted, 0);
		fl_mutex_unlock(&v->run);
	}
	fl_mutex_unlock(&s->mutex);
}

static size_t soft_foreign_read(void *machine, void *dst, fl_va va, size_t n)
{
	const struct fl_soft *s = machine;

	return s->host && s->host->foreign_read ? s->host->foreign_read(s->host_arg, dst, va, n) : 0;
}

static size_t soft_foreign_write(void *machine, fl_va va, const void *src, size_t n)
{
	const struct fl_soft *s = machine;

	return s->host && s->host->foreign_write ? s->host->foreign_write(s->host_arg, va, src, n) : 0;
}

static void *soft_fork(void *machine, struct fl_mm *child)
{
	const struct fl_soft *parent = machine;
	struct fl_soft *s = fl_port_alloc(sizeof(*s));

	(void)child;
	if (s) {
		s->host = parent->host;
		s->host_arg = parent->host_arg;
	}
	return s;
}

static void soft_drop(void *machine)
{
	struct fl_soft *s = machine;

	FL_ASSERT(!s->vcpus);
	fl_port_free(s, sizeof(*s));
}

static const struct fl_machine_ops soft_ops = {
	.flush = soft_flush,
	.foreign_read = soft_foreign_read,
	.foreign_write = soft_foreign_write,
	.fork = soft_fork,
	.drop = soft_drop,
	.marks_writes = true,
};

int fl_soft_mm_create(const struct fl_mm_config *c, struct fl_mm **out)
{
	struct fl_mm_config config = *c;
	struct fl_soft *s = fl_port_alloc(sizeof(*s));
	int err;

	if (!s)
		return -FL_ENOMEM;
	s->host = c->ops;
	s->host_arg = c->machine;
	config.ops = &soft_ops;
	config.machine = s;
	err = fl_mm_create(&config, out);
	if (err)
		fl_port_free(s, sizeof(*s));
	return err;
}

void fl_vcpu_init(struct fl_vcpu *v, struct fl_task *task)
{
	struct fl_soft *s = fl_mm_machine(task->mm);

	*v = (struct fl_vcpu){.task = task, .mm = task->mm, .soft = s};
	fl_mutex_lock(&s->mutex);
	v->next = s->vcpus;
	if (v->next)
		v->next->prev = v;
	s->vcpus = v;
	fl_mutex_unlock(&s->mutex);
}

void fl_vcpu_exit(struct fl_vcpu *v)
{
	struct fl_soft *s = v->soft;

	FL_ASSERT(!v->entered);
	fl_mutex_lock(&s->mutex);
	if (v->next)
		v->next->prev = v->prev;
	if (v->prev)
		v->prev->next = v->next;
	else
		s->vcpus = v->next;
	fl_mutex_unlock(&s->mutex);
}
