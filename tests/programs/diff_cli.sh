#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# faultline diff from the command line: what it refuses and with which words, exit statuses, runs that are the same twice,
# files, divergences that are made small, saved and replayed, workers that are killed, signals, and users without
# privilege.
set -u
. "$(dirname "$0")/lib_cli.sh"
bugs=$build/tests/faultline-diff-bugs

# expect STATUS TEXT ARGUMENT...
expect() {
	check 120 "$1" "$2" "$faultline" diff "${@:3}"
}

if [ ! -x "$build/faultline-diff" ]; then
	echo "$build/faultline-diff is not there; build it first"
	exit 1
fi
if ! "$faultline" diff --check-ground >ground 2>&1; then
	cat ground
	exit 77
fi
for what in kernel privilege userfaultfd addresses mappings; do
	grep -q "^$what " ground || fail "--check-ground says nothing of $what: $(cat ground)"
done

cat >good.fl <<'END'
# Is a word that was written there after the mapping has moved?
map A anon private pages=2
place B pages=4
thread main
main: e1 = store A[1]+8 5
main: e2 = mremap A to B
main: r1 = load B[1]+8
main: r2 = load A[1]+8
END

# What it refuses.
expect 0 "Usage: faultline diff" --help
expect 0 "faultline-diff " --version
expect 0 "" --list-rules
expect 0 "uffd" --list-focus
expect 2 "unknown option '--frob'" --frob
expect 2 "needs a value" --seed
for n in "" -1 x 1x 99999999999999999999999; do
	expect 2 "--seed '$n' is not a number" --seed "$n"
	expect 2 "--programs '$n' is not a number" --programs "$n"
done
expect 2 "--time '0' is not a number from 1 to" --time 0
expect 2 "--jobs '0' is not a number from 1 to" --jobs 0
expect 2 "--statements '100000' is not a number from 1 to" --statements 100000
expect 2 "--focus 'everything' is not known" --focus uffd,everything
expect 2 "--focus '' is not known" --focus uffd,
expect 2 "--program needs the seed" --program 3
expect 2 "--print is for --program" --print
expect 2 "does not go with it" --program 3 --seed 1 good.fl
expect 2 "--time is for random programs" --time 3 good.fl
expect 2 "make random programs" --focus uffd good.fl
expect 2 "one of them" --verbose --quiet good.fl
expect 2 "--verbose is for files" --verbose
expect 2 "nowhere.fl" nowhere.fl
printf 'map A anon private\nthread main\nmain: a = laod A\n' >typo.fl
expect 2 "typo.fl:3:11: " typo.fl
printf 'map A shmem shared\nthread main\nmain: a = load A\n' >shmem.fl
expect 2 "shmem.fl:1:" shmem.fl
printf '\0\377\001' >binary.fl
expect 2 "binary.fl" binary.fl
expect 2 "" .
# A file that cannot be done does not keep the others from being played.
expect 2 "good.fl: both sides agree" typo.fl good.fl
expect 2 "cannot write 'nowhere/log" --log nowhere/log --programs 3 --seed 1

# Files.
expect 0 "good.fl: both sides agree, 5 statements" good.fl
expect 0 "" --quiet good.fl
[ ! -s out ] || fail "--quiet says something of a program on which both sides agree: $(cat out)"
expect 0 "r2 = load A[1]+8" -v good.fl
expect 0 "MAPERR" -v good.fl

# The same seed, the same programs, whoever plays them.
"$faultline" diff --program 7 --seed 5 --print >one && "$faultline" diff --print --seed 5 --program 7 >two
cmp one two || fail "a program is not the same twice"
[ -s one ] || fail "--print prints nothing"
"$faultline" diff --print --seed 6 --program 7 | cmp -s - one && fail "another seed gives the same program"
expect 0 "program 7 of seed 5: both sides agree" --seed 5 --program 7
cp one seven.fl
expect 0 "seven.fl: both sides agree" seven.fl
for jobs in 1 3; do
	expect 0 "no divergence" --seed 11 --programs 200 --jobs $jobs
	grep -q "^200 programs" out || fail "--programs 200 were not: $(cat out)"
	grep -o '^[0-9]* programs, [0-9]* statements' out >totals.$jobs
	grep -qF "again: faultline diff --seed 11 --programs 200" out || fail "it is not said how to repeat it: $(cat out)"
