/* SPDX-License-Identifier: MIT */
/*
 * userfaultfd, missing mode, as Linux has it: threads that wait, signals, and the descriptor's life. A companion of uffd_contract.c, which
 * says how to run it.
 */
#include "lib_uffd.h"

static volatile sig_atomic_t handled;
static volatile int handler_fd;
static void *volatile handler_page;

static void count_signal(int sig)
{
	(void)sig;
	handled++;
}

/* Waiting and waking. */

static void one_fill_releases_all_who_wait_for_the_page(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(1), *src = filled(1, 8);
	struct uffd_msg msg;
	struct access a[3];

	EXPECT(reg(fd, m, 1), 0);
	for (int i = 0; i < 3; i++)
		start_read(&a[i], m + i);
	for (int i = 0; i < 3; i++) /* a message for each thread */
		EXPECT(next_message(fd, &msg), true);
	EXPECT(copy(fd, m, src, 1), 0);
	for (int i = 0; i < 3; i++)
		EXPECT(finish(&a[i]), 8);
	EXPECT(rc(read(fd, &msg, sizeof(msg))), -EAGAIN);
}

static void dontwake_leaves_the_thread_asleep(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2), *src = filled(1, 8);
	struct uffd_msg msg;
	struct access a, b;

	EXPECT(reg(fd, m, 2), 0);
	start_read(&a, m);
	start_read(&b, m + PAGE);
	sleep_ms(30);
	EXPECT(copy_raw(fd, (uintptr_t)m, (uintptr_t)src, PAGE, 1), 0);
	EXPECT(zero_raw(fd, (uintptr_t)m + PAGE, PAGE, 1), 0);
	EXPECT(m[0], 8); /* another thread does not wait */
	EXPECT(stays_asleep(&a) && stays_asleep(&b), true);
	EXPECT(next_message(fd, &msg), true); /* the messages are still there */
	EXPECT(next_message(fd, &msg), true);
	EXPECT(wake(fd, m, PAGE), 0);
	EXPECT(finish(&a), 8);
	EXPECT(stays_asleep(&b), true);
	EXPECT(wake(fd, m, 2 * PAGE), 0);
	EXPECT(finish(&b), 0);
}

static void wake_without_a_page_brings_a_new_message(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(1);
	struct uffd_msg msg;
	struct access a;

	EXPECT(reg(fd, m, 1), 0);
	start_read(&a, m);
	for (int i = 0; i < 3; i++) {
		EXPECT(next_message(fd, &msg), true);
		EXPECT(poll_now(fd, 20), 0); /* not told twice */
		EXPECT(wake(fd, m, PAGE), 0);
	}
	EXPECT(zero(fd, m, 1), 0);
	finish(&a);
}

static void failed_fill_wakes_nobody(void)
{
	int fd = open_uffd(O_NONBLOCK, 0), other = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(1), *src = filled(1, 8);
	struct access a;

	EXPECT(reg(fd, m, 1), 0);
	start_read(&a, m);
	EXPECT(poll_now(fd, 2000), POLLIN);
	EXPECT(copy(other, m, src, 1), 0); /* fills, and wakes its own waiters, which are none */
	EXPECT(stays_asleep(&a), true);
	EXPECT(wake(other, m, PAGE), 0);
	EXPECT(copy(fd, m, src, 1), -EEXIST);
	EXPECT(stays_asleep(&a), true);
	EXPECT(wake(fd, m, PAGE), 0);
	EXPECT(finish(&a), 8);
}

static void partial_fill_wakes_its_prefix(void)
{
	int fd = open_uffd(O_NONBLOCK, 0), other = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2), *src = filled(2, 8);
	struct access a, b;

	EXPECT(reg(fd, m, 2), 0);
	start_read(&a, m);
	start_read(&b, m + PAGE);
	sleep_ms(30);
	EXPECT(copy(other, m + PAGE, src, 1), 0);
	EXPECT(copy(fd, m, src, 2), -EAGAIN);
	EXPECT(field, PAGE);
	EXPECT(finish(&a), 8);
	EXPECT(stays_asleep(&b), true);
	EXPECT(wake(fd, m, 2 * PAGE), 0);
	EXPECT(finish(&b), 8);
}

