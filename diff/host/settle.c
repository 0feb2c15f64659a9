/* SPDX-License-Identifier: MIT */
/*
 * Waiting until every actor has ended what it does, or sleeps.
 *
 * Worker and world are on one CPU: while the worker runs nobody else does. So an actor that is seen asleep sleeps until
 * another actor, a signal or a timer of the kernel's wakes it. Timers do not end a wait in a userfaultfd; of any other sleep nobody
 * knows, so it is watched for a while.
 *
 * Nothing here waits longer than FL_KERN_SECONDS.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diff/host/internal.h"
#include "faultline/uapi.h"

/* Nanoseconds. Most calls do not need the first; a shorter one would be a timer that the processor must be told of. */
#define FIRST_WAIT 10000000
#define YIELDS 4u
#define WAIT_SHORT 20000
#define WAIT_LONG 2000000
/*
 * Seconds after which a sleep that may end by itself is called one that does not. A table of descriptors that grows waits for
 * the kernel's readers, for example, and on a busy machine that is long.
 */
#define PATIENCE 0.5
#define PATIENCE_EXPECTED 0.002
#define SPIN_ENOUGH 200000 /* nanoseconds */
#define LOOKS 200u

static int open_of_thread(struct fl_kern *k, unsigned index, const char *name)
{
	const struct fl_kern_slot *slot = fl_kern_slot(k->area, index);
	char path[96];

	snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)atomic_load(&slot->pid), (int)atomic_load(&slot->tid),
		 name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* As in its stat: 'R', 'S', 'D', ...; 'X' when there is no such thread any more. */
static char thread_state(struct fl_kern *k, unsigned index)
{
	char text[128], *end;
	ssize_t n;

	if (k->actor[index].stat < 0)
		k->actor[index].stat = open_of_thread(k, index, "stat");
	n = pread(k->actor[index].stat, text, sizeof text - 1, 0);
	if (n <= 0)
		return 'X';
	text[n] = 0;
	end = strrchr(text, ')');
	return end && end[1] ? end[2] : 'X';
}

/* In a userfaultfd, for its reader or for whoever resolves a fault. */
static bool waits_for_userfaultfd(struct fl_kern *k, unsigned index)
{
	int fd = open_of_thread(k, index, "wchan");
	char text[64];
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n < 0 ? 0 : n] = 0;
	return strstr(text, "userf") != NULL;
}

/* Whoever spins does so when nobody else wants to run. Who cannot take that back leaves it. */
void fl_kern_let_spin(struct fl_kern *k, unsigned index, bool spin)
{
	int tid = (int)atomic_load(&fl_kern_slot(k->area, index)->tid);

	if (k->ground->root)
		sched_setscheduler(tid, spin ? SCHED_IDLE : SCHED_OTHER, &(struct sched_param){0});
}

static unsigned actor_of_thread(struct fl_kern *k, uint32_t tid)
{
	for (unsigned i = 0; i < k->actors; i++)
		if ((uint32_t)atomic_load(&fl_kern_slot(k->area, i)->tid) == tid)
			return i + 1;
	return 0;
}

/* The kernel's thread ids and descriptors mean nothing elsewhere. */
static void settle_messages(struct fl_kern *k, struct fl_answer *a)
{
	struct fl_uffd_msg m;

	for (int64_t at = 0; at + (int64_t)sizeof m <= a->ret && at + (int64_t)sizeof m <= a->outs;
	     at += (int64_t)sizeof m) {
		memcpy(&m, a->out + at, sizeof m);
		if (m.event == FL_UFFD_EVENT_PAGEFAULT && (uint32_t)m.arg2)
			m.arg2 = actor_of_thread(k, (uint32_t)m.arg2);
		else if (m.event == FL_UFFD_EVENT_FORK)
			m.arg0 &= ~(uint64_t)UINT32_MAX;
		memcpy(a->out + at, &m, sizeof m);
	}
}

static void take_out(struct fl_kern *k, unsigned index, struct fl_answer *a)
{
	const struct fl_call *c = &k->actor[index].call;
	const char *scratch = (const char *)k->area + index * FL_DIFF_SCRATCH_SIZE;
	const char *carrier = k->carried + index * FL_KERN_CARRIER_SIZE;
	uint64_t moved = a->ret > 0 ? (uint64_t)a->ret : 0, hash;

	if (moved > FL_KERN_CARRIER_SIZE)
		moved = FL_KERN_CARRIER_SIZE;
	a->outs = c->outs;
	memset(a->out, 0, c->outs);
	switch (c->out_kind) {
	case FL_OUT_CARRIER:
		hash = fl_diff_hash(carrier, moved);
		memcpy(a->out, &hash, sizeof hash);
		break;
	case FL_OUT_CARRIED:
		memcpy(a->out, carrier, moved < c->outs ? moved : c->outs);
		break;
	default:
		memcpy(a->out, scratch, c->outs);
	}
	if (c->out_kind == FL_OUT_MESSAGES)
		settle_messages(k, a);
	if (c->out_kind == FL_OUT_POLL)
		memset(a->out, 0, sizeof(int32_t));
}

