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

cat >"$work/user.c" <<'C'
#include <stdio.h>
#include <stdlib.h>

#include <faultline/faultline.h>

int main(void)
{
	struct fl_mm_config config = {0};
	struct fl_frames *frames;
	struct fl_task task;
	struct fl_mm *mm;
	struct fl_fault fault = {0};
	char out[6] = "";
	fl_va va;
	void *arena = aligned_alloc(4096, 1 << 20);

	if (!arena || fl_frames_create(arena, 1 << 20, 12, &frames))
		return 1;
	config.frames = frames;
	if (fl_mm_create(&config, &mm))
		return 2;
	fl_task_init(&task, frames, mm, 1);
	if (fl_mmap(&task, 0, 8192, FL_PROT_READ | FL_PROT_WRITE, FL_MAP_PRIVATE | FL_MAP_ANONYMOUS, &va))
		return 3;
	fault.addr = va;
	fault.access = FL_WRITE;
	fault.flags = FL_FAULTF_USER;
	if (fl_handle_fault(&task, &fault) != FL_FAULT_DONE)
		return 4;
	if (fl_copy_to_user(&task, va + 4094, "hello", 6) || fl_copy_from_user(&task, out, va + 4094, 6))
		return 5;
	if (fl_munmap(&task, va, 8192))
		return 6;
	fault.addr = va;
	if (fl_handle_fault(&task, &fault) != FL_FAULT_BAD_AREA)
		return 7;
	puts(out);
	fl_task_exit(&task);
	fl_mm_put(mm);
	return fl_frames_destroy(frames) ? 8 : 0;
}
C
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
