/* SPDX-License-Identifier: MIT */
/*
 * userfaultfd, missing mode, as Linux has it: the calls and their errno values, result fields and masks. The companions are uffd_messages.c and
 * uffd_waiting.c. Prints `ok NAME` or `FAIL NAME ...` for each case; exit status 0 if all passed. Arguments: names of
 * the cases to run. Needs root, or vm.unprivileged_userfaultfd = 1.
 *
 * It is the same program for the kernel and for `faultline run`. Where fewer features are offered, what they would add to a mask is
 * not expected: lib_uffd.h, missing_mask.
 */
#include "lib_uffd.h"

/* Before the handshake, and the handshake. */

static void open_flags_are_checked(void)
{
	int good[] = {0, O_CLOEXEC, O_NONBLOCK, UFFD_USER_MODE_ONLY, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY};
	int bad[] = {O_RDWR, O_APPEND, O_SYNC, 4, -1};
	int fd;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		fd = open_raw(good[i]);
		EXPECT(fd >= 0, true);
		EXPECT(fcntl(fd, F_GETFL) & O_NONBLOCK, good[i] & O_NONBLOCK);
		EXPECT(fcntl(fd, F_GETFD), good[i] & O_CLOEXEC ? FD_CLOEXEC : 0);
		EXPECT(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
		close(fd);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT(open_raw(bad[i]), -EINVAL);
}

static void descriptor_refuses_file_calls(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char byte = 0;

	EXPECT(rc(write(fd, &byte, 1)), -EBADF);
	EXPECT(rc(pread(fd, &byte, 1, 0)), -ESPIPE);
	EXPECT(rc(ftruncate(fd, 0)), -EINVAL);
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? errno : 0, ENODEV);
	EXPECT(rc(ioctl(fd, 0xaa55, &byte)), -EINVAL);
}

static void before_handshake_nothing_works(void)
{
	char *m = map_pages(1), buf[64];
	int fd = open_raw(O_NONBLOCK);

	EXPECT(reg(fd, m, 1), -EINVAL);
	EXPECT(unreg(fd, m, PAGE), -EINVAL);
	EXPECT(wake(fd, m, PAGE), -EINVAL);
	EXPECT(copy(fd, m, m, 1), -EINVAL);
	EXPECT(field, UNTOUCHED);
	EXPECT(zero(fd, m, 1), -EINVAL);
	EXPECT(rc(ioctl(fd, 0xaa55, m)), -EINVAL);
	EXPECT(rc(read(fd, buf, sizeof(buf))), -EINVAL);
	EXPECT(poll_now(fd, 0), POLLERR);
}

static void handshake_offers_everything_it_has(void)
{
	uint64_t must = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_EXACT_ADDRESS;
	struct uffdio_api all, one;

	EXPECT(handshake(open_raw(0), 0, &all), 0);
	EXPECT(handshake(open_raw(0), UFFD_FEATURE_THREAD_ID, &one), 0);
	EXPECT(all.features & must, must);
	EXPECT(one.features, all.features);
	EXPECT(all.api, UFFD_API);
	EXPECT(all.ioctls, 0x8000000000000003ull);
}

static void handshake_refused_leaves_zeros_and_may_be_tried_again(void)
{
	struct uffdio_api a = {.api = 0xAB, .features = 0, .ioctls = 5};
	int fd = open_raw(O_NONBLOCK);

	EXPECT(rc(ioctl(fd, UFFDIO_API, &a)), -EINVAL);
	EXPECT(a.api | a.features | a.ioctls, 0);
	for (int bit = 17; bit < 64; bit++) {
		EXPECT(handshake(fd, 1ull << bit, &a), -EINVAL);
		EXPECT(a.api | a.features | a.ioctls, 0);
	}
	EXPECT(rc(ioctl(fd, UFFDIO_API, NULL)), -EFAULT);
	EXPECT(poll_now(fd, 0), POLLERR);
	EXPECT(handshake(fd, 0, &a), 0);
	EXPECT(poll_now(fd, 0), 0);
}

