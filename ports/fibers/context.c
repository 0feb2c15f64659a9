/* SPDX-License-Identifier: MIT */
/*
 * Contexts: how control goes from one stack to another, and how the sanitizers are told.
 *
 * No locks: one OS thread.
 */
#define _GNU_SOURCE
#include "fiber_int.h"

#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif

#ifdef ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Who was left last: the one that arrives tells AddressSanitizer where that one's stack is. */
static struct fl_context *left;

#ifdef FL_FIBER_UCONTEXT

static void start(struct fl_context *c, void (*entry)(void))
{
	if (getcontext(&c->uc))
		fl_fiber_panic("getcontext failed");
	c->uc.uc_stack.ss_sp = (void *)(uintptr_t)c->stack;
	c->uc.uc_stack.ss_size = c->size;
	c->uc.uc_link = NULL;
	makecontext(&c->uc, entry, 0);
}

static void jump(struct fl_context *from, struct fl_context *to)
{
	if (swapcontext(&from->uc, &to->uc))
		fl_fiber_panic("swapcontext failed");
}

#else

void fl_switch_stack(void **save_sp, void *load_sp) __attribute__((visibility("hidden")));

/* The frame that switch.S pops. entry finds the stack as after a call: 8 bytes below a multiple of 16. */
static void start(struct fl_context *c, void (*entry)(void))
{
	uintptr_t top = ((uintptr_t)c->stack + c->size) & ~(uintptr_t)15;
	uint64_t *sp = (uint64_t *)top;
	uint32_t mxcsr;
	uint16_t control;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(control));
	*--sp = 0; /* where entry would return to */
	*--sp = (uint64_t)(uintptr_t)entry;
	for (int i = 0; i < 6; i++)
		*--sp = 0;
	*--sp = (uint64_t)control << 32 | mxcsr;
	c->sp = sp;
}

static void jump(struct fl_context *from, struct fl_context *to)
{
	fl_switch_stack(&from->sp, to->sp);
}

#endif

void fl_context_init(struct fl_context *c, void *stack, size_t size, void (*entry)(void))
{
	c->stack = stack;
	c->size = size;
	c->fake_stack = NULL;
#ifdef ASAN
	ASAN_UNPOISON_MEMORY_REGION(stack, size); /* the last user may have left in mid-function */
#endif
#ifdef TSAN
	c->tsan = __tsan_create_fiber(0);
#endif
	start(c, entry);
}

void *fl_context_live(const struct fl_context *c, size_t *n)
{
#ifdef FL_FIBER_UCONTEXT
	char *sp = (char *)(uintptr_t)c->stack;
#else
	char *sp = c->sp;
#endif
	*n = (size_t)((const char *)c->stack + c->size - sp);
	return sp;
}

void fl_context_open(const struct fl_context *c)
{
#ifdef ASAN
	ASAN_UNPOISON_MEMORY_REGION(c->stack, c->size);
#else
	(void)c;
#endif
}

void fl_context_fini(struct fl_context *c)
{
#ifdef TSAN
	__tsan_destroy_fiber(c->tsan);
#endif
	c->tsan = NULL;
}

void fl_context_arrive(struct fl_context *c)
{
#ifdef ASAN
	const void *stack;
	size_t size;

	__sanitizer_finish_switch_fiber(c->fake_stack, &stack, &size);
	if (!left->stack) {
		left->stack = stack;
		left->size = size;
	}
#else
	(void)c;
#endif
}

void fl_context_switch(struct fl_context *from, struct fl_context *to, bool ends)
{
	left = from;
#ifdef ASAN
	__sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->stack, to->size);
#else
	(void)ends;
#endif
#ifdef TSAN
	if (!from->tsan)
		from->tsan = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
	jump(from, to);
	fl_context_arrive(from);
}
