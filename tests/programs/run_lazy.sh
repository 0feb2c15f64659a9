#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The example that `make run` shows: the same output natively and under `faultline run`; and under `faultline run` also as an
# unprivileged user on a host that forbids userfaultfd.
#
#   run_lazy.sh BUILD_DIR [MiB]
set -u
build=$(realpath "${1:?build directory}")
mib=${2:-64}
tmp=$(mktemp -d)
chmod 755 "$tmp"
trap 'rm -rf "$tmp"' EXIT
cp "$build/examples/lazy_restore" "$build/faultline" "$build/tests/programs/deny_uffd" "$tmp/" || exit 1
cd "$tmp" || exit 1
fail() {
	echo "FAIL run_lazy: $*"
	exit 1
}
./lazy_restore --make snapshot "$mib" >/dev/null || fail "cannot make a snapshot"
chmod 644 snapshot
timeout 120 ./lazy_restore snapshot >native.out 2>native.err && native=yes || native=no
timeout 300 ./faultline run --report report -- ./lazy_restore snapshot >run.out 2>run.err || fail "under run: $(cat run.err)"
if [ $native = yes ]; then
	cmp native.out run.out || fail "output differs from the native one"
fi
grep -q 'missing' report || fail "the report names no fault that userfaultfd resolved: $(cat report)"
timeout 300 ./deny_uffd ./lazy_restore snapshot >/dev/null 2>&1 && fail "deny_uffd does not forbid userfaultfd"
touch denied.report && chmod 666 denied.report
timeout 300 ./deny_uffd ./faultline run --report denied.report -- ./lazy_restore snapshot >denied.out 2>denied.err ||
	fail "unprivileged, where userfaultfd is forbidden: $(cat denied.err)"
cmp run.out denied.out || fail "output differs for an unprivileged user"
echo "ok   run_lazy ($mib MiB, natively: $native)"
