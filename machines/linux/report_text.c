/* SPDX-License-Identifier: MIT */
/* The report as text. The supervisor's one thread; no lock. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "linux/report_int.h"

#define TOP_LINES 10u
#define FOREIGN_SHOWN 16u
#define PAGE_BYTES 4096.0

/* Bytes with a unit, in a static buffer of few: at most four in one call of fprintf. */
static const char *bytes_text(double bytes)
{
	static char text[4][32];
	static unsigned turn;
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	char *t = text[turn++ % 4];
	unsigned unit = 0;

	while (bytes >= 1024 && unit + 1 < FL_ARRAY_LEN(units)) {
		bytes /= 1024;
		unit++;
	}
	snprintf(t, sizeof(text[0]), unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
	return t;
}

static void write_end(FILE *out, const struct fl_run_result *res)
{
	if (WIFSIGNALED(res->wait_status))
		fprintf(out, "killed by signal %d (%s)", WTERMSIG(res->wait_status),
			strsignal(WTERMSIG(res->wait_status)));
	else
		fprintf(out, "exit status %d", WEXITSTATUS(res->wait_status));
}

struct row {
	unsigned outcome, kind;
	struct fault_count c;
};

static int by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->c.ns != y->c.ns)
		return x->c.ns > y->c.ns ? -1 : 1;
	return x->kind < y->kind ? -1 : x->kind > y->kind;
}

static double percent(uint64_t part, uint64_t all)
{
	return all ? 100.0 * (double)part / (double)all : 0;
}

static double each(uint64_t ns, uint64_t n)
{
	return n ? (double)ns / 1000.0 / (double)n : 0;
}

static void write_faults(const struct fl_report *r, FILE *out)
{
	struct row rows[OUTCOMES * KINDS];
	unsigned n = 0;

	for (unsigned o = 0; o < OUTCOMES; o++)
		for (unsigned k = 0; k < KINDS; k++)
			if (r->faults[o][k].n)
				rows[n++] = (struct row){o, k, r->faults[o][k]};
	qsort(rows, n, sizeof(*rows), by_time);
	fprintf(out, "\n%% time     seconds  usecs/fault    faults outcome         kind\n"
		     "------ ----------- ------------ --------- --------------- ---------\n");
	for (unsigned i = 0; i < n; i++)
		fprintf(out, "%6.2f %11.6f %12.1f %9" PRIu64 " %-15s %s\n", percent(rows[i].c.ns, r->fault_ns),
			(double)rows[i].c.ns / 1e9, each(rows[i].c.ns, rows[i].c.n), rows[i].c.n,
			fl_outcome_name((enum fl_outcome)rows[i].outcome),
			fl_fault_kind_name((enum fl_fault_kind)rows[i].kind));
	fprintf(out,
		"------ ----------- ------------ --------- --------------- ---------\n"
		"100.00 %11.6f %12.1f %9" PRIu64 " total\n",
		(double)r->fault_ns / 1e9, each(r->fault_ns, r->nfaults), r->nfaults);
}

static uint64_t of_kind(const struct fl_report *r, enum fl_fault_kind kind)
{
	return r->faults[FL_FAULT_DONE][kind].n;
}

static void write_pages(const struct fl_report *r, FILE *out, const struct fl_run_result *res)
{
	uint64_t fresh = of_kind(r, FL_KIND_ANON) + of_kind(r, FL_KIND_STACK), copied = of_kind(r, FL_KIND_COW_COPY);

	fprintf(out,
		"\nPages: %" PRIu64 " new (%s), %" PRIu64 " zero, %" PRIu64 " copied on write (%s), %" PRIu64
		" filled by userfaultfd\n",
		fresh, bytes_text((double)fresh * PAGE_BYTES), of_kind(r, FL_KIND_ZERO), copied,
		bytes_text((double)copied * PAGE_BYTES), of_kind(r, FL_KIND_MISSING));
	fprintf(out,
		"Faults: %" PRIu64 " by writes, %" PRIu64 " on behalf of system calls, %" PRIu64
		" ahead of the program, %" PRIu64 " that waited, %" PRIu64 " retries\n",
		r->writes, r->kernel, r->ahead, r->waits, r->retries);
	fprintf(out, "Frames: at most %" PRIu64 " in use (%s) of %" PRIu64 " (%s)\n", res->frames_peak,
		bytes_text((double)res->frames_peak * PAGE_BYTES), res->frames_total,
		bytes_text((double)res->frames_total * PAGE_BYTES));
	if (res->frames_leaked)
		fprintf(out,
			"Frames: %" PRIu64
			" are still referenced although every process has ended: a bug of faultline's\n",
			res->frames_leaked);
}

static const char *ioctl_name(uint32_t cmd)
{
	static const struct {
		uint32_t cmd;
		const char *name;
	} names[] = {
		{FL_UFFDIO_API, "UFFDIO_API"},
		{FL_UFFDIO_REGISTER, "UFFDIO_REGISTER"},
		{FL_UFFDIO_UNREGISTER, "UFFDIO_UNREGISTER"},
		{FL_UFFDIO_WAKE, "UFFDIO_WAKE"},
		{FL_UFFDIO_COPY, "UFFDIO_COPY"},
		{FL_UFFDIO_ZEROPAGE, "UFFDIO_ZEROPAGE"},
		{FL_UFFDIO_MOVE, "UFFDIO_MOVE"},
		{FL_UFFDIO_WRITEPROTECT, "UFFDIO_WRITEPROTECT"},
		{FL_UFFDIO_CONTINUE, "UFFDIO_CONTINUE"},
		{FL_UFFDIO_POISON, "UFFDIO_POISON"},
	};

	for (size_t i = 0; i < FL_ARRAY_LEN(names); i++)
		if (names[i].cmd == cmd)
			return names[i].name;
	if (cmd == 0xaa00)
		return "USERFAULTFD_IOC_NEW";
	return "unknown ioctl";
}

