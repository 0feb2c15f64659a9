#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# install.sh BUILD_DIR: what `make install` puts in place is enough, wherever it is moved afterwards. A program outside
# the tree, in C and in C++, finds the library through pkg-config, and works.
set -eu
build=$(realpath "${1:?build directory}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/prefix"
prefix=$work/prefix
status=0
root=$(cd "$(dirname "$0")/.." && pwd)
for file in bin/faultline lib/libfaultline.a lib/pkgconfig/faultline.pc include/faultline/faultline.h \
	include/faultline/fl_port_impl.h $(cd "$root" && find docs/man -name '*.1' -printf 'share/man/man1/%f\n' 2>/dev/null); do
	if [ ! -f "$prefix/$file" ]; then
		echo "not installed: $file"
		status=1
	fi
done
[ $status -eq 0 ] || exit $status

# The program is the one that the README shows.
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$root/README.md" >"$work/user.c"
cp "$work/user.c" "$work/user.cc"

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
for compile in "gcc -std=c11 $work/user.c" "g++ -std=c++17 $work/user.cc"; do
	# shellcheck disable=SC2046,SC2086
	if ! $compile -Wall -Wextra -Werror -Wno-missing-field-initializers -o "$work/user" \
		$(pkg-config --cflags --libs faultline); then
		echo "does not compile: $compile"
		status=1
		continue
	fi
	result=0
	output=$("$work/user") || result=$?
	if [ $result -ne 0 ] || [ "$output" != hello ]; then
		echo "$compile: status $result, output '$output'; expected 0 and 'hello'"
		status=1
	fi
done

version=$("$prefix/bin/faultline" --version) || status=1
if [[ $version != *"$(pkg-config --modversion faultline)"* ]]; then
	echo "faultline --version says '$version', pkg-config $(pkg-config --modversion faultline)"
	status=1
fi
exit $status
