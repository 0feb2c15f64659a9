#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Random programs: from a seed that is always the same, and from a new one, which is printed. FL_DIFF_SECONDS: for how long
# each (10 unless said; 60 in CI).
set -u
diff=$(realpath "$1")/faultline-diff
seconds=${FL_DIFF_SECONDS:-10}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
if [ ! -x "$diff" ]; then
	echo "$diff is not there; build it first"
	exit 1
fi
if ! "$diff" --check-ground; then
	echo "this host cannot play programs"
	exit 77
fi
failed=0
for seed in "--seed 1" ""; do
	# shellcheck disable=SC2086
	timeout $((seconds + 200)) "$diff" $seed --time "$seconds" --save "$work/found" || failed=1
done
for file in "$work"/found/*.fl; do
	if [ -e "$file" ]; then
		echo "$file:"
		cat "$file"
	fi
done
exit $failed