static void harvest(struct fl_kern *k, unsigned index)
{
	const struct fl_kern_slot *slot = fl_kern_slot(k->area, index);
	struct fl_kern_actor *actor = &k->actor[index];
	struct fl_answer *a = &actor->answer;

	if (actor->spins)
		fl_kern_let_spin(k, index, false);
	actor->busy = actor->asleep = actor->sure = actor->spins = false;
	a->state = FL_ANSWER_DONE;
	a->ret = slot->ret;
	a->signo = slot->signo;
	a->si_code = slot->code;
	a->sig_addr = slot->address;
	a->interrupted = slot->interrupted;
	a->minor = slot->minor;
	a->major = slot->major;
	take_out(k, index, a);
	if (actor->call.kind == FL_CALL_EXIT)
		actor->exits = true;
	if (actor->call.kind == FL_CALL_FORK && !a->ret)
		k->process[actor->call.object].made = true;
}

static bool has_ended(struct fl_kern *k, unsigned index)
{
	const struct fl_kern_slot *slot = fl_kern_slot(k->area, index);

	if (atomic_load(&slot->ended) != atomic_load(&slot->posted))
		return false;
	harvest(k, index);
	return true;
}

/* Nanoseconds on a processor so far. */
static uint64_t time_run(struct fl_kern *k, unsigned index)
{
	char text[64];
	int fd = open_of_thread(k, index, "schedstat");
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = 0;
	return strtoull(text, NULL, 10);
}

/*
 * A signal that is not fatal does not end a wait for a page in the middle of a system call, but it ends its sleep: Linux goes round and
 * round until the page is there. Nothing shows that but the time it takes.
 */
static bool still_spins(struct fl_kern *k, unsigned index)
{
	struct fl_kern_actor *a = &k->actor[index];
	uint64_t now = time_run(k, index);

	if (!a->spun)
		a->spun = now;
	a->asleep = now - a->spun > SPIN_ENOUGH;
	return a->asleep;
}

/* A call under way: has it ended, or does it sleep? */
static bool is_quiet(struct fl_kern *k, unsigned index, enum fl_answer_state expect)
{
	struct fl_kern_actor *a = &k->actor[index];
	char state;

	if (has_ended(k, index))
		return true;
	state = thread_state(k, index);
	/* It may have ended meanwhile, and what it sleeps in now is the wait for the next call. */
	if (has_ended(k, index))
		return true;
	if (state == 'R' && a->spins)
		return still_spins(k, index);
	if (state != 'S' && state != 'D') {
		a->asleep = a->sure = false;
		a->since = 0;
		return false;
	}
	if (a->asleep)
		return true;
	a->sure = waits_for_userfaultfd(k, index);
	if (a->since == 0)
		a->since = fl_kern_now();
	a->asleep = a->sure || fl_kern_now() - a->since > (expect == FL_ANSWER_ASLEEP ? PATIENCE_EXPECTED : PATIENCE);
	return a->asleep;
}

static void bury(struct fl_kern *k, unsigned process)
{
	k->process[process].gone = true;
	for (unsigned i = 0; i < k->actors; i++) {
		struct fl_kern_actor *a = &k->actor[i];

		if (a->process != process || a->gone)
			continue;
		/* Killed in a fork: what it made may live, and nobody was told. */
		if (a->busy && a->call.kind == FL_CALL_FORK)
			k->stray = true;
		a->busy = a->asleep = false;
		a->gone = true;
	}
}

/* Have all of its threads said that they end? Setup is none; it ends with them. */
static bool all_leave(struct fl_kern *k, unsigned process)
{
	unsigned setup = k->actors - 1;

	for (unsigned i = 0; i < setup; i++)
		if (k->actor[i].process == process && !k->actor[i].exits)
			return false;
	if (process || k->actor[setup].absent || k->actor[setup].exits)
		return true;
	if (!k->actor[setup].busy) {
		struct fl_call c = {.kind = FL_CALL_EXIT, .actor = setup};

		fl_kern_post(k, &c);
	}
	return false;
}

static bool exit_is_over(struct fl_kern *k, unsigned index)
{
	struct fl_kern_actor *a = &k->actor[index];
	char state;

	if (all_leave(k, a->process))
		k->process[a->process].dies = true;
	if (k->process[a->process].dies)
		return true; /* the process is waited for */
	state = thread_state(k, index);
	a->gone = state == 'X' || state == 'Z';
	return a->gone;
}

/*
 * Whoever was seen asleep may have been woken by one who was looked at later, and has ended or fallen asleep since: the worker is not
 * always left alone on its CPU. So nobody is believed before a look at which nothing was new.
 */
