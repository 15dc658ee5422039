#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Streams between host and guest, compared with socket pairs on the host: see vsock.c.
# Arguments: KiB of each transfer, number of round trips. The amounts are small, as a guest with
# emulated ring 0 moves about 1 MiB a second.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
flags=(-std=gnu11 -D_GNU_SOURCE -I. -Wall -Wextra -O2)
mkdir -p "$build/bench"
musl-gcc "${flags[@]}" -static -Wl,--no-dynamic-linker -s -o "$build/bench/vsock-guest" bench/vsock/guest.c bench/vsock/server.c
${CC:-gcc} "${flags[@]}" -o "$build/bench/vsock" bench/vsock/vsock.c bench/vsock/server.c
exec "$build/bench/vsock" "$build/cordon" "$build/bench/vsock-guest" "$@"
