/* SPDX-License-Identifier: MIT */
/*
 * Every memory call against every other, on one address space.
 *
 *   owner     has a strip of pages to itself and knows what must be in each; the strips touch, so that mappings merge
 *             across them and tables are shared
 *   vandal    does anything to a place that nobody relies on
 *
 * When all have ended the whole world is checked: every count is recomputed.
 *
 * Locks: each body has its own task, vCPU and model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "concurrent.h"
#include "mm_support.h"

#define STRIP 24u
#define OWNERS 3u
#define VANDALS 2u
#define WASTE 400u /* where the vandals are: the end of one table and the beginning of the next */

#define RUNS SCHEDULES(80, 20)
#define STEPS SCHEDULES(80u, 400u)

static struct world w;

struct actor {
	struct thread t;
	uint64_t seed;
	unsigned first; /* page of the strip */
	struct {
		bool mapped;
		uint8_t prot, value;
	} model[STRIP];
};

static unsigned below(struct actor *a, unsigned n)
{
	a->seed = a->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(a->seed >> 33) % n;
}

static void own_map(struct actor *a, unsigned i, unsigned n, int prot)
{
	fl_va out;

	CHECK(fl_mmap(&a->t.task, page(a->first + i), n * PAGE, prot, ANON | FL_MAP_FIXED, &out) == 0);
	for (; n > 0; n--, i++) {
		a->model[i].mapped = true;
		a->model[i].prot = (uint8_t)prot;
		a->model[i].value = 0;
	}
}

static void own_unmap(struct actor *a, unsigned i, unsigned n)
{
	CHECK(fl_munmap(&a->t.task, page(a->first + i), n * PAGE) == 0);
	for (; n > 0; n--, i++)
		a->model[i].mapped = false;
}

static void own_protect(struct actor *a, unsigned i, unsigned n, int prot)
{
	int err = fl_mprotect(&a->t.task, page(a->first + i), n * PAGE, prot);

	for (; n > 0 && a->model[i].mapped; n--, i++)
		a->model[i].prot = (uint8_t)prot;
	CHECK(err == (n ? -FL_ENOMEM : 0));
}

static void own_dontneed(struct actor *a, unsigned i, unsigned n)
{
	bool hole = false;
	int err = fl_madvise(&a->t.task, page(a->first + i), n * PAGE, FL_MADV_DONTNEED);

	for (; n > 0; n--, i++) {
		hole |= !a->model[i].mapped;
		a->model[i].value = 0;
	}
	CHECK(err == (hole ? -FL_ENOMEM : 0));
}

/* Move within the strip. What is mapped goes along, what is opposite to a hole stays. */
static void own_move(struct actor *a, unsigned from, unsigned n, unsigned to)
{
	fl_va out;
	int err;

	if (from < to + n && to < from + n)
		return;
	err = fl_mremap(&a->t.task, page(a->first + from), n * PAGE, n * PAGE, FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED,
			page(a->first + to), &out);
	if (!a->model[from].mapped) {
		CHECK(err == -FL_EFAULT);
		return;
	}
	CHECK(err == 0);
	for (; n > 0; n--, from++, to++) {
		if (!a->model[from].mapped)
			continue;
		a->model[to] = a->model[from];
		a->model[from].mapped = false;
	}
}

static void own_write(struct actor *a, unsigned i)
{
	uint8_t value = (uint8_t)(1 + below(a, 255));
	enum fl_outcome o = fl_vcpu_store(&a->t.cpu, page(a->first + i), &value, 1);

	if (!a->model[i].mapped) {
		CHECK(o == FL_FAULT_BAD_AREA);
	} else if (!(a->model[i].prot & FL_PROT_WRITE)) {
		CHECK(o == FL_FAULT_ACCESS_ERROR);
	} else {
		CHECK(o == FL_FAULT_DONE);
		a->model[i].value = value;
	}
}

static void own_read(struct actor *a, struct fl_vcpu *cpu, unsigned i)
{
	uint8_t value = 0;
	enum fl_outcome o = fl_vcpu_load(cpu, page(a->first + i), &value, 1);

	if (!a->model[i].mapped)
		CHECK(o == FL_FAULT_BAD_AREA);
	else if (!a->model[i].prot)
		CHECK(o == FL_FAULT_ACCESS_ERROR);
	else
		CHECK(o == FL_FAULT_DONE && value == a->model[i].value);
}

/* A child has this strip as it is now, whatever the others are doing. */
static void own_fork(struct actor *a)
{
	struct thread child;
	struct fl_mm *mm;

	CHECK(fl_mm_fork(&a->t.task, &mm) == 0);
	thread_open(&child, &w, mm, 100);
	fl_mm_put(mm);
	for (unsigned i = 0; i < STRIP; i++)
		own_read(a, &child.cpu, i);
	thread_close(&child);
}

