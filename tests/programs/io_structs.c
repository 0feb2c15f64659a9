/* SPDX-License-Identifier: MIT */
/*
 * System calls whose structures and strings lie in memory that nobody has touched: those that can be run again, and
 * those that would lose something if their copy failed (a child, a connection, an event, a counter, time).
 */
#include "io_lib.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static char dir[] = "/tmp/io-structs-XXXXXX";

/* A string that ends on the page after the one it begins on. */
static char *path_in(char *memory, const char *name)
{
	char *p = memory + PAGE - 4;

	snprintf(p, 200, "%s/%s", dir, name);
	return p;
}

static void names(void)
{
	char *p = fresh(), *q = fresh(), *path = path_in(p, "file"), *link = path_in(p + 2 * PAGE, "link");
	int fd = open(path, O_CREAT | O_RDWR, 0600);

	CHECK(fd >= 0);
	tell("write", write(fd, "hello", 5), p);
	tell("symlink", symlink(path, link), p);
	tell("readlink", readlink(link, q + PAGE - 5, 3 * PAGE), q);
	CHECK(!memcmp(q + PAGE - 5, path, strlen(path)));
	tell("access", access(link, R_OK), NULL);
	tell("open missing", open(path_in(p + 4 * PAGE, "missing"), O_RDONLY), p);
	tell("open untouched", open(p + 10 * PAGE, O_RDONLY), p);
	tell("rename", rename(link, path_in(p + 6 * PAGE, "other")), p);
	tell("chdir", chdir(dir), NULL);
	CHECK(getcwd(q + 4 * PAGE - 3, 2 * PAGE) && !strcmp(q + 4 * PAGE - 3, dir));
	resident(q);
	tell("getcwd small", syscall(SYS_getcwd, q + 8 * PAGE, 3), q);
	tell("unlink", unlink(path_in(p + 8 * PAGE, "other")), p);
	close(fd);
	drop(p);
	drop(q);
}

static void files(void)
{
	char *p = fresh();
	struct stat *st = (struct stat *)(void *)(p + PAGE - 8);
	struct statfs *fs = (struct statfs *)(void *)(p + 3 * PAGE - 8);
	struct statx *sx = (struct statx *)(void *)(p + 5 * PAGE - 16);
	int fd = open(dir, O_RDONLY | O_DIRECTORY), n = 0;
	struct linux_dirent64 {
		uint64_t ino, off;
		unsigned short reclen;
		unsigned char type;
		char name[];
	} * e;
	long got, at;

	CHECK(fd >= 0);
	tell("stat", stat("file", st), p);
	printf("size %ld\n", (long)st->st_size);
	tell("fstat", fstat(fd, st), p);
	tell("statfs", syscall(SYS_statfs, dir, fs), p);
	tell("statx", syscall(SYS_statx, fd, "file", 0, STATX_SIZE, sx), p);
	printf("size %ld\n", (long)sx->stx_size);
	tell("stat missing", stat("missing", (struct stat *)(void *)(p + 6 * PAGE)), p);
	for (int i = 0; i < 300; i++) {
		char name[32];
		int f;

		snprintf(name, sizeof(name), "entry-%03d", i);
		f = open(name, O_CREAT | O_WRONLY, 0600);
		CHECK(f >= 0);
		close(f);
	}
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	while ((got = syscall(SYS_getdents64, fd, p + 8 * PAGE + 8, 6000)) > 0)
		for (at = 0; at < got; at += e->reclen, n++) {
			e = (struct linux_dirent64 *)(void *)(p + 8 * PAGE + 8 + at);
			CHECK(e->reclen && at + e->reclen <= got);
		}
	CHECK(got == 0);
	printf("entries %d\n", n);
	for (int i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "entry-%03d", i);
		CHECK(!unlink(name));
	}
	close(fd);
	drop(p);
}