struct call_row {
	const char *name;
	struct call_count c;
};

static int by_call_time(const void *a, const void *b)
{
	const struct call_row *x = a, *y = b;

	if (x->c.ns != y->c.ns)
		return x->c.ns > y->c.ns ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void write_calls(const struct fl_report *r, FILE *out)
{
	struct call_row rows[FL_SYS_MAX + UFFD_IOCTLS];
	uint64_t ns = 0;
	unsigned n = 0;

	for (unsigned nr = 0; nr < FL_SYS_MAX; nr++)
		if (r->calls[nr].n)
			rows[n++] = (struct call_row){fl_call_find(nr)->name, r->calls[nr]};
	for (unsigned i = 0; i < UFFD_IOCTLS; i++)
		if (r->uffd[i].n)
			rows[n++] = (struct call_row){ioctl_name(r->uffd[i].cmd),
						      {r->uffd[i].n, r->uffd[i].errors, r->uffd[i].ns}};
	if (!n)
		return;
	for (unsigned i = 0; i < n; i++)
		ns += rows[i].c.ns;
	qsort(rows, n, sizeof(*rows), by_call_time);
	fprintf(out, "\n%% time     seconds   usecs/call     calls    errors memory call\n"
		     "------ ----------- ------------ --------- --------- -----------\n");
	for (unsigned i = 0; i < n; i++)
		fprintf(out, "%6.2f %11.6f %12.1f %9" PRIu64 " %9" PRIu64 " %s\n", percent(rows[i].c.ns, ns),
			(double)rows[i].c.ns / 1e9, each(rows[i].c.ns, rows[i].c.n), rows[i].c.n, rows[i].c.errors,
			rows[i].name);
	if (r->messages)
		fprintf(out, "Messages read from userfaultfd: %" PRIu64 "\n", r->messages);
}

static void write_slow(const struct fl_report *r, FILE *out)
{
	if (!r->nslow)
		return;
	fprintf(out, "\nSlowest faults:\n");
	for (unsigned i = 0; i < r->nslow; i++) {
		const struct slow_fault *s = &r->slow[i];

		fprintf(out, "%12.1f us  0x%012" PRIx64 " in %s 0x%" PRIx64 "-0x%" PRIx64 ", thread %d, %s%s\n",
			(double)s->ns / 1000.0, s->addr, s->mapping, s->start, s->end, (int)s->tid,
			fl_fault_kind_name((enum fl_fault_kind)s->kind), s->waits ? ", waited for userfaultfd" : "");
	}
}

static int by_bytes(const void *a, const void *b)
{
	const struct named *const *x = a, *const *y = b;

	if ((*x)->bytes != (*y)->bytes)
		return (*x)->bytes > (*y)->bytes ? -1 : 1;
	return strcmp((*x)->name, (*y)->name);
}

static void write_foreign(const struct fl_report *r, FILE *out)
{
	const struct named **list, *item;
	uint64_t left = 0, left_bytes = 0;
	size_t n = 0;

	for (item = r->foreign; item; item = item->next)
		n++;
	list = calloc(n + 1, sizeof(*list));
	if (!n || !list) {
		free(list);
		return;
	}
	n = 0;
	for (item = r->foreign; item; item = item->next)
		list[n++] = item;
	qsort(list, n, sizeof(*list), by_bytes);
	fprintf(out, "\nStays with the host:\n");
	for (size_t i = 0; i < n; i++) {
		if (i < FOREIGN_SHOWN) {
			fprintf(out, "%12s  %5" PRIu64 " mapping%s  %s\n", bytes_text((double)list[i]->bytes),
				list[i]->n, list[i]->n == 1 ? " " : "s", list[i]->name);
		} else {
			left += list[i]->n;
			left_bytes += list[i]->bytes;
		}
	}
	if (left)
		fprintf(out, "%12s  %5" PRIu64 " mapping%s  of %zu others\n", bytes_text((double)left_bytes), left,
			left == 1 ? " " : "s", n - FOREIGN_SHOWN);
	free(list);
}

static void write_list(FILE *out, const char *title, const struct named *list)
{
	for (; list; list = list->next)
		fprintf(out, "%s: %s (%" PRIu64 " time%s)\n", title, list->name, list->n, list->n == 1 ? "" : "s");
}

void fl_report_write(struct fl_report *r, FILE *out, const char *program, const struct fl_run_result *res)
{
	fprintf(out, "\nfaultline: %s ran %.3f s, %" PRIu64 " process%s, ", program, (double)res->wall_ns / 1e9,
		r->processes, r->processes == 1 ? "" : "es");
	write_end(out, res);
	fputc('\n', out);
	write_faults(r, out);
	write_pages(r, out, res);
	write_calls(r, out);
	write_slow(r, out);
	if (r->nfaults) {
		fprintf(out, "\nSource lines with the most faults:\n");
		fl_symbols_write_top(r->symbols, out, TOP_LINES);
	}
	write_foreign(r, out);
	if (r->efault || r->refused || r->oom)
		fputc('\n', out);
	write_list(out, "Failed with EFAULT on engine memory, and is in no class", r->efault);
	write_list(out, "Refused or only noted", r->refused);
	write_list(out, "Killed because the memory given with --memory was used up", r->oom);
}