static void owner(void *arg)
{
	const int prots[] = {RW, RW, FL_PROT_READ, FL_PROT_NONE};
	struct actor *a = arg;

	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = below(a, STRIP), n = 1 + below(a, STRIP - i), to = below(a, STRIP - n + 1);
		int prot = prots[below(a, 4)];

		switch (below(a, 20)) {
		case 0:
		case 1:
			own_map(a, i, n, prot);
			break;
		case 2:
			own_unmap(a, i, n);
			break;
		case 3:
		case 4:
			own_protect(a, i, n, prot);
			break;
		case 5:
			own_dontneed(a, i, n);
			break;
		case 6:
		case 7:
			own_move(a, i, n, to);
			break;
		case 8:
			if (!below(a, 4))
				own_fork(a);
			break;
		case 9:
		case 10:
		case 11:
		case 12:
			own_read(a, &a->t.cpu, i);
			break;
		default:
			own_write(a, i);
		}
	}
	for (unsigned i = 0; i < STRIP; i++)
		own_read(a, &a->t.cpu, i);
}

static void vandal(void *arg)
{
	static const int advice[] = {FL_MADV_DONTNEED,      FL_MADV_DONTFORK,       FL_MADV_DOFORK,
				     FL_MADV_POPULATE_READ, FL_MADV_POPULATE_WRITE, FL_MADV_GUARD_INSTALL,
				     FL_MADV_GUARD_REMOVE,  FL_MADV_WIPEONFORK,     FL_MADV_SEQUENTIAL};
	struct actor *a = arg;
	struct fl_task *t = &a->t.task;

	for (unsigned step = 0; step < STEPS; step++) {
		fl_va va = page(WASTE + below(a, 200)), to = page(WASTE + below(a, 200)), out;
		uint64_t len = (1 + below(a, 40)) * PAGE;
		int prot = (int)below(a, 4);

		switch (below(a, 10)) {
		case 0:
		case 1:
			(void)fl_mmap(t, va, len, prot, ANON | FL_MAP_FIXED, &out);
			break;
		case 2:
			(void)fl_munmap(t, va, len);
			break;
		case 3:
			(void)fl_mprotect(t, va, len, prot);
			break;
		case 4:
			(void)fl_madvise(t, va, len, advice[below(a, sizeof(advice) / sizeof(*advice))]);
			break;
		case 5:
			(void)fl_mremap(t, va, len, len, FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED, to, &out);
			break;
		case 6:
			(void)fl_brk(t, page(1000) + below(a, 20) * PAGE);
			break;
		case 7:
			if (below(a, 2))
				(void)fl_mlock(t, va, len, 0);
			else
				(void)fl_munlock(t, va, len);
			break;
		default:
			(void)try_access(&a->t.cpu, va, below(a, 2) ? FL_WRITE : FL_READ);
		}
	}
}

static void one_schedule(size_t schedule)
{
	const struct fl_mm_config config = {.brk = page(1000)};
	void (*body[OWNERS + VANDALS])(void *);
	static struct actor actors[OWNERS + VANDALS];
	void *arg[OWNERS + VANDALS];

	world_open_as(&w, 4096, &config);
	memset(actors, 0, sizeof(actors));
	for (unsigned i = 0; i < OWNERS + VANDALS; i++) {
		body[i] = i < OWNERS ? owner : vandal;
		arg[i] = &actors[i];
		actors[i].seed = schedule * 1000 + i;
		actors[i].first = i * STRIP;
		thread_open(&actors[i].t, &w, w.mm, i + 10);
	}
	run_concurrently(body, arg, OWNERS + VANDALS);
	world_check(&w);
	for (unsigned i = 0; i < OWNERS + VANDALS; i++)
		thread_close(&actors[i].t);
	world_close(&w);
}

static void everything_at_once_leaves_all_whole(void **state)
{
	(void)state;
	for_each_schedule(RUNS, one_schedule);
}

/* Body i has pages [4i, 4i + 4), which touch those of the next. */
static void neighbour(void *arg)
{
	struct actor *a = arg;
	fl_va out;

	for (unsigned step = 0; step < 12; step++) {
		if (step)
			CHECK(fl_munmap(&a->t.task, page(a->first), 4 * PAGE) == 0);
		CHECK(fl_mmap(&a->t.task, page(a->first), 4 * PAGE, RW, ANON | FL_MAP_FIXED_NOREPLACE, &out) == 0);
	}
}