static void handshake_happens_once(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(1);
	struct uffdio_api a;

	EXPECT(handshake(fd, 0, &a), -EINVAL);
	EXPECT(a.api | a.features | a.ioctls, 0);
	EXPECT(reg(fd, m, 1), 0);
	EXPECT(zero(fd, m, 1), 0);
}

static void handshake_that_cannot_answer_has_not_happened(void)
{
	int fd = open_raw(O_NONBLOCK);
	struct uffdio_api *a = (void *)map_pages(1);

	a->api = UFFD_API;
	mprotect(a, PAGE, PROT_READ);
	EXPECT(rc(ioctl(fd, UFFDIO_API, a)), -EFAULT);
	EXPECT(handshake(fd, 0, NULL), 0);
}

/* REGISTER and UNREGISTER. */

static void register_arguments_are_checked(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(4);
	uint64_t mask;

	EXPECT(rc(ioctl(fd, UFFDIO_REGISTER, NULL)), -EFAULT);
	EXPECT(reg_mode(fd, m, PAGE, 0, &mask), -EINVAL);
	EXPECT(mask, UNTOUCHED);
	EXPECT(reg_mode(fd, m, PAGE, 8, NULL), -EINVAL);
	EXPECT(reg_mode(fd, m, PAGE, 1ull << 40 | 1, NULL), -EINVAL);
	EXPECT(reg_mode(fd, m + 1, PAGE, 1, NULL), -EINVAL);
	EXPECT(reg_mode(fd, m, 0, 1, NULL), -EINVAL);
	EXPECT(reg_mode(fd, m, PAGE + 1, 1, NULL), -EINVAL);
	EXPECT(reg_mode(fd, (void *)TASK_SIZE, PAGE, 1, NULL), -EINVAL);
	EXPECT(reg_mode(fd, m, TASK_SIZE, 1, NULL), -EINVAL);
	EXPECT(reg_mode(fd, m, -PAGE, 1, &mask), -EINVAL);
	EXPECT(mask, UNTOUCHED);
}

static void register_says_what_may_be_done(void)
{
	bool wp = offered() & UFFD_FEATURE_PAGEFAULT_FLAG_WP;
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(4);
	uint64_t mask;

	EXPECT(reg_mode(fd, m, PAGE, UFFDIO_REGISTER_MODE_MISSING, &mask), 0);
	EXPECT(mask, missing_mask());
	EXPECT(reg_mode(fd, m + PAGE, PAGE, UFFDIO_REGISTER_MODE_WP, &mask), wp ? 0 : -EINVAL);
	EXPECT(mask, wp ? missing_mask() | 0x40 : UNTOUCHED);
	EXPECT(reg_mode(fd, m + 2 * PAGE, PAGE, UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MISSING, NULL),
	       wp ? 0 : -EINVAL);
	EXPECT(reg_mode(fd, m + 3 * PAGE, PAGE, UFFDIO_REGISTER_MODE_MINOR, NULL), -EINVAL);
}

static void register_needs_a_mapping(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(4), *src = filled(1, 7);

	munmap(m, PAGE);
	munmap(m + 2 * PAGE, PAGE);
	EXPECT(reg(fd, m, 1), -EINVAL);
	EXPECT(unreg(fd, m, PAGE), -EINVAL);
	EXPECT(reg(fd, m, 4), 0); /* holes, the first page too, are no obstacle */
	EXPECT(copy(fd, m, src, 1), -ENOENT);
	EXPECT(copy(fd, m + PAGE, src, 1), 0);
	EXPECT(copy(fd, m + 2 * PAGE, src, 1), -ENOENT);
	EXPECT(copy(fd, m + 3 * PAGE, src, 1), 0);
	EXPECT(unreg(fd, m, 4 * PAGE), 0);
}

static void register_takes_any_protection(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(3);

	mprotect(m, PAGE, PROT_NONE);
	mprotect(m + PAGE, PAGE, PROT_READ);
	EXPECT(reg(fd, m, 3), 0);
}

