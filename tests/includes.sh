#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# includes.sh [BUILD_DIR [ROOT]]: things depend downwards only.
#
#   include/   includes faultline/*.h and freestanding headers; fl_port.h alone includes the port's half
#   src/       includes that and its own headers; nothing of a port's but through fl_port.h
#   ports/     includes nothing of src, machines, explore, diff or tools
#   machines/  includes nothing of explore, diff or tools
#   explore/   includes nothing of diff or tools; explore/search nothing of the library, explore/lang nothing of src or other
#              rooms of explore/ (it is what all executors stand on), explore/raw nothing at all, explore/host nothing of src
#   diff/      includes nothing of tools, and of explore/ the language and explore/raw alone; only diff/engine includes headers of src or of
#              the machines
#
# includes_selftest.sh shows that it can fail.
set -eu
root=${2:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$root"
status=0
refuse() {
	echo "$1: $2 may not include $3"
	status=1
}
freestanding=' stddef.h stdint.h stdbool.h limits.h '
count=0

# Each line: file, then the header with its brackets or quotes.
while read -r file header; do
	count=$((count + 1))
	name=${header:1:-1}
	where=${file%%/*}/
	case $where:$header in
	include/:\<* | src/:\<*)
		[[ $freestanding = *" $name "* ]] || refuse "$file" "$where" "$header" ;;
	include/:*)
		[[ $name = faultline/* && -f include/$name ]] ||
			[[ $name = fl_port_impl.h && $file = include/faultline/fl_port.h ]] ||
			refuse "$file" "$where" "$header" ;;
	src/:*)
		[[ $name != ../* && ($name = faultline/* && -f include/$name || -f src/$name) ]] ||
			refuse "$file" "$where" "$header" ;;
	ports/:\"*)
		[[ $name != ../src/* && $name != ../../* && ! -f src/$name && ! -f machines/$name && ! -f tools/$name &&
			$name != explore/* && $name != diff/* ]] || refuse "$file" "$where" "$header" ;;
	machines/:\"*)
		[[ ! -f tools/$name && $name != explore/* && $name != diff/* ]] || refuse "$file" "$where" "$header" ;;
	explore/:\"*)
		[[ ! -f tools/$name && $name != tools/* && $name != diff/* && $name != *../diff/* ]] || refuse "$file" "$where" "$header"
		case $file in
		explore/search/*) [[ $name = explore/search/* ]] ;;
		explore/lang/*) [[ $name = explore/lang/* || $name = faultline/* ]] ;;
		explore/raw/*) [[ $name = explore/raw/* ]] ;;
		explore/host/*) [[ ! -f src/$name ]] ;;
		esac || refuse "$file" "$where" "$header" ;;
	diff/:\"*)
		case $name in
		*../* | tools/*) false ;;
		explore/*) [[ $name = explore/lang/* || $name = explore/raw/* ]] ;;
		esac && [[ ! -f tools/$name ]] || refuse "$file" "$where" "$header"
		[[ $file = diff/engine/* || ! (-f src/$name || -f machines/$name || $name = src/* || $name = machines/*) ]] ||
			refuse "$file" "$where" "$header" ;;
	esac
done < <(grep -rEo --include='*.[chS]' '^[[:space:]]*#[[:space:]]*include(_next)?[[:space:]]*[<"][^>"]*[>"]' \
	include src ports machines explore diff 2>/dev/null |
	sed -E 's/^([^:]*):[[:space:]]*#[[:space:]]*include(_next)?[[:space:]]*(.*)$/\1 \3/')

if [ $count -eq 0 ]; then
	echo "no include found under $root"
	exit 1
fi
echo "$count includes"
exit $status
