#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Proof that the explorer finds bugs: each row of the tables in docs/seeded-bugs.md names a bug, what the command is given to
# find it, and as what. Every one must be found, and with no bug nothing may be.
#
#   explore_bugs.sh BUILD_DIR [--update] [BUG...]
#
# --update: write the numbers of schedules that were measured into the tables.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$1
shift
explore=$build/tests/faultline-explore-bugs
doc=docs/seeded-bugs.md
update=
if [ "${1-}" = --update ]; then
	update=1
	shift
fi
if [ ! -x "$explore" ]; then
	echo "$explore is not there; build it first"
	exit 1
fi
if ! "$explore" scenarios/bugs/merge-fault.fl | grep -q 'blocks of the engine reached'; then
	echo "this build does not watch plain accesses, as with a sanitizer: data races would not be found"
	exit 77
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export explore tmp

# Rows: | `bug` | undoes | what goes wrong | `arguments` | found as | schedules |; a \| is part of its cell. Those of the last
# section are diff_bugs.sh's.
sed -e 's/\\|/+/g' -e '/^## .*comparison/,$d' "$doc" |
	awk -F ' *[|] *' '/^\| `/ { gsub(/`/, "", $2); gsub(/`/, "", $5); print $2 "\t" $5 "\t" $6 }' >"$tmp/rows"
FL_BUG='?' "$explore" --help 2>&1 >/dev/null | sed -n 's/^  //p' | sort >"$tmp/known"
cut -f 1 "$tmp/rows" | sort >"$tmp/told"
if ! diff "$tmp/known" "$tmp/told" >"$tmp/diff"; then
	echo "$doc and src/sync/bug.h do not name the same bugs:"
	cat "$tmp/diff"
	exit 1
fi
if [ $# -gt 0 ]; then
	printf '%s\n' "$@" >"$tmp/wanted"
	awk -F '\t' 'NR == FNR { want[$1]; next } $1 in want' "$tmp/wanted" "$tmp/rows" >"$tmp/some"
	mv "$tmp/some" "$tmp/rows"
fi

# The command's second line says how far it got: "  N schedules (...), longest ..."; and each finding is told as
# "  FOUND kind: ...".
schedules() {
	sed -n 's/^  \([0-9,]*\) schedules\{0,1\}[ ,].*/\1/p' "$1" | head -n 1
}

bad() { # whose fault, what is wrong, output
	printf 'FAILED %s: %s\n%s\n' "$1" "$2" "$(tail -n 40 "$3")"
	echo "$1" >>"$tmp/failed"
}

look() { # bug, output file, arguments
	FL_BUG=$1 timeout 100 "$explore" --jobs 1 --no-shrink --state "$2.state" $3 >"$2" 2>&1
}

hunt() { # bug, arguments, what it is found as
	local out=$tmp/bug.$1 status count
	look "$1" "$out" "$2"
	status=$?
	count=$(schedules "$out")
	if [ $status -ne 1 ]; then
		bad "$1" "not found by $2, status $status" "$out"
	elif ! grep -Eq "^  FOUND (${3// or /|}): " "$out"; then
		bad "$1" "not found as a $3 by $2" "$out"
	else
		printf 'ok    %-18s  %-19s after %6s  %s\n' "$1" "$(sed -n 's/^  FOUND \([^:]*\):.*/\1/p' "$out")" "$count" "$2"
		printf '%s\t%s\n' "$1" "$count" >>"$tmp/measured"
	fi
	# What only store buffers show is not found without them.
	if [[ $2 = *--memory\ tso* ]]; then
		look "$1" "$out.sc" "${2/--memory tso/--memory sc}" || bad "$1" "found without store buffers, too" "$out.sc"
	fi
}

clean() { # arguments
	local out
	out=$tmp/clean.$(echo "$1" | tr '/ ' '__')
	if look "" "$out" "$1"; then
		printf 'ok    %-18s  %-19s in %9s  %s\n' "no bug" "nothing" "$(schedules "$out")" "$1"
	else
		bad "no bug" "something is found by $1" "$out"
	fi
}
export -f hunt clean look bad schedules

{
	while IFS=$'\t' read -r bug arguments kind; do
		printf '%s\0' hunt "$bug" "$arguments" "$kind"
	done <"$tmp/rows"
	cut -f 2 "$tmp/rows" | sort -u | while read -r arguments; do
		printf '%s\0' clean "$arguments" "" ""
	done
} | xargs -0 -n 4 -P "$(nproc)" bash -c '"$1" "$2" "$3" "$4"' one

if [ -n "$update" ] && [ -s "$tmp/measured" ]; then
	sed 's/\\|/\x01/g' "$doc" |
		awk -F '|' -v OFS='|' 'NR == FNR { split($0, m, "\t"); count[m[1]] = m[2]; next }
			/^## .*comparison/ { other = 1 }
			/^\| `/ && !other { bug = $2; gsub(/[` ]/, "", bug); if (bug in count) $7 = " " count[bug] " " }
			{ print }' "$tmp/measured" - |
		sed 's/\x01/\\|/g' >"$tmp/doc" && cat "$tmp/doc" >"$doc"
fi
if [ -s "$tmp/failed" ]; then
	echo "$(wc -l <"$tmp/failed") failed:"
	sort "$tmp/failed"
	exit 1
fi
echo "all $(wc -l <"$tmp/rows") bugs are found, and nothing without them"