static void unregister_lets_waiters_go_on(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2);
	struct access a, b;

	EXPECT(reg(fd, m, 2), 0);
	start_read(&a, m);
	start_write(&b, m + PAGE, 7);
	sleep_ms(30);
	EXPECT(unreg(fd, m + PAGE, PAGE), 0);
	finish(&b);
	EXPECT(m[PAGE], 7);
	EXPECT(stays_asleep(&a), true);
	EXPECT(unreg(fd, m, PAGE), 0);
	EXPECT(finish(&a), 0);
	EXPECT(poll_now(fd, 0), 0);
}

static char *copy_dst, *copy_src;

static void *copy_main(void *arg)
{
	return (void *)copy(*(int *)arg, copy_dst, copy_src, 1);
}

static void copy_from_a_missing_page_waits_for_it(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *real = filled(1, 6);
	struct uffd_msg msg;
	pthread_t t;
	void *err;

	copy_dst = map_pages(1);
	copy_src = map_pages(1);
	EXPECT(reg(fd, copy_dst, 1), 0);
	EXPECT(reg(fd, copy_src, 1), 0);
	pthread_create(&t, NULL, copy_main, &fd);
	EXPECT(next_message(fd, &msg), true);
	EXPECT(msg.arg.pagefault.address, (uintptr_t)copy_src);
	EXPECT(msg.arg.pagefault.flags, 0);
	EXPECT(copy(fd, copy_src, real, 1), 0);
	pthread_join(t, &err);
	EXPECT((long)err, 0);
	EXPECT(copy_dst[77], 6);
}

static void present_pages_dropped_are_missing_again(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = filled(1, 3);
	struct uffd_msg msg;
	struct access a;

	EXPECT(reg(fd, m, 1), 0);
	EXPECT(m[0], 3);
	EXPECT(madvise(m, PAGE, MADV_DONTNEED), 0);
	start_read(&a, m);
	EXPECT(next_message(fd, &msg), true);
	EXPECT(zero(fd, m, 1), 0);
	EXPECT(finish(&a), 0);
}

/* The kernel's own accesses. */

static int kernel_pipe[2];

static void *read_syscall(void *page)
{
	return (void *)rc(read(kernel_pipe[0], page, 4));
}

static void *write_syscall(void *page)
{
	return (void *)rc(write(kernel_pipe[1], page, 4));
}

static void *populate_syscall(void *page)
{
	return (void *)rc(madvise(page, PAGE, MADV_POPULATE_READ));
}

static void system_call_waits_for_the_page(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(3), *src = filled(1, 'q'), got[4];
	struct uffd_msg msg;
	pthread_t t;
	void *ret;

	EXPECT(pipe(kernel_pipe), 0);
	EXPECT(reg(fd, m, 3), 0);
	EXPECT(write(kernel_pipe[1], "abcd", 4), 4);
	pthread_create(&t, NULL, read_syscall, m + 8);
	EXPECT(next_message(fd, &msg), true);
	EXPECT(msg.arg.pagefault.flags, UFFD_PAGEFAULT_FLAG_WRITE);
	EXPECT(msg.arg.pagefault.address, (uintptr_t)m);
	EXPECT(copy(fd, m, src, 1), 0);
	pthread_join(t, &ret);
	EXPECT((long)ret, 4);
	EXPECT(memcmp(m + 7, "qabcdq", 6), 0);

	pthread_create(&t, NULL, write_syscall, m + PAGE);
	EXPECT(next_message(fd, &msg), true);
	EXPECT(msg.arg.pagefault.flags, 0);
	EXPECT(copy(fd, m + PAGE, src, 1), 0);
	pthread_join(t, &ret);
	EXPECT((long)ret, 4);
	EXPECT(read(kernel_pipe[0], got, 4), 4);
	EXPECT(memcmp(got, "qqqq", 4), 0);

	pthread_create(&t, NULL, populate_syscall, m + 2 * PAGE);
	EXPECT(next_message(fd, &msg), true);
	EXPECT(msg.arg.pagefault.flags, 0);
	EXPECT(zero(fd, m + 2 * PAGE, 1), 0);
	pthread_join(t, &ret);
	EXPECT((long)ret, 0);
}

