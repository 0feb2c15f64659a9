/* SPDX-License-Identifier: MIT */
/*
 * Page tables under test: see tables_support.h. No locks but those of the tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "concurrent.h"
#include "tables_support.h"

const struct fl_geometry tables_tiny = {.page_shift = 12, .levels = 3, .index_bits = {2, 2, 2}};
const struct fl_geometry tables_wide = {.page_shift = 12, .levels = 4, .index_bits = {9, 9, 9, 9}};
struct fl_tables tables_pt;

void tables_begin(const struct fl_geometry *geo)
{
	assert_int_equal(fl_tables_init(&tables_pt, geo), 0);
	assert_int_equal(fl_load(&tables_pt.count), 1);
}

void tables_end(void)
{
	fl_tables_free_empty(&tables_pt, 0, UINT64_MAX);
	assert_int_equal(fl_load(&tables_pt.count), 1);
	assert_int_equal(tables_pt.root->live, 0);
	fl_tables_destroy(&tables_pt);
}

int tables_wait_for_grace(void **state)
{
	(void)state;
	fl_rcu_barrier();
	return 0;
}

void tables_set(fl_va va, fl_pte e)
{
	struct fl_table *t;

	for (;;) {
		CHECK(fl_table_ensure(&tables_pt, va) == 0);
		fl_rcu_read_lock();
		t = fl_table_lock(&tables_pt, va);
		if (t)
			break;
		fl_rcu_read_unlock();
	}
	fl_entry_set(t, fl_leaf_index(&tables_pt, va), e);
	fl_table_unlock(t);
	fl_rcu_read_unlock();
}

fl_pte tables_clear(fl_va va)
{
	struct fl_table *t;
	fl_pte old = 0;

	fl_rcu_read_lock();
	t = fl_table_lock(&tables_pt, va);
	if (t) {
		old = fl_entry_clear(t, fl_leaf_index(&tables_pt, va));
		fl_table_unlock(t);
	}
	fl_rcu_read_unlock();
	return old;
}
