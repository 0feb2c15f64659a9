/* SPDX-License-Identifier: MIT */
/*
 * One page of user memory, held still for a moment: what copies and probes are made of. Rule 10.
 *
 * While a page is held its leaf table is locked, so nobody takes the frame away or reduces the entry's rights; the
 * holder sleeps never and calls nothing that takes a lock.
 */
#ifndef FL_UACCESS_USER_PAGE_H
#define FL_UACCESS_USER_PAGE_H

#include "mm/mm_int.h"

enum fl_user_state {
	FL_USER_HELD,    /* data may be used for the access asked for, until fl_user_release */
	FL_USER_FAULT,   /* not there, or refused: a fault's business. Nothing is held */
	FL_USER_FOREIGN, /* the machine's. Nothing is held */
};

struct fl_user_page {
	struct fl_table *table;
	char *data;        /* of the address asked for */
	uint64_t vm_flags; /* of a foreign VMA */
	bool present;      /* an entry with some right was there, and refused */
};

/* Hold the page of va for access. The caller is not in an rcu section. */
FL_MUST_CHECK enum fl_user_state fl_user_hold(struct fl_mm *mm, fl_va va, enum fl_access access,
					      struct fl_user_page *p);
void fl_user_release(struct fl_user_page *p);
/* Let the fault path see to va, in kernel mode. False: the access ends here. */
FL_MUST_CHECK bool fl_user_fault(struct fl_task *t, fl_va va, enum fl_access access, const struct fl_user_page *p);

/* How many of the n bytes at va lie below the end of user addresses; those of the first page. */
static inline size_t fl_user_limit(const struct fl_mm *mm, fl_va va, size_t n)
{
	fl_va end = mm->arch->task_size;

	if (va >= end)
		return 0;
	return n > end - va ? (size_t)(end - va) : n;
}

static inline size_t fl_user_first_page(const struct fl_mm *mm, fl_va va, size_t n)
{
	size_t page = (size_t)fl_page_size(&mm->tables), rest = page - (size_t)(va & (page - 1));

	return n < rest ? n : rest;
}

#endif
