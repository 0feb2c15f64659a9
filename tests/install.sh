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
	include/faultline/fl_port_impl.h include/faultline/threads/fl_port_impl.h libexec/faultline-explore libexec/faultline-diff \
	lib/libfaultline-explore.a lib/pkgconfig/faultline-explore.pc include/faultline/explore.h \
	include/faultline/fibers/fl_port_impl.h $(cd "$root" && find docs/man -name '*.1' -printf 'share/man/man1/%f\n' 2>/dev/null); do
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

# The same headers, and the explorer: a C test finds a lost update, and a scenario is found its explorer.
cat >"$work/test.c" <<'END'
#include <stdio.h>
#include <string.h>

#include <faultline/explore.h>

static uint32_t *x;

static void add(void *arg)
{
	(void)arg;
#ifdef PLAIN
	*x = *x + 1;
#else
	fl_store(x, fl_load(x) + 1);
#endif
}

static void setup(void *arg)
{
	(void)arg;
	x = (uint32_t *)fl_explore_alloc(sizeof(*x));
	fl_explore_thread("one", add, NULL);
	fl_explore_thread("two", add, NULL);
}

static void finish(void *arg)
{
	(void)arg;
	FL_EXPLORE_CHECK(fl_load(x) == 2);
}

int main(void)
{
	struct fl_explore_test test;
	struct fl_explore_options options;
	struct fl_explore_report report;

	memset(&test, 0, sizeof(test));
	memset(&options, 0, sizeof(options));
	test.name = "lost update";
	test.setup = setup;
	test.finish = finish;
	if (fl_explore(&test, &options, &report, NULL))
		return 2;
	if (report.findings == 1)
		puts(fl_explore_kind_name(report.finding[0].kind));
	fl_explore_report_free(&report);
	return 0;
}
END
cp "$work/test.c" "$work/test.cc"
for compile in "gcc -std=c11 $work/test.c" "g++ -std=c++17 $work/test.cc"; do
	# shellcheck disable=SC2046,SC2086
	if ! $compile -Wall -Wextra -Werror -o "$work/test" $(pkg-config --cflags --libs faultline-explore); then
		echo "does not compile: $compile"
		status=1
	elif ! "$work/test" >"$work/out" || ! grep -qx check "$work/out"; then
		echo "$compile: '$(cat "$work/out")'; expected 'check'"
		status=1
	fi
done
# Plain accesses are seen when the compiler tells of them; its own library is not linked.
for cc in gcc clang; do
	type -P $cc >/dev/null || continue
	# shellcheck disable=SC2046
	if ! {
		$cc -std=c11 -DPLAIN -fsanitize=thread -c -o "$work/plain.o" $(pkg-config --cflags faultline-explore) \
			"$work/test.c" && $cc -o "$work/test" "$work/plain.o" $(pkg-config --libs faultline-explore) &&
			"$work/test" >"$work/out" && grep -qx "data race" "$work/out"
	}; then
		echo "$cc -fsanitize=thread: '$(cat "$work/out")'; expected 'data race'"
		status=1
	fi
done
printf 'map A anon private\nthread one { a = load A }\nalways a == 0\n' >"$work/one.fl"
if ! "$prefix/bin/faultline" explore "$work/one.fl" >"$work/out" 2>&1; then
	echo "faultline explore does not work when installed:"
	cat "$work/out"
	status=1
fi

if ! "$prefix/bin/faultline" diff --version >"$work/out" 2>&1 || ! grep -q '^faultline-diff ' "$work/out"; then
	echo "faultline diff does not work when installed:"
	cat "$work/out"
	status=1
fi

version=$("$prefix/bin/faultline" --version) || status=1
if [[ $version != *"$(pkg-config --modversion faultline)"* ]]; then
	echo "faultline --version says '$version', pkg-config $(pkg-config --modversion faultline)"
	status=1
fi
exit $status
