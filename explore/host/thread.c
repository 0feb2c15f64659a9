/* SPDX-License-Identifier: MIT */
/*
 * A thread of a scenario on the running kernel: it waits for a run, does its statements with random delays between
 * them, and says when it has ended.
 *
 * Shared: the board, see internal.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "explore/exec/exec.h"
#include "explore/host/internal.h"

void fl_host_fail(const char *what, long err)
{
	struct fl_host_board *b = fl_host_world.board;
	size_t i = 0;
	uint32_t none = 0;
	char digits[24];
	int n = 0;

	if (!atomic_compare_exchange_strong(&b->failed, &none, 1))
		return;
	for (; what[i] && i < sizeof b->error - 32; i++)
		b->error[i] = what[i];
	if (err) {
		unsigned long v = err < 0 ? -(unsigned long)err : (unsigned long)err;

		memcpy(b->error + i, err < 0 ? " (error " : " (", err < 0 ? 8 : 2);
		i += err < 0 ? 8 : 2;
		do
			digits[n++] = (char)('0' + v % 10);
		while ((v /= 10));
		while (n)
			b->error[i++] = digits[--n];
		b->error[i++] = ')';
	}
	b->error[i] = 0;
	atomic_store(&b->failed, 2);
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators) */
uint64_t fl_host_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ul;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ul;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebul;
	return z ^ (z >> 31);
}

static void spin(uint64_t cycles)
{
	uint64_t start = fl_host_tsc();

	while (fl_host_tsc() - start < cycles)
		__builtin_ia32_pause();
}

static void doze(struct fl_host_self *self, unsigned microseconds)
{
	struct fl_host_slot *slot = &fl_host_world.board->slot[self->thread];
	int64_t t[2] = {0, (int64_t)microseconds * 1000};

	atomic_store(&slot->sleeping, 1);
	FL_RAW_CALL2(SYS_nanosleep, t, NULL);
	atomic_store(&slot->sleeping, 0);
}

/* As many cycles as 2 to a random power below bits: most are short, some are long. */
static uint64_t some_cycles(uint64_t random, unsigned bits)
{
	uint64_t top = 1ul << (random % bits);

	return top + (random >> 16) % top;
}

static void delay(struct fl_host_self *self)
{
	uint64_t r;

	if (self->thread == FL_SC_SETUP)
		return;
	r = fl_host_random(&self->random);
	switch (atomic_load_explicit(&fl_host_world.board->delay, memory_order_relaxed)) {
	case FL_HOST_SHORT:
		spin(some_cycles(r, 9));
		break;
	case FL_HOST_LONG:
		spin(some_cycles(r, 15));
		break;
	case FL_HOST_YIELDS:
		if (r >> 62 == 0)
			FL_RAW_CALL0(SYS_sched_yield);
		else
			spin(some_cycles(r, 7));
		break;
	case FL_HOST_STALL:
		/* As if the thread had lost its processor here, once. */
		if (!self->stall--)
			doze(self, 20 + (unsigned)(r % 100));
		break;
	default:
		break;
	}
}

/* Names in expressions */

int64_t fl_host_see_result(void *arg, unsigned index, enum fl_sc_field field)
{
	const struct fl_host_value *v = &fl_host_world.result[index];
	enum fl_sc_field f =
		field == FL_SC_F_NONE && fl_host_world.s->result[index].type == FL_SC_MESSAGE ? FL_SC_F_EVENT : field;

	(void)arg;
	return atomic_load(&v->set) & (1u << f) ? atomic_load(&v->field[f]) : (int64_t)FL_SC_UNSET;
}

int64_t fl_host_see_variable(void *arg, unsigned index)
{
	(void)arg;
	return atomic_load(&fl_host_world.variable[index]);
}

static int64_t see_no_memory(void *arg, unsigned process, const struct fl_sc_range *range, unsigned size)
{
	(void)arg, (void)process, (void)range, (void)size;
	return FL_SC_UNSET;
}

static int64_t see_no_count(void *arg, enum fl_sc_count count, unsigned index, const struct fl_sc_range *range)
{
	(void)arg, (void)count, (void)index, (void)range;
	return FL_SC_UNSET;
}

static bool see_no_blocked(void *arg, unsigned thread)
{
	(void)arg, (void)thread;
	return false;
}

int64_t fl_host_evaluate(const struct fl_sc_expr *e)
{
	const struct fl_sc_context context = {NULL,          fl_host_see_result, fl_host_see_variable,
					      see_no_memory, see_no_count,       see_no_blocked};

	return fl_sc_evaluate(e, &context);
}

