/* SPDX-License-Identifier: MIT */
/*
 * The counts behind the report: report.c makes them, report_text.c prints them. The supervisor's one thread; no lock.
 */
#ifndef FAULTLINE_LINUX_REPORT_INT_H
#define FAULTLINE_LINUX_REPORT_INT_H

#include "linux/classes.h"
#include "linux/linux.h"
#include "linux/report.h"
#include "linux/symbol.h"

#define OUTCOMES ((unsigned)FL_FAULT_OOM + 1)
#define KINDS ((unsigned)FL_KIND_STACK + 1)
#define SLOW_MAX 5
#define UFFD_IOCTLS 16

struct fault_count {
	uint64_t n, ns;
};

struct call_count {
	uint64_t n, errors, ns;
};

struct ioctl_count {
	uint32_t cmd;
	uint64_t n, errors, ns;
};

struct slow_fault {
	uint64_t ns;
	fl_va addr, start, end;
	const char *mapping;
	pid_t tid;
	uint8_t kind, waits;
};

/* Something that is listed by name: how often, and how many bytes. */
struct named {
	char *name;
	uint64_t n, bytes;
	struct named *next;
};

struct fl_report {
	struct run_observer observer;
	struct fl_symbols *symbols;
	struct fault_count faults[OUTCOMES][KINDS];
	struct call_count calls[FL_SYS_MAX];
	struct ioctl_count uffd[UFFD_IOCTLS]; /* uffd_slot */
	uint64_t nfaults, fault_ns, ahead, kernel, writes, waits, retries;
	uint64_t messages; /* read from userfaultfds */
	uint64_t execs, processes;
	struct slow_fault slow[SLOW_MAX];
	unsigned nslow;
	struct named *foreign, *efault, *refused, *oom;
	uint64_t start_ns, progress_ns;
	bool progress_shown;
};

#endif
