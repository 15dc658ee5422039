#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Boots sandboxes and runs a command in each, showing each command line first.
set -eu
cd "$(dirname "$0")/.."

# Shows a command line as it can be typed, and runs it.
show() {
	printf '\n$ %s\n' "$1"
	status=0
	eval "$1" || status=$?
	[ "$status" -eq 0 ] || printf '[exit status %s]\n' "$status"
}

if ! build/cordon doctor; then
	echo "demo: no sandbox can run here; the lines above say what to change" >&2
	exit 1
fi
show "build/cordon run -- uname -a"
show "build/cordon run -- sh -c 'id; echo processes:; ps; echo network:; ip addr 2>/dev/null | grep -c \"state UP\" || true'"
show "echo hello | build/cordon run -- tr a-z A-Z"
show "build/cordon run -- sh -c 'exit 7'"
