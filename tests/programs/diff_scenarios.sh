#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every program that was written for the comparison, and every one that once showed a divergence: both sides agree on
# them at every step.
#
#   diff_scenarios.sh BUILD_DIR [SCENARIO...]
set -u
cd "$(dirname "$0")/../.." || exit 1
diff=$1/faultline-diff
shift
if [ ! -x "$diff" ]; then
	echo "$diff is not there; build it first"
	exit 1
fi
if ! "$diff" --check-ground; then
	echo "this host cannot play programs"
	exit 77
fi
if [ $# -eq 0 ]; then
	shopt -s nullglob
	set -- scenarios/diff/*.fl tests/regress/*.fl
	if [ $# -lt 20 ]; then
		echo "there are only $# programs"
		exit 1
	fi
fi
for file in "$@"; do
	if [ "$(head -c 2 "$file")" != "# " ]; then
		echo "$file does not open with its question"
		exit 1
	fi
done
timeout 500 "$diff" "$@"
status=$?
[ $status -eq 0 ] && echo "both sides agree on all $# programs"
exit $status