static void kernel_facts(void)
{
	char *p = fresh();
	struct utsname *u = (struct utsname *)(void *)(p + PAGE - 100);
	struct timespec *ts = (struct timespec *)(void *)(p + 3 * PAGE - 8);
	struct rlimit *rl = (struct rlimit *)(void *)(p + 5 * PAGE - 8);
	struct itimerval *it = (struct itimerval *)(void *)(p + 7 * PAGE - 16);
	struct msghdr *unused = NULL;

	(void)unused;
	tell("uname", syscall(SYS_uname, u), p);
	printf("%s\n", u->sysname);
	tell("clock_gettime", syscall(SYS_clock_gettime, CLOCK_MONOTONIC, ts), p);
	CHECK(ts->tv_sec >= 0 && ts->tv_nsec < 1000000000);
	tell("getrlimit", syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, rl), p);
	rl->rlim_cur = 0;
	tell("setrlimit", syscall(SYS_prlimit64, 0, RLIMIT_CORE, rl, p + 8 * PAGE), p);
	tell("getitimer", syscall(SYS_getitimer, ITIMER_REAL, it), p);
	tell("getrusage", syscall(SYS_getrusage, RUSAGE_SELF, p + 9 * PAGE - 8), p);
	tell("sysinfo", syscall(SYS_sysinfo, p + 11 * PAGE - 8), p);
	CHECK(syscall(SYS_times, p + 13 * PAGE - 8) > 0);
	tell("getgroups", syscall(SYS_getgroups, 0, p + 15 * PAGE) >= 0 ? 0 : -1, p);
	drop(p);
	p = fresh();
	tell("getrandom", syscall(SYS_getrandom, p + 100, 3 * PAGE, 0), p);
	CHECK(sum(p + 100, 3 * PAGE) != sum(p + 5 * PAGE, 3 * PAGE));
	drop(p);
}

static void descriptors(void)
{
	char *p = fresh();
	int *fd = (int *)(void *)(p + PAGE - 4), *sv = (int *)(void *)(p + 3 * PAGE - 4);
	int *n = (int *)(void *)(p + 5 * PAGE), *opt = (int *)(void *)(p + 6 * PAGE);
	socklen_t *len = (socklen_t *)(void *)(p + 7 * PAGE);
	struct flock *lock = (struct flock *)(void *)(p + 9 * PAGE - 8);

	tell("pipe2", pipe2(fd, O_CLOEXEC), p);
	CHECK(write(fd[1], "abc", 3) == 3);
	tell("FIONREAD", ioctl(fd[0], FIONREAD, n), p);
	printf("n %d\n", *n);
	*lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
	tell("F_GETLK", fcntl(fd[0], F_GETLK, lock), p);
	tell("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, sv), p);
	*len = sizeof(*opt);
	tell("getsockopt", getsockopt(sv[0], SOL_SOCKET, SO_TYPE, opt, len), p);
	printf("type %d, length %u\n", *opt, (unsigned)*len);
	tell("setsockopt", setsockopt(sv[0], SOL_SOCKET, SO_RCVLOWAT, p + 10 * PAGE, sizeof(int)), p);
	tell("getsockopt none", getsockopt(sv[0], SOL_SOCKET, SO_TYPE, p + 12 * PAGE, (socklen_t *)NULL), p);
	for (int i = 0; i < 2; i++) {
		close(fd[i]);
		close(sv[i]);
	}
	drop(p);
}

static void connections(void)
{
	char *p = fresh(), *q = fresh();
	struct sockaddr_un *addr = (struct sockaddr_un *)(void *)(p + PAGE - 3);
	struct sockaddr_un *peer = (struct sockaddr_un *)(void *)(q + PAGE - 2);
	socklen_t *len = (socklen_t *)(void *)(q + 3 * PAGE - 2), size;
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), a;

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 7);
	memcpy(addr->sun_path + 1, "fl-ser", 6);
	CHECK(s >= 0 && c >= 0);
	snprintf(addr->sun_path, 20, "%s", "server");
	tell("bind", bind(s, (struct sockaddr *)addr, size + 1), p);
	tell("listen", listen(s, 3), NULL);
	memcpy(p + 5 * PAGE - 3, addr, sizeof(*addr));
	tell("connect", connect(c, (struct sockaddr *)(void *)(p + 5 * PAGE - 3), size + 1), p);
	*len = sizeof(*peer);
	a = accept(s, (struct sockaddr *)peer, len);
	tell("accept", a < 0 ? -1 : 0, q);
	printf("length %u\n", (unsigned)*len);
	*len = sizeof(*peer);
	tell("getpeername", getpeername(c, (struct sockaddr *)(void *)(q + 5 * PAGE - 2), len), q);
	printf("%s\n", ((struct sockaddr_un *)(void *)(q + 5 * PAGE - 2))->sun_path);
	unlink("server");
	close(a);
	close(c);
	close(s);
	drop(p);
	drop(q);
}

static void children(void)
{
	char *p = fresh();
	int *status = (int *)(void *)(p + 2 * PAGE);
	siginfo_t *info = (siginfo_t *)(void *)(p + 7 * PAGE - 64);
	pid_t child = fork();

	if (!child)
		_exit(7);
	CHECK(wait4(child, status, 0, (struct rusage *)(void *)(p + 5 * PAGE - 64)) == child);
	printf("status %d\n", WEXITSTATUS(*status));
	resident(p);
	child = fork();
	if (!child) {
		usleep(10000);
		_exit(8);
	}
	tell("none yet", wait4(child, (int *)(void *)(p + 12 * PAGE), WNOHANG, NULL), p);
	tell("waitid", waitid(P_PID, (id_t)child, info, WEXITED), p);
	printf("status %d, same %d\n", info->si_status, info->si_pid == child);
	tell("no more", wait4(-1, (int *)(void *)(p + 10 * PAGE), 0, NULL), p);
	drop(p);
}

