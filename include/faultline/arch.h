/* SPDX-License-Identifier: MIT */
/*
 * An architecture, as data: page-table geometry, the user address range, and the rules by which a fault is
 * allowed or refused. No code: fl_handle_fault reads it.
 */
#ifndef FAULTLINE_ARCH_H
#define FAULTLINE_ARCH_H

#include "faultline/types.h"

FL_BEGIN_C

#define FL_MAX_LEVELS 5

/* How user addresses are cut into table indices. Level 0 is the leaf table. */
struct fl_geometry {
	uint8_t page_shift;                /* 12 to 16 */
	uint8_t levels;                    /* 2 to FL_MAX_LEVELS */
	uint8_t index_bits[FL_MAX_LEVELS]; /* of each level, leaf first; 2 to 13 */
};

struct fl_arch {
	const char *name;
	struct fl_geometry geometry;
	fl_va task_size;  /* first address that is not the user's */
	fl_va first_user; /* lowest address a mapping may have, mmap_min_addr aside */
	/*
	 * A fault is allowed when (vma flags & mask) is non-zero. Indexed by what the access wants. The *_prot masks
	 * are for a fault that found a present entry which refused it (x86: error code bit 0).
	 */
	uint8_t read_mask, write_mask, exec_mask;
	uint8_t read_prot_mask, exec_prot_mask;
	/*
	 * Bytes that a user access may lie below the stack pointer and still grow a stack; FL_NO_SP_RULE: anything
	 * goes.
	 */
	uint32_t stack_slack;
	/* si_code for an access that the VMA's flags refuse, and for one with no VMA. */
	uint8_t accerr_code, maperr_code;
	/*
	 * Addresses have so many bits that mean something; those above repeat the highest of them, or the access traps
	 * before it is looked up, and nobody learns the address (x86: SI_KERNEL, address 0). 0: no such rule.
	 */
	uint8_t canonical_bits;
	/* The trap distinguishes an instruction fetch from a read. */
	bool knows_exec;
};

#define FL_NO_SP_RULE UINT32_MAX

extern const struct fl_arch fl_arch_x86_64;

FL_END_C

#endif
