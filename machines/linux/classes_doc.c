/* SPDX-License-Identifier: MIT */
/* docs/syscalls.md, printed from the table of classes.c; a unit test compares the two. No lock. */
#include "linux/classes.h"

#include "faultline/compiler.h"

static const char intro[] =
	"<!-- Written from machines/linux/classes.c: FL_UPDATE_DOCS=1 build/tests/unit/test_linux_classes.fibers -->\n"
	"# System calls under `faultline run`\n"
	"\n"
	"The host does not see the pages of engine memory until the program has touched them, and a page that\n"
	"userfaultfd owns is missing for it until somebody fills it. So a system call with a pointer into engine memory may fail in the\n"
	"host with `EFAULT`, or come up short, where Linux would have faulted the page in. What the machine does then is\n"
	"the call's class.\n"
	"\n"
	"| class | what happens |\n"
	"| --- | --- |\n"
	"| native | There is no pointer to user memory: the call is never stopped. |\n"
	"| buffer | A transfer. It runs natively; at a page that is missing it stops, the page at which it stopped is faulted in through the engine, and the transfer goes on with the rest. Reads from descriptors that lose data when a copy fails (datagrams, event counters, timers, signals, inotify, terminals, and everything that is not known to be harmless) go through a bounce buffer. |\n"
	"| structure | The call fails with `EFAULT` before it has changed anything. The page is faulted in and the call is run again. |\n"
	"| consuming | Something is gone when the copy fails (a child, a connection, an event, time). The call runs on a bounce buffer in host memory, and the engine's own copy brings the bytes to the program. |\n"
	"| served | The supervisor answers the call, or looks at it always. |\n"
	"| by name | What the pointers point to is known to the kernel alone. The call runs natively; if it fails with `EFAULT` and a pointer lies in engine memory, the report names it. The same is done for numbers that are not in this table. |\n"
	"| refused | Always answered with an error, as by a kernel built without it. |\n"
	"\n"
	"Except for the class *served* and calls marked \"always\", a call is stopped only when one of the pointers below lies where\n"
	"engine memory can be; all others run at native speed.\n"
	"\n"
	"Pointers are listed in the order in which the kernel touches them. `in` is read by the kernel, `out` is written. `[n]` is a\n"
	"size in bytes, `[aN]` the value of argument N, `[..aN]` up to that with the result saying how much.\n"
	"\n"
	"| nr | call | class | stop | pointers |\n"
	"| ---: | --- | --- | --- | --- |\n";

static const char notes[] =
	"\n"
	"## Where more is touched or less is kept than by Linux\n"
	"\n"
	"- `recvmmsg` and `sendmmsg` make the buffers of all their messages resident beforehand, also of those that then do not come.\n"
	"- A consuming read or receive is bounded by a bounce buffer of 1 MiB; a longer one comes short, as it may.\n"
	"- A process that has, or may have been passed, a userfaultfd has its `read`, `readv`, `preadv2`, `poll`, `select`, `epoll_wait` and\n"
	"  their relatives stopped always. The descriptor is a pipe for `fstat`, `lseek`, `splice` and `FIONREAD`.\n"
	"- `io_uring_setup` is refused and the report says so; the newer futex calls and `rseq` look as in a kernel without them.\n";

static void write_size(FILE *out, const struct fl_call_arg *arg)
{
	switch ((enum fl_arg_size)arg->size) {
	case FL_SIZE_NONE:
		break;
	case FL_SIZE_FIXED:
		fprintf(out, "[%u]", arg->bytes);
		break;
	case FL_SIZE_ARG:
	case FL_SIZE_RESULT:
		fprintf(out, "[%sa%u", arg->size == FL_SIZE_RESULT ? ".." : "", arg->len);
		if (arg->bytes > 1)
			fprintf(out, " x %u", arg->bytes);
		fputc(']', out);
		break;
	case FL_SIZE_LENPTR:
		fprintf(out, "[..*a%u], inout a%u[4]", arg->len, arg->len);
		break;
	case FL_SIZE_FDSET:
		fputs("[a0 bits]", out);
		break;
	case FL_SIZE_STRING:
		fputs(" string", out);
		break;
	case FL_SIZE_VECTOR:
		fputs(" strings", out);
		break;
	case FL_SIZE_IOVEC:
		fprintf(out, " iovec[a%u]", arg->len);
		break;
	case FL_SIZE_MSGHDR:
		fputs(" msghdr", out);
		break;
	case FL_SIZE_OPAQUE:
		fputs("[?]", out);
		break;
	}
}

static void write_call(FILE *out, unsigned nr, const struct fl_call *call)
{
	static const char *const directions[] = {[FL_ARG_IN] = "in", [FL_ARG_OUT] = "out", [FL_ARG_INOUT] = "inout"};
	const char *stop = "pointers";

	if (call->class == FL_CALL_NATIVE)
		stop = "never";
	else if (call->class == FL_CALL_SERVED || call->class == FL_CALL_REFUSED || (call->flags & FL_CALLF_NESTED))
		stop = "always";
	fprintf(out, "| %u | %s | %s | %s | ", nr, call->name, fl_call_class_name(call->class), stop);
	for (unsigned i = 0; i < FL_CALL_ARGS && call->args[i].size; i++) {
		fprintf(out, "%s%s a%u", i ? ", " : "", directions[call->args[i].dir], call->args[i].index);
		write_size(out, &call->args[i]);
	}
	fputs(" |\n", out);
}

void fl_call_write_doc(FILE *out)
{
	fputs(intro, out);
	for (unsigned nr = 0; nr < fl_call_limit(); nr++) {
		const struct fl_call *call = fl_call_find(nr);

		if (call->class != FL_CALL_UNKNOWN)
			write_call(out, nr, call);
	}
	fputs(notes, out);
}
