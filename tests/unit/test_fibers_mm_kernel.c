/* SPDX-License-Identifier: MIT */
/*
 * The memory calls held against the kernel of this machine: random calls with fixed addresses are made to both, and
 * after each one the results, the mappings with all their flags, and the bytes that are read must agree.
 *
 * Each sequence runs in a process of its own; where it forks, it goes on in the child on both sides. It depends on a
 * number alone:
 * FL_SCHEDULE=<number> runs that one. Skipped on kernels before 6.17, whose mremap and madvise answer otherwise.
 *
 * Left out, because the kernel leaves traces there that nobody can want: MREMAP_DONTUNMAP, which clears flags without
 * merging; and mremap of registered mappings, which drops the registration of neighbours that they merge with.
 *
 * No locks: one thread.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "concurrent.h"
#include "mm_support.h"

#define WINDOW ((fl_va)0x20000000) /* both use it: nothing of this program is there */
#define SPAN 48u
#define STEPS 60u
#define SEQUENCES 200
#define MAX_FORKS 3
#define MAX_MAPS 200
#define MAX_ADVICE 32

struct map {
	fl_va start, end;
	uint64_t flags;
};

struct call {
	fl_va addr;
	uint64_t len;
	long host, engine; /* results */
	char text[96];
};

static struct world w;
static struct fl_mm *kept[MAX_FORKS];
static unsigned forks;
static uint64_t seed;
static struct call history[STEPS];
static int advice[MAX_ADVICE];
static unsigned advices;
static sigjmp_buf refused;

static unsigned below(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* Past the C library, in which a sanitizer may have an opinion of its own. */
static long host(long number, fl_va a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	long r = syscall(number, a, b, c, d, e, 0);

	return r == -1 ? -errno : r;
}

static const struct {
	char name[3];
	uint64_t flag;
} vm_flags[] = {
	{"rd", FL_VM_READ},        {"wr", FL_VM_WRITE},       {"ex", FL_VM_EXEC},       {"sh", FL_VM_SHARED},
	{"mr", FL_VM_MAYREAD},     {"mw", FL_VM_MAYWRITE},    {"me", FL_VM_MAYEXEC},    {"gd", FL_VM_GROWSDOWN},
	{"lo", FL_VM_LOCKED},      {"lf", FL_VM_LOCKONFAULT}, {"sr", FL_VM_SEQ_READ},   {"rr", FL_VM_RAND_READ},
	{"dc", FL_VM_DONTCOPY},    {"ac", FL_VM_ACCOUNT},     {"nr", FL_VM_NORESERVE},  {"wf", FL_VM_WIPEONFORK},
	{"dd", FL_VM_DONTDUMP},    {"hg", FL_VM_HUGEPAGE},    {"nh", FL_VM_NOHUGEPAGE}, {"mg", FL_VM_MERGEABLE},
	{"gu", FL_VM_MAYBE_GUARD},
};

/* A flag that the engine has no counterpart of (soft-dirty) does not tell mappings apart either. */
static uint64_t parse_flags(char *text)
{
	uint64_t flags = 0;

	for (char *word = strtok(text, " \n"); word; word = strtok(NULL, " \n")) {
		for (size_t i = 0; i < sizeof(vm_flags) / sizeof(*vm_flags); i++) {
			if (!strcmp(word, vm_flags[i].name))
				flags |= vm_flags[i].flag;
		}
	}
	return flags;
}

static unsigned host_maps(struct map *m)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long long start, end;
	char line[512], rights[5];
	bool inside = false;
	unsigned n = 0;

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx %4s", &start, &end, rights) == 3) {
			inside = start >= WINDOW && start < WINDOW + 4 * SPAN * PAGE;
			if (inside && n < MAX_MAPS)
				m[n++] = (struct map){start, end, 0};
		} else if (inside && !strncmp(line, "VmFlags: ", 9)) {
			m[n - 1].flags = parse_flags(line + 9);
		}
	}
	fclose(f);
	return n;
}

static unsigned engine_maps(struct map *m)
{
	struct fl_vma_info v;
	unsigned n = 0;

	for (fl_va va = 0; n < MAX_MAPS && fl_mm_next_vma(w.mm, va, &v); va = v.end)
		m[n++] = (struct map){v.start, v.end, v.vm_flags};
	return n;
}

static void show(const char *whose, const struct map *m, unsigned n)
{
	fprintf(stderr, "%s:\n", whose);
	for (unsigned i = 0; i < n; i++) {
		fprintf(stderr, "  %3llu-%3llu", (unsigned long long)(m[i].start - WINDOW) / PAGE,
			(unsigned long long)(m[i].end - WINDOW) / PAGE);
		for (size_t k = 0; k < sizeof(vm_flags) / sizeof(*vm_flags); k++)
			fprintf(stderr, "%s%s", m[i].flags & vm_flags[k].flag ? " " : "",
				m[i].flags & vm_flags[k].flag ? vm_flags[k].name : "");
		fprintf(stderr, "\n");
	}
}