static void counters(void)
{
	char *p = fresh();
	uint64_t *n = (uint64_t *)(void *)(p + PAGE - 3);
	struct itimerspec *its = (struct itimerspec *)(void *)(p + 5 * PAGE - 5);
	struct signalfd_siginfo *si = (struct signalfd_siginfo *)(void *)(p + 7 * PAGE - 60);
	sigset_t *set = (sigset_t *)(void *)(p + 8 * PAGE + 16);
	int e = eventfd(3, 0), t = timerfd_create(CLOCK_MONOTONIC, 0), s, i = inotify_init1(IN_NONBLOCK), f;

	tell("eventfd", read(e, n, 8), p);
	CHECK(*n == 3);
	its->it_value.tv_nsec = 1000000;
	tell("timerfd_settime", timerfd_settime(t, 0, its, NULL), p);
	tell("timerfd", read(t, p + 3 * PAGE - 1, 8), p);
	sigemptyset(set);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGUSR2);
	CHECK(!sigprocmask(SIG_BLOCK, set, NULL));
	s = signalfd(-1, set, 0);
	CHECK(s >= 0 && !kill(getpid(), SIGUSR1) && !kill(getpid(), SIGUSR2));
	tell("signalfd", read(s, si, sizeof(*si)), p);
	printf("signal %u\n", (unsigned)si->ssi_signo);
	tell("sigtimedwait", sigtimedwait(set, (siginfo_t *)(void *)(p + 10 * PAGE - 64), NULL), p);
	CHECK(inotify_add_watch(i, ".", IN_CREATE) > 0);
	f = open("noticed", O_CREAT | O_WRONLY, 0600);
	tell("inotify", read(i, p + 12 * PAGE - 20, 2 * PAGE), p);
	printf("%s\n", ((struct inotify_event *)(void *)(p + 12 * PAGE - 20))->name);
	tell("inotify again", read(i, p + 14 * PAGE, PAGE), p);
	unlink("noticed");
	close(f);
	close(e);
	close(t);
	close(s);
	close(i);
	drop(p);
}

static void readiness(void)
{
	char *p = fresh();
	struct pollfd *fds = (struct pollfd *)(void *)(p + PAGE - 12);
	fd_set *r = (fd_set *)(void *)(p + 3 * PAGE - 8), *w = (fd_set *)(void *)(p + 5 * PAGE - 8);
	struct epoll_event *ev = (struct epoll_event *)(void *)(p + 7 * PAGE - 4);
	struct timespec *ts = (struct timespec *)(void *)(p + 9 * PAGE - 8);
	struct timeval *tv = (struct timeval *)(void *)(p + 11 * PAGE - 8);
	sigset_t *mask = (sigset_t *)(void *)(p + 13 * PAGE - 4);
	int fd[2], ep = epoll_create1(0);

	CHECK(!pipe(fd) && ep >= 0);
	fds[0] = (struct pollfd){.fd = fd[0], .events = POLLIN};
	fds[1] = (struct pollfd){.fd = fd[1], .events = POLLOUT};
	tell("poll", poll(fds, 2, -1), p);
	printf("%x %x\n", (unsigned)fds[0].revents, (unsigned)fds[1].revents);
	tell("poll nothing", poll(fds, 1, 10), p);
	ts->tv_nsec = 5000000;
	sigfillset(mask);
	tell("ppoll", ppoll(fds, 1, ts, mask), p);
	printf("ts %ld\n", ts->tv_nsec);
	CHECK(write(fd[1], "x", 1) == 1);
	FD_SET(fd[0], r);
	FD_SET(fd[1], w);
	tv->tv_sec = 5;
	tell("select", select(fd[1] + 1, r, w, NULL, tv), p);
	printf("%d %d\n", !!FD_ISSET(fd[0], r), !!FD_ISSET(fd[1], w));
	ts->tv_sec = 5;
	tell("pselect", pselect(fd[1] + 1, r, w, NULL, ts, mask), p);
	ev->events = EPOLLIN;
	ev->data.u64 = 0x123456789abcdefull;
	tell("epoll_ctl", epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], ev), p);
	tell("epoll_wait", epoll_wait(ep, (struct epoll_event *)(void *)(p + 15 * PAGE - 6), 50, -1), p);
	memcpy(ev, p + 15 * PAGE - 6, sizeof(*ev));
	printf("%x %llx\n", ev->events, (unsigned long long)ev->data.u64);
	close(fd[0]);
	close(fd[1]);
	close(ep);
	drop(p);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void sleeps(void)
{
	char *p = fresh();
	struct timespec *req = (struct timespec *)(void *)(p + PAGE - 8),
			*rem = (struct timespec *)(void *)(p + 3 * PAGE - 8);
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct itimerval it = {.it_value = {0, 20000}};
	pid_t child;

	req->tv_nsec = 1000000;
	tell("nanosleep", nanosleep(req, rem), p);
	req->tv_sec = 5;
	CHECK(!sigaction(SIGALRM, &sa, NULL) && !setitimer(ITIMER_REAL, &it, NULL));
	tell("interrupted", nanosleep(req, rem), p);
	printf("rest %ld\n", (long)rem->tv_sec);
	/* Stopped and continued: the sleep goes on by itself. */
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		char *q = fresh();
		struct pollfd *none = (struct pollfd *)(void *)(q + PAGE - 4);

		req = (struct timespec *)(void *)(q + 3 * PAGE - 8);
		req->tv_nsec = 150000000;
		none->fd = -1;
		_exit(!nanosleep(req, (struct timespec *)(void *)(q + 6 * PAGE - 8)) && !poll(none, 1, 100) ? 9 : 1);
	}
	for (int i = 0; i < 4; i++) {
		usleep(40000);
		CHECK(!kill(child, SIGSTOP));
		usleep(10000);
		CHECK(!kill(child, SIGCONT));
	}
	{
		int status;

		CHECK(waitpid(child, &status, 0) == child);
		printf("child %d\n", WEXITSTATUS(status));
	}
	drop(p);
}

