/* SPDX-License-Identifier: MIT */
/*
 * Calls: what an actor needs for one is put into scratch, carrier and slot, and the actor is woken. Signals to actors and limits are the
 * worker's own work.
 *
 * No locks: one thread; a slot is ours while nothing is posted in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "diff/host/internal.h"

static void fill_words(char *at, uint64_t value, uint64_t bytes)
{
	for (; bytes >= sizeof value; bytes -= sizeof value, at += sizeof value)
		memcpy(at, &value, sizeof value);
}

static uint32_t lay_out(struct fl_kern *k, const struct fl_call *c)
{
	char *scratch = (char *)k->area + c->actor * FL_DIFF_SCRATCH_SIZE;
	char *carrier = k->carried + c->actor * FL_KERN_CARRIER_SIZE;
	uint64_t most = FL_DIFF_SCRATCH_SIZE - FL_DIFF_PAGE, fill = c->fill_pages * FL_DIFF_PAGE;

	memset(scratch, 0, c->outs);
	fill = fill < most ? fill : most;
	if (fill) {
		fill_words(scratch + FL_DIFF_PAGE, c->fill, fill);
		fill_words(carrier, c->fill, fill);
	}
	memcpy(c->carried ? carrier : scratch, c->in, c->ins);
	return 1 + (uint32_t)(fill / FL_DIFF_PAGE);
}

static void resolve_arguments(struct fl_kern_order *o, const struct fl_call *c)
{
	o->brk = 0;
	for (unsigned i = 0; i < 6; i++) {
		o->arg[i] = c->arg[i];
		if (c->how[i] == FL_ARG_UFFD)
			o->arg[i] += FL_KERN_UFFD_FD;
		else if (c->how[i] == FL_ARG_CARRIER)
			o->arg[i] = FL_KERN_CARRIER_FD + c->actor;
		else if (c->how[i] == FL_ARG_BRK)
			o->brk |= 1u << i;
	}
}

/*
 * What is fetched is executed, and an instruction that a program has stored may do anything. Two zero bytes do not: `add
 * %al,(%rax)`. So where the page is there another place of it is asked, and it must answer alike.
 */
static uint64_t find_harmless(struct fl_kern *k, const struct fl_call *c)
{
	const struct fl_kern_process *p = &k->process[k->actor[c->actor].process];
	uint64_t page = c->arg[0] & ~(FL_DIFF_PAGE - 1), at = c->arg[0] - page, entry = 0;
	const char *bytes = k->bytes;

	if (page >= FL_KERN_ADDRESSES ||
	    pread(p->pagemap, &entry, sizeof entry, (off_t)(page / FL_DIFF_PAGE * sizeof entry)) < 0)
		return c->arg[0];
	if (!(entry & FL_KERN_PAGEMAP_PRESENT) ||
	    pread(p->mem, k->bytes, FL_DIFF_PAGE, (off_t)page) != (ssize_t)FL_DIFF_PAGE)
		return c->arg[0];
	for (uint64_t i = at; i + 1 < FL_DIFF_PAGE; i++)
		if (!bytes[i] && !bytes[i + 1])
			return page + i;
	for (uint64_t i = 0; i < at; i++)
		if (!bytes[i] && !bytes[i + 1])
			return page + i;
	return c->arg[0];
}

void fl_kern_post(struct fl_kern *k, const struct fl_call *c)
{
	struct fl_kern_slot *slot = fl_kern_slot(k->area, c->actor);
	struct fl_kern_actor *a = &k->actor[c->actor];
	int32_t poll_fd = FL_KERN_UFFD_FD + (int32_t)c->object;

	a->call = *c;
	a->busy = true;
	a->asleep = a->sure = a->spins = false;
	a->since = 0;
	a->answer.state = FL_ANSWER_NONE;
	slot->order.pages = lay_out(k, c);
	if (c->out_kind == FL_OUT_POLL)
		memcpy((char *)k->area + c->actor * FL_DIFF_SCRATCH_SIZE, &poll_fd, sizeof poll_fd);
	slot->order.kind = c->kind;
	slot->order.nr = c->nr;
	slot->order.value = c->value;
	slot->order.size = c->size;
	slot->order.object = c->object;
	slot->order.opens = c->opens;
	resolve_arguments(&slot->order, c);
	if (c->kind == FL_CALL_FETCH)
		slot->order.arg[0] = find_harmless(k, c);
	slot->order.shift = c->arg[0] - slot->order.arg[0];
	atomic_fetch_add(&slot->posted, 1);
	fl_kern_wake(&slot->posted);
}

/* There is such an actor, it is born, and has not ended. */
static bool is_there(const struct fl_kern *k, unsigned actor)
{
	const struct fl_kern_actor *a = &k->actor[actor];

	return actor < k->actors && k->process[a->process].born && !k->process[a->process].gone && !a->gone;
}