static void compare(unsigned step)
{
	struct map theirs[MAX_MAPS], ours[MAX_MAPS];
	unsigned hosts = host_maps(theirs), engines = engine_maps(ours);
	struct fl_mm *all[MAX_FORKS + 1];
	const char *broken = fl_mm_check(w.mm);

	memcpy(all, kept, sizeof(kept));
	all[forks] = w.mm;
	if (!broken)
		broken = fl_frames_check(w.frames, all, forks + 1);
	if (!broken && hosts == engines && !memcmp(theirs, ours, hosts * sizeof(*theirs)) &&
	    history[step].host == history[step].engine)
		return;
	fprintf(stderr, "sequence %zu, step %u: host %ld, engine %ld%s%s\n", concurrent_schedule, step,
		history[step].host, history[step].engine, broken ? ", broken: " : "", broken ? broken : "");
	for (unsigned i = 0; i <= step; i++)
		fprintf(stderr, "  %3llu +%-6llu %s\n", (unsigned long long)(history[i].addr - WINDOW) / PAGE,
			(unsigned long long)history[i].len, history[i].text);
	show("host", theirs, hosts);
	show("engine", ours, engines);
	_exit(1);
}

#define SAY(c, ...) snprintf((c)->text, sizeof((c)->text), __VA_ARGS__)

static int some_prot(void)
{
	return below(3) ? (int)below(8) : FL_PROT_READ | FL_PROT_WRITE;
}

static void call_mmap(struct call *c)
{
	int prot = some_prot(), flags = ANON | (below(4) ? FL_MAP_FIXED : FL_MAP_FIXED_NOREPLACE), err;
	fl_va out = 0;

	flags |= below(8) ? 0 : FL_MAP_NORESERVE;
	flags |= below(10) ? 0 : FL_MAP_STACK;
	flags |= below(12) ? 0 : FL_MAP_POPULATE;
	flags |= below(14) || geteuid() ? 0 : FL_MAP_LOCKED;
	flags |= below(16) ? 0 : FL_MAP_GROWSDOWN;
	flags &= below(50) ? -1 : ~FL_MAP_TYPE;
	SAY(c, "mmap prot %d flags %#x", (unsigned)prot, (unsigned)flags);
	c->host = host(SYS_mmap, c->addr, c->len, (unsigned)prot, (unsigned)flags, UINT64_MAX);
	err = fl_mmap(&w.task, c->addr, c->len, prot, flags, &out);
	c->engine = err ? err : (long)out;
}

static void call_munmap(struct call *c)
{
	SAY(c, "munmap");
	c->host = host(SYS_munmap, c->addr, c->len, 0, 0, 0);
	c->engine = fl_munmap(&w.task, c->addr, c->len);
}

static void call_mprotect(struct call *c)
{
	int prot = some_prot();

	prot |= below(30) ? 0 : FL_PROT_GROWSDOWN;
	prot |= below(60) ? 0 : FL_PROT_GROWSUP;
	prot |= below(60) ? 0 : 0x40;
	SAY(c, "mprotect %#x", (unsigned)prot);
	c->host = host(SYS_mprotect, c->addr, c->len, (unsigned)prot, 0, 0);
	c->engine = fl_mprotect(&w.task, c->addr, c->len, prot);
}

static void call_madvise(struct call *c)
{
	int a = advice[below(advices)];

	SAY(c, "madvise %d", a);
	c->host = host(SYS_madvise, c->addr, c->len, (unsigned)a, 0, 0);
	c->engine = fl_madvise(&w.task, c->addr, c->len, a);
}

static void call_mremap(struct call *c)
{
	uint64_t len = below(3) ? c->len : below(14) * PAGE;
	fl_va to = WINDOW + (below(3) ? 64 + below(SPAN) : below(SPAN)) * PAGE, out = 0;
	int flags = below(6) ? MREMAP_MAYMOVE | MREMAP_FIXED : (int)(below(2) * MREMAP_FIXED), err;

	if (!below(12))
		c->len = 0;
	to += below(40) ? 0 : 123;
	SAY(c, "mremap to %llu +%llu flags %d", (unsigned long long)(to - WINDOW) / PAGE, (unsigned long long)len,
	    flags);
	c->host = host(SYS_mremap, c->addr, c->len, len, (unsigned)flags, to);
	err = fl_mremap(&w.task, c->addr, c->len, len, flags, to, &out);
	c->engine = err ? err : (long)out;
}

static void call_mlock(struct call *c)
{
	int flags = (int)below(3) - 1;

	SAY(c, flags < 0 ? "munlock" : "mlock2 %d", flags);
	if (flags < 0) {
		c->host = host(SYS_munlock, c->addr, c->len, 0, 0, 0);
		c->engine = fl_munlock(&w.task, c->addr, c->len);
	} else {
		c->host = host(SYS_mlock2, c->addr, c->len, (unsigned)flags, 0, 0);
		c->engine = fl_mlock(&w.task, c->addr, c->len, flags);
	}
}