static void messages(void)
{
	char *p = fresh();
	struct {
		long type;
		char text[6000];
	} *m = (void *)(p + PAGE - 8);
	int q = msgget(IPC_PRIVATE, 0600);

	if (q < 0) {
		printf("no message queues\n");
		return;
	}
	m->type = 3;
	m->text[5] = 'z';
	tell("msgsnd", msgsnd(q, m, 5000, 0), p);
	tell("msgrcv", msgrcv(q, p + 6 * PAGE - 8, 8000, 0, 0), p);
	printf("type %ld, byte %c\n", *(long *)(void *)(p + 6 * PAGE - 8), p[6 * PAGE + 5]);
	tell("IPC_STAT", msgctl(q, IPC_STAT, (struct msqid_ds *)(void *)(p + 12 * PAGE - 8)), p);
	CHECK(!msgctl(q, IPC_RMID, NULL));
	drop(p);
}

/* What the last argument points to, and how large it is, depends on the command and on the set. */
static void semaphores(void)
{
	char *p = fresh();
	unsigned short *values = (unsigned short *)(void *)(p + PAGE - 6);
	struct semid_ds *ds = (struct semid_ds *)(void *)(p + 8 * PAGE - 16);
	int s = semget(IPC_PRIVATE, 250, 0600), all = 0;

	if (s < 0) {
		printf("no semaphores\n");
		return;
	}
	tell("SETVAL", semctl(s, 3, SETVAL, 77), p);
	tell("SETVAL too large", semctl(s, 3, SETVAL, 0x50000000), p);
	tell("GETALL", semctl(s, 0, GETALL, values), p);
	tell("SETALL", semctl(s, 0, SETALL, p + 4 * PAGE - 6), p);
	tell("GETVAL", semctl(s, 3, GETVAL), NULL);
	for (int i = 0; i < 250; i++)
		all += values[i];
	printf("sum %d, fourth %u\n", all, values[3]);
	tell("IPC_STAT", semctl(s, 0, IPC_STAT, ds), p);
	printf("semaphores %lu, mode %o\n", (unsigned long)ds->sem_nsems, (unsigned)ds->sem_perm.mode);
	ds->sem_perm.mode = 0640;
	memcpy(p + 10 * PAGE, ds, sizeof(*ds));
	tell("IPC_SET", semctl(s, 0, IPC_SET, p + 10 * PAGE), p);
	tell("SEM_INFO", semctl(0, 0, SEM_INFO, p + 12 * PAGE - 8) < 0 ? -1 : 0, p);
	tell("GETALL nowhere", semctl(s, 0, GETALL, p + FRESH_PAGES * PAGE), p);
	CHECK(!semctl(s, 0, IPC_RMID));
	drop(p);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	CHECK(mkdtemp(dir));
	names();
	files();
	kernel_facts();
	descriptors();
	connections();
	children();
	counters();
	readiness();
	sleeps();
	messages();
	semaphores();
	CHECK(!unlink("file") && !chdir("/") && !rmdir(dir));
	printf("done\n");
	return 0;
}
