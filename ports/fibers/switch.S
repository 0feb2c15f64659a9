/* SPDX-License-Identifier: MIT */
/*
 * From one stack to another on x86-64, System V ABI. Elsewhere context.c uses ucontext.
 *
 * void fl_switch_stack(void **save_sp, void *load_sp)
 *
 * A stack that is left holds, from its stack pointer up: mxcsr (4 bytes), x87 control word
 * (2, and 2 unused), r15, r14, r13, r12, rbx, rbp, return address. All else is the caller's to save.
 */
#if defined(__x86_64__) && !defined(__ILP32__) && !defined(FL_FIBER_UCONTEXT)
	.text
	.globl	fl_switch_stack
	.hidden	fl_switch_stack
	.type	fl_switch_stack, @function
	.balign	16
fl_switch_stack:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	popq	%r14
	.cfi_adjust_cfa_offset -8
	popq	%r13
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	fl_switch_stack, . - fl_switch_stack
#endif
#if defined(__linux__) && defined(__ELF__)
	.section .note.GNU-stack, "", %progbits
#endif
