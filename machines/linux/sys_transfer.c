/* SPDX-License-Identifier: MIT */
/*
 * Restartable transfers: read, write and their relatives on engine memory.
 *
 * The kernel moves bytes until it meets a page that the host does not map, and says how far it came. We fault in the
 * page at which it stopped and let it go on with the rest, so that the guest sees one call:
 *
 *      segments   |######## done ########|.... rest ....|
 *                                        ^ the kernel stopped here, at or before a gap
 *
 * Two traps. A short count may mean a gap or the end of the data: we go on only where a gap lies in the rest, and on
 * a pipe or stream socket only if it has more to give. A signal may come between two parts: then what is done is the
 * call's result, and with nothing done the call is made afresh with the guest's own arguments.
 *
 * A write touches only what the file takes: nothing for /dev/null, a part where there is no room for more. Whether a
 * gap was in the way only the kernel knows, and says so by EFAULT; so a write that came short goes on with the gap as it
 * is, which is filled when that fails. What a file on disk will take may be put there before, if nobody can tell.
 *
 * A write of a page or less to a pipe stays atomic: the kernel drops a piece that it cannot copy whole.
 *
 * No locks: one OS thread, and fibers switch only where something waits.
 */
#include "linux/io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How much of a write's source is faulted in at once, where Linux would touch all of it. */
#define WRITE_AHEAD ((uint64_t)256 << 10)
/* A read faults in what the file has to give, but not more than this at once: others may read it, too. */
#define READ_AHEAD ((uint64_t)1 << 20)
#define SAME_GAP_MAX 8

int fl_io_read_iovec(struct guest_thread *th, fl_va va, uint64_t n, struct fl_io_seg *seg, uint64_t *total)
{
	_Static_assert(sizeof(*seg) == 16, "a segment is laid out as struct iovec");

	*total = 0;
	if (n > FL_IO_SEGMENTS)
		return -FL_EINVAL;
	if (n && fl_io_copy_in(th, seg, va, n * sizeof(*seg)))
		return -FL_EFAULT;
	for (uint64_t i = 0; i < n; i++) {
		if (seg[i].len > INT64_MAX)
			return -FL_EINVAL;
		if (seg[i].len > FL_IO_TRANSFER_MAX - *total)
			seg[i].len = FL_IO_TRANSFER_MAX - *total;
		*total += seg[i].len;
	}
	return 0;
}

bool fl_io_segment_gap(const struct fl_io_transfer *x, uint64_t from, uint64_t to, struct fl_io_gap *gap)
{
	enum fl_access access = x->reading ? FL_WRITE : FL_READ;
	uint64_t start = 0;

	for (unsigned i = 0; i < x->nseg && start < to; start += x->seg[i++].len) {
		uint64_t skip = from > start ? from - start : 0;
		uint64_t len = x->seg[i].len < to - start ? x->seg[i].len : to - start;

		if (skip < len && fl_io_missing(x->th, x->seg[i].base + skip, len - skip, access, gap))
			return true;
	}
	return false;
}

uint64_t fl_io_scatter(const struct fl_io_transfer *x, uint64_t from, const uint8_t *data, uint64_t n)
{
	uint64_t start = 0, copied = 0;

	for (unsigned i = 0; i < x->nseg && copied < n; start += x->seg[i++].len) {
		uint64_t skip = from + copied > start ? from + copied - start : 0;
		uint64_t len, left;

		if (skip >= x->seg[i].len)
			continue;
		len = x->seg[i].len - skip;
		if (len > n - copied)
			len = n - copied;
		left = fl_io_copy_out(x->th, x->seg[i].base + skip, data + copied, len);
		copied += len - left;
		if (left || fl_io_gone(x->th))
			break;
	}
	return copied;
}

