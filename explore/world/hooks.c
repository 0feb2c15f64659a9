/* SPDX-License-Identifier: MIT */
/*
 * What code compiled with -fsanitize=thread and -fsanitize-coverage=trace-pc calls. Plain accesses go to plain.c, blocks
 * to cover.c. Atomic builtins are done here: in code over fl_port.h they lie behind a point already.
 *
 * Neither compiler announces these functions, so they are declared here. gcc does not tell of memcpy, memset and
 * memmove: what they touch is not seen.
 *
 * No locks: one OS thread.
 */
#include <stddef.h>
#include <stdint.h>

#include "plain.h"

#define HOOK __attribute__((visibility("default")))

#define ACCESS(n)                                                  \
	HOOK void __tsan_read##n(void *p);                         \
	HOOK void __tsan_write##n(void *p);                        \
	HOOK void __tsan_read##n(void *p)                          \
	{                                                          \
		fl_plain_read(p, n, __builtin_return_address(0));  \
	}                                                          \
	HOOK void __tsan_write##n(void *p)                         \
	{                                                          \
		fl_plain_write(p, n, __builtin_return_address(0)); \
	}                                                          \
	HOOK void __tsan_volatile_read##n(void *p);                \
	HOOK void __tsan_volatile_write##n(void *p);               \
	HOOK void __tsan_volatile_read##n(void *p)                 \
	{                                                          \
		fl_plain_read(p, n, __builtin_return_address(0));  \
	}                                                          \
	HOOK void __tsan_volatile_write##n(void *p)                \
	{                                                          \
		fl_plain_write(p, n, __builtin_return_address(0)); \
	}                                                          \
	HOOK void __tsan_read_write##n(void *p);                   \
	HOOK void __tsan_read_write##n(void *p)                    \
	{                                                          \
		fl_plain_write(p, n, __builtin_return_address(0)); \
	}
#define UNALIGNED(n)                                               \
	HOOK void __tsan_unaligned_read##n(void *p);               \
	HOOK void __tsan_unaligned_write##n(void *p);              \
	HOOK void __tsan_unaligned_read##n(void *p)                \
	{                                                          \
		fl_plain_read(p, n, __builtin_return_address(0));  \
	}                                                          \
	HOOK void __tsan_unaligned_write##n(void *p)               \
	{                                                          \
		fl_plain_write(p, n, __builtin_return_address(0)); \
	}                                                          \
	HOOK void __tsan_unaligned_read_write##n(void *p);         \
	HOOK void __tsan_unaligned_read_write##n(void *p)          \
	{                                                          \
		fl_plain_write(p, n, __builtin_return_address(0)); \
	}

ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
UNALIGNED(2)
UNALIGNED(4)
UNALIGNED(8)
UNALIGNED(16)

HOOK void __tsan_read_range(void *p, size_t n);
HOOK void __tsan_write_range(void *p, size_t n);
HOOK void __tsan_init(void);
HOOK void __tsan_func_entry(void *caller);
HOOK void __tsan_func_exit(void);
HOOK void __tsan_vptr_update(void **p, void *value);
HOOK void __tsan_vptr_read(void **p);

HOOK void __tsan_read_range(void *p, size_t n)
{
	fl_plain_read(p, n, __builtin_return_address(0));
}

HOOK void __tsan_write_range(void *p, size_t n)
{
	fl_plain_write(p, n, __builtin_return_address(0));
}

HOOK void __tsan_init(void)
{
}

HOOK void __tsan_func_entry(void *caller)
{
	(void)caller;
}

HOOK void __tsan_func_exit(void)
{
}

HOOK void __tsan_vptr_update(void **p, void *value)
{
	(void)value;
	fl_plain_write(p, sizeof(*p), __builtin_return_address(0));
}

HOOK void __tsan_vptr_read(void **p)
{
	fl_plain_read(p, sizeof(*p), __builtin_return_address(0));
}

#define RELAXED __ATOMIC_RELAXED

#define FETCH(bits, type, name)                                                            \
	HOOK type __tsan_atomic##bits##_fetch_##name(volatile type *p, type v, int order); \
	HOOK type __tsan_atomic##bits##_fetch_##name(volatile type *p, type v, int order)  \
	{                                                                                  \
		(void)order;                                                               \
		return __atomic_fetch_##name(p, v, RELAXED);                               \
	}
#define ATOMIC(bits, type)                                                                                       \
	HOOK type __tsan_atomic##bits##_load(const volatile type *p, int order);                                 \
	HOOK void __tsan_atomic##bits##_store(volatile type *p, type v, int order);                              \
	HOOK type __tsan_atomic##bits##_exchange(volatile type *p, type v, int order);                           \
	HOOK int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *e, type v, int s, int f); \
	HOOK int __tsan_atomic##bits##_compare_exchange_weak(volatile type *p, type *e, type v, int s, int f);   \
	HOOK type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type e, type v, int s, int f);    \
	HOOK type __tsan_atomic##bits##_load(const volatile type *p, int order)                                  \
	{                                                                                                        \
		(void)order;                                                                                     \
		return __atomic_load_n(p, RELAXED);                                                              \
	}                                                                                                        \
	HOOK void __tsan_atomic##bits##_store(volatile type *p, type v, int order)                               \
	{                                                                                                        \
		(void)order;                                                                                     \
		__atomic_store_n(p, v, RELAXED);                                                                 \
	}                                                                                                        \
	HOOK type __tsan_atomic##bits##_exchange(volatile type *p, type v, int order)                            \
	{                                                                                                        \
		(void)order;                                                                                     \
		return __atomic_exchange_n(p, v, RELAXED);                                                       \
	}                                                                                                        \
	HOOK int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *e, type v, int s, int f)  \
	{                                                                                                        \
		(void)s;                                                                                         \
		(void)f;                                                                                         \
		return __atomic_compare_exchange_n(p, e, v, 0, RELAXED, RELAXED);                                \
	}                                                                                                        \
	HOOK int __tsan_atomic##bits##_compare_exchange_weak(volatile type *p, type *e, type v, int s, int f)    \
	{                                                                                                        \
		(void)s;                                                                                         \
		(void)f;                                                                                         \
		return __atomic_compare_exchange_n(p, e, v, 0, RELAXED, RELAXED);                                \
	}                                                                                                        \
	HOOK type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type e, type v, int s, int f)     \
	{                                                                                                        \
		(void)s;                                                                                         \
		(void)f;                                                                                         \
		__atomic_compare_exchange_n(p, &e, v, 0, RELAXED, RELAXED);                                      \
		return e;                                                                                        \
	}                                                                                                        \
	FETCH(bits, type, add)                                                                                   \
	FETCH(bits, type, sub)                                                                                   \
	FETCH(bits, type, and)                                                                                   \
	FETCH(bits, type, or)                                                                                    \
	FETCH(bits, type, xor)                                                                                   \
	FETCH(bits, type, nand)

ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

HOOK void __tsan_atomic_thread_fence(int order);
HOOK void __tsan_atomic_signal_fence(int order);
HOOK void __sanitizer_cov_trace_pc(void);

HOOK void __tsan_atomic_thread_fence(int order)
{
	(void)order;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

HOOK void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

HOOK void __sanitizer_cov_trace_pc(void)
{
	fl_cover_block(__builtin_return_address(0));
}
