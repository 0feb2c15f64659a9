/* SPDX-License-Identifier: MIT */
/*
 * Which blocks of the watched code are reached. Each begins with a call of __sanitizer_cov_trace_pc; how many there are is
 * found by looking for such calls in the program's text.
 *
 * No locks: one OS thread.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"

void __sanitizer_cov_trace_pc(void);

struct fl_cover fl_cover;

/* The text of the main program, which comes first. */
static int find_text(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
			fl_cover.start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			fl_cover.size = info->dlpi_phdr[i].p_memsz;
		}
	}
	return 1;
}

bool fl_cover_open(void)
{
	dl_iterate_phdr(find_text, NULL);
	fl_cover.reached = calloc(fl_cover.size + 1, 1);
	if (!fl_cover.reached)
		fl_cover.size = 0;
	return fl_cover.reached != NULL;
}

/* Call fn for each block, with where its flag is. */
static void each_block(void (*fn)(void *arg, unsigned char *flag), void *arg)
{
#if defined(__x86_64__)
	const unsigned char *text = (const unsigned char *)fl_cover.start;
	uintptr_t hook = (uintptr_t)__sanitizer_cov_trace_pc;
	int32_t distance;

	for (size_t i = 0; i + 5 <= fl_cover.size; i++) {
		if (text[i] != 0xe8)
			continue;
		memcpy(&distance, text + i + 1, sizeof(distance));
		if (fl_cover.start + i + 5 + (uintptr_t)(intptr_t)distance != hook)
			continue;
		fn(arg, &fl_cover.reached[i + 5]);
	}
#else
	(void)fn;
	(void)arg;
#endif
}

struct flags {
	unsigned char *bit; /* NULL: count alone */
	uint32_t n, set;
	bool merge;
};

static void look(void *arg, unsigned char *flag)
{
	struct flags *f = arg;

	if (f->bit && f->merge)
		*flag |= f->bit[f->n];
	else if (f->bit)
		f->bit[f->n] = *flag;
	f->set += *flag;
	f->n++;
}

void fl_cover_count(uint32_t *reached, uint32_t *all)
{
	struct flags f = {0};

	each_block(look, &f);
	*reached = f.set;
	*all = f.n;
}

void fl_cover_save(unsigned char *flags)
{
	struct flags f = {.bit = flags};

	each_block(look, &f);
}

void fl_cover_merge(const unsigned char *flags)
{
	struct flags f = {.bit = (unsigned char *)(uintptr_t)flags, .merge = true};

	each_block(look, &f);
}

void fl_cover_close(void)
{
	free(fl_cover.reached);
	memset(&fl_cover, 0, sizeof(fl_cover));
}
