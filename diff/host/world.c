/* SPDX-License-Identifier: MIT */
/*
 * Worlds: the processes of one program, from the first fork to the last one's end.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "diff/host/internal.h"

#define BEGIN_SECONDS 20.0 /* a machine may be very busy */
#define WAIT_STEP 2000000  /* nanoseconds */

static unsigned process_of(const struct fl_scenario *s, unsigned actor)
{
	return actor < s->threads ? s->thread[actor].process : 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void forget(struct fl_kern *k)
{
	for (unsigned i = 0; i < FL_DIFF_ACTORS; i++)
		close_one(&k->actor[i].stat);
	for (unsigned i = 0; i < FL_DIFF_PROCESSES; i++) {
		struct fl_kern_process *p = &k->process[i];

		close_one(&p->pidfd);
		close_one(&p->maps);
		close_one(&p->smaps);
		close_one(&p->pagemap);
		close_one(&p->mem);
	}
	k->running = false;
}

/* Setup has no thread of its own where it has nothing to do. */
static void assign(struct fl_kern *k, const struct fl_scenario *s)
{
	struct fl_kern_board *b = fl_kern_board(k->area);

	k->processes = (unsigned)s->processes + 1;
	k->actors = (unsigned)s->threads + 1;
	k->stray = false;
	k->filled = false;
	for (unsigned i = 0; i < FL_DIFF_PROCESSES; i++) {
		k->process[i] =
			(struct fl_kern_process){.pidfd = -1, .maps = -1, .smaps = -1, .pagemap = -1, .mem = -1};
		b->family[i].members = 0;
		b->family[i].leader = FL_DIFF_ACTORS;
		atomic_store(&b->family[i].pid, 0);
		atomic_store(&b->family[i].unready, 0);
	}
	for (unsigned a = 0; a < FL_DIFF_ACTORS; a++)
		k->actor[a].stat = -1;
	for (unsigned a = 0; a < k->actors; a++) {
		struct fl_kern_actor *actor = &k->actor[a];
		struct fl_kern_family *f = &b->family[process_of(s, a)];

		memset(fl_kern_slot(k->area, a), 0, sizeof(struct fl_kern_slot));
		actor->process = process_of(s, a);
		actor->busy = actor->asleep = actor->sure = actor->spins = actor->exits = actor->gone = false;
		actor->answer.state = FL_ANSWER_NONE;
		actor->absent = a == s->threads && !s->setups && f->members;
		if (actor->absent)
			continue;
		if (f->leader == FL_DIFF_ACTORS || a == s->threads)
			f->leader = a;
		f->members |= 1u << a;
		atomic_fetch_add(&f->unready, 1);
	}
	b->unprivileged = s->unprivileged;
	atomic_store(&b->error, 0);
	atomic_store(&b->death, 0);
}

static int open_file(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/*
 * Its files are opened now: they show the address space even when the first thread has ended. (One that ended meanwhile has none; that is
 * found out by who waits for it.)
 */
int fl_kern_process_born(struct fl_kern *k, unsigned process, char **error)
{
	struct fl_kern_process *p = &k->process[process];

	p->made = p->born = true;
	p->pid = atomic_load(&fl_kern_board(k->area)->family[process].pid);
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	p->maps = open_file(p->pid, "maps");
	p->pagemap = open_file(p->pid, "pagemap");
	p->mem = open_file(p->pid, "mem");
	if (p->pidfd >= 0 && p->maps >= 0 && p->pagemap >= 0 && p->mem >= 0)
		return 0;
	return fl_kern_error(error, "cannot look at process %d, which executes the program: %s", (int)p->pid,
			     strerror(errno));
}

bool fl_kern_process_died(struct fl_kern *k, unsigned process)
{
	struct pollfd p = {.fd = k->process[process].pidfd, .events = POLLIN};

	return p.fd >= 0 && poll(&p, 1, 0) > 0 && p.revents;
}

int fl_kern_cannot_fork(struct fl_kern *k, char **error)
{
	int err = -atomic_load(&fl_kern_board(k->area)->error);

	return fl_kern_error(error, "cannot fork a process or a thread for a program: %s%s", strerror(err),
			     err == EAGAIN ? "; more must be allowed (ulimit -u, pids.max), or fewer run (--jobs 1)"
					   : "");
}

/* A first thread that is killed while it is young is seen by its parent alone, which is not us. */
static int wait_until_ready(struct fl_kern *k, char **error)
{
	struct fl_kern_board *b = fl_kern_board(k->area);
	double start = fl_kern_now();

	for (;;) {
		uint32_t bell = atomic_load(&b->bell);

		if (!atomic_load(&b->family[0].unready))
			return 0;
		if (atomic_load(&b->error))
			return fl_kern_cannot_fork(k, error);
		if (fl_kern_now() - start > BEGIN_SECONDS)
			return fl_kern_error(error, "a process for a program did not begin within %.0f s",
					     BEGIN_SECONDS);
		if (fl_kern_wait(&b->bell, bell, WAIT_STEP) == -ETIMEDOUT && !fl_kern_zygote_lives(k))
			return fl_kern_error(error, "the process that programs are forked from was killed");
	}
}

static int start_world(struct fl_kern *k, const struct fl_scenario *s, char **error)
{
	struct fl_kern_board *b;

	if (!fl_kern_zygote_lives(k) && fl_kern_zygote_start(k, error))
		return -1;
	b = fl_kern_board(k->area);
	assign(k, s);
	k->running = true;
	atomic_fetch_add(&b->requested, 1);
	fl_kern_wake(&b->requested);
	if (!wait_until_ready(k, error) && !fl_kern_process_born(k, 0, error))
		return 0;
	forget(k);
	return -1;
}

int fl_kern_begin(struct fl_side *side, const struct fl_scenario *s, char **error)
{
	struct fl_kern *k = fl_kern_of(side);

	*error = NULL;
	if (s->threads >= FL_DIFF_ACTORS || s->processes >= FL_DIFF_PROCESSES)
		return fl_kern_error(error, "%zu threads and %zu forked processes; at most %u and %u can be compared",
				     s->threads, s->processes, FL_DIFF_THREADS, FL_DIFF_PROCESSES - 1);
	if (k->running)
		fl_kern_end(side);
	if (!start_world(k, s, error))
		return 0;
	/* The zygote may have been dying when it was asked: once more, with another. */
	if (fl_kern_zygote_lives(k)) {
		fl_kern_zygote_stop(k); /* and what it has forked dies with it */
		return -1;
	}
	free(*error);
	*error = NULL;
	return start_world(k, s, error);
}

/* Children of the zygote that nobody knows. Each look kills what is there. False: there are some. */
static bool kill_strays(struct fl_kern *k)
{
	char path[64], *text, *end;
	bool none = true;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)k->zygote, (int)k->zygote);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	text = fd < 0 ? NULL : fl_kern_read_all(k, fd);
	if (fd >= 0)
		close(fd);
	while (text && *text) {
		long pid = strtol(text, &end, 10);

		if (end == text || pid <= 0)
			break;
		kill((pid_t)pid, SIGKILL);
		none = false;
		text = end + (*end == ' ');
	}
	return none;
}