static void mincore_faults_nothing(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	unsigned char vec[2] = {9, 9};
	char *m = map_pages(2);

	EXPECT(reg(fd, m, 2), 0);
	EXPECT(zero(fd, m + PAGE, 1), 0);
	EXPECT(mincore(m, 2 * PAGE, vec), 0);
	EXPECT(vec[0] & 1, 0);
	EXPECT(poll_now(fd, 0), 0);
}

static void user_mode_only_fails_system_calls(void)
{
	int fd = open_uffd(O_NONBLOCK | UFFD_USER_MODE_ONLY, 0);
	char *m = map_pages(1);
	struct uffd_msg msg;
	struct access a;

	EXPECT(pipe(kernel_pipe), 0);
	EXPECT(reg(fd, m, 1), 0);
	EXPECT(write(kernel_pipe[1], "abcd", 4), 4);
	EXPECT(rc(read(kernel_pipe[0], m, 4)), -EFAULT);
	EXPECT(rc(write(kernel_pipe[1], m, 4)), -EFAULT);
	EXPECT(poll_now(fd, 0), 0);
	start_read(&a, m);
	EXPECT(next_message(fd, &msg), true);
	EXPECT(zero(fd, m, 1), 0);
	finish(&a);
}

static volatile siginfo_t bus_info;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	bus_info = *info;
	zero(handler_fd, handler_page, 1);
}

static void sigbus_feature_sends_the_signal(void)
{
	struct sigaction sa = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
	int fd = open_uffd(O_NONBLOCK, UFFD_FEATURE_SIGBUS);
	char *m = map_pages(1);

	EXPECT(pipe(kernel_pipe), 0);
	EXPECT(reg(fd, m, 1), 0);
	EXPECT(rc(write(kernel_pipe[1], m, 4)), -EFAULT);
	sigaction(SIGBUS, &sa, NULL);
	handler_fd = fd;
	handler_page = m;
	EXPECT(*(volatile char *)(m + 0x45), 0); /* the handler fills the page */
	EXPECT(bus_info.si_signo, SIGBUS);
	EXPECT(bus_info.si_code, BUS_ADRERR);
	EXPECT((uintptr_t)bus_info.si_addr, (uintptr_t)m + 0x45);
	EXPECT(poll_now(fd, 0), 0);
}

/* Signals and changes under a waiting thread. */

static void signal_runs_its_handler_while_the_page_is_missing(void)
{
	struct sigaction sa = {.sa_handler = count_signal};
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(1);
	struct uffd_msg msg;
	struct access a;

	sigaction(SIGUSR1, &sa, NULL);
	EXPECT(reg(fd, m, 1), 0);
	start_read(&a, m);
	EXPECT(next_message(fd, &msg), true);
	pthread_kill(a.thread, SIGUSR1);
	EXPECT(next_message(fd, &msg), true); /* handled, then the access again: a new message */
	EXPECT(handled, 1);
	EXPECT(is_done(&a), false);
	EXPECT(zero(fd, m, 1), 0);
	EXPECT(finish(&a), 0);
}

static void fatal_signal_ends_a_waiting_process(void)
{
	int ready[2], signals[2] = {SIGKILL, SIGTERM};
	char byte;

	for (int i = 0; i < 2; i++) {
		pid_t pid;

		EXPECT(pipe(ready), 0);
		pid = fork();
		if (!pid) {
			int fd = open_uffd(O_NONBLOCK, 0);
			char *m = map_pages(1);

			reg(fd, m, 1);
			write(ready[1], "", 1);
			_exit(*(volatile char *)m + 50);
		}
		EXPECT(read(ready[0], &byte, 1), 1);
		sleep_ms(30);
		kill(pid, signals[i]);
		EXPECT(wait_child(pid), -signals[i]);
	}
}

