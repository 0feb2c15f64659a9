/* SPDX-License-Identifier: MIT */
/*
 * What both families of statements about userfaultfds need.
 *
 * No locks: one thread.
 */
#ifndef FL_DIFF_GENERATE_UFFD_H
#define FL_DIFF_GENERATE_UFFD_H

#include "diff/generate/internal.h"

const char *fl_gen_uffd_name(unsigned uffd);
/* Which userfaultfd a statement is about. FL_GEN_UFFDS: better none. */
unsigned fl_gen_choose_uffd(struct fl_gen *g);
/* Now and then, the structure of an ioctl lies in the memory. False: that would make the thread wait for ever. */
bool fl_gen_say_structure(struct fl_gen *g);

#endif
