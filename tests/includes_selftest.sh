#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# includes.sh can fail: it passes what the rules allow and refuses each thing they forbid.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{include/faultline,src/{mm,vma},ports/threads,machines/soft,explore/{search,lang,raw,host},diff/{engine,host,play},tools}
touch "$work"/{include/faultline/mm.h,src/mm/mm_int.h,src/vma/vma.h,machines/soft/soft.h,tools/tool.h}
status=0

# expect pass|fail FILE HEADER
expect() {
	echo "#include $3" >"$work/$2"
	if out=$(bash "$here/includes.sh" build "$work" 2>&1); then result=pass; else result=fail; fi
	if [ $result != "$1" ]; then
		echo "$2 with $3: expected $1"
		echo "$out"
		status=1
	fi
	rm "$work/$2"
}

expect pass src/mm/a.c '<stdint.h>'
expect pass src/mm/a.c '"faultline/mm.h"'
expect pass src/mm/a.c '"vma/vma.h"'
expect fail src/mm/a.c '<string.h>'
expect fail src/mm/a.c '"fl_port_impl.h"'
expect fail src/mm/a.c '"soft/soft.h"'
expect fail src/mm/a.c '"../machines/soft/soft.h"'
expect fail src/mm/a.c '"faultline/none.h"'
expect pass include/faultline/fl_port.h '"fl_port_impl.h"'
expect fail include/faultline/a.h '"fl_port_impl.h"'
expect fail include/faultline/a.h '"vma/vma.h"'
expect fail include/faultline/a.h '<stdio.h>'
expect pass ports/threads/a.c '<pthread.h>'
expect fail ports/threads/a.c '"vma/vma.h"'
expect fail machines/soft/a.c '"tool.h"'
expect pass machines/soft/a.c '"vma/vma.h"'
expect fail machines/soft/a.c '"explore/lang/scenario.h"'
expect pass explore/search/a.c '"explore/search/search.h"'
expect fail explore/search/a.c '"faultline/mm.h"'
expect pass explore/lang/a.c '"faultline/mm.h"'
expect fail explore/lang/a.c '"explore/exec/exec.h"'
expect pass explore/host/a.c '"explore/exec/exec.h"'
expect fail explore/host/a.c '"vma/vma.h"'
expect pass explore/raw/a.c '"explore/raw/raw.h"'
expect fail explore/raw/a.c '"explore/lang/scenario.h"'
expect fail explore/a.c '"tools/tool.h"'
expect fail explore/a.c '"diff/diff.h"'
expect fail machines/soft/a.c '"diff/diff.h"'
expect fail ports/threads/a.c '"diff/diff.h"'
expect fail src/mm/a.c '"diff/diff.h"'
expect pass diff/play/a.c '"diff/diff.h"'
expect pass diff/play/a.c '"explore/lang/scenario.h"'
expect pass diff/host/a.c '"explore/raw/raw.h"'
expect pass diff/play/a.c '"faultline/mm.h"'
expect fail diff/play/a.c '"explore/exec/exec.h"'
expect fail diff/play/a.c '"vma/vma.h"'
expect fail diff/host/a.c '"mm/mm_int.h"'
expect fail diff/host/a.c '"soft/soft.h"'
expect fail diff/host/a.c '"../../src/mm/mm_int.h"'
expect fail diff/a.c '"tool.h"'
expect pass diff/engine/a.c '"vma/vma.h"'
expect pass diff/engine/a.c '"soft/soft.h"'
expect fail diff/engine/a.c '"tools/tool.h"'
exit $status
