/* SPDX-License-Identifier: MIT */
/* Two observers of one run: everything is told to the first and then to the second. No lock. */
#ifndef FL_TOOLS_OBSERVE_H
#define FL_TOOLS_OBSERVE_H

#include "linux/run.h"

struct observer_pair {
	struct run_observer observer; /* hand this to the run */
	struct run_observer *of[2];   /* either may be NULL */
};

void observer_pair_init(struct observer_pair *p, struct run_observer *first, struct run_observer *second);

#endif
