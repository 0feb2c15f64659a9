#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# faultline explore from the command line: what it refuses and with which words, exit statuses, counterexamples that
# replay, outcomes, the formatter, explorations that are stopped and go on, the debugger, and the comparison with the kernel.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/lib_cli.sh"

# expect STATUS TEXT ARGUMENT...
expect() {
	check 60 "$1" "$2" "$faultline" explore "${@:3}"
}

cat >good.fl <<'END'
# Two threads add to one word. Is an addition ever lost?
map A anon private
thread one { a = add A 1 }
thread two { b = add A 2 }
always [A] == 3
always (a == 0 and b == 1) or (b == 0 and a == 2)
sometimes a == 2
END
cat >bad.fl <<'END'
# A variable is read and then written. Is an addition ever lost?
var x = 0
map A anon private
thread one {
	r1 = get x
	set x r1 + 1
}
thread two {
	r2 = get x
	set x r2 + 1
}
thread idle {
	i = load A
}
always x == 2
END
cat >never.fl <<'END'
# May a page of zeros be anything else?
map A anon private
thread one { a = load A }
sometimes a == 1
END

# What it refuses.
expect 0 "Usage: faultline explore" --help
expect 0 "faultline-explore " --version
expect 0 "store L VALUE" --list-ops
expect 2 "no scenario was named"
expect 2 "unknown option '--frob'" --frob good.fl
expect 2 "--search 'all' is not one of dpor, bounded, pct, random" --search all good.fl
expect 2 "--memory 'arm' is not one of sc, tso" --memory arm good.fl
for n in "" -1 x 1x 0 99999999999999999999999; do
	expect 2 "--schedules '$n' is not a number" --schedules "$n" good.fl
done
expect 2 "--jobs '0' is not a number from 1 to" --jobs 0 good.fl
expect 2 "needs a value" good.fl --seed
expect 2 "does not go with" --host --format good.fl
expect 2 "--gdb needs the run" --gdb good.fl
expect 2 "is for --format" --check good.fl
expect 2 "is for --host" --runs 5 good.fl
expect 2 "2 files were named" --replay x good.fl bad.fl
expect 2 "nowhere.fl" nowhere.fl
expect 2 "nowhere.state" --resume nowhere.state
printf 'map A anon private\nthread one { a = laod A }\n' >typo.fl
expect 2 "typo.fl:2:18: " typo.fl
printf 'map A anon\nthread one { a = load B }\n' >unknown.fl
expect 2 "unknown.fl:2:23: " unknown.fl
printf '\0\377\001' >binary.fl
expect 2 "binary.fl" binary.fl
expect 2 "" .
# What only the comparison with the kernel runs, by name; statements on lines of their own it runs itself.
cat >lines.fl <<'END'
# Is a line of its own as good as a place in the block?
map A anon private
thread one { a = add A 1 }
thread two
two: b = add A 2
one: c = add A 4
always [A] == 7
sometimes b == 5
END
expect 0 "seen        sometimes b == 5" lines.fl
for statement in "p = mmap any pages=1" "munmap A bytes=4097" "load 0x1000" "load A size=16" "limit as off"; do
	printf 'map A anon private\nthread one\none: %s\n' "$statement" >compared.fl
	expect 2 "compared.fl:3:" compared.fl
	expect 2 "only \`faultline diff\` runs this" compared.fl
	expect 2 "only \`faultline diff\` runs this" --host compared.fl
	expect 0 "one: $statement" --format compared.fl
done
printf 'unprivileged # so it is\nmap A anon private\n' >compared.fl
expect 2 "compared.fl:1:1: \`unprivileged\`: only \`faultline diff\` runs this" compared.fl
expect 0 "mmap any pages=N|bytes=N" --list-ops
# A file that cannot be done does not keep the others from being explored.
expect 2 "good.fl: Two threads add" typo.fl good.fl

