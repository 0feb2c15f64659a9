/* SPDX-License-Identifier: MIT */
/*
 * What there is to see at the end of a run: memory and residence through /proc, and the line that says it all.
 *
 * No locks: the coordinator, after all threads have ended or wait for ever.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore/exec/exec.h"
#include "explore/host/internal.h"

static int32_t pid_of(unsigned process)
{
	return process ? atomic_load(&fl_host_world.process[process - 1].pid)
		       : atomic_load(&fl_host_world.board->main_pid);
}

static int open_of(unsigned process, const char *file)
{
	char path[64];

	if (fl_host_process_gone(process))
		return -1;
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid_of(process), file);
	return open(path, O_RDONLY | O_CLOEXEC);
}

#define PRESENT (1ul << 63 | 1ul << 62) /* or in swap */

/* How many of the pages are there; -1: it cannot be seen. */
static int64_t count_present(unsigned process, uint64_t at, uint64_t pages)
{
	int fd = open_of(process, "pagemap");
	int64_t n = 0;

	if (fd < 0)
		return -1;
	for (uint64_t i = 0; i < pages; i++) {
		uint64_t entry;

		if (pread(fd, &entry, sizeof entry, (off_t)((at / FL_HOST_PAGE + i) * sizeof entry)) != sizeof entry)
			break;
		n += (entry & PRESENT) != 0;
	}
	close(fd);
	return n;
}

static int64_t see_memory(void *arg, unsigned process, const struct fl_sc_range *range, unsigned size)
{
	uint64_t at = fl_host_address(range), value = 0;
	int64_t present = count_present(process, at, 1);
	int fd;

	(void)arg;
	if (present <= 0)
		return present < 0 ? (int64_t)FL_SC_UNSET : 0;
	fd = open_of(process, "mem");
	if (fd < 0)
		return FL_SC_UNSET;
	if (pread(fd, &value, size, (off_t)at) != (ssize_t)size)
		value = (uint64_t)FL_SC_UNSET;
	close(fd);
	return (int64_t)value;
}

/* Mappings that lie in the window. */
static int64_t count_vmas(unsigned process)
{
	char line[4352];
	int fd = open_of(process, "maps");
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	int64_t n = 0;

	if (!f)
		return FL_SC_UNSET;
	while (fgets(line, sizeof line, f)) {
		unsigned long start = strtoul(line, NULL, 16);

		n += start - FL_HOST_BASE < FL_HOST_WINDOW_PAGES * FL_HOST_PAGE;
	}
	fclose(f);
	return n;
}

static int64_t see_count(void *arg, enum fl_sc_count count, unsigned index, const struct fl_sc_range *range)
{
	int64_t n;

	(void)arg;
	if (count == FL_SC_C_VMAS)
		return count_vmas(index);
	if (count != FL_SC_C_RESIDENT)
		return FL_SC_UNSET;
	n = count_present(index, fl_host_address(range), fl_host_bytes(range) / FL_HOST_PAGE);
	return n < 0 ? (int64_t)FL_SC_UNSET : n;
}

static bool see_blocked(void *arg, unsigned thread)
{
	(void)arg;
	return atomic_load(&fl_host_world.board->slot[thread].state) == FL_HOST_RUNS;
}

int fl_host_outcome(char *buf, size_t size)
{
	const struct fl_sc_context context = {NULL,       fl_host_see_result, fl_host_see_variable,
					      see_memory, see_count,          see_blocked};
	uint32_t line = atomic_load(&fl_host_world.board->check_line);
	int n = fl_outcome_print(buf, size, fl_host_world.s, &context);

	if (line && n >= 0 && (size_t)n < size)
		n += snprintf(buf + n, size - (size_t)n, " check=line %u", line);
	return n;
}
