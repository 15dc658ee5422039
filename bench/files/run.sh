#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The file server behind shares, measured by a 9P client on the host:
#
#   bench/files/run.sh [SECONDS for each measurement (0.5)] [FILES in the tree (10000)]
set -eu
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
CC=${CC:-cc}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cordon-files.XXXXXX")
trap 'rm -rf "$scratch"' EXIT INT TERM HUP
# shellcheck disable=SC2086,SC2046
$CC -std=gnu11 -D_GNU_SOURCE -I. -O2 -Wall -Wextra -o "$scratch/operations" bench/files/operations.c \
	tests/support/files_host.c tests/support/p9_client.c "$BUILD/libcordon.a" \
	$(sed -n 's/^LIBS *:= *//p' Makefile)
"$scratch/operations" "$scratch" "$@"
