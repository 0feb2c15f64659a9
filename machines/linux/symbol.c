/* SPDX-License-Identifier: MIT */
/*
 * Counts of faults by instruction, and their names.
 *
 *   object   a file that was mapped executable; object 0 is code without a file
 *   site     an instruction: (program, address), its object and offset, and how often it faulted
 *   image    the executable mappings of one program, as they were when an address was last not found in them
 *
 * Reading /proc/PID/maps costs as much as many faults, so it is read again only for an address in no known mapping, and
 * after fruitless readings only at every 2nd, 4th, ... such address. The supervisor's one thread; no lock.
 */
#include "linux/symbol.h"

#include <elfutils/libdwfl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Only so many distinct instructions are resolved for the report; the rest has few faults each. */
#define RESOLVED_MAX 512

struct mapping {
	uint64_t start, end, offset;
	uint32_t object;
};

struct image {
	uint64_t space;
	struct mapping *maps;
	size_t nmaps;
	uint64_t misses, next_read; /* addresses in no mapping; the miss at which maps are read again */
	struct image *next;
};

struct site {
	uint64_t space, rip, offset, count; /* count 0: an empty slot */
	uint32_t object;
};

struct fl_symbols {
	struct image *images; /* the one used last is first */
	char **objects;
	size_t nobjects;
	struct site *sites;
	size_t nsites, capacity; /* capacity is a power of two */
	uint64_t total, lost;    /* lost: faults that no memory was left to count */
};

struct fl_symbols *fl_symbols_new(void)
{
	struct fl_symbols *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->capacity = 256;
	s->sites = calloc(s->capacity, sizeof(*s->sites));
	s->objects = calloc(1, sizeof(*s->objects));
	if (s->objects)
		s->objects[0] = strdup("[code without a file]");
	s->nobjects = 1;
	if (!s->sites || !s->objects || !s->objects[0]) {
		fl_symbols_free(s);
		return NULL;
	}
	return s;
}

void fl_symbols_free(struct fl_symbols *s)
{
	if (!s)
		return;
	while (s->images) {
		struct image *next = s->images->next;

		free(s->images->maps);
		free(s->images);
		s->images = next;
	}
	for (size_t i = 0; s->objects && i < s->nobjects; i++)
		free(s->objects[i]);
	free(s->objects);
	free(s->sites);
	free(s);
}

static uint32_t object_of(struct fl_symbols *s, const char *path)
{
	char **grown;

	if (path[0] != '/')
		return 0;
	for (size_t i = 1; i < s->nobjects; i++)
		if (!strcmp(s->objects[i], path))
			return (uint32_t)i;
	grown = realloc(s->objects, (s->nobjects + 1) * sizeof(*grown));
	if (!grown)
		return 0;
	s->objects = grown;
	grown[s->nobjects] = strdup(path);
	if (!grown[s->nobjects])
		return 0;
	return (uint32_t)s->nobjects++;
}

static struct image *image_of(struct fl_symbols *s, uint64_t space)
{
	struct image **link, *image;

	for (link = &s->images; *link; link = &(*link)->next)
		if ((*link)->space == space)
			break;
	image = *link;
	if (image) {
		*link = image->next;
	} else {
		image = calloc(1, sizeof(*image));
		if (!image)
			return NULL;
		image->space = space;
		image->next_read = 1;
	}
	image->next = s->images;
	s->images = image;
	return image;
}

/* Read the executable mappings of pid. On any failure the image keeps what it has got so far. */
static void image_read(struct fl_symbols *s, struct image *image, pid_t pid)
{
	char name[64], line[4608], perms[8], path[4200];
	uint64_t start, end, offset;
	FILE *maps;

	snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
	maps = fopen(name, "re");
	if (!maps)
		return;
	image->nmaps = 0;
	while (fgets(line, sizeof(line), maps)) {
		struct mapping *grown;

		path[0] = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %4199[^\n]", &start, &end, perms,
			   &offset, path) < 4 ||
		    perms[2] != 'x')
			continue;
		grown = realloc(image->maps, (image->nmaps + 1) * sizeof(*grown));
		if (!grown)
			break;
		image->maps = grown;
		grown[image->nmaps++] = (struct mapping){start, end, offset, object_of(s, path)};
	}
	fclose(maps);
}

