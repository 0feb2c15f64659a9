#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The userfaultfd contract: each case passes on the kernel of this machine, and under `faultline run`.
#
#   uffd.sh BUILD_DIR
#
# Where the kernel grants no userfaultfd (vm.unprivileged_userfaultfd), its half is left out: `run` needs none.
set -u
build=$(realpath "${1:?build directory}")
failed=0 ran=0

run() { # label, command...
	local label=$1
	shift
	ran=$((ran + 1))
	if ! timeout 200 "$@" >"$out" 2>&1; then
		echo "FAIL $label: $*"
		grep -v '^ok ' "$out" | head -n 40
		failed=1
	fi
}

out=$(mktemp)
trap 'rm -f "$out"' EXIT
for program in uffd_contract uffd_messages uffd_waiting; do
	guest=$build/tests/programs/$program
	if [ "$(id -u)" = 0 ] || [ "$(cat /proc/sys/vm/unprivileged_userfaultfd 2>/dev/null)" = 1 ]; then
		run natively "$guest"
	fi
	if [ -x "$build/faultline" ]; then
		run "under faultline" "$build/faultline" run -- "$guest"
	fi
done
[ "$ran" -gt 0 ] || exit 77
exit "$failed"