static void call_mincore(struct call *c)
{
	uint8_t resident[SPAN] = {0}, engine[SPAN] = {0};

	SAY(c, "mincore");
	c->host = host(SYS_mincore, c->addr, c->len, (uintptr_t)resident, 0, 0);
	c->engine = fl_mincore(&w.task, c->addr, c->len, engine);
	for (unsigned i = 0; !c->host && i < SPAN; i++) {
		if ((resident[i] & 1) == (engine[i] & 1))
			continue;
		SAY(c, "mincore: page %u is %d on the host, %d in the engine", i, resident[i], engine[i]);
		c->engine = 1;
	}
}

static void call_msync(struct call *c)
{
	int flags = (int)below(8);

	SAY(c, "msync %d", flags);
	c->host = host(SYS_msync, c->addr, c->len, (unsigned)flags, 0, 0);
	c->engine = fl_msync(&w.task, c->addr, c->len, flags);
}

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(refused, 1);
}

static void call_touch(struct call *c)
{
	fl_va va = c->addr & ~(PAGE - 1);
	volatile uint8_t *p = (volatile uint8_t *)(uintptr_t)va;
	bool write = below(3) != 0;
	uint8_t value = (uint8_t)(1 + below(250));

	SAY(c, write ? "write" : "read");
	if (sigsetjmp(refused, 1))
		c->host = -1;
	else if (write)
		*p = value;
	else
		c->host = *p;
	if (write)
		c->engine = fl_vcpu_store(&w.cpu, va, &value, 1) == FL_FAULT_DONE ? 0 : -1;
	else
		c->engine = fl_vcpu_load(&w.cpu, va, &value, 1) == FL_FAULT_DONE ? value : -1;
}

/* Go on in a child on both sides. The parents stay, and so does what they share. */
static void call_fork(struct call *c)
{
	struct fl_mm *child;
	int status;
	pid_t pid;

	SAY(c, "fork");
	pid = fork();
	CHECK(pid >= 0);
	if (pid) {
		CHECK(waitpid(pid, &status, 0) == pid);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
	}
	CHECK(fl_mm_fork(&w.task, &child) == 0);
	fl_vcpu_exit(&w.cpu);
	kept[forks++] = w.mm; /* the world's reference */
	fl_task_switch_mm(&w.task, child);
	w.mm = child;
	fl_vcpu_init(&w.cpu, &w.task);
}

static void step(unsigned n)
{
	static void (*const calls[])(struct call *) = {
		call_mmap,     call_mmap,    call_mmap,    call_munmap, call_mprotect,
		call_mprotect, call_madvise, call_madvise, call_mremap, call_mremap,
		call_mincore,  call_msync,   call_touch,   call_touch,  call_touch,
	};
	struct call *c = &history[n];

	*c = (struct call){.addr = WINDOW + below(SPAN) * PAGE, .len = (1 + below(12)) * PAGE};
	c->addr += below(40) ? 0 : 1 + below(4095);
	c->len -= below(25) ? 0 : below(4096);
	c->len *= below(60) ? 1 : 0;
	if (!below(50) && forks < MAX_FORKS)
		call_fork(c);
	else if (!below(14) && !geteuid())
		call_mlock(c);
	else
		calls[below(sizeof(calls) / sizeof(*calls))](c);
	compare(n);
}

static _Noreturn void run(size_t sequence)
{
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	world_open(&w, 4096);
	forks = 0;
	seed = sequence * 77777 + 1;
	for (unsigned i = 0; i < STEPS; i++)
		step(i);
	for (unsigned i = 0; i < forks; i++)
		fl_mm_put(kept[i]);
	world_close(&w);
	_exit(0);
}

static void run_sequence(size_t sequence)
{
	int status = 0;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		run(sequence);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What the kernel was built with decides about some advice; what damages hardware pages is not tried. */
static void find_advice(void)
{
	static const int refused_by_all[] = {FL_MADV_REMOVE, FL_MADV_COLLAPSE, 7, 99};
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);

	CHECK(p != MAP_FAILED);
	for (int a = 0; a < FL_MADV_HWPOISON; a++) {
		if (!madvise(p, PAGE, a))
			advice[advices++] = a;
	}
	advice[advices++] = FL_MADV_GUARD_INSTALL;
	advice[advices++] = FL_MADV_GUARD_REMOVE;
	for (size_t i = 0; i < sizeof(refused_by_all) / sizeof(*refused_by_all); i++)
		advice[advices++] = refused_by_all[i];
	CHECK(advices <= MAX_ADVICE);
	munmap(p, PAGE);
}

static void random_calls_agree_with_the_kernel(void **state)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	(void)state;
	if (uname(&u) || sscanf(u.release, "%u.%u", &major, &minor) != 2 || strcmp(u.machine, "x86_64") ||
	    major * 1000 + minor < 6017) {
		print_message("skipped: this kernel is %s on %s; the engine does as 6.18 on x86_64\n", u.release,
			      u.machine);
		skip();
	}
	find_advice();
	for_each_schedule(SEQUENCES, run_sequence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_calls_agree_with_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
