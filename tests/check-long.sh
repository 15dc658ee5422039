#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `make check-long` runs: every test in its longest form (hours; docs/testing.md). Unlike .ci/run it fails on
# a flaky test and on a group of the lab that did not run.
set -u
cd "$(dirname "$0")/.." || exit 1

log=$(mktemp)
part=$(mktemp)
trap 'rm -f "$log" "$part"' EXIT

# part NAME COMMAND...: a command that prints no sum counts as one test.
part() {
	name=$1
	shift
	echo "== $name: $*"
	begin=$SECONDS
	"$@" 2>&1 | tee "$part"
	ended=${PIPESTATUS[0]}
	if grep -qE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$part"; then
		cat "$part" >>"$log"
		[ "$ended" -eq 0 ] || grep -qE '^[0-9]+ passed, [1-9][0-9]* failed' "$part" ||
			echo "0 passed, 1 failed, 0 skipped" >>"$log"
	elif [ "$ended" -eq 0 ]; then
		echo "1 passed, 0 failed, 0 skipped" >>"$log"
	else
		echo "not ok $name: ended with $ended"
		echo "0 passed, 1 failed, 0 skipped" >>"$log"
	fi
	echo "== $name: $((SECONDS - begin)) s"
}

part check env CORDON_TEST_WHOLE=1 make check
part race env CK_DEFAULT_TIMEOUT=36000 CORDON_TEST_RACE_ROUNDS=2000000 build/tests/unit/test_fs_race
part lint make lint
part attack make attack
part tsan make tsan
part fault make BUILD=build/asan SANITIZE=1 fault FAULT_MOST="${FAULT_MOST:-100}"
part fuzz make fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-60}"
part reproducible make check-reproducible KERNEL=yes
part packages make check-deb
part lab make lab
tests/run-all.py --strict --add "$log"
