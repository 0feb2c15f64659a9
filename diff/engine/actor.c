/* SPDX-License-Identifier: MIT */
/*
 * Actors: the fiber that does an actor's calls, and the calls that are about processes and actors themselves.
 *
 * Signals. One that a handler takes is of no use to an actor that does nothing: it has been taken before anybody looks. A fatal
 * one ends the process: whoever waits is woken and leaves, the others leave where they are.
 *
 * No locks: one OS thread.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "diff/engine/internal.h"
#include "mm/mm_int.h"

static void enter(struct fl_engine_actor *a)
{
	struct fl_engine *e = a->e;

	fl_task_init(&a->task, e->frames, fl_engine_process(a)->mm, a->index + 1);
	if (e->ground.root && !e->unprivileged)
		a->task.caps = FL_CAP_SYS_PTRACE | FL_CAP_IPC_LOCK | FL_CAP_SYS_RAWIO;
	fl_vcpu_init(&a->cpu, &a->task);
	a->entered = true;
}

/* The address space goes with the last thread; setup is none, and cannot keep it. */
static void count_out(struct fl_engine_actor *a)
{
	struct fl_engine *e = a->e;
	struct fl_engine_process *p = fl_engine_process(a);
	struct fl_engine_actor *setup = &e->actor[e->actors - 1];

	if (a == setup || --p->actors)
		return;
	if (!a->process) {
		setup->leave = true;
		if (setup->fiber)
			fl_fiber_wake(setup->fiber);
		else
			setup->gone = true;
	}
	fl_mm_put(p->mm);
	p->mm = NULL;
}

static void leave(struct fl_engine_actor *a)
{
	if (a->entered) {
		fl_vcpu_exit(&a->cpu);
		fl_task_exit(&a->task);
		a->entered = false;
	}
	a->leave = false;
	a->gone = true;
	count_out(a);
}

void fl_engine_kill(struct fl_engine *e, unsigned process)
{
	for (unsigned i = 0; i < e->actors; i++) {
		struct fl_engine_actor *a = &e->actor[i];

		if (a->process != process || a->gone)
			continue;
		a->leave = true;
		if (a->busy)
			fl_task_signal(&a->task, FL_SIGNAL_FATAL);
		if (a->fiber)
			fl_fiber_wake(a->fiber);
		else
			leave(a);
	}
}

/* Actors of a process that fork has made. */
static void give_birth(struct fl_engine *e, unsigned process)
{
	struct fl_engine_process *p = &e->process[process];

	for (unsigned i = 0; i + 1 < e->actors; i++) {
		if (e->actor[i].process == process)
			p->actors++;
	}
}

static int64_t do_fork(struct fl_engine_actor *a, unsigned process)
{
	struct fl_engine_process *parent = fl_engine_process(a), *p;
	struct fl_mm *mm;
	int err;

	if (process >= a->e->processes || a->e->process[process].made)
		return -FL_EAGAIN; /* the language allows one fork for each process */
	err = fl_mm_fork(&a->task, &mm);
	if (err)
		return err;
	p = &a->e->process[process];
	*p = *parent;
	p->mm = mm;
	p->made = true;
	p->actors = 0;
	give_birth(a->e, process);
	return 0;
}

static int64_t do_signal(struct fl_engine_actor *a, unsigned to, bool fatal)
{
	struct fl_engine_actor *b = &a->e->actor[to];

	if (to >= a->e->actors || b->gone || !fl_engine_process(b)->mm)
		return -FL_ESRCH;
	if (fatal)
		fl_engine_kill(a->e, b->process);
	else if (b->busy && b != a)
		fl_task_signal(&b->task, FL_SIGNAL_PENDING);
	return 0;
}

/* 0 means no limit to the engine. */
static uint64_t limit_bytes(uint64_t base, uint64_t pages)
{
	uint64_t bytes;

	if (pages == UINT64_MAX || pages >= UINT64_MAX / FL_DIFF_PAGE - base)
		return 0;
	bytes = (base + pages) * FL_DIFF_PAGE;
	return bytes ? bytes : FL_LIMIT_ZERO;
}

static uint64_t limit_at_most(uint64_t pages, uint64_t most)
{
	uint64_t bytes = limit_bytes(0, pages);

	return most && pages && (!bytes || bytes > most) ? most : bytes;
}

/*
 * As on the kernel, where the process is filled up with others: here with one that is as long as these. No other limit counts it.
 */
static int64_t limit_maps(struct fl_engine_actor *a, uint64_t more)
{
	const struct fl_ground *g = &a->e->ground;
	struct fl_engine_process *p = fl_engine_process(a);
	uint64_t before = fl_load(&p->mm->total_pages), own, fill;
	int err = -FL_EOPNOTSUPP;
	fl_va at;

	if (g->fill_lo == g->fill_hi)
		return err;
	fl_mm_set_limits(p->mm, 0, p->data, p->memlock, p->stack);
	fl_mm_set_max_maps(p->mm, g->max_maps);
	err = fl_munmap(&a->task, g->fill_lo, g->fill_hi - g->fill_lo);
	own = fl_load(&p->mm->index.count);
	fill = own < g->max_maps && more < g->max_maps - own ? g->max_maps - own - more : 0;
	if (!err && fill)
		err = fl_mmap_foreign(&a->task, g->fill_lo, fill * FL_DIFF_PAGE, 0, FL_MAP_FIXED | FL_MAP_PRIVATE, 0, 0,
				      g->foreigns + 1, 0, &at);
	if (!err && fill)
		fl_mm_set_max_maps(p->mm, own + 1 + more);
	if (p->as)
		p->as += (fl_load(&p->mm->total_pages) - before) * FL_DIFF_PAGE;
	fl_engine_apply_limits(p);
	return err;
}

