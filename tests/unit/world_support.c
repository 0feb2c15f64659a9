/* SPDX-License-Identifier: MIT */
/* A small world for tests. No locks: a world belongs to the test. */
#include "world_support.h"

#include <stdlib.h>
#include <string.h>

#include "concurrent.h"

void world_open_as(struct world *w, unsigned frames, const struct fl_mm_config *config)
{
	size_t bytes = (size_t)frames * PAGE;

	*w = (struct world){.config = *config};
	w->arena = aligned_alloc(PAGE, bytes);
	CHECK(w->arena);
	memset(w->arena, 0xa5, bytes); /* nothing may rely on zeros */
	CHECK(fl_frames_create(w->arena, bytes, 12, &w->frames) == 0);
	w->config.frames = w->frames;
	CHECK(fl_soft_mm_create(&w->config, &w->mm) == 0);
	fl_task_init(&w->task, w->frames, w->mm, 1);
	fl_vcpu_init(&w->cpu, &w->task);
}

void world_open(struct world *w, unsigned frames)
{
	static const struct fl_mm_config config;

	world_open_as(w, frames, &config);
}

static void expect_whole(const char *broken)
{
	if (broken)
		concurrent_fail(__FILE__, __LINE__, broken);
}

void world_check(struct world *w)
{
	expect_whole(fl_mm_check(w->mm));
	expect_whole(fl_frames_check(w->frames, &w->mm, 1));
}

void world_close(struct world *w)
{
	world_check(w);
	fl_vcpu_exit(&w->cpu);
	fl_task_exit(&w->task);
	fl_mm_put(w->mm);
	fl_rcu_barrier();
	CHECK(fl_frames_used(w->frames) <= 1); /* the zero frame */
	CHECK(fl_frames_destroy(w->frames) == 0);
	free(w->arena);
}

void world_map(struct world *w, fl_va va, unsigned pages, int prot)
{
	fl_va out;

	CHECK(fl_mmap(&w->task, va, pages * PAGE, prot, FL_MAP_PRIVATE | FL_MAP_ANONYMOUS | FL_MAP_FIXED, &out) == 0);
	CHECK(out == va);
}

void thread_open(struct thread *t, struct world *w, struct fl_mm *mm, uint32_t tid)
{
	fl_task_init(&t->task, w->frames, mm, tid);
	fl_vcpu_init(&t->cpu, &t->task);
}

void thread_close(struct thread *t)
{
	fl_vcpu_exit(&t->cpu);
	fl_task_exit(&t->task);
}

static enum fl_fault_kind last_kind(const struct fl_vcpu *v, uint64_t faults_before)
{
	return v->faults == faults_before ? FL_KIND_NONE : (enum fl_fault_kind)v->fault.kind;
}

enum fl_fault_kind poke(struct fl_vcpu *v, fl_va va, uint8_t value)
{
	uint64_t before = v->faults;

	CHECK(fl_vcpu_store(v, va, &value, 1) == FL_FAULT_DONE);
	return last_kind(v, before);
}

enum fl_fault_kind peek(struct fl_vcpu *v, fl_va va, uint8_t expected)
{
	uint64_t before = v->faults;
	uint8_t value;

	CHECK(fl_vcpu_load(v, va, &value, 1) == FL_FAULT_DONE);
	CHECK(value == expected);
	return last_kind(v, before);
}

enum fl_outcome try_access(struct fl_vcpu *v, fl_va va, enum fl_access access)
{
	uint8_t byte = 0;

	switch (access) {
	case FL_READ:
		return fl_vcpu_load(v, va, &byte, 1);
	case FL_WRITE:
		return fl_vcpu_store(v, va, &byte, 1);
	case FL_EXEC:
		return fl_vcpu_fetch(v, va, &byte, 1);
	}
	return FL_FAULT_BAD_AREA;
}

enum fl_outcome fault(struct fl_task *t, fl_va va, enum fl_access access, unsigned flags, struct fl_fault *f)
{
	*f = (struct fl_fault){.addr = va, .access = (uint8_t)access, .flags = (uint8_t)flags};
	return fl_handle_fault(t, f);
}
