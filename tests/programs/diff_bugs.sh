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

# Rows: | `bug` | what goes wrong | seen as | after |
sed -e '1,/^## .*comparison/d' "$doc" | awk -F ' *[|] *' '/^\| `/ { gsub(/`/, "", $2); print $2 }' >"$tmp/rows"
# Every bug of the comparison's own list has a row; others are the explorer's.
FL_BUG='?' "$diff" --help 2>&1 >/dev/null | sed -n 's/^\t//p' | sort >"$tmp/known"
FL_BUG='?' "$diff" --help 2>&1 >/dev/null | sed -n 's/^  //p' | sort >"$tmp/explored"
sort "$tmp/rows" >"$tmp/told"
if [ ! -s "$tmp/known" ] || ! comm -23 "$tmp/told" "$tmp/explored" | cmp -s - "$tmp/known"; then
	echo "$doc and src/sync/bug.h do not name the same bugs:"
	comm -23 "$tmp/told" "$tmp/explored" | diff "$tmp/known" -
	exit 1
fi
if [ $# -gt 0 ]; then
	printf '%s\n' "$@" | grep -Fxf - "$tmp/rows" >"$tmp/some"
	mv "$tmp/some" "$tmp/rows"
fi

bad() { # whose fault, what is wrong, output
	printf 'FAILED %s: %s\n%s\n' "$1" "$2" "$(tail -n 60 "$3")"
	echo "$1" >>"$tmp/failed"
}

look() { # bug, output file
	FL_BUG=$1 timeout 120 "$diff" --seed 1 --programs "$programs" --jobs 1 --first --quiet --save "$2.found" >"$2" 2>&1
}

hunt() { # bug
	local out=$tmp/bug.$1 status count what
	look "$1" "$out"
	status=$?
	count=$(sed -n 's/^.*, the first after \([0-9,]*\).*/\1/p' "$out")
	what=$(sed -n '/^DIVERGENCE /{ s///p; q; }' "$out" | sed 's/^broke down: //; s/|/\\|/g')
	if [ $status -ne 1 ] || [ -z "$count" ] || [ -z "$what" ]; then
		bad "$1" "not found, status $status" "$out"
	else
		printf 'ok    %-18s  after %6s programs: %s\n' "$1" "$count" "$what"
		printf '%s\t%s\t%s\n' "$1" "$count" "$what" >>"$tmp/measured"
	fi
}

clean() {
	local out=$tmp/clean
	if look "" "$out"; then
		printf 'ok    %-18s  nothing in %s programs\n' "no bug" "$programs"
	else
		bad "no bug" "something is found" "$out"
	fi
}
export -f hunt clean look bad

{
	printf '%s\0' clean ""
	while read -r bug; do
		printf '%s\0' hunt "$bug"
	done <"$tmp/rows"
} | xargs -0 -n 2 -P "$(nproc)" bash -c '"$1" "$2"' one

if [ -n "$update" ] && [ -s "$tmp/measured" ]; then
	awk -F '|' -v OFS='|' 'NR == FNR { split($0, m, "\t"); count[m[1]] = m[2]; what[m[1]] = m[3]; next }
		/^## .*comparison/ { here = 1 }
		/^\| `/ && here { bug = $2; gsub(/[` ]/, "", bug); if (bug in count) $0 = "|" $2 "|" $3 "| " what[bug] " | " count[bug] " |" }
		{ print }' "$tmp/measured" "$doc" >"$tmp/doc" && cat "$tmp/doc" >"$doc"
fi
if [ -s "$tmp/failed" ]; then
	echo "$(wc -l <"$tmp/failed") failed:"
	sort "$tmp/failed"
	exit 1
fi
echo "all $(wc -l <"$tmp/rows") bugs are found, and nothing without them"
