/* SPDX-License-Identifier: MIT */
/*
 * The hidden code page: copied to one page of the memory file, mapped read and execute at FL_HIDDEN_CODE in every guest.
 *
 *   0    syscall; int3     where guest threads make calls on the supervisor's order
 *   16   the agent's loop: r15 is its control page (struct fl_ctl in host.h), r14d the last request it has done.
 *        It has no stack and touches no memory but the control page.
 */
	.section .rodata
	.balign 16
	.globl fl_blob_start, fl_blob_end
fl_blob_start:
	syscall
	int3
	.balign 16
1:	/* Sleep until request differs from what is done. */
	mov	(%r15), %eax
	cmp	%r14d, %eax
	jne	2f
	mov	$202, %eax		/* futex */
	mov	%r15, %rdi
	xor	%esi, %esi		/* FUTEX_WAIT */
	mov	%r14d, %edx
	xor	%r10d, %r10d
	syscall
	jmp	1b
2:	mov	%eax, %r14d
	mov	8(%r15), %r13d		/* n */
	lea	16(%r15), %rbx		/* calls */
3:	test	%r13d, %r13d
	jz	4f
	mov	(%rbx), %rax
	mov	8(%rbx), %rdi
	mov	16(%rbx), %rsi
	mov	24(%rbx), %rdx
	mov	32(%rbx), %r10
	mov	40(%rbx), %r8
	mov	48(%rbx), %r9
	syscall
	mov	%rax, 56(%rbx)
	add	$64, %rbx
	dec	%r13d
	jmp	3b
4:	mov	%r14d, 4(%r15)		/* done */
	mov	$202, %eax
	lea	4(%r15), %rdi
	mov	$1, %esi		/* FUTEX_WAKE */
	mov	$1, %edx
	syscall
	jmp	1b
fl_blob_end:
	.section .note.GNU-stack, "", @progbits
