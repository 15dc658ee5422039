#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make lab` runs: the proof that the lab's /dev/kvm is a true one, then the integration tests,
# inside. Arguments go to pytest (-k ...); LAB_FILTER is a list of parts of names.
# The build must be there already.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
cd "$top"

if [ ! -x build/cordon ]; then
	echo "lab: build/cordon is missing: run make first" >&2
	exit 1
fi
mkdir -p build/tests/lab
${CC:-cc} -std=gnu11 -Wall -Wextra -O2 -o build/tests/lab/kvmcheck "$here/kvmcheck.c" -lpthread

names=$(echo "${LAB_FILTER:-}" | sed 's/ / or /g')
[ -z "$names" ] || set -- -k "$names" "$@"
# shellcheck disable=SC2016 # "$@" is for the shell inside
exec "$here/run.sh" --mem 6G --timeout "${LAB_TIMEOUT:-3600}" -- sh -c '
	build/tests/lab/kvmcheck 2 || exit 1
	exec pytest tests/integration "$@"' lab "$@"
