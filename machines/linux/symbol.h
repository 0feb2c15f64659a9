/* SPDX-License-Identifier: MIT */
/*
 * Which lines of which sources make the faults. Each fault is counted under the address of its instruction; an
 * address that is seen for the first time is turned into an object file and an offset by the process's maps, and only
 * the report turns those into functions and lines. The supervisor's one thread; no lock.
 */
#ifndef FAULTLINE_LINUX_SYMBOL_H
#define FAULTLINE_LINUX_SYMBOL_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct fl_symbols;

/* NULL: no memory. */
struct fl_symbols *fl_symbols_new(void);
void fl_symbols_free(struct fl_symbols *s);
/*
 * One more fault at rip. space names the program that pid runs (it changes with exec); pid must exist and be stopped.
 */
void fl_symbols_count(struct fl_symbols *s, uint64_t space, pid_t pid, uint64_t rip);
/* The n lines with the most faults, each "  count  share  file:line function (object)". */
void fl_symbols_write_top(struct fl_symbols *s, FILE *out, unsigned n);

#endif
