/* SPDX-License-Identifier: MIT */
/*
 * userfaultfd, missing mode, as Linux has it: messages, reading them, and poll. A companion of uffd_contract.c, which says how to run it.
 */
#include <sys/epoll.h>
#include <sys/uio.h>

#include "lib_uffd.h"

/* Messages. */

static void message_tells_page_and_direction(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2);
	static const char zeros[8];
	struct access a, b;
	struct uffd_msg msg;

	EXPECT(reg(fd, m, 2), 0);
	start_read(&a, m + 100);
	EXPECT(next_message(fd, &msg), true);
	EXPECT(msg.event, UFFD_EVENT_PAGEFAULT);
	EXPECT(msg.arg.pagefault.flags, 0);
	EXPECT(msg.arg.pagefault.address, (uintptr_t)m);
	EXPECT(msg.arg.pagefault.feat.ptid, 0);
	EXPECT(memcmp((char *)&msg + 1, zeros, 7), 0);
	EXPECT(memcmp((char *)&msg + 24, zeros, 8), 0);
	start_write(&b, m + PAGE + 8, 3);
	EXPECT(next_message(fd, &msg), true);
	EXPECT(msg.arg.pagefault.flags, UFFD_PAGEFAULT_FLAG_WRITE);
	EXPECT(msg.arg.pagefault.address, (uintptr_t)m + PAGE);
	EXPECT(zero(fd, m, 2), 0);
	EXPECT(finish(&a), 0);
	finish(&b);
	EXPECT(m[PAGE + 8], 3);
}

static void message_with_features_tells_thread_and_byte(void)
{
	int fd = open_uffd(O_NONBLOCK, UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_EXACT_ADDRESS);
	char *m = map_pages(1);
	struct access a;
	struct uffd_msg msg;

	EXPECT(reg(fd, m, 1), 0);
	start_read(&a, m + 0x123);
	EXPECT(next_message(fd, &msg), true);
	EXPECT(msg.arg.pagefault.address, (uintptr_t)m + 0x123);
	EXPECT(msg.arg.pagefault.feat.ptid, a.tid);
	EXPECT(zero(fd, m, 1), 0);
	finish(&a);
}

static void read_returns_whole_messages(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(3);
	struct uffd_msg msg[4];
	struct iovec half[2] = {{msg, 20}, {(char *)msg + 20, 12}};
	struct access a[3];

	EXPECT(reg(fd, m, 3), 0);
	EXPECT(rc(read(fd, msg, 31)), -EINVAL);
	EXPECT(rc(read(fd, msg, 0)), -EINVAL);
	EXPECT(rc(read(fd, msg, 32)), -EAGAIN);
	for (int i = 0; i < 3; i++) {
		start_read(&a[i], m + (size_t)(2 - i) * PAGE);
		EXPECT(poll_now(fd, 2000), POLLIN);
		sleep_ms(150); /* in this order, on a busy machine as well */
	}
	EXPECT(rc(read(fd, msg, 95)), 64);
	EXPECT(msg[0].arg.pagefault.address, (uintptr_t)m + 2 * PAGE);
	EXPECT(msg[1].arg.pagefault.address, (uintptr_t)m + PAGE);
	EXPECT(rc(readv(fd, half, 2)), 32);
	EXPECT(msg[0].arg.pagefault.address, (uintptr_t)m);
	EXPECT(rc(read(fd, msg, sizeof(msg))), -EAGAIN);
	EXPECT(zero(fd, m, 3), 0);
	for (int i = 0; i < 3; i++)
		finish(&a[i]);
}

static void read_into_a_bad_buffer_loses_the_message(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(1), *nowhere = map_pages(1);
	struct uffd_msg msg;
	struct access a;

	mprotect(nowhere, PAGE, PROT_NONE); /* a hole might be filled by the thread's stack */
	EXPECT(reg(fd, m, 1), 0);
	start_read(&a, m);
	EXPECT(poll_now(fd, 2000), POLLIN);
	EXPECT(rc(read(fd, nowhere, 32)), -EFAULT);
	EXPECT(poll_now(fd, 0), 0);
	EXPECT(rc(read(fd, &msg, 32)), -EAGAIN);
	EXPECT(stays_asleep(&a), true);
	EXPECT(wake(fd, m, PAGE), 0); /* it looks again, and says so */
	EXPECT(next_message(fd, &msg), true);
	EXPECT(zero(fd, m, 1), 0);
	finish(&a);
}

static void *read_one(void *arg)
{
	struct uffd_msg msg;

	return (void *)(rc(read(*(int *)arg, &msg, sizeof(msg))) == sizeof(msg) ? (uintptr_t)msg.arg.pagefault.address
										: 0);
}