static void register_refuses_file_memory(void)
{
	int fd = open_uffd(O_NONBLOCK, 0), file = open("/proc/self/exe", O_RDONLY);
	char *m = map_pages(3);

	EXPECT(mmap(m + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0) == m + PAGE, true);
	EXPECT(reg(fd, m + PAGE, 1), -EINVAL);
	EXPECT(unreg(fd, m + PAGE, PAGE), -EINVAL);
	EXPECT(reg(fd, m, 3), -EINVAL);
	EXPECT(zero(fd, m, 1), -ENOENT); /* nothing of it has been registered */
}

static void register_that_cannot_answer_has_happened(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(1), *two = map_pages(2);
	struct uffdio_register *r = (void *)(two + PAGE - offsetof(struct uffdio_register, ioctls));

	*r = (struct uffdio_register){.range = {(uintptr_t)m, PAGE}, .mode = 1};
	mprotect(two + PAGE, PAGE, PROT_READ);
	EXPECT(rc(ioctl(fd, UFFDIO_REGISTER, r)), -EFAULT);
	EXPECT(zero(fd, m, 1), 0);
}

static void register_splits_and_leaves_the_rest_alone(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(3);

	m[0] = 1;
	EXPECT(reg(fd, m + PAGE, 1), 0);
	EXPECT(m[2 * PAGE], 0); /* an ordinary fault */
	EXPECT(zero(fd, m, 1), -ENOENT);
	EXPECT(zero(fd, m + PAGE, 1), 0);
	EXPECT(unreg(fd, m + PAGE, PAGE), 0);
	EXPECT(zero(fd, m + PAGE, 1), -ENOENT);
}

static void register_leaves_present_pages_alone(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = filled(1, 9);

	EXPECT(reg(fd, m, 1), 0);
	EXPECT(m[5], 9);
	m[5] = 10;
	EXPECT(m[5], 10);
	EXPECT(zero(fd, m, 1), -EEXIST);
}

static void register_again_changes_nothing(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2);
	uint64_t mask;

	EXPECT(reg(fd, m, 1), 0);
	EXPECT(reg_mode(fd, m, 2 * PAGE, UFFDIO_REGISTER_MODE_MISSING, &mask), 0);
	EXPECT(mask, missing_mask());
	EXPECT(zero(fd, m, 2), 0); /* one mapping by now */
	EXPECT(field, 2 * PAGE);
}

static void register_of_others_memory_is_busy(void)
{
	int a = open_uffd(O_NONBLOCK, 0), b = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(3);

	EXPECT(reg(a, m + PAGE, 1), 0);
	EXPECT(reg(b, m, 3), -EBUSY);
	EXPECT(zero(b, m, 1), -ENOENT); /* no partial effect */
	EXPECT(unreg(b, m, 3 * PAGE), -EINVAL);
	EXPECT(unreg(a, m + PAGE, PAGE), 0);
	EXPECT(reg(b, m, 3), 0);
}

static void unregister_arguments_are_checked(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2);

	EXPECT(rc(ioctl(fd, UFFDIO_UNREGISTER, NULL)), -EFAULT);
	EXPECT(unreg(fd, m + 1, PAGE), -EINVAL);
	EXPECT(unreg(fd, m, 0), -EINVAL);
	EXPECT(unreg(fd, m, PAGE - 1), -EINVAL);
	EXPECT(unreg(fd, (void *)TASK_SIZE, PAGE), -EINVAL);
	EXPECT(unreg(fd, m, 2 * PAGE), 0); /* never registered: nothing to do */
}

/* COPY and ZEROPAGE. */

static void copy_arguments_are_checked(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(4), *src = filled(1, 1);
	uintptr_t d = (uintptr_t)m, s = (uintptr_t)src;

	EXPECT(reg(fd, m, 4), 0);
	EXPECT(rc(ioctl(fd, UFFDIO_COPY, NULL)), -EFAULT);
	EXPECT(copy_raw(fd, d + 1, s, PAGE, 0), -EINVAL);
	EXPECT(field, UNTOUCHED);
	EXPECT(copy_raw(fd, d, s, 0, 0), -EINVAL);
	EXPECT(copy_raw(fd, d, s, PAGE + 8, 0), -EINVAL);
	EXPECT(copy_raw(fd, d, s, PAGE, 4), -EINVAL);
	EXPECT(copy_raw(fd, d, s, PAGE, 1ull << 63), -EINVAL);
	EXPECT(copy_raw(fd, TASK_SIZE, s, PAGE, 0), -EINVAL);
	EXPECT(copy_raw(fd, d, TASK_SIZE, PAGE, 0), -EINVAL);
	EXPECT(copy_raw(fd, d, -100ull, PAGE, 0), -EINVAL);
	EXPECT(copy_raw(fd, d, s, -PAGE, 0), -EINVAL);
	EXPECT(field, UNTOUCHED);
}

