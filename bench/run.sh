#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# All benchmarks of docs/performance.md, as a table: `make bench`, or
#
#   bench/run.sh           all, including those in the lab: over an hour
#   bench/run.sh --quick   fewer runs, and none in the lab: under 3 minutes
#
# No time is a pass or a failure; a benchmark that could not run says why.
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
export BUILD
quick=no
case "${1:-}" in
--quick) quick=yes ;;
"") ;;
*)
	sed -n '3,8s/^# \{0,1\}//p' "$0"
	exit 2
	;;
esac
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cordon-bench.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
# Templates go to a cache of our own, so that the user's stay as they are.

# On a busy machine each time limit is up to four times as long.
slowdown=$(awk -v cpus="$(nproc)" '{ p = int(1 + $1 / cpus); print (p > 4 ? 4 : p) }' /proc/loadavg)

# measure TITLE SECONDS COMMAND...
measure() {
	title=$1
	seconds=$(($2 * slowdown))
	shift 2
	printf '\n%s\n' "--- $title"
	timeout "$seconds" "$@" 2>"$scratch/stderr"
	status=$?
	[ "$status" -eq 0 ] && return
	if [ "$status" -eq 124 ]; then
		echo "not measured: timed out after $seconds s"
	else
		echo "not measured: status $status"
		tail -n 5 "$scratch/stderr"
	fi
}

mkdir "$scratch/cache"
export XDG_STATE_HOME="$scratch"
printf 'Linux %s, %s processors, load %s, %s\n' "$(uname -r)" "$(nproc)" \
	"$(cut -d' ' -f1 /proc/loadavg)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
"$BUILD/cordon" doctor 2>/dev/null | grep -i 'ring 0\|kind\|hardware' | head -n 1

if [ "$quick" = yes ]; then
	measure "file server" 120 bench/files/run.sh
	exit 0
fi
measure "python3 in --rootfs host" 400 env "XDG_CACHE_HOME=$scratch/cache" bench/rootfs/run.py
measure "git status and tar of 60 files in a share" 600 \
	env "XDG_CACHE_HOME=$scratch/cache" bench/files/project.py --files 60 --runs 1
measure "guest instructions of a boot (in the lab)" 180 bench/boot/run.py
measure "git status and tar of 10,000 files, in the lab" 3600 \
	tests/lab/run.sh --mem 6G -- bench/files/project.py --runs 1