static void neighbours_schedule(size_t schedule)
{
	void (*const body[])(void *) = {neighbour, neighbour, neighbour};
	static struct actor actors[3];
	void *const arg[] = {&actors[0], &actors[1], &actors[2]};

	(void)schedule;
	world_open(&w, 256);
	for (unsigned i = 0; i < 3; i++) {
		actors[i].first = 4 * i;
		thread_open(&actors[i].t, &w, w.mm, i + 10);
	}
	run_concurrently(body, arg, 3);
	for (unsigned i = 0; i < 3; i++)
		thread_close(&actors[i].t);
	expect_layout(&w, "0-12 rw-");
	world_close(&w);
}

static void neighbours_made_at_once_become_one(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(150, 300), neighbours_schedule);
}

/* What does not fit is refused without a moment in which it counts: what does fit beside it is never refused. */
static void map_what_fits(void *arg)
{
	struct actor *a = arg;
	fl_va out;

	for (unsigned step = 0; step < 12; step++) {
		CHECK(fl_mmap(&a->t.task, page(0), 6 * PAGE, RW, ANON | FL_MAP_FIXED_NOREPLACE, &out) == 0);
		CHECK(fl_munmap(&a->t.task, page(0), 6 * PAGE) == 0);
	}
}

static void map_too_much(void *arg)
{
	struct actor *a = arg;
	fl_va out;

	for (unsigned step = 0; step < 12; step++)
		CHECK(fl_mmap(&a->t.task, page(WASTE), 11 * PAGE, RW, ANON | FL_MAP_FIXED_NOREPLACE, &out) ==
		      -FL_ENOMEM);
}

static void limit_schedule(size_t schedule)
{
	const struct fl_mm_config config = {.limit_as = 10 * PAGE, .limit_data = 10 * PAGE};
	void (*const body[])(void *) = {map_what_fits, map_too_much};
	static struct actor actors[2];
	void *const arg[] = {&actors[0], &actors[1]};

	(void)schedule;
	world_open_as(&w, 256, &config);
	for (unsigned i = 0; i < 2; i++)
		thread_open(&actors[i].t, &w, w.mm, i + 10);
	run_concurrently(body, arg, 2);
	for (unsigned i = 0; i < 2; i++)
		thread_close(&actors[i].t);
	world_close(&w);
}

static void limit_refuses_only_what_goes_past_it(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(150, 300), limit_schedule);
}

/*
 * A mapping goes to and fro between two places, each with tables of its own, while somebody touches it (which makes
 * tables at the source) and somebody unmaps beside it (which frees tables that look empty at the target).
 */
#define THERE 1024u
#define HERE 0u

static void mover(void *arg)
{
	struct actor *a = arg;
	fl_va out;

	for (unsigned step = 0; step < 8; step++) {
		unsigned from = step % 2 ? THERE : HERE, to = step % 2 ? HERE : THERE;

		CHECK(fl_mremap(&a->t.task, page(from + 508), 8 * PAGE, 8 * PAGE, FL_MREMAP_MAYMOVE | FL_MREMAP_FIXED,
				page(to + 508), &out) == 0);
	}
}

static void toucher(void *arg)
{
	struct actor *a = arg;

	for (unsigned step = 0; step < 60; step++) {
		enum fl_outcome o =
			try_access(&a->t.cpu, page((below(a, 2) ? THERE : HERE) + 508 + below(a, 8)), FL_WRITE);

		CHECK(o == FL_FAULT_DONE || o == FL_FAULT_BAD_AREA);
	}
}

static void bystander(void *arg)
{
	struct actor *a = arg;

	for (unsigned step = 0; step < 12; step++) {
		fl_va va = page((below(a, 2) ? THERE : HERE) + (below(a, 2) ? 500 : 520)), out;

		CHECK(fl_mmap(&a->t.task, va, PAGE, RW, ANON | FL_MAP_FIXED, &out) == 0);
		poke(&a->t.cpu, va, 1);
		CHECK(fl_munmap(&a->t.task, va, PAGE) == 0);
	}
}

static void moving_schedule(size_t schedule)
{
	void (*const body[])(void *) = {mover, toucher, bystander};
	static struct actor actors[3];
	void *const arg[] = {&actors[0], &actors[1], &actors[2]};

	world_open(&w, 256);
	world_map(&w, page(HERE + 508), 8, RW);
	for (unsigned i = 0; i < 3; i++) {
		actors[i].seed = schedule * 100 + i;
		thread_open(&actors[i].t, &w, w.mm, i + 10);
	}
	run_concurrently(body, arg, 3);
	for (unsigned i = 0; i < 3; i++)
		thread_close(&actors[i].t);
	expect_layout(&w, "508-516 rw-");
	world_close(&w);
}

static void moving_while_tables_come_and_go(void **state)
{
	(void)state;
	for_each_schedule(SCHEDULES(200, 300), moving_schedule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_made_at_once_become_one),
		cmocka_unit_test(limit_refuses_only_what_goes_past_it),
		cmocka_unit_test(moving_while_tables_come_and_go),
		cmocka_unit_test(everything_at_once_leaves_all_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