static bool holds(const struct fl_sc_expr *e)
{
	int64_t value = fl_host_evaluate(e);

	return value && value != FL_SC_UNSET;
}

/* Somebody may await a result or a variable that has changed. */
static void tell(void)
{
	struct fl_host_board *b = fl_host_world.board;

	atomic_fetch_add(&b->changes, 1);
	if (atomic_load(&b->awaiting))
		fl_host_futex_wake(&b->changes);
}

void fl_host_bind(int result, enum fl_sc_field field, int64_t value)
{
	struct fl_host_value *v;
	uint32_t set;

	if (result < 0)
		return;
	v = &fl_host_world.result[result];
	set = atomic_load_explicit(&v->set, memory_order_relaxed) | 1u << field;
	/* No fence: it would empty the store buffer, and what that shows is wanted. One thread writes a result. */
	atomic_store_explicit(&v->field[field], value, memory_order_relaxed);
	atomic_store_explicit(&v->set, set, memory_order_release);
	if (fl_host_world.awaits)
		tell();
}

/* A message's fields belong together: those of the one before go first. */
void fl_host_unbind(int result)
{
	if (result >= 0)
		atomic_store_explicit(&fl_host_world.result[result].set, 0, memory_order_release);
}

/* Statements */

static void do_set(const struct fl_sc_statement *st)
{
	atomic_store(&fl_host_world.variable[st->object], fl_host_evaluate(st->value));
	tell();
}

#define AWAIT_YIELDS 20

static int64_t do_await(const struct fl_sc_statement *st)
{
	struct fl_host_board *b = fl_host_world.board;

	for (unsigned i = 0;; i++) {
		uint32_t seen = atomic_load(&b->changes);

		if (holds(st->condition))
			return 0;
		if (atomic_load(&b->abort))
			return FL_SC_UNSET;
		if (i < AWAIT_YIELDS) {
			FL_RAW_CALL0(SYS_sched_yield);
			continue;
		}
		atomic_fetch_add(&b->awaiting, 1);
		fl_host_futex_wait(&b->changes, seen, 0);
		atomic_fetch_sub(&b->awaiting, 1);
	}
}

static void do_check(const struct fl_sc_statement *st)
{
	uint32_t none = 0;

	if (!holds(st->condition))
		atomic_compare_exchange_strong(&fl_host_world.board->check_line, &none, st->place.line);
}

static int64_t do_statement(struct fl_host_self *self, const struct fl_sc_statement *st)
{
	switch (st->op) {
	case FL_SC_LOAD:
	case FL_SC_STORE:
	case FL_SC_ADD:
	case FL_SC_FETCH:
		return fl_host_access(self, st, st->value ? (uint64_t)fl_host_evaluate(st->value) : 0);
	case FL_SC_COPYIN:
	case FL_SC_COPYOUT:
		return fl_host_copies(self, st, st->value ? (uint64_t)fl_host_evaluate(st->value) : 0);
	case FL_SC_MAP:
	case FL_SC_MMAP:
	case FL_SC_MUNMAP:
	case FL_SC_MPROTECT:
	case FL_SC_MADVISE:
	case FL_SC_MREMAP:
	case FL_SC_MLOCK:
	case FL_SC_MUNLOCK:
	case FL_SC_MINCORE:
	case FL_SC_BRK:
		return fl_host_memory_call(self, st);
	case FL_SC_FORK:
		return fl_host_fork(self, st);
	case FL_SC_SIGNAL:
		return fl_host_signal(st);
	case FL_SC_SET:
		do_set(st);
		return 0;
	case FL_SC_GET:
		return fl_host_see_variable(NULL, st->object);
	case FL_SC_AWAIT:
		return do_await(st);
	case FL_SC_YIELD:
		FL_RAW_CALL0(SYS_sched_yield);
		return 0;
	case FL_SC_CHECK:
		do_check(st);
		return 0;
	default:
		return fl_host_uffd_call(self, st);
	}
}

/* In setup what fails must have been meant to: its result is bound. */
static void refuse_in_setup(const struct fl_sc_statement *st, int64_t value)
{
	const char *hint = "bind its result if that is meant";
	char text[256], number[32];

	if (st->op == FL_SC_MAP && fl_host_world.s->map[st->range.map].memory == FL_SC_HUGETLB)
		hint = "reserve pages in /proc/sys/vm/nr_hugepages";
	else if (st->op == FL_SC_UFFD && value == -EPERM)
		hint = "be root, or set vm.unprivileged_userfaultfd to 1";
	fl_outcome_value(number, sizeof number, value);
	snprintf(text, sizeof text, "line %u: setup cannot do %s here: %s; %s", st->place.line, st->text, number, hint);
	fl_host_fail(text, 0);
}

