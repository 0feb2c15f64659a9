/* SPDX-License-Identifier: MIT */
/*
 * The only place that knows about compiler extensions.
 *
 * Locking annotations are checked by clang -Wthread-safety and empty elsewhere:
 * FL_REQUIRES(l)     the caller holds l on entry and on return
 * FL_ACQUIRES(l)     returns with l held
 * FL_RELEASES(l)     returns with l dropped
 * FL_EXCLUDES(l)     the caller must not hold l
 */
#ifndef FAULTLINE_COMPILER_H
#define FAULTLINE_COMPILER_H

#define FL_MUST_CHECK __attribute__((warn_unused_result))
#define FL_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define FL_NORETURN __attribute__((noreturn))
#define FL_UNUSED __attribute__((unused))
#define FL_INLINE static inline __attribute__((always_inline))
#define FL_NOINLINE __attribute__((noinline))
#define FL_LIKELY(x) __builtin_expect(!!(x), 1)
#define FL_UNLIKELY(x) __builtin_expect(!!(x), 0)
#ifdef __cplusplus
#define FL_STATIC_ASSERT(e, msg) static_assert(e, msg)
/* Around the declarations of every public header, so that C++ links with them. */
#define FL_BEGIN_C extern "C" {
#define FL_END_C }
#else
#define FL_STATIC_ASSERT(e, msg) _Static_assert(e, msg)
#define FL_BEGIN_C
#define FL_END_C
#endif
#define FL_CACHELINE 64
#define FL_ALIGNED(n) __attribute__((aligned(n)))
#define FL_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
/* Number of the lowest bit that is set in a uint32_t other than 0. */
#define FL_LOWEST_BIT(w) ((unsigned)__builtin_ctz(w))
#define FL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#if defined(__clang__)
#define FL_TSA(x) __attribute__((x))
#else
#define FL_TSA(x)
#endif
#define FL_CAPABILITY FL_TSA(capability("mutex"))
#define FL_REQUIRES(l) FL_TSA(requires_capability(l))
#define FL_ACQUIRES(l) FL_TSA(acquire_capability(l))
#define FL_RELEASES(l) FL_TSA(release_capability(l))
#define FL_TRY_ACQUIRES(ok, l) FL_TSA(try_acquire_capability(ok, l))
#define FL_EXCLUDES(l) FL_TSA(locks_excluded(l))
#define FL_NO_LOCK_CHECK FL_TSA(no_thread_safety_analysis)

/* FL_ASSERT: cheap, on unless NDEBUG. Bad input is an errno, never an assert. */
#ifdef NDEBUG
#define FL_ASSERT(e) ((void)sizeof(!(e)))
#else
#define FL_ASSERT(e) ((e) ? (void)0 : fl_port_panic(__FILE__, __LINE__, #e))
#endif
FL_BEGIN_C
FL_NORETURN void fl_port_panic(const char *file, int line, const char *what);
FL_END_C

#endif
