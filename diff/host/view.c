/* SPDX-License-Identifier: MIT */
/*
 * What an observer sees of a process: its files in /proc. Looking changes nothing: pages are read through /proc/PID/mem, which
 * does not unshare them as process_vm_readv(2) does, and only where there are any.
 *
 * No locks: one thread; nothing runs in the world while somebody looks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "diff/host/internal.h"
#include "faultline/mm.h"

/* "start-end ..." */
static bool begins_mapping(const char *line)
{
	return *line && (*line < 'A' || *line >= 'a');
}

/* Has what came, from there on, reached the mappings that a process was filled up with? The last line may be half a line. */
static bool is_past(const struct fl_kern *k, const char *from)
{
	const char *line = strrchr(from, '\n');

	while (line && line > from) {
		for (line--; line > from && *line != '\n'; line--)
			;
		if (*line == '\n' && begins_mapping(line + 1))
			return strtoull(line + 1, NULL, 16) >= k->ground->fill_lo;
	}
	return false;
}

/* maps: what is past the program's own mappings is not needed. */
static char *read_file(struct fl_kern *k, int fd, bool maps)
{
	size_t n = 0;

	for (;;) {
		ssize_t got;

		if (n + 1 == k->text_size) {
			char *more = realloc(k->text, k->text_size * 2);

			if (!more)
				return NULL;
			k->text = more;
			k->text_size *= 2;
		}
		got = pread(fd, k->text + n, k->text_size - 1 - n, (off_t)n);
		if (got < 0)
			return NULL;
		if (!got)
			break;
		n += (size_t)got;
		k->text[n] = 0;
		if (maps && k->filled && is_past(k, k->text + n - got))
			break;
	}
	k->text[n] = 0;
	return k->text;
}

/* All of a file, in k->text. NULL: it cannot be read, or there is no memory. */
char *fl_kern_read_all(struct fl_kern *k, int fd)
{
	return read_file(k, fd, false);
}

static uint64_t parse_hex(const char **at)
{
	uint64_t n = 0;

	for (;; ++*at) {
		char c = **at;

		if (c >= '0' && c <= '9')
			n = n << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			n = n << 4 | (uint64_t)(c - 'a' + 10);
		else
			return n;
	}
}

/* "start-end rwxp offset dev inode name" */
static void parse_line(const char *line, struct fl_seen_map *m)
{
	memset(m, 0, sizeof *m);
	m->start = parse_hex(&line);
	line++;
	m->end = parse_hex(&line);
	line++;
	m->prot = (line[0] == 'r' ? FL_PROT_READ : 0u) | (line[1] == 'w' ? FL_PROT_WRITE : 0u) |
		  (line[2] == 'x' ? FL_PROT_EXEC : 0u);
	m->shared = line[3] == 's';
	line += 5;
	m->offset = parse_hex(&line);
	line = strchr(line, '[');
	m->heap = line && !strncmp(line, "[heap]", 6);
	m->stack = line && !strncmp(line, "[stack]", 7);
}

static const struct {
	char name[3];
	uint64_t flag;
} flag_names[] = {
	{"rd", FL_VM_READ},         {"wr", FL_VM_WRITE},      {"ex", FL_VM_EXEC},       {"sh", FL_VM_SHARED},
	{"mr", FL_VM_MAYREAD},      {"mw", FL_VM_MAYWRITE},   {"me", FL_VM_MAYEXEC},    {"gd", FL_VM_GROWSDOWN},
	{"um", FL_VM_UFFD_MISSING}, {"uw", FL_VM_UFFD_WP},    {"ui", FL_VM_UFFD_MINOR}, {"lo", FL_VM_LOCKED},
	{"sr", FL_VM_SEQ_READ},     {"rr", FL_VM_RAND_READ},  {"dc", FL_VM_DONTCOPY},   {"lf", FL_VM_LOCKONFAULT},
	{"ac", FL_VM_ACCOUNT},      {"nr", FL_VM_NORESERVE},  {"wf", FL_VM_WIPEONFORK}, {"dd", FL_VM_DONTDUMP},
	{"hg", FL_VM_HUGEPAGE},     {"nh", FL_VM_NOHUGEPAGE}, {"mg", FL_VM_MERGEABLE},  {"gu", FL_VM_MAYBE_GUARD},
};

static uint64_t parse_flags(const char *at)
{
	uint64_t flags = 0;

	for (;; at += 2) {
		while (*at == ' ')
			at++;
		if (!*at)
			return flags;
		for (size_t i = 0; i < sizeof flag_names / sizeof *flag_names; i++)
			if (at[0] == flag_names[i].name[0] && at[1] == flag_names[i].name[1])
				flags |= flag_names[i].flag;
		if (!at[1])
			return flags;
	}
}