# What it says of scenarios, good and bad.
expect 0 "; complete" good.fl
expect 0 "holds       always [A] == 3" good.fl
expect 0 "seen        sometimes a == 2" good.fl
expect 0 "" --quiet good.fl
[ ! -s out ] || fail "--quiet says something of a scenario that holds: $(cat out)"
expect 0 "2 outcomes" --outcomes good.fl
expect 1 "NEVER SEEN  sometimes a == 1" never.fl
# What was not looked at on the user's wish may hold it.
expect 0 "not yet     sometimes a == 1" --search random --schedules 50 never.fl
expect 0 "not yet     sometimes a == 1" --preemptions 0 never.fl
sed '1a bound preemptions=1' never.fl >within.fl
expect 1 "NEVER SEEN  sometimes a == 1" within.fl
expect 0 "not yet     sometimes a == 1" --preemptions 0 within.fl
expect 1 "BROKEN      always x == 2" bad.fl
expect 1 "never.fl" good.fl never.fl
expect 0 '"when":"sometimes","text":"a == 2","line":7,"state":"seen"' --json good.fl
expect 1 '"kind":"property"' --json bad.fl
for search in "bounded --preemptions 1" pct random; do
	# shellcheck disable=SC2086
	expect 1 "FOUND property" --search $search bad.fl
done
expect 0 "complete with at most 0 preemptions" --preemptions 0 bad.fl
expect 0 "store buffers" --memory tso good.fl
expect 0 "NOT complete: stopped after 1" --schedules 1 --preemptions 5 bad.fl

# The same command says the same, but for the time it took.
for options in "" "--search random --schedules 300 --seed 7" "--search pct --schedules 300"; do
	for i in 1 2; do
		# shellcheck disable=SC2086
		timeout 60 "$faultline" explore --outcomes --keep-going $options good.fl bad.fl | sed 's/[0-9.]* s;//' >same.$i
	done
	cmp same.1 same.2 || fail "explore $options is not the same twice"
done

# The counterexample is small, fits the paper, and can be run again, whatever the scenario's path.
for width in 80 120; do
	COLUMNS=$width timeout 60 "$faultline" explore bad.fl >report
	sed -n '/^    step/,/^$/p' report >columns
	awk -v w=$width 'length($0) > w { exit 1 }' columns || fail "columns are wider than $width"
done
grep -q "1 preemption, with fewer it is not found" report || fail "not the fewest preemptions"
grep -q "Left out, and it is found all the same: 3: map A anon private; 13: i = load A" report || fail "nothing was left out"
grep -q "! preempted by" columns || fail "the columns do not say who was preempted"
grep -q idle columns && fail "a thread without operations has a column"
run=$(sed -n 's/^    run //p' report)
mkdir -p elsewhere
cp bad.fl elsewhere/moved.fl
expect 1 "FOUND property" --replay "$run" elsewhere/moved.fl
diff <(sed -n 's/^    //p' columns | sed '/^$/d') <(sed -n '/^  step/,/^$/s/^  //p' out | sed '/^$/d') >/dev/null || {
	COLUMNS=112 expect 1 "! preempted by" --replay "$run" bad.fl
}
expect 1 "change acq-rel" --replay "$(sed -n 's/^    run //p' report)" --engine bad.fl
sed 's/r2 + 1/r2 + 2/' bad.fl >other.fl
expect 2 "another scenario, or of another version" --replay "$run" other.fl
expect 2 "another scenario" --replay "$run" good.fl
expect 2 "is no run id" --replay "" bad.fl
expect 2 "is no run id" --replay zebra bad.fl
expect 2 "" --replay "${run%??}zz" bad.fl
expect 2 "is no run id" --replay "${run%%_*}_" bad.fl
for witness in $(timeout 60 "$faultline" explore --outcomes good.fl | sed -n 's/.* one of them //p'); do
	expect 0 "ends with " --replay "$witness" good.fl
done