static int64_t send_signal(struct fl_kern *k, unsigned to, bool fatal)
{
	const struct fl_kern_slot *slot = fl_kern_slot(k->area, to);
	struct fl_kern_process *p;

	if (!is_there(k, to))
		return -ESRCH;
	p = &k->process[k->actor[to].process];
	if (fatal) {
		p->dies = true;
		return syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0) ? -errno : 0;
	}
	if (k->actor[to].absent)
		return 0;
	k->actor[to].spins = k->actor[to].busy && k->actor[to].call.kind == FL_CALL_SYSCALL;
	if (k->actor[to].spins)
		fl_kern_let_spin(k, to, true);
	return syscall(SYS_tgkill, atomic_load(&slot->pid), atomic_load(&slot->tid), SIGUSR1) ? -errno : 0;
}

/* In pages: what RLIMIT_AS or RLIMIT_DATA is compared with. */
static uint64_t used_pages(struct fl_kern *k, unsigned process, unsigned limit)
{
	int fd = fl_kern_open_file(k, process, "status");
	char *text = fd < 0 ? NULL : fl_kern_read_all(k, fd);
	char *at = text ? strstr(text, limit == RLIMIT_AS ? "\nVmSize:" : "\nVmData:") : NULL;

	if (fd >= 0)
		close(fd);
	return at ? strtoull(strchr(at, ':') + 1, NULL, 10) * 1024 / FL_DIFF_PAGE : 0;
}

static int64_t set_limit(struct fl_kern *k, const struct fl_call *c)
{
	unsigned process = k->actor[c->actor].process;
	const struct fl_kern_process *p = &k->process[process];
	bool relative = c->object == RLIMIT_AS || c->object == RLIMIT_DATA;
	uint64_t base = relative ? used_pages(k, process, c->object) : 0;
	struct rlimit r;

	if (c->object != RLIMIT_AS && c->object != RLIMIT_DATA && c->object != RLIMIT_MEMLOCK &&
	    c->object != RLIMIT_STACK)
		return -EINVAL;
	if (prlimit(p->pid, c->object, NULL, &r))
		return -errno;
	if (c->value == UINT64_MAX || c->value >= UINT64_MAX / FL_DIFF_PAGE - base)
		r.rlim_cur = RLIM_INFINITY;
	else
		r.rlim_cur = (base + c->value) * FL_DIFF_PAGE;
	if (r.rlim_max != RLIM_INFINITY && r.rlim_cur > r.rlim_max)
		r.rlim_cur = r.rlim_max;
	return prlimit(p->pid, c->object, &r, NULL) ? -errno : 0;
}

/* What the worker does for its actor. */
static void do_own(struct fl_kern *k, const struct fl_call *c)
{
	struct fl_kern_actor *a = &k->actor[c->actor];

	a->call = *c;
	memset(&a->answer, 0, sizeof a->answer);
	a->answer.state = FL_ANSWER_DONE;
	a->answer.ret = c->kind == FL_CALL_SIGNAL ? send_signal(k, c->object, c->fatal) : set_limit(k, c);
}

static void refuse(struct fl_kern *k, const struct fl_call *c, int error)
{
	struct fl_answer *a = &k->actor[c->actor].answer;

	memset(a, 0, sizeof *a);
	a->state = FL_ANSWER_DONE;
	a->ret = -error;
}

/* The process itself takes the room away. */
static void limit_maps(struct fl_kern *k, const struct fl_call *c)
{
	struct fl_call fill = *c;

	if (k->ground->fill_lo == k->ground->fill_hi)
		refuse(k, c, EOPNOTSUPP);
	else if (!fl_kern_plan_fill(k, &fill))
		refuse(k, c, ESRCH);
	else
		fl_kern_post(k, &fill);
}

int fl_kern_issue(struct fl_side *side, const struct fl_call *c, enum fl_answer_state expect, char **error)
{
	struct fl_kern *k = fl_kern_of(side);

	*error = NULL;
	if (!k->running)
		return fl_kern_error(error, "a call without a program");
	if (c->actor >= k->actors || !is_there(k, c->actor))
		return 0;
	if (k->actor[c->actor].busy || k->actor[c->actor].absent)
		return fl_kern_error(error, "thread %u cannot begin a call: %s", c->actor,
				     k->actor[c->actor].busy ? "it is still in one" : "it has no statements");
	if (c->kind == FL_CALL_FORK && (c->object >= k->processes || k->process[c->object].made)) {
		refuse(k, c, EAGAIN); /* the language allows one fork for each process */
		return 0;
	}
	if (c->kind == FL_CALL_LIMIT && c->object == FL_SC_LIMIT_MAPS)
		limit_maps(k, c);
	else if (c->kind == FL_CALL_SIGNAL || c->kind == FL_CALL_LIMIT)
		do_own(k, c);
	else
		fl_kern_post(k, c);
	return fl_kern_settle(k, c->actor, expect, error);
}

void fl_kern_answer(struct fl_side *side, unsigned actor, struct fl_answer *a)
{
	struct fl_kern *k = fl_kern_of(side);
	struct fl_kern_actor *who = &k->actor[actor];

	memset(a, 0, sizeof *a);
	if (actor >= k->actors || !is_there(k, actor)) {
		a->state = FL_ANSWER_GONE;
	} else if (who->busy) {
		a->state = FL_ANSWER_ASLEEP;
	} else {
		*a = who->answer;
		who->answer.state = FL_ANSWER_NONE;
	}
}
