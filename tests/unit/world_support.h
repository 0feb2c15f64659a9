/* SPDX-License-Identifier: MIT */
/*
 * A small world for tests: an arena, an address space on a soft machine, a task in it, and a vCPU. Closing it is a test
 * in itself: every invariant is checked, and every frame must have come back.
 */
#ifndef FL_TEST_WORLD_SUPPORT_H
#define FL_TEST_WORLD_SUPPORT_H

#include "faultline/faultline.h"
#include "faultline/soft.h"

#define PAGE ((fl_va)4096)
/* Where tests map: pages around it share a leaf table, BASE + FAR has another. */
#define BASE ((fl_va)0x10000000)
#define FAR ((fl_va)2 << 20)

/* Schedules are cheap where they are not real. */
#ifdef FL_PORT_FIBERS
#define SCHEDULES(fibers, threads) (fibers)
#else
#define SCHEDULES(fibers, threads) (threads)
#endif

struct world {
	void *arena;
	struct fl_frames *frames;
	struct fl_mm *mm;
	struct fl_task task;
	struct fl_vcpu cpu;
	struct fl_mm_config config; /* what the address space was made with */
};

/* frames: how many, 16 at least. */
void world_open(struct world *w, unsigned frames);
/* The same with another configuration; its frames are filled in. */
void world_open_as(struct world *w, unsigned frames, const struct fl_mm_config *config);
/* Check the address space and the arena; quiet world. */
void world_check(struct world *w);
void world_close(struct world *w);

/* Map pages at va, private and anonymous. */
void world_map(struct world *w, fl_va va, unsigned pages, int prot);

/* Another thread of the same address space, or (after a fork) of another. */
struct thread {
	struct fl_task task;
	struct fl_vcpu cpu;
};
void thread_open(struct thread *t, struct world *w, struct fl_mm *mm, uint32_t tid);
void thread_close(struct thread *t);

/* One byte by a vCPU; the access must be done. The kind of the fault it took, or FL_KIND_NONE. */
enum fl_fault_kind poke(struct fl_vcpu *v, fl_va va, uint8_t value);
enum fl_fault_kind peek(struct fl_vcpu *v, fl_va va, uint8_t expected);
/* The outcome of an access of one byte. */
enum fl_outcome try_access(struct fl_vcpu *v, fl_va va, enum fl_access access);
/* A fault as a machine reports it. *f has the rest of the answer. */
enum fl_outcome fault(struct fl_task *t, fl_va va, enum fl_access access, unsigned flags, struct fl_fault *f);

#endif
