/* SPDX-License-Identifier: MIT */
/*
 * What a test asks of either port beside fl_port.h: that an allocation fail.
 *
 *   for (n = 0; failed; n++) {
 *           fl_port_fail_alloc_after(n);
 *           ... the operation under test ...
 *           failed = fl_port_fail_alloc_hit();
 *           fl_port_fail_alloc_after(-1);
 *   }
 *
 * No locks: the counters are atomic. They count allocations of every thread.
 */
#ifndef FL_PORT_TEST_H
#define FL_PORT_TEST_H

#include <stdbool.h>

/*
 * Let the n-th fl_port_alloc from now on (the next one is 0) return NULL, once. -1: none. The
 * count of fl_port_alloc_count starts again at zero.
 */
void fl_port_fail_alloc_after(long n);
/* True if an allocation was made to fail since fl_port_fail_alloc_after was last called. */
bool fl_port_fail_alloc_hit(void);
/*
 * How many allocations were tried since fl_port_fail_alloc_after was last called with n >= 0 and until it is called
 * again.
 */
long fl_port_alloc_count(void);

#endif
