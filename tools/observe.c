/* SPDX-License-Identifier: MIT */
/* Two observers of one run. No lock. */
#include "tools/observe.h"

#define TELL(p, member, ...)                                                        \
	do {                                                                        \
		for (int i_ = 0; i_ < 2; i_++)                                      \
			if ((p)->of[i_] && (p)->of[i_]->member)                     \
				(p)->of[i_]->member((p)->of[i_]->arg, __VA_ARGS__); \
	} while (0)

static void fault_begin(void *arg, struct guest_thread *th, const struct run_fault *rf)
{
	struct observer_pair *p = arg;

	TELL(p, fault_begin, th, rf);
}

static void fault_end(void *arg, struct guest_thread *th, const struct run_fault *rf, enum fl_outcome outcome,
		      uint64_t ns)
{
	struct observer_pair *p = arg;

	TELL(p, fault_end, th, rf, outcome, ns);
}

static void memory_call(void *arg, struct guest_thread *th, unsigned nr, const uint64_t args[6], int64_t result,
			uint64_t ns)
{
	struct observer_pair *p = arg;

	TELL(p, memory_call, th, nr, args, result, ns);
}

static void unknown_efault(void *arg, struct guest_thread *th, unsigned nr, const uint64_t args[6])
{
	struct observer_pair *p = arg;

	TELL(p, unknown_efault, th, nr, args);
}

static void foreign_mapping(void *arg, struct guest_thread *th, fl_va start, uint64_t len, int prot, const char *what)
{
	struct observer_pair *p = arg;

	TELL(p, foreign_mapping, th, start, len, prot, what);
}

static void refused(void *arg, struct guest_thread *th, const char *feature)
{
	struct observer_pair *p = arg;

	TELL(p, refused, th, feature);
}

static void oom_kill(void *arg, struct guest_thread *th, fl_va addr)
{
	struct observer_pair *p = arg;

	TELL(p, oom_kill, th, addr);
}

static void exec(void *arg, struct guest_thread *th, const char *path)
{
	struct observer_pair *p = arg;

	TELL(p, exec, th, path);
}

static void process_exit(void *arg, pid_t pid, int status)
{
	struct observer_pair *p = arg;

	TELL(p, process_exit, pid, status);
}

static void tick(void *arg, struct guest *g)
{
	struct observer_pair *p = arg;

	TELL(p, tick, g);
}

void observer_pair_init(struct observer_pair *p, struct run_observer *first, struct run_observer *second)
{
	p->of[0] = first;
	p->of[1] = second;
	p->observer = (struct run_observer){
		.arg = p,
		.fault_begin = fault_begin,
		.fault_end = fault_end,
		.memory_call = memory_call,
		.unknown_efault = unknown_efault,
		.foreign_mapping = foreign_mapping,
		.refused = refused,
		.oom_kill = oom_kill,
		.exec = exec,
		.process_exit = process_exit,
		.tick = (first && first->tick) || (second && second->tick) ? tick : NULL,
	};
}
