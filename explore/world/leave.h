/* SPDX-License-Identifier: MIT */
/*
 * Where setup and finish are left from when they cannot go on. It is set while they run, and while a run does.
 *
 * No locks: one OS thread.
 */
#ifndef FL_WORLD_LEAVE_H
#define FL_WORLD_LEAVE_H

#include <setjmp.h>

extern jmp_buf fl_world_outside;

#endif
