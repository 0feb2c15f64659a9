#!/bin/bash
# SPDX-License-Identifier: MIT
# What a demanding stranger found broken once: each behaves the same natively and under run, in output and status.
set -u
build=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

same() {
	local name=$1
	shift
	timeout 60 "$@" >"$work/native" 2>&1 </dev/null
	local native=$?
	timeout 120 "$build/faultline" run --quiet --report "$work/report" -- "$@" >"$work/engine" 2>&1 </dev/null
	local engine=$?
	if [ $native -ne $engine ] || ! diff -u "$work/native" "$work/engine" >"$work/diff"; then
		echo "$name: exit $native natively, $engine under run"
		head -40 "$work/diff"
		failed=1
	elif grep -E 'EFAULT on engine memory|still referenced' "$work/report"; then
		echo "$name: the report complains"
		failed=1
	else
		echo "$name: the same"
	fi
}

same children "$build/tests/programs/guest_extra_children"
same filter "$build/tests/programs/guest_extra_filter"
# Natively it needs a host that allows userfaultfd.
if "$build/tests/programs/guest_extra_passed" 2>/dev/null | grep -q "served 64"; then
	same passed "$build/tests/programs/guest_extra_passed"
elif timeout 60 "$build/faultline" run --quiet -- "$build/tests/programs/guest_extra_passed" |
	grep -q "served 64, child 300"; then
	echo "passed: served"
else
	echo "passed: a userfaultfd that was passed on is not served"
	failed=1
fi
# shellcheck disable=SC2046
same arguments /bin/echo $(seq 20000)
same environment env -i "A=$(head -c 100000 /dev/zero | tr '\0' x)" /usr/bin/env
exit $failed
