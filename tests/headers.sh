#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Every public header compiles alone, and twice, as C11 and as C++17, with gcc and with clang, on each port.
set -eu
cd "$(dirname "$0")/.."
status=0
count=0
for header in include/faultline/*.h; do
	name=faultline/$(basename "$header")
	for port in threads fibers; do
		for compiler in "gcc -x c -std=c11" "clang -x c -std=c11 -Wthread-safety" "g++ -x c++ -std=c++17" \
			"clang++ -x c++ -std=c++17"; do
			count=$((count + 1))
			# shellcheck disable=SC2086
			if ! printf '#include "%s"\n#include "%s"\n' "$name" "$name" |
				$compiler -Wall -Wextra -Wconversion -Werror -Iinclude "-Iports/$port" -fsyntax-only -; then
				echo "$name fails: $compiler, $port port"
				status=1
			fi
		done
	done
done
echo "$count compilations"
[ $count -gt 0 ] && exit $status