static const struct mapping *image_find(const struct image *image, uint64_t rip)
{
	for (size_t i = 0; i < image->nmaps; i++)
		if (rip >= image->maps[i].start && rip < image->maps[i].end)
			return &image->maps[i];
	return NULL;
}

static void site_locate(struct fl_symbols *s, struct site *site, pid_t pid)
{
	struct image *image = image_of(s, site->space);
	const struct mapping *m;

	if (!image)
		return;
	m = image_find(image, site->rip);
	if (!m && ++image->misses >= image->next_read) {
		image_read(s, image, pid);
		m = image_find(image, site->rip);
		if (m)
			image->misses = 0, image->next_read = 1;
		else
			image->next_read = image->misses * 2;
	}
	if (m && m->object) {
		site->object = m->object;
		site->offset = site->rip - m->start + m->offset;
	}
}

static struct site *slot_of(struct site *sites, size_t capacity, uint64_t space, uint64_t rip)
{
	uint64_t h = (rip ^ space * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
	size_t i = (size_t)(h >> 32) & (capacity - 1);

	while (sites[i].count && (sites[i].rip != rip || sites[i].space != space))
		i = (i + 1) & (capacity - 1);
	return &sites[i];
}

/* Twice the slots. False: no memory, the table is as it was. */
static bool grow(struct fl_symbols *s)
{
	struct site *bigger = calloc(s->capacity * 2, sizeof(*bigger));

	if (!bigger)
		return false;
	for (size_t i = 0; i < s->capacity; i++)
		if (s->sites[i].count)
			*slot_of(bigger, s->capacity * 2, s->sites[i].space, s->sites[i].rip) = s->sites[i];
	free(s->sites);
	s->sites = bigger;
	s->capacity *= 2;
	return true;
}

void fl_symbols_count(struct fl_symbols *s, uint64_t space, pid_t pid, uint64_t rip)
{
	struct site *site;

	s->total++;
	if (s->nsites * 2 >= s->capacity && !grow(s) && s->nsites + 1 >= s->capacity) {
		s->lost++;
		return;
	}
	site = slot_of(s->sites, s->capacity, space, rip);
	if (!site->count) {
		*site = (struct site){.space = space, .rip = rip};
		s->nsites++;
		site_locate(s, site, pid);
	}
	site->count++;
}

/* --- the report ------------------------------------------------------------------------------------------- */

struct line {
	char *text;
	uint64_t count;
};

/* By object and offset, so that programs that share a file are added up. Code without a file: by address. */
static int by_place(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return 0;
}

static int by_count(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return by_place(a, b);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

static int by_line_count(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return strcmp(x->text, y->text);
}

/* Where a file offset of a module is in libdwfl's address space; false: in no segment. */
static bool module_address(Dwfl_Module *mod, uint64_t offset, Dwarf_Addr *address)
{
	GElf_Addr bias;
	Elf *elf = dwfl_module_getelf(mod, &bias);
	size_t n;

	if (!elf || elf_getphdrnum(elf, &n))
		return false;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr phdr;

		if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_type != PT_LOAD)
			continue;
		if (offset >= phdr.p_offset && offset < phdr.p_offset + phdr.p_filesz) {
			*address = phdr.p_vaddr + (offset - phdr.p_offset) + bias;
			return true;
		}
	}
	return false;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The module of an object, opened when it is first asked for; NULL: it cannot be read. */
static Dwfl_Module *module_of(Dwfl *dwfl, Dwfl_Module **mods, const struct fl_symbols *s, uint32_t object)
{
	if (object && !mods[object]) {
		dwfl_report_begin_add(dwfl);
		mods[object] = dwfl_report_offline(dwfl, s->objects[object], s->objects[object], -1);
		dwfl_report_end(dwfl, NULL, NULL);
	}
	return mods[object];
}

/*
 * The source line of an address, or NULL. libdwfl goes by .debug_aranges, which clang does not write: then every
 * compilation unit is asked whether it has the address.
 */
static const char *source_of(Dwfl_Module *mod, Dwarf_Addr address, int *line)
{
	Dwfl_Line *known = dwfl_module_getsrc(mod, address);
	Dwarf_Die *unit = NULL;
	Dwarf_Addr bias;

	if (known)
		return dwfl_lineinfo(known, NULL, line, NULL, NULL, NULL);
	while ((unit = dwfl_module_nextcu(mod, unit, &bias))) {
		Dwarf_Line *at;

		if (dwarf_haspc(unit, address - bias) <= 0)
			continue;
		at = dwarf_getsrc_die(unit, address - bias);
		if (!at || dwarf_lineno(at, line))
			return NULL;
		return dwarf_linesrc(at, NULL, NULL);
	}
	return NULL;
}

/* "file.c:12 function (object)", as much of it as is known. A new string, or NULL. */
static char *describe(Dwfl_Module *mod, const char *object, const struct site *site)
{
	const char *function = NULL, *file = NULL;
	Dwarf_Addr address;
	int line = 0;
	char *text;

	if (!site->object)
		return strdup(object);
	if (mod && module_address(mod, site->offset, &address)) {
		function = dwfl_module_addrname(mod, address);
		file = source_of(mod, address, &line);
	}
	if (asprintf(&text, "%s%s%.0d%s%s%s(%s)", file ? base_name(file) : "", file ? ":" : "", line, file ? " " : "",
		     function ? function : "", function ? " " : "", base_name(object)) < 0)
		return NULL;
	return text;
}

/* Merge neighbours for which same() is 0; returns how many are left. */
static size_t merge_sites(struct site *sites, size_t n)
{
	size_t kept = 0;

	qsort(sites, n, sizeof(*sites), by_place);
	for (size_t i = 0; i < n; i++) {
		if (kept && !by_place(&sites[kept - 1], &sites[i]))
			sites[kept - 1].count += sites[i].count;
		else
			sites[kept++] = sites[i];
	}
	qsort(sites, kept, sizeof(*sites), by_count);
	return kept;
}

static size_t merge_lines(struct line *lines, size_t n)
{
	size_t kept = 0;

	qsort(lines, n, sizeof(*lines), by_text);
	for (size_t i = 0; i < n; i++) {
		if (kept && !strcmp(lines[kept - 1].text, lines[i].text)) {
			lines[kept - 1].count += lines[i].count;
			free(lines[i].text);
		} else {
			lines[kept++] = lines[i];
		}
	}
	qsort(lines, kept, sizeof(*lines), by_line_count);
	return kept;
}

static size_t resolve(struct fl_symbols *s, struct line *lines)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
	};
	Dwfl *dwfl = dwfl_begin(&callbacks);
	Dwfl_Module **mods = calloc(s->nobjects, sizeof(*mods));
	struct site *sites = calloc(s->nsites + 1, sizeof(*sites));
	size_t n = 0, nlines = 0;

	for (size_t i = 0; sites && i < s->capacity; i++)
		if (s->sites[i].count)
			sites[n++] = s->sites[i];
	n = sites ? merge_sites(sites, n) : 0;
	for (size_t i = 0; i < n && nlines < RESOLVED_MAX; i++) {
		Dwfl_Module *mod = dwfl && mods ? module_of(dwfl, mods, s, sites[i].object) : NULL;

		lines[nlines].text = describe(mod, s->objects[sites[i].object], &sites[i]);
		lines[nlines].count = sites[i].count;
		if (lines[nlines].text)
			nlines++;
	}
	free(sites);
	free(mods);
	if (dwfl)
		dwfl_end(dwfl);
	return merge_lines(lines, nlines);
}

void fl_symbols_write_top(struct fl_symbols *s, FILE *out, unsigned n)
{
	struct line *lines = calloc(RESOLVED_MAX, sizeof(*lines));
	size_t nlines;

	if (!lines)
		return;
	/* Nothing is to be fetched from a network for a report. The guest has its environment already. */
	unsetenv("DEBUGINFOD_URLS");
	nlines = resolve(s, lines);
	for (size_t i = 0; i < nlines; i++) {
		if (i < n)
			fprintf(out, "%10" PRIu64 "  %5.1f%%  %s\n", lines[i].count,
				100.0 * (double)lines[i].count / (double)s->total, lines[i].text);
		free(lines[i].text);
	}
	free(lines);
}
