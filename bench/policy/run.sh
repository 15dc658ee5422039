#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The cost of a decision: see policy.c. BUILD is the build directory.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
make -s BUILD="$build" "$build/bench/policy" >/dev/null
printf 'load %s\n' "$(cut -d' ' -f1 /proc/loadavg)"
exec "$build/bench/policy" "$@"
