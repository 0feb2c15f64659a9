/* SPDX-License-Identifier: MIT */
/*
 * The atomics of the fibers port. Everything runs on one OS thread, so each access is
 * a plain one; but each is also a place where another fiber may run, and where an
 * explorer may take the access over.
 *
 *   site    one place in the source that makes an access: what, how, and where. Each
 *           macro has one static site, so an access that is watched costs one pointer.
 *   watched fl_port_watched is nonzero while pre-emption or hooks are on. When it is
 *           zero an access costs one branch, which is always taken the same way.
 *
 * The same sizes are allowed as in the threads port, and arguments are evaluated once.
 *
 * No locks: only one fiber runs at a time.
 */
#ifndef FAULTLINE_FL_PORT_IMPL_H
#define FAULTLINE_FL_PORT_IMPL_H

#define FL_PORT_NAME "fibers"

enum fl_access_kind {
	FL_ACCESS_LOAD,
	FL_ACCESS_STORE,
	FL_ACCESS_RMW,
	FL_ACCESS_FENCE, /* of no object: the address is NULL and the size 0 */
	/* These are points inside the port: the size is 0, and there is no file. */
	FL_ACCESS_LOCK,
	FL_ACCESS_TRYLOCK,
	FL_ACCESS_UNLOCK,
	FL_ACCESS_PARK,
	FL_ACCESS_UNPARK,
	FL_ACCESS_BEGIN, /* of an outermost section; no address */
	FL_ACCESS_END,   /* of it */
	FL_ACCESS_RCU_CALL,
	FL_ACCESS_CALLBACK, /* before a callback, in the fiber that runs them: under a driver alone */
	FL_ACCESS_BARRIER,  /* fl_rcu_barrier: under a driver alone */
	FL_ACCESS_COPY,     /* the address is the destination */
	FL_ACCESS_YIELD,
	FL_ACCESS_COUNT, /* fl_count */
	FL_ACCESS_OTHER, /* a driver's own */
};

enum fl_access_order {
	FL_ORDER_RELAXED,
	FL_ORDER_ACQUIRE,
	FL_ORDER_RELEASE,
	FL_ORDER_ACQ_REL,
	FL_ORDER_SEQ,
};

struct fl_access_site {
	const char *file; /* NULL: a point of the port itself */
	const char *what; /* the source text of the object's address */
	uint32_t line;
	uint8_t size;  /* 4, or the size of a pointer (guest memory: 1, 2 and 8 as well), or 0 */
	uint8_t kind;  /* enum fl_access_kind */
	uint8_t order; /* enum fl_access_order */
};

extern uint32_t fl_port_watched;

/*
 * What a watched access calls. A load and a store are done by these functions (or by
 * the hooks that were installed); before a read-modify-write or a fence, fl_port_on_rmw
 * is called, and then it is done on memory itself.
 */
void fl_port_on_load(const volatile void *p, void *value, const struct fl_access_site *site);
void fl_port_on_store(volatile void *p, const void *value, const struct fl_access_site *site);
void fl_port_on_rmw(volatile void *p, const struct fl_access_site *site);

#define FL_PORT_SITE(bytes, text, access, ordering)     \
	static const struct fl_access_site fl_site_ = { \
		.file = __FILE__,                       \
		.what = text,                           \
		.line = __LINE__,                       \
		.size = (bytes),                        \
		.kind = (access),                       \
		.order = (ordering),                    \
	}
#define FL_PORT_WORD(p)                                                       \
	FL_STATIC_ASSERT(sizeof(*(p)) == 4 || sizeof(*(p)) == sizeof(void *), \
			 "atomics are for objects of 4 bytes or of a pointer's size")

#define FL_PORT_LOAD(p, text, ordering)              \
	__extension__({                              \
		FL_PORT_WORD(p);                     \
		FL_PORT_LOAD_ANY(p, text, ordering); \
	})
#define FL_PORT_LOAD_ANY(p, text, ordering)                                 \
	__extension__({                                                     \
		FL_PORT_SITE(sizeof(*(p)), text, FL_ACCESS_LOAD, ordering); \
		__typeof__(&*(p)) fl_p_ = (p);                              \
		__typeof__(__atomic_load_n((p), __ATOMIC_RELAXED)) fl_v_;   \
		if (FL_UNLIKELY(fl_port_watched))                           \
			fl_port_on_load(fl_p_, &fl_v_, &fl_site_);          \
		else                                                        \
			fl_v_ = __atomic_load_n(fl_p_, __ATOMIC_RELAXED);   \
		fl_v_;                                                      \
	})
#define FL_PORT_STORE(p, v, text, ordering)              \
	__extension__({                                  \
		FL_PORT_WORD(p);                         \
		FL_PORT_STORE_ANY(p, v, text, ordering); \
	})