# Formatting twice changes nothing more, and changes nothing but the layout.
for file in "$root"/scenarios/*.fl good.fl bad.fl lines.fl; do
	"$faultline" explore --format "$file" >formatted.fl || fail "$file cannot be formatted"
	"$faultline" explore --format formatted.fl | cmp - formatted.fl || fail "$file is formatted differently twice"
done
printf 'map   A anon private\nthread one{a=load A}\n' >ugly.fl
expect 1 "ugly.fl: not in its layout" --format --check ugly.fl
expect 0 "" --format -i ugly.fl
expect 0 "" --format --check ugly.fl
expect 2 "typo.fl:2:18" --format -i typo.fl

# Stopped twice and gone on with, it comes to what it comes to without.
long=$work/snapshot-restore.fl
cp "$root/scenarios/snapshot-restore.fl" "$long"
bounds="--jobs 1 --no-plain --deep --schedules 100000" # some seconds
whole() {
	sed 's/[0-9.]* s;//; /blocks of the engine/d' "$1"
}
# shellcheck disable=SC2086
timeout 60 "$faultline" explore --outcomes $bounds "$long" >once
for signal in INT TERM; do
	rm -f snapshot-restore.fl.explore second
	# shellcheck disable=SC2086
	timeout --signal=$signal 0.3 "$faultline" explore --outcomes $bounds "$long" >first 2>message
	if ! grep -q "go on with: faultline explore --resume snapshot-restore.fl.explore" message; then
		fail "an exploration stopped by SIG$signal does not say how to go on: $(cat message)"
		continue
	fi
	grep -q interrupted first || fail "a report does not say that it was interrupted"
	timeout --signal=$signal 0.3 "$faultline" explore --jobs 1 --state second --resume snapshot-restore.fl.explore >/dev/null 2>&1
	state=second
	[ -f second ] || state=snapshot-restore.fl.explore
	timeout 60 "$faultline" explore --outcomes --jobs 1 --resume $state >resumed
	diff <(whole once) <(whole resumed) >difference || {
		fail "stopped by SIG$signal and resumed, it is not the same:"
		head -20 difference
	}
done
# What is left goes into the file that was gone on with.
rm -f snapshot-restore.fl.explore
timeout --signal=INT 0.3 "$faultline" explore --jobs 1 --no-plain --deep "$long" >/dev/null 2>&1 # of hundreds of thousands
mv snapshot-restore.fl.explore left.state
cp left.state before.state
timeout --signal=INT 0.3 "$faultline" explore --jobs 1 --resume left.state >/dev/null 2>&1
cmp -s left.state before.state && fail "an exploration that is resumed and stopped keeps nothing in its file"
mv before.state snapshot-restore.fl.explore
sed 's/^hash ./hash x/' snapshot-restore.fl.explore >broken.state
expect 2 "is not what a stopped exploration" --resume broken.state
expect 2 "is not what a stopped exploration" --resume good.fl

# Several at once are all stopped, and each can go on.
cp "$long" other-restore.fl
rm -f ./*.explore
timeout --signal=TERM 0.5 "$faultline" explore --deep --jobs 2 "$long" other-restore.fl good.fl >out 2>&1
for name in snapshot-restore other-restore; do
	[ -f $name.fl.explore ] || fail "stopped with others, $name.fl keeps nothing: $(cat out)"
done

# The debugger stops in it.
if command -v gdb >/dev/null; then
	timeout 60 "$faultline" explore --replay "$run" --gdb bad.fl >out 2>&1 </dev/null
	grep -q SIGTRAP out || fail "--gdb does not stop: $(tail -3 out)"
fi
mkdir -p empty
timeout 60 env PATH="$work/empty" "$faultline" explore --replay "$run" --gdb bad.fl >out 2>&1
if [ $? -ne 2 ] || ! grep -q "apt-get install gdb" out; then
	fail "without gdb it does not say how to get it: $(cat out)"
fi

# On the running kernel nothing else happens.
expect 0 "  kernel: " --host --runs 200 good.fl

[ $failed -eq 0 ] && echo "the command line is as it says"
exit $failed