static bool is_ground(const struct fl_ground *g, const struct fl_seen_map *m)
{
	if (g && m->start >= g->fill_lo && m->start < g->fill_hi)
		return true;
	for (size_t i = 0; g && i < g->foreigns; i++)
		if (m->start >= g->foreign[i].start && m->start < g->foreign[i].end)
			return true;
	return false;
}

/*
 * Lines of maps or smaps; the text is cut up. ground: what to leave out; NULL: nothing. Returns how many there are; at
 * most max are written.
 */
size_t fl_kern_parse_maps(char *text, struct fl_seen_map *m, size_t max, const struct fl_ground *ground)
{
	struct fl_seen_map one, *last = NULL;
	size_t n = 0;

	while (*text) {
		char *end = strchr(text, '\n');

		if (end)
			*end = 0;
		if (last && !strncmp(text, "VmFlags:", 8)) {
			last->vm_flags = parse_flags(text + 8);
		} else if (begins_mapping(text)) {
			parse_line(text, &one);
			last = NULL;
			if (!is_ground(ground, &one)) {
				if (n < max) {
					last = &m[n];
					*last = one;
				}
				n++;
			}
		}
		if (!end)
			break;
		text = end + 1;
	}
	return n;
}

static struct fl_kern_process *process_at(struct fl_kern *k, unsigned process)
{
	struct fl_kern_process *p = &k->process[process];

	return process < k->processes && p->born && !p->gone ? p : NULL;
}

/* By a thread that is there: of a first thread that has ended there is nothing to see. */
int fl_kern_open_file(struct fl_kern *k, unsigned process, const char *name)
{
	char path[96];

	for (unsigned i = 0; i < k->actors; i++) {
		const struct fl_kern_slot *slot = fl_kern_slot(k->area, i);

		if (k->actor[i].process != process || k->actor[i].gone || k->actor[i].absent)
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)atomic_load(&slot->pid),
			 (int)atomic_load(&slot->tid), name);
		return open(path, O_RDONLY | O_CLOEXEC);
	}
	return -1;
}

size_t fl_kern_maps(struct fl_side *side, unsigned process, enum fl_view what, struct fl_seen_map *m, size_t max)
{
	struct fl_kern *k = fl_kern_of(side);
	struct fl_kern_process *p = process_at(k, process);
	char *text;

	if (!p)
		return 0;
	if (what == FL_VIEW_FLAGS && p->smaps < 0)
		p->smaps = fl_kern_open_file(k, process, "smaps");
	text = read_file(k, what == FL_VIEW_FLAGS ? p->smaps : p->maps, true);
	return text ? fl_kern_parse_maps(text, m, max, k->ground) : 0;
}

/* /proc/PID/pagemap */
#define MAP_SWAPPED (1ull << 62)
#define MAP_FILE (1ull << 61)
#define MAP_GUARD (1ull << 58)
#define MAP_UFFD_WP (1ull << 57)
#define MAP_EXCLUSIVE (1ull << 56)

static unsigned page_bits(uint64_t entry)
{
	return (entry & FL_KERN_PAGEMAP_PRESENT ? FL_PAGE_PRESENT : 0u) | (entry & MAP_SWAPPED ? FL_PAGE_SWAPPED : 0u) |
	       (entry & MAP_GUARD ? FL_PAGE_GUARD : 0u) | (entry & MAP_UFFD_WP ? FL_PAGE_UFFD_WP : 0u) |
	       (entry & MAP_FILE ? FL_PAGE_FILE : 0u) | (entry & MAP_EXCLUSIVE ? FL_PAGE_EXCLUSIVE : 0u);
}

struct look {
	struct fl_kern *k;
	struct fl_kern_process *process;
	struct fl_seen_page *p;
	size_t n, max;
};

/* Of pages that are there, one after the other. */
static void hash_pages(struct look *l, size_t first, size_t pages)
{
	char *bytes = l->k->bytes;
	ssize_t got = pread(l->process->mem, bytes, pages * FL_DIFF_PAGE, (off_t)l->p[first].address);

	for (size_t i = 0; i < pages; i++) {
		if (got < (ssize_t)((i + 1) * FL_DIFF_PAGE))
			return; /* it says 0, and the other side's is another number */
		l->p[first + i].hash = fl_diff_hash(bytes + i * FL_DIFF_PAGE, FL_DIFF_PAGE);
	}
}

static void hash_from(struct look *l, size_t first)
{
	size_t end = l->n < l->max ? l->n : l->max;

	while (first < end) {
		size_t pages = 0;

		while (first + pages < end && pages < FL_KERN_READ_PAGES &&
		       (l->p[first + pages].bits & FL_PAGE_PRESENT) &&
		       l->p[first + pages].address == l->p[first].address + pages * FL_DIFF_PAGE)
			pages++;
		if (pages)
			hash_pages(l, first, pages);
		first += pages ? pages : 1;
	}
}

