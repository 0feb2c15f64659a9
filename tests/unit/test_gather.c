/* SPDX-License-Identifier: MIT */
/*
 * The gather: what a memory call takes away goes only after the machine has been told (rule 9 of docs/architecture.md).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frame/frame_int.h"
#include "table/gather.h"

#define PAGE 4096u

static void *arena;
static struct fl_frames *frames;

static struct {
	unsigned calls;
	fl_va start, end;
	enum fl_flush_kind kind;
	uint64_t used; /* frames in use while the flush runs */
} flushed;

static void note_flush(void *machine, fl_va start, fl_va stop, enum fl_flush_kind kind)
{
	assert_ptr_equal(machine, &flushed);
	flushed.calls++;
	flushed.start = start;
	flushed.end = stop;
	flushed.kind = kind;
	flushed.used = fl_frames_used(frames);
}

static const struct fl_machine_ops noting = {.flush = note_flush};

static void begin_gather(struct fl_gather *g, const struct fl_machine_ops *ops, struct fl_task *t)
{
	memset(&flushed, 0, sizeof(flushed));
	arena = aligned_alloc(PAGE, 512 * PAGE);
	assert_non_null(arena);
	assert_int_equal(fl_frames_create(arena, 512 * PAGE, 12, &frames), 0);
	fl_task_init(t, frames, NULL, 1);
	fl_gather_begin(g, frames, ops, &flushed, t);
}

static void end_gather(struct fl_task *t)
{
	fl_task_exit(t);
	assert_int_equal(fl_frames_destroy(frames), 0);
	free(arena);
}

/* A frame as an entry holds it. */
static fl_pte mapped_frame(struct fl_task *t)
{
	fl_pfn pfn = fl_frame_alloc(t);

	assert_int_not_equal(pfn, FL_PFN_NONE);
	fl_add(&fl_frame_meta(frames, pfn)->maps, 1);
	return fl_pte_make(pfn, FL_PTE_RWX);
}

static void gather_frees_only_after_the_machine_has_confirmed(void **state)
{
	struct fl_gather g;
	struct fl_task t;
	fl_pte kept;

	(void)state;
	begin_gather(&g, &noting, &t);
	fl_gather_flush(&g);
	assert_int_equal(flushed.calls, 0);
	kept = mapped_frame(&t);
	fl_frame_get(frames, fl_pte_pfn(kept));
	fl_gather_unmapped(&g, 7 * PAGE, PAGE, kept);
	fl_gather_unmapped(&g, 5 * PAGE, PAGE, mapped_frame(&t));
	fl_gather_unmapped(&g, 9 * PAGE, PAGE, fl_pte_make(fl_frames_zero_pfn(frames), FL_PTE_READ | FL_PTE_ZERO));
	assert_int_equal(flushed.calls, 0);
	assert_int_equal(fl_frames_used(frames), 3);
	fl_gather_flush(&g);
	assert_int_equal(flushed.calls, 1);
	assert_int_equal(flushed.start, 5 * PAGE);
	assert_int_equal(flushed.end, 10 * PAGE);
	assert_int_equal(flushed.kind, FL_FLUSH_UNMAP);
	assert_int_equal(flushed.used, 3);
	assert_int_equal(fl_frames_used(frames), 2);
	assert_int_equal(fl_load(&fl_frame_meta(frames, fl_pte_pfn(kept))->maps), 0);
	assert_int_equal(fl_load(&fl_frame_meta(frames, fl_frames_zero_pfn(frames))->maps), 0);
	fl_gather_end(&g);
	assert_int_equal(flushed.calls, 1);
	fl_frame_put(frames, &t, fl_pte_pfn(kept));
	end_gather(&t);
}

static void gather_flushes_a_full_batch_by_itself(void **state)
{
	struct fl_gather g;
	struct fl_task t;

	(void)state;
	begin_gather(&g, &noting, &t);
	for (fl_va i = 0; i < FL_GATHER_BATCH + 1; i++)
		fl_gather_unmapped(&g, i * PAGE, PAGE, mapped_frame(&t));
	assert_int_equal(flushed.calls, 1);
	assert_int_equal(flushed.end, FL_GATHER_BATCH * PAGE);
	assert_int_equal(fl_frames_used(frames), 2);
	fl_gather_end(&g);
	assert_int_equal(flushed.calls, 2);
	assert_int_equal(flushed.start, FL_GATHER_BATCH * PAGE);
	end_gather(&t);
}

static void gather_asks_for_the_stronger_flush(void **state)
{
	const fl_pte zero = fl_pte_make(0, FL_PTE_READ | FL_PTE_ZERO);
	struct fl_gather g;
	struct fl_task t;

	(void)state;
	begin_gather(&g, &noting, &t);
	fl_gather_protected(&g, PAGE, 3 * PAGE);
	fl_gather_flush(&g);
	assert_int_equal(flushed.kind, FL_FLUSH_PROTECT);
	assert_int_equal(flushed.end, 4 * PAGE);
	fl_gather_protected(&g, PAGE, PAGE);
	fl_gather_unmapped(&g, 0, PAGE, zero);
	fl_gather_flush(&g);
	assert_int_equal(flushed.kind, FL_FLUSH_UNMAP);
	fl_gather_unmapped(&g, 0, PAGE, zero);
	fl_gather_protected(&g, PAGE, PAGE);
	fl_gather_flush(&g);
	assert_int_equal(flushed.kind, FL_FLUSH_UNMAP);
	fl_gather_protected(&g, PAGE, PAGE);
	fl_gather_flush(&g);
	assert_int_equal(flushed.kind, FL_FLUSH_PROTECT);
	end_gather(&t);
}

static void gather_without_a_machine_frees(void **state)
{
	const struct fl_machine_ops none = {.flush = NULL};
	const struct fl_machine_ops *ops[] = {NULL, &none};

	(void)state;
	for (size_t i = 0; i < FL_ARRAY_LEN(ops); i++) {
		struct fl_gather g;
		struct fl_task t;

		begin_gather(&g, ops[i], &t);
		fl_gather_unmapped(&g, 0, PAGE, mapped_frame(&t));
		fl_gather_end(&g);
		assert_int_equal(flushed.calls, 0);
		end_gather(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gather_frees_only_after_the_machine_has_confirmed),
		cmocka_unit_test(gather_flushes_a_full_batch_by_itself),
		cmocka_unit_test(gather_asks_for_the_stronger_flush),
		cmocka_unit_test(gather_without_a_machine_frees),
	};

	return cmocka_run_group_tests_name("gather " FL_PORT_NAME, tests, NULL, NULL);
}