static bool actors_are_quiet(struct fl_kern *k, enum fl_answer_state expect)
{
	bool quiet = true, slept = false, again = false;

	for (unsigned i = 0; i < k->actors; i++) {
		struct fl_kern_actor *a = &k->actor[i];
		const bool busy = a->busy, asleep = a->asleep;

		if (busy && !k->process[a->process].dies && !is_quiet(k, i, expect))
			quiet = false;
		if (busy && (a->busy != busy || a->asleep != asleep))
			again |= slept;
		slept |= a->busy && a->asleep;
		if (a->exits && !a->gone && !exit_is_over(k, i))
			quiet = false;
	}
	return quiet && (!again || actors_are_quiet(k, expect));
}

static int unexpected_death(struct fl_kern *k, unsigned process, char **error)
{
	const struct fl_kern_board *b = fl_kern_board(k->area);
	uint32_t signo = atomic_load(&b->death);

	bury(k, process);
	if (signo)
		return fl_kern_error(
			error,
			"the process that executes the program got signal %u (address 0x%llx, code at 0x%llx), "
			"which no call explains; did the program unmap what it stands on?",
			signo, (unsigned long long)b->death_address, (unsigned long long)b->death_at);
	return fl_kern_error(error, "the process that executes the program was killed, and by no call of it; did the "
				    "program unmap what it stands on, or did somebody else kill it?");
}

/* Its first threads wait for calls: it is looked at from now on. -1: error. */
static int bear(struct fl_kern *k, unsigned process, char **error)
{
	if (atomic_load(&fl_kern_board(k->area)->family[process].unready))
		return 0;
	return fl_kern_process_born(k, process, error) ? -1 : 1;
}

/*
 * 1: all is as it should be; 0: wait; -1: error. lightly: look only at those of which something is expected, as nothing hints at
 * the death of another.
 */
static int processes_are_quiet(struct fl_kern *k, bool lightly, char **error)
{
	int quiet = 1;

	if (atomic_load(&fl_kern_board(k->area)->error))
		return fl_kern_cannot_fork(k, error);
	for (unsigned i = 0; i < k->processes; i++) {
		struct fl_kern_process *p = &k->process[i];
		int born = p->made && !p->born ? bear(k, i, error) : 1;

		if (born < 0)
			return -1;
		quiet = born ? quiet : 0;
		if (!p->born || p->gone || (lightly && !p->dies))
			continue;
		if (!fl_kern_process_died(k, i))
			quiet = p->dies ? 0 : quiet;
		else if (!p->dies)
			return unexpected_death(k, i, error);
		else
			bury(k, i);
	}
	return quiet;
}

static void wait_a_little(struct fl_kern *k, uint32_t bell, unsigned tries, enum fl_answer_state expect)
{
	_Atomic(uint32_t) *word = &fl_kern_board(k->area)->bell;
	int64_t wait = WAIT_SHORT;

	if (!tries && expect != FL_ANSWER_ASLEEP) {
		fl_kern_wait(word, bell, FIRST_WAIT);
	} else if (tries < YIELDS) {
		sched_yield();
	} else {
		for (unsigned i = YIELDS; i < tries && wait < WAIT_LONG; i++)
			wait *= 2;
		fl_kern_wait(word, bell, wait < WAIT_LONG ? wait : WAIT_LONG);
	}
}

/* A busy machine may not have let anybody run; then there were not many looks either. */
static bool too_long(double start, unsigned tries)
{
	return tries > LOOKS && fl_kern_now() - start > FL_KERN_SECONDS;
}

static int tell_too_long(struct fl_kern *k, char **error)
{
	for (unsigned i = 0; i < k->actors; i++) {
		char state = k->actor[i].busy ? thread_state(k, i) : 'S';

		if (state != 'S' && state != 'D')
			return fl_kern_error(error,
					     "a call of thread %u neither ends nor sleeps within %.0f s (state %c)", i,
					     FL_KERN_SECONDS, state);
	}
	return fl_kern_error(error, "the processes of the program are not quiet within %.0f s", FL_KERN_SECONDS);
}

int fl_kern_settle(struct fl_kern *k, unsigned current, enum fl_answer_state expect, char **error)
{
	double start = 0;

	/* Whoever goes round may have been let out by this call. */
	for (unsigned i = 0; i < k->actors; i++)
		k->actor[i].spun = 0;
	for (unsigned tries = 0;; tries++) {
		uint32_t bell = atomic_load(&fl_kern_board(k->area)->bell);
		/* A call that has just begun has not run yet. */
		bool young = !tries && current < k->actors && k->actor[current].busy && !has_ended(k, current);
		bool quiet = !young && actors_are_quiet(k, expect);
		int others = young ? 1 : processes_are_quiet(k, quiet || tries < YIELDS, error);

		if (others < 0)
			return -1;
		if (quiet && others)
			return 0;
		start = tries ? start : fl_kern_now();
		if (too_long(start, tries))
			return tell_too_long(k, error);
		wait_a_little(k, bell, tries, expect);
	}
}
