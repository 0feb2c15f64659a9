/* SPDX-License-Identifier: MIT */
/*
 * The trace: JSON lines, written by hand through one function that escapes strings; everything else is numbers and
 * words of ours. Lines are flushed ten times a second and at the end. The supervisor's one thread; no lock.
 */
#include "linux/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "linux/classes.h"
#include "linux/linux.h"
#include "linux/report.h"

#define BUFFER_BYTES (256u << 10)

struct fl_trace {
	struct run_observer observer;
	FILE *out;
	uint64_t start_ns;
};

/* Bytes of the UTF-8 sequence at s, or 0: it is none. */
static unsigned utf8_length(const unsigned char *s)
{
	unsigned n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (unsigned i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and what lies above U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void fl_trace_string(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	fputc('"', out);
	while (*s) {
		unsigned n = *s < 0x80 ? 1 : utf8_length(s);

		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(out, "\\u%04x", *s);
		else if (n)
			fwrite(s, 1, n, out);
		else
			fputs("\\ufffd", out);
		s += n ? n : 1;
	}
	fputc('"', out);
}

/* The beginning of every line. */
static void begin(struct fl_trace *t, const char *type, struct guest_thread *th, uint64_t at_ns)
{
	uint64_t ns = at_ns > t->start_ns ? at_ns - t->start_ns : 0;

	fprintf(t->out, "{\"type\":\"%s\",\"time\":%" PRIu64 ".%09" PRIu64, type, ns / 1000000000, ns % 1000000000);
	if (th)
		fprintf(t->out, ",\"pid\":%d,\"thread\":%d", (int)(th->proc ? th->proc->pid : th->tid), (int)th->tid);
}

static void finish(struct fl_trace *t)
{
	fputs("}\n", t->out);
}

static const char *resolved_by(const struct run_fault *rf, enum fl_outcome outcome)
{
	if (outcome != FL_FAULT_DONE)
		return "nothing";
	switch ((enum fl_fault_kind)rf->f.kind) {
	case FL_KIND_SPURIOUS:
		return "page was there";
	case FL_KIND_ZERO:
		return "zero page";
	case FL_KIND_ANON:
		return "new page";
	case FL_KIND_COW_COPY:
		return "copy of a shared page";
	case FL_KIND_COW_REUSE:
		return "own page made writable";
	case FL_KIND_MISSING:
		return "userfaultfd";
	case FL_KIND_STACK:
		return "new page of a grown stack";
	case FL_KIND_NONE:
		break;
	}
	return "engine";
}

static void on_fault_end(void *arg, struct guest_thread *th, const struct run_fault *rf, enum fl_outcome outcome,
			 uint64_t ns)
{
	static const char *const access[] = {[FL_READ] = "read", [FL_WRITE] = "write", [FL_EXEC] = "execute"};
	struct fl_trace *t = arg;
	fl_va start, end;
	const char *mapping = fl_report_mapping(th, rf->f.addr, &start, &end);

	/* Pages ahead that were not to be had are no faults. */
	if (rf->ahead && outcome != FL_FAULT_DONE)
		return;
	begin(t, "fault", th, rf->start_ns);
	fprintf(t->out,
		",\"address\":\"0x%" PRIx64 "\",\"access\":\"%s\",\"mapping\":\"%s\",\"start\":\"0x%" PRIx64
		"\",\"end\":\"0x%" PRIx64 "\",\"kind\":\"%s\",\"outcome\":\"%s\",\"resolved\":\"%s\"",
		rf->f.addr, rf->f.access <= FL_EXEC && access[rf->f.access] ? access[rf->f.access] : "read", mapping,
		start, end, fl_fault_kind_name((enum fl_fault_kind)rf->f.kind), fl_outcome_name(outcome),
		resolved_by(rf, outcome));
	fprintf(t->out, ",\"ns\":%" PRIu64 ",\"waits\":%u,\"retries\":%u,\"ahead\":%s,\"kernel\":%s", ns, rf->f.waits,
		rf->f.retries, rf->ahead ? "true" : "false", rf->kernel ? "true" : "false");
	if (rf->rip)
		fprintf(t->out, ",\"ip\":\"0x%" PRIx64 "\"", rf->rip);
	finish(t);
}

static void write_args(FILE *out, const uint64_t args[6])
{
	fputs(",\"args\":[", out);
	for (unsigned i = 0; i < 6; i++)
		fprintf(out, "%s\"0x%" PRIx64 "\"", i ? "," : "", args[i]);
	fputc(']', out);
}

/* Addresses do not fit the numbers of every JSON reader, so they are strings. */
static void write_result(FILE *out, int64_t result)
{
	if (result < 0 && result >= -4095) {
		const char *name = result <= -512 ? NULL : strerrorname_np((int)-result);

		fprintf(out, ",\"result\":\"-1\",\"error\":\"%s\"", name ? name : "interrupted");
	} else {
		fprintf(out, ",\"result\":\"0x%" PRIx64 "\"", (uint64_t)result);
	}
}

static void write_call_name(FILE *out, unsigned nr)
{
	fprintf(out, ",\"call\":\"%s\",\"nr\":%u", fl_call_find(nr)->name, nr);
}

static void on_memory_call(void *arg, struct guest_thread *th, unsigned nr, const uint64_t args[6], int64_t result,
			   uint64_t ns)
{
	struct fl_trace *t = arg;

	begin(t, "call", th, fl_now_ns() - ns);
	write_call_name(t->out, nr);
	write_args(t->out, args);
	write_result(t->out, result);
	fprintf(t->out, ",\"ns\":%" PRIu64, ns);
	finish(t);
}

static void on_unknown_efault(void *arg, struct guest_thread *th, unsigned nr, const uint64_t args[6])
{
	struct fl_trace *t = arg;

	begin(t, "efault", th, fl_now_ns());
	write_call_name(t->out, nr);
	write_args(t->out, args);
	finish(t);
}

static void on_foreign(void *arg, struct guest_thread *th, fl_va start, uint64_t len, int prot, const char *what)
{
	struct fl_trace *t = arg;

	begin(t, "foreign", th, fl_now_ns());
	fprintf(t->out, ",\"start\":\"0x%" PRIx64 "\",\"end\":\"0x%" PRIx64 "\",\"prot\":%d,\"what\":", start,
		start + len, prot);
	fl_trace_string(t->out, what ? what : "?");
	finish(t);
}

static void on_refused(void *arg, struct guest_thread *th, const char *feature)
{
	struct fl_trace *t = arg;

	begin(t, "refused", th, fl_now_ns());
	fputs(",\"feature\":", t->out);
	fl_trace_string(t->out, feature);
	finish(t);
}

static void on_oom(void *arg, struct guest_thread *th, fl_va addr)
{
	struct fl_trace *t = arg;

	begin(t, "oom-kill", th, fl_now_ns());
	fprintf(t->out, ",\"address\":\"0x%" PRIx64 "\"", addr);
	finish(t);
}

static void on_exec(void *arg, struct guest_thread *th, const char *path)
{
	struct fl_trace *t = arg;

	begin(t, "exec", th, fl_now_ns());
	fputs(",\"path\":", t->out);
	fl_trace_string(t->out, path ? path : "?");
	finish(t);
}

static void on_process_exit(void *arg, pid_t pid, int status)
{
	struct fl_trace *t = arg;

	begin(t, "exit", NULL, fl_now_ns());
	fprintf(t->out, ",\"pid\":%d,", (int)pid);
	if (WIFSIGNALED(status))
		fprintf(t->out, "\"signal\":%d", WTERMSIG(status));
	else
		fprintf(t->out, "\"status\":%d", WEXITSTATUS(status));
	finish(t);
}

static void on_tick(void *arg, struct guest *g)
{
	struct fl_trace *t = arg;

	(void)g;
	fflush(t->out);
}

struct fl_trace *fl_trace_new(FILE *out)
{
	struct fl_trace *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->out = out;
	t->start_ns = fl_now_ns();
	setvbuf(out, NULL, _IOFBF, BUFFER_BYTES);
	t->observer = (struct run_observer){
		.arg = t,
		.fault_end = on_fault_end,
		.memory_call = on_memory_call,
		.unknown_efault = on_unknown_efault,
		.foreign_mapping = on_foreign,
		.refused = on_refused,
		.oom_kill = on_oom,
		.exec = on_exec,
		.process_exit = on_process_exit,
		.tick = on_tick,
	};
	return t;
}

struct run_observer *fl_trace_observer(struct fl_trace *t)
{
	return &t->observer;
}

int fl_trace_end(struct fl_trace *t)
{
	bool bad = ferror(t->out) != 0;
	int err;

	errno = 0;
	err = fclose(t->out) ? errno : bad ? EIO : 0;
	free(t);
	return -err;
}
