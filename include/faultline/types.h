/* SPDX-License-Identifier: MIT */
/*
 * The words that every other header uses.
 *
 *   user address   a place in a guest's address space: always 64 bits, on every host
 *   frame          one page of physical memory, handed in by the embedder
 *   pfn            the number of a frame, counted from the start of the arena
 *   page           page_size bytes of user addresses, aligned
 *
 * A page number is never called an address, and an address is never a host pointer.
 */
#ifndef FAULTLINE_TYPES_H
#define FAULTLINE_TYPES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faultline/compiler.h"
#include "faultline/errno.h"

typedef uint64_t fl_va;  /* a user address */
typedef uint32_t fl_pfn; /* a frame number */

#define FL_PFN_NONE UINT32_MAX

struct fl_arch;
struct fl_frames;
struct fl_machine_ops;
struct fl_mm;
struct fl_profile;
struct fl_task;
struct fl_uffd;
struct fl_vma;

/* What an access wants to do. */
enum fl_access {
	FL_READ = 1,
	FL_WRITE = 2,
	FL_EXEC = 4,
};

#endif