static int64_t do_limit(struct fl_engine_actor *a, unsigned limit, uint64_t pages)
{
	struct fl_engine_process *p = fl_engine_process(a);
	const struct fl_ground *g = &a->e->ground;

	switch (limit) {
	case RLIMIT_AS:
		p->as = limit_bytes(fl_load(&p->mm->total_pages), pages);
		break;
	case RLIMIT_DATA:
		p->data = limit_bytes(fl_load(&p->mm->data_pages), pages);
		break;
	case RLIMIT_MEMLOCK:
		p->memlock = limit_at_most(pages, g->most_memlock);
		break;
	case RLIMIT_STACK:
		p->stack = limit_at_most(pages, g->most_stack);
		break;
	case FL_SC_LIMIT_MAPS:
		return limit_maps(a, pages);
	default:
		return -FL_EINVAL;
	}
	fl_engine_apply_limits(p);
	return 0;
}

static int64_t do_syscall(struct fl_engine_actor *a)
{
	const struct fl_call *c = &a->call;
	int64_t ret;

	ret = fl_engine_syscall(a, c->nr, c->arg);
	/* The handler on the kernel does not ask for calls to be restarted. */
	return ret == -FL_ERESTARTSYS ? -FL_EINTR : ret;
}

static void perform(struct fl_engine_actor *a)
{
	const struct fl_call *c = &a->call;

	switch (c->kind) {
	case FL_CALL_SYSCALL:
		a->answer.ret = do_syscall(a);
		break;
	case FL_CALL_LOAD:
	case FL_CALL_STORE:
	case FL_CALL_ADD:
	case FL_CALL_FETCH:
		fl_engine_access(a);
		break;
	case FL_CALL_FORK:
		a->answer.ret = do_fork(a, c->object);
		break;
	case FL_CALL_EXIT:
		a->leave = true;
		break;
	case FL_CALL_SIGNAL:
		a->answer.ret = do_signal(a, c->object, c->fatal);
		break;
	case FL_CALL_LIMIT:
		a->answer.ret = do_limit(a, c->object, c->value);
		break;
	case FL_CALL_KINDS:
		break;
	}
}

static void fill_words(char *at, uint64_t value, size_t bytes)
{
	for (; bytes >= sizeof(value); bytes -= sizeof(value), at += sizeof(value))
		memcpy(at, &value, sizeof(value));
}

/* What the call finds in scratch and in the carrier. */
static void lay_out(struct fl_engine_actor *a)
{
	const struct fl_call *c = &a->call;
	char *scratch = fl_engine_scratch(a), *carrier = fl_engine_carrier(a);
	size_t most = FL_DIFF_SCRATCH_SIZE - FL_DIFF_PAGE, fill = c->fill_pages * FL_DIFF_PAGE;

	memset(scratch, 0, c->outs);
	if (c->fill_pages) {
		fill_words(scratch + FL_DIFF_PAGE, c->fill, fill < most ? fill : most);
		fill_words(carrier, c->fill, fill < most ? fill : most);
	}
	memcpy(c->carried ? carrier : scratch, c->in, c->ins);
}

static void show_carrier(struct fl_engine_actor *a, uint8_t *out, bool hashed)
{
	const char *carrier = fl_engine_carrier(a);
	size_t n = a->answer.ret > 0 ? (size_t)a->answer.ret : 0;
	uint64_t hash;

	if (n > FL_ENGINE_CARRIER)
		n = FL_ENGINE_CARRIER;
	if (hashed) {
		hash = fl_diff_hash(carrier, n);
		memcpy(out, &hash, sizeof(hash));
	} else {
		memcpy(out, carrier, n < a->call.outs ? n : a->call.outs);
	}
}

/* What the call has made of them. Thread ids in messages are the actors' already. */
static void collect(struct fl_engine_actor *a)
{
	const struct fl_call *c = &a->call;
	uint8_t *out = a->answer.out;

	a->answer.outs = c->outs;
	if (c->kind != FL_CALL_SYSCALL || !c->outs)
		return;
	if (c->out_kind == FL_OUT_CARRIER || c->out_kind == FL_OUT_CARRIED)
		show_carrier(a, out, c->out_kind == FL_OUT_CARRIER);
	else
		memcpy(out, fl_engine_scratch(a), c->outs);
	if (c->out_kind == FL_OUT_POLL)
		memset(out, 0, sizeof(int32_t));
}

static void do_call(struct fl_engine_actor *a)
{
	uint64_t minor, major;

	if (!a->entered)
		enter(a);
	minor = a->task.min_flt;
	major = a->task.maj_flt;
	perform(a);
	a->answer.minor = a->task.min_flt - minor;
	a->answer.major = a->task.maj_flt - major;
	fl_task_clear_signal(&a->task, FL_SIGNAL_PENDING);
	collect(a);
	a->busy = false;
}

static void live(void *arg)
{
	struct fl_engine_actor *a = arg;

	for (;;) {
		if (a->busy)
			do_call(a);
		else if (a->leave)
			leave(a);
		else
			fl_fiber_block();
	}
}

bool fl_engine_actor_ready(struct fl_engine_actor *a)
{
	char name[FL_FIBER_NAME_MAX];

	if (!a->fiber) {
		snprintf(name, sizeof(name), "actor %u", a->index);
		a->fiber = fl_fiber_create(name, live, a, 0);
	}
	return a->fiber != NULL;
}

void fl_engine_actor_start(struct fl_engine_actor *a, const struct fl_call *c)
{
	a->call = *c;
	a->answer = (struct fl_answer){.state = FL_ANSWER_NONE};
	a->said = false;
	lay_out(a);
	a->busy = true;
	fl_fiber_wake(a->fiber);
}
