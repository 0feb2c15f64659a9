/* SPDX-License-Identifier: MIT */
/*
 * The table of system calls, in the order of their numbers. See classes.h for what the columns mean. Constant; no lock.
 *
 * Why a call is restartable or consuming is a fact about Linux: a call is consuming if something is gone (a datagram, a
 * child, a signal, a counter, time) when its copy to user memory fails. read(2) is a buffer call although some files
 * consume: sys_io.c asks what the descriptor is.
 */
#include "linux/classes.h"

#include <errno.h>
#include <stddef.h>

#include "faultline/compiler.h"

#define ARG(n, d, s, l, b)                                                                     \
	{                                                                                      \
		.index = (n), .dir = FL_ARG_##d, .size = FL_SIZE_##s, .len = (l), .bytes = (b) \
	}
#define IN(n, b) ARG(n, IN, FIXED, 0, b)
#define OUT(n, b) ARG(n, OUT, FIXED, 0, b)
#define INOUT(n, b) ARG(n, INOUT, FIXED, 0, b)
#define IN_N(n, l) ARG(n, IN, ARG, l, 1)
#define IN_ARRAY(n, l, b) ARG(n, IN, ARG, l, b)
#define OUT_ARRAY(n, l, b) ARG(n, OUT, ARG, l, b)
#define INOUT_ARRAY(n, l, b) ARG(n, INOUT, ARG, l, b)
#define OUT_N(n, l) ARG(n, OUT, ARG, l, 1)
#define OUT_R(n, l) ARG(n, OUT, RESULT, l, 1)
#define OUT_RA(n, l, b) ARG(n, OUT, RESULT, l, b)
#define OUT_L(n, l) ARG(n, OUT, LENPTR, l, 1)
#define FDS(n) ARG(n, INOUT, FDSET, 0, 0)
#define STR(n) ARG(n, IN, STRING, 0, 0)
#define VEC(n) ARG(n, IN, VECTOR, 0, 0)
#define IN_V(n, l) ARG(n, IN, IOVEC, l, 16)
#define OUT_V(n, l) ARG(n, OUT, IOVEC, l, 16)
#define IN_M(n) ARG(n, IN, MSGHDR, 0, 56)
#define OUT_M(n) ARG(n, OUT, MSGHDR, 0, 56)
#define ODD(n) ARG(n, INOUT, OPAQUE, 0, 0)

#define CALL(nr, n, c, ...) [nr] = {.name = (n), .class = FL_CALL_##c, .args = {__VA_ARGS__}}
#define CALLF(nr, n, c, f, ...) [nr] = {.name = (n), .class = FL_CALL_##c, .flags = (f), .args = {__VA_ARGS__}}
#define NATIVE(nr, n) [nr] = {.name = (n), .class = FL_CALL_NATIVE}
#define SERVED(nr, n) [nr] = {.name = (n), .class = FL_CALL_SERVED}
#define REFUSED(nr, n, e) [nr] = {.name = (n), .class = FL_CALL_REFUSED, .refusal = (e)}
#define NESTED FL_CALLF_NESTED
#define ALWAYS FL_CALLF_ALWAYS_OUT

/* Sizes of the kernel's structures for user space on x86-64. */
#define TIMESPEC 16
#define TIMEVAL 16
#define ITIMERSPEC 32
#define SIGINFO 128
#define STAT 144
#define STATX 256
#define STATFS 120
#define RUSAGE 144
#define TIMEX 208
#define SIGEVENT 64
#define EPOLL_EVENT 12