#define FL_PORT_STORE_ANY(p, v, text, ordering)                              \
	__extension__({                                                      \
		FL_PORT_SITE(sizeof(*(p)), text, FL_ACCESS_STORE, ordering); \
		__typeof__(&*(p)) fl_p_ = (p);                               \
		__typeof__(*(p)) fl_v_ = (v);                                \
		if (FL_UNLIKELY(fl_port_watched))                            \
			fl_port_on_store(fl_p_, &fl_v_, &fl_site_);          \
		else                                                         \
			__atomic_store_n(fl_p_, fl_v_, __ATOMIC_RELAXED);    \
	})
/* The value is evaluated before the scheduling point, so that nothing comes between that and op. */
#define FL_PORT_RMW(p, value, text, ordering, op)                             \
	__extension__({                                                       \
		FL_PORT_WORD(p);                                              \
		FL_PORT_RMW_ANY(p, value, text, FL_ACCESS_RMW, ordering, op); \
	})
#define FL_PORT_RMW_ANY(p, value, text, access, ordering, op)       \
	__extension__({                                             \
		FL_PORT_SITE(sizeof(*(p)), text, access, ordering); \
		__typeof__(&*(p)) fl_p_ = (p);                      \
		__typeof__(*(p)) fl_v_ = (value);                   \
		if (FL_UNLIKELY(fl_port_watched))                   \
			fl_port_on_rmw(fl_p_, &fl_site_);           \
		op;                                                 \
	})

#define fl_load(p) FL_PORT_LOAD(p, #p, FL_ORDER_RELAXED)
#define fl_load_acquire(p) FL_PORT_LOAD(p, #p, FL_ORDER_ACQUIRE)
#define fl_load_seq(p) FL_PORT_LOAD(p, #p, FL_ORDER_SEQ)

#define fl_store(p, v) FL_PORT_STORE(p, v, #p, FL_ORDER_RELAXED)
#define fl_store_release(p, v) FL_PORT_STORE(p, v, #p, FL_ORDER_RELEASE)
#define fl_store_seq(p, v) FL_PORT_STORE(p, v, #p, FL_ORDER_SEQ)

#define fl_xchg(p, v) FL_PORT_RMW(p, v, #p, FL_ORDER_SEQ, __atomic_exchange_n(fl_p_, fl_v_, __ATOMIC_RELAXED))
#define fl_cas(p, expected, v)              \
	FL_PORT_RMW(p, v, #p, FL_ORDER_SEQ, \
		    __atomic_compare_exchange_n(fl_p_, (expected), fl_v_, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
#define fl_add(p, n) \
	FL_PORT_RMW(p, (__typeof__(*(p)))(n), #p, FL_ORDER_ACQ_REL, __atomic_add_fetch(fl_p_, fl_v_, __ATOMIC_RELAXED))
#define fl_or(p, bits)                                                 \
	FL_PORT_RMW(p, (__typeof__(*(p)))(bits), #p, FL_ORDER_ACQ_REL, \
		    __atomic_fetch_or(fl_p_, fl_v_, __ATOMIC_RELAXED))
#define fl_and(p, bits)                                                \
	FL_PORT_RMW(p, (__typeof__(*(p)))(bits), #p, FL_ORDER_ACQ_REL, \
		    __atomic_fetch_and(fl_p_, fl_v_, __ATOMIC_RELAXED))
#define fl_count(p, n)                                                                           \
	((void)__extension__({                                                                   \
		FL_PORT_WORD(p);                                                                 \
		FL_PORT_RMW_ANY(p, (__typeof__(*(p)))(n), #p, FL_ACCESS_COUNT, FL_ORDER_RELAXED, \
				__atomic_add_fetch(fl_p_, fl_v_, __ATOMIC_RELAXED));             \
	}))
#define fl_guest_load(p) FL_PORT_LOAD_ANY(p, #p, FL_ORDER_RELAXED)
#define fl_guest_store(p, v) FL_PORT_STORE_ANY(p, v, #p, FL_ORDER_RELAXED)
#define fl_guest_add(p, n)                                                             \
	FL_PORT_RMW_ANY(p, (__typeof__(*(p)))(n), #p, FL_ACCESS_RMW, FL_ORDER_ACQ_REL, \
			__atomic_add_fetch(fl_p_, fl_v_, __ATOMIC_RELAXED))
#define fl_fence()                                                  \
	__extension__({                                             \
		FL_PORT_SITE(0, "", FL_ACCESS_FENCE, FL_ORDER_SEQ); \
		if (FL_UNLIKELY(fl_port_watched))                   \
			fl_port_on_rmw(NULL, &fl_site_);            \
		__atomic_signal_fence(__ATOMIC_SEQ_CST);            \
	})

#endif
