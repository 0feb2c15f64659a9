# SPDX-License-Identifier: MIT
# What the scripts that try a command line share: a directory to work in, and checks. Sourced, with BUILD_DIR as $1.
# shellcheck shell=bash disable=SC2034
build=$(realpath "$1")
faultline=$build/faultline
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

fail() {
	echo "FAIL: $*"
	failed=1
}

# check SECONDS STATUS TEXT COMMAND...: exit status, and TEXT somewhere in what it says, which is in `out`
check() {
	local seconds=$1 status=$2 text=$3
	shift 3
	timeout "$seconds" "$@" >out 2>&1 </dev/null
	local got=$?
	if [ $got -ne "$status" ] || { [ -n "$text" ] && ! grep -qF -- "$text" out; }; then
		fail "$* gave $got (want $status, '$text'):"
		head -20 out
	fi
}
