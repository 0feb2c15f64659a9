#!/bin/bash
# SPDX-License-Identifier: MIT
# Programs about signals, threads and processes behave the same natively and under run: output, status, and no frame lost.
set -u
build=$1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

for options in "" "--exact"; do
	for name in guest_segv guest_threads guest_fork guest_signals guest_limits guest_filter guest_mlockall guest_peer guest_pending; do
		timeout 120 "$build/tests/programs/$name" >"$work/native" 2>&1
		native=$?
		# shellcheck disable=SC2086
		timeout 300 "$build/faultline" run --quiet --report "$work/report" $options -- \
			"$build/tests/programs/$name" >"$work/engine" 2>&1
		engine=$?
		if [ $native -ne $engine ] || ! diff -u "$work/native" "$work/engine" >"$work/diff"; then
			echo "$name: exit $native natively, $engine under run $options"
			head -60 "$work/diff"
			failed=1
		elif grep -E 'EFAULT on engine memory|still referenced' "$work/report"; then
			echo "$name: the report complains"
			failed=1
		else
			echo "$name $options: the same"
		fi
	done
done
exit $failed