static void copy_fills_and_the_page_is_ordinary(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(3), *src = map_pages(4);

	for (size_t i = 0; i < 4 * PAGE; i++)
		src[i] = (char)(i * 7 + i / PAGE);
	EXPECT(reg(fd, m, 3), 0);
	EXPECT(copy_raw(fd, (uintptr_t)m, (uintptr_t)src + 13, 2 * PAGE, 0), 0); /* the source need not be aligned */
	EXPECT(field, 2 * PAGE);
	EXPECT(memcmp(m, src + 13, 2 * PAGE), 0);
	m[PAGE]++;
	EXPECT((char)(src[13 + PAGE] + 1), m[PAGE]); /* a copy, not the same page */
}

static void copy_over_a_page_exists(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(3), *src = filled(3, 1);

	EXPECT(reg(fd, m, 3), 0);
	EXPECT(copy(fd, m + 2 * PAGE, src, 1), 0);
	EXPECT(copy(fd, m + 2 * PAGE, src, 1), -EEXIST);
	EXPECT(field, -EEXIST);
	EXPECT(copy(fd, m, src, 3), -EAGAIN); /* two are done, the third is there */
	EXPECT(field, 2 * PAGE);
	EXPECT(zero(fd, m, 1), -EEXIST);
	EXPECT(field, -EEXIST);
}

static void copy_outside_one_registered_mapping_is_no_entry(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(6), *src = filled(2, 1);

	EXPECT(reg(fd, m, 2), 0);
	EXPECT(copy(fd, m + 2 * PAGE, src, 1), -ENOENT); /* not registered */
	EXPECT(field, -ENOENT);
	EXPECT(copy(fd, m + PAGE, src, 2), -ENOENT); /* past the end */
	EXPECT(field, -ENOENT);
	munmap(m + 3 * PAGE, PAGE);
	EXPECT(copy(fd, m + 3 * PAGE, src, 1), -ENOENT);
	mprotect(m + 4 * PAGE, PAGE, PROT_READ);
	EXPECT(reg(fd, m + 4 * PAGE, 2), 0);
	EXPECT(copy(fd, m + 4 * PAGE, src, 2), -ENOENT); /* two mappings, both registered */
	EXPECT(copy(fd, m + 4 * PAGE, src, 1), 0);
	EXPECT(copy_raw(fd, TASK_SIZE - PAGE, (uintptr_t)src, PAGE, 0), -ENOENT);
	EXPECT(copy_raw(fd, (uintptr_t)m + 3 * PAGE, 8192, PAGE, 0), -ENOENT); /* the source is not looked at */
}

static void copy_from_a_bad_source_faults(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(3), *src = filled(3, 1);

	EXPECT(reg(fd, m, 3), 0);
	mprotect(src + 2 * PAGE, PAGE, PROT_NONE);
	EXPECT(copy_raw(fd, (uintptr_t)m, 0, PAGE, 0), -EFAULT);
	EXPECT(field, -EFAULT);
	EXPECT(copy(fd, m, src, 3), -EAGAIN);
	EXPECT(field, 2 * PAGE);
	EXPECT(copy(fd, m + 2 * PAGE, src + 2 * PAGE, 1), -EFAULT);
	EXPECT(copy(fd, m, src + 2 * PAGE, 1), -EFAULT); /* before it is seen that a page is there */
	EXPECT(copy_raw(fd, (uintptr_t)m + 2 * PAGE, (uintptr_t)src + PAGE + 1, PAGE, 0), -EFAULT);
	EXPECT(copy(fd, m + 2 * PAGE, src, 1), 0);
}