static volatile sig_atomic_t segv_code;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	segv_code = info->si_code;
	pthread_exit(NULL);
}

static void unmap_and_protect_under_a_waiter_show_when_it_wakes(void)
{
	struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2);
	struct uffd_msg msg;
	struct access a;

	sigaction(SIGSEGV, &sa, NULL);
	EXPECT(reg(fd, m, 2), 0);
	start_read(&a, m);
	EXPECT(next_message(fd, &msg), true);
	munmap(m, PAGE);
	EXPECT(stays_asleep(&a), true);
	EXPECT(wake(fd, m, PAGE), 0);
	finish(&a);
	EXPECT(is_done(&a), false);
	EXPECT(segv_code, SEGV_MAPERR);

	start_read(&a, m + PAGE);
	EXPECT(next_message(fd, &msg), true);
	mprotect(m + PAGE, PAGE, PROT_NONE);
	EXPECT(stays_asleep(&a), true);
	EXPECT(zero(fd, m + PAGE, 1), 0);
	finish(&a);
	EXPECT(is_done(&a), false);
	EXPECT(segv_code, SEGV_ACCERR);
}

/* The descriptor's life. */

static void last_close_lets_waiters_go_on(void)
{
	int fd = open_uffd(O_NONBLOCK, 0), dup_fd = dup(fd);
	char *m = map_pages(2);
	struct uffd_msg msg;
	struct access a, b;

	EXPECT(reg(fd, m, 2), 0);
	start_read(&a, m);
	EXPECT(next_message(fd, &msg), true);
	start_write(&b, m + PAGE, 5);
	EXPECT(poll_now(fd, 2000), POLLIN);
	close(fd);
	EXPECT(stays_asleep(&a), true); /* the duplicate is still there */
	EXPECT(poll_now(dup_fd, 0), POLLIN);
	close(dup_fd);
	EXPECT(finish(&a), 0);
	finish(&b);
	EXPECT(m[PAGE], 5);
	fd = open_uffd(O_NONBLOCK, 0);
	EXPECT(reg(fd, m, 2), 0); /* nobody's memory by now */
}

static void forked_child_acts_on_its_parents_memory(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(4), *src = filled(1, 'p');
	struct access a;
	pid_t pid;

	EXPECT(reg(fd, m, 3), 0);
	pid = fork();
	if (!pid) {
		memset(src, 'c', PAGE); /* the child's copy of the source */
		EXPECT(m[0], 0);        /* the child's own memory is plain */
		munmap(m, 4 * PAGE);
		EXPECT(copy(fd, m, src, 1), 0);
		EXPECT(field, PAGE);
		EXPECT(zero(fd, m + 3 * PAGE, 1), -ENOENT);
		EXPECT(reg(fd, m + 3 * PAGE, 1), 0);
		EXPECT(zero(fd, m + 3 * PAGE, 1), 0);
		_exit(case_failures);
	}
	EXPECT(wait_child(pid), 0);
	EXPECT(m[9], 'c');
	EXPECT(m[3 * PAGE], 0);

	start_read(&a, m + PAGE);
	EXPECT(poll_now(fd, 2000), POLLIN);
	pid = fork();
	if (!pid) {
		sleep_ms(60);
		_exit(copy(fd, m + PAGE, src, 1) != 0);
	}
	close(fd); /* the child has it */
	EXPECT(stays_asleep(&a), true);
	EXPECT(finish(&a), 'p');
	EXPECT(wait_child(pid), 0);
}

