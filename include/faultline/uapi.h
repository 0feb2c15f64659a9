/* SPDX-License-Identifier: MIT */
/*
 * Linux's numbers and structure layouts, as user space sees them (man pages mmap(2), madvise(2), mremap(2),
 * userfaultfd(2), ioctl_userfaultfd(2)). Values are those of the generic ABI. The names carry FL_ so
 * that this header can stand beside the host's own.
 */
#ifndef FAULTLINE_UAPI_H
#define FAULTLINE_UAPI_H

#include "faultline/types.h"

#define FL_PROT_NONE 0x0
#define FL_PROT_READ 0x1
#define FL_PROT_WRITE 0x2
#define FL_PROT_EXEC 0x4
#define FL_PROT_SEM 0x8
#define FL_PROT_GROWSDOWN 0x01000000
#define FL_PROT_GROWSUP 0x02000000

#define FL_MAP_SHARED 0x01
#define FL_MAP_PRIVATE 0x02
#define FL_MAP_SHARED_VALIDATE 0x03
#define FL_MAP_DROPPABLE 0x08
#define FL_MAP_TYPE 0x0f
#define FL_MAP_FIXED 0x10
#define FL_MAP_ANONYMOUS 0x20
#define FL_MAP_32BIT 0x40 /* x86 */
#define FL_MAP_GROWSDOWN 0x0100
#define FL_MAP_DENYWRITE 0x0800
#define FL_MAP_EXECUTABLE 0x1000
#define FL_MAP_LOCKED 0x2000
#define FL_MAP_NORESERVE 0x4000
#define FL_MAP_POPULATE 0x8000
#define FL_MAP_NONBLOCK 0x10000
#define FL_MAP_STACK 0x20000
#define FL_MAP_HUGETLB 0x40000
#define FL_MAP_SYNC 0x80000
#define FL_MAP_FIXED_NOREPLACE 0x100000
#define FL_MAP_UNINITIALIZED 0x4000000

#define FL_MREMAP_MAYMOVE 1
#define FL_MREMAP_FIXED 2
#define FL_MREMAP_DONTUNMAP 4

#define FL_MADV_NORMAL 0
#define FL_MADV_RANDOM 1
#define FL_MADV_SEQUENTIAL 2
#define FL_MADV_WILLNEED 3
#define FL_MADV_DONTNEED 4
#define FL_MADV_FREE 8
#define FL_MADV_REMOVE 9
#define FL_MADV_DONTFORK 10
#define FL_MADV_DOFORK 11
#define FL_MADV_MERGEABLE 12
#define FL_MADV_UNMERGEABLE 13
#define FL_MADV_HUGEPAGE 14
#define FL_MADV_NOHUGEPAGE 15
#define FL_MADV_DONTDUMP 16
#define FL_MADV_DODUMP 17
#define FL_MADV_WIPEONFORK 18
#define FL_MADV_KEEPONFORK 19
#define FL_MADV_COLD 20
#define FL_MADV_PAGEOUT 21
#define FL_MADV_POPULATE_READ 22
#define FL_MADV_POPULATE_WRITE 23
#define FL_MADV_DONTNEED_LOCKED 24
#define FL_MADV_COLLAPSE 25
#define FL_MADV_HWPOISON 100
#define FL_MADV_SOFT_OFFLINE 101
#define FL_MADV_GUARD_INSTALL 102
#define FL_MADV_GUARD_REMOVE 103

#define FL_MCL_CURRENT 1
#define FL_MCL_FUTURE 2
#define FL_MCL_ONFAULT 4
#define FL_MLOCK_ONFAULT 1

#define FL_MS_ASYNC 1
#define FL_MS_INVALIDATE 2
#define FL_MS_SYNC 4

#define FL_SEGV_MAPERR 1
#define FL_SEGV_ACCERR 2
#define FL_SI_KERNEL 0x80
#define FL_BUS_ADRALN 1
#define FL_BUS_ADRERR 2
#define FL_BUS_MCEERR_AR 4

#define FL_POLLIN 0x001
#define FL_POLLERR 0x008

/* userfaultfd(2) */
#define FL_UFFD_API 0xAAull
#define FL_UFFD_USER_MODE_ONLY 1
#define FL_O_NONBLOCK 04000
#define FL_O_CLOEXEC 02000000

