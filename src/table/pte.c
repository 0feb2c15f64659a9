/* SPDX-License-Identifier: MIT */
/*
 * Which rights an entry gives, for the flags of its VMA. No state, no locks.
 *
 * An entry must not refuse what the fault path goes on to allow, or the access would fault for ever: so the masks by
 * which the architecture's fault handler decides are the source here too.
 */
#include "faultline/mm.h"
#include "table/table.h"

fl_pte fl_pte_prot(const struct fl_arch *arch, uint64_t vm_flags)
{
	uint64_t read = (uint64_t)arch->read_mask | arch->read_prot_mask;
	/*
	 * A handler that allows any fetch from a readable page that was not there (x86) does so because the fetch
	 * faults again where the entry has no right to execute; it is the mask for present entries that tells. Where
	 * the trap does not tell a fetch from a read, there is no such right, and what may be read may be executed.
	 */
	uint64_t exec =
		FL_VM_EXEC | (uint64_t)arch->exec_prot_mask | (arch->knows_exec ? 0 : (uint64_t)arch->exec_mask);
	fl_pte prot = 0;

	if (vm_flags & read)
		prot |= FL_PTE_READ;
	if (vm_flags & arch->write_mask)
		prot |= FL_PTE_WRITE;
	if (vm_flags & exec)
		prot |= FL_PTE_EXEC;
	return prot;
}
