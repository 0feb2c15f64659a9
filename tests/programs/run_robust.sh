#!/bin/bash
# SPDX-License-Identifier: MIT
# Bad input, ends of every kind, and bounds: messages, statuses, and that nobody is left behind.
set -u
build=$1
run="$build/faultline run"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

wrong() {
	echo "$*"
	failed=1
}

# status WANTED TEXT COMMAND...: the status, and an extended expression that the output must contain
status() {
	local wanted=$1 text=$2 got
	shift 2
	timeout 60 "$@" >out 2>err </dev/null
	got=$?
	[ $got -eq "$wanted" ] || wrong "$*: status $got, wanted $wanted"
	[ -z "$text" ] || cat out err | grep -Eq -- "$text" || wrong "$*: nothing like '$text' in: $(head -c 300 err)"
}

quiet="$run --quiet --report report --"
: >plain
printf '#!/bin/sh\necho script $1\nexit 4\n' >script
printf '#!/no/such/interpreter\n' >orphan
printf 'echo bare $1\n' >bare
printf '\177ELF\001\001\001\000\000\000\000\000\000\000\000\000\002\000\003\000\001\000\000\000' >elf32
head -c 200 /dev/zero >>elf32
printf '\177ELF\002\001\001\000\000\000\000\000\000\000\000\000\002\000\267\000\001\000\000\000' >arm
head -c 200 /dev/zero >>arm
chmod +x script orphan bare elf32 arm

status 127 'no/such/file: No such file' $run -- /no/such/file
status 127 'command not found' $run -- no-such-command
status 126 'Permission denied' $run -- ./plain
status 126 'Is a directory' $run -- /tmp
status 126 '32-bit program' $run -- ./elf32
status 126 'another architecture' $run -- ./arm
status 4 'script x' $quiet ./script x
status 0 'bare x' $quiet ./bare x
status 127 'orphan: No such file' $quiet ./orphan
status 0 '' $quiet true
status 1 '' $quiet false
status 139 '' $quiet sh -c 'kill -SEGV $$'
status 137 '' $quiet sh -c 'kill -KILL $$'
status 143 '' $quiet sh -c 'kill -TERM $$'
status 3 '^26$' $quiet sh -c 'echo abcdefghijklmnopqrstuvwxyz | tr -d "\n" | wc -c; exit 3'

# Setuid: only where somebody else's file can be made.
if [ "$(id -u)" -eq 0 ] && cp /bin/true suid && chown nobody suid && chmod 4755 suid; then
	status 126 'is setuid' $run -- ./suid
	status 0 '^65534$' $quiet su -s /bin/sh nobody -c 'id -u; ls / >/dev/null'
fi

# A bound on memory: the process dies as by the OOM killer, the supervisor and its other guests do not.
cat >eat.sh <<'SH'
x=0123456789abcdef
while :; do x=$x$x; done
SH
timeout 60 $run --quiet --report report --memory 32M -- sh -c 'sh ./eat.sh 2>/dev/null; echo "status $?"; ls / | wc -l' >out 2>err
[ $? -eq 0 ] || wrong "the memory bound ended the whole run"
grep -Eq '^status (137|2)$' out || wrong "the memory bound did not end the eater: $(cat out)"

# The supervisor is killed: so are its guests.
$run --quiet --report report -- sh -c 'sleep 4321 & sleep 4321' &
supervisor=$!
sleep 1
kill -KILL $supervisor
wait $supervisor 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do
	left=$(ps -eo stat,args | grep -c '^[^Z].*sleep 432[1]')
	[ "$left" -eq 0 ] && break
	sleep 0.2
done
[ "$left" -eq 0 ] || wrong "$left guests outlived their supervisor"

# Ctrl-C: to the whole foreground group; the guest dies of it, the report comes all the same, the status is the guest's.
cat >ctrl-c.py <<'PY'
import os, signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[1:], preexec_fn=lambda: os.setpgid(0, 0))
time.sleep(1)
os.killpg(p.pid, signal.SIGINT)
sys.exit(0 if p.wait(20) == -signal.SIGINT else 1)
PY
rm -f report
timeout 60 /usr/bin/python3 ctrl-c.py $run --quiet --report report -- sleep 100 || wrong "Ctrl-C: not the guest's status"
grep -q 'killed by signal 2' report || wrong "Ctrl-C: no report"

# Children, threads and hidden tasks are killed at any moment: the run ends, and no frame is lost.
cat >storm.py <<'PY'
import os, random, signal, subprocess, sys, time
def guests(pid):
    out = []
    for t in os.listdir('/proc'):
        try:
            if t.isdigit() and 'TracerPid:\t%d\n' % pid in open('/proc/%s/status' % t).read():
                out.append(int(t))
        except OSError:
            pass
    return out
random.seed(7)
for i in range(12):
    p = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.time() + 30
    time.sleep(random.random() * 0.3)
    while p.poll() is None:
        for g in random.sample(guests(p.pid) or [0], 1) if time.time() < end - 29 else guests(p.pid):
            try:
                if g:
                    os.kill(g, signal.SIGKILL)
            except OSError:
                pass
        if time.time() > end:
            p.kill()
            sys.exit('the run did not end')
        time.sleep(random.random() * 0.1)
    if 'still referenced' in open('report').read():
        sys.exit('frames were lost')
PY
for guest in guest_fork guest_threads; do
	timeout 300 /usr/bin/python3 storm.py $run --quiet --report report -- "$build/tests/programs/$guest" ||
		wrong "killing $guest"
done
exit $failed
