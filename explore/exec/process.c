/* SPDX-License-Identifier: MIT */
/*
 * Processes and signals: fork, the beginning and the end of threads.
 *
 * A thread that ends keeps its task until the end of the run, which costs no step. But where some thread of a process says
 * `exit`, all threads of that process leave it when they end, and the last one takes the address space with it.
 */
#include "explore/exec/exec_int.h"

/* The threads of a process that fork has just made. */
static int enter_all(struct fl_exec *x, unsigned process, struct fl_mm *mm, unsigned *entered)
{
	for (unsigned i = 0; i < x->s->threads; i++) {
		if (x->s->thread[i].process != process)
			continue;
		if (fl_actor_enter(&x->stage->actor[i], mm))
			return -FL_ENOMEM;
		++*entered;
	}
	return 0;
}

static void leave_all(struct fl_exec *x, unsigned process)
{
	for (unsigned i = 0; i < x->s->threads; i++) {
		struct fl_actor *a = &x->stage->actor[i];

		if (x->s->thread[i].process == process && a->live) {
			fl_actor_leave(a);
			a->entered = false;
		}
	}
}

int64_t fl_exec_fork(struct fl_actor *a, const struct fl_sc_statement *s)
{
	struct fl_exec_process *p = &a->x->stage->process[1 + s->object];
	unsigned entered = 0;
	struct fl_mm *mm;
	int err;

	if (p->mm) { /* by a retry that went on although it had been made */
		fl_explore_fail(FL_EXPLORE_CHECK, "%s:%u:%u: %s has been made already", a->x->s->path, s->place.line,
				s->place.column, a->x->s->process[s->object].name);
		return -FL_EAGAIN;
	}
	err = fl_mm_fork(&a->task, &mm);
	if (err)
		return err;
	err = enter_all(a->x, 1 + s->object, mm, &entered);
	if (err) {
		leave_all(a->x, 1 + s->object);
		fl_mm_put(mm);
		return err;
	}
	p->mm = mm;
	p->kept = !entered;
	if (entered)
		fl_mm_put(mm); /* the tasks have theirs */
	fl_store_release(&p->state, FL_EXEC_ALIVE);
	return 0;
}

int64_t fl_exec_signal(struct fl_actor *a, const struct fl_sc_statement *s)
{
	struct fl_exec *x = a->x;
	struct fl_actor *to = &x->stage->actor[s->object];
	unsigned process = x->s->thread[s->object].process;

	if (process && fl_load_acquire(&x->stage->process[process].state) != FL_EXEC_ALIVE)
		return -FL_ESRCH;
	fl_task_signal(&to->task, s->fatal ? FL_SIGNAL_FATAL : FL_SIGNAL_PENDING);
	fl_exec_stir(x, s->object);
	return 0;
}

bool fl_exec_take_signals(struct fl_actor *a)
{
	uint32_t bits;

	if (!a->x->thread[a->index].signalled)
		return false;
	bits = fl_load_acquire(&a->task.signals);
	if (bits & FL_SIGNAL_FATAL) {
		a->dead = true;
		return true;
	}
	if (bits)
		fl_task_clear_signal(&a->task, FL_SIGNAL_PENDING);
	return false;
}

static bool is_born(void *arg)
{
	struct fl_exec_process *p = arg;

	return fl_load(&p->state) != FL_EXEC_UNBORN;
}

bool fl_exec_begin(struct fl_actor *a)
{
	unsigned process = a->x->s->thread[a->index].process;
	struct fl_exec_process *p = &a->x->stage->process[process];

	if (!process)
		return true;
	fl_explore_await(&p->state, is_born, p);
	return p->state == FL_EXEC_ALIVE;
}

void fl_exec_end(struct fl_actor *a)
{
	struct fl_exec *x = a->x;

	for (size_t i = 0; i < x->s->processes; i++) {
		struct fl_exec_process *p = &x->stage->process[1 + i];

		/* (By fl_load: what this thread has stored may still be in its store buffer.) */
		if (x->forker[i] == a->index && fl_load(&p->state) == FL_EXEC_UNBORN)
			fl_store_release(&p->state, FL_EXEC_NEVER);
	}
	if (a->live && x->leaves[x->s->thread[a->index].process])
		fl_actor_leave(a);
}