static void look_at_entries(struct look *l, uint64_t start, uint64_t end)
{
	uint64_t *entry = l->k->entries;

	while (start < end) {
		uint64_t pages = (end - start) / FL_DIFF_PAGE;
		ssize_t got;

		pages = pages < FL_KERN_ENTRIES ? pages : FL_KERN_ENTRIES;
		got = pread(l->process->pagemap, entry, pages * sizeof *entry,
			    (off_t)(start / FL_DIFF_PAGE * sizeof *entry));
		if (got <= 0)
			return;
		for (size_t i = 0; i < (size_t)got / sizeof *entry; i++) {
			unsigned bits = page_bits(entry[i]);

			if (bits && l->n++ < l->max)
				l->p[l->n - 1] =
					(struct fl_seen_page){.address = start + i * FL_DIFF_PAGE, .bits = bits};
		}
		start += (uint64_t)got / sizeof *entry * FL_DIFF_PAGE;
	}
}

/* PAGEMAP_SCAN, as the kernel has it since 6.7. */
struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct scan_range {
	uint64_t start, end, categories;
};
#define SCAN _IOWR('f', 16, struct scan)
#define SCAN_PRESENT (1u << 3)
#define SCAN_SWAPPED (1u << 4)
#define SCAN_RANGES 64u
#define SMALL (4096 * FL_DIFF_PAGE)

/* Gigabytes with nothing in them are not read entry by entry. Without the call they are. */
static void look_at_large(struct look *l, uint64_t start, uint64_t end)
{
	struct scan_range range[SCAN_RANGES];

	while (start < end) {
		struct scan s = {.size = sizeof s,
				 .start = start,
				 .end = end,
				 .vec = (uint64_t)range,
				 .vec_len = SCAN_RANGES,
				 .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
				 .return_mask = SCAN_PRESENT | SCAN_SWAPPED};
		int n = ioctl(l->process->pagemap, SCAN, &s);

		if (n < 0) {
			look_at_entries(l, start, end);
			return;
		}
		for (int i = 0; i < n; i++)
			look_at_entries(l, range[i].start, range[i].end);
		start = s.walk_end > start ? s.walk_end : end;
	}
}

size_t fl_kern_pages(struct fl_side *side, unsigned process, const struct fl_seen_map *m, size_t maps,
		     struct fl_seen_page *p, size_t max)
{
	struct fl_kern *k = fl_kern_of(side);
	struct look l = {.k = k, .process = process_at(k, process), .p = p, .max = max};

	for (size_t i = 0; l.process && i < maps; i++) {
		size_t first = l.n;

		if (m[i].end - m[i].start > SMALL)
			look_at_large(&l, m[i].start, m[i].end);
		else
			look_at_entries(&l, m[i].start, m[i].end);
		hash_from(&l, first);
	}
	return l.n;
}

#define EVENTS                                                                                     \
	(FL_UFFD_FEATURE_EVENT_FORK | FL_UFFD_FEATURE_EVENT_REMAP | FL_UFFD_FEATURE_EVENT_REMOVE | \
	 FL_UFFD_FEATURE_EVENT_UNMAP)

/*
 * The kernel tells of faults alone. An event that is unread has somebody who waits for its reader, in a system call; so where none does,
 * there are none.
 */
static bool may_have_events(const struct fl_kern *k, uint64_t features)
{
	if (!(features & EVENTS))
		return false;
	for (unsigned i = 0; i < k->actors; i++)
		if (k->actor[i].busy &&
		    (k->actor[i].call.kind == FL_CALL_SYSCALL || k->actor[i].call.kind == FL_CALL_FORK))
			return true;
	return false;
}

int64_t fl_kern_unread(struct fl_side *side, unsigned uffd)
{
	struct fl_kern *k = fl_kern_of(side);
	unsigned long long pending, total, api, features;
	char name[32], *text, *at;
	int fd = -1;

	snprintf(name, sizeof name, "fdinfo/%u", FL_KERN_UFFD_FD + uffd);
	for (unsigned i = 0; i < k->processes && fd < 0; i++)
		fd = process_at(k, i) ? fl_kern_open_file(k, i, name) : -1;
	text = fd < 0 ? NULL : fl_kern_read_all(k, fd);
	if (fd >= 0)
		close(fd);
	at = text ? strstr(text, "pending:") : NULL;
	if (!at || sscanf(at, "pending: %llu total: %llu API: %llx:%llx", &pending, &total, &api, &features) != 4)
		return -1;
	return may_have_events(k, features) ? -1 : (int64_t)pending;
}
