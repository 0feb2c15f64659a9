/* SPDX-License-Identifier: MIT */
/*
 * What there is to see at the end of a run: memory, residence and mappings through /proc, and the line that says it all. Memory
 * means what it means to the engine's executor (explore/exec/look.c).
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

/* Bits of /proc/PID/pagemap. Markers in the tables show as swapped pages. */
#define PAGE_PRESENT (1ul << 63)
#define PAGE_SWAPPED (1ul << 62)
#define PAGE_GUARD (1ul << 58)
#define PAGE_WP (1ul << 57)

static uint64_t page_bits(int pagemap, uint64_t at)
{
	uint64_t entry;

	if (pread(pagemap, &entry, sizeof entry, (off_t)(at / FL_HOST_PAGE * sizeof entry)) != sizeof entry)
		return 0;
	return entry;
}

static int64_t count_present(unsigned process, const struct fl_sc_range *range)
{
	uint64_t at = fl_host_address(range) & ~(FL_HOST_PAGE - 1), end = at + fl_host_bytes(range);
	int fd = open_of(process, "pagemap");
	int64_t n = 0;

	if (fd < 0)
		return 0;
	for (; at < end; at += FL_HOST_PAGE)
		n += (page_bits(fd, at) & PAGE_PRESENT) != 0;
	close(fd);
	return n;
}

/* Calls fn with the bounds of each mapping. */
static void each_mapping(unsigned process, void (*fn)(void *arg, uint64_t start, uint64_t end), void *arg)
{
	char line[4352];
	int fd = open_of(process, "maps");
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f)
		return;
	while (fgets(line, sizeof line, f)) {
		char *dash;
		uint64_t start = strtoul(line, &dash, 16);

		fn(arg, start, *dash ? strtoul(dash + 1, NULL, 16) : start);
	}
	fclose(f);
}

struct covered {
	uint64_t at;
	bool is;
};

static void cover(void *arg, uint64_t start, uint64_t end)
{
	struct covered *c = arg;

	c->is |= c->at - start < end - start;
}

static bool is_mapped(unsigned process, uint64_t at)
{
	struct covered c = {.at = at};

	each_mapping(process, cover, &c);
	return c.is;
}

static bool read_there(unsigned process, uint64_t at, void *to, size_t n)
{
	int fd = open_of(process, "mem");
	bool read = fd >= 0 && pread(fd, to, n, (off_t)at) == (ssize_t)n;

	if (fd >= 0)
		close(fd);
	return read;
}

/* n bytes within a page: 0, or why not. What nobody has touched reads as zero, and stays untouched. */
static int64_t read_page(unsigned process, const struct fl_sc_map *m, uint64_t at, void *to, size_t n)
{
	int fd = open_of(process, "pagemap");
	uint64_t bits;

	if (fd < 0)
		return FL_SC_MAPERR;
	bits = page_bits(fd, at);
	close(fd);
	if (bits & PAGE_PRESENT)
		return read_there(process, at, to, n) ? 0 : (int64_t)FL_SC_UNSET;
	if ((bits & PAGE_GUARD) || !is_mapped(process, at))
		return FL_SC_MAPERR;
	memset(to, 0, n);
	/* Behind an entry that is empty there may be a page of a file, or in swap; or it is a marker. */
	if (!(bits & PAGE_SWAPPED) && m->memory == FL_SC_ANON && !m->shared)
		return 0;
	if (!read_there(process, at, to, n) && (bits & PAGE_SWAPPED) && !(bits & PAGE_WP))
		return FL_SC_POISON;
	return 0;
}

static int64_t see_memory(void *arg, unsigned process, const struct fl_sc_range *range, unsigned size)
{
	uint64_t at = fl_host_address(range), value = 0;
	char *to = (char *)&value;
	int64_t err = 0;
	size_t n;

	(void)arg;
	for (size_t done = 0; !err && done < size; done += n) {
		n = FL_HOST_PAGE - ((at + done) & (FL_HOST_PAGE - 1));
		if (n > size - done)
			n = size - done;
		err = read_page(process, &fl_host_world.s->map[range->map], at + done, to + done, n);
	}
	return err ? err : (int64_t)value;
}

static void count_in_window(void *arg, uint64_t start, uint64_t end)
{
	(void)end;
	*(int64_t *)arg += start - FL_HOST_BASE < FL_HOST_WINDOW_PAGES * FL_HOST_PAGE;
}

static int64_t see_count(void *arg, enum fl_sc_count count, unsigned index, const struct fl_sc_range *range)
{
	int64_t n = 0;

	(void)arg;
	if (count == FL_SC_C_RESIDENT)
		return count_present(index, range);
	if (count != FL_SC_C_VMAS)
		return FL_SC_UNSET;
	each_mapping(index, count_in_window, &n);
	return n;
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
