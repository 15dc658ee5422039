#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/lab/run.sh [--cpus N] [--mem M] [--icount] [--timeout S] -- CMD ARGS: see docs/lab.md.
exec python3 "$(dirname "$0")/lab.py" "$@"
