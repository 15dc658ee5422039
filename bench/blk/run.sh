#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The block device compared with the host's pread: see blk.c. BUILD is the build directory.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
make -s BUILD="$build" "$build/bench/blk" >/dev/null
printf 'load %s\n' "$(cut -d' ' -f1 /proc/loadavg)"
exec "$build/bench/blk"
