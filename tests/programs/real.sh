#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Real programs give the same output and the same status under `faultline run` as natively.
#
#   real.sh BUILD_DIR [CASE...]
#
# cases: sort sqlite python multiprocessing gcc stress-uffd stress-mmap
set -u
build=$(realpath "${1:?build directory}")
source=$(realpath "$(dirname "$0")/../..")
shift
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(sort sqlite python multiprocessing gcc stress-uffd stress-mmap)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
pass=0 fail=0

# Run a command natively and under faultline; output on stdout and status must agree.
same() { # name, command...
	local name=$1 native run
	shift
	timeout 300 "$@" >native.out 2>native.err
	native=$?
	timeout 600 "$build/faultline" run --report report.txt -- "$@" >run.out 2>run.err
	run=$?
	if [ "$native" = 0 ] && [ "$run" = 0 ] && cmp -s native.out run.out && grep -q 'faults' report.txt; then
		echo "ok   $name"
		pass=$((pass + 1))
	else
		echo "FAIL $name: status $run, natively $native"
		diff native.out run.out | head -n 10
		head -n 10 run.err
		fail=$((fail + 1))
	fi
}

py=/usr/bin/python3
[ -x "$py" ] || py=python3

for name in "${names[@]}"; do
	case $name in
	sort)
		awk 'BEGIN { srand(1); for (i = 0; i < 600000; i++) printf "%012d %s\n", rand() * 1e12, "abcdefghijklmnopqrstuvwxyzabcdefghij" }' >input
		same sort-30MB env LC_ALL=C sort input
		;;
	sqlite)
		cat >q.sql <<-'SQL'
		create table t(a integer primary key, b text, c integer);
		with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
		insert into t select i, 'row ' || i, (i * 7919) % 1000 from n;
		create index tc on t(c);
		select count(*), sum(c), min(b), max(b) from t;
		select c, count(*), sum(a) from t group by c order by c limit 20;
		SQL
		same sqlite-200000-rows sqlite3 :memory: '.read q.sql'
		;;
	python)
		same python-dict "$py" -c 'd = {i: str(i) * 3 for i in range(400000)}
print(len(d), sum(len(v) for v in d.values()), d[399999])'
		;;
	multiprocessing)
		cat >mp.py <<-'PY'
		import multiprocessing as mp
		def work(n):
		    d = {i: str(i) for i in range(n)}
		    return sum(len(v) for v in d.values())
		if __name__ == "__main__":
		    big = {i: i * i for i in range(200000)}
		    with mp.Pool(3) as p:
		        print(p.map(work, [1000 * k for k in range(1, 30)]))
		    print(sum(big.values()))
		PY
		same python-multiprocessing "$py" mp.py
		;;
	gcc)
		cp "$source/examples/lazy_restore.c" in.c || exit 1
		same gcc-O2-c sh -c 'gcc -O2 -c in.c -o out.o && cksum <out.o'
		;;
	stress-uffd)
		same stress-ng-userfaultfd sh -c 'stress-ng --userfaultfd 1 --userfaultfd-ops 5000 --verify >log 2>&1; s=$?; grep -c -i fail log; exit $s'
		;;
	stress-mmap)
		same stress-ng-mmap-fork sh -c 'stress-ng --mmap 1 --mmap-ops 2000 --mmap-bytes 256k --fork 1 --fork-ops 3000 --verify >log 2>&1; s=$?; grep -c -i fail log; exit $s'
		;;
	*)
		echo "real.sh: no program named $name" >&2
		exit 2
		;;
	esac
done
echo "$pass passed, $fail failed"
[ "$fail" = 0 ]
