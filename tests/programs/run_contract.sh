#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The memory calls answer under `faultline run` as the kernel of this machine answers, line by line.
#
#   run_contract.sh BUILD_DIR
set -u
build=$(realpath "${1:?build directory}")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
prog="$build/tests/programs/mm_contract"
timeout 60 "$prog" >"$tmp/native" 2>&1 </dev/null
native=$?
for mode in "" --exact; do
	# shellcheck disable=SC2086
	timeout 120 "$build/faultline" run $mode --report "$tmp/report" -- "$prog" >"$tmp/run" 2>&1 </dev/null
	run=$?
	if [ "$native" != "$run" ] || ! diff "$tmp/native" "$tmp/run"; then
		echo "FAIL run_contract ${mode:-default}: status $run, natively $native (< native, > run)"
		exit 1
	fi
done
echo "ok   run_contract: $(wc -l <"$tmp/native") answers equal"
