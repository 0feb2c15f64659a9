/* SPDX-License-Identifier: MIT */
/*
 * The context: its making, its references, the ioctls but for fills, and its end.
 *
 * A context is bound to the address space of its creator. It keeps that structure, but not the mappings: when the last
 * task has left, the calls say so (fills ESRCH, registering ENOMEM, wake nothing at all). Each registered VMA keeps the
 * context. At the last close `released` is set first: from then on a fault takes the context for absent, so the
 * registrations that cannot be removed for want of memory do no harm.
 *
 * The mutex guards what context.h says; it is never held across another room's call.
 */
#include "faultline/uaccess.h"
#include "uffd/context.h"

int fl_uffd_create(struct fl_task *t, int flags, bool privileged, const struct fl_uffd_ops *ops, void *arg,
		   struct fl_uffd **out)
{
	struct fl_uffd *u;

	if (!privileged && !(flags & FL_UFFD_USER_MODE_ONLY))
		return -FL_EPERM;
	if (!t->mm || (flags & ~(FL_O_CLOEXEC | FL_O_NONBLOCK | FL_UFFD_USER_MODE_ONLY)) ||
	    ((flags & FL_UFFD_USER_MODE_ONLY) && !t->mm->profile->user_mode_only))
		return -FL_EINVAL;
	u = fl_port_alloc(sizeof(*u));
	if (!u)
		return -FL_ENOMEM;
	u->refs = 1;
	u->flags = flags;
	u->ops = ops;
	u->arg = arg;
	u->mm = t->mm;
	fl_mm_ref(u->mm);
	*out = u;
	return 0;
}

void fl_uffd_get(struct fl_uffd *u)
{
	if (u)
		fl_count(&u->refs, 1);
}

void fl_uffd_put(struct fl_uffd *u)
{
	if (!u || fl_add(&u->refs, -1))
		return;
	fl_mm_unref(u->mm);
	fl_port_free(u, sizeof(*u));
}

bool fl_uffd_released(const struct fl_uffd *u)
{
	return fl_load_acquire(&u->released) != 0; /* partner: fl_uffd_release */
}

void fl_uffd_info(struct fl_uffd *u, struct fl_uffd_info *info)
{
	uint32_t features;

	fl_mutex_lock(&u->mutex);
	info->pending = u->unread;
	info->total = u->waiting;
	features = u->features;
	fl_mutex_unlock(&u->mutex);
	info->features = features & ~FL_UFFD_READY;
	info->ready = (features & FL_UFFD_READY) != 0;
}

bool fl_uffd_range_ok(const struct fl_uffd *u, uint64_t start, uint64_t len)
{
	uint64_t within = fl_mm_page(u->mm) - 1, top = u->mm->arch->task_size;

	return !((start | len) & within) && len && start < top && len <= top - start;
}

/*
 * UFFDIO_API after its structure has been read. Returns what the call returns; whatever fails leaves zeros in the
 * structure, unless that is what could not be written.
 */
static int handshake(struct fl_task *t, struct fl_uffd *u, fl_va arg, const struct fl_uffdio_api *want)
{
	struct fl_uffdio_api offer = {
		.api = FL_UFFD_API,
		.features = FL_UFFD_SUPPORTED & u->mm->profile->uffd_features,
		/* The ioctls on the descriptor: REGISTER (0), UNREGISTER (1), API (63). */
		.ioctls = 1ull << 63 | 1ull << 1 | 1ull << 0,
	};
	uint32_t ready = (uint32_t)want->features | FL_UFFD_READY;
	int err = 0;

	if (want->api != FL_UFFD_API)
		return -FL_EINVAL;
	if ((want->features & FL_UFFD_FEATURE_EVENT_FORK) && !(t->caps & FL_CAP_SYS_PTRACE))
		return -FL_EPERM;
	if (want->features & ~offer.features)
		return -FL_EINVAL;
	/* First the answer, then the deed: a structure that cannot be written leaves the descriptor as it was. */
	if (fl_copy_to_user(t, arg, &offer, sizeof(offer)))
		return -FL_EFAULT;
	fl_mutex_lock(&u->mutex);
	if (u->features)
		err = -FL_EINVAL;
	else
		fl_store_release(&u->features, ready); /* partner: every call looks here first, without the mutex */
	fl_mutex_unlock(&u->mutex);
	return err;
}