static bool do_block(struct fl_host_self *self, const struct fl_sc_statement *st)
{
	if (st->op == FL_SC_IF) {
		bool yes = holds(st->condition);

		return fl_host_body(self, yes ? st->body : st->orelse, yes ? st->bodies : st->orelses);
	}
	for (unsigned i = 0; i < st->times; i++) {
		if (i && st->op == FL_SC_RETRY)
			FL_RAW_CALL0(SYS_sched_yield);
		if (!fl_host_body(self, st->body, st->bodies))
			return false;
		if (st->op == FL_SC_RETRY && !holds(st->condition))
			break;
	}
	return true;
}

/* False: the thread ends here. */
bool fl_host_body(struct fl_host_self *self, const struct fl_sc_statement *st, size_t n)
{
	struct fl_host_board *b = fl_host_world.board;
	struct fl_host_slot *slot = self->thread == FL_SC_SETUP ? NULL : &b->slot[self->thread];

	for (; n; st++, n--) {
		int64_t value;

		if (slot) {
			atomic_store_explicit(&slot->line, st->place.line, memory_order_relaxed);
			atomic_store_explicit(&slot->steps, ++self->steps, memory_order_relaxed);
		}
		delay(self);
		if (atomic_load(&b->abort))
			return false;
		if (st->op == FL_SC_IF || st->op == FL_SC_REPEAT || st->op == FL_SC_RETRY) {
			if (!do_block(self, st))
				return false;
			continue;
		}
		if (st->op == FL_SC_EXIT)
			return false;
		value = do_statement(self, st);
		if (atomic_load(&b->abort))
			return false;
		if (!slot && value < 0 && st->result < 0) {
			refuse_in_setup(st, value);
			return false;
		}
		if (st->result >= 0 && st->op != FL_SC_READ)
			fl_host_bind(st->result, FL_SC_F_NONE, value);
	}
	return true;
}

/* A run */

#define MEET_CYCLES 60000u /* the others may be asleep, or want this processor */
#define LEAD_CYCLES 800u   /* for the news of the moment to get round */

/* Begin at one moment, which the last to come sets, give or take a little. */
static void meet(struct fl_host_self *self)
{
	struct fl_host_board *b = fl_host_world.board;
	uint32_t together = atomic_load(&b->together);
	uint64_t r = fl_host_random(&self->random), came = fl_host_tsc(), moment = 0;
	bool plain = atomic_load_explicit(&b->delay, memory_order_relaxed) == FL_HOST_PLAIN;

	if (atomic_fetch_add(&b->arrived, 1) + 1 == together)
		atomic_store(&b->moment, fl_host_tsc() + LEAD_CYCLES);
	while (together && !moment && fl_host_tsc() - came < MEET_CYCLES)
		moment = atomic_load(&b->moment);
	if (moment)
		moment += some_cycles(r, plain ? 8 : 12);
	while (fl_host_tsc() < moment && fl_host_tsc() - came < 2 * MEET_CYCLES)
		;
}

static void go_to_cpu(struct fl_host_self *self)
{
	int32_t cpu = atomic_load(&fl_host_world.board->slot[self->thread].cpu);
	cpu_set_t set = fl_host_world.cpus;

	if (cpu == self->cpu)
		return;
	if (cpu != FL_HOST_ANYWHERE) {
		CPU_ZERO(&set);
		CPU_SET((size_t)cpu, &set);
	}
	FL_RAW_CALL3(SYS_sched_setaffinity, 0, sizeof set, &set);
	self->cpu = cpu;
}

/* The thread in one run; it has been counted in `running`. */
void fl_host_thread(struct fl_host_self *self)
{
	struct fl_host_board *b = fl_host_world.board;
	const struct fl_sc_thread *t = &fl_host_world.s->thread[self->thread];
	struct fl_host_slot *slot = &b->slot[self->thread];

	atomic_store(&slot->tid, (int32_t)FL_RAW_CALL0(SYS_gettid));
	self->random = fl_host_world.options->seed + atomic_load(&b->runs) * 0x100000001b3ul;
	self->random ^= (self->thread + 1ul) << 56;
	self->stall = (uint32_t)(fl_host_random(&self->random) % 8);
	atomic_store(&slot->state, FL_HOST_RUNS);
	go_to_cpu(self);
	if (self->process == 0)
		meet(self);
	fl_host_body(self, t->body, t->bodies);
	atomic_store(&slot->state, FL_HOST_DONE);
	if (atomic_fetch_sub(&b->running, 1) == 1)
		fl_host_futex_wake(&b->running);
}