#define FL_UFFD_EVENT_PAGEFAULT 0x12
#define FL_UFFD_EVENT_FORK 0x13
#define FL_UFFD_EVENT_REMAP 0x14
#define FL_UFFD_EVENT_REMOVE 0x15
#define FL_UFFD_EVENT_UNMAP 0x16

#define FL_UFFD_PAGEFAULT_FLAG_WRITE 1
#define FL_UFFD_PAGEFAULT_FLAG_WP 2
#define FL_UFFD_PAGEFAULT_FLAG_MINOR 4

#define FL_UFFD_FEATURE_PAGEFAULT_FLAG_WP (1u << 0)
#define FL_UFFD_FEATURE_EVENT_FORK (1u << 1)
#define FL_UFFD_FEATURE_EVENT_REMAP (1u << 2)
#define FL_UFFD_FEATURE_EVENT_REMOVE (1u << 3)
#define FL_UFFD_FEATURE_MISSING_HUGETLBFS (1u << 4)
#define FL_UFFD_FEATURE_MISSING_SHMEM (1u << 5)
#define FL_UFFD_FEATURE_EVENT_UNMAP (1u << 6)
#define FL_UFFD_FEATURE_SIGBUS (1u << 7)
#define FL_UFFD_FEATURE_THREAD_ID (1u << 8)
#define FL_UFFD_FEATURE_MINOR_HUGETLBFS (1u << 9)
#define FL_UFFD_FEATURE_MINOR_SHMEM (1u << 10)
#define FL_UFFD_FEATURE_EXACT_ADDRESS (1u << 11)
#define FL_UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1u << 12)
#define FL_UFFD_FEATURE_WP_UNPOPULATED (1u << 13)
#define FL_UFFD_FEATURE_POISON (1u << 14)
#define FL_UFFD_FEATURE_WP_ASYNC (1u << 15)
#define FL_UFFD_FEATURE_MOVE (1u << 16)

#define FL_UFFDIO_REGISTER_MODE_MISSING 1
#define FL_UFFDIO_REGISTER_MODE_WP 2
#define FL_UFFDIO_REGISTER_MODE_MINOR 4

#define FL_UFFDIO_COPY_MODE_DONTWAKE 1
#define FL_UFFDIO_COPY_MODE_WP 2
#define FL_UFFDIO_ZEROPAGE_MODE_DONTWAKE 1

#define FL_UFFDIO_API 0xC018AA3Fu
#define FL_UFFDIO_REGISTER 0xC020AA00u
#define FL_UFFDIO_UNREGISTER 0x8010AA01u
#define FL_UFFDIO_WAKE 0x8010AA02u
#define FL_UFFDIO_COPY 0xC028AA03u
#define FL_UFFDIO_ZEROPAGE 0xC020AA04u
#define FL_UFFDIO_MOVE 0xC028AA05u
#define FL_UFFDIO_WRITEPROTECT 0xC018AA06u
#define FL_UFFDIO_CONTINUE 0xC020AA07u
#define FL_UFFDIO_POISON 0xC020AA08u

struct fl_uffdio_api {
	uint64_t api, features, ioctls;
};
struct fl_uffdio_range {
	uint64_t start, len;
};
struct fl_uffdio_register {
	struct fl_uffdio_range range;
	uint64_t mode, ioctls;
};
struct fl_uffdio_copy {
	uint64_t dst, src, len, mode;
	int64_t copy;
};
struct fl_uffdio_zeropage {
	struct fl_uffdio_range range;
	uint64_t mode;
	int64_t zeropage;
};

/* What read(2) returns: 32 bytes a message, unused bytes zero. Packed by its layout. */
struct fl_uffd_msg {
	uint8_t event;
	uint8_t reserved1;
	uint16_t reserved2;
	uint32_t reserved3;
	uint64_t arg0; /* PAGEFAULT: flags; REMAP: from; REMOVE, UNMAP: start; FORK: ufd, host order, low 32 bits */
	uint64_t arg1; /* PAGEFAULT: address; REMAP: to; REMOVE, UNMAP: end */
	uint64_t arg2; /* PAGEFAULT: thread id as a 32-bit word at offset 24; REMAP: len */
};
FL_STATIC_ASSERT(sizeof(struct fl_uffd_msg) == 32, "uffd_msg is 32 bytes");

#endif