static int ioctl_api(struct fl_task *t, struct fl_uffd *u, fl_va arg)
{
	static const struct fl_uffdio_api zero;
	struct fl_uffdio_api want;
	int err;

	if (fl_copy_from_user(t, &want, arg, sizeof(want)))
		return -FL_EFAULT;
	err = handshake(t, u, arg, &want);
	if (err && err != -FL_EFAULT && fl_copy_to_user(t, arg, &zero, sizeof(zero)))
		err = -FL_EFAULT;
	return err;
}

/* Register [start, start + len) with u for modes, or unregister it (0). */
static int set_range(struct fl_task *t, struct fl_uffd *u, fl_va start, uint64_t len, uint64_t modes)
{
	int err;

	if (!fl_mm_get_not_zero(u->mm))
		return -FL_ENOMEM;
	err = fl_mm_set_uffd(t, u->mm, start, start + len, u, modes ? u : NULL, modes);
	fl_mm_put(u->mm);
	return err;
}

static int ioctl_register(struct fl_task *t, struct fl_uffd *u, fl_va arg)
{
	/* What may be done with the range: WAKE (2), COPY (3), ZEROPAGE (4). */
	uint64_t ioctls = 1ull << 2 | 1ull << 3 | 1ull << 4;
	struct fl_uffdio_register r;
	int err;

	if (fl_copy_from_user(t, &r, arg, offsetof(struct fl_uffdio_register, ioctls)))
		return -FL_EFAULT;
	/* WP and MINOR as on an architecture that has neither. */
	if (r.mode != FL_UFFDIO_REGISTER_MODE_MISSING)
		return -FL_EINVAL;
	if (!fl_uffd_range_ok(u, r.range.start, r.range.len))
		return -FL_EINVAL;
	err = set_range(t, u, r.range.start, r.range.len, FL_VM_UFFD_MISSING);
	if (err)
		return err;
	/* The range stays registered when this fails, as in Linux. */
	if (fl_put_user(t, arg + offsetof(struct fl_uffdio_register, ioctls), &ioctls, sizeof(ioctls)))
		return -FL_EFAULT;
	return 0;
}

static int ioctl_unregister(struct fl_task *t, struct fl_uffd *u, fl_va arg)
{
	struct fl_uffdio_range r;

	if (fl_copy_from_user(t, &r, arg, sizeof(r)))
		return -FL_EFAULT;
	if (!fl_uffd_range_ok(u, r.start, r.len))
		return -FL_EINVAL;
	return set_range(t, u, r.start, r.len, 0);
}

static int ioctl_wake(struct fl_task *t, struct fl_uffd *u, fl_va arg)
{
	struct fl_uffdio_range r;

	if (fl_copy_from_user(t, &r, arg, sizeof(r)))
		return -FL_EFAULT;
	if (!fl_uffd_range_ok(u, r.start, r.len))
		return -FL_EINVAL;
	fl_uffd_wake(u, r.start, r.start + r.len);
	return 0;
}

static int dispatch(struct fl_task *t, struct fl_uffd *u, uint32_t cmd, fl_va arg)
{
	if (cmd == FL_UFFDIO_API)
		return ioctl_api(t, u, arg);
	if (!(fl_load_acquire(&u->features) & FL_UFFD_READY)) /* partner: handshake */
		return -FL_EINVAL;
	switch (cmd) {
	case FL_UFFDIO_REGISTER:
		return ioctl_register(t, u, arg);
	case FL_UFFDIO_UNREGISTER:
		return ioctl_unregister(t, u, arg);
	case FL_UFFDIO_WAKE:
		return ioctl_wake(t, u, arg);
	case FL_UFFDIO_COPY:
		return fl_uffd_copy(t, u, arg);
	case FL_UFFDIO_ZEROPAGE:
		return fl_uffd_zeropage(t, u, arg);
	default:
		return -FL_EINVAL;
	}
}

int fl_uffd_ioctl(struct fl_task *t, struct fl_uffd *u, uint32_t cmd, fl_va arg)
{
	int err;

	fl_uffd_get(u); /* the last close may come while this call sleeps */
	err = dispatch(t, u, cmd, arg);
	fl_uffd_put(u);
	return err;
}

void fl_uffd_release(struct fl_task *t, struct fl_uffd *u)
{
	fl_mutex_lock(&u->mutex);
	/* Partners: fl_uffd_fault, which looks under the mutex before it queues itself, and fl_uffd_released. */
	fl_store_release(&u->released, 1);
	fl_mutex_unlock(&u->mutex);
	if (fl_mm_get_not_zero(u->mm)) {
		fl_mm_drop_uffd(t, u->mm, u);
		fl_mm_put(u->mm);
	}
	fl_uffd_wake(u, 0, u->mm->arch->task_size);
	fl_uffd_put(u);
}
