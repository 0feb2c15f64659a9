/* SPDX-License-Identifier: MIT */
/*
 * A process that plays what it is given, one program after the other. When it breaks down or takes too long, that is the
 * outcome, and the next program gets a new process.
 *
 * Both talk over a socket: a head and a text each way.
 *
 * No locks: one thread.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "diff/player.h"

#define TEXT_MAX (16u * 1024 * 1024)

struct fl_player {
	unsigned slot;
	double seconds;
	pid_t pid;     /* 0: none */
	int fd, ended; /* the socket; readable: the process has ended */
	FILE *err;
};

struct head {
	uint32_t kind; /* to the player: FL_PLAYER_*; from it: enum fl_outcome_kind */
	uint32_t steps, rule;
	uint32_t first, second; /* lengths: path and text; signature and text */
};

static bool send_all(int fd, const void *data, size_t n)
{
	while (n) {
		ssize_t done = send(fd, data, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		data = (const char *)data + done;
		n -= (size_t)done;
	}
	return true;
}

/* A way to hear of somebody. */
struct ear {
	int fd;
	int ended;      /* the descriptor of its process: what it forked has its end of the socket, too. -1: none */
	double seconds; /* at most; less than 0: no limit */
};

/* 1: all of it; 0: the other side is gone; -1: it takes too long. */
static int receive_all(const struct ear *ear, void *data, size_t n)
{
	while (n) {
		struct pollfd p[] = {{.fd = ear->fd, .events = POLLIN}, {.fd = ear->ended, .events = POLLIN}};
		ssize_t done = poll(p, 2, ear->seconds < 0 ? -1 : (int)(ear->seconds * 1000));

		if (!done)
			return -1;
		if (done > 0 && !p[0].revents)
			return 0;
		if (done > 0)
			done = recv(ear->fd, data, n, 0);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return 0;
		data = (char *)data + done;
		n -= (size_t)done;
	}
	return 1;
}

static bool send_message(int fd, struct head *h, const char *first, const char *second)
{
	h->first = (uint32_t)(first ? strlen(first) : 0);
	h->second = (uint32_t)(second ? strlen(second) : 0);
	return send_all(fd, h, sizeof(*h)) && send_all(fd, first, h->first) && send_all(fd, second, h->second);
}

static int receive_text(const struct ear *ear, size_t n, char **text)
{
	*text = n <= TEXT_MAX ? calloc(1, n + 1) : NULL;
	return *text ? receive_all(ear, *text, n) : 0;
}

static int receive_message(const struct ear *ear, struct head *h, char **first, char **second)
{
	int got = receive_all(ear, h, sizeof(*h));

	*first = *second = NULL;
	if (got > 0)
		got = receive_text(ear, h->first, first);
	if (got > 0)
		got = receive_text(ear, h->second, second);
	return got;
}

static char *report_of(const struct fl_pair *pair, const struct fl_outcome *o)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fl_pair_report(pair, o, f);
	return fclose(f) ? NULL : text;
}

/* The child. */
static void serve(int fd)
{
	const struct ear ear = {.fd = fd, .ended = -1, .seconds = -1};
	char *path, *text, *error;
	struct fl_pair *pair = fl_pair_new(&error);
	struct head h;

	while (receive_message(&ear, &h, &path, &text) > 0) {
		struct fl_outcome o = {.kind = FL_OUTCOME_CANNOT};
		unsigned flags = h.kind;

		if (pair)
			fl_pair_play(pair, path, text, flags & FL_PLAYER_STEPS, &o);
		else
			o.text = strdup(error ? error : "out of memory");
		if (pair && o.kind != FL_OUTCOME_CANNOT &&
		    (flags & FL_PLAYER_ANSWERS || (flags & FL_PLAYER_REPORT && o.kind == FL_OUTCOME_DIFFER))) {
			char *report = report_of(pair, &o);

			free(o.text);
			o.text = report;
		}
		h = (struct head){.kind = (uint32_t)o.kind, .steps = o.steps, .rule = o.rule};
		if (!send_message(fd, &h, o.signature, o.text))
			_exit(1);
		if (o.kind == FL_OUTCOME_BROKEN || (pair && o.kind == FL_OUTCOME_CANNOT)) {
			error = NULL;
			fl_pair_free(pair);
			pair = fl_pair_new(&error);
		}
		fl_outcome_free(&o);
		free(path);
		free(text);
	}
	fl_pair_free(pair);
	_exit(0);
}

static bool begin(struct fl_player *p)
{
	int fd[2];

	if (p->pid)
		return true;
	if (ftruncate(fileno(p->err), 0) || lseek(fileno(p->err), 0, SEEK_SET) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		return false;
	p->pid = fl_child_fork(p->slot, p->err);
	if (!p->pid) {
		close(fd[0]);
		serve(fd[1]);
	}
	close(fd[1]);
	p->fd = fd[0];
	p->ended = p->pid > 0 ? (int)syscall(SYS_pidfd_open, p->pid, 0) : -1;
	if (p->ended >= 0)
		return true;
	if (p->pid > 0)
		fl_child_kill(p->pid);
	close(p->fd);
	p->pid = 0;
	return false;
}

static int end(struct fl_player *p)
{
	int status = 0;

	if (p->pid) {
		close(p->fd);
		close(p->ended);
		status = fl_child_kill(p->pid);
		p->pid = 0;
	}
	return status;
}

struct fl_player *fl_player_new(unsigned slot, double seconds)
{
	struct fl_player *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->slot = slot;
	p->seconds = seconds;
	p->err = tmpfile();
	if (p->err)
		return p;
	free(p);
	return NULL;
}

void fl_player_free(struct fl_player *p)
{
	if (!p)
		return;
	end(p);
	fclose(p->err);
	free(p);
}

static void too_long(const struct fl_player *p, struct fl_outcome *o)
{
	o->kind = FL_OUTCOME_BROKEN;
	o->signature = strdup("no end");
	if (asprintf(&o->text, "it did not end within %.0f s", p->seconds) < 0)
		o->text = NULL;
}

void fl_player_play(struct fl_player *p, const char *path, const char *text, unsigned flags, struct fl_outcome *o)
{
	struct head h = {.kind = flags};
	struct ear ear;
	int got;

	*o = (struct fl_outcome){.kind = FL_OUTCOME_CANNOT};
	if (!begin(p)) {
		if (asprintf(&o->text, "cannot begin a process: %s", strerror(errno)) < 0)
			o->text = NULL;
		return;
	}
	ear = (struct ear){.fd = p->fd, .ended = p->ended, .seconds = p->seconds};
	got = send_message(p->fd, &h, path, text) ? receive_message(&ear, &h, &o->signature, &o->text) : 0;
	if (got > 0) {
		o->kind = (enum fl_outcome_kind)h.kind;
		o->steps = h.steps;
		o->rule = h.rule;
		return;
	}
	free(o->signature);
	free(o->text);
	o->signature = o->text = NULL;
	if (got < 0) {
		end(p);
		too_long(p, o);
	} else {
		/* It has ended, or is about to. */
		fl_child_outcome(end(p), p->err, o);
	}
}