/* What the kernel may have stumbled over, in its order. */
static bool next_gap(const struct fl_io_transfer *x, struct fl_io_gap *gap)
{
	if (x->vector && fl_io_missing(x->th, x->array, x->nseg * sizeof(*x->seg), FL_READ, gap))
		return true;
	if (x->extra.len && fl_io_missing(x->th, x->extra.va, x->extra.len, x->extra.access, gap))
		return true;
	return fl_io_segment_gap(x, x->done, x->total, gap);
}

/* How many of n bytes from va on lie on pages that the engine holds: to map them changes nothing that can be seen. */
static uint64_t held(const struct fl_io_transfer *x, fl_va va, uint64_t n, enum fl_access access)
{
	struct fl_translation t;
	fl_va at = va;

	while (at < va + n && fl_mm_walk(x->th->mm->mm, at, access, &t))
		at = (at & FL_PAGE_MASK) + FL_PAGE;
	return at < va + n ? at - va : n;
}

/* Make what follows the gap resident as well, as far as byte `end` of the segments; or only what the engine holds. */
static void fill_ahead(const struct fl_io_transfer *x, uint64_t end, bool only_held)
{
	enum fl_access access = x->reading ? FL_WRITE : FL_READ;
	uint64_t start = 0;

	for (unsigned i = 0; i < x->nseg && start < end; start += x->seg[i++].len) {
		uint64_t skip = x->done > start ? x->done - start : 0;
		uint64_t len = x->seg[i].len < end - start ? x->seg[i].len : end - start, n;

		if (skip >= len || !fl_io_engine(x->seg[i].base, x->seg[i].len))
			continue;
		n = only_held ? held(x, x->seg[i].base + skip, len - skip, access) : len - skip;
		if (fl_make_resident(x->th, x->seg[i].base + skip, n, access) < len - skip || fl_io_gone(x->th))
			return;
	}
}

/*
 * May a write's source be faulted in before the kernel comes to it? The kernel may not come to all of it (no space, a
 * limit), so not where a page too many would show.
 */
static bool may_run_ahead(const struct fl_io_transfer *x, const struct fl_io_file *file)
{
	return file->on_disk && !x->th->mm->uffd && !x->th->g->opt->exact;
}

/* Fill the gap, and what Linux would touch with it. False: it cannot be filled. */
static bool fill(const struct fl_io_transfer *x, const struct fl_io_gap *gap, const struct fl_io_file *file)
{
	uint64_t rest = x->total - x->done;

	if (fl_make_resident(x->th, gap->va, gap->len, gap->access) < gap->len)
		return false;
	if (fl_io_gone(x->th))
		return true;
	if (!x->reading)
		fill_ahead(x, x->done + (rest < WRITE_AHEAD ? rest : WRITE_AHEAD), !may_run_ahead(x, file));
	else if (file->known && file->avail != UINT64_MAX && file->avail)
		fill_ahead(x,
			   x->done + (rest < file->avail         ? rest
				      : file->avail < READ_AHEAD ? file->avail
								 : READ_AHEAD),
			   false);
	return true;
}

/* Point the stopped call at what is left. False: there is no bounce buffer for the vector. */
static bool set_rest(const struct fl_io_transfer *x)
{
	struct fl_io_seg rest[FL_IO_SEGMENTS];
	unsigned n = 0;
	uint64_t start = 0;
	fl_va array;

	if (x->offset_arg >= 0 && x->args[x->offset_arg] != UINT64_MAX)
		fl_set_arg(x->th, (unsigned)x->offset_arg, x->args[x->offset_arg] + x->done);
	if (!x->vector) {
		fl_set_arg(x->th, x->buf_arg, x->args[x->buf_arg] + x->done);
		fl_set_arg(x->th, x->len_arg, x->total - x->done);
		return true;
	}
	if (!x->done)
		return true;
	for (unsigned i = 0; i < x->nseg; start += x->seg[i++].len) {
		uint64_t skip = x->done > start ? x->done - start : 0;

		if (skip < x->seg[i].len)
			rest[n++] = (struct fl_io_seg){x->seg[i].base + skip, x->seg[i].len - skip};
	}
	array = fl_io_bounce(x->th, n * sizeof(*rest));
	if (!array || !fl_io_bounce_write(x->th, array, rest, n * sizeof(*rest)))
		return false;
	fl_set_arg(x->th, x->buf_arg, array);
	fl_set_arg(x->th, x->len_arg, n);
	return true;
}

