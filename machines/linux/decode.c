/* SPDX-License-Identifier: MIT */
/*
 * Reads, writes and fetches told apart by decoding the instruction (Zydis).
 *
 * An instruction whose memory operands are all read reads; one that writes one of them (also after reading it) writes, as the
 * processor reports it. Where it reads one and writes another (movs, push of memory, call through memory) the operand
 * nearest to the fault decides; at the same distance the one that is read, since that comes first.
 *
 * What cannot be decoded counts as a read, which is never wrong for long: the page comes read-only, and the write faults
 * again, on a page that is mapped.
 *
 * No state, no locks.
 */
#include <Zydis/Zydis.h>

#include "linux/host.h"

static uint64_t reg_value(const struct user_regs_struct *r, ZydisRegister reg, uint64_t rip_next)
{
	switch (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg)) {
	case ZYDIS_REGISTER_RAX:
		return r->rax;
	case ZYDIS_REGISTER_RBX:
		return r->rbx;
	case ZYDIS_REGISTER_RCX:
		return r->rcx;
	case ZYDIS_REGISTER_RDX:
		return r->rdx;
	case ZYDIS_REGISTER_RSI:
		return r->rsi;
	case ZYDIS_REGISTER_RDI:
		return r->rdi;
	case ZYDIS_REGISTER_RBP:
		return r->rbp;
	case ZYDIS_REGISTER_RSP:
		return r->rsp;
	case ZYDIS_REGISTER_R8:
		return r->r8;
	case ZYDIS_REGISTER_R9:
		return r->r9;
	case ZYDIS_REGISTER_R10:
		return r->r10;
	case ZYDIS_REGISTER_R11:
		return r->r11;
	case ZYDIS_REGISTER_R12:
		return r->r12;
	case ZYDIS_REGISTER_R13:
		return r->r13;
	case ZYDIS_REGISTER_R14:
		return r->r14;
	case ZYDIS_REGISTER_R15:
		return r->r15;
	case ZYDIS_REGISTER_RIP:
		return rip_next;
	default:
		return 0;
	}
}

static uint64_t effective_address(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *op,
				  const struct user_regs_struct *r)
{
	uint64_t next = r->rip + in->length, ea;

	ea = reg_value(r, op->mem.base, next) + reg_value(r, op->mem.index, next) * op->mem.scale +
	     (uint64_t)(op->mem.disp.has_displacement ? op->mem.disp.value : 0);
	if (in->address_width == 32)
		ea &= UINT32_MAX;
	if (op->mem.segment == ZYDIS_REGISTER_FS)
		ea += r->fs_base;
	else if (op->mem.segment == ZYDIS_REGISTER_GS)
		ea += r->gs_base;
	return ea;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* The bytes at rip, as many of 15 as can be read. */
static size_t fetch(struct guest_thread *th, uint8_t code[15])
{
	return 15 - fl_copy_from_user_nofault(&th->task, code, fl_regs(th)->rip, 15);
}

enum fl_access fl_decode_access(struct guest_thread *th, fl_va addr)
{
	const struct user_regs_struct *regs = fl_regs(th);
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	uint64_t nearest = UINT64_MAX, d;
	enum fl_access access = FL_READ;
	ZydisDecodedInstruction in;
	ZydisDecoder decoder;
	uint8_t code[15], i;
	size_t n;

	/* A fetch faults at the instruction itself, or at its second page. */
	if (addr == regs->rip || (addr > regs->rip && addr - regs->rip < 15 && !(addr & 0xfff)))
		return FL_EXEC;
	n = fetch(th, code);
	if (!n || !ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ||
	    !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, n, &in, op)))
		return FL_READ;
	for (i = 0; i < in.operand_count; i++) {
		bool writes = (op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;

		if (op[i].type != ZYDIS_OPERAND_TYPE_MEMORY || op[i].mem.type == ZYDIS_MEMOP_TYPE_AGEN ||
		    !op[i].actions)
			continue;
		d = distance(effective_address(&in, &op[i], regs), addr);
		if (d < nearest || (d == nearest && !writes)) {
			nearest = d;
			access = writes ? FL_WRITE : FL_READ;
		}
	}
	return access;
}
