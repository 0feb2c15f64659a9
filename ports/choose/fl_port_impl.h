/* SPDX-License-Identifier: MIT */
/*
 * Installed beside fl_port.h: which port it is. POSIX threads, unless the compiler's flags say fibers; the pkg-config files
 * faultline and faultline-explore do.
 */
#ifdef FL_PORT_FIBERS
#include "faultline/fibers/fl_port_impl.h"
#else
#include "faultline/threads/fl_port_impl.h"
#endif
