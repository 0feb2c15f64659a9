/* SPDX-License-Identifier: MIT */
/*
 * Accesses to memory, and the fetch of one instruction; each can be left by a signal handler.
 *
 * Each access is a function of a few instructions in 16 bytes, and the access to memory is the first of them (of store16: the
 * second). Nothing is on its stack but the return address.
 *
 * No locks: it has no state.
 */
#include "explore/raw/raw.h"

#pragma GCC visibility push(hidden)
extern const char fl_raw_access_begin[], fl_raw_access_end[], fl_raw_fetch_back[];
#pragma GCC visibility pop

#define ACCESS(name, text) ".globl " name "\n.hidden " name "\n.balign 16\n" name ":\n " text "\n ret\n"

__asm__(".pushsection .text\n"
	".balign 16\n"
	"fl_raw_access_begin:\n"                                                               /* */
	ACCESS("fl_raw_load1", "movzbl (%rdi),%eax")                                           /* */
	ACCESS("fl_raw_load2", "movzwl (%rdi),%eax")                                           /* */
	ACCESS("fl_raw_load4", "movl (%rdi),%eax")                                             /* */
	ACCESS("fl_raw_load8", "movq (%rdi),%rax")                                             /* */
	ACCESS("fl_raw_load16", "movdqu (%rdi),%xmm0\n movdqu %xmm0,(%rsi)\n movq %xmm0,%rax") /* */
	ACCESS("fl_raw_store1", "movb %sil,(%rdi)\n xorl %eax,%eax")                           /* */
	ACCESS("fl_raw_store2", "movw %si,(%rdi)\n xorl %eax,%eax")                            /* */
	ACCESS("fl_raw_store4", "movl %esi,(%rdi)\n xorl %eax,%eax")                           /* */
	ACCESS("fl_raw_store8", "movq %rsi,(%rdi)\n xorl %eax,%eax")                           /* */
	ACCESS("fl_raw_store16", "movdqu (%rsi),%xmm0\n movdqu %xmm0,(%rdi)\n xorl %eax,%eax") /* */
	ACCESS("fl_raw_add4", "lock xaddl %esi,(%rdi)\n movl %esi,%eax")                       /* */
	ACCESS("fl_raw_add8", "lock xaddq %rsi,(%rdi)\n movq %rsi,%rax")                       /* */
	".balign 16\n"
	"fl_raw_access_end:\n"
	".globl fl_raw_execute\n.hidden fl_raw_execute\n"
	"fl_raw_execute:\n"
	" pushq %rbx\n pushq %rbp\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
	" movq %rsp,(%rdx)\n"
	" pushq %rdi\n"
	" pushfq\n"
	" orl $0x100,(%rsp)\n"
	" movq %rsi,%rax\n movq %rsi,%rbx\n movq %rsi,%rcx\n movq %rsi,%rdx\n movq %rsi,%rdi\n movq %rsi,%rbp\n"
	" movq %rsi,%r8\n movq %rsi,%r9\n movq %rsi,%r10\n movq %rsi,%r11\n"
	" movq %rsi,%r12\n movq %rsi,%r13\n movq %rsi,%r14\n movq %rsi,%r15\n"
	" popfq\n"
	" ret\n" /* to what is fetched; the first trap comes before it */
	"fl_raw_fetch_back:\n"
	" popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbp\n popq %rbx\n"
	" ret\n"
	".popsection\n");

bool fl_raw_in_access(uint64_t rip)
{
	return rip >= (uint64_t)fl_raw_access_begin && rip < (uint64_t)fl_raw_access_end;
}

void fl_raw_leave_access(ucontext_t *u, uint64_t value)
{
	greg_t *r = u->uc_mcontext.gregs;

	r[REG_RAX] = (greg_t)value;
	r[REG_RIP] = *(greg_t *)r[REG_RSP];
	r[REG_RSP] += 8;
}

void fl_raw_leave_fetch(ucontext_t *u, struct fl_raw_fetch *f, uint64_t value)
{
	greg_t *r = u->uc_mcontext.gregs;

	r[REG_RAX] = (greg_t)value;
	r[REG_RIP] = (greg_t)(uint64_t)fl_raw_fetch_back;
	r[REG_RSP] = (greg_t)f->sp;
	r[REG_EFL] = 0x202;
	f->sp = 0;
}