static const struct fl_call calls[] = {
	CALL(0, "read", BUFFER, OUT_R(1, 2)),
	CALL(1, "write", BUFFER, IN_N(1, 2)),
	CALL(2, "open", STRUCT, STR(0)),
	NATIVE(3, "close"),
	CALL(4, "stat", STRUCT, STR(0), OUT(1, STAT)),
	CALL(5, "fstat", STRUCT, OUT(1, STAT)),
	CALL(6, "lstat", STRUCT, STR(0), OUT(1, STAT)),
	CALLF(7, "poll", CONSUMING, ALWAYS, INOUT_ARRAY(0, 1, 8)),
	NATIVE(8, "lseek"),
	SERVED(9, "mmap"),
	SERVED(10, "mprotect"),
	SERVED(11, "munmap"),
	SERVED(12, "brk"),
	CALL(13, "rt_sigaction", SERVED, IN(1, 32), OUT(2, 32)),
	CALL(14, "rt_sigprocmask", SERVED, IN_N(1, 3), OUT_N(2, 3)),
	SERVED(15, "rt_sigreturn"),
	CALL(16, "ioctl", STRUCT, ODD(2)),
	CALL(17, "pread64", BUFFER, OUT_R(1, 2)),
	CALL(18, "pwrite64", BUFFER, IN_N(1, 2)),
	CALLF(19, "readv", BUFFER, NESTED, OUT_V(1, 2)),
	CALLF(20, "writev", BUFFER, NESTED, IN_V(1, 2)),
	CALL(21, "access", STRUCT, STR(0)),
	CALL(22, "pipe", STRUCT, OUT(0, 8)),
	CALLF(23, "select", CONSUMING, ALWAYS, INOUT(4, TIMEVAL), FDS(1), FDS(2), FDS(3)),
	NATIVE(24, "sched_yield"),
	SERVED(25, "mremap"),
	SERVED(26, "msync"),
	SERVED(27, "mincore"),
	SERVED(28, "madvise"),
	NATIVE(29, "shmget"),
	SERVED(30, "shmat"),
	CALL(31, "shmctl", STRUCT, ODD(2)),
	NATIVE(32, "dup"),
	NATIVE(33, "dup2"),
	NATIVE(34, "pause"),
	CALLF(35, "nanosleep", CONSUMING, ALWAYS, IN(0, TIMESPEC), OUT(1, TIMESPEC)),
	CALL(36, "getitimer", STRUCT, OUT(1, 32)),
	NATIVE(37, "alarm"),
	CALL(38, "setitimer", CONSUMING, IN(1, 32), OUT(2, 32)),
	NATIVE(39, "getpid"),
	CALL(40, "sendfile", CONSUMING, INOUT(2, 8)),
	NATIVE(41, "socket"),
	CALL(42, "connect", STRUCT, IN_N(1, 2)),
	CALL(43, "accept", CONSUMING, OUT_L(1, 2)),
	CALL(44, "sendto", BUFFER, IN_N(4, 5), IN_N(1, 2)),
	CALL(45, "recvfrom", BUFFER, OUT_R(1, 2), OUT_L(4, 5)),
	CALLF(46, "sendmsg", BUFFER, NESTED, IN_M(1)),
	CALLF(47, "recvmsg", BUFFER, NESTED, OUT_M(1)),
	NATIVE(48, "shutdown"),
	CALL(49, "bind", STRUCT, IN_N(1, 2)),
	NATIVE(50, "listen"),
	CALL(51, "getsockname", STRUCT, OUT_L(1, 2)),
	CALL(52, "getpeername", STRUCT, OUT_L(1, 2)),
	CALL(53, "socketpair", STRUCT, OUT(3, 8)),
	CALL(54, "setsockopt", STRUCT, IN_N(3, 4)),
	CALL(55, "getsockopt", CONSUMING, OUT_L(3, 4)),
	CALL(56, "clone", SERVED, OUT(2, 4), OUT(3, 4)),
	SERVED(57, "fork"),
	SERVED(58, "vfork"),
	CALLF(59, "execve", SERVED, NESTED, STR(0), VEC(1), VEC(2)),
	SERVED(60, "exit"),
	CALL(61, "wait4", CONSUMING, OUT(3, RUSAGE), OUT(1, 4)),
	NATIVE(62, "kill"),
	CALL(63, "uname", STRUCT, OUT(0, 390)),
	NATIVE(64, "semget"),
	CALL(65, "semop", STRUCT, IN_ARRAY(1, 2, 6)),
	CALL(66, "semctl", STRUCT, ODD(3)),
	SERVED(67, "shmdt"),
	NATIVE(68, "msgget"),
	CALL(69, "msgsnd", STRUCT, IN(1, 8), IN_N(1, 2)),
	CALL(70, "msgrcv", CONSUMING, OUT_R(1, 2)),
	CALL(71, "msgctl", STRUCT, ODD(2)),
	CALL(72, "fcntl", STRUCT, ODD(2)),
	NATIVE(73, "flock"),
	NATIVE(74, "fsync"),
	NATIVE(75, "fdatasync"),
	CALL(76, "truncate", STRUCT, STR(0)),
	NATIVE(77, "ftruncate"),
	CALL(78, "getdents", STRUCT, OUT_R(1, 2)),
	CALL(79, "getcwd", STRUCT, OUT_R(0, 1)),
	CALL(80, "chdir", STRUCT, STR(0)),
	NATIVE(81, "fchdir"),
	CALL(82, "rename", STRUCT, STR(0), STR(1)),
	CALL(83, "mkdir", STRUCT, STR(0)),
	CALL(84, "rmdir", STRUCT, STR(0)),
	CALL(85, "creat", STRUCT, STR(0)),
	CALL(86, "link", STRUCT, STR(0), STR(1)),
	CALL(87, "unlink", STRUCT, STR(0)),
	CALL(88, "symlink", STRUCT, STR(0), STR(1)),
	CALL(89, "readlink", STRUCT, STR(0), OUT_R(1, 2)),
	CALL(90, "chmod", STRUCT, STR(0)),
	NATIVE(91, "fchmod"),
	CALL(92, "chown", STRUCT, STR(0)),
	NATIVE(93, "fchown"),
	CALL(94, "lchown", STRUCT, STR(0)),
	NATIVE(95, "umask"),
	CALL(96, "gettimeofday", STRUCT, OUT(0, TIMEVAL), OUT(1, 8)),
	CALL(97, "getrlimit", STRUCT, OUT(1, 16)),
	CALL(98, "getrusage", STRUCT, OUT(1, RUSAGE)),
	CALL(99, "sysinfo", STRUCT, OUT(0, 112)),
	CALL(100, "times", STRUCT, OUT(0, 32)),
	SERVED(101, "ptrace"),
	NATIVE(102, "getuid"),
	CALL(103, "syslog", CONSUMING, OUT_R(1, 2)),
	NATIVE(104, "getgid"),
	NATIVE(105, "setuid"),
	NATIVE(106, "setgid"),
	NATIVE(107, "geteuid"),
	NATIVE(108, "getegid"),
	NATIVE(109, "setpgid"),
	NATIVE(110, "getppid"),
	NATIVE(111, "getpgrp"),
	NATIVE(112, "setsid"),
	NATIVE(113, "setreuid"),
	NATIVE(114, "setregid"),
	CALL(115, "getgroups", STRUCT, OUT_RA(1, 0, 4)),
	CALL(116, "setgroups", STRUCT, IN_ARRAY(1, 0, 4)),
	NATIVE(117, "setresuid"),
	CALL(118, "getresuid", STRUCT, OUT(0, 4), OUT(1, 4), OUT(2, 4)),
	NATIVE(119, "setresgid"),
	CALL(120, "getresgid", STRUCT, OUT(0, 4), OUT(1, 4), OUT(2, 4)),
	NATIVE(121, "getpgid"),
	NATIVE(122, "setfsuid"),
	NATIVE(123, "setfsgid"),
	NATIVE(124, "getsid"),
	CALL(125, "capget", STRUCT, INOUT(0, 8), OUT(1, 24)),
	CALL(126, "capset", STRUCT, IN(0, 8), IN(1, 24)),
	CALL(127, "rt_sigpending", SERVED, OUT_N(0, 1)),
	CALL(128, "rt_sigtimedwait", CONSUMING, IN_N(0, 3), IN(2, TIMESPEC), OUT(1, SIGINFO)),
	CALL(129, "rt_sigqueueinfo", STRUCT, IN(2, SIGINFO)),
	CALL(130, "rt_sigsuspend", SERVED, IN_N(0, 1)),
	CALL(131, "sigaltstack", SERVED, IN(0, 24), OUT(1, 24)),
	CALL(132, "utime", STRUCT, IN(1, 16), STR(0)),
	CALL(133, "mknod", STRUCT, STR(0)),
	CALL(134, "uselib", STRUCT, STR(0)),
	NATIVE(135, "personality"),
	CALL(136, "ustat", STRUCT, OUT(1, 32)),
	CALL(137, "statfs", STRUCT, STR(0), OUT(1, STATFS)),
	CALL(138, "fstatfs", STRUCT, OUT(1, STATFS)),
	CALL(139, "sysfs", OPAQUE, ODD(1), ODD(2)),
	NATIVE(140, "getpriority"),
	NATIVE(141, "setpriority"),
	CALL(142, "sched_setparam", STRUCT, IN(1, 4)),
	CALL(143, "sched_getparam", STRUCT, OUT(1, 4)),
	CALL(144, "sched_setscheduler", STRUCT, IN(2, 4)),
	NATIVE(145, "sched_getscheduler"),
	NATIVE(146, "sched_get_priority_max"),
	NATIVE(147, "sched_get_priority_min"),
	CALL(148, "sched_rr_get_interval", STRUCT, OUT(1, TIMESPEC)),
	SERVED(149, "mlock"),
	SERVED(150, "munlock"),
	SERVED(151, "mlockall"),
	SERVED(152, "munlockall"),
	NATIVE(153, "vhangup"),
	CALL(154, "modify_ldt", OPAQUE, ODD(1)),
	CALL(155, "pivot_root", STRUCT, STR(0), STR(1)),
	CALL(156, "_sysctl", OPAQUE, ODD(0)),
	CALL(157, "prctl", SERVED, ODD(1), ODD(2), ODD(3), ODD(4)),
	CALL(158, "arch_prctl", OPAQUE, ODD(1)),
	CALL(159, "adjtimex", STRUCT, INOUT(0, TIMEX)),
	CALL(160, "setrlimit", STRUCT, IN(1, 16)),
	CALL(161, "chroot", STRUCT, STR(0)),
	NATIVE(162, "sync"),
	CALL(163, "acct", STRUCT, STR(0)),
	CALL(164, "settimeofday", STRUCT, IN(0, TIMEVAL), IN(1, 8)),
	CALL(165, "mount", STRUCT, STR(2), STR(0), ODD(4), STR(1)),
	CALL(166, "umount2", STRUCT, STR(0)),
	CALL(167, "swapon", STRUCT, STR(0)),
	CALL(168, "swapoff", STRUCT, STR(0)),
	CALL(169, "reboot", STRUCT, STR(3)),
	CALL(170, "sethostname", STRUCT, IN_N(0, 1)),
	CALL(171, "setdomainname", STRUCT, IN_N(0, 1)),
	NATIVE(172, "iopl"),
	NATIVE(173, "ioperm"),
	CALL(174, "create_module", OPAQUE, ODD(0)),
	CALL(175, "init_module", STRUCT, IN_N(0, 1), STR(2)),
	CALL(176, "delete_module", STRUCT, STR(0)),
	CALL(177, "get_kernel_syms", OPAQUE, ODD(0)),
	CALL(178, "query_module", OPAQUE, ODD(0), ODD(2), ODD(4)),
	CALL(179, "quotactl", OPAQUE, STR(1), ODD(3)),
	CALL(180, "nfsservctl", OPAQUE, ODD(1), ODD(2)),
	CALL(181, "getpmsg", OPAQUE, ODD(1), ODD(2)),
	CALL(182, "putpmsg", OPAQUE, ODD(1), ODD(2)),
	CALL(183, "afs_syscall", OPAQUE, ODD(0)),
	CALL(184, "tuxcall", OPAQUE, ODD(0)),
	CALL(185, "security", OPAQUE, ODD(0)),
	NATIVE(186, "gettid"),
	NATIVE(187, "readahead"),
	CALL(188, "setxattr", STRUCT, STR(1), IN_N(2, 3), STR(0)),
	CALL(189, "lsetxattr", STRUCT, STR(1), IN_N(2, 3), STR(0)),
	CALL(190, "fsetxattr", STRUCT, STR(1), IN_N(2, 3)),
	CALL(191, "getxattr", STRUCT, STR(0), STR(1), OUT_R(2, 3)),
	CALL(192, "lgetxattr", STRUCT, STR(0), STR(1), OUT_R(2, 3)),
	CALL(193, "fgetxattr", STRUCT, STR(1), OUT_R(2, 3)),
	CALL(194, "listxattr", STRUCT, STR(0), OUT_R(1, 2)),
	CALL(195, "llistxattr", STRUCT, STR(0), OUT_R(1, 2)),
	CALL(196, "flistxattr", STRUCT, OUT_R(1, 2)),
	CALL(197, "removexattr", STRUCT, STR(0), STR(1)),
	CALL(198, "lremovexattr", STRUCT, STR(0), STR(1)),
	CALL(199, "fremovexattr", STRUCT, STR(1)),
	NATIVE(200, "tkill"),
	CALL(201, "time", STRUCT, OUT(0, 8)),
	CALL(202, "futex", SERVED, INOUT(0, 4), ODD(3), INOUT(4, 4)),
	CALL(203, "sched_setaffinity", SERVED, IN_N(2, 1)),
	CALL(204, "sched_getaffinity", SERVED, OUT_R(2, 1)),
	CALL(205, "set_thread_area", OPAQUE, ODD(0)),
	CALL(206, "io_setup", SERVED, INOUT(1, 8)),
	SERVED(207, "io_destroy"),
	CALL(208, "io_getevents", CONSUMING, IN(4, TIMESPEC), OUT_RA(3, 2, 32)),
	CALLF(209, "io_submit", OPAQUE, NESTED, ODD(2)),
	CALL(210, "io_cancel", OPAQUE, ODD(1), ODD(2)),
	CALL(211, "get_thread_area", OPAQUE, ODD(0)),
	CALL(212, "lookup_dcookie", OPAQUE, ODD(1)),
	NATIVE(213, "epoll_create"),
	CALL(214, "epoll_ctl_old", OPAQUE, ODD(3)),
	CALL(215, "epoll_wait_old", OPAQUE, ODD(1)),
	SERVED(216, "remap_file_pages"),
	CALL(217, "getdents64", STRUCT, OUT_R(1, 2)),
	CALL(218, "set_tid_address", SERVED, INOUT(0, 4)),
	SERVED(219, "restart_syscall"),
	CALL(220, "semtimedop", STRUCT, IN(3, TIMESPEC), IN_ARRAY(1, 2, 6)),
	NATIVE(221, "fadvise64"),
	CALL(222, "timer_create", STRUCT, IN(1, SIGEVENT), OUT(2, 4)),
	CALL(223, "timer_settime", CONSUMING, IN(2, ITIMERSPEC), OUT(3, ITIMERSPEC)),
	CALL(224, "timer_gettime", STRUCT, OUT(1, ITIMERSPEC)),
	NATIVE(225, "timer_getoverrun"),
	NATIVE(226, "timer_delete"),
	CALL(227, "clock_settime", STRUCT, IN(1, TIMESPEC)),
	CALL(228, "clock_gettime", STRUCT, OUT(1, TIMESPEC)),
	CALL(229, "clock_getres", STRUCT, OUT(1, TIMESPEC)),
	CALLF(230, "clock_nanosleep", CONSUMING, ALWAYS, IN(2, TIMESPEC), OUT(3, TIMESPEC)),
	SERVED(231, "exit_group"),
	CALL(232, "epoll_wait", CONSUMING, OUT_RA(1, 2, EPOLL_EVENT)),
	CALL(233, "epoll_ctl", STRUCT, IN(3, EPOLL_EVENT)),
	NATIVE(234, "tgkill"),
	CALL(235, "utimes", STRUCT, IN(1, 32), STR(0)),
	CALL(236, "vserver", OPAQUE, ODD(0)),
	CALL(237, "mbind", SERVED, IN(3, 8)),
	CALL(238, "set_mempolicy", OPAQUE, ODD(1)),
	CALL(239, "get_mempolicy", OPAQUE, OUT(0, 4), ODD(1)),
	CALL(240, "mq_open", STRUCT, IN(3, 64), STR(0)),
	CALL(241, "mq_unlink", STRUCT, STR(0)),
	CALL(242, "mq_timedsend", STRUCT, IN(4, TIMESPEC), IN_N(1, 2)),
	CALL(243, "mq_timedreceive", CONSUMING, IN(4, TIMESPEC), OUT_R(1, 2), OUT(3, 4)),
	CALL(244, "mq_notify", STRUCT, IN(1, SIGEVENT)),
	CALL(245, "mq_getsetattr", CONSUMING, IN(1, 64), OUT(2, 64)),
	CALL(246, "kexec_load", OPAQUE, ODD(2)),
	CALL(247, "waitid", CONSUMING, OUT(4, RUSAGE), OUT(2, 28)),
	CALL(248, "add_key", OPAQUE, STR(0), STR(1), IN_N(2, 3)),
	CALL(249, "request_key", OPAQUE, STR(0), STR(1), STR(2)),
	CALL(250, "keyctl", OPAQUE, ODD(1), ODD(2), ODD(3), ODD(4)),
	NATIVE(251, "ioprio_set"),
	NATIVE(252, "ioprio_get"),
	NATIVE(253, "inotify_init"),
	CALL(254, "inotify_add_watch", STRUCT, STR(1)),
	NATIVE(255, "inotify_rm_watch"),
	CALL(256, "migrate_pages", OPAQUE, ODD(2), ODD(3)),
	CALL(257, "openat", STRUCT, STR(1)),
	CALL(258, "mkdirat", STRUCT, STR(1)),
	CALL(259, "mknodat", STRUCT, STR(1)),
	CALL(260, "fchownat", STRUCT, STR(1)),
	CALL(261, "futimesat", STRUCT, IN(2, 32), STR(1)),
	CALL(262, "newfstatat", STRUCT, STR(1), OUT(2, STAT)),
	CALL(263, "unlinkat", STRUCT, STR(1)),
	CALL(264, "renameat", STRUCT, STR(1), STR(3)),
	CALL(265, "linkat", STRUCT, STR(1), STR(3)),
	CALL(266, "symlinkat", STRUCT, STR(0), STR(2)),
	CALL(267, "readlinkat", STRUCT, STR(1), OUT_R(2, 3)),
	CALL(268, "fchmodat", STRUCT, STR(1)),
	CALL(269, "faccessat", STRUCT, STR(1)),
	CALLF(270, "pselect6", CONSUMING, NESTED | ALWAYS, INOUT(4, TIMESPEC), IN(5, 16), FDS(1), FDS(2), FDS(3)),
	CALLF(271, "ppoll", CONSUMING, NESTED | ALWAYS, INOUT(2, TIMESPEC), IN_N(3, 4), INOUT_ARRAY(0, 1, 8)),
	NATIVE(272, "unshare"),
	SERVED(273, "set_robust_list"),
	CALL(274, "get_robust_list", STRUCT, OUT(2, 8), OUT(1, 8)),
	CALL(275, "splice", CONSUMING, INOUT(1, 8), INOUT(3, 8)),
	NATIVE(276, "tee"),
	NATIVE(277, "sync_file_range"),
	CALLF(278, "vmsplice", OPAQUE, NESTED, IN_V(1, 2)),
	CALL(279, "move_pages", SERVED, ODD(2), ODD(3), ODD(4)),
	CALL(280, "utimensat", STRUCT, IN(2, 32), STR(1)),
	CALLF(281, "epoll_pwait", CONSUMING, NESTED, IN_N(4, 5), OUT_RA(1, 2, EPOLL_EVENT)),
	CALL(282, "signalfd", STRUCT, IN_N(1, 2)),
	NATIVE(283, "timerfd_create"),
	NATIVE(284, "eventfd"),
	NATIVE(285, "fallocate"),
	CALL(286, "timerfd_settime", CONSUMING, IN(2, ITIMERSPEC), OUT(3, ITIMERSPEC)),
	CALL(287, "timerfd_gettime", STRUCT, OUT(1, ITIMERSPEC)),
	CALL(288, "accept4", CONSUMING, OUT_L(1, 2)),
	CALL(289, "signalfd4", STRUCT, IN_N(1, 2)),
	NATIVE(290, "eventfd2"),
	NATIVE(291, "epoll_create1"),
	NATIVE(292, "dup3"),
	CALL(293, "pipe2", STRUCT, OUT(0, 8)),
	NATIVE(294, "inotify_init1"),
	CALLF(295, "preadv", BUFFER, NESTED, OUT_V(1, 2)),
	CALLF(296, "pwritev", BUFFER, NESTED, IN_V(1, 2)),
	CALL(297, "rt_tgsigqueueinfo", STRUCT, IN(3, SIGINFO)),
	CALL(298, "perf_event_open", STRUCT, INOUT(0, 136)),
	CALLF(299, "recvmmsg", BUFFER, NESTED, IN(4, TIMESPEC), ODD(1)),
	NATIVE(300, "fanotify_init"),
	CALL(301, "fanotify_mark", STRUCT, STR(4)),
	CALL(302, "prlimit64", CONSUMING, IN(2, 16), OUT(3, 16)),
	CALL(303, "name_to_handle_at", OPAQUE, STR(1), ODD(2), OUT(3, 4)),
	CALL(304, "open_by_handle_at", OPAQUE, ODD(1)),
	CALL(305, "clock_adjtime", STRUCT, INOUT(1, TIMEX)),
	NATIVE(306, "syncfs"),
	CALLF(307, "sendmmsg", BUFFER, NESTED, ODD(1)),
	NATIVE(308, "setns"),
	CALL(309, "getcpu", STRUCT, OUT(0, 4), OUT(1, 4)),
	CALLF(310, "process_vm_readv", SERVED, NESTED, IN_V(1, 2), IN_V(3, 4)),
	CALLF(311, "process_vm_writev", SERVED, NESTED, IN_V(1, 2), IN_V(3, 4)),
	NATIVE(312, "kcmp"),
	CALL(313, "finit_module", STRUCT, STR(1)),
	CALL(314, "sched_setattr", STRUCT, IN(1, 48)),
	CALL(315, "sched_getattr", STRUCT, OUT_N(1, 2)),
	CALL(316, "renameat2", STRUCT, STR(1), STR(3)),
	CALL(317, "seccomp", SERVED, ODD(2)),
	CALL(318, "getrandom", BUFFER, OUT_R(0, 1)),
	CALL(319, "memfd_create", STRUCT, STR(0)),
	CALL(320, "kexec_file_load", OPAQUE, ODD(3)),
	CALL(321, "bpf", OPAQUE, ODD(1)),
	CALLF(322, "execveat", SERVED, NESTED, STR(1), VEC(2), VEC(3)),
	SERVED(323, "userfaultfd"),
	NATIVE(324, "membarrier"),
	SERVED(325, "mlock2"),
	CALL(326, "copy_file_range", CONSUMING, INOUT(1, 8), INOUT(3, 8)),
	CALLF(327, "preadv2", BUFFER, NESTED, OUT_V(1, 2)),
	CALLF(328, "pwritev2", BUFFER, NESTED, IN_V(1, 2)),
	SERVED(329, "pkey_mprotect"),
	NATIVE(330, "pkey_alloc"),
	NATIVE(331, "pkey_free"),
	CALL(332, "statx", STRUCT, STR(1), OUT(4, STATX)),
	CALL(333, "io_pgetevents", CONSUMING, IN(4, TIMESPEC), IN(5, 16), OUT_RA(3, 2, 32)),
	REFUSED(334, "rseq", ENOSYS),
	NATIVE(424, "pidfd_send_signal"),
	REFUSED(425, "io_uring_setup", ENOSYS),
	REFUSED(426, "io_uring_enter", ENOSYS),
	REFUSED(427, "io_uring_register", ENOSYS),
	CALL(428, "open_tree", STRUCT, STR(1)),
	CALL(429, "move_mount", STRUCT, STR(3), STR(1)),
	CALL(430, "fsopen", STRUCT, STR(0)),
	CALL(431, "fsconfig", OPAQUE, STR(2), ODD(3)),
	NATIVE(432, "fsmount"),
	CALL(433, "fspick", STRUCT, STR(1)),
	NATIVE(434, "pidfd_open"),
	CALL(435, "clone3", SERVED, IN_N(0, 1)),
	NATIVE(436, "close_range"),
	CALL(437, "openat2", STRUCT, IN_N(2, 3), STR(1)),
	NATIVE(438, "pidfd_getfd"),
	CALL(439, "faccessat2", STRUCT, STR(1)),
	CALLF(440, "process_madvise", SERVED, NESTED, IN_V(1, 2)),
	CALLF(441, "epoll_pwait2", CONSUMING, NESTED, IN(3, TIMESPEC), IN_N(4, 5), OUT_RA(1, 2, EPOLL_EVENT)),
	CALL(442, "mount_setattr", STRUCT, IN_N(3, 4), STR(1)),
	CALL(443, "quotactl_fd", OPAQUE, ODD(3)),
	CALL(444, "landlock_create_ruleset", STRUCT, IN_N(0, 1)),
	CALL(445, "landlock_add_rule", STRUCT, IN(2, 16)),
	NATIVE(446, "landlock_restrict_self"),
	NATIVE(447, "memfd_secret"),
	NATIVE(448, "process_mrelease"),
	REFUSED(449, "futex_waitv", ENOSYS),
	SERVED(450, "set_mempolicy_home_node"),
	CALL(451, "cachestat", STRUCT, IN(1, 16), OUT(2, 40)),
	CALL(452, "fchmodat2", STRUCT, STR(1)),
	SERVED(453, "map_shadow_stack"),
	REFUSED(454, "futex_wake", ENOSYS),
	REFUSED(455, "futex_wait", ENOSYS),
	REFUSED(456, "futex_requeue", ENOSYS),
	CALL(457, "statmount", STRUCT, IN(0, 32), OUT_N(1, 2)),
	CALL(458, "listmount", STRUCT, IN(0, 32), OUT_RA(1, 2, 8)),
	CALL(459, "lsm_get_self_attr", OPAQUE, ODD(2), ODD(1)),
	CALL(460, "lsm_set_self_attr", STRUCT, IN_N(1, 2)),
	CALL(461, "lsm_list_modules", STRUCT, INOUT(1, 4), ODD(0)),
	SERVED(462, "mseal"),
	CALLF(463, "setxattrat", OPAQUE, NESTED, STR(1), STR(3), ODD(4)),
	CALLF(464, "getxattrat", OPAQUE, NESTED, STR(1), STR(3), ODD(4)),
	CALL(465, "listxattrat", STRUCT, STR(1), OUT_R(3, 4)),
	CALL(466, "removexattrat", STRUCT, STR(1), STR(3)),
	CALL(467, "open_tree_attr", STRUCT, IN_N(3, 4), STR(1)),
	CALL(468, "file_getattr", STRUCT, STR(1), OUT_N(2, 3)),
	CALL(469, "file_setattr", STRUCT, IN_N(2, 3), STR(1)),
};

