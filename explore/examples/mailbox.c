/* SPDX-License-Identifier: MIT */
/*
 * An embedder's own code under every schedule: a mailbox with one place, through which threads that fault hand addresses to
 * a handler.
 *
 * The handler must not sleep while the place is full, and whoever finds it full must not sleep while it is empty. `mailbox
 * broken` runs a version in which the handler looks, and then goes to sleep without having said that it will: the classic
 * lost wake-up. The explorer finds the schedule, and prints it step by step.
 *
 *   what is shared   struct mailbox, in explored memory: it is put back before each run
 *   what must hold   each address arrives, once; nobody sleeps for ever (that is looked for without being asked)
 *
 * To build such a program: compile what shall be watched with -fsanitize=thread -fsanitize-coverage=trace-pc, and link it,
 * without these flags, with libfaultline-explore.a and libdw.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faultline/explore.h"

#define SENDERS 2u

/* (m) the mutex */
struct mailbox {
	struct fl_mutex mutex;
	uint32_t address;  /* (m to write; atomic) 0: the place is empty */
	uint32_t sleeping; /* (m) the handler is about to sleep */
	struct fl_parker handler;
	uint32_t taken; /* the handler's alone: how many, and their sum */
	uint32_t sum;
};

static struct mailbox *box;
static bool broken;

/* False: the place is full. */
static bool put(uint32_t address)
{
	bool done, wake;

	fl_mutex_lock(&box->mutex);
	done = !fl_load(&box->address);
	if (done)
		fl_store(&box->address, address);
	wake = done && box->sleeping;
	if (wake)
		box->sleeping = 0;
	fl_mutex_unlock(&box->mutex);
	if (wake)
		fl_port_unpark(&box->handler);
	return done;
}

static uint32_t take(void)
{
	uint32_t address;

	for (;;) {
		fl_mutex_lock(&box->mutex);
		address = fl_load(&box->address);
		if (address)
			fl_store(&box->address, 0);
		if (!address && !broken)
			box->sleeping = 1;
		fl_mutex_unlock(&box->mutex);
		if (address)
			return address;
		if (broken) {
			/* Too late: an address that comes before this wakes nobody. */
			fl_mutex_lock(&box->mutex);
			box->sleeping = 1;
			fl_mutex_unlock(&box->mutex);
		}
		fl_port_park(&box->handler);
	}
}

static bool is_empty(void *unused)
{
	(void)unused;
	return !fl_load(&box->address);
}

static void sender(void *arg)
{
	fl_explore_op(1, "send");
	while (!put((uint32_t)(uintptr_t)arg))
		fl_explore_await(&box->address, is_empty, NULL); /* how a sender waits is not what this is about */
	fl_explore_op_end("sent");
}

static void handler(void *unused)
{
	(void)unused;
	for (uint32_t i = 0; i < SENDERS; i++) {
		fl_explore_op(2, "take");
		box->sum += take();
		box->taken++;
		fl_explore_op_end("%u so far", box->taken);
	}
}

static void setup(void *unused)
{
	(void)unused;
	box = fl_explore_alloc(sizeof(*box));
	if (!box)
		fl_explore_fail(FL_EXPLORE_CHECK, "no memory for the mailbox");
	fl_explore_name(box, sizeof(*box), "mailbox");
	fl_explore_name(&box->handler, sizeof(box->handler), "the handler's parker");
	fl_explore_thread("handler", handler, NULL);
	for (uintptr_t i = 0; i < SENDERS; i++)
		fl_explore_thread(i ? "second" : "first", sender, (void *)(0x1000 + i));
}

static void finish(void *unused)
{
	(void)unused;
	FL_EXPLORE_CHECK(box->taken == SENDERS && box->sum == 0x2001);
	fl_explore_outcome("%u taken", box->taken);
}

static void print_step(void *unused, const struct fl_explore_event *e)
{
	(void)unused;
	if (e->waits)
		printf("  %-8s waits in %s, line %u, for %s\n", e->name, e->site->what, e->site->line, e->object);
	else
		printf("  %3u %-8s line %3u  %s (%s)%s%s\n", e->index, e->name, e->site->line, e->site->what, e->object,
		       e->result ? ": " : "", e->result ? e->result : "");
}

static int explore(const struct fl_explore_options *options, struct fl_explore_report *report)
{
	static const struct fl_explore_test test = {.name = "mailbox", .setup = setup, .finish = finish};
	char *error;
	int err = fl_explore(&test, options, report, &error);

	if (err)
		fprintf(stderr, "mailbox: %s\n", error ? error : "out of memory");
	free(err ? error : NULL);
	return err;
}

int main(int argc, char **argv)
{
	struct fl_explore_options options = {.search = FL_EXPLORE_DPOR};
	struct fl_explore_report report, replay;
	size_t findings;

	broken = argc > 1 && !strcmp(argv[1], "broken");
	if (explore(&options, &report))
		return 2;
	findings = report.findings;
	printf("%llu schedules, %s\n", (unsigned long long)report.schedules, report.complete ? "all" : "not all");
	for (size_t i = 0; i < findings; i++) {
		printf("%s: %s\n", fl_explore_kind_name(report.finding[i].kind), report.finding[i].text);
		options.replay = report.finding[i].run_id;
		options.event = print_step;
		if (explore(&options, &replay))
			return 2;
		fl_explore_report_free(&replay);
	}
	fl_explore_report_free(&report);
	return findings ? 1 : 0;
}