static void copy_ignores_the_destinations_protection(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2), *src = filled(2, 5);

	EXPECT(reg(fd, m, 2), 0);
	mprotect(m, 2 * PAGE, PROT_NONE);
	EXPECT(copy(fd, m, src, 1), 0);
	EXPECT(zero(fd, m + PAGE, 1), 0);
	mprotect(m, 2 * PAGE, PROT_READ | PROT_WRITE);
	EXPECT(m[1], 5);
	m[1] = 6;
	EXPECT(m[1], 6);
	EXPECT(m[PAGE], 0);
}

static void copy_write_protected_needs_that_mode(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2), *src = filled(1, 5);

	EXPECT(reg(fd, m, 1), 0);
	EXPECT(copy_raw(fd, (uintptr_t)m, (uintptr_t)src, PAGE, 2), -EINVAL);
	EXPECT(field, -EINVAL);
	EXPECT(copy_raw(fd, (uintptr_t)m, 0, PAGE, 2), -EINVAL);
	EXPECT(field, -EINVAL);
	EXPECT(copy_raw(fd, (uintptr_t)m + PAGE, (uintptr_t)src, PAGE, 2), -ENOENT);
	EXPECT(copy_raw(fd, (uintptr_t)m, (uintptr_t)src, PAGE, 3), -EINVAL);
}

static void copy_whose_result_cannot_be_written_is_done(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2), *src = filled(1, 5), *two = map_pages(2);
	struct uffdio_copy *c = (void *)(two + PAGE - offsetof(struct uffdio_copy, copy));
	struct uffdio_zeropage *z = (void *)(two + PAGE - offsetof(struct uffdio_zeropage, zeropage));

	EXPECT(reg(fd, m, 2), 0);
	*c = (struct uffdio_copy){.dst = (uintptr_t)m, .src = (uintptr_t)src, .len = PAGE};
	mprotect(two + PAGE, PAGE, PROT_NONE);
	EXPECT(rc(ioctl(fd, UFFDIO_COPY, c)), -EFAULT);
	EXPECT(m[9], 5);
	z->range.start = (uintptr_t)m + PAGE;
	z->range.len = PAGE;
	z->mode = 0;
	EXPECT(rc(ioctl(fd, UFFDIO_ZEROPAGE, z)), -EFAULT);
	EXPECT(zero(fd, m + PAGE, 1), -EEXIST);
}

static void copy_by_another_descriptor_of_the_process_fills(void)
{
	int a = open_uffd(O_NONBLOCK, 0), b = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2), *src = filled(1, 5);

	EXPECT(reg(a, m, 2), 0);
	EXPECT(copy(b, m, src, 1), 0);
	EXPECT(m[3], 5);
	EXPECT(zero(b, m + PAGE, 1), 0);
}

static void zeropage_arguments_are_checked(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(3);
	uintptr_t d = (uintptr_t)m;

	EXPECT(reg(fd, m, 2), 0);
	EXPECT(rc(ioctl(fd, UFFDIO_ZEROPAGE, NULL)), -EFAULT);
	EXPECT(zero_raw(fd, d + 8, PAGE, 0), -EINVAL);
	EXPECT(zero_raw(fd, d, 0, 0), -EINVAL);
	EXPECT(zero_raw(fd, d, PAGE, 2), -EINVAL);
	EXPECT(zero_raw(fd, TASK_SIZE, PAGE, 0), -EINVAL);
	EXPECT(field, UNTOUCHED);
	EXPECT(zero(fd, m + 2 * PAGE, 1), -ENOENT);
	EXPECT(field, -ENOENT);
	EXPECT(zero(fd, m + PAGE, 2), -ENOENT);
}

static void zeropage_reads_zero_and_takes_writes_silently(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2), buf[32];

	EXPECT(reg(fd, m, 2), 0);
	EXPECT(zero(fd, m, 2), 0);
	EXPECT(field, 2 * PAGE);
	EXPECT(m[100], 0);
	m[100] = 4;
	EXPECT(m[100], 4);
	EXPECT(m[PAGE + 100], 0);
	EXPECT(rc(read(fd, buf, sizeof(buf))), -EAGAIN);
}

