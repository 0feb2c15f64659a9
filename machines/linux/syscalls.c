/* SPDX-License-Identifier: MIT */
/*
 * The table of system calls: which stop, and who handles each.
 *
 * Filled once, before the filter is built from it. No locks.
 */
#include <sys/syscall.h>

#include "linux/host.h"

static struct {
	uint8_t when; /* enum fl_sys_when */
	uint8_t ptr_mask;
	fl_sys_fn *fn;
} table[FL_SYS_MAX];

void fl_sys_register(unsigned nr, enum fl_sys_when when, uint8_t ptr_mask, fl_sys_fn *fn)
{
	if (nr >= FL_SYS_MAX)
		return;
	table[nr].when = (uint8_t)when;
	table[nr].ptr_mask = ptr_mask;
	table[nr].fn = fn;
}

enum fl_sys_when fl_sys_when(unsigned nr, uint8_t *ptr_mask)
{
	*ptr_mask = table[nr].ptr_mask;
	return (enum fl_sys_when)table[nr].when;
}

void fl_syscalls_init(void)
{
	fl_classes_register();
	fl_io_register();
	fl_poll_register();
	fl_futex_register();
	fl_mem_register();
	fl_signals_register();
	fl_proc_register();
	fl_affinity_register();
	fl_carrier_register();
	fl_peer_register();
}

void fl_syscall_stop(struct guest_thread *th)
{
	uint64_t nr = fl_regs(th)->orig_rax;

	if (fl_strict_kills(th, nr))
		return;
	if (nr < FL_SYS_MAX && table[nr].fn && (th->mm || nr == SYS_execve))
		table[nr].fn(th);
}