static void descriptor_outlives_its_address_space(void)
{
	char *m = map_pages(1), *src = filled(1, 1), buf[32];
	int fd;
	pid_t pid;

	/* A child with memory of its own and our descriptors. */
	fd = open("/dev/null", O_RDONLY);
	pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (!pid) {
		int mine = open_uffd(O_NONBLOCK, 0);

		_exit(reg(mine, m, 1) || dup2(mine, fd) != fd || close(mine));
	}
	EXPECT(wait_child(pid), 0);
	EXPECT(copy(fd, m, src, 1), -ESRCH);
	EXPECT(field, UNTOUCHED);
	EXPECT(copy_raw(fd, (uintptr_t)m + 1, 0, PAGE, 0), -EINVAL);
	EXPECT(zero(fd, m, 1), -ESRCH);
	EXPECT(field, UNTOUCHED);
	EXPECT(reg(fd, m, 1), -ENOMEM);
	EXPECT(unreg(fd, m, PAGE), -ENOMEM);
	EXPECT(wake(fd, m, PAGE), 0);
	EXPECT(rc(read(fd, buf, 32)), -EAGAIN);
	EXPECT(poll_now(fd, 0), 0);
}

/* Many at once. */

#define CROWD 8
#define CROWD_PAGES 64
static char *crowd;
static int crowd_fd;
static volatile int crowd_left = CROWD;

static void *crowd_reader(void *arg)
{
	uintptr_t sum = 0;

	for (size_t i = 0; i < CROWD_PAGES; i++)
		sum += (unsigned char)*(volatile char *)(crowd + ((i * 37 + (uintptr_t)arg) % CROWD_PAGES) * PAGE);
	__atomic_sub_fetch(&crowd_left, 1, __ATOMIC_SEQ_CST);
	return (void *)sum;
}

static void *crowd_resolver(void *src)
{
	struct uffd_msg msg[4];

	while (__atomic_load_n(&crowd_left, __ATOMIC_SEQ_CST)) {
		long n = rc(read(crowd_fd, msg, sizeof(msg)));

		if (n == -EAGAIN)
			poll_now(crowd_fd, 1);
		for (long i = 0; i < n / 32; i++) {
			char *page = (char *)(uintptr_t)msg[i].arg.pagefault.address;
			long err = copy(crowd_fd, page, src, 1);

			if (err == -EEXIST)
				err = wake(crowd_fd, page, PAGE);
			EXPECT(err, 0);
		}
	}
	return NULL;
}

static void crowd_of_readers_and_resolvers_comes_through(void)
{
	pthread_t readers[CROWD], resolvers[2];
	char *src = filled(1, 2);
	void *sum;

	crowd_fd = open_uffd(O_NONBLOCK, 0);
	crowd = map_pages(CROWD_PAGES);
	EXPECT(reg(crowd_fd, crowd, CROWD_PAGES), 0);
	for (uintptr_t i = 0; i < CROWD; i++)
		pthread_create(&readers[i], NULL, crowd_reader, (void *)i);
	for (int i = 0; i < 2; i++)
		pthread_create(&resolvers[i], NULL, crowd_resolver, src);
	for (int i = 0; i < CROWD; i++) {
		pthread_join(readers[i], &sum);
		EXPECT((uintptr_t)sum, 2 * CROWD_PAGES);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(resolvers[i], NULL);
}

static const struct test_case cases[] = {
	CASE(one_fill_releases_all_who_wait_for_the_page),
	CASE(dontwake_leaves_the_thread_asleep),
	CASE(wake_without_a_page_brings_a_new_message),
	CASE(failed_fill_wakes_nobody),
	CASE(partial_fill_wakes_its_prefix),
	CASE(unregister_lets_waiters_go_on),
	CASE(copy_from_a_missing_page_waits_for_it),
	CASE(present_pages_dropped_are_missing_again),
	CASE(system_call_waits_for_the_page),
	CASE(mincore_faults_nothing),
	CASE(user_mode_only_fails_system_calls),
	CASE(sigbus_feature_sends_the_signal),
	CASE(signal_runs_its_handler_while_the_page_is_missing),
	CASE(fatal_signal_ends_a_waiting_process),
	CASE(unmap_and_protect_under_a_waiter_show_when_it_wakes),
	CASE(last_close_lets_waiters_go_on),
	CASE(forked_child_acts_on_its_parents_memory),
	CASE(descriptor_outlives_its_address_space),
	CASE(crowd_of_readers_and_resolvers_comes_through),
};

int main(int argc, char **argv)
{
	return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
