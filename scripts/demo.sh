#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Boots sandboxes and runs a command in each, showing each command line first.
set -eu
cd "$(dirname "$0")/.."

show() {
	printf '\n$ %s\n' "$*"
	status=0
	"$@" || status=$?
	[ "$status" -eq 0 ] || printf '[exit status %s]\n' "$status"
}

if ! build/cordon doctor; then
	echo "demo: no sandbox can run here; the lines above say what to change" >&2
	exit 1
fi
show build/cordon run -- uname -a
show build/cordon run -- sh -c 'id; echo "processes:"; ps; echo "network:"; ip addr 2>/dev/null | grep -c "state UP" || true'
printf '\n$ printf "hello\\n" | build/cordon run -- tr a-z A-Z\n'
printf 'hello\n' | build/cordon run -- tr a-z A-Z
show build/cordon run -- sh -c 'exit 7'
