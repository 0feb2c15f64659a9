#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# freestanding.sh [BUILD_DIR [ROOT]]: the engine asks for nothing but its port.
#
# Compiles every source under ROOT/src for four targets, without a libc and without a libc's headers, on the threads
# port's atomics, and links the objects of each target into one. Fails if
#   - a source does not compile, or warns;
#   - the result wants a symbol beyond the functions of fl_port.h, the four mem* calls and libgcc's integer helpers
#     (so __atomic_* and __sync_* are out, and with them every atomic wider than the target's pointer);
#   - an object has writable data: the engine has no global state.
# freestanding_selftest.sh shows that each of these can fail.
set -eu

build=${1:-build}
root=${2:-$(cd "$(dirname "$0")/.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Compiler prefix and flags of each target. aarch64: atomics inline, as a kernel would have them, not in libgcc.
targets=(
	"x86-64||"
	"aarch64|aarch64-linux-gnu-|-mno-outline-atomics"
	"riscv64|riscv64-linux-gnu-|"
	"powerpc|powerpc-linux-gnu-|"
)
flags=(-std=c11 -ffreestanding -nostdlib -nostdinc -O2 -fno-pie -fno-stack-protector
	-Wall -Wextra -Wconversion -Werror -I "$root/include" -I "$root/src" -I "$root/ports/threads")
# The <limits.h> of a gcc that was built beside a libc goes on to the libc's: give it an empty one.
mkdir "$work/libc"
: >"$work/libc/limits.h"

helpers='__udivdi3 __umoddi3 __divdi3 __moddi3 __ashldi3 __lshrdi3 __ashrdi3 __muldi3 __ctzdi2 __clzdi2'
helpers+=' __popcountdi2 __bswapdi2'
port=$(sed -n 's/^[A-Za-z_][^(]*[ *]\(fl_[a-z0-9_]*\)(.*/\1/p' \
	"$root/include/faultline/fl_port.h" "$root/include/faultline/compiler.h")
{
	printf '%s\n' memcpy memset memmove memcmp
	printf '%s\n' $helpers
	printf '%s\n' $port
} | sort -u >"$work/allowed"

mapfile -t sources < <(find "$root/src" -name '*.c' | sort)
if [ ${#sources[@]} -eq 0 ]; then
	echo "no sources under $root/src"
	exit 1
fi
if [ "$(wc -w <<<"$port")" -lt 10 ]; then
	echo "fl_port.h declares only these functions: $port"
	exit 1
fi

status=0
for target in "${targets[@]}"; do
	IFS='|' read -r name prefix extra <<<"$target"
	cc=${prefix}gcc
	if ! type -P "$cc" >/dev/null; then
		echo "$name: $cc is not installed (scripts/setup check)"
		status=1
		continue
	fi
	mkdir "$work/$name"
	commands=$work/$name/commands
	for source in "${sources[@]}"; do
		object=${source#"$root"/src/}
		object=$work/$name/${object//\//-}.o
		printf '%s\0' "$source" "$object"
	done >"$commands"
	compile=$(printf '%q ' "$cc" "${flags[@]}" -isystem "$("$cc" -print-file-name=include)" -isystem "$work/libc" $extra)
	if ! xargs -0 -n 2 -P "$(nproc)" bash -c "$compile"' -c "$1" -o "$2"' bash \
		<"$commands" >"$commands.log" 2>&1; then
		echo "$name: does not compile:"
		cat "$commands.log"
		status=1
		continue
	fi

	if ! "$cc" -r -nostdlib -no-pie -o "$work/$name/engine.o" "$work/$name"/*.c.o; then
		echo "$name: does not link"
		status=1
		continue
	fi
	"${prefix}nm" -u "$work/$name/engine.o" | awk '{ print $NF }' | sort -u >"$work/$name/wanted"
	# The save and restore routines of powerpc's prologues are code that every linker for it brings along.
	comm -23 "$work/$name/wanted" "$work/allowed" | grep -Ev '^_(save|rest)gpr_[0-9]+(_x)?$' >"$work/$name/extra" || true
	if [ -s "$work/$name/extra" ]; then
		status=1
		while read -r symbol; do
			echo "$name: $symbol is wanted by" \
				"$(cd "$work/$name" && "${prefix}nm" -u -A ./*.c.o | awk -v s="$symbol" '$NF == s { print $1 }' |
					sed 's/^\.\///; s/\.o:.*//' | sort -u | tr '\n' ' ')"
		done <"$work/$name/extra"
	fi

	for object in "$work/$name"/*.c.o; do
		data=$("${prefix}size" -A "$object" | awk '
			$1 ~ /^\.(s?data|s?bss|tdata|tbss)($|\.)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0 { printf "%s ", $1 }')
		common=$("${prefix}nm" "$object" | awk '$2 == "C" { printf "%s ", $3 }')
		if [ -n "$data$common" ]; then
			echo "$name: $(basename "$object" .o) has writable data: $data$common"
			"${prefix}nm" "$object" | awk '$2 ~ /^[dDbBsSgGC]$/ { print "    " $3 }'
			status=1
		fi
	done
	echo "$name: ${#sources[@]} sources, $(wc -l <"$work/$name/wanted") symbols wanted"
done
exit $status
