#!/bin/bash
# SPDX-License-Identifier: MIT
# System calls on memory that nobody has touched: the same output natively and under run; and, with one page a fault, the same
# pages resident after each call.
set -u
build=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

# compare NAME RUN-OPTIONS PROGRAM-ARGUMENTS
compare() {
	local name=$1 options=$2 arguments=$3
	# shellcheck disable=SC2086 # several options
	"$build/tests/programs/$name" $arguments >"$work/native" 2>&1
	local native=$?
	# shellcheck disable=SC2086
	timeout 120 "$build/faultline" run --quiet --report "$work/report" $options -- \
		"$build/tests/programs/$name" $arguments >"$work/engine" 2>&1
	local engine=$?
	if [ $native -ne $engine ] || ! diff -u "$work/native" "$work/engine" >"$work/diff"; then
		echo "$name $arguments: exit $native natively, $engine under run $options"
		head -60 "$work/diff"
		failed=1
		return
	fi
	if grep -E 'EFAULT on engine memory|still referenced' "$work/report"; then
		echo "$name $arguments: the report complains"
		failed=1
		return
	fi
	echo "$name $arguments $options: the same"
}

for name in io_transfers io_structs io_more io_futex; do
	compare $name "" ""
	compare $name --exact resident
done
# Not where the kernel grants no userfaultfd: there is nothing to compare with.
if "$build/tests/programs/io_passed"; then
	for way in recvmsg recvmsg-fresh recvmmsg recvmmsg-fresh pidfd_getfd; do
		compare io_passed "" $way
	done
fi
# Pages ahead of the program do not show where it registers what it has left untouched.
for device in "" /dev/userfaultfd; do
	[ -z "$device" ] || [ -r $device ] || continue
	# shellcheck disable=SC2086
	seen=$(timeout 60 "$build/faultline" run --quiet --report "$work/report" -- \
		"$build/tests/programs/uffd_ahead" $device 2>&1)
	if [ "$seen" != "served 64, edges xy" ] || ! grep -q 'filled by userfaultfd' "$work/report" ||
		! grep -q ' 64 .*UFFDIO_COPY' "$work/report"; then
		echo "uffd_ahead $device: $seen"
		failed=1
	fi
done
exit $failed