/* Any argument may be a pointer. */
static const struct fl_call unknown = {
	.name = "unknown",
	.class = FL_CALL_UNKNOWN,
	.args = {ODD(0), ODD(1), ODD(2), ODD(3), ODD(4)},
};

unsigned fl_call_limit(void)
{
	return (unsigned)FL_ARRAY_LEN(calls);
}

const struct fl_call *fl_call_find(uint64_t nr)
{
	return nr < FL_ARRAY_LEN(calls) && calls[nr].name ? &calls[nr] : &unknown;
}

unsigned fl_call_pointers(const struct fl_call *call)
{
	unsigned mask = 0;

	for (size_t i = 0; i < FL_CALL_ARGS && call->args[i].size; i++) {
		mask |= 1u << call->args[i].index;
		if (call->args[i].size == FL_SIZE_LENPTR)
			mask |= 1u << call->args[i].len;
	}
	return mask;
}

const char *fl_call_class_name(enum fl_call_class class)
{
	static const char *const names[] = {
		[FL_CALL_UNKNOWN] = "unknown",  [FL_CALL_NATIVE] = "native",       [FL_CALL_BUFFER] = "buffer",
		[FL_CALL_STRUCT] = "structure", [FL_CALL_CONSUMING] = "consuming", [FL_CALL_SERVED] = "served",
		[FL_CALL_OPAQUE] = "by name",   [FL_CALL_REFUSED] = "refused",
	};

	return names[class];
}
