/* SPDX-License-Identifier: MIT */
/*
 * The userfaultfd statements, and the life of the descriptors.
 *
 * As in Linux a call keeps the object: `close` ends the descriptor, and the object is released when the last call under way
 * has left it. All processes share the descriptors.
 *
 * The unread callback comes under the object's mutex.
 */
#include <string.h>

#include "explore/exec/exec_int.h"

static void note_unread(void *arg, uint32_t n)
{
	struct fl_file *f = arg;

	fl_add(&f->word.changes, 1);
	f->unread = n;
}

static const struct fl_uffd_ops waited_ops = {.unread = note_unread};

static bool open_call(struct fl_actor *a, unsigned u)
{
	struct fl_file *f = &a->x->stage->file[u];

	if (a->x->closed[u])
		fl_or(&f->turn, 0);
	if (!f->open)
		return false;
	f->refs++;
	return true;
}

/* If it is never closed, who counts last does not matter: so that costs no step. */
static void close_call(struct fl_actor *a, unsigned u)
{
	struct fl_file *f = &a->x->stage->file[u];
	struct fl_uffd *object = f->u;

	if (a->x->closed[u])
		fl_or(&f->turn, 0);
	if (--f->refs)
		return;
	f->u = NULL;
	fl_uffd_release(&a->task, object);
}

static int64_t do_close(struct fl_actor *a, unsigned u)
{
	struct fl_file *f = &a->x->stage->file[u];

	fl_or(&f->turn, 0);
	if (!f->open)
		return -FL_EBADF;
	f->open = false;
	if (--f->refs)
		return 0;
	fl_uffd_release(&a->task, f->u);
	f->u = NULL;
	return 0;
}

/* An ioctl whose structure of n bytes is put where the call expects it. */
static int64_t call(struct fl_actor *a, unsigned u, uint32_t cmd, const void *io, size_t n)
{
	memcpy(a->page[0], io, n);
	return fl_uffd_ioctl(&a->task, a->x->stage->file[u].u, cmd, a->scratch);
}

static struct fl_uffdio_range range_of(const struct fl_actor *a, const struct fl_sc_range *r)
{
	return (struct fl_uffdio_range){fl_exec_address(a->x, r), fl_exec_bytes(a->x, r)};
}

static int64_t do_register(struct fl_actor *a, const struct fl_sc_statement *s)
{
	struct fl_uffdio_register r = {.range = range_of(a, &s->range), .mode = s->modes};

	return call(a, s->object, FL_UFFDIO_REGISTER, &r, sizeof(r));
}

static int64_t do_create(struct fl_actor *a, const struct fl_sc_statement *s)
{
	struct fl_file *f = &a->x->stage->file[s->object];
	struct fl_uffdio_api api = {.api = FL_UFFD_API, .features = s->features};
	int flags = FL_O_CLOEXEC | (s->nonblock ? FL_O_NONBLOCK : 0) | (s->user_only ? FL_UFFD_USER_MODE_ONLY : 0);
	int64_t err;

	err = fl_uffd_create(&a->task, flags, true, a->x->waited[s->object] ? &waited_ops : NULL, f, &f->u);
	if (err)
		return err;
	f->open = true;
	f->refs = 1;
	err = call(a, s->object, FL_UFFDIO_API, &api, sizeof(api));
	if (!err && s->modes)
		err = do_register(a, s);
	return err;
}

/* Every word of the pages to copy is value. */
static void fill(struct fl_actor *a, uint64_t value)
{
	size_t words = ((size_t)1 << a->x->arch.geometry.page_shift) / sizeof(value);

	if (a->filled && a->fill == value)
		return;
	for (unsigned i = 1; i < a->x->thread[a->index].scratch; i++) {
		uint64_t *page = (uint64_t *)(void *)a->page[i];

		for (size_t k = 0; k < words; k++)
			page[k] = value;
	}
	a->filled = true;
	a->fill = value;
}

