/* SPDX-License-Identifier: MIT */
/* Layouts and failing allocations. No locks: one thread at a time. */
#include "mm_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "concurrent.h"
#include "fl_port_test.h"

#define SIZE 8192

static void append(char *out, const struct fl_vma_info *v)
{
	static const struct {
		uint64_t flag;
		char letter;
	} letters[] = {
		{FL_VM_LOCKED, 'L'},       {FL_VM_LOCKONFAULT, 'O'}, {FL_VM_DONTCOPY, 'D'}, {FL_VM_WIPEONFORK, 'W'},
		{FL_VM_GROWSDOWN, 'G'},    {FL_VM_NORESERVE, 'N'},   {FL_VM_SEQ_READ, 'S'}, {FL_VM_RAND_READ, 'R'},
		{FL_VM_UFFD_MISSING, 'M'}, {FL_VM_FOREIGN, 'F'},
	};
	size_t n = strlen(out);

	n += (size_t)snprintf(out + n, SIZE - n, "%s%lld-%lld %c%c%c", n ? ", " : "",
			      (long long)(int64_t)(v->start - BASE) / (long long)PAGE,
			      (long long)(int64_t)(v->end - BASE) / (long long)PAGE,
			      v->vm_flags & FL_VM_READ ? 'r' : '-', v->vm_flags & FL_VM_WRITE ? 'w' : '-',
			      v->vm_flags & FL_VM_EXEC ? 'x' : '-');
	for (size_t i = 0; i < sizeof(letters) / sizeof(*letters) && n + 2 < SIZE; i++) {
		if (v->vm_flags & letters[i].flag) {
			out[n++] = letters[i].letter;
			out[n] = 0;
		}
	}
}

const char *layout(struct fl_mm *mm)
{
	static char text[SIZE];
	struct fl_vma_info v;

	text[0] = 0;
	for (fl_va va = 0; fl_mm_next_vma(mm, va, &v); va = v.end)
		append(text, &v);
	return text;
}

void expect_layout(struct world *w, const char *expected)
{
	const char *is = layout(w->mm);

	if (strcmp(is, expected)) {
		fprintf(stderr, "expected %s\n   found %s\n", expected, is);
		concurrent_fail(__FILE__, __LINE__, "the layout is as expected");
	}
	world_check(w);
}

void fail_every_allocation(void (*setup)(struct world *w), int (*op)(struct world *w), int want)
{
	struct world w;
	char *before;
	bool hit;
	int err;

	for (long n = 0;; n++) {
		world_open(&w, 512);
		setup(&w);
		before = strdup(layout(w.mm));
		CHECK(before);
		fl_port_fail_alloc_after(n);
		err = op(&w);
		hit = fl_port_fail_alloc_hit();
		fl_port_fail_alloc_after(-1);
		/* A call may do without what it did not get. */
		if (err) {
			CHECK(hit && err == want);
			expect_layout(&w, before);
		}
		world_close(&w);
		free(before);
		if (!hit)
			break;
	}
	CHECK(err == 0);
}