/* A process of which nobody knows enough to wait for it: it has just been forked, or is about to be. */
static bool has_unborn(const struct fl_kern *k)
{
	for (unsigned i = 0; i < k->processes; i++)
		if (k->process[i].made && !k->process[i].born)
			return true;
	for (unsigned i = 0; i < k->actors; i++)
		if (k->actor[i].busy && k->actor[i].call.kind == FL_CALL_FORK)
			return true;
	return false;
}

static bool all_dead(struct fl_kern *k)
{
	for (unsigned i = 0; i < k->processes; i++) {
		if (k->process[i].born && !k->process[i].gone && !fl_kern_process_died(k, i))
			return false;
		k->process[i].gone = true;
	}
	return !k->stray || kill_strays(k);
}

void fl_kern_end(struct fl_side *side)
{
	struct fl_kern *k = fl_kern_of(side);
	double start = fl_kern_now();

	if (!k->running)
		return;
	k->stray |= has_unborn(k);
	for (unsigned i = 0; i < k->processes; i++)
		if (k->process[i].born && !k->process[i].gone)
			syscall(SYS_pidfd_send_signal, k->process[i].pidfd, SIGKILL, NULL, 0);
	for (unsigned i = 0; i < k->processes; i++) {
		struct pollfd p = {.fd = k->process[i].pidfd, .events = POLLIN};

		if (k->process[i].born && !k->process[i].gone)
			poll(&p, 1, (int)(FL_KERN_SECONDS * 1000));
	}
	while (!all_dead(k)) {
		/* Whoever cannot even be killed keeps the old area. */
		if (fl_kern_now() - start > 2 * FL_KERN_SECONDS) {
			fl_kern_zygote_stop(k);
			break;
		}
		usleep(WAIT_STEP / 1000);
	}
	forget(k);
}
