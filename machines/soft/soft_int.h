/* SPDX-License-Identifier: MIT */
/*
 * The soft machine's own words.
 *
 * Lock order: the engine's table locks > fl_soft.mutex > fl_vcpu.run. A vCPU that runs takes no lock.
 */
#ifndef FL_SOFT_INT_H
#define FL_SOFT_INT_H

#include "faultline/soft.h"

struct fl_soft {
	struct fl_mutex mutex;
	struct fl_vcpu *vcpus;             /* (mutex) */
	const struct fl_machine_ops *host; /* (i) who serves foreign memory; may be NULL */
	void *host_arg;                    /* (i) */
};

/* Begin and end to run, whatever v->entered says. */
void fl_vcpu_take_run(struct fl_vcpu *v);
void fl_vcpu_drop_run(struct fl_vcpu *v);

#endif
