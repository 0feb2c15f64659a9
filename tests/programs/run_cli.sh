#!/bin/bash
# SPDX-License-Identifier: MIT
# The command line: what it refuses, with which status and words; and that reports and traces are what they should be.
set -u
. "$(dirname "$0")/lib_cli.sh"

# expect STATUS TEXT COMMAND...
expect() {
	check 60 "$@"
}

expect 0 "run an unmodified" "$faultline" --help
expect 0 "faultline " "$faultline" --version
expect 125 "there is no command 'fly'" "$faultline" fly
expect 125 "run  " "$faultline" fly
expect 0 "--trace FILE" "$faultline" run --help
expect 125 "no program was named" "$faultline" run
expect 125 "no program was named" "$faultline" run --
expect 125 "unknown option '--frob'" "$faultline" run --frob true
expect 125 "'--memory' needs a value" "$faultline" run --memory
for size in 0 12 -1 1X 1GG 9999999999999999999999 17592186044416T 1K ""; do
	expect 125 "'$size' is not a size" "$faultline" run --memory "$size" true
done
expect 125 "No such file or directory" "$faultline" run --report /nonexistent/x true
expect 125 "name a file that can be written" "$faultline" run --trace "$work" true
expect 127 "no-such-program" "$faultline" run no-such-program
expect 127 "/no/such" "$faultline" run -- /no/such
echo hello >plain
expect 126 "plain" "$faultline" run ./plain
expect 126 "$work" "$faultline" run "$work"
chmod +x plain

# The status and the signal are the program's.
expect 7 "exit status 7" "$faultline" run -- sh -c 'exit 7'
expect 137 "killed by signal 9" sh -c "$faultline run -- sh -c 'kill -9 \$\$'; exit \$?"
expect 0 "" "$faultline" run --memory 64M --quiet -- true

# Options of the program are its own, and standard output is.
timeout 60 "$faultline" run --quiet -- echo --report x >out 2>err
[ "$(cat out)" = "--report x" ] && [ ! -s err ] || {
	echo "FAIL: the program's options or output were touched"
	failed=1
}

# Neither file is there for the program to inherit.
ls /proc/self/fd >native.fds
timeout 60 "$faultline" run --report r --trace t -- ls /proc/self/fd >run.fds
cmp native.fds run.fds || failed=1
grep -q 'faults outcome' r || {
	echo "FAIL: no report in the file"
	failed=1
}
if [ -x /usr/bin/python3 ]; then
	/usr/bin/python3 - t <<-'PYTHON' || failed=1
		import json, sys
		seen = set()
		last = {}
		for line in open(sys.argv[1]):
		    o = json.loads(line)
		    seen.add(o["type"])
		    if o["type"] == "fault":
		        for name in ("time", "thread", "address", "access", "mapping", "kind", "resolved", "ns", "ahead"):
		            assert name in o, (name, o)
		for wanted in ("fault", "call", "foreign", "exec", "exit"):
		    assert wanted in seen, (wanted, seen)
	PYTHON
fi

# Out of memory: the process is killed as by the kernel, and the report says why.
expect 137 "used up" sh -c "$faultline run --memory 16M -- sh -c 'x=a; while :; do x=\$x\$x; done'; exit \$?"
[ $failed -eq 0 ] && echo "ok   run_cli"
exit $failed
