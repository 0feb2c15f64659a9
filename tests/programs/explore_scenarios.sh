#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every scenario that is shipped, explored under both memory models to the bound that it states: what it says must hold.
# One line each: how many schedules, how long, and whether that was all of them.
#
#   explore_scenarios.sh BUILD_DIR [SCENARIO...]
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$1
shift
explore=$build/faultline-explore
if [ ! -x "$explore" ]; then
	echo "$explore is not there; build it first"
	exit 1
fi
[ $# -gt 0 ] || set -- scenarios/*.fl
if [ $# -lt 20 ] && [ "$1" = "scenarios/*.fl" ]; then
	echo "there are no scenarios"
	exit 1
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The command's second line says how far it got: "  N schedules (...), longest ..., T s; complete".
one() {
	local file=$1 memory=$2 name out status
	name=$(basename "$file" .fl)
	out=$tmp/$name.$memory
	"$explore" --jobs 1 --memory "$memory" "$file" >"$out" 2>&1
	status=$?
	if [ $status -eq 0 ]; then
		printf 'ok    %-26s %-3s %s\n' "$name" "$memory" "$(sed -n '2s/^ *//p' "$out")"
	else
		printf 'FAILED %s %s, status %d\n%s\n' "$name" "$memory" "$status" "$(cat "$out")"
		echo "$name $memory" >>"$tmp/failed"
	fi
}
export -f one
export explore tmp

for file in "$@"; do
	if [ "$(head -c 2 "$file")" != "# " ]; then
		echo "$file does not open with its question"
		echo "$file" >>"$tmp/failed"
	fi
	printf '%s\0sc\0%s\0tso\0' "$file" "$file"
done | xargs -0 -n 2 -P "$(nproc)" bash -c 'one "$1" "$2"' one

if [ -s "$tmp/failed" ]; then
	echo "$(wc -l <"$tmp/failed") of $((2 * $#)) explorations failed:"
	sort "$tmp/failed"
	exit 1
fi
echo "all $# scenarios hold under both memory models"
