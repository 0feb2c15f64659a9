#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# faultline explore --host: what the running kernel does is in the explored set; what only the kernel shows is an error,
# printed with both sides; what it cannot be asked is refused by name; and nothing is left behind.
#
#   explore_host.sh BUILD_DIR
#
# Skipped where the kernel grants no userfaultfd (vm.unprivileged_userfaultfd).
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
[ -x "$1/faultline" ] || exit 77
[ "$(id -u)" = 0 ] || [ "$(cat /proc/sys/vm/unprivileged_userfaultfd 2>/dev/null)" = 1 ] || exit 77
. "$(dirname "$0")/lib_cli.sh"

# host STATUS TEXT ARGUMENT...
host() {
	check 100 "$1" "$2" "$faultline" explore --host "${@:3}"
}

# Threads; processes; userfaultfds; a thread that waits for ever; a process that ends. What both can do, both do.
for name in fault-munmap fault-fork fault-exit uffd-close-fill uffd-exit uffd-munmap; do
	host 0 '    both ' --runs 1500 "$root/scenarios/$name.fl"
done

cat >wait.fl <<'END'
# One fill for two readers of one message: which monitor sleeps on?
map A anon private
uffd U missing A
thread reader { r = load A+0 }
thread one may block {
	a = read U
	c = copy U A fill=0x11
}
thread two may block {
	b = read U
	d = copy U A fill=0x22
}
always r == 0x11 or r == 0x22
END
host 0 'blocked=two' --runs 1500 wait.fl
grep -q 'both .*blocked=one' out || fail "the first monitor never sleeps on the kernel"

# A wait in the kernel that no signal ends.
cat >deep.fl <<'END'
# A copy of the kernel's waits for a page that nobody fills. Is its thread got back for the next run?
map A anon private
uffd U missing A
thread copier may block { r = copyin A }
always blocked(copier)
END
host 0 'both          r=UNSET blocked=copier  (300 runs)' --runs 300 deep.fl

# Every kind of access, at every size.
cat >access.fl <<'END'
# Is each access what it is called, on both sides?
map A anon private prot=rwx
map R anon private prot=r
place N
store A+0 0xc3
thread one {
	a = store A+8 0x1122334455667788
	b = load A+8 size=1
	c = load A+8 size=2
	d = load A+8 size=4
	e = add A+8 0x10 size=4
	f = load A+8
	g = store A+8 0xffff size=1
	h = copyin A+8
	i = copyout A+16 7 size=2
	j = load A+16
	k = fetch A+0
	l = fetch R+0
	m = store R+0 1
	n = load N+0
	o = copyin N+0
	p = copyout R+0 1
	q = mincore R
	s = brk +2
	t = brk -2
}
always k == 0 and l == ACCERR and m == ACCERR and n == MAPERR and o == EFAULT and p == EFAULT
END
host 0 'both          a=0 b=0x88 c=0x7788 d=0x55667788 e=0x55667788 f=0x1122334455667798 g=0 h=0x11223344556677ff' \
	--runs 50 access.fl

# An exploration that is cut to one schedule stands for an engine that cannot do what the kernel does.
host 1 'ONLY KERNEL' --search bounded --preemptions 0 --schedules 1 --runs 1500 "$root/scenarios/fault-munmap.fl"
grep -qF '    both ' out || grep -qF 'only explored' out || fail "only one side is printed"
grep -qE 'outcomes? of this kernel (is|are) not in the explored set' out || fail "nothing says that a side lacks outcomes"

# Refused by name, with the way out.
cat >count.fl <<'END'
# How many faults?
map A anon private
thread one { r = load A+0 }
always faults(one) == 1
END
host 2 'count.fl:4:8: `faults`: the running kernel does not tell; add `engine only`' --runs 10 count.fl
cat >fatal.fl <<'END'
# A thread is killed.
map A anon private
thread one { r = load A+0 }
thread two { signal one fatal }
always [A] == 0
END
host 2 'a fatal signal ends all threads of a process here' --runs 10 fatal.fl
sed -i 's/^map A/engine only\n&/' count.fl
host 0 'engine only' --runs 10 count.fl

# Stopped in the middle, nothing stays: neither the worker nor its scenario's processes.
cp "$root/scenarios/fault-exit.fl" "$root/scenarios/cow-reader.fl" .
mine() {
	pgrep -f -- "--runs 123456789 .*$work" | wc -l
}
for name in deep fault-exit cow-reader; do
	for signal in INT TERM KILL; do
		# A shell's background job ignores SIGINT unless it is put back.
		env --default-signal=INT "$faultline" explore --host --runs 123456789 "$work/$name.fl" >out 2>&1 </dev/null &
		disown
		pid=$!
		for i in {1..50}; do
			[ "$(mine)" -gt 1 ] && break
			sleep 0.1
		done
		[ "$(mine)" -gt 1 ] || fail "$name does not run on the kernel"
		sleep 0.3
		kill -$signal $pid
		for i in {1..50}; do
			[ "$(mine)" = 0 ] && break
			sleep 0.1
		done
		[ "$(mine)" = 0 ] || fail "$name: $(mine) processes are left after SIG$signal"
	done
done
exit $failed