/* Look at the descriptor, with `avail` as this transfer sees it. */
static void look(const struct fl_io_transfer *x, struct fl_io_file *file)
{
	*file = (struct fl_io_file){0};
	if (x->nr == SYS_getrandom)
		return;
	fl_io_look(x->th, (int)x->args[0], file);
	if (file->regular && x->offset_arg >= 0 && x->args[x->offset_arg] <= INT64_MAX) {
		uint64_t at = x->args[x->offset_arg] + x->done;

		file->avail = file->size > at ? file->size - at : 0;
	}
}

/*
 * Has a write to a regular file come to RLIMIT_FSIZE? Linux cuts the write there; to ask for more would raise SIGXFSZ.
 */
static bool at_size_limit(const struct fl_io_transfer *x)
{
	struct rlimit limit;
	struct stat st;
	bool regular;
	off_t at;
	int dup;

	if (prlimit(x->th->tid, RLIMIT_FSIZE, NULL, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return false;
	dup = fl_io_dup(x->th, (int)x->args[0]);
	if (dup < 0)
		return false;
	regular = !fstat(dup, &st) && S_ISREG(st.st_mode);
	at = lseek(dup, 0, SEEK_CUR);
	close(dup);
	if (x->offset_arg >= 0 && x->args[x->offset_arg] <= INT64_MAX)
		at = (off_t)(x->args[x->offset_arg] + x->done);
	return regular && at >= 0 && (uint64_t)at >= limit.rlim_cur;
}

/* Is there a reason to go on after a part that came short? Then *gap is filled where it must be before. */
static bool goes_on(const struct fl_io_transfer *x, int64_t result, struct fl_io_gap *gap)
{
	struct fl_io_file file = {0};

	if (result == 0 || (result < 0 && result != -EFAULT) || x->done >= x->total || !next_gap(x, gap))
		return false;
	if (result > 0 && !x->reading)
		return !at_size_limit(x);
	look(x, &file);
	if (result > 0) {
		if (file.stream && !file.avail)
			return false;
		/* A file of the kernel's own does not know its length: ask it again, and it fails if there is more. */
		if (!file.stream && (!file.known || !file.avail || file.avail == UINT64_MAX))
			return true;
	}
	return fill(x, gap, &file);
}

static void transfer(struct fl_io_transfer *x)
{
	struct guest_thread *th = x->th;
	struct fl_io_gap gap = {0};
	unsigned rounds = 0;
	uint64_t before;
	int64_t result;
	fl_va last = 0;
	int again;

	for (;;) {
		before = x->done;
		if (fl_run_syscall(th, &result))
			return;
		if (result > 0)
			x->done += (uint64_t)result;
		if (!goes_on(x, result, &gap) || fl_io_gone(th))
			break;
		rounds = gap.va == last && x->done == before ? rounds + 1 : 0;
		last = gap.va;
		if (rounds >= SAME_GAP_MAX || !set_rest(x))
			break;
		again = fl_call_again(th);
		if (again < 0)
			return;
		if (!again) {
			fl_io_restore(th, x->args);
			if (x->done)
				fl_finish_call(th, (int64_t)x->done, x->args);
			return;
		}
	}
	if (fl_io_gone(th))
		return;
	fl_io_restore(th, x->args);
	if (x->done && result != (int64_t)x->done)
		fl_set_result(th, (int64_t)x->done);
}

/* Which arguments say what. */
static void describe(struct fl_io_transfer *x)
{
	x->buf_arg = 1;
	x->len_arg = 2;
	x->offset_arg = -1;
	switch (x->nr) {
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_preadv:
	case SYS_pwritev:
	case SYS_preadv2:
	case SYS_pwritev2:
		x->offset_arg = 3;
		break;
	case SYS_getrandom:
		x->buf_arg = 0;
		x->len_arg = 1;
		break;
	case SYS_sendto:
		if (x->args[4] && x->args[5] && x->args[5] <= 128)
			x->extra = (struct fl_io_gap){x->args[4], x->args[5], FL_READ};
		break;
	}
	for (unsigned i = 0; i < FL_CALL_ARGS; i++) {
		const struct fl_call_arg *arg = &fl_call_find(x->nr)->args[i];

		if (arg->index == x->buf_arg && arg->size) {
			x->reading = arg->dir == FL_ARG_OUT;
			x->vector = arg->size == FL_SIZE_IOVEC;
		}
	}
}

/*
 * What Linux is going to touch is known beforehand where a file says what it has to give: then it is put there before
 * the call, which then needs no restart. Returns true if the call can go on natively, unseen.
 */
static bool prepared(struct fl_io_transfer *x, const struct fl_io_file *file, const struct fl_io_gap *gap)
{
	uint64_t n = x->total;
	struct fl_io_gap left;

	if (!file->known || !file->opened[x->reading ? 0 : 1])
		return false;
	if (x->reading && (!file->avail || file->avail == UINT64_MAX))
		return false;
	if (!x->reading && !may_run_ahead(x, file))
		return false;
	if (!fill(x, gap, file) || fl_io_gone(x->th))
		return false;
	if (x->reading && n > file->avail)
		n = file->avail;
	return fl_io_alone(x->th) && !fl_io_segment_gap(x, 0, n, &left);
}

static void run_transfer(struct fl_io_transfer *x)
{
	struct fl_io_file file = {0};
	struct fl_io_gap gap;
	bool missing = next_gap(x, &gap);

	if (!missing && fl_io_alone(x->th))
		return;
	if (!missing && x->nr == SYS_write && fl_call_unwatched(x->th, (int)x->args[0], x->args[1], x->total))
		return;
	if (missing || x->reading) /* nothing about the file matters to a write whose pages are there */
		look(x, &file);
	if (x->reading && x->nr != SYS_getrandom && file.consumes)
		fl_io_bounced_read(x);
	else if (!missing || !prepared(x, &file, &gap))
		if (!fl_io_gone(x->th))
			transfer(x);
}

void fl_io_buffer(struct guest_thread *th)
{
	struct fl_io_seg seg[FL_IO_SEGMENTS];
	struct fl_io_transfer x = {.th = th, .nr = fl_regs(th)->orig_rax, .seg = seg, .nseg = 1};
	bool ours = false;

	fl_io_args(th, x.args);
	describe(&x);
	if (x.vector) {
		/* With a wrong vector the kernel finds the right error. */
		if (fl_io_read_iovec(th, x.args[x.buf_arg], x.args[x.len_arg], seg, &x.total) || fl_io_gone(th))
			return;
		x.array = x.args[x.buf_arg];
		x.nseg = (unsigned)x.args[x.len_arg];
		ours = fl_io_engine(x.array, x.nseg * sizeof(*seg));
	} else {
		x.total = x.args[x.len_arg] < FL_IO_TRANSFER_MAX ? x.args[x.len_arg] : FL_IO_TRANSFER_MAX;
		seg[0] = (struct fl_io_seg){x.args[x.buf_arg], x.total};
		ours = fl_io_engine(x.extra.va, x.extra.len) ||
		       (x.nr == SYS_recvfrom && (fl_io_engine(x.args[4], 1) || fl_io_engine(x.args[5], 4)));
	}
	for (unsigned i = 0; i < x.nseg && !ours; i++)
		ours = fl_io_engine(seg[i].base, seg[i].len);
	if (!ours)
		return;
	if (x.nr == SYS_recvfrom && x.args[4]) {
		fl_io_bounced_read(&x);
		return;
	}
	run_transfer(&x);
}
