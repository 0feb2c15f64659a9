#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The example of a C test: every schedule of the right version is right, and the broken one has its dead-lock found, and shown.
set -u
build=$(realpath "$1")
mailbox=$build/explore/examples/mailbox
[ -x "$mailbox" ] || exit 77
out=$(timeout 60 "$mailbox") || { echo "FAIL: mailbox: status $?: $out"; exit 1; }
case $out in
*" schedules, all") ;;
*) echo "FAIL: mailbox said: $out"; exit 1 ;;
esac
out=$(timeout 60 "$mailbox" broken)
status=$?
[ $status -eq 1 ] || { echo "FAIL: mailbox broken: status $status: $out"; exit 1; }
for text in "dead-lock: handler parked (the handler's parker)" "fl_port_unpark (the handler's parker)" \
	"waits in fl_port_park"; do
	grep -qF "$text" <<<"$out" || { echo "FAIL: mailbox broken does not say '$text': $out"; exit 1; }
done