static void wake_looks_at_the_range_only(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(1);

	EXPECT(rc(ioctl(fd, UFFDIO_WAKE, NULL)), -EFAULT);
	EXPECT(wake(fd, m + 1, PAGE), -EINVAL);
	EXPECT(wake(fd, m, 0), -EINVAL);
	EXPECT(wake(fd, m, 100), -EINVAL);
	EXPECT(wake(fd, (void *)TASK_SIZE, PAGE), -EINVAL);
	EXPECT(wake(fd, m, PAGE), 0);
	munmap(m, PAGE);
	EXPECT(wake(fd, m, PAGE), 0);
}

/* Changes of the mapping. */

static void unmapped_and_mapped_again_is_unregistered(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2);

	EXPECT(reg(fd, m, 2), 0);
	munmap(m, PAGE);
	EXPECT(zero(fd, m, 1), -ENOENT);
	EXPECT(map_at(m, 1) == m, true);
	EXPECT(m[0], 0);
	EXPECT(zero(fd, m, 1), -ENOENT);
	EXPECT(zero(fd, m + PAGE, 1), 0);
}

static void moved_is_unregistered_and_grown_is_registered(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(8), *to = map_pages(8);

	munmap(m + 2 * PAGE, 6 * PAGE);
	EXPECT(reg(fd, m, 2), 0);
	EXPECT(mremap(m, 2 * PAGE, 4 * PAGE, 0) == m, true);
	EXPECT(zero(fd, m + 3 * PAGE, 1), 0);
	EXPECT(mremap(m, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, true);
	EXPECT(to[0], 0);
	EXPECT(zero(fd, to + PAGE, 1), -ENOENT);
	EXPECT(zero(fd, m, 1), -ENOENT);
}

static void protection_keeps_the_registration(void)
{
	int fd = open_uffd(O_NONBLOCK, 0);
	char *m = map_pages(2);

	EXPECT(reg(fd, m, 2), 0);
	mprotect(m, PAGE, PROT_READ);
	EXPECT(zero(fd, m, 1), 0);
	mprotect(m, PAGE, PROT_READ | PROT_WRITE);
	EXPECT(madvise(m, PAGE, MADV_DONTNEED), 0);
	EXPECT(zero(fd, m, 2), 0);
}

static const struct test_case cases[] = {
	CASE(open_flags_are_checked),
	CASE(descriptor_refuses_file_calls),
	CASE(before_handshake_nothing_works),
	CASE(handshake_offers_everything_it_has),
	CASE(handshake_refused_leaves_zeros_and_may_be_tried_again),
	CASE(handshake_happens_once),
	CASE(handshake_that_cannot_answer_has_not_happened),
	CASE(register_arguments_are_checked),
	CASE(register_says_what_may_be_done),
	CASE(register_needs_a_mapping),
	CASE(register_takes_any_protection),
	CASE(register_refuses_file_memory),
	CASE(register_that_cannot_answer_has_happened),
	CASE(register_splits_and_leaves_the_rest_alone),
	CASE(register_leaves_present_pages_alone),
	CASE(register_again_changes_nothing),
	CASE(register_of_others_memory_is_busy),
	CASE(unregister_arguments_are_checked),
	CASE(copy_arguments_are_checked),
	CASE(copy_fills_and_the_page_is_ordinary),
	CASE(copy_over_a_page_exists),
	CASE(copy_outside_one_registered_mapping_is_no_entry),
	CASE(copy_from_a_bad_source_faults),
	CASE(copy_ignores_the_destinations_protection),
	CASE(copy_write_protected_needs_that_mode),
	CASE(copy_whose_result_cannot_be_written_is_done),
	CASE(copy_by_another_descriptor_of_the_process_fills),
	CASE(zeropage_arguments_are_checked),
	CASE(zeropage_reads_zero_and_takes_writes_silently),
	CASE(wake_looks_at_the_range_only),
	CASE(unmapped_and_mapped_again_is_unregistered),
	CASE(moved_is_unregistered_and_grown_is_registered),
	CASE(protection_keeps_the_registration),
};

int main(int argc, char **argv)
{
	return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
