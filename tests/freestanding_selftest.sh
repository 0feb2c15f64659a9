#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# freestanding.sh can fail: it passes a small good engine and refuses the same with any one of its sins.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cp -r "$here/../include" "$work/include"
mkdir -p "$work/ports/threads"
cp "$here/../ports/threads/fl_port_impl.h" "$work/ports/threads/"

status=0
# expect pass|REASON: what freestanding.sh must say of the source on standard input.
expect() {
	cat >"$work/src/one.c"
	if out=$(bash "$here/freestanding.sh" build "$work" 2>&1); then result=pass; else result=fail; fi
	if [ "$1" = pass ] && [ $result = pass ]; then return; fi
	if [ "$1" != pass ] && [ $result = fail ] && grep -q -- "$1" <<<"$out"; then return; fi
	echo "expected: $1"
	echo "$out"
	status=1
}

expect pass <<'C'
#include "faultline/fl_port.h"
static const char *const names[] = { "a", "b" };
uint64_t good(struct fl_mutex *m, uint64_t a, uint64_t b, unsigned i, char *to);
uint64_t good(struct fl_mutex *m, uint64_t a, uint64_t b, unsigned i, char *to)
{
	fl_mutex_lock(m);
	fl_store_release(&m->owner, i);
	fl_port_copy(to, names[i % 2], 1);
	fl_mutex_unlock(m);
	return a / b;
}
C
expect 'puts is wanted by one.c' <<'C'
int puts(const char *);
void bad(void);
void bad(void) { puts("hello"); }
C
expect 'powerpc: __atomic_fetch_add_8 is wanted by one.c' <<'C'
#include <stdint.h>
void bad(uint64_t *p);
void bad(uint64_t *p) { __atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST); }
C
expect 'powerpc: __.*_8 is wanted by one.c' <<'C'
#include <stdint.h>
void bad(uint64_t *p);
void bad(uint64_t *p) { __sync_fetch_and_add(p, 1); }
C
expect 'one.c has writable data: .*bss' <<'C'
int bad(void);
int bad(void) { static int calls; return ++calls; }
C
expect 'one.c has writable data: .*data' <<'C'
int bad = 5;
C
expect 'x86-64: does not compile' <<'C'
#include <stdio.h>
int bad;
C
expect 'x86-64: does not compile' <<'C'
unsigned char bad(int i);
unsigned char bad(int i) { return i; }
C
rm "$work/src/one.c"
if bash "$here/freestanding.sh" build "$work" >/dev/null 2>&1; then
	echo "an empty engine passes"
	status=1
fi
exit $status
