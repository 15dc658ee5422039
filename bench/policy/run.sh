#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a decision costs: see policy.c. BUILD is the build's folder.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
make -s BUILD="$build" "$build/bench/policy" >/dev/null
printf 'load %s\n' "$(cut -d' ' -f1 /proc/loadavg)"
exec "$build/bench/policy" "$@"