static void blocking_read_waits_for_its_own_message(void)
{
	int fd = open_uffd(0, 0);
	char *m = map_pages(2);
	pthread_t readers[2];
	struct access a, b;
	void *got[2];

	EXPECT(reg(fd, m, 2), 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&readers[i], NULL, read_one, &fd);
	sleep_ms(20);
	start_read(&a, m);
	sleep_ms(20);
	start_read(&b, m + PAGE);
	for (int i = 0; i < 2; i++)
		pthread_join(readers[i], &got[i]);
	EXPECT((uintptr_t)got[0] + (uintptr_t)got[1], 2 * (uintptr_t)m + PAGE);
	EXPECT(got[0] != got[1], true);
	EXPECT(zero(fd, m, 2), 0);
	finish(&a);
	finish(&b);
}

static volatile sig_atomic_t handled;

static void count_signal(int sig)
{
	(void)sig;
	handled++;
}

static void blocked_read_and_signals(int sa_flags, long want)
{
	struct sigaction sa = {.sa_handler = count_signal, .sa_flags = sa_flags};
	int fd = open_uffd(0, 0);
	char *m = map_pages(1);
	struct access a;
	pthread_t reader;
	void *got;

	EXPECT(reg(fd, m, 1), 0);
	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&reader, NULL, read_one, &fd);
	sleep_ms(30);
	pthread_kill(reader, SIGUSR1);
	for (int i = 0; i < 200 && !handled; i++)
		sleep_ms(10);
	EXPECT(handled, 1);
	start_read(&a, m);
	pthread_join(reader, &got);
	EXPECT((uintptr_t)got, want ? (uintptr_t)m : 0);
	sleep_ms(30);
	EXPECT(zero(fd, m, 1), 0);
	finish(&a);
}

static void blocked_read_ends_by_a_signal(void)
{
	blocked_read_and_signals(0, 0);
}

static void blocked_read_is_restarted_if_asked(void)
{
	blocked_read_and_signals(SA_RESTART, 1);
}

/* poll. */

static void poll_tells_unread_messages(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2);
	struct uffd_msg msg;
	struct access a, b;

	EXPECT(reg(fd, m, 2), 0);
	EXPECT(poll_now(fd, 0), 0);
	start_read(&a, m);
	EXPECT(poll_now(fd, 2000), POLLIN);
	EXPECT(next_message(fd, &msg), true);
	EXPECT(poll_now(fd, 0), 0);
	start_read(&b, m + PAGE);
	EXPECT(poll_now(fd, 2000), POLLIN);
	EXPECT(zero(fd, m, 2), 0); /* resolved before it was read: gone */
	finish(&a);
	finish(&b);
	EXPECT(poll_now(fd, 0), 0);
	EXPECT(rc(read(fd, &msg, sizeof(msg))), -EAGAIN);
}

static void poll_of_a_blocking_descriptor_is_an_error(void)
{
	int fd = open_uffd(0, 0);
	char *m = map_pages(1);
	struct access a;

	EXPECT(reg(fd, m, 1), 0);
	EXPECT(poll_now(fd, 0), POLLERR);
	start_read(&a, m);
	sleep_ms(50);
	EXPECT(poll_now(fd, 0), POLLERR);
	fcntl(fd, F_SETFL, O_NONBLOCK); /* the mode is what it is now */
	EXPECT(poll_now(fd, 2000), POLLIN);
	EXPECT(zero(fd, m, 1), 0);
	finish(&a);
	EXPECT(poll_now(fd, 0), 0);
}

static void edge_triggered_epoll_tells_each_fault(void)
{
	int fd = open_uffd(O_NONBLOCK, 0), ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	char *m = map_pages(2);
	struct access a, b;

	EXPECT(reg(fd, m, 2), 0);
	EXPECT(rc(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev)), 0);
	EXPECT(epoll_wait(ep, &ev, 1, 0), 0);
	start_read(&a, m);
	EXPECT(epoll_wait(ep, &ev, 1, 2000), 1);
	EXPECT(ev.events, EPOLLIN);
	EXPECT(epoll_wait(ep, &ev, 1, 0), 0);
	start_read(&b, m + PAGE);
	EXPECT(epoll_wait(ep, &ev, 1, 2000), 1);
	EXPECT(zero(fd, m, 2), 0);
	finish(&a);
	finish(&b);
}

static const struct test_case cases[] = {
	CASE(message_tells_page_and_direction),
	CASE(message_with_features_tells_thread_and_byte),
	CASE(read_returns_whole_messages),
	CASE(read_into_a_bad_buffer_loses_the_message),
	CASE(blocking_read_waits_for_its_own_message),
	CASE(blocked_read_ends_by_a_signal),
	CASE(blocked_read_is_restarted_if_asked),
	CASE(poll_tells_unread_messages),
	CASE(poll_of_a_blocking_descriptor_is_an_error),
	CASE(edge_triggered_epoll_tells_each_fault),
};

int main(int argc, char **argv)
{
	return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
