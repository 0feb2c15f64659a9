/* SPDX-License-Identifier: MIT */
/*
 * The atomics of the threads port: the compiler's builtins, inline.
 *
 * Every macro takes a pointer to an object of 4 bytes or of the size of a pointer,
 * and refuses any other size at compile time. So no wider atomic, and no call into a
 * library of atomics, can slip into the engine on a 32-bit target. Stores convert
 * their value as an assignment does, warnings included. fl_add, fl_or and fl_and
 * convert theirs silently, so that fl_add(&count, -1) and fl_and(&flags, ~BIT) can be
 * said of unsigned words. Arguments are evaluated once.
 *
 * No locks: there is no state here.
 */
#ifndef FAULTLINE_FL_PORT_IMPL_H
#define FAULTLINE_FL_PORT_IMPL_H

#define FL_PORT_NAME "threads"

#if defined(__SANITIZE_THREAD__)
#define FL_PORT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FL_PORT_TSAN 1
#endif
#endif

#define FL_PORT_WORD(p)                                                       \
	FL_STATIC_ASSERT(sizeof(*(p)) == 4 || sizeof(*(p)) == sizeof(void *), \
			 "atomics are for objects of 4 bytes or of a pointer's size")

#define FL_PORT_LOAD(p, order)               \
	__extension__({                      \
		FL_PORT_WORD(p);             \
		__atomic_load_n((p), order); \
	})
#define FL_PORT_STORE(p, v, order)                 \
	__extension__({                            \
		FL_PORT_WORD(p);                   \
		__atomic_store_n((p), (v), order); \
	})

#define fl_load(p) FL_PORT_LOAD(p, __ATOMIC_RELAXED)
#define fl_load_acquire(p) FL_PORT_LOAD(p, __ATOMIC_ACQUIRE)
#define fl_load_seq(p) FL_PORT_LOAD(p, __ATOMIC_SEQ_CST)

#define fl_store(p, v) FL_PORT_STORE(p, v, __ATOMIC_RELAXED)
#define fl_store_release(p, v) FL_PORT_STORE(p, v, __ATOMIC_RELEASE)
#define fl_store_seq(p, v) FL_PORT_STORE(p, v, __ATOMIC_SEQ_CST)

#define fl_xchg(p, v)                                            \
	__extension__({                                          \
		FL_PORT_WORD(p);                                 \
		__atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST); \
	})
#define fl_cas(p, expected, v)                                                                            \
	__extension__({                                                                                   \
		FL_PORT_WORD(p);                                                                          \
		__atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	})
#define fl_add(p, n)                                                              \
	__extension__({                                                           \
		FL_PORT_WORD(p);                                                  \
		__atomic_add_fetch((p), (__typeof__(*(p)))(n), __ATOMIC_ACQ_REL); \
	})
#define fl_or(p, bits)                                                              \
	__extension__({                                                             \
		FL_PORT_WORD(p);                                                    \
		__atomic_fetch_or((p), (__typeof__(*(p)))(bits), __ATOMIC_ACQ_REL); \
	})
#define fl_and(p, bits)                                                              \
	__extension__({                                                              \
		FL_PORT_WORD(p);                                                     \
		__atomic_fetch_and((p), (__typeof__(*(p)))(bits), __ATOMIC_ACQ_REL); \
	})

#define fl_count(p, n)                                                            \
	((void)__extension__({                                                    \
		FL_PORT_WORD(p);                                                  \
		__atomic_add_fetch((p), (__typeof__(*(p)))(n), __ATOMIC_RELAXED); \
	}))
#define fl_guest_load(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define fl_guest_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define fl_guest_add(p, n) __atomic_add_fetch((p), (__typeof__(*(p)))(n), __ATOMIC_ACQ_REL)

/* ThreadSanitizer does not understand fences; the port gives it a read-modify-write instead. */
#ifdef FL_PORT_TSAN
void fl_port_fence(void);
#define fl_fence() fl_port_fence()
#else
#define fl_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

#endif
