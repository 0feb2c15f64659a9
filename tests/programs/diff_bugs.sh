#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Proof that the comparison with the kernel finds bugs: each row of the last table in docs/seeded-bugs.md names a bug that one
# thread can show. With each a fixed seed must give a divergence, and with none of them nothing.
#
#   diff_bugs.sh BUILD_DIR [--update] [BUG...]
#
# --update: write the numbers of programs that were measured into the table.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$1
shift
diff=$build/tests/faultline-diff-bugs
doc=docs/seeded-bugs.md
programs=20000
update=
if [ "${1-}" = --update ]; then
	update=1
	shift
fi
if [ ! -x "$diff" ]; then
	echo "$diff is not there; build it first"
	exit 1
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export diff tmp programs

# Rows: | `bug` | what goes wrong | `further arguments` | after |
sed -e '1,/^## .*comparison/d' "$doc" |
	awk -F ' *[|] *' '/^\| `/ { gsub(/`/, "", $2); gsub(/`/, "", $4); print $2 "\t" $4 }' >"$tmp/rows"
# Every bug of the comparison's own list has a row; others are the explorer's.
FL_BUG='?' "$diff" --help 2>&1 >/dev/null | sed -n 's/^\t//p' | sort >"$tmp/known"
FL_BUG='?' "$diff" --help 2>&1 >/dev/null | sed -n 's/^  //p' | sort >"$tmp/explored"
cut -f 1 "$tmp/rows" | sort >"$tmp/told"
if [ ! -s "$tmp/known" ] || ! comm -23 "$tmp/told" "$tmp/explored" | cmp -s - "$tmp/known"; then
	echo "$doc and src/sync/bug.h do not name the same bugs:"
	comm -23 "$tmp/told" "$tmp/explored" | diff "$tmp/known" -
	exit 1
fi
if [ $# -gt 0 ]; then
	printf '%s\n' "$@" >"$tmp/wanted"
	awk -F '\t' 'NR == FNR { want[$1]; next } $1 in want' "$tmp/wanted" "$tmp/rows" >"$tmp/some"
	mv "$tmp/some" "$tmp/rows"
fi

bad() { # whose fault, what is wrong, output
	printf 'FAILED %s: %s\n%s\n' "$1" "$2" "$(tail -n 60 "$3")"
	echo "$1" >>"$tmp/failed"
}

look() { # bug, output file, arguments
	FL_BUG=$1 timeout 120 "$diff" --seed 1 --programs "$programs" --jobs 1 --first --quiet --save "$2.found" $3 >"$2" 2>&1
}

hunt() { # bug, arguments
	local out=$tmp/bug.$1 status count
	look "$1" "$out" "$2"
	status=$?
	if [ $status -ne 1 ]; then
		bad "$1" "not found, status $status" "$out"
	else
		count=$(sed -n 's/^.*, the first after \([0-9,]*\).*/\1/p' "$out")
		printf 'ok    %-18s  after %6s programs  %s\n' "$1" "$count" "$2"
		printf '%s\t%s\n' "$1" "$count" >>"$tmp/measured"
	fi
}

clean() { # arguments
	local out
	out=$tmp/clean.$(echo "$1" | tr '/ ' '__')
	if look "" "$out" "$1"; then
		printf 'ok    %-18s  nothing in %6s programs  %s\n' "no bug" "$programs" "$1"
	else
		bad "no bug" "something is found" "$out"
	fi
}
export -f hunt clean look bad

{
	cut -f 2 "$tmp/rows" | sort -u | while IFS= read -r arguments; do
		printf '%s\0' clean "$arguments" ""
	done
	while IFS=$'\t' read -r bug arguments; do
		printf '%s\0' hunt "$bug" "$arguments"
	done <"$tmp/rows"
} | xargs -0 -n 3 -P "$(nproc)" bash -c '"$1" "$2" "$3"' one

if [ -n "$update" ] && [ -s "$tmp/measured" ]; then
	awk -F '|' -v OFS='|' 'NR == FNR { split($0, m, "\t"); count[m[1]] = m[2]; next }
		/^## .*comparison/ { here = 1 }
		/^\| `/ && here { bug = $2; gsub(/[` ]/, "", bug); if (bug in count) $5 = " " count[bug] " " }
		{ print }' "$tmp/measured" "$doc" >"$tmp/doc" && cat "$tmp/doc" >"$doc"
fi
if [ -s "$tmp/failed" ]; then
	echo "$(wc -l <"$tmp/failed") failed:"
	sort "$tmp/failed"
	exit 1
fi
echo "all $(wc -l <"$tmp/rows") bugs are found, and nothing without them"