static int64_t do_copy(struct fl_actor *a, const struct fl_sc_statement *s)
{
	struct fl_uffdio_range r = range_of(a, &s->range);
	struct fl_uffdio_copy c = {.dst = r.start, .len = r.len};

	c.mode = (s->dontwake ? FL_UFFDIO_COPY_MODE_DONTWAKE : 0u) | (s->wp ? FL_UFFDIO_COPY_MODE_WP : 0u);
	if (s->has_other) {
		c.src = fl_exec_address(a->x, &s->other);
	} else {
		fill(a, (uint64_t)fl_exec_value(a, s->value));
		c.src = a->scratch + ((fl_va)1 << a->x->arch.geometry.page_shift);
	}
	return call(a, s->object, FL_UFFDIO_COPY, &c, sizeof(c));
}

static int64_t do_zeropage(struct fl_actor *a, const struct fl_sc_statement *s)
{
	struct fl_uffdio_zeropage z = {.range = range_of(a, &s->range)};

	z.mode = s->dontwake ? FL_UFFDIO_ZEROPAGE_MODE_DONTWAKE : 0;
	return call(a, s->object, FL_UFFDIO_ZEROPAGE, &z, sizeof(z));
}

static int64_t do_range(struct fl_actor *a, const struct fl_sc_statement *s, uint32_t cmd)
{
	struct fl_uffdio_range r = range_of(a, &s->range);

	return call(a, s->object, cmd, &r, sizeof(r));
}

static void describe(const struct fl_exec *x, const struct fl_uffd_msg *m, int64_t *field)
{
	union {
		uint64_t arg;
		uint32_t word[2];
	} tid = {.arg = m->arg2};

	field[FL_SC_F_EVENT] = m->event;
	if (m->event == FL_UFFD_EVENT_PAGEFAULT) {
		field[FL_SC_F_ADDRESS] = (int64_t)(m->arg1 - x->window);
		field[FL_SC_F_FLAGS] = (int64_t)m->arg0;
		if (tid.word[0])
			field[FL_SC_F_THREAD] = tid.word[0] - 1;
	} else if (m->event != FL_UFFD_EVENT_FORK) {
		field[FL_SC_F_ADDRESS] = (int64_t)(m->arg0 - x->window);
		field[FL_SC_F_END] = (int64_t)(m->arg1 - x->window);
	}
}

static int64_t do_read(struct fl_actor *a, const struct fl_sc_statement *s, int64_t *field)
{
	struct fl_file *f = &a->x->stage->file[s->object];
	struct fl_uffd_msg m;
	int err;

	err = fl_uffd_read_message(&a->task, f->u, s->nonblock || a->x->nonblock[s->object], &m);
	if (err)
		return err == -FL_ERESTARTSYS ? FL_SC_INTERRUPTED : err;
	f->reads++;
	describe(a->x, &m, field);
	return m.event;
}

static bool has_unread(void *arg)
{
	return ((struct fl_file *)arg)->unread > 0;
}

/* As poll(2) that sleeps. */
static int64_t do_wait(struct fl_actor *a, unsigned u)
{
	struct fl_file *f = &a->x->stage->file[u];

	for (;;) {
		fl_word_await(&f->word, a, has_unread, f);
		if (f->unread)
			return 0;
		if (fl_word_stirred(&f->word, a) && fl_load_acquire(&a->task.signals))
			return FL_SC_INTERRUPTED;
	}
}

static int64_t dispatch(struct fl_actor *a, const struct fl_sc_statement *s, int64_t *field)
{
	switch (s->op) {
	case FL_SC_REGISTER:
		return do_register(a, s);
	case FL_SC_UNREGISTER:
		return do_range(a, s, FL_UFFDIO_UNREGISTER);
	case FL_SC_COPY:
		return do_copy(a, s);
	case FL_SC_ZEROPAGE:
		return do_zeropage(a, s);
	case FL_SC_WAKE:
		return do_range(a, s, FL_UFFDIO_WAKE);
	case FL_SC_READ:
		return do_read(a, s, field);
	case FL_SC_POLL:
		return fl_uffd_poll(a->x->stage->file[s->object].u, true);
	default:
		return do_wait(a, s->object);
	}
}

int64_t fl_exec_uffd_call(struct fl_actor *a, const struct fl_sc_statement *s, int64_t *field)
{
	int64_t ret;

	if (s->op == FL_SC_UFFD)
		return do_create(a, s);
	if (s->op == FL_SC_CLOSE)
		return do_close(a, s->object);
	if (!open_call(a, s->object))
		return -FL_EBADF;
	ret = dispatch(a, s, field);
	close_call(a, s->object);
	return ret;
}
