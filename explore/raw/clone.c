/* SPDX-License-Identifier: MIT */
/*
 * Threads and processes on a stack of ours.
 *
 * No locks: it has no state.
 */
#include "explore/raw/raw.h"

__asm__(".pushsection .text\n"
	".globl fl_raw_clone\n.hidden fl_raw_clone\n"
	"fl_raw_clone:\n"
	" subq $16,%rsi\n"
	" movq %rdx,(%rsi)\n"
	" movq %rcx,8(%rsi)\n"
	" movl $56,%eax\n" /* clone */
	" xorl %edx,%edx\n"
	" xorl %r10d,%r10d\n"
	" xorl %r8d,%r8d\n"
	" syscall\n"
	" testq %rax,%rax\n"
	" jnz 1f\n"
	" xorl %ebp,%ebp\n"
	" popq %rax\n"
	" popq %rdi\n"
	" call *%rax\n"
	" movl $60,%eax\n" /* exit */
	" xorl %edi,%edi\n"
	" syscall\n"
	"1: ret\n"
	".popsection\n");
