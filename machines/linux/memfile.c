/* SPDX-License-Identifier: MIT */
/*
 * How a guest process gets a descriptor of the memory file, for the moment in which it maps its hidden pages.
 *
 *   by name      /proc/SUPERVISOR/fd/N: one call, but it needs the supervisor's user, and its /proc
 *   by message   from an abstract socket of the supervisor's: works for other users, in a chroot, and with another /proc, but
 *                not in another network namespace
 *
 * The second is tried when the first fails. The socket gives the descriptor only to the very task that is waited for.
 *
 * After exec the calls' arguments lie on the new stack, which is the host's, in place of the program's own for a
 * moment. Fork's child may run on a stack of the engine's and has no agent yet that could map anything; they lie in the
 * control page that it has inherited, and `exchange` lets one child at a time have that place.
 *
 * No other locks: one OS thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "linux/host.h"
#include "linux/io.h"

/* What the guest's calls point to, on its stack. */
struct exchange {
	char path[48];
	struct sockaddr_un to;
	struct {
		uint64_t name;
		uint32_t namelen, pad;
		uint64_t iov, iovlen, control, controllen;
		int32_t flags, pad2;
	} msg;
	struct {
		uint64_t base, len;
	} iov;
	char byte[8];
	struct {
		uint64_t len;
		int32_t level, type;
		int32_t fd, pad;
	} control;
};

/* A call in the guest, whether it has hidden pages yet or not. */
static int64_t call(struct guest_thread *th, bool early, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	return early ? fl_inject_early(th, nr, a0, a1, a2, a3, 0, 0) : fl_inject(th, nr, a0, a1, a2, a3, 0, 0);
}

FL_STATIC_ASSERT(sizeof(struct exchange) <= FL_PAGE - (FL_HIDDEN_EXCHANGE - FL_HIDDEN_CTL), "there is room for it");

static int listen_once(struct guest *g)
{
	struct fl_host *h = g->host;
	uint64_t random = 0;
	int n;

	if (h->giver > 0)
		return 0;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -errno;
	h->giver = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->giver < 0)
		return -errno;
	h->giver_name.sun_family = AF_UNIX;
	n = snprintf(h->giver_name.sun_path + 1, sizeof(h->giver_name.sun_path) - 1, "faultline-%d-%016llx",
		     (int)getpid(), (unsigned long long)random);
	h->giver_size = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (unsigned)n);
	if (bind(h->giver, (struct sockaddr *)&h->giver_name, h->giver_size) || listen(h->giver, 16))
		return -errno;
	return 0;
}

/* To the task's connection, which has been made and waits to be accepted. */
static int give(struct guest *g, pid_t pid)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t) "", 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space};
	struct cmsghdr *c;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int s, r = -EPERM;

	msg.msg_controllen = sizeof(control.space);
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &g->memfd, sizeof(int));
	while ((s = accept4(g->host->giver, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		if (!getsockopt(s, SOL_SOCKET, SO_PEERCRED, &peer, &len) && peer.pid == pid)
			r = sendmsg(s, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
		close(s);
	}
	return r;
}

static bool put(struct guest_thread *th, bool early, fl_va at, const struct exchange *x)
{
	uint8_t *page = th->g->host->control + FL_PAGE * (1 + th->mm->made_slot);

	if (early)
		return fl_host_write(th->mm, at, x, sizeof(*x)) == sizeof(*x);
	memcpy(page + (at - FL_HIDDEN_CTL), x, sizeof(*x));
	return true;
}

static bool get(struct guest_thread *th, bool early, fl_va at, struct exchange *x)
{
	const uint8_t *page = th->g->host->control + FL_PAGE * (1 + th->mm->made_slot);

	if (early)
		return fl_host_read(th->mm, x, at, sizeof(*x)) == sizeof(*x);
	memcpy(x, page + (at - FL_HIDDEN_CTL), sizeof(*x));
	return true;
}

static int64_t by_message(struct guest_thread *th, bool early, fl_va at, struct exchange *x)
{
	struct guest *g = th->g;
	int64_t s, r;

	r = listen_once(g);
	if (r)
		return r;
	memcpy(&x->to, &g->host->giver_name, sizeof(x->to));
	x->iov.base = at + offsetof(struct exchange, byte);
	x->iov.len = 1;
	x->msg.iov = at + offsetof(struct exchange, iov);
	x->msg.iovlen = 1;
	x->msg.control = at + offsetof(struct exchange, control);
	x->msg.controllen = sizeof(x->control);
	if (!put(th, early, at, x))
		return -FL_EFAULT;
	s = call(th, early, SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, 0);
	if (s < 0)
		return s;
	r = call(th, early, SYS_connect, (uint64_t)s, at + offsetof(struct exchange, to), g->host->giver_size, 0);
	if (!r)
		r = give(g, th->proc->pid);
	if (!r)
		r = call(th, early, SYS_recvmsg, (uint64_t)s, at + offsetof(struct exchange, msg), MSG_CMSG_CLOEXEC, 0);
	call(th, early, SYS_close, (uint64_t)s, 0, 0, 0);
	if (r != 1)
		return r < 0 ? r : -FL_EIO;
	return get(th, early, at, x) ? x->control.fd : -FL_EFAULT;
}

static int64_t open_at(struct guest_thread *th, bool early, fl_va at)
{
	struct exchange x = {.path = ""};
	int64_t r, message;

	snprintf(x.path, sizeof(x.path), "/proc/%d/fd/%d", (int)getpid(), th->g->memfd);
	if (!put(th, early, at, &x))
		return -FL_EFAULT;
	r = call(th, early, SYS_open, at, O_RDWR | O_CLOEXEC, 0, 0);
	if (r < 0 && r != -FL_ESRCH) {
		message = by_message(th, early, at, &x);
		if (message >= 0)
			r = message;
	}
	return r;
}

/*
 * On the arguments' own place, and those put back afterwards: below the stack pointer there may be no page yet, and
 * what writes to another process makes none.
 */
static int64_t open_early(struct guest_thread *th)
{
	fl_va at = fl_regs(th)->rsp;
	struct exchange kept;
	int64_t r;

	if (!get(th, true, at, &kept))
		return -FL_EFAULT;
	r = open_at(th, true, at);
	if (!fl_io_gone(th) && !put(th, true, at, &kept))
		return -FL_EFAULT;
	return r;
}

int64_t fl_memfile_open(struct guest_thread *th, bool early)
{
	int64_t r;

	if (early)
		return open_early(th);
	fl_mutex_lock(&th->g->host->exchange);
	r = open_at(th, false, FL_HIDDEN_EXCHANGE);
	fl_mutex_unlock(&th->g->host->exchange);
	return r;
}
