/* SPDX-License-Identifier: MIT */
/*
 * The seccomp filter, in classic BPF by hand: it must compare pointers with the zones by their upper halves and let calls
 * from the hidden code page pass, which no rule of libseccomp can say.
 *
 * First a binary search by call number, which reads nothing but the number and the architecture, so that the kernel
 * precomputes the calls that always pass. Then one block for each way to treat a call; a block for pointers tests each
 * pointer argument. Only what would stop looks at where the call comes from.
 *
 * Built before the fork, installed in the child. No locks.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/host.h"

#define MAX_INSNS 4096
#define MAX_RUNS (FL_SYS_MAX + 1)
#define MAX_BLOCKS 300

static struct sock_filter insns[MAX_INSNS];
static unsigned count;

/* Blocks: what is done with a call. Key: when << 8 | ptr_mask. */
static struct {
	unsigned key, at;
} blocks[MAX_BLOCKS];
static unsigned nblocks;

/* Jumps whose target block is not placed yet. */
static struct {
	unsigned insn, key;
} fixups[MAX_RUNS];
static unsigned nfixups;

static struct {
	unsigned first, key;
} runs[MAX_RUNS];

static unsigned emit(uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (count < MAX_INSNS)
		insns[count] = (struct sock_filter){code, jt, jf, k};
	return count++;
}

static void load(size_t offset)
{
	emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static void ret(uint32_t value)
{
	emit(BPF_RET | BPF_K, 0, 0, value);
}

/* Search in runs [lo, hi). */
static void search(unsigned lo, unsigned hi)
{
	unsigned mid = lo + (hi - lo) / 2, jump;

	if (hi - lo == 1) {
		fixups[nfixups].key = runs[lo].key;
		fixups[nfixups++].insn = emit(BPF_JMP | BPF_JA, 0, 0, 0);
		return;
	}
	emit(BPF_JMP | BPF_JGE | BPF_K, 0, 1, runs[mid].first);
	jump = emit(BPF_JMP | BPF_JA, 0, 0, 0);
	search(lo, mid);
	if (jump < MAX_INSNS)
		insns[jump].k = count - jump - 1;
	search(mid, hi);
}

static void trace_unless_hidden(void)
{
	load(offsetof(struct seccomp_data, instruction_pointer) + 4);
	emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, (uint32_t)(FL_HIDDEN_CODE >> 32));
	load(offsetof(struct seccomp_data, instruction_pointer));
	emit(BPF_JMP | BPF_JGE | BPF_K, 1, 0, (uint32_t)(FL_HIDDEN_CODE + FL_PAGE));
	ret(SECCOMP_RET_ALLOW);
	ret(SECCOMP_RET_TRACE);
}

/* Fall through when argument n is in a host zone; else go to the trace block at the end of the block's arguments. */
static void test_pointer(unsigned n, unsigned remaining)
{
	size_t at = offsetof(struct seccomp_data, args) + 8 * n;
	uint8_t after = (uint8_t)(7 * remaining + 1); /* from the last instruction of this test to the trace */

	load(at + 4);
	emit(BPF_JMP | BPF_JGE | BPF_K, 5, 0, (uint32_t)(FL_HOST_TOP_START >> 32));
	emit(BPF_JMP | BPF_JGE | BPF_K, (uint8_t)(after + 4), 0, (uint32_t)(FL_HOST_PIE_END >> 32));
	emit(BPF_JMP | BPF_JGE | BPF_K, 3, 0, (uint32_t)(FL_HOST_PIE_START >> 32));
	emit(BPF_JMP | BPF_JGE | BPF_K, (uint8_t)(after + 2), 0, 1);
	load(at);
	emit(BPF_JMP | BPF_JGE | BPF_K, after, 0, (uint32_t)FL_HOST_LOW_END);
}

static void block(unsigned key)
{
	unsigned left = (unsigned)__builtin_popcount(key & 0xff);

	switch ((enum fl_sys_when)(key >> 8)) {
	case FL_SYS_NEVER:
		ret(SECCOMP_RET_ALLOW);
		break;
	case FL_SYS_ENOSYS:
		ret(SECCOMP_RET_ERRNO | FL_ENOSYS);
		break;
	case FL_SYS_EPERM:
		ret(SECCOMP_RET_ERRNO | FL_EPERM);
		break;
	case FL_SYS_IOCTL:
		load(offsetof(struct seccomp_data, args) + 8);
		emit(BPF_ALU | BPF_RSH | BPF_K, 0, 0, 8);
		emit(BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xff);
		/* To the trace block, which stands behind the pointers' tests and their way out. */
		emit(BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)(7 * left + 1), 0, FL_UFFD_IOCTL_TYPE);
		/* fall through */
	case FL_SYS_POINTER:
		for (unsigned n = 0; n < 6; n++) {
			if (key & (1u << n))
				test_pointer(n, --left);
		}
		ret(SECCOMP_RET_ALLOW);
		trace_unless_hidden();
		break;
	case FL_SYS_ALWAYS:
		trace_unless_hidden();
		break;
	}
}

static unsigned block_at(unsigned key)
{
	for (unsigned i = 0; i < nblocks; i++) {
		if (blocks[i].key == key)
			return blocks[i].at;
	}
	if (nblocks < MAX_BLOCKS)
		blocks[nblocks++].key = key;
	blocks[nblocks - 1].at = count;
	block(key);
	return blocks[nblocks - 1].at;
}

static unsigned make_runs(void)
{
	unsigned n = 0;

	for (unsigned nr = 0; nr < FL_SYS_MAX; nr++) {
		uint8_t mask = 0;
		enum fl_sys_when when = fl_sys_when(nr, &mask);
		unsigned key = (unsigned)when << 8 | (when == FL_SYS_POINTER || when == FL_SYS_IOCTL ? mask : 0);

		if (!n || runs[n - 1].key != key) {
			runs[n].first = nr;
			runs[n++].key = key;
		}
	}
	return n;
}

int fl_filter_build(void)
{
	count = nblocks = nfixups = 0;
	load(offsetof(struct seccomp_data, arch));
	/* Calls of the 32-bit ABIs would need a table of their own: they do not exist here. */
	emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
	ret(SECCOMP_RET_ERRNO | FL_ENOSYS);
	load(offsetof(struct seccomp_data, nr));
	emit(BPF_JMP | BPF_JGE | BPF_K, 0, 1, FL_SYS_MAX);
	ret(SECCOMP_RET_ERRNO | FL_ENOSYS);
	search(0, make_runs());
	for (unsigned i = 0; i < nfixups; i++) {
		unsigned at = block_at(fixups[i].key);

		if (fixups[i].insn < MAX_INSNS)
			insns[fixups[i].insn].k = at - fixups[i].insn - 1;
	}
	return count <= MAX_INSNS ? 0 : -FL_ENOMEM;
}

int fl_filter_install(void)
{
	struct sock_fprog prog = {.len = (unsigned short)count, .filter = insns};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		return -errno;
	return 0;
}
