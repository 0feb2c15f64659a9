/* SPDX-License-Identifier: MIT */
/*
 * x86-64 with four levels of page tables. Constant: no lock.
 *
 * The trap's error code tells reads, writes and fetches apart, and whether an entry was present (bit 0). An access
 * that found no entry is allowed on any of the three rights; a read or a fetch that a present entry refused is never
 * allowed, because no mapping that may be accessed at all is unreadable to this hardware. A write needs the right to
 * write in either case.
 */
#include "faultline/arch.h"
#include "faultline/mm.h"

#define RWX (FL_VM_READ | FL_VM_WRITE | FL_VM_EXEC)

const struct fl_arch fl_arch_x86_64 = {
	.name = "x86-64",
	.geometry =
		{
			.page_shift = 12,
			.levels = 4,
			.index_bits = {9, 9, 9, 9},
		},
	.task_size = ((fl_va)1 << 47) - 4096,
	.first_user = 0,
	.read_mask = RWX,
	.write_mask = FL_VM_WRITE,
	.exec_mask = RWX,
	.read_prot_mask = 0,
	.exec_prot_mask = 0,
	.stack_slack = FL_NO_SP_RULE,
	.accerr_code = FL_SEGV_ACCERR,
	.maperr_code = FL_SEGV_MAPERR,
	.canonical_bits = 48,
	.knows_exec = true,
};