done
cmp totals.1 totals.3 || fail "the programs depend on --jobs"
expect 0 "no divergence" --focus uffd,remap --statements 12 --programs 50
grep -q "again: faultline diff --seed [0-9]* --programs 50 --focus [a-z,]* --statements 12" out ||
	fail "a new seed is not said: $(cat out)"
expect 0 "" --seed 3 --programs 100 --coverage=cover.md
grep -q '^|' cover.md || fail "no coverage table"
expect 0 "mprotect" --seed 3 --programs 100 --coverage
[ ! -e faultline-diff.found ] || fail "something was saved though nothing was found"

# On the disk before it is played.
expect 0 "" --log log --jobs 1 --seed 4 --programs 5 --quiet
"$faultline" diff --print --seed 4 --program 4 | cmp - <(tail -n +2 log.0) || fail "the log does not have the last program"
grep -q "^# seed 4, program 4$" log.0 || fail "the log does not say what it has: $(head -1 log.0)"
expect 0 "log.0: both sides agree" log.0

# A bug is found, made small, saved, and shown again by what was saved.
if [ -x "$bugs" ]; then
	bug=brk_rounded
	FL_BUG=$bug timeout 300 "$bugs" --focus brk --seed 1 --programs 600 --save kept >out 2>&1
	[ $? -eq 1 ] || fail "a bug ($bug) is not exit status 1: $(tail -5 out)"
	grep -q "^DIVERGENCE " out || fail "no divergence is printed for $bug: $(tail -5 out)"
	for file in kept/*.fl; do
		"$faultline" explore --format --check "$file" || fail "what is saved is not in its layout"
		FL_BUG=$bug timeout 60 "$bugs" "$file" >again 2>&1
		[ $? -eq 1 ] || fail "$file does not show the divergence again: $(cat again)"
		expect 0 "both sides agree" "$file"
	done
fi

# A worker that is killed is a divergence, and the run goes on.
"$faultline" diff --seed 9 --time 8 --jobs 2 --save killed >out 2>&1 &
pid=$!
sleep 2
worker=$(pgrep -P "$pid" | head -1)
[ -n "$worker" ] && kill -SEGV "$worker"
wait $pid
[ $? -eq 1 ] || fail "a worker that was killed is not exit status 1"
grep -q "^DIVERGENCE .*signal 11 (SEGV) at faultline-diff+0x" out || fail "a worker that was killed is not told of: $(cat out)"
grep -q "NOT shown again" out || fail "it is said to be shown again"

# A signal ends the run with its summary, and nobody is left.
"$faultline" diff --seed 9 --time 60 --jobs 2 >out 2>&1 &
pid=$!
sleep 2
children=$(pgrep -P "$pid")
kill -TERM $pid
wait $pid
[ $? -eq 143 ] || fail "SIGTERM does not end it as SIGTERM does"
grep -q "again: faultline diff --seed 9" out || fail "no summary after SIGTERM: $(cat out)"
"$faultline" diff --seed 9 --time 60 --jobs 2 --quiet >out 2>&1 &
pid=$!
sleep 1
children="$children $(pgrep -P "$pid")"
kill -KILL $pid
wait $pid 2>/dev/null
sleep 1
[ "$(echo "$children" | wc -w)" -ge 4 ] || fail "two jobs are not two processes: $children"
for child in $children; do
	# One that nobody has asked about yet is dead all the same.
	grep -q '^State:[[:space:]]*[DRSTt]' "/proc/$child/status" 2>/dev/null && fail "process $child is left over"
done

# Without privilege.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	chmod 777 "$work"
	nobody() {
		timeout 60 setpriv --reuid=65534 --regid=65534 --clear-groups "$build/faultline-diff" "$@" >out 2>&1
	}
	nobody --check-ground || fail "nobody cannot check the ground: $(cat out)"
	grep -q "not root" out || fail "nobody is told to be root"
	nobody --seed 2 --programs 300 || fail "nobody's run: $(cat out)"
	grep -q "no divergence" out || fail "nobody's run has divergences: $(cat out)"
fi

[ $failed -eq 0 ] && echo "the command line is as it says"
exit $failed
